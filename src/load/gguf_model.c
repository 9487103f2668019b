#include "load/gguf_model.h"

#include "base/format.h"

enum {
    GELU = 1,
    PARALLEL = 2, /* attention and feed-forward part read the same input */
    NO_ROPE = 4,
    ALIBI = 8,
    ENCODER = 16,
    WINDOW_ODD = 32, /* every other layer, from the first, sees a window */
    WINDOW_6 = 64,   /* all but every 6th */
    WINDOW_4 = 128,  /* all but every 4th */
    NO_WINDOW = 256,
    PAIR = 512, /* encoder and decoder */
    CHUNKS = 1024,
    SQUARED = 2048, /* ReLU^2 */
    RELU = 4096,
    TANH = 8192, /* GELU by tanh */
};

static const gguf_arch archs[] = {
    {"llama", NO_WINDOW},
    {"llama4", CHUNKS},
    {"deci", 0},
    {"mistral3", 0},
    {"qwen", 0},
    {"qwen2", NO_WINDOW},
    {"qwen2moe", NO_WINDOW},
    {"qwen2vl", NO_WINDOW},
    {"qwen3", NO_WINDOW},
    {"qwen3moe", NO_WINDOW},
    {"qwen3vl", NO_WINDOW},
    {"qwen3vlmoe", NO_WINDOW},
    {"qwen3next", NO_WINDOW},
    {"gemma", TANH},
    {"gemma2", TANH | WINDOW_ODD},
    {"gemma3", TANH | WINDOW_6},
    {"phi2", TANH | PARALLEL},
    {"phi3", 0},
    {"phimoe", 0},
    {"gpt2", TANH | NO_ROPE},
    {"gptj", TANH | PARALLEL},
    {"gptneox", GELU | PARALLEL},
    {"falcon", GELU | PARALLEL},
    {"mpt", GELU | NO_ROPE | ALIBI},
    {"bloom", TANH | NO_ROPE | ALIBI},
    {"refact", NO_ROPE | ALIBI},
    {"baichuan", 0},
    {"starcoder", TANH | NO_ROPE},
    {"starcoder2", TANH | NO_WINDOW},
    {"stablelm", 0},
    {"orion", 0},
    {"internlm2", 0},
    {"minicpm", 0},
    {"minicpm3", 0},
    {"xverse", 0},
    {"command-r", PARALLEL},
    {"cohere2", PARALLEL | WINDOW_4},
    {"dbrx", 0},
    {"olmo", 0},
    {"olmo2", WINDOW_4},
    {"olmoe", 0},
    {"openelm", 0},
    {"arctic", 0},
    {"deepseek", 0},
    {"deepseek2", 0},
    {"chatglm", 0},
    {"glm4", 0},
    {"glm4moe", 0},
    {"bitnet", 0},
    {"jais", NO_ROPE | ALIBI},
    {"nemotron", SQUARED},
    {"nemotron_h", SQUARED | NO_ROPE},
    {"nemotron_h_moe", SQUARED | NO_ROPE},
    {"exaone", 0},
    {"exaone4", WINDOW_4},
    {"granite", 0},
    {"granitemoe", 0},
    {"granitehybrid", 0},
    {"mamba", NO_ROPE},
    {"mamba2", NO_ROPE},
    {"jamba", NO_ROPE},
    {"falcon-h1", 0},
    {"plamo", PARALLEL},
    {"codeshell", TANH},
    {"dots1", 0},
    {"arcee", SQUARED},
    {"ernie4_5", 0},
    {"ernie4_5-moe", 0},
    {"hunyuan-moe", 0},
    {"hunyuan-dense", 0},
    {"smollm3", 0},
    {"gpt-oss", WINDOW_ODD},
    {"lfm2", 0},
    {"lfm2moe", 0},
    {"seed_oss", 0},
    {"apertus", 0},
    {"minimax-m2", 0},
    {"bailingmoe", 0},
    {"bailingmoe2", 0},
    {"grok", TANH},
    {"t5", PAIR | RELU | NO_ROPE},
    {"bert", ENCODER | GELU | NO_ROPE},
    {"nomic-bert", ENCODER},
    {"nomic-bert-moe", ENCODER | GELU},
    {"jina-bert-v2", ENCODER | GELU | NO_ROPE},
};

