/* The database of fetched prices: what it keeps, and what becomes of one that is damaged, hostile or out of reach. */
#define _DEFAULT_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "price/cache_db.h"
#include "price/market.h"
#include "support/expect.h"
#include "support/gpus.h"
#include "support/heap.h"
#include "support/hub_server.h"

static char folder[64], path[PRICE_PATH]; /* XDG_CACHE_HOME, and the database in it */

static const allocator by_malloc = {heap_plain, NULL};
/* Each test has a cache of its own. */
static int make_cache(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/phantom-cache-XXXXXX");
    if (!mkdtemp(folder) || setenv("XDG_CACHE_HOME", folder, 1)) return -1;
    return price_cache_path(path) ? 0 : -1;
}

static int drop_cache(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    unsetenv("XDG_CACHE_HOME");
    return system(command);
}

static pg_code merge_row(const price_row *row, bool *rebuilt, pg_error *e)
{
    arena a;
    arena_init(&a, by_malloc, 0);
    price_rows rows = {.a = &a};
    pg_code code = price_rows_add(&rows, row, e);
    if (!code) code = price_cache_merge(path, &rows, NULL, rebuilt, e);
    arena_free(&a);
    return code;
}

static pg_code merge_one(const char *region, const char *instance, double usd, bool *rebuilt)
{
    pg_error e = PG_ERROR_INIT;
    return merge_row(&(price_row){"aws", region, instance, "t4", 1, 4, 16, usd, -1, "2026-11-21", "test", NULL},
                     rebuilt, &e);
}

/* How many rows there are; negative: they can't be read, and *why says so. */
static int count_rows(const char **why)
{
    arena a;
    price_rows rows;
    arena_init(&a, by_malloc, 0);
    const char *damage = price_cache_read(&rows, &a, path);
    int n = damage ? -1 : (int)rows.count;
    if (damage) assert_int_equal(rows.count, 0);
    for (size_t k = 0; k < rows.count; k++) assert_true(price_sane(rows.list[k].on_demand_usd));
    if (why) *why = damage ? damage : "";
    arena_free(&a);
    return n;
}

/* Any SQL on it, without our guards. */
static void run_sql(const char *sql)
{
    const sqlite_api *s = sqlite_load();
    sqlite3 *h;
    assert_non_null(s);
    assert_int_equal(s->open_v2(path, &h, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL), SQLITE_OK);
    int code = s->exec(h, sql, NULL, NULL, NULL);
    s->close_v2(h);
    if (code) fail_msg("%s: %s", sql, s->errstr(code));
}

static size_t read_all(char *text, size_t most)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = fread(text, 1, most, f);
    fclose(f);
    assert_true(n < most);
    return n;
}

static void write_bytes(const char *text, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    fclose(f);
}

static void test_updates_at_once_lose_nothing(void **state)
{
    (void)state;
    enum { WRITERS = 4, EACH = 6 }; /* few enough that none waits out its patience on a slow disk */
    for (int w = 0; w < WRITERS; w++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child) continue;
        bool rebuilt = false, ok = true;
        for (int i = 0; i < EACH && ok; i++) {
            char instance[32];
            snprintf(instance, sizeof instance, "g%d.%d", w, i);
            ok = merge_one("r", instance, 1, &rebuilt) == PG_E_OK && !rebuilt && count_rows(NULL) > i;
        }
        _exit(!ok);
    }
    for (int w = 0, status; w < WRITERS; w++) {
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    assert_int_equal(count_rows(NULL), WRITERS * EACH);
}

static const pg_offer *find_offer(const pg_market *m, const char *cloud, const char *region, const char *instance)
{
    const pg_offer *o;
    for (size_t i = 0; (o = pg_market_at(m, i)) != NULL; i++)
        if (!strcmp(o->cloud, cloud) && !strcmp(o->region, region) && !strcmp(o->instance, instance)) return o;
    return NULL;
}

