/* What recurrent layers are recognised by: views, slices, parts, sums. */
#include "graph/recurrent_internal.h"

enum { VIEWS = 16, ADDENDS = 5 };

const op *recurrent_maker(const recurrent_search *s, uint32_t t)
{
    return t < s->n_tensors && s->maker[t] ? &s->g->ops[s->maker[t] - 1] : NULL;
}

uint32_t recurrent_in(const recurrent_search *s, const op *o, uint32_t i)
{
    return op_input(s->g, o, i);
}

const tensor_shape *recurrent_shape_of(const recurrent_search *s, uint32_t t)
{
    static const tensor_shape none = {.rank = -1};
    return t < s->n_tensors ? &s->s.t[t] : &none;
}

int64_t recurrent_dim(const recurrent_search *s, uint32_t t, int i)
{
    if (t >= s->n_tensors) return -1;
    const tensor_shape *x = &s->s.t[t];
    if (i < 0) i += x->rank;
    return i >= 0 && i < x->rank && x->dims[i].sym == SYM_NONE ? x->dims[i].v.i : -1;
}

bool recurrent_is_view(const op *o)
{
    switch (o->kind) {
    case OP_Reshape:
    case OP_Squeeze:
    case OP_Unsqueeze:
    case OP_Flatten:
    case OP_Expand: return true;
    case OP_Identity: return o->n_in == 1; /* with two it is what a write into a view left */
    default: return false;
    }
}

uint32_t recurrent_bare(const recurrent_search *s, uint32_t t)
{
    for (int i = 0; i < VIEWS; i++) {
        const op *o = recurrent_maker(s, t);
        uint32_t from = o && recurrent_is_view(o) ? recurrent_in(s, o, 0) : NO_TENSOR;
        if (from == NO_TENSOR) return t;
        const tensor_shape *a = recurrent_shape_of(s, from), *b = recurrent_shape_of(s, t);
        if (a->rank < 1 || b->rank < 1 || shape_elements(a) < 0 || shape_elements(a) != shape_elements(b)) return t;
        num x = a->dims[a->rank - 1], y = b->dims[b->rank - 1];
        if (!num_known(x) || !num_known(y) || x.v.i != y.v.i) return t;
        t = from;
    }
    return t;
}

uint32_t recurrent_weight(const recurrent_search *s, uint32_t t)
{
    for (int i = 0; i < VIEWS && t < s->n_tensors; i++) {
        if (s->g->tensors[t].role == ROLE_WEIGHT) return t;
        const op *o = recurrent_maker(s, t);
        if (!o || (!recurrent_is_view(o) && o->kind != OP_Transpose)) return NO_TENSOR;
        t = recurrent_in(s, o, 0);
    }
    return NO_TENSOR;
}

/* The only number in a constant. */
static bool number_at(const recurrent_search *s, uint32_t t, int64_t *out)
{
    const tensor_shape *x = t < s->n_tensors ? &s->s.t[t] : NULL;
    if (!x || !x->value || x->value_count != 1 || x->value[0].sym != SYM_NONE) return false;
    *out = x->value[0].v.i;
    return true;
}

/* Where a Slice of one axis begins and on which; false: it is another one. */
static bool slice_at(const recurrent_search *s, const op *o, int64_t *axis, int64_t *start)
{
    int64_t step = 1;
    uint32_t steps = recurrent_in(s, o, 4), from = recurrent_in(s, o, 0);
    if (!number_at(s, recurrent_in(s, o, 1), start) || !number_at(s, recurrent_in(s, o, 3), axis)) return false;
    if (steps != NO_TENSOR && (!number_at(s, steps, &step) || step != 1)) return false;
    if (from == NO_TENSOR || recurrent_shape_of(s, from)->rank < 1) return false;
    if (*axis < 0) *axis += recurrent_shape_of(s, from)->rank;
    int64_t size = recurrent_dim(s, from, (int)*axis);
    if (*start < 0 && size > 0) *start += size;
    return *start >= 0 && *axis >= 0;
}

static int output_index(const recurrent_search *s, const op *o, uint32_t t)
{
    for (uint32_t i = 0; i < o->n_out; i++)
        if (op_out(s->g, o)[i] == t) return (int)i;
    return -1;
}

