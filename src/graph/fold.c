/* Constant folding of shape arithmetic: which values are needed at all, and who computes them. */
#include "graph/shape_internal.h"

/* The inputs whose values decide the shape of an output, as bits. */
static const uint8_t shape_inputs[OP_KIND_COUNT] = {
    [OP_Reshape] = 1 << 1,
    [OP_Expand] = 1 << 1,
    [OP_Squeeze] = 1 << 1,
    [OP_Unsqueeze] = 1 << 1,
    [OP_Slice] = 0x1e,
    [OP_Split] = 1 << 1,
    [OP_SplitToSequence] = 1 << 1,
    [OP_Tile] = 0x06,
    [OP_Pad] = 1 << 1 | 1 << 3,
    [OP_ConstantOfShape] = 1 << 0,
    [OP_Range] = 0x07,
    [OP_Resize] = 0x0e,
    [OP_Upsample] = 1 << 1,
    [OP_TopK] = 1 << 1,
    [OP_OneHot] = 1 << 1,
    [OP_NonZero] = 1 << 0,
    [OP_Compress] = 1 << 1,
    [OP_NonMaxSuppression] = 1 << 2,
    [OP_ReduceSum] = 1 << 1,
    [OP_ReduceMean] = 1 << 1,
    [OP_ReduceMax] = 1 << 1,
    [OP_ReduceMin] = 1 << 1,
    [OP_ReduceProd] = 1 << 1,
    [OP_ReduceL1] = 1 << 1,
    [OP_ReduceL2] = 1 << 1,
    [OP_ReduceLogSum] = 1 << 1,
    [OP_ReduceLogSumExp] = 1 << 1,
    [OP_ReduceSumSquare] = 1 << 1,
    [OP_ReduceAny] = 1 << 1,
    [OP_ReduceAll] = 1 << 1,
    [OP_CenterCropPad] = 1 << 1,
    [OP_Col2Im] = 0x06,
    [OP_AffineGrid] = 1 << 1,
    [OP_MaxUnpool] = 1 << 2,
    [OP_DFT] = 0x06,
    [OP_STFT] = 0x0a,
    [OP_BlackmanWindow] = 1 << 0,
    [OP_HammingWindow] = 1 << 0,
    [OP_HannWindow] = 1 << 0,
    [OP_MelWeightMatrix] = 0x03,
    [OP_GroupQueryAttention] = 1 << 6,
    [OP_If] = 0xff,
    [OP_Loop] = 0xff,
    [OP_Scan] = 0xff,
};

static const fold_fn folds[OP_KIND_COUNT] = {
    [OP_Abs] = fold_unary,
    [OP_Neg] = fold_unary,
    [OP_Sign] = fold_unary,
    [OP_Not] = fold_unary,
    [OP_Floor] = fold_unary,
    [OP_Ceil] = fold_unary,
    [OP_Round] = fold_unary,
    [OP_Sqrt] = fold_unary,
    [OP_Rsqrt] = fold_unary,
    [OP_Reciprocal] = fold_unary,
    [OP_Exp] = fold_unary,
    [OP_Log] = fold_unary,
    [OP_Relu] = fold_unary,
    [OP_BitwiseNot] = fold_unary,
    [OP_IsNaN] = fold_unary,
    [OP_IsInf] = fold_unary,
    [OP_Add] = fold_binary,
    [OP_Sub] = fold_binary,
    [OP_Mul] = fold_binary,
    [OP_Div] = fold_binary,
    [OP_FloorDiv] = fold_binary,
    [OP_Mod] = fold_binary,
    [OP_Pow] = fold_binary,
    [OP_And] = fold_binary,
    [OP_Or] = fold_binary,
    [OP_Xor] = fold_binary,
    [OP_Equal] = fold_binary,
    [OP_NotEqual] = fold_binary,
    [OP_Greater] = fold_binary,
    [OP_GreaterOrEqual] = fold_binary,
    [OP_Less] = fold_binary,
    [OP_LessOrEqual] = fold_binary,
    [OP_BitwiseAnd] = fold_binary,
    [OP_BitwiseOr] = fold_binary,
    [OP_BitwiseXor] = fold_binary,
    [OP_SquaredDifference] = fold_binary,
    [OP_Max] = fold_variadic,
    [OP_Min] = fold_variadic,
    [OP_Sum] = fold_variadic,
    [OP_Where] = fold_where,
    [OP_Clip] = fold_clip,
    [OP_Cast] = fold_cast,
    [OP_CastLike] = fold_cast,
    [OP_ReduceSum] = fold_reduce,
    [OP_ReduceProd] = fold_reduce,
    [OP_ReduceMax] = fold_reduce,
    [OP_ReduceMin] = fold_reduce,
    [OP_ReduceMean] = fold_reduce,
    [OP_ReduceAny] = fold_reduce,
    [OP_ReduceAll] = fold_reduce,
    [OP_CumSum] = fold_cumsum,
    [OP_Identity] = fold_view,
    [OP_Reshape] = fold_view,
    [OP_Flatten] = fold_view,
    [OP_Squeeze] = fold_view,
    [OP_Unsqueeze] = fold_view,
    [OP_Dropout] = fold_view,
    [OP_Transpose] = fold_transpose,
    [OP_Expand] = fold_expand,
    [OP_Tile] = fold_tile,
    [OP_Concat] = fold_concat,
    [OP_Pad] = fold_pad,
    [OP_Trilu] = fold_trilu,
    [OP_Slice] = fold_slice,
    [OP_Split] = fold_split,
    [OP_Gather] = fold_gather,
    [OP_GatherND] = fold_gather_nd,
    [OP_GatherElements] = fold_gather_elements,
    [OP_Scatter] = fold_scatter_elements,
    [OP_ScatterElements] = fold_scatter_elements,
    [OP_ScatterND] = fold_scatter_nd,
    [OP_Range] = fold_range,
    [OP_ConstantOfShape] = fold_fill,
    [OP_EyeLike] = fold_eye,
    [OP_OneHot] = fold_one_hot,
    [OP_NonZero] = fold_non_zero,
};