/* The fetched price stands in the built-in one's place, whose spot price stays with its own date. */
static void test_fetched_go_before(void **state)
{
    (void)state;
    bool rebuilt;
    pg_market *m;
    pg_error e = PG_ERROR_INIT;
    const pg_offer *old = find_offer(market, "aws", "us-east-1", "g4dn.xlarge");
    assert_true(old && old->spot_usd > 0 && !old->live);
    assert_int_equal(merge_one("us-east-1", "g4dn.xlarge", 0.6, &rebuilt), PG_E_OK);
    assert_int_equal(pg_market_open(&m, gpus, &(pg_market_options){.today = "2026-11-23"}, &e), PG_E_OK);
    const pg_offer *o = find_offer(m, "aws", "us-east-1", "g4dn.xlarge");
    assert_true(o && o->live);
    expect_near(o->on_demand_usd, 0.6, 1e-6);
    expect_near(o->spot_usd, old->spot_usd, 1e-6);
    assert_int_equal(pg_offer_age(o, false), 2);
    assert_int_equal(pg_offer_age(o, true), old->spot_age_days + 2);
    assert_string_equal(pg_offer_as_of(o, true), old->spot_as_of);
    assert_int_equal(pg_market_warning_count(m), 0);
    pg_market_free(m);
    m = NULL;
    assert_int_equal(pg_market_open(&m, gpus, &at_today, &e), PG_E_OK); /* not wanted */
    assert_false(find_offer(m, "aws", "us-east-1", "g4dn.xlarge")->live);
    pg_market_free(m);
}

/* Of a fetched and a built-in price the newer counts: a new release may know more than an old update. */
static void test_the_newer_counts(void **state)
{
    (void)state;
    const pg_offer *old = find_offer(market, "aws", "us-east-1", "g4dn.xlarge");
    price_row row = {"aws", "us-east-1", "g4dn.xlarge", "t4", 1, 4, 16, 0.6, 0.3, "2020-01-01", "test", NULL};
    static const char *const days[] = {"2020-01-01", NULL, "2026-11-21"};
    for (size_t i = 0; i < 3; i++) {
        pg_market *m;
        bool rebuilt;
        pg_error e = PG_ERROR_INIT;
        row.as_of = days[i] ? days[i] : old->as_of;
        assert_int_equal(merge_row(&row, &rebuilt, &e), PG_E_OK);
        assert_int_equal(pg_market_open(&m, gpus, &(pg_market_options){.today = "2026-11-23"}, &e), PG_E_OK);
        const pg_offer *o = find_offer(m, "aws", "us-east-1", "g4dn.xlarge");
        expect_near(o->on_demand_usd, i == 0 ? old->on_demand_usd : 0.6, 1e-6);
        assert_true(o->live == (i > 0));
        pg_market_free(m);
    }
}

/* A spot price that was not fetched stays, with the day that it is of. */
static void test_spot_stays(void **state)
{
    (void)state;
    price_row row = {"aws", "r", "x", "t4", 1, 4, 16, 0.6, 0.2, "2026-11-19", "test", NULL};
    arena a;
    price_rows rows;
    bool rebuilt;
    pg_error e = PG_ERROR_INIT;
    assert_int_equal(merge_row(&row, &rebuilt, &e), PG_E_OK);
    row.spot_usd = -1;
    for (int day = 20; day < 22; day++) {
        row.as_of = day == 20 ? "2026-11-20" : "2026-11-21";
        assert_int_equal(merge_row(&row, &rebuilt, &e), PG_E_OK);
        arena_init(&a, by_malloc, 0);
        assert_null(price_cache_read(&rows, &a, path));
        assert_int_equal(rows.count, 1);
        expect_near(rows.list[0].spot_usd, 0.2, 1e-6);
        assert_string_equal(rows.list[0].spot_as_of, "2026-11-19");
        assert_string_equal(rows.list[0].as_of, row.as_of);
        arena_free(&a);
    }
}

