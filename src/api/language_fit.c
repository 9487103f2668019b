/* What would make a language model fit that does not: each change by itself, the smallest of its kind. */
#include "api/api.h"

enum { TENSOR_MOST = 64 };

/* The requested case with one thing changed; false: that can't be. */
static bool fits_with(const pg_plan *p, const llm_request *r, const gpu_spec *spec, const predict_gpu *g)
{
    llm_case c;
    predict_gpu other = *g;
    other.spec = spec;
    if (llm_case_make(&c, r, NULL)) return false;
    llm_memory m = llm_memory_of(&c, &other, &p->catalog->config.predict);
    return m.fits && spec->memory_bytes > 0;
}

static void narrower_weights(const pg_plan *p, const predict_gpu *g, pg_prediction *out)
{
    static const char *const ggml[] = {"q8_0", "q6_k", "q5_k_m", "q4_k_m", "q3_k_m", "q2_k", NULL};
    static const char *const others[] = {"fp8", "int4", NULL};
    const llm_case *c = &api_language_on(p, g->spec)->c;
    const char *const *names = c->r.runtime->ggml ? ggml : others;
    for (size_t i = 0; names[i]; i++) {
        llm_request r = c->r;
        r.quant = quant_find(names[i]);
        r.own_weights = false;
        if (!r.quant || r.quant->bits >= lm_bits(&c->model, c->model.linear_bits)) continue;
        if (!fits_with(p, &r, g->spec, g)) continue;
        api_advise(out, "--quantization %s", names[i]);
        return;
    }
}

static void narrower_cache(const pg_plan *p, const predict_gpu *g, pg_prediction *out)
{
    llm_request r = api_language_on(p, g->spec)->c.r;
    if (api_language_on(p, g->spec)->c.cache_bytes <= 1) return;
    r.cache = PREC_FP8;
    if (fits_with(p, &r, g->spec, g)) api_advise(out, "--kv-cache-precision fp8");
}

static void more_gpus(const pg_plan *p, const predict_gpu *g, pg_prediction *out)
{
    const llm_request *asked = &api_language_on(p, g->spec)->c.r;
    for (int n = asked->tensor * 2; n <= TENSOR_MOST; n *= 2) {
        llm_request r = *asked;
        r.tensor = n;
        if (r.runtime->ggml) {
            r.tensor = asked->tensor;
            r.pipeline = asked->pipeline * n / asked->tensor;
        }
        if (!fits_with(p, &r, g->spec, g)) continue;
        api_advise(out, "--%s-parallel %d", r.runtime->ggml ? "pipeline" : "tensor", r.runtime->ggml ? r.pipeline : n);
        return;
    }
}

/* The smallest one that is enough, and no slower at reading weights: an embedded board with much memory is no help. */
static void bigger_gpu(const pg_plan *p, const predict_gpu *g, pg_prediction *out)
{
    const api_gpu *best = NULL;
    for (size_t i = 0; i < p->catalog->count; i++) {
        const api_gpu *a = &p->catalog->list[i];
        if (!str_eq(a->spec->vendor, g->spec->vendor) || str_is(a->spec->key, "custom")) continue;
        if (best && a->spec->memory_bytes >= best->spec->memory_bytes) continue;
        if (a->spec->bandwidth_gbs < g->spec->bandwidth_gbs) continue;
        if (a->spec->memory_bytes > g->spec->memory_bytes && a->spec->compute_capability >= 7 &&
            fits_with(p, &api_language_on(p, a->spec)->c.r, a->spec, g))
            best = a;
    }
    if (best) api_advise(out, "a GPU like %s", best->pub.key);
}

void api_language_advice(const pg_plan *p, const predict_gpu *g, pg_prediction *out)
{
    narrower_cache(p, g, out);
    if (out->most_batch >= 1) api_advise(out, "batch %lld", (long long)out->most_batch);
    narrower_weights(p, g, out);
    more_gpus(p, g, out);
    bigger_gpu(p, g, out);
}
