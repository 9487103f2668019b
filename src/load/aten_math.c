/* Elementwise operators. */
#include "load/aten_rows.h"

/* ---- one operand ---- */

static aten_value unary(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    aten_value v = A(0);
    if (aten_is_number(v)) return aten_host_unary(row->op, v);
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

/* Traces keep numbers of the source as tensors without dims. */
static aten_value as_number(const aten *x, aten_value v)
{
    if (v.kind != ATEN_TENSOR) return v;
    const tensor_shape *s = aten_shape(x, v.v.tensor);
    if (s->rank != 0 || s->value_count != 1 || !s->value || !num_known(s->value[0])) return v;
    return dtype_get((dtype)s->dtype)->floating ? aten_float(s->value[0].v.f) : aten_int(s->value[0]);
}

aten_value aten_binary(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    aten_value a = A(0), b = A(1);
    int kind = row->op;
    bool list_a = a.kind == ATEN_LIST || a.kind == ATEN_TUPLE, list_b = b.kind == ATEN_LIST || b.kind == ATEN_TUPLE;
    if (kind == OP_Div && A(2).kind == ATEN_TEXT) kind = OP_FloorDiv; /* rounding_mode */
    if (aten_is_number(a)) b = as_number(x, b);
    else if (aten_is_number(b) && a.kind == ATEN_TENSOR && x->g->tensors[a.v.tensor].literal) a = as_number(x, a);
    if (n < 2 && kind == OP_Sub) return aten_unknown();
    if (aten_is_number(a) && aten_is_number(b)) return aten_host_binary(kind, a, b);
    if (a.kind == ATEN_TEXT && b.kind == ATEN_TEXT) return aten_host_texts(kind, a, b);
    if (list_a && list_b) return aten_host_lists(x, kind, a, b);
    if (list_a && kind == OP_Mul) return aten_host_repeated(x, a, b);
    if (a.kind != ATEN_TENSOR && b.kind != ATEN_TENSOR) {
        if (a.kind == ATEN_NONE || b.kind == ATEN_NONE)
            return aten_host_compare(kind, a.kind != ATEN_NONE, b.kind != ATEN_NONE);
        return a.kind == ATEN_UNKNOWN || b.kind == ATEN_UNKNOWN ? aten_undecided(x, kind, a, b) : aten_unknown();
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

/* where(mask): the positions along each dim */
static aten_value positions(aten *x, uint32_t mask)
{
    aten_value out = aten_new_list(x, ATEN_TUPLE, NULL, 0);
    int rank = mask == NO_TENSOR ? -1 : aten_shape(x, mask)->rank;
    if (rank < 1 || x->code) return aten_unknown();
    uint32_t at = aten_emit1(x, OP_NonZero, mask);
    for (int i = 0; i < rank && !x->code; i++) {
        num k = num_int(i);
        aten_begin(x, OP_Gather, (uint32_t[]){at, aten_constant(x, 0, &k, 1)}, 2, 1);
        aten_attr(x, ATTR_axis, 0);
        aten_append(x, out.v.list, aten_end(x));
    }
    return out;
}

static aten_value where(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t c, a, b;
    bool masked = row->op == OP_Mul; /* masked_fill(x, mask, value) */
    if (!masked && A(1).kind == ATEN_NONE && A(0).kind == ATEN_TENSOR)
        return positions(x, aten_operand(x, A(0), NO_TENSOR));
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
    aten_value y = aten_binary(x, row, arg, n > 2 ? 2 : n);
    return y.kind == ATEN_TENSOR ? aten_tensor(aten_emit1(x, OP_Relu, y.v.tensor)) : y;
}

#define UNARY(name, kind)               \
    {                                   \
        name, "input", unary, OP_##kind \
    }
#define BINARY(name, kind)                               \
    {                                                    \
        name, "self other alpha", aten_binary, OP_##kind \
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
    UNARY("asinh", Asinh),
    UNARY("acosh", Acosh),
    UNARY("atanh", Atanh),
    UNARY("arctan", Atan),
    UNARY("erfinv", Erf),
    UNARY("special_erf", Erf),
    UNARY("special_expit", Sigmoid),
    UNARY("special_log1p", Log),
    UNARY("logit", Log),
    UNARY("lgamma", Log),
    UNARY("digamma", Log),
    UNARY("frac", Floor),
    UNARY("fix", Floor),
    UNARY("sgn", Sign),
    UNARY("signbit", IsInf),
    UNARY("isfinite", IsInf),
    UNARY("sinc", Sin),
    UNARY("angle", Atan),
    UNARY("nan_to_num", Clip),
    UNARY("bernoulli", Bernoulli),
    {"gelu", "self approximate", gelu, OP_Gelu},
    {"relu6", "self", clip, OP_Clip},
    {"hardtanh", "self min_val max_val", clip, OP_Clip},
    {"clamp", "self min max", clip, OP_Clip},
    {"clip", "self min max", clip, OP_Clip},
    {"clamp_min", "self min", clip, OP_Clip},
    {"clamp_max", "self max", clip, OP_Min},
    {"glu", "self dim", glu, OP_Mul},
    {"square", "self", square, OP_Mul},
    {"prelu", "self weight", aten_binary, OP_PRelu},
    BINARY("add", Add),
    BINARY("sub", Sub),
    BINARY("subtract", Sub),
    BINARY("rsub", Sub),
    BINARY("mul", Mul),
    BINARY("multiply", Mul),
    {"div", "self other rounding_mode", aten_binary, OP_Div},
    {"divide", "self other rounding_mode", aten_binary, OP_Div},
    BINARY("true_divide", Div),
    BINARY("floor_divide", FloorDiv),
    BINARY("floordiv", FloorDiv),
    BINARY("remainder", Mod),
    BINARY("fmod", Mod),
    {"pow", "self exponent", aten_binary, OP_Pow},
    BINARY("atan2", Atan2),
    BINARY("polar", Mul), /* as pairs of numbers */
    BINARY("complex", Add),
    BINARY("_weight_norm", Mul), /* of a direction and a length */
    BINARY("logaddexp", Add),
    BINARY("logaddexp2", Add),
    BINARY("hypot", Add),
    BINARY("xlogy", Mul),
    BINARY("copysign", Mul),
    BINARY("heaviside", Max),
    BINARY("fmax", Max),
    BINARY("fmin", Min),
    BINARY("isclose", Equal),
    BINARY("arctan2", Atan2),
    BINARY("bitwise_left_shift", BitShift),
    BINARY("bitwise_right_shift", BitShift),
    BINARY("cross", Mul),
    BINARY("linalg_cross", Mul),
    BINARY("bucketize", Add),
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
    {"quantize_per_tensor", "self scale zero_point dtype", quantize, OP_QuantizeLinear},
    {"quantize_per_channel", "self scales zero_points axis dtype", quantize, OP_QuantizeLinear},
    {"dequantize", "self", quantize, OP_DequantizeLinear},
    {"add_relu", "self other", add_relu, OP_Add},
    {"mul_relu", "self other", add_relu, OP_Mul},
    {NULL, NULL, NULL, 0},
};
