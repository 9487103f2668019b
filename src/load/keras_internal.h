/* Shared by keras*.c: how a model's configuration becomes a graph.
 *
 * Failure is sticky: once something is wrong, every call does nothing and returns NO_TENSOR, and k->failed says so; the rules of layers
 * therefore check little. Shapes are inferred as operators are added, since a configuration gives the width of a layer but not that
 * of its input. Images stay channels last where the model has them so; operators then carry OPF_CHANNELS_LAST. */
#ifndef LOAD_KERAS_INTERNAL_H
#define LOAD_KERAS_INTERNAL_H

#include "base/map.h"
#include "graph/num.h"
#include "graph/shape.h"
#include "load/weights.h"
#include "wire/json_text.h"

struct keras_model;

/* A layer of the configuration. Its weights are made when it is called first and used again when it is called again. */
typedef struct keras_layer {
    const json_t *config,
        *entry; /* entry: with class_name, name, inbound_nodes, build_config around it; may be the same */
    const char *class, *name;
    dtype weights; /* how its weights are stored */
    uint32_t *made;
    uint32_t n_made, cap_made, at;
    struct keras_model *model;   /* a nested model, once it was read */
    struct keras_layer *wrapped; /* the layers inside of a wrapper or of a stack of cells, once they were read */
    uint32_t n_wrapped;
    uint32_t first_node, n_nodes, base; /* base: the number that references give to the first of them */
    str prefix;                         /* of names: of the models and wrappers that it is in */
} keras_layer;

typedef struct keras_list {
    uint32_t *t;
    uint32_t n, cap;
} keras_list;

typedef struct keras {
    graph *g;
    pg_error *e;
    arena scratch; /* gone when the model is loaded */
    shape_walk *shapes;
    bool failed;
    uint32_t region; /* where operators go: 0, the model, or the body of a loop */
    map rules, ops;  /* names of classes and of functions to their rows */
    map unknown;     /* names that were warned of */
    map stored;      /* "layer/kernel" to a place in the list of what the file holds */
    const load_weight *list;
    uint32_t n_list;
    uint32_t calls, depth, max_depth;
    json_t *written; /* configurations that stand for others, until the model is loaded; NULL: none */
} keras;

/* One call of a layer. */
typedef struct keras_call {
    keras_layer *l;
    const uint32_t *in; /* tensors that come by position */
    uint32_t n_in;
    const json_t *args, *kwargs;     /* of Keras 3's operations all arguments; of Keras 2's those by name */
    const json_t *constants;         /* of a NodeDef: the arguments that are none of the tensors, by their place */
    const struct keras_scope *scope; /* what tensors in them refer to */
    const json_t *said;              /* the shape that the configuration says of the first result, or NULL */
    keras_list out;
} keras_call;

/* ---- keras_model.c ---- */

/* What the layers of a model have produced so far in one evaluation of it. */
typedef struct keras_scope {
    const struct keras_model *model;
    keras_list *values; /* per node */
} keras_scope;

struct keras_model *keras_model_read(keras *k, const json_t *entry, str prefix);
/* Runs the model on these tensors; as the whole file's model (`in` NULL) its inputs are the graph's. */
void keras_model_run(keras *k, struct keras_model *m, const uint32_t *in, uint32_t n_in, keras_list *out);
bool keras_is_model(const char *class, const json_t *config);
/* The tensor that an argument refers to; NO_TENSOR when it is none. */
uint32_t keras_tensor(keras *k, const keras_scope *s, const json_t *argument);
/* A layer inside of another's configuration. */
void keras_layer_init(keras *k, keras_layer *l, const json_t *entry, str prefix);

/* ---- keras_layers.c ---- */

/* Calls one layer: finds its rule, or makes it an unknown operator. */
void keras_run(keras *k, keras_call *c);
/* The one result of calling a layer on a tensor. */
uint32_t keras_apply(keras *k, keras_layer *l, uint32_t x);
/* The layers inside of a wrapper: `keys` of its configuration, as many as there are. */
keras_layer *keras_wrapped(keras *k, keras_layer *l, const char *key);

/* A row of the table of layers. */
typedef struct keras_rule {
    const char *class;
    void (*run)(keras *k, keras_call *c, int variant);
    int variant;
} keras_rule;
#define KERAS_RULE(name) void name(keras *k, keras_call *c, int variant)

/* ---- keras_emit.c: building ---- */

