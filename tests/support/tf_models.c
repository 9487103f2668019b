#include "support/tf_models.h"

#include <stdbool.h>
#include <stdio.h>

#define NONE       \
    {              \
        NULL, 0, 0 \
    }

/* ---- dense ---- */

/* Two dense layers as a frozen graph of version 1 has them: constants read through Identity. */
static proto build_mlp(void)
{
    proto g = NONE;
    tf_placeholder(&g, "x", TF_FLOAT, "? 64");
    tf_weight(&g, "dense/kernel", "64 32");
    tf_node(&g, "Identity", "dense/kernel/read", "dense/kernel", NULL);
    tf_weight(&g, "dense/bias", "32");
    tf_node(&g, "Identity", "dense/bias/read", "dense/bias", NULL);
    tf_node(&g, "MatMul", "dense/MatMul", "x dense/kernel/read", NULL);
    tf_node(&g, "BiasAdd", "dense/BiasAdd", "dense/MatMul dense/bias/read", NULL);
    tf_node(&g, "Relu", "dense/Relu", "dense/BiasAdd", NULL);
    tf_weight(&g, "out/kernel", "10 32");
    tf_node(&g, "Identity", "out/kernel/read", "out/kernel", NULL);
    proto turned = NONE;
    tf_attr_bool(&turned, "transpose_b", 1);
    tf_node(&g, "MatMul", "out/MatMul", "dense/Relu out/kernel/read ^dense/BiasAdd", &turned);
    tf_node(&g, "Softmax", "probabilities", "out/MatMul", NULL);
    tf_node(&g, "NoOp", "nothing", "^probabilities", NULL);
    return g;
}

/* ---- images ---- */

static void conv(proto *g, const char *op, const char *name, const char *in, const char *filter, int stride)
{
    char kernel[64], inputs[160], strides[32];
    proto a = NONE;
    snprintf(kernel, sizeof kernel, "%s/kernel", name);
    snprintf(inputs, sizeof inputs, "%s %s", in, kernel);
    snprintf(strides, sizeof strides, "1 %d %d 1", stride, stride);
    tf_weight(g, kernel, filter);
    tf_attr_ints(&a, "strides", strides);
    tf_attr_text(&a, "padding", "SAME");
    tf_attr_text(&a, "data_format", "NHWC");
    tf_node(g, op, name, inputs, &a);
}

static void batch_norm(proto *g, const char *name, const char *in, const char *channels)
{
    static const char *const parts[] = {"gamma", "beta", "mean", "variance"};
    char inputs[320], part[64];
    int n = snprintf(inputs, sizeof inputs, "%s", in);
    for (int i = 0; i < 4; i++) {
        snprintf(part, sizeof part, "%s/%s", name, parts[i]);
        tf_weight(g, part, channels);
        n += snprintf(inputs + n, sizeof inputs - (size_t)n, " %s", part);
    }
    proto a = NONE;
    tf_attr_bool(&a, "is_training", 0);
    tf_attr_float(&a, "epsilon", 0.001f);
    tf_node(g, "FusedBatchNormV3", name, inputs, &a);
}

/* The start of MobileNet: a convolution, one in depth and one of points, each normalised; mean, dense. */
static proto build_mobile(void)
{
    proto g = NONE, a = NONE;
    tf_placeholder(&g, "image", TF_FLOAT, "? 96 96 3");
    conv(&g, "Conv2D", "conv", "image", "3 3 3 16", 2);
    batch_norm(&g, "conv/bn", "conv", "16");
    tf_node(&g, "Relu6", "conv/relu", "conv/bn", NULL);
    conv(&g, "DepthwiseConv2dNative", "dw", "conv/relu", "3 3 16 1", 1);
    batch_norm(&g, "dw/bn", "dw", "16");
    tf_node(&g, "Relu6", "dw/relu", "dw/bn", NULL);
    conv(&g, "Conv2D", "pw", "dw/relu", "1 1 16 32", 1);
    tf_weight(&g, "pw/bias", "32");
    tf_node(&g, "BiasAdd", "pw/biased", "pw pw/bias", NULL);
    tf_node(&g, "Relu", "pw/relu", "pw/biased", NULL);
    tf_ints(&g, "axes", "2", "1 2");
    tf_attr_bool(&a, "keep_dims", 0);
    tf_node(&g, "Mean", "pool", "pw/relu axes", &a);
    tf_weight(&g, "logits/kernel", "32 10");
    tf_weight(&g, "logits/bias", "10");
    tf_node(&g, "MatMul", "logits/MatMul", "pool logits/kernel", NULL);
    tf_node(&g, "BiasAdd", "logits", "logits/MatMul logits/bias", NULL);
    return g;
}

/* A dilated convolution as version 1 writes it, its normalisation spelled out, pools, a resize. */
static proto build_dilated(void)
{
    proto g = NONE, a = NONE;
    tf_placeholder(&g, "image", TF_FLOAT, "1 32 32 8");
    tf_ints(&g, "block", "2", "2 2");
    tf_ints(&g, "pads", "2 2", "2 2 2 2");
    tf_ints(&g, "crops", "2 2", "0 0 0 0");
    tf_node(&g, "SpaceToBatchND", "to_batch", "image block pads", NULL);
    tf_weight(&g, "kernel", "3 3 8 16");
    tf_attr_ints(&a, "strides", "1 1 1 1");
    tf_attr_text(&a, "padding", "VALID");
    tf_node(&g, "Conv2D", "conv", "to_batch kernel", &a);
    tf_node(&g, "BatchToSpaceND", "to_space", "conv block crops", NULL);
    tf_weight(&g, "gamma", "16");
    tf_weight(&g, "beta", "16");
    tf_weight(&g, "mean", "16");
    tf_weight(&g, "variance", "16");
    tf_const_in(&g, 1, "epsilon", TF_FLOAT, "", "0.001");
    tf_node(&g, "AddV2", "bn/add", "variance epsilon", NULL);
    tf_node(&g, "Rsqrt", "bn/Rsqrt", "bn/add", NULL);
    tf_node(&g, "Mul", "bn/mul", "bn/Rsqrt gamma", NULL);
    tf_node(&g, "Mul", "bn/mul_1", "to_space bn/mul", NULL);
    tf_node(&g, "Mul", "bn/mul_2", "mean bn/mul", NULL);
    tf_node(&g, "Sub", "bn/sub", "beta bn/mul_2", NULL);
    tf_node(&g, "AddV2", "bn/add_1", "bn/mul_1 bn/sub", NULL);
    tf_attr_ints(&a, "ksize", "1 2 2 1");
    tf_attr_ints(&a, "strides", "1 2 2 1");
    tf_attr_text(&a, "padding", "VALID");
    tf_node(&g, "MaxPool", "pool", "bn/add_1", &a);
    tf_ints(&g, "size", "2", "32 32");
    tf_node(&g, "ResizeBilinear", "large", "pool size", NULL);
    return g;
}

