/* Embeddings and attention. */
#include "load/aten_rows.h"

static aten_value embedding(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    uint32_t w = aten_data(x, A(0)), t = aten_data(x, A(1));
    if (w == NO_TENSOR || t == NO_TENSOR) return aten_unknown();
    aten_hint_tokens(x, t);
    return aten_tensor(aten_emit2(x, OP_Gather, w, t));
}

/* Rows of a table, summed bag by bag; bags are taken to be of one size. */
static aten_value embedding_bag(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    uint32_t w = aten_data(x, A(0)), t = aten_data(x, A(1)), bags = aten_data(x, A(2));
    if (w == NO_TENSOR || t == NO_TENSOR || bags == NO_TENSOR) return aten_unknown();
    if (aten_rank(x, w) != 2 || aten_rank(x, bags) != 1) return aten_unknown();
    num dims[3] = {aten_shape(x, bags)->dims[0], num_int(-1), aten_shape(x, w)->dims[1]};
    t = aten_reshape(x, aten_emit2(x, OP_Gather, w, t), dims, 3);
    aten_begin(x, OP_ReduceSum, (uint32_t[]){t, aten_constant(x, 1, (num[]){num_int(1)}, 1)}, 2, 1);
    aten_attr(x, ATTR_keepdims, 0);
    aten_value sum = aten_end(x);
    return aten_new_list(x, ATEN_TUPLE, (aten_value[]){sum, aten_unknown(), aten_unknown(), aten_unknown()}, 4);
}

static aten_value attend(aten *x, uint32_t q, uint32_t k, uint32_t v, uint32_t mask, bool causal)
{
    uint32_t in[4] = {q, k, v, mask};
    if (q == NO_TENSOR || k == NO_TENSOR || v == NO_TENSOR) return aten_unknown();
    aten_begin(x, OP_ScaledDotProductAttention, in, mask == NO_TENSOR ? 3 : 4, 1);
    if (causal) aten_attr(x, ATTR_is_causal, 1);
    if (aten_rank(x, q) == 3) {
        aten_attr(x, ATTR_q_num_heads, 1);
        aten_attr(x, ATTR_kv_num_heads, 1);
    }
    return aten_end(x);
}

/* (q, k, v, mask, dropout, is_causal); the inner functions (q, k, v, dropout or bias, ..., is_causal) give more than the output */
static aten_value attention(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    bool inner = row->op == OP_Attention, causal = false;
    for (uint32_t i = 4; i < n; i++) causal |= aten_is_true(arg[i]) && (!inner || i >= 4);
    if (!inner) causal = aten_is_true(A(5));
    aten_value out = attend(x, aten_data(x, A(0)), aten_data(x, A(1)), aten_data(x, A(2)), aten_data(x, A(3)), causal);
    return inner && !x->code ? aten_tuple_of(x, out, 9) : out;
}

/* [batch, steps, width] to [batch, heads, steps, width / heads] */
static uint32_t split_heads(aten *x, uint32_t t, int64_t heads)
{
    const tensor_shape *s = aten_shape(x, t);
    if (s->rank != 3 || heads < 1) return NO_TENSOR;
    num dims[4] = {s->dims[0], s->dims[1], num_int(heads), num_floor_div(s->dims[2], num_int(heads))};
    return aten_transpose(x, aten_reshape(x, t, dims, 4), (const int64_t[]){0, 2, 1, 3}, 4);
}

/* Attention with its four projections; qkv in one matrix. */
static uint32_t self_attention(aten *x, uint32_t t, int64_t heads, aten_value *w)
{
    uint32_t part[3];
    aten_value qkv = aten_linear(x, t, aten_data(x, w[0]), aten_data(x, w[1]));
    if (qkv.kind != ATEN_TENSOR) return NO_TENSOR;
    aten_begin(x, OP_Split, &qkv.v.tensor, 1, 3);
    aten_attr(x, ATTR_axis, -1);
    aten_attr(x, ATTR_num_outputs, 3);
    aten_end(x);
    for (uint32_t i = 0; i < 3; i++) part[i] = aten_output(x, i);
    for (uint32_t i = 0; i < 3; i++) part[i] = x->code ? NO_TENSOR : split_heads(x, part[i], heads);
    aten_value y = attend(x, part[0], part[1], part[2], NO_TENSOR, false);
    const tensor_shape *s = aten_shape(x, t);
    if (y.kind != ATEN_TENSOR || s->rank != 3) return NO_TENSOR;
    uint32_t merged = aten_reshape(x, aten_transpose(x, y.v.tensor, (const int64_t[]){0, 2, 1, 3}, 4), s->dims, 3);
    y = aten_linear(x, merged, aten_data(x, w[2]), aten_data(x, w[3]));
    return y.kind == ATEN_TENSOR ? y.v.tensor : NO_TENSOR;
}

