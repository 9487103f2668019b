/* What things cost and emit, as people read it. */
#include "render/render.h"

char *render_amount(char *out, size_t cap, const render_money *money, double usd)
{
    double x = usd * (money->rate > 0 ? money->rate : 1);
    if (!(usd >= 0)) format_text(out, cap, "-");
    else if (x >= 1000) number_whole(out, cap, floor(x + 0.5));
    else if (x >= 0.1 || x == 0) format_text(out, cap, "%.2f", x);
    else number_plain(out, cap, x);
    return out;
}

char *render_grams(char *out, size_t cap, double grams)
{
    static const char *const units[] = {"g", "kg", "t", "kt"};
    char text[NUMBER_SIZE];
    int unit = 0;
    double x = grams;
    for (; x >= 1000 && unit < 3; unit++) x /= 1000;
    if (!(grams >= 0)) format_text(out, cap, "-");
    else format_text(out, cap, "%s %s", number_plain(text, sizeof text, x), units[unit]);
    return out;
}

void render_price_text(char *out, size_t cap, const pg_price *price)
{
    const pg_offer *o = price->offer;
    char many[32] = "";
    const char *date = price->as_of ? price->as_of : "of unknown date";
    if (price->instances > 1) format_text(many, sizeof many, "%d x ", price->instances);
    if (o)
        format_text(out, cap, "%s %s %s%s, %s, %s%s", o->cloud, o->region, many, o->instance,
                    price->spot ? "spot" : "on demand", date, price->stale ? " (stale)" : "");
    else if (price->own) format_text(out, cap, "bought, list price %s%s", date, price->stale ? " (stale)" : "");
    else format_text(out, cap, "no offer is known");
}

void render_price_lines(report *r, const render_row *rows, size_t count, const render_money *money)
{
    char text[320], amount[NUMBER_SIZE];
    bool first = true;
    for (size_t i = 0; i < count && money->cost; i++) {
        const pg_price *p = &rows[i].cost.price;
        if (i && rows[i - 1].gpu == rows[i].gpu && rows[i - 1].cost.price.offer == p->offer) continue;
        render_price_text(text, sizeof text, p);
        render_amount(amount, sizeof amount, money, p->usd_per_hour);
        if (p->offer || p->own)
            report_pair(r, first ? "Prices" : "", p->stale ? TONE_WARN : TONE_PLAIN, "%s: %s %s an hour, %s",
                        rows[i].p.gpu, amount, money->code, text);
        else report_pair(r, first ? "Prices" : "", TONE_WARN, "%s: %s", rows[i].p.gpu, text);
        first = false;
    }
}

/* "Sweden, 2023, with a PUE of 1.1" */
static void carbon_text(char *out, size_t cap, const pg_carbon *c, const pg_offer *o)
{
    size_t n = format_text(out, cap, "%.4g g a kWh", c->g_per_kwh);
    const char *place = c->place ? c->place : o ? o->region : NULL;
    if (place && n < cap) n += format_text(out + n, cap - n, ", %s", place);
    if (c->year && n < cap) n += format_text(out + n, cap - n, ", %s", c->year);
    if (n < cap && c->pue > 0) format_text(out + n, cap - n, ", PUE %.3g", c->pue);
    else if (n < cap) format_text(out + n, cap - n, ", without cooling: PUE not known");
}

void render_cost_pairs(report *r, const render_row *row, const render_money *money)
{
    const pg_cost *c = &row->cost;
    char text[320], hour[NUMBER_SIZE], million[NUMBER_SIZE];
    const char *unit = row->p.throughput_unit && strncmp(row->p.throughput_unit, "tokens", 6) == 0 ? "tokens"
                                                                                                   : "samples";
    if (!money->cost || !row->p.fits) return;
    render_price_text(text, sizeof text, &c->price);
    if (c->usd_per_hour >= 0)
        report_pair(r, "Cost", TONE_PLAIN, "%s %s an hour, %s a million %s (%s)",
                    render_amount(hour, sizeof hour, money, c->usd_per_hour), money->code,
                    render_amount(million, sizeof million, money, c->usd_per_million), unit, text);
    else report_pair(r, "Cost", TONE_WARN, "not known: %s", text);
    if (!money->carbon) return;
    if (c->kwh_per_million >= 0)
        report_pair(r, "Energy", TONE_PLAIN, "%s kWh a million %s", number_plain(hour, sizeof hour, c->kwh_per_million),
                    unit);
    if (c->g_per_million >= 0) {
        carbon_text(text, sizeof text, &c->carbon, c->price.offer);
        report_pair(r, "Carbon", TONE_PLAIN, "%s CO2e a million %s (%s)",
                    render_grams(hour, sizeof hour, c->g_per_million), unit, text);
    } else {
        report_pair(r, "Carbon", TONE_WARN, "not known for this place; --carbon-intensity gives your own");
    }
}
