/* Views, slices, joins and gathers. */
#include "load/aten.h"

#define A(i) (i < n ? arg[i] : aten_none())

static uint32_t tensor_arg(aten *x, aten_value v)
{
    return v.kind == ATEN_TENSOR ? aten_operand(x, v, NO_TENSOR) : NO_TENSOR;
}

/* ---- what other files use ---- */

int64_t aten_axis(const aten *x, uint32_t t, aten_value v, int64_t fallback)
{
    int64_t axis = fallback;
    int rank = t == NO_TENSOR ? -1 : aten_rank(x, t);
    if (v.kind == ATEN_LIST && v.v.list->n == 1) v = v.v.list->v[0];
    aten_plain_int(v, &axis);
    return axis < 0 && rank >= 0 ? axis + rank : axis;
}

/* Two symbols in one size ("batch * sequence") hold for the sizes of now alone: such a size is left to be computed from the others.
 * Where another one is already, as in view(b * t, -1), that one is what is left of the input behind the dims in front. */
static void leave_open(const tensor_shape *s, num *dims, int rank)
{
    int opaque = -1, hole = -1;
    for (int i = 0; i < rank; i++) {
        if (num_is(dims[i], -1) || !num_known(dims[i])) {
            if (hole >= 0) return;
            hole = i;
        } else if (dims[i].sym == SYM_OPAQUE) {
            if (opaque >= 0) return;
            opaque = i;
        }
    }
    if (opaque < 0) return;
    if (hole >= 0) {
        num front = num_int(1), rest = num_int(1);
        int i = 0;
        if (opaque || hole != 1 || rank != 2) return;
        while (i < s->rank && front.v.i < dims[0].v.i && num_known(front)) front = num_mul(front, s->dims[i++]);
        if (!num_known(front) || front.v.i != dims[0].v.i) return;
        while (i < s->rank) rest = num_mul(rest, s->dims[i++]);
        if (!num_known(rest) || rest.sym == SYM_OPAQUE) return;
        dims[hole] = rest;
    }
    dims[opaque] = num_int(-1);
}

uint32_t aten_reshape(aten *x, uint32_t t, const num *dims, int rank)
{
    num to[MAX_RANK];
    if (t == NO_TENSOR || x->code) return NO_TENSOR;
    if (rank <= MAX_RANK) {
        memcpy(to, dims, (size_t)rank * sizeof *dims);
        leave_open(aten_shape(x, t), to, rank);
        dims = to;
    }
    return aten_emit2(x, OP_Reshape, t, aten_constant(x, 1, dims, (uint32_t)rank));
}

uint32_t aten_unsqueeze(aten *x, uint32_t t, int64_t axis)
{
    num a = num_int(axis);
    if (t == NO_TENSOR || x->code) return NO_TENSOR;
    return aten_emit2(x, OP_Unsqueeze, t, aten_constant(x, 1, &a, 1));
}

uint32_t aten_squeeze(aten *x, uint32_t t, int64_t axis)
{
    num a = num_int(axis);
    if (t == NO_TENSOR || x->code) return NO_TENSOR;
    return aten_emit2(x, OP_Squeeze, t, aten_constant(x, 1, &a, 1));
}

uint32_t aten_transpose(aten *x, uint32_t t, const int64_t *perm, int rank)
{
    if (t == NO_TENSOR || x->code) return NO_TENSOR;
    aten_begin(x, OP_Transpose, &t, 1, 1);
    aten_attr_list(x, ATTR_perm, perm, (uint32_t)rank);
    aten_end(x);
    return aten_output(x, 0);
}

aten_value aten_shape_list(aten *x, uint32_t t)
{
    const tensor_shape *s = aten_shape(x, t);
    aten_value out = aten_new_list(x, ATEN_LIST, NULL, 0);
    if (x->code) return out;
    out.v.list->sizes = s->rank < 0;
    if (s->rank < 0 && t < x->n_tensors && x->origin[t]) {
        out.of = ATEN_OF_DIM;
        out.input = (uint16_t)(x->origin[t] - 1);
    }
    for (int i = 0; i < s->rank; i++) aten_append(x, out.v.list, aten_int(s->dims[i]));
    return out;
}

