/* StableHLO operators in TensorFlow Lite files that have dimension numbers of their own. Their options stand in
 * builtin_options_2, with lists of 64-bit integers. */
#include "load/tflite_internal.h"

/* A list field of at most TFLITE_RANK * 2 numbers; false: longer. */
static bool longs(const flatbuffer_table *o, unsigned id, int64_t *out, uint32_t *n)
{
    flatbuffer_vector v = flatbuffer_list(o, id, 8);
    *n = v.n;
    if (v.n > 2 * TFLITE_RANK) return false;
    for (uint32_t i = 0; i < v.n; i++) out[i] = flatbuffer_list_i64(&v, i);
    return true;
}

/* Turns x so that its axes come in the order of perm. */
static uint32_t turned(tflite_reader *r, tflite_node *n, uint32_t x, const int64_t *perm, uint32_t rank, uint32_t out)
{
    bool same = true;
    for (uint32_t i = 0; i < rank; i++) same &= perm[i] == i;
    if (same && out == NO_TENSOR) return x;
    bool labelled = n->labelled;
    n->labelled = true;
    x = tflite_emit(r, n, same ? OP_Identity : OP_Transpose, &x, 1, out);
    n->labelled = labelled;
    if (!same && !tflite_status(r) && !graph_attr_ints(r->g, ATTR_perm, perm, rank)) error_nomem(r->e, r->g->a);
    return x;
}

typedef struct numbers {
    int64_t image[TFLITE_RANK], kernel[TFLITE_RANK],
        result[TFLITE_RANK]; /* batch or out, channels or in, spatial dims */
    int64_t stride[2 * TFLITE_RANK], padding[2 * TFLITE_RANK], dilation[2 * TFLITE_RANK], spread[2 * TFLITE_RANK];
    uint32_t n; /* spatial dims */
} numbers;

/* window_strides 0, padding 1 (before and after, a dim each), lhs_dilation 2, rhs_dilation 3, window_reversal 4, then of the input
 * batch 5, feature 6, spatial 7; of the kernel input 8, output 9, spatial 10; of the result batch 11, feature 12, spatial 13;
 * feature_group_count 14. */
static bool read_numbers(const flatbuffer_table *o, numbers *w)
{
    int64_t spatial[3][2 * TFLITE_RANK];
    uint32_t n[3], strides, pads, dilations, spreads;
    memset(w, 0, sizeof *w);
    for (unsigned i = 0; i < 3; i++)
        if (!longs(o, 7 + 3 * i, spatial[i], &n[i]) || n[i] != n[0] || n[i] < 1 || n[i] > 3) return false;
    w->n = n[0];
    if (!longs(o, 0, w->stride, &strides) || !longs(o, 1, w->padding, &pads) || !longs(o, 2, w->spread, &spreads) ||
        !longs(o, 3, w->dilation, &dilations))
        return false;
    for (uint32_t i = 0; i < w->n; i++) {
        if (!strides) w->stride[i] = 1;
        if (!dilations) w->dilation[i] = 1;
        if (spreads && w->spread[i] != 1) return false; /* a transposed convolution */
        w->image[2 + i] = spatial[0][i], w->kernel[2 + i] = spatial[1][i], w->result[2 + i] = spatial[2][i];
    }
    w->image[0] = flatbuffer_i64(o, 5, 0), w->image[1] = flatbuffer_i64(o, 6, 0);
    w->kernel[1] = flatbuffer_i64(o, 8, 0), w->kernel[0] = flatbuffer_i64(o, 9, 0);
    w->result[0] = flatbuffer_i64(o, 11, 0), w->result[1] = flatbuffer_i64(o, 12, 0);
    return (!strides || strides == w->n) && (!pads || pads == 2 * w->n) && (!dilations || dilations == w->n);
}

