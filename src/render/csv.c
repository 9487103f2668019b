/* RFC 4180: CR LF after each record, quotes where a cell needs them. What isn't known is an empty cell. */
#include "render/fields.h"
#include "render/text.h"

void csv_cell(buffer *out, str s)
{
    bool quote = s.len && (s.ptr[0] == ' ' || s.ptr[s.len - 1] == ' ');
    for (size_t i = 0; i < s.len && !quote; i++) quote = s.ptr[i] == ',' || s.ptr[i] == '"' || s.ptr[i] == ';';
    if (!quote) {
        text_clean(out, s, false);
        return;
    }
    buffer_char(out, '"');
    for (size_t i = 0, from = 0; i < s.len; i++) {
        bool mark = s.ptr[i] == '"';
        if (!mark && i + 1 < s.len) continue;
        text_clean(out, (str){s.ptr + from, i + 1 - from}, false);
        if (mark) buffer_char(out, '"');
        from = i + 1;
    }
    buffer_char(out, '"');
}

void csv_end(buffer *out)
{
    buffer_text(out, "\r\n");
}

void fields_csv_names(buffer *out, const char *prefix, const field *fields, size_t count, bool first)
{
    for (size_t i = 0; i < count; i++) buffer_format(out, "%s%s%s", first && !i ? "" : ",", prefix, fields[i].name);
}

void fields_csv(buffer *out, const field *fields, size_t count, const void *object, bool mute, bool first)
{
    for (size_t i = 0; i < count; i++) {
        const field *f = &fields[i];
        if (!first || i) buffer_char(out, ',');
        if (f->kind == FIELD_TEXT || f->kind == FIELD_CHARS) {
            csv_cell(out, str_c(field_text(f, object, mute)));
            continue;
        }
        double x = field_number(f, object, mute);
        char text[40];
        if (isnan(x)) continue;
        if (f->kind == FIELD_BOOL) buffer_text(out, x != 0 ? "true" : "false");
        else if (field_is_whole(f) && fabs(x) < WHOLE_MOST) buffer_format(out, "%lld", (long long)x);
        else buffer_put(out, text, format_double(text, sizeof text, x));
    }
}
