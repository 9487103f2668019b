/* Arithmetic of TensorFlow Lite: element by element, products, reductions, and conversions between types. */
#include "load/tflite_internal.h"

/* ---- element by element ---- */

static pg_code put_alpha(tflite_reader *r, const tflite_node *n)
{
    if (n->kind != OP_LeakyRelu || tflite_status(r)) return tflite_status(r);
    return graph_attr_float(r->g, ATTR_alpha, flatbuffer_f32(&n->options, 0, 0)) ? PG_E_OK : error_nomem(r->e, r->g->a);
}

pg_code tflite_unary(tflite_reader *r, tflite_node *n)
{
    int rank;
    tflite_info x, y;
    if (!tflite_in_info(r, n, 0, &x) || !tflite_out_info(r, n, 0, &y)) return tflite_status(r);
    tflite_form form = tflite_common_form(r, n, 0, 1, &rank);
    uint32_t in[5] = {tflite_get(r, n->s, tflite_in(n, 0), form), tflite_scale(r, &x), tflite_zero(r, x.type),
                      tflite_scale(r, &y), tflite_zero(r, y.type)};
    uint32_t out = tflite_define(r, n->s, tflite_out(n, 0), form);
    op_kind kind = n->kind;
    if (tflite_quantised(&x) && kind == OP_Sigmoid) kind = OP_QLinearSigmoid;
    if (tflite_quantised(&x) && kind == OP_LeakyRelu) kind = OP_QLinearLeakyRelu;
    tflite_emit(r, n, kind, in, kind == n->kind ? 1 : 5, out);
    return put_alpha(r, n);
}

/* Options of ADD, SUB, MUL, DIV: activation 0. */
static int64_t fused_activation(const tflite_node *n)
{
    bool may = n->kind == OP_Add || n->kind == OP_Sub || n->kind == OP_Mul || n->kind == OP_Div;
    enum { LAST_OF_TFLITE = 161 };
    return may && n->number >= 0 && n->number <= LAST_OF_TFLITE ? flatbuffer_i8(&n->options, 0, 0) : 0;
}

static pg_code combine(tflite_reader *r, tflite_node *n, uint32_t count, int64_t activation)
{
    int rank;
    tflite_form form = tflite_common_form(r, n, 0, count, &rank);
    uint32_t *in = ARENA_ARRAY(r->g->a, uint32_t, count);
    if (!in) return error_nomem(r->e, r->g->a);
    for (uint32_t i = 0; i < count && !error_is_set(r->e); i++) {
        in[i] = tflite_get_broadcast(r, n->s, tflite_in(n, i), form, rank);
        if (in[i] == NO_TENSOR) return tflite_bad(r, n, "lacks an input");
    }
    uint32_t out = tflite_result(r, n, form, activation);
    tflite_emit(r, n, n->kind, in, count, out);
    return tflite_activate(r, n, out, form, activation);
}

pg_code tflite_binary(tflite_reader *r, tflite_node *n)
{
    tflite_info a, b, y;
    uint32_t count = n->kind == OP_Sum ? n->in.n : 2;
    if (!tflite_in_info(r, n, 0, &a)) return tflite_status(r);
    bool integers = tflite_quantised(&a) && (n->kind == OP_Add || n->kind == OP_Mul || n->kind == OP_Sub);
    if (!integers) return combine(r, n, count, tflite_quantised(&a) ? 0 : fused_activation(n));
    if (!tflite_in_info(r, n, 1, &b) || !tflite_out_info(r, n, 0, &y)) return tflite_status(r);
    int rank;
    tflite_form form = tflite_common_form(r, n, 0, 2, &rank);
    uint32_t in[8] = {tflite_get_broadcast(r, n->s, tflite_in(n, 0), form, rank),
                      tflite_scale(r, &a),
                      tflite_zero(r, a.type),
                      tflite_get_broadcast(r, n->s, tflite_in(n, 1), form, rank),
                      tflite_scale(r, &b),
                      tflite_zero(r, b.type),
                      tflite_scale(r, &y),
                      tflite_zero(r, y.type)};
    uint32_t out = tflite_define(r, n->s, tflite_out(n, 0), form);
    tflite_emit(r, n, n->kind == OP_Mul ? OP_QLinearMul : OP_QLinearAdd, in, 8, out);
    return tflite_status(r);
}

