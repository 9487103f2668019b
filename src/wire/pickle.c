#include "wire/pickle.h"

enum { NAME_MOST = 512 };

static const pickle_value none = {.kind = PICKLE_NONE};
static const pickle_value mark_value = {.kind = PICKLE_MARK};

typedef const pickle_value *value_ref;

typedef struct reader {
    span *in;
    pickle_allow *allow;
    arena *a;
    pg_error *e;
    value_ref *stack;
    uint32_t n, cap;
    value_ref *memo;
    uint32_t memo_n, memo_cap; /* memo_n: one more than the highest that is set */
    size_t length;             /* of the bytes: no memo index needs to be larger */
} reader;

static pg_code damaged(reader *r, const char *what)
{
    return error_at(r->e, PG_E_FORMAT, r->in->base, "the pickle is damaged: %s", what);
}

static pg_code cut_off(reader *r)
{
    return error_at(r->e, PG_E_TRUNCATED, r->in->base + r->in->len,
                    "the pickle ends in the middle of a value; the file is cut off, fetch it again");
}

/* ---- bytes ---- */

static bool take(reader *r, uint64_t n, span *out)
{
    if (n > r->in->len) return false;
    *out = (span){r->in->ptr, (size_t)n, r->in->base};
    *r->in = (span){r->in->ptr + n, r->in->len - (size_t)n, r->in->base + n};
    return true;
}

static bool take_number(reader *r, unsigned bytes, uint64_t *out)
{
    span s;
    *out = 0;
    if (!take(r, bytes, &s)) return false;
    for (unsigned i = bytes; i-- > 0;) *out = *out << 8 | s.ptr[i];
    return true;
}

/* A length and so many bytes. */
static bool take_counted(reader *r, unsigned bytes, span *out)
{
    uint64_t n;
    return take_number(r, bytes, &n) && take(r, n, out);
}

static bool take_line(reader *r, str *out)
{
    const uint8_t *end = r->in->len ? memchr(r->in->ptr, '\n', r->in->len) : NULL;
    span s;
    if (!end || !take(r, (uint64_t)(end - r->in->ptr), &s)) return false;
    *out = span_str(s);
    return take(r, 1, &s);
}

/* ---- the stack ---- */

static pg_code push(reader *r, value_ref v)
{
    if (r->n == r->cap) {
        uint32_t cap = r->cap ? r->cap * 2 : 64;
        value_ref *list = arena_grow(r->a, r->stack, r->cap, cap, sizeof(value_ref));
        if (!list) return error_nomem(r->e, r->a);
        r->stack = list;
        r->cap = cap;
    }
    r->stack[r->n++] = v;
    return PG_E_OK;
}

/* NULL: there is none above the mark. */
static value_ref pop(reader *r)
{
    return r->n && r->stack[r->n - 1] != &mark_value ? r->stack[--r->n] : NULL;
}

static pickle_value *new_value(reader *r, pickle_kind kind)
{
    pickle_value *v = ARENA_NEW(r->a, pickle_value);
    if (v) v->kind = (uint8_t)kind;
    else error_nomem(r->e, r->a);
    return v;
}

static pg_code push_new(reader *r, pickle_kind kind, str text)
{
    pickle_value *v = new_value(r, kind);
    if (!v) return PG_E_NOMEM;
    v->v.text = text;
    return push(r, v);
}

static pg_code push_int(reader *r, pickle_kind kind, int64_t i)
{
    pickle_value *v = new_value(r, kind);
    if (!v) return PG_E_NOMEM;
    v->v.i = i;
    return push(r, v);
}

static pg_code push_float(reader *r, double f)
{
    pickle_value *v = new_value(r, PICKLE_FLOAT);
    if (!v) return PG_E_NOMEM;
    v->v.f = f;
    return push(r, v);
}

