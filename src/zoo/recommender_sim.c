/* SIM (Pi 2020) on Amazon's books, as NVIDIA has it in TensorFlow 2: of the 90 things that somebody looked at long ago the 50 that are most
 * like the offered one, by dot products, and the last 10 through DIEN (Zhou 2019): a GRU, attention, and a GRU that the attention drives.
 * The network of the auxiliary loss, which only training runs, is not in it. */
#include "zoo/nn_seq.h"
#include "zoo/tables.h"

enum { USERS = 105926, ITEMS = 1209082, CATEGORIES = 2331, EMBED = 16, ITEM = 2 * EMBED };
enum { LONG = 90, SHORT = 10, BEST = 50, HIDDEN = 6 * EMBED };

static nn_val look_up(nn *n, uint32_t table, nn_val ids, const char *layer)
{
    nn_val y = nn_op2(n, OP_Gather, layer, (nn_val){table, EMBED}, ids.t);
    nn_attr(n, ATTR_axis, 0);
    return y;
}

/* An item and its category, or `count` of them, side by side. */
static nn_val item_rows(nn *n, const uint32_t tables[2], const char *item, const char *category, int64_t count)
{
    size_t mark = nn_push(n, "%s", item);
    nn_val x[2] = {look_up(n, tables[0], nn_row_input(n, item, DT_INT64, count), "item"),
                   look_up(n, tables[1], nn_row_input(n, category, DT_INT64, count), "category")};
    nn_val y = nn_concat(n, x, 2, count ? 2 : 1, "concat");
    nn_pop(n, mark);
    return y;
}

static nn_val unit_axis(nn *n, nn_val x, const char *layer, int64_t axis)
{
    return nn_unsqueeze(n, x, layer, 1, &axis);
}

/* Softmax over [batch, length] of what the mask leaves. */
static nn_val shares(nn *n, nn_val scores, nn_val mask)
{
    uint32_t in[3] = {mask.t, scores.t, nn_floats(n, "lowest", (double[]){-3.4028234663852886e38}, 1)};
    in[0] = nn_op2(n, OP_Greater, "left", mask, nn_floats(n, "none", (double[]){0}, 1)).t;
    return nn_softmax(n, nn_op(n, OP_Where, "masked", in, 3, 0), "softmax", -1);
}

/* DIN (Zhou 2018) with dot products: how like the target each is, and what they are together. */
static nn_val interest(nn *n, const char *name, nn_val target, nn_val sequence, nn_val mask, nn_val *scores)
{
    size_t mark = nn_push(n, "%s", name);
    nn_val s = nn_mul(n, sequence, unit_axis(n, target, "target", 1), "mul");
    s = shares(n, nn_reduce(n, s, OP_ReduceSum, "dot", 2, false), mask);
    if (scores) *scores = s;
    nn_val y = nn_reduce(n, nn_mul(n, unit_axis(n, s, "column", 2), sequence, "weigh"), OP_ReduceSum, "sum", 1, false);
    y.c = ITEM;
    nn_pop(n, mark);
    return y;
}

static nn_val prelu(nn *n, nn_val x, const char *layer)
{
    nn_val y = nn_op2(n, OP_PRelu, layer, x, nn_weight(n, layer, ".alpha", 1, &x.c));
    y.c = x.c;
    return y;
}

static nn_val classifier(nn *n, nn_val x, const char *name, const int64_t *widths, int count)
{
    size_t mark = nn_push(n, "%s", name);
    for (int i = 0; i < count; i++) {
        size_t layer = nn_push(n, "%d", i);
        x = prelu(n, nn_fc(n, x, "dense", widths[i]), "prelu");
        nn_pop(n, layer);
    }
    x = nn_fc(n, x, "scoring", 1);
    nn_pop(n, mark);
    return x;
}

/* The attention of DIEN: a small network on each hidden state beside the target, their difference and their product. */
static nn_val evolution_shares(nn *n, nn_val target, nn_val states, nn_val mask)
{
    size_t mark = nn_push(n, "attention");
    nn_val t = unit_axis(n, prelu(n, nn_fc(n, target, "item_dense", HIDDEN), "item_prelu"), "every_step", 1);
    uint32_t in[2] = {t.t, nn_op1(n, OP_Shape, "shape", states).t}, tiled;
    nn_emit(n, OP_Expand, "tile", in, 2, &tiled, 1);
    nn_val items = {tiled, HIDDEN}, parts[4] = {items, states};
    parts[2] = nn_op2(n, OP_Sub, "difference", items, states.t);
    parts[3] = nn_mul(n, items, states, "product");
    parts[2].c = parts[3].c = HIDDEN;
    nn_val x = nn_concat(n, parts, 4, 2, "concat");
    x = nn_op1(n, OP_Sigmoid, "act_1", nn_linear(n, x, "dense_1", 80, true));
    x = nn_op1(n, OP_Sigmoid, "act_2", nn_linear(n, x, "dense_2", 40, true));
    x = nn_linear(n, x, "linear", 1, true);
    x = shares(n, nn_reshape(n, x, "squeeze", 2, (int64_t[]){0, SHORT}, SHORT), mask);
    nn_pop(n, mark);
    return x;
}

