#include "wire/script.h"

enum { INDENTS = 100 };

typedef enum token_kind { END, LINE_END, INDENT, DEDENT, NAME, NUMBER, TEXT, SIGN } token_kind;

typedef struct token {
    token_kind kind;
    str text;
    uint32_t line;
} token;

typedef struct parser {
    str in;
    size_t at;
    arena *a;
    pg_error *e;
    token t; /* the current one */
    uint32_t line;
    int brackets, depth;
    bool line_start;
    int dedents; /* still to be given out */
    size_t indents[INDENTS];
    int n_indents;
    pg_code code;
} parser;

static pg_code fail(parser *p, const char *what)
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

static char peek(const parser *p, size_t ahead)
{
    return p->at + ahead < p->in.len ? p->in.ptr[p->at + ahead] : '\0';
}

/* Leaves blanks, comments and, inside of brackets, line ends. */
static void skip_blanks(parser *p)
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

static void set(parser *p, token_kind kind, size_t from)
{
    p->t = (token){kind, {p->in.ptr + from, p->at - from}, p->line};
}

/* At the start of a line: the indentation of the next line that isn't blank. True: a token was made of it. */
static bool take_indent(parser *p)
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
        if (p->n_indents == INDENTS) {
            p->code = error_set(p->e, PG_E_LIMIT, "the source has blocks more than %d deep", INDENTS);
            set(p, END, p->at);
            return true;
        }
        p->indents[p->n_indents++] = width;
        set(p, INDENT, p->at);
        return true;
    }
    while (p->n_indents > 1 && width < p->indents[p->n_indents - 1]) {
        p->n_indents--;
        p->dedents++;
    }
    return false;
}

static void take_text(parser *p)
{
    char quote = peek(p, 0);
    size_t from = ++p->at;
    while (p->at < p->in.len && peek(p, 0) != quote && peek(p, 0) != '\n') p->at += peek(p, 0) == '\\' ? 2 : 1;
    if (p->at > p->in.len) p->at = p->in.len;
    set(p, TEXT, from);
    if (peek(p, 0) != quote) fail(p, "text that does not end");
    else p->at++;
}

static void take_number(parser *p)
{
    size_t from = p->at;
    while (is_name(peek(p, 0)) || peek(p, 0) == '.' ||
           ((peek(p, 0) == '-' || peek(p, 0) == '+') && (p->in.ptr[p->at - 1] | 0x20) == 'e'))
        p->at++;
    set(p, NUMBER, from);
}

static void take_sign(parser *p)
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
    set(p, SIGN, from);
}

static void next(parser *p)
{
    if (p->code) {
        p->t.kind = END;
        return;
    }
    if (p->line_start && take_indent(p)) return;
    if (p->dedents) {
        p->dedents--;
        set(p, DEDENT, p->at);
        return;
    }
    skip_blanks(p);
    size_t from = p->at;
    char c = peek(p, 0);
    if (p->at >= p->in.len) {
        if (p->t.kind != LINE_END && p->t.kind != END && p->t.kind != DEDENT) {
            set(p, LINE_END, from);
        } else if (p->n_indents > 1) {
            p->n_indents--;
            set(p, DEDENT, from);
        } else {
            set(p, END, from);
        }
    } else if (c == '\n') {
        set(p, LINE_END, from);
        p->at++;
        p->line++;
        p->line_start = true;
    } else if (c == '"' || c == '\'') {
        take_text(p);
    } else if ((c >= '0' && c <= '9') || (c == '.' && peek(p, 1) >= '0' && peek(p, 1) <= '9')) {
        take_number(p);
    } else if (is_name(c)) {
        while (is_name(peek(p, 0))) p->at++;
        set(p, NAME, from);
    } else {
        take_sign(p);
    }
}

static bool is_sign(const parser *p, const char *s)
{
    return p->t.kind == SIGN && str_is(p->t.text, s);
}
static bool is_word(const parser *p, const char *s)
{
    return p->t.kind == NAME && str_is(p->t.text, s);
}
static bool accept(parser *p, const char *s)
{
    if (!is_sign(p, s) && !is_word(p, s)) return false;
    next(p);
    return true;
}
static void expect(parser *p, const char *s)
{
    char what[40];
    format_text(what, sizeof what, "'%s' is missing", s);
    if (!accept(p, s)) fail(p, what);
}

