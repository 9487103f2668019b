/* recommend-gpu: which GPUs to take for a model, and from whom. */
#include "cli/cost_options.h"

enum { TOP = 12, TOP_MOST = 10000, NEAR_MISSES = 8, GPUS_MOST = 100000, BATCH_MOST = 1 << 20 };

typedef struct session {
    pg_model *model;
    pg_recommendation *advice;
    const pg_gpu **gpus;
    size_t gpu_count;
} session;

static const char *const standard_precisions[] = {"fp16"};
static const char *const standard_runtimes[] = {"pytorch", "pytorch-compile"};
static const char *const language_runtimes[] = {
    NULL}; /* as the weights have it: vllm, for types of GGUF files llama.cpp */
static const int64_t standard_batches[] = {1, 2, 4, 8, 16, 32, 64, 128, 256};

/* Months in a period of the budget. */
static double months_in(const char *period)
{
    return !period || strcmp(period, "month") == 0 ? 1 : strcmp(period, "year") == 0 ? 12 : 1 / PG_HOURS_PER_MONTH;
}

/* All that somebody offers (or that has a purchase price); or those that are named. */
static int choose_gpus(cli *c, session *s)
{
    const cli_list *names = &c->args.gpus;
    s->gpus = ARENA_ARRAY(&c->memory, const pg_gpu *, pg_catalog_count(c->catalog) + names->count + 1);
    if (!s->gpus) return cli_fail("out of memory");
    for (size_t i = 0; i < names->count; i++) {
        pg_error e = PG_ERROR_INIT;
        if (strcmp(names->items[i], "all") == 0) continue;
        const pg_gpu *gpu = pg_catalog_find(c->catalog, names->items[i], &e);
        if (!gpu) return cli_error(&e, "--gpus");
        s->gpus[s->gpu_count++] = gpu;
    }
    bool named = s->gpu_count > 0;
    for (size_t i = 0; !named && pg_catalog_at(c->catalog, i); i++) {
        const pg_gpu *gpu = pg_catalog_at(c->catalog, i);
        pg_price price;
        if (strcmp(gpu->key, "custom") != 0 && pg_market_price(c->market, gpu, 1, 0, &c->query, &price))
            s->gpus[s->gpu_count++] = gpu;
    }
    return s->gpu_count ? EXIT_OK
                        : cli_fail("no GPU has an offer there; 'phantom-gpu prices list' shows what there is");
}

static int check_wish(const cli *c)
{
    const cli_args *a = &c->args;
    if (a->budget > 0 || a->target_throughput > 0 || a->max_latency > 0 || a->carbon_cap > 0 || a->target_ttft.count ||
        a->target_tpot.count || a->request_rate.count)
        return EXIT_OK;
    return cli_usage(c->command,
                     "a wish is needed: --budget, --target-throughput, --max-latency-ms, --target-ttft, --target-tpot, "
                     "--request-rate or --carbon-cap");
}

static pg_wish wish_of(const cli *c, const session *s, const pg_model_info *info)
{
    const cli_args *a = &c->args;
    bool batches = a->batches.count > 0, region = a->place && strcmp(a->place, "region") == 0;
    /* language models generate, unless the whole pass is asked for */
    bool generates = info->generates &&
                     (!a->task || (strcmp(a->task, "inference") != 0 && strcmp(a->task, "training") != 0));
    pg_wish w = {.request = cli_request(c, info, 0),
                 .gpus = s->gpus,
                 .gpu_count = s->gpu_count,
                 .precisions = a->precisions.count ? a->precisions.items : standard_precisions,
                 .precision_count = a->precisions.count ? a->precisions.count : 1,
                 .runtimes = a->runtimes.count ? a->runtimes.items
                           : generates         ? language_runtimes
                                               : standard_runtimes,
                 .runtime_count = a->runtimes.count ? a->runtimes.count
                                : generates         ? 1
                                                    : 2,
                 .batches = batches ? a->batches.items : standard_batches,
                 .batch_count = batches ? a->batches.count : sizeof standard_batches / sizeof standard_batches[0],
                 .query = c->query,
                 .place = region                                   ? PG_BY_REGION
                        : a->place && strcmp(a->place, "gpu") == 0 ? PG_BY_GPU
                                                                   : PG_BY_CLOUD,
                 .throughput = a->target_throughput,
                 .latency_ms = a->max_latency,
                 .ttft_ms = a->target_ttft.count ? a->target_ttft.items[0] : 0,
                 .tpot_ms = a->target_tpot.count ? a->target_tpot.items[0] : 0,
                 .budget_usd = a->budget / c->money.rate / months_in(a->budget_period),
                 .carbon_kg = a->carbon_cap,
                 .max_gpus = (int)a->max_gpus,
                 .by_carbon = a->rank && strcmp(a->rank, "carbon") == 0};
    w.request.target_ttft_ms = w.request.target_tpot_ms =
        0; /* bounds of the search here, at the high end of the interval */
    if (!info->has_batch || cli_counts_requests(a, info)) {
        static int64_t one;
        one = info->has_batch ? a->concurrency : info->fixed_batch > 0 ? info->fixed_batch : 1;
        w.batches = &one;
        w.batch_count = 1;
    }
    return w;
}