/* One step of a GRU whose update gate the attention closes; `keep` is 1 less its share. */
static nn_val driven_step(nn *n, nn_val x, nn_val state, nn_val keep)
{
    nn_val gate[2], one = {nn_floats(n, "one", (double[]){1}, 1), 0};
    nn_val both = nn_concat(n, (nn_val[]){x, state}, 2, 1, "input_state");
    nn_split(n, nn_op1(n, OP_Sigmoid, "sigmoid", nn_fc(n, both, "gates", 2 * HIDDEN)), "split", 1, 2, gate);
    both = nn_concat(n, (nn_val[]){x, nn_mul(n, gate[0], state, "reset")}, 2, 1, "input_reset");
    nn_val fresh = nn_op1(n, OP_Tanh, "tanh", nn_fc(n, both, "candidate", HIDDEN));
    nn_val update = nn_mul(n, gate[1], keep, "driven");
    nn_val old = nn_mul(n, update, state, "old");
    fresh = nn_mul(n, nn_op2(n, OP_Sub, "less", one, update.t), fresh, "new");
    state = nn_add(n, old, fresh, "state");
    state.c = HIDDEN;
    return state;
}

static nn_val evolution(nn *n, nn_val target, nn_val sequence, nn_val mask)
{
    nn_val states = nn_recurrent(n, OP_GRU, sequence, "gru", HIDDEN, false, NN_ABSENT);
    nn_val share = evolution_shares(n, target, states, mask), one = {nn_floats(n, "one", (double[]){1}, 1), 0};
    nn_val keep = nn_op2(n, OP_Sub, "keep", one, share.t), state = NN_ABSENT;
    nn_shared weights = {.n = 0};
    for (int i = 0; i < SHORT; i++) {
        size_t mark = nn_push(n, "augru.%d", i);
        nn_val x = nn_pick(n, states, "step", 1, i), zero = {nn_floats(n, "zero", (double[]){0}, 1), 0};
        x.c = HIDDEN;
        if (!i) state = nn_op2(n, OP_Expand, "start", zero, nn_op1(n, OP_Shape, "shape", x).t);
        state.c = HIDDEN;
        n->shared = &weights;
        state = driven_step(n, x, state, nn_slice(n, keep, "keep_step", 1, i, i + 1, 1));
        n->shared = NULL;
        weights.again = true;
        weights.at = 0;
        nn_pop(n, mark);
    }
    return state;
}

/* The best of the long history, each sample's own. */
static nn_val best_of(nn *n, nn_val sequence, nn_val scores, nn_val *mask)
{
    uint32_t best[2];
    nn_emit(n, OP_TopK, "topk", (uint32_t[]){scores.t, nn_ints(n, "topk", ".k", (int64_t[]){BEST}, 1)}, 2, best, 2);
    nn_val at = unit_axis(n, (nn_val){best[1], 0}, "index", 2);
    nn_val y = nn_op(n, OP_GatherND, "best", (uint32_t[]){sequence.t, at.t}, 2, ITEM);
    nn_attr(n, ATTR_batch_dims, 1);
    *mask = (nn_val){best[0], BEST};
    return y;
}

static nn_val mean_of(nn *n, nn_val sequence, nn_val mask)
{
    nn_val sum = nn_reduce(n, nn_mul(n, sequence, unit_axis(n, mask, "mask_column", 2), "masked"), OP_ReduceSum, "sum",
                           1, false);
    nn_val count = nn_reduce(n, mask, OP_ReduceSum, "count", 1, true);
    nn_val y = nn_op2(n, OP_Div, "mean", sum, count.t);
    y.c = ITEM;
    return y;
}

static nn_val masked(nn *n, nn_val x, const char *layer, nn_val mask)
{
    size_t mark = nn_push(n, "%s", layer);
    x = nn_mul(n, x, unit_axis(n, mask, "column", 2), "mask");
    x.c = ITEM;
    nn_pop(n, mark);
    return x;
}

static void build(nn *n, const void *dims)
{
    (void)dims;
    nn_val user = nn_embedding(n, nn_row_input(n, "user", DT_INT64, 0), "user_embedding", USERS, EMBED, NULL);
    uint32_t tables[2] = {nn_weight(n, "item_embedding.weight", "", 2, (int64_t[]){ITEMS, EMBED}),
                          nn_weight(n, "category_embedding.weight", "", 2, (int64_t[]){CATEGORIES, EMBED})};
    nn_val target = item_rows(n, tables, "target_item", "target_category", 0),
           far = item_rows(n, tables, "long_items", "long_categories", LONG);
    nn_val near = item_rows(n, tables, "short_items", "short_categories", SHORT),
           far_mask = nn_row_input(n, "long_mask", DT_FP32, LONG);
    nn_val near_mask = nn_row_input(n, "short_mask", DT_FP32, SHORT), scores, best_mask;
    far = masked(n, far, "long_masked", far_mask);
    near = masked(n, near, "short_masked", near_mask);

    nn_val found = interest(n, "search", target, far, far_mask, &scores);
    nn_val first = nn_concat(n, (nn_val[]){target, found, user}, 3, 1, "stage_1_concat");
    nn_val general = classifier(n, first, "stage_1", (int64_t[]){200}, 1);

    nn_val best = best_of(n, far, scores, &best_mask);
    nn_val second[5] = {interest(n, "best_interest", target, best, best_mask, NULL), mean_of(n, best, best_mask),
                        target, evolution(n, target, near, near_mask), user};
    nn_val x = nn_concat(n, second, 5, 1, "stage_2_concat");
    nn_output(n, classifier(n, x, "stage_2", (int64_t[]){200, 80}, 2), "click");
    nn_output(n, general, "click_by_search");
}

static const zoo_entry rows[] = {
    {.name = "sim",
     .aliases = "search-based-interest-model",
     .family = "recommender",
     .description = "SIM, Amazon's books",
     .parameters = 21282635,
     .source = "https://github.com/NVIDIA/DeepLearningExamples: TensorFlow2/Recommendation/SIM",
     .build = build},
};

const zoo_table zoo_recommender_sim = ZOO_TABLE(rows);
