#include "zoo/language_build.h"

static nn_val rms(nn *n, nn_val x, const char *layer)
{
    return nn_rms_norm(n, x, layer);
}

nn_val lm_norm(lm_build *b, nn_val x, const char *layer)
{
    nn *n = &b->n;
    const language_model *m = b->m;
    if (m->norm_plain) {
        nn_val y = nn_op2(n, OP_LayerNormalization, layer, x, nn_floats(n, "one", (double[]){1}, 1));
        nn_attr(n, ATTR_axis, -1);
        return y;
    }
    if (m->rms_norm) return rms(n, x, layer);
    if (m->norm_bias) return nn_layer_norm(n, x, layer);
    nn_val y = nn_op2(n, OP_LayerNormalization, layer, x, nn_weight(n, layer, ".weight", 1, &x.c));
    nn_attr(n, ATTR_axis, -1);
    return y;
}

/* What a matrix of so many bits a weight is called. */
static dtype narrow_type(const language_model *m, double bits)
{
    bool floating = m->quantization && (strstr(m->quantization, "fp") || strstr(m->quantization, "FP"));
    if (bits < 3) return DT_INT2;
    if (bits < 6.5) return floating ? DT_FP4 : DT_INT4;
    return floating ? DT_FP8E4M3 : DT_INT8;
}

void lm_stored(lm_build *b, double bits)
{
    graph *g = b->n.g;
    for (; b->sized < g->n_tensors; b->sized++) {
        tensor *t = &g->tensors[b->sized];
        if (!(bits > 0) || t->role != ROLE_WEIGHT || t->rank < 2 || !dtype_get((dtype)t->dtype)->floating) continue;
        double n = 1;
        for (int d = 0; d < t->rank; d++) n *= (double)t->dims[d].v.i;
        t->weight_bytes = n * bits / 8;
        if (bits < 12) t->dtype = (uint8_t)narrow_type(b->m, bits);
    }
}

/* ---- attention ---- */

static nn_rotary rotary(lm_build *b, int64_t features)
{
    nn *n = &b->n;
    char name[32];
    if (features > 512) features = 512;
    for (uint32_t i = 0; i < b->n_rotary; i++)
        if (b->rotary[i].features == features) return b->rotary[i].angles;
    format_text(name, sizeof name, "rotary.%lld", (long long)features);
    double base = b->m->rope_theta > 1 ? b->m->rope_theta : 1e4;
    nn_rotary r = nn_rotary_angles(n, b->ids, name, features, base);
    if (b->n_rotary < LM_ROTARIES) {
        b->rotary[b->n_rotary].features = features;
        b->rotary[b->n_rotary++].angles = r;
    }
    return r;
}

/* Tokens to [batch, heads, length, width], normalised head by head. */
static nn_val heads_of(nn *n, nn_val x, const char *name, int64_t heads, bool normed)
{
    if (!normed) return nn_split_heads(n, x, name, heads);
    size_t mark = nn_push(n, "%s", name);
    int64_t width = x.c / heads;
    x = nn_reshape(n, x, "split_heads", 4, (int64_t[]){0, 0, heads, width}, width);
    x = rms(n, x, "norm");
    x = nn_transpose(n, x, "transpose", 4, (int64_t[]){0, 2, 1, 3});
    nn_pop(n, mark);
    return x;
}

static nn_val product(nn *n, const lm_layer *l, nn_val q, nn_val k, nn_val v, bool causal, nn_val mask)
{
    uint32_t in[7] = {q.t, k.t, v.t, mask.t, NO_TENSOR, NO_TENSOR, NO_TENSOR};
    uint32_t count = nn_is_there(mask) ? 4 : 3;
    nn_val y = NN_ABSENT;
    if (l->sinks) {
        in[6] = nn_weight(n, "sinks", "", 1, &l->heads);
        count = 7;
    }
    if (!nn_emit(n, OP_ScaledDotProductAttention, "sdpa", in, count, &y.t, 1)) return NN_ABSENT;
    int64_t window = l->window && (!l->chunk || l->window < l->chunk) ? l->window : l->chunk;
    nn_attr(n, ATTR_is_causal, causal);
    if (window) nn_attr(n, ATTR_local_window_size, window);
    y = nn_transpose(n, y, "transpose", 4, (int64_t[]){0, 2, 1, 3});
    return nn_reshape(n, y, "merge_heads", 3, (int64_t[]){0, 0, l->heads * v.c}, l->heads * v.c);
}