pg_code tflite_select(tflite_reader *r, tflite_node *n)
{
    return combine(r, n, 3, 0);
}

/* minimum, operand, maximum */
pg_code tflite_clamp(tflite_reader *r, tflite_node *n)
{
    uint32_t in[3];
    static const uint32_t order[3] = {1, 0, 2};
    for (uint32_t i = 0; i < 3; i++) in[i] = tflite_get(r, n->s, tflite_in(n, order[i]), FORM_FILE);
    uint32_t out = tflite_define(r, n->s, tflite_out(n, 0), FORM_FILE);
    if (!tflite_status(r) && in[0] == NO_TENSOR) return tflite_bad(r, n, "lacks an input");
    tflite_emit(r, n, OP_Clip, in, 3, out);
    return tflite_status(r);
}

pg_code tflite_square(tflite_reader *r, tflite_node *n)
{
    int rank;
    tflite_form form = tflite_common_form(r, n, 0, 1, &rank);
    uint32_t x = tflite_get(r, n->s, tflite_in(n, 0), form);
    uint32_t in[2] = {x, x}, out = tflite_define(r, n->s, tflite_out(n, 0), form);
    if (!tflite_status(r) && x == NO_TENSOR) return tflite_bad(r, n, "lacks an input");
    tflite_emit(r, n, OP_Mul, in, 2, out);
    return tflite_status(r);
}

pg_code tflite_prelu(tflite_reader *r, tflite_node *n)
{
    return combine(r, n, 2, 0);
}

/* Along the last axis of the file: softmax and normalisations. */
pg_code tflite_along(tflite_reader *r, tflite_node *n)
{
    int rank;
    tflite_info x, y;
    if (!tflite_in_info(r, n, 0, &x) || !tflite_out_info(r, n, 0, &y)) return tflite_status(r);
    tflite_form form = tflite_common_form(r, n, 0, 1, &rank);
    if (n->kind == OP_LRN) form = FORM_FIRST; /* over the channels */
    uint32_t in[5] = {tflite_get(r, n->s, tflite_in(n, 0), form), tflite_scale(r, &x), tflite_zero(r, x.type),
                      tflite_scale(r, &y), tflite_zero(r, y.type)};
    uint32_t out = tflite_define(r, n->s, tflite_out(n, 0), form);
    bool integers = n->kind == OP_Softmax && tflite_quantised(&x);
    tflite_emit(r, n, integers ? OP_QLinearSoftmax : n->kind, in, integers ? 5 : 1, out);
    if (tflite_status(r)) return tflite_status(r);
    int64_t axis = form == FORM_FIRST ? 1 : -1;
    return graph_attr_int(r->g, ATTR_axis, axis) ? PG_E_OK : error_nomem(r->e, r->g->a);
}

/* ---- products ---- */

/* FullyConnectedOptions: activation 0, weights_format 1, keep_num_dims 2. Weights are [out, in]; without keep_num_dims the input
 * is taken as rows of `in`. */
typedef struct dense {
    tflite_info x, w, y;
    int64_t activation;
    bool rows; /* more than two dims, all kept */
} dense;

/* Whether the input is an image of which the weights take all: then its order is theirs, which go along when it changes. */
static bool takes_image(const tflite_node *n, const dense *d)
{
    const tflite_value *v = &n->s->v[tflite_in(n, 0)];
    int64_t all = 1;
    for (int i = 1; i < d->x.rank; i++) {
        if (d->x.open[i] || d->x.dims[i] < 1 || all > INT32_MAX) return false;
        all *= d->x.dims[i];
    }
    return d->x.rank >= 3 && v->form[FORM_FIRST] && !d->rows && all == d->w.dims[1];
}

