/* Steps that follow one another become layers, steps that stand alone cells, layers of two directions one. */
#include "graph/recurrent_internal.h"

/* ---- the product of all steps' inputs ---- */

typedef struct inputs {
    uint32_t x, w, bias;
    int64_t in;
    bool reverse;
} inputs;

/* The value of three dims [steps, batch, features] that a product of rows reads through views. */
static uint32_t sequence_of(const rewrite *s, uint32_t t, int64_t steps, int64_t in)
{
    enum { VIEWS = 16 };
    uint32_t found = NO_TENSOR;
    for (int i = 0; i < VIEWS && t < s->n_tensors; i++) {
        if (rewrite_shape_of(s, t)->rank == 3 && rewrite_dim(s, t, 0) == steps && rewrite_dim(s, t, 2) == in) found = t;
        const op *o = rewrite_maker(s, t);
        if (!o || !rewrite_is_view(o)) break;
        t = rewrite_in(s, o, 0);
    }
    return found;
}

static bool read_inputs(const rewrite *s, const recurrent_step *c, int64_t steps, inputs *out)
{
    recurrent_sum sum;
    uint32_t t = rewrite_bare(s, c->all);
    const op *o = rewrite_maker(s, t);
    *out = (inputs){.reverse = o && o->kind == OP_Reverse};
    if (out->reverse) t = rewrite_in(s, o, 0);
    if (!recurrent_add_up(s, t, &sum) || sum.products != 1 || sum.others) return false;
    out->w = recurrent_weight(s, rewrite_in(s, sum.product[0], 1));
    out->bias = sum.biases ? sum.bias[0] : NO_TENSOR;
    const tensor *w = &s->g->tensors[out->w];
    int64_t wide = c->gates * c->hidden;
    if (w->dims[0].sym != SYM_NONE || w->dims[1].sym != SYM_NONE) return false;
    if (w->dims[0].v.i != wide && w->dims[1].v.i != wide) return false;
    out->in = w->dims[w->dims[0].v.i == wide].v.i;
    out->x = sequence_of(s, rewrite_in(s, sum.product[0], 0), steps, out->in);
    return out->x != NO_TENSOR;
}

/* ---- steps in a row ---- */

typedef struct chain {
    recurrent_step **step; /* by slice */
    int64_t n;
    bool down; /* from the last slice to the first */
    inputs of;
    const op *joined; /* the Concat of what all steps leave; NULL: nobody reads that */
} chain;

static const recurrent_step *nth(const chain *c, int64_t i)
{
    return c->step[c->down ? c->n - 1 - i : i];
}

static bool follows(const recurrent_step *a, const recurrent_step *b)
{
    return b->h_in == a->h && b->c_in == a->c && b->kind == a->kind && b->w == a->w && b->bias == a->bias;
}

static bool in_a_row(const chain *c)
{
    for (int64_t i = 1; i < c->n; i++)
        if (!follows(nth(c, i - 1), nth(c, i))) return false;
    return true;
}

/* The Concat that reads t, through a view that only it reads; NULL: none. */
static const op *concat_behind(const rewrite *s, uint32_t reader)
{
    const op *o = &s->g->ops[reader];
    if (rewrite_is_view(o)) {
        uint32_t t = op_out(s->g, o)[0];
        if (s->fixed[t] || s->first[t + 1] != s->first[t] + 1) return NULL;
        o = &s->g->ops[s->readers[s->first[t]]];
    }
    return o->kind == OP_Concat && !op_attr_int(s->g, o, ATTR_axis, 0) ? o : NULL;
}

/* Whether only the step itself, the next one and one Concat of all read what step i leaves. */
static bool is_read_in_a_row(const rewrite *s, chain *c, int64_t i)
{
    const recurrent_step *at = nth(c, i), *next = i + 1 < c->n ? nth(c, i + 1) : NULL;
    uint32_t values[2] = {at->h, at->c};
    for (int v = 0; v < 2; v++) {
        uint32_t t = values[v];
        if (t == NO_TENSOR) continue;
        if (next && s->fixed[t]) return false;
        for (uint32_t k = s->first[t]; k < s->first[t + 1]; k++) {
            uint32_t mark = s->mark[s->readers[k]];
            if (mark && (mark == s->mark[at->ops[0]] || (next && mark == s->mark[next->ops[0]]))) continue;
            const op *join = v ? NULL : concat_behind(s, s->readers[k]);
            if (join && (!c->joined || c->joined == join) && join->n_in == c->n) c->joined = join;
            else if (next) return false;
        }
    }
    return true;
}

