/* One network through several formats (tests/support/torch/make_pairs.py): the same work, the same time under each runtime, however
 * exporters took it apart. docs/formats.md lists what differs, and why. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include <math.h>
#include <stdio.h>

#include "phantom/phantom.h"
#include "support/expect.h"
#include "support/gpus.h"

#ifndef TEST_ROOT
#define TEST_ROOT "."
#endif

#define CASES TEST_ROOT "/tests/cases/pytorch/"

static const char *const runtimes[] = {"pytorch", "pytorch-compile", "tensorrt", "onnxruntime"};
enum { RUNTIMES = 4, ENGINES = 3 };

static pg_model *open_case(const char *name, const char *ending, int rank, const int64_t *dims)
{
    char path[256];
    pg_model *m;
    pg_error e = PG_ERROR_INIT;
    pg_input_shape shape = {.name = "x", .rank = rank};
    for (int i = 0; i < rank; i++) shape.dims[i] = dims[i];
    snprintf(path, sizeof path, CASES "%s%s", name, ending);
    if (pg_model_open(&m, path, &(pg_model_options){.input_shapes = &shape, .input_shape_count = rank ? 1 : 0}, &e))
        fail_msg("%s: %s", path, e.text);
    return m;
}

static double latency(const pg_model *m, const char *runtime)
{
    pg_plan *plan;
    pg_prediction p;
    pg_error e = PG_ERROR_INIT;
    pg_request r = {.batch = 2, .precision = "fp16", .runtime = runtime};
    if (pg_plan_open(&plan, m, gpus, &r, &e)) fail_msg("%s", e.text);
    assert_int_equal(pg_plan_predict(plan, pg_catalog_find(gpus, "a100", &e), &p, &e), PG_E_OK);
    pg_plan_free(plan);
    return p.latency_ms;
}

static void test_pairs(void **state)
{
    static const struct {
        const char *name, *first, *second;
        int rank;
        int64_t dims[4];
        int which; /* as many of the runtimes */
    } pairs[] = {
        {"unet", "_dynamic.pt2", "_trace.pt", 4, {2, 3, 16, 16}, RUNTIMES},
        {"unet", "_dynamic.pt2", "_decomposed.pt2", 4, {2, 3, 16, 16}, RUNTIMES},
        {"unet", "_dynamic.pt2", ".onnx", 4, {2, 3, 16, 16}, RUNTIMES},
        {"resized", "_dynamic.pt2", "_trace.pt", 4, {2, 3, 16, 16}, RUNTIMES},
        {"resized", "_dynamic.pt2", "_decomposed.pt2", 4, {2, 3, 16, 16}, RUNTIMES},
        {"resized", "_dynamic.pt2", ".onnx", 4, {2, 3, 16, 16}, RUNTIMES},
        {"summed", "_dynamic.pt2", "_trace.pt", 3, {2, 6, 32}, RUNTIMES},
        {"summed",
         "_dynamic.pt2",
         "_decomposed.pt2",
         3,
         {2, 6, 32},
         ENGINES}, /* ONNX Runtime has a kernel for a Transpose */
        {"summed", "_dynamic.pt2", ".onnx", 3, {2, 6, 32}, RUNTIMES},
        {"bag", "_trace.pt", "_script.pt", 2, {2, 6}, RUNTIMES},
        {"bag", "_trace.pt", ".onnx", 2, {2, 6}, RUNTIMES}, /* a loop over the bags */
        {"parts", "_dynamic.pt2", "_trace.pt", 3, {2, 9, 16}, RUNTIMES},
        {"parts", "_dynamic.pt2", "_decomposed.pt2", 3, {2, 9, 16}, RUNTIMES},
        {"parts", "_dynamic.pt2", ".onnx", 3, {2, 9, 16}, RUNTIMES},
        /* as PyTorch's second exporter writes them: laid out, and as calls of its library's functions, whose products hold the
         * bias that ONNX Runtime otherwise runs a kernel for */
        {"gpt", "_dynamic.pt2", "_dynamo.onnx", 2, {2, 32}, RUNTIMES},
        {"gpt", "_dynamic.pt2", "_functions.onnx", 2, {2, 32}, ENGINES},
        {"gpt", "_functions.onnx", "_overloads.onnx", 2, {2, 32}, RUNTIMES},
        {"causal", "_dynamic.pt2", "_dynamo.onnx", 3, {2, 32, 16}, RUNTIMES},
        {"residual", "_dynamic.pt2", "_dynamo.onnx", 4, {2, 3, 32, 32}, RUNTIMES},
        {"placed", "_dynamic.pt2", "_decomposed.pt2", 3, {2, 16, 16}, RUNTIMES},
        {"placed", "_trace.pt", ".onnx", 3, {2, 16, 16}, RUNTIMES},
        /* recurrent layers, which decompositions unroll over time, and cells, which traces take apart */
        {"layer", "_dynamic.pt2", "_trace.pt", 3, {2, 4, 6}, RUNTIMES},
        {"layer", "_dynamic.pt2", "_decomposed.pt2", 3, {2, 4, 6}, RUNTIMES},
        {"layer", "_dynamic.pt2", ".onnx", 3, {2, 4, 6}, RUNTIMES},
        {"layer", "_dynamic.pt2", "_dynamo.onnx", 3, {2, 4, 6}, RUNTIMES},
        {"layers", "_dynamic.pt2", "_trace.pt", 3, {2, 4, 6}, RUNTIMES},
        {"layers", "_dynamic.pt2", "_decomposed.pt2", 3, {2, 4, 6}, RUNTIMES},
        {"layers", "_dynamic.pt2", "_onednn.pt2", 3, {2, 4, 6}, RUNTIMES},
        {"layers", "_dynamic.pt2", ".onnx", 3, {2, 4, 6}, RUNTIMES},
        {"started_gru", "_dynamic.pt2", "_trace.pt", 3, {2, 4, 6}, RUNTIMES},
        {"started_gru", "_dynamic.pt2", "_decomposed.pt2", 3, {2, 4, 6}, RUNTIMES},
        {"started_gru", "_dynamic.pt2", ".onnx", 3, {2, 4, 6}, RUNTIMES},
        {"started_rnn", "_dynamic.pt2", "_trace.pt", 3, {2, 4, 6}, RUNTIMES},
        {"started_rnn", "_dynamic.pt2", "_decomposed.pt2", 3, {2, 4, 6}, RUNTIMES},
        {"started_rnn", "_dynamic.pt2", ".onnx", 3, {2, 4, 6}, RUNTIMES},
        {"cells_lstm", "_dynamic.pt2", "_trace.pt", 3, {2, 4, 6}, RUNTIMES},
        {"cells_lstm", "_dynamic.pt2", "_decomposed.pt2", 3, {2, 4, 6}, RUNTIMES},
        {"cells_lstm", "_dynamic.pt2", ".onnx", 3, {2, 4, 6}, RUNTIMES},
        {"cells_gru", "_dynamic.pt2", "_trace.pt", 3, {2, 4, 6}, RUNTIMES},
        {"cells_gru", "_dynamic.pt2", "_decomposed.pt2", 3, {2, 4, 6}, RUNTIMES},
        {"cells_gru", "_dynamic.pt2", ".onnx", 3, {2, 4, 6}, RUNTIMES},
        {"cells_rnn", "_dynamic.pt2", "_trace.pt", 3, {2, 4, 6}, RUNTIMES},
        {"cells_rnn", "_dynamic.pt2", "_decomposed.pt2", 3, {2, 4, 6}, RUNTIMES},
        {"cells_rnn", "_dynamic.pt2", ".onnx", 3, {2, 4, 6}, RUNTIMES},
        {"cells_own", "_dynamic.pt2", "_trace.pt", 3, {2, 4, 6}, RUNTIMES},
        {"cells_own", "_dynamic.pt2", ".onnx", 3, {2, 4, 6}, RUNTIMES},
        /* in place, to a part of a tensor */
        {"added", "_dynamic.pt2", "_trace.pt", 3, {2, 9, 16}, RUNTIMES},
        {"added", "_dynamic.pt2", "_script.pt", 3, {2, 9, 16}, RUNTIMES},
        {"added", "_dynamic.pt2", "_decomposed.pt2", 3, {2, 9, 16}, RUNTIMES},
        {"added", "_dynamic.pt2", ".onnx", 3, {2, 9, 16}, RUNTIMES},
        {"assigned", "_trace.pt", ".onnx", 3, {2, 9, 16}, RUNTIMES},
        {"padded", "_trace.pt", ".onnx", 4, {2, 8, 8, 16}, RUNTIMES},
        /* a detector's choice; ONNX Runtime casts what it already is */
        {"chosen", "_script.pt", ".onnx", 2, {64, 16}, ENGINES},
    };
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        pg_model *a = open_case(pairs[i].name, pairs[i].first, pairs[i].rank, pairs[i].dims);
        pg_model *b = open_case(pairs[i].name, pairs[i].second, pairs[i].rank, pairs[i].dims);
        double macs[2] = {pg_model_describe(a)->macs, pg_model_describe(b)->macs};
        if (macs[0] != macs[1] || !(macs[0] > 0))
            fail_msg("%s%s: %.0f MACs instead of %.0f", pairs[i].name, pairs[i].second, macs[1], macs[0]);
        assert_int_equal(pg_model_describe(b)->unknown_operator_count, 0);
        for (int r = 0; r < pairs[i].which; r++) {
            double ratio = latency(b, runtimes[r]) / latency(a, runtimes[r]);
            if (fabs(ratio - 1) > 0.02)
                fail_msg("%s%s under %s: %.3f of the time", pairs[i].name, pairs[i].second, runtimes[r], ratio);
        }
        pg_model_free(a);
        pg_model_free(b);
    }
}

