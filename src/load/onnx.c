/* ONNX: a ModelProto (protobuf) without magic.
 *
 * 1. ModelProto: ir_version 1, producer_name 2, graph 7, opset_import 8 (domain 1, version 2), functions 25.
 * 2. GraphProto: node 1, name 2, initializer 5 (TensorProto), input 11, output 12, value_info 13 (ValueInfoProto),
 *    sparse_initializer 15.
 * 3. NodeProto: input 1, output 2, name 3, op_type 4, attribute 5, domain 7, overload 8. "" as a name: an optional operand left out.
 * 4. AttributeProto: name 1, f 2, i 3, s 4, t 5, g 6, floats 7, ints 8, strings 9, type 20, ref_attr_name 21, sparse_tensor 22.
 * 5. TensorProto: dims 1, data_type 2, float_data 4, int32_data 5, int64_data 7, name 8, raw_data 9, double_data 10,
 *    uint64_data 11, external_data 13, data_location 14.
 * 6. FunctionProto: name 1, input 4, output 5, attribute 6, node 7, opset_import 9, domain 10, attribute_proto 11, overload 13:
 *    functions of one domain and name are told apart by it.
 *
 * Weights are described and skipped. Functions are inlined; subgraphs become regions. */
#include "graph/num.h"
#include "graph/rewrite.h"
#include "load/onnx_internal.h"

pg_code onnx_nomem(onnx_reader *r)
{
    return error_nomem(r->e, r->g->a);
}

uint32_t onnx_tensor_of(onnx_reader *r, onnx_scope *s, str name)
{
    for (onnx_scope *at = s; at; at = at->parent) {
        uint32_t *t = map_find(&at->names, name);
        if (t) return *t;
    }
    bool added;
    uint32_t t = graph_add_tensor(r->g, name, DT_UNKNOWN);
    uint32_t *slot = t == NO_TENSOR ? NULL : map_add(&s->names, name, t, &added);
    return slot ? *slot : NO_TENSOR;
}

/* A name that was only read so far (files need not be in order) is a tensor already; producing it marks it defined. */
uint32_t onnx_define(onnx_reader *r, onnx_scope *s, str name)
{
    bool added;
    uint32_t *slot = map_add(&s->names, name, NO_TENSOR, &added);
    if (!slot) return NO_TENSOR;
    if (added) {
        uint32_t t = graph_add_tensor(r->g, name, DT_UNKNOWN);
        if (t == NO_TENSOR) return NO_TENSOR;
        *slot = t;
    }
    tensor *t = &r->g->tensors[*slot];
    if (t->defined) {
        error_set(r->e, PG_E_GRAPH, "the name '%.*s' is produced twice; the file is damaged or was merged wrongly",
                  STR_ARG(name));
        return NO_TENSOR;
    }
    t->defined = true;
    return *slot;
}

enum { FUNCTION_KEY = 256 }; /* bytes */

/* Returns FUNCTION_KEY or more when it doesn't fit. */
static size_t function_key(char key[FUNCTION_KEY], str domain, str name, str overload)
{
    return format_text(key, FUNCTION_KEY, "%.*s:%.*s:%.*s", STR_ARG(domain), STR_ARG(name), STR_ARG(overload));
}

const onnx_function *onnx_find_function(const onnx_reader *r, str domain, str name, str overload)
{
    char key[FUNCTION_KEY];
    if (!r->n_functions) return NULL;
    size_t n = function_key(key, domain, name, overload);
    const uint32_t *i = n < sizeof key ? map_find(&r->functions, (str){key, n}) : NULL;
    return i ? &r->function_list[*i] : NULL;
}

uint16_t onnx_opset_of(const onnx_reader *r, str domain)
{
    if (str_is(domain, "ai.onnx")) domain.len = 0;
    for (uint32_t i = 0; i < r->n_opsets; i++)
        if (str_eq(r->opsets[i].domain, domain)) return r->opsets[i].version;
    return 1;
}

