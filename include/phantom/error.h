/* The caller-owned error object: fixed size, on the caller's stack, nothing to free. */
#ifndef PHANTOM_ERROR_H
#define PHANTOM_ERROR_H

#include <stdint.h>

#if defined(__GNUC__)
#define PG_API __attribute__((visibility("default")))
#define PG_MUST_USE __attribute__((warn_unused_result))
#else
#define PG_API
#define PG_MUST_USE
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum pg_code {
#define PG_ERROR(name, number, exit_status, http_status, text) PG_E_##name = number,
#include "errors.def"
#undef PG_ERROR
} pg_code;

#define PG_NO_OFFSET UINT64_MAX

/* Every function that can fail takes a `pg_error *` last and returns a pg_code. NULL is allowed everywhere.
 * The first error wins: a second one set on the same object is dropped, so the innermost reason survives.
 * Start from PG_ERROR_INIT and use one object for one call. */
typedef struct pg_error {
    pg_code code;
    uint32_t line;      /* text files: 1-based line and column; 0: unknown */
    uint32_t column;
    uint64_t offset;    /* byte offset in the file, or PG_NO_OFFSET */
    char source[256];   /* the file or option that is at fault; "" when there is none */
    char path[160];     /* the object inside it, for example "graph.node[12] 'Conv_12'" */
    char text[448];     /* what is wrong and what to do about it, one line */
} pg_error;

#define PG_ERROR_INIT {PG_E_OK, 0, 0, PG_NO_OFFSET, "", "", ""}

/* The name of a code ("FORMAT"), the exit status and the HTTP status of its row in errors.def. */
PG_API const char *pg_code_name(pg_code code);
PG_API int pg_code_exit_status(pg_code code);
PG_API int pg_code_http_status(pg_code code);

#ifdef __cplusplus
}
#endif
#endif
