/* recommend-gpu: what to take, why, what else holds, and what nearly does. */
#include "render/fields.h"
#include "render/render.h"

#define CHOICE(name, kind, member, speed)              \
    {                                                  \
        name, kind, offsetof(pg_choice, member), speed \
    }

static const field choice_fields[] = {
    CHOICE("gpu", FIELD_TEXT, p.gpu, false),
    CHOICE("gpu_name", FIELD_TEXT, p.gpu_name, false),
    CHOICE("gpu_count", FIELD_INT, gpus, false),
    CHOICE("replicas", FIELD_INT, replicas, false),
    CHOICE("tensor_parallel", FIELD_INT, p.tensor_parallel, false),
    CHOICE("pipeline_parallel", FIELD_INT, p.pipeline_parallel, false),
    CHOICE("batch", FIELD_INT64, p.batch, false),
    CHOICE("precision", FIELD_TEXT, p.precision, false),
    CHOICE("runtime", FIELD_TEXT, p.runtime, false),
    CHOICE("latency_ms", FIELD_NUMBER, p.latency_ms, true),
    CHOICE("latency_high_ms", FIELD_NUMBER, p.latency_high_ms, true),
    CHOICE("throughput", FIELD_NUMBER, throughput, true),
    CHOICE("throughput_low", FIELD_NUMBER, throughput_low, true),
    CHOICE("throughput_unit", FIELD_TEXT, p.throughput_unit, false),
    CHOICE("headroom", FIELD_NUMBER, headroom, true),
    CHOICE("memory_bytes", FIELD_BYTES, p.memory.total, false),
    CHOICE("memory_capacity_bytes", FIELD_BYTES, p.memory_capacity, false),
    CHOICE("cost_per_hour_usd", FIELD_NUMBER, cost.usd_per_hour, true),
    CHOICE("cost_per_month_usd", FIELD_NUMBER, usd_per_month, true),
    CHOICE("cost_per_million_usd", FIELD_NUMBER, cost.usd_per_million, true),
    CHOICE("spot_cost_per_month_usd", FIELD_NUMBER, spot_usd_per_month, true),
    CHOICE("break_even_months", FIELD_NUMBER, break_even_months, true),
    CHOICE("price_as_of", FIELD_TEXT, cost.price.as_of, false),
    CHOICE("price_stale", FIELD_BOOL, cost.price.stale, false),
    CHOICE("instances", FIELD_INT, cost.price.instances, false),
    CHOICE("kwh_per_million", FIELD_NUMBER, cost.kwh_per_million, true),
    CHOICE("carbon_g_per_kwh", FIELD_NUMBER, cost.carbon.g_per_kwh, false),
    CHOICE("carbon_g_per_million", FIELD_NUMBER, cost.g_per_million, true),
    CHOICE("carbon_kg_per_month", FIELD_NUMBER, kg_per_month, true),
    CHOICE("basis", FIELD_TEXT, p.basis, false),
    CHOICE("note", FIELD_TEXT, p.note, false),
    CHOICE("pareto", FIELD_BOOL, front, false),
};

#define COUNT_OF(list) (sizeof(list) / sizeof((list)[0]))

static const struct {
    unsigned bit;
    const char *name;
} failures[] = {{PG_FAILS_MEMORY, "memory"},  {PG_FAILS_LATENCY, "latency"}, {PG_FAILS_GPUS, "gpus"},
                {PG_FAILS_BUDGET, "budget"},  {PG_FAILS_CARBON, "carbon"},   {PG_FAILS_OFFER, "offer"},
                {PG_FAILS_RUNTIME, "runtime"}};

