/* What recurrent layers are recognised by: weights, slices, parts, sums. */
#include "graph/recurrent_internal.h"

enum { VIEWS = 16, ADDENDS = 5 };

uint32_t recurrent_weight(const rewrite *s, uint32_t t)
{
    for (int i = 0; i < VIEWS && t < s->n_tensors; i++) {
        if (s->g->tensors[t].role == ROLE_WEIGHT) return t;
        const op *o = rewrite_maker(s, t);
        if (!o || (!rewrite_is_view(o) && o->kind != OP_Transpose)) return NO_TENSOR;
        t = rewrite_in(s, o, 0);
    }
    return NO_TENSOR;
}

/* Where a Slice of one axis begins and on which; false: it is another one. */
static bool slice_at(const rewrite *s, const op *o, int64_t *axis, int64_t *start)
{
    int64_t step = 1;
    uint32_t steps = rewrite_in(s, o, 4), from = rewrite_in(s, o, 0);
    if (!rewrite_number(s, rewrite_in(s, o, 1), start) || !rewrite_number(s, rewrite_in(s, o, 3), axis)) return false;
    if (steps != NO_TENSOR && (!rewrite_number(s, steps, &step) || step != 1)) return false;
    if (from == NO_TENSOR || rewrite_shape_of(s, from)->rank < 1) return false;
    if (*axis < 0) *axis += rewrite_shape_of(s, from)->rank;
    int64_t size = rewrite_dim(s, from, (int)*axis);
    if (*start < 0 && size > 0) *start += size;
    return *start >= 0 && *axis >= 0;
}

static int output_index(const rewrite *s, const op *o, uint32_t t)
{
    for (uint32_t i = 0; i < o->n_out; i++)
        if (op_out(s->g, o)[i] == t) return (int)i;
    return -1;
}

int64_t recurrent_slice(const rewrite *s, uint32_t t, uint32_t *from)
{
    t = rewrite_bare(s, t);
    const op *o = rewrite_maker(s, t);
    int64_t axis, at;
    if (!o) return -1;
    *from = rewrite_in(s, o, 0);
    if (*from == NO_TENSOR || rewrite_shape_of(s, *from)->rank < 2) return -1;
    switch (o->kind) {
    case OP_Slice: return slice_at(s, o, &axis, &at) && axis == 0 && rewrite_dim(s, t, 0) == 1 ? at : -1;
    case OP_Gather:
        return !op_attr_int(s->g, o, ATTR_axis, 0) && rewrite_number(s, rewrite_in(s, o, 1), &at) && at >= 0 ? at : -1;
    case OP_Split: return !op_attr_int(s->g, o, ATTR_axis, 0) && rewrite_dim(s, t, 0) == 1 ? output_index(s, o, t) : -1;
    default: return -1;
    }
}

int recurrent_part(const rewrite *s, uint32_t t, uint32_t *from, int *of)
{
    t = rewrite_bare(s, t);
    const op *o = rewrite_maker(s, t);
    int64_t axis, start, size = rewrite_dim(s, t, -1);
    if (!o || size < 1 || (o->kind != OP_Split && o->kind != OP_Slice)) return -1;
    *from = rewrite_in(s, o, 0);
    if (*from == NO_TENSOR) return -1;
    int rank = rewrite_shape_of(s, *from)->rank;
    int64_t all = rewrite_dim(s, *from, -1);
    if (rank < 2 || all < size || all % size || all / size > 8) return -1;
    *of = (int)(all / size);
    if (o->kind == OP_Slice)
        return slice_at(s, o, &axis, &start) && axis == rank - 1 && start % size == 0 ? (int)(start / size) : -1;
    axis = op_attr_int(s->g, o, ATTR_axis, 0);
    if ((axis != rank - 1 && axis != -1) || o->n_out != *of) return -1;
    for (uint32_t i = 0; i < o->n_out; i++)
        if (rewrite_dim(s, op_out(s->g, o)[i], -1) != size) return -1;
    return output_index(s, o, t);
}

/* ---- sums ---- */

static bool is_bias(const rewrite *s, uint32_t t)
{
    return t < s->n_tensors && s->g->tensors[t].role == ROLE_WEIGHT && rewrite_shape_of(s, t)->rank == 1;
}

static bool add_bias(recurrent_sum *sum, uint32_t t)
{
    if (sum->biases == 2) return false;
    sum->bias[sum->biases++] = t;
    return true;
}

static bool add_product(const rewrite *s, recurrent_sum *sum, const op *o)
{
    uint32_t w = recurrent_weight(s, rewrite_in(s, o, 1)), bias = rewrite_in(s, o, 2);
    if (sum->products == 2 || w == NO_TENSOR || s->g->tensors[w].rank != 2) return false;
    if (o->kind == OP_Gemm && (op_attr_float(s->g, o, ATTR_alpha, 1) != 1 ||
                               op_attr_float(s->g, o, ATTR_beta, 1) != 1 || op_attr_int(s->g, o, ATTR_transA, 0)))
        return false;
    sum->product[sum->products++] = o;
    if (o->kind != OP_Gemm || bias == NO_TENSOR) return true;
    bias = recurrent_weight(s, bias);
    return bias != NO_TENSOR && is_bias(s, bias) && add_bias(sum, bias);
}

static bool add_value(const rewrite *s, uint32_t t, recurrent_sum *sum, int depth)
{
    t = rewrite_bare(s, t);
    if (is_bias(s, t)) return add_bias(sum, t);
    const op *o = rewrite_maker(s, t);
    if (o && o->kind == OP_Add && depth < ADDENDS)
        return add_value(s, rewrite_in(s, o, 0), sum, depth + 1) && add_value(s, rewrite_in(s, o, 1), sum, depth + 1);
    if (o && (o->kind == OP_Gemm || o->kind == OP_MatMul)) return add_product(s, sum, o);
    sum->other = t;
    return ++sum->others == 1;
}

bool recurrent_add_up(const rewrite *s, uint32_t t, recurrent_sum *sum)
{
    *sum = (recurrent_sum){.other = NO_TENSOR};
    return add_value(s, t, sum, 0);
}
