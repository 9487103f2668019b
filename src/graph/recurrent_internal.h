/* Shared by recurrent*.c. */
#ifndef GRAPH_RECURRENT_INTERNAL_H
#define GRAPH_RECURRENT_INTERNAL_H

#include "graph/num.h"
#include "graph/recurrent.h"
#include "graph/shape.h"

enum { STEP_OPS = 64, NO_OP = -1 };

/* One step, as its gates tell. Values are `bare`: without the views around them. */
typedef struct recurrent_step {
    op_kind kind;
    int gates;
    int64_t hidden;
    uint32_t ops[STEP_OPS], n_ops; /* what it is made of */
    uint32_t h, c;                 /* what it leaves; c: NO_TENSOR without a cell */
    uint32_t h_in, c_in;           /* what it starts from */
    uint32_t w, bias;              /* of the state's product */
    uint32_t all;                  /* the product of all steps' inputs that it reads a slice of; NO_TENSOR: a cell */
    int64_t at;                    /* which slice */
    uint32_t x, wx, bx;            /* a cell: its own input */
    uint32_t next;                 /* of the same `all`; 0: the last */
} recurrent_step;

typedef struct recurrent_search {
    graph *g;
    shapes s;
    arena *a;
    uint32_t n_tensors, n_ops; /* that were there when the search began */
    uint32_t *maker;           /* per tensor: op + 1 */
    uint32_t *first, *readers; /* per tensor: live operators that read it are readers[first[t] .. first[t + 1]] */
    uint8_t *fixed;            /* per tensor: an output, or read in another region */
    uint8_t *live, *taken;     /* per op */
    uint32_t *mark;            /* per op: the step or product that it is part of + 1 */
    recurrent_step *step;
    uint32_t n_steps, cap_steps, n_marks;
    bool cells;  /* a cell of its own is a call */
    bool failed; /* out of memory */
} recurrent_search;

/* ---- reading (recurrent_read.c) ---- */

/* With `g`, `a` and the shapes set; false: out of memory. */
bool recurrent_open(recurrent_search *s);
/* The operator that makes t, when it is one of the model's own; NULL: none. */
const op *recurrent_maker(const recurrent_search *s, uint32_t t);
uint32_t recurrent_in(const recurrent_search *s, const op *o, uint32_t i);
const tensor_shape *recurrent_shape_of(const recurrent_search *s, uint32_t t);
bool recurrent_is_view(const op *o);
/* What t is a view of, looking through all views that keep its elements and its last dim. */
uint32_t recurrent_bare(const recurrent_search *s, uint32_t t);
/* The weight behind a turned or expanded one; NO_TENSOR: it is none. */
uint32_t recurrent_weight(const recurrent_search *s, uint32_t t);
/* Dim i of t, counted from the end when negative; -1: not known, or not the same at each batch. */
int64_t recurrent_dim(const recurrent_search *s, uint32_t t, int i);
/* t is one of the slices, one wide, of *from along its first dim: which; -1: it is none. */
int64_t recurrent_slice(const recurrent_search *s, uint32_t t, uint32_t *from);
/* t is one of the equal parts of *from along its last dim: which, of how many; -1: it is none. */
int recurrent_part(const recurrent_search *s, uint32_t t, uint32_t *from, int *of);

/* Values that are added up. */
typedef struct recurrent_sum {
    const op *product[2];    /* with weights */
    uint32_t bias[2], other; /* other: what is neither a product nor a bias */
    int products, biases, others;
} recurrent_sum;

bool recurrent_add_up(const recurrent_search *s, uint32_t t, recurrent_sum *sum);

/* ---- steps (recurrent_step.c) ---- */

/* Finds all steps. */
void recurrent_find_steps(recurrent_search *s);
/* Gathers the operators between t and the values `stop`, marked `id`; false: there are too many of them. */
bool recurrent_gather(recurrent_search *s, uint32_t t, const uint32_t *stop, uint32_t n_stop, uint32_t id,
                      uint32_t *ops, uint32_t *n);
/* Whether nothing else reads what these operators make, but for `out`. */
bool recurrent_is_private(const recurrent_search *s, const uint32_t *ops, uint32_t n, uint32_t id, const uint32_t *out,
                          uint32_t n_out);

/* ---- layers (recurrent_emit.c) ---- */

typedef struct recurrent_layer {
    op_kind kind;
    int gates, directions;
    bool reverse;
    int64_t hidden, in;
    uint32_t x;                /* [steps, batch, in] */
    uint32_t w, r, bias;       /* weights, by name and type; bias: NO_TENSOR: none */
    uint32_t h_in[2], c_in[2]; /* by direction */
    uint32_t y, h, c;          /* results to define; NO_TENSOR: nobody reads it */
} recurrent_layer;

/* New tensors; NO_TENSOR only when out of memory, and `failed` is set then. */
uint32_t recurrent_emit(recurrent_search *s, op_kind kind, const uint32_t *in, uint32_t n_in, uint32_t out);
uint32_t recurrent_ints(recurrent_search *s, const int64_t *v, uint32_t n);
/* The states of a layer's directions, as nn.LSTM hands them on: what both are slices of, as far as that is needed. */
uint32_t recurrent_state(recurrent_search *s, const uint32_t *state, int directions);
/* Adds the operator; results that `out` doesn't name are new tensors. Gives Y, H and C. */
void recurrent_add_layer(recurrent_search *s, const recurrent_layer *l, str name, uint32_t out[3]);

/* ---- stages: each gives how much it put together ---- */

uint32_t recurrent_join_steps(recurrent_search *s);
/* Two layers over the same inputs, one of them backwards, whose results are joined. */
uint32_t recurrent_join_directions(recurrent_search *s);
/* One fill that is both states of an LSTM. */
uint32_t recurrent_part_states(recurrent_search *s);
/* The last states of layers, taken apart and put together again. */
uint32_t recurrent_join_states(recurrent_search *s);
/* Views that show such a state as it is. */
uint32_t recurrent_drop_views(recurrent_search *s);

#endif
