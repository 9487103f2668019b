/* Shape inference under one binding of the graph's symbols, with constant folding of shape arithmetic.
 *
 * Pure: reads the graph, writes a `shapes` object in the arena that it is given. A shape that can't be known stays
 * unknown (rank -1, or a dim with SYM_UNKNOWN): never a guess. */
#ifndef GRAPH_SHAPE_H
#define GRAPH_SHAPE_H

#include "graph/graph.h"

typedef struct tensor_shape {
    uint8_t dtype;
    int8_t rank;   /* -1: unknown */
    bool sequence; /* a sequence of tensors; dims are those of an element where all agree */
    bool inferred;
    uint32_t value_count;
    num *dims;
    num *value; /* row-major contents where they could be folded, else NULL */
} tensor_shape;

typedef struct shapes {
    const graph *g;
    arena *a;
    tensor_shape *t;        /* per tensor of the graph */
    int64_t *binding;       /* per symbol */
    num *trips;             /* per region: how often it runs in all, 1 for the model, 0 for a branch that isn't taken */
    uint32_t rebatch_fixes; /* places where a constant that held the fixed batch was re-batched */
    bool rebatch_unsafe;    /* re-batching could not be carried through */
    uint32_t unknown_outputs; /* operator outputs without a shape */
    str *notes;               /* choices that the user should know: branch costed, trip count assumed */
    uint32_t n_notes, cap_notes;
} shapes;

typedef struct shape_options {
    const int64_t *binding; /* per symbol; NULL or 0 entries: the symbol's fallback */
    int64_t default_trips;  /* Loop and Scan with an unknown trip count; 0: 1 */
} shape_options;

/* An error only when the graph contradicts itself (a MatMul whose inner dims differ) or memory runs out. */
pg_code shapes_infer(shapes *out, const graph *g, const shape_options *opt, arena *a, pg_error *e);

/* Inference that keeps up with a loader which needs shapes to decide what to add next: each step takes in the tensors and the model's
 * operators that were added since the last, under the symbols' fallbacks, and folds every value that it can. */
typedef struct shape_walk shape_walk;

shape_walk *shape_walk_new(const graph *g, arena *a); /* NULL: out of memory */
pg_code shape_walk_step(shape_walk *w, pg_error *e);
/* Takes what the graph declares of t by now, which was not there when its operator was inferred. */
pg_code shape_walk_learn(shape_walk *w, uint32_t t, pg_error *e);
const tensor_shape *shape_walk_at(const shape_walk *w, uint32_t t); /* after the step that took it in */
/* As declared dims and values in the graph are written: value.i is what is left without the symbol. */
num shape_walk_declared(const shape_walk *w, num n);

/* Elements of a tensor, as a double; -1 when unknown. */
double shape_elements(const tensor_shape *t);
/* A dim of `s` as text: "batch", "2*seq+1", "224", or "?". Returns the length of the whole text, like format_text. */
size_t num_format(char *out, size_t cap, num n, const shapes *s);

#endif
