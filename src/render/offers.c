/* prices: the offers of clouds, cheapest first. */
#include "render/fields.h"
#include "render/render.h"

#define OFFER(name, kind, member)                     \
    {                                                 \
        name, kind, offsetof(pg_offer, member), false \
    }

static const field before_gpu[] = {
    OFFER("cloud", FIELD_TEXT, cloud),
    OFFER("region", FIELD_TEXT, region),
    OFFER("instance", FIELD_TEXT, instance),
};
static const field gpu_field[] = {{"gpu", FIELD_TEXT, offsetof(pg_gpu, key), false}};
static const field after_gpu[] = {
    OFFER("gpu_count", FIELD_NUMBER, gpu_count),
    OFFER("vcpus", FIELD_COUNT, vcpus),
    OFFER("memory_gb", FIELD_POSITIVE, memory_gb),
    OFFER("on_demand_usd_per_hour", FIELD_NUMBER, on_demand_usd),
    OFFER("spot_usd_per_hour", FIELD_NUMBER, spot_usd),
    OFFER("interruption", FIELD_TEXT, interruption),
    OFFER("as_of", FIELD_TEXT, as_of),
    OFFER("age_days", FIELD_INT, age_days),
    OFFER("spot_as_of", FIELD_TEXT, spot_as_of),
    OFFER("source", FIELD_TEXT, source),
};

#define COUNT_OF(list) (sizeof(list) / sizeof((list)[0]))

static void offers_json(buffer *out, const render_offers *o)
{
    jsonw j;
    jsonw_init(&j, out);
    jsonw_object(&j, JSONW_LINES);
    jsonw_key(&j, "offers");
    jsonw_array(&j, JSONW_LINES);
    for (size_t i = 0; i < o->count; i++) {
        jsonw_object(&j, JSONW_INLINE);
        fields_json(&j, before_gpu, COUNT_OF(before_gpu), o->list[i], false);
        fields_json(&j, gpu_field, 1, o->list[i]->gpu, false);
        fields_json(&j, after_gpu, COUNT_OF(after_gpu), o->list[i], false);
        jsonw_end(&j);
    }
    jsonw_end(&j);
    render_warnings_json(&j, o->warnings);
    jsonw_finish(&j);
}

static void offers_csv(buffer *out, const render_offers *o)
{
    fields_csv_names(out, "", before_gpu, COUNT_OF(before_gpu), true);
    fields_csv_names(out, "", gpu_field, 1, false);
    fields_csv_names(out, "", after_gpu, COUNT_OF(after_gpu), false);
    csv_end(out);
    for (size_t i = 0; i < o->count; i++) {
        fields_csv(out, before_gpu, COUNT_OF(before_gpu), o->list[i], false, true);
        fields_csv(out, gpu_field, 1, o->list[i]->gpu, false, false);
        fields_csv(out, after_gpu, COUNT_OF(after_gpu), o->list[i], false, false);
        csv_end(out);
    }
}

static void add_offer(table *t, const pg_offer *o, const render_money *money, bool spot)
{
    char text[NUMBER_SIZE];
    const char *as_of = pg_offer_as_of(o, spot);
    int age = pg_offer_age(o, spot);
    bool stale = age < 0 || age > PG_STALE_DAYS;
    table_cell(t, TONE_BOLD, "%s", o->gpu->key);
    table_cell(t, TONE_PLAIN, "%.3g", o->gpu_count);
    table_cell(t, TONE_PLAIN, "%s", o->cloud);
    table_cell(t, TONE_PLAIN, "%s", o->region);
    table_cell(t, TONE_PLAIN, "%s", o->instance);
    table_cell(t, spot ? TONE_PLAIN : TONE_GOOD, "%s", render_amount(text, sizeof text, money, o->on_demand_usd));
    bool old_spot = !spot && !stale && o->spot_usd > 0 && (o->spot_age_days < 0 || o->spot_age_days > PG_STALE_DAYS);
    table_cell(t, spot ? TONE_GOOD : TONE_PLAIN, "%s%s", render_amount(text, sizeof text, money, o->spot_usd),
               old_spot ? " !" : "");
    double whole = spot ? o->spot_usd : o->on_demand_usd;
    table_cell(t, TONE_PLAIN, "%s", render_amount(text, sizeof text, money, whole > 0 ? whole / o->gpu_count : -1));
    table_cell(t, TONE_PLAIN, "%s", o->interruption ? o->interruption : "-");
    table_cell(t, stale ? TONE_WARN : TONE_PLAIN, "%s%s", as_of ? as_of : "unknown", stale ? " !" : "");
}

void render_offers_report(report *r, const render_offers *o)
{
    static const column columns[] = {
        {"GPU", ALIGN_LEFT, 0, 0, false, false},       {"GPUs", ALIGN_RIGHT, 0, 0, false, false},
        {"Cloud", ALIGN_LEFT, 0, 0, false, false},     {"Region", ALIGN_LEFT, 0, 8, false, false},
        {"Instance", ALIGN_LEFT, 0, 12, false, false}, {"On demand/h", ALIGN_RIGHT, 0, 0, false, false},
        {"Spot/h", ALIGN_RIGHT, 0, 0, false, false},   {"Per GPU", ALIGN_RIGHT, 0, 0, false, false},
        {"Taken", ALIGN_RIGHT, 2, 0, false, false},    {"As of", ALIGN_LEFT, 0, 0, false, false},
    };
    if (r->format == RENDER_JSON) {
        offers_json(r->out, o);
        return;
    }
    if (r->format == RENDER_CSV) {
        offers_csv(r->out, o);
        return;
    }
    table t;
    table_init(&t, r, columns, COUNT_OF(columns));
    for (size_t i = 0; i < o->count; i++) add_offer(&t, o->list[i], &o->money, o->spot);
    table_print(&t, 0);
    report_gap(r);
    if (o->more)
        report_text(r, TONE_DIM, "and %zu more; --top shows them, --gpu, --cloud and --region choose.", o->more);
    report_text(
        r, TONE_DIM,
        "%s for whole instances, without storage and traffic; cheapest per GPU first. Taken: share of spot instances "
        "that the cloud takes back in a month. ! : older than %d days, or of unknown date.",
        o->money.code, PG_STALE_DAYS);
}
