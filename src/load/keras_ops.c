/* Functions in a Keras graph: TFOpLambda and its relatives of Keras 2 ("function": "math.add"; arguments by name stand in the
 * reference), TensorFlowOpLayer of TensorFlow 2.0 to 2.3 (a NodeDef), and the operations of Keras 3 ("module": "keras.src.ops.numpy",
 * "class_name": "Add"; what decides shapes stands in the configuration, other arguments with the tensors). */
#include "load/keras_ops.h"

/* ---- arguments ---- */

const json_t *keras_argument(const keras_call *c, size_t at, const char *const *names)
{
    for (; *names; names++) {
        const json_t *v = json_object_get(c->kwargs, *names);
        if (!v) v = json_object_get(c->l->config, *names);
        if (v) return v;
    }
    bool operation = json_object_get(c->l->entry, "module") != NULL && json_is_array(c->args);
    return operation && !json_is_string(json_array_get(c->args, 0)) ? json_array_get(c->args, at) : NULL;
}

/* The dims of nested lists of numbers. */
static int dims_of(const json_t *v, int64_t *dims)
{
    int rank = 0;
    while (json_is_array(v) && rank < 4 && json_array_size(v)) {
        dims[rank++] = (int64_t)json_array_size(v);
        v = json_array_get(v, 0);
    }
    return json_is_number(v) || json_is_boolean(v) ? rank : -1;
}

/* A tensor that the value refers to, or a constant made of its numbers; NO_TENSOR: neither. */
static uint32_t value_of(keras *k, const keras_call *c, const json_t *v)
{
    int64_t dims[4];
    uint32_t t = keras_tensor(k, c->scope, v);
    if (t != NO_TENSOR || !v || k->failed) return t;
    if (json_is_object(v)) v = json_object_get(json_object_get(v, "config"), "value"); /* __tensor__, __numpy__ */
    if (json_is_number(v)) return keras_scalar(k, json_number_value(v));
    int rank = dims_of(v, dims);
    if (rank < 1) return NO_TENSOR;
    t = graph_add_weight(k->g, STR("constant"), DT_FP32, rank, dims);
    if (!keras_must(k, t != NO_TENSOR)) return NO_TENSOR;
    k->g->tensors[t].buffer = true;
    return t;
}

uint32_t keras_operand(keras *k, const keras_call *c, size_t at, const char *const *names)
{
    const json_t *named = NULL;
    if (c->constants) { /* the tensors are the others, in order */
        char place[4];
        size_t tensors = 0;
        for (size_t i = 0; i <= at && i < 10; i++) {
            format_text(place, sizeof place, "%u", (unsigned)i);
            named = json_object_get(c->constants, place);
            tensors += !named;
        }
        if (named) return value_of(k, c, named);
        return tensors <= c->n_in && tensors ? c->in[tensors - 1] : NO_TENSOR;
    }
    for (const char *const *n = names; *n && !named; n++) named = json_object_get(c->kwargs, *n);
    if (named) return value_of(k, c, named);
    if (json_object_get(c->l->entry, "module") && json_is_array(c->args) &&
        !json_is_string(json_array_get(c->args, 0)) && !json_is_array(json_array_get(c->args, 0)))
        return value_of(k, c, json_array_get(c->args, at));
    if (at == 0 &&
        !strcmp(json_is_string(json_array_get(c->args, 0)) ? json_string_value(json_array_get(c->args, 0)) : "",
                "_CONSTANT_VALUE"))
        return value_of(k, c, json_array_get(c->args, 2));
    return at < c->n_in ? c->in[at] : NO_TENSOR;
}

/* ---- what a function's name means ---- */

typedef enum family { UNARY, BINARY, REDUCE, SAME, OWN } family;

typedef struct function {
    const char *name; /* in lower case, without what is in front of the last dot, and without '_' */
    family family;
    int kind;                             /* operator, but of OWN */
    void (*run)(keras *k, keras_call *c); /* of OWN */
} function;

