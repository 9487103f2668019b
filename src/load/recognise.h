/* Which built-in model weights are of, told by their shapes. */
#ifndef LOAD_RECOGNISE_H
#define LOAD_RECOGNISE_H

#include "load/weights.h"
#include "zoo/zoo.h"

typedef struct recognised {
    const zoo_entry *entry;                    /* NULL: none of the built-in models */
    const zoo_entry *other;                    /* another model of the very same shapes; NULL: none */
    uint32_t matched, of;                      /* matrices and kernels of the model that the file has, of how many */
    uint32_t extra;                            /* of the file that the model has not */
    int64_t head_from, head_to, head_features; /* the model's classes and the file's; 0: they are the same */
    int64_t rows_from, rows_to, rows_features; /* of the vocabulary, likewise */
} recognised;

/* The best of the built-in models, where one is close enough to say so. Memory for the search comes from `alloc`. */
pg_code recognise_weights(recognised *out, const load_weight *weights, size_t count, const graph *g, pg_error *e);
/* Holds the weights against one model. PG_E_USAGE names the first of the model's weights that the file lacks. */
pg_code recognise_named(recognised *out, const zoo_entry *entry, const load_weight *weights, size_t count,
                        const graph *g, pg_error *e);
/* Gives the built graph the head and the vocabulary of the file. */
void recognise_adapt(graph *g, const recognised *r);

#endif
