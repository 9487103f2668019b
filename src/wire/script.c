#include "wire/script_internal.h"

/* ---- nodes ---- */

static const script_node dead = {.kind = SCRIPT_NONE};

static script_node *node(script_parser *p, script_kind kind)
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

static void add(script_parser *p, script_list *l, const script_node *n)
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

static bool enter(script_parser *p)
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

static const script_node *expression(script_parser *p);

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

static const script_node *number(script_parser *p)
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
    else if (!parse_float(s, &n->v.f)) script_fail(p, "no number");
    script_next(p);
    return n;
}

/* Items up to the closing bracket; *comma: there was one at the end, or between two. */
static void items(script_parser *p, script_list *l, const char *close, bool *comma)
{
    *comma = false;
    while (!p->code && !script_is_sign(p, close)) {
        add(p, l, expression(p));
        if (!script_is_sign(p, ",")) break;
        *comma = true;
        script_next(p);
    }
    script_expect(p, close);
}

static const script_node *bracketed(script_parser *p)
{
    bool comma, tuple = script_accept(p, "(");
    script_node *n = node(p, tuple ? SCRIPT_TUPLE : SCRIPT_LIST);
    if (!n) return &dead;
    if (!tuple) script_expect(p, "[");
    items(p, &n->items, tuple ? ")" : "]", &comma);
    return tuple && n->items.n == 1 && !comma ? n->items.v[0] : n;
}

static const script_node *dict(script_parser *p)
{
    script_node *n = node(p, SCRIPT_DICT);
    if (!n) return &dead;
    script_expect(p, "{");
    while (!p->code && !script_is_sign(p, "}")) {
        add(p, &n->items, expression(p));
        script_expect(p, ":");
        add(p, &n->items, expression(p));
        if (!script_accept(p, ",")) break;
    }
    script_expect(p, "}");
    return n;
}

static const script_node *atom(script_parser *p)
{
    if (p->t.kind == TOKEN_NUMBER) return number(p);
    if (script_is_sign(p, "(") || script_is_sign(p, "[")) return bracketed(p);
    if (script_is_sign(p, "{")) return dict(p);
    bool constant = script_is_word(p, "True") || script_is_word(p, "False");
    if (p->t.kind != TOKEN_NAME && p->t.kind != TOKEN_TEXT && !script_is_sign(p, "...")) {
        script_fail(p, "an expression is missing");
        return &dead;
    }
    script_node *n = node(p, p->t.kind == TOKEN_TEXT     ? SCRIPT_TEXT
                             : constant                  ? SCRIPT_BOOL
                             : script_is_word(p, "None") ? SCRIPT_NONE
                                                         : SCRIPT_NAME);
    if (!n) return &dead;
    if (constant) n->v.i = script_is_word(p, "True");
    else n->v.text = p->t.text;
    script_next(p);
    while (n->kind == SCRIPT_TEXT && p->t.kind == TOKEN_TEXT)
        script_next(p); /* texts beside each other: only messages are */
    return n;
}

static void arguments(script_parser *p, script_node *call)
{
    while (!p->code && !script_is_sign(p, ")")) {
        const script_node *x = expression(p);
        if (x->kind == SCRIPT_NAME && script_is_sign(p, "=")) {
            script_node *k = node(p, SCRIPT_KEYWORD);
            if (!k) return;
            script_next(p);
            k->v.text = x->v.text;
            k->a = expression(p);
            x = k;
        }
        add(p, &call->items, x);
        if (!script_accept(p, ",")) break;
    }
    script_expect(p, ")");
}

static const script_node *subscript(script_parser *p)
{
    const script_node *from = script_is_sign(p, ":") ? NULL : expression(p);
    if (script_is_sign(p, ",")) { /* x[a, b] */
        script_node *t = node(p, SCRIPT_TUPLE);
        if (!t) return &dead;
        add(p, &t->items, from ? from : &dead);
        while (!p->code && script_accept(p, ",") && !script_is_sign(p, "]")) add(p, &t->items, expression(p));
        return t;
    }
    if (!script_is_sign(p, ":")) return from ? from : &dead;
    script_node *s = node(p, SCRIPT_SLICE);
    if (!s) return &dead;
    script_next(p);
    s->a = from;
    if (!script_is_sign(p, "]") && !script_is_sign(p, ":")) s->b = expression(p);
    if (script_accept(p, ":") && !script_is_sign(p, "]")) s->c = expression(p);
    return s;
}

