/* llama.cpp on several GPUs: the rows of each matrix divided, layers divided, the first prompt of a process, and the rows that tell of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "api/api.h"
#include "bench/bench.h"
#include "support/gpus.h"

static pg_code ask(const char *name, const char *gpu, pg_request r, pg_prediction *out, pg_error *e)
{
    pg_model *model;
    pg_plan *plan;
    if (pg_model_open(&model, name, NULL, e)) fail_msg("%s", e->text);
    pg_code code = pg_plan_open(&plan, model, gpus, &r, e);
    if (!code && pg_plan_predict(plan, pg_catalog_find(gpus, gpu, e), out, e)) fail_msg("%s", e->text);
    if (!code) pg_plan_free(plan);
    pg_model_free(model);
    return code;
}

static pg_prediction run(pg_request r)
{
    pg_error e = PG_ERROR_INIT;
    pg_prediction p;
    r.runtime = "llama.cpp";
    if (!r.input_len) r.input_len = 512;
    if (ask("llama-2-7b", "rtx4090", r, &p, &e)) fail_msg("%s", e.text);
    return p;
}

static double seconds(pg_task task, int gpu_count, int64_t input)
{
    return run((pg_request){.task = task, .tensor_parallel = gpu_count, .input_len = input}).latency_ms / 1e3;
}

/* Inputs go out in fp32, each GPU's rows come back: (G - 1) * tokens * (k + n / G) * 4 bytes of each matrix, over a slot of 31.5 GB/s of which
 * a share is had, and a copy for each GPU and once for all in parts of so many columns. */
static void copies_take_their_time(void **state)
{
    (void)state;
    const runtime_profile *rt = api_runtime(gpus, "llama.cpp");
    const double k[] = {4096, 4096, 4096, 4096, 4096, 4096, 11008}, n[] = {4096, 4096, 4096, 4096, 11008, 11008, 4096};
    for (int count = 2; count <= 8; count *= 2) {
        double bytes = (count - 1) * (4096 + 32000.0 / count) * 4, copies = 32 * 7 * 4 + 1; /* 512 tokens are 4 parts */
        for (int i = 0; i < 7; i++) bytes += 32 * (count - 1) * 512 * (k[i] + ceil(n[i] / count)) * 4;
        double want = bytes / (31.5e9 * rt->row_link_share) + copies * (count + 1) * rt->row_copy_us * 1e-6;
        double whole = seconds(PG_TASK_PREFILL, 1, 512), divided = seconds(PG_TASK_PREFILL, count, 512);
        assert_true(divided > want && divided < want + whole);
    }
}

/* Weights are read by all GPUs at a time, so a token gains where they take longer than the copies: in 16 bits, on two GPUs of little
 * bandwidth. Further GPUs cost more than they bring. */
static void few_gpus_help(void **state)
{
    (void)state;
    pg_error e = PG_ERROR_INIT;
    pg_prediction one, two, eight;
    pg_request r = {.task = PG_TASK_DECODE, .runtime = "llama.cpp", .tensor_parallel = 1};
    assert_int_equal(ask("llama-2-7b", "rtx_4000_ada", r, &one, &e), PG_E_OK);
    r.tensor_parallel = 2;
    assert_int_equal(ask("llama-2-7b", "rtx_4000_ada", r, &two, &e), PG_E_OK);
    r.tensor_parallel = 8;
    assert_int_equal(ask("llama-2-7b", "rtx_4000_ada", r, &eight, &e), PG_E_OK);
    assert_true(two.tpot_ms < one.tpot_ms && eight.tpot_ms > two.tpot_ms);
    double narrow = run((pg_request){.task = PG_TASK_DECODE, .quantization = "q4_0"}).tpot_ms;
    assert_true(run((pg_request){.task = PG_TASK_DECODE, .quantization = "q4_0", .tensor_parallel = 2}).tpot_ms >
                narrow);
}

/* The first GPU has its rows, and the cache and all else alone. */
static void the_first_has_the_cache(void **state)
{
    (void)state;
    pg_prediction one = run((pg_request){.task = PG_TASK_DECODE}),
                  four = run((pg_request){.task = PG_TASK_DECODE, .tensor_parallel = 4});
    assert_true(fabs(four.memory.weights * 4 / one.memory.weights - 1) < 0.01);
    assert_true(four.memory.kv_cache == one.memory.kv_cache);
    assert_true(four.power_w < 4 * one.power_w); /* they wait for each other */
}

