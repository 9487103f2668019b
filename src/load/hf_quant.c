/* How a checkpoint's weights are stored, from quantization_config (or NVIDIA's hf_quant_config.json beside it).
 *
 * Bits a weight, scales and zero points counted, for a group of g weights:
 *   gptq    bits + (16 + bits) / g      awq     the same
 *   fp8     8, and 32 for each block (or row, or tensor)
 *   nf4     4 + 8 / 64 + 32 / (64 * 256) with double quantisation, else 4 + 32 / 64
 *   mxfp4   4 + 8 / 32                  nvfp4   4 + 8 / 16
 * Embeddings stay as they are unless said otherwise; so does the output layer but for the few methods that convert every layer. */
#include "load/hf.h"

typedef struct scheme {
    double bits; /* 0: not quantised */
    int64_t group;
    bool activations;
} scheme;

static bool any_of(const json_t *list, const char *part)
{
    const json_t *v;
    size_t i;
    json_array_foreach(list, i, v) if (json_is_string(v) && strstr(json_string_value(v), part)) return true;
    return false;
}

/* Modules that are left alone: their names differ by tool. */
static const json_t *left_alone(const json_t *q)
{
    static const char *const keys[] = {"modules_to_not_convert", "ignore",          "ignored_layers",
                                       "llm_int8_skip_modules",  "exclude_modules", "unquantized_modules"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const json_t *v = json_object_get(q, keys[i]);
        if (json_is_array(v)) return v;
    }
    return NULL;
}

static double with_scales(double bits, double scale_bits, int64_t group)
{
    return bits + (group > 0 ? scale_bits / (double)group : 0);
}

static int64_t number(hf *c, const json_t *q, const char *key, int64_t fallback, int64_t least, int64_t most)
{
    const json_t *v = json_object_get(q, key);
    if (!v || json_is_null(v)) return fallback;
    int64_t i = json_get_int(q, key, INT64_MIN);
    if (i >= least && i <= most) return i;
    hf_fail(c, PG_E_FORMAT, "'quantization_config.%s' must be a whole number between %lld and %lld", key,
            (long long)least, (long long)most);
    return fallback;
}

static int64_t block_size(const json_t *q)
{
    const json_t *block = json_object_get(q, "weight_block_size");
    int64_t a = json_integer_value(json_array_get(block, 0)), b = json_integer_value(json_array_get(block, 1));
    return a > 0 && b > 0 && a <= 1 << 20 && b <= 1 << 20 ? a * b : 0;
}

static scheme gptq_like(hf *c, const json_t *q)
{
    int64_t bits = number(c, q, "bits", json_get_int(q, "w_bit", 4), 1, 16);
    int64_t group = number(c, q, "group_size", json_get_int(q, "q_group_size", 128), -1, 1 << 20);
    return (scheme){with_scales((double)bits, 16 + (double)bits, group), group, false};
}

/* bitsandbytes: 4 bits in blocks of 64 with their scales quantised again, or 8 bits with a scale a row. */
static scheme bitsandbytes(hf *c, const json_t *q)
{
    (void)c;
    if (json_get_bool(q, "load_in_8bit", false) || json_get_bool(q, "_load_in_8bit", false))
        return (scheme){8, 0, true};
    bool twice = json_get_bool(q, "bnb_4bit_use_double_quant", false);
    return (scheme){4 + (twice ? 8.0 / 64 + 32.0 / (64 * 256) : 32.0 / 64), 64, false};
}

/* A group of config_groups, or one of NVIDIA's: bits and kind of weights, and whether inputs are quantised too. */
static scheme group_scheme(hf *c, const json_t *group)
{
    const json_t *w = json_object_get(group, "weights"), *in = json_object_get(group, "input_activations");
    int64_t bits = number(c, w, "num_bits", 8, 1, 16);
    bool floating = !strcmp(json_get_text(w, "type", "int"), "float");
    int64_t size = json_get_int(w, "group_size", 0);
    const json_t *block = json_object_get(w, "block_structure");
    if (!size && json_array_size(block) == 2)
        size = json_integer_value(json_array_get(block, 0)) * json_integer_value(json_array_get(block, 1));
    if (size < 0 || size > INT64_C(1) << 40) size = 0;
    double scale = bits == 4 && floating ? 8 : 16;
    return (scheme){with_scales((double)bits, scale, size), size, json_is_object(in)};
}

