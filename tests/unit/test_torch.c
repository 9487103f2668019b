/* PyTorch's files: what is read of each kind, the same network through several formats, sources that are made to do harm. */
#define _GNU_SOURCE
#include "load/torchscript.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "phantom/phantom.h"
#include "support/expect.h"
#include "support/gpus.h"
#include "support/heap.h"
#include "support/torch_archive.h"

#ifndef TEST_ROOT
#define TEST_ROOT "."
#endif

#define CASES TEST_ROOT "/tests/cases/pytorch/"
#define SHARED TEST_ROOT "/../shared/models/files/"

static pg_model *open_model(const char *path, const char *input, int rank, const int64_t *dims)
{
    pg_model *m;
    pg_error e = PG_ERROR_INIT;
    pg_input_shape shape = {.name = input, .rank = rank};
    for (int i = 0; i < rank; i++) shape.dims[i] = dims[i];
    pg_model_options o = {.input_shapes = &shape, .input_shape_count = rank ? 1 : 0};
    if (pg_model_open(&m, path, &o, &e)) fail_msg("%s: %s", path, e.text);
    return m;
}

static double latency(const pg_model *m)
{
    pg_plan *plan;
    pg_prediction p;
    pg_error e = PG_ERROR_INIT;
    pg_request r = {.batch = 1, .precision = "fp16", .runtime = "pytorch"};
    if (pg_plan_open(&plan, m, gpus, &r, &e)) fail_msg("%s", e.text);
    assert_int_equal(pg_plan_predict(plan, pg_catalog_find(gpus, "a100", &e), &p, &e), PG_E_OK);
    pg_plan_free(plan);
    return p.latency_ms;
}

/* ---- one network, several formats ---- */

/* Every NAME ENDING is the model that NAME REFERENCE is, with the same parameters where `parameters` says so. */
static void expect_same(const char *name, const char *reference, const char *const *endings, bool parameters, int rank,
                        const int64_t *dims)
{
    char path[256];
    snprintf(path, sizeof path, CASES "%s%s", name, reference);
    pg_model *first = open_model(path, "x", rank, dims);
    const pg_model_info *want = pg_model_describe(first);
    double ms = latency(first);
    assert_true(want->macs > 0);
    for (; *endings; endings++) {
        snprintf(path, sizeof path, CASES "%s%s", name, *endings);
        pg_model *m = open_model(path, "x", rank, dims);
        const pg_model_info *i = pg_model_describe(m);
        double have = latency(m);
        if (i->macs != want->macs) fail_msg("%s: %.0f MACs instead of %.0f", path, i->macs, want->macs);
        if (parameters && i->parameters != want->parameters)
            fail_msg("%s: %.0f parameters instead of %.0f", path, i->parameters, want->parameters);
        bool views = strstr(
            path, "shifted_decomposed"); /* of its writes, which only the host's time knows: there are fewer */
        if (fabs(have / ms - 1) > (views ? 0.03 : 0.02)) fail_msg("%s: %.4f ms instead of %.4f ms", path, have, ms);
        assert_int_equal(i->unknown_operator_count, 0);
        assert_true(i->has_batch);
        pg_model_free(m);
    }
    pg_model_free(first);
}

/* By a fifth at most. */
static void expect_faster(const char *name, const char *slow, const char *fast, int rank, const int64_t *dims)
{
    char paths[2][256];
    snprintf(paths[0], sizeof paths[0], CASES "%s%s", name, slow);
    snprintf(paths[1], sizeof paths[1], CASES "%s%s", name, fast);
    pg_model *a = open_model(paths[0], "x", rank, dims), *b = open_model(paths[1], "x", rank, dims);
    double ratio = latency(b) / latency(a);
    if (ratio > 0.98 || ratio < 0.8) fail_msg("%s: %g of %s's time", paths[1], ratio, paths[0]);
    assert_true(pg_model_describe(a)->macs == pg_model_describe(b)->macs);
    pg_model_free(a);
    pg_model_free(b);
}

