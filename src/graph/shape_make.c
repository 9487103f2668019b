/* Operators that make data from little or nothing. */
#include "graph/shape_internal.h"

/* One of: a tensor, an integer or float, a list of them, text. */
pg_code shape_constant(infer *x, const op *o)
{
    static const attr_key keys[] = {ATTR_value,        ATTR_value_int,    ATTR_value_ints,    ATTR_value_float,
                                    ATTR_value_floats, ATTR_value_string, ATTR_value_strings, ATTR_sparse_value};
    tensor_shape *out = out_at(x, o, 0);
    const attr *a = NULL;
    for (size_t i = 0; i < sizeof keys / sizeof *keys && !a; i++) a = op_attr(x->g, o, keys[i]);
    if (!out || !a) return PG_E_OK;
    bool list = a->type == ATTR_INTS || a->type == ATTR_FLOATS;
    num n = num_int(a->count);
    dtype d = a->type == ATTR_INT || a->type == ATTR_INTS ? DT_INT64 : a->type == ATTR_STRING ? DT_STRING : DT_FP32;
    if (a->type == ATTR_TENSOR) {
        if (a->v.index < x->g->n_tensors) *out = x->t[a->v.index];
        return PG_E_OK;
    }
    if (a->type == ATTR_REGION) return PG_E_OK;
    pg_code code = out_dims(x, o, 0, d, list, &n);
    uint32_t count = list ? a->count : 1;
    if (code || d == DT_STRING || count > FOLD_MAX) return code;
    num *v = ARENA_ARRAY(x->a, num, count);
    if (!v) return shape_nomem(x);
    for (uint32_t i = 0; i < count; i++) {
        if (d == DT_INT64) v[i] = num_int(list ? a->v.ints[i] : a->v.i);
        else v[i] = (num){{.f = list ? a->v.floats[i] : a->v.f}, 0, SYM_NONE};
    }
    out->value = v;
    out->value_count = count;
    return PG_E_OK;
}

/* What a list of known length says of a shape; rank -1 when not even that is known. */
static int dims_from(const int_list *l, num *out)
{
    if (!l->known) {
        for (uint32_t i = 0; i < l->n; i++) out[i] = num_unknown();
        return l->n ? (int)l->n : -1;
    }
    if (l->n > MAX_RANK) return -1;
    for (uint32_t i = 0; i < l->n; i++) out[i] = list_at(l, i);
    return (int)l->n;
}

pg_code shape_constant_of_shape(infer *x, const op *o)
{
    const attr *a = op_attr(x->g, o, ATTR_value);
    const tensor_shape *t = in_at(x, o, 0);
    dtype d = DT_FP32;
    num out[MAX_RANK];
    if (a && a->type == ATTR_TENSOR && a->v.index < x->g->n_tensors) d = (dtype)x->t[a->v.index].dtype;
    if (has_rank(t) && t->rank == 1 && num_is(t->dims[0], 0)) return out_dims(x, o, 0, d, 0, NULL);
    int_list l = list_get(x, o, 0, ATTR_shape);
    return out_dims(x, o, 0, d, dims_from(&l, out), out);
}

pg_code shape_shape(infer *x, const op *o)
{
    const tensor_shape *t = ranked(x, o, 0);
    num n = num_unknown();
    if (!t) return out_dims(x, o, 0, DT_INT64, 1, &n);
    int64_t start = op_attr_int(x->g, o, ATTR_start, 0), end = op_attr_int(x->g, o, ATTR_end, t->rank);
    if (start < 0) start += t->rank;
    if (end < 0) end += t->rank;
    start = start < 0 ? 0 : start > t->rank ? t->rank : start;
    end = end < start ? start : end > t->rank ? t->rank : end;
    n = num_int(end - start);
    pg_code code = out_dims(x, o, 0, DT_INT64, 1, &n);
    tensor_shape *out = out_at(x, o, 0);
    if (code || !out) return code;
    out->value = end > start ? t->dims + start : t->dims; /* the dims themselves: both are never written to */
    out->value_count = (uint32_t)(end - start);
    return PG_E_OK;
}

