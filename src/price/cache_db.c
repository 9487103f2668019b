#ifndef PHANTOM_NO_HUB

#define _XOPEN_SOURCE 700
#include "price/cache_db.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { VERSION = 1, PATH_MOST = 480 }; /* SQLite takes paths of 512 bytes, with the ending of its journal */
#define APPLICATION "1346850928"       /* "PGPp", as application_id wants it */

/* By name, as the schema is read. SQLite keeps these texts as they are. */
static const char *const tables[] = {
    "CREATE TABLE fetched(cloud TEXT NOT NULL, region TEXT NOT NULL, spot INTEGER NOT NULL, at INTEGER NOT NULL, PRIMARY KEY(cloud, region)) "
    "STRICT, WITHOUT ROWID",
    "CREATE TABLE prices(cloud TEXT NOT NULL, region TEXT NOT NULL, instance TEXT NOT NULL, gpu TEXT NOT NULL, "
    "gpu_count REAL NOT NULL, vcpus INTEGER NOT NULL, memory_gb REAL NOT NULL, on_demand_usd REAL NOT NULL, "
    "spot_usd REAL, as_of TEXT NOT NULL, spot_as_of TEXT, source TEXT NOT NULL, PRIMARY KEY(cloud, region, instance)) "
    "STRICT, WITHOUT ROWID",
};
enum { TABLES = sizeof tables / sizeof tables[0] };

bool cache_db_damaged(int code)
{
    return code == SQLITE_CORRUPT || code == SQLITE_NOTADB || code == SQLITE_ERROR || code == SQLITE_TOOBIG ||
           code == SQLITE_SCHEMA || code == SQLITE_MISMATCH || code == SQLITE_CONSTRAINT;
}

int cache_db_run(cache_db *db, const char *sql)
{
    return db->s->exec(db->h, sql, NULL, NULL, NULL) & 0xff;
}

/* The folder may be behind links, the file itself may not be one. */
static bool real_path(char out[PRICE_PATH], const char *path)
{
    char folder[PRICE_PATH];
    const char *name = strrchr(path, '/');
    format_text(folder, sizeof folder, "%.*s", (int)(name - path), path);
    char *real = realpath(folder[0] ? folder : "/", NULL);
    size_t n = real ? format_text(out, PRICE_PATH, "%s%s", real, name) : PRICE_PATH;
    free(real);
    return n <= PATH_MOST;
}

/* What SQLite would take for its own beside the file. A journal of ours is small and never names another one, which SQLite would
 * delete wherever it is; a log of the other kind we never have. */
static void drop_strange_files(const char *path)
{
    static const unsigned char magic[8] = {0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7};
    static const char *const logs[] = {"-wal", "-shm"};
    char name[PRICE_PATH];
    unsigned char end[8] = {0};
    struct stat st;
    for (size_t i = 0; i < 2; i++) {
        format_text(name, sizeof name, "%s%s", path, logs[i]);
        unlink(name);
    }
    format_text(name, sizeof name, "%s-journal", path);
    int fd = open(name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return;
    bool strange = fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > 2 * CACHE_SIZE_MOST ||
                   (st.st_size > 8 && pread(fd, end, 8, st.st_size - 8) == 8 && !memcmp(end, magic, 8));
    close(fd);
    if (strange) unlink(name);
}

static void restrict_all(cache_db *db)
{
    static const struct {
        int option, value;
    } options[] = {
        {SQLITE_DBCONFIG_DEFENSIVE, 1},   {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0}, {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0},
        {SQLITE_DBCONFIG_ENABLE_VIEW, 0}, {SQLITE_DBCONFIG_DQS_DDL, 0},        {SQLITE_DBCONFIG_DQS_DML, 0},
    };
    static const struct {
        int what, most;
    } limits[] = {
        {SQLITE_LIMIT_LENGTH, 1 << 20},         {SQLITE_LIMIT_SQL_LENGTH, 4096}, {SQLITE_LIMIT_COLUMN, 32},
        {SQLITE_LIMIT_EXPR_DEPTH, 32},          {SQLITE_LIMIT_ATTACHED, 1},      {SQLITE_LIMIT_FUNCTION_ARG, 8},
        {SQLITE_LIMIT_COMPOUND_SELECT, 2},      {SQLITE_LIMIT_VDBE_OP, 10000},   {SQLITE_LIMIT_VARIABLE_NUMBER, 16},
        {SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 16}, {SQLITE_LIMIT_TRIGGER_DEPTH, 1}, {SQLITE_LIMIT_WORKER_THREADS, 0},
    };
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        db->s->db_config(db->h, options[i].option, options[i].value, (int *)NULL);
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) db->s->limit(db->h, limits[i].what, limits[i].most);
}