#define ENDINGS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_same_as_onnx(void **state)
{
    (void)state;
    expect_same("conv", ".onnx", ENDINGS("_trace.pt", "_script.pt", ".pt2"), true, 4, (int64_t[]){1, 3, 32, 32});
    expect_same("attention", ".onnx", ENDINGS("_trace.pt", "_script.pt", ".pt2", "_old.pt2"), true, 3,
                (int64_t[]){1, 10, 16});
    expect_same("words", ".onnx", ENDINGS("_trace.pt", "_script.pt"), true, 2, (int64_t[]){1, 100});
}

/* As PyTorch 2.6 wrote them, with a batch of two. ONNX files have the batch normalisations folded and a tied head twice; frozen
 * modules have equal weights once. */
static void test_same_as_exported(void **state)
{
    (void)state;
    const int64_t image[] = {2, 3, 32, 32}, words[] = {2, 6}, features[] = {2, 6, 32}, narrow[] = {2, 6, 16},
                  windows[] = {2, 8, 8, 8};
    expect_same("residual", "_dynamic.pt2", ENDINGS("_trace.pt", "_static.pt2", "_decomposed.pt2"), true, 4, image);
    expect_same("residual", "_dynamic.pt2", ENDINGS(".onnx"), false, 4, image);
    expect_faster("residual", "_dynamic.pt2", "_frozen.pt", 4, image); /* folded normalisations are nothing to issue */
    expect_same("gpt", "_dynamic.pt2", ENDINGS("_trace.pt", "_script.pt", "_static.pt2"), true, 2, words);
    expect_same("gpt", "_dynamic.pt2", ENDINGS(".onnx", "_frozen.pt"), false, 2, words);
    expect_same("rotary", "_dynamic.pt2", ENDINGS("_trace.pt", "_script.pt", "_static.pt2"), true, 3, features);
    expect_same("encoder", "_dynamic.pt2", ENDINGS("_trace.pt", "_static.pt2"), true, 3, narrow);
    expect_same("shifted", "_dynamic.pt2", ENDINGS(".onnx", "_trace.pt", "_static.pt2"), true, 4, windows);
}

/* What run_decompositions() leaves of calls: products of two dims, masks of positions, where() for activations. */
static void test_same_as_decomposed(void **state)
{
    (void)state;
    const int64_t words[] = {2, 6}, features[] = {2, 6, 32}, narrow[] = {2, 6, 16}, windows[] = {2, 8, 8, 8};
    expect_same("gpt", "_dynamic.pt2", ENDINGS("_decomposed.pt2"), true, 2, words);
    expect_same("rotary", "_dynamic.pt2", ENDINGS("_decomposed.pt2"), true, 3, features);
    expect_same("encoder", "_dynamic.pt2", ENDINGS("_decomposed.pt2"), true, 3, narrow);
    expect_same("shifted", "_dynamic.pt2", ENDINGS("_decomposed.pt2"), true, 4, windows);
    expect_same("gated", "_dynamic.pt2", ENDINGS("_decomposed.pt2", "_trace.pt"), true, 3, narrow);
}

/* Sizes that are products of two symbols hold at all of them. */
static void test_free_sizes(void **state)
{
    (void)state;
    const int64_t sizes[][2] = {{2, 6}, {1, 6}, {5, 17}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        pg_model *a = open_model(CASES "gpt_dynamic.pt2", "x", 2, sizes[i]);
        pg_model *b = open_model(CASES "gpt_decomposed.pt2", "x", 2, sizes[i]);
        const pg_model_info *p = pg_model_describe(a), *q = pg_model_describe(b);
        double tokens = (double)sizes[i][1];
        assert_true(p->macs == tokens * (8 * 24 + 8 * 8 + 2 * 8 * 32 + 8 * 20 + 2 * 8 * tokens));
        assert_true(p->macs == q->macs && p->parameters == q->parameters);
        assert_string_equal(p->inputs[0].dims[0].text, "batch");
        assert_string_equal(p->sequence_symbol, "sequence");
        assert_string_equal(q->outputs[0].dims[1].text, "sequence");
        pg_model_free(a);
        pg_model_free(b);
    }
}

