/* Sliding windows of TensorFlow Lite: convolutions, pooling, resizing. All take and give images channels first. */
#include "load/tflite_internal.h"

enum { SAME = 0, VALID = 1, SPATIAL = 3 };

typedef struct geometry {
    int n; /* spatial dims */
    int64_t padding, activation, group;
    int64_t stride[SPATIAL], dilation[SPATIAL], kernel[SPATIAL];
    int64_t pads[2 * SPATIAL];
    bool padded; /* pads count, not padding */
} geometry;

static bool put_geometry(tflite_reader *r, const geometry *w)
{
    uint32_t n = (uint32_t)w->n;
    bool ok = graph_attr_ints(r->g, ATTR_strides, w->stride, n);
    if (w->kernel[0]) ok = ok && graph_attr_ints(r->g, ATTR_kernel_shape, w->kernel, n);
    if (w->dilation[0]) ok = ok && graph_attr_ints(r->g, ATTR_dilations, w->dilation, n);
    if (w->group > 1) ok = ok && graph_attr_int(r->g, ATTR_group, w->group);
    if (w->padded) ok = ok && graph_attr_ints(r->g, ATTR_pads, w->pads, 2 * n);
    else ok = ok && graph_attr_string(r->g, ATTR_auto_pad, w->padding == SAME ? STR("SAME_UPPER") : STR("VALID"));
    return ok;
}

static pg_code check_geometry(tflite_reader *r, const tflite_node *n, const geometry *w)
{
    for (int i = 0; i < w->n; i++)
        if (w->stride[i] < 1 || w->dilation[i] < 0 || (w->dilation[0] && w->dilation[i] < 1))
            return tflite_bad(r, n, "has a stride or dilation below 1");
    return PG_E_OK;
}

/* The image that a convolution reads. Zeros that a PAD puts around it for a VALID convolution are the convolution's own, as other
 * formats write the same network and as runtimes fuse it. */
static uint32_t take_image(tflite_reader *r, tflite_node *n, uint32_t operand, geometry *w)
{
    int32_t t = tflite_in(n, operand);
    const tflite_value *v = t >= 0 && (uint32_t)t < n->s->n ? &n->s->v[t] : NULL;
    if (!v || !v->padded || w->padding != VALID || w->n != 2) return tflite_get(r, n->s, t, FORM_FIRST);
    for (int i = 0; i < 4; i++) w->pads[i] = v->pads[i];
    for (int i = 0; i < 2; i++)
        if (v->block[i]) w->dilation[i] = v->block[i];
    w->padded = true;
    return tflite_get(r, n->s, (int32_t)v->padded - 1, FORM_FIRST);
}

/* x, weights, bias -> a convolution of floats or integers. */
static pg_code convolve(tflite_reader *r, tflite_node *n, op_kind kind, uint32_t x, uint32_t w, uint32_t bias,
                        const tflite_info *image, const tflite_info *weights, geometry *shape)
{
    tflite_info result;
    if (tflite_status(r) || !tflite_out_info(r, n, 0, &result)) return tflite_status(r);
    bool integers = kind == OP_Conv && tflite_quantised(image), biased;
    int64_t activation = integers ? 0 : shape->activation; /* the range of the integers is the activation */
    bool normalised = !integers && bias != NO_TENSOR && tflite_was_normalised(&result, &biased);
    uint32_t out = normalised ? tflite_temporary(r, n) : tflite_result(r, n, FORM_FIRST, activation);
    uint32_t plain[3] = {x, w, bias}, shift = bias;
    if (normalised && !biased) bias = NO_TENSOR;
    else shift = NO_TENSOR;
    uint32_t in[9] = {x,
                      tflite_scale(r, image),
                      tflite_zero(r, image->type),
                      w,
                      tflite_scale(r, weights),
                      tflite_zero(r, weights->type),
                      tflite_scale(r, &result),
                      tflite_zero(r, result.type),
                      bias};
    uint32_t given = bias != NO_TENSOR;
    if (integers) tflite_emit(r, n, OP_QLinearConv, in, 8 + given, out);
    else tflite_emit(r, n, kind, plain, 2 + given, out);
    if (!tflite_status(r) && !put_geometry(r, shape)) return error_nomem(r->e, r->g->a);
    if (normalised) out = tflite_normalise(r, n, out, shift, result.dims[result.rank - 1], FORM_FIRST, activation);
    return tflite_activate(r, n, out, FORM_FIRST, activation);
}

