/* Reshape: targets with 0 and -1, symbolic quotients, and targets that hold a fixed batch. */
#include "graph/shape_internal.h"

typedef struct target {
    int rank, hole;        /* hole: the dim to be computed, or -1 */
    bool copied[MAX_RANK]; /* dim i is the input's dim i */
    num dims[MAX_RANK];
} target;

static pg_code read_target(infer *x, const op *o, const tensor_shape *t, const int_list *l, target *to)
{
    bool allow_zero = op_attr_int(x->g, o, ATTR_allowzero, 0) != 0;
    int unknown = 0, unknown_at = -1;
    to->hole = -1;
    if (l->n > MAX_RANK)
        return shape_fail(x, o, "its target has %u dimensions, more than %d", (unsigned)l->n, MAX_RANK);
    to->rank = (int)l->n;
    for (int i = 0; i < to->rank; i++) {
        num n = list_at(l, (uint32_t)i);
        to->copied[i] = false;
        if (!num_known(n)) {
            unknown++;
            unknown_at = i;
        } else if (n.v.i == 0 && !allow_zero) {
            if (t && i >= t->rank)
                return shape_fail(x, o, "dimension %d of the target is 0, but the input is %s", i, SHAPE_S(x, t));
            to->copied[i] = t != NULL;
            n = t ? t->dims[i] : num_unknown();
        } else if (n.v.i == -1) {
            if (to->hole >= 0) return shape_fail(x, o, "its target has more than one -1");
            to->hole = i;
            n = num_unknown();
        } else if (n.v.i < -1) {
            return shape_fail(x, o, "dimension %d of its target is %lld", i, (long long)n.v.i);
        }
        to->dims[i] = n;
    }
    if (unknown == 1 && to->hole < 0) to->hole = unknown_at; /* the only open one follows from the others */
    return PG_E_OK;
}

/* The hole is the quotient of the two products. Equal factors are dropped first: symbols then stay exact, and dims
 * that aren't known don't matter when they are on both sides. */
static pg_code fill_hole(infer *x, const op *o, const tensor_shape *t, target *to)
{
    num above = num_int(1), below = num_int(1);
    uint64_t used = 0;
    for (int k = 0; k < to->rank; k++) {
        if (k == to->hole) continue;
        int i = 0;
        if (to->copied[k]) i = k;
        else
            while (i < t->rank && (used >> i & 1 || !num_same(t->dims[i], to->dims[k]))) i++;
        if (i < t->rank && !(used >> i & 1)) used |= 1ull << i;
        else below = num_mul(below, to->dims[k]);
    }
    for (int i = 0; i < t->rank; i++)
        if (!(used >> i & 1)) above = num_mul(above, t->dims[i]);
    if (!num_known(above) || !num_known(below) || below.v.i == 0) return PG_E_OK;
    if (above.v.i % below.v.i != 0)
        return shape_fail(
            x, o,
            "the input %s can't be reshaped to %s (? to be computed): the number of elements doesn't divide; "
            "check the sizes given for the inputs",
            SHAPE_S(x, t), DIMS_S(x, to->rank, to->dims));
    to->dims[to->hole] = num_floor_div(above, below);
    return PG_E_OK;
}

static pg_code check_count(infer *x, const op *o, const tensor_shape *t, const target *to)
{
    num in = num_product(t->dims, (uint32_t)t->rank), out = num_product(to->dims, (uint32_t)to->rank);
    if (num_known(in) && num_known(out) && in.v.i != out.v.i)
        return shape_fail(
            x, o, "the input %s has %lld elements, but its target %s has %lld; check the sizes given for the inputs",
            SHAPE_S(x, t), (long long)in.v.i, DIMS_S(x, to->rank, to->dims), (long long)out.v.i);
    return PG_E_OK;
}

/* The input's only dim that carries the batch, as a plain multiple of it; -1: there is none or it isn't simple. */
static int batch_dim(const infer *x, const tensor_shape *t)
{
    int at = -1;
    for (int i = 0; i < t->rank; i++) {
        if (!carries_batch(x, t->dims[i])) continue;
        if (at >= 0 || at_old_batch(x, t->dims[i]) != t->dims[i].k * x->old_batch) return -1;
        at = i;
    }
    return at;
}

/* With the file's own batch, input and target split into runs of dims with equal products. The batch stays within
 * its run, where it goes to the dim that is the batch, else to the first that holds it. Returns that dim, or -1. */
static int batch_target(const infer *x, const tensor_shape *t, const int64_t *out, int rank, int batch)
{
    int i = 0, k = 0;
    while (i < t->rank && k < rank) {
        int first = k;
        int64_t p = at_old_batch(x, t->dims[i++]), q = out[k++];
        while (p != q && p > 0 && q > 0) {
            if (p < q ? i == t->rank : k == rank) return -1;
            int64_t *side = p < q ? &p : &q;
            int64_t factor = p < q ? at_old_batch(x, t->dims[i++]) : out[k++];
            if (!int_mul(*side, factor, side)) return -1;
        }
        if (p <= 0 || q <= 0) return -1;
        if (batch >= i) continue;
        for (int j = first; j < k; j++)
            if (out[j] == x->old_batch) return j;
        for (; first < k; first++)
            if (out[first] % x->old_batch == 0) return first;
        return -1;
    }
    return -1;
}

