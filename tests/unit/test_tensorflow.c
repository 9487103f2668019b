/* The TensorFlow reader on files of a few nodes. `test_tensorflow --write FOLDER` leaves them there, for the fuzzer. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "phantom/phantom.h"
#include "support/expect.h"
#include "support/gpus.h"
#include "support/heap.h"
#include "support/tf_models.h"

#ifndef TEST_ROOT
#define TEST_ROOT "."
#endif

#define NONE       \
    {              \
        NULL, 0, 0 \
    }

/* ---- opening ---- */

static pg_code open_file(pg_model **m, proto *file, const char *signature, pg_error *e)
{
    pg_code code = open_memory(m, file->ptr, file->len, &(pg_model_options){.signature = signature}, e);
    proto_free(file);
    return code;
}

static pg_model *open_signature(proto *file, const char *signature)
{
    pg_model *m;
    pg_error e = PG_ERROR_INIT;
    if (open_file(&m, file, signature, &e)) fail_msg("%s: %s: %s", e.source, e.path, e.text);
    return m;
}

static pg_model *open_good(proto *file)
{
    return open_signature(file, NULL);
}

static pg_model *open_model(const char *name)
{
    proto file = tf_model_build(name);
    return open_good(&file);
}

/* The file must be refused with this code, and the text or path hold these words. */
static void expect_error(proto *file, const char *signature, pg_code code, const char *words)
{
    pg_model *m;
    pg_error e = PG_ERROR_INIT;
    open_file(&m, file, signature, &e);
    expect_refused(m, &e, code, words);
}

static void expect_tensor(const pg_tensor *t, const char *name, const char *shape)
{
    assert_string_equal(t->name, name);
    expect_shape(t, shape);
}

static void expect_model(const pg_model *m, double parameters, double macs, uint64_t operator_count)
{
    const pg_model_info *info = pg_model_describe(m);
    assert_string_equal(info->format, "tensor-flow");
    assert_true(info->parameters == parameters);
    assert_true(info->macs == macs);
    assert_int_equal(info->operators, operator_count);
}

/* ---- frozen graphs ---- */

static void test_dense(void **state)
{
    (void)state;
    pg_model *m = open_model("mlp.pb");
    const pg_model_info *info = pg_model_describe(m);
    expect_model(m, 64 * 32 + 32 + 320, 64 * 32 + 320, 5);
    expect_tensor(&info->inputs[0], "x", "batchx64");
    expect_tensor(&info->outputs[0], "probabilities", "batchx10");
    assert_int_equal(operators(m, "Identity") + operators(m, "NoOp"), 0);
    pg_model_free(m);
}

static void test_images(void **state)
{
    (void)state;
    pg_model *m = open_model("mobile.pb");
    double pixels = 48 * 48;
    expect_model(m, 27 * 16 + 32 + 9 * 16 + 32 + 16 * 32 + 32 + 330, pixels * (27 * 16 + 9 * 16 + 16 * 32) + 320, 11);
    expect_tensor(&pg_model_describe(m)->outputs[0], "logits", "batchx10");
    assert_int_equal(operators(m, "BiasAdd"), 1); /* the dense layer's: the convolution's is part of it */
    pg_model_free(m);
}

static void test_dilation_and_spelled_out_normalisation(void **state)
{
    (void)state;
    pg_model *m = open_model("dilated.pb");
    expect_model(m, 9 * 8 * 16 + 32, 32 * 32 * 9 * 8 * 16, 4); /* mean and variance are no parameters */
    assert_int_equal(operators(m, "Conv2D"), 1);
    assert_int_equal(operators(m, "BatchNormalization"), 1);
    assert_int_equal(operators(m, "SpaceToBatchND") + operators(m, "Mul") + operators(m, "AddV2"), 0);
    expect_tensor(&pg_model_describe(m)->outputs[0], "large", "batchx32x32x16");
    pg_model_free(m);
}

static void test_attention(void **state)
{
    (void)state;
    pg_model *m = open_model("attention.pb");
    const pg_model_info *info = pg_model_describe(m);
    assert_true(info->parameters == 1000 * 64 + 3 * 64 * 64 + 128);
    assert_true(info->macs == 128.0 * (3 * 64 * 64 + 2 * 128 * 64));
    expect_tensor(&info->inputs[0], "ids", "batchxsequence");
    expect_tensor(&info->outputs[0], "gelu", "batchxsequencex64");
    assert_int_equal(operators(m, "LayerNormalization"), 1);
    assert_int_equal(operators(m, "Rsqrt") + operators(m, "SquaredDifference"), 0);
    pg_model_free(m);
}

