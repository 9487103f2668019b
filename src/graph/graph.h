/* The IR: what a model is, for every format. Arrays in one arena, indices instead of pointers, read-only once built.
 *
 * A graph holds what the file says: tensors (name, declared dtype and shape, small constants) and operators. Everything that
 * depends on a batch size or a sequence length lives in a `shapes` object instead (shape.h), made per binding of the
 * symbols, so one loaded graph serves all of them, from several threads.
 *
 * Dims and the small integers of shape arithmetic are `num`: the value under the current binding together with its affine form
 * over one symbol, so that results can be shown as "batch" or "2*seq+1", and a fixed-batch file can be re-batched. */
#ifndef GRAPH_GRAPH_H
#define GRAPH_GRAPH_H

#include "base/error.h"

typedef enum dtype {
    DT_UNKNOWN,
    DT_FP32,
    DT_FP16,
    DT_BF16,
    DT_FP64,
    DT_FP8E4M3,
    DT_FP8E5M2,
    DT_FP4,
    DT_INT8,
    DT_UINT8,
    DT_INT16,
    DT_UINT16,
    DT_INT32,
    DT_UINT32,
    DT_INT64,
    DT_UINT64,
    DT_INT4,
    DT_UINT4,
    DT_INT2,
    DT_UINT2,
    DT_BOOL,
    DT_STRING,
    DT_COMPLEX64,
    DT_COMPLEX128,
    DT_COUNT
} dtype;

typedef struct dtype_info {
    const char *name; /* "float32": as printed */
    unsigned bits;    /* per element; 0: not stored on a GPU */
    bool floating;
} dtype_info;

const dtype_info *dtype_get(dtype d); /* never NULL */
double dtype_bytes(dtype d);          /* may be 0.5; 4 for DT_UNKNOWN */

/* The type of ONNX's numbering (TensorProto.DataType), which operators' attributes use too; DT_UNKNOWN for other numbers. */
dtype dtype_of_code(int64_t code);

enum { SYM_NONE = -1, SYM_OPAQUE = -2, SYM_UNKNOWN = -3 };
enum { MAX_RANK = 32 };

/* value = c + k * symbol. SYM_NONE: a plain number. SYM_OPAQUE: the value is right under this binding but depends on symbols in
 * some other way. SYM_UNKNOWN: not known at all (a data-dependent size). Floats only occur as constant values. */
typedef struct num {
    union {
        int64_t i;
        double f;
    } v;
    int32_t k;
    int32_t sym;
} num;

static inline num num_int(int64_t i)
{
    return (num){{.i = i}, 0, SYM_NONE};
}
static inline num num_unknown(void)
{
    return (num){{.i = 0}, 0, SYM_UNKNOWN};
}
static inline bool num_known(num n)
{
    return n.sym != SYM_UNKNOWN;
}

typedef struct graph_symbol {
    str name;         /* "batch", "sequence", a file's own dim_param */
    int64_t fallback; /* value when the user gives none */
} graph_symbol;

typedef enum tensor_role { ROLE_VALUE, ROLE_INPUT, ROLE_WEIGHT, ROLE_ABSENT } tensor_role;

typedef struct tensor {
    str name;
    uint8_t dtype; /* dtype; DT_UNKNOWN until inferred */
    uint8_t role;  /* tensor_role: how it comes to be; ABSENT: an omitted optional input */
    int8_t rank;   /* declared rank; -1: not declared */
    bool is_output;
    bool defined; /* loaders: something produces it */
    bool literal; /* a constant written into the program text, not stored as a weight */
    bool buffer;  /* ROLE_WEIGHT: known not to be trained, and no parameter */
    num *dims;    /* declared dims; NULL with rank <= 0 */
    num *value;   /* constant contents, only where shape inference may need them (at most FOLD_MAX elements) */
    uint32_t value_count;
    double weight_bytes; /* ROLE_WEIGHT: as stored in the file */
} tensor;

enum { FOLD_MAX = 4096 };
#define NO_TENSOR UINT32_MAX

typedef enum op_kind {
#define OP(name, min_in, max_in, max_out, shape, work, flops) OP_##name,
#include "graph/ops.def"
#undef OP
    OP_KIND_COUNT
} op_kind;

typedef enum attr_key {
#define ATTR(name, text) ATTR_##name,
#include "graph/attrs.def"
#undef ATTR
    ATTR_KEY_COUNT
} attr_key;

typedef enum attr_type {
    ATTR_INT,
    ATTR_FLOAT,
    ATTR_INTS,
    ATTR_FLOATS,
    ATTR_STRING,
    ATTR_TENSOR,
    ATTR_REGION
} attr_type;

typedef struct attr {
    uint16_t key;  /* attr_key */
    uint16_t type; /* attr_type */
    uint32_t count;
    union {
        int64_t i;
        double f;
        const int64_t *ints;
        const double *floats;
        str s;
        uint32_t index; /* tensor or region */
    } v;
} attr;

enum op_flags {
    OPF_BN_FOLDED =
        1, /* the exporter folded a batch normalisation into this convolution: eager frameworks run it on its own */
    OPF_CHANNELS_LAST = 2,
    OPF_RELABEL =
        4, /* a Transpose at an image that comes or goes channels last, for a graph that is channels first: a runtime
                        keeps images in its own order, and nothing moves */
    OPF_BIAS_FOLDED = 16, /* beside OPF_BN_FOLDED: the convolution had a bias of its own */
    OPF_LATE_ATTENTION =
        8, /* of a model whose library in PyTorch spelled attention out for years after there was a fused call for it */
    OPF_OWN_CODE = 32, /* known to be a call that the model's own code makes, and no part of a call of its framework */
};

