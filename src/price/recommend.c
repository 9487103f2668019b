/* Which GPUs, how many of them and from whom: a search over everything that a wish leaves open.
 *
 * 1. For each GPU every precision, runtime and batch is predicted; where the model does not fit on a single one, is too slow there or wants
 *    several for the throughput, divided over 2, 4 and 8 as its runtime does that too. Of those that are quick enough the one that needs
 *    the fewest GPUs for the throughput is kept, of equals the quickest.
 * 2. For each cloud or region the cheapest offer with that many GPUs is taken. A replica never spans instances.
 * 3. Those that hold all that is wanted are ranked by cost or carbon, the others by how far they miss it. */
#include <stdlib.h>

#include "api/api.h"
#include "price/market.h"

enum { PLANS_MOST = 4096, SPREADS = 4 };

typedef struct search_plan {
    pg_plan *plan;
    int tensor;
} search_plan;

struct pg_recommendation {
    arena a;
    const pg_market *market;
    const pg_wish *wish;
    search_plan *plans; /* predictions point into them */
    size_t plan_count;
    pg_choice *list;
    size_t count, cap, held;
};

/* How well a GPU runs the model under one plan. */
typedef struct candidate {
    pg_prediction p;
    int tensor, replicas;
    double late;
    bool quick; /* within the times that are wanted */
} candidate;

static double low_end(const pg_prediction *p)
{
    return p->latency_high_ms > 0 ? p->throughput * p->latency_ms / p->latency_high_ms : p->throughput;
}

/* Whether it fits, and the runtime is one for that GPU. */
static bool runs(const pg_prediction *p)
{
    return p->fits && p->latency_ms > 0;
}

/* Of all GPUs together; 0: as much as one replica gives. Requests a second are the tokens of their answers. */
static double wanted_throughput(const pg_wish *w, const pg_prediction *p)
{
    double rate = w->request.task == PG_TASK_SERVING ? w->request.request_rate : 0;
    return fmax(w->throughput, rate * fmax((double)p->output_len, 1));
}

/* By how much the bounds on time are missed, the worst of them; 0: none is. */
static double lateness(const pg_wish *w, const pg_prediction *p)
{
    const double wanted[] = {w->latency_ms, w->ttft_ms, w->tpot_ms};
    const double got[] = {p->latency_high_ms, p->ttft_high_ms, p->tpot_high_ms};
    double worst = 0;
    for (int i = 0; i < 3; i++)
        if (wanted[i] > 0 && got[i] > wanted[i]) worst = fmax(worst, got[i] / wanted[i] - 1);
    return worst;
}

static bool better(const candidate *a, const candidate *b, bool wanted)
{
    if (runs(&a->p) != runs(&b->p)) return runs(&a->p);
    if (!runs(&a->p)) return a->p.memory.total < b->p.memory.total;
    if (a->quick != b->quick) return a->quick;
    if (!a->quick) return a->late < b->late;
    if (a->replicas * a->tensor != b->replicas * b->tensor) return a->replicas * a->tensor < b->replicas * b->tensor;
    if (!wanted) return low_end(&a->p) / a->tensor > low_end(&b->p) / b->tensor;
    return a->p.latency_ms < b->p.latency_ms;
}

/* Whether no replica of so many GPUs and more can do with fewer GPUs in all. */
static bool is_enough(const candidate *best, int spread)
{
    return best->quick && best->replicas * best->tensor <= spread;
}

static bool best_candidate(const pg_recommendation *r, const pg_gpu *gpu, candidate *best, pg_error *e)
{
    const pg_wish *w = r->wish;
    bool found = false;
    for (size_t i = 0; i < r->plan_count; i++) {
        candidate c = {.tensor = r->plans[i].tensor};
        if (c.tensor > 1 && found && is_enough(best, c.tensor)) break;
        if (pg_plan_predict(r->plans[i].plan, gpu, &c.p, e)) return false;
        double one = runs(&c.p) ? low_end(&c.p) : 0, wanted = wanted_throughput(w, &c.p);
        c.replicas = wanted > 0 && one > 0 ? (int)fmin(ceil(wanted / one - 1e-9), 1e6) : 1;
        c.late = runs(&c.p) ? lateness(w, &c.p) : 0;
        c.quick = runs(&c.p) && c.late <= 0;
        if (!found || better(&c, best, wanted > 0)) *best = c;
        found = true;
    }
    return found;
}

