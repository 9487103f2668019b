/* Shared by rewrite.c, its stages, and recurrent*.c. */
#ifndef GRAPH_REWRITE_INTERNAL_H
#define GRAPH_REWRITE_INTERNAL_H

#include "graph/num.h"
#include "graph/rewrite.h"
#include "graph/shape.h"

typedef struct rewrite {
    graph *g;
    shapes s;
    arena *a;
    bool pytorch;
    bool failed;               /* out of memory */
    uint32_t n_tensors, n_ops; /* that were there when the stage began */
    uint32_t *maker;           /* per tensor: op + 1 */
    uint32_t *first, *readers; /* per tensor: live operators that read it are readers[first[t] .. first[t + 1]] */
    uint8_t *fixed;            /* per tensor: an output, or read in another region */
    uint8_t *live, *taken;     /* per op; taken: something else makes its results now */
    /* recurrent layers */
    uint32_t *mark; /* per op: the step or product that it is part of + 1 */
    struct recurrent_step *step;
    uint32_t n_steps, cap_steps, n_marks;
} rewrite;

/* With `g`, `a` and the shapes set; false: out of memory. */
bool rewrite_open(rewrite *s);
/* The operator that makes t, when it is one of the model's own; NULL: none. */
const op *rewrite_maker(const rewrite *s, uint32_t t);
uint32_t rewrite_in(const rewrite *s, const op *o, uint32_t i);
const tensor_shape *rewrite_shape_of(const rewrite *s, uint32_t t);
bool rewrite_is_view(const op *o);
/* What t is a view of, looking through all views that keep its elements and its last dim. */
uint32_t rewrite_bare(const rewrite *s, uint32_t t);
/* Dim i of t, counted from the end when negative; -1: not known, or not the same at each batch. */
int64_t rewrite_dim(const rewrite *s, uint32_t t, int i);
/* The only number in a constant; false: it is none. */
bool rewrite_number(const rewrite *s, uint32_t t, int64_t *out);

/* New operators make `out`, or a new tensor; NO_TENSOR only when out of memory, and `failed` is set then. */
uint32_t rewrite_emit(rewrite *s, op_kind kind, const uint32_t *in, uint32_t n_in, uint32_t out);
uint32_t rewrite_ints(rewrite *s, const int64_t *v, uint32_t n);
/* Everything that reads `from` reads `to`. */
void rewrite_read_instead(rewrite *s, uint32_t from, uint32_t to);
/* Whether a branch or a loop may read t: there it would have to be looked for. */
bool rewrite_is_read_inside(const rewrite *s, uint32_t t);

/* ---- stages: each gives how much it put together ---- */

uint32_t recurrent_join_steps(rewrite *s);
/* Two layers over the same inputs, one of them backwards, whose results are joined. */
uint32_t recurrent_join_directions(rewrite *s);
/* One fill that is both states of an LSTM. */
uint32_t recurrent_part_states(rewrite *s);
/* The last states of layers, taken apart and put together again. */
uint32_t recurrent_join_states(rewrite *s);
/* Views that show such a state as it is. */
uint32_t recurrent_drop_views(rewrite *s);

/* Writes into a part that are done already, and additions in place (rewrite_writes.c). */
uint32_t rewrite_writes(rewrite *s);

#endif
