/* TensorFlow Lite: what each part of a file means, on files of a few operators; and files that mean harm.
 *
 *   test_tflite --write FOLDER    writes the models for fuzzing */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "phantom/phantom.h"
#include "support/expect.h"
#include "support/heap.h"
#include "support/onnx_write.h"
#include "support/tflite_models.h"
#include "wire/flatbuffer.h"
#include "wire/flexbuffer.h"

#ifndef TEST_ROOT
#define TEST_ROOT "."
#endif

static pg_catalog *gpus;

static pg_code open_bytes(pg_model **m, const fb *file, const pg_model_options *options, pg_error *e)
{
    return open_memory(m, file->ptr, file->len, options, e);
}

static pg_model *open_good(tw *w, const char *name)
{
    fb file = tw_finish(w);
    pg_model *m;
    pg_error e = PG_ERROR_INIT;
    if (open_bytes(&m, &file, NULL, &e)) fail_msg("%s: %s: %s", name, e.path, e.text);
    fb_free(&file);
    return m;
}

static void outputs_text(const pg_model_info *info, char *out, size_t cap)
{
    size_t n = 0;
    for (size_t i = 0; i < info->output_count; i++) {
        const pg_tensor *t = &info->outputs[i];
        n += (size_t)snprintf(out + n, cap - n, "%s%s [", i ? "; " : "", t->name);
        for (int k = 0; k < t->rank; k++)
            n += (size_t)snprintf(out + n, cap - n, "%s%s", k ? ", " : "", t->dims[k].text ? t->dims[k].text : "?");
        n += (size_t)snprintf(out + n, cap - n, "] %s", t->dtype);
    }
}

static double latency(const pg_model *m, const char *runtime, int64_t batch)
{
    pg_plan *plan;
    pg_prediction p;
    pg_error e = PG_ERROR_INIT;
    pg_request request = {.batch = batch, .runtime = runtime, .precision = "fp32"};
    if (pg_plan_open(&plan, m, gpus, &request, &e)) fail_msg("%s", e.text);
    assert_int_equal(pg_plan_predict(plan, pg_catalog_at(gpus, 0), &p, &e), PG_E_OK);
    pg_plan_free(plan);
    return p.latency_ms;
}

