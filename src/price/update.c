/* pg_prices_update: fetches the prices of each cloud and keeps what worked. */
#include "price/live.h"

#include <stdlib.h>

#include "api/api.h"

#ifdef PHANTOM_NO_HUB

pg_code pg_prices_update(pg_live_report *report, const pg_catalog *catalog, const pg_live_options *options,
                         pg_error *error)
{
    (void)catalog, (void)options;
    *report = (pg_live_report){.count = 0};
    return error_set(error, PG_E_UNSUPPORTED, "this build fetches nothing (it was made with -Dhub=false)");
}

#else

#include "hub/http.h"
#include "hub/url.h"
#include "price/live_aws.h"

#include <time.h>

enum { PAGES_MS = 120000, STREAM_MS = 1800000 };
#define STREAM_MOST ((uint64_t)4 << 30)

typedef pg_code live_reader(live *l, pg_error *e);

static const struct {
    const char *name, *variable, *base, *what;
    live_reader *read;
    unsigned most_ms; /* for all of it */
} clouds[PG_LIVE_CLOUDS] = {
    {"aws", "PHANTOM_GPU_AWS_PRICES", "https://pricing.us-east-1.amazonaws.com", "prices of AWS", live_aws, STREAM_MS},
    {"azure", "PHANTOM_GPU_AZURE_PRICES", "https://prices.azure.com/api/retail/prices", "prices of Azure", live_azure,
     PAGES_MS},
    {"gcp", "PHANTOM_GPU_GCP_PRICES", "https://cloudbilling.googleapis.com/v1", "prices of GCP", live_gcp, PAGES_MS},
};

/* One run of pg_prices_update. */
typedef struct update {
    arena *a;
    const pg_live_options *o;
    const pg_market *known;
    const char *path; /* of the cache */
    bool rebuilt;     /* it was damaged */
} update;

/* Where the bytes of one cloud come from. */
typedef struct fetcher {
    http *h;
    const live *l;
    const char *what;
    buffer page;
} fetcher;

static pg_code get(const fetcher *f, const char *url, http_sink *sink, pg_error *e)
{
    http_result r;
    bool spot = f->l->spot_base && url_same_origin(str_c(url), str_c(f->l->spot_base));
    if (!spot && !url_same_origin(str_c(url), str_c(f->l->base)))
        return error_set(e, PG_E_FORMAT, "the answer sends us to another host, which is not followed");
    pg_code code = http_get(f->h, url, sink, &r, e);
    if (code) return code;
    int status = r.last.status;
    if (status == 401 || status == 403)
        return error_set(e, PG_E_DENIED, "the server refuses (HTTP %d); is the key right?", status);
    if (status == 400) return error_set(e, PG_E_DENIED, "the server rejects the request (HTTP 400); is the key right?");
    if (status == 429) return error_set(e, PG_E_NETWORK, "the server wants fewer requests (HTTP 429); try again later");
    if (status != 200 && status != 206) return error_set(e, PG_E_NETWORK, "the server answers with HTTP %d", status);
    if (sink->have == sink->most)
        return error_set(e, PG_E_LIMIT, "an answer is larger than %llu MB", (unsigned long long)(sink->most >> 20));
    return PG_E_OK;
}

static pg_code get_page(void *ud, const char *url, str *out, pg_error *e)
{
    fetcher *f = ud;
    f->page.len = 0;
    http_sink sink = {.memory = &f->page, .most = LIVE_PAGE_MOST, .size = ANSWER_UNKNOWN, .name = f->what};
    pg_code code = get(f, url, &sink, e);
    *out = (str){f->page.ptr ? f->page.ptr : "", f->page.len};
    return code;
}

static pg_code get_stream(void *ud, const char *url, live_take *take, void *take_ud, pg_error *e)
{
    const fetcher *f = ud;
    http_sink sink = {.take = take, .take_ud = take_ud, .most = STREAM_MOST, .size = ANSWER_UNKNOWN, .name = f->what};
    return get(f, url, &sink, e);
}

