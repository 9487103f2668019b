#include "render/calibration.h"

#include "render/fields.h"

enum { GROUPS_SHOWN = 20, ROWS_SHOWN = 12 };

/* ---- JSON ---- */

static void stats_json(json *j, const char *name, const bench_stats *s)
{
    json_key(j, name);
    json_open_object(j, JSON_INLINE);
    json_key(j, "mape");
    json_known(j, s->mape);
    json_key(j, "median");
    json_known(j, s->median);
    json_key(j, "p90");
    json_known(j, s->p90);
    json_key(j, "bias");
    json_number(j, s->bias);
    json_key(j, "within_10");
    json_known(j, s->within_10);
    json_key(j, "within_25");
    json_known(j, s->within_25);
    json_end(j);
}

static void rows_json(json *j, const calibration *c)
{
    json_key(j, "rows");
    json_open_object(j, JSON_INLINE);
    json_key(j, "used");
    json_put_integer(j, (int64_t)c->used);
    json_key(j, "left_out");
    json_put_integer(j, (int64_t)(c->count - c->used));
    json_key(j, "other_gpus");
    json_put_integer(j, (int64_t)c->other_gpus);
    json_key(j, "other_metrics");
    json_put_integer(j, (int64_t)c->other_metrics);
    json_key(j, "not_predicted");
    json_put_integer(j, (int64_t)c->skipped);
    json_end(j);
    json_key(j, "left_out");
    json_open_array(j, JSON_LINES);
    for (size_t i = 0; i < c->count; i++) {
        const calibration_row *r = &c->rows[i];
        if (!r->left_out) continue;
        json_open_object(j, JSON_INLINE);
        json_key(j, "file");
        json_text(j, r->point->row->file);
        json_key(j, "row");
        json_put_integer(j, r->point->row->number);
        json_key(j, "model");
        json_text(j, r->point->row->model);
        json_key(j, "why");
        json_text(j, r->left_out);
        json_end(j);
    }
    json_end(j);
}

static void groups_json(json *j, const calibration *c)
{
    json_key(j, "held_out");
    json_text(j, c->split);
    stats_json(j, "before", &c->before);
    stats_json(j, "after", &c->after);
    json_key(j, "interval_coverage");
    json_known(j, c->coverage);
    json_key(j, "groups");
    json_open_array(j, JSON_LINES);
    for (size_t g = 0; g < c->group_count; g++) {
        json_open_object(j, JSON_INLINE);
        json_key(j, "name");
        json_text(j, c->groups[g].name);
        json_key(j, "rows");
        json_put_integer(j, (int64_t)c->groups[g].rows);
        json_key(j, "before");
        json_known(j, c->groups[g].before);
        json_key(j, "after");
        json_known(j, c->groups[g].after);
        json_end(j);
    }
    json_end(j);
}

static void positive_json(json *j, const char *name, double x)
{
    json_key(j, name);
    if (x > 0) json_number(j, x);
    else json_put_null(j);
}

static void profile_json(json *j, const calibration *c)
{
    json_key(j, "profile");
    json_open_object(j, JSON_LINES);
    json_key(j, "runtimes");
    json_text(j, c->runtimes);
    positive_json(j, "host_factor", c->host_factor);
    for (size_t f = 0; f < CALIBRATE_FAMILIES; f++) {
        const calibration_fields *x = &c->families[f];
        if (!x->rows) continue;
        json_key(j, calibrate_families[f]);
        json_open_object(j, JSON_INLINE);
        json_key(j, "rows");
        json_put_integer(j, (int64_t)x->rows);
        positive_json(j, "memory_efficiency", x->memory_efficiency);
        positive_json(j, "tensor_core_utilization", x->tensor_core_utilization);
        positive_json(j, "architecture_multiplier", x->architecture_multiplier);
        positive_json(j, "interval", x->interval);
        json_end(j);
    }
    json_end(j);
}

static void calibration_json(buffer *out, const render_calibration *v)
{
    const calibration *c = v->c;
    json j;
    json_init(&j, out);
    json_open_object(&j, JSON_LINES);
    json_key(&j, "gpu");
    json_text(&j, c->gpu->key);
    rows_json(&j, c);
    groups_json(&j, c);
    json_key(&j, "better");
    json_bool(&j, c->better);
    profile_json(&j, c);
    json_key(&j, "written");
    json_text(&j, v->written);
    render_warnings_json(&j, v->warnings);
    json_finish(&j);
}

/* ---- CSV ---- */

static void calibration_csv(buffer *out, const calibration *c)
{
    char text[40];
    buffer_text(out, "held_out,rows,before,after");
    csv_end(out);
    for (size_t g = 0; g < c->group_count; g++) {
        csv_cell(out, str_c(c->groups[g].name));
        buffer_format(out, ",%zu,", c->groups[g].rows);
        buffer_put(out, text, format_double(text, sizeof text, c->groups[g].before));
        buffer_char(out, ',');
        buffer_put(out, text, format_double(text, sizeof text, c->groups[g].after));
        csv_end(out);
    }
}

/* ---- tables ---- */

static void show_left_out(report *r, const calibration *c, bool all)
{
    size_t shown = 0, left = c->count - c->used;
    if (!left) return;
    report_heading(r, 2, "Left out", NULL);
    for (size_t i = 0; i < c->count && (all || shown < ROWS_SHOWN); i++) {
        const calibration_row *x = &c->rows[i];
        if (!x->left_out) continue;
        report_text(r, TONE_WARN, "%srow %u (%s, batch %lld): %s", r->markdown && shown ? "\n" : "",
                    x->point->row->number, x->point->row->model,
                    (long long)(x->point->row->batch > 0 ? x->point->row->batch : 1), x->left_out);
        shown++;
    }
    if (shown < left) report_text(r, TONE_DIM, "and %zu more; --verbose shows all", left - shown);
}

