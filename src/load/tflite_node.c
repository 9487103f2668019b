/* Operators of TensorFlow Lite: what all have in common. */
#include "load/tflite_internal.h"

static const struct builtin {
    const char *name;
    tflite_translator translate;
    op_kind kind;
} builtins[] = {
#define TFLITE_OP(number, name, how, kind) [number] = {#name, tflite_##how, OP_##kind},
#include "load/tflite_ops.def"
#undef TFLITE_OP
};

enum { BUILTINS = sizeof builtins / sizeof builtins[0], CUSTOM = 32, PLACEHOLDER = 127 };

/* ---- operands ---- */

int32_t tflite_in(const tflite_node *n, uint32_t i)
{
    return i < n->in.n ? flatbuffer_list_i32(&n->in, i) : -1;
}

int32_t tflite_out(const tflite_node *n, uint32_t i)
{
    return i < n->out.n ? flatbuffer_list_i32(&n->out, i) : -1;
}

bool tflite_in_info(tflite_reader *r, const tflite_node *n, uint32_t i, tflite_info *out)
{
    int32_t t = tflite_in(n, i);
    if (t != -1) return tflite_describe(r, n->s, t, out);
    tflite_bad(r, n, "lacks an input");
    return false;
}

bool tflite_out_info(tflite_reader *r, const tflite_node *n, uint32_t i, tflite_info *out)
{
    int32_t t = tflite_out(n, i);
    if (t != -1) return tflite_describe(r, n->s, t, out);
    tflite_bad(r, n, "lacks an output");
    return false;
}

pg_code tflite_bad(tflite_reader *r, const tflite_node *n, const char *what)
{
    return error_at(r->e, PG_E_GRAPH, r->wire.file.base + n->t.at,
                    "%.*s %s; the file is damaged or was converted wrongly", STR_ARG(n->name), what);
}

pg_code tflite_lacks_input(tflite_reader *r, const tflite_node *n)
{
    return tflite_status(r) ? tflite_status(r) : tflite_bad(r, n, "lacks an input");
}

/* ---- building ---- */

uint32_t tflite_temporary(tflite_reader *r, const tflite_node *n)
{
    int32_t out = tflite_out(n, 0);
    tflite_info info = {.name = n->name};
    if (out >= 0) tflite_describe(r, n->s, out, &info);
    uint32_t t = graph_add_tensor(r->g, info.name, DT_UNKNOWN);
    if (t == NO_TENSOR) error_nomem(r->e, r->g->a);
    else r->g->tensors[t].defined = true;
    return t;
}

uint32_t tflite_list(tflite_reader *r, const int64_t *v, uint32_t n)
{
    uint32_t t = graph_add_ints(r->g, STR(""), 1, v, n);
    if (t == NO_TENSOR) {
        error_nomem(r->e, r->g->a);
        return t;
    }
    r->g->tensors[t].literal = r->g->tensors[t].defined = true;
    r->g->tensors[t].weight_bytes = 0;
    return t;
}

uint32_t tflite_emit_many(tflite_reader *r, tflite_node *n, op_kind kind, const uint32_t *in, uint32_t n_in,
                          const uint32_t *out, uint32_t n_out)
{
    if (error_is_set(r->e)) return NO_TENSOR;
    str name = n_out && out[0] != NO_TENSOR ? r->g->tensors[out[0]].name : n->name;
    for (size_t i = 1; i < name.len; i++) /* converters join the names of what they fused; the first says enough */
        if (name.ptr[i] == ';') name.len = i;
    uint32_t o = graph_add_op(r->g, n->s->region, kind, name.len ? name : n->name, in, n_in, out, n_out);
    if (o == NO_TENSOR) {
        error_nomem(r->e, r->g->a);
        return NO_TENSOR;
    }
    if (!n->labelled || kind == OP_Unknown) r->g->ops[o].type = n->name;
    n->labelled = true;
    return o;
}

uint32_t tflite_emit(tflite_reader *r, tflite_node *n, op_kind kind, const uint32_t *in, uint32_t n_in, uint32_t out)
{
    if (error_is_set(r->e)) return NO_TENSOR;
    if (out == NO_TENSOR) out = tflite_temporary(r, n);
    if (out == NO_TENSOR || tflite_emit_many(r, n, kind, in, n_in, &out, 1) == NO_TENSOR) return NO_TENSOR;
    return out;
}

tflite_form tflite_common_form(tflite_reader *r, const tflite_node *n, uint32_t from, uint32_t to, int *rank)
{
    tflite_form form = FORM_FILE;
    *rank = -1;
    for (uint32_t i = from; i < to && i < n->in.n; i++) {
        tflite_info info;
        int32_t t = tflite_in(n, i);
        if (t == -1 || !tflite_describe(r, n->s, t, &info)) continue;
        if (info.rank > *rank) *rank = info.rank;
        if (n->s->v[t].form[FORM_FIRST] || n->s->v[t].padded) form = FORM_FIRST;
    }
    for (uint32_t i = from; i < to && i < n->in.n; i++) { /* a value of fewer dims is aligned in the file's order */
        tflite_info info;
        int32_t t = tflite_in(n, i);
        if (t == -1 || !tflite_describe(r, n->s, t, &info)) continue;
        if (!info.constant && info.rank != *rank && info.rank != 0) form = FORM_FILE;
    }
    return *rank < 3 ? FORM_FILE : form;
}

