/* --explain: where the time of a step goes. */
#include "render/fields.h"
#include "render/render.h"

enum { BAR_WIDTH = 16 };

/* How far the roof that bounds the kernel was reached; where none does (a launch), the higher of the two. */
static double reached(const pg_kernel_row *k)
{
    if (k->bound && strcmp(k->bound, "compute") == 0) return k->flops_share;
    if (k->bound && strcmp(k->bound, "memory") == 0) return k->bandwidth_share;
    return k->flops_share > k->bandwidth_share ? k->flops_share : k->bandwidth_share;
}

static void time_cells(table *t, tone tone_, double time, double share, double longest)
{
    char text[NUMBER_SIZE];
    table_cell(t, tone_, "%s", number_time(text, sizeof text, time, t->report->style.unicode));
    table_cell(t, tone_, "%s", number_percent(text, sizeof text, share));
    table_bar(t, longest > 0 ? time / longest : -1, BAR_WIDTH);
}

static void kernel_row(table *t, const pg_kernel_row *k, double longest)
{
    char text[NUMBER_SIZE];
    table_cell(t, TONE_BOLD, "%s", k->name && k->name[0] ? k->name : "-");
    table_cell(t, TONE_PLAIN, "%s", k->op ? k->op : "-");
    table_cell(t, TONE_DIM, "%s", k->shape ? k->shape : "");
    if (k->count > 1) table_cell(t, TONE_PLAIN, "%llu", (unsigned long long)k->count);
    else table_cell(t, TONE_PLAIN, "%s", "");
    time_cells(t, TONE_PLAIN, k->time_ms, k->share, longest);
    table_cell(t, TONE_PLAIN, "%s", k->bound ? k->bound : "-");
    table_cell(t, TONE_PLAIN, "%s", number_percent(text, sizeof text, reached(k)));
    table_cell(t, TONE_DIM, "%s", number_time(text, sizeof text, k->ideal_ms, t->report->style.unicode));
}

static void sum_row(table *t, tone tone_, const char *name, double time, double ideal, double share)
{
    char text[NUMBER_SIZE];
    table_cell(t, tone_, "%s", name);
    for (int i = 0; i < 3; i++) table_cell(t, tone_, "%s", "");
    time_cells(t, tone_, time, share, -1);
    table_cell(t, tone_, "%s", "");
    table_cell(t, tone_, "%s", "");
    table_cell(t, TONE_DIM, "%s", number_time(text, sizeof text, ideal, t->report->style.unicode));
}

static void kernels(report *r, const render_explanation *e)
{
    static const column columns[] = {
        {"Operator", ALIGN_LEFT, 0, 14, false, false}, {"Kernel", ALIGN_LEFT, 5, 8, false, false},
        {"Shape", ALIGN_LEFT, 7, 22, false, false},    {"Runs", ALIGN_RIGHT, 3, 0, false, false},
        {"Time", ALIGN_RIGHT, 0, 0, false, false},     {"Share", ALIGN_RIGHT, 0, 0, false, false},
        {"", ALIGN_LEFT, 6, 0, true, false},           {"Bound by", ALIGN_LEFT, 1, 0, false, false},
        {"Reached", ALIGN_RIGHT, 2, 0, false, false},  {"Roofline", ALIGN_RIGHT, 4, 0, false, false},
    };
    char title[64];
    double longest = 0;
    table t;
    table_init(&t, r, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < e->count; i++)
        if (e->rows[i]->time_ms > longest) longest = e->rows[i]->time_ms;
    for (size_t i = 0; i < e->count; i++) kernel_row(&t, e->rows[i], longest);
    if (e->other_count) {
        format_text(title, sizeof title, "%llu others", (unsigned long long)e->other_count);
        sum_row(&t, TONE_DIM, title, e->other_ms, e->other_ideal_ms, e->other_share);
    }
    format_text(title, sizeof title, "all %llu", (unsigned long long)e->total_count);
    sum_row(&t, TONE_BOLD, title, e->total_ms, e->total_ideal_ms, e->total_count ? 1 : -1);
    report_heading(r, 1, "Kernels", e->in_order ? "in the order in which they run" : "the longest first");
    if (!r->markdown) report_gap(r);
    table_print(&t, 0);
    report_gap(r);
    report_text(
        r, TONE_DIM,
        "Reached is the share of the limit that bounds the kernel. Roofline is that of DRAM: flops at the dense "
        "peak or bytes at DRAM bandwidth, whichever takes longer; what stays in L2 can be faster.");
}

