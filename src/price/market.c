#define _POSIX_C_SOURCE 200809L
#include "price/market.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/api.h"
#include "price/cache.h"

extern const char data_prices_offers_csv[], data_prices_aws_spot_csv[], data_prices_hardware_csv[],
    data_carbon_regions_csv[];
extern const size_t data_prices_offers_csv_len, data_prices_aws_spot_csv_len, data_prices_hardware_csv_len,
    data_carbon_regions_csv_len;

/* Defaults of [own]; docs/prices.md says why. */
static const pg_ownership standard_ownership = {
    .price_usd = -1, .host_usd = 0, .lifetime_years = 4, .utilisation = 1, .usd_per_kwh = 0.15, .pue = 1.2};

static const char *text_of(arena *a, str s)
{
    return s.len ? str_copy(a, s).ptr : NULL;
}

static pg_code add_warning(pg_market *m, const char *text, pg_error *e)
{
    if (m->warning_count == m->warning_cap) {
        size_t cap = m->warning_cap ? 2 * m->warning_cap : 8;
        m->warnings = arena_grow(&m->a, m->warnings, m->warning_cap, cap, sizeof *m->warnings);
        m->warning_cap = m->warnings ? cap : 0;
    }
    const char *copy = str_copy(&m->a, str_c(text)).ptr;
    if (!m->warnings || !copy) return error_nomem(e, &m->a);
    m->warnings[m->warning_count++] = copy;
    return PG_E_OK;
}

static int age_of(const pg_market *m, const char *date)
{
    int day = date ? price_day(str_c(date)) : -1;
    return day < 0 || m->today < 0 ? -1 : m->today > day ? m->today - day : 0;
}

pg_code price_add_offer(pg_market *m, const pg_offer *offer, pg_error *e)
{
    if (m->count == m->cap) {
        size_t cap = m->cap ? 2 * m->cap : 2048;
        m->offers = arena_grow(&m->a, m->offers, m->cap, cap, sizeof *m->offers);
        m->cap = m->offers ? cap : 0;
        if (!m->offers) return error_nomem(e, &m->a);
    }
    pg_offer *o = &m->offers[m->count++];
    *o = *offer;
    if (o->spot_usd <= 0) o->spot_as_of = NULL;
    else if (!o->spot_as_of) o->spot_as_of = o->as_of;
    o->age_days = age_of(m, o->as_of);
    o->spot_age_days = age_of(m, o->spot_as_of);
    return PG_E_OK;
}

const char *pg_offer_as_of(const pg_offer *offer, bool spot)
{
    return spot ? offer->spot_as_of : offer->as_of;
}

int pg_offer_age(const pg_offer *offer, bool spot)
{
    return spot ? offer->spot_age_days : offer->age_days;
}

bool price_stale(const pg_offer *o, bool spot)
{
    int age = pg_offer_age(o, spot);
    return age < 0 || age > PG_STALE_DAYS;
}

pg_code price_add_hardware(pg_market *m, const price_hardware *h, pg_error *e)
{
    if (m->hardware_count == m->hardware_cap) {
        size_t cap = m->hardware_cap ? 2 * m->hardware_cap : 64;
        m->hardware = arena_grow(&m->a, m->hardware, m->hardware_cap, cap, sizeof *m->hardware);
        m->hardware_cap = m->hardware ? cap : 0;
        if (!m->hardware) return error_nomem(e, &m->a);
    }
    m->hardware[m->hardware_count++] = *h;
    return PG_E_OK;
}

static pg_code read_offers(pg_market *m, pg_error *e)
{
    price_table t;
    pg_code code = price_table_open(&t, &m->a, (str){data_prices_offers_csv, data_prices_offers_csv_len}, e);
    str last_name = {NULL, 0};
    const pg_gpu *last = NULL;
    while (!code && price_table_next(&t) > 0) {
        str name = price_table_cell(&t, "gpu");
        if (!str_eq(name, last_name)) {
            char gpu[64];
            format_text(gpu, sizeof gpu, "%.*s", STR_ARG(name));
            last = pg_catalog_find(m->catalog, gpu, NULL);
            last_name = name;
        }
        if (!last) continue; /* a user's catalog may have taken it out */
        double vcpus = price_table_number(&t, "vcpus"), memory = price_table_number(&t, "memory_gb");
        pg_offer o = {.cloud = text_of(&m->a, price_table_cell(&t, "cloud")),
                      .region = text_of(&m->a, price_table_cell(&t, "region")),
                      .instance = text_of(&m->a, price_table_cell(&t, "instance")),
                      .gpu = last,
                      .gpu_count = price_table_number(&t, "gpu_count"),
                      .vcpus = vcpus > 0 ? (int)vcpus : 0,
                      .memory_gb = memory > 0 ? memory : 0,
                      .on_demand_usd = price_table_number(&t, "on_demand"),
                      .spot_usd = price_table_number(&t, "spot"),
                      .as_of = text_of(&m->a, price_table_cell(&t, "as_of")),
                      .source = price_table_source(&t)};
        if (!o.cloud || !o.region || !o.instance) return error_nomem(e, &m->a);
        code = price_add_offer(m, &o, e);
    }
    return code;
}

