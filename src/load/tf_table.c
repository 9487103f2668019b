/* Which operator becomes which of ops.def. */
#include "load/tf_internal.h"

/* ---- operators that need no more than a row ---- */

static pg_code plain(tf_reader *r, tf_node *n, int kind)
{
    uint32_t in[16], count = n->n_in < 16 ? n->n_in : 16;
    for (uint32_t i = 0; i < count; i++) in[i] = tf_input_tensor(r, i);
    return tf_op(r, (op_kind)kind, in, count, 1) ? PG_E_OK : tf_nomem(r);
}

/* Only the first input is data. */
static pg_code first(tf_reader *r, tf_node *n, int kind)
{
    uint32_t in = tf_input_tensor(r, 0);
    (void)n;
    return tf_op(r, (op_kind)kind, &in, 1, 1) ? PG_E_OK : tf_nomem(r);
}

static pg_code square(tf_reader *r, tf_node *n, int kind)
{
    uint32_t in[2] = {tf_input_tensor(r, 0), tf_input_tensor(r, 0)};
    (void)n;
    return tf_op(r, (op_kind)kind, in, 2, 1) ? PG_E_OK : tf_nomem(r);
}

/* x, scale, offset */
static pg_code scale(tf_reader *r, tf_node *n, int kind)
{
    uint32_t in[5] = {tf_input_tensor(r, 0), tf_input_tensor(r, 1), tf_input_tensor(r, 2), NO_TENSOR, NO_TENSOR};
    (void)n;
    if (!tf_op(r, (op_kind)kind, in, 5, 1)) return tf_nomem(r);
    tf_last(r)->flags |= OPF_CHANNELS_LAST;
    return PG_E_OK;
}

static pg_code constant(tf_reader *r, tf_node *n, int arg)
{
    (void)n;
    return arg ? tf_emit_variable(r, r->at) : tf_emit_const(r, r->at);
}

static pg_code unknown(tf_reader *r, tf_node *n, int arg)
{
    (void)n;
    (void)arg;
    return tf_unknown(r);
}

typedef struct row {
    const char *op;
    tf_fn fn;
    int arg;
    uint8_t least; /* inputs */
} row;

