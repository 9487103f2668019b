/* What the host does: sizes, numbers, lists, questions about types. */
#include "load/aten_rows.h"
#include "load/torch_internal.h"

static aten_value unknown_of(const aten *x, uint32_t t, int of, int64_t dim)
{
    aten_value v = aten_unknown();
    if (t >= x->n_tensors || !x->origin[t]) return v;
    v.of = (uint8_t)of;
    v.input = (uint16_t)(x->origin[t] - 1);
    v.dim = (int8_t)(dim < -8 || dim > 8 ? 0 : dim);
    return v;
}

static aten_value size(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    uint32_t t = aten_data(x, A(0));
    int64_t axis = 0;
    if (t == NO_TENSOR) return aten_unknown();
    if (A(1).kind == ATEN_NONE) return aten_shape_list(x, t);
    const tensor_shape *s = aten_shape(x, t);
    if (!aten_plain_int(A(1), &axis)) return aten_unknown();
    if (s->rank < 0) return unknown_of(x, t, ATEN_OF_DIM, axis);
    if (axis < 0) axis += s->rank;
    return axis >= 0 && axis < s->rank ? aten_int(s->dims[axis]) : aten_unknown();
}

static aten_value dim(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    uint32_t t = aten_data(x, A(0));
    if (t == NO_TENSOR) return aten_is_number(A(0)) ? aten_int(num_int(0)) : aten_unknown();
    int rank = aten_rank(x, t);
    return rank >= 0 ? aten_int(num_int(rank)) : unknown_of(x, t, ATEN_OF_RANK, 0);
}

static aten_value numel(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    uint32_t t = aten_data(x, A(0));
    const tensor_shape *s = t == NO_TENSOR ? NULL : aten_shape(x, t);
    num all = s && s->rank >= 0 ? num_product(s->dims, (uint32_t)s->rank) : num_unknown();
    if (num_known(all)) return aten_int(all);
    return (aten_value){.kind = ATEN_UNKNOWN, .of = t != NO_TENSOR && !x->guessing ? ATEN_OF_COUNT : ATEN_OF_NOTHING};
}

static aten_value len(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    aten_value v = A(0);
    if (v.kind == ATEN_LIST && v.v.list->sizes) {
        aten_value u = aten_unknown();
        if (v.of) u.of = ATEN_OF_RANK, u.input = v.input;
        return u;
    }
    if (v.kind == ATEN_DICT) return aten_int(num_int(v.v.list->n / 2));
    if (v.kind == ATEN_LIST || v.kind == ATEN_TUPLE) return aten_int(num_int(v.v.list->n));
    if (v.kind == ATEN_TEXT) return aten_int(num_int((int64_t)v.v.text.len));
    uint32_t t = aten_data(x, v);
    const tensor_shape *s = t == NO_TENSOR ? NULL : aten_shape(x, t);
    if (s && s->rank < 0) return unknown_of(x, t, ATEN_OF_DIM, 0);
    return s && s->rank > 0 ? aten_int(s->dims[0]) : aten_unknown();
}

static bool same_value(aten_value a, aten_value b)
{
    if (a.kind == ATEN_TEXT && b.kind == ATEN_TEXT) return str_eq(a.v.text, b.v.text);
    if (aten_is_number(a) && aten_is_number(b)) return aten_real(a) == aten_real(b);
    return a.kind == ATEN_NONE && b.kind == ATEN_NONE;
}

/* l[i], d[k] */
static aten_value get_item(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    (void)x;
    aten_value v = A(0);
    int64_t i = 0;
    if (v.kind == ATEN_DICT) {
        for (uint32_t k = 0; k + 1 < v.v.list->n; k += 2)
            if (same_value(v.v.list->v[k], A(1))) return v.v.list->v[k + 1];
        return A(2);
    }
    if ((v.kind != ATEN_LIST && v.kind != ATEN_TUPLE) || !aten_plain_int(A(1), &i)) return aten_unknown();
    if (v.v.list->sizes) {
        aten_value u = aten_unknown();
        if (v.of) u.of = ATEN_OF_DIM, u.input = v.input, u.dim = (int8_t)(i < -8 || i > 8 ? 0 : i);
        return u;
    }
    if (i < 0) i += v.v.list->n;
    return i >= 0 && i < v.v.list->n ? v.v.list->v[i] : aten_unknown();
}

