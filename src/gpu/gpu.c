#include "gpu/gpu.h"

#include "base/error.h"
#include "gpu/catalog.h"
#include "gpu/embedded.h"
#include "gpu/suggest.h"

enum { SCRATCH_LIMIT = 128 << 20 };

static pg_code read_builtin(gpu_catalog *c, pg_error *e)
{
    config_begin_layer(c, true);
    pg_code code = config_read(c, (str){data_gpu_models_toml, data_gpu_models_toml_len}, "built-in gpu_models.toml", e);
    arena_reset(&c->scratch);
    if (code == PG_E_OK)
        code = config_read(c, (str){data_hardware_profiles_toml, data_hardware_profiles_toml_len},
                           "built-in hardware_profiles.toml", e);
    arena_reset(&c->scratch);
    config_end_layer(c);
    return code;
}

static pg_code read_user(gpu_catalog *c, const gpu_sources *src, pg_error *e)
{
    file_list list = {NULL, 0, 0};
    pg_code code = files_find(c, src, &list, e);
    for (size_t i = list.count; i-- > 0 && code == PG_E_OK;) { /* the most important last: it lies on top */
        str text;
        code = files_read(c, list.paths[i], !(i == 0 && src->hardware_profiles), &text, e);
        if (code != PG_E_OK || !text.ptr) continue;
        config_begin_layer(c, false);
        code = config_read(c, text, list.paths[i], e);
        config_end_layer(c);
        arena_reset(&c->scratch);
    }
    return code;
}

static pg_code resolve_default(gpu_catalog *c, pg_error *e)
{
    ptrdiff_t found = names_find(c, c->default_name);
    if (found >= 0) {
        c->default_gpu = (size_t)found;
        return PG_E_OK;
    }
    char names[160];
    suggest_names(c, c->default_name, NULL, names, sizeof names);
    error_set(e, PG_E_CONFIG, "default_gpu '%.*s' is not a known GPU%s%s%s", STR_ARG(c->default_name),
              names[0] ? "; did you mean " : "", names, names[0] ? "?" : "");
    error_source(e, c->default_source ? c->default_source : "");
    error_line(e, c->default_line, c->default_column);
    return PG_E_CONFIG;
}

static pg_code catalog_fill(gpu_catalog *c, const gpu_sources *src, pg_error *e)
{
    pg_code code = read_builtin(c, e);
    if (code == PG_E_OK) code = read_user(c, src, e);
    for (size_t i = 0; i < c->count && code == PG_E_OK; i++) code = derive_gpu(c, c->entries[i], e);
    if (code == PG_E_OK) code = resolve_default(c, e);
    return code;
}

pg_code gpu_catalog_open(gpu_catalog **out, const gpu_sources *src, pg_error *e)
{
    *out = NULL;
    gpu_catalog *c = src->alloc.resize(src->alloc.ud, NULL, 0, sizeof *c);
    if (!c) return error_nomem(e, NULL);
    memset(c, 0, sizeof *c);
    arena_init(&c->a, src->alloc, 0);
    arena_init(&c->scratch, src->alloc, SCRATCH_LIMIT);
    pg_code code = catalog_fill(c, src, e);
    arena_free(&c->scratch);
    if (code != PG_E_OK) {
        gpu_catalog_free(c);
        return code;
    }
    *out = c;
    return PG_E_OK;
}

void gpu_catalog_free(gpu_catalog *c)
{
    if (!c) return;
    allocator alloc = c->a.alloc;
    arena_free(&c->scratch);
    arena_free(&c->a);
    alloc.resize(alloc.ud, c, sizeof *c, 0);
}

size_t gpu_count(const gpu_catalog *c)
{
    return c->count;
}

const gpu_spec *gpu_at(const gpu_catalog *c, size_t i)
{
    return i < c->count ? &c->entries[i]->f.spec : NULL;
}

const gpu_spec *gpu_default(const gpu_catalog *c)
{
    return gpu_at(c, c->default_gpu);
}

const gpu_spec *gpu_find(const gpu_catalog *c, str name, pg_error *e)
{
    ptrdiff_t found = names_find(c, name);
    if (found >= 0) return gpu_at(c, (size_t)found);
    char names[160];
    suggest_names(c, name, NULL, names, sizeof names);
    error_set(e, PG_E_NOT_FOUND,
              "unknown GPU '%.*s'%s%s%s (phantom-gpu list-gpus shows all; --hardware-profiles takes your own)",
              (int)(name.len > 100 ? 100 : name.len), name.ptr ? name.ptr : "", names[0] ? "; did you mean " : "",
              names, names[0] ? "?" : "");
    return NULL;
}

static const gpu_entry *entry_of(const gpu_spec *g)
{
    return (const gpu_entry *)(const void *)g; /* gpu_entry and gpu_fields begin with it */
}

str gpu_warning(const gpu_catalog *c, const gpu_spec *g)
{
    (void)c;
    return entry_of(g)->warning;
}

size_t gpu_alias_count(const gpu_catalog *c, const gpu_spec *g)
{
    (void)c;
    return entry_of(g)->alias_count;
}

str gpu_alias_at(const gpu_catalog *c, const gpu_spec *g, size_t i)
{
    (void)c;
    return i < entry_of(g)->alias_count ? entry_of(g)->aliases[i] : (str){NULL, 0};
}
