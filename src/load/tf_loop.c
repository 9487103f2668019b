/* Loops and branches that data decides: their bodies become regions.
 *
 * A value that a round leaves alone is no part of the loop by now (tf_resolve.c). Of the others, a counter that starts at 0 is
 * the loop's own, a list that each round writes one entry of is what the loop stacks, and the rest is carried round. */
#include "load/tf_internal.h"

static bool is_arg(tf_reader *r, tf_ref ref, uint32_t arg)
{
    pg_error saved = *r->e;
    if (ref.node == TF_NONE) return false;
    if (tf_resolve(r, &ref)) {
        *r->e = saved;
        return false;
    }
    return ref.node == arg;
}

static bool is_sum(const tf_node *n)
{
    return n->kind == TF_OP && n->n_in == 2 && (tf_is(n, "Add") || tf_is(n, "AddV2"));
}

tf_carried tf_carries(tf_reader *r, const tf_loop *l, uint32_t i, tf_ref *written)
{
    uint32_t arg = r->args[l->first_arg + i], m;
    tf_ref ret = r->refs[l->first_ret + i];
    pg_error saved = *r->e;
    int64_t step;
    if (tf_at(r, arg)->kind != TF_ARG) return TF_INVARIANT;
    if (tf_resolve(r, &ret)) {
        *r->e = saved;
        return TF_CARRIED;
    }
    tf_node n = *tf_at(r, ret.node);
    if (is_sum(&n))
        for (uint32_t k = 0; k < 2; k++)
            if (is_arg(r, tf_in(r, &n, k), arg) && tf_const_ints(r, tf_in(r, &n, !k), &step, 1, &m) && m == 1 &&
                step == 1)
                return TF_COUNTER;
    bool array = tf_is(&n, "TensorArrayWriteV3") && n.n_in == 4;
    bool list = (tf_is(&n, "TensorListSetItem") && n.n_in == 3) || (tf_is(&n, "TensorListPushBack") && n.n_in == 2);
    if (n.kind != TF_OP || (!array && !list) || !is_arg(r, tf_in(r, &n, array ? 3 : 0), arg)) return TF_CARRIED;
    *written = tf_in(r, &n, array || n.n_in == 3 ? 2 : 1);
    return TF_WRITTEN;
}

/* ---- how often ---- */

/* The counter of the loop that a value is; UINT32_MAX: it is none. */
static uint32_t counter_of(tf_reader *r, const tf_loop *l, tf_ref ref)
{
    pg_error saved = *r->e;
    tf_ref ignored;
    if (ref.node == TF_NONE) return UINT32_MAX;
    if (tf_resolve(r, &ref)) {
        *r->e = saved;
        return UINT32_MAX;
    }
    for (uint32_t i = 0; i < l->n; i++)
        if (r->args[l->first_arg + i] == ref.node) return tf_carries(r, l, i, &ignored) == TF_COUNTER ? i : UINT32_MAX;
    return UINT32_MAX;
}

/* Less(counter, limit), for a limit that the loop doesn't change: limit - start. */
static pg_code limit_of(tf_reader *r, const tf_loop *l, const tf_node *less, uint32_t *out)
{
    bool turned = tf_is(less, "Greater") || tf_is(less, "GreaterEqual");
    bool also = tf_is(less, "LessEqual") || tf_is(less, "GreaterEqual");
    if (less->n_in != 2 || (!turned && !tf_is(less, "Less") && !tf_is(less, "LessEqual"))) return PG_E_OK;
    tf_ref limit = tf_in(r, less, !turned);
    uint32_t i = counter_of(r, l, tf_in(r, less, turned)), m;
    int64_t start;
    if (i == UINT32_MAX) return PG_E_OK;
    if (!tf_const_ints(r, tf_in(r, tf_at(r, r->at), i), &start, 1, &m) || m != 1) return PG_E_OK;
    pg_code code = tf_resolve(r, &limit);
    if (code || tf_depends(r, limit, l->body)) return code;
    code = tf_emit(r, limit);
    if (code) return code;
    *out = tf_tensor(r, limit);
    int64_t less_by = start - also;
    if (*out != NO_TENSOR && less_by) *out = tf_step(r, OP_Sub, (uint32_t[2]){*out, tf_int(r, less_by)}, 2);
    return PG_E_OK;
}