/* The values above the last mark, which is taken away; they stay in place until the next push. */
static bool pop_mark(reader *r, value_ref **first, uint32_t *count)
{
    uint32_t at = r->n;
    while (at && r->stack[at - 1] != &mark_value) at--;
    if (!at) return false;
    *first = r->stack + at;
    *count = r->n - at;
    r->n = at - 1;
    return true;
}

static pg_code append(reader *r, pickle_value *to, const value_ref *v, uint32_t count)
{
    if (count > to->cap - to->n) {
        uint32_t cap = to->cap * 2 > to->n + count ? to->cap * 2 : to->n + count;
        value_ref *list = arena_grow(r->a, to->items, to->cap, cap, sizeof *list);
        if (!list) return error_nomem(r->e, r->a);
        to->items = list;
        to->cap = cap;
    }
    for (uint32_t i = 0; i < count; i++) to->items[to->n++] = v[i];
    return PG_E_OK;
}

static pg_code push_list(reader *r, pickle_kind kind, const value_ref *v, uint32_t count)
{
    pickle_value *list = new_value(r, kind);
    if (!list) return PG_E_NOMEM;
    pg_code code = count ? append(r, list, v, count) : PG_E_OK;
    return code ? code : push(r, list);
}

static pg_code push_marked(reader *r, pickle_kind kind)
{
    value_ref *first;
    uint32_t count;
    if (!pop_mark(r, &first, &count)) return damaged(r, "a container without a beginning");
    if (kind == PICKLE_DICT && count % 2) return damaged(r, "a dict with a key and no value");
    return push_list(r, kind, first, count);
}

static pg_code push_top(reader *r, uint32_t count)
{
    if (r->n < count) return damaged(r, "a tuple of more values than there are");
    for (uint32_t i = 0; i < count; i++)
        if (r->stack[r->n - 1 - i] == &mark_value) return damaged(r, "a tuple of more values than there are");
    r->n -= count;
    return push_list(r, PICKLE_TUPLE, r->stack + r->n, count);
}

/* Puts what lies above the mark, or the top `count` values, into the container below. */
static pg_code put_into(reader *r, uint32_t count, bool pairs)
{
    value_ref *first;
    if (!count) {
        if (!pop_mark(r, &first, &count)) return damaged(r, "values to append without a mark");
    } else {
        if (r->n < count) return damaged(r, "a value to append that is not there");
        r->n -= count;
        first = r->stack + r->n;
        for (uint32_t i = 0; i < count; i++)
            if (first[i] == &mark_value) return damaged(r, "a value to append that is not there");
    }
    /* Every container was made by this reader in this arena: the tree is only handed out as const. */
    pickle_value *to = r->n ? (pickle_value *)(uintptr_t)r->stack[r->n - 1] : NULL;
    bool object = to && to->kind == PICKLE_OBJECT;
    if (!to || !(object || (pairs ? to->kind == PICKLE_DICT : to->kind == PICKLE_LIST || to->kind == PICKLE_SET)))
        return damaged(r, "values for something that is no container");
    if (pairs && count % 2) return damaged(r, "a key without a value");
    if (object && to->n && to->pairs != pairs) return PG_E_OK; /* a list that is a dict as well: none that matters */
    to->pairs = object && pairs;
    return count ? append(r, to, first, count) : PG_E_OK;
}

/* ---- memo ---- */

static pg_code memo_put(reader *r, uint64_t at)
{
    if (!r->n || r->stack[r->n - 1] == &mark_value) return damaged(r, "nothing to remember");
    if (at > r->length) return damaged(r, "a number in the memo that is larger than the file");
    if (at >= r->memo_cap) {
        uint32_t cap = (uint32_t)at + 1 > r->memo_cap * 2 ? (uint32_t)at + 1 : r->memo_cap * 2;
        value_ref *list = arena_grow(r->a, r->memo, r->memo_cap, cap < 64 ? 64 : cap, sizeof(value_ref));
        if (!list) return error_nomem(r->e, r->a);
        r->memo = list;
        r->memo_cap = cap < 64 ? 64 : cap;
    }
    r->memo[at] = r->stack[r->n - 1];
    if (at >= r->memo_n) r->memo_n = (uint32_t)at + 1;
    return PG_E_OK;
}