/* Another batch: sizes in the graph follow it. */
static void test_batch(void **state)
{
    static const char *const names[] = {
        "conv_trace.pt",  "conv_script.pt",     "conv.pt2",         "attention_trace.pt", "attention.pt2",
        "words_trace.pt", "flow_script.pt",     "flow_trace.pt",    "gpt_static.pt2",     "gpt_decomposed.pt2",
        "gpt_trace.pt",   "encoder_static.pt2", "encoder_trace.pt", "rotary_static.pt2",  "residual_static.pt2"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[256];
        pg_error e = PG_ERROR_INIT;
        pg_plan *one, *many;
        pg_prediction a, b;
        snprintf(path, sizeof path, CASES "%s", names[i]);
        pg_model *m = open_model(path, "", 0, NULL);
        assert_int_equal(pg_plan_open(&one, m, gpus, &(pg_request){.batch = 1}, &e), PG_E_OK);
        if (pg_plan_open(&many, m, gpus, &(pg_request){.batch = 64}, &e)) fail_msg("%s: %s", names[i], e.text);
        const pg_gpu *gpu = pg_catalog_find(gpus, "a100", &e);
        assert_int_equal(pg_plan_predict(one, gpu, &a, &e), PG_E_OK);
        assert_int_equal(pg_plan_predict(many, gpu, &b, &e), PG_E_OK);
        if (!(b.flops > 40 * a.flops)) fail_msg("%s: %.0f FLOPs at 64, %.0f at 1", names[i], b.flops, a.flops);
        pg_plan_free(one);
        pg_plan_free(many);
        pg_model_free(m);
    }
}

static void expect_weights(const char *name, double parameters, const char *warning)
{
    char path[256];
    snprintf(path, sizeof path, CASES "%s", name);
    pg_model *m = open_model(path, "", 0, NULL);
    const pg_model_info *i = pg_model_describe(m);
    assert_string_equal(i->format, "pytorch");
    if (i->parameters != parameters) fail_msg("%s: %.0f parameters", name, i->parameters);
    assert_non_null(i->no_graph);
    if (warning && !warns(m, warning)) fail_msg("%s does not warn of '%s'", name, warning);
    pg_model_free(m);
}

static void test_weights_alone(void **state)
{
    (void)state;
    expect_weights("state.pth", 2418, NULL);
    expect_weights("legacy.pth", 15, NULL);
    expect_weights("checkpoint.pth", 2418, "'optimizer' (what training needs): 24 tensors of 4.84 k numbers");
    expect_weights("tied.pth", 72, "2 tensors share their storage");
    expect_weights("module.pt", 240, "pickled module of the class torch.nn.modules.container.Sequential");
}

static void test_guards(void **state)
{
    (void)state;
    pg_model *m = open_model(CASES "guarded_script.pt", "", 0, NULL);
    const pg_model_info *i = pg_model_describe(m);
    assert_int_equal(i->inputs[0].rank, 2);
    assert_int_equal(i->inputs[0].dims[1].value, 24);
    assert_true(warns(m, "'rate' is taken for 16000"));
    assert_true(i->macs == 24 * 4); /* the branch of that rate */
    pg_model_free(m);
}

