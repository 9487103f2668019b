/* Prefill, decode and serving of language models: memory by hand, the directions in which figures must go, the mean over a growing
 * cache, what is said about requests that can't be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "api/api.h"
#include "support/gpus.h"
#include "support/heap.h"

static pg_prediction predict(const char *name, const char *gpu, pg_request r)
{
    pg_model *model;
    pg_plan *plan;
    pg_prediction p;
    pg_error e = PG_ERROR_INIT;
    if (r.task == PG_TASK_INFERENCE) r.task = PG_TASK_DECODE;
    if (pg_model_open(&model, name, NULL, &e)) fail_msg("%s: %s", name, e.text);
    if (pg_plan_open(&plan, model, gpus, &r, &e)) fail_msg("%s: %s", name, e.text);
    if (pg_plan_predict(plan, pg_catalog_find(gpus, gpu, &e), &p, &e)) fail_msg("%s: %s", gpu, e.text);
    pg_plan_free(plan);
    pg_model_free(model);
    p.note = p.quantization = NULL; /* they may lie in what was freed */
    return p;
}

static runtime_profile *runtime_of(const char *name)
{
    for (uint32_t i = 0; i < gpus->config.n_runtimes; i++)
        if (str_is(gpus->config.runtimes[i].key, name)) return &gpus->config.runtimes[i];
    fail_msg("no runtime %s", name);
    return NULL;
}

static void refused(const char *name, pg_request r, const char *text)
{
    pg_model *model;
    pg_plan *plan = NULL;
    pg_error e = PG_ERROR_INIT;
    if (r.task == PG_TASK_INFERENCE) r.task = PG_TASK_DECODE;
    if (pg_model_open(&model, name, NULL, &e)) fail_msg("%s: %s", name, e.text);
    assert_int_not_equal(pg_plan_open(&plan, model, gpus, &r, &e), PG_E_OK);
    assert_null(plan);
    if (!strstr(e.text, text)) fail_msg("'%s' does not say '%s'", e.text, text);
    pg_model_free(model);
}

static void near(double x, double expected, double share)
{
    if (!(fabs(x / expected - 1) <= share)) fail_msg("%.10g is not within %g of %.10g", x, share, expected);
}

static void test_memory_by_hand(void **state)
{
    (void)state;
    pg_prediction p = predict("llama-7b", "h100", (pg_request){.batch = 3, .input_len = 1000, .output_len = 24});
    near(p.memory.weights, 6738415616.0 * 2, 1e-4);
    /* keys and values, 32 layers, 32 heads of 128, 2 bytes */
    near(p.memory.kv_cache, 3 * 1024 * 2.0 * 32 * 32 * 128 * 2, 1e-9);
    near(p.memory.total,
         p.memory.weights + p.memory.kv_cache + p.memory.activations + p.memory.workspace + p.memory.runtime, 1e-12);
    /* eight heads share each key and value head */
    p = predict("llama-3-70b", "h100",
                (pg_request){.batch = 1, .input_len = 4000, .output_len = 96, .tensor_parallel = 4});
    near(p.memory.kv_cache, 4096 * 2.0 * 80 * 8 * 128 * 2 / 4, 1e-9);
    near(p.memory.weights, 70553706496.0 * 2 / 4, 1e-3);
    p = predict("llama-3-8b", "h100", (pg_request){.batch = 1, .kv_cache_precision = "fp8"});
    near(p.memory.kv_cache, 640 * 2.0 * 32 * 8 * 128, 1e-9);
}

/* A token passes through pipeline stages one after the other: those that wait draw what an idle board draws. */
static void test_waiting_stages_are_idle(void **state)
{
    (void)state;
    pg_request r = {.batch = 8};
    double one = predict("llama-7b", "h100", r).power_w;
    r.pipeline_parallel = 4;
    pg_prediction p = predict("llama-7b", "h100", r);
    assert_true(p.power_w > one && p.power_w < one + 3 * 0.25 * 700); /* idle is below a quarter of TDP */
    r = (pg_request){.batch = 8, .tensor_parallel = 4};
    assert_true(predict("llama-7b", "h100", r).power_w > 2 * one); /* all work on the same token */
}

