#include "load/hf.h"

/* The last layers read the keys and values of earlier ones. */
static bool shares(hf *c, int layer)
{
    int64_t shared = hf_want(c, "num_kv_shared_layers", 0, 0, c->depth);
    return shared && layer >= c->depth - shared;
}

static void read_layer_rows(hf *c)
{
    language_model *m = &c->m;
    m->layer_embedding = hf_want(c, "hidden_size_per_layer_input", 0, 0, 1 << 16);
    if (m->layer_embedding) m->layer_vocab = hf_want(c, "vocab_size_per_layer_input", m->vocab, 1, 1 << 28);
}

/* Entry `layer` of a list of widths, or the one width. */
static int64_t width_at(hf *c, int layer)
{
    const json_t *v = hf_get(c, "intermediate_size");
    if (!json_is_array(v)) return hf_need(c, "intermediate_size", 1, 1 << 24);
    const json_t *list = hf_list(c, "intermediate_size", (size_t)c->depth);
    int64_t width = list ? json_integer_value(json_array_get(list, (size_t)layer)) : 1;
    if (width < 1 || width > 1 << 24)
        hf_fail(c, PG_E_FORMAT, "'%sintermediate_size' has %lld for layer %d; it must be between 1 and %d", c->where,
                (long long)width, layer, 1 << 24);
    return width;
}

static bool is_sliding(hf *c, int layer, int64_t every)
{
    const json_t *types = hf_list(c, "layer_types", (size_t)c->depth);
    const char *type = json_string_value(json_array_get(types, (size_t)layer));
    return type ? !strcmp(type, "sliding_attention") : (layer + 1) % every != 0;
}

static lm_layer layer_at(hf *c, int i, int64_t every)
{
    lm_layer l = hf_attention(c, i);
    l.window = is_sliding(c, i, every) ? hf_want(c, "sliding_window", 512, 0, INT64_C(1) << 40) : 0;
    l.shared_cache = shares(c, i);
    l.ffn = LM_GATED;
    l.ffn_dim = width_at(c, i);
    l.activation = hf_activation(c, "hidden_activation|hidden_act", OP_FastGelu, NULL);
    return l;
}

/* Gemma 3n: four streams that predict and correct each other (AltUp), and a path of low rank beside attention (LAuReL); both are
 * counted as parameters and, a hundredth of the arithmetic, not put into the graph. */
void hf_gemma3n(hf *c)
{
    hf_base(c);
    read_layer_rows(c);
    language_model *m = &c->m;
    double h = (double)m->hidden, streams = (double)hf_want(c, "altup_num_inputs", 4, 1, 64);
    double rank = (double)hf_want(c, "laurel_rank", 64, 1, 1 << 16);
    m->extra_parameters = 2 * (streams - 1) * h * h;
    for (int i = 0; i < c->depth && !c->failed; i++) {
        lm_layer l = layer_at(c, i, 5);
        l.extra_parameters = 2 * h * rank + h + streams * streams * (streams + 1) + h * (streams + 2);
        hf_add(c, &l);
    }
}

/* Gemma 4: layers that see everything have wider and fewer heads, whose values may be their keys; experts beside a part for all. */
void hf_gemma4(hf *c)
{
    hf_base(c);
    read_layer_rows(c);
    bool sparse = hf_flag(c, "enable_moe_block", false), wide = hf_flag(c, "use_double_wide_mlp", false);
    for (int i = 0; i < c->depth && !c->failed; i++) {
        lm_layer l = layer_at(c, i, hf_want(c, "sliding_window_pattern", 6, 1, HF_LAYERS));
        if (!l.window) {
            l.head_dim = hf_want(c, "global_head_dim", l.head_dim, 1, 1 << 16);
            l.k_is_v = hf_flag(c, "attention_k_eq_v", false);
            if (l.k_is_v) l.kv_heads = hf_want(c, "num_global_key_value_heads", l.kv_heads, 1, 1 << 16);
            hf_divide(c, "num_attention_heads", l.heads, "num_global_key_value_heads", l.kv_heads);
            l.rope_features = l.head_dim / 4 * 2;
        }
        if (wide && l.shared_cache) l.ffn_dim *= 2;
        if (sparse) {
            int64_t shared = l.ffn_dim;
            hf_experts(c, &l, "moe_intermediate_size");
            l.shared_dim = shared;
            l.extra_parameters = 4 * (double)c->m.hidden + (double)l.experts; /* more norms, scales of the router */
        }
        hf_add(c, &l);
    }
}
