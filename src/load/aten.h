/* PyTorch's operators (ATen) to the graph, for TorchScript and torch.export alike: calls by name with values in, operators out.
 *
 * Shapes are followed while the graph grows (shape_walk), so that sizes are numbers that know how they depend on the batch, and shape
 * arithmetic leaves nothing behind in the graph. Failure is sticky: once `code` is set every call does nothing. */
#ifndef LOAD_ATEN_H
#define LOAD_ATEN_H

#include "base/map.h"
#include "graph/num.h"
#include "graph/shape.h"

typedef enum aten_kind {
    ATEN_NONE,
    ATEN_UNKNOWN, /* a number or truth that depends on data, or on what isn't decided yet */
    ATEN_BOOL,
    ATEN_INT,
    ATEN_FLOAT,
    ATEN_TEXT,
    ATEN_TENSOR,
    ATEN_LIST,
    ATEN_TUPLE,
    ATEN_DICT, /* items: key, value, ... */
    ATEN_OBJECT,
    ATEN_NAME /* a function or class: text */
} aten_kind;

typedef struct aten_list aten_list;

/* What an unknown number is of: guards of the code ("must be 512") then tell the shapes of inputs. */
/* ATEN_OF_COUNT: of elements of what data decide the length of, such as the boxes that a detector finds. */
enum { ATEN_OF_NOTHING, ATEN_OF_DIM, ATEN_OF_RANK, ATEN_OF_SCALAR, ATEN_OF_COUNT };

typedef struct aten_value {
    uint8_t kind; /* aten_kind */
    uint8_t of;   /* UNKNOWN, and a list that is the size of an input whose rank isn't known */
    int8_t dim;
    uint16_t input;
    union {
        num n;
        double f;
        str text;
        uint32_t tensor;
        aten_list *list;
        void *object;
    } v;
} aten_value;

struct aten_list {
    aten_value *v;
    uint32_t n, cap;
    bool sizes; /* torch.Size of a tensor of unknown rank: see aten_value.of */
};

typedef struct aten_hint {
    str name;
    int rank;         /* 0: not known yet */
    int64_t dims[8];  /* 0: free; -1 unset */
    int64_t last;     /* the last dim, where the code demands one; 0: not known */
    bool tokens;      /* indices of an embedding */
    bool steps_first; /* a recurrent layer reads [steps, batch, features] */
    bool bound;       /* a number among the arguments: compared with dims[0], and so taken for it */
} aten_hint;

enum { ATEN_ARGS = 32, ATEN_INPUTS = 64, ATEN_OPS_MOST = 400000 };

/* What the file declares of a result: for operators that nobody knows. */
typedef struct aten_declared {
    int rank; /* -1: nothing */
    num dims[8];
    dtype type;
} aten_declared;

typedef struct aten {
    graph *g;
    arena *a; /* for values */
    shape_walk *shapes;
    pg_error *e;
    pg_code code;
    map rows, unknown, turned;
    uint32_t *pairs; /* weights that were turned: which, and what it became */
    uint32_t n_pairs, cap_pairs;
    uint32_t *latest; /* per tensor: what an in-place operator made of it; itself: nothing */
    uint32_t *base;   /* per tensor: what it is a view of; itself: nothing */
    uint16_t *origin; /* per tensor: the input that it is elementwise of, counted from 1; 0: none */
    uint8_t *lift;    /* per tensor: how many dims fewer it has than that input */
    uint32_t cap_tensors, n_tensors;
    bool guessing; /* nothing is known of the inputs: what uses them says what they must be */
    aten_hint hints[ATEN_INPUTS];
    uint32_t n_hints;
    str scope;                     /* of the module that runs: in front of operators' names */
    bool bounded;                  /* it was said that data decide how many entries of a list go on */
    bool decomposed;               /* what runs is what run_decompositions() left */
    bool own_code;                 /* what runs is known to be no recurrent module of PyTorch's */
    const aten_declared *declared; /* of the results of the call that is made; NULL: nothing */
    uint32_t n_declared;
} aten;

typedef struct aten_args {
    aten_value v[ATEN_ARGS];
    str keys[ATEN_ARGS]; /* empty: by position */
    uint32_t n;
} aten_args;

bool aten_init(aten *x, graph *g, arena *a, pg_error *e);
/* When all is in the graph: a weight that is used as it is and turned is one. */
void aten_finish(aten *x);
/* Runs the operator of this name ("conv2d", without namespace and overload). `want`: how many values the caller takes, for
 * operators that nobody knows. Never fails on a name: what isn't known becomes an Unknown operator with a warning. */
aten_value aten_call(aten *x, str name, const aten_args *args, uint32_t want);
/* Whether a row knows this name. */
bool aten_known(aten *x, str name);

/* ---- values ---- */

