/* Control flow: branches that are taken, loops that are walked until nothing changes any more. */
#include "graph/shape_internal.h"

static const region *region_of(const infer *x, const op *o, attr_key key, uint32_t *index)
{
    const attr *a = op_attr(x->g, o, key);
    if (!a || a->type != ATTR_REGION || a->v.index == 0 || a->v.index >= x->g->n_regions) return NULL;
    *index = a->v.index;
    return &x->g->regions[*index];
}

/* Walks a body that runs `trips` times whenever its surroundings run. */
static pg_code walk(infer *x, const op *o, uint32_t r, num trips)
{
    if (x->depth >= MAX_NESTING) return shape_fail(x, o, "control flow is nested more than %d deep", MAX_NESTING);
    num outer = x->trips;
    x->trips = x->s->trips[r] = num_mul(outer, trips);
    x->depth++;
    pg_code code = infer_region(x, r);
    x->depth--;
    x->trips = outer;
    return code;
}

static const tensor_shape *region_output(const infer *x, const region *r, uint32_t i)
{
    return i < r->n_outputs && r->outputs[i] < x->g->n_tensors ? &x->t[r->outputs[i]] : NULL;
}
static tensor_shape *region_input(const infer *x, const region *r, uint32_t i)
{
    return i < r->n_inputs && r->inputs[i] < x->g->n_tensors ? &x->t[r->inputs[i]] : NULL;
}

static str label(const op *o)
{
    return o->name.len ? o->name : o->type;
}

/* ---- If ---- */

/* 1, 0, or -1 when the value isn't known. */
static int truth(const tensor_shape *t)
{
    if (!t || !t->value || t->value_count != 1 || !num_known(t->value[0]) || is_float(t)) return -1;
    return t->value[0].v.i != 0;
}

static void clear_trips(infer *x, uint32_t r, unsigned depth)
{
    const region *body = &x->g->regions[r];
    x->s->trips[r] = num_int(0);
    for (uint32_t i = 0; i < body->n_ops && depth < MAX_NESTING && --x->budget > 0; i++) {
        const op *o = &x->g->ops[body->ops[i]];
        for (uint32_t k = 0; k < o->n_attr; k++) {
            const attr *a = &x->g->attrs[o->first_attr + k];
            if (a->type == ATTR_REGION && a->v.index && a->v.index < x->g->n_regions)
                clear_trips(x, a->v.index, depth + 1);
        }
    }
}

static void copy_outputs(infer *x, const op *o, const region *r)
{
    for (uint32_t i = 0; i < o->n_out; i++) {
        tensor_shape *out = out_at(x, o, i);
        const tensor_shape *t = region_output(x, r, i);
        if (out && t) *out = *t;
    }
}

/* A branch that can't hold with these shapes isn't the one that is taken. */
static pg_code walk_if_possible(infer *x, const op *o, uint32_t r, bool *possible)
{
    pg_code code = walk(x, o, r, num_int(1));
    *possible = code != PG_E_GRAPH;
    return code;
}

pg_code shape_control_if(infer *x, const op *o)
{
    uint32_t index[2] = {0, 0};
    const region *branch[2] = {region_of(x, o, ATTR_else_branch, &index[0]),
                               region_of(x, o, ATTR_then_branch, &index[1])};
    if (!branch[0] || !branch[1]) return shape_fail(x, o, "it lacks a branch");
    int taken = truth(in_at(x, o, 0));
    if (taken >= 0) {
        clear_trips(x, index[!taken], x->depth);
        pg_code code = walk(x, o, index[taken], num_int(1));
        if (!code) copy_outputs(x, o, branch[taken]);
        return code;
    }
    bool possible[2];
    pg_code code = walk_if_possible(x, o, index[1], &possible[1]);
    if (code && possible[1]) return code;
    pg_error first = x->error;
    x->error = (pg_error)PG_ERROR_INIT;
    code = walk_if_possible(x, o, index[0], &possible[0]);
    if (code && possible[0]) return code;
    if (!possible[0] && !possible[1]) {
        x->error = first;
        return PG_E_GRAPH;
    }
    x->error = (pg_error)PG_ERROR_INIT;
    int costed = possible[1];
    clear_trips(x, index[!costed], x->depth);
    copy_outputs(x, o, branch[costed]);
    for (uint32_t i = 0; i < o->n_out && possible[0] && possible[1]; i++) {
        tensor_shape *out = out_at(x, o, i);
        const tensor_shape *t = region_output(x, branch[0], i);
        if (out && t && shape_merge(x, out, t) == MERGE_NOMEM) return shape_nomem(x);
    }
    if (!possible[0] || !possible[1])
        return shape_note(x, "If '%.*s': its condition isn't known; only the %s-branch suits the shapes and is costed",
                          STR_ARG(label(o)), costed ? "then" : "else");
    return shape_note(x, "If '%.*s': its condition isn't known; the then-branch is costed", STR_ARG(label(o)));
}

