/* TensorFlow Lite: a FlatBuffer with the identifier "TFL3".
 *
 * 1. Model: version 0, operator_codes 1, subgraphs 2, description 3, buffers 4, metadata 6, signature_defs 7.
 * 2. OperatorCode: deprecated_builtin_code 0 (a byte; 127: the other is larger), custom_code 1, version 2, builtin_code 3.
 * 3. SubGraph: tensors 0, inputs 1, outputs 2 (indices of tensors), operators 3 (in the order in which they run), name 4.
 * 4. Tensor: shape 0, type 1, buffer 2, name 3, quantization 4 (scale 2, zero_point 3, details 4, quantized_dimension 6),
 *    is_variable 5, sparsity 6, shape_signature 7 (-1: free), has_rank 8.
 * 5. Operator: opcode_index 0, inputs 1, outputs 2 (-1: left out), builtin_options 3 (type) and 4, custom_options 5,
 *    builtin_options_2 11 (type) and 12.
 * 6. Buffer: data 0, and of models above 2 GiB offset 1, size 2: where the data lie in the file, behind the FlatBuffer.
 * 7. SignatureDef: inputs 0, outputs 1, signature_key 2, subgraph_index 4. Metadata: name 0, buffer 1.
 *
 * Weights are described and skipped. Images are channels last in the file and channels first in the graph: tflite_internal.h. */
#include "load/tflite_internal.h"

bool tflite_charge(tflite_reader *r, uint64_t n)
{
    if (n <= r->budget) {
        r->budget -= n;
        return true;
    }
    r->budget = 0;
    error_set(r->e, PG_E_LIMIT,
              "the subgraphs take too many steps to follow for the file's size; it is not a sane model");
    return false;
}

pg_code tflite_status(const tflite_reader *r)
{
    if (error_is_set(r->e)) return r->e->code;
    return r->g->a->failed ? error_nomem(r->e, r->g->a) : PG_E_OK;
}

flatbuffer_vector tflite_ends(const tflite_reader *r, const tflite_scope *s, bool outputs)
{
    flatbuffer_table body = flatbuffer_list_table(&r->graphs, s->index);
    return flatbuffer_list(&body, outputs ? 2 : 1, 4);
}

pg_code tflite_open_scope(tflite_reader *r, tflite_scope *s, int64_t index, uint32_t into, const tflite_scope *caller)
{
    if (index < 0 || index >= (int64_t)r->graphs.n)
        return error_set(r->e, PG_E_FORMAT, "subgraph %lld is called, but the file has %u; it is damaged",
                         (long long)index, r->graphs.n);
    for (const tflite_scope *at = caller; at; at = at->caller)
        if (at->index == index)
            return error_set(r->e, PG_E_GRAPH, "subgraph %lld calls itself; the file is not a sane model",
                             (long long)index);
    flatbuffer_table body = flatbuffer_list_table(&r->graphs, (uint32_t)index);
    *s = (tflite_scope){.index = (uint32_t)index, .region = into, .caller = caller};
    s->tensors = flatbuffer_list(&body, 0, 4);
    s->operators = flatbuffer_list(&body, 3, 4);
    s->n = s->tensors.n;
    if (!tflite_charge(r, 4 * (uint64_t)s->n)) return PG_E_LIMIT;
    s->v = ARENA_ARRAY(r->g->a, tflite_value, s->n);
    return tflite_status(r);
}

pg_code tflite_read_scope(tflite_reader *r, tflite_scope *s)
{
    pg_code code = tflite_status(r);
    if (++r->depth > r->max_depth)
        code = error_set(r->e, PG_E_LIMIT, "subgraphs are nested more than %u deep; the file is not a sane model",
                         r->max_depth);
    for (uint32_t i = 0; !code && i < s->operators.n; i++) code = tflite_read_node(r, s, i);
    r->depth--;
    return code;
}

/* ---- inputs, outputs and the batch ---- */

/* What a free dimension is called, and its size when the user gives none. */
static str free_name(const tflite_info *t, int axis, int64_t *size)
{
    *size = 1;
    if (axis == 0) return STR("batch");
    if (t->rank == 4 && axis < 3) {
        *size = 224;
        return axis == 1 ? STR("height") : STR("width");
    }
    *size = t->rank == 4 ? 3 : 128;
    return t->rank == 4 ? STR("channels") : axis == 1 ? STR("sequence") : STR("features");
}