static void expect_remarks(const pg_model *m, const char *expected)
{
    char text[2048] = "";
    size_t n = 0;
    const pg_model_info *info = pg_model_describe(m);
    for (size_t i = 0; i < info->remark_count; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s: %s; ", info->remarks[i].key, info->remarks[i].text);
    assert_string_equal(text, expected);
}

/* ---- FlatBuffers ---- */

static void test_flatbuffer(void **state)
{
    (void)state;
    fb b;
    pg_error e = PG_ERROR_INIT;
    fb_begin(&b, "TEST");
    size_t root = fb_table(&b, 6);
    fb_root(&b, root);
    fb_number(&b, root, 0, -2, 1);
    fb_number(&b, root, 1, -3, 8);
    fb_float(&b, root, 2, 1.5f);
    size_t list = fb_vector(&b, 2, 4);
    fb_child(&b, root, 3, list);
    fb_element(&b, list, 1, 4, -7);
    fb_child(&b, root, 4, fb_string(&b, "name"));
    flatbuffer f = {{b.ptr, b.len, 0}, &e};
    assert_true(flatbuffer_is(f.file, "TEST") && !flatbuffer_is(f.file, "TFL3"));
    flatbuffer_table t = flatbuffer_root(&f);
    assert_int_equal(flatbuffer_i8(&t, 0, 9), -2);
    assert_int_equal(flatbuffer_u8(&t, 0, 9), 254);
    assert_int_equal(flatbuffer_i64(&t, 1, 9), -3);
    assert_true(flatbuffer_f32(&t, 2, 9) == 1.5);
    flatbuffer_vector v = flatbuffer_list(&t, 3, 4);
    assert_int_equal(v.n, 2);
    assert_int_equal(flatbuffer_list_i32(&v, 1), -7);
    assert_true(str_is(flatbuffer_text(&t, 4), "name"));
    assert_true(flatbuffer_has(&t, 4) && !flatbuffer_has(&t, 5) && !flatbuffer_has(&t, 60));
    assert_int_equal(flatbuffer_i32(&t, 5, 9), 9); /* in the vtable, but left out */
    assert_int_equal(flatbuffer_i32(&t, 60, 9), 9);
    assert_int_equal(flatbuffer_list(&t, 5, 4).n, 0);
    t = flatbuffer_child(&t, 5); /* a table that is not there has nothing but defaults, and is no error */
    assert_true(!t.owner && flatbuffer_i32(&t, 0, 9) == 9 && e.code == PG_E_OK);
    fb_free(&b);
}

static void test_flexbuffer(void **state)
{
    enum { SIZE = sizeof tflite_detection_options };
    (void)state;
    int64_t value = 0;
    unsigned char copy[SIZE];
    span whole = {tflite_detection_options, SIZE, 0};
    assert_true(flexbuffer_int(whole, "max_detections", &value) && value == 10);
    assert_false(flexbuffer_int(whole, "max_detection", &value));
    assert_false(flexbuffer_int(whole, "ax_detections", &value));
    for (size_t n = 0; n < SIZE; n++) { /* cut off in a block of its own size, so that ASan sees a read past it */
        unsigned char *part = malloc(n + 1);
        memcpy(part, tflite_detection_options, n);
        flexbuffer_int((span){part, n, 0}, "max_detections", &value);
        free(part);
    }
    for (size_t i = 0; i < SIZE; i++)
        for (int v = 0; v < 256; v++) {
            memcpy(copy, tflite_detection_options, SIZE);
            copy[i] = (unsigned char)v;
            flexbuffer_int((span){copy, SIZE, 0}, "max_detections", &value);
        }
}

/* ---- the models ---- */

static void test_models(void **state)
{
    (void)state;
    for (size_t i = 0; i < tflite_model_count; i++) {
        const tflite_model *t = &tflite_models[i];
        char text[512] = "";
        pg_model *m = open_good(t->build(), t->name);
        const pg_model_info *info = pg_model_describe(m);
        outputs_text(info, text, sizeof text);
        if (strcmp(text, t->outputs) != 0) fail_msg("%s: outputs are %s", t->name, text);
        if (info->parameters != t->parameters) fail_msg("%s: %g parameters", t->name, info->parameters);
        if (fmax(info->macs, 0) != t->macs) fail_msg("%s: %g MACs", t->name, info->macs);
        if (info->operators != t->operators) {
            for (size_t k = 0; k < info->operator_count_count; k++)
                print_message("%s: %d %s\n", t->name, (int)info->operator_counts[k].count,
                              info->operator_counts[k].name);
            fail_msg("%s: %d operators", t->name, (int)info->operators);
        }
        assert_int_equal(info->unknown_operator_count, t->unknown);
        assert_string_equal(info->producer, "made by a test");
        pg_model_free(m);
    }
}

/* Each runs with any batch under every kind of runtime, and with more samples there is not less to do. */
static void test_batches(void **state)
{
    static const char *const runtimes[] = {"pytorch", "pytorch-compile", "onnxruntime", "tensorrt"};
    (void)state;
    for (size_t i = 0; i < tflite_model_count; i++) {
        pg_model *m = open_good(tflite_models[i].build(), tflite_models[i].name);
        for (size_t r = 0; r < sizeof runtimes / sizeof runtimes[0]; r++) {
            double small = latency(m, runtimes[r], 1), large = latency(m, runtimes[r], 512);
            if (!(small > 0 && large >= small * 0.99))
                fail_msg("%s under %s: %g ms, %g ms", tflite_models[i].name, runtimes[r], small, large);
        }
        pg_model_free(m);
    }
}

/* ---- the same network as ONNX ---- */

static uint32_t node(graph *g, op_kind kind, const char *name, const uint32_t *in, uint32_t n)
{
    uint32_t out = graph_add_tensor(g, str_c(name), DT_FP32);
    assert_true(graph_add_op(g, 0, kind, str_c(name), in, n, &out, 1) != NO_TENSOR);
    return out;
}

static uint32_t conv(graph *g, const char *name, uint32_t x, const int64_t *dims, int64_t stride, int64_t groups)
{
    char text[2][48];
    snprintf(text[0], sizeof text[0], "%s.bias", name);
    snprintf(text[1], sizeof text[1], "%s.out", name);
    str kernel = str_c(name), bias = str_copy(g->a, str_c(text[0])), out = str_copy(g->a, str_c(text[1]));
    uint32_t in[3] = {x, graph_add_weight(g, kernel, DT_FP32, 4, dims), graph_add_weight(g, bias, DT_FP32, 1, dims)};
    uint32_t y = node(g, OP_Conv, out.ptr, in, 3);
    int64_t strides[2] = {stride, stride}, same[4] = {dims[2] / 2, dims[2] / 2, dims[2] / 2, dims[2] / 2};
    assert_true(graph_attr_ints(g, ATTR_strides, strides, 2) && graph_attr_ints(g, ATTR_pads, same, 4) &&
                graph_attr_int(g, ATTR_group, groups));
    return y;
}

/* tflite_image_network as PyTorch exports it, or (`folded`) as tf2onnx does that folds batch normalisations. */
static void write_onnx(const char *path, bool folded)
{
    const char *const names[3] = {folded ? "a_weights_fused_bn" : "a.weight",
                                  folded ? "b_weights_fused_bn" : "b.weight",
                                  folded ? "c_weights_fused_bn" : "c.weight"};
    arena a;
    graph g;
    pg_error e = PG_ERROR_INIT;
    test_heap heap = {.fail_at = -1};
    arena_init(&a, (allocator){heap_resize, &heap}, 0);
    assert_true(graph_init(&g, &a));
    int32_t batch = graph_add_symbol(&g, STR("batch"), 1);
    uint32_t x = graph_add_tensor(&g, STR("image"), DT_FP32);
    num dims[4] = {{{.i = 0}, 1, batch}, num_int(3), num_int(16), num_int(16)};
    assert_true(graph_set_dims(&g, x, 4, dims) && graph_add_input(&g, 0, x));
    uint32_t a1 = conv(&g, names[0], x, (const int64_t[]){8, 3, 3, 3}, 2, 1);
    uint32_t v1 = node(&g, OP_Clip, "relu1", &a1, 1);
    uint32_t a2 = conv(&g, names[1], v1, (const int64_t[]){8, 1, 3, 3}, 1, 8);
    uint32_t v2 = node(&g, OP_Clip, "relu2", &a2, 1);
    uint32_t v3 = conv(&g, names[2], v2, (const int64_t[]){8, 8, 1, 1}, 1, 1);
    uint32_t v4 = node(&g, OP_Add, "sum", (const uint32_t[]){v3, v1}, 2);
    uint32_t pool = node(&g, OP_GlobalAveragePool, "pool", &v4, 1);
    uint32_t flat = node(&g, OP_Flatten, "flat", &pool, 1);
    uint32_t dense[3] = {flat, graph_add_weight(&g, STR("dense"), DT_FP32, 2, (const int64_t[]){10, 8}),
                         graph_add_weight(&g, STR("bias"), DT_FP32, 1, (const int64_t[]){10})};
    uint32_t v6 = node(&g, OP_Gemm, "gemm", dense, 3);
    assert_true(graph_attr_int(&g, ATTR_transB, 1));
    uint32_t y = node(&g, OP_Softmax, "y", &v6, 1);
    assert_true(graph_attr_int(&g, ATTR_axis, -1) && graph_add_output(&g, 0, y));
    if (onnx_write(&g, path, NULL, &e)) fail_msg("%s", e.text);
    arena_free(&a);
}

static void compare_with_onnx(bool folded)
{
    static const char *const runtimes[] = {"pytorch", "pytorch-compile", "onnxruntime", "tensorrt", "tensorflow"};
    char path[] = "/tmp/test_tflite_XXXXXX";
    pg_model *onnx;
    pg_error e = PG_ERROR_INIT;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    write_onnx(path, folded);
    pg_code code = pg_model_open(&onnx, path, &(pg_model_options){.format = "onnx"}, &e);
    unlink(path);
    if (code) fail_msg("%s: %s", e.path, e.text);
    tw *w = tflite_image_network();
    for (unsigned i = 0; folded && i < w->graphs[0].n_tensors; i++) {
        tw_tensor *t = &w->graphs[0].tensors[i];
        if (!strcmp(t->name, "v1")) t->name = "v1;FusedBatchNormV3";
        if (!strcmp(t->name, "v2")) t->name = "v2;FusedBatchNormV3";
        if (!strcmp(t->name, "v3")) t->name = "v3;FusedBatchNormV3";
    }
    pg_model *lite = open_good(w, "image");
    const pg_model_info *a = pg_model_describe(onnx), *b = pg_model_describe(lite);
    assert_true(a->macs == b->macs && a->parameters == b->parameters);
    assert_int_equal(b->operators, folded ? 12 : 9);
    /* TensorFlow, the last, never sees a graph of tf2onnx: what was folded there stays folded */
    for (size_t r = 0; r < sizeof runtimes / sizeof runtimes[0] - folded; r++)
        for (int64_t batch = 1; batch <= 1024; batch *= 1024) {
            double x = latency(onnx, runtimes[r], batch), y = latency(lite, runtimes[r], batch);
            if (fabs(x / y - 1) > 0.02) fail_msg("%s, batch %d: %g ms from ONNX, %g ms", runtimes[r], (int)batch, x, y);
        }
    pg_model_free(onnx);
    pg_model_free(lite);
}

static void test_same_as_onnx(void **state)
{
    (void)state;
    compare_with_onnx(false);
    compare_with_onnx(true);
}

/* ---- operators by number ---- */

/* Any number with any operands is an operator or an error, and the numbers of the schema have names. */
static void test_every_number(void **state)
{
    const int32_t *const shapes[] = {DIMS(1, 4, 4, 4), DIMS(4, 4), DIMS(1, 4, 4), DIMS(4)};
    unsigned known = 0;
    (void)state;
    for (int number = -1; number < 212; number++)
        for (size_t s = 0; s < 4; s++)
            for (int n_in = 0; n_in < 5; n_in++) {
                tw *w = tw_new();
                tw_graph *g = tw_add_graph(w);
                int x = tw_value(g, "x", TW_FLOAT32, shapes[s]), k = tw_weight(g, "k", TW_FLOAT32, shapes[s]);
                int y = tw_value(g, "y", TW_FLOAT32, shapes[s]),
                    list = tw_ints(g, "list", 4, (const int32_t[]){1, 1, 2, 2});
                int in[5] = {x, s % 2 ? list : k, list, x, TW_END};
                in[n_in] = TW_END;
                tw_add_op(g, number, in, LIST(y));
                tw_ends(g, LIST(x), LIST(y));
                fb file = tw_finish(w);
                pg_model *m;
                pg_error e = PG_ERROR_INIT;
                pg_code code = open_bytes(&m, &file, NULL, &e);
                fb_free(&file);
                if (code) {
                    assert_true(e.text[0] && (code == PG_E_GRAPH || code == PG_E_FORMAT));
                    continue;
                }
                const pg_model_info *info = pg_model_describe(m);
                if (info->operator_count_count && s == 0 && n_in == 3)
                    known += strncmp(info->operator_counts[0].name, "BUILTIN_", 8) != 0;
                if (number > 209 && info->operator_count_count)
                    assert_memory_equal(info->operator_counts[0].name, "BUILTIN_", 8);
                pg_model_free(m);
            }
    assert_true(known > 100);
}

/* ---- files of others, where they lie beside the tree ---- */

static void test_shared_files(void **state)
{
    static const struct {
        const char *name;
        double parameters, macs;
        uint64_t operators;
    } files[] = {
        {"ad01_int8", 265864, 264192, 10},
        {"deeplabv3_mnv2_dm05_pascal_quant", 688357, 866.6e6, 72},
        {"keras_lstm_mnist_ptq", 9530, 113120, 7},
        {"kws_int8", 22604, 2.657e6, 13},
        {"mobilenet_v1_0.25_128_quant", 467593, 13.59e6, 31},
        {"mobilenet_v2_1.0_224_quant", 3489097, 300.8e6, 66},
        {"resnet8_float", 77706, 12.5e6, 30},
        {"vww_96_float", 210850, 7.49e6, 85},
    };
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[512];
        pg_model *m;
        pg_error e = PG_ERROR_INIT;
        snprintf(path, sizeof path, TEST_ROOT "/../shared/models/files/%s.tflite", files[i].name);
        if (access(path, R_OK)) skip();
        if (pg_model_open(&m, path, NULL, &e)) fail_msg("%s: %s: %s", files[i].name, e.path, e.text);
        const pg_model_info *info = pg_model_describe(m);
        if (info->parameters != files[i].parameters || fabs(info->macs / files[i].macs - 1) > 0.002 ||
            info->operators != files[i].operators || info->unknown_operator_count || !info->has_batch)
            fail_msg("%s: %.0f parameters, %.0f MACs, %d operators", files[i].name, info->parameters, info->macs,
                     (int)info->operators);
        double small = latency(m, "onnxruntime", 1), large = latency(m, "onnxruntime", 256);
        bool tiny = files[i].macs < 1e6; /* the host takes longer than the GPU, whatever the batch */
        assert_true(small > 0 && (large > small || (tiny && large == small)));
        pg_model_free(m);
    }
}

