/* Folding of slicing, gathering and scattering, and of operators that make small tables. */
#include "graph/shape_internal.h"

/* An index into a dim, negative ones counted from the end; -1 when it isn't known or outside. */
static int64_t index_in(num n, int64_t dim)
{
    if (!num_known(n)) return -1;
    int64_t i = n.v.i < 0 ? n.v.i + dim : n.v.i;
    return i >= 0 && i < dim ? i : -1;
}

static bool has_value(const tensor_shape *t)
{
    return has_rank(t) && t->value && count_upto(t, FOLD_MAX) == (int64_t)t->value_count;
}

/* Outer, along the axis, inner. */
typedef struct around {
    int64_t outer, length, inner;
} around;

static around split_at(const tensor_shape *t, int64_t axis)
{
    around a = {1, t->dims[axis].v.i, 1};
    for (int64_t i = 0; i < axis; i++) a.outer *= t->dims[i].v.i;
    for (int64_t i = axis + 1; i < t->rank; i++) a.inner *= t->dims[i].v.i;
    return a;
}

static int64_t clamp(int64_t v, int64_t low, int64_t high)
{
    return v < low ? low : v > high ? high : v;
}

void fold_slice(infer *x, const op *o)
{
    const tensor_shape *t = in_at(x, o, 0), *out = out_at(x, o, 0);
    uint32_t n;
    int64_t base = 0, stride[MAX_RANK], at[MAX_RANK] = {0}, step = 1;
    if (!has_value(t)) return;
    int_list starts = list_get(x, o, 1, ATTR_starts), axes = list_get(x, o, 3, ATTR_axes);
    int_list steps = {0};
    if (o->n_in > 4) steps = list_get(x, o, 4, ATTR_step);
    num *v = fold_room(x, o, 0, &n);
    if (!v || !starts.known || (axes.given && !axes.known) || (steps.given && !steps.known)) return;
    for (int i = t->rank - 1; i >= 0; i--) {
        stride[i] = step;
        step *= t->dims[i].v.i;
    }
    for (uint32_t i = 0; i < (axes.given ? axes.n : starts.n) && i < starts.n; i++) {
        num start = list_at(&starts, i);
        int64_t axis = axes.given ? list_at(&axes, i).v.i : (int64_t)i, by = 1;
        if (!axis_fix(&axis, t->rank) || !num_known(start)) return;
        if (steps.given && i < steps.n) by = list_at(&steps, i).v.i;
        if (by > FOLD_MAX || by < -FOLD_MAX) by = by > 0 ? FOLD_MAX : -FOLD_MAX;
        int64_t dim = t->dims[axis].v.i, from = start.v.i;
        if (from < 0 && from >= -dim) from += dim;
        from = clamp(from, 0, by < 0 ? dim - 1 : dim);
        base += from * stride[axis];
        stride[axis] *= by;
    }
    for (uint32_t i = 0; i < n; i++) {
        int64_t from = base;
        for (int k = 0; k < t->rank; k++) from += at[k] * stride[k];
        if (from < 0 || from >= (int64_t)t->value_count) return;
        v[i] = t->value[from];
        for (int k = t->rank - 1; k >= 0; k--) {
            if (++at[k] < out->dims[k].v.i) break;
            at[k] = 0;
        }
    }
    fold_set(x, o, 0, v, n);
}

void fold_split(infer *x, const op *o)
{
    const tensor_shape *t = in_at(x, o, 0);
    int64_t axis = op_attr_int(x->g, o, ATTR_axis, 0), first = 0;
    if (!has_value(t) || !axis_fix(&axis, t->rank)) return;
    around a = split_at(t, axis);
    for (uint32_t i = 0; i < o->n_out; i++) {
        const tensor_shape *out = out_at(x, o, i);
        uint32_t n;
        if (!has_rank(out)) return;
        num *v = fold_room(x, o, i, &n);
        if (!v || out->rank != t->rank) return;
        int64_t part = out->dims[axis].v.i;
        if (first + part > a.length || a.outer * part * a.inner != (int64_t)n) return;
        for (int64_t k = 0; k < a.outer; k++)
            for (int64_t p = 0; p < part * a.inner; p++)
                v[k * part * a.inner + p] = t->value[(k * a.length + first) * a.inner + p];
        fold_set(x, o, i, v, n);
        first += part;
    }
}

void fold_gather(infer *x, const op *o)
{
    const tensor_shape *t = in_at(x, o, 0), *at = in_at(x, o, 1);
    int64_t axis = op_attr_int(x->g, o, ATTR_axis, 0), to = 0;
    uint32_t n;
    if (!has_value(t) || !has_value(at) || !axis_fix(&axis, t->rank)) return;
    if (t->rank == 1 && at->value_count == 1) { /* one dim of a shape: a view */
        int64_t i = index_in(at->value[0], (int64_t)t->value_count);
        if (i >= 0) fold_set(x, o, 0, t->value + i, 1);
        return;
    }
    around a = split_at(t, axis);
    num *v = fold_room(x, o, 0, &n);
    if (!v || a.outer * a.inner * (int64_t)at->value_count != (int64_t)n) return;
    for (int64_t k = 0; k < a.outer; k++)
        for (uint32_t i = 0; i < at->value_count; i++) {
            int64_t row = index_in(at->value[i], a.length);
            for (int64_t p = 0; p < a.inner; p++)
                v[to++] = row < 0 ? num_unknown() : t->value[(k * a.length + row) * a.inner + p];
        }
    fold_set(x, o, 0, v, n);
}