static void test_masks_and_unknown_operators(void **state)
{
    (void)state;
    pg_model *m = open_model("odds.pb");
    const pg_model_info *info = pg_model_describe(m);
    assert_int_equal(info->output_count, 2);
    expect_tensor(&info->outputs[0], "mine", "unknown");
    expect_tensor(&info->outputs[1], "hot", "batchx1x3x7");
    assert_int_equal(info->unknown_operator_count, 1);
    assert_string_equal(info->unknown_operators[0].name, "MyOperator");
    assert_true(warns(m, "unknown operator 'MyOperator'"));
    pg_model_free(m);
}

static void conv_attrs(proto *a, const char *strides, const char *format)
{
    tf_attr_ints(a, "strides", strides);
    tf_attr_text(a, "padding", "SAME");
    tf_attr_text(a, "data_format", format);
}

static void test_layouts_and_groups(void **state)
{
    (void)state;
    proto g = NONE, a = NONE;
    tf_placeholder(&g, "x", TF_FLOAT, "? 8 32 32");
    tf_weight(&g, "w", "3 3 2 16"); /* of 8 channels: four groups */
    conv_attrs(&a, "1 1 1 1", "NCHW");
    tf_node(&g, "Conv2D", "conv", "x w", &a);
    tf_weight(&g, "b", "16");
    tf_node(&g, "Relu", "relu", "conv", NULL);
    tf_attr_text(&a, "data_format", "NCHW");
    tf_node(&g, "BiasAdd", "y", "relu b", &a);
    pg_model *m = open_good(&g);
    expect_model(m, 3 * 3 * 2 * 16 + 16, 32 * 32 * 9 * 2 * 16, 3);
    expect_tensor(&pg_model_describe(m)->outputs[0], "y", "batchx16x32x32");
    pg_model_free(m);

    tf_placeholder(&g, "x", TF_FLOAT, "? 16 16 4");
    tf_weight(&g, "w", "3 3 4 2"); /* two results of each channel */
    conv_attrs(&a, "1 2 2 1", "NHWC");
    tf_node(&g, "DepthwiseConv2dNative", "dw", "x w", &a);
    tf_weight(&g, "up", "2 2 6 8");
    tf_ints(&g, "size", "4", "1 16 16 6");
    conv_attrs(&a, "1 2 2 1", "NHWC");
    tf_node(&g, "Conv2DBackpropInput", "y", "size up dw", &a);
    m = open_good(&g);
    expect_model(m, 72 + 192, 8 * 8 * 72 + 8 * 8 * 192, 2);
    expect_tensor(&pg_model_describe(m)->outputs[0], "y", "batchx16x16x6");
    pg_model_free(m);
}

/* What an optimiser leaves of a batch normalisation: a product and a sum by constants. */
static void test_folded_normalisation(void **state)
{
    (void)state;
    proto g = NONE, a = NONE;
    tf_placeholder(&g, "x", TF_FLOAT, "? 8 8 4");
    tf_weight(&g, "w", "1 1 4 8");
    conv_attrs(&a, "1 1 1 1", "NHWC");
    tf_node(&g, "Conv2D", "conv", "x w", &a);
    tf_weight(&g, "scale", "8");
    tf_weight(&g, "offset", "8");
    tf_node(&g, "Mul", "mul", "conv scale", NULL);
    tf_node(&g, "AddV2", "y", "mul offset", NULL);
    pg_model *m = open_good(&g);
    expect_model(m, 32 + 16, 64 * 32, 2);
    assert_int_equal(operators(m, "BatchNormalization"), 1);
    expect_tensor(&pg_model_describe(m)->outputs[0], "y", "batchx8x8x8");
    pg_model_free(m);
}

/* One size of a split may be left open, and a 0 in a target is a 0. */
static void test_open_sizes(void **state)
{
    (void)state;
    proto g = NONE, a = NONE;
    tf_placeholder(&g, "x", TF_FLOAT, "? 20");
    tf_ints(&g, "sizes", "3", "5 -1 3");
    tf_ints(&g, "axis", "", "1");
    tf_attr_int(&a, "num_split", 3);
    tf_node(&g, "SplitV", "parts", "x sizes axis", &a);
    tf_node(&g, "Relu", "a", "parts", NULL);
    tf_node(&g, "Relu", "b", "parts:1", NULL);
    tf_node(&g, "Relu", "c", "parts:2", NULL);
    pg_model *m = open_good(&g);
    const pg_model_info *info = pg_model_describe(m);
    assert_int_equal(info->output_count, 3);
    expect_tensor(&info->outputs[0], "a", "batchx5");
    expect_tensor(&info->outputs[1], "b", "batchx12");
    expect_tensor(&info->outputs[2], "c", "batchx3");
    pg_model_free(m);
    tf_placeholder(&g, "x", TF_FLOAT, "2 0 3");
    tf_ints(&g, "shape", "2", "0 6");
    tf_node(&g, "Reshape", "y", "x shape", NULL);
    m = open_good(&g);
    assert_int_equal(pg_model_describe(m)->outputs[0].rank, 2);
    pg_model_free(m);
}

