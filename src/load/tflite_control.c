/* Subgraphs that operators call: branches, loops, composites. */
#include "load/tflite_internal.h"

/* The call's operands from `first` on become the subgraph's inputs. */
static pg_code bind(tflite_reader *r, tflite_node *n, tflite_scope *inner, uint32_t first)
{
    flatbuffer_vector in = tflite_ends(r, inner, false);
    if (!tflite_charge(r, in.n)) return PG_E_LIMIT;
    if (in.n + first > n->in.n) return tflite_bad(r, n, "calls a subgraph with fewer inputs than that has");
    for (uint32_t i = 0; i < in.n; i++) {
        int32_t to = flatbuffer_list_i32(&in, i), from = tflite_in(n, first + i);
        uint32_t t = tflite_get(r, n->s, from, FORM_FILE);
        if (!tflite_alias(r, inner, to, FORM_FILE, t)) return tflite_status(r);
    }
    return tflite_status(r);
}

/* The subgraph's outputs as tensors of the graph. */
static uint32_t *outputs_of(tflite_reader *r, tflite_node *n, tflite_scope *inner, uint32_t *count)
{
    flatbuffer_vector out = tflite_ends(r, inner, true);
    if (!tflite_charge(r, out.n)) return NULL;
    uint32_t *list = ARENA_ARRAY(r->g->a, uint32_t, out.n);
    for (uint32_t i = 0; list && i < out.n && !error_is_set(r->e); i++) {
        list[i] = tflite_get(r, inner, flatbuffer_list_i32(&out, i), FORM_FILE);
        if (list[i] == NO_TENSOR) tflite_bad(r, n, "calls a subgraph that leaves out an output");
    }
    *count = out.n;
    return tflite_status(r) ? NULL : list;
}

/* In place: CALL (subgraph 0 of the options), STABLEHLO_COMPOSITE (decomposition_subgraph_index 1). */
pg_code tflite_call(tflite_reader *r, tflite_node *n)
{
    enum { CALL = 31 };
    int64_t index = n->number == CALL ? flatbuffer_u32(&n->options, 0, 0) : flatbuffer_i32(&n->options2, 1, 0);
    tflite_scope inner;
    uint32_t count;
    pg_code code = tflite_open_scope(r, &inner, index, n->s->region, n->s);
    if (!code) code = bind(r, n, &inner, 0);
    if (!code) code = tflite_read_scope(r, &inner);
    uint32_t *made = code ? NULL : outputs_of(r, n, &inner, &count);
    if (!made) return tflite_status(r);
    if (count < n->out.n) return tflite_bad(r, n, "calls a subgraph with fewer outputs than it takes");
    for (uint32_t i = 0; i < n->out.n && !error_is_set(r->e); i++) {
        int32_t to = tflite_out(n, i);
        uint32_t out = tflite_define(r, n->s, to, FORM_FILE);
        tflite_emit(r, n, OP_Identity, &made[i], 1, out);
    }
    return tflite_status(r);
}

/* Initialises variables, once: not part of a step. */
pg_code tflite_call_once(tflite_reader *r, tflite_node *n)
{
    (void)n;
    return tflite_status(r);
}

static uint32_t branch(tflite_reader *r, tflite_node *n, int64_t index)
{
    uint32_t into = graph_add_region(r->g), count;
    tflite_scope inner;
    if (into == NO_TENSOR) {
        error_nomem(r->e, r->g->a);
        return into;
    }
    pg_code code = tflite_open_scope(r, &inner, index, into, n->s);
    if (!code) code = bind(r, n, &inner, 1);
    if (!code) code = tflite_read_scope(r, &inner);
    uint32_t *made = code ? NULL : outputs_of(r, n, &inner, &count);
    for (uint32_t i = 0; made && i < count; i++)
        if (!graph_add_output(r->g, into, made[i])) error_nomem(r->e, r->g->a);
    return into;
}

