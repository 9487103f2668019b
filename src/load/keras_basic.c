/* Dense layers, embeddings, activations, and what inference leaves out. */
#include "load/keras_internal.h"

/* Rules that call for one result: gives it, so that each ends with one call. */
static void give(keras *k, keras_call *c, uint32_t t)
{
    keras_give(k, &c->out, t);
}

/* ---- activations ---- */

static uint32_t clip(keras *k, keras_layer *l, uint32_t x, double low, double high)
{
    uint32_t a = keras_scalar(k, low), b = keras_scalar(k, high);
    return keras_op(k, l, OP_Clip, (uint32_t[]){x, a, b}, 3);
}

static uint32_t with_alpha(keras *k, keras_layer *l, op_kind kind, uint32_t x, double alpha)
{
    uint32_t y = keras_op1(k, l, kind, x);
    keras_float(k, ATTR_alpha, alpha);
    return y;
}

static uint32_t softmax(keras *k, keras_layer *l, op_kind kind, uint32_t x, int64_t axis)
{
    uint32_t y = keras_op1(k, l, kind, x);
    keras_int(k, ATTR_axis, axis);
    return y;
}

/* Half of the channels gate the other half. */
static uint32_t gated(keras *k, keras_layer *l, uint32_t x)
{
    uint32_t half[2];
    keras_op_outs(k, l, OP_Split, &x, 1, half, 2);
    keras_int(k, ATTR_axis, -1);
    keras_int(k, ATTR_num_outputs, 2);
    return keras_op2(k, l, OP_Mul, half[0], keras_op1(k, l, OP_Sigmoid, half[1]));
}

static uint32_t named_activation(keras *k, keras_layer *l, uint32_t x, const char *name)
{
    static const struct {
        const char *name;
        op_kind kind;
    } plain[] = {{"relu", OP_Relu},
                 {"sigmoid", OP_Sigmoid},
                 {"tanh", OP_Tanh},
                 {"softplus", OP_Softplus},
                 {"softsign", OP_Softsign},
                 {"elu", OP_Elu},
                 {"selu", OP_Selu},
                 {"gelu", OP_Gelu},
                 {"gelu_approximate", OP_Gelu},
                 {"swish", OP_Silu},
                 {"silu", OP_Silu},
                 {"exponential", OP_Exp},
                 {"hardsigmoid", OP_HardSigmoid},
                 {"hardsilu", OP_HardSwish},
                 {"hardswish", OP_HardSwish},
                 {"leakyrelu", OP_LeakyRelu},
                 {"mish", OP_Mish},
                 {"celu", OP_Celu},
                 {"hardshrink", OP_Shrink},
                 {"softshrink", OP_Shrink},
                 {"threshold", OP_ThresholdedRelu},
                 {"logsigmoid", OP_Softplus},
                 {"squareplus", OP_Softplus}};
    char low[64];
    str_fold(low, sizeof low, str_c(name));
    if (!strcmp(low, "linear")) return x;
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        if (!strcmp(low, plain[i].name)) return keras_op1(k, l, plain[i].kind, x);
    if (!strcmp(low, "softmax")) return softmax(k, l, OP_Softmax, x, -1);
    if (!strcmp(low, "logsoftmax")) return softmax(k, l, OP_LogSoftmax, x, -1);
    if (!strcmp(low, "relu6")) return clip(k, l, x, 0, 6);
    if (!strcmp(low, "hardtanh")) return clip(k, l, x, -1, 1);
    if (!strcmp(low, "tanhshrink")) return keras_op2(k, l, OP_Sub, x, keras_op1(k, l, OP_Tanh, x));
    if (!strcmp(low, "glu")) return gated(k, l, x);
    keras_layer named = {.config = l->config, .entry = l->entry, .class = name, .name = l->name, .weights = l->weights};
    keras_call c = {.l = &named, .in = &x, .n_in = 1};
    keras_unknown(k, &c, x); /* a function of one's own: pointwise, as activations are */
    return c.out.n ? c.out.t[0] : NO_TENSOR;
}