/* What the exporter knew of an operator that we don't know. */
static void test_shapes_from_the_exporter(void **state)
{
    (void)state;
    proto g = NONE, a = NONE, value = NONE, shapes = NONE, shape = tf_shape("? 20");
    tf_placeholder(&g, "text", TF_STRING, "? 1");
    proto_message(&shapes, 7, &shape);
    proto_message(&value, 1, &shapes);
    tf_attr_value(&a, "_output_shapes", &value);
    tf_node(&g, "Tokenize", "ids", "text", &a);
    tf_weight(&g, "table", "100 16");
    tf_node(&g, "ResourceGather", "y", "table ids", NULL);
    pg_model *m = open_good(&g);
    expect_tensor(&pg_model_describe(m)->outputs[0], "y", "batchx20x16");
    pg_model_free(m);
}

/* ---- conditionals ---- */

static void test_training_is_off(void **state)
{
    (void)state;
    pg_model *m = open_model("conditional.pb");
    const pg_model_info *info = pg_model_describe(m);
    assert_int_equal(operators(m, "Exp"), 1); /* the branch for false */
    assert_int_equal(operators(m, "Mul"), 0);
    assert_int_equal(info->input_count, 1);
    expect_tensor(&info->outputs[0], "y", "batchx4");
    pg_model_free(m);
}

/* y = predicate ? 2 x : exp(x), with whatever `kind` the predicate is. */
static proto conditional(const char *kind)
{
    proto g = NONE;
    tf_placeholder(&g, "x", TF_FLOAT, "? 16");
    if (!strcmp(kind, "placeholder")) tf_placeholder(&g, "p", TF_BOOL, "");
    else if (!strcmp(kind, "default")) {
        proto a = NONE;
        tf_const_in(&g, 1, "off", TF_BOOL, "", "0");
        tf_attr_shape(&a, "shape", "");
        tf_attr_type(&a, "dtype", TF_BOOL);
        tf_node(&g, "PlaceholderWithDefault", "p", "off", &a);
    } else {
        tf_const_in(&g, 1, "q", TF_BOOL, "", !strcmp(kind, "not") ? "0" : "1");
        tf_node(&g, !strcmp(kind, "not") ? "LogicalNot" : "Identity", "p", "q", NULL);
    }
    tf_node(&g, "Switch", "s", "x p", NULL);
    tf_node(&g, "Exp", "false", "s", NULL);
    tf_node(&g, "Square", "true", "s:1", NULL);
    tf_node(&g, "Merge", "m", "false true", NULL);
    tf_node(&g, "Relu", "y", "m", NULL);
    return g;
}

