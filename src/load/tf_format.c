/* TensorFlow's files, protobufs without magic:
 *
 * 1. GraphDef (a frozen graph, .pb): node 1, library 2, versions 4 (producer 1).
 * 2. MetaGraphDef (.meta): meta_info_def 1 (tags 4, tensorflow_version 5), graph_def 2, signature_def 5 (a map).
 * 3. SavedModel (saved_model.pb in a folder): saved_model_schema_version 1, meta_graphs 2.
 * 4. SignatureDef: inputs 1, outputs 2 (maps from a name to TensorInfo), method_name 3.
 * 5. TensorInfo: name 1 ("node:0"), dtype 2, tensor_shape 3.
 *
 * Told apart by what stands in the first fields: ONNX has a number there and a graph in field 7. */
#include "load/tf_internal.h"

/* ---- which file it is ---- */

static bool is_word(str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool ok = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || c == '.' ||
                  c == '>';
        if (!ok) return false;
    }
    return s.len > 0;
}

/* NodeDef: a name, then an operator. */
static bool is_node(span proto)
{
    protobuf_field f;
    pg_error ignored = PG_ERROR_INIT;
    if (protobuf_next(&proto, &f, &ignored) != 1 || f.number != 1 || f.type != PROTOBUF_BYTES || !f.bytes.len)
        return false;
    return protobuf_next(&proto, &f, &ignored) == 1 && f.number == 2 && is_word(protobuf_str(&f));
}

static bool is_graph(span proto)
{
    protobuf_field f;
    pg_error ignored = PG_ERROR_INIT;
    return protobuf_next(&proto, &f, &ignored) == 1 && f.number == 1 && f.type == PROTOBUF_BYTES && is_node(f.bytes);
}

/* MetaInfoDef, then a graph. */
static bool is_meta_graph(span proto)
{
    protobuf_field f;
    pg_error ignored = PG_ERROR_INIT;
    if (protobuf_next(&proto, &f, &ignored) != 1 || f.type != PROTOBUF_BYTES) return false;
    if (f.number == 1 && (is_node(f.bytes) || protobuf_next(&proto, &f, &ignored) != 1 || f.type != PROTOBUF_BYTES))
        return false;
    return f.number == 2 && is_graph(f.bytes);
}

static bool is_saved_model(span proto)
{
    protobuf_field f;
    pg_error ignored = PG_ERROR_INIT;
    if (protobuf_next(&proto, &f, &ignored) != 1 || f.number != 1 || f.type != PROTOBUF_VARINT || f.value != 1)
        return false;
    return protobuf_next(&proto, &f, &ignored) == 1 && f.number == 2 && f.type == PROTOBUF_BYTES &&
           (is_meta_graph(f.bytes) || !f.bytes.len);
}

static int tf_probe(const load_input *in)
{
    enum { CERTAIN = 90 };
    if (in->folder) return load_has(in, "saved_model.pb") ? CERTAIN : 0;
    if (is_saved_model(in->bytes) || is_graph(in->bytes) || is_meta_graph(in->bytes)) return CERTAIN;
    return load_ending(&load_tf_format, str_c(in->path)) ? LOAD_BY_NAME : 0;
}

/* ---- signatures ---- */

typedef struct file {
    tf_reader r;
    span graph;
    span meta; /* empty: a frozen graph */
    int64_t producer;
    tf_scope scope;
    tf_array outputs; /* tf_ref */
    str *names;       /* of outputs; NULL: the nodes' own */
} file;

typedef struct entry {
    str key;
    span value;
} entry;

/* The next entry of a map field. */
static bool next_entry(span *rest, uint32_t field, entry *out)
{
    protobuf_field f, inner;
    pg_error ignored = PG_ERROR_INIT;
    while (protobuf_next(rest, &f, &ignored) == 1) {
        if (f.number != field || f.type != PROTOBUF_BYTES) continue;
        *out = (entry){{NULL, 0}, {NULL, 0, 0}};
        while (protobuf_next(&f.bytes, &inner, &ignored) == 1) {
            if (inner.number == 1) out->key = protobuf_str(&inner);
            else if (inner.number == 2) out->value = inner.bytes;
        }
        return true;
    }
    return false;
}