static void place_json(jsonw *j, const pg_choice *c)
{
    const pg_offer *o = c->cost.price.offer;
    const char *const names[] = {"cloud", "region", "instance", "interruption"};
    const char *const values[] = {o ? o->cloud : NULL, o ? o->region : NULL, o ? o->instance : NULL,
                                  o ? o->interruption : NULL};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        jsonw_key(j, names[i]);
        if (values[i]) jsonw_text(j, values[i]);
        else jsonw_null(j);
    }
    jsonw_key(j, "price_kind");
    if (c->cost.price.own) jsonw_text(j, "own");
    else if (o) jsonw_text(j, c->cost.price.spot ? "spot" : "on demand");
    else jsonw_null(j);
}

static void choices_json(jsonw *j, const char *name, const pg_choice *const *list, size_t count)
{
    jsonw_key(j, name);
    jsonw_array(j, JSONW_LINES);
    for (size_t i = 0; i < count; i++) {
        jsonw_object(j, JSONW_LINES);
        fields_json(j, choice_fields, COUNT_OF(choice_fields), list[i], !render_is_timed(&list[i]->p));
        place_json(j, list[i]);
        jsonw_key(j, "fails");
        jsonw_array(j, JSONW_INLINE);
        for (size_t k = 0; k < COUNT_OF(failures); k++)
            if (list[i]->fails & failures[k].bit) jsonw_text(j, failures[k].name);
        jsonw_end(j);
        jsonw_end(j);
    }
    jsonw_end(j);
}

static void advice_json(buffer *out, const render_advice *a)
{
    jsonw j;
    jsonw_init(&j, out);
    jsonw_object(&j, JSONW_LINES);
    jsonw_key(&j, "model");
    jsonw_text(&j, a->info->name);
    choices_json(&j, "recommendations", a->held, a->held_count);
    choices_json(&j, "near_misses", a->missed, a->missed_count);
    render_warnings_json(&j, a->warnings);
    jsonw_finish(&j);
}

static void advice_csv(buffer *out, const render_advice *a)
{
    fields_csv_names(out, "", choice_fields, COUNT_OF(choice_fields), true);
    buffer_format(out, ",cloud,region,instance,fails");
    csv_end(out);
    for (size_t i = 0; i < a->held_count + a->missed_count; i++) {
        const pg_choice *c = i < a->held_count ? a->held[i] : a->missed[i - a->held_count];
        const pg_offer *o = c->cost.price.offer;
        fields_csv(out, choice_fields, COUNT_OF(choice_fields), c, !render_is_timed(&c->p), true);
        buffer_format(out, ",");
        csv_cell(out, str_c(o ? o->cloud : ""));
        buffer_format(out, ",");
        csv_cell(out, str_c(o ? o->region : ""));
        buffer_format(out, ",");
        csv_cell(out, str_c(o ? o->instance : ""));
        buffer_format(out, ",");
        for (size_t k = 0, n = 0; k < COUNT_OF(failures); k++)
            if (c->fails & failures[k].bit) buffer_format(out, "%s%s", n++ ? " " : "", failures[k].name);
        csv_end(out);
    }
}

enum {
    COL_GPU,
    COL_WHERE,
    COL_REGION,
    COL_RUNTIME,
    COL_PRECISION,
    COL_BATCH,
    COL_LATENCY,
    COL_THROUGHPUT,
    COL_MEMORY,
    COL_MONTH,
    COL_MILLION,
    COL_CARBON,
    COL_AS_OF,
    COL_COUNT
};

static const column choice_columns[COL_COUNT] = {
    [COL_GPU] = {"GPUs", ALIGN_LEFT, 0, 0, false, false},
    [COL_WHERE] = {"From", ALIGN_LEFT, 0, 0, false, false},
    [COL_REGION] = {"Region", ALIGN_LEFT, 3, 0, false, false},
    [COL_RUNTIME] = {"Runtime", ALIGN_LEFT, 2, 0, false, false},
    [COL_PRECISION] = {"Precision", ALIGN_LEFT, 4, 0, false, false},
    [COL_BATCH] = {"Batch", ALIGN_RIGHT, 0, 0, false, false},
    [COL_LATENCY] = {"Latency", ALIGN_RIGHT, 0, 0, false, false},
    [COL_THROUGHPUT] = {"At least", ALIGN_RIGHT, 0, 0, false, false},
    [COL_MEMORY] = {"Memory", ALIGN_RIGHT, 5, 0, false, false},
    [COL_MONTH] = {"Month", ALIGN_RIGHT, 0, 0, false, false},
    [COL_MILLION] = {"Million", ALIGN_RIGHT, 1, 0, false, false},
    [COL_CARBON] = {"CO2e", ALIGN_RIGHT, 0, 0, false, false},
    [COL_AS_OF] = {"As of", ALIGN_LEFT, 6, 0, false, false},
};

