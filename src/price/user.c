/* The user's own prices: prices.toml (docs/prices.md). */
#include "gpu/schema.h"
#include "price/market.h"

typedef struct own_section {
    double lifetime_years, utilisation, usd_per_kwh, pue, host_usd, carbon_g_per_kwh;
    str country;
} own_section;

#define REAL(type, name, member, min, max)                               \
    {                                                                    \
        "", name, SCHEMA_REAL, offsetof(type, member), min, max, true, 0 \
    }
#define AMOUNT(type, name, member)                                      \
    {                                                                   \
        "", name, SCHEMA_REAL, offsetof(type, member), 0, 1e9, false, 0 \
    }
#define WORDS(type, name, member)                                     \
    {                                                                 \
        "", name, SCHEMA_TEXT, offsetof(type, member), 0, 0, false, 0 \
    }

static const schema_field own_rows[] = {
    REAL(own_section, "lifetime_years", lifetime_years, 0, 100),
    REAL(own_section, "utilisation", utilisation, 0, 1),
    AMOUNT(own_section, "electricity_usd_per_kwh", usd_per_kwh),
    {"", "pue", SCHEMA_REAL, offsetof(own_section, pue), 1, 10, false, 0},
    AMOUNT(own_section, "host_usd", host_usd),
    REAL(own_section, "carbon_g_per_kwh", carbon_g_per_kwh, 0, 1e5),
    WORDS(own_section, "country", country),
};

typedef struct hardware_section {
    double price_usd, host_usd;
    str as_of, source;
} hardware_section;

static const schema_field hardware_rows[] = {
    AMOUNT(hardware_section, "price_usd", price_usd),
    AMOUNT(hardware_section, "host_usd", host_usd),
    WORDS(hardware_section, "as_of", as_of),
    WORDS(hardware_section, "source", source),
};

typedef struct offer_section {
    str cloud, region, instance, gpu, as_of, source;
    double gpu_count, memory_gb, on_demand_usd, spot_usd;
    int vcpus;
} offer_section;

static const schema_field offer_rows[] = {
    WORDS(offer_section, "cloud", cloud),
    WORDS(offer_section, "region", region),
    WORDS(offer_section, "instance", instance),
    WORDS(offer_section, "gpu", gpu),
    REAL(offer_section, "gpu_count", gpu_count, 0, 4096),
    REAL(offer_section, "memory_gb", memory_gb, 0, 1e6),
    REAL(offer_section, "on_demand_usd", on_demand_usd, 0, 1e6),
    REAL(offer_section, "spot_usd", spot_usd, 0, 1e6),
    {"", "vcpus", SCHEMA_INT, offsetof(offer_section, vcpus), 1, 1e5, false, 0},
    WORDS(offer_section, "as_of", as_of),
    WORDS(offer_section, "source", source),
};

#define SCHEMA(rows)                           \
    {                                          \
        rows, sizeof(rows) / sizeof((rows)[0]) \
    }
static const schema own_schema = SCHEMA(own_rows), hardware_schema = SCHEMA(hardware_rows),
                    offer_schema = SCHEMA(offer_rows);

static const pg_gpu *gpu_of(const pg_market *m, str name, const char *source, const toml_node *at, pg_error *e)
{
    char text[128];
    pg_error why = PG_ERROR_INIT;
    format_text(text, sizeof text, "%.*s", STR_ARG(name));
    const pg_gpu *gpu = pg_catalog_find(m->catalog, text, &why);
    if (!gpu) schema_error_key(e, PG_E_CONFIG, source, at, "%s", why.text);
    return gpu;
}

static pg_code check_date(str date, const char *source, const toml_node *at, pg_error *e)
{
    if (!date.len || price_day(date) >= 0) return PG_E_OK;
    return schema_error_key(e, PG_E_CONFIG, source, at, "as_of '%.*s' is no date; write it as 2026-11-21",
                            STR_ARG(date));
}

static pg_code read_own(pg_market *m, const toml_node *table, const char *source, pg_error *e)
{
    pg_ownership *o = &m->own;
    own_section s = {.lifetime_years = o->lifetime_years,
                     .utilisation = o->utilisation,
                     .usd_per_kwh = o->usd_per_kwh,
                     .pue = o->pue,
                     .host_usd = o->host_usd,
                     .carbon_g_per_kwh = m->own_carbon,
                     .country = m->own_country};
    pg_code code = schema_read(&own_schema, table, &(schema_context){&m->a, source, "own"}, &s, NULL, e);
    if (code) return code;
    bool known = !s.country.len;
    for (size_t i = 0; i < m->region_count && !known; i++)
        known = str_is(m->regions[i].cloud, "country") && str_eq(m->regions[i].region, s.country);
    if (!known)
        return schema_error_key(e, PG_E_CONFIG, source, toml_child(table, "country"),
                                "country '%.*s' is not known; it is an ISO 3166 code of three letters, as in DEU",
                                STR_ARG(s.country));
    o->lifetime_years = s.lifetime_years;
    o->utilisation = s.utilisation;
    o->usd_per_kwh = s.usd_per_kwh;
    o->pue = s.pue;
    o->host_usd = s.host_usd;
    m->own_carbon = s.carbon_g_per_kwh;
    m->own_country = s.country;
    return PG_E_OK;
}

