/* Building blocks of the Keras loader: numbers of a configuration, weights, operators. */
#include "load/keras_internal.h"

void keras_fail(keras *k, const keras_layer *l, pg_code code, const char *fmt, ...)
{
    char text[256];
    va_list args;
    k->failed = true;
    if (error_is_set(k->e)) return;
    va_start(args, fmt);
    format_textv(text, sizeof text, fmt, args);
    va_end(args);
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = '?';
    error_set(k->e, code, "%s", text);
    if (!l) return;
    char name[96];
    format_text(name, sizeof name, "%s", l->name);
    for (char *c = name; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = '?';
    error_path(k->e, "layer '%s'", name);
}

bool keras_must(keras *k, bool ok)
{
    if (ok || k->failed) return ok && !k->failed;
    error_nomem(k->e, k->scratch.failed ? &k->scratch : k->g->a);
    k->failed = true;
    return false;
}

void keras_give(keras *k, keras_list *out, uint32_t t)
{
    if (k->failed) return;
    if (out->n == out->cap) {
        uint32_t cap = out->cap ? out->cap * 2 : 2;
        uint32_t *bigger = arena_grow(&k->scratch, out->t, out->cap, cap, sizeof *bigger);
        if (!keras_must(k, bigger != NULL)) return;
        out->t = bigger;
        out->cap = cap;
    }
    out->t[out->n++] = t;
}

/* ---- shapes ---- */

const tensor_shape *keras_shape(keras *k, uint32_t t)
{
    if (!k->failed && shape_walk_step(k->shapes, k->e)) k->failed = true;
    return shape_walk_at(k->shapes, k->failed ? NO_TENSOR : t);
}

int keras_rank(keras *k, uint32_t t)
{
    return keras_shape(k, t)->rank;
}

num keras_declared(const keras *k, num n)
{
    return n.sym == SYM_OPAQUE ? num_unknown() : shape_walk_declared(k->shapes, n);
}

int64_t keras_dim(keras *k, uint32_t t, int axis)
{
    const tensor_shape *s = keras_shape(k, t);
    if (axis < 0) axis += s->rank;
    return axis >= 0 && axis < s->rank && num_plain(s->dims[axis]) ? s->dims[axis].v.i : -1;
}

/* ---- numbers of a configuration ---- */

static bool size_is(double v)
{
    return v >= 1 && v <= INT32_MAX;
}

int64_t keras_size(keras *k, const keras_layer *l, const char *key, int64_t fallback)
{
    const json_t *v = json_object_get(l->config, key);
    if ((!v || json_is_null(v)) && fallback > 0) return fallback;
    int64_t size = json_get_int(l->config, key, -1);
    if (size_is((double)size)) return size;
    if (v && !json_is_number(v) && !json_is_null(v))
        keras_fail(k, l, PG_E_GRAPH, "its %s is not a number; save the model again", key);
    else
        keras_fail(k, l, PG_E_GRAPH, "its %s is %s; it must be from 1 to 2147483647", key,
                   !v || json_is_null(v) ? "missing" : "out of range");
    return 1;
}

int keras_ints(const json_t *list, int most, int64_t *out)
{
    if (json_is_integer(list)) {
        out[0] = json_integer_value(list);
        return 1;
    }
    if (json_is_object(list)) list = json_object_get(list, "items"); /* Keras 3 writes tuples so */
    size_t n = json_is_array(list) ? json_array_size(list) : 0;
    if (!json_is_array(list) || n > (size_t)most) return -1;
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(list, i);
        if (!json_is_integer(v)) return -1;
        out[i] = json_integer_value(v);
    }
    return (int)n;
}

bool keras_sizes(keras *k, const keras_layer *l, const char *key, int n, int64_t fallback, int64_t *out)
{
    const json_t *v = json_object_get(l->config, key);
    if ((!v || json_is_null(v)) && fallback > 0) {
        for (int i = 0; i < n; i++) out[i] = fallback;
        return !k->failed;
    }
    int have = keras_ints(v, n, out);
    for (int i = 0; have == 1 && i < n; i++) out[i] = out[0];
    bool ok = have == 1 || have == n;
    for (int i = 0; ok && i < n; i++) ok = size_is((double)out[i]);
    if (!ok)
        keras_fail(k, l, PG_E_GRAPH, "its %s should be %d number%s from 1 to 2147483647; save the model again", key, n,
                   n == 1 ? "" : "s");
    return ok;
}

bool keras_uses_bias(const keras_layer *l)
{
    return json_get_bool(l->config, "use_bias", json_get_bool(l->config, "bias", true));
}

