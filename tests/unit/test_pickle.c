/* Pickles as data: every kind of opcode, what is refused, and what is made to do harm. */
#include "load/torch_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "support/heap.h"

enum { LIMIT = 16 << 20 };

static test_heap heap = {.fail_at = -1};
static arena a;

static int open_arena(void **state)
{
    (void)state;
    arena_init(&a, (allocator){heap_resize, &heap}, LIMIT);
    return 0;
}

static int close_arena(void **state)
{
    (void)state;
    arena_free(&a);
    return heap.live != 0;
}

static const pickle_value *read_bytes(const void *bytes, size_t n, pg_error *e)
{
    const pickle_value *v = NULL;
    span in = {bytes, n, 0};
    pg_code code = pickle_read(&in, torch_allow, &a, &v, e);
    assert_int_equal(code, e->code);
    if (code) assert_true(e->text[0]);
    return code ? NULL : v;
}

#define READ(literal, e) read_bytes(literal, sizeof(literal) - 1, e)

static const pickle_value *read_ok(const void *bytes, size_t n)
{
    pg_error e = PG_ERROR_INIT;
    const pickle_value *v = read_bytes(bytes, n, &e);
    if (!v) fail_msg("%s", e.text);
    return v;
}

#define READ_OK(literal) read_ok(literal, sizeof(literal) - 1)

static void expect_int(const pickle_value *v, int64_t want)
{
    assert_int_equal(v->kind, PICKLE_INT);
    assert_int_equal(v->v.i, want);
}

static void test_numbers(void **state)
{
    (void)state;
    expect_int(READ_OK("I42\n."), 42);
    expect_int(READ_OK("L-7L\n."), -7);
    expect_int(READ_OK("K\xff."), 255);
    expect_int(READ_OK("M\x01\x02."), 513);
    expect_int(READ_OK("J\xff\xff\xff\xff."), -1);
    expect_int(READ_OK("\x8a\x00."), 0);
    expect_int(READ_OK("\x8a\x01\xff."), -1);
    expect_int(READ_OK("\x8b\x02\x00\x00\x00\x00\x80."), -32768);
    expect_int(READ_OK("\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f."), INT64_MAX);
    assert_int_equal(READ_OK("\x8a\x09\x01\x02\x03\x04\x05\x06\x07\x08\x09.")->kind, PICKLE_LONG);
    assert_int_equal(READ_OK("I01\n.")->kind, PICKLE_BOOL);
    assert_int_equal(READ_OK("\x88.")->v.i, 1);
    assert_int_equal(READ_OK("N.")->kind, PICKLE_NONE);
    const pickle_value *f = READ_OK("G\x3f\xf8\x00\x00\x00\x00\x00\x00.");
    assert_int_equal(f->kind, PICKLE_FLOAT);
    assert_true(f->v.f == 1.5);
}

static void test_text(void **state)
{
    (void)state;
    assert_true(str_is(READ_OK("S'abc'\n.")->v.text, "abc"));
    assert_true(str_is(READ_OK("Vabc\n.")->v.text, "abc"));
    assert_true(str_is(READ_OK("U\x02hi.")->v.text, "hi"));
    assert_true(str_is(READ_OK("X\x02\x00\x00\x00hi.")->v.text, "hi"));
    assert_true(str_is(READ_OK("\x80\x04\x95\x06\x00\x00\x00\x00\x00\x00\x00\x8c\x02hi\x94.")->v.text, "hi"));
    assert_int_equal(READ_OK("C\x03\x01\x02\x03.")->kind, PICKLE_BYTES);
    assert_int_equal(READ_OK("\x96\x01\x00\x00\x00\x00\x00\x00\x00x.")->v.text.len, 1);
}

