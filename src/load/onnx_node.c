#include "load/onnx_internal.h"

enum { MAX_REGIONS = 8, ATTR_LIST_MAX = 1 << 20 };

/* What a NodeProto says, before it becomes an op. Its lists stand on the reader's stacks from the marks on: a node's operands
 * are next to each other, inputs first, and what the nodes of its bodies pushed is gone by then. */
typedef struct node_proto {
    uint32_t operands, attrs, out_names; /* marks */
    uint32_t n_in, n_out, n_attrs;
    str name, type, domain, overload;
    uint16_t region_key[MAX_REGIONS];
    uint32_t region[MAX_REGIONS];
    uint32_t n_regions;
} node_proto;

static pg_code parse_attr(onnx_reader *r, span proto, onnx_attr *a)
{
    protobuf_field f;
    int got;
    memset(a, 0, sizeof *a);
    a->body = proto;
    while ((got = protobuf_next(&proto, &f, r->e)) == 1) {
        switch (f.number) {
        case 1: a->name = protobuf_str(&f); break;
        case 2:
            a->f = protobuf_float(&f);
            a->has_f = true;
            break;
        case 3:
            a->i = protobuf_int(&f);
            a->has_i = true;
            break;
        case 4:
            a->s = protobuf_str(&f);
            a->has_s = true;
            break;
        case 5: a->tensor = f.bytes; break;
        case 6: a->graph = f.bytes; break;
        case 20: a->type = protobuf_int(&f); break;
        case 21: a->ref = protobuf_str(&f); break;
        case 22: a->sparse = f.bytes; break;
        default: break;
        }
    }
    return got < 0 ? PG_E_TRUNCATED : PG_E_OK;
}

/* Room for one more element of `size` bytes; NULL: out of memory. */
static void *push(onnx_reader *r, onnx_stack *s, size_t size)
{
    if (s->n == s->cap) {
        uint32_t cap = s->cap ? s->cap * 2 : 32;
        void *bigger = arena_grow(r->g->a, s->v, s->cap, cap, size);
        if (!bigger) return NULL;
        s->v = bigger;
        s->cap = cap;
    }
    return (char *)s->v + s->n++ * size;
}

static const onnx_attr *attr_at(const onnx_reader *r, const node_proto *n, uint32_t i)
{
    return (const onnx_attr *)r->attrs.v + n->attrs + i;
}

static const uint32_t *inputs_of(const onnx_reader *r, const node_proto *n)
{
    return r->operands.v ? (const uint32_t *)r->operands.v + n->operands : NULL; /* no node so far had an operand */
}

static const uint32_t *outputs_of(const onnx_reader *r, const node_proto *n)
{
    return n->n_out ? inputs_of(r, n) + n->n_in : NULL;
}

static pg_code take_operand(onnx_reader *r, onnx_scope *s, str name, bool output)
{
    uint32_t t = NO_TENSOR;
    if (name.len) {
        t = output ? onnx_define(r, s, name) : onnx_tensor_of(r, s, name);
        if (t == NO_TENSOR) return error_is_set(r->e) ? r->e->code : onnx_nomem(r);
    }
    uint32_t *slot = push(r, &r->operands, sizeof *slot);
    if (!slot) return onnx_nomem(r);
    *slot = t;
    return PG_E_OK;
}

/* Attributes that hold graphs are read first: their operators must not come between an op and its own attributes. */
static pg_code read_body(onnx_reader *r, const onnx_attr *a, node_proto *n, onnx_scope *scope, const onnx_call *call)
{
    int key = attr_key_find(a->name);
    span body = a->graph; /* the stack that holds `a` may move */
    if (key < 0 || n->n_regions == MAX_REGIONS) return PG_E_OK;
    if (r->depth >= r->max_depth)
        return error_at(r->e, PG_E_LIMIT, a->body.base,
                        "subgraphs are nested more than %u deep; the file is not a sane model", r->max_depth);
    uint32_t region_index = graph_add_region(r->g);
    if (region_index == NO_TENSOR) return onnx_nomem(r);
    onnx_scope inner = {.parent = scope};
    map_init(&inner.names, r->g->a);
    r->depth++;
    pg_code code = onnx_read_graph(r, body, region_index, &inner, call);
    r->depth--;
    n->region_key[n->n_regions] = (uint16_t)key;
    n->region[n->n_regions++] = region_index;
    return code;
}