static bool gather(cli *c, const pg_recommendation *from, render_advice *a, size_t top)
{
    size_t held = pg_recommendation_held(from), all = held, front = 0;
    while (pg_recommendation_at(from, all)) all++;
    const pg_choice **list = ARENA_ARRAY(&c->memory, const pg_choice *, all + 1);
    const pg_choice **pareto = ARENA_ARRAY(&c->memory, const pg_choice *, held + 1);
    if (!list || !pareto) return false;
    for (size_t i = 0; i < all; i++) {
        list[i] = pg_recommendation_at(from, i);
        if (i < held && list[i]->front) pareto[front++] = list[i];
    }
    a->held = list;
    a->held_all = held;
    a->held_count = held < top ? held : top;
    a->missed = list + held;
    a->missed_all = all - held;
    a->missed_count = all - held < NEAR_MISSES ? all - held : NEAR_MISSES;
    a->front = pareto;
    a->front_count = front;
    return true;
}

static int show(cli *c, const session *s, const pg_wish *w)
{
    double share = 0;
    const pg_choice *first = pg_recommendation_held(s->advice) ? pg_recommendation_at(s->advice, 0) : NULL;
    for (size_t i = 0; i < c->args.warn_at.count && first && w->budget_usd > 0; i++) {
        double at = (double)c->args.warn_at.items[i] / 100;
        if (first->usd_per_month >= at * w->budget_usd && at > share) share = at;
    }
    render_advice a = {.info = pg_model_describe(s->model),
                       .wish = w,
                       .period = c->args.budget_period ? c->args.budget_period : "month",
                       .per_period = months_in(c->args.budget_period),
                       .share_warn = share,
                       .money = c->money};
    if (share > 0) {
        char text[160];
        format_text(text, sizeof text, "the cheapest choice uses %.0f %% of the budget (--warn-at %.0f)",
                    100 * first->usd_per_month / w->budget_usd, 100 * share);
        cli_warn(c, NULL, text);
    }
    if (!gather(c, s->advice, &a, c->args.top ? (size_t)c->args.top : TOP)) return cli_fail("out of memory");
    a.warnings = cli_warnings(c);
    render_advice_report(&c->report, &a);
    int status = cli_finish_output(c);
    return status == EXIT_OK && !first ? EXIT_CHECK : status;
}

static int run(cli *c)
{
    const char *name = NULL;
    session s = {.model = NULL};
    pg_error e = PG_ERROR_INIT;
    int status = cli_begin_output(c);
    if (status == EXIT_OK) status = cli_one_model(c, &name);
    if (status == EXIT_OK) status = check_wish(c);
    if (status == EXIT_OK) status = cli_open_catalog(c);
    if (status == EXIT_OK) status = cli_open_market(c, true);
    if (status == EXIT_OK) status = choose_gpus(c, &s);
    if (status == EXIT_OK) status = cli_open_model(c, &s.model, name, false);
    if (status == EXIT_OK) {
        pg_wish w = wish_of(c, &s, pg_model_describe(s.model));
        if (pg_recommend(&s.advice, s.model, c->catalog, c->market, &w, &e))
            status = cli_error(&e, e.code == PG_E_USAGE ? NULL : name);
        else status = show(c, &s, &w);
    }
    pg_recommendation_free(s.advice);
    pg_model_free(s.model);
    return status;
}

#define AT(member) offsetof(cli_args, member)

static const char *const periods[] = {"hour", "month", "year", NULL};
static const char *const ranks[] = {"cost", "carbon", NULL};
static const char *const places[] = {"gpu", "cloud", "region", NULL};