/* ---- views ---- */

static aten_value reshape(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    num dims[MAX_RANK];
    (void)row;
    uint32_t t = tensor_arg(x, A(0));
    aten_value to = A(1);
    if (to.kind == ATEN_TENSOR) to = aten_shape_list(x, tensor_arg(x, to)); /* view_as */
    int rank = aten_nums(to, dims, MAX_RANK);
    if (to.kind == ATEN_INT && A(1).kind != ATEN_TENSOR && A(2).kind == ATEN_NONE && t != NO_TENSOR &&
        !strcmp(row->name, "view_dtype"))
        return A(0);
    if (t == NO_TENSOR) return aten_unknown();
    if (rank < 0) return aten_tensor(aten_emit2(x, OP_Reshape, t, aten_constant(x, 1, (num[]){num_unknown()}, 1)));
    return aten_view(x, aten_tensor(aten_reshape(x, t, dims, rank)), t);
}

static aten_value flatten(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    uint32_t t = tensor_arg(x, A(0));
    if (t == NO_TENSOR) return aten_unknown();
    const tensor_shape *s = aten_shape(x, t);
    int64_t from = aten_axis(x, t, A(1), 0), to = aten_axis(x, t, A(2), -1);
    if (s->rank < 0 || (from == 1 && to == s->rank - 1)) {
        aten_begin(x, OP_Flatten, &t, 1, 1);
        aten_attr(x, ATTR_axis, 1);
        return aten_view(x, aten_end(x), t);
    }
    num dims[MAX_RANK];
    int rank = 0;
    if (!s->rank) return aten_tensor(aten_reshape(x, t, (num[]){num_int(1)}, 1));
    if (from < 0 || to >= s->rank || from > to) return aten_unknown();
    for (int i = 0; i < s->rank; i++) {
        if (i > from && i <= to) dims[rank - 1] = num_mul(dims[rank - 1], s->dims[i]);
        else dims[rank++] = s->dims[i];
    }
    return aten_view(x, aten_tensor(aten_reshape(x, t, dims, rank)), t);
}

static aten_value unflatten(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    num dims[MAX_RANK], parts[MAX_RANK];
    (void)row;
    uint32_t t = tensor_arg(x, A(0));
    int count = aten_nums(A(2), parts, MAX_RANK), rank = 0;
    if (t == NO_TENSOR) return aten_unknown();
    const tensor_shape *s = aten_shape(x, t);
    int64_t axis = aten_axis(x, t, A(1), 0);
    if (s->rank < 0 || count < 1 || axis >= s->rank || s->rank + count > MAX_RANK) return aten_unknown();
    for (int i = 0; i < s->rank; i++) {
        for (int k = 0; i == axis && k < count; k++) dims[rank++] = parts[k];
        if (i != axis) dims[rank++] = s->dims[i];
    }
    return aten_view(x, aten_tensor(aten_reshape(x, t, dims, rank)), t);
}

static aten_value permute(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    int64_t perm[MAX_RANK];
    (void)row;
    uint32_t t = tensor_arg(x, A(0));
    int rank = aten_ints(A(1), perm, MAX_RANK);
    if (t == NO_TENSOR || rank < 1) return aten_unknown();
    for (int i = 0; i < rank; i++)
        if (perm[i] < 0) perm[i] += rank;
    return aten_view(x, aten_tensor(aten_transpose(x, t, perm, rank)), t);
}