/* Floats of a repeated field, packed or not, onto the end of `list`; counts those that don't fit too. */
static void take_floats(const protobuf_field *f, double *list, uint32_t room, uint32_t *n)
{
    if (f->type == PROTOBUF_FIXED32) {
        if (*n < room) list[*n] = (double)protobuf_float(f);
        ++*n;
    }
    size_t packed = f->type == PROTOBUF_BYTES ? f->bytes.len / 4 : 0;
    for (size_t i = 0; i < packed && *n + i < room; i++) {
        float x;
        memcpy(&x, f->bytes.ptr + i * 4, 4);
        list[*n + i] = (double)x;
    }
    *n += (uint32_t)packed;
}

static pg_code attr_floats(onnx_reader *r, int key, span body, uint32_t count)
{
    double *list = ARENA_ARRAY(r->g->a, double, count);
    uint32_t n = 0;
    protobuf_field f;
    if (!list) return onnx_nomem(r);
    while (protobuf_next(&body, &f, r->e) == 1)
        if (f.number == 7) take_floats(&f, list, count, &n);
    return graph_attr_floats(r->g, (attr_key)key, list, count) ? PG_E_OK : onnx_nomem(r);
}

static pg_code attr_list(onnx_reader *r, int key, const onnx_attr *a)
{
    onnx_ints ints = {NULL, 0, 0};
    uint32_t n_floats = 0, n_strings = 0;
    protobuf_field f;
    pg_code code;
    int got;
    span body = a->body;
    while ((got = protobuf_next(&body, &f, r->e)) == 1) {
        if (f.number == 8 && (code = onnx_take_ints(r, &ints, &f, ATTR_LIST_MAX + 1))) return code;
        if (f.number == 9) n_strings++;
        if (f.number == 7) take_floats(&f, NULL, 0, &n_floats);
    }
    if (got < 0) return PG_E_TRUNCATED;
    if (n_floats > ATTR_LIST_MAX || ints.n > ATTR_LIST_MAX)
        return error_at(r->e, PG_E_LIMIT, a->body.base,
                        "attribute '%.*s' lists more than %d numbers; make it an initializer", STR_ARG(a->name),
                        (int)ATTR_LIST_MAX);
    if (n_floats) return attr_floats(r, key, a->body, n_floats);
    bool ok = n_strings ? graph_attr_int(r->g, (attr_key)key, n_strings)
                        : graph_attr_ints(r->g, (attr_key)key, ints.v, ints.n);
    return ok ? PG_E_OK : onnx_nomem(r);
}

static pg_code attr_tensor(onnx_reader *r, int key, const onnx_attr *a)
{
    uint32_t t = graph_add_tensor(r->g, a->name, DT_UNKNOWN);
    if (t == NO_TENSOR) return onnx_nomem(r);
    pg_code code = a->sparse.ptr ? onnx_read_sparse(r, a->sparse, t) : onnx_read_tensor(r, a->tensor, t);
    if (code) return code;
    return graph_attr_index(r->g, (attr_key)key, ATTR_TENSOR, t) ? PG_E_OK : onnx_nomem(r);
}

/* An attribute of the name in a message's repeated attribute field. */
static bool find_attr(onnx_reader *r, span message, uint32_t field, str name, onnx_attr *out)
{
    protobuf_field f;
    while (protobuf_next(&message, &f, r->e) == 1)
        if (f.number == field && f.type == PROTOBUF_BYTES && !parse_attr(r, f.bytes, out) && str_eq(out->name, name))
            return true;
    return false;
}

/* Inside a function an attribute may stand for one of the call's; follows the calls outwards, then the function's default. */
static bool resolve_ref(onnx_reader *r, const onnx_call *call, onnx_attr *a)
{
    str name = a->name;
    for (; a->ref.len && call; call = call->caller) {
        str ref = a->ref;
        if (!find_attr(r, call->node, 5, ref, a) && !find_attr(r, call->function, 11, ref, a)) return false;
        a->name = name;
    }
    return !a->ref.len;
}

