/* Prices of one cloud from its public interface. Knows nothing of HTTP: bytes come through a function. */
#ifndef PRICE_LIVE_H
#define PRICE_LIVE_H

#include "price/cache.h"
#include "price/market.h"

enum { LIVE_PAGES_MOST = 400, LIVE_PAGE_MOST = 32 << 20 };

struct json_t; /* of jansson */

typedef struct live live;

/* Is given a long answer piece by piece; false: *e says why it wants no more. */
typedef bool live_take(void *ud, const char *data, size_t n, pg_error *e);

/* Where the bytes come from. */
typedef struct live_source {
    /* The whole answer, at most LIVE_PAGE_MOST bytes, until the next call. */
    pg_code (*page)(void *ud, const char *url, str *out, pg_error *e);
    pg_code (*stream)(void *ud, const char *url, live_take *take, void *take_ud, pg_error *e);
    void *ud;
} live_source;

struct live {
    arena *a;
    const char *cloud;
    const pg_offer **kinds; /* one built-in offer of each instance of the cloud: they say which GPUs it has */
    size_t kind_count;
    const char *const *regions;
    size_t region_count; /* 0: all */
    const char *today;
    const char *base, *key; /* address of the interface; of GCP: its API key */
    const char *spot_base;  /* of AWS: where its spot prices are; NULL: nowhere */
    char note[300];         /* what is missing although the rest worked */
    live_source from;
    price_rows rows; /* what was found; a row whose on-demand price is negative has none yet */
};

pg_code live_aws(live *l, pg_error *e);
pg_code live_azure(live *l, pg_error *e);
pg_code live_gcp(live *l, pg_error *e);

/* live.c: what they share. As printf, into the arena; NULL: out of memory. */
char *live_text(live *l, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Finds the kinds of instances of the cloud. */
pg_code live_begin(live *l, const pg_market *known, pg_error *e);
/* NULL: no such kind. */
const pg_offer *live_instance(const live *l, str instance);
bool live_region_wanted(const live *l, str region);
/* Takes a price of an instance that is known. Of 0 USD: nothing is for sale. Where there are several, the highest counts. */
pg_code live_add(live *l, const pg_offer *kind, str region, bool spot, double usd, pg_error *e);
/* Drops what has a spot price alone, and dates the rest. Nothing at all is an error. */
pg_code live_finish(live *l, const char *source, pg_error *e);
/* The whole of an answer as JSON, to be freed with json_decref; NULL: *e says why. */
struct json_t *live_page(live *l, const char *url, pg_error *e);

#endif
