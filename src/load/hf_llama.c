#include "load/hf.h"

static bool has(const hf *c, uint64_t flag)
{
    return (c->family->flags & flag) != 0;
}

/* ---- what families share ---- */

static dtype dtype_named(const char *name)
{
    static const struct {
        const char *name;
        dtype type;
    } known[] = {
        {"bfloat16", DT_BF16},         {"float16", DT_FP16},        {"float32", DT_FP32}, {"float64", DT_FP64},
        {"float8_e4m3fn", DT_FP8E4M3}, {"float8_e5m2", DT_FP8E5M2}, {"half", DT_FP16},    {"float", DT_FP32},
    };
    if (str_starts(str_c(name), "torch.")) name += 6;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(name, known[i].name)) return known[i].type;
    return DT_UNKNOWN;
}

/* Weights without a word about them are float32, as transformers documents it; beside quantised ones they are 16 bits wide. */
dtype hf_stored_type(hf *c)
{
    const char *name = hf_text(c, "torch_dtype|dtype");
    if (!*name) name = json_get_text(c->root, "torch_dtype", json_get_text(c->root, "dtype", ""));
    dtype d = dtype_named(name);
    if (d != DT_UNKNOWN) return d;
    if (*name && strcmp(name, "auto") && !graph_warn(c->g, "config.json: type '%.40s' is not known", name))
        hf_fail(c, PG_E_NOMEM, "out of memory");
    return json_object_get(c->root, "quantization_config") || json_object_get(c->text, "quantization_config") ? DT_BF16
                                                                                                              : DT_FP32;
}

static double theta(hf *c)
{
    const json_t *own = json_object_get(c->text, "rope_parameters");
    double t = hf_real(c, "rope_theta|rotary_emb_base|rope_base", 1e4, 1, 1e12);
    double inner = json_get_real(own, "rope_theta", t);
    return inner >= 1 && inner <= 1e12 ? inner : t;
}

void hf_base(hf *c)
{
    const hf_family *f = c->family;
    language_model *m = &c->m;
    m->hidden = hf_core(c, "hidden_size|n_embd|d_model|dim|n_embed|model_dim", f->usual.hidden, 1, 1 << 20);
    m->vocab = hf_core(c, "vocab_size|padded_vocab_size", f->usual.vocab, 1, 1 << 28);
    c->depth = (int)hf_core(c, "num_hidden_layers|n_layer|n_layers|num_layers|num_transformer_layers", f->usual.layers,
                            1, HF_LAYERS);
    m->max_position = hf_want(c,
                              "max_position_embeddings|n_positions|max_sequence_length|max_seq_len|seq_length|"
                              "model_max_length|n_ctx|max_context_length",
                              f->usual.positions, 0, INT64_C(1) << 40);
    bool tied = json_get_bool(c->root, "tie_word_embeddings", has(c, HF_TIED));
    m->tied = hf_flag(c, "tie_word_embeddings|tie_embeddings|tie_lm_head", tied);
    m->rms_norm = !has(c, HF_LAYER_NORM);
    m->norm_bias = has(c, HF_LAYER_NORM) && !has(c, HF_NORM_NO_BIAS);
    m->norm_plain = has(c, HF_NORM_PLAIN);
    m->output_bias = has(c, HF_OUTPUT_BIAS);
    m->alibi = has(c, HF_ALIBI);
    m->rope_theta = theta(c);
    m->weights = hf_stored_type(c);
}

