/* Keeping what was fetched: one transaction for each answer of a cloud. */
#ifndef PHANTOM_NO_HUB

#define _DEFAULT_SOURCE
#include "price/cache_db.h"

#include <errno.h>
#include <unistd.h>

static pg_code write_error(pg_error *e, int err, const char *why, const char *path)
{
    if (err == ENOSPC || err == EDQUOT || err == EFBIG)
        return error_set(
            e, PG_E_IO,
            "no space is left for '%.200s'; the prices are as they were (XDG_CACHE_HOME names another folder)", path);
    return error_set(e, PG_E_IO,
                     "'%.200s' can't be written: %s; the prices are as they were (XDG_CACHE_HOME names another folder)",
                     path, why ? why : strerror(err));
}

static pg_code make_folders(const char *path, pg_error *e)
{
    char part[PRICE_PATH];
    for (size_t i = 1; path[i]; i++) {
        if (path[i] != '/') continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0777) != 0 && errno != EEXIST) {
            struct stat st;
            int err = errno;
            if (stat(part, &st) != 0 || !S_ISDIR(st.st_mode)) return write_error(e, err, NULL, part);
        }
    }
    return PG_E_OK;
}

/* A link is taken away, not followed. */
static pg_code prepare_place(const char *path, bool *too_large, pg_error *e)
{
    struct stat st;
    pg_code code = make_folders(path, e);
    *too_large = false;
    if (code || lstat(path, &st) != 0) return code;
    if (S_ISDIR(st.st_mode)) return write_error(e, EISDIR, NULL, path);
    if (!S_ISREG(st.st_mode) && unlink(path) != 0) return write_error(e, errno, NULL, path);
    *too_large = S_ISREG(st.st_mode) && st.st_size > CACHE_SIZE_MOST;
    return PG_E_OK;
}

static pg_code database_error(const cache_db *db, int code, const char *path, pg_error *e)
{
    int err = db->h ? db->s->system_errno(db->h) : ENAMETOOLONG; /* without a handle its path was refused */
    if (code == SQLITE_NOMEM) return error_set(e, PG_E_NOMEM, "out of memory");
    if (code == SQLITE_BUSY || code == SQLITE_LOCKED)
        return error_set(e, PG_E_IO, "another update has held '%.200s' for %d s; try again when it is done", path,
                         CACHE_WRITE_MS / 1000);
    if (code == SQLITE_FULL) return write_error(e, ENOSPC, NULL, path);
    if (err && (code == SQLITE_IOERR || code == SQLITE_CANTOPEN)) return write_error(e, err, NULL, path);
    return write_error(e, 0, db->s->errstr(code), path);
}

static void bind_text(const cache_db *db, sqlite3_stmt *q, int at, const char *text)
{
    if (text) db->s->bind_text(q, at, text, -1, SQLITE_STATIC);
    else db->s->bind_null(q, at);
}

