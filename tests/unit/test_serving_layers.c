/* Layers that serving runtimes run as kernels of their own: mixtures of experts, latent attention, recurrences. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "phantom/phantom.h"
#include "predict/experts.h"
#include "support/gpus.h"

/* Milliseconds of one operator on the GPU alone. */
static double ms_of(const char *op, const char *gpu, const char *bits, const char *runtime)
{
    pg_model *m = NULL;
    pg_plan *plan = NULL;
    pg_prediction p = {0};
    pg_error e = PG_ERROR_INIT;
    pg_request r = {.precision = bits, .runtime = runtime, .device_time = true};
    if (pg_model_open(&m, op, NULL, &e) || pg_plan_open(&plan, m, gpus, &r, &e) ||
        pg_plan_predict(plan, pg_catalog_find(gpus, gpu, &e), &p, &e))
        fail_msg("%s: %s", op, e.text);
    pg_plan_free(plan);
    pg_model_free(m);
    return p.latency_ms;
}

/* ---- mixtures of experts ---- */

static experts_spread spread(double tokens, double used, double experts, double parts, double skew)
{
    experts_layer l = {.tokens = tokens, .used = used, .experts = experts, .parts = parts, .skew = skew};
    experts_spread s;
    experts_spread_of(&s, &l);
    return s;
}

static void test_tokens_spread_over_experts(void **state)
{
    (void)state;
    experts_spread even = spread(16, 8, 128, 1, -1);
    assert_true(even.pairs == 128 && even.touched == 128 && even.tiles[0] == 128 && even.tiles[4] == 128);
    even = spread(1024, 8, 128, 4, -1);
    assert_true(even.pairs == 2048 && even.touched == 32 && even.tiles[0] == 128 && even.tiles[2] == 32);
    experts_spread one = spread(1, 8, 128, 1, 0);
    assert_true(fabs(one.touched - 8) < 1e-9 && fabs(one.pairs - 8) < 1e-9 && fabs(one.tiles[0] - 8) < 1e-9);
    /* Few picks fall on the same expert; many reach all of them, and half a tile of each is left empty. */
    experts_spread some = spread(64, 8, 128, 1, 0), many = spread(16384, 8, 128, 1, 0);
    assert_true(some.touched > 120 && some.touched < 128 && some.tiles[4] > 120 && some.tiles[4] < 129);
    assert_true(fabs(many.touched - 128) < 1e-6 && fabs(many.tiles[3] - 128 * 8.5) < 20);
    /* A power law leaves most experts with little, and the fullest GPU with more than its share. */
    experts_spread law = spread(1024, 8, 128, 8, 1.2), whole = spread(1024, 8, 128, 1, 1.2);
    assert_true(law.pairs > 1.2 * 1024 && law.pairs < 8 * 1024 && fabs(whole.pairs - 8192) < 8);
    assert_true(whole.touched <= 128 && whole.tiles[0] >= whole.pairs / 16 && whole.tiles[4] <= whole.tiles[0]);
    experts_spread fullest = spread(1024, 8, 128, 8, 0);
    assert_true(fullest.pairs > 1024 && fullest.pairs < 1.2 * 1024);
}

/* Where some experts are liked better a step meets fewer of them, no matter that a token picks as many; the fullest GPU gets more. */
static void test_some_experts_are_liked(void **state)
{
    (void)state;
    experts_layer l = {.tokens = 1, .used = 8, .experts = 128, .parts = 1};
    for (; l.tokens <= 512; l.tokens *= 8) {
        experts_spread s[3];
        for (int i = 0; i < 3; i++) {
            l.uneven = 0.7 * i;
            experts_spread_of(&s[i], &l);
            assert_true(fabs(s[i].pairs - 8 * l.tokens) < 1e-6 * l.tokens);
        }
        if (l.tokens > 1) assert_true(s[1].touched < s[0].touched && s[2].touched < s[1].touched);
        else assert_true(fabs(s[2].touched - 8) < 1e-6);
    }
    l.tokens = 64, l.uneven = 3, l.experts = 16; /* half of all: no chance is above 1 */
    experts_spread s;
    experts_spread_of(&s, &l);
    assert_true(s.touched >= 8 && s.touched <= 16);
    l = (experts_layer){.tokens = 4096, .used = 8, .experts = 128, .parts = 8, .uneven = 0};
    experts_spread_of(&s, &l);
    double even = s.pairs;
    l.uneven = 1;
    experts_spread_of(&s, &l);
    assert_true(s.pairs > 1.1 * even && s.pairs < 8 * 4096);
}

