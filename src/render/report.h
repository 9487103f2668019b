/* A report is what a person reads: headings, pairs of a label and a value, tables, notes; for a terminal (or a file
 * as plain as one) or in Markdown. Values are cleaned here, so callers may pass names as they stand in files. */
#ifndef RENDER_REPORT_H
#define RENDER_REPORT_H

#include "base/number.h"
#include "render/text.h"

typedef enum render_format { RENDER_TABLE, RENDER_JSON, RENDER_CSV, RENDER_MARKDOWN } render_format;

/* What the output can show. */
typedef struct render_style {
    size_t width;     /* columns */
    bool color;       /* SGR sequences */
    bool unicode;     /* lines, bars and signs beyond ASCII */
    bool ascii_names; /* a terminal that doesn't take UTF-8: names must be ASCII too */
} render_style;

typedef enum tone { TONE_PLAIN, TONE_BOLD, TONE_DIM, TONE_GOOD, TONE_BAD, TONE_WARN, TONE_BAR, TONE_COUNT } tone;

typedef struct report {
    buffer *out;
    arena *memory; /* cells; its owner frees it */
    render_format format;
    bool markdown;      /* format is RENDER_MARKDOWN */
    size_t label_width; /* of pairs; 0: the usual one */
    render_style style;
} report;

/* Level 1 or 2; `detail` is what stands beside the title, NULL or "": nothing. */
void report_heading(report *r, int level, const char *title, const char *detail);
void report_pair(report *r, const char *label, tone t, const char *fmt, ...) PRINTF_LIKE(4, 5);
/* An empty line, but not at the very beginning. */
void report_gap(report *r);
/* A paragraph, wrapped. */
void report_text(report *r, tone t, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Starts and ends a tone; nothing without colour. */
void report_tone(report *r, tone t);
void report_plain(report *r, tone t);

typedef enum align { ALIGN_LEFT, ALIGN_RIGHT } align;

/* Where a table is too wide, first the columns of `drop` DROP_FIRST and above go (the largest first), then those with a
 * `min` are shortened to it, then the others with `drop` go. */
enum { DROP_FIRST = 100 };

typedef struct column {
    const char *title;
    align align;
    unsigned drop;   /* 0: stays */
    unsigned min;    /* columns that it can be shortened to; 0: can't be */
    bool decoration; /* a bar: not in Markdown */
    bool hidden;
} column;

typedef struct cell {
    str text; /* in the arena */
    tone tone;
} cell;

typedef struct table {
    report *report;
    const column *columns;
    size_t column_count;
    cell *cells;
    size_t cell_count, cell_cap;
} table;

void table_init(table *t, report *r, const column *columns, size_t column_count);
/* The next cell, row by row; too few cells in a row are the caller's mistake. */
void table_cell(table *t, tone tone_, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* A bar of at most `width` columns; a share over 1 is 1, a negative one an empty cell. */
void table_bar(table *t, double share, size_t width);
/* The same text as in the row above is left out (on a terminal) in the first `merge` columns. */
void table_print(table *t, size_t merge);
size_t table_rows(const table *t);

/* markdown.c */
void markdown_text(buffer *out, str s);
void markdown_table(const table *t);

#endif
