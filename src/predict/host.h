/* The host's clock, which runs beside the GPU's. */
#ifndef PREDICT_HOST_H
#define PREDICT_HOST_H

#include "predict/predict.h"

/* The host's clock, and how long the GPU waits for its first kernel. */
typedef struct host_clock {
    double seconds, first;
    double waited; /* for results that the host needs before it can go on; on top of both clocks */
} host_clock;

/* Of a step with so many launches; all zero where the host isn't asked for. */
host_clock predict_host(const kernel_plan *p, const predict_gpu *g, double launches, const predict_constants *pc,
                        const predict_options *opt);

/* Operations of loops whose end the data decide, weighed like predict_issued. */
double predict_issued_looped(const kernel_plan *p);

#endif
