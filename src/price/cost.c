/* From offers and predictions to what something costs. */
#include "price/market.h"

#define HOURS_PER_YEAR 8766.0

static bool is_among(const char *const *list, size_t count, const char *word)
{
    char have[96], wanted[96];
    str_fold(wanted, sizeof wanted, str_c(word));
    for (size_t i = 0; i < count; i++) {
        str_fold(have, sizeof have, str_c(list[i]));
        if (strcmp(have, wanted) == 0) return true;
    }
    return count == 0;
}

bool pg_market_matches(const pg_offer *offer, const pg_market_query *query)
{
    return !query ||
           ((!query->spot || offer->spot_usd > 0) && is_among(query->clouds, query->cloud_count, offer->cloud) &&
            is_among(query->regions, query->region_count, offer->region));
}

/* Clouds and regions are few: the nearest by edit distance. */
static pg_code not_found(const pg_market *m, const char *what, const char *word, bool region, pg_error *e)
{
    const char *best = NULL;
    unsigned least = 4;
    char folded[96], have[96];
    size_t n = str_fold(folded, sizeof folded, str_c(word));
    for (size_t i = 0; i < m->count; i++) {
        const char *name = region ? m->offers[i].region : m->offers[i].cloud;
        size_t len = str_fold(have, sizeof have, str_c(name));
        unsigned d = str_distance((str){folded, n}, (str){have, len}, 3);
        if (d < least) {
            least = d;
            best = name;
        }
    }
    if (best)
        return error_set(e, PG_E_NOT_FOUND, "there is no offer in the %s '%s'; did you mean '%s'?", what, word, best);
    return error_set(e, PG_E_NOT_FOUND, "there is no offer in the %s '%s' (phantom-gpu prices shows all)", what, word);
}

pg_code pg_market_check(const pg_market *market, const pg_market_query *query, pg_error *error)
{
    for (int kind = 0; query && kind < 2; kind++) {
        const char *const *list = kind ? query->regions : query->clouds;
        size_t count = kind ? query->region_count : query->cloud_count;
        for (size_t w = 0; w < count; w++) {
            bool found = false;
            for (size_t i = 0; i < market->count && !found; i++)
                found = is_among(&list[w], 1, kind ? market->offers[i].region : market->offers[i].cloud);
            if (!found) return not_found(market, kind ? "region" : "cloud", list[w], kind, error);
        }
    }
    return PG_E_OK;
}

static int instances_for(const pg_offer *o, int gpus)
{
    return o->gpu_count >= 1 ? (int)ceil(gpus / o->gpu_count - 1e-9) : 0;
}

double pg_offer_usd(const pg_offer *offer, int gpus, bool spot)
{
    double usd = spot ? offer->spot_usd : offer->on_demand_usd;
    int n = instances_for(offer, gpus);
    return usd > 0 && n > 0 ? usd * n : -1;
}

pg_ownership pg_market_ownership(const pg_market *market, const pg_gpu *gpu)
{
    pg_ownership o = market->own;
    for (size_t i = 0; i < market->hardware_count; i++) {
        const price_hardware *h = &market->hardware[i]; /* the user's stand behind the built-in ones */
        if (h->gpu != gpu) continue;
        if (h->price_usd >= 0) o.price_usd = h->price_usd;
        if (h->host_usd >= 0) o.host_usd = h->host_usd;
        o.as_of = h->as_of;
        o.source = h->source;
        o.user = h->user;
    }
    return o;
}

static bool own_price(const pg_market *m, const pg_gpu *gpu, int gpus, double power_w, pg_price *out)
{
    pg_ownership o = pg_market_ownership(m, gpu);
    if (o.price_usd < 0) return false;
    double machine = gpus * (o.price_usd + o.host_usd) / (o.lifetime_years * HOURS_PER_YEAR * o.utilisation);
    double electricity = power_w > 0 ? power_w / 1000 * o.pue * o.usd_per_kwh : 0;
    int day = o.as_of ? price_day(str_c(o.as_of)) : -1;
    *out = (pg_price){.own = true,
                      .stale = day < 0 || m->today < 0 || m->today - day > PG_STALE_DAYS,
                      .instances = gpus,
                      .usd_per_hour = machine + electricity,
                      .as_of = o.as_of};
    return true;
}

