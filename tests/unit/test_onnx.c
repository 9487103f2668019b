/* The ONNX reader: what each part of a file means, on files of a few nodes. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include <math.h>
#include <stdio.h>

#include "fuzz/proto.h"
#include "phantom/phantom.h"
#include "support/expect.h"
#include "support/gpus.h"

#define NONE       \
    {              \
        NULL, 0, 0 \
    }

/* Opens the file with the graph, which is freed. */
static pg_code open_file(pg_model **m, proto *file, bool strict, pg_error *e)
{
    pg_code code = open_memory(m, file->ptr, file->len, &(pg_model_options){.format = "onnx", .strict = strict}, e);
    proto_free(file);
    return code;
}

static pg_model *open_good(proto *file)
{
    pg_model *m;
    pg_error e = PG_ERROR_INIT;
    if (open_file(&m, file, false, &e)) fail_msg("%s: %s: %s", e.source, e.path, e.text);
    return m;
}

static pg_model *open_graph(proto *graph, int64_t opset)
{
    proto file = onnx_model(graph, opset);
    return open_good(&file);
}

/* The file must be refused with this code, and the text and path hold these words. */
static void expect_error(proto *file, pg_code code, const char *text, const char *path)
{
    pg_model *m;
    pg_error e = PG_ERROR_INIT;
    open_file(&m, file, false, &e);
    expect_refused(m, &e, code, text);
    if (!strstr(e.text, text) || !strstr(e.path, path)) fail_msg("%s: %s", e.path, e.text);
}

static void expect_output(const pg_model *m, const char *expected)
{
    assert_int_equal(pg_model_describe(m)->output_count, 1);
    expect_shape(&pg_model_describe(m)->outputs[0], expected);
}

static pg_prediction predict(const pg_model *m, int64_t batch)
{
    pg_plan *plan;
    pg_prediction p;
    pg_error e = PG_ERROR_INIT;
    pg_request r = {.batch = batch, .precision = "fp16", .device_time = true};
    if (pg_plan_open(&plan, m, gpus, &r, &e)) fail_msg("%s", e.text);
    assert_int_equal(pg_plan_predict(plan, pg_catalog_find(gpus, "a100", &e), &p, &e), PG_E_OK);
    pg_plan_free(plan);
    return p;
}

/* ---- weights ---- */

/* Equal weights that the exporter wrote once: no operator, and no further parameters. */
static void test_shared_weights(void **state)
{
    (void)state;
    proto g = NONE;
    onnx_input(&g, "x", "batch 8");
    onnx_weight(&g, "a", ONNX_FLOAT, "8 8");
    onnx_node(&g, "Identity", "a", "b", NULL);
    onnx_node(&g, "Identity", "b", "c", NULL);
    onnx_node(&g, "MatMul", "x a", "y", NULL);
    onnx_node(&g, "MatMul", "y c", "z", NULL);
    onnx_node(&g, "Identity", "z", "out", NULL); /* of a value: stays */
    onnx_output(&g, "out");
    pg_model *m = open_graph(&g, 17);
    const pg_model_info *info = pg_model_describe(m);
    assert_true(info->parameters == 64 && info->weights_bytes == 256 && info->macs == 128);
    assert_int_equal(operators(m, "Identity"), 1);
    expect_output(m, "batchx8");
    pg_model_free(m);
}

/* Files before IR version 4 list initializers as inputs too: they are weights all the same. */
static void test_initializers_as_inputs(void **state)
{
    (void)state;
    proto g = NONE;
    onnx_input(&g, "x", "batch 64");
    onnx_input(&g, "w", "64 10");
    onnx_weight(&g, "w", ONNX_FLOAT, "64 10");
    onnx_node(&g, "MatMul", "x w", "y", NULL);
    onnx_output(&g, "y");
    pg_model *m = open_graph(&g, 13);
    assert_int_equal(pg_model_describe(m)->input_count, 1);
    assert_string_equal(pg_model_describe(m)->inputs[0].name, "x");
    assert_true(pg_model_describe(m)->parameters == 640);
    assert_true(pg_model_describe(m)->macs == 640);
    expect_output(m, "batchx10");
    pg_model_free(m);
}

enum { RAW, INT64_PACKED, INT64_SINGLE, INT32_IN_INT64_FIELD, STORAGES };

static void put_shape(proto *g, int storage)
{
    static const int64_t values[3] = {0, 8, -1};
    proto t = NONE, packed = NONE;
    onnx_tensor_head(&t, "shape", ONNX_INT64, "3");
    for (int i = 0; i < 3; i++) {
        if (storage == RAW) proto_put(&packed, &values[i], sizeof values[i]);
        else if (storage == INT64_PACKED) proto_varint(&packed, (uint64_t)values[i]);
        else proto_int(&t, storage == INT64_SINGLE ? 7 : 5, values[i]);
    }
    if (packed.len) proto_message(&t, storage == RAW ? 9 : 7, &packed);
    proto_message(g, 5, &t);
}

