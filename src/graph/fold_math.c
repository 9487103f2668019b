/* Folding of elementwise operators. Integers keep their affine form where arithmetic allows; so do floats, whose k
 * and sym mean the same, since exporters compute sizes through floats and back. */
#include "graph/shape_internal.h"

static num from_float(dtype d, double f, num like, double k)
{
    num n = {{.f = d == DT_FP32 ? (double)(float)f : f}, 0, SYM_NONE};
    if (like.sym == SYM_NONE) return n;
    n.sym = SYM_OPAQUE;
    if (like.sym >= 0 && k != 0 && floor(k) == k && fabs(k) < INT32_MAX) {
        n.sym = like.sym;
        n.k = (int32_t)k;
    }
    return n;
}

static num bool_of(bool v, bool plain)
{
    return plain ? num_int(v) : num_opaque(v);
}

/* Banker's rounding, as ONNX's Round. */
static double round_even(double f)
{
    double r = floor(f), rest = f - r;
    if (rest > 0.5 || (rest == 0.5 && floor(r / 2) * 2 != r)) r += 1;
    return r;
}

static num unary_float(op_kind kind, dtype d, num a)
{
    double f = a.v.f;
    switch (kind) {
    case OP_Floor: return from_float(d, floor(f), a, a.k);
    case OP_Ceil: return from_float(d, ceil(f), a, a.k);
    case OP_Round: return from_float(d, round_even(f), a, a.k);
    case OP_Neg: return from_float(d, -f, a, -(double)a.k);
    case OP_Abs: return from_float(d, fabs(f), a, f >= 0 ? a.k : 0);
    case OP_Relu: return from_float(d, f > 0 ? f : 0, a, f > 0 ? a.k : 0);
    case OP_Sign: return from_float(d, (f > 0) - (f < 0), a, 0);
    case OP_Sqrt: return from_float(d, sqrt(f), a, 0);
    case OP_Rsqrt: return from_float(d, 1 / sqrt(f), a, 0);
    case OP_Reciprocal: return from_float(d, 1 / f, a, 0);
    case OP_Exp: return from_float(d, exp(f), a, 0);
    case OP_Log: return from_float(d, log(f), a, 0);
    case OP_IsNaN: return bool_of(isnan(f), num_plain(a));
    case OP_IsInf: return bool_of(f - f != 0 && !isnan(f), num_plain(a));
    default: return num_unknown();
    }
}

static num unary_int(op_kind kind, num a)
{
    switch (kind) {
    case OP_Neg: return num_neg(a);
    case OP_Abs: return a.v.i < 0 ? num_neg(a) : a;
    case OP_Relu: return a.v.i < 0 ? num_int(0) : a;
    case OP_Floor:
    case OP_Ceil:
    case OP_Round: return a;
    case OP_Sign: return (num){{.i = (a.v.i > 0) - (a.v.i < 0)}, 0, num_plain(a) ? SYM_NONE : SYM_OPAQUE};
    case OP_Not: return bool_of(a.v.i == 0, num_plain(a));
    case OP_BitwiseNot: return (num){{.i = ~a.v.i}, 0, num_plain(a) ? SYM_NONE : SYM_OPAQUE};
    default: return num_unknown();
    }
}

void fold_unary(infer *x, const op *o)
{
    const tensor_shape *t = in_at(x, o, 0);
    uint32_t n;
    if (!t || !t->value) return;
    num *v = fold_room(x, o, 0, &n);
    if (!v || n != t->value_count) return;
    for (uint32_t i = 0; i < n; i++) {
        num a = t->value[i];
        v[i] = !num_known(a) ? a
             : is_float(t)   ? unary_float((op_kind)o->kind, (dtype)t->dtype, a)
                             : unary_int((op_kind)o->kind, a);
    }
    fold_set(x, o, 0, v, n);
}

/* ---- two operands ---- */

static num power_int(num a, num b)
{
    int64_t v = 1;
    if (b.v.i < 0 || b.v.i > 64) return num_unknown();
    if (num_is(b, 1)) return a;
    for (int64_t i = 0; i < b.v.i; i++)
        if (!int_mul(v, a.v.i, &v)) return num_unknown();
    return num_plain(a) && num_plain(b) ? num_int(v) : num_opaque(v);
}

