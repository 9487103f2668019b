/* Nodes of a GraphDef or a FunctionDef.
 *
 * 1. GraphDef: node 1 (NodeDef), library 2.
 * 2. NodeDef: name 1, op 2, input 3, device 4, attr 5 (a map: key 1, value 2).
 * 3. AttrValue: list 1, s 2, i 3, f 4, b 5, type 6, shape 7, tensor 8, placeholder 9, func 10 (NameAttrList: name 1).
 *    ListValue: s 2, i 3, f 4, b 5, type 6, shape 7, tensor 8, func 9.
 * 4. TensorShapeProto: dim 2 (size 1, -1: free; name 2), unknown_rank 3.
 * 5. An input is "node" or "node:output"; in functions "argument" or "node:name of the output:number"; "^node" only says that
 *    the node runs before. */
#include "load/tf_internal.h"

pg_code tf_nomem(tf_reader *r)
{
    return error_nomem(r->e, r->a.failed ? &r->a : r->g->a);
}

pg_code tf_done(tf_reader *r, bool ok)
{
    return ok ? PG_E_OK : tf_nomem(r);
}

void *tf_grow(tf_reader *r, void *array, uint32_t *cap, uint32_t need, size_t size)
{
    uint32_t bigger = *cap ? *cap * 2 : 32;
    if (need > UINT32_MAX / 4) return NULL;
    while (bigger < need) bigger *= 2;
    void *p = arena_grow(&r->a, array, *cap, bigger, size);
    if (p) *cap = bigger;
    return p;
}

/* ---- attributes ---- */

static void read_value(span proto, tf_value *out)
{
    static const uint8_t kinds[] = {TF_V_NONE, TF_V_LIST,  TF_V_TEXT,   TF_V_INT,  TF_V_FLOAT, TF_V_INT,
                                    TF_V_INT,  TF_V_SHAPE, TF_V_TENSOR, TF_V_NONE, TF_V_FUNC};
    protobuf_field f;
    pg_error ignored = PG_ERROR_INIT; /* checked when the node was read */
    *out = (tf_value){.kind = TF_V_NONE};
    while (protobuf_next(&proto, &f, &ignored) == 1) {
        if (f.number >= sizeof kinds || !kinds[f.number]) continue;
        out->kind = (tf_value_kind)kinds[f.number];
        out->i = protobuf_int(&f);
        out->f = f.type == PROTOBUF_FIXED32 ? (double)protobuf_float(&f) : 0;
        out->s = protobuf_str(&f);
        out->bytes = f.bytes;
    }
}

bool tf_attr(const tf_node *n, const char *key, tf_value *out)
{
    protobuf_field f, inner;
    pg_error ignored = PG_ERROR_INIT;
    span rest = n->def;
    out->kind = TF_V_NONE;
    while (protobuf_next(&rest, &f, &ignored) == 1) {
        if (f.number != 5 || f.type != PROTOBUF_BYTES) continue;
        bool match = false;
        span value = {NULL, 0, 0};
        while (protobuf_next(&f.bytes, &inner, &ignored) == 1) {
            if (inner.number == 1) match = str_is(protobuf_str(&inner), key);
            else if (inner.number == 2) value = inner.bytes;
        }
        if (!match) continue;
        read_value(value, out);
        return out->kind != TF_V_NONE;
    }
    return false;
}

int64_t tf_attr_int(const tf_node *n, const char *key, int64_t fallback)
{
    tf_value v;
    return tf_attr(n, key, &v) && v.kind == TF_V_INT ? v.i : fallback;
}

str tf_attr_text(const tf_node *n, const char *key)
{
    tf_value v;
    return tf_attr(n, key, &v) && v.kind == TF_V_TEXT ? v.s : (str){NULL, 0};
}

uint32_t tf_attr_ints(const tf_node *n, const char *key, int64_t *out, uint32_t max)
{
    tf_value v;
    protobuf_field f;
    pg_error ignored = PG_ERROR_INIT;
    uint32_t count = 0;
    if (!tf_attr(n, key, &v) || v.kind != TF_V_LIST) return 0;
    while (protobuf_next(&v.bytes, &f, &ignored) == 1) {
        if (f.number != 3) continue;
        uint64_t x = f.value;
        int got = f.type == PROTOBUF_BYTES ? protobuf_next_varint(&f.bytes, &x, &ignored) : 1;
        while (got == 1) {
            if (count < max) out[count] = (int64_t)x;
            count++;
            got = f.type == PROTOBUF_BYTES ? protobuf_next_varint(&f.bytes, &x, &ignored) : 0;
        }
    }
    return count;
}

str tf_attr_function(const tf_node *n, const char *key)
{
    tf_value v;
    return tf_attr(n, key, &v) && v.kind == TF_V_FUNC ? tf_field_text(v.bytes, 1) : (str){NULL, 0};
}

