/* What GPUs cost, and what the electricity that they use emits: cloud offers, the user's own prices, carbon of regions.
 *
 *     pg_market *market; pg_cost cost;
 *     pg_market_open(&market, gpus, NULL, &e);
 *     pg_market_cost(market, &prediction, &(pg_market_query){.spot = false}, &cost);
 *     printf("%.2f USD an hour at %s\n", cost.usd_per_hour, cost.price.offer->cloud);
 *
 * Amounts are US dollars. What is not known is negative or NULL. */
#ifndef PHANTOM_PRICES_H
#define PHANTOM_PRICES_H

#include "phantom/phantom.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pg_market pg_market;

/* Prices older than so many days are stale. */
enum { PG_STALE_DAYS = 90 };

typedef struct pg_market_options {
    const char *prices;      /* a TOML file of the user's own offers and hardware that goes before all others; NULL: none */
    bool no_user_files;      /* don't look in the working directory, XDG_CONFIG_HOME and XDG_CACHE_HOME */
    const char *today;       /* "2026-11-21": the day that ages are counted from; NULL: ages are not known */
    const pg_allocator *allocator; /* copied; NULL: malloc */
} pg_market_options;

/* A kind of instance in a region. */
typedef struct pg_offer {
    const char *cloud, *region, *instance;
    const pg_gpu *gpu;
    double gpu_count; /* in one instance; below 1: a share of a GPU */
    int vcpus;        /* 0: not known */
    double memory_gb; /* of the host; 0: not known */
    double on_demand_usd, spot_usd; /* an hour of the whole instance */
    const char *as_of, *source;     /* NULL: not known */
    int age_days;                   /* negative: not known */
    const char *spot_as_of;         /* of the spot price, which may be older */
    int spot_age_days;
    const char *interruption;       /* share of spot instances that are taken back in a month, "<5%"; NULL: not known */
    bool user;                      /* from the user's own file */
    bool live;                      /* fetched by pg_prices_update */
} pg_offer;

/* Which offers count. */
typedef struct pg_market_query {
    const char *const *clouds, *const *regions; /* NULL: all */
    size_t cloud_count, region_count;
    bool spot; /* spot prices; what has none is left out */
    bool own;  /* bought, not rented */
    double carbon_g_per_kwh; /* the user's own mix; 0: the region's */
} pg_market_query;

/* What a number of GPUs costs. */
typedef struct pg_price {
    const pg_offer *offer; /* NULL: bought, or no price is known */
    bool spot, own, stale; /* stale: older than PG_STALE_DAYS, or of unknown age */
    int instances;         /* of the offer, to have that many GPUs */
    double usd_per_hour;   /* of all of them */
    const char *as_of;     /* NULL: not known */
} pg_price;

/* Assumptions about a bought GPU; from [own] and [hardware.KEY] of the user's file, else the defaults of docs/prices.md. */
typedef struct pg_ownership {
    double price_usd;     /* of one GPU; negative: not known */
    double host_usd;      /* of the machine around it, for each GPU */
    double lifetime_years;
    double utilisation;   /* share of all hours that it works */
    double usd_per_kwh, pue;
    const char *as_of, *source;
    bool user;            /* the price is the user's own */
} pg_ownership;

/* Carbon of electricity in a region. */
typedef struct pg_carbon {
    double g_per_kwh; /* of the grid */
    double pue;       /* negative: not known */
    const char *place, *year, *source; /* NULL: not known */
} pg_carbon;

/* What a prediction costs. */
typedef struct pg_cost {
    pg_price price;
    double usd_per_hour, usd_per_million; /* a million samples or tokens, as the prediction counts them */
    double kwh_per_million;               /* of the boards alone */
    double joule_per_unit;
    double g_per_hour, g_per_million;     /* CO2e, with the region's PUE where known */
    pg_carbon carbon;
} pg_cost;

/* The built-in offers, before them those of the last pg_prices_update, before all the user's. A mistake in a file is PG_E_CONFIG with source, line and column. The market points
 * into the catalog, which must live longer. */
PG_API PG_MUST_USE pg_code pg_market_open(pg_market **out, const pg_catalog *catalog, const pg_market_options *options,
                                          pg_error *error);
PG_API void pg_market_free(pg_market *market);
/* Offer i, sorted by cloud, region and instance; NULL past the end. */
PG_API const pg_offer *pg_market_at(const pg_market *market, size_t i);
PG_API size_t pg_market_warning_count(const pg_market *market);
PG_API const char *pg_market_warning(const pg_market *market, size_t i);
/* PG_E_NOT_FOUND names what is near where a cloud or region of the query is in no offer. */
PG_API PG_MUST_USE pg_code pg_market_check(const pg_market *market, const pg_market_query *query, pg_error *error);
PG_API bool pg_market_matches(const pg_offer *offer, const pg_market_query *query);
/* The day of its price, and the days since; NULL and negative: not known. */
PG_API const char *pg_offer_as_of(const pg_offer *offer, bool spot);
PG_API int pg_offer_age(const pg_offer *offer, bool spot);
/* The hour of n GPUs at this offer, whole instances; negative: not offered so. */
PG_API double pg_offer_usd(const pg_offer *offer, int gpus, bool spot);
/* The cheapest way to have n GPUs of this kind; false: there is none. power_w: of all of them, for what is bought. */
PG_API bool pg_market_price(const pg_market *market, const pg_gpu *gpu, int gpus, double power_w,
                            const pg_market_query *query, pg_price *out);
PG_API pg_ownership pg_market_ownership(const pg_market *market, const pg_gpu *gpu);
/* False: nothing is known of the region. */
PG_API bool pg_market_carbon(const pg_market *market, const char *cloud, const char *region, pg_carbon *out);
/* Of the cheapest price. All negative where nothing is known. */
PG_API void pg_market_cost(const pg_market *market, const pg_gpu *gpu, const pg_prediction *prediction,
                           const pg_market_query *query, pg_cost *out);