static pg_choice *add(pg_recommendation *r)
{
    if (r->count == r->cap) {
        size_t cap = r->cap ? 2 * r->cap : 256;
        r->list = arena_grow(&r->a, r->list, r->cap, cap, sizeof *r->list);
        r->cap = r->list ? cap : 0;
        if (!r->list) return NULL;
    }
    return &r->list[r->count++];
}

static void miss(pg_choice *c, unsigned what, double excess)
{
    c->fails |= what;
    if (excess > c->excess) c->excess = excess;
}

static void judge(const pg_wish *w, pg_choice *c)
{
    if (!c->p.fits) {
        miss(c, PG_FAILS_MEMORY, c->p.memory.total / c->p.memory_capacity - 1);
        return;
    }
    if (!runs(&c->p)) {
        miss(c, PG_FAILS_RUNTIME, 1e7);
        return;
    }
    if (lateness(w, &c->p) > 0) miss(c, PG_FAILS_LATENCY, lateness(w, &c->p));
    if (w->max_gpus > 0 && c->gpus > w->max_gpus) miss(c, PG_FAILS_GPUS, (double)c->gpus / w->max_gpus - 1);
    if (c->usd_per_month < 0) miss(c, PG_FAILS_OFFER, 1e6);
    else if (w->budget_usd > 0 && c->usd_per_month > w->budget_usd)
        miss(c, PG_FAILS_BUDGET, c->usd_per_month / w->budget_usd - 1);
    /* what is unknown is no proof that it holds */
    if (w->carbon_kg > 0 && (c->kg_per_month < 0 || c->kg_per_month > w->carbon_kg))
        miss(c, PG_FAILS_CARBON, c->kg_per_month < 0 ? 1e5 : c->kg_per_month / w->carbon_kg - 1);
}

/* Whole instances that hold so many replicas; 0: not one fits into an instance. */
static int instances_for(const pg_offer *o, int replicas, int spread)
{
    int each = (int)floor(o->gpu_count + 1e-9) / spread;
    return each ? (replicas + each - 1) / each : 0;
}

static double months_to_break_even(const pg_recommendation *r, const pg_choice *c)
{
    pg_ownership o = pg_market_ownership(r->market, c->gpu);
    if (o.price_usd < 0 || c->usd_per_month < 0 || c->cost.price.own) return -1;
    double power = c->p.power_w * c->replicas;
    double electricity = power > 0 ? power / 1000 * o.pue * o.usd_per_kwh * PG_HOURS_PER_MONTH : 0;
    double saved = c->usd_per_month - electricity;
    return saved > 0 ? c->gpus * (o.price_usd + o.host_usd) / saved : -1;
}

/* The choice at this price; NULL: nobody offers it. */
static pg_code add_choice(pg_recommendation *r, const pg_gpu *gpu, const candidate *best, const pg_price *price,
                          pg_error *e)
{
    pg_choice *c = add(r);
    if (!c) return error_nomem(e, &r->a);
    const pg_wish *w = r->wish;
    pg_price none = {.usd_per_hour = -1};
    *c = (pg_choice){.gpu = gpu, .p = best->p, .replicas = best->replicas, .gpus = best->replicas * best->tensor};
    c->throughput = runs(&c->p) ? c->p.throughput * c->replicas : -1;
    c->throughput_low = runs(&c->p) ? low_end(&c->p) * c->replicas : -1;
    double wanted = wanted_throughput(w, &c->p);
    c->headroom = wanted > 0 && runs(&c->p) ? c->throughput_low / wanted - 1 : -1;
    pg_prediction all = c->p; /* of all replicas, which is what the price is of */
    all.throughput *= c->replicas;
    all.power_w *= c->replicas;
    pg_market_cost_at(r->market, &all, price ? price : &none, &w->query, &c->cost);
    c->usd_per_month = c->cost.usd_per_hour >= 0 ? c->cost.usd_per_hour * PG_HOURS_PER_MONTH : -1;
    c->kg_per_month = c->cost.g_per_hour >= 0 ? c->cost.g_per_hour * PG_HOURS_PER_MONTH / 1000 : -1;
    const pg_offer *o = price ? price->offer : NULL;
    bool spot = o && !price->spot && o->spot_usd > 0;
    c->spot_usd_per_month = spot ? o->spot_usd * price->instances * PG_HOURS_PER_MONTH : -1;
    c->break_even_months = months_to_break_even(r, c);
    judge(w, c);
    return PG_E_OK;
}

