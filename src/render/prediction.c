/* Predictions: the members that JSON and CSV share, and the table that people read. */
#include "render/fields.h"
#include "render/render.h"

#define ROW(name, kind, member, speed)                  \
    {                                                   \
        name, kind, offsetof(render_row, member), speed \
    }

static const field row_fields[] = {
    ROW("model", FIELD_TEXT, model, false),
    ROW("path", FIELD_TEXT, path, false),
    ROW("gpu", FIELD_TEXT, p.gpu, false),
    ROW("gpu_name", FIELD_TEXT, p.gpu_name, false),
    ROW("gpu_count", FIELD_INT, p.gpu_count, false),
    ROW("batch", FIELD_INT64, p.batch, false),
    ROW("task", FIELD_TEXT, p.task, false),
    ROW("precision", FIELD_TEXT, p.precision, false),
    ROW("runtime", FIELD_TEXT, p.runtime, false),
    ROW("latency_ms", FIELD_NUMBER, p.latency_ms, true),
    ROW("latency_low_ms", FIELD_NUMBER, p.latency_low_ms, true),
    ROW("latency_high_ms", FIELD_NUMBER, p.latency_high_ms, true),
    ROW("throughput", FIELD_NUMBER, p.throughput, true),
    ROW("throughput_unit", FIELD_TEXT, p.throughput_unit, false),
    ROW("memory_bytes", FIELD_BYTES, p.memory.total, false),
    ROW("memory_capacity_bytes", FIELD_BYTES, p.memory_capacity, false),
    ROW("fits", FIELD_BOOL, p.fits, false),
    ROW("memory_efficiency", FIELD_NUMBER, p.memory_efficiency, true),
    ROW("compute_utilization", FIELD_NUMBER, p.compute_utilization, true),
    ROW("bottleneck", FIELD_TEXT, p.bottleneck, true),
    ROW("power_w", FIELD_NUMBER, p.power_w, true),
    ROW("cost_per_hour_usd", FIELD_NUMBER, cost.usd_per_hour, true),
    ROW("cost_per_million_usd", FIELD_NUMBER, cost.usd_per_million, true),
    ROW("price_as_of", FIELD_TEXT, cost.price.as_of, false),
    ROW("gpu_ms", FIELD_NUMBER, p.gpu_ms, true),
    ROW("host_ms", FIELD_NUMBER, p.host_ms, true),
    ROW("flops", FIELD_BYTES, p.flops, false),
    ROW("dram_bytes", FIELD_BYTES, p.dram_bytes, true),
    ROW("basis", FIELD_TEXT, p.basis, false),
    ROW("note", FIELD_TEXT, p.note, false),
    ROW("data_parallel", FIELD_INT, p.data_parallel, false),
    ROW("tensor_parallel", FIELD_INT, p.tensor_parallel, false),
    ROW("pipeline_parallel", FIELD_INT, p.pipeline_parallel, false),
    ROW("zero_stage", FIELD_INT, p.zero_stage, false),
    ROW("price_kind", FIELD_TEXT, price_kind, false),
    ROW("price_cloud", FIELD_TEXT, price_cloud, false),
    ROW("price_region", FIELD_TEXT, price_region, false),
    ROW("price_instance", FIELD_TEXT, price_instance, false),
    ROW("price_stale", FIELD_BOOL, price_stale, false),
    ROW("energy_j", FIELD_NUMBER, cost.joule_per_unit, true),
    ROW("kwh_per_million", FIELD_NUMBER, cost.kwh_per_million, true),
    ROW("carbon_g_per_kwh", FIELD_NUMBER, cost.carbon.g_per_kwh, false),
    ROW("carbon_g_per_million", FIELD_NUMBER, cost.g_per_million, true),
};