static const script_node *postfix(script_parser *p)
{
    const script_node *x = atom(p);
    while (!p->code && (script_is_sign(p, ".") || script_is_sign(p, "(") || script_is_sign(p, "["))) {
        script_node *n = node(p, script_is_sign(p, ".")   ? SCRIPT_ATTRIBUTE
                                 : script_is_sign(p, "(") ? SCRIPT_CALL
                                                          : SCRIPT_INDEX);
        if (!n) return &dead;
        n->a = x;
        script_next(p);
        if (n->kind == SCRIPT_ATTRIBUTE) {
            n->v.text = p->t.text;
            if (p->t.kind != TOKEN_NAME) script_fail(p, "a name is missing");
            script_next(p);
        } else if (n->kind == SCRIPT_CALL) {
            arguments(p, n);
        } else {
            n->b = subscript(p);
            script_expect(p, "]");
        }
        x = n;
    }
    return x;
}

static const script_node *operation(script_parser *p, str sign, const script_node *a, const script_node *b)
{
    script_node *n = node(p, SCRIPT_OPERATOR);
    if (!n) return &dead;
    n->v.text = sign;
    n->a = a;
    n->b = b;
    return n;
}

static const script_node *unary(script_parser *p)
{
    if (!script_is_sign(p, "-") && !script_is_sign(p, "+") && !script_is_sign(p, "~") && !script_is_word(p, "not"))
        return postfix(p);
    str sign = p->t.text;
    if (!enter(p)) return &dead;
    script_next(p);
    const script_node *x = unary(p);
    p->depth--;
    return operation(p, sign, x, NULL);
}

static int precedence(const script_parser *p)
{
    static const struct {
        const char *sign;
        int level;
    } levels[] = {{"or", 1}, {"and", 2}, {"==", 3}, {"!=", 3}, {"<", 3}, {">", 3}, {"<=", 3},
                  {">=", 3}, {"in", 3},  {"is", 3}, {"|", 4},  {"^", 4}, {"&", 4}, {"+", 5},
                  {"-", 5},  {"*", 6},   {"/", 6},  {"//", 6}, {"%", 6}, {"@", 6}, {"**", 7}};
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++)
        if (script_is_sign(p, levels[i].sign) || script_is_word(p, levels[i].sign)) return levels[i].level;
    return 0;
}

static const script_node *binary(script_parser *p, int least)
{
    const script_node *x = unary(p);
    for (int level; !p->code && (level = precedence(p)) >= least && level;) {
        str sign = p->t.text;
        script_next(p);
        if (str_is(sign, "is") && script_accept(p, "not")) sign = STR("isnot");
        if (!enter(p)) return &dead;
        const script_node *y = binary(p, level + 1);
        p->depth--;
        x = operation(p, sign, x, y);
    }
    return x;
}

static const script_node *expression(script_parser *p)
{
    if (!enter(p)) return &dead;
    const script_node *x = binary(p, 1);
    if (script_is_word(p, "if")) {
        script_node *n = node(p, SCRIPT_CHOICE);
        script_next(p);
        if (n) {
            n->a = x;
            n->b = expression(p);
            script_expect(p, "else");
            n->c = expression(p);
            x = n;
        }
    }
    p->depth--;
    return x;
}

/* a, b, c without brackets */
static const script_node *expressions(script_parser *p)
{
    const script_node *x = expression(p);
    if (!script_is_sign(p, ",")) return x;
    script_node *t = node(p, SCRIPT_TUPLE);
    if (!t) return &dead;
    add(p, &t->items, x);
    while (!p->code && script_accept(p, ",")) {
        if (p->t.kind == TOKEN_LINE_END || script_is_sign(p, "=") || script_is_sign(p, ":")) break;
        add(p, &t->items, expression(p));
    }
    return t;
}

/* ---- statements ---- */

static void block(script_parser *p, script_list *out);

static void line_end(script_parser *p)
{
    script_accept(p, ";");
    if (p->t.kind == TOKEN_LINE_END) script_next(p);
    else if (p->t.kind != TOKEN_END && p->t.kind != TOKEN_DEDENT) script_fail(p, "the line goes on");
}

static void if_rest(script_parser *p, script_node *n)
{
    n->a = expression(p);
    block(p, &n->items);
    if (script_is_word(p, "elif") && enter(p)) {
        script_node *inner = node(p, SCRIPT_IF);
        script_next(p);
        if (inner) {
            if_rest(p, inner);
            add(p, &n->others, inner);
        }
        p->depth--;
    } else if (script_accept(p, "else")) {
        block(p, &n->others);
    }
}