static bool is(const gguf_model *r, unsigned flag)
{
    return (r->arch->flags & flag) != 0;
}

static void fail(gguf_model *r, pg_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);

static void fail(gguf_model *r, pg_code code, const char *fmt, ...)
{
    char text[300];
    va_list args;
    if (r->failed) return;
    r->failed = true;
    va_start(args, fmt);
    format_textv(text, sizeof text, fmt, args);
    va_end(args);
    error_set(r->e, code, "%s", text);
}

/* ---- metadata and tensors by name ---- */

/* ARCH.key, entry `layer` of it where it is an array; `fallback` where it is not there. */
static int64_t number(gguf_model *r, const char *key, uint64_t layer, int64_t fallback, int64_t least, int64_t most)
{
    char name[128];
    double x;
    size_t n = format_text(name, sizeof name, "%s.%s", r->arch->name, key);
    const gguf_value *v = r->failed ? NULL : gguf_find(&r->meta, (str){name, n});
    if (!v) return fallback;
    if (!gguf_number(&r->meta, v, v->kind == GGUF_ARRAY ? layer : 0, &x))
        fail(r, PG_E_FORMAT, "'%s' holds no number for layer %llu", name, (unsigned long long)layer);
    else if (!(x >= (double)least && x <= (double)most) || x != floor(x))
        fail(r, PG_E_FORMAT, "'%s' is %g; it must be a whole number between %lld and %lld", name, x, (long long)least,
             (long long)most);
    else return (int64_t)x;
    return fallback;
}

static int64_t needed(gguf_model *r, const char *key, uint64_t layer, int64_t least, int64_t most)
{
    int64_t v = number(r, key, layer, INT64_MIN, least, most);
    if (v != INT64_MIN) return v;
    fail(r, PG_E_FORMAT, "the metadata '%s.%s' is missing", r->arch->name, key);
    return least;
}

static const gguf_tensor *tensor_named(const gguf_model *r, const char *name, size_t n)
{
    const uint32_t *at = map_find(&r->names, (str){name, n});
    return at ? &r->tensors[*at] : NULL;
}

/* PREFIX.LAYER.name */
static const gguf_tensor *part(const gguf_model *r, const char *prefix, uint32_t layer, const char *name)
{
    char text[128];
    size_t n = format_text(text, sizeof text, "%s.%u.%s", prefix, layer, name);
    return tensor_named(r, text, n);
}

static const gguf_tensor *whole(const gguf_model *r, const char *name)
{
    return tensor_named(r, name, strlen(name));
}

/* a / b, where the file's own numbers must fit together. */
static int64_t divide(gguf_model *r, const gguf_tensor *t, int64_t a, int64_t b, const char *what)
{
    if (b >= 1 && a >= 0 && a % b == 0) return a / b;
    fail(r, PG_E_FORMAT, "tensor '%.*s' has %lld columns, which %lld %s don't divide", STR_ARG(t->name), (long long)a,
         (long long)b, what);
    return 1;
}

/* ---- a layer ---- */

typedef struct place {
    const char *prefix;
    uint32_t layer;
    bool decoder;
} place;

static const gguf_tensor *at(const gguf_model *r, const place *p, const char *name)
{
    return part(r, p->prefix, p->layer, name);
}

static int64_t window_of(gguf_model *r, uint32_t layer)
{
    double x;
    int64_t w = number(r, "attention.sliding_window", layer, 0, 0, INT64_C(1) << 40);
    char name[128];
    size_t n = format_text(name, sizeof name, "%s.attention.sliding_window_pattern", r->arch->name);
    const gguf_value *pattern = gguf_find(&r->meta, (str){name, n});
    if (is(r, NO_WINDOW | CHUNKS)) return 0;
    if (pattern && pattern->kind == GGUF_ARRAY) return gguf_number(&r->meta, pattern, layer, &x) && x > 0 ? w : 0;
    if (is(r, WINDOW_ODD)) return layer % 2 ? 0 : w;
    if (is(r, WINDOW_6)) return (layer + 1) % 6 ? w : 0;
    return is(r, WINDOW_4) && (layer + 1) % 4 == 0 ? 0 : w;
}

