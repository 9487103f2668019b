/* GCP's Cloud Billing Catalog: pages of SKUs. A machine's price is put together from those of its GPUs, vCPUs and memory.
 *
 *   {"skus": [{"description": "Nvidia L4 GPU running in Iowa", "category": {"resourceFamily": "Compute", "usageType": "OnDemand"},
 *     "serviceRegions": ["us-central1"], "pricingInfo": [{"pricingExpression": {"usageUnit": "h", "tieredRates":
 *     [{"unitPrice": {"currencyCode": "USD", "units": "0", "nanos": 560004000}}]}}]}, ...], "nextPageToken": ""} */
#include "price/live.h"

#include "base/map.h"
#include "wire/json_text.h"

enum { GPU, CORE, RAM, PARTS, REGIONS_MOST = 256 };

/* Families whose machines are made of these alone; a2-ultragpu, a3 and a4 come with local SSDs, which are priced apart. */
static const struct {
    const char *instances[2]; /* what their names begin with */
    const char *parts[PARTS]; /* what descriptions of their SKUs begin with */
} families[] = {
    {{"a2-highgpu-", "a2-megagpu-"}, {"Nvidia Tesla A100 GPU", "A2 Instance Core", "A2 Instance Ram"}},
    {{"g2-standard-", NULL}, {"Nvidia L4 GPU", "G2 Instance Core", "G2 Instance Ram"}},
};
enum { FAMILIES = sizeof families / sizeof families[0] };

typedef struct gcp_region {
    const char *name;
    double usd[FAMILIES][PARTS][2]; /* the last: on demand, spot; 0: not known */
} gcp_region;

typedef struct gcp {
    live *l;
    gcp_region *regions;
    size_t count;
    map by_name;
} gcp;

/* Which part of which family a description is about. */
static bool find_part(str text, size_t *family, size_t *part)
{
    if (str_starts(text, "Spot Preemptible ")) text = (str){text.ptr + 17, text.len - 17};
    for (size_t f = 0; f < FAMILIES; f++) {
        for (size_t p = 0; p < PARTS; p++) {
            const char *begin = families[f].parts[p];
            size_t n = strlen(begin);
            if (!str_starts(text, begin)) continue;
            str rest = {text.ptr + n, text.len - n};
            *family = f;
            *part = p;
            return str_starts(rest, " running in ") || str_starts(rest, " attached to Spot Preemptible VMs ");
        }
    }
    return false;
}

/* USD of a unit; negative: *e says what is missing. */
static double unit_price(const json_t *sku, const char *about, bool ram, pg_error *e)
{
    const json_t *info = json_array_get(json_object_get(sku, "pricingInfo"), 0);
    const json_t *expression = json_object_get(info, "pricingExpression");
    const json_t *rate = json_array_get(json_object_get(expression, "tieredRates"), 0);
    const json_t *price = json_object_get(rate, "unitPrice");
    const char *currency = json_get_text(price, "currencyCode", NULL);
    const char *unit = json_get_text(expression, "usageUnit", NULL);
    if (!currency || !unit) {
        error_set(e, PG_E_FORMAT, "'%.80s' has no '%s'", about, !unit ? "usageUnit" : "currencyCode");
        return -1;
    }
    if (strcmp(currency, "USD") != 0) {
        error_set(e, PG_E_FORMAT, "'%.80s' is in %.12s, not in USD", about, currency);
        return -1;
    }
    if (strcmp(unit, ram ? "GiBy.h" : "h") != 0) {
        error_set(e, PG_E_FORMAT, "'%.80s' is priced by '%.20s', not by the hour", about, unit);
        return -1;
    }
    const char *units = json_get_text(price, "units", "0"), *at = units;
    double usd = 0;
    for (; *at >= '0' && *at <= '9' && usd < 1e6; at++) usd = usd * 10 + (*at - '0');
    usd += (double)json_get_int(price, "nanos", 0) * 1e-9;
    if (!*at && units[0] && price_sane(usd)) return usd;
    error_set(e, PG_E_FORMAT, "the price of '%.80s' makes no sense", about);
    return -1;
}

static pg_code put_price(gcp *g, str region, size_t family, size_t part, bool spot, double usd, pg_error *e)
{
    bool added = false;
    if (!price_name_ok(region)) return error_set(e, PG_E_FORMAT, "a SKU has no proper region");
    if (!live_region_wanted(g->l, region)) return PG_E_OK;
    str name = str_copy(g->l->a, region);
    uint32_t *at = name.ptr ? map_add(&g->by_name, name, (uint32_t)g->count, &added) : NULL;
    if (!at) return error_nomem(e, g->l->a);
    if (added && g->count == REGIONS_MOST)
        return error_set(e, PG_E_LIMIT, "there are more than %d regions", REGIONS_MOST);
    if (added) g->regions[g->count++].name = name.ptr;
    double *to = &g->regions[*at].usd[family][part][spot];
    if (usd > *to) *to = usd;
    return PG_E_OK;
}