/* The regions of the cloud among those that are asked for; false: none of them. */
static bool choose_regions(const update *u, live *l, pg_error *e)
{
    const char **list = ARENA_ARRAY(l->a, const char *, u->o->region_count + 1);
    const pg_offer *o;
    if (!list) {
        error_nomem(e, l->a);
        return false;
    }
    for (size_t i = 0; i < u->o->region_count; i++) {
        bool known = false;
        for (size_t k = 0; !known && (o = pg_market_at(u->known, k)) != NULL; k++)
            known = !strcmp(o->cloud, l->cloud) && !strcmp(o->region, u->o->regions[i]);
        if (known) list[l->region_count++] = u->o->regions[i];
    }
    l->regions = list;
    return l->region_count || !u->o->region_count;
}

/* Goes into an address as it is. */
static bool key_ok(const char *key)
{
    size_t n = 0;
    while ((key[n] >= 'a' && key[n] <= 'z') || (key[n] >= 'A' && key[n] <= 'Z') || (key[n] >= '0' && key[n] <= '9') ||
           key[n] == '-' || key[n] == '_')
        n++;
    return n && !key[n] && n <= 256;
}

static pg_code fetch(const live *from, size_t cloud, const update *u, live *l, pg_error *e)
{
    hub_config config;
    char origin[URL_ORIGIN_SIZE];
    *l = *from;
    pg_code code = hub_config_read(&config, l->a, e);
    if (code) return code;
    if (config.offline) return error_set(e, PG_E_NETWORK, "HF_HUB_OFFLINE forbids the network");
    config.endpoint = l->base;
    config.token = NULL;
    config.service = "the server";
    config.deadline_ms = http_clock_ms() + clouds[cloud].most_ms;
    config.progress = u->o->progress;
    config.progress_ud = u->o->progress_ud;
    if (!url_origin(origin, str_c(l->base)))
        return error_set(e, PG_E_CONFIG, "%s should be like %s, not '%.100s'", clouds[cloud].variable,
                         clouds[cloud].base, l->base);
    fetcher f = {.l = l, .what = clouds[cloud].what};
    buffer_init(&f.page, l->a->alloc);
    l->from = (live_source){get_page, get_stream, &f};
    code = http_open(&f.h, &config, l->a, e);
    if (!code) code = clouds[cloud].read(l, e);
    http_close(f.h);
    buffer_free(&f.page);
    return code;
}

static void keep(update *u, const live *got, price_scope *scope, pg_live_result *r)
{
    bool rebuilt;
    scope->spot = !got->note[0];
    if (price_cache_merge(u->path, &got->rows, scope, &rebuilt, &r->error) == PG_E_OK) r->offers = got->rows.count;
    u->rebuilt = u->rebuilt || rebuilt;
    format_text(r->note, sizeof r->note, "%s", got->note);
}

/* Whether what the cloud would answer came a short while ago. Spot prices of AWS don't come without keys. */
static bool is_fresh(const update *u, const live *l, price_scope *scope)
{
    aws_keys keys;
    if (u->o->max_age_s <= 0) return false;
    scope->spot = strcmp(l->cloud, "aws") != 0 || (aws_keys_read(&keys, l->a, NULL) == PG_E_OK && keys.id);
    return price_cache_fresh(u->path, scope, u->o->max_age_s);
}