/* ---- conditionals ---- */

/* Dropout in a tf.cond of version 1 that a constant decides, and a normalisation that a switch for training decides. */
static proto build_conditional(void)
{
    proto g = NONE;
    tf_placeholder(&g, "x", TF_FLOAT, "? 16");
    tf_placeholder(&g, "is_training", TF_BOOL, "");
    tf_node(&g, "Switch", "cond/Switch", "is_training is_training", NULL);
    tf_node(&g, "Identity", "cond/switch_t", "cond/Switch:1", NULL);
    tf_node(&g, "Switch", "cond/x", "x is_training", NULL);
    tf_const_in(&g, 1, "cond/rate", TF_FLOAT, "", "0.5");
    tf_node(&g, "Mul", "cond/dropped", "cond/x:1 cond/rate", NULL);
    tf_node(&g, "Exp", "cond/kept", "cond/x", NULL);
    tf_node(&g, "Merge", "cond/Merge", "cond/kept cond/dropped", NULL);
    tf_weight(&g, "w", "16 4");
    tf_node(&g, "MatMul", "y", "cond/Merge w", NULL);
    return g;
}

/* If of version 2, which data decides: both branches are functions. */
static proto build_branches(void)
{
    proto g = NONE, library = NONE, body = NONE, a = NONE, signatures = NONE, s = NONE;
    tf_node_in(&body, 3, "Relu", "relu", "x", NULL);
    tf_function(&library, "yes", "x w", "y=relu:activations:0", &body);
    tf_node_in(&body, 3, "MatMul", "product", "x w", NULL);
    tf_function(&library, "no", "x w", "y=product:product:0", &body);
    tf_placeholder(&g, "x", TF_FLOAT, "? 8");
    tf_placeholder(&g, "choose", TF_BOOL, "");
    tf_variable(&g, "VarHandleOp", "w", "8 8");
    tf_node(&g, "ReadVariableOp", "w/read", "w", NULL);
    tf_attr_function(&a, "then_branch", "yes");
    tf_attr_function(&a, "else_branch", "no");
    tf_node(&g, "If", "branch", "choose x w/read", &a);
    proto_message(&g, 2, &library);
    tf_signature_entry(&s, 1, "x", "x:0", TF_FLOAT, "? 8");
    tf_signature_entry(&s, 1, "choose", "choose:0", TF_BOOL, "");
    tf_signature_entry(&s, 2, "y", "branch:0", TF_FLOAT, "? 8");
    tf_signature(&signatures, "serving_default", &s);
    return tf_saved_model(&g, &signatures);
}

/* ---- functions ---- */

/* What Keras saves: a signature calls a function that calls another, with variables as arguments. */
static proto build_functions(void)
{
    proto g = NONE, library = NONE, body = NONE, a = NONE, signatures = NONE, s = NONE;
    tf_node_in(&body, 3, "ReadVariableOp", "kernel/Read", "kernel", NULL);
    tf_node_in(&body, 3, "MatMul", "dense/MatMul", "inputs kernel/Read:value:0", NULL);
    tf_node_in(&body, 3, "ReadVariableOp", "bias/Read", "bias", NULL);
    tf_node_in(&body, 3, "BiasAdd", "dense/BiasAdd", "dense/MatMul:product:0 bias/Read:value:0", NULL);
    tf_node_in(&body, 3, "Relu", "dense/Relu", "dense/BiasAdd:output:0", NULL);
    tf_node_in(&body, 3, "Identity", "Identity", "dense/Relu:activations:0 ^kernel/Read", NULL);
    tf_function(&library, "dense", "inputs kernel bias", "identity=Identity:output:0", &body);
    tf_attr_function(&a, "f", "dense");
    tf_node_in(&body, 3, "StatefulPartitionedCall", "first", "x k1 b1", &a);
    tf_attr_function(&a, "f", "dense");
    tf_node_in(&body, 3, "StatefulPartitionedCall", "second", "first:output:0 k2 b2", &a);
    tf_function(&library, "model", "x k1 b1 k2 b2", "y=second:output:0 hidden=first:output:0", &body);
    tf_placeholder(&g, "serving_default_x", TF_FLOAT, "? 32");
    tf_variable(&g, "VarHandleOp", "k1", "32 64");
    tf_variable(&g, "VarHandleOp", "b1", "64");
    tf_variable(&g, "VarHandleOp", "k2", "64 16");
    tf_variable(&g, "VarHandleOp", "b2", "16");
    tf_attr_function(&a, "f", "model");
    tf_node(&g, "StatefulPartitionedCall", "call", "serving_default_x k1 b1 k2 b2", &a);
    proto_message(&g, 2, &library);
    tf_signature_entry(&s, 1, "x", "serving_default_x:0", TF_FLOAT, "? 32");
    tf_signature_entry(&s, 2, "y", "call:0", TF_FLOAT, "? 16");
    tf_signature(&signatures, "serving_default", &s);
    tf_signature_entry(&s, 1, "x", "serving_default_x:0", TF_FLOAT, "? 32");
    tf_signature_entry(&s, 2, "hidden", "call:1", TF_FLOAT, "? 64");
    tf_signature(&signatures, "features", &s);
    return tf_saved_model(&g, &signatures);
}

/* ---- recurrent ---- */