/* Of language models, in the tasks prefill, decode and serving. */
static const field language_fields[] = {
    ROW("quantization", FIELD_TEXT, p.quantization, false),
    ROW("kv_cache_precision", FIELD_TEXT, p.kv_cache_precision, false),
    ROW("input_len", FIELD_LENGTH, p.input_len, false),
    ROW("output_len", FIELD_LENGTH, p.output_len, false),
    ROW("tokens_per_s", FIELD_NUMBER, p.tokens_per_s, true),
    ROW("ttft_ms", FIELD_NUMBER, p.ttft_ms, true),
    ROW("ttft_low_ms", FIELD_NUMBER, p.ttft_low_ms, true),
    ROW("ttft_high_ms", FIELD_NUMBER, p.ttft_high_ms, true),
    ROW("tpot_ms", FIELD_NUMBER, p.tpot_ms, true),
    ROW("tpot_low_ms", FIELD_NUMBER, p.tpot_low_ms, true),
    ROW("tpot_high_ms", FIELD_NUMBER, p.tpot_high_ms, true),
    ROW("kv_cache_bytes", FIELD_BYTES, p.memory.kv_cache, false),
    ROW("efficiency", FIELD_NUMBER, p.efficiency, true),
    ROW("requests_per_s", FIELD_NUMBER, p.requests_per_s, true),
    ROW("gpus_needed", FIELD_COUNT, p.gpus_needed, true),
    ROW("max_batch_size", FIELD_BYTES, p.most_batch, false),
    ROW("max_context", FIELD_BYTES, p.most_context, false),
    ROW("advice", FIELD_CHARS, p.advice, false),
    ROW("tokens_per_step", FIELD_NUMBER, p.tokens_per_step, true),
};

static const field memory_fields[] = {
    ROW("weights", FIELD_BYTES, p.memory.weights, false),
    ROW("activations", FIELD_BYTES, p.memory.activations, false),
    ROW("workspace", FIELD_BYTES, p.memory.workspace, false),
    ROW("kv_cache", FIELD_BYTES, p.memory.kv_cache, false),
    ROW("gradients", FIELD_BYTES, p.memory.gradients, false),
    ROW("optimizer", FIELD_BYTES, p.memory.optimizer, false),
    ROW("runtime", FIELD_BYTES, p.memory.runtime, false),
    ROW("cuda_context", FIELD_BYTES, p.memory.context, false),
};

enum {
    ROW_FIELDS = sizeof row_fields / sizeof row_fields[0],
    LANGUAGE_FIELDS = sizeof language_fields / sizeof language_fields[0],
    MEMORY_FIELDS = sizeof memory_fields / sizeof memory_fields[0]
};

void render_row_json(jsonw *j, const render_row *row)
{
    fields_json(j, row_fields, ROW_FIELDS, row, !render_is_timed(&row->p));
    if (render_is_language(&row->p)) fields_json(j, language_fields, LANGUAGE_FIELDS, row, !render_is_timed(&row->p));
    jsonw_key(j, "memory");
    jsonw_object(j, JSONW_INLINE);
    fields_json(j, memory_fields, MEMORY_FIELDS, row, false);
    jsonw_end(j);
}

void render_rows_csv_names(buffer *out)
{
    fields_csv_names(out, "", row_fields, ROW_FIELDS, true);
    for (size_t i = 0; i < MEMORY_FIELDS; i++) buffer_format(out, ",memory_%s_bytes", memory_fields[i].name);
    fields_csv_names(out, "", language_fields, LANGUAGE_FIELDS, false);
    csv_end(out);
}

void render_row_csv(buffer *out, const render_row *row)
{
    fields_csv(out, row_fields, ROW_FIELDS, row, !render_is_timed(&row->p), true);
    fields_csv(out, memory_fields, MEMORY_FIELDS, row, false, false);
    if (render_is_language(&row->p))
        fields_csv(out, language_fields, LANGUAGE_FIELDS, row, !render_is_timed(&row->p), false);
    for (size_t i = 0; !render_is_language(&row->p) && i < LANGUAGE_FIELDS; i++) buffer_char(out, ',');
    csv_end(out);
}