/* t, mT, transpose(a, b) */
static aten_value transpose(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    int64_t perm[MAX_RANK];
    uint32_t t = tensor_arg(x, A(0));
    if (t == NO_TENSOR) return aten_unknown();
    int rank = aten_rank(x, t);
    bool two = row->op == OP_Transpose; /* gives both axes */
    if (rank < 0) {
        int64_t one = -1, other = -1;
        uint32_t turned = aten_emit1(x, OP_Transpose, t);
        bool in_front = two && aten_plain_int(A(1), &one) && aten_plain_int(A(2), &other) && one + other == 1;
        if (in_front && one >= 0 && other >= 0) aten_keep_origin(x, t, turned); /* batch and sequence change places */
        return aten_tensor(turned);
    }
    int64_t a = two ? aten_axis(x, t, A(1), 0) : rank - 2, b = two ? aten_axis(x, t, A(2), 1) : rank - 1;
    if (rank < 2 || a < 0 || b < 0 || a >= rank || b >= rank || a == b) return aten_tensor(t);
    if (rank == 2 && x->g->tensors[t].role == ROLE_WEIGHT) return aten_tensor(aten_turned(x, t));
    for (int i = 0; i < rank; i++) perm[i] = i;
    perm[a] = b;
    perm[b] = a;
    return aten_view(x, aten_tensor(aten_transpose(x, t, perm, rank)), t);
}

static aten_value move_axis(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    int64_t from[MAX_RANK], to[MAX_RANK], perm[MAX_RANK];
    (void)row;
    uint32_t t = tensor_arg(x, A(0));
    int k = aten_ints(A(1), from, MAX_RANK), m = aten_ints(A(2), to, MAX_RANK),
        rank = t == NO_TENSOR ? -1 : aten_rank(x, t);
    if (rank < 1 || k < 1 || k != m) return aten_unknown();
    bool used[MAX_RANK] = {false};
    for (int i = 0; i < rank; i++) perm[i] = -1;
    for (int i = 0; i < k; i++) {
        if (from[i] < 0) from[i] += rank;
        if (to[i] < 0) to[i] += rank;
        if (from[i] < 0 || to[i] < 0 || from[i] >= rank || to[i] >= rank) return aten_unknown();
        perm[to[i]] = from[i];
        used[from[i]] = true;
    }
    for (int i = 0, next = 0; i < rank; i++) {
        if (perm[i] >= 0) continue;
        while (next < rank && used[next]) next++;
        if (next == rank) return aten_unknown();
        perm[i] = next++;
    }
    return aten_view(x, aten_tensor(aten_transpose(x, t, perm, rank)), t);
}

static aten_value squeeze(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    int64_t list[MAX_RANK];
    num axes[MAX_RANK];
    int count = 0, given;
    (void)row;
    uint32_t t = tensor_arg(x, A(0));
    if (t == NO_TENSOR) return aten_unknown();
    const tensor_shape *s = aten_shape(x, t);
    given = A(1).kind == ATEN_NONE ? 0 : aten_ints(A(1), list, MAX_RANK);
    if (s->rank < 0)
        return given > 0 ? aten_tensor(aten_squeeze(x, t, list[0])) : aten_tensor(aten_emit1(x, OP_Squeeze, t));
    for (int i = 0; i < s->rank; i++) {
        bool wanted = given <= 0;
        for (int k = 0; k < given; k++) wanted |= list[k] == i || list[k] + s->rank == i;
        if (wanted && num_is(s->dims[i], 1)) axes[count++] = num_int(i);
    }
    if (!count) return aten_tensor(t);
    return aten_view(x, aten_tensor(aten_emit2(x, OP_Squeeze, t, aten_constant(x, 1, axes, (uint32_t)count))), t);
}

static aten_value unsqueeze(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    uint32_t t = tensor_arg(x, A(0));
    int64_t axis = 0;
    if (t == NO_TENSOR) return aten_unknown();
    aten_plain_int(A(1), &axis);
    return aten_view(x, aten_tensor(aten_unsqueeze(x, t, axis)), t);
}

static aten_value expand(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    num dims[MAX_RANK];
    (void)row;
    uint32_t t = tensor_arg(x, A(0));
    aten_value to = A(1).kind == ATEN_TENSOR ? aten_shape_list(x, tensor_arg(x, A(1))) : A(1);
    int rank = aten_nums(to, dims, MAX_RANK);
    if (t == NO_TENSOR || rank < 0) return A(0);
    const tensor_shape *s = aten_shape(x, t);
    for (int i = 0; i < rank; i++) {
        int k = i - (rank - s->rank);
        if (num_is(dims[i], -1)) dims[i] = s->rank >= 0 && k >= 0 ? s->dims[k] : num_int(1);
    }
    return aten_view(x, aten_tensor(aten_emit2(x, OP_Expand, t, aten_constant(x, 1, dims, (uint32_t)rank))), t);
}