/* ---- Loop ---- */

typedef struct loop {
    const op *o;
    const region *body;
    uint32_t index;
    uint32_t carried;      /* loop-carried tensors: inputs 2.., body inputs 2.., body outputs 1.. */
    uint32_t scans;        /* body outputs after those */
    num trips;             /* SYM_UNKNOWN: data decides */
    tensor_shape *state;   /* of the carried tensors, between rounds */
    tensor_shape *scanned; /* what the rounds so far agree on */
} loop;

static pg_code loop_enter(infer *x, const loop *l, num iteration)
{
    tensor_shape *t = region_input(x, l->body, 0);
    if (t) {
        num *v = ARENA_NEW(x->a, num);
        if (!v) return shape_nomem(x);
        *v = iteration;
        *t = (tensor_shape){.dtype = DT_INT64, .value = v, .value_count = 1, .dims = v, .inferred = true};
    }
    t = region_input(x, l->body, 1);
    if (t) {
        num *v = ARENA_NEW(x->a, num);
        if (!v) return shape_nomem(x);
        *v = num_int(1); /* the body only runs when it holds */
        *t = (tensor_shape){.dtype = DT_BOOL, .value = v, .value_count = 1, .dims = v, .inferred = true};
    }
    for (uint32_t i = 0; i < l->carried; i++) {
        t = region_input(x, l->body, 2 + i);
        if (t) *t = l->state[i];
    }
    return PG_E_OK;
}

/* One round of the body. `merge`: the state is widened to what holds before and after. *changed: the state isn't
 * what it was. */
static pg_code loop_round(infer *x, loop *l, num iteration, bool merge, bool first, bool *changed)
{
    pg_code code = loop_enter(x, l, iteration);
    if (!code) code = walk(x, l->o, l->index, num_known(l->trips) ? l->trips : num_int(x->default_trips));
    if (code) return code;
    *changed = false;
    for (uint32_t i = 0; i < l->carried; i++) {
        const tensor_shape *t = region_output(x, l->body, 1 + i);
        tensor_shape before = l->state[i], open = {.rank = -1};
        merge_result m = shape_merge(x, &before, t ? t : &open);
        if (m == MERGE_NOMEM) return shape_nomem(x);
        if (m == MERGE_CHANGED) *changed = true;
        l->state[i] = merge || !t ? before : *t;
    }
    for (uint32_t i = 0; i < l->scans; i++) {
        const tensor_shape *t = region_output(x, l->body, 1 + l->carried + i);
        if (!t) continue;
        if (first) l->scanned[i] = *t;
        else if (shape_merge(x, &l->scanned[i], t) == MERGE_NOMEM) return shape_nomem(x);
    }
    return PG_E_OK;
}

/* Known and few: each round in turn, with exact shapes, stopping early when two rounds in a row leave everything
 * alone. */
static pg_code loop_unroll(infer *x, loop *l)
{
    unsigned quiet = 0;
    for (int64_t i = 0; i < l->trips.v.i && quiet < 2; i++) {
        bool changed;
        pg_code code = loop_round(x, l, num_int(i), false, i == 0, &changed);
        if (code) return code;
        quiet = changed ? 0 : quiet + 1;
        if (truth(region_output(x, l->body, 0)) == 0) {
            l->trips = num_int(i + 1);
            break;
        }
    }
    return PG_E_OK;
}

/* Else until the shapes hold for any number of rounds. Each widening loses a dim or a value for good, so this ends. */
static pg_code loop_fixed_point(infer *x, loop *l)
{
    bool changed = true;
    for (unsigned i = 0; changed; i++) {
        if (i == 8)
            for (uint32_t k = 0; k < l->carried; k++)
                l->state[k] = (tensor_shape){.rank = -1, .dtype = l->state[k].dtype};
        pg_code code = loop_round(x, l, num_unknown(), true, i == 0, &changed);
        if (code) return code;
    }
    return PG_E_OK;
}