/* A constant target, made for the file's batch: returns whether it could be carried over to the new one. */
static bool rebatch_target(infer *x, const tensor_shape *t, target *to)
{
    int batch = batch_dim(x, t);
    int64_t out[MAX_RANK], total = 1, rest = 1;
    if (batch < 0) return false;
    for (int i = 0; i < t->rank; i++) {
        int64_t v = at_old_batch(x, t->dims[i]);
        if (!num_known(t->dims[i]) || v <= 0 || !int_mul(total, v, &total)) return false;
    }
    for (int i = 0; i < to->rank; i++) {
        if (i == to->hole) continue;
        if (!num_known(to->dims[i]) || carries_batch(x, to->dims[i])) return false;
        out[i] = to->dims[i].v.i;
        if (out[i] <= 0 || !int_mul(rest, out[i], &rest)) return false;
    }
    if (total % rest != 0 || (to->hole < 0 && total != rest)) return false;
    if (to->hole >= 0) out[to->hole] = total / rest;
    int at = batch_target(x, t, out, to->rank, batch);
    if (at < 0) return false;
    num n = rebatched(x, out[at]);
    if (!num_known(n)) return false;
    if (to->hole >= 0) to->dims[to->hole] = num_int(out[to->hole]);
    to->dims[at] = n;
    if (at != to->hole) x->s->rebatch_fixes++;
    return true;
}

pg_code shape_reshape(infer *x, const op *o)
{
    const tensor_shape *t = ranked(x, o, 0);
    dtype d = dtype_of(in_at(x, o, 0));
    int_list l = list_get(x, o, 1, ATTR_shape);
    target to;
    if (!l.given) return shape_fail(x, o, "it has no target shape");
    if (!l.known) {
        if (!l.n) return out_dtype(x, o, 0, d);
        for (uint32_t i = 0; i < l.n; i++) to.dims[i] = num_unknown();
        return out_dims(x, o, 0, d, (int)l.n, to.dims);
    }
    pg_code code = read_target(x, o, t, &l, &to);
    if (code) return code;
    if (t && !(x->rebatch && rebatch_target(x, t, &to))) {
        code = to.hole >= 0 ? fill_hole(x, o, t, &to) : check_count(x, o, t, &to);
        if (code) return code;
    }
    return out_dims(x, o, 0, d, to.rank, to.dims);
}

pg_code shape_flatten(infer *x, const op *o)
{
    const tensor_shape *t = ranked(x, o, 0);
    dtype d = dtype_of(in_at(x, o, 0));
    if (!t) {
        num unknown[2] = {num_unknown(), num_unknown()};
        return out_dims(x, o, 0, d, 2, unknown);
    }
    int64_t axis = op_attr_int(x->g, o, ATTR_axis, 1);
    if (axis < -t->rank || axis > t->rank) return bad_axis(x, o, axis, t->rank);
    if (axis < 0) axis += t->rank;
    num out[2] = {num_product(t->dims, (uint32_t)axis), num_product(t->dims + axis, (uint32_t)(t->rank - axis))};
    return out_dims(x, o, 0, d, 2, out);
}

pg_code shape_squeeze(infer *x, const op *o)
{
    const tensor_shape *t = ranked(x, o, 0);
    dtype d = dtype_of(in_at(x, o, 0));
    int_list axes = list_get(x, o, 1, ATTR_axes);
    if (!t) return out_dtype(x, o, 0, d);
    num out[MAX_RANK];
    uint64_t mask = 0;
    if (!axes.given) {
        for (int i = 0; i < t->rank; i++) {
            if (!num_known(t->dims[i])) return out_dtype(x, o, 0, d);
            if (at_old_batch(x, t->dims[i]) == 1) mask |= 1ull << i;
        }
    } else {
        switch (axes_mask(&axes, t->rank, &mask)) {
        case AXES_OK: break;
        case AXES_INVALID: return shape_fail(x, o, "an axis is outside of the input %s", SHAPE_S(x, t));
        case AXES_UNKNOWN: return out_dtype(x, o, 0, d);
        }
    }
    int rank = 0;
    for (int i = 0; i < t->rank; i++) {
        bool drop = mask >> i & 1;
        if (drop && num_known(t->dims[i]) && t->dims[i].v.i != 1)
            return shape_fail(x, o, "axis %d of the input %s isn't 1; check the sizes given for the inputs", i,
                              SHAPE_S(x, t));
        if (!drop) out[rank++] = t->dims[i];
    }
    return out_dims(x, o, 0, d, rank, out);
}

pg_code shape_unsqueeze(infer *x, const op *o)
{
    const tensor_shape *t = ranked(x, o, 0);
    dtype d = dtype_of(in_at(x, o, 0));
    int_list axes = list_get(x, o, 1, ATTR_axes);
    if (!axes.given) return shape_fail(x, o, "it has no axes");
    if (!t || (!axes.known && !axes.n)) return out_dtype(x, o, 0, d);
    num out[MAX_RANK];
    uint64_t mask;
    if (axes.n > (uint32_t)(MAX_RANK - t->rank)) return shape_fail(x, o, "it has %u axes", (unsigned)axes.n);
    int rank = t->rank + (int)axes.n;
    switch (axes_mask(&axes, rank, &mask)) {
    case AXES_OK: break;
    case AXES_INVALID: return bad_axis(x, o, list_at(&axes, 0).v.i, rank);
    case AXES_UNKNOWN:
        for (int i = 0; i < rank; i++) out[i] = num_unknown();
        return out_dims(x, o, 0, d, rank, out);
    }
    int from = 0;
    for (int i = 0; i < rank; i++) {
        if (mask >> i & 1) out[i] = num_int(1);
        else if (from < t->rank) out[i] = t->dims[from++];
        else return shape_fail(x, o, "its axes name one twice");
    }
    return out_dims(x, o, 0, d, rank, out);
}