static num apply_int(op_kind kind, num a, num b)
{
    bool plain = num_plain(a) && num_plain(b);
    int64_t p = a.v.i, q = b.v.i;
    switch (kind) {
    case OP_Add:
    case OP_Sum:
    case OP_ReduceSum:
    case OP_CumSum: return num_add(a, b);
    case OP_Sub: return num_sub(a, b);
    case OP_Mul:
    case OP_ReduceProd: return num_mul(a, b);
    case OP_Div: return num_trunc_div(a, b);
    case OP_FloorDiv: return num_floor_div(a, b);
    case OP_Mod: return num_floor_mod(a, b);
    case OP_Pow: return power_int(a, b);
    case OP_SquaredDifference: return num_mul(num_sub(a, b), num_sub(a, b));
    case OP_Max:
    case OP_ReduceMax: return num_max(a, b);
    case OP_Min:
    case OP_ReduceMin: return num_min(a, b);
    case OP_And:
    case OP_ReduceAll: return bool_of(p && q, plain);
    case OP_Or:
    case OP_ReduceAny: return bool_of(p || q, plain);
    case OP_Xor: return bool_of(!p != !q, plain);
    case OP_BitwiseAnd: return plain ? num_int(p & q) : num_opaque(p & q);
    case OP_BitwiseOr: return plain ? num_int(p | q) : num_opaque(p | q);
    case OP_BitwiseXor: return plain ? num_int(p ^ q) : num_opaque(p ^ q);
    case OP_Equal: return bool_of(p == q, plain || num_same(a, b));
    case OP_NotEqual: return bool_of(p != q, plain || num_same(a, b));
    case OP_Greater: return bool_of(p > q, plain);
    case OP_GreaterOrEqual: return bool_of(p >= q, plain);
    case OP_Less: return bool_of(p < q, plain);
    case OP_LessOrEqual: return bool_of(p <= q, plain);
    default: return num_unknown();
    }
}

static num apply_float(op_kind kind, dtype d, num a, num b)
{
    double p = a.v.f, q = b.v.f;
    bool plain = num_plain(a) && num_plain(b);
    num form = num_plain(a) ? b : a;
    if (!num_plain(a) && !num_plain(b) && a.sym != b.sym) form.sym = SYM_OPAQUE;
    switch (kind) {
    case OP_Add:
    case OP_Sum:
    case OP_ReduceSum:
    case OP_CumSum: return from_float(d, p + q, form, (double)a.k + b.k);
    case OP_Sub: return from_float(d, p - q, form, (double)a.k - b.k);
    case OP_Mul:
    case OP_ReduceProd: return from_float(d, p * q, form, num_plain(a) ? p * b.k : num_plain(b) ? q * a.k : 0);
    case OP_Div: return from_float(d, p / q, form, num_plain(b) ? a.k / q : 0);
    case OP_FloorDiv: return from_float(d, floor(p / q), form, num_plain(b) ? a.k / q : 0);
    case OP_Mod: return from_float(d, p - floor(p / q) * q, form, 0);
    case OP_Pow: return from_float(d, pow(p, q), form, num_is(b, 0) ? 0 : q == 1 ? a.k : 0);
    case OP_SquaredDifference: return from_float(d, (p - q) * (p - q), form, 0);
    case OP_Max:
    case OP_ReduceMax: return plain ? (p >= q ? a : b) : from_float(d, p >= q ? p : q, form, 0);
    case OP_Min:
    case OP_ReduceMin: return plain ? (p <= q ? a : b) : from_float(d, p <= q ? p : q, form, 0);
    case OP_Equal: return bool_of(p == q, plain);
    case OP_NotEqual: return bool_of(p != q, plain);
    case OP_Greater: return bool_of(p > q, plain);
    case OP_GreaterOrEqual: return bool_of(p >= q, plain);
    case OP_Less: return bool_of(p < q, plain);
    case OP_LessOrEqual: return bool_of(p <= q, plain);
    default: return num_unknown();
    }
}