/* How many tokens a layer's attention sees; 0: all. */
static int64_t window(hf *c, int layer)
{
    int64_t fallback = has(c, HF_WINDOW_ODD | HF_WINDOW_MOST) ? 4096 : 0;
    int64_t w = hf_want(c, "sliding_window|sliding_window_size|attention_window_size", fallback, 0, INT64_C(1) << 40);
    if (has(c, HF_WINDOW_USED) && !hf_flag(c, "use_sliding_window", false)) return 0;
    const json_t *types = hf_list(c, "layer_types", (size_t)c->depth);
    if (types) {
        const char *type = json_string_value(json_array_get(types, (size_t)layer));
        return type && !strcmp(type, "sliding_attention") ? w : 0;
    }
    if (has(c, HF_WINDOW_USED)) return layer >= hf_want(c, "max_window_layers", 0, 0, 1 << 20) ? w : 0;
    if (has(c, HF_WINDOW_ODD)) return layer % 2 ? 0 : w;
    if (has(c, HF_WINDOW_MOST)) {
        const json_t *text = hf_get(c, "sliding_window_pattern");
        if (json_is_string(text) && json_string_length(text)) /* "LLLG": local and global */
            return json_string_value(text)[(size_t)layer % json_string_length(text)] == 'L' ? w : 0;
        int64_t usual = c->family->usual.hidden == 8192 ? 4 : 6; /* Cohere 2; Gemma 3 */
        int64_t every = hf_want(c, "sliding_window_pattern|_sliding_window_pattern", usual, 1, HF_LAYERS);
        return (layer + 1) % every ? w : 0;
    }
    return has(c, HF_WINDOW) ? w : 0;
}

static double rotated_share(hf *c)
{
    double usual = has(c, HF_HALF_ROTARY) ? 0.5 : has(c, HF_QUARTER_ROTARY) ? 0.25 : 1;
    usual = json_get_real(json_object_get(c->text, "rope_parameters"), "partial_rotary_factor", usual);
    return hf_real(c, "partial_rotary_factor|rotary_pct|rotary_percent|rope_pct|rope_percent", usual, 0, 1);
}

/* Layers may go without rotary positions: a list of 0 and 1, or every n-th. */
static bool rotates(hf *c, int layer)
{
    const json_t *list = hf_get(c, "no_rope_layers");
    if (json_is_array(list) && json_array_size(list) > (size_t)layer)
        return json_integer_value(json_array_get(list, (size_t)layer)) != 0;
    int64_t every = hf_want(c, "no_rope_layer_interval", 0, 0, HF_LAYERS);
    return !every || (layer + 1) % every;
}

static int norms(const hf *c)
{
    if (has(c, HF_POST_NORM)) return 4;
    return has(c, HF_PARALLEL) ? 1 : 2;
}

lm_layer hf_attention(hf *c, int layer)
{
    const hf_family *f = c->family;
    lm_layer l;
    memset(&l, 0, sizeof l);
    l.mixer = LM_ATTENTION;
    l.heads = hf_core(c, "num_attention_heads|n_head|n_heads|num_heads|attention_heads", f->usual.heads, 1, 1 << 16);
    int64_t kv = c->nested && f->usual.kv_heads ? f->usual.kv_heads : l.heads;
    l.kv_heads = hf_want(c, "num_key_value_heads|num_kv_heads|num_attention_groups|kv_n_heads", kv, 1, 1 << 16);
    hf_divide(c, "num_attention_heads", l.heads, "num_key_value_heads", l.kv_heads);
    l.head_dim = hf_want(c, "head_dim|attention_head_dim|kv_channels|head_size", f->usual.head_dim, 0, 1 << 16);
    if (!l.head_dim) l.head_dim = hf_divide(c, "hidden_size", c->m.hidden, "num_attention_heads", l.heads);
    bool bias = has(c, HF_KEY_BIAS | HF_KEY_QKV) &&
                hf_flag(c, "attention_bias|qkv_bias|use_qkv_bias|use_bias", has(c, HF_BIAS_TRUE));
    l.qkv_bias = has(c, HF_QKV_BIAS) || bias;
    l.out_bias = has(c, HF_OUT_BIAS) || (bias && has(c, HF_KEY_BIAS));
    l.qk_norm = has(c, HF_QK_NORM);
    l.qk_norm_wide = has(c, HF_QK_WIDE);
    if (hf_flag(c, "use_qk_norm|qk_layernorm", false) && !has(c, HF_PLAIN_FFN))
        l.qk_norm = has(c, HF_QK_NORM | HF_QK_WIDE);
    l.sinks = has(c, HF_SINKS);
    l.fused_qkv = has(c, HF_FUSED_QKV);
    l.window = window(c, layer);
    l.norms = norms(c);
    l.post_norm = has(c, HF_POST_NORM | HF_POST_ALONE);
    l.norm_after_add = false;
    l.parallel = has(c, HF_PARALLEL);
    if (!has(c, HF_ALIBI) && rotates(c, layer)) {
        int64_t all = hf_want(c, "rotary_dim", (int64_t)((double)l.head_dim * rotated_share(c)), 0, 1 << 16);
        l.rope_features = (all < l.head_dim ? all : l.head_dim) / 2 * 2;
    }
    return l;
}

