/* Recurrent networks, signals, sequences, text. */
#include "graph/shape_internal.h"

/* X [sequence, batch, input], W, R [directions, gates * hidden, hidden]; layout 1 puts the batch first. */
pg_code shape_recurrent(infer *x, const op *o)
{
    const tensor_shape *t = ranked(x, o, 0), *r = ranked(x, o, 2);
    dtype d = dtype_of(in_at(x, o, 0));
    for (uint32_t i = 0; i < o->n_out; i++) out_dtype(x, o, i, d);
    if (!t) return PG_E_OK;
    if (t->rank != 3) return shape_fail(x, o, "the input %s should have 3 dimensions", SHAPE_S(x, t));
    bool batch_first = op_attr_int(x->g, o, ATTR_layout, 0) != 0;
    num directions = num_int(str_is(op_attr_str(x->g, o, ATTR_direction), "bidirectional") ? 2 : 1);
    int64_t given = op_attr_int(x->g, o, ATTR_hidden_size, 0);
    num hidden = given > 0 ? num_int(given) : r && r->rank == 3 ? r->dims[2] : num_unknown();
    num steps = t->dims[batch_first], batch = t->dims[!batch_first];
    const tensor_shape *w = ranked(x, o, 1);
    num same;
    if (w && (w->rank != 3 || !dim_same(x, w->dims[2], t->dims[2], &same)))
        return shape_fail(x, o, "the last dimensions of the input %s and the weights %s differ", SHAPE_S(x, t),
                          SHAPE_S(x, w));
    num all[4] = {steps, directions, batch, hidden}, last[3] = {directions, batch, hidden};
    if (batch_first) {
        all[0] = batch, all[1] = steps, all[2] = directions;
        last[0] = batch, last[1] = directions;
    }
    pg_code code = out_dims(x, o, 0, d, 4, all);
    if (!code) code = out_dims(x, o, 1, d, 3, last);
    return code ? code : out_dims(x, o, 2, d, 3, last);
}

/* ---- signals ---- */

pg_code shape_dft(infer *x, const op *o)
{
    const tensor_shape *t = ranked(x, o, 0);
    dtype d = dtype_of(in_at(x, o, 0));
    if (!t) return out_dtype(x, o, 0, d);
    num at = scalar_get(x, o, 2, ATTR_axis, num_int(o->opset >= 20 ? -2 : 1)), out[MAX_RANK];
    if (t->rank < 2) return shape_fail(x, o, "the input %s should have 2 dimensions or more", SHAPE_S(x, t));
    int64_t axis = at.v.i;
    memcpy(out, t->dims, (size_t)t->rank * sizeof *out);
    out[t->rank - 1] = num_int(2);
    if (!num_known(at)) {
        for (int i = 0; i < t->rank - 1; i++) out[i] = num_unknown();
        return out_dims(x, o, 0, d, t->rank, out);
    }
    if (!axis_fix(&axis, t->rank) || axis == t->rank - 1) return bad_axis(x, o, axis, t->rank);
    bool inverse = op_attr_int(x->g, o, ATTR_inverse, 0) != 0, half = op_attr_int(x->g, o, ATTR_onesided, 0) != 0;
    num length = scalar_get(x, o, 1, ATTR_shape, num_unknown());
    if (in_at(x, o, 1)) out[axis] = length;
    else if (half && inverse) out[axis] = num_mul(num_sub(out[axis], num_int(1)), num_int(2));
    if (half && inverse) out[t->rank - 1] = num_int(1);
    else if (half) out[axis] = num_add(num_floor_div(out[axis], num_int(2)), num_int(1));
    return out_dims(x, o, 0, d, t->rank, out);
}

/* signal [batch, length, 1 or 2], frame_step, window, frame_length */
pg_code shape_stft(infer *x, const op *o)
{
    const tensor_shape *t = ranked(x, o, 0), *window = ranked(x, o, 2);
    dtype d = dtype_of(in_at(x, o, 0));
    if (!t) return out_dtype(x, o, 0, d);
    if (t->rank < 2) return shape_fail(x, o, "the input %s should have 3 dimensions", SHAPE_S(x, t));
    num step = scalar_get(x, o, 1, ATTR_shape, num_unknown()), frame = num_unknown();
    if (in_at(x, o, 3)) frame = scalar_get(x, o, 3, ATTR_shape, num_unknown());
    else if (window && window->rank == 1) frame = window->dims[0];
    num frames = num_add(num_floor_div(num_sub(t->dims[1], frame), step), num_int(1));
    num bins = op_attr_int(x->g, o, ATTR_onesided, 1) ? num_add(num_floor_div(frame, num_int(2)), num_int(1)) : frame;
    num out[4] = {t->dims[0], frames, bins, num_int(2)};
    return out_dims(x, o, 0, d, 4, out);
}