static int put_row(const cache_db *db, sqlite3_stmt *q, const price_row *r)
{
    const sqlite_api *s = db->s;
    bind_text(db, q, 1, r->cloud);
    bind_text(db, q, 2, r->region);
    bind_text(db, q, 3, r->instance);
    bind_text(db, q, 4, r->gpu);
    s->bind_double(q, 5, r->gpu_count);
    s->bind_int64(q, 6, r->vcpus);
    s->bind_double(q, 7, r->memory_gb);
    s->bind_double(q, 8, r->on_demand_usd);
    if (r->spot_usd > 0) s->bind_double(q, 9, r->spot_usd);
    else s->bind_null(q, 9);
    bind_text(db, q, 10, r->as_of);
    bind_text(db, q, 11, r->spot_usd > 0 ? r->spot_as_of : NULL);
    bind_text(db, q, 12, r->source);
    int code = s->step(q) & 0xff;
    s->reset(q);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

/* A spot price that was not fetched stays, with its date. */
static int put_rows(const cache_db *db, const price_rows *rows)
{
    static const char sql[] =
        "INSERT INTO prices(cloud, region, instance, gpu, gpu_count, vcpus, memory_gb, on_demand_usd, spot_usd, as_of, "
        "spot_as_of, source) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) "
        "ON CONFLICT(cloud, region, instance) DO UPDATE SET gpu = excluded.gpu, gpu_count = excluded.gpu_count, "
        "vcpus = excluded.vcpus, memory_gb = excluded.memory_gb, on_demand_usd = excluded.on_demand_usd, "
        "spot_as_of = CASE WHEN excluded.spot_usd IS NOT NULL THEN excluded.spot_as_of "
        "WHEN prices.spot_usd IS NULL THEN NULL ELSE coalesce(prices.spot_as_of, prices.as_of) END, "
        "spot_usd = coalesce(excluded.spot_usd, prices.spot_usd), as_of = excluded.as_of, source = excluded.source";
    sqlite3_stmt *q;
    int code = db->s->prepare_v2(db->h, sql, -1, &q, NULL) & 0xff;
    for (size_t i = 0; i < rows->count && !code; i++) code = put_row(db, q, &rows->list[i]);
    db->s->finalize(q);
    return code;
}

static int put_stamps(const cache_db *db, const price_scope *scope)
{
    sqlite3_stmt *q;
    int code = db->s->prepare_v2(db->h,
                                 "INSERT OR REPLACE INTO fetched(cloud, region, spot, at) VALUES(?1, ?2, ?3, ?4)", -1,
                                 &q, NULL) &
               0xff;
    if (code) return code;
    size_t n = scope->region_count ? scope->region_count : 1;
    for (size_t i = 0; i < n && !code; i++) {
        db->s->bind_text(q, 1, scope->cloud, -1, SQLITE_STATIC);
        db->s->bind_text(q, 2, scope->region_count ? scope->regions[i] : "", -1, SQLITE_STATIC);
        db->s->bind_int64(q, 3, scope->spot);
        db->s->bind_int64(q, 4, scope->at);
        code = db->s->step(q) & 0xff;
        code = code == SQLITE_DONE ? SQLITE_OK : code;
        db->s->reset(q);
    }
    db->s->finalize(q);
    return code;
}

/* One price that makes no sense would keep all from being read. */
static int check_rows(const cache_db *db, const allocator *alloc)
{
    arena a;
    arena_init(&a, *alloc, 32u << 20);
    price_rows rows = {.a = &a};
    int code = cache_db_rows(db, &rows, &a);
    arena_free(&a);
    return code;
}

/* SQLite may begin to write to a file that can't be written; a header may claim that of one that can. */
static int check_writable(const cache_db *db, const char *path)
{
    if (!db->s->db_readonly(db->h, "main")) return SQLITE_OK;
    return access(path, W_OK) == 0 ? SQLITE_CORRUPT : SQLITE_READONLY;
}

/* Checked under the lock, so that nobody changes it between. */
static int write_all(cache_db *db, const char *path, const price_rows *rows, const price_scope *scope)
{
    int code = cache_db_run(db, "BEGIN IMMEDIATE");
    if (code && code != SQLITE_READONLY) return code;
    code = check_writable(db, path);
    if (!code) code = cache_db_check(db);
    if (!code) code = db->empty ? cache_db_make(db) : check_rows(db, &rows->a->alloc);
    if (!code) code = put_rows(db, rows);
    if (!code && scope) code = put_stamps(db, scope);
    if (!code) code = cache_db_run(db, "COMMIT");
    if (code) cache_db_run(db, "ROLLBACK");
    return code;
}

pg_code price_cache_merge(const char *path, const price_rows *rows, const price_scope *scope, bool *rebuilt,
                          pg_error *e)
{
    cache_db db;
    bool too_large;
    *rebuilt = false;
    const sqlite_api *s = sqlite_load();
    if (!s)
        return error_set(e, PG_E_UNSUPPORTED,
                         "fetched prices are kept by " CACHE_NO_LIBRARY "; the built-in prices work without");
    pg_code failed = prepare_place(path, &too_large, e);
    if (failed) return failed;
    int code = cache_db_open(&db, s, path, true);
    if (!code) code = too_large ? SQLITE_CORRUPT : write_all(&db, path, rows, scope);
    if (cache_db_damaged(code)) {
        *rebuilt = true;
        cache_db_close(&db);
        code = cache_db_open(&db, s, path, true);
        if (!code) code = cache_db_empty(&db);
        if (!code) code = write_all(&db, path, rows, scope);
    }
    failed = code ? database_error(&db, code, path, e) : PG_E_OK;
    cache_db_close(&db);
    return failed;
}

#endif