bool keras_channels_first(const keras_layer *l)
{
    const char *format = json_get_text(l->config, "data_format", NULL);
    if (format) return !strcmp(format, "channels_first");
    return !strcmp(json_get_text(l->config, "dim_ordering", "tf"), "th"); /* Keras 1 */
}

dtype keras_dtype(const json_t *given, dtype fallback)
{
    static const struct {
        const char *name;
        dtype type;
    } known[] = {{"float32", DT_FP32},       {"float16", DT_FP16}, {"half", DT_FP16},     {"bfloat16", DT_BF16},
                 {"float64", DT_FP64},       {"int8", DT_INT8},    {"uint8", DT_UINT8},   {"int16", DT_INT16},
                 {"uint16", DT_UINT16},      {"int32", DT_INT32},  {"int64", DT_INT64},   {"uint32", DT_UINT32},
                 {"uint64", DT_UINT64},      {"bool", DT_BOOL},    {"string", DT_STRING}, {"mixed_float16", DT_FP32},
                 {"mixed_bfloat16", DT_FP32}};
    if (json_is_object(given)) /* a policy: {"class_name": "Policy", "config": {"name": "mixed_float16"}} */
        given = json_object_get(json_object_get(given, "config"), "name");
    const char *name = json_is_string(given) ? json_string_value(given) : "";
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (!strcmp(name, known[i].name)) return known[i].type;
    return fallback;
}

/* ---- weights ---- */

static str name_of(keras *k, const keras_layer *l, const char *suffix)
{
    char text[512];
    size_t n = format_text(text, sizeof text, "%.*s%s%s%s", STR_ARG(l->prefix), l->name, suffix[0] ? "/" : "", suffix);
    str s = str_copy(k->g->a, (str){text, n < sizeof text ? n : sizeof text - 1});
    keras_must(k, s.ptr != NULL);
    return s;
}

uint32_t keras_weight(keras *k, keras_layer *l, const char *name, int rank, const int64_t *dims)
{
    if (k->failed) return NO_TENSOR;
    if (l->at < l->n_made) return l->made[l->at++];
    double n = 1;
    for (int i = 0; i < rank; i++) {
        n *= (double)dims[i];
        if (dims[i] < 1) {
            keras_fail(k, l, PG_E_GRAPH, "the shape of its %s can't be told, as that of its input is not known", name);
            return NO_TENSOR;
        }
    }
    if (n > 1e15) keras_fail(k, l, PG_E_LIMIT, "its %s would have %.3g elements; the file is damaged", name, n);
    str full = name_of(k, l, name);
    if (k->failed) return NO_TENSOR;
    uint32_t t = graph_add_weight(k->g, full, l->weights, rank, dims);
    if (!keras_must(k, t != NO_TENSOR)) return NO_TENSOR;
    keras_list made = {l->made, l->n_made, l->cap_made};
    keras_give(k, &made, t);
    l->made = made.t;
    l->n_made = made.n;
    l->cap_made = made.cap;
    l->at = l->n_made;
    return t;
}

uint32_t keras_buffer(keras *k, keras_layer *l, const char *name, int rank, const int64_t *dims)
{
    uint32_t t = keras_weight(k, l, name, rank, dims);
    if (t != NO_TENSOR) k->g->tensors[t].buffer = true;
    return t;
}

uint32_t keras_scalar(keras *k, double v)
{
    uint32_t out = k->failed ? NO_TENSOR : graph_add_tensor(k->g, STR("constant"), DT_UNKNOWN);
    if (k->failed || !keras_must(k, out != NO_TENSOR)) return NO_TENSOR;
    uint32_t o = graph_add_op(k->g, k->region, OP_Constant, STR("constant"), NULL, 0, &out, 1);
    keras_must(k, o != NO_TENSOR && graph_attr_float(k->g, ATTR_value_float, v));
    return k->failed ? NO_TENSOR : out;
}

int64_t keras_stored_dim(keras *k, const keras_layer *l, const char *weight, int axis)
{
    char key[256];
    size_t n = format_text(key, sizeof key, "%s/%s", l->name, weight);
    const uint32_t *at = n < sizeof key ? map_find(&k->stored, (str){key, n}) : NULL;
    if (!at) return -1;
    const load_weight *w = &k->list[*at];
    if (axis < 0) axis += w->rank;
    return axis >= 0 && axis < w->rank && size_is((double)w->dims[axis]) ? w->dims[axis] : -1;
}

/* ---- operators ---- */