static void rotation(gguf_model *r, lm_layer *l, uint32_t layer)
{
    int64_t all = number(r, "rope.dimension_count", layer, is(r, NO_ROPE) ? 0 : l->head_dim, 0, 1 << 16);
    l->rope_features = is(r, NO_ROPE) ? 0 : (all < l->head_dim ? all : l->head_dim) / 2 * 2;
    l->window = window_of(r, layer);
    if (is(r, CHUNKS)) {
        l->chunk = number(r, "attention.chunk_size", layer, 8192, 0, INT64_C(1) << 40);
        if ((layer + 1) % 4 == 0) l->chunk = l->rope_features = 0;
    }
}

static void attention(gguf_model *r, const place *p, lm_layer *l)
{
    const gguf_tensor *q = at(r, p, "attn_q.weight"), *k = at(r, p, "attn_k.weight"),
                      *all = at(r, p, "attn_qkv.weight");
    const gguf_tensor *v = at(r, p, "attn_v.weight"), *norm = at(r, p, "attn_q_norm.weight"),
                      *out = at(r, p, "attn_output.weight");
    l->mixer = LM_ATTENTION;
    l->heads = needed(r, "attention.head_count", p->layer, 1, 1 << 16);
    int64_t kv = number(r, "attention.head_count_kv", p->layer, l->heads, 0, 1 << 16), width = r->m.hidden;
    l->kv_heads = kv ? kv : l->heads;
    l->head_dim = number(r, "attention.key_length", p->layer, 0, 0, 1 << 16);
    if (q && !all) {
        bool gated = l->head_dim && q->dims[1] == 2 * l->heads * l->head_dim;
        l->head_dim = divide(r, q, q->dims[1], l->heads * (gated ? 2 : 1), "heads");
        l->gated_output = gated;
        if (k) l->kv_heads = divide(r, k, k->dims[1], l->head_dim, "features of a head");
        if (v && l->kv_heads && v->dims[1] != l->kv_heads * l->head_dim)
            l->v_head_dim = divide(r, v, v->dims[1], l->kv_heads, "heads");
    } else if (all) {
        l->fused_qkv = true;
        l->head_dim = divide(r, all, all->dims[1], l->heads + 2 * l->kv_heads, "heads");
    } else if (out) {
        width = out->dims[0];
    }
    if (!l->head_dim) l->head_dim = l->heads && width % l->heads == 0 ? width / l->heads : 1;
    if (!l->kv_heads || l->heads % l->kv_heads)
        fail(r, PG_E_FORMAT, "layer %u has %lld heads and %lld of keys and values, which don't divide them", p->layer,
             (long long)l->heads, (long long)l->kv_heads);
    l->qkv_bias = at(r, p, "attn_q.bias") || at(r, p, "attn_qkv.bias");
    l->out_bias = at(r, p, "attn_output.bias") != NULL;
    l->qk_norm = norm != NULL;
    l->qk_norm_wide = norm && norm->elements > (double)l->head_dim;
    l->sinks = at(r, p, "attn_sinks.weight") || at(r, p, "attn_sinks");
    rotation(r, l, p->layer);
}

static void latent(gguf_model *r, const place *p, lm_layer *l)
{
    const gguf_tensor *down = at(r, p, "attn_kv_a_mqa.weight"), *q = at(r, p, "attn_q_b.weight"),
                      *out = at(r, p, "attn_output.weight");
    if (!q) q = at(r, p, "attn_q.weight");
    l->mixer = LM_MLA;
    l->heads = l->kv_heads = needed(r, "attention.head_count", p->layer, 1, 1 << 16);
    l->kv_rank = needed(r, "attention.kv_lora_rank", p->layer, 1, 1 << 20);
    l->q_rank = number(r, "attention.q_lora_rank", p->layer, 0, 0, 1 << 20);
    if (!q || !out || down->dims[1] < l->kv_rank) {
        fail(r, PG_E_FORMAT, "layer %u lacks tensors of latent attention, or they are too small", p->layer);
        return;
    }
    l->head_dim = divide(r, q, q->dims[1], l->heads, "heads");
    l->rope_dim = l->rope_features = down->dims[1] - l->kv_rank;
    l->nope_dim = l->head_dim - l->rope_dim;
    l->v_head_dim = divide(r, out, out->dims[0], l->heads, "heads");
    if (l->nope_dim < 0) fail(r, PG_E_FORMAT, "layer %u rotates more features than a head has", p->layer);
}