/* Binds a function's formal names to the call's tensors in a fresh scope. */
static pg_code bind(onnx_reader *r, span function, span node, uint32_t formal_field, uint32_t actual_field,
                    onnx_scope *outer, onnx_scope *inner)
{
    protobuf_field formal, actual;
    int more = 1;
    while (protobuf_next(&function, &formal, r->e) == 1) {
        if (formal.number != formal_field) continue;
        while (more == 1 && (more = protobuf_next(&node, &actual, r->e)) == 1 && actual.number != actual_field)
            continue;
        uint32_t t = NO_TENSOR;
        bool added;
        if (more == 1 && protobuf_str(&actual).len)
            t = actual_field == 2 ? onnx_define(r, outer, protobuf_str(&actual))
                                  : onnx_tensor_of(r, outer, protobuf_str(&actual));
        else t = graph_add_tensor(r->g, protobuf_str(&formal), DT_UNKNOWN);
        if (t == NO_TENSOR) return error_is_set(r->e) ? r->e->code : onnx_nomem(r);
        if (more != 1 || !protobuf_str(&actual).len) { /* not given by the call */
            if (actual_field == 1) r->g->tensors[t].role = ROLE_ABSENT;
            r->g->tensors[t].defined = actual_field == 1;
        } else if (actual_field == 2) {
            r->g->tensors[t].defined = false; /* a node of the body defines it */
        }
        if (!map_add(&inner->names, protobuf_str(&formal), t, &added)) return onnx_nomem(r);
    }
    return error_is_set(r->e) ? r->e->code : PG_E_OK;
}

pg_code onnx_inline(onnx_reader *r, const onnx_function *f, span node, uint32_t region_index, onnx_scope *scope,
                    const onnx_call *caller)
{
    if (r->depth >= r->max_depth)
        return error_at(r->e, PG_E_LIMIT, node.base, "function '%.*s' calls itself or is nested more than %u deep",
                        STR_ARG(f->name), r->max_depth);
    onnx_scope inner = {.parent = NULL};
    map_init(&inner.names, r->g->a);
    str name = onnx_tensor_name(node, 3);
    onnx_call call = {node, f->body, caller, name.len ? name : f->name, f->opset};
    pg_code code = bind(r, f->body, node, 4, 1, scope, &inner);
    if (!code) code = bind(r, f->body, node, 5, 2, scope, &inner);
    protobuf_field field;
    span rest = f->body;
    r->depth++;
    while (!code && protobuf_next(&rest, &field, r->e) == 1)
        if (field.number == 7 && field.type == PROTOBUF_BYTES)
            code = onnx_read_node(r, field.bytes, region_index, &inner, &call);
    r->depth--;
    return code ? code : error_is_set(r->e) ? r->e->code : PG_E_OK;
}

/* ValueInfoProto: name 1, type 2. */
static pg_code read_value_info(onnx_reader *r, span proto, uint32_t t, bool input)
{
    protobuf_field f;
    while (protobuf_next(&proto, &f, r->e) == 1)
        if (f.number == 2 && f.type == PROTOBUF_BYTES) {
            pg_code code = onnx_read_type(r, f.bytes, t, input);
            if (code) return code;
        }
    return error_is_set(r->e) ? r->e->code : PG_E_OK;
}

static pg_code read_sparse_initializer(onnx_reader *r, span proto, onnx_scope *scope)
{
    protobuf_field f;
    span rest = proto;
    str name = {NULL, 0};
    while (protobuf_next(&rest, &f, r->e) == 1)
        if (f.number == 1 && f.type == PROTOBUF_BYTES) name = onnx_tensor_name(f.bytes, 8);
    uint32_t t = onnx_define(r, scope, name);
    if (t == NO_TENSOR) return error_is_set(r->e) ? PG_E_GRAPH : onnx_nomem(r);
    return onnx_read_sparse(r, proto, t);
}