/* One layer of two directions on another; steps with weights of their own, a state in the middle that is read, and the formulas in a
 * model's own code stay what they are. */
static void test_recurrent(void **state)
{
    static const struct {
        const char *name, *ending;
        uint64_t lstm, tanh;
    } files[] = {
        {"layers", "_decomposed.pt2", 2, 0}, {"layers", "_onednn.pt2", 2, 0},  {"cells_lstm", "_trace.pt", 4, 0},
        {"layer", "_dynamo.onnx", 1, 0},     {"layer", "_weights.onnx", 0, 8}, {"layer", "_read.onnx", 0, 8},
        {"cells_own", "_trace.pt", 0, 8},    {"cells_own", ".onnx", 0, 8},     {"cells_own", "_dynamic.pt2", 0, 8}};
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        pg_model *m = open_case(files[i].name, files[i].ending, 3, (int64_t[]){2, 4, 6});
        if (operators(m, "LSTM") != files[i].lstm || operators(m, "Tanh") != files[i].tanh)
            fail_msg("%s%s: %d LSTM, %d Tanh", files[i].name, files[i].ending, (int)operators(m, "LSTM"),
                     (int)operators(m, "Tanh"));
        pg_model_free(m);
    }
}

/* An addition in place writes nothing behind it; a sum that is assigned to the part is written. */
static void test_writes(void **state)
{
    static const struct {
        const char *name, *ending;
        uint64_t written, scattered;
    } files[] = {{"added", "_trace.pt", 0, 0},         {"added", "_script.pt", 0, 0},
                 {"added", "_decomposed.pt2", 0, 0},   {"added", ".onnx", 0, 0},
                 {"assigned", "_trace.pt", 1, 0},      {"assigned", ".onnx", 0, 1},
                 {"assigned", "_decomposed.pt2", 2, 0}};
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        pg_model *m = open_case(files[i].name, files[i].ending, 3, (int64_t[]){2, 9, 16});
        if (operators(m, "TensorScatter") != files[i].written || operators(m, "ScatterND") != files[i].scattered)
            fail_msg("%s%s: %d written, %d scattered", files[i].name, files[i].ending,
                     (int)operators(m, "TensorScatter"), (int)operators(m, "ScatterND"));
        pg_model_free(m);
    }
}

