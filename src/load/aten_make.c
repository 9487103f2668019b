/* Making tensors and changing their type. */
#include "load/aten_rows.h"
#include "load/torch_internal.h"

static dtype type_arg(aten_value v, dtype fallback)
{
    int64_t code;
    dtype d = v.kind == ATEN_INT && aten_plain_int(v, &code) ? torch_type_of_code(code) : DT_UNKNOWN;
    return d == DT_UNKNOWN ? fallback : d;
}

/* A tensor of this size and type, filled. */
static aten_value filled(aten *x, const num *dims, int rank, dtype d)
{
    if (x->code) return aten_none();
    uint32_t size = aten_constant(x, 1, dims, (uint32_t)rank);
    uint32_t value = d == DT_FP32 ? NO_TENSOR : aten_scalar(x, d, 0);
    aten_begin(x, OP_ConstantOfShape, &size, 1, 1);
    if (!x->code && value != NO_TENSOR && !graph_attr_index(x->g, ATTR_value, ATTR_TENSOR, value)) aten_nomem(x);
    return aten_end(x);
}

/* zeros(size, dtype=) and its relatives; full has the value between them */
static aten_value make(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    num dims[MAX_RANK];
    int rank = aten_nums(A(0), dims, MAX_RANK);
    if (rank < 0) return aten_unknown();
    bool full = row->op == OP_Expand;
    dtype d = full && A(1).kind == ATEN_INT ? DT_INT64 : full && A(1).kind == ATEN_BOOL ? DT_BOOL : DT_FP32;
    return filled(x, dims, rank, type_arg(full ? A(2) : A(1), d));
}

static aten_value make_like(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t t = aten_data(x, A(0));
    if (t == NO_TENSOR) return aten_unknown();
    const tensor_shape *s = aten_shape(x, t);
    dtype d = type_arg(row->op == OP_Expand ? A(2) : A(1), (dtype)s->dtype);
    if (s->rank >= 0) return filled(x, s->dims, s->rank, d ? d : DT_FP32);
    return aten_tensor(aten_emit1(x, OP_ConstantOfShape, aten_emit1(x, OP_Shape, t)));
}

/* new_zeros(x, size): the type of x */
static aten_value make_new(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    num dims[MAX_RANK];
    uint32_t t = aten_data(x, A(0));
    int rank = aten_nums(A(1), dims, MAX_RANK);
    if (t == NO_TENSOR || rank < 0) return aten_unknown();
    dtype d = (dtype)aten_shape(x, t)->dtype;
    return filled(x, dims, rank, type_arg(row->op == OP_Expand ? A(3) : A(2), d ? d : DT_FP32));
}

/* arange(end), (start, end), (start, end, step), then type and device */
static aten_value arange(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    aten_value from = aten_int(num_int(0)), to = A(0), step = aten_int(num_int(1));
    uint32_t in[3];
    /* a type may follow the end by position: only in overloads with four options behind, so with five arguments */
    bool two = aten_is_number(A(1)) && (n == 2 || n == 3 || n == 6 || n == 7), three = two && (n == 3 || n == 7);
    if (two && n == 6 && A(4).kind == ATEN_NONE)
        three = true; /* by name, without pin_memory: the fifth is the layout */
    if (A(1).kind == ATEN_UNKNOWN && n == 2) two = true;
    bool keyed = A(0).kind == ATEN_NONE && A(1).kind != ATEN_NONE; /* arange(end=8, ...) */
    if (keyed) to = A(1), two = three = A(2).kind != ATEN_NONE;
    else if (two) from = A(0), to = A(1);
    if (three && aten_is_number(A(2))) step = A(2);
    if (to.kind == ATEN_TENSOR || from.kind == ATEN_TENSOR) return aten_unknown();
    in[0] = aten_operand(x, from, NO_TENSOR);
    in[1] = aten_operand(x, to, NO_TENSOR);
    in[2] = aten_operand(x, step, NO_TENSOR);
    if (in[0] == NO_TENSOR || in[1] == NO_TENSOR || in[2] == NO_TENSOR) return aten_unknown();
    aten_begin(x, OP_Range, in, 3, 1);
    return aten_end(x);
}

static aten_value linspace(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    num count = A(2).kind == ATEN_INT ? A(2).v.n : num_unknown();
    return filled(x, &count, 1, DT_FP32);
}

