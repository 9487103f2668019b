/* Stable Diffusion XL (Podell 2023) as a whole and in parts: two CLIP text encoders (Radford 2021), the U-Net in a
 * loop over the steps, with classifier-free guidance, and the decoder of the autoencoder. */
#include "zoo/nn_diffusion.h"
#include "zoo/nn_seq.h"
#include "zoo/nn_vision.h"
#include "zoo/tables.h"

enum { STEPS = 20, VOCABULARY = 49408, GROUPS = 32 };

/* ---- text encoders ---- */

typedef struct clip_dims {
    int64_t width, heads;
    int layers;
    op_kind act;
    bool project; /* the last token's state, projected, too */
} clip_dims;

static const clip_dims clip_l = {768, 12, 12, OP_QuickGelu, false}, clip_g = {1280, 20, 32, OP_Gelu, true};

typedef struct encoded {
    nn_val tokens, whole;
} encoded;

static encoded clip(nn *n, nn_val ids, const clip_dims *d)
{
    encoded out = {NN_ABSENT, NN_ABSENT};
    nn_val x = nn_embedding(n, ids, "token_embedding", VOCABULARY, d->width, NULL);
    nn_val p = nn_embedding(n, nn_positions(n, ids), "position_embedding", NN_TEXT_TOKENS, d->width, NULL);
    x = nn_add(n, x, p, "embeddings");
    for (int i = 0; i < d->layers; i++) {
        size_t mark = nn_push(n, "layers.%d", i);
        if (i == d->layers - 1) out.tokens = x; /* XL reads what enters the last layer */
        nn_val y = nn_layer_norm(n, x, "layer_norm1");
        nn_val q = nn_linear(n, y, "q_proj", d->width, true), k = nn_linear(n, y, "k_proj", d->width, true);
        nn_val v = nn_linear(n, y, "v_proj", d->width, true);
        y = nn_attention(n, q, k, v, (nn_attend){.heads = d->heads, .causal = true, .mask = NN_ABSENT});
        x = nn_add(n, x, nn_linear(n, y, "out_proj", d->width, true), "add1");
        y = nn_mlp(n, nn_layer_norm(n, x, "layer_norm2"), "fc1", "fc2", 4 * d->width, d->act);
        x = nn_add(n, x, y, "add2");
        nn_pop(n, mark);
    }
    x = nn_layer_norm(n, x, "final_layer_norm");
    if (d->project) out.whole = nn_linear(n, nn_pick(n, x, "last_token", 1, 0), "text_projection", d->width, false);
    else out.whole = x;
    return out;
}

static void build_text(nn *n, const void *dims)
{
    const clip_dims *d = dims;
    encoded e = clip(n, nn_token_input(n, "input_ids"), d);
    nn_output(n, e.tokens, "hidden_states");
    nn_output(n, e.whole, d->project ? "text_embeds" : "last_hidden_state");
}

/* ---- the decoder of the autoencoder ---- */

static nn_val vae_resnet(nn *n, nn_val x, int64_t out, int i)
{
    size_t mark = nn_push(n, "resnets.%d", i);
    nn_conv2d s = {.out = out, .k = 3, .pad = 1, .bias = true};
    nn_val y = nn_conv(n, nn_op1(n, OP_Silu, "act1", nn_group_norm(n, x, "norm1", GROUPS)), "conv1", s);
    y = nn_conv(n, nn_op1(n, OP_Silu, "act2", nn_group_norm(n, y, "norm2", GROUPS)), "conv2", s);
    if (x.c != out) x = nn_conv(n, x, "conv_shortcut", (nn_conv2d){.out = out, .k = 1, .bias = true});
    x = nn_add(n, x, y, "add");
    nn_pop(n, mark);
    return x;
}