str tf_field_text(span proto, uint32_t field)
{
    protobuf_field f;
    str text = {NULL, 0};
    pg_error ignored = PG_ERROR_INIT;
    while (protobuf_next(&proto, &f, &ignored) == 1)
        if (f.number == field && f.type == PROTOBUF_BYTES) text = protobuf_str(&f);
    return text;
}

pg_code tf_read_shape(tf_reader *r, span proto, tf_shape *out)
{
    protobuf_field f, d;
    int got;
    out->rank = 0;
    while ((got = protobuf_next(&proto, &f, r->e)) == 1) {
        if (f.number == 3 && f.value) {
            out->rank = -1;
            return PG_E_OK;
        }
        if (f.number != 2 || f.type != PROTOBUF_BYTES) continue;
        if (out->rank == MAX_RANK) return error_at(r->e, PG_E_LIMIT, proto.base, "more than %d dimensions", MAX_RANK);
        int64_t size = 0;
        int inner;
        uint64_t at = f.bytes.base;
        while ((inner = protobuf_next(&f.bytes, &d, r->e)) == 1)
            if (d.number == 1) size = protobuf_int(&d);
        if (inner < 0) return PG_E_TRUNCATED;
        if (size < -1 || size > (int64_t)1 << 48)
            return error_at(r->e, PG_E_FORMAT, at, "a shape has the dimension %lld; the file is damaged",
                            (long long)size);
        out->dims[out->rank++] = size;
    }
    return got < 0 ? PG_E_TRUNCATED : PG_E_OK;
}

/* DataType; 100 more: a reference to a variable of it. */
dtype tf_dtype(int64_t type)
{
    static const uint8_t types[] = {
        DT_UNKNOWN,    DT_FP32,    DT_FP64,    DT_INT32,   DT_UINT8,  DT_INT16,  DT_INT8,    DT_STRING,  DT_COMPLEX64,
        DT_INT64,      DT_BOOL,    DT_INT8,    DT_UINT8,   DT_INT32,  DT_BF16,   DT_INT16,   DT_UINT16,  DT_UINT16,
        DT_COMPLEX128, DT_FP16,    DT_UNKNOWN, DT_UNKNOWN, DT_UINT32, DT_UINT64, DT_FP8E5M2, DT_FP8E4M3, DT_UNKNOWN,
        DT_UNKNOWN,    DT_UNKNOWN, DT_INT4,    DT_UINT4,   DT_INT2,   DT_UINT2};
    if (type > 100) type -= 100;
    return type > 0 && type < (int64_t)sizeof types ? (dtype)types[type] : DT_UNKNOWN;
}

int64_t tf_dtype_code(dtype d)
{
    for (int64_t code = 1; code <= 26; code++)
        if (dtype_of_code(code) == d) return code;
    return 0;
}

/* ---- nodes ---- */

uint32_t tf_add_refs(tf_reader *r, const tf_ref *refs, uint32_t n)
{
    uint32_t first = r->n_refs;
    for (uint32_t i = 0; i < n; i++) {
        if (!TF_ROOM(r, r->refs, r->n_refs, r->cap_refs)) return TF_NONE;
        r->refs[r->n_refs++] = refs[i];
    }
    return first;
}

uint32_t tf_add_node(tf_reader *r, str name, str type, tf_kind kind, const tf_ref *in, uint32_t n_in, uint32_t body)
{
    if (!TF_ROOM(r, r->nodes, r->n_nodes, r->cap_nodes)) return TF_NONE;
    tf_node n = {.name = name, .op = type, .kind = (uint8_t)kind, .n_in = n_in, .body = body, .reader = TF_NONE};
    n.first_in = tf_add_refs(r, in, n_in);
    if (n.first_in == TF_NONE) return TF_NONE;
    r->nodes[r->n_nodes] = n;
    return r->n_nodes++;
}

/* Nested messages are looked at later, without an error to tell: that they are whole is checked here. */
static pg_code check_attr(tf_reader *r, span entry)
{
    protobuf_field f, inner;
    int got, more = 0;
    while ((got = protobuf_next(&entry, &f, r->e)) == 1) {
        if (f.number != 2 || f.type != PROTOBUF_BYTES) continue;
        while ((more = protobuf_next(&f.bytes, &inner, r->e)) == 1) continue;
        if (more < 0) return PG_E_TRUNCATED;
    }
    return got < 0 ? PG_E_TRUNCATED : PG_E_OK;
}

enum { FIELDS_MAX = 4096 };