static void add_choice(table *t, const render_advice *a, const pg_choice *c)
{
    char text[NUMBER_SIZE], memory[2 * NUMBER_SIZE + 8];
    const pg_price *price = &c->cost.price;
    const pg_offer *o = price->offer;
    table_cell(t, TONE_BOLD, "%d x %s%s", c->gpus, c->p.gpu, c->front ? " *" : "");
    table_cell(t, TONE_PLAIN, "%s%s", o ? o->cloud : price->own ? "bought" : "-", price->spot ? " spot" : "");
    table_cell(t, TONE_PLAIN, "%s", o ? o->region : "-");
    table_cell(t, TONE_PLAIN, "%s", c->p.runtime ? c->p.runtime : "-");
    table_cell(t, TONE_PLAIN, "%s", c->p.precision ? c->p.precision : "-");
    table_cell(t, TONE_PLAIN, "%lld", (long long)c->p.batch);
    table_cell(t, TONE_PLAIN, "%s", number_time(text, sizeof text, c->p.latency_high_ms, t->report->style.unicode));
    table_cell(t, TONE_PLAIN, "%s/s", number_plain(text, sizeof text, c->throughput_low));
    render_memory(memory, sizeof memory, c->p.memory.total, "/", c->p.memory_capacity);
    table_cell(t, TONE_PLAIN, "%s", memory);
    table_cell(t, TONE_GOOD, "%s", render_amount(text, sizeof text, &a->money, c->usd_per_month));
    table_cell(t, TONE_PLAIN, "%s", render_amount(text, sizeof text, &a->money, c->cost.usd_per_million));
    table_cell(t, TONE_PLAIN, "%s",
               render_grams(text, sizeof text, c->kg_per_month >= 0 ? c->kg_per_month * 1000 : -1));
    table_cell(t, price->stale ? TONE_WARN : TONE_PLAIN, "%s%s", price->as_of ? price->as_of : "-",
               price->stale ? " !" : "");
}

static void choices_table(report *r, const render_advice *a)
{
    column columns[COL_COUNT];
    memcpy(columns, choice_columns, sizeof columns);
    columns[COL_CARBON].hidden = !a->money.carbon && !a->wish->by_carbon && !(a->wish->carbon_kg > 0);
    if (a->wish->place == PG_BY_REGION) columns[COL_REGION].drop = 0;
    table t;
    table_init(&t, r, columns, COL_COUNT);
    for (size_t i = 0; i < a->held_count; i++) add_choice(&t, a, a->held[i]);
    table_print(&t, 0);
}

