/* compare-models: a table for each model, then the best of each. */
#include "render/render.h"

enum { LISTED = 12 };

static void comparison_json(buffer *out, const render_comparison *c)
{
    jsonw j;
    jsonw_init(&j, out);
    jsonw_object(&j, JSONW_LINES);
    jsonw_key(&j, "predictions");
    jsonw_array(&j, JSONW_LINES);
    for (size_t g = 0; g < c->count; g++) {
        for (size_t i = 0; i < c->groups[g].row_count; i++) {
            jsonw_object(&j, JSONW_LINES);
            render_row_json(&j, &c->groups[g].rows[i]);
            jsonw_end(&j);
        }
    }
    jsonw_end(&j);
    jsonw_key(&j, "best");
    jsonw_array(&j, JSONW_LINES);
    for (size_t g = 0; g < c->count; g++) {
        for (size_t i = 0; i < c->groups[g].best_count; i++) {
            jsonw_object(&j, JSONW_LINES);
            jsonw_key(&j, "by");
            jsonw_text(&j, c->groups[g].best[i].by);
            render_row_json(&j, c->groups[g].best[i].row);
            jsonw_end(&j);
        }
    }
    jsonw_end(&j);
    render_warnings_json(&j, c->warnings);
    jsonw_finish(&j);
}

static void comparison_csv(buffer *out, const render_comparison *c)
{
    render_rows_csv_names(out);
    for (size_t g = 0; g < c->count; g++)
        for (size_t i = 0; i < c->groups[g].row_count; i++) render_row_csv(out, &c->groups[g].rows[i]);
}

/* "h100, batch 32" and what else tells the row from others. */
static void where_text(char *out, size_t cap, const render_comparison *c, const render_row *row)
{
    size_t n = format_text(out, cap, "%s, batch %lld", row->p.gpu, (long long)row->p.batch);
    if (c->many_precisions && n < cap) n += format_text(out + n, cap - n, ", %s", row->p.precision);
    if (c->many_runtimes && n < cap) format_text(out + n, cap - n, ", %s", row->p.runtime);
}

static void best_pair(report *r, const render_comparison *c, const render_best *best)
{
    const render_row *row = best->row;
    const char *unit = row->p.throughput_unit ? row->p.throughput_unit : "";
    char where[160], value[NUMBER_SIZE];
    where_text(where, sizeof where, c, row);
    if (strcmp(best->by, "throughput") == 0) {
        number_plain(value, sizeof value, row->p.throughput);
        report_pair(r, "Throughput", TONE_GOOD, "%s: %s %s", where, value, unit);
    } else if (strcmp(best->by, "latency") == 0) {
        number_time(value, sizeof value, row->p.latency_ms, r->style.unicode);
        report_pair(r, "Latency", TONE_GOOD, "%s: %s", where, value);
    } else if (strcmp(best->by, "throughput_per_watt") == 0) {
        number_plain(value, sizeof value, row->per_watt);
        report_pair(r, "Per watt", TONE_GOOD, "%s: %s %s per watt", where, value, unit);
    } else if (strcmp(best->by, "cost") == 0) {
        render_amount(value, sizeof value, &c->money, row->cost.usd_per_million);
        report_pair(r, "Cost", TONE_GOOD, "%s: %s %s a million", where, value, c->money.code);
    }
}

/* The batch with the highest throughput on each GPU on one line: "a100 32, v100 32 (by throughput)". */
static void batch_pair(report *r, const render_comparison *c, const render_group *g)
{
    char text[1024];
    size_t n = 0;
    for (size_t i = 0; i < g->best_count && n < sizeof text; i++) {
        const render_row *row = g->best[i].row;
        if (strcmp(g->best[i].by, "batch") != 0) continue;
        n += format_text(text + n, sizeof text - n, "%s%s %lld", n ? render_dot(r) : "", row->p.gpu,
                         (long long)row->p.batch);
        if (c->many_precisions && n < sizeof text) n += format_text(text + n, sizeof text - n, " %s", row->p.precision);
        if (c->many_runtimes && n < sizeof text) n += format_text(text + n, sizeof text - n, " %s", row->p.runtime);
    }
    if (n) report_pair(r, "Best batch", TONE_PLAIN, "%s (by throughput)", text);
}

