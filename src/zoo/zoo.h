/* Built-in models by name: each is a row of published dimensions and a builder that emits the graph IR from them.
 *
 * The graphs are what an ONNX export of the reference PyTorch model holds, at the level of layers (one attention
 * operator, one layer normalisation), with batch normalisations still separate. Weights have shapes and no contents.
 * Adding a model is a row in the table of its builder's file; adding a family is a builder, its table, and a line in
 * zoo.c. */
#ifndef ZOO_ZOO_H
#define ZOO_ZOO_H

#include "graph/graph.h"

struct nn;

typedef struct zoo_entry {
    const char *name;
    const char *aliases; /* separated by spaces; case, '-' and '_' don't count */
    const char *
        family; /* "cnn", "transformer", "rnn", "speech", "recommender", "forecasting", "diffusion", "detection", "segmentation", "graph" */
    const char *description;
    int64_t parameters; /* as published by `source` */
    const char *source;
    int32_t image_size;   /* pixels, square; 0: takes no image */
    int32_t image_min;    /* the smallest size that the layers can take */
    int32_t image_step;   /* sizes are multiples of this */
    int32_t sequence;     /* fallback of the symbol "sequence"; 0: takes no tokens */
    int32_t max_sequence; /* positions that the model was trained for; 0: no such limit */
    dtype weights;        /* how the published checkpoint stores them; 0: float32 */
    void (*build)(struct nn *n, const void *dims);
    const void *dims; /* what `build` takes */
    const char *
        config; /* NULL, or instead of the two above the text of a config.json, of which load/builtin.h makes the graph */
} zoo_entry;

typedef struct zoo_options {
    int64_t image_size; /* 0: the entry's own; has no effect on models that take no image */
} zoo_options;

enum { ZOO_IMAGE_MAX = 16384 };

size_t zoo_count(void);
const zoo_entry *zoo_at(size_t i); /* NULL past the end */
/* NULL with PG_E_NOT_FOUND, saying which name is near. */
const zoo_entry *zoo_find(str name, pg_error *e);
/* Builds an entry without `config` into a graph fresh from graph_init. opt may be NULL. Fails with PG_E_NOMEM, or PG_E_USAGE for an image size
 * that the model can't take; the graph then is of no use. */
pg_code zoo_build(graph *g, const zoo_entry *m, const zoo_options *opt, pg_error *e);

struct language_model;
/* The graph of a language model (graph/language.h) from its dimensions: one forward pass over `sequence` tokens. Fills a graph fresh
 * from graph_init and makes the model its own. */
pg_code zoo_build_language(graph *g, const struct language_model *m, pg_error *e);

/* A vision transformer of other dimensions than the built-in ones. `image` is a multiple of `patch`; without classes all tokens
 * come out. */
typedef struct zoo_vit_size {
    int64_t width, mlp, heads, layers, patch, image, channels, classes;
    dtype weights;
} zoo_vit_size;

pg_code zoo_build_vit(graph *g, const zoo_vit_size *v, pg_error *e);

/* One operator as a model: "op:gemm:batch=1:m=4096:n=4096:k=4096", "op:conv2d:...", "op:attention:...", "op:softmax:rows=8:cols=64".
 * PG_E_USAGE says what is wrong with the text. */
pg_code zoo_build_op(graph *g, str text, pg_error *e);

#endif