/* ---- activations ---- */

enum { NONE, RELU, RELU_N1_TO_1, RELU6, TANH, SIGN_BIT };

uint32_t tflite_result(tflite_reader *r, const tflite_node *n, tflite_form form, int64_t activation)
{
    return activation == NONE ? tflite_define(r, n->s, tflite_out(n, 0), form) : tflite_temporary(r, n);
}

pg_code tflite_activate(tflite_reader *r, tflite_node *n, uint32_t made, tflite_form form, int64_t activation)
{
    static const uint16_t kinds[] = {
        [RELU] = OP_Relu, [RELU_N1_TO_1] = OP_Clip, [RELU6] = OP_Clip, [TANH] = OP_Tanh, [SIGN_BIT] = OP_Sign};
    if (activation == NONE || tflite_status(r)) return tflite_status(r);
    if (activation < 0 || activation > SIGN_BIT) return tflite_bad(r, n, "has an activation that there isn't");
    uint32_t out = tflite_define(r, n->s, tflite_out(n, 0), form);
    if (out != NO_TENSOR) tflite_emit(r, n, (op_kind)kinds[activation], &made, 1, out);
    return tflite_status(r);
}

/* ---- quantisation ---- */

bool tflite_quantised(const tflite_info *info)
{
    if (!info->scales) return false;
    switch (info->type) {
    case DT_INT8:
    case DT_UINT8:
    case DT_INT16:
    case DT_INT4:
    case DT_UINT4:
    case DT_INT2: return true;
    default: return false;
    }
}

static uint32_t literal(tflite_reader *r, dtype d, int64_t n)
{
    uint32_t t = graph_add_weight(r->g, STR(""), d, n > 1, &n);
    if (t == NO_TENSOR) {
        error_nomem(r->e, r->g->a);
        return t;
    }
    r->g->tensors[t].literal = r->g->tensors[t].defined = true;
    r->g->tensors[t].weight_bytes = n > 1 ? (double)n * dtype_bytes(d) : 0;
    return t;
}

uint32_t tflite_scale(tflite_reader *r, const tflite_info *info)
{
    if (info && info->scales > 1) return literal(r, DT_FP32, info->scales); /* one a channel */
    if (r->scale) return r->scale - 1;
    uint32_t t = literal(r, DT_FP32, 1);
    if (t != NO_TENSOR) r->scale = t + 1;
    return t;
}

uint32_t tflite_zero(tflite_reader *r, dtype d)
{
    if (r->zero[d]) return r->zero[d] - 1;
    uint32_t t = literal(r, d, 1);
    if (t != NO_TENSOR) r->zero[d] = t + 1;
    return t;
}

/* ---- batch normalisation ---- */

static bool contains(str s, const char *word)
{
    enum { MOST = 1024 };
    size_t n = strlen(word);
    for (size_t i = 0; i + n <= s.len && i < MOST; i++)
        if (!memcmp(s.ptr + i, word, n)) return true;
    return false;
}

bool tflite_was_normalised(const tflite_info *result, bool *biased)
{
    *biased = contains(result->name, "BiasAdd");
    return result->rank >= 2 && !result->open[result->rank - 1] && result->dims[result->rank - 1] > 1 &&
           contains(result->name, "FusedBatchNorm");
}

uint32_t tflite_normalise(tflite_reader *r, tflite_node *n, uint32_t x, uint32_t shift, int64_t channels,
                          tflite_form form, int64_t activation)
{
    uint32_t in[5] = {x, NO_TENSOR, shift};
    for (int i = 1; i < 5 && !error_is_set(r->e); i++) {
        if (i == 2 && shift != NO_TENSOR) continue;
        in[i] = literal(r, DT_FP32, channels);
        if (in[i] != NO_TENSOR) r->g->tensors[in[i]].weight_bytes = 0; /* in the weights of the convolution */
    }
    uint32_t out = tflite_result(r, n, form, activation);
    return tflite_emit(r, n, OP_BatchNormalization, in, 5, out);
}

/* ---- operators without a row ---- */

static pg_code warn_unknown(tflite_reader *r, const tflite_node *n)
{
    enum { MOST = 16 };
    bool added;
    if (!map_add(&r->unknown, n->name, 0, &added)) return error_nomem(r->e, r->g->a);
    if (!added || r->unknown.count > MOST + 1) return PG_E_OK;
    bool ok = r->unknown.count > MOST
                ? graph_warn(r->g, "more than %d operators are unknown: costed by their memory traffic only", (int)MOST)
                : graph_warn(r->g, "unknown operator '%.*s': costed by its memory traffic only", STR_ARG(n->name));
    return ok ? PG_E_OK : error_nomem(r->e, r->g->a);
}