/* Loops unrolled, conditions decided, in-place operators kept. */
static void test_flow(void **state)
{
    (void)state;
    pg_model *m = open_model(CASES "flow_script.pt", "", 0, NULL);
    const pg_model_info *i = pg_model_describe(m);
    uint64_t mul = 0, add = 0, sub = 0, scatter = 0;
    for (size_t k = 0; k < i->operator_count_count; k++) {
        const pg_count *c = &i->operator_counts[k];
        mul += strcmp(c->name, "Mul") ? 0 : c->count;
        add += strcmp(c->name, "Add") ? 0 : c->count;
        sub += strcmp(c->name, "Sub") ? 0 : c->count;
        scatter += strcmp(c->name, "TensorScatter") ? 0 : c->count;
    }
    assert_int_equal(mul, 5);
    assert_int_equal(add, 2);
    assert_int_equal(sub, 2);
    assert_true(scatter >= 1);
    assert_int_equal(i->output_count, 2);
    pg_model_free(m);
}

/* Modules that keep their weights packed, and unpack them by a method. */
static void test_quantised(void **state)
{
    (void)state;
    pg_model *m = open_model(CASES "quantised_script.pt", "x", 4, (int64_t[]){1, 3, 16, 16});
    const pg_model_info *i = pg_model_describe(m);
    assert_true(i->parameters == 340);
    assert_true(i->macs == 8 * 8 * (8 * 27 + 8 * 9) + 32);
    assert_int_equal(i->unknown_operator_count, 0);
    assert_string_equal(i->weights_by_dtype[0].name, "int8");
    pg_model_free(m);
}

static void test_unknown_operator(void **state)
{
    (void)state;
    pg_model *m = open_model(CASES "unknown.pt2", "", 0, NULL);
    const pg_model_info *i = pg_model_describe(m);
    assert_int_equal(i->unknown_operator_count, 1);
    assert_string_equal(i->unknown_operators[0].name, "odd");
    assert_true(warns(m, "first branch"));
    assert_int_equal(i->outputs[0].rank, 1); /* of the size that the file declares */
    pg_model_free(m);
}

/* Archives of several models, as PyTorch 2.8 and newer write them: one of them is read, which may be asked for. */
static void test_several_models(void **state)
{
    (void)state;
    pg_error e = PG_ERROR_INIT;
    pg_model *m = open_model(CASES "several.pt2", "", 0, NULL), *conv = open_model(CASES "conv.pt2", "", 0, NULL);
    assert_true(warns(m, "the archive holds 2 models (encoder, decoder), of which 'encoder' is read"));
    assert_true(pg_model_describe(m)->macs == pg_model_describe(conv)->macs);
    pg_model_free(conv);
    pg_model_free(m);
    assert_int_equal(pg_model_open(&m, CASES "several.pt2", &(pg_model_options){.signature = "decoder"}, &e), PG_E_OK);
    assert_int_equal(pg_model_describe(m)->warning_count, 0);
    assert_true(pg_model_describe(m)->macs == 32); /* of the region that is called by its name */
    expect_shape(&pg_model_describe(m)->outputs[0], "batchx4");
    pg_model_free(m);
    assert_int_equal(pg_model_open(&m, CASES "several.pt2", &(pg_model_options){.signature = "no"}, &e), PG_E_USAGE);
    expect_refused(m, &e, PG_E_USAGE, "the archive has no model 'no'; it has: encoder, decoder");
    e = (pg_error)PG_ERROR_INIT;
    assert_int_equal(pg_model_open(&m, CASES "compiled.pt2", NULL, &e), PG_E_UNSUPPORTED);
    expect_refused(m, &e, PG_E_UNSUPPORTED, "code that AOTInductor compiled for one machine, and no graph");
}

/* ---- sources, made for the purpose ---- */

/* An archive of the module __torch__.M without attributes, and this source. */
static pg_code open_source(const char *source, pg_model **m, pg_error *e)
{
    static torch_archive z;
    char path[] = "/tmp/phantom-torch-XXXXXX";
    size_t n = torch_archive_of(&z, source, strlen(source));
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, z.bytes, n) == (ssize_t)n);
    close(fd);
    *e = (pg_error)PG_ERROR_INIT;
    pg_code code = pg_model_open(m, path, &(pg_model_options){.format = "pytorch"}, e);
    unlink(path);
    return code;
}

#define FORWARD "class M(Module):\n  def forward(self: __torch__.M, x: Tensor) -> Tensor:\n"

