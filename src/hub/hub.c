#include "hub/hub.h"

#include "hub/choose.h"
#include "hub/fetch.h"
#include "hub/text.h"
#include "hub/url.h"
#include "hub/view.h"

#include <stdlib.h>

enum { LISTING_MOST = 32 << 20, CONFIG_MOST = 64 << 20 }; /* bytes */

static void note(hub_result *out, const char *text)
{
    if (text && out->note_count < HUB_NOTES) out->notes[out->note_count++] = text;
}

static span as_span(str s)
{
    return (span){(const uint8_t *)s.ptr, s.len, 0};
}

static const char *listing_path(const hub_session *s, str commit)
{
    return hub_text(s->a, "%s/info/%.*s.json", s->cache.own, STR_ARG(commit));
}

static bool add_cached(void *ud, str path, uint64_t size)
{
    hub_session *s = ud;
    return listing_add(&s->listing, path, size, (str){NULL, 0}, s->a);
}

/* The listing of an earlier time. */
static bool read_listing(hub_session *s, str commit)
{
    pg_error ignored = PG_ERROR_INIT;
    const char *path = hub_id_ok(commit) ? listing_path(s, commit) : NULL;
    str text = path ? hub_file_read(s->a, path, LISTING_MOST) : (str){NULL, 0};
    return text.ptr && !listing_read(&s->listing, as_span(text), s->a, &ignored) && str_eq(s->listing.commit, commit);
}

/* What is known of a commit without asking: that, or else the files in the shared cache. */
static bool read_cached(hub_session *s, str commit)
{
    if (read_listing(s, commit)) return true;
    s->listing = (hub_listing){.id = s->repository, .commit = commit, .partial = true};
    cache_files(&s->cache, commit, add_cached, s);
    return s->listing.count > 0;
}

/* "www.example.org" or a proxy's page where the Hub should be. */
static pg_code not_a_hub(const hub_session *s, pg_error *e)
{
    return error_set(e, PG_E_FORMAT,
                     "%.150s answered with something that is not the Hub's JSON: a page to log in to a network? "
                     "HF_ENDPOINT says whom to ask",
                     s->config->endpoint);
}

static pg_code take_listing(hub_session *s, const buffer *body, pg_error *e)
{
    pg_error why = PG_ERROR_INIT;
    size_t blank = 0;
    while (blank < body->len && (body->ptr[blank] == ' ' || body->ptr[blank] == '\n')) blank++;
    if (blank == body->len || body->ptr[blank] != '{') return not_a_hub(s, e);
    str text = {body->ptr, body->len};
    if (listing_read(&s->listing, as_span(text), s->a, &why)) {
        if (why.line) error_line(e, why.line, why.column);
        return error_set(e, why.code, "%s", why.text);
    }
    const char *path = listing_path(s, s->listing.commit);
    if (!path) return error_nomem(e, s->a);
    pg_code code = hub_file_has(path, text) ? PG_E_OK : hub_file_write(s->a, path, text, e);

    return code ? code : cache_set_commit(&s->cache, s->revision, s->listing.commit, e);
}

static pg_code ask_listing(hub_session *s, pg_error *e)
{
    http_result r;
    buffer body;
    const char *revision = url_encode(s->a, s->revision, true);
    const char *url = revision ? hub_text(s->a, "%s/api/models/%.*s/revision/%s?blobs=true", s->config->endpoint,
                                          STR_ARG(s->repository), revision)
                               : NULL;
    if (!url) return error_nomem(e, s->a);
    buffer_init(&body, s->alloc);
    http_sink sink = {.memory = &body, .most = LISTING_MOST, .size = ANSWER_UNKNOWN, .name = "the list of files"};
    pg_code code = fetch_get(s, url, &sink, &r, e);
    if (!code && r.last.status != 200) code = fetch_refused(s, &r.last, (str){NULL, 0}, e);
    if (!code && sink.have >= LISTING_MOST) code = error_set(e, PG_E_LIMIT, "the Hub's list of files is too long");
    if (!code) code = take_listing(s, &body, e);
    buffer_free(&body);
    return code;
}

static pg_code not_in_cache(const hub_session *s, pg_error *e)
{
    return error_set(e, PG_E_NETWORK,
                     "revision '%.*s' is not in the cache (%.150s), and no network is to be used (HF_HUB_OFFLINE, "
                     "--offline)",
                     STR_ARG(s->revision), s->cache.root);
}