/* Layers that are activations, with their numbers. Keras 2 calls them otherwise than Keras 3. */
static uint32_t layer_activation(keras *k, keras_layer *l, const char *class, const json_t *config, uint32_t x)
{
    double slope = json_get_real(config, "negative_slope", json_get_real(config, "alpha", 0.3));
    if (!strcmp(class, "ReLU")) {
        double most = json_get_real(config, "max_value", -1);
        slope = json_get_real(config, "negative_slope", 0);
        if (most >= 0) return clip(k, l, x, 0, most);
        return slope > 0 ? with_alpha(k, l, OP_LeakyRelu, x, slope) : keras_op1(k, l, OP_Relu, x);
    }
    if (!strcmp(class, "LeakyReLU")) return with_alpha(k, l, OP_LeakyRelu, x, slope);
    if (!strcmp(class, "ELU")) return with_alpha(k, l, OP_Elu, x, json_get_real(config, "alpha", 1));
    if (!strcmp(class, "ThresholdedReLU")) return keras_op1(k, l, OP_ThresholdedRelu, x);
    if (!strcmp(class, "Softmax")) {
        int64_t axis = -1;
        if (keras_ints(json_object_get(config, "axis"), 1, &axis) < 1) axis = -1;
        return softmax(k, l, OP_Softmax, x, axis);
    }
    return NO_TENSOR;
}

uint32_t keras_activation(keras *k, keras_layer *l, uint32_t x, const json_t *activation)
{
    if (!activation || json_is_null(activation) || k->failed) return x;
    if (json_is_string(activation)) return named_activation(k, l, x, json_string_value(activation));
    const json_t *config = json_object_get(activation, "config");
    const char *class = json_get_text(activation, "class_name", "activation");
    if (json_is_string(config))
        return named_activation(k, l, x, json_string_value(config)); /* {"class_name": "function"} */
    uint32_t y = layer_activation(k, l, class, config, x);
    return y != NO_TENSOR || k->failed ? y : named_activation(k, l, x, class);
}

void keras_activation_layer(keras *k, keras_call *c, int variant)
{
    keras_layer *l = c->l;
    uint32_t x = keras_in(c);
    (void)variant;
    if (!strcmp(l->class, "Activation"))
        give(k, c, keras_activation(k, l, x, json_object_get(l->config, "activation")));
    else give(k, c, layer_activation(k, l, l->class, l->config, x));
}

/* PReLU: a slope for each feature, but for the axes that share it. */
void keras_parametric(keras *k, keras_call *c, int variant)
{
    keras_layer *l = c->l;
    uint32_t x = keras_in(c);
    int64_t dims[8] = {0}, shared[8];
    int rank = keras_rank(k, x), n = keras_ints(json_object_get(l->config, "shared_axes"), 8, shared);
    (void)variant;
    if (rank < 2 || rank > 8) {
        keras_unknown(k, c, x);
        return;
    }
    for (int i = 1; i < rank; i++) dims[i - 1] = keras_dim(k, x, i);
    for (int i = 0; i < n; i++)
        if (shared[i] >= 1 && shared[i] < rank) dims[shared[i] - 1] = 1;
    give(k, c, keras_op2(k, l, OP_PRelu, x, keras_weight(k, l, "alpha", rank - 1, dims)));
}

/* ---- dense ---- */

static int64_t units_of(keras *k, const keras_layer *l)
{
    return keras_size(k, l, json_object_get(l->config, "units") ? "units" : "output_dim", 0); /* Keras 1 */
}

void keras_dense(keras *k, keras_call *c, int variant)
{
    keras_layer *l = c->l;
    uint32_t x = keras_in(c);
    int64_t units = units_of(k, l), in = keras_dim(k, x, -1);
    (void)variant;
    if (in < 1) in = keras_stored_dim(k, l, "kernel", 0);
    if (in < 1) { /* behind a layer that is not known */
        keras_unknown(k, c, NO_TENSOR);
        return;
    }
    x = keras_linear(k, l, x, "kernel", in, units, keras_uses_bias(l) ? "bias" : NULL);
    give(k, c, keras_activation(k, l, x, json_object_get(l->config, "activation")));
}

/* The equation "...x,xy->...y" for an input of this rank: letters that are not used stand for the dots. */
static bool spell_out(const char *from, int rank, char *out, size_t cap)
{
    int letters = 0;
    const char *comma = strchr(from, ',');
    if (!comma) return false;
    for (const char *at = from; at < comma; at++) letters += *at != '.' && *at != ' ';
    char dots[16];
    int n = 0;
    for (char letter = 'A'; letter <= 'Z' && n < rank - letters && n < 15; letter++)
        if (!strchr(from, letter)) dots[n++] = letter;
    dots[n] = '\0';
    size_t len = 0;
    for (const char *at = from; *at && len + 17 < cap; at++) {
        if (*at == ' ') continue;
        if (!strncmp(at, "...", 3)) {
            len += format_text(out + len, cap - len, "%s", dots);
            at += 2;
        } else {
            out[len++] = *at;
        }
    }
    out[len] = '\0';
    return true;
}

