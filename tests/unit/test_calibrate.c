/* Calibration: a GPU that is slower than its specification says is found so, from few rows; rows that can't be right are named; the written
 * profile predicts exactly as the calibrated GPU did. The measurements are predictions times known factors. */
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

#include "bench/calibrate.h"
#include "support/heap.h"

static test_heap heap = {.fail_at = -1};

static const char *const models[] = {"resnet50", "vgg16",        "mobilenet_v2",  "densenet121",
                                     "alexnet",  "inception_v3", "convnext_tiny", "squeezenet1_0"};
enum { MODELS = sizeof models / sizeof models[0] };

/* One run: rows in, the result and what it needs to live. */
typedef struct run {
    buffer text;
    size_t count;
    bench_rows rows;
    pg_catalog *catalog;
    bench *b;
    bench_point *points;
    size_t point_count;
    arena a;
    calibration c;
    pg_error e;
} run;

static pg_catalog *plain; /* what is built in */

static double predict(pg_catalog *catalog, const char *gpu, const char *model, int64_t batch, const char **rests_on)
{
    pg_model *m;
    pg_plan *plan;
    pg_prediction p;
    assert_int_equal(pg_model_open(&m, model, NULL, NULL), PG_E_OK);
    assert_int_equal(pg_plan_open(&plan, m, catalog, &(pg_request){.batch = batch}, NULL), PG_E_OK);
    assert_int_equal(pg_plan_predict(plan, pg_catalog_find(catalog, gpu, NULL), &p, NULL), PG_E_OK);
    if (rests_on) *rests_on = p.basis;
    pg_plan_free(plan);
    pg_model_free(m);
    return p.latency_ms;
}

static void start(run *r)
{
    memset(r, 0, sizeof *r);
    r->e = (pg_error)PG_ERROR_INIT;
    allocator alloc = {heap_resize, &heap};
    buffer_init(&r->text, alloc);
    bench_rows_init(&r->rows, alloc);
    arena_init(&r->a, alloc, 0);
    assert_int_equal(pg_catalog_open(&r->catalog, &(pg_catalog_options){.no_user_files = true}, NULL), PG_E_OK);
}

static void add(run *r, const char *gpu, const char *model, int64_t batch, double ms)
{
    buffer_format(
        &r->text,
        "%s{\"model\": \"%s\", \"gpu\": \"%s\", \"batch\": %lld, \"metric\": \"latency_ms\", \"value\": %.9g, "
        "\"date\": \"2026-0%d-01\"}",
        r->count ? "," : "{\"version\": 1, \"benchmarks\": [", model, gpu, (long long)batch, ms,
        (int)(r->count % 9) + 1);
    r->count++;
}

/* `count` rows of different models, `factor` times what is predicted. */
static void add_scaled(run *r, const char *gpu, size_t count, double factor)
{
    for (size_t i = 0; i < count; i++) {
        int64_t batch = (int64_t)128 << i / MODELS; /* the GPU bounds all of them */
        add(r, gpu, models[i % MODELS], batch, predict(plain, gpu, models[i % MODELS], batch, NULL) * factor);
    }
}

static pg_code fit(run *r, const char *gpu)
{
    buffer_text(&r->text, "]}");
    pg_error e = PG_ERROR_INIT;
    if (bench_parse(&r->rows, r->text.ptr, r->text.len, "f.json", "", &e)) fail_msg("%s %s", e.path, e.text);
    if (bench_open(&r->b, &r->rows, r->catalog, &(bench_options){.keep = true, .impossible = true}, &e))
        fail_msg("%s", e.text);
    r->points = bench_points(r->b, &r->point_count);
    return calibrate(&r->c, r->points, r->point_count, pg_catalog_find(r->catalog, gpu, NULL), &r->a, &r->e);
}

static void stop(run *r)
{
    bench_free(r->b);
    bench_rows_free(&r->rows);
    pg_catalog_free(r->catalog);
    arena_free(&r->a);
    buffer_free(&r->text);
    assert_int_equal(heap.live, 0);
}