/* The input as a matrix, whatever its dims. */
static uint32_t as_rows(tflite_reader *r, tflite_node *n, const dense *d)
{
    uint32_t x = tflite_get(r, n->s, tflite_in(n, 0), takes_image(n, d) ? FORM_FIRST : FORM_FILE);
    bool fits = d->x.rank == 2 && (d->w.dims[1] == d->x.dims[1] || d->x.open[1]);
    if (fits || d->rows || x == NO_TENSOR) return x;
    uint32_t in[2] = {x, tflite_list(r, (const int64_t[]){-1, d->w.dims[1]}, 2)};
    uint32_t out = tflite_temporary(r, n);
    tflite_emit(r, n, OP_Reshape, in, 2, out);
    if (r->g->n_ops && !tflite_status(r)) r->g->ops[r->g->n_ops - 1].type = STR("Reshape");
    n->labelled = false;
    return out;
}

static pg_code dense_integers(tflite_reader *r, tflite_node *n, dense *d)
{
    uint32_t x = as_rows(r, n, d);
    uint32_t w = tflite_get(r, n->s, tflite_in(n, 1), d->rows ? FORM_TURNED : FORM_FILE);
    uint32_t bias = tflite_get(r, n->s, tflite_in(n, 2), FORM_FILE);
    uint32_t out = tflite_define(r, n->s, tflite_out(n, 0), FORM_FILE);
    uint32_t sx = tflite_scale(r, &d->x), zx = tflite_zero(r, d->x.type), sw = tflite_scale(r, &d->w),
             zw = tflite_zero(r, d->w.type), sy = tflite_scale(r, &d->y), zy = tflite_zero(r, d->y.type);
    if (d->rows) {
        tflite_emit(r, n, OP_QLinearMatMul, (const uint32_t[]){x, sx, zx, w, sw, zw, sy, zy}, 8, out);
        return tflite_status(r);
    }
    tflite_emit(r, n, OP_QGemm, (const uint32_t[]){x, sx, zx, w, sw, zw, bias, sy, zy}, 9, out);
    if (!tflite_status(r) && !graph_attr_int(r->g, ATTR_transB, 1)) return error_nomem(r->e, r->g->a);
    return tflite_status(r);
}

static pg_code dense_floats(tflite_reader *r, tflite_node *n, dense *d)
{
    uint32_t x = as_rows(r, n, d);
    uint32_t w = tflite_get(r, n->s, tflite_in(n, 1), d->rows ? FORM_TURNED : FORM_FILE);
    uint32_t bias = tflite_get(r, n->s, tflite_in(n, 2), FORM_FILE);
    bool add = d->rows && bias != NO_TENSOR, biased;
    bool normalised = !d->rows && bias != NO_TENSOR && tflite_was_normalised(&d->y, &biased);
    uint32_t out = add || normalised ? tflite_temporary(r, n) : tflite_result(r, n, FORM_FILE, d->activation);
    uint32_t in[3] = {x, w, bias}, shift = bias;
    if (normalised && !biased) bias = NO_TENSOR;
    else shift = NO_TENSOR;
    tflite_emit(r, n, d->rows ? OP_MatMul : OP_Gemm, in, d->rows || bias == NO_TENSOR ? 2 : 3, out);
    if (!tflite_status(r) && !d->rows && !graph_attr_int(r->g, ATTR_transB, 1)) return error_nomem(r->e, r->g->a);
    if (normalised) out = tflite_normalise(r, n, out, shift, d->y.dims[d->y.rank - 1], FORM_FILE, d->activation);
    if (add) {
        uint32_t sum = tflite_result(r, n, FORM_FILE, d->activation);
        tflite_emit(r, n, OP_Add, (const uint32_t[]){out, bias}, 2, sum);
        out = sum;
    }
    return tflite_activate(r, n, out, FORM_FILE, d->activation);
}