/* "2 x l4 at gcp us-east4, g2-standard-4 x 2, on demand": what to order. */
static void order_pairs(report *r, const render_advice *a, const pg_choice *c)
{
    char text[320], x[NUMBER_SIZE], y[NUMBER_SIZE];
    const char *unit = c->p.throughput_unit ? c->p.throughput_unit : "samples/s";
    report_pair(r, "Take", TONE_GOOD, "%d x %s, %s %s, batch %lld%s", c->gpus, c->p.gpu_name ? c->p.gpu_name : c->p.gpu,
                c->p.runtime, c->p.precision, (long long)c->p.batch,
                c->p.tensor_parallel > 1     ? ", each layer divided over several"
                : c->p.pipeline_parallel > 1 ? ", its layers divided over several"
                                             : "");
    render_price_text(text, sizeof text, &c->cost.price);
    report_pair(r, "From", c->cost.price.stale ? TONE_WARN : TONE_PLAIN, "%s", text);
    report_pair(r, "Cost", TONE_BOLD, "%s %s a month, %s a million",
                render_amount(x, sizeof x, &a->money, c->usd_per_month), a->money.code,
                render_amount(y, sizeof y, &a->money, c->cost.usd_per_million));
    number_plain(x, sizeof x, c->throughput_low);
    number_plain(y, sizeof y, c->throughput);
    if (c->headroom >= 0)
        report_pair(r, "Throughput", TONE_PLAIN, "at least %s %s (expected %s), %.0f %% more than wanted", x, unit, y,
                    100 * c->headroom);
    else report_pair(r, "Throughput", TONE_PLAIN, "at least %s %s (expected %s)", x, unit, y);
    number_time(x, sizeof x, c->p.latency_ms, r->style.unicode);
    number_time(y, sizeof y, c->p.latency_high_ms, r->style.unicode);
    report_pair(r, "Latency", TONE_PLAIN, "%s, at most %s", x, y);
    if (c->p.ttft_ms > 0 && render_is_language(&c->p)) {
        number_time(x, sizeof x, c->p.ttft_ms, r->style.unicode);
        number_time(y, sizeof y, c->p.ttft_high_ms, r->style.unicode);
        report_pair(r, "First token", TONE_PLAIN, "%s, at most %s", x, y);
    }
    render_memory(text, sizeof text, c->p.memory.total, "of", c->p.memory_capacity);
    report_pair(r, "Memory", TONE_PLAIN, "%s", text);
    const char *basis = c->p.basis ? c->p.basis : "-";
    report_pair(r, "Rests on", TONE_PLAIN, "%s",
                strcmp(basis, "calibrated") == 0    ? "measurements of this GPU"
                : strcmp(basis, "transferred") == 0 ? "measurements of other GPUs"
                                                    : "its specification alone");
    if (c->p.note && c->p.note[0]) report_pair(r, "Note", TONE_WARN, "%s", c->p.note);
}

static void saving_pairs(report *r, const render_advice *a, const pg_choice *c)
{
    char x[NUMBER_SIZE], y[NUMBER_SIZE];
    const pg_offer *o = c->cost.price.offer;
    if (c->spot_usd_per_month > 0 && c->spot_usd_per_month < c->usd_per_month)
        report_pair(r, "As spot", TONE_PLAIN, "%s %s a month, %.0f %% less; %s%s",
                    render_amount(x, sizeof x, &a->money, c->spot_usd_per_month), a->money.code,
                    100 * (1 - c->spot_usd_per_month / c->usd_per_month),
                    o && o->interruption ? "taken back in a month: " : "",
                    o && o->interruption ? o->interruption : "how often it is taken back is not known");
    if (c->break_even_months > 0)
        report_pair(
            r, "Bought", TONE_PLAIN, "as many of these GPUs pay for themselves after %s months in full use, %s in half",
            number_plain(x, sizeof x, c->break_even_months), number_plain(y, sizeof y, 2 * c->break_even_months));
    if (c->cost.kwh_per_million >= 0 && a->money.carbon)
        report_pair(r, "Energy", TONE_PLAIN, "%s kWh a million", number_plain(x, sizeof x, c->cost.kwh_per_million));
    if (c->kg_per_month >= 0)
        report_pair(r, "Carbon", TONE_PLAIN, "%s CO2e a month at %.4g g a kWh",
                    render_grams(x, sizeof x, 1000 * c->kg_per_month), c->cost.carbon.g_per_kwh);
    else if (a->money.carbon) report_pair(r, "Carbon", TONE_WARN, "not known for this place");
    double budget = a->wish->budget_usd;
    if (budget > 0 && a->share_warn > 0 && c->usd_per_month >= a->share_warn * budget)
        report_pair(r, "Budget", TONE_WARN, "%.0f %% of it is used", 100 * c->usd_per_month / budget);
}