static aten_value repeat(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    num times[MAX_RANK], dims[MAX_RANK];
    (void)row;
    uint32_t t = tensor_arg(x, A(0));
    int rank = aten_nums(A(1), times, MAX_RANK);
    if (t == NO_TENSOR || rank < 1) return aten_unknown();
    const tensor_shape *s = aten_shape(x, t);
    if (s->rank >= 0 && s->rank < rank) {
        for (int i = 0; i < rank; i++) dims[i] = i < rank - s->rank ? num_int(1) : s->dims[i - (rank - s->rank)];
        t = aten_reshape(x, t, dims, rank);
    }
    return aten_tensor(aten_emit2(x, OP_Tile, t, aten_constant(x, 1, times, (uint32_t)rank)));
}

static aten_value repeat_interleave(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    num dims[MAX_RANK], wide[MAX_RANK];
    (void)row;
    uint32_t t = tensor_arg(x, A(0));
    int64_t axis = aten_axis(x, t, A(2), 0);
    if (t == NO_TENSOR || A(1).kind != ATEN_INT) return aten_unknown();
    const tensor_shape *s = aten_shape(x, t);
    int rank = s->rank;
    if (rank < 1 || rank + 1 > MAX_RANK || axis < 0 || axis >= rank) return aten_unknown();
    for (int i = 0, k = 0; i < rank; i++) {
        dims[i] = i == axis ? num_mul(s->dims[i], A(1).v.n) : s->dims[i];
        wide[k++] = s->dims[i];
        if (i == axis) wide[k++] = A(1).v.n;
    }
    uint32_t y = aten_unsqueeze(x, t, axis + 1);
    y = aten_emit2(x, OP_Expand, y, aten_constant(x, 1, wide, (uint32_t)rank + 1));
    return aten_tensor(aten_reshape(x, y, dims, rank));
}

/* ---- slices ---- */

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

static num bound(aten_value v, int64_t fallback)
{
    return v.kind == ATEN_NONE ? num_int(fallback) : v.kind == ATEN_INT ? v.v.n : num_unknown();
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
    uint32_t t = tensor_arg(x, A(0));
    if (t == NO_TENSOR) return aten_unknown();
    num from = bound(A(2), 0), to = bound(A(3), INT64_MAX), step = bound(A(4), 1);
    int64_t axis = aten_axis(x, t, A(1), 0);
    const tensor_shape *s = aten_shape(x, t);
    bool whole = num_is(to, INT64_MAX) || (s->rank > axis && axis >= 0 && num_same(to, s->dims[axis]));
    if (num_is(from, 0) && whole && num_is(step, 1)) return aten_tensor(t);
    return aten_view(x, aten_tensor(aten_slice(x, t, axis, from, to, step)), t);
}

static aten_value narrow(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    uint32_t t = tensor_arg(x, A(0));
    if (t == NO_TENSOR) return aten_unknown();
    num from = bound(A(2), 0), length = bound(A(3), 0);
    return aten_view(
        x, aten_tensor(aten_slice(x, t, aten_axis(x, t, A(1), 0), from, num_add(from, length), num_int(1))), t);
}

/* A view of one element of an axis, which goes. */
static aten_value select(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    uint32_t t = tensor_arg(x, A(0));
    if (t == NO_TENSOR) return aten_unknown();
    int64_t axis = aten_axis(x, t, A(1), 0);
    const tensor_shape *s = aten_shape(x, t);
    num at = bound(A(2), 0);
    if (A(2).kind == ATEN_TENSOR || !num_known(at) || x->g->tensors[t].dtype == DT_INT64 || s->value) {
        aten_begin(x, OP_Gather, (uint32_t[]){t, aten_operand(x, A(2), NO_TENSOR)}, 2, 1);
        aten_attr(x, ATTR_axis, axis);
        return aten_end(x);
    }
    num end = num_is(at, -1) ? num_int(INT64_MAX) : num_add(at, num_int(1));
    uint32_t y = aten_squeeze(x, aten_slice(x, t, axis, at, end, num_int(1)), axis);
    aten_pass_origin(x, t, y);
    return aten_view(x, aten_tensor(y), t);
}

