#define _POSIX_C_SOURCE 200809L
#include "price/cache.h"

#include "price/market.h"

#include <errno.h>
#include <stdlib.h>

bool price_sane(double usd)
{
    return isfinite(usd) && usd > 0 && usd < 10000;
}

bool price_name_ok(str name)
{
    bool ok = name.len > 0 && name.len <= 64;
    for (size_t i = 0; ok && i < name.len; i++) {
        char c = name.ptr[i];
        ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
             c == '-';
    }
    return ok;
}

price_row *price_rows_find(const price_rows *rows, const char *cloud, const char *region, const char *instance)
{
    for (size_t i = 0; i < rows->count; i++) {
        price_row *r = &rows->list[i];
        if (!strcmp(r->region, region) && !strcmp(r->instance, instance) && !strcmp(r->cloud, cloud)) return r;
    }
    return NULL;
}

pg_code price_rows_add(price_rows *rows, const price_row *row, pg_error *e)
{
    if (rows->count == PRICE_ROWS_MOST)
        return error_set(e, PG_E_LIMIT, "there are more than %d prices", PRICE_ROWS_MOST);
    if (rows->count == rows->cap) {
        size_t cap = rows->cap ? 2 * rows->cap : 256;
        rows->list = arena_grow(rows->a, rows->list, rows->cap, cap, sizeof *rows->list);
        rows->cap = rows->list ? cap : 0;
        if (!rows->list) {
            rows->count = 0;
            return error_nomem(e, rows->a);
        }
    }
    rows->list[rows->count++] = *row;
    return PG_E_OK;
}

/* A relative XDG folder counts as not set, as its specification says. */
bool price_cache_path(char out[PRICE_PATH])
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    size_t n = PRICE_PATH;
    if (cache && cache[0] == '/') n = format_text(out, PRICE_PATH, "%s/phantom-gpu/prices.sqlite", cache);
    else if (home && home[0]) n = format_text(out, PRICE_PATH, "%s/.cache/phantom-gpu/prices.sqlite", home);
    return n + sizeof "-journal" < PRICE_PATH;
}

#ifdef PHANTOM_NO_HUB

const char *price_cache_read(price_rows *rows, arena *a, const char *path)
{
    (void)path;
    *rows = (price_rows){.a = a};
    return NULL;
}

#else

#include "price/cache_db.h"

#define ANEW "; 'phantom-gpu prices update' makes it anew"

/* The columns of a row, as SELECT asks for them. */
enum { CLOUD, REGION, INSTANCE, GPU, GPU_COUNT, VCPUS, MEMORY, ON_DEMAND, SPOT, AS_OF, SPOT_AS_OF, SOURCE };
static const char all_rows[] =
    "SELECT cloud, region, instance, gpu, gpu_count, vcpus, memory_gb, on_demand_usd, spot_usd, "
    "as_of, spot_as_of, source FROM prices";

/* A text of one line; ptr NULL: it is none. */
static str text_at(const cache_db *db, sqlite3_stmt *q, int at)
{
    str none = {NULL, 0};
    if (db->s->column_type(q, at) != SQLITE_TEXT) return none;
    const char *text = (const char *)db->s->column_text(q, at);
    str out = {text, text ? (size_t)db->s->column_bytes(q, at) : 0};
    for (size_t i = 0; i < out.len; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 127) return none;
    return out.len <= 200 ? out : none;
}

static const char *name_at(const cache_db *db, sqlite3_stmt *q, int at, arena *a)
{
    str s = text_at(db, q, at);
    return price_name_ok(s) ? str_copy(a, s).ptr : NULL;
}

static const char *date_at(const cache_db *db, sqlite3_stmt *q, int at, arena *a)
{
    str s = text_at(db, q, at);
    return price_day(s) >= 0 ? str_copy(a, s).ptr : NULL;
}

/* Negative: no number of at least 0. */
static double number_at(const cache_db *db, sqlite3_stmt *q, int at)
{
    double x = db->s->column_type(q, at) == SQLITE_FLOAT ? db->s->column_double(q, at) : -1;
    return isfinite(x) && x >= 0 ? x : -1;
}

