#include "zoo/language_build.h"
#include "zoo/language.h"

/* ---- what is added to scores ---- */

/* [1, heads, 1, sequence]: what the heads' slopes make of the positions (Press 2021). */
static nn_val slopes(nn *n, nn_val ids, int64_t heads)
{
    enum { MOST = 256 };
    double slope[MOST];
    int64_t count = heads < MOST ? heads : MOST;
    size_t mark = nn_push(n, "alibi");
    for (int64_t i = 0; i < count; i++) slope[i] = exp2(-8.0 * (double)(i + 1) / (double)heads);
    nn_val at = nn_op1(n, OP_Cast, "cast", nn_positions(n, ids));
    nn_attr(n, ATTR_to, 1); /* ONNX's number for float32 */
    at = nn_unsqueeze(n, at, "unsqueeze", 3, (int64_t[]){0, 1, 2});
    nn_val s = {nn_floats(n, "slopes", slope, (uint32_t)count), 0};
    s = nn_reshape(n, s, "per_head", 4, (int64_t[]){1, count, 1, 1}, 0);
    at = nn_mul(n, at, s, "mul");
    nn_pop(n, mark);
    return at;
}

/* ---- rows of every token for every layer (Gemma 3n) ---- */

static nn_val layer_rows(lm_build *b, nn_val x)
{
    nn *n = &b->n;
    const language_model *m = b->m;
    int64_t width = m->layer_embedding * lm_depth(m->layers, m->n_layers);
    nn_val rows = nn_embedding(n, b->ids, "embed_tokens_per_layer", m->layer_vocab, width, NULL);
    nn_val own = nn_linear(n, x, "per_layer_model_projection", width, false);
    own = nn_reshape(n, own, "layers", 4, (int64_t[]){0, 0, -1, m->layer_embedding}, m->layer_embedding);
    own = nn_reshape(n, nn_rms_norm(n, own, "per_layer_projection_norm"), "flat", 3, (int64_t[]){0, 0, width}, width);
    rows = nn_add(n, rows, own, "per_layer_add");
    rows.c = width;
    lm_stored(b, 0);
    return rows;
}

static nn_val with_layer_row(lm_build *b, nn_val x, uint32_t layer)
{
    nn *n = &b->n;
    int64_t w = b->m->layer_embedding, from = w * (int64_t)layer;
    nn_val row = nn_slice(n, b->rows, "per_layer_row", 2, from, from + w, w);
    nn_val y = nn_op1(n, OP_FastGelu, "per_layer_act", nn_linear(n, x, "per_layer_input_gate", w, false));
    y = nn_linear(n, nn_mul(n, y, row, "per_layer_mul"), "per_layer_projection", b->m->hidden, false);
    y = nn_add(n, x, nn_rms_norm(n, y, "post_per_layer_input_norm"), "per_layer_add");
    lm_stored(b, b->m->linear_bits);
    return y;
}

/* ---- layers ---- */

static nn_val one_layer(lm_build *b, const lm_layer *l, nn_val x)
{
    nn *n = &b->n;
    bool before = !l->norm_after_add && !(l->post_norm && l->norms <= 2), after = l->post_norm,
         mixes = l->mixer != LM_NO_MIXER;
    nn_val first = NN_ABSENT, y;
    if (mixes) {
        first = before && (l->norms > 1 || l->ffn == LM_NO_FFN || l->parallel) ? lm_norm(b, x, "input_layernorm") : x;
        y = lm_mix(b, l, first);
        if (after) y = lm_norm(b, y, "post_attention_norm");
        if (l->parallel) {
            nn_val in = l->norms > 1 ? lm_norm(b, x, "post_attention_layernorm") : first;
            y = nn_add(n, y, lm_feed(b, l, in), "add_parts");
            return nn_add(n, x, y, "add");
        }
        x = nn_add(n, x, y, "attn_add");
        if (l->norm_after_add) x = lm_norm(b, x, "attn_norm");
    }
    if (l->cross && nn_is_there(b->encoded)) {
        y = lm_cross(b, l, before ? lm_norm(b, x, "encoder_attn_norm") : x);
        x = nn_add(n, x, y, "cross_add");
        if (l->norm_after_add) x = lm_norm(b, x, "cross_norm");
    }
    if (l->ffn == LM_NO_FFN) return x;
    y = lm_feed(b, l, before ? lm_norm(b, x, "post_attention_layernorm") : x);
    if (after) y = lm_norm(b, y, "post_feedforward_norm");
    x = nn_add(n, x, y, "mlp_add");
    return l->norm_after_add ? lm_norm(b, x, "ffn_norm") : x;
}