/* An LSTM of Keras: While with the lists of version 2. */
static proto build_keras_lstm(void)
{
    proto g = NONE, library = NONE, b = NONE, a = NONE, signatures = NONE, s = NONE;
    const char *args = "time steps out h c xs kernel recurrent bias";
    tf_node_in(&b, 3, "Less", "Less", "time steps", NULL);
    tf_function(&library, "lstm_cond", args, "go=Less:z:0", &b);
    tf_const_in(&b, 3, "shape", TF_INT32, "2", "-1 24");
    tf_node_in(&b, 3, "TensorListGetItem", "x", "xs time shape:output:0", NULL);
    tf_node_in(&b, 3, "ReadVariableOp", "k", "kernel", NULL);
    tf_node_in(&b, 3, "ReadVariableOp", "r", "recurrent", NULL);
    tf_node_in(&b, 3, "ReadVariableOp", "bias/r", "bias", NULL);
    tf_node_in(&b, 3, "MatMul", "xk", "x:item:0 k:value:0", NULL);
    tf_node_in(&b, 3, "MatMul", "hr", "h r:value:0", NULL);
    tf_node_in(&b, 3, "AddV2", "z0", "xk:product:0 hr:product:0", NULL);
    tf_node_in(&b, 3, "BiasAdd", "z", "z0:z:0 bias/r:value:0", NULL);
    tf_const_in(&b, 3, "axis", TF_INT32, "", "1");
    tf_attr_int(&a, "num_split", 4);
    tf_node_in(&b, 3, "Split", "gates", "axis:output:0 z:output:0", &a);
    tf_node_in(&b, 3, "Sigmoid", "i", "gates:output:0", NULL);
    tf_node_in(&b, 3, "Sigmoid", "f", "gates:output:1", NULL);
    tf_node_in(&b, 3, "Tanh", "g", "gates:output:2", NULL);
    tf_node_in(&b, 3, "Sigmoid", "o", "gates:output:3", NULL);
    tf_node_in(&b, 3, "Mul", "fc", "f:y:0 c", NULL);
    tf_node_in(&b, 3, "Mul", "ig", "i:y:0 g:y:0", NULL);
    tf_node_in(&b, 3, "AddV2", "c1", "fc:z:0 ig:z:0", NULL);
    tf_node_in(&b, 3, "Tanh", "tc", "c1:z:0", NULL);
    tf_node_in(&b, 3, "Mul", "h1", "o:y:0 tc:y:0", NULL);
    tf_node_in(&b, 3, "TensorListSetItem", "out1", "out time h1:z:0", NULL);
    tf_const_in(&b, 3, "one", TF_INT32, "", "1");
    tf_node_in(&b, 3, "AddV2", "time1", "time one:output:0", NULL);
    tf_node_in(&b, 3, "Identity", "steps1", "steps", NULL);
    tf_function(
        &library, "lstm_body", args,
        "a=time1:z:0 b=steps1:output:0 c0=out1:output_handle:0 d=h1:z:0 e=c1:z:0 f0=xs g0=kernel h0=recurrent i0=bias",
        &b);
    tf_placeholder(&g, "x", TF_FLOAT, "? 20 24");
    tf_ints(&g, "perm", "3", "1 0 2");
    tf_node(&g, "Transpose", "time_major", "x perm", NULL);
    tf_node(&g, "Shape", "shape", "time_major", NULL);
    tf_ints(&g, "zero1", "1", "0");
    tf_ints(&g, "one1", "1", "1");
    tf_ints(&g, "two1", "1", "2");
    tf_attr_int(&a, "shrink_axis_mask", 1);
    tf_node(&g, "StridedSlice", "steps", "shape zero1 one1 one1", &a);
    tf_attr_int(&a, "shrink_axis_mask", 1);
    tf_node(&g, "StridedSlice", "batch", "shape one1 two1 one1", &a);
    tf_ints(&g, "hidden", "", "48");
    tf_node(&g, "Pack", "state_shape", "batch hidden", NULL);
    tf_const_in(&g, 1, "zero", TF_FLOAT, "", "0");
    tf_node(&g, "Fill", "h0", "state_shape zero", NULL);
    tf_node(&g, "Fill", "c0", "state_shape zero", NULL);
    tf_ints(&g, "element", "2", "-1 24");
    tf_node(&g, "TensorListFromTensor", "xs", "time_major element", NULL);
    tf_node(&g, "TensorListReserve", "out", "element steps", NULL);
    tf_ints(&g, "start", "", "0");
    tf_variable(&g, "VarHandleOp", "lstm/kernel", "24 192");
    tf_variable(&g, "VarHandleOp", "lstm/recurrent_kernel", "48 192");
    tf_variable(&g, "VarHandleOp", "lstm/bias", "192");
    tf_attr_function(&a, "cond", "lstm_cond");
    tf_attr_function(&a, "body", "lstm_body");
    tf_node(&g, "While", "lstm", "start steps out h0 c0 xs lstm/kernel lstm/recurrent_kernel lstm/bias", &a);
    tf_node(&g, "TensorListStack", "stacked", "lstm:2 element", NULL);
    tf_node(&g, "Transpose", "all", "stacked perm", NULL);
    proto_message(&g, 2, &library);
    tf_signature_entry(&s, 1, "x", "x:0", TF_FLOAT, "? 20 24");
    tf_signature_entry(&s, 2, "all", "all:0", TF_FLOAT, "? 20 48");
    tf_signature_entry(&s, 2, "last", "lstm:3", TF_FLOAT, "? 48");
    tf_signature(&signatures, "serving_default", &s);
    return tf_saved_model(&g, &signatures);
}