/* All operands as the file has them; results of the shapes that the file says. */
static pg_code as_it_is(tflite_reader *r, tflite_node *n, op_kind kind)
{
    uint32_t *list = ARENA_ARRAY(r->g->a, uint32_t, (size_t)n->in.n + n->out.n);
    uint32_t n_in = 0, n_out = 0;
    if (!list) return error_nomem(r->e, r->g->a);
    for (uint32_t i = 0; i < n->in.n && !error_is_set(r->e); i++) {
        bool scratch = kind == OP_Unknown && tflite_is_scratch(r, n->s, tflite_in(n, i));
        list[n_in++] = scratch ? NO_TENSOR : tflite_get(r, n->s, tflite_in(n, i), FORM_FILE);
    }
    for (uint32_t i = 0; i < n->out.n && !error_is_set(r->e); i++) {
        tflite_info info;
        if (tflite_out(n, i) == -1 || !tflite_describe(r, n->s, tflite_out(n, i), &info)) continue;
        uint32_t t = tflite_define(r, n->s, tflite_out(n, i), FORM_FILE);
        if (t == NO_TENSOR || !tflite_declare(r, t, &info)) return tflite_status(r);
        list[n_in + n_out++] = t;
    }
    if (!tflite_status(r)) tflite_emit_many(r, n, kind, list, n_in, list + n_in, n_out);
    return tflite_status(r);
}

pg_code tflite_unknown(tflite_reader *r, tflite_node *n)
{
    pg_code code = warn_unknown(r, n);
    return code ? code : as_it_is(r, n, OP_Unknown);
}

pg_code tflite_rearrange(tflite_reader *r, tflite_node *n)
{
    return as_it_is(r, n, OP_Rearrange);
}

pg_code tflite_plain(tflite_reader *r, tflite_node *n)
{
    return as_it_is(r, n, n->kind);
}

/* ---- reading ---- */

static int64_t code_number(const flatbuffer_table *code)
{
    int64_t old = flatbuffer_i8(code, 0, 0), number = flatbuffer_i32(code, 3, 0);
    return old != PLACEHOLDER && old > number ? old : number; /* files from before the second field have the first */
}

int tflite_number(tflite_reader *r, const flatbuffer_table *o)
{
    int64_t index = flatbuffer_u32(o, 0, 0);
    if (index >= (int64_t)r->codes.n) return -1;
    flatbuffer_table code = flatbuffer_list_table(&r->codes, (uint32_t)index);
    int64_t number = code_number(&code);
    return number >= 0 && number < BUILTINS ? (int)number : -1;
}

bool tflite_is_pointwise(int number)
{
    return number >= 0 && number < BUILTINS &&
           (builtins[number].translate == tflite_unary || builtins[number].translate == tflite_binary);
}

static pg_code read_code(tflite_reader *r, tflite_node *n)
{
    int64_t index = flatbuffer_u32(&n->t, 0, 0);
    if (index >= (int64_t)r->codes.n) {
        n->name = STR("an operator");
        return tflite_bad(r, n, "has a kind that the file does not list");
    }
    flatbuffer_table code = flatbuffer_list_table(&r->codes, (uint32_t)index);
    int64_t number = code_number(&code);
    str custom = flatbuffer_text(&code, 1);
    n->number = number >= 0 && number < BUILTINS ? (int)number : -1;
    n->kind = n->number < 0 ? OP_Unknown : builtins[n->number].kind;
    n->name = n->number == CUSTOM && custom.len ? custom : n->number < 0 ? STR("?") : str_c(builtins[n->number].name);
    if (n->number < 0) {
        char made[32];
        size_t len = format_text(made, sizeof made, "BUILTIN_%lld", (long long)number);
        n->name = str_copy(r->g->a, (str){made, len});
    }
    return tflite_status(r);
}

pg_code tflite_read_node(tflite_reader *r, tflite_scope *s, uint32_t index)
{
    enum { EACH = 8 };
    tflite_node n = {.s = s, .index = index};
    n.t = flatbuffer_list_table(&s->operators, index);
    pg_code code = read_code(r, &n);
    if (code) return code;
    n.in = flatbuffer_list(&n.t, 1, 4);
    n.out = flatbuffer_list(&n.t, 2, 4);
    n.options = flatbuffer_child(&n.t, 4);
    n.options2 = flatbuffer_child(&n.t, 12);
    if (!tflite_charge(r, EACH + (uint64_t)n.in.n + n.out.n) || (code = tflite_status(r))) return r->e->code;
    if (n.in.n > UINT16_MAX || n.out.n > UINT16_MAX) return tflite_bad(r, &n, "has more than 65535 operands");
    code = n.number < 0 ? tflite_unknown(r, &n) : builtins[n.number].translate(r, &n);
    if (code) error_path(r->e, "operator %u (%.*s)", index, STR_ARG(n.name));
    return code;
}
