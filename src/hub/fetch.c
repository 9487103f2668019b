#define _POSIX_C_SOURCE 200809L
#include "hub/fetch.h"

#include "base/sha.h"
#include "hub/extent.h"
#include "hub/name.h"
#include "hub/text.h"
#include "hub/url.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEADER_FIRST = 100001, GGUF_FIRST = 512 << 10 }; /* bytes: 97 % of safetensors headers fit into the former */

static pg_code refused_access(const hub_session *s, const http_answer *h, pg_error *e)
{
    const char *token = s->config->token_from;
    if (!strcmp(h->error, "GatedRepo")) {
        if (token)
            return error_set(e, PG_E_DENIED,
                             "is gated, and the token of %.120s has no access yet: ask for it at %s/%.*s", token,
                             s->config->endpoint, STR_ARG(s->repository));
        return error_set(e, PG_E_DENIED,
                         "is gated: accept its terms at %s/%.*s, then give a token in HF_TOKEN (or `hf auth login`)",
                         s->config->endpoint, STR_ARG(s->repository));
    }
    if (h->status == 401 && token)
        return error_set(e, PG_E_DENIED, "the Hub does not take the token of %.120s%s%s", token,
                         h->message[0] ? ": " : "", h->message);
    if (h->status == 401)
        return error_set(e, PG_E_NOT_FOUND,
                         "the Hub has no such repository, or it is private (then a token is needed, in HF_TOKEN)");
    return error_set(e, PG_E_DENIED, "the Hub refuses access%s%s", h->message[0] ? ": " : "", h->message);
}

pg_code fetch_refused(const hub_session *s, const http_answer *h, str file, pg_error *e)
{
    if (!strcmp(h->error, "RevisionNotFound"))
        return error_set(e, PG_E_NOT_FOUND, "has no revision '%.*s' (a branch, a tag or a commit)",
                         STR_ARG(s->revision));
    if (!strcmp(h->error, "EntryNotFound"))
        return error_set(e, PG_E_NOT_FOUND, "has no file '%.*s' at revision '%.*s'", STR_ARG(file),
                         STR_ARG(s->revision));
    if (!strcmp(h->error, "RepoNotFound") && h->status == 404)
        return error_set(e, PG_E_NOT_FOUND, "the Hub has no such repository%s",
                         s->config->token ? ", or the token may not see it" : "");
    if (h->status == 401 || h->status == 403) return refused_access(s, h, e);
    if (h->status == 404)
        return error_set(e, PG_E_NOT_FOUND, "%s has nothing of that name%s%s", s->config->endpoint,
                         h->message[0] ? ": " : "", h->message);
    if (h->status == 429) {
        char when[48] = "later";
        if (h->wait_s != UINT_MAX) format_text(when, sizeof when, "in %u s", h->wait_s);
        return error_set(e, PG_E_NETWORK, "the Hub allows no more requests for now: try again %s%s", when,
                         s->config->token ? "" : "; with a token (HF_TOKEN) it allows more");
    }
    if (h->status == 416) return error_set(e, PG_E_FORMAT, "'%.*s' is shorter than the Hub lists it", STR_ARG(file));
    if (h->status >= 500) return error_set(e, PG_E_NETWORK, "the Hub fails (status %d); try again later", h->status);
    return error_set(e, PG_E_NETWORK, "the Hub answered with status %d%s%s", h->status, h->message[0] ? ": " : "",
                     h->message);
}

static pg_code not_cached(const hub_session *s, const hub_file *f, pg_error *e)
{
    if (cache_is_known_missing(&s->cache, s->listing.commit, f->path))
        return error_set(e, PG_E_NOT_FOUND, "has no file '%.*s' (the cache says so)", STR_ARG(f->path));
    return error_set(e, PG_E_NETWORK, "'%.*s' is not in the cache (%.150s), and no network is to be used",
                     STR_ARG(f->path), s->cache.root);
}

pg_code fetch_get(hub_session *s, const char *url, http_sink *sink, http_result *r, pg_error *e)
{
    pg_code code = s->net ? PG_E_OK : http_open(&s->net, s->config, s->a, e);
    return code ? code : http_get(s->net, url, sink, r, e);
}

static const char *file_url(const hub_session *s, str path)
{
    const char *name = url_encode(s->a, path, false);
    return name ? hub_text(s->a, "%s/%.*s/resolve/%.*s/%s", s->config->endpoint, STR_ARG(s->repository),
                           STR_ARG(s->listing.commit), name)
                : NULL;
}