/* A GRU of Keras, whose reset gate works on the product: its two biases are the rows of one variable. */
static proto build_keras_gru(void)
{
    proto g = NONE, library = NONE, b = NONE, a = NONE, signatures = NONE, s = NONE;
    const char *args = "time steps out h xs kernel recurrent bias_x bias_h";
    tf_node_in(&b, 3, "Less", "Less", "time steps", NULL);
    tf_function(&library, "gru_cond", args, "go=Less:z:0", &b);
    tf_const_in(&b, 3, "shape", TF_INT32, "2", "-1 10");
    tf_node_in(&b, 3, "TensorListGetItem", "x", "xs time shape:output:0", NULL);
    tf_node_in(&b, 3, "MatMul", "xk", "x:item:0 kernel", NULL);
    tf_node_in(&b, 3, "BiasAdd", "xb", "xk:product:0 bias_x", NULL);
    tf_node_in(&b, 3, "MatMul", "hr", "h recurrent", NULL);
    tf_node_in(&b, 3, "BiasAdd", "hb", "hr:product:0 bias_h", NULL);
    tf_const_in(&b, 3, "axis", TF_INT32, "", "-1");
    tf_attr_int(&a, "num_split", 3);
    tf_node_in(&b, 3, "Split", "gx", "axis:output:0 xb:output:0", &a);
    tf_attr_int(&a, "num_split", 3);
    tf_node_in(&b, 3, "Split", "gh", "axis:output:0 hb:output:0", &a);
    tf_node_in(&b, 3, "AddV2", "z0", "gx:output:0 gh:output:0", NULL);
    tf_node_in(&b, 3, "Sigmoid", "z", "z0:z:0", NULL);
    tf_node_in(&b, 3, "AddV2", "r0", "gx:output:1 gh:output:1", NULL);
    tf_node_in(&b, 3, "Sigmoid", "r", "r0:z:0", NULL);
    tf_node_in(&b, 3, "Mul", "rh", "r:y:0 gh:output:2", NULL);
    tf_node_in(&b, 3, "AddV2", "c0", "gx:output:2 rh:z:0", NULL);
    tf_node_in(&b, 3, "Tanh", "c", "c0:z:0", NULL);
    tf_node_in(&b, 3, "Mul", "zh", "z:y:0 h", NULL);
    tf_const_in(&b, 3, "one_f", TF_FLOAT, "", "1");
    tf_node_in(&b, 3, "Sub", "rest", "one_f:output:0 z:y:0", NULL);
    tf_node_in(&b, 3, "Mul", "zc", "rest:z:0 c:y:0", NULL);
    tf_node_in(&b, 3, "AddV2", "h1", "zh:z:0 zc:z:0", NULL);
    tf_node_in(&b, 3, "TensorListSetItem", "out1", "out time h1:z:0", NULL);
    tf_const_in(&b, 3, "one", TF_INT32, "", "1");
    tf_node_in(&b, 3, "AddV2", "time1", "time one:output:0", NULL);
    tf_function(&library, "gru_body", args,
                "a=time1:z:0 b=steps c0=out1:output_handle:0 d=h1:z:0 e=xs f0=kernel g0=recurrent h0=bias_x i0=bias_h",
                &b);
    tf_placeholder(&g, "x", TF_FLOAT, "7 ? 10");
    tf_ints(&g, "steps", "", "7");
    tf_ints(&g, "start", "", "0");
    tf_ints(&g, "element", "2", "-1 10");
    tf_placeholder(&g, "h0", TF_FLOAT, "? 6");
    tf_node(&g, "TensorListFromTensor", "xs", "x element", NULL);
    tf_node(&g, "TensorListReserve", "out", "element steps", NULL);
    tf_variable(&g, "VarHandleOp", "gru/kernel", "10 18");
    tf_variable(&g, "VarHandleOp", "gru/recurrent_kernel", "6 18");
    tf_variable(&g, "VarHandleOp", "gru/bias", "2 18");
    tf_node(&g, "ReadVariableOp", "kernel", "gru/kernel", NULL);
    tf_node(&g, "ReadVariableOp", "recurrent", "gru/recurrent_kernel", NULL);
    tf_node(&g, "ReadVariableOp", "bias", "gru/bias", NULL);
    tf_attr_int(&a, "num", 2);
    tf_node(&g, "Unpack", "rows", "bias", &a);
    tf_attr_function(&a, "cond", "gru_cond");
    tf_attr_function(&a, "body", "gru_body");
    tf_node(&g, "StatelessWhile", "gru", "start steps out h0 xs kernel recurrent rows rows:1", &a);
    tf_node(&g, "TensorListStack", "all", "gru:2 element", NULL);
    proto_message(&g, 2, &library);
    tf_signature_entry(&s, 1, "x", "x:0", TF_FLOAT, "7 ? 10");
    tf_signature_entry(&s, 1, "state", "h0:0", TF_FLOAT, "? 6");
    tf_signature_entry(&s, 2, "all", "all:0", TF_FLOAT, "7 ? 6");
    tf_signature_entry(&s, 2, "last", "gru:3", TF_FLOAT, "? 6");
    tf_signature(&signatures, "serving_default", &s);
    return tf_saved_model(&g, &signatures);
}

static void enter(proto *g, const char *name, const char *in, int constant)
{
    proto a = NONE;
    tf_attr_text(&a, "frame_name", "rnn/while");
    tf_attr_bool(&a, "is_constant", constant);
    tf_node(g, "Enter", name, in, &a);
}

/* The nodes of a value that version 1 carries round. */
static void carry(proto *g, const char *name, const char *start, const char *after)
{
    char n[4][64], in[160];
    static const char *const parts[] = {"enter", "merge", "switch", "next"};
    for (int i = 0; i < 4; i++) snprintf(n[i], sizeof n[i], "%s/%s", name, parts[i]);
    enter(g, n[0], start, 0);
    snprintf(in, sizeof in, "%s %s", n[0], n[3]);
    tf_node(g, "Merge", n[1], in, NULL);
    snprintf(in, sizeof in, "%s go", n[1]);
    tf_node(g, "Switch", n[2], in, NULL);
    tf_node(g, "NextIteration", n[3], after, NULL);
    snprintf(in, sizeof in, "%s/exit", name);
    tf_node(g, "Exit", in, n[2], NULL);
}

/* dynamic_rnn of version 1 over a cell with the joined kernel [in + hidden, 2 hidden], [in + hidden, hidden]: a GRU. */
static proto build_dynamic_gru(void)
{
    proto g = NONE, a = NONE;
    tf_placeholder(&g, "x", TF_FLOAT, "12 ? 10");
    tf_ints(&g, "steps", "", "12");
    tf_ints(&g, "start", "", "0");
    tf_ints(&g, "one", "", "1");
    tf_ints(&g, "axis", "", "1");
    tf_node(&g, "TensorArrayV3", "ta_in", "steps", NULL);
    tf_node(&g, "TensorArrayV3", "ta_out", "steps", NULL);
    tf_node(&g, "Range", "range", "start steps one", NULL);
    tf_node(&g, "TensorArrayScatterV3", "scatter", "ta_in range x ta_in:1", NULL);
    tf_node(&g, "Shape", "shape", "x", NULL);
    tf_ints(&g, "one1", "1", "1");
    tf_ints(&g, "two1", "1", "2");
    tf_attr_int(&a, "shrink_axis_mask", 1);
    tf_node(&g, "StridedSlice", "batch", "shape one1 two1 one1", &a);
    tf_ints(&g, "hidden", "", "6");
    tf_node(&g, "Pack", "state_shape", "batch hidden", NULL);
    tf_const_in(&g, 1, "zero", TF_FLOAT, "", "0");
    tf_node(&g, "Fill", "h0", "state_shape zero", NULL);
    tf_weight(&g, "gates/kernel", "16 12");
    tf_weight(&g, "gates/bias", "12");
    tf_weight(&g, "candidate/kernel", "16 6");
    tf_weight(&g, "candidate/bias", "6");
    enter(&g, "wg", "gates/kernel", 1);
    enter(&g, "bg", "gates/bias", 1);
    enter(&g, "wc", "candidate/kernel", 1);
    enter(&g, "bc", "candidate/bias", 1);
    enter(&g, "limit", "steps", 1);
    enter(&g, "flow_in", "scatter", 1);
    enter(&g, "handle_in", "ta_in", 1);
    enter(&g, "handle_out", "ta_out", 1);
    carry(&g, "time", "start", "time1");
    carry(&g, "flow", "ta_out:1", "written");
    carry(&g, "h", "h0", "h1");
    tf_node(&g, "Less", "less", "time/merge limit", NULL);
    tf_node(&g, "LoopCond", "go", "less", NULL);
    tf_node(&g, "Identity", "time/id", "time/switch:1", NULL);
    tf_node(&g, "Identity", "h/id", "h/switch:1", NULL);
    tf_node(&g, "Identity", "pivot", "time/switch:1", NULL); /* nothing but control inputs read it: no output */
    tf_node(&g, "Add", "time1", "time/id one", NULL);
    tf_node(&g, "TensorArrayReadV3", "read", "handle_in time/id flow_in", NULL);
    tf_node(&g, "ConcatV2", "xh", "read h/id axis", NULL);
    tf_node(&g, "MatMul", "gates/MatMul", "xh wg", NULL);
    tf_node(&g, "BiasAdd", "gates/BiasAdd", "gates/MatMul bg", NULL);
    tf_node(&g, "Sigmoid", "gates", "gates/BiasAdd", NULL);
    tf_attr_int(&a, "num_split", 2);
    tf_node(&g, "Split", "split", "axis gates", &a);
    tf_node(&g, "Mul", "rh", "split h/id", NULL);
    tf_node(&g, "ConcatV2", "xrh", "read rh axis", NULL);
    tf_node(&g, "MatMul", "candidate/MatMul", "xrh wc", NULL);
    tf_node(&g, "BiasAdd", "candidate/BiasAdd", "candidate/MatMul bc", NULL);
    tf_node(&g, "Tanh", "candidate", "candidate/BiasAdd", NULL);
    tf_node(&g, "Mul", "uh", "split:1 h/id", NULL);
    tf_const_in(&g, 1, "one_f", TF_FLOAT, "", "1");
    tf_node(&g, "Sub", "u1", "one_f split:1", NULL);
    tf_node(&g, "Mul", "uc", "u1 candidate", NULL);
    tf_node(&g, "Add", "h1", "uh uc", NULL);
    tf_node(&g, "TensorArrayWriteV3", "written", "handle_out time/id h1 flow/switch:1", NULL);
    tf_node(&g, "TensorArraySizeV3", "size", "ta_out flow/exit", NULL);
    tf_node(&g, "Range", "all", "start size one", NULL);
    tf_node(&g, "TensorArrayGatherV3", "stacked", "ta_out all flow/exit", NULL);
    tf_node(&g, "Identity", "state", "h/exit", NULL);
    return g;
}