/* What TensorFlow adds for its own use. */
static bool is_internal(str name)
{
    return str_starts(name, "__saved_model_");
}

static void list_signatures(span meta, char *out, size_t cap)
{
    entry s;
    size_t n = 0;
    out[0] = 0;
    while (n < cap && next_entry(&meta, 5, &s))
        if (!is_internal(s.key)) n += format_text(out + n, cap - n, "%s%.*s", n ? ", " : "", STR_ARG(s.key));
    for (char *c = out; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = '?';
}

/* The signature that was asked for, the default, or the only one; found->key empty: the file has none. */
static pg_code find_signature(file *f, entry *found)
{
    const char *wanted = f->r.opt ? f->r.opt->signature : NULL;
    char names[256];
    entry s, only = {{NULL, 0}, {NULL, 0, 0}};
    uint32_t count = 0;
    span rest = f->meta;
    *found = only;
    list_signatures(f->meta, names, sizeof names);
    while (next_entry(&rest, 5, &s)) {
        if (wanted ? str_is(s.key, wanted) : str_is(s.key, "serving_default")) *found = s;
        if (is_internal(s.key)) continue;
        only = s;
        count++;
    }
    if (found->key.len) return PG_E_OK;
    if (wanted && !count)
        return error_set(f->r.e, PG_E_USAGE, "--signature: the model has no signatures; leave it out");
    if (wanted)
        return error_set(f->r.e, PG_E_USAGE, "--signature: the model has no signature '%.100s'; it has: %s", wanted,
                         names);
    if (count > 1)
        return error_set(f->r.e, PG_E_USAGE,
                         "the model has several signatures and none is the default: %s; choose with --signature",
                         names);
    if (count) *found = only;
    return PG_E_OK;
}

/* TensorInfo of an input or output. */
static pg_code read_info(file *f, span proto, str signature, const entry *e, tf_ref *ref, int64_t *type,
                         tf_shape *shape)
{
    protobuf_field field;
    char whose[256];
    str name = {NULL, 0};
    int got;
    *type = 0;
    shape->rank = -1;
    while ((got = protobuf_next(&proto, &field, f->r.e)) == 1) {
        pg_code code = PG_E_OK;
        if (field.number == 1) name = protobuf_str(&field);
        else if (field.number == 2) *type = protobuf_int(&field);
        else if (field.number == 3 && field.type == PROTOBUF_BYTES) code = tf_read_shape(&f->r, field.bytes, shape);
        if (code) return code;
    }
    if (got < 0) return PG_E_TRUNCATED;
    format_text(whose, sizeof whose, "signature '%.*s', '%.*s'", (int)(signature.len > 64 ? 64 : signature.len),
                signature.ptr, (int)(e->key.len > 64 ? 64 : e->key.len), e->key.ptr ? e->key.ptr : "");
    if (!name.len)
        return error_set(f->r.e, PG_E_UNSUPPORTED, "%s is no plain tensor; choose another with --signature", whose);
    return tf_find(&f->r, &f->scope, name, ref, whose);
}

static pg_code push_output(file *f, tf_ref ref, str name)
{
    uint32_t cap = f->outputs.cap, had = cap;
    if (f->outputs.n == cap) {
        void *v = tf_grow(&f->r, f->outputs.v, &cap, f->outputs.n + 1, sizeof ref);
        if (!v) return tf_nomem(&f->r);
        str *names = arena_grow(&f->r.a, f->names, had, cap, sizeof *names);
        if (!names) return tf_nomem(&f->r);
        f->outputs.v = v;
        f->outputs.cap = cap;
        f->names = names;
    }
    f->names[f->outputs.n] = name;
    ((tf_ref *)f->outputs.v)[f->outputs.n++] = ref;
    return PG_E_OK;
}

static pg_code use_signature(file *f, const entry *signature)
{
    entry e;
    tf_ref ref;
    tf_shape shape;
    int64_t type;
    span rest = signature->value;
    while (next_entry(&rest, 1, &e)) {
        pg_code code = read_info(f, e.value, signature->key, &e, &ref, &type, &shape);
        if (!code) code = tf_add_input(&f->r, ref.node, e.key, type, &shape);
        if (code) return code;
    }
    rest = signature->value;
    while (next_entry(&rest, 2, &e)) {
        pg_code code = read_info(f, e.value, signature->key, &e, &ref, &type, &shape);
        if (!code) code = push_output(f, ref, e.key);
        if (code) return code;
    }
    if (!f->outputs.n)
        return error_set(f->r.e, PG_E_GRAPH, "signature '%.*s' has no outputs; choose another with --signature",
                         STR_ARG(signature->key));
    return PG_E_OK;
}

/* ---- reading ---- */

/* Of a saved model's graphs the one for serving. */
static pg_code find_meta_graph(file *f, span saved)
{
    protobuf_field field, m, tag;
    int got;
    bool serves = false;
    pg_error ignored = PG_ERROR_INIT;
    while ((got = protobuf_next(&saved, &field, f->r.e)) == 1) {
        if (field.number != 2 || field.type != PROTOBUF_BYTES) continue;
        bool serve = false;
        span rest = field.bytes;
        while (protobuf_next(&rest, &m, &ignored) == 1)
            while (m.number == 1 && m.type == PROTOBUF_BYTES && protobuf_next(&m.bytes, &tag, &ignored) == 1)
                serve |= tag.number == 4 && str_is(protobuf_str(&tag), "serve");
        if (!f->meta.ptr || (serve && !serves)) f->meta = field.bytes;
        serves |= serve;
    }
    if (got < 0) return PG_E_TRUNCATED;
    if (!f->meta.ptr || !f->meta.len)
        return error_set(f->r.e, PG_E_FORMAT, "the saved model holds no graph; export it again");
    return PG_E_OK;
}

static pg_code read_meta_graph(file *f)
{
    protobuf_field field;
    int got;
    span rest = f->meta;
    while ((got = protobuf_next(&rest, &field, f->r.e)) == 1) {
        if (field.type != PROTOBUF_BYTES) continue;
        if (field.number == 1) f->r.g->producer = tf_field_text(field.bytes, 5);
        else if (field.number == 2) f->graph = field.bytes;
    }
    if (got < 0) return PG_E_TRUNCATED;
    if (!f->graph.ptr) return error_set(f->r.e, PG_E_FORMAT, "the file holds no graph; it is cut off, export it again");
    return PG_E_OK;
}

static pg_code read_graph(file *f)
{
    protobuf_field field, v;
    int got;
    tf_reader *r = &f->r;
    pg_error ignored = PG_ERROR_INIT;
    span rest = f->graph;
    pg_code code = PG_E_OK;
    while (!code && (got = protobuf_next(&rest, &field, r->e)) == 1) {
        if (field.type != PROTOBUF_BYTES) continue;
        if (field.number == 2) code = tf_add_library(r, field.bytes);
        while (field.number == 4 && protobuf_next(&field.bytes, &v, &ignored) == 1)
            if (v.number == 1) f->producer = protobuf_int(&v);
    }
    if (code || got < 0) return code ? code : PG_E_TRUNCATED;
    code = tf_read_nodes(r, f->graph, 1, &f->scope);
    if (!code && !r->n_nodes) code = error_set(r->e, PG_E_FORMAT, "the graph has no nodes; export it again");
    return code ? code : tf_find_loops(r);
}

static pg_code choose_outputs(file *f)
{
    entry signature = {{NULL, 0}, {NULL, 0, 0}};
    tf_reader *r = &f->r;
    if (!f->meta.ptr && r->opt && r->opt->signature)
        return error_set(r->e, PG_E_USAGE, "--signature: a frozen graph has no signatures; leave it out");
    if (f->meta.ptr) {
        pg_code code = find_signature(f, &signature);
        if (code) return code;
    }
    r->constants_are_literals = f->meta.ptr != NULL;
    if (!f->meta.ptr) tf_mark_weights(r);
    if (signature.key.len) return use_signature(f, &signature);
    uint32_t n = r->n_nodes;
    pg_code code = tf_guess_outputs(r, &f->outputs);
    if (!code && !f->outputs.n)
        return error_set(r->e, PG_E_GRAPH,
                         r->n_functions
                             ? "the model has no signature and nothing calls its functions: nothing says what it "
                               "computes; save it again with signatures"
                             : "the graph has no node that computes a result; it is empty or only saves variables");
    return code ? code : tf_add_placeholders(r, n);
}

static pg_code emit_outputs(file *f)
{
    tf_reader *r = &f->r;
    for (uint32_t i = 0; i < f->outputs.n; i++) {
        tf_ref ref = ((const tf_ref *)f->outputs.v)[i];
        str name = f->names ? f->names[i] : tf_at(r, ref.node)->name;
        pg_code code = tf_emit(r, ref);
        if (code) return code;
        uint32_t t = tf_tensor(r, ref);
        if (t == NO_TENSOR) continue; /* no tensor but a list of them, or nothing at all */
        tensor *out = &r->g->tensors[t];
        if (!out->is_output && !graph_add_output(r->g, 0, t)) return tf_nomem(r);
        if (r->g->tensors[t].role == ROLE_VALUE) r->g->tensors[t].name = name;
    }
    if (!r->g->regions[0].n_outputs)
        return error_set(r->e, PG_E_UNSUPPORTED, "no output of the model is a tensor; choose another with --signature");
    return PG_E_OK;
}

/* What is needed becomes about as many operators and weights. */
static bool reserve(tf_reader *r)
{
    uint32_t constants = 0, n = 0;
    for (uint32_t i = 0; i < r->n_nodes; i++) {
        n += r->nodes[i].uses > 0;
        constants += r->nodes[i].uses > 0 && !r->nodes[i].n_in;
    }
    return graph_reserve(r->g, n - constants, n + 16);
}

static pg_code read_all(file *f)
{
    tf_reader *r = &f->r;
    pg_code code = f->meta.ptr ? read_meta_graph(f) : PG_E_OK;
    if (!code) code = read_graph(f);
    if (!code) code = choose_outputs(f);
    if (!code) code = tf_count_uses(r, f->outputs.v, f->outputs.n);
    /* a value that is fed may be a variable's or a call's; whatever its node is, it is an input by now */
    if (!code) code = tf_find_dilations(r);
    if (!code && !reserve(r)) code = tf_nomem(r);
    if (!code) code = tf_emit_inputs(r, f->producer);
    return code ? code : emit_outputs(f);
}

static pg_code tf_load(graph *g, const load_input *in, const load_options *options, pg_error *e)
{
    pg_error local = PG_ERROR_INIT;
    file f = {.r = {.g = g, .opt = options, .e = e ? e : &local}};
    tf_reader *r = &f.r;
    span bytes = in->bytes;
    g->format = STR("tensor-flow");
    if (in->folder) {
        pg_code found = load_beside(in, "saved_model.pb", &bytes, r->e);
        if (found) return found;
    }
    arena_init(&r->a, g->a->alloc, g->a->limit / 2);
    map *const maps[] = {&r->functions,  &r->frames,  &r->kinds,     &r->unknown,
                         &r->conditions, &r->weights, &f.scope.names};
    for (size_t i = 0; i < sizeof maps / sizeof maps[0]; i++) map_init(maps[i], &r->a);
    r->max_depth = options && options->max_depth ? options->max_depth : 64;
    pg_code code = PG_E_OK;
    if (TF_ROOM(r, r->bodies, r->n_bodies, r->cap_bodies)) r->bodies[r->n_bodies++] = (tf_body){0, 0};
    else code = tf_nomem(r);
    if (!code && TF_ROOM(r, r->region_level, r->n_levels, r->cap_levels)) r->region_level[r->n_levels++] = 0;
    else if (!code) code = tf_nomem(r);
    if (!code && is_saved_model(bytes)) code = find_meta_graph(&f, bytes);
    else if (!code && is_meta_graph(bytes)) f.meta = bytes;
    else f.graph = bytes;
    if (!code) code = read_all(&f);
    if (!code) code = tf_drop_unused(r);
    if (!code) code = graph_sort(g, &r->a, r->e);
    arena_free(&r->a);
    return error_is_set(r->e) ? r->e->code : code; /* the first error is the one that is told, so its code counts */
}

const load_format load_tf_format = {"tensor-flow", "a TensorFlow graph or saved model", ".pb .meta", tf_probe, tf_load};
