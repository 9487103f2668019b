/* Temporal Fusion Transformer (Lim 2019) as NVIDIA has it for hourly electricity use and traffic: a week of history, a
 * day ahead; gated residual networks choose among the variables, an LSTM and one attention layer read the times. */
#include "zoo/nn_seq.h"
#include "zoo/tables.h"

typedef struct tft_dims {
    int64_t series; /* customers, or sensors: the one static category */
} tft_dims;

enum { HIDDEN = 128, HEADS = 4, HISTORY = 168, STEPS = 192, KNOWN = 3, QUANTILES = 3 };

static nn_val gated(nn *n, nn_val x, const char *layer, int64_t out)
{
    nn_val half[2];
    size_t mark = nn_push(n, "%s", layer);
    x = nn_linear(n, x, "lin", 2 * out, true);
    nn_split(n, x, "split", -1, 2, half);
    x = nn_mul(n, half[0], nn_op1(n, OP_Sigmoid, "sigmoid", half[1]), "glu");
    nn_pop(n, mark);
    return x;
}

/* Gated residual network. `context` is of the whole sample, [batch, HIDDEN]; x has its times, or not. */
static nn_val grn(nn *n, nn_val x, const char *layer, int64_t out, nn_val context)
{
    size_t mark = nn_push(n, "%s", layer);
    nn_val y = nn_linear(n, x, "lin_a", HIDDEN, true);
    if (context.t != NO_TENSOR) {
        nn_val c = nn_linear(n, context, "lin_c", HIDDEN, false);
        y = nn_add(n, y, nn_unsqueeze(n, c, "every_time", 1, (int64_t[]){1}), "add_context");
    }
    y = nn_linear(n, nn_op1(n, OP_Elu, "elu", y), "lin_i", HIDDEN, true);
    y = gated(n, y, "glu", out ? out : HIDDEN);
    y = nn_add(n, y, out ? nn_linear(n, x, "out_proj", out, true) : x, "add");
    if (out != 1) y = nn_layer_norm(n, y, "layer_norm");
    nn_pop(n, mark);
    return y;
}

/* Variable selection: a weight for each of `count` variables [batch(, times), count, HIDDEN]. */
static nn_val selected(nn *n, nn_val x, const char *layer, int64_t count, nn_val context)
{
    size_t mark = nn_push(n, "%s", layer);
    bool timed = context.t != NO_TENSOR;
    int rank = timed ? 3 : 2;
    nn_val flat = nn_reshape(n, x, "flatten", rank, (int64_t[]){0, timed ? 0 : count * HIDDEN, count * HIDDEN},
                             count * HIDDEN);
    nn_val w = nn_softmax(n, grn(n, flat, "joint_grn", count, context), "softmax", -1), parts[4];
    for (int64_t i = 0; i < count; i++) {
        size_t var = nn_push(n, "var_grns.%d", (int)i);
        nn_val v = nn_pick(n, x, "pick", timed ? 2 : 1, i);
        v.c = HIDDEN;
        v = grn(n, v, "grn", 0, NN_ABSENT);
        parts[i] = nn_unsqueeze(n, v, "stack", 1, (int64_t[]){rank});
        nn_pop(n, var);
    }
    x = count > 1 ? nn_concat(n, parts, (uint32_t)count, rank, "concat") : parts[0];
    w = nn_unsqueeze(n, w, "column", 1, (int64_t[]){rank});
    x = nn_op2(n, OP_MatMul, "weigh", x, w.t);
    x = nn_reshape(n, x, "squeeze", rank, (int64_t[]){0, timed ? 0 : HIDDEN, HIDDEN}, HIDDEN);
    nn_pop(n, mark);
    return x;
}

/* [batch, STEPS, count] to [batch, STEPS, count, HIDDEN]: each variable times a vector of its own. */
static nn_val spread(nn *n, nn_val x, const char *layer, int64_t count)
{
    size_t mark = nn_push(n, "%s", layer);
    x = nn_unsqueeze(n, x, "unsqueeze", 1, (int64_t[]){3});
    x = nn_mul(n, x, nn_parameter(n, "vectors", 2, (int64_t[]){count, HIDDEN}), "mul");
    x = nn_add(n, x, nn_parameter(n, "bias", 2, (int64_t[]){count, HIDDEN}), "add");
    nn_pop(n, mark);
    x.c = HIDDEN;
    return x;
}