/* The same at a price that was chosen. */
PG_API void pg_market_cost_at(const pg_market *market, const pg_prediction *prediction, const pg_price *price,
                              const pg_market_query *query, pg_cost *out);

/* ---------------------------------------------------------- live prices ---- */

enum { PG_LIVE_CLOUDS = 3 };

typedef struct pg_live_options {
    const char *const *clouds, *const *regions; /* of "aws", "azure", "gcp"; none: all. Of AWS, without regions, us-east-1 */
    size_t cloud_count, region_count;
    const char *today;   /* the day that the prices are dated with; required */
    const char *gcp_key; /* NULL: $GOOGLE_API_KEY; without either GCP is skipped */
    void (*progress)(void *ud, const char *what, uint64_t done, uint64_t total);
    void *progress_ud;
    const pg_allocator *allocator; /* copied; NULL: malloc */
    int max_age_s; /* a cloud whose prices came whole within so many seconds is not asked again; 0: it is */
} pg_live_options;

/* What came of one cloud. */
typedef struct pg_live_result {
    const char *cloud;
    size_t offers;   /* that got a new price */
    bool skipped;    /* it was not asked; error.text says why */
    pg_error error;  /* no code: its prices are new */
    char note[300];  /* what is missing all the same; empty: nothing */
    bool fresh;      /* it was not asked, since its prices are younger than max_age_s */
} pg_live_result;

typedef struct pg_live_report {
    pg_live_result clouds[PG_LIVE_CLOUDS];
    size_t count;
    bool rebuilt; /* what was kept of earlier updates was damaged, and is gone */
} pg_live_report;

/* Fetches today's prices and keeps them in $XDG_CACHE_HOME/phantom-gpu/prices.sqlite, where pg_market_open finds them: each cloud's
 * in one transaction. What fails leaves the prices of its cloud as they were. PG_E_OK: the report says of each cloud what became of
 * it; anything else: it stopped there. PG_E_UNSUPPORTED: libsqlite3 or libcurl is missing. Environment: docs/prices.md. */
PG_API PG_MUST_USE pg_code pg_prices_update(pg_live_report *report, const pg_catalog *catalog,
                                            const pg_live_options *options, pg_error *error);

/* ------------------------------------------------------- recommendation ---- */

/* What a choice fails on; several may be set. */
enum { PG_FAILS_MEMORY = 1, PG_FAILS_LATENCY = 2, PG_FAILS_GPUS = 4, PG_FAILS_BUDGET = 8, PG_FAILS_CARBON = 16, PG_FAILS_OFFER = 32, PG_FAILS_RUNTIME = 64 };

#define PG_HOURS_PER_MONTH 730.5

typedef enum pg_place { PG_BY_GPU, PG_BY_CLOUD, PG_BY_REGION } pg_place;

/* What is wanted, and what is searched. Of throughput the low end of the 80 % interval counts, of latency the high end. */
typedef struct pg_wish {
    pg_request request;           /* task, sequence, layout...; batch, precision, runtime and parallelism are searched. Serving: the tokens of
                                   * its request_rate are wanted, of all GPUs together */
    const pg_gpu *const *gpus;
    size_t gpu_count;
    const char *const *precisions, *const *runtimes;
    size_t precision_count, runtime_count;
    const int64_t *batches;
    size_t batch_count;
    pg_market_query query;
    pg_place place;               /* one choice for each GPU, for each GPU in each cloud, in each region */
    double throughput;            /* of all GPUs together; 0: as much as one replica gives */
    double latency_ms;            /* of a step; 0: any */
    double ttft_ms, tpot_ms;      /* language models: to the first token, for each one after it; 0: any */
    double budget_usd, carbon_kg; /* a month; 0: any */
    int max_gpus;                 /* 0: any */
    bool by_carbon;               /* ranked by carbon instead of cost */
} pg_wish;

/* One way to run the model. */
typedef struct pg_choice {
    const pg_gpu *gpu;
    pg_prediction p;      /* of one replica */
    int replicas, gpus;   /* gpus: of all replicas */
    double throughput, throughput_low; /* of all replicas */
    double headroom;      /* throughput_low over what is wanted, minus 1; negative: nothing was wanted, or it is missed */
    pg_cost cost;         /* of all replicas; per million at the throughput of the prediction */
    double usd_per_month, kg_per_month;
    double spot_usd_per_month; /* the same instances as spot; negative: not offered */
    double break_even_months;  /* until as many bought GPUs have cost less than this rent, in full use; negative: never, or unknown */
    unsigned fails;       /* PG_FAILS_...; 0: it holds all that is wanted */
    double excess;        /* by which share the constraint that it fails most is missed; 0: none */
    bool front;           /* no other choice that holds is both cheaper and quicker */
} pg_choice;

typedef struct pg_recommendation pg_recommendation;

/* Choices that hold first, the cheapest first; then the near misses, the nearest first. PG_E_USAGE where a wish is not a number or nothing
 * is searched. The recommendation points into model, catalog and market. */
PG_API PG_MUST_USE pg_code pg_recommend(pg_recommendation **out, const pg_model *model, const pg_catalog *catalog,
                                        const pg_market *market, const pg_wish *wish, pg_error *error);
PG_API void pg_recommendation_free(pg_recommendation *recommendation);
PG_API const pg_choice *pg_recommendation_at(const pg_recommendation *recommendation, size_t i);
/* Choices that hold. */
PG_API size_t pg_recommendation_held(const pg_recommendation *recommendation);

#ifdef __cplusplus
}
#endif
#endif
