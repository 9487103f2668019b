#include "gpu/schema.h"

#include "base/error.h"

enum { PATH_MAX_LEN = 128, TEXT_MAX_LEN = 200 };

typedef struct reader {
    const schema *s;
    const schema_context *at;
    unsigned char *out;
    bool *given;
    pg_error *e;
} reader;

static pg_code error_v(pg_error *e, pg_code code, const char *fmt, va_list args)
{
    char text[sizeof e->text];
    format_textv(text, sizeof text, fmt, args);
    return error_set(e, code, "%s", text);
}

pg_code schema_error_key(pg_error *e, pg_code code, const char *source, const toml_node *n, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    error_v(e, code, fmt, args);
    va_end(args);
    error_source(e, source);
    error_line(e, n->key_line, n->key_column);
    return code;
}

pg_code schema_error_value(pg_error *e, pg_code code, const char *source, const toml_node *n, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    error_v(e, code, fmt, args);
    va_end(args);
    error_source(e, source);
    error_line(e, n->line, n->column);
    return code;
}

static void set_path(const reader *r, const char *path, str key)
{
    error_path(r->e, "%s%s%s.%.*s", r->at->section, path[0] ? "." : "", path, STR_ARG(key));
}

/* "model_performance" and "cnn" make "model_performance.cnn". */
static void join(char out[PATH_MAX_LEN], const char *path, str key)
{
    format_text(out, PATH_MAX_LEN, "%s%s%.*s", path, path[0] ? "." : "", STR_ARG(key));
}

/* Is `path` a table of the schema, or one on the way to it? */
static bool is_table(const schema *s, const char *path)
{
    size_t n = strlen(path);
    for (size_t i = 0; i < s->count; i++) {
        const char *p = s->fields[i].path;
        if (strncmp(p, path, n) == 0 && (p[n] == '\0' || p[n] == '.')) return true;
    }
    return false;
}

static void suggest(str key, str name, str *best, unsigned *distance)
{
    char a[64], b[64];
    str fa = {a, str_fold(a, sizeof a, key)}, fb = {b, str_fold(b, sizeof b, name)};
    unsigned d = str_distance(fa, fb, *distance);
    if (d < *distance) {
        *distance = d;
        *best = name;
    }
}

static pg_code unknown_key(const reader *r, const char *path, const toml_node *n)
{
    str best = {NULL, 0};
    unsigned distance = (unsigned)(n->key.len / 3) + 2; /* one more than the largest that is suggested */
    size_t depth = strlen(path);
    for (size_t i = 0; i < r->s->count; i++) {
        const schema_field *f = &r->s->fields[i];
        if (strcmp(f->path, path) == 0) suggest(n->key, str_c(f->name), &best, &distance);
        if (strncmp(f->path, path, depth) != 0 || !f->path[depth]) continue;
        if (depth && f->path[depth] != '.') continue;
        const char *table = f->path + depth + (depth ? 1 : 0);
        suggest(n->key, (str){table, strcspn(table, ".")}, &best, &distance);
    }
    if (best.ptr)
        schema_error_key(r->e, PG_E_CONFIG, r->at->source, n, "unknown key '%.*s'; did you mean '%.*s'?",
                         STR_ARG(n->key), STR_ARG(best));
    else schema_error_key(r->e, PG_E_CONFIG, r->at->source, n, "unknown key '%.*s'", STR_ARG(n->key));
    set_path(r, path, n->key);
    return PG_E_CONFIG;
}

static pg_code wrong_type(const reader *r, const char *path, const toml_node *n, str key, const char *expected)
{
    schema_error_value(r->e, PG_E_CONFIG, r->at->source, n, "must be %s, not %s", expected, toml_kind_name(n->kind));
    set_path(r, path, key);
    return PG_E_CONFIG;
}

static pg_code read_number(const reader *r, const schema_field *f, const toml_node *n, double *out)
{
    if (n->kind != TOML_INT && (n->kind != TOML_REAL || f->kind == SCHEMA_INT))
        return wrong_type(r, f->path, n, str_c(f->name), f->kind == SCHEMA_INT ? "a whole number" : "a number");
    double x = n->kind == TOML_INT ? (double)n->is.integer : n->is.real;
    if (isfinite(x) && x >= f->min && x <= f->max && !(f->above_min && x == f->min)) {
        *out = x;
        return PG_E_OK;
    }
    char value[40] = "not a number", low[40], high[40];
    if (!isnan(x)) format_text(value, sizeof value, "%g", x);
    format_double(low, sizeof low, f->min);
    format_double(high, sizeof high, f->max);
    schema_error_value(r->e, PG_E_CONFIG, r->at->source, n, "is %s, but must be %s %s and at most %s", value,
                       f->above_min ? "greater than" : "at least", low, high);
    set_path(r, f->path, str_c(f->name));
    return PG_E_CONFIG;
}

