/* What the shape and fold functions share. A shape function reads the shapes of an operator's inputs and sets those
 * of its outputs; what it leaves alone stays unknown. See docs/adding-an-op.md. */
#ifndef GRAPH_SHAPE_INTERNAL_H
#define GRAPH_SHAPE_INTERNAL_H

#include "graph/num.h"
#include "graph/shape.h"

enum { MAX_NESTING = 64, MAX_UNROLL = 64 };

typedef struct infer {
    const graph *g;
    shapes *s;
    tensor_shape *t; /* s->t */
    arena *a;        /* s->a */
    pg_error error;
    uint8_t *need;         /* per tensor: its value may feed a shape */
    uint8_t *input_symbol; /* per symbol: some input of the model has it */
    unsigned depth;        /* of control flow */
    int64_t budget;        /* operators that may still be visited: bounds unrolled loops */
    int64_t default_trips;
    num trips;    /* of the region that is being walked */
    bool detects; /* a detector: how many boxes it finds is decided by data */
    bool rebatch; /* the binding differs from the batch that the file has fixed */
    int32_t batch_symbol;
    int64_t old_batch, new_batch;
} infer;

typedef pg_code (*shape_fn)(infer *x, const op *o);

#define OP(name, min_in, max_in, max_out, shape, work, flops) pg_code shape_##shape(infer *x, const op *o);
#include "graph/ops.def"
#undef OP

/* ---- inputs and outputs: NULL when not given ---- */

static inline const tensor_shape *in_at(const infer *x, const op *o, uint32_t i)
{
    if (i >= o->n_in) return NULL;
    uint32_t t = x->g->operands[o->first_in + i];
    return t >= x->g->n_tensors || x->g->tensors[t].role == ROLE_ABSENT ? NULL : &x->t[t];
}
static inline tensor_shape *out_at(const infer *x, const op *o, uint32_t i)
{
    if (i >= o->n_out) return NULL;
    uint32_t t = x->g->operands[o->first_in + o->n_in + i];
    return t >= x->g->n_tensors || x->g->tensors[t].role == ROLE_ABSENT ? NULL : &x->t[t];
}
static inline bool has_rank(const tensor_shape *t)
{
    return t && t->rank >= 0;
}
static inline dtype dtype_of(const tensor_shape *t)
{
    return t ? (dtype)t->dtype : DT_UNKNOWN;
}
static inline bool is_float(const tensor_shape *t)
{
    return t && dtype_get((dtype)t->dtype)->floating;
}
/* Input i if its rank is known, else NULL. */
static inline const tensor_shape *ranked(const infer *x, const op *o, uint32_t i)
{
    const tensor_shape *t = in_at(x, o, i);
    return has_rank(t) ? t : NULL;
}

/* Sets output i; copies dims. Does nothing for an output that isn't used. */
pg_code out_dims(infer *x, const op *o, uint32_t i, dtype d, int rank, const num *dims);
pg_code out_dtype(infer *x, const op *o, uint32_t i, dtype d);
/* The shape of another tensor, shared. NULL: unknown. */
pg_code out_like(infer *x, const op *o, uint32_t i, dtype d, const tensor_shape *like);

/* ---- attributes and values ---- */

/* A list of integers that an operator takes as an input or as an attribute. */
typedef struct int_list {
    bool given, known; /* known: n and the elements, which may be unknown one by one */
    uint32_t n;
    const num *nums;
    const int64_t *ints;
} int_list;

/* From input `input` if that is given (-1: there is none), else from the attribute. */
int_list list_get(const infer *x, const op *o, int input, attr_key key);
static inline num list_at(const int_list *l, uint32_t i)
{
    return l->nums ? l->nums[i] : num_int(l->ints[i]);
}
/* The single integer in an input or attribute. */
num scalar_get(const infer *x, const op *o, int input, attr_key key, num fallback);
/* Puts a negative axis right; false when it is outside of rank. */
bool axis_fix(int64_t *axis, int rank);
/* The axes of a list as a bit mask. */
typedef enum axes_result { AXES_OK, AXES_UNKNOWN, AXES_INVALID } axes_result;
axes_result axes_mask(const int_list *l, int rank, uint64_t *mask);

/* ---- errors and notes ---- */

pg_code shape_fail(infer *x, const op *o, const char *fmt, ...) PRINTF_LIKE(3, 4);
pg_code bad_axis(infer *x, const op *o, int64_t axis, int rank);
pg_code shape_nomem(infer *x);
pg_code shape_note(infer *x, const char *fmt, ...) PRINTF_LIKE(2, 3);

