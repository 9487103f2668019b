/* Any bytes as what a cloud may answer about prices, as the files of a person, and as the database of fetched prices. The first byte says
 * as what, so that the corpus of each stays its own:
 *
 *   A AWS's price list   S spot prices of EC2   Z Azure's items   G GCP's SKUs   K AWS's credentials   T prices.toml   D the database
 *
 * A form feed parts the pages of an answer. What comes out must be sane prices in the regions that were asked for. */
#define _GNU_SOURCE
#include "price/cache_db.h"
#include "price/live_aws.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/check.h"
#include "support/heap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const clouds[] = {"aws", "azure", "gcp"};
static const char *const all_regions[] = {"us-east-1", "eastus", "us-central1", "westeurope"};

static pg_catalog *gpus;
static const pg_offer **kinds[3];
static size_t kind_counts[3];
static char folder[64];

static void check_error(const pg_error *e, pg_code code)
{
    check(e->code == code && (code == PG_E_OK) == !e->text[0], "an error has its code and a text");
    for (const char *p = e->text; *p; p++) check((unsigned char)*p >= 0x20, "an error is one line");
}

/* What stays the same for all inputs. */
static void begin(void)
{
    static arena a; /* for as long as the process lives */
    static pg_market *known;
    static test_heap heap = {.fail_at = -1};
    pg_error e = PG_ERROR_INIT;
    if (gpus) return;
    arena_init(&a, (allocator){heap_resize, &heap}, 0);
    setenv("HOME", "/nowhere", 1);
    unsetenv("AWS_ACCESS_KEY_ID");
    check(pg_catalog_open(&gpus, &(pg_catalog_options){.no_user_files = true}, &e) == PG_E_OK, "there are GPUs");
    check(pg_market_open(&known, gpus, &(pg_market_options){.no_user_files = true}, &e) == PG_E_OK, "there are prices");
    for (size_t i = 0; i < 3; i++) {
        live l = {.a = &a, .cloud = clouds[i]};
        check(live_begin(&l, known, &e) == PG_E_OK && l.kind_count > 10, "there are instances");
        kinds[i] = l.kinds;
        kind_counts[i] = l.kind_count;
    }
}

/* The pages of an answer, one after the other. */
static pg_code page(void *ud, const char *url, str *out, pg_error *e)
{
    str *rest = ud;
    for (const char *p = url; *p; p++) check((unsigned char)*p > 0x20 && *p != 127, "an address is one word");
    if (!rest->ptr) return error_set(e, PG_E_NETWORK, "there are no more pages");
    const char *end = rest->len ? memchr(rest->ptr, '\f', rest->len) : NULL;
    *out = (str){rest->ptr, end ? (size_t)(end - rest->ptr) : rest->len};
    *rest = end ? (str){end + 1, rest->len - out->len - 1} : (str){NULL, 0};
    return PG_E_OK;
}

static size_t piece; /* how much of a stream comes at once */

static pg_code stream(void *ud, const char *url, live_take *take, void *take_ud, pg_error *e)
{
    str text = {NULL, 0};
    pg_code code = page(ud, url, &text, e);
    for (size_t at = 0; !code && at < text.len; at += piece)
        if (!take(take_ud, text.ptr + at, text.len - at < piece ? text.len - at : piece, e)) code = e->code;
    return code;
}

static bool is_wanted(const live *l, const char *region)
{
    bool wanted = !l->region_count;
    for (size_t i = 0; i < l->region_count; i++) wanted = wanted || !strcmp(region, l->regions[i]);
    return wanted;
}

static pg_code run_spot(live *l, pg_error *e)
{
    aws_keys keys = {"AKIDEXAMPLE", "secret", NULL};
    for (size_t i = 0; i < l->kind_count; i++) {
        pg_code code = live_add(l, l->kinds[i], STR("us-east-1"), false, 1, e);
        if (code) return code;
    }
    return aws_spot(l, &keys, "us-east-1", e);
}

/* How many prices there are; negative: it failed. */
static int run_cloud(size_t cloud, pg_code (*read)(live *, pg_error *), str text, size_t regions)
{
    test_heap heap = {.fail_at = -1};
    arena a;
    pg_error e = PG_ERROR_INIT;
    arena_init(&a, (allocator){heap_resize, &heap}, 16 << 20);
    live l = {.a = &a,
              .cloud = clouds[cloud],
              .kinds = kinds[cloud],
              .kind_count = kind_counts[cloud],
              .regions = all_regions,
              .region_count = regions,
              .today = "2026-11-21",
              .base = "https://example.com",
              .key = "k3y",
              .from = {page, stream, &text},
              .rows = {.a = &a}};
    check_error(&e, read(&l, &e));
    for (size_t i = 0; i < l.rows.count && !e.code; i++) {
        const price_row *r = &l.rows.list[i];
        check(r->on_demand_usd > 0 ? price_sane(r->on_demand_usd) : r->spot_usd > 0, "a price is sane");
        check(r->spot_usd < 0 || price_sane(r->spot_usd), "a spot price is sane");
        check(price_name_ok(str_c(r->region)) && is_wanted(&l, r->region), "a region was asked for");
    }
    int count = e.code ? -1 : (int)l.rows.count;
    arena_free(&a);
    check(heap.live == 0 && heap.bytes == 0, "all memory is given back");
    return count;
}

