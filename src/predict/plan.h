/* A model at one batch, precision and runtime, as a list of kernels: all that depends on the model and nothing that depends on
 * the GPU. Made once, put on any number of GPUs. */
#ifndef PREDICT_PLAN_H
#define PREDICT_PLAN_H

#include "cost/cost.h"
#include "graph/unit.h"
#include "predict/runtime.h"

typedef struct plan_options {
    precision math; /* PREC_FP32 ... */
    bool autocast;  /* fp32 weights and sums, half products, as torch.autocast does it */
    bool channels_last;
    bool half_norms; /* autocast: normalisations of images stay in half, as pytorch-image-models' fast norm has it */
    double version;  /* of the runtime, as in runtime_profile; 0: the newest */
} plan_options;

/* One launch in execution order. */
typedef struct plan_step {
    uint32_t kernel;    /* index into plan.kernels */
    uint32_t op;        /* the operator that names it */
    uint32_t count_ops; /* operators of the file in it */
    uint16_t kind;      /* op_kind of its main operation */
    uint16_t tail;      /* op_kind of a fused activation; OP_KIND_COUNT: none */
    uint16_t role;      /* step_role */
    double trips;
} plan_step;

typedef enum step_role { STEP_MAIN, STEP_CAST, STEP_COPY, STEP_BIAS, STEP_NORM, STEP_ROLES } step_role;

/* Kernels that are alike are costed once. */
typedef struct plan_kernel {
    kernel k;
    double count; /* executions in a step */
} plan_kernel;

typedef struct plan_memory {
    double weights, activations, workspace; /* bytes */
} plan_memory;

typedef struct kernel_plan {
    const graph *g;
    const runtime_profile *runtime;
    plan_options opt;
    plan_kernel *kernels;
    uint32_t n_kernels;
    plan_step *steps;
    uint32_t n_steps;
    double launches;      /* operations that launch something, in a step */
    double views;         /* operations that only make a view */
    double flops;         /* of a step */
    double footprint;     /* bytes that a step touches, for the question what stays in L2 from step to step */
    double unknown_share; /* of operators without a shape or of unknown kind */
    plan_memory memory;
} kernel_plan;

pg_code plan_build(kernel_plan *out, const units *us, const runtime_profile *runtime, const plan_options *opt, arena *a,
                   pg_error *e);

#endif
