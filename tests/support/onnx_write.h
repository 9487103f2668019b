/* Writes a graph as an ONNX file: what a test or a bench loads instead of a file that somebody exported. */
#ifndef SUPPORT_ONNX_WRITE_H
#define SUPPORT_ONNX_WRITE_H

#include "graph/graph.h"

typedef struct onnx_write_options {
    bool no_weights; /* weights have a type and dims but no contents */
    bool pad;        /* an unused tensor stands behind each weight: files of any size then hold the same graph */
    uint64_t size;   /* with `pad`: what those tensors hold together, in bytes */
    int64_t opset;   /* 0: 22 */
} onnx_write_options;

/* Weights are zeros; those that are large are left out of the disk as holes. Of shapes, symbols and plain numbers can be
 * written, and graphs without control flow. `options` may be NULL. */
pg_code onnx_write(const graph *g, const char *path, const onnx_write_options *options, pg_error *e);

/* A built-in model by name. */
pg_code onnx_write_builtin(const char *name, const char *path, const onnx_write_options *options, pg_error *e);

#endif