static void kinds(report *r, const render_explanation *e)
{
    static const column columns[] = {
        {"Kind", ALIGN_LEFT, 0, 0, false, false},  {"Kernels", ALIGN_RIGHT, 0, 0, false, false},
        {"Time", ALIGN_RIGHT, 0, 0, false, false}, {"Share", ALIGN_RIGHT, 0, 0, false, false},
        {"", ALIGN_LEFT, 101, 0, true, false},     {"Roofline", ALIGN_RIGHT, 1, 0, false, false},
    };
    char text[NUMBER_SIZE];
    table t;
    table_init(&t, r, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < e->kind_count; i++) {
        const render_kind *k = &e->kinds[i];
        table_cell(&t, TONE_BOLD, "%s", k->name);
        table_cell(&t, TONE_PLAIN, "%s", number_whole(text, sizeof text, (double)k->kernels));
        time_cells(&t, TONE_PLAIN, k->time_ms, k->share, e->kinds[0].time_ms);
        table_cell(&t, TONE_DIM, "%s", number_time(text, sizeof text, k->ideal_ms, r->style.unicode));
    }
    report_heading(r, 1, "Time by kind of kernel", NULL);
    if (!r->markdown) report_gap(r);
    table_print(&t, 0);
}

void render_explanation_report(report *r, const render_explanation *e)
{
    kinds(r, e);
    kernels(r, e);
}

#define KERNEL(name, kind, member)                         \
    {                                                      \
        name, kind, offsetof(pg_kernel_row, member), false \
    }

static const field kernel_fields[] = {
    KERNEL("name", FIELD_TEXT, name),
    KERNEL("op", FIELD_TEXT, op),
    KERNEL("kernel", FIELD_TEXT, kernel),
    KERNEL("shape", FIELD_TEXT, shape),
    KERNEL("count", FIELD_UINT64, count),
    KERNEL("start_ms", FIELD_NUMBER, start_ms),
    KERNEL("time_ms", FIELD_NUMBER, time_ms),
    KERNEL("ideal_ms", FIELD_NUMBER, ideal_ms),
    KERNEL("share", FIELD_NUMBER, share),
    KERNEL("flops", FIELD_BYTES, flops),
    KERNEL("bytes", FIELD_BYTES, bytes),
    KERNEL("flops_share", FIELD_NUMBER, flops_share),
    KERNEL("bandwidth_share", FIELD_NUMBER, bandwidth_share),
    KERNEL("bound", FIELD_TEXT, bound),
};

enum { KERNEL_FIELDS = sizeof kernel_fields / sizeof kernel_fields[0] };

void render_explanation_json(jsonw *j, const render_explanation *e)
{
    static const char *const members[] = {"kernels", "other_kernels", "kernel_kinds"};
    for (size_t i = 0; !e && i < sizeof members / sizeof members[0]; i++) {
        jsonw_key(j, members[i]);
        jsonw_null(j);
    }
    if (!e) return;
    jsonw_key(j, "kernels");
    jsonw_array(j, JSONW_LINES);
    for (size_t i = 0; i < e->count; i++) {
        jsonw_object(j, JSONW_INLINE);
        fields_json(j, kernel_fields, KERNEL_FIELDS, e->rows[i], false);
        jsonw_end(j);
    }
    jsonw_end(j);
    jsonw_key(j, "other_kernels");
    jsonw_object(j, JSONW_INLINE);
    jsonw_key(j, "count");
    render_whole_json(j, (double)e->other_count);
    jsonw_key(j, "time_ms");
    jsonw_known(j, e->other_ms);
    jsonw_key(j, "ideal_ms");
    jsonw_known(j, e->other_ideal_ms);
    jsonw_key(j, "share");
    jsonw_known(j, e->other_share);
    jsonw_end(j);
    jsonw_key(j, "kernel_kinds");
    jsonw_array(j, JSONW_LINES);
    for (size_t i = 0; i < e->kind_count; i++) {
        const render_kind *k = &e->kinds[i];
        jsonw_object(j, JSONW_INLINE);
        jsonw_key(j, "kernel");
        jsonw_text(j, k->name);
        jsonw_key(j, "count");
        render_whole_json(j, (double)k->kernels);
        jsonw_key(j, "time_ms");
        jsonw_known(j, k->time_ms);
        jsonw_key(j, "ideal_ms");
        jsonw_known(j, k->ideal_ms);
        jsonw_key(j, "share");
        jsonw_known(j, k->share);
        jsonw_end(j);
    }
    jsonw_end(j);
}

void render_explanation_csv(buffer *out, const render_explanation *e)
{
    fields_csv_names(out, "", kernel_fields, KERNEL_FIELDS, true);
    csv_end(out);
    for (size_t i = 0; e && i < e->count; i++) {
        fields_csv(out, kernel_fields, KERNEL_FIELDS, e->rows[i], false, true);
        csv_end(out);
    }
}
