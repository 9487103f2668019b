/* A plan on a GPU: latency, memory, power, what bounds it, how sure that is. Pure, and makes no allocation. */
#ifndef PREDICT_PREDICT_H
#define PREDICT_PREDICT_H

#include "predict/plan.h"

/* Fitted or sourced constants of whole steps: data/runtimes.toml [predict]. */
typedef struct predict_constants {
    double context_mb, context_mb_per_sm;
    double idle_power_share, busy_power_share;
    double straggle_share,
        hidden_share;       /* data-parallel training: waiting for the slowest, for each doubling of GPUs, and what
                                            communication beside the backward pass takes from it; shares of a step, of its time */
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
    double micro;          /* batches of the plan's size that make up a training step; 0: 1 */
    double data, pipeline; /* groups of GPUs that do the same with other samples; stages of each; 0: 1 */
    basis basis;
} predict_options;

typedef struct step_prediction {
    double seconds, low, high; /* one step, with its 80 % interval */
    double rate;               /* steps a second of all GPUs together */
    double gpu_s, host_s;
    double backward_s; /* of gpu_s: the backward pass, beside which gradients may be exchanged (plan.gradient_bytes) */
    double flops, dram_bytes;
    double compute_utilization, memory_efficiency; /* shares of the peaks over the step */
    double power_w;
    bound limit;
    double bound_s[BOUND_COUNT];
    double launches;         /* GPU kernels of the last operation */
    double busy_share;       /* of the time that a GPU has work */
    double activation_share; /* of a micro-batch's activations that a pipeline stage holds at once */
    double gradient_copies;  /* data parallelism: the buckets that are exchanged hold them once more */
    double weight_share;     /* of the weights that the fullest pipeline stage holds */
    double runtime_bytes;    /* context and framework */
    double context_bytes;    /* of them: the CUDA context */
    double total_bytes;
    bool fits;
} step_prediction;

/* A GPU with the user's knowledge of it (profile fields) put into the cost model. */
typedef struct predict_gpu {
    const gpu_spec *spec;
    cost_gpu cost;
    double clock_share;  /* of the boost clock, under the power limit */
    double family_speed; /* architecture_multiplier and batch_scaling_curve */
} predict_gpu;

/* What kernels of a step take at boost clock. */
typedef struct step_energy {
    double core_j, memory_j; /* joules: operations and bytes across the chip; DRAM */
    double core_s, gpu_s;    /* seconds that go with the core's clock; all */
} step_energy;

void predict_gpu_init(predict_gpu *g, const gpu_spec *spec, const cost_constants *c, const predict_options *opt);
/* Seconds of one execution of kernel i of the plan on this GPU, and its parts. */
kernel_cost predict_kernel(const kernel_plan *p, uint32_t i, const predict_gpu *g, const predict_options *opt);
/* multi.c: rate, and what pipeline stages change. */
void multi_gpu(step_prediction *s, const kernel_plan *p, const predict_gpu *g, const predict_constants *pc,
               const predict_options *opt);
/* power.c */
void power_add(step_energy *e, const kernel_cost *c, double count);
/* Mean watts of a board over a step that takes so long on it: from idle power to TDP. */
double power_of_step(const step_energy *e, const predict_gpu *g, const predict_constants *pc, double seconds);
/* Share of the boost clock that the power limit leaves a step with these energies. */
double power_clock(const step_energy *e, const predict_gpu *g, const kernel_plan *p, const predict_constants *pc,
                   const predict_options *opt);
/* Sets that clock, as predict_step does for itself: for those who look at single kernels. */
void power_sustain(predict_gpu *g, const kernel_plan *p, const predict_constants *pc, const predict_options *opt);
step_prediction predict_step(const kernel_plan *p, const predict_gpu *g, const predict_constants *pc,
                             const predict_options *opt);

#endif