/* Puts symbols into an input's free dims, and into its batch where the file fixes that. */
static pg_code bind_input(tflite_reader *r, uint32_t t, const tflite_info *info)
{
    graph *g = r->g;
    num dims[TFLITE_RANK];
    for (int i = 0; i < info->rank; i++) {
        dims[i] = num_int(info->dims[i]);
        if (info->open[i]) {
            int64_t size;
            str name = free_name(info, i, &size);
            int32_t symbol = graph_add_symbol(g, name, size);
            if (symbol < 0) return error_nomem(r->e, g->a);
            dims[i] = (num){{.i = 0}, 1, symbol};
            if (i == 0 && g->batch_symbol < 0) g->batch_symbol = symbol;
        } else if (i == 0 && info->rank >= 2 && info->dims[0] >= 1) {
            if (g->batch_symbol < 0) {
                g->batch_symbol = graph_add_symbol(g, STR("batch"), info->dims[0]);
                g->fixed_batch = info->dims[0];
                if (g->batch_symbol < 0) return error_nomem(r->e, g->a);
            }
            if (g->fixed_batch == info->dims[0]) dims[0] = (num){{.i = 0}, 1, g->batch_symbol};
        }
    }
    if (info->rank >= 0 && !graph_set_dims(g, t, info->rank, dims)) return error_nomem(r->e, g->a);
    return PG_E_OK;
}

/* An image that convolutions may read: what it is called changes, not where a runtime keeps it. */
static bool is_image(const tflite_reader *r, const tflite_info *info)
{
    enum { COLOURS = 4 };
    bool image = info->rank == 4 || info->rank == 5;
    return r->has_images && image && (info->open[info->rank - 1] || info->dims[info->rank - 1] <= COLOURS);
}

/* A name for an input or output that has none in the file, so that it can be told apart and given a shape. */
static pg_code name_end(tflite_reader *r, uint32_t t, const char *what, uint32_t i)
{
    char made[32];
    if (r->g->tensors[t].name.len) return PG_E_OK;
    size_t n = format_text(made, sizeof made, "%s_%u", what, i);
    r->g->tensors[t].name = str_copy(r->g->a, (str){made, n});
    return tflite_status(r);
}

static pg_code read_inputs(tflite_reader *r, tflite_scope *s)
{
    flatbuffer_vector in = tflite_ends(r, s, false);
    if (!tflite_charge(r, in.n)) return PG_E_LIMIT;
    for (uint32_t i = 0; i < in.n; i++) {
        tflite_info info;
        int32_t index = flatbuffer_list_i32(&in, i);
        if (!tflite_describe(r, s, index, &info)) return tflite_status(r);
        if (info.constant || s->v[index].form[FORM_FILE]) continue;
        uint32_t t = tflite_define(r, s, index, FORM_FILE);
        if (t == NO_TENSOR || !graph_add_input(r->g, 0, t)) return tflite_status(r);
        pg_code code = name_end(r, t, "input", i);
        if (!code) code = bind_input(r, t, &info);
        if (code) return code;
        if (!is_image(r, &info)) continue;
        uint32_t first = tflite_relabel(r, 0, t, info.rank, FORM_FIRST, true);
        if (first != NO_TENSOR) s->v[index].form[FORM_FIRST] = first + 1;
    }
    return tflite_status(r);
}

static pg_code read_outputs(tflite_reader *r, tflite_scope *s)
{
    flatbuffer_vector out = tflite_ends(r, s, true);
    if (!tflite_charge(r, out.n)) return PG_E_LIMIT;
    for (uint32_t i = 0; i < out.n; i++) {
        tflite_info info;
        int32_t index = flatbuffer_list_i32(&out, i);
        if (!tflite_describe(r, s, index, &info)) return tflite_status(r);
        tflite_value *v = &s->v[index];
        if (!v->form[FORM_FILE] && v->form[FORM_FIRST]) {
            uint32_t t = tflite_relabel(r, 0, v->form[FORM_FIRST] - 1, info.rank, FORM_FILE, true);
            if (t != NO_TENSOR) {
                v->form[FORM_FILE] = t + 1;
                r->g->tensors[t].name = info.name;
            }
        }
        uint32_t t = tflite_get(r, s, index, FORM_FILE);
        if (t == NO_TENSOR || !graph_add_output(r->g, s->region, t) || name_end(r, t, "output", i))
            return tflite_status(r);
    }
    return tflite_status(r);
}

/* ---- the model ---- */

