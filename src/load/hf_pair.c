#include "load/hf.h"

static lm_layer attention(hf *c, const char *heads_keys, int64_t head_dim)
{
    lm_layer l;
    memset(&l, 0, sizeof l);
    l.mixer = LM_ATTENTION;
    l.heads = l.kv_heads = hf_need(c, heads_keys, 1, 1 << 16);
    l.head_dim = head_dim ? head_dim : hf_divide(c, "d_model", c->m.hidden, heads_keys, l.heads);
    l.norms = 2;
    return l;
}

static void add_decoder(hf *c, lm_layer *l)
{
    l->cross = true;
    l->norms = 3;
    hf_add(c, l);
}

/* ---- T5, mT5, Flan-T5, UMT5, Switch ---- */

static bool is_sparse(int i, int64_t layers, int64_t sparse)
{
    int64_t step = sparse > 0 ? layers / sparse : 0;
    return step == 1 || (step > 1 && i % step == 1);
}

/* One stack. Of `sparse` > 0 layers the feed-forward part has experts. */
static void t5_stack(hf *c, int layers, int64_t sparse, bool decodes)
{
    const char *act = hf_text(c, "feed_forward_proj");
    bool gated = str_starts(str_c(act), "gated-");
    for (int i = 0; i < layers && !c->failed; i++) {
        lm_layer l = attention(c, "num_heads", hf_need(c, "d_kv", 1, 1 << 16));
        l.ffn = gated ? LM_GATED : LM_PLAIN;
        l.ffn_dim = hf_need(c, "d_ff", 1, 1 << 24);
        l.activation = hf_activation(c, "feed_forward_proj", OP_Relu, NULL);
        if (is_sparse(i, layers, sparse)) {
            l.ffn = LM_MOE;
            l.gated = gated;
            l.experts = hf_need(c, "num_experts", 1, 1 << 16);
            l.experts_used = 1;
        }
        if (!strcmp(c->family->type, "umt5")) /* every layer has its own table of biases */
            l.extra_parameters = (double)hf_want(c, "relative_attention_num_buckets", 32, 1, 1 << 16) * (double)l.heads;
        if (decodes) add_decoder(c, &l);
        else hf_add_encoder(c, &l, 1);
    }
}

void hf_t5(hf *c)
{
    hf_base(c);
    language_model *m = &c->m;
    int64_t encoder = c->depth, decoder = hf_want(c, "num_decoder_layers", encoder, 1, HF_LAYERS);
    if (strcmp(c->family->type, "umt5")) m->buckets = hf_want(c, "relative_attention_num_buckets", 32, 1, 1 << 16);
    t5_stack(c, (int)encoder, hf_want(c, "num_sparse_encoder_layers", 0, 0, encoder), false);
    t5_stack(c, (int)decoder, hf_want(c, "num_sparse_decoder_layers", 0, 0, decoder), true);
    m->max_position = hf_want(c, "n_positions", 0, 0, INT64_C(1) << 40);
}

/* ---- BART and its like ---- */

void hf_bart(hf *c)
{
    const char *type = c->family->type;
    bool bart = !strcmp(type, "bart"), mbart = !strcmp(type, "mbart");
    bool learned = bart || mbart; /* the others have sines */
    hf_base(c);
    language_model *m = &c->m;
    int64_t depth[2] = {hf_need(c, "encoder_layers", 1, HF_LAYERS), hf_need(c, "decoder_layers", 1, HF_LAYERS)};
    static const char *const heads[2] = {"encoder_attention_heads", "decoder_attention_heads"};
    static const char *const width[2] = {"encoder_ffn_dim", "decoder_ffn_dim"};
    bool after = bart || !strcmp(type, "marian");
    if (learned) m->position_table = m->encoder_positions = hf_need(c, "max_position_embeddings", 1, 1 << 24) + 2;
    m->embed_norm = learned;
    m->no_final_norm = after;
    for (int stack = 0; stack < 2; stack++)
        for (int i = 0; i < depth[stack] && !c->failed; i++) {
            lm_layer l = attention(c, heads[stack], 0);
            l.ffn = LM_PLAIN;
            l.ffn_dim = hf_need(c, width[stack], 1, 1 << 24);
            l.qkv_bias = l.out_bias = l.ffn_bias = true;
            l.norm_after_add = after;
            l.activation = hf_activation(c, "activation_function", OP_Gelu, NULL);
            if (stack) add_decoder(c, &l);
            else hf_add_encoder(c, &l, 1);
        }
}

void hf_whisper(hf *c)
{
    hf_base(c);
    language_model *m = &c->m;
    int64_t depth[2] = {hf_need(c, "encoder_layers", 1, HF_LAYERS), hf_need(c, "decoder_layers", 1, HF_LAYERS)};
    m->mels = hf_need(c, "num_mel_bins", 1, 1 << 12);
    m->encoder_positions = m->encoder_length = hf_need(c, "max_source_positions", 1, 1 << 24);
    m->max_position = m->position_table = hf_need(c, "max_target_positions", 1, 1 << 24);
    for (int stack = 0; stack < 2; stack++)
        for (int i = 0; i < depth[stack] && !c->failed; i++) {
            lm_layer l = attention(c, stack ? "decoder_attention_heads" : "encoder_attention_heads", 0);
            l.ffn = LM_PLAIN;
            l.ffn_dim = hf_need(c, stack ? "decoder_ffn_dim" : "encoder_ffn_dim", 1, 1 << 24);
            l.qkv_bias = l.out_bias = l.ffn_bias = true;
            l.activation = hf_activation(c, "activation_function", OP_Gelu, NULL);
            l.no_key_bias = true;
            if (stack) add_decoder(c, &l);
            else hf_add_encoder(c, &l, 1);
        }
}