static pg_code memo_get(reader *r, uint64_t at)
{
    if (at >= r->memo_n || !r->memo[at]) return damaged(r, "it refers to a value that it did not keep");
    return push(r, r->memo[at]);
}

/* ---- numbers and text ---- */

static bool parse_int(str s, int64_t *out)
{
    uint64_t v = 0;
    size_t i = 0;
    if (s.len && s.ptr[s.len - 1] == 'L') s.len--;
    bool negative = s.len && s.ptr[0] == '-';
    i += negative;
    if (i == s.len) return false;
    for (; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9' || v > (uint64_t)INT64_MAX / 10 - 1) return false;
        v = v * 10 + (uint64_t)(s.ptr[i] - '0');
    }
    *out = negative ? -(int64_t)v : (int64_t)v;
    return true;
}

static pg_code number_line(reader *r, uint8_t opcode)
{
    str s;
    int64_t v;
    if (!take_line(r, &s)) return cut_off(r);
    if (opcode == 'I' && (str_is(s, "00") || str_is(s, "01"))) return push_int(r, PICKLE_BOOL, s.ptr[1] == '1');
    if (parse_int(s, &v)) return push_int(r, PICKLE_INT, v);
    return opcode == 'F' ? push_float(r, NAN) : push_new(r, PICKLE_LONG, s); /* no float in text matters to a reader */
}

static pg_code long_bytes(reader *r, unsigned bytes)
{
    span s;
    uint64_t v = 0;
    if (!take_counted(r, bytes, &s)) return cut_off(r);
    if (s.len > 8) return push_new(r, PICKLE_LONG, span_str(s));
    for (size_t i = s.len; i-- > 0;) v = v << 8 | s.ptr[i];
    if (s.len && s.len < 8 && s.ptr[s.len - 1] & 0x80) v |= ~0ull << (8 * s.len);
    return push_int(r, PICKLE_INT, (int64_t)v);
}

static pg_code fixed_int(reader *r, unsigned bytes)
{
    uint64_t v;
    if (!take_number(r, bytes, &v)) return cut_off(r);
    return push_int(r, PICKLE_INT, bytes == 4 ? (int64_t)(int32_t)(uint32_t)v : (int64_t)v);
}

static pg_code float_bytes(reader *r)
{
    span s;
    uint64_t v = 0;
    double f;
    if (!take(r, 8, &s)) return cut_off(r);
    for (size_t i = 0; i < 8; i++) v = v << 8 | s.ptr[i];
    memcpy(&f, &v, sizeof f);
    return push_float(r, f);
}

static pg_code text_line(reader *r, pickle_kind kind)
{
    str s;
    if (!take_line(r, &s)) return cut_off(r);
    if (s.len >= 2 && (s.ptr[0] == '\'' || s.ptr[0] == '"') && s.ptr[s.len - 1] == s.ptr[0])
        s = (str){s.ptr + 1, s.len - 2};
    return push_new(r, kind, s);
}

static pg_code counted(reader *r, pickle_kind kind, unsigned bytes)
{
    span s;
    if (!take_counted(r, bytes, &s)) return cut_off(r);
    return push_new(r, kind, span_str(s));
}

/* ---- names and objects ---- */

static pg_code push_global(reader *r, str module, str name)
{
    char text[NAME_MOST];
    size_t n = module.len + 1 + name.len < sizeof text
                 ? format_text(text, sizeof text, "%.*s.%.*s", STR_ARG(module), STR_ARG(name))
                 : sizeof text;
    if (n >= sizeof text) return damaged(r, "a name of more than 500 bytes");
    str copy = str_copy(r->a, (str){text, n});
    return copy.ptr ? push_new(r, PICKLE_GLOBAL, copy) : error_nomem(r->e, r->a);
}

