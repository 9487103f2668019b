/* From a name of the Hub to a path that loaders take. Without the Hub in the build (-Dhub=false) there are no such names. */
#include "api/api.h"
#include "zoo/zoo.h"

#ifdef PHANTOM_NO_HUB

bool api_hub_read(api_hub_name *out, const char *model)
{
    (void)out, (void)model;
    return false;
}

pg_code api_hub_open(pg_model *m, const char **path, const api_hub_name *name, const pg_model_options *o, pg_error *e)
{
    (void)m, (void)path, (void)name, (void)o;
    return error_set(e, PG_E_UNSUPPORTED, "this build has no Hub in it");
}

#else

#include "hub/hub.h"

/* HUB_MEMORY: bytes; the listing of the largest repositories takes some MB. NEAR_LEAST: shorter names are near to everything. */
enum { HUB_MEMORY = 256 << 20, NEAR_LEAST = 5 };

bool api_hub_read(api_hub_name *out, const char *model)
{
    hub_name name;
    bool is = hub_name_read(&name, str_c(model), hub_config_endpoint());
    *out = (api_hub_name){name.repository, name.revision, name.file, name.marked};
    return is;
}

/* A built-in model that may have been meant, where the Hub has nothing or is not there. */
static void suggest_builtin(str repository, pg_error *e)
{
    pg_error why = PG_ERROR_INIT;
    str base = repository;
    for (size_t i = 0; i < repository.len; i++)
        if (repository.ptr[i] == '/') base = (str){repository.ptr + i + 1, repository.len - i - 1};
    const zoo_entry *z = zoo_find(base, &why);
    size_t n = strlen(e->text);
    if (z) {
        format_text(e->text + n, sizeof e->text - n, "; '%s' is built in and needs no network", z->name);
        return;
    }
    static const char before[] = "did you mean '";
    for (const char *p = why.text; *p && base.len >= NEAR_LEAST; p++) {
        if (strncmp(p, before, sizeof before - 1) != 0) continue;
        p += sizeof before - 1;
        format_text(e->text + n, sizeof e->text - n, "; '%.*s' is built in", (int)strcspn(p, "'"), p);
        return;
    }
}

/* A plain name may have been meant as a path. */
static void say_not_a_path(const api_hub_name *name, pg_error *e)
{
    size_t n = strlen(e->text);
    if (name->marked || name->file.len || !str_is(name->revision, "main")) return;
    format_text(e->text + n, sizeof e->text - n, "; there is no such file here either");
}

pg_code api_hub_open(pg_model *m, const char **path, const api_hub_name *name, const pg_model_options *o, pg_error *e)
{
    arena a;
    hub_config config;
    hub_result r = {.path = NULL};
    arena_init(&a, m->a.alloc, HUB_MEMORY);
    pg_code code = hub_config_read(&config, &a, e);
    config.offline = config.offline || o->hub == PG_HUB_CACHE;
    config.progress = o->progress;
    config.progress_ud = o->progress_ud;
    hub_name n = {name->repository, name->revision, name->file, name->marked};
    if (!code) code = hub_open(&r, &n, &config, &a, e);
    for (size_t i = 0; !code && i < r.note_count; i++)
        if (!graph_warn(&m->g, "%s", r.notes[i])) code = error_nomem(e, &m->a);
    if (!code) {
        *path = api_text(&m->a, str_c(r.path));
        m->hub_name = api_text(&m->a, str_c(r.name));
        if (!*path || !m->hub_name) code = error_nomem(e, &m->a);
    }
    if (code && r.unlisted && e->code == code && (code == PG_E_NOT_FOUND || code == PG_E_NETWORK)) {
        suggest_builtin(name->repository, e);
        say_not_a_path(name, e);
    }

    arena_free(&a);
    return code;
}

#endif