pg_code shape_det(infer *x, const op *o)
{
    const tensor_shape *t = ranked(x, o, 0);
    dtype d = dtype_of(in_at(x, o, 0));
    if (!t) return out_dtype(x, o, 0, d);
    if (t->rank < 2) return shape_fail(x, o, "the input %s should end in square matrices", SHAPE_S(x, t));
    return out_dims(x, o, 0, d, t->rank - 2, t->dims);
}

/* ---- sequences ---- */

pg_code shape_sequence_construct(infer *x, const op *o)
{
    tensor_shape *out = out_at(x, o, 0);
    if (!out) return PG_E_OK;
    for (uint32_t i = 0; i < o->n_in; i++) {
        const tensor_shape *t = in_at(x, o, i);
        if (!t) continue;
        if (i == 0) *out = *t;
        else if (shape_merge(x, out, t) == MERGE_NOMEM) return shape_nomem(x);
    }
    out->sequence = true;
    out->value = NULL;
    out->value_count = 0;
    return PG_E_OK;
}

pg_code shape_sequence_at(infer *x, const op *o)
{
    const tensor_shape *t = in_at(x, o, 0);
    return out_like(x, o, 0, dtype_of(t), t);
}

pg_code shape_split_to_sequence(infer *x, const op *o)
{
    const tensor_shape *t = ranked(x, o, 0);
    tensor_shape *out = out_at(x, o, 0);
    if (!out) return PG_E_OK;
    out->sequence = true;
    if (!t) return out_dtype(x, o, 0, dtype_of(in_at(x, o, 0)));
    int64_t axis = op_attr_int(x->g, o, ATTR_axis, 0);
    int_list parts = list_get(x, o, 1, ATTR_split);
    num dims[MAX_RANK], each = parts.given ? num_unknown() : num_int(1);
    if (!axis_fix(&axis, t->rank)) return bad_axis(x, o, axis, t->rank);
    for (uint32_t i = 0; parts.known && i < parts.n; i++) {
        if (i == 0) each = list_at(&parts, 0);
        else if (!num_same(each, list_at(&parts, i))) each = num_unknown();
    }
    /* one number may leave a smaller last part */
    const tensor_shape *sizes = in_at(x, o, 1);
    if (sizes && sizes->rank == 0 && num_known(each) && num_known(t->dims[axis]) &&
        (each.v.i <= 0 || t->dims[axis].v.i % each.v.i != 0))
        each = num_unknown();
    int rank = 0;
    bool keep = parts.given || op_attr_int(x->g, o, ATTR_keepdims, 1) != 0;
    for (int i = 0; i < t->rank; i++) {
        if (i != axis) dims[rank++] = t->dims[i];
        else if (keep) dims[rank++] = each;
    }
    return out_dims(x, o, 0, (dtype)t->dtype, rank, dims);
}

/* ---- text ---- */

/* Stop words are dropped from a line, so its length depends on the text. */
pg_code shape_string_normalizer(infer *x, const op *o)
{
    const tensor_shape *t = ranked(x, o, 0);
    const attr *stop = op_attr(x->g, o, ATTR_stopwords);
    if (!stop || !t || t->rank < 1) return out_like(x, o, 0, DT_STRING, t);
    num out[MAX_RANK];
    memcpy(out, t->dims, (size_t)t->rank * sizeof *out);
    out[t->rank - 1] = num_unknown();
    return out_dims(x, o, 0, DT_STRING, t->rank, out);
}

/* One column per number in ngram_indexes. */
pg_code shape_tf_idf(infer *x, const op *o)
{
    const tensor_shape *t = ranked(x, o, 0);
    const int64_t *at;
    uint32_t n = op_attr_ints(x->g, o, ATTR_ngram_indexes, &at);
    int64_t most = -1;
    if (!t) return out_dtype(x, o, 0, DT_FP32);
    for (uint32_t i = 0; i < n; i++)
        if (at[i] > most) most = at[i];
    if (n == 0 || most >= INT32_MAX || t->rank > 2)
        return shape_fail(x, o, "its ngram_indexes or its input %s can't be used", SHAPE_S(x, t));
    num out[2] = {t->rank == 2 ? t->dims[0] : num_int(most + 1), num_int(most + 1)};
    return out_dims(x, o, 0, DT_FP32, t->rank == 2 ? 2 : 1, out);
}
