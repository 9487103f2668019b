/* Elementwise operators, matrix products and reductions. */
#include "load/aten.h"
#include "load/torch_internal.h"

#define A(i) (i < n ? arg[i] : aten_none())

/* ---- one operand ---- */

static aten_value host_unary(int kind, aten_value v)
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

static aten_value unary(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    aten_value v = A(0);
    if (aten_is_number(v)) return host_unary(row->op, v);
    if (v.kind != ATEN_TENSOR) return aten_unknown();
    return aten_tensor(aten_emit1(x, (op_kind)row->op, aten_operand(x, v, NO_TENSOR)));
}

/* Activations with a number: alpha, beta, the axis of GLU. */
static aten_value clip(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t t = aten_operand(x, A(0), NO_TENSOR), in[3] = {t, NO_TENSOR, NO_TENSOR};
    if (aten_is_number(A(0))) return aten_unknown();
    bool relu6 = !strcmp(row->name, "relu6");
    if (relu6 || A(1).kind != ATEN_NONE) in[1] = aten_operand(x, relu6 ? aten_float(0) : A(1), t);
    if (relu6 || A(2).kind != ATEN_NONE) in[2] = aten_operand(x, relu6 ? aten_float(6) : A(2), t);
    if (row->op == OP_Min && in[1] != NO_TENSOR) in[2] = in[1], in[1] = NO_TENSOR; /* clamp_max */
    aten_begin(x, OP_Clip, in, in[2] != NO_TENSOR ? 3 : in[1] != NO_TENSOR ? 2 : 1, 1);
    return aten_end(x);
}

static aten_value glu(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    uint32_t t = aten_operand(x, A(0), NO_TENSOR);
    int64_t axis = aten_axis(x, t, A(1), -1);
    aten_begin(x, OP_Split, &t, 1, 2);
    aten_attr(x, ATTR_axis, axis);
    aten_attr(x, ATTR_num_outputs, 2);
    aten_end(x);
    uint32_t a = aten_output(x, 0), b = aten_output(x, 1);
    return aten_tensor(aten_emit2(x, OP_Mul, a, aten_emit1(x, OP_Sigmoid, b)));
}

static aten_value gelu(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    bool fast = A(1).kind == ATEN_TEXT && str_is(A(1).v.text, "tanh");
    return aten_tensor(aten_emit1(x, fast ? OP_FastGelu : OP_Gelu, aten_operand(x, A(0), NO_TENSOR)));
}

static aten_value square(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    uint32_t t = aten_operand(x, A(0), NO_TENSOR);
    return aten_tensor(aten_emit2(x, OP_Mul, t, t));
}

/* ---- two operands ---- */

static aten_value compare(int kind, double a, double b)
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
    default: return compare(kind, a, b);
    }
}

static aten_value host_binary(int kind, aten_value a, aten_value b)
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
    default: return compare(kind, x, y);
    }
}

