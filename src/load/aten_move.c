/* Joins, splits, and what moves data or leaves it. */
#include "load/aten_rows.h"

/* ---- joining and splitting ---- */

static aten_value cat(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    aten_value list = A(0);
    uint32_t count = 0;
    if (list.kind != ATEN_LIST && list.kind != ATEN_TUPLE) return aten_unknown();
    uint32_t *in = ARENA_ARRAY(x->a, uint32_t, list.v.list->n + 1);
    if (!in) {
        aten_nomem(x);
        return aten_none();
    }
    for (uint32_t i = 0; i < list.v.list->n; i++) {
        uint32_t t = aten_data(x, list.v.list->v[i]);
        const tensor_shape *s = t == NO_TENSOR ? NULL : aten_shape(x, t);
        if (s && !(s->rank == 1 && num_is(s->dims[0], 0) && list.v.list->n > 1))
            in[count++] = t; /* empty ones may be there */
    }
    if (!count || count > UINT16_MAX) return aten_unknown();
    bool stack = row->op == OP_Unsqueeze;
    int64_t axis = aten_axis(x, NO_TENSOR, A(1), 0);
    int rank = aten_rank(x, in[0]) + stack;
    for (uint32_t i = 0; stack && i < count; i++) in[i] = aten_unsqueeze(x, in[i], axis);
    if (axis < 0 && rank > 0) axis += rank;
    aten_begin(x, OP_Concat, in, count, 1); /* also of one: the framework copies it */
    aten_attr(x, ATTR_axis, axis);
    return aten_end(x);
}

/* hstack, vstack and their kin: joined where NumPy joins, after what is too short was given dims of one. */
static aten_value stack_like(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    aten_value list = A(0), parts = aten_new_list(x, ATEN_LIST, NULL, 0);
    char which = row->name[0]; /* h, v, c (of columns) */
    if ((list.kind != ATEN_LIST && list.kind != ATEN_TUPLE) || !list.v.list->n || x->code) return aten_unknown();
    int rank = -1;
    for (uint32_t i = 0; !x->code && i < list.v.list->n; i++) {
        uint32_t t = aten_data(x, list.v.list->v[i]);
        if (t == NO_TENSOR || (rank = aten_rank(x, t)) < 1) return aten_unknown();
        if (rank == 1 && which != 'h') t = aten_unsqueeze(x, t, which == 'c' ? 1 : 0);
        aten_append(x, parts.v.list, aten_tensor(t));
    }
    int64_t axis = which == 'v' || (which == 'h' && rank == 1) ? 0 : 1;
    return cat(x, row, (aten_value[]){parts, aten_int(num_int(axis))}, 2);
}

static aten_value split_into(aten *x, uint32_t t, int64_t axis, const num *sizes, uint32_t count)
{
    enum { PARTS = 1024 };
    if (!count || count > PARTS) return aten_unknown();
    uint32_t in[2] = {t, NO_TENSOR};
    if (sizes) in[1] = aten_constant(x, 1, sizes, count);
    aten_begin(x, OP_Split, in, sizes ? 2 : 1, count);
    aten_attr(x, ATTR_axis, axis);
    if (!sizes) aten_attr(x, ATTR_num_outputs, count);
    aten_end(x);
    uint32_t o = x->g->n_ops;
    aten_value out = aten_new_list(x, ATEN_LIST, NULL, 0);
    for (uint32_t i = 0; !x->code && o && i < count; i++)
        aten_append(x, out.v.list, aten_view(x, aten_tensor(op_out(x->g, &x->g->ops[o - 1])[i]), t));
    return out;
}

/* Where the parts begin, from the second on, to their sizes: the last goes to the end. The number of parts; 0: too many. */
static uint32_t sizes_between(const aten_list *starts, num whole, num *sizes, uint32_t most)
{
    num at = num_int(0);
    if (starts->n >= most) return 0;
    for (uint32_t i = 0; i <= starts->n; i++) {
        num end = i < starts->n ? aten_bound(starts->v[i], 0) : whole;
        if (num_known(end) && end.v.i < 0) end = num_add(whole, end);
        end = num_min(end, whole);
        sizes[i] = num_max(num_sub(end, at), num_int(0));
        at = end;
    }
    return starts->n + 1;
}

