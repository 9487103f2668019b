/* Functions whose arguments decide more than an operator: shapes, axes, slices. Rules that can't read their arguments leave an unknown
 * operator. */
#include "load/keras_ops.h"

#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})

enum { MOST = 8 };

static void give(keras *k, keras_call *c, uint32_t t)
{
    keras_give(k, &c->out, t);
}

static bool number(const json_t *v, int64_t *out)
{
    if (!json_is_integer(v)) return false;
    *out = json_integer_value(v);
    return *out >= -INT32_MAX && *out <= INT32_MAX;
}

static int64_t axis_of(const keras_call *c, size_t at, int64_t fallback)
{
    int64_t axis;
    return number(keras_argument(c, at, NAMES("axis", "dim")), &axis) ? axis : fallback;
}

/* Whether the function is called by this name, whatever stands in front of it. */
static bool called(const keras_call *c, const char *name)
{
    char low[96];
    const char *given = json_get_text(c->l->config, "function", c->l->class);
    str_fold(low, sizeof low, str_c(given));
    return str_ends(str_c(low), name);
}

void keras_function_matmul(keras *k, keras_call *c)
{
    uint32_t x[2] = {keras_operand(k, c, 0, NAMES("a", "x1", "x")), keras_operand(k, c, 1, NAMES("b", "x2", "y"))};
    static const char *const turned[] = {"transpose_a", "transpose_b"};
    for (int i = 0; i < 2; i++) {
        int64_t perm[MOST];
        int rank = x[i] == NO_TENSOR ? -1 : keras_rank(k, x[i]);
        if (!json_is_true(json_object_get(c->kwargs, turned[i])) || rank < 2 || rank > MOST) continue;
        for (int d = 0; d < rank; d++) perm[d] = d;
        perm[rank - 1] = rank - 2;
        perm[rank - 2] = rank - 1;
        x[i] = keras_transpose(k, c->l, x[i], perm, rank);
    }
    if (x[0] == NO_TENSOR || x[1] == NO_TENSOR) keras_unknown(k, c, NO_TENSOR);
    else give(k, c, keras_op2(k, c->l, OP_MatMul, x[0], x[1]));
}

void keras_function_einsum(keras *k, keras_call *c)
{
    const json_t *v = keras_argument(c, 0, NAMES("subscripts", "equation"));
    if (!v) v = json_array_get(c->args, 0);
    str text = json_is_string(v) ? str_copy(k->g->a, str_c(json_string_value(v))) : (str){NULL, 0};
    if (!text.ptr || !c->n_in || c->n_in > MOST) {
        keras_unknown(k, c, NO_TENSOR);
        return;
    }
    uint32_t y = keras_op(k, c->l, OP_Einsum, c->in, c->n_in);
    keras_text(k, ATTR_equation, text.ptr);
    give(k, c, y);
}

void keras_function_where(keras *k, keras_call *c)
{
    uint32_t in[3] = {keras_operand(k, c, 0, NAMES("condition")), keras_operand(k, c, 1, NAMES("x", "x1")),
                      keras_operand(k, c, 2, NAMES("y", "x2"))};
    if (in[0] == NO_TENSOR || in[1] == NO_TENSOR || in[2] == NO_TENSOR) keras_unknown(k, c, NO_TENSOR);
    else give(k, c, keras_op(k, c->l, OP_Where, in, 3));
}

void keras_function_softmax(keras *k, keras_call *c)
{
    uint32_t y = keras_op1(k, c->l, called(c, "logsoftmax") ? OP_LogSoftmax : OP_Softmax, keras_in(c));
    keras_int(k, ATTR_axis, axis_of(c, 1, -1));
    give(k, c, y);
}

void keras_function_normalize(keras *k, keras_call *c)
{
    uint32_t y = keras_op1(k, c->l, OP_LpNormalization, keras_in(c));
    keras_int(k, ATTR_axis, axis_of(c, 1, -1));
    give(k, c, y);
}

void keras_function_clip(keras *k, keras_call *c)
{
    uint32_t x = keras_in(c), low = keras_scalar(k, 0), high = keras_scalar(k, 6); /* their values cost nothing */
    give(k, c, keras_op(k, c->l, OP_Clip, (uint32_t[]){x, low, high}, 3));
}

void keras_function_cumsum(keras *k, keras_call *c)
{
    int64_t axis = axis_of(c, 1, -1);
    uint32_t at = graph_add_ints(k->g, STR("axis"), 0, &axis, 1);
    if (keras_must(k, at != NO_TENSOR)) give(k, c, keras_op2(k, c->l, OP_CumSum, keras_in(c), at));
}