num fold_apply2(op_kind kind, dtype d, num a, num b)
{
    if (!num_known(a) || !num_known(b)) return num_unknown();
    return dtype_get(d)->floating ? apply_float(kind, d, a, b) : apply_int(kind, a, b);
}

/* Walks the output in order, with the offsets of up to three operands that broadcast to it. */
typedef struct walker {
    int rank;
    int64_t dim[MAX_RANK], at[MAX_RANK];
    int64_t stride[3][MAX_RANK], offset[3];
} walker;

static void walker_start(walker *w, const tensor_shape *out, const tensor_shape *const *in, int n)
{
    w->rank = out->rank;
    for (int i = 0; i < w->rank; i++) {
        w->dim[i] = out->dims[i].v.i;
        w->at[i] = 0;
    }
    for (int k = 0; k < n; k++) {
        fold_strides(in[k], w->rank, w->stride[k]);
        w->offset[k] = 0;
    }
}

static void walker_next(walker *w, int n)
{
    for (int i = w->rank - 1; i >= 0; i--) {
        for (int k = 0; k < n; k++) w->offset[k] += w->stride[k][i];
        if (++w->at[i] < w->dim[i]) return;
        for (int k = 0; k < n; k++) w->offset[k] -= w->stride[k][i] * w->dim[i];
        w->at[i] = 0;
    }
}

/* Both values and dims are there, and the operand isn't larger than what it broadcasts to. */
static bool has_value(const tensor_shape *t)
{
    return t && t->value && t->rank >= 0;
}

/* Broadcasting by the re-batching rule may pair dims that don't match in number: such values are left alone. */
static bool fits(const tensor_shape *t, const tensor_shape *out)
{
    if (t->rank > out->rank) return false;
    for (int i = 1; i <= t->rank; i++) {
        int64_t d = t->dims[t->rank - i].v.i;
        if (d != 1 && d != out->dims[out->rank - i].v.i) return false;
    }
    return true;
}

static num *combine(infer *x, const op *o, const tensor_shape *a, const tensor_shape *b)
{
    const tensor_shape *out = out_at(x, o, 0), *in[2] = {a, b};
    dtype d = (dtype)a->dtype;
    op_kind kind = (op_kind)o->kind;
    uint32_t n;
    num *v = fold_room(x, o, 0, &n);
    if (!v) return NULL;
    if (a->value_count == n && b->value_count == n && fits(a, out) && fits(b, out)) {
        for (uint32_t i = 0; i < n; i++) v[i] = fold_apply2(kind, d, a->value[i], b->value[i]);
        return v;
    }
    if (!fits(a, out) || !fits(b, out)) return NULL;
    walker w;
    walker_start(&w, out, in, 2);
    for (uint32_t i = 0; i < n; i++, walker_next(&w, 2))
        v[i] = fold_apply2(kind, d, a->value[w.offset[0]], b->value[w.offset[1]]);
    return v;
}

void fold_binary(infer *x, const op *o)
{
    const tensor_shape *a = in_at(x, o, 0), *b = in_at(x, o, 1);
    if (!has_value(a) || !has_value(b) || is_float(a) != is_float(b)) return;
    num *v = combine(x, o, a, b);
    if (v) fold_set(x, o, 0, v, (uint32_t)count_upto(out_at(x, o, 0), FOLD_MAX));
}

/* Max, Min and Sum of any number: one after another. */
void fold_variadic(infer *x, const op *o)
{
    const tensor_shape *first = in_at(x, o, 0), *out = out_at(x, o, 0);
    uint32_t n;
    if (!has_value(first)) return;
    if (o->n_in == 1) {
        fold_view(x, o);
        return;
    }
    tensor_shape sum = *first;
    for (uint32_t i = 1; i < o->n_in; i++) {
        const tensor_shape *t = in_at(x, o, i);
        if (!has_value(t) || is_float(t) != is_float(first)) return;
        num *v = combine(x, o, &sum, t);
        if (!v) return;
        n = (uint32_t)count_upto(out, FOLD_MAX);
        sum.rank = out->rank;
        sum.dims = out->dims;
        sum.value = v;
        sum.value_count = n;
    }
    fold_set(x, o, 0, sum.value, sum.value_count);
}

