/* Linear layers and matrix products. */
#include "load/aten_rows.h"

/* x W^T + b. Weights are [out, in]; a weight of rank 2 with another rank of data is a matrix product and an addition, as the
 * framework's exporter writes it. */
aten_value aten_linear(aten *x, uint32_t t, uint32_t w, uint32_t b)
{
    const tensor_shape *ws = aten_shape(x, w);
    if (t == NO_TENSOR || w == NO_TENSOR) return aten_unknown();
    if (ws->rank == 2 && num_known(ws->dims[1])) aten_hint_dims(x, t, 2, 1, ws->dims[1].v.i);
    if (aten_rank(x, t) == 2 && ws->rank == 2) {
        uint32_t in[3] = {t, w, b};
        aten_begin(x, OP_Gemm, in, b == NO_TENSOR ? 2 : 3, 1);
        aten_attr(x, ATTR_transB, 1);
        return aten_end(x);
    }
    uint32_t p = aten_emit2(x, OP_MatMul, t, ws->rank == 2 ? aten_turned(x, w) : w);
    return aten_tensor(b == NO_TENSOR ? p : aten_emit2(x, OP_Add, p, b));
}

/* (x, weight, bias), or of a quantised module (x, (weight, bias), ...), which may have an activation behind it */
static aten_value linear(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    aten_value w = A(1), b = A(2);
    if (w.kind == ATEN_TUPLE || w.kind == ATEN_LIST) {
        aten_value packed = w;
        w = aten_count(packed) > 0 ? packed.v.list->v[0] : aten_none();
        b = aten_count(packed) > 1 ? packed.v.list->v[1] : aten_none();
        if (w.kind == ATEN_TUPLE) packed = w, w = aten_count(packed) ? packed.v.list->v[0] : aten_none();
    }
    if (A(0).kind != ATEN_TENSOR || w.kind != ATEN_TENSOR) return aten_unknown();
    aten_value y = aten_linear(x, aten_operand(x, A(0), NO_TENSOR), aten_operand(x, w, NO_TENSOR),
                               b.kind == ATEN_TENSOR ? aten_operand(x, b, NO_TENSOR) : NO_TENSOR);
    return row->op == OP_Relu && y.kind == ATEN_TENSOR ? aten_tensor(aten_emit1(x, OP_Relu, y.v.tensor)) : y;
}

/* What a quantised module packs stays together. */
static aten_value prepack(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    return aten_new_list(x, ATEN_TUPLE, arg, n);
}

/* Each element of one vector by each of another. */
static aten_value outer(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t a = aten_operand(x, A(0), NO_TENSOR), b = aten_operand(x, A(1), NO_TENSOR);
    if (a == NO_TENSOR || b == NO_TENSOR) return aten_unknown();
    return aten_tensor(aten_emit2(x, (op_kind)row->op, aten_unsqueeze(x, a, -1), aten_unsqueeze(x, b, 0)));
}

static aten_value matmul(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    uint32_t a = aten_operand(x, A(0), NO_TENSOR), b = aten_operand(x, A(1), NO_TENSOR);
    if (a == NO_TENSOR || b == NO_TENSOR) return aten_unknown();
    const tensor_shape *s = aten_shape(x, b);
    if (s->rank == 2 && num_known(s->dims[0])) aten_hint_dims(x, a, 2, 1, s->dims[0].v.i);
    return aten_tensor(aten_emit2(x, OP_MatMul, a, b));
}

/* inner(x, y): along the last dims of both */
static aten_value inner(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t a = aten_data(x, A(0)), b = aten_data(x, A(1));
    if (a == NO_TENSOR || b == NO_TENSOR) return aten_unknown();
    if (aten_rank(x, b) > 2) return aten_unknown();
    if (aten_rank(x, b) == 2) b = aten_turned(x, b);
    return aten_tensor(aten_emit2(x, (op_kind)row->op, a, b));
}

/* bias + a b */
static aten_value addmm(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t c = aten_operand(x, A(0), NO_TENSOR), a = aten_operand(x, A(1), NO_TENSOR),
             b = aten_operand(x, A(2), NO_TENSOR);
    if (c == NO_TENSOR || a == NO_TENSOR || b == NO_TENSOR) return aten_unknown();
    const tensor_shape *s = aten_shape(x, b);
    if (row->op == OP_MatMul) return aten_tensor(aten_emit2(x, OP_Add, aten_emit2(x, OP_MatMul, a, b), c));
    if (s->rank == 2 && num_known(s->dims[0])) aten_hint_dims(x, a, 2, 1, s->dims[0].v.i);
    aten_begin(x, OP_Gemm, (uint32_t[]){a, b, c}, 3, 1);
    return aten_end(x);
}

/* x1 W y for each matrix W of weights [out, a, b], as the framework computes it: one output after the other, each a product, a product
 * of rows and a sum into its place. */
