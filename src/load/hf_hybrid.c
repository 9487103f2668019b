#include "load/hf.h"

/* ---- state spaces ---- */

static lm_layer blank(lm_mixer mixer)
{
    lm_layer l;
    memset(&l, 0, sizeof l);
    l.mixer = mixer;
    l.norms = 1;
    l.activation = OP_Silu;
    return l;
}

/* "auto", or left out: a sixteenth of the width. */
static int64_t time_rank(hf *c, const char *keys)
{
    const json_t *v = hf_get(c, keys);
    if (!v || json_is_string(v)) return (c->m.hidden + 15) / 16;
    return hf_need(c, keys, 1, 1 << 20);
}

static lm_layer mamba_layer(hf *c)
{
    lm_layer l = blank(LM_MAMBA);
    int64_t expand = hf_want(c, "expand|mamba_expand", 2, 1, 64);
    l.inner = hf_want(c, strcmp(c->family->type, "jamba") ? "intermediate_size|d_inner" : "mamba_d_inner",
                      expand * c->m.hidden, 1, 1 << 24);
    l.state = hf_want(c, "state_size|mamba_d_state", 16, 1, 1 << 16);
    l.conv_kernel = hf_want(c, "conv_kernel|mamba_d_conv", 4, 1, 1 << 10);
    l.dt_rank = time_rank(c, "time_step_rank|mamba_dt_rank");
    l.ssm_bias = hf_flag(c, "use_bias|mamba_proj_bias", false);
    l.conv_bias = hf_flag(c, "use_conv_bias|mamba_conv_bias", true);
    return l;
}

void hf_mamba(hf *c)
{
    hf_base(c);
    lm_layer l = mamba_layer(c);
    for (int i = 0; i < c->depth && !c->failed; i++) hf_add(c, &l);
}

static lm_layer mamba2_layer(hf *c)
{
    lm_layer l = blank(LM_MAMBA2);
    int64_t expand = hf_want(c, "expand|mamba_expand", 2, 1, 64);
    l.ssm_heads = hf_need(c, "mamba_num_heads|mamba_n_heads|num_heads", 1, 1 << 16);
    const json_t *dim = hf_get(c, "mamba_head_dim|mamba_d_head|head_dim");
    if (!dim || json_is_string(dim))
        l.ssm_head_dim = hf_divide(c, "expand * hidden_size", expand * c->m.hidden, "mamba_n_heads", l.ssm_heads);
    else l.ssm_head_dim = hf_need(c, "mamba_head_dim|mamba_d_head|head_dim", 1, 1 << 16);
    l.inner = l.ssm_heads * l.ssm_head_dim;
    l.state = hf_need(c, "ssm_state_size|mamba_d_state|state_size", 1, 1 << 16);
    l.groups = hf_want(c, "mamba_n_groups|n_groups", 1, 1, 1 << 16);
    hf_divide(c, "mamba_num_heads", l.ssm_heads, "n_groups", l.groups);
    l.conv_kernel = hf_want(c, "conv_kernel|mamba_d_conv", 4, 1, 1 << 10);
    l.ssm_bias = hf_flag(c, "mamba_proj_bias|use_bias", false);
    l.conv_bias = hf_flag(c, "use_conv_bias|mamba_conv_bias", true);
    return l;
}

void hf_mamba2(hf *c)
{
    hf_base(c);
    lm_layer l = mamba2_layer(c);
    for (int i = 0; i < c->depth && !c->failed; i++) hf_add(c, &l);
}

/* Takes the mixer of one layer and the rest of another. */
static void mix(lm_layer *l, const lm_layer *from)
{
    l->mixer = from->mixer;
    l->inner = from->inner;
    l->state = from->state;
    l->groups = from->groups;
    l->conv_kernel = from->conv_kernel;
    l->ssm_heads = from->ssm_heads;
    l->ssm_head_dim = from->ssm_head_dim;
    l->dt_rank = from->dt_rank;
    l->conv_bias = from->conv_bias;
    l->ssm_bias = from->ssm_bias;
    l->ssm_norms = from->ssm_norms;
}

