#include "base/json.h"

void buffer_init(buffer *b, allocator alloc)
{
    *b = (buffer){.alloc = alloc};
}

void buffer_free(buffer *b)
{
    if (b->ptr) b->alloc.resize(b->alloc.ud, b->ptr, b->cap, 0);
    buffer_init(b, b->alloc);
}

/* Room for `more` bytes and the terminating zero. */
static bool buffer_reserve(buffer *b, size_t more)
{
    if (b->failed) return false;
    if (b->cap - b->len > more) return true;
    size_t cap = b->cap ? b->cap : 512;
    while (cap - b->len <= more) {
        if (cap > SIZE_MAX / 2) {
            b->failed = true;
            return false;
        }
        cap *= 2;
    }
    char *p = b->alloc.resize(b->alloc.ud, b->ptr, b->cap, cap);
    if (!p) {
        b->failed = true;
        return false;
    }
    b->ptr = p;
    b->cap = cap;
    return true;
}

void buffer_put(buffer *b, const char *bytes, size_t len)
{
    if (!buffer_reserve(b, len)) return;
    if (len) memcpy(b->ptr + b->len, bytes, len);
    b->len += len;
    b->ptr[b->len] = '\0';
}

void buffer_text(buffer *b, const char *text)
{
    if (text) buffer_put(b, text, strlen(text));
}

void buffer_char(buffer *b, char c)
{
    buffer_put(b, &c, 1);
}

void buffer_fill(buffer *b, char c, size_t count)
{
    if (!buffer_reserve(b, count)) return;
    memset(b->ptr + b->len, c, count);
    b->len += count;
    b->ptr[b->len] = '\0';
}

void buffer_format(buffer *b, const char *fmt, ...)
{
    char small[256];
    va_list args;
    va_start(args, fmt);
    size_t len = format_textv(small, sizeof small, fmt, args);
    va_end(args);
    if (len < sizeof small) {
        buffer_put(b, small, len);
        return;
    }
    if (!buffer_reserve(b, len)) return;
    va_start(args, fmt);
    format_textv(b->ptr + b->len, len + 1, fmt, args);
    va_end(args);
    b->len += len;
}

uint32_t utf8_next(const char *p, size_t len, size_t *used)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char c = (unsigned char)p[0];
    *used = 1;
    if (c < 0x80) return c;
    size_t n = c >= 0xf0 && c <= 0xf4 ? 4 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xc2 && c < 0xe0 ? 2 : 0;
    if (!n || n > len) return UINT32_MAX;
    uint32_t code = c & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        unsigned char next = (unsigned char)p[i];
        if ((next & 0xc0) != 0x80) return UINT32_MAX;
        code = code << 6 | (next & 0x3fu);
    }
    if (code < least[n] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return UINT32_MAX;
    *used = n;
    return code;
}

void jsonw_init(jsonw *j, buffer *out)
{
    *j = (jsonw){.out = out, .inline_from = JSONW_DEPTH};
}

static void line(jsonw *j)
{
    buffer_char(j->out, '\n');
    buffer_fill(j->out, ' ', 2 * (size_t)j->depth);
}

/* What goes before a value: nothing after a key, else a comma and the place of a new member. */
static void before(jsonw *j)
{
    if (j->after_key) {
        j->after_key = false;
        return;
    }
    if (!j->depth) return;
    bool *member = &j->member[j->depth];
    if (*member) buffer_char(j->out, ',');
    if (j->depth <= j->inline_from) line(j);
    else if (*member) buffer_char(j->out, ' ');
    *member = true;
}

static void begin(jsonw *j, char open, char close, jsonw_layout layout)
{
    before(j);
    buffer_char(j->out, open);
    if (j->depth + 1 >= JSONW_DEPTH) {
        j->out->failed = true; /* a mistake of the program: nothing of ours is that deep */
        return;
    }
    if (layout == JSONW_INLINE && j->inline_from > j->depth) j->inline_from = j->depth;
    j->depth++;
    j->member[j->depth] = false;
    j->close[j->depth] = close;
}

void jsonw_object(jsonw *j, jsonw_layout layout)
{
    begin(j, '{', '}', layout);
}

void jsonw_array(jsonw *j, jsonw_layout layout)
{
    begin(j, '[', ']', layout);
}

void jsonw_end(jsonw *j)
{
    if (!j->depth) return;
    int depth = j->depth--;
    if (j->member[depth] && depth <= j->inline_from) line(j);
    if (j->inline_from == j->depth) j->inline_from = JSONW_DEPTH;
    buffer_char(j->out, j->close[depth]);
}

static void put_escaped(buffer *out, str text)
{
    size_t used, done = 0;
    buffer_char(out, '"');
    for (size_t i = 0; i < text.len; i += used) {
        uint32_t c = utf8_next(text.ptr + i, text.len - i, &used);
        if (c >= 0x20 && c != '"' && c != '\\' && (c < 0x7f || c > 0x9f) && c != UINT32_MAX) continue;
        buffer_put(out, text.ptr + done, i - done);
        done = i + used;
        if (c == UINT32_MAX) buffer_text(out, "\xef\xbf\xbd");
        else if (c == '"' || c == '\\') buffer_format(out, "\\%c", (int)c);
        else if (c == '\n') buffer_text(out, "\\n");
        else if (c == '\t') buffer_text(out, "\\t");
        else if (c == '\r') buffer_text(out, "\\r");
        else buffer_format(out, "\\u%04x", (unsigned)c);
    }
    buffer_put(out, text.ptr + done, text.len - done);
    buffer_char(out, '"');
}

void jsonw_key(jsonw *j, const char *key)
{
    before(j);
    put_escaped(j->out, str_c(key));
    buffer_text(j->out, ": ");
    j->after_key = true;
}

void jsonw_str(jsonw *j, str text)
{
    if (!text.ptr) {
        jsonw_null(j);
        return;
    }
    before(j);
    put_escaped(j->out, text);
}

void jsonw_text(jsonw *j, const char *text)
{
    jsonw_str(j, str_c(text));
}

void jsonw_number(jsonw *j, double x)
{
    char text[40];
    size_t len = format_double(text, sizeof text, x);
    before(j);
    buffer_put(j->out, text, len);
}

void jsonw_known(jsonw *j, double x)
{
    if (x < 0) jsonw_null(j);
    else jsonw_number(j, x);
}

void jsonw_integer(jsonw *j, int64_t x)
{
    before(j);
    buffer_format(j->out, "%lld", (long long)x);
}

void jsonw_bool(jsonw *j, bool x)
{
    before(j);
    buffer_text(j->out, x ? "true" : "false");
}

void jsonw_null(jsonw *j)
{
    before(j);
    buffer_text(j->out, "null");
}

void jsonw_finish(jsonw *j)
{
    while (j->depth) jsonw_end(j);
    buffer_char(j->out, '\n');
}