void render_warnings_json(jsonw *j, render_warnings warnings)
{
    jsonw_key(j, "warnings");
    jsonw_array(j, JSONW_LINES);
    for (size_t i = 0; i < warnings.count; i++) jsonw_text(j, warnings.texts[i]);
    jsonw_end(j);
}

const char *render_dot(const report *r)
{
    return r->style.unicode ? " \xc2\xb7 " : ", ";
}

/* "0.68" "13.2" "24": what people compare with the size on the box, which is mostly a whole number. */
static void gib(char *out, size_t cap, double bytes, bool whole)
{
    double x = bytes / (1024.0 * 1024 * 1024);
    if (!(bytes >= 0)) format_text(out, cap, "-");
    else if (whole && fabs(x - floor(x + 0.5)) < 0.05) format_text(out, cap, "%.0f", x);
    else format_text(out, cap, "%.*f", x < 9.995 ? 2 : 1, x);
}

void render_memory(char *out, size_t cap, double bytes, const char *between, double capacity)
{
    char used[NUMBER_SIZE], all[NUMBER_SIZE];
    gib(used, sizeof used, bytes, false);
    gib(all, sizeof all, capacity, true);
    format_text(out, cap, "%s %s %s GiB", used, between, all);
}

enum { BAR_WIDTH = 12 };
enum {
    COL_GPU,
    COL_NAME,
    COL_PRECISION,
    COL_RUNTIME,
    COL_BATCH,
    COL_LATENCY,
    COL_INTERVAL,
    COL_THROUGHPUT,
    COL_BAR,
    COL_MEMORY,
    COL_BOUND,
    COL_COMPUTE,
    COL_BANDWIDTH,
    COL_POWER,
    COL_PER_WATT,
    COL_COST,
    COL_COST_MILLION,
    COL_CARBON,
    COL_BASIS,
    COL_COUNT
};

static const column row_columns[COL_COUNT] = {
    [COL_GPU] = {"GPU", ALIGN_LEFT, 0, 0, false, false},
    [COL_NAME] = {"Name", ALIGN_LEFT, 102, 0, false, false},
    [COL_PRECISION] = {"Precision", ALIGN_LEFT, 0, 0, false, false},
    [COL_RUNTIME] = {"Runtime", ALIGN_LEFT, 0, 0, false, false},
    [COL_BATCH] = {"Batch", ALIGN_RIGHT, 0, 0, false, false},
    [COL_LATENCY] = {"Latency", ALIGN_RIGHT, 0, 0, false, false},
    [COL_INTERVAL] = {"Within", ALIGN_RIGHT, 1, 0, false, false},
    [COL_THROUGHPUT] = {"Throughput", ALIGN_RIGHT, 0, 0, false, false},
    [COL_BAR] = {"", ALIGN_LEFT, 101, 0, true, false},
    [COL_MEMORY] = {"Memory", ALIGN_RIGHT, 2, 0, false, false},
    [COL_BOUND] = {"Bound by", ALIGN_LEFT, 5, 0, false, false},
    [COL_COMPUTE] = {"Util", ALIGN_RIGHT, 7, 0, false, false},
    [COL_BANDWIDTH] = {"Mem BW", ALIGN_RIGHT, 9, 0, false, false},
    [COL_POWER] = {"Power", ALIGN_RIGHT, 4, 0, false, false},
    [COL_PER_WATT] = {"Per watt", ALIGN_RIGHT, 10, 0, false, false},
    [COL_COST] = {"Cost/h", ALIGN_RIGHT, 0, 0, false, false},
    [COL_COST_MILLION] = {"Cost/M", ALIGN_RIGHT, 0, 0, false, false},
    [COL_CARBON] = {"CO2e/M", ALIGN_RIGHT, 0, 0, false, false},
    [COL_BASIS] = {"Basis", ALIGN_LEFT, 103, 0, false, false},
};

