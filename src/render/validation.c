#include "render/validation.h"

#include <stdlib.h>

#include "render/fields.h"

enum { GROUPS_SHOWN = 12, WORST_SHOWN = 8, REASONS_SHOWN = 8, FOLDS_SHOWN = 40 };

/* ---- JSON ---- */

static void row_json(jsonw *j, const bench_row *row)
{
    for (int k = 0; k < BENCH_KEYS; k++) {
        const bench_key *key = &bench_key_table[k];
        const void *at = (const char *)row + key->offset;
        if (!(row->given >> k & 1)) continue;
        jsonw_key(j, key->name);
        switch (key->kind) {
        case BENCH_TEXT: jsonw_text(j, *(const bench_text *)at); break;
        case BENCH_COUNT: jsonw_integer(j, *(const int64_t *)at); break;
        case BENCH_FLAG: jsonw_bool(j, *(const bool *)at); break;
        case BENCH_REAL: jsonw_number(j, *(const double *)at); break;
        case BENCH_TASK: jsonw_text(j, bench_task_name(row->task)); break;
        case BENCH_METRIC: jsonw_text(j, bench_metric_name(row->metric)); break;
        case BENCH_LAYOUT: jsonw_text(j, bench_layout_name(row->layout)); break;
        }
    }
}

static void point_json(jsonw *j, const bench_point *p)
{
    jsonw_object(j, JSONW_INLINE);
    row_json(j, p->row);
    if (p->skipped) {
        jsonw_key(j, "skipped");
        jsonw_text(j, p->skipped);
        jsonw_end(j);
        return;
    }
    jsonw_key(j, "predicted");
    jsonw_number(j, p->predicted);
    jsonw_key(j, "low");
    jsonw_known(j, p->low);
    jsonw_key(j, "high");
    jsonw_known(j, p->high);
    jsonw_key(j, "error");
    jsonw_number(j, p->error);
    jsonw_key(j, "basis");
    jsonw_text(j, p->p.basis);
    jsonw_key(j, "roofline");
    jsonw_known(j, p->roofline);
    jsonw_key(j, "scalar");
    jsonw_known(j, p->scalar);
    if (p->fold) {
        jsonw_key(j, "fold");
        jsonw_text(j, p->fold);
    }
    jsonw_end(j);
}

void render_stats_json(jsonw *j, const bench_stats *s)
{
    jsonw_key(j, "mape");
    jsonw_known(j, s->mape);
    jsonw_key(j, "median");
    jsonw_known(j, s->median);
    jsonw_key(j, "p90");
    jsonw_known(j, s->p90);
    jsonw_key(j, "bias");
    jsonw_number(j, s->bias);
    jsonw_key(j, "within_10");
    jsonw_known(j, s->within_10);
    jsonw_key(j, "within_25");
    jsonw_known(j, s->within_25);
}

static void baseline_json(jsonw *j, const char *name, const bench_stats *s)
{
    jsonw_key(j, name);
    jsonw_object(j, JSONW_INLINE);
    jsonw_key(j, "count");
    jsonw_integer(j, (int64_t)s->count);
    render_stats_json(j, s);
    jsonw_end(j);
}

static void group_json(jsonw *j, const bench_group *g)
{
    render_stats_json(j, &g->ours);
    jsonw_key(j, "interval_coverage");
    jsonw_known(j, g->coverage);
    jsonw_key(j, "baselines");
    jsonw_object(j, JSONW_INLINE);
    baseline_json(j, "roofline", &g->roofline);
    baseline_json(j, "scalar", &g->scalar);
    jsonw_end(j);
}

static void summary_json(jsonw *j, const bench_summary *s)
{
    jsonw_key(j, "summary");
    jsonw_object(j, JSONW_LINES);
    jsonw_key(j, "count");
    jsonw_integer(j, (int64_t)s->all.ours.count);
    jsonw_key(j, "skipped");
    jsonw_integer(j, (int64_t)s->skipped);
    group_json(j, &s->all);
    for (size_t i = 0; i < BENCH_GROUPINGS; i++) {
        const bench_grouping *by = &s->groupings[i];
        jsonw_key(j, by->key);
        jsonw_object(j, JSONW_LINES);
        for (size_t k = 0; k < by->count; k++) {
            jsonw_key(j, by->groups[k].name);
            jsonw_object(j, JSONW_INLINE);
            jsonw_key(j, "count");
            jsonw_integer(j, (int64_t)by->groups[k].ours.count);
            group_json(j, &by->groups[k]);
            jsonw_end(j);
        }
        jsonw_end(j);
    }
    jsonw_end(j);
}

