/* What all rewriting needs: who makes and reads a value, what it is a view of; and the stages, one after another. */
#include "graph/rewrite_internal.h"

enum { VIEWS = 16 };

const op *rewrite_maker(const rewrite *s, uint32_t t)
{
    return t < s->n_tensors && s->maker[t] ? &s->g->ops[s->maker[t] - 1] : NULL;
}

uint32_t rewrite_in(const rewrite *s, const op *o, uint32_t i)
{
    return op_input(s->g, o, i);
}

const tensor_shape *rewrite_shape_of(const rewrite *s, uint32_t t)
{
    static const tensor_shape none = {.rank = -1};
    return t < s->n_tensors ? &s->s.t[t] : &none;
}

int64_t rewrite_dim(const rewrite *s, uint32_t t, int i)
{
    if (t >= s->n_tensors) return -1;
    const tensor_shape *x = &s->s.t[t];
    if (i < 0) i += x->rank;
    return i >= 0 && i < x->rank && x->dims[i].sym == SYM_NONE ? x->dims[i].v.i : -1;
}

bool rewrite_is_view(const op *o)
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

uint32_t rewrite_bare(const rewrite *s, uint32_t t)
{
    for (int i = 0; i < VIEWS; i++) {
        const op *o = rewrite_maker(s, t);
        uint32_t from = o && rewrite_is_view(o) ? rewrite_in(s, o, 0) : NO_TENSOR;
        if (from == NO_TENSOR) return t;
        const tensor_shape *a = rewrite_shape_of(s, from), *b = rewrite_shape_of(s, t);
        if (a->rank < 1 || b->rank < 1 || shape_elements(a) < 0 || shape_elements(a) != shape_elements(b)) return t;
        num x = a->dims[a->rank - 1], y = b->dims[b->rank - 1];
        if (!num_known(x) || !num_known(y) || x.v.i != y.v.i) return t;
        t = from;
    }
    return t;
}

bool rewrite_number(const rewrite *s, uint32_t t, int64_t *out)
{
    const tensor_shape *x = t < s->n_tensors ? &s->s.t[t] : NULL;
    if (!x || !x->value || x->value_count != 1 || x->value[0].sym != SYM_NONE) return false;
    *out = x->value[0].v.i;
    return true;
}

/* ---- changing the graph ---- */

uint32_t rewrite_emit(rewrite *s, op_kind kind, const uint32_t *in, uint32_t n_in, uint32_t out)
{
    graph *g = s->g;
    str name = n_in && in[0] != NO_TENSOR ? g->tensors[in[0]].name : (str){NULL, 0};
    if (out == NO_TENSOR) out = graph_add_tensor(g, name, DT_UNKNOWN);
    if (out == NO_TENSOR || graph_add_op(g, 0, kind, name, in, n_in, &out, 1) == NO_TENSOR) {
        s->failed = true;
        return NO_TENSOR;
    }
    g->tensors[out].defined = true;
    return out;
}

uint32_t rewrite_ints(rewrite *s, const int64_t *v, uint32_t n)
{
    uint32_t t = graph_add_ints(s->g, STR("axes"), 1, v, n);
    if (t == NO_TENSOR) {
        s->failed = true;
        return t;
    }
    s->g->tensors[t].literal = s->g->tensors[t].defined = true;
    return t;
}

void rewrite_read_instead(rewrite *s, uint32_t from, uint32_t to)
{
    graph *g = s->g;
    for (uint32_t k = s->first[from]; k < s->first[from + 1]; k++) {
        const op *o = &g->ops[s->readers[k]];
        for (uint32_t i = 0; i < o->n_in; i++)
            if (op_in(g, o)[i] == from) g->operands[o->first_in + i] = to;
    }
    for (uint32_t r = 0; s->fixed[from] && r < g->n_regions; r++) {
        for (uint32_t i = 0; i < g->regions[r].n_outputs; i++)
            if (g->regions[r].outputs[i] == from) g->regions[r].outputs[i] = to;
    }
    if (!g->tensors[from].is_output) return;
    g->tensors[to].is_output = true;
    g->tensors[to].name = g->tensors[from].name;
}

bool rewrite_is_read_inside(const rewrite *s, uint32_t t)
{
    const graph *g = s->g;
    for (uint32_t r = 1; s->fixed[t] && r < g->n_regions; r++)
        if (g->regions[r].n_ops) return true;
    return false;
}

