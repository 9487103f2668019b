/* Convolution and pooling: the geometry of sliding windows. */
#include "graph/shape_internal.h"

typedef enum auto_pad { PAD_EXPLICIT, PAD_SAME, PAD_VALID } auto_pad;

typedef struct windows {
    int n; /* spatial dims */
    auto_pad pad;
    bool ceil;
    num kernel[MAX_RANK];
    int64_t stride[MAX_RANK], dilation[MAX_RANK], pad_begin[MAX_RANK], pad_end[MAX_RANK];
} windows;

static pg_code read_ints(infer *x, const op *o, attr_key key, const char *name, int n, int64_t least, int64_t *out)
{
    const int64_t *v;
    uint32_t count = op_attr_ints(x->g, o, key, &v);
    if (!count) return PG_E_OK;
    if (count != (uint32_t)n)
        return shape_fail(x, o, "its %s have %u numbers for %d spatial dimensions", name, (unsigned)count, n);
    for (int i = 0; i < n; i++) {
        if (v[i] < least || v[i] > INT32_MAX)
            return shape_fail(x, o, "its %s hold %lld, which is out of range", name, (long long)v[i]);
        out[i] = v[i];
    }
    return PG_E_OK;
}

/* The kernel is the attribute, or the dims of the weights after the first two. */
static pg_code read_windows(infer *x, const op *o, int n, const tensor_shape *weights, windows *w)
{
    w->n = n;
    w->ceil = op_attr_int(x->g, o, ATTR_ceil_mode, 0) != 0;
    str pad = op_attr_str(x->g, o, ATTR_auto_pad);
    w->pad = str_starts(pad, "SAME") ? PAD_SAME : str_is(pad, "VALID") ? PAD_VALID : PAD_EXPLICIT;
    int64_t kernel[MAX_RANK], pads[2 * MAX_RANK];
    for (int i = 0; i < n; i++) {
        w->stride[i] = w->dilation[i] = 1;
        kernel[i] = 0;
        pads[i] = pads[n + i] = 0;
    }
    pg_code code = read_ints(x, o, ATTR_strides, "strides", n, 1, w->stride);
    if (!code) code = read_ints(x, o, ATTR_dilations, "dilations", n, 1, w->dilation);
    if (!code) code = read_ints(x, o, ATTR_kernel_shape, "kernel_shape", n, 1, kernel);
    if (!code && w->pad == PAD_EXPLICIT) code = read_ints(x, o, ATTR_pads, "pads", 2 * n, INT32_MIN, pads);
    if (code) return code;
    for (int i = 0; i < n; i++) {
        w->pad_begin[i] = pads[i];
        w->pad_end[i] = pads[n + i];
        if (weights) w->kernel[i] = weights->dims[2 + i];
        else if (kernel[i]) w->kernel[i] = num_int(kernel[i]);
        else return shape_fail(x, o, "it has no kernel_shape");
        if (weights && kernel[i] && num_known(w->kernel[i]) && w->kernel[i].v.i != kernel[i])
            return shape_fail(x, o, "its kernel_shape says %lld, but its weights are %s", (long long)kernel[i],
                              SHAPE_S(x, weights));
    }
    return PG_E_OK;
}

/* (kernel - 1) * dilation + 1 */
static num extent(const windows *w, int i)
{
    return num_add(num_mul(num_sub(w->kernel[i], num_int(1)), num_int(w->dilation[i])), num_int(1));
}

static pg_code window_dim(infer *x, const op *o, const windows *w, int i, num in, num *out)
{
    num stride = num_int(w->stride[i]);
    if (w->pad == PAD_SAME) {
        *out = num_ceil_div(in, stride);
        return PG_E_OK;
    }
    num padded = num_add(in, num_int(w->pad_begin[i] + w->pad_end[i]));
    num room = num_sub(padded, extent(w, i));
    if (num_known(room) && room.v.i < 0)
        return shape_fail(x, o, "its window of %lld is larger than the padded input of %lld: give a larger input",
                          (long long)extent(w, i).v.i, (long long)padded.v.i);
    num n = num_add(w->ceil ? num_ceil_div(room, stride) : num_floor_div(room, stride), num_int(1));
    if (w->ceil && num_known(n) && num_known(in)) { /* no window starts in the padding at the end */
        num last = num_mul(num_sub(n, num_int(1)), stride);
        num limit = num_add(in, num_int(w->pad_begin[i]));
        if (num_known(last) && num_known(limit) && last.v.i >= limit.v.i) n = num_sub(n, num_int(1));
    }
    *out = n;
    return PG_E_OK;
}

/* Where the channels and the first spatial dim are. */
static int channel_axis(const op *o, int rank)
{
    return o->flags & OPF_CHANNELS_LAST ? rank - 1 : 1;
}
static int spatial_axis(const op *o)
{
    return o->flags & OPF_CHANNELS_LAST ? 1 : 2;
}

/* Some formats leave the number of groups to the weights, which say how many channels each takes. */
static int64_t told_groups(num have, num fan)
{
    if (!num_known(have) || !num_known(fan) || fan.v.i < 1 || have.v.i < fan.v.i) return 1;
    return have.v.i / fan.v.i;
}