static void test_containers(void **state)
{
    (void)state;
    const pickle_value *v = READ_OK("(K\x01K\x02K\x03t.");
    assert_int_equal(v->kind, PICKLE_TUPLE);
    assert_int_equal(v->n, 3);
    expect_int(pickle_item(v, 2), 3);
    assert_null(pickle_item(v, 3));
    v = READ_OK("](K\x01K\x02"
                "eK\x03"
                "a.");
    assert_int_equal(v->kind, PICKLE_LIST);
    assert_int_equal(v->n, 3);
    v = READ_OK("}(U\x01"
                "aK\x01U\x01"
                "bK\x02u.");
    assert_int_equal(v->kind, PICKLE_DICT);
    expect_int(pickle_get(v, "b"), 2);
    assert_null(pickle_get(v, "c"));
    v = READ_OK("(S'a'\nI1\nd.");
    expect_int(pickle_get(v, "a"), 1);
    assert_int_equal(READ_OK("K\x01K\x02\x86.")->n, 2);
    assert_int_equal(READ_OK("\x8f(K\x01K\x02\x90.")->n, 2);
    v = READ_OK("]q\x00h\x00"
                "a."); /* a list that holds itself */
    assert_ptr_equal(pickle_item(v, 0), v);
}

static void test_objects(void **state)
{
    (void)state;
    const pickle_value *v = READ_OK("ccollections\nOrderedDict\n)R(U\x01"
                                    "aK\x01u}U\x01xK\x05sb.");
    assert_true(pickle_is(v, "collections.OrderedDict"));
    expect_int(pickle_get(v, "a"), 1);
    expect_int(pickle_get(v, "x"), 5); /* of its state */
    v = READ_OK("c__main__\nNet\n)\x81}U\x01xK\x05sb.");
    assert_true(pickle_is(v, "__main__.Net"));
    v = READ_OK("\x8c\x05torch\x8c\x04Size\x93K\x03\x85\x85R.");
    assert_true(pickle_is(v, "torch.Size"));
    expect_int(pickle_item(pickle_arg(v, 0), 0), 3);
    v = READ_OK("U\x02idQ.");
    assert_int_equal(v->kind, PICKLE_PERSISTENT);
    assert_true(str_is(v->v.object.of->v.text, "id"));
    assert_true(pickle_is(READ_OK("(I3\nitorch\nSize\n."), "torch.Size"));
    assert_true(pickle_is(READ_OK("(ctorch\nSize\nI3\no."), "torch.Size"));
}

static void expect_refused(const void *bytes, size_t n, const char *name)
{
    pg_error e = PG_ERROR_INIT;
    assert_null(read_bytes(bytes, n, &e));
    assert_int_equal(e.code, PG_E_UNSUPPORTED);
    if (!strstr(e.text, name)) fail_msg("'%s' does not name %s", e.text, name);
}

#define REFUSED(literal, name) expect_refused(literal, sizeof(literal) - 1, name)

static void test_what_is_refused(void **state)
{
    (void)state;
    REFUSED("cos\nsystem\n(S'rm -rf /'\ntR.", "os.system");
    REFUSED("cposix\nsystem\nU\x01x\x85R.", "posix.system");
    REFUSED("c__builtin__\neval\nU\x01x\x85R.", "__builtin__.eval");
    REFUSED("\x8c\x08"
            "builtins\x8c\x04"
            "exec\x93U\x01x\x85R.",
            "builtins.exec");
    REFUSED("(S'x'\nios\nsystem\n.", "os.system");
    REFUSED("(cos\nsystem\nS'x'\no.", "os.system");
    REFUSED("csubprocess\nPopen\nU\x01x\x85\x81.", "subprocess.Popen");
    REFUSED("csubprocess\nPopen\nU\x01x\x85}\x92.", "subprocess.Popen");
    REFUSED("ctorch.hub\nload\n)R.", "torch.hub.load");
    REFUSED("ctorch.fx.graph_module\nreduce_graph_module\n)R.", "reduce_graph_module");
    REFUSED("c__main__\nmake\n)R.", "__main__.make");
    REFUSED("cos\nsys\x1b[2Jtem\n)R.", "os.sys?[2Jtem"); /* nothing reaches a terminal */
    REFUSED("\x82\x01.", "opcode 0x82");
    assert_int_equal(READ_OK("cos\nsystem\n.")->kind, PICKLE_GLOBAL); /* a name alone does nothing */
}