static void test_time_to_live(void **state)
{
    (void)state;
    static const char *const east[] = {"east"}, *const both[] = {"east", "west"};
    price_scope wrote = {"aws", east, 1, false, 1000}, now = wrote;
    arena a;
    bool rebuilt;
    pg_error e = PG_ERROR_INIT;
    arena_init(&a, by_malloc, 0);
    price_rows rows = {.a = &a};
    assert_false(price_cache_fresh(path, &now, 60)); /* there is no file */
    assert_int_equal(price_cache_merge(path, &rows, NULL, &rebuilt, &e), PG_E_OK);
    assert_false(price_cache_fresh(path, &now, 60));
    assert_int_equal(price_cache_merge(path, &rows, &wrote, &rebuilt, &e), PG_E_OK);
    assert_true(price_cache_fresh(path, &now, 60));
    now.at = 1059;
    assert_true(price_cache_fresh(path, &now, 60));
    now.at = 1060;
    assert_false(price_cache_fresh(path, &now, 60));
    now.at = 999; /* written by a clock that was ahead */
    assert_false(price_cache_fresh(path, &now, 60));
    now = wrote;
    now.spot = true;
    assert_false(price_cache_fresh(path, &now, 60));
    now = (price_scope){"aws", both, 2, false, 1000};
    assert_false(price_cache_fresh(path, &now, 60));
    now = (price_scope){"gcp", east, 1, false, 1000};
    assert_false(price_cache_fresh(path, &now, 60));
    now = (price_scope){"aws", NULL, 0, false, 1000};
    assert_false(price_cache_fresh(path, &now, 60));
    assert_int_equal(price_cache_merge(path, &rows, &now, &rebuilt, &e), PG_E_OK); /* all regions */
    now = (price_scope){"aws", both, 2, false, 1000};
    assert_true(price_cache_fresh(path, &now, 60));
    arena_free(&a);
}

/* Cut off, or with a bit of it changed, it is damaged or gives sane prices; the next update makes it whole. */
static void test_damaged(void **state)
{
    (void)state;
    static char text[1 << 16];
    const char *why;
    bool rebuilt;
    assert_int_equal(merge_one("us-east-1", "g4dn.xlarge", 0.6, &rebuilt), PG_E_OK);
    assert_int_equal(merge_one("us-west-2", "g4dn.xlarge", 0.7, &rebuilt), PG_E_OK);
    size_t n = read_all(text, sizeof text);
    for (size_t i = 2; i < n; i += i < 128 ? 1 : 41) { /* one byte counts as none */
        write_bytes(text, i);
        if (count_rows(&why) != -1 || !strstr(why, "damaged")) fail_msg("cut off at %zu of %zu it is taken", i, n);
    }
    for (size_t i = 0; i < n; i += i < 128 ? 1 : 17) {
        text[i] ^= 4;
        write_bytes(text, n);
        text[i] ^= 4;
        count_rows(NULL);
        if (i % 64 == 0) assert_int_equal(merge_one("us-east-1", "g4dn.xlarge", 0.6, &rebuilt), PG_E_OK);
    }
    write_bytes(text, n / 2);
    assert_int_equal(merge_one("us-east-1", "g4dn.xlarge", 0.6, &rebuilt), PG_E_OK);
    assert_true(rebuilt);
    assert_int_equal(count_rows(NULL), 1);
}

/* The text that SQLite keeps of our table, so that values can be put in which it forbids. */
#define FORGE                                                                                             \
    "CREATE TEMP TABLE kept AS SELECT sql FROM sqlite_schema WHERE name = 'prices'; DROP TABLE prices; "  \
    "CREATE TABLE prices(a, b, c, d, e, f, g, h, i, j, k, l, PRIMARY KEY(a, b, c)) WITHOUT ROWID; "       \
    "INSERT INTO prices VALUES('aws', 'r', 'x', 't4', 1.0, 4, 16.0, %s, NULL, '2026-11-21', NULL, 't'); " \
    "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = (SELECT sql FROM kept) WHERE name = 'prices'"

