/* From the outputs backwards: whatever is needed becomes an operator, inputs first. */
#include "load/tf_internal.h"

pg_code tf_fail(tf_reader *r, const tf_node *n, const char *fmt, ...)
{
    char text[256];
    va_list args;
    va_start(args, fmt);
    format_textv(text, sizeof text, fmt, args);
    va_end(args);
    error_path(r->e, "node '%.*s'", STR_ARG(n->name));
    return error_set(r->e, PG_E_GRAPH, "%.*s: %s", STR_ARG(n->op), text);
}

/* ---- tensors ---- */

bool tf_bind(tf_reader *r, uint32_t node, uint32_t port, uint32_t t)
{
    tf_node *n = tf_at(r, node);
    if (n->out == TF_NONE) {
        n->out = r->n_outs;
        for (uint32_t i = 0; i < n->n_out; i++) {
            if (!TF_ROOM(r, r->outs, r->n_outs, r->cap_outs)) return false;
            r->outs[r->n_outs++] = NO_TENSOR;
        }
    }
    if (port < n->n_out) r->outs[n->out + port] = t;
    return true;
}

uint32_t tf_tensor(tf_reader *r, tf_ref ref)
{
    pg_error saved = *r->e;
    if (ref.node == TF_NONE) return NO_TENSOR;
    if (tf_resolve(r, &ref)) {
        *r->e = saved;
        return NO_TENSOR;
    }
    const tf_node *n = tf_at(r, ref.node);
    if (n->state != TF_DONE || n->out == TF_NONE || ref.port >= n->n_out) return NO_TENSOR;
    return r->outs[n->out + ref.port];
}

uint32_t tf_input_tensor(tf_reader *r, uint32_t i)
{
    return tf_tensor(r, tf_in(r, tf_at(r, r->at), i));
}

op *tf_last(tf_reader *r)
{
    return &r->g->ops[r->g->n_ops - 1];
}

static uint32_t output_tensor(tf_reader *r, uint32_t port)
{
    char text[512];
    str name = tf_at(r, r->at)->name;
    if (port) {
        size_t n = format_text(text, sizeof text, "%.*s:%u", STR_ARG(name), port);
        name = str_copy(r->g->a, (str){text, n < sizeof text ? n : sizeof text - 1});
    }
    uint32_t t = graph_add_tensor(r->g, name, DT_UNKNOWN);
    if (t != NO_TENSOR) r->g->tensors[t].defined = true;
    return t;
}

/* What the exporter knew of the node's outputs: a list of shapes, used where inference can't tell. */
static pg_code declare(tf_reader *r, const uint32_t *out, uint32_t n_out)
{
    const tf_node *n = tf_at(r, r->at);
    const bool blocks = n->fusion && n->fusion->rank; /* the shape within the blocks isn't that of the result */
    tf_value v;
    protobuf_field f;
    pg_error ignored = PG_ERROR_INIT;
    if (blocks || !tf_attr(n, "_output_shapes", &v) || v.kind != TF_V_LIST) return PG_E_OK;
    int32_t batch = graph_symbol_find(r->g, STR("batch"));
    for (uint32_t i = 0; i < n_out && protobuf_next(&v.bytes, &f, &ignored) == 1;) {
        tf_shape shape;
        num dims[MAX_RANK];
        if (f.number != 7 || f.type != PROTOBUF_BYTES) continue;
        pg_code code = tf_read_shape(r, f.bytes, &shape);
        if (code) return code;
        for (int k = 0; k < shape.rank; k++) {
            dims[k] = shape.dims[k] >= 0 ? num_int(shape.dims[k]) : num_unknown();
            if (k == 0 && shape.rank > 1 && shape.dims[0] < 0 && batch >= 0) dims[0] = (num){{.i = 0}, 1, batch};
        }
        if (shape.rank >= 0 && out[i] != NO_TENSOR && !graph_set_dims(r->g, out[i], shape.rank, dims))
            return tf_nomem(r);
        i++;
    }
    return PG_E_OK;
}

bool tf_op(tf_reader *r, op_kind kind, const uint32_t *in, uint32_t n_in, uint32_t n_out)
{
    uint32_t few[16], *out = n_out <= 16 ? few : ARENA_ARRAY(&r->a, uint32_t, n_out);
    if (!out) return false;
    for (uint32_t i = 0; i < n_out; i++) {
        out[i] = i == 0 || i < tf_at(r, r->at)->n_out ? output_tensor(r, i) : NO_TENSOR;
        if (!tf_bind(r, r->at, i, out[i])) return false;
    }
    const tf_node *n = tf_at(r, r->at);
    uint32_t o = graph_add_op(r->g, n->region, kind, n->name, in, n_in, out, n_out);
    if (o == NO_TENSOR || declare(r, out, n_out)) return false;
    if (n->op.len && n->op.ptr[0] != '_') r->g->ops[o].type = n->op;
    return true;
}

