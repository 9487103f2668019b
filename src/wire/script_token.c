#include "wire/script_internal.h"

pg_code script_fail(script_parser *p, const char *what)
{
    char near[41];
    if (p->code) return p->code;
    size_t n = 0;
    for (; n < p->t.text.len && n + 1 < sizeof near; n++) {
        char c = p->t.text.ptr[n];
        near[n] = c < 0x20 || c == 0x7f ? '?' : c;
    }
    near[n] = '\0';
    p->code = error_set(p->e, PG_E_FORMAT, "the source is damaged: %s at '%s'", what, near);
    error_line(p->e, p->t.line, 0);
    return p->code;
}

/* ---- tokens ---- */

static bool is_name(char c)
{
    return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c & 0x80);
}

static char peek(const script_parser *p, size_t ahead)
{
    return p->at + ahead < p->in.len ? p->in.ptr[p->at + ahead] : '\0';
}

/* Leaves blanks, comments and, inside of brackets, line ends. */
static void skip_blanks(script_parser *p)
{
    for (; p->at < p->in.len; p->at++) {
        char c = peek(p, 0);
        if (c == '#')
            while (p->at + 1 < p->in.len && peek(p, 1) != '\n') p->at++;
        else if (c == '\\' && peek(p, 1) == '\n') p->at++, p->line++;
        else if (c == '\n' && p->brackets) p->line++;
        else if (c != ' ' && c != '\t' && c != '\r') return;
    }
}

static void set(script_parser *p, script_token_kind kind, size_t from)
{
    p->t = (script_token){kind, {p->in.ptr + from, p->at - from}, p->line};
}

/* At the start of a line: the indentation of the next line that isn't blank. True: a token was made of it. */
static bool take_indent(script_parser *p)
{
    size_t from = p->at;
    for (;;) {
        from = p->at;
        while (peek(p, 0) == ' ' || peek(p, 0) == '\t') p->at++;
        if (peek(p, 0) == '#')
            while (p->at < p->in.len && peek(p, 0) != '\n') p->at++;
        if (peek(p, 0) == '\r') p->at++;
        if (peek(p, 0) != '\n' || p->at >= p->in.len) break;
        p->at++;
        p->line++;
    }
    p->line_start = false;
    size_t width = p->at >= p->in.len ? 0 : p->at - from;
    if (width > p->indents[p->n_indents - 1]) {
        if (p->n_indents == SCRIPT_INDENTS) {
            p->code = error_set(p->e, PG_E_LIMIT, "the source has blocks more than %d deep", SCRIPT_INDENTS);
            set(p, TOKEN_END, p->at);
            return true;
        }
        p->indents[p->n_indents++] = width;
        set(p, TOKEN_INDENT, p->at);
        return true;
    }
    while (p->n_indents > 1 && width < p->indents[p->n_indents - 1]) {
        p->n_indents--;
        p->dedents++;
    }
    return false;
}

static void take_text(script_parser *p)
{
    char quote = peek(p, 0);
    size_t from = ++p->at;
    while (p->at < p->in.len && peek(p, 0) != quote && peek(p, 0) != '\n') p->at += peek(p, 0) == '\\' ? 2 : 1;
    if (p->at > p->in.len) p->at = p->in.len;
    set(p, TOKEN_TEXT, from);
    if (peek(p, 0) != quote) script_fail(p, "text that does not end");
    else p->at++;
}

static void take_number(script_parser *p)
{
    size_t from = p->at;
    while (is_name(peek(p, 0)) || peek(p, 0) == '.' ||
           ((peek(p, 0) == '-' || peek(p, 0) == '+') && (p->in.ptr[p->at - 1] | 0x20) == 'e'))
        p->at++;
    set(p, TOKEN_NUMBER, from);
}

static void take_sign(script_parser *p)
{
    static const char *const two[] = {"->", "==", "!=", "<=", ">=", "//", "**", "+=", "-=", "*="};
    size_t from = p->at++;
    for (size_t i = 0; i < sizeof two / sizeof two[0]; i++)
        if (p->in.ptr[from] == two[i][0] && peek(p, 0) == two[i][1]) {
            p->at++;
            break;
        }
    char c = p->in.ptr[from];
    if (c == '(' || c == '[' || c == '{') p->brackets++;
    if ((c == ')' || c == ']' || c == '}') && p->brackets) p->brackets--;
    set(p, TOKEN_SIGN, from);
}

void script_next(script_parser *p)
{
    if (p->code) {
        p->t.kind = TOKEN_END;
        return;
    }
    if (p->line_start && take_indent(p)) return;
    if (p->dedents) {
        p->dedents--;
        set(p, TOKEN_DEDENT, p->at);
        return;
    }
    skip_blanks(p);
    size_t from = p->at;
    char c = peek(p, 0);
    if (p->at >= p->in.len) {
        if (p->t.kind != TOKEN_LINE_END && p->t.kind != TOKEN_END && p->t.kind != TOKEN_DEDENT) {
            set(p, TOKEN_LINE_END, from);
        } else if (p->n_indents > 1) {
            p->n_indents--;
            set(p, TOKEN_DEDENT, from);
        } else {
            set(p, TOKEN_END, from);
        }
    } else if (c == '\n') {
        set(p, TOKEN_LINE_END, from);
        p->at++;
        p->line++;
        p->line_start = true;
    } else if (c == '"' || c == '\'') {
        take_text(p);
    } else if ((c >= '0' && c <= '9') || (c == '.' && peek(p, 1) >= '0' && peek(p, 1) <= '9')) {
        take_number(p);
    } else if (is_name(c)) {
        while (is_name(peek(p, 0))) p->at++;
        set(p, TOKEN_NAME, from);
    } else {
        take_sign(p);
    }
}

bool script_is_sign(const script_parser *p, const char *s)
{
    return p->t.kind == TOKEN_SIGN && str_is(p->t.text, s);
}
bool script_is_word(const script_parser *p, const char *s)
{
    return p->t.kind == TOKEN_NAME && str_is(p->t.text, s);
}
bool script_accept(script_parser *p, const char *s)
{
    if (!script_is_sign(p, s) && !script_is_word(p, s)) return false;
    script_next(p);
    return true;
}
void script_expect(script_parser *p, const char *s)
{
    char what[40];
    format_text(what, sizeof what, "'%s' is missing", s);
    if (!script_accept(p, s)) script_fail(p, what);
}