static uint16_t usual_activation(const hf *c)
{
    return has(c, HF_GELU) ? OP_FastGelu : OP_Silu;
}

void hf_dense(hf *c, lm_layer *l, const char *width_keys)
{
    l->ffn = has(c, HF_PLAIN_FFN) ? LM_PLAIN : LM_GATED;
    l->ffn_dim = hf_core(c, width_keys, c->family->usual.ffn, 1, 1 << 24);
    l->fused_gate = has(c, HF_FUSED_GATE);
    l->ffn_bias = has(c, HF_FFN_BIAS) || hf_flag(c, "mlp_bias", false);
    l->activation = hf_activation(c, "hidden_activation|hidden_act|activation_function|mlp_hidden_act|hidden_function",
                                  usual_activation(c), &l->squared);
}

void hf_experts(hf *c, lm_layer *l, const char *width_keys)
{
    memset(&l->squared, 0, sizeof l->squared);
    l->ffn = LM_MOE;
    l->gated = !has(c, HF_PLAIN_FFN);
    l->experts = hf_need(c, "num_local_experts|num_experts|n_routed_experts|moe_num_experts|num_moe_experts", 1,
                         1 << 16);
    l->experts_used = hf_need(
        c,
        "num_experts_per_tok|num_experts_per_token|experts_per_token|moe_topk|moe_k|moe_top_k|num_selected_experts|top_k_experts",
        1, 1 << 16);
    if (l->experts_used > l->experts)
        hf_fail(c, PG_E_FORMAT, "a token takes %lld of %lld experts ('%snum_experts_per_tok')",
                (long long)l->experts_used, (long long)l->experts, c->where);
    l->ffn_dim = hf_need(c, width_keys, 1, 1 << 24);
    int64_t shared = hf_want(c, "n_shared_experts|num_shared_experts|num_shared_expert|moe_num_shared_experts", 0, 0,
                             1 << 16);
    l->shared_dim = hf_want(
        c, "shared_expert_intermediate_size|moe_shared_expert_intermediate_size|shared_intermediate_size",
        shared * l->ffn_dim, 0, 1 << 24);
    l->shared_gate = l->shared_dim && has(c, HF_SHARED_GATE);
    l->router_bias = has(c, HF_ROUTER_BIAS);
    l->ffn_bias = has(c, HF_EXPERT_BIAS);
    l->activation = hf_activation(c, "hidden_activation|hidden_act|activation_function|mlp_hidden_act",
                                  usual_activation(c), &l->squared);
}

static bool listed(const json_t *list, int layer)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (json_integer_value(json_array_get(list, i)) == layer) return true;
    return false;
}

/* Which layers have experts: each family says it in its own words. */
static bool is_sparse(hf *c, int layer)
{
    const json_t *freq = hf_get(c, "moe_layer_freq"), *types = hf_get(c, "mlp_layer_types"),
                 *moe = hf_get(c, "moe_layers");
    if (json_is_array(types) && json_array_size(types) > (size_t)layer) {
        const char *type = json_string_value(json_array_get(types, (size_t)layer));
        return type && strcmp(type, "dense") != 0;
    }
    if (json_is_array(moe)) return listed(moe, layer);
    if (json_is_array(freq))
        return json_array_size(freq) > (size_t)layer && json_integer_value(json_array_get(freq, (size_t)layer));
    if (listed(hf_get(c, "mlp_only_layers"), layer)) return false;
    int64_t dense = hf_want(c, "first_k_dense_replace|num_dense_layers|moe_layer_start_index", 0, 0, HF_LAYERS);
    int64_t every = hf_want(c, "moe_layer_freq", 1, 1, HF_LAYERS);
    int64_t step = hf_want(c, "decoder_sparse_step|interleave_moe_layer_step|moe_layer_interval", 1, 1, HF_LAYERS);
    int64_t period = hf_want(c, "expert_layer_period", 1, 1, HF_LAYERS);
    int64_t offset = hf_want(c, "expert_layer_offset", 0, 0, HF_LAYERS);
    if (period > 1) return layer % period == offset;
    return layer >= dense && layer % every == 0 && (layer + 1) % step == 0;
}

