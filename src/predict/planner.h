/* Shared by the files that turn units into kernels. */
#ifndef PREDICT_PLANNER_H
#define PREDICT_PLANNER_H

#include "graph/num.h"
#include "predict/plan.h"

enum { VIEW_RANK = 8, LENT = 16 };

/* A tensor at run time. */
typedef struct value {
    double elements;           /* -1: unknown */
    double stored;             /* elements that exist in memory: fewer where an expansion repeats them */
    double width;              /* bytes per element */
    double shards;             /* GPUs that its elements are divided among */
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
    uint8_t *part;        /* per unit: what of it is divided (parallel.c); NULL: nothing */
    double whole_flops, divided_flops;
    uint8_t *halved;  /* per tensor: all that reads it are products, which take it in half */
    uint8_t *ends;    /* per tensor: no product reads it or what is made of it; NULL: doesn't matter */
    uint32_t *inside; /* per tensor: uses within the cluster that is being lowered */
    cluster *clusters;
    uint32_t n_clusters;
    double clock; /* bytes touched so far in the step */
    double again; /* ... of them, passes over data that was touched just before: no part of the working set */
    uint32_t cap_kernels, cap_steps;
    uint32_t *hash; /* kernel dedupe: index + 1 */
    uint32_t hash_cap;
    struct train *train; /* what the backward pass needs to know of the forward pass; NULL: inference */
    double peak;         /* activation bytes */
    struct {
        uint32_t t;
        value v;
    } lent[LENT]; /* values that the unit being lowered reads through a copy of its own, as they were */
    uint32_t n_lent;
    double *beside; /* per unit: bytes that it needs while it runs beside values: copies of operands, workspaces */
    const unit *u;  /* the unit being lowered */
    uint32_t ui;
    uint32_t at;                         /* unit that the walk is at: the last of a cluster, whose anchor `ui` may be */
    bool once;                           /* what is emitted now runs once a step, also within a loop */
    bool failed;                         /* out of memory */
    uint32_t unknown;                    /* units that could not be costed */
    uint32_t products, unknown_products; /* matrix products, convolutions and the like, and which of them could not */
} planner;

/* ---- plan.c ---- */
/* Fills `ends`. What no product of an engine reads any more, as a detector's boxes and scores, is no longer in 8 bits. */
bool narrow_ends(planner *p);
double plan_width(const planner *p, uint32_t t); /* bytes per element that a float tensor has by default */
const tensor_shape *plan_shape(const planner *p, uint32_t t);
/* Channels of an image, wherever the unit that is being lowered has them; 1 when they aren't known. */
double plan_channels(const planner *p, uint32_t t);
/* Adds what reading `t` costs to the kernel: weights apart, recently written values as hot. */
void plan_read(planner *p, kernel *k, uint32_t t);
void plan_read_bytes(planner *p, kernel *k, double bytes, double born);
/* Declares that the kernel writes `t`, contiguous, `width` bytes an element. */
void plan_write(planner *p, kernel *k, uint32_t t, double width);
void plan_emit(planner *p, kernel *k, step_role role, op_kind tail);
/* Emits a kernel once more, for the unit that `like` was emitted for. */
void plan_again(planner *p, kernel *k, const plan_step *like, step_role role);
/* Elementwise-like kernel over n elements. */
kernel plan_kernel_rows(const planner *p, kernel_kind kind, double rows, double cols, double flops);
/* The runtime width of a value after the unit casts it for its arithmetic; emits the cast kernel where the runtime needs one. */
void plan_cast(planner *p, uint32_t t, double width);
/* Makes t contiguous (or channels-last) with a copy kernel when it is strided. */
void plan_contiguous(planner *p, uint32_t t);
/* Training: the copy or cast of t that the unit made is made back in the backward pass. */
void plan_mirror(planner *p, uint32_t t, double bytes);
void plan_relayout(planner *p, uint32_t t);
bool plan_is_float(const planner *p, uint32_t t);
/* Positions that an exporter wrote out for a framework's slices and assignments: no framework computes or keeps them. */
bool plan_is_index(const planner *p, uint32_t t);
/* Values that meet, as at the end of a residual branch; in training those that want a gradient. */
bool plan_is_join(const planner *p, const unit *u);

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
void view_select(planner *p, uint32_t in, uint32_t out, int64_t axis); /* one element of an axis, which goes */
void view_slice(planner *p, uint32_t in, uint32_t out);
void view_expand(planner *p, uint32_t in, uint32_t out);
/* True when the reshape is a view; else the caller copies. */
bool view_reshape(planner *p, uint32_t in, uint32_t out);
/* Images whose channels lie next to each other, and whether nothing lies between the pixels. */
bool view_is_channels_last(const planner *p, uint32_t t);
bool view_is_packed_last(const planner *p, uint32_t t);
void view_set_channels_last(planner *p, uint32_t out);
/* True when the leading dims of a matrix operand can be walked as one (no copy for a batched product). */
bool view_batchable(const planner *p, uint32_t t);

