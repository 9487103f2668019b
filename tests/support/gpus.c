#include "support/gpus.h"

#include <stddef.h>

pg_catalog *gpus;
pg_market *market;
const pg_market_options at_today = {.no_user_files = true, .today = "2026-11-21"};

int open_gpus(void **state)
{
    (void)state;
    return pg_catalog_open(&gpus, &(pg_catalog_options){.no_user_files = true}, NULL) ? -1 : 0;
}

int close_gpus(void **state)
{
    (void)state;
    pg_catalog_free(gpus);
    gpus = NULL;
    return 0;
}

int open_market(void **state)
{
    if (open_gpus(state)) return -1;
    return pg_market_open(&market, gpus, &at_today, NULL) ? -1 : 0;
}

int close_market(void **state)
{
    pg_market_free(market);
    market = NULL;
    return close_gpus(state);
}
