/* Shared by unit.c and recompose*.c. */
#ifndef GRAPH_UNIT_INTERNAL_H
#define GRAPH_UNIT_INTERNAL_H

#include "graph/unit.h"

enum { GROUP_IN = 4 };

/* What becomes of a line (an operator in execution order). */
typedef struct line {
    uint32_t op;
    double trips;
    bool skip;       /* folded, dead, or free */
    uint32_t leader; /* line that it was absorbed by + 1; 0: stands for itself */
    /* for leaders */
    uint16_t kind, flags;
    uint32_t n_ops;
    uint32_t in[GROUP_IN], out;
    uint32_t n_in; /* 0: the operator's own operands */
    uint32_t at;   /* attributes and name come from this op */
} line;

typedef struct lines {
    const graph *g;
    const shapes *s;
    arena *a;
    line *l;
    uint32_t n, cap;
    uint32_t *producer; /* per tensor: line + 1 */
    uint32_t *uses;     /* per tensor */
    uint32_t *consumer; /* per tensor: its last reader, line + 1 */
    uint8_t *constant;  /* per tensor */
} lines;

/* The line that makes tensor t, when it stands for itself and is of this kind (OP_KIND_COUNT: any); else NULL. */
line *lines_maker(const lines *ls, uint32_t t, int kind);
/* The same, for a value that nothing else reads. */
line *lines_private(const lines *ls, uint32_t t, int kind);
/* The only reader of tensor t, when it stands for itself and is of this kind; else NULL. */
line *lines_reader(const lines *ls, uint32_t t, int kind);
const op *line_op(const lines *ls, const line *l);
uint32_t line_in(const lines *ls, const line *l, uint32_t i); /* NO_TENSOR: not given */
uint32_t line_out(const lines *ls, const line *l);
/* A constant with one element (its value need not be known). */
bool lines_scalar(const lines *ls, uint32_t t);
/* The other input of a two-input operator. */
uint32_t line_other(const lines *ls, const line *l, uint32_t t);
void lines_absorb(lines *ls, line *leader, line *l);
/* Makes `leader` one operation of this kind. */
void lines_lead(line *leader, op_kind kind, uint16_t flags, uint32_t out);

void recompose_products(lines *ls);
void recompose_writes(lines *ls);
void recompose_resizes(lines *ls);
void recompose_norms(lines *ls);
void recompose_activations(lines *ls);
void recompose_linears(lines *ls);
void recompose_recurrent(lines *ls);
void spell_out_attention(lines *ls);
void recompose_attention(lines *ls, bool explicit_too);

#endif
