/* How serving runtimes are set up in published benchmarks, which depends on model, lengths, GPU and version. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include "api/api.h"
#include "llm/serving.h"
#include "support/gpus.h"

typedef struct setup {
    const char *runtime, *gpu;
    double requests, input, output, version;
    int tensor;
    bool experts, indexer;
} setup;

static runtime_profile *runtime_of(const char *name)
{
    for (uint32_t i = 0; i < gpus->config.n_runtimes; i++)
        if (str_is(gpus->config.runtimes[i].key, name)) return &gpus->config.runtimes[i];
    fail_msg("no runtime %s", name);
    return NULL;
}

/* A model of eight layers under a runtime. */
static llm_serving serve(const setup *s, const runtime_profile *rt)
{
    lm_layer layer = {
        .count = 8, .mixer = LM_ATTENTION, .ffn = LM_GATED, .heads = 32, .kv_heads = 32, .head_dim = 128, .norms = 2};
    layer.ffn_dim = 4096, layer.gated = true;
    if (s->experts) layer.ffn = LM_MOE, layer.experts = 32, layer.experts_used = 4;
    if (s->indexer) layer.index_heads = 8, layer.index_dim = 128, layer.index_top = 2048;
    language_model m = {.hidden = 4096, .vocab = 32000, .layers = &layer, .n_layers = 1, .max_position = 65536};
    llm_request r = {.model = &m, .runtime = rt, .math = PREC_BF16, .cache = PREC_BF16, .batch = 1};
    r.input = s->input, r.output = s->output, r.version = s->version;
    r.tensor = s->tensor ? s->tensor : 1;
    r.pipeline = r.data = r.expert = 1, r.gpu_layers = -1;
    llm_case c;
    llm_serving_plan plan;
    pg_error e = PG_ERROR_INIT;
    arena a;
    arena_init(&a, api_allocator(NULL), 0);
    if (llm_case_make(&c, &r, &e) || llm_serving_make(&plan, &c, s->requests, &a, &e)) fail_msg("%s", e.text);
    const pg_gpu *gpu = pg_catalog_find(gpus, s->gpu, &e);
    predict_options o = {.basis = BASIS_CALIBRATED};
    predict_gpu g;
    llm_gpu_init(&g, ((const api_gpu *)(const void *)gpu)->spec, &gpus->config.cost, rt, &o);
    llm_serving out = llm_serving_at(&c, &plan, s->requests, &g, &gpus->config.predict, &o);
    arena_free(&a);
    return out;
}

/* Seconds that a first token takes longer than it would under the runtime's own defaults. */
static double later(setup s)
{
    const runtime_profile *rt = runtime_of(s.runtime);
    runtime_profile own = *rt;
    own.poll_steps = own.poll_steps_busy = own.batch_wait_steps = own.lost_place_before = 0;
    return serve(&s, rt).ttft_s - serve(&s, &own).ttft_s;
}

/* TensorRT-LLM keeps prompts for a fuller step where 1024 tokens of a dense model come out of 1024, on few GPUs. */
static void test_prompts_wait(void **state)
{
    (void)state;
    setup s = {.runtime = "tensorrt-llm", .gpu = "b200", .requests = 16, .input = 1024, .output = 1024};
    double tpot = serve(&s, runtime_of("tensorrt-llm")).tpot_s, waits = later(s);
    assert_true(waits > 10 * tpot && waits < 21 * tpot);
    s.tensor = 8;
    assert_true(later(s) == 0);
    s.tensor = 4;
    assert_true(later(s) > 0);
    s.output = 512;
    assert_true(later(s) == 0);
    s.input = 512;
    assert_true(later(s) == 0);
    s.input = s.output = 1000;
    assert_true(later(s) > 0);
    s.experts = true;
    assert_true(later(s) == 0);
    s.experts = false, s.runtime = "vllm";
    assert_true(later(s) == 0);
}

/* SGLang looks for requests every so many steps on Blackwell, unless the model has a sparse indexer. */
static void test_looks_seldom(void **state)
{
    (void)state;
    setup s = {.runtime = "sglang", .gpu = "b200", .requests = 16, .input = 1024, .output = 512};
    runtime_profile *rt = runtime_of("sglang");
    double mixed = rt->llm_mixed_us;
    rt->llm_mixed_us = 0; /* steps with prompts, which others wait for, aren't what it looks between */
    double tpot = serve(&s, rt).tpot_s;
    assert_true(later(s) > 8 * tpot && later(s) < 30 * tpot); /* half of 30 */
    rt->llm_mixed_us = mixed;
    s.gpu = "h100";
    assert_true(later(s) == 0);
    s.gpu = "b200", s.indexer = true;
    assert_true(later(s) == 0);
}

/* Dense models under old versions of TensorRT-LLM: each request waits for about a seventh of another one's time. */
static void test_lost_place(void **state)
{
    (void)state;
    setup s = {.runtime = "tensorrt-llm", .gpu = "h100", .requests = 8, .input = 1024, .output = 512, .version = 1000};
    llm_serving old = serve(&s, runtime_of("tensorrt-llm"));
    double share = later(s) / (512 * old.tpot_s);
    assert_true(share > 0.1 && share < 0.16 && old.running == 8 && old.waiting_share == 0);
    s.version = 1001;
    assert_true(later(s) == 0);
    s.version = 0; /* the newest */
    assert_true(later(s) == 0);
    s.version = 1000, s.experts = true;
    assert_true(later(s) == 0);
    s.experts = false, s.requests = 1;
    assert_true(later(s) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_prompts_wait), cmocka_unit_test(test_looks_seldom),
                                       cmocka_unit_test(test_lost_place)};
    return cmocka_run_group_tests(tests, open_gpus, close_gpus);
}
