/* What is said of predictions that rest on little: a runtime that is not made for the GPU, units that it lacks, paths between GPUs
 * that nobody knows, boards of which none like them was measured. */
#define _DEFAULT_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "phantom/phantom.h"
#include "support/gpus.h"

static pg_prediction predict(const char *model, const char *gpu, pg_request r)
{
    pg_model *m;
    pg_plan *plan = NULL;
    pg_prediction p;
    pg_error e = PG_ERROR_INIT;
    if (pg_model_open(&m, model, NULL, &e) || pg_plan_open(&plan, m, gpus, &r, &e) ||
        pg_plan_predict(plan, pg_catalog_find(gpus, gpu, &e), &p, &e))
        fail_msg("%s on %s: %s", model, gpu, e.text);
    static char notes[4][1024]; /* copies: the plan's own go with it */
    static int next;
    next = (next + 1) % 4;
    snprintf(notes[next], sizeof notes[next], "%s", p.note ? p.note : "");
    p.note = notes[next];
    pg_plan_free(plan);
    pg_model_free(m);
    return p;
}

static double width(const pg_prediction *p)
{
    return p->latency_high_ms / p->latency_ms - 1;
}

/* How unsure ResNet-50 is on a board that a user describes so. */
static double width_of_board(const char *fields)
{
    char file[] = "/tmp/notes-XXXXXX.toml";
    int fd = mkstemps(file, 5);
    FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
    assert_non_null(f);
    const char *bus = strstr(fields, "memory_bus_width");
    fprintf(f, "[gpus.mine]\nname = \"Mine\"\n%.*s", (int)(bus ? bus - fields : (ptrdiff_t)strlen(fields)), fields);
    if (bus) fprintf(f, "[profiles.mine.architecture]\n%s", bus);
    fclose(f);
    pg_error e = PG_ERROR_INIT;
    pg_catalog *with, *builtin = gpus;
    if (pg_catalog_open(&with, &(pg_catalog_options){.hardware_profiles = file}, &e)) fail_msg("%s", e.text);
    remove(file);
    gpus = with;
    pg_prediction p = predict("resnet50", "mine", (pg_request){.batch = 64});
    gpus = builtin;
    pg_catalog_free(with);
    assert_string_equal(p.basis, "specification");
    return width(&p);
}

static void runtimes_of_one_vendor_have_no_speed_elsewhere(void **state)
{
    (void)state;
    static const struct {
        const char *model, *runtime;
    } only[] = {{"resnet50", "tensorrt"}, {"llama-2-7b", "tensorrt-llm"}};
    for (size_t i = 0; i < sizeof only / sizeof only[0]; i++) {
        pg_request r = {.runtime = only[i].runtime, .task = i ? PG_TASK_DECODE : PG_TASK_INFERENCE};
        pg_prediction p = predict(only[i].model, "mi300x", r);
        assert_true(p.fits && p.memory.total > 0);
        assert_true(p.latency_ms < 0 && p.throughput < 0 && p.power_w < 0 && !p.bottleneck);
        assert_non_null(strstr(p.note, "NVIDIA GPUs alone"));
        assert_non_null(strstr(p.note, "pytorch, "));
        assert_null(strstr(p.note, "run tensorrt"));
        assert_true(predict(only[i].model, "h100", r).latency_ms > 0);
    }
    assert_true(predict("resnet50", "mi300x", (pg_request){.runtime = "pytorch"}).latency_ms > 0);
}

static void old_boards_are_told_what_a_runtime_wants(void **state)
{
    (void)state;
    pg_request r = {.runtime = "vllm", .task = PG_TASK_DECODE};
    pg_prediction p = predict("tinyllama-1.1b", "p40", r);
    assert_true(p.latency_ms > 0);
    assert_non_null(strstr(p.note, "vLLM wants compute capability 7.0"));
    assert_non_null(strstr(p.note, "; no FP16 tensor cores")); /* one thing does not hide the other */
    assert_string_equal(predict("tinyllama-1.1b", "v100", r).note, "");
}