/* However the numbers are stored, Reshape reads the same ones. */
static void test_typed_and_raw_data(void **state)
{
    (void)state;
    for (int storage = 0; storage < STORAGES; storage++) {
        proto g = NONE;
        onnx_input(&g, "x", "batch 64");
        put_shape(&g, storage);
        onnx_node(&g, "Reshape", "x shape", "y", NULL);
        onnx_output(&g, "y");
        pg_model *m = open_graph(&g, 13);
        expect_output(m, "batchx8x8");
        pg_model_free(m);
    }
}

/* Weights in another file are never looked for. */
static void test_external_data_is_not_needed(void **state)
{
    (void)state;
    proto g = NONE;
    onnx_input(&g, "x", "batch 3 32 32");
    onnx_weight(&g, "w", ONNX_FLOAT16, "16 3 3 3");
    onnx_node(&g, "Conv", "x w", "y", NULL);
    onnx_output(&g, "y");
    pg_model *m = open_graph(&g, 13);
    assert_true(pg_model_describe(m)->parameters == 432);
    assert_true(pg_model_describe(m)->weights_bytes == 864);
    assert_string_equal(pg_model_describe(m)->weights_by_dtype[0].name, "float16");
    expect_output(m, "batchx16x30x30");
    pg_model_free(m);
}

static void test_wrong_amount_of_data(void **state)
{
    (void)state;
    proto g = NONE, t = NONE;
    onnx_input(&g, "x", "batch 4");
    onnx_tensor_head(&t, "w", ONNX_FLOAT, "4");
    proto_bytes(&t, 9, "123456789012345", 15);
    proto_message(&g, 5, &t);
    onnx_node(&g, "Add", "x w", "y", NULL);
    onnx_output(&g, "y");
    proto file = onnx_model(&g, 13);
    expect_error(&file, PG_E_FORMAT, "tensor 'w' holds 15 bytes where its shape needs 16", "");
}

static void test_sparse_initializer(void **state)
{
    (void)state;
    proto g = NONE, sparse = NONE, values = NONE, indices = NONE;
    float three[3] = {1, 2, 3};
    int64_t at[3] = {5, 700, 900};
    onnx_input(&g, "x", "batch 64");
    onnx_tensor_head(&values, "w", ONNX_FLOAT, "3");
    proto_bytes(&values, 9, three, sizeof three);
    onnx_tensor_head(&indices, NULL, ONNX_INT64, "3");
    proto_bytes(&indices, 9, at, sizeof at);
    proto_message(&sparse, 1, &values);
    proto_message(&sparse, 2, &indices);
    proto_int(&sparse, 3, 64);
    proto_int(&sparse, 3, 16);
    proto_message(&g, 15, &sparse);
    onnx_node(&g, "MatMul", "x w", "y", NULL);
    onnx_output(&g, "y");
    pg_model *m = open_graph(&g, 13);
    expect_output(m, "batchx16");
    assert_true(pg_model_describe(m)->weights_bytes == 3 * 4 + 3 * 8);
    pg_model_free(m);
}

/* ---- functions ---- */

/* y = Transpose(x, perm = the function's attribute `order`, by default 0 2 1) */
static void put_function(proto *file, bool with_default)
{
    proto f = NONE, attrs = NONE, fallback = NONE;
    proto_text(&f, 1, "Turn");
    proto_text(&f, 4, "a");
    proto_text(&f, 5, "b");
    proto_text(&f, 10, "mine");
    onnx_attr_ref(&attrs, "perm", "order", 7);
    onnx_node_in(&f, 7, "Transpose", "a", "inner", &attrs);
    onnx_node_in(&f, 7, "Relu", "inner", "b", NULL);
    if (with_default) {
        proto_text(&fallback, 1, "order");
        for (int i = 0; i < 3; i++) proto_int(&fallback, 8, (3 - i) % 3);
        proto_int(&fallback, 20, 7);
        proto_message(&f, 11, &fallback);
    } else {
        proto_text(&f, 6, "order");
    }
    proto_message(file, 25, &f);
}

static void test_function_with_attribute(void **state)
{
    (void)state;
    for (int given = 0; given < 2; given++) {
        proto g = NONE, attrs = NONE;
        onnx_input(&g, "x", "2 3 5");
        if (given) onnx_attr_ints(&attrs, "order", "2 0 1");
        onnx_node(&g, "mine::Turn", "x", "y", &attrs);
        onnx_output(&g, "y");
        proto file = onnx_model(&g, 17);
        onnx_opset(&file, "mine", 1);
        put_function(&file, !given);
        pg_model *m = open_good(&file);
        assert_int_equal(operators(m, "Transpose"), 1);
        assert_int_equal(operators(m, "Relu"), 1);
        assert_int_equal(pg_model_describe(m)->unknown_operator_count, 0);
        assert_int_equal(pg_model_describe(m)->outputs[0].dims[0].value, given ? 5 : 1);
        pg_model_free(m);
    }
}

