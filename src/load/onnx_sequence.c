/* Sequences of tensors, resolved: what exporters make of lists (torch.tensor_split, split, unbind) becomes the tensors themselves.
 *
 * Operators on sequences are walked in order; for each sequence the list of its elements is kept. Whoever takes an element reads it
 * directly, a sequence that is joined is a Concat, one that splits a tensor is Slices of it. A loop that carries a sequence, and runs a
 * number of times that the file says, is laid out. What is decided by data stays as it is: those sequences have elements of which
 * only common dims are known. */
#include "graph/num.h"
#include "load/onnx_internal.h"

enum { MAX_ELEMENTS = 256, MAX_TRIPS = 64, MAX_LAID_OUT = 20000 };

typedef struct sequence {
    bool known;
    uint32_t n, *items;
    uint32_t of; /* parts of equal size of this tensor, however many there are; NO_TENSOR: the items */
    int64_t axis, size;
    bool keep; /* the axis stays */
} sequence;

typedef struct resolver {
    graph *g;
    arena *a;
    pg_error *e;
    sequence *seq; /* per tensor */
    uint32_t *now; /* per tensor: what stands in its place */
    uint32_t cap;
    uint32_t budget;
} resolver;

static pg_code nomem(resolver *r)
{
    return error_nomem(r->e, r->g->a);
}

/* Room in the tables for tensors that were added since. */
static bool follow(resolver *r)
{
    uint32_t n = r->g->n_tensors;
    if (n <= r->cap) return true;
    uint32_t cap = n + n / 2 + 64;
    sequence *seq = arena_grow(r->a, r->seq, r->cap, cap, sizeof *seq);
    uint32_t *now = seq ? arena_grow(r->a, r->now, r->cap, cap, sizeof *now) : NULL;
    if (!now) return false;
    memset(seq + r->cap, 0, (cap - r->cap) * sizeof *seq);
    for (uint32_t i = r->cap; i < cap; i++) now[i] = i;
    r->seq = seq;
    r->now = now;
    r->cap = cap;
    return true;
}

static uint32_t input_of(const resolver *r, const op *o, uint32_t i)
{
    uint32_t t = op_input(r->g, o, i);
    return t == NO_TENSOR ? t : r->now[t];
}

static const sequence *sequence_of(const resolver *r, const op *o, uint32_t i)
{
    uint32_t t = input_of(r, o, i);
    return t != NO_TENSOR && r->seq[t].known ? &r->seq[t] : NULL;
}

static bool constant(const resolver *r, uint32_t t, int64_t *v)
{
    if (t == NO_TENSOR) return false;
    const tensor *x = &r->g->tensors[t];
    if (!x->value || x->value_count != 1 || !num_known(x->value[0]) || dtype_get((dtype)x->dtype)->floating)
        return false;
    *v = x->value[0].v.i;
    return true;
}

static pg_code set_items(resolver *r, uint32_t t, const uint32_t *items, uint32_t n)
{
    uint32_t *copy = ARENA_ARRAY(r->a, uint32_t, n + 1);
    if (!copy) return nomem(r);
    if (n) memcpy(copy, items, n * sizeof *items);
    r->seq[t] = (sequence){.known = true, .n = n, .items = copy, .of = NO_TENSOR};
    return PG_E_OK;
}

static uint32_t new_value(resolver *r, uint32_t like)
{
    uint32_t t = graph_add_tensor(r->g, r->g->tensors[like].name, (dtype)r->g->tensors[like].dtype);
    if (t == NO_TENSOR || !follow(r)) return NO_TENSOR;
    r->g->tensors[t].defined = true;
    return t;
}

static uint32_t new_ints(resolver *r, uint32_t like, int rank, const int64_t *v, uint32_t n)
{
    uint32_t t = graph_add_ints(r->g, r->g->tensors[like].name, rank, v, n);
    if (t == NO_TENSOR || !follow(r)) return NO_TENSOR;
    r->g->tensors[t].defined = r->g->tensors[t].literal = true;
    return t;
}