static const function functions[] = {
    {"add", BINARY, OP_Add, NULL},
    {"addv2", BINARY, OP_Add, NULL},
    {"biasadd", BINARY, OP_Add, NULL},
    {"subtract", BINARY, OP_Sub, NULL},
    {"sub", BINARY, OP_Sub, NULL},
    {"multiply", BINARY, OP_Mul, NULL},
    {"mul", BINARY, OP_Mul, NULL},
    {"divide", BINARY, OP_Div, NULL},
    {"truediv", BINARY, OP_Div, NULL},
    {"truedivide", BINARY, OP_Div, NULL},
    {"realdiv", BINARY, OP_Div, NULL},
    {"div", BINARY, OP_Div, NULL},
    {"divnonan", BINARY, OP_Div, NULL},
    {"dividenonan", BINARY, OP_Div, NULL},
    {"floordiv", BINARY, OP_FloorDiv, NULL},
    {"floordivide", BINARY, OP_FloorDiv, NULL},
    {"mod", BINARY, OP_Mod, NULL},
    {"floormod", BINARY, OP_Mod, NULL},
    {"pow", BINARY, OP_Pow, NULL},
    {"power", BINARY, OP_Pow, NULL},
    {"maximum", BINARY, OP_Max, NULL},
    {"minimum", BINARY, OP_Min, NULL},
    {"squareddifference", BINARY, OP_SquaredDifference, NULL},
    {"greater", BINARY, OP_Greater, NULL},
    {"greaterequal", BINARY, OP_GreaterOrEqual, NULL},
    {"less", BINARY, OP_Less, NULL},
    {"lessequal", BINARY, OP_LessOrEqual, NULL},
    {"equal", BINARY, OP_Equal, NULL},
    {"eq", BINARY, OP_Equal, NULL},
    {"notequal", BINARY, OP_NotEqual, NULL},
    {"ne", BINARY, OP_NotEqual, NULL},
    {"logicaland", BINARY, OP_And, NULL},
    {"logicalor", BINARY, OP_Or, NULL},
    {"arctan2", BINARY, OP_Atan2, NULL},
    {"matmul", OWN, 0, keras_function_matmul},
    {"batchmatmulv2", OWN, 0, keras_function_matmul},
    {"dot", OWN, 0, keras_function_matmul},
    {"einsum", OWN, 0, keras_function_einsum},
    {"where", OWN, 0, keras_function_where},
    {"relu", UNARY, OP_Relu, NULL},
    {"relu6", OWN, 0, keras_function_clip},
    {"sigmoid", UNARY, OP_Sigmoid, NULL},
    {"tanh", UNARY, OP_Tanh, NULL},
    {"softplus", UNARY, OP_Softplus, NULL},
    {"softsign", UNARY, OP_Softsign, NULL},
    {"elu", UNARY, OP_Elu, NULL},
    {"selu", UNARY, OP_Selu, NULL},
    {"gelu", UNARY, OP_Gelu, NULL},
    {"silu", UNARY, OP_Silu, NULL},
    {"swish", UNARY, OP_Silu, NULL},
    {"hardswish", UNARY, OP_HardSwish, NULL},
    {"hardsilu", UNARY, OP_HardSwish, NULL},
    {"hardsigmoid", UNARY, OP_HardSigmoid, NULL},
    {"leakyrelu", UNARY, OP_LeakyRelu, NULL},
    {"exp", UNARY, OP_Exp, NULL},
    {"log", UNARY, OP_Log, NULL},
    {"log1p", UNARY, OP_Log, NULL},
    {"expm1", UNARY, OP_Exp, NULL},
    {"sqrt", UNARY, OP_Sqrt, NULL},
    {"rsqrt", UNARY, OP_Rsqrt, NULL},
    {"square", OWN, 0, keras_function_square},
    {"abs", UNARY, OP_Abs, NULL},
    {"absolute", UNARY, OP_Abs, NULL},
    {"neg", UNARY, OP_Neg, NULL},
    {"negative", UNARY, OP_Neg, NULL},
    {"sign", UNARY, OP_Sign, NULL},
    {"floor", UNARY, OP_Floor, NULL},
    {"ceil", UNARY, OP_Ceil, NULL},
    {"round", UNARY, OP_Round, NULL},
    {"sin", UNARY, OP_Sin, NULL},
    {"cos", UNARY, OP_Cos, NULL},
    {"erf", UNARY, OP_Erf, NULL},
    {"reciprocal", UNARY, OP_Reciprocal, NULL},
    {"logicalnot", UNARY, OP_Not, NULL},
    {"isnan", UNARY, OP_IsNaN, NULL},
    {"softmax", OWN, OP_Softmax, keras_function_softmax},
    {"logsoftmax", OWN, OP_LogSoftmax, keras_function_softmax},
    {"l2normalize", OWN, 0, keras_function_normalize},
    {"normalize", OWN, 0, keras_function_normalize},
    {"clip", OWN, 0, keras_function_clip},
    {"clipbyvalue", OWN, 0, keras_function_clip},
    {"cumsum", OWN, 0, keras_function_cumsum},
    {"mean", REDUCE, OP_ReduceMean, NULL},
    {"reducemean", REDUCE, OP_ReduceMean, NULL},
    {"sum", REDUCE, OP_ReduceSum, NULL},
    {"reducesum", REDUCE, OP_ReduceSum, NULL},
    {"max", REDUCE, OP_ReduceMax, NULL},
    {"amax", REDUCE, OP_ReduceMax, NULL},
    {"reducemax", REDUCE, OP_ReduceMax, NULL},
    {"min", REDUCE, OP_ReduceMin, NULL},
    {"amin", REDUCE, OP_ReduceMin, NULL},
    {"reducemin", REDUCE, OP_ReduceMin, NULL},
    {"prod", REDUCE, OP_ReduceProd, NULL},
    {"reduceprod", REDUCE, OP_ReduceProd, NULL},
    {"any", REDUCE, OP_ReduceAny, NULL},
    {"reduceany", REDUCE, OP_ReduceAny, NULL},
    {"all", REDUCE, OP_ReduceAll, NULL},
    {"reduceall", REDUCE, OP_ReduceAll, NULL},
    {"logsumexp", REDUCE, OP_ReduceLogSumExp, NULL},
    {"reducelogsumexp", REDUCE, OP_ReduceLogSumExp, NULL},
    {"norm", REDUCE, OP_ReduceL2, NULL},
    {"var", REDUCE, OP_ReduceSumSquare, NULL},
    {"std", REDUCE, OP_ReduceL2, NULL},
    {"reducevariance", REDUCE, OP_ReduceSumSquare, NULL},
    {"reducestd", REDUCE, OP_ReduceL2, NULL},
    {"argmax", OWN, OP_ArgMax, keras_function_arg},
    {"argmin", OWN, OP_ArgMin, keras_function_arg},
    {"identity", SAME, 0, NULL},
    {"stopgradient", SAME, 0, NULL},
    {"convertto", SAME, 0, NULL},
    {"converttotensor", SAME, 0, NULL},
    {"ensureshape", SAME, 0, NULL},
    {"cast", OWN, 0, keras_function_cast},
    {"tofloat", OWN, 0, keras_function_cast},
    {"saturatecast", OWN, 0, keras_function_cast},
    {"reshape", OWN, 0, keras_function_reshape},
    {"flatten", OWN, 0, keras_function_reshape},
    {"transpose", OWN, 0, keras_function_transpose},
    {"permute", OWN, 0, keras_function_transpose},
    {"swapaxes", OWN, 1, keras_function_transpose},
    {"concat", OWN, 0, keras_function_concat},
    {"concatv2", OWN, 0, keras_function_concat},
    {"concatenate", OWN, 0, keras_function_concat},
    {"stack", OWN, 0, keras_function_stack},
    {"pack", OWN, 0, keras_function_stack},
    {"split", OWN, 0, keras_function_split},
    {"unstack", OWN, 0, keras_function_split},
    {"expanddims", OWN, 0, keras_function_expand},
    {"squeeze", OWN, 0, keras_function_squeeze},
    {"tile", OWN, 0, keras_function_tile},
    {"repeat", OWN, 0, keras_function_repeat},
    {"repeatelements", OWN, 0, keras_function_repeat},
    {"pad", OWN, 0, keras_function_pad},
    {"shape", OWN, 0, keras_function_shape},
    {"size", OWN, 0, keras_function_shape},
    {"getitem", OWN, 0, keras_function_getitem},
    {"stridedslice", OWN, 0, keras_function_getitem},
    {"gather", OWN, 0, keras_function_gather},
    {"take", OWN, 0, keras_function_gather},
    {"onehot", OWN, 0, keras_function_one_hot},
    {"resize", OWN, 0, keras_function_resize},
    {"broadcastto", OWN, 0, keras_function_broadcast},
    {"depthtospace", OWN, OP_DepthToSpace, keras_function_blocks},
    {"spacetodepth", OWN, OP_SpaceToDepth, keras_function_blocks},
    {"flip", OWN, 0, keras_function_flip},
    {"reverse", OWN, 0, keras_function_flip},
    {"zeroslike", OWN, 0, keras_function_like},
    {"oneslike", OWN, 0, keras_function_like},
};