static pg_code read_input(onnx_reader *r, span proto, uint32_t region_index, onnx_scope *scope)
{
    str name = onnx_tensor_name(proto, 1);
    uint32_t *known = map_find(&scope->names, name);
    if (known && r->g->tensors[*known].role == ROLE_WEIGHT)
        return PG_E_OK; /* old files list initializers as inputs too */
    uint32_t t = onnx_define(r, scope, name);
    if (t == NO_TENSOR) return error_is_set(r->e) ? r->e->code : onnx_nomem(r);
    if (!graph_add_input(r->g, region_index, t)) return onnx_nomem(r);
    return read_value_info(r, proto, t, region_index == 0);
}

/* Declared shapes of inner tensors: only unknown operators need them. */
static pg_code read_declared(onnx_reader *r, span proto, onnx_scope *scope)
{
    uint32_t *t = map_find(&scope->names, onnx_tensor_name(proto, 1));
    if (!t || r->g->tensors[*t].role != ROLE_VALUE || r->g->tensors[*t].rank >= 0) return PG_E_OK;
    return read_value_info(r, proto, *t, false);
}

static pg_code read_output(onnx_reader *r, span proto, uint32_t region_index, onnx_scope *scope)
{
    str name = onnx_tensor_name(proto, 1);
    uint32_t t = onnx_tensor_of(r, scope, name);
    return t != NO_TENSOR && graph_add_output(r->g, region_index, t) ? PG_E_OK : onnx_nomem(r);
}

/* Initializers stand next to each other in nearly all files, and are many: only the first pass goes through them. */
typedef struct initializer_run {
    const uint8_t *from;
    span after; /* what is left of the graph behind them */
} initializer_run;

static void extend_run(initializer_run *run, span before, span after)
{
    if (run->from && run->after.ptr != before.ptr) return; /* another run: the passes go through it */
    if (!run->from) run->from = before.ptr;
    run->after = after;
}

static pg_code read_initializers(onnx_reader *r, span proto, onnx_scope *scope, initializer_run *run)
{
    protobuf_field f;
    pg_code code = PG_E_OK;
    int got = 1;
    span rest = proto, before = proto;
    for (; !code && (got = protobuf_next(&rest, &f, r->e)) == 1; before = rest) {
        if (f.type != PROTOBUF_BYTES || (f.number != 5 && f.number != 15)) continue;
        uint32_t blobs = r->blobs;
        code = f.number == 5 ? onnx_read_initializer(r, f.bytes, scope) : read_sparse_initializer(r, f.bytes, scope);
        extend_run(run, before, rest);
        if (r->blobs == blobs || r->blobs % ONNX_BLOBS_KEPT || !r->opt || !r->opt->mapped) continue;
        load_file_drop((span){proto.ptr, (size_t)(rest.ptr - proto.ptr), 0});
    }
    return code ? code : got < 0 ? PG_E_TRUNCATED : PG_E_OK;
}

pg_code onnx_read_graph(onnx_reader *r, span proto, uint32_t region_index, onnx_scope *scope, const onnx_call *call)
{
    protobuf_field f;
    initializer_run run = {0};
    pg_code code = read_initializers(r, proto, scope, &run);
    int got = 1;
    enum { INPUTS, NODES, DECLARED, PASSES };
    for (int pass = 0; !code && pass < PASSES; pass++) {
        span rest = proto;
        while (!code) {
            if (rest.ptr == run.from) rest = run.after;
            got = protobuf_next(&rest, &f, r->e);
            if (got != 1) break;
            if (f.type != PROTOBUF_BYTES) continue;
            if (pass == INPUTS && f.number == 11) code = read_input(r, f.bytes, region_index, scope);
            else if (pass == NODES && f.number == 1) code = onnx_read_node(r, f.bytes, region_index, scope, call);
            else if (pass == DECLARED && f.number == 13) code = read_declared(r, f.bytes, scope);
            else if (pass == DECLARED && f.number == 12) code = read_output(r, f.bytes, region_index, scope);
            else if (pass == NODES && f.number == 2 && region_index == 0) r->g->name = protobuf_str(&f);
        }
        if (got < 0) code = PG_E_TRUNCATED;
    }
    return code;
}