/* A layer of BasicLSTMCell within a loop of version 1: [x, h] by one kernel; leaves lN/h1 and lN/c1. */
static void lstm_cell(proto *g, int layer, const char *x, int in, int hidden)
{
    static const char *const nodes[][3] = {{"ConcatV2", "xh", "@ h/id axis"},
                                           {"MatMul", "z0", "xh w"},
                                           {"BiasAdd", "z1", "z0 b"},
                                           {"Split", "z", "axis z1"},
                                           {"Sigmoid", "i", "z"},
                                           {"Tanh", "j", "z:1"},
                                           {"Sigmoid", "f", "z:2"},
                                           {"Sigmoid", "o", "z:3"},
                                           {"Mul", "fc", "c/id f"},
                                           {"Mul", "ij", "i j"},
                                           {"Add", "c1", "fc ij"},
                                           {"Tanh", "tc", "c1"},
                                           {"Mul", "h1", "tc o"},
                                           {"Identity", "h/id", "h/switch:1"},
                                           {"Identity", "c/id", "c/switch:1"}};
    char name[32], text[64], dims[16];
    snprintf(name, sizeof name, "l%d/kernel", layer);
    snprintf(dims, sizeof dims, "%d %d", in + hidden, 4 * hidden);
    tf_weight(g, name, dims);
    snprintf(text, sizeof text, "l%d/w", layer);
    enter(g, text, name, 1);
    snprintf(name, sizeof name, "l%d/bias", layer);
    snprintf(dims, sizeof dims, "%d", 4 * hidden);
    tf_weight(g, name, dims);
    snprintf(text, sizeof text, "l%d/b", layer);
    enter(g, text, name, 1);
    for (const char *p = "hc"; *p; p++) {
        char start[16], value[16], after[16];
        snprintf(start, sizeof start, "l%d/%c0", layer, *p);
        snprintf(dims, sizeof dims, "l%d/size", layer);
        if (*p == 'h') {
            char size[8];
            snprintf(size, sizeof size, "%d", hidden);
            tf_ints(g, dims, "", size);
            snprintf(text, sizeof text, "l%d/shape", layer);
            snprintf(name, sizeof name, "batch %s", dims);
            tf_node(g, "Pack", text, name, NULL);
        }
        snprintf(name, sizeof name, "l%d/shape zero", layer);
        tf_node(g, "Fill", start, name, NULL);
        snprintf(value, sizeof value, "l%d/%c", layer, *p);
        snprintf(after, sizeof after, "l%d/%c1", layer, *p);
        carry(g, value, start, after);
    }
    for (size_t k = 0; k < sizeof nodes / sizeof nodes[0]; k++) {
        proto a = NONE;
        char list[160], word[64];
        const char *rest = nodes[k][2];
        size_t n = 0;
        while (proto_word(&rest, word, sizeof word)) {
            bool other = !strcmp(word, "axis") || !strcmp(word, "@");
            n += (size_t)(other ? snprintf(list + n, sizeof list - n, "%s ", *word == '@' ? x : word)
                                : snprintf(list + n, sizeof list - n, "l%d/%s ", layer, word));
        }
        snprintf(name, sizeof name, "l%d/%s", layer, nodes[k][1]);
        if (!strcmp(nodes[k][0], "Split")) tf_attr_int(&a, "num_split", 4);
        tf_node(g, nodes[k][0], name, list, &a);
    }
}