/* Dims of the kernel: of letters that the input has too, its dims; of others, what output_shape says. -1: not known. */
static int kernel_dims(keras *k, const keras_layer *l, uint32_t x, const char *equation, int64_t *dims, int64_t *sizes)
{
    const char *comma = strchr(equation, ','), *arrow = strstr(equation, "->");
    int64_t given[8];
    const json_t *shape = json_object_get(l->config, "output_shape");
    if (json_is_object(shape)) shape = json_object_get(shape, "items");
    int n_given = json_array_size(shape) > 8 ? 0 : (int)json_array_size(shape), rank = 0;
    for (int i = 0; i < n_given; i++) { /* null: as in the input */
        const json_t *v = json_array_get(shape, (size_t)i);
        given[i] = json_is_integer(v) ? json_integer_value(v) : -1;
    }
    if (json_is_integer(shape)) given[0] = json_integer_value(shape), n_given = 1;
    if (!comma || !arrow || comma > arrow) return -1;
    int n_out = (int)strlen(arrow + 2), skip = n_out - n_given;
    for (int i = 0; i < 128; i++) sizes[i] = -1;
    for (int i = 0; i < n_out; i++)
        if (i >= skip && i - skip < n_given) sizes[(unsigned char)arrow[2 + i] & 127] = given[i - skip];
    for (const char *at = equation; at < comma; at++) {
        int64_t d = keras_dim(k, x, (int)(at - equation));
        if (d > 0) sizes[(unsigned char)*at & 127] = d;
    }
    for (const char *at = comma + 1; at < arrow && rank < 8; at++) {
        int64_t d = sizes[(unsigned char)*at & 127];
        if (d < 1 || d > INT32_MAX) d = keras_stored_dim(k, l, "kernel", rank);
        if (d < 1) return -1;
        dims[rank++] = d;
    }
    return rank;
}

/* "abc,cd->abd": a matrix product. */
static bool is_product(const char *equation, int rank_in)
{
    const char *comma = equation + rank_in;
    if (strlen(equation) != (size_t)(2 * rank_in + 5) || *comma != ',' || rank_in < 1) return false;
    const char *out = comma + 5;
    return comma[1] == comma[-1] && comma[2] == out[rank_in - 1] && !memcmp(equation, out, (size_t)rank_in - 1) &&
           comma[1] != comma[2];
}

void keras_einsum_dense(keras *k, keras_call *c, int variant)
{
    keras_layer *l = c->l;
    uint32_t x = keras_in(c), y;
    char equation[96];
    const char *given = json_get_text(l->config, "equation", ""), *bias = json_get_text(l->config, "bias_axes", NULL);
    int64_t dims[8], sizes[128];
    int rank_in = keras_rank(k, x);
    bool ok = strlen(given) < 64 && spell_out(given, rank_in, equation, sizeof equation);
    int rank = ok ? kernel_dims(k, l, x, equation, dims, sizes) : -1;
    (void)variant;
    if (rank < 1) {
        keras_unknown(k, c, NO_TENSOR);
        return;
    }
    uint32_t w = keras_weight(k, l, "kernel", rank, dims);
    if (is_product(equation, rank_in)) {
        y = keras_op2(k, l, OP_MatMul, x, w);
    } else {
        str kept = str_copy(k->g->a, str_c(equation));
        if (!keras_must(k, kept.ptr != NULL)) return;
        y = keras_op2(k, l, OP_Einsum, x, w);
        keras_text(k, ATTR_equation, kept.ptr);
    }
    if (bias) { /* from the first of its axes on, in the order of the output; others are 1 */
        const char *out = strstr(equation, "->") + 2;
        int64_t b[8];
        int n = 0;
        for (int i = 0; out[i] && n < 8; i++) {
            bool has = strchr(bias, out[i]) != NULL;
            if (has || n) b[n++] = has ? keras_dim(k, y, i) : 1;
        }
        y = keras_op2(k, l, OP_Add, y, keras_weight(k, l, "bias", n, b));
    }
    give(k, c, keras_activation(k, l, y, json_object_get(l->config, "activation")));
}

void keras_embedding(keras *k, keras_call *c, int variant)
{
    keras_layer *l = c->l;
    uint32_t x = keras_in(c);
    int64_t dims[2] = {keras_size(k, l, "input_dim", 0), keras_size(k, l, "output_dim", 0)};
    (void)variant;
    if (dtype_get((dtype)keras_shape(k, x)->dtype)->floating) x = keras_cast(k, l, x, DT_INT32);
    give(k, c, keras_op2(k, l, OP_Gather, keras_weight(k, l, "embeddings", 2, dims), x));
}