/* Size and etag of a file whose listing lacks them, as mirrors of the Hub give it. */
static pg_code look_up(hub_session *s, hub_file *f, pg_error *e)
{
    http_result r;
    if (f->etag.len && f->size != SIZE_UNKNOWN) return PG_E_OK;
    const char *url = file_url(s, f->path);
    pg_code code = url ? fetch_get(s, url, NULL, &r, e) : error_nomem(e, s->a);
    if (code) return code;
    if (r.last.status >= 400) return fetch_refused(s, &r.last, f->path, e);
    f->etag = str_copy(s->a, str_c(r.hub.etag));
    if (r.hub.linked_size != ANSWER_UNKNOWN) f->size = r.hub.linked_size;
    else if (r.hub.status < 300) f->size = r.hub.length;
    if (!f->etag.ptr) return error_nomem(e, s->a);
    if (!hub_id_ok(f->etag) || f->size == SIZE_UNKNOWN)
        return error_set(e, PG_E_FORMAT, "the Hub does not say how large '%.*s' is and what it holds (no ETag)",
                         STR_ARG(f->path));
    return PG_E_OK;
}

/* Where the server says what the file is, it must be what the listing said. */
static pg_code check_result(const hub_session *s, const http_result *r, const hub_file *f, pg_error *e)
{
    if (r->last.status != 200 && r->last.status != 206) {
        pg_code code = fetch_refused(s, &r->last, f->path, e);
        if (!strcmp(r->last.error, "EntryNotFound")) cache_set_missing(&s->cache, s->listing.commit, f->path, NULL);
        return code;
    }
    if (r->hub.linked && f->etag.len && !str_is(f->etag, r->hub.etag))
        return error_set(e, PG_E_FORMAT, "'%.*s' is another file than the Hub lists; try again", STR_ARG(f->path));
    return PG_E_OK;
}

static pg_code download(hub_session *s, cache_blob *b, const hub_file *f, pg_error *e)
{
    http_result r;
    char name[160];
    hub_clean(name, sizeof name, f->path);
    http_sink sink = {.fd = b->fd, .have = b->have, .most = f->size, .size = f->size, .name = name};
    if (b->have > f->size) {
        if (ftruncate(b->fd, 0) != 0) return hub_write_error(e, errno, b->partial);
        sink.have = 0;
    }
    if (sink.have == f->size && f->size) return PG_E_OK; /* it was only not renamed any more */
    const char *url = file_url(s, f->path);
    pg_code code = url ? fetch_get(s, url, &sink, &r, e) : error_nomem(e, s->a);
    if (!code) code = check_result(s, &r, f, e);
    return code;
}

static bool is_hex(str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!(s.ptr[i] >= '0' && s.ptr[i] <= '9') && !(s.ptr[i] >= 'a' && s.ptr[i] <= 'f')) return false;
    return true;
}

/* The sum of "blob SIZE\0", if that is asked for, and the file. */
static pg_code sum_blob(char hex[SHA_HEX], const cache_blob *b, sha_sum *sum, const uint64_t *as_git, pg_error *e)
{
    enum { CHUNK = 64 << 10 };
    uint8_t chunk[CHUNK], hash[SHA256_SIZE];
    char head[32];
    ssize_t n;
    if (as_git) sha_add(sum, head, format_text(head, sizeof head, "blob %llu", (unsigned long long)*as_git) + 1);
    for (off_t at = 0; (n = pread(b->fd, chunk, CHUNK, at)) != 0; at += n > 0 ? n : 0) {
        if (n < 0 && errno != EINTR) return hub_write_error(e, errno, b->partial);
        if (n > 0) sha_add(sum, chunk, (size_t)n);
    }
    sha_end(hash, sum);
    sha_hex(hex, hash, sum->size);
    return PG_E_OK;
}

/* Files in Git LFS are called by their SHA-256, others by Git's SHA-1 of them; some mirrors call these by a plain SHA-1. Other names,
 * of other lengths, say nothing of the contents. */