static inline aten_value aten_none(void)
{
    return (aten_value){.kind = ATEN_NONE};
}
static inline aten_value aten_unknown(void)
{
    return (aten_value){.kind = ATEN_UNKNOWN};
}
static inline aten_value aten_bool(bool b)
{
    return (aten_value){.kind = ATEN_BOOL, .v.n = {{.i = b}, 0, SYM_NONE}};
}
static inline aten_value aten_int(num n)
{
    aten_value v = {.kind = ATEN_INT, .v.n = n};
    if (!num_known(n)) v.kind = ATEN_UNKNOWN;
    return v;
}
static inline aten_value aten_float(double f)
{
    return (aten_value){.kind = ATEN_FLOAT, .v.f = f};
}
static inline aten_value aten_tensor(uint32_t t)
{
    return (aten_value){.kind = t == NO_TENSOR ? ATEN_NONE : ATEN_TENSOR, .v.tensor = t};
}
static inline bool aten_is_number(aten_value v)
{
    return v.kind == ATEN_INT || v.kind == ATEN_BOOL || v.kind == ATEN_FLOAT;
}
double aten_real(aten_value v); /* of a number */
bool aten_plain_int(aten_value v, int64_t *out);
aten_value aten_new_list(aten *x, aten_kind kind, const aten_value *v, uint32_t n);
bool aten_append(aten *x, aten_list *l, aten_value v);
static inline uint32_t aten_count(aten_value v)
{
    return v.kind == ATEN_LIST || v.kind == ATEN_TUPLE || v.kind == ATEN_DICT ? v.v.list->n : 0;
}

/* ---- for the files of operators ---- */

const tensor_shape *aten_shape(const aten *x, uint32_t t);
static inline int aten_rank(const aten *x, uint32_t t)
{
    return aten_shape(x, t)->rank;
}
/* The tensor that a value is now; a number becomes a constant of the type of `like`. NO_TENSOR: none. */
uint32_t aten_operand(aten *x, aten_value v, uint32_t like);
uint32_t aten_constant(aten *x, int rank, const num *v, uint32_t n); /* int64 */
uint32_t aten_scalar(aten *x, dtype d, double f);
/* Starts an operator; attributes follow, then aten_end, which gives the first output. */
uint32_t aten_begin(aten *x, op_kind kind, const uint32_t *in, uint32_t n_in, uint32_t n_out);
void aten_attr(aten *x, attr_key key, int64_t v);
void aten_attr_list(aten *x, attr_key key, const int64_t *v, uint32_t n);
void aten_attr_text(aten *x, attr_key key, const char *v);
void aten_attr_real(aten *x, attr_key key, double v);
aten_value aten_end(aten *x);
uint32_t aten_output(const aten *x, uint32_t i); /* of the operator that was begun last */
/* An operator without attributes. */
uint32_t aten_emit1(aten *x, op_kind kind, uint32_t a);
uint32_t aten_emit2(aten *x, op_kind kind, uint32_t a, uint32_t b);
/* A list of integers, or one for all of `n`; the number of them, or -1 when it isn't known. */
int aten_ints(aten_value v, int64_t *out, int most);
int aten_nums(aten_value v, num *out, int most);
/* The weight [in, out] of one that is kept as [out, in]. */
uint32_t aten_turned(aten *x, uint32_t weight);
/* What consumes a tensor that comes straight from an input tells its dims. */
void aten_hint_dims(aten *x, uint32_t t, int rank, int axis, int64_t size);
void aten_hint_tokens(aten *x, uint32_t t);
void aten_hint_steps(aten *x, uint32_t t);
/* The tensor is this input, or stands for it. */
bool aten_set_origin(aten *x, uint32_t t, uint32_t hint);
/* `to` has the last dim of `from`, which is all that is asked of it. */
void aten_keep_origin(aten *x, uint32_t from, uint32_t to);
/* `to` is an element of an axis of `from`. */
void aten_pass_origin(aten *x, uint32_t from, uint32_t to);
pg_code aten_nomem(aten *x);
aten_value aten_shape_list(aten *x, uint32_t t);                              /* torch.size(t) */
int64_t aten_axis(const aten *x, uint32_t t, aten_value v, int64_t fallback); /* put right where the rank is known */
/* A view of `of`, for in-place operators on it. */
aten_value aten_view(aten *x, aten_value v, uint32_t of);
uint32_t aten_reshape(aten *x, uint32_t t, const num *dims, int rank);
uint32_t aten_slice(aten *x, uint32_t t, int64_t axis, num from, num to, num step);
uint32_t aten_unsqueeze(aten *x, uint32_t t, int64_t axis);
uint32_t aten_squeeze(aten *x, uint32_t t, int64_t axis);
uint32_t aten_transpose(aten *x, uint32_t t, const int64_t *perm, int rank);

aten_value aten_linear(aten *x, uint32_t t, uint32_t w, uint32_t b); /* x W^T + b; b may be NO_TENSOR */

#endif