static void folds_json(jsonw *j, const render_validation *v)
{
    jsonw_key(j, "split");
    jsonw_text(j, v->split);
    jsonw_key(j, "folds");
    jsonw_array(j, JSONW_LINES);
    for (size_t i = 0; i < v->fold_count; i++) {
        const render_fold *f = &v->folds[i];
        jsonw_object(j, JSONW_INLINE);
        jsonw_key(j, "left_out");
        jsonw_text(j, f->name);
        jsonw_key(j, "count");
        jsonw_integer(j, (int64_t)f->points);
        jsonw_key(j, "fitted_on");
        jsonw_integer(j, (int64_t)f->rows);
        render_stats_json(j, &f->stats);
        jsonw_end(j);
    }
    jsonw_end(j);
}

static void validation_json(buffer *out, const render_validation *v)
{
    jsonw j;
    jsonw_init(&j, out);
    jsonw_object(&j, JSONW_LINES);
    jsonw_key(&j, "points");
    jsonw_array(&j, JSONW_LINES);
    for (size_t i = 0; i < v->point_count; i++) point_json(&j, &v->points[i]);
    jsonw_end(&j);
    summary_json(&j, v->summary);
    if (v->split) folds_json(&j, v);
    render_warnings_json(&j, v->warnings);
    jsonw_finish(&j);
}

/* ---- CSV ---- */

static void cell_number(buffer *out, double x, bool known)
{
    char text[40];
    buffer_char(out, ',');
    if (known && isfinite(x)) buffer_put(out, text, format_double(text, sizeof text, x));
}

static void row_csv(buffer *out, const bench_row *row)
{
    for (int k = 0; k < BENCH_KEYS; k++) {
        const bench_key *key = &bench_key_table[k];
        const void *at = (const char *)row + key->offset;
        if (k) buffer_char(out, ',');
        if (!(row->given >> k & 1)) continue;
        char text[40];
        switch (key->kind) {
        case BENCH_TEXT: csv_cell(out, str_c(*(const bench_text *)at)); break;
        case BENCH_COUNT: buffer_format(out, "%lld", (long long)*(const int64_t *)at); break;
        case BENCH_FLAG: buffer_text(out, *(const bool *)at ? "true" : "false"); break;
        case BENCH_REAL: buffer_put(out, text, format_double(text, sizeof text, *(const double *)at)); break;
        case BENCH_TASK: buffer_text(out, bench_task_name(row->task)); break;
        case BENCH_METRIC: buffer_text(out, bench_metric_name(row->metric)); break;
        case BENCH_LAYOUT: buffer_text(out, bench_layout_name(row->layout)); break;
        }
    }
}

static void validation_csv(buffer *out, const render_validation *v)
{
    for (int k = 0; k < BENCH_KEYS; k++) buffer_format(out, "%s%s", k ? "," : "", bench_key_table[k].name);
    buffer_text(out, ",predicted,low,high,error,basis,roofline,scalar,fold,skipped");
    csv_end(out);
    for (size_t i = 0; i < v->point_count; i++) {
        const bench_point *p = &v->points[i];
        bool known = !p->skipped;
        row_csv(out, p->row);
        cell_number(out, p->predicted, known);
        cell_number(out, p->low, known && p->low >= 0);
        cell_number(out, p->high, known && p->high >= 0);
        cell_number(out, p->error, known);
        buffer_char(out, ',');
        if (known) csv_cell(out, str_c(p->p.basis));
        cell_number(out, p->roofline, known && p->roofline >= 0);
        cell_number(out, p->scalar, known && p->scalar >= 0);
        buffer_char(out, ',');
        csv_cell(out, str_c(p->fold ? p->fold : ""));
        buffer_char(out, ',');
        csv_cell(out, str_c(p->skipped ? p->skipped : ""));
        csv_end(out);
    }
}

/* ---- tables ---- */

static void percent_cell(table *t, double share, bool known)
{
    if (known && isfinite(share)) table_cell(t, TONE_PLAIN, "%.1f", 100 * share);
    else table_cell(t, TONE_DIM, "-");
}

