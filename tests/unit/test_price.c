/* Offers, costs, carbon and recommendations. */
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
#include <unistd.h>

#include "base/sha.h"
#include "price/cache.h"
#include "price/live_aws.h"
#include "price/market.h"
#include "support/expect.h"
#include "support/gpus.h"
#include "support/heap.h"
#ifndef PHANTOM_NO_HUB
#include "hub/http.h"
#include "support/hub_server.h"
#endif

static const pg_gpu *gpu(const char *name)
{
    const pg_gpu *g = pg_catalog_find(gpus, name, NULL);
    assert_non_null(g);
    return g;
}

/* A market with the user's own file of this text. */
static pg_code open_with(const char *text, pg_market **out, pg_error *e)
{
    char path[] = "/tmp/phantom-prices-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    pg_market_options o = at_today;
    o.prices = path;
    pg_code code = pg_market_open(out, gpus, &o, e);
    unlink(path);
    return code;
}

static void test_days(void **state)
{
    (void)state;
    assert_int_equal(price_day(STR("1970-01-01")), 0);
    assert_int_equal(price_day(STR("2000-03-01")), 11017);
    assert_int_equal(price_day(STR("2026-11-21")) - price_day(STR("2026-08-23")), 90);
    static const char *const bad[] = {"",         "2026",     "2026-13-01",  "2026-00-01", "2026-01-32",
                                      "26-01-01", "2026-1-1", "2026-01-01x", "x"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) assert_int_equal(price_day(str_c(bad[i])), -1);
}

static void test_every_offer_is_sane(void **state)
{
    (void)state;
    size_t n = 0, dated = 0;
    for (const pg_offer *o; (o = pg_market_at(market, n)); n++) {
        assert_true(o->cloud[0] && o->region[0] && o->instance[0] && o->gpu && o->source);
        assert_true(o->gpu_count > 0 && o->gpu_count <= 64);
        assert_true(o->on_demand_usd > 0 || o->spot_usd > 0);
        double usd = (o->on_demand_usd > 0 ? o->on_demand_usd : o->spot_usd) / o->gpu_count;
        assert_true(usd > 0.01 && usd < 100); /* an hour of a GPU */
        dated += o->as_of != NULL;
        assert_true(!o->as_of || o->age_days >= 0);
    }
    assert_true(n > 1500 && dated > 1000);
}

static void test_whole_instances(void **state)
{
    (void)state;
    pg_offer o = {.gpu_count = 8, .on_demand_usd = 80, .spot_usd = -1};
    expect_near(pg_offer_usd(&o, 1, false), 80, 1e-6);
    expect_near(pg_offer_usd(&o, 8, false), 80, 1e-6);
    expect_near(pg_offer_usd(&o, 9, false), 160, 1e-6);
    assert_true(pg_offer_usd(&o, 1, true) < 0);
    o.gpu_count = 0.5; /* a share of a GPU is not a GPU */
    assert_true(pg_offer_usd(&o, 1, false) < 0);
}

static void test_cheapest(void **state)
{
    (void)state;
    pg_price all, one;
    static const char *const aws[] = {"AWS"};
    assert_true(pg_market_price(market, gpu("l4"), 1, 0, NULL, &all));
    assert_true(pg_market_price(market, gpu("l4"), 1, 0, &(pg_market_query){.clouds = aws, .cloud_count = 1}, &one));
    assert_string_equal(one.offer->cloud, "aws");
    assert_true(all.usd_per_hour <= one.usd_per_hour);
    for (size_t i = 0; pg_market_at(market, i); i++) {
        const pg_offer *o = pg_market_at(market, i);
        double usd = o->gpu == gpu("l4") ? pg_offer_usd(o, 1, false) : -1;
        assert_true(usd < 0 || usd >= all.usd_per_hour);
    }
    assert_false(pg_market_price(market, gpu("gtx1080ti"), 1, 0, NULL, &one));
    assert_true(one.usd_per_hour < 0);
}

