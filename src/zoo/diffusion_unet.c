/* The U-Net of Stable Diffusion 1.x (Rombach 2021), one denoising step, as in diffusers' UNet2DConditionModel. */
#include "zoo/tables.h"

enum { LEVELS = 4, TEXT_TOKENS = 77, TEXT_WIDTH = 768, HEADS = 8, TIME_WIDTH = 1280, GROUPS = 32, SKIPS = 12 };

static const int64_t widths[LEVELS] = {320, 640, 1280, 1280};

typedef struct unet {
    nn *n;
    nn_val time, text; /* [batch, 1280]; [batch, 77, 768] */
    int64_t side;      /* of the image at this level */
} unet;

static nn_val norm_silu(nn *n, nn_val x, const char *norm, const char *act)
{
    return nn_op1(n, OP_Silu, act, nn_group_norm(n, x, norm, GROUPS));
}

static nn_val resnet(unet *u, nn_val x, int64_t out, int i)
{
    nn *n = u->n;
    size_t mark = nn_push(n, "resnets.%d", i);
    nn_val y = norm_silu(n, x, "norm1", "act1");
    y = nn_conv(n, y, "conv1", (nn_conv2d){.out = out, .k = 3, .pad = 1, .bias = true});
    nn_val t = nn_fc(n, nn_op1(n, OP_Silu, "time_act", u->time), "time_emb_proj", out);
    y = nn_add(n, y, nn_unsqueeze(n, t, "time_unsqueeze", 2, (int64_t[]){2, 3}), "time_add");
    y = norm_silu(n, y, "norm2", "act2");
    y = nn_conv(n, y, "conv2", (nn_conv2d){.out = out, .k = 3, .pad = 1, .bias = true});
    if (x.c != out) x = nn_conv(n, x, "conv_shortcut", (nn_conv2d){.out = out, .k = 1, .bias = true});
    x = nn_add(n, x, y, "add");
    nn_pop(n, mark);
    return x;
}

static nn_val attend(nn *n, nn_val x, nn_val context, const char *layer)
{
    size_t mark = nn_push(n, "%s", layer);
    nn_val q = nn_linear(n, x, "to_q", x.c, false), k = nn_linear(n, context, "to_k", x.c, false);
    nn_val v = nn_linear(n, context, "to_v", x.c, false);
    nn_val y = nn_attention(n, q, k, v, (nn_attend){.heads = HEADS, .mask = NN_ABSENT});
    y = nn_linear(n, y, "to_out", x.c, true);
    nn_pop(n, mark);
    return y;
}

/* Self-attention, attention to the text, and a feed-forward layer gated by GELU, over the pixels as tokens. */
static nn_val transformer(unet *u, nn_val x, int i)
{
    nn *n = u->n;
    size_t mark = nn_push(n, "attentions.%d", i);
    int64_t c = x.c;
    nn_val y = nn_conv(n, nn_group_norm(n, x, "norm", GROUPS), "proj_in", (nn_conv2d){.out = c, .k = 1, .bias = true});
    y = nn_transpose(n, y, "to_tokens.transpose", 4, (int64_t[]){0, 2, 3, 1});
    y = nn_reshape(n, y, "to_tokens.reshape", 3, (int64_t[]){0, u->side * u->side, c}, c);
    size_t inner = nn_push(n, "transformer_blocks.0");
    nn_val h = nn_layer_norm(n, y, "norm1");
    y = nn_add(n, attend(n, h, h, "attn1"), y, "add1");
    y = nn_add(n, attend(n, nn_layer_norm(n, y, "norm2"), u->text, "attn2"), y, "add2");
    nn_val half[2];
    nn_split(n, nn_linear(n, nn_layer_norm(n, y, "norm3"), "ff.proj", 8 * c, true), "ff.split", 2, 2, half);
    h = nn_mul(n, half[0], nn_op1(n, OP_Gelu, "ff.gelu", half[1]), "ff.mul");
    y = nn_add(n, nn_linear(n, h, "ff.out", c, true), y, "add3");
    nn_pop(n, inner);
    y = nn_reshape(n, y, "to_image.reshape", 4, (int64_t[]){0, u->side, u->side, c}, c);
    y = nn_transpose(n, y, "to_image.transpose", 4, (int64_t[]){0, 3, 1, 2});
    y = nn_conv(n, y, "proj_out", (nn_conv2d){.out = c, .k = 1, .bias = true});
    x = nn_add(n, y, x, "add");
    nn_pop(n, mark);
    return x;
}

