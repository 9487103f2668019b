#define _DEFAULT_SOURCE /* flock */
#include "price/cache.h"

#include "base/json.h"
#include "price/market.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { FILE_MOST = 8 << 20, LOCK_TRIES = 200, LOCK_WAIT_MS = 50 };

static const char columns[] =
    "cloud,region,instance,gpu,gpu_count,vcpus,memory_gb,on_demand,spot,as_of,source,spot_as_of";

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
    if (cache && cache[0] == '/') n = format_text(out, PRICE_PATH, "%s/phantom-gpu/prices.csv", cache);
    else if (home && home[0]) n = format_text(out, PRICE_PATH, "%s/.cache/phantom-gpu/prices.csv", home);
    return n + sizeof ".lock" + 16 < PRICE_PATH;
}

/* ---------------------------------------------------------------- reading ---- */

/* ptr NULL and *damage NULL: there is no file. */
static str read_text(arena *a, const char *path, const char **damage)
{
    str none = {NULL, 0};
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    *damage = NULL;
    if (fd < 0) {
        if (errno != ENOENT && errno != ENOTDIR) *damage = "can't be read";
        return none;
    }
    char *text = NULL;
    size_t have = 0;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) *damage = "is no file";
    else if (st.st_size > FILE_MOST) *damage = "is too large";
    else text = arena_alloc(a, (size_t)st.st_size + 1);
    while (text && have < (size_t)st.st_size) {
        ssize_t n = read(fd, text + have, (size_t)st.st_size - have);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        have += (size_t)n;
    }
    close(fd);
    return text ? (str){text, have} : none;
}

static bool take_row(const price_table *t, arena *a, price_row *r)
{
    static const char *const names[] = {"region", "instance", "cloud", "gpu"};
    const char *texts[4];
    for (size_t i = 0; i < 4; i++) {
        str cell = price_table_cell(t, names[i]);
        texts[i] = price_name_ok(cell) ? str_copy(a, cell).ptr : NULL;
        if (!texts[i]) return false;
    }
    str spot = price_table_cell(t, "spot"), as_of = price_table_cell(t, "as_of");
    str spot_as_of = price_table_cell(t, "spot_as_of");
    double vcpus = price_table_number(t, "vcpus"), memory = price_table_number(t, "memory_gb");
    *r = (price_row){.region = texts[0],
                     .instance = texts[1],
                     .cloud = texts[2],
                     .gpu = texts[3],
                     .gpu_count = price_table_number(t, "gpu_count"),
                     .vcpus = vcpus > 0 && vcpus < 1e5 ? (int)vcpus : 0,
                     .memory_gb = memory > 0 ? memory : 0,
                     .on_demand_usd = price_table_number(t, "on_demand"),
                     .spot_usd = price_table_number(t, "spot"),
                     .as_of = str_copy(a, as_of).ptr,
                     .source = price_table_source(t),
                     .spot_as_of = spot_as_of.len ? str_copy(a, spot_as_of).ptr : NULL};
    return (!spot_as_of.len || (price_day(spot_as_of) >= 0 && r->spot_as_of)) && r->as_of && r->source &&
           price_day(as_of) >= 0 && r->gpu_count > 0 && r->gpu_count <= 4096 && price_sane(r->on_demand_usd) &&
           (spot.len ? price_sane(r->spot_usd) : r->spot_usd < 0);
}

/* Whether the text ends as a whole one does. */
static bool is_whole(str text, size_t count)
{
    char end[32];
    format_text(end, sizeof end, "\n#end %zu\n", count);
    return str_ends(text, end);
}

const char *price_cache_read(price_rows *rows, arena *a, const char *path)
{
    const char *damage;
    price_table t;
    *rows = (price_rows){.a = a};
    str text = read_text(a, path, &damage);
    if (!text.ptr || damage) return damage;
    damage = "is damaged";
    if (memchr(text.ptr, '\0', text.len) || price_table_open(&t, a, text, NULL)) return damage;
    for (int more; (more = price_table_next(&t)) != 0;) {
        price_row r;
        if (more < 0 || !take_row(&t, a, &r) || price_rows_add(rows, &r, NULL)) {
            rows->count = 0;
            return damage;
        }
    }
    if (is_whole(text, rows->count)) return NULL;
    rows->count = 0;
    return damage;
}

/* ---------------------------------------------------------------- writing ---- */

static pg_code write_error(pg_error *e, int err, const char *path)
{
    if (err == ENOSPC || err == EDQUOT || err == EFBIG)
        return error_set(
            e, PG_E_IO,
            "no space is left for '%.200s'; the prices are as they were (XDG_CACHE_HOME names another folder)", path);
    return error_set(e, PG_E_IO,
                     "'%.200s' can't be written: %s; the prices are as they were (XDG_CACHE_HOME names another folder)",
                     path, strerror(err));
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
            if (stat(part, &st) != 0 || !S_ISDIR(st.st_mode)) return write_error(e, err, part);
        }
    }
    return PG_E_OK;
}