const char *render_interval_text(void)
{
    return "Within x1.5: four times in five the true latency lies between the figure / 1.5 and the figure x 1.5.";
}

/* The interval as a factor, for it is as wide by ratio to both sides; the larger one where it is not. */
static void interval_cell(table *t, const render_row *row)
{
    const pg_prediction *p = &row->p;
    if (!p->fits || !(p->latency_ms > 0) || !(p->latency_low_ms > 0) || !(p->latency_high_ms >= p->latency_low_ms)) {
        table_cell(t, TONE_DIM, "-");
        return;
    }
    double up = p->latency_high_ms / p->latency_ms, down = p->latency_ms / p->latency_low_ms;
    table_cell(t, TONE_DIM, "%s%.2f", t->report->style.unicode ? "\xc3\x97" : "x", up > down ? up : down);
}

static void number_cell(table *t, tone tone_, char *(*number)(char *, size_t, double), double x)
{
    char text[NUMBER_SIZE];
    table_cell(t, tone_, "%s", number(text, sizeof text, x));
}

static tone bound_tone(const char *bound)
{
    if (!bound) return TONE_DIM;
    return strcmp(bound, "launch") == 0 || strcmp(bound, "host") == 0 ? TONE_WARN : TONE_PLAIN;
}

static void speed_cells(table *t, const render_row *row)
{
    const pg_prediction *p = &row->p;
    char text[NUMBER_SIZE];
    bool timed = render_is_timed(p);
    if (p->fits) {
        number_time(text, sizeof text, p->latency_ms, t->report->style.unicode);
        table_cell(t, row->best_latency ? TONE_GOOD : TONE_PLAIN, "%s", text);
    } else {
        table_cell(t, TONE_BAD, "too big");
    }
    interval_cell(t, row);
    number_plain(text, sizeof text, timed ? p->throughput : -1);
    table_cell(t, row->best_throughput ? TONE_GOOD : TONE_PLAIN, "%s%s", text, timed ? "/s" : "");
    table_bar(t, timed ? row->relative : -1, BAR_WIDTH);
}

void render_cost_cells(table *t, const render_row *row, const render_money *money)
{
    char text[NUMBER_SIZE];
    tone good = row->best_cost ? TONE_GOOD : TONE_PLAIN;
    table_cell(t, TONE_PLAIN, "%s", render_amount(text, sizeof text, money, row->cost.usd_per_hour));
    table_cell(t, good, "%s", render_amount(text, sizeof text, money, row->cost.usd_per_million));
    table_cell(t, TONE_PLAIN, "%s", render_grams(text, sizeof text, row->cost.g_per_million));
}

static void add_row(table *t, const render_row *row, const render_money *money)
{
    const pg_prediction *p = &row->p;
    char memory[2 * NUMBER_SIZE + 8];
    bool timed = render_is_timed(p);
    bool same = !row->asked || !p->precision || strcmp(row->asked, p->precision) == 0;
    table_cell(t, TONE_BOLD, "%s", p->gpu);
    table_cell(t, TONE_DIM, "%s", p->gpu_name ? p->gpu_name : "");
    if (same) table_cell(t, TONE_PLAIN, "%s", p->precision ? p->precision : "-");
    else table_cell(t, TONE_WARN, "%s as %s", row->asked, p->precision);
    table_cell(t, TONE_PLAIN, "%s", p->runtime ? p->runtime : "-");
    table_cell(t, TONE_PLAIN, "%lld", (long long)p->batch);
    speed_cells(t, row);
    render_memory(memory, sizeof memory, p->memory.total, "/", p->memory_capacity);
    table_cell(t, p->fits ? TONE_PLAIN : TONE_BAD, "%s", memory);
    table_cell(t, bound_tone(p->bottleneck), "%s", timed && p->bottleneck ? p->bottleneck : "-");
    number_cell(t, TONE_PLAIN, number_percent, timed ? p->compute_utilization : -1);
    number_cell(t, TONE_PLAIN, number_percent, timed ? p->memory_efficiency : -1);
    number_cell(t, TONE_PLAIN, number_watts, timed ? p->power_w : -1);
    number_cell(t, row->best_per_watt ? TONE_GOOD : TONE_PLAIN, number_plain, timed ? row->per_watt : -1);
    render_cost_cells(t, row, money);
    table_cell(t, TONE_DIM, "%s", p->basis ? p->basis : "-");
}