static void expect_code(const void *bytes, size_t n, pg_code want)
{
    pg_error e = PG_ERROR_INIT;
    assert_null(read_bytes(bytes, n, &e));
    assert_int_equal(e.code, want);
}

#define FAILS(literal, code) expect_code(literal, sizeof(literal) - 1, code)

static void test_damaged(void **state)
{
    (void)state;
    FAILS("", PG_E_TRUNCATED);
    FAILS(".", PG_E_FORMAT);
    FAILS("(.", PG_E_FORMAT);
    FAILS("t.", PG_E_FORMAT);
    FAILS("K\x01"
          "a.",
          PG_E_FORMAT);
    FAILS("](a.", PG_E_FORMAT);
    FAILS("}K\x01(su.", PG_E_FORMAT);
    FAILS("}(K\x01u.", PG_E_FORMAT);
    FAILS("(K\x01"
          "d.",
          PG_E_FORMAT);
    FAILS("NN\x87.", PG_E_FORMAT);
    FAILS("(N\x86.", PG_E_FORMAT);
    FAILS("h\x05.", PG_E_FORMAT);
    FAILS("Ng\x30\n.", PG_E_FORMAT);
    FAILS("Nr\xff\xff\xff\xff.", PG_E_FORMAT); /* a memo of 4 billion */
    FAILS("Np-1\n.", PG_E_FORMAT);
    FAILS("N)R.", PG_E_FORMAT);
    FAILS("b.", PG_E_FORMAT);
    FAILS("0.", PG_E_FORMAT);
    FAILS("1.", PG_E_FORMAT);
    FAILS("2.", PG_E_FORMAT);
    FAILS("\xff.", PG_E_FORMAT);
    FAILS("\x8b\xff\xff\xff\x7f.", PG_E_TRUNCATED); /* LONG4 of 2 GiB */
    FAILS("\x8d\xff\xff\xff\xff\xff\xff\xff\xff.", PG_E_TRUNCATED);
    FAILS("X\xff\xff\xff\xff.", PG_E_TRUNCATED);
    FAILS("S'abc'", PG_E_TRUNCATED);
}

/* Each list holds the one before twice: 2^n values for who walks it without counting, and a few kilobytes here. */
static size_t memo_bomb(uint8_t *out, int depth)
{
    size_t n = 0;
    out[n++] = ']';
    out[n++] = 'q';
    out[n++] = 0;
    for (int i = 1; i <= depth; i++) {
        const uint8_t step[] = {']', '(', 'h', (uint8_t)(i - 1), 'h', (uint8_t)(i - 1), 'e', 'q', (uint8_t)i};
        memcpy(out + n, step, sizeof step);
        n += sizeof step;
    }
    out[n++] = '.';
    return n;
}

static pg_code load_bytes(const uint8_t *bytes, size_t n, pg_error *e)
{
    graph g;
    arena own;
    arena_init(&own, (allocator){heap_resize, &heap}, LIMIT);
    load_input in = {.path = "x.pt", .bytes = {bytes, n, 0}};
    load_options options = {.memory_limit = LIMIT};
    assert_true(graph_init(&g, &own));
    pg_code code = load_torch_format.load(&g, &in, &options, e);
    arena_free(&own);
    return code;
}

