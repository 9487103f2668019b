/* The dimensions of a language model from GGUF's metadata and the tensors that there are. */
#ifndef LOAD_GGUF_MODEL_H
#define LOAD_GGUF_MODEL_H

#include "base/map.h"
#include "graph/language.h"
#include "wire/gguf.h"

enum { GGUF_LAYERS = 1024, GGUF_MODEL_KINDS = 64 };

typedef struct gguf_arch {
    const char *name; /* general.architecture */
    unsigned flags;
} gguf_arch;

typedef struct gguf_model {
    graph *g;
    pg_error *e;
    gguf meta;
    gguf_tensor *tensors; /* of all parts */
    size_t n_tensors;
    map names;
    const gguf_arch *arch;
    bool failed;
    language_model m;
    lm_layer layers[GGUF_MODEL_KINDS], encoder[GGUF_MODEL_KINDS];
    uint8_t order[GGUF_LAYERS];
} gguf_model;

/* Fills graph.language, or says what is missing. */
pg_code gguf_describe(gguf_model *r);

#endif