static double experts_ms(const char *gpu, const char *bits, const char *runtime, int tokens, const char *more)
{
    char model[160];
    snprintf(model, sizeof model, "op:moe:tokens=%d:hidden=2048:inter=1024:used=8:experts=128%s", tokens, more);
    return ms_of(model, gpu, bits, runtime);
}

static void test_mixtures_of_experts(void **state)
{
    (void)state;
    static const char *const boards[] = {"a100", "l40s", "h100", "b200"};
    for (size_t g = 0; g < 4; g++) {
        double before = 0;
        for (int tokens = 1; tokens <= 65536; tokens *= 2) {
            double ms = experts_ms(boards[g], "bf16", "vllm", tokens, "");
            assert_true(ms > 0.98 * before);
            before = ms;
        }
        /* one token reads 8 experts of 128 */
        assert_true(experts_ms(boards[g], "bf16", "vllm", 1, "") <
                    0.3 * experts_ms(boards[g], "bf16", "vllm", 512, ""));
        /* the fullest of eight GPUs waits for what fell on its own experts */
        assert_true(experts_ms(boards[g], "bf16", "tensorrt-llm", 16384, ":ep=8:skew=120") >
                    1.2 * experts_ms(boards[g], "bf16", "tensorrt-llm", 16384, ":ep=8:even=1"));
        assert_true(experts_ms(boards[g], "bf16", "vllm", 64, ":weight_bits=4") <
                    0.7 * experts_ms(boards[g], "bf16", "vllm", 64, ""));
        assert_true(experts_ms(boards[g], "bf16", "vllm", 4096, ":gated=0") <
                    experts_ms(boards[g], "bf16", "vllm", 4096, ""));
    }
    /* Triton's kernels pass over the tokens of other GPUs' experts too; NVIDIA's on Blackwell don't. */
    assert_true(experts_ms("h100", "bf16", "vllm", 16384, ":ep=64:even=1") >
                1.5 * experts_ms("h100", "bf16", "tensorrt-llm", 16384, ":ep=64:even=1"));
    /* weights that are widened in registers don't reach Blackwell's units, but Ada's */
    assert_true(experts_ms("b200", "bf16", "vllm", 16384, ":weight_bits=4") >
                1.2 * experts_ms("b200", "bf16", "vllm", 16384, ""));
    assert_true(experts_ms("l40s", "bf16", "vllm", 16384, ":weight_bits=4") <
                1.2 * experts_ms("l40s", "bf16", "vllm", 16384, ""));
    assert_true(experts_ms("b200", "nvfp4", "vllm", 64, "") < 0.7 * experts_ms("b200", "bf16", "vllm", 64, ""));
}

static void test_latent_attention(void **state)
{
    (void)state;
    static const char *const boards[] = {"a100", "h100", "b200"};
    for (size_t g = 0; g < 3; g++) {
        char op[200];
        double before = 0, plain;
        for (int kv = 16; kv <= 131072; kv *= 2) {
            snprintf(
                op, sizeof op,
                "op:attention:batch=32:q_len=1:kv_len=%d:heads=16:kv_heads=1:head_dim=576:v_dim=512:latent=576:causal=1",
                kv);
            double ms = ms_of(op, boards[g], "bf16", "tensorrt-llm");
            assert_true(ms >= before);
            before = ms;
        }
        /* keys and values in rows of their own are almost twice the bytes */
        snprintf(op, sizeof op,
                 "op:attention:batch=32:q_len=1:kv_len=131072:heads=16:kv_heads=1:head_dim=576:v_dim=512:causal=1");
        plain = ms_of(op, boards[g], "bf16", "tensorrt-llm");
        assert_true(g == 0 || plain > 1.4 * before);
        /* a prompt fills the cache with latent rows, not with keys and values of all heads */
        const char *prompt = "op:attention:batch=8:q_len=256:heads=128:head_dim=192:v_dim=128:causal=1";
        snprintf(op, sizeof op, "%s:latent=576", prompt);
        assert_true(ms_of(op, boards[g], "bf16", "tensorrt-llm") <
                    0.9 * ms_of(prompt, boards[g], "bf16", "tensorrt-llm"));
    }
}