/* dynamic_rnn over MultiRNNCell. `between`: something stands between the layers that no recurrent layer has. */
static proto multi_lstm(bool between)
{
    proto g = NONE, a = NONE;
    tf_placeholder(&g, "x", TF_FLOAT, "12 ? 10");
    tf_ints(&g, "steps", "", "12");
    tf_ints(&g, "start", "", "0");
    tf_ints(&g, "one", "", "1");
    tf_ints(&g, "axis", "", "1");
    tf_node(&g, "TensorArrayV3", "ta_in", "steps", NULL);
    tf_node(&g, "TensorArrayV3", "ta_out", "steps", NULL);
    tf_node(&g, "Range", "range", "start steps one", NULL);
    tf_node(&g, "TensorArrayScatterV3", "scatter", "ta_in range x ta_in:1", NULL);
    tf_node(&g, "Shape", "shape", "x", NULL);
    tf_ints(&g, "one1", "1", "1");
    tf_ints(&g, "two1", "1", "2");
    tf_attr_int(&a, "shrink_axis_mask", 1);
    tf_node(&g, "StridedSlice", "batch", "shape one1 two1 one1", &a);
    tf_const_in(&g, 1, "zero", TF_FLOAT, "", "0");
    enter(&g, "limit", "steps", 1);
    enter(&g, "flow_in", "scatter", 1);
    enter(&g, "handle_in", "ta_in", 1);
    enter(&g, "handle_out", "ta_out", 1);
    carry(&g, "time", "start", "time1");
    carry(&g, "flow", "ta_out:1", "written");
    tf_node(&g, "Less", "less", "time/merge limit", NULL);
    tf_node(&g, "LoopCond", "go", "less", NULL);
    tf_node(&g, "Identity", "time/id", "time/switch:1", NULL);
    tf_node(&g, "Add", "time1", "time/id one", NULL);
    tf_node(&g, "TensorArrayReadV3", "read", "handle_in time/id flow_in", NULL);
    lstm_cell(&g, 0, "read", 10, 6);
    if (between) tf_node(&g, "Softmax", "between", "l0/h1", NULL);
    lstm_cell(&g, 1, between ? "between" : "l0/h1", 6, 8);
    lstm_cell(&g, 2, "l1/h1", 8, 4);
    tf_node(&g, "TensorArrayWriteV3", "written", "handle_out time/id l2/h1 flow/switch:1", NULL);
    tf_node(&g, "TensorArrayGatherV3", "stacked", "ta_out range flow/exit", NULL);
    tf_node(&g, "Identity", "first", "l0/c/exit", NULL);
    tf_node(&g, "Identity", "last", "l2/h/exit", NULL);
    return g;
}

static proto build_multi_lstm(void)
{
    return multi_lstm(false);
}

static proto build_multi_other(void)
{
    return multi_lstm(true);
}

/* A layer of Keras's GRUCell in a body of version 2, with weights of its own for x and h; leaves hN/1. */
static void gru_cell(proto *b, int layer, const char *x)
{
    static const char *const nodes[][3] = {{"MatMul", "xk", "@ k#"},
                                           {"BiasAdd", "gx", "xk:product:0 bx#"},
                                           {"MatMul", "hr", "h# r#"},
                                           {"BiasAdd", "gh", "hr:product:0 bh#"},
                                           {"Split", "sx", "axis:output:0 gx:output:0"},
                                           {"Split", "sh", "axis:output:0 gh:output:0"},
                                           {"AddV2", "z0", "sx:output:0 sh:output:0"},
                                           {"Sigmoid", "z", "z0:z:0"},
                                           {"AddV2", "reset_sum", "sx:output:1 sh:output:1"},
                                           {"Sigmoid", "reset", "reset_sum:z:0"},
                                           {"Mul", "rh", "reset:y:0 sh:output:2"},
                                           {"AddV2", "c0", "sx:output:2 rh:z:0"},
                                           {"Tanh", "c", "c0:z:0"},
                                           {"Mul", "zh", "z:y:0 h#"},
                                           {"Sub", "rest", "one_f:output:0 z:y:0"},
                                           {"Mul", "zc", "rest:z:0 c:y:0"},
                                           {"AddV2", "new", "zh:z:0 zc:z:0"}};
    for (size_t k = 0; k < sizeof nodes / sizeof nodes[0]; k++) {
        proto a = NONE;
        char list[160], word[64], name[32];
        const char *rest = nodes[k][2];
        size_t n = 0;
        while (proto_word(&rest, word, sizeof word)) {
            size_t end = strlen(word) - 1;
            bool shared = !strncmp(word, "axis", 4) || !strncmp(word, "one_f", 5);
            if (*word == '@') n += (size_t)snprintf(list + n, sizeof list - n, "%s ", x);
            else if (word[end] == '#')
                n += (size_t)snprintf(list + n, sizeof list - n, "%.*s%d ", (int)end, word, layer);
            else if (shared) n += (size_t)snprintf(list + n, sizeof list - n, "%s ", word);
            else { /* a node of this layer: "xk:..." is "xk1:..." */ size_t cut = strcspn(word, ":");
                n += (size_t)snprintf(list + n, sizeof list - n, "%.*s%d%s ", (int)cut, word, layer, word + cut);
            }
        }
        snprintf(name, sizeof name, "%s%d", nodes[k][1], layer);
        if (!strcmp(nodes[k][0], "Split")) tf_attr_int(&a, "num_split", 3);
        tf_node_in(b, 3, nodes[k][0], name, list, &a);
    }
}

/* RNN over StackedRNNCells, two GRU cells, as Keras 2 writes it. */
static proto build_stacked_gru(void)
{
    proto g = NONE, library = NONE, b = NONE, a = NONE, signatures = NONE, s = NONE;
    const char *args = "time steps out h0 h1 xs k0 r0 bx0 bh0 k1 r1 bx1 bh1";
    tf_node_in(&b, 3, "Less", "Less", "time steps", NULL);
    tf_function(&library, "stack_cond", args, "go=Less:z:0", &b);
    tf_const_in(&b, 3, "shape", TF_INT32, "2", "-1 10");
    tf_const_in(&b, 3, "axis", TF_INT32, "", "1");
    tf_const_in(&b, 3, "one", TF_INT32, "", "1");
    tf_const_in(&b, 3, "one_f", TF_FLOAT, "", "1");
    tf_node_in(&b, 3, "TensorListGetItem", "x", "xs time shape:output:0", NULL);
    gru_cell(&b, 0, "x:item:0");
    gru_cell(&b, 1, "new0:z:0");
    tf_node_in(&b, 3, "TensorListSetItem", "out1", "out time new1:z:0", NULL);
    tf_node_in(&b, 3, "AddV2", "time1", "time one:output:0", NULL);
    tf_function(
        &library, "stack_body", args,
        "a=time1:z:0 b=steps c=out1:output_handle:0 d=new0:z:0 e=new1:z:0 f=xs g=k0 h=r0 i=bx0 j=bh0 k=k1 l=r1 m=bx1 "
        "n=bh1",
        &b);
    tf_placeholder(&g, "x", TF_FLOAT, "7 ? 10");
    tf_placeholder(&g, "start0", TF_FLOAT, "? 6");
    tf_placeholder(&g, "start1", TF_FLOAT, "? 5");
    tf_ints(&g, "steps", "", "7");
    tf_ints(&g, "zero", "", "0");
    tf_ints(&g, "element", "2", "-1 10");
    tf_node(&g, "TensorListFromTensor", "xs", "x element", NULL);
    tf_node(&g, "TensorListReserve", "out", "element steps", NULL);
    const char *weights[][2] = {{"wk0", "10 18"}, {"wr0", "6 18"}, {"wbx0", "18"}, {"wbh0", "18"},
                                {"wk1", "6 15"},  {"wr1", "5 15"}, {"wbx1", "15"}, {"wbh1", "15"}};
    for (size_t i = 0; i < sizeof weights / sizeof weights[0]; i++) {
        char handle[16];
        snprintf(handle, sizeof handle, "stack/%s", weights[i][0]);
        tf_variable(&g, "VarHandleOp", handle, weights[i][1]);
        tf_node(&g, "ReadVariableOp", weights[i][0], handle, NULL);
    }
    tf_attr_function(&a, "cond", "stack_cond");
    tf_attr_function(&a, "body", "stack_body");
    tf_node(&g, "StatelessWhile", "stack", "zero steps out start0 start1 xs wk0 wr0 wbx0 wbh0 wk1 wr1 wbx1 wbh1", &a);
    tf_node(&g, "TensorListStack", "all", "stack:2 element", NULL);
    proto_message(&g, 2, &library);
    tf_signature_entry(&s, 1, "x", "x:0", TF_FLOAT, "7 ? 10");
    tf_signature_entry(&s, 1, "start0", "start0:0", TF_FLOAT, "? 6");
    tf_signature_entry(&s, 1, "start1", "start1:0", TF_FLOAT, "? 5");
    tf_signature_entry(&s, 2, "all", "all:0", TF_FLOAT, "7 ? 5");
    tf_signature_entry(&s, 2, "below", "stack:3", TF_FLOAT, "? 6");
    tf_signature(&signatures, "serving_default", &s);
    return tf_saved_model(&g, &signatures);
}

