/* Programs of torch.export, schema 8 and those before it that differ in nothing that is read.
 *
 * 1. graph_module.graph: inputs, outputs and nodes refer to values by name; tensor_values has type and sizes of each.
 * 2. A node: target ("torch.ops.aten.conv2d.default"), inputs (name, arg, kind: 2 is by keyword), outputs.
 * 3. An argument is an object with one member that says what it is: as_tensor, as_ints, as_sym_int, as_none, ...
 * 4. A size is {"as_int": 3} or {"as_expr": {"expr_str": "s0", "hint": {"as_int": 4}}}; expr_str may be spelled Symbol('s0', ...).
 * 5. graph_module.signature.input_specs: what each input is: parameter, buffer, tensor_constant, user_input, constant_input, ...
 * 6. range_constraints: least and largest value of each symbol.
 *
 * Weights are described by tensor_values: their bytes are not needed. */
#include "load/aten.h"
#include "load/torch_internal.h"
#include "wire/json_text.h"

enum { SUBGRAPHS = 16, RESULTS = 64 };

typedef struct program {
    torch_file *f;
    aten x;
    const json_t *root;
    int depth;
    bool whole; /* no decomposition took its calls apart */
} program;

/* The values of one graph by name. */
typedef struct scope {
    const json_t *body, *tensors;
    map names;
    aten_value *v;
    uint32_t n, cap;
} scope;

static pg_code fail(program *p, const char *what, const char *name)
{
    if (p->x.code) return p->x.code;
    return p->x.code = error_set(p->f->e, PG_E_FORMAT, "the exported program is damaged: %s '%.100s'", what, name);
}

static void set_value(program *p, scope *s, const char *name, aten_value v)
{
    bool added;
    str key = str_copy(p->x.a, str_c(name));
    uint32_t *slot = key.ptr ? map_add(&s->names, key, s->n, &added) : NULL;
    if (slot && added && s->n == s->cap) {
        uint32_t cap = s->cap ? s->cap * 2 : 64;
        aten_value *list = arena_grow(p->x.a, s->v, s->cap, cap, sizeof *list);
        if (!list) slot = NULL;
        else s->v = list, s->cap = cap;
    }
    if (!slot) {
        aten_nomem(&p->x);
        return;
    }
    s->n += added;
    s->v[*slot] = v;
}

static aten_value get_value(program *p, const scope *s, const char *name)
{
    const uint32_t *slot = map_find(&s->names, str_c(name));
    if (slot) return s->v[*slot];
    fail(p, "no node makes the value", name);
    return aten_none();
}

/* ---- sizes ---- */

/* A symbol alone: "s0", "batch", "Symbol('s77', positive=True, integer=True)". */
static str symbol_name(const char *text)
{
    str s = str_c(text);
    if (str_starts(s, "Symbol('")) {
        size_t n = strcspn(text + 8, "'");
        const char *rest = text + 8 + n;
        size_t depth = strcspn(rest, ")");
        return strlen(rest) == depth + 1 ? (str){text + 8, n} : (str){NULL, 0};
    }
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && !(i && c >= '0' && c <= '9')) return (str){NULL, 0};
    }
    return s;
}

static num symbol_of(program *p, str name, int64_t hint)
{
    graph *g = p->x.g;
    int32_t k = graph_symbol_find(g, name);
    if (k >= 0) return (num){{.i = 0}, 1, k};
    char text[80];
    format_text(text, sizeof text, "%.*s", STR_ARG(name));
    const json_t *range = json_object_get(json_object_get(p->root, "range_constraints"), text);
    int64_t least = json_get_int(range, "min_val", 1), most = json_get_int(range, "max_val", INT64_MAX);
    int64_t value = hint > 0 ? hint : least > 1 ? least : 1;
    if (most > 0 && value > most) value = most;
    str copy = str_copy(g->a, name);
    k = copy.ptr ? graph_add_symbol(g, copy, value) : -1;
    if (k < 0) {
        aten_nomem(&p->x);
        return num_unknown();
    }
    return (num){{.i = 0}, 1, k};
}