static void test_hostile(void **state)
{
    (void)state;
    static const char *const tricks[] = {
        "DROP TABLE prices; DROP TABLE fetched; CREATE TABLE notes(text)",
        "DROP TABLE fetched",
        "CREATE TRIGGER t AFTER INSERT ON prices BEGIN DELETE FROM prices; END",
        "CREATE VIEW v AS SELECT * FROM prices",
        "DROP TABLE prices; CREATE VIEW prices AS SELECT 'aws' AS cloud, 'r' AS region, 'x' AS instance, 't4' AS gpu, "
        "1.0 AS gpu_count, 4 AS vcpus, 16.0 AS memory_gb, 0.1 AS on_demand_usd, 0.1 AS spot_usd, '2026-11-21' AS as_of, "
        "NULL AS spot_as_of, 't' AS source",
        "DROP TABLE prices; CREATE VIEW prices AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
        "SELECT i AS cloud FROM n",
        "CREATE INDEX i ON prices(abs(on_demand_usd))",
        "ALTER TABLE prices ADD COLUMN more INTEGER",
        "DROP TABLE prices; CREATE TABLE prices(cloud, region, instance, gpu, gpu_count, vcpus, memory_gb, "
        "on_demand_usd, spot_usd, as_of, spot_as_of, source)",
        "CREATE VIRTUAL TABLE f USING fts5(x)",
        "PRAGMA user_version = 2",
        "PRAGMA application_id = 0",
        "PRAGMA journal_mode = WAL",
        "UPDATE prices SET on_demand_usd = -1",
        "UPDATE prices SET on_demand_usd = 0",
        "UPDATE prices SET on_demand_usd = 10000",
        "UPDATE prices SET on_demand_usd = 9e999",
        "UPDATE prices SET spot_usd = -0.5",
        "UPDATE prices SET spot_usd = -9e999",
        "UPDATE prices SET gpu_count = 0",
        "UPDATE prices SET gpu_count = 1e9",
        "UPDATE prices SET vcpus = -1",
        "UPDATE prices SET vcpus = 9223372036854775807",
        "UPDATE prices SET memory_gb = -1",
        "UPDATE prices SET cloud = '../x'",
        "UPDATE prices SET instance = ''",
        "UPDATE prices SET region = 'a' || char(0) || 'b'",
        "UPDATE prices SET gpu = hex(zeroblob(200))",
        "UPDATE prices SET as_of = 'soon'",
        "UPDATE prices SET spot_as_of = '2026-13-01'",
        "UPDATE prices SET source = char(27) || '[2J'",
        "UPDATE prices SET source = ''",
        "UPDATE prices SET source = hex(zeroblob(500000))",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20001) INSERT INTO prices SELECT "
        "'aws', 'r', 'x' || i, 't4', 1, 4, 16, 0.5, NULL, '2026-11-21', NULL, 't' FROM n",
    };
    static const char *const forged[] = {"'0.5'", "'abc'", "x'00'", "NULL", "zeroblob(100000)"};
    size_t count = sizeof tricks / sizeof tricks[0];
    for (size_t i = 0; i < count + sizeof forged / sizeof forged[0]; i++) {
        char sql[1200];
        const char *why;
        bool rebuilt;
        assert_int_equal(merge_one("us-east-1", "g4dn.xlarge", 0.6, &rebuilt), PG_E_OK);
        assert_int_equal(count_rows(NULL), 1);
        if (i < count) snprintf(sql, sizeof sql, "%s", tricks[i]);
        else snprintf(sql, sizeof sql, FORGE, forged[i - count]);
        run_sql(sql);
        if (count_rows(&why) != -1 || !strstr(why, "damaged")) fail_msg("is taken: %s", sql);
        /* What is damaged is gone with the next update, also of another region, and said to be. */
        assert_int_equal(merge_one("us-west-2", "g4dn.xlarge", 0.6, &rebuilt), PG_E_OK);
        if (!rebuilt) fail_msg("stays: %s", sql);
        unlink(path);
    }
}