void keras_fail(keras *k, const keras_layer *l, pg_code code, const char *fmt, ...) PRINTF_LIKE(4, 5);
bool keras_must(keras *k, bool ok); /* false: out of memory */
void keras_give(keras *k, keras_list *out, uint32_t t);
static inline uint32_t keras_in(const keras_call *c)
{
    return c->n_in ? c->in[0] : NO_TENSOR;
}

const tensor_shape *keras_shape(keras *k,
                                uint32_t t); /* never NULL; rank -1 when it isn't known; valid until the next call */
int keras_rank(keras *k, uint32_t t);
/* A dim as the graph may declare it; what holds for one size only is not known. */
num keras_declared(const keras *k, num n);
/* A dim that is a plain number; -1 when it isn't. Negative axes count from the back. */
int64_t keras_dim(keras *k, uint32_t t, int axis);

/* Numbers of a configuration. A size is from 1 to 2^31 - 1; anything else fails. */
int64_t keras_size(keras *k, const keras_layer *l, const char *key, int64_t fallback);
/* A size, or n of them: one stands for all. `fallback` 0: must be there. False: it failed. */
bool keras_sizes(keras *k, const keras_layer *l, const char *key, int n, int64_t fallback, int64_t *out);
/* The integers of a list, or a single one; how many, at most `most`; -1: none such. */
int keras_ints(const json_t *list, int most, int64_t *out);
bool keras_channels_first(const keras_layer *l);
bool keras_uses_bias(const keras_layer *l); /* as Keras 1 called it too; true where nothing is said */
dtype keras_dtype(const json_t *given, dtype fallback);

uint32_t keras_weight(keras *k, keras_layer *l, const char *name, int rank, const int64_t *dims);
/* One that is not trained. */
uint32_t keras_buffer(keras *k, keras_layer *l, const char *name, int rank, const int64_t *dims);
uint32_t keras_scalar(keras *k, double v);
/* A one-output operator named after the layer; attributes follow before anything else is called. */
uint32_t keras_op(keras *k, const keras_layer *l, op_kind kind, const uint32_t *in, uint32_t n_in);
uint32_t keras_op_outs(keras *k, const keras_layer *l, op_kind kind, const uint32_t *in, uint32_t n_in, uint32_t *out,
                       uint32_t n_out);
static inline uint32_t keras_op1(keras *k, const keras_layer *l, op_kind kind, uint32_t x)
{
    return keras_op(k, l, kind, &x, 1);
}
static inline uint32_t keras_op2(keras *k, const keras_layer *l, op_kind kind, uint32_t a, uint32_t b)
{
    return keras_op(k, l, kind, (uint32_t[]){a, b}, 2);
}
void keras_int(keras *k, attr_key key, int64_t v);
void keras_list_attr(keras *k, attr_key key, const int64_t *v, int n);
void keras_region(keras *k, attr_key key, uint32_t body);
void keras_float(keras *k, attr_key key, double v);
void keras_text(keras *k, attr_key key, const char *v); /* a literal, or in the graph's arena */
void keras_last(keras *k, bool channels_last);          /* flags the operator */
uint32_t keras_reshape(keras *k, const keras_layer *l, uint32_t x, const int64_t *dims, int rank);
/* An integer constant of these numbers as a graph declares them; rank 0 or 1. */
uint32_t keras_numbers(keras *k, const num *v, int n, int rank);
/* To dims that may be symbolic; at most one of them not known. */
uint32_t keras_reshape_to(keras *k, const keras_layer *l, uint32_t x, const num *dims, int rank);
uint32_t keras_transpose(keras *k, const keras_layer *l, uint32_t x, const int64_t *perm, int rank);
uint32_t keras_unsqueeze(keras *k, const keras_layer *l, uint32_t x, int64_t axis);
uint32_t keras_reduce(keras *k, const keras_layer *l, op_kind kind, uint32_t x, const int64_t *axes, int n, bool keep);
uint32_t keras_cast(keras *k, const keras_layer *l, uint32_t x, dtype to);
/* x times a kernel [in, out], and a bias; in: the last dim of x. */
uint32_t keras_linear(keras *k, keras_layer *l, uint32_t x, const char *kernel, int64_t in, int64_t out,
                      const char *bias);
/* An operator that is not known, with what the file holds of its weights; its result like `like`, as said, or unknown. */
void keras_unknown(keras *k, keras_call *c, uint32_t like);
/* Declares the shape that the configuration says of a tensor: a list of numbers, null where it is free. Does nothing without one. */
void keras_declare(keras *k, uint32_t t, const json_t *said);
/* A weight of the layer as the file holds it: a dim, or -1. */
int64_t keras_stored_dim(keras *k, const keras_layer *l, const char *weight, int axis);