static void state_space(gguf_model *r, const place *p, lm_layer *l)
{
    const gguf_tensor *conv = at(r, p, "ssm_conv1d.weight");
    l->inner = needed(r, "ssm.inner_size", p->layer, 1, 1 << 24);
    l->state = needed(r, "ssm.state_size", p->layer, 1, 1 << 16);
    l->conv_kernel = conv ? conv->dims[0] : number(r, "ssm.conv_kernel", p->layer, 4, 1, 1 << 10);
    l->conv_bias = at(r, p, "ssm_conv1d.bias") != NULL;
    l->ssm_bias = at(r, p, "ssm_in.bias") != NULL;
    l->groups = number(r, "ssm.group_count", p->layer, 1, 1, 1 << 16);
    int64_t rank = needed(r, "ssm.time_step_rank", p->layer, 1, 1 << 20);
    if (at(r, p, "ssm_ba.weight") || at(r, p, "ssm_beta_alpha.weight")) { /* Qwen3-Next */
        l->mixer = LM_GATED_DELTA;
        l->ssm_heads = rank;
        l->ssm_head_dim = rank && l->inner % rank == 0 ? l->inner / rank : 1;
    } else if (at(r, p, "ssm_x.weight")) {
        l->mixer = LM_MAMBA;
        l->dt_rank = rank;
        l->groups = 0;
        l->ssm_norms = at(r, p, "ssm_dt_norm.weight") != NULL;
    } else {
        l->mixer = LM_MAMBA2;
        l->ssm_heads = rank;
        l->ssm_head_dim = rank && l->inner % rank == 0 ? l->inner / rank : 1;
    }
}

static void mixer(gguf_model *r, const place *p, lm_layer *l)
{
    if (at(r, p, "attn_kv_a_mqa.weight")) latent(r, p, l);
    else if (at(r, p, "ssm_conv1d.weight") || at(r, p, "ssm_in.weight")) state_space(r, p, l);
    else if (at(r, p, "shortconv.in_proj.weight")) {
        l->mixer = LM_SHORT_CONV;
        l->conv_kernel = needed(r, "shortconv.l_cache", p->layer, 1, 1 << 10);
    } else if (at(r, p, "attn_q.weight") || at(r, p, "attn_qkv.weight")) {
        attention(r, p, l);
    }
}

static void experts(gguf_model *r, const place *p, lm_layer *l)
{
    const gguf_tensor *up = at(r, p, "ffn_up_exps.weight"), *shared = at(r, p, "ffn_up_shexp.weight");
    bool one_each = !up;
    if (!up) up = at(r, p, "ffn_up.0.weight"); /* before 2024-04: a tensor each */
    l->ffn = LM_MOE;
    l->experts = needed(r, "expert_count", p->layer, 1, 1 << 16);
    l->experts_used = needed(r, "expert_used_count", p->layer, 1, 1 << 16);
    if (!up) {
        fail(r, PG_E_FORMAT, "layer %u has a router and no experts", p->layer);
        return;
    }
    if (l->experts_used > l->experts || (!one_each && up->dims[2] != l->experts))
        fail(r, PG_E_FORMAT, "layer %u has %lld experts, of which a token takes %lld of %lld", p->layer,
             (long long)up->dims[2], (long long)l->experts_used, (long long)l->experts);
    l->ffn_dim = up->dims[1];
    l->gated = at(r, p, "ffn_gate_exps.weight") || at(r, p, "ffn_gate.0.weight");
    l->ffn_bias = at(r, p, "ffn_up_exps.bias") != NULL;
    l->router_bias = at(r, p, "exp_probs_b.bias") || at(r, p, "exp_probs_b") || at(r, p, "ffn_gate_inp.bias");
    if (shared) l->shared_dim = shared->dims[1];
    l->shared_gate = shared && at(r, p, "ffn_gate_inp_shexp.weight");
}