/* Conv2DOptions: padding 0, stride_w 1, stride_h 2, activation 3, dilation_w 4, dilation_h 5. */
pg_code tflite_conv(tflite_reader *r, tflite_node *n)
{
    const flatbuffer_table *o = &n->options;
    geometry w = {.n = 2,
                  .padding = flatbuffer_i8(o, 0, SAME),
                  .activation = flatbuffer_i8(o, 3, 0),
                  .stride = {flatbuffer_i32(o, 2, 1), flatbuffer_i32(o, 1, 1)},
                  .dilation = {flatbuffer_i32(o, 5, 1), flatbuffer_i32(o, 4, 1)}};
    tflite_info x, weights;
    if (!tflite_in_info(r, n, 0, &x) || !tflite_in_info(r, n, 1, &weights)) return tflite_status(r);
    pg_code code = check_geometry(r, n, &w);
    if (code) return code;
    if (weights.rank != 4) return tflite_bad(r, n, "has weights that are not [out, height, width, in]");
    /* groups are not written down: the weights take fewer channels than there are */
    if (x.rank == 4 && x.dims[3] > 0 && weights.dims[3] > 0 && x.dims[3] % weights.dims[3] == 0)
        w.group = x.dims[3] / weights.dims[3];
    uint32_t image = take_image(r, n, 0, &w);
    return convolve(r, n, OP_Conv, image, tflite_get(r, n->s, tflite_in(n, 1), FORM_FIRST),
                    tflite_get(r, n->s, tflite_in(n, 2), FORM_FILE), &x, &weights, &w);
}

/* DepthwiseConv2DOptions: padding 0, stride_w 1, stride_h 2, depth_multiplier 3 (redundant), activation 4, dilation_w 5,
 * dilation_h 6. Weights are [1, height, width, channels * multiplier]. */
pg_code tflite_depthwise(tflite_reader *r, tflite_node *n)
{
    const flatbuffer_table *o = &n->options;
    geometry w = {.n = 2,
                  .padding = flatbuffer_i8(o, 0, SAME),
                  .activation = flatbuffer_i8(o, 4, 0),
                  .stride = {flatbuffer_i32(o, 2, 1), flatbuffer_i32(o, 1, 1)},
                  .dilation = {flatbuffer_i32(o, 6, 1), flatbuffer_i32(o, 5, 1)}};
    tflite_info x, weights;
    if (!tflite_in_info(r, n, 0, &x) || !tflite_in_info(r, n, 1, &weights)) return tflite_status(r);
    pg_code code = check_geometry(r, n, &w);
    if (code) return code;
    if (weights.rank != 4) return tflite_bad(r, n, "has weights that are not [1, height, width, channels]");
    int64_t multiplier = flatbuffer_i32(o, 3, 1);
    w.group = x.rank == 4 && x.dims[3] > 0 ? x.dims[3] : weights.dims[3] / (multiplier > 0 ? multiplier : 1);
    uint32_t image = take_image(r, n, 0, &w);
    return convolve(r, n, OP_Conv, image, tflite_get(r, n->s, tflite_in(n, 1), FORM_SWAPPED),
                    tflite_get(r, n->s, tflite_in(n, 2), FORM_FILE), &x, &weights, &w);
}

/* Conv3DOptions: padding 0, stride_d 1, stride_w 2, stride_h 3, activation 4, dilation_d 5, dilation_w 6, dilation_h 7. */
static geometry geometry_3d(const flatbuffer_table *o)
{
    return (geometry){.n = 3,
                      .padding = flatbuffer_i8(o, 0, SAME),
                      .activation = flatbuffer_i8(o, 4, 0),
                      .stride = {flatbuffer_i32(o, 1, 1), flatbuffer_i32(o, 3, 1), flatbuffer_i32(o, 2, 1)},
                      .dilation = {flatbuffer_i32(o, 5, 1), flatbuffer_i32(o, 7, 1), flatbuffer_i32(o, 6, 1)}};
}

