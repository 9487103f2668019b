/* Language models: the table that people ask for, and what one of its rows says in full. */
#include "render/render.h"

enum {
    COL_GPU,
    COL_PRECISION,
    COL_RUNTIME,
    COL_BATCH,
    COL_NEEDED,
    COL_TOKENS,
    COL_TTFT,
    COL_TPOT,
    COL_INTERVAL,
    COL_MEMORY,
    COL_ROOF,
    COL_BOUND,
    COL_POWER,
    COL_COST,
    COL_COST_MILLION,
    COL_CARBON,
    COL_BAR,
    COL_NAME,
    COL_BASIS,
    COL_COUNT
};

static const column language_columns[COL_COUNT] = {
    [COL_GPU] = {"GPU", ALIGN_LEFT, 0, 0, false, false},
    [COL_PRECISION] = {"Weights", ALIGN_LEFT, 0, 0, false, false},
    [COL_RUNTIME] = {"Runtime", ALIGN_LEFT, 0, 0, false, false},
    [COL_BATCH] = {"Batch", ALIGN_RIGHT, 0, 0, false, false},
    [COL_NEEDED] = {"GPUs", ALIGN_RIGHT, 0, 0, false, false},
    [COL_TOKENS] = {"Tokens/s", ALIGN_RIGHT, 0, 0, false, false},
    [COL_TTFT] = {"TTFT", ALIGN_RIGHT, 1, 0, false, false},
    [COL_TPOT] = {"TPOT", ALIGN_RIGHT, 0, 0, false, false},
    [COL_INTERVAL] = {"Within", ALIGN_RIGHT, 2, 0, false, false},
    [COL_MEMORY] = {"Memory", ALIGN_RIGHT, 3, 0, false, false},
    [COL_ROOF] = {"Roof", ALIGN_RIGHT, 4, 0, false, false},
    [COL_BOUND] = {"Bound by", ALIGN_LEFT, 5, 0, false, false},
    [COL_POWER] = {"Power", ALIGN_RIGHT, 6, 0, false, false},
    [COL_COST] = {"Cost/h", ALIGN_RIGHT, 0, 0, false, false},
    [COL_COST_MILLION] = {"Cost/M", ALIGN_RIGHT, 0, 0, false, false},
    [COL_CARBON] = {"CO2e/M", ALIGN_RIGHT, 0, 0, false, false},
    [COL_BAR] = {"", ALIGN_LEFT, 103, 0, true, false},
    [COL_NAME] = {"Name", ALIGN_LEFT, 104, 0, false, false},
    [COL_BASIS] = {"Basis", ALIGN_LEFT, 105, 0, false, false},
};

bool render_is_language(const pg_prediction *p)
{
    static const char *const tasks[] = {"prefill", "decode", "serving"};
    for (size_t i = 0; p->task && i < sizeof tasks / sizeof tasks[0]; i++)
        if (strcmp(p->task, tasks[i]) == 0) return true;
    return false;
}

static void time_cell(table *t, tone tone_, double ms)
{
    char text[NUMBER_SIZE];
    table_cell(t, ms >= 0 ? tone_ : TONE_DIM, "%s", number_time(text, sizeof text, ms, t->report->style.unicode));
}

static void add_row(table *t, const render_row *row, const render_money *money)
{
    const pg_prediction *p = &row->p;
    char text[2 * NUMBER_SIZE + 8];
    bool timed = render_is_timed(p);
    table_cell(t, TONE_BOLD, "%s", p->gpu);
    table_cell(t, TONE_PLAIN, "%s", p->quantization ? p->quantization : p->precision ? p->precision : "-");
    table_cell(t, TONE_PLAIN, "%s", p->runtime ? p->runtime : "-");
    table_cell(t, TONE_PLAIN, "%lld", (long long)p->batch);
    if (p->gpus_needed > 0) table_cell(t, TONE_GOOD, "%d", p->gpus_needed);
    else table_cell(t, TONE_DIM, "-");
    if (p->fits)
        table_cell(t, row->best_throughput ? TONE_GOOD : TONE_PLAIN, "%s",
                   number_plain(text, sizeof text, p->tokens_per_s));
    else table_cell(t, TONE_BAD, "OOM");
    time_cell(t, TONE_PLAIN, p->ttft_ms);
    time_cell(t, row->best_latency ? TONE_GOOD : TONE_PLAIN, p->tpot_ms);
    bool known = p->fits && p->latency_ms > 0 && p->latency_high_ms >= p->latency_ms;
    if (known)
        table_cell(t, TONE_DIM, "%s%.2f", t->report->style.unicode ? "\xc3\x97" : "x",
                   p->latency_high_ms / p->latency_ms);
    else table_cell(t, TONE_DIM, "-");
    render_memory(text, sizeof text, p->memory.total, "/", p->memory_capacity);
    table_cell(t, p->fits ? TONE_PLAIN : TONE_BAD, "%s", text);
    table_cell(t, TONE_PLAIN, "%s", number_percent(text, sizeof text, timed ? p->efficiency : -1));
    table_cell(t, TONE_PLAIN, "%s", timed && p->bottleneck ? p->bottleneck : "-");
    table_cell(t, TONE_PLAIN, "%s", number_watts(text, sizeof text, timed ? p->power_w : -1));
    render_cost_cells(t, row, money);
    table_bar(t, timed ? row->relative : -1, 12);
    table_cell(t, TONE_DIM, "%s", p->gpu_name ? p->gpu_name : "");
    table_cell(t, TONE_DIM, "%s", p->basis ? p->basis : "-");
}