static void expect_warning(const char *source, const char *warning)
{
    pg_model *m;
    pg_error e;
    pg_code code = open_source(source, &m, &e);
    if (code) {
        if (!strstr(e.text, warning)) fail_msg("'%s' instead of '%s'", e.text, warning);
        return;
    }
    if (!warns(m, warning))
        fail_msg("no warning of '%s', but '%s'", warning,
                 pg_model_describe(m)->warning_count ? pg_model_describe(m)->warnings[0] : "none");
    pg_model_free(m);
}

static uint64_t operators_of(const char *source)
{
    pg_model *m;
    pg_error e;
    if (open_source(source, &m, &e)) fail_msg("%s", e.text);
    uint64_t n = pg_model_describe(m)->operators;
    pg_model_free(m);
    return n;
}

static void test_statements(void **state)
{
    (void)state;
    assert_int_equal(operators_of(FORWARD "    return torch.relu(x)\n"), 1);
    assert_int_equal(operators_of(FORWARD "    for i in range(5):\n      x = torch.add(x, i)\n    return x\n"), 5);
    assert_int_equal(
        operators_of(
            FORWARD
            "    i = 0\n    while torch.lt(i, 3):\n      x = torch.sin(x)\n      i = torch.add(i, 1)\n    return x\n"),
        3);
    assert_int_equal(
        operators_of(
            FORWARD
            "    if torch.eq(torch.dim(x), 4):\n      y = torch.relu(x)\n    else:\n      y = torch.sin(torch.sin(x))\n    return y\n"),
        1);
    assert_int_equal(
        operators_of(
            FORWARD
            "    l = annotate(List[Tensor], [])\n    for i in range(3):\n      _0 = torch.append(l, torch.cos(x))\n    return torch.cat(l, 1)\n"),
        4);
    assert_int_equal(operators_of(FORWARD "    a, b, = torch.chunk(x, 2, 2)\n    return torch.mul(a, b)\n"), 2);
    assert_int_equal(
        operators_of(FORWARD "    y = torch.relu(x) if torch.gt(torch.size(x, 1), 2) else x\n    return -y\n"), 2);
    assert_int_equal(
        operators_of(
            FORWARD
            "    f = __torch__.g\n    return f(x, n=3, )\n"
            "def g(x: Tensor,\n    n: int=1) -> Tensor:\n  for i in range(n):\n    if torch.eq(i, 1):\n      break\n    else:\n      pass\n    x = torch.tan(x)\n  return x\n"),
        1);
    assert_int_equal(
        operators_of(FORWARD "    with torch.no_grad():\n      d = {\"a\": torch.exp(x)}\n    return d[\"a\"]\n"), 1);
}

static void expect_result(const char *source, const char *shape)
{
    pg_model *m;
    pg_error e;
    if (open_source(source, &m, &e)) fail_msg("%s", e.text);
    assert_int_equal(pg_model_describe(m)->unknown_operator_count, 0);
    expect_shape(&pg_model_describe(m)->outputs[0], shape);
    pg_model_free(m);
}

/* As detectors are scripted: a list of images, each by itself, and a dict that is filled. */
static void test_images(void **state)
{
    (void)state;
    const char *source = "class M(Module):\n  def forward(self: __torch__.M, images: List[Tensor]) -> Tensor:\n"
                         "    out = torch.dict()\n    torch._set_item(out, \"a\", torch.relu(images[0]))\n"
                         "    y = torch.list(torch.values(out))\n    return y[0]\n";
    pg_model *m;
    pg_error e;
    if (open_source(source, &m, &e)) fail_msg("%s", e.text);
    assert_false(pg_model_describe(m)->has_batch);
    assert_string_equal(pg_model_describe(m)->inputs[0].name, "images.0");
    expect_shape(&pg_model_describe(m)->outputs[0], "3x224x224");
    pg_model_free(m);
    expect_result(FORWARD "    if torch.eq(ops.prim.type(ops.prim.device(x)), \"cpu\"):\n      y = torch.sum(x)\n"
                          "    else:\n      y = x\n    return y\n",
                  "batchx3x224x224");
    expect_result(FORWARD "    return torch.arange(0, 12, 4, dtype=4, layout=None, device=ops.prim.device(x))\n", "3");
    expect_result(FORWARD "    return torch.arange(0, 12, dtype=4, layout=None, device=ops.prim.device(x))\n", "12");
}