static pg_code read_opset(onnx_reader *r, span proto, onnx_opset *o)
{
    protobuf_field f;
    *o = (onnx_opset){{NULL, 0}, 1};
    while (protobuf_next(&proto, &f, r->e) == 1) {
        if (f.number == 1) o->domain = protobuf_str(&f);
        else if (f.number == 2) o->version = (uint16_t)(f.value > 1000 ? 1000 : f.value);
    }
    if (str_is(o->domain, "ai.onnx")) o->domain.len = 0;
    return error_is_set(r->e) ? r->e->code : PG_E_OK;
}

/* Its names, and which operators it is written in. */
static pg_code describe_function(onnx_reader *r, onnx_function *f)
{
    protobuf_field field;
    onnx_opset o;
    span rest = f->body;
    while (protobuf_next(&rest, &field, r->e) == 1) {
        if (field.type != PROTOBUF_BYTES) continue;
        if (field.number == 1) f->name = protobuf_str(&field);
        else if (field.number == 10) f->domain = protobuf_str(&field);
        else if (field.number == 13) f->overload = protobuf_str(&field);
        else if (field.number == 9 && !read_opset(r, field.bytes, &o) && !o.domain.len) f->opset = o.version;
    }
    return error_is_set(r->e) ? r->e->code : PG_E_OK;
}

static pg_code add_function(onnx_reader *r, span body)
{
    onnx_function f = {.body = body};
    char key[FUNCTION_KEY];
    pg_code code = describe_function(r, &f);
    if (code) return code;
    size_t n = function_key(key, f.domain, f.name, f.overload);
    if (n >= sizeof key)
        return error_at(r->e, PG_E_LIMIT, body.base, "a function's name is longer than %d bytes", FUNCTION_KEY - 3);
    if (r->n_functions == r->cap_functions) {
        uint32_t cap = r->cap_functions ? r->cap_functions * 2 : 8;
        onnx_function *list = arena_grow(r->g->a, r->function_list, r->cap_functions, cap, sizeof *list);
        if (!list) return onnx_nomem(r);
        r->function_list = list;
        r->cap_functions = cap;
    }
    bool added;
    str copy = str_copy(r->g->a, (str){key, n});
    if (!copy.ptr || !map_add(&r->functions, copy, r->n_functions, &added)) return onnx_nomem(r);
    if (added) r->function_list[r->n_functions++] = f;
    return PG_E_OK;
}

static pg_code add_opset(onnx_reader *r, span proto)
{
    onnx_opset o;
    if (read_opset(r, proto, &o)) return r->e->code;
    if (r->n_opsets < MAX_OPSETS) r->opsets[r->n_opsets++] = o;
    enum { NEWEST = 24 };
    if (!o.domain.len && o.version > NEWEST &&
        !graph_warn(r->g, "opset %u is newer than %d, the newest that this version knows", o.version, NEWEST))
        return onnx_nomem(r);
    return PG_E_OK;
}

/* Every value that is read must come from somewhere: an input, an initializer or a node. */
static pg_code check_defined(onnx_reader *r)
{
    const graph *g = r->g;
    for (uint32_t i = 0; i < g->n_ops; i++) {
        const op *o = &g->ops[i];
        for (uint32_t k = 0; k < o->n_in; k++) {
            uint32_t t = op_in(g, o)[k];
            if (t == NO_TENSOR || g->tensors[t].defined) continue;
            error_path(r->e, "node '%.*s'", STR_ARG(o->name));
            return error_set(
                r->e, PG_E_GRAPH,
                "input '%.*s' of %.*s is produced by no node, input or initializer; the file is incomplete",
                STR_ARG(g->tensors[t].name), STR_ARG(o->type));
        }
    }
    for (uint32_t i = 0; i < g->n_regions; i++)
        for (uint32_t k = 0; k < g->regions[i].n_outputs; k++) {
            const tensor *t = &g->tensors[g->regions[i].outputs[k]];
            if (!t->defined)
                return error_set(r->e, PG_E_GRAPH, "output '%.*s' is produced by no node; the file is incomplete",
                                 STR_ARG(t->name));
        }
    return PG_E_OK;
}