static pg_code find_limits(tf_reader *r, const tf_loop *l, tf_ref condition, int depth, uint32_t *trips)
{
    enum { DEEP = 8 };
    pg_code code = tf_resolve(r, &condition);
    if (code || depth > DEEP) return code;
    tf_node n = *tf_at(r, condition.node);
    if (n.kind != TF_OP) return PG_E_OK;
    if (tf_is(&n, "LogicalAnd") && n.n_in == 2) {
        for (uint32_t i = 0; i < 2 && !code; i++) code = find_limits(r, l, tf_in(r, &n, i), depth + 1, trips);
        return code;
    }
    uint32_t found = NO_TENSOR;
    code = limit_of(r, l, &n, &found);
    if (code || found == NO_TENSOR || found == *trips) return code;
    *trips = *trips == NO_TENSOR ? found : tf_step(r, OP_Min, (uint32_t[2]){*trips, found}, 2);
    return PG_E_OK;
}

/* How many times the loop of the current node runs, as a scalar tensor; NO_TENSOR: data decides. */
static pg_code trips_of(tf_reader *r, const tf_loop *l, uint32_t *trips)
{
    *trips = NO_TENSOR;
    return find_limits(r, l, l->cond, 0, trips);
}

/* ---- regions ---- */

/* A region of its own within the current node's; NO_TENSOR: out of memory. */
static uint32_t add_region(tf_reader *r, uint32_t body)
{
    uint32_t made = graph_add_region(r->g), level = r->region_level[tf_at(r, r->at)->region] + 1;
    if (made == NO_TENSOR) return made;
    while (r->n_levels <= made) {
        if (!TF_ROOM(r, r->region_level, r->n_levels, r->cap_levels)) return NO_TENSOR;
        r->region_level[r->n_levels++] = level;
    }
    r->region_level[made] = level;
    r->bodies[body].region = made;
    return made;
}

static uint32_t fresh(tf_reader *r, dtype d)
{
    uint32_t t = graph_add_tensor(r->g, tf_at(r, r->at)->name, d);
    if (t != NO_TENSOR) r->g->tensors[t].defined = true;
    return t;
}

/* The tensor of a result; one of which nothing is known where the file makes a list or the like. */
static uint32_t result_of(tf_reader *r, tf_ref ref)
{
    uint32_t t = tf_tensor(r, ref);
    return t == NO_TENSOR ? fresh(r, DT_UNKNOWN) : t;
}

static bool set_arg(tf_reader *r, uint32_t arg, uint32_t where, uint32_t t)
{
    tf_node *n = tf_at(r, arg);
    n->n_out = 1;
    n->out = TF_NONE;
    n->state = TF_DONE;
    n->region = where;
    return tf_bind(r, arg, 0, t);
}

typedef struct body {
    tf_loop l;
    uint32_t region, iteration, trips;
    uint8_t *how;    /* tf_carried of each value */
    tf_ref *written; /* what is put into its list */
    uint32_t *in;    /* of the loop: trips, condition, what is carried */
    uint32_t *out;   /* carried, then stacked */
    uint32_t n_in, n_out;
} body;

static bool starts_at_zero(tf_reader *r, uint32_t i)
{
    int64_t start;
    uint32_t m;
    return tf_const_ints(r, tf_in(r, tf_at(r, r->at), i), &start, 1, &m) && m == 1 && start == 0;
}

/* Gives the body what it starts a round with. */
static bool enter_body(tf_reader *r, body *b)
{
    b->iteration = fresh(r, DT_INT64);
    uint32_t go_on = fresh(r, DT_BOOL);
    if (b->iteration == NO_TENSOR || go_on == NO_TENSOR || !graph_add_input(r->g, b->region, b->iteration) ||
        !graph_add_input(r->g, b->region, go_on))
        return false;
    b->in[0] = b->trips;
    b->in[1] = NO_TENSOR;
    b->n_in = 2;
    for (uint32_t i = 0; i < b->l.n; i++) {
        uint32_t arg = r->args[b->l.first_arg + i], t = NO_TENSOR;
        b->how[i] = (uint8_t)tf_carries(r, &b->l, i, &b->written[i]);
        if (b->how[i] == TF_INVARIANT) continue;
        if (b->how[i] == TF_COUNTER && !starts_at_zero(r, i)) b->how[i] = TF_CARRIED;
        if (b->how[i] == TF_COUNTER) t = b->iteration;
        if (b->how[i] == TF_CARRIED) {
            t = fresh(r, DT_UNKNOWN);
            b->in[b->n_in++] = tf_input_tensor(r, i);
            if (t == NO_TENSOR || !graph_add_input(r->g, b->region, t)) return false;
        }
        if (!set_arg(r, arg, b->region, t)) return false;
    }
    return true;
}