static void test_five_rows_help(void **state)
{
    (void)state;
    run r;
    start(&r);
    add_scaled(&r, "h100", 5, 1.25);
    assert_int_equal(fit(&r, "h100"), PG_E_OK);
    assert_int_equal(r.c.used, 5);
    assert_true(r.c.better && fabs(r.c.before.mape - 0.2) < 1e-6);
    assert_true(r.c.after.mape < 0.15);
    assert_true(r.c.families[0].architecture_multiplier < 1 && r.c.families[0].rows == 5);
    stop(&r);
}

static void test_more_rows_help_more(void **state)
{
    (void)state;
    double before = 1;
    for (size_t n = 4; n <= 16; n *= 2) {
        run r;
        start(&r);
        add_scaled(&r, "a10", n, 1.2);
        assert_int_equal(fit(&r, "a10"), PG_E_OK);
        if (r.c.after.mape > before + 5e-3) fail_msg("%zu rows: %g, after %g", n, r.c.after.mape, before);
        before = r.c.after.mape;
        stop(&r);
    }
    assert_true(before < 0.03);
}

/* Rows that are as predicted leave the profile where it was, whatever memory the GPU has. */
static void test_nothing_to_learn(void **state)
{
    (void)state;
    static const char *const gpus[] = {"h100", "rtx4090", "rtx5090", "l40s", "p100_pcie_16gb"};
    for (size_t i = 0; i < sizeof gpus / sizeof gpus[0]; i++) {
        run r;
        start(&r);
        add_scaled(&r, gpus[i], 8, 1);
        assert_int_equal(fit(&r, gpus[i]), PG_E_OK);
        assert_true(fabs(r.c.families[0].architecture_multiplier - 1) < 0.01);
        assert_false(r.c.better);
        if (r.c.after.mape > 0.005) fail_msg("%s: %g off what it was", gpus[i], r.c.after.mape);
        stop(&r);
    }
}

static const char *left_out(const run *r, const char *model)
{
    for (size_t i = 0; i < r->c.count; i++)
        if (r->c.rows[i].left_out && !strcmp(r->c.rows[i].point->row->model, model)) return r->c.rows[i].left_out;
    return NULL;
}

static void test_names_what_cannot_be(void **state)
{
    (void)state;
    run r;
    start(&r);
    add_scaled(&r, "h100", 12, 1.1);
    add(&r, "h100", "vgg11", 64, 0.01);                                                /* faster than the peaks */
    add(&r, "h100", "vgg13", 64, predict(plain, "h100", "vgg13", 64, NULL) * 1e3);     /* microseconds */
    add(&r, "h100", "resnet18", 64, predict(plain, "h100", "resnet18", 64, NULL) * 3); /* something else ran */
    add(&r, "t4", "resnet18", 64, 10);                                                 /* another GPU */
    assert_int_equal(fit(&r, "h100"), PG_E_OK);
    assert_int_equal(r.c.used, 12);
    assert_int_equal(r.c.other_gpus, 1);
    assert_non_null(strstr(left_out(&r, "vgg11"), "peak rates"));
    assert_non_null(strstr(left_out(&r, "vgg13"), "unit"));
    assert_non_null(strstr(left_out(&r, "resnet18"), "slower"));
    assert_true(r.c.warning_count > 0);
    stop(&r);
}

static void test_too_few(void **state)
{
    (void)state;
    run r;
    start(&r);
    add_scaled(&r, "h100", 2, 1.2);
    assert_int_equal(fit(&r, "h100"), PG_E_CHECK);
    assert_non_null(strstr(r.e.text, "too few"));
    stop(&r);
}

static void test_too_alike(void **state)
{
    (void)state;
    run r;
    start(&r);
    for (int64_t b = 32; b <= 512; b *= 2)
        add(&r, "h100", "resnet50", b, predict(plain, "h100", "resnet50", b, NULL) * 1.3);
    assert_int_equal(fit(&r, "h100"), PG_E_OK);
    assert_string_equal(r.c.split, "row");
    assert_non_null(strstr(r.c.warnings[0], "alike"));
    /* one model tells less than many */
    assert_true(r.c.families[0].architecture_multiplier > 0.8);
    stop(&r);
}