/* Queries, keys and values of x, each as the model has them: one product or three. */
static void projected(lm_build *b, const lm_layer *l, nn_val x, nn_val from, nn_val out[3])
{
    nn *n = &b->n;
    int64_t v_dim = l->v_head_dim ? l->v_head_dim : l->head_dim;
    int64_t width[3] = {l->heads * l->head_dim, l->kv_heads * l->head_dim, l->kv_heads * v_dim};
    static const char *const names[3] = {"q_proj", "k_proj", "v_proj"};
    if (l->fused_qkv && from.t == x.t) {
        nn_val all = nn_linear(n, x, "qkv_proj", width[0] + width[1] + width[2], l->qkv_bias);
        if (width[1] == width[0] && width[2] == width[0]) {
            nn_split(n, all, "split", 2, 3, out);
            return;
        }
        int64_t at = 0;
        static const char *const parts[3] = {"q_part", "k_part", "v_part"};
        for (int i = 0; i < 3; at += width[i++]) out[i] = nn_slice(n, all, parts[i], 2, at, at + width[i], width[i]);
        return;
    }
    for (int i = 0; i < (l->k_is_v ? 2 : 3); i++)
        out[i] = nn_linear(n, i ? from : x, names[i], width[i], l->qkv_bias && !(i == 1 && l->no_key_bias));
    if (l->k_is_v) out[2] = out[1];
}

/* Biases on the scores take the products and the softmax apart. */
static nn_val explicit_attention(lm_build *b, const lm_layer *l, const nn_val qkv[3], bool self)
{
    double scale = b->m->alibi ? 1 / sqrt((double)l->head_dim) : 0; /* T5 has none */
    nn_explicit o = {.heads = l->heads, .scale = scale, .bias = self ? b->bias : NN_ABSENT, .bias_2 = NN_ABSENT};
    if (self && b->causal) o.bias_2 = b->later;
    return nn_attention_explicit(&b->n, qkv[0], qkv[1], qkv[2], o);
}

static nn_val attention(lm_build *b, const lm_layer *l, nn_val x, nn_val from)
{
    nn *n = &b->n;
    nn_val qkv[3], gate = NN_ABSENT, y;
    bool self = from.t == x.t, per_head = l->qk_norm && !l->qk_norm_wide;
    projected(b, l, x, from, qkv);
    if (l->gated_output) gate = nn_linear(n, x, "gate_proj", l->heads * l->head_dim, false);
    if (l->qk_norm && l->qk_norm_wide) {
        qkv[0] = rms(n, qkv[0], "q_norm");
        qkv[1] = rms(n, qkv[1], "k_norm");
    }
    if ((nn_is_there(b->bias) || b->m->buckets) && l->kv_heads == l->heads) {
        y = explicit_attention(b, l, qkv, self);
    } else {
        nn_val q = heads_of(n, qkv[0], "q", l->heads, per_head), k = heads_of(n, qkv[1], "k", l->kv_heads, per_head);
        nn_val v = heads_of(n, qkv[2], "v", l->kv_heads, false);
        if (l->rope_features && self && nn_is_there(b->ids)) {
            nn_rotary r = rotary(b, l->rope_features);
            q = nn_rotate(n, q, r, "q_rotary");
            k = nn_rotate(n, k, r, "k_rotary");
        }
        y = product(n, l, q, k, v, self && b->causal, self ? b->mask : NN_ABSENT);
    }
    if (nn_is_there(gate)) y = nn_mul(n, y, nn_op1(n, OP_Sigmoid, "gate", gate), "gated");
    return nn_linear(n, y, "o_proj", b->m->hidden, l->out_bias);
}

/* Which tokens to attend to: scores of small keys, weighed and summed over the indexer's heads (DeepSeek-V3.2). */
static nn_val indexer(nn *n, const lm_layer *l, nn_val x, nn_val rank)
{
    size_t mark = nn_push(n, "indexer");
    nn_val q = nn_split_heads(n, nn_linear(n, rank, "wq_b", l->index_heads * l->index_dim, false), "q", l->index_heads);
    nn_val k = nn_layer_norm(n, nn_linear(n, x, "wk", l->index_dim, false), "k_norm");
    nn_val weigh = nn_linear(n, x, "weights_proj", l->index_heads, false);
    k = nn_unsqueeze(n, nn_transpose(n, k, "keys", 3, (int64_t[]){0, 2, 1}), "one_head", 1, (int64_t[]){1});
    weigh = nn_transpose(n, weigh, "heads_first", 3, (int64_t[]){0, 2, 1});
    weigh = nn_unsqueeze(n, weigh, "column", 1, (int64_t[]){3});
    nn_val score = nn_op1(n, OP_Relu, "relu", nn_op2(n, OP_MatMul, "scores", q, k.t));
    score = nn_reduce(n, nn_mul(n, score, weigh, "weigh"), OP_ReduceSum, "sum", 1, true);
    nn_pop(n, mark);
    return score;
}