/* Part i of a tensor that was split into equal ones. NO_TENSOR: out of memory. */
static uint32_t part_of(resolver *r, const sequence *s, uint32_t into, str name, int64_t i)
{
    uint32_t x = s->of, in[4] = {x};
    int64_t from = INT64_MAX, to;
    if (!int_mul(i, s->size, &from) || __builtin_add_overflow(from, s->size, &to)) to = INT64_MAX;
    uint32_t out = new_value(r, x);
    if (out == NO_TENSOR) return out;
    if (!s->keep) {
        in[1] = new_ints(r, x, 0, &i, 1);
        if (in[1] == NO_TENSOR || graph_add_op(r->g, into, OP_Gather, name, in, 2, &out, 1) == NO_TENSOR)
            return NO_TENSOR;
        return graph_attr_int(r->g, ATTR_axis, s->axis) ? out : NO_TENSOR;
    }
    in[1] = new_ints(r, x, 1, &from, 1);
    in[2] = new_ints(r, x, 1, i == -1 ? &(int64_t){INT64_MAX} : &to, 1);
    in[3] = new_ints(r, x, 1, &s->axis, 1);
    for (int k = 1; k < 4; k++)
        if (in[k] == NO_TENSOR) return NO_TENSOR;
    return graph_add_op(r->g, into, OP_Slice, name, in, 4, &out, 1) == NO_TENSOR ? NO_TENSOR : out;
}

/* ---- the operators: *done when it is resolved, and its operator is needed no longer ---- */

static pg_code take(resolver *r, const op *o, uint32_t into, bool *done)
{
    const sequence *s = sequence_of(r, o, 0);
    int64_t i;
    if (!s || !constant(r, input_of(r, o, 1), &i)) return PG_E_OK;
    uint32_t out = op_out(r->g, o)[0], element;
    if (s->of != NO_TENSOR) {
        if (i < -1 || (i == -1 && s->size != 1)) return PG_E_OK;
        sequence copy = *s;
        element = part_of(r, &copy, into, o->name, i);
        if (element == NO_TENSOR) return nomem(r);
    } else {
        if (i < 0) i += s->n;
        if (i < 0 || i >= s->n) return PG_E_OK;
        element = s->items[i];
    }
    r->now[out] = element;
    *done = true;
    return PG_E_OK;
}

static pg_code insert(resolver *r, const op *o, bool *done)
{
    const sequence *s = sequence_of(r, o, 0);
    uint32_t x = input_of(r, o, 1), place = input_of(r, o, 2), items[MAX_ELEMENTS];
    if (!s || s->of != NO_TENSOR || x == NO_TENSOR || s->n >= MAX_ELEMENTS) return PG_E_OK;
    int64_t at = s->n;
    if (place != NO_TENSOR && !constant(r, place, &at)) return PG_E_OK;
    if (at < 0) at += s->n;
    if (at < 0 || at > s->n) return PG_E_OK;
    for (uint32_t i = 0; i <= s->n; i++) items[i] = i < at ? s->items[i] : i == at ? x : s->items[i - 1];
    *done = true;
    return set_items(r, op_out(r->g, o)[0], items, s->n + 1);
}

static pg_code erase(resolver *r, const op *o, bool *done)
{
    const sequence *s = sequence_of(r, o, 0);
    uint32_t place = input_of(r, o, 1), items[MAX_ELEMENTS], n = 0;
    if (!s || s->of != NO_TENSOR || !s->n) return PG_E_OK;
    int64_t at = s->n - 1;
    if (place != NO_TENSOR && !constant(r, place, &at)) return PG_E_OK;
    if (at < 0) at += s->n;
    if (at < 0 || at >= s->n) return PG_E_OK;
    for (uint32_t i = 0; i < s->n; i++)
        if (i != at) items[n++] = s->items[i];
    *done = true;
    return set_items(r, op_out(r->g, o)[0], items, n);
}

static pg_code construct(resolver *r, const op *o, bool *done)
{
    uint32_t items[MAX_ELEMENTS];
    if (o->n_in > MAX_ELEMENTS) return PG_E_OK;
    for (uint32_t i = 0; i < o->n_in; i++) {
        items[i] = input_of(r, o, i);
        if (items[i] == NO_TENSOR) return PG_E_OK;
    }
    *done = true;
    return set_items(r, op_out(r->g, o)[0], items, o->n_in);
}

