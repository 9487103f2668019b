/* KerasHub (formerly KerasNLP): its layers, and its backbones, which a file holds as one layer of many fields.
 *
 * A backbone is written out as the Functional model that its constructor builds, of the layers below, and read as such:
 *
 *   Bert                     tokens + positions + segments, norm, N TransformerEncoder, pooled: Dense(tanh) of the first token
 *   Roberta, DistilBert      tokens + positions, norm, N TransformerEncoder
 *   GPT2, OPT                tokens + positions, N TransformerDecoder that normalise first, norm
 *   Llama, Mistral, Qwen     tokens, N blocks of rotated grouped attention and a gated network, RMS norm
 *   Gemma                    the same, tokens scaled, heads of a width of their own, half the width in the network's two parts
 *
 * A model class that ends in "CausalLM" is its backbone with the embedding as output layer. */
#include "load/keras_internal.h"

/* ---- layers ---- */

static uint32_t norm(keras *k, keras_layer *l, uint32_t x, const char *name, bool root)
{
    char gamma[64], beta[64];
    int64_t width = keras_dim(k, x, -1);
    format_text(gamma, sizeof gamma, "%s/%s", name, root ? "scale" : "gamma");
    format_text(beta, sizeof beta, "%s/beta", name);
    uint32_t in[3] = {x, keras_weight(k, l, gamma, 1, &width)};
    if (!root) in[2] = keras_weight(k, l, beta, 1, &width);
    uint32_t y = keras_op(k, l, root ? OP_RMSNormalization : OP_LayerNormalization, in, root ? 2 : 3);
    keras_int(k, ATTR_axis, -1);
    return y;
}

static uint32_t dense(keras *k, keras_layer *l, uint32_t x, const char *name, int64_t out, bool bias)
{
    char kernel[64], shift[64];
    format_text(kernel, sizeof kernel, "%s/kernel", name);
    format_text(shift, sizeof shift, "%s/bias", name);
    return keras_linear(k, l, x, kernel, keras_dim(k, x, -1), out, bias ? shift : NULL);
}

/* The first rows of a table of positions, as many as x [batch, length, features] is long. */
static uint32_t position_rows(keras *k, keras_layer *l, uint32_t x, const char *name)
{
    int64_t dims[2] = {keras_size(k, l, "sequence_length", 0), keras_dim(k, x, -1)};
    if (k->failed || keras_rank(k, x) < 2) return NO_TENSOR;
    num zero = num_int(0), length = keras_declared(k, keras_shape(k, x)->dims[keras_rank(k, x) - 2]);
    uint32_t in[4] = {keras_weight(k, l, name, 2, dims), keras_numbers(k, &zero, 1, 1), keras_numbers(k, &length, 1, 1),
                      keras_numbers(k, &zero, 1, 1)};
    return keras_op(k, l, OP_Slice, in, 4);
}

void keras_position_embedding(keras *k, keras_call *c, int variant)
{
    uint32_t x = keras_in(c), rows = position_rows(k, c->l, x, "position_embedding"), rank = (uint32_t)keras_rank(k, x);
    num dims[MAX_RANK];
    (void)variant;
    if (rows == NO_TENSOR) return;
    for (uint32_t i = 0; i < rank; i++) dims[i] = keras_declared(k, keras_shape(k, x)->dims[i]);
    keras_give(k, &c->out, keras_op2(k, c->l, OP_Expand, rows, keras_numbers(k, dims, (int)rank, 1)));
}

void keras_token_and_position(keras *k, keras_call *c, int variant)
{
    keras_layer *l = c->l;
    uint32_t x = keras_in(c);
    int64_t dims[2] = {keras_size(k, l, "vocabulary_size", 0), keras_size(k, l, "embedding_dim", 0)};
    (void)variant;
    if (dtype_get((dtype)keras_shape(k, x)->dtype)->floating) x = keras_cast(k, l, x, DT_INT32);
    x = keras_op2(k, l, OP_Gather, keras_weight(k, l, "token_embedding/embeddings", 2, dims), x);
    uint32_t rows = position_rows(k, l, x, "position_embedding/position_embedding");
    if (rows != NO_TENSOR) keras_give(k, &c->out, keras_op2(k, l, OP_Add, x, rows));
}

