/* Attention: Keras's MultiHeadAttention and GroupQueryAttention with their projections, Attention and AdditiveAttention without. */
#include "load/keras_internal.h"

/* A tensor that the layer was called with: by position, or by name. */
static uint32_t operand(keras *k, const keras_call *c, uint32_t at, const char *name)
{
    uint32_t named = keras_tensor(k, c->scope, json_object_get(c->kwargs, name));
    return named != NO_TENSOR ? named : at < c->n_in ? c->in[at] : NO_TENSOR;
}

/* [batch, length, features] to [batch, heads, length, size]. */
static uint32_t split(keras *k, const keras_layer *l, uint32_t x, int64_t heads, int64_t size)
{
    uint32_t y = keras_reshape(k, l, x, (int64_t[]){0, 0, heads, size}, 4);
    return keras_transpose(k, l, y, (int64_t[]){0, 2, 1, 3}, 4);
}

static uint32_t project(keras *k, keras_layer *l, uint32_t x, const char *kernel, int64_t out, const char *bias)
{
    return keras_linear(k, l, x, kernel, keras_dim(k, x, -1), out, bias);
}

typedef struct heads {
    int64_t query, shared, size, value;
} heads;

static bool read_heads(keras *k, const keras_layer *l, bool grouped, heads *h)
{
    if (grouped) {
        h->query = keras_size(k, l, "num_query_heads", 0);
        h->shared = keras_size(k, l, "num_key_value_heads", 0);
        h->size = h->value = keras_size(k, l, "head_dim", 0);
    } else {
        h->query = h->shared = keras_size(k, l, "num_heads", 0);
        h->size = keras_size(k, l, "key_dim", 0);
        h->value = keras_size(k, l, "value_dim", h->size);
    }
    if (h->query > INT32_MAX / h->size || h->query > INT32_MAX / h->value)
        keras_fail(k, l, PG_E_GRAPH, "its heads together are out of range");
    else if (h->query % h->shared)
        keras_fail(k, l, PG_E_GRAPH, "its %lld heads can't share %lld of keys and values", (long long)h->query,
                   (long long)h->shared);
    return !k->failed;
}

/* Images and the like attend over all that is between batch and features, or over the last of these axes: those in front then stand
 * for further samples. (Axes in the middle would have to be turned; they count as all.) */
static uint32_t flatten_positions(keras *k, const keras_layer *l, uint32_t x)
{
    int64_t axes[8], width = keras_dim(k, x, -1), positions = 1, first = INT32_MAX;
    int rank = keras_rank(k, x), n = keras_ints(json_object_get(l->config, "attention_axes"), 8, axes);
    if (rank == 3) return x;
    for (int i = 0; i < n; i++) {
        if (axes[i] < 0) axes[i] += rank;
        if (axes[i] < first) first = axes[i];
    }
    bool last = n > 0 && n < rank - 2 && first == rank - 1 - n;
    for (int i = rank - 1 - n; last && i < rank - 1; i++) {
        int64_t d = keras_dim(k, x, i);
        if (d < 1 || positions > INT32_MAX / d) last = false;
        else positions *= d;
    }
    return last ? keras_reshape(k, l, x, (int64_t[]){-1, positions, width}, 3)
                : keras_reshape(k, l, x, (int64_t[]){0, -1, width}, 3);
}