/* As declared: the constant part of what a symbol is in. */
static num size_of(program *p, const json_t *size)
{
    const json_t *expr = json_object_get(size, "as_expr");
    if (json_is_integer(json_object_get(size, "as_int"))) {
        int64_t v = json_get_int(size, "as_int", 0);
        return v >= 0 ? num_int(v) : num_unknown();
    }
    const char *text = json_get_text(expr, "expr_str", NULL);
    int64_t hint = json_get_int(json_object_get(expr, "hint"), "as_int", 0);
    str name = text ? symbol_name(text) : (str){NULL, 0};
    if (name.len && name.len < 64) return symbol_of(p, name, hint);
    return hint > 0 ? num_int(hint) : num_unknown();
}

static dtype type_of(int64_t code)
{
    static const dtype types[] = {DT_UNKNOWN, DT_UINT8, DT_INT8,      DT_INT16,     DT_INT32,      DT_INT64, DT_FP16,
                                  DT_FP32,    DT_FP64,  DT_COMPLEX64, DT_COMPLEX64, DT_COMPLEX128, DT_BOOL,  DT_BF16};
    if (code >= 29 && code <= 32) return code % 2 ? DT_FP8E4M3 : DT_FP8E5M2;
    return code >= 0 && code < (int64_t)(sizeof types / sizeof types[0]) ? types[code] : DT_UNKNOWN;
}

static bool declared_of(program *p, const scope *s, const char *name, aten_declared *out)
{
    const json_t *meta = json_object_get(s->tensors, name), *sizes = json_object_get(meta, "sizes");
    out->rank = -1;
    out->type = type_of(json_get_int(meta, "dtype", 0));
    if (!json_is_array(sizes) || json_array_size(sizes) > 8) return false;
    out->rank = (int)json_array_size(sizes);
    for (int i = 0; i < out->rank; i++) out->dims[i] = size_of(p, json_array_get(sizes, (size_t)i));
    return true;
}

/* ---- arguments ---- */

static const char *name_in(const json_t *arg, const char *key)
{
    return json_get_text(json_object_get(arg, key), "name", NULL);
}

static aten_value symbolic(program *p, const scope *s, const json_t *v)
{
    const char *name = json_get_text(v, "as_name", NULL);
    if (name && map_find(&s->names, str_c(name))) return get_value(p, s, name);
    if (json_is_integer(json_object_get(v, "as_int"))) return aten_int(num_int(json_get_int(v, "as_int", 0)));
    if (json_object_get(v, "as_float")) return aten_float(json_get_real(v, "as_float", 0));
    if (json_object_get(v, "as_bool")) return aten_bool(json_get_bool(v, "as_bool", false));
    if (!name) return aten_unknown();
    num n = size_of(p, json_object_get(json_object_get(s->body, "sym_int_values"), name));
    if (n.sym >= 0) n.v.i += p->x.g->symbols[n.sym].fallback;
    return aten_int(n);
}

static aten_value scalar(const json_t *v)
{
    if (json_is_integer(v)) return aten_int(num_int(json_integer_value(v)));
    if (json_is_real(v)) return aten_float(json_real_value(v));
    if (json_is_boolean(v)) return aten_bool(json_is_true(v));
    if (json_is_string(v)) return (aten_value){.kind = ATEN_TEXT, .v.text = str_c(json_string_value(v))};
    return aten_none();
}

static aten_value tensor_named(program *p, const scope *s, const json_t *v)
{
    const char *name = json_get_text(v, "name", NULL);
    if (!name) name = name_in(v, "as_tensor");
    return name ? get_value(p, s, name) : aten_none();
}