static void test_host(void **state)
{
    (void)state;
    run r;
    start(&r);
    for (size_t i = 0; i < MODELS; i++) add(&r, "h100", models[i], 1, predict(plain, "h100", models[i], 1, NULL) * 1.6);
    assert_int_equal(fit(&r, "h100"), PG_E_OK);
    assert_true(r.c.host_rows >= 3 && r.c.host_factor > 1.2);
    assert_true(r.c.after.mape < r.c.before.mape / 2);
    stop(&r);
}

static void test_file_predicts_the_same(void **state)
{
    (void)state;
    char path[] = "/tmp/phantom-calibrate-XXXXXX";
    const char *files[] = {"mine.json\n[profiles.t4]"};
    buffer text;
    run r;
    start(&r);
    add_scaled(&r, "rtx4090", 8, 1.17);
    for (size_t i = 0; i < 4; i++)
        add(&r, "rtx4090", models[i], 1, predict(plain, "rtx4090", models[i], 1, NULL) * 1.4);
    assert_int_equal(fit(&r, "rtx4090"), PG_E_OK);
    buffer_init(&text, (allocator){heap_resize, &heap});
    calibrate_toml(&text, &r.c, files, 1);
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, text.ptr, text.len) == (ssize_t)text.len && close(fd) == 0);
    pg_catalog *from_file;
    pg_error e = PG_ERROR_INIT;
    if (pg_catalog_open(&from_file, &(pg_catalog_options){.hardware_profiles = path, .no_user_files = true}, &e))
        fail_msg("%u: %s %s\n%s", e.line, e.path, e.text, text.ptr);
    for (size_t i = 0; i < MODELS; i++)
        for (int64_t batch = 1; batch <= 64; batch *= 64) {
            const char *rests_on;
            double own = predict(r.catalog, "rtx4090", models[i], batch, NULL),
                   read = predict(from_file, "rtx4090", models[i], batch, &rests_on);
            if (fabs(own / read - 1) > 1e-12)
                fail_msg("%s at %d: %.17g, from the file %.17g\n%s", models[i], (int)batch, own, read, text.ptr);
            assert_string_equal(rests_on, "calibrated");
        }
    assert_non_null(strstr(text.ptr, "2026-01-01 to 2026-09-01"));
    unlink(path);
    pg_catalog_free(from_file);
    buffer_free(&text);
    stop(&r);
}

static void test_same_rows_same_profile(void **state)
{
    (void)state;
    char *text[2];
    for (int k = 0; k < 2; k++) {
        buffer b;
        run r;
        start(&r);
        add_scaled(&r, "l4", 8, 1.17);
        assert_int_equal(fit(&r, "l4"), PG_E_OK);
        buffer_init(&b, (allocator){heap_resize, &heap});
        calibrate_toml(&b, &r.c, NULL, 0);
        text[k] = strdup(b.ptr);
        buffer_free(&b);
        stop(&r);
    }
    assert_string_equal(text[0], text[1]);
    free(text[0]);
    free(text[1]);
}

/* ---- what rows say about a board: calibrate_levels.c ---- */

enum { ROWS = 60 };

static const calibrate_constants *spreads(void)
{
    return &plain->config.calibrate;
}

static void levels_of(double *level, level_row *rows, size_t count)
{
    level_family families[ROWS];
    calibrate_levels(level, rows, count, families, ROWS, spreads());
}

/* `count` rows that the GPU bounds, all off by as much: of so many families. */
static double level_of_alike(size_t count, uint32_t families, double off)
{
    level_row rows[ROWS] = {{0}};
    double level[CALIBRATE_LEVELS];
    for (uint32_t i = 0; i < count; i++) rows[i] = (level_row){.off = off, .slope = {1}, .family = i % families};
    levels_of(level, rows, count);
    return level[0];
}

/* Fifty rows of one network are about one: its own error is in all of them. Fifty families are not. */
static void test_rows_of_one_family(void **state)
{
    (void)state;
    double one = level_of_alike(1, 1, 0.1), fifty = level_of_alike(50, 1, 0.1), apart = level_of_alike(50, 50, 0.1),
           five = level_of_alike(5, 5, 0.1);
    if (!(one > 0 && fifty < 2.5 * one && fifty < apart / 3 && apart > 0.09 && five > 2 * one && five < apart))
        fail_msg("one row %g, fifty of one family %g, five families %g, fifty families %g", one, fifty, five, apart);
    assert_true(level_of_alike(0, 1, 0) == 0);
}

