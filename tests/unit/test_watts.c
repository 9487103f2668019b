/* Power and energy against published measurements (tests/power, docs/accuracy.md). The limits are what holds today, with some room: a
 * change of the model that makes them worse should be meant. No constant is fitted on these. */
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

#include "bench/bench.h"
#include "support/gpus.h"
#include "support/heap.h"

typedef struct errors {
    size_t count;
    double mape, bias, most; /* most: the largest, with its sign */
} errors;

/* Over the rows of a file of one GPU (NULL: all). Each must be predicted. */
static errors errors_of(const char *name, const char *gpu)
{
    test_heap heap = {.fail_at = -1};
    bench_rows rows;
    bench *b = NULL;
    pg_error e = PG_ERROR_INIT;
    size_t n;
    errors out = {.most = -1};
    char path[512];
    snprintf(path, sizeof path, "%s/tests/power/%s.json", TEST_ROOT, name);
    bench_rows_init(&rows, (allocator){heap_resize, &heap});
    if (bench_read(&rows, path, &e) || bench_open(&b, &rows, gpus, NULL, &e)) fail_msg("%s: %s", path, e.text);
    const bench_point *p = bench_points(b, &n);
    for (size_t i = 0; i < n; i++) {
        if (p[i].skipped) fail_msg("%s, row %zu: %s", path, i + 1, p[i].skipped);
        if (gpu && strcmp(p[i].row->gpu, gpu) != 0) continue;
        assert_true(isfinite(p[i].predicted) && p[i].predicted > 0);
        out.count++;
        out.mape += fabs(p[i].error);
        out.bias += p[i].error;
        out.most = fmax(out.most, p[i].error);
    }
    assert_true(out.count > 0);
    out.mape /= (double)out.count;
    out.bias /= (double)out.count;
    bench_free(b);
    bench_rows_free(&rows);
    assert_int_equal(heap.live, 0);
    return out;
}

static void test_boards(void **state)
{
    (void)state;
    assert_true(errors_of("boards", NULL).mape < 0.21);
    assert_true(errors_of("boards", "h100").mape < 0.11);
    assert_true(fabs(errors_of("boards", "h100").bias) < 0.05);
    assert_true(errors_of("boards", "a100_sxm_40gb").mape < 0.28);
}

/* Boards never take more than the system that they are in. */
static void test_systems(void **state)
{
    (void)state;
    assert_true(errors_of("systems", NULL).most < 0);
}

static void test_energy(void **state)
{
    (void)state;
    assert_true(errors_of("energy", NULL).mape < 0.42);
    assert_true(errors_of("energy", NULL).most < 0.15);
    assert_true(errors_of("tokens", "h100").mape < 0.15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_boards),
        cmocka_unit_test(test_systems),
        cmocka_unit_test(test_energy),
    };
    return cmocka_run_group_tests(tests, open_gpus, close_gpus);
}