int cache_db_open(cache_db *db, const sqlite_api *s, const char *path, bool write)
{
    char real[PRICE_PATH];
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW | (write ? SQLITE_OPEN_CREATE : 0);
    *db = (cache_db){.s = s};
    if (!real_path(real, path)) return SQLITE_CANTOPEN;
    drop_strange_files(real);
    int code = s->open_v2(real, &db->h, flags, NULL) & 0xff;
    if (code) return code;
    restrict_all(db);
    code = s->busy_timeout(db->h, write ? CACHE_WRITE_MS : CACHE_READ_MS);
    return code ? code : cache_db_run(db, "PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 0");
}

void cache_db_close(cache_db *db)
{
    if (db->h) db->s->close_v2(db->h);
    db->h = NULL;
}

/* Whether the statement gives one row with that text; a code otherwise. */
static int expect(cache_db *db, const char *sql, const char *text)
{
    sqlite3_stmt *q;
    int code = db->s->prepare_v2(db->h, sql, -1, &q, NULL) & 0xff;
    if (code) return code;
    code = db->s->step(q) & 0xff;
    if (code == SQLITE_ROW) {
        const char *have = (const char *)db->s->column_text(q, 0);
        code = have && !strcmp(have, text) ? SQLITE_OK : SQLITE_CORRUPT;
    } else if (code == SQLITE_DONE) {
        code = SQLITE_CORRUPT;
    }
    db->s->finalize(q);
    return code;
}

/* Nothing but our tables, letter for letter: so nothing that a schema can hold is ever run. */
static int check_schema(cache_db *db)
{
    sqlite3_stmt *q;
    size_t n = 0;
    int code = db->s->prepare_v2(db->h, "SELECT sql FROM sqlite_schema ORDER BY name", -1, &q, NULL) & 0xff;
    if (code) return code;
    bool same = true;
    while ((code = db->s->step(q) & 0xff) == SQLITE_ROW && same) {
        const char *sql = (const char *)db->s->column_text(q, 0);
        same = n < TABLES && sql && !strcmp(sql, tables[n]);
        n++;
    }
    db->s->finalize(q);
    if (!same) return SQLITE_CORRUPT;
    if (code != SQLITE_DONE) return code;
    db->empty = n == 0;
    return n == 0 || n == TABLES ? SQLITE_OK : SQLITE_CORRUPT;
}

int cache_db_check(cache_db *db)
{
    char version[16];
    int code = check_schema(db);
    format_text(version, sizeof version, "%d", db->empty ? 0 : VERSION);
    if (!code) code = expect(db, "PRAGMA application_id", db->empty ? "0" : APPLICATION);
    if (!code) code = expect(db, "PRAGMA user_version", version);
    if (!code) code = expect(db, "PRAGMA journal_mode", "delete"); /* others leave more files */
    if (!code) code = expect(db, "PRAGMA quick_check(1)", "ok");
    return code;
}

int cache_db_make(cache_db *db)
{
    char sql[120];
    int code = SQLITE_OK;
    for (size_t i = 0; i < TABLES && !code; i++) code = cache_db_run(db, tables[i]);
    format_text(sql, sizeof sql, "PRAGMA application_id = %s; PRAGMA user_version = %d", APPLICATION, VERSION);
    return code ? code : cache_db_run(db, sql);
}

/* The way that SQLite's documentation gives for a file that can't be read, too: it keeps the locks, as unlinking would not. The header
 * must not have been read: it may say that the file is read only. */
int cache_db_empty(cache_db *db)
{
    int code = db->s->db_config(db->h, SQLITE_DBCONFIG_RESET_DATABASE, 1, (int *)NULL);
    if (!code) code = cache_db_run(db, "VACUUM");
    db->s->db_config(db->h, SQLITE_DBCONFIG_RESET_DATABASE, 0, (int *)NULL);
    return code ? code : cache_db_run(db, "PRAGMA journal_mode = DELETE");
}

#endif