static pg_code read_hardware(pg_market *m, const toml_node *table, const char *source, pg_error *e)
{
    char section[128];
    pg_code code = PG_E_OK;
    for (const toml_node *n = table->is.first; n && !code; n = n->next) {
        hardware_section s = {.price_usd = -1, .host_usd = -1};
        if (n->kind != TOML_TABLE)
            return schema_error_value(e, PG_E_CONFIG, source, n, "[hardware.%.*s] must be a table", STR_ARG(n->key));
        const pg_gpu *gpu = gpu_of(m, n->key, source, n, e);
        if (!gpu) return PG_E_CONFIG;
        format_text(section, sizeof section, "hardware.%.*s", STR_ARG(n->key));
        code = schema_read(&hardware_schema, n, &(schema_context){&m->a, source, section}, &s, NULL, e);
        if (!code) code = check_date(s.as_of, source, n, e);
        if (code) break;
        price_hardware h = {
            gpu, s.price_usd, s.host_usd, s.as_of.len ? s.as_of.ptr : NULL, s.source.len ? s.source.ptr : source, true};
        code = price_add_hardware(m, &h, e);
    }
    return code;
}

static pg_code read_offer(pg_market *m, const toml_node *n, const char *source, pg_error *e)
{
    offer_section s = {.gpu_count = 1, .on_demand_usd = -1, .spot_usd = -1};
    if (n->kind != TOML_TABLE) return schema_error_value(e, PG_E_CONFIG, source, n, "[[offers]] must be tables");
    pg_code code = schema_read(&offer_schema, n, &(schema_context){&m->a, source, "offers"}, &s, NULL, e);
    if (!code) code = check_date(s.as_of, source, n, e);
    if (code) return code;
    if (!s.cloud.len || !s.gpu.len)
        return schema_error_key(e, PG_E_CONFIG, source, n, "an offer needs %s", s.gpu.len ? "cloud" : "gpu");
    if (s.on_demand_usd < 0 && s.spot_usd < 0)
        return schema_error_key(e, PG_E_CONFIG, source, n,
                                "an offer needs on_demand_usd or spot_usd, the price of an hour");
    const pg_gpu *gpu = gpu_of(m, s.gpu, source, n, e);
    if (!gpu) return PG_E_CONFIG;
    pg_offer o = {.cloud = s.cloud.ptr,
                  .region = s.region.len ? s.region.ptr : "any",
                  .instance = s.instance.len ? s.instance.ptr : gpu->key,
                  .gpu = gpu,
                  .gpu_count = s.gpu_count,
                  .vcpus = s.vcpus,
                  .memory_gb = s.memory_gb,
                  .on_demand_usd = s.on_demand_usd,
                  .spot_usd = s.spot_usd,
                  .as_of = s.as_of.len ? s.as_of.ptr : NULL,
                  .source = s.source.len ? s.source.ptr : source,
                  .user = true};
    return price_add_offer(m, &o, e);
}

pg_code price_read_user(pg_market *m, str text, const char *source, pg_error *e)
{
    toml_node *root;
    const char *name = str_copy(&m->a, str_c(source)).ptr;
    if (!name) return error_nomem(e, &m->a);
    pg_code code = toml_parse(&m->a, text, name, &root, e);
    for (const toml_node *n = code ? NULL : root->is.first; n && !code; n = n->next) {
        bool own = str_is(n->key, "own"), hardware = str_is(n->key, "hardware"), offers = str_is(n->key, "offers");
        if (!own && !hardware && !offers)
            return schema_error_key(
                e, PG_E_CONFIG, name, n,
                "'%.*s' is not known here; a file of prices has [own], [hardware.GPU] and [[offers]]", STR_ARG(n->key));
        if (n->kind != (offers ? TOML_ARRAY : TOML_TABLE))
            return schema_error_key(e, PG_E_CONFIG, name, n, "'%.*s' must be %s", STR_ARG(n->key),
                                    offers ? "[[offers]]" : "a table");
        if (own) code = read_own(m, n, name, e);
        if (hardware) code = read_hardware(m, n, name, e);
        for (const toml_node *o = offers ? n->is.first : NULL; o && !code; o = o->next)
            code = read_offer(m, o, name, e);
    }
    return code;
}
