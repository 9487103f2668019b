/* Sequences of tensors in ONNX files: what is made of them, and what stays as it is. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include <stdio.h>

#include "fuzz/proto.h"
#include "phantom/phantom.h"
#include "support/expect.h"

#define NONE       \
    {              \
        NULL, 0, 0 \
    }

static pg_model *open_graph(proto *graph)
{
    pg_model *m;
    pg_error e = PG_ERROR_INIT;
    proto file = onnx_model(graph, 17);
    if (open_memory(&m, file.ptr, file.len, &(pg_model_options){.format = "onnx"}, &e))
        fail_msg("%s: %s", e.path, e.text);
    proto_free(&file);
    return m;
}

static void expect_output(const pg_model *m, const char *shape, double macs)
{
    assert_int_equal(pg_model_describe(m)->output_count, 1);
    expect_shape(&pg_model_describe(m)->outputs[0], shape);
    if (pg_model_describe(m)->macs != macs) fail_msg("%g MACs instead of %g", pg_model_describe(m)->macs, macs);
}

/* Elements of different sizes: each place has its own. */
static void test_elements(void **state)
{
    static const struct {
        const char *place, *shape;
        double macs;
    } cases[] = {{"0", "batchx4", 8 * 4},  {"1", "batchx5", 8 * 5}, {"2", "batchx6", 8 * 6},
                 {"-1", "batchx6", 8 * 6}, {"3", "unknown", 0},     {"-4", "unknown", 0}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        proto g = NONE;
        onnx_input(&g, "x", "batch 8");
        onnx_weight(&g, "v", ONNX_FLOAT, "8 4");
        onnx_weight(&g, "w", ONNX_FLOAT, "8 5");
        onnx_weight(&g, "u", ONNX_FLOAT, "8 6");
        onnx_ints(&g, "one", "", "1");
        onnx_ints(&g, "two", "", "-1");
        onnx_ints(&g, "place", "", cases[i].place);
        onnx_node(&g, "MatMul", "x v", "a", NULL);
        onnx_node(&g, "MatMul", "x w", "b", NULL);
        onnx_node(&g, "MatMul", "x u", "c", NULL);
        onnx_node(&g, "SequenceConstruct", "a c", "s", NULL);
        onnx_node(&g, "SequenceInsert", "s b one", "t", NULL);
        onnx_node(&g, "SequenceInsert", "t x", "more", NULL);
        onnx_node(&g, "SequenceErase", "more two", "less", NULL);
        onnx_node(&g, "Identity", "less", "same", NULL);
        onnx_node(&g, "SequenceAt", "same place", "y", NULL);
        onnx_output(&g, "y");
        pg_model *m = open_graph(&g);
        expect_shape(&pg_model_describe(m)->outputs[0], cases[i].shape);
        if (cases[i].macs > 0) assert_true(pg_model_describe(m)->macs >= cases[i].macs);
        pg_model_free(m);
    }
}

static void test_joined(void **state)
{
    (void)state;
    for (int stack = 0; stack < 2; stack++) {
        proto g = NONE, attrs = NONE;
        onnx_input(&g, "x", "batch 8");
        onnx_node(&g, "Relu", "x", "y", NULL);
        onnx_node(&g, "SequenceEmpty", "", "none", NULL);
        onnx_node(&g, "SequenceInsert", "none x", "one", NULL);
        onnx_node(&g, "SequenceInsert", "one y", "two", NULL);
        onnx_attr_int(&attrs, "axis", 1);
        onnx_attr_int(&attrs, "new_axis", stack);
        onnx_node(&g, "ConcatFromSequence", "two", "z", &attrs);
        onnx_output(&g, "z");
        pg_model *m = open_graph(&g);
        expect_output(m, stack ? "batchx2x8" : "batchx16", 0);
        assert_int_equal(operators(m, "Concat"), 1);
        pg_model_free(m);
    }
}