pg_code shape_size(infer *x, const op *o)
{
    const tensor_shape *t = ranked(x, o, 0);
    tensor_shape *out = out_at(x, o, 0);
    pg_code code = out_dims(x, o, 0, DT_INT64, 0, NULL);
    if (code || !t || !out) return code;
    out->value = ARENA_NEW(x->a, num);
    if (!out->value) return shape_nomem(x);
    *out->value = num_product(t->dims, (uint32_t)t->rank);
    out->value_count = 1;
    return PG_E_OK;
}

static bool scalar_double(const tensor_shape *t, double *out)
{
    if (!t || !t->value || t->value_count != 1 || !num_known(t->value[0])) return false;
    *out = is_float(t) ? t->value[0].v.f : (double)t->value[0].v.i;
    return true;
}

pg_code shape_range(infer *x, const op *o)
{
    const tensor_shape *t = in_at(x, o, 0), *end = in_at(x, o, 1), *delta = in_at(x, o, 2);
    dtype d = dtype_of(t);
    num n = num_unknown();
    double a, b, c;
    if (scalar_double(t, &a) && scalar_double(end, &b) && scalar_double(delta, &c)) {
        if (c == 0) return shape_fail(x, o, "its step is 0");
        if (!is_float(t)) n = num_ceil_div(num_sub(end->value[0], t->value[0]), delta->value[0]);
        else if (fabs((b - a) / c) < 9e15) n = num_int((int64_t)ceil((b - a) / c));
        if (num_known(n) && n.v.i < 0) n = num_int(0);
    }
    return out_dims(x, o, 0, d, 1, &n);
}

/* The dtype attribute if given, else the input's. */
static dtype dtype_attr(const infer *x, const op *o, dtype fallback)
{
    dtype d = dtype_of_code(op_attr_int(x->g, o, ATTR_dtype, 0));
    return d == DT_UNKNOWN ? fallback : d;
}

pg_code shape_eye_like(infer *x, const op *o)
{
    const tensor_shape *t = in_at(x, o, 0);
    return out_like(x, o, 0, dtype_attr(x, o, dtype_of(t)), t);
}

pg_code shape_random_like(infer *x, const op *o)
{
    return shape_eye_like(x, o);
}

pg_code shape_random(infer *x, const op *o)
{
    num out[MAX_RANK];
    int_list l = list_get(x, o, -1, ATTR_shape);
    if (!l.given) return shape_fail(x, o, "it has no shape attribute");
    return out_dims(x, o, 0, dtype_attr(x, o, DT_FP32), dims_from(&l, out), out);
}

pg_code shape_multinomial(infer *x, const op *o)
{
    const tensor_shape *t = ranked(x, o, 0);
    num out[2] = {t && t->rank == 2 ? t->dims[0] : num_unknown(), num_int(op_attr_int(x->g, o, ATTR_sample_size, 1))};
    return out_dims(x, o, 0, dtype_attr(x, o, DT_INT32), 2, out);
}

pg_code shape_window(infer *x, const op *o)
{
    num n = scalar_get(x, o, 0, ATTR_shape, num_unknown());
    dtype d = dtype_of_code(op_attr_int(x->g, o, ATTR_output_datatype, 1));
    return out_dims(x, o, 0, d, 1, &n);
}

/* num_mel_bins, dft_length, sample_rate, lower and upper frequency: [dft_length / 2 + 1, num_mel_bins] */
pg_code shape_mel_weight_matrix(infer *x, const op *o)
{
    num bins = scalar_get(x, o, 0, ATTR_shape, num_unknown()), length = scalar_get(x, o, 1, ATTR_shape, num_unknown());
    num out[2] = {num_add(num_floor_div(length, num_int(2)), num_int(1)), bins};
    return out_dims(x, o, 0, dtype_of_code(op_attr_int(x->g, o, ATTR_output_datatype, 1)), 2, out);
}
