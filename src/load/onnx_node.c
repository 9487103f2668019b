#include "load/onnx_internal.h"

enum { MAX_REGIONS = 8 };

/* What a NodeProto says, before it becomes an op. */
typedef struct node_proto {
    uint32_t *in, *out;
    uint32_t n_in, n_out, cap_in, cap_out;
    str name, type, domain;
    uint16_t region_key[MAX_REGIONS];
    uint32_t region[MAX_REGIONS];
    uint32_t n_regions;
    uint32_t unnamed_in; /* inputs given as "" */
} node_proto;

typedef struct attr_proto {
    str name, s, ref;
    int64_t type, i;
    float f;
    span tensor, sparse, graph, body;
    bool has_i, has_f, has_s;
} attr_proto;

static pg_code parse_attr(onnx_reader *r, span proto, attr_proto *a)
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

static bool append(onnx_reader *r, uint32_t **list, uint32_t *n, uint32_t *cap, uint32_t t)
{
    if (*n == *cap) {
        uint32_t bigger = *cap ? *cap * 2 : 4;
        uint32_t *p = arena_grow(r->g->a, *list, *cap, bigger, sizeof *p);
        if (!p) return false;
        *list = p;
        *cap = bigger;
    }
    (*list)[(*n)++] = t;
    return true;
}

static pg_code take_operand(onnx_reader *r, onnx_scope *s, node_proto *n, str name, bool output)
{
    uint32_t t = NO_TENSOR;
    if (name.len) {
        t = output ? onnx_define(r, s, name) : onnx_tensor_of(r, s, name);
        if (t == NO_TENSOR) return error_is_set(r->e) ? PG_E_GRAPH : onnx_nomem(r);
    }
    bool ok = output ? append(r, &n->out, &n->n_out, &n->cap_out, t) : append(r, &n->in, &n->n_in, &n->cap_in, t);
    if (!ok) return onnx_nomem(r);
    if (n->n_in > UINT16_MAX || n->n_out > UINT16_MAX)
        return error_set(r->e, PG_E_LIMIT, "node '%.*s' has more than 65535 inputs or outputs", STR_ARG(n->name));
    return PG_E_OK;
}

/* Attributes that hold graphs are read first: their operators must not come between an op and its own attributes. */
static pg_code read_subgraph(onnx_reader *r, span proto, node_proto *n, onnx_scope *scope, const onnx_call *call)
{
    attr_proto a;
    pg_code code = parse_attr(r, proto, &a);
    if (code || !a.graph.ptr) return code;
    int key = attr_key_find(a.name);
    if (key < 0 || n->n_regions == MAX_REGIONS) return PG_E_OK;
    if (r->depth >= r->max_depth)
        return error_at(r->e, PG_E_LIMIT, proto.base,
                        "subgraphs are nested more than %u deep; the file is not a sane model", r->max_depth);
    uint32_t region_index = graph_add_region(r->g);
    if (region_index == NO_TENSOR) return onnx_nomem(r);
    onnx_scope inner = {.parent = scope};
    map_init(&inner.names, r->g->a);
    r->depth++;
    code = onnx_read_graph(r, a.graph, region_index, &inner, call);
    r->depth--;
    n->region_key[n->n_regions] = (uint16_t)key;
    n->region[n->n_regions++] = region_index;
    return code;
}

static pg_code attr_list(onnx_reader *r, int key, span body)
{
    onnx_ints ints = {NULL, 0, 0};
    double floats[64];
    uint32_t n_floats = 0, n_strings = 0;
    protobuf_field f;
    pg_code code;
    int got;
    while ((got = protobuf_next(&body, &f, r->e)) == 1) {
        if (f.number == 8 && (code = onnx_take_ints(r, &ints, &f, FOLD_MAX))) return code;
        if (f.number == 9) n_strings++;
        if (f.number != 7) continue;
        if (f.type == PROTOBUF_FIXED32 && n_floats < 64) floats[n_floats++] = (double)protobuf_float(&f);
        for (size_t i = 0; f.type == PROTOBUF_BYTES && i + 4 <= f.bytes.len && n_floats < 64; i += 4) {
            float x;
            memcpy(&x, f.bytes.ptr + i, 4);
            floats[n_floats++] = (double)x;
        }
    }
    if (got < 0) return PG_E_TRUNCATED;
    bool ok = n_floats  ? graph_attr_floats(r->g, (attr_key)key, floats, n_floats)
            : n_strings ? graph_attr_int(r->g, (attr_key)key, n_strings)
                        : graph_attr_ints(r->g, (attr_key)key, ints.v, ints.n);
    return ok ? PG_E_OK : onnx_nomem(r);
}