/* ---- nodes ---- */

static const script_node dead = {.kind = SCRIPT_NONE};

static script_node *node(parser *p, script_kind kind)
{
    script_node *n = ARENA_NEW(p->a, script_node);
    if (!n) {
        p->code = error_nomem(p->e, p->a);
        return NULL;
    }
    n->kind = (uint8_t)kind;
    n->line = p->t.line;
    return n;
}

static void add(parser *p, script_list *l, const script_node *n)
{
    if (l->n == l->cap) {
        uint32_t cap = l->cap ? l->cap * 2 : 4;
        const script_node **v = arena_grow(p->a, l->v, l->cap, cap, sizeof(const script_node *));
        if (!v) {
            p->code = error_nomem(p->e, p->a);
            return;
        }
        l->v = v;
        l->cap = cap;
    }
    l->v[l->n++] = n;
}

static bool enter(parser *p)
{
    if (p->code) return false;
    if (p->depth >= SCRIPT_DEPTH) {
        p->code = error_set(p->e, PG_E_LIMIT, "the source is nested more than %d deep", SCRIPT_DEPTH);
        return false;
    }
    p->depth++;
    return true;
}

/* ---- expressions ---- */

static const script_node *expression(parser *p);

static bool parse_float(str s, double *out)
{
    double v = 0, scale = 1;
    size_t i = 0;
    int exponent = 0;
    for (; i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9'; i++) v = v * 10 + (s.ptr[i] - '0');
    if (i < s.len && s.ptr[i] == '.')
        for (i++; i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9'; i++) v += (s.ptr[i] - '0') * (scale /= 10);
    if (i < s.len && (s.ptr[i] | 0x20) == 'e') {
        bool negative = ++i < s.len && s.ptr[i] == '-';
        if (i < s.len && (s.ptr[i] == '-' || s.ptr[i] == '+')) i++;
        for (; i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9' && exponent < 1000; i++)
            exponent = exponent * 10 + (s.ptr[i] - '0');
        v *= pow(10, negative ? -exponent : exponent);
    }
    *out = v;
    return i == s.len;
}

static const script_node *number(parser *p)
{
    str s = p->t.text;
    int64_t v = 0;
    bool whole = true;
    for (size_t i = 0; i < s.len && whole; i++)
        whole = s.ptr[i] >= '0' && s.ptr[i] <= '9' && !__builtin_mul_overflow(v, (int64_t)10, &v) &&
                !__builtin_add_overflow(v, (int64_t)(s.ptr[i] - '0'), &v);
    script_node *n = node(p, whole ? SCRIPT_INT : SCRIPT_FLOAT);
    if (!n) return &dead;
    if (whole) n->v.i = v;
    else if (!parse_float(s, &n->v.f)) fail(p, "no number");
    next(p);
    return n;
}

/* Items up to the closing bracket; *comma: there was one at the end, or between two. */
static void items(parser *p, script_list *l, const char *close, bool *comma)
{
    *comma = false;
    while (!p->code && !is_sign(p, close)) {
        add(p, l, expression(p));
        if (!is_sign(p, ",")) break;
        *comma = true;
        next(p);
    }
    expect(p, close);
}

static const script_node *bracketed(parser *p)
{
    bool comma, tuple = accept(p, "(");
    script_node *n = node(p, tuple ? SCRIPT_TUPLE : SCRIPT_LIST);
    if (!n) return &dead;
    if (!tuple) expect(p, "[");
    items(p, &n->items, tuple ? ")" : "]", &comma);
    return tuple && n->items.n == 1 && !comma ? n->items.v[0] : n;
}

static const script_node *dict(parser *p)
{
    script_node *n = node(p, SCRIPT_DICT);
    if (!n) return &dead;
    expect(p, "{");
    while (!p->code && !is_sign(p, "}")) {
        add(p, &n->items, expression(p));
        expect(p, ":");
        add(p, &n->items, expression(p));
        if (!accept(p, ",")) break;
    }
    expect(p, "}");
    return n;
}

static const script_node *atom(parser *p)
{
    if (p->t.kind == NUMBER) return number(p);
    if (is_sign(p, "(") || is_sign(p, "[")) return bracketed(p);
    if (is_sign(p, "{")) return dict(p);
    bool constant = is_word(p, "True") || is_word(p, "False");
    if (p->t.kind != NAME && p->t.kind != TEXT && !is_sign(p, "...")) {
        fail(p, "an expression is missing");
        return &dead;
    }
    script_node *n = node(p, p->t.kind == TEXT    ? SCRIPT_TEXT
                             : constant           ? SCRIPT_BOOL
                             : is_word(p, "None") ? SCRIPT_NONE
                                                  : SCRIPT_NAME);
    if (!n) return &dead;
    if (constant) n->v.i = is_word(p, "True");
    else n->v.text = p->t.text;
    next(p);
    while (n->kind == SCRIPT_TEXT && p->t.kind == TEXT) next(p); /* texts beside each other: only messages are */
    return n;
}

static void arguments(parser *p, script_node *call)
{
    while (!p->code && !is_sign(p, ")")) {
        const script_node *x = expression(p);
        if (x->kind == SCRIPT_NAME && is_sign(p, "=")) {
            script_node *k = node(p, SCRIPT_KEYWORD);
            if (!k) return;
            next(p);
            k->v.text = x->v.text;
            k->a = expression(p);
            x = k;
        }
        add(p, &call->items, x);
        if (!accept(p, ",")) break;
    }
    expect(p, ")");
}

static const script_node *subscript(parser *p)
{
    const script_node *from = is_sign(p, ":") ? NULL : expression(p);
    if (is_sign(p, ",")) { /* x[a, b] */
        script_node *t = node(p, SCRIPT_TUPLE);
        if (!t) return &dead;
        add(p, &t->items, from ? from : &dead);
        while (!p->code && accept(p, ",") && !is_sign(p, "]")) add(p, &t->items, expression(p));
        return t;
    }
    if (!is_sign(p, ":")) return from ? from : &dead;
    script_node *s = node(p, SCRIPT_SLICE);
    if (!s) return &dead;
    next(p);
    s->a = from;
    if (!is_sign(p, "]") && !is_sign(p, ":")) s->b = expression(p);
    if (accept(p, ":") && !is_sign(p, "]")) s->c = expression(p);
    return s;
}

static const script_node *postfix(parser *p)
{
    const script_node *x = atom(p);
    while (!p->code && (is_sign(p, ".") || is_sign(p, "(") || is_sign(p, "["))) {
        script_node *n = node(p, is_sign(p, ".") ? SCRIPT_ATTRIBUTE : is_sign(p, "(") ? SCRIPT_CALL : SCRIPT_INDEX);
        if (!n) return &dead;
        n->a = x;
        next(p);
        if (n->kind == SCRIPT_ATTRIBUTE) {
            n->v.text = p->t.text;
            if (p->t.kind != NAME) fail(p, "a name is missing");
            next(p);
        } else if (n->kind == SCRIPT_CALL) {
            arguments(p, n);
        } else {
            n->b = subscript(p);
            expect(p, "]");
        }
        x = n;
    }
    return x;
}

static const script_node *operation(parser *p, str sign, const script_node *a, const script_node *b)
{
    script_node *n = node(p, SCRIPT_OPERATOR);
    if (!n) return &dead;
    n->v.text = sign;
    n->a = a;
    n->b = b;
    return n;
}

static const script_node *unary(parser *p)
{
    if (!is_sign(p, "-") && !is_sign(p, "+") && !is_sign(p, "~") && !is_word(p, "not")) return postfix(p);
    str sign = p->t.text;
    if (!enter(p)) return &dead;
    next(p);
    const script_node *x = unary(p);
    p->depth--;
    return operation(p, sign, x, NULL);
}

static int precedence(const parser *p)
{
    static const struct {
        const char *sign;
        int level;
    } levels[] = {{"or", 1}, {"and", 2}, {"==", 3}, {"!=", 3}, {"<", 3}, {">", 3}, {"<=", 3},
                  {">=", 3}, {"in", 3},  {"is", 3}, {"|", 4},  {"^", 4}, {"&", 4}, {"+", 5},
                  {"-", 5},  {"*", 6},   {"/", 6},  {"//", 6}, {"%", 6}, {"@", 6}, {"**", 7}};
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++)
        if (is_sign(p, levels[i].sign) || is_word(p, levels[i].sign)) return levels[i].level;
    return 0;
}

static const script_node *binary(parser *p, int least)
{
    const script_node *x = unary(p);
    for (int level; !p->code && (level = precedence(p)) >= least && level;) {
        str sign = p->t.text;
        next(p);
        if (str_is(sign, "is") && accept(p, "not")) sign = STR("isnot");
        if (!enter(p)) return &dead;
        const script_node *y = binary(p, level + 1);
        p->depth--;
        x = operation(p, sign, x, y);
    }
    return x;
}

static const script_node *expression(parser *p)
{
    if (!enter(p)) return &dead;
    const script_node *x = binary(p, 1);
    if (is_word(p, "if")) {
        script_node *n = node(p, SCRIPT_CHOICE);
        next(p);
        if (n) {
            n->a = x;
            n->b = expression(p);
            expect(p, "else");
            n->c = expression(p);
            x = n;
        }
    }
    p->depth--;
    return x;
}

/* a, b, c without brackets */
static const script_node *expressions(parser *p)
{
    const script_node *x = expression(p);
    if (!is_sign(p, ",")) return x;
    script_node *t = node(p, SCRIPT_TUPLE);
    if (!t) return &dead;
    add(p, &t->items, x);
    while (!p->code && accept(p, ",")) {
        if (p->t.kind == LINE_END || is_sign(p, "=") || is_sign(p, ":")) break;
        add(p, &t->items, expression(p));
    }
    return t;
}

/* ---- statements ---- */

static void block(parser *p, script_list *out);

static void line_end(parser *p)
{
    accept(p, ";");
    if (p->t.kind == LINE_END) next(p);
    else if (p->t.kind != END && p->t.kind != DEDENT) fail(p, "the line goes on");
}

static void if_rest(parser *p, script_node *n)
{
    n->a = expression(p);
    block(p, &n->items);
    if (is_word(p, "elif") && enter(p)) {
        script_node *inner = node(p, SCRIPT_IF);
        next(p);
        if (inner) {
            if_rest(p, inner);
            add(p, &n->others, inner);
        }
        p->depth--;
    } else if (accept(p, "else")) {
        block(p, &n->others);
    }
}

static const script_node *definition(parser *p)
{
    script_node *n = node(p, SCRIPT_DEF);
    if (!n) return &dead;
    n->v.text = p->t.text;
    if (p->t.kind != NAME) fail(p, "a name is missing");
    next(p);
    expect(p, "(");
    while (!p->code && !is_sign(p, ")")) {
        accept(p, "*"); /* what follows is given by keyword alone */
        if (accept(p, ",")) continue;
        script_node *arg = node(p, SCRIPT_ARGUMENT);
        if (!arg) return &dead;
        arg->v.text = p->t.text;
        if (p->t.kind != NAME) fail(p, "a name is missing");
        next(p);
        if (accept(p, ":")) arg->b = expression(p);
        if (accept(p, "=")) arg->a = expression(p);
        add(p, &n->others, arg);
        if (!accept(p, ",")) break;
    }
    expect(p, ")");
    if (accept(p, "->")) n->a = expression(p);
    block(p, &n->items);
    return n;
}

static const script_node *class_of(parser *p)
{
    script_node *n = node(p, SCRIPT_CLASS);
    if (!n) return &dead;
    n->v.text = p->t.text;
    if (p->t.kind != NAME) fail(p, "a name is missing");
    next(p);
    if (accept(p, "(")) {
        if (!is_sign(p, ")")) n->a = expressions(p);
        expect(p, ")");
    }
    block(p, &n->items);
    return n;
}

/* targets = value, targets : type = value, or an expression alone */
static const script_node *simple(parser *p)
{
    script_node *n = node(p, SCRIPT_DO);
    if (!n) return &dead;
    n->a = expressions(p);
    if (accept(p, ":")) {
        n->kind = SCRIPT_ASSIGN;
        add(p, &n->items, n->a);
        n->b = expression(p);
        n->a = NULL;
        if (accept(p, "=")) n->a = expressions(p);
    } else {
        while (!p->code && accept(p, "=")) {
            n->kind = SCRIPT_ASSIGN;
            add(p, &n->items, n->a);
            n->a = expressions(p);
        }
    }
    line_end(p);
    return n;
}

static const script_node *word_statement(parser *p, script_kind kind, bool value)
{
    script_node *n = node(p, kind);
    next(p);
    if (!n) return &dead;
    if (value && p->t.kind != LINE_END && p->t.kind != END && p->t.kind != DEDENT) n->a = expressions(p);
    line_end(p);
    return n;
}

static const script_node *compound(parser *p, script_kind kind)
{
    script_node *n = node(p, kind);
    next(p);
    if (!n) return &dead;
    if (kind == SCRIPT_FOR) {
        /* a name, or names: not an expression, which would take `in` as an operator */
        n->b = postfix(p);
        expect(p, "in");
    }
    n->a = expression(p);
    if (kind == SCRIPT_WITH && accept(p, "as")) n->b = postfix(p);
    block(p, &n->items);
    return n;
}

static const script_node *statement(parser *p)
{
    static const struct {
        const char *word;
        script_kind kind;
        bool compound, value;
    } words[] = {{"return", SCRIPT_RETURN, false, true}, {"pass", SCRIPT_PASS, false, false},
                 {"break", SCRIPT_BREAK, false, false},  {"continue", SCRIPT_CONTINUE, false, false},
                 {"raise", SCRIPT_RAISE, false, true},   {"assert", SCRIPT_PASS, false, true},
                 {"del", SCRIPT_PASS, false, true},      {"import", SCRIPT_PASS, false, true},
                 {"while", SCRIPT_WHILE, true, false},   {"for", SCRIPT_FOR, true, false},
                 {"with", SCRIPT_WITH, true, false}};
    if (accept(p, "def")) return definition(p);
    if (accept(p, "class")) return class_of(p);
    if (is_word(p, "if")) {
        script_node *n = node(p, SCRIPT_IF);
        next(p);
        if (n) if_rest(p, n);
        return n ? n : &dead;
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (is_word(p, words[i].word))
            return words[i].compound ? compound(p, words[i].kind) : word_statement(p, words[i].kind, words[i].value);
    return simple(p);
}

static void block(parser *p, script_list *out)
{
    expect(p, ":");
    if (p->t.kind != LINE_END) { /* on the same line */
        if (!p->code) add(p, out, statement(p));
        return;
    }
    next(p);
    if (p->t.kind != INDENT) {
        fail(p, "a block is missing");
        return;
    }
    next(p);
    if (!enter(p)) return;
    while (!p->code && p->t.kind != DEDENT && p->t.kind != END) {
        if (p->t.kind == INDENT) fail(p, "a line is indented too far");
        else add(p, out, statement(p));
    }
    p->depth--;
    if (p->t.kind == DEDENT) next(p);
}

pg_code script_parse(span source, arena *a, script_list *out, pg_error *e)
{
    pg_error local = PG_ERROR_INIT;
    parser p = {.in = span_str(source), .a = a, .e = e ? e : &local, .line = 1, .line_start = true, .n_indents = 1};
    p.t.kind = LINE_END;
    memset(out, 0, sizeof *out);
    next(&p);
    while (!p.code && p.t.kind != END) {
        if (p.t.kind == INDENT || p.t.kind == DEDENT) fail(&p, "a line is indented without a reason");
        else if (p.t.kind == LINE_END) next(&p);
        else add(&p, out, statement(&p));
    }
    return p.code;
}
