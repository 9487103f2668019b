/* Shared by tflite.c (the model), tflite_tensor.c (tensors and their layouts), tflite_node.c (operators), tflite_about.c (what the file says of itself) and the files that
 * translate operators by topic.
 *
 * Layouts: the format's images are channels last, ops.def's channels first. A tensor can exist in several forms in the graph: as
 * the file has it, channels first, or (weights) in the order that an operator wants. An operator asks for the form that it wants;
 * where only another one is there, a Transpose is put in between, once. Operators that don't care take what is there, so that
 * a convolutional network is channels first from its first to its last image, as the same network is in ONNX. */
#ifndef LOAD_TFLITE_INTERNAL_H
#define LOAD_TFLITE_INTERNAL_H

#include "base/map.h"
#include "load/load.h"
#include "wire/flatbuffer.h"

enum { TFLITE_RANK = 8 };

typedef enum tflite_form {
    FORM_FILE,
    FORM_FIRST,   /* [batch, channels, spatial...]; of a convolution's weights [out, height, width, in]: ONNX's order */
    FORM_SWAPPED, /* the last two groups swapped: [1, h, w, c] is [c, 1, h, w], [out, h, w, in] is [in, out, h, w] */
    FORM_TURNED,  /* a matrix transposed */
    FORM_KERNEL_3D, /* [depth, height, width, in, out] as [out, in, depth, height, width] */
    FORMS
} tflite_form;

/* A tensor of a subgraph that is being read. */
typedef struct tflite_value {
    uint32_t form[FORMS]; /* graph tensor + 1; 0: not in this form */
    uint32_t stored;      /* it is another tensor, a constant, stored in a narrower type: that tensor + 1 */
    uint32_t padded;      /* it is another tensor with zeros around it, not made yet: that tensor + 1 */
    int32_t pads[4];      /* top, left, bottom, right */
    int32_t block[2];     /* ... and the convolution that takes them reads every so many pixels; 0: each */
    bool passes;          /* it is what its operator reads */
} tflite_value;

/* One reading of a subgraph: a body that is called twice is read twice. */
typedef struct tflite_scope {
    flatbuffer_vector tensors, operators;
    uint32_t n; /* tensors */
    tflite_value *v;
    uint32_t index, region;
    const struct tflite_scope *caller;
} tflite_scope;

/* What the file says of a tensor. */
typedef struct tflite_info {
    str name;
    dtype type;
    int rank; /* -1: not given */
    int64_t dims[TFLITE_RANK];
    bool open[TFLITE_RANK]; /* free: dims has what the converter wrote for it */
    bool constant, variable, sparse;
    uint32_t buffer;
    span data;       /* of a constant; ptr NULL with stored > 0: elsewhere */
    uint64_t stored; /* bytes */
    uint32_t scales; /* quantisation: how many; 0: none */
    flatbuffer_table t;
} tflite_info;

typedef struct tflite_reader {
    graph *g;
    const load_options *opt;
    pg_error *e;
    flatbuffer wire;
    flatbuffer_vector codes, graphs, buffers;
    uint64_t budget;  /* what may still be visited: shared and overlapping parts make a small file a large tree */
    uint8_t *counted; /* per buffer: a weight of the graph holds it */
    uint32_t depth, max_depth;
    bool has_images;                /* convolutions: inputs that look like images are */
    uint32_t scale, zero[DT_COUNT]; /* literals that many operators share, + 1 */
    map unknown;                    /* names of operators, for one warning each */
} tflite_reader;

typedef struct tflite_node tflite_node;
typedef pg_code (*tflite_translator)(tflite_reader *r, tflite_node *n);

struct tflite_node {
    tflite_scope *s;
    uint32_t index; /* in its subgraph */
    int number;     /* BuiltinOperator; -1: not a number that we know */
    op_kind kind;
    str name; /* of the operator */
    flatbuffer_table options, options2, t;
    flatbuffer_vector in, out;
    bool labelled; /* an op of the graph bears its name already */
};

/* ---- tflite.c ---- */
/* Counts n things that were visited; false: too many, *e says so. */
bool tflite_charge(tflite_reader *r, uint64_t n);
pg_code tflite_status(const tflite_reader *r); /* the first error, also of memory */
/* Reads a subgraph's operators into s->region. Its inputs have been bound. */
pg_code tflite_read_scope(tflite_reader *r, tflite_scope *s);
pg_code tflite_open_scope(tflite_reader *r, tflite_scope *s, int64_t index, uint32_t into, const tflite_scope *caller);
/* The subgraph's tensors of its field "inputs" or "outputs". */
flatbuffer_vector tflite_ends(const tflite_reader *r, const tflite_scope *s, bool outputs);

/* ---- tflite_about.c ---- */
/* The metadata, as remarks of the graph. */
pg_code tflite_read_about(tflite_reader *r, const flatbuffer_table *model);