void keras_function_arg(keras *k, keras_call *c)
{
    uint32_t y = keras_op1(k, c->l, called(c, "argmin") ? OP_ArgMin : OP_ArgMax, keras_in(c));
    keras_int(k, ATTR_axis, axis_of(c, 1, 0));
    keras_int(k, ATTR_keepdims, json_is_true(keras_argument(c, 2, NAMES("keepdims"))));
    give(k, c, y);
}

void keras_function_cast(keras *k, keras_call *c)
{
    give(k, c, keras_cast(k, c->l, keras_in(c), keras_dtype(keras_argument(c, 1, NAMES("dtype")), DT_FP32)));
}

/* ---- shapes ---- */

/* A list of numbers and of tensors that hold a number, as one tensor; NO_TENSOR: it is none. */
static uint32_t shape_tensor(keras *k, keras_call *c, const json_t *list)
{
    keras_list parts = {0};
    size_t n = json_array_size(list);
    if (!n || n > MOST) return NO_TENSOR;
    for (size_t i = 0; i < n && !k->failed; i++) {
        int64_t size;
        const json_t *v = json_array_get(list, i);
        uint32_t t = keras_tensor(k, c->scope, v);
        if (t != NO_TENSOR) t = keras_reshape(k, c->l, t, (int64_t[]){1}, 1);
        else if (number(v, &size)) t = graph_add_ints(k->g, STR("size"), 1, &size, 1);
        else return NO_TENSOR;
        keras_give(k, &parts, t);
    }
    uint32_t y = keras_op(k, c->l, OP_Concat, parts.t, parts.n);
    keras_int(k, ATTR_axis, 0);
    return y;
}

void keras_function_reshape(keras *k, keras_call *c)
{
    int64_t dims[MOST];
    const json_t *v = keras_argument(c, 1, NAMES("shape", "newshape", "target_shape", "y"));
    int n = called(c, "flatten") ? 1 : keras_ints(v, MOST, dims);
    if (called(c, "flatten")) dims[0] = -1;
    for (int i = 0; i < n; i++)
        if (dims[i] < -1 || dims[i] > INT32_MAX) n = -1;
    uint32_t to = n >= 0 ? NO_TENSOR : keras_tensor(k, c->scope, v);
    if (n < 0 && to == NO_TENSOR) to = shape_tensor(k, c, v);
    if (n >= 0) give(k, c, keras_reshape(k, c->l, keras_in(c), dims, n));
    else if (to != NO_TENSOR) give(k, c, keras_op2(k, c->l, OP_Reshape, keras_in(c), to));
    else keras_unknown(k, c, NO_TENSOR);
}

void keras_function_transpose(keras *k, keras_call *c)
{
    int64_t perm[MOST], pair[2];
    int rank = keras_rank(k, keras_in(c));
    int n = keras_ints(keras_argument(c, 1, NAMES("perm", "axes", "dims")), MOST, perm);
    if (n <= 0 && rank >= 0 && rank <= MOST) {
        n = rank;
        for (int i = 0; i < rank; i++) perm[i] = rank - 1 - i;
    }
    if (called(c, "swapaxes") && n == rank && number(json_object_get(c->l->config, "axis1"), &pair[0]) &&
        number(json_object_get(c->l->config, "axis2"), &pair[1])) {
        for (int i = 0; i < rank; i++) perm[i] = i;
        for (int i = 0; i < 2; i++) pair[i] += pair[i] < 0 ? rank : 0;
        if (pair[0] >= 0 && pair[0] < rank && pair[1] >= 0 && pair[1] < rank) {
            perm[pair[0]] = pair[1];
            perm[pair[1]] = pair[0];
        }
    }
    if (n != rank || n < 1) keras_unknown(k, c, NO_TENSOR);
    else give(k, c, keras_transpose(k, c->l, keras_in(c), perm, n));
}

void keras_function_concat(keras *k, keras_call *c)
{
    if (c->n_in > UINT16_MAX) {
        keras_fail(k, c->l, PG_E_LIMIT, "it has more than 65535 inputs");
        return;
    }
    uint32_t y = keras_op(k, c->l, OP_Concat, c->in, c->n_in);
    keras_int(k, ATTR_axis, axis_of(c, 1, -1));
    give(k, c, y);
}