static pg_code add_attr(onnx_reader *r, const onnx_attr *given, const onnx_call *call)
{
    enum { FLOAT = 1, INT = 2, STRING = 3, TENSOR = 4, GRAPH = 5, SPARSE = 11 };
    int key = attr_key_find(given->name);
    if (key < 0) return PG_E_OK;
    onnx_attr a = *given;
    if (a.ref.len && !resolve_ref(r, call, &a)) return error_is_set(r->e) ? r->e->code : PG_E_OK;
    if (!a.type) /* files before IR version 2 leave the type out */
        a.type = a.has_f ? FLOAT : a.has_i ? INT : a.has_s ? STRING : a.tensor.ptr ? TENSOR : a.graph.ptr ? GRAPH : 0;
    bool ok = true;
    switch (a.type) {
    case FLOAT: ok = graph_attr_float(r->g, (attr_key)key, (double)a.f); break;
    case INT: ok = graph_attr_int(r->g, (attr_key)key, a.i); break;
    case STRING: ok = graph_attr_string(r->g, (attr_key)key, a.s); break;
    case TENSOR:
    case SPARSE: return attr_tensor(r, key, &a);
    case GRAPH: break; /* read_body did it */
    default: return attr_list(r, key, &a);
    }
    return ok ? PG_E_OK : onnx_nomem(r);
}

/* The row of ops.def, or -1, into *kind. Files use few operators many times: each name is looked up once. */
static pg_code find_kind(onnx_reader *r, str domain, str type, int *kind)
{
    bool standard = !domain.len || str_is(domain, "ai.onnx"), added;
    *kind = OP_ScaledDotProductAttention; /* "Attention" of opset 23; not com.microsoft's */
    if (standard && str_is(type, "Attention")) return PG_E_OK;
    *kind = OP_Silu;
    if (standard && str_is(type, "Swish")) return PG_E_OK;
    *kind = -1;
    if (!standard && !str_is(domain, "com.microsoft") && !str_is(domain, "ai.onnx.ml")) return PG_E_OK;
    uint32_t *known = map_add(&r->kinds, type, OP_Unknown, &added);
    if (!known) return onnx_nomem(r);
    int found = added ? op_kind_find(type) : (int)*known;
    if (added && found >= 0) *known = (uint32_t)found;
    if (found != OP_Unknown) *kind = found;
    return PG_E_OK;
}

/* PyTorch's exporter names a weight onnx::Conv_123 when it folded a batch normalisation into it, tf2onnx ends its name with
 * _weights_fused_bn; eager PyTorch runs that normalisation on its own, so the planner must know. */
static void mark_folded(const graph *g, op *o)
{
    uint32_t w = op_input(g, o, 1);
    if (w == NO_TENSOR) return;
    str name = g->tensors[w].name;
    if (str_starts(name, "onnx::Conv_") || str_ends(name, "_weights_fused_bn")) o->flags |= OPF_BN_FOLDED;
}

/* One warning for each name, as far as a person would read them: the counts of unknown operators hold them all. */
static pg_code warn_unknown(onnx_reader *r, const node_proto *n)
{
    enum { MAX_WARNINGS = 16 };
    bool added;
    if (!map_add(&r->unknown, n->type, 0, &added)) return onnx_nomem(r);
    if (!added || r->unknown.count > MAX_WARNINGS + 1) return PG_E_OK;
    bool ok = r->unknown.count > MAX_WARNINGS
                ? graph_warn(r->g, "more than %d operators are unknown: costed by their memory traffic only",
                             (int)MAX_WARNINGS)
                : graph_warn(r->g, "unknown operator '%.*s'%s%.*s%s: costed by its memory traffic only",
                             STR_ARG(n->type), n->domain.len ? " of domain '" : "", STR_ARG(n->domain),
                             n->domain.len ? "'" : "");
    return ok ? PG_E_OK : onnx_nomem(r);
}

static pg_code check_arity(onnx_reader *r, const node_proto *n, int kind)
{
    static const struct {
        uint8_t min_in, max_in, max_out;
    } arity[OP_KIND_COUNT] = {
#define OP(name, min_in, max_in, max_out, shape, work, flops) [OP_##name] = {min_in, max_in, max_out},
#include "graph/ops.def"
#undef OP
    };
    if (arity[kind].min_in && n->n_in && inputs_of(r, n)[0] == NO_TENSOR && kind != OP_Loop && kind != OP_Scan) {
        error_path(r->e, "node '%.*s'", STR_ARG(n->name));
        return error_set(r->e, PG_E_GRAPH,
                         "%.*s leaves out its first input, which it can't do without; export the model again",
                         STR_ARG(n->type));
    }
    if (n->n_in >= arity[kind].min_in && (arity[kind].max_in == 255 || n->n_in <= arity[kind].max_in) &&
        (arity[kind].max_out == 255 || n->n_out <= arity[kind].max_out))
        return PG_E_OK;
    error_path(r->e, "node '%.*s'", STR_ARG(n->name));
    return error_set(r->e, PG_E_GRAPH,
                     "%.*s has %u inputs and %u outputs, which the operator does not allow; export the model again",
                     STR_ARG(n->type), n->n_in, n->n_out);
}