/* Channels, height and width of one image, as torchvision's detection models take them. */
static bool is_lone_image(const graph *g, const tensor *t)
{
    enum { COLOURS = 3, LEAST = 16 };
    if (t->rank != 3 || t->dims[0].sym != SYM_NONE || t->dims[0].v.i != COLOURS) return false;
    for (int i = 1; i < 3; i++)
        if (t->dims[i].sym == SYM_NONE && t->dims[i].v.i < LEAST) return false;
    for (uint32_t i = 0; i < g->n_ops; i++) {
        uint32_t w = g->ops[i].kind == OP_Conv ? op_input(g, &g->ops[i], 1) : NO_TENSOR;
        if (w != NO_TENSOR && g->tensors[w].rank == 4 && num_is(g->tensors[w].dims[1], COLOURS)) return true;
    }
    return false;
}

/* The batch: the symbol in front of the first input with two or more dims, or the fixed size there, put in a symbol's place so
 * that the file can be re-batched. */
static pg_code find_batch(onnx_reader *r)
{
    graph *g = r->g;
    const region *model = &g->regions[0];
    int64_t fixed = 0;
    for (uint32_t i = 0; i < model->n_inputs; i++) {
        const tensor *t = &g->tensors[model->inputs[i]];
        if (t->rank < 2) continue;
        if (t->dims[0].sym >= 0) {
            g->batch_symbol = t->dims[0].sym;
            return PG_E_OK;
        }
        if (t->dims[0].v.i < 1 || is_lone_image(g, t)) return PG_E_OK;
        fixed = t->dims[0].v.i;
        break;
    }
    for (uint32_t i = 0; i < model->n_inputs && !fixed; i++) { /* only ids: a recommender's users and items */
        const tensor *t = &g->tensors[model->inputs[i]];
        if (t->rank != 1 || t->dims[0].sym < 0) continue;
        g->batch_symbol = t->dims[0].sym;
        return PG_E_OK;
    }
    if (!fixed) return PG_E_OK;
    g->batch_symbol = graph_add_symbol(g, STR("batch"), fixed);
    if (g->batch_symbol < 0) return onnx_nomem(r);
    g->fixed_batch = fixed;
    for (uint32_t i = 0; i < model->n_inputs; i++) {
        tensor *t = &g->tensors[model->inputs[i]];
        if (t->rank < 2) continue;
        /* recurrent states are [layers, batch, hidden] */
        int axis = t->dims[0].sym == SYM_NONE && t->dims[0].v.i == fixed ? 0
                 : t->rank == 3 && t->dims[1].v.i == fixed               ? 1
                                                                         : -1;
        if (axis >= 0 && t->dims[axis].sym == SYM_NONE) t->dims[axis] = (num){{.i = 0}, 1, g->batch_symbol};
    }
    return PG_E_OK;
}

static pg_code read_model(onnx_reader *r, span file, span *graph_proto)
{
    protobuf_field f;
    pg_code code = PG_E_OK;
    int got = 1;
    span rest = file;
    while (!code && (got = protobuf_next(&rest, &f, r->e)) == 1) {
        if (f.type != PROTOBUF_BYTES) continue;
        if (f.number == 2) r->g->producer = span_str(f.bytes);
        else if (f.number == 7) *graph_proto = f.bytes;
        else if (f.number == 8) code = add_opset(r, f.bytes);
        else if (f.number == 25) code = add_function(r, f.bytes);
    }
    if (got < 0) return PG_E_TRUNCATED;
    if (!code && !graph_proto->ptr)
        return error_set(r->e, PG_E_FORMAT, "the file holds no graph; it is not an ONNX model or is cut off");
    return code;
}

