#define _GNU_SOURCE
#include "hub/cache.h"

#include "hub/name.h"
#include "hub/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* LOCK_STEP_MS: how often a lock is tried again. PARTIAL: what our partial files are called, so that a later run finds them. */
enum { LOCK_STEP_MS = 50, REF_MOST = 256 };
#define PARTIAL "70a47023.incomplete"

/* "org/name" -> "models--org--name" */
static const char *folder_name(arena *a, str repository)
{
    char *out = hub_text(a, "models--%.*s-", STR_ARG(repository));
    if (!out) return NULL;
    char *end = out + strlen("models--") + repository.len;
    *end = '\0';
    for (char *p = out; p < end; p++) {
        if (*p != '/') continue;
        memmove(p + 2, p + 1, (size_t)(end - p));
        p[0] = p[1] = '-';
        break;
    }
    return out;
}

pg_code cache_open(hub_cache *c, const hub_config *config, str repository, arena *a, pg_error *e)
{
    const char *folder = folder_name(a, repository);
    *c = (hub_cache){.a = a, .root = config->cache};
    if (folder) {
        c->repository = hub_text(a, "%s/%s", config->cache, folder);
        c->locks = hub_text(a, "%s/.locks/%s", config->cache, folder);
        c->own = hub_text(a, "%s/%s", config->own, folder);
    }
    return c->repository && c->locks && c->own ? PG_E_OK : error_nomem(e, a);
}

static bool is_commit(str s)
{
    return s.len >= 7 && hub_id_ok(s);
}

static str read_ref(const hub_cache *c, const char *folder, str revision, struct timespec *written)
{
    struct stat st;
    const char *path = hub_text(c->a, "%s/refs/%.*s", folder, STR_ARG(revision));
    if (!path || stat(path, &st) != 0) return (str){NULL, 0};
    *written = st.st_mtim;
    str text = hub_file_read(c->a, path, REF_MOST);
    while (text.len && (text.ptr[text.len - 1] == '\n' || text.ptr[text.len - 1] == ' ')) text.len--;
    return is_commit(text) ? text : (str){NULL, 0};
}

static bool is_hash(str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!((s.ptr[i] >= '0' && s.ptr[i] <= '9') || (s.ptr[i] >= 'a' && s.ptr[i] <= 'f'))) return false;
    return s.len == 40;
}

str cache_commit(const hub_cache *c, str revision)
{
    struct timespec ours = {0}, theirs = {0};
    if (is_hash(revision)) return revision;
    str own = read_ref(c, c->own, revision, &ours), shared = read_ref(c, c->repository, revision, &theirs);
    if (!own.len) return shared;
    bool later = ours.tv_sec != theirs.tv_sec ? ours.tv_sec > theirs.tv_sec : ours.tv_nsec >= theirs.tv_nsec;
    return shared.len && !later ? shared : own;
}