static bool joins_in_order(const rewrite *s, const chain *c)
{
    for (int64_t i = 0; c->joined && i < c->n; i++) {
        const recurrent_step *at = c->of.reverse ? c->step[c->n - 1 - i] : c->step[i];
        if (rewrite_bare(s, rewrite_in(s, c->joined, (uint32_t)i)) != at->h) return false;
    }
    return true;
}

/* The product is for these steps alone. */
static bool owns_inputs(rewrite *s, const chain *c)
{
    uint32_t t = c->step[0]->all, id = ++s->n_marks, n = 0, ops[STEP_OPS], stop = c->of.x;
    for (uint32_t k = s->first[t]; k < s->first[t + 1]; k++) {
        bool found = false;
        for (int64_t i = 0; i < c->n && !found; i++) found = s->mark[s->readers[k]] == s->mark[c->step[i]->ops[0]];
        if (!found) return false;
    }
    return !s->fixed[t] && recurrent_gather(s, t, &stop, 1, id, ops, &n) && recurrent_is_private(s, ops, n, id, &t, 1);
}

static bool fits(rewrite *s, chain *c)
{
    c->down = c->n > 1 && !follows(c->step[0], c->step[1]);
    if (!in_a_row(c) || !read_inputs(s, c->step[0], c->n, &c->of)) return false;
    for (int64_t i = 0; i < c->n; i++)
        if (!is_read_in_a_row(s, c, i)) return false;
    return joins_in_order(s, c) && owns_inputs(s, c);
}

/* ---- putting layers in their place ---- */

static bool is_used(const rewrite *s, uint32_t t, const recurrent_step *by, const op *joined)
{
    if (t == NO_TENSOR) return false;
    if (s->fixed[t]) return true;
    for (uint32_t k = s->first[t]; k < s->first[t + 1]; k++) {
        const op *o = &s->g->ops[s->readers[k]];
        if (o != joined && s->mark[s->readers[k]] != s->mark[by->ops[0]]) return true;
    }
    return false;
}

static void take(rewrite *s, uint32_t t)
{
    if (t != NO_TENSOR && s->maker[t]) s->taken[s->maker[t] - 1] = 1;
}

/* `to` is `from` [1, batch, hidden] in the shape that the step had. */
static void define_state(rewrite *s, uint32_t from, uint32_t to)
{
    int64_t axis = 0;
    bool flat = rewrite_shape_of(s, to)->rank == 2;
    uint32_t in[2] = {from, NO_TENSOR};
    if (s->failed) return;
    if (flat) in[1] = rewrite_ints(s, &axis, 1);
    if (!s->failed) rewrite_emit(s, flat ? OP_Squeeze : OP_Identity, in, flat ? 2 : 1, to);
    take(s, to);
}

static void emit_chain(rewrite *s, chain *c)
{
    const recurrent_step *first = nth(c, 0), *last = nth(c, c->n - 1);
    bool ends = is_used(s, last->h, last, c->joined), cell = is_used(s, last->c, last, NULL);
    uint32_t y = c->joined ? op_out(s->g, c->joined)[0] : NO_TENSOR; /* operators move when the graph grows */
    recurrent_layer l = {.kind = first->kind,
                         .gates = first->gates,
                         .directions = 1,
                         .reverse = c->of.reverse != c->down,
                         .hidden = first->hidden,
                         .in = c->of.in,
                         .x = c->of.x,
                         .w = c->of.w,
                         .r = first->w,
                         .bias = first->bias != NO_TENSOR ? first->bias : c->of.bias,
                         .h_in = {first->h_in, NO_TENSOR},
                         .c_in = {first->c_in, NO_TENSOR},
                         .y = NO_TENSOR,
                         .h = NO_TENSOR,
                         .c = NO_TENSOR};
    uint32_t out[3] = {NO_TENSOR, NO_TENSOR, NO_TENSOR};
    int64_t axis = 1;
    recurrent_add_layer(s, &l, s->g->ops[last->ops[0]].name, out);
    if (s->failed) return;
    if (y != NO_TENSOR) {
        uint32_t in[2] = {out[0], rewrite_ints(s, &axis, 1)};
        take(s, y);
        if (!s->failed) rewrite_emit(s, OP_Squeeze, in, 2, y);
    }
    if (ends) define_state(s, out[1], last->h);
    if (cell) define_state(s, out[2], last->c);
}

