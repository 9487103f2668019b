/* Shared by the tf_*.c files, which read TensorFlow's protobufs in these steps:
 *
 *   tf_format.c    which of the three files it is (GraphDef, SavedModel, MetaGraph), and its signatures
 *   tf_inputs.c    what is fed; tf_outputs.c what comes out where no signature says so
 *   tf_read.c      nodes and their attributes, as they stand in the file
 *   tf_inline.c    calls of functions, branches and bodies of loops become nodes among the others
 *   tf_frames.c    version 1 loops (Enter, Merge, Switch, NextIteration, Exit) become the loops of version 2
 *   tf_resolve.c   what a name really is: through calls, copies, conditionals whose predicate is constant
 *   tf_const.c     constants and variables
 *   tf_rewrite.c   what runtimes fuse and TensorFlow spells out: bias and dilation of convolutions; tf_norms.c normalisation
 *   tf_emit.c      from the outputs backwards, whatever is needed becomes operators of ops.def
 *   tf_table.c     which operator becomes which; those that need more than a row: tf_images.c, tf_moves.c, tf_math.c
 *   tf_loop.c      loops, tf_recurrent.c those that are recurrent layers */
#ifndef LOAD_TF_INTERNAL_H
#define LOAD_TF_INTERNAL_H

#include "base/map.h"
#include "load/load.h"
#include "wire/protobuf.h"

#define TF_NONE UINT32_MAX

enum {
    TF_PORTS = 1024,      /* outputs of a node */
    TF_WORK = 2000000,    /* nodes, inlined ones again: bounds what functions that call functions can blow up to */
    TF_VISITS = 5000000,  /* steps of all walks over parts of the graph */
    TF_FEED = UINT32_MAX, /* a port: the node's control output */
};

/* Output `port` of a node. */
typedef struct tf_ref {
    uint32_t node, port;
} tf_ref;

typedef enum tf_kind {
    TF_OP,     /* what its operator says */
    TF_CALL,   /* of a function: output i is refs[extra + i], of `out` */
    TF_ALIAS,  /* output 0 is refs[extra] */
    TF_ARG,    /* of a loop's body or condition; extra: its number, body: whose */
    TF_LOOP,   /* extra: loops[] */
    TF_BRANCH, /* extra: branches[] */
    TF_INPUT,  /* of the model; extra: inputs[] */
} tf_kind;

enum { TF_FRESH, TF_OPEN, TF_DONE };

typedef struct tf_node {
    str name, op;
    span def;                           /* NodeDef from its first attribute on */
    uint32_t first_in, n_in, n_control; /* refs[]: data, then control */
    uint32_t body, depth;               /* bodies[]; of function calls around it */
    uint32_t region, out, n_out;        /* once emitted: where, and tensors outs[out...] */
    uint32_t uses, reader;              /* references to it, and the last node that makes one */
    uint32_t extra;
    uint8_t kind, state;
    uint8_t expanded; /* calls and control flow: looked into already */
    uint8_t of_loop;  /* a Switch or Exit that became an alias */
    uint8_t weight;   /* a constant that was a variable */
    uint8_t seen;     /* by tf_count_uses */
    uint8_t carried;  /* it makes what the loop that is looked at carries on */
    const struct tf_fusion *fusion;
} tf_node;

/* What a node took in from the nodes around it. */
typedef struct tf_fusion {
    int64_t dilation[3], pads[6]; /* per spatial dim; begins, then ends */
    uint32_t rank;                /* spatial dims that `dilation` has; 0: not dilated */
    bool same;                    /* padded as "SAME" */
    bool bias;                    /* of a convolution: the last input */
} tf_fusion;

typedef struct tf_loop {
    uint32_t n;         /* values that it carries round; the node's inputs are what they start with */
    uint32_t first_ret; /* refs[] of what they are after a round */
    uint32_t first_arg; /* args[]: nodes that stand for them within */
    tf_ref cond;
    uint32_t body;
    bool settled; /* what it leaves alone was found */
} tf_loop;

typedef struct tf_branches {
    tf_ref predicate;
    uint32_t n[2], first_ret[2], body[2]; /* else, then */
} tf_branches;