static pg_code attr_tensor(onnx_reader *r, int key, const attr_proto *a)
{
    uint32_t t = graph_add_tensor(r->g, a->name, DT_UNKNOWN);
    if (t == NO_TENSOR) return onnx_nomem(r);
    pg_code code = a->sparse.ptr ? onnx_read_sparse(r, a->sparse, t) : onnx_read_tensor(r, a->tensor, t);
    if (code) return code;
    return graph_attr_index(r->g, (attr_key)key, ATTR_TENSOR, t) ? PG_E_OK : onnx_nomem(r);
}

/* An attribute of the name in a message's repeated attribute field. */
static bool find_attr(onnx_reader *r, span message, uint32_t field, str name, attr_proto *out)
{
    protobuf_field f;
    while (protobuf_next(&message, &f, r->e) == 1)
        if (f.number == field && f.type == PROTOBUF_BYTES && !parse_attr(r, f.bytes, out) && str_eq(out->name, name))
            return true;
    return false;
}

/* Inside a function an attribute may stand for one of the call's; follows the calls outwards, then the function's default. */
static bool resolve_ref(onnx_reader *r, const onnx_call *call, attr_proto *a)
{
    str name = a->name;
    for (; a->ref.len && call; call = call->caller) {
        str ref = a->ref;
        if (!find_attr(r, call->node, 5, ref, a) && !find_attr(r, call->function, 11, ref, a)) return false;
        a->name = name;
    }
    return !a->ref.len;
}

static pg_code add_attr(onnx_reader *r, span proto, const onnx_call *call)
{
    enum { FLOAT = 1, INT = 2, STRING = 3, TENSOR = 4, GRAPH = 5, SPARSE = 11 };
    attr_proto a;
    pg_code code = parse_attr(r, proto, &a);
    int key = code ? -1 : attr_key_find(a.name);
    if (key < 0) return code;
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
    case GRAPH: break; /* read_subgraph did it */
    default: return attr_list(r, key, a.body);
    }
    return ok ? PG_E_OK : onnx_nomem(r);
}

static int kind_of(str domain, str type)
{
    bool standard = !domain.len || str_is(domain, "ai.onnx");
    if (standard && str_is(type, "Attention")) return OP_ScaledDotProductAttention; /* opset 23; not com.microsoft's */
    if (!standard && !str_is(domain, "com.microsoft") && !str_is(domain, "ai.onnx.ml")) return -1;
    int k = op_kind_find(type);
    return k == OP_Unknown ? -1 : k;
}

/* PyTorch's exporter names a weight onnx::Conv_123 when it folded a batch normalisation into it; eager PyTorch runs that
 * normalisation on its own, so the planner must know. */
static void mark_folded(const graph *g, op *o)
{
    uint32_t w = op_input(g, o, 1);
    if (w != NO_TENSOR && str_starts(g->tensors[w].name, "onnx::Conv_")) o->flags |= OPF_BN_FOLDED;
}

static pg_code warn_unknown(onnx_reader *r, const node_proto *n)
{
    bool added;
    if (!map_add(&r->unknown, n->type, 0, &added)) return onnx_nomem(r);
    if (added &&
        !graph_warn(r->g, "unknown operator '%.*s'%s%.*s%s: costed by its memory traffic only", STR_ARG(n->type),
                    n->domain.len ? " of domain '" : "", STR_ARG(n->domain), n->domain.len ? "'" : ""))
        return onnx_nomem(r);
    return PG_E_OK;
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
    if (n->n_in >= arity[kind].min_in && (arity[kind].max_in == 255 || n->n_in <= arity[kind].max_in) &&
        (arity[kind].max_out == 255 || n->n_out <= arity[kind].max_out))
        return PG_E_OK;
    error_path(r->e, "node '%.*s'", STR_ARG(n->name));
    return error_set(r->e, PG_E_GRAPH,
                     "%.*s has %u inputs and %u outputs, which the operator does not allow; export the model again",
                     STR_ARG(n->type), n->n_in, n->n_out);
}