static pg_code conv_dims(infer *x, const op *o, dtype d, const tensor_shape *t, const tensor_shape *w)
{
    if (!has_rank(t) || !has_rank(w)) return out_dtype(x, o, 0, d);
    if (t->rank < 3 || w->rank != t->rank)
        return shape_fail(x, o, "the input %s and the weights %s should have the same rank, 3 or more", SHAPE_S(x, t),
                          SHAPE_S(x, w));
    windows win;
    pg_code code = read_windows(x, o, t->rank - 2, w, &win);
    if (code) return code;
    num have = t->dims[channel_axis(o, t->rank)];
    int64_t groups = op_attr_int(x->g, o, ATTR_group, 1);
    if (groups == 0) groups = told_groups(have, w->dims[1]);
    num channels = num_mul(w->dims[1], num_int(groups));
    if (groups < 1 || (num_known(channels) && num_known(have) && channels.v.i != have.v.i))
        return shape_fail(x, o, "the input %s has %lld channels, but the weights %s with %lld group%s take %lld",
                          SHAPE_S(x, t), (long long)have.v.i, SHAPE_S(x, w), (long long)groups, groups == 1 ? "" : "s",
                          (long long)channels.v.i);
    if (num_known(w->dims[0]) && w->dims[0].v.i % groups != 0)
        return shape_fail(x, o, "the weights %s can't be split into %lld groups", SHAPE_S(x, w), (long long)groups);
    num out[MAX_RANK];
    out[0] = t->dims[0];
    out[channel_axis(o, t->rank)] = w->dims[0];
    for (int i = 0; i < win.n; i++) {
        code = window_dim(x, o, &win, i, t->dims[spatial_axis(o) + i], &out[spatial_axis(o) + i]);
        if (code) return code;
    }
    return out_dims(x, o, 0, d, t->rank, out);
}

pg_code shape_conv(infer *x, const op *o)
{
    return conv_dims(x, o, dtype_of(in_at(x, o, 0)), in_at(x, o, 0), in_at(x, o, 1));
}

pg_code shape_conv_integer(infer *x, const op *o)
{
    return conv_dims(x, o, DT_INT32, in_at(x, o, 0), in_at(x, o, 1));
}

/* x, x_scale, x_zero_point, w, w_scale, w_zero_point, y_scale, y_zero_point, B */
pg_code shape_qlinear_conv(infer *x, const op *o)
{
    const tensor_shape *zero = in_at(x, o, 7);
    return conv_dims(x, o, dtype_of(zero ? zero : in_at(x, o, 0)), in_at(x, o, 0), in_at(x, o, 3));
}

pg_code shape_conv_transpose(infer *x, const op *o)
{
    const tensor_shape *t = ranked(x, o, 0), *w = ranked(x, o, 1);
    dtype d = dtype_of(in_at(x, o, 0));
    if (!t || !w) return out_dtype(x, o, 0, d);
    if (t->rank < 3 || w->rank != t->rank)
        return shape_fail(x, o, "the input %s and the weights %s should have the same rank, 3 or more", SHAPE_S(x, t),
                          SHAPE_S(x, w));
    windows win;
    int n = t->rank - 2;
    int64_t extra[MAX_RANK] = {0}, size[2 * MAX_RANK] = {0};
    const int64_t *shape;
    uint32_t shape_n = op_attr_ints(x->g, o, ATTR_output_shape, &shape);
    pg_code code = read_windows(x, o, n, w, &win);
    if (!code) code = read_ints(x, o, ATTR_output_padding, "output_padding", n, 0, extra);
    if (!code && shape_n == (uint32_t)n + 2)
        memcpy(size, shape + 2, (size_t)n * sizeof *size); /* some files give all dims */
    else if (!code) code = read_ints(x, o, ATTR_output_shape, "output_shape", n, 1, size);
    if (code) return code;
    num have = t->dims[channel_axis(o, t->rank)], same;
    int64_t groups = op_attr_int(x->g, o, ATTR_group, 1);
    if (groups < 1 || !dim_same(x, have, w->dims[0], &same))
        return shape_fail(x, o, "the input %s has %lld channels, but the weights %s take another number", SHAPE_S(x, t),
                          (long long)have.v.i, SHAPE_S(x, w));
    num out[MAX_RANK];
    out[0] = t->dims[0];
    out[channel_axis(o, t->rank)] = num_mul(w->dims[1], num_int(groups));
    for (int i = 0; i < n; i++) {
        num in = t->dims[spatial_axis(o) + i], full;
        if (size[i]) full = num_int(size[i]);
        else if (win.pad == PAD_SAME) full = num_mul(in, num_int(win.stride[i]));
        else
            full = num_sub(num_add(num_add(num_mul(num_sub(in, num_int(1)), num_int(win.stride[i])), num_int(extra[i])),
                                   extent(&win, i)),
                           num_int(win.pad_begin[i] + win.pad_end[i]));
        out[spatial_axis(o) + i] = full;
    }
    return out_dims(x, o, 0, d, t->rank, out);
}

