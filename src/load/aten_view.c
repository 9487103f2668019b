/* Views of tensors, and what repeats them. */
#include "load/aten_rows.h"

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

/* Decomposed products view whatever they take, and what they give, as what it is. */
static bool views_nothing(const aten *x, uint32_t t, const num *dims, int rank)
{
    const tensor_shape *s = aten_shape(x, t);
    if (!x->decomposed || s->rank != rank) return false;
    for (int i = 0; i < rank; i++) {
        if (!num_known(dims[i]) || dims[i].v.i != s->dims[i].v.i || dims[i].sym != s->dims[i].sym) return false;
        if (dims[i].sym >= 0 && dims[i].k != s->dims[i].k) return false;
    }
    return true;
}

static aten_value reshape(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    num dims[MAX_RANK];
    (void)row;
    uint32_t t = aten_data(x, A(0));
    aten_value to = A(1);
    if (to.kind == ATEN_TENSOR) to = aten_shape_list(x, aten_data(x, to)); /* view_as */
    int rank = aten_nums(to, dims, MAX_RANK);
    if (to.kind == ATEN_INT && A(1).kind != ATEN_TENSOR && A(2).kind == ATEN_NONE && t != NO_TENSOR &&
        !strcmp(row->name, "view_dtype"))
        return A(0);
    if (t == NO_TENSOR) return aten_unknown();
    if (rank < 0) return aten_tensor(aten_emit2(x, OP_Reshape, t, aten_constant(x, 1, (num[]){num_unknown()}, 1)));
    if (views_nothing(x, t, dims, rank)) return aten_view(x, aten_tensor(t), t);
    return aten_view(x, aten_tensor(aten_reshape(x, t, dims, rank)), t);
}