uint32_t keras_op_outs(keras *k, const keras_layer *l, op_kind kind, const uint32_t *in, uint32_t n_in, uint32_t *out,
                       uint32_t n_out)
{
    for (uint32_t i = 0; i < n_out; i++) out[i] = NO_TENSOR;
    if (k->failed) return NO_TENSOR;
    str name = name_of(k, l, "");
    for (uint32_t i = 0; !k->failed && i < n_out; i++) {
        out[i] = graph_add_tensor(k->g, name, DT_UNKNOWN);
        keras_must(k, out[i] != NO_TENSOR);
    }
    if (k->failed) return NO_TENSOR;
    uint32_t o = graph_add_op(k->g, k->region, kind, name, in, n_in, out, n_out);
    keras_must(k, o != NO_TENSOR);
    return k->failed ? NO_TENSOR : o;
}

uint32_t keras_op(keras *k, const keras_layer *l, op_kind kind, const uint32_t *in, uint32_t n_in)
{
    uint32_t out;
    return keras_op_outs(k, l, kind, in, n_in, &out, 1) == NO_TENSOR ? NO_TENSOR : out;
}

void keras_int(keras *k, attr_key key, int64_t v)
{
    if (!k->failed) keras_must(k, graph_attr_int(k->g, key, v));
}

void keras_list_attr(keras *k, attr_key key, const int64_t *v, int n)
{
    if (!k->failed) keras_must(k, graph_attr_ints(k->g, key, v, (uint32_t)n));
}

void keras_region(keras *k, attr_key key, uint32_t body)
{
    if (!k->failed) keras_must(k, graph_attr_index(k->g, key, ATTR_REGION, body));
}

void keras_float(keras *k, attr_key key, double v)
{
    if (!k->failed) keras_must(k, graph_attr_float(k->g, key, v));
}

void keras_text(keras *k, attr_key key, const char *v)
{
    if (!k->failed) keras_must(k, graph_attr_string(k->g, key, str_c(v)));
}

void keras_last(keras *k, bool channels_last)
{
    if (!k->failed && channels_last) k->g->ops[k->g->n_ops - 1].flags |= OPF_CHANNELS_LAST;
}

uint32_t keras_reshape(keras *k, const keras_layer *l, uint32_t x, const int64_t *dims, int rank)
{
    uint32_t y = keras_op1(k, l, OP_Reshape, x);
    keras_list_attr(k, ATTR_shape, dims, rank);
    return y;
}

uint32_t keras_numbers(keras *k, const num *v, int n, int rank)
{
    int64_t dim = n;
    if (k->failed) return NO_TENSOR;
    uint32_t t = graph_add_weight(k->g, STR("numbers"), DT_INT64, rank, &dim);
    num *value = ARENA_ARRAY(k->g->a, num, (size_t)n);
    if (!keras_must(k, t != NO_TENSOR && value)) return NO_TENSOR;
    memcpy(value, v, (size_t)n * sizeof *value);
    k->g->tensors[t].value = value;
    k->g->tensors[t].value_count = (uint32_t)n;
    k->g->tensors[t].weight_bytes = 0;
    return t;
}

uint32_t keras_reshape_to(keras *k, const keras_layer *l, uint32_t x, const num *dims, int rank)
{
    num to[MAX_RANK];
    bool guessed = false;
    for (int i = 0; i < rank; i++) {
        to[i] = keras_declared(k, dims[i]);
        if (num_known(to[i])) continue;
        if (guessed) keras_fail(k, l, PG_E_UNSUPPORTED, "more than one dimension of its input is not known");
        guessed = true;
        to[i] = num_int(-1);
    }
    return keras_op2(k, l, OP_Reshape, x, keras_numbers(k, to, rank, 1));
}

uint32_t keras_transpose(keras *k, const keras_layer *l, uint32_t x, const int64_t *perm, int rank)
{
    uint32_t y = keras_op1(k, l, OP_Transpose, x);
    keras_list_attr(k, ATTR_perm, perm, rank);
    return y;
}

uint32_t keras_unsqueeze(keras *k, const keras_layer *l, uint32_t x, int64_t axis)
{
    uint32_t y = keras_op1(k, l, OP_Unsqueeze, x);
    keras_list_attr(k, ATTR_axes, &axis, 1);
    return y;
}

uint32_t keras_reduce(keras *k, const keras_layer *l, op_kind kind, uint32_t x, const int64_t *axes, int n, bool keep)
{
    uint32_t y = keras_op1(k, l, kind, x);
    if (n > 0) keras_list_attr(k, ATTR_axes, axes, n);
    keras_int(k, ATTR_keepdims, keep);
    return y;
}

uint32_t keras_cast(keras *k, const keras_layer *l, uint32_t x, dtype to)
{
    if (keras_shape(k, x)->dtype == to) return x;
    int64_t code = 1;
    while (code < 32 && dtype_of_code(code) != to) code++;
    uint32_t y = keras_op1(k, l, OP_Cast, x);
    keras_int(k, ATTR_to, code);
    return y;
}