/* Looks words up; with `reverse`, scores of all words, by the same table or one of its own. */
void keras_reversible_embedding(keras *k, keras_call *c, int variant)
{
    keras_layer *l = c->l;
    if (!json_is_true(json_object_get(c->kwargs, "reverse"))) {
        keras_embedding(k, c, variant);
        return;
    }
    int64_t dims[2] = {keras_size(k, l, "input_dim", 0), keras_size(k, l, "output_dim", 0)},
            turned[2] = {dims[1], dims[0]};
    uint32_t table = keras_weight(k, l, "embeddings", 2, dims);
    if (json_get_bool(l->config, "tie_weights", true)) table = keras_transpose(k, l, table, (int64_t[]){1, 0}, 2);
    else table = keras_weight(k, l, "reverse_embeddings", 2, turned);
    keras_give(k, &c->out, keras_op2(k, l, OP_MatMul, keras_in(c), table));
}

void keras_rotary(keras *k, keras_call *c, int variant)
{
    int64_t width = keras_dim(k, keras_in(c), -1);
    (void)variant;
    keras_give(k, &c->out, keras_rotate(k, c->l, keras_in(c), width > 0 ? width : 2));
}

void keras_first_token(keras *k, keras_call *c, int variant)
{
    num first = num_int(0);
    (void)variant;
    uint32_t y = keras_op2(k, c->l, OP_Gather, keras_in(c), keras_numbers(k, &first, 1, 0));
    keras_int(k, ATTR_axis, 1);
    keras_give(k, &c->out, y);
}

/* Attention of equal heads with its residual and norm. */
static uint32_t attend(keras *k, keras_layer *l, uint32_t x, uint32_t to, bool causal, const char *name)
{
    char title[64];
    int64_t width = keras_dim(k, x, -1), heads = keras_size(k, l, "num_heads", 0);
    bool first = json_get_bool(l->config, "normalize_first", false);
    if (k->failed) return NO_TENSOR;
    if (width < heads) {
        keras_fail(k, l, PG_E_GRAPH, "its %lld features can't be split into %lld heads", (long long)width,
                   (long long)heads);
        return NO_TENSOR;
    }
    format_text(title, sizeof title, "%s_layer_norm", name);
    uint32_t from = first ? norm(k, l, x, title, false) : x, source = to == NO_TENSOR ? from : to;
    keras_heads h = {heads, heads, width / heads, width / heads, true, true, causal, false};
    uint32_t y = keras_op2(k, l, OP_Add, keras_attend(k, l, from, source, &h, name), x);
    return first ? y : norm(k, l, y, title, false);
}

/* TransformerEncoder; variant 1: TransformerDecoder, which attends to what came before and, where it is given one, to an encoder. */
void keras_transformer(keras *k, keras_call *c, int variant)
{
    keras_layer *l = c->l;
    uint32_t x = keras_in(c), encoder = keras_tensor(k, c->scope, json_object_get(c->kwargs, "encoder_sequence"));
    bool first = json_get_bool(l->config, "normalize_first", false);
    int64_t inner = keras_size(k, l, "intermediate_dim", 0), width = keras_dim(k, x, -1);
    if (encoder == NO_TENSOR && variant && c->n_in > 1 && keras_rank(k, c->in[1]) == 3) encoder = c->in[1];
    if (keras_rank(k, x) != 3 || width < 1) {
        keras_unknown(k, c, x);
        return;
    }
    x = attend(k, l, x, NO_TENSOR, variant && json_get_bool(c->kwargs, "use_causal_mask", true), "self_attention");
    if (encoder != NO_TENSOR) x = attend(k, l, x, encoder, false, "cross_attention");
    if (k->failed) return;
    uint32_t y = first ? norm(k, l, x, "feedforward_layer_norm", false) : x;
    y = dense(k, l, y, "feedforward_intermediate_dense", inner, true);
    const json_t *activation = json_object_get(l->config, "activation");
    y = activation ? keras_activation(k, l, y, activation) : keras_op1(k, l, OP_Relu, y);
    y = keras_op2(k, l, OP_Add, dense(k, l, y, "feedforward_output_dense", width, true), x);
    keras_give(k, &c->out, first ? y : norm(k, l, y, "feedforward_layer_norm", false));
}