/* A network as Keras saved it and as its converter wrote it: batch normalisations were folded in between. */
static void test_same_as_keras(void **state)
{
    static const char *const runtimes[] = {"pytorch", "pytorch-compile", "onnxruntime", "tensorrt", "tensorflow"};
    pg_model *keras, *lite;
    pg_error e = PG_ERROR_INIT;
    (void)state;
    if (access(TEST_ROOT "/../shared/models/files/resnet8.h5", R_OK)) skip();
    assert_int_equal(pg_model_open(&keras, TEST_ROOT "/../shared/models/files/resnet8.h5", NULL, &e), PG_E_OK);
    assert_int_equal(pg_model_open(&lite, TEST_ROOT "/../shared/models/files/resnet8_float.tflite", NULL, &e), PG_E_OK);
    assert_true(pg_model_describe(keras)->macs == pg_model_describe(lite)->macs);
    for (size_t r = 0; r < sizeof runtimes / sizeof runtimes[0]; r++)
        for (int64_t batch = 1; batch <= 512; batch *= 512) {
            double a = latency(keras, runtimes[r], batch), b = latency(lite, runtimes[r], batch);
            if (fabs(a / b - 1) > 0.02) fail_msg("%s, batch %d: %g ms, %g ms", runtimes[r], (int)batch, a, b);
        }
    pg_model_free(keras);
    pg_model_free(lite);
}