static nn_val vae_attention(nn *n, nn_val x, int64_t side)
{
    size_t mark = nn_push(n, "attentions.0");
    int64_t c = x.c;
    nn_val y = nn_group_norm(n, x, "group_norm", GROUPS);
    y = nn_transpose(n, y, "to_tokens.transpose", 4, (int64_t[]){0, 2, 3, 1});
    y = nn_reshape(n, y, "to_tokens.reshape", 3, (int64_t[]){0, side * side, c}, c);
    nn_val q = nn_linear(n, y, "to_q", c, true), k = nn_linear(n, y, "to_k", c, true);
    nn_val v = nn_linear(n, y, "to_v", c, true);
    y = nn_attention(n, q, k, v, (nn_attend){.heads = 1, .mask = NN_ABSENT});
    y = nn_reshape(n, nn_linear(n, y, "to_out", c, true), "to_image.reshape", 4, (int64_t[]){0, side, side, c}, c);
    x = nn_add(n, x, nn_transpose(n, y, "to_image.transpose", 4, (int64_t[]){0, 3, 1, 2}), "add");
    nn_pop(n, mark);
    return x;
}

static nn_val decode(nn *n, nn_val x)
{
    static const int64_t widths[4] = {512, 512, 256, 128};
    x = nn_conv(n, x, "post_quant_conv", (nn_conv2d){.out = 4, .k = 1, .bias = true});
    x = nn_conv(n, x, "conv_in", (nn_conv2d){.out = widths[0], .k = 3, .pad = 1, .bias = true});
    size_t mark = nn_push(n, "mid_block");
    x = vae_attention(n, vae_resnet(n, x, widths[0], 0), n->image / NN_LATENT);
    x = vae_resnet(n, x, widths[0], 1);
    nn_pop(n, mark);
    for (int level = 0; level < 4; level++) {
        mark = nn_push(n, "up_blocks.%d", level);
        for (int i = 0; i < 3; i++) x = vae_resnet(n, x, widths[level], i);
        if (level < 3) {
            x = nn_upsample2(n, x, "upsample");
            x = nn_conv(n, x, "upsample.conv", (nn_conv2d){.out = x.c, .k = 3, .pad = 1, .bias = true});
        }
        nn_pop(n, mark);
    }
    x = nn_op1(n, OP_Silu, "conv_act", nn_group_norm(n, x, "conv_norm_out", GROUPS));
    return nn_conv(n, x, "conv_out", (nn_conv2d){.out = 3, .k = 3, .pad = 1, .bias = true});
}

static nn_val latent_input(nn *n)
{
    int64_t side = n->image / NN_LATENT;
    return nn_sized_input(n, "latents", 4, 2, (int64_t[]){side, side});
}

static void build_decoder(nn *n, const void *dims)
{
    (void)dims;
    nn_output(n, decode(n, latent_input(n)), "sample");
}

/* ---- the pipeline ---- */

static nn_val ids_input(nn *n, const char *name)
{
    return nn_input(n, name, DT_INT64, 2, (num[]){nn_symbol(n->batch), num_int(NN_TEXT_TOKENS)}, 0);
}

/* One step: the U-Net with and without the text, what lies between the two, and the scheduler's Euler step. */
static nn_val step(nn *n, nn_val latents, nn_val index, nn_unet_inputs in)
{
    nn_val half[2], x = nn_concat(n, (nn_val[]){latents, latents}, 2, 0, "with_and_without_text");
    x = nn_op2(n, OP_Div, "scale_input", x, nn_floats(n, "scale_input.by", (double[]){14.6}, 1));
    x.c = 4;
    int64_t steps[STEPS];
    for (int i = 0; i < STEPS; i++) steps[i] = 1000 - (i + 1) * 1000 / STEPS;
    nn_val table = {nn_ints(n, "timesteps", "", steps, STEPS), 1};
    in.step = nn_op2(n, OP_Gather, "timestep", table, nn_unsqueeze(n, index, "timestep.index", 1, (int64_t[]){0}).t);
    nn_attr(n, ATTR_axis, 0);
    size_t mark = nn_push(n, "unet");
    x = nn_unet_step(n, &nn_sdxl_unet, x, in);
    nn_pop(n, mark);
    nn_split(n, x, "guidance.split", 0, 2, half);
    half[0].c = half[1].c = 4;
    nn_val towards = nn_op2(n, OP_Sub, "guidance.sub", half[1], half[0].t);
    towards = nn_op2(n, OP_Mul, "guidance.mul", towards, nn_floats(n, "guidance.scale", (double[]){8}, 1));
    x = nn_add(n, half[0], towards, "guidance.add");
    x = nn_op2(n, OP_Mul, "euler.mul", x, nn_floats(n, "euler.step", (double[]){-1}, 1));
    return nn_add(n, latents, x, "euler.add");
}