/* A body that becomes a region of its own. */
typedef struct tf_body {
    uint32_t region, level; /* level: regions around it */
} tf_body;

typedef struct tf_shape {
    int rank; /* -1: not known */
    int64_t dims[MAX_RANK];
} tf_shape;

typedef struct tf_input {
    str name;
    int64_t type; /* DataType */
    tf_shape shape;
    uint32_t node;
    bool signature; /* listed even when nothing reads it */
} tf_input;

typedef enum tf_value_kind {
    TF_V_NONE,
    TF_V_LIST,
    TF_V_TEXT,
    TF_V_INT,
    TF_V_FLOAT,
    TF_V_SHAPE,
    TF_V_TENSOR,
    TF_V_FUNC
} tf_value_kind;

/* An AttrValue. */
typedef struct tf_value {
    tf_value_kind kind;
    int64_t i; /* also bool and type */
    double f;
    str s;
    span bytes; /* list, shape, tensor, function */
} tf_value;

typedef struct tf_array {
    void *v;
    uint32_t n, cap;
} tf_array;

typedef struct tf_reader {
    graph *g;
    const load_options *opt;
    pg_error *e;
    arena a; /* what isn't needed once the graph is there */
    map functions, frames, kinds, unknown, conditions, weights;
    tf_node *nodes;
    uint32_t n_nodes, cap_nodes;
    tf_ref *refs;
    uint32_t n_refs, cap_refs;
    uint32_t *outs;
    uint32_t n_outs, cap_outs;
    span *function_list;
    uint32_t n_functions, cap_functions;
    tf_loop *loops;
    uint32_t n_loops, cap_loops;
    tf_branches *branches;
    uint32_t n_branches, cap_branches;
    tf_body *bodies;
    uint32_t n_bodies, cap_bodies;
    tf_input *inputs;
    uint32_t n_inputs, cap_inputs;
    uint32_t *args;
    uint32_t n_args, cap_args;
    uint32_t *region_level;
    uint32_t n_levels, cap_levels;
    uint64_t work;
    uint32_t max_depth, depth;
    uint32_t at;                     /* node that is being emitted */
    uint32_t *marks, n_marks, stamp; /* per node: the walk that came by last */
    uint32_t visits;                 /* steps that walks over parts of the graph have taken: bounds them all together */
    bool constants_are_literals;
} tf_reader;

/* ---- tf_read.c ---- */
pg_code tf_nomem(tf_reader *r);
pg_code tf_done(tf_reader *r, bool ok); /* not: memory ran out */
/* Makes room for one more element; NULL: out of memory. */
void *tf_grow(tf_reader *r, void *array, uint32_t *cap, uint32_t need, size_t size);
#define TF_ROOM(r, array, n, cap) (((n) < (cap)) || ((array) = tf_grow((r), (array), &(cap), (n) + 1, sizeof *(array))))

typedef struct tf_scope {
    map names; /* to nodes */
    map args;  /* to the first ref of an argument; NULL a: not a function */
    uint32_t body, depth;
    bool function;
} tf_scope;
/* The nodes of a GraphDef (field 1) or a FunctionDef (field 3), which then refer to each other. */
pg_code tf_read_nodes(tf_reader *r, span proto, uint32_t field, tf_scope *scope);
/* A node's name in a graph or function: "name", "name:1", "name:output:1", "^name". */
pg_code tf_find(tf_reader *r, const tf_scope *scope, str text, tf_ref *out, const char *whose);
/* A node that no file has; n_in refs are copied. */
uint32_t tf_add_node(tf_reader *r, str name, str type, tf_kind kind, const tf_ref *in, uint32_t n_in, uint32_t body);
uint32_t tf_add_refs(tf_reader *r, const tf_ref *refs, uint32_t n); /* the first one's place */
bool tf_attr(const tf_node *n, const char *key, tf_value *out);
int64_t tf_attr_int(const tf_node *n, const char *key, int64_t fallback);
str tf_attr_text(const tf_node *n, const char *key);
/* A list of integers; returns how many there are, at most `max` of which are written. */
uint32_t tf_attr_ints(const tf_node *n, const char *key, int64_t *out, uint32_t max);
str tf_attr_function(const tf_node *n, const char *key);
/* TensorShapeProto. */
pg_code tf_read_shape(tf_reader *r, span proto, tf_shape *out);
str tf_field_text(span proto, uint32_t field);
dtype tf_dtype(int64_t type);
int64_t tf_dtype_code(dtype d); /* ONNX's number for it */

