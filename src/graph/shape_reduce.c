#include "graph/shape_internal.h"

/* Drops the masked dims, or makes them 1. */
static int reduce_dims(const tensor_shape *t, uint64_t mask, bool keep, num *out)
{
    int rank = 0;
    for (int i = 0; i < t->rank; i++) {
        bool drop = mask >> i & 1;
        if (drop && keep) out[rank++] = num_int(1);
        else if (!drop) out[rank++] = t->dims[i];
    }
    return rank;
}

pg_code shape_reduce(infer *x, const op *o)
{
    const tensor_shape *t = ranked(x, o, 0);
    dtype d = dtype_of(in_at(x, o, 0));
    if (o->kind == OP_ReduceAny || o->kind == OP_ReduceAll) d = DT_BOOL;
    if (!t) return out_dtype(x, o, 0, d);
    bool keep = op_attr_int(x->g, o, ATTR_keepdims, 1) != 0;
    int_list axes = list_get(x, o, 1, ATTR_axes);
    num out[MAX_RANK];
    uint64_t mask = 0;
    if (!axes.given || (axes.known && axes.n == 0)) {
        if (op_attr_int(x->g, o, ATTR_noop_with_empty_axes, 0)) return out_like(x, o, 0, d, t);
        mask = UINT64_MAX;
    } else {
        switch (axes_mask(&axes, t->rank, &mask)) {
        case AXES_OK: break;
        case AXES_INVALID: return shape_fail(x, o, "an axis is outside of the input %s", SHAPE_S(x, t));
        case AXES_UNKNOWN:
            if (!keep && (axes.n == 0 || axes.n > (uint32_t)t->rank)) return out_dtype(x, o, 0, d);
            for (int i = 0; i < t->rank; i++) out[i] = num_unknown();
            return out_dims(x, o, 0, d, keep ? t->rank : t->rank - (int)axes.n, out);
        }
    }
    int rank = reduce_dims(t, mask, keep, out);
    return out_dims(x, o, 0, d, rank, out);
}

pg_code shape_arg_reduce(infer *x, const op *o)
{
    const tensor_shape *t = ranked(x, o, 0);
    if (!t) return out_dtype(x, o, 0, DT_INT64);
    int64_t axis = op_attr_int(x->g, o, ATTR_axis, 0);
    num out[MAX_RANK];
    if (!axis_fix(&axis, t->rank)) return bad_axis(x, o, axis, t->rank);
    int rank = reduce_dims(t, 1ull << axis, op_attr_int(x->g, o, ATTR_keepdims, 1) != 0, out);
    return out_dims(x, o, 0, DT_INT64, rank, out);
}

pg_code shape_top_k(infer *x, const op *o)
{
    const tensor_shape *t = ranked(x, o, 0);
    dtype d = dtype_of(in_at(x, o, 0));
    out_dtype(x, o, 1, DT_INT64);
    if (!t) return out_dtype(x, o, 0, d);
    int64_t axis = op_attr_int(x->g, o, ATTR_axis, -1);
    num out[MAX_RANK], k = scalar_get(x, o, 1, ATTR_k, num_unknown());
    if (!axis_fix(&axis, t->rank)) return bad_axis(x, o, axis, t->rank);
    memcpy(out, t->dims, (size_t)t->rank * sizeof *out);
    if (num_known(k) && num_known(out[axis]) && (k.v.i < 0 || k.v.i > out[axis].v.i))
        return shape_fail(x, o, "k = %lld is more than axis %lld of the input %s has", (long long)k.v.i,
                          (long long)axis, SHAPE_S(x, t));
    out[axis] = k;
    pg_code code = out_dims(x, o, 0, d, t->rank, out);
    return code ? code : out_like(x, o, 1, DT_INT64, out_at(x, o, 0));
}

/* ---- losses ---- */

static pg_code loss_dims(infer *x, const op *o, dtype d)
{
    if (!str_is(op_attr_str(x->g, o, ATTR_reduction), "none")) return out_dims(x, o, 0, d, 0, NULL);
    return out_like(x, o, 0, d, in_at(x, o, 1));
}

pg_code shape_nll_loss(infer *x, const op *o)
{
    return loss_dims(x, o, dtype_of(in_at(x, o, 0)));
}

pg_code shape_softmax_cross_entropy(infer *x, const op *o)
{
    const tensor_shape *t = in_at(x, o, 0);
    pg_code code = loss_dims(x, o, dtype_of(t));
    return code ? code : out_like(x, o, 1, dtype_of(t), t);
}
