/* ONNX whose weights lie in files beside it: the same answers as with the weights inside, whatever those files are. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz/proto.h"
#include "phantom/phantom.h"
#include "support/expect.h"
#include "support/gpus.h"

static char folder[64], path[128];

static const int64_t shape[3] = {0, 8, -1};
enum { KERNEL = 16 * 3 * 3 * 3 * 4, SHAPE = sizeof shape, AT = 4096, ALL = AT + SHAPE }; /* bytes */

/* What external_data says of the shape; NULL: it is left out. */
typedef struct place {
    const char *location, *offset, *length;
} place;

static void put_entry(proto *t, const char *key, const char *value)
{
    proto entry = {NULL, 0, 0};
    if (!value) return;
    proto_text(&entry, 1, key);
    proto_text(&entry, 2, value);
    proto_message(t, 13, &entry);
}

static void put_place(proto *t, const place *p)
{
    put_entry(t, "location", p->location);
    put_entry(t, "offset", p->offset);
    put_entry(t, "length", p->length);
    proto_int(t, 14, 1);
}

/* A convolution, and a Reshape to a shape that is a weight too. `where` NULL: everything is inside. */
static void write_model(const char *to, const place *where)
{
    proto g = {NULL, 0, 0}, w = {NULL, 0, 0}, s = {NULL, 0, 0};
    char kernel[KERNEL] = {0}, text[16];
    onnx_input(&g, "x", "batch 3 32 32");
    onnx_tensor_head(&w, "w", ONNX_FLOAT, "16 3 3 3");
    onnx_tensor_head(&s, "s", ONNX_INT64, "3");
    snprintf(text, sizeof text, "%d", KERNEL);
    if (where) put_place(&w, &(place){where->location, NULL, text});
    else proto_bytes(&w, 9, kernel, sizeof kernel);
    if (where) put_place(&s, where);
    else proto_bytes(&s, 9, shape, sizeof shape);
    proto_message(&g, 5, &w);
    proto_message(&g, 5, &s);
    onnx_node(&g, "Conv", "x w", "c", NULL);
    onnx_node(&g, "Reshape", "c s", "y", NULL);
    onnx_output(&g, "y");
    proto file = onnx_model(&g, 17);
    FILE *f = fopen(to, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(file.ptr, 1, file.len, f), file.len);
    assert_int_equal(fclose(f), 0);
    proto_free(&file);
}