/* chunk(x, n, dim), split(x, size or sizes, dim), tensor_split(x, n or starts, dim) */
static aten_value split(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    enum { PARTS = 1024 };
    num sizes[PARTS];
    uint32_t t = aten_data(x, A(0)), count = 0;
    int64_t axis, k;
    if (t == NO_TENSOR) return aten_unknown();
    axis = aten_axis(x, t, A(2), 0);
    const tensor_shape *s = aten_shape(x, t);
    if (A(1).kind == ATEN_LIST && !strcmp(row->name, "tensor_split")) {
        if (axis < 0 || s->rank <= axis) return aten_unknown();
        count = sizes_between(A(1).v.list, s->dims[axis], sizes, PARTS);
        return split_into(x, t, axis, sizes, count);
    }
    if (A(1).kind == ATEN_LIST) {
        for (; count < A(1).v.list->n && count < PARTS; count++) sizes[count] = aten_bound(A(1).v.list->v[count], 0);
        return split_into(x, t, axis, sizes, count);
    }
    if (!aten_plain_int(A(1), &k) || k < 1) return aten_unknown();
    bool chunk = row->op == OP_Concat;
    if (s->rank <= axis || axis < 0 || !num_known(s->dims[axis]))
        return chunk && k <= PARTS ? split_into(x, t, axis, NULL, (uint32_t)k) : aten_unknown();
    int64_t all = s->dims[axis].v.i, each = chunk ? (all + k - 1) / k : k;
    if (each < 1 || all / each >= PARTS) return aten_unknown();
    for (int64_t at = 0; at < all; at += each) sizes[count++] = num_int(all - at < each ? all - at : each);
    return split_into(x, t, axis, sizes, count);
}

static aten_value unbind(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    enum { PARTS = 1024 };
    (void)row;
    uint32_t t = aten_data(x, A(0));
    if (t == NO_TENSOR) return aten_unknown();
    int64_t axis = aten_axis(x, t, A(1), 0);
    const tensor_shape *s = aten_shape(x, t);
    if (axis < 0 || s->rank <= axis || !num_known(s->dims[axis]) || s->dims[axis].v.i < 1 || s->dims[axis].v.i > PARTS)
        return aten_unknown();
    aten_value parts = split_into(x, t, axis, NULL, (uint32_t)s->dims[axis].v.i);
    for (uint32_t i = 0; !x->code && i < aten_count(parts); i++) {
        aten_value *v = &parts.v.list->v[i];
        if (v->kind == ATEN_TENSOR) *v = aten_view(x, aten_tensor(aten_squeeze(x, v->v.tensor, axis)), t);
    }
    return parts;
}

static aten_value meshgrid(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    num dims[MAX_RANK], one[MAX_RANK];
    (void)row;
    aten_value list = A(0), out = aten_new_list(x, ATEN_LIST, NULL, 0);
    if (list.kind != ATEN_LIST || list.v.list->n > MAX_RANK || x->code) return aten_unknown();
    int rank = (int)list.v.list->n;
    for (int i = 0; i < rank; i++) {
        uint32_t t = aten_data(x, list.v.list->v[i]);
        const tensor_shape *s = t == NO_TENSOR ? NULL : aten_shape(x, t);
        if (!s || s->rank > 1) return aten_unknown();
        dims[i] = s->rank == 1 ? s->dims[0] : s->rank == 0 ? num_int(1) : num_unknown();
    }
    bool swap = A(1).kind == ATEN_TEXT && str_is(A(1).v.text, "xy") && rank >= 2;
    for (int i = 0; i < rank && !x->code; i++) {
        num all[MAX_RANK];
        for (int k = 0; k < rank; k++) {
            int from = swap && k < 2 ? 1 - k : k;
            one[k] = from == i ? dims[i] : num_int(1);
            all[k] = dims[from];
        }
        uint32_t y = aten_reshape(x, aten_data(x, list.v.list->v[i]), one, rank);
        aten_append(x, out.v.list, aten_tensor(aten_emit2(x, OP_Expand, y, aten_constant(x, 1, all, (uint32_t)rank))));
    }
    return out;
}

/* ---- the rest ---- */

/* roll(x, shifts, dims): a kernel for each dim. */
static aten_value roll(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t t = aten_data(x, A(0)), dims = aten_count(A(2));
    if (t == NO_TENSOR) return aten_unknown();
    for (uint32_t i = 0; i < (dims && dims <= MAX_RANK ? dims : 1); i++) t = aten_emit1(x, (op_kind)row->op, t);
    return aten_tensor(t);
}