static aten_value flatten(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    uint32_t t = aten_data(x, A(0));
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

/* as_strided(x, size, stride): decompositions say so how a mean of an image lies. Other uses depend on strides, which the graph has not. */
static aten_value as_strided(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    num dims[MAX_RANK];
    (void)row;
    uint32_t t = aten_data(x, A(0));
    int rank = aten_nums(A(1), dims, MAX_RANK);
    if (t == NO_TENSOR || rank < 0) return aten_unknown();
    const tensor_shape *s = aten_shape(x, t);
    bool same = s->rank == rank;
    for (int i = 0; same && i < rank; i++)
        same = num_known(dims[i]) && num_known(s->dims[i]) && dims[i].v.i == s->dims[i].v.i;
    return same ? aten_view(x, aten_tensor(t), t) : aten_view(x, aten_tensor(aten_reshape(x, t, dims, rank)), t);
}

static aten_value unflatten(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    num dims[MAX_RANK], parts[MAX_RANK];
    (void)row;
    uint32_t t = aten_data(x, A(0));
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
    uint32_t t = aten_data(x, A(0));
    int rank = aten_ints(A(1), perm, MAX_RANK);
    if (t == NO_TENSOR || rank < 1) return aten_unknown();
    for (int i = 0; i < rank; i++)
        if (perm[i] < 0) perm[i] += rank;
    if (rank == 2 && perm[0] == 1 && aten_rank(x, t) == 2 && x->g->tensors[t].role == ROLE_WEIGHT)
        return aten_tensor(aten_turned(x, t));
    return aten_view(x, aten_tensor(aten_transpose(x, t, perm, rank)), t);
}

/* t, mT, transpose(a, b) */
static aten_value transpose(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    int64_t perm[MAX_RANK];
    uint32_t t = aten_data(x, A(0));
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
    uint32_t t = aten_data(x, A(0));
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
    uint32_t t = aten_data(x, A(0));
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
    uint32_t t = aten_data(x, A(0));
    int64_t axis = 0;
    if (t == NO_TENSOR) return aten_unknown();
    aten_plain_int(A(1), &axis);
    return aten_view(x, aten_tensor(aten_unsqueeze(x, t, axis)), t);
}

static aten_value expand(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    num dims[MAX_RANK];
    (void)row;
    uint32_t t = aten_data(x, A(0));
    aten_value to = A(1).kind == ATEN_TENSOR ? aten_shape_list(x, aten_data(x, A(1))) : A(1);
    int rank = aten_nums(to, dims, MAX_RANK);
    if (t == NO_TENSOR || rank < 0) return A(0);
    const tensor_shape *s = aten_shape(x, t);
    bool same = s->rank == rank;
    for (int i = 0; i < rank; i++) {
        int k = i - (rank - s->rank);
        if (num_is(dims[i], -1)) dims[i] = s->rank >= 0 && k >= 0 ? s->dims[k] : num_int(1);
        same = same && num_known(dims[i]) && num_known(s->dims[k]) && dims[i].v.i == s->dims[k].v.i;
    }
    if (same) return aten_view(x, aten_tensor(t), t); /* decomposed products expand whatever they take */
    return aten_view(x, aten_tensor(aten_emit2(x, OP_Expand, t, aten_constant(x, 1, dims, (uint32_t)rank))), t);
}

/* unfold(x, dim, size, step): windows that overlap, as a view of one more dim */
static aten_value unfold(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    num dims[MAX_RANK + 1];
    uint32_t t = aten_data(x, A(0));
    int64_t size, step;
    if (t == NO_TENSOR || !aten_plain_int(A(2), &size) || !aten_plain_int(A(3), &step)) return aten_unknown();
    const tensor_shape *s = aten_shape(x, t);
    int64_t axis = aten_axis(x, t, A(1), 0);
    int rank = s->rank;
    if (rank < 1 || rank >= MAX_RANK || axis < 0 || axis >= rank || size < 1 || step < 1) return aten_unknown();
    for (int i = 0; i < rank; i++) dims[i] = s->dims[i];
    num length = dims[axis];
    if (!num_known(length) || length.v.i < size) return aten_unknown();
    dims[axis] = num_add(num_floor_div(num_sub(length, num_int(size)), num_int(step)), num_int(1));
    dims[rank] = num_int(size);
    if (size == step &&
        length.v.i % size == 0) { /* which do not overlap: the dim is cut, and its inner part goes to the end */
        num cut[MAX_RANK + 1];
        int64_t perm[MAX_RANK + 1];
        for (int i = 0, k = 0; i < rank; i++) {
            perm[i] = i <= axis ? i : i + 1;
            cut[k++] = dims[i];
            if (i == axis) cut[k++] = num_int(size);
        }
        perm[rank] = axis + 1;
        return aten_view(x, aten_tensor(aten_transpose(x, aten_reshape(x, t, cut, rank + 1), perm, rank + 1)), t);
    }
    t = aten_slice(x, t, axis, num_int(0), dims[axis], num_int(1)); /* as many elements as there are windows */
    return aten_tensor(
        aten_emit2(x, (op_kind)row->op, aten_unsqueeze(x, t, rank), aten_constant(x, 1, dims, (uint32_t)rank + 1)));
}

/* diagonal(x, offset, dim1, dim2): a view */
static aten_value diagonal(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    int64_t offset = 0;
    (void)row;
    uint32_t t = aten_data(x, A(0));
    if (t == NO_TENSOR) return aten_unknown();
    aten_plain_int(A(1), &offset);
    const tensor_shape *s = aten_shape(x, t);
    int64_t a = aten_axis(x, t, A(2), 0), b = aten_axis(x, t, A(3), 1);
    if (s->rank < 2 || a < 0 || b < 0 || a >= s->rank || b >= s->rank || a == b) return aten_unknown();
    num one = offset >= 0 ? s->dims[a] : num_add(s->dims[a], num_int(offset)), other = s->dims[b];
    if (offset > 0) other = num_sub(other, num_int(offset));
    num length = num_min(one, other);
    int64_t keep = a < b ? a : b, gone = a < b ? b : a, perm[MAX_RANK];
    t = aten_squeeze(x, aten_slice(x, t, gone, num_int(0), num_int(1), num_int(1)), gone);
    t = aten_slice(x, t, keep, num_int(0), length, num_int(1));
    int rank = aten_rank(x, t);
    if (rank < 1 || rank > MAX_RANK || x->code) return aten_unknown();
    for (int i = 0; i < rank; i++) perm[i] = i < keep ? i : i + 1 < rank ? i + 1 : keep;
    return keep == rank - 1 ? aten_tensor(t) : aten_tensor(aten_transpose(x, t, perm, rank));
}

/* channel_shuffle(x, groups): cut, turned, joined */
static aten_value channel_shuffle(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    num dims[MAX_RANK];
    int64_t groups, perm[MAX_RANK];
    (void)row;
    uint32_t t = aten_data(x, A(0));
    if (t == NO_TENSOR || !aten_plain_int(A(1), &groups) || groups < 1) return aten_unknown();
    tensor_shape s = *aten_shape(x, t);
    if (s.rank < 3 || s.rank + 1 > MAX_RANK) return aten_unknown();
    for (int i = 0; i <= s.rank; i++) {
        dims[i] = i == 1 ? num_int(groups) : i == 2 ? num_floor_div(s.dims[1], num_int(groups)) : s.dims[i ? i - 1 : 0];
        perm[i] = i == 1 ? 2 : i == 2 ? 1 : i;
    }
    t = aten_transpose(x, aten_reshape(x, t, dims, s.rank + 1), perm, s.rank + 1);
    return aten_tensor(aten_reshape(x, t, s.dims, s.rank));
}

static aten_value repeat(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    num times[MAX_RANK], dims[MAX_RANK];
    (void)row;
    uint32_t t = aten_data(x, A(0));
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
    uint32_t t = aten_data(x, A(0));
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

/* Pairs of numbers [..., n, 2] as complex ones [..., n], and back: nothing moves. */
static aten_value as_complex(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    uint32_t t = aten_data(x, A(0));
    int rank = t == NO_TENSOR ? -1 : aten_rank(x, t);
    if (rank < 1) return aten_unknown();
    return aten_tensor(aten_squeeze(x, aten_slice(x, t, rank - 1, num_int(0), num_int(1), num_int(1)), rank - 1));
}

static aten_value as_real(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    num dims[MAX_RANK];
    (void)row;
    uint32_t t = aten_data(x, A(0));
    int rank = t == NO_TENSOR ? -1 : aten_rank(x, t);
    if (rank < 0 || rank >= MAX_RANK) return aten_unknown();
    for (int i = 0; i < rank; i++) dims[i] = aten_shape(x, t)->dims[i];
    dims[rank] = num_int(2);
    t = aten_unsqueeze(x, t, rank);
    return aten_tensor(aten_emit2(x, OP_Expand, t, aten_constant(x, 1, dims, (uint32_t)rank + 1)));
}

const aten_row aten_view_rows[] = {
    {"view", "self size", reshape, OP_Reshape},
    {"reshape", "self shape", reshape, OP_Reshape},
    {"_unsafe_view", "self size", reshape, OP_Reshape},
    {"view_as", "self other", reshape, OP_Reshape},
    {"reshape_as", "self other", reshape, OP_Reshape},
    {"_reshape_alias", "self size", reshape, OP_Reshape},
    {"flatten", "self start_dim end_dim", flatten, OP_Flatten},
    {"unflatten", "self dim sizes", unflatten, OP_Reshape},
    {"as_strided", "self size stride", as_strided, OP_Reshape},
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
    {"unfold", "self dimension size step", unfold, OP_Expand},
    {"diagonal", "self offset dim1 dim2", diagonal, OP_Slice},
    {"channel_shuffle", "self groups", channel_shuffle, OP_Reshape},
    {"native_channel_shuffle", "self groups", channel_shuffle, OP_Reshape},
    {"expand", "self size implicit", expand, OP_Expand},
    {"expand_as", "self other", expand, OP_Expand},
    {"broadcast_to", "self size", expand, OP_Expand},
    {"repeat", "self repeats", repeat, OP_Tile},
    {"tile", "self dims", repeat, OP_Tile},
    {"repeat_interleave", "self repeats dim", repeat_interleave, OP_Expand},
    {"view_as_real", "self", as_real, 0},
    {"view_as_complex", "self", as_complex, 0},
    {NULL, NULL, NULL, 0},
};