static void signed_cell(table *t, double share)
{
    if (isfinite(share)) table_cell(t, TONE_PLAIN, "%s%.1f", share > 0 ? "+" : "", 100 * share);
    else table_cell(t, TONE_DIM, "-");
}

static void stats_cells(table *t, const bench_stats *s)
{
    if (s->count) table_cell(t, TONE_BOLD, "%.1f", 100 * s->mape);
    else table_cell(t, TONE_DIM, "-");
    percent_cell(t, s->median, s->count);
    percent_cell(t, s->p90, s->count);
    signed_cell(t, s->bias);
    percent_cell(t, s->within_10, s->count);
    percent_cell(t, s->within_25, s->count);
}

static void group_cells(table *t, const bench_group *g, const char *name)
{
    table_cell(t, TONE_PLAIN, "%s", name);
    table_cell(t, TONE_PLAIN, "%zu", g->ours.count);
    stats_cells(t, &g->ours);
    percent_cell(t, g->coverage, g->coverage >= 0);
    percent_cell(t, g->roofline.mape, g->roofline.count);
    percent_cell(t, g->scalar.mape, g->scalar.count);
}

static const column group_columns[] = {
    {"", ALIGN_LEFT, 0, 12, false, false},
    {"Points", ALIGN_RIGHT, 0, 0, false, false},
    {"MAPE", ALIGN_RIGHT, 0, 0, false, false},
    {"Median", ALIGN_RIGHT, 5, 0, false, false},
    {"P90", ALIGN_RIGHT, 4, 0, false, false},
    {"Bias", ALIGN_RIGHT, 3, 0, false, false},
    {"In 10 %", ALIGN_RIGHT, 7, 0, false, false},
    {"In 25 %", ALIGN_RIGHT, 6, 0, false, false},
    {"In interval", ALIGN_RIGHT, 2, 0, false, false},
    {"Roofline", ALIGN_RIGHT, 1, 0, false, false},
    {"Scalar", ALIGN_RIGHT, 1, 0, false, false},
};

enum { GROUP_COLUMNS = sizeof group_columns / sizeof group_columns[0] };

static void grouping_table(report *r, const bench_grouping *by, bool all)
{
    column columns[GROUP_COLUMNS];
    table t;
    memcpy(columns, group_columns, sizeof columns);
    columns[0].title = by->title;
    size_t shown = all || by->count <= GROUPS_SHOWN + 1 ? by->count : GROUPS_SHOWN;
    report_gap(r);
    table_init(&t, r, columns, GROUP_COLUMNS);
    for (size_t i = 0; i < shown; i++) group_cells(&t, &by->groups[i], by->groups[i].name);
    table_print(&t, 0);
    if (shown < by->count) {
        if (r->markdown) report_gap(r);
        report_text(r, TONE_DIM, "and %zu more with fewer points; --verbose shows all", by->count - shown);
    }
}

static void all_table(report *r, const bench_summary *s)
{
    table t;
    if (!r->markdown) report_gap(r);
    table_init(&t, r, group_columns, GROUP_COLUMNS);
    group_cells(&t, &s->all, "all");
    table_print(&t, 0);
}

/* "12.3 ms" in the unit of the metric. */
static void value_text(char *out, size_t cap, const bench_row *row, double x, bool unicode)
{
    switch (row->metric) {
    case METRIC_LATENCY_MS:
    case METRIC_TTFT_MS:
    case METRIC_TPOT_MS: number_time(out, cap, x, unicode); break;
    case METRIC_MEMORY_BYTES: number_bytes(out, cap, x); break;
    case METRIC_POWER_W: number_watts(out, cap, x); break;
    default: {
        char number[NUMBER_SIZE];
        number_plain(number, sizeof number, x);
        format_text(out, cap, row->metric == METRIC_ENERGY_J ? "%s J" : "%s/s", number);
    }
    }
}

/* The last part of a path: long enough to know the model by. */
static const char *short_model(const char *model)
{
    const char *name = model;
    for (const char *p = model; *p; p++)
        if (*p == '/' && p[1]) name = p + 1;
    return name;
}