/* What keeps the shape. */
static aten_value keep(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t t = aten_data(x, A(0));
    return t == NO_TENSOR ? aten_unknown() : aten_tensor(aten_emit1(x, (op_kind)row->op, t));
}

static aten_value triangle(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t t = aten_data(x, A(0));
    if (t == NO_TENSOR) return aten_unknown();
    aten_begin(x, (op_kind)row->op, &t, 1, 1);
    aten_attr(x, ATTR_upper, !strcmp(row->name, "triu"));
    return aten_end(x);
}

/* What changes neither the data nor where it lies, as dropout does when a model is used. */
static aten_value same(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    aten_value v = A(0).kind == ATEN_TENSOR ? aten_tensor(aten_data(x, A(0))) : A(0);
    return !strcmp(row->name, "native_dropout") ? aten_tuple_of(x, v, 2) : v;
}

/* copy_(to, from): broadcast to the size of what is written to, into which it goes in place */
static aten_value copy(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    uint32_t t = aten_data(x, A(0)), from = aten_operand(x, A(1), t);
    if (t == NO_TENSOR || from == NO_TENSOR) return A(0);
    return aten_tensor(aten_emit2(x, OP_TensorScatter, t, from));
}

/* slice_scatter(x, src, dim, start, end, step): of the whole it is src, which views of all dims are written back through. */
static aten_value slice_scatter(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    bool whole = num_is(aten_bound(A(3), 0), 0) && num_is(aten_bound(A(4), INT64_MAX), INT64_MAX) &&
                 num_is(aten_bound(A(5), 1), 1);
    return whole && A(1).kind == ATEN_TENSOR ? A(1) : copy(x, row, arg, n);
}

#define SAME(name)                              \
    {                                           \
        name, "self p train", same, OP_Identity \
    }

const aten_row aten_move_rows[] = {
    {"slice_scatter", "self src dim start end step", slice_scatter, OP_TensorScatter},
    {"select_scatter", "self src dim index", copy, OP_TensorScatter},
    {"copy", "self src non_blocking", copy, OP_TensorScatter},
    {"cat", "tensors dim", cat, OP_Concat},
    {"concat", "tensors dim", cat, OP_Concat},
    {"stack", "tensors dim", cat, OP_Unsqueeze},
    {"hstack", "tensors", stack_like, OP_Concat},
    {"vstack", "tensors", stack_like, OP_Concat},
    {"column_stack", "tensors", stack_like, OP_Concat},
    {"chunk", "self chunks dim", split, OP_Concat},
    {"tensor_split", "self sections dim", split, OP_Concat},
    {"split", "self split_size dim", split, OP_Split},
    {"unsafe_chunk", "self chunks dim", split, OP_Concat},
    {"unsafe_split", "self split_size dim", split, OP_Split},
    {"split_with_sizes", "self split_sizes dim", split, OP_Split},
    {"unbind", "self dim", unbind, OP_Split},
    {"meshgrid", "tensors indexing", meshgrid, OP_Expand},
    {"roll", "self shifts dims", roll, OP_Roll},
    {"flip", "self dims", keep, OP_Reverse},
    {"fliplr", "self", keep, OP_Reverse},
    {"flipud", "self", keep, OP_Reverse},
    {"triu", "self diagonal", triangle, OP_Trilu},
    {"tril", "self diagonal", triangle, OP_Trilu},
    SAME("contiguous"),
    SAME("clone"),
    SAME("detach"),
    SAME("alias"),
    SAME("lift_fresh_copy"),
    SAME("lift_fresh"),
    SAME("lift"),
    SAME("requires_grad"),
    SAME("cpu"),
    SAME("cuda"),
    SAME("data"),
    SAME("real"),
    SAME("resolve_conj"),
    SAME("resolve_neg"),
    SAME("pin_memory"),
    SAME("positive"),
    SAME("conj"),
    SAME("_conj"),
    SAME("dropout1d"),
    SAME("dropout2d"),
    SAME("dropout3d"),
    SAME("set_data"),
    SAME("dropout"),
    SAME("feature_dropout"),
    SAME("alpha_dropout"),
    SAME("feature_alpha_dropout"),
    SAME("native_dropout"),
    {NULL, NULL, NULL, 0},
};