static void test_predicates(void **state)
{
    (void)state;
    static const struct {
        const char *kind;
        bool then, warning;
    } cases[] = {
        {"placeholder", true, true}, {"default", false, false}, {"not", true, false}, {"constant", true, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        proto file = conditional(cases[i].kind);
        pg_model *m = open_good(&file);
        assert_int_equal(operators(m, "Square"), cases[i].then);
        assert_int_equal(operators(m, "Exp"), !cases[i].then);
        assert_int_equal(warns(m, "predicate isn't known"), cases[i].warning);
        pg_model_free(m);
    }
}

static void test_branches(void **state)
{
    (void)state;
    pg_model *m = open_model("branches.pb");
    assert_int_equal(operators(m, "If"), 1);
    assert_int_equal(operators(m, "MatMul"), 1);
    expect_tensor(&pg_model_describe(m)->outputs[0], "y", "batchx8");
    pg_model_free(m);
}

/* ---- saved models ---- */

static void test_functions_are_inlined(void **state)
{
    (void)state;
    pg_model *m = open_model("functions.pb");
    const pg_model_info *info = pg_model_describe(m);
    expect_model(m, 32 * 64 + 64 + 64 * 16 + 16, 32 * 64 + 64 * 16, 6);
    expect_tensor(&info->inputs[0], "x", "batchx32");
    expect_tensor(&info->outputs[0], "y", "batchx16");
    pg_model_free(m);
}

static void test_signatures(void **state)
{
    (void)state;
    proto file = tf_model_build("functions.pb");
    pg_model *m = open_signature(&file, "features");
    expect_model(m, 32 * 64 + 64, 32 * 64, 3); /* what the other signature needs isn't there */
    expect_tensor(&pg_model_describe(m)->outputs[0], "hidden", "batchx64");
    pg_model_free(m);
    m = open_model("while.pb"); /* its only signature is no default */
    pg_model_free(m);
    file = tf_model_build("functions.pb");
    expect_error(&file, "other", PG_E_USAGE, "no signature 'other'; it has: serving_default, features");
    file = tf_model_build("mlp.pb");
    expect_error(&file, "serving_default", PG_E_USAGE, "a frozen graph has no signatures");
    file = tf_model_build("trained.meta");
    expect_error(&file, "serving_default", PG_E_USAGE, "the model has no signatures");
}

static proto relu_with(proto *signatures)
{
    proto g = NONE;
    tf_placeholder(&g, "x", TF_FLOAT, "? 16");
    tf_node(&g, "Relu", "y", "x", NULL);
    return tf_saved_model(&g, signatures);
}

static void add_signature(proto *signatures, const char *name, const char *input, const char *output)
{
    proto s = NONE;
    tf_signature_entry(&s, 1, "in", input, TF_FLOAT, "? 16");
    if (output) tf_signature_entry(&s, 2, "out", output, TF_FLOAT, "? 16");
    tf_signature(signatures, name, &s);
}

static void test_broken_signatures(void **state)
{
    (void)state;
    proto s = NONE;
    add_signature(&s, "a", "x:0", "y:0");
    add_signature(&s, "b", "x:0", "y:0");
    proto file = relu_with(&s);
    expect_error(&file, NULL, PG_E_USAGE, "several signatures and none is the default: a, b");
    add_signature(&s, "a", "not_there:0", "y:0");
    file = relu_with(&s);
    expect_error(&file, NULL, PG_E_GRAPH, "'not_there:0' is no node of the graph");
    add_signature(&s, "a", "x:0", "gone:3");
    file = relu_with(&s);
    expect_error(&file, NULL, PG_E_GRAPH, "'gone:3' is no node of the graph");
    add_signature(&s, "a", "x:0", NULL);
    file = relu_with(&s);
    expect_error(&file, NULL, PG_E_GRAPH, "signature 'a' has no outputs");
    add_signature(&s, "a", "x:0", "y:4000000000");
    file = relu_with(&s);
    expect_error(&file, NULL, PG_E_GRAPH, "names an output that no node has");
}

/* A folder, and the file in it. */
static void test_folder(void **state)
{
    (void)state;
    char folder[] = "/tmp/phantom-tf-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/saved_model.pb", folder);
    proto file = tf_model_build("functions.pb");
    FILE *f = fopen(path, "wb");
    assert_true(f && fwrite(file.ptr, 1, file.len, f) == file.len && fclose(f) == 0);
    proto_free(&file);
    const char *const names[] = {folder, path};
    for (int i = 0; i < 2; i++) {
        pg_model *m;
        pg_error e = PG_ERROR_INIT;
        if (pg_model_open(&m, names[i], NULL, &e)) fail_msg("%s", e.text);
        assert_true(pg_model_describe(m)->parameters == 3152);
        pg_model_free(m);
    }
    remove(path);
    remove(folder);
}

static void test_trained_graph(void **state)
{
    (void)state;
    pg_model *m = open_model("trained.meta");
    const pg_model_info *info = pg_model_describe(m);
    expect_model(m, 16, 16, 2);
    assert_int_equal(info->input_count, 1); /* not the labels */
    expect_tensor(&info->outputs[0], "predictions", "batchx2");
    pg_model_free(m);
}

/* ---- loops ---- */

static void test_recurrent_layers(void **state)
{
    (void)state;
    pg_model *m = open_model("keras_lstm.pb");
    const pg_model_info *info = pg_model_describe(m);
    expect_model(m, 192 * (24 + 48 + 1), 20 * 192 * (24 + 48), 5);
    assert_int_equal(operators(m, "LSTM"), 1);
    expect_tensor(&info->outputs[0], "all", "batchx20x48");
    expect_tensor(&info->outputs[1], "last", "batchx48");
    pg_model_free(m);
    m = open_model("keras_gru.pb");
    info = pg_model_describe(m);
    expect_model(m, 18 * (10 + 6 + 2), 7 * 18 * (10 + 6), 4);
    assert_int_equal(operators(m, "GRU"), 1);
    expect_tensor(&info->outputs[0], "all", "7xbatchx6");
    expect_tensor(&info->outputs[1], "last", "batchx6");
    pg_model_free(m);
    m = open_model("dynamic_gru.pb");
    info = pg_model_describe(m);
    expect_model(m, 18 * (10 + 6 + 1), 12 * 18 * (10 + 6), 3);
    assert_int_equal(operators(m, "GRU"), 1);
    expect_tensor(&info->inputs[0], "x", "12xbatchx10");
    expect_tensor(&info->outputs[0], "stacked", "12xbatchx6");
    expect_tensor(&info->outputs[1], "state", "batchx6");
    pg_model_free(m);
}