static void stats_cells(table *t, const char *name, size_t rows, const bench_stats *s)
{
    table_cell(t, TONE_PLAIN, "%s", name);
    table_cell(t, TONE_PLAIN, "%zu", rows);
    table_cell(t, TONE_BOLD, "%.1f", 100 * s->mape);
    table_cell(t, TONE_PLAIN, "%.1f", 100 * s->median);
    table_cell(t, TONE_PLAIN, "%.1f", 100 * s->p90);
    table_cell(t, TONE_PLAIN, "%s%.1f", s->bias > 0 ? "+" : "", 100 * s->bias);
    table_cell(t, TONE_PLAIN, "%.0f", 100 * s->within_10);
    table_cell(t, TONE_PLAIN, "%.0f", 100 * s->within_25);
}

static void show_errors(report *r, const calibration *c)
{
    static const column columns[] = {
        {"Held out", ALIGN_LEFT, 0, 0, false, false}, {"Rows", ALIGN_RIGHT, 0, 0, false, false},
        {"MAPE", ALIGN_RIGHT, 0, 0, false, false},    {"Median", ALIGN_RIGHT, 0, 0, false, false},
        {"P90", ALIGN_RIGHT, 0, 0, false, false},     {"Bias", ALIGN_RIGHT, 0, 0, false, false},
        {"In 10 %", ALIGN_RIGHT, 0, 0, false, false}, {"In 25 %", ALIGN_RIGHT, 0, 0, false, false},
    };
    table t;
    report_gap(r);
    table_init(&t, r, columns, sizeof columns / sizeof columns[0]);
    stats_cells(&t, "before", c->used, &c->before);
    stats_cells(&t, "after", c->used, &c->after);
    table_print(&t, 0);
}

static void show_groups(report *r, const calibration *c, bool all)
{
    static const column columns[] = {
        {"", ALIGN_LEFT, 0, 12, false, false},
        {"Rows", ALIGN_RIGHT, 0, 0, false, false},
        {"Before", ALIGN_RIGHT, 0, 0, false, false},
        {"After", ALIGN_RIGHT, 0, 0, false, false},
    };
    column mine[4];
    table t;
    memcpy(mine, columns, sizeof columns);
    mine[0].title = c->split;
    if (c->group_count < 2) return;
    report_gap(r);
    table_init(&t, r, mine, 4);
    for (size_t g = 0; g < c->group_count && (all || g < GROUPS_SHOWN); g++) {
        const calibration_group *x = &c->groups[g];
        table_cell(&t, TONE_PLAIN, "%s", x->name);
        table_cell(&t, TONE_PLAIN, "%zu", x->rows);
        table_cell(&t, TONE_PLAIN, "%.1f", 100 * x->before);
        table_cell(&t, x->after < x->before ? TONE_GOOD : TONE_PLAIN, "%.1f", 100 * x->after);
    }
    table_print(&t, 0);
    if (!all && c->group_count > GROUPS_SHOWN)
        report_text(r, TONE_DIM, "and %zu more; --verbose shows all", c->group_count - GROUPS_SHOWN);
}

static void show_rows(report *r, const calibration *c)
{
    size_t other = c->other_gpus + c->other_metrics + c->skipped;
    report_pair(r, "Rows used", TONE_PLAIN, "%zu of %zu", c->used, c->count + other);
    if (c->other_gpus) report_pair(r, "Other GPUs", TONE_PLAIN, "%zu rows, passed over", c->other_gpus);
    if (c->other_metrics) report_pair(r, "Not times", TONE_PLAIN, "%zu rows, passed over", c->other_metrics);
    if (c->skipped) report_pair(r, "Not predicted", TONE_PLAIN, "%zu rows; 'validate' says why", c->skipped);
    report_pair(r, "Held out by", TONE_PLAIN, "%s: each was predicted without it", c->split);
    report_pair(r, "In interval", TONE_PLAIN, "%.0f %% of what was held out is within the interval that is written",
                100 * c->coverage);
}

static void show_profile(report *r, const render_calibration *v)
{
    report_heading(r, 2, "Profile", NULL);
    if (r->markdown) buffer_text(r->out, "```toml\n");
    for (const char *line = v->profile; *line;) {
        size_t n = strcspn(line, "\n");
        if (line[0] != '#' && n) buffer_format(r->out, "%s%.*s\n", r->markdown ? "" : "  ", (int)n, line);
        line += n + (line[n] == '\n');
    }
    if (r->markdown) buffer_text(r->out, "```\n");
    report_gap(r);
    if (v->written) report_text(r, TONE_GOOD, "Written to %s; use it with --hardware-profiles.", v->written);
    else if (!v->refused) report_text(r, TONE_DIM, "--write FILE keeps it.");
}

void render_calibration_report(report *r, const render_calibration *v)
{
    if (r->format == RENDER_JSON) {
        calibration_json(r->out, v);
        return;
    }
    if (r->format == RENDER_CSV) {
        calibration_csv(r->out, v->c);
        return;
    }
    report_heading(r, 1, v->c->gpu->name, v->c->gpu->key);
    show_rows(r, v->c);
    show_left_out(r, v->c, v->verbose);
    show_errors(r, v->c);
    show_groups(r, v->c, v->verbose);
    show_profile(r, v);
}
