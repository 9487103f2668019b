#include "load/hf.h"

/* A decoder with plain heads and a plain feed-forward part, all with biases. */
static lm_layer plain(hf *c, const char *heads_keys)
{
    lm_layer l;
    memset(&l, 0, sizeof l);
    l.mixer = LM_ATTENTION;
    l.ffn = LM_PLAIN;
    l.heads = l.kv_heads = hf_need(c, heads_keys, 1, 1 << 16);
    l.head_dim = hf_divide(c, "hidden_size", c->m.hidden, "num_attention_heads", l.heads);
    l.qkv_bias = l.out_bias = l.ffn_bias = l.fused_qkv = true;
    l.norms = 2;
    return l;
}

static void activate(hf *c, lm_layer *l, const char *keys, uint16_t usual)
{
    l->activation = hf_activation(c, keys, usual, &l->squared);
}

static void repeat(hf *c, const lm_layer *l)
{
    for (int i = 0; i < c->depth && !c->failed; i++) hf_add(c, l);
}

/* GPT-2, and StarCoder's gpt_bigcode: with one head of keys and values. */
void hf_gpt2(hf *c)
{
    hf_base(c);
    lm_layer l = plain(c, "n_head|num_attention_heads");
    if (!strcmp(c->family->type, "gpt_bigcode") && hf_flag(c, "multi_query", true)) l.kv_heads = 1;
    l.ffn_dim = hf_want(c, "n_inner", 4 * c->m.hidden, 1, 1 << 24);
    c->m.position_table = hf_need(c, "n_positions|max_position_embeddings", 1, 1 << 24);
    activate(c, &l, "activation_function", OP_FastGelu);
    repeat(c, &l);
}

void hf_gpt_neox(hf *c)
{
    hf_base(c);
    lm_layer l = plain(c, "num_attention_heads");
    l.ffn_dim = hf_need(c, "intermediate_size", 1, 1 << 24);
    l.qkv_bias = l.out_bias = hf_flag(c, "attention_bias", true);
    l.parallel = hf_flag(c, "use_parallel_residual", true);
    double share = json_get_real(json_object_get(c->text, "rope_parameters"), "partial_rotary_factor", 0.25);
    l.rope_features = (int64_t)((double)l.head_dim * hf_real(c, "rotary_pct|partial_rotary_factor", share, 0, 1));
    activate(c, &l, "hidden_act", OP_Gelu);
    repeat(c, &l);
}

/* GPT-J and CodeGen */
void hf_gptj(hf *c)
{
    hf_base(c);
    lm_layer l = plain(c, "n_head|num_attention_heads");
    l.ffn_dim = hf_want(c, "n_inner", 4 * c->m.hidden, 1, 1 << 24);
    l.qkv_bias = l.out_bias = false;
    l.fused_qkv = !strcmp(c->family->type, "codegen");
    l.parallel = true;
    l.norms = 1;
    l.rope_features = hf_want(c, "rotary_dim", 64, 0, 1 << 16);
    activate(c, &l, "activation_function", OP_FastGelu);
    repeat(c, &l);
}

void hf_gpt_neo(hf *c)
{
    hf_base(c);
    lm_layer l = plain(c, "num_heads|num_attention_heads");
    int64_t window = hf_want(c, "window_size", 256, 1, INT64_C(1) << 40);
    l.ffn_dim = hf_want(c, "intermediate_size", 4 * c->m.hidden, 1, 1 << 24);
    l.qkv_bias = l.fused_qkv = false;
    c->m.position_table = hf_need(c, "max_position_embeddings", 1, 1 << 24);
    activate(c, &l, "activation_function", OP_FastGelu);
    const json_t *kinds = hf_list(c, "attention_layers", (size_t)c->depth);
    for (int i = 0; i < c->depth && !c->failed; i++) {
        const char *kind = json_string_value(json_array_get(kinds, (size_t)i));
        l.window = kind ? (!strcmp(kind, "local") ? window : 0) : i % 2 ? window : 0;
        hf_add(c, &l);
    }
}

void hf_opt(hf *c)
{
    hf_base(c);
    lm_layer l = plain(c, "num_attention_heads");
    language_model *m = &c->m;
    l.ffn_dim = hf_need(c, "ffn_dim", 1, 1 << 24);
    l.fused_qkv = false;
    l.qkv_bias = l.out_bias = l.ffn_bias = hf_flag(c, "enable_bias", true);
    l.norm_after_add = !hf_flag(c, "do_layer_norm_before", true);
    m->no_final_norm = l.norm_after_add || hf_flag(c, "_remove_final_layer_norm", false);
    m->position_table = hf_need(c, "max_position_embeddings", 1, 1 << 24) + 2; /* two rows stand for padding */
    int64_t width = hf_want(c, "word_embed_proj_dim", m->hidden, 1, 1 << 20);
    if (width != m->hidden) { /* the table of positions is as wide as the model */
        m->embedding_width = width;
        m->extra_parameters = (double)width * (double)m->hidden + (double)(m->position_table * (m->hidden - width));
    }
    activate(c, &l, "activation_function", OP_Relu);
    repeat(c, &l);
}

void hf_bloom(hf *c)
{
    hf_base(c);
    lm_layer l = plain(c, "n_head|num_attention_heads");
    l.ffn_dim = 4 * c->m.hidden;
    c->m.embed_norm = true;
    l.activation = OP_FastGelu;
    repeat(c, &l);
}

