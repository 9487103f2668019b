/* HDF5: what is read of files that h5py wrote, and what damaged ones say. The files are the kept corpus, made with h5py 3.7 in old and
 * new versions of the format. */
#include "wire/hdf5.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "support/heap.h"

static test_heap heap = {.fail_at = -1};

typedef struct file {
    uint8_t *bytes;
    size_t size;
    arena a;
    hdf5 h;
} file;

static uint8_t *read_corpus(const char *name, size_t *size)
{
    char path[512];
    snprintf(path, sizeof path, TEST_ROOT "/tests/fuzz/corpora/hdf5/%s", name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    *size = (size_t)ftell(f);
    rewind(f);
    uint8_t *bytes = malloc(*size);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *size, f), *size);
    fclose(f);
    return bytes;
}

static void open_corpus(file *f, const char *name)
{
    pg_error e = PG_ERROR_INIT;
    f->bytes = read_corpus(name, &f->size);
    arena_init(&f->a, (allocator){heap_resize, &heap}, 0);
    if (hdf5_open(&f->h, (span){f->bytes, f->size, 0}, &f->a, &e)) fail_msg("%s: %s", name, e.text);
}

static void close_file(file *f)
{
    arena_free(&f->a);
    free(f->bytes);
}

static hdf5_object object_at(file *f, uint64_t at)
{
    hdf5_object o;
    pg_error e = PG_ERROR_INIT;
    if (hdf5_read(&f->h, at, &o, &e)) fail_msg("%s", e.text);
    return o;
}

/* The object at the end of a path of links. */
static hdf5_object object_of(file *f, const char *path)
{
    hdf5_object o = object_at(f, f->h.root);
    char part[32];
    for (int n; sscanf(path, "%31[^/]%n", part, &n) == 1; path += n + (path[n] == '/')) {
        const hdf5_link *l = hdf5_find_link(&o, part);
        assert_non_null(l);
        o = object_at(f, l->object);
    }
    return o;
}

static void expect_tree(const char *name)
{
    file f;
    open_corpus(&f, name);
    hdf5_object root = object_of(&f, ""), x = object_of(&f, "g/x"), y = object_of(&f, "y");
    const hdf5_attr *a = hdf5_find_attr(&root, "a"), *b = hdf5_find_attr(&root, "b"), *c = hdf5_find_attr(&root, "c");
    assert_true(a && b && c && root.n_attrs == 3);
    assert_false(root.dataset);
    assert_int_equal(a->type.class, HDF5_VARIABLE_TEXT);
    assert_true(str_is(hdf5_text(&f.h, a, 0), "text"));
    assert_null(hdf5_text(&f.h, a, 1).ptr);
    assert_int_equal(b->type.class, HDF5_TEXT);
    assert_true(str_is(hdf5_text(&f.h, b, 0), "ab") && str_is(hdf5_text(&f.h, b, 1), "cde"));
    assert_true(c->type.class == HDF5_INT && c->type.rank == 1 && c->type.dims[0] == 3 && c->data.len == 24);
    assert_null(hdf5_text(&f.h, c, 0).ptr);
    assert_true(x.dataset && x.type.class == HDF5_FLOAT && x.type.size == 2);
    assert_true(x.type.rank == 2 && x.type.dims[0] == 2 && x.type.dims[1] == 3 && x.type.count == 6);
    assert_true(y.dataset && y.type.class == HDF5_INT && y.type.size == 8 && y.type.rank == 0 && y.type.count == 1);
    assert_null(hdf5_find_link(&root, "soft")); /* leads nowhere that counts */
    assert_int_equal(root.n_links, 2);
    close_file(&f);
}

static void test_old_and_new_groups(void **state)
{
    (void)state;
    expect_tree("tree_earliest.h5");
    expect_tree("tree_latest.h5");
}

/* More than eight go into a heap with a tree of names. */
static void test_dense_lists(void **state)
{
    (void)state;
    file f;
    open_corpus(&f, "many_attributes.h5");
    hdf5_object root = object_of(&f, "");
    assert_int_equal(root.n_attrs, 12);
    for (int i = 0; i < 12; i++) {
        char name[8];
        snprintf(name, sizeof name, "a%d", i);
        const hdf5_attr *a = hdf5_find_attr(&root, name);
        assert_non_null(a);
        assert_int_equal(a->data.ptr[0], i);
    }
    close_file(&f);
    open_corpus(&f, "many_links.h5");
    root = object_of(&f, "");
    assert_int_equal(root.n_links, 10);
    for (uint32_t i = 0; i < root.n_links; i++) assert_int_equal(root.links[i].object, f.h.root);
    close_file(&f);
}

static void test_user_block(void **state)
{
    (void)state;
    file f;
    open_corpus(&f, "user_block.h5");
    assert_int_equal(f.h.file.base, 512);
    hdf5_object root = object_of(&f, "");
    assert_non_null(hdf5_find_attr(&root, "a"));
    close_file(&f);
}

/* Groups that hold themselves are walked as long as there are steps, and not longer. */
static void walk(hdf5 *h, uint64_t at, unsigned depth, pg_error *e)
{
    hdf5_object o;
    if (depth > 40 || hdf5_read(h, at, &o, e)) return;
    for (uint32_t i = 0; i < o.n_links && !e->code; i++) walk(h, o.links[i].object, depth + 1, e);
}