static bool is_folder(const char *path)
{
    struct stat st;
    return path && stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

pg_code cache_set_commit(const hub_cache *c, str revision, str commit, pg_error *e)
{
    struct timespec ignored;
    if (str_eq(revision, commit)) return PG_E_OK;
    const char *own = hub_text(c->a, "%s/refs/%.*s", c->own, STR_ARG(revision));
    if (!own) return error_nomem(e, c->a);
    /* a run that learns nothing new writes nothing */
    bool known = str_eq(read_ref(c, c->own, revision, &ignored), commit) && str_eq(cache_commit(c, revision), commit);
    return known ? PG_E_OK : hub_file_write(c->a, own, commit, e);
}

pg_code cache_share_commit(const hub_cache *c, str revision, str commit, pg_error *e)
{
    struct timespec ignored;
    str now = read_ref(c, c->repository, revision, &ignored);
    if (str_eq(revision, commit) || str_eq(now, commit)) return PG_E_OK;
    if (now.len && is_folder(hub_text(c->a, "%s/snapshots/%.*s", c->repository, STR_ARG(now)))) return PG_E_OK;
    const char *shared = hub_text(c->a, "%s/refs/%.*s", c->repository, STR_ARG(revision));
    return shared ? hub_file_write(c->a, shared, commit, e) : error_nomem(e, c->a);
}

/* The path without links, when it lies within the repository's folder. */
static const char *inside(const hub_cache *c, const char *path, pg_error *e)
{
    char *real = realpath(path, NULL), *folder = real ? realpath(c->repository, NULL) : NULL;
    const char *out = NULL;
    size_t n = folder ? strlen(folder) : 0;
    if (folder && strncmp(real, folder, n) == 0 && real[n] == '/') {
        out = hub_text(c->a, "%s", real);
        if (!out) error_nomem(e, c->a);
    } else if (folder) {
        error_set(e, PG_E_FORMAT, "'%.200s' in the cache is a link that leads out of its repository's folder: refused",
                  path + strlen(c->root) + 1);
    }
    free(real);
    free(folder);
    return out;
}

/* Whether the folder that a file is about to be made in lies where it should: a link in its place would lead elsewhere. */
static bool folder_inside(const hub_cache *c, const char *file, pg_error *e)
{
    size_t n = strlen(file);
    while (n && file[n - 1] != '/') n--;
    const char *folder = n ? hub_text(c->a, "%.*s", (int)n - 1, file) : NULL;
    pg_error why = PG_ERROR_INIT;
    if (folder && inside(c, folder, &why)) return true;
    error_set(e, why.code ? why.code : PG_E_IO, "%s", why.code ? why.text : "the cache's folder went away");
    return false;
}

static const char *snapshot_path(const hub_cache *c, str commit, str path)
{
    return hub_text(c->a, "%s/snapshots/%.*s/%.*s", c->repository, STR_ARG(commit), STR_ARG(path));
}

const char *cache_find(const hub_cache *c, str commit, str path, pg_error *e)
{
    struct stat st;
    if (!hub_id_ok(commit) || !hub_path_ok(path)) return NULL;
    const char *name = snapshot_path(c, commit, path);
    if (!name || stat(name, &st) != 0 || !S_ISREG(st.st_mode)) return NULL;
    return inside(c, name, e);
}

static const char *blob_path(const hub_cache *c, str etag)
{
    return hub_text(c->a, "%s/blobs/%.*s", c->repository, STR_ARG(etag));
}

bool cache_has_blob(const hub_cache *c, str etag)
{
    struct stat st;
    const char *path = hub_id_ok(etag) ? blob_path(c, etag) : NULL;
    return path && lstat(path, &st) == 0 && S_ISREG(st.st_mode);
}

const char *cache_link(const hub_cache *c, str commit, str path, str etag, pg_error *e)
{
    const char *name = snapshot_path(c, commit, path), *temporary;
    const char *up = hub_text(c->a, "%s", "../../");
    for (size_t i = 0; up && i < path.len; i++)
        if (path.ptr[i] == '/') up = hub_text(c->a, "%s../", up);
    const char *target = up ? hub_text(c->a, "%sblobs/%.*s", up, STR_ARG(etag)) : NULL;
    if (!name || !target) {
        error_nomem(e, c->a);
        return NULL;
    }
    if (hub_folder_for(name, e) || !folder_inside(c, name, e)) return NULL;
    int fd = hub_temporary(c->a, name, &temporary, e); /* takes a name that is free */
    if (fd < 0) return NULL;
    close(fd);
    unlink(temporary);
    if (symlink(target, temporary) != 0) {
        /* a file system without links: the file stands there itself, as Python does it */
        if (rename(blob_path(c, etag), name) != 0) {
            hub_write_error(e, errno, name);
            return NULL;
        }
    } else if (rename(temporary, name) != 0) {
        int err = errno;
        unlink(temporary);
        hub_write_error(e, err, name);
        return NULL;
    }
    return inside(c, name, e);
}

static const char *missing_path(const hub_cache *c, str commit, str path)
{
    return hub_text(c->a, "%s/.no_exist/%.*s/%.*s", c->repository, STR_ARG(commit), STR_ARG(path));
}

bool cache_is_known_missing(const hub_cache *c, str commit, str path)
{
    const char *name = hub_id_ok(commit) && hub_path_ok(path) ? missing_path(c, commit, path) : NULL;
    return name && access(name, F_OK) == 0;
}

pg_code cache_set_missing(const hub_cache *c, str commit, str path, pg_error *e)
{
    const char *name = missing_path(c, commit, path);
    return name ? hub_file_write(c->a, name, STR(""), e) : error_nomem(e, c->a);
}

/* CACHEDIR.TAG tells backup programs what to leave out. */
static pg_code tag_cache(const hub_cache *c, pg_error *e)
{
    static const char text[] = "Signature: 8a477f597d28d172789f06886806bc55\n"
                               "# This folder holds what was fetched from the Hugging Face Hub.\n";
    const char *path = hub_text(c->a, "%s/CACHEDIR.TAG", c->root);
    if (!path) return error_nomem(e, c->a);
    return access(path, F_OK) == 0 ? PG_E_OK : hub_file_write(c->a, path, str_c(text), e);
}

/* -1: not to be had, be it that somebody holds it for too long or that the file system knows no locks. */
static int take_lock(const hub_cache *c, const hub_config *config, str etag)
{
    const char *path = hub_text(c->a, "%s/%.*s.lock", c->locks, STR_ARG(etag));
    pg_error ignored = PG_ERROR_INIT;
    if (!path || hub_folder_for(path, &ignored)) return -1;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    for (unsigned waited = 0; fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0; waited += LOCK_STEP_MS) {
        if ((errno != EWOULDBLOCK && errno != EINTR) || waited >= config->read_ms) {
            close(fd);
            return -1;
        }
        if (config->wait) config->wait(config->wait_ud, LOCK_STEP_MS);
        else usleep(LOCK_STEP_MS * 1000);
    }
    return fd;
}

static void unlock(cache_blob *b)
{
    if (b->lock >= 0) close(b->lock);
    b->lock = -1;
}

/* The partial file, unless the blob came while we waited for the lock. */
static pg_code open_partial(cache_blob *b, const hub_cache *c, str etag, pg_error *e)
{
    struct stat st;
    if (cache_has_blob(c, etag)) return PG_E_OK;
    if (b->lock < 0) {
        b->fd = hub_temporary(c->a, b->path, &b->partial, e);
        return b->fd < 0 ? (e ? e->code : PG_E_IO) : PG_E_OK;
    }
    b->partial = hub_text(c->a, "%s." PARTIAL, b->path);
    if (!b->partial) return error_nomem(e, c->a);
    b->fd = open(b->partial, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (b->fd < 0 || fstat(b->fd, &st) != 0) return hub_write_error(e, errno, b->partial);
    b->have = (uint64_t)st.st_size;
    return PG_E_OK;
}

pg_code cache_blob_begin(cache_blob *b, const hub_cache *c, const hub_config *config, str etag, pg_error *e)
{
    *b = (cache_blob){.fd = -1, .lock = -1};
    if (!hub_id_ok(etag)) return error_set(e, PG_E_FORMAT, "the Hub names a file's contents as no file can be called");
    b->path = blob_path(c, etag);
    if (!b->path) return error_nomem(e, c->a);
    pg_code code = hub_folder_for(b->path, e);
    if (!code) code = tag_cache(c, e);
    if (!code && !folder_inside(c, b->path, e)) code = e ? e->code : PG_E_FORMAT;
    if (code) return code;
    b->lock = take_lock(c, config, etag);
    code = open_partial(b, c, etag, e);
    if (code) cache_blob_stop(b);
    return code;
}

pg_code cache_blob_end(cache_blob *b, pg_error *e)
{
    pg_code code = b->fd >= 0 ? hub_keep(b->fd, b->partial, b->path, true, e) : PG_E_OK;
    b->fd = -1;
    unlock(b);
    return code;
}

void cache_blob_drop(cache_blob *b)
{
    if (b->fd >= 0) unlink(b->partial);
    cache_blob_stop(b);
}

void cache_blob_stop(cache_blob *b)
{
    if (b->fd >= 0) {
        close(b->fd);
        if (b->lock < 0) unlink(b->partial); /* nobody would find it again */
    }
    b->fd = -1;
    unlock(b);
}