static scheme compressed_tensors(hf *c, const json_t *q)
{
    const json_t *groups = json_object_get(q, "config_groups"), *group;
    const char *key, *format = json_get_text(q, "format", "");
    scheme s = {0, 0, false};
    if (!strcmp(format, "dense")) return s;
    json_object_foreach((json_t *)groups, key, group) if (!(s.bits > 0)) s = group_scheme(c, group);
    if (!(s.bits > 0) && json_object_get(q, "global_compression_ratio")) s.bits = 8;
    return s;
}

static scheme modelopt(hf *c, const json_t *q)
{
    const char *algorithm = json_get_text(q, "quant_algo", json_get_text(q, "quant_method", ""));
    if (strstr(algorithm, "NVFP4") || strstr(algorithm, "nvfp4")) return (scheme){4.5, 16, true};
    if (strstr(algorithm, "MXFP4") || strstr(algorithm, "mxfp4")) return (scheme){4.25, 32, false};
    if (strstr(algorithm, "W4A16"))
        return (scheme){with_scales(4, 16, number(c, q, "group_size", 128, 1, 1 << 20)), 128, false};
    if (strstr(algorithm, "W4A8")) return (scheme){4.125, 128, true};
    if (strstr(algorithm, "INT8") || strstr(algorithm, "W8A8")) return (scheme){8, 0, true};
    if (strstr(algorithm, "FP8") || strstr(algorithm, "fp8")) return (scheme){8, 0, true};
    if (json_object_get(q, "config_groups")) return compressed_tensors(c, q);
    return (scheme){0, 0, false};
}

static scheme quanto_like(hf *c, const json_t *q)
{
    const char *w = json_get_text(q, "weights", json_get_text(q, "quant_type", ""));
    (void)c;
    if (strstr(w, "int2")) return (scheme){2.25, 128, false};
    if (strstr(w, "int4")) return (scheme){4.25, 128, false};
    return (scheme){8, 0, false};
}

static scheme scheme_of(hf *c, const json_t *q, const char *method, bool *known)
{
    *known = true;
    if (!strcmp(method, "gptq") || !strcmp(method, "awq") || !strcmp(method, "gptq_marlin") ||
        !strcmp(method, "auto-round") || !strcmp(method, "intel/auto-round"))
        return gptq_like(c, q);
    if (!strcmp(method, "fp8") || !strcmp(method, "fbgemm_fp8")) {
        int64_t block = block_size(q);
        return (scheme){with_scales(8, 32, block), block, true};
    }
    if (!strcmp(method, "bitsandbytes") || !strcmp(method, "bitsandbytes_4bit") || !strcmp(method, "bitsandbytes_8bit"))
        return bitsandbytes(c, q);
    if (!strcmp(method, "mxfp4")) return (scheme){4.25, 32, false};
    if (!strcmp(method, "compressed-tensors")) return compressed_tensors(c, q);
    if (!strncmp(method, "modelopt", 8)) return modelopt(c, q);
    if (!strcmp(method, "quanto") || !strcmp(method, "torchao")) return quanto_like(c, q);
    if (!strcmp(method, "hqq")) return (scheme){4.5, 64, false};
    if (!strcmp(method, "eetq")) return (scheme){8, 0, false};
    if (!strcmp(method, "higgs")) return (scheme){4.02, 256, false};
    if (!strcmp(method, "aqlm")) {
        int64_t books = number(c, q, "num_codebooks", 1, 1, 64), bits = number(c, q, "nbits_per_codebook", 16, 1, 64);
        int64_t in = number(c, q, "in_group_size", 8, 1, 1 << 16), out = number(c, q, "out_group_size", 1, 1, 1 << 16);
        return (scheme){(double)(books * bits) / (double)(in * out), in, false};
    }
    if (!strcmp(method, "vptq")) return (scheme){2.3, 8, false};
    if (!strcmp(method, "bitnet")) return (scheme){2, 0, true};
    *known = false;
    return (scheme){0, 0, false};
}