static aten_value eye(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    num k = A(0).kind == ATEN_INT ? A(0).v.n : num_unknown();
    num dims[2] = {k, A(1).kind == ATEN_INT && n == 2 ? A(1).v.n : k};
    return filled(x, dims, 2, DT_FP32);
}

/* tensor(5) stays a number; a list becomes a constant */
static aten_value tensor_of(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    num list[MAX_RANK * 2];
    (void)row;
    if (A(0).kind != ATEN_LIST) return A(0);
    int count = aten_nums(A(0), list, MAX_RANK * 2);
    if (count >= 0) return aten_tensor(aten_constant(x, 1, list, (uint32_t)count));
    num k = num_int(A(0).v.list->n);
    return filled(x, &k, 1, DT_FP32);
}

/* ---- types ---- */

static int64_t code_of(dtype d)
{
    enum { CODES = 32 };
    for (int64_t i = 1; i < CODES; i++)
        if (dtype_of_code(i) == d) return i;
    return 1;
}

static aten_value cast(aten *x, uint32_t t, dtype d)
{
    if (t == NO_TENSOR) return aten_none();
    if (d == DT_UNKNOWN || aten_shape(x, t)->dtype == d) return aten_tensor(t);
    aten_begin(x, OP_Cast, &t, 1, 1);
    aten_attr(x, ATTR_to, code_of(d));
    return aten_end(x);
}

/* to(x, type or device or tensor, ...): the first that says a type */
static aten_value to(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    uint32_t t = aten_data(x, A(0));
    dtype d = DT_UNKNOWN;
    if (t == NO_TENSOR) return A(0);
    for (uint32_t i = 1; i < n && d == DT_UNKNOWN; i++) {
        if (arg[i].kind == ATEN_TENSOR) d = (dtype)aten_shape(x, aten_data(x, arg[i]))->dtype;
        else d = type_arg(arg[i], DT_UNKNOWN);
    }
    return cast(x, t, d);
}

static aten_value to_fixed(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    return A(0).kind == ATEN_TENSOR ? cast(x, aten_data(x, A(0)), (dtype)row->op) : A(0);
}

#define NEW(name)                                                             \
    {                                                                         \
        name, "size dtype layout device pin_memory", make, OP_ConstantOfShape \
    }
#define LIKE(name)                                                                 \
    {                                                                              \
        name, "self dtype layout device pin_memory", make_like, OP_ConstantOfShape \
    }

const aten_row aten_make_rows[] = {
    NEW("zeros"),
    NEW("ones"),
    NEW("empty"),
    NEW("rand"),
    NEW("randn"),
    {"full", "size fill_value dtype layout device pin_memory", make, OP_Expand},
    {"empty_strided", "size stride dtype", make, OP_Expand},
    LIKE("zeros_like"),
    LIKE("ones_like"),
    LIKE("empty_like"),
    LIKE("rand_like"),
    LIKE("randn_like"),
    {"full_like", "self fill_value dtype", make_like, OP_Expand},
    {"new_zeros", "self size dtype", make_new, OP_ConstantOfShape},
    {"new_ones", "self size dtype", make_new, OP_ConstantOfShape},
    {"new_empty", "self size dtype", make_new, OP_ConstantOfShape},
    {"new_full", "self size fill_value dtype", make_new, OP_Expand},
    {"arange", "start end step dtype layout device pin_memory", arange, OP_Range},
    {"linspace", "start end steps", linspace, OP_Range},
    {"eye", "n m", eye, OP_EyeLike},
    {"tensor", "data dtype device requires_grad", tensor_of, OP_Constant},
    {"scalar_tensor", "s dtype", tensor_of, OP_Constant},
    {"as_tensor", "data dtype device", tensor_of, OP_Constant},
    {"fill", "self value", make_like, OP_ConstantOfShape},
    {"zero", "self", make_like, OP_ConstantOfShape},
    {"to", "self dtype layout device pin_memory non_blocking copy memory_format", to, OP_Cast},
    {"_to_copy", "self dtype layout device", to, OP_Cast},
    {"type_as", "self other", to, OP_Cast},
    {"to_dtype", "self dtype", to, OP_Cast},
    {"float", "self", to_fixed, DT_FP32},
    {"half", "self", to_fixed, DT_FP16},
    {"bfloat16", "self", to_fixed, DT_BF16},
    {"double", "self", to_fixed, DT_FP64},
    {"long", "self", to_fixed, DT_INT64},
    {NULL, NULL, NULL, 0},
};
