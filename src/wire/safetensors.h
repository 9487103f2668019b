/* safetensors, read from its header alone:
 *
 * 1. 8 bytes: the length of the header, little-endian.
 * 2. The header, a JSON object: {"NAME": {"dtype": "BF16", "shape": [4096, 4096], "data_offsets": [0, 33554432]}, ...}, and at most one
 *    "__metadata__": {"key": "text", ...}. Spaces may follow it.
 * 3. The data. Offsets count from its start; the tensors fill it without gaps and don't overlap.
 *
 * A name twice, an offset outside, a gap, an overlap, or a size that dtype and shape contradict are errors, as in the reference
 * implementation. */
#ifndef WIRE_SAFETENSORS_H
#define WIRE_SAFETENSORS_H

#include "wire/span.h"

enum { SAFETENSORS_RANK = 8, SAFETENSORS_HEADER_MOST = 100 << 20 };

typedef struct safetensors_tensor {
    str name;  /* as in the header: an escape stays one */
    str dtype; /* "BF16" */
    int rank;
    int64_t dims[SAFETENSORS_RANK];
    uint64_t begin, end; /* bytes of the data */
} safetensors_tensor;

typedef struct safetensors_dtype {
    const char *name;
    unsigned bits;
} safetensors_dtype;

/* All tensors of a file, in the order of the header; the array is the arena's. */
pg_code safetensors_read(span file, arena *a, safetensors_tensor **tensors, size_t *count, pg_error *e);

#endif