/* Without network, what the cache knows is better than nothing; a person is told. */
static pg_code find_listing(hub_session *s, hub_result *out, pg_error *e)
{
    pg_error why = PG_ERROR_INIT;
    str commit = cache_commit(&s->cache, s->revision);
    if (s->offline) return read_cached(s, commit) ? PG_E_OK : not_in_cache(s, e);
    if (str_eq(commit, s->revision) && read_listing(s, commit)) return PG_E_OK; /* a commit never changes */
    pg_code code = ask_listing(s, &why);
    if (code == PG_E_NETWORK && read_cached(s, commit)) {
        s->offline = true;
        note(out, hub_text(s->a, "%s; what the cache knows was used", why.text));
        return PG_E_OK;
    }
    error_line(e, why.line, why.column);
    return code ? error_set(e, code, "%s", why.text) : PG_E_OK;
}

static pg_code check_id(hub_session *s, hub_result *out, pg_error *e)
{
    str id = s->listing.id;
    if (!id.len || str_eq(id, s->repository)) return PG_E_OK;
    const char *text = hub_text(s->a, "'%.*s' is called '%.*s' now", STR_ARG(s->repository), STR_ARG(id));
    s->repository = id;
    note(out, text);
    return text ? PG_E_OK : error_nomem(e, s->a);
}

/* The index of the weights tells what else there is. */
static pg_code add_shards(hub_session *s, hub_choice *c, pg_error *e)
{
    const char *path;
    if (!c->index) return PG_E_OK;
    pg_code code = fetch_whole(&path, s, c->index, e);
    str text = code ? (str){NULL, 0} : hub_file_read(s->a, path, CONFIG_MOST);
    if (!code && !text.ptr)
        code = error_set(e, PG_E_IO, "'%.*s' can't be read from the cache", STR_ARG(c->index->path));
    return code ? code : choose_shards(c, &s->listing, as_span(text), s->a, e);
}

/* "default", or what stands for the folder or the file that was asked for. */
static const char *view_key(const hub_session *s, const hub_choice *c)
{
    if (c->file) return "files";
    return c->folder.len ? hub_text(s->a, "folder-%llx", (unsigned long long)str_hash(c->folder)) : "default";
}

static pg_code make_view(hub_result *out, hub_session *s, const hub_choice *c, pg_error *e)
{
    const char *key = view_key(s, c);
    const char *view = key ? view_folder(s, key, e) : NULL;
    if (!view) return key ? (e ? e->code : PG_E_IO) : error_nomem(e, s->a);
    out->path = view;
    if (c->folder.len && !c->file) out->path = hub_text(s->a, "%s/%.*s", view, (int)c->folder.len - 1, c->folder.ptr);
    pg_code code = out->path ? PG_E_OK : error_nomem(e, s->a);
    if (!code && c->index) fetch_headers_ahead(s, c->files, c->count);
    for (size_t i = 0; !code && i < c->count; i++) {
        const char *target = NULL, *link = NULL;
        const hub_file *f = c->files[i];
        code = fetch_has_header(f->path) ? fetch_header(&target, s, f, e) : fetch_whole(&target, s, f, e);
        if (!code) code = view_add(&link, s, view, f->path, target, e);
        if (f == c->file) out->path = link;
    }
    return code;
}

static pg_code open_listed(hub_result *out, hub_session *s, const hub_name *name, pg_error *e)
{
    hub_choice c;
    pg_code code = find_listing(s, out, e);
    out->unlisted = code != PG_E_OK;
    if (!code) code = check_id(s, out, e);
    if (!code) code = choose(&c, &s->listing, name, s->a, e);
    if (!code) code = add_shards(s, &c, e);
    if (!code) code = make_view(out, s, &c, e);
    if (code) return code;
    note(out, c.note);
    out->name = name->file.len ? hub_text(s->a, "%.*s:%.*s", STR_ARG(s->repository), STR_ARG(name->file))
                               : hub_text(s->a, "%.*s", STR_ARG(s->repository));
    return out->name ? PG_E_OK : error_nomem(e, s->a);
}

pg_code hub_open(hub_result *out, const hub_name *name, const hub_config *config, arena *a, pg_error *e)
{
    hub_session s = {.config = config, .a = a, .alloc = a->alloc, .offline = config->offline};
    s.repository = name->repository;
    s.revision = name->revision;
    *out = (hub_result){.path = NULL};
    pg_code code = cache_open(&s.cache, config, name->repository, a, e);
    if (!code) code = open_listed(out, &s, name, e);
    out->requests = http_requests(s.net);
    out->bytes = http_bytes(s.net);
    http_close(s.net);
    return code;
}
