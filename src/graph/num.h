/* Arithmetic on `num`: integers that remember how they depend on a symbol, as far as that is affine.
 *
 * In a `shapes` object v.i holds the whole value under the binding, and k how much it grows when the symbol grows by
 * one. In a graph's declared dims and values v.i holds the constant part only: value = v.i + k * binding[sym];
 * `num_bind` goes from the one to the other. Results that are no longer affine in one symbol become SYM_OPAQUE with
 * the right value; what overflows 64 bits (absurd claims in a file) becomes SYM_UNKNOWN, and unknown goes through
 * everything. */
#ifndef GRAPH_NUM_H
#define GRAPH_NUM_H

#include "graph/graph.h"

/* a * b into *out; false when it doesn't fit. (The compiler's builtin needs 128-bit multiplication, which WASM
 * without a runtime library lacks.) */
bool int_mul_slow(int64_t a, int64_t b, int64_t *out);
static inline bool int_mul(int64_t a, int64_t b, int64_t *out)
{
    if (a == (int32_t)a && b == (int32_t)b) {
        *out = a * b;
        return true;
    }
    return int_mul_slow(a, b, out);
}

num num_bind(num declared, const int64_t *binding);

num num_add(num a, num b);
num num_sub(num a, num b);
num num_mul(num a, num b);
num num_neg(num a);
/* Rounded down, up, and towards zero as C does. Unknown when b is 0. */
num num_floor_div(num a, num b);
num num_ceil_div(num a, num b);
num num_trunc_div(num a, num b);
/* The remainder with the sign of b, as Python has it. */
num num_floor_mod(num a, num b);
num num_min(num a, num b);
num num_max(num a, num b);
/* The product of n dims. */
num num_product(const num *d, uint32_t n);

static inline bool num_plain(num n)
{
    return n.sym == SYM_NONE;
}
/* A known plain number of this value. */
static inline bool num_is(num n, int64_t v)
{
    return n.sym == SYM_NONE && n.v.i == v;
}
/* Known, equal, and by the same form. */
static inline bool num_same(num a, num b)
{
    return a.v.i == b.v.i && a.sym == b.sym && a.k == b.k && a.sym != SYM_UNKNOWN;
}
static inline num num_opaque(int64_t v)
{
    return (num){{.i = v}, 0, SYM_OPAQUE};
}

#endif
