/* Convolutions and pooling. */
#include "load/aten_rows.h"

/* `n` numbers, of which one stands for all. */
static bool spatial(aten_value v, int64_t *out, int n, int64_t fallback)
{
    int count = v.kind == ATEN_NONE ? 0 : aten_ints(v, out, MAX_RANK);
    if (count < 0 || (count > 1 && count != n)) return false;
    for (int i = 0; i < n; i++) out[i] = count == 0 ? fallback : count == 1 ? out[0] : out[i];
    return true;
}

/* ---- convolution ---- */

typedef struct conv_args {
    aten_value stride, padding, dilation, extra, groups;
    bool transposed;
} conv_args;

static aten_value conv_of(aten *x, aten_value data, aten_value weight, aten_value bias, const conv_args *c)
{
    uint32_t in[3] = {aten_data(x, data), aten_data(x, weight), aten_data(x, bias)};
    int64_t stride[MAX_RANK], pad[MAX_RANK * 2], dilation[MAX_RANK], extra[MAX_RANK], groups = 1;
    if (in[0] == NO_TENSOR || in[1] == NO_TENSOR) return aten_unknown();
    const tensor_shape *w = aten_shape(x, in[1]);
    int k = w->rank - 2;
    bool text = c->padding.kind == ATEN_TEXT, same = text && str_is(c->padding.v.text, "same");
    aten_plain_int(c->groups, &groups);
    if (k < 1 || k > 3 || groups < 1 || groups > INT32_MAX || !spatial(c->stride, stride, k, 1) ||
        !spatial(c->dilation, dilation, k, 1) || !spatial(c->extra, extra, k, 0) ||
        (!text && !spatial(c->padding, pad, k, 0)))
        return aten_unknown();
    if (num_known(w->dims[1]) && num_known(w->dims[0]))
        aten_hint_dims(x, in[0], w->rank, 1, c->transposed ? w->dims[0].v.i : w->dims[1].v.i * groups);
    bool alone = aten_rank(x, in[0]) == w->rank - 1; /* no batch */
    if (alone) in[0] = aten_unsqueeze(x, in[0], 0);
    for (int i = 0; i < k; i++) {
        if (text) pad[i] = 0;
        pad[k + i] = pad[i];
    }
    aten_begin(x, c->transposed ? OP_ConvTranspose : OP_Conv, in, in[2] == NO_TENSOR ? 2 : 3, 1);
    aten_attr_list(x, ATTR_strides, stride, (uint32_t)k);
    aten_attr_list(x, ATTR_dilations, dilation, (uint32_t)k);
    if (same) aten_attr_text(x, ATTR_auto_pad, "SAME_UPPER");
    else aten_attr_list(x, ATTR_pads, pad, 2 * (uint32_t)k);
    if (c->transposed) aten_attr_list(x, ATTR_output_padding, extra, (uint32_t)k);
    aten_attr(x, ATTR_group, groups);
    aten_value out = aten_end(x);
    return alone && out.kind == ATEN_TENSOR ? aten_tensor(aten_squeeze(x, out.v.tensor, 0)) : out;
}

static aten_value conv(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    conv_args c = {A(3), A(4), A(5), aten_none(), A(6), false};
    aten_value w = A(1), b = A(2);
    if (w.kind == ATEN_TUPLE) { /* of a quantised module: weight, bias, stride, padding, dilation, groups */
        const aten_list *p = w.v.list;
        if (p->n < 6) return aten_unknown();
        c = (conv_args){p->v[2], p->v[3], p->v[4], aten_none(), p->v[5], false};
        w = p->v[0], b = p->v[1];
    }
    aten_value y = conv_of(x, A(0), w, b, &c);
    return row->op == OP_Relu && y.kind == ATEN_TENSOR ? aten_tensor(aten_emit1(x, OP_Relu, y.v.tensor)) : y;
}

static aten_value conv_transpose(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    conv_args c = {A(3), A(4), A(7), A(5), A(6), true};
    return conv_of(x, A(0), A(1), A(2), &c);
}

static aten_value convolution(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    conv_args c = {A(3), A(4), A(5), A(7), A(8), aten_is_true(A(6))};
    return conv_of(x, A(0), A(1), A(2), &c);
}

/* ---- pooling ---- */

static aten_value pool(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t t = aten_data(x, A(0));
    bool max = row->op == OP_MaxPool, indices = strstr(row->name, "indices") != NULL;
    int k = row->name[strcspn(row->name, "0123456789")] - '0';
    int64_t kernel[MAX_RANK], stride[MAX_RANK], pad[MAX_RANK], dilation[MAX_RANK];
    if (t == NO_TENSOR || k < 1 || k > 3 || !spatial(A(1), kernel, k, 1)) return aten_unknown();
    bool no_stride = A(2).kind == ATEN_NONE || (A(2).kind == ATEN_LIST && !A(2).v.list->n);
    memcpy(stride, kernel, sizeof stride);
    if ((!no_stride && !spatial(A(2), stride, k, 1)) || !spatial(A(3), pad, k, 0) ||
        !spatial(max ? A(4) : aten_none(), dilation, k, 1))
        return aten_unknown();
    aten_hint_dims(x, t, k + 2, -1, 0);
    bool alone = aten_rank(x, t) == k + 1;
    if (alone) t = aten_unsqueeze(x, t, 0);
    for (int i = 0; i < k; i++) pad[k + i] = pad[i];
    aten_begin(x, (op_kind)row->op, &t, 1, indices ? 2 : 1);
    aten_attr_list(x, ATTR_kernel_shape, kernel, (uint32_t)k);
    aten_attr_list(x, ATTR_strides, stride, (uint32_t)k);
    aten_attr_list(x, ATTR_pads, pad, 2 * (uint32_t)k);
    if (max) aten_attr_list(x, ATTR_dilations, dilation, (uint32_t)k);
    else aten_attr(x, ATTR_count_include_pad, A(5).kind == ATEN_NONE || aten_is_true(A(5)));
    aten_attr(x, ATTR_ceil_mode, aten_is_true(max ? A(5) : A(4)));
    aten_value out = aten_end(x);
    if (indices) return aten_new_list(x, ATEN_TUPLE, (aten_value[]){out, aten_tensor(aten_output(x, 1))}, 2);
    return alone && out.kind == ATEN_TENSOR ? aten_tensor(aten_squeeze(x, out.v.tensor, 0)) : out;
}