/* Falcon: one head of keys and values (7B), or groups of heads and a norm a part (40B, 180B); earlier with ALiBi and biases. */
void hf_falcon(hf *c)
{
    hf_base(c);
    lm_layer l = plain(c, "num_attention_heads|n_head");
    bool grouped = hf_flag(c, "new_decoder_architecture", false);
    if (grouped) l.kv_heads = hf_want(c, "num_kv_heads|n_head_kv", l.heads, 1, 1 << 16);
    else if (hf_flag(c, "multi_query", true)) l.kv_heads = 1;
    hf_divide(c, "num_attention_heads", l.heads, "num_kv_heads", l.kv_heads);
    l.ffn_dim = hf_want(c, "ffn_hidden_size", 4 * c->m.hidden, 1, 1 << 24);
    l.qkv_bias = l.out_bias = l.ffn_bias = hf_flag(c, "bias", false);
    l.parallel = grouped || hf_flag(c, "parallel_attn", true);
    l.norms = grouped ? (int)hf_want(c, "num_ln_in_parallel_attn", 2, 1, 2) : l.parallel ? 1 : 2;
    c->m.alibi = hf_flag(c, "alibi", false);
    l.rope_features = c->m.alibi ? 0 : l.head_dim;
    activate(c, &l, "activation", OP_Gelu);
    repeat(c, &l);
}

void hf_mpt(hf *c)
{
    hf_base(c);
    lm_layer l = plain(c, "n_heads");
    const json_t *attn = json_object_get(c->text, "attn_config");
    const char *type = json_get_text(attn, "attn_type", "multihead_attention");
    int64_t kv = !strcmp(type, "multiquery_attention") ? 1 : json_get_int(attn, "kv_n_heads", l.heads);
    if (kv < 1 || l.heads % kv)
        hf_fail(c, PG_E_FORMAT, "'attn_config.kv_n_heads' %lld does not divide 'n_heads' %lld", (long long)kv,
                (long long)l.heads);
    l.kv_heads = kv < 1 ? 1 : kv;
    l.ffn_dim = (int64_t)((double)c->m.hidden * hf_real(c, "expansion_ratio", 4, 0.01, 100));
    bool bias = !hf_flag(c, "no_bias", true);
    l.qkv_bias = l.out_bias = l.ffn_bias = c->m.norm_bias = bias;
    c->m.alibi = json_get_bool(attn, "alibi", false);
    if (!c->m.alibi && hf_flag(c, "learned_pos_emb", true)) c->m.position_table = hf_need(c, "max_seq_len", 1, 1 << 24);
    l.activation = OP_Gelu;
    repeat(c, &l);
}

void hf_dbrx(hf *c)
{
    hf_base(c);
    lm_layer l = plain(c, "n_heads");
    const json_t *attn = json_object_get(c->text, "attn_config"), *ffn = json_object_get(c->text, "ffn_config");
    int64_t kv = json_get_int(attn, "kv_n_heads", 0), experts = json_get_int(ffn, "moe_num_experts", 0);
    int64_t used = json_get_int(ffn, "moe_top_k", 0), width = json_get_int(ffn, "ffn_hidden_size", 0);
    if (kv < 1 || l.heads % kv)
        hf_fail(c, PG_E_FORMAT, "'attn_config.kv_n_heads' %lld does not divide 'n_heads' %lld", (long long)kv,
                (long long)l.heads);
    if (experts < 1 || experts > 1 << 16 || used < 1 || used > experts || width < 1 || width > 1 << 24)
        hf_fail(c, PG_E_FORMAT, "'ffn_config' has %lld experts of width %lld, of which a token takes %lld",
                (long long)experts, (long long)width, (long long)used);
    l.kv_heads = kv < 1 ? 1 : kv;
    l.qkv_bias = l.out_bias = l.ffn_bias = false;
    l.ffn = LM_MOE;
    l.gated = true;
    l.experts = experts;
    l.experts_used = used;
    l.ffn_dim = width;
    l.rope_features = l.head_dim;
    l.activation = OP_Silu;
    repeat(c, &l);
}

/* The first Qwen: a bias on queries, keys and values; the feed-forward width is of gate and up together. */
void hf_qwen(hf *c)
{
    hf_base(c);
    lm_layer l = plain(c, "num_attention_heads");
    l.head_dim = hf_want(c, "kv_channels", l.head_dim, 1, 1 << 16);
    l.out_bias = l.ffn_bias = !hf_flag(c, "no_bias", true);
    l.ffn = LM_GATED;
    l.ffn_dim = hf_need(c, "intermediate_size", 2, 1 << 24) / 2;
    l.rope_features = l.head_dim;
    l.activation = OP_Silu;
    repeat(c, &l);
}

void hf_chatglm(hf *c)
{
    hf_base(c);
    lm_layer l = plain(c, "num_attention_heads");
    l.head_dim = hf_want(c, "kv_channels", l.head_dim, 1, 1 << 16);
    if (hf_flag(c, "multi_query_attention", false)) l.kv_heads = hf_need(c, "multi_query_group_num", 1, 1 << 16);
    hf_divide(c, "num_attention_heads", l.heads, "multi_query_group_num", l.kv_heads);
    l.qkv_bias = hf_flag(c, "add_qkv_bias", false);
    l.out_bias = l.ffn_bias = hf_flag(c, "add_bias_linear", false);
    l.ffn = LM_GATED;
    l.ffn_dim = hf_need(c, "ffn_hidden_size", 1, 1 << 24);
    l.fused_gate = true;
    l.rope_features = l.head_dim / 4 * 2;
    l.activation = OP_Silu;
    repeat(c, &l);
}
