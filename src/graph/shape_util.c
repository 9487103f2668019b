#include "graph/shape_internal.h"

/* ---- outputs ---- */

pg_code out_dims(infer *x, const op *o, uint32_t i, dtype d, int rank, const num *dims)
{
    tensor_shape *t = out_at(x, o, i);
    if (!t) return PG_E_OK;
    t->dtype = (uint8_t)d;
    if (rank > MAX_RANK) return shape_fail(x, o, "its output would have rank %d, more than %d", rank, MAX_RANK);
    if (rank < 0) return PG_E_OK;
    num *copy = arena_alloc(x->a, (size_t)rank * sizeof *copy);
    if (!copy) return shape_nomem(x);
    for (int k = 0; k < rank; k++) {
        copy[k] = dims[k];
        if (num_known(dims[k]) && dims[k].v.i < 0)
            return shape_fail(x, o, "its output would have the shape %s, with a negative dimension",
                              DIMS_S(x, rank, dims));
    }
    t->dims = copy;
    t->rank = (int8_t)rank;
    return PG_E_OK;
}

pg_code out_dtype(infer *x, const op *o, uint32_t i, dtype d)
{
    tensor_shape *t = out_at(x, o, i);
    if (t) t->dtype = (uint8_t)d;
    return PG_E_OK;
}

pg_code out_like(infer *x, const op *o, uint32_t i, dtype d, const tensor_shape *like)
{
    tensor_shape *t = out_at(x, o, i);
    if (!t) return PG_E_OK;
    t->dtype = (uint8_t)d;
    if (!like) return PG_E_OK;
    t->rank = like->rank;
    t->dims = like->dims;
    return PG_E_OK;
}

/* ---- attributes and values ---- */

int_list list_get(const infer *x, const op *o, int input, attr_key key)
{
    int_list l = {0};
    const tensor_shape *t = input >= 0 ? in_at(x, o, (uint32_t)input) : NULL;
    if (t) {
        l.given = true;
        if (t->value && !is_float(t)) {
            l.known = true;
            l.nums = t->value;
            l.n = t->value_count;
        } else if (t->rank == 1 && num_known(t->dims[0]) && t->dims[0].v.i <= MAX_RANK) {
            l.n = (uint32_t)t->dims[0].v.i; /* how many there are, if not what */
        }
        return l;
    }
    const attr *a = op_attr(x->g, o, key);
    if (a && a->type == ATTR_INTS) {
        l.given = l.known = true;
        l.ints = a->v.ints;
        l.n = a->count;
    } else if (a && a->type == ATTR_INT) {
        l.given = l.known = true;
        l.ints = &a->v.i;
        l.n = 1;
    }
    return l;
}

num scalar_get(const infer *x, const op *o, int input, attr_key key, num fallback)
{
    int_list l = list_get(x, o, input, key);
    if (!l.given) return fallback;
    return l.known && l.n == 1 ? list_at(&l, 0) : num_unknown();
}

bool axis_fix(int64_t *axis, int rank)
{
    if (*axis < -rank || *axis >= rank) return false;
    if (*axis < 0) *axis += rank;
    return true;
}

axes_result axes_mask(const int_list *l, int rank, uint64_t *mask)
{
    *mask = 0;
    if (!l->known) return AXES_UNKNOWN;
    for (uint32_t i = 0; i < l->n; i++) {
        num n = list_at(l, i);
        if (!num_known(n)) return AXES_UNKNOWN;
        int64_t axis = n.v.i;
        if (!axis_fix(&axis, rank)) return AXES_INVALID;
        *mask |= 1ull << axis;
    }
    return AXES_OK;
}

/* TensorProto.DataType */
dtype dtype_of_code(int64_t code)
{
    static const uint8_t map[] = {
        DT_UNKNOWN, DT_FP32,    DT_UINT8,   DT_INT8,   DT_UINT16, DT_INT16,     DT_INT32,      DT_INT64, DT_STRING,
        DT_BOOL,    DT_FP16,    DT_FP64,    DT_UINT32, DT_UINT64, DT_COMPLEX64, DT_COMPLEX128, DT_BF16,  DT_FP8E4M3,
        DT_FP8E4M3, DT_FP8E5M2, DT_FP8E5M2, DT_UINT4,  DT_INT4,   DT_FP4,       DT_FP8E5M2,    DT_UINT2, DT_INT2,
    };
    return code >= 0 && code < (int64_t)sizeof map ? (dtype)map[code] : DT_UNKNOWN;
}

/* ---- dims ---- */

bool dims_known(const tensor_shape *t)
{
    if (t->rank < 0) return false;
    for (int i = 0; i < t->rank; i++)
        if (!num_known(t->dims[i])) return false;
    return true;
}

int64_t count_upto(const tensor_shape *t, int64_t most)
{
    if (t->rank < 0) return -1;
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++) {
        if (!num_known(t->dims[i]) || t->dims[i].v.i > most || t->dims[i].v.i < 0) return -1;
        n *= t->dims[i].v.i;
        if (n > most) return -1;
    }
    return n;
}

/* A constant of the file that stands for the batch takes the place of the batch-carrying dim that it meets. */
static bool dim_rebatch(infer *x, num a, num b, num *out)
{
    if (stands_for(x, a, b)) *out = b;
    else if (stands_for(x, b, a)) *out = a;
    else return false;
    x->s->rebatch_fixes++;
    return true;
}