static aten_value set_item(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    aten_value v = A(0);
    int64_t i = 0;
    if (v.kind == ATEN_DICT) {
        for (uint32_t k = 0; k + 1 < v.v.list->n; k += 2)
            if (same_value(v.v.list->v[k], A(1))) {
                v.v.list->v[k + 1] = A(2);
                return aten_none();
            }
        if (aten_append(x, v.v.list, A(1))) aten_append(x, v.v.list, A(2));
    } else if (v.kind == ATEN_LIST && aten_plain_int(A(1), &i)) {
        if (i < 0) i += v.v.list->n;
        if (i >= 0 && i < v.v.list->n) v.v.list->v[i] = A(2);
    }
    return aten_none();
}

/* The kind of device that a tensor lies on: nothing is predicted for others. */
static aten_value device_type(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)x, (void)row, (void)arg, (void)n;
    return (aten_value){.kind = ATEN_TEXT, .v.text = STR("cuda")};
}

/* dict(), of another one, or of a list of pairs */
static aten_value dict(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    aten_value from = A(0), out = aten_new_list(x, ATEN_DICT, NULL, 0);
    if (from.kind == ATEN_DICT) return aten_new_list(x, ATEN_DICT, from.v.list->v, from.v.list->n);
    for (uint32_t i = 0; from.kind == ATEN_LIST && i < from.v.list->n && !x->code; i++) {
        aten_value pair = from.v.list->v[i];
        if (pair.kind != ATEN_TUPLE || pair.v.list->n != 2) return aten_unknown();
        set_item(x, row, (aten_value[]){out, pair.v.list->v[0], pair.v.list->v[1]}, 3);
    }
    return out;
}

static aten_value append(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    enum { MOST = 1 << 20 };
    aten_value v = A(0);
    bool all = row->op == OP_Concat;
    if (v.kind != ATEN_LIST || v.v.list->n > MOST) return v;
    if (!all) aten_append(x, v.v.list, A(1));
    uint32_t count = all ? aten_count(A(1)) : 0;
    for (uint32_t i = 0; !x->code && i < count; i++) aten_append(x, v.v.list, A(1).v.list->v[i]);
    return v;
}

static aten_value pop(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    (void)x;
    aten_value v = A(0);
    int64_t i = -1;
    if (v.kind != ATEN_LIST || !v.v.list->n) return aten_unknown();
    aten_plain_int(A(1), &i);
    if (i < 0) i += v.v.list->n;
    if (i < 0 || i >= v.v.list->n) return aten_unknown();
    aten_value out = v.v.list->v[i];
    for (uint32_t k = (uint32_t)i; k + 1 < v.v.list->n; k++) v.v.list->v[k] = v.v.list->v[k + 1];
    v.v.list->n--;
    return out;
}

static aten_value insert(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    aten_value v = A(0);
    int64_t i = 0;
    if (v.kind != ATEN_LIST || !aten_plain_int(A(1), &i) || i < 0 || i > v.v.list->n) return v;
    if (!aten_append(x, v.v.list, A(2))) return v;
    for (uint32_t k = v.v.list->n - 1; k > i; k--) v.v.list->v[k] = v.v.list->v[k - 1];
    v.v.list->v[i] = A(2);
    return v;
}

/* keys, values, items of a dict; a copy of a list */
static aten_value members(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    aten_value v = A(0), out = aten_new_list(x, ATEN_LIST, NULL, 0);
    if (x->code) return out;
    if (v.kind == ATEN_LIST || v.kind == ATEN_TUPLE)
        return v.v.list->sizes ? v : aten_new_list(x, ATEN_LIST, v.v.list->v, v.v.list->n);
    if (v.kind != ATEN_DICT) return aten_unknown();
    for (uint32_t k = 0; !x->code && k + 1 < v.v.list->n; k += 2) {
        aten_value pair = row->op == OP_Concat ? aten_new_list(x, ATEN_TUPLE, v.v.list->v + k, 2)
                                               : v.v.list->v[k + (row->op == OP_Gather)];
        aten_append(x, out.v.list, pair);
    }
    return out;
}