pg_code tflite_conv3d(tflite_reader *r, tflite_node *n)
{
    geometry w = geometry_3d(&n->options);
    tflite_info x, weights;
    if (!tflite_in_info(r, n, 0, &x) || !tflite_in_info(r, n, 1, &weights)) return tflite_status(r);
    pg_code code = check_geometry(r, n, &w);
    if (code) return code;
    if (weights.rank == 5 && x.rank == 5 && weights.dims[3] > 0 && x.dims[4] > 0) w.group = x.dims[4] / weights.dims[3];
    return convolve(r, n, OP_Conv, tflite_get(r, n->s, tflite_in(n, 0), FORM_FIRST),
                    tflite_get(r, n->s, tflite_in(n, 1), FORM_KERNEL_3D),
                    tflite_get(r, n->s, tflite_in(n, 2), FORM_FILE), &x, &weights, &w);
}

/* A transposed convolution onto `size`, the spatial dims of its result. */
static pg_code unconvolve(tflite_reader *r, tflite_node *n, uint32_t at_image, uint32_t at_weights, uint32_t at_bias,
                          geometry *w, const int64_t *size)
{
    tflite_info x, weights;
    if (!tflite_in_info(r, n, at_image, &x) || !tflite_in_info(r, n, at_weights, &weights)) return tflite_status(r);
    pg_code code = check_geometry(r, n, w);
    if (code) return code;
    uint32_t image = tflite_get(r, n->s, tflite_in(n, at_image), FORM_FIRST);
    uint32_t kernel = tflite_get(r, n->s, tflite_in(n, at_weights), w->n == 3 ? FORM_KERNEL_3D : FORM_SWAPPED);
    uint32_t bias = tflite_get(r, n->s, tflite_in(n, at_bias), FORM_FILE);
    uint32_t in[3] = {image, kernel, bias}, out = tflite_result(r, n, FORM_FIRST, w->activation);
    tflite_emit(r, n, OP_ConvTranspose, in, bias == NO_TENSOR ? 2 : 3, out);
    if (tflite_status(r)) return tflite_status(r);
    bool ok = put_geometry(r, w);
    if (size) ok = ok && graph_attr_ints(r->g, ATTR_output_shape, size, (uint32_t)w->n);
    return ok ? tflite_activate(r, n, out, FORM_FIRST, w->activation) : error_nomem(r->e, r->g->a);
}

/* TransposeConvOptions: padding 0, stride_w 1, stride_h 2, activation 3. Operands: the result's shape, weights
 * [out, height, width, in], image, bias. */
pg_code tflite_transpose_conv(tflite_reader *r, tflite_node *n)
{
    enum { CONV_3D_TRANSPOSE = 141 };
    const flatbuffer_table *o = &n->options;
    geometry w = {.n = 2,
                  .padding = flatbuffer_i8(o, 0, SAME),
                  .activation = flatbuffer_i8(o, 3, 0),
                  .stride = {flatbuffer_i32(o, 2, 1), flatbuffer_i32(o, 1, 1)}};
    if (n->number == CONV_3D_TRANSPOSE) w = geometry_3d(o);
    int64_t shape[TFLITE_RANK];
    uint32_t count;
    bool known = tflite_ints(r, n->s, tflite_in(n, 0), shape, TFLITE_RANK, &count) && count == (uint32_t)w.n + 2;
    return unconvolve(r, n, 2, 1, 3, &w, known ? shape + 1 : NULL);
}

/* MediaPipe's custom operator: image, weights [out, height, width, in], bias. Its options are three C integers: padding (1: SAME,
 * 2: VALID), stride_w, stride_h. */
pg_code tflite_transpose_bias(tflite_reader *r, tflite_node *n)
{
    span raw = flatbuffer_bytes(&n->t, 5);
    geometry w = {.n = 2, .padding = SAME, .stride = {2, 2}};
    if (raw.len >= 12) {
        w.padding = raw.ptr[0] == 2 ? VALID : SAME;
        w.stride[1] = raw.ptr[4];
        w.stride[0] = raw.ptr[8];
    }
    return unconvolve(r, n, 0, 1, 2, &w, NULL);
}

/* ---- pooling ---- */