void render_language_rows(report *r, const render_row *rows, size_t count, const render_comparison *c)
{
    column columns[COL_COUNT];
    memcpy(columns, language_columns, sizeof columns);
    columns[COL_PRECISION].hidden = !c->many_precisions;
    columns[COL_RUNTIME].hidden = !c->many_runtimes;
    columns[COL_COST].hidden = columns[COL_COST_MILLION].hidden = !c->money.cost;
    columns[COL_CARBON].hidden = !c->money.carbon;
    columns[COL_NEEDED].hidden = true;
    for (size_t i = 0; i < count; i++)
        if (rows[i].p.gpus_needed > 0) columns[COL_NEEDED].hidden = false;
    table t;
    table_init(&t, r, columns, COL_COUNT);
    for (size_t i = 0; i < count; i++) add_row(&t, &rows[i], &c->money);
    table_print(&t, COL_BATCH);
}

static void range_pair(report *r, const char *label, double ms, double low, double high)
{
    char a[NUMBER_SIZE], b[NUMBER_SIZE], c[NUMBER_SIZE];
    bool u = r->style.unicode;
    if (ms < 0) return;
    report_pair(r, label, TONE_BOLD, "%s  (80 %% interval: %s to %s)", number_time(a, sizeof a, ms, u),
                number_time(b, sizeof b, low, u), number_time(c, sizeof c, high, u));
}

void render_language_pairs(report *r, const pg_prediction *p)
{
    char a[NUMBER_SIZE], b[NUMBER_SIZE];
    bool prefill = p->task && strcmp(p->task, "prefill") == 0;
    report_pair(r, "Workload", TONE_PLAIN, "%lld x %lld tokens in, %lld out%sweights %s%scache %s", (long long)p->batch,
                (long long)p->input_len, (long long)p->output_len, render_dot(r),
                p->quantization ? p->quantization
                : p->precision  ? p->precision
                                : "-",
                render_dot(r), p->kv_cache_precision ? p->kv_cache_precision : "-");
    report_pair(r, "Tokens", TONE_BOLD, "%s a second %s", number_plain(a, sizeof a, p->tokens_per_s),
                prefill ? "in" : "out");
    if (p->requests_per_s >= 0)
        report_pair(r, "Requests", TONE_BOLD, "%s a second, %lld at a time",
                    number_plain(a, sizeof a, p->requests_per_s), (long long)p->batch);
    if (p->gpus_needed > 0)
        report_pair(r, "GPUs", TONE_BOLD, "%d for the requests that were asked for", p->gpus_needed);
    range_pair(r, "First token", p->ttft_ms, p->ttft_low_ms, p->ttft_high_ms);
    range_pair(r, "Each token", p->tpot_ms, p->tpot_low_ms, p->tpot_high_ms);
    number_percent(a, sizeof a, p->efficiency);
    report_pair(r, "Efficiency", TONE_PLAIN, "%s of the roof that binds", a);
    if (p->most_batch >= 1 && p->most_context >= 1)
        report_pair(r, "Room for", TONE_PLAIN, "%s such sequence%s, or a context of %s tokens at batch %lld",
                    number_whole(a, sizeof a, p->most_batch), p->most_batch == 1 ? "" : "s",
                    number_whole(b, sizeof b, p->most_context), (long long)p->batch);
}