uint32_t tf_step(tf_reader *r, op_kind kind, const uint32_t *in, uint32_t n_in)
{
    const tf_node *n = tf_at(r, r->at);
    uint32_t t = graph_add_tensor(r->g, n->name, DT_UNKNOWN);
    if (t == NO_TENSOR) return t;
    r->g->tensors[t].defined = true;
    uint32_t o = graph_add_op(r->g, n->region, kind, n->name, in, n_in, &t, 1);
    return o == NO_TENSOR ? NO_TENSOR : t;
}

static uint32_t add_constant(tf_reader *r, int rank, const int64_t *values, uint32_t n)
{
    uint32_t t = graph_add_ints(r->g, tf_at(r, r->at)->name, rank, values, n);
    if (t == NO_TENSOR) return t;
    r->g->tensors[t].defined = true;
    r->g->tensors[t].literal = true;
    return t;
}

uint32_t tf_ints(tf_reader *r, const int64_t *values, uint32_t n)
{
    return add_constant(r, 1, values, n);
}

uint32_t tf_int(tf_reader *r, int64_t value)
{
    return add_constant(r, 0, &value, 1);
}

/* One warning for each name, as far as a person would read them: the counts of unknown operators hold them all. */
static pg_code warn_unknown(tf_reader *r, str type)
{
    enum { MAX_WARNINGS = 16 };
    bool added;
    if (!map_add(&r->unknown, type, 0, &added)) return tf_nomem(r);
    if (!added || r->unknown.count > MAX_WARNINGS + 1) return PG_E_OK;
    bool ok = r->unknown.count > MAX_WARNINGS
                ? graph_warn(r->g, "more than %d operators are unknown: costed by their memory traffic only",
                             (int)MAX_WARNINGS)
                : graph_warn(r->g, "unknown operator '%.*s': costed by its memory traffic only", STR_ARG(type));
    return ok ? PG_E_OK : tf_nomem(r);
}

pg_code tf_unknown(tf_reader *r)
{
    const tf_node *n = tf_at(r, r->at);
    uint32_t count = n->n_in > UINT16_MAX ? UINT16_MAX : n->n_in, outputs = n->n_out ? n->n_out : 1;
    uint32_t *in = ARENA_ARRAY(&r->a, uint32_t, count);
    if (!in) return tf_nomem(r);
    for (uint32_t i = 0; i < count; i++) in[i] = tf_input_tensor(r, i);
    if (!tf_op(r, OP_Unknown, in, count, outputs)) return tf_nomem(r);
    return warn_unknown(r, tf_at(r, r->at)->op);
}

/* ---- the walk ---- */

static uint32_t deepest_region(tf_reader *r, const tf_node *n)
{
    uint32_t best = r->bodies[n->body].region;
    for (uint32_t i = 0; i < n->n_in; i++) {
        tf_ref ref = r->refs[n->first_in + i];
        const tf_node *m = tf_at(r, ref.node); /* resolved by the walk */
        if (m->state == TF_DONE && r->region_level[m->region] > r->region_level[best]) best = m->region;
    }
    return best;
}

/* Weights of a convolution become tensors in another order, the size of an input that it was once made from says nothing, and lists
 * are the tensor that they stack to. */
static bool is_skipped(tf_reader *r, const tf_node *n, uint32_t i)
{
    if (tf_is(n, "TensorArrayScatterV3") || tf_is(n, "TensorArrayGatherV3")) return i != 2;
    if (tf_is(n, "TensorListFromTensor") || tf_is(n, "TensorListStack") || tf_is(n, "TensorListGather")) return i > 0;
    if (tf_is(n, "TensorListGetItem")) return i > 1;
    bool back = tf_is(n, "Conv2DBackpropInput") || tf_is(n, "Conv3DBackpropInputV2");
    bool conv = back || tf_is(n, "Conv2D") || tf_is(n, "DepthwiseConv2dNative") || tf_is(n, "Conv3D");
    if (back && i == 0) return true;
    return conv && i == 1 && tf_weight_of(r, tf_in(r, n, 1)) != TF_NONE;
}

typedef struct place {
    uint32_t node, next;
} place;

typedef struct walk {
    place *stack;
    uint32_t n, cap;
} walk;