static const function *find(keras *k, str name)
{
    char low[64];
    bool added;
    if (!k->ops.count) {
        map_init(&k->ops, &k->scratch);
        for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++)
            if (!keras_must(k, map_add(&k->ops, str_c(functions[i].name), (uint32_t)i, &added) != NULL)) return NULL;
    }
    for (size_t i = name.len; i-- > 0;)
        if (name.ptr[i] == '.') {
            name = (str){name.ptr + i + 1, name.len - i - 1};
            break;
        }
    str_fold(low, sizeof low, name);
    const uint32_t *row = map_find(&k->ops, str_c(low));
    return row ? &functions[*row] : NULL;
}

/* ---- families ---- */

static void run_binary(keras *k, keras_call *c, op_kind kind)
{
    static const char *const first[] = {"x", "x1", "a", "value", NULL}, *const second[] = {"y", "x2", "b", "bias",
                                                                                           NULL};
    uint32_t a = keras_operand(k, c, 0, first), b = keras_operand(k, c, 1, second);
    if (a == NO_TENSOR || b == NO_TENSOR) keras_unknown(k, c, a != NO_TENSOR ? a : b);
    else keras_give(k, &c->out, keras_op2(k, c->l, kind, a, b));
}

static void run_reduce(keras *k, keras_call *c, op_kind kind)
{
    static const char *const axis[] = {"axis", "axes", NULL}, *const keep[] = {"keepdims", "keep_dims", NULL};
    int64_t axes[8];
    const json_t *kept = keras_argument(c, 2, keep);
    int n = keras_ints(keras_argument(c, 1, axis), 8, axes);
    keras_give(k, &c->out, keras_reduce(k, c->l, kind, keras_in(c), axes, n, json_is_true(kept)));
}

