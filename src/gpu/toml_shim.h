/* TOML text to a tree of plain nodes: a thin C door to toml++, which stays behind it with its exceptions.
 *
 * Children keep the order of the file. Every node knows where its value and its key stand, so that whoever reads the
 * tree can say file, line and column. All of it lives in the arena; the text may go away. */
#ifndef GPU_TOML_SHIM_H
#define GPU_TOML_SHIM_H

#include "base/str.h"
#include "phantom/error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum toml_kind { TOML_TABLE, TOML_ARRAY, TOML_TEXT, TOML_INT, TOML_REAL, TOML_BOOL, TOML_TIME } toml_kind;

typedef struct toml_node toml_node;
struct toml_node {
    toml_kind kind;
    uint32_t count;                /* of children: tables and arrays */
    uint32_t line, column;         /* of the value; 1-based */
    uint32_t key_line, key_column; /* of the key; as the value where there is none */
    str key;                       /* empty for the root and for what stands in an array */
    union {
        str text;
        int64_t integer;
        double real;
        bool boolean;
        toml_node *first; /* child, then its `next` */
    } is;
    toml_node *next;
};

/* Limits that keep hostile nesting from exhausting the stack; far above what a sane file has. */
enum { TOML_DEPTH_MAX = 16, TOML_DOTS_MAX = 64 };

/* Parses `text`; `source` is what errors call the file. PG_E_FORMAT with line and column where it is not valid TOML,
 * PG_E_LIMIT where it is nested too deeply, PG_E_NOMEM. */
pg_code toml_parse(arena *a, str text, const char *source, toml_node **out, pg_error *e);

/* The child of a table by its key, or NULL. */
const toml_node *toml_child(const toml_node *table, const char *key);
/* "a number", "a table", ...: for error texts. */
const char *toml_kind_name(toml_kind kind);

/* Used by toml_parse before toml++ sees the text: refuses brackets nested over TOML_DEPTH_MAX and lines with more than
 * TOML_DOTS_MAX dots outside strings, since toml++ 3.3 bounds neither dotted keys nor the recursion over them. */
pg_code toml_guard(str text, pg_error *e);

#ifdef __cplusplus
}
#endif
#endif