static aten_value list_of(program *p, const scope *s, const json_t *list, int kind)
{
    aten_value out = aten_new_list(&p->x, ATEN_LIST, NULL, 0);
    for (size_t i = 0; !p->x.code && i < json_array_size(list); i++) {
        const json_t *v = json_array_get(list, i);
        aten_append(&p->x, out.v.list,
                    kind == 't'   ? tensor_named(p, s, v)
                    : kind == 's' ? symbolic(p, s, v)
                                  : scalar(v));
    }
    return out;
}

/* c10's numbers, which the operators take. */
static aten_value scalar_type(const json_t *v)
{
    dtype d = type_of(json_is_integer(v) ? json_integer_value(v) : 0);
    for (int64_t code = 0; code < 16; code++)
        if (d != DT_UNKNOWN && torch_type_of_code(code) == d) return aten_int(num_int(code));
    return aten_none();
}

static aten_value argument(program *p, const scope *s, const json_t *arg)
{
    static const struct {
        const char *key;
        char kind;
    } lists[] = {{"as_tensors", 't'},    {"as_optional_tensors", 't'},
                 {"as_sym_ints", 's'},   {"as_sym_bools", 's'},
                 {"as_sym_floats", 's'}, {"as_ints", 'n'},
                 {"as_floats", 'n'},     {"as_bools", 'n'},
                 {"as_strings", 'n'}};
    static const char *const plain[] = {"as_int", "as_float", "as_bool", "as_string"};
    static const char *const symbols[] = {"as_sym_int", "as_sym_float", "as_sym_bool"};
    const json_t *v;
    if ((v = json_object_get(arg, "as_tensor"))) return tensor_named(p, s, v);
    if ((v = json_object_get(arg, "as_optional_tensor"))) return tensor_named(p, s, v);
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        if ((v = json_object_get(arg, lists[i].key))) return list_of(p, s, v, lists[i].kind);
    if ((v = json_object_get(arg, "as_float")) && json_is_string(v)) /* "NaN", "Infinity", "-Infinity" */
        return aten_float(strstr(json_string_value(v), "NaN") ? NAN
                          : json_string_value(v)[0] == '-'    ? -INFINITY
                                                              : INFINITY);
    if (v && json_is_null(v)) return aten_float(-INFINITY); /* Infinity as Python writes it, of either sign */
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        if ((v = json_object_get(arg, plain[i]))) return scalar(v);
    for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++)
        if ((v = json_object_get(arg, symbols[i]))) return symbolic(p, s, v);
    if ((v = json_object_get(arg, "as_scalar_type"))) return scalar_type(v);
    return aten_none();
}

/* ---- nodes ---- */

static aten_value run_graph(program *p, const json_t *body, const aten_value *in, uint32_t n);

/* "torch.ops.aten.add.Tensor" is add; "_operator.mul" is mul. */
static str operator_name(const char *target)
{
    str s = str_c(target);
    size_t from = 0, to = s.len;
    if (str_starts(s, "torch.ops.")) {
        from = 10 + strcspn(target + 10, ".");
        from += target[from] == '.';
        to = from + strcspn(target + from, ".");
        return (str){target + from, to - from};
    }
    for (size_t i = 0; i < s.len; i++)
        if (target[i] == '.') from = i + 1;
    return (str){target + from, s.len - from};
}

static const char *result_name(const json_t *out)
{
    const char *name = name_in(out, "as_tensor");
    if (!name) name = name_in(out, "as_optional_tensor");
    if (!name) name = json_get_text(json_object_get(out, "as_sym_int"), "as_name", NULL);
    if (!name) name = json_get_text(json_object_get(out, "as_sym_float"), "as_name", NULL);
    if (!name) name = json_get_text(json_object_get(out, "as_sym_bool"), "as_name", NULL);
    return name;
}

/* The names that a node gives its results, those in lists one by one. */
static uint32_t result_names(const json_t *node, const char **names)
{
    const json_t *outs = json_object_get(node, "outputs");
    uint32_t n = 0;
    for (size_t i = 0; i < json_array_size(outs); i++) {
        const json_t *out = json_array_get(outs, i), *list = json_object_get(out, "as_tensors");
        for (size_t k = 0; k < json_array_size(list) && n < RESULTS; k++)
            names[n++] = json_get_text(json_array_get(list, k), "name", NULL);
        if (!list && n < RESULTS) names[n++] = result_name(out);
    }
    return n;
}

