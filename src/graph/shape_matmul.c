#include "graph/shape_internal.h"

/* numpy's matmul: a 1-D operand is a row or a column that vanishes from the result. */
static pg_code matmul_dims(infer *x, const op *o, dtype d, const tensor_shape *ta, const tensor_shape *tb)
{
    num a[MAX_RANK + 1], b[MAX_RANK + 1], out[MAX_RANK + 2], inner;
    if (!has_rank(ta) || !has_rank(tb)) return out_dtype(x, o, 0, d);
    if (ta->rank == 0 || tb->rank == 0)
        return shape_fail(x, o, "its operands must not be scalars: %s times %s", SHAPE_S(x, ta), SHAPE_S(x, tb));
    int ra = ta->rank, rb = tb->rank;
    memcpy(a, ta->dims, (size_t)ra * sizeof *a);
    memcpy(b, tb->dims, (size_t)rb * sizeof *b);
    bool row = ra == 1, column = rb == 1;
    if (row) a[1] = a[0], a[0] = num_int(1), ra = 2;
    if (column) b[1] = num_int(1), rb = 2;
    if (!dim_same(x, a[ra - 1], b[rb - 2], &inner))
        return shape_fail(x, o, "the inner dimensions of %s and %s differ; check the sizes given for the inputs",
                          SHAPE_S(x, ta), SHAPE_S(x, tb));
    int rank = ra - 2;
    memcpy(out, a, (size_t)rank * sizeof *out);
    tensor_shape batch = {.rank = (int8_t)(rb - 2), .dims = b};
    if (!dims_broadcast(x, &rank, out, &batch))
        return shape_fail(x, o,
                          "the leading dimensions of %s and %s don't broadcast; check the sizes given for the inputs",
                          SHAPE_S(x, ta), SHAPE_S(x, tb));
    if (!row) out[rank++] = a[ra - 2];
    if (!column) out[rank++] = b[rb - 1];
    return out_dims(x, o, 0, d, rank, out);
}

pg_code shape_matmul(infer *x, const op *o)
{
    dtype d = dtype_of(in_at(x, o, o->kind == OP_MatMulIntegerToFloat ? 2 : 0));
    return matmul_dims(x, o, d, in_at(x, o, 0), in_at(x, o, 1));
}

pg_code shape_matmul_integer(infer *x, const op *o)
{
    return matmul_dims(x, o, DT_INT32, in_at(x, o, 0), in_at(x, o, 1));
}

/* a, a_scale, a_zero_point, b, b_scale, b_zero_point, y_scale, y_zero_point */
pg_code shape_qlinear_matmul(infer *x, const op *o)
{
    const tensor_shape *zero = in_at(x, o, 7);
    return matmul_dims(x, o, dtype_of(zero ? zero : in_at(x, o, 0)), in_at(x, o, 0), in_at(x, o, 3));
}

static void swap(num *d, int i, int k)
{
    num n = d[i];
    d[i] = d[k];
    d[k] = n;
}

/* transBatch moves the first dim to the one before the last: [M, batch..., K] is used as [batch..., M, K]. */
static void fused_view(tensor_shape *out, num *dims, const tensor_shape *t, bool trans, bool trans_batch)
{
    int n = t->rank;
    *out = (tensor_shape){.rank = t->rank, .dims = dims};
    memcpy(dims, t->dims, (size_t)n * sizeof *dims);
    if (trans_batch && n >= 3)
        for (int i = 0; i < n - 2; i++) swap(dims, i, i + 1);
    if (trans && n >= 2) swap(dims, n - 2, n - 1);
}

pg_code shape_fused_matmul(infer *x, const op *o)
{
    const tensor_shape *a = ranked(x, o, 0), *b = ranked(x, o, 1);
    dtype d = dtype_of(in_at(x, o, 0));
    if (!a || !b) return out_dtype(x, o, 0, d);
    num da[MAX_RANK], db[MAX_RANK];
    tensor_shape va, vb;
    fused_view(&va, da, a, op_attr_int(x->g, o, ATTR_transA, 0) != 0, op_attr_int(x->g, o, ATTR_transBatchA, 0) != 0);
    fused_view(&vb, db, b, op_attr_int(x->g, o, ATTR_transB, 0) != 0, op_attr_int(x->g, o, ATTR_transBatchB, 0) != 0);
    return matmul_dims(x, o, d, &va, &vb);
}

