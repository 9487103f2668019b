#include "base/error.h"

static const struct {
    pg_code code;
    int exit_status, http_status;
    const char *name, *text;
} rows[] = {
#define PG_ERROR(name, number, exit_status, http_status, text) {PG_E_##name, exit_status, http_status, #name, text},
#include "phantom/errors.def"
#undef PG_ERROR
};

enum { ROWS = sizeof rows / sizeof rows[0] };

static size_t row_of(pg_code code)
{
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].code == code) return i;
    return 0;
}

const char *pg_code_name(pg_code code)
{
    return rows[row_of(code)].name;
}

int pg_code_exit_status(pg_code code)
{
    return rows[row_of(code)].exit_status;
}

int pg_code_http_status(pg_code code)
{
    return rows[row_of(code)].http_status;
}

static pg_code error_setv(pg_error *e, pg_code code, uint64_t offset, const char *fmt, va_list args)
{
    if (!e || e->code != PG_E_OK) return code;
    e->code = code;
    e->offset = offset;
    if (fmt) format_textv(e->text, sizeof e->text, fmt, args);
    else format_text(e->text, sizeof e->text, "%s", rows[row_of(code)].text);
    for (char *p = e->text; *p; p++) /* names come from files: keep the message on one line, without escapes */
        if ((unsigned char)*p < 0x20 || *p == 0x7f) *p = '?';
    return code;
}

pg_code error_set(pg_error *e, pg_code code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    error_setv(e, code, PG_NO_OFFSET, fmt, args);
    va_end(args);
    return code;
}

pg_code error_at(pg_error *e, pg_code code, uint64_t offset, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    error_setv(e, code, offset, fmt, args);
    va_end(args);
    return code;
}

pg_code error_nomem(pg_error *e, const arena *a)
{
    if (a && a->limited)
        return error_set(e, PG_E_LIMIT, "needs more than the limit of %llu MB of memory; the file is not a sane model",
                         (unsigned long long)(a->limit >> 20));
    return error_set(e, PG_E_NOMEM, "out of memory");
}

void error_source(pg_error *e, const char *source)
{
    if (e && !e->source[0]) format_text(e->source, sizeof e->source, "%s", source);
}

void error_path(pg_error *e, const char *fmt, ...)
{
    if (!e || e->path[0]) return;
    va_list args;
    va_start(args, fmt);
    format_textv(e->path, sizeof e->path, fmt, args);
    va_end(args);
    for (char *p = e->path; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f) *p = '?';
}

void error_line(pg_error *e, uint32_t line, uint32_t column)
{
    if (!e || e->line) return;
    e->line = line;
    e->column = column;
}

bool error_is_set(const pg_error *e)
{
    return e && e->code != PG_E_OK;
}
