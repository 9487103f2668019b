/* The built-in GPUs, and today's market of them, for tests that ask for predictions and prices. */
#ifndef SUPPORT_GPUS_H
#define SUPPORT_GPUS_H

#include "phantom/prices.h"

extern pg_catalog *gpus;
extern pg_market *market;
/* How the market was opened: without the user's files, on a day that stays. */
extern const pg_market_options at_today;

/* Group fixtures of cmocka: the GPUs alone, or with the market. */
int open_gpus(void **state);
int close_gpus(void **state);
int open_market(void **state);
int close_market(void **state);

#endif