/* The input is [batch, 3, 224, 224]. */
static void test_results(void **state)
{
    (void)state;
    /* rotation by complex numbers, as Llama's authors wrote it */
    expect_result(
        FORWARD
        "    b = torch.size(x, 0)\n    p = torch.reshape(x, [b, 3, 224, 112, 2])\n"
        "    z = torch.view_as_complex(p)\n    f = torch.polar(torch.ones([224, 112]), torch.ones([224, 112]))\n"
        "    return torch.flatten(torch.view_as_real(torch.mul(z, f)), -2)\n",
        "batchx3x224x224");
    expect_result(FORWARD "    return torch.view_as_complex(torch.reshape(x, [-1, 7, 2]))\n", "10752*batchx7");
    /* picked from two axes: next to each other they give way where they stand, else in front */
    expect_result(FORWARD "    i = torch.arange(5)\n    j = torch.unsqueeze(i, 1)\n"
                          "    return torch.index(x, [None, None, j, i])\n",
                  "batchx3x5x5");
    expect_result(FORWARD "    i = torch.arange(5)\n    return torch._unsafe_index(x, [None, i, i])\n", "batchx5x224");
    expect_result(FORWARD "    return torch.outer(torch.arange(5), torch.arange(6))\n", "5x6");
    expect_result(FORWARD "    w = torch.ones([50, 8])\n    y, _0, _1, _2, = torch.embedding_bag(w, torch.arange(12), "
                          "torch.arange(4))\n    return y\n",
                  "4x8");
}

/* Operators that only their sizes tell from others of their file. */
static void test_more_results(void **state)
{
    (void)state;
#define OF(expression, shape) expect_result(FORWARD "    return " expression "\n", shape)
    OF("torch.im2col(x, [3, 3], [1, 1], [1, 1], [2, 2])", "batchx27x12544");
    OF("torch.col2im(torch.im2col(x, [2, 2], [1, 1], [0, 0], [2, 2]), [224, 224], [2, 2], [1, 1], [0, 0], [2, 2])",
       "batchx3x224x224");
    OF("torch.unfold(x, 2, 16, 16)", "batchx3x14x224x16");
    OF("torch.unfold(x, 2, 16, 8)", "batchx3x27x224x16");
    OF("torch.diagonal(x, 2, 2, 3)", "batchx3x222");
    OF("torch.diagonal(x, 0, 0, 1)", "224x224x1");
    OF("torch.channel_shuffle(x, 3)", "batchx3x224x224");
    OF("torch.as_strided(x, [-1, 3, 112, 448], [150528, 50176, 448, 1])", "batchx3x112x448");
    OF("torch.cosine_similarity(x, torch.relu(x), 1, 1e-8)", "batchx224x224");
    OF("torch.pairwise_distance(x, torch.relu(x))", "batchx3x224");
    OF("torch.cdist(x, torch.relu(x), 2.)", "batchx3x224x224");
    OF("torch.roll(x, [1, 1], [2, 3])", "batchx3x224x224");
    OF("torch.one_hot(torch.arange(5), 7)", "5x7");
    OF("torch.inner(x, torch.ones([10, 224]))", "batchx3x224x10");
    expect_result(
        FORWARD
        "    a, b, c, = torch.tensor_split(self=x, indices=[100, -24], dim=2)\n    return torch.cat([b, a], 1)\n",
        "batchx6x100x224");
    OF("torch.hstack([x, x])", "batchx6x224x224");
    OF("torch.vstack([torch.ones([4]), torch.ones([4])])", "2x4");
    OF("torch.permute_copy(x, [0, 2, 3, 1])", "batchx224x224x3");
    OF("torch._safe_softmax(x, -1)", "batchx3x224x224");
    OF("torch.affine_grid_generator(torch.ones([2, 2, 3]), [2, 3, 8, 6], False)", "2x8x6x2");
    OF("torch.roi_align(x, torch.ones([9, 5]), 0.25, 7, 7, 2, False)", "9x3x7x7");
    OF("torch.bilinear(torch.ones([5, 6]), torch.ones([5, 4]), torch.ones([3, 6, 4]), torch.ones([3]))", "5x3");
    OF("torch.bilinear(torch.ones([5, 2, 6]), torch.ones([5, 2, 4]), torch.ones([3, 6, 4]), None)", "5x2x3");
#undef OF
}

