/* Zip archives and JSON text: what is read, and what damaged ones say. */
#include "wire/json_text.h"
#include "wire/zip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "support/heap.h"

/* Made with Python's zipfile: "archive/version" stored ("3\n"), "config.json" deflated (200 times "ab"). */
static const uint8_t archive[] = {
#include "unit/wire_archive.inc"
};

static test_heap heap = {.fail_at = -1};

static span whole(void)
{
    return (span){archive, sizeof archive, 0};
}

static void test_zip_reads(void **state)
{
    (void)state;
    arena a;
    zip z;
    span out;
    pg_error e = PG_ERROR_INIT;
    arena_init(&a, (allocator){heap_resize, &heap}, 0);
    assert_true(zip_is(whole()));
    assert_int_equal(zip_open(&z, whole(), &a, &e), PG_E_OK);
    assert_int_equal(z.count, 2);
    const zip_entry *version = zip_find(&z, "version"), *config = zip_find(&z, "config.json");
    assert_non_null(version);
    assert_non_null(config);
    assert_null(zip_find(&z, "ersion"));
    assert_int_equal(zip_read(&z, version, 10, &a, &out, &e), PG_E_OK);
    assert_true(str_is(span_str(out), "3\n"));
    assert_true(out.ptr > archive && out.ptr < archive + sizeof archive); /* a view */
    assert_int_equal(zip_read(&z, config, 400, &a, &out, &e), PG_E_OK);
    assert_int_equal(out.len, 400);
    for (size_t i = 0; i < out.len; i++) assert_int_equal(out.ptr[i], i % 2 ? 'b' : 'a');
    assert_int_equal(zip_read(&z, config, 399, &a, &out, &e), PG_E_LIMIT);
    arena_free(&a);
}

/* Cut off anywhere, and each byte changed: an error or an archive, never a read outside. */
static void test_zip_damaged(void **state)
{
    (void)state;
    for (size_t cut = 0; cut < sizeof archive; cut++) {
        arena a;
        zip z;
        pg_error e = PG_ERROR_INIT;
        arena_init(&a, (allocator){heap_resize, &heap}, 1 << 20);
        uint8_t *copy = malloc(cut + 1);
        assert_non_null(copy);
        memcpy(copy, archive, cut);
        assert_int_not_equal(zip_open(&z, (span){copy, cut, 0}, &a, &e), PG_E_OK);
        assert_true(e.text[0]);
        free(copy);
        arena_free(&a);
    }
    for (size_t at = 0; at < sizeof archive; at++) {
        arena a;
        zip z;
        span out;
        pg_error e = PG_ERROR_INIT;
        arena_init(&a, (allocator){heap_resize, &heap}, 1 << 20);
        uint8_t *copy = malloc(sizeof archive);
        assert_non_null(copy);
        memcpy(copy, archive, sizeof archive);
        copy[at] ^= 0xff;
        if (!zip_open(&z, (span){copy, sizeof archive, 0}, &a, &e))
            for (uint32_t i = 0; i < z.count; i++) {
                pg_error inner = PG_ERROR_INIT;
                if (zip_read(&z, &z.entries[i], 1 << 16, &a, &out, &inner)) assert_true(inner.text[0]);
            }
        free(copy);
        arena_free(&a);
    }
}

static json_t *parse(const char *text, pg_error *e)
{
    *e = (pg_error)PG_ERROR_INIT;
    return json_text_read((span){(const uint8_t *)text, strlen(text), 0}, "config.json", e);
}

static void test_json_reads(void **state)
{
    (void)state;
    pg_error e;
    json_t *j = parse(
        "{\"a\": 3, \"b\": 2.0, \"c\": \"NaN\", \"d\": NaN, \"e\": [-Infinity, Infinity], \"f\": true, \"g\": 1e300}",
        &e);
    assert_non_null(j);
    assert_int_equal(json_get_int(j, "a", 0), 3);
    assert_int_equal(json_get_int(j, "b", 0), 2);
    assert_int_equal(json_get_int(j, "g", 7), 7);
    assert_int_equal(json_get_int(j, "none", 9), 9);
    assert_string_equal(json_get_text(j, "c", ""), "NaN");
    assert_true(json_is_null(json_array_get(json_object_get(j, "e"), 0)));
    assert_true(json_get_bool(j, "f", false));
    json_decref(j);
}

static void test_json_refuses(void **state)
{
    (void)state;
    pg_error e;
    assert_null(parse("{\"a\": }", &e));
    assert_int_equal(e.code, PG_E_FORMAT);
    assert_int_equal(e.line, 1);
    char deep[400];
    memset(deep, '[', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    assert_null(parse(deep, &e));
    assert_int_equal(e.code, PG_E_LIMIT);
    size_t n = (size_t)3 << 20;
    char *wide = malloc(n + 1);
    assert_non_null(wide);
    memset(wide, ',', n);
    wide[n] = '\0';
    assert_null(parse(wide, &e));
    assert_int_equal(e.code, PG_E_LIMIT);
    free(wide);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zip_reads),
        cmocka_unit_test(test_zip_damaged),
        cmocka_unit_test(test_json_reads),
        cmocka_unit_test(test_json_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
