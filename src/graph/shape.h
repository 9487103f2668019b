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

/* Shapes of a graph that is being built: for loaders of formats that give the width of a layer but not that of its input. Begin
 * with shapes_begin; each shapes_follow infers the operators of region 0 that were added since, which must come in an order in
 * which inputs come before their use. Symbols and inputs must be there before the first operator. */
typedef struct shape_follower shape_follower;
shape_follower *shapes_begin(const graph *g, arena *a); /* NULL: out of memory */
pg_code shapes_follow(shape_follower *f, pg_error *e);
const tensor_shape *shapes_at(const shape_follower *f, uint32_t t); /* valid until the next shapes_follow */
/* A dim as a graph declares it (see num.h); unknown when it is not affine in a symbol. */
num shapes_declared(const shape_follower *f, num bound);

/* Elements of a tensor, as a double; -1 when unknown. */
double shape_elements(const tensor_shape *t);
/* A dim of `s` as text: "batch", "2*seq+1", "224", or "?". Returns the length of the whole text, like format_text. */
size_t num_format(char *out, size_t cap, num n, const shapes *s);

#endif