static void feed_forward(gguf_model *r, const place *p, lm_layer *l)
{
    const gguf_tensor *up = at(r, p, "ffn_up.weight"), *down = at(r, p, "ffn_down.weight");
    l->activation = is(r, GELU) ? OP_Gelu : is(r, TANH) ? OP_FastGelu : is(r, SQUARED | RELU) ? OP_Relu : OP_Silu;
    l->squared = is(r, SQUARED);
    if (at(r, p, "ffn_gate_inp.weight")) experts(r, p, l);
    else if (up && down) {
        l->ffn_dim = down->dims[0];
        l->fused_gate = up->dims[1] == 2 * l->ffn_dim;
        l->ffn = at(r, p, "ffn_gate.weight") || l->fused_gate ? LM_GATED : LM_PLAIN;
        l->ffn_bias = at(r, p, "ffn_up.bias") || at(r, p, "ffn_down.bias");
        if (l->ffn == LM_GATED && is(r, RELU)) l->activation = OP_FastGelu; /* T5 1.1 */
    }
}

static void norms(gguf_model *r, const place *p, lm_layer *l)
{
    static const char *const names[] = {
        "attn_norm.weight",         "attn_norm_2.weight",         "ffn_norm.weight",      "attn_post_norm.weight",
        "ffn_post_norm.weight",     "post_attention_norm.weight", "post_ffw_norm.weight", "attn_output_norm.weight",
        "layer_output_norm.weight", "cross_attn_norm.weight"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) l->norms += at(r, p, names[i]) != NULL;
    bool first = at(r, p, "attn_norm.weight") != NULL, both = l->mixer && l->ffn;
    l->norm_after_add = at(r, p, "layer_output_norm.weight") != NULL;
    l->post_norm = !l->norm_after_add && !p->decoder && both && (l->norms == 4 || (!first && l->norms == 2));
    l->parallel = is(r, PARALLEL) && number(r, "use_parallel_residual", 0, 1, 0, 1);
    if (both && l->norms == 1) l->parallel = true;
    if (!l->norms) { /* norms without weights (OLMo) */
        l->norms = 2;
        r->m.norm_plain = true;
    }
}

static lm_layer layer_at(gguf_model *r, const place *p)
{
    lm_layer l;
    memset(&l, 0, sizeof l);
    mixer(r, p, &l);
    feed_forward(r, p, &l);
    norms(r, p, &l);
    l.cross = at(r, p, "cross_attn_q.weight") != NULL;
    if (l.cross && l.mixer != LM_ATTENTION)
        fail(r, PG_E_FORMAT, "layer %u attends to an encoder but has no attention of its own (attn_q.weight)",
             p->layer);
    if (!l.mixer && !l.ffn)
        fail(r, PG_E_FORMAT, "layer %u ('%s.%u.') has no tensors that are known", p->layer, p->prefix, p->layer);
    return l;
}

static void add(gguf_model *r, lm_layer *kinds, uint32_t *n, const lm_layer *l, bool decoder)
{
    uint32_t i = 0;
    for (; i < *n; i++) {
        lm_layer other = kinds[i];
        other.count = l->count;
        if (!memcmp(&other, l, sizeof other)) break;
    }
    if (i == GGUF_MODEL_KINDS) {
        fail(r, PG_E_LIMIT, "the model has more than %d different kinds of layers", GGUF_MODEL_KINDS);
        return;
    }
    if (i == *n) {
        kinds[(*n)++] = *l;
        kinds[i].count = 0;
    }
    kinds[i].count++;
    if (decoder) r->order[r->m.n_order++] = (uint8_t)i;
}

/* ---- how weights are stored ---- */

typedef struct share {
    double bytes, elements;
} share;

static double bits(share s)
{
    return s.elements > 0 ? 8 * s.bytes / s.elements : 0;
}

static bool holds(str name, const char *word)
{
    size_t n = strlen(word);
    for (size_t i = 0; i + n <= name.len; i++)
        if (!memcmp(name.ptr + i, word, n)) return true;
    return false;
}