/* Operators that take graphs: the graph is laid out where it is called; of a condition, its first branch; of a loop, one round. */
static bool run_inner(program *p, const scope *s, const char *target, const json_t *inputs, aten_value *out)
{
    bool loop = strstr(target, "while_loop") != NULL;
    enum { OPERANDS = 64 };
    aten_value in[OPERANDS];
    uint32_t n = 0;
    const json_t *inner = NULL;
    for (size_t i = 0; i < json_array_size(inputs); i++) {
        const json_t *arg = json_object_get(json_array_get(inputs, i), "arg"), *g = json_object_get(arg, "as_graph");
        bool later = g && inner;
        if (g && (!inner || loop)) inner = json_object_get(g, "graph"); /* a loop's first graph says whether to go on */
        if (later && !graph_warn(p->x.g, loop ? "how often a loop runs depends on the data: one round is costed"
                                              : "a condition depends on the data: its first branch is costed"))
            aten_nomem(&p->x);
        if (g || !inner) continue;
        aten_value v = argument(p, s, arg);
        if (v.kind == ATEN_TEXT) continue; /* what invoke_subgraph calls the graph */
        for (uint32_t k = 0; v.kind == ATEN_LIST && k < v.v.list->n && n < OPERANDS; k++) in[n++] = v.v.list->v[k];
        if (v.kind != ATEN_LIST && n < OPERANDS) in[n++] = v;
    }
    if (!inner) return false;
    *out = run_graph(p, inner, in, n);
    return true;
}

/* Where the file says of which module's code a node is ("L__self__,,a.Model;L__self___c,c,torch.nn.modules.rnn.LSTMCell"): whether that
 * is another one than a recurrent module of PyTorch's. */
static bool is_own_code(const json_t *node)
{
    const char *stack = json_get_text(json_object_get(node, "metadata"), "nn_module_stack", NULL);
    const char *type = stack ? strrchr(stack, ',') : NULL;
    return type && !str_starts(str_c(type + 1), "torch.nn.modules.rnn.");
}

static void run_node(program *p, scope *s, const json_t *node)
{
    const char *target = json_get_text(node, "target", NULL), *names[RESULTS];
    const json_t *inputs = json_object_get(node, "inputs");
    aten_declared declared[RESULTS];
    aten_args args = {.n = 0};
    aten_value out;
    if (!target) {
        fail(p, "a node has no target", json_get_text(node, "name", ""));
        return;
    }
    uint32_t n = result_names(node, names);
    if (!run_inner(p, s, target, inputs, &out)) {
        for (size_t i = 0; i < json_array_size(inputs) && args.n < ATEN_ARGS && !p->x.code; i++) {
            const json_t *in = json_array_get(inputs, i);
            if (json_get_int(in, "kind", 0) != 1) args.keys[args.n] = str_c(json_get_text(in, "name", ""));
            args.v[args.n++] = argument(p, s, json_object_get(in, "arg"));
        }
        for (uint32_t i = 0; i < n; i++)
            if (!names[i] || !declared_of(p, s, names[i], &declared[i]))
                declared[i].rank = -1, declared[i].type = DT_UNKNOWN;
        p->x.declared = declared;
        p->x.n_declared = n;
        p->x.own_code = p->whole || is_own_code(node);
        out = aten_call(&p->x, operator_name(target), &args, n);
        p->x.declared = NULL;
        p->x.n_declared = 0;
    }
    bool many = out.kind == ATEN_LIST || out.kind == ATEN_TUPLE;
    for (uint32_t i = 0; i < n && !p->x.code; i++)
        if (names[i])
            set_value(p, s, names[i],
                      !many               ? i ? aten_unknown() : out
                      : i < out.v.list->n ? out.v.list->v[i]
                                          : aten_unknown());
}

