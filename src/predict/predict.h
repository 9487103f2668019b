/* A plan on a GPU: latency, memory, power, what bounds it, how sure that is. Pure, and makes no allocation. */
#ifndef PREDICT_PREDICT_H
#define PREDICT_PREDICT_H

#include "predict/plan.h"

/* What a step's time consists of, as far as it matters to how sure it is. */
typedef enum interval_class {
    INTERVAL_CONV,        /* on tensor cores */
    INTERVAL_CONV_VECTOR, /* on vector units */
    INTERVAL_DEPTHWISE,
    INTERVAL_PRODUCT,        /* matrix products on tensor cores */
    INTERVAL_PRODUCT_VECTOR, /* ... on vector units */
    INTERVAL_NARROW,         /* ... in 8 bits and fewer */
    INTERVAL_ATTENTION,
    INTERVAL_ROWS,   /* normalisation, softmax, reduction */
    INTERVAL_STREAM, /* elementwise, copies, pooling */
    INTERVAL_OTHER,  /* gather, sort, resize, recurrent layers, communication, unknown operators */
    INTERVAL_CLASSES
} interval_class;

/* Widths of the 80 % interval as shares of the latency: runtimes.toml [interval]. Fitted on held-out points. */
typedef struct interval_constants {
    double model
        [INTERVAL_CLASSES]; /* of a step that consists of kernels of this class alone, where the GPU was measured */
    double kernel[INTERVAL_CLASSES]; /* of one kernel by itself, where the GPU was not */
    double host;                     /* of a model's step that the host bounds: nobody told us the CPU */
    double training;                 /* factor for training steps */
    double transferred;              /* factor for models where only other GPUs were measured */
    double specification;            /* factor where nothing like it was */
    double unlike;                   /* factor on kernels' times on boards that have nothing in common with those */
    double tenfold;                  /* factor for models whose kernels take ten times as long in the mean */
    /* Of models, of one kernel of a library that has several: the width is times so much above the latency and over so much below it.
     * What a prediction doesn't know of mostly takes time. */
    double skew_model, skew_kernel;
    /* language models: llama.cpp's tokens and prompts, those on several GPUs; time per token and to the first one under serving runtimes */
    double llm_decode, llm_prefill, llm_staged, llm_tpot, llm_ttft, llm_row_tokens, llm_row_prompts;
} interval_constants;

/* An 80 % interval around a latency: latency / (1 + low) to latency * (1 + high). */
typedef struct interval_range {
    double low, high;
} interval_range;

/* A step's composition: shares of its GPU time, and how far the host bounds it. */
typedef struct interval_parts {
    double share[INTERVAL_CLASSES];
    double host;     /* 0: GPU-bound by far, 1: host-bound */
    double shared;   /* width that messages over paths which GPUs share add: a property of the server */
    double kernel_s; /* mean GPU time of a kernel; 0: there is none */
    bool lone, training;
} interval_parts;

/* Fitted or sourced constants of whole steps: data/runtimes.toml [predict]. */
typedef struct predict_constants {
    double context_mb, context_mb_per_sm;
    double idle_power_share, busy_power_share;
    double straggle_share,
        hidden_share;       /* data-parallel training: waiting for the slowest, for each doubling of GPUs, and what
                                            communication beside the backward pass takes from it; shares of a step, of its time */
    double host_half_years; /* CPUs halve the time to issue an operation in so many years; runtimes give it for 2020 */
    double host_few; /* host time of an operation on a few boxes or words relative to an image network's mean one */
    /* host time of such an operation relative to one of the forward pass; of a sum of gradients, which the engine of the backward pass
     * issues by itself, relative to the same */
    double host_backward, host_optimizer, host_sum;
    interval_constants interval;
    /* one measurement of the model on a GPU that the user owns: the power of measured / predicted that carries over to other
     * GPUs, for GPU time and for the host's, and the share of the interval that is left then */
    double measured_gpu_carry, measured_host_carry, measured_interval, measured_interval_strange;
    /* A benchmark of serving sends so many requests for each that runs at a time, the first ones together; their outputs are between
     * 1 - spread and 1 + spread of the length. */
    double serving_waves, serving_spread;
    double interval_again; /* what a measurement itself is worth: 80 % interval of the same step measured again */
} predict_constants;

typedef enum basis {
    BASIS_CALIBRATED,
    BASIS_TRANSFERRED,
    BASIS_SPECIFICATION,
    BASIS_UNLIKE, /* a specification that is partly guessed, or of a vendor of whose boards none was measured */
    BASIS_COUNT
} basis;

/* What one measurement of a model says about it: factors on the predicted times of GPU and host, and how far it shows each of
 * them (0 to 1): a step that the host bounds shows little of the GPU. */
typedef struct measured_scale {
    double gpu, host;
    double gpu_known, host_known;
    bool again;    /* the very step on the very GPU */
    bool doubtful; /* hardly of what was asked for: the interval reaches back to what is predicted without it */
} measured_scale;

