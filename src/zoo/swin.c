/* Swin Transformer (Liu 2021), as in torchvision: attention in windows of 7 x 7, shifted in every second layer. */
#include "zoo/tables.h"

typedef struct swin_dims {
    int blocks[4];
    int64_t width, heads; /* of the first stage; each doubles them */
} swin_dims;

enum { WINDOW = 7, TOKENS = WINDOW * WINDOW, BIASES = (2 * WINDOW - 1) * (2 * WINDOW - 1) };

static nn_val partition(nn *n, nn_val x, int64_t side)
{
    int64_t c = x.c;
    x = nn_reshape(n, x, "windows", 6, (int64_t[]){0, side / WINDOW, WINDOW, side / WINDOW, WINDOW, c}, c);
    x = nn_transpose(n, x, "windows.transpose", 6, (int64_t[]){0, 1, 3, 2, 4, 5});
    return nn_reshape(n, x, "windows.tokens", 3, (int64_t[]){-1, TOKENS, c}, c);
}

static nn_val merge(nn *n, nn_val x, int64_t side)
{
    int64_t c = x.c;
    x = nn_reshape(n, x, "merge", 6, (int64_t[]){-1, side / WINDOW, side / WINDOW, WINDOW, WINDOW, c}, c);
    x = nn_transpose(n, x, "merge.transpose", 6, (int64_t[]){0, 1, 3, 2, 4, 5});
    return nn_reshape(n, x, "merge.image", 4, (int64_t[]){-1, side, side, c}, c);
}

/* One learned number for each distance in a window and head, looked up into [1, heads, 49, 49]. */
static nn_val position_bias(nn *n, int64_t heads)
{
    nn_val table = {nn_weight(n, "relative_position_bias_table", "", 2, (int64_t[]){BIASES, heads}), heads};
    int64_t index[TOKENS * TOKENS];
    for (int i = 0; i < TOKENS; i++)
        for (int j = 0; j < TOKENS; j++) {
            int down = i / WINDOW - j / WINDOW + WINDOW - 1, right = i % WINDOW - j % WINDOW + WINDOW - 1;
            index[i * TOKENS + j] = down * (2 * WINDOW - 1) + right;
        }
    uint32_t at = nn_ints(n, "relative_position_index", "", index, TOKENS * TOKENS);
    nn_val b = nn_op2(n, OP_Gather, "bias", table, at);
    nn_attr(n, ATTR_axis, 0);
    b = nn_reshape(n, b, "bias.reshape", 3, (int64_t[]){TOKENS, TOKENS, heads}, heads);
    b = nn_transpose(n, b, "bias.transpose", 3, (int64_t[]){2, 0, 1});
    return nn_unsqueeze(n, b, "bias.unsqueeze", 1, (int64_t[]){0});
}

/* Tokens that only the shift brought into one window don't see each other. */
static nn_val mask_shifted(nn *n, nn_val scores, int64_t heads, int64_t windows)
{
    nn_val shape = {nn_ints(n, "mask.shape", "", (int64_t[]){1, windows, 1, TOKENS, TOKENS}, 5), 0};
    nn_val mask = nn_op1(n, OP_ConstantOfShape, "mask", shape);
    scores = nn_reshape(n, scores, "mask.split", 5, (int64_t[]){-1, windows, heads, TOKENS, TOKENS}, TOKENS);
    scores = nn_add(n, scores, mask, "mask.add");
    return nn_reshape(n, scores, "mask.merge", 4, (int64_t[]){-1, heads, TOKENS, TOKENS}, TOKENS);
}

static nn_val attention(nn *n, nn_val x, int64_t heads, int64_t side, bool shifted)
{
    int64_t c = x.c;
    nn_val qkv[3];
    if (shifted) x = nn_op1(n, OP_Roll, "shift", x);
    nn_split(n, nn_linear(n, partition(n, x, side), "qkv", 3 * c, true), "split", 2, 3, qkv);
    nn_val q = nn_split_heads(n, qkv[0], "q", heads), v = nn_split_heads(n, qkv[2], "v", heads);
    nn_val k = nn_reshape(n, qkv[1], "k.split_heads", 4, (int64_t[]){0, 0, heads, c / heads}, c / heads);
    k = nn_transpose(n, k, "k.transpose", 4, (int64_t[]){0, 2, 3, 1});
    q = nn_op2(n, OP_Mul, "scale", q, nn_floats(n, "scale.value", (double[]){1 / sqrt((double)(c / heads))}, 1));
    nn_val scores = nn_op2(n, OP_MatMul, "scores", q, k.t);
    scores = nn_add(n, scores, position_bias(n, heads), "bias.add");
    if (shifted) scores = mask_shifted(n, scores, heads, (side / WINDOW) * (side / WINDOW));
    nn_val y = nn_op1(n, OP_Softmax, "softmax", scores);
    nn_attr(n, ATTR_axis, -1);
    y = nn_op2(n, OP_MatMul, "context", y, v.t);
    y = nn_transpose(n, y, "context.transpose", 4, (int64_t[]){0, 2, 1, 3});
    y = nn_reshape(n, y, "merge_heads", 3, (int64_t[]){0, 0, c}, c);
    y = merge(n, nn_linear(n, y, "proj", c, true), side);
    return shifted ? nn_op1(n, OP_Roll, "shift_back", y) : y;
}