pg_code tflite_fully_connected(tflite_reader *r, tflite_node *n)
{
    dense d = {.activation = flatbuffer_i8(&n->options, 0, 0)};
    if (!tflite_in_info(r, n, 0, &d.x) || !tflite_in_info(r, n, 1, &d.w) || !tflite_out_info(r, n, 0, &d.y))
        return tflite_status(r);
    if (d.w.rank != 2) return tflite_bad(r, n, "has weights that are not a matrix");
    d.rows = flatbuffer_u8(&n->options, 2, 0) && d.x.rank > 2;
    if (tflite_quantised(&d.x)) return dense_integers(r, n, &d);
    return dense_floats(r, n, &d);
}

/* BatchMatMulOptions: adj_x 0, adj_y 1. */
pg_code tflite_batch_matmul(tflite_reader *r, tflite_node *n)
{
    tflite_info a, b, y;
    if (!tflite_in_info(r, n, 0, &a) || !tflite_in_info(r, n, 1, &b) || !tflite_out_info(r, n, 0, &y))
        return tflite_status(r);
    bool turned[2] = {flatbuffer_u8(&n->options, 0, 0) != 0, flatbuffer_u8(&n->options, 1, 0) != 0};
    const tflite_info *info[2] = {&a, &b};
    uint32_t in[2];
    for (uint32_t i = 0; i < 2; i++) {
        in[i] = tflite_get(r, n->s, tflite_in(n, i), FORM_FILE);
        int rank = info[i]->rank;
        if (!turned[i] || rank < 2 || in[i] == NO_TENSOR) continue;
        int64_t perm[TFLITE_RANK];
        for (int k = 0; k < rank; k++) perm[k] = k;
        perm[rank - 1] = rank - 2, perm[rank - 2] = rank - 1;
        bool labelled = n->labelled;
        n->labelled = true; /* the product bears the name */
        in[i] = tflite_emit(r, n, OP_Transpose, &in[i], 1, NO_TENSOR);
        n->labelled = labelled;
        if (!tflite_status(r) && !graph_attr_ints(r->g, ATTR_perm, perm, (uint32_t)rank))
            return error_nomem(r->e, r->g->a);
    }
    uint32_t out = tflite_define(r, n->s, tflite_out(n, 0), FORM_FILE);
    if (tflite_quantised(&a) && tflite_quantised(&b))
        tflite_emit(r, n, OP_QLinearMatMul,
                    (const uint32_t[]){in[0], tflite_scale(r, &a), tflite_zero(r, a.type), in[1], tflite_scale(r, &b),
                                       tflite_zero(r, b.type), tflite_scale(r, &y), tflite_zero(r, y.type)},
                    8, out);
    else tflite_emit(r, n, OP_MatMul, in, 2, out);
    return tflite_status(r);
}

/* ids, table */
pg_code tflite_embedding(tflite_reader *r, tflite_node *n)
{
    uint32_t in[2] = {tflite_get(r, n->s, tflite_in(n, 1), FORM_FILE), tflite_get(r, n->s, tflite_in(n, 0), FORM_FILE)};
    uint32_t out = tflite_define(r, n->s, tflite_out(n, 0), FORM_FILE);
    if (!tflite_status(r) && (in[0] == NO_TENSOR || in[1] == NO_TENSOR)) return tflite_bad(r, n, "lacks an input");
    tflite_emit(r, n, OP_Gather, in, 2, out);
    return tflite_status(r);
}

/* ---- reductions ---- */

/* The form of what is left of `form` when the axes in `mask` (of that form) go; -1: its dims would be out of order. */
static int form_after(tflite_form form, int rank, uint32_t mask)
{
    if (form == FORM_FILE) return FORM_FILE;
    bool batch = !(mask & 1), channels = !(mask & 2);
    int spatial = 0;
    for (int i = 2; i < rank; i++) spatial += !(mask >> i & 1);
    if (!channels || !spatial) return FORM_FILE;
    return batch ? FORM_FIRST : -1;
}