/* Cells above one another in one loop are as many layers. */
static void test_stacked_cells(void **state)
{
    (void)state;
    pg_model *m = open_model("multi_lstm.pb");
    const pg_model_info *info = pg_model_describe(m);
    double macs = 24 * (10 + 6) + 32 * (6 + 8) + 16 * (8 + 4);
    expect_model(m, macs + 24 + 32 + 16, 12 * macs, 12);
    assert_int_equal(operators(m, "LSTM"), 3);
    assert_int_equal(operators(m, "Squeeze"), 9);
    size_t known = 0;
    for (size_t i = 0; i < info->output_count; i++) {
        const pg_tensor *t = &info->outputs[i];
        static const char *const shapes[][2] = {
            {"stacked", "12xbatchx4"}, {"first", "batchx6"}, {"last", "batchx4"}, {"l1/c/exit", "batchx8"}};
        for (size_t k = 0; k < sizeof shapes / sizeof shapes[0]; k++)
            if (!strcmp(t->name, shapes[k][0])) expect_shape(t, shapes[k][1]), known++;
    }
    assert_int_equal(known, 4);
    pg_model_free(m);
    m = open_model("stacked_gru.pb");
    info = pg_model_describe(m);
    macs = 18 * (10 + 6) + 15 * (6 + 5);
    expect_model(m, macs + 2 * 18 + 2 * 15, 7 * macs, 7);
    assert_int_equal(operators(m, "GRU"), 2);
    expect_tensor(&info->outputs[0], "all", "7xbatchx5");
    expect_tensor(&info->outputs[1], "below", "batchx6");
    pg_model_free(m);
    m = open_model("multi_other.pb"); /* a softmax between the layers: a loop, and none of its work is lost */
    macs = 24 * (10 + 6) + 32 * (6 + 8) + 16 * (8 + 4);
    assert_int_equal(operators(m, "LSTM"), 0);
    assert_true(pg_model_describe(m)->macs == 12 * macs);
    pg_model_free(m);
}

static void test_other_loops(void **state)
{
    (void)state;
    pg_model *m = open_model("while.pb");
    expect_model(m, 256, 5 * 256, 3);
    expect_tensor(&pg_model_describe(m)->outputs[0], "y", "batchx16");
    pg_model_free(m);
}

/* ---- the same model as ONNX ---- */

static void onnx_conv(proto *g, const char *in, const char *out, const char *filter, int stride, int groups,
                      const char *bias)
{
    char w[64], inputs[160], strides[16];
    proto a = NONE;
    snprintf(w, sizeof w, "%s.w", out);
    onnx_weight(g, w, ONNX_FLOAT, filter);
    snprintf(strides, sizeof strides, "%d %d", stride, stride);
    onnx_attr_ints(&a, "strides", strides);
    if (groups > 1) onnx_attr_int(&a, "group", groups);
    onnx_attr_ints(&a, "pads", strstr(filter, "3 3") ? stride == 2 ? "0 0 1 1" : "1 1 1 1" : "0 0 0 0");
    snprintf(inputs, sizeof inputs, "%s %s %s", in, w, bias);
    onnx_node(g, "Conv", inputs, out, &a);
}

static void onnx_norm(proto *g, const char *in, const char *out, const char *channels)
{
    char w[4][64], inputs[320];
    for (int i = 0; i < 4; i++) {
        snprintf(w[i], sizeof w[i], "%s.%d", out, i);
        onnx_weight(g, w[i], ONNX_FLOAT, channels);
    }
    snprintf(inputs, sizeof inputs, "%s %s %s %s %s", in, w[0], w[1], w[2], w[3]);
    onnx_node(g, "BatchNormalization", inputs, out, NULL);
}

/* What PyTorch exports of the network in mobile.pb. */
static proto onnx_mobile(void)
{
    proto g = NONE, a = NONE;
    onnx_input(&g, "image", "batch 3 96 96");
    onnx_weight(&g, "zero", ONNX_FLOAT, "");
    onnx_weight(&g, "six", ONNX_FLOAT, "");
    onnx_conv(&g, "image", "c1", "16 3 3 3", 2, 1, "");
    onnx_norm(&g, "c1", "n1", "16");
    onnx_node(&g, "Clip", "n1 zero six", "r1", NULL);
    onnx_conv(&g, "r1", "c2", "16 1 3 3", 1, 16, "");
    onnx_norm(&g, "c2", "n2", "16");
    onnx_node(&g, "Clip", "n2 zero six", "r2", NULL);
    onnx_weight(&g, "b3", ONNX_FLOAT, "32");
    onnx_conv(&g, "r2", "c3", "32 16 1 1", 1, 1, "b3");
    onnx_node(&g, "Relu", "c3", "r3", NULL);
    onnx_node(&g, "GlobalAveragePool", "r3", "p", NULL);
    onnx_node(&g, "Flatten", "p", "f", NULL);
    onnx_weight(&g, "w4", ONNX_FLOAT, "10 32");
    onnx_weight(&g, "b4", ONNX_FLOAT, "10");
    onnx_attr_int(&a, "transB", 1);
    onnx_node(&g, "Gemm", "f w4 b4", "logits", &a);
    onnx_output(&g, "logits");
    return onnx_model(&g, 17);
}