static pg_code check_sum(const cache_blob *b, const hub_file *f, pg_error *e)
{
    char hex[SHA_HEX], plain[SHA_HEX] = "", name[160];
    sha_sum sum;
    bool large = f->etag.len == 2 * SHA256_SIZE;
    if ((!large && f->etag.len != 2 * SHA1_SIZE) || !is_hex(f->etag)) return PG_E_OK;
    if (large) sha256_begin(&sum);
    else sha1_begin(&sum);
    pg_code code = sum_blob(hex, b, &sum, large ? NULL : &f->size, e);
    if (code || str_is(f->etag, hex)) return code;
    sha1_begin(&sum);
    if (!large) code = sum_blob(plain, b, &sum, NULL, e);
    if (code || str_is(f->etag, plain)) return code;
    hub_clean(name, sizeof name, f->path);
    return error_set(e, PG_E_FORMAT,
                     "what arrived of '%s' is not what the Hub lists (its SHA-%s begins with %.12s instead of %.12s); "
                     "nothing of it is kept, try again",
                     name, large ? "256" : "1", hex, f->etag.ptr);
}

static pg_code link_blob(const char **path, const hub_session *s, const hub_file *f, pg_error *e)
{
    *path = cache_link(&s->cache, s->listing.commit, f->path, f->etag, e);
    if (!*path) return e ? e->code : PG_E_IO;
    return cache_share_commit(&s->cache, s->revision, s->listing.commit, e);
}

pg_code fetch_whole(const char **path, hub_session *s, const hub_file *file, pg_error *e)
{
    pg_error why = PG_ERROR_INIT;
    hub_file f = *file;
    cache_blob b;
    *path = cache_find(&s->cache, s->listing.commit, f.path, &why);
    if (why.code) return error_set(e, why.code, "%s", why.text);
    if (*path) return PG_E_OK;
    if (f.etag.len && cache_has_blob(&s->cache, f.etag)) return link_blob(path, s, &f, e);
    if (s->offline) return not_cached(s, &f, e);
    pg_code code = look_up(s, &f, e);
    if (!code) code = cache_blob_begin(&b, &s->cache, s->config, f.etag, e);
    if (code) return code;
    if (b.fd >= 0) code = download(s, &b, &f, e);
    if (!code && b.fd >= 0) code = check_sum(&b, &f, e);
    if (code == PG_E_FORMAT) cache_blob_drop(&b);
    else if (code) cache_blob_stop(&b);
    if (code) return code;
    s->fetched++;
    code = cache_blob_end(&b, e);
    return code ? code : link_blob(path, s, &f, e);
}

bool fetch_has_header(str path)
{
    return str_ends(path, ".safetensors") || str_ends(path, ".gguf");
}

/* The next part from where the last one came, which spares a redirect; those addresses are valid for minutes only. */
static pg_code get_part(hub_session *s, const char *url, const char **nearer, http_sink *sink, http_result *r,
                        pg_error *e)
{
    pg_error ignored = PG_ERROR_INIT;
    pg_code code = *nearer ? fetch_get(s, *nearer, sink, r, &ignored) : PG_E_NETWORK;
    if (code || (r->last.status != 206 && r->last.status != 200)) code = fetch_get(s, url, sink, r, e);
    *nearer = code ? NULL : r->url;
    return code;
}

/* Reads until the header is whole. */
static pg_code fetch_extent(hub_session *s, const hub_file *f, buffer *bytes, pg_error *e)
{
    bool gguf = str_ends(f->path, ".gguf");
    char name[160];
    hub_clean(name, sizeof name, f->path);
    http_sink sink = {.memory = bytes, .fd = -1, .size = f->size, .name = name};
    sink.most = gguf ? GGUF_FIRST : HEADER_FIRST;
    const char *url = file_url(s, f->path), *nearer = NULL;
    if (!url) return error_nomem(e, s->a);
    for (;;) {
        http_result r;
        uint64_t need = 0;
        if (sink.most > f->size) sink.most = f->size;
        pg_code code = get_part(s, url, &nearer, &sink, &r, e);
        if (!code) code = check_result(s, &r, f, e);
        if (code) return code;

        span have = {(const uint8_t *)bytes->ptr, bytes->len, 0};
        code = gguf ? extent_gguf(have, f->size, &need, e) : extent_safetensors(have, f->size, &need, e);
        if (code) error_path(e, "%s", name);
        if (code || need <= sink.have) return code;
        /* a GGUF header tells only step by step how long it is: twice as much each time */
        sink.most = !gguf || need > sink.have * 2 ? need : sink.have * 2;
    }
}

static bool header_is_there(const char *path, uint64_t size)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && (size == SIZE_UNKNOWN || (uint64_t)st.st_size == size);
}

