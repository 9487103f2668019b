/* From a file to a graph: one file per format, one registry that looks at the bytes. */
#ifndef LOAD_LOAD_H
#define LOAD_LOAD_H

#include "graph/graph.h"
#include "wire/span.h"

typedef struct load_options {
    const char *format; /* NULL: the bytes decide */
    uint64_t memory_limit;
    uint32_t max_depth; /* nesting of subgraphs and functions; 0: 64 */
    bool mapped;        /* the bytes are a load_file's: load_file_drop may be called on them */
} load_options;

/* A format. `probe` looks at the bytes and never fails: 0 = no, 100 = certain (magic number); structure scores between.
 * `load` fills an initialised graph whose strings may point into the file. */
typedef struct load_format {
    const char *name;       /* what --format takes */
    const char *title;      /* what a person calls it */
    const char *extensions; /* ".onnx .pb", separated by a space */
    int (*probe)(span file, const char *path);
    pg_code (*load)(graph *g, span file, const char *path, const load_options *options, pg_error *e);
} load_format;

enum { LOAD_BY_NAME = 10 }; /* the score of a file whose name alone speaks for the format */

extern const load_format load_onnx_format;

/* Format i in the registry, or NULL past the end. */
const load_format *load_format_at(size_t i);

/* The format of the bytes, or NULL: then *e says what they look like instead. Two formats with one score are PG_E_AMBIGUOUS. */
const load_format *load_detect(span file, const char *path, const char *format, pg_error *e);

/* A file mapped read-only. Reading weights is never needed, so only the pages that are looked at become resident.
 * It stays mapped as long as the model lives, since names point into it. Removing or replacing the file is harmless; but who cuts
 * the same file off meanwhile makes reads behind its new end fatal (SIGBUS), as with any mapped file: a library can't catch that.
 * Download to another name and rename, as every tool does that can be trusted with large files. */
typedef struct load_file {
    span bytes;
    void *map;
    size_t map_len;
} load_file;

pg_code load_file_open(load_file *f, const char *path, pg_error *e);
void load_file_close(load_file *f);
/* Lets go of the resident pages within bytes that were looked at; they can be looked at again. */
void load_file_drop(span bytes);

#endif
