/* Continuous batching with chunked prefill: requests of one shape, a fixed number of them at a time, each replaced when it is done.
 *
 * Steady state, not a simulation. With t(n) the time of a step that decodes n requests and x(n) what a prompt adds to such steps, all n
 * requests are through after T = output * t(n) + n * x(n): each decodes `output` times and everybody's prompt is run once meanwhile. */
#ifndef LLM_SERVING_H
#define LLM_SERVING_H

#include "llm/llm.h"

enum { SERVING_LEVELS = 5 };

/* Steps at a few numbers of requests, between which times are interpolated: made once, put on any number of GPUs. */
typedef struct llm_serving_plan {
    int levels;
    double requests[SERVING_LEVELS]; /* descending, the first is what was asked for */
    llm_plan decode[SERVING_LEVELS], mixed[SERVING_LEVELS];
    llm_plan burst; /* prompts that fill a step */
    double burst_prompts;
    double chunks; /* steps that a prompt takes */
} llm_serving_plan;

typedef struct llm_serving {
    double asked;   /* requests at a time */
    double running; /* requests that the memory lets run at a time */
    double ttft_s, tpot_s, request_s;
    double requests_per_s; /* of one copy of the model */
    double prefill_share;  /* of the time that goes to prompts */
    double waiting_share;  /* of requests that wait for memory */
    llm_step decode;       /* the step that all take part in */
} llm_serving;

pg_code llm_serving_make(llm_serving_plan *out, const llm_case *c, double concurrency, arena *a, pg_error *e);
/* At so many requests at a time, no more than the plan was made for. */
llm_serving llm_serving_predict(const llm_case *c, const llm_serving_plan *p, double requests, const predict_gpu *g,
                                const predict_constants *pc, const predict_options *opt);
/* The same without `decode`. */
llm_serving llm_serving_at(const llm_case *c, const llm_serving_plan *p, double requests, const predict_gpu *g,
                           const predict_constants *pc, const predict_options *opt);

#endif
