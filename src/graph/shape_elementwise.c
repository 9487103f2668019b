#include "graph/shape_internal.h"

pg_code shape_same(infer *x, const op *o)
{
    const tensor_shape *t = in_at(x, o, 0);
    return out_like(x, o, 0, dtype_of(t), t);
}

pg_code shape_same_bool(infer *x, const op *o)
{
    return out_like(x, o, 0, DT_BOOL, in_at(x, o, 0));
}

/* Identity and the bookkeeping of sequences: everything that is known passes through. */
pg_code shape_same_all(infer *x, const op *o)
{
    for (uint32_t i = 0; i < o->n_in && i < o->n_out; i++) {
        const tensor_shape *t = in_at(x, o, i);
        tensor_shape *out = out_at(x, o, i);
        if (t && out) *out = *t;
    }
    tensor_shape *out = out_at(x, o, 0);
    const tensor_shape *added = in_at(x, o, 1);
    if (o->kind == OP_SequenceInsert && out && added) { /* the dims of an element where all agree */
        if (out->rank >= 0 && shape_merge(x, out, added) == MERGE_NOMEM) return shape_nomem(x);
        out->sequence = true;
        out->value = NULL;
    }
    return PG_E_OK;
}

pg_code shape_cast(infer *x, const op *o)
{
    return out_like(x, o, 0, dtype_of_code(op_attr_int(x->g, o, ATTR_to, 0)), in_at(x, o, 0));
}

pg_code shape_cast_like(infer *x, const op *o)
{
    return out_like(x, o, 0, dtype_of(in_at(x, o, 1)), in_at(x, o, 0));
}

pg_code shape_dropout(infer *x, const op *o)
{
    const tensor_shape *t = in_at(x, o, 0);
    pg_code code = out_like(x, o, 0, dtype_of(t), t);
    return code ? code : out_like(x, o, 1, o->opset >= 10 ? DT_BOOL : dtype_of(t), t);
}

/* Before opset 7 the second input was fitted to the first, from an axis given. */
static bool fits_first(const op *o)
{
    if (o->opset >= 7) return false;
    switch (o->kind) {
    case OP_Add:
    case OP_Sub:
    case OP_Mul:
    case OP_Div:
    case OP_Pow:
    case OP_And:
    case OP_Or:
    case OP_Xor:
    case OP_Equal:
    case OP_Greater:
    case OP_Less: return true;
    default: return false;
    }
}

static pg_code broadcast_all(infer *x, const op *o, dtype d)
{
    if (fits_first(o)) return out_like(x, o, 0, d, in_at(x, o, 0));
    return broadcast_inputs(x, o, 0, o->n_in, d);
}

pg_code shape_broadcast(infer *x, const op *o)
{
    dtype d = dtype_of(in_at(x, o, 0));
    return broadcast_all(x, o, d == DT_UNKNOWN ? dtype_of(in_at(x, o, 1)) : d);
}

pg_code shape_broadcast_first(infer *x, const op *o)
{
    return broadcast_all(x, o, dtype_of(in_at(x, o, 0)));
}

pg_code shape_broadcast_bool(infer *x, const op *o)
{
    return broadcast_all(x, o, DT_BOOL);
}

pg_code shape_where(infer *x, const op *o)
{
    dtype d = dtype_of(in_at(x, o, 1));
    return broadcast_inputs(x, o, 0, 3, d == DT_UNKNOWN ? dtype_of(in_at(x, o, 2)) : d);
}

/* Like Where, but the condition may have one entry for each row of the others, which are alike. */
pg_code shape_select(infer *x, const op *o)
{
    const tensor_shape *t = ranked(x, o, 1);
    if (!t) t = ranked(x, o, 2);
    return out_like(x, o, 0, dtype_of(in_at(x, o, 1)), t);
}

/* a, a_scale, a_zero_point, b, b_scale, b_zero_point, ... */
pg_code shape_qlinear_binary(infer *x, const op *o)
{
    const tensor_shape *a = in_at(x, o, 0), *b = in_at(x, o, 3);
    num dims[MAX_RANK];
    if (!has_rank(a) || !has_rank(b)) return out_dtype(x, o, 0, dtype_of(a));
    int rank = a->rank;
    if (rank) memcpy(dims, a->dims, (size_t)rank * sizeof *dims);
    if (!dims_broadcast(x, &rank, dims, b))
        return shape_fail(x, o, "the shapes %s and %s don't broadcast; check the sizes given for the inputs",
                          SHAPE_S(x, a), SHAPE_S(x, b));
    return out_dims(x, o, 0, (dtype)a->dtype, rank, dims);
}

/* ---- quantisation ---- */