/* One size for all parts, a list of sizes, or one element each without its axis. */
static void test_split(void **state)
{
    static const struct {
        const char *dims, *sizes, *place, *shape;
    } cases[] = {{"", "3", "1", "batchx3"},      {"", "3", "2", "batchx2"},
                 {"3", "1 2 5", "2", "batchx5"}, {"", "1", "-1", "batchx1"},
                 {"", "3", "-1", "batchx?"},     {"", "0", "1", "batchx?"},
                 {NULL, NULL, "4", "batch"},     {"", "9223372036854775807", "9223372036854775807", "batchx0"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        proto g = NONE, attrs = NONE;
        onnx_input(&g, "x", "batch 8");
        onnx_ints(&g, "place", "", cases[i].place);
        if (cases[i].sizes) onnx_ints(&g, "sizes", cases[i].dims, cases[i].sizes);
        onnx_attr_int(&attrs, "axis", 1);
        if (!cases[i].sizes) onnx_attr_int(&attrs, "keepdims", 0);
        onnx_node(&g, "SplitToSequence", cases[i].sizes ? "x sizes" : "x", "s", &attrs);
        onnx_node(&g, "SequenceAt", "s place", "y", NULL);
        onnx_output(&g, "y");
        pg_model *m = open_graph(&g);
        const pg_tensor *y = &pg_model_describe(m)->outputs[0];
        if (strchr(cases[i].shape, '?')) assert_false(y->rank == 2 && y->dims[1].value == 3);
        else expect_shape(y, cases[i].shape);
        pg_model_free(m);
    }
}

static proto loop_over_parts(const char *trips, bool counts)
{
    proto g = NONE, body = NONE, attrs = NONE;
    onnx_input(&g, "x", "batch 8");
    onnx_weight(&g, "w", ONNX_FLOAT, "2 4");
    onnx_ints(&g, "trips", "", trips);
    onnx_ints(&g, "two", "1", "2");
    onnx_ints(&g, "axis", "1", "1");
    onnx_ints(&g, "front", "1", "0");
    onnx_node(&g, "SequenceEmpty", "", "none", NULL);
    onnx_value(&body, 11, "i", ONNX_INT64, "");
    onnx_value(&body, 11, "go", ONNX_BOOL, "");
    onnx_value(&body, 11, "s", ONNX_FLOAT, NULL);
    onnx_node(&body, "Unsqueeze", "i front", "at", NULL);
    onnx_node(&body, "Mul", "at two", "from", NULL);
    onnx_node(&body, "Add", "from two", "to", NULL);
    onnx_node(&body, "Slice", "x from to axis", "part", NULL);
    onnx_node(&body, "MatMul", "part w", "product", NULL);
    onnx_node(&body, "SequenceInsert", "s product", "s2", NULL);
    onnx_node(&body, counts ? "Not" : "Identity", "go", "go_on", NULL);
    onnx_output(&body, "go_on");
    onnx_output(&body, "s2");
    onnx_attr_graph(&attrs, "body", &body);
    onnx_node(&g, "Loop", "trips _ none", "all", &attrs);
    onnx_attr_int(&attrs, "axis", 1);
    onnx_node(&g, "ConcatFromSequence", "all", "y", &attrs);
    onnx_output(&g, "y");
    return g;
}

/* A loop that fills a sequence is laid out where the file says how often it runs, and stays a loop otherwise. */
static void test_loop(void **state)
{
    (void)state;
    proto g = loop_over_parts("4", false);
    pg_model *m = open_graph(&g);
    expect_output(m, "batchx16", 4 * 2 * 4);
    assert_int_equal(operators(m, "Loop"), 0);
    assert_int_equal(operators(m, "MatMul"), 4);
    pg_model_free(m);
    static const char *const stay[] = {"65", "-1", "9223372036854775807"};
    for (size_t i = 0; i <= sizeof stay / sizeof stay[0];
         i++) { /* too many rounds, no number of them, a condition in the body */
        g = i < sizeof stay / sizeof stay[0] ? loop_over_parts(stay[i], false) : loop_over_parts("4", true);
        m = open_graph(&g);
        assert_int_equal(operators(m, "Loop"), 1);
        pg_model_free(m);
    }
}

/* Files that would grow to more than they hold: loops of loops' results stay within one budget. */
static void test_growth(void **state)
{
    (void)state;
    proto g = NONE;
    onnx_input(&g, "x", "batch 8");
    onnx_ints(&g, "trips", "", "64");
    onnx_ints(&g, "last", "", "-1");
    onnx_node(&g, "SequenceEmpty", "", "s0", NULL);
    for (int i = 0; i < 300; i++) {
        proto body = NONE, attrs = NONE;
        char in[64], out[64];
        onnx_value(&body, 11, "i", ONNX_INT64, "");
        onnx_value(&body, 11, "go", ONNX_BOOL, "");
        onnx_value(&body, 11, "s", ONNX_FLOAT, NULL);
        onnx_node(&body, "Relu", "x", "r", NULL);
        onnx_node(&body, "SequenceInsert", "s r", "s2", NULL);
        onnx_output(&body, "go");
        onnx_output(&body, "s2");
        onnx_attr_graph(&attrs, "body", &body);
        snprintf(in, sizeof in, "trips _ s%d", i);
        snprintf(out, sizeof out, "s%d", i + 1);
        onnx_node(&g, "Loop", in, out, &attrs);
    }
    onnx_node(&g, "SequenceAt", "s300 last", "y", NULL);
    onnx_output(&g, "y");
    pg_model *m = open_graph(&g);
    assert_true(pg_model_describe(m)->operators < 40000);
    pg_model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_elements), cmocka_unit_test(test_joined), cmocka_unit_test(test_split),
        cmocka_unit_test(test_loop),     cmocka_unit_test(test_growth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