/* A function twice: its inner names are not shared. */
static void test_function_called_twice(void **state)
{
    (void)state;
    proto g = NONE, a = NONE, b = NONE;
    onnx_input(&g, "x", "2 3 5");
    onnx_attr_ints(&a, "order", "2 0 1");
    onnx_attr_ints(&b, "order", "1 0 2");
    onnx_node(&g, "mine::Turn", "x", "inner", &a);
    onnx_node(&g, "mine::Turn", "inner", "y", &b);
    onnx_output(&g, "y");
    proto file = onnx_model(&g, 17);
    put_function(&file, false);
    pg_model *m = open_good(&file);
    assert_int_equal(operators(m, "Transpose"), 2);
    assert_int_equal(pg_model_describe(m)->outputs[0].dims[1].value, 5);
    pg_model_free(m);
}

static void test_function_that_calls_itself(void **state)
{
    (void)state;
    proto g = NONE, f = NONE;
    onnx_input(&g, "x", "2 3");
    onnx_node(&g, "mine::Again", "x", "y", NULL);
    onnx_output(&g, "y");
    proto file = onnx_model(&g, 17);
    proto_text(&f, 1, "Again");
    proto_text(&f, 4, "a");
    proto_text(&f, 5, "b");
    proto_text(&f, 10, "mine");
    onnx_node_in(&f, 7, "mine::Again", "a", "b", NULL);
    proto_message(&file, 25, &f);
    expect_error(&file, PG_E_LIMIT, "'Again' calls itself", "");
}

/* ---- control flow: bodies see what is around them ---- */

static void test_if_captures(void **state)
{
    (void)state;
    proto g = NONE, yes = NONE, no = NONE, attrs = NONE;
    onnx_input(&g, "x", "batch 64");
    onnx_value(&g, 11, "choose", ONNX_BOOL, "");
    onnx_weight(&g, "w", ONNX_FLOAT, "64 64");
    onnx_node(&yes, "MatMul", "x w", "a", NULL);
    onnx_output(&yes, "a");
    onnx_node(&no, "Relu", "x", "b", NULL);
    onnx_output(&no, "b");
    onnx_attr_graph(&attrs, "then_branch", &yes);
    onnx_attr_graph(&attrs, "else_branch", &no);
    onnx_node(&g, "If", "choose", "y", &attrs);
    onnx_output(&g, "y");
    pg_model *m = open_graph(&g, 13);
    expect_output(m, "batchx64");
    assert_int_equal(operators(m, "MatMul"), 1);
    assert_true(pg_model_describe(m)->parameters == 4096);
    pg_model_free(m);
}

static void test_loop_captures(void **state)
{
    (void)state;
    proto g = NONE, body = NONE, attrs = NONE;
    onnx_input(&g, "x", "batch 64");
    onnx_weight(&g, "w", ONNX_FLOAT, "64 64");
    onnx_ints(&g, "trips", "", "5");
    onnx_value(&body, 11, "i", ONNX_INT64, "");
    onnx_value(&body, 11, "go", ONNX_BOOL, "");
    onnx_input(&body, "h", "batch 64");
    onnx_node(&body, "Identity", "go", "go_on", NULL);
    onnx_node(&body, "MatMul", "h w", "h2", NULL);
    onnx_output(&body, "go_on");
    onnx_output(&body, "h2");
    onnx_attr_graph(&attrs, "body", &body);
    onnx_node(&g, "Loop", "trips _ x", "y", &attrs);
    onnx_output(&g, "y");
    pg_model *m = open_graph(&g, 13);
    expect_output(m, "batchx64");
    assert_true(pg_model_describe(m)->macs == 5 * 4096);
    pg_model_free(m);
}

static void test_scan_captures(void **state)
{
    (void)state;
    proto g = NONE, body = NONE, attrs = NONE;
    onnx_input(&g, "state", "8 64");
    onnx_input(&g, "xs", "10 8 64");
    onnx_weight(&g, "w", ONNX_FLOAT, "64 64");
    onnx_input(&body, "s", "8 64");
    onnx_input(&body, "x", "8 64");
    onnx_node(&body, "MatMul", "x w", "p", NULL);
    onnx_node(&body, "Add", "p s", "s2", NULL);
    onnx_node(&body, "Relu", "s2", "out", NULL);
    onnx_output(&body, "s2");
    onnx_output(&body, "out");
    onnx_attr_int(&attrs, "num_scan_inputs", 1);
    onnx_attr_graph(&attrs, "body", &body);
    onnx_node(&g, "Scan", "state xs", "last all", &attrs);
    onnx_output(&g, "last");
    onnx_output(&g, "all");
    pg_model *m = open_graph(&g, 13);
    assert_int_equal(pg_model_describe(m)->outputs[1].rank, 3);
    assert_int_equal(pg_model_describe(m)->outputs[1].dims[0].value, 10);
    assert_true(pg_model_describe(m)->macs > 0);
    pg_model_free(m);
}