/* IfOptions: then_subgraph_index 0, else_subgraph_index 1. */
pg_code tflite_if(tflite_reader *r, tflite_node *n)
{
    int64_t yes = flatbuffer_i32(&n->options, 0, 0), no = flatbuffer_i32(&n->options, 1, 0);
    uint32_t condition = tflite_get(r, n->s, tflite_in(n, 0), FORM_FILE);
    uint32_t regions[2] = {branch(r, n, yes), NO_TENSOR};
    if (!tflite_status(r)) regions[1] = branch(r, n, no);
    if (tflite_status(r)) return tflite_status(r);
    if (condition == NO_TENSOR) return tflite_bad(r, n, "lacks its condition");
    uint32_t *out = ARENA_ARRAY(r->g->a, uint32_t, n->out.n);
    if (!out) return error_nomem(r->e, r->g->a);
    for (uint32_t i = 0; i < n->out.n && !error_is_set(r->e); i++)
        out[i] = tflite_define(r, n->s, tflite_out(n, i), FORM_FILE);
    tflite_emit_many(r, n, OP_If, &condition, 1, out, n->out.n);
    if (tflite_status(r)) return tflite_status(r);
    bool ok = graph_attr_index(r->g, ATTR_then_branch, ATTR_REGION, regions[0]) &&
              graph_attr_index(r->g, ATTR_else_branch, ATTR_REGION, regions[1]);
    return ok ? PG_E_OK : error_nomem(r->e, r->g->a);
}

/* ---- WHILE ---- */

enum { ADD = 0, LESS = 58, LOGICAL_AND = 86 };

typedef struct counter {
    tflite_node *n;
    tflite_scope cond, body;
} counter;

/* The operator that makes a tensor: its number and two operands; -1: none. */
static int maker_of(tflite_reader *r, const tflite_scope *s, int32_t which, int32_t in[2])
{
    if (!tflite_charge(r, s->operators.n)) return -1;
    for (uint32_t i = s->operators.n; i-- > 0;) {
        flatbuffer_table o = flatbuffer_list_table(&s->operators, i);
        flatbuffer_vector from = flatbuffer_list(&o, 1, 4), out = flatbuffer_list(&o, 2, 4);
        if (out.n != 1 || from.n != 2 || flatbuffer_list_i32(&out, 0) != which) continue;
        in[0] = flatbuffer_list_i32(&from, 0);
        in[1] = flatbuffer_list_i32(&from, 1);
        return tflite_number(r, &o);
    }
    return -1;
}

static int64_t place_of(const flatbuffer_vector *list, int32_t which)
{
    for (uint32_t i = 0; i < list->n; i++)
        if (flatbuffer_list_i32(list, i) == which) return i;
    return -1;
}

static bool scalar_of(tflite_reader *r, const tflite_scope *s, int32_t which, int64_t *value)
{
    uint32_t count;
    return tflite_ints(r, s, which, value, 1, &count) && count == 1;
}

/* How often `tensor`, a condition of cond, lets the loop run: a counter that starts at a constant, grows by a constant, and is held
 * against one. -1: not known. */
static int64_t trips_of(tflite_reader *r, counter *c, int32_t which, unsigned depth)
{
    int32_t in[2], sum[2];
    int number = maker_of(r, &c->cond, which, in);
    if (number == LOGICAL_AND && depth < 4) {
        int64_t a = trips_of(r, c, in[0], depth + 1), b = trips_of(r, c, in[1], depth + 1);
        return a < 0 || (b >= 0 && b < a) ? b : a;
    }
    if (number != LESS) return -1;
    flatbuffer_vector of_cond = tflite_ends(r, &c->cond, false), of_body = tflite_ends(r, &c->body, false),
                      made = tflite_ends(r, &c->body, true);
    if (!tflite_charge(r, 2 * ((uint64_t)of_cond.n + of_body.n + made.n))) return -1;
    int64_t at = place_of(&of_cond, in[0]), limit = place_of(&of_cond, in[1]), from, to, step;
    if (at < 0 || at >= of_body.n || at >= made.n || !scalar_of(r, c->n->s, tflite_in(c->n, (uint32_t)at), &from))
        return -1;
    if (limit >= 0 ? !scalar_of(r, c->n->s, tflite_in(c->n, (uint32_t)limit), &to)
                   : !scalar_of(r, &c->cond, in[1], &to))
        return -1;
    if (maker_of(r, &c->body, flatbuffer_list_i32(&made, (uint32_t)at), sum) != ADD) return -1;
    bool first = place_of(&of_body, sum[0]) == at, second = place_of(&of_body, sum[1]) == at;
    if (first == second || !scalar_of(r, &c->body, sum[first], &step) || step < 1 || step > INT32_MAX) return -1;
    int64_t distance = to > from && to <= INT32_MAX && from >= INT32_MIN ? to - from : 0;
    return (distance + step - 1) / step;
}