static pg_code add_op(onnx_reader *r, span node, const node_proto *n, uint32_t region_index, const onnx_call *call)
{
    int kind = kind_of(n->domain, n->type);
    pg_code code = kind < 0 ? warn_unknown(r, n) : check_arity(r, n, kind);
    if (code) return code;
    uint32_t o = graph_add_op(r->g, region_index, kind < 0 ? OP_Unknown : (op_kind)kind, n->name, n->in, n->n_in,
                              n->out, n->n_out);
    if (o == NO_TENSOR) return onnx_nomem(r);
    r->g->ops[o].type = n->type;
    r->g->ops[o].opset = onnx_opset_of(r, n->domain);
    if (kind == OP_Conv) mark_folded(r->g, &r->g->ops[o]);
    protobuf_field f;
    while (protobuf_next(&node, &f, r->e) == 1) {
        if (f.number != 5 || f.type != PROTOBUF_BYTES) continue;
        code = add_attr(r, f.bytes, call);
        if (code) return code;
    }
    for (uint32_t i = 0; i < n->n_regions; i++)
        if (!graph_attr_index(r->g, (attr_key)n->region_key[i], ATTR_REGION, n->region[i])) return onnx_nomem(r);
    return PG_E_OK;
}

/* A Constant node is a constant tensor: no operator runs. */
static pg_code read_constant(onnx_reader *r, span node, const node_proto *n, const onnx_call *call, bool *done)
{
    protobuf_field f;
    *done = false;
    if (n->n_out != 1 || n->n_in || n->out[0] == NO_TENSOR) return PG_E_OK;
    while (protobuf_next(&node, &f, r->e) == 1) {
        attr_proto a;
        if (f.number != 5 || f.type != PROTOBUF_BYTES) continue;
        pg_code code = parse_attr(r, f.bytes, &a);
        if (code) return code;
        if (a.ref.len && !resolve_ref(r, call, &a)) return error_is_set(r->e) ? r->e->code : PG_E_OK;
        if (!a.tensor.ptr || !str_is(a.name, "value")) return PG_E_OK;
        *done = true;
        r->g->tensors[n->out[0]].literal = true;
        return onnx_read_tensor(r, a.tensor, n->out[0]);
    }
    return PG_E_OK;
}

static pg_code parse_node(onnx_reader *r, span node, node_proto *n, onnx_scope *scope, const onnx_call *call)
{
    protobuf_field f;
    int got;
    span rest = node;
    while ((got = protobuf_next(&rest, &f, r->e)) == 1) {
        if (f.number == 3) n->name = protobuf_str(&f);
        else if (f.number == 4) n->type = protobuf_str(&f);
        else if (f.number == 7) n->domain = protobuf_str(&f);
    }
    if (got < 0) return PG_E_TRUNCATED;
    rest = node;
    pg_code code = PG_E_OK;
    while (!code && protobuf_next(&rest, &f, r->e) == 1) {
        if (f.number == 1) code = take_operand(r, scope, n, protobuf_str(&f), false);
        else if (f.number == 5 && f.type == PROTOBUF_BYTES) code = read_subgraph(r, f.bytes, n, scope, call);
    }
    return code;
}

/* Outputs after inputs and bodies: neither may see them. */
static pg_code parse_outputs(onnx_reader *r, span node, node_proto *n, onnx_scope *scope)
{
    protobuf_field f;
    pg_code code = PG_E_OK;
    while (!code && protobuf_next(&node, &f, r->e) == 1)
        if (f.number == 2) code = take_operand(r, scope, n, protobuf_str(&f), true);
    return code;
}

pg_code onnx_read_node(onnx_reader *r, span node, uint32_t region_index, onnx_scope *scope, const onnx_call *call)
{
    if (++r->work > r->max_work)
        return error_at(r->e, PG_E_LIMIT, node.base,
                        "more than %llu nodes once functions are inlined; the file is not a sane model",
                        (unsigned long long)r->max_work);
    node_proto n;
    memset(&n, 0, sizeof n);
    pg_code code = parse_node(r, node, &n, scope, call);
    if (code) return code;
    if (!n.type.len)
        return error_at(r->e, PG_E_FORMAT, node.base, "node '%.*s' has no operator type; the file is damaged",
                        STR_ARG(n.name));
    const onnx_function *fn = onnx_find_function(r, n.domain, n.type);
    if (fn) return onnx_inline(r, fn, node, region_index, scope, call);
    code = parse_outputs(r, node, &n, scope);
    if (code) return code;
    if (!n.name.len && n.n_out && n.out[0] != NO_TENSOR) n.name = r->g->tensors[n.out[0]].name;
    if (call && call->prefix.len) {
        char full[256];
        size_t len = format_text(full, sizeof full, "%.*s/%.*s", STR_ARG(call->prefix), STR_ARG(n.name));
        n.name = str_copy(r->g->a, (str){full, len < sizeof full ? len : sizeof full - 1});
        if (!n.name.ptr) return onnx_nomem(r);
    }
    bool done = false;
    if (str_is(n.type, "Constant")) code = read_constant(r, node, &n, call, &done);
    return code || done ? code : add_op(r, node, &n, region_index, call);
}