void fold_gather_nd(infer *x, const op *o)
{
    const tensor_shape *t = in_at(x, o, 0), *at = in_at(x, o, 1);
    uint32_t n;
    if (!has_value(t) || !has_value(at) || at->rank < 1 || op_attr_int(x->g, o, ATTR_batch_dims, 0) != 0) return;
    int64_t depth = at->dims[at->rank - 1].v.i, inner = 1;
    num *v = fold_room(x, o, 0, &n);
    if (!v || depth < 1 || depth > t->rank) return;
    for (int64_t i = depth; i < t->rank; i++) inner *= t->dims[i].v.i;
    int64_t rows = (int64_t)at->value_count / depth;
    if (rows * inner != (int64_t)n) return;
    for (int64_t r = 0; r < rows; r++) {
        int64_t from = 0;
        for (int64_t k = 0; k < depth && from >= 0; k++) {
            int64_t i = index_in(at->value[r * depth + k], t->dims[k].v.i);
            from = i < 0 ? -1 : from * t->dims[k].v.i + i;
        }
        for (int64_t p = 0; p < inner; p++) v[r * inner + p] = from < 0 ? num_unknown() : t->value[from * inner + p];
    }
    fold_set(x, o, 0, v, n);
}

void fold_gather_elements(infer *x, const op *o)
{
    const tensor_shape *t = in_at(x, o, 0), *at = in_at(x, o, 1);
    int64_t axis = op_attr_int(x->g, o, ATTR_axis, 0), where[MAX_RANK] = {0};
    uint32_t n;
    if (!has_value(t) || !has_value(at) || t->rank != at->rank || !axis_fix(&axis, t->rank)) return;
    for (int i = 0; i < t->rank; i++)
        if (i != axis && at->dims[i].v.i > t->dims[i].v.i) return;
    num *v = fold_room(x, o, 0, &n);
    if (!v || n != at->value_count) return;
    for (uint32_t i = 0; i < n; i++) {
        int64_t from = 0, along = index_in(at->value[i], t->dims[axis].v.i);
        for (int k = 0; k < t->rank; k++) from = from * t->dims[k].v.i + (k == axis ? along : where[k]);
        v[i] = along < 0 ? num_unknown() : t->value[from];
        for (int k = t->rank - 1; k >= 0; k--) {
            if (++where[k] < at->dims[k].v.i) break;
            where[k] = 0;
        }
    }
    fold_set(x, o, 0, v, n);
}

/* ---- scatter ---- */

static num *copy_value(infer *x, const op *o, const tensor_shape *t, uint32_t *n)
{
    num *v = fold_room(x, o, 0, n);
    if (!v || *n != t->value_count) return NULL;
    if (*n) memcpy(v, t->value, *n * sizeof *v);
    return v;
}

static bool replaces(const infer *x, const op *o)
{
    str how = op_attr_str(x->g, o, ATTR_reduction);
    return !how.len || str_is(how, "none");
}

void fold_scatter_elements(infer *x, const op *o)
{
    const tensor_shape *t = in_at(x, o, 0), *at = in_at(x, o, 1), *from = in_at(x, o, 2);
    int64_t axis = op_attr_int(x->g, o, ATTR_axis, 0), where[MAX_RANK] = {0};
    uint32_t n;
    if (!has_value(t) || !has_value(at) || !has_value(from) || t->rank != at->rank ||
        from->value_count != at->value_count || !axis_fix(&axis, t->rank) || !replaces(x, o))
        return;
    for (int i = 0; i < t->rank; i++)
        if (i != axis && at->dims[i].v.i > t->dims[i].v.i) return;
    num *v = copy_value(x, o, t, &n);
    if (!v) return;
    for (uint32_t i = 0; i < at->value_count; i++) {
        int64_t to = 0, along = index_in(at->value[i], t->dims[axis].v.i);
        if (along < 0) return;
        for (int k = 0; k < t->rank; k++) to = to * t->dims[k].v.i + (k == axis ? along : where[k]);
        v[to] = from->value[i];
        for (int k = t->rank - 1; k >= 0; k--) {
            if (++where[k] < at->dims[k].v.i) break;
            where[k] = 0;
        }
    }
    fold_set(x, o, 0, v, n);
}

