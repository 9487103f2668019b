/* Resizing, padding, and other operators on images and signals. */
#include "load/aten_rows.h"

/* ---- resizing, padding ---- */

static aten_value upsample(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t t = aten_data(x, A(0));
    if (t == NO_TENSOR) return aten_unknown();
    const tensor_shape *s = aten_shape(x, t);
    num size[MAX_RANK];
    bool aligned = row->op == OP_Upsample; /* has align_corners behind the size */
    int k = aten_nums(A(1), size + 2, MAX_RANK - 2);
    aten_value factors = aten_none();
    for (uint32_t i = aligned ? 3 : 2; i < n; i++)
        if (arg[i].kind == ATEN_LIST && factors.kind == ATEN_NONE) factors = arg[i];
    uint32_t in[4] = {t, NO_TENSOR, NO_TENSOR, NO_TENSOR};
    if (A(1).kind != ATEN_NONE && k > 0 && s->rank == k + 2) {
        size[0] = s->dims[0], size[1] = s->dims[1];
        in[3] = aten_constant(x, 1, size, (uint32_t)k + 2);
    } else if (factors.kind == ATEN_LIST && s->rank == (int)factors.v.list->n + 2) {
        num all[MAX_RANK];
        for (int i = 0; i < s->rank; i++) {
            double f = i < 2 || !aten_is_number(factors.v.list->v[i - 2]) ? 1 : aten_real(factors.v.list->v[i - 2]);
            double to = i < s->rank && num_known(s->dims[i]) ? floor((double)s->dims[i].v.i * f) : -1;
            all[i] = i < 2 ? s->dims[i] : to >= 0 && to < 9e15 ? num_int((int64_t)to) : num_unknown();
            if (i >= 2 && f == floor(f) && f >= 1 && f < 1e6) all[i] = num_mul(s->dims[i], num_int((int64_t)f));
        }
        in[3] = aten_constant(x, 1, all, (uint32_t)s->rank);
    } else {
        return aten_unknown();
    }
    aten_begin(x, OP_Resize, in, 4, 1);
    aten_attr_text(x, ATTR_mode,
                   strstr(row->name, "nearest") ? "nearest"
                   : strstr(row->name, "cubic") ? "cubic"
                                                : "linear");
    return aten_end(x);
}

static uint32_t pad_by(aten *x, uint32_t t, const num *pads, int count, const char *mode)
{
    int rank = aten_rank(x, t);
    num all[MAX_RANK * 2];
    if (rank < 1 || count % 2 || count / 2 > rank) return NO_TENSOR;
    for (int i = 0; i < 2 * rank; i++) all[i] = num_int(0);
    for (int i = 0; i < count / 2; i++) { /* from the last dim on */
        all[rank - 1 - i] = pads[2 * i];
        all[2 * rank - 1 - i] = pads[2 * i + 1];
    }
    aten_begin(x, OP_Pad, (uint32_t[]){t, aten_constant(x, 1, all, 2 * (uint32_t)rank)}, 2, 1);
    aten_attr_text(x, ATTR_mode, mode);
    aten_end(x);
    return aten_output(x, 0);
}

static aten_value pad(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t t = aten_data(x, A(0));
    num pads[MAX_RANK * 2];
    int count = aten_nums(A(1), pads, MAX_RANK * 2);
    const char *mode = strstr(row->name, "reflect") ? "reflect" : strstr(row->name, "replic") ? "edge" : "constant";
    if (A(2).kind == ATEN_TEXT && str_is(A(2).v.text, "reflect")) mode = "reflect";
    if (A(2).kind == ATEN_TEXT && str_is(A(2).v.text, "replicate")) mode = "edge";
    if (t == NO_TENSOR) return aten_unknown();
    uint32_t y = count < 0 ? NO_TENSOR : pad_by(x, t, pads, count, mode);
    if (y != NO_TENSOR || x->code) return aten_tensor(y);
    return aten_tensor(aten_emit1(x, OP_Identity, t)); /* of a rank that isn't known: keeps what it is of */
}

/* ---- the rest ---- */

static aten_value shuffle(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t t = aten_data(x, A(0));
    int64_t factor = 1;
    if (t == NO_TENSOR || !aten_plain_int(A(1), &factor) || factor < 1) return aten_unknown();
    aten_begin(x, (op_kind)row->op, &t, 1, 1);
    aten_attr(x, ATTR_blocksize, factor);
    if (row->op == OP_DepthToSpace) aten_attr_text(x, ATTR_mode, "CRD");
    return aten_end(x);
}

static aten_value grid_sample(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t t = aten_data(x, A(0)), g = aten_data(x, A(1));
    if (t == NO_TENSOR || g == NO_TENSOR) return aten_unknown();
    return aten_tensor(aten_emit2(x, (op_kind)row->op, t, g));
}