/* A prompt's latent rows are widened to keys and values of all heads; the rotated part of the keys is one for all. */
static nn_val latent_attention(lm_build *b, const lm_layer *l, nn_val x)
{
    nn *n = &b->n;
    int64_t heads = l->heads, v_dim = l->v_head_dim ? l->v_head_dim : l->head_dim, wide = l->nope_dim + l->rope_dim;
    nn_val q = x;
    if (l->q_rank) q = rms(n, nn_linear(n, x, "q_a_proj", l->q_rank, l->qkv_bias), "q_a_layernorm");
    nn_val rank = q;
    q = nn_linear(n, q, l->q_rank ? "q_b_proj" : "q_proj", heads * wide, false);
    nn_val all = nn_linear(n, x, "kv_a_proj", l->kv_rank + l->rope_dim, l->qkv_bias);
    nn_val row = nn_slice(n, all, "latent", 2, 0, l->kv_rank, l->kv_rank);
    nn_val turned = nn_slice(n, all, "k_rope", 2, l->kv_rank, l->kv_rank + l->rope_dim, l->rope_dim);
    row = rms(n, row, "kv_a_layernorm");
    nn_val kv = nn_linear(n, row, "kv_b_proj", heads * (l->nope_dim + v_dim), false);
    q = nn_split_heads(n, q, "q", heads);
    kv = nn_split_heads(n, kv, "kv", heads);
    nn_val k = nn_slice(n, kv, "k_nope", 3, 0, l->nope_dim, l->nope_dim);
    nn_val v = nn_slice(n, kv, "v", 3, l->nope_dim, l->nope_dim + v_dim, v_dim);
    if (l->rope_dim) {
        nn_rotary r = rotary(b, l->rope_dim);
        nn_val q_nope = nn_slice(n, q, "q_nope", 3, 0, l->nope_dim, l->nope_dim);
        nn_val q_rope = nn_rotate(n, nn_slice(n, q, "q_rope", 3, l->nope_dim, wide, l->rope_dim), r, "q_rotary");
        q = nn_concat(n, (nn_val[]){q_nope, q_rope}, 2, 3, "q_all");
        turned = nn_rotate(n, nn_unsqueeze(n, turned, "one_head", 1, (int64_t[]){1}), r, "k_rotary");
        uint32_t in[2] = {turned.t, nn_ints(n, "for_all", ".shape", (int64_t[]){1, heads, 1, 1}, 4)}, t;
        nn_emit(n, OP_Expand, "for_all", in, 2, &t, 1);
        k = nn_concat(n, (nn_val[]){k, {t, l->rope_dim}}, 2, 3, "k_all");
    }
    lm_layer as = *l;
    as.kv_heads = heads;
    nn_val y = product(n, &as, q, k, v, b->causal, l->index_heads ? indexer(n, l, x, rank) : NN_ABSENT);
    return nn_linear(n, y, "o_proj", b->m->hidden, l->out_bias);
}

/* ---- state spaces and linear attention ---- */

/* The recurrence over x, driven by the others; `states` numbers of state a feature. */
static nn_val scan(nn *n, nn_val x, const nn_val *by, uint32_t count, uint32_t weight, int64_t states)
{
    uint32_t in[8] = {x.t}, k = 1;
    for (uint32_t i = 0; i < count; i++) in[k++] = by[i].t;
    if (weight != NO_TENSOR) in[k++] = weight;
    nn_val y = nn_op(n, OP_SelectiveScan, "scan", in, k, x.c);
    nn_attr(n, ATTR_state_size, states > 0 ? states : 1);
    return y;
}