/* ---- signatures, options ---- */

static void test_no_names(void **state)
{
    (void)state;
    tw *w = tflite_image_network();
    for (unsigned i = 0; i < w->graphs[0].n_tensors; i++) w->graphs[0].tensors[i].name = "";
    pg_model *m = open_good(w, "no names");
    assert_string_equal(pg_model_describe(m)->inputs[0].name, "input_0");
    assert_string_equal(pg_model_describe(m)->outputs[0].name, "output_0");
    pg_model_free(m);
}

static void test_signature(void **state)
{
    enum { BRANCHES = 20 };
    (void)state;
    fb file = tw_finish(tflite_models[BRANCHES].build());
    pg_model *m;
    pg_error e = PG_ERROR_INIT;
    assert_string_equal(tflite_models[BRANCHES].name, "branches");
    assert_int_equal(open_bytes(&m, &file, &(pg_model_options){.signature = "second"}, &e), PG_E_OK);
    assert_int_equal(pg_model_describe(m)->operators, 1); /* the LOGISTIC of the last subgraph */
    pg_model_free(m);
    assert_int_equal(open_bytes(&m, &file, &(pg_model_options){.signature = "third"}, &e), PG_E_USAGE);
    assert_non_null(strstr(e.text, "second"));
    fb_free(&file);
}