/* To one element it is a global pooling. The window of an adaptive maximum costs what that of an average does. */
static aten_value adaptive_pool(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t t = aten_data(x, A(0));
    bool max = row->op == OP_GlobalMaxPool;
    int k = row->name[strcspn(row->name, "0123456789")] - '0';
    int64_t size[MAX_RANK];
    if (t == NO_TENSOR || k < 1 || k > 3) return aten_unknown();
    aten_hint_dims(x, t, k + 2, -1, 0);
    bool alone = aten_rank(x, t) == k + 1, one = true;
    if (alone) t = aten_unsqueeze(x, t, 0);
    aten_value list = A(1);
    const tensor_shape *s = aten_shape(x, t);
    for (int i = 0; i < k; i++) {
        aten_value v = list.kind == ATEN_LIST && i < (int)list.v.list->n ? list.v.list->v[i] : list;
        if (!aten_plain_int(v, &size[i])) /* None keeps the size */
            size[i] = s->rank == k + 2 && num_known(s->dims[2 + i]) ? s->dims[2 + i].v.i : 1;
        one &= size[i] == 1;
    }
    aten_begin(x, one ? (op_kind)row->op : OP_AdaptiveAveragePool, &t, 1, 1);
    if (!one) aten_attr_list(x, ATTR_output_shape, size, (uint32_t)k);
    aten_value out = aten_end(x);
    if (alone && out.kind == ATEN_TENSOR) out = aten_tensor(aten_squeeze(x, out.v.tensor, 0));
    return max ? aten_tuple_of(x, out, 2) : out;
}

#define CONV "input weight bias stride padding dilation groups"
#define CONV_T "input weight bias stride padding output_padding groups dilation"
#define POOL_MAX "self kernel_size stride padding dilation ceil_mode"
#define POOL_MEAN "self kernel_size stride padding ceil_mode count_include_pad divisor_override"
#define ADAPTIVE "self output_size"

const aten_row aten_conv_rows[] = {
    {"conv1d", CONV, conv, OP_Conv},
    {"conv2d", CONV, conv, OP_Conv},
    {"conv3d", CONV, conv, OP_Conv},
    {"conv1d_relu", CONV, conv, OP_Relu},
    {"conv2d_relu", CONV, conv, OP_Relu},
    {"conv3d_relu", CONV, conv, OP_Relu},
    {"conv_transpose1d", CONV_T, conv_transpose, OP_ConvTranspose},
    {"conv_transpose2d", CONV_T, conv_transpose, OP_ConvTranspose},
    {"conv_transpose3d", CONV_T, conv_transpose, OP_ConvTranspose},
    {"_convolution", "input weight bias stride padding dilation transposed output_padding groups", convolution,
     OP_Conv},
    {"convolution", "input weight bias stride padding dilation transposed output_padding groups", convolution, OP_Conv},
    {"_convolution_mode", CONV, conv, OP_Conv},
    {"max_pool1d", POOL_MAX, pool, OP_MaxPool},
    {"max_pool2d", POOL_MAX, pool, OP_MaxPool},
    {"max_pool3d", POOL_MAX, pool, OP_MaxPool},
    {"max_pool1d_with_indices", POOL_MAX, pool, OP_MaxPool},
    {"max_pool2d_with_indices", POOL_MAX, pool, OP_MaxPool},
    {"max_pool3d_with_indices", POOL_MAX, pool, OP_MaxPool},
    {"avg_pool1d", POOL_MEAN, pool, OP_AveragePool},
    {"avg_pool2d", POOL_MEAN, pool, OP_AveragePool},
    {"avg_pool3d", POOL_MEAN, pool, OP_AveragePool},
    {"adaptive_avg_pool1d", ADAPTIVE, adaptive_pool, OP_GlobalAveragePool},
    {"adaptive_avg_pool2d", ADAPTIVE, adaptive_pool, OP_GlobalAveragePool},
    {"adaptive_avg_pool3d", ADAPTIVE, adaptive_pool, OP_GlobalAveragePool},
    {"_adaptive_avg_pool2d", ADAPTIVE, adaptive_pool, OP_GlobalAveragePool},
    {"_adaptive_avg_pool3d", ADAPTIVE, adaptive_pool, OP_GlobalAveragePool},
    {"adaptive_max_pool1d", ADAPTIVE, adaptive_pool, OP_GlobalMaxPool},
    {"adaptive_max_pool2d", ADAPTIVE, adaptive_pool, OP_GlobalMaxPool},
    {"adaptive_max_pool3d", ADAPTIVE, adaptive_pool, OP_GlobalMaxPool},
    {NULL, NULL, NULL, 0},
};