static void test_circles_end(void **state)
{
    (void)state;
    file f;
    open_corpus(&f, "itself.h5");
    pg_error e = PG_ERROR_INIT;
    f.h.budget = 10000;
    walk(&f.h, f.h.root, 0, &e);
    assert_int_equal(e.code, PG_E_LIMIT);
    assert_non_null(strstr(e.text, "circles"));
    close_file(&f);
}

static void expect_refused(uint8_t *bytes, size_t size, pg_code code, const char *words)
{
    arena a;
    hdf5 h;
    hdf5_object o;
    pg_error e = PG_ERROR_INIT;
    arena_init(&a, (allocator){heap_resize, &heap}, 1 << 20);
    if (!hdf5_open(&h, (span){bytes, size, 0}, &a, &e)) assert_int_not_equal(hdf5_read(&h, h.root, &o, &e), PG_E_OK);
    if (e.code != code || !strstr(e.text, words)) fail_msg("%d: %s", (int)e.code, e.text);
    arena_free(&a);
}

static size_t find_magic(const uint8_t *bytes, size_t size, const char *magic)
{
    for (size_t i = 0; i + 4 <= size; i++)
        if (!memcmp(bytes + i, magic, 4)) return i;
    fail_msg("no %s", magic);
    return 0;
}

/* Each structure broken in turn. */
static void test_broken_structures(void **state)
{
    (void)state;
    static const struct {
        const char *file, *magic, *words;
    } cases[] = {{"tree_earliest.h5", "TREE", "tree of links"},   {"tree_earliest.h5", "SNOD", "symbol table"},
                 {"tree_earliest.h5", "HEAP", "heap of names"},   {"many_attributes.h5", "OHDR", "object header"},
                 {"many_attributes.h5", "FRHP", "heap of links"}, {"many_attributes.h5", "BTHD", "tree of names"},
                 {"many_attributes.h5", "BTLF", "tree of names"}, {"tree_latest.h5", "OCHK", "object header"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t size;
        uint8_t *bytes = read_corpus(cases[i].file, &size);
        bytes[find_magic(bytes, size, cases[i].magic)] ^= 1;
        expect_refused(bytes, size, PG_E_FORMAT, cases[i].words);
        free(bytes);
    }
    uint8_t nothing[16] = "not HDF5 at all";
    expect_refused(nothing, sizeof nothing, PG_E_FORMAT, "signature");
}

/* A tree of links whose child is itself. */
static void test_tree_in_a_circle(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = read_corpus("tree_earliest.h5", &size);
    size_t at = find_magic(bytes, size, "TREE");
    bytes[at + 5] = 1; /* level */
    memset(bytes + at + 32, 0, 8);
    bytes[at + 32] = (uint8_t)at;
    bytes[at + 33] = (uint8_t)(at >> 8);
    expect_refused(bytes, size, PG_E_FORMAT, "tree of links");
    free(bytes);
}

/* Cut off anywhere, and each byte changed: an error or an object, never a read outside. */
static void test_damaged(void **state)
{
    (void)state;
    static const char *const names[] = {"many_attributes.h5", "many_links.h5", "itself.h5", "user_block.h5"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t size;
        uint8_t *bytes = read_corpus(names[i], &size);
        for (size_t at = 0; at < size; at++)
            for (int cut = 0; cut < 2; cut++) {
                size_t n = cut ? at : size;
                uint8_t *copy = malloc(n + 1);
                arena a;
                hdf5 h;
                pg_error e = PG_ERROR_INIT;
                assert_non_null(copy);
                memcpy(copy, bytes, n);
                if (!cut) copy[at] ^= 0xff;
                arena_init(&a, (allocator){heap_resize, &heap}, 1 << 20);
                if (!hdf5_open(&h, (span){copy, n, 0}, &a, &e)) {
                    h.budget = 1000;
                    walk(&h, h.root, 36, &e);
                }
                assert_true(!e.code || e.text[0]);
                arena_free(&a);
                free(copy);
            }
        free(bytes);
    }
}

static void test_without_memory(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = read_corpus("tree_earliest.h5", &size);
    for (long n = 0;; n++) {
        test_heap small = {.fail_at = n};
        arena a;
        hdf5 h;
        hdf5_object o;
        pg_error e = PG_ERROR_INIT;
        arena_init(&a, (allocator){heap_resize, &small}, 0);
        pg_code code = hdf5_open(&h, (span){bytes, size, 0}, &a, &e);
        if (!code) code = hdf5_read(&h, h.root, &o, &e);
        if (code) assert_int_equal(code, PG_E_NOMEM);
        arena_free(&a);
        assert_true(small.live == 0);
        if (!code) break;
        assert_true(n < 1000);
    }
    free(bytes);
}

static int leaves_nothing(void **state)
{
    (void)state;
    assert_int_equal(heap.live, 0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_old_and_new_groups),
        cmocka_unit_test(test_dense_lists),
        cmocka_unit_test(test_user_block),
        cmocka_unit_test(test_circles_end),
        cmocka_unit_test(test_broken_structures),
        cmocka_unit_test(test_tree_in_a_circle),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, leaves_nothing);
}
