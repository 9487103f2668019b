/* The prices that were fetched: $XDG_CACHE_HOME/phantom-gpu/prices.csv, a table as data/prices/offers.csv with
 *
 *   # Prices that 'phantom-gpu prices update' fetched...     what it is, for people
 *   #source N text                                            as in table.c
 *   cloud,region,instance,gpu,...                             the names of the columns, and a line for each price
 *   #end N                                                    how many there are: a file that was cut off has no such line
 *
 * It is replaced as a whole, so that readers need no lock; writers have one, prices.csv.lock beside it. */
#ifndef PRICE_CACHE_H
#define PRICE_CACHE_H

#include "base/error.h"

enum { PRICE_PATH = 4096, PRICE_ROWS_MOST = 20000 };

typedef struct price_row {
    const char *cloud, *region, *instance, *gpu;
    double gpu_count;
    int vcpus;
    double memory_gb, on_demand_usd, spot_usd; /* spot: negative where there is none */
    const char *as_of, *source;
    const char *spot_as_of; /* NULL: as_of */
} price_row;

typedef struct price_rows {
    arena *a;
    price_row *list;
    size_t count, cap;
} price_rows;

/* The row of that instance. NULL: there is none. */
price_row *price_rows_find(const price_rows *rows, const char *cloud, const char *region, const char *instance);
/* PG_E_NOMEM, or PG_E_LIMIT. */
pg_code price_rows_add(price_rows *rows, const price_row *row, pg_error *e);
/* Above 0 and below 10,000 USD an hour. */
bool price_sane(double usd);
/* Letters, digits, '.', '_' and '-': what a region and an instance are called. */
bool price_name_ok(str name);

/* False: neither XDG_CACHE_HOME nor HOME says where. */
bool price_cache_path(char out[PRICE_PATH]);
/* No rows where there is no file. Not NULL: what is wrong with it, and there are no rows; or a->failed. */
const char *price_cache_read(price_rows *rows, arena *a, const char *path);
/* Puts the new rows in the place of those of the same cloud, region and instance, and writes the file: whole or not at all. *rebuilt:
 * what was there was damaged. */
pg_code price_cache_merge(const char *path, const price_rows *rows, bool *rebuilt, pg_error *e);

#endif