enum { GATED_BIAS = 1, GATED_HALF = 2 };

/* A block of Llama and its kin. Variant: GATED_BIAS on queries, keys and values; GATED_HALF: Gemma's. */
void keras_gated_block(keras *k, keras_call *c, int variant)
{
    keras_layer *l = c->l;
    uint32_t x = keras_in(c);
    int64_t width = keras_dim(k, x, -1), heads = keras_size(k, l, "num_query_heads", 0);
    int64_t shared = keras_size(k, l, "num_key_value_heads", 0), inner = keras_size(k, l, "intermediate_dim", 0);
    int64_t size = keras_size(k, l, "head_dim", width > 0 && heads > 0 && width >= heads ? width / heads : 1);
    if (k->failed) return;
    if (keras_rank(k, x) != 3 || width < 1 || heads % shared || heads > INT32_MAX / size) {
        keras_fail(k, l, PG_E_GRAPH, "its %lld heads of %lld, of which %lld have keys, don't fit together",
                   (long long)heads, (long long)size, (long long)shared);
        return;
    }
    keras_heads h = {heads, shared, size, size, variant & GATED_BIAS, false, true, true};
    uint32_t from = norm(k, l, x, "pre_attention_norm", true), y = keras_attend(k, l, from, from, &h, "attention");
    if (json_get_bool(l->config, "use_post_attention_norm", false)) y = norm(k, l, y, "post_attention_norm", true);
    x = keras_op2(k, l, OP_Add, x, y);
    if (variant & GATED_HALF) inner /= 2;
    y = norm(k, l, x, "pre_ffw_norm", true);
    uint32_t gate = dense(k, l, y, "ffw_gating", inner, false), up = dense(k, l, y, "ffw_gating_2", inner, false);
    gate = keras_op1(k, l, variant & GATED_HALF ? OP_Gelu : OP_Silu, gate);
    y = dense(k, l, keras_op2(k, l, OP_Mul, gate, up), "ffw_linear", width, false);
    if (json_get_bool(l->config, "use_post_ffw_norm", false)) y = norm(k, l, y, "post_ffw_norm", true);
    keras_give(k, &c->out, keras_op2(k, l, OP_Add, y, x));
}

/* ---- backbones ---- */

enum { ENCODER, DECODER, GATED };

static const struct backbone {
    const char *class, *block;
    uint8_t kind;
    bool segments, positions;
} backbones[] = {
    {"BertBackbone", "TransformerEncoder", ENCODER, true, true},
    {"RobertaBackbone", "TransformerEncoder", ENCODER, false, true},
    {"XLMRobertaBackbone", "TransformerEncoder", ENCODER, false, true},
    {"DistilBertBackbone", "TransformerEncoder", ENCODER, false, true},
    {"GPT2Backbone", "TransformerDecoder", DECODER, false, true},
    {"OPTBackbone", "TransformerDecoder", DECODER, false, true},
    {"LlamaBackbone", "LlamaTransformerDecoder", GATED, false, false},
    {"Llama3Backbone", "LlamaTransformerDecoder", GATED, false, false},
    {"MistralBackbone", "MistralTransformerDecoder", GATED, false, false},
    {"QwenBackbone", "QwenTransformerDecoder", GATED, false, false},
    {"GemmaBackbone", "GemmaDecoderBlock", GATED, false, false},
};

static const struct backbone *find(const char *class)
{
    for (size_t i = 0; i < sizeof backbones / sizeof backbones[0]; i++)
        if (!strcmp(class, backbones[i].class)) return &backbones[i];
    return NULL;
}

/* A model that is being written out. Failure is sticky in `ok`. */
typedef struct writer {
    json_t *layers, *dtype;
    char last[64];
    bool ok;
} writer;