pg_code tflite_hlo_convolution(tflite_reader *r, tflite_node *n)
{
    numbers w;
    if (!read_numbers(&n->options2, &w)) return tflite_unknown(r, n);
    uint32_t rank = w.n + 2;
    int64_t back[TFLITE_RANK] = {0}, pads[6] = {0};
    for (uint32_t i = 0; i < rank; i++) {
        if (w.result[i] < 0 || w.result[i] >= rank) return tflite_bad(r, n, "has dimension numbers that there aren't");
        back[w.result[i]] = i;
    }
    for (uint32_t i = 0; i < w.n; i++) pads[i] = w.padding[2 * i], pads[w.n + i] = w.padding[2 * i + 1];
    uint32_t x = tflite_get(r, n->s, tflite_in(n, 0), FORM_FILE), k = tflite_get(r, n->s, tflite_in(n, 1), FORM_FILE);
    uint32_t out = tflite_define(r, n->s, tflite_out(n, 0), FORM_FILE);
    if (tflite_status(r)) return tflite_status(r);
    if (x == NO_TENSOR || k == NO_TENSOR) return tflite_bad(r, n, "lacks an input");
    uint32_t in[2] = {turned(r, n, x, w.image, rank, NO_TENSOR), turned(r, n, k, w.kernel, rank, NO_TENSOR)};
    uint32_t made = tflite_emit(r, n, OP_Conv, in, 2, NO_TENSOR);
    if (tflite_status(r)) return tflite_status(r);
    int64_t groups = flatbuffer_i64(&n->options2, 14, 1);
    bool ok = graph_attr_ints(r->g, ATTR_strides, w.stride, w.n) && graph_attr_ints(r->g, ATTR_pads, pads, 2 * w.n) &&
              graph_attr_ints(r->g, ATTR_dilations, w.dilation, w.n) && graph_attr_int(r->g, ATTR_group, groups);
    if (!ok) return error_nomem(r->e, r->g->a);
    turned(r, n, made, back, rank, out);
    return tflite_status(r);
}

/* lhs_batching 0, rhs_batching 1, lhs_contracting 2, rhs_contracting 3. The result: batch, what is left of the left, of the right. */
pg_code tflite_hlo_dot(tflite_reader *r, tflite_node *n)
{
    int64_t dims[4][2 * TFLITE_RANK];
    uint32_t count[4];
    tflite_info side[2];
    char letters[2][TFLITE_RANK + 1] = {{0}}, out[2 * TFLITE_RANK + 1] = {0}, equation[64];
    if (!tflite_in_info(r, n, 0, &side[0]) || !tflite_in_info(r, n, 1, &side[1])) return tflite_status(r);
    for (unsigned i = 0; i < 4; i++) {
        if (!longs(&n->options2, i, dims[i], &count[i]) || count[i] != count[i & 2])
            return tflite_bad(r, n, "has dimension numbers that don't fit each other");
        for (uint32_t k = 0; k < count[i]; k++)
            if (dims[i][k] < 0 || dims[i][k] >= side[i & 1].rank)
                return tflite_bad(r, n, "has dimension numbers that there aren't");
    }
    char next = 'a';
    size_t len = 0;
    for (unsigned i = 0; i < 4; i += 2)
        for (uint32_t k = 0; k < count[i] && next < 'z'; k++) {
            letters[0][dims[i][k]] = letters[1][dims[i + 1][k]] = next;
            if (!i && len < sizeof out - 1) out[len++] = next;
            next++;
        }
    for (unsigned s = 0; s < 2; s++)
        for (int i = 0; i < side[s].rank; i++)
            if (!letters[s][i]) {
                letters[s][i] = next;
                if (len < sizeof out - 1) out[len++] = next;
                next++;
            }
    size_t written = format_text(equation, sizeof equation, "%s,%s->%s", letters[0], letters[1], out);
    str text = str_copy(r->g->a, (str){equation, written < sizeof equation ? written : sizeof equation - 1});
    uint32_t in[2] = {tflite_get(r, n->s, tflite_in(n, 0), FORM_FILE), tflite_get(r, n->s, tflite_in(n, 1), FORM_FILE)};
    tflite_emit(r, n, OP_Einsum, in, 2, tflite_define(r, n->s, tflite_out(n, 0), FORM_FILE));
    if (tflite_status(r)) return tflite_status(r);
    return text.ptr && graph_attr_string(r->g, ATTR_equation, text) ? PG_E_OK : error_nomem(r->e, r->g->a);
}

