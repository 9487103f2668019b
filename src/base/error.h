/* Setting pg_error objects: the first error wins; a NULL object is allowed. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "base/format.h"
#include "base/str.h"
#include "phantom/error.h"

/* Sets code and text if the object holds no error yet; returns `code` so that one can write `return error_set(...)`. */
pg_code error_set(pg_error *e, pg_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* The same, with a byte offset in the file. */
pg_code error_at(pg_error *e, pg_code code, uint64_t offset, const char *fmt, ...) PRINTF_LIKE(4, 5);
/* Out of memory, or over the arena's limit, said accordingly. */
pg_code error_nomem(pg_error *e, const arena *a);
/* Fill in where it happened, unless an inner caller already did. */
void error_source(pg_error *e, const char *source);
void error_path(pg_error *e, const char *fmt, ...) PRINTF_LIKE(2, 3);
void error_line(pg_error *e, uint32_t line, uint32_t column);
bool error_is_set(const pg_error *e);

#endif