static void write_data(const char *name, size_t size)
{
    char to[256], bytes[ALL] = {0};
    memcpy(bytes + AT, shape, sizeof shape);
    snprintf(to, sizeof to, "%s/%s", folder, name);
    FILE *f = fopen(to, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static pg_model *open_model(const char *from)
{
    pg_model *m;
    pg_error e = PG_ERROR_INIT;
    if (pg_model_open(&m, from, NULL, &e)) fail_msg("%s: %s: %s", e.source, e.path, e.text);
    return m;
}

static double latency(const pg_model *m)
{
    pg_plan *plan;
    pg_prediction p;
    pg_error e = PG_ERROR_INIT;
    if (pg_plan_open(&plan, m, gpus, &(pg_request){.batch = 4, .precision = "fp16"}, &e)) fail_msg("%s", e.text);
    assert_int_equal(pg_plan_predict(plan, pg_catalog_find(gpus, "a100", &e), &p, &e), PG_E_OK);
    pg_plan_free(plan);
    return p.latency_ms;
}

/* What is known of the weights does not depend on where they are. */
static void expect_same(const pg_model *m)
{
    const pg_model_info *info = pg_model_describe(m);
    assert_true(info->parameters == 432 && info->macs == 432 * 900);
    assert_true(info->weights_bytes == KERNEL + SHAPE);
    assert_int_equal(info->unknown_operator_count, 0);
}

static void test_inside_and_beside(void **state)
{
    (void)state;
    write_data("model.onnx_data", ALL);
    write_model(path, NULL);
    pg_model *inside = open_model(path);
    write_model(path, &(place){"model.onnx_data", "4096", "24"});
    pg_model *beside = open_model(path);
    expect_same(inside);
    expect_same(beside);
    assert_int_equal(pg_model_describe(beside)->warning_count, 0);
    expect_shape(&pg_model_describe(beside)->outputs[0], "batchx8x1800");
    assert_true(latency(inside) == latency(beside));
    pg_model_free(inside);
    pg_model_free(beside);
}

/* Opens a model whose shape is elsewhere; it is not known then, and a warning says why. */
static void expect_lost(const place *where, const char *words)
{
    write_model(path, where);
    pg_model *m = open_model(path);
    expect_same(m);
    if (!warns(m, words)) fail_msg("no warning says '%s'", words);
    assert_true(warns(m, "1 small constants there, on which shapes may rest, are unknown"));
    assert_true(latency(m) > 0);
    pg_model_free(m);
}

static void test_missing(void **state)
{
    (void)state;
    expect_lost(&(place){"gone", "4096", "24"}, "weights lie in 'gone', which is not beside the model");
    expect_lost(&(place){NULL, NULL, NULL}, "weights lie in a file that is not named, which is not beside the model");
    char other[256];
    snprintf(other, sizeof other, "%s/nested", folder);
    assert_int_equal(mkdir(other, 0700), 0);
    expect_lost(&(place){"nested", NULL, NULL}, "weights lie in 'nested', which is not beside the model");
    snprintf(other, sizeof other, "%s/fifo", folder);
    assert_int_equal(mkfifo(other, 0600), 0);
    expect_lost(&(place){"fifo", NULL, NULL}, "weights lie in 'fifo', which is not beside the model");
}

/* Only the large weights are missing, as after a download of the graph alone: nothing of the answer changes. */
static void test_missing_weights_alone(void **state)
{
    (void)state;
    proto g = {NULL, 0, 0}, w = {NULL, 0, 0};
    onnx_input(&g, "x", "batch 3 32 32");
    onnx_tensor_head(&w, "w", ONNX_FLOAT, "16 3 3 3");
    put_place(&w, &(place){"gone", NULL, NULL});
    proto_message(&g, 5, &w);
    onnx_node(&g, "Conv", "x w", "y", NULL);
    onnx_output(&g, "y");
    proto file = onnx_model(&g, 17);
    pg_model *m;
    pg_error e = PG_ERROR_INIT;
    assert_int_equal(open_memory(&m, file.ptr, file.len, &(pg_model_options){.format = "onnx"}, &e), PG_E_OK);
    proto_free(&file);
    assert_int_equal(pg_model_describe(m)->warning_count, 1);
    assert_true(warns(m, "'gone', which is not beside the model: sizes and speed are known without"));
    expect_shape(&pg_model_describe(m)->outputs[0], "batchx16x30x30");
    pg_model_free(m);
}

static void test_outside(void **state)
{
    char name[256], target[256], whole[256];
    (void)state;
    snprintf(name, sizeof name, "%s/inner", folder);
    assert_int_equal(mkdir(name, 0700), 0);
    write_data("secret", ALL);
    write_data("inner/data", ALL);
    snprintf(path, sizeof path, "%s/inner/model.onnx", folder);
    expect_lost(&(place){"../secret", "4096", "24"}, "'../secret', which is outside of the model's folder");
    expect_lost(&(place){"a/../../secret", "4096", "24"}, "which is outside of the model's folder");
    snprintf(whole, sizeof whole, "%s/secret", folder);
    expect_lost(&(place){whole, "4096", "24"}, "which is outside of the model's folder");

    snprintf(name, sizeof name, "%s/inner/link", folder);
    assert_int_equal(symlink("../secret", name), 0);
    expect_lost(&(place){"link", "4096", "24"}, "'link', which is outside of the model's folder");

    /* in a cache, where the model is such a link itself, both lie in one folder */
    snprintf(target, sizeof target, "%s/blob", folder);
    assert_int_equal(rename(path, target), 0);
    assert_int_equal(symlink("../blob", path), 0);
    pg_model *m = open_model(path);
    expect_same(m);
    assert_int_equal(pg_model_describe(m)->warning_count, 0);
    expect_shape(&pg_model_describe(m)->outputs[0], "batchx8x1800");
    pg_model_free(m);
    assert_int_equal(unlink(path), 0);
    snprintf(path, sizeof path, "%s/model.onnx", folder);
}

static void test_cut_off(void **state)
{
    (void)state;
    write_data("short", ALL - 1);
    expect_lost(&(place){"short", "4096", "24"}, "which ends at byte 4119, before 's': it was cut off");
    expect_lost(&(place){"short", "18446744073709551000", "24"}, "before 's': it was cut off");
    write_data("none", 0);
    expect_lost(&(place){"none", "0", "24"}, "which ends at byte 0, before 'w': it was cut off");
}

/* What a clone without Git LFS holds. */
static void test_pointer(void **state)
{
    (void)state;
    char to[256];
    snprintf(to, sizeof to, "%s/pointer", folder);
    FILE *f = fopen(to, "wb");
    assert_non_null(f);
    fputs(
        "version https://git-lfs.github.com/spec/v1\noid sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n"
        "size 4120\n",
        f);
    assert_int_equal(fclose(f), 0);
    expect_lost(&(place){"pointer", "4096", "24"}, "weights lie in 'pointer', which is a Git LFS pointer");
}

static void test_lies(void **state)
{
    static const struct {
        place where;
        const char *words;
    } cases[] = {
        {{"model.onnx_data", "4096", "25"}, "tensor 's' has 25 bytes in 'model.onnx_data' where its shape needs 24"},
        {{"model.onnx_data", "4096", "18446744073709551616"}, "external_data gives '18446744073709551616' as length"},
        {{"model.onnx_data", "-1", "24"}, "external_data gives '-1' as offset, which is no number of bytes"},
        {{"model.onnx_data", "", "24"}, "external_data gives '' as offset"},
    };
    (void)state;
    write_data("model.onnx_data", ALL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pg_model *m;
        pg_error e = PG_ERROR_INIT;
        write_model(path, &cases[i].where);
        assert_int_equal(pg_model_open(&m, path, NULL, &e), PG_E_FORMAT);
        expect_refused(m, &e, PG_E_FORMAT, cases[i].words);
    }
}

/* One file for each tensor, more of them than are looked for: an answer, and nothing is opened without end. */
static void test_many_files(void **state)
{
    enum { FILES = 3000 };
    (void)state;
    proto g = {NULL, 0, 0};
    char name[32], last[32] = "x";
    onnx_input(&g, "x", "batch 4");
    for (int i = 0; i < FILES; i++) {
        proto t = {NULL, 0, 0};
        char in[64], out[32];
        snprintf(name, sizeof name, "w%d", i);
        snprintf(in, sizeof in, "%s %s", last, name);
        snprintf(out, sizeof out, "y%d", i);
        onnx_tensor_head(&t, name, ONNX_FLOAT, "4");
        put_place(&t, &(place){name, NULL, "16"});
        proto_message(&g, 5, &t);
        onnx_node(&g, "Add", in, out, NULL);
        memcpy(last, out, sizeof last);
    }
    onnx_output(&g, last);
    proto file = onnx_model(&g, 17);
    pg_model *m;
    pg_error e = PG_ERROR_INIT;
    assert_int_equal(open_memory(&m, file.ptr, file.len, &(pg_model_options){.format = "onnx"}, &e), PG_E_OK);
    proto_free(&file);
    assert_true(warns(m, "'w0' and 1023 more, which is not beside the model"));
    assert_true(pg_model_describe(m)->parameters == FILES * 4);
    pg_model_free(m);
}

static int make_folder(void **state)
{
    snprintf(folder, sizeof folder, "/tmp/phantom-external-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/model.onnx", folder);
    return open_gpus(state);
}

static int remove_folder(void **state)
{
    static const char *const names[] = {
        "inner/link", "inner/data", "inner",   "nested",          "secret",     "blob", "fifo",
        "short",      "none",       "pointer", "model.onnx_data", "model.onnx", ""};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char name[256];
        snprintf(name, sizeof name, "%s/%s", folder, names[i]);
        if (remove(name)) return -1;
    }
    return close_gpus(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inside_and_beside),
        cmocka_unit_test(test_missing),
        cmocka_unit_test(test_missing_weights_alone),
        cmocka_unit_test(test_outside),
        cmocka_unit_test(test_cut_off),
        cmocka_unit_test(test_pointer),
        cmocka_unit_test(test_lies),
        cmocka_unit_test(test_many_files),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