bool dim_broadcast(infer *x, num a, num b, num *out)
{
    if (num_same(a, b) || num_is(b, 1)) {
        *out = a;
        return true;
    }
    if (num_is(a, 1)) {
        *out = b;
        return true;
    }
    if (x->rebatch && dim_rebatch(x, a, b, out)) return true;
    if (!num_known(a) || !num_known(b)) { /* what is known and not 1 must be it */
        num n = num_known(a) ? a : b;
        *out = num_known(n) && n.v.i != 1 ? n : num_unknown();
        return true;
    }
    if (a.v.i == b.v.i) *out = a.sym >= 0 ? a : b.sym >= 0 ? b : num_plain(a) ? a : b;
    else if (a.v.i == 1) *out = b;
    else if (b.v.i == 1) *out = a;
    else return false;
    return true;
}

bool dim_same(infer *x, num a, num b, num *out)
{
    if (!num_known(a) || !num_known(b)) {
        *out = num_known(a) ? a : b;
        return true;
    }
    if (a.v.i == b.v.i) {
        *out = a.sym >= 0 ? a : b.sym >= 0 ? b : num_plain(a) ? a : b;
        return true;
    }
    return x->rebatch && dim_rebatch(x, a, b, out);
}

bool dims_broadcast(infer *x, int *rank, num *a, const tensor_shape *b)
{
    int n = b->rank > *rank ? b->rank : *rank;
    int both = b->rank < *rank ? b->rank : *rank;
    for (int i = 1; i <= both; i++)
        if (!dim_broadcast(x, a[*rank - i], b->dims[b->rank - i], &a[*rank - i])) return false;
    if (n > *rank) {
        int shift = n - *rank;
        memmove(a + shift, a, (size_t)*rank * sizeof *a);
        memcpy(a, b->dims, (size_t)shift * sizeof *a);
        *rank = n;
    }
    return true;
}

pg_code broadcast_inputs(infer *x, const op *o, uint32_t first, uint32_t last, dtype d)
{
    num dims[MAX_RANK];
    int rank = -1;
    const tensor_shape *same = NULL; /* the input whose shape is the result's so far */
    for (uint32_t i = first; i < last; i++) {
        const tensor_shape *t = in_at(x, o, i);
        if (!t) continue;
        if (t->rank < 0) return out_dtype(x, o, 0, d);
        if (rank < 0) {
            rank = t->rank;
            same = t;
            continue;
        }
        if (same) {
            if (t->rank == 0 || (t->rank == rank && t->dims == same->dims)) continue;
            if (rank == 0) {
                rank = t->rank;
                same = t;
                continue;
            }
            memcpy(dims, same->dims, (size_t)rank * sizeof *dims);
            same = NULL;
        }
        tensor_shape before = {.rank = (int8_t)rank, .dims = dims};
        if (!dims_broadcast(x, &rank, dims, t))
            return shape_fail(x, o,
                              "the shapes %s and %s don't broadcast: equal dimensions or 1 are needed from the right; "
                              "check the sizes given for the inputs",
                              SHAPE_S(x, &before), SHAPE_S(x, t));
    }
    return same ? out_like(x, o, 0, d, same) : out_dims(x, o, 0, d, rank, dims);
}

/* ---- re-batching ---- */

int64_t at_old_batch(const infer *x, num n)
{
    int64_t v;
    if (!x->rebatch || n.sym != x->batch_symbol) return n.v.i;
    if (!int_mul((int64_t)n.k, x->old_batch - x->new_batch, &v) || __builtin_add_overflow(n.v.i, v, &v)) return -1;
    return v;
}

num rebatched(const infer *x, int64_t plain)
{
    int64_t v, k = plain / x->old_batch;
    if (plain % x->old_batch != 0 || k > INT32_MAX || k < 1) return num_unknown();
    if (!int_mul(k, x->new_batch, &v)) return num_unknown();
    return (num){{.i = v}, (int32_t)k, x->batch_symbol};
}

/* ---- merging, for control flow ---- */

merge_result shape_merge(infer *x, tensor_shape *a, const tensor_shape *b)
{
    merge_result result = MERGE_SAME;
    if (a->value && (!b->value || a->value_count != b->value_count)) {
        a->value = NULL;
        a->value_count = 0;
        result = MERGE_CHANGED;
    }
    if (a->dtype == DT_UNKNOWN) a->dtype = b->dtype;
    a->sequence |= b->sequence;
    if (a->rank < 0) return result;
    if (a->rank != b->rank) {
        shape_reset(a);
        a->dtype = b->dtype;
        a->sequence = b->sequence;
        return MERGE_CHANGED;
    }
    num *dims = NULL;
    for (int i = 0; i < a->rank; i++) {
        if (!num_known(a->dims[i]) || (num_known(b->dims[i]) && a->dims[i].v.i == b->dims[i].v.i)) continue;
        if (!dims) {
            dims = arena_array(x->a, (size_t)a->rank, sizeof *dims);
            if (!dims) return MERGE_NOMEM;
            memcpy(dims, a->dims, (size_t)a->rank * sizeof *dims);
        }
        dims[i] = num_unknown();
    }
    if (dims) {
        a->dims = dims;
        result = MERGE_CHANGED;
    }
    num *value = NULL;
    for (uint32_t i = 0; a->value && i < a->value_count; i++) {
        if (!num_known(a->value[i]) || (num_known(b->value[i]) && a->value[i].v.i == b->value[i].v.i)) continue;
        if (!value) {
            value = arena_array(x->a, a->value_count, sizeof *value);
            if (!value) return MERGE_NOMEM;
            memcpy(value, a->value, a->value_count * sizeof *value);
        }
        value[i] = num_unknown();
    }
    if (value) {
        a->value = value;
        result = MERGE_CHANGED;
    }
    return result;
}
