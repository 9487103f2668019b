#include "graph/graph.h"

/* Kahn's algorithm over one region at a time. Files are nearly always in order already, so that is tested first.
 * An operator also waits for what the bodies of its control flow capture. */

typedef struct sorter {
    graph *g;
    uint32_t *producer; /* per tensor: op index + 1; 0: none */
    uint32_t *position; /* per op: its place in its region's list, valid while that region is sorted */
    uint32_t *owner;    /* per op: region + 1 */
    arena *scratch;
} sorter;

typedef bool (*visit_fn)(void *ud, uint32_t producer_op);

static bool visit_region(const sorter *s, uint32_t r, visit_fn fn, void *ud, unsigned depth);

/* Calls fn for every op of the graph that op o reads from, through nested bodies too; stops and returns false when fn does. */
static bool visit_inputs(const sorter *s, const op *o, visit_fn fn, void *ud, unsigned depth)
{
    const graph *g = s->g;
    for (uint32_t i = 0; i < o->n_in; i++) {
        uint32_t t = op_in(g, o)[i];
        if (t != NO_TENSOR && s->producer[t] && !fn(ud, s->producer[t] - 1)) return false;
    }
    for (uint32_t i = 0; i < o->n_attr; i++) {
        const attr *a = &g->attrs[o->first_attr + i];
        if (a->type == ATTR_REGION && !visit_region(s, a->v.index, fn, ud, depth + 1)) return false;
    }
    return true;
}

static bool visit_region(const sorter *s, uint32_t r, visit_fn fn, void *ud, unsigned depth)
{
    if (depth > 64) return true; /* loaders bound the nesting; this only guards the recursion */
    const region *reg = &s->g->regions[r];
    for (uint32_t i = 0; i < reg->n_ops; i++)
        if (!visit_inputs(s, &s->g->ops[reg->ops[i]], fn, ud, depth)) return false;
    for (uint32_t i = 0; i < reg->n_outputs; i++) {
        uint32_t p = s->producer[reg->outputs[i]];
        if (p && !fn(ud, p - 1)) return false;
    }
    return true;
}

typedef struct order_check {
    const sorter *s;
    uint32_t region, at;
} order_check;

static bool is_before(void *ud, uint32_t p)
{
    const order_check *c = ud;
    return c->s->owner[p] != c->region + 1 || c->s->position[p] < c->at;
}

static bool in_order(const sorter *s, uint32_t r)
{
    const region *reg = &s->g->regions[r];
    for (uint32_t i = 0; i < reg->n_ops; i++) {
        order_check c = {s, r, i};
        if (!visit_inputs(s, &s->g->ops[reg->ops[i]], is_before, &c, 0)) return false;
    }
    return true;
}

typedef struct edges {
    const sorter *s;
    uint32_t region, at;
    uint32_t *waits;                /* per position: inputs that are not yet ready */
    uint32_t *first, *next, *users; /* linked lists of users by producer position; NULL while counting */
    uint32_t n;
} edges;

static bool count_edge(void *ud, uint32_t p)
{
    edges *e = ud;
    if (e->s->owner[p] != e->region + 1) return true;
    if (e->users) {
        uint32_t from = e->s->position[p];
        e->users[e->n] = e->at;
        e->next[e->n] = e->first[from];
        e->first[from] = e->n + 1;
        e->waits[e->at]++;
    }
    e->n++;
    return true;
}

static pg_code sort_region(const sorter *s, uint32_t r, pg_error *err)
{
    graph *g = s->g;
    region *reg = &g->regions[r];
    uint32_t n = reg->n_ops;
    edges e = {s, r, 0, NULL, NULL, NULL, NULL, 0};
    for (uint32_t i = 0; i < n; i++) visit_inputs(s, &g->ops[reg->ops[i]], count_edge, &e, 0);
    e.waits = ARENA_ARRAY(s->scratch, uint32_t, n);
    e.first = ARENA_ARRAY(s->scratch, uint32_t, n);
    e.next = ARENA_ARRAY(s->scratch, uint32_t, e.n);
    uint32_t *users = ARENA_ARRAY(s->scratch, uint32_t, e.n);
    uint32_t *ready = ARENA_ARRAY(s->scratch, uint32_t, n);
    uint32_t *sorted = ARENA_ARRAY(g->a, uint32_t, n);
    if (!e.waits || !e.first || !e.next || !users || !ready || !sorted) return error_nomem(err, s->scratch);
    e.users = users;
    e.n = 0;
    for (e.at = 0; e.at < n; e.at++) visit_inputs(s, &g->ops[reg->ops[e.at]], count_edge, &e, 0);
    uint32_t head = 0, tail = 0;
    for (uint32_t i = 0; i < n; i++)
        if (!e.waits[i]) ready[tail++] = i;
    while (head < tail) {
        uint32_t i = ready[head];
        sorted[head++] = reg->ops[i];
        for (uint32_t k = e.first[i]; k; k = e.next[k - 1])
            if (--e.waits[users[k - 1]] == 0) ready[tail++] = users[k - 1];
    }
    if (tail < n) {
        uint32_t stuck = 0;
        while (!e.waits[stuck]) stuck++;
        const op *o = &g->ops[reg->ops[stuck]];
        error_path(err, "node '%.*s'", STR_ARG(o->name));
        return error_set(err, PG_E_GRAPH,
                         "%.*s is part of a cycle: its input depends on its own output; export the model again",
                         STR_ARG(o->type));
    }
    reg->ops = sorted;
    return PG_E_OK;
}

pg_code graph_sort(graph *g, arena *scratch, pg_error *e)
{
    sorter s = {g, ARENA_ARRAY(scratch, uint32_t, g->n_tensors), ARENA_ARRAY(scratch, uint32_t, g->n_ops),
                ARENA_ARRAY(scratch, uint32_t, g->n_ops), scratch};
    if (!s.producer || !s.position || !s.owner) return error_nomem(e, scratch);
    for (uint32_t r = 0; r < g->n_regions; r++)
        for (uint32_t i = 0; i < g->regions[r].n_ops; i++) {
            uint32_t o = g->regions[r].ops[i];
            s.owner[o] = r + 1;
            s.position[o] = i;
            for (uint32_t k = 0; k < g->ops[o].n_out; k++) {
                uint32_t t = op_out(g, &g->ops[o])[k];
                if (t != NO_TENSOR) s.producer[t] = o + 1;
            }
        }
    for (uint32_t r = 0; r < g->n_regions; r++) {
        if (in_order(&s, r)) continue;
        pg_code code = sort_region(&s, r, e);
        if (code) return code;
    }
    return PG_E_OK;
}
