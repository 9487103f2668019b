/* What must hold of whole predictions, whatever the constants are: which way each number of a GPU's profile moves them, that more
 * work takes no less time, and that what does not fit has no latency. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "phantom/phantom.h"
#include "support/gpus.h"

static const char *const models[] = {"resnet50", "mobilenet_v2",      "vgg16", "efficientnet_b0", "vit_b_16",
                                     "swin_t",   "bert-base-uncased", "gpt2",  "lstm-medium"};
enum { MODELS = sizeof models / sizeof models[0] };

static pg_model *loaded[MODELS];
static char file[64];

/* Any of the zoo's models, loaded once. */
static pg_model *model_of(const char *name)
{
    pg_error e = PG_ERROR_INIT;
    size_t i = 0;
    while (i < MODELS && strcmp(models[i], name)) i++;
    assert_true(i < MODELS);
    if (!loaded[i] && pg_model_open(&loaded[i], name, NULL, &e)) fail_msg("%s: %s", name, e.text);
    return loaded[i];
}

static pg_prediction predict_on(const pg_catalog *c, const char *gpu, const char *model, const pg_request *r)
{
    pg_plan *plan;
    pg_prediction p;
    pg_error e = PG_ERROR_INIT;
    if (pg_plan_open(&plan, model_of(model), c, r, &e)) fail_msg("%s: %s", model, e.text);
    if (pg_plan_predict(plan, pg_catalog_find(c, gpu, &e), &p, &e)) fail_msg("%s: %s", gpu, e.text);
    static char note[1024]; /* the plan's own goes with it */
    if (p.note) {
        snprintf(note, sizeof note, "%s", p.note);
        p.note = note;
    }
    pg_plan_free(plan);
    return p;
}

static pg_prediction predict(const char *gpu, const char *model, int64_t batch, const char *precision)
{
    return predict_on(gpus, gpu, model, &(pg_request){.batch = batch, .precision = precision});
}

/* The catalog with a user's file over it. */
static pg_catalog *catalog_with(const char *toml)
{
    pg_catalog *c;
    pg_error e = PG_ERROR_INIT;
    FILE *f = fopen(file, "wb");
    assert_non_null(f);
    assert_true(fputs(toml, f) >= 0 && fclose(f) == 0);
    if (pg_catalog_open(&c, &(pg_catalog_options){.hardware_profiles = file, .no_user_files = true}, &e))
        fail_msg("%s:%u: %s %s in\n%s", e.source, e.line, e.path, e.text, toml);
    return c;
}

/* ---- more work ---- */

static void test_batch_never_faster(void **state)
{
    (void)state;
    static const char *const precisions[] = {"fp32", "fp16", "int8"};
    static const char *const boards[] = {"a100", "rtx4090", "t4", "gtx1080ti"};
    for (size_t m = 0; m < MODELS; m++)
        for (size_t p = 0; p < 3; p++)
            for (size_t g = 0; g < 4; g++)
                for (int64_t batch = 1; batch <= 64; batch *= 2) {
                    pg_prediction a = predict(boards[g], models[m], batch, precisions[p]);
                    pg_prediction b = predict(boards[g], models[m], batch * 2, precisions[p]);
                    if (a.fits && b.fits && b.latency_ms < a.latency_ms * (1 - 1e-9))
                        fail_msg("%s %s on %s: batch %d takes %g ms, twice that %g", models[m], precisions[p],
                                 boards[g], (int)batch, a.latency_ms, b.latency_ms);
                    assert_true(b.memory.total >= a.memory.total);
                    double least = strcmp(precisions[p], "int8")
                                     ? 1.98
                                     : 1.5; /* weights are cast once, views of one sample cost nothing */
                    if (b.flops > 2.02 * a.flops || b.flops < least * a.flops)
                        fail_msg("%s %s: %g FLOPs, at twice the batch %g", models[m], precisions[p], a.flops, b.flops);
                }
}

static void test_sequence_never_faster(void **state)
{
    (void)state;
    for (int64_t n = 64; n < 1024; n *= 2) {
        pg_request r = {.batch = 4, .sequence = n}, longer = {.batch = 4, .sequence = n * 2};
        assert_true(predict_on(gpus, "a100", "gpt2", &longer).latency_ms >=
                    predict_on(gpus, "a100", "gpt2", &r).latency_ms);
    }
}

/* An engine for a GPU without the units keeps tensors as wide as what it computes in: narrow ones would be faster than they are. */
static void test_engines_without_units_are_not_narrow(void **state)
{
    (void)state;
    static const char *const lacking[][2] = {{"a40", "fp8"}, {"a100", "fp8"}, {"v100", "int8"}, {"b300", "int8"}};
    static const char *const nets[] = {"mobilenet_v2", "bert-base-uncased"};
    for (size_t i = 0; i < sizeof lacking / sizeof lacking[0]; i++)
        for (size_t m = 0; m < sizeof nets / sizeof nets[0]; m++) {
            pg_request r = {.batch = 64, .precision = lacking[i][1], .runtime = "tensorrt"}, half = r;
            half.precision = "fp16";
            pg_prediction a = predict_on(gpus, lacking[i][0], nets[m], &r);
            assert_non_null(strstr(a.note, "computes in FP16"));
            pg_prediction b = predict_on(gpus, lacking[i][0], nets[m], &half);
            assert_string_equal(a.precision, lacking[i][1]);
            if (a.latency_ms != b.latency_ms || a.memory.total != b.memory.total || a.power_w != b.power_w)
                fail_msg("%s on %s: %g ms in %s, %g ms in fp16", nets[m], lacking[i][0], a.latency_ms, lacking[i][1],
                         b.latency_ms);
        }
    pg_request r = {.batch = 64, .precision = "int8", .runtime = "tensorrt"}, half = r;
    half.precision = "fp16";
    assert_true(predict_on(gpus, "a40", "mobilenet_v2", &r).latency_ms <
                0.8 * predict_on(gpus, "a40", "mobilenet_v2", &half).latency_ms);
}

/* ---- one operator by itself ---- */

static pg_prediction lone(const char *op, const char *gpu, const char *precision, const char *runtime, bool device_time)
{
    pg_model *m = NULL;
    pg_plan *plan = NULL;
    pg_prediction p = {0};
    pg_error e = PG_ERROR_INIT;
    pg_request r = {.precision = precision, .runtime = runtime, .device_time = device_time};
    if (pg_model_open(&m, op, NULL, &e) || pg_plan_open(&plan, m, gpus, &r, &e) ||
        pg_plan_predict(plan, pg_catalog_find(gpus, gpu, &e), &p, &e))
        fail_msg("%s: %s", op, e.text);
    pg_plan_free(plan);
    pg_model_free(m);
    return p;
}

/* A loop of small operators from Python takes the host's time, whatever the GPU, and nothing of a whole model's step. */
static void test_lone_operators_wait_for_the_host(void **state)
{
    (void)state;
    pg_prediction a = lone("op:add:rows=64:cols=64", "a100", "fp32", "pytorch", false);
    pg_prediction b = lone("op:add:rows=128:cols=128", "p4", "fp32", "pytorch", false);
    assert_true(a.latency_ms > 0.015 && a.latency_ms < 0.045 && a.latency_ms == b.latency_ms);
    assert_string_equal(a.bottleneck, "host");
    assert_true(lone("op:add:rows=64:cols=64", "a100", "fp32", "pytorch", true).latency_ms < 0.5 * a.latency_ms);
    pg_prediction large = lone("op:add:rows=8192:cols=8192", "a100", "fp32", "pytorch", false);
    assert_true(large.latency_ms > large.gpu_ms && large.latency_ms < large.gpu_ms + a.latency_ms);
    /* A convolution's kernels wait longer: for what the library chose for their shape. */
    pg_prediction conv = lone("op:conv2d:batch=64:in=512:out=512:kernel=3:size=28", "a100", "fp32", "pytorch", false);
    assert_true(conv.latency_ms - conv.gpu_ms > 3 * (large.latency_ms - large.gpu_ms));
}