/* Sines and cosines of the step's number, then a small network: all levels see it. */
static nn_val time_embedding(nn *n, num batch)
{
    enum { HALF = 160 };
    double frequency[HALF];
    for (int i = 0; i < HALF; i++) frequency[i] = pow(10000, -(double)i / HALF);
    nn_val t = nn_input(n, "timestep", DT_INT64, 1, &batch, 1), parts[2];
    size_t mark = nn_push(n, "time");
    t = nn_op1(n, OP_Cast, "cast", t);
    nn_attr(n, ATTR_to, 1); /* ONNX's number for float32 */
    t = nn_unsqueeze(n, t, "unsqueeze", 1, (int64_t[]){1});
    t = nn_op2(n, OP_Mul, "angles", t, nn_floats(n, "frequencies", frequency, HALF));
    t.c = HALF;
    parts[0] = nn_op1(n, OP_Cos, "cos", t);
    parts[1] = nn_op1(n, OP_Sin, "sin", t);
    t = nn_fc(n, nn_concat(n, parts, 2, 1, "concat"), "linear_1", TIME_WIDTH);
    t = nn_fc(n, nn_op1(n, OP_Silu, "act", t), "linear_2", TIME_WIDTH);
    nn_pop(n, mark);
    return t;
}

static nn_val down(unet *u, nn_val x, nn_val *skip)
{
    nn *n = u->n;
    int kept = 0;
    skip[kept++] = x;
    for (int level = 0; level < LEVELS; level++) {
        size_t mark = nn_push(n, "down_blocks.%d", level);
        for (int i = 0; i < 2; i++) {
            x = resnet(u, x, widths[level], i);
            if (level < LEVELS - 1) x = transformer(u, x, i);
            skip[kept++] = x;
        }
        if (level < LEVELS - 1) {
            x = nn_conv(n, x, "downsample", (nn_conv2d){.out = x.c, .k = 3, .stride = 2, .pad = 1, .bias = true});
            u->side /= 2;
            skip[kept++] = x;
        }
        nn_pop(n, mark);
    }
    return x;
}

static nn_val up(unet *u, nn_val x, const nn_val *skip)
{
    nn *n = u->n;
    int kept = SKIPS;
    for (int level = LEVELS - 1; level >= 0; level--) {
        size_t mark = nn_push(n, "up_blocks.%d", LEVELS - 1 - level);
        for (int i = 0; i < 3; i++) {
            size_t inner = nn_push(n, "concat");
            x = nn_concat(n, (nn_val[]){x, skip[--kept]}, 2, 1, i == 0 ? "0" : i == 1 ? "1" : "2");
            nn_pop(n, inner);
            x = resnet(u, x, widths[level], i);
            if (level < LEVELS - 1) x = transformer(u, x, i);
        }
        if (level > 0) {
            x = nn_upsample2(n, x, "upsample");
            x = nn_conv(n, x, "upsample.conv", (nn_conv2d){.out = x.c, .k = 3, .pad = 1, .bias = true});
            u->side *= 2;
        }
        nn_pop(n, mark);
    }
    return x;
}

static void build(nn *n, const void *dims)
{
    (void)dims;
    nn_val skip[SKIPS];
    unet u = {.n = n, .side = n->image / 8}; /* the autoencoder's latents are an eighth of the picture */
    num batch = nn_symbol(n->batch);
    num latents[4] = {batch, num_int(4), num_int(u.side), num_int(u.side)};
    num text[3] = {batch, num_int(TEXT_TOKENS), num_int(TEXT_WIDTH)};
    nn_val x = nn_input(n, "sample", n->weights, 4, latents, 4);
    u.time = time_embedding(n, batch);
    u.text = nn_input(n, "encoder_hidden_states", n->weights, 3, text, TEXT_WIDTH);
    x = nn_conv(n, x, "conv_in", (nn_conv2d){.out = widths[0], .k = 3, .pad = 1, .bias = true});
    x = down(&u, x, skip);
    size_t mark = nn_push(n, "mid_block");
    x = resnet(&u, x, x.c, 0);
    x = resnet(&u, transformer(&u, x, 0), x.c, 1);
    nn_pop(n, mark);
    x = norm_silu(n, up(&u, x, skip), "conv_norm_out", "conv_act");
    nn_output(n, nn_conv(n, x, "conv_out", (nn_conv2d){.out = 4, .k = 3, .pad = 1, .bias = true}), "out_sample");
}

static const zoo_entry rows[] = {
    {.name = "stable-diffusion-v1-5-unet",
     .aliases = "sd15-unet stable-diffusion stable-diffusion-v1-5 sd15 sd-unet runwayml/stable-diffusion-v1-5 "
                "CompVis/stable-diffusion-v1-4",
     .family = "diffusion",
     .description = "Stable Diffusion 1.5 U-Net, one denoising step",
     .parameters = 859520964,
     .source = ZOO_HUGGING_FACE("runwayml/stable-diffusion-v1-5"),
     .image_size = 512,
     .image_min = 64,
     .image_step = 64,
     .build = build},
};

const zoo_table zoo_diffusion = ZOO_TABLE(rows);