static pg_code read_node(tf_reader *r, span def, const tf_scope *scope)
{
    protobuf_field f;
    tf_node n = {.def = def, .body = scope->body, .depth = scope->depth, .reader = TF_NONE};
    int got, fields = 0; /* from the first attribute on: they are gone through for each that is looked for */
    span rest = def;
    pg_code code = PG_E_OK;
    while (!code && (got = protobuf_next(&rest, &f, r->e)) == 1) {
        if ((fields || f.number == 5) && ++fields > FIELDS_MAX)
            return error_at(r->e, PG_E_LIMIT, def.base, "node '%.*s' has more than %d attributes", STR_ARG(n.name),
                            (int)FIELDS_MAX);
        if (f.number == 1) n.name = protobuf_str(&f);
        else if (f.number == 2) n.op = protobuf_str(&f);
        else if (f.number == 5 && f.type == PROTOBUF_BYTES) code = check_attr(r, f.bytes);
    }
    if (code || got < 0) return code ? code : PG_E_TRUNCATED;
    if (!n.op.len)
        return error_at(r->e, PG_E_FORMAT, def.base, "node '%.*s' has no operator; the file is damaged",
                        STR_ARG(n.name));
    if (!TF_ROOM(r, r->nodes, r->n_nodes, r->cap_nodes)) return tf_nomem(r);
    r->nodes[r->n_nodes++] = n;
    return PG_E_OK;
}

/* Operators with several named outputs: "name:indices:0" must be told from "name:values:0". */
static const struct {
    const char *op, *outputs;
} output_names[] = {
    {"BlockLSTM", "i cs f o ci co h"},
    {"BlockLSTMV2", "i cs f o ci co h"},
    {"CombinedNonMaxSuppression", "nmsed_boxes nmsed_scores nmsed_classes valid_detections"},
    {"CudnnRNN", "output output_h output_c reserve_space"},
    {"CudnnRNNV2", "output output_h output_c reserve_space host_reserved"},
    {"CudnnRNNV3", "output output_h output_c reserve_space host_reserved"},
    {"FusedBatchNorm", "y batch_mean batch_variance reserve_space_1 reserve_space_2"},
    {"FusedBatchNormV2", "y batch_mean batch_variance reserve_space_1 reserve_space_2"},
    {"FusedBatchNormV3", "y batch_mean batch_variance reserve_space_1 reserve_space_2 reserve_space_3"},
    {"GRUBlockCell", "r u c h"},
    {"ListDiff", "out idx"},
    {"LSTMBlockCell", "i cs f o ci co h"},
    {"MaxPoolWithArgmax", "output argmax"},
    {"Merge", "output value_index"},
    {"NonMaxSuppressionV4", "selected_indices valid_outputs"},
    {"NonMaxSuppressionV5", "selected_indices selected_scores valid_outputs"},
    {"NonMaxSuppressionWithOverlaps", "selected_indices"},
    {"Qr", "q r"},
    {"SoftmaxCrossEntropyWithLogits", "loss backprop"},
    {"SparseFillEmptyRows", "output_indices output_values empty_row_indicator reverse_index_map"},
    {"SparseReshape", "output_indices output_shape"},
    {"SparseSoftmaxCrossEntropyWithLogits", "loss backprop"},
    {"Svd", "s u v"},
    {"Switch", "output_false output_true"},
    {"TensorArrayV3", "handle flow"},
    {"TensorListPopBack", "output_handle tensor"},
    {"TopK", "values indices"},
    {"TopKV2", "values indices"},
    {"Unique", "y idx"},
    {"UniqueV2", "y idx"},
    {"UniqueWithCounts", "y idx count"},
};

static uint32_t output_offset(str type, str output)
{
    for (size_t i = 0; i < sizeof output_names / sizeof output_names[0]; i++) {
        if (!str_is(type, output_names[i].op)) continue;
        uint32_t at = 0;
        for (const char *w = output_names[i].outputs; *w; at++) {
            size_t len = strcspn(w, " ");
            if (str_eq((str){w, len}, output)) return at;
            w += len;
            if (*w == ' ') w++;
        }
    }
    return 0;
}

/* "12" at the end of text, after the last colon; UINT32_MAX: something else. */
static uint32_t small_number(str s)
{
    uint32_t v = 0;
    if (!s.len || s.len > 6) return UINT32_MAX;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9') return UINT32_MAX;
        v = v * 10 + (uint32_t)(s.ptr[i] - '0');
    }
    return v;
}

static str cut_at_colon(str *text)
{
    size_t n = 0;
    if (!text->ptr) return *text;
    while (n < text->len && text->ptr[n] != ':') n++;
    str head = {text->ptr, n};
    n += n < text->len;
    *text = (str){text->ptr + n, text->len - n};
    return head;
}

