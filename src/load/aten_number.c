/* Arithmetic of numbers, texts and lists, which the host does. */
#include "load/aten_rows.h"

aten_value aten_host_unary(int kind, aten_value v)
{
    double f = aten_real(v);
    switch (kind) {
    case OP_Neg: return v.kind == ATEN_FLOAT ? aten_float(-f) : aten_int(num_neg(v.v.n));
    case OP_Abs: return v.kind == ATEN_FLOAT ? aten_float(fabs(f)) : v.v.n.v.i < 0 ? aten_int(num_neg(v.v.n)) : v;
    case OP_Floor:
    case OP_Ceil:
    case OP_Round:
        if (v.kind != ATEN_FLOAT) return v;
        f = kind == OP_Ceil ? ceil(f) : floor(kind == OP_Round ? f + 0.5 : f);
        return fabs(f) < 9e15 ? aten_int(num_int((int64_t)f)) : aten_unknown();
    case OP_Sqrt: return f >= 0 ? aten_float(sqrt(f)) : aten_unknown();
    case OP_Exp: return aten_float(exp(f));
    case OP_Log: return f > 0 ? aten_float(log(f)) : aten_unknown();
    case OP_Not: return aten_bool(f == 0);
    default: return aten_unknown();
    }
}

aten_value aten_host_compare(int kind, double a, double b)
{
    switch (kind) {
    case OP_Equal: return aten_bool(a == b);
    case OP_NotEqual: return aten_bool(a != b);
    case OP_Less: return aten_bool(a < b);
    case OP_LessOrEqual: return aten_bool(a <= b);
    case OP_Greater: return aten_bool(a > b);
    case OP_GreaterOrEqual: return aten_bool(a >= b);
    case OP_And: return aten_bool(a != 0 && b != 0);
    case OP_Or: return aten_bool(a != 0 || b != 0);
    case OP_Xor: return aten_bool((a != 0) != (b != 0));
    default: return aten_unknown();
    }
}

static aten_value host_floats(int kind, double a, double b)
{
    switch (kind) {
    case OP_Add: return aten_float(a + b);
    case OP_Sub: return aten_float(a - b);
    case OP_Mul: return aten_float(a * b);
    case OP_Div: return b != 0 ? aten_float(a / b) : aten_unknown();
    case OP_FloorDiv: return b != 0 ? aten_float(floor(a / b)) : aten_unknown();
    case OP_Mod: return b != 0 ? aten_float(a - b * floor(a / b)) : aten_unknown();
    case OP_Pow: return aten_float(pow(a, b));
    case OP_Max: return aten_float(a > b ? a : b);
    case OP_Min: return aten_float(a < b ? a : b);
    default: return aten_host_compare(kind, a, b);
    }
}

aten_value aten_host_binary(int kind, aten_value a, aten_value b)
{
    double x = aten_real(a), y = aten_real(b);
    if (a.kind == ATEN_FLOAT || b.kind == ATEN_FLOAT) return host_floats(kind, x, y);
    switch (kind) {
    case OP_Add: return aten_int(num_add(a.v.n, b.v.n));
    case OP_Sub: return aten_int(num_sub(a.v.n, b.v.n));
    case OP_Mul: return aten_int(num_mul(a.v.n, b.v.n));
    case OP_FloorDiv: return aten_int(num_floor_div(a.v.n, b.v.n));
    case OP_Mod: return aten_int(num_floor_mod(a.v.n, b.v.n));
    case OP_Max: return aten_int(num_max(a.v.n, b.v.n));
    case OP_Min: return aten_int(num_min(a.v.n, b.v.n));
    case OP_Div: {
        num q = num_floor_div(a.v.n, b.v.n), r = num_floor_mod(a.v.n, b.v.n);
        return num_known(r) && r.v.i == 0 ? aten_int(q) : host_floats(kind, x, y); /* sizes stay whole */
    }
    case OP_Pow: {
        double p = pow(x, y);
        return fabs(p) < 9e15 ? aten_int(num_int((int64_t)p)) : aten_unknown();
    }
    case OP_BitwiseAnd: return aten_int(num_int(a.v.n.v.i & b.v.n.v.i));
    case OP_BitwiseOr: return aten_int(num_int(a.v.n.v.i | b.v.n.v.i));
    default: return aten_host_compare(kind, x, y);
    }
}

aten_value aten_undecided(aten *x, int kind, aten_value a, aten_value b)
{
    aten_value u = a.kind == ATEN_UNKNOWN ? a : b, k = a.kind == ATEN_UNKNOWN ? b : a;
    aten_value out = aten_unknown();
    if (!aten_is_number(k) || u.of == ATEN_OF_NOTHING) return out;
    if (u.of == ATEN_OF_COUNT) { /* some, and not very many */
        bool most = aten_real(k) > 1000 && (kind == OP_Greater || kind == OP_GreaterOrEqual);
        return most || (aten_real(k) == 0 && kind == OP_Equal) ? aten_bool(false) : out;
    }
    if (u.of == ATEN_OF_RANK) { /* while nothing is known: inputs are batched, so more than a vector */
        if (kind == OP_Equal) return aten_bool(aten_real(k) >= 2);
        if (kind == OP_NotEqual) return aten_bool(aten_real(k) < 2);
    }
    if (kind != OP_Equal && kind != OP_NotEqual) return out;
    if (u.of == ATEN_OF_SCALAR) {
        x->hints[u.input].bound = true;
        x->hints[u.input].dims[0] = (int64_t)aten_real(k);
        return aten_bool(kind == OP_Equal);
    }
    if (kind == OP_Equal) return out;
    out.of = u.of;
    out.input = u.input;
    out.dim = u.dim;
    out.v.n = num_int((int64_t)aten_real(k));
    return out;
}

aten_value aten_host_texts(int kind, aten_value a, aten_value b)
{
    if (kind == OP_Equal) return aten_bool(str_eq(a.v.text, b.v.text));
    if (kind == OP_NotEqual) return aten_bool(!str_eq(a.v.text, b.v.text));
    return aten_unknown();
}

aten_value aten_host_lists(aten *x, int kind, aten_value a, aten_value b)
{
    num p[MAX_RANK], q[MAX_RANK];
    if (kind == OP_Add) {
        aten_value out = aten_new_list(x, (aten_kind)a.kind, a.v.list->v, a.v.list->n);
        for (uint32_t i = 0; !x->code && i < b.v.list->n; i++) aten_append(x, out.v.list, b.v.list->v[i]);
        return out;
    }
    int n = aten_nums(a, p, MAX_RANK), m = aten_nums(b, q, MAX_RANK);
    if (n < 0 || m < 0 || (kind != OP_Equal && kind != OP_NotEqual)) return aten_unknown();
    bool same = n == m;
    for (int i = 0; same && i < n; i++) {
        if (!num_known(p[i]) || !num_known(q[i])) return aten_unknown();
        same = p[i].v.i == q[i].v.i;
    }
    return aten_bool(same == (kind == OP_Equal));
}

aten_value aten_host_repeated(aten *x, aten_value list, aten_value times)
{
    enum { MOST = 1 << 16 };
    int64_t k;
    if (!aten_plain_int(times, &k) || k < 0 || k > MOST || k * list.v.list->n > MOST) return aten_unknown();
    aten_value out = aten_new_list(x, (aten_kind)list.kind, NULL, 0);
    for (int64_t i = 0; i < k && !x->code; i++)
        for (uint32_t j = 0; !x->code && j < list.v.list->n; j++) aten_append(x, out.v.list, list.v.list->v[j]);
    return out;
}
