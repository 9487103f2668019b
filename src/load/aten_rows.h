/* For the files that hold ATen's operators: a row for each name, and what their functions have in common. */
#ifndef LOAD_ATEN_ROWS_H
#define LOAD_ATEN_ROWS_H

#include "load/aten.h"

typedef struct aten_row aten_row;
/* Arguments are in the order of the row; those that weren't given are none. */
typedef aten_value aten_fn(aten *x, const aten_row *row, const aten_value *arg, uint32_t n);
struct aten_row {
    const char *name;
    const char *args; /* names, separated by a space */
    aten_fn *fn;
    int op; /* what fn makes of it: an op_kind */
};

/* Tables, each ends with a row without a name. */
extern const aten_row aten_math_rows[], aten_product_rows[], aten_reduce_rows[], aten_conv_rows[], aten_norm_rows[],
    aten_recurrent_rows[], aten_attention_rows[], aten_image_rows[], aten_view_rows[], aten_index_rows[],
    aten_move_rows[], aten_make_rows[], aten_host_rows[];

/* Argument i of an aten_fn. */
#define A(i) (i < n ? arg[i] : aten_none())

/* The tensor that an argument is now; NO_TENSOR: it is none. */
static inline uint32_t aten_data(aten *x, aten_value v)
{
    return v.kind == ATEN_TENSOR ? aten_operand(x, v, NO_TENSOR) : NO_TENSOR;
}
static inline bool aten_is_true(aten_value v)
{
    return v.kind == ATEN_BOOL && v.v.n.v.i;
}
/* The end of a slice, or the like. */
static inline num aten_bound(aten_value v, int64_t fallback)
{
    return v.kind == ATEN_NONE ? num_int(fallback) : v.kind == ATEN_INT ? v.v.n : num_unknown();
}
/* (first, None, ...) */
aten_value aten_tuple_of(aten *x, aten_value first, uint32_t count);

aten_fn aten_binary;

/* ---- what the host computes: numbers, texts, lists; `kind` is an op_kind ---- */

aten_value aten_host_unary(int kind, aten_value v);
aten_value aten_host_compare(int kind, double a, double b);
aten_value aten_host_binary(int kind, aten_value a, aten_value b);
aten_value aten_host_texts(int kind, aten_value a, aten_value b);
aten_value aten_host_lists(aten *x, int kind, aten_value a, aten_value b);
aten_value aten_host_repeated(aten *x, aten_value list, aten_value times);
/* What code demands of its inputs: a number that it compares with is taken for the number; see aten_value.of. */
aten_value aten_undecided(aten *x, int kind, aten_value a, aten_value b);

#endif