static void emit_cell(rewrite *s, const recurrent_step *c)
{
    int64_t axis = 0;
    uint32_t out[3] = {NO_TENSOR, NO_TENSOR, NO_TENSOR}, in[2] = {c->x, rewrite_ints(s, &axis, 1)};
    const tensor *w = &s->g->tensors[c->wx];
    recurrent_layer l = {.kind = c->kind,
                         .gates = c->gates,
                         .directions = 1,
                         .hidden = c->hidden,
                         .in = w->dims[w->dims[0].v.i == c->gates * c->hidden].v.i,
                         .w = c->wx,
                         .r = c->w,
                         .bias = c->bias != NO_TENSOR ? c->bias : c->bx,
                         .h_in = {c->h_in, NO_TENSOR},
                         .c_in = {c->c_in, NO_TENSOR},
                         .y = NO_TENSOR,
                         .h = NO_TENSOR,
                         .c = NO_TENSOR};
    bool flat = rewrite_shape_of(s, c->x)->rank == 2;
    if (!s->failed) l.x = flat ? rewrite_emit(s, OP_Unsqueeze, in, 2, NO_TENSOR) : c->x;
    if (!s->failed) recurrent_add_layer(s, &l, s->g->ops[c->ops[0]].name, out);
    if (s->failed) return;
    define_state(s, out[1], c->h);
    if (c->c != NO_TENSOR) define_state(s, out[2], c->c);
}

/* ---- all of them ---- */

/* The steps that read slices of one product, by slice; false: they are not one for each. */
static bool by_slice(rewrite *s, uint32_t head, chain *c)
{
    recurrent_step *first = &s->step[head - 1];
    c->n = rewrite_dim(s, first->all, 0);
    int64_t found = 0;
    for (uint32_t i = head; i; i = s->step[i - 1].next) found++;
    if (c->n < 1 || c->n != found) return false;
    c->step = ARENA_ARRAY(s->a, recurrent_step *, (size_t)c->n);
    if (!c->step) {
        s->failed = true;
        return false;
    }
    for (uint32_t i = head; i; i = s->step[i - 1].next) {
        recurrent_step *at = &s->step[i - 1];
        if (at->at >= c->n || c->step[at->at]) return false;
        c->step[at->at] = at;
    }
    return true;
}

/* Layers first: what is left of the steps that multiply their own inputs are cells. Gives how many there are. */
static uint32_t join_steps(rewrite *s)
{
    uint32_t made = 0, *head = ARENA_ARRAY(s->a, uint32_t, s->n_tensors);
    if (!head) {
        s->failed = true;
        return 0;
    }
    for (uint32_t i = 0; i < s->n_steps; i++) {
        recurrent_step *c = &s->step[i];
        if (c->all == NO_TENSOR) continue;
        c->next = head[c->all];
        head[c->all] = i + 1;
    }
    for (uint32_t i = 0; i < s->n_steps && !s->failed; i++) {
        chain c = {.joined = NULL};
        const recurrent_step *at = &s->step[i];
        if (at->all == NO_TENSOR) {
            emit_cell(s, at);
            made++;
        } else if (head[at->all] == i + 1 && by_slice(s, head[at->all], &c) && fits(s, &c)) {
            emit_chain(s, &c);
            made++;
        }
    }
    return made;
}

uint32_t recurrent_join_steps(rewrite *s)
{
    recurrent_find_steps(s);
    return s->n_steps && !s->failed ? join_steps(s) : 0;
}