static bool same_place(const pg_offer *a, const pg_offer *b, pg_place place)
{
    return place == PG_BY_GPU ||
           (strcmp(a->cloud, b->cloud) == 0 && (place == PG_BY_CLOUD || strcmp(a->region, b->region) == 0));
}

/* Offers of a cloud, and of a region in it, stand together: the cheapest of each run of them. */
static pg_code add_rented(pg_recommendation *r, const pg_gpu *gpu, const candidate *best, pg_error *e)
{
    const pg_wish *w = r->wish;
    const pg_market *m = r->market;
    pg_price cheapest = {.usd_per_hour = -1};
    bool any = false;
    pg_code code = PG_E_OK;
    for (size_t i = 0; i <= m->count && !code; i++) {
        const pg_offer *o = i < m->count ? &m->offers[i] : NULL;
        if (cheapest.offer && (!o || !same_place(o, cheapest.offer, w->place))) {
            code = add_choice(r, gpu, best, &cheapest, e);
            cheapest = (pg_price){.usd_per_hour = -1};
            any = true;
        }
        if (code || !o || o->gpu != gpu || !pg_market_matches(o, &w->query)) continue;
        int n = instances_for(o, best->replicas, best->tensor);
        double usd = n * (w->query.spot ? o->spot_usd : o->on_demand_usd);
        if (n < 1 || usd <= 0 || (cheapest.offer && usd >= cheapest.usd_per_hour)) continue;
        cheapest = (pg_price){.offer = o,
                              .spot = w->query.spot,
                              .stale = price_stale(o, w->query.spot),
                              .instances = n,
                              .usd_per_hour = usd,
                              .as_of = pg_offer_as_of(o, w->query.spot)};
    }
    return code || any ? code : add_choice(r, gpu, best, NULL, e);
}

static pg_code add_gpu(pg_recommendation *r, const pg_gpu *gpu, pg_error *e)
{
    candidate best;
    pg_price price;
    if (!best_candidate(r, gpu, &best, e)) return e->code;
    if (!r->wish->query.own) return add_rented(r, gpu, &best, e);
    int gpus = best.replicas * best.tensor;
    bool known = pg_market_price(r->market, gpu, gpus, best.p.power_w * best.replicas, &r->wish->query, &price);
    return add_choice(r, gpu, &best, known ? &price : NULL, e);
}

static int by_cost(const void *x, const void *y)
{
    const pg_choice *a = x, *b = y;
    if (a->usd_per_month != b->usd_per_month) return a->usd_per_month < b->usd_per_month ? -1 : 1;
    if (a->p.latency_ms != b->p.latency_ms) return a->p.latency_ms < b->p.latency_ms ? -1 : 1;
    return strcmp(a->gpu->key, b->gpu->key);
}

static int by_carbon(const void *x, const void *y)
{
    const pg_choice *a = x, *b = y;
    bool known = a->kg_per_month >= 0, other = b->kg_per_month >= 0;
    if (known != other) return known ? -1 : 1;
    if (a->kg_per_month != b->kg_per_month) return a->kg_per_month < b->kg_per_month ? -1 : 1;
    return by_cost(x, y);
}

static int by_excess(const void *x, const void *y)
{
    const pg_choice *a = x, *b = y;
    if (a->excess != b->excess) return a->excess < b->excess ? -1 : 1;
    return by_cost(x, y);
}

/* Those that hold to the front; returns how many. */
static size_t partition(pg_choice *list, size_t count)
{
    size_t held = 0;
    for (size_t i = 0; i < count; i++) {
        if (list[i].fails) continue;
        pg_choice c = list[i];
        list[i] = list[held];
        list[held++] = c;
    }
    return held;
}

static void rank(pg_recommendation *r)
{
    r->held = partition(r->list, r->count);
    if (r->held) qsort(r->list, r->held, sizeof *r->list, by_cost);
    double quickest = INFINITY;
    for (size_t i = 0; i < r->held;
         i++) { /* the cheapest first: each that is quicker than all before it is on the front */
        r->list[i].front = r->list[i].p.latency_ms < quickest;
        if (r->list[i].front) quickest = r->list[i].p.latency_ms;
    }
    if (r->held && r->wish->by_carbon) qsort(r->list, r->held, sizeof *r->list, by_carbon);
    if (r->count > r->held) qsort(r->list + r->held, r->count - r->held, sizeof *r->list, by_excess);
}