static pg_code loop_outputs(infer *x, const loop *l)
{
    for (uint32_t i = 0; i < l->carried; i++) {
        tensor_shape *out = out_at(x, l->o, i);
        if (out) *out = l->state[i];
    }
    for (uint32_t i = 0; i < l->scans; i++) {
        const tensor_shape *t = &l->scanned[i];
        num dims[MAX_RANK + 1] = {l->trips};
        if (num_is(l->trips, 0)) { /* the body never ran: only its declaration tells the rest */
            out_dtype(x, l->o, l->carried + i, (dtype)t->dtype);
            continue;
        }
        if (t->rank > 0) memcpy(dims + 1, t->dims, (size_t)t->rank * sizeof *dims);
        pg_code code = out_dims(x, l->o, l->carried + i, (dtype)t->dtype, t->rank < 0 ? -1 : t->rank + 1, dims);
        if (code) return code;
    }
    return PG_E_OK;
}

/* How often it runs, if that doesn't depend on data: the condition must be true from the start and stay so. */
static num loop_trips(const infer *x, const op *o, const region *body)
{
    const tensor_shape *most = in_at(x, o, 0), *condition = in_at(x, o, 1);
    if (condition && truth(condition) == 0) return num_int(0);
    bool stays = body->n_outputs && body->n_inputs > 1 && body->outputs[0] == body->inputs[1];
    for (uint32_t i = 0; i < body->n_ops && !stays && body->n_outputs;
         i++) { /* Identity of the condition, or a constant */
        const op *p = &x->g->ops[body->ops[i]];
        if (p->n_out != 1 || op_out(x->g, p)[0] != body->outputs[0]) continue;
        if (p->kind == OP_Constant) stays = true;
        if ((p->kind == OP_Identity || p->kind == OP_Cast) && p->n_in == 1 && body->n_inputs > 1) {
            uint32_t from = op_in(x->g, p)[0];
            stays = from == body->inputs[1] || (from < x->g->n_tensors && truth(&x->t[from]) == 1);
        }
    }
    if (body->n_outputs && truth(region_output(x, body, 0)) == 1) stays = true; /* a constant tensor */
    if (!stays || (condition && truth(condition) != 1)) return num_unknown();
    if (!most || !most->value || most->value_count != 1 || is_float(most)) return num_unknown();
    num n = most->value[0];
    return num_known(n) && n.v.i < 0 ? num_int(0) : n;
}

pg_code shape_control_loop(infer *x, const op *o)
{
    loop l = {.o = o};
    l.body = region_of(x, o, ATTR_body, &l.index);
    if (!l.body) return shape_fail(x, o, "it has no body");
    l.carried = o->n_in - 2u;
    l.scans = l.body->n_outputs > l.carried + 1 ? l.body->n_outputs - l.carried - 1 : 0;
    if (l.body->n_outputs < l.carried + 1 || l.body->n_inputs < l.carried + 2)
        return shape_fail(x, o, "its body has %u inputs and %u outputs for %u loop-carried tensors",
                          (unsigned)l.body->n_inputs, (unsigned)l.body->n_outputs, (unsigned)l.carried);
    l.trips = loop_trips(x, o, l.body);
    l.state = ARENA_ARRAY(x->a, tensor_shape, l.carried);
    l.scanned = ARENA_ARRAY(x->a, tensor_shape, l.scans);
    if (!l.state || !l.scanned) return shape_nomem(x);
    for (uint32_t i = 0; i < l.carried; i++) {
        const tensor_shape *t = in_at(x, o, 2 + i);
        l.state[i] = t ? *t : (tensor_shape){.rank = -1};
    }
    for (uint32_t i = 0; i < l.scans; i++) l.scanned[i].rank = -1;
    if (num_is(l.trips, 0)) {
        clear_trips(x, l.index, x->depth);
        return loop_outputs(x, &l);
    }
    if (!num_known(l.trips)) {
        pg_code code = shape_note(x, "Loop '%.*s': how often it runs depends on data; %lld time%s assumed",
                                  STR_ARG(label(o)), (long long)x->default_trips, x->default_trips == 1 ? "" : "s");
        if (code) return code;
    }
    bool unroll = num_known(l.trips) && l.trips.v.i <= MAX_UNROLL &&
                  (int64_t)l.body->n_ops * l.trips.v.i < x->budget / 4;
    pg_code code = unroll ? loop_unroll(x, &l) : loop_fixed_point(x, &l);
    if (code) return code;
    x->s->trips[l.index] = num_mul(x->trips, num_known(l.trips) ? l.trips : num_int(x->default_trips));
    return loop_outputs(x, &l);
}

/* ---- Scan ---- */

typedef struct scan {
    const op *o;
    const region *body;
    uint32_t first; /* input of the first state: opset 8 has sequence_lens before it */
    uint32_t states, inputs, outputs;
    int batch; /* 1: opset 8, where everything has a batch dim in front */
    num trips, batch_dim;
} scan;

