#include "load/hf.h"

#include "zoo/zoo.h"

/* Layers of BERT's form: biases everywhere, normalised after each sum. */
static lm_layer encoder_layer(hf *c, const char *heads, const char *width, const char *act)
{
    lm_layer l;
    memset(&l, 0, sizeof l);
    l.mixer = LM_ATTENTION;
    l.ffn = LM_PLAIN;
    l.heads = l.kv_heads = hf_need(c, heads, 1, 1 << 16);
    l.head_dim = hf_divide(c, "hidden_size", c->m.hidden, heads, l.heads);
    l.qkv_bias = l.out_bias = l.ffn_bias = true;
    l.ffn_dim = hf_need(c, width, 1, 1 << 24);
    l.norms = 2;
    l.norm_after_add = true;
    l.activation = hf_activation(c, act, OP_Gelu, NULL);
    return l;
}

static void frame(hf *c)
{
    language_model *m = &c->m;
    m->encoder_only = m->no_output = m->no_final_norm = m->embed_norm = true;
    m->tied = false;
    m->position_table = hf_need(c, "max_position_embeddings", 1, 1 << 24);
}

/* BERT, RoBERTa, ELECTRA, ALBERT, MPNet: the model without a task's head. */
void hf_bert(hf *c)
{
    const char *type = c->family->type;
    bool albert = !strcmp(type, "albert"), electra = !strcmp(type, "electra"), mpnet = !strcmp(type, "mpnet");
    hf_base(c);
    frame(c);
    language_model *m = &c->m;
    m->token_types = mpnet ? 0 : hf_want(c, "type_vocab_size", 2, 0, 1 << 20);
    m->shared_layers = albert;
    m->pooler = !electra;
    if (albert || electra) {
        int64_t width = hf_want(c, "embedding_size", m->hidden, 1, 1 << 20);
        m->embedding_width = width == m->hidden ? 0 : width;
    }
    lm_layer l = encoder_layer(c, "num_attention_heads", "intermediate_size", "hidden_act");
    if (mpnet)
        m->extra_parameters = (double)hf_want(c, "relative_attention_num_buckets", 32, 1, 1 << 16) * (double)l.heads;
    for (int i = 0; i < c->depth && !c->failed; i++) hf_add(c, &l);
}

/* One number for all layers, or a list. */
static int64_t sliding_window(hf *c, int layer)
{
    const json_t *v = hf_get(c, "attention_window"), *own = json_is_array(v) ? json_array_get(v, (size_t)layer) : v;
    int64_t window = !v ? 512 : json_is_integer(own) ? json_integer_value(own) : 0;
    if (window >= 2 && window <= 1 << 20 && window % 2 == 0) return window;
    hf_fail(c, PG_E_FORMAT,
            "'attention_window' must be an even whole number of at least 2, or one for each of the %d layers",
            c->depth);
    return 2;
}

void hf_longformer(hf *c)
{
    hf_base(c);
    frame(c);
    c->m.token_types = hf_want(c, "type_vocab_size", 2, 0, 1 << 20);
    c->m.pooler = true;
    lm_layer l = encoder_layer(c, "num_attention_heads", "intermediate_size", "hidden_act");
    l.blocks = true;
    for (int i = 0; i < c->depth && !c->failed; i++) {
        l.window = sliding_window(c, i);
        hf_add(c, &l);
    }
}

void hf_distilbert(hf *c)
{
    hf_base(c);
    frame(c);
    lm_layer l = encoder_layer(c, "n_heads", "hidden_dim", "activation");
    for (int i = 0; i < c->depth && !c->failed; i++) hf_add(c, &l);
}