static void run_nodes(program *p, scope *s)
{
    const json_t *nodes = json_object_get(s->body, "nodes");
    for (size_t i = 0; i < json_array_size(nodes) && !p->x.code; i++) run_node(p, s, json_array_get(nodes, i));
}

static void open_scope(program *p, scope *s, const json_t *body)
{
    *s = (scope){.body = body, .tensors = json_object_get(body, "tensor_values")};
    map_init(&s->names, p->x.a);
}

static aten_value run_graph(program *p, const json_t *body, const aten_value *in, uint32_t n)
{
    scope s;
    if (p->depth >= SUBGRAPHS) {
        fail(p, "its graphs are nested too deeply", "");
        return aten_none();
    }
    open_scope(p, &s, body);
    const json_t *inputs = json_object_get(body, "inputs"), *outs = json_object_get(body, "outputs");
    for (size_t i = 0; i < json_array_size(inputs) && i < n && !p->x.code; i++) {
        const char *name = result_name(json_array_get(inputs, i));
        if (name) set_value(p, &s, name, in[i]);
    }
    p->depth++;
    run_nodes(p, &s);
    p->depth--;
    aten_value out = aten_new_list(&p->x, ATEN_TUPLE, NULL, 0);
    for (size_t i = 0; i < json_array_size(outs) && !p->x.code; i++)
        aten_append(&p->x, out.v.list, argument(p, &s, json_array_get(outs, i)));
    return out;
}

/* ---- the program's own inputs and outputs ---- */

static void add_weight(program *p, scope *s, const json_t *spec, const char *title_key, bool buffer)
{
    const char *name = name_in(spec, "arg"), *title = json_get_text(spec, title_key, name);
    aten_declared d;
    int64_t dims[8];
    if (!name || !declared_of(p, s, name, &d)) {
        fail(p, "nothing says how large the weight is:", title ? title : "?");
        return;
    }
    for (int i = 0; i < d.rank; i++) dims[i] = d.dims[i].sym == SYM_NONE ? d.dims[i].v.i : 0;
    str copy = str_copy(p->x.g->a, str_c(title));
    uint32_t t = copy.ptr ? graph_add_weight(p->x.g, copy, d.type, d.rank, dims) : NO_TENSOR;
    if (t == NO_TENSOR) {
        aten_nomem(&p->x);
        return;
    }
    p->x.g->tensors[t].buffer = buffer;
    set_value(p, s, name, aten_tensor(t));
}

static const load_shape *given_shape(const program *p, const char *name)
{
    const load_options *o = p->f->options;
    for (size_t i = 0; o && i < o->shape_count; i++)
        if (!strcmp(name, o->shapes[i].name)) return &o->shapes[i];
    return NULL;
}

static void add_input(program *p, scope *s, const char *name)
{
    graph *g = p->x.g;
    aten_declared d;
    if (!declared_of(p, s, name, &d)) d.rank = -1;
    const load_shape *given = given_shape(p, name);
    for (int i = 0; given && d.rank == given->rank && i < d.rank; i++) {
        /* a free dim keeps its symbol, with the size that was asked for */
        if (d.dims[i].sym >= 0) g->symbols[d.dims[i].sym].fallback = given->dims[i];
        else if (i || d.rank < 2) d.dims[i] = num_int(given->dims[i]); /* in front: the batch, which find_batch frees */
    }
    str copy = str_copy(g->a, str_c(name));
    uint32_t t = copy.ptr ? graph_add_tensor(g, copy, d.type) : NO_TENSOR;
    if (t == NO_TENSOR || !graph_add_input(g, 0, t) || (d.rank >= 0 && !graph_set_dims(g, t, d.rank, d.dims))) {
        aten_nomem(&p->x);
        return;
    }
    g->tensors[t].defined = true;
    set_value(p, s, name, aten_tensor(t));
}