static pg_code global_lines(reader *r)
{
    str module, name;
    if (!take_line(r, &module) || !take_line(r, &name)) return cut_off(r);
    return push_global(r, module, name);
}

static pg_code global_stack(reader *r)
{
    value_ref name = pop(r), module = name ? pop(r) : NULL;
    if (!module || name->kind != PICKLE_TEXT || module->kind != PICKLE_TEXT)
        return damaged(r, "a name that is no text");
    return push_global(r, module->v.text, name->v.text);
}

/* Names come from the file: what a terminal would act on becomes '?'. */
static void printable(char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || (unsigned char)*s == 0x7f) *s = '?';
}

static pg_code refuse(reader *r, str name, pickle_call how)
{
    char text[NAME_MOST];
    format_text(text, sizeof text, "%.*s", STR_ARG(name));
    printable(text);
    return error_at(r->e, PG_E_UNSUPPORTED, r->in->base,
                    "the pickle wants to %s '%.120s' when Python loads it; that is no tensor or state, so the file may "
                    "do harm. Nothing was run. If you trust it, save the state_dict alone",
                    how == PICKLE_RUN ? "call" : "make a", text);
}

static pg_code push_object(reader *r, value_ref of, value_ref args, pickle_call how)
{
    if (!of || !args) return damaged(r, "a call without its arguments");
    /* what a call gave may be called again (functools.partial); only names are known */
    if (of->kind == PICKLE_GLOBAL && !r->allow(of->v.text, how)) return refuse(r, of->v.text, how);
    if (of->kind != PICKLE_GLOBAL && of->kind != PICKLE_PERSISTENT)
        return damaged(r, "it calls something that is no name");
    pickle_value *v = new_value(r, PICKLE_OBJECT);
    if (!v) return PG_E_NOMEM;
    v->v.object.of = of;
    v->v.object.args = args;
    return push(r, v);
}

static pg_code reduce(reader *r, pickle_call how)
{
    value_ref args = pop(r), of = args ? pop(r) : NULL;
    return push_object(r, of, args, how);
}

static pg_code make_with_keywords(reader *r)
{
    return pop(r) ? reduce(r, PICKLE_MAKE) : damaged(r, "a call without its arguments");
}

/* i: module and name as lines, arguments above the mark; o: the class lies above the mark, before its arguments. */
static pg_code make_marked(reader *r, uint8_t opcode)
{
    value_ref of = NULL;
    pg_code code = opcode == 'i' ? global_lines(r) : PG_E_OK;
    if (code) return code;
    if (opcode == 'i') of = pop(r);
    value_ref *first;
    uint32_t count;
    if (!pop_mark(r, &first, &count)) return damaged(r, "a call without a mark");
    if (opcode == 'o') {
        if (!count) return damaged(r, "a call of nothing");
        of = *first++;
        count--;
    }
    code = push_list(r, PICKLE_TUPLE, first, count);
    return code ? code : push_object(r, of, pop(r), PICKLE_RUN);
}

static pg_code build(reader *r)
{
    value_ref state = pop(r);
    pickle_value *to = state && r->n ? (pickle_value *)(uintptr_t)r->stack[r->n - 1] : NULL;
    if (!to || to == &mark_value) return damaged(r, "a state without its object");
    if (to->kind == PICKLE_OBJECT) to->state = state;
    return PG_E_OK;
}

static pg_code persistent(reader *r, value_ref id)
{
    if (!id) return damaged(r, "a persistent object without its id");
    pickle_value *v = new_value(r, PICKLE_PERSISTENT);
    if (!v) return PG_E_NOMEM;
    v->v.object.of = id;
    return push(r, v);
}

static pg_code persistent_line(reader *r)
{
    pg_code code = text_line(r, PICKLE_TEXT);
    return code ? code : persistent(r, pop(r));
}

/* ---- opcodes ---- */