/* Nodes and weights are counted first; fewer bytes than a node can have are none. */
static bool reserve(onnx_reader *r, span graph_proto, onnx_scope *scope)
{
    enum { NODE_LEAST = 8 };
    protobuf_field f;
    pg_error ignored = PG_ERROR_INIT;
    uint32_t nodes = 0, weights = 0;
    while (protobuf_next(&graph_proto, &f, &ignored) == 1) {
        nodes += f.number == 1 && f.type == PROTOBUF_BYTES && f.bytes.len >= NODE_LEAST;
        weights += f.number == 5 && f.type == PROTOBUF_BYTES && f.bytes.len >= NODE_LEAST;
    }
    return graph_reserve(r->g, nodes, nodes + weights + 16) && map_reserve(&scope->names, nodes + weights + 16);
}

static pg_code onnx_load(graph *g, const load_input *in, const load_options *options, pg_error *e)
{
    pg_error local = PG_ERROR_INIT;
    onnx_reader r = {.g = g, .in = in, .opt = options, .e = e ? e : &local};
    r.max_depth = options && options->max_depth ? options->max_depth : 64;
    r.max_work = 4000000;
    map_init(&r.functions, g->a);
    map_init(&r.unknown, g->a);
    map_init(&r.kinds, g->a);
    map_init(&r.external, g->a);
    g->format = STR("onnx");
    span proto = {NULL, 0, 0};
    pg_code code = read_model(&r, in->bytes, &proto);
    onnx_scope scope = {.parent = NULL};
    map_init(&scope.names, g->a);
    if (!code && !reserve(&r, proto, &scope)) code = onnx_nomem(&r);
    if (!code) code = onnx_read_graph(&r, proto, 0, &scope, NULL);
    if (!code) code = check_defined(&r);
    if (!code && !onnx_warn_external(&r)) code = onnx_nomem(&r);
    if (!code) onnx_mark_folded_biases(g);
    if (!code && !onnx_unfold_positions(g)) code = onnx_nomem(&r);
    if (!code && !onnx_put_bags_together(g)) code = onnx_nomem(&r);
    if (!code) code = find_batch(&r);
    if (!code) code = graph_sort(g, g->a, r.e);
    if (!code) code = onnx_resolve_sequences(g, r.e);
    if (!code) code = graph_rewrite(g, str_starts(g->producer, "pytorch"), r.e);
    return error_is_set(r.e) ? r.e->code : code; /* the first error is the one that is told, so its code counts */
}

/* A ModelProto with a graph whose first fields parse: certain enough unless another protobuf format claims more. */
static int onnx_probe(const load_input *in)
{
    protobuf_field f;
    pg_error ignored = PG_ERROR_INIT;
    int graphs = 0, opsets = 0, ir = 0, fields = 0;
    span rest = in->bytes;
    bool named = load_ending(&load_onnx_format, str_c(in->path)) > 0;
    if (in->folder) return 0;
    while (fields < 64 && protobuf_next(&rest, &f, &ignored) == 1) {
        fields++;
        graphs += f.number == 7 && f.type == PROTOBUF_BYTES;
        opsets += f.number == 8 && f.type == PROTOBUF_BYTES;
        ir += f.number == 1 && f.type == PROTOBUF_VARINT && f.value < 100;
        if (f.number > 25) return named ? LOAD_BY_NAME : 0;
    }
    if (graphs == 1 && ir) return opsets ? 70 : 50;
    if (ir && fields && named) return 30; /* cut off: let the loader say where */
    return named ? LOAD_BY_NAME : 0;
}

const load_format load_onnx_format = {"onnx", "an ONNX model", ".onnx", onnx_probe, onnx_load};
