/* Benchmark files: what is read, what is refused and with which words; rows held against predictions. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <dirent.h>

#include "bench/builtin.h"
#include "bench/split.h"
#include "render/validation.h"
#include "support/heap.h"

static test_heap heap = {.fail_at = -1};

static void start(bench_rows *r)
{
    bench_rows_init(r, (allocator){heap_resize, &heap});
}

#define PARSE(r, text, e) bench_parse((r), (text), strlen(text), "f.json", "", (e))

/* `text` as a whole file must be refused with `code` and a message that holds `words`, at `place`. */
static void refuse(const char *text, pg_code code, const char *place, const char *words)
{
    bench_rows r;
    pg_error e = PG_ERROR_INIT;
    start(&r);
    pg_code got = PARSE(&r, text, &e);
    if (got != code || !strstr(e.text, words) || strcmp(e.path, place) != 0 || strcmp(e.source, "f.json") != 0)
        fail_msg("%s\n  gave %d '%s' '%s' '%s', not %d '%s' '%s'", text, (int)got, e.source, e.path, e.text, (int)code,
                 place, words);
    assert_int_equal(r.count, 0);
    bench_rows_free(&r);
}

static void refuse_row(const char *members, const char *words)
{
    char text[2048];
    snprintf(text, sizeof text,
             "{\"version\": 1, \"benchmarks\": [{\"model\": \"resnet50\", \"gpu\": \"t4\", "
             "\"metric\": \"latency_ms\", \"value\": 1}, {%s}]}",
             members);
    refuse(text, PG_E_CONFIG, "row 2", words);
}

#define ROW "\"model\": \"resnet50\", \"gpu\": \"a100\", \"metric\": \"latency_ms\", \"value\": 5"

static void every_key_is_read(void **state)
{
    (void)state;
    bench_rows r;
    pg_error e = PG_ERROR_INIT;
    start(&r);
    const char *text =
        "{\"version\": 1, \"benchmarks\": [{\"model\": \"resnet50\", \"task\": \"training\", \"gpu\": \"rtx4090\", "
        "\"gpu_count\": 2, \"tensor_parallel\": 3, \"pipeline_parallel\": 4, \"data_parallel\": 5, \"expert_parallel\": 6, "
        "\"batch\": 256, \"image_size\": 224, \"seq_len\": 512, \"input_len\": 0, \"output_len\": 128, \"concurrency\": 9, "
        "\"speculative_tokens\": 3, \"acceptance_rate\": 0.5, \"max_requests\": 8, \"max_step_tokens\": 512, \"poll_steps\": 2, "
        "\"batch_wait_steps\": 20, \"batch_wait_share\": 0.9, \"shortest_share\": 0.7, \"first_run\": true, \"zero_stage\": 2, \"micro_batches\": 4, \"gradient_checkpointing\": true, "
        "\"precision\": \"fp16\", \"autocast\": true, \"quantization\": \"q4_k_m\", \"kv_cache_precision\": \"fp8\", "
        "\"runtime\": \"pytorch\", \"runtime_version\": \"2.4.0\", \"layout\": \"nhwc\", \"optimizer\": \"adamw\", "
        "\"device_time\": true, \"metric\": \"throughput\", \"value\": 71.5, \"family\": \"resnet\", \"source\": \"s\", "
        "\"url\": \"u\", \"date\": \"2024-08-01\", \"notes\": \"n\"}]}";
    assert_int_equal(PARSE(&r, text, &e), PG_E_OK);
    assert_int_equal(r.count, 1);
    const bench_row *b = r.rows;
    assert_int_equal(b->given, (1ull << BENCH_KEYS) - 1);
    assert_string_equal(b->model, "resnet50");
    assert_int_equal(b->task, TASK_TRAINING);
    assert_int_equal(b->gpu_count * 100000 + b->tensor_parallel * 10000 + b->pipeline_parallel * 1000 +
                         b->data_parallel * 100 + b->expert_parallel * 10 + b->concurrency,
                     234569);
    assert_int_equal(b->batch, 256);
    assert_int_equal(b->image_size, 224);
    assert_int_equal(b->seq_len, 512);
    assert_int_equal(b->output_len, 128);
    assert_true(b->speculative_tokens == 3 && b->acceptance_rate == 0.5);
    assert_true(b->max_requests == 8 && b->max_step_tokens == 512 && b->poll_steps == 2 && b->batch_wait_steps == 20 &&
                b->batch_wait_share == 0.9 && b->shortest_share == 0.7);
    assert_true(b->autocast && b->device_time && b->first_run && b->gradient_checkpointing);
    assert_true(b->zero_stage == 2 && b->micro_batches == 4);
    assert_string_equal(b->kv_cache_precision, "fp8");
    assert_int_equal(b->layout, LAYOUT_NHWC);
    assert_int_equal(b->metric, METRIC_THROUGHPUT);
    assert_true(b->value == 71.5);
    assert_string_equal(b->notes, "n");
    assert_int_equal(b->number, 1);
    bench_rows_free(&r);
}

static void files_are_refused(void **state)
{
    (void)state;
    refuse("", PG_E_FORMAT, "", "JSON");
    refuse("[", PG_E_FORMAT, "", "JSON");
    refuse("[]", PG_E_CONFIG, "", "must be an object");
    refuse("{}", PG_E_CONFIG, "", "benchmarks");
    refuse("{\"version\": 2, \"benchmarks\": []}", PG_E_CONFIG, "", "version 1");
    refuse("{\"version\": 1, \"benchmarks\": {}}", PG_E_CONFIG, "", "an array, not an object");
    refuse("{\"version\": 1, \"benchmark\": []}", PG_E_CONFIG, "", "'benchmark' is no key");
    refuse("{\"benchmarks\": [{" ROW ", \"batch\": 1, \"batch\": 2}]}", PG_E_FORMAT, "", "duplicate");
    refuse("{\"benchmarks\": [{" ROW ", \"batch\": NaN}]}", PG_E_FORMAT, "", "JSON");
    refuse("{\"benchmarks\": [{" ROW ", \"notes\": 1e999}]}", PG_E_FORMAT, "", "JSON");
    refuse("{\"benchmarks\": [{" ROW ", \"batch\": 99999999999999999999}]}", PG_E_FORMAT, "", "JSON");
    refuse("{\"benchmarks\": [{" ROW ", \"notes\": \"\xff\"}]}", PG_E_FORMAT, "", "JSON");
}

static void rows_are_refused(void **state)
{
    (void)state;
    refuse_row("\"model\": \"resnet50\"", "lacks 'gpu'");
    refuse_row("\"model\": 3", "model: must be a text, not a number");
    refuse_row(ROW ", \"bacth\": 3", "did you mean 'batch'");
    refuse_row(ROW ", \"comment\": 3", "'comment' is no key");
    refuse_row(ROW ", \"batch\": 0", "batch: must be a whole number from 1 to 1048576");
    refuse_row(ROW ", \"batch\": -4", "batch: must be a whole number");
    refuse_row(ROW ", \"batch\": 4.5", "batch: must be a whole number");
    refuse_row(ROW ", \"batch\": 9000000000", "batch: must be a whole number");
    refuse_row(ROW ", \"batch\": \"8\"", "a whole number, not a text");
    refuse_row(ROW ", \"batch\": null", "a whole number, not null");
    refuse_row(ROW ", \"autocast\": 1", "autocast: must be true or false, not a number");
    refuse_row(ROW ", \"task\": \"dreaming\"", "'dreaming' is none of inference, training");
    refuse_row(ROW ", \"layout\": \"chw\"", "layout: 'chw' is none of nchw, nhwc");
    refuse_row("\"model\": \"a\", \"gpu\": \"t4\", \"metric\": \"latency_ms\", \"value\": -1",
               "value: must be above 0");
    refuse_row("\"model\": \"a\", \"gpu\": \"t4\", \"metric\": \"latency_ms\", \"value\": 0", "value: must be above 0");
    refuse_row("\"model\": \"a\", \"gpu\": \"t4\", \"metric\": \"latency_ms\", \"value\": \"5\"",
               "value: must be a number");
    refuse_row("\"model\": \"\", \"gpu\": \"t4\", \"metric\": \"latency_ms\", \"value\": 5", "model: is empty");
    refuse("{\"benchmarks\": [{" ROW "}, 7]}", PG_E_CONFIG, "row 2", "must be an object, not a number");
}