/* fp32 of a lone kernel is what was asked for, not a framework's TF32. */
static void test_lone_fp32_is_fp32(void **state)
{
    (void)state;
    double ms = lone("op:conv2d:batch=64:in=512:out=512:kernel=1:size=28", "a100", "fp32", "pytorch", true).latency_ms;
    assert_true(2.0 * 64 * 512 * 512 * 28 * 28 / (ms * 1e-3) < 19.5e12);
}

/* TensorRT-LLM's INT8 products find their input quantised, and walk over all of K. */
static void test_int8_products(void **state)
{
    (void)state;
    const char *tall = "op:gemm:m=4096:n=128:k=16384";
    double ready = lone(tall, "a100", "int8", "tensorrt-llm", true).latency_ms;
    assert_true(ready < 0.7 * lone(tall, "a100", "int8", "vllm", true).latency_ms);
    double few = lone("op:gemm:m=4:n=256:k=65536", "a100", "int8", "tensorrt-llm", true).latency_ms;
    double more = lone("op:gemm:m=5:n=256:k=65536", "a100", "int8", "tensorrt-llm", true).latency_ms;
    assert_true(more > 0.1 && few < 0.5 * more);
}

/* What serving runtimes run around a kernel is in its time. */
static void test_serving_runtimes_run_more_than_the_kernel(void **state)
{
    (void)state;
    const char *product = "op:gemm:m=16:n=1024:k=1024";
    double bf16 = lone(product, "h100", "bf16", "tensorrt-llm", true).latency_ms;
    double fp8 = lone(product, "h100", "fp8", "tensorrt-llm", true).latency_ms;
    double one_pass = lone(product, "h100", "fp8", "vllm", true).latency_ms;
    assert_true(fp8 > one_pass && one_pass > bf16);
    /* Block scales: one kernel finds them and quantises; the product has to apply them as it goes. */
    const char *scaled = "op:gemm:m=16:n=1024:k=1024:block=128", *large = "op:gemm:m=8192:n=8192:k=8192:block=128";
    assert_true(lone(scaled, "h100", "fp8", "tensorrt-llm", true).latency_ms < fp8);
    assert_true(lone(large, "l40s", "fp8", "tensorrt-llm", true).latency_ms >
                1.2 * lone("op:gemm:m=8192:n=8192:k=8192", "l40s", "fp8", "tensorrt-llm", true).latency_ms);
    assert_true(lone(large, "h100", "bf16", "vllm", true).latency_ms ==
                lone("op:gemm:m=8192:n=8192:k=8192", "h100", "bf16", "vllm", true).latency_ms);
    const char *prompt = "op:attention:batch=8:q_len=1024:kv_len=1024:heads=32:kv_heads=8:head_dim=128:causal=1";
    assert_true(lone(prompt, "h100", "bf16", "vllm", true).dram_bytes <
                lone(prompt, "h100", "bf16", "tensorrt-llm", true).dram_bytes);
    /* weights in FP4 are slow to compute on, not to stream: twice as many, at no less than 60 % of 8 TB/s */
    double small = lone("op:gemm:m=1:n=65536:k=8192", "b200", "nvfp4", "tensorrt-llm", true).latency_ms,
           twice = lone("op:gemm:m=1:n=131072:k=8192", "b200", "nvfp4", "tensorrt-llm", true).latency_ms;
    assert_true((twice - small) * 1e-3 < 65536.0 * 8192 * 0.5625 / (0.6 * 8e12));
    assert_true(lone("op:gemm:m=8192:n=8192:k=8192", "b200", "nvfp4", "vllm", true).latency_ms <
                lone("op:gemm:m=8192:n=8192:k=8192", "b200", "fp8", "vllm", true).latency_ms);
}

/* ---- the profile's fields ---- */

enum { FASTER = -1, NO_EFFECT = 0, SLOWER = 1 };

/* What a larger value of one field does, on a GPU that is otherwise the same. `rest` comes before it in the file. */
typedef struct field_case {
    const char *field, *low, *high;
    int latency;
    const char *model, *precision;
    bool real_hardware;
    const char *rest;
} field_case;

#define CNN "resnet50", "fp16", false, ""
#define CNN32 "vgg16", "fp32", false, ""
#define LAW "gpt2", "fp16", false, ""
#define REAL "resnet50", "fp16", true, ""
#define OWN "resnet50", "fp16", false, "[gpus.mine]\nfp32_tflops = 20\nfp16_tflops = 80\n"
#define GPUS "gpus.rtx4090."
#define PROFILE "profiles.rtx4090."
#define F PROFILE "model_performance.cnn."

static const field_case fields[] = {
    {GPUS "memory_gb", "16", "48", NO_EFFECT, CNN},
    {GPUS "memory_mib", "16000", "48000", NO_EFFECT, CNN},
    {GPUS "bandwidth_gbs", "500", "2000", FASTER, CNN},
    {GPUS "fp32_tflops", "40", "160", FASTER, "vgg16", "fp32", false, ""},
    {GPUS "tf32_tflops", "40", "160", FASTER, "vgg16", "tf32", false, ""},
    {GPUS "fp16_tflops", "80", "320", FASTER, "vgg16", "fp16", false, ""},
    {GPUS "bf16_tflops", "80", "320", FASTER, "vgg16", "bf16", false, ""},
    {GPUS "fp8_tflops", "80", "320", FASTER, "vgg16", "fp8", false, ""},
    {GPUS "int8_tops", "80", "320", FASTER, "vgg16", "int8", false, ""},
    {GPUS "fp4_tflops", "80", "320", NO_EFFECT, CNN},
    {GPUS "int4_tops", "80", "320", NO_EFFECT, CNN},
    {GPUS "fp16_vector_tflops", "40", "160", FASTER, "vgg16", "fp16", false, "gpus.rtx4090.fp16_tflops = 0\n"},
    {GPUS "fp16_vector_tflops", "40", "160", NO_EFFECT, CNN},
    {GPUS "release_year", "2018", "2024", NO_EFFECT, CNN}, /* the compute capability says how old the silicon is */
    {GPUS "compute_capability", "7", "8.9", FASTER, CNN},  /* with it the host that it sits in */
    {GPUS "idle_watts", "10", "100", NO_EFFECT, CNN},
    {GPUS "nvlink_gbs", "1", "900", NO_EFFECT, CNN},
    {GPUS "pcie_gen", "3", "5", NO_EFFECT, CNN},
    {PROFILE "thermal.tdp_watts", "150", "600", FASTER, "vgg16", "fp16", false, ""},
    {PROFILE "thermal.base_clock_mhz", "1000", "2500", FASTER, "resnet50", "fp16", true,
     "profiles.rtx4090.thermal.thermal_factor_sustained = 0.3\n"},
    {PROFILE "thermal.base_clock_mhz", "1000", "2500", NO_EFFECT, REAL}, /* no clock falls so far */
    {PROFILE "thermal.base_clock_mhz", "1000", "2500", NO_EFFECT, CNN},
    {PROFILE "thermal.boost_clock_mhz", "1000", "2000", FASTER, CNN},
    {PROFILE "thermal.throttle_temp_celsius", "60", "85", FASTER, "vgg16", "fp16", true,
     "profiles.rtx4090.thermal.base_clock_mhz = 500\n"},
    {PROFILE "thermal.throttle_temp_celsius", "90", "100", NO_EFFECT, "vgg16", "fp16", true, ""},
    {PROFILE "thermal.tdp_watts", "200", "400", FASTER, "vgg16", "fp16", true, ""},
    {PROFILE "thermal.throttle_temp_celsius", "60", "85", NO_EFFECT, CNN},
    {PROFILE "thermal.thermal_factor_sustained", "0.5", "0.9", FASTER, "resnet50", "fp16", true,
     "profiles.rtx4090.thermal.base_clock_mhz = 500\n"},
    {PROFILE "thermal.thermal_factor_sustained", "0.5", "0.9", NO_EFFECT, CNN},
    {PROFILE "memory.l1_cache_kb", "32", "256", FASTER, CNN},
    {PROFILE "memory.l2_cache_mb", "4", "96", FASTER, CNN},
    {PROFILE "memory.memory_channels", "6", "24", NO_EFFECT, CNN},
    {"profiles.mine.memory.memory_channels", "6", "24", FASTER, OWN},
    {PROFILE "memory.cache_hit_ratio", "0.1", "0.9", FASTER, CNN},
    {PROFILE "memory.coalescing_efficiency", "0.4", "0.9", FASTER, CNN},
    {PROFILE "architecture.cuda_cores", "8192", "16384", FASTER, CNN32},
    {PROFILE "architecture.tensor_cores", "256", "512", FASTER, "vgg16", "fp16", false, ""},
    {PROFILE "architecture.rt_cores", "1", "512", NO_EFFECT, CNN},
    {PROFILE "architecture.streaming_multiprocessors", "64", "144", FASTER, CNN},
    {PROFILE "architecture.memory_bus_width", "128", "512", FASTER, CNN},
    {F "batch_scaling_curve", "[1, 1, 1, 0.5, 1, 1, 1, 1]", "[1, 1, 1, 0.9, 1, 1, 1, 1]", FASTER, CNN},
    {F "batch_scaling_curve", "[1, 1, 1, 1, 1, 1, 1, 1]", "[2, 2, 2, 2, 2, 2, 2, 2]", NO_EFFECT, CNN},
    {F "memory_efficiency", "0.4", "0.9", FASTER, CNN},
    {F "memory_efficiency", "0.4", "0.9", NO_EFFECT, LAW},
    {F "tensor_core_utilization", "0.3", "0.9", FASTER, "vgg16", "fp16", false, ""},
    {F "architecture_multiplier", "0.5", "1.5", FASTER, CNN},
    {F "interval", "0.1", "0.4", NO_EFFECT, CNN},
    {PROFILE "calibration.runtimes", "'pytorch'", "'tensorrt'", NO_EFFECT, CNN},
    {PROFILE "calibration.host_factor", "1", "20", SLOWER, CNN},
    {PROFILE "precision.fp16_multiplier", "1", "4", FASTER, "vgg16", "fp16", false, ""},
    {PROFILE "precision.int8_multiplier", "1", "8", FASTER, "vgg16", "int8", false, ""},
    {PROFILE "precision.int4_multiplier", "1", "16", NO_EFFECT, CNN},
};

