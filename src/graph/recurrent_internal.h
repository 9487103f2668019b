/* Shared by recurrent*.c. */
#ifndef GRAPH_RECURRENT_INTERNAL_H
#define GRAPH_RECURRENT_INTERNAL_H

#include "graph/rewrite_internal.h"

enum { STEP_OPS = 64 };

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

/* ---- reading (recurrent_read.c) ---- */

/* The weight behind a turned or expanded one; NO_TENSOR: it is none. */
uint32_t recurrent_weight(const rewrite *s, uint32_t t);
/* t is one of the slices, one wide, of *from along its first dim: which; -1: it is none. */
int64_t recurrent_slice(const rewrite *s, uint32_t t, uint32_t *from);
/* t is one of the equal parts of *from along its last dim: which, of how many; -1: it is none. */
int recurrent_part(const rewrite *s, uint32_t t, uint32_t *from, int *of);

/* Values that are added up. */
typedef struct recurrent_sum {
    const op *product[2];    /* with weights */
    uint32_t bias[2], other; /* other: what is neither a product nor a bias */
    int products, biases, others;
} recurrent_sum;

bool recurrent_add_up(const rewrite *s, uint32_t t, recurrent_sum *sum);

/* ---- steps (recurrent_step.c) ---- */

/* Finds all steps. */
void recurrent_find_steps(rewrite *s);
/* Gathers the operators between t and the values `stop`, marked `id`; false: there are too many of them. */
bool recurrent_gather(rewrite *s, uint32_t t, const uint32_t *stop, uint32_t n_stop, uint32_t id, uint32_t *ops,
                      uint32_t *n);
/* Whether nothing else reads what these operators make, but for `out`. */
bool recurrent_is_private(const rewrite *s, const uint32_t *ops, uint32_t n, uint32_t id, const uint32_t *out,
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

/* The states of a layer's directions, as nn.LSTM hands them on: what both are slices of, as far as that is needed. */
uint32_t recurrent_state(rewrite *s, const uint32_t *state, int directions);
/* Adds the operator; results that `out` doesn't name are new tensors. Gives Y, H and C. */
void recurrent_add_layer(rewrite *s, const recurrent_layer *l, str name, uint32_t out[3]);

#endif