/* ---- LLaMA and all that have its form ---- */

void hf_llama(hf *c)
{
    static const char dense[] = "intermediate_size|ffn_hidden_size|ffn_dim|feed_forward_hidden_size|n_inner";
    hf_base(c);
    for (int i = 0; i < c->depth && !c->failed; i++) {
        lm_layer l = hf_attention(c, i);
        if (has(c, HF_EXPERTS) && is_sparse(c, i))
            hf_experts(c, &l, "moe_intermediate_size|expert_intermediate_size|intermediate_size|ffn_hidden_size");
        else hf_dense(c, &l, dense);
        hf_add(c, &l);
    }
}

/* Dense layers and those with experts take turns, as do attention within chunks and to everything, without positions. */
void hf_llama4(hf *c)
{
    hf_base(c);
    int64_t chunk = hf_want(c, "attention_chunk_size", 8192, 0, INT64_C(1) << 40);
    const json_t *listed_rope = hf_get(c, "no_rope_layers");
    bool given = json_is_array(listed_rope) && json_array_size(listed_rope) >= (size_t)c->depth;
    for (int i = 0; i < c->depth && !c->failed; i++) {
        lm_layer l = hf_attention(c, i);
        if (!given) l.rope_features = (i + 1) % 4 ? l.head_dim : 0;
        if (l.rope_features) l.chunk = chunk;
        if (is_sparse(c, i)) {
            hf_experts(c, &l, "intermediate_size");
            l.shared_dim = l.ffn_dim;
        } else {
            hf_dense(c, &l, "intermediate_size_mlp");
        }
        hf_add(c, &l);
    }
}

/* ---- DeepSeek-V2 and later: keys and values from one latent row a token ---- */

void hf_deepseek(hf *c)
{
    static const char width[] = "moe_intermediate_size|expert_ffn_hidden_size";
    hf_base(c);
    for (int i = 0; i < c->depth && !c->failed; i++) {
        lm_layer l;
        memset(&l, 0, sizeof l);
        l.mixer = LM_MLA;
        l.heads = l.kv_heads = hf_need(c, "num_attention_heads", 1, 1 << 16);
        l.q_rank = hf_want(c, "q_lora_rank", 0, 0, 1 << 20);
        l.kv_rank = hf_need(c, "kv_lora_rank", 1, 1 << 20);
        l.nope_dim = hf_need(c, "qk_nope_head_dim", 0, 1 << 16);
        l.rope_dim = l.rope_features = hf_need(c, "qk_rope_head_dim", 0, 1 << 16);
        l.v_head_dim = hf_need(c, "v_head_dim", 1, 1 << 16);
        l.head_dim = l.nope_dim + l.rope_dim;
        l.qkv_bias = l.out_bias = hf_flag(c, "attention_bias", false);
        l.index_heads = hf_want(c, "index_n_heads", 0, 0, 1 << 16);
        if (l.index_heads) {
            l.index_dim = hf_need(c, "index_head_dim", 1, 1 << 16);
            l.index_top = hf_need(c, "index_topk", 1, INT64_C(1) << 40);
        }
        l.norms = 2;
        if (hf_get(c, "n_routed_experts|num_experts") && is_sparse(c, i)) hf_experts(c, &l, width);
        else hf_dense(c, &l, "intermediate_size|ffn_hidden_size");
        hf_add(c, &l);
    }
}