typedef struct op {
    uint16_t kind; /* op_kind */
    uint16_t flags;
    uint16_t n_in, n_out;
    uint32_t first_in; /* graph.operands[first_in ...]: inputs, then outputs */
    uint32_t first_attr;
    uint16_t n_attr;
    uint16_t opset; /* of the operator's domain: some operators changed meaning */
    str name;
    str type; /* the operator's name in the file; for Unknown the only thing known of it */
} op;

/* A list of operators that run together: region 0 is the model, the others are branches and bodies of control flow.
 * Tensors are shared by all regions. */
typedef struct region {
    uint32_t *ops; /* in execution order */
    uint32_t n_ops, cap_ops;
    uint32_t *inputs; /* body inputs */
    uint32_t n_inputs;
    uint32_t *outputs;
    uint32_t n_outputs;
} region;

/* What a file says of itself, as its author, in words: nothing is computed from it. */
typedef struct graph_remark {
    const char *key; /* "description", "author", "input", ...; lives for ever */
    str text;
} graph_remark;

typedef struct graph {
    arena *a;
    str name, format, family, producer;
    str missing; /* why there are no operators, as in a file of weights alone; empty: the graph is there */
    const struct language_model *language; /* language.h; NULL: not a language model, or its dimensions are not known */
    tensor *tensors;
    uint32_t n_tensors, cap_tensors;
    op *ops;
    uint32_t n_ops, cap_ops;
    uint32_t *operands;
    uint32_t n_operands, cap_operands;
    attr *attrs;
    uint32_t n_attrs, cap_attrs;
    region *regions;
    uint32_t n_regions, cap_regions;
    graph_symbol *symbols;
    uint32_t n_symbols, cap_symbols;
    str *warnings;
    uint32_t n_warnings, cap_warnings;
    graph_remark *remarks;
    uint32_t n_remarks, cap_remarks;
    int32_t batch_symbol; /* index of the symbol that is the batch; -1: none */
    int64_t fixed_batch;  /* > 0: the file fixes the batch at this; batch_symbol was put in its place */
} graph;

/* ---- building (loaders and the zoo); every function returns false or NO_TENSOR only when out of memory ---- */

bool graph_init(graph *g, arena *a);
/* Room for so many operators, with two operands each, and tensors: a graph that grows to that takes three times the memory. */
bool graph_reserve(graph *g, uint32_t ops, uint32_t tensors);
uint32_t graph_add_region(graph *g);
int32_t graph_symbol_find(const graph *g, str name);            /* -1: none */
int32_t graph_add_symbol(graph *g, str name, int64_t fallback); /* finds or adds; -1: out of memory */
uint32_t graph_add_tensor(graph *g, str name, dtype d);
/* Declares the shape; copies dims. */
bool graph_set_dims(graph *g, uint32_t t, int rank, const num *dims);
bool graph_set_dims_int(graph *g, uint32_t t, int rank, const int64_t *dims);
uint32_t graph_add_weight(graph *g, str name, dtype d, int rank, const int64_t *dims);
/* A constant of known integers: rank 0 when n == 0 is given as scalar through rank. */
uint32_t graph_add_ints(graph *g, str name, int rank, const int64_t *values, uint32_t n);
uint32_t graph_add_op(graph *g, uint32_t region, op_kind kind, str name, const uint32_t *in, uint32_t n_in,
                      const uint32_t *out, uint32_t n_out); /* op index, or NO_TENSOR */
/* Attributes go to the op that was added last. */
bool graph_attr_int(graph *g, attr_key key, int64_t v);
bool graph_attr_float(graph *g, attr_key key, double v);
bool graph_attr_ints(graph *g, attr_key key, const int64_t *v, uint32_t n);
bool graph_attr_floats(graph *g, attr_key key, const double *v, uint32_t n);
bool graph_attr_string(graph *g, attr_key key, str v);
bool graph_attr_index(graph *g, attr_key key, attr_type type, uint32_t index);
bool graph_add_output(graph *g, uint32_t region, uint32_t t);
bool graph_add_input(graph *g, uint32_t region, uint32_t t);
bool graph_warn(graph *g, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* `key` is not copied. Line breaks become spaces; text beyond 2 KiB is left off. */
bool graph_remark_add(graph *g, const char *key, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Drops the operators that no region lists, and numbers the others anew. */
bool graph_drop_unlisted(graph *g);
/* Puts every region's operators into an order in which inputs come before their use. A cycle is an error that names an operator. */
pg_code graph_sort(graph *g, arena *scratch, pg_error *e);

/* ---- reading ---- */

static inline const uint32_t *op_in(const graph *g, const op *o)
{
    return g->operands + o->first_in;
}
static inline const uint32_t *op_out(const graph *g, const op *o)
{
    return g->operands + o->first_in + o->n_in;
}
/* How many operands the result's values come from: of CastLike's second one only the type counts. */
static inline uint32_t op_value_inputs(const op *o)
{
    return o->kind == OP_CastLike && o->n_in ? 1 : o->n_in;
}
/* Input i of the op, or NO_TENSOR when it is not given. */
uint32_t op_input(const graph *g, const op *o, uint32_t i);
const char *op_kind_name(op_kind k);
int op_kind_find(str name); /* op_kind, or -1 */
int attr_key_find(str name);
const attr *op_attr(const graph *g, const op *o, attr_key key); /* NULL: not given */
int64_t op_attr_int(const graph *g, const op *o, attr_key key, int64_t fallback);
double op_attr_float(const graph *g, const op *o, attr_key key, double fallback);
str op_attr_str(const graph *g, const op *o, attr_key key); /* empty: not given */
/* The number of integers in a list attribute (0: not given) and the list. */
uint32_t op_attr_ints(const graph *g, const op *o, attr_key key, const int64_t **out);

#endif