static pg_prediction with_field(const field_case *f, const char *value)
{
    char toml[1024];
    const char *gpu = strstr(f->field, ".mine.") ? "mine" : "rtx4090";
    snprintf(toml, sizeof toml, "%s = %s\n%s", f->field, value, f->rest);
    pg_catalog *c = catalog_with(toml);
    pg_prediction p = predict_on(
        c, gpu, f->model,
        &(pg_request){.batch = 8,
                      .precision = f->precision,
                      .device_time = !strstr(f->field, "capability") && !strstr(f->field, "host"),
                      .real_hardware = f->real_hardware});
    pg_catalog_free(c);
    assert_true(p.fits);
    return p;
}

static int direction(double before, double after)
{
    return after < before * (1 - 1e-9) ? -1 : after > before * (1 + 1e-9) ? 1 : 0;
}

/* docs/adding-a-gpu.md says what a larger value does; this is that it is so. */
static void test_each_field_moves_as_documented(void **state)
{
    (void)state;
    int wrong = 0;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        const field_case *f = &fields[i];
        pg_prediction low = with_field(f, f->low), high = with_field(f, f->high);
        if (direction(low.latency_ms, high.latency_ms) == f->latency) continue;
        wrong++;
        print_error("%s from %s to %s, %s in %s: latency %g -> %g ms\n", f->field, f->low, f->high, f->model,
                    f->precision, low.latency_ms, high.latency_ms);
    }
    assert_int_equal(wrong, 0);
}

/* The fields that say how much power a board takes. */
static void test_power_fields(void **state)
{
    (void)state;
    static const field_case power[] = {{GPUS "idle_watts", "10", "100", NO_EFFECT, CNN},
                                       {PROFILE "thermal.tdp_watts", "450", "600", NO_EFFECT, CNN},
                                       {GPUS "tdp_watts", "450", "600", NO_EFFECT, CNN}};
    for (size_t i = 0; i < 3; i++) {
        pg_prediction low = with_field(&power[i], power[i].low), high = with_field(&power[i], power[i].high);
        assert_true(high.power_w > low.power_w && high.power_w <= 600);
    }
}

/* Step by step, on every model and precision: no board gets slower by more of anything. */
static void test_more_is_never_slower(void **state)
{
    (void)state;
    static const struct {
        const char *field, *unit;
        double from, to;
    } sweeps[] = {{"gpus.a100.bandwidth_gbs", "%g", 300, 6000},
                  {"gpus.a100.fp32_tflops", "%g", 5, 100},
                  {"profiles.a100.architecture.tensor_cores", "%.0f", 100, 2000},
                  {"profiles.a100.architecture.streaming_multiprocessors", "%.0f", 20, 400},
                  {"profiles.a100.memory.l2_cache_mb", "%g", 1, 300},
                  {"profiles.a100.thermal.tdp_watts = 2000\nprofiles.a100.thermal.boost_clock_mhz", "%g", 700,
                   3000}, /* as long as the power suffices */
                  {"profiles.a100.thermal.tdp_watts", "%g", 100, 1200}};
    enum { STEPS = 8 };
    for (size_t s = 0; s < sizeof sweeps / sizeof sweeps[0]; s++) {
        double before[MODELS][3];
        for (int step = 0; step <= STEPS; step++) {
            char toml[256], value[64];
            double x = sweeps[s].from * pow(sweeps[s].to / sweeps[s].from, (double)step / STEPS);
            snprintf(value, sizeof value, sweeps[s].unit[1] == 'g' ? "%g" : "%.0f", x);
            snprintf(toml, sizeof toml, "%s = %s\n", sweeps[s].field, value);
            pg_catalog *c = catalog_with(toml);
            for (size_t m = 0; m < MODELS; m++)
                for (int p = 0; p < 3; p++) {
                    pg_request r = {.batch = 16, .precision = p ? "fp16" : "fp32", .autocast = p == 2};
                    if (p == 2) r.task = PG_TASK_TRAINING;
                    double now = predict_on(c, "a100", models[m], &r).latency_ms;
                    if (step && now > before[m][p] * (1 + 1e-9))
                        fail_msg("%s = %s: %s %s takes %.6g ms, with less of it %.6g", sweeps[s].field, value,
                                 models[m], r.precision, now, before[m][p]);
                    before[m][p] = now;
                }
            pg_catalog_free(c);
        }
    }
}

/* ---- memory ---- */

static void test_what_does_not_fit(void **state)
{
    (void)state;
    pg_catalog *c = catalog_with("gpus.a100.memory_gb = 1\n");
    pg_prediction p = predict_on(c, "a100", "vgg16", &(pg_request){.batch = 64, .precision = "fp32"});
    assert_false(p.fits);
    assert_true(p.latency_ms < 0 && p.latency_low_ms < 0 && p.latency_high_ms < 0 && p.throughput < 0 && p.power_w < 0);
    assert_true(p.memory.total > p.memory_capacity && p.memory_capacity > 0);
    assert_true(p.memory.weights > 0 && p.memory.activations > 0);
    double parts = p.memory.weights + p.memory.activations + p.memory.workspace + p.memory.runtime;
    assert_true(fabs(parts - p.memory.total) < 1);
    pg_catalog_free(c);
    c = catalog_with("gpus.a100.memory_gb = 100\n");
    assert_true(predict_on(c, "a100", "vgg16", &(pg_request){.batch = 64, .precision = "fp32"}).fits);
    pg_catalog_free(c);
}