static void test_bombs(void **state)
{
    (void)state;
    uint8_t bomb[4096] = {0x80, 2};
    size_t n = 2 + memo_bomb(bomb + 2, 200);
    pg_error e = PG_ERROR_INIT;
    read_ok(bomb, n);
    assert_int_equal(load_bytes(bomb, n, &e), PG_E_LIMIT);
    /* nesting as deep as the file is long: the reader has no recursion */
    size_t deep = 1 << 20;
    uint8_t *nested = malloc(deep);
    assert_non_null(nested);
    nested[0] = 0x80, nested[1] = 2, nested[2] = ')';
    memset(nested + 3, 0x85, deep - 4);
    nested[deep - 1] = '.';
    e = (pg_error)PG_ERROR_INIT;
    pg_code code = load_bytes(nested, deep, &e);
    assert_true(code == PG_E_LIMIT || code == PG_E_NOMEM);
    free(nested);
    uint8_t self[] = {0x80, 2, ']', 'q', 0, 'h', 0, 'a', '.'};
    e = (pg_error)PG_ERROR_INIT;
    assert_int_equal(load_bytes(self, sizeof self, &e), PG_E_LIMIT);
}

/* {"w": a float tensor of these dims over a storage of so many elements} as the legacy format's object, alone in a file */
static pg_code load_tensor(uint32_t storage, uint32_t rows, uint32_t columns, pg_error *e)
{
    uint8_t b[256];
    static const char head[] = "\x80\x02}U\x01wctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\n"
                               "U\x01"
                               "0U\x03"
                               "cpuJ";
    size_t n = sizeof head - 1;
    memcpy(b, head, n);
    memcpy(b + n, &storage, 4), n += 4;
    memcpy(b + n, "tQK\0(J", 6), n += 6;
    memcpy(b + n, &rows, 4), n += 4;
    b[n++] = 'J';
    memcpy(b + n, &columns, 4), n += 4;
    memcpy(b + n, "t(J", 3), n += 3;
    memcpy(b + n, &columns, 4), n += 4;
    memcpy(b + n, "K\1t\x89}tRs.", 9), n += 9;
    for (uint32_t i = 0; i < 24; i++) b[n++] = 0;
    return load_bytes(b, n, e);
}

static void test_views(void **state)
{
    (void)state;
    pg_error e = PG_ERROR_INIT;
    assert_int_equal(load_tensor(4, 2, 2, &e), PG_E_OK);
    assert_int_equal(load_tensor(3, 2, 2, &e), PG_E_FORMAT);
    assert_non_null(strstr(e.text, "'w'"));
    e = (pg_error)PG_ERROR_INIT;
    assert_int_equal(load_tensor(1000, 2, 2, &e), PG_E_TRUNCATED);
    e = (pg_error)PG_ERROR_INIT;
    assert_int_equal(load_tensor(0x7fffffff, 0x7fffffff, 0x7fffffff, &e), PG_E_FORMAT);
}

static void test_no_memory(void **state)
{
    (void)state;
    uint8_t bomb[1024] = {0x80, 2};
    size_t n = 2 + memo_bomb(bomb + 2, 20);
    for (long at = 0;; at++) {
        test_heap h = {.fail_at = at};
        arena own;
        const pickle_value *v;
        pg_error e = PG_ERROR_INIT;
        span in = {bomb, n, 0};
        arena_init(&own, (allocator){heap_resize, &h}, 0);
        pg_code code = pickle_read(&in, torch_allow, &own, &v, &e);
        arena_free(&own);
        assert_int_equal(h.live, 0);
        if (!code) break;
        assert_int_equal(code, PG_E_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_numbers, open_arena, close_arena),
        cmocka_unit_test_setup_teardown(test_text, open_arena, close_arena),
        cmocka_unit_test_setup_teardown(test_containers, open_arena, close_arena),
        cmocka_unit_test_setup_teardown(test_objects, open_arena, close_arena),
        cmocka_unit_test_setup_teardown(test_what_is_refused, open_arena, close_arena),
        cmocka_unit_test_setup_teardown(test_damaged, open_arena, close_arena),
        cmocka_unit_test_setup_teardown(test_bombs, open_arena, close_arena),
        cmocka_unit_test(test_views),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