static lm_layer without_attention(const lm_layer *from)
{
    lm_layer l = blank(from->mixer);
    mix(&l, from);
    l.norms = 2;
    return l;
}

/* ---- mixtures of layers ---- */

/* Whether layer i attends: by a list of words or numbers, or every `period`-th. */
static bool attends(hf *c, int layer, int64_t period, int64_t offset)
{
    const json_t *types = hf_list(c, "layer_types|layers_block_type|attn_type_list", (size_t)c->depth);
    const json_t *at = hf_get(c, "attn_layer_indices|full_attn_idxs");
    if (types) {
        const json_t *v = json_array_get(types, (size_t)layer);
        const char *word = json_string_value(v);
        if (!word) return json_integer_value(v) == 1;
        return !strcmp(word, "attention") || !strcmp(word, "full_attention");
    }
    if (json_is_array(at)) {
        for (size_t i = 0; i < json_array_size(at); i++)
            if (json_integer_value(json_array_get(at, i)) == layer) return true;
        return false;
    }
    return period && layer % period == offset;
}

void hf_jamba(hf *c)
{
    hf_base(c);
    int64_t period = hf_want(c, "attn_layer_period", 8, 1, HF_LAYERS),
            offset = hf_want(c, "attn_layer_offset", 4, 0, HF_LAYERS);
    int64_t sparse = hf_want(c, "expert_layer_period", 2, 1, HF_LAYERS),
            from = hf_want(c, "expert_layer_offset", 1, 0, HF_LAYERS);
    lm_layer space = mamba_layer(c);
    space.ssm_norms = true;
    for (int i = 0; i < c->depth && !c->failed; i++) {
        lm_layer l = attends(c, i, period, offset) ? hf_attention(c, i) : without_attention(&space);
        l.rope_features = 0;
        if (i % sparse == from && hf_want(c, "num_experts", 16, 1, 1 << 16) > 1) hf_experts(c, &l, "intermediate_size");
        else hf_dense(c, &l, "intermediate_size");
        hf_add(c, &l);
    }
}

/* One part a layer: M is Mamba-2, * attention, - a feed-forward part, E experts. */
void hf_nemotron_h(hf *c)
{
    hf_base(c);
    const char *pattern = hf_text(c, "hybrid_override_pattern");
    if (!c->failed && !*pattern) hf_need(c, "hybrid_override_pattern", 0, 0);
    if (!c->failed && strlen(pattern) != (size_t)c->depth)
        hf_fail(c, PG_E_FORMAT, "'hybrid_override_pattern' describes %zu layers, 'num_hidden_layers' is %d",
                strlen(pattern), c->depth);
    for (int i = 0; i < c->depth && !c->failed; i++) {
        lm_layer l = blank(LM_NO_MIXER);
        switch (pattern[i]) {
        case 'M': l = mamba2_layer(c); break;
        case '*':
            l = hf_attention(c, i);
            l.rope_features = 0;
            break;
        case '-': hf_dense(c, &l, "intermediate_size"); break;
        case 'E': hf_experts(c, &l, "moe_intermediate_size"); break;
        default:
            hf_fail(c, PG_E_FORMAT, "'hybrid_override_pattern' has '%c' as layer %d; known are M, *, - and E",
                    pattern[i] > ' ' && pattern[i] < 0x7f ? pattern[i] : '?', i);
        }
        l.norms = 1;
        hf_add(c, &l);
    }
}

