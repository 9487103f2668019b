#include "hub/answer.h"

#include "hub/text.h"

void http_answer_init(http_answer *h)
{
    *h = (http_answer){.length = ANSWER_UNKNOWN,
                       .first = ANSWER_UNKNOWN,
                       .total = ANSWER_UNKNOWN,
                       .linked_size = ANSWER_UNKNOWN,
                       .wait_s = UINT_MAX};
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static str trim(str s)
{
    while (s.len && is_blank(s.ptr[0])) s = (str){s.ptr + 1, s.len - 1};
    while (s.len && is_blank(s.ptr[s.len - 1])) s.len--;
    return s;
}

/* Digits at the beginning; false: none, or more than a file can have. */
static bool take_number(str *s, uint64_t *out)
{
    uint64_t n = 0;
    size_t i = 0;
    for (; i < s->len && s->ptr[i] >= '0' && s->ptr[i] <= '9'; i++) {
        if (n > (uint64_t)INT64_MAX / 10 - 1) return false;
        n = n * 10 + (uint64_t)(s->ptr[i] - '0');
    }
    *s = (str){s->ptr + i, s->len - i};
    *out = n;
    return i > 0;
}

static void take_size(http_answer *h, str value, uint64_t *out)
{
    uint64_t n;
    if (!take_number(&value, &n) || value.len || (*out != ANSWER_UNKNOWN && *out != n)) h->broken = true;
    else *out = n;
}

/* "bytes 0-99/1000", "bytes 0-99/\*" or "bytes *\/1000" */
static void take_range(http_answer *h, str v)
{
    uint64_t last = 0;
    bool ok = str_starts(v, "bytes ");
    if (ok) v = trim((str){v.ptr + 6, v.len - 6});
    if (ok && v.len && v.ptr[0] == '*') {
        v = (str){v.ptr + 1, v.len - 1};
    } else if (ok) {
        ok = take_number(&v, &h->first) && v.len && v.ptr[0] == '-';
        if (ok) v = (str){v.ptr + 1, v.len - 1};
        ok = ok && take_number(&v, &last) && last >= h->first;
    }
    ok = ok && v.len > 1 && v.ptr[0] == '/';
    if (ok) v = (str){v.ptr + 1, v.len - 1};
    if (ok && !str_is(v, "*")) ok = take_number(&v, &h->total) && !v.len && (h->first == UINT64_MAX || last < h->total);
    if (!ok) h->broken = true;
}

/* W/"abc" -> abc */
static void take_etag(char *out, size_t cap, str v)
{
    if (str_starts(v, "W/")) v = (str){v.ptr + 2, v.len - 2};
    while (v.len && v.ptr[0] == '"') v = (str){v.ptr + 1, v.len - 1};
    while (v.len && v.ptr[v.len - 1] == '"') v.len--;
    out[0] = '\0';
    if (v.len < cap) hub_clean(out, cap, v);
}

/* "api";r=0;t=55: the seconds until more is allowed. */
static void take_ratelimit(http_answer *h, str v)
{
    for (size_t i = 0; i + 2 < v.len; i++) {
        if (v.ptr[i] != ';') continue;
        str rest = trim((str){v.ptr + i + 1, v.len - i - 1});
        uint64_t n;
        if (!str_starts(rest, "t=")) continue;
        rest = (str){rest.ptr + 2, rest.len - 2};
        if (take_number(&rest, &n) && n < 1u << 30 && h->wait_s == UINT_MAX) h->wait_s = (unsigned)n;
    }
}

static bool name_is(str name, const char *lower)
{
    size_t n = strlen(lower);
    if (name.len != n) return false;
    for (size_t i = 0; i < n; i++) {
        char c = name.ptr[i];
        if ((c >= 'A' && c <= 'Z' ? (char)(c + 32) : c) != lower[i]) return false;
    }
    return true;
}

static void take_header(http_answer *h, str name, str v)
{
    uint64_t n;
    str number = v;
    if (name_is(name, "content-length")) take_size(h, v, &h->length);
    else if (name_is(name, "x-linked-size")) take_size(h, v, &h->linked_size);
    else if (name_is(name, "content-range")) take_range(h, v);
    else if (name_is(name, "content-encoding")) h->encoded = v.len && !name_is(v, "identity");
    else if (name_is(name, "retry-after") && take_number(&number, &n) && !number.len && n < 1u << 30)
        h->wait_s = (unsigned)n;
    else if (name_is(name, "ratelimit")) take_ratelimit(h, v);
    else if (name_is(name, "x-linked-etag")) {
        take_etag(h->etag, sizeof h->etag, v);
        h->linked = true;
    } else if (name_is(name, "etag") && !h->linked) take_etag(h->etag, sizeof h->etag, v);
    else if (name_is(name, "x-repo-commit")) hub_clean(h->commit, sizeof h->commit, v);
    else if (name_is(name, "x-error-code")) hub_clean(h->error, sizeof h->error, v);
    else if (name_is(name, "x-error-message")) hub_clean(h->message, sizeof h->message, v);
    else if (name_is(name, "location") && v.len < sizeof h->location) {
        memcpy(h->location, v.ptr, v.len);
        h->location[v.len] = '\0';
    }
}

void http_answer_line(http_answer *h, str line)
{
    if (str_starts(line, "HTTP/")) {
        uint64_t status = 0;
        http_answer_init(h);
        size_t at = 0;
        while (at < line.len && line.ptr[at] != ' ') at++;
        str rest = trim((str){line.ptr + at, line.len - at});
        if (take_number(&rest, &status) && status < 1000) h->status = (int)status;
        return;
    }
    for (size_t i = 0; i < line.len; i++) {
        if (line.ptr[i] != ':') continue;
        take_header(h, (str){line.ptr, i}, trim((str){line.ptr + i + 1, line.len - i - 1}));
        return;
    }
}