/* ---- modes, precisions, runtimes ---- */

static void test_fast_mode_is_a_bound(void **state)
{
    (void)state;
    static const char *const boards[] = {"a100", "h100", "rtx4090", "t4", "gtx1080ti", "mi300x"};
    for (size_t m = 0; m < MODELS; m++)
        for (size_t g = 0; g < 6; g++)
            for (int64_t batch = 1; batch <= 64; batch *= 8)
                for (int fp32 = 0; fp32 < 2; fp32++) {
                    pg_request r = {.batch = batch, .precision = fp32 ? "fp32" : "fp16"}, fast = r;
                    fast.fast_mode = true;
                    double full = predict_on(gpus, boards[g], models[m], &r).latency_ms;
                    double bound = predict_on(gpus, boards[g], models[m], &fast).latency_ms;
                    bool vectors = fp32 || !strcmp(boards[g], "gtx1080ti"); /* Winograd needs fewer operations there */
                    /* what stays in a large L2 never comes from memory, and clocks are above the advertised ones */
                    double below = vectors ? 2.25 : !strcmp(boards[g], "rtx4090") ? 1.25 : 1.1;
                    if (full >= 0 && bound > full * below)
                        fail_msg("%s %s on %s at %d: roofline %g ms, full model %g", models[m], r.precision, boards[g],
                                 (int)batch, bound, full);
                }
}

/* PyTorch fuses attention from 2.0 on, BERT's code calls that from the time of 2.4 on; a version that is no version is the newest. */
static void test_attention_follows_the_version(void **state)
{
    (void)state;
    static const char *const names[] = {"vit_b_16", "bert-base-uncased"};
    for (size_t i = 0; i < 2; i++) {
        pg_request r = {.batch = 64, .precision = "fp16", .autocast = true};
        double newest = predict_on(gpus, "rtx3090", names[i], &r).latency_ms;
        r.runtime_version = "1.13";
        double old = predict_on(gpus, "rtx3090", names[i], &r).latency_ms;
        if (old < newest * 1.05) fail_msg("%s: %g ms under 1.13, newest %g", names[i], old, newest);
        r.runtime_version = "2.1.0";
        double between =
            predict_on(gpus, "rtx3090", names[i], &r).latency_ms; /* FlashAttention's first version; BERT had none */
        assert_true(between > newest && (between > 1.05 * newest) == (i == 1));
        static const char *const same[] = {"2.4", "2.9.1", "2.10.0", "nightly", ""};
        for (size_t k = 0; k < 5; k++) {
            r.runtime_version = same[k];
            double same_ms = predict_on(gpus, "rtx3090", names[i], &r).latency_ms;
            if (same_ms != newest) fail_msg("%s %s: %g, newest %g", names[i], same[k], same_ms, newest);
        }
    }
}

/* What old PyTorch runs one by one, an interpreter in C++ issues in half the time; the GPU does the same. */
static void test_traced_modules_spare_the_host(void **state)
{
    (void)state;
    pg_request r = {.batch = 1, .sequence = 32, .precision = "fp16", .runtime_version = "1.10"}, traced = r;
    traced.runtime = "torchscript";
    pg_prediction eager = predict_on(gpus, "a100", "bert-base-uncased", &r);
    pg_prediction script = predict_on(gpus, "a100", "bert-base-uncased", &traced);
    assert_string_equal(eager.bottleneck, "host");
    assert_true(script.latency_ms < 0.6 * eager.latency_ms && script.gpu_ms == eager.gpu_ms);
}

/* An executor in C++ spreads over cores, which were as fast beside V100 as later; one thread of Python wasn't. Its convolutions take the
 * layout that is asked for, NCHW unless something is. */
static void test_hosts_age_by_runtime(void **state)
{
    (void)state;
    pg_request r = {.batch = 1, .precision = "fp16", .autocast = true}, graph = r, last;
    graph.runtime = "tensorflow";
    double eager = predict_on(gpus, "v100", "resnet50", &r).host_ms / predict_on(gpus, "a100", "resnet50", &r).host_ms;
    double built = predict_on(gpus, "v100", "resnet50", &graph).host_ms /
                   predict_on(gpus, "a100", "resnet50", &graph).host_ms;
    assert_true(eager > 1.5 && built > 1 && built < 1.4);
    graph.batch = 64;
    last = graph;
    last.layout = PG_LAYOUT_NHWC;
    assert_true(predict_on(gpus, "v100", "resnet50", &last).gpu_ms <
                0.95 * predict_on(gpus, "v100", "resnet50", &graph).gpu_ms);
}

/* Before 1.12 linear layers of three dimensions add their bias in a kernel of its own. */
static void test_biases_follow_the_version(void **state)
{
    (void)state;
    pg_request r = {.batch = 32, .sequence = 384, .precision = "fp16", .runtime_version = "1.13"};
    double inside = predict_on(gpus, "v100", "bert-base-uncased", &r).gpu_ms;
    r.runtime_version = "1.11";
    double apart = predict_on(gpus, "v100", "bert-base-uncased", &r).gpu_ms;
    assert_true(apart > 1.05 * inside && apart < 1.5 * inside);
}

/* An engine's kernels follow each other on the GPU, whatever the host's year; a step whose activations fit into L2 writes none back;
 * no convolution reaches the units' peak. */
static void test_engines(void **state)
{
    (void)state;
    pg_request r = {.batch = 1, .precision = "int8", .runtime = "tensorrt"};
    pg_prediction one = predict_on(gpus, "h100_pcie", "resnet50", &r);
    assert_string_not_equal(one.bottleneck, "host");
    assert_true(one.gpu_ms > 0.2);
    r.batch = 32;
    double in_l2 = predict_on(gpus, "l40s", "resnet50", &r).latency_ms / 32;
    r.batch = 256;
    assert_true(predict_on(gpus, "l40s", "resnet50", &r).latency_ms / 256 > 1.2 * in_l2);
    double ms = lone("op:conv2d:batch=128:in=1024:out=1024:kernel=3:padding=1:size=28", "a100", "int8", "tensorrt",
                     true)
                    .latency_ms;
    assert_true(2.0 * 128 * 1024 * 1024 * 9 * 28 * 28 / (ms * 1e-3) < 0.99 * 624e12);
}

/* Engines need plugins for it before 8.6; ONNX Runtime runs what the file spells out. */
static void test_engines_spell_attention_out(void **state)
{
    (void)state;
    pg_request r = {.batch = 16, .sequence = 384, .precision = "fp16", .runtime = "tensorrt"};
    double newest = predict_on(gpus, "t4", "bert-base-uncased", &r).gpu_ms;
    r.runtime_version = "8.2.1";
    double old = predict_on(gpus, "t4", "bert-base-uncased", &r).gpu_ms;
    assert_true(old > newest * 1.1);
    r.runtime = "onnxruntime";
    assert_true(predict_on(gpus, "t4", "bert-base-uncased", &r).gpu_ms > old);
}

/* ONNX Runtime's products add no bias and run no activation; files of before GELU was an operator spell it out in five. */
static void test_onnxruntime_runs_what_files_spell(void **state)
{
    (void)state;
    pg_request r = {.batch = 16, .sequence = 384, .precision = "fp16", .runtime = "onnxruntime"};
    pg_prediction newest = predict_on(gpus, "a100", "bert-base-uncased", &r);
    r.runtime_version = "1.10";
    pg_prediction old = predict_on(gpus, "a100", "bert-base-uncased", &r);
    double bytes = 16 * 384 * 3072 * 2.0,
           passes = 12 * 4; /* an activation in fp16; one more pass than that is its own */
    double least = passes * 2 * bytes / 2039e9 * 1e3;
    assert_true(old.gpu_ms - newest.gpu_ms > least && old.gpu_ms - newest.gpu_ms < 4 * least);
}

