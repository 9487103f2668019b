/* Swin Transformer (Liu 2021) and its second version (Liu 2021b), as in torchvision: attention in windows, shifted in
 * every second layer. In version 2 it compares directions only, learns its bias as a function of the distance, and
 * normalises after. */
#include "zoo/tables.h"

typedef struct swin_dims {
    int blocks[4];
    int64_t width, heads; /* of the first stage; each doubles them */
    int64_t window;
    bool v2;
} swin_dims;

/* Where a block stands: the last stage may be smaller than a window. */
typedef struct place {
    int64_t side, window, heads;
    bool shifted, v2;
} place;

static nn_val partition(nn *n, nn_val x, place p)
{
    int64_t c = x.c, w = p.window, count = p.side / w;
    x = nn_reshape(n, x, "windows", 6, (int64_t[]){0, count, w, count, w, c}, c);
    x = nn_transpose(n, x, "windows.transpose", 6, (int64_t[]){0, 1, 3, 2, 4, 5});
    return nn_reshape(n, x, "windows.tokens", 3, (int64_t[]){-1, w * w, c}, c);
}

static nn_val merge(nn *n, nn_val x, place p)
{
    int64_t c = x.c, w = p.window, count = p.side / w;
    x = nn_reshape(n, x, "merge", 6, (int64_t[]){-1, count, count, w, w, c}, c);
    x = nn_transpose(n, x, "merge.transpose", 6, (int64_t[]){0, 1, 3, 2, 4, 5});
    return nn_reshape(n, x, "merge.image", 4, (int64_t[]){-1, p.side, p.side, c}, c);
}

/* One number for each distance in a window and head, looked up into [1, heads, tokens, tokens]. */
static nn_val spread_bias(nn *n, nn_val table, place p)
{
    int64_t tokens = p.window * p.window, pairs = tokens * tokens;
    nn_val b = nn_op2(n, OP_Gather, "bias", table, nn_indices(n, "relative_position_index", pairs));
    nn_attr(n, ATTR_axis, 0);
    b = nn_reshape(n, b, "bias.reshape", 3, (int64_t[]){tokens, tokens, p.heads}, p.heads);
    b = nn_transpose(n, b, "bias.transpose", 3, (int64_t[]){2, 0, 1});
    return nn_unsqueeze(n, b, "bias.unsqueeze", 1, (int64_t[]){0});
}

static nn_val position_bias(nn *n, place p)
{
    int64_t distances = (2 * p.window - 1) * (2 * p.window - 1);
    nn_val table = {NO_TENSOR, p.heads};
    if (!p.v2) {
        table.t = nn_weight(n, "relative_position_bias_table", "", 2, (int64_t[]){distances, p.heads});
        return spread_bias(n, table, p);
    }
    nn_val shape = {nn_ints(n, "relative_coords_table.shape", "", (int64_t[]){distances, 2}, 2), 2};
    nn_val at = nn_op1(n, OP_ConstantOfShape, "relative_coords_table", shape);
    size_t mark = nn_push(n, "cpb_mlp");
    at = nn_op1(n, OP_Relu, "act", nn_fc(n, at, "0", 512));
    table = nn_linear(n, at, "2", p.heads, false);
    nn_pop(n, mark);
    nn_val b = nn_op1(n, OP_Sigmoid, "bias.sigmoid", spread_bias(n, table, p));
    return nn_op2(n, OP_Mul, "bias.scale", b, nn_floats(n, "bias.sixteen", (double[]){16}, 1));
}

static nn_val filled(nn *n, const char *layer, int64_t rows, int64_t columns)
{
    size_t mark = nn_push(n, "%s", layer);
    nn_val shape = {nn_ints(n, "shape", "", (int64_t[]){rows, columns}, 2), 0};
    nn_val out = nn_op1(n, OP_ConstantOfShape, "fill", shape);
    nn_pop(n, mark);
    return out;
}

/* The parts of the image that the shift brought together, each filled with a number of its own: made anew in every step. */
static nn_val numbered_parts(nn *n, place p)
{
    static const char *const names[9] = {"part.0", "part.1", "part.2", "part.3", "part.4",
                                         "part.5", "part.6", "part.7", "part.8"};
    int64_t shift = p.window / 2, lengths[3] = {p.side - p.window, p.window - shift, shift};
    nn_val image = filled(n, "image", p.side, p.side);
    for (int i = 0; i < 9; i++) {
        nn_val part = filled(n, names[i], lengths[i / 3], lengths[i % 3]);
        image = nn_op2(n, OP_TensorScatter, names[i], image, part.t);
    }
    return image;
}