/* One size for all parts, or a list of sizes. */
static pg_code split(resolver *r, const op *o, uint32_t into, bool *done)
{
    uint32_t x = input_of(r, o, 0), sizes = input_of(r, o, 1), out = op_out(r->g, o)[0], items[MAX_ELEMENTS];
    int64_t size = 1, axis = op_attr_int(r->g, o, ATTR_axis, 0);
    if (x == NO_TENSOR) return PG_E_OK;
    bool keep = sizes != NO_TENSOR || op_attr_int(r->g, o, ATTR_keepdims, 1) != 0;
    const tensor *list = sizes == NO_TENSOR ? NULL : &r->g->tensors[sizes];
    if (!list || (list->rank == 0 && constant(r, sizes, &size) && size > 0)) {
        r->seq[out] = (sequence){.known = true, .of = x, .axis = axis, .size = size, .keep = keep};
        *done = true;
        return PG_E_OK;
    }
    if (list->rank != 1 || !list->value || !list->value_count || list->value_count > MAX_ELEMENTS) return PG_E_OK;
    uint32_t n = list->value_count;
    str name = o->name;
    for (uint32_t i = 0; i < n; i++)
        if ((items[i] = new_value(r, x)) == NO_TENSOR) return nomem(r);
    if (graph_add_op(r->g, into, OP_Split, name, (uint32_t[]){x, sizes}, 2, items, n) == NO_TENSOR ||
        !graph_attr_int(r->g, ATTR_axis, axis))
        return nomem(r);
    *done = true;
    return set_items(r, out, items, n);
}

static pg_code join(resolver *r, const op *o, uint32_t into, bool *done)
{
    const sequence *s = sequence_of(r, o, 0);
    uint32_t out = op_out(r->g, o)[0], items[MAX_ELEMENTS], n = s ? s->n : 0;
    int64_t axis = op_attr_int(r->g, o, ATTR_axis, 0);
    bool stacks = op_attr_int(r->g, o, ATTR_new_axis, 0) != 0;
    str name = o->name;
    if (!s || s->of != NO_TENSOR || !n) return PG_E_OK;
    memcpy(items, s->items, n * sizeof *items);
    uint32_t at = stacks ? new_ints(r, items[0], 1, &axis, 1) : 0;
    for (uint32_t i = 0; stacks && i < n; i++) {
        uint32_t y = at == NO_TENSOR ? at : new_value(r, items[i]);
        if (y == NO_TENSOR ||
            graph_add_op(r->g, into, OP_Unsqueeze, name, (uint32_t[]){items[i], at}, 2, &y, 1) == NO_TENSOR)
            return nomem(r);
        items[i] = y;
    }
    if (graph_add_op(r->g, into, OP_Concat, name, items, n, &out, 1) == NO_TENSOR ||
        !graph_attr_int(r->g, ATTR_axis, axis))
        return nomem(r);
    *done = true;
    return PG_E_OK;
}

static pg_code count(resolver *r, const op *o, bool *done)
{
    const sequence *s = sequence_of(r, o, 0);
    uint32_t out = op_out(r->g, o)[0];
    if (!s || s->of != NO_TENSOR) return PG_E_OK;
    uint32_t t = new_ints(r, out, 0, &(int64_t){s->n}, 1);
    if (t == NO_TENSOR) return nomem(r);
    r->now[out] = t;
    *done = true;
    return PG_E_OK;
}

/* ---- loops ---- */

static pg_code resolve(resolver *r, uint32_t o, uint32_t into, unsigned depth, bool *done);

/* How often a loop that carries sequences runs; -1: it is none, or only data tell. */
static int64_t trips_of(const resolver *r, const op *o, uint32_t body_index)
{
    const region *body = &r->g->regions[body_index];
    int64_t trips, more = 1;
    uint32_t condition = input_of(r, o, 1), carried = o->n_in - 2u;
    bool sequences = false;
    if (!constant(r, input_of(r, o, 0), &trips) || trips < 0 || trips > MAX_TRIPS) return -1;
    if (condition != NO_TENSOR && (!constant(r, condition, &more) || !more)) return -1;
    if (body->n_inputs != carried + 2 || body->n_outputs != carried + 1 || o->n_out > carried) return -1;
    for (uint32_t i = 0; i < carried; i++) {
        if (input_of(r, o, i + 2) == NO_TENSOR) return -1;
        sequences |= sequence_of(r, o, i + 2) != NULL;
    }
    uint32_t stop = body->outputs[0]; /* on which the next round depends: true, or handed through */
    for (uint32_t i = body->n_ops; i-- > 0;) {
        const op *b = &r->g->ops[body->ops[i]];
        for (uint32_t k = 0; k < b->n_attr; k++)
            if (r->g->attrs[b->first_attr + k].type == ATTR_REGION) return -1;
        if (b->n_out == 1 && op_out(r->g, b)[0] == stop && (b->kind == OP_Identity || b->kind == OP_Cast))
            stop = op_input(r->g, b, 0);
    }
    bool goes_on = stop != NO_TENSOR && (stop == body->inputs[1] || (constant(r, r->now[stop], &more) && more));
    return sequences && goes_on ? trips : -1;
}