/* ---- order and names ---- */

static void test_unsorted_nodes(void **state)
{
    (void)state;
    proto g = NONE;
    onnx_output(&g, "y");
    onnx_node(&g, "Relu", "b", "y", NULL);
    onnx_node(&g, "Sigmoid", "a", "b", NULL);
    onnx_node(&g, "MatMul", "x w", "a", NULL);
    onnx_weight(&g, "w", ONNX_FLOAT, "64 10");
    onnx_input(&g, "x", "batch 64");
    pg_model *m = open_graph(&g, 13);
    expect_output(m, "batchx10");
    assert_int_equal(pg_model_describe(m)->operators, 3);
    pg_model_free(m);
}

static void test_cycle(void **state)
{
    (void)state;
    proto g = NONE;
    onnx_input(&g, "x", "batch 64");
    onnx_node(&g, "Relu", "x", "a", NULL);
    onnx_node(&g, "Add", "a c", "b", NULL);
    onnx_node(&g, "Sigmoid", "b", "c", NULL);
    onnx_output(&g, "c");
    proto file = onnx_model(&g, 13);
    expect_error(&file, PG_E_GRAPH, "Add is part of a cycle", "'b'");
}

static void test_node_that_reads_itself(void **state)
{
    (void)state;
    proto g = NONE;
    onnx_input(&g, "x", "batch 64");
    onnx_node(&g, "Add", "x a", "a", NULL);
    onnx_output(&g, "a");
    proto file = onnx_model(&g, 13);
    expect_error(&file, PG_E_GRAPH, "cycle", "'a'");
}

/* Through a body: the loop's result is what the body captures. */
static void test_cycle_through_a_body(void **state)
{
    (void)state;
    proto g = NONE, body = NONE, no = NONE, attrs = NONE;
    onnx_input(&g, "x", "batch 64");
    onnx_value(&g, 11, "choose", ONNX_BOOL, "");
    onnx_node(&body, "Relu", "late", "a", NULL);
    onnx_output(&body, "a");
    onnx_node(&no, "Relu", "x", "b", NULL);
    onnx_output(&no, "b");
    onnx_node(&g, "Relu", "y", "late", NULL);
    onnx_attr_graph(&attrs, "then_branch", &body);
    onnx_attr_graph(&attrs, "else_branch", &no);
    onnx_node(&g, "If", "choose", "y", &attrs);
    onnx_output(&g, "y");
    proto file = onnx_model(&g, 13);
    expect_error(&file, PG_E_GRAPH, "cycle", "");
}

static void test_undefined_input(void **state)
{
    (void)state;
    proto g = NONE;
    onnx_input(&g, "x", "batch 64");
    onnx_node(&g, "Add", "x nowhere", "y", NULL);
    onnx_output(&g, "y");
    proto file = onnx_model(&g, 13);
    expect_error(&file, PG_E_GRAPH, "input 'nowhere' of Add", "node 'y'");
}

static void test_undefined_output(void **state)
{
    (void)state;
    proto g = NONE;
    onnx_input(&g, "x", "batch 64");
    onnx_node(&g, "Relu", "x", "y", NULL);
    onnx_output(&g, "z");
    proto file = onnx_model(&g, 13);
    expect_error(&file, PG_E_GRAPH, "output 'z' is produced by no node", "");
}

static void test_name_produced_twice(void **state)
{
    (void)state;
    for (int which = 0; which < 3; which++) {
        proto g = NONE;
        onnx_input(&g, "x", "batch 64");
        if (which == 0) onnx_node(&g, "Relu", "x", "y", NULL);
        if (which == 1) onnx_weight(&g, "y", ONNX_FLOAT, "64");
        if (which == 2) onnx_input(&g, "y", "batch 64");
        onnx_node(&g, "Sigmoid", "x", "y", NULL);
        onnx_output(&g, "y");
        proto file = onnx_model(&g, 13);
        expect_error(&file, PG_E_GRAPH, "'y' is produced twice", "");
    }
}

