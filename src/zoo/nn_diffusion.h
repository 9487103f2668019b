/* The U-Nets of Stable Diffusion, for their own entries and for whole pipelines. */
#ifndef ZOO_NN_DIFFUSION_H
#define ZOO_NN_DIFFUSION_H

#include "zoo/nn.h"

enum { NN_TEXT_TOKENS = 77, NN_LATENT = 8 /* the autoencoder's latents are an eighth of the picture */ };

typedef struct nn_unet {
    int levels;
    int64_t widths[4];
    int depth[4], mid_depth; /* transformer blocks after each residual block */
    int64_t heads, head_dim; /* one of them; the other is 0 */
    int64_t text_width;
    bool linear_projection;
    bool added; /* the whole text and sizes enter with the step */
} nn_unet;

extern const nn_unet nn_sd15_unet, nn_sdxl_unet;

typedef struct nn_unet_inputs {
    nn_val step;              /* int64 [batch] or [1] */
    nn_val text;              /* [batch, 77, text_width] */
    nn_val whole_text, sizes; /* with `added`: [batch, 1280] and [batch, 6] */
} nn_unet_inputs;

/* One denoising step on latents [batch, 4, image / 8, image / 8]: the noise in them. */
nn_val nn_unet_step(nn *n, const nn_unet *d, nn_val x, nn_unet_inputs in);

#endif