static void test_stale(void **state)
{
    (void)state;
    pg_market *m;
    pg_error e = PG_ERROR_INIT;
    assert_int_equal(
        open_with("[[offers]]\ncloud = \"mine\"\ngpu = \"rtx4090\"\non_demand_usd = 0.5\nas_of = \"2026-08-23\"\n"
                  "[[offers]]\ncloud = \"old\"\ngpu = \"rtx4090\"\non_demand_usd = 0.4\nas_of = \"2026-08-22\"\n",
                  &m, &e),
        PG_E_OK);
    static const char *const mine[] = {"mine"}, *const old[] = {"old"};
    pg_price p;
    assert_true(pg_market_price(m, gpu("rtx4090"), 2, 0, &(pg_market_query){.clouds = mine, .cloud_count = 1}, &p));
    expect_near(p.usd_per_hour, 1.0, 1e-6);
    assert_int_equal(p.instances, 2);
    assert_false(p.stale);
    assert_true(pg_market_price(m, gpu("rtx4090"), 1, 0, &(pg_market_query){.clouds = old, .cloud_count = 1}, &p));
    assert_true(p.stale);
    pg_market_free(m);
}

static void test_user_goes_before(void **state)
{
    (void)state;
    pg_market *m;
    pg_error e = PG_ERROR_INIT;
    assert_int_equal(
        open_with("[[offers]]\ncloud = \"gcp\"\nregion = \"us-east4\"\ninstance = \"g2-standard-4\"\ngpu = \"l4\"\n"
                  "on_demand_usd = 0.01\n",
                  &m, &e),
        PG_E_OK);
    size_t n = 0;
    for (size_t i = 0; pg_market_at(m, i); i++) {
        const pg_offer *o = pg_market_at(m, i);
        if (strcmp(o->cloud, "gcp") || strcmp(o->region, "us-east4") || strcmp(o->instance, "g2-standard-4")) continue;
        expect_near(o->on_demand_usd, 0.01, 1e-6);
        assert_true(o->user);
        n++;
    }
    assert_int_equal(n, 1);
    pg_market_free(m);
}

static void test_bad_files(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
        uint32_t line;
    } cases[] = {
        {"[own]\nlifetime = 3\n", "lifetime", 2},
        {"[own]\nutilisation = 1.5\n", "utilisation", 2},
        {"[own]\nutilisation = 0\n", "utilisation", 2},
        {"[own]\ncountry = \"XYZ\"\n", "XYZ", 2},
        {"[own]\nlifetime_years = nan\n", "lifetime_years", 2},
        {"[hardware.rtx4009]\nprice_usd = 1\n", "rtx4009", 1},
        {"[hardware.rtx4090]\nas_of = \"soon\"\n", "as_of", 1},
        {"[[offers]]\ngpu = \"a100\"\non_demand_usd = 1\n", "needs cloud", 1},
        {"[[offers]]\ncloud = \"x\"\ngpu = \"a100\"\n", "on_demand_usd or spot_usd", 1},
        {"[[offers]]\ncloud = \"x\"\ngpu = \"a100\"\non_demand_usd = -1\n", "on_demand_usd", 4},
        {"[offers]\n", "[[offers]]", 1},
        {"offers = [1]\n", "tables", 1},
        {"[prices]\n", "prices", 1},
        {"[own\n", "", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pg_market *m;
        pg_error e = PG_ERROR_INIT;
        pg_code code = open_with(cases[i].text, &m, &e);
        if (!code || m || !(strstr(e.text, cases[i].words) || strstr(e.path, cases[i].words)) ||
            e.line != cases[i].line || !e.source[0])
            fail_msg("case %zu: code %d, line %u: %s", i, (int)code, e.line, e.text);
    }
}

static void test_costs(void **state)
{
    (void)state;
    pg_prediction p = {.fits = true, .throughput = 1000, .latency_ms = 1, .power_w = 300, .gpu_count = 1};
    pg_offer o = {.cloud = "gcp", .region = "europe-north1", .instance = "x", .gpu_count = 1, .on_demand_usd = 3.6};
    pg_price price = {.offer = &o, .instances = 1, .usd_per_hour = 3.6};
    pg_cost c;
    pg_market_cost_at(market, &p, &price, &(pg_market_query){.carbon_g_per_kwh = 100}, &c);
    expect_near(c.usd_per_million, 1.0, 1e-6);
    expect_near(c.joule_per_unit, 0.3, 1e-6);
    expect_near(c.kwh_per_million, 0.3 * 1e6 / 3.6e6, 1e-6);
    double pue = c.carbon.pue > 0 ? c.carbon.pue : 1;
    expect_near(c.g_per_million, c.kwh_per_million * 100 * pue, 1e-6);
    expect_near(c.g_per_hour, 0.3 * 100 * pue, 1e-6);
    p.fits = false;
    pg_market_cost_at(market, &p, &price, NULL, &c);
    assert_true(c.usd_per_million < 0 && c.kwh_per_million < 0 && c.g_per_million < 0);
    p.fits = true;
    pg_market_cost_at(market, &p, &(pg_price){.usd_per_hour = -1}, NULL, &c);
    assert_true(c.usd_per_million < 0 && c.g_per_million < 0 && c.kwh_per_million > 0); /* unknown is not 0 */
}

