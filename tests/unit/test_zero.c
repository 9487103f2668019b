/* Training whose data-parallel copies divide optimizer state, gradients and weights (ZeRO, FSDP), and what is advised where it is too big. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "phantom/phantom.h"
#include "support/gpus.h"

static pg_code ask(const char *gpu, pg_request r, pg_prediction *out, pg_error *e)
{
    pg_model *model;
    pg_plan *plan;
    r.task = r.task ? r.task : PG_TASK_TRAINING;
    r.precision = "bf16";
    r.autocast = true;
    if (!r.batch) r.batch = 2;
    r.sequence = 1024;
    if (pg_model_open(&model, "mpt-1b", NULL, e)) fail_msg("%s", e->text);
    pg_code code = pg_plan_open(&plan, model, gpus, &r, e);
    if (!code && pg_plan_predict(plan, pg_catalog_find(gpus, gpu, e), out, e)) fail_msg("%s", e->text);
    if (!code) pg_plan_free(plan);
    pg_model_free(model);
    return code;
}

static pg_prediction train(const char *gpu, int stage, int copies, int micro)
{
    pg_error e = PG_ERROR_INIT;
    pg_prediction p;
    pg_request r = {.zero_stage = stage,
                    .data_parallel = copies,
                    .micro_batches = micro,
                    .batch = 2 * (micro ? micro : 1),
                    .any_memory = true};
    if (ask(gpu, r, &p, &e)) fail_msg("%s", e.text);
    return p;
}

/* 1.32 B parameters, 16 bytes each of weights, gradients and Adam's moments in fp32: so much is divided by the stage. */
static void what_each_stage_divides(void **state)
{
    (void)state;
    enum { COPIES = 8 };
    pg_prediction p[4];
    double fp32 = 4 * 1.3e9;
    for (int i = 0; i <= 3; i++) p[i] = train("a100_sxm_80gb", i, COPIES, 0);
    assert_true(fabs(p[0].memory.optimizer / (2 * fp32) - 1) < 0.03);
    for (int i = 1; i <= 3; i++) assert_true(fabs(p[i].memory.optimizer * COPIES / p[0].memory.optimizer - 1) < 1e-9);
    assert_true(fabs(p[0].memory.gradients / (2 * fp32) - 1) < 0.03); /* and the buckets */
    assert_true(fabs(p[1].memory.gradients / fp32 - 1) < 0.03);
    /* their part and a layer of 24 in 16 bits */
    for (int i = 2; i <= 3; i++) assert_true(fabs(p[i].memory.gradients / (fp32 / COPIES + fp32 / 2 / 24) - 1) < 0.1);
    assert_true(p[1].memory.weights == p[0].memory.weights && p[2].memory.weights == p[0].memory.weights);
    assert_true(p[3].memory.weights > fp32 / COPIES && p[3].memory.weights < fp32 / COPIES + 0.3 * fp32);
    for (int i = 1; i <= 3; i++) assert_true(p[i].memory.activations == p[0].memory.activations);
}

/* One copy has nobody to share with. */
static void one_copy_divides_nothing(void **state)
{
    (void)state;
    pg_prediction plain = train("a100_sxm_80gb", 0, 1, 2), divided = train("a100_sxm_80gb", 3, 1, 2);
    assert_true(plain.latency_ms == divided.latency_ms && plain.memory.total == divided.memory.total);
}

/* Behind NVLink stage 3 is hidden beside the passes; over PCIe each micro-batch gathers all weights twice, and waits. */
static void links_decide(void **state)
{
    (void)state;
    assert_true(train("a100_sxm_80gb", 3, 8, 1).latency_ms < 1.2 * train("a100_sxm_80gb", 0, 8, 1).latency_ms);
    double one = train("rtx4090", 3, 8, 1).latency_ms - train("rtx4090", 1, 8, 1).latency_ms;
    double four = train("rtx4090", 3, 8, 4).latency_ms - train("rtx4090", 1, 8, 4).latency_ms;
    assert_true(four > 2 * one && one > 0);
    /* more copies never make a step shorter */
    for (int stage = 1; stage <= 3; stage++)
        for (int copies = 2; copies < 64; copies *= 2)
            assert_true(train("rtx4090", stage, 2 * copies, 1).latency_ms >
                        0.99 * train("rtx4090", stage, copies, 1).latency_ms);
}