/* ---- keras_basic.c ---- */

/* The activation of this configuration (a name, or an object) on x. */
uint32_t keras_activation(keras *k, keras_layer *l, uint32_t x, const json_t *activation);

/* ---- keras_conv.c ---- */

/* The layer's convolution of x; or that of its state, which has a kernel of its own and keeps the size. */
uint32_t keras_convolve(keras *k, keras_layer *l, uint32_t x, int dims, int64_t in, int64_t out, bool recurrent);

/* ---- rules, by file ---- */

/* keras_basic.c */
KERAS_RULE(keras_dense);
KERAS_RULE(keras_einsum_dense);
KERAS_RULE(keras_activation_layer);
KERAS_RULE(keras_parametric);
KERAS_RULE(keras_embedding);
KERAS_RULE(keras_same);
KERAS_RULE(keras_dropout);
KERAS_RULE(keras_masking);
KERAS_RULE(keras_rescale);
KERAS_RULE(keras_on_host);
/* keras_norm.c */
KERAS_RULE(keras_batch_norm);
KERAS_RULE(keras_layer_norm);
KERAS_RULE(keras_group_norm);
KERAS_RULE(keras_unit_norm);
KERAS_RULE(keras_layer_scale);
/* keras_conv.c; variant: dims */
KERAS_RULE(keras_conv);
KERAS_RULE(keras_conv_transpose);
KERAS_RULE(keras_depthwise);
KERAS_RULE(keras_separable);
KERAS_RULE(keras_max_pool);
KERAS_RULE(keras_average_pool);
KERAS_RULE(keras_global_max_pool);
KERAS_RULE(keras_global_average_pool);
KERAS_RULE(keras_adaptive_pool);
KERAS_RULE(keras_upsample);
KERAS_RULE(keras_zero_pad);
KERAS_RULE(keras_crop);
KERAS_RULE(keras_resize);
KERAS_RULE(keras_center_crop);
/* keras_recurrent.c */
KERAS_RULE(keras_recurrent);
KERAS_RULE(keras_cells);
KERAS_RULE(keras_bidirectional);
KERAS_RULE(keras_time_distributed);
KERAS_RULE(keras_wrapper);
/* keras_conv_lstm.c */
KERAS_RULE(keras_conv_lstm);
/* keras_attention.c */
KERAS_RULE(keras_multi_head);
KERAS_RULE(keras_dot_attention);
KERAS_RULE(keras_additive_attention);

typedef struct keras_heads {
    int64_t query, shared, size, value; /* how many; those of keys and values; their widths */
    bool bias, out_bias, causal, rotary;
} keras_heads;
/* Attention of `query` to `source`, with all projections; its weights are called "NAME/query/kernel" and so on. */
uint32_t keras_attend(keras *k, keras_layer *l, uint32_t query, uint32_t source, const keras_heads *h,
                      const char *name);
/* Turned by its position: heads, or whole rows. */
uint32_t keras_rotate(keras *k, keras_layer *l, uint32_t x, int64_t width);
/* keras_hub.c */
KERAS_RULE(keras_position_embedding);
KERAS_RULE(keras_token_and_position);
KERAS_RULE(keras_reversible_embedding);
KERAS_RULE(keras_rotary);
KERAS_RULE(keras_first_token);
KERAS_RULE(keras_transformer);
KERAS_RULE(keras_gated_block);
/* Whether a layer, or a file's model, is one of KerasHub's whose structure its fields tell; and that structure as a Functional model. */
bool keras_is_backbone(const char *class, const json_t *config);
const json_t *keras_backbone(keras *k, const json_t *entry);
uint32_t keras_backbone_inputs(keras *k, const keras_call *c, uint32_t *out); /* at most 2 */
/* keras_merge.c */
KERAS_RULE(keras_merge);
KERAS_RULE(keras_concatenate);
KERAS_RULE(keras_dot);
KERAS_RULE(keras_reshape_layer);
KERAS_RULE(keras_flatten);
KERAS_RULE(keras_permute);
KERAS_RULE(keras_repeat_vector);
/* keras_ops.c */
KERAS_RULE(keras_function);
/* Calls an operation of Keras 3 by its class; false: there is none of that name. */
bool keras_operation(keras *k, keras_call *c);

#endif