/* What is peculiar to a board stands in its own data. */
static void boards_have_notes_of_their_own(void **state)
{
    (void)state;
    pg_request r = {.precision = "fp16"};
    assert_non_null(strstr(predict("resnet50", "jetson_orin_nano", r).note, "the CPU's too"));
    assert_non_null(strstr(predict("resnet50", "mi250x", r).note, "two GPUs"));
    r.precision = "fp8";
    assert_non_null(strstr(predict("resnet50", "mi250x", r).note, "computes in FP16; software sees two GPUs"));
}

static void training_in_sixteen_bits_is_told_from_mixed_precision(void **state)
{
    (void)state;
    pg_request r = {.task = PG_TASK_TRAINING, .batch = 8};
    pg_prediction pure = predict("resnet50", "a100", r);
    r.autocast = true;
    pg_prediction mixed = predict("resnet50", "a100", r);
    assert_non_null(strstr(pure.note, "--autocast"));
    assert_string_equal(mixed.note, "");
    assert_true(mixed.memory.optimizer == 2 * pure.memory.optimizer);
    r = (pg_request){.task = PG_TASK_TRAINING, .batch = 8, .precision = "fp32"};
    assert_null(strstr(predict("resnet50", "a100", r).note, "--autocast"));
}

static void four_bits_are_computed_in_sixteen(void **state)
{
    (void)state;
    assert_non_null(strstr(predict("resnet50", "a100", (pg_request){.precision = "int4"}).note, "computes in FP16"));
}

/* Weights in FP8 are an A100's as well, but its products are not. */
static void quantised_weights_say_what_computes(void **state)
{
    (void)state;
    pg_request r = {.task = PG_TASK_DECODE, .quantization = "fp8"};
    assert_non_null(strstr(predict("llama-3.1-8b", "a100", r).note, "no FP8 units: computes in FP16"));
    assert_string_equal(predict("llama-3.1-8b", "h100", r).note, "");
    r.quantization = "nvfp4";
    assert_non_null(strstr(predict("llama-3.1-8b", "rtx4090", r).note, "no FP4 units"));
    r.task = PG_TASK_PREFILL; /* ... whose kernels widen them to 16 bits, though there are units for 8 */
    r.batch = 16;
    pg_prediction four = predict("llama-3.1-8b", "h100", r);
    assert_non_null(strstr(four.note, "computes in FP16"));
    r.quantization = "fp8";
    assert_true(four.latency_ms > 1.2 * predict("llama-3.1-8b", "h100", r).latency_ms);
    r = (pg_request){.task = PG_TASK_DECODE, .quantization = "awq"};
    assert_string_equal(predict("llama-3.1-8b", "a100", r).note, "");
    r.quantization = "bf16"; /* no quantisation, and said so by many */
    pg_prediction named = predict("llama-3.1-8b", "a100", r);
    r.quantization = NULL;
    assert_true(named.latency_ms == predict("llama-3.1-8b", "a100", r).latency_ms);
}

/* An engine in INT8 was measured; what eager PyTorch would do so was not. */
static void narrow_models_rest_on_specifications(void **state)
{
    (void)state;
    pg_request r = {.batch = 64, .precision = "int8", .runtime = "pytorch"};
    pg_prediction narrow = predict("resnet50", "rtx4090", r);
    r.precision = "fp16";
    pg_prediction half = predict("resnet50", "rtx4090", r);
    assert_string_equal(narrow.basis, "specification");
    assert_string_equal(half.basis, "calibrated");
    assert_true(width(&narrow) > 1.3 * width(&half));
    r.precision = "int8";
    r.runtime = "tensorrt";
    assert_string_equal(predict("resnet50", "a100", r).basis, "calibrated");
}