static dtype wide_type(const gguf_model *r)
{
    const gguf_tensor *norm = whole(r, "token_embd.weight");
    if (norm && !strcmp(norm->type->name, "BF16")) return DT_BF16;
    return norm && !strcmp(norm->type->name, "F32") ? DT_FP32 : DT_FP16;
}

/* Layers from `depth` on predict further tokens. */
static bool is_draft(const gguf_tensor *t, int64_t depth)
{
    if (!str_starts(t->name, "blk.")) return false;
    int64_t n = 0;
    for (size_t i = 4; i < t->name.len && t->name.ptr[i] >= '0' && t->name.ptr[i] <= '9' && n < GGUF_LAYERS; i++)
        n = 10 * n + (t->name.ptr[i] - '0');
    return n >= depth;
}

static void storage(gguf_model *r, int64_t depth, double *total)
{
    share linear = {0, 0}, expert = {0, 0}, embedding = {0, 0}, output = {0, 0};
    language_model *m = &r->m;
    double version, packed = 0;
    *total = 0;
    for (size_t i = 0; i < r->n_tensors; i++) {
        const gguf_tensor *t = &r->tensors[i];
        if (str_starts(t->name, "rope_freqs") || str_starts(t->name, "rope_factors")) continue;
        if (is_draft(t, depth)) {
            m->draft_parameters += t->elements;
            continue;
        }
        *total += t->elements;
        share *s = str_is(t->name, "token_embd.weight")                                     ? &embedding
                 : str_is(t->name, "output.weight")                                         ? &output
                 : holds(t->name, "_exps.weight")                                           ? &expert
                 : (holds(t->name, "blk.") && t->rank >= 2 && str_ends(t->name, ".weight")) ? &linear
                                                                                            : NULL;
        if (!s) continue;
        s->bytes += (double)t->bytes;
        s->elements += t->elements;
        packed += t->type->block > 1 ? t->elements : 0;
    }
    m->weights = wide_type(r);
    m->linear_bits = bits(linear);
    m->expert_bits = bits(expert);
    m->embedding_bits = bits(embedding);
    m->output_bits = m->tied ? m->embedding_bits : bits(output);
    m->group = 32;
    if (!(packed > 0)) return;
    const char *name = NULL;
    if (gguf_number(&r->meta, gguf_find(&r->meta, STR("general.file_type")), 0, &version) && version >= 0 &&
        version < 1e6)
        name = gguf_file_type((uint32_t)version);
    m->quantization = name ? name : "mixed";
}

/* ---- the model ---- */

static void find_arch(gguf_model *r)
{
    const gguf_value *v = gguf_find(&r->meta, STR("general.architecture"));
    char known[160];
    size_t n = 0;
    str name = v && v->kind == GGUF_TEXT ? span_str(v->bytes) : STR("");
    if (!name.len) {
        fail(r, PG_E_FORMAT, "the metadata 'general.architecture' is missing: it says what the tensors are of");
        return;
    }
    for (size_t i = 0; i < sizeof archs / sizeof *archs; i++)
        if (str_is(name, archs[i].name)) r->arch = &archs[i];
    if (r->arch) return;
    if (str_is(name, "clip")) {
        fail(r, PG_E_UNSUPPORTED, "is the vision part of a model ('clip'); give the file of its language model");
        return;
    }
    for (size_t i = 0; i < sizeof archs / sizeof *archs && n + 24 < sizeof known; i++)
        n += format_text(known + n, sizeof known - n, "%s%s", i ? ", " : "", archs[i].name);
    fail(r, PG_E_UNSUPPORTED, "the architecture '%.*s' is not known (known: %s, ...)",
         (int)(name.len < 40 ? name.len : 40), name.ptr, known);
}