static const row rows[] = {
    {"?", unknown, 0, 0}, /* what no other row has */
    {"Const", constant, 0, 0},
    {"VarHandleOp", constant, 1, 0},
    {"VariableV2", constant, 1, 0},
    {"Variable", constant, 1, 0},
    {"AutoReloadVariable", constant, 1, 0},
    {"TemporaryVariable", constant, 1, 0},
    /* one input */
    {"Abs", plain, OP_Abs, 1},
    {"Acos", plain, OP_Acos, 1},
    {"Acosh", plain, OP_Acosh, 1},
    {"Asin", plain, OP_Asin, 1},
    {"Asinh", plain, OP_Asinh, 1},
    {"Atan", plain, OP_Atan, 1},
    {"Atanh", plain, OP_Atanh, 1},
    {"Ceil", plain, OP_Ceil, 1},
    {"Cos", plain, OP_Cos, 1},
    {"Cosh", plain, OP_Cosh, 1},
    {"Elu", plain, OP_Elu, 1},
    {"Erf", plain, OP_Erf, 1},
    {"Erfc", plain, OP_Erf, 1},
    {"Exp", plain, OP_Exp, 1},
    {"Expm1", plain, OP_Exp, 1},
    {"Floor", plain, OP_Floor, 1},
    {"Gelu", plain, OP_Gelu, 1},
    {"Inv", plain, OP_Reciprocal, 1},
    {"Invert", plain, OP_BitwiseNot, 1},
    {"IsFinite", plain, OP_IsInf, 1},
    {"IsInf", plain, OP_IsInf, 1},
    {"IsNan", plain, OP_IsNaN, 1},
    {"Log", plain, OP_Log, 1},
    {"Log1p", plain, OP_Log, 1},
    {"LogicalNot", plain, OP_Not, 1},
    {"Neg", plain, OP_Neg, 1},
    {"Reciprocal", plain, OP_Reciprocal, 1},
    {"Relu", plain, OP_Relu, 1},
    {"Rint", plain, OP_Round, 1},
    {"Round", plain, OP_Round, 1},
    {"Rsqrt", plain, OP_Rsqrt, 1},
    {"Selu", plain, OP_Selu, 1},
    {"Sigmoid", plain, OP_Sigmoid, 1},
    {"Sign", plain, OP_Sign, 1},
    {"Sin", plain, OP_Sin, 1},
    {"Sinh", plain, OP_Sinh, 1},
    {"Softplus", plain, OP_Softplus, 1},
    {"Softsign", plain, OP_Softsign, 1},
    {"Sqrt", plain, OP_Sqrt, 1},
    {"Tan", plain, OP_Tan, 1},
    {"Tanh", plain, OP_Tanh, 1},
    {"SwishF", plain, OP_Silu, 1},
    {"swish_f32", plain, OP_Silu, 1},
    {"Square", square, OP_Mul, 1},
    {"Relu6", tf_clip, 6, 1},
    {"ReluN1To1", tf_clip, 1, 1},
    {"ClipByValue", plain, OP_Clip, 3},
    {"LeakyRelu", tf_leaky_relu, 0, 1},
    {"Cast", tf_cast, 0, 1},
    {"Bitcast", tf_cast, 1, 1},
    {"Softmax", tf_softmax, OP_Softmax, 1},
    {"LogSoftmax", tf_softmax, OP_LogSoftmax, 1},
    {"LRN", tf_lrn, 0, 1},
    {"L2Normalize", plain, OP_LpNormalization, 1},
    {"Cumsum", tf_cumsum, 0, 2},
    {"Cumprod", tf_cumsum, 0, 2},
    /* two inputs, and more */
    {"Add", plain, OP_Add, 2},
    {"AddN", plain, OP_Sum, 1},
    {"AddV2", plain, OP_Add, 2},
    {"AccumulateNV2", plain, OP_Sum, 1},
    {"Atan2", plain, OP_Atan2, 2},
    {"BitwiseAnd", plain, OP_BitwiseAnd, 2},
    {"BitwiseOr", plain, OP_BitwiseOr, 2},
    {"BitwiseXor", plain, OP_BitwiseXor, 2},
    {"LeftShift", plain, OP_BitShift, 2},
    {"RightShift", plain, OP_BitShift, 2},
    {"Div", plain, OP_Div, 2},
    {"DivNoNan", plain, OP_Div, 2},
    {"Equal", plain, OP_Equal, 2},
    {"FloorDiv", plain, OP_FloorDiv, 2},
    {"FloorMod", plain, OP_Mod, 2},
    {"Greater", plain, OP_Greater, 2},
    {"GreaterEqual", plain, OP_GreaterOrEqual, 2},
    {"Less", plain, OP_Less, 2},
    {"LessEqual", plain, OP_LessOrEqual, 2},
    {"LogicalAnd", plain, OP_And, 2},
    {"LogicalOr", plain, OP_Or, 2},
    {"Maximum", plain, OP_Max, 2},
    {"Minimum", plain, OP_Min, 2},
    {"Mod", plain, OP_Mod, 2},
    {"Mul", plain, OP_Mul, 2},
    {"MulNoNan", plain, OP_Mul, 2},
    {"NotEqual", plain, OP_NotEqual, 2},
    {"Pow", plain, OP_Pow, 2},
    {"RealDiv", plain, OP_Div, 2},
    {"SquaredDifference", plain, OP_SquaredDifference, 2},
    {"Sub", plain, OP_Sub, 2},
    {"TruncateDiv", plain, OP_Div, 2},
    {"TruncateMod", plain, OP_Mod, 2},
    {"Xdivy", plain, OP_Div, 2},
    {"Xlogy", plain, OP_Mul, 2},
    {"Select", tf_where, 1, 3},
    {"SelectV2", plain, OP_Where, 3},
    {"Where", tf_where, 0, 1},
    /* products */
    {"MatMul", tf_matmul, 0, 2},
    {"BatchMatMul", tf_matmul, 1, 2},
    {"BatchMatMulV2", tf_matmul, 1, 2},
    {"BatchMatMulV3", tf_matmul, 1, 2},
    {"_FusedMatMul", tf_matmul, 2, 2},
    {"Einsum", tf_einsum, 0, 1},
    /* images */
    {"Conv2D", tf_conv, 2, 2},
    {"Conv3D", tf_conv, 3, 2},
    {"_FusedConv2D", tf_conv, 2, 2},
    {"DepthwiseConv2dNative", tf_depthwise, 0, 2},
    {"Conv2DBackpropInput", tf_conv_transpose, 2, 3},
    {"Conv3DBackpropInputV2", tf_conv_transpose, 3, 3},
    {"MaxPool", tf_pool, OP_MaxPool, 1},
    {"MaxPoolV2", tf_pool, OP_MaxPool, 1},
    {"MaxPoolWithArgmax", tf_pool, OP_MaxPool, 1},
    {"MaxPool3D", tf_pool, OP_MaxPool, 1},
    {"AvgPool", tf_pool, OP_AveragePool, 1},
    {"AvgPool3D", tf_pool, OP_AveragePool, 1},
    {"BiasAdd", tf_bias_add, 0, 2},
    {"BiasAddV1", tf_bias_add, 0, 2},
    {"FusedBatchNorm", tf_batch_norm, 0, 5},
    {"FusedBatchNormV2", tf_batch_norm, 0, 5},
    {"FusedBatchNormV3", tf_batch_norm, 0, 5},
    {"_BatchNorm", tf_batch_norm, 1, 5},
    {"_Scale", scale, OP_BatchNormalization, 3},
    {"_LayerNorm", tf_batch_norm, 2, 3},
    {"ResizeBilinear", tf_resize, 0, 2},
    {"ResizeNearestNeighbor", tf_resize, 1, 2},
    {"ResizeBicubic", tf_resize, 2, 2},
    {"ResizeArea", tf_resize, 0, 2},
    {"ScaleAndTranslate", tf_resize, 0, 2},
    {"DepthToSpace", tf_blocks, OP_DepthToSpace, 1},
    {"SpaceToDepth", tf_blocks, OP_SpaceToDepth, 1},
    {"CropAndResize", tf_crop_and_resize, 0, 4},
    {"NonMaxSuppression", tf_suppress, 0, 3},
    {"NonMaxSuppressionV2", tf_suppress, 0, 3},
    {"NonMaxSuppressionV3", tf_suppress, 0, 3},
    {"NonMaxSuppressionV4", tf_suppress, 0, 3},
    {"NonMaxSuppressionV5", tf_suppress, 0, 3},
    {"CombinedNonMaxSuppression", tf_combined_suppress, 0, 3},
    /* reductions */
    {"Sum", tf_reduce, OP_ReduceSum, 2},
    {"Mean", tf_reduce, OP_ReduceMean, 2},
    {"Max", tf_reduce, OP_ReduceMax, 2},
    {"Min", tf_reduce, OP_ReduceMin, 2},
    {"Prod", tf_reduce, OP_ReduceProd, 2},
    {"Any", tf_reduce, OP_ReduceAny, 2},
    {"All", tf_reduce, OP_ReduceAll, 2},
    {"EuclideanNorm", tf_reduce, OP_ReduceL2, 2},
    {"ArgMax", tf_arg_reduce, OP_ArgMax, 1},
    {"ArgMin", tf_arg_reduce, OP_ArgMin, 1},
    {"TopK", tf_top_k, 0, 1},
    {"TopKV2", tf_top_k, 0, 2},
    /* moves */
    {"Reshape", tf_reshape, 0, 2},
    {"BroadcastTo", plain, OP_Expand, 2},
    {"Tile", plain, OP_Tile, 2},
    {"Squeeze", tf_squeeze, 0, 1},
    {"ExpandDims", tf_expand_dims, 0, 2},
    {"Transpose", tf_transpose, 0, 2},
    {"ConjugateTranspose", tf_transpose, 0, 2},
    {"StridedSlice", tf_strided_slice, 0, 4},
    {"Slice", tf_slice, 0, 3},
    {"Concat", tf_concat, 0, 2},
    {"ConcatV2", tf_concat, 1, 2},
    {"Pack", tf_pack, 0, 1},
    {"Unpack", tf_unpack, 0, 1},
    {"Split", tf_split, 0, 2},
    {"SplitV", tf_split, 1, 3},
    {"Pad", tf_pad, 0, 2},
    {"PadV2", tf_pad, 0, 2},
    {"MirrorPad", tf_pad, 1, 2},
    {"Gather", tf_gather, 0, 2},
    {"GatherV2", tf_gather, 1, 2},
    {"ResourceGather", tf_gather, 0, 2},
    {"GatherNd", tf_gather_nd, 0, 2},
    {"ResourceGatherNd", tf_gather_nd, 0, 2},
    {"ScatterNd", tf_scatter, 0, 3},
    {"TensorScatterUpdate", tf_scatter, 1, 3},
    {"TensorScatterAdd", tf_scatter, 1, 3},
    {"Reverse", first, OP_Reverse, 1},
    {"ReverseV2", first, OP_Reverse, 1},
    {"ReverseSequence", tf_reverse, 0, 2},
    {"MatrixBandPart", first, OP_Trilu, 1},
    {"Roll", first, OP_Roll, 1},
    {"OneHot", tf_one_hot, 0, 4},
    /* made */
    {"Fill", tf_fill, 0, 2},
    {"ZerosLike", tf_zeros_like, 0, 1},
    {"OnesLike", tf_zeros_like, 1, 1},
    {"Range", plain, OP_Range, 3},
    {"Shape", plain, OP_Shape, 1},
    {"ShapeN", tf_shape_n, 0, 1},
    {"Size", plain, OP_Size, 1},
    {"Rank", tf_rank, 0, 1},
    {"RandomUniform", tf_random, OP_RandomUniformLike, 1},
    {"RandomStandardNormal", tf_random, OP_RandomNormalLike, 1},
    {"TruncatedNormal", tf_random, OP_RandomNormalLike, 1},
    {"StatelessRandomUniform", tf_random, OP_RandomUniformLike, 1},
    {"StatelessRandomUniformV2", tf_random, OP_RandomUniformLike, 1},
    {"StatelessRandomNormal", tf_random, OP_RandomNormalLike, 1},
    {"StatelessRandomNormalV2", tf_random, OP_RandomNormalLike, 1},
    /* quantisation */
    {"FakeQuantWithMinMaxArgs", tf_fake_quant, 0, 1},
    {"FakeQuantWithMinMaxVars", tf_fake_quant, 0, 3},
    {"FakeQuantWithMinMaxVarsPerChannel", tf_fake_quant, 0, 3},
    {"QuantizeAndDequantizeV2", tf_fake_quant, 0, 1},
    {"QuantizeAndDequantizeV3", tf_fake_quant, 0, 1},
    {"QuantizeAndDequantizeV4", tf_fake_quant, 0, 1},
    /* lists of tensors are the stacked tensor */
    {"TensorArrayScatterV3", tf_list_from, 2, 4},
    {"TensorArrayUnpack", tf_list_from, 1, 2},
    {"TensorArraySplitV3", tf_list_from, 1, 4},
    {"TensorArrayGatherV3", tf_list_from, 2, 3},
    {"TensorArrayConcatV3", tf_list_from, 1, 2},
    {"TensorArrayReadV3", tf_list_item, 2, 3},
    {"TensorListFromTensor", tf_list_from, 0, 1},
    {"TensorListScatter", tf_list_from, 0, 1},
    {"TensorListScatterV2", tf_list_from, 0, 1},
    {"TensorListScatterIntoExistingList", tf_list_from, 1, 2},
    {"TensorListStack", tf_list_from, 0, 1},
    {"TensorListGather", tf_list_from, 0, 1},
    {"TensorListConcatV2", tf_list_from, 0, 1},
    {"TensorListGetItem", tf_list_item, 0, 2},
    {"TensorListLength", tf_list_size, 0, 1},
    {"TensorArraySizeV3", tf_list_size, 1, 2},
    {"TensorArrayV3", tf_list_none, 1, 0},
    {"TensorListReserve", tf_list_none, 0, 0},
    {"EmptyTensorList", tf_list_none, 0, 0},
    /* recurrent */
    {"BlockLSTM", tf_block_lstm, 0, 5},
    {"BlockLSTMV2", tf_block_lstm, 0, 5},
};