/* Plans for every combination; those divided over several GPUs come last. What the model can't be divided into is left out. */
static pg_code open_plans(pg_recommendation *r, const pg_model *model, const pg_catalog *catalog, pg_error *e)
{
    const pg_wish *w = r->wish;
    size_t each = w->precision_count * w->runtime_count * w->batch_count;
    if (!each || each * SPREADS > PLANS_MOST)
        return error_set(e, PG_E_USAGE, "%zu combinations of precision, runtime and batch; 1 to %d can be searched",
                         each, PLANS_MOST / SPREADS);
    r->plans = ARENA_ARRAY(&r->a, search_plan, each * SPREADS);
    if (!r->plans) return error_nomem(e, &r->a);
    for (size_t i = 0; i < each * SPREADS; i++) {
        pg_error why = PG_ERROR_INIT;
        size_t k = i % each;
        int spread = 1 << i / each;
        pg_request q = w->request;
        q.batch = w->batches[k % w->batch_count];
        q.runtime = w->runtimes[k / w->batch_count % w->runtime_count];
        q.precision = w->precisions[k / w->batch_count / w->runtime_count];
        q.model_gpus = q.gpu_count = spread;
        q.request_rate = 0; /* borne by as many replicas as it takes */
        pg_code code = pg_plan_open(&r->plans[r->plan_count].plan, model, catalog, &q, &why);
        if (code && (spread == 1 || code == PG_E_NOMEM)) {
            if (e) *e = why;
            return code;
        }
        if (!code) r->plans[r->plan_count++].tensor = spread;
    }
    return PG_E_OK;
}

static pg_code check_wish(const pg_wish *w, pg_error *e)
{
    const struct {
        const char *name;
        double value;
    } amounts[] = {{"request rate", w->request.request_rate},
                   {"throughput", w->throughput},
                   {"latency", w->latency_ms},
                   {"time to the first token", w->ttft_ms},
                   {"time per token", w->tpot_ms},
                   {"budget", w->budget_usd},
                   {"carbon", w->carbon_kg}};
    for (size_t i = 0; i < sizeof amounts / sizeof amounts[0]; i++)
        if (!isfinite(amounts[i].value) || amounts[i].value < 0)
            return error_set(e, PG_E_USAGE, "the %s that is wanted must be a number of at least 0", amounts[i].name);
    if (w->max_gpus < 0) return error_set(e, PG_E_USAGE, "the number of GPUs that is wanted must be at least 0");
    return w->gpu_count ? PG_E_OK : error_set(e, PG_E_USAGE, "there is no GPU to choose from");
}

pg_code pg_recommend(pg_recommendation **out, const pg_model *model, const pg_catalog *catalog, const pg_market *market,
                     const pg_wish *wish, pg_error *error)
{
    pg_error local = PG_ERROR_INIT;
    pg_error *e = error ? error : &local;
    *out = NULL;
    allocator alloc = market->a.alloc;
    pg_code code = check_wish(wish, e);
    if (code) return code;
    pg_recommendation *r = api_new(alloc, sizeof *r, e);
    if (!r) return PG_E_NOMEM;
    arena_init(&r->a, alloc, 256u << 20);
    r->market = market;
    r->wish = wish;
    code = open_plans(r, model, catalog, e);
    for (size_t i = 0; i < wish->gpu_count && !code; i++) code = add_gpu(r, wish->gpus[i], e);
    if (!code) rank(r);
    r->wish = NULL; /* the caller's */
    if (code) pg_recommendation_free(r);
    else *out = r;
    return code;
}

void pg_recommendation_free(pg_recommendation *recommendation)
{
    if (!recommendation) return;
    allocator alloc = recommendation->a.alloc;
    for (size_t i = 0; i < recommendation->plan_count; i++) pg_plan_free(recommendation->plans[i].plan);
    arena_free(&recommendation->a);
    api_delete(alloc, recommendation, sizeof *recommendation);
}

const pg_choice *pg_recommendation_at(const pg_recommendation *recommendation, size_t i)
{
    return i < recommendation->count ? &recommendation->list[i] : NULL;
}

size_t pg_recommendation_held(const pg_recommendation *recommendation)
{
    return recommendation->held;
}