void keras_function_stack(keras *k, keras_call *c)
{
    int64_t axis = axis_of(c, 1, 0);
    keras_list parts = {0};
    for (uint32_t i = 0; i < c->n_in && i < UINT16_MAX; i++)
        keras_give(k, &parts, keras_unsqueeze(k, c->l, c->in[i], axis));
    if (!parts.n) return;
    uint32_t y = keras_op(k, c->l, OP_Concat, parts.t, parts.n);
    keras_int(k, ATTR_axis, axis);
    give(k, c, y);
}

/* Into equal parts, or parts of these sizes. Unstacking takes the axis away. */
void keras_function_split(keras *k, keras_call *c)
{
    enum { PARTS = 64 };
    uint32_t x = keras_in(c), parts[PARTS];
    bool each = called(c, "unstack");
    int64_t axis = axis_of(c, 2, 0), sizes[PARTS], n = 0;
    int listed = keras_ints(keras_argument(c, 1, NAMES("num_or_size_splits", "indices_or_sections", "num")), PARTS,
                            sizes);
    int rank = keras_rank(k, x);
    if (each) n = rank > 0 && axis >= -rank && axis < rank ? keras_dim(k, x, (int)axis) : -1;
    else if (listed == 1) n = sizes[0];
    else if (listed > 1 && !json_object_get(c->l->entry, "module")) n = listed;
    if (n < 1 || n > PARTS) {
        keras_unknown(k, c, NO_TENSOR);
        return;
    }
    keras_op_outs(k, c->l, OP_Split, &x, 1, parts, (uint32_t)n);
    keras_int(k, ATTR_axis, axis);
    if (listed > 1 && !each) keras_list_attr(k, ATTR_split, sizes, (int)n);
    else keras_int(k, ATTR_num_outputs, n);
    for (int64_t i = 0; i < n; i++) {
        if (each) {
            parts[i] = keras_op1(k, c->l, OP_Squeeze, parts[i]);
            keras_list_attr(k, ATTR_axes, &axis, 1);
        }
        give(k, c, parts[i]);
    }
}

void keras_function_expand(keras *k, keras_call *c)
{
    give(k, c, keras_unsqueeze(k, c->l, keras_in(c), axis_of(c, 1, -1)));
}

void keras_function_squeeze(keras *k, keras_call *c)
{
    int64_t axes[MOST];
    int n = keras_ints(keras_argument(c, 1, NAMES("axis", "squeeze_dims")), MOST, axes);
    uint32_t y = keras_op1(k, c->l, OP_Squeeze, keras_in(c));
    if (n > 0) keras_list_attr(k, ATTR_axes, axes, n);
    give(k, c, y);
}

void keras_function_tile(keras *k, keras_call *c)
{
    int64_t times[MOST];
    int n = keras_ints(keras_argument(c, 1, NAMES("multiples", "repeats")), MOST, times);
    bool ok = n > 0 && n == keras_rank(k, keras_in(c));
    for (int i = 0; i < n; i++) ok = ok && times[i] >= 0 && times[i] <= INT32_MAX;
    if (!ok) {
        keras_unknown(k, c, NO_TENSOR);
        return;
    }
    uint32_t y = keras_op1(k, c->l, OP_Tile, keras_in(c));
    keras_list_attr(k, ATTR_repeats, times, n);
    give(k, c, y);
}

/* Along one axis; in which order does not matter to what it costs. */
void keras_function_repeat(keras *k, keras_call *c)
{
    int64_t times[MOST], n = 0, axis = axis_of(c, 2, -1);
    int rank = keras_rank(k, keras_in(c));
    bool ok = number(keras_argument(c, 1, NAMES("repeats", "rep")), &n) && n >= 0 && rank >= 1 && rank <= MOST;
    if (axis < 0) axis += rank;
    if (!ok || axis < 0 || axis >= rank) {
        keras_unknown(k, c, NO_TENSOR);
        return;
    }
    for (int i = 0; i < rank; i++) times[i] = i == axis ? n : 1;
    uint32_t y = keras_op1(k, c->l, OP_Tile, keras_in(c));
    keras_list_attr(k, ATTR_repeats, times, rank);
    give(k, c, y);
}

void keras_function_pad(keras *k, keras_call *c)
{
    int64_t pads[2 * MOST], pair[2];
    const json_t *v = keras_argument(c, 1, NAMES("paddings", "pad_width"));
    int n = (int)(json_array_size(v) > MOST ? 0 : json_array_size(v));
    bool ok = n > 0 && n == keras_rank(k, keras_in(c));
    for (int i = 0; ok && i < n; i++) {
        ok = keras_ints(json_array_get(v, (size_t)i), 2, pair) == 2 && pair[0] >= 0 && pair[1] >= 0 &&
             pair[0] <= INT32_MAX && pair[1] <= INT32_MAX;
        pads[i] = pair[0];
        pads[n + i] = pair[1];
    }
    if (!ok) {
        keras_unknown(k, c, NO_TENSOR);
        return;
    }
    uint32_t y = keras_op1(k, c->l, OP_Pad, keras_in(c));
    keras_list_attr(k, ATTR_pads, pads, 2 * n);
    give(k, c, y);
}