void keras_multi_head(keras *k, keras_call *c, int variant)
{
    keras_layer *l = c->l;
    heads h;
    uint32_t query = operand(k, c, 0, "query"), value = operand(k, c, 1, "value"), key = operand(k, c, 2, "key");
    bool bias = json_get_bool(l->config, "use_bias", true);
    if (!read_heads(k, l, variant != 0, &h)) return;
    if (value == NO_TENSOR) value = query;
    if (key == NO_TENSOR) key = value;
    const tensor_shape *s = keras_shape(k, query);
    int rank = s->rank;
    num back[MAX_RANK];
    int64_t width = keras_dim(k, query, -1), out[8];
    for (int i = 0; i < rank; i++) back[i] = keras_shape(k, query)->dims[i];
    if (rank < 3 || keras_rank(k, value) < 3 || keras_rank(k, key) < 3 || width < 1 || keras_dim(k, value, -1) < 1 ||
        keras_dim(k, key, -1) < 1) {
        keras_unknown(k, c, query);
        return;
    }
    if (keras_ints(json_object_get(l->config, "output_shape"), 1, out) == 1 && out[0] >= 1 && out[0] <= INT32_MAX)
        width = out[0];
    uint32_t q = project(k, l, flatten_positions(k, l, query), "query/kernel", h.query * h.size,
                         bias ? "query/bias" : NULL);
    uint32_t y = project(k, l, flatten_positions(k, l, key), "key/kernel", h.shared * h.size, bias ? "key/bias" : NULL);
    uint32_t v = project(k, l, flatten_positions(k, l, value), "value/kernel", h.shared * h.value,
                         bias ? "value/bias" : NULL);
    uint32_t in[3] = {split(k, l, q, h.query, h.size), split(k, l, y, h.shared, h.size),
                      split(k, l, v, h.shared, h.value)};
    uint32_t mixed = keras_op(k, l, OP_ScaledDotProductAttention, in, 3);
    if (json_is_true(json_object_get(c->kwargs, "use_causal_mask"))) keras_int(k, ATTR_is_causal, 1);
    uint32_t scores = NO_TENSOR;
    bool scored = json_is_true(json_object_get(c->kwargs, "return_attention_scores"));
    if (scored) { /* what a fused call does not keep is computed again */
        uint32_t turned = keras_transpose(k, l, in[1], (int64_t[]){0, 1, 3, 2}, 4);
        scores = keras_op1(k, l, OP_Softmax, keras_op2(k, l, OP_MatMul, in[0], turned));
        keras_int(k, ATTR_axis, -1);
    }
    mixed = keras_transpose(k, l, mixed, (int64_t[]){0, 2, 1, 3}, 4);
    mixed = keras_reshape(k, l, mixed, (int64_t[]){0, 0, h.query * h.value}, 3);
    mixed = keras_linear(k, l, mixed, "attention_output/kernel", h.query * h.value, width,
                         bias ? "attention_output/bias" : NULL);
    if (rank > 3) {
        back[0] = num_unknown();
        back[rank - 1] = num_int(width);
        mixed = keras_reshape_to(k, l, mixed, back, rank);
    }
    keras_give(k, &c->out, mixed);
    if (scored) keras_give(k, &c->out, scores);
}

uint32_t keras_rotate(keras *k, keras_layer *l, uint32_t x, int64_t width)
{
    int64_t half[2] = {1, width / 2 > 0 ? width / 2 : 1};
    uint32_t cosine = keras_buffer(k, l, "rotary/cosine", 2, half), sine = keras_buffer(k, l, "rotary/sine", 2, half);
    return keras_op(k, l, OP_RotaryEmbedding, (uint32_t[]){x, cosine, sine}, 3);
}

