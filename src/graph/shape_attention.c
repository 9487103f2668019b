/* Fused attention operators: com.microsoft's, and ONNX's own (here ScaledDotProductAttention). */
#include "graph/shape_internal.h"

static num dim_or_unknown(const tensor_shape *t, int rank, int i)
{
    return has_rank(t) && t->rank == rank ? t->dims[i] : num_unknown();
}

/* input [B, S, in], weights [in, q + k + v]; QAttention has the same with scales in between. */
pg_code shape_attention(infer *x, const op *o)
{
    bool quantized = o->kind == OP_QAttention;
    const tensor_shape *t = ranked(x, o, 0), *w = in_at(x, o, 1), *bias = in_at(x, o, 2);
    const tensor_shape *past = ranked(x, o, quantized ? 8 : 4);
    dtype d = dtype_of(in_at(x, o, quantized ? 3 : 0));
    if (!t) return out_dtype(x, o, 0, d);
    if (t->rank != 3)
        return shape_fail(x, o, "its input should be [batch, sequence, hidden], but it is %s", SHAPE_S(x, t));
    const int64_t *sizes;
    int64_t heads = op_attr_int(x->g, o, ATTR_num_heads, 0);
    num hidden = num_floor_div(has_rank(w) && w->rank == 2 ? w->dims[1] : dim_or_unknown(bias, 1, 0), num_int(3)),
        inner;
    num head = heads > 0 ? num_floor_div(hidden, num_int(heads)) : num_unknown();
    if (op_attr_ints(x->g, o, ATTR_qkv_hidden_sizes, &sizes) == 3) {
        hidden = num_int(sizes[2]);
        head = heads > 0 ? num_int(sizes[1] / heads) : num_unknown();
    }
    if (has_rank(w) && (w->rank != 2 || !dim_same(x, t->dims[2], w->dims[0], &inner)))
        return shape_fail(x, o, "the input %s doesn't fit the weights %s", SHAPE_S(x, t), SHAPE_S(x, w));
    num out[3] = {t->dims[0], t->dims[1], hidden};
    num present[5] = {num_int(2), t->dims[0], heads > 0 ? num_int(heads) : num_unknown(), t->dims[1], head};
    if (past && past->rank == 5) {
        bool shared = op_attr_int(x->g, o, ATTR_past_present_share_buffer, 0) != 0;
        present[3] = shared ? past->dims[3] : num_add(past->dims[3], t->dims[1]);
    }
    pg_code code = out_dims(x, o, 0, d, 3, out);
    return code ? code : out_dims(x, o, 1, d, 5, present);
}

typedef struct heads {
    num batch, length, kv_length, heads, kv_heads, size, v_size;
} heads;

/* present_key, present_value [B, kv heads, total, size] as outputs 1 and 2, the scores as output 3. */
static pg_code present_dims(infer *x, const op *o, dtype d, const heads *h, num total)
{
    num key[4] = {h->batch, h->kv_heads, total, h->size}, value[4] = {h->batch, h->kv_heads, total, h->v_size};
    num scores[4] = {h->batch, h->heads, h->length, total};
    pg_code code = out_dims(x, o, 1, d, 4, key);
    if (!code) code = out_dims(x, o, 2, d, 4, value);
    return code ? code : out_dims(x, o, 3, d, 4, scores);
}

/* query [B, S, hidden], or packed [B, S, heads, 3, size]; key and value [B, L, hidden], [B, heads, L, size], or packed
 * [B, L, heads, 2, size]; bias, key_padding_mask, attention_bias, past_key, past_value [B, heads, P, size] */
pg_code shape_multi_head_attention(infer *x, const op *o)
{
    const tensor_shape *q = ranked(x, o, 0), *k = ranked(x, o, 1), *v = ranked(x, o, 2);
    const tensor_shape *past = ranked(x, o, 6);
    dtype d = dtype_of(in_at(x, o, 0));
    int64_t n = op_attr_int(x->g, o, ATTR_num_heads, 0);
    if (!q) return out_dtype(x, o, 0, d);
    if (n < 1 || (q->rank != 3 && q->rank != 5))
        return shape_fail(x, o, "its query should be [batch, sequence, hidden], but it is %s, with num_heads %lld",
                          SHAPE_S(x, q), (long long)n);
    heads h = {.batch = q->dims[0], .length = q->dims[1], .heads = num_int(n), .kv_heads = num_int(n)};
    h.kv_length = h.length;
    h.size = q->rank == 5 ? q->dims[4] : num_floor_div(q->dims[2], num_int(n));
    h.v_size = h.size;
    if (k && (k->rank == 3 || k->rank == 5)) h.kv_length = k->dims[1];
    if (k && k->rank == 4) h.kv_length = k->dims[2];
    if (v && v->rank == 3) h.v_size = num_floor_div(v->dims[2], num_int(n));
    if (v && v->rank == 4) h.v_size = v->dims[3];
    num out[3] = {h.batch, h.length, v && v->rank == 3 ? v->dims[2] : num_mul(h.v_size, num_int(n))};
    num total = past && past->rank == 4 ? num_add(past->dims[2], h.kv_length) : h.kv_length;
    pg_code code = out_dims(x, o, 0, d, 3, out);
    return code ? code : present_dims(x, o, d, &h, total);
}