static pg_code add_op(onnx_reader *r, const node_proto *n, uint32_t region_index, const onnx_call *call)
{
    int kind;
    pg_code code = find_kind(r, n->domain, n->type, &kind);
    if (!code) code = kind < 0 ? warn_unknown(r, n) : check_arity(r, n, kind);
    if (code) return code;
    uint32_t o = graph_add_op(r->g, region_index, kind < 0 ? OP_Unknown : (op_kind)kind, n->name, inputs_of(r, n),
                              n->n_in, outputs_of(r, n), n->n_out);
    if (o == NO_TENSOR) return onnx_nomem(r);
    r->g->ops[o].type = n->type;
    bool standard = !n->domain.len || str_is(n->domain, "ai.onnx");
    r->g->ops[o].opset = call && call->opset && standard ? call->opset : onnx_opset_of(r, n->domain);
    if (kind == OP_Conv) mark_folded(r->g, &r->g->ops[o]);
    for (uint32_t i = 0; !code && i < n->n_attrs; i++) code = add_attr(r, attr_at(r, n, i), call);
    for (uint32_t i = 0; !code && i < n->n_regions; i++)
        if (!graph_attr_index(r->g, (attr_key)n->region_key[i], ATTR_REGION, n->region[i])) code = onnx_nomem(r);
    return code;
}

/* One number, given as an attribute: part of the node, no weight that takes room. */
static pg_code put_number(onnx_reader *r, uint32_t t, bool floating, const onnx_attr *a)
{
    tensor *x = &r->g->tensors[t];
    num *v = ARENA_ARRAY(r->g->a, num, 1);
    if (!v || !graph_set_dims_int(r->g, t, 0, NULL)) return onnx_nomem(r);
    v[0] = num_int(a->i);
    if (floating) v[0].v.f = (double)a->f;
    x->role = ROLE_WEIGHT;
    x->dtype = floating ? DT_FP32 : DT_INT64;
    x->value = v;
    x->value_count = 1;
    return PG_E_OK;
}

/* A Constant node is a constant tensor: no operator runs. */
static pg_code read_constant(onnx_reader *r, const node_proto *n, const onnx_call *call, bool *done)
{
    *done = false;
    if (n->n_out != 1 || n->n_in || !n->n_attrs) return PG_E_OK;
    uint32_t t = outputs_of(r, n)[0];
    onnx_attr a = *attr_at(r, n, 0);
    if (t == NO_TENSOR || (a.ref.len && !resolve_ref(r, call, &a))) return PG_E_OK;
    bool number = a.has_i && str_is(a.name, "value_int"), floating = a.has_f && str_is(a.name, "value_float");
    if (!number && !floating && (!a.tensor.ptr || !str_is(a.name, "value"))) return PG_E_OK;
    *done = true;
    r->g->tensors[t].literal = true;
    if (number || floating) return put_number(r, t, floating, &a);
    return onnx_read_tensor(r, a.tensor, t);
}

/* Exporters write equal weights once and let Identity nodes stand for the others: no operator runs there either. The copy is no
 * further parameter and takes no room. */
static bool copy_weight(onnx_reader *r, const node_proto *n)
{
    if (n->n_in != 1 || n->n_out != 1 || n->domain.len) return false;
    uint32_t from = inputs_of(r, n)[0], to = outputs_of(r, n)[0];
    if (from == NO_TENSOR || to == NO_TENSOR || r->g->tensors[from].role != ROLE_WEIGHT) return false;
    tensor *t = &r->g->tensors[to];
    str name = t->name;
    *t = r->g->tensors[from];
    t->name = name;
    t->weight_bytes = 0;
    t->buffer = t->defined = true;
    return true;
}