static pg_code pool(tflite_reader *r, tflite_node *n, const geometry *w)
{
    tflite_info x, result;
    if (!tflite_in_info(r, n, 0, &x) || !tflite_out_info(r, n, 0, &result)) return tflite_status(r);
    pg_code code = check_geometry(r, n, w);
    if (code) return code;
    for (int i = 0; i < w->n; i++)
        if (w->kernel[i] < 1) return tflite_bad(r, n, "has a window below 1");
    bool integers = tflite_quantised(&x);
    int64_t activation = integers ? 0 : w->activation;
    uint32_t image = tflite_get(r, n->s, tflite_in(n, 0), FORM_FIRST);
    uint32_t out = tflite_result(r, n, FORM_FIRST, activation);
    uint32_t in[5] = {image, tflite_scale(r, &x), tflite_zero(r, x.type), tflite_scale(r, &result),
                      tflite_zero(r, result.type)};
    bool average = integers && n->kind == OP_AveragePool;
    tflite_emit(r, n, average ? OP_QLinearAveragePool : n->kind, in, average ? 5 : 1, out);
    if (!tflite_status(r) && !put_geometry(r, w)) return error_nomem(r->e, r->g->a);
    return tflite_activate(r, n, out, FORM_FIRST, activation);
}

/* Pool2DOptions: padding 0, stride_w 1, stride_h 2, filter_width 3, filter_height 4, activation 5. */
pg_code tflite_pool(tflite_reader *r, tflite_node *n)
{
    const flatbuffer_table *o = &n->options;
    geometry w = {.n = 2,
                  .padding = flatbuffer_i8(o, 0, SAME),
                  .activation = flatbuffer_i8(o, 5, 0),
                  .stride = {flatbuffer_i32(o, 2, 1), flatbuffer_i32(o, 1, 1)},
                  .kernel = {flatbuffer_i32(o, 4, 1), flatbuffer_i32(o, 3, 1)}};
    return pool(r, n, &w);
}

/* MediaPipe's: padding, stride_w, stride_h, filter_width, filter_height as C integers. */
pg_code tflite_custom_pool(tflite_reader *r, tflite_node *n)
{
    span raw = flatbuffer_bytes(&n->t, 5);
    if (raw.len < 20) return tflite_unknown(r, n);
    geometry w = {.n = 2,
                  .padding = raw.ptr[0] == 2 ? VALID : SAME,
                  .stride = {raw.ptr[8], raw.ptr[4]},
                  .kernel = {raw.ptr[16], raw.ptr[12]}};
    pg_code code = pool(r, n, &w);
    tflite_info second; /* the places of the largest, which MaxUnpooling2D reads */
    if (code || tflite_out(n, 1) == -1 || !tflite_out_info(r, n, 1, &second)) return tflite_status(r);
    uint32_t places = tflite_define(r, n->s, tflite_out(n, 1), FORM_FILE);
    if (places == NO_TENSOR || !tflite_declare(r, places, &second)) return tflite_status(r);
    tflite_emit_many(r, n, OP_Unknown, NULL, 0, &places, 1);
    return tflite_status(r);
}

/* ---- images in other sizes ---- */

/* ResizeBilinearOptions: align_corners 2, half_pixel_centers 3; ResizeNearestNeighborOptions: 0, 1. Operands: image, [h, w]. */
pg_code tflite_resize(tflite_reader *r, tflite_node *n)
{
    enum { RESIZE_BILINEAR = 23 };
    uint32_t image = tflite_get(r, n->s, tflite_in(n, 0), FORM_FIRST);
    uint32_t in[4] = {image, NO_TENSOR, NO_TENSOR, tflite_get(r, n->s, tflite_in(n, 1), FORM_FILE)};
    uint32_t out = tflite_define(r, n->s, tflite_out(n, 0), FORM_FIRST);
    if (tflite_status(r)) return tflite_status(r);
    if (in[3] == NO_TENSOR) return tflite_bad(r, n, "lacks the size to resize to");
    r->g->tensors[in[3]].literal = true;
    tflite_emit(r, n, OP_Resize, in, 4, out);
    if (tflite_status(r)) return tflite_status(r);
    bool ok = graph_attr_ints(r->g, ATTR_axes, (const int64_t[]){2, 3}, 2) &&
              graph_attr_string(r->g, ATTR_mode, n->number == RESIZE_BILINEAR ? STR("linear") : STR("nearest"));
    return ok ? PG_E_OK : error_nomem(r->e, r->g->a);
}