/* ---- harm ---- */

static void expect_bytes(const fb *file, pg_code code, const char *words)
{
    pg_model *m;
    pg_error e = PG_ERROR_INIT;
    test_heap heap = {.fail_at = -1};
    pg_allocator a = {heap_resize, &heap};
    clock_t start = clock();
    pg_code got = open_bytes(&m, file, &(pg_model_options){.allocator = &a, .format = "tflite"}, &e);
    pg_model_free(m);
    if (got != code || !strstr(e.text, words)) fail_msg("%s: %s: %s", pg_code_name(got), e.path, e.text);
    assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 5);
    assert_true(heap.peak < (size_t)256 << 20);
    assert_int_equal(heap.live, 0);
}

static void expect_error(tw *w, pg_code code, const char *words)
{
    fb file = tw_finish(w);
    expect_bytes(&file, code, words);
    fb_free(&file);
}

/* x -> LOGISTIC -> y, to be broken. */
static tw *small(tw_graph **g)
{
    tw *w = tw_new();
    *g = tw_add_graph(w);
    int x = tw_value(*g, "x", TW_FLOAT32, DIMS(1, 8)), y = tw_value(*g, "y", TW_FLOAT32, DIMS(1, 8));
    tw_add_op(*g, TFL_LOGISTIC, LIST(x), LIST(y));
    tw_ends(*g, LIST(x), LIST(y));
    return w;
}

