/* A serving runtime step by step: requests of about one shape, a fixed number of them at a time, each replaced when it is done.
 *
 * Every step takes in what prompts its tokens have room for and decodes one token of each running request; steps in which nobody
 * comes or goes are run together. Deterministic: lengths differ by a sequence of fixed fractions. Pure, without memory of its own. */
#ifndef LLM_SIMULATE_H
#define LLM_SIMULATE_H

#include "base/libc.h"

enum {
    SIMULATE_LEVELS = 5,
    SIMULATE_LOADS = 3,
    SIMULATE_REQUESTS = 512, /* of more requests, several are one */
};

/* Seconds of a step, between whose figures lines are drawn. */
typedef struct simulate_steps {
    int levels;
    double requests[SIMULATE_LEVELS], decode[SIMULATE_LEVELS]; /* ascending: steps that decode so many requests */
    int loads;
    double tokens[SIMULATE_LOADS]; /* ascending: of prompts in a step ... */
    double alone[SIMULATE_LOADS];  /* ... that decodes nobody */
    double added[SIMULATE_LOADS];  /* ... what they add to one that does */
    double least;                  /* steps with prompts take at least so long: their kernels are launched one by one */
} simulate_steps;

typedef struct simulate_setup {
    double requests; /* at a time */
    double prompts;  /* in all; the first `requests` of them come together */
    double slots;    /* requests that memory lets run at a time, at least 1 */
    double input, output;
    double tokens, rows;  /* that a step makes of each request, and that it computes for that; 0: 1 */
    double spread;        /* outputs are between (1 - spread) and (1 + spread) times `output` ... */
    double prompt_spread; /* ... and prompts so of `input` */
    double budget;        /* tokens of a step: one for each request that it decodes, the others of prompts */
    bool whole;           /* prompts that fit into a step are not divided */
    bool apart;           /* steps of prompts decode nobody, and come first */
    double poll; /* steps that decode between two at which the runtime looks whether requests are there; 0: 1 */
    /* While requests are decoded, prompts that don't fill this share of a step with them wait for more, so many steps at most. */
    double wait_steps, wait_share;
    double join;        /* seconds that each prompt which ends in a step adds to it, whatever its length */
    double delay;       /* seconds between a request's being sent and its being there ... */
    double token_delay; /* ... and for each token of its prompt */
} simulate_setup;

typedef struct simulate_result {
    double ttft_s, tpot_s; /* means over all requests */
    double prefill_share;  /* of the time that goes to steps with prompts, beyond what decoding alone would take */
    double events;
} simulate_result;

simulate_result simulate_run(const simulate_setup *setup, const simulate_steps *steps);

#endif