static void update_cloud(update *u, size_t cloud, pg_live_result *r)
{
    const char *base = getenv(clouds[cloud].variable), *key = u->o->gcp_key ? u->o->gcp_key : getenv("GOOGLE_API_KEY");
    pg_error *e = &r->error;
    live l = {.a = u->a, .cloud = r->cloud, .today = u->o->today, .base = base && base[0] ? base : clouds[cloud].base};
    bool gcp = !strcmp(r->cloud, "gcp");
    if (gcp && (!key || !key[0])) {
        r->skipped = true;
        error_set(e, PG_E_DENIED, "an API key is needed: set GOOGLE_API_KEY, or give --api-key FILE");
    } else if (gcp && !key_ok(key)) {
        error_set(e, PG_E_CONFIG, "the API key holds characters that no key has");
    } else if (!choose_regions(u, &l, e)) {
        r->skipped = !e->code;
        error_set(e, PG_E_NOT_FOUND, "none of the regions is one of its own");
    } else {
        live got = l;
        static const char *const usual[] = {AWS_USUAL_REGION};
        price_scope scope = {l.cloud, l.regions, l.region_count, false, (int64_t)time(NULL)};
        if (!scope.region_count && !strcmp(l.cloud, "aws")) scope.regions = usual, scope.region_count = 1;
        l.key = key;
        r->fresh = is_fresh(u, &l, &scope);
        if (r->fresh || live_begin(&l, u->known, e) || fetch(&l, cloud, u, &got, e)) return;
        keep(u, &got, &scope, r);
    }
}

static bool is_asked(const pg_live_options *o, const char *cloud)
{
    for (size_t i = 0; i < o->cloud_count; i++)
        if (!strcmp(o->clouds[i], cloud)) return true;
    return !o->cloud_count;
}

static pg_code check(const pg_live_options *o, pg_error *e)
{
    for (size_t i = 0; i < o->cloud_count; i++) {
        bool known = false;
        for (size_t k = 0; k < PG_LIVE_CLOUDS; k++) known = known || !strcmp(o->clouds[i], clouds[k].name);
        if (!known)
            return error_set(e, PG_E_NOT_FOUND, "prices of '%.60s' can't be fetched; those of aws, azure and gcp can",
                             o->clouds[i]);
    }
    if (!o->today || price_day(str_c(o->today)) < 0)
        return error_set(e, PG_E_USAGE, "'%.60s' is no date; write it as 2026-11-21", o->today ? o->today : "");
    return PG_E_OK;
}

static pg_code update_all(update *u, pg_live_report *report, pg_error *e)
{
    char path[PRICE_PATH];
    if (!price_cache_path(path))
        return error_set(e, PG_E_CONFIG, "there is no folder for prices: set HOME, or XDG_CACHE_HOME");
    u->path = path;
    /* Before megabytes are fetched that could not be kept. */
    pg_code code = price_cache_merge(path, &(price_rows){.a = u->a}, NULL, &u->rebuilt, e);
    for (size_t i = 0; i < PG_LIVE_CLOUDS && !code; i++) {
        if (!is_asked(u->o, clouds[i].name)) continue;
        pg_live_result *r = &report->clouds[report->count++];
        *r = (pg_live_result){.cloud = clouds[i].name, .error = PG_ERROR_INIT};
        update_cloud(u, i, r);
        if (r->error.code == PG_E_NOMEM) code = error_set(e, PG_E_NOMEM, "%s", r->error.text);
    }
    report->rebuilt = u->rebuilt;
    return code;
}

pg_code pg_prices_update(pg_live_report *report, const pg_catalog *catalog, const pg_live_options *options,
                         pg_error *error)
{
    pg_error local = PG_ERROR_INIT;
    pg_error *e = error ? error : &local;
    pg_market *known = NULL;
    arena a;
    *report = (pg_live_report){.count = 0};
    pg_code code = check(options, e);
    if (code) return code;
    arena_init(&a, api_allocator(options->allocator), 128u << 20);
    code = pg_market_open(&known, catalog, &(pg_market_options){.no_user_files = true, .allocator = options->allocator},
                          e);
    update u = {.a = &a, .o = options, .known = known};
    if (!code) code = update_all(&u, report, e);
    pg_market_free(known);
    arena_free(&a);
    return code;
}

#endif