/* A step of many micro-batches is no surer than one of them. */
static void parts_of_a_batch_are_no_surer(void **state)
{
    (void)state;
    pg_prediction one = train("a100_sxm_80gb", 0, 1, 1), many = train("a100_sxm_80gb", 0, 1, 16);
    assert_true(fabs(many.latency_high_ms / many.latency_ms / (one.latency_high_ms / one.latency_ms) - 1) < 0.02);
    assert_true(fabs(many.latency_low_ms / many.latency_ms / (one.latency_low_ms / one.latency_ms) - 1) < 0.02);
}

static void refused(pg_request r, const char *word)
{
    pg_error e = PG_ERROR_INIT;
    pg_prediction p;
    if (!ask("a100", r, &p, &e)) fail_msg("%s: not refused", word);
    if (!strstr(e.text, word)) fail_msg("'%s' is not in '%s'", word, e.text);
}

static void what_cannot_be(void **state)
{
    (void)state;
    refused((pg_request){.zero_stage = 4}, "zero_stage 4 is not between");
    refused((pg_request){.zero_stage = -1}, "zero_stage -1 is not between");
    refused((pg_request){.zero_stage = 1, .lora_rank = 8}, "training of all weights");
    refused((pg_request){.zero_stage = 2, .data_parallel = 2, .pipeline_parallel = 2, .micro_batches = 2},
            "use zero_stage 1");
    pg_error e = PG_ERROR_INIT;
    pg_prediction p;
    pg_request ok = {
        .zero_stage = 1, .data_parallel = 2, .pipeline_parallel = 2, .micro_batches = 2, .any_memory = true};
    assert_int_equal(ask("a100", ok, &p, &e), PG_E_OK);
}

/* What is advised fits. */
static void advice_holds(void **state)
{
    (void)state;
    pg_error e = PG_ERROR_INIT;
    pg_prediction p;
    pg_request r = {.batch = 1};
    assert_int_equal(ask("rtx3090", r, &p, &e), PG_E_OK);
    const char *copies = strstr(p.advice, "--zero-stage 3 --data-parallel ");
    if (p.fits || !copies) fail_msg("%s", p.advice);
    r.zero_stage = 3;
    r.data_parallel = atoi(copies + strlen("--zero-stage 3 --data-parallel "));
    assert_int_equal(ask("rtx3090", r, &p, &e), PG_E_OK);
    assert_true(p.fits && !p.advice[0] && p.zero_stage == 3);
    r.data_parallel /= 2;
    assert_int_equal(ask("rtx3090", r, &p, &e), PG_E_OK);
    assert_true(!p.fits);
    r = (pg_request){.batch = 256, .task = PG_TASK_TRAINING, .data_parallel = 8, .zero_stage = 3};
    assert_int_equal(ask("a100", r, &p, &e), PG_E_OK);
    const char *batch = strstr(p.advice, "a batch of about ");
    if (p.fits || !batch) fail_msg("%s", p.advice);
    r.batch = (int64_t)(0.97 * atoi(batch + strlen("a batch of about ")));
    assert_int_equal(ask("a100", r, &p, &e), PG_E_OK);
    assert_true(p.fits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_each_stage_divides),
        cmocka_unit_test(one_copy_divides_nothing),
        cmocka_unit_test(links_decide),
        cmocka_unit_test(parts_of_a_batch_are_no_surer),
        cmocka_unit_test(what_cannot_be),
        cmocka_unit_test(advice_holds),
    };
    return cmocka_run_group_tests(tests, open_gpus, close_gpus);
}
