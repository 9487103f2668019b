/* From a graph and its shapes to the operations that a framework would call: control flow laid out, shape arithmetic and dead
 * code dropped, and what exporters took apart (layer normalisation, GELU, attention, ...) put together again.
 *
 * A unit is one framework call. What a runtime fuses on top of that is the planner's business (predict/). */
#ifndef GRAPH_UNIT_H
#define GRAPH_UNIT_H

#include "graph/shape.h"

enum unit_flags {
    UNIT_BIAS = 1,           /* a linear layer or convolution that adds a bias */
    UNIT_BN_FOLDED = 2,      /* the file has the batch normalisation behind this convolution folded into its weights */
    UNIT_BIAS_FOLDED = 256,  /* beside it: the convolution had a bias of its own */
    UNIT_SMOOTH = 512,       /* a resize that blends several pixels, where the operator's attributes don't say so */
    UNIT_CONSTANT = 4,       /* depends on weights and constants only: an optimising runtime computes it once */
    UNIT_CAUSAL = 8,         /* attention under a causal mask */
    UNIT_K_TRANSPOSED = 16,  /* attention: input 1 is K^T [.., head dim, kv length] */
    UNIT_SCALES = 64,        /* softmax of attention: multiplies its scores by a scalar first, in a kernel of its own */
    UNIT_V_TRANSPOSED = 128, /* attention: input 2 is V^T, the result [.., head dim, length] */
    UNIT_RECOMPOSED = 32     /* made of several operators of the file */
};

typedef enum work_class {
    WORK_FREE,
    WORK_VIEW,
    WORK_ELEMENTWISE,
    WORK_CAST,
    WORK_GEMM,
    WORK_EINSUM,
    WORK_CONV,
    WORK_ATTENTION,
    WORK_NORM,
    WORK_BATCHNORM,
    WORK_SOFTMAX,
    WORK_POOL,
    WORK_REDUCE,
    WORK_SCAN_OP,
    WORK_SORT,
    WORK_TRANSPOSE,
    WORK_EXPAND,
    WORK_SLICE,
    WORK_COPY,
    WORK_GATHER,
    WORK_SCATTER,
    WORK_RESIZE,
    WORK_FILL,
    WORK_RECURRENT,
    WORK_QUANTIZE,
    WORK_COMM,
    WORK_EXPERTS,
    WORK_STATE,
    WORK_CONTROL,
    WORK_OTHER,
    WORK_CLASS_COUNT
} work_class;

work_class op_work_class(op_kind k);
double op_flops_per_element(op_kind k);

typedef struct unit {
    uint16_t kind; /* op_kind, after recomposition */
    uint16_t flags;
    uint32_t op;       /* the operator that gives name and attributes */
    uint32_t first_in; /* units.operands: inputs, then outputs */
    uint16_t n_in, n_out;
    uint32_t n_ops; /* operators of the file in it */
    double trips;   /* executions in a step */
} unit;

static inline work_class unit_work(const unit *u)
{
    return op_work_class((op_kind)u->kind);
}

typedef struct units {
    const graph *g;
    const shapes *s;
    unit *u;
    uint32_t n;
    uint32_t *operands;
    uint32_t n_operands;
    uint32_t *uses;    /* per tensor: units that read it, one more for a model output */
    uint8_t *constant; /* per tensor: depends on weights only */
} units;

typedef struct unit_options {
    /* Attention whose scale stands behind the product of Q and K is spelled out by the model's author; in front of it, or on both
     * sides, it comes from a fused call (scaled_dot_product_attention) or from code that uses one where it can; not so where scores
     * are taken apart by windows for a mask, which no fused call does: there all attention with a bias is spelled out. True: recompose
     * all, as optimising runtimes do; false: only the latter, as an eager framework runs it. */
    bool fuse_explicit_attention;
    /* No fused attention at all: frameworks before they had it. A fused call's scale, which exporters put on Q and K, stands behind
     * the product then, as models spelled it out. */
    bool spell_out_attention;
    /* A slice that keeps everything is nothing, as for compilers and engines: others call it, or copy, or have a gradient for it. */
    bool drop_slices;
    /* A Transpose behind another is one, and one that moves dims of one element alone is none: optimisers of graphs see to it before
     * each operator is a kernel. Where they are views there is nothing to save. */
    bool join_turns;
} unit_options;

pg_code units_build(units *out, const graph *g, const shapes *s, const unit_options *opt, arena *a, pg_error *e);

static inline const uint32_t *unit_in(const units *us, const unit *u)
{
    return us->operands + u->first_in;
}
static inline const uint32_t *unit_out(const units *us, const unit *u)
{
    return us->operands + u->first_in + u->n_in;
}

#endif
