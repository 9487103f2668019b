/* Files that are damaged, cut off or made to do harm, and machines without memory: an error with a text, within limits, never a
 * crash. What random changes find is in tests/fuzz; this holds what can be thought of. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fuzz/proto.h"
#include "phantom/phantom.h"
#include "support/gpus.h"
#include "support/heap.h"

#ifndef TEST_ROOT
#define TEST_ROOT "."
#endif

#define NONE       \
    {              \
        NULL, 0, 0 \
    }

/* A line a format, each of which has a folder in tests/fuzz/corpora. */
static const char *const formats[] = {
    /* clang-format off */
    "onnx",
    "tflite",
    "tensorflow",
    "hugging_face",
    "safetensors",
    "gguf",
    "keras",
    "pytorch",
    /* clang-format on */
};

static char dir[64];

/* CPU seconds that one file may take; the promise is 1, and sanitizers and a busy machine take their share. */
#define MOST_SECONDS 6.0

/* ---- an allocator that counts, and fails from some call on ---- */

static void expect_empty(const test_heap *h)
{
    assert_int_equal(h->live, 0);
    assert_int_equal(h->bytes, 0); /* every block was given back with the size that it had */
}

static void expect_text(const pg_error *e, pg_code code)
{
    assert_int_equal(e->code, code);
    assert_true(code != PG_E_OK && e->text[0]);
    for (const char *p = e->text; *p; p++) assert_true((unsigned char)*p >= 0x20);
}

/* ---- opening bytes ---- */

static pg_code open_path(const char *path, const pg_allocator *a, uint64_t limit, pg_model **m, pg_error *e)
{
    return pg_model_open(m, path, &(pg_model_options){.allocator = a, .memory_limit = limit}, e);
}

static int memory_file(const void *data, size_t size, char path[64])
{
    int fd = memfd_create("test.onnx", 0);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), (ssize_t)size);
    snprintf(path, 64, "/proc/self/fd/%d", fd);
    return fd;
}

/* Everything that is done with a file that opens. */
static void use(const pg_model *m)
{
    static const pg_request requests[] = {
        {.batch = 1, .runtime = "pytorch"},
        {.batch = 1, .runtime = "tensorrt"},
        {.batch = 2, .runtime = "pytorch", .task = PG_TASK_TRAINING, .gradient_checkpointing = true},
        {.batch = 1, .runtime = "pytorch-compile", .task = PG_TASK_TRAINING}};
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        pg_plan *plan;
        pg_prediction p;
        pg_explanation *x;
        pg_error e = PG_ERROR_INIT;
        pg_code code = pg_plan_open(&plan, m, gpus, &requests[i], &e);
        if (code) {
            expect_text(&e, code);
            continue;
        }
        assert_int_equal(pg_plan_predict(plan, pg_catalog_at(gpus, 0), &p, &e), PG_E_OK);
        if (!pg_plan_explain(&x, plan, pg_catalog_at(gpus, 0), &e)) pg_explanation_free(x);
        pg_plan_free(plan);
    }
}

/* Opens and uses the bytes, within the limits on memory and time; returns what opening returned. */
static pg_code try_bytes(const void *data, size_t size, char text[448])
{
    char path[64];
    pg_model *m;
    pg_error e = PG_ERROR_INIT;
    test_heap heap = {.fail_at = -1};
    pg_allocator a = {heap_resize, &heap};
    clock_t start = clock();
    int fd = memory_file(data, size, path);
    pg_code code = open_path(path, &a, 0, &m, &e);
    if (code) expect_text(&e, code);
    else use(m);
    assert_true((code == PG_E_OK) == (m != NULL));
    pg_model_free(m);
    close(fd);
    expect_empty(&heap);
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    if (seconds > MOST_SECONDS) fail_msg("took %g s", seconds);
    assert_true(heap.peak <= (size_t)512 << 20);
    if (text) memcpy(text, e.text, sizeof e.text);
    return code;
}