void render_rows(report *r, const render_row *rows, size_t count, const render_comparison *c)
{
    column columns[COL_COUNT];
    memcpy(columns, row_columns, sizeof columns);
    columns[COL_PRECISION].hidden = !c->many_precisions;
    columns[COL_RUNTIME].hidden = !c->many_runtimes;
    columns[COL_COST].hidden = columns[COL_COST_MILLION].hidden = !c->money.cost;
    columns[COL_CARBON].hidden = !c->money.carbon;
    if (count && render_is_language(&rows[0].p)) {
        render_language_rows(r, rows, count, c);
        return;
    }
    table t;
    table_init(&t, r, columns, COL_COUNT);
    for (size_t i = 0; i < count; i++) add_row(&t, &rows[i], &c->money);
    table_print(&t, COL_BATCH);
}

bool render_is_said(const char *note, render_warnings warnings)
{
    for (size_t i = 0; i < warnings.count; i++)
        if (strcmp(warnings.texts[i], note) == 0) return true;
    return false;
}

static bool has_note(const render_row *row, const char *note)
{
    return row->p.note && strcmp(row->p.note, note) == 0;
}

/* "a100, h100", each GPU once; "all" where more than one was asked for and it is said of every row. */
static void noted_gpus(char *out, size_t cap, const render_row *rows, size_t count, const char *note)
{
    size_t n = 0, all = 0;
    bool every = true;
    out[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        bool seen = false;
        for (size_t k = i; k-- > 0 && !seen && rows[k].gpu == rows[i].gpu;) /* the rows of a GPU stand together */
            seen = has_note(&rows[k], note);
        every = every && has_note(&rows[i], note);
        if (seen || !has_note(&rows[i], note)) continue;
        all++;
        if (n < cap) n += format_text(out + n, cap - n, "%s%s", n ? ", " : "", rows[i].p.gpu);
    }
    if (every && all > 1) format_text(out, cap, "all");
}

void render_notes(report *r, const render_row *rows, size_t count, render_warnings warnings)
{
    enum { DISTINCT = 64 }; /* as many lines as anybody reads */
    const char *shown[DISTINCT];
    char gpus[2048];
    size_t n = 0;
    for (size_t i = 0; i < count && n < DISTINCT; i++) {
        const char *note = rows[i].p.note;
        bool said = !note || !note[0] || render_is_said(note, warnings);
        for (size_t k = 0; k < n && !said; k++) said = strcmp(shown[k], note) == 0;
        if (said) continue;
        shown[n++] = note;
        noted_gpus(gpus, sizeof gpus, rows, count, note);
        report_text(r, TONE_WARN, "%s%s: %s", r->markdown ? "\n" : "", gpus, note);
    }
}

void render_model_line(report *r, char *out, size_t cap, const pg_model_info *info)
{
    char parameters[NUMBER_SIZE], macs[NUMBER_SIZE], weights[NUMBER_SIZE];
    const char *dot = render_dot(r);
    number_parameters(parameters, sizeof parameters, info->parameters);
    number_count(macs, sizeof macs, info->macs);
    number_bytes(weights, sizeof weights, info->weights_bytes);
    size_t n = 0;
    if (info->format) n += format_text(out, cap, "%s%s", info->format, dot);
    if (info->family && n < cap) n += format_text(out + n, cap - n, "%s%s", info->family, dot);
    if (n < cap)
        format_text(out + n, cap - n, "%s parameters%s%s MACs%s%s weights", parameters, dot, macs, dot, weights);
}