/* query [B, S, hidden] (or packed with key and value left out), key, value [B, S, kv hidden], past_key, past_value
 * [B, kv heads, P, size], seqlens_k, total_sequence_length, ... */
pg_code shape_group_query_attention(infer *x, const op *o)
{
    const tensor_shape *q = ranked(x, o, 0), *k = in_at(x, o, 1), *past = ranked(x, o, 3);
    dtype d = dtype_of(in_at(x, o, 0));
    int64_t n = op_attr_int(x->g, o, ATTR_num_heads, 0), kv = op_attr_int(x->g, o, ATTR_kv_num_heads, 0);
    if (!q) return out_dtype(x, o, 0, d);
    if (n < 1 || kv < 1 || n > INT32_MAX || kv > INT32_MAX || q->rank != 3)
        return shape_fail(x, o,
                          "its query should be [batch, sequence, hidden], but it is %s, with num_heads %lld and "
                          "kv_num_heads %lld",
                          SHAPE_S(x, q), (long long)n, (long long)kv);
    heads h = {.batch = q->dims[0], .length = q->dims[1], .heads = num_int(n), .kv_heads = num_int(kv)};
    h.size = num_floor_div(q->dims[2], num_int(k ? n : n + 2 * kv));
    h.v_size = h.size;
    num out[3] = {h.batch, h.length, k ? q->dims[2] : num_mul(h.size, num_int(n))};
    num total = scalar_get(x, o, 6, ATTR_shape, num_unknown());
    if (past && past->rank == 4) {
        if (num_known(total)) total = num_max(total, past->dims[2]);
        else if (op_attr_int(x->g, o, ATTR_past_present_share_buffer, 0)) total = past->dims[2];
        else total = num_add(past->dims[2], h.length);
    } else if (!num_known(total)) {
        total = h.length;
    }
    pg_code code = out_dims(x, o, 0, d, 3, out);
    return code ? code : present_dims(x, o, d, &h, total);
}

static bool split_heads(const tensor_shape *t, int64_t n, num *length, num *count, num *size)
{
    if (t->rank == 4) {
        *count = t->dims[1];
        *length = t->dims[2];
        *size = t->dims[3];
        return true;
    }
    if (t->rank != 3 || n < 1) return false;
    *count = num_int(n);
    *length = t->dims[1];
    *size = num_floor_div(t->dims[2], num_int(n));
    return true;
}

/* Q, K, V as [B, heads, S, size], or [B, S, hidden] with q_num_heads and kv_num_heads; mask, past_key, past_value */
pg_code shape_sdpa(infer *x, const op *o)
{
    const tensor_shape *q = ranked(x, o, 0), *k = ranked(x, o, 1), *v = ranked(x, o, 2), *past = ranked(x, o, 4);
    dtype d = dtype_of(in_at(x, o, 0));
    int64_t n = op_attr_int(x->g, o, ATTR_q_num_heads, 0), kv = op_attr_int(x->g, o, ATTR_kv_num_heads, n);
    num ignored, v_length;
    heads h;
    if (!q || !k || !v) return out_dtype(x, o, 0, d);
    if (!split_heads(q, n, &h.length, &h.heads, &h.size) || !split_heads(k, kv, &h.kv_length, &h.kv_heads, &ignored) ||
        !split_heads(v, kv, &v_length, &ignored, &h.v_size))
        return shape_fail(x, o,
                          "its query %s, key %s and value %s should have 4 dimensions, or 3 with q_num_heads and "
                          "kv_num_heads given",
                          SHAPE_S(x, q), SHAPE_S(x, k), SHAPE_S(x, v));
    if (!dim_same(x, h.kv_length, v_length, &h.kv_length))
        return shape_fail(x, o, "its key %s and value %s differ in length", SHAPE_S(x, k), SHAPE_S(x, v));
    h.batch = q->dims[0];
    num total = past && past->rank == 4 ? num_add(past->dims[2], h.kv_length) : h.kv_length;
    num four[4] = {h.batch, h.heads, h.length, h.v_size}, three[3] = {h.batch, h.length, num_mul(h.heads, h.v_size)};
    pg_code code = out_dims(x, o, 0, d, q->rank, q->rank == 4 ? four : three);
    return code ? code : present_dims(x, o, d, &h, total);
}