static const char *as_file(str text)
{
    static int file = -1;
    static char path[64];
    if (file < 0) file = memfd_create("fuzz", 0);
    check(file >= 0 && ftruncate(file, 0) == 0 && pwrite(file, text.ptr, text.len, 0) == (ssize_t)text.len,
          "the file is written");
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    return path;
}

/* Keys of a file, and a request that is signed with them. */
static void fuzz_keys(str text)
{
    test_heap heap = {.fail_at = -1};
    arena a;
    aws_keys keys;
    pg_error e = PG_ERROR_INIT;
    const char *query[] = {"b=1", "a=2"};
    arena_init(&a, (allocator){heap_resize, &heap}, 1 << 20);
    live l = {.a = &a};
    setenv("AWS_SHARED_CREDENTIALS_FILE", as_file(text), 1);
    check_error(&e, aws_keys_read(&keys, &a, &e));
    check(e.code || !keys.id == !keys.secret || !keys.id, "keys come in pairs");
    const char *url = e.code || !keys.id
                        ? NULL
                        : aws_sign(&l, &keys, "https://a.b", "us-east-1", "20261121T170000Z", query, 2);
    for (const char *p = url; p && *p; p++) check((unsigned char)*p > 0x20 && *p != 127, "an address is one word");
    arena_free(&a);
    check(heap.live == 0 && heap.bytes == 0, "all memory is given back");
}

/* The person's own offers, over none. */
static void fuzz_own(str text)
{
    test_heap heap = {.fail_at = -1};
    pg_error e = PG_ERROR_INIT;
    pg_market m = {.catalog = gpus, .today = 20000, .own = {.lifetime_years = 4, .utilisation = 1, .pue = 1.2}};
    arena_init(&m.a, (allocator){heap_resize, &heap}, 16 << 20);
    check_error(&e, price_read_user(&m, text, "prices.toml", &e));
    for (size_t i = 0; i < m.count && !e.code; i++) {
        const pg_offer *o = &m.offers[i];
        check(o->cloud && o->region && o->instance && o->gpu, "an offer has names");
        check(isfinite(o->on_demand_usd) && isfinite(o->spot_usd) && o->gpu_count > 0, "an offer has numbers");
    }
    check(m.own.lifetime_years > 0 && m.own.utilisation > 0 && m.own.pue >= 1, "what is bought is used");
    arena_free(&m.a);
    check(heap.live == 0 && heap.bytes == 0, "all memory is given back");
}

static void remove_folder(void)
{
    rmdir(folder);
}

/* Rows that are read are sane; after an update they can be read, with the new one. */
static void fuzz_database(str text)
{
    static char path[128];
    static size_t every; /* of so many inputs one is updated */
    test_heap heap = {.fail_at = -1};
    arena a;
    price_rows rows;
    pg_error e = PG_ERROR_INIT;
    bool rebuilt;
    if (!path[0]) {
        every = access("/dev/shm", W_OK) == 0 ? 1 : 16; /* a disk takes 10 ms for each update */
        snprintf(folder, sizeof folder, "%s/phantom-fuzz-XXXXXX", every == 1 ? "/dev/shm" : "/tmp");
        check(mkdtemp(folder) != NULL, "there is a folder");
        snprintf(path, sizeof path, "%s/prices.sqlite", folder);
        atexit(remove_folder);
    }
    FILE *f = fopen(path, "wb");
    check(f && fwrite(text.ptr, 1, text.len, f) == text.len && fclose(f) == 0, "the file is written");
    arena_init(&a, (allocator){heap_resize, &heap}, 64 << 20);
    if (price_cache_read(&rows, &a, path)) check(rows.count == 0, "what is damaged gives nothing");
    for (size_t i = 0; i < rows.count; i++) check(price_sane(rows.list[i].on_demand_usd), "a price is sane");
    price_rows more = {.a = &a};
    price_row row = {"aws", "r", "x", "t4", 1, 4, 16, 0.5, -1, "2026-11-21", "test", NULL};
    check_error(&e, price_rows_add(&more, &row, &e));
    if (text.len % every == 0) {
        check_error(&e, price_cache_merge(path, &more, NULL, &rebuilt, &e));
        if (e.code) fprintf(stderr, "%s\n", e.text);
        check(!e.code && !price_cache_read(&rows, &a, path), "after an update it can be read");
        check(price_rows_find(&rows, "aws", "r", "x") != NULL, "what was put in is there");
    }
    arena_free(&a);
    unlink(path);
    check(heap.live == 0 && heap.bytes == 0, "all memory is given back");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size) return 0;
    str text = {(const char *)data + 1, size - 1};
    begin();
    switch (data[0]) {
    case 'A':
        piece = 7;
        int by_seven = run_cloud(0, live_aws, text, 1);
        piece = 4096;
        check(run_cloud(0, live_aws, text, 1) == by_seven, "it doesn't matter how a list comes");
        break;
    case 'S': run_cloud(0, run_spot, text, 1); break;
    case 'Z':
        run_cloud(1, live_azure, text, 0);
        run_cloud(1, live_azure, text, 4);
        break;
    case 'G': run_cloud(2, live_gcp, text, 0); break;
    case 'K': fuzz_keys(text); break;
    case 'T': fuzz_own(text); break;
    case 'D': fuzz_database(text); break;
    default: break;
    }
    return 0;
}