/* What PyTorch exports of the network in attention.pb. */
static proto onnx_attention(void)
{
    proto g = NONE, a = NONE;
    onnx_value(&g, 11, "ids", ONNX_INT64, "batch sequence");
    onnx_weight(&g, "table", ONNX_FLOAT, "1000 64");
    onnx_node(&g, "Gather", "table ids", "e", NULL);
    onnx_ints(&g, "apart", "4", "0 0 4 16");
    onnx_ints(&g, "joined", "3", "0 0 64");
    for (const char *p = "qkv"; *p; p++) {
        char w[8], in[32], flat[8], apart[8], heads[8];
        snprintf(w, sizeof w, "%c.w", *p);
        snprintf(flat, sizeof flat, "%c.f", *p);
        snprintf(apart, sizeof apart, "%c.a", *p);
        snprintf(heads, sizeof heads, "%c.h", *p);
        onnx_weight(&g, w, ONNX_FLOAT, "64 64");
        snprintf(in, sizeof in, "e %s", w);
        onnx_node(&g, "MatMul", in, flat, NULL);
        snprintf(in, sizeof in, "%s apart", flat);
        onnx_node(&g, "Reshape", in, apart, NULL);
        onnx_attr_ints(&a, "perm", *p == 'k' ? "0 2 3 1" : "0 2 1 3");
        onnx_node(&g, "Transpose", apart, heads, &a);
    }
    onnx_weight(&g, "scale", ONNX_FLOAT, "");
    onnx_node(&g, "MatMul", "q.h k.h", "s", NULL);
    onnx_node(&g, "Mul", "s scale", "ss", NULL);
    onnx_attr_int(&a, "axis", -1);
    onnx_node(&g, "Softmax", "ss", "p", &a);
    onnx_node(&g, "MatMul", "p v.h", "c", NULL);
    onnx_attr_ints(&a, "perm", "0 2 1 3");
    onnx_node(&g, "Transpose", "c", "t", &a);
    onnx_node(&g, "Reshape", "t joined", "j", NULL);
    onnx_node(&g, "Add", "j e", "r", NULL);
    onnx_weight(&g, "gamma", ONNX_FLOAT, "64");
    onnx_weight(&g, "beta", ONNX_FLOAT, "64");
    onnx_node(&g, "LayerNormalization", "r gamma beta", "n", NULL);
    onnx_weight(&g, "root", ONNX_FLOAT, "");
    onnx_weight(&g, "one", ONNX_FLOAT, "");
    onnx_weight(&g, "half", ONNX_FLOAT, "");
    onnx_node(&g, "Div", "n root", "d", NULL);
    onnx_node(&g, "Erf", "d", "erf", NULL);
    onnx_node(&g, "Add", "erf one", "plus", NULL);
    onnx_node(&g, "Mul", "n plus", "m", NULL);
    onnx_node(&g, "Mul", "m half", "y", NULL);
    onnx_output(&g, "y");
    return onnx_model(&g, 17);
}

static double latency(const pg_model *m, const char *runtime, const char *precision, int64_t batch)
{
    pg_plan *plan;
    pg_prediction p;
    pg_error e = PG_ERROR_INIT;
    pg_request r = {.batch = batch, .runtime = runtime, .precision = precision};
    if (pg_plan_open(&plan, m, gpus, &r, &e)) fail_msg("%s", e.text);
    if (pg_plan_predict(plan, pg_catalog_find(gpus, "a100", &e), &p, &e)) fail_msg("%s", e.text);
    pg_plan_free(plan);
    return p.latency_ms;
}