/* Tokens that only the shift brought into one window don't see each other: [1, windows, 1, tokens, tokens]. */
static nn_val mask_of(nn *n, place p)
{
    int64_t w = p.window, count = p.side / w, tokens = w * w;
    nn_val hidden = {nn_floats(n, "hidden", (double[]){-100}, 1), 0},
           seen = {nn_floats(n, "seen", (double[]){0}, 1), 0};
    nn_val x = nn_reshape(n, numbered_parts(n, p), "windows", 4, (int64_t[]){count, w, count, w}, 0);
    x = nn_transpose(n, x, "windows.transpose", 4, (int64_t[]){0, 2, 1, 3});
    x = nn_reshape(n, x, "windows.tokens", 2, (int64_t[]){count * count, tokens}, tokens);
    nn_val row = nn_unsqueeze(n, x, "row", 1, (int64_t[]){1}), column = nn_unsqueeze(n, x, "column", 1, (int64_t[]){2});
    x = nn_op2(n, OP_Sub, "difference", row, column.t);
    for (int i = 0; i < 2; i++) {
        nn_val which = nn_op2(n, i ? OP_Equal : OP_NotEqual, i ? "same" : "differ", x, seen.t);
        uint32_t in[3] = {which.t, i ? seen.t : hidden.t, x.t}, out;
        nn_emit(n, OP_Where, i ? "show" : "hide", in, 3, &out, 1);
        x.t = out;
    }
    return nn_unsqueeze(n, x, "unsqueeze", 2, (int64_t[]){0, 2});
}

static nn_val mask_shifted(nn *n, nn_val scores, place p)
{
    int64_t tokens = p.window * p.window, windows = (p.side / p.window) * (p.side / p.window);
    size_t mark = nn_push(n, "mask");
    nn_val mask = mask_of(n, p);
    nn_pop(n, mark);
    scores = nn_reshape(n, scores, "mask.split", 5, (int64_t[]){-1, windows, p.heads, tokens, tokens}, tokens);
    scores = nn_add(n, scores, mask, "mask.add");
    return nn_reshape(n, scores, "mask.merge", 4, (int64_t[]){-1, p.heads, tokens, tokens}, tokens);
}

/* Of length one, as F.normalize has it. */
static nn_val direction(nn *n, nn_val x, int64_t width, const char *layer)
{
    size_t mark = nn_push(n, "%s", layer);
    nn_val length = nn_op2(n, OP_ReduceL2, "length", x, nn_ints(n, "axis", "", (int64_t[]){-1}, 1));
    nn_attr(n, ATTR_keepdims, 1);
    length = nn_op1(n, OP_Clip, "clamp", length);
    length = nn_op2(n, OP_Expand, "expand", length, nn_ints(n, "size", "", (int64_t[]){1, 1, 1, width}, 4));
    x = nn_op2(n, OP_Div, "div", x, length.t);
    nn_pop(n, mark);
    return x;
}

/* Of queries [windows, heads, tokens, width] and keys [windows, tokens, heads, width]. */
static nn_val scores_of(nn *n, nn_val q, nn_val k, place p, int64_t width)
{
    if (p.v2) {
        q = direction(n, q, width, "q.normalize");
        k = direction(n, k, width, "k.normalize");
    }
    k = nn_transpose(n, k, "k.transpose", 4, (int64_t[]){0, 2, 3, 1});
    if (!p.v2) {
        q = nn_op2(n, OP_Mul, "scale", q, nn_floats(n, "scale.value", (double[]){1 / sqrt((double)width)}, 1));
        return nn_op2(n, OP_MatMul, "scores", q, k.t);
    }
    nn_val scale = {nn_weight(n, "logit_scale", "", 3, (int64_t[]){p.heads, 1, 1}), p.heads};
    scale = nn_op1(n, OP_Exp, "scale.exp", nn_op1(n, OP_Clip, "scale.clamp", scale));
    return nn_mul(n, nn_op2(n, OP_MatMul, "scores", q, k.t), scale, "scale");
}