/* What is within the scatter of boards and families moves little, what is far out much: most boards are as specified, some are odd. */
static void test_odd_boards(void **state)
{
    (void)state;
    double little = level_of_alike(5, 5, 0.03), much = level_of_alike(5, 5, 0.3);
    if (!(little < 0.01 && much > 0.24)) fail_msg("0.03: %g, 0.3: %g", little, much);
}

/* Families that contradict each other say less than their mean. */
static void test_rows_that_scatter(void **state)
{
    (void)state;
    static const double off[] = {-0.3, 0.7, -0.1, 0.6, 0.1, 0.5, -0.2, 0.3};
    level_row rows[8];
    double level[CALIBRATE_LEVELS], agreed = level_of_alike(8, 8, 0.2);
    for (uint32_t i = 0; i < 8; i++) rows[i] = (level_row){.off = off[i], .slope = {1}, .family = i};
    levels_of(level, rows, 8);
    if (!(level[0] > 0 && level[0] < 0.75 * agreed)) fail_msg("%g, where they agree %g", level[0], agreed);
}

/* Rows that take their time differently tell what of the board it is. */
static void spread_rows(level_row *rows, const double *truth)
{
    for (uint32_t i = 0; i < ROWS; i++) {
        double host = i % 3 == 0 ? 1 : 0, memory = 0.1 * (i % 7) * (1 - host),
               noise = 0.02 * ((int)(i * 7 % 11) - 5) / 5;
        rows[i] = (level_row){.slope = {1, memory - 0.6 * (1 - host), host}, .family = i / 2, .off = noise};
        for (int k = 0; k < CALIBRATE_LEVELS; k++) rows[i].off += truth[k] * rows[i].slope[k];
    }
}

static void test_levels_apart(void **state)
{
    (void)state;
    static const double truths[][CALIBRATE_LEVELS] = {
        {0, 0, 0.4},      /* a slow host */
        {0.3, 0.5, -0.3}, /* memory half as slow again, all else as specified */
        {0.2, 0, 0},
        {0, 0, 0},
    };
    for (size_t t = 0; t < sizeof truths / sizeof truths[0]; t++) {
        level_row rows[ROWS];
        double level[CALIBRATE_LEVELS];
        spread_rows(rows, truths[t]);
        levels_of(level, rows, ROWS);
        for (size_t i = 0; i < ROWS; i++) {
            double left = 0;
            for (int k = 0; k < CALIBRATE_LEVELS; k++) left += rows[i].slope[k] * (truths[t][k] - level[k]);
            if (fabs(left) > 0.08)
                fail_msg("case %zu, row %zu: %g left at levels %g %g %g", t, i, left, level[0], level[1], level[2]);
        }
    }
}

static void test_one_wrong_row(void **state)
{
    (void)state;
    level_row rows[ROWS];
    double level[CALIBRATE_LEVELS], moved[CALIBRATE_LEVELS];
    spread_rows(rows, (double[]){0, 0, 0});
    levels_of(level, rows, ROWS);
    rows[10].off += 5; /* a hundred times as slow */
    levels_of(moved, rows, ROWS);
    for (int k = 0; k < CALIBRATE_LEVELS; k++) assert_true(fabs(moved[k] - level[k]) < 0.02);
    for (size_t i = 0; i < ROWS; i++) rows[i].out = i == 10;
    levels_of(moved, rows, ROWS);
    for (int k = 0; k < CALIBRATE_LEVELS; k++) assert_true(fabs(moved[k] - level[k]) < 0.01);
}

/* ---- the same from measurements of a board that isn't as its TOML says ---- */

static gpu_spec *spec_of(run *r, const char *gpu)
{
    return (gpu_spec *)(uintptr_t)((const api_gpu *)(const void *)pg_catalog_find(r->catalog, gpu, NULL))->spec;
}

