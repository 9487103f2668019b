/* Tables as GitHub reads them. */
#include "render/report.h"

/* What would be taken for markup is escaped; `text` holds no line breaks, it was cleaned. */
void markdown_text(buffer *out, str s)
{
    size_t done = 0;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        /* an underscore inside a word is no markup, and names are full of them */
        bool edge = !i || i + 1 == s.len || s.ptr[i - 1] == ' ' || s.ptr[i + 1] == ' ';
        if (!(c == '|' || c == '\\' || c == '`' || c == '*' || c == '[' || c == ']' || c == '<' || c == '>' ||
              (c == '_' && edge)))
            continue;
        buffer_put(out, s.ptr + done, i - done);
        buffer_char(out, '\\');
        done = i;
    }
    buffer_put(out, s.ptr + done, s.len - done);
}

static bool left_out(const column *c)
{
    return c->decoration || c->hidden;
}

void markdown_table(const table *t)
{
    buffer *out = t->report->out;
    buffer_char(out, '|');
    for (size_t c = 0; c < t->column_count; c++) {
        if (left_out(&t->columns[c])) continue;
        buffer_char(out, ' ');
        markdown_text(out, str_c(t->columns[c].title));
        buffer_text(out, " |");
    }
    buffer_text(out, "\n|");
    for (size_t c = 0; c < t->column_count; c++)
        if (!left_out(&t->columns[c])) buffer_text(out, t->columns[c].align == ALIGN_RIGHT ? " ---: |" : " --- |");
    buffer_char(out, '\n');
    for (size_t row = 0; row < table_rows(t); row++) {
        buffer_char(out, '|');
        for (size_t c = 0; c < t->column_count; c++) {
            if (left_out(&t->columns[c])) continue;
            const cell *k = &t->cells[row * t->column_count + c];
            const char *mark = k->tone == TONE_GOOD && k->text.len ? "**" : "";
            buffer_format(out, " %s", mark);
            markdown_text(out, k->text);
            buffer_format(out, "%s |", mark);
        }
        buffer_char(out, '\n');
    }
}