static void point_cells(table *t, const bench_point *p, bool unicode)
{
    const bench_row *row = p->row;
    char measured[NUMBER_SIZE], predicted[NUMBER_SIZE];
    value_text(measured, sizeof measured, row, row->value, unicode);
    value_text(predicted, sizeof predicted, row, p->predicted, unicode);
    table_cell(t, TONE_PLAIN, "%s", short_model(row->model));
    table_cell(t, TONE_PLAIN, "%s", p->gpu ? p->gpu->key : row->gpu);
    table_cell(t, TONE_PLAIN, "%lld", (long long)(row->batch ? row->batch : 1));
    table_cell(t, TONE_PLAIN, "%s", bench_precision(row));
    table_cell(t, TONE_PLAIN, "%s%s%s", bench_runtime(row), row->runtime_version ? " " : "",
               row->runtime_version ? row->runtime_version : "");
    table_cell(t, TONE_PLAIN, "%s", row->task == TASK_INFERENCE ? "" : bench_task_name(row->task));
    table_cell(t, TONE_PLAIN, "%s", measured);
    if (p->skipped) {
        table_cell(t, TONE_WARN, "skipped");
        table_cell(t, TONE_DIM, "-");
    } else {
        table_cell(t, TONE_PLAIN, "%s", predicted);
        table_cell(t, fabs(p->error) > 0.25 ? TONE_BAD : TONE_PLAIN, "%s%.1f", p->error > 0 ? "+" : "", 100 * p->error);
    }
    table_cell(t, TONE_PLAIN, "%s", p->fold ? p->fold : "");
    table_cell(t, TONE_DIM, "%s%s%s",
               p->skipped    ? p->skipped
               : row->source ? row->source
                             : "",
               !p->skipped && row->date ? ", " : "", !p->skipped && row->date ? row->date : "");
}

/* Below a heading; in Markdown it brings its own. */
static void gap_below(report *r)
{
    if (!r->markdown) report_gap(r);
}

static void points_table(report *r, const bench_point *const *points, size_t count)
{
    static const column columns[] = {
        {"Model", ALIGN_LEFT, 0, 20, false, false},    {"GPU", ALIGN_LEFT, 0, 8, false, false},
        {"Batch", ALIGN_RIGHT, 6, 0, false, false},    {"Precision", ALIGN_LEFT, 5, 0, false, false},
        {"Runtime", ALIGN_LEFT, 4, 8, false, false},   {"Task", ALIGN_LEFT, 3, 0, false, false},
        {"Measured", ALIGN_RIGHT, 0, 0, false, false}, {"Predicted", ALIGN_RIGHT, 0, 0, false, false},
        {"Error %", ALIGN_RIGHT, 0, 0, false, false},  {"Left out", ALIGN_LEFT, 7, 0, false, false},
        {"Source", ALIGN_LEFT, 1, 10, false, false},
    };
    table t;
    gap_below(r);
    table_init(&t, r, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < count; i++) point_cells(&t, points[i], r->style.unicode);
    table_print(&t, 0);
}

static int by_error(const void *x, const void *y)
{
    const bench_point *a = *(const bench_point *const *)x, *b = *(const bench_point *const *)y;
    if (!a->skipped != !b->skipped) return a->skipped ? 1 : -1;
    double d = fabs(a->error) - fabs(b->error);
    return d > 0 ? -1 : d < 0 ? 1 : a < b ? -1 : a > b;
}

/* The farthest off first, what was skipped last. */
static void points_report(report *r, const render_validation *v)
{
    const bench_point **order = ARENA_ARRAY(r->memory, const bench_point *, v->point_count + 1);
    size_t predicted = v->point_count - v->summary->skipped, shown = v->verbose ? v->point_count : predicted;
    if (!order) {
        r->out->failed = true;
        return;
    }
    for (size_t i = 0; i < v->point_count; i++) order[i] = &v->points[i];
    qsort(order, v->point_count, sizeof *order, by_error);
    if (!v->verbose && shown > WORST_SHOWN) shown = WORST_SHOWN;
    if (!shown) return;
    report_heading(r, 2, v->verbose ? "Points" : "Farthest off", NULL);
    points_table(r, order, shown);
}