static bool take_row(const cache_db *db, sqlite3_stmt *q, arena *a, price_row *r)
{
    str source = text_at(db, q, SOURCE);
    bool spot = db->s->column_type(q, SPOT) != SQLITE_NULL, dated = db->s->column_type(q, SPOT_AS_OF) != SQLITE_NULL;
    sqlite3_int64 vcpus = db->s->column_type(q, VCPUS) == SQLITE_INTEGER ? db->s->column_int64(q, VCPUS) : -1;
    *r = (price_row){.cloud = name_at(db, q, CLOUD, a),
                     .region = name_at(db, q, REGION, a),
                     .instance = name_at(db, q, INSTANCE, a),
                     .gpu = name_at(db, q, GPU, a),
                     .gpu_count = number_at(db, q, GPU_COUNT),
                     .vcpus = vcpus >= 0 && vcpus < 100000 ? (int)vcpus : -1,
                     .memory_gb = number_at(db, q, MEMORY),
                     .on_demand_usd = number_at(db, q, ON_DEMAND),
                     .spot_usd = spot ? number_at(db, q, SPOT) : -1,
                     .as_of = date_at(db, q, AS_OF, a),
                     .spot_as_of = dated ? date_at(db, q, SPOT_AS_OF, a) : NULL,
                     .source = source.len ? str_copy(a, source).ptr : NULL};
    return r->cloud && r->region && r->instance && r->gpu && r->as_of && r->source && (!dated || r->spot_as_of) &&
           r->gpu_count > 0 && r->gpu_count <= 4096 && r->vcpus >= 0 && r->memory_gb >= 0 &&
           price_sane(r->on_demand_usd) && (!spot || price_sane(r->spot_usd));
}

int cache_db_rows(const cache_db *db, price_rows *rows, arena *a)
{
    sqlite3_stmt *q;
    price_row r;
    int code = db->s->prepare_v2(db->h, all_rows, -1, &q, NULL) & 0xff;
    if (code) return code;
    while ((code = db->s->step(q) & 0xff) == SQLITE_ROW)
        if (!take_row(db, q, a, &r) || price_rows_add(rows, &r, NULL)) break;
    db->s->finalize(q);
    if (a->failed) return SQLITE_NOMEM;
    return code == SQLITE_DONE ? SQLITE_OK : code == SQLITE_ROW ? SQLITE_CORRUPT : code;
}

/* NULL and *there: it can be opened. */
static const char *look_at(const char *path, bool *there)
{
    struct stat st;
    *there = false;
    if (lstat(path, &st) != 0) return errno == ENOENT || errno == ENOTDIR ? NULL : "can't be read";
    if (!S_ISREG(st.st_mode)) return "is no file" ANEW;
    if (st.st_size > CACHE_SIZE_MOST) return "is too large" ANEW;
    if (!st.st_size) return NULL; /* the first update was broken off */
    if (!sqlite_load()) return "can't be read without " CACHE_NO_LIBRARY;
    *there = true;
    return NULL;
}

const char *price_cache_read(price_rows *rows, arena *a, const char *path)
{
    cache_db db;
    bool there;
    *rows = (price_rows){.a = a};
    const char *damage = look_at(path, &there);
    if (!there) return damage;
    int code = cache_db_open(&db, sqlite_load(), path, false);
    if (!code) code = cache_db_run(&db, "BEGIN");
    if (!code) code = cache_db_check(&db);
    if (!code && !db.empty) code = cache_db_rows(&db, rows, a);
    cache_db_close(&db);
    if (!code) return NULL;
    rows->count = 0;
    if (cache_db_damaged(code)) return "is damaged" ANEW;
    return code == SQLITE_BUSY ? "is held by another program; try again" : "can't be read";
}

/* -1: never. */
static int64_t fetched_at(const cache_db *db, const char *cloud, const char *region, bool spot)
{
    sqlite3_stmt *q;
    int64_t at = -1;
    if (db->s->prepare_v2(db->h, "SELECT at FROM fetched WHERE cloud = ?1 AND region = ?2 AND spot >= ?3", -1, &q,
                          NULL))
        return -1;
    db->s->bind_text(q, 1, cloud, -1, SQLITE_STATIC);
    db->s->bind_text(q, 2, region, -1, SQLITE_STATIC);
    db->s->bind_int64(q, 3, spot);
    if ((db->s->step(q) & 0xff) == SQLITE_ROW && db->s->column_type(q, 0) == SQLITE_INTEGER)
        at = db->s->column_int64(q, 0);
    db->s->finalize(q);
    return at;
}

static bool is_fresh(const cache_db *db, const price_scope *scope, int64_t seconds)
{
    int64_t all = fetched_at(db, scope->cloud, "", scope->spot), most = scope->at, least = most - seconds;
    if (all > least && all <= most) return true; /* a stamp of the future is of a clock that was wrong */
    for (size_t i = 0; i < scope->region_count; i++) {
        int64_t at = fetched_at(db, scope->cloud, scope->regions[i], scope->spot);
        if (at <= least || at > most) return false;
    }
    return scope->region_count > 0;
}

bool price_cache_fresh(const char *path, const price_scope *scope, int64_t seconds)
{
    cache_db db;
    bool there;
    if (look_at(path, &there) || !there) return false;
    bool fresh = cache_db_open(&db, sqlite_load(), path, false) == SQLITE_OK &&
                 cache_db_run(&db, "BEGIN") == SQLITE_OK && cache_db_check(&db) == SQLITE_OK && !db.empty &&
                 is_fresh(&db, scope, seconds);
    cache_db_close(&db);
    return fresh;
}

#endif