static aten_value gather(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t t = tensor_arg(x, A(0)), at = tensor_arg(x, A(2));
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
    uint32_t t = tensor_arg(x, A(0)), in[MAX_RANK], count = 0;
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

/* Pairs of numbers [..., n, 2] as complex ones [..., n], and back: nothing moves. */
static aten_value as_complex(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    uint32_t t = tensor_arg(x, A(0));
    int rank = t == NO_TENSOR ? -1 : aten_rank(x, t);
    if (rank < 1) return aten_unknown();
    return aten_tensor(aten_squeeze(x, aten_slice(x, t, rank - 1, num_int(0), num_int(1), num_int(1)), rank - 1));
}

static aten_value as_real(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    num dims[MAX_RANK];
    (void)row;
    uint32_t t = tensor_arg(x, A(0));
    int rank = t == NO_TENSOR ? -1 : aten_rank(x, t);
    if (rank < 0 || rank >= MAX_RANK) return aten_unknown();
    for (int i = 0; i < rank; i++) dims[i] = aten_shape(x, t)->dims[i];
    dims[rank] = num_int(2);
    t = aten_unsqueeze(x, t, rank);
    return aten_tensor(aten_emit2(x, OP_Expand, t, aten_constant(x, 1, dims, (uint32_t)rank + 1)));
}

/* scatter(x, dim, index, src), index_put(x, indices, values): the size of x */
static aten_value scatter(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t in[3] = {tensor_arg(x, A(0)), NO_TENSOR, NO_TENSOR};
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
        uint32_t t = tensor_arg(x, list.v.list->v[i]);
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

/* chunk(x, n, dim), split(x, size or sizes, dim) */
static aten_value split(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    enum { PARTS = 1024 };
    num sizes[PARTS];
    uint32_t t = tensor_arg(x, A(0)), count = 0;
    int64_t axis, k;
    if (t == NO_TENSOR) return aten_unknown();
    axis = aten_axis(x, t, A(2), 0);
    const tensor_shape *s = aten_shape(x, t);
    if (A(1).kind == ATEN_LIST) {
        for (; count < A(1).v.list->n && count < PARTS; count++) sizes[count] = bound(A(1).v.list->v[count], 0);
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
    uint32_t t = tensor_arg(x, A(0));
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
        uint32_t t = tensor_arg(x, list.v.list->v[i]);
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
        uint32_t y = aten_reshape(x, tensor_arg(x, list.v.list->v[i]), one, rank);
        aten_append(x, out.v.list, aten_tensor(aten_emit2(x, OP_Expand, y, aten_constant(x, 1, all, (uint32_t)rank))));
    }
    return out;
}

/* What keeps the shape: roll, flip, triu and tril. */
static aten_value keep(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t t = tensor_arg(x, A(0));
    return t == NO_TENSOR ? aten_unknown() : aten_tensor(aten_emit1(x, (op_kind)row->op, t));
}

/* What changes neither the data nor where it lies. */
static aten_value same(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    return A(0).kind == ATEN_TENSOR ? aten_tensor(tensor_arg(x, A(0))) : A(0);
}

/* copy_(to, from): broadcast to the size of what is written to, into which it goes in place */
static aten_value copy(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    uint32_t t = tensor_arg(x, A(0)), from = aten_operand(x, A(1), t);
    if (t == NO_TENSOR || from == NO_TENSOR) return A(0);
    return aten_tensor(aten_emit2(x, OP_TensorScatter, t, from));
}

#define SAME(name)                      \
    {                                   \
        name, "self", same, OP_Identity \
    }

const aten_row aten_move_rows[] = {
    {"view", "self size", reshape, OP_Reshape},
    {"reshape", "self shape", reshape, OP_Reshape},
    {"_unsafe_view", "self size", reshape, OP_Reshape},
    {"view_as", "self other", reshape, OP_Reshape},
    {"reshape_as", "self other", reshape, OP_Reshape},
    {"_reshape_alias", "self size", reshape, OP_Reshape},
    {"flatten", "self start_dim end_dim", flatten, OP_Flatten},
    {"unflatten", "self dim sizes", unflatten, OP_Reshape},
    {"permute", "self dims", permute, OP_Transpose},
    {"transpose", "self dim0 dim1", transpose, OP_Transpose},
    {"swapaxes", "self axis0 axis1", transpose, OP_Transpose},
    {"swapdims", "self dim0 dim1", transpose, OP_Transpose},
    {"t", "self", transpose, OP_Identity},
    {"numpy_T", "self", transpose, OP_Identity},
    {"mT", "self", transpose, OP_Identity},
    {"movedim", "self source destination", move_axis, OP_Transpose},
    {"moveaxis", "self source destination", move_axis, OP_Transpose},
    {"squeeze", "self dim", squeeze, OP_Squeeze},
    {"unsqueeze", "self dim", unsqueeze, OP_Unsqueeze},
    {"expand", "self size implicit", expand, OP_Expand},
    {"expand_as", "self other", expand, OP_Expand},
    {"broadcast_to", "self size", expand, OP_Expand},
    {"repeat", "self repeats", repeat, OP_Tile},
    {"tile", "self dims", repeat, OP_Tile},
    {"repeat_interleave", "self repeats dim", repeat_interleave, OP_Expand},
    {"slice", "self dim start end step", slice, OP_Slice},
    {"narrow", "self dim start length", narrow, OP_Slice},
    {"select", "self dim index", select, OP_Slice},
    {"index_select", "self dim index", gather, OP_Gather},
    {"gather", "self dim index", gather, OP_GatherElements},
    {"take_along_dim", "self indices dim", take_along, OP_GatherElements},
    {"index", "self indices", index, OP_Gather},
    {"_unsafe_index", "self indices", index, OP_Gather},
    {"scatter", "self dim index src", scatter, OP_ScatterElements},
    {"scatter_add", "self dim index src", scatter, OP_ScatterElements},
    {"scatter_reduce", "self dim index src", scatter, OP_ScatterElements},
    {"index_put", "self indices values accumulate", scatter, OP_Scatter},
    {"index_add", "self dim index source", scatter, OP_Scatter},
    {"index_copy", "self dim index source", scatter, OP_Scatter},
    {"index_fill", "self dim index value", scatter, OP_Scatter},
    {"masked_scatter", "self mask source", scatter, OP_Scatter},
    {"slice_scatter", "self src dim start end step", copy, OP_TensorScatter},
    {"select_scatter", "self src dim index", copy, OP_TensorScatter},
    {"copy", "self src non_blocking", copy, OP_TensorScatter},
    {"cat", "tensors dim", cat, OP_Concat},
    {"concat", "tensors dim", cat, OP_Concat},
    {"stack", "tensors dim", cat, OP_Unsqueeze},
    {"chunk", "self chunks dim", split, OP_Concat},
    {"tensor_split", "self sections dim", split, OP_Concat},
    {"split", "self split_size dim", split, OP_Split},
    {"unsafe_chunk", "self chunks dim", split, OP_Concat},
    {"unsafe_split", "self split_size dim", split, OP_Split},
    {"split_with_sizes", "self split_sizes dim", split, OP_Split},
    {"unbind", "self dim", unbind, OP_Split},
    {"meshgrid", "tensors indexing", meshgrid, OP_Expand},
    {"roll", "self shifts dims", keep, OP_Roll},
    {"flip", "self dims", keep, OP_Reverse},
    {"triu", "self diagonal", keep, OP_Trilu},
    {"tril", "self diagonal", keep, OP_Trilu},
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
    {"view_as_real", "self", as_real, 0},
    {"view_as_complex", "self", as_complex, 0},
    SAME("resolve_conj"),
    SAME("resolve_neg"),
    SAME("pin_memory"),
    SAME("set_data"),
    {NULL, NULL, NULL, 0},
};
