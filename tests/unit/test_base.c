/* Memory that everything else lives in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include "base/arena.h"
#include "support/heap.h"

static void test_objects_are_zeroed_and_aligned(void **state)
{
    (void)state;
    arena a;
    test_heap heap = {.fail_at = -1};
    arena_init(&a, (allocator){heap_resize, &heap}, 0);
    for (size_t size = 0; size < 3000; size = size * 2 + 1) {
        unsigned char *p = arena_alloc(&a, size);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        for (size_t i = 0; i < size; i++) assert_int_equal(p[i], 0);
        memset(p, 0xff, size);
    }
    arena_reset(&a);
    unsigned char *again = arena_alloc(&a, 64);
    for (size_t i = 0; i < 64; i++) assert_int_equal(again[i], 0);
    arena_free(&a);
    assert_int_equal(heap.live, 0);
}

static void test_sizes_that_overflow(void **state)
{
    (void)state;
    arena a;
    arena_init(&a, (allocator){heap_plain, NULL}, 0);
    int *few = ARENA_ARRAY(&a, int, 2);
    assert_non_null(few);
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_true(a.failed);
    a.failed = false;
    assert_null(arena_array(&a, SIZE_MAX / 2, 3));
    assert_true(a.failed);
    a.failed = false;
    assert_null(arena_grow(&a, few, 2, SIZE_MAX / sizeof *few + 3, sizeof *few));
    assert_true(a.failed && !a.limited);
    arena_free(&a);
}

static void test_limit(void **state)
{
    (void)state;
    arena a;
    arena_init(&a, (allocator){heap_plain, NULL}, 1 << 14);
    assert_non_null(arena_alloc(&a, 100));
    assert_null(arena_alloc(&a, 1 << 14));
    assert_true(a.failed && a.limited);
    arena_free(&a);
}

/* The newest object grows where it is, as long as its block has room; others move, with what they hold. */
static void test_growing(void **state)
{
    (void)state;
    arena a;
    arena_init(&a, (allocator){heap_plain, NULL}, 0);
    uint32_t *list = ARENA_ARRAY(&a, uint32_t, 5);
    for (uint32_t i = 0; i < 5; i++) list[i] = i + 1;
    size_t used = a.used;
    uint32_t *same = arena_grow(&a, list, 5, 100, sizeof *list);
    assert_ptr_equal(same, list);
    assert_true(a.used < used + 100 * sizeof *list);
    for (uint32_t i = 0; i < 100; i++) assert_int_equal(same[i], i < 5 ? i + 1 : 0);
    same[99] = 7;
    unsigned char *behind = arena_alloc(&a, 16);
    uint32_t *moved = arena_grow(&a, same, 100, 200, sizeof *list);
    assert_ptr_not_equal(moved, same);
    assert_int_equal(moved[4], 5);
    assert_int_equal(moved[99], 7);
    for (uint32_t i = 100; i < 200; i++) assert_int_equal(moved[i], 0);
    for (size_t i = 0; i < 16; i++) assert_int_equal(behind[i], 0);
    uint32_t *large = arena_grow(&a, moved, 200, 1 << 20, sizeof *list); /* no block has room for it */
    assert_ptr_not_equal(large, moved);
    assert_int_equal(large[99], 7);
    assert_int_equal(large[(1 << 20) - 1], 0);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_objects_are_zeroed_and_aligned),
        cmocka_unit_test(test_sizes_that_overflow),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_growing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