/* Options: block_size 0. */
pg_code tflite_blocks(tflite_reader *r, tflite_node *n)
{
    uint32_t in = tflite_get(r, n->s, tflite_in(n, 0), FORM_FIRST);
    uint32_t out = tflite_define(r, n->s, tflite_out(n, 0), FORM_FIRST);
    tflite_emit(r, n, n->kind, &in, 1, out);
    if (!tflite_status(r) && !graph_attr_int(r->g, ATTR_blocksize, flatbuffer_i32(&n->options, 0, 0)))
        return error_nomem(r->e, r->g->a);
    return tflite_status(r);
}

/* Keeps back zeros around an image, in the hope of a convolution. */
static pg_code keep_padding(tflite_reader *r, tflite_node *n, const int32_t *pads, const int32_t *block)
{
    int32_t from = tflite_in(n, 0), to = tflite_out(n, 0);
    if (tflite_define(r, n->s, to, FORM_FIRST) == NO_TENSOR) return tflite_status(r); /* that nothing else makes it */
    tflite_value *v = &n->s->v[to];
    v->form[FORM_FIRST] = 0;
    v->padded = (uint32_t)from + 1;
    for (int i = 0; i < 4; i++) v->pads[i] = pads[i];
    for (int i = 0; i < 2; i++) v->block[i] = block ? block[i] : 0;
    tflite_get(r, n->s, from, FORM_FIRST);
    return tflite_status(r);
}

/* PAD: zeros around an image are kept back until something reads it. */
pg_code tflite_pad(tflite_reader *r, tflite_node *n)
{
    enum { PAD = 34, MIRROR_PAD = 100 };
    int64_t list[2 * TFLITE_RANK], pads[2 * TFLITE_RANK];
    uint32_t count;
    tflite_info x;
    int32_t from = tflite_in(n, 0), to = tflite_out(n, 0);
    if (!tflite_in_info(r, n, 0, &x)) return tflite_status(r);
    bool known = tflite_ints(r, n->s, tflite_in(n, 1), list, 2 * TFLITE_RANK, &count) && count % 2 == 0;
    int rank = (int)count / 2;
    if (!known || (x.rank >= 0 && rank != x.rank)) return tflite_rearrange(r, n);
    tflite_form form = tflite_common_form(r, n, 0, 1, &x.rank);
    bool image = rank == 4 && !list[0] && !list[1] && !list[6] && !list[7];
    for (uint32_t i = 0; i < count; i++) image &= list[i] >= 0 && list[i] <= INT32_MAX;
    if (n->number == PAD && image && r->has_images && to >= 0 && (uint32_t)to < n->s->n && !x.constant) {
        int32_t around[4];
        for (int i = 0; i < 4; i++) around[i] = (int32_t)list[2 + (i % 2) * 2 + i / 2];
        return keep_padding(r, n, around, NULL);
    }
    for (int i = 0; i < rank; i++) {
        int axis = tflite_axis(form, rank, i);
        pads[axis] = list[2 * i];
        pads[rank + axis] = list[2 * i + 1];
    }
    uint32_t in = tflite_get(r, n->s, from, form), out = tflite_define(r, n->s, to, form);
    tflite_emit(r, n, OP_Pad, &in, 1, out);
    if (tflite_status(r)) return tflite_status(r);
    bool ok = graph_attr_ints(r->g, ATTR_pads, pads, count);
    if (n->number == MIRROR_PAD) ok = ok && graph_attr_string(r->g, ATTR_mode, STR("reflect"));
    return ok ? PG_E_OK : error_nomem(r->e, r->g->a);
}

/* ---- dilated convolutions that were written for kernels without dilation ---- */

enum { CONV_2D = 3, DEPTHWISE_CONV_2D = 4, BATCH_TO_SPACE_ND = 37 };

/* The only operator that reads the tensor; false: none or several, or it is a result. */
static bool only_reader(tflite_reader *r, const tflite_scope *s, int32_t which, flatbuffer_table *out)
{
    flatbuffer_vector ends = tflite_ends(r, s, true);
    uint32_t readers = 0;
    for (uint32_t i = 0; i < ends.n && tflite_charge(r, 1); i++) readers += flatbuffer_list_i32(&ends, i) == which;
    for (uint32_t i = 0; i < s->operators.n && !error_is_set(r->e); i++) {
        flatbuffer_table o = flatbuffer_list_table(&s->operators, i);
        flatbuffer_vector in = flatbuffer_list(&o, 1, 4);
        for (uint32_t k = 0; k < in.n && tflite_charge(r, 1); k++) {
            if (flatbuffer_list_i32(&in, k) != which) continue;
            readers++;
            *out = o;
        }
    }
    return readers == 1 && out->owner && !error_is_set(r->e);
}