void fold_scatter_nd(infer *x, const op *o)
{
    const tensor_shape *t = in_at(x, o, 0), *at = in_at(x, o, 1), *from = in_at(x, o, 2);
    uint32_t n;
    if (!has_value(t) || !has_value(at) || !has_value(from) || at->rank < 1 || !replaces(x, o)) return;
    int64_t depth = at->dims[at->rank - 1].v.i, inner = 1;
    if (depth < 1 || depth > t->rank) return;
    for (int64_t i = depth; i < t->rank; i++) inner *= t->dims[i].v.i;
    int64_t rows = (int64_t)at->value_count / depth;
    if (rows * inner != (int64_t)from->value_count) return;
    num *v = copy_value(x, o, t, &n);
    if (!v) return;
    for (int64_t r = 0; r < rows; r++) {
        int64_t to = 0;
        for (int64_t k = 0; k < depth; k++) {
            int64_t i = index_in(at->value[r * depth + k], t->dims[k].v.i);
            if (i < 0) return;
            to = to * t->dims[k].v.i + i;
        }
        memcpy(v + to * inner, from->value + r * inner, (size_t)inner * sizeof *v);
    }
    fold_set(x, o, 0, v, n);
}

/* ---- making ---- */

void fold_range(infer *x, const op *o)
{
    const tensor_shape *start = in_at(x, o, 0), *delta = in_at(x, o, 2);
    uint32_t n;
    if (!start || !start->value || !delta || !delta->value) return;
    num *v = fold_room(x, o, 0, &n);
    if (!v) return;
    dtype d = (dtype)start->dtype;
    num next = start->value[0];
    for (uint32_t i = 0; i < n; i++) {
        v[i] = next;
        next = fold_apply2(OP_Add, d, next, delta->value[0]);
    }
    fold_set(x, o, 0, v, n);
}

void fold_fill(infer *x, const op *o)
{
    const attr *a = op_attr(x->g, o, ATTR_value);
    num fill = {{.f = 0}, 0, SYM_NONE};
    uint32_t n;
    if (a) {
        const tensor_shape *t = a->type == ATTR_TENSOR && a->v.index < x->g->n_tensors ? &x->t[a->v.index] : NULL;
        if (!t || !t->value || !t->value_count) return;
        fill = t->value[0];
    }
    num *v = fold_room(x, o, 0, &n);
    if (!v) return;
    for (uint32_t i = 0; i < n; i++) v[i] = fill;
    fold_set(x, o, 0, v, n);
}

void fold_eye(infer *x, const op *o)
{
    const tensor_shape *out = out_at(x, o, 0);
    int64_t k = op_attr_int(x->g, o, ATTR_k, 0);
    uint32_t n;
    if (!has_rank(out) || out->rank != 2 || k > FOLD_MAX || k < -FOLD_MAX) return;
    num *v = fold_room(x, o, 0, &n);
    if (!v) return;
    int64_t columns = out->dims[1].v.i;
    for (uint32_t i = 0; i < n; i++) {
        bool one = i % columns - i / columns == k;
        v[i] = is_float(out) ? (num){{.f = one}, 0, SYM_NONE} : num_int(one);
    }
    fold_set(x, o, 0, v, n);
}

void fold_one_hot(infer *x, const op *o)
{
    const tensor_shape *at = in_at(x, o, 0), *values = in_at(x, o, 2), *out = out_at(x, o, 0);
    int64_t axis = op_attr_int(x->g, o, ATTR_axis, -1);
    uint32_t n;
    if (!has_value(at) || is_float(at) || !values || !values->value || values->value_count != 2 || !has_rank(out))
        return;
    num *v = fold_room(x, o, 0, &n);
    if (!v || !axis_fix(&axis, out->rank)) return;
    around a = split_at(out, axis);
    if (a.outer * a.inner != (int64_t)at->value_count) return;
    for (int64_t i = 0; i < (int64_t)n; i++) {
        num index = at->value[i / (a.length * a.inner) * a.inner + i % a.inner];
        if (!num_known(index)) return;
        v[i] = values->value[index_in(index, a.length) == i / a.inner % a.length];
    }
    fold_set(x, o, 0, v, n);
}

void fold_non_zero(infer *x, const op *o)
{
    const tensor_shape *t = in_at(x, o, 0), *out = out_at(x, o, 0);
    uint32_t n;
    if (!has_value(t) || !has_rank(out) || t->rank < 1) return;
    num *v = fold_room(x, o, 0, &n);
    if (!v) return;
    int64_t count = out->dims[1].v.i, at = 0;
    for (int64_t i = 0; i < (int64_t)t->value_count; i++) {
        num e = t->value[i];
        if (!num_known(e) || !(is_float(t) ? e.v.f != 0 : e.v.i != 0)) continue;
        if (at == count) return;
        int64_t rest = i;
        for (int k = t->rank - 1; k >= 0; k--) {
            v[k * count + at] = num_int(rest % t->dims[k].v.i);
            rest /= t->dims[k].v.i;
        }
        at++;
    }
    fold_set(x, o, 0, v, n);
}