/* A loop that is no recurrent layer: x = relu(x w), five times. */
static proto build_while(void)
{
    proto g = NONE, library = NONE, b = NONE, a = NONE, signatures = NONE, s = NONE;
    tf_const_in(&b, 3, "five", TF_INT32, "", "5");
    tf_node_in(&b, 3, "Less", "less", "i five:output:0", NULL);
    tf_function(&library, "cond", "i x w", "go=less:z:0", &b);
    tf_const_in(&b, 3, "one", TF_INT32, "", "1");
    tf_node_in(&b, 3, "AddV2", "i1", "i one:output:0", NULL);
    tf_node_in(&b, 3, "MatMul", "xw", "x w", NULL);
    tf_node_in(&b, 3, "Relu", "x1", "xw:product:0", NULL);
    tf_function(&library, "body", "i x w", "a=i1:z:0 b=x1:activations:0 c=w", &b);
    tf_placeholder(&g, "x", TF_FLOAT, "? 16");
    tf_variable(&g, "VariableV2", "w", "16 16");
    tf_node(&g, "Identity", "w/read", "w", NULL);
    tf_ints(&g, "start", "", "0");
    tf_attr_function(&a, "cond", "cond");
    tf_attr_function(&a, "body", "body");
    tf_node(&g, "StatelessWhile", "loop", "start x w/read", &a);
    proto_message(&g, 2, &library);
    tf_signature_entry(&s, 1, "x", "x:0", TF_FLOAT, "? 16");
    tf_signature_entry(&s, 2, "y", "loop:1", TF_FLOAT, "? 16");
    tf_signature(&signatures, "only", &s);
    return tf_saved_model(&g, &signatures);
}

/* ---- text ---- */

/* Embedding, attention with heads, layer normalisation and GELU as BERT of version 1 writes them. */
static proto build_attention(void)
{
    proto g = NONE, a = NONE;
    tf_placeholder(&g, "ids", TF_INT32, "? ?");
    tf_weight(&g, "table", "1000 64");
    tf_ints(&g, "axis", "", "0");
    tf_node(&g, "GatherV2", "embedded", "table ids axis", NULL);
    tf_node(&g, "Shape", "shape", "embedded", NULL);
    tf_ints(&g, "s0", "1", "0");
    tf_ints(&g, "s1", "1", "1");
    tf_ints(&g, "s2", "1", "2");
    tf_attr_int(&a, "shrink_axis_mask", 1);
    tf_node(&g, "StridedSlice", "batch", "shape s0 s1 s1", &a);
    tf_attr_int(&a, "shrink_axis_mask", 1);
    tf_node(&g, "StridedSlice", "length", "shape s1 s2 s1", &a);
    tf_ints(&g, "heads", "", "4");
    tf_ints(&g, "size", "", "16");
    tf_node(&g, "Pack", "split_heads", "batch length heads size", NULL);
    tf_ints(&g, "perm", "4", "0 2 1 3");
    for (const char *p = "qkv"; *p; p++) {
        char n[5][32], in[96];
        static const char *const parts[] = {"kernel", "flat", "product", "apart", "heads"};
        for (int i = 0; i < 5; i++) snprintf(n[i], sizeof n[i], "%c/%s", *p, parts[i]);
        tf_weight(&g, n[0], "64 64");
        tf_ints(&g, n[1], "2", "-1 64");
        char flat[32];
        snprintf(flat, sizeof flat, "%c/rows", *p);
        snprintf(in, sizeof in, "embedded %s", n[1]);
        tf_node(&g, "Reshape", flat, in, NULL);
        snprintf(in, sizeof in, "%s %s", flat, n[0]);
        tf_node(&g, "MatMul", n[2], in, NULL);
        snprintf(in, sizeof in, "%s split_heads", n[2]);
        tf_node(&g, "Reshape", n[3], in, NULL);
        snprintf(in, sizeof in, "%s perm", n[3]);
        tf_node(&g, "Transpose", n[4], in, NULL);
    }
    tf_attr_bool(&a, "adj_y", 1);
    tf_node(&g, "BatchMatMulV2", "scores", "q/heads k/heads", &a);
    tf_const_in(&g, 1, "scale", TF_FLOAT, "", "0.25");
    tf_node(&g, "Mul", "scaled", "scores scale", NULL);
    tf_node(&g, "Softmax", "weights", "scaled", NULL);
    tf_node(&g, "BatchMatMulV2", "context", "weights v/heads", NULL);
    tf_node(&g, "Transpose", "together", "context perm", NULL);
    tf_ints(&g, "width", "", "64");
    tf_node(&g, "Pack", "joined_shape", "batch length width", NULL);
    tf_node(&g, "Reshape", "joined", "together joined_shape", NULL);
    tf_node(&g, "AddV2", "residual", "joined embedded", NULL);
    tf_ints(&g, "last", "1", "-1");
    tf_attr_bool(&a, "keep_dims", 1);
    tf_node(&g, "Mean", "ln/mean", "residual last", &a);
    tf_node(&g, "StopGradient", "ln/stop", "ln/mean", NULL);
    tf_node(&g, "SquaredDifference", "ln/squares", "residual ln/stop", NULL);
    tf_attr_bool(&a, "keep_dims", 1);
    tf_node(&g, "Mean", "ln/variance", "ln/squares last", &a);
    tf_const_in(&g, 1, "ln/epsilon", TF_FLOAT, "", "0.001");
    tf_node(&g, "AddV2", "ln/add", "ln/variance ln/epsilon", NULL);
    tf_node(&g, "Rsqrt", "ln/Rsqrt", "ln/add", NULL);
    tf_weight(&g, "ln/gamma", "64");
    tf_weight(&g, "ln/beta", "64");
    tf_node(&g, "Mul", "ln/mul", "ln/Rsqrt ln/gamma", NULL);
    tf_node(&g, "Mul", "ln/mul_1", "residual ln/mul", NULL);
    tf_node(&g, "Mul", "ln/mul_2", "ln/mean ln/mul", NULL);
    tf_node(&g, "Sub", "ln/sub", "ln/beta ln/mul_2", NULL);
    tf_node(&g, "AddV2", "ln/add_1", "ln/mul_1 ln/sub", NULL);
    tf_const_in(&g, 1, "root", TF_FLOAT, "", "1.41421356");
    tf_const_in(&g, 1, "one", TF_FLOAT, "", "1");
    tf_const_in(&g, 1, "half", TF_FLOAT, "", "0.5");
    tf_node(&g, "RealDiv", "gelu/div", "ln/add_1 root", NULL);
    tf_node(&g, "Erf", "gelu/erf", "gelu/div", NULL);
    tf_node(&g, "AddV2", "gelu/add", "one gelu/erf", NULL);
    tf_node(&g, "Mul", "gelu/half", "ln/add_1 half", NULL);
    tf_node(&g, "Mul", "gelu", "gelu/half gelu/add", NULL);
    return g;
}