static void too_big_pairs(report *r, const render_comparison *c, const render_group *g)
{
    size_t count = 0;
    for (size_t i = 0; i < g->row_count; i++) {
        const render_row *row = &g->rows[i];
        char where[160], memory[2 * NUMBER_SIZE + 8];
        if (row->p.fits) continue;
        if (count++ >= LISTED) continue;
        where_text(where, sizeof where, c, row);
        render_memory(memory, sizeof memory, row->p.memory.total, "of", row->p.memory_capacity);
        const char *advice = row->p.advice;
        report_pair(r, count == 1 ? "Too big" : "", TONE_BAD, "%s: needs %s%s%s", where, memory,
                    advice[0] ? "; would fit: " : "", advice);
    }
    if (count > LISTED) report_pair(r, "", TONE_BAD, "and %zu more", count - LISTED);
}

static void group_report(report *r, const render_comparison *c, const render_group *g)
{
    char line[400];
    const pg_prediction *first = g->row_count ? &g->rows[0].p : NULL;
    render_model_line(r, line, sizeof line, g->info);
    size_t n = strlen(line);
    if (first && first->input_len > 0 && !render_is_language(first))
        n += format_text(line + n, sizeof line - n, "%ssequences of %lld", render_dot(r), (long long)first->input_len);
    else if (first && first->quantization && !c->many_precisions) /* "fp16" below is that of activations */
        format_text(line + n, sizeof line - n, "%sas %s", render_dot(r), first->quantization);
    if (first && first->input_len > 0 && !render_is_language(first) && g->info->sequence != first->input_len &&
        n < sizeof line)
        format_text(line + n, sizeof line - n, " (MACs: of %lld)", (long long)g->info->sequence);
    report_heading(r, 1, g->info->name, line);
    if (!r->markdown) report_gap(r);
    render_rows(r, g->rows, g->row_count, c);
    render_notes(r, g->rows, g->row_count, c->warnings);
    report_heading(r, 2, "Best", NULL);
    for (size_t i = 0; i < g->best_count; i++) best_pair(r, c, &g->best[i]);
    batch_pair(r, c, g);
    too_big_pairs(r, c, g);
    render_price_lines(r, g->rows, g->row_count, &c->money);
}

/* What the rows of a kind of task share, by the first of them. */
static void caption(report *r, const render_comparison *c, const render_row *row)
{
    const pg_prediction *p = &row->p;
    char shared[160];
    format_text(shared, sizeof shared, "%s%s%s%s%s", p->task ? p->task : "inference", c->many_precisions ? "" : ", ",
                c->many_precisions ? ""
                : row->asked       ? row->asked
                                   : p->precision,
                c->many_runtimes ? "" : ", ", c->many_runtimes ? "" : p->runtime);
    if (!render_is_language(p)) {
        report_text(r, TONE_DIM, "Predicted for %s. Latency is that of one step with the whole batch. %s", shared,
                    render_interval_text());
        return;
    }
    const char *what =
        strcmp(p->task, "serving") == 0
            ? "Batch: requests at a time; TTFT, TPOT: a request's mean time to its first token and for each after it; latency: to its last"
            : "TTFT: until the whole batch has its first token; TPOT: for each one after it";
    report_text(
        r, TONE_DIM,
        "Predicted for %s: prompts of %lld tokens, %lld tokens after each. %s; tokens/s: of all together. Roof: share "
        "of the limit that binds, memory bandwidth or arithmetic. %s",
        shared, (long long)p->input_len, (long long)p->output_len, what, render_interval_text());
}

void render_comparison_report(report *r, const render_comparison *c)
{
    const render_row *first[2] = {NULL, NULL}; /* of language models, of others */
    if (r->format == RENDER_JSON) {
        comparison_json(r->out, c);
        return;
    }
    if (r->format == RENDER_CSV) {
        comparison_csv(r->out, c);
        return;
    }
    for (size_t i = 0; i < c->count; i++) {
        const render_row *row = c->groups[i].row_count ? &c->groups[i].rows[0] : NULL;
        group_report(r, c, &c->groups[i]);
        if (row && !first[!render_is_language(&row->p)]) first[!render_is_language(&row->p)] = row;
    }
    for (int i = 0; i < 2; i++) {
        if (!first[i]) continue;
        report_gap(r);
        caption(r, c, first[i]);
    }
}