static pg_code gemm_dims(infer *x, const op *o, dtype d, const tensor_shape *a, const tensor_shape *b)
{
    if (!has_rank(a) || !has_rank(b)) return out_dtype(x, o, 0, d);
    if (a->rank != 2 || b->rank != 2)
        return shape_fail(x, o, "its operands must be matrices, but they are %s and %s", SHAPE_S(x, a), SHAPE_S(x, b));
    int ta = op_attr_int(x->g, o, ATTR_transA, 0) != 0, tb = op_attr_int(x->g, o, ATTR_transB, 0) != 0;
    num inner, out[2] = {a->dims[ta], b->dims[!tb]};
    if (!dim_same(x, a->dims[!ta], b->dims[tb], &inner))
        return shape_fail(x, o, "the inner dimensions of %s%s and %s%s differ; check the sizes given for the inputs",
                          SHAPE_S(x, a), ta ? " (transposed)" : "", SHAPE_S(x, b), tb ? " (transposed)" : "");
    return out_dims(x, o, 0, d, 2, out);
}

pg_code shape_gemm(infer *x, const op *o)
{
    return gemm_dims(x, o, dtype_of(in_at(x, o, 0)), in_at(x, o, 0), in_at(x, o, 1));
}

/* A, a_scale, a_zero_point, B, b_scale, b_zero_point, C, y_scale, y_zero_point */
pg_code shape_qgemm(infer *x, const op *o)
{
    const tensor_shape *zero = in_at(x, o, 8);
    return gemm_dims(x, o, zero ? dtype_of(zero) : dtype_of(in_at(x, o, 1)), in_at(x, o, 0), in_at(x, o, 3));
}

/* [rows, in] times one of [experts, in, out]. */
pg_code shape_expert_matmul(infer *x, const op *o)
{
    const tensor_shape *a = ranked(x, o, 0), *b = ranked(x, o, 1);
    dtype d = dtype_of(in_at(x, o, 0));
    num out[2], inner;
    if (!a || !b) return out_dtype(x, o, 0, d);
    if (a->rank != 2 || b->rank != 3)
        return shape_fail(x, o, "its operands must be [rows, in] and [experts, in, out], but they are %s and %s",
                          SHAPE_S(x, a), SHAPE_S(x, b));
    if (!dim_same(x, a->dims[1], b->dims[1], &inner))
        return shape_fail(x, o, "the inner dimensions of %s and %s differ; check the sizes given for the inputs",
                          SHAPE_S(x, a), SHAPE_S(x, b));
    out[0] = a->dims[0];
    out[1] = b->dims[2];
    return out_dims(x, o, 0, d, 2, out);
}

/* The weights are packed; K and N are attributes. */
pg_code shape_matmul_nbits(infer *x, const op *o)
{
    const tensor_shape *a = ranked(x, o, 0);
    dtype d = dtype_of(in_at(x, o, 0));
    int64_t k = op_attr_int(x->g, o, ATTR_K, 0), n = op_attr_int(x->g, o, ATTR_N, 0);
    num out[MAX_RANK], inner;
    if (!a) return out_dtype(x, o, 0, d);
    if (k <= 0 || n <= 0)
        return shape_fail(x, o, "its attributes K and N should be positive: %lld and %lld", (long long)k, (long long)n);
    if (a->rank < 1 || !dim_same(x, a->dims[a->rank - 1], num_int(k), &inner))
        return shape_fail(x, o, "the last dimension of %s should be K = %lld", SHAPE_S(x, a), (long long)k);
    memcpy(out, a->dims, (size_t)a->rank * sizeof *out);
    out[a->rank - 1] = num_int(n);
    return out_dims(x, o, 0, d, a->rank, out);
}

/* ---- Einsum ---- */

enum { LETTERS = 52, ELLIPSIS = 64 };

typedef struct einsum_term {
    uint8_t at[MAX_RANK]; /* a letter's number, or ELLIPSIS */
    int n;
    bool ellipsis;
} einsum_term;