static void test_bought(void **state)
{
    (void)state;
    pg_market *m;
    pg_error e = PG_ERROR_INIT;
    assert_int_equal(
        open_with(
            "[own]\nlifetime_years = 2\nutilisation = 0.5\nelectricity_usd_per_kwh = 0.2\npue = 1.5\nhost_usd = 500\n"
            "carbon_g_per_kwh = 50\n[hardware.rtx4090]\nprice_usd = 1500\nas_of = \"2026-11-01\"\n",
            &m, &e),
        PG_E_OK);
    pg_price price;
    pg_market_query own = {.own = true};
    assert_true(pg_market_price(m, gpu("rtx4090"), 2, 800, &own, &price));
    expect_near(price.usd_per_hour, 2 * 2000 / (2 * 8766 * 0.5) + 0.8 * 1.5 * 0.2, 1e-6);
    assert_true(price.own && !price.stale && !price.offer);
    pg_prediction p = {.fits = true, .throughput = 100, .latency_ms = 1, .power_w = 400, .gpu_count = 1};
    pg_cost c;
    pg_market_cost(m, gpu("rtx4090"), &p, &own, &c);
    expect_near(c.g_per_hour, 0.4 * 1.5 * 50, 1e-6);
    pg_market_free(m);
}

static void test_carbon(void **state)
{
    (void)state;
    pg_carbon c;
    assert_true(pg_market_carbon(market, "gcp", "europe-north1", &c) && c.g_per_kwh > 0 && c.source);
    assert_true(pg_market_carbon(market, "azure", "EastUS", &c) && c.g_per_kwh > 100);
    assert_false(pg_market_carbon(market, "gcp", "mars-north1", &c));
    assert_true(c.g_per_kwh < 0);
}

static void test_unknown_places(void **state)
{
    (void)state;
    pg_error e = PG_ERROR_INIT;
    static const char *const cloud[] = {"asw"}, *const place[] = {"us-eest-1"};
    assert_int_equal(pg_market_check(market, &(pg_market_query){.clouds = cloud, .cloud_count = 1}, &e),
                     PG_E_NOT_FOUND);
    assert_non_null(strstr(e.text, "aws"));
    e = (pg_error)PG_ERROR_INIT;
    assert_int_equal(pg_market_check(market, &(pg_market_query){.regions = place, .region_count = 1}, &e),
                     PG_E_NOT_FOUND);
    assert_non_null(strstr(e.text, "us-east-1"));
}

/* ---- recommendations ---- */

static const char *const precisions[] = {"fp16"}, *const runtimes[] = {"pytorch", "tensorrt"};
static const int64_t batches[] = {1, 8, 64};

static pg_wish wish_for(const pg_gpu *const *list, size_t count)
{
    return (pg_wish){.gpus = list,
                     .gpu_count = count,
                     .precisions = precisions,
                     .precision_count = 1,
                     .runtimes = runtimes,
                     .runtime_count = 2,
                     .batches = batches,
                     .batch_count = 3,
                     .place = PG_BY_CLOUD};
}

static size_t check_choices(const pg_recommendation *r, const pg_wish *w)
{
    size_t held = pg_recommendation_held(r);
    const pg_choice *c;
    for (size_t i = 0; (c = pg_recommendation_at(r, i)); i++) {
        assert_int_equal(i < held, c->fails == 0);
        if (i >= held) {
            assert_true(c->excess > 0 && !c->front);
            continue;
        }
        assert_true(c->p.fits && c->throughput_low >= w->throughput * (1 - 1e-9));
        assert_true(w->latency_ms <= 0 || c->p.latency_high_ms <= w->latency_ms);
        assert_true(w->budget_usd <= 0 || c->usd_per_month <= w->budget_usd);
        assert_true(w->max_gpus <= 0 || c->gpus <= w->max_gpus);
        assert_true(c->cost.price.instances * c->cost.price.offer->gpu_count >= c->gpus);
        expect_near(c->usd_per_month, c->cost.usd_per_hour * PG_HOURS_PER_MONTH, 1e-6);
        if (i) assert_true(c->usd_per_month >= pg_recommendation_at(r, i - 1)->usd_per_month);
        /* one replica less would not do */
        assert_true(c->replicas == 1 || c->throughput_low / c->replicas * (c->replicas - 1) < w->throughput);
    }
    return held;
}