/* A header may claim that nobody may write: the next update empties the file all the same. */
static void test_claims_to_be_read_only(void **state)
{
    (void)state;
    static char text[1 << 16];
    bool rebuilt;
    assert_int_equal(merge_one("us-east-1", "g4dn.xlarge", 0.6, &rebuilt), PG_E_OK);
    size_t n = read_all(text, sizeof text);
    for (char version = 3; version < 8; version += 2) {
        for (size_t cut = 100; cut <= n; cut += n - 100) {
            text[18] = version;
            write_bytes(text, cut);
            assert_int_equal(merge_one("us-east-1", "g4dn.xlarge", 0.6, &rebuilt), PG_E_OK);
            assert_true(rebuilt);
            assert_int_equal(count_rows(NULL), 1);
        }
    }
}

/* A number that is none can't be put in by SQL. */
static void test_nan(void **state)
{
    (void)state;
    static const unsigned char nan_bytes[8] = {0x7f, 0xf8, 0, 0, 0, 0, 0, 1};
    static char text[1 << 16];
    bool rebuilt;
    const double usd = 0.612345678901;
    unsigned char want[8];
    uint64_t bits;
    size_t found = 0;
    assert_int_equal(merge_one("us-east-1", "g4dn.xlarge", usd, &rebuilt), PG_E_OK);
    size_t n = read_all(text, sizeof text);
    memcpy(&bits, &usd, sizeof bits);
    for (size_t i = 0; i < 8; i++) want[i] = (unsigned char)(bits >> (56 - 8 * i));
    for (size_t i = 0; i + 8 <= n; i++) {
        if (memcmp(text + i, want, 8) != 0) continue;
        memcpy(text + i, nan_bytes, 8);
        found++;
    }
    assert_true(found > 0);
    write_bytes(text, n);
    assert_int_equal(count_rows(NULL), -1);
}

/* An update that is killed while it writes: what was there before is there again. */
static void test_killed(void **state)
{
    (void)state;
    char journal[PRICE_PATH + 16];
    bool rebuilt;
    struct stat st;
    snprintf(journal, sizeof journal, "%s-journal", path);
    assert_int_equal(merge_one("us-east-1", "g4dn.xlarge", 0.6, &rebuilt), PG_E_OK);
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        const sqlite_api *s = sqlite_load();
        sqlite3 *h;
        s->open_v2(path, &h, SQLITE_OPEN_READWRITE, NULL);
        s->exec(
            h,
            "PRAGMA cache_size = 2; BEGIN IMMEDIATE; UPDATE prices SET on_demand_usd = 5000; WITH RECURSIVE n(i) AS "
            "(SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) INSERT INTO prices SELECT 'aws', 'r', 'x' || i, "
            "'t4', 1, 4, 16, 0.5, NULL, '2026-11-21', NULL, 't' FROM n",
            NULL, NULL, NULL);
        _exit(0);
    }
    assert_true(waitpid(child, NULL, 0) == child);
    assert_true(stat(journal, &st) == 0 && st.st_size > 512); /* else this tests nothing */
    assert_int_equal(count_rows(NULL), 1);
    assert_true(stat(journal, &st) != 0);
}

/* A journal that names another one would have SQLite delete a file, a huge one would keep it busy; a log of the other kind is not ours. */
static void test_strange_files(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        off_t size;
    } cases[] = {{"-journal", 520}, {"-journal", (off_t)1 << 32}, {"-wal", 100}, {"-shm", 40000}};
    static const char magic[] = "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7";
    bool rebuilt;
    assert_int_equal(merge_one("us-east-1", "g4dn.xlarge", 0.6, &rebuilt), PG_E_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char name[PRICE_PATH + 16];
        snprintf(name, sizeof name, "%s%s", path, cases[i].name);
        FILE *f = fopen(name, "wb");
        assert_non_null(f);
        assert_int_equal(ftruncate(fileno(f), cases[i].size), 0);
        if (i == 0) assert_int_equal(pwrite(fileno(f), magic, 8, cases[i].size - 8), 8);
        fclose(f);
        assert_int_equal(count_rows(NULL), 1);
        assert_true(access(name, F_OK) != 0);
    }
}