/* ---- odds and ends ---- */

/* A graph that was saved while it was trained: loss, gradients, updates, savers. */
static proto build_trained(void)
{
    proto g = NONE;
    tf_placeholder(&g, "x", TF_FLOAT, "? 8");
    tf_placeholder(&g, "labels", TF_FLOAT, "? 2");
    tf_variable(&g, "VariableV2", "w", "8 2");
    tf_weight(&g, "w/initial", "8 2");
    tf_node(&g, "Assign", "w/Assign", "w w/initial", NULL);
    tf_node(&g, "Identity", "w/read", "w", NULL);
    tf_node(&g, "MatMul", "logits", "x w/read", NULL);
    tf_node(&g, "Sigmoid", "predictions", "logits", NULL);
    tf_node(&g, "Sub", "difference", "predictions labels", NULL);
    tf_node(&g, "Square", "squares", "difference", NULL);
    tf_ints(&g, "axes", "2", "0 1");
    tf_node(&g, "Mean", "loss", "squares axes", NULL);
    tf_node(&g, "Mul", "gradients/mul", "difference labels", NULL);
    tf_node(&g, "MatMul", "gradients/MatMul", "x gradients/mul", NULL);
    tf_const_in(&g, 1, "rate", TF_FLOAT, "", "0.1");
    tf_node(&g, "ApplyGradientDescent", "update", "w rate gradients/MatMul", NULL);
    tf_const_in(&g, 1, "save/Const", TF_INT32, "", "0");
    tf_node(&g, "SaveV2", "save/SaveV2", "save/Const save/Const save/Const w", NULL);
    return tf_meta_graph(&g, NULL);
}

/* Slices with every mask, pads, stacks, lookups, unknown operators, quantisation. */
static proto build_odds(void)
{
    proto g = NONE, a = NONE;
    tf_placeholder(&g, "x", TF_FLOAT, "? 12 10 4");
    tf_ints(&g, "begin", "3", "0 1 2");
    tf_ints(&g, "end", "3", "0 0 3");
    tf_ints(&g, "strides", "3", "1 1 1");
    tf_attr_int(&a, "ellipsis_mask", 2);
    tf_attr_int(&a, "begin_mask", 1);
    tf_attr_int(&a, "end_mask", 1);
    tf_attr_int(&a, "shrink_axis_mask", 4);
    tf_node(&g, "StridedSlice", "channel", "x begin end strides", &a);
    tf_attr_int(&a, "new_axis_mask", 4);
    tf_attr_int(&a, "begin_mask", 1);
    tf_attr_int(&a, "end_mask", 1);
    tf_ints(&g, "end2", "3", "0 5 0");
    tf_node(&g, "StridedSlice", "wider", "channel begin end2 strides", &a);
    tf_ints(&g, "pads", "4 2", "0 0 1 1 0 0 0 2");
    tf_node(&g, "Pad", "padded", "wider pads", NULL);
    tf_attr_int(&a, "num", 4);
    tf_attr_int(&a, "axis", 1);
    tf_ints(&g, "from", "4", "0 0 0 0");
    tf_ints(&g, "sizes", "4", "-1 4 1 5");
    tf_node(&g, "Slice", "small", "padded from sizes", NULL);
    tf_node(&g, "Unpack", "parts", "small", &a);
    tf_node(&g, "AddN", "sum", "parts parts:1 parts:2 parts:3", NULL);
    tf_const_in(&g, 1, "min", TF_FLOAT, "", "-6");
    tf_const_in(&g, 1, "max", TF_FLOAT, "", "6");
    tf_node(&g, "FakeQuantWithMinMaxVars", "quantised", "sum min max", NULL);
    tf_node(&g, "MyOperator", "mine", "quantised min", NULL);
    tf_ints(&g, "k", "", "3");
    tf_node(&g, "TopKV2", "best", "quantised k", NULL);
    tf_ints(&g, "depth", "", "7");
    tf_node(&g, "OneHot", "hot", "best:1 depth max min", NULL);
    return g;
}

const tf_model tf_models[] = {
    {"mlp.pb", build_mlp},
    {"mobile.pb", build_mobile},
    {"dilated.pb", build_dilated},
    {"conditional.pb", build_conditional},
    {"branches.pb", build_branches},
    {"functions.pb", build_functions},
    {"keras_lstm.pb", build_keras_lstm},
    {"keras_gru.pb", build_keras_gru},
    {"dynamic_gru.pb", build_dynamic_gru},
    {"multi_lstm.pb", build_multi_lstm},
    {"multi_other.pb", build_multi_other},
    {"stacked_gru.pb", build_stacked_gru},
    {"while.pb", build_while},
    {"attention.pb", build_attention},
    {"trained.meta", build_trained},
    {"odds.pb", build_odds},
    {NULL, NULL},
};

proto tf_model_build(const char *name)
{
    for (const tf_model *m = tf_models; m->name; m++)
        if (!strcmp(m->name, name)) return m->build();
    abort();
}