uint32_t keras_linear(keras *k, keras_layer *l, uint32_t x, const char *kernel, int64_t in, int64_t out,
                      const char *bias)
{
    uint32_t w = keras_weight(k, l, kernel, 2, (int64_t[]){in, out}), b = NO_TENSOR;
    if (bias) b = keras_weight(k, l, bias, 1, &out);
    if (keras_rank(k, x) == 2 && bias) return keras_op(k, l, OP_Gemm, (uint32_t[]){x, w, b}, 3);
    uint32_t y = keras_op2(k, l, OP_MatMul, x, w);
    return bias ? keras_op2(k, l, OP_Add, y, b) : y;
}

/* ---- what is not known ---- */

/* One warning for each name. */
static void warn_unknown(keras *k, const char *name)
{
    enum { MAX_WARNINGS = 16 };
    bool added;
    str copy = str_copy(&k->scratch, str_c(name));
    if (!keras_must(k, copy.ptr && map_add(&k->unknown, copy, 0, &added))) return;
    if (!added || k->unknown.count > MAX_WARNINGS + 1) return;
    keras_must(k, k->unknown.count > MAX_WARNINGS
                      ? graph_warn(k->g, "more than %d layers are unknown: costed by their memory traffic only",
                                   (int)MAX_WARNINGS)
                      : graph_warn(k->g, "unknown layer '%s': costed by its memory traffic only", name));
}

/* The shape that Keras 3 says of a result: a list of numbers, null for the batch and for what is free. */
enum { SAID_RANK = 8 };

void keras_declare(keras *k, uint32_t t, const json_t *said)
{
    num dims[SAID_RANK];
    size_t n = json_array_size(said);
    if (!json_is_array(said) || n > SAID_RANK) return;
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(said, i);
        int64_t size = json_is_integer(v) ? json_integer_value(v) : -1;
        dims[i] = size >= 0 && size <= INT32_MAX ? num_int(size) : num_unknown();
        if (i == 0 && json_is_null(v)) dims[i] = (num){{.i = 0}, 1, k->g->batch_symbol};
    }
    keras_must(k, graph_set_dims(k->g, t, (int)n, dims));
}

/* The weights that the file holds below a layer's name, up to what an operator can have. */
static void stored_weights(keras *k, keras_layer *l, keras_list *in)
{
    enum { MOST = 256 };
    size_t n = strlen(l->name);
    for (uint32_t i = 0; i < k->n_list && in->n < MOST && !k->failed; i++) {
        const load_weight *w = &k->list[i];
        if (w->buffer || !dtype_get(w->type)->floating) continue;
        if (w->name.len <= n || memcmp(w->name.ptr, l->name, n) != 0 || w->name.ptr[n] != '/') continue;
        int64_t dims[8];
        bool empty = false;
        for (int d = 0; d < w->rank; d++) {
            dims[d] = w->dims[d];
            empty |= dims[d] < 1;
        }
        char leaf[200];
        format_text(leaf, sizeof leaf, "%.*s", STR_ARG(((str){w->name.ptr + n + 1, w->name.len - n - 1})));
        if (!empty) keras_give(k, in, keras_weight(k, l, leaf, w->rank, dims));
    }
}

void keras_unknown(keras *k, keras_call *c, uint32_t like)
{
    keras_list in = {0};
    for (uint32_t i = 0; i < c->n_in; i++) keras_give(k, &in, c->in[i]);
    warn_unknown(k, c->l->class);
    stored_weights(k, c->l, &in);
    if (in.n > UINT16_MAX) keras_fail(k, c->l, PG_E_LIMIT, "it has more than 65535 inputs");
    const tensor_shape *same = keras_shape(k, like); /* what it says is gone once the operator is there */
    dtype type = like == NO_TENSOR ? c->l->weights : (dtype)same->dtype;
    int rank = like == NO_TENSOR ? -1 : same->rank;
    num dims[MAX_RANK];
    for (int i = 0; i < rank; i++) dims[i] = keras_declared(k, same->dims[i]);
    uint32_t out, o = keras_op_outs(k, c->l, OP_Unknown, in.t, in.n, &out, 1);
    if (o == NO_TENSOR) return;
    str name = str_copy(k->g->a, str_c(c->l->class));
    if (!keras_must(k, name.ptr != NULL)) return;
    k->g->ops[o].type = name;
    k->g->tensors[out].dtype = (uint8_t)type;
    if (rank >= 0) keras_must(k, graph_set_dims(k->g, out, rank, dims));
    else if (like == NO_TENSOR) keras_declare(k, out, c->said);
    keras_give(k, &c->out, out);
}