static nn_val attention(nn *n, nn_val x, place p)
{
    int64_t c = x.c;
    nn_val qkv[3];
    if (p.shifted) x = nn_op1(n, OP_Roll, "shift.columns", nn_op1(n, OP_Roll, "shift.rows", x));
    nn_split(n, nn_linear(n, partition(n, x, p), "qkv", 3 * c, true), "split", 2, 3, qkv);
    nn_val q = nn_split_heads(n, qkv[0], "q", p.heads), v = nn_split_heads(n, qkv[2], "v", p.heads);
    nn_val k = nn_reshape(n, qkv[1], "k.split_heads", 4, (int64_t[]){0, 0, p.heads, c / p.heads}, c / p.heads);
    nn_val scores = nn_add(n, scores_of(n, q, k, p, c / p.heads), position_bias(n, p), "bias.add");
    if (p.shifted) scores = mask_shifted(n, scores, p);
    nn_val y = nn_op1(n, OP_Softmax, "softmax", scores);
    nn_attr(n, ATTR_axis, -1);
    y = nn_op2(n, OP_MatMul, "context", y, v.t);
    y = nn_transpose(n, y, "context.transpose", 4, (int64_t[]){0, 2, 1, 3});
    y = nn_reshape(n, y, "merge_heads", 3, (int64_t[]){0, 0, c}, c);
    y = merge(n, nn_linear(n, y, "proj", c, true), p);
    if (!p.shifted) return y;
    return nn_op1(n, OP_Roll, "shift_back.columns", nn_op1(n, OP_Roll, "shift_back.rows", y));
}

/* Every 2 x 2 tokens become one of twice the width. */
static nn_val patch_merging(nn *n, nn_val x, int64_t side, bool v2)
{
    static const char *const names[4] = {"x0", "x1", "x2", "x3"};
    nn_val part[4];
    int64_t c = x.c;
    for (int i = 0; i < 4; i++) {
        uint32_t in[5] = {x.t};
        in[1] = nn_ints(n, names[i], ".starts", (int64_t[]){i & 1, i >> 1}, 2);
        in[2] = nn_ints(n, names[i], ".ends", (int64_t[]){side, side}, 2);
        in[3] = nn_ints(n, names[i], ".axes", (int64_t[]){1, 2}, 2);
        in[4] = nn_ints(n, names[i], ".steps", (int64_t[]){2, 2}, 2);
        part[i] = nn_op(n, OP_Slice, names[i], in, 5, c);
    }
    x = nn_concat(n, part, 4, -1, "concat");
    if (!v2) return nn_linear(n, nn_layer_norm(n, x, "norm"), "reduction", 2 * c, false);
    return nn_layer_norm(n, nn_linear(n, x, "reduction", 2 * c, false), "norm");
}

static nn_val block(nn *n, nn_val x, place p)
{
    size_t mark = nn_push(n, "attn");
    nn_val y = p.v2 ? nn_layer_norm(n, attention(n, x, p), "norm") : attention(n, nn_layer_norm(n, x, "norm"), p);
    nn_pop(n, mark);
    x = nn_add(n, x, y, "add_1");
    mark = nn_push(n, "mlp");
    y = nn_mlp(n, p.v2 ? x : nn_layer_norm(n, x, "norm"), "fc1", "fc2", 4 * x.c, OP_Gelu);
    if (p.v2) y = nn_layer_norm(n, y, "norm");
    nn_pop(n, mark);
    return nn_add(n, x, y, "add_2");
}

static void build(nn *n, const void *dims)
{
    const swin_dims *d = dims;
    place p = {.side = n->image / 4, .v2 = d->v2};
    nn_val x = nn_image_input(n, "input", 3);
    x = nn_conv(n, x, "patch_embed.proj", (nn_conv2d){.out = d->width, .k = 4, .stride = 4, .bias = true});
    x = nn_transpose(n, x, "patch_embed.permute", 4, (int64_t[]){0, 2, 3, 1});
    x = nn_layer_norm(n, x, "patch_embed.norm");
    for (int s = 0; s < 4; s++) {
        size_t stage = nn_push(n, "layers.%d", s);
        if (s) {
            size_t mark = nn_push(n, "downsample");
            x = patch_merging(n, x, p.side, d->v2);
            p.side /= 2;
            nn_pop(n, mark);
        }
        p.window = d->window < p.side ? d->window : p.side;
        p.heads = d->heads << s;
        for (int b = 0; b < d->blocks[s]; b++) {
            size_t mark = nn_push(n, "blocks.%d", b);
            p.shifted = b % 2 == 1 && p.side > p.window;
            x = block(n, x, p);
            nn_pop(n, mark);
        }
        nn_pop(n, stage);
    }
    x = nn_transpose(n, nn_layer_norm(n, x, "norm"), "permute", 4, (int64_t[]){0, 3, 1, 2});
    nn_output(n, nn_fc(n, nn_global_pool(n, x, "avgpool"), "head", 1000), "output");
}

