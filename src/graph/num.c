#include "graph/num.h"

bool int_mul_slow(int64_t a, int64_t b, int64_t *out)
{
    if (a == 0 || b == 0) {
        *out = 0;
        return true;
    }
    uint64_t p = a < 0 ? 0 - (uint64_t)a : (uint64_t)a, q = b < 0 ? 0 - (uint64_t)b : (uint64_t)b;
    if (p > (uint64_t)INT64_MAX / q) return false; /* gives INT64_MIN up too */
    *out = (int64_t)(p * q);
    if ((a < 0) != (b < 0)) *out = -*out;
    return true;
}

/* value with the form k * sym, or the nearest thing that can be said. */
static num affine(int64_t v, int64_t k, int32_t sym)
{
    if (k == 0) return num_int(v);
    if (k > INT32_MAX || k < -INT32_MAX) return num_opaque(v);
    return (num){{.i = v}, (int32_t)k, sym};
}

num num_bind(num n, const int64_t *binding)
{
    int64_t v;
    if (n.sym < 0) return n;
    if (!int_mul((int64_t)n.k, binding[n.sym], &v) || __builtin_add_overflow(v, n.v.i, &v)) return num_unknown();
    return affine(v, n.k, n.sym);
}

/* a + sign * b, where at least one of them isn't plain. */
static num combine(num a, num b, int sign, int64_t v)
{
    if (a.sym == SYM_UNKNOWN || b.sym == SYM_UNKNOWN) return num_unknown();
    if (a.sym == SYM_OPAQUE || b.sym == SYM_OPAQUE) return num_opaque(v);
    if (a.sym >= 0 && b.sym >= 0 && a.sym != b.sym) return num_opaque(v);
    return affine(v, (int64_t)a.k + (int64_t)sign * b.k, a.sym >= 0 ? a.sym : b.sym);
}

num num_add(num a, num b)
{
    int64_t v;
    if (__builtin_add_overflow(a.v.i, b.v.i, &v)) return num_unknown();
    return a.sym == SYM_NONE && b.sym == SYM_NONE ? num_int(v) : combine(a, b, 1, v);
}

num num_sub(num a, num b)
{
    int64_t v;
    if (__builtin_sub_overflow(a.v.i, b.v.i, &v)) return num_unknown();
    return a.sym == SYM_NONE && b.sym == SYM_NONE ? num_int(v) : combine(a, b, -1, v);
}

num num_neg(num a)
{
    return num_sub(num_int(0), a);
}

num num_mul(num a, num b)
{
    int64_t v;
    if (num_is(a, 0) || num_is(b, 0)) return num_int(0);
    if (a.sym == SYM_UNKNOWN || b.sym == SYM_UNKNOWN) return num_unknown();
    if (!int_mul(a.v.i, b.v.i, &v)) return num_unknown();
    if (a.sym == SYM_NONE && b.sym == SYM_NONE) return num_int(v);
    if (a.sym >= 0 && b.sym == SYM_NONE) {
        int64_t k;
        return !int_mul((int64_t)a.k, b.v.i, &k) ? num_opaque(v) : affine(v, k, a.sym);
    }
    if (b.sym >= 0 && a.sym == SYM_NONE) return num_mul(b, a);
    return num_opaque(v);
}

enum round_mode { ROUND_DOWN, ROUND_UP, ROUND_TO_ZERO };

static int64_t divide(int64_t a, int64_t b, enum round_mode mode)
{
    int64_t q = a / b;
    if (a % b != 0) {
        bool negative = (a < 0) != (b < 0);
        if (negative && mode == ROUND_DOWN) q--;
        if (!negative && mode == ROUND_UP) q++;
    }
    return q;
}

/* (c + k s) / d: where d divides k, rounding moves with c alone, so the result is exact for every s. A quotient of two
 * proportional forms is a plain number. */
static num div_mode(num a, num b, enum round_mode mode)
{
    if (a.sym == SYM_UNKNOWN || b.sym == SYM_UNKNOWN || b.v.i == 0) return num_unknown();
    if (a.v.i == INT64_MIN || b.v.i == INT64_MIN) return num_unknown();
    int64_t v = divide(a.v.i, b.v.i, mode);
    if (a.sym == SYM_NONE && b.sym == SYM_NONE) return num_int(v);
    if (a.sym >= 0 && b.sym == SYM_NONE)
        return b.v.i != 0 && a.k % b.v.i == 0 ? affine(v, a.k / b.v.i, a.sym) : num_opaque(v);
    if (a.sym >= 0 && a.sym == b.sym && b.k != 0 && a.k % b.k == 0) {
        int64_t x, y;
        if (int_mul(a.v.i, (int64_t)b.k, &x) && int_mul(b.v.i, (int64_t)a.k, &y) && x == y) return num_int(a.k / b.k);
    }
    return num_opaque(v);
}

num num_floor_div(num a, num b)
{
    return div_mode(a, b, ROUND_DOWN);
}

num num_ceil_div(num a, num b)
{
    return div_mode(a, b, ROUND_UP);
}

num num_trunc_div(num a, num b)
{
    return div_mode(a, b, ROUND_TO_ZERO);
}

num num_floor_mod(num a, num b)
{
    num q = div_mode(a, b, ROUND_DOWN);
    if (!num_known(q)) return q;
    int64_t v = a.v.i % b.v.i;
    if (v != 0 && (v < 0) != (b.v.i < 0)) v += b.v.i;
    if (a.sym == SYM_NONE && b.sym == SYM_NONE) return num_int(v);
    /* c + k s modulo a divisor of k is c modulo it */
    if (a.sym >= 0 && b.sym == SYM_NONE && a.k % b.v.i == 0) return num_int(v);
    return num_opaque(v);
}

static num pick(num a, num b, bool first)
{
    if (a.sym == SYM_UNKNOWN || b.sym == SYM_UNKNOWN) return num_unknown();
    num n = first ? a : b;
    if (a.sym == SYM_NONE && b.sym == SYM_NONE) return n;
    /* forms that differ by a constant keep their order whatever the symbol is */
    if (a.sym >= 0 && a.sym == b.sym && a.k == b.k) return n;
    return num_opaque(n.v.i);
}

num num_min(num a, num b)
{
    return pick(a, b, a.v.i <= b.v.i);
}

num num_max(num a, num b)
{
    return pick(a, b, a.v.i >= b.v.i);
}

num num_product(const num *d, uint32_t n)
{
    num p = num_int(1);
    for (uint32_t i = 0; i < n; i++) p = num_mul(p, d[i]);
    return p;
}