static void test_recommend(void **state)
{
    (void)state;
    const pg_gpu *list[] = {gpu("l4"), gpu("t4"), gpu("a10g"), gpu("l40s"), gpu("a100"), gpu("h100"), gpu("rtx4090")};
    pg_model *m;
    pg_error e = PG_ERROR_INIT;
    assert_int_equal(pg_model_open(&m, "resnet50", NULL, &e), PG_E_OK);
    size_t last = 0;
    for (double budget = 50; budget < 1e6; budget *= 3) {
        pg_wish w = wish_for(list, 7);
        pg_recommendation *r;
        w.throughput = 5000;
        w.latency_ms = 30;
        w.budget_usd = budget;
        assert_int_equal(pg_recommend(&r, m, gpus, market, &w, &e), PG_E_OK);
        size_t held = check_choices(r, &w);
        assert_true(held >= last); /* more money never leaves less to choose from */
        last = held;
        pg_recommendation_free(r);
    }
    assert_true(last > 5);
    pg_model_free(m);
}

/* 70 billion parameters in fp16 fit on no single of these: they are divided, and a replica never spans instances. */
static void test_recommend_divided(void **state)
{
    (void)state;
    const pg_gpu *list[] = {gpu("a100_sxm_80gb"), gpu("t4")};
    pg_model *m;
    pg_recommendation *r;
    pg_error e = PG_ERROR_INIT;
    static const int64_t one[] = {1};
    assert_int_equal(pg_model_open(&m, "llama-2-70b", NULL, &e), PG_E_OK);
    pg_wish w = wish_for(list, 2);
    w.batches = one;
    w.batch_count = 1;
    w.throughput = 0.5;
    w.request.sequence = 128;
    assert_int_equal(pg_recommend(&r, m, gpus, market, &w, &e), PG_E_OK);
    check_choices(r, &w);
    bool divided = false, too_big = false;
    for (size_t i = 0; pg_recommendation_at(r, i); i++) {
        const pg_choice *c = pg_recommendation_at(r, i);
        if (c->gpu == list[1]) too_big = too_big || c->fails & PG_FAILS_MEMORY;
        else if (!(c->fails & PG_FAILS_OFFER)) {
            divided = true;
            assert_true(c->p.tensor_parallel > 1 && c->gpus == c->replicas * c->p.tensor_parallel);
            assert_true(c->cost.price.offer->gpu_count >= c->p.tensor_parallel);
        }
    }
    assert_true(divided && too_big);
    pg_recommendation_free(r);
    pg_model_free(m);
}

/* Requests a second are borne by as many replicas as it takes, each with as many at a time as the times that are wanted leave. */
static void test_recommend_for_requests(void **state)
{
    (void)state;
    const pg_gpu *list[] = {gpu("l40s"), gpu("h100")};
    static const char *const vllm[] = {"vllm"};
    pg_model *m;
    pg_recommendation *r;
    pg_error e = PG_ERROR_INIT;
    int gpus_before = 0;
    assert_int_equal(pg_model_open(&m, "llama-3.1-8b", NULL, &e), PG_E_OK);
    for (double rate = 2; rate < 100; rate *= 4) {
        pg_wish w = wish_for(list, 2);
        w.runtimes = vllm, w.runtime_count = 1;
        w.request = (pg_request){.task = PG_TASK_SERVING, .output_len = 200, .request_rate = rate};
        w.tpot_ms = 60;
        assert_int_equal(pg_recommend(&r, m, gpus, market, &w, &e), PG_E_OK);
        const pg_choice *c = pg_recommendation_at(r, 0);
        assert_true(pg_recommendation_held(r) > 0 && c->throughput_low >= 200 * rate && c->headroom >= 0);
        assert_true(c->p.tpot_high_ms <= 60 && c->gpus >= gpus_before);
        gpus_before = c->gpus;
        pg_recommendation_free(r);
    }
    assert_true(gpus_before > 1);
    pg_model_free(m);
}