void keras_function_shape(keras *k, keras_call *c)
{
    give(k, c, keras_op1(k, c->l, called(c, "size") ? OP_Size : OP_Shape, keras_in(c)));
}

void keras_function_broadcast(keras *k, keras_call *c)
{
    int64_t dims[MOST];
    int n = keras_ints(keras_argument(c, 1, NAMES("shape")), MOST, dims);
    uint32_t to = n > 0 && !k->failed ? graph_add_ints(k->g, STR("shape"), 1, dims, (uint32_t)n) : NO_TENSOR;
    if (to == NO_TENSOR) keras_unknown(k, c, NO_TENSOR);
    else give(k, c, keras_op2(k, c->l, OP_Expand, keras_in(c), to));
}

/* ---- slices ---- */

typedef struct slices {
    int64_t start[MOST], end[MOST], step[MOST], axis[MOST], drop[MOST], added[MOST];
    int n, dropped, fresh;
} slices;

static int64_t bound_of(const json_t *slice, const char *key, int64_t fallback)
{
    int64_t v;
    return number(json_object_get(slice, key), &v) ? v : fallback;
}

/* What x[...] selects: numbers, {"start", "stop", "step"}, null for a new axis, an ellipsis; one of them, a list of them, or a tuple
 * of Keras 3. False: something else. */
static bool read_slices(const json_t *given, int rank, slices *s)
{
    const json_t *items = json_object_get(given, "items"), *list = json_is_array(items) ? items : given;
    size_t n = json_is_array(list) ? json_array_size(list) : 1;
    int fixed = 0, axis = 0;
    if (!given || n > MOST || rank < 0) return false;
    for (size_t i = 0; i < n; i++) fixed += !json_is_null(json_array_get(list, i));
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_is_array(list) ? json_array_get(list, i) : given;
        int64_t at;
        const char *class = json_get_text(v, "class_name", json_is_string(v) ? json_string_value(v) : "");
        if (strstr(class, "llipsis") || !strcmp(class, "...")) {
            axis += rank - (fixed - 1);
            continue;
        }
        if (json_is_null(v)) {
            s->added[s->fresh] = axis - s->dropped + s->fresh;
            s->fresh++;
            continue;
        }
        if (axis < 0 || axis >= rank || s->n >= MOST) return false;
        if (number(v, &at)) {
            s->start[s->n] = at;
            s->end[s->n] = at == -1 ? INT64_MAX : at + 1;
            s->step[s->n] = 1;
            s->drop[s->dropped++] = axis;
        } else if (json_is_object(v)) {
            const json_t *slice = json_is_object(json_object_get(v, "config")) ? json_object_get(v, "config") : v;
            s->step[s->n] = bound_of(slice, "step", 1);
            if (s->step[s->n] == 0) return false;
            s->start[s->n] = bound_of(slice, "start", s->step[s->n] > 0 ? 0 : INT64_MAX);
            s->end[s->n] = bound_of(slice, "stop", s->step[s->n] > 0 ? INT64_MAX : INT64_MIN);
        } else {
            return false;
        }
        s->axis[s->n++] = axis++;
    }
    return true;
}

static uint32_t ints(keras *k, const int64_t *v, int n)
{
    uint32_t t = k->failed ? NO_TENSOR : graph_add_ints(k->g, STR("slice"), 1, v, (uint32_t)n);
    keras_must(k, t != NO_TENSOR);
    return t;
}

void keras_function_getitem(keras *k, keras_call *c)
{
    slices s;
    memset(&s, 0, sizeof s);
    uint32_t x = keras_in(c);
    const json_t *v = keras_argument(c, 1, NAMES("slice_spec", "key"));
    bool ok = read_slices(v, keras_rank(k, x), &s);
    if (!ok) {
        keras_unknown(k, c, NO_TENSOR);
        return;
    }
    if (s.n) {
        uint32_t in[5] = {x, ints(k, s.start, s.n), ints(k, s.end, s.n), ints(k, s.axis, s.n), ints(k, s.step, s.n)};
        x = keras_op(k, c->l, OP_Slice, in, 5);
    }
    if (s.dropped) {
        x = keras_op1(k, c->l, OP_Squeeze, x);
        keras_list_attr(k, ATTR_axes, s.drop, s.dropped);
    }
    for (int i = 0; i < s.fresh; i++) x = keras_unsqueeze(k, c->l, x, s.added[i]);
    give(k, c, x);
}

