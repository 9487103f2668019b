/* prices: what clouds ask for GPUs. */
#include <math.h>
#include <stdlib.h>

#include "cli/cost_options.h"

enum { TOP = 30, TOP_MOST = 100000 };

static bool by_spot; /* of the comparison that qsort calls */

static double per_gpu(const pg_offer *o)
{
    double usd = by_spot ? o->spot_usd : o->on_demand_usd;
    return usd > 0 ? floor(usd / o->gpu_count * 1e4 + 0.5) : 1e30; /* what differs by rounding is the same */
}

static int by_price(const void *x, const void *y)
{
    const pg_offer *a = *(const pg_offer *const *)x, *b = *(const pg_offer *const *)y;
    double u = per_gpu(a), v = per_gpu(b);
    if (u != v) return u < v ? -1 : 1;
    return a < b ? -1 : a > b; /* as they stand in the market: by name */
}

static int choose_gpus(cli *c, const pg_gpu **gpus)
{
    for (size_t i = 0; i < c->args.gpus.count; i++) {
        pg_error e = PG_ERROR_INIT;
        gpus[i] = pg_catalog_find(c->catalog, c->args.gpus.items[i], &e);
        if (!gpus[i]) return cli_error(&e, "--gpu");
    }
    return EXIT_OK;
}

static bool is_wanted(const cli *c, const pg_gpu *const *gpus, const pg_offer *o)
{
    bool found = !c->args.gpus.count;
    for (size_t i = 0; i < c->args.gpus.count; i++) found = found || gpus[i] == o->gpu;
    return found && pg_market_matches(o, &c->query);
}

static int list_offers(cli *c)
{
    size_t all = 0, count = 0, top = c->args.top ? (size_t)c->args.top : TOP;
    while (pg_market_at(c->market, all)) all++;
    const pg_offer **list = ARENA_ARRAY(&c->memory, const pg_offer *, all + 1);
    const pg_gpu **gpus = ARENA_ARRAY(&c->memory, const pg_gpu *, c->args.gpus.count + 1);
    if (!list || !gpus) return cli_fail("out of memory");
    int status = choose_gpus(c, gpus);
    if (status != EXIT_OK) return status;
    for (size_t i = 0; i < all; i++)
        if (is_wanted(c, gpus, pg_market_at(c->market, i))) list[count++] = pg_market_at(c->market, i);
    by_spot = c->args.spot;
    if (count) qsort(list, count, sizeof *list, by_price);
    bool data = c->report.format == RENDER_JSON || c->report.format == RENDER_CSV;
    size_t shown = count > top && (!data || c->args.top) ? top : count;
    if (!count) cli_warn(c, NULL, "no offer matches");
    render_offers_report(&c->report, &(render_offers){.list = list,
                                                      .count = shown,
                                                      .more = count - shown,
                                                      .spot = by_spot,
                                                      .money = c->money,
                                                      .warnings = cli_warnings(c)});
    return cli_finish_output(c);
}

static int run(cli *c)
{
    const char *what = c->args.rest.count ? c->args.rest.items[0] : "list";
    bool update = !strcmp(what, "update");
    if (!update && strcmp(what, "list") != 0)
        return cli_usage(c->command, "there is nothing like 'prices %s'; it is 'prices list' or 'prices update'", what);
    if (update && (c->args.gpus.count || c->args.spot || c->args.top || c->args.currency || c->args.prices))
        return cli_usage(c->command, "'prices update' knows --cloud, --region, --api-key, --refresh and --today only");
    if ((c->args.api_key || c->args.refresh) && !update)
        return cli_usage(c->command, "%s goes with 'prices update'", c->args.api_key ? "--api-key" : "--refresh");
    int status = cli_begin_output(c);
    if (status == EXIT_OK) status = cli_open_catalog(c);
    if (status == EXIT_OK) status = cli_open_market(c, true);
    if (status != EXIT_OK) return status;
    return update ? cli_update_prices(c) : list_offers(c);
}

#define AT(member) offsetof(cli_args, member)

static const option options[] = {
    {"gpu", 'g', "G,...", OPTION_GPUS, AT(gpus), 0, 0, NULL, "Only offers of these GPUs."},
    COST_CLOUDS("cloud"),
    COST_REGIONS("region"),
    {"api-key", 0, "FILE", OPTION_FILE, AT(api_key), 0, 0, NULL,
     "'prices update': the API key of GCP is the first line of this file; otherwise it is in GOOGLE_API_KEY."},
    {"refresh", 0, NULL, OPTION_FLAG, AT(refresh), 0, 0, NULL,
     "'prices update': asks also the clouds whose prices were fetched within the last 12 hours."},
    {"spot", 0, NULL, OPTION_FLAG, AT(spot), 0, 0, NULL, "Only those with a spot price, sorted by it."},
    {"top", 0, "N", OPTION_NUMBER, AT(top), 1, TOP_MOST, NULL,
     "Shows the N cheapest; 30 by default, JSON and CSV show all."},
    COST_PRICES,
    COST_CURRENCY,
    COST_TODAY,
};
static const option_group group_what = GROUP("Which offers", options);
static const option hardware_options[] = {
    {"hardware-profiles", 0, "FILE", OPTION_FILE, AT(profiles), 0, 0, NULL,
     "GPUs of your own: a TOML file that goes before all others."},
};
static const option_group group_files = GROUP("Hardware", hardware_options);
static const option_group *const groups[] = {&group_what, &group_files, &group_output, NULL};
static const char *const examples[] = {
    "prices list --gpu h100,a100",
    "What an hour of these costs, cheapest first.",
    "prices list --gpu l40s --cloud aws --spot",
    "Spot offers of one cloud, with how often they are taken back.",
    "prices list --output csv --out offers.csv",
    "Every offer for a spreadsheet.",
    "prices update --cloud azure,gcp",
    "Fetches today's prices, which then stand in the place of the built-in ones.",
    NULL,
};

const command command_prices = {
    .name = "prices",
    .positional = "list|update",
    .summary = "What clouds ask for an hour of a GPU.",
    .text =
        "Lists offers of cloud GPUs by price, on demand and spot, each with the day that it was seen on. Your own offers "
        "and hardware stand beside them (docs/prices.md).\n\n"
        "'prices update' fetches today's prices: those of Azure, of AWS on demand in the regions that --region names "
        "(else us-east-1), with AWS's keys also for spot, and with an API key those of GCP. They are kept for all commands; what can't be "
        "fetched stays as it was, and what was fetched within the last 12 hours is not fetched again.",
    .groups = groups,
    .examples = examples,
    .run = run,
};