static void test_broken_models(void **state)
{
    (void)state;
    tw_graph *g;
    tw *w = small(&g);
    g->ops[0].in[0] = 77;
    expect_error(w, PG_E_FORMAT, "tensor 77");
    w = small(&g);
    g->ops[0].out[0] = -5;
    expect_error(w, PG_E_FORMAT, "tensor -5");
    w = small(&g);
    g->ops[0].in[0] = 1; /* reads what it makes */
    expect_error(w, PG_E_GRAPH, "read before it is made");
    w = small(&g);
    g->ops[0].n_in = 0;
    expect_error(w, PG_E_GRAPH, "lacks an input");
    w = small(&g);
    g->n_ops = 0;
    expect_error(w, PG_E_GRAPH, "read before it is made");
    w = small(&g);
    tw_add_op(g, TFL_LOGISTIC, LIST(0), LIST(1));
    expect_error(w, PG_E_GRAPH, "made twice");
    w = small(&g);
    g->tensors[0].dims[1] = -3;
    expect_error(w, PG_E_FORMAT, "negative dimension");
    w = small(&g);
    g->tensors[0].rank = 2;
    g->tensors[0].dims[0] = g->tensors[0].dims[1] = INT32_MAX;
    expect_error(w, PG_E_LIMIT, "1e15 elements");
    w = small(&g);
    int k = tw_weight(g, "k", TW_FLOAT32, DIMS(8));
    g->tensors[k].bytes = 31;
    tw_add_op(g, TFL_ADD, LIST(0, k), LIST(tw_value(g, "z", TW_FLOAT32, DIMS(1, 8))));
    expect_error(w, PG_E_FORMAT, "holds 31 bytes where its shape needs 32");
    w = small(&g);
    k = tw_weight(g, "k", TW_FLOAT32, DIMS(8));
    g->tensors[k].outside = 1;
    tw_add_op(g, TFL_ADD, LIST(0, k), LIST(tw_value(g, "z", TW_FLOAT32, DIMS(1, 8))));
    fb file = tw_finish(w);
    file.len -= 4; /* what lies outside is the end of the file */
    expect_bytes(&file, PG_E_TRUNCATED, "lies behind the end of the file");
    fb_free(&file);
    w = small(&g);
    g->ops[0].number = TFL_CUSTOM;
    g->ops[0].custom = "edgetpu-custom-op";
    expect_error(w, PG_E_UNSUPPORTED, "compiled for another chip");
    expect_error(tw_new(), PG_E_FORMAT, "holds no graph");
}

static void test_calls_that_do_not_end(void **state)
{
    (void)state;
    tw_graph *g;
    tw *w = small(&g);
    g->ops[0].number = TFL_CALL;
    tw_set(&g->ops[0], 0, 'i', 0);
    expect_error(w, PG_E_GRAPH, "calls itself");
    w = small(&g);
    g->ops[0].number = TFL_CALL;
    tw_set(&g->ops[0], 0, 'i', 9);
    expect_error(w, PG_E_FORMAT, "subgraph 9 is called, but the file has 1");
    w = tw_new(); /* each calls the next many times: 60 * 60 * 60 */
    for (int i = 0; i < TW_GRAPHS; i++) {
        g = tw_add_graph(w);
        int x = tw_value(g, "x", TW_FLOAT32, DIMS(1, 8));
        for (int k = 0; k < 60; k++) {
            int y = tw_value(g, "y", TW_FLOAT32, DIMS(1, 8));
            tw_set(tw_add_op(g, i + 1 < TW_GRAPHS ? TFL_CALL : TFL_LOGISTIC, LIST(x), LIST(y)), 0, 'i', i + 1);
            x = y;
        }
        tw_ends(g, LIST(0), LIST(x));
    }
    expect_error(w, PG_E_LIMIT, "too many steps");
}

/* The bytes of a FlatBuffer themselves. */
static void test_broken_bytes(void **state)
{
    (void)state;
    fb b;
    fb_begin(&b, "TFL3");
    fb_root(&b, 4000);
    expect_bytes(&b, PG_E_TRUNCATED, "a table lies outside of the file");
    fb_free(&b);

    fb_begin(&b, "TFL3");
    size_t model = fb_table(&b, 8);
    fb_root(&b, model);
    fb_patch(&b, model, 0x7fffffff, 4); /* back to before the file */
    expect_bytes(&b, PG_E_TRUNCATED, "vtable lies outside");
    fb_patch(&b, model, -0x70000000, 4);
    expect_bytes(&b, PG_E_TRUNCATED, "vtable lies outside");
    fb_patch(&b, model, 0, 4); /* its own vtable */
    expect_bytes(&b, PG_E_TRUNCATED, "vtable's size is impossible");
    fb_free(&b);

    fb_begin(&b, "TFL3");
    model = fb_table(&b, 8);
    fb_root(&b, model);
    size_t graphs = fb_vector(&b, 1, 4);
    fb_child(&b, model, 2, graphs);
    fb_element_child(&b, graphs, 0, model); /* offsets only lead forward: nothing can hold itself */
    expect_bytes(&b, PG_E_TRUNCATED, "a table lies outside of the file");
    fb_patch(&b, graphs, 1 << 30, 4);
    expect_bytes(&b, PG_E_TRUNCATED, "longer than the rest of the file");
    fb_patch(&b, graphs, -1, 4);
    expect_bytes(&b, PG_E_TRUNCATED, "longer than the rest of the file");
    fb_patch(&b, model + 4 + 8 * 2, -8, 4); /* an offset of nearly 4 GiB */
    expect_bytes(&b, PG_E_TRUNCATED, "outside of the file");
    fb_free(&b);
}