static pg_code run_memo(reader *r, uint8_t opcode)
{
    str line;
    int64_t v;
    uint64_t at;
    switch (opcode) {
    case 'p':
    case 'g':
        if (!take_line(r, &line)) return cut_off(r);
        if (!parse_int(line, &v) || v < 0) return damaged(r, "a number in the memo that is none");
        return opcode == 'p' ? memo_put(r, (uint64_t)v) : memo_get(r, (uint64_t)v);
    case 'q': return take_number(r, 1, &at) ? memo_put(r, at) : cut_off(r);
    case 'r': return take_number(r, 4, &at) ? memo_put(r, at) : cut_off(r);
    case 'h': return take_number(r, 1, &at) ? memo_get(r, at) : cut_off(r);
    case 'j': return take_number(r, 4, &at) ? memo_get(r, at) : cut_off(r);
    default: return memo_put(r, r->memo_n);
    }
}

static pg_code run_object(reader *r, uint8_t opcode)
{
    switch (opcode) {
    case 'c': return global_lines(r);
    case 0x93: return global_stack(r);
    case 'R': return reduce(r, PICKLE_RUN);
    case 0x81: return reduce(r, PICKLE_MAKE);
    case 0x92: return make_with_keywords(r);
    case 'i':
    case 'o': return make_marked(r, opcode);
    case 'b': return build(r);
    case 'P': return persistent_line(r);
    case 'Q': return persistent(r, pop(r));
    default: break;
    }
    return error_at(r->e, PG_E_UNSUPPORTED, r->in->base,
                    "the pickle refers to a registry or buffers outside of the file (opcode 0x%x)", opcode);
}

static pg_code run_container(reader *r, uint8_t opcode)
{
    switch (opcode) {
    case '(': return push(r, &mark_value);
    case 't': return push_marked(r, PICKLE_TUPLE);
    case 'l': return push_marked(r, PICKLE_LIST);
    case 'd': return push_marked(r, PICKLE_DICT);
    case 0x91: return push_marked(r, PICKLE_SET);
    case ')': return push_list(r, PICKLE_TUPLE, NULL, 0);
    case ']': return push_list(r, PICKLE_LIST, NULL, 0);
    case '}': return push_list(r, PICKLE_DICT, NULL, 0);
    case 0x8f: return push_list(r, PICKLE_SET, NULL, 0);
    case 'a': return put_into(r, 1, false);
    case 'e':
    case 0x90: return put_into(r, 0, false);
    case 's': return put_into(r, 2, true);
    case 'u': return put_into(r, 0, true);
    default: return push_top(r, opcode - 0x84u);
    }
}

static pg_code run_stack(reader *r, uint8_t opcode)
{
    value_ref *first;
    uint32_t count;
    if (opcode == '1') return pop_mark(r, &first, &count) ? PG_E_OK : damaged(r, "a mark that is not there");
    if (!r->n) return damaged(r, "its stack is empty");
    if (opcode == '0') {
        r->n--;
        return PG_E_OK;
    }
    return push(r, r->stack[r->n - 1]);
}

static pg_code skip(reader *r, uint64_t n)
{
    span s;
    return take(r, n, &s) ? PG_E_OK : cut_off(r);
}

