/* Azure's Retail Prices API: pages of items, each a price of a size of machines in a region.
 *
 *   {"BillingCurrency": "USD", "Items": [{"currencyCode": "USD", "retailPrice": 0.526, "armRegionName": "eastus",
 *     "armSkuName": "Standard_NC4as_T4_v3", "productName": ..., "skuName": ..., "meterName": ..., "type": "Consumption",
 *     "unitOfMeasure": "1 Hour"}, ...], "NextPageLink": "https://..." or null} */
#include "price/live.h"

#include "base/map.h"
#include "wire/json_text.h"

enum { SIZES_AT_ONCE = 6 }; /* keeps addresses below 2,000 characters */

static bool holds(const char *text, const char *part)
{
    return strstr(text, part) != NULL;
}

static pg_code take_item(live *l, const json_t *item, pg_error *e)
{
    static const char *const keys[] = {"armSkuName", "currencyCode", "armRegionName", "productName",
                                       "skuName",    "meterName",    "type",          "unitOfMeasure"};
    const char *v[8];
    for (size_t i = 0; i < 8; i++) v[i] = json_get_text(item, keys[i], NULL);
    const pg_offer *kind = v[0] ? live_instance(l, str_c(v[0])) : NULL;
    if (v[0] && !kind) return PG_E_OK;
    for (size_t i = 0; i < 8; i++)
        if (!v[i])
            return error_set(e, PG_E_FORMAT, "a price%s%s has no '%s'", kind ? " of " : "", kind ? kind->instance : "",
                             keys[i]);
    const json_t *price = json_object_get(item, "retailPrice");
    if (!json_is_number(price)) return error_set(e, PG_E_FORMAT, "a price of %s has no 'retailPrice'", kind->instance);
    if (strcmp(v[1], "USD") != 0)
        return error_set(e, PG_E_FORMAT, "a price of %s is in %.12s, not in USD", kind->instance, v[1]);
    bool other = strcmp(v[6], "Consumption") != 0 || strcmp(v[7], "1 Hour") != 0 || holds(v[3], "Windows") ||
                 holds(v[3], "Dedicated") || holds(v[3], "CloudServices") || holds(v[3], "Cloud Services") ||
                 holds(v[4], "Low Priority") || holds(v[5], "Low Priority");
    if (other || !v[2][0] || !live_region_wanted(l, str_c(v[2]))) return PG_E_OK;
    bool spot = holds(v[4], "Spot") || holds(v[5], "Spot");
    return live_add(l, kind, str_c(v[2]), spot, json_number_value(price), e);
}

/* The next page's address; NULL: there is none, or *e says what is wrong. */
static const char *next_page(live *l, const json_t *page, map *seen, pg_error *e)
{
    const json_t *next = json_object_get(page, "NextPageLink");
    bool added = false;
    if (!next || json_is_null(next)) return NULL;
    const char *link = json_is_string(next) ? json_string_value(next) : "";
    if (!link[0]) {
        if (!json_is_string(next)) error_set(e, PG_E_FORMAT, "'NextPageLink' is no address");
        return NULL;
    }
    const char *copy = live_text(l, "%s", link);
    if (!copy || !map_add(seen, str_c(copy), 0, &added)) {
        error_nomem(e, l->a);
        return NULL;
    }
    if (!added) error_set(e, PG_E_FORMAT, "a page comes again and again");
    else if (seen->count > LIVE_PAGES_MOST) error_set(e, PG_E_LIMIT, "there are more than %d pages", LIVE_PAGES_MOST);
    return added ? copy : NULL;
}

static pg_code read_pages(live *l, const char *url, map *seen, pg_error *e)
{
    for (;;) {
        json_t *page = live_page(l, url, e);
        if (!page) return e->code;
        const json_t *items = json_object_get(page, "Items"), *item;
        size_t i;
        pg_code code = PG_E_OK;
        if (!json_is_array(items)) code = error_set(e, PG_E_FORMAT, "the answer has no 'Items'");
        else json_array_foreach((json_t *)items, i, item) if (!code) code = take_item(l, item, e);
        url = code ? NULL : next_page(l, page, seen, e);
        json_decref(page);
        if (!url) return e->code;
    }
}

/* "a%20eq%20'x'%20or%20a%20eq%20'y'" */
static char *add_choice(live *l, const char *before, const char *field, const char *value)
{
    return live_text(l, "%s%s%s%%20eq%%20%%27%s%%27", before, before[0] ? "%20or%20" : "", field, value);
}

static const char *regions_filter(live *l)
{
    const char *choice = "";
    for (size_t i = 0; i < l->region_count && choice; i++)
        choice = add_choice(l, choice, "armRegionName", l->regions[i]);
    return !choice || !choice[0] ? choice : live_text(l, "%%20and%%20(%s)", choice);
}

pg_code live_azure(live *l, pg_error *e)
{
    map seen;
    map_init(&seen, l->a);
    const char *regions = regions_filter(l), *choice = "";
    pg_code code = PG_E_OK;
    for (size_t i = 0; i < l->kind_count && !code; i++) {
        choice = choice ? add_choice(l, choice, "armSkuName", l->kinds[i]->instance) : NULL;
        if (choice && (i + 1 == l->kind_count || i % SIZES_AT_ONCE == SIZES_AT_ONCE - 1)) {
            const char *url = !regions
                                ? NULL
                                : live_text(l,
                                            "%s?api-version=2023-01-01-preview&currencyCode=USD&$filter=serviceName"
                                            "%%20eq%%20%%27Virtual%%20Machines%%27%%20and%%20priceType%%20eq%%20"
                                            "%%27Consumption%%27%s%%20and%%20(%s)",
                                            l->base, regions, choice);
            code = url ? read_pages(l, url, &seen, e) : error_nomem(e, l->a);
            choice = "";
        } else if (!choice) {
            code = error_nomem(e, l->a);
        }
    }
    return code ? code : live_finish(l, "Azure Retail Prices API", e);
}