static aten_value bilinear_of(aten *x, uint32_t a, uint32_t b, uint32_t w)
{
    enum { OUTPUTS_MOST = 4096 };
    const tensor_shape *ws = aten_shape(x, w), *as = aten_shape(x, a);
    int rank = as->rank;
    if (ws->rank != 3 || rank < 2 || rank > 8 || rank != aten_rank(x, b) || !num_known(ws->dims[0]) ||
        ws->dims[0].v.i < 1 || ws->dims[0].v.i > OUTPUTS_MOST)
        return aten_unknown();
    uint32_t count = (uint32_t)ws->dims[0].v.i, *part = ARENA_ARRAY(x->a, uint32_t, count);
    num left[2] = {num_int(-1), ws->dims[1]}, right[3] = {num_int(-1), ws->dims[2], num_int(1)}, dims[8];
    for (int i = 0; i < rank; i++) dims[i] = as->dims[i];
    dims[rank - 1] = ws->dims[0];
    if (!part) {
        aten_nomem(x);
        return aten_none();
    }
    if (rank > 2) a = aten_reshape(x, a, left, 2);
    b = aten_reshape(x, b, right, 3);
    for (uint32_t i = 0; i < count && !x->code; i++) {
        uint32_t one = aten_squeeze(x, aten_slice(x, w, 0, num_int(i), num_int((int64_t)i + 1), num_int(1)), 0);
        uint32_t row = aten_unsqueeze(x, aten_emit2(x, OP_MatMul, a, one), 1);
        part[i] = aten_squeeze(x, aten_emit2(x, OP_MatMul, row, b), 1);
        part[i] = aten_emit2(x, OP_Add, part[i], part[i]);
    }
    aten_begin(x, OP_Concat, part, count, 1);
    aten_attr(x, ATTR_axis, 1);
    aten_value y = aten_end(x);
    return rank > 2 && y.kind == ATEN_TENSOR ? aten_tensor(aten_reshape(x, y.v.tensor, dims, rank)) : y;
}

/* bilinear(x1, x2, weight, bias) */
static aten_value bilinear(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    uint32_t a = aten_data(x, A(0)), b = aten_data(x, A(1)), w = aten_data(x, A(2)), bias = aten_data(x, A(3));
    if (a == NO_TENSOR || b == NO_TENSOR || w == NO_TENSOR) return aten_unknown();
    const tensor_shape *s = aten_shape(x, w);
    if (s->rank == 3 && num_known(s->dims[1])) aten_hint_dims(x, a, 2, 1, s->dims[1].v.i);
    if (s->rank == 3 && num_known(s->dims[2])) aten_hint_dims(x, b, 2, 1, s->dims[2].v.i);
    aten_value y = bilinear_of(x, a, b, w);
    return bias == NO_TENSOR || y.kind != ATEN_TENSOR ? y : aten_tensor(aten_emit2(x, OP_Add, y.v.tensor, bias));
}

/* _trilinear(x1, weight, x2, ...): what bilinear is made of. */
static aten_value trilinear(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    uint32_t a = aten_data(x, A(0)), w = aten_data(x, A(1)), b = aten_data(x, A(2));
    if (a == NO_TENSOR || b == NO_TENSOR || w == NO_TENSOR) return aten_unknown();
    return bilinear_of(x, a, b, w);
}

static aten_value einsum(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    enum { MOST = 16 };
    uint32_t in[MOST], count = 0;
    (void)row;
    aten_value list = A(1);
    if (A(0).kind != ATEN_TEXT || list.kind != ATEN_LIST || !list.v.list->n || list.v.list->n > MOST)
        return aten_unknown();
    for (uint32_t i = 0; i < list.v.list->n; i++) in[count++] = aten_operand(x, list.v.list->v[i], NO_TENSOR);
    aten_begin(x, OP_Einsum, in, count, 1);
    str equation = str_copy(x->g->a, A(0).v.text);
    if (!x->code && (!equation.ptr || !graph_attr_string(x->g, ATTR_equation, equation))) aten_nomem(x);
    return aten_end(x);
}

const aten_row aten_product_rows[] = {
    {"linear", "input weight bias", linear, OP_Gemm},
    {"linear_relu", "input weight bias", linear, OP_Relu},
    {"linear_dynamic", "input weight", linear, OP_Gemm},
    {"linear_relu_dynamic", "input weight", linear, OP_Relu},
    {"linear_dynamic_fp16", "input weight", linear, OP_Gemm},
    {"linear_prepack", "weight bias", prepack, 0},
    {"linear_prepack_fp16", "weight bias", prepack, 0},
    {"conv1d_prepack", "weight bias stride padding dilation groups", prepack, 0},
    {"conv2d_prepack", "weight bias stride padding dilation groups", prepack, 0},
    {"conv3d_prepack", "weight bias stride padding dilation groups", prepack, 0},
    {"matmul", "self other", matmul, OP_MatMul},
    {"mm", "self mat2", matmul, OP_MatMul},
    {"linalg_matmul", "self other", matmul, OP_MatMul},
    {"_int_mm", "self mat2", matmul, OP_MatMul},
    {"_scaled_mm", "self mat2", matmul, OP_MatMul},
    {"vdot", "self other", matmul, OP_MatMul},
    {"inner", "self other", inner, OP_MatMul},
    {"addmv", "self mat vec", addmm, OP_MatMul},
    {"bmm", "self mat2", matmul, OP_MatMul},
    {"mv", "self vec", matmul, OP_MatMul},
    {"dot", "self tensor", matmul, OP_MatMul},
    {"outer", "self vec2", outer, OP_Mul},
    {"ger", "self vec2", outer, OP_Mul},
    {"addmm", "self mat1 mat2", addmm, OP_Gemm},
    {"baddbmm", "self batch1 batch2", addmm, OP_MatMul},
    {"addbmm", "self batch1 batch2", addmm, OP_MatMul},
    {"bilinear", "input1 input2 weight bias", bilinear, OP_MatMul},
    {"_trilinear", "i1 i2 i3", trilinear, OP_MatMul},
    {"einsum", "equation tensors path", einsum, OP_Einsum},
    {NULL, NULL, NULL, 0},
};