enum { ROWS = sizeof rows / sizeof rows[0] };

/* Files use few operators many times: each name is looked up once. */
static const row *find_row(tf_reader *r, str type)
{
    bool added;
    uint32_t *slot = map_add(&r->kinds, type, 0, &added);
    if (!slot) return NULL;
    for (uint32_t i = 1; added && i < ROWS; i++)
        if (str_is(type, rows[i].op)) {
            *slot = i;
            break;
        }
    return &rows[*slot];
}

pg_code tf_emit_node(tf_reader *r, uint32_t node)
{
    tf_node n = *tf_at(r, node); /* a copy: emitting may move the nodes */
    const row *found = find_row(r, n.op);
    if (!found) return tf_nomem(r);
    if (n.n_in < found->least)
        return tf_fail(r, &n, "it has %u input%s but needs %u; the file is damaged", n.n_in, n.n_in == 1 ? "" : "s",
                       (unsigned)found->least);
    return found->fn(r, &n, found->arg);
}

/* What trains a model, saves it, or tells what happens: no part of what it computes. */
bool tf_is_training(str type)
{
    static const char *const prefixes[] = {"Apply",
                                           "ResourceApply",
                                           "SparseApply",
                                           "ResourceSparseApply",
                                           "Assign",
                                           "Save",
                                           "Restore",
                                           "Merge_V2",
                                           "MergeV2Checkpoints",
                                           "Summary",
                                           "InitializeTable",
                                           "ShardedFilename",
                                           "Queue",
                                           "VarIsInitialized",
                                           "Print"};
    static const char *const suffixes[] = {"Summary",  "SummaryV2",       "Grad", "GradV2", "GradV3",
                                           "Backprop", "SymbolicGradient"};
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
        if (str_starts(type, prefixes[i])) return true;
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++)
        if (str_ends(type, suffixes[i])) return true;
    return str_is(type, "NoOp") || str_is(type, "Assert") || str_is(type, "IsVariableInitialized") ||
           str_is(type, "ScatterUpdate") || str_is(type, "MergeSummary");
}