static void test_layouts_of_convolutions(void **state)
{
    (void)state;
    /* turning NCHW data for the tensor cores and back is time that nothing hides */
    pg_request r = {.batch = 256, .precision = "fp16", .autocast = true}, last = r;
    last.layout = PG_LAYOUT_NHWC;
    double nchw = predict_on(gpus, "rtx4090", "resnet50", &r).latency_ms;
    double nhwc = predict_on(gpus, "rtx4090", "resnet50", &last).latency_ms;
    assert_true(nchw > 1.08 * nhwc && nchw < 1.6 * nhwc);
}

static void test_half_norms_are_faster(void **state)
{
    (void)state;
    pg_error e = PG_ERROR_INIT;
    pg_model *m;
    double ms[2];
    if (pg_model_open(&m, "convnext_tiny", NULL, &e)) fail_msg("%s", e.text);
    for (int half = 0; half < 2; half++) {
        pg_plan *plan;
        pg_prediction p;
        pg_request r = {.batch = 64, .precision = "fp16", .autocast = true, .half_norms = half};
        assert_int_equal(pg_plan_open(&plan, m, gpus, &r, &e), PG_E_OK);
        assert_int_equal(pg_plan_predict(plan, pg_catalog_find(gpus, "rtx3090", &e), &p, &e), PG_E_OK);
        ms[half] = p.latency_ms;
        pg_plan_free(plan);
    }
    pg_model_free(m);
    assert_true(ms[1] < ms[0] * 0.99);
}

static void test_real_hardware_is_not_faster(void **state)
{
    (void)state;
    for (size_t m = 0; m < MODELS; m++) {
        pg_request r = {.batch = 16}, real = {.batch = 16, .real_hardware = true};
        assert_true(predict_on(gpus, "rtx4090", models[m], &real).latency_ms >=
                    predict_on(gpus, "rtx4090", models[m], &r).latency_ms);
    }
}

/* On every board and model: power lies between idle and TDP, a load that is idle for longer draws less, and a board with a lower limit is
 * never faster, for a moment or for ever. */
static void test_power_is_within_limits(void **state)
{
    (void)state;
    for (size_t i = 0; i < pg_catalog_count(gpus); i++) {
        const pg_gpu *g = pg_catalog_at(gpus, i);
        for (size_t m = 0; m < MODELS; m++) {
            pg_request r = {.batch = 4}, device = {.batch = 4, .device_time = true},
                       real = {.batch = 4, .real_hardware = true};
            pg_prediction p = predict_on(gpus, g->key, models[m], &r), d = predict_on(gpus, g->key, models[m], &device);
            if (!p.fits || !d.fits) continue;
            pg_prediction s = predict_on(gpus, g->key, models[m], &real);
            assert_true(p.power_w > 0 && p.power_w <= g->tdp_w * (1 + 1e-9));
            assert_true(d.latency_ms <= p.latency_ms && d.power_w >= p.power_w * (1 - 1e-9));
            assert_true(s.latency_ms >= p.latency_ms && s.power_w <= p.power_w * (1 + 1e-9));
        }
    }
}

static void test_lower_power_limit_is_never_faster(void **state)
{
    (void)state;
    double before[MODELS][2] = {{0}};
    for (int watts = 700; watts >= 100; watts -= 75) {
        char toml[80];
        snprintf(toml, sizeof toml, "profiles.h100.thermal.tdp_watts = %d\n", watts);
        pg_catalog *c = catalog_with(toml);
        for (size_t m = 0; m < MODELS; m++) {
            for (int real = 0; real < 2; real++) {
                pg_request r = {.batch = 32, .real_hardware = real};
                pg_prediction p = predict_on(c, "h100", models[m], &r);
                assert_true(p.latency_ms >= before[m][real] * (1 - 1e-9));
                assert_true(p.power_w <= watts * (1 + 1e-9));
                before[m][real] = p.latency_ms;
            }
        }
        pg_catalog_free(c);
    }
}

static void test_half_precision_helps_tensor_cores(void **state)
{
    (void)state;
    for (size_t i = 0; i < pg_catalog_count(gpus); i++) {
        const pg_gpu *g = pg_catalog_at(gpus, i);
        if (g->fp16_tflops <= g->fp32_tflops || !g->tensor_cores) continue;
        for (int64_t batch = 1; batch <= 64; batch *= 4) {
            pg_prediction half = predict(g->key, "resnet50", batch, "fp16"),
                          full = predict(g->key, "resnet50", batch, "fp32");
            if (full.fits && half.latency_ms > full.latency_ms * (1 + 1e-9))
                fail_msg("%s at %d: fp16 %g ms, fp32 %g", g->key, (int)batch, half.latency_ms, full.latency_ms);
        }
    }
}

static void test_compiled_runtimes_are_not_slower(void **state)
{
    (void)state;
    static const char *const boards[] = {"a100", "h100", "rtx4090", "rtx3090", "t4", "v100"};
    for (size_t g = 0; g < 6; g++)
        for (int64_t batch = 1; batch <= 32; batch *= 32) {
            pg_request eager = {.batch = batch, .runtime = "pytorch"}, engine = {.batch = batch, .runtime = "tensorrt"};
            assert_true(predict_on(gpus, boards[g], "resnet50", &engine).latency_ms <=
                        predict_on(gpus, boards[g], "resnet50", &eager).latency_ms);
        }
}

static void test_prediction_is_consistent(void **state)
{
    (void)state;
    for (size_t m = 0; m < MODELS; m++)
        for (size_t i = 0; i < pg_catalog_count(gpus); i++) {
            pg_prediction p = predict(pg_catalog_at(gpus, i)->key, models[m], 8, "fp16");
            if (!p.fits) continue;
            assert_true(p.latency_low_ms <= p.latency_ms && p.latency_ms <= p.latency_high_ms);
            assert_true(fabs(p.throughput - 8e3 / p.latency_ms) < 1e-6 * p.throughput);
            assert_true(p.latency_ms >= p.gpu_ms * (1 - 1e-9) && p.latency_ms >= p.host_ms * (1 - 1e-9));
            assert_true(p.compute_utilization >= 0 && p.compute_utilization <= 1);
            assert_true(p.memory_efficiency >= 0 && p.memory_efficiency <= 1);
            assert_true(p.power_w > 0 && p.power_w <= pg_catalog_at(gpus, i)->tdp_w * (1 + 1e-9));
        }
}

/* The table of kernels is the step: its times sum up to the GPU's clock, its FLOPs to the step's. */
static void test_explanation_adds_up(void **state)
{
    (void)state;
    for (size_t m = 0; m < MODELS; m++) {
        pg_plan *plan;
        pg_explanation *x;
        pg_prediction p;
        pg_error e = PG_ERROR_INIT;
        const pg_gpu *gpu = pg_catalog_find(gpus, "a100", &e);
        assert_int_equal(pg_plan_open(&plan, model_of(models[m]), gpus, &(pg_request){.batch = 8}, &e), PG_E_OK);
        assert_int_equal(pg_plan_predict(plan, gpu, &p, &e), PG_E_OK);
        assert_int_equal(pg_plan_explain(&x, plan, gpu, &e), PG_E_OK);
        double time = 0, flops = 0, share = 0;
        for (size_t i = 0; i < pg_explanation_count(x); i++) {
            const pg_kernel_row *r = pg_explanation_at(x, i);
            assert_true(fabs(r->start_ms - time) < 1e-9 * (1 + time));
            time += r->time_ms;
            flops += r->flops;
            share += r->share;
        }
        assert_true(fabs(time - p.gpu_ms) < 1e-6 * time);
        assert_true(fabs(flops - p.flops) < 1e-6 * flops);
        assert_true(fabs(share - 1) < 1e-6);
        pg_explanation_free(x);
        pg_plan_free(plan);
    }
}

