/* Files of weights without a graph: state dicts, checkpoints, safetensors, weights-only HDF5. */
#ifndef LOAD_WEIGHTS_H
#define LOAD_WEIGHTS_H

#include "load/load.h"

typedef struct load_weight {
    str name;
    dtype type;
    int rank; /* 0 to 8 */
    int64_t dims[8];
    bool buffer;    /* known not to be trained: running statistics, counters */
    uint64_t bytes; /* as stored; 0: what type and dims say */
} load_weight;

/* Parameters in them: elements of what is trained. */
double load_weight_parameters(const load_weight *weights, size_t count);

/* Fills a fresh graph: where `options->architecture` names a built-in model, its graph, once its weights were held against these
 * (PG_E_USAGE says what differs); else the weights, with graph.missing saying what is known and what would help. */
pg_code load_weights_alone(graph *g, const load_weight *weights, size_t count, const load_options *options,
                           pg_error *e);

#endif