int64_t recurrent_slice(const recurrent_search *s, uint32_t t, uint32_t *from)
{
    t = recurrent_bare(s, t);
    const op *o = recurrent_maker(s, t);
    int64_t axis, at;
    if (!o) return -1;
    *from = recurrent_in(s, o, 0);
    if (*from == NO_TENSOR || recurrent_shape_of(s, *from)->rank < 2) return -1;
    switch (o->kind) {
    case OP_Slice: return slice_at(s, o, &axis, &at) && axis == 0 && recurrent_dim(s, t, 0) == 1 ? at : -1;
    case OP_Gather:
        return !op_attr_int(s->g, o, ATTR_axis, 0) && number_at(s, recurrent_in(s, o, 1), &at) && at >= 0 ? at : -1;
    case OP_Split:
        return !op_attr_int(s->g, o, ATTR_axis, 0) && recurrent_dim(s, t, 0) == 1 ? output_index(s, o, t) : -1;
    default: return -1;
    }
}

int recurrent_part(const recurrent_search *s, uint32_t t, uint32_t *from, int *of)
{
    t = recurrent_bare(s, t);
    const op *o = recurrent_maker(s, t);
    int64_t axis, start, size = recurrent_dim(s, t, -1);
    if (!o || size < 1 || (o->kind != OP_Split && o->kind != OP_Slice)) return -1;
    *from = recurrent_in(s, o, 0);
    if (*from == NO_TENSOR) return -1;
    int rank = recurrent_shape_of(s, *from)->rank;
    int64_t all = recurrent_dim(s, *from, -1);
    if (rank < 2 || all < size || all % size || all / size > 8) return -1;
    *of = (int)(all / size);
    if (o->kind == OP_Slice)
        return slice_at(s, o, &axis, &start) && axis == rank - 1 && start % size == 0 ? (int)(start / size) : -1;
    axis = op_attr_int(s->g, o, ATTR_axis, 0);
    if ((axis != rank - 1 && axis != -1) || o->n_out != *of) return -1;
    for (uint32_t i = 0; i < o->n_out; i++)
        if (recurrent_dim(s, op_out(s->g, o)[i], -1) != size) return -1;
    return output_index(s, o, t);
}

/* ---- sums ---- */

static bool is_bias(const recurrent_search *s, uint32_t t)
{
    return t < s->n_tensors && s->g->tensors[t].role == ROLE_WEIGHT && recurrent_shape_of(s, t)->rank == 1;
}

static bool add_bias(recurrent_sum *sum, uint32_t t)
{
    if (sum->biases == 2) return false;
    sum->bias[sum->biases++] = t;
    return true;
}

static bool add_product(const recurrent_search *s, recurrent_sum *sum, const op *o)
{
    uint32_t w = recurrent_weight(s, recurrent_in(s, o, 1)), bias = recurrent_in(s, o, 2);
    if (sum->products == 2 || w == NO_TENSOR || s->g->tensors[w].rank != 2) return false;
    if (o->kind == OP_Gemm && (op_attr_float(s->g, o, ATTR_alpha, 1) != 1 ||
                               op_attr_float(s->g, o, ATTR_beta, 1) != 1 || op_attr_int(s->g, o, ATTR_transA, 0)))
        return false;
    sum->product[sum->products++] = o;
    if (o->kind != OP_Gemm || bias == NO_TENSOR) return true;
    bias = recurrent_weight(s, bias);
    return bias != NO_TENSOR && is_bias(s, bias) && add_bias(sum, bias);
}

static bool add_value(const recurrent_search *s, uint32_t t, recurrent_sum *sum, int depth)
{
    t = recurrent_bare(s, t);
    if (is_bias(s, t)) return add_bias(sum, t);
    const op *o = recurrent_maker(s, t);
    if (o && o->kind == OP_Add && depth < ADDENDS)
        return add_value(s, recurrent_in(s, o, 0), sum, depth + 1) &&
               add_value(s, recurrent_in(s, o, 1), sum, depth + 1);
    if (o && (o->kind == OP_Gemm || o->kind == OP_MatMul)) return add_product(s, sum, o);
    sum->other = t;
    return ++sum->others == 1;
}