/* How many windows there are along an axis. */
static num windows(num size, int64_t kernel, int64_t dilation, int64_t pad, int64_t stride)
{
    num free = num_sub(num_add(size, num_int(2 * pad)), num_int(dilation * (kernel - 1) + 1));
    return num_add(num_floor_div(free, num_int(stride)), num_int(1));
}

static bool pair(aten_value v, int64_t *out, int64_t fallback)
{
    int count = v.kind == ATEN_NONE ? 0 : aten_ints(v, out, 2);
    if (count < 0) return false;
    if (count == 0) out[0] = fallback;
    if (count < 2) out[1] = out[0];
    return out[0] >= 0 && out[1] >= 0 && out[0] < 1 << 20 && out[1] < 1 << 20;
}

/* im2col(x, kernel, dilation, padding, stride): [batch, channels, h, w] to [batch, channels * kernel, windows], a gather */
static aten_value im2col(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    int64_t kernel[2], dilation[2], pad[2], stride[2];
    uint32_t t = aten_data(x, A(0));
    if (t == NO_TENSOR || !pair(A(1), kernel, 1) || !pair(A(2), dilation, 1) || !pair(A(3), pad, 0) ||
        !pair(A(4), stride, 1) || stride[0] < 1 || stride[1] < 1)
        return aten_unknown();
    const tensor_shape *s = aten_shape(x, t);
    if (s->rank != 4) return aten_unknown();
    num count = num_mul(windows(s->dims[2], kernel[0], dilation[0], pad[0], stride[0]),
                        windows(s->dims[3], kernel[1], dilation[1], pad[1], stride[1]));
    num area = num_int(kernel[0] * kernel[1]), rows = num_mul(s->dims[1], area);
    num flat[3] = {s->dims[0], s->dims[1], num_mul(s->dims[2], s->dims[3])}, out[3] = {s->dims[0], rows, count};
    num picks = num_mul(area, count), zero = num_int(0);
    if (!num_known(picks) || picks.v.i < 1) return aten_unknown();
    uint32_t at = aten_emit2(x, OP_Expand, aten_constant(x, 1, &zero, 1), aten_constant(x, 1, &picks, 1));
    aten_begin(x, (op_kind)row->op, (uint32_t[]){aten_reshape(x, t, flat, 3), at}, 2, 1);
    aten_attr(x, ATTR_axis, 2);
    aten_value y = aten_end(x);
    return y.kind == ATEN_TENSOR ? aten_tensor(aten_reshape(x, y.v.tensor, out, 3)) : y;
}

/* col2im(x, size, kernel, ...): the sums of overlapping windows */
static aten_value col2im(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    num size[2], kernel[2];
    uint32_t t = aten_data(x, A(0));
    int k = aten_nums(A(1), size, 2), m = aten_nums(A(2), kernel, 2);
    if (t == NO_TENSOR || k != 2 || m < 1 || aten_rank(x, t) != 3) return aten_unknown();
    if (m == 1) kernel[1] = kernel[0];
    aten_begin(x, (op_kind)row->op, (uint32_t[]){t, aten_constant(x, 1, size, 2), aten_constant(x, 1, kernel, 2)}, 3,
               1);
    return aten_end(x);
}

/* affine_grid_generator(theta, size, ...): positions of an image times [batch, 2, 3] */
static aten_value affine_grid(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    num size[MAX_RANK], out[4];
    uint32_t t = aten_data(x, A(0));
    int rank = aten_nums(A(1), size, MAX_RANK);
    if (t == NO_TENSOR || rank != 4 || aten_rank(x, t) != 3) return aten_unknown();
    num grid[2] = {num_mul(size[2], size[3]), num_int(3)}, shape[2] = {grid[0], grid[1]};
    uint32_t at = aten_emit1(x, OP_ConstantOfShape, aten_constant(x, 1, shape, 2));
    uint32_t y = aten_emit2(x, (op_kind)row->op, at, aten_transpose(x, t, (const int64_t[]){0, 2, 1}, 3));
    out[0] = size[0], out[1] = size[2], out[2] = size[3], out[3] = num_int(2);
    return aten_tensor(aten_reshape(x, y, out, 4));
}

/* torchvision's roi_align(x, boxes, scale, height, width) */
static aten_value roi_align(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t t = aten_data(x, A(0)), boxes = aten_data(x, A(1));
    int64_t height = 1, width = 1;
    if (t == NO_TENSOR || boxes == NO_TENSOR || !aten_plain_int(A(3), &height) || !aten_plain_int(A(4), &width))
        return aten_unknown();
    aten_begin(x, (op_kind)row->op, (uint32_t[]){t, boxes, boxes}, 3, 1);
    aten_attr(x, ATTR_output_height, height);
    aten_attr(x, ATTR_output_width, width);
    return aten_end(x);
}