static void test_recommend_bad_wishes(void **state)
{
    (void)state;
    const pg_gpu *list[] = {gpu("l4")};
    pg_model *m;
    pg_error e = PG_ERROR_INIT;
    assert_int_equal(pg_model_open(&m, "resnet18", NULL, &e), PG_E_OK);
    for (int i = 0; i < 5; i++) {
        pg_wish w = wish_for(list, i == 4 ? 0 : 1);
        pg_recommendation *r = NULL;
        if (i == 0) w.throughput = NAN;
        if (i == 1) w.budget_usd = -1;
        if (i == 2) w.latency_ms = INFINITY;
        if (i == 3) w.batch_count = 0;
        e = (pg_error)PG_ERROR_INIT;
        assert_int_equal(pg_recommend(&r, m, gpus, market, &w, &e), PG_E_USAGE);
        assert_true(e.text[0] && !r);
    }
    pg_model_free(m);
}

static void test_without_memory(void **state)
{
    (void)state;
    for (long n = 0;; n++) {
        test_heap heap = {.fail_at = n};
        pg_allocator a = {heap_resize, &heap};
        pg_market *m;
        pg_error e = PG_ERROR_INIT;
        pg_code code = pg_market_open(&m, gpus, &(pg_market_options){.no_user_files = true, .allocator = &a}, &e);
        if (code) assert_true(e.text[0] && !m);
        pg_market_free(m);
        assert_int_equal(heap.live, 0);
        assert_int_equal(heap.bytes, 0);
        if (!code) break;
        assert_true(n < 1000);
    }
}

/* -------------------------------------------------------- live prices ---- */

static const allocator by_malloc = {heap_plain, NULL};

static void expect_hex(const char *begin, const uint8_t *hash, size_t size)
{
    char hex[SHA_HEX];
    sha_hex(hex, hash, size);
    assert_int_equal(strlen(hex), 2 * size);
    assert_memory_equal(hex, begin, strlen(begin));
}

/* The values are those of Python's hashlib. */
static void test_sums(void **state)
{
    (void)state;
    static const struct {
        size_t n;
        const char *sha1, *sha256;
    } cases[] = {{0, "da39a3ee5e6b4b0d", "e3b0c44298fc1c14"},   {3, "7e240de74fb1ed08", "9834876dcfb05cb1"},
                 {55, "c1c8bbdc22796e28", "9f4390f8d30c2dd9"},  {56, "c2db330f6083854c", "b35439a4ac6f0948"},
                 {63, "03f09f5b158a7a8c", "7d3e74a05d7db15b"},  {64, "0098ba824b5c1642", "ffe054fe7ae0cb6d"},
                 {119, "ee971065aaa017e0", "31eba51c313a5c08"}, {1000, "291e9a6c66994949", "41edece42d63e8d9"}};
    char text[1000];
    uint8_t hash[SHA256_SIZE];
    memset(text, 'a', sizeof text);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sha256(hash, (str){text, cases[i].n});
        expect_hex(cases[i].sha256, hash, SHA256_SIZE);
        for (size_t step = 1; step < 130; step += 21) { /* the same in pieces */
            sha_sum one, two;
            sha1_begin(&one);
            sha256_begin(&two);
            for (size_t at = 0; at < cases[i].n; at += step) {
                sha_add(&one, text + at, cases[i].n - at < step ? cases[i].n - at : step);
                sha_add(&two, text + at, cases[i].n - at < step ? cases[i].n - at : step);
            }
            sha_end(hash, &one);
            expect_hex(cases[i].sha1, hash, SHA1_SIZE);
            sha_end(hash, &two);
            expect_hex(cases[i].sha256, hash, SHA256_SIZE);
        }
    }
    assert_false(sha256_hmac(hash, (str){text, 65}, STR("x")));
    assert_false(sha256_hmac(hash, STR("x"), (str){text, HMAC_TEXT_MOST}));
}