/* start_indices 0, limit_indices 1, strides 2. */
pg_code tflite_hlo_slice(tflite_reader *r, tflite_node *n)
{
    int64_t list[3][2 * TFLITE_RANK], axes[TFLITE_RANK];
    uint32_t count[3];
    for (unsigned i = 0; i < 3; i++)
        if (!longs(&n->options2, i, list[i], &count[i]) || count[i] != count[0] || count[i] > TFLITE_RANK)
            return tflite_bad(r, n, "has bounds that don't fit each other");
    for (uint32_t i = 0; i < count[0]; i++) axes[i] = i;
    uint32_t x = tflite_get(r, n->s, tflite_in(n, 0), FORM_FILE);
    uint32_t in[5] = {x, tflite_list(r, list[0], count[0]), tflite_list(r, list[1], count[0]),
                      tflite_list(r, axes, count[0]), tflite_list(r, list[2], count[0])};
    uint32_t out = tflite_define(r, n->s, tflite_out(n, 0), FORM_FILE);
    if (!tflite_status(r) && x == NO_TENSOR) return tflite_bad(r, n, "lacks an input");
    tflite_emit(r, n, OP_Slice, in, 5, out);
    return tflite_status(r);
}

/* dimensions 0; what the body does costs about the same for sums, products and maxima. */
pg_code tflite_hlo_reduce(tflite_reader *r, tflite_node *n)
{
    int64_t axes[2 * TFLITE_RANK];
    uint32_t count;
    if (n->out.n != 1 || !longs(&n->options2, 0, axes, &count)) return tflite_unknown(r, n);
    uint32_t x = tflite_get(r, n->s, tflite_in(n, 0), FORM_FILE),
             out = tflite_define(r, n->s, tflite_out(n, 0), FORM_FILE);
    if (!tflite_status(r) && x == NO_TENSOR) return tflite_bad(r, n, "lacks an input");
    tflite_emit(r, n, OP_ReduceSum, &x, 1, out);
    if (tflite_status(r)) return tflite_status(r);
    bool ok = graph_attr_ints(r->g, ATTR_axes, axes, count) && graph_attr_int(r->g, ATTR_keepdims, 0);
    return ok ? PG_E_OK : error_nomem(r->e, r->g->a);
}

/* broadcast_dimensions 0: where the operand's dims are in the result's, whose shape the file says. */
pg_code tflite_broadcast_in_dim(tflite_reader *r, tflite_node *n)
{
    int64_t at[2 * TFLITE_RANK], dims[TFLITE_RANK], wide[TFLITE_RANK];
    uint32_t count;
    tflite_info x, y;
    if (!tflite_in_info(r, n, 0, &x) || !tflite_out_info(r, n, 0, &y)) return tflite_status(r);
    if (!longs(&n->options2, 0, at, &count) || (int)count != x.rank || y.rank < 0) return tflite_unknown(r, n);
    for (int i = 0; i < y.rank; i++) dims[i] = 1, wide[i] = y.open[i] ? 1 : y.dims[i];
    for (uint32_t i = 0; i < count; i++) {
        if (at[i] < 0 || at[i] >= y.rank) return tflite_bad(r, n, "has dimension numbers that there aren't");
        dims[at[i]] = x.open[i] ? -1 : x.dims[i];
    }
    uint32_t in[2] = {tflite_get(r, n->s, tflite_in(n, 0), FORM_FILE), tflite_list(r, dims, (uint32_t)y.rank)};
    n->labelled = true;
    uint32_t made = tflite_emit(r, n, OP_Reshape, in, 2, NO_TENSOR);
    n->labelled = false;
    uint32_t to[2] = {made, tflite_list(r, wide, (uint32_t)y.rank)};
    tflite_emit(r, n, OP_Expand, to, 2, tflite_define(r, n->s, tflite_out(n, 0), FORM_FILE));
    return tflite_status(r);
}