static pg_prediction predicted(const char *name, const char *runtime, int64_t batch, int64_t length)
{
    pg_error e = PG_ERROR_INIT;
    pg_model *m;
    pg_plan *plan;
    pg_prediction p;
    pg_request r = {.batch = batch, .sequence = length, .precision = "fp16", .runtime = runtime};
    assert_int_equal(pg_model_open(&m, name, NULL, &e), PG_E_OK);
    assert_int_equal(pg_plan_open(&plan, m, gpus, &r, &e), PG_E_OK);
    assert_int_equal(pg_plan_predict(plan, pg_catalog_find(gpus, "a100", &e), &p, &e), PG_E_OK);
    pg_plan_free(plan);
    pg_model_free(m);
    return p;
}

/* The host, which waits for each frame of Tacotron 2, can't issue WaveGlow meanwhile: the times add up, the host's of the one and the
 * GPU's of the other. */
static void test_loops_keep_the_host(void **state)
{
    (void)state;
    pg_prediction speech = predicted("tacotron2", "pytorch", 4, 128), sound = predicted("waveglow", "pytorch", 4, 602),
                  both = predicted("tacotron2/waveglow", "pytorch", 4, 128);
    assert_true(speech.host_ms > 2 * speech.gpu_ms);
    assert_true(sound.gpu_ms > 2 * sound.host_ms);
    assert_true(fabs(both.latency_ms / (speech.latency_ms + sound.latency_ms) - 1) < 0.1);
    assert_true(both.latency_ms > 1.1 * both.host_ms && both.latency_ms > 1.1 * both.gpu_ms);
}

/* Frameworks go through the images, and maskrcnn-benchmark through the classes, to suppress boxes; an engine has an operator. */
static void test_suppression_is_the_hosts(void **state)
{
    (void)state;
    static const char *const spelled[] = {"pytorch", "torchscript", "tensorflow"}, *const fused[] = {"onnxruntime",
                                                                                                     "tensorrt"};
    for (size_t i = 0; i < sizeof spelled / sizeof spelled[0]; i++) {
        pg_prediction one = predicted("mask_rcnn", spelled[i], 1, 0), two = predicted("mask_rcnn", spelled[i], 2, 0);
        pg_prediction quick = predicted("fasterrcnn_resnet50_fpn", spelled[i], 1, 0);
        assert_true(two.host_ms > 1.5 * one.host_ms || two.host_ms - one.host_ms > 5);
        assert_true(one.latency_ms >
                    one.gpu_ms + 0.5 * (two.host_ms - one.host_ms)); /* behind the network, not beside it */
        assert_true(quick.host_ms < one.host_ms - 0.5 * (two.host_ms - one.host_ms));
    }
    for (size_t i = 0; i < sizeof fused / sizeof fused[0]; i++) {
        pg_prediction one = predicted("mask_rcnn", fused[i], 1, 0), two = predicted("mask_rcnn", fused[i], 2, 0);
        assert_true(fabs(two.host_ms - one.host_ms) < 0.01 * one.host_ms);
    }
}

/* Of the kernels of one layer; without operations, where `idle`. */
static double layer_ms(const char *name, const char *layer, bool idle, const pg_request *r)
{
    pg_error e = PG_ERROR_INIT;
    pg_model *m;
    pg_plan *plan;
    pg_explanation *x;
    double time = 0;
    assert_int_equal(pg_model_open(&m, name, NULL, &e), PG_E_OK);
    assert_int_equal(pg_plan_open(&plan, m, gpus, r, &e), PG_E_OK);
    assert_int_equal(pg_plan_explain(&x, plan, pg_catalog_find(gpus, "a100", &e), &e), PG_E_OK);
    for (size_t i = 0; i < pg_explanation_count(x); i++)
        if (!strcmp(pg_explanation_at(x, i)->name, layer) && (!idle || pg_explanation_at(x, i)->flops == 0))
            time += pg_explanation_at(x, i)->time_ms;
    pg_explanation_free(x);
    pg_plan_free(plan);
    pg_model_free(m);
    return time;
}

/* TensorFlow adds biases of products in passes of their own, ONNX Runtime in the products of matrices. */
static void test_graphs_have_bare_products(void **state)
{
    (void)state;
    pg_request r = {.batch = 1048576, .precision = "fp16", .runtime = "onnxruntime"};
    double inside = layer_ms("ncf", "mlp.0.linear", false, &r), act = layer_ms("ncf", "mlp.0.act", false, &r);
    r.runtime = "tensorflow";
    double apart = layer_ms("ncf", "mlp.0.linear", false, &r);
    assert_true(act > 0 && apart > 1.3 * inside && layer_ms("ncf", "mlp.0.act", false, &r) > 0);
}

/* Nobody has recurrent layers in 8 bits: in an engine that is otherwise INT8 they take as long as in half. */
static void test_recurrent_layers_stay_half(void **state)
{
    (void)state;
    pg_request r = {.batch = 512, .precision = "int8", .runtime = "tensorrt"}, half = r;
    half.precision = "fp16";
    double narrow = layer_ms("rnnt", "encoder.pre_rnn.1.cell", false, &r),
           wide = layer_ms("rnnt", "encoder.pre_rnn.1.cell", false, &half);
    assert_true(narrow > 0);
    assert_true(fabs(narrow / wide - 1) < 0.05); /* what came in may still lie in L2, or not */
}

/* An INT8 engine writes what no product reads in half: a detector's scores take as long as in FP16, pooling within the network does not. */
static void test_engines_end_in_half(void **state)
{
    (void)state;
    pg_request r = {.batch = 64, .precision = "int8", .runtime = "tensorrt"}, half = r;
    half.precision = "fp16";
    double scores = layer_ms("retinanet-mlperf", "sigmoid", false, &r),
           pool = layer_ms("resnet50", "maxpool", false, &r);
    assert_true(scores > 0 && fabs(scores / layer_ms("retinanet-mlperf", "sigmoid", false, &half) - 1) < 0.02);
    assert_true(pool > 0 && pool < 0.7 * layer_ms("resnet50", "maxpool", false, &half));
}

static double suppression_ms(const char *name, const char *runtime, int64_t batch)
{
    return layer_ms(name, "nms", true, &(pg_request){.batch = batch, .precision = "int8", .runtime = runtime});
}

/* index_select works out positions element by element: half as many bytes gain nothing, unless a compiler fuses the lookup. */
static void test_lookups_go_by_elements(void **state)
{
    (void)state;
    static const char *const runtimes[] = {"pytorch", "pytorch-compile"};
    double ratio[2];
    for (size_t i = 0; i < 2; i++) {
        pg_request half = {.batch = 1 << 20, .precision = "fp16", .runtime = runtimes[i]}, full = half;
        full.precision = "fp32";
        ratio[i] = layer_ms("ncf", "mlp_user_embed", false, &full) / layer_ms("ncf", "mlp_user_embed", false, &half);
    }
    assert_true(ratio[0] < 1.3 && ratio[1] > 1.5);
}

/* A number for each sample is data on the GPU, however few samples there are. */
static void test_lengths_are_data(void **state)
{
    (void)state;
    double few = predicted("jasper", "pytorch", 2, 700).host_ms, many = predicted("jasper", "pytorch", 64, 700).host_ms;
    assert_true(fabs(few / many - 1) < 0.01);
}

/* Box after box, whatever the runtime; images beside each other. */
static void test_boxes_are_chosen_in_turn(void **state)
{
    (void)state;
    double thousand = suppression_ms("retinanet-mlperf", "tensorrt", 1),
           few = suppression_ms("ssd-resnet34", "tensorrt", 1);
    assert_true(thousand > 3 * few && few > 0.05);
    assert_true(fabs(suppression_ms("retinanet-mlperf", "onnxruntime", 1) / thousand - 1) < 0.02);
    assert_true(suppression_ms("retinanet-mlperf", "tensorrt", 16) < 2 * thousand); /* at a lower clock */
}