static void test_missing_names(void **state)
{
    (void)state;
    proto g = NONE;
    onnx_input(&g, "x", "batch 64");
    onnx_node(&g, "", "x", "y", NULL);
    onnx_output(&g, "y");
    proto file = onnx_model(&g, 13);
    expect_error(&file, PG_E_FORMAT, "node 'y' has no operator type", "");
}

static void test_too_few_inputs(void **state)
{
    (void)state;
    proto g = NONE;
    onnx_input(&g, "x", "batch 64");
    onnx_node(&g, "MatMul", "x", "y", NULL);
    onnx_output(&g, "y");
    proto file = onnx_model(&g, 13);
    expect_error(&file, PG_E_GRAPH, "MatMul has 1 inputs and 1 outputs", "node 'y'");
}

static void test_first_input_left_out(void **state)
{
    (void)state;
    proto g = NONE;
    onnx_input(&g, "x", "batch 64");
    onnx_node(&g, "Cast", "_", "y", NULL);
    onnx_output(&g, "y");
    proto file = onnx_model(&g, 13);
    expect_error(&file, PG_E_GRAPH, "Cast leaves out its first input", "node 'y'");
}

/* ---- operators ---- */

static void test_newer_opset_warns(void **state)
{
    (void)state;
    for (int64_t opset = 24; opset <= 25; opset++) {
        proto g = NONE;
        onnx_input(&g, "x", "batch 64");
        onnx_node(&g, "Relu", "x", "y", NULL);
        onnx_output(&g, "y");
        pg_model *m = open_graph(&g, opset);
        const pg_model_info *info = pg_model_describe(m);
        assert_int_equal(info->warning_count, opset > 24);
        if (opset > 24) assert_non_null(strstr(info->warnings[0], "opset 25 is newer than 24"));
        pg_model_free(m);
    }
}