/* All but the bodies and the outputs, which only get their names. */
static pg_code parse_node(onnx_reader *r, span node, node_proto *n, onnx_scope *scope)
{
    protobuf_field f;
    int got;
    pg_code code = PG_E_OK;
    while (!code && (got = protobuf_next(&node, &f, r->e)) == 1) {
        switch (f.number) {
        case 1: code = take_operand(r, scope, protobuf_str(&f), false); break;
        case 2: {
            str *slot = push(r, &r->out_names, sizeof *slot);
            if (!slot) return onnx_nomem(r);
            *slot = protobuf_str(&f);
            break;
        }
        case 3: n->name = protobuf_str(&f); break;
        case 4: n->type = protobuf_str(&f); break;
        case 5: {
            onnx_attr *slot = f.type == PROTOBUF_BYTES ? push(r, &r->attrs, sizeof *slot) : NULL;
            if (f.type == PROTOBUF_BYTES) code = slot ? parse_attr(r, f.bytes, slot) : onnx_nomem(r);
            break;
        }
        case 7: n->domain = protobuf_str(&f); break;
        case 8: n->overload = protobuf_str(&f); break;
        default: break;
        }
    }
    n->n_in = r->operands.n - n->operands;
    n->n_out = r->out_names.n - n->out_names;
    n->n_attrs = r->attrs.n - n->attrs;
    if (code || got < 0) return code ? code : PG_E_TRUNCATED;
    if (n->n_in > UINT16_MAX || n->n_out > UINT16_MAX)
        return error_set(r->e, PG_E_LIMIT, "node '%.*s' has more than 65535 inputs or outputs", STR_ARG(n->name));
    return PG_E_OK;
}

static pg_code name_node(onnx_reader *r, node_proto *n, const onnx_call *call)
{
    if (!n->name.len && n->n_out && outputs_of(r, n)[0] != NO_TENSOR) n->name = r->g->tensors[outputs_of(r, n)[0]].name;
    if (!call || !call->prefix.len) return PG_E_OK;
    char full[256];
    size_t len = format_text(full, sizeof full, "%.*s/%.*s", STR_ARG(call->prefix), STR_ARG(n->name));
    n->name = str_copy(r->g->a, (str){full, len < sizeof full ? len : sizeof full - 1});
    return n->name.ptr ? PG_E_OK : onnx_nomem(r);
}

static pg_code read_node(onnx_reader *r, span node, node_proto *n, uint32_t region_index, onnx_scope *scope,
                         const onnx_call *call)
{
    pg_code code = parse_node(r, node, n, scope);
    for (uint32_t i = 0; !code && i < n->n_attrs; i++)
        if (attr_at(r, n, i)->graph.ptr) code = read_body(r, attr_at(r, n, i), n, scope, call);
    if (code) return code;
    if (!n->type.len)
        return error_at(r->e, PG_E_FORMAT, node.base, "node '%.*s' has no operator type; the file is damaged",
                        STR_ARG(n->name));
    const onnx_function *fn = onnx_find_function(r, n->domain, n->type, n->overload);
    if (fn) return onnx_inline(r, fn, node, region_index, scope, call);
    /* outputs after inputs and bodies: neither may see them */
    for (uint32_t i = 0; !code && i < n->n_out; i++)
        code = take_operand(r, scope, ((const str *)r->out_names.v)[n->out_names + i], true);
    if (!code) code = name_node(r, n, call);
    bool done = false;
    if (!code && str_is(n->type, "Constant")) code = read_constant(r, n, call, &done);
    if (!code && !region_index && str_is(n->type, "Identity")) done = copy_weight(r, n);
    return code || done ? code : add_op(r, n, region_index, call);
}

pg_code onnx_read_node(onnx_reader *r, span node, uint32_t region_index, onnx_scope *scope, const onnx_call *call)
{
    if (++r->work > r->max_work)
        return error_at(r->e, PG_E_LIMIT, node.base,
                        "more than %llu nodes once functions are inlined; the file is not a sane model",
                        (unsigned long long)r->max_work);
    node_proto n;
    memset(&n, 0, sizeof n);
    n.operands = r->operands.n;
    n.attrs = r->attrs.n;
    n.out_names = r->out_names.n;
    pg_code code = read_node(r, node, &n, region_index, scope, call);
    r->operands.n = n.operands;
    r->attrs.n = n.attrs;
    r->out_names.n = n.out_names;
    return code;
}