/* What the choice misses and by how much. */
static void why_text(const report *r, char *out, size_t cap, const render_advice *a, const pg_choice *c)
{
    const pg_wish *w = a->wish;
    char x[2 * NUMBER_SIZE + 8], y[NUMBER_SIZE];
    size_t n = 0;
    if (c->fails & PG_FAILS_MEMORY) {
        render_memory(x, sizeof x, c->p.memory.total, "of", c->p.memory_capacity);
        n += format_text(out + n, cap - n, "doesn't fit: needs %s", x);
    }
    if (c->fails & PG_FAILS_RUNTIME && n < cap)
        n += format_text(out + n, cap - n, "%s is not for this GPU", c->p.runtime);
    if (c->fails & PG_FAILS_LATENCY && n < cap) {
        bool first = w->ttft_ms > 0 && c->p.ttft_high_ms > w->ttft_ms,
             each = w->tpot_ms > 0 && c->p.tpot_high_ms > w->tpot_ms;
        number_time(x, sizeof x,
                    first  ? c->p.ttft_high_ms
                    : each ? c->p.tpot_high_ms
                           : c->p.latency_high_ms,
                    r->style.unicode);
        number_time(y, sizeof y, first ? w->ttft_ms : each ? w->tpot_ms : w->latency_ms, r->style.unicode);
        n += format_text(out + n, cap - n, "%s%s up to %s, %s wanted", n ? "; " : "",
                         first  ? "first token"
                         : each ? "a token"
                                : "latency",
                         x, y);
    }
    if (c->fails & PG_FAILS_GPUS && n < cap)
        n += format_text(out + n, cap - n, "%sneeds %d GPUs, %d allowed", n ? "; " : "", c->gpus, w->max_gpus);
    if (c->fails & PG_FAILS_BUDGET && n < cap) {
        render_amount(x, sizeof x, &a->money, c->usd_per_month * a->per_period);
        render_amount(y, sizeof y, &a->money, (c->usd_per_month - w->budget_usd) * a->per_period);
        n += format_text(out + n, cap - n, "%s%d of them cost %s a %s, %s over the budget", n ? "; " : "", c->gpus, x,
                         a->period, y);
    }
    if (c->fails & PG_FAILS_CARBON && n < cap)
        n += c->kg_per_month >= 0 ? format_text(out + n, cap - n, "%semits %.4g kg a month, %.4g allowed",
                                                n ? "; " : "", c->kg_per_month, w->carbon_kg)
                                  : format_text(out + n, cap - n, "%scarbon not known there", n ? "; " : "");
    if (c->fails & PG_FAILS_OFFER && n < cap) format_text(out + n, cap - n, "%sno price is known", n ? "; " : "");
}

static void misses(report *r, const render_advice *a)
{
    char text[400];
    for (size_t i = 0; i < a->missed_count; i++) {
        const pg_choice *c = a->missed[i];
        const pg_offer *o = c->cost.price.offer;
        text[0] = '\0';
        why_text(r, text, sizeof text, a, c);
        report_pair(r, i ? "" : "Near misses", TONE_PLAIN, "%s%s%s: %s", c->p.gpu, o ? " at " : "", o ? o->cloud : "",
                    text);
    }
    if (a->missed_all > a->missed_count) report_pair(r, "", TONE_DIM, "and %zu more", a->missed_all - a->missed_count);
}

static void front_pairs(report *r, const render_advice *a)
{
    char x[NUMBER_SIZE], y[NUMBER_SIZE];
    for (size_t i = 0; i < a->front_count && a->front_count > 1; i++) {
        const pg_choice *c = a->front[i];
        const pg_offer *o = c->cost.price.offer;
        report_pair(r, i ? "" : "Quicker", TONE_PLAIN, "%s %s a month for %s: %d x %s%s%s",
                    render_amount(x, sizeof x, &a->money, c->usd_per_month), a->money.code,
                    number_time(y, sizeof y, c->p.latency_ms, r->style.unicode), c->gpus, c->p.gpu, o ? ", " : "",
                    o ? o->cloud : "");
    }
}

