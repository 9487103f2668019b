/* The U-Net of Stable Diffusion 1.x (Rombach 2021) and XL (Podell 2023), one denoising step, as in diffusers'
 * UNet2DConditionModel. */
#include "zoo/nn_diffusion.h"
#include "zoo/tables.h"

enum { TIME_WIDTH = 1280, GROUPS = 32, MOST_SKIPS = 12 };

const nn_unet nn_sd15_unet = {4, {320, 640, 1280, 1280}, {1, 1, 1, 0}, 1, 8, 0, 768, false, false};
const nn_unet nn_sdxl_unet = {3, {320, 640, 1280}, {0, 2, 10}, 10, 0, 64, 2048, true, true};

typedef struct unet {
    nn *n;
    const nn_unet *d;
    nn_val time, text; /* [batch, 1280]; [batch, 77, text width] */
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

static nn_val attend(const unet *u, nn_val x, nn_val context, const char *layer)
{
    nn *n = u->n;
    int64_t heads = u->d->heads ? u->d->heads : x.c / u->d->head_dim;
    if (heads < 1) heads = 1; /* x is dead: memory has run out */
    size_t mark = nn_push(n, "%s", layer);
    nn_val q = nn_linear(n, x, "to_q", x.c, false), k = nn_linear(n, context, "to_k", x.c, false);
    nn_val v = nn_linear(n, context, "to_v", x.c, false);
    nn_val y = nn_attention(n, q, k, v, (nn_attend){.heads = heads, .mask = NN_ABSENT});
    y = nn_linear(n, y, "to_out", x.c, true);
    nn_pop(n, mark);
    return y;
}

/* Self-attention, attention to the text, and a feed-forward layer gated by GELU, over the pixels as tokens. */
static nn_val transformer_block(unet *u, nn_val y, int i)
{
    nn *n = u->n;
    size_t mark = nn_push(n, "transformer_blocks.%d", i);
    int64_t c = y.c;
    nn_val h = nn_layer_norm(n, y, "norm1");
    y = nn_add(n, attend(u, h, h, "attn1"), y, "add1");
    y = nn_add(n, attend(u, nn_layer_norm(n, y, "norm2"), u->text, "attn2"), y, "add2");
    nn_val half[2];
    nn_split(n, nn_linear(n, nn_layer_norm(n, y, "norm3"), "ff.proj", 8 * c, true), "ff.split", 2, 2, half);
    h = nn_mul(n, half[0], nn_op1(n, OP_Gelu, "ff.gelu", half[1]), "ff.mul");
    y = nn_add(n, nn_linear(n, h, "ff.out", c, true), y, "add3");
    nn_pop(n, mark);
    return y;
}

static nn_val transformer(unet *u, nn_val x, int i, int blocks)
{
    nn *n = u->n;
    size_t mark = nn_push(n, "attentions.%d", i);
    int64_t c = x.c;
    bool linear = u->d->linear_projection;
    nn_conv2d project = {.out = c, .k = 1, .bias = true};
    nn_val y = nn_group_norm(n, x, "norm", GROUPS);
    if (!linear) y = nn_conv(n, y, "proj_in", project);
    y = nn_transpose(n, y, "to_tokens.transpose", 4, (int64_t[]){0, 2, 3, 1});
    y = nn_reshape(n, y, "to_tokens.reshape", 3, (int64_t[]){0, u->side * u->side, c}, c);
    if (linear) y = nn_linear(n, y, "proj_in", c, true);
    for (int b = 0; b < blocks; b++) y = transformer_block(u, y, b);
    if (linear) y = nn_linear(n, y, "proj_out", c, true);
    y = nn_reshape(n, y, "to_image.reshape", 4, (int64_t[]){0, u->side, u->side, c}, c);
    y = nn_transpose(n, y, "to_image.transpose", 4, (int64_t[]){0, 3, 1, 2});
    if (!linear) y = nn_conv(n, y, "proj_out", project);
    x = nn_add(n, y, x, "add");
    nn_pop(n, mark);
    return x;
}

/* Cosines and sines of numbers [..., 1] at `half` frequencies. */
static nn_val waves(nn *n, nn_val t, int half, int64_t axis)
{
    double frequency[160];
    nn_val parts[2];
    for (int i = 0; i < half; i++) frequency[i] = pow(10000, -(double)i / half);
    t = nn_op2(n, OP_Mul, "angles", t, nn_floats(n, "frequencies", frequency, (uint32_t)half));
    t.c = half;
    parts[0] = nn_op1(n, OP_Cos, "cos", t);
    parts[1] = nn_op1(n, OP_Sin, "sin", t);
    return nn_concat(n, parts, 2, axis, "concat");
}

static nn_val two_layers(nn *n, nn_val t)
{
    t = nn_fc(n, t, "linear_1", TIME_WIDTH);
    return nn_fc(n, nn_op1(n, OP_Silu, "act", t), "linear_2", TIME_WIDTH);
}

/* The step's number [rows], then a small network: all levels see it. */
static nn_val time_embedding(nn *n, nn_val t)
{
    size_t mark = nn_push(n, "time");
    t = nn_op1(n, OP_Cast, "cast", t);
    nn_attr(n, ATTR_to, 1); /* ONNX's number for float32 */
    t = waves(n, nn_unsqueeze(n, t, "unsqueeze", 1, (int64_t[]){1}), 160, 1);
    t = two_layers(n, t);
    nn_pop(n, mark);
    return t;
}

/* XL: what the whole text says, and six numbers of the picture's size and crop. */
static nn_val added_embedding(nn *n, nn_val text, nn_val sizes)
{
    enum { SIZES = 6, WAVES = 256 };
    size_t mark = nn_push(n, "added");
    nn_val parts[2] = {text, waves(n, nn_unsqueeze(n, sizes, "unsqueeze", 1, (int64_t[]){2}), WAVES / 2, 2)};
    parts[1] = nn_reshape(n, parts[1], "flat", 2, (int64_t[]){0, SIZES * WAVES}, SIZES * WAVES);
    nn_val t = two_layers(n, nn_concat(n, parts, 2, 1, "concat_text"));
    nn_pop(n, mark);
    return t;
}

static nn_val down(unet *u, nn_val x, nn_val *skip)
{
    nn *n = u->n;
    const nn_unet *d = u->d;
    int kept = 0;
    skip[kept++] = x;
    for (int level = 0; level < d->levels; level++) {
        size_t mark = nn_push(n, "down_blocks.%d", level);
        for (int i = 0; i < 2; i++) {
            x = resnet(u, x, d->widths[level], i);
            if (d->depth[level]) x = transformer(u, x, i, d->depth[level]);
            skip[kept++] = x;
        }
        if (level < d->levels - 1) {
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
    const nn_unet *d = u->d;
    int kept = 3 * d->levels;
    for (int level = d->levels - 1; level >= 0; level--) {
        size_t mark = nn_push(n, "up_blocks.%d", d->levels - 1 - level);
        for (int i = 0; i < 3; i++) {
            size_t inner = nn_push(n, "concat");
            x = nn_concat(n, (nn_val[]){x, skip[--kept]}, 2, 1, i == 0 ? "0" : i == 1 ? "1" : "2");
            nn_pop(n, inner);
            x = resnet(u, x, d->widths[level], i);
            if (d->depth[level]) x = transformer(u, x, i, d->depth[level]);
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

nn_val nn_unet_step(nn *n, const nn_unet *d, nn_val x, nn_unet_inputs in)
{
    nn_val skip[MOST_SKIPS];
    unet u = {.n = n, .d = d, .side = n->image / NN_LATENT, .text = in.text};
    u.time = time_embedding(n, in.step);
    if (d->added) u.time = nn_add(n, u.time, added_embedding(n, in.whole_text, in.sizes), "time_added");
    x = nn_conv(n, x, "conv_in", (nn_conv2d){.out = d->widths[0], .k = 3, .pad = 1, .bias = true});
    x = down(&u, x, skip);
    size_t mark = nn_push(n, "mid_block");
    x = resnet(&u, x, x.c, 0);
    x = resnet(&u, transformer(&u, x, 0, d->mid_depth), x.c, 1);
    nn_pop(n, mark);
    x = norm_silu(n, up(&u, x, skip), "conv_norm_out", "conv_act");
    return nn_conv(n, x, "conv_out", (nn_conv2d){.out = 4, .k = 3, .pad = 1, .bias = true});
}

static void build(nn *n, const void *dims)
{
    const nn_unet *d = dims;
    int64_t side = n->image / NN_LATENT;
    num batch = nn_symbol(n->batch);
    num latents[4] = {batch, num_int(4), num_int(side), num_int(side)};
    num text[3] = {batch, num_int(NN_TEXT_TOKENS), num_int(d->text_width)};
    nn_unet_inputs in = {NN_ABSENT, NN_ABSENT, NN_ABSENT, NN_ABSENT};
    nn_val x = nn_input(n, "sample", n->weights, 4, latents, 4);
    in.step = nn_input(n, "timestep", DT_INT64, 1, &batch, 1);
    in.text = nn_input(n, "encoder_hidden_states", n->weights, 3, text, d->text_width);
    if (d->added) {
        in.whole_text = nn_input(n, "text_embeds", n->weights, 2, (num[]){batch, num_int(1280)}, 1280);
        in.sizes = nn_input(n, "time_ids", n->weights, 2, (num[]){batch, num_int(6)}, 6);
    }
    nn_output(n, nn_unet_step(n, d, x, in), "out_sample");
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
     .build = build,
     .dims = &nn_sd15_unet},
    {.name = "stable-diffusion-xl-unet",
     .aliases = "sdxl-unet",
     .family = "diffusion",
     .description = "Stable Diffusion XL U-Net, one denoising step",
     .parameters = 2567463684,
     .source = ZOO_HUGGING_FACE("stabilityai/stable-diffusion-xl-base-1.0"),
     .image_size = 1024,
     .image_min = 64,
     .image_step = 32,
     .build = build,
     .dims = &nn_sdxl_unet},
};

const zoo_table zoo_diffusion = ZOO_TABLE(rows);