/* ReducerOptions: keep_dims 0. Operands: data, axes. */
pg_code tflite_reduce(tflite_reader *r, tflite_node *n)
{
    int64_t axes[TFLITE_RANK];
    uint32_t count, mask = 0;
    int rank;
    bool keep = flatbuffer_u8(&n->options, 0, 0) != 0;
    bool known = tflite_ints(r, n->s, tflite_in(n, 1), axes, TFLITE_RANK, &count);
    tflite_form form = known ? tflite_common_form(r, n, 0, 1, &rank) : FORM_FILE;
    int after = (int)form;
    for (uint32_t i = 0; known && form == FORM_FIRST && i < count; i++) {
        int axis = tflite_axis(form, rank, axes[i]);
        if (axis < 0) return tflite_bad(r, n, "reduces an axis that there isn't");
        mask |= 1u << axis;
    }
    if (!keep && form == FORM_FIRST) after = form_after(form, rank, mask);
    if (after < 0) form = FORM_FILE, after = FORM_FILE;
    uint32_t in[2] = {tflite_get(r, n->s, tflite_in(n, 0), form), NO_TENSOR};
    if (!known) in[1] = tflite_get(r, n->s, tflite_in(n, 1), FORM_FILE);
    uint32_t out = tflite_define(r, n->s, tflite_out(n, 0), (tflite_form)after);
    if (!tflite_status(r) && in[0] == NO_TENSOR) return tflite_bad(r, n, "lacks an input");
    tflite_emit(r, n, n->kind, in, in[1] == NO_TENSOR ? 1 : 2, out);
    if (tflite_status(r)) return tflite_status(r);
    for (uint32_t i = 0; form == FORM_FIRST && i < count; i++) axes[i] = tflite_axis(form, rank, axes[i]);
    bool ok = graph_attr_int(r->g, ATTR_keepdims, keep);
    if (known && count) ok = ok && graph_attr_ints(r->g, ATTR_axes, axes, count);
    return ok ? PG_E_OK : error_nomem(r->e, r->g->a);
}

/* Operands: data, axis. */
pg_code tflite_arg_reduce(tflite_reader *r, tflite_node *n)
{
    int64_t axis = -1;
    uint32_t count;
    int rank, after = FORM_FILE;
    bool known = tflite_ints(r, n->s, tflite_in(n, 1), &axis, 1, &count);
    tflite_form form = known ? tflite_common_form(r, n, 0, 1, &rank) : FORM_FILE;
    if (form == FORM_FIRST) {
        axis = tflite_axis(form, rank, axis);
        if (axis < 0) return tflite_bad(r, n, "reduces an axis that there isn't");
        after = form_after(form, rank, 1u << axis);
        if (after < 0) return tflite_rearrange(r, n);
    }
    uint32_t in = tflite_get(r, n->s, tflite_in(n, 0), form);
    uint32_t out = tflite_define(r, n->s, tflite_out(n, 0), (tflite_form)after);
    if (!tflite_status(r) && in == NO_TENSOR) return tflite_bad(r, n, "lacks an input");
    tflite_emit(r, n, n->kind, &in, 1, out);
    if (tflite_status(r)) return tflite_status(r);
    return graph_attr_int(r->g, ATTR_axis, axis) && graph_attr_int(r->g, ATTR_keepdims, 0) ? PG_E_OK
                                                                                           : error_nomem(r->e, r->g->a);
}