static void run_named(keras *k, keras_call *c, str name)
{
    const function *f = find(k, name);
    uint32_t x = keras_in(c);
    if (k->failed) return;
    if (!f || (x == NO_TENSOR && f->family != BINARY && f->family != OWN)) {
        char text[96];
        size_t n = format_text(text, sizeof text, "%.*s", STR_ARG(name));
        str class = str_copy(&k->scratch, (str){text, n < sizeof text ? n : sizeof text - 1});
        if (!keras_must(k, class.ptr != NULL)) return;
        keras_layer named = *c->l;
        keras_call call = *c;
        named.class = class.ptr;
        call.l = &named;
        keras_unknown(k, &call, NO_TENSOR);
        c->out = call.out;
        return;
    }
    switch (f->family) {
    case UNARY: keras_give(k, &c->out, keras_op1(k, c->l, (op_kind)f->kind, x)); break;
    case BINARY: run_binary(k, c, (op_kind)f->kind); break;
    case REDUCE: run_reduce(k, c, (op_kind)f->kind); break;
    case SAME: keras_give(k, &c->out, x); break;
    case OWN:
        if (x == NO_TENSOR) keras_unknown(k, c, NO_TENSOR);
        else f->run(k, c);
        break;
    }
}

/* ---- entries ---- */

/* variant 1: a TensorFlowOpLayer, whose NodeDef says the operator; constants of it stand in "constants" by their place. */
void keras_function(keras *k, keras_call *c, int variant)
{
    const json_t *config = c->l->config;
    const char *name = json_get_text(config, "function", json_get_text(config, "symbol", NULL));
    if (!strcmp(c->l->class, "SlicingOpLambda")) name = "getitem";
    if (variant) {
        name = json_get_text(json_object_get(config, "node_def"), "op", c->l->class);
        c->constants = json_object_get(config, "constants");
    }
    run_named(k, c, str_c(name ? name : c->l->class));
}

bool keras_operation(keras *k, keras_call *c)
{
    run_named(k, c, str_c(c->l->class));
    return true;
}