/* The lock ends with the descriptor, also where the process dies. -1: *e says why. */
static int lock(const char *path, pg_error *e)
{
    char name[PRICE_PATH];
    format_text(name, sizeof name, "%s.lock", path);
    int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) {
        write_error(e, errno, name);
        return -1;
    }
    for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; i++) {
        struct timespec pause = {0, LOCK_WAIT_MS * 1000000};
        if (errno == EINTR) continue;
        if (errno != EWOULDBLOCK || i == LOCK_TRIES) {
            if (errno == EWOULDBLOCK)
                error_set(e, PG_E_IO, "another update has held '%.200s' for %d s; try again when it is done", name,
                          LOCK_TRIES * LOCK_WAIT_MS / 1000);
            else write_error(e, errno, name);
            close(fd);
            return -1;
        }
        nanosleep(&pause, NULL);
    }
    return fd;
}

static pg_code write_text(const char *path, const buffer *text, pg_error *e)
{
    char name[PRICE_PATH];
    int err = 0;
    format_text(name, sizeof name, "%s.incomplete", path); /* one at a time: under the lock */
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd < 0) return write_error(e, errno, name);
    for (size_t at = 0; !err && at < text->len;) {
        ssize_t n = write(fd, text->ptr + at, text->len - at);
        if (n >= 0) at += (size_t)n;
        else if (errno != EINTR) err = errno;
    }
    if (!err && fsync(fd) != 0 && errno != EINVAL) err = errno;
    if (close(fd) != 0 && !err) err = errno;
    if (!err && rename(name, path) != 0) err = errno;
    if (!err) return PG_E_OK;
    unlink(name);
    return write_error(e, err, path);
}

/* The number of a source, which is listed where it is new. */
static size_t source_number(const char **sources, size_t *count, const char *source)
{
    size_t i = 0;
    while (i < *count && strcmp(sources[i], source) != 0) i++;
    if (i == *count && i < PRICE_SOURCES - 1) sources[(*count)++] = source;
    return i;
}

static void put_table(buffer *out, const price_rows *rows)
{
    const char *sources[PRICE_SOURCES];
    size_t count = 0;
    buffer_text(
        out,
        "# Prices that 'phantom-gpu prices update' fetched, USD an hour of a whole instance. Written anew by each update.\n");
    for (size_t i = 0; i < rows->count; i++) source_number(sources, &count, rows->list[i].source);
    for (size_t i = 0; i < count; i++) buffer_format(out, "#source %zu %s\n", i + 1, sources[i]);
    buffer_format(out, "%s\n", columns);
    for (size_t i = 0; i < rows->count; i++) {
        const price_row *r = &rows->list[i];
        buffer_format(out, "%s,%s,%s,%s,%.9g,%d,%.9g,%.9g,", r->cloud, r->region, r->instance, r->gpu, r->gpu_count,
                      r->vcpus, r->memory_gb, r->on_demand_usd);
        if (r->spot_usd > 0) buffer_format(out, "%.9g", r->spot_usd);
        buffer_format(out, ",%s,%zu,%s\n", r->as_of, source_number(sources, &count, r->source) + 1,
                      r->spot_usd > 0 && r->spot_as_of ? r->spot_as_of : "");
    }
    buffer_format(out, "#end %zu\n", rows->count);
}

/* The new row in the old one's place; a spot price that was not fetched stays, with its date. */
static void replace(price_row *old, const price_row *row)
{
    price_row r = *row;
    if (r.spot_usd <= 0 && old->spot_usd > 0) {
        r.spot_usd = old->spot_usd;
        r.spot_as_of = old->spot_as_of ? old->spot_as_of : old->as_of;
    }
    *old = r;
}

static pg_code merge(const char *path, const price_rows *rows, bool *rebuilt, pg_error *e)
{
    price_rows all;
    *rebuilt = price_cache_read(&all, rows->a, path) != NULL;
    pg_code code = rows->a->failed ? error_nomem(e, rows->a) : PG_E_OK;
    for (size_t i = 0; i < rows->count && !code; i++) {
        const price_row *r = &rows->list[i];
        price_row *old = price_rows_find(&all, r->cloud, r->region, r->instance);
        if (old) replace(old, r);
        else code = price_rows_add(&all, r, e);
    }
    if (code) return code;
    buffer text;
    buffer_init(&text, rows->a->alloc);
    put_table(&text, &all);
    code = text.failed ? error_set(e, PG_E_NOMEM, "out of memory") : write_text(path, &text, e);
    buffer_free(&text);
    return code;
}

pg_code price_cache_merge(const char *path, const price_rows *rows, bool *rebuilt, pg_error *e)
{
    *rebuilt = false;
    pg_code code = make_folders(path, e);
    if (code) return code;
    int fd = lock(path, e);
    if (fd < 0) return PG_E_IO;
    code = merge(path, rows, rebuilt, e);
    close(fd);
    return code;
}
