/* How serving runtimes are set up: by themselves, as asked for, and as the scripts of published benchmarks do where a row says nothing. */
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

static pg_prediction serve(pg_request r)
{
    pg_model *model;
    pg_plan *plan;
    pg_prediction p;
    pg_error e = PG_ERROR_INIT;
    r.task = PG_TASK_SERVING;
    if (pg_model_open(&model, "llama-3.1-8b", NULL, &e)) fail_msg("%s", e.text);
    if (pg_plan_open(&plan, model, gpus, &r, &e)) fail_msg("%s", e.text);
    if (pg_plan_predict(plan, pg_catalog_find(gpus, "b200", &e), &p, &e)) fail_msg("%s", e.text);
    pg_plan_free(plan);
    pg_model_free(model);
    return p;
}

/* Milliseconds that a first token takes longer than with the runtime as it is by itself. */
static double later(pg_request r)
{
    double as_set = serve(r).ttft_ms;
    r.max_requests = r.max_step_tokens = r.poll_steps = r.batch_wait_steps = 0;
    r.batch_wait_share = r.shortest_share = 0;
    return as_set - serve(r).ttft_ms;
}

/* Prompts that are kept for a fuller step wait for about so many steps, where such a step doesn't fill sooner. */
static void prompts_wait(void **state)
{
    (void)state;
    pg_request r = {.runtime = "tensorrt-llm", .concurrency = 16, .input_len = 1024, .output_len = 1024};
    assert_true(later(r) == 0);
    r.batch_wait_steps = 20, r.batch_wait_share = 0.9;
    double tpot = serve(r).tpot_ms, waits = later(r);
    assert_true(waits > 10 * tpot && waits < 21 * tpot);
    r.batch_wait_steps = 5;
    assert_true(later(r) > 0 && later(r) < 6 * tpot);
    r.batch_wait_steps = 20, r.batch_wait_share = 0.05; /* one prompt is more */
    assert_true(later(r) == 0);
}

/* Half of the steps between two looks. */
static void requests_are_looked_for(void **state)
{
    (void)state;
    pg_request r = {.runtime = "vllm", .concurrency = 16, .input_len = 128, .output_len = 512, .poll_steps = 30};
    double tpot = serve(r).tpot_ms, waits = later(r);
    assert_true(waits > 8 * tpot && waits < 30 * tpot);
    r.poll_steps = 1;
    assert_true(later(r) == 0);
}

/* With one place less, each request waits for about a seventh of another one's time; with half of them, for one that is before it. */
static void places_are_few(void **state)
{
    (void)state;
    pg_request r = {.runtime = "vllm", .concurrency = 8, .input_len = 128, .output_len = 512, .max_requests = 7};
    double tpot = serve(r).tpot_ms, share = later(r) / (512 * tpot);
    assert_true(share > 0.1 && share < 0.16);
    r.max_requests = 4;
    share = later(r) / (512 * tpot);
    assert_true(share > 0.8 && share < 1.1);
    pg_prediction p = serve(r);
    assert_true(p.batch == 8 && !(p.note && strstr(p.note, "memory holds fewer")));
    r.max_requests = 8;
    assert_true(later(r) == 0);
}

/* Steps of one prompt each are no later than steps of eight, whose prompts all wait for the last; where a prompt is taken in parts, each of
 * which its host must launch, it is later. */
static void steps_are_small(void **state)
{
    (void)state;
    pg_request r = {
        .runtime = "vllm", .concurrency = 16, .input_len = 1024, .output_len = 128, .max_step_tokens = 1088};
    double whole = serve(r).ttft_ms;
    assert_true(later(r) != 0 && fabs(later(r)) < 0.2 * whole);
    r.max_step_tokens = 272;
    assert_true(later(r) > 0 && serve(r).ttft_ms > 1.1 * whole);
    r.max_step_tokens = 8192; /* its own */
    assert_true(later(r) == 0);
}

/* Lengths that are drawn between half of what is said and all of it are three quarters on average: a prompt is computed sooner, and requests
 * make so many tokens. Where all are as long as said, they come in waves. */
static void lengths_are_drawn(void **state)
{
    (void)state;
    pg_request r = {.runtime = "vllm", .concurrency = 16, .input_len = 4096, .output_len = 512}, shorter = r;
    pg_prediction all = serve(r);
    r.shortest_share = 0.5;
    pg_prediction drawn = serve(r);
    assert_true(drawn.ttft_ms < 0.95 * all.ttft_ms && drawn.ttft_ms > 0.6 * all.ttft_ms);
    assert_true(fabs(drawn.tokens_per_s / drawn.requests_per_s - 0.75 * 512) < 1e-6);
    assert_true(fabs(all.tokens_per_s / all.requests_per_s - 512) < 1e-6);
    shorter.input_len = 3072, shorter.output_len = 384;
    pg_prediction mean = serve(shorter);
    assert_true(fabs(drawn.tpot_ms / mean.tpot_ms - 1) < 0.05 && fabs(drawn.ttft_ms / mean.ttft_ms - 1) < 0.25);
    r.shortest_share = 1;
    assert_true(serve(r).ttft_ms > all.ttft_ms); /* all end together, and wait for each other's prompts */
}