uint32_t keras_attend(keras *k, keras_layer *l, uint32_t query, uint32_t source, const keras_heads *h, const char *name)
{
    static const char *const parts[] = {"query", "key", "value"};
    uint32_t in[3];
    char kernel[80], shift[80];
    for (int i = 0; i < 3; i++) {
        int64_t count = i ? h->shared : h->query, size = i == 2 ? h->value : h->size;
        format_text(kernel, sizeof kernel, "%s/%s/kernel", name, parts[i]);
        format_text(shift, sizeof shift, "%s/%s/bias", name, parts[i]);
        in[i] = project(k, l, i ? source : query, kernel, count * size, h->bias ? shift : NULL);
        in[i] = split(k, l, in[i], count, size);
        if (h->rotary && i < 2) in[i] = keras_rotate(k, l, in[i], size);
    }
    uint32_t mixed = keras_op(k, l, OP_ScaledDotProductAttention, in, 3);
    if (h->causal) keras_int(k, ATTR_is_causal, 1);
    mixed = keras_transpose(k, l, mixed, (int64_t[]){0, 2, 1, 3}, 4);
    mixed = keras_reshape(k, l, mixed, (int64_t[]){0, 0, h->query * h->value}, 3);
    format_text(kernel, sizeof kernel, "%s/attention_output/kernel", name);
    format_text(shift, sizeof shift, "%s/attention_output/bias", name);
    return keras_linear(k, l, mixed, kernel, h->query * h->value, keras_dim(k, query, -1), h->out_bias ? shift : NULL);
}

/* Scores of positions to weights, and the values by them. */
static void weigh(keras *k, keras_call *c, uint32_t scores, uint32_t value)
{
    uint32_t weights = keras_op1(k, c->l, OP_Softmax, scores);
    keras_int(k, ATTR_axis, -1);
    keras_give(k, &c->out, keras_op2(k, c->l, OP_MatMul, weights, value));
    if (json_is_true(json_object_get(c->kwargs, "return_attention_scores"))) keras_give(k, &c->out, weights);
}

/* tanh of each query and key together, summed over the features. */
static uint32_t additive(keras *k, keras_layer *l, uint32_t query, uint32_t key, uint32_t scale)
{
    uint32_t sum = keras_op2(k, l, OP_Add, keras_unsqueeze(k, l, query, 2), keras_unsqueeze(k, l, key, 1));
    sum = keras_op1(k, l, OP_Tanh, sum);
    if (scale != NO_TENSOR) sum = keras_op2(k, l, OP_Mul, sum, scale);
    return keras_reduce(k, l, OP_ReduceSum, sum, (int64_t[]){-1}, 1, false);
}

static bool three(keras *k, keras_call *c, uint32_t *query, uint32_t *value, uint32_t *key)
{
    *query = keras_in(c);
    *value = c->n_in > 1 ? c->in[1] : NO_TENSOR;
    *key = c->n_in > 2 ? c->in[2] : *value;
    if (*value != NO_TENSOR && keras_rank(k, *query) == 3 && keras_rank(k, *key) == 3) return true;
    keras_unknown(k, c, NO_TENSOR);
    return false;
}

void keras_dot_attention(keras *k, keras_call *c, int variant)
{
    keras_layer *l = c->l;
    uint32_t query, value, key, scores;
    bool scaled = json_get_bool(l->config, "use_scale", false);
    (void)variant;
    if (!three(k, c, &query, &value, &key)) return;
    if (!strcmp(json_get_text(l->config, "score_mode", "dot"), "concat")) {
        uint32_t weight = keras_weight(k, l, "concat_score_weight", 0, NULL);
        scores = additive(k, l, query, key, scaled ? keras_weight(k, l, "scale", 0, NULL) : NO_TENSOR);
        scores = keras_op2(k, l, OP_Mul, scores, weight);
    } else {
        scores = keras_op2(k, l, OP_MatMul, query, keras_transpose(k, l, key, (int64_t[]){0, 2, 1}, 3));
        if (scaled) scores = keras_op2(k, l, OP_Mul, scores, keras_weight(k, l, "scale", 0, NULL));
    }
    weigh(k, c, scores, value);
}

void keras_additive_attention(keras *k, keras_call *c, int variant)
{
    keras_layer *l = c->l;
    uint32_t query, value, key, scale = NO_TENSOR;
    (void)variant;
    if (!three(k, c, &query, &value, &key)) return;
    int64_t width = keras_dim(k, query, -1);
    if (json_get_bool(l->config, "use_scale", true)) scale = keras_weight(k, l, "scale", 1, &width);
    weigh(k, c, additive(k, l, query, key, scale), value);
}
