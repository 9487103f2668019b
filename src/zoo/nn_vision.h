/* What detection, segmentation and volumes share: trunks, layers in three dimensions, heads that run on
 * several maps. */
#ifndef ZOO_NN_VISION_H
#define ZOO_NN_VISION_H

#include "zoo/nn.h"

/* ---- trunks ---- */

typedef struct nn_resnet {
    int blocks[4];
    bool bottleneck;
    int64_t groups, group_width; /* of the 3x3 convolutions; 0: 1 and 64 */
    int64_t se_reduction;        /* 0: no squeeze and excitation */
} nn_resnet;

typedef struct nn_resnet_cut {
    int stages;    /* how many of the four */
    int flat_from; /* stages from this one on (counted from 1) keep the size; 0: none */
    bool dilate;   /* and dilate their convolutions instead */
} nn_resnet_cut;

/* The stem and the stages; out has what each stage gives. */
void nn_resnet_features(nn *n, nn_val x, const nn_resnet *d, nn_resnet_cut cut, nn_val out[4]);

/* EfficientNet without its head; out has the last map of each size: 1/2, 1/4, 1/8, 1/16, 1/32. */
void nn_efficientnet_features(nn *n, nn_val x, double width, double depth, nn_val out[5]);

/* ---- layers ---- */

/* An image input of any sides. */
nn_val nn_sized_input(nn *n, const char *name, int64_t channels, int spatial, const int64_t *sides);
nn_val nn_resize(nn *n, nn_val x, const char *layer, int factor, const char *mode);
nn_val nn_instance_norm(nn *n, nn_val x, const char *layer);
/* Cubic kernel, stride and padding; in and out of [batch, c, depth, height, width]. */
nn_val nn_conv3d(nn *n, nn_val x, const char *layer, nn_conv2d s);
nn_val nn_conv_transpose3d(nn *n, nn_val x, const char *layer, nn_conv2d s);

/* One convolution's weights for several maps. */
typedef struct nn_shared_conv {
    nn_conv2d spec;
    int64_t in;
    uint32_t weight, bias;
} nn_shared_conv;

nn_shared_conv nn_shared_conv_make(nn *n, const char *layer, int64_t in, nn_conv2d s);
nn_val nn_shared_conv_use(nn *n, nn_val x, const char *layer, const nn_shared_conv *c);

/* ---- boxes ---- */

/* [batch, anchors * each, h, w] as [batch, boxes, each] */
nn_val nn_boxes_view(nn *n, nn_val x, const char *layer, int64_t each);
/* What the published code does with the boxes of an image: how many it keeps, and by how many operations it comes to them. */
typedef struct nn_suppression {
    int64_t most, calls;
} nn_suppression;

/* The best boxes of each image after non-maximum suppression, and their scores, as the model's outputs. */
void nn_output_detections(nn *n, nn_val boxes, nn_val scores, nn_suppression s);
/* The same as a layer: [batch, s.most, 4]. */
nn_val nn_suppress(nn *n, nn_val boxes, nn_val scores, const char *layer, nn_suppression s);
/* Maps of falling size to `width` channels each, from the smallest down (Lin 2016): maps[i] is replaced. `smooth_top`:
 * the smallest one too ends in a 3x3 convolution. */
void nn_feature_pyramid(nn *n, nn_val *maps, int count, int64_t width, bool smooth_top);

#endif
