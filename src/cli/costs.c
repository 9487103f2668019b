/* Prices and carbon beside predictions: the options, and the way from them to an open market. */
#define _POSIX_C_SOURCE 200809L
#include <time.h>

#include "cli/cost_options.h"

#define AT(member) offsetof(cli_args, member)

static const option cost_options[] = {
    {"include-cost", 0, NULL, OPTION_FLAG, AT(include_cost), 0, 0, NULL,
     "Shows what an hour and a million samples or tokens cost, at the cheapest offer that has the GPU."},
    {"carbon", 0, NULL, OPTION_FLAG, AT(carbon), 0, 0, NULL,
     "Shows the grams of CO2e that a million samples or tokens emit, where the offer's region is known."},
    COST_CLOUDS("cloud"),
    COST_REGIONS("region"),
    COST_SPOT,
    {"own", 0, NULL, OPTION_FLAG, AT(own), 0, 0, NULL,
     "GPUs that are bought: price, lifetime and electricity instead of rent (docs/prices.md)."},
    COST_PRICES,
    COST_CURRENCY,
    COST_INTENSITY,
    COST_TODAY,
};
const option_group group_cost = GROUP("Cost", cost_options);

/* "EUR=0.92" */
static int read_currency(cli *c)
{
    const char *text = c->args.currency, *equals = text ? strchr(text, '=') : NULL;
    c->money.code = "USD";
    c->money.rate = 1;
    if (!text) return EXIT_OK;
    double rate = 0, unit = 0;
    bool good = equals && equals > text && equals[1];
    for (const char *p = text; good && p < equals; p++) good = (*p >= 'A' && *p <= 'Z') && equals - text <= 8;
    for (const char *p = good ? equals + 1 : ""; good && *p; p++) {
        good = (*p >= '0' && *p <= '9') || (*p == '.' && unit == 0);
        if (*p == '.') {
            unit = 1;
        } else {
            rate = rate * 10 + (*p - '0');
            unit *= 10;
        }
    }
    rate /= unit > 0 ? unit : 1;
    if (!good || !(rate > 0) || rate > 1e9)
        return cli_usage(c->command, "--currency: '%s' is not like EUR=0.92, what a US dollar is worth", text);
    c->money.code = str_copy(&c->memory, (str){text, (size_t)(equals - text)}).ptr;
    c->money.rate = rate;
    return c->money.code ? EXIT_OK : cli_fail("out of memory");
}

const char *cli_today(cli *c)
{
    if (c->args.today) return c->args.today;
    struct tm tm;
    time_t now = time(NULL);
    char *text = arena_alloc(&c->memory, 32);
    if (!text || !gmtime_r(&now, &tm)) return NULL;
    format_text(text, 32, "%d-%s%d-%s%d", tm.tm_year + 1900, tm.tm_mon < 9 ? "0" : "", tm.tm_mon + 1,
                tm.tm_mday < 10 ? "0" : "", tm.tm_mday);
    return text;
}

int cli_open_market(cli *c, bool always)
{
    cli_args *a = &c->args;
    pg_error e = PG_ERROR_INIT;
    bool asked = a->include_cost || a->carbon || a->spot || a->own || a->clouds.count || a->regions.count ||
                 a->prices || a->currency || a->carbon_intensity > 0;
    int status = read_currency(c);
    if (status != EXIT_OK || (!asked && !always)) return status;
    if (a->own && (a->spot || a->clouds.count || a->regions.count))
        return cli_usage(c->command, "--own is about bought GPUs; --%s is about rented ones",
                         a->spot           ? "spot"
                         : a->clouds.count ? "cloud"
                                           : "region");
    c->money.cost = true;
    c->money.carbon = a->carbon || a->carbon_intensity > 0;
    c->query = (pg_market_query){.clouds = a->clouds.items,
                                 .cloud_count = a->clouds.count,
                                 .regions = a->regions.items,
                                 .region_count = a->regions.count,
                                 .spot = a->spot,
                                 .own = a->own,
                                 .carbon_g_per_kwh = a->carbon_intensity};
    pg_market_options options = {.prices = a->prices, .today = cli_today(c)};
    pg_code code = pg_market_open(&c->market, c->catalog, &options, &e);
    if (!code) code = pg_market_check(c->market, &c->query, &e);
    if (code) return cli_error(&e, code == PG_E_USAGE ? "--today" : NULL);
    for (size_t i = 0; i < pg_market_warning_count(c->market); i++) cli_warn(c, NULL, pg_market_warning(c->market, i));
    return EXIT_OK;
}

void cli_cost(const cli *c, render_row *row)
{
    static const pg_cost unknown = {.usd_per_hour = -1,
                                    .usd_per_million = -1,
                                    .kwh_per_million = -1,
                                    .joule_per_unit = -1,
                                    .g_per_hour = -1,
                                    .g_per_million = -1,
                                    .carbon = {.g_per_kwh = -1, .pue = -1}};
    row->cost = unknown;
    if (!c->market) return;
    pg_market_cost(c->market, row->gpu, &row->p, &c->query, &row->cost);
    const pg_price *price = &row->cost.price;
    const pg_offer *o = price->offer;
    row->price_kind = price->own ? "own" : !o ? NULL : price->spot ? "spot" : "on demand";
    row->price_cloud = o ? o->cloud : NULL;
    row->price_region = o ? o->region : NULL;
    row->price_instance = o ? o->instance : NULL;
    row->price_stale = row->price_kind && price->stale;
}
