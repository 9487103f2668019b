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
    {"grid_sampler", "input grid", grid_sample, OP_GridSample},
    {"grid_sampler_2d", "input grid", grid_sample, OP_GridSample},
    {"grid_sampler_3d", "input grid", grid_sample, OP_GridSample},
    {"stft", "self n_fft hop_length win_length window normalized onesided return_complex", stft, OP_STFT},
    {NULL, NULL, NULL, 0},
};