/* 4000 operators that are one, with 4000 operands that are one list: 32 KiB that describe 16 million. */
static void test_overlapping_tables(void **state)
{
    enum { MANY = 4000 };
    (void)state;
    fb b;
    fb_begin(&b, "TFL3");
    size_t model = fb_table(&b, 8);
    fb_root(&b, model);
    size_t codes = fb_vector(&b, 1, 4), graphs = fb_vector(&b, 1, 4);
    size_t code = fb_table(&b, 4), body = fb_table(&b, 5);
    size_t tensors = fb_vector(&b, 1, 4), ops = fb_vector(&b, MANY, 4), in = fb_vector(&b, 1, 4);
    size_t t = fb_table(&b, 4), o = fb_table(&b, 5), operands = fb_vector(&b, MANY, 4);
    fb_child(&b, model, 1, codes);
    fb_element_child(&b, codes, 0, code);
    fb_number(&b, code, 3, TFL_CUSTOM, 4);
    fb_child(&b, model, 2, graphs);
    fb_element_child(&b, graphs, 0, body);
    fb_child(&b, body, 0, tensors);
    fb_element_child(&b, tensors, 0, t);
    fb_child(&b, body, 1, in);
    fb_child(&b, body, 3, ops);
    for (size_t i = 0; i < MANY; i++) fb_element_child(&b, ops, i, o);
    fb_child(&b, o, 1, operands);
    expect_bytes(&b, PG_E_LIMIT, "too many steps");
    fb_free(&b);
}

static void test_metadata(void **state)
{
    (void)state;
    pg_model *m = open_good(tflite_described(), "described");
    expect_remarks(
        m, "runtime: TensorFlow Lite 1.14.0 or newer; name: digits; description: Tells digits apart; version: v1; "
           "author: A. Author; license: Apache License. Version 2.0; input: image: 16 x 16 pixels in 0 to 1; "
           "output: y (probability); file: labels.txt: names of the digits; ");
    pg_model_free(m);
    m = open_good(tflite_models[0].build(), "plain");
    expect_remarks(m, "");
    pg_model_free(m);
}

/* The model counts, not what its file says of itself. */
static void expect_warning(tw *w, const char *remarks, const char *warning)
{
    pg_model *m = open_good(w, "metadata");
    const pg_model_info *info = pg_model_describe(m);
    expect_remarks(m, remarks);
    assert_true(info->macs == 22608);
    assert_int_equal(info->warning_count, 1);
    if (!strstr(info->warnings[0], warning)) fail_msg("'%s' does not say '%s'", info->warnings[0], warning);
    pg_model_free(m);
}

static void test_broken_metadata(void **state)
{
    (void)state;
    const char *runtime = "runtime: TensorFlow Lite 1.14.0 or newer; ";
    tw *w = tflite_described();
    w->metadata_at = 1 << 30;
    expect_warning(w, runtime, "names a buffer that there isn't");
    w = tflite_described();
    w->metadata->ptr[7] = '2';
    expect_warning(w, runtime, "its identifier is not M001");
    w = tflite_described();
    w->metadata->len = 6;
    expect_warning(w, runtime, "its identifier is not M001");
    w = tflite_described();
    w->metadata->len -= 40; /* within the last file's description */
    w->runtime = "16 letters, no 0";
    expect_warning(w,
                   "runtime: TensorFlow Lite 16 letters, no 0 or newer; name: digits; description: Tells digits apart; "
                   "version: v1; author: A. Author; license: Apache License. Version 2.0; "
                   "input: image: 16 x 16 pixels in 0 to 1; output: y (probability); ",
                   "lies outside of the file");
    w = tflite_described();
    fb_patch(w->metadata, 0, -1, 4);
    expect_warning(w, runtime, "outside of the file");
}

