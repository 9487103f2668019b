/* Shared by the files that turn units into kernels. */
#ifndef PREDICT_PLANNER_H
#define PREDICT_PLANNER_H

#include "graph/num.h"
#include "predict/plan.h"

enum { VIEW_RANK = 8 };

/* A tensor at run time. */
typedef struct value {
    double elements;           /* -1: unknown */
    double stored;             /* elements that exist in memory: fewer where an expansion repeats them */
    double width;              /* bytes per element */
    double born;               /* planner.clock when it was written; negative: before the step */
    int64_t stride[VIEW_RANK]; /* elements; meaningful when `strided` */
    uint32_t base;             /* the tensor whose memory it is */
    uint32_t last_use;         /* unit index + 1 of the last reader of this memory; kept at the base */
    bool strided;              /* not contiguous: stride says how */
    bool channels_last;        /* contiguous in channels-last order */
    bool virtual;              /* lives inside a fused kernel */
    bool cast;                 /* weights: the half copy of this step has been made */
} value;

typedef struct cluster {
    uint32_t first, last; /* unit indices */
    uint32_t anchor;      /* unit that decides the kernel; UINT32_MAX: pointwise only */
    double elements;      /* of its iteration space */
    bool consumed_outside;
    bool has_norm;
} cluster;

typedef struct planner {
    const units *us;
    const graph *g;
    const shapes *s;
    const runtime_profile *rt;
    plan_options opt;
    arena *a;
    kernel_plan *out;
    value *v;             /* per tensor */
    uint32_t *maker;      /* per tensor: unit + 1 */
    uint32_t *cluster_of; /* per unit: cluster + 1; 0: on its own */
    uint32_t *inside;     /* per tensor: uses within the cluster that is being lowered */
    cluster *clusters;
    uint32_t n_clusters;
    double clock; /* bytes touched so far in the step */
    uint32_t cap_kernels, cap_steps;
    uint32_t *hash; /* kernel dedupe: index + 1 */
    uint32_t hash_cap;
    double peak;   /* activation bytes */
    const unit *u; /* the unit being lowered */
    uint32_t ui;
    bool once;        /* what is emitted now runs once a step, also within a loop */
    bool failed;      /* out of memory */
    uint32_t unknown; /* units that could not be costed */
} planner;

/* ---- plan.c ---- */
double plan_width(const planner *p, uint32_t t); /* bytes per element that a float tensor has by default */
const tensor_shape *plan_shape(const planner *p, uint32_t t);
/* Adds what reading `t` costs to the kernel: weights apart, recently written values as hot. */
void plan_read(planner *p, kernel *k, uint32_t t);
void plan_read_bytes(planner *p, kernel *k, double bytes, double born);
/* Declares that the kernel writes `t`, contiguous, `width` bytes an element. */
void plan_write(planner *p, kernel *k, uint32_t t, double width);
void plan_emit(planner *p, kernel *k, step_role role, op_kind tail);
/* Elementwise-like kernel over n elements. */
kernel plan_kernel_rows(const planner *p, kernel_kind kind, double rows, double cols, double flops);
/* The runtime width of a value after the unit casts it for its arithmetic; emits the cast kernel where the runtime needs one. */
void plan_cast(planner *p, uint32_t t, double width);
/* Makes t contiguous (or channels-last) with a copy kernel when it is strided. */
void plan_contiguous(planner *p, uint32_t t);
bool plan_is_float(const planner *p, uint32_t t);

/* Operand i of the unit being lowered; NO_TENSOR: not given. */
static inline uint32_t plan_in(const planner *p, uint32_t i)
{
    return i < p->u->n_in ? unit_in(p->us, p->u)[i] : NO_TENSOR;
}
static inline uint32_t plan_out(const planner *p, uint32_t i)
{
    return i < p->u->n_out ? unit_out(p->us, p->u)[i] : NO_TENSOR;
}

/* ---- stride.c: views ---- */
/* A stride times a dim; what a file claims beyond 64 bits stays the largest number. */
static inline int64_t stride_mul(int64_t a, int64_t b)
{
    int64_t product;
    return int_mul(a, b, &product) ? product : INT64_MAX;
}
void stride_contiguous(const tensor_shape *ts, int64_t *stride);
void stride_of(const planner *p, uint32_t t, int64_t *stride);
/* out becomes a view of in. */
void view_same(planner *p, uint32_t in, uint32_t out);
void view_transpose(planner *p, uint32_t in, uint32_t out);
void view_slice(planner *p, uint32_t in, uint32_t out);
void view_expand(planner *p, uint32_t in, uint32_t out);
/* True when the reshape is a view; else the caller copies. */
bool view_reshape(planner *p, uint32_t in, uint32_t out);
/* True when the leading dims of a matrix operand can be walked as one (no copy for a batched product). */
bool view_batchable(const planner *p, uint32_t t);

/* ---- cluster.c ---- */
void cluster_units(planner *p);
bool unit_is_pointwise(const unit *u);

/* ---- lower_math.c, lower_data.c ---- */
void lower_gemm(planner *p);
void lower_conv(planner *p);
void lower_attention(planner *p);
void lower_recurrent(planner *p);
void lower_einsum(planner *p);
void lower_pointwise(planner *p);
void lower_norm(planner *p);
void lower_softmax(planner *p);
void lower_rows(planner *p, kernel_kind kind);
void lower_view(planner *p);
void lower_copy(planner *p);
void lower_gather(planner *p);
void lower_cluster(planner *p, uint32_t c);
/* The result of an anchor (a convolution, a matrix product): with the cluster that is fused to it where there is one. Emits. */
void plan_result(planner *p, kernel *k, uint32_t out, double width);

#endif
