#include "render/text.h"

typedef struct range {
    uint32_t first, last;
} range;

static const range zero_width[] = {{0x300, 0x36f},   {0x483, 0x489},   {0x591, 0x5bd},   {0x610, 0x61a},
                                   {0x64b, 0x65f},   {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff}, {0x200b, 0x200d},
                                   {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}, {0xfeff, 0xfeff}};
static const range double_width[] = {{0x1100, 0x115f},   {0x2e80, 0x303e},   {0x3041, 0xa4cf},   {0xac00, 0xd7a3},
                                     {0xf900, 0xfaff},   {0xfe30, 0xfe6f},   {0xff00, 0xff60},   {0xffe0, 0xffe6},
                                     {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd}};
/* Direction marks could show a name other than it is. */
static const range unsafe[] = {{0x0, 0x1f},      {0x7f, 0x9f},     {0x61c, 0x61c},          {0x200e, 0x200f},
                               {0x2028, 0x202e}, {0x2066, 0x2069}, {UINT32_MAX, UINT32_MAX}};

#define IN(ranges, c) in_ranges(ranges, sizeof ranges / sizeof ranges[0], c)

static bool in_ranges(const range *r, size_t count, uint32_t c)
{
    for (size_t i = 0; i < count && c >= r[i].first; i++)
        if (c <= r[i].last) return true;
    return false;
}

static size_t char_width(uint32_t c)
{
    if (c < 0x300) return 1;
    return IN(zero_width, c) ? 0 : IN(double_width, c) ? 2 : 1;
}

size_t text_width(str s)
{
    size_t width = 0, used;
    for (size_t i = 0; i < s.len; i += used) width += char_width(utf8_next(s.ptr + i, s.len - i, &used));
    return width;
}

void text_clean(buffer *out, str s, bool ascii)
{
    size_t used, done = 0;
    if (!s.len) return;
    for (size_t i = 0; i < s.len; i += used) {
        uint32_t c = utf8_next(s.ptr + i, s.len - i, &used);
        bool bad = IN(unsafe, c);
        if (!bad && (!ascii || c < 0x80)) continue;
        buffer_put(out, s.ptr + done, i - done);
        done = i + used;
        if (!bad) buffer_char(out, '?');
        else if (c == UINT32_MAX) buffer_format(out, "\\x%02x", (unsigned)(unsigned char)s.ptr[i]);
        else if (c < 0x100) buffer_format(out, "\\x%02x", (unsigned)c);
        else buffer_format(out, "\\u%04x", (unsigned)c);
    }
    buffer_put(out, s.ptr + done, s.len - done);
}

str text_cut(str s, size_t width)
{
    size_t used, i = 0;
    for (size_t taken = 0; i < s.len; i += used) {
        taken += char_width(utf8_next(s.ptr + i, s.len - i, &used));
        if (taken > width) break;
    }
    return (str){s.ptr, i};
}

void text_wrap(buffer *out, str s, size_t at, size_t indent, size_t width)
{
    bool fresh = true; /* no word on this line yet */
    for (size_t i = 0; i < s.len;) {
        size_t end = i;
        while (end < s.len && s.ptr[end] != ' ') end++;
        str word = {s.ptr + i, end - i};
        size_t needed = text_width(word);
        if (!fresh && at + 1 + needed > width) {
            buffer_char(out, '\n');
            buffer_fill(out, ' ', indent);
            at = indent;
            fresh = true;
        }
        if (!fresh) {
            buffer_char(out, ' ');
            at++;
        }
        buffer_put(out, word.ptr, word.len);
        at += needed;
        fresh = false;
        for (i = end; i < s.len && s.ptr[i] == ' ';) i++;
    }
}