typedef struct predict_options {
    bool fast_mode;     /* the plain roofline */
    bool real_hardware; /* sustained clocks */
    bool device_time;   /* no host */
    gpu_family family;  /* which of a profile's model_performance tables speaks */
    double batch;
    double micro;          /* batches of the plan's size that make up a training step; 0: 1 */
    double data, pipeline; /* groups of GPUs that do the same with other samples; stages of each; 0: 1 */
    int zero; /* what such groups divide among themselves: 1 the optimizer's state, 2 gradients too, 3 weights too; 0: nothing */
    basis basis;
    double interval;                /* of a calibration; 0: as the basis has it */
    bool host_known;                /* ... which had steps that the host bounds */
    const gpu_level *level;         /* NULL: the GPU was not measured under this runtime */
    const measured_scale *measured; /* NULL: nothing was measured */
    bool strange; /* it was measured on, or is predicted for, a GPU that the constants have not seen */
} predict_options;

typedef struct step_prediction {
    double seconds, low, high; /* one step, with its 80 % interval */
    interval_parts parts;      /* what the interval rests on */
    double rate;               /* steps a second of all GPUs together */
    double gpu_s, host_s;
    double loop_s;     /* of gpu_s: in loops whose number of steps the data decide */
    double backward_s; /* of gpu_s: the backward pass, beside which gradients may be exchanged (plan.gradient_bytes) */
    double flops, dram_bytes;
    double compute_utilization, memory_efficiency; /* shares of the peaks over the step */
    double power_w;
    bound limit;
    double bound_s[BOUND_COUNT];
    double launches;                      /* GPU kernels of the last operation */
    double busy_share;                    /* of the time that a GPU has work */
    double activation_share;              /* of a micro-batch's activations that a pipeline stage holds at once */
    double weight_share;                  /* of the weights that the fullest pipeline stage holds */
    double weights, gradients, optimizer; /* bytes of that stage */
    double runtime_bytes;                 /* context and framework */
    double context_bytes;                 /* of them: the CUDA context */
    double total_bytes;
    bool fits;
} step_prediction;

/* A GPU with the user's knowledge of it (profile fields) put into the cost model. */
typedef struct predict_gpu {
    const gpu_spec *spec;
    cost_gpu cost;
    double clock_share;                 /* of the boost clock, under the power limit */
    double compute_level, memory_level; /* in the peaks of `cost`: gpu_level */
    double family_speed;                /* architecture_multiplier and batch_scaling_curve */
} predict_gpu;

typedef enum llm_figure {
    LLM_DECODE,
    LLM_PREFILL,
    LLM_STAGED,
    LLM_TPOT,
    LLM_TTFT,
    LLM_ROW_TOKENS,
    LLM_ROW_PROMPTS
} llm_figure;
double interval_language(const interval_constants *c, llm_figure f, basis b);
interval_range interval_width(const interval_constants *c, const interval_parts *p, basis b);
double interval_size(const interval_parts *p);   /* of a mean kernel: powers of ten over 100 us */
double interval_choice(const interval_parts *p); /* share of what a library chooses a variant for */
interval_range interval_scale(interval_range w, double factor);
/* What a step that consists of messages alone adds to that, whose paths are so crowded (cost_comm_crowd). */
double interval_shared(double crowd);
interval_class interval_class_of(const kernel *k, bool matrix_unit);
/* What kernels of a step take at boost clock. */
typedef struct step_energy {
    double core_j, memory_j; /* joules: operations and bytes across the chip; DRAM */
    double core_s, gpu_s;    /* seconds that go with the core's clock; all */
} step_energy;

void predict_gpu_init(predict_gpu *g, const gpu_spec *spec, const cost_constants *c, const predict_options *opt);
/* Seconds of one execution of kernel i of the plan on this GPU, and its parts. */
kernel_cost predict_kernel(const kernel_plan *p, uint32_t i, const predict_gpu *g, const predict_options *opt);
/* The launches of the forward pass, each weighed by what its kind took the host in a loop by itself, relative to an image network's
 * mean: a convolution, a normalisation and an activation. */
double predict_issued(const kernel_plan *p);
/* The same of a training step's other launches. */
double predict_issued_backward(const kernel_plan *p, const predict_constants *pc);
double predict_issued_optimizer(const kernel_plan *p, const predict_constants *pc);
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
/* How long the host that a GPU of this age sits beside takes, relative to one of 2020. */
double predict_host_slowness(const gpu_spec *spec, const runtime_profile *rt, const predict_constants *pc);
step_prediction predict_step(const kernel_plan *p, const predict_gpu *g, const predict_constants *pc,
                             const predict_options *opt);
/* From a step's prediction on the GPU on which it was measured; `seconds` > 0. A longer measurement never gives a smaller factor.
 * `again`: for that GPU itself, so that the measurement is the prediction. */
measured_scale predict_measured(const step_prediction *there, double seconds, const predict_constants *pc, bool again);

#endif