/* torch.export leaves slices out that keep everything, as compilers and engines do; ONNX Runtime copies. */
static void test_kept(void **state)
{
    (void)state;
    pg_model *a = open_case("padded", "_dynamic.pt2", 4, (int64_t[]){2, 8, 8, 16});
    pg_model *b = open_case("padded", ".onnx", 4, (int64_t[]){2, 8, 8, 16});
    assert_true(fabs(latency(b, "pytorch-compile") / latency(a, "pytorch-compile") - 1) < 0.001);
    assert_true(fabs(latency(b, "tensorrt") / latency(a, "tensorrt") - 1) < 0.001);
    assert_true(latency(b, "onnxruntime") > 1.05 * latency(a, "onnxruntime"));
    pg_model_free(a);
    pg_model_free(b);
}

/* A product of heads as einsum, decomposed: a permute behind another is one Transpose in ONNX Runtime, one of single elements none. */
static void test_turns(void **state)
{
    (void)state;
    pg_model *a = open_case("summed", "_dynamic.pt2", 3, (int64_t[]){2, 6, 32});
    pg_model *b = open_case("summed", "_decomposed.pt2", 3, (int64_t[]){2, 6, 32});
    assert_true(fabs(latency(b, "onnxruntime") / latency(a, "onnxruntime") - 1) < 0.05);
    pg_model_free(a);
    pg_model_free(b);
}

