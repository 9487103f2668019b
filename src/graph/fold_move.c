/* Folding of operators that move elements about, and of reductions. */
#include "graph/shape_internal.h"

void fold_view(infer *x, const op *o)
{
    const tensor_shape *t = in_at(x, o, 0);
    tensor_shape *out = out_at(x, o, 0);
    if (!t || !t->value || count_upto(out, FOLD_MAX) != (int64_t)t->value_count) return;
    fold_set(x, o, 0, t->value, t->value_count);
}

/* Row-major strides of the dims themselves. */
static void plain_strides(const tensor_shape *t, int64_t *strides)
{
    int64_t step = 1;
    for (int i = t->rank - 1; i >= 0; i--) {
        strides[i] = step;
        step *= t->dims[i].v.i;
    }
}

static bool next_index(const tensor_shape *t, int64_t *at)
{
    for (int i = t->rank - 1; i >= 0; i--) {
        if (++at[i] < t->dims[i].v.i) return true;
        at[i] = 0;
    }
    return false;
}

void fold_transpose(infer *x, const op *o)
{
    const tensor_shape *t = in_at(x, o, 0), *out = out_at(x, o, 0);
    const int64_t *perm;
    uint32_t n, given = op_attr_ints(x->g, o, ATTR_perm, &perm);
    int64_t strides[MAX_RANK], step[MAX_RANK], at[MAX_RANK] = {0};
    if (!has_rank(t) || !t->value) return;
    num *v = fold_room(x, o, 0, &n);
    if (!v || n != t->value_count) return;
    plain_strides(t, strides);
    for (int i = 0; i < t->rank; i++) {
        int64_t axis = given ? perm[i] : t->rank - 1 - i;
        axis_fix(&axis, t->rank);
        step[i] = strides[axis];
    }
    for (uint32_t i = 0; i < n; i++, next_index(out, at)) {
        int64_t from = 0;
        for (int k = 0; k < t->rank; k++) from += at[k] * step[k];
        v[i] = t->value[from];
    }
    fold_set(x, o, 0, v, n);
}

/* Element at[] modulo the input's dims: serves Expand (dims of 1 repeat) and Tile (all do). */
static void repeat(infer *x, const op *o)
{
    const tensor_shape *t = in_at(x, o, 0), *out = out_at(x, o, 0);
    uint32_t n;
    int64_t strides[MAX_RANK], at[MAX_RANK] = {0};
    if (!has_rank(t) || !t->value) return;
    num *v = fold_room(x, o, 0, &n);
    if (!v || (n && !t->value_count)) return;
    plain_strides(t, strides);
    int shift = out->rank - t->rank;
    for (uint32_t i = 0; i < n; i++, next_index(out, at)) {
        int64_t from = 0;
        for (int k = 0; k < t->rank; k++) from += at[shift + k] % t->dims[k].v.i * strides[k];
        v[i] = t->value[from];
    }
    fold_set(x, o, 0, v, n);
}

void fold_expand(infer *x, const op *o)
{
    repeat(x, o);
}

void fold_tile(infer *x, const op *o)
{
    repeat(x, o);
}

/* Parts whose values aren't known leave unknown elements: the others may be all that a reshape needs. */
void fold_concat(infer *x, const op *o)
{
    const tensor_shape *out = out_at(x, o, 0);
    int64_t axis = op_attr_int(x->g, o, ATTR_axis, 1), outer = 1, inner = 1, at = 0;
    uint32_t n;
    bool any = false;
    for (uint32_t i = 0; i < o->n_in; i++) {
        const tensor_shape *t = in_at(x, o, i);
        if (!has_rank(t) || count_upto(t, FOLD_MAX) < 0) return;
        any |= t->value != NULL;
    }
    if (!any || !axis_fix(&axis, out->rank)) return;
    num *v = fold_room(x, o, 0, &n);
    if (!v) return;
    for (int64_t i = 0; i < axis; i++) outer *= out->dims[i].v.i;
    for (int64_t i = axis + 1; i < out->rank; i++) inner *= out->dims[i].v.i;
    int64_t row = out->dims[axis].v.i * inner;
    for (uint32_t i = 0; i < o->n_in; i++) {
        const tensor_shape *t = in_at(x, o, i);
        int64_t part = t->dims[axis].v.i * inner;
        if (outer * part != count_upto(t, FOLD_MAX) || at + part > row) return;
        for (int64_t k = 0; k < outer; k++)
            for (int64_t p = 0; p < part; p++) v[k * row + at + p] = t->value ? t->value[k * part + p] : num_unknown();
        at += part;
    }
    if (at == row) fold_set(x, o, 0, v, n);
}