bool pg_market_price(const pg_market *market, const pg_gpu *gpu, int gpus, double power_w, const pg_market_query *query,
                     pg_price *out)
{
    bool spot = query && query->spot;
    *out = (pg_price){.usd_per_hour = -1};
    if (query && query->own) return own_price(market, gpu, gpus, power_w, out);
    for (size_t i = 0; i < market->count; i++) {
        const pg_offer *o = &market->offers[i];
        if (o->gpu != gpu || !pg_market_matches(o, query)) continue;
        double usd = pg_offer_usd(o, gpus, spot);
        if (usd < 0 || (out->offer && usd >= out->usd_per_hour)) continue;
        *out = (pg_price){.offer = o,
                          .spot = spot,
                          .stale = price_stale(o, spot),
                          .instances = instances_for(o, gpus),
                          .usd_per_hour = usd,
                          .as_of = pg_offer_as_of(o, spot)};
    }
    return out->offer != NULL;
}

static bool find_region(const pg_market *m, const char *cloud, const char *region, pg_carbon *out)
{
    char have[96], wanted[96];
    str_fold(wanted, sizeof wanted, str_c(region));
    for (size_t i = 0; i < m->region_count; i++) {
        const price_region *r = &m->regions[i];
        str_fold(have, sizeof have, r->region);
        if (!str_is(r->cloud, cloud) || strcmp(have, wanted) != 0) continue;
        *out = r->carbon;
        return true;
    }
    return false;
}

bool pg_market_carbon(const pg_market *market, const char *cloud, const char *region, pg_carbon *out)
{
    *out = (pg_carbon){.g_per_kwh = -1, .pue = -1};
    return cloud && region && find_region(market, cloud, region, out);
}

/* The user's own mix goes before what is known of the place. */
static void choose_carbon(const pg_market *m, const pg_price *price, const pg_market_query *query, pg_carbon *out)
{
    char country[16];
    *out = (pg_carbon){.g_per_kwh = -1, .pue = -1};
    if (price->offer) {
        pg_market_carbon(m, price->offer->cloud, price->offer->region, out);
    } else if (price->own) {
        format_text(country, sizeof country, "%.*s", STR_ARG(m->own_country));
        if (country[0]) find_region(m, "country", country, out);
        if (m->own_carbon > 0) *out = (pg_carbon){.g_per_kwh = m->own_carbon, .place = "your own mix"};
        out->pue = m->own.pue;
    }
    if (query && query->carbon_g_per_kwh > 0) {
        double pue = out->pue;
        *out = (pg_carbon){.g_per_kwh = query->carbon_g_per_kwh, .pue = pue, .place = "your own mix"};
    }
}

void pg_market_cost_at(const pg_market *market, const pg_prediction *prediction, const pg_price *price,
                       const pg_market_query *query, pg_cost *out)
{
    const pg_prediction *p = prediction;
    *out = (pg_cost){.price = *price,
                     .usd_per_hour = price->usd_per_hour,
                     .usd_per_million = -1,
                     .kwh_per_million = -1,
                     .joule_per_unit = -1,
                     .g_per_hour = -1,
                     .g_per_million = -1};
    choose_carbon(market, price, query, &out->carbon);
    if (!p->fits || !(p->throughput > 0)) return;
    double seconds = 1e6 / p->throughput; /* for a million */
    if (price->usd_per_hour >= 0) out->usd_per_million = price->usd_per_hour * seconds / 3600;
    if (!(p->power_w > 0)) return;
    out->joule_per_unit = p->power_w / p->throughput;
    out->kwh_per_million = p->power_w * seconds / 3.6e6;
    if (out->carbon.g_per_kwh < 0) return;
    double pue = out->carbon.pue > 0 ? out->carbon.pue : 1;
    out->g_per_hour = p->power_w / 1000 * pue * out->carbon.g_per_kwh;
    out->g_per_million = out->kwh_per_million * pue * out->carbon.g_per_kwh;
}

void pg_market_cost(const pg_market *market, const pg_gpu *gpu, const pg_prediction *prediction,
                    const pg_market_query *query, pg_cost *out)
{
    pg_price price;
    int gpus = prediction->gpu_count > 0 ? prediction->gpu_count : 1;
    pg_market_price(market, gpu, gpus, prediction->power_w, query, &price);
    pg_market_cost_at(market, prediction, &price, query, out);
}