static str signature_name(const flatbuffer_table *signature)
{
    return flatbuffer_text(signature, 2);
}

/* The subgraph of the signature that was asked for; without one, the first. */
static pg_code choose_graph(tflite_reader *r, const flatbuffer_table *model, int64_t *index)
{
    const char *wanted = r->opt ? r->opt->signature : NULL;
    *index = 0;
    if (!wanted) return PG_E_OK;
    flatbuffer_vector list = flatbuffer_list(model, 7, 4);
    char names[256];
    size_t len = 0;
    for (uint32_t i = 0; i < list.n && tflite_charge(r, 1); i++) {
        flatbuffer_table t = flatbuffer_list_table(&list, i);
        str name = signature_name(&t);
        if (str_is(name, wanted)) {
            *index = flatbuffer_u32(&t, 4, 0);
            return tflite_status(r);
        }
        if (len < sizeof names)
            len += format_text(names + len, sizeof names - len, "%s%.*s", len ? ", " : "", STR_ARG(name));
    }
    if (tflite_status(r)) return tflite_status(r);
    return error_set(r->e, PG_E_USAGE, "the model has no signature '%s'; it has: %s", wanted, len ? names : "none");
}

static bool is_convolution(const flatbuffer_table *code)
{
    enum { CONV_2D = 3, DEPTHWISE_CONV_2D = 4, TRANSPOSE_CONV = 67, CONV_3D = 132 };
    int64_t old = flatbuffer_i8(code, 0, 0), number = flatbuffer_i32(code, 3, 0);
    if (old > number) number = old;
    return number == CONV_2D || number == DEPTHWISE_CONV_2D || number == TRANSPOSE_CONV || number == CONV_3D;
}

static pg_code read_model(tflite_reader *r)
{
    flatbuffer_table model = flatbuffer_root(&r->wire);
    r->codes = flatbuffer_list(&model, 1, 4);
    r->graphs = flatbuffer_list(&model, 2, 4);
    r->buffers = flatbuffer_list(&model, 4, 4);
    r->g->producer = flatbuffer_text(&model, 3);
    if (str_ends(r->g->producer, ".")) r->g->producer.len--; /* "MLIR Converted." */
    if (!tflite_status(r) && !r->graphs.n)
        return error_set(r->e, PG_E_FORMAT, "the file holds no graph; it is damaged or not a model");
    if (!tflite_charge(r, r->codes.n)) return PG_E_LIMIT;
    r->counted = ARENA_ARRAY(r->g->a, uint8_t, r->buffers.n);
    if (!r->counted) return error_nomem(r->e, r->g->a);
    for (uint32_t i = 0; i < r->codes.n && !r->has_images; i++) {
        flatbuffer_table code = flatbuffer_list_table(&r->codes, i);
        r->has_images = is_convolution(&code);
    }
    int64_t index;
    pg_code code = choose_graph(r, &model, &index);
    tflite_scope s = {.n = 0};
    if (!code) code = tflite_open_scope(r, &s, index, 0, NULL);
    if (!code) code = read_inputs(r, &s);
    if (!code) code = tflite_read_scope(r, &s);
    if (!code) code = read_outputs(r, &s);
    if (!code) code = tflite_read_about(r, &model);
    return code;
}

static pg_code load(graph *g, const load_input *in, const load_options *options, pg_error *e)
{
    enum { LEAST = 200000, MOST = 4000000 };
    pg_error local = PG_ERROR_INIT;
    tflite_reader r = {.g = g, .opt = options, .e = e ? e : &local};
    r.wire = (flatbuffer){in->bytes, r.e};
    r.max_depth = options && options->max_depth ? options->max_depth : 64;
    r.budget = in->bytes.len < MOST - LEAST ? LEAST + in->bytes.len : MOST;
    map_init(&r.unknown, g->a);
    g->format = STR("tflite");
    pg_code code = read_model(&r);
    if (!code) code = tflite_status(&r);
    if (!code) code = graph_sort(g, g->a, r.e);
    return error_is_set(r.e) ? r.e->code : code;
}

static int probe(const load_input *in)
{
    if (!in->folder && flatbuffer_is(in->bytes, "TFL3")) return 100;
    return !in->folder && load_ending(&load_tflite_format, str_c(in->path)) ? LOAD_BY_NAME : 0;
}

const load_format load_tflite_format = {"tflite", "a TensorFlow Lite model", ".tflite .lite", probe, load};