/* Three layers of linear attention to one of gated attention. */
void hf_qwen3_next(hf *c)
{
    hf_base(c);
    int64_t every = hf_want(c, "full_attention_interval", 4, 1, HF_LAYERS);
    bool sparse = (c->family->flags & HF_EXPERTS) != 0;
    for (int i = 0; i < c->depth && !c->failed; i++) {
        lm_layer l;
        if (attends(c, i, every, every - 1)) {
            l = hf_attention(c, i);
            l.gated_output = hf_flag(c, "attn_output_gate", true);
        } else {
            l = blank(LM_GATED_DELTA);
            l.groups = hf_need(c, "linear_num_key_heads", 1, 1 << 16);
            l.state = hf_need(c, "linear_key_head_dim", 1, 1 << 16);
            l.ssm_heads = hf_need(c, "linear_num_value_heads", 1, 1 << 16);
            l.ssm_head_dim = hf_need(c, "linear_value_head_dim", 1, 1 << 16);
            hf_divide(c, "linear_num_value_heads", l.ssm_heads, "linear_num_key_heads", l.groups);
            l.inner = l.ssm_heads * l.ssm_head_dim;
            l.conv_kernel = hf_want(c, "linear_conv_kernel_dim", 4, 1, 1 << 10);
            l.norms = 2;
        }
        if (sparse) hf_experts(c, &l, "moe_intermediate_size");
        else hf_dense(c, &l, "intermediate_size");
        hf_add(c, &l);
    }
}

/* Granite 4 and Bamba: Mamba-2 and attention, each followed by a feed-forward part, of experts and one that all share. */
void hf_granite_hybrid(hf *c)
{
    hf_base(c);
    bool rotary = strcmp(hf_text(c, "position_embedding_type"), "nope") != 0;
    lm_layer space = mamba2_layer(c);
    for (int i = 0; i < c->depth && !c->failed; i++) {
        lm_layer l = attends(c, i, 0, 0) ? hf_attention(c, i) : without_attention(&space);
        if (!rotary) l.rope_features = 0;
        if (hf_want(c, "num_local_experts", 0, 0, 1 << 16)) hf_experts(c, &l, "intermediate_size");
        else hf_dense(c, &l, "shared_intermediate_size|intermediate_size");
        hf_add(c, &l);
    }
}

/* LFM2's width: two thirds of what is given, times a factor, rounded up. */
static int64_t adjusted(hf *c)
{
    int64_t width = hf_need(c, "block_ff_dim|intermediate_size", 1, 1 << 24);
    if (!hf_flag(c, "block_auto_adjust_ff_dim", true)) return width;
    int64_t of = hf_want(c, "block_multiple_of", 256, 1, 1 << 20);
    width = (int64_t)((double)(2 * width / 3) * hf_real(c, "block_ffn_dim_multiplier", 1, 0.01, 100));
    return (width + of - 1) / of * of;
}

void hf_lfm2(hf *c)
{
    hf_base(c);
    int64_t dense = hf_want(c, "num_dense_layers", 0, 0, HF_LAYERS);
    bool sparse = (c->family->flags & HF_EXPERTS) != 0;
    for (int i = 0; i < c->depth && !c->failed; i++) {
        lm_layer l = blank(LM_SHORT_CONV);
        if (attends(c, i, 0, 0)) l = hf_attention(c, i);
        else {
            l.conv_kernel = hf_want(c, "conv_L_cache", 3, 1, 1 << 10);
            l.conv_bias = hf_flag(c, "conv_bias", false);
        }
        l.norms = 2;
        if (sparse && i >= dense) hf_experts(c, &l, "moe_intermediate_size");
        else hf_dense(c, &l, "intermediate_size|block_ff_dim");
        if (l.ffn != LM_MOE && !sparse) l.ffn_dim = adjusted(c);
        hf_add(c, &l);
    }
}

/* MiniMax-01: seven layers of linear attention to one of attention, all with experts. */
void hf_minimax(hf *c)
{
    hf_base(c);
    for (int i = 0; i < c->depth && !c->failed; i++) {
        lm_layer l = hf_attention(c, i);
        if (!attends(c, i, 8, 7)) {
            l.mixer = LM_LIGHTNING;
            l.kv_heads = l.heads;
        }
        hf_experts(c, &l, "intermediate_size");
        hf_add(c, &l);
    }
}