/* ---- who reads what ---- */

static bool has_region(const graph *g, const op *o)
{
    for (uint32_t i = 0; i < o->n_attr; i++)
        if (g->attrs[o->first_attr + i].type == ATTR_REGION) return true;
    return false;
}

static void find_fixed(rewrite *s)
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
static void find_live(rewrite *s, uint32_t *uses)
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

static bool list_readers(rewrite *s, const uint32_t *uses)
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

bool rewrite_open(rewrite *s)
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

/* ---- stages ---- */

/* What is in few graphs, told by a look at each operator: recurrent layers, and writes into parts. */
static void look_for(const graph *g, bool *recurrent, bool *writes)
{
    uint32_t tanh = 0, sums = 0;
    *recurrent = *writes = false;
    for (uint32_t i = 0; i < g->n_ops; i++) {
        op_kind k = (op_kind)g->ops[i].kind;
        tanh += k == OP_Tanh || k == OP_Relu;
        sums += k == OP_Add;
        *recurrent |= k == OP_LSTM || k == OP_GRU || k == OP_RNN;
        *writes |= k == OP_TensorScatter || k == OP_ScatterND;
    }
    *recurrent |= tanh && sums;
}

/* What was replaced goes, and with it what nobody reads any more. */
static pg_code tidy(rewrite *s, pg_error *e)
{
    graph *g = s->g;
    region *r = &g->regions[0];
    uint32_t n = 0;
    for (uint32_t i = 0; i < r->n_ops; i++)
        if (r->ops[i] >= s->n_ops || (s->live[r->ops[i]] && !s->taken[r->ops[i]])) r->ops[n++] = r->ops[i];
    r->n_ops = n;
    pg_code code = graph_sort(g, s->a, e);
    if (code) return code;
    *s = (rewrite){.g = g, .a = s->a};
    if (!rewrite_open(s)) return error_nomem(e, s->a);
    n = 0;
    for (uint32_t i = 0; i < r->n_ops; i++)
        if (s->live[r->ops[i]]) r->ops[n++] = r->ops[i];
    r->n_ops = n;
    return graph_drop_unlisted(g) ? PG_E_OK : error_nomem(e, g->a);
}

static pg_code run_stage(graph *g, uint32_t (*stage)(rewrite *s), bool pytorch, pg_error *e)
{
    enum { PART = 2 }; /* of the graph's memory: a graph too large for it stays as it is */
    arena a;
    pg_error ignored = PG_ERROR_INIT;
    pg_code code = PG_E_OK;
    arena_init(&a, g->a->alloc, g->a->limit / PART);
    rewrite s = {.g = g, .a = &a, .pytorch = pytorch};
    bool fits = rewrite_open(&s) && !shapes_infer(&s.s, g, &(shape_options){.binding = NULL}, &a, &ignored);
    uint32_t made = fits ? stage(&s) : 0; /* a graph that contradicts itself is for others to report */
    if ((a.failed && !a.limited) || g->a->failed || s.failed) code = error_nomem(e, g->a->failed ? g->a : &a);
    if (!code && made) code = tidy(&s, e);
    arena_free(&a);
    return code;
}

static bool has_layers(const graph *g)
{
    for (uint32_t i = 0; i < g->n_ops; i++)
        if (g->ops[i].kind == OP_LSTM || g->ops[i].kind == OP_GRU || g->ops[i].kind == OP_RNN) return true;
    return false;
}

pg_code graph_rewrite(graph *g, bool pytorch, pg_error *e)
{
    static const struct {
        uint32_t (*run)(rewrite *s);
        bool writes; /* else recurrent layers */
    } stages[] = {{rewrite_writes, true},         {recurrent_join_steps, false}, {recurrent_join_directions, false},
                  {recurrent_join_states, false}, {recurrent_drop_views, false}, {recurrent_part_states, false}};
    bool recurrent, writes;
    pg_code code = PG_E_OK;
    if (!g->n_regions) return code;
    look_for(g, &recurrent, &writes);
    for (size_t i = 0; i < sizeof stages / sizeof stages[0] && !code; i++) {
        if (stages[i].writes ? writes : recurrent) code = run_stage(g, stages[i].run, pytorch, e);
        if (stages[i].run == recurrent_join_steps) recurrent = has_layers(g); /* what follows is about them */
    }
    return code;
}
