#include "graph/shape_internal.h"

pg_code shape_gather(infer *x, const op *o)
{
    const tensor_shape *t = ranked(x, o, 0), *at = ranked(x, o, 1);
    dtype d = dtype_of(in_at(x, o, 0));
    if (!t || !at) return out_dtype(x, o, 0, d);
    int64_t axis = op_attr_int(x->g, o, ATTR_axis, 0);
    num out[2 * MAX_RANK];
    if (!axis_fix(&axis, t->rank)) return bad_axis(x, o, axis, t->rank);
    if (carries_batch(x, t->dims[axis]) && at->value) x->s->rebatch_unsafe = true; /* picks samples by number */
    int rank = 0;
    for (int i = 0; i < axis; i++) out[rank++] = t->dims[i];
    for (int i = 0; i < at->rank; i++) out[rank++] = at->dims[i];
    for (int i = (int)axis + 1; i < t->rank; i++) out[rank++] = t->dims[i];
    return out_dims(x, o, 0, d, rank, out);
}

/* data (packed along its last axis when it holds two 4-bit numbers a byte), indices, scales */
pg_code shape_gather_block_quantized(infer *x, const op *o)
{
    const tensor_shape *t = ranked(x, o, 0), *at = ranked(x, o, 1);
    dtype d = dtype_of(in_at(x, o, 2));
    if (!t || !at) return out_dtype(x, o, 0, d);
    int64_t axis = op_attr_int(x->g, o, ATTR_gather_axis, 0), packed = op_attr_int(x->g, o, ATTR_quantize_axis, 1);
    num out[2 * MAX_RANK];
    if (!axis_fix(&axis, t->rank)) return bad_axis(x, o, axis, t->rank);
    if (!axis_fix(&packed, t->rank)) return bad_axis(x, o, packed, t->rank);
    bool twice = t->dtype == DT_UINT8 && op_attr_int(x->g, o, ATTR_bits, 4) == 4;
    int rank = 0;
    for (int i = 0; i < t->rank; i++) {
        num n = twice && i == packed ? num_mul(t->dims[i], num_int(2)) : t->dims[i];
        if (i != axis) out[rank++] = n;
        else
            for (int k = 0; k < at->rank; k++) out[rank++] = at->dims[k];
    }
    return out_dims(x, o, 0, d, rank, out);
}

pg_code shape_gather_elements(infer *x, const op *o)
{
    return out_like(x, o, 0, dtype_of(in_at(x, o, 0)), in_at(x, o, 1));
}

pg_code shape_gather_nd(infer *x, const op *o)
{
    const tensor_shape *t = ranked(x, o, 0), *at = ranked(x, o, 1);
    dtype d = dtype_of(in_at(x, o, 0));
    if (!t || !at) return out_dtype(x, o, 0, d);
    int64_t batch = op_attr_int(x->g, o, ATTR_batch_dims, 0);
    if (at->rank < 1 || batch < 0 || batch >= at->rank || batch > t->rank)
        return shape_fail(x, o, "the input %s can't be indexed by %s", SHAPE_S(x, t), SHAPE_S(x, at));
    num last = at->dims[at->rank - 1], out[2 * MAX_RANK];
    if (!num_known(last)) return out_dtype(x, o, 0, d);
    if (last.v.i < 0 || last.v.i > t->rank - batch)
        return shape_fail(x, o, "the input %s can't be indexed by %s: the last dimension is too large", SHAPE_S(x, t),
                          SHAPE_S(x, at));
    int rank = 0;
    for (int i = 0; i < at->rank - 1; i++) out[rank++] = at->dims[i];
    for (int i = (int)(batch + last.v.i); i < t->rank; i++) out[rank++] = t->dims[i];
    return out_dims(x, o, 0, d, rank, out);
}

pg_code shape_one_hot(infer *x, const op *o)
{
    const tensor_shape *at = ranked(x, o, 0), *depth = in_at(x, o, 1);
    dtype d = dtype_of(in_at(x, o, 2));
    if (!at) return out_dtype(x, o, 0, d);
    int64_t axis = op_attr_int(x->g, o, ATTR_axis, -1);
    num out[MAX_RANK + 1], n = num_unknown();
    if (!axis_fix(&axis, at->rank + 1)) return bad_axis(x, o, axis, at->rank + 1);
    if (depth && depth->value && depth->value_count == 1 && num_known(depth->value[0])) {
        n = depth->value[0];
        if (is_float(depth)) n = n.v.f >= 0 && n.v.f < 1e15 ? num_int((int64_t)n.v.f) : num_unknown();
    }
    for (int i = 0; i <= at->rank; i++) out[i] = i < axis ? at->dims[i] : i == axis ? n : at->dims[i - 1];
    return out_dims(x, o, 0, d, at->rank + 1, out);
}