static void frame(gguf_model *r)
{
    language_model *m = &r->m;
    const gguf_tensor *table = whole(r, "token_embd.weight"), *positions = whole(r, "position_embd.weight"),
                      *types = whole(r, "token_types.weight");
    double x;
    m->hidden = needed(r, "embedding_length", 0, 1, 1 << 20);
    m->max_position = number(r, "context_length", 0, 0, 0, INT64_C(1) << 40);
    m->encoder_only = is(r, ENCODER);
    m->no_output = m->encoder_only;
    m->tied = !m->encoder_only && !whole(r, "output.weight");
    m->output_bias = whole(r, "output.bias") != NULL;
    m->embed_norm = whole(r, "token_embd_norm.weight") != NULL;
    m->alibi = is(r, ALIBI);
    m->norm_bias = whole(r, "output_norm.bias") || part(r, "blk", 0, "attn_norm.bias") ||
                   part(r, "blk", 0, "attn_output_norm.bias");
    char key[96];
    size_t n = format_text(key, sizeof key, "%s.attention.layer_norm_epsilon", r->arch->name);
    m->rms_norm = !gguf_find(&r->meta, (str){key, n});
    n = format_text(key, sizeof key, "%s.rope.freq_base", r->arch->name);
    m->rope_theta = gguf_number(&r->meta, gguf_find(&r->meta, (str){key, n}), 0, &x) && x >= 1 && x < 1e12 ? x : 1e4;
    m->no_final_norm = !is(r, PAIR) && !whole(r, "output_norm.weight");
    if (positions) m->position_table = positions->dims[1];
    if (types) m->token_types = types->dims[1];
    if (!table) fail(r, PG_E_FORMAT, "the tensor 'token_embd.weight' is missing");
    else if (table->dims[0] != m->hidden)
        fail(r, PG_E_FORMAT, "'%s.embedding_length' is %lld, the embeddings are %lld wide", r->arch->name,
             (long long)m->hidden, (long long)table->dims[0]);
    else m->vocab = table->dims[1];
    if (is(r, PAIR)) m->buckets = number(r, "attention.relative_buckets_count", 0, 32, 1, 1 << 16);
}

static void *copy(gguf_model *r, const void *from, size_t size)
{
    void *to = arena_alloc(r->g->a, size);
    if (to) memcpy(to, from, size);
    else fail(r, PG_E_NOMEM, "out of memory");
    return to;
}

static void finish(gguf_model *r, double total)
{
    language_model *m = &r->m;
    m->type = str_c(r->arch->name);
    lm_layer *layers = copy(r, r->layers, m->n_layers * sizeof *layers + 1);
    lm_layer *encoder = m->n_encoder ? copy(r, r->encoder, m->n_encoder * sizeof *encoder) : NULL;
    uint8_t *order = copy(r, r->order, m->n_order + 1u);
    language_model *all = copy(r, m, sizeof *m);
    if (r->failed) return;
    all->order = order;
    lm_count(all, layers, encoder);
    r->g->language = all;
    if ((total < 0.995 * all->parameters || total > 1.005 * all->parameters) &&
        !graph_warn(r->g, "the tensors have %.5g million parameters, the metadata describe %.5g million", total / 1e6,
                    all->parameters / 1e6))
        fail(r, PG_E_NOMEM, "out of memory");
    if (all->draft_parameters > 0 &&
        !graph_warn(r->g, "layers for predicting further tokens (%.4g million parameters) are not counted",
                    all->draft_parameters / 1e6))
        fail(r, PG_E_NOMEM, "out of memory");
}

pg_code gguf_describe(gguf_model *r)
{
    double total = 0;
    find_arch(r);
    if (!r->failed) frame(r);
    int64_t depth = r->failed ? 0 : needed(r, "block_count", 0, 1, GGUF_LAYERS);
    if (!r->failed) depth -= number(r, "nextn_predict_layers", 0, 0, 0, depth - 1);
    bool pair = !r->failed && is(r, PAIR);
    for (uint32_t i = 0; i < depth && !r->failed; i++) {
        if (pair) {
            lm_layer reads = layer_at(r, &(place){"enc.blk", i, false});
            add(r, r->encoder, &r->m.n_encoder, &reads, false);
        }
        lm_layer l = r->failed ? (lm_layer){0} : layer_at(r, &(place){pair ? "dec.blk" : "blk", i, pair});
        if (!r->failed) add(r, r->layers, &r->m.n_layers, &l, true);
    }
    if (!r->failed) storage(r, depth, &total);
    if (!r->failed) finish(r, total);
    return r->failed ? r->e->code : PG_E_OK;
}