static nn_val convolved(nn *n, const lm_layer *l, nn_val x)
{
    x = nn_swap(n, x, "channels_first", x.c);
    nn_conv1d s = {
        .out = x.c, .k = (int)l->conv_kernel, .pad = (int)l->conv_kernel - 1, .groups = x.c, .bias = l->conv_bias};
    nn_val y = nn_conv_1d(n, x, "conv1d", s);
    if (l->conv_kernel > 1) y = nn_slice(n, y, "causal", 2, 0, 1 - l->conv_kernel, x.c);
    return nn_swap(n, y, "tokens", x.c);
}

static nn_val mamba(lm_build *b, const lm_layer *l, nn_val x)
{
    nn *n = &b->n;
    nn_val half[2], dt;
    nn_split(n, nn_linear(n, x, "in_proj", 2 * l->inner, l->ssm_bias), "split", 2, 2, half);
    nn_val h = nn_op1(n, OP_Silu, "act", convolved(n, l, half[0]));
    nn_val all = nn_linear(n, h, "x_proj", l->dt_rank + 2 * l->state, false);
    dt = nn_slice(n, all, "dt", 2, 0, l->dt_rank, l->dt_rank);
    nn_val in = nn_slice(n, all, "B", 2, l->dt_rank, l->dt_rank + l->state, l->state);
    nn_val out = nn_slice(n, all, "C", 2, l->dt_rank + l->state, l->dt_rank + 2 * l->state, l->state);
    if (l->ssm_norms) {
        dt = rms(n, dt, "dt_layernorm");
        in = rms(n, in, "b_layernorm");
        out = rms(n, out, "c_layernorm");
    }
    dt = nn_op1(n, OP_Softplus, "softplus", nn_linear(n, dt, "dt_proj", l->inner, true));
    uint32_t a = nn_weight(n, "A_log", "", 2, (int64_t[]){l->inner, l->state});
    nn_val y = scan(n, h, (nn_val[]){dt, in, out}, 3, a, l->state);
    y = nn_add(n, y, nn_mul(n, h, nn_parameter(n, "D", 1, &l->inner), "skip"), "add_skip");
    y = nn_mul(n, y, nn_op1(n, OP_Silu, "gate", half[1]), "gated");
    return nn_linear(n, y, "out_proj", b->m->hidden, l->ssm_bias);
}

/* Chunks of a state space of heads go through the tensor cores, where an operation costs about an eighth of one elsewhere. */
enum { CHUNKED = 8 };

static nn_val mamba2(lm_build *b, const lm_layer *l, nn_val x)
{
    nn *n = &b->n;
    int64_t grouped = l->groups * l->state, mixed = l->inner + 2 * grouped;
    nn_val all = nn_linear(n, x, "in_proj", l->inner + mixed + l->ssm_heads, l->ssm_bias);
    nn_val gate = nn_slice(n, all, "gate", 2, 0, l->inner, l->inner);
    nn_val h = nn_slice(n, all, "mixed", 2, l->inner, l->inner + mixed, mixed);
    nn_val dt = nn_slice(n, all, "dt", 2, l->inner + mixed, l->inner + mixed + l->ssm_heads, l->ssm_heads);
    h = nn_op1(n, OP_Silu, "act", convolved(n, l, h));
    nn_val u = nn_slice(n, h, "x", 2, 0, l->inner, l->inner);
    nn_val in = nn_slice(n, h, "B", 2, l->inner, l->inner + grouped, grouped);
    nn_val out = nn_slice(n, h, "C", 2, l->inner + grouped, mixed, grouped);
    dt = nn_op1(n, OP_Softplus, "softplus", nn_add(n, dt, nn_parameter(n, "dt_bias", 1, &l->ssm_heads), "add_bias"));
    uint32_t ad = nn_weight(n, "A_log_D", "", 2, (int64_t[]){2, l->ssm_heads});
    nn_val y = scan(n, u, (nn_val[]){dt, in, out}, 3, ad, l->state / CHUNKED);
    y = rms(n, nn_mul(n, y, nn_op1(n, OP_Silu, "gate_act", gate), "gated"), "norm");
    return nn_linear(n, y, "out_proj", b->m->hidden, l->ssm_bias);
}

