/* Blocks that the mobile networks share. */
#ifndef ZOO_NN_MOBILE_H
#define ZOO_NN_MOBILE_H

#include "zoo/nn.h"

typedef struct nn_inverted {
    int64_t hidden, out, squeezed; /* squeezed 0: no squeeze and excitation */
    int k, stride;
    op_kind act, gate;
} nn_inverted;

/* 1x1 expansion, depthwise convolution, squeeze and excitation, 1x1 projection; a residual where the shapes allow. */
nn_val nn_inverted_residual(nn *n, nn_val x, nn_inverted s);
/* `width` rounded to a multiple, never down by more than a tenth. */
int64_t nn_divisible(double width, int64_t by);
/* Depthwise separable blocks of MobileNet v1, counted from 1 to 13. */
nn_val nn_mobilenet_v1_blocks(nn *n, nn_val x, int first, int last);

#endif