static aten_value contains(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    aten_value v = A(0), what = A(1);
    uint32_t step = v.kind == ATEN_DICT ? 2 : 1;
    if (v.kind != ATEN_LIST && v.kind != ATEN_TUPLE && v.kind != ATEN_DICT) return aten_unknown();
    if (what.kind == ATEN_UNKNOWN && what.of == ATEN_OF_RANK &&
        x->guessing) { /* [2, 3] may be its rank: the larger is batched */
        int64_t most = 0, k;
        for (uint32_t i = 0; i < v.v.list->n; i++)
            if (aten_plain_int(v.v.list->v[i], &k) && k > most) most = k;
        return aten_bool(most >= 2);
    }
    if (what.kind == ATEN_UNKNOWN) return what;
    for (uint32_t i = 0; i < v.v.list->n; i += step)
        if (same_value(v.v.list->v[i], what)) return aten_bool(true);
    return aten_bool(false);
}

static aten_value is_same(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    if (A(0).kind == ATEN_UNKNOWN || A(1).kind == ATEN_UNKNOWN) {
        bool none = A(0).kind == ATEN_NONE ||
                    A(1).kind == ATEN_NONE; /* a number that isn't known is there all the same */
        return none ? aten_bool(row->op == OP_NotEqual) : aten_unknown();
    }
    bool same = A(0).kind == ATEN_NONE && A(1).kind == ATEN_NONE;
    if (A(0).kind == ATEN_TENSOR && A(1).kind == ATEN_TENSOR) same = aten_data(x, A(0)) == aten_data(x, A(1));
    else if (A(0).kind != ATEN_NONE && A(1).kind != ATEN_NONE) return aten_unknown();
    return aten_bool(same == (row->op == OP_Equal));
}

static aten_value negate(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    (void)x;
    if (aten_is_number(A(0))) return aten_bool(aten_real(A(0)) == 0);
    return aten_unknown();
}

/* The length of range(start, end, step), and the value at an index of it. */
static aten_value range_length(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    int64_t from, to, step;
    (void)row;
    (void)x;
    if (!aten_plain_int(A(0), &from) || !aten_plain_int(A(1), &to) || !aten_plain_int(A(2), &step) || !step)
        return aten_unknown();
    const int64_t most = 1000000000000000;
    if (from < -most || from > most || to < -most || to > most || step < -most || step > most) return aten_unknown();
    int64_t reach = step > 0 ? to - from + step - 1 : from - to - step - 1;
    int64_t count = reach / (step > 0 ? step : -step);
    return aten_int(num_int(reach > 0 ? count : 0));
}

static aten_value derive_index(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    (void)x;
    if (A(0).kind != ATEN_INT || A(1).kind != ATEN_INT || A(2).kind != ATEN_INT) return aten_unknown();
    return aten_int(num_add(A(1).v.n, num_mul(A(0).v.n, A(2).v.n)));
}

/* A number as a tensor and back: stays the number. */
static aten_value number(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    aten_value v = A(0);
    uint32_t t = aten_data(x, v);
    if (t == NO_TENSOR) return v;
    const tensor_shape *s = aten_shape(x, t);
    if (!s->value || s->value_count != 1 || !num_known(s->value[0])) return aten_unknown();
    bool f = dtype_get((dtype)s->dtype)->floating;
    (void)row;
    return f ? aten_float(s->value[0].v.f) : aten_int(s->value[0]);
}

static int64_t code_of(dtype d)
{
    enum { CODES = 16 };
    for (int64_t i = 0; i < CODES; i++)
        if (torch_type_of_code(i) == d) return i;
    return 6;
}

static aten_value type_of(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    uint32_t t = aten_data(x, A(0));
    return t == NO_TENSOR ? aten_unknown() : aten_int(num_int(code_of((dtype)aten_shape(x, t)->dtype)));
}

static aten_value is_floating(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t t = aten_data(x, A(0));
    dtype d = t == NO_TENSOR ? DT_FP32 : (dtype)aten_shape(x, t)->dtype;
    bool complex = d == DT_COMPLEX64 || d == DT_COMPLEX128;
    return aten_bool(row->op == OP_IsInf ? complex : dtype_get(d)->floating);
}