static nn_val gated_delta(lm_build *b, const lm_layer *l, nn_val x)
{
    nn *n = &b->n;
    int64_t keys = l->groups * l->state, mixed = 2 * keys + l->inner;
    nn_val all = nn_linear(n, x, "in_proj_qkvz", mixed + l->inner, false);
    nn_val rates = nn_linear(n, x, "in_proj_ba", 2 * l->ssm_heads, false);
    nn_val gate = nn_slice(n, all, "z", 2, mixed, mixed + l->inner, l->inner);
    nn_val h = nn_op1(n, OP_Silu, "act", convolved(n, l, nn_slice(n, all, "qkv", 2, 0, mixed, mixed)));
    nn_val q = nn_slice(n, h, "q", 2, 0, keys, keys), k = nn_slice(n, h, "k", 2, keys, 2 * keys, keys);
    nn_val v = nn_slice(n, h, "v", 2, 2 * keys, mixed, l->inner);
    uint32_t rate = nn_weight(n, "dt_bias_A_log", "", 2, (int64_t[]){2, l->ssm_heads});
    nn_val y = scan(n, v, (nn_val[]){q, k, rates}, 3, rate, l->state / CHUNKED);
    y = nn_reshape(n, y, "heads", 4, (int64_t[]){0, 0, l->ssm_heads, l->ssm_head_dim}, l->ssm_head_dim);
    y = nn_reshape(n, rms(n, y, "norm"), "merge", 3, (int64_t[]){0, 0, l->inner}, l->inner);
    y = nn_mul(n, y, nn_op1(n, OP_Silu, "gate", gate), "gated");
    return nn_linear(n, y, "out_proj", b->m->hidden, false);
}

static nn_val short_conv(lm_build *b, const lm_layer *l, nn_val x)
{
    nn *n = &b->n;
    nn_val part[3];
    nn_split(n, nn_linear(n, x, "in_proj", 3 * b->m->hidden, false), "split", 2, 3, part);
    nn_val y = convolved(n, l, nn_mul(n, part[0], part[2], "gate_in"));
    return nn_linear(n, nn_mul(n, part[1], y, "gate_out"), "out_proj", b->m->hidden, false);
}

static nn_val lightning(lm_build *b, const lm_layer *l, nn_val x)
{
    nn *n = &b->n;
    int64_t wide = l->heads * l->head_dim;
    nn_val part[3], all = nn_op1(n, OP_Silu, "act", nn_linear(n, x, "qkv_proj", 3 * wide, false));
    nn_split(n, all, "split", 2, 3, part);
    nn_val y = rms(n, scan(n, part[2], part, 2, NO_TENSOR, l->head_dim / CHUNKED), "norm");
    y = nn_mul(n, y, nn_op1(n, OP_Sigmoid, "gate", nn_linear(n, x, "output_gate", wide, false)), "gated");
    return nn_linear(n, y, "out_proj", b->m->hidden, false);
}

nn_val lm_mix(lm_build *b, const lm_layer *l, nn_val x)
{
    nn *n = &b->n;
    size_t mark = nn_push(n, l->mixer == LM_ATTENTION || l->mixer == LM_MLA ? "self_attn" : "mixer");
    switch (l->mixer) {
    case LM_MLA: x = latent_attention(b, l, x); break;
    case LM_MAMBA: x = mamba(b, l, x); break;
    case LM_MAMBA2: x = mamba2(b, l, x); break;
    case LM_GATED_DELTA: x = gated_delta(b, l, x); break;
    case LM_SHORT_CONV: x = short_conv(b, l, x); break;
    case LM_LIGHTNING: x = lightning(b, l, x); break;
    default: x = l->blocks ? lm_sliding(b, l, x) : attention(b, l, x, x); break;
    }
    lm_stored(b, b->m->linear_bits);
    nn_pop(n, mark);
    return x;
}

nn_val lm_cross(lm_build *b, const lm_layer *l, nn_val x)
{
    size_t mark = nn_push(&b->n, "encoder_attn");
    x = attention(b, l, x, b->encoded);
    lm_stored(b, b->m->linear_bits);
    nn_pop(&b->n, mark);
    return x;
}

/* ---- feed-forward ---- */

static nn_val activated(nn *n, const lm_layer *l, nn_val x)
{
    x = nn_op1(n, l->activation ? (op_kind)l->activation : OP_Silu, "act", x);
    return l->squared ? nn_mul(n, x, x, "square") : x;
}