static void refused(pg_request r, const char *text)
{
    pg_model *model;
    pg_plan *plan = NULL;
    pg_error e = PG_ERROR_INIT;
    if (pg_model_open(&model, "llama-3.1-8b", NULL, &e)) fail_msg("%s", e.text);
    assert_int_equal(pg_plan_open(&plan, model, gpus, &r, &e), PG_E_USAGE);
    if (!strstr(e.text, text)) fail_msg("'%s' does not say '%s'", e.text, text);
    pg_model_free(model);
}

static void absurd_values_are_refused(void **state)
{
    (void)state;
    pg_task t = PG_TASK_SERVING;
    refused((pg_request){.task = t, .max_requests = -1}, "max_requests -1 is not between 1 and 1048576");
    refused((pg_request){.task = t, .max_requests = INT64_MAX}, "max_requests 9.22337203685e+18 is not");
    refused((pg_request){.task = t, .poll_steps = -3}, "poll_steps -3 is not");
    refused((pg_request){.task = t, .batch_wait_steps = 1 << 21, .batch_wait_share = 0.5},
            "batch_wait_steps 2097152 is");
    refused((pg_request){.task = t, .batch_wait_steps = 2, .batch_wait_share = 1.5}, "batch_wait_share 1.5 is not");
    refused((pg_request){.task = t, .batch_wait_steps = 2, .batch_wait_share = NAN}, "batch_wait_share nan is not");
    refused((pg_request){.task = t, .batch_wait_steps = 2}, "batch_wait_steps 2 needs batch_wait_share");
    refused((pg_request){.task = t, .batch_wait_share = 0.5}, "batch_wait_share 0.5 needs batch_wait_steps");
    refused((pg_request){.task = PG_TASK_DECODE, .poll_steps = 4}, "poll_steps 4 is for --task serving");
    refused((pg_request){.task = t, .shortest_share = 1.5}, "shortest_share 1.5 is not between 0 and 1");
    refused((pg_request){.task = t, .shortest_share = -0.5}, "shortest_share -0.5 is not between 0 and 1");
    refused((pg_request){.task = PG_TASK_DECODE, .shortest_share = 0.8}, "shortest_share 0.8 is for --task serving");
    refused((pg_request){.task = t, .max_step_tokens = -1}, "max_step_tokens -1 is not between 1 and 16777216");
}

/* ---- rows of benchmarks ---- */

typedef struct row_case {
    const char *runtime, *gpu;
    int64_t requests, input, output, tensor;
    const char *version;
    bool experts, indexer;
    const char *precision;
    bool latents;
} row_case;

static bench_setup setup_of(const row_case *c, bench_row row)
{
    lm_layer layer = {.count = 8, .mixer = c->latents ? LM_MLA : LM_ATTENTION, .ffn = c->experts ? LM_MOE : LM_GATED};
    layer.index_top = c->indexer ? 2048 : 0;
    language_model m = {.layers = &layer, .n_layers = 1};
    const pg_gpu *gpu = pg_catalog_find(gpus, c->gpu, NULL);
    row.task = TASK_SERVING;
    row.concurrency = c->requests;
    row.input_len = c->input;
    row.output_len = c->output;
    row.tensor_parallel = c->tensor;
    row.runtime_version = c->version;
    row.precision = c->precision;
    return bench_language_setup(&row, api_runtime(gpus, c->runtime), &m, ((const api_gpu *)(const void *)gpu)->spec);
}

