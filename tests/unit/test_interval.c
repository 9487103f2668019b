/* How wide intervals are: what the widths of a step are made of, and that fitting them finds the quantiles that made the data. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

#include "interval_fit.h"
#include "support/gpus.h"

_Noreturn void interval_die(const char *what, const pg_error *e)
{
    print_error("%s%s\n", what, e ? e->text : "");
    abort();
}

static void near(double is, double should)
{
    if (!(fabs(is / should - 1) < 1e-9)) fail_msg("%.12g instead of %.12g", is, should);
}

/* Every class has a width of its own, so that none can stand for another. */
static interval_constants constants(void)
{
    interval_constants c = {.host = 0.7,
                            .training = 1.1,
                            .transferred = 1.2,
                            .specification = 1.6,
                            .unlike = 2.5,
                            .tenfold = 0.8,
                            .skew_model = 1.25,
                            .skew_kernel = 1.5};
    for (int i = 0; i < INTERVAL_CLASSES; i++) {
        c.model[i] = 0.1 + 0.01 * i;
        c.kernel[i] = 0.3 + 0.01 * i;
    }
    return c;
}

static void widths_are_means_over_the_time(void **state)
{
    (void)state;
    interval_constants c = constants();
    for (int i = 0; i < INTERVAL_CLASSES; i++)
        for (int k = 0; k < INTERVAL_CLASSES; k++) {
            interval_parts p = {.kernel_s = 1e-4};
            p.share[i] += 0.75;
            p.share[k] += 0.25;
            double w = 0.75 * c.model[i] + 0.25 * c.model[k];
            interval_range r = interval_width(&c, &p, BASIS_CALIBRATED);
            near(r.low, w / 1.25);
            near(r.high, w * 1.25);
            p.lone = true; /* what is by itself has other widths, and none of the factors */
            p.training = true;
            p.host = 1;
            w = 0.75 * c.kernel[i] + 0.25 * c.kernel[k];
            r = interval_width(&c, &p, BASIS_TRANSFERRED);
            near(r.low * r.high, w * w);
        }
}

/* Where a library chooses, it may choose a slow kernel; a stream has no choice. */
static void kernels_with_a_choice_are_skewed(void **state)
{
    (void)state;
    interval_constants c = constants();
    for (int i = 0; i < INTERVAL_CLASSES; i++) {
        interval_parts p = {.lone = true};
        p.share[i] = 1;
        bool streams = i == INTERVAL_STREAM || i == INTERVAL_ROWS || i == INTERVAL_CONV_VECTOR ||
                       i == INTERVAL_PRODUCT_VECTOR || i == INTERVAL_DEPTHWISE;
        interval_range r = interval_width(&c, &p, BASIS_TRANSFERRED);
        near(r.high / r.low, streams ? 1 : 1.5 * 1.5);
    }
}

static void factors_multiply(void **state)
{
    (void)state;
    interval_constants c = constants();
    interval_parts p = {.share = {[INTERVAL_CONV] = 1}, .kernel_s = 1e-4}, q = p;
    double w = interval_width(&c, &p, BASIS_CALIBRATED).high;
    near(interval_width(&c, &p, BASIS_TRANSFERRED).high, w * 1.2);
    near(interval_width(&c, &p, BASIS_SPECIFICATION).high, w * 1.2 * 1.6);
    near(interval_width(&c, &p, BASIS_UNLIKE).high, w * 1.2 * 2.5);
    q.training = true;
    near(interval_width(&c, &q, BASIS_CALIBRATED).high, w * 1.1);
    q = p;
    q.kernel_s = 1e-3;
    near(interval_width(&c, &q, BASIS_CALIBRATED).high, w * 0.8);
    q.kernel_s = 1e-5;
    near(interval_width(&c, &q, BASIS_CALIBRATED).high, w / 0.8);
    /* two powers of ten to either side, and no further; a step without kernels is none of a certain size */
    q.kernel_s = 1e-12;
    near(interval_width(&c, &q, BASIS_CALIBRATED).high, w / 0.8 / 0.8);
    q.kernel_s = 1e3;
    near(interval_width(&c, &q, BASIS_CALIBRATED).high, w * 0.8 * 0.8);
    q.kernel_s = 0;
    near(interval_width(&c, &q, BASIS_CALIBRATED).high, w);
}

/* A host that nobody described may be faster as well as slower. */
static void hosts_have_a_width_of_their_own(void **state)
{
    (void)state;
    interval_constants c = constants();
    interval_parts p = {.share = {[INTERVAL_CONV] = 1}, .kernel_s = 1e-4, .host = 1};
    interval_range r = interval_width(&c, &p, BASIS_CALIBRATED);
    near(r.low, 0.7);
    near(r.high, 0.7);
    near(interval_width(&c, &p, BASIS_UNLIKE).high, 0.7 * 1.6 * 1.2); /* whoever made the board */
    p.kernel_s = 1e-6;                                                /* however long its kernels take */
    near(interval_width(&c, &p, BASIS_CALIBRATED).high, 0.7);
    p.kernel_s = 1e-4;
    p.host = 0.5;
    r = interval_width(&c, &p, BASIS_CALIBRATED);
    near(r.low * r.high, (0.5 * 0.7 + 0.5 * 0.1) * (0.5 * 0.7 + 0.5 * 0.1));
    near(r.high / r.low, 1.25);
}