/* A file of the true size that holds its beginning; the rest takes no room. */
static pg_code write_sparse(const hub_session *s, const char *path, uint64_t size, const buffer *bytes, pg_error *e)
{
    const char *temporary;
    pg_code code = hub_folder_for(path, e);
    int fd = code ? -1 : hub_temporary(s->a, path, &temporary, e);
    if (fd < 0) return code ? code : e ? e->code : PG_E_IO;
    int err = ftruncate(fd, (off_t)size) == 0 ? 0 : errno;
    for (size_t at = 0; !err && at < bytes->len;) {
        ssize_t n = pwrite(fd, bytes->ptr + at, bytes->len - at, (off_t)at);
        if (n < 0 && errno != EINTR) err = errno;
        if (n > 0) at += (size_t)n;
    }
    if (!err) return hub_keep(fd, temporary, path, true, e);
    close(fd);
    unlink(temporary);
    return hub_write_error(e, err, path);
}

static const char *header_path(const hub_session *s, const hub_file *f)
{
    return f->etag.len ? hub_text(s->a, "%s/headers/%.*s", s->cache.own, STR_ARG(f->etag)) : NULL;
}

/* Whether the header of the file would have to be fetched, as far as the listing tells. */
static bool is_wanted(const hub_session *s, const hub_file *f)
{
    pg_error ignored = PG_ERROR_INIT;
    if (!str_ends(f->path, ".safetensors") || !f->etag.len || f->size == SIZE_UNKNOWN) return false;
    if (cache_find(&s->cache, s->listing.commit, f->path, &ignored) || cache_has_blob(&s->cache, f->etag)) return false;
    const char *header = header_path(s, f);
    return header && !header_is_there(header, f->size);
}

static void keep_header(hub_session *s, const http_job *job, const hub_file *f)
{
    pg_error ignored = PG_ERROR_INIT;
    uint64_t need;
    const buffer *b = job->sink.memory;
    span have = {(const uint8_t *)b->ptr, b->len, 0};
    const char *path = header_path(s, f);
    if (!job->done || !path || check_result(s, &job->result, f, &ignored)) return;
    if (extent_safetensors(have, f->size, &need, &ignored) || need > b->len) return;
    if (!write_sparse(s, path, f->size, b, &ignored)) s->fetched++;
}

void fetch_headers_ahead(hub_session *s, const hub_file *const *files, size_t count)
{
    enum { BATCH = 32 }; /* of 100 kB each */
    pg_error ignored = PG_ERROR_INIT;
    if (s->offline || (!s->net && http_open(&s->net, s->config, s->a, &ignored))) return;
    for (size_t i = 0; i < count;) {
        http_job jobs[BATCH];
        buffer bodies[BATCH];
        const hub_file *wanted[BATCH];
        size_t n = 0;
        for (; i < count && n < BATCH; i++) {
            const hub_file *f = files[i];
            const char *url = is_wanted(s, f) ? file_url(s, f->path) : NULL;
            const char *name = url ? hub_text(s->a, "%.*s", STR_ARG(f->path)) : NULL;
            if (!name) continue;
            buffer_init(&bodies[n], s->alloc);
            wanted[n] = f;
            jobs[n] = (http_job){.url = url};
            jobs[n].sink = (http_sink){.memory = &bodies[n], .fd = -1, .size = f->size, .name = name};
            jobs[n++].sink.most = f->size < HEADER_FIRST ? f->size : HEADER_FIRST;
        }
        if (n > 1) http_get_many(s->net, jobs, n);
        for (size_t k = 0; k < n; k++) {
            keep_header(s, &jobs[k], wanted[k]);
            buffer_free(&bodies[k]);
        }
    }
}

pg_code fetch_header(const char **path, hub_session *s, const hub_file *file, pg_error *e)
{
    pg_error why = PG_ERROR_INIT;
    hub_file f = *file;
    *path = cache_find(&s->cache, s->listing.commit, f.path, &why);
    if (why.code) return error_set(e, why.code, "%s", why.text);
    if (*path) return PG_E_OK;
    if (f.etag.len && cache_has_blob(&s->cache, f.etag)) return fetch_whole(path, s, file, e);
    pg_code code = PG_E_OK;
    if (!s->offline) code = look_up(s, &f, e);
    if (code) return code;
    const char *header = header_path(s, &f);
    if (f.etag.len && !header) return error_nomem(e, s->a);
    if (!header || !header_is_there(header, f.size)) {
        if (s->offline) return not_cached(s, &f, e);
        buffer bytes;
        buffer_init(&bytes, s->alloc);
        code = fetch_extent(s, &f, &bytes, e);
        if (!code) code = write_sparse(s, header, f.size, &bytes, e);
        buffer_free(&bytes);
        s->fetched++;
    }
    *path = header;
    return code;
}