/* While another program holds it, readers and writers wait for a time, and say so. */
static void test_held(void **state)
{
    (void)state;
    const sqlite_api *s = sqlite_load();
    sqlite3 *h;
    const char *why;
    bool rebuilt;
    pg_error e = PG_ERROR_INIT;
    assert_int_equal(merge_one("us-east-1", "g4dn.xlarge", 0.6, &rebuilt), PG_E_OK);
    assert_int_equal(s->open_v2(path, &h, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_int_equal(s->exec(h, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(count_rows(NULL), 1); /* a writer that has not written stops nobody from reading */
    assert_int_equal(s->exec(h, "COMMIT; BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(count_rows(&why), -1);
    assert_string_equal(why, "is held by another program; try again");
    price_row row = {"aws", "r", "x", "t4", 1, 4, 16, 1, -1, "2026-11-21", "test", NULL};
    assert_int_equal(merge_row(&row, &rebuilt, &e), PG_E_IO);
    assert_non_null(strstr(e.text, "another update has held"));
    assert_int_equal(s->exec(h, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    s->close_v2(h);
    assert_int_equal(count_rows(NULL), 1);
}

/* Each allocation of an update, and of what reads it, fails once; the prices of before are there after each. */
static void test_update_without_memory(void **state)
{
    (void)state;
    pg_error e = PG_ERROR_INIT;
    bool rebuilt;
    static const char *const names[] = {"azure", "aws"};
    pg_code code = PG_E_NOMEM;
    size_t before = 1; /* what is in the cache: it never gets less */
    hub_server *s = hub_server_start(TEST_ROOT "/tests/cli/cases/prices/live");
    assert_non_null(s);
    char url[128];
    snprintf(url, sizeof url, "%s/azure", hub_server_url(s));
    setenv("PHANTOM_GPU_AZURE_PRICES", url, 1);
    setenv("PHANTOM_GPU_AWS_PRICES", hub_server_url(s), 1);
    setenv("PHANTOM_GPU_AWS_SPOT", hub_server_url(s), 1);
    setenv("AWS_ACCESS_KEY_ID", "id", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
    assert_true(hub_server_rule(s, "NextToken= file=spot2.xml") && hub_server_rule(s, "Action= file=spot.xml"));
    assert_true(hub_server_rule(s, "/azure file=second.json") && hub_server_rule(s, "/offers file=aws.csv"));
    assert_int_equal(merge_one("us-west-2", "g4dn.xlarge", 0.6, &rebuilt), PG_E_OK);
    for (long n = 0; code; n++) {
        test_heap heap = {.fail_at = n};
        pg_allocator a = {heap_resize, &heap};
        pg_live_report report;
        e = (pg_error)PG_ERROR_INIT;
        code = pg_prices_update(
            &report, gpus,
            &(pg_live_options){.clouds = names, .cloud_count = 2, .today = "2026-11-21", .allocator = &a}, &e);
        assert_true(!code || (code == PG_E_NOMEM && e.text[0]));
        assert_int_equal(heap.live, 0);
        arena memory;
        price_rows rows;
        arena_init(&memory, by_malloc, 0);
        assert_null(price_cache_read(&rows, &memory, path));
        assert_true(code ? rows.count >= before : rows.count == 4);
        before = rows.count;
        arena_free(&memory);
        assert_true(n < 1000);
    }
    for (long n = 0;; n++) {
        test_heap heap = {.fail_at = n};
        pg_allocator a = {heap_resize, &heap};
        pg_market *m;
        code = pg_market_open(&m, gpus, &(pg_market_options){.allocator = &a}, NULL);
        assert_true(!code || !m);
        pg_market_free(m);
        assert_int_equal(heap.live, 0);
        if (!code) break;
    }
    hub_server_stop(s);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, make_cache, drop_cache)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_updates_at_once_lose_nothing),
        CASE(test_fetched_go_before),
        CASE(test_the_newer_counts),
        CASE(test_spot_stays),
        CASE(test_time_to_live),
        CASE(test_damaged),
        CASE(test_hostile),
        CASE(test_claims_to_be_read_only),
        CASE(test_nan),
        CASE(test_killed),
        CASE(test_strange_files),
        CASE(test_held),
        CASE(test_update_without_memory),
    };
    return cmocka_run_group_tests(tests, open_market, close_market);
}