#define TIMM "https://github.com/huggingface/pytorch-image-models/blob/main/results/results-imagenet.csv"
#define ROW(nm, alias, text, params, src, size, ...)                                                      \
    {                                                                                                     \
        .name = nm, .aliases = alias, .family = "transformer", .description = text, .parameters = params, \
        .source = src, .image_size = size, .image_min = size, .image_step = size, .build = build,         \
        .dims = ZOO_DIMS(swin_dims, __VA_ARGS__)                                                          \
    }

static const zoo_entry rows[] = {
    ROW("swin_t",
        "swin swin_tiny swin_tiny_patch4_window7_224 swin_tiny_224 swin_tiny_224/256 "
        "microsoft/swin-tiny-patch4-window7-224",
        "Swin-T", 28288354, ZOO_TORCHVISION, 224, {{2, 2, 6, 2}, 96, 3, 7, false}),
    ROW("swin_s",
        "swin_small swin_small_patch4_window7_224 swin_small_224 swin_small_224/256 "
        "microsoft/swin-small-patch4-window7-224",
        "Swin-S", 49606258, ZOO_TORCHVISION, 224, {{2, 2, 18, 2}, 96, 3, 7, false}),
    ROW("swin_b",
        "swin_base swin_base_patch4_window7_224 swin_base_224 swin_base_224/256 "
        "microsoft/swin-base-patch4-window7-224",
        "Swin-B", 87768224, ZOO_TORCHVISION, 224, {{2, 2, 18, 2}, 128, 4, 7, false}),
    ROW("swin_l",
        "swin_large swin_large_patch4_window7_224 swin_large_224 swin_large_224/256 "
        "microsoft/swin-large-patch4-window7-224",
        "Swin-L", 196532476, TIMM, 224, {{2, 2, 18, 2}, 192, 6, 7, false}),
    ROW("swin_v2_t", "swinv2_tiny swinv2_tiny_window8_256 swinv2_tiny_224/256 microsoft/swinv2-tiny-patch4-window8-256",
        "Swin v2-T, windows of 8", 28351570, ZOO_TORCHVISION, 256, {{2, 2, 6, 2}, 96, 3, 8, true}),
    ROW("swin_v2_s", "swinv2_small swinv2_small_window8_256 microsoft/swinv2-small-patch4-window8-256",
        "Swin v2-S, windows of 8", 49737442, ZOO_TORCHVISION, 256, {{2, 2, 18, 2}, 96, 3, 8, true}),
    ROW("swin_v2_b", "swinv2_base swinv2_base_window8_256 microsoft/swinv2-base-patch4-window8-256",
        "Swin v2-B, windows of 8", 87930848, ZOO_TORCHVISION, 256, {{2, 2, 18, 2}, 128, 4, 8, true}),
    ROW("swinv2_tiny_window16_256", "microsoft/swinv2-tiny-patch4-window16-256", "Swin v2-T, windows of 16", 28350000,
        TIMM, 256, {{2, 2, 6, 2}, 96, 3, 16, true}),
    ROW("swinv2_small_window16_256", "microsoft/swinv2-small-patch4-window16-256", "Swin v2-S, windows of 16", 49730000,
        TIMM, 256, {{2, 2, 18, 2}, 96, 3, 16, true}),
    ROW("swinv2_base_window16_256", "swinv2_base_window12to16_192to256 microsoft/swinv2-base-patch4-window16-256",
        "Swin v2-B, windows of 16", 87920000, TIMM, 256, {{2, 2, 18, 2}, 128, 4, 16, true}),
    ROW("swinv2_large_window16_256", "swinv2_large_window12to16_192to256", "Swin v2-L, windows of 16", 196740000, TIMM,
        256, {{2, 2, 18, 2}, 192, 6, 16, true}),
    ROW("swinv2_base_window24_384", "swinv2_base_window12to24_192to384", "Swin v2-B, windows of 24, at 384 pixels",
        87920000, TIMM, 384, {{2, 2, 18, 2}, 128, 4, 24, true}),
};

const zoo_table zoo_swin = ZOO_TABLE(rows);