static void refused(const char *model, pg_request r, const char *word)
{
    pg_error e = PG_ERROR_INIT;
    pg_prediction p;
    if (!ask(model, "rtx4090", r, &p, &e)) fail_msg("%s: not refused", word);
    if (!strstr(e.text, word)) fail_msg("'%s' is not in '%s'", word, e.text);
}

static void what_cannot_be(void **state)
{
    (void)state;
    pg_request r = {.task = PG_TASK_DECODE, .runtime = "llama.cpp", .tensor_parallel = 2, .pipeline_parallel = 2};
    refused("llama-2-7b", r, "matrices or layers, not both");
    r.pipeline_parallel = 0;
    refused("mixtral-8x7b", r, "does not divide a mixture of experts");
    r.model_gpus = 2;
    refused("llama-2-7b", r, "model_gpus 2 goes without");
    refused("llama-2-7b", (pg_request){.task = PG_TASK_PREFILL, .runtime = "vllm", .first_run = true},
            "vllm takes to start");
    refused("llama-2-7b", (pg_request){.task = PG_TASK_SERVING, .runtime = "llama.cpp", .first_run = true},
            "first_run is for");
    /* 3 divides neither heads nor layers */
    assert_true(run((pg_request){.task = PG_TASK_DECODE, .tensor_parallel = 3}).tpot_ms > 0);
}

/* GPUs that share a model as their runtime does it. */
static void runtimes_divide_as_they_do(void **state)
{
    (void)state;
    pg_error e = PG_ERROR_INIT;
    pg_prediction p;
    p = run((pg_request){.task = PG_TASK_DECODE, .model_gpus = 4});
    assert_true(p.pipeline_parallel == 4 && p.tensor_parallel == 1 && p.gpu_count == 4);
    pg_request r = {.task = PG_TASK_DECODE, .runtime = "vllm", .model_gpus = 4, .gpu_count = 8};
    assert_int_equal(ask("llama-2-7b", "rtx4090", r, &p, &e), PG_E_OK);
    assert_true(p.pipeline_parallel == 1 && p.tensor_parallel == 4 && p.data_parallel == 2);
}

static void first_prompts_wait(void **state)
{
    (void)state;
    double first = run((pg_request){.task = PG_TASK_PREFILL, .first_run = true}).latency_ms,
           later = seconds(PG_TASK_PREFILL, 1, 512) * 1e3;
    assert_true(fabs(first - later - api_runtime(gpus, "llama.cpp")->llm_first_us / 1e3) < 1e-6);
    pg_request r = {.task = PG_TASK_DECODE, .first_run = true};
    assert_true(run(r).ttft_ms > later && run(r).tpot_ms == run((pg_request){.task = PG_TASK_DECODE}).tpot_ms);
}

/* Rows with the notebooks' prompts are of single runs that divided matrices; others are what they say. */
static void notebooks(void **state)
{
    (void)state;
    bench_row row = {
        .runtime = "llama.cpp", .task = TASK_PREFILL, .input_len = 494, .gpu_count = 2, .pipeline_parallel = 2};
    bench_setup s = bench_language_setup(&row, NULL, NULL, NULL);
    assert_true(s.first_run && s.tensor_parallel == 2 && s.pipeline_parallel == 1);
    assert_string_equal(bench_setup_name(&row), "divided");
    row.pipeline_parallel = row.gpu_count = 1;
    assert_string_equal(bench_setup_name(&row), "first");
    row.task = TASK_DECODE, row.output_len = 1023;
    assert_string_equal(bench_setup_name(&row), "usual"); /* tokens after the first don't wait */
    row.pipeline_parallel = 2;
    assert_string_equal(bench_setup_name(&row), "divided");
    row.given = UINT64_C(1) << BENCH_KEY_first_run; /* it says so itself */
    assert_string_equal(bench_setup_name(&row), "usual");
    row.given = 0, row.input_len = 512;
    s = bench_language_setup(&row, NULL, NULL, NULL);
    assert_true(!s.first_run && s.tensor_parallel == 0 && s.pipeline_parallel == 2);
    row.input_len = 494, row.runtime = "vllm";
    assert_true(!bench_language_setup(&row, NULL, NULL, NULL).first_run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_take_their_time),
        cmocka_unit_test(few_gpus_help),
        cmocka_unit_test(the_first_has_the_cache),
        cmocka_unit_test(what_cannot_be),
        cmocka_unit_test(runtimes_divide_as_they_do),
        cmocka_unit_test(first_prompts_wait),
        cmocka_unit_test(notebooks),
    };
    return cmocka_run_group_tests(tests, open_gpus, close_gpus);
}