/* One operator of a loop's body, once more: `now` says what its inputs are in this round. */
static pg_code repeat(resolver *r, uint32_t from, uint32_t into, unsigned depth)
{
    graph *g = r->g;
    uint32_t n_in = g->ops[from].n_in, n_out = g->ops[from].n_out;
    uint32_t *t = ARENA_ARRAY(r->a, uint32_t, n_in + n_out + 1);
    if (!t) return nomem(r);
    for (uint32_t i = 0; i < n_in; i++) t[i] = input_of(r, &g->ops[from], i);
    for (uint32_t i = 0; i < n_out; i++) {
        uint32_t old = op_out(g, &g->ops[from])[i];
        if ((t[n_in + i] = old) == NO_TENSOR) continue;
        uint32_t y = new_value(r, old);
        if (y == NO_TENSOR) return nomem(r);
        g->tensors[y].rank = g->tensors[old].rank;
        g->tensors[y].dims = g->tensors[old].dims;
        t[n_in + i] = r->now[old] = y;
    }
    op like = g->ops[from];
    uint32_t o = graph_add_op(g, into, (op_kind)like.kind, like.name, t, n_in, t + n_in, n_out);
    if (o == NO_TENSOR) return nomem(r);
    op *copy = &g->ops[o];
    copy->type = like.type;
    copy->opset = like.opset;
    copy->flags = like.flags;
    copy->first_attr = like.first_attr;
    copy->n_attr = like.n_attr;
    bool done = false;
    pg_code code = resolve(r, o, into, depth, &done);
    if (done) /* it was added last but for what stands in its place */
        for (uint32_t i = g->regions[into].n_ops; i-- > 0;) {
            region *at = &g->regions[into];
            if (at->ops[i] != o) continue;
            memmove(at->ops + i, at->ops + i + 1, (at->n_ops - i - 1) * sizeof *at->ops);
            at->n_ops--;
            break;
        }
    return code;
}

static pg_code lay_out(resolver *r, uint32_t loop, uint32_t into, unsigned depth, bool *done)
{
    graph *g = r->g;
    const attr *a = op_attr(g, &g->ops[loop], ATTR_body);
    if (!a || a->type != ATTR_REGION || g->ops[loop].n_in < 2) return PG_E_OK;
    uint32_t body = a->v.index, carried = g->ops[loop].n_in - 2u, *values = ARENA_ARRAY(r->a, uint32_t, carried + 1);
    int64_t trips = trips_of(r, &g->ops[loop], body), work = trips * ((int64_t)g->regions[body].n_ops + 1);
    if (!values) return nomem(r);
    if (trips < 0 || work > r->budget) return PG_E_OK;
    r->budget -= (uint32_t)work;
    for (uint32_t i = 0; i < carried; i++) values[i] = input_of(r, &g->ops[loop], i + 2);
    uint32_t condition = input_of(r, &g->ops[loop], 1);
    for (int64_t round = 0; round < trips; round++) {
        const uint32_t *in = g->regions[body].inputs;
        uint32_t number = new_ints(r, in[0], 0, &round, 1), yes = condition;
        if (yes == NO_TENSOR) yes = new_ints(r, in[1], 0, &(int64_t){1}, 1);
        if (number == NO_TENSOR || yes == NO_TENSOR) return nomem(r);
        r->now[in[0]] = number;
        r->now[in[1]] = yes;
        for (uint32_t i = 0; i < carried; i++) r->now[in[i + 2]] = values[i];
        for (uint32_t i = 0; i < g->regions[body].n_ops; i++) {
            pg_code code = repeat(r, g->regions[body].ops[i], into, depth);
            if (code) return code;
        }
        for (uint32_t i = 0; i < carried; i++) values[i] = r->now[g->regions[body].outputs[i + 1]];
    }
    for (uint32_t i = 0; i < g->ops[loop].n_out; i++)
        if (op_out(g, &g->ops[loop])[i] != NO_TENSOR) r->now[op_out(g, &g->ops[loop])[i]] = values[i];
    g->regions[body].n_ops = g->regions[body].n_inputs = g->regions[body].n_outputs = 0;
    *done = true;
    return PG_E_OK;
}