/* The batch: the symbol in front of the first input that has one there, or the size there, for which a symbol is put. */
static void find_batch(program *p)
{
    graph *g = p->x.g;
    int64_t fixed = 0;
    for (uint32_t i = 0; i < g->regions[0].n_inputs; i++) {
        const tensor *t = &g->tensors[g->regions[0].inputs[i]];
        if (t->rank < 1 || (t->rank < 2 && t->dims[0].sym < 0)) continue;
        if (t->dims[0].sym >= 0) {
            g->batch_symbol = t->dims[0].sym;
            return;
        }
        if (!fixed && t->dims[0].v.i > 0) fixed = t->dims[0].v.i;
    }
    if (!fixed) return;
    g->batch_symbol = graph_add_symbol(g, STR("batch"), fixed);
    g->fixed_batch = fixed;
    if (g->batch_symbol < 0) aten_nomem(&p->x);
    for (uint32_t i = 0; !p->x.code && i < g->regions[0].n_inputs; i++) {
        tensor *t = &g->tensors[g->regions[0].inputs[i]];
        if (t->rank >= 2 && t->dims[0].sym == SYM_NONE && t->dims[0].v.i == fixed)
            t->dims[0] = (num){{.i = 0}, 1, g->batch_symbol};
    }
}

static void add_inputs(program *p, scope *s, const json_t *specs)
{
    for (size_t i = 0; i < json_array_size(specs) && !p->x.code; i++) {
        const json_t *spec = json_array_get(specs, i), *v;
        if ((v = json_object_get(spec, "parameter"))) add_weight(p, s, v, "parameter_name", false);
        else if ((v = json_object_get(spec, "buffer"))) add_weight(p, s, v, "buffer_name", true);
        else if ((v = json_object_get(spec, "tensor_constant"))) add_weight(p, s, v, "tensor_constant_name", true);
        else if ((v = json_object_get(spec, "constant_input"))) {
            const json_t *value = json_object_get(v, "value");
            const char *name = json_get_text(v, "name", NULL);
            if (name) set_value(p, s, name, argument(p, s, value));
        } else if ((v = json_object_get(spec, "user_input"))) {
            const json_t *arg = json_object_get(v, "arg");
            const char *name = name_in(arg, "as_tensor"), *other = result_name(arg);
            if (name) add_input(p, s, name);
            else if (other) set_value(p, s, other, symbolic(p, s, json_object_get(arg, "as_sym_int")));
        }
    }
    if (!p->x.code) find_batch(p);
}

static void add_outputs(program *p, const scope *s, const json_t *signature)
{
    graph *g = p->x.g;
    const json_t *specs = json_object_get(signature, "output_specs");
    for (size_t i = 0; i < json_array_size(specs) && !p->x.code; i++) {
        const json_t *v = json_object_get(json_array_get(specs, i), "user_output");
        const char *name = name_in(json_object_get(v, "arg"), "as_tensor");
        aten_value out = name ? get_value(p, s, name) : aten_none();
        if (out.kind != ATEN_TENSOR) continue;
        uint32_t t = aten_operand(&p->x, out, NO_TENSOR);
        if (t == NO_TENSOR || g->tensors[t].is_output) continue;
        if (g->tensors[t].role != ROLE_VALUE) t = aten_emit1(&p->x, OP_Identity, t);
        if (t != NO_TENSOR && !graph_add_output(g, 0, t)) aten_nomem(&p->x);
    }
    if (!p->x.code && !g->regions[0].n_outputs) fail(p, "it has no outputs:", "output_specs");
}

/* "s0", "s77": what torch.export calls a size that nobody gave a name. */
static bool is_generated(str name)
{
    for (size_t i = 1; i < name.len; i++)
        if (name.ptr[i] < '0' || name.ptr[i] > '9') return false;
    return name.len > 1 && name.ptr[0] == 's';
}