/* Code that refuses rows of features takes sequences of them. */
static void test_sequences_of_features(void **state)
{
    (void)state;
    pg_model *m = open_model(CASES "grouped_trace.pt", "", 0, NULL);
    const pg_model_info *i = pg_model_describe(m);
    expect_shape(&i->inputs[0], "batchxsequencex32");
    expect_shape(&i->outputs[0], "batchxsequencex32");
    assert_true(i->macs == 128 * (32 * 32 + 16 * 32) + 2 * 32 * 128 * 128);
    pg_model_free(m);
    m = open_model(CASES "repeated_static.pt2", "", 0, NULL);
    assert_true(pg_model_describe(m)->macs == 64 && warns(m, "how often a loop runs depends on the data"));
    pg_model_free(m);
}

/* What is asked of an input behind a change of its first two dims is asked of the input. */
static void test_turned_input(void **state)
{
    (void)state;
    expect_result(FORWARD "    y = torch.transpose(x, 0, 1)\n"
                          "    return torch.transpose(torch.linear(y, torch.ones([5, 16])), 0, 1)\n",
                  "batchxsequencex5");
}

static void test_harmful_sources(void **state)
{
    (void)state;
    expect_warning(FORWARD "    for i in range(1000000000):\n      x = torch.relu(x)\n    return x\n",
                   "a loop of 1000000000 rounds is costed as one");
    expect_warning(FORWARD "    while True:\n      x = torch.relu(x)\n    return x\n", "more than 4096 rounds");
    expect_warning(FORWARD "    return (self).forward(x, )\n", "nested too deeply, or call themselves");
    expect_warning(
        FORWARD
        "    for i in range(4000):\n      for j in range(4000):\n        for k in range(4000):\n          y = i\n    return x\n",
        "too many steps");
    expect_warning(
        FORWARD "    l = [1]\n    for i in range(60):\n      l = torch.add(l, l)\n    return torch.view(x, l)\n", "");
    expect_warning(FORWARD "    l = [x]\n    for i in range(40):\n      l = [l, l]\n    return torch.cat(l, 1)\n", "");
    expect_warning(FORWARD "    return torch.relu(x\n", "the source is damaged");
    expect_warning(FORWARD "    return torch.conv2d(x, x, None, [0, 0], [1], [1], 0)\n", "");
    expect_warning(
        FORWARD "    return torch.view(x, [9223372036854775807, 9223372036854775807, 9223372036854775807])\n", "");
    expect_warning(FORWARD "    return torch.zeros([9223372036854775807, 9223372036854775807])\n", "");
    expect_warning(FORWARD "    return torch.unbind(torch.zeros([1000000000]))\n", "");
    expect_warning("class M(Module):\n  pass\n", "has no forward()");
    expect_warning("", "has no forward()");
    char deep[4096] = FORWARD "    return ";
    size_t n = strlen(deep);
    memset(deep + n, '(', 2000);
    deep[n + 2000] = '\0';
    expect_warning(deep, "nested more than 200 deep");
}

/* ---- the parser ---- */