/* Sizes of the files of Meta-Llama-3-8B-Instruct-GGUF on the Hub; the table of embeddings stays on the CPU. */
static void test_quantised_weights_are_as_large_as_the_files(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double bytes, table;
    } files[] = {{"q4_k_m", 4920734272, 4.5},
                 {"q8_0", 8540771904, 8.5},
                 {"q4_0", 4661212096, 4.5},
                 {"q6_k", 6596006912, 6.5625},
                 {"q5_k_m", 5732987968, 5.5}};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        pg_prediction p = predict("llama-3-8b", "h100", (pg_request){.batch = 1, .quantization = files[i].name});
        near(p.memory.weights, files[i].bytes - 128256.0 * 4096 * files[i].table / 8, 0.01);
    }
}

/* What ran under llama.cpp with a context of 8192 and what did not (XiongjieDai/GPU-Benchmarks-on-LLM-Inference). */
static void test_what_fits(void **state)
{
    (void)state;
    static const struct {
        const char *name, *quantization, *gpu;
        int count;
        bool ran;
    } rows[] = {
        {"llama-3-8b", "q4_k_m", "rtx3070", 1, true},      {"llama-3-8b", NULL, "rtx3070", 1, false},
        {"llama-3-8b", NULL, "rtx3080_10gb", 1, false},    {"llama-3-8b", NULL, "rtx3080ti", 1, false},
        {"llama-3-8b", NULL, "rtx4070ti", 1, false},       {"llama-3-8b", NULL, "rtx4000_ada", 1, true},
        {"llama-3-8b", NULL, "rtx3090", 1, true},          {"llama-3-70b", "q4_k_m", "rtx3090", 1, false},
        {"llama-3-70b", "q4_k_m", "rtx3090", 2, true},     {"llama-3-70b", "q4_k_m", "rtx4000_ada", 1, false},
        {"llama-3-70b", "q4_k_m", "rtx4000_ada", 4, true}, {"llama-3-70b", "q4_k_m", "a6000", 1, true},
        {"llama-3-70b", NULL, "rtx4090", 4, false},        {"llama-3-70b", NULL, "rtx3090", 6, true},
        {"llama-3-70b", NULL, "rtx4090", 8, true},         {"llama-3-70b", NULL, "a6000", 4, true},
        {"llama-3-70b", NULL, "a100_pcie_80gb", 1, false}, {"llama-3-70b", NULL, "a100_pcie_80gb", 4, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        pg_request r = {.batch = 1, .input_len = 1, .output_len = 8191, .quantization = rows[i].quantization};
        r.runtime = "llama.cpp";
        r.precision = "fp16";
        r.pipeline_parallel = rows[i].count;
        pg_prediction p = predict(rows[i].name, rows[i].gpu, r);
        if (p.fits != rows[i].ran)
            fail_msg("%s %s on %d %s: %.3f of the memory", rows[i].name,
                     rows[i].quantization ? rows[i].quantization : "fp16", rows[i].count, rows[i].gpu,
                     p.memory.total / p.memory_capacity);
    }
}

static void test_directions(void **state)
{
    (void)state;
    static const char *const runtimes[] = {"vllm", "llama.cpp", "tensorrt-llm", "sglang", "pytorch"};
    for (size_t i = 0; i < sizeof runtimes / sizeof runtimes[0]; i++) {
        double tpot = 0, rate = 0, ttft = 0;
        for (int64_t batch = 1; batch <= 16; batch *= 2) {
            pg_prediction p = predict("llama-2-7b", "a100", (pg_request){.batch = batch, .runtime = runtimes[i]});
            assert_true(p.tpot_ms >= tpot && p.tokens_per_s >= 0.98 * rate && p.ttft_ms >= ttft);
            tpot = p.tpot_ms, rate = p.tokens_per_s, ttft = p.ttft_ms;
        }
        tpot = ttft = 0;
        for (int64_t length = 128; length <= 3968; length *= 2) {
            pg_prediction p = predict("llama-2-7b", "a100", (pg_request){.input_len = length, .runtime = runtimes[i]});
            /* where the host bounds a step, more work on the GPU costs nothing */
            assert_true(p.tpot_ms > tpot || !strcmp(p.bottleneck, "host"));
            assert_true(p.ttft_ms > ttft || p.ttft_ms == p.host_ms);
            tpot = p.tpot_ms, ttft = p.ttft_ms;
        }
    }
    /* the same chip with more bandwidth; fewer bits */
    pg_prediction h100 = predict("llama-7b", "h100", (pg_request){.batch = 1}),
                  h200 = predict("llama-7b", "h200", (pg_request){.batch = 1}),
                  fp8 = predict("llama-7b", "h100", (pg_request){.batch = 1, .precision = "fp8"});
    assert_true(h200.tpot_ms < h100.tpot_ms && fp8.tpot_ms < h100.tpot_ms);
    assert_true(h100.efficiency > 0.3 && h100.efficiency < 1);
}

/* The mean over the output is that of its steps, one by one. */
static void test_decode_integrates_over_the_cache(void **state)
{
    (void)state;
    static const char *const runtimes[] = {"vllm", "llama.cpp"};
    enum { OUTPUT = 1024, STEP = 32 };
    for (int i = 0; i < 2; i++) {
        double sum = 0, n = 0;
        for (int64_t at = 0; at < OUTPUT; at += STEP, n++)
            sum += predict("llama-2-7b", "rtx4090",
                           (pg_request){.input_len = 1000 + at, .output_len = STEP, .runtime = runtimes[i]})
                       .tpot_ms;
        pg_request whole = {.input_len = 1000, .output_len = OUTPUT, .runtime = runtimes[i]};
        near(predict("llama-2-7b", "rtx4090", whole).tpot_ms, sum / n, 0.005);
    }
}

static void test_several_gpus(void **state)
{
    (void)state;
    double tpot = 1e9;
    for (int n = 1; n <= 8; n *= 2) {
        pg_prediction p = predict("llama-2-70b", "h200", (pg_request){.tensor_parallel = n});
        assert_true(p.tpot_ms < tpot);
        tpot = p.tpot_ms;
    }
    pg_prediction one = predict("llama-2-7b", "h100", (pg_request){.batch = 2}),
                  two = predict("llama-2-7b", "h100", (pg_request){.batch = 2, .data_parallel = 2}),
                  staged = predict("llama-2-7b", "h100", (pg_request){.batch = 2, .pipeline_parallel = 2});
    near(two.tokens_per_s, 2 * one.tokens_per_s, 1e-9);
    assert_true(staged.tpot_ms > one.tpot_ms && staged.memory.weights < 0.6 * one.memory.weights);
    pg_prediction all = predict("llama-2-7b", "rtx4090", (pg_request){.quantization = "q8_0"}),
                  half = predict("llama-2-7b", "rtx4090", (pg_request){.quantization = "q8_0", .gpu_layers = 16});
    assert_true(half.tpot_ms > 2 * all.tpot_ms && half.memory.weights < 0.6 * all.memory.weights);
    near(half.memory.kv_cache, 0.5 * all.memory.kv_cache, 1e-9);
}

static void test_what_would_fit(void **state)
{
    (void)state;
    pg_prediction p = predict("llama-2-70b", "h100", (pg_request){.batch = 1});
    assert_false(p.fits);
    assert_true(p.tpot_ms < 0 && p.tokens_per_s < 0);
    assert_non_null(strstr(p.advice, "--tensor-parallel 2"));
    assert_non_null(strstr(p.advice, "--quantization fp8"));
    assert_non_null(strstr(p.advice, "h200"));
    assert_true(predict("llama-2-70b", "h100", (pg_request){.tensor_parallel = 2}).fits);
    assert_true(predict("llama-2-70b", "h100", (pg_request){.quantization = "fp8"}).fits);
    /* the largest batch that is said to fit does, the next does not */
    pg_request r = {.batch = 1, .input_len = 2000, .output_len = 48};
    p = predict("llama-7b", "rtx4090", r);
    assert_true(p.fits && p.most_batch >= 2 && p.most_context == 2048);
    r.batch = 4096;
    p = predict("llama-7b", "rtx4090", r);
    assert_false(p.fits);
    r.batch = (int64_t)p.most_batch;
    assert_true(predict("llama-7b", "rtx4090", r).fits);
}

static void test_refusals(void **state)
{
    (void)state;
    refused("llama-7b", (pg_request){.tensor_parallel = 3}, "tensor_parallel 3 does not divide the model's 32");
    refused("llama-7b", (pg_request){.input_len = 4096}, "input_len 4096 is beyond the 2048");
    refused("llama-7b", (pg_request){.input_len = 2000, .output_len = 100},
            "output_len 100 together are beyond the 2048");
    refused("llama-7b", (pg_request){.expert_parallel = 2, .tensor_parallel = 2}, "expert_parallel 2");
    refused("llama-7b", (pg_request){.pipeline_parallel = 33},
            "pipeline_parallel 33 is more than the model's 32 layers");
    refused("llama-7b", (pg_request){.quantization = "q9"}, "unknown quantization 'q9'");
    refused("llama-7b", (pg_request){.kv_cache_precision = "fp12"}, "unknown kv_cache_precision 'fp12'");
    refused("llama-7b", (pg_request){.quantization = "q4_0", .runtime = "vllm"}, "q4_0 is llama.cpp's");
    refused("llama-7b", (pg_request){.quantization = "awq", .runtime = "llama.cpp"}, "does not run awq");
    refused("llama-7b", (pg_request){.gpu_layers = 40, .runtime = "llama.cpp"}, "gpu_layers 40 is more than");
    refused("llama-7b", (pg_request){.gpu_layers = 4, .runtime = "vllm"}, "only llama.cpp");
    refused("bert-base-uncased", (pg_request){.batch = 1}, "only encodes");
    refused("resnet50", (pg_request){.batch = 1}, "language models");
}

/* Lengths that nobody gave are as many as the model has positions for. */
static void test_usual_lengths(void **state)
{
    (void)state;
    pg_prediction p = predict("llama-7b", "h100", (pg_request){.batch = 1});
    assert_true(p.input_len == 512 && p.output_len == 128);
    p = predict("llama-7b", "h100", (pg_request){.input_len = 2000});
    assert_true(p.input_len == 2000 && p.output_len == 48);
    p = predict("llama-7b", "h100", (pg_request){.input_len = -1, .output_len = 100});
    assert_true(p.input_len == 0 && p.output_len == 100);
}

static void test_serving(void **state)
{
    (void)state;
    double tpot = 0, rate = 0;
    pg_request r = {.task = PG_TASK_SERVING, .input_len = 1024, .output_len = 512};
    for (r.concurrency = 1; r.concurrency <= 64; r.concurrency *= 2) {
        pg_prediction p = predict("llama-3.1-8b", "h100", r);
        assert_true(p.tpot_ms > tpot && p.tokens_per_s > rate);
        /* all requests together make what each does */
        near(p.tokens_per_s, (double)r.concurrency * 512 / p.latency_ms * 1e3, 0.35);
        tpot = p.tpot_ms, rate = p.tokens_per_s;
    }
    /* once memory is full the others wait: no more tokens, a later first one */
    r = (pg_request){.task = PG_TASK_SERVING, .input_len = 8000, .output_len = 512, .concurrency = 64};
    pg_prediction full = predict("llama-3.1-8b", "rtx4090", r);
    r.concurrency = 256;
    pg_prediction more = predict("llama-3.1-8b", "rtx4090", r);
    near(more.tokens_per_s, full.tokens_per_s, 0.04);
    assert_true(more.ttft_ms > 3 * full.ttft_ms);
}

/* One plan, and a cache by GPU: vLLM's is of 8 bits from Blackwell on, unless the user says what it is. */
static void test_cache_by_gpu(void **state)
{
    (void)state;
    pg_request r = {.task = PG_TASK_SERVING, .precision = "fp8", .concurrency = 16, .input_len = 4096};
    pg_prediction hopper = predict("llama-3.1-8b", "h100", r), blackwell = predict("llama-3.1-8b", "b200", r);
    assert_string_equal(hopper.kv_cache_precision, "fp16");
    assert_string_equal(blackwell.kv_cache_precision, "fp8");
    near(hopper.memory.kv_cache, 2 * blackwell.memory.kv_cache, 1e-9);
    r.kv_cache_precision = "fp8";
    pg_prediction asked = predict("llama-3.1-8b", "h100", r);
    near(asked.memory.kv_cache, blackwell.memory.kv_cache, 1e-9);
    assert_true(asked.tpot_ms < hopper.tpot_ms);
    r = (pg_request){.task = PG_TASK_SERVING, .precision = "bf16", .concurrency = 16};
    assert_string_equal(predict("llama-3.1-8b", "b200", r).kv_cache_precision, "fp16");
}

/* FP4 kernels that are measured alone walk over all of K; those of a model don't. */
static void test_walk_over_k_is_of_lone_products(void **state)
{
    (void)state;
    pg_request r = {.runtime = "tensorrt-llm", .precision = "nvfp4"}, alone = r;
    alone.task = PG_TASK_INFERENCE;
    pg_model *model;
    pg_plan *plan;
    pg_prediction p[2], lone[2];
    pg_error e = PG_ERROR_INIT;
    runtime_profile *rt = runtime_of("tensorrt-llm");
    double before = rt->fp4_k_clocks;
    if (pg_model_open(&model, "op:gemm:m=8:n=1024:k=65536", NULL, &e)) fail_msg("%s", e.text);
    if (pg_plan_open(&plan, model, gpus, &alone, &e)) fail_msg("%s", e.text);
    for (int i = 0; i < 2; i++) {
        rt->fp4_k_clocks = i ? 4 : 0;
        p[i] = predict("llama-3.1-8b", "b200", r);
        assert_int_equal(pg_plan_predict(plan, pg_catalog_find(gpus, "b200", &e), &lone[i], &e), PG_E_OK);
    }
    rt->fp4_k_clocks = before;
    pg_plan_free(plan);
    pg_model_free(model);
    assert_true(p[0].tpot_ms == p[1].tpot_ms && lone[1].latency_ms > 1.5 * lone[0].latency_ms);
}

static double first_token(const language_model *m, const runtime_profile *rt, arena *a)
{
    llm_request r = {.model = m, .runtime = rt, .math = PREC_BF16, .cache = PREC_BF16, .batch = 1, .input = 1024};
    r.output = 64, r.tensor = r.pipeline = r.data = r.expert = 1, r.gpu_layers = -1;
    llm_case c;
    llm_serving_plan plan;
    pg_error e = PG_ERROR_INIT;
    if (llm_case_make(&c, &r, &e) || llm_serving_make(&plan, &c, 1, a, &e)) fail_msg("%s", e.text);
    const pg_gpu *gpu = pg_catalog_find(gpus, "h100", &e);
    const gpu_spec *spec = ((const api_gpu *)(const void *)gpu)->spec;
    predict_options o = {.basis = BASIS_CALIBRATED};
    predict_gpu g;
    llm_gpu_init(&g, spec, &gpus->config.cost, rt, &o);
    return llm_serving_at(&c, &plan, 1, &g, &gpus->config.predict, &o).ttft_s;
}

/* TensorRT-LLM answers later where a model has experts. */
static void test_first_token_of_experts(void **state)
{
    (void)state;
    runtime_profile *rt = runtime_of("tensorrt-llm");
    lm_layer layer = {
        .count = 4, .mixer = LM_ATTENTION, .ffn = LM_GATED, .heads = 16, .kv_heads = 16, .head_dim = 128, .norms = 2};
    layer.ffn_dim = 1024, layer.gated = true;
    language_model m = {.hidden = 2048, .vocab = 32000, .layers = &layer, .n_layers = 1, .rms_norm = true};
    arena a;
    arena_init(&a, api_allocator(NULL), 0);
    double before = rt->llm_experts_us, layer_us = rt->llm_layer_us;
    pg_error e = PG_ERROR_INIT;
    const pg_gpu *gpu = pg_catalog_find(gpus, "h100", &e);
    double slowness = predict_host_slowness(((const api_gpu *)(const void *)gpu)->spec, rt, &gpus->config.predict);
    double arrival = (rt->llm_prompt_us + 1024 * rt->llm_token_us) * 1e-6;
    for (int experts = 0; experts < 2; experts++) {
        if (experts) layer.ffn = LM_MOE, layer.experts = 8, layer.experts_used = 2;
        lm_count(&m, &layer, NULL);
        rt->llm_experts_us = 0;
        double without = first_token(&m, rt, &a);
        rt->llm_experts_us = 1000;
        near(first_token(&m, rt, &a), without + (experts ? 0.001 : 0), 1e-9);
        rt->llm_layer_us = 1e5; /* four layers, each of which takes the host so long to launch */
        near(first_token(&m, rt, &a), 0.4 * slowness + (experts ? 0.001 : 0) + arrival, 1e-9);
        rt->llm_layer_us = layer_us;
    }
    rt->llm_experts_us = before;
    arena_free(&a);
}

/* Prompts draw more than tokens that are decoded: the shorter the output, the more of the time is theirs. */
static void test_power_of_prompts(void **state)
{
    (void)state;
    pg_request r = {.task = PG_TASK_SERVING, .runtime = "vllm", .concurrency = 16, .input_len = 4096};
    double before = 0;
    for (int64_t output = 2048; output >= 32; output /= 4) {
        r.output_len = output;
        double watts = predict("llama-3.1-8b", "h100", r).power_w;
        assert_true(watts > before && watts <= 700);
        before = watts;
    }
}

/* Runtimes have intervals of their own, which are as much wider where their GPU was not measured as models' are. */
static void test_intervals_of_runtimes(void **state)
{
    (void)state;
    runtime_profile *rt = runtime_of("sglang");
    pg_request r = {.task = PG_TASK_SERVING, .runtime = "sglang", .concurrency = 8, .input_len = 512, .output_len = 64};
    double *transferred = &gpus->config.predict.interval.transferred, fitted = *transferred;
    *transferred = 1.25;
    pg_prediction here = predict("llama-3.1-8b", "b200", r), there = predict("llama-3.1-8b", "a100", r);
    *transferred = fitted;
    near(here.tpot_high_ms / here.tpot_ms, 1 + rt->interval_tpot, 1e-9);
    near(here.ttft_ms / here.ttft_low_ms, 1 + rt->interval_ttft, 1e-9);
    near(there.tpot_high_ms / there.tpot_ms, 1 + 1.25 * rt->interval_tpot, 1e-9);
    double before = rt->interval_tpot;
    rt->interval_tpot = 0;
    here = predict("llama-3.1-8b", "b200", r);
    near(here.tpot_high_ms / here.tpot_ms, 1 + gpus->config.predict.interval.llm_tpot, 1e-9);
    rt->interval_tpot = before;
}

/* Guesses that always hold make a step worth so many tokens more; none that hold cost the check of them and the guessing. */
static void test_guessed_tokens(void **state)
{
    (void)state;
    pg_request r = {.batch = 8, .runtime = "vllm", .input_len = 1024, .output_len = 256};
    for (int serving = 0; serving < 2; serving++) {
        r.task = serving ? PG_TASK_SERVING : PG_TASK_DECODE;
        r.concurrency = serving ? 8 : 0;
        r.speculative_tokens = 0, r.acceptance_rate = 0;
        pg_prediction plain = predict("llama-3.1-8b", "h100", r), guessed[3];
        assert_true(plain.tokens_per_step == 1);
        r.speculative_tokens = 3;
        for (int i = 0; i < 3; i++) {
            r.acceptance_rate = i == 0 ? 1 : i == 1 ? 0.7 : 1e-9;
            guessed[i] = predict("llama-3.1-8b", "h100", r);
        }
        near(guessed[0].tokens_per_step, 4, 1e-9);
        near(guessed[1].tokens_per_step, 1 + 0.7 + 0.49 + 0.343, 1e-9);
        assert_true(guessed[0].tpot_ms > plain.tpot_ms / 4 && guessed[0].tpot_ms < plain.tpot_ms / 2);
        assert_true(guessed[1].tpot_ms > guessed[0].tpot_ms && guessed[1].tpot_ms < plain.tpot_ms);
        /* three times a layer of 32 and the output layer, and more rows in each product */
        assert_true(guessed[2].tpot_ms > 1.09 * plain.tpot_ms && guessed[2].tpot_ms < 1.6 * plain.tpot_ms);
        r.acceptance_rate = 0; /* 0.7 where none is given */
        near(predict("llama-3.1-8b", "h100", r).tpot_ms, guessed[1].tpot_ms, 1e-9);
    }
    refused("llama-3.1-8b", (pg_request){.task = PG_TASK_DECODE, .speculative_tokens = 17}, "speculative_tokens 17");
    refused("llama-3.1-8b", (pg_request){.task = PG_TASK_DECODE, .speculative_tokens = -1}, "speculative_tokens -1");
    refused("llama-3.1-8b", (pg_request){.task = PG_TASK_DECODE, .acceptance_rate = 0.5}, "acceptance_rate 0.5");
    refused("llama-3.1-8b", (pg_request){.task = PG_TASK_PREFILL, .speculative_tokens = 2}, "decode and serving");
    refused("llama-3.1-8b", (pg_request){.task = PG_TASK_DECODE, .speculative_tokens = 2, .acceptance_rate = NAN},
            "acceptance_rate");
}

/* Prompts alone: the clocks, the work and the bytes are those of all chunks, and a further prompt never takes less time. */
static void test_prompts_in_chunks(void **state)
{
    (void)state;
    pg_request r = {.task = PG_TASK_PREFILL, .runtime = "vllm", .precision = "fp8", .input_len = 512};
    double before = 0, flops = 0;
    for (int batch = 1; batch <= 50; batch++) {
        r.batch = batch;
        pg_prediction p = predict("llama-3.2-1b", "l40s", r);
        near(p.gpu_ms + p.host_ms, p.latency_ms, 0.05);
        assert_true(p.latency_ms > before);
        if (batch == 1) flops = p.flops;
        near(p.flops, batch * flops, 1e-6);
        before = p.latency_ms;
    }
}

static double pass_flops(const llm_case *c, int groups, const llm_group *group, arena *a)
{
    llm_pass pass = {.groups = groups, .steps = 1};
    for (int i = 0; i < groups; i++) pass.group[i] = group[i];
    llm_plan plan;
    pg_error e = PG_ERROR_INIT;
    if (llm_plan_make(&plan, c, &pass, a, &e)) fail_msg("%s", e.text);
    return plan.plan.flops;
}

/* In a step with both, requests that decode attend to latent rows and prompts to full heads: it does what the two do apart. */
static void test_latent_attention_in_mixed_steps(void **state)
{
    (void)state;
    lm_layer layer = {
        .count = 4, .mixer = LM_MLA, .ffn = LM_GATED, .heads = 16, .kv_heads = 16, .head_dim = 192, .norms = 2};
    layer.q_rank = 512, layer.kv_rank = 512, layer.nope_dim = 128, layer.rope_dim = 64, layer.v_head_dim = 128;
    layer.ffn_dim = 4096, layer.gated = true;
    language_model m = {.hidden = 2048, .vocab = 32000, .layers = &layer, .n_layers = 1, .rms_norm = true};
    arena a;
    arena_init(&a, api_allocator(NULL), 0);
    const runtime_profile *rt = runtime_of("sglang");
    lm_count(&m, &layer, NULL);
    llm_request r = {.model = &m, .runtime = rt, .math = PREC_BF16, .cache = PREC_BF16, .batch = 64, .input = 4096};
    r.output = 128, r.tensor = r.pipeline = r.data = r.expert = 1, r.gpu_layers = -1;
    llm_case c;
    pg_error e = PG_ERROR_INIT;
    if (llm_case_make(&c, &r, &e)) fail_msg("%s", e.text);
    const llm_group decode = {64, 1, {4100, 4200}, 0}, prompt = {1, 4096, {4096, 4096}, 0}, both[2] = {decode, prompt};
    double apart = pass_flops(&c, 1, &decode, &a) + pass_flops(&c, 1, &prompt, &a);
    near(pass_flops(&c, 2, both, &a), apart, 1e-3);
    arena_free(&a);
}

/* As many at a time as the targets allow, and as many copies as the requests need. */
static void test_how_many_gpus(void **state)
{
    (void)state;
    pg_request r = {.task = PG_TASK_SERVING,
                    .input_len = 1024,
                    .output_len = 256,
                    .request_rate = 50,
                    .target_ttft_ms = 800,
                    .target_tpot_ms = 25};
    pg_prediction p = predict("llama-3.1-8b", "h100", r);
    assert_true(p.ttft_ms <= 800 && p.tpot_ms <= 25 && p.gpus_needed >= 2);
    assert_int_equal(p.gpus_needed, (int)ceil(50 / p.requests_per_s));
    pg_request one = {.task = PG_TASK_SERVING, .input_len = 1024, .output_len = 256, .concurrency = p.batch + 1};
    pg_prediction next = predict("llama-3.1-8b", "h100", one);
    assert_true(next.ttft_ms > 800 || next.tpot_ms > 24.8); /* interpolated between other numbers */
    r.target_tpot_ms = 60;
    assert_true(predict("llama-3.1-8b", "h100", r).gpus_needed <= p.gpus_needed);
    r.target_tpot_ms = 1; /* nothing is that fast */
    p = predict("llama-3.1-8b", "h100", r);
    assert_int_equal(p.gpus_needed, 0);
    assert_int_equal(p.batch, 1);
    refused("llama-7b", (pg_request){.task = PG_TASK_DECODE, .request_rate = 3}, "request_rate is for --task serving");
    refused("llama-7b", (pg_request){.task = PG_TASK_SERVING, .target_tpot_ms = -3}, "target_tpot_ms -3");
}

/* Adapters beside all linear layers of Llama 2 7B at rank 16 are 39,976,960 numbers (PEFT prints that), in fp32. */
static void test_adapters(void **state)
{
    (void)state;
    pg_request r = {.task = PG_TASK_TRAINING, .lora_rank = 16, .batch = 4, .sequence = 512};
    pg_prediction lora = predict("llama-2-7b", "h100", r);
    near(lora.memory.gradients, 39976960.0 * 4, 1e-9);
    near(lora.memory.optimizer, 2 * lora.memory.gradients, 1e-9);
    near(lora.memory.weights, 6738415616.0 * 2 + 39976960.0 * 4, 1e-4);
    assert_true(lora.fits && lora.latency_ms > 0);
    near(lora.throughput, 4e3 / lora.latency_ms, 1e-9);
    r.quantization = "nf4";
    pg_prediction qlora = predict("llama-2-7b", "h100", r);
    assert_true(qlora.memory.weights < 0.35 * lora.memory.weights && qlora.latency_ms > lora.latency_ms);
    r.quantization = NULL;
    r.gradient_checkpointing = true;
    pg_prediction again = predict("llama-2-7b", "h100", r);
    assert_true(again.memory.activations < 0.3 * lora.memory.activations && again.latency_ms > 1.2 * lora.latency_ms);
    r.gradient_checkpointing = false;
    r.lora_rank = 128;
    near(predict("llama-2-7b", "h100", r).memory.gradients, 8 * lora.memory.gradients, 1e-9);
    r.batch = 8;
    assert_true(predict("llama-2-7b", "h100", r).latency_ms > lora.latency_ms);
    refused("llama-7b", (pg_request){.task = PG_TASK_TRAINING, .lora_rank = 8, .tensor_parallel = 2}, "lora_rank 8");
    refused("llama-7b", (pg_request){.task = PG_TASK_TRAINING, .lora_rank = 70000}, "lora_rank 70000");
    refused("llama-7b", (pg_request){.task = PG_TASK_TRAINING, .lora_rank = 8, .sequence = 4096}, "input_len 4096");
}

/* Whichever allocation fails, the answer is an error and nothing stays behind. */
static void test_out_of_memory(void **state)
{
    (void)state;
    static const pg_request requests[] = {{.task = PG_TASK_DECODE},
                                          {.task = PG_TASK_SERVING, .concurrency = 8},
                                          {.task = PG_TASK_SERVING, .concurrency = 8, .precision = "fp8"},
                                          {.task = PG_TASK_TRAINING, .lora_rank = 8}};
    for (size_t k = 0; k < sizeof requests / sizeof requests[0]; k++) {
        pg_code code = PG_E_NOMEM;
        for (long n = 0; code != PG_E_OK; n++) {
            test_heap h = {.fail_at = -1};
            pg_allocator alloc = {heap_resize, &h};
            pg_model *model;
            pg_plan *plan = NULL;
            pg_error e = PG_ERROR_INIT;
            assert_int_equal(pg_model_open(&model, "llama-7b", &(pg_model_options){.allocator = &alloc}, &e), PG_E_OK);
            h.calls = 0;
            h.fail_at = n;
            code = pg_plan_open(&plan, model, gpus, &requests[k], &e);
            assert_true(code == PG_E_OK || code == PG_E_NOMEM);
            pg_plan_free(plan);
            pg_model_free(model);
            assert_int_equal(h.live, 0);
            assert_true(n < 100);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_by_hand),
        cmocka_unit_test(test_waiting_stages_are_idle),
        cmocka_unit_test(test_quantised_weights_are_as_large_as_the_files),
        cmocka_unit_test(test_what_fits),
        cmocka_unit_test(test_directions),
        cmocka_unit_test(test_decode_integrates_over_the_cache),
        cmocka_unit_test(test_several_gpus),
        cmocka_unit_test(test_what_would_fit),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_usual_lengths),
        cmocka_unit_test(test_latent_attention_in_mixed_steps),
        cmocka_unit_test(test_cache_by_gpu),
        cmocka_unit_test(test_first_token_of_experts),
        cmocka_unit_test(test_guessed_tokens),
        cmocka_unit_test(test_prompts_in_chunks),
        cmocka_unit_test(test_intervals_of_runtimes),
        cmocka_unit_test(test_power_of_prompts),
        cmocka_unit_test(test_walk_over_k_is_of_lone_products),
        cmocka_unit_test(test_serving),
        cmocka_unit_test(test_how_many_gpus),
        cmocka_unit_test(test_adapters),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, open_gpus, close_gpus);
}