/* ---- tflite_tensor.c ---- */
bool tflite_describe(tflite_reader *r, const tflite_scope *s, int32_t which, tflite_info *out);
/* The graph's tensor, made where it is not there in this form. NO_TENSOR with tensor -1 (not given), or on an error. */
uint32_t tflite_get(tflite_reader *r, tflite_scope *s, int32_t which, tflite_form form);
/* The same for an operand that is broadcast to `rank` dims in form `form`. */
uint32_t tflite_get_broadcast(tflite_reader *r, tflite_scope *s, int32_t which, tflite_form form, int rank);
/* A new graph tensor for what an operator makes. */
uint32_t tflite_define(tflite_reader *r, tflite_scope *s, int32_t which, tflite_form form);
/* Memory that custom operators list among their inputs: nothing makes it. */
bool tflite_is_scratch(tflite_reader *r, const tflite_scope *s, int32_t which);
bool tflite_alias(tflite_reader *r, tflite_scope *s, int32_t which, tflite_form form, uint32_t graph_tensor);
/* Whether nothing of the graph holds the constant's bytes yet; from now on something does. A weight in a second order, or of a
 * subgraph that is called twice, is one still. */
bool tflite_first_use(tflite_reader *r, const tflite_info *info);
/* A constant's integers; false: not a constant of at most `most`. */
bool tflite_ints(tflite_reader *r, const tflite_scope *s, int32_t which, int64_t *out, uint32_t most, uint32_t *n);
/* An axis of the file's order in that of `form`; negative ones count from the back. -1: outside. */
int tflite_axis(tflite_form form, int rank, int64_t axis);
bool tflite_declare(tflite_reader *r, uint32_t graph_tensor, const tflite_info *info);
uint32_t tflite_relabel(tflite_reader *r, uint32_t into, uint32_t from, int rank, tflite_form to, bool free);
int tflite_dtype_code(dtype d); /* ONNX's number of it, which Cast takes */

/* ---- tflite_node.c ---- */
pg_code tflite_read_node(tflite_reader *r, tflite_scope *s, uint32_t index);
/* An operator's number in the schema; -1: the file lists no such kind. */
int tflite_number(tflite_reader *r, const flatbuffer_table *o);
bool tflite_is_pointwise(int number); /* element by element, of one or two inputs */
/* Operand i; -1: not given. */
int32_t tflite_in(const tflite_node *n, uint32_t i);
int32_t tflite_out(const tflite_node *n, uint32_t i);
bool tflite_in_info(tflite_reader *r, const tflite_node *n, uint32_t i, tflite_info *out);
bool tflite_out_info(tflite_reader *r, const tflite_node *n, uint32_t i, tflite_info *out);
/* Adds an operator. out NO_TENSOR: a value of its own, which is returned. */
uint32_t tflite_emit(tflite_reader *r, tflite_node *n, op_kind kind, const uint32_t *in, uint32_t n_in, uint32_t out);
uint32_t tflite_emit_many(tflite_reader *r, tflite_node *n, op_kind kind, const uint32_t *in, uint32_t n_in,
                          const uint32_t *out, uint32_t n_out);
/* A tensor between two operators that one of the file's becomes. */
uint32_t tflite_temporary(tflite_reader *r, const tflite_node *n);
uint32_t tflite_list(tflite_reader *r, const int64_t *v, uint32_t n); /* a constant list */
/* The form in which an operator takes these inputs that doesn't care: channels first if one of them is. */
tflite_form tflite_common_form(tflite_reader *r, const tflite_node *n, uint32_t from, uint32_t to, int *rank);
/* Where a result goes that `activation` (ActivationFunctionType) may follow, and the end of it. */
uint32_t tflite_result(tflite_reader *r, const tflite_node *n, tflite_form form, int64_t activation);
pg_code tflite_activate(tflite_reader *r, tflite_node *n, uint32_t made, tflite_form form, int64_t activation);
pg_code tflite_bad(tflite_reader *r, const tflite_node *n, const char *what);
/* An input is not there: for the reason that is known already, else a damaged file. */
pg_code tflite_lacks_input(tflite_reader *r, const tflite_node *n);
/* Integers with a scale: arithmetic in integers. */
bool tflite_quantised(const tflite_info *info);
uint32_t tflite_scale(tflite_reader *r, const tflite_info *info);
uint32_t tflite_zero(tflite_reader *r, dtype d);

/* Whether a batch normalisation was folded into an operator, and whether it had a bias of its own: converters join the names of what
 * they fuse. Frameworks that run models as they are written run it, too, so it is an operator again, as it is in the file that was
 * converted; compilers and engines fold it. */
bool tflite_was_normalised(const tflite_info *result, bool *biased);
uint32_t tflite_normalise(tflite_reader *r, tflite_node *n, uint32_t x, uint32_t shift, int64_t channels,
                          tflite_form form, int64_t activation);

/* Translators of custom operators, then those of the table. */
pg_code tflite_transpose_bias(tflite_reader *r, tflite_node *n);
pg_code tflite_custom_pool(tflite_reader *r, tflite_node *n);
#define TFLITE_OP(number, name, how, kind) pg_code tflite_##how(tflite_reader *r, tflite_node *n);
#include "load/tflite_ops.def"
#undef TFLITE_OP

#endif