/* Backwards from the operators whose shapes depend on values. Without this, every mask and position table would be
 * computed. */
void mark_needed(infer *x, uint32_t r, unsigned depth)
{
    const graph *g = x->g;
    const region *walked = &g->regions[r];
    if (depth > MAX_NESTING) return;
    for (uint32_t i = walked->n_ops; i-- > 0 && --x->budget > 0;) {
        const op *o = &g->ops[walked->ops[i]];
        if (o->kind >= OP_KIND_COUNT) continue;
        unsigned mask = shape_inputs[o->kind];
        const uint32_t *in = op_in(g, o), *out = op_out(g, o);
        if (folds[o->kind])
            for (uint32_t k = 0; k < o->n_out && mask != 0xff; k++)
                if (out[k] < g->n_tensors && x->need[out[k]]) mask = 0xff;
        if (!mask) continue;
        for (uint32_t k = 0; k < o->n_in; k++)
            if ((mask == 0xff || (k < 8 && mask >> k & 1)) && in[k] < g->n_tensors) x->need[in[k]] = 1;
        if (o->kind != OP_If && o->kind != OP_Loop && o->kind != OP_Scan) continue;
        for (uint32_t k = 0; k < o->n_attr; k++) { /* what a body carries round may decide a shape in it */
            const attr *a = &g->attrs[o->first_attr + k];
            if (a->type != ATTR_REGION || a->v.index == 0 || a->v.index >= g->n_regions) continue;
            const region *body = &g->regions[a->v.index];
            for (uint32_t n = 0; n < body->n_outputs; n++)
                if (body->outputs[n] < g->n_tensors) x->need[body->outputs[n]] = 1;
            mark_needed(x, a->v.index, depth + 1);
        }
    }
}

/* Operators whose result is as small as the sizes that go in. */
static bool stays_small(uint16_t kind)
{
    switch (kind) {
    case OP_Slice:
    case OP_Gather:
    case OP_Squeeze:
    case OP_Unsqueeze:
    case OP_Concat:
    case OP_Identity:
    case OP_Cast:
    case OP_CastLike:
    case OP_Sqrt:
    case OP_Reciprocal:
    case OP_Add:
    case OP_Sub:
    case OP_Mul:
    case OP_Div:
    case OP_Pow: return true;
    default: return false;
    }
}

void mark_sizes(infer *x)
{
    enum { FEW = 8, SIZE = 2 };
    const graph *g = x->g;
    for (uint32_t r = 0; r < g->n_regions; r++)
        for (uint32_t i = 0; i < g->regions[r].n_ops; i++) {
            const op *o = &g->ops[g->regions[r].ops[i]];
            bool size = o->kind == OP_Shape || o->kind == OP_Size, others = true;
            uint32_t n_in = op_value_inputs(o);
            for (uint32_t k = 0; k < n_in && !size && others && stays_small(o->kind); k++) {
                uint32_t t = op_in(g, o)[k];
                if (t >= g->n_tensors || g->tensors[t].value_count > FEW) others = false;
                else if (!(x->need[t] & SIZE)) others = g->tensors[t].value != NULL;
                if (o->kind == OP_CastLike && others) size = true; /* a number next to sizes, or a size */
            }
            for (uint32_t k = 0; k < n_in && others && !size && stays_small(o->kind); k++)
                size = x->need[op_in(g, o)[k]] & SIZE;
            for (uint32_t k = 0; k < o->n_out && size && others; k++)
                if (op_out(g, o)[k] < g->n_tensors) x->need[op_out(g, o)[k]] |= SIZE;
        }
}

void fold_op(infer *x, const op *o)
{
    fold_fn fn = folds[o->kind];
    if (fn) fn(x, o);
}

num *fold_room(infer *x, const op *o, uint32_t i, uint32_t *count)
{
    const tensor_shape *out = out_at(x, o, i);
    int64_t n = out ? count_upto(out, FOLD_MAX) : -1;
    if (n < 0) return NULL;
    *count = (uint32_t)n;
    return arena_alloc(x->a, (size_t)n * sizeof(num));
}

void fold_set(infer *x, const op *o, uint32_t i, num *value, uint32_t count)
{
    tensor_shape *out = out_at(x, o, i);
    out->value = value;
    out->value_count = count;
}

void fold_strides(const tensor_shape *t, int rank, int64_t *strides)
{
    int64_t step = 1;
    for (int i = rank - 1; i >= 0; i--) {
        int k = i - (rank - t->rank);
        int64_t dim = k >= 0 ? t->dims[k].v.i : 1;
        strides[i] = dim == 1 ? 0 : step;
        step *= dim;
    }
}