/* One file's name a thousand times in a list, and each of a MiB: what is kept stays small. */
static void test_repeated_metadata(void **state)
{
    enum { MANY = 1000, LONG = 1 << 20 };
    (void)state;
    tw *w = tflite_described();
    fb *b = w->metadata;
    fb_free(b);
    fb_begin(b, "M001");
    size_t model = fb_table(b, 8), files = fb_vector(b, MANY, 4), file = fb_table(b, 2), name = fb_vector(b, LONG, 1);
    memset(b->ptr + name + 4, 'x', LONG);
    fb_root(b, model);
    fb_child(b, model, 6, files);
    fb_child(b, file, 0, name);
    for (size_t i = 0; i < MANY; i++) fb_element_child(b, files, i, file);
    pg_model *m = open_good(w, "repeated");
    const pg_model_info *info = pg_model_describe(m);
    assert_int_equal(info->remark_count, 256);
    for (size_t i = 1; i < 256; i++) assert_true(strlen(info->remarks[i].text) == 2047);
    pg_model_free(m);
}

/* Cut off and changed anywhere: an error or a model. */
static void test_damaged(void **state)
{
    (void)state;
    for (size_t i = 0; i < tflite_model_count; i++) {
        fb file = tw_finish(tflite_models[i].build()), part = file;
        pg_model *m;
        for (part.len = 0; part.len < file.len; part.len += 13) {
            pg_error e = PG_ERROR_INIT;
            if (open_bytes(&m, &part, &(pg_model_options){.format = "tflite"}, &e)) assert_true(e.text[0]);
            pg_model_free(m);
        }
        for (size_t at = 8; at < file.len; at += 5) {
            pg_error e = PG_ERROR_INIT;
            uint8_t saved = file.ptr[at];
            file.ptr[at] = (uint8_t)(saved + 1 + at % 200);
            if (open_bytes(&m, &file, NULL, &e)) assert_true(e.text[0]);
            pg_model_free(m);
            file.ptr[at] = saved;
        }
        fb_free(&file);
    }
}

static void test_no_memory(void **state)
{
    (void)state;
    for (size_t i = 0; i < tflite_model_count; i++) {
        fb file = tw_finish(tflite_models[i].build());
        bool done = false;
        for (long n = 0; !done; n++) {
            pg_model *m;
            pg_error e = PG_ERROR_INIT;
            test_heap heap = {.fail_at = n};
            pg_allocator a = {heap_resize, &heap};
            pg_code code = open_bytes(&m, &file, &(pg_model_options){.allocator = &a}, &e);
            done = code == PG_E_OK;
            if (!done) assert_int_equal(code, PG_E_NOMEM);
            pg_model_free(m);
            assert_int_equal(heap.live, 0);
        }
        fb_free(&file);
    }
}

static int write_models(const char *folder)
{
    for (size_t i = 0; i < tflite_model_count; i++) {
        char path[512];
        fb file = tw_finish(tflite_models[i].build());
        snprintf(path, sizeof path, "%s/%s.tflite", folder, tflite_models[i].name);
        FILE *f = fopen(path, "wb");
        if (!f || fwrite(file.ptr, 1, file.len, f) != file.len || fclose(f)) return 1;
        fb_free(&file);
    }
    return 0;
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flatbuffer),
        cmocka_unit_test(test_flexbuffer),
        cmocka_unit_test(test_models),
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_same_as_onnx),
        cmocka_unit_test(test_every_number),
        cmocka_unit_test(test_shared_files),
        cmocka_unit_test(test_same_as_keras),
        cmocka_unit_test(test_signature),
        cmocka_unit_test(test_no_names),
        cmocka_unit_test(test_broken_models),
        cmocka_unit_test(test_broken_bytes),
        cmocka_unit_test(test_calls_that_do_not_end),
        cmocka_unit_test(test_overlapping_tables),
        cmocka_unit_test(test_metadata),
        cmocka_unit_test(test_broken_metadata),
        cmocka_unit_test(test_repeated_metadata),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_no_memory),
    };
    pg_error e = PG_ERROR_INIT;
    if (argc == 3 && !strcmp(argv[1], "--write")) return write_models(argv[2]);
    if (pg_catalog_open(&gpus, NULL, &e)) return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pg_catalog_free(gpus);
    return failed;
}