static void expect_refused(proto *file, pg_code code, const char *words)
{
    char text[448];
    pg_code got = try_bytes(file->ptr, file->len, text);
    proto_free(file);
    if (got != code || !strstr(text, words)) fail_msg("%s: %s", pg_code_name(got), text);
}

/* ---- every file of the corpus, damaged in every place ---- */

static unsigned char *read_file(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    *size = (size_t)ftell(f);
    rewind(f);
    unsigned char *data = malloc(*size + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, *size, f), *size);
    fclose(f);
    return data;
}

typedef void (*damage_fn)(unsigned char *data, size_t size);

/* The files that are kept for fuzzing formats: corpora/FORMAT; a reader of bytes (protobuf, zip) has a folder there as well. */
static int for_each_file_of(const char *format, damage_fn fn)
{
    char folder[512];
    int count = 0;
    snprintf(folder, sizeof folder, TEST_ROOT "/tests/fuzz/corpora/%s", format);
    DIR *d = opendir(folder);
    assert_non_null(d);
    for (const struct dirent *entry; (entry = readdir(d));) {
        char path[1024];
        size_t size;
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        unsigned char *data = read_file(path, &size);
        fn(data, size);
        free(data);
        count++;
    }
    closedir(d);
    return count;
}

static void for_each_file(damage_fn fn)
{
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) assert_true(for_each_file_of(formats[i], fn) > 0);
}

static void cut(unsigned char *data, size_t size)
{
    for (size_t n = 0; n < size && n < 1024; n++) try_bytes(data, n, NULL);
}

/* Each byte of small files; of large ones, whose opening takes longer, fewer. */
static void flip(unsigned char *data, size_t size)
{
    size_t step = 1 + size / 4096;
    for (size_t n = 0; n < size && n < 1024; n += step) {
        unsigned char saved = data[n];
        data[n] = (unsigned char)(saved ^ 1u << n % 8);
        try_bytes(data, size, NULL);
        data[n] = 0xff;
        try_bytes(data, size, NULL);
        data[n] = saved;
    }
}

static void test_cut_everywhere(void **state)
{
    (void)state;
    for_each_file(cut);
}

static void test_flip_everywhere(void **state)
{
    (void)state;
    for_each_file(flip);
}

/* ---- no memory ---- */

static void test_catalog_without_memory(void **state)
{
    (void)state;
    for (long n = 0;; n++) {
        test_heap heap = {.fail_at = n};
        pg_allocator a = {heap_resize, &heap};
        pg_catalog *c;
        pg_error e = PG_ERROR_INIT;
        pg_code code = pg_catalog_open(&c, &(pg_catalog_options){.no_user_files = true, .allocator = &a}, &e);
        if (code) {
            expect_text(&e, PG_E_NOMEM);
            assert_null(c);
        }
        pg_catalog_free(c);
        expect_empty(&heap);
        if (!code) break;
        assert_true(n < 10000);
    }
}

/* Opening, planning and explaining, where the n-th allocation of one of them fails. */
static bool without_memory(const char *path, long fail_at, bool while_opening, const pg_request *request)
{
    test_heap heap = {.fail_at = while_opening ? fail_at : -1};
    pg_allocator a = {heap_resize, &heap};
    pg_model *m;
    pg_plan *plan = NULL;
    pg_explanation *x = NULL;
    pg_error e = PG_ERROR_INIT;
    pg_code code = open_path(path, &a, 0, &m, &e);
    if (!while_opening) heap.fail_at = fail_at;
    heap.calls = while_opening ? heap.calls : 0;
    if (!code) code = pg_plan_open(&plan, m, gpus, request, &e);
    if (!code) code = pg_plan_explain(&x, plan, pg_catalog_at(gpus, 0), &e);
    if (code) expect_text(&e, PG_E_NOMEM);
    pg_explanation_free(x);
    pg_plan_free(plan);
    pg_model_free(m);
    expect_empty(&heap);
    return code == PG_E_OK;
}

