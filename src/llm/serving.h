/* Continuous batching with chunked prefill: requests of one shape, a fixed number of them at a time, each replaced when it is done.
 *
 * A simulation of the runtime's steps (simulate.h), whose times lie on lines between those of a few plans. */
#ifndef LLM_SERVING_H
#define LLM_SERVING_H

#include "llm/llm.h"
#include "llm/simulate.h"

/* Steps of a few numbers of requests and of prompts: made once, put on any number of GPUs. */
typedef struct llm_serving_plan {
    int levels, loads;
    double requests[SIMULATE_LEVELS]; /* ascending, the last is what was asked for */
    double tokens[SIMULATE_LOADS];    /* ascending, of prompts */
    llm_plan decode[SIMULATE_LEVELS], alone[SIMULATE_LOADS], mixed[SIMULATE_LOADS];
} llm_serving_plan;

typedef struct llm_serving {
    double asked;   /* requests at a time */
    double running; /* requests that the memory and the set-up let run at a time */
    double output;  /* tokens that one makes, on average */
    double ttft_s, tpot_s, request_s;
    double requests_per_s; /* of one copy of the model */
    double prefill_share;  /* of the time that goes to prompts */
    double waiting_share;  /* of requests that wait for memory */
    llm_step decode;       /* the step that all take part in */
    double power_w;        /* of one GPU, over steps with prompts and steps without */
} llm_serving;

pg_code llm_serving_make(llm_serving_plan *out, const llm_case *c, double concurrency, arena *a, pg_error *e);
/* At so many requests at a time, no more than the plan was made for. */
llm_serving llm_serving_predict(const llm_case *c, const llm_serving_plan *p, double requests, const predict_gpu *g,
                                const predict_constants *pc, const predict_options *opt);
/* The same without `decode` and the power. */
llm_serving llm_serving_at(const llm_case *c, const llm_serving_plan *p, double requests, const predict_gpu *g,
                           const predict_constants *pc, const predict_options *opt);

#endif