static pg_code run(reader *r, uint8_t opcode)
{
    switch (opcode) {
    case 0x80: return skip(r, 1);
    case 0x95: return skip(r, 8);
    case 'N': return push(r, &none);
    case 0x88: return push_int(r, PICKLE_BOOL, 1);
    case 0x89: return push_int(r, PICKLE_BOOL, 0);
    case 'I':
    case 'L':
    case 'F': return number_line(r, opcode);
    case 'K': return fixed_int(r, 1);
    case 'M': return fixed_int(r, 2);
    case 'J': return fixed_int(r, 4);
    case 0x8a: return long_bytes(r, 1);
    case 0x8b: return long_bytes(r, 4);
    case 'G': return float_bytes(r);
    case 'S':
    case 'V': return text_line(r, PICKLE_TEXT);
    case 'U':
    case 0x8c: return counted(r, PICKLE_TEXT, 1);
    case 'T':
    case 'X': return counted(r, PICKLE_TEXT, 4);
    case 0x8d: return counted(r, PICKLE_TEXT, 8);
    case 'C': return counted(r, PICKLE_BYTES, 1);
    case 'B': return counted(r, PICKLE_BYTES, 4);
    case 0x8e:
    case 0x96: return counted(r, PICKLE_BYTES, 8);
    case 'p':
    case 'q':
    case 'r':
    case 'g':
    case 'h':
    case 'j':
    case 0x94: return run_memo(r, opcode);
    case '0':
    case '1':
    case '2': return run_stack(r, opcode);
    default: break;
    }
    if (strchr("(tld)]}aesu", opcode) || (opcode >= 0x85 && opcode <= 0x87) || (opcode >= 0x8f && opcode <= 0x91))
        return run_container(r, opcode);
    if (strchr("cRiobPQ", opcode) || (opcode >= 0x81 && opcode <= 0x84) || opcode == 0x92 || opcode == 0x93 ||
        opcode == 0x97 || opcode == 0x98)
        return run_object(r, opcode);
    return error_at(r->e, PG_E_FORMAT, r->in->base - 1, "the pickle is damaged: 0x%x is no opcode", opcode);
}

pg_code pickle_read(span *in, pickle_allow *allow, arena *a, const pickle_value **out, pg_error *e)
{
    pg_error local = PG_ERROR_INIT;
    reader r = {.in = in, .allow = allow, .a = a, .e = e ? e : &local, .length = in->len};
    if (r.length > UINT32_MAX / 2)
        return error_at(r.e, PG_E_LIMIT, in->base, "the pickle is larger than 2 GiB; weights belong beside it");
    span s;
    while (take(&r, 1, &s)) {
        if (s.ptr[0] == '.') {
            *out = pop(&r);
            return *out ? PG_E_OK : damaged(&r, "it ends without a value");
        }
        pg_code code = run(&r, s.ptr[0]);
        if (code) return code;
    }
    return cut_off(&r);
}

/* ---- looking at values ---- */

static const pickle_value *find(const pickle_value *v, const char *key)
{
    if (v->kind != PICKLE_DICT && !(v->kind == PICKLE_OBJECT && v->pairs)) return NULL;
    for (uint32_t i = 0; i + 1 < v->n; i += 2)
        if (v->items[i]->kind == PICKLE_TEXT && str_is(v->items[i]->v.text, key)) return v->items[i + 1];
    return NULL;
}

const pickle_value *pickle_get(const pickle_value *dict, const char *key)
{
    const pickle_value *v = dict ? find(dict, key) : NULL;
    if (v || !dict || dict->kind != PICKLE_OBJECT || !dict->state) return v;
    const pickle_value *s = dict->state;
    if (s->kind != PICKLE_TUPLE) return find(s, key);
    for (uint32_t i = 0; !v && i < s->n && i < 4; i++) v = find(s->items[i], key); /* (state, slots) */
    return v;
}

bool pickle_is(const pickle_value *v, const char *name)
{
    return v && v->kind == PICKLE_OBJECT && v->v.object.of->kind == PICKLE_GLOBAL &&
           str_is(v->v.object.of->v.text, name);
}

const pickle_value *pickle_arg(const pickle_value *object, uint32_t i)
{
    return object && object->kind == PICKLE_OBJECT ? pickle_item(object->v.object.args, i) : NULL;
}

const pickle_value *pickle_item(const pickle_value *list, uint32_t i)
{
    if (!list || (list->kind != PICKLE_TUPLE && list->kind != PICKLE_LIST && list->kind != PICKLE_SET)) return NULL;
    return i < list->n ? list->items[i] : NULL;
}