/* One query of a decoder that has 100 positions behind it: it meets 101, whichever operator says so. */
static void test_attention_with_a_cache(void **state)
{
    (void)state;
    static const struct {
        const char *op, *operands, *query, *key, *past;
        int heads, kv_heads;
    } cases[] = {
        {"Attention", "q k v _ p p", "batch 8 1 16", "batch 2 1 16", "batch 2 100 16", 0, 0},
        {"Attention", "q k v _ p p", "batch 1 128", "batch 1 32", "batch 2 100 16", 8, 2},
        {"com.microsoft::GroupQueryAttention", "q k v p p l t", "batch 1 128", "batch 1 32", "batch 2 100 16", 8, 2},
        {"com.microsoft::GroupQueryAttention", "q _ _ p p l t", "batch 1 192", "batch 1 32", "batch 2 100 16", 8, 2},
        {"com.microsoft::MultiHeadAttention", "q k v _ _ _ p p", "batch 1 128", "batch 1 128", "batch 8 100 16", 8, 8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        proto g = NONE, attrs = NONE;
        bool microsoft = cases[i].op[0] == 'c';
        onnx_input(&g, "q", cases[i].query);
        onnx_input(&g, "k", cases[i].key);
        onnx_input(&g, "v", cases[i].key);
        onnx_input(&g, "p", cases[i].past);
        onnx_value(&g, 11, "l", ONNX_INT32, "batch");
        onnx_value(&g, 11, "t", ONNX_INT32, "");
        if (!microsoft) onnx_attr_int(&attrs, "is_causal", 1);
        if (cases[i].heads) onnx_attr_int(&attrs, microsoft ? "num_heads" : "q_num_heads", cases[i].heads);
        if (cases[i].heads) onnx_attr_int(&attrs, "kv_num_heads", cases[i].kv_heads);
        onnx_node(&g, cases[i].op, cases[i].operands, "y", &attrs);
        onnx_output(&g, "y");
        pg_model *m = open_graph(&g, 24);
        double macs = pg_model_describe(m)->macs;
        if (macs != 8 * 101 * 2 * 16) fail_msg("%s %s: %.0f MACs", cases[i].op, cases[i].query, macs);
        pg_model_free(m);
    }
}

static void test_operators_of_opset_24(void **state)
{
    (void)state;
    proto g = NONE;
    onnx_input(&g, "x", "batch 16 64");
    onnx_weight(&g, "w", ONNX_FLOAT, "64");
    onnx_node(&g, "Swish", "x", "a", NULL);
    onnx_node(&g, "RMSNormalization", "a w", "y", NULL);
    onnx_output(&g, "y");
    pg_model *m = open_graph(&g, 24);
    assert_int_equal(pg_model_describe(m)->unknown_operator_count, 0);
    assert_false(warns(m, "newer"));
    expect_output(m, "batchx16x64");
    pg_model_free(m);
}

/* Gates in another order than the file's weights have them: the layer costs what it does with weights in order. */
static void test_gates_in_another_order(void **state)
{
    (void)state;
    double ms[2];
    for (int turned = 0; turned < 2; turned++) {
        proto g = NONE, attrs = NONE, concat[3] = {NONE, NONE, NONE}, split[3] = {NONE, NONE, NONE};
        static const char *const names[3] = {"w", "r", "b"}, *const flat[3] = {"1 256 32", "1 256 64", "1 512"};
        onnx_input(&g, "x", "16 batch 32");
        for (int i = 0; i < 3; i++) {
            char from[32], parts[64], back[64];
            snprintf(from, sizeof from, turned ? "%s_file" : "%s", names[i]);
            onnx_weight(&g, from, ONNX_FLOAT, flat[i]);
            if (!turned) continue;
            snprintf(parts, sizeof parts, "%s1 %s2", names[i], names[i]);
            snprintf(back, sizeof back, "%s2 %s1", names[i], names[i]);
            onnx_attr_int(&split[i], "axis", 1);
            onnx_attr_int(&concat[i], "axis", 1);
            onnx_node(&g, "Split", from, parts, &split[i]);
            onnx_node(&g, "Concat", back, names[i], &concat[i]);
        }
        onnx_attr_int(&attrs, "hidden_size", 64);
        onnx_node(&g, "LSTM", "x w r b", "y", &attrs);
        onnx_output(&g, "y");
        pg_model *m = open_graph(&g, 13);
        ms[turned] = predict(m, 2).latency_ms;
        assert_true(pg_model_describe(m)->parameters == 256 * 32 + 256 * 64 + 512);
        pg_model_free(m);
    }
    expect_near(ms[1], ms[0], 1e-3);
}

/* y = SUM(x) over an axis, in opset 11's form within a file of opset 17, where that attribute is an operand. */
static void put_old_function(proto *file, const char *overload, const char *axis)
{
    proto f = NONE, attrs = NONE, opset = NONE;
    proto_text(&f, 1, "Sum");
    proto_text(&f, 4, "a");
    proto_text(&f, 5, "b");
    proto_text(&f, 10, "mine");
    proto_text(&f, 13, overload);
    proto_text(&opset, 1, "");
    proto_int(&opset, 2, 11);
    proto_message(&f, 9, &opset);
    onnx_attr_ints(&attrs, "axes", axis);
    onnx_attr_int(&attrs, "keepdims", 0);
    onnx_node_in(&f, 7, "ReduceSum", "a", "b", &attrs);
    proto_message(file, 25, &f);
}

/* Functions of one name, told apart by their overload; each written in operators of its own opset. */
static void test_overloads(void **state)
{
    (void)state;
    static const char *const overloads[2] = {"first", "last"};
    for (int i = 0; i < 2; i++) {
        proto g = NONE, attrs = NONE;
        onnx_input(&g, "x", "2 3 5");
        proto_text(&attrs, 8, overloads[i]);
        onnx_node(&g, "mine::Sum", "x", "y", &attrs);
        onnx_output(&g, "y");
        proto file = onnx_model(&g, 17);
        onnx_opset(&file, "mine", 1);
        put_old_function(&file, "first", "1");
        put_old_function(&file, "last", "2");
        pg_model *m = open_good(&file);
        assert_int_equal(pg_model_describe(m)->unknown_operator_count, 0);
        expect_output(m, i ? "batchx3" : "batchx5");
        pg_model_free(m);
    }
}

static proto unknown_file(void)
{
    proto g = NONE;
    onnx_input(&g, "x", "batch 64");
    onnx_node(&g, "mine::Magic", "x", "a", NULL);
    onnx_node(&g, "mine::Magic", "a", "b", NULL);
    onnx_node(&g, "Relu", "b", "y", NULL);
    onnx_value(&g, 13, "a", ONNX_FLOAT, "batch 64");
    onnx_value(&g, 13, "b", ONNX_FLOAT, "batch 64");
    onnx_output(&g, "y");
    return onnx_model(&g, 13);
}

static void test_unknown_operator(void **state)
{
    (void)state;
    proto file = unknown_file();
    pg_model *m = open_good(&file);
    const pg_model_info *info = pg_model_describe(m);
    assert_int_equal(count_of(info->unknown_operators, info->unknown_operator_count, "Magic"), 2);
    assert_int_equal(info->warning_count, 1);
    assert_non_null(strstr(info->warnings[0], "unknown operator 'Magic' of domain 'mine'"));
    expect_output(m, "batchx64"); /* by the declared shape */
    assert_true(predict(m, 4).latency_ms > 0);
    pg_model_free(m);

    pg_error e = PG_ERROR_INIT;
    file = unknown_file();
    assert_int_equal(open_file(&m, &file, true, &e), PG_E_UNSUPPORTED);
    assert_non_null(strstr(e.text, "unknown operator 'Magic' (2 times)"));
}

/* A standard name in a domain that isn't known is another operator. */
static void test_domain_matters(void **state)
{
    (void)state;
    proto g = NONE;
    onnx_input(&g, "x", "batch 64");
    onnx_node(&g, "elsewhere::Relu", "x", "a", NULL);
    onnx_node(&g, "ai.onnx::Relu", "a", "y", NULL);
    onnx_value(&g, 13, "a", ONNX_FLOAT, "batch 64");
    onnx_output(&g, "y");
    pg_model *m = open_graph(&g, 13);
    assert_int_equal(pg_model_describe(m)->unknown_operator_count, 1);
    pg_model_free(m);
}

static void test_packed_weights(void **state)
{
    (void)state;
    proto g = NONE, attrs = NONE;
    onnx_input(&g, "x", "batch 8 4096");
    onnx_weight(&g, "w", ONNX_UINT8, "1024 128 16");
    onnx_weight(&g, "scales", ONNX_FLOAT16, "131072");
    onnx_attr_int(&attrs, "K", 4096);
    onnx_attr_int(&attrs, "N", 1024);
    onnx_attr_int(&attrs, "bits", 4);
    onnx_attr_int(&attrs, "block_size", 32);
    onnx_node(&g, "com.microsoft::MatMulNBits", "x w scales", "y", &attrs);
    onnx_output(&g, "y");
    proto file = onnx_model(&g, 17);
    onnx_opset(&file, "com.microsoft", 1);
    pg_model *m = open_good(&file);
    expect_output(m, "batchx8x1024");
    assert_true(pg_model_describe(m)->parameters == 4096.0 * 1024);
    assert_true(pg_model_describe(m)->macs == 8.0 * 4096 * 1024);
    assert_int_equal(pg_model_describe(m)->unknown_operator_count, 0);
    pg_model_free(m);
}

/* Quantise and dequantise around a product: int8 weights count as parameters, their scales and zero points don't. */
static void test_quantised_pairs(void **state)
{
    (void)state;
    proto g = NONE;
    onnx_input(&g, "x", "batch 64");
    onnx_weight(&g, "s", ONNX_FLOAT, "");
    onnx_weight(&g, "z", ONNX_INT8, "");
    onnx_weight(&g, "w", ONNX_INT8, "64 32");
    onnx_node(&g, "QuantizeLinear", "x s z", "xq", NULL);
    onnx_node(&g, "DequantizeLinear", "xq s z", "xd", NULL);
    onnx_node(&g, "DequantizeLinear", "w s z", "wd", NULL);
    onnx_node(&g, "MatMul", "xd wd", "y", NULL);
    onnx_output(&g, "y");
    pg_model *m = open_graph(&g, 13);
    expect_output(m, "batchx32");
    assert_true(pg_model_describe(m)->macs == 64 * 32);
    assert_true(fabs(pg_model_describe(m)->parameters - 64 * 32) <= 1);
    pg_model_free(m);
}

/* ---- batch and symbols ---- */

static proto network(const char *dims)
{
    proto g = NONE;
    onnx_input(&g, "x", dims);
    onnx_weight(&g, "w", ONNX_FLOAT, "256 64 3 3");
    onnx_weight(&g, "v", ONNX_FLOAT, "256 1000");
    onnx_node(&g, "Conv", "x w", "a", NULL);
    onnx_node(&g, "Relu", "a", "b", NULL);
    onnx_node(&g, "GlobalAveragePool", "b", "c", NULL);
    onnx_node(&g, "Flatten", "c", "d", NULL);
    onnx_node(&g, "MatMul", "d v", "y", NULL);
    onnx_output(&g, "y");
    return onnx_model(&g, 13);
}

/* A file that fixes its batch at 4 says the same per sample as one that leaves it free, and can be put at any batch. */
static void test_fixed_batch(void **state)
{
    (void)state;
    proto one = network("4 64 56 56"), two = network("batch 64 56 56");
    pg_model *fixed = open_good(&one), *open = open_good(&two);
    assert_int_equal(pg_model_describe(fixed)->fixed_batch, 4);
    assert_int_equal(pg_model_describe(open)->fixed_batch, 0);
    assert_true(pg_model_describe(fixed)->has_batch && pg_model_describe(open)->has_batch);
    assert_true(pg_model_describe(fixed)->macs > 0);
    assert_true(pg_model_describe(fixed)->macs == pg_model_describe(open)->macs);
    expect_output(fixed, "batchx1000");
    for (int64_t batch = 1; batch <= 64; batch *= 4) {
        pg_prediction a = predict(fixed, batch), b = predict(open, batch);
        assert_true(a.latency_ms == b.latency_ms);
        assert_true(fabs(a.flops - predict(fixed, 1).flops * (double)batch) < 1e-9 * a.flops);
    }
    pg_model_free(fixed);
    pg_model_free(open);
}

static void test_no_batch(void **state)
{
    (void)state;
    proto g = NONE;
    pg_plan *plan;
    pg_error e = PG_ERROR_INIT;
    onnx_input(&g, "x", "64");
    onnx_node(&g, "Relu", "x", "y", NULL);
    onnx_output(&g, "y");
    pg_model *m = open_graph(&g, 13);
    assert_false(pg_model_describe(m)->has_batch);
    assert_int_equal(pg_plan_open(&plan, m, gpus, &(pg_request){.batch = 2}, &e), PG_E_USAGE);
    assert_null(plan);
    assert_non_null(strstr(e.text, "no batch dimension"));
    assert_true(predict(m, 1).latency_ms > 0);
    pg_model_free(m);
}

static void test_symbolic_dims(void **state)
{
    (void)state;
    proto g = NONE, attrs = NONE;
    onnx_input(&g, "a", "batch seq_len 64");
    onnx_input(&g, "b", "batch 3 64");
    onnx_attr_int(&attrs, "axis", 1);
    onnx_node(&g, "Concat", "a b", "y", &attrs);
    onnx_output(&g, "y");
    pg_model *m = open_graph(&g, 13);
    expect_output(m, "batchxseq_len+3x64");
    assert_string_equal(pg_model_describe(m)->sequence_symbol, "seq_len");
    assert_int_equal(pg_model_describe(m)->sequence, 128);
    pg_model_free(m);
}

/* A dim that the file leaves open without a name is still one that can be chosen. */
static void test_unnamed_dims(void **state)
{
    (void)state;
    proto g = NONE;
    static const pg_input_shape shape = {.name = "x", .rank = 4, .dims = {2, 3, 32, 48}};
    onnx_input(&g, "x", "? 3 ? ?");
    onnx_weight(&g, "w", ONNX_FLOAT, "8 3 1 1");
    onnx_node(&g, "Conv", "x w", "y", NULL);
    onnx_output(&g, "y");
    proto file = onnx_model(&g, 13);
    for (size_t given = 0; given < 2; given++) { /* then nothing is guessed, and nobody is told so */
        pg_model *m;
        pg_error e = PG_ERROR_INIT;
        pg_model_options o = {.format = "onnx", .input_shapes = &shape, .input_shape_count = given};
        assert_int_equal(open_memory(&m, file.ptr, file.len, &o, &e), PG_E_OK);
        assert_true(pg_model_describe(m)->has_batch);
        if (!given) assert_int_equal(pg_model_describe(m)->outputs[0].dims[0].value, 1);
        assert_int_equal(pg_model_describe(m)->outputs[0].dims[2].value, given ? 32 : 224);
        assert_int_equal(warns(m, "neither name nor size"), !given);
        pg_model_free(m);
    }
    proto_free(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shared_weights),
        cmocka_unit_test(test_initializers_as_inputs),
        cmocka_unit_test(test_typed_and_raw_data),
        cmocka_unit_test(test_external_data_is_not_needed),
        cmocka_unit_test(test_wrong_amount_of_data),
        cmocka_unit_test(test_sparse_initializer),
        cmocka_unit_test(test_function_with_attribute),
        cmocka_unit_test(test_function_called_twice),
        cmocka_unit_test(test_function_that_calls_itself),
        cmocka_unit_test(test_if_captures),
        cmocka_unit_test(test_loop_captures),
        cmocka_unit_test(test_scan_captures),
        cmocka_unit_test(test_unsorted_nodes),
        cmocka_unit_test(test_cycle),
        cmocka_unit_test(test_node_that_reads_itself),
        cmocka_unit_test(test_cycle_through_a_body),
        cmocka_unit_test(test_undefined_input),
        cmocka_unit_test(test_undefined_output),
        cmocka_unit_test(test_name_produced_twice),
        cmocka_unit_test(test_missing_names),
        cmocka_unit_test(test_too_few_inputs),
        cmocka_unit_test(test_first_input_left_out),
        cmocka_unit_test(test_newer_opset_warns),
        cmocka_unit_test(test_attention_with_a_cache),
        cmocka_unit_test(test_operators_of_opset_24),
        cmocka_unit_test(test_overloads),
        cmocka_unit_test(test_gates_in_another_order),
        cmocka_unit_test(test_unknown_operator),
        cmocka_unit_test(test_domain_matters),
        cmocka_unit_test(test_packed_weights),
        cmocka_unit_test(test_quantised_pairs),
        cmocka_unit_test(test_fixed_batch),
        cmocka_unit_test(test_no_batch),
        cmocka_unit_test(test_symbolic_dims),
        cmocka_unit_test(test_unnamed_dims),
    };
    return cmocka_run_group_tests(tests, open_gpus, close_gpus);
}