/* Autocast keeps the half copies of weights until the step ends: a loop's body casts them once, not in every round. */
static void test_weights_are_cast_once(void **state)
{
    (void)state;
    pg_error e = PG_ERROR_INIT;
    pg_model *m;
    assert_int_equal(pg_model_open(&m, "gnmt", NULL, &e), PG_E_OK);
    pg_prediction p[2];
    for (int i = 0; i < 2; i++) {
        pg_plan *plan;
        pg_request r = {.batch = 1, .sequence = 64, .precision = "fp16", .autocast = i == 1};
        assert_int_equal(pg_plan_open(&plan, m, gpus, &r, &e), PG_E_OK);
        assert_int_equal(pg_plan_predict(plan, pg_catalog_find(gpus, "a100", &e), &p[i], &e), PG_E_OK);
        pg_plan_free(plan);
    }
    assert_true(p[1].dram_bytes > p[0].dram_bytes);
    assert_true(p[1].dram_bytes < 2 * p[0].dram_bytes);
    pg_model_free(m);
}

static double resized_bytes(pg_model *m, const char *runtime, const char *version, bool autocast)
{
    pg_plan *plan;
    pg_prediction p;
    pg_error e = PG_ERROR_INIT;
    pg_request r = {
        .batch = 64, .precision = "fp16", .autocast = autocast, .runtime = runtime, .runtime_version = version};
    if (pg_plan_open(&plan, m, gpus, &r, &e)) fail_msg("%s", e.text);
    if (pg_plan_predict(plan, pg_catalog_find(gpus, "rtx4090", &e), &p, &e)) fail_msg("%s", e.text);
    pg_plan_free(plan);
    return p.dram_bytes;
}

/* Since PyTorch 2.4 autocast resizes in fp32, so that what is added or concatenated to it grows, too; a compiler fuses that. */
static void test_autocast_resizes_in_fp32(void **state)
{
    (void)state;
    pg_error e = PG_ERROR_INIT;
    pg_model *m;
    if (pg_model_open(&m, "yolov8n", NULL, &e)) fail_msg("%s", e.text);
    double half = resized_bytes(m, "pytorch", "2.3", true), wide = resized_bytes(m, "pytorch", "2.4", true);
    assert_true(wide > 1.005 * half && wide < 1.5 * half);
    assert_true(resized_bytes(m, "pytorch", NULL, true) == wide);
    assert_true(resized_bytes(m, "pytorch", "2.3", false) == resized_bytes(m, "pytorch", "2.4", false));
    double before = resized_bytes(m, "pytorch-compile", "2.3", true),
           since = resized_bytes(m, "pytorch-compile", "2.4", true);
    assert_true(since - before < 0.5 * (wide - half));
    pg_model_free(m);
}

static int set_up(void **state)
{
    snprintf(file, sizeof file, "%s/phantom-XXXXXX",
             getenv("TMPDIR") && strlen(getenv("TMPDIR")) < 40 ? getenv("TMPDIR") : "/tmp");
    int fd = mkstemp(file);
    if (fd < 0) return 1;
    close(fd);
    return open_gpus(state);
}

/* ---- several GPUs ---- */

static pg_code refuse(const char *model, const pg_request *r)
{
    pg_plan *plan;
    pg_error e = PG_ERROR_INIT;
    pg_code code = pg_plan_open(&plan, model_of(model), gpus, r, &e);
    if (!code) pg_plan_free(plan);
    else assert_true(e.text[0]);
    return code;
}

static void test_data_parallel_inference(void **state)
{
    (void)state;
    for (size_t i = 0; i < MODELS; i++) {
        pg_prediction one = predict("h100", models[i], 4, "fp16");
        pg_prediction four = predict_on(gpus, "h100", models[i], &(pg_request){.batch = 4, .gpu_count = 4});
        assert_int_equal(four.gpu_count, 4);
        assert_int_equal(four.data_parallel, 4);
        assert_true(four.latency_ms == one.latency_ms && four.memory.total == one.memory.total);
        assert_true(fabs(four.throughput / one.throughput - 4) < 1e-9);
        assert_true(fabs(four.power_w / one.power_w - 4) < 1e-9);
    }
}

static void test_tensor_parallel_divides(void **state)
{
    (void)state;
    static const char *const names[] = {"bert-base-uncased", "gpt2", "vit_b_16"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        pg_request r = {.batch = 32, .runtime = "vllm", .device_time = true};
        pg_prediction one = predict_on(gpus, "h100", names[i], &r);
        for (r.tensor_parallel = 2; r.tensor_parallel <= 4; r.tensor_parallel *= 2) {
            pg_prediction p = predict_on(gpus, "h100", names[i], &r);
            double n = r.tensor_parallel;
            assert_int_equal(p.gpu_count, r.tensor_parallel);
            /* an n-th of nearly all work and weights, and links that cost something */
            assert_true(p.flops > one.flops / n && p.flops < one.flops / n * 1.1);
            assert_true(p.memory.weights > one.memory.weights / n && p.memory.weights < one.memory.weights / n * 1.15);
            assert_true(p.memory.activations <= one.memory.activations);
            assert_true(p.latency_ms > one.latency_ms / n);
            assert_true(fabs(p.throughput - 32e3 / p.latency_ms) < 1e-6 * p.throughput);
        }
    }
    assert_int_equal(refuse("bert-base-uncased", &(pg_request){.tensor_parallel = 5}), PG_E_USAGE);
    assert_int_equal(refuse("resnet50", &(pg_request){.tensor_parallel = 2}), PG_E_UNSUPPORTED);
}

/* Slower links never make tensor parallelism faster. */
static void test_links_matter(void **state)
{
    (void)state;
    pg_request r = {.batch = 8, .runtime = "vllm", .tensor_parallel = 4};
    double least = 0;
    for (int nvlink = 900; nvlink >= 0; nvlink -= 300) {
        char toml[120];
        snprintf(toml, sizeof toml, "[gpus.h100]\nnvlink_gbs = %d\n", nvlink);
        pg_catalog *c = catalog_with(toml);
        pg_prediction p = predict_on(c, "h100", "bert-base-uncased", &r);
        assert_true(p.latency_ms >= least);
        least = p.latency_ms;
        pg_catalog_free(c);
    }
}

/* A lone micro-batch passes through the stages one after the other: what it costs beside the work is the sends, of which one at a
 * time crosses the host. What is sent is up to four times as large near the images as in the middle, where two stages meet. */
static void test_pipelines_wait_for_one_send_at_a_time(void **state)
{
    (void)state;
    static const char *const cards[] = {"rtx4090", "l40s", "h100"};
    for (size_t i = 0; i < sizeof cards / sizeof cards[0]; i++)
        for (int training = 0; training < 2; training++) {
            pg_request r = {.batch = 64, .task = training ? PG_TASK_TRAINING : PG_TASK_INFERENCE};
            double one = predict_on(gpus, cards[i], "resnet50", &r).latency_ms;
            r.pipeline_parallel = 2;
            double first = predict_on(gpus, cards[i], "resnet50", &r).latency_ms - one;
            for (r.pipeline_parallel = 4; r.pipeline_parallel <= 8; r.pipeline_parallel *= 2) {
                double more = predict_on(gpus, cards[i], "resnet50", &r).latency_ms - one;
                double most = 4.0 * (r.pipeline_parallel - 1) * first + 0.25 * one; /* the host of each stage, too */
                if (more > most)
                    fail_msg("%s: %d stages cost %g ms beside %g, two %g", cards[i], r.pipeline_parallel, more, one,
                             first);
            }
        }
}

static void test_pipeline_stages(void **state)
{
    (void)state;
    for (size_t i = 0; i < MODELS; i++) {
        if (!strcmp(models[i], "lstm-medium")) continue; /* too few kernels to cut */
        pg_request r = {.batch = 8, .device_time = true};
        pg_prediction one = predict_on(gpus, "a100_sxm_80gb", models[i], &r);
        for (r.pipeline_parallel = 2; r.pipeline_parallel <= 8; r.pipeline_parallel *= 2) {
            pg_prediction p = predict_on(gpus, "a100_sxm_80gb", models[i], &r);
            double n = r.pipeline_parallel;
            assert_true(p.latency_ms >= one.latency_ms); /* nothing runs beside anything for one batch */
            assert_true(p.throughput <= n * one.throughput * (1 + 1e-9));
            assert_true(p.memory.weights >= one.memory.weights / n * (1 - 1e-9));
            assert_true(p.memory.weights <= one.memory.weights);
        }
        r.pipeline_parallel = 2;
        assert_true(predict_on(gpus, "a100_sxm_80gb", models[i], &r).throughput >= one.throughput);
    }
}

