/* TOML to nodes: order, places, kinds, and text that is out to exhaust the stack. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include <stdlib.h>

#include "gpu/toml_shim.h"
#include "support/heap.h"

static void test_nodes(void **state)
{
    static const char text[] = "z = 1\na = [1.5, 'x', true]\n[t.u]\n\"k\\u00e9y\" = 2024-01-02\n[t]\nb = -3\n";
    (void)state;
    arena a;
    toml_node *root;
    pg_error e = PG_ERROR_INIT;
    arena_init(&a, (allocator){heap_plain, NULL}, 0);
    assert_int_equal(toml_parse(&a, str_c(text), "x.toml", &root, &e), PG_E_OK);
    assert_int_equal(root->count, 3);
    const toml_node *z = root->is.first, *array = z->next, *t = array->next;
    assert_true(str_is(z->key, "z") && z->kind == TOML_INT && z->is.integer == 1 && z->line == 1 && z->column == 5);
    assert_true(str_is(array->key, "a") && array->kind == TOML_ARRAY && array->count == 3 && array->key_line == 2);
    const toml_node *real = array->is.first;
    assert_true(real->kind == TOML_REAL && real->is.real == 1.5 && real->column == 6);
    assert_true(real->next->kind == TOML_TEXT && str_is(real->next->is.text, "x"));
    assert_true(real->next->next->kind == TOML_BOOL && real->next->next->is.boolean && !real->next->next->next);
    assert_true(t && !t->next && t->kind == TOML_TABLE);
    const toml_node *key = toml_child(t, "u")->is.first;
    assert_true(str_is(key->key, "k\xc3\xa9y") && key->kind == TOML_TIME && key->key_line == 4);
    assert_int_equal(toml_child(t, "b")->is.integer, -3);
    assert_null(toml_child(t, "c"));
    assert_null(toml_child(z, "c"));
    arena_free(&a);
}

/* A repetition of `unit`, `n` times, between head and tail, as a TOML text. */
static pg_code parse_repeated(const char *head, const char *unit, size_t n, const char *tail)
{
    size_t k = strlen(unit), h = strlen(head), t = strlen(tail);
    char *text = malloc(h + n * k + t);
    assert_non_null(text);
    memcpy(text, head, h);
    for (size_t i = 0; i < n; i++) memcpy(text + h + i * k, unit, k);
    memcpy(text + h + n * k, tail, t);
    arena a;
    toml_node *root;
    pg_error e = PG_ERROR_INIT;
    arena_init(&a, (allocator){heap_plain, NULL}, 0);
    pg_code code = toml_parse(&a, (str){text, h + n * k + t}, "x.toml", &root, &e);
    assert_int_equal(code, e.code);
    arena_free(&a);
    free(text);
    return code;
}

static void test_nesting(void **state)
{
    (void)state;
    assert_int_equal(parse_repeated("a = ", "[", 1000000, ""), PG_E_LIMIT);
    assert_int_equal(parse_repeated("a = ", "{a=", 100000, ""), PG_E_LIMIT);
    assert_int_equal(parse_repeated("a = {b=", "{a.a.a.a.a.a.a.a.a=", 100000, ""), PG_E_LIMIT);
    assert_int_equal(parse_repeated("", "a.", 1000000, "a = 1"), PG_E_LIMIT);
    assert_int_equal(parse_repeated("[", "a .", 1000000, "a]"), PG_E_LIMIT);
    assert_int_equal(parse_repeated("", "a.", 60, "a = 1"), PG_E_OK);
    assert_int_equal(parse_repeated("a = ", "[", 16, "]]]]]]]]]]]]]]]]"), PG_E_OK);
    /* brackets and dots that nest nothing */
    assert_int_equal(parse_repeated("a = \"", "[.", 1000, "\""), PG_E_OK);
    assert_int_equal(parse_repeated("a = \"\\\"", "[.", 1000, "\""), PG_E_OK);
    assert_int_equal(parse_repeated("a = '", "[.", 1000, "'"), PG_E_OK);
    assert_int_equal(parse_repeated("a = '''", "[.\n'' ", 1000, "'''''"), PG_E_OK);
    assert_int_equal(parse_repeated("a = \"\"\"\\\"\"\" ", "[.\n", 1000, "\"\"\""), PG_E_OK);
    assert_int_equal(parse_repeated("#", "[.", 1000, "\na = 1"), PG_E_OK);
    assert_int_equal(parse_repeated("a = '''''''", "[", 1000, ""), PG_E_LIMIT); /* the string has ended */
    assert_int_equal(parse_repeated("a = ''", "[", 1000, ""), PG_E_LIMIT);
    assert_int_equal(parse_repeated("a = 'x\n", "[", 1000, ""), PG_E_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_nodes), cmocka_unit_test(test_nesting)};
    return cmocka_run_group_tests_name("toml", tests, NULL, NULL);
}