void fold_where(infer *x, const op *o)
{
    const tensor_shape *in[3] = {in_at(x, o, 0), in_at(x, o, 1), in_at(x, o, 2)}, *out = out_at(x, o, 0);
    uint32_t n;
    for (int i = 0; i < 3; i++)
        if (!has_value(in[i])) return;
    if (is_float(in[1]) != is_float(in[2])) return;
    num *v = fold_room(x, o, 0, &n);
    if (!v || !fits(in[0], out) || !fits(in[1], out) || !fits(in[2], out)) return;
    walker w;
    walker_start(&w, out, in, 3);
    for (uint32_t i = 0; i < n; i++, walker_next(&w, 3)) {
        num c = in[0]->value[w.offset[0]], p = in[1]->value[w.offset[1]], q = in[2]->value[w.offset[2]];
        if (num_known(c)) v[i] = c.v.i ? p : q; /* the form of the one that is picked under this binding */
        else v[i] = num_same(p, q) ? p : num_unknown();
    }
    fold_set(x, o, 0, v, n);
}

void fold_clip(infer *x, const op *o)
{
    const tensor_shape *t = in_at(x, o, 0), *low = in_at(x, o, 1), *high = in_at(x, o, 2);
    uint32_t n;
    if (!has_value(t) || (low && (!has_value(low) || low->value_count != 1)) ||
        (high && (!has_value(high) || high->value_count != 1)))
        return;
    if (o->opset < 11) return; /* bounds as attributes: floats only */
    num *v = fold_room(x, o, 0, &n);
    if (!v || n != t->value_count) return;
    for (uint32_t i = 0; i < n; i++) {
        v[i] = t->value[i];
        if (low) v[i] = fold_apply2(OP_Max, (dtype)t->dtype, v[i], low->value[0]);
        if (high) v[i] = fold_apply2(OP_Min, (dtype)t->dtype, v[i], high->value[0]);
    }
    fold_set(x, o, 0, v, n);
}

/* ---- Cast ---- */

static num cast_to_int(dtype d, num a)
{
    unsigned bits = dtype_get(d)->bits;
    if (d == DT_BOOL) return bool_of(a.v.i != 0, num_plain(a));
    if (bits >= 64) return a;
    bool is_unsigned = d == DT_UINT8 || d == DT_UINT16 || d == DT_UINT32 || d == DT_UINT4 || d == DT_UINT2;
    int64_t most = (int64_t)1 << (is_unsigned ? bits : bits - 1), least = is_unsigned ? 0 : -most;
    if (a.v.i >= least && a.v.i < most) return a;
    /* INT64_MAX stands for "to the end", and stays that in a smaller type */
    return a.v.i == INT64_MAX ? num_int(most - 1) : num_unknown();
}

static num cast_one(dtype from, dtype to, num a)
{
    bool was = dtype_get(from)->floating, is = dtype_get(to)->floating;
    if (!num_known(a)) return a;
    if (was && is) return from_float(to, a.v.f, a, a.k);
    if (is) return from_float(to, (double)a.v.i, a, a.k);
    if (!was) return cast_to_int(to, a);
    if (to == DT_BOOL) return bool_of(a.v.f != 0, num_plain(a));
    double f = trunc(a.v.f);
    if (!(fabs(f) < 9.2e18)) return num_unknown();
    a.v.i = (int64_t)f;
    if (a.sym >= 0 && a.k == 0) a.sym = SYM_OPAQUE;
    return cast_to_int(to, a);
}

void fold_cast(infer *x, const op *o)
{
    const tensor_shape *t = in_at(x, o, 0);
    tensor_shape *out = out_at(x, o, 0);
    uint32_t n;
    if (!t || !t->value || t->dtype == DT_UNKNOWN || out->dtype == DT_UNKNOWN || out->dtype == DT_STRING) return;
    if (t->dtype == out->dtype) {
        fold_set(x, o, 0, t->value, t->value_count);
        return;
    }
    num *v = fold_room(x, o, 0, &n);
    if (!v || n != t->value_count) return;
    for (uint32_t i = 0; i < n; i++) v[i] = cast_one((dtype)t->dtype, (dtype)out->dtype, t->value[i]);
    fold_set(x, o, 0, v, n);
}