/* Constant padding only: the other modes don't occur in shape arithmetic. */
void fold_pad(infer *x, const op *o)
{
    const tensor_shape *t = in_at(x, o, 0), *out = out_at(x, o, 0), *fill = in_at(x, o, 2);
    str mode = op_attr_str(x->g, o, ATTR_mode);
    int_list pads = list_get(x, o, 1, ATTR_pads);
    uint32_t n;
    if (!has_rank(t) || !t->value || !pads.known || in_at(x, o, 3) || pads.n != 2 * (uint32_t)t->rank) return;
    if (mode.len && !str_is(mode, "constant")) return;
    if (fill && (!fill->value || fill->value_count != 1)) return;
    num *v = fold_room(x, o, 0, &n);
    if (!v) return;
    int64_t strides[MAX_RANK], at[MAX_RANK] = {0};
    num zero = is_float(t) ? (num){{.f = 0}, 0, SYM_NONE} : num_int(0);
    plain_strides(t, strides);
    for (uint32_t i = 0; i < n; i++, next_index(out, at)) {
        int64_t from = 0;
        bool inside = true;
        for (int k = 0; k < t->rank; k++) {
            int64_t p = at[k] - list_at(&pads, (uint32_t)k).v.i;
            inside &= p >= 0 && p < t->dims[k].v.i;
            from += inside ? p * strides[k] : 0;
        }
        v[i] = inside ? t->value[from] : fill ? fill->value[0] : zero;
    }
    fold_set(x, o, 0, v, n);
}

void fold_trilu(infer *x, const op *o)
{
    const tensor_shape *t = in_at(x, o, 0), *diagonal = in_at(x, o, 1);
    bool upper = op_attr_int(x->g, o, ATTR_upper, 1) != 0;
    uint32_t n;
    int64_t k = 0;
    if (!has_rank(t) || !t->value || t->rank < 2 || count_upto(t, FOLD_MAX) <= 0) return;
    if (diagonal) {
        if (!diagonal->value || diagonal->value_count != 1 || !num_known(diagonal->value[0])) return;
        k = diagonal->value[0].v.i;
        if (k > FOLD_MAX || k < -FOLD_MAX) return;
    }
    num *v = fold_room(x, o, 0, &n);
    if (!v || n != t->value_count) return;
    int64_t columns = t->dims[t->rank - 1].v.i, rows = t->dims[t->rank - 2].v.i;
    for (uint32_t i = 0; i < n; i++) {
        int64_t c = i % columns, r = i / columns % rows;
        bool kept = upper ? c >= r + k : c <= r + k;
        v[i] = kept ? t->value[i] : is_float(t) ? (num){{.f = 0}, 0, SYM_NONE} : num_int(0);
    }
    fold_set(x, o, 0, v, n);
}

/* ---- reductions ---- */

static num start_value(op_kind kind, bool floating)
{
    bool one = kind == OP_ReduceProd || kind == OP_ReduceAll;
    return floating ? (num){{.f = one}, 0, SYM_NONE} : num_int(one);
}

static num mean_of(num sum, int64_t count, bool floating, dtype d)
{
    if (!num_known(sum)) return sum;
    if (!floating) return num_floor_div(sum, num_int(count));
    return fold_apply2(OP_Div, d, sum, (num){{.f = (double)count}, 0, SYM_NONE});
}