static const char *kept(hf *c, const char *text)
{
    str s = str_copy(c->g->a, str_c(text));
    if (!s.ptr) hf_fail(c, PG_E_NOMEM, "out of memory");
    return s.ptr;
}

static void apply(hf *c, const json_t *q, const char *method)
{
    language_model *m = &c->m;
    bool known;
    scheme s = scheme_of(c, q, method, &known);
    if (!known) {
        hf_fail(c, PG_E_UNSUPPORTED, "quantization method '%.40s' is not known", method);
        return;
    }
    if (!(s.bits > 0)) return;
    const json_t *alone = left_alone(q);
    double own = 8 * dtype_bytes(m->weights);
    bool experts_alone = !strcmp(method, "mxfp4") || any_of(alone, "self_attn") || any_of(alone, "attention");
    bool output = json_get_bool(q, "lm_head", false) && !any_of(alone, "lm_head");
    m->quantization = kept(c, strstr(method, "modelopt") && json_get_text(q, "quant_algo", NULL)
                                  ? json_get_text(q, "quant_algo", method)
                                  : method);
    bool sparse = false;
    for (uint32_t i = 0; i < m->n_layers; i++) sparse = sparse || c->layers[i].ffn == LM_MOE;
    m->linear_bits = experts_alone && sparse ? own : s.bits;
    m->expert_bits = any_of(alone, "mlp.experts") || any_of(alone, "block_sparse_moe.experts") ? own : s.bits;
    m->embedding_bits = own;
    m->output_bits = output ? s.bits : own;
    m->group = s.group;
    m->quantized_activations = s.activations;
}

/* "FP8" and others as the precision of keys and values in the cache. */
static void cache_type(hf *c, const char *name)
{
    if (strstr(name, "FP8") || strstr(name, "fp8")) c->m.kv_cache = DT_FP8E4M3;
    else if (strstr(name, "INT8") || strstr(name, "int8")) c->m.kv_cache = DT_INT8;
    else if (strstr(name, "FP4") || strstr(name, "fp4")) c->m.kv_cache = DT_FP4;
}

void hf_quantization(hf *c, const load_input *in)
{
    const json_t *q = json_object_get(c->root, "quantization_config");
    span text;
    if (c->failed) return;
    if (!json_is_object(q)) q = json_object_get(c->text, "quantization_config");
    if (!json_is_object(q)) q = json_object_get(c->root, "compression_config");
    if (json_is_object(q)) {
        const char *method = json_get_text(q, "quant_method", "");
        if (!*method && json_get_bool(q, "load_in_4bit", false)) method = "bitsandbytes";
        if (!*method && json_get_bool(q, "load_in_8bit", false)) method = "bitsandbytes";
        if (!*method) {
            hf_fail(c, PG_E_FORMAT, "'quantization_config.quant_method' is missing");
            return;
        }
        apply(c, q, method);
        cache_type(c, json_get_text(q, "kv_cache_quant_algo", ""));
        const json_t *cache = json_object_get(q, "kv_cache_scheme");
        if (json_is_object(cache) && json_get_int(cache, "num_bits", 0) == 8)
            cache_type(c, !strcmp(json_get_text(cache, "type", ""), "float") ? "FP8" : "INT8");
        return;
    }
    if (!load_has(in, "hf_quant_config.json")) return;
    if (load_beside(in, "hf_quant_config.json", &text, c->e)) {
        c->failed = true;
        return;
    }
    json_t *root = json_text_read(text, "hf_quant_config.json", c->e);
    if (!root) {
        c->failed = true;
        return;
    }
    q = json_object_get(root, "quantization");
    if (json_is_object(q)) {
        apply(c, q, "modelopt");
        cache_type(c, json_get_text(q, "kv_cache_quant_algo", ""));
    }
    json_decref(root);
}