/* The user's own first; of the fetched and the built-in one the newer, where they are of one day the fetched one. */
static int by_rank(const pg_offer *a, const pg_offer *b)
{
    if (a->user || b->user) return b->user - a->user;
    int c = a->as_of && b->as_of ? strcmp(b->as_of, a->as_of) : 0;
    return c ? c : b->live - a->live;
}

static int by_place(const void *x, const void *y)
{
    const pg_offer *a = x, *b = y;
    int c = strcmp(a->cloud, b->cloud);
    if (!c) c = strcmp(a->region, b->region);
    if (!c) c = strcmp(a->instance, b->instance);
    return c ? c : by_rank(a, b);
}

/* A newer price without one for spot keeps the older one, which has a date of its own. */
static void keep_spot(pg_offer *o, const pg_offer *older)
{
    if (o->user || o->spot_usd > 0) return;
    o->spot_usd = older->spot_usd;
    o->spot_as_of = older->spot_as_of;
    o->spot_age_days = older->spot_age_days;
}

/* Of the rows of an instance the first in this order counts: the user's own, then the newer of the fetched and the built-in one. */
static void sort_offers(pg_market *m)
{
    size_t n = 0;
    if (m->count) qsort(m->offers, m->count, sizeof *m->offers, by_place);
    for (size_t i = 0; i < m->count; i++) {
        const pg_offer *o = &m->offers[i];
        pg_offer *p = n ? &m->offers[n - 1] : NULL;
        bool same = p && !strcmp(o->cloud, p->cloud) && !strcmp(o->region, p->region) &&
                    !strcmp(o->instance, p->instance);
        if (!same) m->offers[n++] = *o;
        else keep_spot(p, o);
    }
    m->count = n;
}

/* Both are sorted by region and instance. */
static pg_code read_interruptions(pg_market *m, pg_error *e)
{
    price_table t;
    pg_code code = price_table_open(&t, &m->a, (str){data_prices_aws_spot_csv, data_prices_aws_spot_csv_len}, e);
    size_t at = 0;
    while (!code && price_table_next(&t) > 0) {
        str place = price_table_cell(&t, "region"), instance = price_table_cell(&t, "instance");
        for (size_t i = at; i < m->count; i++) {
            pg_offer *o = &m->offers[i];
            if (strcmp(o->cloud, "aws") != 0 || !str_is(place, o->region) || !str_is(instance, o->instance)) continue;
            o->interruption = text_of(&m->a, price_table_cell(&t, "interruption"));
            at = i + 1;
            break;
        }
    }
    return code;
}

static pg_code read_hardware(pg_market *m, pg_error *e)
{
    price_table t;
    pg_code code = price_table_open(&t, &m->a, (str){data_prices_hardware_csv, data_prices_hardware_csv_len}, e);
    while (!code && price_table_next(&t) > 0) {
        char gpu[64];
        format_text(gpu, sizeof gpu, "%.*s", STR_ARG(price_table_cell(&t, "gpu")));
        price_hardware h = {.gpu = pg_catalog_find(m->catalog, gpu, NULL),
                            .price_usd = price_table_number(&t, "price"),
                            .host_usd = -1,
                            .as_of = text_of(&m->a, price_table_cell(&t, "as_of")),
                            .source = price_table_source(&t)};
        if (h.gpu) code = price_add_hardware(m, &h, e);
    }
    return code;
}

static pg_code read_regions(pg_market *m, pg_error *e)
{
    price_table t;
    enum { MOST = 1024 };
    pg_code code = price_table_open(&t, &m->a, (str){data_carbon_regions_csv, data_carbon_regions_csv_len}, e);
    m->regions = ARENA_ARRAY(&m->a, price_region, MOST);
    if (!m->regions) return error_nomem(e, &m->a);
    while (!code && price_table_next(&t) > 0 && m->region_count < MOST)
        m->regions[m->region_count++] = (price_region){
            .cloud = price_table_cell(&t, "cloud"),
            .region = price_table_cell(&t, "region"),
            .carbon = {.g_per_kwh = price_table_number(&t, "g_per_kwh"),
                       .pue = price_table_number(&t, "pue"),
                       .place = text_of(&m->a, price_table_cell(&t, "place")),
                       .year = text_of(&m->a, price_table_cell(&t, "year")),
                       .source = price_table_source(&t)}};
    return code;
}