static inline tf_node *tf_at(const tf_reader *r, uint32_t i)
{
    return &r->nodes[i];
}
static inline tf_ref tf_in(const tf_reader *r, const tf_node *n, uint32_t i)
{
    return i < n->n_in ? r->refs[n->first_in + i] : (tf_ref){TF_NONE, 0};
}
static inline bool tf_is(const tf_node *n, const char *type)
{
    return str_is(n->op, type);
}

/* ---- tf_inputs.c ---- */
/* Makes the node an input of the model. `name` empty: the node's own. */
pg_code tf_add_input(tf_reader *r, uint32_t node, str name, int64_t type, const tf_shape *shape);
/* Every placeholder of the graph that is fed. */
pg_code tf_add_placeholders(tf_reader *r, uint32_t n_nodes);
/* Their tensors, with symbols for what is free. */
pg_code tf_emit_inputs(tf_reader *r, int64_t producer);
bool tf_is_default(const tf_reader *r, const tf_node *n);

/* ---- tf_outputs.c ---- */
/* What a graph without signatures computes: the values that nothing but training reads. */
pg_code tf_guess_outputs(tf_reader *r, tf_array *refs);
/* Which constants are a frozen model's weights. */
void tf_mark_weights(tf_reader *r);

/* ---- tf_inline.c ---- */
pg_code tf_add_library(tf_reader *r, span library);
/* Looks into a call or control flow that wasn't looked into yet. */
pg_code tf_expand(tf_reader *r, uint32_t node);

/* ---- tf_frames.c ---- */
pg_code tf_find_loops(tf_reader *r);

/* ---- tf_resolve.c ---- */
/* What really makes the value: never a copy, a call or a conditional. */
pg_code tf_resolve(tf_reader *r, tf_ref *ref);
/* Of a boolean that is constant: 1 or 0; else -1. */
int tf_truth(tf_reader *r, tf_ref ref, int depth);
/* Counts who reads what, from the refs on. */
pg_code tf_count_uses(tf_reader *r, const tf_ref *from, uint32_t n);

/* ---- tf_const.c ---- */
pg_code tf_emit_const(tf_reader *r, uint32_t node);
pg_code tf_emit_variable(tf_reader *r, uint32_t node);
bool tf_is_variable(const tf_node *n);
/* The shape of a weight or of simple arithmetic on weights; false when it isn't known before shapes are inferred. */
bool tf_static_shape(tf_reader *r, tf_ref ref, tf_shape *out, int depth);
/* The constant or variable behind copies and simulated quantisation; TF_NONE: something else. */
uint32_t tf_weight_of(tf_reader *r, tf_ref ref);
/* The integers of a constant; false when it isn't one. */
bool tf_const_ints(tf_reader *r, tf_ref ref, int64_t *out, uint32_t max, uint32_t *n);
bool tf_const_float(tf_reader *r, tf_ref ref, double *out);
/* The weight with its dims in another order or of another shape, as one tensor. */
uint32_t tf_weight_as(tf_reader *r, uint32_t node, int rank, const int64_t *dims, const char *how);

/* ---- tf_rewrite.c, tf_norms.c ---- */
/* Takes away the blocks around convolutions that TensorFlow makes for dilation; uses must have been counted. */
pg_code tf_find_dilations(tf_reader *r);
/* Gives a node that is about to be emitted the operator that it is the end of. */
pg_code tf_rewrite(tf_reader *r, uint32_t node);
/* The normalisation that a sum is the end of: the node becomes a "_BatchNorm" or "_LayerNorm". */
pg_code tf_rewrite_norm(tf_reader *r, uint32_t node);
/* The node of this operator (or `other`) that makes the value and that nothing else reads; NULL: something else. */
tf_node *tf_private(tf_reader *r, tf_ref ref, const char *type, const char *other);
tf_node *tf_maker(tf_reader *r, tf_ref ref, const char *type, const char *other);
pg_code tf_become(tf_reader *r, uint32_t node, const tf_node *like, str type, const tf_ref *in, uint32_t n_in);

