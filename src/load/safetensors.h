/* The tensors of safetensors files as weights, packed ones as the weights that they stand for. */
#ifndef LOAD_SAFETENSORS_H
#define LOAD_SAFETENSORS_H

#include "load/weights.h"

/* Appends the tensors of one file to a growing list in the arena. */
typedef struct weight_list {
    arena *a;
    load_weight *w;
    size_t count, cap;
} weight_list;

pg_code safetensors_append(weight_list *list, span file, pg_error *e);
/* Once all are there: packed weights become what they stand for (GPTQ, AWQ, bitsandbytes, mxfp4, nvfp4, compressed-tensors), and what
 * goes with them (scales, zero points, tables) becomes buffers. False: out of memory. */
bool safetensors_unpack(weight_list *list);
/* Holds graph.language against the tensors that lie in `in` or beside it, where there are any: a warning says what differs. */
pg_code safetensors_compare(graph *g, const load_input *in, pg_error *e);

#endif