static void name_symbol(graph *g, int32_t symbol, str name)
{
    if (symbol >= 0 && is_generated(g->symbols[symbol].name) && graph_symbol_find(g, name) < 0)
        g->symbols[symbol].name = name;
}

/* By their place in the inputs, as other formats are read: then --seq-len finds the sequence. */
static void name_symbols(graph *g)
{
    name_symbol(g, g->batch_symbol, STR("batch"));
    for (uint32_t i = 0; i < g->regions[0].n_inputs; i++) {
        const tensor *t = &g->tensors[g->regions[0].inputs[i]];
        if (t->rank == 2 || t->rank == 3) name_symbol(g, t->dims[1].sym, STR("sequence"));
        if (t->rank != 4) continue;
        name_symbol(g, t->dims[2].sym, STR("height"));
        name_symbol(g, t->dims[3].sym, STR("width"));
    }
}

static bool has_target(const json_t *body, const char *const *targets, size_t n)
{
    const json_t *nodes = json_object_get(body, "nodes");
    for (size_t i = 0; i < json_array_size(nodes); i++) {
        const char *target = json_get_text(json_array_get(nodes, i), "target", "");
        for (size_t k = 0; k < n; k++)
            if (!strcmp(target, targets[k])) return true;
    }
    return false;
}

/* Decompositions leave no linear layer and no product as it is. */
static void find_decompositions(program *p, const json_t *body)
{
    static const char *const whole[] = {"torch.ops.aten.linear.default", "torch.ops.aten.matmul.default",
                                        "torch.ops.aten.conv2d.default"};
    static const char *const parts[] = {"torch.ops.aten.addmm.default", "torch.ops.aten.mm.default",
                                        "torch.ops.aten.bmm.default"};
    p->whole = has_target(body, whole, sizeof whole / sizeof whole[0]);
    p->x.decomposed = !p->whole && has_target(body, parts, sizeof parts / sizeof parts[0]);
}

static pg_code run_program(program *p, const json_t *root, arena *a)
{
    scope s;
    const json_t *module = json_object_get(root, "graph_module"), *body = json_object_get(module, "graph");
    const json_t *signature = json_object_get(module, "signature"), *specs = json_object_get(signature, "input_specs");
    if (!json_is_array(json_object_get(body, "nodes")) || !json_is_array(specs))
        return error_set(p->f->e, PG_E_UNSUPPORTED,
                         "the exported program has no graph_module with nodes and a signature; it was saved by another "
                         "version of PyTorch: export the model again, or to ONNX");
    p->root = root;
    if (!aten_init(&p->x, p->f->g, a, p->f->e)) return error_nomem(p->f->e, a);
    find_decompositions(p, body);
    open_scope(p, &s, body);
    add_inputs(p, &s, specs);
    run_nodes(p, &s);
    add_outputs(p, &s, signature);
    aten_finish(&p->x);
    name_symbols(p->f->g);
    return p->x.code;
}

pg_code torch_load_export(torch_file *f, const zip_entry *model)
{
    arena a;
    span text;
    arena_init(&a, f->g->a->alloc, f->g->a->limit);
    pg_code code = zip_read(&f->z, model, JSON_TEXT_MOST, &a, &text, f->e);
    json_t *root = code ? NULL : json_text_read(text, "the exported program", f->e);
    program *p = ARENA_NEW(&a, program);
    if (!code && (!root || !p)) code = error_is_set(f->e) ? f->e->code : error_nomem(f->e, &a);
    if (!code) {
        p->f = f;
        char producer[64];
        const char *number = json_get_text(root, "torch_version", "");
        size_t n = format_text(producer, sizeof producer, "PyTorch %s", number);
        str version = str_copy(f->g->a,
                               (str){producer, n < sizeof producer && number[0] >= '0' && number[0] <= '9' ? n : 7});
        code = run_program(p, root, &a);
        if (version.len && version.ptr) f->g->producer = version;
    }
    if (root) json_decref(root);
    arena_free(&a);
    return code;
}