/* Reads one term up to ',' '-' or the end; false when it isn't one. */
static bool einsum_read(str eq, size_t *i, einsum_term *term)
{
    *term = (einsum_term){.n = 0};
    for (; *i < eq.len && eq.ptr[*i] != ',' && eq.ptr[*i] != '-'; ++*i) {
        char c = eq.ptr[*i];
        if (c == ' ') continue;
        if (term->n == MAX_RANK) return false;
        if (c == '.') {
            if (term->ellipsis || *i + 2 >= eq.len || eq.ptr[*i + 1] != '.' || eq.ptr[*i + 2] != '.') return false;
            *i += 2;
            term->ellipsis = true;
            term->at[term->n++] = ELLIPSIS;
        } else if (c >= 'a' && c <= 'z') {
            term->at[term->n++] = (uint8_t)(c - 'a');
        } else if (c >= 'A' && c <= 'Z') {
            term->at[term->n++] = (uint8_t)(c - 'A' + 26);
        } else {
            return false;
        }
    }
    return true;
}

typedef struct einsum_state {
    num letter[LETTERS];
    uint8_t uses[LETTERS]; /* 0, 1, or 2 for more */
    num dots[MAX_RANK];    /* what the ellipsis stands for */
    int n_dots;
} einsum_state;

static bool einsum_bind(infer *x, einsum_state *s, const einsum_term *term, const tensor_shape *t)
{
    int dots = t->rank - (term->n - (term->ellipsis ? 1 : 0)), d = 0;
    if (dots < 0 || (dots > 0 && !term->ellipsis)) return false;
    for (int i = 0; i < term->n; i++) {
        if (term->at[i] == ELLIPSIS) {
            tensor_shape part = {.rank = (int8_t)dots, .dims = t->dims + d};
            if (!dims_broadcast(x, &s->n_dots, s->dots, &part)) return false;
            d += dots;
            continue;
        }
        unsigned c = term->at[i];
        num n = t->dims[d++];
        if (s->uses[c] && !dim_broadcast(x, s->letter[c], n, &n)) return false;
        s->letter[c] = n;
        if (s->uses[c] < 2) s->uses[c]++;
    }
    return true;
}

/* Without "->": the ellipsis, then the letters that occur once, capitals first as in ASCII. */
static void einsum_implicit(const einsum_state *s, einsum_term *out)
{
    out->n = 0;
    out->at[out->n++] = ELLIPSIS;
    for (unsigned i = 0; i < LETTERS && out->n < MAX_RANK; i++) {
        unsigned c = (i + 26) % LETTERS;
        if (s->uses[c] == 1) out->at[out->n++] = (uint8_t)c;
    }
}

pg_code shape_einsum(infer *x, const op *o)
{
    str eq = op_attr_str(x->g, o, ATTR_equation);
    einsum_state s = {.n_dots = 0};
    einsum_term term;
    dtype d = dtype_of(in_at(x, o, 0));
    size_t i = 0;
    for (uint32_t k = 0; k < o->n_in; k++) {
        const tensor_shape *t = ranked(x, o, k);
        if (!t) return out_dtype(x, o, 0, d);
        if (!einsum_read(eq, &i, &term) || !einsum_bind(x, &s, &term, t))
            return shape_fail(x, o, "the equation '%.*s' doesn't fit input %u of shape %s", STR_ARG(eq),
                              (unsigned)k + 1, SHAPE_S(x, t));
        if (i < eq.len && eq.ptr[i] == ',') i++;
    }
    if (i + 1 < eq.len && eq.ptr[i] == '-' && eq.ptr[i + 1] == '>') {
        i += 2;
        if (!einsum_read(eq, &i, &term)) i = 0;
    } else {
        einsum_implicit(&s, &term);
    }
    num out[2 * MAX_RANK];
    int rank = 0;
    bool ok = i == eq.len;
    for (int k = 0; k < term.n && ok; k++) {
        if (term.at[k] == ELLIPSIS) {
            memcpy(out + rank, s.dots, (size_t)s.n_dots * sizeof *out);
            rank += s.n_dots;
        } else {
            ok = s.uses[term.at[k]] != 0;
            out[rank++] = s.letter[term.at[k]];
        }
    }
    if (!ok) return shape_fail(x, o, "the equation '%.*s' can't be read", STR_ARG(eq));
    return out_dims(x, o, 0, d, rank, out);
}