static void test_same_model_as_onnx(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        proto (*onnx)(void);
    } models[] = {{"mobile.pb", onnx_mobile}, {"attention.pb", onnx_attention}};
    static const char *const runtimes[] = {"pytorch",     "pytorch-compile", "tensorrt",
                                           "onnxruntime", "tensorflow",      "tensorflow-xla"};
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        proto file = models[i].onnx();
        pg_model *a = open_model(models[i].name), *b = open_good(&file);
        assert_string_equal(pg_model_describe(a)->format, "tensor-flow"); /* neither has magic */
        assert_string_equal(pg_model_describe(b)->format, "onnx");
        /* limits and scales count where they are weights */
        assert_true(fabs(pg_model_describe(a)->parameters - pg_model_describe(b)->parameters) < 5);
        assert_true(pg_model_describe(a)->macs == pg_model_describe(b)->macs);
        for (size_t r = 0; r < sizeof runtimes / sizeof runtimes[0]; r++)
            for (int64_t batch = 1; batch <= 256; batch *= 16)
                for (int half = 0; half < 2; half++) {
                    double x = latency(a, runtimes[r], half ? "fp16" : "fp32", batch);
                    double y = latency(b, runtimes[r], half ? "fp16" : "fp32", batch);
                    if (fabs(x - y) > 0.02 * y)
                        fail_msg("%s, %s, batch %d, %s: %g ms, as ONNX %g ms", models[i].name, runtimes[r], (int)batch,
                                 half ? "fp16" : "fp32", x, y);
                }
        pg_model_free(a);
        pg_model_free(b);
    }
}

/* ---- damaged files ---- */

static void test_broken_graphs(void **state)
{
    (void)state;
    proto g = NONE;
    tf_placeholder(&g, "x", TF_FLOAT, "? 16");
    tf_node(&g, "Relu", "y", "gone", NULL);
    expect_error(&g, NULL, PG_E_GRAPH, "node 'y': its input 'gone' is no node of the graph");
    tf_placeholder(&g, "x", TF_FLOAT, "? 16");
    tf_placeholder(&g, "x", TF_FLOAT, "? 16");
    expect_error(&g, NULL, PG_E_GRAPH, "two nodes have the name 'x'");
    tf_placeholder(&g, "x", TF_FLOAT, "? 16");
    tf_node(&g, "Add", "a", "x b", NULL);
    tf_node(&g, "Relu", "b", "a", NULL);
    tf_node(&g, "Relu", "c", "b", NULL);
    expect_error(&g, NULL, PG_E_GRAPH, "needs its own result");
    tf_placeholder(&g, "x", TF_FLOAT, "? 16");
    tf_node(&g, "Identity", "a", "b", NULL);
    tf_node(&g, "Identity", "b", "a", NULL);
    tf_node(&g, "Add", "c", "x a", NULL);
    expect_error(&g, NULL, PG_E_GRAPH, "in a circle");
    tf_placeholder(&g, "x", TF_FLOAT, "? 16");
    tf_node(&g, "MatMul", "y", "x", NULL);
    expect_error(&g, NULL, PG_E_GRAPH, "MatMul: it has 1 input but needs 2");
    tf_weight(&g, "w", "3 4");
    expect_error(&g, NULL, PG_E_GRAPH, "no node that computes a result");
    tf_placeholder(&g, "x", TF_FLOAT, "? 16");
    tf_weight(&g, "w", "1000000000 1000000000 1000000000");
    tf_node(&g, "Add", "y", "x w", NULL);
    expect_error(&g, NULL, PG_E_LIMIT, "claims 1e+27 elements");
    tf_placeholder(&g, "x", TF_FLOAT, "? 9223372036854775807");
    tf_node(&g, "Relu", "y", "x", NULL);
    expect_error(&g, NULL, PG_E_FORMAT, "dimension 9223372036854775807");
}

/* A graph that calls f with x. */
static proto calling(proto *library)
{
    proto g = NONE, a = NONE;
    tf_placeholder(&g, "x", TF_FLOAT, "? 16");
    tf_attr_function(&a, "f", "f0");
    tf_node(&g, "PartitionedCall", "y", "x", &a);
    tf_node(&g, "Relu", "z", "y", NULL);
    proto_message(&g, 2, library);
    return g;
}

static void test_functions_without_end(void **state)
{
    (void)state;
    proto library = NONE, body = NONE, a = NONE;
    tf_attr_function(&a, "f", "f0");
    tf_node_in(&body, 3, "PartitionedCall", "again", "x", &a);
    tf_function(&library, "f0", "x", "y=again:output:0", &body);
    proto file = calling(&library);
    expect_error(&file, NULL, PG_E_LIMIT, "function 'f0' calls itself or is nested more than 64 deep");
    for (int i = 0; i < 40; i++) { /* each calls the next one twice */
        char name[16], next[16];
        snprintf(name, sizeof name, "f%d", i);
        snprintf(next, sizeof next, "f%d", i + 1);
        if (i == 39) {
            tf_node_in(&body, 3, "Relu", "b", "x", NULL);
        } else {
            tf_attr_function(&a, "f", next);
            tf_node_in(&body, 3, "PartitionedCall", "a", "x", &a);
            tf_attr_function(&a, "f", next);
            tf_node_in(&body, 3, "PartitionedCall", "b", "a:output:0", &a);
        }
        tf_function(&library, name, "x", "y=b:output:0", &body);
    }
    file = calling(&library);
    expect_error(&file, NULL, PG_E_LIMIT, "the file is not a sane model");
    file = calling(&library);
    expect_error(&file, NULL, PG_E_GRAPH, "the function 'f0' is called, but is not in the file");
    tf_node_in(&body, 3, "Relu", "r", "x", NULL);
    tf_function(&library, "f0", "x w", "y=r:activations:0", &body);
    file = calling(&library);
    expect_error(&file, NULL, PG_E_GRAPH, "takes 2 arguments, but a call passes 1");
}