static void test_wrong_bandwidth(void **state)
{
    (void)state;
    run r;
    start(&r);
    add_scaled(&r, "a100_sxm_80gb", 8, 1);
    spec_of(&r, "a100_sxm_80gb")->bandwidth_gbs *= 1.4;
    assert_int_equal(fit(&r, "a100_sxm_80gb"), PG_E_OK);
    if (!(r.c.better && r.c.after.mape < 0.6 * r.c.before.mape)) fail_msg("%g to %g", r.c.before.mape, r.c.after.mape);
    stop(&r);
}

/* Too few rows to tell which is wrong, and all are: what comes out can still be written and read. */
static void test_all_in_the_wrong_unit(void **state)
{
    (void)state;
    run r;
    start(&r);
    add_scaled(&r, "h100", 4, 1000);
    assert_int_equal(fit(&r, "h100"), PG_E_OK);
    const calibration_fields *x = &r.c.families[0];
    assert_true(x->architecture_multiplier > 0.01 && x->architecture_multiplier < 1);
    assert_true(x->memory_efficiency > 0.01 && x->memory_efficiency <= 1);
    assert_true(x->interval > 0 && x->interval <= 10);
    stop(&r);
}

/* A host that looks fast enough until it is not: three steps of ten that the GPU bounds by the specification's host. */
static void test_slow_host_behind_the_gpu(void **state)
{
    (void)state;
    run r;
    double before = 0, after = 0;
    start(&r);
    for (size_t i = 0; i < MODELS; i++) {
        add(&r, "h100", models[i], 1, predict(plain, "h100", models[i], 1, NULL) * 1.5);
        add(&r, "h100", models[i], 256, predict(plain, "h100", models[i], 256, NULL));
    }
    assert_int_equal(fit(&r, "h100"), PG_E_OK);
    for (size_t i = 0; i < r.c.count; i++) {
        before += fabs(r.c.rows[i].before) / (double)r.c.count;
        after += fabs(r.c.rows[i].after) / (double)r.c.count;
    }
    if (!(after < before / 2 && r.c.host_factor > 1.3 && fabs(r.c.families[0].architecture_multiplier - 1) < 0.05))
        fail_msg("%g to %g, host %g, all else %g", before, after, r.c.host_factor,
                 r.c.families[0].architecture_multiplier);
    stop(&r);
}

/* A network that is a tenth off may be so on every board: its rows agree among each other, and that is no reason to write a profile. */
static void test_one_family_a_little_off(void **state)
{
    (void)state;
    run r;
    start(&r);
    for (int64_t b = 32; b <= 512; b *= 2)
        add(&r, "h100", "resnet50", b, predict(plain, "h100", "resnet50", b, NULL) * 1.1);
    assert_int_equal(fit(&r, "h100"), PG_E_OK);
    assert_true(r.c.after.mape < r.c.before.mape);
    assert_false(r.c.better);
    assert_true(fabs(r.c.families[0].architecture_multiplier - 1) < 0.03);
    stop(&r);
}

static int setup(void **state)
{
    (void)state;
    return pg_catalog_open(&plain, &(pg_catalog_options){.no_user_files = true}, NULL) != PG_E_OK;
}

static int teardown(void **state)
{
    (void)state;
    pg_catalog_free(plain);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_five_rows_help),
        cmocka_unit_test(test_more_rows_help_more),
        cmocka_unit_test(test_nothing_to_learn),
        cmocka_unit_test(test_names_what_cannot_be),
        cmocka_unit_test(test_too_few),
        cmocka_unit_test(test_too_alike),
        cmocka_unit_test(test_host),
        cmocka_unit_test(test_file_predicts_the_same),
        cmocka_unit_test(test_same_rows_same_profile),
        cmocka_unit_test(test_rows_of_one_family),
        cmocka_unit_test(test_odd_boards),
        cmocka_unit_test(test_rows_that_scatter),
        cmocka_unit_test(test_levels_apart),
        cmocka_unit_test(test_one_wrong_row),
        cmocka_unit_test(test_wrong_bandwidth),
        cmocka_unit_test(test_all_in_the_wrong_unit),
        cmocka_unit_test(test_slow_host_behind_the_gpu),
        cmocka_unit_test(test_one_family_a_little_off),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