/* ---- parallel.c ---- */
/* Which units and values are divided among GPUs. */
pg_code parallel_units(planner *p, pg_error *e);
void parallel_kernel(planner *p, kernel *k);
void parallel_after(planner *p, uint32_t i);
void parallel_backward(planner *p);
void lower_collective(planner *p);
pg_code parallel_cuts(planner *p, pg_error *e);

/* Bytes of a value in this GPU's memory. */
static inline double value_bytes(const value *v)
{
    return v->stored * v->width / v->shards;
}

static inline bool plan_multiple(double x, double of)
{
    double parts = x / of;
    return !(parts < 1e15) || (double)(int64_t)parts == parts;
}

/* ---- train.c: a training step around the forward pass ---- */
/* What the forward pass leaves behind for the backward pass, per unit. */
typedef struct unit_trace {
    uint32_t first; /* plan.n_steps when it began */
    uint32_t step;  /* its main kernel: index into plan.steps + 1; 0: none */
    double mirror;  /* bytes that it moved in copies and casts of activations, which the backward pass moves back */
    double kept; /* bytes beside values that the backward pass needs: copies of operands, what a normalisation read */
    uint32_t copied;  /* KEEPS_...: operands of which it needs the copy and not the original */
    uint32_t mirrors; /* kernels */
} unit_trace;

typedef struct train {
    unit_trace *trace; /* per unit */
    double *born;      /* per tensor: planner.clock when its gradient was last written */
    uint16_t *parts;   /* per tensor: gradients that reached it so far */
    uint8_t *needs;    /* per tensor: a gradient is wanted */
    uint8_t *ends;     /* per tensor: the loss reads it */
    uint8_t *idle;     /* per unit: nothing of it reaches the loss */
    double
        *touched; /* per tensor: elements of a table that have a gradient, where only rows that were read do; 0: all */
    uint32_t *keeper; /* per tensor: the first unit that keeps it for the backward pass, + 1 */
    bool backward;    /* the walk back has begun */
    bool silent;      /* the next kernel is launched by the same call as the last */
} train;

bool train_begin(planner *p);
rows_shape train_channels(const planner *p, uint32_t t);
void train_statistics(planner *p, uint32_t t, bool apply); /* batch normalisation's forward pass over t */
/* Peak of activations of a plan without a backward pass, into p->peak. */
pg_code memory_peak(planner *p, pg_error *e);
/* Bytes of weights, with the half copies that autocast makes, into the plan. */
void memory_weights(planner *p);
pg_code train_finish(planner *p, pg_error *e); /* loss, backward pass, optimizer, memory */
/* attention_plain.c: the forward kernels of the unit's attention, unfused, and the backward ones given its last product. */
void attention_plain(planner *p, const attention_shape *s, precision math, double width);
void attention_plain_backward(planner *p, const kernel *second);
/* The optimizer's kernels over all parameters. */
/* `elements` have a gradient, `state` numbers the optimizer remembers something of (SGD: momentum of dense ones). */
void optimizer_lower(planner *p, double elements, double state, double parameters);
/* backward.c: the kernels that compute the gradients of p->u's inputs, given that of its output. */
void backward_unit(planner *p);
/* Which inputs and outputs of a unit its backward pass reads: bit i for input i, KEEPS_OUTPUT for the output. */
enum { KEPT_INPUTS = 16, KEEPS_OUTPUT = 1 << KEPT_INPUTS };
uint32_t backward_keeps(const planner *p, const unit *u);

/* ---- cluster.c ---- */
void cluster_units(planner *p);
/* Fills p->halved. */
void cluster_halves(planner *p);
bool unit_is_pointwise(const unit *u);

/* ---- lower_math.c, lower_conv.c, lower_attention.c, lower_serving.c, lower_data.c ---- */
void lower_gemm(planner *p);
void lower_conv(planner *p);
/* Whether a compiler that may choose keeps the images of this model channels last. */
bool convs_want_channels_last(planner *p);
void lower_attention(planner *p);
void lower_recurrent(planner *p);
void lower_experts(planner *p);
void lower_state(planner *p);
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