static pg_code take_sku(gcp *g, const json_t *sku, pg_error *e)
{
    const char *about = json_get_text(sku, "description", NULL);
    const json_t *category = json_object_get(sku, "category"), *regions = json_object_get(sku, "serviceRegions"),
                 *region;
    size_t family, part, i;
    if (!about) return error_set(e, PG_E_FORMAT, "a SKU has no 'description'");
    if (!find_part(str_c(about), &family, &part)) return PG_E_OK;
    const char *usage = json_get_text(category, "usageType", NULL);
    if (!usage) return error_set(e, PG_E_FORMAT, "'%.80s' has no 'usageType'", about);
    bool spot = !strcmp(usage, "Preemptible");
    if (!spot && strcmp(usage, "OnDemand") != 0) return PG_E_OK;
    if (!json_is_array(regions)) return error_set(e, PG_E_FORMAT, "'%.80s' has no 'serviceRegions'", about);
    double usd = unit_price(sku, about, part == RAM, e);
    if (usd < 0) return e->code;
    pg_code code = PG_E_OK;
    json_array_foreach((json_t *)regions, i, region)
    {
        str name = json_is_string(region) ? str_c(json_string_value(region)) : (str){NULL, 0};
        if (!code) code = put_price(g, name, family, part, spot, usd, e);
    }
    return code;
}

static pg_code read_pages(gcp *g, pg_error *e)
{
    live *l = g->l;
    const char *token = "";
    map seen;
    map_init(&seen, l->a);
    for (;;) {
        const char *url = live_text(l, "%s/services/6F81-5844-456A/skus?currencyCode=USD&pageSize=1000%s%s&key=%s",
                                    l->base, token[0] ? "&pageToken=" : "", token, l->key);
        json_t *page = live_page(l, url, e);
        if (!page) return e->code;
        const json_t *skus = json_object_get(page, "skus"), *sku;
        size_t i;
        bool added = false;
        pg_code code = PG_E_OK;
        if (!json_is_array(skus)) code = error_set(e, PG_E_FORMAT, "the answer has no 'skus'");
        else json_array_foreach((json_t *)skus, i, sku) if (!code) code = take_sku(g, sku, e);
        token = live_text(l, "%s", json_get_text(page, "nextPageToken", ""));
        json_decref(page);
        if (code) return code;
        if (token && !token[0]) return PG_E_OK;
        if (!token || !map_add(&seen, str_c(token), 0, &added)) return error_nomem(e, l->a);
        if (!added) return error_set(e, PG_E_FORMAT, "a page comes again and again");
        if (seen.count > LIVE_PAGES_MOST)
            return error_set(e, PG_E_LIMIT, "there are more than %d pages", LIVE_PAGES_MOST);
        for (const char *c = token; *c; c++)
            if (*c <= ' ' || strchr("&#%+", *c) || (unsigned char)*c > 126)
                return error_set(e, PG_E_FORMAT, "'nextPageToken' holds characters that no token has");
    }
}

static pg_code add_machines(gcp *g, const pg_offer *kind, size_t family, pg_error *e)
{
    pg_code code = PG_E_OK;
    for (size_t i = 0; i < g->count && !code; i++) {
        for (int spot = 0; spot < 2 && !code; spot++) {
            double usd[PARTS];
            bool all = true;
            for (size_t p = 0; p < PARTS; p++) {
                usd[p] = g->regions[i].usd[family][p][spot];
                all = all && usd[p] > 0;
            }
            double sum = kind->gpu_count * usd[GPU] + kind->vcpus * usd[CORE] + kind->memory_gb * usd[RAM];
            if (all) code = live_add(g->l, kind, str_c(g->regions[i].name), spot, sum, e);
        }
    }
    return code;
}

pg_code live_gcp(live *l, pg_error *e)
{
    gcp g = {.l = l, .regions = ARENA_ARRAY(l->a, gcp_region, REGIONS_MOST)};
    map_init(&g.by_name, l->a);
    pg_code code = g.regions ? read_pages(&g, e) : error_nomem(e, l->a);
    for (size_t i = 0; i < l->kind_count; i++)
        for (size_t f = 0; f < FAMILIES && !code; f++)
            for (size_t k = 0; k < 2 && families[f].instances[k] && !code; k++)
                if (str_starts(str_c(l->kinds[i]->instance), families[f].instances[k]))
                    code = add_machines(&g, l->kinds[i], f, e);
    return code ? code : live_finish(l, "GCP Cloud Billing Catalog API", e);
}