static nn_val dense(lm_build *b, const lm_layer *l, nn_val x, int64_t width, bool gated, bool bias)
{
    nn *n = &b->n;
    nn_val h;
    if (gated && l->fused_gate) {
        nn_val half[2];
        nn_split(n, nn_linear(n, x, "gate_up_proj", 2 * width, bias), "split", 2, 2, half);
        h = nn_mul(n, activated(n, l, half[0]), half[1], "mul");
    } else if (gated) {
        h = activated(n, l, nn_linear(n, x, "gate_proj", width, bias));
        h = nn_mul(n, h, nn_linear(n, x, "up_proj", width, bias), "mul");
    } else {
        h = activated(n, l, nn_linear(n, x, "up_proj", width, bias));
    }
    return nn_linear(n, h, "down_proj", b->m->hidden, bias);
}

/* Rows sorted by expert, times the matrices of the experts that some row goes to. */
static nn_val grouped(nn *n, nn_val rows, const char *name, const lm_layer *l, int64_t out, uint32_t chosen)
{
    size_t mark = nn_push(n, "%s", name);
    nn_val y = nn_op2(n, OP_ExpertMatMul, "matmul", rows,
                      nn_weight(n, "weight", "", 3, (int64_t[]){l->experts, rows.c, out}));
    y.c = out;
    if (l->ffn_bias) {
        uint32_t table = nn_weight(n, "bias", "", 2, (int64_t[]){l->experts, out});
        nn_val bias = nn_op2(n, OP_Gather, "pick_bias", (nn_val){table, out}, chosen);
        nn_attr(n, ATTR_axis, 0);
        y = nn_add(n, y, bias, "add");
    }
    nn_pop(n, mark);
    return y;
}

/* Each token goes to `used` experts: their rows are gathered, multiplied group by group, weighed and summed. */
static nn_val routed(lm_build *b, const lm_layer *l, nn_val x)
{
    nn *n = &b->n;
    int64_t used = l->experts_used, h = b->m->hidden;
    uint32_t best[2], in[2];
    nn_val flat = nn_reshape(n, x, "flat", 2, (int64_t[]){-1, h}, h);
    nn_val score = nn_softmax(n, nn_linear(n, flat, "router", l->experts, l->router_bias), "softmax", -1);
    lm_stored(b, 0);
    in[0] = score.t;
    in[1] = nn_ints(n, "topk", ".k", &used, 1);
    nn_emit(n, OP_TopK, "topk", in, 2, best, 2);
    nn_val slot = nn_reshape(n, (nn_val){best[1], 0}, "slots", 1, (int64_t[]){-1}, 0);
    nn_val rows = nn_op2(n, OP_Gather, "permute", flat, slot.t), y;
    nn_attr(n, ATTR_axis, 0);
    if (l->gated) {
        y = activated(n, l, grouped(n, rows, "experts.gate_proj", l, l->ffn_dim, slot.t));
        y = nn_mul(n, y, grouped(n, rows, "experts.up_proj", l, l->ffn_dim, slot.t), "mul");
    } else {
        y = activated(n, l, grouped(n, rows, "experts.up_proj", l, l->ffn_dim, slot.t));
    }
    y = grouped(n, y, "experts.down_proj", l, h, slot.t);
    lm_stored(b, b->m->expert_bits);
    y = nn_reshape(n, y, "unpermute", 3, (int64_t[]){-1, used, h}, h);
    y = nn_mul(n, y, nn_unsqueeze(n, (nn_val){best[0], 0}, "shares", 1, (int64_t[]){2}), "weigh");
    y.c = h;
    y = nn_reduce(n, y, OP_ReduceSum, "sum", 1, false);
    y = nn_op2(n, OP_Reshape, "unflat", y, nn_op1(n, OP_Shape, "shape", x).t);
    y.c = h;
    return y;
}

nn_val lm_feed(lm_build *b, const lm_layer *l, nn_val x)
{
    nn *n = &b->n;
    size_t mark = nn_push(n, "mlp");
    nn_val y;
    if (l->ffn == LM_MOE) {
        y = routed(b, l, x);
        if (l->shared_dim) {
            size_t inner = nn_push(n, "shared_expert");
            nn_val s = dense(b, l, x, l->shared_dim, l->gated, false);
            if (l->shared_gate)
                s = nn_mul(n, s, nn_op1(n, OP_Sigmoid, "sigmoid", nn_linear(n, x, "gate", 1, false)), "gated");
            s.c = b->m->hidden;
            nn_pop(n, inner);
            y = nn_add(n, y, s, "add_shared");
        }
    } else {
        y = dense(b, l, x, l->ffn_dim, l->ffn == LM_GATED, l->ffn_bias);
    }
    lm_stored(b, b->m->linear_bits);
    nn_pop(n, mark);
    return y;
}