static const option wish_options[] = {
    {"model", 'm', "M", OPTION_MODEL, AT(model), 0, 0, NULL,
     "The model: a file or a name of list-models. May also stand alone."},
    {"budget", 0, "USD", OPTION_REAL, AT(budget), 0, 1000000000, NULL,
     "What it may cost in a period, in the currency of --currency."},
    {"budget-period", 0, "P", OPTION_CHOICE, AT(budget_period), 0, 0, periods, "hour, month (the default) or year."},
    {"target-throughput", 0, "N", OPTION_REAL, AT(target_throughput), 0, 1000000000, NULL,
     "Samples or tokens a second of all GPUs together; the low end of the interval must hold it."},
    {"max-latency-ms", 0, "MS", OPTION_REAL, AT(max_latency), 0, 100000000, NULL,
     "The longest time of a step; the high end of the interval must hold it."},
    {"max-gpus", 0, "N", OPTION_NUMBER, AT(max_gpus), 1, GPUS_MOST, NULL, "At most so many GPUs."},
    {"carbon-cap", 0, "KG", OPTION_REAL, AT(carbon_cap), 0, 1000000000, NULL, "At most so many kg of CO2e a month."},
    {"rank", 0, "BY", OPTION_CHOICE, AT(rank), 0, 0, ranks, "cost (the default) or carbon: what comes first."},
    {"warn-at", 0, "PERCENT,...", OPTION_NUMBERS, AT(warn_at), 1, 100, NULL,
     "Warns where the choice uses such a share of the budget."},
};
static const option search_options[] = {
    {"gpus", 'g', "X,Y,...", OPTION_GPUS, AT(gpus), 0, 0, NULL, "Only these GPUs; by default all that have a price."},
    COST_CLOUDS("clouds"),
    COST_REGIONS("regions"),
    {"by", 0, "PLACE", OPTION_CHOICE, AT(place), 0, 0, places,
     "One choice for each GPU and cloud (the default), for each gpu alone, or for each region."},
    COST_SPOT,
    {"own", 0, NULL, OPTION_FLAG, AT(own), 0, 0, NULL, "Buys GPUs instead of renting them (docs/prices.md)."},
    {"precision", 'p', "P,...", OPTION_CHOICES, AT(precisions), 0, 0, cli_precisions,
     "What may be searched; fp16 by default. fp8, int8 and int4 change results: name them where the model stands it."},
    {"runtime", 'r', "R,...", OPTION_RUNTIMES, AT(runtimes), 0, 0, NULL,
     "What may be searched; pytorch,pytorch-compile by default, vllm for language models."},
    {"batch-sizes", 'b', "N,...", OPTION_NUMBERS, AT(batches), 1, BATCH_MOST, NULL,
     "What may be searched; powers of two up to 256 by default."},
    {"top", 0, "N", OPTION_NUMBER, AT(top), 1, TOP_MOST, NULL, "Shows the N best; 12 by default."},
    COST_PRICES,
    COST_CURRENCY,
    {"carbon", 0, NULL, OPTION_FLAG, AT(carbon), 0, 0, NULL, "Shows energy and CO2e."},
    COST_INTENSITY,
    COST_TODAY,
};
static const option_group group_wish = GROUP("What is wanted", wish_options);
static const option_group group_search = GROUP("What is searched", search_options);
static const option_group *const groups[] = {&group_wish,     &group_search,   &group_model,  &group_workload,
                                             &group_language, &group_hardware, &group_output, NULL};
static const char *const examples[] = {
    "recommend-gpu resnet50 --budget 1000 --target-throughput 3000",
    "The cheapest way to classify 3,000 images a second for 1,000 USD a month.",
    "recommend-gpu bert-base-uncased --max-latency-ms 10 --target-throughput 500 --clouds aws,gcp --spot",
    "With a bound on latency, on spot instances of two clouds.",
    "recommend-gpu resnet50 --target-throughput 5000 --by region --clouds gcp --gpus l4 --rank carbon",
    "Regions side by side, the cleanest first.",
    NULL,
};

const command command_recommend_gpu = {
    .name = "recommend-gpu",
    .positional = "MODEL",
    .summary = "Which GPUs to take for a model within a budget, and from whom.",
    .text =
        "Searches GPUs, their number, offers of clouds (or bought GPUs), precisions, runtimes and batch sizes for what holds the throughput, "
        "the latency and the budget that are wanted, and ranks it by cost or carbon. What nearly holds is listed with what it fails on. Ends "
        "with status 3 when nothing holds.",
    .groups = groups,
    .examples = examples,
    .run = run,
};
