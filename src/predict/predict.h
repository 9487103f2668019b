/* A plan on a GPU: latency, memory, power, what bounds it, how sure that is. Pure, and makes no allocation. */
#ifndef PREDICT_PREDICT_H
#define PREDICT_PREDICT_H

#include "predict/plan.h"

/* Fitted or sourced constants of whole steps: data/runtimes.toml [predict]. */
typedef struct predict_constants {
    double context_mb, context_mb_per_sm;
    double idle_power_share, compute_power_share, memory_power_share, busy_power_share;
    double host_half_years; /* CPUs halve the time to issue an operation in so many years; runtimes give it for 2020 */
    double host_backward, host_optimizer; /* host time of such an operation relative to one of the forward pass */
    double interval_calibrated, interval_transferred, interval_specification, interval_host;
    double interval_trained; /* of a training step where interval_calibrated is that of inference */
} predict_constants;

typedef enum basis { BASIS_CALIBRATED, BASIS_TRANSFERRED, BASIS_SPECIFICATION } basis;

typedef struct predict_options {
    bool fast_mode;     /* the plain roofline */
    bool real_hardware; /* sustained clocks */
    bool device_time;   /* no host */
    gpu_family family;  /* which of a profile's model_performance tables speaks */
    double batch;
    basis basis;
} predict_options;

typedef struct step_prediction {
    double seconds, low, high; /* one step, with its 80 % interval */
    double gpu_s, host_s;
    double backward_s; /* of gpu_s: the backward pass, beside which gradients may be exchanged (plan.gradient_bytes) */
    double flops, dram_bytes;
    double compute_utilization, memory_efficiency; /* shares of the peaks over the step */
    double power_w;
    bound limit;
    double bound_s[BOUND_COUNT];
    double runtime_bytes; /* context and framework */
    double context_bytes; /* of them: the CUDA context */
    double total_bytes;
    bool fits;
} step_prediction;

/* A GPU with the user's knowledge of it (profile fields) put into the cost model. */
typedef struct predict_gpu {
    const gpu_spec *spec;
    cost_gpu cost;
    double clock_share;  /* sustained over boost; 1 unless real_hardware */
    double family_speed; /* architecture_multiplier and batch_scaling_curve */
} predict_gpu;

void predict_gpu_init(predict_gpu *g, const gpu_spec *spec, const cost_constants *c, const predict_options *opt);
/* Seconds of one execution of kernel i of the plan on this GPU, and its parts. */
kernel_cost predict_kernel(const kernel_plan *p, uint32_t i, const predict_gpu *g, const predict_options *opt);
step_prediction predict_step(const kernel_plan *p, const predict_gpu *g, const predict_constants *pc,
                             const predict_options *opt);

#endif