/* ---- the walk ---- */

static pg_code walk(resolver *r, uint32_t into, unsigned depth);

static pg_code resolve(resolver *r, uint32_t index, uint32_t into, unsigned depth, bool *done)
{
    const op o = r->g->ops[index]; /* as the list may move */
    pg_code code = PG_E_OK;
    switch (o.kind) {
    case OP_SequenceEmpty: *done = true; return set_items(r, op_out(r->g, &o)[0], NULL, 0);
    case OP_SequenceConstruct: return construct(r, &o, done);
    case OP_SequenceInsert: return insert(r, &o, done);
    case OP_SequenceErase: return erase(r, &o, done);
    case OP_SequenceAt: return take(r, &o, into, done);
    case OP_SequenceLength: return count(r, &o, done);
    case OP_SplitToSequence: return split(r, &o, into, done);
    case OP_ConcatFromSequence: return join(r, &o, into, done);
    case OP_Identity:
        if (sequence_of(r, &o, 0)) r->seq[op_out(r->g, &o)[0]] = *sequence_of(r, &o, 0);
        return PG_E_OK;
    case OP_Loop: code = lay_out(r, index, into, depth, done);
    }
    for (uint32_t k = 0; !code && !*done && k < o.n_attr; k++) {
        const attr *a = &r->g->attrs[o.first_attr + k];
        if (a->type == ATTR_REGION) code = walk(r, a->v.index, depth + 1);
    }
    return code;
}

/* Operators that were resolved leave the region; those added for them stay at its end, until all is put in order. */
static pg_code walk(resolver *r, uint32_t index, unsigned depth)
{
    enum { MAX_DEPTH = 64 };
    graph *g = r->g;
    uint32_t n = g->regions[index].n_ops, kept = 0;
    if (depth > MAX_DEPTH) return PG_E_OK;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t o = g->regions[index].ops[i];
        bool done = false;
        pg_code code = resolve(r, o, index, depth, &done);
        if (code) return code;
        if (!done) g->regions[index].ops[kept++] = o;
    }
    region *at = &g->regions[index];
    memmove(at->ops + kept, at->ops + n, (at->n_ops - n) * sizeof *at->ops);
    at->n_ops -= n - kept;
    return PG_E_OK;
}

/* A result that is an element of a sequence keeps its name: nothing happens to it on the way. */
static bool name_output(resolver *r, uint32_t into, uint32_t i)
{
    graph *g = r->g;
    uint32_t out = g->regions[into].outputs[i];
    if (r->now[out] == out) return true;
    if (into != 0) {
        g->regions[into].outputs[i] = r->now[out];
        return true;
    }
    return graph_add_op(g, 0, OP_Identity, g->tensors[out].name, &r->now[out], 1, &out, 1) != NO_TENSOR;
}

static bool uses_sequences(const graph *g)
{
    for (uint32_t i = 0; i < g->n_ops; i++) switch (g->ops[i].kind) {
        case OP_SequenceEmpty:
        case OP_SequenceConstruct:
        case OP_SplitToSequence: return true;
        default: break;
        }
    return false;
}

pg_code onnx_resolve_sequences(graph *g, pg_error *e)
{
    resolver r = {.g = g, .a = g->a, .e = e, .budget = MAX_LAID_OUT};
    if (!uses_sequences(g)) return PG_E_OK;
    if (!follow(&r)) return nomem(&r);
    pg_code code = walk(&r, 0, 0);
    if (code) return code;
    for (uint32_t i = 0; i < g->n_ops; i++)
        for (uint32_t k = 0; k < g->ops[i].n_in; k++) {
            uint32_t *t = &g->operands[g->ops[i].first_in + k];
            if (*t != NO_TENSOR && *t < r.cap) *t = r.now[*t];
        }
    for (uint32_t i = 0; i < g->n_regions; i++)
        for (uint32_t k = 0; k < g->regions[i].n_outputs; k++)
            if (!name_output(&r, i, k)) return nomem(&r);
    return graph_drop_unlisted(g) ? graph_sort(g, g->a, e) : nomem(&r);
}