/* 24 indices in 6 bags, whose rows a loop would cut out of the list. */
static void test_listed_bags(void **state)
{
    (void)state;
    pg_model *m = open_case("listed", ".onnx", 0, NULL);
    const pg_model_info *info = pg_model_describe(m);
    assert_int_equal(operators(m, "Loop"), 0);
    assert_int_equal(operators(m, "Gather"), 1);
    assert_int_equal(operators(m, "ReduceMax"), 1);
    expect_shape(&info->outputs[0], "6x4");
    assert_true(info->macs == 6 * 8 * 4);
    pg_model_free(m);
}

/* torchvision's script asks whether there are any boxes, and whether they are too many to be taken at once: some, and not so many. */
static void test_scripted_boxes(void **state)
{
    (void)state;
    pg_model *m = open_case("kept", "_script.pt", 2, (int64_t[]){64, 16});
    const pg_model_info *info = pg_model_describe(m);
    assert_int_equal(info->unknown_operator_count, 0);
    assert_int_equal(operators(m, "NonMaxSuppression"), 1);
    expect_shape(&info->outputs[0], "10x3");
    pg_model_free(m);
}

/* An image without a batch, and a head for as many boxes as go on: [3, 32, 32] to 16 x 16 pixels, of which 20 are kept. */
static void test_detector(void **state)
{
    (void)state;
    pg_model *m = open_case("found", ".onnx", 0, NULL);
    const pg_model_info *info = pg_model_describe(m);
    assert_false(info->has_batch);
    expect_shape(&info->inputs[0], "3x32x32");
    expect_shape(&info->outputs[0], "20x6");
    assert_true(info->macs == 256 * (27 * 8 + 8 * 4 + 8) + 20 * 4 * 6);
    assert_true(warns(m, "it takes the first 20 of a number that data decide"));
    pg_model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pairs),       cmocka_unit_test(test_recurrent),
                                       cmocka_unit_test(test_writes),      cmocka_unit_test(test_kept),
                                       cmocka_unit_test(test_turns),       cmocka_unit_test(test_scripted_boxes),
                                       cmocka_unit_test(test_listed_bags), cmocka_unit_test(test_detector)};
    return cmocka_run_group_tests(tests, open_gpus, close_gpus);
}
