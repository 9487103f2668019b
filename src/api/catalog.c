#include "api/api.h"

static bool copy_texts(pg_catalog *c, api_gpu *g)
{
    const gpu_spec *s = g->spec;
    struct {
        const char **to;
        str from;
    } texts[] = {{&g->pub.key, s->key},
                 {&g->pub.name, s->name},
                 {&g->pub.vendor, s->vendor},
                 {&g->pub.architecture, s->architecture},
                 {&g->pub.form, s->form},
                 {&g->pub.memory_type, s->memory_type},
                 {&g->warning, gpu_warning(c->gpus, s)}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        *texts[i].to = api_text(&c->a, texts[i].from);
        if (!*texts[i].to) return false;
    }
    g->pub.alias_count = gpu_alias_count(c->gpus, s);
    const char **aliases = ARENA_ARRAY(&c->a, const char *, g->pub.alias_count);
    if (!aliases) return false;
    for (size_t i = 0; i < g->pub.alias_count; i++) {
        aliases[i] = api_text(&c->a, gpu_alias_at(c->gpus, s, i));
        if (!aliases[i]) return false;
    }
    g->pub.aliases = aliases;
    return true;
}

static bool publish(pg_catalog *c, api_gpu *g)
{
    const gpu_spec *s = g->spec;
    pg_gpu *p = &g->pub;
    p->compute_capability = s->compute_capability;
    p->release_year = s->release_year;
    p->memory_gb = s->memory_gb;
    p->memory_bytes = s->memory_bytes;
    p->bandwidth_gbs = s->bandwidth_gbs;
    p->fp32_tflops = s->tflops[PREC_FP32];
    p->tf32_tflops = s->tflops[PREC_TF32];
    p->fp16_tflops = s->tflops[PREC_FP16];
    p->bf16_tflops = s->tflops[PREC_BF16];
    p->fp8_tflops = s->tflops[PREC_FP8];
    p->int8_tops = s->tflops[PREC_INT8];
    p->fp4_tflops = s->tflops[PREC_FP4];
    p->int4_tops = s->tflops[PREC_INT4];
    p->streaming_multiprocessors = s->sms;
    p->cuda_cores = s->cuda_cores;
    p->tensor_cores = s->tensor_cores;
    p->rt_cores = s->rt_cores;
    p->l1_kb = s->l1_kb;
    p->l2_mb = s->l2_mb;
    p->memory_bus_bits = s->memory_bus_bits;
    p->memory_channels = s->memory_channels;
    p->base_mhz = s->base_mhz;
    p->boost_mhz = s->boost_mhz;
    p->tdp_w = s->tdp_w;
    p->nvlink_gbs = s->nvlink_gbs;
    p->pcie_gen = s->pcie_gen;
    p->throttle_temp_c = s->throttle_temp_c;
    p->thermal_factor_sustained = s->thermal_factor_sustained;
    p->cache_hit_ratio = s->cache_hit_ratio;
    p->coalescing_efficiency = s->coalescing_efficiency;
    p->fp16_multiplier = s->fp16_multiplier;
    p->int8_multiplier = s->int8_multiplier;
    p->int4_multiplier = s->int4_multiplier;
    p->is_default = s == gpu_default(c->gpus);
    p->derived = s->derived;
    return copy_texts(c, g);
}

static pg_code fill(pg_catalog *c, pg_error *e)
{
    c->count = gpu_count(c->gpus);
    c->list = ARENA_ARRAY(&c->a, api_gpu, c->count);
    c->runtime_names = ARENA_ARRAY(&c->a, const char *, c->config.n_runtimes);
    c->runtime_notes = ARENA_ARRAY(&c->a, const char *, c->config.n_runtimes);
    c->warnings = ARENA_ARRAY(&c->a, const char *, c->count);
    if (!c->list || !c->runtime_names || !c->runtime_notes || !c->warnings) return error_nomem(e, &c->a);
    for (size_t i = 0; i < c->count; i++) {
        c->list[i].spec = gpu_at(c->gpus, i);
        if (!publish(c, &c->list[i])) return error_nomem(e, &c->a);
        if (c->list[i].warning[0] && c->list[i].spec->overridden) c->warnings[c->n_warnings++] = c->list[i].warning;
    }
    for (uint32_t i = 0; i < c->config.n_runtimes; i++) {
        c->runtime_names[i] = api_text(&c->a, c->config.runtimes[i].key);
        c->runtime_notes[i] = api_text(&c->a, c->config.runtimes[i].note);
        if (!c->runtime_names[i] || !c->runtime_notes[i]) return error_nomem(e, &c->a);
    }
    return PG_E_OK;
}

pg_code pg_catalog_open(pg_catalog **out, const pg_catalog_options *options, pg_error *error)
{
    allocator alloc = api_allocator(options ? options->allocator : NULL);
    *out = NULL;
    pg_catalog *c = api_new(alloc, sizeof *c, error);
    if (!c) return PG_E_NOMEM;
    arena_init(&c->a, alloc, 64u << 20);
    gpu_sources sources = {.alloc = alloc, .search_user_files = !options || !options->no_user_files};
    if (options) sources.hardware_profiles = options->hardware_profiles;
    pg_code code = gpu_catalog_open(&c->gpus, &sources, error);
    if (!code) code = api_config_read(&c->config, &c->a, error);
    if (!code) code = fill(c, error);
    if (code) pg_catalog_free(c);
    else *out = c;
    return code;
}

void pg_catalog_free(pg_catalog *catalog)
{
    if (!catalog) return;
    allocator alloc = catalog->a.alloc;
    gpu_catalog_free(catalog->gpus);
    arena_free(&catalog->a);
    api_delete(alloc, catalog, sizeof *catalog);
}

size_t pg_catalog_count(const pg_catalog *catalog)
{
    return catalog->count;
}

const pg_gpu *pg_catalog_at(const pg_catalog *catalog, size_t i)
{
    return i < catalog->count ? &catalog->list[i].pub : NULL;
}

static const pg_gpu *public_of(const pg_catalog *c, const gpu_spec *s)
{
    for (size_t i = 0; s && i < c->count; i++)
        if (c->list[i].spec == s) return &c->list[i].pub;
    return NULL;
}

const pg_gpu *pg_catalog_find(const pg_catalog *catalog, const char *name, pg_error *error)
{
    return public_of(catalog, gpu_find(catalog->gpus, str_c(name), error));
}

const pg_gpu *pg_catalog_default(const pg_catalog *catalog)
{
    return public_of(catalog, gpu_default(catalog->gpus));
}

size_t pg_catalog_warning_count(const pg_catalog *catalog)
{
    return catalog->n_warnings;
}

const char *pg_catalog_warning(const pg_catalog *catalog, size_t i)
{
    return i < catalog->n_warnings ? catalog->warnings[i] : NULL;
}

const char *pg_catalog_runtime(const pg_catalog *catalog, size_t i)
{
    return i < catalog->config.n_runtimes ? catalog->runtime_names[i] : NULL;
}

const char *pg_catalog_runtime_note(const pg_catalog *catalog, size_t i)
{
    return i < catalog->config.n_runtimes ? catalog->runtime_notes[i] : NULL;
}