/* ---- real files ---- */

/* 100,000 operators in a row: what they take stays in proportion. */
static void test_large_graph(void **state)
{
    enum { MANY = 100000, EACH = 600 }; /* bytes */
    (void)state;
    proto g = NONE;
    tf_placeholder(&g, "n0", 1, "-1 64");
    for (int i = 1; i <= MANY; i++) {
        char name[16], last[16];
        snprintf(name, sizeof name, "n%d", i);
        snprintf(last, sizeof last, "n%d", i - 1);
        tf_node(&g, "Relu", name, last, NULL);
    }
    test_heap heap = {.fail_at = -1};
    pg_model *m;
    pg_error e = PG_ERROR_INIT;
    pg_model_options o = {.allocator = &(pg_allocator){heap_resize, &heap}};
    if (open_memory(&m, g.ptr, g.len, &o, &e)) fail_msg("%s", e.text);
    assert_int_equal(pg_model_describe(m)->operators, MANY);
    if (heap.peak > (size_t)MANY * EACH) fail_msg("%zu bytes for each node", heap.peak / MANY);
    pg_model_free(m);
    o.memory_limit = 10u << 20;
    assert_int_equal(open_memory(&m, g.ptr, g.len, &o, &e), PG_E_LIMIT);
    proto_free(&g);
}

static void test_real_files(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double parameters, macs;
    } files[] = {{"fc_layers_frozen.pb", 269322, 784 * 256 + 256 * 256 + 2560},
                 {"gru_frozen.pb", 61578, 28 * (156 * 256 + 156 * 128) + 1280},
                 {"regression_frozen.pb", 2, 0},
                 {"regression_model.meta", 2, 0},
                 {"regression_saved_model", 2, 0},
                 {"redundant_inputs_saved_model", 1, 0}};
    struct stat st;
    if (stat(TEST_ROOT "/../shared/models/files", &st)) skip();
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[512];
        pg_model *m;
        pg_error e = PG_ERROR_INIT;
        snprintf(path, sizeof path, TEST_ROOT "/../shared/models/files/%s", files[i].name);
        if (pg_model_open(&m, path, NULL, &e)) fail_msg("%s: %s", files[i].name, e.text);
        const pg_model_info *info = pg_model_describe(m);
        assert_true(info->parameters == files[i].parameters && info->macs == files[i].macs);
        assert_int_equal(info->unknown_operator_count, 0);
        pg_model_free(m);
    }
}

static int write_models(const char *folder)
{
    for (const tf_model *m = tf_models; m->name; m++) {
        char path[512];
        proto file = m->build();
        snprintf(path, sizeof path, "%s/%s", folder, m->name);
        FILE *f = fopen(path, "wb");
        if (!f || fwrite(file.ptr, 1, file.len, f) != file.len || fclose(f)) return 1;
        proto_free(&file);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "--write")) return write_models(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dense),
        cmocka_unit_test(test_images),
        cmocka_unit_test(test_dilation_and_spelled_out_normalisation),
        cmocka_unit_test(test_attention),
        cmocka_unit_test(test_masks_and_unknown_operators),
        cmocka_unit_test(test_layouts_and_groups),
        cmocka_unit_test(test_folded_normalisation),
        cmocka_unit_test(test_open_sizes),
        cmocka_unit_test(test_shapes_from_the_exporter),
        cmocka_unit_test(test_training_is_off),
        cmocka_unit_test(test_predicates),
        cmocka_unit_test(test_branches),
        cmocka_unit_test(test_functions_are_inlined),
        cmocka_unit_test(test_signatures),
        cmocka_unit_test(test_broken_signatures),
        cmocka_unit_test(test_folder),
        cmocka_unit_test(test_trained_graph),
        cmocka_unit_test(test_recurrent_layers),
        cmocka_unit_test(test_stacked_cells),
        cmocka_unit_test(test_other_loops),
        cmocka_unit_test(test_same_model_as_onnx),
        cmocka_unit_test(test_broken_graphs),
        cmocka_unit_test(test_functions_without_end),
        cmocka_unit_test(test_large_graph),
        cmocka_unit_test(test_real_files),
    };
    return cmocka_run_group_tests(tests, open_gpus, close_gpus);
}