static nn_val stack(lm_build *b, const lm_layer *kinds, uint32_t n_kinds, const uint8_t *order, const char *name,
                    nn_val x)
{
    nn *n = &b->n;
    uint32_t depth = lm_depth(kinds, n_kinds), kind = 0, left = n_kinds ? kinds[0].count : 0;
    nn_shared shared = {.n = 0};
    for (uint32_t i = 0; i < depth && !n->failed; i++) {
        size_t mark = nn_push(n, "%s.%u", name, i);
        for (; !order && !left && kind + 1 < n_kinds; left = kinds[kind].count) kind++;
        left -= left > 0;
        n->shared = b->m->shared_layers ? &shared : NULL;
        x = one_layer(b, &kinds[order ? order[i] : kind], x);
        if (nn_is_there(b->rows)) x = with_layer_row(b, x, i);
        shared.again = true;
        shared.at = 0;
        nn_pop(n, mark);
    }
    n->shared = NULL;
    return b->m->no_final_norm ? x : lm_norm(b, x, "norm");
}

/* ---- embeddings ---- */

/* Rows of a quantised table are widened as they are read. */
static nn_val widened(lm_build *b, nn_val x)
{
    nn *n = &b->n;
    if (!(b->m->embedding_bits > 0) || b->m->embedding_bits >= 12) return x;
    x = nn_op1(n, OP_Cast, "widen", x);
    nn_attr(n, ATTR_to, n->weights == DT_BF16 ? 16 : n->weights == DT_FP16 ? 10 : 1); /* ONNX's numbers */
    return x;
}

static nn_val embedded(lm_build *b, nn_val ids, uint32_t table, int64_t positions, bool types)
{
    nn *n = &b->n;
    const language_model *m = b->m;
    int64_t width = m->embedding_width ? m->embedding_width : m->hidden;
    nn_val x = widened(b, nn_lookup(n, "embed_tokens", table, ids, width));
    lm_stored(b, m->embedding_bits);
    if (types && m->token_types) {
        nn_val t = m->token_types > 1 ? nn_token_input(n, "token_type_ids") : NN_ABSENT;
        t = lm_pad(b, t, "pad_types", 2);
        if (m->token_types == 1) { /* not an input: all zero */
            nn_val zero = {nn_scalar(n, "zero", "", 0), 0};
            t = nn_op2(n, OP_Expand, "token_type_ids", zero, nn_op1(n, OP_Shape, "shape", ids).t);
        }
        x = nn_add(n, x, nn_embedding(n, t, "token_type_embeddings", m->token_types, width, NULL), "add_types");
    }
    if (positions)
        x = nn_add(n, x, nn_embedding(n, nn_positions(n, ids), "embed_positions", positions, width, NULL),
                   "add_positions");
    if (m->embed_norm) x = lm_norm(b, x, "embed_norm");
    if (m->embedding_width && m->embedding_width != m->hidden)
        x = nn_linear(n, x, "embed_project", m->hidden, m->encoder_only);
    lm_stored(b, 0);
    return x;
}

/* Audio: two convolutions over the spectrogram, the second at a stride of two (Whisper). */
static nn_val listened(lm_build *b)
{
    nn *n = &b->n;
    const language_model *m = b->m;
    num dims[3] = {nn_symbol(n->batch), num_int(m->mels), num_int(2 * m->encoder_positions)};
    nn_val x = nn_input(n, "input_features", n->weights, 3, dims, m->mels);
    x = nn_conv_1d(n, x, "conv1", (nn_conv1d){.out = m->hidden, .k = 3, .pad = 1, .bias = true});
    x = nn_op1(n, OP_Gelu, "act1", x);
    x = nn_conv_1d(n, x, "conv2", (nn_conv1d){.out = m->hidden, .k = 3, .pad = 1, .stride = 2, .bias = true});
    x = nn_swap(n, nn_op1(n, OP_Gelu, "act2", x), "tokens", m->hidden);
    x = nn_add(n, x, nn_parameter(n, "embed_positions", 2, (int64_t[]){m->encoder_positions, m->hidden}),
               "add_positions");
    lm_stored(b, 0);
    return x;
}

/* ---- the model ---- */