/* All heads share one set of values, and are averaged. */
static nn_val attention(nn *n, nn_val x)
{
    enum { HEAD = HIDDEN / HEADS };
    size_t mark = nn_push(n, "attention");
    nn_val qkv = nn_linear(n, x, "qkv_linears", (2 * HEADS + 1) * HEAD, false);
    nn_val q = nn_heads(n, nn_slice(n, qkv, "q", 2, 0, HIDDEN, HIDDEN), "q_heads", HEADS, false);
    nn_val k = nn_heads(n, nn_slice(n, qkv, "k", 2, HIDDEN, 2 * HIDDEN, HIDDEN), "k_heads", HEADS, true);
    nn_val v = nn_unsqueeze(n, nn_slice(n, qkv, "v", 2, 2 * HIDDEN, 2 * HIDDEN + HEAD, HEAD), "v_head", 1,
                            (int64_t[]){1});
    nn_val s = nn_scale(n, nn_op2(n, OP_MatMul, "scores", q, k.t), "scale", 0.17677669529663687);
    dtype weights = n->weights;
    n->weights = DT_BOOL; /* a buffer of the model, not a parameter */
    uint32_t in[3] = {nn_weight(n, "_mask", "", 3, (int64_t[]){1, STEPS, STEPS}), s.t, NO_TENSOR};
    n->weights = weights;
    in[2] = nn_floats(n, "lowest", (double[]){-3.4028234663852886e38}, 1);
    s = nn_op(n, OP_Where, "mask", in, 3, s.c);
    s = nn_op2(n, OP_MatMul, "context", nn_softmax(n, s, "softmax", -1), v.t);
    s = nn_reduce(n, s, OP_ReduceMean, "mean", 1, false);
    s.c = HEAD;
    s = nn_linear(n, s, "out_proj", HIDDEN, false);
    nn_pop(n, mark);
    return s;
}

static nn_val gate_add_norm(nn *n, nn_val x, nn_val skip, const char *name)
{
    size_t mark = nn_push(n, "%s", name);
    x = nn_layer_norm(n, nn_add(n, gated(n, x, "gate", HIDDEN), skip, "add"), "ln");
    nn_pop(n, mark);
    return x;
}

static nn_val timed_input(nn *n, const char *name, int64_t c)
{
    num dims[3] = {nn_symbol(n->batch), num_int(STEPS), num_int(c)};
    return nn_input(n, name, n->weights, 3, dims, c);
}

static void build(nn *n, const void *dims)
{
    const tft_dims *d = dims;
    nn_val context[4], last = NN_ABSENT;
    static const char *const grns[4] = {"context_grns.0", "context_grns.1", "context_grns.2", "context_grns.3"};
    nn_val known = spread(n, timed_input(n, "k_cont", KNOWN), "t_cont_k_embedding", KNOWN);
    nn_val target = spread(n, timed_input(n, "target", 1), "t_tgt_embedding", 1);
    nn_val id = nn_embedding(n, nn_row_input(n, "s_cat", DT_INT64, 1), "s_cat_embed", d->series, HIDDEN, NULL);
    id = selected(n, id, "static_vsn", 1, NN_ABSENT);
    for (int i = 0; i < 4; i++) context[i] = grn(n, id, grns[i], 0, NN_ABSENT);
    nn_val past[2] = {nn_slice(n, known, "known_past", 1, 0, HISTORY, HIDDEN),
                      nn_slice(n, target, "target_past", 1, 0, HISTORY, HIDDEN)};
    nn_val x[2] = {nn_concat(n, past, 2, 2, "historical"), nn_slice(n, known, "future", 1, HISTORY, STEPS, HIDDEN)},
           y[2];
    x[0] = selected(n, x[0], "history_vsn", KNOWN + 1, context[0]);
    x[1] = selected(n, x[1], "future_vsn", KNOWN, context[0]);
    y[0] = nn_recurrent(n, OP_LSTM, x[0], "history_encoder", HIDDEN, false,
                        nn_unsqueeze(n, context[2], "state", 1, (int64_t[]){0}));
    last = nn_slice(n, y[0], "last", 1, -1, HISTORY, HIDDEN);
    last = nn_transpose(n, last, "last_state", 3, (int64_t[]){1, 0, 2});
    y[1] = nn_recurrent(n, OP_LSTM, x[1], "future_encoder", HIDDEN, false, last);
    nn_val in = nn_concat(n, x, 2, 1, "input_embedding"), all = nn_concat(n, y, 2, 1, "temporal_features");
    in.c = all.c = HIDDEN;
    all = gate_add_norm(n, all, in, "input_gate");
    nn_val rich = grn(n, all, "enrichment_grn", 0, context[1]), z = attention(n, rich);
    z = nn_slice(n, z, "z_future", 1, HISTORY, STEPS, HIDDEN);
    all = nn_slice(n, all, "all_future", 1, HISTORY, STEPS, HIDDEN);
    z = gate_add_norm(n, z, nn_slice(n, rich, "rich_future", 1, HISTORY, STEPS, HIDDEN), "attention_gate");
    z = gate_add_norm(n, grn(n, z, "positionwise_grn", 0, NN_ABSENT), all, "decoder_gate");
    nn_output(n, nn_linear(n, z, "quantile_proj", QUANTILES, true), "quantiles");
}

#define ROW(nm, alias, text, params, series)                                                                 \
    {                                                                                                        \
        .name = nm, .aliases = alias, .family = "forecasting", .description = text, .parameters = params,    \
        .source = "https://github.com/NVIDIA/DeepLearningExamples: PyTorch/Forecasting/TFT", .build = build, \
        .dims = ZOO_DIMS(tft_dims, {series})                                                                 \
    }

static const zoo_entry rows[] = {
    ROW("tft", "tft-electricity temporal-fusion-transformer", "Temporal Fusion Transformer, electricity", 1617449, 369),
    ROW("tft-traffic", "tfttraffic", "Temporal Fusion Transformer, traffic", 1693481, 963),
};

const zoo_table zoo_tft = ZOO_TABLE(rows);