/* ---- pooling ---- */

pg_code shape_pool(infer *x, const op *o)
{
    const tensor_shape *t = ranked(x, o, 0);
    dtype d = dtype_of(in_at(x, o, 0));
    if (!t) {
        out_dtype(x, o, 1, DT_INT64);
        return out_dtype(x, o, 0, d);
    }
    if (t->rank < 3)
        return shape_fail(x, o, "the input %s should have a batch, channels and spatial dimensions", SHAPE_S(x, t));
    windows win;
    pg_code code = read_windows(x, o, t->rank - 2, NULL, &win);
    if (code) return code;
    num out[MAX_RANK];
    memcpy(out, t->dims, (size_t)t->rank * sizeof *out);
    for (int i = 0; i < win.n; i++) {
        code = window_dim(x, o, &win, i, t->dims[spatial_axis(o) + i], &out[spatial_axis(o) + i]);
        if (code) return code;
    }
    code = out_dims(x, o, 0, d, t->rank, out);
    return code ? code : out_like(x, o, 1, DT_INT64, out_at(x, o, 0));
}

pg_code shape_global_pool(infer *x, const op *o)
{
    const tensor_shape *t = ranked(x, o, 0);
    dtype d = dtype_of(in_at(x, o, 0));
    if (!t) return out_dtype(x, o, 0, d);
    num out[MAX_RANK];
    int channel = channel_axis(o, t->rank);
    for (int i = 0; i < t->rank; i++) out[i] = i == 0 || i == channel ? t->dims[i] : num_int(1);
    return out_dims(x, o, 0, d, t->rank, out);
}

/* output_shape gives the spatial dims; 0 or -1 keeps the input's. */
pg_code shape_adaptive_pool(infer *x, const op *o)
{
    const tensor_shape *t = ranked(x, o, 0);
    dtype d = dtype_of(in_at(x, o, 0));
    if (!t) return out_dtype(x, o, 0, d);
    const int64_t *size;
    uint32_t n = op_attr_ints(x->g, o, ATTR_output_shape, &size);
    if (t->rank < 3 || n != (uint32_t)t->rank - 2)
        return shape_fail(x, o, "its output_shape has %u numbers for the input %s", (unsigned)n, SHAPE_S(x, t));
    num out[MAX_RANK];
    memcpy(out, t->dims, (size_t)t->rank * sizeof *out);
    for (uint32_t i = 0; i < n; i++)
        if (size[i] > 0) out[(uint32_t)spatial_axis(o) + i] = num_int(size[i]);
    return out_dims(x, o, 0, d, t->rank, out);
}

pg_code shape_max_unpool(infer *x, const op *o)
{
    const tensor_shape *t = ranked(x, o, 0);
    dtype d = dtype_of(in_at(x, o, 0));
    if (!t) return out_dtype(x, o, 0, d);
    num out[MAX_RANK];
    int_list size = list_get(x, o, 2, ATTR_output_shape);
    if (size.given) {
        for (int i = 0; i < t->rank; i++)
            out[i] = size.known && size.n == (uint32_t)t->rank ? list_at(&size, (uint32_t)i) : num_unknown();
        return out_dims(x, o, 0, d, t->rank, out);
    }
    if (t->rank < 3)
        return shape_fail(x, o, "the input %s should have a batch, channels and spatial dimensions", SHAPE_S(x, t));
    windows win;
    pg_code code = read_windows(x, o, t->rank - 2, NULL, &win);
    if (code) return code;
    out[0] = t->dims[0];
    out[1] = t->dims[1];
    for (int i = 0; i < win.n; i++)
        out[2 + i] = num_sub(
            num_add(num_mul(num_sub(t->dims[2 + i], num_int(1)), num_int(win.stride[i])), win.kernel[i]),
            num_int(win.pad_begin[i] + win.pad_end[i]));
    return out_dims(x, o, 0, d, t->rank, out);
}

static pg_code roi_dims(infer *x, const op *o, num height, num width)
{
    const tensor_shape *t = in_at(x, o, 0), *rois = in_at(x, o, 1);
    int channel = channel_axis(o, 4);
    num out[4] = {num_unknown(), height, height, width};
    if (channel == 3) out[2] = width;
    out[channel] = has_rank(t) && t->rank == 4 ? t->dims[channel] : num_unknown();
    if (has_rank(rois) && rois->rank == 2) out[0] = rois->dims[0];
    return out_dims(x, o, 0, dtype_of(t), 4, out);
}

pg_code shape_roi_pool(infer *x, const op *o)
{
    const int64_t *size;
    if (op_attr_ints(x->g, o, ATTR_pooled_shape, &size) != 2)
        return shape_fail(x, o, "its pooled_shape should have two numbers");
    return roi_dims(x, o, num_int(size[0]), num_int(size[1]));
}

pg_code shape_roi_align(infer *x, const op *o)
{
    return roi_dims(x, o, num_int(op_attr_int(x->g, o, ATTR_output_height, 1)),
                    num_int(op_attr_int(x->g, o, ATTR_output_width, 1)));
}