bool recurrent_add_up(const recurrent_search *s, uint32_t t, recurrent_sum *sum)
{
    *sum = (recurrent_sum){.other = NO_TENSOR};
    return add_value(s, t, sum, 0);
}

/* ---- who reads what ---- */

static bool has_region(const graph *g, const op *o)
{
    for (uint32_t i = 0; i < o->n_attr; i++)
        if (g->attrs[o->first_attr + i].type == ATTR_REGION) return true;
    return false;
}

static void find_fixed(recurrent_search *s)
{
    const graph *g = s->g;
    for (uint32_t r = 0; r < g->n_regions; r++) {
        for (uint32_t i = 0; i < g->regions[r].n_outputs; i++) s->fixed[g->regions[r].outputs[i]] = 1;
        for (uint32_t i = 0; r && i < g->regions[r].n_ops; i++) {
            const op *o = &g->ops[g->regions[r].ops[i]];
            for (uint32_t k = 0; k < o->n_in; k++)
                if (op_in(g, o)[k] != NO_TENSOR) s->fixed[op_in(g, o)[k]] = 1;
        }
    }
}

/* From the end to the start: what something alive reads is alive. */
static void find_live(recurrent_search *s, uint32_t *uses)
{
    const graph *g = s->g;
    const region *r = &g->regions[0];
    for (uint32_t i = r->n_ops; i-- > 0;) {
        const op *o = &g->ops[r->ops[i]];
        bool alive = !o->n_out || has_region(g, o);
        for (uint32_t k = 0; k < o->n_out && !alive; k++) {
            uint32_t t = op_out(g, o)[k];
            alive = t != NO_TENSOR && (uses[t] || s->fixed[t]);
        }
        s->live[r->ops[i]] = alive;
        for (uint32_t k = 0; k < o->n_in && alive; k++)
            if (op_in(g, o)[k] != NO_TENSOR) uses[op_in(g, o)[k]]++;
    }
}

static bool list_readers(recurrent_search *s, const uint32_t *uses)
{
    const graph *g = s->g;
    const region *r = &g->regions[0];
    size_t n = 0;
    for (uint32_t t = 0; t < g->n_tensors; t++) {
        s->first[t] = (uint32_t)n;
        n += uses[t];
    }
    s->first[g->n_tensors] = (uint32_t)n;
    s->readers = ARENA_ARRAY(s->a, uint32_t, n);
    uint32_t *at = ARENA_ARRAY(s->a, uint32_t, g->n_tensors);
    if (!s->readers || !at) return false;
    for (uint32_t i = 0; i < r->n_ops; i++) {
        const op *o = &g->ops[r->ops[i]];
        for (uint32_t k = 0; s->live[r->ops[i]] && k < o->n_in; k++) {
            uint32_t t = op_in(g, o)[k];
            if (t != NO_TENSOR) s->readers[s->first[t] + at[t]++] = r->ops[i];
        }
    }
    return true;
}

bool recurrent_open(recurrent_search *s)
{
    const graph *g = s->g;
    uint32_t *uses = ARENA_ARRAY(s->a, uint32_t, g->n_tensors);
    s->n_tensors = g->n_tensors;
    s->n_ops = g->n_ops;
    s->maker = ARENA_ARRAY(s->a, uint32_t, g->n_tensors);
    s->first = ARENA_ARRAY(s->a, uint32_t, (size_t)g->n_tensors + 1);
    s->fixed = ARENA_ARRAY(s->a, uint8_t, g->n_tensors);
    s->live = ARENA_ARRAY(s->a, uint8_t, g->n_ops);
    s->taken = ARENA_ARRAY(s->a, uint8_t, g->n_ops);
    s->mark = ARENA_ARRAY(s->a, uint32_t, g->n_ops);
    if (!uses || !s->maker || !s->first || !s->fixed || !s->live || !s->taken || !s->mark) return false;
    for (uint32_t i = 0; i < g->regions[0].n_ops; i++) {
        const op *o = &g->ops[g->regions[0].ops[i]];
        for (uint32_t k = 0; k < o->n_out; k++)
            if (op_out(g, o)[k] != NO_TENSOR) s->maker[op_out(g, o)[k]] = g->regions[0].ops[i] + 1;
    }
    find_fixed(s);
    find_live(s, uses);
    return list_readers(s, uses);
}