static void test_data_parallel_training(void **state)
{
    (void)state;
    for (size_t i = 0; i < MODELS; i++) {
        pg_request r = {.batch = 16, .task = PG_TASK_TRAINING};
        pg_prediction one = predict_on(gpus, "a100_sxm_80gb", models[i], &r), before = one;
        for (r.gpu_count = 2; r.gpu_count <= 32; r.gpu_count *= 2) {
            pg_prediction p = predict_on(gpus, "a100_sxm_80gb", models[i], &r);
            assert_true(p.latency_ms >= before.latency_ms); /* gradients have farther to go */
            assert_true(p.throughput <= r.gpu_count * one.throughput * (1 + 1e-9));
            assert_true(p.throughput > before.throughput);
            assert_true(p.memory.gradients == 2 * one.memory.gradients); /* and the buckets */
            before = p;
        }
    }
}

/* The step of the whole batch: parts of it take no less, stages no less than their share. */
static void test_micro_batches_and_stages(void **state)
{
    (void)state;
    pg_request r = {.batch = 32, .task = PG_TASK_TRAINING};
    pg_prediction one = predict_on(gpus, "h100", "gpt2", &r);
    double least = one.latency_ms;
    for (r.micro_batches = 2; r.micro_batches <= 32; r.micro_batches *= 2) {
        pg_prediction p = predict_on(gpus, "h100", "gpt2", &r);
        assert_true(p.latency_ms >= least * 0.98); /* smaller batches have more left in L2 */
        assert_true(p.memory.activations < one.memory.activations && p.batch == 32);
        least = p.latency_ms;
    }
    r.pipeline_parallel = 4;
    for (r.micro_batches = 1; r.micro_batches <= 4; r.micro_batches *= 4) {
        pg_prediction whole, p = predict_on(gpus, "h100", "gpt2", &r);
        r.pipeline_parallel = 1;
        whole = predict_on(gpus, "h100", "gpt2", &r);
        r.pipeline_parallel = 4;
        double m = r.micro_batches, bubble = (m + 3) / m;
        assert_true(p.latency_ms > whole.latency_ms / 4 * bubble * 0.8);
        assert_true(p.memory.weights < whole.memory.weights && p.memory.optimizer < whole.memory.optimizer);
    }
    assert_int_equal(refuse("gpt2", &(pg_request){.batch = 8, .micro_batches = 2}), PG_E_USAGE);
    assert_int_equal(refuse("gpt2", &(pg_request){.batch = 8, .micro_batches = 3, .task = PG_TASK_TRAINING}),
                     PG_E_USAGE);
}

static void test_tensor_parallel_training(void **state)
{
    (void)state;
    pg_request r = {.batch = 32, .task = PG_TASK_TRAINING, .device_time = true};
    pg_prediction one = predict_on(gpus, "h100", "bert-base-uncased", &r);
    r.tensor_parallel = 4;
    pg_prediction p = predict_on(gpus, "h100", "bert-base-uncased", &r);
    assert_true(p.flops > one.flops / 4 && p.flops < one.flops / 4 * 1.2);
    assert_true(p.memory.optimizer < one.memory.optimizer * 0.3 && p.memory.gradients < one.memory.gradients * 0.3);
    assert_true(p.memory.activations < one.memory.activations && p.memory.activations > one.memory.activations / 4);
    assert_true(p.latency_ms > one.latency_ms / 4);
}

static void test_parallel_requests_are_checked(void **state)
{
    (void)state;
    static const pg_request bad[] = {
        {.gpu_count = -1},
        {.gpu_count = 5000},
        {.gpu_count = 8, .data_parallel = 3},
        {.gpu_count = 8, .tensor_parallel = 3},
        {.gpu_count = 2, .pipeline_parallel = 4},
        {.data_parallel = 4096, .tensor_parallel = 2},
        {.pipeline_parallel = 4096},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(refuse("bert-base-uncased", &bad[i]), PG_E_USAGE);
    assert_int_equal(refuse("bert-base-uncased", &(pg_request){.expert_parallel = 2}), PG_E_UNSUPPORTED);
    pg_prediction p = predict_on(gpus, "h100", "bert-base-uncased",
                                 &(pg_request){.gpu_count = 8, .tensor_parallel = 2, .pipeline_parallel = 2});
    assert_int_equal(p.data_parallel, 2);
    assert_int_equal(p.gpu_count, 8);
    assert_string_equal(p.basis, "transferred");
}

static int tear_down(void **state)
{
    remove(file);
    for (size_t i = 0; i < MODELS; i++) pg_model_free(loaded[i]);
    return close_gpus(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batch_never_faster),
        cmocka_unit_test(test_engines_without_units_are_not_narrow),
        cmocka_unit_test(test_lone_operators_wait_for_the_host),
        cmocka_unit_test(test_lone_fp32_is_fp32),
        cmocka_unit_test(test_int8_products),
        cmocka_unit_test(test_recurrent_layers_stay_half),
        cmocka_unit_test(test_engines_end_in_half),
        cmocka_unit_test(test_serving_runtimes_run_more_than_the_kernel),
        cmocka_unit_test(test_sequence_never_faster),
        cmocka_unit_test(test_each_field_moves_as_documented),
        cmocka_unit_test(test_power_fields),
        cmocka_unit_test(test_more_is_never_slower),
        cmocka_unit_test(test_what_does_not_fit),
        cmocka_unit_test(test_fast_mode_is_a_bound),
        cmocka_unit_test(test_attention_follows_the_version),
        cmocka_unit_test(test_graphs_have_bare_products),
        cmocka_unit_test(test_hosts_age_by_runtime),
        cmocka_unit_test(test_traced_modules_spare_the_host),
        cmocka_unit_test(test_biases_follow_the_version),
        cmocka_unit_test(test_engines),
        cmocka_unit_test(test_engines_spell_attention_out),
        cmocka_unit_test(test_onnxruntime_runs_what_files_spell),
        cmocka_unit_test(test_layouts_of_convolutions),
        cmocka_unit_test(test_half_norms_are_faster),
        cmocka_unit_test(test_real_hardware_is_not_faster),
        cmocka_unit_test(test_power_is_within_limits),
        cmocka_unit_test(test_lower_power_limit_is_never_faster),
        cmocka_unit_test(test_half_precision_helps_tensor_cores),
        cmocka_unit_test(test_compiled_runtimes_are_not_slower),
        cmocka_unit_test(test_prediction_is_consistent),
        cmocka_unit_test(test_explanation_adds_up),
        cmocka_unit_test(test_data_parallel_inference),
        cmocka_unit_test(test_tensor_parallel_divides),
        cmocka_unit_test(test_links_matter),
        cmocka_unit_test(test_pipelines_wait_for_one_send_at_a_time),
        cmocka_unit_test(test_pipeline_stages),
        cmocka_unit_test(test_data_parallel_training),
        cmocka_unit_test(test_micro_batches_and_stages),
        cmocka_unit_test(test_tensor_parallel_training),
        cmocka_unit_test(test_parallel_requests_are_checked),
        cmocka_unit_test(test_weights_are_cast_once),
        cmocka_unit_test(test_autocast_resizes_in_fp32),
        cmocka_unit_test(test_loops_keep_the_host),
        cmocka_unit_test(test_suppression_is_the_hosts),
        cmocka_unit_test(test_boxes_are_chosen_in_turn),
        cmocka_unit_test(test_lookups_go_by_elements),
        cmocka_unit_test(test_lengths_are_data),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
