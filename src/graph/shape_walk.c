#include "graph/shape_internal.h"

struct shape_walk {
    infer x;
    shapes s;
    uint32_t tensors, ops, symbols, regions; /* taken in so far */
    uint32_t cap_tensors;
};

shape_walk *shape_walk_new(const graph *g, arena *a)
{
    shape_walk *w = ARENA_NEW(a, shape_walk);
    if (!w) return NULL;
    w->s.g = g;
    w->s.a = a;
    w->x = (infer){.g = g, .s = &w->s, .a = a, .error = PG_ERROR_INIT, .batch_symbol = -1, .default_trips = 1};
    w->x.trips = num_int(1);
    return w;
}

static pg_code take_symbols(shape_walk *w)
{
    const graph *g = w->x.g;
    if (w->symbols == g->n_symbols) return PG_E_OK;
    w->s.binding = arena_grow(w->x.a, w->s.binding, w->symbols, g->n_symbols, sizeof *w->s.binding);
    w->x.input_symbol = arena_grow(w->x.a, w->x.input_symbol, w->symbols, g->n_symbols, 1);
    if (!w->s.binding || !w->x.input_symbol) return shape_nomem(&w->x);
    for (; w->symbols < g->n_symbols; w->symbols++) {
        int64_t v = g->symbols[w->symbols].fallback;
        w->s.binding[w->symbols] = v > 0 ? v : 1;
        w->x.input_symbol[w->symbols] = 1;
    }
    return PG_E_OK;
}

static pg_code take_regions(shape_walk *w)
{
    const graph *g = w->x.g;
    if (w->regions == g->n_regions) return PG_E_OK;
    w->s.trips = arena_grow(w->x.a, w->s.trips, w->regions, g->n_regions, sizeof *w->s.trips);
    if (!w->s.trips) return shape_nomem(&w->x);
    for (; w->regions < g->n_regions; w->regions++) w->s.trips[w->regions] = num_int(w->regions == 0);
    return PG_E_OK;
}

static pg_code take_tensors(shape_walk *w)
{
    infer *x = &w->x;
    const graph *g = x->g;
    if (g->n_tensors > w->cap_tensors) {
        uint32_t cap = g->n_tensors * 2 > 256 ? g->n_tensors * 2 : 256;
        w->s.t = arena_grow(x->a, w->s.t, w->cap_tensors, cap, sizeof *w->s.t);
        x->need = arena_grow(x->a, x->need, w->cap_tensors, cap, 1);
        if (!w->s.t || !x->need) return shape_nomem(x);
        w->cap_tensors = cap;
        x->t = w->s.t;
    }
    for (; w->tensors < g->n_tensors; w->tensors++) {
        memset(&x->t[w->tensors], 0, sizeof *x->t);
        x->need[w->tensors] = 1;
        pg_code code = infer_start_tensor(x, w->tensors);
        if (code) return code;
    }
    return PG_E_OK;
}

pg_code shape_walk_step(shape_walk *w, pg_error *e)
{
    infer *x = &w->x;
    const region *model = &x->g->regions[0];
    pg_code code = take_symbols(w);
    if (!code) code = take_regions(w);
    if (!code) code = take_tensors(w);
    for (; !code && w->ops < model->n_ops; w->ops++) {
        x->budget = 1 << 20;
        x->detects |= x->g->ops[model->ops[w->ops]].kind == OP_NonMaxSuppression;
        code = infer_op(x, model->ops[w->ops]);
    }
    if (code) {
        error_set(e, x->error.code, "%s", x->error.text);
        if (x->error.path[0]) error_path(e, "%s", x->error.path);
    }
    return code;
}

pg_code shape_walk_learn(shape_walk *w, uint32_t t, pg_error *e)
{
    pg_code code = shape_walk_step(w, e);
    if (code || t >= w->tensors) return code;
    code = infer_use_declared(&w->x, t);
    return code ? error_nomem(e, w->x.a) : PG_E_OK;
}

const tensor_shape *shape_walk_at(const shape_walk *w, uint32_t t)
{
    static const tensor_shape none = {.rank = -1};
    return t < w->tensors ? &w->s.t[t] : &none;
}

num shape_walk_declared(const shape_walk *w, num n)
{
    int64_t part;
    if (n.sym < 0 || (uint32_t)n.sym >= w->symbols) return n.sym == SYM_UNKNOWN ? n : num_int(n.v.i);
    if (!int_mul((int64_t)n.k, w->s.binding[n.sym], &part) || __builtin_sub_overflow(n.v.i, part, &n.v.i))
        return num_unknown();
    return n;
}