pg_code tf_find(tf_reader *r, const tf_scope *scope, str text, tf_ref *out, const char *whose)
{
    str rest = text;
    bool control = text.len && text.ptr[0] == '^';
    if (control) rest = (str){text.ptr + 1, text.len - 1};
    str name = cut_at_colon(&rest);
    uint32_t port = 0;
    const uint32_t *arg = scope->function ? map_find(&scope->args, name) : NULL;
    const uint32_t *node = arg ? NULL : map_find(&scope->names, name);
    if (!arg && !node)
        return error_set(r->e, PG_E_GRAPH, "%s: its input '%.*s' is no node of the graph; the file is incomplete",
                         whose, STR_ARG(text));
    if (rest.len && scope->function && !arg) {
        str output = cut_at_colon(&rest);
        port = output_offset(r->nodes[*node].op, output);
    }
    uint32_t number = rest.len ? small_number(rest) : 0;
    if (number >= TF_PORTS - port)
        return error_set(r->e, PG_E_GRAPH, "%s: its input '%.*s' names an output that no node has", whose,
                         STR_ARG(text));
    port += number;
    if (arg) {
        uint32_t last = *arg + port;
        *out = last < r->n_refs ? r->refs[last] : (tf_ref){TF_NONE, 0};
        if (control) out->port = TF_FEED;
        return PG_E_OK;
    }
    *out = (tf_ref){*node, control ? TF_FEED : port};
    return PG_E_OK;
}

static pg_code link_node(tf_reader *r, uint32_t index, const tf_scope *scope)
{
    span rest = r->nodes[index].def, attrs = {NULL, 0, 0}, before = rest;
    protobuf_field f;
    pg_error ignored = PG_ERROR_INIT;
    char whose[160];
    uint32_t first = r->n_refs, controls = 0;
    format_text(whose, sizeof whose, "node '%.*s'",
                (int)(r->nodes[index].name.len > 128 ? 128 : r->nodes[index].name.len),
                r->nodes[index].name.ptr ? r->nodes[index].name.ptr : "");
    for (char *c = whose; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = '?';
    for (; protobuf_next(&rest, &f, &ignored) == 1; before = rest) {
        tf_ref ref;
        if (f.number == 5 && !attrs.ptr) attrs = before;
        if (f.number != 3 || f.type != PROTOBUF_BYTES) continue;
        pg_code code = tf_find(r, scope, protobuf_str(&f), &ref, whose);
        if (code) return code;
        if (!TF_ROOM(r, r->refs, r->n_refs, r->cap_refs)) return tf_nomem(r);
        bool control = ref.port == TF_FEED;
        controls += control;
        if (!control && controls)
            return error_at(r->e, PG_E_GRAPH, f.bytes.base, "%s: an input stands behind its control inputs", whose);
        r->refs[r->n_refs++] = ref;
    }
    tf_node *n = &r->nodes[index];
    n->def = attrs;
    n->first_in = first;
    n->n_control = controls;
    n->n_in = r->n_refs - first - controls;
    return PG_E_OK;
}

pg_code tf_read_nodes(tf_reader *r, span proto, uint32_t field, tf_scope *scope)
{
    protobuf_field f;
    int got;
    uint32_t first = r->n_nodes, count = 0;
    bool added;
    pg_error ignored = PG_ERROR_INIT;
    for (span rest = proto; protobuf_next(&rest, &f, &ignored) == 1;) count += f.number == field;
    if (count > r->cap_nodes - r->n_nodes && r->n_nodes + count > 2 * r->cap_nodes) { /* at once: a large graph */
        tf_node *nodes = arena_grow(&r->a, r->nodes, r->cap_nodes, r->n_nodes + count, sizeof *nodes);
        if (!nodes) return tf_nomem(r);
        r->nodes = nodes;
        r->cap_nodes = r->n_nodes + count;
    }
    if (!map_reserve(&scope->names, count)) return tf_nomem(r);
    while ((got = protobuf_next(&proto, &f, r->e)) == 1) {
        if (f.number != field || f.type != PROTOBUF_BYTES) continue;
        if (++r->work > TF_WORK)
            return error_at(r->e, PG_E_LIMIT, f.bytes.base,
                            "more than %d nodes once functions are inlined; the file is not a sane model", TF_WORK);
        pg_code code = read_node(r, f.bytes, scope);
        if (code) return code;
        uint32_t at = r->n_nodes - 1;
        if (!map_add(&scope->names, r->nodes[at].name, at, &added)) return tf_nomem(r);
        if (!added)
            return error_at(r->e, PG_E_GRAPH, f.bytes.base,
                            "two nodes have the name '%.*s'; the file is damaged or was merged wrongly",
                            STR_ARG(r->nodes[at].name));
    }
    if (got < 0) return PG_E_TRUNCATED;
    uint32_t last = r->n_nodes;
    for (uint32_t i = first; i < last; i++) {
        pg_code code = link_node(r, i, scope);
        if (code) return code;
    }
    return PG_E_OK;
}