void keras_function_gather(keras *k, keras_call *c)
{
    uint32_t x = keras_operand(k, c, 0, NAMES("params", "x")), at = keras_operand(k, c, 1, NAMES("indices"));
    if (x == NO_TENSOR || at == NO_TENSOR) {
        keras_unknown(k, c, NO_TENSOR);
        return;
    }
    uint32_t y = keras_op2(k, c->l, OP_Gather, x, at);
    keras_int(k, ATTR_axis, axis_of(c, 2, 0));
    give(k, c, y);
}

void keras_function_one_hot(keras *k, keras_call *c)
{
    int64_t depth;
    if (!number(keras_argument(c, 1, NAMES("depth", "num_classes")), &depth) || depth < 1) {
        keras_unknown(k, c, NO_TENSOR);
        return;
    }
    uint32_t in[3] = {keras_in(c), graph_add_ints(k->g, STR("depth"), 0, &depth, 1), NO_TENSOR};
    in[2] = graph_add_weight(k->g, STR("values"), DT_FP32, 1, (int64_t[]){2});
    if (!keras_must(k, in[1] != NO_TENSOR && in[2] != NO_TENSOR)) return;
    k->g->tensors[in[2]].buffer = true;
    uint32_t y = keras_op(k, c->l, OP_OneHot, in, 3);
    keras_int(k, ATTR_axis, axis_of(c, 2, -1));
    give(k, c, y);
}

/* An image to a height and a width; channels last, as TensorFlow's images are. */
void keras_function_resize(keras *k, keras_call *c)
{
    uint32_t x = keras_in(c);
    int64_t size[2], axes[2];
    int rank = keras_rank(k, x);
    bool ok = keras_ints(keras_argument(c, 1, NAMES("size")), 2, size) == 2 && (rank == 3 || rank == 4);
    for (int i = 0; ok && i < 2; i++) ok = size[i] >= 1 && size[i] <= INT32_MAX;
    if (!ok) {
        keras_unknown(k, c, NO_TENSOR);
        return;
    }
    axes[0] = rank - 3;
    axes[1] = rank - 2;
    const json_t *method = keras_argument(c, 2, NAMES("method", "interpolation"));
    bool nearest = json_is_string(method) && !strcmp(json_string_value(method), "nearest");
    uint32_t y = keras_op(k, c->l, OP_Resize, (uint32_t[]){x, NO_TENSOR, NO_TENSOR, ints(k, size, 2)}, 4);
    keras_list_attr(k, ATTR_axes, axes, 2);
    keras_text(k, ATTR_mode, nearest ? "nearest" : "linear");
    keras_last(k, true);
    give(k, c, y);
}

/* Blocks of channels and space change places: a reshape and a transpose, which is what it costs. */
void keras_function_blocks(keras *k, keras_call *c)
{
    uint32_t x = keras_in(c);
    int64_t n, width = keras_dim(k, x, -1);
    bool spread = called(c, "depthtospace");
    bool ok = number(keras_argument(c, 1, NAMES("block_size")), &n) && n >= 1 && n <= 64 && width >= 1 &&
              keras_rank(k, x) == 4 && (!spread || width % (n * n) == 0);
    if (!ok) {
        keras_unknown(k, c, NO_TENSOR);
        return;
    }
    x = keras_transpose(k, c->l, x, (int64_t[]){0, 3, 1, 2}, 4);
    x = keras_op1(k, c->l, spread ? OP_DepthToSpace : OP_SpaceToDepth, x);
    keras_int(k, ATTR_blocksize, n);
    give(k, c, keras_transpose(k, c->l, x, (int64_t[]){0, 2, 3, 1}, 4));
}

void keras_function_flip(keras *k, keras_call *c)
{
    give(k, c, keras_op1(k, c->l, OP_Reverse, keras_in(c)));
}

/* As large as x, and nothing but zeros or ones. */
void keras_function_like(keras *k, keras_call *c)
{
    give(k, c, keras_op2(k, c->l, OP_Mul, keras_in(c), keras_scalar(k, 0)));
}

void keras_function_square(keras *k, keras_call *c)
{
    give(k, c, keras_op2(k, c->l, OP_Mul, keras_in(c), keras_in(c)));
}