/* ---- recurrences ---- */

static void test_recurrences(void **state)
{
    (void)state;
    static const char *const boards[] = {"a100", "l40s", "h100", "b200"};
    static const char *const runtimes[] = {"vllm", "tensorrt-llm"};
    for (size_t g = 0; g < 4; g++)
        for (size_t r = 0; r < 2; r++) {
            char op[120];
            double before = 0;
            for (int n = 2; n <= 32768; n *= 2) {
                snprintf(op, sizeof op, "op:delta_rule:batch=4:seq_len=%d:heads=32", n);
                double ms = ms_of(op, boards[g], "bf16", runtimes[r]);
                assert_true(ms >= before);
                before = ms;
            }
            /* a step reads and writes 512 states of 64 KB */
            double step = ms_of("op:delta_rule:batch=256:heads=64", boards[g], "bf16", runtimes[r]);
            double least = 2.0 * 256 * 64 * 65536 / (pg_catalog_find(gpus, boards[g], NULL)->bandwidth_gbs * 1e6);
            assert_true(step > least && step < 2 * least);
            assert_true(ms_of("op:short_conv:batch=8:seq_len=4096:channels=8192", boards[g], "bf16", runtimes[r]) <
                        2.2 *
                            ms_of("op:short_conv:batch=8:seq_len=2048:channels=8192", boards[g], "bf16", runtimes[r]));
        }
    /* one kernel that keeps the states on chip does not wait for memory between chunks */
    const char *prompt = "op:delta_rule:batch=8:seq_len=8192:heads=32";
    assert_true(ms_of(prompt, "h100", "bf16", "vllm") < 0.5 * ms_of(prompt, "h100", "bf16", "tensorrt-llm"));
    assert_true(ms_of(prompt, "l40s", "bf16", "vllm") == ms_of(prompt, "l40s", "bf16", "tensorrt-llm"));
}

static void test_mistakes(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"op:moe:tokens=1:hidden=8:inter=8:used=2:experts=1", "used=2 must be at most experts=1"},
        {"op:moe:tokens=1:hidden=8:inter=9:used=1:experts=2:tp=2", "tp=2 divide inter=9"},
        {"op:moe:tokens=1:hidden=8:inter=8:used=1:experts=3:ep=2", "ep=2 divide the experts"},
        {"op:moe:tokens=1:hidden=8:inter=8:used=1:experts=2:weight_bits=3", "weight_bits=3 be 4 or 8"},
        {"op:moe:tokens=1:hidden=8:inter=8:used=1", "needs the field 'experts'"},
        {"op:attention:q_len=1:kv_len=8:heads=2:kv_heads=1:head_dim=64:v_dim=128:latent=64", "v_dim=128 a part of it"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        pg_model *m = NULL;
        pg_error e = PG_ERROR_INIT;
        assert_int_equal(pg_model_open(&m, bad[i][0], NULL, &e), PG_E_USAGE);
        if (!strstr(e.text, bad[i][1])) fail_msg("%s: %s", bad[i][0], e.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens_spread_over_experts),
        cmocka_unit_test(test_some_experts_are_liked),
        cmocka_unit_test(test_mixtures_of_experts),
        cmocka_unit_test(test_latent_attention),
        cmocka_unit_test(test_recurrences),
        cmocka_unit_test(test_mistakes),
    };
    return cmocka_run_group_tests(tests, open_gpus, close_gpus);
}