/* DeBERTa-v2 and v3 with shared projections of relative positions, which is what all published ones have. */
void hf_deberta(hf *c)
{
    hf_base(c);
    frame(c);
    language_model *m = &c->m;
    if (!hf_flag(c, "share_att_key", false))
        hf_fail(c, PG_E_UNSUPPORTED, "'share_att_key' is false: only DeBERTa with shared projections is known");
    int64_t width = hf_want(c, "embedding_size", m->hidden, 1, 1 << 20);
    int64_t kernel = hf_want(c, "conv_kernel_size", 0, 0, 1 << 10);
    int64_t most = hf_want(c, "max_relative_positions", -1, -1, 1 << 24);
    int64_t reach = hf_want(c, "position_buckets", most > 0 ? most : m->position_table, -1, 1 << 24);
    double h = (double)m->hidden;
    m->embedding_width = width == m->hidden ? 0 : width;
    m->token_types = hf_want(c, "type_vocab_size", 0, 0, 1 << 20);
    if (!hf_flag(c, "position_biased_input", true)) m->position_table = 0;
    m->extra_parameters = 2 * (double)(reach > 0 ? reach : m->position_table) * h + 2 * h; /* and their norm */
    if (kernel) m->extra_parameters += h * h * (double)kernel + 3 * h;
    lm_layer l = encoder_layer(c, "num_attention_heads", "intermediate_size", "hidden_act");
    for (int i = 0; i < c->depth && !c->failed; i++) hf_add(c, &l);
}

/* Rotary positions, gated feed-forward parts, no biases; two layers of three see a window. */
void hf_modernbert(hf *c)
{
    hf_base(c);
    language_model *m = &c->m;
    m->encoder_only = m->no_output = m->embed_norm = true;
    m->tied = false;
    int64_t every = hf_want(c, "global_attn_every_n_layers", 3, 1, HF_LAYERS);
    int64_t window = hf_want(c, "local_attention", 128, 0, INT64_C(1) << 40);
    for (int i = 0; i < c->depth && !c->failed; i++) {
        lm_layer l = encoder_layer(c, "num_attention_heads", "intermediate_size", "hidden_activation");
        l.qkv_bias = l.out_bias = hf_flag(c, "attention_bias", false);
        l.ffn_bias = hf_flag(c, "mlp_bias", false);
        l.ffn = LM_GATED;
        l.norm_after_add = false;
        l.rope_features = l.head_dim;
        l.window = i % every ? window : 0;
        if (i == 0) l.norms = 1; /* the embeddings are normalised already */
        hf_add(c, &l);
    }
}

/* CLIP's text encoder: a decoder's layers, of which the last hidden states are wanted. */
void hf_clip_text(hf *c)
{
    hf_base(c);
    language_model *m = &c->m;
    m->encoder_only = m->no_output = true;
    m->tied = false;
    m->position_table = hf_core(c, "max_position_embeddings", c->family->usual.positions, 1, 1 << 24);
    for (int i = 0; i < c->depth && !c->failed; i++) {
        lm_layer l = encoder_layer(c, "num_attention_heads", "intermediate_size", "hidden_act");
        l.norm_after_add = false;
        hf_add(c, &l);
    }
}

/* A vision transformer, with its classes where it is a classifier. */
void hf_vit(hf *c)
{
    const json_t *names = hf_get(c, "id2label"), *kind = json_array_get(hf_get(c, "architectures"), 0);
    const char *is = json_is_string(kind) ? json_string_value(kind) : "";
    zoo_vit_size v = {.width = hf_need(c, "hidden_size", 1, 1 << 16),
                      .mlp = hf_need(c, "intermediate_size", 1, 1 << 20),
                      .heads = hf_need(c, "num_attention_heads", 1, 1 << 12),
                      .layers = hf_need(c, "num_hidden_layers", 1, 1 << 10),
                      .patch = hf_want(c, "patch_size", 16, 1, 1 << 10),
                      .image = hf_want(c, "image_size", 224, 1, ZOO_IMAGE_MAX),
                      .channels = hf_want(c, "num_channels", 3, 1, 1 << 10),
                      .weights = hf_stored_type(c)};
    hf_divide(c, "hidden_size", v.width, "num_attention_heads", v.heads);
    hf_divide(c, "image_size", v.image, "patch_size", v.patch);
    if (strstr(is, "Classification")) v.classes = json_is_object(names) ? (int64_t)json_object_size(names) : 2;
    c->built = true;
    if (!c->failed && zoo_build_vit(c->g, &v, c->e)) c->failed = true;
}