static void sizes_are_limited(void **state)
{
    (void)state;
    size_t n = 2000000;
    char *text = malloc(n + 1);
    assert_non_null(text);
    for (size_t i = 0; i < n; i++) text[i] = i % 2 ? ',' : '{';
    text[n] = '\0';
    refuse(text, PG_E_LIMIT, "", "split it");
    memset(text, '[', n);
    refuse(text, PG_E_LIMIT, "", "split it");
    memset(text, '[', 5000);
    text[5000] = '\0';
    refuse(text, PG_E_FORMAT, "", "JSON");
    free(text);
}

static void nothing_leaks_when_memory_ends(void **state)
{
    (void)state;
    const char *text = "{\"benchmarks\": [{" ROW ", \"notes\": \"n\"}, {" ROW "}]}";
    for (long n = 0;; n++) {
        test_heap h = {.fail_at = n};
        bench_rows r;
        bench_rows_init(&r, (allocator){heap_resize, &h});
        pg_error e = PG_ERROR_INIT;
        pg_code code = PARSE(&r, text, &e);
        bench_rows_free(&r);
        assert_int_equal(h.live, 0);
        if (!code) break;
        assert_int_equal(code, PG_E_NOMEM);
        assert_true(n < 1000);
    }
}

static char *folder_with(const char *content, char *path, size_t cap)
{
    static char folder[] = "/tmp/bench-XXXXXX";
    memcpy(folder + sizeof folder - 7, "XXXXXX", 6);
    assert_non_null(mkdtemp(folder));
    snprintf(path, cap, "%s/b.json", folder);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(content, f);
    fclose(f);
    return folder;
}

static void paths_are_relative_to_the_file(void **state)
{
    (void)state;
    bench_rows r;
    pg_error e = PG_ERROR_INIT;
    char path[64], model[64], expected[64];
    const char *folder = folder_with(
        "{\"benchmarks\": [{\"model\": \"net\", \"gpu\": \"t4\", \"metric\": \"latency_ms\", "
        "\"value\": 5}, {\"model\": \"gone.onnx\", \"gpu\": \"t4\", \"metric\": \"power_w\", "
        "\"value\": 5}, {" ROW "}, {\"model\": \"/x/y.onnx\", \"gpu\": \"t4\", \"metric\": "
        "\"power_w\", \"value\": 5}]}",
        path, sizeof path);
    snprintf(model, sizeof model, "%s/net", folder);
    fclose(fopen(model, "w"));
    start(&r);
    assert_int_equal(bench_read(&r, path, &e), PG_E_OK);
    assert_int_equal(r.count, 4);
    assert_string_equal(r.rows[0].path, model); /* is there */
    assert_string_equal(r.rows[0].model, "net");
    snprintf(expected, sizeof expected, "%s/gone.onnx", folder); /* is a file by its name */
    assert_string_equal(r.rows[1].path, expected);
    assert_string_equal(r.rows[2].path, "resnet50"); /* is built in */
    assert_string_equal(r.rows[3].path, "/x/y.onnx");
    /* a second file adds up */
    assert_int_equal(bench_read(&r, path, &e), PG_E_OK);
    assert_int_equal(r.count, 8);
    assert_int_equal(r.rows[7].number, 4);
    assert_int_equal(bench_read(&r, folder, &e), PG_E_IO);
    bench_rows_free(&r);
    unlink(model);
    unlink(path);
    rmdir(folder);
}