/* The nearest choice that fails on one thing alone says what would have to give. */
static void relaxation(report *r, const render_advice *a)
{
    char x[NUMBER_SIZE], what[160] = "";
    for (size_t i = 0; i < a->missed_count && !what[0]; i++) {
        const pg_choice *c = a->missed[i];
        const pg_offer *o = c->cost.price.offer;
        if (c->fails == PG_FAILS_BUDGET)
            format_text(what, sizeof what, "a budget of %s %s a %s",
                        render_amount(x, sizeof x, &a->money, c->usd_per_month * a->per_period), a->money.code,
                        a->period);
        if (c->fails == PG_FAILS_LATENCY) {
            const pg_wish *w = a->wish;
            bool first = w->ttft_ms > 0 && c->p.ttft_high_ms > w->ttft_ms,
                 each = w->tpot_ms > 0 && c->p.tpot_high_ms > w->tpot_ms;
            double ms = first ? c->p.ttft_high_ms : each ? c->p.tpot_high_ms : c->p.latency_high_ms;
            number_time(x, sizeof x, ms, r->style.unicode);
            format_text(what, sizeof what, "%s %s",
                        first  ? "a first token within"
                        : each ? "a token within"
                               : "a latency of",
                        x);
        }
        if (c->fails == PG_FAILS_GPUS) format_text(what, sizeof what, "%d GPUs", c->gpus);
        if (c->fails == PG_FAILS_CARBON && c->kg_per_month >= 0)
            format_text(what, sizeof what, "%.4g kg of CO2e a month", c->kg_per_month);
        if (what[0])
            report_text(r, TONE_WARN, "The least that would have to give: with %s, %d x %s%s%s would do.", what,
                        c->gpus, c->p.gpu, o ? " at " : "", o ? o->cloud : "");
    }
}

/* Of what the latency is. */
static const char *timed_thing(const render_advice *a)
{
    const pg_choice *c = a->held_count ? a->held[0] : a->missed_count ? a->missed[0] : NULL;
    const char *task = c && c->p.task ? c->p.task : "";
    return strcmp(task, "serving") == 0 ? "of a whole request"
         : strcmp(task, "decode") == 0  ? "of a token"
                                        : "for a step with the whole batch";
}

void render_advice_report(report *r, const render_advice *a)
{
    char line[400];
    if (r->format == RENDER_JSON) {
        advice_json(r->out, a);
        return;
    }
    if (r->format == RENDER_CSV) {
        advice_csv(r->out, a);
        return;
    }
    render_model_line(r, line, sizeof line, a->info);
    report_heading(r, 1, a->info->name, line);
    if (!r->markdown) report_gap(r);
    if (a->held_count) {
        order_pairs(r, a, a->held[0]);
        saving_pairs(r, a, a->held[0]);
        front_pairs(r, a);
        report_heading(r, 2, "All that hold", NULL);
        choices_table(r, a);
        if (a->held_all > a->held_count)
            report_text(r, TONE_DIM, "and %zu more; --top shows them", a->held_all - a->held_count);
    } else {
        report_text(r, TONE_BAD, "Nothing holds all that is wanted.");
        relaxation(r, a);
    }
    if (a->missed_count) report_heading(r, 2, "Why not others", NULL);
    misses(r, a);
    report_gap(r);
    report_text(
        r, TONE_DIM,
        "At least: the low end of the 80 %% interval of all GPUs together. Latency: its high end, %s. A month "
        "has %.4g hours. * : no other is both cheaper and quicker. ! : price older than %d days, or of unknown date.",
        timed_thing(a), PG_HOURS_PER_MONTH, PG_STALE_DAYS);
}
