#include "render/report.h"

enum { LABEL_WIDTH = 14, INDENT = 2 };

static const char *const tones[TONE_COUNT] = {
    [TONE_BOLD] = "1",   [TONE_DIM] = "2",   [TONE_GOOD] = "1;32",
    [TONE_BAD] = "1;31", [TONE_WARN] = "33", [TONE_BAR] = "36",
};

void report_tone(report *r, tone t)
{
    if (r->style.color && !r->markdown && tones[t]) buffer_format(r->out, "\033[%sm", tones[t]);
}

void report_plain(report *r, tone t)
{
    if (r->style.color && !r->markdown && tones[t]) buffer_text(r->out, "\033[0m");
}

void report_gap(report *r)
{
    if (r->out->len) buffer_char(r->out, '\n');
}

/* Formats into the arena, cleaned; the tail of the output serves as scratch space. */
static str clean_format(report *r, const char *fmt, va_list args)
{
    buffer *out = r->out;
    char small[512];
    va_list again;
    va_copy(again, args);
    size_t len = format_textv(small, sizeof small, fmt, args);
    str raw = {small, len};
    if (len >= sizeof small) {
        char *large = arena_alloc(r->memory, len + 1);
        if (large) format_textv(large, len + 1, fmt, again);
        raw = (str){large, large ? len : 0};
    }
    va_end(again);
    size_t start = out->len;
    text_clean(out, raw, r->style.ascii_names);
    str copy = out->ptr ? str_copy(r->memory, (str){out->ptr + start, out->len - start}) : (str){NULL, 0};
    if (!copy.ptr) out->failed = true;
    if (!out->failed) out->len = start;
    return copy.ptr ? copy : (str){"", 0};
}

static str clean(report *r, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    str text = clean_format(r, fmt, args);
    va_end(args);
    return text;
}

void report_heading(report *r, int level, const char *title, const char *detail)
{
    str head = clean(r, "%s", title), more = clean(r, "%s", detail ? detail : "");
    report_gap(r);
    if (r->markdown) {
        buffer_fill(r->out, '#', (size_t)level + 1);
        buffer_char(r->out, ' ');
        markdown_text(r->out, head);
        buffer_text(r->out, more.len ? "\n\n" : "");
        markdown_text(r->out, more);
        buffer_text(r->out, "\n\n");
        return;
    }
    report_tone(r, TONE_BOLD);
    buffer_put(r->out, head.ptr, head.len);
    report_plain(r, TONE_BOLD);
    if (more.len) {
        buffer_text(r->out, "  ");
        report_tone(r, TONE_DIM);
        text_wrap(r->out, more, text_width(head) + 2, INDENT, r->style.width);
        report_plain(r, TONE_DIM);
    }
    buffer_char(r->out, '\n');
}

void report_pair(report *r, const char *label, tone t, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    str value = clean_format(r, fmt, args);
    va_end(args);
    size_t label_width = r->label_width ? r->label_width : LABEL_WIDTH, used = INDENT + label_width;
    if (r->markdown) {
        buffer_text(r->out, label[0] ? "- **" : "  - ");
        buffer_text(r->out, label);
        if (label[0]) buffer_text(r->out, ":** ");
        markdown_text(r->out, value);
        buffer_char(r->out, '\n');
        return;
    }
    buffer_fill(r->out, ' ', INDENT);
    buffer_text(r->out, label);
    size_t width = text_width(str_c(label));
    buffer_fill(r->out, ' ', width < label_width ? label_width - width : 1);
    report_tone(r, t);
    text_wrap(r->out, value, used, used, r->style.width);
    report_plain(r, t);
    buffer_char(r->out, '\n');
}

void report_text(report *r, tone t, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    str text = clean_format(r, fmt, args);
    va_end(args);
    if (r->markdown) {
        markdown_text(r->out, text);
        buffer_char(r->out, '\n');
        return;
    }
    report_tone(r, t);
    text_wrap(r->out, text, 0, 0, r->style.width);
    report_plain(r, t);
    buffer_char(r->out, '\n');
}

void table_init(table *t, report *r, const column *columns, size_t column_count)
{
    *t = (table){.report = r, .columns = columns, .column_count = column_count};
}

static void add_cell(table *t, cell c)
{
    if (t->cell_count == t->cell_cap) {
        size_t cap = t->cell_cap ? t->cell_cap * 2 : t->column_count * 16;
        cell *cells = arena_grow(t->report->memory, t->cells, t->cell_count, cap, sizeof *cells);
        if (!cells) {
            t->report->out->failed = true;
            return;
        }
        t->cells = cells;
        t->cell_cap = cap;
    }
    t->cells[t->cell_count++] = c;
}

void table_cell(table *t, tone tone_, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    str text = clean_format(t->report, fmt, args);
    va_end(args);
    add_cell(t, (cell){text, tone_});
}

void table_bar(table *t, double share, size_t width)
{
    static const char *const eighths[] = {"",
                                          "\xe2\x96\x8f",
                                          "\xe2\x96\x8e",
                                          "\xe2\x96\x8d",
                                          "\xe2\x96\x8c",
                                          "\xe2\x96\x8b",
                                          "\xe2\x96\x8a",
                                          "\xe2\x96\x89"};
    report *r = t->report;
    char text[256];
    size_t n = 0;
    if (width > 64) width = 64;
    if (share > 1) share = 1;
    if (share > 0 && r->style.unicode) {
        size_t parts = (size_t)(share * (double)width * 8 + 0.5);
        if (!parts) parts = 1;
        for (size_t i = 0; i < parts / 8; i++) n += format_text(text + n, sizeof text - n, "\xe2\x96\x88");
        n += format_text(text + n, sizeof text - n, "%s", eighths[parts % 8]);
    } else if (share > 0) {
        size_t parts = (size_t)(share * (double)width + 0.5);
        if (!parts) parts = 1;
        memset(text, '#', parts);
        n = parts;
    }
    str copy = str_copy(r->memory, (str){text, n});
    if (!copy.ptr) r->out->failed = true;
    add_cell(t, (cell){copy.ptr ? copy : (str){"", 0}, TONE_BAR});
}

size_t table_rows(const table *t)
{
    return t->column_count ? t->cell_count / t->column_count : 0;
}