/* ---- tf_emit.c ---- */
pg_code tf_emit(tf_reader *r, tf_ref ref);
/* Tensor of input i of the node being emitted, or of any ref that was emitted; NO_TENSOR: there is none. */
uint32_t tf_tensor(tf_reader *r, tf_ref ref);
uint32_t tf_input_tensor(tf_reader *r, uint32_t i);
/* Gives the current node's output to a tensor. */
bool tf_bind(tf_reader *r, uint32_t node, uint32_t port, uint32_t t);
/* The current node's operator: its outputs become tensors of the node's name. */
bool tf_op(tf_reader *r, op_kind kind, const uint32_t *in, uint32_t n_in, uint32_t n_out);
/* An operator in front of it; returns its only output. */
uint32_t tf_step(tf_reader *r, op_kind kind, const uint32_t *in, uint32_t n_in);
uint32_t tf_ints(tf_reader *r, const int64_t *values, uint32_t n); /* a constant list */
uint32_t tf_int(tf_reader *r, int64_t value);                      /* a constant scalar */
op *tf_last(tf_reader *r);
pg_code tf_fail(tf_reader *r, const tf_node *n, const char *fmt, ...) PRINTF_LIKE(3, 4);
pg_code tf_unknown(tf_reader *r);
/* Takes away what no output needs. */
pg_code tf_drop_unused(tf_reader *r);

/* ---- tf_table.c ---- */
typedef pg_code (*tf_fn)(tf_reader *r, tf_node *n, int arg);
pg_code tf_emit_node(tf_reader *r, uint32_t node);
/* How many of a kind's outputs have which name; see tf_read.c. */
bool tf_is_training(str type);

/* ---- tf_images.c, tf_moves.c, tf_math.c: emit functions ---- */
#define TF_FN(name) pg_code tf_##name(tf_reader *r, tf_node *n, int arg)
TF_FN(conv);
TF_FN(depthwise);
TF_FN(conv_transpose);
TF_FN(pool);
TF_FN(batch_norm);
TF_FN(bias_add);
TF_FN(resize);
TF_FN(blocks);
TF_FN(crop_and_resize);
TF_FN(strided_slice);
TF_FN(slice);
TF_FN(pack);
TF_FN(unpack);
TF_FN(concat);
TF_FN(split);
TF_FN(gather);
TF_FN(gather_nd);
TF_FN(pad);
TF_FN(expand_dims);
TF_FN(reshape);
TF_FN(squeeze);
TF_FN(transpose);
TF_FN(fill);
TF_FN(zeros_like);
TF_FN(shape_n);
TF_FN(rank);
TF_FN(where);
TF_FN(scatter);
TF_FN(reverse);
TF_FN(matmul);
TF_FN(einsum);
TF_FN(reduce);
TF_FN(arg_reduce);
TF_FN(softmax);
TF_FN(cast);
TF_FN(clip);
TF_FN(leaky_relu);
TF_FN(cumsum);
TF_FN(top_k);
TF_FN(one_hot);
TF_FN(fake_quant);
TF_FN(lrn);
TF_FN(suppress);
TF_FN(combined_suppress);
TF_FN(random);
TF_FN(list_from);
TF_FN(list_item);
TF_FN(list_none);
TF_FN(list_size);
TF_FN(block_lstm);

/* ---- tf_loop.c, tf_recurrent.c ---- */
pg_code tf_emit_loop(tf_reader *r, uint32_t node);
pg_code tf_emit_branches(tf_reader *r, uint32_t node);
/* Emits the loop as a recurrent layer if it is one. */
pg_code tf_try_recurrent(tf_reader *r, uint32_t node, bool *done);
/* Whether a value differs from round to round of the loop with this body. */
bool tf_depends(tf_reader *r, tf_ref ref, uint32_t body);
/* What argument i does from round to round. */
typedef enum tf_carried { TF_INVARIANT, TF_COUNTER, TF_WRITTEN, TF_CARRIED } tf_carried;
tf_carried tf_carries(tf_reader *r, const tf_loop *l, uint32_t i, tf_ref *written);

#endif