static uint32_t norm_last(aten *x, uint32_t t, aten_value w, aten_value b)
{
    aten_begin(x, OP_LayerNormalization, (uint32_t[]){t, aten_data(x, w), aten_data(x, b)}, 3, 1);
    aten_attr(x, ATTR_axis, -1);
    aten_end(x);
    return aten_output(x, 0);
}

/* What goes into the projection [3 * width, width] is [batch, steps, width]. */
static void hint_width(aten *x, uint32_t t, aten_value w)
{
    uint32_t p = aten_data(x, w);
    if (t == NO_TENSOR || p == NO_TENSOR || aten_rank(x, p) != 2 || !num_known(aten_shape(x, p)->dims[1])) return;
    aten_hint_dims(x, t, 3, 2, aten_shape(x, p)->dims[1].v.i);
}

/* A whole layer of nn.TransformerEncoder, which runs as one operator without gradients. */
static aten_value encoder_layer(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    int64_t heads = 1;
    aten_value w[4] = {A(3), A(4), A(5), A(6)};
    uint32_t t = aten_data(x, A(0)), y;
    for (uint32_t i = 10; i < 18; i++)
        if (A(i).kind != ATEN_TENSOR) return aten_unknown();
    hint_width(x, t, A(3));
    if (t == NO_TENSOR || !aten_plain_int(A(2), &heads) || aten_rank(x, t) != 3) return aten_unknown();
    bool first = aten_is_true(A(8));
    y = self_attention(x, first ? norm_last(x, t, A(10), A(11)) : t, heads, w);
    if (y == NO_TENSOR) return aten_unknown();
    t = aten_emit2(x, OP_Add, t, y);
    if (!first) t = norm_last(x, t, A(10), A(11));
    aten_value h = aten_linear(x, first ? norm_last(x, t, A(12), A(13)) : t, aten_data(x, A(14)), aten_data(x, A(15)));
    if (h.kind != ATEN_TENSOR) return aten_unknown();
    h = aten_linear(x, aten_emit1(x, aten_is_true(A(7)) ? OP_Gelu : OP_Relu, h.v.tensor), aten_data(x, A(16)),
                    aten_data(x, A(17)));
    if (h.kind != ATEN_TENSOR) return aten_unknown();
    t = aten_emit2(x, OP_Add, t, h.v.tensor);
    return aten_tensor(first ? t : norm_last(x, t, A(12), A(13)));
}

/* (q, k, v, width, heads, qkv_w, qkv_b, out_w, out_b, ...) */
static aten_value fused_attention(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    int64_t heads = 1;
    aten_value w[4] = {A(5), A(6), A(7), A(8)};
    uint32_t t = aten_data(x, A(0));
    hint_width(x, t, A(5));
    if (t == NO_TENSOR || !aten_plain_int(A(4), &heads) || aten_rank(x, t) != 3) return aten_unknown();
    uint32_t y = self_attention(x, t, heads, w);
    return y == NO_TENSOR ? aten_unknown() : aten_tuple_of(x, aten_tensor(y), 2);
}

const aten_row aten_attention_rows[] = {
    {"embedding", "weight indices padding_idx", embedding, OP_Gather},
    {"embedding_bag", "weight indices offsets", embedding_bag, OP_Gather},
    {"_embedding_bag", "weight indices offsets", embedding_bag, OP_Gather},
    {"_embedding_bag_forward_only", "weight indices offsets", embedding_bag, OP_Gather},
    {"scaled_dot_product_attention", "query key value attn_mask dropout_p is_causal scale", attention,
     OP_ScaledDotProductAttention},
    {"_scaled_dot_product_flash_attention", "query key value dropout_p is_causal", attention, OP_Attention},
    {"_scaled_dot_product_flash_attention_for_cpu", "query key value dropout_p is_causal", attention, OP_Attention},
    {"_scaled_dot_product_cudnn_attention", "query key value attn_bias compute_log_sumexp dropout_p is_causal",
     attention, OP_Attention},
    {"_scaled_dot_product_efficient_attention", "query key value attn_bias compute_log_sumexp dropout_p is_causal",
     attention, OP_Attention},
    {"_transformer_encoder_layer_fwd",
     "src embed_dim num_heads qkv_weight qkv_bias proj_weight proj_bias use_gelu norm_first eps norm_weight_1 norm_bias_1 "
     "norm_weight_2 norm_bias_2 ffn_weight_1 ffn_bias_1 ffn_weight_2 ffn_bias_2 mask mask_type",
     encoder_layer, OP_Attention},
    {"_native_multi_head_attention",
     "query key value embed_dim num_head qkv_weight qkv_bias proj_weight proj_bias mask need_weights", fused_attention,
     OP_Attention},
    {NULL, NULL, NULL, 0},
};