/* How many elements of a folded value are true (not 0). */
static num count_true(const tensor_shape *t)
{
    if (!t || !t->value) return num_unknown();
    int64_t n = 0;
    bool plain = true;
    for (uint32_t i = 0; i < t->value_count; i++) {
        if (!num_known(t->value[i])) return num_unknown();
        plain &= num_plain(t->value[i]);
        n += is_float(t) ? t->value[i].v.f != 0 : t->value[i].v.i != 0;
    }
    return plain ? num_int(n) : num_opaque(n);
}

pg_code shape_compress(infer *x, const op *o)
{
    const tensor_shape *t = ranked(x, o, 0);
    dtype d = dtype_of(in_at(x, o, 0));
    num n = count_true(in_at(x, o, 1)), out[MAX_RANK];
    if (!op_attr(x->g, o, ATTR_axis)) return out_dims(x, o, 0, d, 1, &n);
    if (!t) return out_dtype(x, o, 0, d);
    int64_t axis = op_attr_int(x->g, o, ATTR_axis, 0);
    if (!axis_fix(&axis, t->rank)) return bad_axis(x, o, axis, t->rank);
    memcpy(out, t->dims, (size_t)t->rank * sizeof *out);
    out[axis] = n;
    return out_dims(x, o, 0, d, t->rank, out);
}

pg_code shape_non_zero(infer *x, const op *o)
{
    const tensor_shape *t = in_at(x, o, 0);
    num out[2] = {num_unknown(), count_true(t)};
    if (has_rank(t)) out[0] = num_int(t->rank ? t->rank : 1);
    return out_dims(x, o, 0, DT_INT64, 2, out);
}

pg_code shape_non_max_suppression(infer *x, const op *o)
{
    num out[2] = {num_unknown(), num_int(3)};
    const tensor_shape *most = in_at(x, o, 2);
    if (!most || (most->value && most->value_count == 1 && num_is(most->value[0], 0))) out[0] = num_int(0);
    return out_dims(x, o, 0, DT_INT64, 2, out);
}

/* TensorRT's plugins: counts, boxes, scores and classes of the best boxes, padded to the most that there may be. */
pg_code shape_padded_suppression(infer *x, const op *o)
{
    const tensor_shape *boxes = ranked(x, o, 0);
    attr_key key = o->kind == OP_EfficientNMS_TRT ? ATTR_max_output_boxes : ATTR_keepTopK;
    int64_t most = op_attr_int(x->g, o, key, -1);
    dtype d = dtype_of(in_at(x, o, 0));
    num out[3] = {num_unknown(), num_unknown(), num_int(4)};
    if (boxes && boxes->rank < 3)
        return shape_fail(x, o, "the boxes %s should be [batch, boxes, 4]", SHAPE_S(x, boxes));
    if (boxes) out[0] = boxes->dims[0];
    if (most >= 0) out[1] = num_int(most);
    pg_code code = out_dims(x, o, 0, DT_INT32, 2, (num[]){out[0], num_int(1)});
    if (!code) code = out_dims(x, o, 1, d, 3, out);
    if (!code) code = out_dims(x, o, 2, d, 2, out);
    return code ? code : out_dims(x, o, 3, DT_INT32, 2, out);
}

pg_code shape_unique(infer *x, const op *o)
{
    const tensor_shape *t = ranked(x, o, 0);
    dtype d = dtype_of(in_at(x, o, 0));
    num out[MAX_RANK], unknown = num_unknown(), all = num_unknown();
    int rank = 1;
    out[0] = unknown;
    bool flat = !op_attr(x->g, o, ATTR_axis);
    if (t && flat) all = num_product(t->dims, (uint32_t)t->rank);
    if (t && !flat) {
        int64_t axis = op_attr_int(x->g, o, ATTR_axis, 0);
        if (!axis_fix(&axis, t->rank)) return bad_axis(x, o, axis, t->rank);
        rank = t->rank;
        memcpy(out, t->dims, (size_t)rank * sizeof *out);
        all = out[axis];
        out[axis] = unknown;
    }
    pg_code code = !t && !flat ? out_dtype(x, o, 0, d) : out_dims(x, o, 0, d, rank, out);
    if (!code) code = out_dims(x, o, 1, DT_INT64, 1, &unknown);
    if (!code) code = out_dims(x, o, 2, DT_INT64, 1, &all);
    return code ? code : out_dims(x, o, 3, DT_INT64, 1, &unknown);
}
