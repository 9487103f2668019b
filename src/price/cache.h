/* The prices that were fetched: $XDG_CACHE_HOME/phantom-gpu/prices.sqlite, a database of SQLite with
 *
 *   application_id, user_version                     whose it is, and the version of what follows
 *   prices(cloud, region, instance, gpu, ...)        a row for each instance in a region; spot_as_of NULL: as_of
 *   fetched(cloud, region, spot, at)                 when the prices of a region came last, in seconds since 1970, and whether those
 *                                                    for spot came with them; region '': all
 *
 * What one cloud answered goes in by one transaction. Whatever else the file holds (another schema, a trigger, a value of the wrong
 * type) makes it damaged: not read, and emptied by the next update. */
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

/* What was asked of a cloud, and when. */
typedef struct price_scope {
    const char *cloud;
    const char *const *regions;
    size_t region_count; /* 0: all */
    bool spot;           /* with spot prices */
    int64_t at;          /* seconds since 1970 */
} price_scope;

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
/* No rows where there is no file. Not NULL: what is wrong and what helps, and there are no rows; or a->failed. */
const char *price_cache_read(price_rows *rows, arena *a, const char *path);
/* Whether all that the scope asks for came within that many seconds before scope->at. */
bool price_cache_fresh(const char *path, const price_scope *scope, int64_t seconds);
/* Puts the rows in the place of those of the same cloud, region and instance, all or none; a spot price that is not among them stays,
 * with its date. scope: what they are the answer to. *rebuilt: what was there was damaged, and is gone. Without rows and scope it makes
 * sure that there is a database which can be written. */
pg_code price_cache_merge(const char *path, const price_rows *rows, const price_scope *scope, bool *rebuilt,
                          pg_error *e);

#endif