/* torchvision's nms(boxes, scores, threshold): which boxes stay, in the worst case all */
static aten_value nms(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t boxes = aten_data(x, A(0)), scores = aten_data(x, A(1));
    if (boxes == NO_TENSOR || scores == NO_TENSOR) return aten_unknown();
    num most = num_int(1 << 30), zero = num_int(0);
    scores = aten_unsqueeze(x, aten_unsqueeze(x, scores, 0), 0);
    uint32_t in[3] = {aten_unsqueeze(x, boxes, 0), scores, aten_constant(x, 0, &most, 1)};
    aten_begin(x, (op_kind)row->op, in, 3, 1);
    aten_value y = aten_end(x);
    if (y.kind != ATEN_TENSOR) return y;
    return aten_tensor(aten_squeeze(x, aten_slice(x, y.v.tensor, 1, zero, num_int(1), num_int(1)), 1));
}

/* stft(x, n_fft, hop, win, window, normalized, onesided, complex): [batch, bins, frames], or with 2 numbers each */
static aten_value stft(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t t = aten_data(x, A(0)), window = aten_data(x, A(4));
    int64_t size = 0, hop = 0;
    if (t == NO_TENSOR || !aten_plain_int(A(1), &size) || size < 1) return aten_unknown();
    if (!aten_plain_int(A(2), &hop) || hop < 1) hop = size / 4 ? size / 4 : 1;
    num step = num_int(hop), length = num_int(size);
    bool alone = aten_rank(x, t) == 1;
    if (alone) t = aten_unsqueeze(x, t, 0);
    uint32_t in[4] = {aten_unsqueeze(x, t, -1), aten_constant(x, 0, &step, 1), window, aten_constant(x, 0, &length, 1)};
    aten_begin(x, (op_kind)row->op, in, 4, 1);
    aten_attr(x, ATTR_onesided, A(6).kind == ATEN_NONE || aten_is_true(A(6)));
    aten_end(x);
    uint32_t y = aten_transpose(x, aten_output(x, 0), (const int64_t[]){0, 2, 1, 3}, 4);
    return aten_tensor(alone ? aten_squeeze(x, y, 0) : y);
}

#define NEAREST(name)                                                         \
    {                                                                         \
        name, "input output_size scale_factors scales_w", upsample, OP_Resize \
    }
#define ALIGNED(name)                                                                         \
    {                                                                                         \
        name, "input output_size align_corners scale_factors scales_w", upsample, OP_Upsample \
    }

const aten_row aten_image_rows[] = {
    NEAREST("upsample_nearest1d"),
    NEAREST("upsample_nearest2d"),
    NEAREST("upsample_nearest3d"),
    NEAREST("_upsample_nearest_exact2d"),
    ALIGNED("upsample_linear1d"),
    ALIGNED("upsample_bilinear2d"),
    ALIGNED("_upsample_bilinear2d_aa"),
    ALIGNED("upsample_bicubic2d"),
    ALIGNED("upsample_trilinear3d"),
    {"pad", "self pad mode value", pad, OP_Pad},
    {"constant_pad_nd", "self pad value", pad, OP_Pad},
    {"reflection_pad1d", "self padding", pad, OP_Pad},
    {"reflection_pad2d", "self padding", pad, OP_Pad},
    {"reflection_pad3d", "self padding", pad, OP_Pad},
    {"replication_pad1d", "self padding", pad, OP_Pad},
    {"replication_pad2d", "self padding", pad, OP_Pad},
    {"replication_pad3d", "self padding", pad, OP_Pad},
    {"pixel_shuffle", "self upscale_factor", shuffle, OP_DepthToSpace},
    {"pixel_unshuffle", "self downscale_factor", shuffle, OP_SpaceToDepth},
    {"im2col", "self kernel_size dilation padding stride", im2col, OP_Gather},
    {"col2im", "self output_size kernel_size dilation padding stride", col2im, OP_Col2Im},
    {"affine_grid_generator", "theta size align_corners", affine_grid, OP_MatMul},
    {"roi_align", "input rois spatial_scale pooled_height pooled_width sampling_ratio aligned", roi_align, OP_RoiAlign},
    {"nms", "dets scores iou_threshold", nms, OP_NonMaxSuppression},
    {"grid_sampler", "input grid", grid_sample, OP_GridSample},
    {"grid_sampler_2d", "input grid", grid_sample, OP_GridSample},
    {"grid_sampler_3d", "input grid", grid_sample, OP_GridSample},
    {"stft", "self n_fft hop_length win_length window normalized onesided return_complex", stft, OP_STFT},
    {NULL, NULL, NULL, 0},
};