/* Questions whose answer is always the same where models run without gradients. */
static aten_value no(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)x, (void)row, (void)arg, (void)n;
    return aten_bool(false);
}

static aten_value yes(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)x, (void)row, (void)arg, (void)n;
    return aten_bool(true);
}

static aten_value nothing(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)x, (void)row, (void)arg, (void)n;
    return aten_none();
}

static aten_value some_text(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)x, (void)row, (void)arg, (void)n;
    return (aten_value){.kind = ATEN_TEXT, .v.text = STR("")};
}

static aten_value first(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)x, (void)row;
    return A(0);
}

const aten_row aten_host_rows[] = {
    {"size", "self dim", size, 0},
    {"sym_size", "self dim", size, 0},
    {"shape", "self", size, 0},
    {"_shape_as_tensor", "self", size, 0},
    {"dim", "self", dim, 0},
    {"ndim", "self", dim, 0},
    {"ndimension", "self", dim, 0},
    {"numel", "self", numel, 0},
    {"sym_numel", "self", numel, 0},
    {"len", "a", len, 0},
    {"__getitem__", "self i", get_item, 0},
    {"get", "self key default_value", get_item, 0},
    {"_set_item", "l idx el", set_item, 0},
    {"dict", "self", dict, 0},
    {"append", "self el", append, OP_Identity},
    {"extend", "self other", append, OP_Concat},
    {"pop", "self idx", pop, 0},
    {"insert", "self idx el", insert, 0},
    {"keys", "self", members, OP_Identity},
    {"values", "self", members, OP_Gather},
    {"items", "self", members, OP_Concat},
    {"list", "self", members, OP_Identity},
    {"__contains__", "l item", contains, 0},
    {"__is__", "self obj", is_same, OP_Equal},
    {"__isnot__", "self obj", is_same, OP_NotEqual},
    {"__not__", "self", negate, 0},
    {"__range_length", "lo hi step", range_length, 0},
    {"__derive_index", "index start step", derive_index, 0},
    {"NumToTensor", "a", first, 0},
    {"item", "self", number, 0},
    {"Int", "a", number, 0},
    {"ScalarImplicit", "a", number, 0},
    {"IntImplicit", "a", number, 0},
    {"FloatImplicit", "a", number, 0},
    {"_local_scalar_dense", "self", number, 0},
    {"sym_int", "a", number, 0},
    {"sym_float", "a", number, 0},
    {"dtype", "a", type_of, 0},
    {"is_floating_point", "self", is_floating, OP_Identity},
    {"is_complex", "self", is_floating, OP_IsInf},
    {"is_grad_enabled", "", no, 0},
    {"is_autocast_enabled", "", no, 0},
    {"is_scripting", "", no, 0},
    {"is_cuda", "a", yes, 0},
    {"requires_grad", "a", no, 0},
    {"is_nested", "a", no, 0},
    {"is_sparse", "a", no, 0},
    {"is_quantized", "a", no, 0},
    {"has_torch_function", "a", no, 0},
    {"set_grad_enabled", "val", nothing, 0},
    {"manual_seed", "seed", nothing, 0},
    {"warn", "message stacklevel", nothing, 0},
    {"Print", "a", nothing, 0},
    {"RaiseException", "msg cls", nothing, 0},
    {"device", "a", nothing, 0},
    {"type", "device", device_type, 0},
    {"layout", "a", nothing, 0},
    {"get_device", "a", nothing, 0},
    {"__enter__", "a", nothing, 0},
    {"__exit__", "a", nothing, 0},
    {"_assert", "a msg", nothing, 0},
    {"_assert_async", "a msg", nothing, 0},
    {"_assert_scalar", "a msg", nothing, 0},
    {"_assert_tensor_metadata", "a", nothing, 0},
    {"sym_constrain_range", "a", nothing, 0},
    {"sym_constrain_range_for_size", "a", nothing, 0},
    {"format", "self", some_text, 0},
    {"str", "self", some_text, 0},
    {"percentFormat", "self", some_text, 0},
    {"unchecked_unwrap_optional", "a", first, 0},
    {"_unwrap_optional", "a", first, 0},
    {"to_list", "a", first, 0},
    {"tolist", "a", first, 0},
    {"_wrapped_tensor", "a", first, 0},
    {NULL, NULL, NULL, 0},
};
