/* What one measurement of a model does to predictions on other GPUs: exact where it was taken, in the right direction elsewhere, only as
 * far as it shows what bounds the step there, and with a narrower interval. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "phantom/phantom.h"
#include "support/gpus.h"

static pg_model *model;

static int setup(void **state)
{
    return open_gpus(state) || pg_model_open(&model, "resnet50", NULL, NULL);
}

static int teardown(void **state)
{
    pg_model_free(model);
    return close_gpus(state);
}

static pg_prediction predict(const char *gpu, pg_request r)
{
    pg_plan *plan;
    pg_prediction p;
    pg_error e = PG_ERROR_INIT;
    if (pg_plan_open(&plan, model, gpus, &r, &e)) fail_msg("%s", e.text);
    if (pg_plan_predict(plan, pg_catalog_find(gpus, gpu, &e), &p, &e)) fail_msg("%s: %s", gpu, e.text);
    p.note = p.note && strstr(p.note, "your") ? "measured" : NULL; /* the plan's text goes with it */
    pg_plan_free(plan);
    return p;
}

static double width(const pg_prediction *p)
{
    return p->latency_high_ms / p->latency_ms;
}

static void test_exact_where_it_was_taken(void **state)
{
    (void)state;
    static const double factors[] = {0.8, 0.9, 1, 1.1, 3};
    for (int64_t batch = 1; batch <= 256; batch *= 16)
        for (size_t i = 0; i < 5; i++) {
            pg_request r = {.batch = batch};
            r.measured_ms = predict("rtx3090", r).latency_ms * factors[i];
            r.measured_gpu = "RTX 3090";
            pg_prediction p = predict("rtx3090", r);
            assert_true(fabs(p.latency_ms / r.measured_ms - 1) < 1e-9);
            assert_true(width(&p) < 1.15 && p.note);
        }
}

static void test_as_predicted_says_nothing_new(void **state)
{
    (void)state;
    for (int64_t batch = 1; batch <= 256; batch *= 16) {
        pg_request r = {.batch = batch};
        pg_prediction plain = predict("h100", r);
        r.measured_ms = predict("rtx3090", r).latency_ms;
        r.measured_gpu = "rtx3090";
        pg_prediction p = predict("h100", r);
        assert_true(fabs(p.latency_ms / plain.latency_ms - 1) < 1e-9);
        assert_true(width(&p) <= width(&plain));
        assert_string_equal(p.basis, plain.basis);
    }
}

/* A longer measurement never makes another GPU faster, whatever bounds either. */
static void test_monotone(void **state)
{
    (void)state;
    static const char *const boards[] = {"t4", "rtx4090", "h100"};
    for (int64_t batch = 1; batch <= 256; batch *= 2) {
        double there = predict("rtx3090", (pg_request){.batch = batch}).latency_ms, before[3] = {0};
        for (double f = 0.2; f < 6; f *= 1.07)
            for (size_t g = 0; g < 3; g++) {
                pg_request r = {.batch = batch, .measured_gpu = "rtx3090", .measured_ms = there * f};
                double ms = predict(boards[g], r).latency_ms;
                assert_true(ms >= before[g] * (1 - 1e-9));
                before[g] = ms;
            }
    }
}

static void test_gpu_bound_carries_over(void **state)
{
    (void)state;
    pg_request r = {.batch = 256};
    pg_prediction plain = predict("rtx4090", r);
    r.measured_ms = predict("rtx3090", r).latency_ms * 1.2;
    r.measured_gpu = "rtx3090";
    pg_prediction p = predict("rtx4090", r);
    double moved = p.latency_ms / plain.latency_ms;
    assert_true(moved > 1.05 && moved <= 1.2);
    assert_true(width(&p) < width(&plain) - 0.02);
}

/* A step that the host bounds shows the host, not the GPU. */
static void test_host_bound_says_little_of_the_gpu(void **state)
{
    (void)state;
    pg_request one = {.batch = 1}, many = {.batch = 256};
    pg_prediction there = predict("rtx3090", one), plain = predict("rtx4090", many);
    assert_string_equal(there.bottleneck, "host");
    assert_string_equal(plain.bottleneck, "memory");
    many.measured_gpu = "rtx3090";
    many.measured_batch = 1;
    many.measured_ms = there.latency_ms * 1.5;
    pg_prediction p = predict("rtx4090", many);
    assert_true(fabs(p.latency_ms / plain.latency_ms - 1) < 0.02);
    assert_true(fabs(width(&p) / width(&plain) - 1) < 0.02);
    one.measured_gpu = "rtx3090";
    one.measured_ms = there.latency_ms * 1.5;
    assert_true(predict("rtx4090", one).latency_ms > predict("rtx4090", (pg_request){.batch = 1}).latency_ms * 1.05);
}

