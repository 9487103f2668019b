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

#include "bench/bench.h"
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
    assert_true(b->autocast && b->device_time);
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

static char *folder_with(const char *json, char *path, size_t cap)
{
    static char folder[] = "/tmp/bench-XXXXXX";
    memcpy(folder + sizeof folder - 7, "XXXXXX", 6);
    assert_non_null(mkdtemp(folder));
    snprintf(path, cap, "%s/b.json", folder);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(json, f);
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

static void rows_are_predicted_or_skipped(void **state)
{
    (void)state;
    const char *text =
        "{\"benchmarks\": [{" ROW ", \"batch\": 8}, {\"model\": \"resnet50\", \"gpu\": \"NVIDIA A100\", \"batch\": 8, "
        "\"metric\": \"throughput\", \"value\": 1000}, {\"model\": \"resnet50\", \"gpu\": \"none\", \"metric\": "
        "\"power_w\", \"value\": 9}, {\"model\": \"nonet\", \"gpu\": \"t4\", \"metric\": \"power_w\", \"value\": 9}, "
        "{\"model\": \"resnet50\", \"gpu\": \"t4\", \"metric\": \"ttft_ms\", \"value\": 9}, {" ROW
        ", \"precision\": \"int3\"}, {" ROW ", \"runtime\": \"x\"}, {" ROW ", \"gpu_count\": 8}, {" ROW
        ", \"task\": \"decode\"}, {\"model\": \"op:gemm:m=64:n=64:k=64\", \"gpu\": \"t4\", \"image_size\": 224, \"metric\": "
        "\"memory_bytes\", \"value\": 9e8}, {" ROW ", \"batch\": 1048576}]}";
    static const char *const skips[] = {
        NULL,           NULL,     "none", "nonet", "first token", "int3", "unknown runtime",
        "several GPUs", "decode", NULL,   NULL /* it was measured, so it did fit */};
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
        {NULL, "fp16", "TensorFlow2/LanguageModeling/BERT/README.md", "tensorflow", "fp16"},
        {NULL, "tf32+xla", "TensorFlow/Classification/ConvNets/README.md", "tensorflow-xla", "tf32"},
        {NULL, "fp16+xla", NULL, "pytorch-compile", "fp16"},
        {NULL, "fp32|fp16", NULL, "pytorch", "fp32|fp16"}, /* which of them is not said */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bench_row row = {.runtime = cases[i].runtime, .precision = cases[i].precision, .source = cases[i].source};
        assert_string_equal(bench_runtime(&row), cases[i].want_runtime);
        assert_string_equal(bench_precision(&row), cases[i].want_precision);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_is_read),
        cmocka_unit_test(files_are_refused),
        cmocka_unit_test(rows_are_refused),
        cmocka_unit_test(sizes_are_limited),
        cmocka_unit_test(nothing_leaks_when_memory_ends),
        cmocka_unit_test(paths_are_relative_to_the_file),
        cmocka_unit_test(rows_are_predicted_or_skipped),
        cmocka_unit_test(what_a_row_leaves_open_comes_from_its_source),
        cmocka_unit_test(families_come_from_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