static void folds_report(report *r, const render_validation *v)
{
    static const column columns[] = {
        {"Left out", ALIGN_LEFT, 0, 12, false, false},  {"Points", ALIGN_RIGHT, 0, 0, false, false},
        {"Fitted on", ALIGN_RIGHT, 1, 0, false, false}, {"MAPE", ALIGN_RIGHT, 0, 0, false, false},
        {"Median", ALIGN_RIGHT, 4, 0, false, false},    {"P90", ALIGN_RIGHT, 3, 0, false, false},
        {"Bias", ALIGN_RIGHT, 2, 0, false, false},      {"In 10 %", ALIGN_RIGHT, 6, 0, false, false},
        {"In 25 %", ALIGN_RIGHT, 5, 0, false, false},
    };
    table t;
    if (!v->fold_count) return;
    report_heading(r, 2, "Folds", NULL);
    gap_below(r);
    table_init(&t, r, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < v->fold_count && i < FOLDS_SHOWN; i++) {
        const render_fold *f = &v->folds[i];
        table_cell(&t, TONE_PLAIN, "%s", f->name);
        table_cell(&t, TONE_PLAIN, "%zu", f->points);
        table_cell(&t, TONE_PLAIN, "%zu", f->rows);
        stats_cells(&t, &f->stats);
    }
    table_print(&t, 0);
}

static void skipped_report(report *r, const render_validation *v)
{
    const bench_summary *s = v->summary;
    size_t shown = v->verbose || s->reason_count <= REASONS_SHOWN + 1 ? s->reason_count : REASONS_SHOWN, others = 0;
    if (!s->skipped) return;
    report_heading(r, 2, "Skipped", NULL);
    gap_below(r);
    for (size_t i = 0; i < shown; i++) {
        char count[24];
        format_text(count, sizeof count, "%zu", s->reasons[i].count);
        report_pair(r, count, TONE_PLAIN, "%s", s->reasons[i].text);
    }
    for (size_t i = shown; i < s->reason_count; i++) others += s->reasons[i].count;
    if (others) {
        char count[24];
        format_text(count, sizeof count, "%zu", others);
        report_pair(r, count, TONE_DIM, "for %zu other reasons; --verbose lists them", s->reason_count - shown);
    }
}

static const char *split_text(const char *split)
{
    if (!strcmp(split, "gpu")) return "constants fitted without the GPU whose points are predicted";
    if (!strcmp(split, "family")) return "constants fitted without the model families whose points are predicted";
    return "optimistic: constants fitted on other rows of the same models and GPUs";
}

static void heading(report *r, const render_validation *v)
{
    char text[512];
    size_t n = format_text(text, sizeof text, "%zu points", v->summary->all.ours.count);
    if (v->summary->skipped && n < sizeof text)
        n += format_text(text + n, sizeof text - n, ", %zu skipped", v->summary->skipped);
    if (v->split && n < sizeof text) n += format_text(text + n, sizeof text - n, "; %s", split_text(v->split));
    if (v->fast_mode && n < sizeof text) format_text(text + n, sizeof text - n, "; plain roofline");
    report_heading(r, 1,
                   v->file_count == 1 ? v->files[0]
                   : v->file_count    ? "Benchmark files"
                                      : "Built-in points",
                   text);
}

/* Groupings with one group say nothing that the first table doesn't. */
static bool worth_showing(const bench_grouping *by, bool verbose)
{
    if (!strcmp(by->key, "by_version")) return by->count > 1 && verbose;
    return by->count > 1 || (by->count && !strcmp(by->key, "by_gpu"));
}

void render_validation_report(report *r, const render_validation *v)
{
    const bench_summary *s = v->summary;
    if (r->format == RENDER_JSON) {
        validation_json(r->out, v);
        return;
    }
    if (r->format == RENDER_CSV) {
        validation_csv(r->out, v);
        return;
    }
    r->label_width = 5;
    heading(r, v);
    all_table(r, s);
    for (size_t i = 0; i < BENCH_GROUPINGS; i++)
        if (worth_showing(&s->groupings[i], v->verbose)) grouping_table(r, &s->groupings[i], v->verbose);
    if (v->split) folds_report(r, v);
    points_report(r, v);
    skipped_report(r, v);
    report_gap(r);
    report_text(
        r, TONE_DIM,
        "All in percent. MAPE is the mean of |predicted / measured - 1|, P90 its 90th percentile, bias the mean with its "
        "sign. In interval: measured within the 80 %% interval. Roofline: MAPE of the plain roofline. Scalar: MAPE of the "
        "same model's measurement on another GPU times one factor for the pair of GPUs.");
}