/* The kernels of --explain add up to what is shown. */
static void test_explanation_is_scaled(void **state)
{
    (void)state;
    pg_request r = {.batch = 256, .measured_gpu = "rtx3090", .measured_ms = 120};
    pg_plan *plan;
    pg_explanation *x;
    pg_prediction p;
    const pg_gpu *gpu = pg_catalog_find(gpus, "rtx4090", NULL);
    assert_int_equal(pg_plan_open(&plan, model, gpus, &r, NULL), PG_E_OK);
    assert_int_equal(pg_plan_predict(plan, gpu, &p, NULL), PG_E_OK);
    assert_int_equal(pg_plan_explain(&x, plan, gpu, NULL), PG_E_OK);
    double sum = 0;
    for (size_t i = 0; i < pg_explanation_count(x); i++) sum += pg_explanation_at(x, i)->time_ms;
    assert_true(fabs(sum / p.gpu_ms - 1) < 1e-6);
    pg_explanation_free(x);
    pg_plan_free(plan);
}

static pg_code refused(pg_request r)
{
    pg_plan *plan = NULL;
    pg_error e = PG_ERROR_INIT;
    pg_code code = pg_plan_open(&plan, model, gpus, &r, &e);
    assert_true(code == PG_E_OK || (!plan && e.text[0]));
    pg_plan_free(plan);
    return code;
}

static void test_refuses(void **state)
{
    (void)state;
    assert_int_equal(refused((pg_request){.measured_ms = 3}), PG_E_USAGE);
    assert_int_equal(refused((pg_request){.measured_batch = 3}), PG_E_USAGE);
    assert_int_equal(refused((pg_request){.measured_gpu = "rtx3090"}), PG_E_USAGE);
    assert_int_equal(refused((pg_request){.measured_gpu = "rtx3090", .measured_ms = -1}), PG_E_USAGE);
    assert_int_equal(refused((pg_request){.measured_gpu = "rtx3090", .measured_ms = (double)NAN}), PG_E_USAGE);
    assert_int_equal(refused((pg_request){.measured_gpu = "rtx3090", .measured_ms = (double)INFINITY}), PG_E_USAGE);
    assert_int_equal(refused((pg_request){.measured_gpu = "rtx39090x", .measured_ms = 1}), PG_E_NOT_FOUND);
    assert_int_equal(refused((pg_request){.measured_gpu = "rtx3090", .measured_ms = 1, .measured_batch = -2}),
                     PG_E_USAGE);
    assert_int_equal(refused((pg_request){.measured_gpu = "rtx3090", .measured_ms = 5}), PG_E_OK);
}

static size_t warnings(double ms)
{
    pg_request r = {.batch = 64, .measured_gpu = "rtx3090", .measured_ms = ms};
    pg_plan *plan;
    assert_int_equal(pg_plan_open(&plan, model, gpus, &r, NULL), PG_E_OK);
    size_t n = pg_plan_warning_count(plan);
    if (n) assert_non_null(strstr(pg_plan_warning(plan, 0), "rtx3090"));
    pg_plan_free(plan);
    return n;
}

static void test_warns_of_what_cannot_be(void **state)
{
    (void)state;
    double there = predict("rtx3090", (pg_request){.batch = 64}).latency_ms;
    assert_int_equal(warnings(there * 1.5), 0);
    assert_int_equal(warnings(there * 7), 1);
    assert_int_equal(warnings(there / 7), 1);
    assert_int_equal(warnings(0.05), 1);
}

/* What can hardly be meant leaves the interval open down to what is predicted without it, there and elsewhere. */
static void test_doubtful_ones_narrow_nothing(void **state)
{
    (void)state;
    static const double factors[] = {0.01, 0.1, 7, 100};
    static const char *const boards[] = {"rtx3090", "rtx5090"};
    for (int64_t batch = 1; batch <= 64; batch *= 64)
        for (size_t i = 0; i < 4; i++)
            for (size_t g = 0; g < 2; g++) {
                pg_request r = {.batch = batch};
                pg_prediction plain = predict(boards[g], r);
                r.measured_ms = predict("rtx3090", r).latency_ms * factors[i];
                r.measured_gpu = "rtx3090";
                pg_prediction p = predict(boards[g], r);
                double nearest = p.latency_ms > plain.latency_ms ? p.latency_low_ms : 1 / p.latency_high_ms;
                double without = p.latency_ms > plain.latency_ms ? plain.latency_ms : 1 / plain.latency_ms;
                assert_true(nearest <= without * 1.01);
                assert_true(width(&p) >= width(&plain) * 0.99);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact_where_it_was_taken),
        cmocka_unit_test(test_as_predicted_says_nothing_new),
        cmocka_unit_test(test_monotone),
        cmocka_unit_test(test_gpu_bound_carries_over),
        cmocka_unit_test(test_host_bound_says_little_of_the_gpu),
        cmocka_unit_test(test_explanation_is_scaled),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_warns_of_what_cannot_be),
        cmocka_unit_test(test_doubtful_ones_narrow_nothing),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