static void test_models_without_memory(void **state)
{
    (void)state;
    static const char *const names[] = {"mobilenet_v2",
                                        "bert-base-uncased",
                                        "lstm-medium",
                                        TEST_ROOT "/tests/fuzz/corpora/onnx/loop_counts.onnx",
                                        TEST_ROOT "/tests/fuzz/corpora/onnx/unknown_operator.onnx",
                                        TEST_ROOT "/tests/fuzz/corpora/onnx/shape_arithmetic.onnx"};
    static const pg_request requests[] = {
        {.batch = 2, .runtime = "tensorrt"},
        {.batch = 2, .runtime = "pytorch", .task = PG_TASK_TRAINING, .gradient_checkpointing = true}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        for (int opening = 0; opening < 3; opening++) {
            long n = 0;
            while (!without_memory(names[i], n, opening == 1, &requests[opening / 2])) n++;
            assert_true(n > 3 && n < 100000);
        }
}

/* Every file of the corpora, where an allocation fails while it is read. */
static void fail_each(const char *path)
{
    test_heap all = {.fail_at = -1};
    pg_model *m;
    pg_error e = PG_ERROR_INIT;
    pg_code whole = open_path(path, &(pg_allocator){heap_resize, &all}, 0, &m, &e);
    pg_model_free(m);
    assert_true(all.calls > 0);
    for (long n = 0; n < all.calls; n += 1 + n / 16) {
        test_heap heap = {.fail_at = n};
        e = (pg_error)PG_ERROR_INIT;
        pg_code code = open_path(path, &(pg_allocator){heap_resize, &heap}, 0, &m, &e);
        if (code && code != whole) expect_text(&e, PG_E_NOMEM);
        pg_model_free(m);
        expect_empty(&heap);
    }
}

static void fail_bytes(unsigned char *data, size_t size)
{
    char path[64];
    int fd = memory_file(data, size, path);
    fail_each(path);
    close(fd);
}

static void test_files_without_memory(void **state)
{
    (void)state;
    for_each_file(fail_bytes);
}

/* A limit that is too small is said to be one. */
static void test_memory_limit(void **state)
{
    (void)state;
    for (uint64_t limit = 1024; limit < 1 << 20; limit *= 2) {
        pg_model *m;
        pg_error e = PG_ERROR_INIT;
        test_heap heap = {.fail_at = -1};
        pg_code code = open_path("resnet18", &(pg_allocator){heap_resize, &heap}, limit, &m, &e);
        if (code) expect_text(&e, PG_E_LIMIT);
        pg_model_free(m);
        expect_empty(&heap);
    }
}

/* ---- claims ---- */

static proto one_node(const char *op, const char *in_dims, const char *weight_dims, proto *attrs)
{
    proto g = NONE;
    onnx_input(&g, "x", in_dims);
    if (weight_dims) onnx_weight(&g, "w", ONNX_FLOAT, weight_dims);
    onnx_node(&g, op, weight_dims ? "x w" : "x", "y", attrs);
    onnx_output(&g, "y");
    return onnx_model(&g, 17);
}

static void test_huge_dims(void **state)
{
    (void)state;
    proto file = one_node("Relu", "batch 4611686018427387904", NULL, NULL);
    expect_refused(&file, PG_E_LIMIT, "an input claims a dimension of 4611686018427387904");
    file = one_node("MatMul", "batch 8", "8 4611686018427387904", NULL);
    expect_refused(&file, PG_E_LIMIT, "tensor 'w' claims");
    file = one_node("MatMul", "batch 8", "8 -5", NULL);
    expect_refused(&file, PG_E_FORMAT, "negative dimension -5");
    file = one_node("Add", "batch 8", "1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 8", NULL);
    expect_refused(&file, PG_E_LIMIT, "tensor 'w' has more than 32 dimensions");
    /* each one is allowed, all of them together are too many for 64 bits */
    file = one_node("Relu", "281474976710656 281474976710656 281474976710656", NULL, NULL);
    try_bytes(file.ptr, file.len, NULL);
    proto_free(&file);
}

static void test_huge_attributes(void **state)
{
    (void)state;
    static const char *const huge[] = {
        "9223372036854775807 9223372036854775807 9223372036854775807 9223372036854775807",
        "-9223372036854775808 -9223372036854775808 1 1", "0 0 0 0"};
    static const char *const names[] = {"pads",         "strides",      "dilations",
                                        "kernel_shape", "output_shape", "output_padding"};
    static const char *const ops[] = {"Conv", "ConvTranspose", "MaxPool", "AveragePool"};
    for (size_t o = 0; o < 4; o++)
        for (size_t i = 0; i < 6; i++)
            for (size_t k = 0; k < 3; k++) {
                proto attrs = NONE;
                onnx_attr_ints(&attrs, names[i], huge[k]);
                onnx_attr_int(&attrs, "group", k == 2 ? 0 : INT64_MAX);
                proto file = one_node(ops[o], "batch 3 32 32", o < 2 ? "8 3 3 3" : NULL, &attrs);
                try_bytes(file.ptr, file.len, NULL);
                proto_free(&file);
            }
}

/* A length in front of bytes that are not there. */
static void test_claimed_bytes(void **state)
{
    (void)state;
    proto g = NONE, t = NONE;
    onnx_tensor_head(&t, "w", ONNX_FLOAT, "1000000");
    proto_varint(&t, 9u << 3 | 2);
    proto_varint(&t, 4000000);
    proto_message(&g, 5, &t);
    onnx_input(&g, "x", "batch 4");
    proto file = onnx_model(&g, 17);
    expect_refused(&file, PG_E_TRUNCATED, "claims more bytes than there are");
}

/* A constant that says how large the result is: nothing is allocated for it. */
static void test_sizes_from_constants(void **state)
{
    (void)state;
    static const char *const ops[] = {"Expand", "Tile", "Reshape", "ConstantOfShape", "Range"};
    for (size_t i = 0; i < 5; i++) {
        proto g = NONE;
        onnx_input(&g, "x", "batch 4");
        onnx_ints(&g, "n", "2", "1099511627776 1099511627776");
        onnx_ints(&g, "zero", "", "0");
        onnx_ints(&g, "one", "", "1");
        onnx_ints(&g, "many", "", "9223372036854775807");
        onnx_node(&g, ops[i], i == 4 ? "zero many one" : i == 3 ? "n" : "x n", "y", NULL);
        onnx_output(&g, "y");
        proto file = onnx_model(&g, 17);
        try_bytes(file.ptr, file.len, NULL);
        proto_free(&file);
    }
}

static void test_many_inputs(void **state)
{
    (void)state;
    for (int named = 0; named < 3; named++) {
        proto g = NONE;
        for (int i = 0; i < 300000; i++) {
            char name[32], dims[64];
            snprintf(name, sizeof name, "x%d", i);
            snprintf(dims, sizeof dims, named == 0 ? "batch 4" : named == 1 ? "n%d 4" : "? 4", i);
            onnx_input(&g, name, dims);
        }
        onnx_node(&g, "Relu", "x0", "y", NULL);
        onnx_output(&g, "y");
        proto file = onnx_model(&g, 17);
        char text[448] = "";
        pg_code code = try_bytes(file.ptr, file.len, text);
        if (named == 1) {
            assert_int_equal(code, PG_E_LIMIT);
            assert_non_null(strstr(text, "free dimensions"));
        }
        proto_free(&file);
    }
}

static void test_operator_with_many_operands(void **state)
{
    (void)state;
    for (int n = 60000; n <= 70000; n += 10000) {
        proto g = NONE, node = NONE, attrs = NONE;
        onnx_input(&g, "x", "batch 4");
        for (int i = 0; i < n; i++) proto_text(&node, 1, "x");
        proto_text(&node, 2, "y");
        proto_text(&node, 4, "Concat");
        onnx_attr_int(&attrs, "axis", 1);
        proto_put(&node, attrs.ptr, attrs.len);
        proto_free(&attrs);
        proto_message(&g, 1, &node);
        onnx_output(&g, "y");
        proto file = onnx_model(&g, 17);
        if (n > 65535) {
            expect_refused(&file, PG_E_LIMIT, "more than 65535 inputs");
        } else {
            assert_int_equal(try_bytes(file.ptr, file.len, NULL), PG_E_OK);
            proto_free(&file);
        }
    }
}

/* A long chain: what a runtime may fuse has no end, and the time must not grow with its square. */
static void test_long_chain(void **state)
{
    (void)state;
    proto g = NONE;
    enum { N = 60000 };
    onnx_input(&g, "t0", "batch 64");
    for (int i = 0; i < N; i++) {
        char in[64], out[32];
        snprintf(in, sizeof in, "t%d t%d", i, i / 2);
        snprintf(out, sizeof out, "t%d", i + 1);
        onnx_node(&g, i % 3 ? "Relu" : "Add", i % 3 ? strtok(in, " ") : in, out, NULL);
    }
    onnx_output(&g, "t60000");
    proto file = onnx_model(&g, 17);
    assert_int_equal(try_bytes(file.ptr, file.len, NULL), PG_E_OK);
    proto_free(&file);
}

/* The last node first. */
static void test_long_chain_backwards(void **state)
{
    (void)state;
    proto g = NONE;
    enum { N = 60000 };
    onnx_input(&g, "t60000", "batch 64");
    for (int i = 0; i < N; i++) {
        char in[32], out[32];
        snprintf(in, sizeof in, "t%d", i + 1);
        snprintf(out, sizeof out, "t%d", i);
        onnx_node(&g, "Relu", in, out, NULL);
    }
    onnx_output(&g, "t0");
    proto file = onnx_model(&g, 17);
    assert_int_equal(try_bytes(file.ptr, file.len, NULL), PG_E_OK);
    proto_free(&file);
}

/* Thousands of clusters that are all begun before any of them ends. */
static void test_interleaved_chains(void **state)
{
    (void)state;
    proto g = NONE;
    enum { N = 30000 };
    char from[32], to[32];
    onnx_input(&g, "x", "batch 64");
    for (int step = 0; step < 2; step++)
        for (int i = 0; i < N; i++) {
            snprintf(from, sizeof from, step ? "t%d" : "x", i);
            snprintf(to, sizeof to, step ? "y%d" : "t%d", i);
            onnx_node(&g, "Relu", from, to, NULL);
            if (step) onnx_output(&g, to);
        }
    proto file = onnx_model(&g, 17);
    assert_int_equal(try_bytes(file.ptr, file.len, NULL), PG_E_OK);
    proto_free(&file);
}

/* As many warnings as one would read. */
static void test_many_unknown_operators(void **state)
{
    (void)state;
    proto g = NONE;
    enum { N = 20000 };
    char path[64];
    pg_model *m;
    pg_error e = PG_ERROR_INIT;
    onnx_input(&g, "x", "batch 64");
    for (int i = 0; i < N; i++) {
        char op[32], out[32];
        snprintf(op, sizeof op, "mine::Magic%d", i);
        snprintf(out, sizeof out, "y%d", i);
        onnx_node(&g, op, "x", out, NULL);
        onnx_output(&g, out);
    }
    proto file = onnx_model(&g, 17);
    int fd = memory_file(file.ptr, file.len, path);
    proto_free(&file);
    assert_int_equal(open_path(path, NULL, 0, &m, &e), PG_E_OK);
    assert_int_equal(pg_model_describe(m)->unknown_operator_count, N);
    assert_true(pg_model_describe(m)->warning_count < 20);
    pg_model_free(m);
    close(fd);
}

static void test_long_names(void **state)
{
    (void)state;
    enum { LONG = 1 << 20 };
    char *name = malloc(LONG + 1);
    assert_non_null(name);
    memset(name, 'n', LONG);
    name[LONG] = 0;
    for (int which = 0; which < 4; which++) {
        proto g = NONE, node = NONE;
        onnx_input(&g, which == 0 ? name : "x", "batch 4");
        proto_text(&node, 1, which == 0 ? name : "x");
        if (which == 1) proto_text(&node, 1, name);
        proto_text(&node, 2, "y");
        proto_text(&node, 3, which == 2 ? name : "node");
        proto_text(&node, 4, which == 3 ? name : "Add");
        if (which == 0 || which == 2) proto_text(&node, 1, which == 0 ? name : "x");
        proto_message(&g, 1, &node);
        onnx_output(&g, "y");
        proto file = onnx_model(&g, 17);
        char text[448] = "";
        pg_code code = try_bytes(file.ptr, file.len, text);
        assert_int_equal(code, which == 1 ? PG_E_GRAPH : PG_E_OK);
        proto_free(&file);
    }
    free(name);
}

/* ---- nesting ---- */

/* Each function calls the next one twice. */
static void test_functions_that_double(void **state)
{
    (void)state;
    proto g = NONE;
    onnx_input(&g, "x", "batch 4");
    onnx_node(&g, "mine::F0", "x", "y", NULL);
    onnx_output(&g, "y");
    proto file = onnx_model(&g, 17);
    for (int i = 0; i < 60; i++) {
        proto f = NONE;
        char name[32], next[32];
        snprintf(name, sizeof name, "F%d", i);
        snprintf(next, sizeof next, i == 59 ? "Relu" : "mine::F%d", i + 1);
        proto_text(&f, 1, name);
        proto_text(&f, 4, "a");
        proto_text(&f, 5, "c");
        proto_text(&f, 10, "mine");
        onnx_node_in(&f, 7, next, "a", "b", NULL);
        onnx_node_in(&f, 7, next, "b", "c", NULL);
        proto_message(&file, 25, &f);
    }
    char text[448] = "";
    assert_int_equal(try_bytes(file.ptr, file.len, text), PG_E_LIMIT);
    proto_free(&file);
}

/* An If in an If in an If ... */
static void test_nested_branches(void **state)
{
    (void)state;
    for (int depth = 30; depth <= 300; depth *= 10) {
        proto inner = NONE;
        onnx_node(&inner, "Relu", "x", "r", NULL);
        onnx_output(&inner, "r");
        for (int i = 0; i < depth; i++) {
            proto outer = NONE, other = NONE, attrs = NONE;
            onnx_node(&other, "Sigmoid", "x", "s", NULL);
            onnx_output(&other, "s");
            onnx_attr_graph(&attrs, "then_branch", &inner);
            onnx_attr_graph(&attrs, "else_branch", &other);
            onnx_node(&outer, "If", "choose", "i", &attrs);
            onnx_output(&outer, "i");
            inner = outer;
        }
        onnx_input(&inner, "x", "batch 4");
        onnx_value(&inner, 11, "choose", ONNX_BOOL, "");
        proto file = onnx_model(&inner, 17);
        if (depth > 64) {
            expect_refused(&file, PG_E_LIMIT, "nested more than 64 deep");
        } else {
            assert_int_equal(try_bytes(file.ptr, file.len, NULL), PG_E_OK);
            proto_free(&file);
        }
    }
}

/* A Loop in a Loop: each runs its body, so the work must not double with each. */
static void test_nested_loops(void **state)
{
    (void)state;
    proto inner = NONE;
    onnx_node(&inner, "Relu", "h", "r", NULL);
    for (int i = 0; i < 50; i++) {
        proto outer = NONE, attrs = NONE;
        char in[32], result[32];
        onnx_value(&inner, 11, "i", ONNX_INT64, "");
        onnx_value(&inner, 11, "go", ONNX_BOOL, "");
        onnx_input(&inner, "h", "batch 4");
        onnx_node(&inner, "Identity", "go", "go_on", NULL);
        onnx_output(&inner, "go_on");
        snprintf(in, sizeof in, "trips _ %s", "h");
        snprintf(result, sizeof result, "r");
        onnx_output(&inner, result);
        onnx_attr_graph(&attrs, "body", &inner);
        onnx_node(&outer, "Loop", in, result, &attrs);
        inner = outer;
    }
    onnx_input(&inner, "h", "batch 4");
    onnx_ints(&inner, "trips", "", "3");
    onnx_output(&inner, "r");
    proto file = onnx_model(&inner, 17);
    try_bytes(file.ptr, file.len, NULL);
    proto_free(&file);
}

/* A loop that claims to run for ever is costed, not run. */
static void test_endless_loop(void **state)
{
    (void)state;
    proto g = NONE, body = NONE, attrs = NONE;
    onnx_input(&g, "x", "batch 4");
    onnx_ints(&g, "trips", "", "9223372036854775807");
    onnx_value(&body, 11, "i", ONNX_INT64, "");
    onnx_value(&body, 11, "go", ONNX_BOOL, "");
    onnx_input(&body, "h", NULL);
    onnx_node(&body, "Identity", "go", "go_on", NULL);
    onnx_node(&body, "Concat", "h h", "h2", NULL);
    onnx_output(&body, "go_on");
    onnx_output(&body, "h2");
    onnx_output(&body, "i");
    onnx_attr_graph(&attrs, "body", &body);
    onnx_node(&g, "Loop", "trips _ x", "y all", &attrs);
    onnx_output(&g, "y");
    onnx_output(&g, "all");
    proto file = onnx_model(&g, 17);
    try_bytes(file.ptr, file.len, NULL);
    proto_free(&file);
}

static void test_nested_types(void **state)
{
    (void)state;
    proto g = NONE, value = NONE, type = NONE;
    for (int i = 0; i < 1000; i++) { /* a sequence of sequences of ... */
        proto wrapped = NONE, outer = NONE;
        proto_message(&wrapped, 1, &type);
        proto_message(&outer, 4, &wrapped);
        type = outer;
    }
    proto_text(&value, 1, "x");
    proto_message(&value, 2, &type);
    proto_message(&g, 11, &value);
    onnx_node(&g, "Identity", "x", "y", NULL);
    onnx_output(&g, "y");
    proto file = onnx_model(&g, 17);
    expect_refused(&file, PG_E_LIMIT, "types nested too deeply");
}

/* ---- what is no model file ---- */

static void path_in(char out[256], const char *name)
{
    snprintf(out, 256, "%s/%s", dir, name);
}

static void expect_path(const char *path, pg_code code, const char *words)
{
    pg_model *m;
    pg_error e = PG_ERROR_INIT;
    pg_code got = open_path(path, NULL, 0, &m, &e);
    if (got != code || !strstr(e.text, words)) fail_msg("%s: %s: %s", path, pg_code_name(got), e.text);
    expect_text(&e, code);
    assert_string_equal(e.source, path);
    assert_null(m);
}

static void test_not_a_file(void **state)
{
    (void)state;
    char path[256];
    expect_path(dir, PG_E_UNSUPPORTED, "is a folder");
    path_in(path, "missing.onnx");
    expect_path(path, PG_E_IO, "no such file");
    path_in(path, "fifo.onnx");
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_path(path, PG_E_IO, "not a regular file");
    remove(path);
    path_in(path, "empty.onnx");
    FILE *f = fopen(path, "wb");
    assert_true(f && fclose(f) == 0);
    expect_path(path, PG_E_TRUNCATED, "the file is empty");
    if (geteuid() != 0) { /* root may read everything */
        assert_int_equal(chmod(path, 0), 0);
        expect_path(path, PG_E_IO, "permission denied");
    }
    remove(path);
    assert_int_equal(symlink(path, path), 0);
    expect_path(path, PG_E_IO, "can't be read");
    remove(path);
    expect_path("/dev/zero", PG_E_IO, "not a regular file");
}

static void test_other_formats_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        const char *words;
    } files[] = {
        {"PK\3\4 and more", 14, "zip archive"},
        {"\211HDF\r\n\032\n    ", 12, "HDF5"},
        {"GGUF\3\0\0\0", 8, "GGUF"},
        {"\200\2}q\1", 5, "pickle"},
        {"\37\213\10\0", 4, "gzip"},
        {"version https://git-lfs.github.com/spec/v1\n", 43, "git lfs pull"},
        {"<!DOCTYPE html>", 15, "HTML"},
        {"node {\n  name: \"x\"", 17, "TensorFlow graph as text"},
        {"{\"a\": 1}", 8, "JSON"},
        {"\x40\0\0\0\0\0\0\0{\"w\":", 13, "safetensors"},
        {"hello, world", 12, "not a model file of a known format"},
        {"\0\0\0\0\0\0\0\0", 8, "not a model file of a known format"},
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[64], text[448];
        pg_model *m;
        pg_error e = PG_ERROR_INIT;
        int fd = memory_file(files[i].bytes, files[i].size, path);
        pg_code code = open_path(path, NULL, 0, &m, &e);
        close(fd);
        expect_text(&e, code);
        if (!strstr(e.text, files[i].words)) fail_msg("expected %s: %s", files[i].words, e.text);
        try_bytes(files[i].bytes, files[i].size, text);
    }
}