static void test_parser_positions(void **state)
{
    static const struct {
        const char *source;
        uint32_t line;
    } cases[] = {{"x = (1,\n2\n\n", 4}, {"a = 1\nif a:\nb = 2\n", 3},
                 {"a = \"b\n", 1},      {"a = 1\n  b = 2\n", 2},
                 {"def f(:\n", 1},      {"a = 1 1\n", 1}};
    (void)state;
    test_heap heap = {.fail_at = -1};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        arena a;
        script_list out;
        pg_error e = PG_ERROR_INIT;
        arena_init(&a, (allocator){heap_resize, &heap}, 1 << 20);
        span s = {(const uint8_t *)cases[i].source, strlen(cases[i].source), 0};
        assert_int_equal(script_parse(s, &a, &out, &e), PG_E_FORMAT);
        if (e.line != cases[i].line) fail_msg("'%s': line %u: %s", cases[i].source, (unsigned)e.line, e.text);
        arena_free(&a);
    }
    assert_int_equal(heap.live, 0);
}

/* ---- files of strangers, where they lie beside the tree ---- */

static void test_shared(void **state)
{
    static const struct {
        const char *name;
        double parameters, macs;
        uint64_t operators;
    } files[] = {{"squeezenet1_1_torchscript.pt", 1235496, 349e6, 65},
                 {"mobilenet_v3_small_state_dict.pth", 2542856, 56.5e6, 156},
                 {"shufflenet_v2_x0_5_module.pt", 1366792, 40.5e6, 230},
                 {"lstm_trace.pt", 231178, 21.0e6, 0},
                 {"silero_vad.jit", 243585, 680e3, 0}};
    (void)state;
    if (access(SHARED "lstm_trace.pt", R_OK)) skip();
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[256];
        snprintf(path, sizeof path, SHARED "%s", files[i].name);
        pg_model *m = open_model(path, "", 0, NULL);
        const pg_model_info *info = pg_model_describe(m);
        if (info->parameters != files[i].parameters) fail_msg("%s: %.0f parameters", path, info->parameters);
        if (fabs(info->macs / files[i].macs - 1) > 0.01) fail_msg("%s: %.0f MACs", path, info->macs);
        if (files[i].operators && info->operators != files[i].operators)
            fail_msg("%s: %u operators", path, (unsigned)info->operators);
        assert_int_equal(info->unknown_operator_count, 0);
        pg_model_free(m);
    }
    /* one network of a stranger in two formats: its context of 64 samples is in front of the input here, inside of it there */
    pg_model *script = open_model(SHARED "silero_vad.jit", "", 0, NULL);
    pg_model *onnx = open_model(SHARED "silero_vad.onnx", "input", 2, (int64_t[]){1, 576});
    assert_true(fabs(pg_model_describe(script)->macs / pg_model_describe(onnx)->macs - 1) < 0.001);
    pg_model_free(script);
    pg_model_free(onnx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_as_onnx),
        cmocka_unit_test(test_same_as_exported),
        cmocka_unit_test(test_same_as_decomposed),
        cmocka_unit_test(test_free_sizes),
        cmocka_unit_test(test_batch),
        cmocka_unit_test(test_weights_alone),
        cmocka_unit_test(test_guards),
        cmocka_unit_test(test_flow),
        cmocka_unit_test(test_unknown_operator),
        cmocka_unit_test(test_several_models),
        cmocka_unit_test(test_quantised),
        cmocka_unit_test(test_statements),
        cmocka_unit_test(test_images),
        cmocka_unit_test(test_results),
        cmocka_unit_test(test_more_results),
        cmocka_unit_test(test_sequences_of_features),
        cmocka_unit_test(test_turned_input),
        cmocka_unit_test(test_harmful_sources),
        cmocka_unit_test(test_parser_positions),
        cmocka_unit_test(test_shared),
    };
    return cmocka_run_group_tests(tests, open_gpus, close_gpus);
}