enum { POINTS = 4000 };

/* Errors of equal steps between their 1 and 99 % quantiles: so many below as above, the ones times `above`, the others times `below`. */
static void errors(held *list, size_t n, interval_class k, double below, double above, bool training)
{
    for (size_t i = 0; i < n; i++) {
        double u = 2 * ((double)i + 0.5) / (double)n - 1;
        list[i] = (held){.basis = BASIS_CALIBRATED, .error = u < 0 ? u * below : u * above, .weight = 1};
        list[i].parts.share[k] = 1;
        list[i].parts.kernel_s = 1e-4;
        list[i].parts.training = training;
    }
}

static void fits_find_the_quantiles(void **state)
{
    (void)state;
    static held list[3 * POINTS];
    double x[CONSTANTS], low, high;
    errors(list, POINTS, INTERVAL_CONV, 0.2, 0.4, false);
    errors(list + POINTS, POINTS, INTERVAL_ATTENTION, 0.4, 0.8, false);
    errors(list + 2 * POINTS, POINTS, INTERVAL_CONV, 0.3, 0.6, true);
    held_list h = {.list = list, .count = 3 * POINTS, .start = constants(), .runtimes = 1, .shipped = {1}};
    interval_fit(x, &h, NULL);
    /* 80 % of the errors of one sign are below 0.8 of the largest */
    const double should[][2] = {{0.16, 0.32}, {0.32, 0.64}, {0.24, 0.48}};
    for (int i = 0; i < 3; i++) {
        interval_of_held(&low, &high, x, &h, &list[i * POINTS]);
        if (fabs(low / should[i][0] - 1) > 0.08 || fabs(high / should[i][1] - 1) > 0.08)
            fail_msg("%d: %.3f %.3f instead of %.3f %.3f", i, low, high, should[i][0], should[i][1]);
    }
    double again[CONSTANTS];
    interval_fit(again, &h, NULL);
    for (int i = 0; i < CONSTANTS; i++) assert_true(again[i] == x[i]);
}

/* What is left out of a fit has no part in it, and what nothing tells about takes the mean of its kind. */
static void fits_leave_out_and_fall_back(void **state)
{
    (void)state;
    static held list[2 * POINTS];
    static bool use[2 * POINTS];
    double x[CONSTANTS], y[CONSTANTS];
    errors(list, POINTS, INTERVAL_CONV, 0.3, 0.3, false);
    errors(list + POINTS, POINTS, INTERVAL_ATTENTION, 1, 1, false);
    for (size_t i = 0; i < 2 * POINTS; i++) use[i] = i < POINTS;
    held_list h = {.list = list, .count = 2 * POINTS, .start = constants(), .runtimes = 1, .shipped = {1}};
    interval_fit(x, &h, use);
    h.count = POINTS;
    interval_fit(y, &h, NULL);
    for (int i = 0; i < CONSTANTS; i++) assert_true(x[i] == y[i]);
    assert_true(fabs(x[INTERVAL_ATTENTION] - x[MEANS]) < 1e-4);
    assert_true(fabs(x[INTERVAL_ATTENTION] - x[INTERVAL_CONV]) < 0.1);
}

static pg_prediction predict(const char *gpu, const char *model, int64_t batch)
{
    pg_model *m;
    pg_plan *plan;
    pg_prediction p;
    pg_error e = PG_ERROR_INIT;
    if (pg_model_open(&m, model, NULL, &e)) fail_msg("%s: %s", model, e.text);
    if (pg_plan_open(&plan, m, gpus, &(pg_request){.batch = batch, .precision = "fp16"}, &e)) fail_msg("%s", e.text);
    if (pg_plan_predict(plan, pg_catalog_find(gpus, gpu, &e), &p, &e)) fail_msg("%s", e.text);
    pg_plan_free(plan);
    pg_model_free(m);
    return p;
}

/* Whatever the constants are: the latency is in its interval, few samples are less sure than many, and so is a board that is known by
 * its specification alone. */
static void predictions_lie_within(void **state)
{
    (void)state;
    static const char *const models[] = {"resnet50", "mobilenet_v2", "vit_b_16", "bert-base-uncased"};
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        pg_prediction one = predict("rtx4090", models[i], 1), many = predict("rtx4090", models[i], 256),
                      strange = predict("mi300x", models[i], 256);
        assert_true(one.latency_low_ms > 0 && one.latency_low_ms < one.latency_ms &&
                    one.latency_ms < one.latency_high_ms);
        double narrow = many.latency_high_ms / many.latency_low_ms;
        assert_true(one.latency_high_ms / one.latency_low_ms > narrow);
        assert_true(strange.latency_high_ms / strange.latency_low_ms > narrow);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(widths_are_means_over_the_time),
        cmocka_unit_test(kernels_with_a_choice_are_skewed),
        cmocka_unit_test(factors_multiply),
        cmocka_unit_test(hosts_have_a_width_of_their_own),
        cmocka_unit_test(fits_find_the_quantiles),
        cmocka_unit_test(fits_leave_out_and_fall_back),
        cmocka_unit_test(predictions_lie_within),
    };
    return cmocka_run_group_tests(tests, open_gpus, close_gpus);
}