pg_code shape_quantize(infer *x, const op *o)
{
    const tensor_shape *zero = in_at(x, o, 2);
    dtype d = dtype_of(zero);
    if (d == DT_UNKNOWN) d = dtype_of_code(op_attr_int(x->g, o, ATTR_output_dtype, 0));
    return out_like(x, o, 0, d == DT_UNKNOWN ? DT_UINT8 : d, in_at(x, o, 0));
}

pg_code shape_dequantize(infer *x, const op *o)
{
    dtype d = dtype_of(in_at(x, o, 1));
    return out_like(x, o, 0, d == DT_UNKNOWN ? DT_FP32 : d, in_at(x, o, 0));
}

pg_code shape_dynamic_quantize(infer *x, const op *o)
{
    pg_code code = out_like(x, o, 0, DT_UINT8, in_at(x, o, 0));
    if (!code) code = out_dims(x, o, 1, DT_FP32, 0, NULL);
    return code ? code : out_dims(x, o, 2, DT_UINT8, 0, NULL);
}

/* ---- normalisation ---- */

pg_code shape_batch_norm(infer *x, const op *o)
{
    const tensor_shape *t = in_at(x, o, 0), *mean = in_at(x, o, 3);
    pg_code code = out_like(x, o, 0, dtype_of(t), t);
    for (uint32_t i = 1; i < o->n_out && !code; i++) code = out_like(x, o, i, dtype_of(mean), mean);
    return code;
}

/* Mean and inverse deviation keep the dims before `axis`; the others are 1. */
static pg_code norm_statistics(infer *x, const op *o, const tensor_shape *t, int64_t axis)
{
    num dims[MAX_RANK];
    if (!has_rank(t) || o->n_out < 2) return PG_E_OK;
    if (!axis_fix(&axis, t->rank)) return bad_axis(x, o, axis, t->rank);
    for (int i = 0; i < t->rank; i++) dims[i] = i < axis ? t->dims[i] : num_int(1);
    pg_code code = out_dims(x, o, 1, DT_FP32, t->rank, dims);
    return code ? code : out_dims(x, o, 2, DT_FP32, t->rank, dims);
}

pg_code shape_layer_norm(infer *x, const op *o)
{
    const tensor_shape *t = in_at(x, o, 0);
    pg_code code = out_like(x, o, 0, dtype_of(t), t);
    return code ? code : norm_statistics(x, o, t, op_attr_int(x->g, o, ATTR_axis, -1));
}

pg_code shape_skip_layer_norm(infer *x, const op *o)
{
    const tensor_shape *t = in_at(x, o, 0);
    pg_code code = out_like(x, o, 0, dtype_of(t), t);
    if (!code) code = norm_statistics(x, o, t, -1);
    return code ? code : out_like(x, o, 3, dtype_of(t), t);
}

/* input_ids, segment_ids, word, position and segment embedding, gamma, beta, mask, position_ids */
pg_code shape_embed_layer_norm(infer *x, const op *o)
{
    const tensor_shape *ids = ranked(x, o, 0), *word = in_at(x, o, 2);
    num dims[3] = {num_unknown(), num_unknown(), num_unknown()};
    dtype d = dtype_of(word);
    if (!ids) return out_dtype(x, o, 0, d);
    if (ids->rank != 2) return shape_fail(x, o, "input_ids should be [batch, sequence], but it is %s", SHAPE_S(x, ids));
    dims[0] = ids->dims[0];
    dims[1] = ids->dims[1];
    if (has_rank(word) && word->rank == 2) dims[2] = word->dims[1];
    pg_code code = out_dims(x, o, 0, d, 3, dims);
    if (!code) code = out_dims(x, o, 1, DT_INT32, 1, dims);
    return code ? code : out_dims(x, o, 2, d, 3, dims);
}

/* ---- what has no rule ---- */

pg_code shape_unknown(infer *x, const op *o)
{
    tensor_shape *t = out_at(x, o, 0);
    if (!t) return PG_E_OK;
    if (o->kind == OP_SequenceEmpty || o->kind == OP_SequenceMap) t->sequence = true;
    if (o->kind == OP_SequenceEmpty) t->dtype = (uint8_t)dtype_of_code(op_attr_int(x->g, o, ATTR_dtype, 1));
    if (o->kind == OP_ConcatFromSequence) t->dtype = (uint8_t)dtype_of(in_at(x, o, 0));
    return PG_E_OK;
}

pg_code shape_unknown_dtype(infer *x, const op *o)
{
    return out_like(x, o, 0, DT_UNKNOWN, in_at(x, o, 0));
}

pg_code shape_scalar_int64(infer *x, const op *o)
{
    return out_dims(x, o, 0, DT_INT64, 0, NULL);
}

pg_code shape_scalar_bool(infer *x, const op *o)
{
    return out_dims(x, o, 0, DT_BOOL, 0, NULL);
}