static int64_t scan_axis(const infer *x, const scan *s, attr_key key, uint32_t i)
{
    const int64_t *axes;
    if (s->batch) return 1;
    return i < op_attr_ints(x->g, s->o, key, &axes) ? axes[i] : 0;
}

/* The tensor without dim `axis` and, for opset 8, without the batch. */
static pg_code scan_enter(infer *x, scan *s)
{
    for (uint32_t i = 0; i < s->states + s->inputs; i++) {
        const tensor_shape *t = in_at(x, s->o, s->first + i);
        tensor_shape *to = region_input(x, s->body, i);
        bool sliced = i >= s->states;
        if (!to) continue;
        shape_reset(to);
        to->dtype = (uint8_t)dtype_of(t);
        if (!has_rank(t)) continue;
        if (!sliced && !s->batch) {
            *to = *t;
            to->value = NULL;
            to->value_count = 0;
            continue;
        }
        int64_t axis = sliced ? scan_axis(x, s, ATTR_scan_input_axes, i - s->states) : -1;
        if (sliced && !axis_fix(&axis, t->rank)) return bad_axis(x, s->o, axis, t->rank);
        if (t->rank < s->batch) return shape_fail(x, s->o, "the input %s has no batch dimension", SHAPE_S(x, t));
        if (sliced && !num_known(s->trips)) s->trips = t->dims[axis];
        if (s->batch) s->batch_dim = t->dims[0];
        num *dims = ARENA_ARRAY(x->a, num, (size_t)t->rank);
        if (!dims) return shape_nomem(x);
        to->rank = 0;
        to->dims = dims;
        for (int k = s->batch; k < t->rank; k++)
            if (k != axis) dims[to->rank++] = t->dims[k];
    }
    return PG_E_OK;
}

static pg_code scan_leave(infer *x, const scan *s)
{
    for (uint32_t i = 0; i < s->states + s->outputs; i++) {
        const tensor_shape *t = region_output(x, s->body, i);
        num dims[MAX_RANK + 2];
        if (!has_rank(t)) {
            out_dtype(x, s->o, i, dtype_of(t));
            continue;
        }
        bool stacked = i >= s->states;
        int rank = 0, full = t->rank + s->batch + stacked, from = 0;
        int64_t axis = stacked ? scan_axis(x, s, ATTR_scan_output_axes, i - s->states) : -1;
        if (stacked && !axis_fix(&axis, full)) return bad_axis(x, s->o, axis, full);
        for (; rank < full; rank++) {
            if (rank == axis) dims[rank] = s->trips;
            else if (rank < s->batch) dims[rank] = s->batch_dim;
            else dims[rank] = t->dims[from++];
        }
        pg_code code = out_dims(x, s->o, i, (dtype)t->dtype, rank, dims);
        if (code) return code;
    }
    return PG_E_OK;
}

pg_code shape_control_scan(infer *x, const op *o)
{
    scan s = {.o = o, .batch = o->opset == 8, .trips = num_unknown(), .batch_dim = num_unknown()};
    uint32_t index = 0;
    s.body = region_of(x, o, ATTR_body, &index);
    if (!s.body) return shape_fail(x, o, "it has no body");
    s.first = (uint32_t)s.batch;
    int64_t n = op_attr_int(x->g, o, ATTR_num_scan_inputs, 0);
    if (n < 1 || n > (int64_t)o->n_in - s.batch || s.body->n_inputs != o->n_in - s.first ||
        s.body->n_outputs < o->n_in - s.first - (uint32_t)n)
        return shape_fail(x, o, "its body doesn't fit its %u inputs with %lld to scan", (unsigned)o->n_in,
                          (long long)n);
    s.inputs = (uint32_t)n;
    s.states = o->n_in - s.first - s.inputs;
    s.outputs = s.body->n_outputs - s.states;
    pg_code code = scan_enter(x, &s);
    if (code) return code;
    if (!num_known(s.trips)) {
        code = shape_note(x, "Scan '%.*s': the length of its inputs isn't known; %lld time%s assumed",
                          STR_ARG(label(o)), (long long)x->default_trips, x->default_trips == 1 ? "" : "s");
        if (code) return code;
    }
    num runs = num_known(s.trips) ? s.trips : num_int(x->default_trips);
    code = walk(x, o, index, s.batch ? num_mul(runs, num_known(s.batch_dim) ? s.batch_dim : num_int(1)) : runs);
    return code ? code : scan_leave(x, &s);
}