static void published_rows(void **state)
{
    (void)state;
    static const struct {
        row_case c;
        bench_setup s;
    } cases[] = {
        {{"vllm", "b200", 16, 1024, 1024, 1, "0.11.0", false, false, "fp8", false}, {.shortest_share = 0.8}},
        {{"vllm", "b200", 16, 1024, 512, 1, "0.11.0", false, false, "fp8", false}, {0}},
        {{"tensorrt-llm", "b200", 16, 1024, 1024, 1, NULL, false, false, "fp8", false},
         {.max_step_tokens = 16384, .batch_wait_steps = 20, .batch_wait_share = 0.9, .shortest_share = 0.8}},
        {{"TensorRT-LLM", "h100", 16, 1000, 950, 4, NULL, false, false, "fp8", false},
         {.batch_wait_steps = 20, .batch_wait_share = 0.9}},
        {{"tensorrt-llm", "b200", 16, 1024, 1024, 8, NULL, false, false, "fp8", false},
         {.max_step_tokens = 16384, .shortest_share = 0.8}},
        {{"tensorrt-llm", "b200", 16, 1024, 1024, 1, NULL, true, false, "fp8", false}, {.shortest_share = 0.8}},
        {{"tensorrt-llm", "b200", 16, 1024, 512, 1, NULL, false, false, "fp8", false}, {0}},
        {{"tensorrt-llm", "b200", 16, 8192, 1024, 1, NULL, false, false, "fp8", false},
         {.max_step_tokens = 16384, .shortest_share = 0.8}},
        {{"tensorrt-llm", "h100", 8, 1024, 512, 1, "1.0.0rc3", false, false, "bf16", false}, {.max_requests = 7}},
        {{"tensorrt-llm", "h100", 1, 1024, 512, 1, "1.0.0rc3", false, false, "bf16", false}, {0}},
        {{"tensorrt-llm", "h100", 8, 1024, 512, 1, "1.1.0", false, false, "bf16", false}, {0}},
        {{"tensorrt-llm", "h100", 8, 1024, 512, 1, "1.0.0rc3", true, false, "fp8", false}, {0}},
        {{"sglang", "b200", 8, 1024, 1024, 8, NULL, true, false, "fp8", true},
         {.max_step_tokens = 32768, .poll_steps = 10, .shortest_share = 0.8}},
        {{"sglang", "b200", 16, 1024, 1024, 8, NULL, true, false, "nvfp4", true},
         {.max_step_tokens = 16384, .poll_steps = 30, .shortest_share = 0.8}},
        {{"sglang", "b200", 16, 8192, 1024, 4, NULL, true, false, "fp8", true},
         {.max_step_tokens = 8192, .poll_steps = 10, .shortest_share = 0.8}},
        {{"sglang", "b200", 16, 8192, 1024, 4, NULL, true, false, "bf16", false},
         {.max_step_tokens = 32768, .poll_steps = 30, .shortest_share = 0.8}},
        {{"sglang", "b200", 16, 1024, 1024, 8, NULL, true, true, "fp8", true},
         {.max_step_tokens = 32768, .shortest_share = 0.8}},
        {{"sglang", "h100", 16, 1024, 1024, 8, NULL, true, false, "fp8", true},
         {.max_step_tokens = 32768, .shortest_share = 0.8}},
        {{"sglang", "h100", 16, 1000, 1000, 8, NULL, true, false, "fp8", true}, {0}},
        /* 4 rows each of 16 or 30 requests beside one prompt, and 64 tokens, up to a multiple of 64 */
        {{"tensorrt-llm", "b200", 16, 1024, 1024, 8, "1.2.0rc6.post3", true, false, "fp8", true},
         {.max_step_tokens = 1152, .speculative_tokens = 3, .shortest_share = 0.8}},
        {{"tensorrt-llm", "b200", 30, 8192, 1024, 8, "1.2.0rc6.post3", true, false, "fp8", true},
         {.max_step_tokens = 8384, .speculative_tokens = 3, .shortest_share = 0.8}},
        /* one row each, in versions before 1.2 */
        {{"tensorrt-llm", "b200", 16, 1024, 8192, 8, "1.1.0rc2.post2", true, false, "nvfp4", true},
         {.max_step_tokens = 1152, .shortest_share = 0.8}},
        {{"tensorrt-llm", "b200", 16, 1024, 8192, 8, NULL, true, false, "nvfp4", true},
         {.max_step_tokens = 1152, .shortest_share = 0.8}},
        {{"tensorrt-llm", "b200", 16, 1024, 8192, 8, "1.2.0rc6.post2", true, false, "fp8", true},
         {.shortest_share = 0.8}},
        {{"tensorrt-llm", "b200", 64, 1024, 1024, 8, "1.2.0rc6.post2", true, false, "fp8", true},
         {.batch_wait_steps = 40, .batch_wait_share = 0.8, .shortest_share = 0.8}},
        {{"tensorrt-llm", "b200", 64, 1024, 1024, 8, "1.2.0rc6.post2", true, false, "nvfp4", true},
         {.shortest_share = 0.8}},
        {{"tensorrt-llm", "b200", 32, 1024, 1024, 8, "1.2.0rc6.post2", true, false, "fp8", true},
         {.shortest_share = 0.8}},
        {{"vllm", "b200", 16, 1024, 8192, 8, "1.2.0rc6.post3", true, false, "fp8", true}, {.shortest_share = 0.8}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bench_setup s = setup_of(&cases[i].c, (bench_row){.batch = 1}), want = cases[i].s;
        if (s.max_requests != want.max_requests || s.max_step_tokens != want.max_step_tokens ||
            s.speculative_tokens != want.speculative_tokens || s.poll_steps != want.poll_steps ||
            s.batch_wait_steps != want.batch_wait_steps || s.batch_wait_share != want.batch_wait_share ||
            s.shortest_share != want.shortest_share)
            fail_msg("case %zu: %lld %lld %d %d %d %g %g", i, (long long)s.max_requests, (long long)s.max_step_tokens,
                     s.speculative_tokens, s.poll_steps, s.batch_wait_steps, s.batch_wait_share, s.shortest_share);
    }
}

/* A row that says something of its set-up says all of it. */
static void rows_say_their_own(void **state)
{
    (void)state;
    row_case c = {"sglang", "b200", 16, 1024, 1024, 8, NULL, true, false, "fp8", true};
    bench_row row = {.poll_steps = 1, .given = UINT64_C(1) << BENCH_KEY_poll_steps};
    assert_int_equal(setup_of(&c, row).poll_steps, 1);
    row = (bench_row){.max_requests = 12, .given = UINT64_C(1) << BENCH_KEY_max_requests};
    bench_setup s = setup_of(&c, row);
    assert_true(s.max_requests == 12 && s.poll_steps == 0 && s.max_step_tokens == 0 && s.shortest_share == 0);
    row = (bench_row){.shortest_share = 0.9, .given = UINT64_C(1) << BENCH_KEY_shortest_share};
    s = setup_of(&c, row);
    assert_true(s.shortest_share == 0.9 && s.poll_steps == 0);
    c = (row_case){"tensorrt-llm", "b200", 16, 1024, 1024, 8, "1.2.0rc6.post3", true, false, "fp8", true};
    row = (bench_row){.speculative_tokens = 1, .given = UINT64_C(1) << BENCH_KEY_speculative_tokens};
    s = setup_of(&c, row);
    assert_true(s.speculative_tokens == 1 && s.max_step_tokens == 0);
}

/* What `validate` predicts of a row is what the set-up predicts, not what the runtime does by itself. */
static void rows_are_predicted_so(void **state)
{
    (void)state;
    static const char format[] =
        "{\"benchmarks\": [{\"model\": \"llama-3.1-8b\", \"task\": \"serving\", \"gpu\": \"b200\", \"runtime\": "
        "\"tensorrt-llm\", \"concurrency\": 16, \"input_len\": 1024, \"output_len\": 1024, %s\"metric\": \"ttft_ms\", "
        "\"value\": 100}]}";
    static const char *const said[] = {"", "\"poll_steps\": 1, ",
                                       "\"batch_wait_steps\": 7, \"batch_wait_share\": 0.5, "};
    pg_request asked[] = {
        {.max_step_tokens = 16384, .batch_wait_steps = 20, .batch_wait_share = 0.9, .shortest_share = 0.8},
        {.batch = 1},
        {.batch_wait_steps = 7, .batch_wait_share = 0.5}};
    for (int i = 0; i < 3; i++) {
        char text[600];
        bench_rows rows;
        bench *b;
        size_t n;
        pg_error e = PG_ERROR_INIT;
        format_text(text, sizeof text, format, said[i]);
        bench_rows_init(&rows, api_allocator(NULL));
        if (bench_parse(&rows, text, strlen(text), "rows", "", &e)) fail_msg("%s", e.text);
        if (bench_open(&b, &rows, gpus, NULL, &e)) fail_msg("%s", e.text);
        const bench_point *p = bench_points(b, &n);
        pg_request r = asked[i];
        r.runtime = "tensorrt-llm", r.concurrency = 16, r.input_len = r.output_len = 1024;
        assert_int_equal(n, 1);
        assert_true(!p->skipped && fabs(p->predicted / serve(r).ttft_ms - 1) < 1e-9);
        bench_free(b);
        bench_rows_free(&rows);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prompts_wait),          cmocka_unit_test(requests_are_looked_for),
        cmocka_unit_test(places_are_few),        cmocka_unit_test(steps_are_small),
        cmocka_unit_test(lengths_are_drawn),     cmocka_unit_test(absurd_values_are_refused),
        cmocka_unit_test(published_rows),        cmocka_unit_test(rows_say_their_own),
        cmocka_unit_test(rows_are_predicted_so),
    };
    return cmocka_run_group_tests(tests, open_gpus, close_gpus);
}