/* What the last update fetched. Damage is no reason to fail: the built-in prices are there. */
static pg_code read_live(pg_market *m, pg_error *e)
{
    char path[PRICE_PATH], text[PRICE_PATH + 200];
    price_rows rows;
    if (!price_cache_path(path)) return PG_E_OK;
    const char *damage = price_cache_read(&rows, &m->a, path);
    if (m->a.failed) return error_nomem(e, &m->a);
    if (damage) {
        format_text(text, sizeof text, "the fetched prices are not used: %s %s", path, damage);
        return add_warning(m, text, e);
    }
    pg_code code = PG_E_OK;
    for (size_t i = 0; i < rows.count && !code; i++) {
        const price_row *r = &rows.list[i];
        const pg_gpu *gpu = pg_catalog_find(m->catalog, r->gpu, NULL);
        pg_offer o = {r->cloud,
                      r->region,
                      r->instance,
                      gpu,
                      r->gpu_count,
                      r->vcpus,
                      r->memory_gb,
                      r->on_demand_usd,
                      r->spot_usd,
                      r->as_of,
                      r->source,
                      .live = true,
                      .spot_as_of = r->spot_as_of};
        if (gpu) code = price_add_offer(m, &o, e); /* a user's catalog may have taken it out */
    }
    return code;
}

enum { FILE_MOST = 4 << 20 };

static pg_code read_file(pg_market *m, const char *path, bool optional, pg_error *e)
{
    FILE *f = fopen(path, "rb");
    pg_code code = PG_E_OK;
    if (!f) return optional ? PG_E_OK : (error_set(e, PG_E_IO, "cannot be read"), error_source(e, path), PG_E_IO);
    char *text = arena_alloc(&m->a, FILE_MOST + 1);
    size_t n = text ? fread(text, 1, FILE_MOST + 1, f) : 0;
    if (!text) code = error_nomem(e, &m->a);
    else if (ferror(f)) code = error_set(e, PG_E_IO, "cannot be read");
    else if (n > FILE_MOST) code = error_set(e, PG_E_LIMIT, "is larger than the limit of %d MB", FILE_MOST >> 20);
    fclose(f);
    if (!code) code = price_read_user(m, (str){text, n}, path, e);
    if (code) error_source(e, path);
    return code;
}

/* The least important first: what is read later goes before. */
static pg_code read_user_files(pg_market *m, const pg_market_options *o, pg_error *e)
{
    pg_code code = PG_E_OK;
    char path[4096];
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    if (!o || !o->no_user_files) {
        if (config && config[0]) format_text(path, sizeof path, "%s/phantom-gpu/prices.toml", config);
        else format_text(path, sizeof path, "%s/.config/phantom-gpu/prices.toml", home ? home : "");
        code = read_file(m, path, true, e);
        if (!code) code = read_file(m, "prices.toml", true, e);
    }
    if (!code && o && o->prices) code = read_file(m, o->prices, false, e);
    return code;
}

pg_code pg_market_open(pg_market **out, const pg_catalog *catalog, const pg_market_options *options, pg_error *error)
{
    pg_error local = PG_ERROR_INIT;
    pg_error *e = error ? error : &local;
    allocator alloc = api_allocator(options ? options->allocator : NULL);
    *out = NULL;
    pg_market *m = api_new(alloc, sizeof *m, e);
    if (!m) return PG_E_NOMEM;
    arena_init(&m->a, alloc, 64u << 20);
    m->catalog = catalog;
    m->own = standard_ownership;
    m->today = options && options->today ? price_day(str_c(options->today)) : -1;
    pg_code code = PG_E_OK;
    if (options && options->today && m->today < 0)
        code = error_set(e, PG_E_USAGE, "'%s' is no date; write it as 2026-11-21", options->today);
    if (!code) code = read_offers(m, e);
    if (!code) code = read_hardware(m, e);
    if (!code) code = read_regions(m, e);
    if (!code && (!options || !options->no_user_files)) code = read_live(m, e);
    if (!code) code = read_user_files(m, options, e);
    if (!code) sort_offers(m);
    if (!code) code = read_interruptions(m, e);
    if (!code && m->a.failed) code = error_nomem(e, &m->a);
    if (code) pg_market_free(m);
    else *out = m;
    return code;
}

void pg_market_free(pg_market *market)
{
    if (!market) return;
    allocator alloc = market->a.alloc;
    arena_free(&market->a);
    api_delete(alloc, market, sizeof *market);
}

const pg_offer *pg_market_at(const pg_market *market, size_t i)
{
    return i < market->count ? &market->offers[i] : NULL;
}

size_t pg_market_warning_count(const pg_market *market)
{
    return market->warning_count;
}

const char *pg_market_warning(const pg_market *market, size_t i)
{
    return i < market->warning_count ? market->warnings[i] : NULL;
}