static void build_pipeline(nn *n, const void *dims)
{
    (void)dims;
    nn_val ids = nn_concat(n, (nn_val[]){ids_input(n, "negative_ids"), ids_input(n, "prompt_ids")}, 2, 0, "ids");
    nn_val latents = latent_input(n), parts[2];
    nn_unet_inputs in = {NN_ABSENT, NN_ABSENT, NN_ABSENT, NN_ABSENT};
    size_t mark = nn_push(n, "text_encoder");
    parts[0] = clip(n, ids, &clip_l).tokens;
    nn_pop(n, mark);
    mark = nn_push(n, "text_encoder_2");
    encoded e = clip(n, ids, &clip_g);
    nn_pop(n, mark);
    parts[1] = e.tokens;
    in.text = nn_concat(n, parts, 2, 2, "text");
    in.whole_text = e.whole;
    nn_val sizes = nn_input(n, "time_ids", n->weights, 2, (num[]){nn_symbol(n->batch), num_int(6)}, 6);
    in.sizes = nn_concat(n, (nn_val[]){sizes, sizes}, 2, 0, "sizes");
    nn_scan loop;
    nn_scan_begin(n, &loop, (nn_val){nn_scalar(n, "steps", ".times", STEPS), 1}, 1, &latents);
    latents = step(n, latents, nn_scan_step(&loop), in);
    nn_scan_end(n, &loop, "steps", &latents, NN_ABSENT);
    latents = nn_op2(n, OP_Div, "unscale", latents, nn_floats(n, "unscale.by", (double[]){0.13025}, 1));
    mark = nn_push(n, "vae");
    nn_val picture = decode(n, latents);
    nn_pop(n, mark);
    nn_output(n, picture, "images");
}

#define XL ZOO_HUGGING_FACE("stabilityai/stable-diffusion-xl-base-1.0")

static const zoo_entry rows[] = {
    {.name = "stable-diffusion-xl",
     .aliases = "stabilityai/stable-diffusion-xl-base-1.0 stable-diffusion-xl-base-1.0 sdxl",
     .family = "diffusion",
     .description = "Stable Diffusion XL, a whole picture: text encoders, 20 steps with guidance, decoder",
     .parameters = 3434674203,
     .source = XL,
     .image_size = 1024,
     .image_min = 64,
     .image_step = 32,
     .build = build_pipeline},
    {.name = "stable-diffusion-xl-text-encoder",
     .aliases = "sdxl-text-encoder clip-vit-large-patch14-text",
     .family = "transformer",
     .description = "First text encoder of Stable Diffusion XL (CLIP ViT-L/14)",
     .parameters = 123060480,
     .source = XL,
     .sequence = NN_TEXT_TOKENS,
     .max_sequence = NN_TEXT_TOKENS,
     .build = build_text,
     .dims = &clip_l},
    {.name = "stable-diffusion-xl-text-encoder-2",
     .aliases = "sdxl-text-encoder-2",
     .family = "transformer",
     .description = "Second text encoder of Stable Diffusion XL (OpenCLIP ViT-bigG/14)",
     .parameters = 694659840,
     .source = XL,
     .sequence = NN_TEXT_TOKENS,
     .max_sequence = NN_TEXT_TOKENS,
     .build = build_text,
     .dims = &clip_g},
    {.name = "stable-diffusion-xl-vae-decoder",
     .aliases = "sdxl-vae sdxl-vae-decoder stable-diffusion-vae-decoder",
     .family = "diffusion",
     .description = "Decoder of Stable Diffusion XL's autoencoder",
     .parameters = 49490199,
     .source = XL,
     .image_size = 1024,
     .image_min = 64,
     .image_step = 8,
     .build = build_decoder},
};

const zoo_table zoo_diffusion_xl = ZOO_TABLE(rows);