/* Every 2 x 2 tokens become one of twice the width. */
static nn_val patch_merging(nn *n, nn_val x, int64_t side)
{
    static const char *const names[4] = {"x0", "x1", "x2", "x3"};
    nn_val part[4];
    int64_t c = x.c;
    for (int i = 0; i < 4; i++) {
        uint32_t in[5] = {x.t}, out;
        in[1] = nn_ints(n, names[i], ".starts", (int64_t[]){i & 1, i >> 1}, 2);
        in[2] = nn_ints(n, names[i], ".ends", (int64_t[]){side, side}, 2);
        in[3] = nn_ints(n, names[i], ".axes", (int64_t[]){1, 2}, 2);
        in[4] = nn_ints(n, names[i], ".steps", (int64_t[]){2, 2}, 2);
        nn_emit(n, OP_Slice, names[i], in, 5, &out, 1);
        part[i] = (nn_val){out, c};
    }
    x = nn_layer_norm(n, nn_concat(n, part, 4, -1, "concat"), "norm");
    return nn_linear(n, x, "reduction", 2 * c, false);
}

static nn_val block(nn *n, nn_val x, int64_t heads, int64_t side, bool shifted)
{
    size_t mark = nn_push(n, "attn");
    nn_val y = attention(n, nn_layer_norm(n, x, "norm"), heads, side, shifted && side > WINDOW);
    nn_pop(n, mark);
    x = nn_add(n, x, y, "add_1");
    mark = nn_push(n, "mlp");
    y = nn_mlp(n, nn_layer_norm(n, x, "norm"), "fc1", "fc2", 4 * x.c, OP_Gelu);
    nn_pop(n, mark);
    return nn_add(n, x, y, "add_2");
}

static void build(nn *n, const void *dims)
{
    const swin_dims *d = dims;
    int64_t side = n->image / 4;
    nn_val x = nn_image_input(n, "input", 3);
    x = nn_conv(n, x, "patch_embed.proj", (nn_conv2d){.out = d->width, .k = 4, .stride = 4, .bias = true});
    x = nn_transpose(n, x, "patch_embed.permute", 4, (int64_t[]){0, 2, 3, 1});
    x = nn_layer_norm(n, x, "patch_embed.norm");
    for (int s = 0; s < 4; s++) {
        size_t stage = nn_push(n, "layers.%d", s);
        if (s) {
            size_t mark = nn_push(n, "downsample");
            x = patch_merging(n, x, side);
            side /= 2;
            nn_pop(n, mark);
        }
        for (int b = 0; b < d->blocks[s]; b++) {
            size_t mark = nn_push(n, "blocks.%d", b);
            x = block(n, x, d->heads << s, side, b % 2 == 1);
            nn_pop(n, mark);
        }
        nn_pop(n, stage);
    }
    x = nn_transpose(n, nn_layer_norm(n, x, "norm"), "permute", 4, (int64_t[]){0, 3, 1, 2});
    nn_output(n, nn_fc(n, nn_global_pool(n, x, "avgpool"), "head", 1000), "output");
}

#define ROW(nm, alias, text, params, ...)                                                                  \
    {                                                                                                      \
        .name = nm, .aliases = alias, .family = "transformer", .description = text, .parameters = params,  \
        .source = ZOO_TORCHVISION, .image_size = 224, .image_min = 224, .image_step = 224, .build = build, \
        .dims = ZOO_DIMS(swin_dims, __VA_ARGS__)                                                           \
    }

static const zoo_entry rows[] = {
    ROW("swin_t", "swin swin_tiny swin_tiny_patch4_window7_224 swin_tiny_224 microsoft/swin-tiny-patch4-window7-224",
        "Swin-T", 28288354, {{2, 2, 6, 2}, 96, 3}),
    ROW("swin_s", "swin_small swin_small_patch4_window7_224 swin_small_224 microsoft/swin-small-patch4-window7-224",
        "Swin-S", 49606258, {{2, 2, 18, 2}, 96, 3}),
    ROW("swin_b", "swin_base swin_base_patch4_window7_224 swin_base_224 microsoft/swin-base-patch4-window7-224",
        "Swin-B", 87768224, {{2, 2, 18, 2}, 128, 4}),
};

const zoo_table zoo_swin = ZOO_TABLE(rows);
