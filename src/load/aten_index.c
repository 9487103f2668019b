/* Slices, gathers and scatters. */
#include "load/aten_rows.h"

uint32_t aten_slice(aten *x, uint32_t t, int64_t axis, num from, num to, num step)
{
    num a = num_int(axis);
    uint32_t in[5] = {t};
    in[1] = aten_constant(x, 1, &from, 1);
    in[2] = aten_constant(x, 1, &to, 1);
    in[3] = aten_constant(x, 1, &a, 1);
    in[4] = aten_constant(x, 1, &step, 1);
    if (x->code) return NO_TENSOR;
    aten_begin(x, OP_Slice, in, num_is(step, 1) ? 4 : 5, 1);
    aten_end(x);
    return aten_output(x, 0);
}

static aten_value list_slice(aten *x, aten_value list, aten_value from, aten_value to)
{
    int64_t n = list.v.list->n, a = 0, b = n;
    aten_plain_int(from, &a);
    aten_plain_int(to, &b);
    if (a < 0) a += n;
    if (b < 0) b += n;
    if (a < 0) a = 0;
    if (b > n) b = n;
    return aten_new_list(x, (aten_kind)list.kind, a < b ? list.v.list->v + a : NULL, a < b ? (uint32_t)(b - a) : 0);
}

/* slice(x, dim, start, end, step); of a list: slice(l, start, end, step) */
static aten_value slice(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    if (A(0).kind == ATEN_LIST || A(0).kind == ATEN_TUPLE)
        return A(0).v.list->sizes ? aten_unknown() : list_slice(x, A(0), A(1), A(2));
    uint32_t t = aten_data(x, A(0));
    if (t == NO_TENSOR) return aten_unknown();
    num from = aten_bound(A(2), 0), to = aten_bound(A(3), INT64_MAX), step = aten_bound(A(4), 1);
    int64_t axis = aten_axis(x, t, A(1), 0);
    /* with an end that happens to be the last one it is a copy for some runtimes */
    if (num_is(from, 0) && num_is(to, INT64_MAX) && num_is(step, 1)) return aten_tensor(t);
    return aten_view(x, aten_tensor(aten_slice(x, t, axis, from, to, step)), t);
}

static aten_value narrow(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    uint32_t t = aten_data(x, A(0));
    if (t == NO_TENSOR) return aten_unknown();
    num from = aten_bound(A(2), 0), length = aten_bound(A(3), 0);
    return aten_view(
        x, aten_tensor(aten_slice(x, t, aten_axis(x, t, A(1), 0), from, num_add(from, length), num_int(1))), t);
}

/* A view of one element of an axis, which goes. */
static aten_value select(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    uint32_t t = aten_data(x, A(0));
    if (t == NO_TENSOR) return aten_unknown();
    int64_t axis = aten_axis(x, t, A(1), 0);
    const tensor_shape *s = aten_shape(x, t);
    num at = aten_bound(A(2), 0);
    bool weight = x->g->tensors[t].role == ROLE_WEIGHT; /* whose parts lie in place: no kernel gathers them */
    if (A(2).kind == ATEN_TENSOR || !num_known(at) || x->g->tensors[t].dtype == DT_INT64 || s->value || !weight) {
        aten_begin(x, OP_Gather, (uint32_t[]){t, aten_operand(x, A(2), NO_TENSOR)}, 2, 1);
        aten_attr(x, ATTR_axis, axis);
        aten_value y = aten_end(x);
        if (A(2).kind == ATEN_TENSOR || y.kind != ATEN_TENSOR) return y;
        aten_pass_origin(x, t, y.v.tensor);
        return aten_view(x, y, t);
    }
    num end = num_is(at, -1) ? num_int(INT64_MAX) : num_add(at, num_int(1));
    uint32_t y = aten_squeeze(x, aten_slice(x, t, axis, at, end, num_int(1)), axis);
    aten_pass_origin(x, t, y);
    return aten_view(x, aten_tensor(y), t);
}

static aten_value gather(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t t = aten_data(x, A(0)), at = aten_data(x, A(2));
    if (t == NO_TENSOR || at == NO_TENSOR) return aten_unknown();
    int64_t axis = aten_axis(x, t, A(1), 0);
    aten_begin(x, (op_kind)row->op, (uint32_t[]){t, at}, 2, 1);
    aten_attr(x, ATTR_axis, axis);
    return aten_end(x);
}

/* take_along_dim(x, indices, dim) */
static aten_value take_along(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    aten_value sorted[3] = {A(0), A(2), A(1)};
    return gather(x, row, sorted, 3);
}

