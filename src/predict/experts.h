/* A layer of a mixture of experts as serving runtimes run it: tokens go to experts, two grouped products, the sum. Pure. */
#ifndef PREDICT_EXPERTS_H
#define PREDICT_EXPERTS_H

#include "cost/kernel.h"

typedef struct experts_layer {
    double tokens; /* of all GPUs that share the experts */
    double hidden;
    double width; /* of an expert, on this GPU */
    double experts, used;
    double parts;  /* GPUs that experts are spread over; the fullest of them is meant */
    double skew;   /* how tokens choose: 0 at random, below 0 evenly, above by a power law with this exponent */
    double uneven; /* of choices at random (skew 0): deviation of the logarithm of how much experts are liked */
    bool gated;
    bool
        narrow; /* products in `math`, activations are quantised for them; else weights are widened inside the products */
    bool scaled; /* FP8 with block scales */
    precision math;
    double act;    /* bytes of an activation */
    double weight; /* bytes of a weight as it is stored, scales counted */
} experts_layer;

/* What the fullest GPU gets. */
typedef struct experts_spread {
    double pairs;                 /* of tokens and experts */
    double touched;               /* experts that have a token at all */
    double tiles[GEMM_ROW_TILES]; /* tiles of so many rows that hold them, each expert for itself */
} experts_spread;

void experts_spread_of(experts_spread *out, const experts_layer *l);

enum { EXPERTS_KERNELS = 8 };

typedef struct experts_kernel {
    const char *label;
    kernel k;
} experts_kernel;

/* The layer's kernels behind the router's product, in order; how many. */
int experts_kernels(const experts_layer *l, experts_kernel out[EXPERTS_KERNELS]);

#endif