static void set_biases(lm_build *b, const lm_layer *first, bool causal)
{
    nn *n = &b->n;
    const language_model *m = b->m;
    b->causal = causal;
    b->n_rotary = 0;
    b->bias = b->later = NN_ABSENT;
    if (m->buckets) b->bias = nn_distance_bias(n, b->ids, m->buckets, first->heads);
    else if (m->alibi && first->kv_heads == first->heads) b->bias = slopes(n, b->ids, first->heads);
    if (nn_is_there(b->bias) && causal) b->later = nn_causal_mask(n, b->ids);
    lm_stored(b, 0);
}

static nn_val encoder(lm_build *b, uint32_t table)
{
    nn *n = &b->n;
    const language_model *m = b->m;
    size_t mark = nn_push(n, "encoder");
    nn_val x;
    if (m->mels) x = listened(b);
    else {
        b->ids = nn_token_input(n, "input_ids");
        x = embedded(b, b->ids, table, m->encoder_positions, false);
        set_biases(b, m->encoder, false);
    }
    x = stack(b, m->encoder, m->n_encoder, NULL, "layers", x);
    nn_pop(n, mark);
    return x;
}

static void output(lm_build *b, nn_val x, uint32_t table)
{
    nn *n = &b->n;
    const language_model *m = b->m;
    if (m->no_output) {
        nn_output(n, x, "last_hidden_state");
        if (!m->pooler) return;
        nn_val first = nn_pick(n, x, "pooler.first_token", 1, 0);
        nn_output(n, nn_op1(n, OP_Tanh, "pooler.activation", nn_fc(n, first, "pooler.dense", m->hidden)),
                  "pooler_output");
        lm_stored(b, m->linear_bits);
        return;
    }
    if (m->tied && m->embedding_width && m->embedding_width != m->hidden)
        x = nn_linear(n, x, "project_out", m->embedding_width, false);
    if (m->tied) x = nn_tied(n, x, "lm_head", table, m->vocab);
    else x = nn_linear(n, x, "lm_head", m->vocab, m->output_bias);
    nn_output(n, x, "logits");
    lm_stored(b, m->output_bits);
}

static void build(lm_build *b)
{
    nn *n = &b->n;
    const language_model *m = b->m;
    int64_t width = m->embedding_width ? m->embedding_width : m->hidden;
    uint32_t table = nn_weight(n, "embed_tokens.weight", "", 2, (int64_t[]){m->vocab, width});
    if (m->n_encoder) b->encoded = encoder(b, table);
    nn_val ids = b->ids = nn_token_input(n, m->n_encoder ? "decoder_input_ids" : "input_ids");
    if (m->encoder_only) b->mask = nn_padding_mask(n);
    lm_pad_to_windows(b);
    nn_val x = embedded(b, b->ids, table, m->position_table, true);
    set_biases(b, m->layers, !m->encoder_only);
    if (m->layer_embedding) b->rows = layer_rows(b, x);
    size_t mark = nn_push(n, m->n_encoder ? "decoder" : "model");
    x = stack(b, m->layers, m->n_layers, m->order, "layers", x);
    nn_pop(n, mark);
    if (b->ids.t != ids.t) x = lm_cut_to_length(b, x, ids);
    output(b, x, table);
}

pg_code zoo_build_language(graph *g, const language_model *m, pg_error *e)
{
    if (!m->n_layers || !m->layers) return error_set(e, PG_E_GRAPH, "the language model has no layers");
    int64_t usual = m->mels ? 64 : m->n_encoder || m->encoder_only ? 128 : 512;
    if (m->layers->blocks) usual = 2 * m->layers->window;
    int64_t length = m->max_position && m->max_position < usual ? m->max_position : usual;
    lm_build b = {.n = {.g = g, .zero = NO_TENSOR, .six = NO_TENSOR, .sequence = -1},
                  .m = m,
                  .ids = NN_ABSENT,
                  .mask = NN_ABSENT,
                  .encoded = NN_ABSENT,
                  .bias = NN_ABSENT,
                  .later = NN_ABSENT,
                  .rows = NN_ABSENT,
                  .more = NN_ABSENT};
    b.n.weights = m->weights ? m->weights : DT_FP16;
    b.n.batch = graph_add_symbol(g, STR("batch"), 1);
    b.n.sequence = graph_add_symbol(g, STR("sequence"), length);
    b.n.failed = b.n.batch < 0 || b.n.sequence < 0;
    g->batch_symbol = b.n.batch;
    g->language = m;
    if (!g->family.len) g->family = STR("transformer");
    if (!b.n.failed) build(&b);
    return b.n.failed ? error_nomem(e, g->a) : PG_E_OK;
}