static pg_code enter(tf_reader *r, walk *w, uint32_t node)
{
    tf_node *n = tf_at(r, node);
    if (n->state == TF_DONE) return PG_E_OK;
    if (n->state == TF_OPEN)
        return error_set(r->e, PG_E_GRAPH, "node '%.*s' needs its own result; the file is damaged", STR_ARG(n->name));
    if (n->kind == TF_ARG) return tf_fail(r, n, "a value of a loop's body is read outside of it");
    if (!TF_ROOM(r, w->stack, w->n, w->cap)) return tf_nomem(r);
    w->stack[w->n++] = (place){node, 0};
    n->state = TF_OPEN;
    n->out = TF_NONE;
    if (!n->n_out) n->n_out = 1;
    return PG_E_OK;
}

static pg_code leave(tf_reader *r, uint32_t node)
{
    tf_node *n = tf_at(r, node);
    uint32_t saved = r->at;
    pg_code code;
    n->region = deepest_region(r, n);
    r->at = node;
    switch ((tf_kind)n->kind) {
    case TF_LOOP: code = tf_emit_loop(r, node); break;
    case TF_BRANCH: code = tf_emit_branches(r, node); break;
    default: code = tf_emit_node(r, node); break;
    }
    r->at = saved;
    tf_at(r, node)->state = TF_DONE;
    if (!code && (r->a.failed || r->g->a->failed)) code = tf_nomem(r);
    return code;
}

pg_code tf_emit(tf_reader *r, tf_ref ref)
{
    walk w = {NULL, 0, 0};
    pg_code code = tf_resolve(r, &ref);
    if (!code) code = enter(r, &w, ref.node);
    while (!code && w.n) {
        uint32_t node = w.stack[w.n - 1].node, next = w.stack[w.n - 1].next++;
        if (!next && (code = tf_rewrite(r, node))) break;
        const tf_node *n = tf_at(r, node);
        if (next == n->n_in) {
            w.n--;
            code = leave(r, node);
            continue;
        }
        uint32_t at = n->first_in + next;
        ref = r->refs[at];
        code = tf_resolve(r, &ref);
        if (code) break;
        r->refs[at] = ref;
        n = tf_at(r, node);
        if (tf_at(r, ref.node)->n_out <= ref.port) tf_at(r, ref.node)->n_out = ref.port + 1;
        if (!is_skipped(r, n, next)) code = enter(r, &w, ref.node);
    }
    return code;
}

/* ---- what turned out not to be needed ---- */

typedef struct live {
    graph *g;
    uint32_t *maker; /* per tensor: op + 1 */
    uint8_t *op;
    uint32_t *stack, n;
} live;

static void keep(live *l, uint32_t t)
{
    if (t >= l->g->n_tensors || !l->maker[t]) return;
    uint32_t o = l->maker[t] - 1;
    if (l->op[o]) return;
    l->op[o] = 1;
    l->stack[l->n++] = o;
}

static void keep_results(live *l, uint32_t r)
{
    for (uint32_t k = 0; k < l->g->regions[r].n_outputs; k++) keep(l, l->g->regions[r].outputs[k]);
}

pg_code tf_drop_unused(tf_reader *r)
{
    graph *g = r->g;
    live l = {.g = g};
    l.maker = ARENA_ARRAY(&r->a, uint32_t, g->n_tensors);
    l.op = ARENA_ARRAY(&r->a, uint8_t, g->n_ops);
    l.stack = ARENA_ARRAY(&r->a, uint32_t, g->n_ops);
    if (!l.maker || !l.op || !l.stack) return tf_nomem(r);
    for (uint32_t i = 0; i < g->n_ops; i++)
        for (uint32_t k = 0; k < g->ops[i].n_out; k++)
            if (op_out(g, &g->ops[i])[k] < g->n_tensors) l.maker[op_out(g, &g->ops[i])[k]] = i + 1;
    keep_results(&l, 0);
    while (l.n) {
        const op *o = &g->ops[l.stack[--l.n]];
        for (uint32_t k = 0; k < o->n_in; k++) keep(&l, op_in(g, o)[k]);
        for (uint32_t k = 0; k < o->n_attr; k++)
            if (g->attrs[o->first_attr + k].type == ATTR_REGION) keep_results(&l, g->attrs[o->first_attr + k].v.index);
    }
    uint32_t n = 0;
    for (uint32_t i = 0; i < g->n_ops; i++) {
        l.stack[i] = n; /* where it goes */
        if (l.op[i]) g->ops[n++] = g->ops[i];
    }
    g->n_ops = n;
    for (uint32_t i = 0; i < g->n_regions; i++) {
        region *body = &g->regions[i];
        n = 0;
        for (uint32_t k = 0; k < body->n_ops; k++)
            if (l.op[body->ops[k]]) body->ops[n++] = l.stack[body->ops[k]];
        body->n_ops = n;
    }
    return PG_E_OK;
}