static pg_code read_text(const reader *r, const schema_field *f, const toml_node *n)
{
    if (n->kind != TOML_TEXT) return wrong_type(r, f->path, n, str_c(f->name), "a text");
    bool clean = n->is.text.len > 0 && n->is.text.len <= TEXT_MAX_LEN;
    for (size_t i = 0; clean && i < n->is.text.len; i++) clean = (unsigned char)n->is.text.ptr[i] >= 0x20;
    if (clean) return PG_E_OK;
    schema_error_value(r->e, PG_E_CONFIG, r->at->source, n, "must be one line of 1 to %d characters", TEXT_MAX_LEN);
    set_path(r, f->path, str_c(f->name));
    return PG_E_CONFIG;
}

static pg_code read_array(const reader *r, const schema_field *f, const toml_node *n)
{
    if (n->kind != TOML_ARRAY)
        return wrong_type(r, f->path, n, str_c(f->name),
                          f->kind == SCHEMA_TEXTS ? "an array of texts" : "an array of numbers");
    if (f->kind == SCHEMA_REALS && n->count != f->count) {
        schema_error_value(r->e, PG_E_CONFIG, r->at->source, n, "has %u values, but must have exactly %u", n->count,
                           f->count);
        set_path(r, f->path, str_c(f->name));
        return PG_E_CONFIG;
    }
    double *reals = (double *)(void *)(r->out + f->offset);
    for (const toml_node *item = n->is.first; item; item = item->next) {
        pg_code code = f->kind == SCHEMA_TEXTS ? read_text(r, f, item) : read_number(r, f, item, reals++);
        if (code != PG_E_OK) return code;
    }
    return PG_E_OK;
}

static pg_code read_value(const reader *r, const schema_field *f, const toml_node *n)
{
    void *to = r->out + f->offset;
    double x = 0;
    pg_code code = PG_E_OK;
    switch (f->kind) {
    case SCHEMA_TEXT: {
        if ((code = read_text(r, f, n)) != PG_E_OK) return code;
        str copy = str_copy(r->at->strings, n->is.text);
        if (!copy.ptr) return error_nomem(r->e, r->at->strings);
        memcpy(to, &copy, sizeof copy);
        return PG_E_OK;
    }
    case SCHEMA_REAL: return read_number(r, f, n, to);
    case SCHEMA_INT:
        if ((code = read_number(r, f, n, &x)) != PG_E_OK) return code;
        *(int *)to = (int)x;
        return PG_E_OK;
    case SCHEMA_BOOL:
        if (n->kind != TOML_BOOL) return wrong_type(r, f->path, n, str_c(f->name), "true or false");
        *(bool *)to = n->is.boolean;
        return PG_E_OK;
    case SCHEMA_REALS: return read_array(r, f, n);
    case SCHEMA_TEXTS:
        if ((code = read_array(r, f, n)) == PG_E_OK) memcpy(to, &n, sizeof n);
        return code;
    }
    return PG_E_OK;
}

/* Recursion is bounded by the schema: only its own tables are entered. */
static pg_code read_table(const reader *r, const toml_node *table, const char *path)
{
    for (const toml_node *n = table->is.first; n; n = n->next) {
        char below[PATH_MAX_LEN];
        pg_code code = PG_E_OK;
        size_t i = 0;
        while (i < r->s->count && !(str_is(n->key, r->s->fields[i].name) && strcmp(r->s->fields[i].path, path) == 0))
            i++;
        join(below, path, n->key);
        if (i < r->s->count) {
            code = read_value(r, &r->s->fields[i], n);
            if (code == PG_E_OK && r->given) r->given[i] = true;
        } else if (!n->key.len || memchr(n->key.ptr, 0, n->key.len) || !is_table(r->s, below)) {
            code = unknown_key(r, path, n);
        } else if (n->kind != TOML_TABLE) {
            code = wrong_type(r, path, n, n->key, "a table");
        } else {
            code = read_table(r, n, below);
        }
        if (code != PG_E_OK) return code;
    }
    return PG_E_OK;
}

pg_code schema_read(const schema *s, const toml_node *table, const schema_context *at, void *out, bool *given,
                    pg_error *e)
{
    reader r = {s, at, out, given, e};
    if (table->kind != TOML_TABLE)
        return schema_error_value(e, PG_E_CONFIG, at->source, table, "%s must be a table, not %s", at->section,
                                  toml_kind_name(table->kind));
    return read_table(&r, table, "");
}