static int32_t operand(const flatbuffer_table *o, unsigned field, uint32_t i)
{
    flatbuffer_vector list = flatbuffer_list(o, field, 4);
    return i < list.n ? flatbuffer_list_i32(&list, i) : -1;
}

/* From SPACE_TO_BATCH_ND over a convolution, and perhaps a sum and an activation, to the BATCH_TO_SPACE_ND with the same blocks: the
 * tensor that this makes, and how much it cuts off; -1: another pattern. */
static int32_t end_of_dilation(tflite_reader *r, const tflite_node *n, const int64_t *block, int64_t *crops)
{
    enum { STEPS = 4 };
    int32_t at = tflite_out(n, 0);
    for (int step = 0; step < STEPS; step++) {
        flatbuffer_table o = {0};
        if (!only_reader(r, n->s, at, &o)) return -1;
        int number = tflite_number(r, &o);
        int64_t list[4];
        uint32_t count;
        if (number == BATCH_TO_SPACE_ND) {
            bool same = step > 0 && tflite_ints(r, n->s, operand(&o, 1, 1), list, 2, &count) && count == 2 &&
                        list[0] == block[0] && list[1] == block[1];
            same = same && tflite_ints(r, n->s, operand(&o, 1, 2), crops, 4, &count) && count == 4;
            return same ? operand(&o, 2, 0) : -1;
        }
        flatbuffer_table options = flatbuffer_child(&o, 4);
        bool conv = number == CONV_2D || number == DEPTHWISE_CONV_2D;
        bool fits = conv && flatbuffer_i8(&options, 0, SAME) == VALID && flatbuffer_i32(&options, 1, 1) == 1 &&
                    flatbuffer_i32(&options, 2, 1) == 1;
        if (step == 0 ? !fits || operand(&o, 1, 0) != at : conv || !tflite_is_pointwise(number)) return -1;
        at = operand(&o, 2, 0);
    }
    return -1;
}

/* Operands: image, block, paddings. */
pg_code tflite_space_to_batch(tflite_reader *r, tflite_node *n)
{
    int64_t block[2], pads[4], crops[4];
    uint32_t count[2];
    tflite_info x;
    if (!tflite_in_info(r, n, 0, &x)) return tflite_status(r);
    bool known = x.rank == 4 && !x.constant && tflite_ints(r, n->s, tflite_in(n, 1), block, 2, &count[0]) &&
                 tflite_ints(r, n->s, tflite_in(n, 2), pads, 4, &count[1]) && count[0] == 2 && count[1] == 4;
    if (!known) return tflite_status(r) ? tflite_status(r) : tflite_rearrange(r, n);
    int32_t end = end_of_dilation(r, n, block, crops);
    if (tflite_status(r)) return tflite_status(r);
    bool sane = end >= 0 && (uint32_t)end < n->s->n;
    for (int i = 0; i < 4 && sane; i++) {
        pads[i] -= crops[i];
        sane = pads[i] >= 0 && pads[i] <= INT32_MAX && block[i / 2] >= 1 && block[i / 2] <= INT16_MAX;
    }
    if (!sane) return tflite_rearrange(r, n);
    n->s->v[end].passes = true;
    return keep_padding(r, n, (const int32_t[]){(int32_t)pads[0], (int32_t)pads[2], (int32_t)pads[1], (int32_t)pads[3]},
                        (const int32_t[]){(int32_t)block[0], (int32_t)block[1]});
}

pg_code tflite_batch_to_space(tflite_reader *r, tflite_node *n)
{
    int32_t from = tflite_in(n, 0), to = tflite_out(n, 0);
    if (to < 0 || (uint32_t)to >= n->s->n || !n->s->v[to].passes) return tflite_rearrange(r, n);
    n->s->v[to].passes = false;
    uint32_t t = tflite_get(r, n->s, from, FORM_FIRST);
    if (tflite_define(r, n->s, to, FORM_FIRST) == NO_TENSOR) return tflite_status(r);
    tflite_alias(r, n->s, to, FORM_FIRST, t);
    return tflite_status(r);
}
