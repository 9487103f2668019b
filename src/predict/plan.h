/* A model at one batch, precision and runtime, as a list of kernels: all that depends on the model and nothing that depends on
 * the GPU. Made once, put on any number of GPUs. */
#ifndef PREDICT_PLAN_H
#define PREDICT_PLAN_H

#include "cost/cost.h"
#include "graph/unit.h"
#include "predict/runtime.h"

/* A place behind a unit where a pipeline can be cut. */
typedef struct plan_cut {
    double weights; /* bytes that the unit is the first to use */
    double live;    /* bytes of values that later units use */
} plan_cut;

typedef enum plan_optimizer { OPTIMIZER_NONE, OPTIMIZER_SGD, OPTIMIZER_ADAMW } plan_optimizer;

typedef struct plan_options {
    double tensor;  /* GPUs that linear layers are divided among; 0: one */
    double group;   /* GPUs that collective operations of the model itself are between; 0: one */
    precision math; /* PREC_FP32 ... */
    bool autocast;  /* fp32 weights and sums, half products, as torch.autocast does it */
    bool channels_last;
    bool lone;          /* one operator by itself, over and over, as kernels are measured */
    bool training;      /* a whole training step: forward, loss, backward, optimizer */
    bool checkpointing; /* ... that keeps the inputs of blocks alone and runs each block forward again */
    bool
        legacy; /* PyTorch before 2.0 and its cuDNN 8: optimizers and the zeroing of gradients go parameter by parameter, and some
                    channels-last weight gradients take a slow kernel */
    plan_optimizer optimizer;
    bool half_norms; /* autocast: normalisations of images stay in half, as pytorch-image-models' fast norm has it */
    double version;  /* of the runtime, as in runtime_profile; 0: the newest */
} plan_options;

/* One launch in execution order. */
typedef struct plan_step {
    uint32_t kernel;    /* index into plan.kernels */
    uint32_t unit;      /* the last one that it runs for */
    uint32_t op;        /* the operator that names it; NO_TENSOR: none does (loss, optimizer) */
    uint32_t count_ops; /* operators of the file in it */
    uint16_t kind;      /* op_kind of its main operation */
    uint16_t tail;      /* op_kind of a fused activation; OP_KIND_COUNT: none */
    uint16_t role;      /* step_role */
    double trips;
} plan_step;

typedef enum step_role {
    STEP_MAIN,
    STEP_CAST,
    STEP_COPY,
    STEP_BIAS,
    STEP_NORM,
    STEP_COMM, /* what tensor parallelism exchanges */
    /* training only; all from STEP_LOSS_BACKWARD to STEP_SUM are the backward pass */
    STEP_STATISTICS, /* batch normalisation's sums */
    STEP_LOSS,
    STEP_LOSS_BACKWARD,
    STEP_RECOMPUTE, /* forward again, for gradient checkpointing */
    STEP_BACKWARD,  /* gradient of an input */
    STEP_WGRAD,     /* gradient of a weight */
    STEP_SUM,       /* of the gradients that reach a value on several ways */
    STEP_OPTIMIZER,
    STEP_ROLES
} step_role;

/* Kernels that are alike are costed once. */
typedef struct plan_kernel {
    kernel k;
    double count;    /* executions in a step */
    double backward; /* of them in the backward pass */
    double looped;   /* ... and in loops whose number of steps the data decide */
} plan_kernel;

typedef struct plan_memory {
    double weights, activations, workspace, gradients, optimizer; /* bytes */
} plan_memory;

/* What an eager framework does before a launch goes with the operator: library calls look for a kernel and a workspace, pointwise
 * ones hardly do anything. */
typedef enum issue_class {
    ISSUE_CONV,
    ISSUE_NORM,
    ISSUE_GEMM,
    ISSUE_BMM,
    ISSUE_SOFTMAX,
    ISSUE_POINTWISE,
    ISSUE_CLASSES
} issue_class;

typedef struct kernel_plan {
    const graph *g;
    const runtime_profile *runtime;
    plan_options opt;
    plan_kernel *kernels;
    uint32_t n_kernels;
    plan_step *steps;
    uint32_t n_steps;
    plan_cut *cuts; /* per unit */
    uint32_t n_cuts;
    bool lone; /* plan_options.lone */
    /* of these launches: by what the host has to do for them; what is in none of them counts as an image network's mean operation */
    double issued[ISSUE_CLASSES];
    double launches; /* operations that launch something, in a step: forward and loss */
    double launches_looped, issued_looped[ISSUE_CLASSES]; /* of these those in loops */
    double launches_backward, launches_optimizer;
    double launches_sums;    /* of those of the backward pass: sums of gradients */
    double waited;           /* operations that the host issues one by one behind results that it waited for */
    double gradient_bytes;   /* of all parameters, as data parallelism exchanges them */
    double largest_share;    /* of the parameters in the largest tensor */
    double joins;            /* residual sums and the like: a layer of a transformer has two */
    double views;            /* operations that only make a view */
    bool collective;         /* holds collective operations of its own */
    double divided;          /* share of the operations that tensor parallelism divides */
    double flops;            /* of a step */
    double footprint;        /* bytes that a step touches, for the question what stays in L2 from step to step */
    double unknown_share;    /* of operators without a shape or of unknown kind */
    double unknown_products; /* of matrix products, convolutions and the like: whether the MACs are known */
    plan_memory memory;
} kernel_plan;

pg_code plan_build(kernel_plan *out, const units *us, const runtime_profile *runtime, const plan_options *opt, arena *a,
                   pg_error *e);

#endif