/* The loop's body as a region of ops.def's Loop: round, condition and state in; condition and state out. */
static pg_code read_body(tflite_reader *r, tflite_node *n, counter *c, uint32_t into, bool counted)
{
    graph *g = r->g;
    uint32_t head[2] = {graph_add_tensor(g, STR("round"), DT_INT64), graph_add_tensor(g, STR("goes on"), DT_BOOL)};
    flatbuffer_vector in = tflite_ends(r, &c->body, false);
    uint32_t count;
    for (int i = 0; i < 2; i++) {
        if (head[i] == NO_TENSOR || !graph_add_input(g, into, head[i])) return error_nomem(r->e, g->a);
        g->tensors[head[i]].defined = true;
        g->tensors[head[i]].role = ROLE_VALUE;
    }
    if (in.n != n->in.n) return tflite_bad(r, n, "has another state than its body");
    for (uint32_t i = 0; i < in.n; i++) {
        uint32_t t = tflite_define(r, &c->body, flatbuffer_list_i32(&in, i), FORM_FILE);
        if (t == NO_TENSOR || !graph_add_input(g, into, t)) return tflite_status(r);
        g->tensors[t].role = ROLE_VALUE;
    }
    pg_code code = tflite_read_scope(r, &c->body);
    uint32_t *made = code ? NULL : outputs_of(r, n, &c->body, &count);
    if (!made) return tflite_status(r);
    if (count != in.n) return tflite_bad(r, n, "has another state than its body");
    uint32_t goes_on = head[1], n_conditions = 1;
    if (!counted) { /* the condition is computed anew from the state */
        flatbuffer_vector asks = tflite_ends(r, &c->cond, false);
        if (asks.n != count) return tflite_bad(r, n, "has another state than its condition");
        for (uint32_t i = 0; i < count; i++) {
            int32_t to = flatbuffer_list_i32(&asks, i);
            if (!tflite_alias(r, &c->cond, to, FORM_FILE, made[i])) return tflite_status(r);
        }
        c->cond.region = into;
        code = tflite_read_scope(r, &c->cond);
        uint32_t *condition = code ? NULL : outputs_of(r, n, &c->cond, &n_conditions);
        if (!condition) return tflite_status(r);
        if (n_conditions != 1) return tflite_bad(r, n, "has a condition with more than one result");
        goes_on = condition[0];
    }
    bool ok = graph_add_output(g, into, goes_on);
    for (uint32_t i = 0; ok && i < count; i++) ok = graph_add_output(g, into, made[i]);
    return ok ? PG_E_OK : error_nomem(r->e, g->a);
}

/* WhileOptions: cond_subgraph_index 0, body_subgraph_index 1. */
pg_code tflite_while(tflite_reader *r, tflite_node *n)
{
    enum { WHILE = 119 };
    const flatbuffer_table *o = n->number == WHILE ? &n->options : &n->options2;
    counter c = {.n = n};
    uint32_t into = graph_add_region(r->g), count = n->in.n;
    if (into == NO_TENSOR) return error_nomem(r->e, r->g->a);
    pg_code code = tflite_open_scope(r, &c.cond, flatbuffer_i32(o, 0, 0), into, n->s);
    if (!code) code = tflite_open_scope(r, &c.body, flatbuffer_i32(o, 1, 0), into, n->s);
    if (code) return code;
    flatbuffer_vector conditions = tflite_ends(r, &c.cond, true);
    int64_t trips = conditions.n == 1 ? trips_of(r, &c, flatbuffer_list_i32(&conditions, 0), 0) : -1;
    if (tflite_status(r)) return tflite_status(r);
    uint32_t *in = ARENA_ARRAY(r->g->a, uint32_t, (size_t)count + 2), *out = ARENA_ARRAY(r->g->a, uint32_t, count);
    if (!in || !out) return error_nomem(r->e, r->g->a);
    if (n->out.n != count) return tflite_bad(r, n, "has another state before than after");
    in[0] = trips < 0 ? NO_TENSOR : tflite_list(r, &trips, 1);
    if (trips >= 0 && in[0] != NO_TENSOR) r->g->tensors[in[0]].rank = 0;
    in[1] = NO_TENSOR;
    for (uint32_t i = 0; i < count && !error_is_set(r->e); i++)
        in[2 + i] = tflite_get(r, n->s, tflite_in(n, i), FORM_FILE);
    code = tflite_status(r) ? tflite_status(r) : read_body(r, n, &c, into, trips >= 0);
    for (uint32_t i = 0; i < count && !error_is_set(r->e); i++)
        out[i] = tflite_define(r, n->s, tflite_out(n, i), FORM_FILE);
    if (code || tflite_status(r)) return tflite_status(r);
    tflite_emit_many(r, n, OP_Loop, in, count + 2, out, count);
    if (tflite_status(r)) return tflite_status(r);
    return graph_attr_index(r->g, ATTR_body, ATTR_REGION, into) ? PG_E_OK : error_nomem(r->e, r->g->a);
}
