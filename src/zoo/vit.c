/* Vision Transformer (Dosovitskiy 2020): patches as tokens, pre-norm encoder, a class token that is read out. */
#include "zoo/tables.h"

typedef struct vit_dims {
    int64_t width, mlp, heads;
    int layers, patch;
    int64_t classes; /* 0: 1000; -1: no head, all tokens come out */
    int64_t channels;
} vit_dims;

/* The learned class token before each image's patches, then learned positions. */
static nn_val tokens(nn *n, nn_val x, const vit_dims *d)
{
    int64_t patches = (n->image / d->patch) * (n->image / d->patch);
    x = nn_conv(n, x, "conv_proj", (nn_conv2d){.out = d->width, .k = d->patch, .stride = d->patch, .bias = true});
    x = nn_reshape(n, x, "patches.reshape", 3, (int64_t[]){0, d->width, patches}, d->width);
    x = nn_transpose(n, x, "patches.transpose", 3, (int64_t[]){0, 2, 1});
    size_t mark = nn_push(n, "class_token");
    nn_val shape = nn_op1(n, OP_Shape, "shape", x), token = {NO_TENSOR, d->width};
    nn_val one = {nn_ints(n, "one", "", (int64_t[]){1}, 1), 0}, width = {nn_ints(n, "width", "", &d->width, 1), 0};
    nn_val batch = nn_pick(n, shape, "batch", 0, 0);
    nn_val to[3] = {nn_unsqueeze(n, batch, "unsqueeze", 1, (int64_t[]){0}), one, width};
    token.t = nn_weight(n, "weight", "", 3, (int64_t[]){1, 1, d->width});
    token = nn_op2(n, OP_Expand, "expand", token, nn_concat(n, to, 3, 0, "to").t);
    nn_pop(n, mark);
    x = nn_concat(n, (nn_val[]){token, x}, 2, 1, "concat");
    x.c = d->width;
    uint32_t positions = nn_weight(n, "encoder.pos_embedding", "", 3, (int64_t[]){1, patches + 1, d->width});
    return nn_op2(n, OP_Add, "encoder.add_positions", x, positions);
}

static nn_val layer(nn *n, nn_val x, const vit_dims *d)
{
    nn_val qkv[3], y = nn_layer_norm(n, x, "ln_1");
    size_t mark = nn_push(n, "self_attention");
    nn_split(n, nn_linear(n, y, "in_proj", 3 * d->width, true), "split", 2, 3, qkv);
    y = nn_attention(n, qkv[0], qkv[1], qkv[2], (nn_attend){.heads = d->heads, .mask = NN_ABSENT});
    y = nn_linear(n, y, "out_proj", d->width, true);
    nn_pop(n, mark);
    x = nn_add(n, x, y, "add_1");
    y = nn_layer_norm(n, x, "ln_2");
    mark = nn_push(n, "mlp");
    y = nn_mlp(n, y, "fc1", "fc2", d->mlp, OP_Gelu);
    nn_pop(n, mark);
    return nn_add(n, x, y, "add_2");
}

static void build(nn *n, const void *dims)
{
    const vit_dims *d = dims;
    nn_val x = tokens(n, nn_image_input(n, "input", d->channels ? d->channels : 3), d);
    for (int i = 0; i < d->layers; i++) {
        size_t mark = nn_push(n, "encoder.layers.%d", i);
        x = layer(n, x, d);
        nn_pop(n, mark);
    }
    x = nn_layer_norm(n, x, "encoder.ln");
    if (d->classes >= 0) {
        x = nn_pick(n, x, "class_token.pick", 1, 0);
        x = nn_fc(n, x, "heads.head", d->classes ? d->classes : 1000);
    }
    nn_output(n, x, "output");
}

pg_code zoo_build_vit(graph *g, const zoo_vit_size *v, pg_error *e)
{
    nn n = {.g = g, .image = v->image, .zero = NO_TENSOR, .six = NO_TENSOR, .sequence = -1};
    n.weights = v->weights ? v->weights : DT_FP32;
    n.batch = graph_add_symbol(g, STR("batch"), 1);
    n.failed = n.batch < 0;
    g->batch_symbol = n.batch;
    if (!g->family.len) g->family = STR("transformer");
    vit_dims d = {v->width, v->mlp, v->heads, (int)v->layers, (int)v->patch, v->classes ? v->classes : -1, v->channels};
    if (!n.failed) build(&n, &d);
    return n.failed ? error_nomem(e, g->a) : PG_E_OK;
}

#define TIMM "https://github.com/huggingface/pytorch-image-models/blob/main/results/results-imagenet.csv"
#define ROW(nm, alias, text, params, src, size, patches, ...)                                             \
    {                                                                                                     \
        .name = nm, .aliases = alias, .family = "transformer", .description = text, .parameters = params, \
        .source = src, .image_size = size, .image_min = patches, .image_step = patches, .build = build,   \
        .dims = ZOO_DIMS(vit_dims, __VA_ARGS__)                                                           \
    }

static const zoo_entry rows[] = {
    ROW("vit_b_16", "vit vit-base vit_base_patch16_224 deit_base_patch16_224 google/vit-base-patch16-224", "ViT-B/16",
        86567656, ZOO_TORCHVISION, 224, 16, {768, 3072, 12, 12, 16, 0, 0}),
    ROW("vit_b_32", "vit_base_patch32_224", "ViT-B/32", 88224232, ZOO_TORCHVISION, 224, 32,
        {768, 3072, 12, 12, 32, 0, 0}),
    ROW("vit_l_16", "vit-large vit_large_patch16_224 google/vit-large-patch16-224", "ViT-L/16", 304326632,
        ZOO_TORCHVISION, 224, 16, {1024, 4096, 16, 24, 16, 0, 0}),
    ROW("vit_l_32", "vit_large_patch32_224", "ViT-L/32", 306535400, ZOO_TORCHVISION, 224, 32,
        {1024, 4096, 16, 24, 32, 0, 0}),
    ROW("vit_h_14", "vit-huge vit_huge_patch14_224 google/vit-huge-patch14-224-in21k", "ViT-H/14", 632045800,
        ZOO_TORCHVISION, 224, 14, {1280, 5120, 16, 32, 14, 0, 0}),
    ROW("vit_base_patch16_384", "deit_base_patch16_384 google/vit-base-patch16-384", "ViT-B/16 at 384 pixels", 86859496,
        TIMM, 384, 16, {768, 3072, 12, 12, 16, 0, 0}),
    ROW("vit_large_patch16_384", "google/vit-large-patch16-384", "ViT-L/16 at 384 pixels", 304715752, TIMM, 384, 16,
        {1024, 4096, 16, 24, 16, 0, 0}),
    ROW("vit_small_patch16_224", "vit-small deit-small deit_small_patch16_224 facebook/deit-small-patch16-224",
        "ViT-S/16", 22050664, TIMM, 224, 16, {384, 1536, 6, 12, 16, 0, 0}),
    ROW("vit_tiny_patch16_224", "vit-tiny deit-tiny deit_tiny_patch16_224 facebook/deit-tiny-patch16-224", "ViT-Ti/16",
        5717416, TIMM, 224, 16, {192, 768, 3, 12, 16, 0, 0}),
};

const zoo_table zoo_vit = ZOO_TABLE(rows);
