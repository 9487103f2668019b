/* Normalisation and softmax. */
#include "load/aten_rows.h"

/* Weights that the module has not: a normalisation without affine parameters. */
static uint32_t plain_weight(aten *x, uint32_t like, int axis)
{
    const tensor_shape *s = aten_shape(x, like);
    int64_t dim = axis < s->rank && num_known(s->dims[axis]) ? s->dims[axis].v.i : 1;
    if (x->code) return NO_TENSOR;
    uint32_t t = graph_add_weight(x->g, STR("constant"),
                                  dtype_get((dtype)s->dtype)->floating ? (dtype)s->dtype : DT_FP32, 1, &dim);
    if (t == NO_TENSOR) aten_nomem(x);
    else x->g->tensors[t].literal = x->g->tensors[t].buffer = true;
    return t;
}

static aten_value batch_norm_of(aten *x, const aten_value *v, aten_value eps)
{
    uint32_t t = aten_data(x, v[0]);
    if (t == NO_TENSOR) return aten_unknown();
    uint32_t in[5] = {t};
    for (int i = 1; i < 5; i++) {
        in[i] = aten_data(x, v[i]);
        if (in[i] == NO_TENSOR) in[i] = plain_weight(x, t, 1);
    }
    const tensor_shape *w = x->code ? NULL : aten_shape(x, in[1]);
    if (w && w->rank == 1 && num_known(w->dims[0])) aten_hint_dims(x, t, 4, 1, w->dims[0].v.i);
    aten_begin(x, OP_BatchNormalization, in, 5, 1);
    if (aten_is_number(eps)) aten_attr_real(x, ATTR_epsilon, aten_real(eps));
    return aten_end(x);
}

static aten_value instance_norm(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    uint32_t t = aten_data(x, A(0)), w = aten_data(x, A(1)), b = aten_data(x, A(2));
    if (t == NO_TENSOR) return aten_unknown();
    if (w == NO_TENSOR) w = plain_weight(x, t, 1);
    if (b == NO_TENSOR) b = plain_weight(x, t, 1);
    aten_begin(x, OP_InstanceNormalization, (uint32_t[]){t, w, b}, 3, 1);
    return aten_end(x);
}

static aten_value batch_norm(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    bool statistics = A(3).kind == ATEN_TENSOR && A(4).kind == ATEN_TENSOR;
    if (!statistics && !strcmp(row->name, "batch_norm")) return instance_norm(x, row, arg, n);
    bool no_training = row->op == OP_Identity; /* (x, w, b, mean, var, momentum, eps) */
    aten_value out = batch_norm_of(x, arg, no_training ? A(6) : A(7));
    return strcmp(row->name, "batch_norm") != 0 ? aten_tuple_of(x, out, 3) : out;
}

static aten_value layer_norm(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    int64_t dims[MAX_RANK];
    int k = aten_ints(A(1), dims, MAX_RANK);
    uint32_t t = aten_data(x, A(0)), w = aten_data(x, A(2)),
             b = row->op == OP_LayerNormalization ? aten_data(x, A(3)) : NO_TENSOR;
    if (t == NO_TENSOR || k < 1) return aten_unknown();
    if (k == 1) aten_hint_dims(x, t, 3, 2, dims[0]);
    if (w == NO_TENSOR && !x->code) { /* the module has no scale: one that is not a parameter takes its place */
        w = graph_add_weight(x->g, STR("constant"), DT_FP32, k, dims);
        if (w == NO_TENSOR) {
            aten_nomem(x);
            return aten_none();
        }
        x->g->tensors[w].literal = x->g->tensors[w].buffer = true;
    }
    aten_begin(x, (op_kind)row->op, (uint32_t[]){t, w, b}, b == NO_TENSOR ? 2 : 3, 1);
    aten_attr(x, ATTR_axis, -k);
    aten_value out = aten_end(x);
    if (!strcmp(row->name, "_fused_rms_norm")) return aten_tuple_of(x, out, 2);
    return !strcmp(row->name, "native_layer_norm") ? aten_tuple_of(x, out, 3) : out;
}

static aten_value group_norm(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    bool native = row->op == OP_GroupNorm; /* (x, w, b, N, C, HxW, groups, eps) */
    uint32_t t = aten_data(x, A(0)), w = aten_data(x, native ? A(1) : A(2)), b = aten_data(x, native ? A(2) : A(3));
    int64_t groups = 1;
    if (t == NO_TENSOR || !aten_plain_int(native ? A(6) : A(1), &groups)) return aten_unknown();
    if (w == NO_TENSOR) w = plain_weight(x, t, 1);
    if (b == NO_TENSOR) b = plain_weight(x, t, 1);
    aten_begin(x, OP_GroupNormalization, (uint32_t[]){t, w, b}, 3, 1);
    aten_attr(x, ATTR_num_groups, groups);
    aten_value out = aten_end(x);
    return native ? aten_tuple_of(x, out, 3) : out;
}

static aten_value softmax(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t t = aten_data(x, A(0));
    if (t == NO_TENSOR) return aten_unknown();
    int64_t axis = aten_axis(x, t, A(1), -1);
    aten_begin(x, (op_kind)row->op, &t, 1, 1);
    aten_attr(x, ATTR_axis, axis);
    return aten_end(x);
}

const aten_row aten_norm_rows[] = {
    {"batch_norm", "input weight bias running_mean running_var training momentum eps", batch_norm,
     OP_BatchNormalization},
    {"native_batch_norm", "input weight bias running_mean running_var training momentum eps", batch_norm,
     OP_BatchNormalization},
    {"_native_batch_norm_legit_no_training", "input weight bias running_mean running_var momentum eps", batch_norm,
     OP_Identity},
    {"_native_batch_norm_legit", "input weight bias running_mean running_var training momentum eps", batch_norm,
     OP_BatchNormalization},
    {"instance_norm", "input weight bias running_mean running_var", instance_norm, OP_InstanceNormalization},
    {"layer_norm", "input normalized_shape weight bias eps", layer_norm, OP_LayerNormalization},
    {"native_layer_norm", "input normalized_shape weight bias eps", layer_norm, OP_LayerNormalization},
    {"rms_norm", "input normalized_shape weight eps", layer_norm, OP_RMSNormalization},
    {"_fused_rms_norm", "input normalized_shape weight eps", layer_norm, OP_RMSNormalization},
    {"group_norm", "input num_groups weight bias eps", group_norm, OP_GroupNormalization},
    {"native_group_norm", "input weight bias N C HxW group eps", group_norm, OP_GroupNorm},
    {"softmax", "self dim dtype", softmax, OP_Softmax},
    {"_softmax", "self dim half_to_float", softmax, OP_Softmax},
    {"_safe_softmax", "self dim dtype", softmax, OP_Softmax},
    {"softmin", "self dim dtype", softmax, OP_Softmax},
    {"log_softmax", "self dim dtype", softmax, OP_LogSoftmax},
    {"_log_softmax", "self dim half_to_float", softmax, OP_LogSoftmax},
    {NULL, NULL, NULL, 0},
};