/* The file may be taken away, or another be put in its place, while the model is in use: it stays what it was. (Cutting the
 * same file off is another matter; src/load/load.h says what happens.) */
static void test_file_replaced_while_in_use(void **state)
{
    (void)state;
    char path[256];
    proto file = one_node("MatMul", "batch 8", "8 8", NULL);
    pg_model *m;
    pg_error e = PG_ERROR_INIT;
    path_in(path, "model.onnx");
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(file.ptr, 1, file.len, f), file.len);
    fclose(f);
    proto_free(&file);
    assert_int_equal(open_path(path, NULL, 0, &m, &e), PG_E_OK);
    remove(path);
    use(m);
    pg_model_free(m);
}

static int set_up(void **state)
{
    snprintf(dir, sizeof dir, "/tmp/phantom-hostile-XXXXXX");
    return !mkdtemp(dir) || open_gpus(state);
}

static int tear_down(void **state)
{
    rmdir(dir);
    return close_gpus(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut_everywhere),
        cmocka_unit_test(test_flip_everywhere),
        cmocka_unit_test(test_catalog_without_memory),
        cmocka_unit_test(test_models_without_memory),
        cmocka_unit_test(test_files_without_memory),
        cmocka_unit_test(test_memory_limit),
        cmocka_unit_test(test_huge_dims),
        cmocka_unit_test(test_huge_attributes),
        cmocka_unit_test(test_claimed_bytes),
        cmocka_unit_test(test_sizes_from_constants),
        cmocka_unit_test(test_many_inputs),
        cmocka_unit_test(test_operator_with_many_operands),
        cmocka_unit_test(test_long_chain),
        cmocka_unit_test(test_long_chain_backwards),
        cmocka_unit_test(test_interleaved_chains),
        cmocka_unit_test(test_many_unknown_operators),
        cmocka_unit_test(test_long_names),
        cmocka_unit_test(test_functions_that_double),
        cmocka_unit_test(test_nested_branches),
        cmocka_unit_test(test_nested_loops),
        cmocka_unit_test(test_endless_loop),
        cmocka_unit_test(test_nested_types),
        cmocka_unit_test(test_not_a_file),
        cmocka_unit_test(test_other_formats_are_named),
        cmocka_unit_test(test_file_replaced_while_in_use),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