/* What code demands of its inputs: a number that it compares with is taken for the number; see aten_value.of. */
static aten_value undecided(aten *x, int kind, aten_value a, aten_value b)
{
    aten_value u = a.kind == ATEN_UNKNOWN ? a : b, k = a.kind == ATEN_UNKNOWN ? b : a;
    aten_value out = aten_unknown();
    if (!aten_is_number(k) || u.of == ATEN_OF_NOTHING) return out;
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

static aten_value texts(int kind, aten_value a, aten_value b)
{
    if (kind == OP_Equal) return aten_bool(str_eq(a.v.text, b.v.text));
    if (kind == OP_NotEqual) return aten_bool(!str_eq(a.v.text, b.v.text));
    return aten_unknown();
}

static aten_value lists(aten *x, int kind, aten_value a, aten_value b)
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

static aten_value repeated(aten *x, aten_value list, aten_value times)
{
    enum { MOST = 1 << 16 };
    int64_t k;
    if (!aten_plain_int(times, &k) || k < 0 || k > MOST || k * list.v.list->n > MOST) return aten_unknown();
    aten_value out = aten_new_list(x, (aten_kind)list.kind, NULL, 0);
    for (int64_t i = 0; i < k && !x->code; i++)
        for (uint32_t j = 0; !x->code && j < list.v.list->n; j++) aten_append(x, out.v.list, list.v.list->v[j]);
    return out;
}

/* Traces keep numbers of the source as tensors without dims. */
static aten_value as_number(const aten *x, aten_value v)
{
    if (v.kind != ATEN_TENSOR) return v;
    const tensor_shape *s = aten_shape(x, v.v.tensor);
    if (s->rank != 0 || s->value_count != 1 || !s->value || !num_known(s->value[0])) return v;
    return dtype_get((dtype)s->dtype)->floating ? aten_float(s->value[0].v.f) : aten_int(s->value[0]);
}

static aten_value binary(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    aten_value a = A(0), b = A(1);
    int kind = row->op;
    bool list_a = a.kind == ATEN_LIST || a.kind == ATEN_TUPLE, list_b = b.kind == ATEN_LIST || b.kind == ATEN_TUPLE;
    if (kind == OP_Div && A(2).kind == ATEN_TEXT) kind = OP_FloorDiv; /* rounding_mode */
    if (aten_is_number(a)) b = as_number(x, b);
    else if (aten_is_number(b) && a.kind == ATEN_TENSOR && x->g->tensors[a.v.tensor].literal) a = as_number(x, a);
    if (n < 2 && kind == OP_Sub) return aten_unknown();
    if (aten_is_number(a) && aten_is_number(b)) return host_binary(kind, a, b);
    if (a.kind == ATEN_TEXT && b.kind == ATEN_TEXT) return texts(kind, a, b);
    if (list_a && list_b) return lists(x, kind, a, b);
    if (list_a && kind == OP_Mul) return repeated(x, a, b);
    if (a.kind != ATEN_TENSOR && b.kind != ATEN_TENSOR) {
        if (a.kind == ATEN_NONE || b.kind == ATEN_NONE) return compare(kind, a.kind != ATEN_NONE, b.kind != ATEN_NONE);
        return a.kind == ATEN_UNKNOWN || b.kind == ATEN_UNKNOWN ? undecided(x, kind, a, b) : aten_unknown();
    }
    uint32_t s = a.kind == ATEN_TENSOR ? aten_operand(x, a, NO_TENSOR) : NO_TENSOR;
    uint32_t t = b.kind == ATEN_TENSOR ? aten_operand(x, b, NO_TENSOR) : aten_operand(x, b, s);
    if (s == NO_TENSOR) s = aten_operand(x, a, t);
    if (s == NO_TENSOR || t == NO_TENSOR) return aten_unknown();
    if (!strcmp(row->name, "rsub")) return aten_tensor(aten_emit2(x, OP_Sub, t, s));
    return aten_tensor(aten_emit2(x, (op_kind)kind, s, t));
}

static aten_value addcmul(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t t = aten_operand(x, A(0), NO_TENSOR);
    uint32_t p = aten_emit2(x, (op_kind)row->op, aten_operand(x, A(1), t), aten_operand(x, A(2), t));
    return aten_tensor(aten_emit2(x, OP_Add, t, p));
}

static aten_value where(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t c, a, b;
    bool masked = row->op == OP_Mul; /* masked_fill(x, mask, value) */
    if (n < 3) return aten_unknown();
    a = aten_operand(x, masked ? A(2) : A(1), masked ? aten_operand(x, A(0), NO_TENSOR) : NO_TENSOR);
    b = aten_operand(x, masked ? A(0) : A(2), a);
    c = aten_operand(x, masked ? A(1) : A(0), NO_TENSOR);
    if (a == NO_TENSOR || b == NO_TENSOR || c == NO_TENSOR) return aten_unknown();
    aten_begin(x, OP_Where, (uint32_t[]){c, a, b}, 3, 1);
    return aten_end(x);
}

static aten_value lerp(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    uint32_t a = aten_operand(x, A(0), NO_TENSOR), b = aten_operand(x, A(1), a), w = aten_operand(x, A(2), a);
    return aten_tensor(aten_emit2(x, OP_Add, a, aten_emit2(x, OP_Mul, aten_emit2(x, OP_Sub, b, a), w)));
}

/* ---- products ---- */

/* x W^T + b. Weights are [out, in]; a weight of rank 2 with another rank of data is a matrix product and an addition, as the
 * framework's exporter writes it. */
aten_value aten_linear(aten *x, uint32_t t, uint32_t w, uint32_t b)
{
    const tensor_shape *ws = aten_shape(x, w);
    if (t == NO_TENSOR || w == NO_TENSOR) return aten_unknown();
    if (ws->rank == 2 && num_known(ws->dims[1])) aten_hint_dims(x, t, 2, 1, ws->dims[1].v.i);
    if (aten_rank(x, t) == 2 && ws->rank == 2) {
        uint32_t in[3] = {t, w, b};
        aten_begin(x, OP_Gemm, in, b == NO_TENSOR ? 2 : 3, 1);
        aten_attr(x, ATTR_transB, 1);
        return aten_end(x);
    }
    uint32_t p = aten_emit2(x, OP_MatMul, t, ws->rank == 2 ? aten_turned(x, w) : w);
    return aten_tensor(b == NO_TENSOR ? p : aten_emit2(x, OP_Add, p, b));
}

/* (x, weight, bias), or of a quantised module (x, (weight, bias), ...), which may have an activation behind it */
static aten_value linear(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    aten_value w = A(1), b = A(2);
    if (w.kind == ATEN_TUPLE || w.kind == ATEN_LIST) {
        aten_value packed = w;
        w = aten_count(packed) > 0 ? packed.v.list->v[0] : aten_none();
        b = aten_count(packed) > 1 ? packed.v.list->v[1] : aten_none();
        if (w.kind == ATEN_TUPLE) packed = w, w = aten_count(packed) ? packed.v.list->v[0] : aten_none();
    }
    if (A(0).kind != ATEN_TENSOR || w.kind != ATEN_TENSOR) return aten_unknown();
    aten_value y = aten_linear(x, aten_operand(x, A(0), NO_TENSOR), aten_operand(x, w, NO_TENSOR),
                               b.kind == ATEN_TENSOR ? aten_operand(x, b, NO_TENSOR) : NO_TENSOR);
    return row->op == OP_Relu && y.kind == ATEN_TENSOR ? aten_tensor(aten_emit1(x, OP_Relu, y.v.tensor)) : y;
}

/* What a quantised module packs stays together. */
static aten_value prepack(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    return aten_new_list(x, ATEN_TUPLE, arg, n);
}

static aten_value quantize(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t t = aten_operand(x, A(0), NO_TENSOR);
    if (A(0).kind != ATEN_TENSOR) return aten_unknown();
    uint32_t scale = aten_scalar(x, DT_FP32, 1), zero = aten_scalar(x, DT_UINT8, 0);
    bool quantized = aten_shape(x, t)->dtype == DT_UINT8 || aten_shape(x, t)->dtype == DT_INT8;
    if (row->op == OP_DequantizeLinear && !quantized) return aten_tensor(t);
    aten_begin(x, (op_kind)row->op, (uint32_t[]){t, scale, zero}, 3, 1);
    return aten_end(x);
}

static aten_value add_relu(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    aten_value y = binary(x, row, arg, n > 2 ? 2 : n);
    return y.kind == ATEN_TENSOR ? aten_tensor(aten_emit1(x, OP_Relu, y.v.tensor)) : y;
}

/* Each element of one vector by each of another. */
static aten_value outer(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t a = aten_operand(x, A(0), NO_TENSOR), b = aten_operand(x, A(1), NO_TENSOR);
    if (a == NO_TENSOR || b == NO_TENSOR) return aten_unknown();
    return aten_tensor(aten_emit2(x, (op_kind)row->op, aten_unsqueeze(x, a, -1), aten_unsqueeze(x, b, 0)));
}

static aten_value matmul(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    uint32_t a = aten_operand(x, A(0), NO_TENSOR), b = aten_operand(x, A(1), NO_TENSOR);
    if (a == NO_TENSOR || b == NO_TENSOR) return aten_unknown();
    const tensor_shape *s = aten_shape(x, b);
    if (s->rank == 2 && num_known(s->dims[0])) aten_hint_dims(x, a, 2, 1, s->dims[0].v.i);
    return aten_tensor(aten_emit2(x, OP_MatMul, a, b));
}

/* bias + a b */
static aten_value addmm(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t c = aten_operand(x, A(0), NO_TENSOR), a = aten_operand(x, A(1), NO_TENSOR),
             b = aten_operand(x, A(2), NO_TENSOR);
    if (c == NO_TENSOR || a == NO_TENSOR || b == NO_TENSOR) return aten_unknown();
    const tensor_shape *s = aten_shape(x, b);
    if (row->op == OP_MatMul) return aten_tensor(aten_emit2(x, OP_Add, aten_emit2(x, OP_MatMul, a, b), c));
    if (s->rank == 2 && num_known(s->dims[0])) aten_hint_dims(x, a, 2, 1, s->dims[0].v.i);
    aten_begin(x, OP_Gemm, (uint32_t[]){a, b, c}, 3, 1);
    return aten_end(x);
}

static aten_value einsum(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    enum { MOST = 16 };
    uint32_t in[MOST], count = 0;
    (void)row;
    aten_value list = A(1);
    if (A(0).kind != ATEN_TEXT || list.kind != ATEN_LIST || !list.v.list->n || list.v.list->n > MOST)
        return aten_unknown();
    for (uint32_t i = 0; i < list.v.list->n; i++) in[count++] = aten_operand(x, list.v.list->v[i], NO_TENSOR);
    aten_begin(x, OP_Einsum, in, count, 1);
    str equation = str_copy(x->g->a, A(0).v.text);
    if (!x->code && (!equation.ptr || !graph_attr_string(x->g, ATTR_equation, equation))) aten_nomem(x);
    return aten_end(x);
}

/* ---- reductions ---- */

static uint32_t reduce_to(aten *x, op_kind kind, uint32_t t, aten_value axes, bool keep)
{
    int64_t list[MAX_RANK];
    num nums[MAX_RANK];
    int n = axes.kind == ATEN_NONE ? 0 : aten_ints(axes, list, MAX_RANK);
    uint32_t in[2] = {t, NO_TENSOR};
    for (int i = 0; i < n; i++) nums[i] = num_int(list[i]);
    if (n > 0) in[1] = aten_constant(x, 1, nums, (uint32_t)n);
    aten_begin(x, kind, in, n > 0 ? 2 : 1, 1);
    aten_attr(x, ATTR_keepdims, keep);
    aten_end(x);
    return aten_output(x, 0);
}

/* all and any of a list of truths, the sum of a list of numbers */
static aten_value all_of(int kind, const aten_list *l)
{
    aten_value out = kind == OP_ReduceSum ? aten_int(num_int(0)) : aten_bool(kind == OP_ReduceAll);
    for (uint32_t i = 0; i < l->n; i++) {
        if (!aten_is_number(l->v[i])) return aten_unknown();
        int step = kind == OP_ReduceSum ? OP_Add : kind == OP_ReduceAll ? OP_And : OP_Or;
        out = host_binary(step, out, l->v[i]);
    }
    return out;
}

/* sum, mean and the like: (x), or (x, axes, keepdim) */
static aten_value reduce(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t t = aten_operand(x, A(0), NO_TENSOR);
    if (A(0).kind == ATEN_LIST) return all_of(row->op, A(0).v.list);
    if (t == NO_TENSOR || A(0).kind != ATEN_TENSOR) return aten_unknown();
    bool axes = A(1).kind == ATEN_LIST || (A(1).kind == ATEN_INT && n > 2) ||
                (A(1).kind == ATEN_INT && row->op != OP_ReduceProd);
    bool keep = A(2).kind == ATEN_BOOL && A(2).v.n.v.i;
    return aten_tensor(reduce_to(x, (op_kind)row->op, t, axes ? A(1) : aten_none(), keep));
}

/* std and var: a pass for the mean, one for the squares */
static aten_value spread(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t t = aten_operand(x, A(0), NO_TENSOR);
    bool keep = false;
    aten_value axes = A(1).kind == ATEN_LIST || A(1).kind == ATEN_INT ? A(1) : aten_none();
    if (t == NO_TENSOR || A(0).kind != ATEN_TENSOR) return aten_unknown();
    for (uint32_t i = 2; i < n; i++)
        if (arg[i].kind == ATEN_BOOL) keep = arg[i].v.n.v.i != 0;
    uint32_t mean = reduce_to(x, OP_ReduceMean, t, axes, true);
    uint32_t d = aten_emit2(x, OP_Sub, t, mean);
    uint32_t v = reduce_to(x, OP_ReduceMean, aten_emit2(x, OP_Mul, d, d), axes, keep);
    bool both = !strcmp(row->name, "var_mean") || !strcmp(row->name, "std_mean");
    if (row->op == OP_Sqrt) v = aten_emit1(x, OP_Sqrt, v);
    if (!both) return aten_tensor(v);
    return aten_new_list(
        x, ATEN_TUPLE,
        (aten_value[]){aten_tensor(v), aten_tensor(keep ? mean : reduce_to(x, OP_ReduceMean, t, axes, false))}, 2);
}

static aten_value arg_max(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t t = aten_operand(x, A(0), NO_TENSOR);
    if (t == NO_TENSOR) return aten_unknown();
    int64_t axis = aten_axis(x, t, A(1), 0);
    if (A(1).kind == ATEN_NONE) {
        t = aten_reshape(x, t, (num[]){num_int(-1)}, 1);
        axis = 0;
    }
    aten_begin(x, (op_kind)row->op, &t, 1, 1);
    aten_attr(x, ATTR_axis, axis);
    aten_attr(x, ATTR_keepdims, A(2).kind == ATEN_BOOL && A(2).v.n.v.i);
    return aten_end(x);
}

/* max(x), max(x, axis, keepdim) with its indices, max(x, y) */
static aten_value extreme(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    bool most = row->op == OP_Max;
    if (A(0).kind != ATEN_TENSOR || A(1).kind == ATEN_TENSOR) {
        if (n >= 2) return binary(x, row, arg, n);
        aten_value best = aten_unknown();
        for (uint32_t i = 0; (A(0).kind == ATEN_LIST || A(0).kind == ATEN_TUPLE) && i < A(0).v.list->n; i++) {
            aten_value v = A(0).v.list->v[i];
            if (!aten_is_number(v)) return aten_unknown();
            best = i ? host_binary(row->op, best, v) : v;
        }
        return best;
    }
    uint32_t t = aten_operand(x, A(0), NO_TENSOR);
    bool keep = A(2).kind == ATEN_BOOL && A(2).v.n.v.i;
    uint32_t v = reduce_to(x, most ? OP_ReduceMax : OP_ReduceMin, t, A(1), keep);
    if (A(1).kind == ATEN_NONE || !strcmp(row->name, "amax") || !strcmp(row->name, "amin")) return aten_tensor(v);
    aten_begin(x, most ? OP_ArgMax : OP_ArgMin, &t, 1, 1);
    aten_attr(x, ATTR_axis, aten_axis(x, t, A(1), 0));
    aten_attr(x, ATTR_keepdims, keep);
    aten_value at = aten_end(x);
    return aten_new_list(x, ATEN_TUPLE, (aten_value[]){aten_tensor(v), at}, 2);
}

static aten_value norm(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t t = aten_operand(x, A(0), NO_TENSOR);
    if (t == NO_TENSOR || A(0).kind != ATEN_TENSOR) return aten_unknown();
    bool one = aten_is_number(A(1)) && aten_real(A(1)) == 1;
    bool keep = A(3).kind == ATEN_BOOL && A(3).v.n.v.i;
    return aten_tensor(reduce_to(x, one ? OP_ReduceL1 : (op_kind)row->op, t, A(2), keep));
}

static aten_value cumulative(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t t = aten_operand(x, A(0), NO_TENSOR);
    if (t == NO_TENSOR) return aten_unknown();
    num axis = num_int(aten_axis(x, t, A(1), 0));
    return aten_tensor(aten_emit2(x, (op_kind)row->op, t, aten_constant(x, 0, &axis, 1)));
}

/* topk(x, k, axis), sort(x, axis): values and indices */
static aten_value sorted(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t t = aten_operand(x, A(0), NO_TENSOR);
    if (t == NO_TENSOR) return aten_unknown();
    bool top = !strcmp(row->name, "topk");
    int64_t axis = aten_axis(x, t, top ? A(2) : A(1), -1);
    const tensor_shape *s = aten_shape(x, t);
    num k = top                         ? A(1).kind == ATEN_INT ? A(1).v.n : num_unknown()
                                  : s->rank > axis && axis >= 0 ? s->dims[axis]
                                        : num_unknown();
    aten_begin(x, OP_TopK, (uint32_t[]){t, aten_constant(x, 1, &k, 1)}, 2, 2);
    aten_attr(x, ATTR_axis, axis);
    aten_value v = aten_end(x);
    aten_value at = aten_tensor(aten_output(x, 1));
    if (!strcmp(row->name, "argsort")) return at;
    return aten_new_list(x, ATEN_TUPLE, (aten_value[]){v, at}, 2);
}

#define UNARY(name, kind)               \
    {                                   \
        name, "input", unary, OP_##kind \
    }
#define BINARY(name, kind)                          \
    {                                               \
        name, "self other alpha", binary, OP_##kind \
    }
#define REDUCE(name, kind)                                \
    {                                                     \
        name, "self dim keepdim dtype", reduce, OP_##kind \
    }

const aten_row aten_math_rows[] = {
    UNARY("relu", Relu),
    UNARY("sigmoid", Sigmoid),
    UNARY("tanh", Tanh),
    UNARY("silu", Silu),
    UNARY("hardswish", HardSwish),
    UNARY("hardsigmoid", HardSigmoid),
    UNARY("mish", Mish),
    UNARY("softplus", Softplus),
    UNARY("softsign", Softsign),
    UNARY("exp", Exp),
    UNARY("expm1", Exp),
    UNARY("exp2", Exp),
    UNARY("log", Log),
    UNARY("log2", Log),
    UNARY("log10", Log),
    UNARY("log1p", Log),
    UNARY("log_sigmoid", Softplus),
    UNARY("sqrt", Sqrt),
    UNARY("rsqrt", Rsqrt),
    UNARY("abs", Abs),
    UNARY("neg", Neg),
    UNARY("erf", Erf),
    UNARY("erfc", Erf),
    UNARY("sin", Sin),
    UNARY("cos", Cos),
    UNARY("tan", Tan),
    UNARY("asin", Asin),
    UNARY("acos", Acos),
    UNARY("atan", Atan),
    UNARY("sinh", Sinh),
    UNARY("cosh", Cosh),
    UNARY("floor", Floor),
    UNARY("ceil", Ceil),
    UNARY("round", Round),
    UNARY("trunc", Floor),
    UNARY("sign", Sign),
    UNARY("reciprocal", Reciprocal),
    UNARY("logical_not", Not),
    UNARY("bitwise_not", BitwiseNot),
    UNARY("isnan", IsNaN),
    UNARY("isinf", IsInf),
    UNARY("elu", Elu),
    UNARY("selu", Selu),
    UNARY("celu", Celu),
    UNARY("leaky_relu", LeakyRelu),
    UNARY("rrelu", LeakyRelu),
    UNARY("hardshrink", Shrink),
    UNARY("softshrink", Shrink),
    UNARY("threshold", ThresholdedRelu),
    {"gelu", "self approximate", gelu, OP_Gelu},
    {"relu6", "self", clip, OP_Clip},
    {"hardtanh", "self min_val max_val", clip, OP_Clip},
    {"clamp", "self min max", clip, OP_Clip},
    {"clip", "self min max", clip, OP_Clip},
    {"clamp_min", "self min", clip, OP_Clip},
    {"clamp_max", "self max", clip, OP_Min},
    {"glu", "self dim", glu, OP_Mul},
    {"square", "self", square, OP_Mul},
    {"prelu", "self weight", binary, OP_PRelu},
    BINARY("add", Add),
    BINARY("sub", Sub),
    BINARY("subtract", Sub),
    BINARY("rsub", Sub),
    BINARY("mul", Mul),
    BINARY("multiply", Mul),
    {"div", "self other rounding_mode", binary, OP_Div},
    {"divide", "self other rounding_mode", binary, OP_Div},
    BINARY("true_divide", Div),
    BINARY("floor_divide", FloorDiv),
    BINARY("floordiv", FloorDiv),
    BINARY("remainder", Mod),
    BINARY("fmod", Mod),
    {"pow", "self exponent", binary, OP_Pow},
    BINARY("atan2", Atan2),
    BINARY("polar", Mul), /* as pairs of numbers */
    BINARY("complex", Add),
    BINARY("_weight_norm", Mul), /* of a direction and a length */
    BINARY("maximum", Max),
    BINARY("minimum", Min),
    BINARY("eq", Equal),
    BINARY("ne", NotEqual),
    BINARY("lt", Less),
    BINARY("le", LessOrEqual),
    BINARY("gt", Greater),
    BINARY("ge", GreaterOrEqual),
    BINARY("logical_and", And),
    BINARY("logical_or", Or),
    BINARY("logical_xor", Xor),
    BINARY("__and__", And),
    BINARY("__or__", Or),
    BINARY("__xor__", Xor),
    BINARY("bitwise_and", BitwiseAnd),
    BINARY("bitwise_or", BitwiseOr),
    BINARY("bitwise_xor", BitwiseXor),
    {"addcmul", "self tensor1 tensor2 value", addcmul, OP_Mul},
    {"addcdiv", "self tensor1 tensor2 value", addcmul, OP_Div},
    {"where", "condition self other", where, OP_Where},
    {"masked_fill", "self mask value", where, OP_Mul},
    {"lerp", "self end weight", lerp, OP_Add},
    {"linear", "input weight bias", linear, OP_Gemm},
    {"linear_relu", "input weight bias", linear, OP_Relu},
    {"linear_dynamic", "input weight", linear, OP_Gemm},
    {"linear_relu_dynamic", "input weight", linear, OP_Relu},
    {"linear_dynamic_fp16", "input weight", linear, OP_Gemm},
    {"linear_prepack", "weight bias", prepack, 0},
    {"linear_prepack_fp16", "weight bias", prepack, 0},
    {"conv1d_prepack", "weight bias stride padding dilation groups", prepack, 0},
    {"conv2d_prepack", "weight bias stride padding dilation groups", prepack, 0},
    {"conv3d_prepack", "weight bias stride padding dilation groups", prepack, 0},
    {"quantize_per_tensor", "self scale zero_point dtype", quantize, OP_QuantizeLinear},
    {"quantize_per_channel", "self scales zero_points axis dtype", quantize, OP_QuantizeLinear},
    {"dequantize", "self", quantize, OP_DequantizeLinear},
    {"add_relu", "self other", add_relu, OP_Add},
    {"mul_relu", "self other", add_relu, OP_Mul},
    {"matmul", "self other", matmul, OP_MatMul},
    {"mm", "self mat2", matmul, OP_MatMul},
    {"bmm", "self mat2", matmul, OP_MatMul},
    {"mv", "self vec", matmul, OP_MatMul},
    {"dot", "self tensor", matmul, OP_MatMul},
    {"outer", "self vec2", outer, OP_Mul},
    {"ger", "self vec2", outer, OP_Mul},
    {"addmm", "self mat1 mat2", addmm, OP_Gemm},
    {"baddbmm", "self batch1 batch2", addmm, OP_MatMul},
    {"addbmm", "self batch1 batch2", addmm, OP_MatMul},
    {"einsum", "equation tensors path", einsum, OP_Einsum},
    REDUCE("sum", ReduceSum),
    REDUCE("mean", ReduceMean),
    REDUCE("nansum", ReduceSum),
    REDUCE("prod", ReduceProd),
    REDUCE("logsumexp", ReduceLogSumExp),
    REDUCE("any", ReduceAny),
    REDUCE("all", ReduceAll),
    {"std", "self dim correction keepdim unbiased", spread, OP_Sqrt},
    {"var", "self dim correction keepdim unbiased", spread, OP_ReduceMean},
    {"var_mean", "self dim correction keepdim unbiased", spread, OP_ReduceMean},
    {"std_mean", "self dim correction keepdim unbiased", spread, OP_Sqrt},
    {"argmax", "self dim keepdim", arg_max, OP_ArgMax},
    {"argmin", "self dim keepdim", arg_max, OP_ArgMin},
    {"max", "self dim keepdim", extreme, OP_Max},
    {"min", "self dim keepdim", extreme, OP_Min},
    {"amax", "self dim keepdim", extreme, OP_Max},
    {"amin", "self dim keepdim", extreme, OP_Min},
    {"norm", "self p dim keepdim", norm, OP_ReduceL2},
    {"frobenius_norm", "self p dim keepdim", norm, OP_ReduceL2},
    {"linalg_vector_norm", "self ord dim keepdim", norm, OP_ReduceL2},
    {"linalg_norm", "self ord dim keepdim", norm, OP_ReduceL2},
    {"cumsum", "self dim", cumulative, OP_CumSum},
    {"cumprod", "self dim", cumulative, OP_CumSum},
    {"topk", "self k dim largest sorted", sorted, OP_TopK},
    {"sort", "self dim descending", sorted, OP_TopK},
    {"argsort", "self dim descending", sorted, OP_TopK},
    {NULL, NULL, NULL, 0},
};