/* Kernels of published tables that are something else than their columns say. */
static void kernels_are_what_ran(void **state)
{
    static const struct {
        const char *model, *members, *path;
        bool device_time;
    } cases[] = {
        {"op:gemm:m=8:n=64:k=128",
         "\"runtime\": \"vllm\", \"precision\": \"fp8\", \"family\": \"fp8_block\", \"device_time\": true",
         "op:gemm:m=8:n=64:k=128:block=128", false},
        {"op:gemm:m=8:n=64:k=128",
         "\"runtime\": \"tensorrt-llm\", \"precision\": \"fp8\", \"family\": \"fp8_block\", \"device_time\": true",
         "op:gemm:m=8:n=64:k=128:block=128", true},
        {"op:gemm:m=8:n=64:k=128",
         "\"runtime\": \"vllm\", \"precision\": \"fp8\", \"family\": \"fp8\", \"device_time\": true",
         "op:gemm:m=8:n=64:k=128", true},
        {"op:gemm:batch=1:m=8:n=64:k=1280",
         "\"runtime\": \"pytorch\", \"runtime_version\": \"2.1.0\", \"precision\": \"fp32\", \"family\": \"linear\"",
         "op:gemm:batch=1:m=8:n=1280:k=64", false},
        {"op:gemm:batch=1:m=8:n=64:k=1280",
         "\"runtime\": \"pytorch\", \"runtime_version\": \"2.2.0\", \"precision\": \"fp32\", \"family\": \"linear\"",
         "op:gemm:batch=1:m=8:n=64:k=1280", false},
        {"op:gemm:m=8:n=64:k=1280",
         "\"runtime\": \"pytorch\", \"runtime_version\": \"2.1.0\", \"precision\": \"fp32\", \"family\": \"linear\"",
         "op:gemm:m=8:n=64:k=1280", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[400];
        bench_rows r;
        pg_error e = PG_ERROR_INIT;
        start(&r);
        format_text(
            text, sizeof text,
            "{\"benchmarks\": [{\"model\": \"%s\", \"gpu\": \"h100\", \"metric\": \"latency_ms\", \"value\": 1, %s}]}",
            cases[i].model, cases[i].members);
        if (PARSE(&r, text, &e)) fail_msg("%s", e.text);
        assert_string_equal(r.rows[0].path, cases[i].path);
        assert_int_equal(bench_device_time(&r.rows[0]), cases[i].device_time);
        bench_rows_free(&r);
    }
}

static void rows_are_predicted_or_skipped(void **state)
{
    (void)state;
    const char *text =
        "{\"benchmarks\": [{" ROW ", \"batch\": 8}, {\"model\": \"resnet50\", \"gpu\": \"NVIDIA A100\", \"batch\": 8, "
        "\"metric\": \"throughput\", \"value\": 1000}, {\"model\": \"resnet50\", \"gpu\": \"none\", \"metric\": "
        "\"power_w\", \"value\": 9}, {\"model\": \"nonet\", \"gpu\": \"t4\", \"metric\": \"power_w\", \"value\": 9}, "
        "{\"model\": \"resnet50\", \"gpu\": \"t4\", \"metric\": \"ttft_ms\", \"value\": 9}, {" ROW
        ", \"precision\": \"int3\"}, {" ROW ", \"runtime\": \"x\"}, {" ROW
        ", \"gpu_count\": 8, \"tensor_parallel\": 3}, {" ROW
        ", \"task\": \"decode\"}, {\"model\": \"op:gemm:m=64:n=64:k=64\", \"gpu\": \"t4\", \"image_size\": 224, \"metric\": "
        "\"memory_bytes\", \"value\": 9e8}, {\"model\": \"resnet50\", \"gpu\": \"a100\", \"metric\": \"latency_ms\", "
        "\"value\": 4e5, \"batch\": 1048576}, {\"model\": \"ncf\", \"gpu\": \"a100\", \"batch\": 1048576, \"metric\": \"throughput\", "
        "\"value\": 20.18}, {" ROW ", \"source\": \"closed/x/results/Orin_TRT_MaxQ/y\"}]}";
    static const char *const skips[] = {NULL,
                                        NULL,
                                        "none",
                                        "nonet",
                                        "ttft_ms",
                                        "int3",
                                        "unknown runtime",
                                        "can't be divided",
                                        "decode",
                                        NULL,
                                        NULL /* it was measured, so it did fit */,
                                        "beyond belief",
                                        "MaxQ"};
    bench_rows r;
    pg_error e = PG_ERROR_INIT;
    pg_catalog *c;
    bench *b;
    size_t n;
    start(&r);
    assert_int_equal(PARSE(&r, text, &e), PG_E_OK);
    assert_int_equal(pg_catalog_open(&c, &(pg_catalog_options){.no_user_files = true}, &e), PG_E_OK);
    assert_int_equal(bench_open(&b, &r, c, NULL, &e), PG_E_OK);
    bench_point *p = bench_points(b, &n);
    assert_int_equal(n, sizeof skips / sizeof skips[0]);
    for (size_t i = 0; i < n; i++) {
        if (!skips[i] != !p[i].skipped || (skips[i] && !strstr(p[i].skipped, skips[i])))
            fail_msg("row %zu: '%s', not '%s'", i, p[i].skipped, skips[i]);
        if (p[i].skipped) continue;
        assert_true(p[i].predicted > 0);
        assert_true(fabs(p[i].error - (p[i].predicted / p[i].row->value - 1)) < 1e-12);
    }
    assert_ptr_equal(p[0].plan, p[1].plan); /* one plan for both metrics */
    assert_true(fabs(p[0].predicted * p[1].predicted - 8000) < 1e-6);
    assert_true(fabs(p[0].low * p[1].high - 8000) < 1e-6 && fabs(p[0].high * p[1].low - 8000) < 1e-6);
    assert_true(p[9].low < 0 && p[9].high < 0);
    assert_string_equal(p[0].family, "resnet");
    assert_string_equal(p[9].family, "op:gemm");
    bench_free(b);
    const char *only[] = {"T4"};
    assert_int_equal(bench_open(&b, &r, c, &(bench_options){.gpus = only, .gpu_count = 1}, &e), PG_E_OK);
    bench_points(b, &n);
    assert_int_equal(n, 3);
    bench_free(b);
    const char *wrong[] = {"rtx9999"};
    assert_int_equal(bench_open(&b, &r, c, &(bench_options){.gpus = wrong, .gpu_count = 1}, &e), PG_E_NOT_FOUND);
    pg_catalog_free(c);
    bench_rows_free(&r);
}

static void what_a_row_leaves_open_comes_from_its_source(void **state)
{
    (void)state;
    static const struct {
        const char *runtime, *precision, *source, *want_runtime, *want_precision;
    } cases[] = {
        {NULL, NULL, NULL, "pytorch", "fp16"},
        {"vllm", "int8", "closed/x/results/T4x1_TRT/y", "vllm", "int8"},
        {NULL, "int8", "closed/x/results/T4x1_TRT/y", "tensorrt", "int8"},
        {NULL, "int8,fp16", "a list", "tensorrt", "int8"},
        {NULL, "fp16", "PyTorch/Classification/ConvNets/resnet50v1.5/README.md", "pytorch", "fp16"},
        {NULL, "fp16", "PyTorch/Classification/ConvNets/triton/resnet50/README.md", "tensorrt", "fp16"},
        {NULL, "fp16", "TensorFlow2/Segmentation/MaskRCNN/README.md", "tensorflow", "fp16"},
        {NULL, "fp16", "PyTorch/SpeechSynthesis/FastPitch/README.md", "torchscript", "fp16"},
        {NULL, "fp16", "TensorFlow/Segmentation/UNet_3D_Medical/README.md", "tensorflow-xla", "fp16"},
        {NULL, "fp32", "TensorFlow2/Recommendation/DLRM_and_DCNv2/doc/DLRM.md", "tensorflow-xla", "fp32"},
        {NULL, "fp16", "TensorFlow2/LanguageModeling/BERT/README.md", "tensorflow-xla",
         "fp16"}, /* its scripts ask for it */
        {NULL, "fp16", "PyTorch/LanguageModeling/BERT/README.md", "pytorch", "fp16"},
        {NULL, "fp16", "MxNet/Classification/RN50v1.5/README.md", "torchscript", "fp16"}, /* issued in C++ */
        {NULL, "tf32+xla", "TensorFlow/Classification/ConvNets/README.md", "tensorflow-xla", "tf32"},
        {NULL, "fp16+xla", NULL, "pytorch-compile", "fp16"},
        {NULL, "fp32|fp16", NULL, "pytorch", "fp32|fp16"},                      /* which of them is not said */
        {"pytorch", "fp16", "NVIDIA/FasterTransformer", "torchscript", "fp16"}, /* its baselines are traced */
        {"tensorrt", "fp16", "NVIDIA/FasterTransformer", "tensorrt", "fp16"},
        {NULL, "fp16", "PyTorch/Forecasting/TFT/README.md", "torchscript", "fp16"}, /* scripted behind the embeddings */
        {"pytorch", "fp16", "PyTorch/LanguageModeling/BERT/triton/large/README.md", "torchscript", "fp16"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bench_row row = {.runtime = cases[i].runtime, .precision = cases[i].precision, .source = cases[i].source};
        assert_string_equal(bench_runtime(&row), cases[i].want_runtime);
        assert_string_equal(bench_precision(&row), cases[i].want_precision);
    }
}

/* "Mixed precision" of some scripts' inference is a model in half; their training has masters in fp32. */
static void some_mixed_precision_is_half(void **state)
{
    (void)state;
    bench_row row = {.autocast = true, .source = "PyTorch/Recommendation/NCF/README.md"};
    assert_false(bench_autocast(&row));
    row.task = TASK_TRAINING;
    assert_true(bench_autocast(&row));
    row = (bench_row){.autocast = true, .url = "https://x/PyTorch/SpeechRecognition/Jasper/README.md"};
    assert_false(bench_autocast(&row));
    row.url = "https://x/PyTorch/LanguageModeling/Transformer-XL/README.md";
    assert_false(bench_autocast(&row));
    row.url = "https://x/PyTorch/Classification/ConvNets/README.md";
    assert_true(bench_autocast(&row));
    row.autocast = false;
    assert_false(bench_autocast(&row));
}

/* A server's "Automatic FP16" halves a file in FP32, whose precision is what its tables give. */
static void servers_halve_what_they_load(void **state)
{
    (void)state;
    bench_row row = {.precision = "fp32", .source = "TensorFlow2/Recommendation/WideAndDeep/triton/README.md"};
    assert_string_equal(bench_runtime(&row), "tensorflow");
    assert_string_equal(bench_precision(&row), "fp16");
    assert_true(bench_autocast(&row));
    row.precision = "fp16"; /* of the engine beside it */
    assert_string_equal(bench_runtime(&row), "tensorrt");
    assert_false(bench_autocast(&row));
    row = (bench_row){.precision = "fp32", .source = "TensorFlow2/Recommendation/WideAndDeep/README.md"};
    assert_string_equal(bench_precision(&row), "fp32");
}

/* MLPerf's BERT of the higher accuracy: halves around products in 8 bits, where the GPU has units for them and the task is offline. */
static void accurate_bert_has_narrow_products(void **state)
{
    (void)state;
    static const struct {
        const char *gpu, *precision, *source, *want;
    } cases[] = {
        {"h100_pcie", "fp16", "closed/NVIDIA/results/H100-PCIe-80GBx1_TRT/bert-99.9/Offline/x.txt", "fp8"},
        {"l4", "fp16", "closed/x/bert-99.9/Offline/x.txt", "fp8"},
        {"l40", "fp16", "closed/x/bert-99.9/Offline/x.txt", "fp16"},
        {"a100_sxm_80gb", "fp16", "closed/x/bert-99.9/Offline/x.txt", "fp16"},
        {"h100_pcie", "fp16", "closed/x/bert-99.9/SingleStream/x.txt", "fp16"},
        {"h100_pcie", "int8", "closed/x/bert-99/Offline/x.txt", "int8"},
        {"h100_pcie", "fp16", "my desk", "fp16"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bench_row row = {.gpu = cases[i].gpu, .precision = cases[i].precision, .source = cases[i].source};
        assert_string_equal(bench_precision(&row), cases[i].want);
    }
}

/* PaddlePaddle itself on A100, Paddle-TRT in what else its tables hold. */
static void engines_run_for_paddle(void **state)
{
    (void)state;
    static const struct {
        const char *gpu, *precision, *runtime;
        bool autocast;
        bench_task task;
    } cases[] = {
        {"a100_sxm_80gb", "tf32", "pytorch", false, TASK_INFERENCE},
        {"a100_sxm_80gb", "fp16", "pytorch", true, TASK_INFERENCE},
        {"a100_sxm_80gb", "fp16", "tensorrt", false, TASK_INFERENCE},
        {"a100_sxm_80gb", "int8", "tensorrt", false, TASK_INFERENCE},
        {"a30", "tf32", "tensorrt", false, TASK_INFERENCE},
        {"a30", "tf32", "pytorch", false, TASK_TRAINING},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bench_row row = {.gpu = cases[i].gpu,
                         .precision = cases[i].precision,
                         .autocast = cases[i].autocast,
                         .task = cases[i].task,
                         .source = "PaddlePaddle/Classification/RN50v1.5/README.md"};
        assert_string_equal(bench_runtime(&row), cases[i].runtime);
    }
}

/* Pre-training has a generator beside the model that is named; training translates known pairs. */
static void training_has_other_networks(void **state)
{
    (void)state;
    static const struct {
        const char *model, *source, *want;
        bench_task task;
        int64_t length;
    } cases[] = {
        {"google/electra-base-discriminator", "TensorFlow2/LanguageModeling/ELECTRA/README.md",
         "electra-base-pretraining", TASK_TRAINING, 512},
        {"google/electra-base-discriminator", "TensorFlow2/LanguageModeling/ELECTRA/README.md",
         "google/electra-base-discriminator", TASK_TRAINING, 384},
        {"google/electra-base-discriminator", "TensorFlow2/LanguageModeling/ELECTRA/README.md",
         "google/electra-base-discriminator", TASK_INFERENCE, 512},
        {"google/electra-base-discriminator", "my desk", "google/electra-base-discriminator", TASK_TRAINING, 512},
        {"gnmt", "PyTorch/Translation/GNMT/README.md", "gnmt-pairs", TASK_TRAINING, 0},
        {"gnmt", "PyTorch/Translation/GNMT/README.md", "gnmt", TASK_INFERENCE, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bench_row row = {
            .model = cases[i].model, .source = cases[i].source, .task = cases[i].task, .seq_len = cases[i].length};
        assert_string_equal(bench_model(&row), cases[i].want);
    }
}

/* What a step read, where the table doesn't say it or says the padded length. */
static void lengths_come_from_sources(void **state)
{
    (void)state;
    static const struct {
        const char *source;
        bench_task task;
        int64_t batch, given, want;
    } cases[] = {
        {"PyTorch/Translation/GNMT/README.md", TASK_INFERENCE, 1, 0, 32},
        {"TensorFlow/Translation/GNMT/README.md", TASK_INFERENCE, 512, 0, 80}, /* the longest decides */
        {"PyTorch/Translation/GNMT/README.md", TASK_INFERENCE, 512, 0, 56},    /* those that have ended leave */
        {"TensorFlow/Translation/GNMT/README.md", TASK_INFERENCE, 1, 5, 32},   /* the beam's width */
        {"TensorFlow/Translation/GNMT/README.md", TASK_INFERENCE, 8, 50, 50},  /* a length after all */
        {"TensorFlow2/LanguageModeling/BERT/README.md", TASK_TRAINING, 8, 0, 384},
        {"TensorFlow2/LanguageModeling/BERT/README.md", TASK_TRAINING, 8, 512, 512},
        {"PyTorch/LanguageModeling/BERT/README.md", TASK_TRAINING, 8, 512, 256}, /* hardly padded */
        {"PyTorch/LanguageModeling/BERT/README.md", TASK_INFERENCE, 8, 512, 512},
        {"my desk", TASK_TRAINING, 8, 512, 512},
        {NULL, TASK_TRAINING, 8, 0, 0},
    };
    int64_t before = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bench_row row = {
            .source = cases[i].source, .task = cases[i].task, .batch = cases[i].batch, .seq_len = cases[i].given};
        assert_int_equal(bench_sequence(&row), cases[i].want);
    }
    for (int64_t b = 1; b < 2000; b++) { /* more sentences are never expected to end sooner */
        bench_row row = {.source = "PyTorch/Translation/GNMT/README.md", .batch = b};
        assert_true(bench_sequence(&row) >= before);
        before = bench_sequence(&row);
    }
}

/* A figure of something else is told by its source, or by being out of reach. */
static void figures_of_other_things_are_skipped(void **state)
{
    (void)state;
    pg_error e = PG_ERROR_INIT;
    pg_catalog *catalog;
    assert_int_equal(pg_catalog_open(&catalog, &(pg_catalog_options){.no_user_files = true}, &e), PG_E_OK);
    static const struct {
        const char *row, *why; /* NULL: it is predicted */
    } cases[] = {
#define MEASURED(model, gpu, metric, value, more) \
    "{\"model\":\"" model "\",\"gpu\":\"" gpu "\",\"metric\":\"" metric "\",\"value\":" value "," more "}"
        {MEASURED("3d-unet", "t4", "throughput", "7",
                  "\"precision\":\"int8\",\"source\":\"closed/x/T4x1_TRT/3d-unet-99/Offline\""),
         NULL},
        {MEASURED("3d-unet", "l4", "throughput", "1",
                  "\"precision\":\"int8\",\"source\":\"closed/x/L4x1_TRT/3d-unet-99/Offline\""),
         "windows"},
        {MEASURED("3d-unet", "a100", "throughput", "40",
                  "\"precision\":\"int8\",\"source\":\"MLPerf Inference v1.1 closed, x\""),
         NULL},
        {MEASURED("3d-unet", "t4", "throughput", "1",
                  "\"precision\":\"int8\",\"source\":\"MLPerf Inference v2.0 closed, x\""),
         "windows"},
        {MEASURED("dlrm", "h100_pcie", "throughput", "480168",
                  "\"batch\":350000,\"precision\":\"int8\",\"source\":\"closed/x\""),
         "700 rows"},
        {MEASURED("dlrm", "h100_pcie", "throughput", "4801680", "\"batch\":65536,\"source\":\"my desk\""), NULL},
        {MEASURED("bart-large", "a100", "latency_ms", "900", "\"source\":\"PyTorch/LanguageModeling/BART/README.md\""),
         "word by word"},
        {MEASURED("bart-large", "a100", "latency_ms", "9", "\"source\":\"my desk\""), NULL},
        {MEASURED("transformer-big", "a100", "latency_ms", "900",
                  "\"source\":\"PyTorch/Translation/Transformer/README.md\""),
         "word by word"},
        {MEASURED("bert-base-uncased", "t4", "latency_ms", "30",
                  "\"source\":\"TensorFlow/LanguageModeling/BERT/README.md\""),
         "first step"},
        {MEASURED("bert-base-uncased", "t4", "throughput", "30",
                  "\"source\":\"TensorFlow/LanguageModeling/BERT/README.md\""),
         NULL},
        {MEASURED("resnet50", "t4", "latency_ms", "30",
                  "\"source\":\"PyTorch/Classification/ConvNets/triton/resnet50/README.md\""),
         "clients"},
        {MEASURED("nnunet", "t4", "latency_ms", "110", "\"source\":\"PyTorch/Segmentation/nnUNet/triton/README.md\""),
         "clients"},
        {MEASURED("resnet50", "t4", "latency_ms", "3",
                  "\"runtime\":\"tensorrt\",\"source\":\"PyTorch/Classification/ConvNets/triton/resnet50/README.md\""),
         NULL}, /* it says what was timed */
        {MEASURED("bert-base-uncased", "t4", "latency_ms", "30",
                  "\"source\":\"PyTorch/LanguageModeling/BERT/triton/large/README.md\""),
         NULL},
        {MEASURED("resnet50", "t4", "throughput", "2e6", "\"batch\":8"), "another unit"},
        {MEASURED("gnmt", "v100", "latency_ms", "332",
                  "\"seq_len\":1,\"source\":\"TensorFlow/Translation/GNMT/README.md\""),
         "sentences a second"},
        {MEASURED("tacotron2/waveglow", "a100", "latency_ms", "6990",
                  "\"seq_len\":128,\"source\":\"PyTorch/SpeechSynthesis/Tacotron2/README.md\""),
         "the speech lasts"},
        {MEASURED("tacotron2/waveglow", "t4", "latency_ms", "5410",
                  "\"seq_len\":128,\"source\":\"PyTorch/SpeechSynthesis/Tacotron2/README.md\""),
         NULL},
#undef MEASURED
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[512];
        size_t count = 0;
        bench_rows rows;
        bench *b = NULL;
        int n = snprintf(text, sizeof text, "{\"version\":1,\"benchmarks\":[%s]}", cases[i].row);
        assert_true(n > 0 && (size_t)n < sizeof text);
        start(&rows);
        assert_int_equal(bench_parse(&rows, text, (size_t)n, "a list", "", &e), PG_E_OK);
        assert_int_equal(bench_open(&b, &rows, catalog, NULL, &e), PG_E_OK);
        const bench_point *p = bench_points(b, &count);
        assert_int_equal(count, 1);
        if (cases[i].why) assert_non_null(p->skipped && strstr(p->skipped, cases[i].why) ? p->skipped : NULL);
        else assert_null(p->skipped);
        bench_free(b);
        bench_rows_free(&rows);
    }
    pg_catalog_free(catalog);
}

/* Containers have a date, launch scripts a layout. */
static void versions_and_layouts_come_from_sources(void **state)
{
    (void)state;
    static const struct {
        const char *runtime, *source, *url, *version;
        bool last;
    } cases[] = {
        {"pytorch", "NVIDIA/DeepLearningExamples", "https://x/PyTorch/Classification/ConvNets/README.md", "1.11", true},
        {"pytorch", "PyTorch/LanguageModeling/BERT/README.md", NULL, "1.11", false},
        {"torchscript", "NVIDIA/DeepLearningExamples", "https://x/PyTorch/Forecasting/TFT/README.md", "1.13", false},
        {"tensorrt", "NVIDIA/DeepLearningExamples (triton)", NULL, "8.2", false},
        {"onnxruntime", "NVIDIA/DeepLearningExamples (triton)", NULL, "1.10", false},
        {"pytorch", "NVIDIA/FasterTransformer", NULL, "1.10", false},
        {"pytorch", "my desk", NULL, NULL, false},
        {"tensorflow", "TensorFlow2/Segmentation/nnUNet/README.md", NULL, NULL, true},
        {"tensorflow", "TensorFlow2/Segmentation/MaskRCNN/README.md", NULL, NULL, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bench_row row = {.runtime = cases[i].runtime, .source = cases[i].source, .url = cases[i].url, .autocast = true};
        const char *version = bench_version(&row);
        if (cases[i].version) assert_string_equal(version, cases[i].version);
        else assert_null(version);
        assert_int_equal(bench_channels_last(&row), cases[i].last);
        row.runtime_version = "9.9";
        assert_string_equal(bench_version(&row), "9.9"); /* what the row says itself */
    }
}

static void families_come_from_names(void **state)
{
    (void)state;
    static const char *const names[][2] = {
        {"resnet50", "resnet"},
        {"bert-base-uncased", "bert"},
        {"vit_b_16", "vit"},
        {"se-resnext101", "se-resnext"},
        {"t5-small", "t5"},
        {"gpt2", "gpt"},
        {"3d-unet", "3d-unet"},
        {"/a/b/resnet50_224.onnx", "resnet"},
        {"x", "x"},
        {"op:gemm:m=1", "op:gemm"},
        {"", ""},
        {"op:", "op:"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char out[80];
        bench_family(out, sizeof out, names[i][0]);
        assert_string_equal(out, names[i][1]);
    }
}

/* ---- statistics ---- */

static void near(double x, double expected)
{
    if (fabs(x - expected) > 1e-9) fail_msg("%.12g, not %.12g", x, expected);
}

static void statistics_are_as_by_hand(void **state)
{
    (void)state;
    double errors[] = {0.30, -0.10, 0.02, -0.04, 0.20};
    bench_stats s = bench_stats_of(errors, 5);
    assert_int_equal(s.count, 5);
    near(s.mape, 0.132);    /* (0.30 + 0.10 + 0.02 + 0.04 + 0.20) / 5 */
    near(s.bias, 0.076);    /* (0.30 - 0.10 + 0.02 - 0.04 + 0.20) / 5 */
    near(s.median, 0.10);   /* of 0.02 0.04 0.10 0.20 0.30 */
    near(s.p90, 0.26);      /* at place 3.6: 0.20 + 0.6 * 0.10 */
    near(s.within_10, 0.6); /* 0.10 itself is within */
    near(s.within_25, 0.8);
    double two[] = {-0.5, 0.1};
    s = bench_stats_of(two, 2);
    near(s.median, 0.3);
    near(s.p90, 0.46);
    double one[] = {-0.25};
    s = bench_stats_of(one, 1);
    near(s.mape, 0.25);
    near(s.median, 0.25);
    near(s.p90, 0.25);
    near(s.bias, -0.25);
    near(s.within_25, 1);
    s = bench_stats_of(NULL, 0);
    assert_true(s.count == 0 && s.mape < 0 && s.median < 0 && isnan(s.bias));
}

/* Points without a model: what is predicted is said here. */
typedef struct made {
    bench_row row;
    pg_gpu gpu;
} made;

static bench_point point_of(made *m, const char *model, const char *gpu, double value, double predicted)
{
    *m = (made){.row = {.model = model, .file = "f", .batch = 8, .value = value}, .gpu = {.key = gpu}};
    return (bench_point){.row = &m->row,
                         .gpu = &m->gpu,
                         .family = model,
                         .predicted = predicted,
                         .low = predicted / 1.2,
                         .high = predicted * 1.2,
                         .error = predicted / value - 1,
                         .roofline = value / 2,
                         .scalar = -1,
                         .p = {.basis = "transferred"}};
}

static const bench_grouping *grouping(const bench_summary *s, const char *key)
{
    for (int i = 0; i < BENCH_GROUPINGS; i++)
        if (!strcmp(s->groupings[i].key, key)) return &s->groupings[i];
    fail_msg("there is no grouping %s", key);
    return NULL;
}

static void summaries_group(void **state)
{
    (void)state;
    made m[4];
    const char *key = "x";
    bench_point p[4] = {point_of(&m[0], "a", "t4", 10, 11), point_of(&m[1], "b", "t4", 10, 13),
                        point_of(&m[2], "a", "a100", 10, 9), point_of(&m[3], "c", key, 10, 10)};
    p[3].skipped = "because";
    arena a;
    arena_init(&a, (allocator){heap_resize, &heap}, 0);
    bench_summary s;
    pg_error e = PG_ERROR_INIT;
    assert_int_equal(bench_summarize(&s, p, 4, &a, &e), PG_E_OK);
    assert_int_equal(s.all.ours.count, 3);
    assert_int_equal(s.skipped, 1);
    assert_string_equal(s.reasons[0].text, "because");
    near(s.all.ours.mape, 0.5 / 3);
    near(s.all.coverage, 2.0 / 3); /* 13 / 1.2 is over 10 */
    near(s.all.roofline.mape, 0.5);
    assert_int_equal(s.all.scalar.count, 0);
    const bench_grouping *by = grouping(&s, "by_gpu");
    assert_int_equal(by->count, 2);
    assert_string_equal(by->groups[0].name, "t4"); /* the larger first */
    near(by->groups[0].ours.mape, 0.2);
    near(by->groups[1].ours.bias, -0.1);
    by = grouping(&s, "by_family");
    assert_int_equal(by->count, 2);
    near(by->groups[0].ours.bias, 0);
    arena_free(&a);
}

static void scalars_leave_the_family_out(void **state)
{
    (void)state;
    /* Six families that are twice as slow on t4, and a seventh that is ten times as slow: its own ratio must not help it. */
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g"};
    made m[14];
    bench_point p[14];
    pg_error e = PG_ERROR_INIT;
    for (int i = 0; i < 7; i++) {
        p[2 * i] = point_of(&m[2 * i], names[i], "t4", i == 6 ? 100 : 20, 1);
        p[2 * i + 1] = point_of(&m[2 * i + 1], names[i], "a100", 10, 1);
    }
    assert_int_equal(bench_scalars(p, 14, (allocator){heap_resize, &heap}, &e), PG_E_OK);
    near(p[12].scalar, 20);
    assert_ptr_equal(p[12].scalar_row, p[13].row);
    near(p[0].scalar, 20);
    near(p[1].scalar, 10);
    near(p[13].scalar, 50);
    /* with fewer than five others there is no scalar */
    assert_int_equal(bench_scalars(p, 10, (allocator){heap_resize, &heap}, &e), PG_E_OK);
    assert_true(p[0].scalar < 0);
}

/* ---- splits ---- */

typedef struct fixture {
    bench_rows rows;
    pg_catalog *catalog;
    bench *b;
    bench_point *points;
    size_t count;
    arena a;
} fixture;

static void open_all(fixture *f, const char *content, bool keep)
{
    pg_error e = PG_ERROR_INIT;
    start(&f->rows);
    arena_init(&f->a, (allocator){heap_resize, &heap}, 0);
    pg_code code = content ? PARSE(&f->rows, content, &e) : bench_read_builtin(&f->rows, false, &e);
    if (code) fail_msg("%s %s %s", e.source, e.path, e.text);
    assert_int_equal(pg_catalog_open(&f->catalog, &(pg_catalog_options){.no_user_files = true}, &e), PG_E_OK);
    assert_int_equal(bench_open(&f->b, &f->rows, f->catalog, &(bench_options){.keep = keep}, &e), PG_E_OK);
    f->points = bench_points(f->b, &f->count);
}

static void close_all(fixture *f)
{
    bench_free(f->b);
    pg_catalog_free(f->catalog);
    bench_rows_free(&f->rows);
    arena_free(&f->a);
}

static bool same_text(const char *a, const char *b)
{
    return !strcmp(a ? a : "", b ? b : "");
}

/* The built-in points: all can be read, nearly all can be predicted, and no group is on both sides of a split. */
static void splits_never_mix_groups(void **state)
{
    (void)state;
    fixture f;
    open_all(&f, NULL, false);
    assert_true(f.count > 2000);
    size_t known = 0, sourced = 0;
    for (size_t i = 0; i < f.count; i++) {
        known += !f.points[i].skipped;
        sourced += f.points[i].row->source != NULL && f.points[i].row->url != NULL;
    }
    assert_true(known * 10 >= f.count * 9);
    assert_int_equal(sourced, f.count);
    size_t stride = f.count / 400;
    for (size_t i = 0; i < f.count; i += stride) {
        for (size_t k = 0; k < f.count; k += stride / 2 + 1) {
            const bench_point *p = &f.points[i], *q = &f.points[k];
            char a[600], b[600];
            bool gpu = p->gpu == q->gpu, model = !strcmp(p->row->model, q->row->model);
            bool same = gpu && model && same_text(bench_runtime(p->row), bench_runtime(q->row)) &&
                        same_text(bench_precision(p->row), bench_precision(q->row));
            for (int kind = SPLIT_GPU; kind <= SPLIT_RANDOM; kind++) {
                const char *x = split_group(p, (split_kind)kind, a, sizeof a),
                           *y = split_group(q, (split_kind)kind, b, sizeof b);
                if (same) assert_true(same_text(x, y));
                if (kind <= SPLIT_GENERATION && gpu) assert_true(same_text(x, y));
                if (kind == SPLIT_FAMILY && !strcmp(p->family, q->family)) assert_true(same_text(x, y));
            }
        }
    }
    close_all(&f);
}

static void boards_of_a_chip_go_together(void **state)
{
    (void)state;
    static const char *const pairs[][3] = {{"a100", "a100_pcie_40gb", "y"},
                                           {"v100", "v100_sxm_16gb", "y"},
                                           {"h100", "h100_pcie", "y"},
                                           {"h100", "h200", "n"},
                                           {"a10", "a100", "n"},
                                           {"rtx4090", "rtx3090", "n"},
                                           {"rtx_pro_6000", "rtx_a6000", "n"},
                                           {"b200", "gb200", "n"}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        made m[2];
        char a[64], b[64];
        bench_point p = point_of(&m[0], "x", pairs[i][0], 1, 1), q = point_of(&m[1], "x", pairs[i][1], 1, 1);
        bool same = !strcmp(split_group(&p, SPLIT_GPU, a, sizeof a), split_group(&q, SPLIT_GPU, b, sizeof b));
        assert_int_equal(same, pairs[i][2][0] == 'y');
    }
}

static void chips_of_a_generation_go_together(void **state)
{
    (void)state;
    pg_catalog *c;
    pg_error none = PG_ERROR_INIT;
    assert_int_equal(pg_catalog_open(&c, &(pg_catalog_options){.no_user_files = true}, &none), PG_E_OK);
    static const char *const pairs[][3] = {{"a100", "rtx3090", "y"},  {"h100", "h200", "y"}, {"t4", "v100", "n"},
                                           {"b200", "rtx5090", "y"},  {"b200", "b300", "y"}, {"rtx4090", "l40s", "y"},
                                           {"mi300x", "mi250x", "n"}, {"p4", "p100", "y"},   {"h100", "a100", "n"}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        made m[2];
        char a[64], b[64];
        bench_point p = point_of(&m[0], "x", pairs[i][0], 1, 1), q = point_of(&m[1], "x", pairs[i][1], 1, 1);
        pg_error e = PG_ERROR_INIT;
        p.gpu = pg_catalog_find(c, pairs[i][0], &e);
        q.gpu = pg_catalog_find(c, pairs[i][1], &e);
        assert_non_null(p.gpu);
        assert_non_null(q.gpu);
        bool same = same_text(split_group(&p, SPLIT_GENERATION, a, sizeof a),
                              split_group(&q, SPLIT_GENERATION, b, sizeof b));
        assert_int_equal(same, pairs[i][2][0] == 'y');
    }
    pg_catalog_free(c);
}

#define ENGINE(model, gpu, value)                                                                            \
    "{\"model\": \"" model "\", \"gpu\": \"" gpu "\", \"batch\": 64, \"precision\": \"fp16\", \"runtime\": " \
    "\"tensorrt\", \"metric\": \"latency_ms\", \"value\": " value "}"
#define COMPILED(model, gpu, value)                                                                          \
    "{\"model\": \"" model "\", \"gpu\": \"" gpu "\", \"batch\": 64, \"precision\": \"fp16\", \"runtime\": " \
    "\"pytorch-compile\", \"metric\": \"latency_ms\", \"value\": " value "}"

static void run_split(fixture *f, split_kind kind)
{
    pg_error e = PG_ERROR_INIT;
    split_fold *folds;
    size_t fold_count;
    bool *test = ARENA_ARRAY(&f->a, bool, f->count);
    memset(test, true, f->count);
    split_options o = {.kind = kind, .test = test};
    fit_snapshot *before = fit_save(f->catalog, &f->a);
    assert_int_equal(split_run(&folds, &fold_count, f->b, f->catalog, &o, &f->a, &e), PG_E_OK);
    fit_snapshot *after = fit_save(f->catalog, &f->a);
    assert_true(fit_same(before, after));
    assert_true(fold_count > 1);
}

/* What a test row says must not change what is predicted for it, while it changes what is predicted for others. */
static void nothing_leaks_from_a_test_row(void **state)
{
    (void)state;
    fixture f, g;
    open_all(&f,
             "{\"benchmarks\": [" ENGINE("resnet50", "t4", "30") "," ENGINE("mobilenet_v2", "t4", "10") "," ENGINE(
                 "resnet50", "a100", "5") "," ENGINE("mobilenet_v2", "a100", "2") "," COMPILED("resnet50", "rtx4090",
                                                                                               "9") "]}",
             true);
    open_all(&g,
             "{\"benchmarks\": [" ENGINE("resnet50", "t4", "30") "," ENGINE("mobilenet_v2", "t4", "10") "," ENGINE(
                 "resnet50", "a100", "15") "," ENGINE("mobilenet_v2", "a100", "6") "," COMPILED("resnet50", "rtx4090",
                                                                                                "1") "]}",
             true);
    assert_string_equal(f.points[4].p.basis, "calibrated");
    run_split(&f, SPLIT_GPU);
    run_split(&g, SPLIT_GPU);
    near(f.points[2].predicted, g.points[2].predicted);
    near(f.points[3].predicted, g.points[3].predicted);
    assert_true(fabs(f.points[0].predicted / g.points[0].predicted - 1) > 0.05);
    assert_string_equal(f.points[2].fold, "a100");
    /* alone on its GPU and in its runtime: nothing to fit on, so it is predicted from the start values, as an unmeasured GPU */
    near(f.points[4].predicted, g.points[4].predicted);
    assert_string_equal(f.points[4].p.basis, "transferred");
    close_all(&f);
    close_all(&g);
}

#define STEP(gpu, task, runtime, value)                                                                                \
    "{\"model\": \"resnet50\", \"gpu\": \"" gpu "\", \"batch\": 64, \"precision\": \"fp16\", \"task\": \"" task "\", " \
    "\"runtime\": \"" runtime "\", \"metric\": \"latency_ms\", \"value\": " value "}"

/* What is left out is a GPU that nobody measured, for training too, and with it all of its generation if that is asked for. */
static void what_is_left_out_was_never_measured(void **state)
{
    (void)state;
    static const char rows[] = "{\"benchmarks\": [" STEP("rtx3090", "training", "pytorch", "100") "," STEP(
        "rtx3090", "inference", "pytorch", "30") "," STEP("a10", "inference", "tensorrt",
                                                          "20") "," STEP("t4", "inference", "tensorrt", "30") "]}";
    for (int kind = SPLIT_GPU; kind <= SPLIT_GENERATION; kind++) {
        fixture f;
        open_all(&f, rows, true);
        for (size_t i = 0; i < f.count; i++) assert_string_equal(f.points[i].p.basis, "calibrated");
        run_split(&f, (split_kind)kind);
        for (size_t i = 0; i < f.count; i++) assert_string_equal(f.points[i].p.basis, "transferred");
        assert_string_equal(f.points[0].fold, kind == SPLIT_GPU ? "rtx3090" : "ampere");
        assert_string_equal(f.points[2].fold, kind == SPLIT_GPU ? "a10" : "ampere");
        assert_string_equal(f.points[3].fold, kind == SPLIT_GPU ? "t4" : "turing");
        close_all(&f);
    }
}

static void fits_find_what_made_the_data(void **state)
{
    (void)state;
    fixture f;
    fit_steps steps;
    pg_error e = PG_ERROR_INIT;
    open_all(&f,
             "{\"benchmarks\": [" ENGINE("resnet50", "t4", "30") "," ENGINE("mobilenet_v2", "t4", "10") "," ENGINE(
                 "resnet50", "a100", "5") "," ENGINE("mobilenet_v2", "a100", "2") "]}",
             true);
    assert_int_equal(fit_steps_read(&steps, f.catalog, &f.a, &e), PG_E_OK);
    assert_null(fit_step_find(&steps, "none", &e));
    const fit_step *scales = fit_step_find(&steps, "block scales", NULL); /* tables show them, no built-in point does */
    assert_non_null(scales);
    assert_string_equal(scales->tables[0], "gemm.fp8-block");
    assert_null(scales->tables[1]);
    const fit_step *s = fit_step_find(&steps, "engines", NULL);
    assert_non_null(s);
    double *at = s->constants[0].at, truth = *at;
    for (size_t i = 0; i < f.count; i++) {
        assert_true(fit_step_takes(s, &f.points[i]));
        assert_false(fit_step_takes(scales, &f.points[i]));
        f.rows.rows[i].value = f.points[i].predicted;
    }
    *at = truth * 0.6;
    fit_problem p = {.points = f.points,
                     .count = f.count,
                     .constants = s->constants,
                     .constant_count = 1,
                     .rounds = 1,
                     .evaluations = 200};
    assert_int_equal(fit_run(&p, &e), PG_E_OK);
    assert_true(p.before > 0.1 && p.after < 1e-3);
    assert_true(fabs(*at / truth - 1) < 0.01);
    close_all(&f);
}

/* What is left out of a step doesn't take part, and its constants are pulled towards their start values. */
static void a_step_by_itself(void **state)
{
    (void)state;
    fixture f;
    fit_steps steps;
    pg_error e = PG_ERROR_INIT;
    bool out[3] = {false, false, true};
    open_all(&f,
             "{\"benchmarks\": [" ENGINE("resnet50", "t4", "30") "," ENGINE("mobilenet_v2", "t4", "10") "," ENGINE(
                 "resnet50", "a100", "5") "]}",
             true);
    assert_int_equal(fit_steps_read(&steps, f.catalog, &f.a, &e), PG_E_OK);
    const fit_step *s = fit_step_find(&steps, "engines", NULL), *none = fit_step_find(&steps, "levels", NULL);
    double first = 0;
    for (int turn = 0; turn < 2; turn++) {
        if (turn) f.rows.rows[2].value = 500;
        fit_step_start(s);
        assert_int_equal(split_fit_step(f.b, f.catalog, s, out, 0, NULL, NULL, &f.a, &e), PG_E_OK);
        if (!turn) first = *s->constants[0].at;
        assert_true(*s->constants[0].at == first);
    }
    assert_true(first != s->constants[0].start);
    fit_step pulled = *s;
    pulled.pull = 1e6;
    fit_step_start(s);
    *s->constants[0].at = s->constants[0].high;
    assert_int_equal(split_fit_step(f.b, f.catalog, &pulled, NULL, 3, NULL, NULL, &f.a, &e), PG_E_OK);
    assert_true(fabs(*s->constants[0].at / s->constants[0].start - 1) < 0.01);
    assert_int_equal(split_fit_step(f.b, f.catalog, none, NULL, 0, NULL, NULL, &f.a, &e), PG_E_NOT_FOUND);
    close_all(&f);
}

static void a_model_has_one_family(void **state)
{
    (void)state;
    fixture f;
    open_all(&f, "{\"benchmarks\": [{" ROW ", \"family\": \"x\"}, {" ROW ", \"family\": \"y\"}, {" ROW "}]}", false);
    assert_int_equal(f.count, 3);
    for (size_t i = 0; i < 3; i++) assert_string_equal(f.points[i].family, "x");
    close_all(&f);
}

static void every_builtin_file_is_read(void **state)
{
    (void)state;
    bench_rows r;
    pg_error e = PG_ERROR_INIT;
    start(&r);
    assert_int_equal(bench_read_builtin(&r, false, &e), PG_E_OK);
    DIR *d = opendir(TEST_ROOT "/data/benchmarks");
    assert_non_null(d);
    for (const struct dirent *entry; (entry = readdir(d));) {
        if (!strstr(entry->d_name, ".json")) continue;
        bool found = false;
        for (size_t i = 0; i < r.count && !found; i++)
            found = !strncmp(entry->d_name, r.rows[i].file, strlen(r.rows[i].file));
        if (!found) fail_msg("data/benchmarks/%s is not in bench/builtin.def", entry->d_name);
    }
    closedir(d);
    size_t all = r.count;
    bench_rows_free(&r);
    start(&r);
    assert_int_equal(bench_read_builtin(&r, true, &e), PG_E_OK);
    assert_true(r.count > 0 && r.count < all);
    for (size_t i = 0; i < r.count; i++) assert_memory_equal(r.rows[i].model, "op:", 3);
    bench_rows_free(&r);
}

static void plots_are_drawn(void **state)
{
    (void)state;
    made m[40];
    static const char *const gpus[] = {"g0",  "g1",  "g2",  "g3",  "g4",  "g5",  "g6",  "g7",  "g8",  "g9",
                                       "g10", "g11", "g12", "g13", "g14", "g15", "g16", "g17", "g18", "<&>"};
    bench_point p[40];
    buffer out;
    for (int i = 0; i < 40; i++) p[i] = point_of(&m[i], "a", gpus[i / 2], 0.02 * (i + 1), 0.03 * (i + 1));
    for (size_t n = 0; n <= 40; n += 20) {
        buffer_init(&out, (allocator){heap_resize, &heap});
        render_plot(&out, p, n, "a < b & c");
        assert_false(out.failed);
        assert_non_null(strstr(out.ptr, "a &lt; b &amp; c"));
        assert_non_null(strstr(out.ptr, "</svg>\n"));
        assert_true((strstr(out.ptr, "100 \xc2\xb5s") != NULL) == (n > 0) || n == 20);
        assert_true((strstr(out.ptr, ">others: ") != NULL) == (n == 40));
        assert_null(strstr(out.ptr, "nan"));
        assert_null(strstr(out.ptr, "inf"));
        buffer_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_is_read),
        cmocka_unit_test(files_are_refused),
        cmocka_unit_test(rows_are_refused),
        cmocka_unit_test(sizes_are_limited),
        cmocka_unit_test(nothing_leaks_when_memory_ends),
        cmocka_unit_test(paths_are_relative_to_the_file),
        cmocka_unit_test(kernels_are_what_ran),
        cmocka_unit_test(rows_are_predicted_or_skipped),
        cmocka_unit_test(what_a_row_leaves_open_comes_from_its_source),
        cmocka_unit_test(versions_and_layouts_come_from_sources),
        cmocka_unit_test(some_mixed_precision_is_half),
        cmocka_unit_test(servers_halve_what_they_load),
        cmocka_unit_test(accurate_bert_has_narrow_products),
        cmocka_unit_test(engines_run_for_paddle),
        cmocka_unit_test(training_has_other_networks),
        cmocka_unit_test(lengths_come_from_sources),
        cmocka_unit_test(figures_of_other_things_are_skipped),
        cmocka_unit_test(families_come_from_names),
        cmocka_unit_test(statistics_are_as_by_hand),
        cmocka_unit_test(summaries_group),
        cmocka_unit_test(scalars_leave_the_family_out),
        cmocka_unit_test(splits_never_mix_groups),
        cmocka_unit_test(boards_of_a_chip_go_together),
        cmocka_unit_test(chips_of_a_generation_go_together),
        cmocka_unit_test(what_is_left_out_was_never_measured),
        cmocka_unit_test(nothing_leaks_from_a_test_row),
        cmocka_unit_test(fits_find_what_made_the_data),
        cmocka_unit_test(a_step_by_itself),
        cmocka_unit_test(a_model_has_one_family),
        cmocka_unit_test(every_builtin_file_is_read),
        cmocka_unit_test(plots_are_drawn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
