#include "gpu/toml_shim.h"

#include "base/error.h"

typedef struct scan {
    str text;
    size_t at;
    uint32_t line;
    size_t line_start;
} scan;

static bool scan_is(const scan *s, const char *what)
{
    size_t n = strlen(what);
    return s->text.len - s->at >= n && memcmp(s->text.ptr + s->at, what, n) == 0;
}

static void scan_newline(scan *s)
{
    s->line++;
    s->line_start = s->at + 1;
}

/* Skips a string that starts at s->at; on an unterminated one stops where toml++ will complain too. */
static void scan_string(scan *s)
{
    const char quote = s->text.ptr[s->at];
    const char triple[] = {quote, quote, quote, '\0'};
    const bool many = scan_is(s, triple), escapes = quote == '"';
    for (s->at += many ? 3 : 1; s->at < s->text.len; s->at++) {
        char c = s->text.ptr[s->at];
        if (c == '\n') {
            if (!many) {
                s->at--; /* the newline is the caller's */
                return;
            }
            scan_newline(s);
        } else if (c == '\\' && escapes) {
            if (s->at + 1 < s->text.len && s->text.ptr[s->at + 1] != '\n') s->at++;
        } else if (c == quote && (!many || scan_is(s, triple))) {
            if (!many) return;
            s->at += 2;
            for (int extra = 0; extra < 2 && s->at + 1 < s->text.len && s->text.ptr[s->at + 1] == quote; extra++)
                s->at++; /* up to two quotes may stand right before the closing three */
            return;
        }
    }
}

pg_code toml_guard(str text, pg_error *e)
{
    scan s = {text, 0, 1, 0};
    unsigned depth = 0, dots = 0;
    for (; s.at < text.len; s.at++) {
        switch (text.ptr[s.at]) {
        case '\n':
            scan_newline(&s);
            dots = 0;
            break;
        case '#':
            while (s.at + 1 < text.len && text.ptr[s.at + 1] != '\n') s.at++;
            break;
        case '"':
        case '\'': scan_string(&s); break;
        case '[':
        case '{': depth++; break;
        case ']':
        case '}':
            if (depth) depth--;
            break;
        case '.': dots++; break;
        default: break;
        }
        if (depth > TOML_DEPTH_MAX || dots > TOML_DOTS_MAX) {
            if (depth > TOML_DEPTH_MAX)
                error_set(e, PG_E_LIMIT, "brackets are nested more than %d deep", TOML_DEPTH_MAX);
            else error_set(e, PG_E_LIMIT, "more than %d dots on one line", TOML_DOTS_MAX);
            error_line(e, s.line, (uint32_t)(s.at - s.line_start + 1));
            return PG_E_LIMIT;
        }
    }
    return PG_E_OK;
}

const toml_node *toml_child(const toml_node *table, const char *key)
{
    if (!table || table->kind != TOML_TABLE) return NULL;
    const toml_node *n = table->is.first;
    while (n && !str_is(n->key, key)) n = n->next;
    return n;
}

const char *toml_kind_name(toml_kind kind)
{
    static const char *const names[] = {
        [TOML_TABLE] = "a table",       [TOML_ARRAY] = "an array", [TOML_TEXT] = "a text",
        [TOML_INT] = "a whole number",  [TOML_REAL] = "a number",  [TOML_BOOL] = "a boolean",
        [TOML_TIME] = "a date or time",
    };
    return names[kind];
}