/* Operands: data, k. */
pg_code tflite_top_k(tflite_reader *r, tflite_node *n)
{
    uint32_t in[2] = {tflite_get(r, n->s, tflite_in(n, 0), FORM_FILE), tflite_get(r, n->s, tflite_in(n, 1), FORM_FILE)};
    uint32_t out[2] = {tflite_define(r, n->s, tflite_out(n, 0), FORM_FILE), NO_TENSOR};
    if (n->out.n > 1) out[1] = tflite_define(r, n->s, tflite_out(n, 1), FORM_FILE);
    if (!tflite_status(r) && (in[0] == NO_TENSOR || in[1] == NO_TENSOR)) return tflite_bad(r, n, "lacks an input");
    tflite_emit_many(r, n, OP_TopK, in, 2, out, n->out.n > 1 ? 2 : 1);
    return tflite_status(r);
}

/* ---- types ---- */

pg_code tflite_cast(tflite_reader *r, tflite_node *n)
{
    int rank;
    tflite_info y;
    if (!tflite_out_info(r, n, 0, &y)) return tflite_status(r);
    tflite_form form = tflite_common_form(r, n, 0, 1, &rank);
    uint32_t in = tflite_get(r, n->s, tflite_in(n, 0), form), out = tflite_define(r, n->s, tflite_out(n, 0), form);
    if (!tflite_status(r) && in == NO_TENSOR) return tflite_bad(r, n, "lacks an input");
    tflite_emit(r, n, n->kind, &in, 1, out);
    if (tflite_status(r)) return tflite_status(r);
    return graph_attr_int(r->g, ATTR_to, tflite_dtype_code(y.type)) ? PG_E_OK : error_nomem(r->e, r->g->a);
}

pg_code tflite_quantize(tflite_reader *r, tflite_node *n)
{
    int rank;
    tflite_info y;
    if (!tflite_out_info(r, n, 0, &y)) return tflite_status(r);
    tflite_form form = tflite_common_form(r, n, 0, 1, &rank);
    uint32_t in[3] = {tflite_get(r, n->s, tflite_in(n, 0), form), tflite_scale(r, &y), tflite_zero(r, y.type)};
    uint32_t out = tflite_define(r, n->s, tflite_out(n, 0), form);
    if (!tflite_status(r) && in[0] == NO_TENSOR) return tflite_bad(r, n, "lacks an input");
    tflite_emit(r, n, OP_QuantizeLinear, in, 3, out);
    return tflite_status(r);
}

/* DEQUANTIZE and DENSIFY of a constant: the weight is stored so and widened once, when the model is loaded. */
static pg_code stored_weight(tflite_reader *r, tflite_node *n)
{
    int32_t from = tflite_in(n, 0), to = tflite_out(n, 0);
    tflite_info y;
    if (!tflite_out_info(r, n, 0, &y)) return tflite_status(r);
    uint32_t t = tflite_define(r, n->s, to, FORM_FILE); /* that nothing else makes it */
    if (t == NO_TENSOR) return tflite_status(r);
    uint32_t root = n->s->v[from].stored ? n->s->v[from].stored : (uint32_t)from + 1;
    n->s->v[to] = (tflite_value){.stored = root};
    return PG_E_OK;
}

pg_code tflite_dequantize(tflite_reader *r, tflite_node *n)
{
    int rank;
    tflite_info x;
    if (!tflite_in_info(r, n, 0, &x)) return tflite_status(r);
    if (x.constant) return stored_weight(r, n);
    tflite_form form = tflite_common_form(r, n, 0, 1, &rank);
    uint32_t in[3] = {tflite_get(r, n->s, tflite_in(n, 0), form), tflite_scale(r, &x), tflite_zero(r, x.type)};
    uint32_t out = tflite_define(r, n->s, tflite_out(n, 0), form);
    bool integers = tflite_quantised(&x);
    if (n->kind != OP_Identity && !integers) n->kind = OP_Cast; /* half to single */
    tflite_emit(r, n, n->kind, in, n->kind == OP_DequantizeLinear ? 3 : 1, out);
    if (tflite_status(r) || n->kind != OP_Cast) return tflite_status(r);
    return graph_attr_int(r->g, ATTR_to, 1) ? PG_E_OK : error_nomem(r->e, r->g->a);
}
