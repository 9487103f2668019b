/* Laying a table out on a terminal. */
#include "render/report.h"

enum { GAP = 2, COLUMNS_MOST = 24 };

typedef struct layout {
    size_t width[COLUMNS_MOST]; /* 0: the column is left out */
    bool gone[COLUMNS_MOST];
    size_t count, last;
} layout;

static const cell *cell_at(const table *t, size_t row, size_t c)
{
    return &t->cells[row * t->column_count + c];
}

static size_t total(const layout *l)
{
    size_t sum = 0, shown = 0;
    for (size_t c = 0; c < l->count; c++) {
        if (l->gone[c]) continue;
        sum += l->width[c];
        shown++;
    }
    return sum + (shown ? (shown - 1) * GAP : 0);
}

static void measure(const table *t, layout *l)
{
    *l = (layout){.count = t->column_count < COLUMNS_MOST ? t->column_count : COLUMNS_MOST};
    for (size_t c = 0; c < l->count; c++) {
        l->gone[c] = t->columns[c].hidden;
        l->width[c] = text_width(str_c(t->columns[c].title));
        bool any = false;
        for (size_t r = 0; r < table_rows(t); r++) {
            size_t width = text_width(cell_at(t, r, c)->text);
            if (width > l->width[c]) l->width[c] = width;
            if (width) any = true;
        }
        if (!any && t->columns[c].drop) l->gone[c] = true;
    }
}

/* Drops the column that is worth least, down to `least`; false when there is none. */
static bool drop_one(const table *t, layout *l, unsigned least)
{
    size_t worst = l->count;
    for (size_t c = 0; c < l->count; c++) {
        unsigned drop = l->gone[c] ? 0 : t->columns[c].drop;
        if (drop >= least && drop && (worst == l->count || drop >= t->columns[worst].drop)) worst = c;
    }
    if (worst == l->count) return false;
    l->gone[worst] = true;
    return true;
}

/* How narrow column c may become. */
static size_t least_width(const table *t, const layout *l, size_t c)
{
    size_t min = t->columns[c].min;
    return min && min < l->width[c] ? min : l->width[c];
}

/* What could be gained by shortening every column that can be. */
static size_t slack(const table *t, const layout *l)
{
    size_t sum = 0;
    for (size_t c = 0; c < l->count; c++)
        if (!l->gone[c]) sum += l->width[c] - least_width(t, l, c);
    return sum;
}

static void fit(const table *t, layout *l, size_t width)
{
    while (total(l) > width && drop_one(t, l, DROP_FIRST)) {}
    while (total(l) > width + slack(t, l) && drop_one(t, l, 1)) {}
    while (total(l) > width) { /* the widest first, so that all stay readable */
        size_t widest = l->count;
        for (size_t c = 0; c < l->count; c++) {
            if (l->gone[c] || least_width(t, l, c) == l->width[c]) continue;
            if (widest == l->count || l->width[c] > l->width[widest]) widest = c;
        }
        if (widest == l->count) break;
        l->width[widest]--;
    }
    for (size_t c = 0; c < l->count; c++)
        if (!l->gone[c]) l->last = c;
}

static void put_cell(const table *t, const layout *l, size_t c, str text, tone tone_)
{
    report *r = t->report;
    size_t width = text_width(text), room = l->width[c];
    bool cut = width > room;
    if (cut) {
        text = text_cut(text, room > 1 ? room - 1 : room);
        width = text_width(text) + (room > 1);
    }
    size_t pad = width < room ? room - width : 0;
    if (t->columns[c].align == ALIGN_RIGHT) buffer_fill(r->out, ' ', pad);
    if (text.len) report_tone(r, tone_);
    buffer_put(r->out, text.ptr, text.len);
    if (cut && room > 1) buffer_text(r->out, r->style.unicode ? "\xe2\x80\xa6" : "~");
    if (text.len) report_plain(r, tone_);
    if (t->columns[c].align == ALIGN_LEFT && c != l->last) buffer_fill(r->out, ' ', pad);
    if (c != l->last) buffer_fill(r->out, ' ', GAP);
}

/* No space at the end of a line, whatever the last cells were. */
static void end_line(buffer *out)
{
    while (out->len && out->ptr[out->len - 1] == ' ') out->len--;
    buffer_char(out, '\n');
}

static void put_header(const table *t, const layout *l)
{
    report *r = t->report;
    for (size_t c = 0; c < l->count; c++)
        if (!l->gone[c]) put_cell(t, l, c, str_c(t->columns[c].title), TONE_BOLD);
    end_line(r->out);
    report_tone(r, TONE_DIM);
    for (size_t i = 0; i < total(l); i++) buffer_text(r->out, r->style.unicode ? "\xe2\x94\x80" : "-");
    report_plain(r, TONE_DIM);
    buffer_char(r->out, '\n');
}

void table_print(table *t, size_t merge)
{
    report *r = t->report;
    if (r->out->failed) return;
    if (r->markdown) {
        markdown_table(t);
        return;
    }
    layout l;
    measure(t, &l);
    fit(t, &l, r->style.width);
    put_header(t, &l);
    for (size_t row = 0; row < table_rows(t); row++) {
        bool same = row > 0;
        for (size_t c = 0; c < l.count; c++) {
            const cell *k = cell_at(t, row, c);
            same = same && c < merge && str_eq(k->text, cell_at(t, row - 1, c)->text);
            if (!l.gone[c]) put_cell(t, &l, c, same ? (str){"", 0} : k->text, k->tone);
        }
        end_line(r->out);
    }
}