static void boards_of_other_vendors_are_less_sure(void **state)
{
    (void)state;
    pg_request r = {.task = PG_TASK_DECODE};
    pg_prediction amd = predict("llama-3.1-8b", "mi300x", r), old = predict("llama-3.1-8b", "m40_24gb", r),
                  next = predict("llama-3.1-8b", "h200", r);
    assert_string_equal(amd.basis, "specification");
    assert_string_equal(old.basis, "specification");
    assert_true(width(&amd) > 1.3 * width(&old) && width(&old) > 1.3 * width(&next));
    /* the host's share of doubt is not the vendor's */
    r = (pg_request){.batch = 1};
    pg_prediction waits = predict("resnet50", "mi300x", r), maxwell = predict("resnet50", "m40", r);
    assert_string_equal(waits.bottleneck, "host");
    assert_true(width(&waits) < 1.3 * width(&maxwell)); /* its kernels are shorter, too */
}

/* A board that is described without its bandwidth or its FP16 peak is less sure than one with them, whoever makes it. */
static void what_is_guessed_is_less_sure(void **state)
{
    (void)state;
    static const char *const known = "fp32_tflops = 40\nfp16_tflops = 80\nbandwidth_gbs = 800\n",
                             *const guessed[] = {"fp32_tflops = 40\nbandwidth_gbs = 800\n",
                                                 "fp32_tflops = 40\nfp16_tflops = 80\nmemory_bus_width = 384\n"};
    double sure = width_of_board(known);
    for (int i = 0; i < 2; i++) assert_true(width_of_board(guessed[i]) > 1.3 * sure);
}

/* More than two GPUs without NVLink: the interval reaches to where each has its slot's rate, and says why. */
static void paths_that_gpus_share_are_in_the_interval(void **state)
{
    (void)state;
    pg_request r = {.task = PG_TASK_DECODE, .batch = 32, .gpu_count = 8, .tensor_parallel = 8};
    pg_prediction cards = predict("llama-3.1-70b", "l40s", r), bridged = predict("llama-3.1-70b", "a100", r);
    assert_non_null(strstr(cards.note, "depends on the server"));
    assert_string_equal(bridged.note, "");
    assert_true(width(&cards) > 3 * width(&bridged));
    r.gpu_count = r.tensor_parallel = 2;
    r.precision = "fp8";
    pg_prediction pair = predict("llama-3.1-8b", "l40s", r);
    assert_string_equal(pair.note, "");
    r = (pg_request){.task = PG_TASK_TRAINING, .batch = 32, .data_parallel = 4};
    pg_prediction alone = predict("resnet50", "rtx4090", (pg_request){.task = PG_TASK_TRAINING, .batch = 32}),
                  four = predict("resnet50", "rtx4090", r);
    assert_non_null(strstr(four.note, "depends on the server"));
    assert_true(width(&four) > 1.5 * width(&alone));
}

/* Requests for which there is no memory wait, and who reads seconds to the first token is told why. */
static void requests_that_wait_are_said(void **state)
{
    (void)state;
    pg_request r = {.task = PG_TASK_SERVING, .concurrency = 50, .gpu_count = 2, .tensor_parallel = 2};
    pg_prediction tight = predict("mixtral-8x7b", "l40s", r), wide = predict("mixtral-8x7b", "h100", r);
    assert_non_null(strstr(tight.note, "the others wait"));
    assert_true(tight.most_batch >= 1 && tight.most_batch < 50);
    assert_true(tight.most_context < 640); /* of 50 at a time */
    assert_string_equal(wide.note, "");
    assert_true(wide.most_batch >= 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runtimes_of_one_vendor_have_no_speed_elsewhere),
        cmocka_unit_test(old_boards_are_told_what_a_runtime_wants),
        cmocka_unit_test(boards_have_notes_of_their_own),
        cmocka_unit_test(training_in_sixteen_bits_is_told_from_mixed_precision),
        cmocka_unit_test(four_bits_are_computed_in_sixteen),
        cmocka_unit_test(quantised_weights_say_what_computes),
        cmocka_unit_test(narrow_models_rest_on_specifications),
        cmocka_unit_test(boards_of_other_vendors_are_less_sure),
        cmocka_unit_test(what_is_guessed_is_less_sure),
        cmocka_unit_test(requests_that_wait_are_said),
        cmocka_unit_test(paths_that_gpus_share_are_in_the_interval),
    };
    return cmocka_run_group_tests(tests, open_gpus, close_gpus);
}
