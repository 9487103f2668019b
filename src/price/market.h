/* Inside the price layer. */
#ifndef PRICE_MARKET_H
#define PRICE_MARKET_H

#include "base/error.h"
#include "base/map.h"
#include "gpu/toml_shim.h"
#include "phantom/prices.h"

enum { PRICE_COLUMNS = 16, PRICE_SOURCES = 64 };

/* What a region's electricity emits, as in data/carbon/regions.csv. */
typedef struct price_region {
    str cloud, region; /* cloud "country": region is the country's ISO 3166 code */
    pg_carbon carbon;
} price_region;

/* What [hardware.KEY] and data/prices/hardware.csv say of a GPU. */
typedef struct price_hardware {
    const pg_gpu *gpu;
    double price_usd, host_usd; /* negative: not given */
    const char *as_of, *source;
    bool user;
} price_hardware;

struct pg_market {
    arena a;
    const pg_catalog *catalog;
    int today; /* days since 1970; negative: not known */
    pg_offer *offers;
    size_t count, cap;
    price_region *regions;
    size_t region_count;
    price_hardware *hardware;
    size_t hardware_count, hardware_cap;
    pg_ownership own;  /* what [own] says, or the defaults */
    str own_country;   /* of [own]; empty: not given */
    double own_carbon; /* g/kWh of [own]; 0: not given */
    const char **warnings;
    size_t warning_count, warning_cap;
};

/* table.c: text of lines with cells between commas, without quotes. "#source N text" above the names gives source N of the column of
 * that name; other lines with "#" are remarks. */
typedef struct price_table {
    arena *a;
    str rest;
    str names[PRICE_COLUMNS];
    size_t columns;
    const char *sources[PRICE_SOURCES];
    str cells[PRICE_COLUMNS]; /* of the row that was read last */
    uint32_t line;
} price_table;

pg_code price_table_open(price_table *t, arena *a, str text, pg_error *e);
/* 1: a row, 0: the end, negative: a row with another number of cells. */
int price_table_next(price_table *t);
str price_table_cell(const price_table *t, const char *name); /* empty: no such column, or nothing in it */
/* Negative: empty, or no number of at least 0. */
double price_table_number(const price_table *t, const char *name);
const char *price_table_source(const price_table *t); /* NULL: none */

/* Days since 1970-01-01 of "2026-08-03"; negative: not a date. */
int price_day(str date);

/* market.c: in order to be sorted later; a copy of an offer of the same cloud, region and instance is taken out. */
pg_code price_add_offer(pg_market *m, const pg_offer *offer, pg_error *e);
pg_code price_add_hardware(pg_market *m, const price_hardware *h, pg_error *e);
/* Whether the price is too old to be trusted. */
bool price_stale(const pg_offer *o, bool spot);
/* user.c: the user's own file. */
pg_code price_read_user(pg_market *m, str text, const char *source, pg_error *e);

#endif
