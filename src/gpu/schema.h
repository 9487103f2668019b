/* Reading a TOML table into a C struct by a table of fields, strictly: an unknown key, a wrong type or a value out of
 * its range is an error with file, line, column and the key's full path. Knows nothing of GPUs. */
#ifndef GPU_SCHEMA_H
#define GPU_SCHEMA_H

#include "base/format.h"
#include "gpu/toml_shim.h"

typedef enum schema_kind {
    SCHEMA_TEXT,  /* str */
    SCHEMA_REAL,  /* double; whole numbers are taken too */
    SCHEMA_INT,   /* int */
    SCHEMA_BOOL,  /* bool */
    SCHEMA_REALS, /* double[count]: exactly that many */
    SCHEMA_TEXTS, /* const toml_node *: an array of texts, checked, left for the caller to walk */
} schema_kind;

typedef struct schema_field {
    const char *path; /* tables between the section and the key: "" or "model_performance.cnn" */
    const char *name;
    schema_kind kind;
    size_t offset;   /* in the struct that is filled */
    double min, max; /* of numbers, both included... */
    bool above_min;  /* ... but for min, where this is set */
    unsigned count;  /* SCHEMA_REALS */
} schema_field;

typedef struct schema {
    const schema_field *fields;
    size_t count;
} schema;

typedef struct schema_context {
    arena *strings;      /* where texts are copied to */
    const char *source;  /* the file, for errors */
    const char *section; /* "gpus.rtx4090", for errors */
} schema_context;

/* Fills `out` from `table`. given[i] (may be NULL) is set where the file has field i; the others are left alone. */
pg_code schema_read(const schema *s, const toml_node *table, const schema_context *at, void *out, bool *given,
                    pg_error *e);

/* Sets an error at a node's key or value. Returns `code`. */
pg_code schema_error_key(pg_error *e, pg_code code, const char *source, const toml_node *n, const char *fmt, ...)
    PRINTF_LIKE(5, 6);
pg_code schema_error_value(pg_error *e, pg_code code, const char *source, const toml_node *n, const char *fmt, ...)
    PRINTF_LIKE(5, 6);

#endif