/* The condition, what is carried round, what is put into lists. */
static pg_code leave_body(tf_reader *r, body *b)
{
    int64_t yes = 1;
    uint32_t go_on = graph_add_ints(r->g, tf_at(r, r->at)->name, 0, &yes, 1);
    if (go_on == NO_TENSOR) return tf_nomem(r);
    r->g->tensors[go_on].dtype = DT_BOOL;
    r->g->tensors[go_on].defined = r->g->tensors[go_on].literal = true;
    if (!graph_add_output(r->g, b->region, go_on)) return tf_nomem(r);
    for (int pass = TF_CARRIED; pass >= TF_WRITTEN; pass--)
        for (uint32_t i = 0; i < b->l.n; i++) {
            if (b->how[i] != pass) continue;
            tf_ref ref = pass == TF_WRITTEN ? b->written[i] : r->refs[b->l.first_ret + i];
            pg_code code = tf_emit(r, ref);
            uint32_t t = code ? NO_TENSOR : result_of(r, ref), out = code ? NO_TENSOR : fresh(r, DT_UNKNOWN);
            if (code) return code;
            if (t == NO_TENSOR || out == NO_TENSOR || !graph_add_output(r->g, b->region, t) ||
                !tf_bind(r, r->at, i, out))
                return tf_nomem(r);
            b->out[b->n_out++] = out;
        }
    return PG_E_OK;
}

static pg_code emit_body(tf_reader *r, body *b)
{
    pg_code code = trips_of(r, &b->l, &b->trips);
    if (code) return code;
    b->region = add_region(r, b->l.body);
    if (b->region == NO_TENSOR || !enter_body(r, b)) return tf_nomem(r);
    code = leave_body(r, b);
    if (code) return code;
    const tf_node *n = tf_at(r, r->at);
    uint32_t o = graph_add_op(r->g, n->region, OP_Loop, n->name, b->in, b->n_in, b->out, b->n_out);
    if (o == NO_TENSOR || !graph_attr_index(r->g, ATTR_body, ATTR_REGION, b->region)) return tf_nomem(r);
    for (uint32_t i = 0; i < b->l.n; i++)
        if (b->how[i] == TF_COUNTER && b->trips != NO_TENSOR && !tf_bind(r, r->at, i, b->trips)) return tf_nomem(r);
    return PG_E_OK;
}

static pg_code too_deep(tf_reader *r)
{
    return error_set(r->e, PG_E_LIMIT, "loops and branches are nested more than %u deep; the file is not a sane model",
                     r->max_depth);
}

pg_code tf_emit_loop(tf_reader *r, uint32_t node)
{
    bool found = false;
    if (r->depth >= r->max_depth) return too_deep(r);
    r->depth++;
    pg_code code = tf_try_recurrent(r, node, &found);
    if (!code && !found) {
        body b = {.l = r->loops[tf_at(r, node)->extra]};
        b.how = ARENA_ARRAY(&r->a, uint8_t, b.l.n);
        b.written = ARENA_ARRAY(&r->a, tf_ref, b.l.n);
        b.in = ARENA_ARRAY(&r->a, uint32_t, (size_t)b.l.n + 2);
        b.out = ARENA_ARRAY(&r->a, uint32_t, b.l.n);
        code = b.how && b.written && b.in && b.out ? emit_body(r, &b) : tf_nomem(r);
    }
    r->depth--;
    return code;
}

pg_code tf_emit_branches(tf_reader *r, uint32_t node)
{
    tf_branches b = r->branches[tf_at(r, node)->extra];
    uint32_t predicate = tf_input_tensor(r, 0), regions[2], n = b.n[0];
    if (r->depth >= r->max_depth) return too_deep(r);
    r->depth++;
    for (int k = 0; k < 2; k++) {
        regions[k] = add_region(r, b.body[k]);
        if (regions[k] == NO_TENSOR) return tf_nomem(r);
        for (uint32_t i = 0; i < n; i++) {
            tf_ref ref = r->refs[b.first_ret[k] + i];
            pg_code code = tf_emit(r, ref);
            if (code) return code;
            uint32_t t = result_of(r, ref);
            if (t == NO_TENSOR || !graph_add_output(r->g, regions[k], t)) return tf_nomem(r);
        }
    }
    r->depth--;
    if (tf_at(r, node)->n_out < n) {
        tf_at(r, node)->n_out = n;
        tf_at(r, node)->out = TF_NONE;
    }
    bool ok = tf_op(r, OP_If, &predicate, 1, n) && graph_attr_index(r->g, ATTR_else_branch, ATTR_REGION, regions[0]) &&
              graph_attr_index(r->g, ATTR_then_branch, ATTR_REGION, regions[1]);
    return ok ? PG_E_OK : tf_nomem(r);
}