/* ---- what inference leaves out, and what the host does ---- */

void keras_same(keras *k, keras_call *c, int variant)
{
    (void)variant;
    for (uint32_t i = 0; i < c->n_in; i++) give(k, c, c->in[i]);
}

/* An operator, since a training step runs it; inference makes nothing of it. */
void keras_dropout(keras *k, keras_call *c, int variant)
{
    (void)variant;
    give(k, c, keras_op1(k, c->l, OP_Dropout, keras_in(c)));
}

/* x where any feature differs from the value that masks, else 0. */
void keras_masking(keras *k, keras_call *c, int variant)
{
    keras_layer *l = c->l;
    uint32_t x = keras_in(c), value = keras_scalar(k, json_get_real(l->config, "mask_value", 0));
    (void)variant;
    uint32_t any = keras_reduce(k, l, OP_ReduceAny, keras_op2(k, l, OP_NotEqual, x, value), (int64_t[]){-1}, 1, true);
    give(k, c, keras_op2(k, l, OP_Mul, x, keras_cast(k, l, any, (dtype)keras_shape(k, x)->dtype)));
}

/* Rescaling: x * scale + offset. Normalization (variant 1): (x - mean) / deviation, which are not trained. */
void keras_rescale(keras *k, keras_call *c, int variant)
{
    keras_layer *l = c->l;
    uint32_t x = keras_in(c);
    if (!dtype_get((dtype)keras_shape(k, x)->dtype)->floating) x = keras_cast(k, l, x, DT_FP32);
    if (variant) {
        int64_t axes[8], dims[8] = {1};
        int n = keras_ints(json_object_get(l->config, "axis"), 8, axes);
        for (int i = 0; i < n; i++) dims[i] = keras_dim(k, x, (int)axes[i]);
        if (n < 1) n = 0;
        uint32_t mean = keras_buffer(k, l, "mean", n, dims), deviation = keras_buffer(k, l, "deviation", n, dims);
        x = keras_op2(k, l, OP_Div, keras_op2(k, l, OP_Sub, x, mean), deviation);
    } else {
        x = keras_op2(k, l, OP_Mul, x, keras_scalar(k, json_get_real(l->config, "scale", 1)));
        double offset = json_get_real(l->config, "offset", 0);
        if (offset < 0 || offset > 0 || json_is_array(json_object_get(l->config, "offset")))
            x = keras_op2(k, l, OP_Add, x, keras_scalar(k, offset));
    }
    give(k, c, x);
}

/* Look-ups of words and numbers run on the host, in the pipeline of the data: they cost no GPU time. */
void keras_on_host(keras *k, keras_call *c, int variant)
{
    keras_layer *l = c->l;
    uint32_t x = keras_in(c);
    num dims[MAX_RANK];
    const tensor_shape *s = keras_shape(k, x);
    int rank = s->rank;
    for (int i = 0; i < rank; i++) dims[i] = keras_declared(k, s->dims[i]);
    const char *mode = json_get_text(l->config, "output_mode",
                                     strcmp(l->class, "CategoryEncoding") ? "int" : "multi_hot");
    bool ids = !strcmp(mode, "int");
    int64_t width = json_get_int(l->config, "num_tokens",
                                 json_get_int(l->config, "max_tokens", json_get_int(l->config, "num_bins", -1)));
    int64_t length = json_get_int(l->config, "output_sequence_length", -1);
    (void)variant;
    if (!strcmp(l->class, "TextVectorization")) {
        if (rank == 1) rank = 2;
        if (rank == 2 && ids) dims[1] = length > 0 && length <= INT32_MAX ? num_int(length) : num_unknown();
    }
    if (!ids && rank >= 1) { /* a number for each word or class */
        if (rank == 1) rank = 2;
        dims[rank - 1] = width > 0 && width <= INT32_MAX ? num_int(width) : num_unknown();
    }
    uint32_t y = keras_op1(k, l, OP_StringSplit, x); /* free, and its shape is what is declared */
    if (k->failed) return;
    str type = str_copy(k->g->a, str_c(l->class));
    if (!keras_must(k, type.ptr != NULL)) return;
    k->g->ops[k->g->n_ops - 1].type = type;
    k->g->tensors[y].dtype = ids ? DT_INT64 : DT_FP32;
    if (rank >= 0) keras_must(k, graph_set_dims(k->g, y, rank, dims));
    give(k, c, y);
}