/* The signature is that of an independent implementation; 1 stands before 10 though '=' follows '0'. */
static void test_signed_request(void **state)
{
    (void)state;
    arena a;
    arena_init(&a, by_malloc, 0);
    live l = {.a = &a, .cloud = "aws"};
    aws_keys keys = {"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "a/b=="};
    const char *query[] = {"InstanceType.10=g5.xlarge", "InstanceType.1=g4dn.xlarge",
                           "Action=DescribeSpotPriceHistory"};
    const char *url = aws_sign(&l, &keys, "https://ec2.us-east-1.amazonaws.com", "us-east-1", "20261121T170000Z", query,
                               3);
    assert_string_equal(
        url,
        "https://ec2.us-east-1.amazonaws.com/?Action=DescribeSpotPriceHistory&InstanceType.1=g4dn.xlarge&InstanceType.10="
        "g5.xlarge&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20261121%2Fus-east-1%2Fec2%2Faws4_"
        "request&X-Amz-Date=20261121T170000Z&X-Amz-Expires=300&X-Amz-Security-Token=a%2Fb%3D%3D&X-Amz-SignedHeaders="
        "host&X-Amz-Signature=766a4341e9dfbf579a28b6e76e7cb36d76a257c74dbfddd9cdc55e2ebd74edc1");
    char secret[80];
    memset(secret, 'x', sizeof secret - 1);
    secret[sizeof secret - 1] = '\0';
    keys.secret = secret;
    assert_null(aws_sign(&l, &keys, "https://ec2.us-east-1.amazonaws.com", "us-east-1", "20261121T170000Z", query, 3));
    arena_free(&a);
}

#ifndef PHANTOM_NO_HUB

static bool refuse_all(void *ud, const char *data, size_t n, pg_error *e)
{
    (void)data, (void)n, (void)e;
    return ++*(int *)ud < 0;
}

/* Past the deadline nothing is waited for and nothing tried again; a taker that wants no more ends the transfer at once. */
static void test_deadline(void **state)
{
    (void)state;
    arena a;
    hub_config config;
    http *h;
    int taken = 0;
    pg_error e = PG_ERROR_INIT;
    http_result r;
    char url[128];
    hub_server *s = hub_server_start(TEST_ROOT "/tests/cli/cases/prices/live");
    assert_non_null(s);
    assert_true(hub_server_rule(s, "/hangs hang") && hub_server_rule(s, "/fails status=503"));
    assert_true(hub_server_rule(s, "/long file=aws.csv"));
    arena_init(&a, by_malloc, 0);
    setenv("HOME", "/nowhere", 1);
    assert_int_equal(hub_config_read(&config, &a, &e), PG_E_OK);
    assert_int_equal(http_open(&h, &config, &a, &e), PG_E_OK);
    static const char *const paths[] = {"hangs", "fails", "long"};
    for (size_t i = 0; i < 3; i++) {
        buffer out;
        buffer_init(&out, by_malloc);
        http_sink sink = {.memory = &out, .most = 1 << 20, .size = ANSWER_UNKNOWN, .name = "it"};
        if (i == 2)
            sink = (http_sink){
                .take = refuse_all, .take_ud = &taken, .most = 1 << 20, .size = ANSWER_UNKNOWN, .name = "it"};
        e = (pg_error)PG_ERROR_INIT;
        config.deadline_ms = http_clock_ms() + (i == 1 ? 600 : 200);
        snprintf(url, sizeof url, "%s/%s", hub_server_url(s), paths[i]);
        pg_code code = http_get(h, url, &sink, &r, &e);
        assert_int_equal(code, i == 0 ? PG_E_NETWORK : i == 1 ? PG_E_OK : PG_E_FORMAT);
        assert_true(i != 1 || r.last.status == 503);
        assert_true(http_clock_ms() < config.deadline_ms + 5000);
        buffer_free(&out);
    }
    assert_int_equal(taken, 1);
    size_t hangs = 0, fails = 0;
    const char *line;
    for (size_t i = 0; (line = hub_server_log(s, i)) != NULL; i++) {
        hangs += strstr(line, "/hangs") != NULL;
        fails += strstr(line, "/fails") != NULL;
    }
    assert_int_equal(hangs, 1);
    assert_true(fails >= 1 && fails <= 2);
    http_close(h);
    arena_free(&a);
    hub_server_stop(s);
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_days),
        cmocka_unit_test(test_every_offer_is_sane),
        cmocka_unit_test(test_whole_instances),
        cmocka_unit_test(test_cheapest),
        cmocka_unit_test(test_stale),
        cmocka_unit_test(test_user_goes_before),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_costs),
        cmocka_unit_test(test_bought),
        cmocka_unit_test(test_carbon),
        cmocka_unit_test(test_unknown_places),
        cmocka_unit_test(test_recommend),
        cmocka_unit_test(test_recommend_divided),
        cmocka_unit_test(test_recommend_for_requests),
        cmocka_unit_test(test_recommend_bad_wishes),
        cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_signed_request),
#ifndef PHANTOM_NO_HUB
        cmocka_unit_test(test_deadline),
#endif
    };
    return cmocka_run_group_tests(tests, open_market, close_market);
}
