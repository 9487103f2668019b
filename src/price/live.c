#include "price/live.h"

#include "wire/json_text.h"

char *live_text(live *l, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    size_t n = format_textv(NULL, 0, fmt, args);
    va_end(args);
    char *out = arena_alloc(l->a, n + 1);
    if (!out) return NULL;
    va_start(args, fmt);
    format_textv(out, n + 1, fmt, args);
    va_end(args);
    return out;
}

const pg_offer *live_instance(const live *l, str instance)
{
    for (size_t i = 0; i < l->kind_count; i++)
        if (str_is(instance, l->kinds[i]->instance)) return l->kinds[i];
    return NULL;
}

pg_code live_begin(live *l, const pg_market *known, pg_error *e)
{
    size_t cap = 0;
    const pg_offer *o;
    l->rows = (price_rows){.a = l->a};
    for (size_t i = 0; (o = pg_market_at(known, i)) != NULL; i++) {
        if (strcmp(o->cloud, l->cloud) != 0 || live_instance(l, str_c(o->instance))) continue;
        if (l->kind_count == cap) {
            l->kinds = arena_grow(l->a, l->kinds, cap, cap + 128, sizeof *l->kinds);
            if (!l->kinds) return error_nomem(e, l->a);
            cap += 128;
        }
        l->kinds[l->kind_count++] = o;
    }
    return PG_E_OK;
}

bool live_region_wanted(const live *l, str region)
{
    for (size_t i = 0; i < l->region_count; i++)
        if (str_is(region, l->regions[i])) return true;
    return !l->region_count;
}

pg_code live_add(live *l, const pg_offer *kind, str region, bool spot, double usd, pg_error *e)
{
    if (usd == 0) return PG_E_OK;
    if (!price_name_ok(region)) return error_set(e, PG_E_FORMAT, "a price of %s has no proper region", kind->instance);
    if (!price_sane(usd))
        return error_set(e, PG_E_FORMAT, "the price of %s in %.*s makes no sense: %g USD an hour", kind->instance,
                         STR_ARG(region), usd);
    const char *place = str_copy(l->a, region).ptr;
    if (!place) return error_nomem(e, l->a);
    price_row *r = price_rows_find(&l->rows, l->cloud, place, kind->instance);
    if (!r) {
        price_row row = {l->cloud,
                         place,
                         kind->instance,
                         kind->gpu->key,
                         kind->gpu_count,
                         kind->vcpus,
                         kind->memory_gb,
                         -1,
                         -1,
                         l->today,
                         NULL,
                         NULL};
        pg_code code = price_rows_add(&l->rows, &row, e);
        if (code) return code;
        r = &l->rows.list[l->rows.count - 1];
    }
    double *to = spot ? &r->spot_usd : &r->on_demand_usd;
    if (usd > *to) *to = usd;
    return PG_E_OK;
}

pg_code live_finish(live *l, const char *source, pg_error *e)
{
    size_t n = 0;
    for (size_t i = 0; i < l->rows.count; i++) {
        price_row r = l->rows.list[i];
        r.source = source;
        if (r.on_demand_usd > 0) l->rows.list[n++] = r;
    }
    l->rows.count = n;
    if (n) return PG_E_OK;
    return error_set(e, PG_E_FORMAT, "the answer has no price of an instance with GPUs that is known here%s",
                     l->region_count ? ", in the regions that were asked for" : "");
}

json_t *live_page(live *l, const char *url, pg_error *e)
{
    str text = {NULL, 0};
    json_t *page = NULL;
    if (!url) error_nomem(e, l->a);
    else if (l->from.page(l->from.ud, url, &text, e) == PG_E_OK)
        page = json_text_read((span){(const uint8_t *)text.ptr, text.len, 0}, "the answer", e);
    if (page && !json_is_object(page)) {
        error_set(e, PG_E_FORMAT, "the answer is no JSON object");
        json_decref(page);
        page = NULL;
    }
    return page;
}