typedef struct shape_text {
    char s[120];
} shape_text;
/* "[1, 3, 224, 224]" for messages: SHAPE_S(x, t) is valid until the end of the full expression. */
shape_text dims_text(const infer *x, int rank, const num *dims);
#define DIMS_S(x, rank, dims) (dims_text((x), (rank), (dims)).s)
#define SHAPE_S(x, t) (dims_text((x), (t)->rank, (t)->dims).s)

/* ---- dims ---- */

bool dims_known(const tensor_shape *t);
/* Elements, when known and at most `most`; else -1. */
int64_t count_upto(const tensor_shape *t, int64_t most);
/* The dim that a and b broadcast to; false when they contradict each other. */
bool dim_broadcast(infer *x, num a, num b, num *out);
/* What is known when both must be the same; false when they contradict each other. */
bool dim_same(infer *x, num a, num b, num *out);
/* Broadcasts b into the `rank` dims of a, which has room for MAX_RANK. */
bool dims_broadcast(infer *x, int *rank, num *a, const tensor_shape *b);
pg_code broadcast_inputs(infer *x, const op *o, uint32_t first, uint32_t last, dtype d);

/* ---- re-batching: a file that fixes its batch, run with another one ---- */

static inline bool carries_batch(const infer *x, num n)
{
    return x->rebatch && n.sym == x->batch_symbol && n.k != 0;
}
/* The value that n had with the file's own batch. */
int64_t at_old_batch(const infer *x, num n);
/* A constant of the file that holds old_batch as a factor, in terms of the batch; unknown when it isn't one. */
num rebatched(const infer *x, int64_t plain);
/* Whether a plain number stands for the batch-carrying n. */
static inline bool stands_for(const infer *x, num plain, num n)
{
    return carries_batch(x, n) && num_plain(plain) && at_old_batch(x, n) == plain.v.i;
}

/* ---- walking ---- */

pg_code infer_region(infer *x, uint32_t region);
pg_code infer_op(infer *x, uint32_t index);
pg_code infer_start_tensor(infer *x, uint32_t i);
pg_code infer_use_declared(infer *x, uint32_t index);
/* Replaces what the graph says of a tensor (body inputs of control flow). */
static inline void shape_reset(tensor_shape *t)
{
    *t = (tensor_shape){.rank = -1};
}
/* Merges b into a: what differs becomes unknown. Returns whether a lost anything. */
typedef enum merge_result { MERGE_SAME, MERGE_CHANGED, MERGE_NOMEM } merge_result;
merge_result shape_merge(infer *x, tensor_shape *a, const tensor_shape *b);

/* ---- folding ---- */

typedef void (*fold_fn)(infer *x, const op *o);

/* Marks the tensors whose values can reach a shape. */
void mark_needed(infer *x, uint32_t region, unsigned depth);
/* Marks what is computed from sizes and constants alone, such as 1 / sqrt(head size), which exporters write down so: it is known before
 * the model runs, and is no work for a GPU. To be called before mark_needed. */
void mark_sizes(infer *x);
/* Computes the values of an operator's outputs where they are needed and can be known. */
void fold_op(infer *x, const op *o);
/* Room for the value of output i, whose dims are known and small enough; NULL when not, or out of memory. */
num *fold_room(infer *x, const op *o, uint32_t i, uint32_t *count);
void fold_set(infer *x, const op *o, uint32_t i, num *value, uint32_t count);
/* Row-major strides of t's dims seen from an output of rank `rank` to which it broadcasts; 0 where a dim is
 * repeated. */
void fold_strides(const tensor_shape *t, int rank, int64_t *strides);

void fold_unary(infer *x, const op *o);
void fold_binary(infer *x, const op *o);
void fold_variadic(infer *x, const op *o);
void fold_where(infer *x, const op *o);
void fold_clip(infer *x, const op *o);
void fold_cast(infer *x, const op *o);
void fold_reduce(infer *x, const op *o);
void fold_cumsum(infer *x, const op *o);
void fold_view(infer *x, const op *o);
void fold_transpose(infer *x, const op *o);
void fold_expand(infer *x, const op *o);
void fold_tile(infer *x, const op *o);
void fold_concat(infer *x, const op *o);
void fold_pad(infer *x, const op *o);
void fold_trilu(infer *x, const op *o);
void fold_slice(infer *x, const op *o);
void fold_split(infer *x, const op *o);
void fold_gather(infer *x, const op *o);
void fold_gather_nd(infer *x, const op *o);
void fold_gather_elements(infer *x, const op *o);
void fold_scatter_elements(infer *x, const op *o);
void fold_scatter_nd(infer *x, const op *o);
void fold_range(infer *x, const op *o);
void fold_fill(infer *x, const op *o);
void fold_eye(infer *x, const op *o);
void fold_one_hot(infer *x, const op *o);
void fold_non_zero(infer *x, const op *o);
/* Used by fold_reduce and elementwise folding. */
num fold_apply2(op_kind kind, dtype d, num a, num b);

#endif