/* A layer; takes `config`, and calls: a list of lists of references. */
static void put(writer *w, const char *class, const char *name, json_t *config, json_t *calls)
{
    if (!config || !calls) w->ok = false;
    if (config && w->dtype && json_object_set(config, "dtype", w->dtype)) w->ok = false;
    json_t *entry = json_pack("{s:s, s:s, s:o, s:o}", "class_name", class, "name", name, "config", config,
                              "inbound_nodes", calls);
    if (!entry || json_array_append_new(w->layers, entry)) w->ok = false;
    format_text(w->last, sizeof w->last, "%s", name);
}

static json_t *call_of(const char *name)
{
    return json_pack("[[[s, i, i, {}]]]", name, 0, 0);
}

/* Calls a layer on what the last one made. */
static void then(writer *w, const char *class, const char *name, json_t *config)
{
    char from[64];
    format_text(from, sizeof from, "%s", w->last);
    put(w, class, name, config, call_of(from));
}

static void put_input(writer *w, const char *name)
{
    json_t *saved = w->dtype;
    w->dtype = NULL;
    put(w, "InputLayer", name, json_pack("{s:[n, n], s:s, s:s}", "batch_shape", "dtype", "int32", "name", name),
        json_array());
    w->dtype = saved;
}

static void put_embeddings(writer *w, const struct backbone *b, const json_t *config)
{
    const json_t *tie = json_object_get(config, "tie_word_embeddings");
    bool tied = b->kind != GATED || json_is_true(tie) || !strcmp(b->class, "GemmaBackbone");
    json_t *calls = call_of("token_ids");
    put(w, "ReversibleEmbedding", "token_embedding",
        json_pack("{s:O?, s:O?, s:b}", "input_dim", json_object_get(config, "vocabulary_size"), "output_dim",
                  json_object_get(config, "hidden_dim"), "tie_weights", (int)tied),
        calls);
    if (!strcmp(b->class, "GemmaBackbone")) {
        double width = json_get_real(config, "hidden_dim", 1);
        then(w, "Rescaling", "embeddings_scale", json_pack("{s:f}", "scale", sqrt(width > 0 ? width : 1)));
    }
    if (!b->positions) return;
    then(w, "PositionEmbedding", "position_embedding",
         json_pack("{s:O?}", "sequence_length", json_object_get(config, "max_sequence_length")));
    json_t *sum = json_pack("[[[s, i, i, {}], [s, i, i, {}]]]", "token_embedding", 0, 0, "position_embedding", 0, 0);
    if (b->segments) {
        put(w, "Embedding", "segment_embedding",
            json_pack("{s:O?, s:O?}", "input_dim", json_object_get(config, "num_segments"), "output_dim",
                      json_object_get(config, "hidden_dim")),
            call_of("segment_ids"));
        json_t *third = json_pack("[s, i, i, {}]", "segment_embedding", 0, 0);
        if (!third || json_array_append_new(json_array_get(sum, 0), third)) w->ok = false;
    }
    put(w, "Add", "embeddings_add", json_object(), sum);
    if (b->kind == ENCODER) then(w, "LayerNormalization", "embeddings_layer_norm", json_object());
}

static void put_blocks(writer *w, const struct backbone *b, const json_t *config, int64_t layers)
{
    for (int64_t i = 0; i < layers; i++) {
        char name[64];
        json_t *block = json_copy((json_t *)(uintptr_t)config); /* the fields are called as in the backbone */
        format_text(name, sizeof name, "transformer_layer_%lld", (long long)i);
        if (b->kind != GATED &&
            (json_object_set_new(block, "activation", json_string(strcmp(b->class, "OPTBackbone") ? "gelu" : "relu")) ||
             json_object_set_new(block, "normalize_first", json_boolean(b->kind == DECODER))))
            w->ok = false;
        then(w, b->block, name, block);
    }
    if (b->kind == DECODER) then(w, "LayerNormalization", "layer_norm", json_object());
    if (b->kind == GATED) then(w, "RMSNormalization", "layer_norm", json_object());
}

