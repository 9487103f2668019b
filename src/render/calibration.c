#include "render/calibration.h"

#include "render/fields.h"
#include "render/validation.h"

enum { GROUPS_SHOWN = 20, ROWS_SHOWN = 12 };

/* ---- JSON ---- */

static void stats_json(jsonw *j, const char *name, const bench_stats *s)
{
    jsonw_key(j, name);
    jsonw_object(j, JSONW_INLINE);
    render_stats_json(j, s);
    jsonw_end(j);
}

static void rows_json(jsonw *j, const calibration *c)
{
    jsonw_key(j, "rows");
    jsonw_object(j, JSONW_INLINE);
    jsonw_key(j, "used");
    jsonw_integer(j, (int64_t)c->used);
    jsonw_key(j, "left_out");
    jsonw_integer(j, (int64_t)(c->count - c->used));
    jsonw_key(j, "other_gpus");
    jsonw_integer(j, (int64_t)c->other_gpus);
    jsonw_key(j, "other_metrics");
    jsonw_integer(j, (int64_t)c->other_metrics);
    jsonw_key(j, "not_predicted");
    jsonw_integer(j, (int64_t)c->skipped);
    jsonw_end(j);
    jsonw_key(j, "left_out");
    jsonw_array(j, JSONW_LINES);
    for (size_t i = 0; i < c->count; i++) {
        const calibration_row *r = &c->rows[i];
        if (!r->left_out) continue;
        jsonw_object(j, JSONW_INLINE);
        jsonw_key(j, "file");
        jsonw_text(j, r->point->row->file);
        jsonw_key(j, "row");
        jsonw_integer(j, r->point->row->number);
        jsonw_key(j, "model");
        jsonw_text(j, r->point->row->model);
        jsonw_key(j, "why");
        jsonw_text(j, r->left_out);
        jsonw_end(j);
    }
    jsonw_end(j);
}

static void groups_json(jsonw *j, const calibration *c)
{
    jsonw_key(j, "held_out");
    jsonw_text(j, c->split);
    stats_json(j, "before", &c->before);
    stats_json(j, "after", &c->after);
    jsonw_key(j, "interval_coverage");
    jsonw_known(j, c->coverage);
    jsonw_key(j, "groups");
    jsonw_array(j, JSONW_LINES);
    for (size_t g = 0; g < c->group_count; g++) {
        jsonw_object(j, JSONW_INLINE);
        jsonw_key(j, "name");
        jsonw_text(j, c->groups[g].name);
        jsonw_key(j, "rows");
        jsonw_integer(j, (int64_t)c->groups[g].rows);
        jsonw_key(j, "before");
        jsonw_known(j, c->groups[g].before);
        jsonw_key(j, "after");
        jsonw_known(j, c->groups[g].after);
        jsonw_end(j);
    }
    jsonw_end(j);
}

static void positive_json(jsonw *j, const char *name, double x)
{
    jsonw_key(j, name);
    if (x > 0) jsonw_number(j, x);
    else jsonw_null(j);
}

static void profile_json(jsonw *j, const calibration *c)
{
    jsonw_key(j, "profile");
    jsonw_object(j, JSONW_LINES);
    jsonw_key(j, "runtimes");
    jsonw_text(j, c->runtimes);
    positive_json(j, "host_factor", c->host_factor);
    for (size_t f = 0; f < CALIBRATE_FAMILIES; f++) {
        const calibration_fields *x = &c->families[f];
        if (!x->rows) continue;
        jsonw_key(j, calibrate_families[f]);
        jsonw_object(j, JSONW_INLINE);
        jsonw_key(j, "rows");
        jsonw_integer(j, (int64_t)x->rows);
        positive_json(j, "memory_efficiency", x->memory_efficiency);
        positive_json(j, "architecture_multiplier", x->architecture_multiplier);
        positive_json(j, "interval", x->interval);
        jsonw_end(j);
    }
    jsonw_end(j);
}

static void calibration_json(buffer *out, const render_calibration *v)
{
    const calibration *c = v->c;
    jsonw j;
    jsonw_init(&j, out);
    jsonw_object(&j, JSONW_LINES);
    jsonw_key(&j, "gpu");
    jsonw_text(&j, c->gpu->key);
    rows_json(&j, c);
    groups_json(&j, c);
    jsonw_key(&j, "better");
    jsonw_bool(&j, c->better);
    profile_json(&j, c);
    jsonw_key(&j, "written");
    jsonw_text(&j, v->written);
    render_warnings_json(&j, v->warnings);
    jsonw_finish(&j);
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