void fold_reduce(infer *x, const op *o)
{
    const tensor_shape *t = in_at(x, o, 0), *out = out_at(x, o, 0);
    int_list axes = list_get(x, o, 1, ATTR_axes);
    uint64_t mask = UINT64_MAX;
    uint32_t n;
    int64_t step[MAX_RANK], at[MAX_RANK] = {0}, stride = 1;
    if (!has_rank(t) || !t->value) return;
    if (axes.given && !(axes.known && axes.n == 0) && axes_mask(&axes, t->rank, &mask) != AXES_OK) return;
    if (mask == UINT64_MAX && op_attr_int(x->g, o, ATTR_noop_with_empty_axes, 0)) {
        fold_view(x, o);
        return;
    }
    num *v = fold_room(x, o, 0, &n);
    if (!v || !n || !t->value_count) return;
    for (int i = t->rank - 1; i >= 0; i--) {
        bool drop = mask >> i & 1;
        step[i] = drop ? 0 : stride;
        if (!drop) stride *= t->dims[i].v.i;
    }
    if (stride != (int64_t)n) return;
    dtype d = (dtype)t->dtype;
    op_kind kind = o->kind == OP_ReduceMean ? OP_ReduceSum : (op_kind)o->kind;
    bool first_counts = kind == OP_ReduceMax || kind == OP_ReduceMin, floating = is_float(t);
    uint8_t seen[FOLD_MAX / 8] = {0};
    for (uint32_t i = 0; i < n; i++) v[i] = start_value(kind, floating);
    for (uint32_t i = 0; i < t->value_count; i++, next_index(t, at)) {
        int64_t to = 0;
        for (int k = 0; k < t->rank; k++) to += at[k] * step[k];
        bool first = first_counts && !(seen[to / 8] >> (to % 8) & 1);
        bool bounded = !first && kind == OP_ReduceMin && x->detects && num_known(v[to]) != num_known(t->value[i]);
        if (bounded) v[to] = num_known(v[to]) ? v[to] : t->value[i]; /* as many boxes as may go on */
        else v[to] = first ? t->value[i] : fold_apply2(kind, d, v[to], t->value[i]);
        seen[to / 8] |= (uint8_t)(1u << (to % 8));
    }
    for (uint32_t i = 0; i < n && o->kind == OP_ReduceMean; i++) v[i] = mean_of(v[i], t->value_count / n, floating, d);
    fold_set(x, o, 0, v, n);
    (void)out;
}

void fold_cumsum(infer *x, const op *o)
{
    const tensor_shape *t = in_at(x, o, 0), *at = in_at(x, o, 1);
    uint32_t n;
    if (!has_rank(t) || !t->value || !at || !at->value || at->value_count != 1 || !num_known(at->value[0])) return;
    int64_t axis = at->value[0].v.i, inner = 1;
    if (!axis_fix(&axis, t->rank) || count_upto(t, FOLD_MAX) <= 0) return;
    num *v = fold_room(x, o, 0, &n);
    if (!v || n != t->value_count) return;
    for (int64_t i = axis + 1; i < t->rank; i++) inner *= t->dims[i].v.i;
    int64_t length = t->dims[axis].v.i;
    bool exclusive = op_attr_int(x->g, o, ATTR_exclusive, 0) != 0, reverse = op_attr_int(x->g, o, ATTR_reverse, 0) != 0;
    for (int64_t start = 0; start < (int64_t)n; start++) {
        if (start / inner % length != 0) continue; /* each line along the axis once */
        num sum = start_value(OP_ReduceSum, is_float(t));
        for (int64_t i = 0; i < length; i++) {
            int64_t k = start + (reverse ? length - 1 - i : i) * inner;
            num next = fold_apply2(OP_Add, (dtype)t->dtype, sum, t->value[k]);
            v[k] = exclusive ? sum : next;
            sum = next;
        }
    }
    fold_set(x, o, 0, v, n);
}