static const script_node *definition(script_parser *p)
{
    script_node *n = node(p, SCRIPT_DEF);
    if (!n) return &dead;
    n->v.text = p->t.text;
    if (p->t.kind != TOKEN_NAME) script_fail(p, "a name is missing");
    script_next(p);
    script_expect(p, "(");
    while (!p->code && !script_is_sign(p, ")")) {
        script_accept(p, "*"); /* what follows is given by keyword alone */
        if (script_accept(p, ",")) continue;
        script_node *arg = node(p, SCRIPT_ARGUMENT);
        if (!arg) return &dead;
        arg->v.text = p->t.text;
        if (p->t.kind != TOKEN_NAME) script_fail(p, "a name is missing");
        script_next(p);
        if (script_accept(p, ":")) arg->b = expression(p);
        if (script_accept(p, "=")) arg->a = expression(p);
        add(p, &n->others, arg);
        if (!script_accept(p, ",")) break;
    }
    script_expect(p, ")");
    if (script_accept(p, "->")) n->a = expression(p);
    block(p, &n->items);
    return n;
}

static const script_node *class_of(script_parser *p)
{
    script_node *n = node(p, SCRIPT_CLASS);
    if (!n) return &dead;
    n->v.text = p->t.text;
    if (p->t.kind != TOKEN_NAME) script_fail(p, "a name is missing");
    script_next(p);
    if (script_accept(p, "(")) {
        if (!script_is_sign(p, ")")) n->a = expressions(p);
        script_expect(p, ")");
    }
    block(p, &n->items);
    return n;
}

/* targets = value, targets : type = value, or an expression alone */
static const script_node *simple(script_parser *p)
{
    script_node *n = node(p, SCRIPT_DO);
    if (!n) return &dead;
    n->a = expressions(p);
    if (script_accept(p, ":")) {
        n->kind = SCRIPT_ASSIGN;
        add(p, &n->items, n->a);
        n->b = expression(p);
        n->a = NULL;
        if (script_accept(p, "=")) n->a = expressions(p);
    } else {
        while (!p->code && script_accept(p, "=")) {
            n->kind = SCRIPT_ASSIGN;
            add(p, &n->items, n->a);
            n->a = expressions(p);
        }
    }
    line_end(p);
    return n;
}

static const script_node *word_statement(script_parser *p, script_kind kind, bool value)
{
    script_node *n = node(p, kind);
    script_next(p);
    if (!n) return &dead;
    if (value && p->t.kind != TOKEN_LINE_END && p->t.kind != TOKEN_END && p->t.kind != TOKEN_DEDENT)
        n->a = expressions(p);
    line_end(p);
    return n;
}

static const script_node *compound(script_parser *p, script_kind kind)
{
    script_node *n = node(p, kind);
    script_next(p);
    if (!n) return &dead;
    if (kind == SCRIPT_FOR) {
        /* a name, or names: not an expression, which would take `in` as an operator */
        n->b = postfix(p);
        script_expect(p, "in");
    }
    n->a = expression(p);
    if (kind == SCRIPT_WITH && script_accept(p, "as")) n->b = postfix(p);
    block(p, &n->items);
    return n;
}

static const script_node *statement(script_parser *p)
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
    if (script_accept(p, "def")) return definition(p);
    if (script_accept(p, "class")) return class_of(p);
    if (script_is_word(p, "if")) {
        script_node *n = node(p, SCRIPT_IF);
        script_next(p);
        if (n) if_rest(p, n);
        return n ? n : &dead;
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (script_is_word(p, words[i].word))
            return words[i].compound ? compound(p, words[i].kind) : word_statement(p, words[i].kind, words[i].value);
    return simple(p);
}

static void block(script_parser *p, script_list *out)
{
    script_expect(p, ":");
    if (p->t.kind != TOKEN_LINE_END) { /* on the same line */
        if (!p->code) add(p, out, statement(p));
        return;
    }
    script_next(p);
    if (p->t.kind != TOKEN_INDENT) {
        script_fail(p, "a block is missing");
        return;
    }
    script_next(p);
    if (!enter(p)) return;
    while (!p->code && p->t.kind != TOKEN_DEDENT && p->t.kind != TOKEN_END) {
        if (p->t.kind == TOKEN_INDENT) script_fail(p, "a line is indented too far");
        else add(p, out, statement(p));
    }
    p->depth--;
    if (p->t.kind == TOKEN_DEDENT) script_next(p);
}

pg_code script_parse(span source, arena *a, script_list *out, pg_error *e)
{
    pg_error local = PG_ERROR_INIT;
    script_parser p = {
        .in = span_str(source), .a = a, .e = e ? e : &local, .line = 1, .line_start = true, .n_indents = 1};
    p.t.kind = TOKEN_LINE_END;
    memset(out, 0, sizeof *out);
    script_next(&p);
    while (!p.code && p.t.kind != TOKEN_END) {
        if (p.t.kind == TOKEN_INDENT || p.t.kind == TOKEN_DEDENT)
            script_fail(&p, "a line is indented without a reason");
        else if (p.t.kind == TOKEN_LINE_END) script_next(&p);
        else add(&p, out, statement(&p));
    }
    return p.code;
}
