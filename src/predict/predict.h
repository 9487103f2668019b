/* A plan on a GPU: latency, memory, power, what bounds it, how sure that is. Pure, and makes no allocation. */
#ifndef PREDICT_PREDICT_H
#define PREDICT_PREDICT_H

#include "predict/plan.h"

/* Fitted or sourced constants of whole steps: data/runtimes.toml [predict]. */
typedef struct predict_constants {
    double context_mb, context_mb_per_sm;
    double idle_power_share, compute_power_share, memory_power_share, busy_power_share;
    double host_half_years; /* CPUs halve the time to issue an operation in so many years; runtimes give it for 2020 */
    double interval_calibrated, interval_transferred, interval_specification, interval_host;
    /* one measurement of the model on a GPU that the user owns: the power of measured / predicted that carries over to other
     * GPUs, for GPU time and for the host's, and the share of the interval that is left then */
    double measured_gpu_carry, measured_host_carry, measured_interval, measured_interval_strange;
    double interval_again; /* what a measurement itself is worth: 80 % interval of the same step measured again */
} predict_constants;

typedef enum basis { BASIS_CALIBRATED, BASIS_TRANSFERRED, BASIS_SPECIFICATION } basis;

/* What one measurement of a model says about it: factors on the predicted times of GPU and host, and how far it shows each of
 * them (0 to 1): a step that the host bounds shows little of the GPU. */
typedef struct measured_scale {
    double gpu, host;
    double gpu_known, host_known;
    bool again; /* the very step on the very GPU */
} measured_scale;

typedef struct predict_options {
    bool fast_mode;     /* the plain roofline */
    bool real_hardware; /* sustained clocks */
    bool device_time;   /* no host */
    gpu_family family;  /* which of a profile's model_performance tables speaks */
    double batch;
    basis basis;
    double interval;                /* of a calibration; 0: as the basis has it */
    bool host_known;                /* ... which had steps that the host bounds */
    const gpu_level *level;         /* NULL: the GPU was not measured under this runtime */
    const measured_scale *measured; /* NULL: nothing was measured */
    bool strange; /* it was measured on, or is predicted for, a GPU that the constants have not seen */
} predict_options;

typedef struct step_prediction {
    double seconds, low, high; /* one step, with its 80 % interval */
    double gpu_s, host_s;
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
    double clock_share;                 /* sustained over boost; 1 unless real_hardware */
    double compute_level, memory_level; /* in the peaks of `cost`: gpu_level */
    double family_speed;                /* architecture_multiplier and batch_scaling_curve */
} predict_gpu;

void predict_gpu_init(predict_gpu *g, const gpu_spec *spec, const cost_constants *c, const predict_options *opt);
/* Seconds of one execution of kernel i of the plan on this GPU, and its parts. */
kernel_cost predict_kernel(const kernel_plan *p, uint32_t i, const predict_gpu *g, const predict_options *opt);
step_prediction predict_step(const kernel_plan *p, const predict_gpu *g, const predict_constants *pc,
                             const predict_options *opt);
/* From a step's prediction on the GPU on which it was measured; `seconds` > 0. A longer measurement never gives a smaller factor.
 * `again`: for that GPU itself, so that the measurement is the prediction. */
measured_scale predict_measured(const step_prediction *there, double seconds, const predict_constants *pc, bool again);

#endif