/* x[a, None, b]: one tensor of indices is a gather along its axis; several go together, where they stand at the front. */
static aten_value index(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    uint32_t t = aten_data(x, A(0)), in[MAX_RANK], count = 0;
    int64_t axis = 0, last = 0;
    if (t == NO_TENSOR || A(1).kind != ATEN_LIST) return aten_unknown();
    for (uint32_t i = 0; i < A(1).v.list->n && count < MAX_RANK; i++) {
        aten_value v = A(1).v.list->v[i];
        if (v.kind != ATEN_TENSOR) continue;
        if (!count) axis = i;
        last = i;
        in[count++] = aten_operand(x, v, NO_TENSOR);
    }
    if (!count) return aten_tensor(t);
    dtype d = (dtype)aten_shape(x, in[0])->dtype;
    if (d == DT_BOOL || d == DT_UINT8) { /* a mask: how much is left depends on data */
        uint32_t where = aten_emit1(x, OP_NonZero, in[0]);
        return aten_tensor(aten_emit2(x, OP_GatherND, t, aten_transpose(x, where, (const int64_t[]){1, 0}, 2)));
    }
    if (count == 1) {
        aten_begin(x, OP_Gather, (uint32_t[]){t, in[0]}, 2, 1);
        aten_attr(x, ATTR_axis, axis);
        return aten_end(x);
    }
    for (uint32_t i = 1; i < count; i++) in[0] = aten_emit2(x, OP_Add, in[0], in[i]); /* their common shape */
    const tensor_shape *s = aten_shape(x, t);
    if (s->rank < (int)count || last >= s->rank) return aten_unknown();
    if (last - axis + 1 != count) axis = 0; /* apart: what they pick stands in front */
    num dims[MAX_RANK];
    int rank = 0;
    for (int i = 0; i < s->rank; i++)
        if (i <= axis || i >= axis + (int)count) dims[rank++] = s->dims[i];
        else dims[rank - 1] = num_mul(dims[rank - 1], s->dims[i]); /* the axes that are picked from, as one */
    aten_begin(x, OP_Gather, (uint32_t[]){aten_reshape(x, t, dims, rank), in[0]}, 2, 1);
    aten_attr(x, ATTR_axis, axis);
    return aten_end(x);
}

/* nonzero(x): [how many, rank] */
static aten_value non_zero(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t t = aten_data(x, A(0));
    if (t == NO_TENSOR) return aten_unknown();
    return aten_tensor(aten_transpose(x, aten_emit1(x, (op_kind)row->op, t), (const int64_t[]){1, 0}, 2));
}

/* masked_select(x, mask) */
static aten_value masked_select(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t t = aten_data(x, A(0)), mask = aten_data(x, A(1));
    if (t == NO_TENSOR || mask == NO_TENSOR) return aten_unknown();
    uint32_t where = aten_transpose(x, aten_emit1(x, OP_NonZero, mask), (const int64_t[]){1, 0}, 2);
    return aten_tensor(aten_emit2(x, (op_kind)row->op, t, where));
}

/* one_hot(x, classes) */
static aten_value one_hot(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t t = aten_data(x, A(0));
    num values[2] = {num_int(0), num_int(1)};
    int64_t classes = -1;
    if (t == NO_TENSOR || !aten_plain_int(A(1), &classes) || classes < 1) return aten_unknown();
    num depth = num_int(classes);
    aten_begin(x, (op_kind)row->op, (uint32_t[]){t, aten_constant(x, 0, &depth, 1), aten_constant(x, 1, values, 2)}, 3,
               1);
    return aten_end(x);
}

/* scatter(x, dim, index, src), index_put(x, indices, values): the size of x */
static aten_value scatter(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t in[3] = {aten_data(x, A(0)), NO_TENSOR, NO_TENSOR};
    if (in[0] == NO_TENSOR) return aten_unknown();
    for (uint32_t i = 1, k = 1; i < n && k < 3; i++) {
        aten_value v = arg[i];
        if (v.kind == ATEN_LIST && v.v.list->n) v = v.v.list->v[0];
        if (v.kind == ATEN_TENSOR || (k == 2 && aten_is_number(v))) in[k++] = aten_operand(x, v, in[0]);
    }
    if (in[1] == NO_TENSOR) return aten_tensor(in[0]);
    if (in[2] == NO_TENSOR) in[2] = in[1];
    aten_begin(x, (op_kind)row->op, in, 3, 1);
    return aten_end(x);
}

const aten_row aten_index_rows[] = {
    {"slice", "self dim start end step", slice, OP_Slice},
    {"narrow", "self dim start length", narrow, OP_Slice},
    {"select", "self dim index", select, OP_Slice},
    {"index_select", "self dim index", gather, OP_Gather},
    {"gather", "self dim index", gather, OP_GatherElements},
    {"take_along_dim", "self indices dim", take_along, OP_GatherElements},
    {"index", "self indices", index, OP_Gather},
    {"_unsafe_index", "self indices", index, OP_Gather},
    {"nonzero", "self", non_zero, OP_NonZero},
    {"masked_select", "self mask", masked_select, OP_GatherND},
    {"one_hot", "self num_classes", one_hot, OP_OneHot},
    {"scatter", "self dim index src", scatter, OP_ScatterElements},
    {"scatter_add", "self dim index src", scatter, OP_ScatterElements},
    {"scatter_reduce", "self dim index src", scatter, OP_ScatterElements},
    {"index_put", "self indices values accumulate", scatter, OP_Scatter},
    {"index_add", "self dim index source", scatter, OP_Scatter},
    {"index_copy", "self dim index source", scatter, OP_Scatter},
    {"index_fill", "self dim index value", scatter, OP_Scatter},
    {"masked_scatter", "self mask source", scatter, OP_Scatter},
    {NULL, NULL, NULL, 0},
};