/* What the model gives. Several outputs stand in the order of their names. */
static json_t *put_outputs(writer *w, const struct backbone *b, const json_t *config, bool scores)
{
    char body[64];
    format_text(body, sizeof body, "%s", w->last);
    if (scores) {
        json_t *again = json_pack("[[s, i, i, {s:b}]]", body, 0, 0, "reverse", 1);
        for (size_t i = 0; i < json_array_size(w->layers); i++) {
            json_t *entry = json_array_get(w->layers, i);
            if (strcmp(json_get_text(entry, "name", ""), "token_embedding") != 0) continue;
            if (!again || json_array_append_new(json_object_get(entry, "inbound_nodes"), again)) w->ok = false;
        }
        return json_pack("[[s, i, i]]", "token_embedding", 1, 0);
    }
    if (!b->segments) return json_pack("[[s, i, i]]", body, 0, 0);
    then(w, "_FirstToken", "first_token", json_object());
    then(w, "Dense", "pooled_dense",
         json_pack("{s:O?, s:s}", "units", json_object_get(config, "hidden_dim"), "activation", "tanh"));
    return json_pack("[[s, i, i], [s, i, i]]", "pooled_dense", 0, 0, body, 0, 0);
}

bool keras_is_backbone(const char *class, const json_t *config)
{
    const json_t *inner = json_object_get(config, "backbone");
    if (inner && str_ends(str_c(class), "CausalLM")) class = json_get_text(inner, "class_name", "");
    return find(class) != NULL;
}

const json_t *keras_backbone(keras *k, const json_t *entry)
{
    enum { LAYERS_MOST = 1024, SEQUENCE = 128 };
    const json_t *config = json_object_get(entry, "config"), *inner = json_object_get(config, "backbone");
    const char *class = json_get_text(entry, "class_name", "");
    if (inner) class = json_get_text(inner, "class_name", ""), config = json_object_get(inner, "config");
    const struct backbone *b = find(class);
    int64_t layers = json_get_int(config, "num_layers", 0);
    if (!b || !json_is_object(config) || layers < 1 || layers > LAYERS_MOST) {
        keras_fail(k, NULL, PG_E_GRAPH, "%.60s should have num_layers from 1 to %d; save the model again", class,
                   (int)LAYERS_MOST);
        return NULL;
    }
    int64_t most = json_get_int(config, "max_sequence_length", 0); /* there are no positions beyond it */
    if (b->positions && most > 0 && most < SEQUENCE) keras_must(k, graph_add_symbol(k->g, STR("sequence"), most) >= 0);
    writer w = {json_array(), json_object_get(config, "dtype"), "", true};
    put_input(&w, "token_ids");
    if (b->segments) put_input(&w, "segment_ids");
    put_embeddings(&w, b, config);
    put_blocks(&w, b, config, layers);
    json_t *outputs = put_outputs(&w, b, config, inner != NULL);
    json_t *inputs = b->segments ? json_pack("[[s, i, i], [s, i, i]]", "token_ids", 0, 0, "segment_ids", 0, 0)
                                 : json_pack("[[s, i, i]]", "token_ids", 0, 0);
    json_t *model = json_pack("{s:s, s:{s:o, s:o, s:o}}", "class_name", "Functional", "config", "layers", w.layers,
                              "input_layers", inputs, "output_layers", outputs);
    if (!k->written) k->written = json_array();
    if (!keras_must(k, model && w.ok && k->written && !json_array_append_new(k->written, model))) return NULL;
    return model;
}

/* The inputs that a written-out backbone has, of those that the layer is called with: masks are left out. */
uint32_t keras_backbone_inputs(keras *k, const keras_call *c, uint32_t *out)
{
    static const char *const wanted[] = {"token", "segment"};
    bool segments = !strcmp(c->l->class, "BertBackbone");
    for (uint32_t i = 0; i < 1u + segments; i++) {
        out[i] = i < c->n_in ? c->in[i] : NO_TENSOR;
        for (uint32_t n = 0; n < c->n_in && c->in[n] != NO_TENSOR; n++) {
            str name = k->g->tensors[c->in[n]].name;
            for (size_t at = 0; at + strlen(wanted[i]) <= name.len; at++)
                if (!memcmp(name.ptr + at, wanted[i], strlen(wanted[i]))) out[i] = c->in[n];
        }
    }
    return 1u + segments;
}
