/* Shape inference on graphs built by hand: symbols, folding, re-batching, contradictions, control flow, and graphs
 * of pure nonsense. What files of a real format give is in tests/conformance. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "graph/num.h"
#include "graph/shape.h"
#include "support/heap.h"

/* ---- a graph in few words ---- */

static test_heap heap;
static arena memory;
static graph g;
static shapes s;
static pg_error error;
static int32_t batch, seq;
static char text[256];

static void begin(void)
{
    heap = (test_heap){.fail_at = -1};
    arena_init(&memory, (allocator){heap_resize, &heap}, 0);
    assert_true(graph_init(&g, &memory));
    batch = graph_add_symbol(&g, STR("batch"), 2);
    seq = graph_add_symbol(&g, STR("seq"), 10);
    g.batch_symbol = batch;
}

static void end(void)
{
    arena_free(&memory);
    assert_int_equal(heap.live, 0);
}

static num sym(int32_t symbol)
{
    return (num){{.i = 0}, 1, symbol};
}

/* Dims end with -1; B and S stand for the symbols. */
enum { B = -100, S = -101 };

static uint32_t input_of(dtype d, const int64_t *dims)
{
    num n[MAX_RANK];
    int rank = 0;
    for (; dims[rank] != -1; rank++)
        n[rank] = dims[rank] == B ? sym(batch) : dims[rank] == S ? sym(seq) : num_int(dims[rank]);
    uint32_t t = graph_add_tensor(&g, STR("in"), d);
    assert_true(graph_set_dims(&g, t, rank, n));
    assert_true(graph_add_input(&g, 0, t));
    return t;
}
#define INPUT(...) input_of(DT_FP32, (const int64_t[]){__VA_ARGS__, -1})

static uint32_t weight_of(const int64_t *dims)
{
    int rank = 0;
    while (dims[rank] != -1) rank++;
    return graph_add_weight(&g, STR("w"), DT_FP32, rank, dims);
}
#define WEIGHT(...) weight_of((const int64_t[]){__VA_ARGS__, -1})

static uint32_t ints_of(const int64_t *v, size_t n)
{
    return graph_add_ints(&g, STR("c"), 1, v, (uint32_t)n);
}
#define INTS(...) ints_of((const int64_t[]){__VA_ARGS__}, sizeof((const int64_t[]){__VA_ARGS__}) / 8)

static uint32_t scalar(int64_t v)
{
    return graph_add_ints(&g, STR("c"), 0, &v, 1);
}

static uint32_t op_of(uint32_t where, op_kind kind, const uint32_t *in, size_t n)
{
    uint32_t out = graph_add_tensor(&g, STR("t"), DT_UNKNOWN);
    uint32_t o = graph_add_op(&g, where, kind, STR("n"), in, (uint32_t)n, &out, 1);
    assert_int_not_equal(o, NO_TENSOR);
    return out;
}
#define OP(kind, ...) op_of(0, OP_##kind, (const uint32_t[]){__VA_ARGS__}, sizeof((const uint32_t[]){__VA_ARGS__}) / 4)
#define OP_IN(region, kind, ...) \
    op_of(region, OP_##kind, (const uint32_t[]){__VA_ARGS__}, sizeof((const uint32_t[]){__VA_ARGS__}) / 4)
#define ATTRS(key, ...) \
    assert_true(        \
        graph_attr_ints(&g, ATTR_##key, (const int64_t[]){__VA_ARGS__}, sizeof((const int64_t[]){__VA_ARGS__}) / 8))
#define ATTR1(key, v) assert_true(graph_attr_int(&g, ATTR_##key, v))

static pg_code infer_at(int64_t batch_size)
{
    int64_t binding[8] = {0};
    binding[batch] = batch_size;
    error = (pg_error)PG_ERROR_INIT;
    return shapes_infer(&s, &g, &(shape_options){binding, 0}, &memory, &error);
}

static const char *shape_of(uint32_t t)
{
    const tensor_shape *shape = &s.t[t];
    if (shape->rank < 0) return "?";
    size_t n = format_text(text, sizeof text, "[");
    for (int i = 0; i < shape->rank; i++) {
        n += format_text(text + n, sizeof text - n, i ? ", " : "");
        n += num_format(text + n, sizeof text - n, shape->dims[i], &s);
    }
    format_text(text + n, sizeof text - n, "]");
    return text;
}

#define assert_shape(t, expected) assert_string_equal(shape_of(t), expected)
static void assert_infers(int64_t batch_size)
{
    if (infer_at(batch_size)) fail_msg("%s: %s", error.path, error.text);
}
static void assert_contradiction(const char *words)
{
    assert_int_equal(infer_at(2), PG_E_GRAPH);
    if (!strstr(error.text, words)) fail_msg("\"%s\" isn't in \"%s\"", words, error.text);
    assert_string_equal(error.path, "node 'n'");
}

/* ---- numbers ---- */

static num form(int64_t value, int32_t k, int32_t symbol)
{
    return (num){{.i = value}, k, symbol};
}

static void assert_num(num n, int64_t value, int32_t k, int32_t symbol)
{
    assert_int_equal(n.sym, symbol);
    if (symbol == SYM_UNKNOWN) return;
    assert_int_equal(n.v.i, value);
    assert_int_equal(n.k, k);
}

static void test_num(void **state)
{
    (void)state;
    num x = form(7, 1, 0), y = form(11, 1, 1), two = num_int(2); /* symbol 0 is 7, symbol 1 is 11 */
    assert_num(num_add(x, two), 9, 1, 0);
    assert_num(num_add(x, x), 14, 2, 0);
    assert_num(num_sub(x, x), 0, 0, SYM_NONE);
    assert_num(num_sub(two, x), -5, -1, 0);
    assert_num(num_add(x, y), 18, 0, SYM_OPAQUE);
    assert_num(num_mul(x, num_int(3)), 21, 3, 0);
    assert_num(num_mul(num_int(0), x), 0, 0, SYM_NONE);
    assert_num(num_mul(x, x), 49, 0, SYM_OPAQUE);
    assert_num(num_floor_div(form(15, 2, 0), two), 7, 1, 0); /* 2x+1 over 2 is x, for every x */
    assert_num(num_floor_div(x, two), 3, 0, SYM_OPAQUE);
    assert_num(num_ceil_div(form(15, 2, 0), two), 8, 1, 0);
    assert_num(num_floor_div(form(28, 4, 0), form(14, 2, 0)), 2, 0, SYM_NONE);
    assert_num(num_floor_mod(form(29, 4, 0), num_int(4)), 1, 0, SYM_NONE);
    assert_num(num_floor_div(num_int(-7), two), -4, 0, SYM_NONE);
    assert_num(num_trunc_div(num_int(-7), two), -3, 0, SYM_NONE);
    assert_num(num_floor_mod(num_int(-7), num_int(3)), 2, 0, SYM_NONE);
    assert_num(num_min(x, num_add(x, two)), 7, 1, 0);
    assert_num(num_max(x, two), 7, 0, SYM_OPAQUE);
    assert_num(num_add(num_int(INT64_MAX), two), 0, 0, SYM_UNKNOWN);
    assert_num(num_mul(num_int(INT64_MAX), two), 0, 0, SYM_UNKNOWN);
    assert_num(num_mul(form(7, INT32_MAX, 0), num_int(4)), 28, 0, SYM_OPAQUE);
    assert_num(num_floor_div(x, num_int(0)), 0, 0, SYM_UNKNOWN);
    assert_num(num_floor_div(num_int(INT64_MIN), num_int(-1)), 0, 0, SYM_UNKNOWN);
    assert_num(num_add(x, num_unknown()), 0, 0, SYM_UNKNOWN);
    assert_num(num_bind(form(1, 2, 0), (const int64_t[]){7}), 15, 2, 0);
    assert_num(num_bind(form(INT64_MAX, 2, 0), (const int64_t[]){7}), 0, 0, SYM_UNKNOWN);
}

/* ---- symbols ---- */

static void test_symbols(void **state)
{
    (void)state;
    begin();
    uint32_t image = INPUT(B, 3, 224, 224);
    uint32_t conv = OP(Conv, image, WEIGHT(64, 3, 7, 7));
    ATTRS(strides, 2, 2);
    ATTRS(pads, 3, 3, 3, 3);
    uint32_t pool = OP(MaxPool, conv);
    ATTRS(kernel_shape, 3, 3);
    ATTRS(strides, 2, 2);
    uint32_t flat = OP(Flatten, pool);
    uint32_t ids = INPUT(B, S, 768);
    uint32_t both = OP(Concat, ids, ids);
    ATTR1(axis, 1);
    uint32_t tail = OP(Slice, both, INTS(1), INTS(INT64_MAX), INTS(1));
    uint32_t heads = OP(Reshape, ids, INTS(0, -1, 12, 64));
    uint32_t turned = OP(Transpose, heads);
    ATTRS(perm, 0, 2, 3, 1);
    uint32_t left = OP(Transpose, heads);
    ATTRS(perm, 0, 2, 1, 3);
    uint32_t scores = OP(MatMul, left, turned);
    uint32_t merged = OP(Reshape, ids, INTS(-1, 768));
    uint32_t half = OP(Slice, both, INTS(0), INTS(INT64_MAX), INTS(1), INTS(2));
    assert_infers(5);
    assert_shape(conv, "[batch, 64, 112, 112]");
    assert_shape(pool, "[batch, 64, 55, 55]");
    assert_shape(flat, "[batch, 193600]");
    assert_shape(both, "[batch, 2*seq, 768]");
    assert_shape(tail, "[batch, 2*seq-1, 768]");
    assert_shape(heads, "[batch, seq, 12, 64]");
    assert_shape(scores, "[batch, 12, seq, seq]");
    assert_shape(merged, "[50, 768]"); /* batch * seq: a product of two symbols has no name, but the right value */
    assert_shape(half, "[batch, seq, 768]");
    assert_int_equal(s.unknown_outputs, 0);
    assert_int_equal(s.t[conv].dims[0].v.i, 5);
    end();
}

/* What exporters write for x.view(x.size(0), x.size(1) // 2, -1): a chain of shape arithmetic. */
static void test_shape_arithmetic(void **state)
{
    (void)state;
    begin();
    uint32_t x = INPUT(B, 256, 14, 14);
    uint32_t shape = OP(Shape, x);
    uint32_t n = OP(Gather, shape, scalar(0));
    uint32_t c = OP(Gather, shape, scalar(1));
    uint32_t half = OP(Div, c, scalar(2));
    uint32_t target = OP(Concat, OP(Unsqueeze, n, INTS(0)), OP(Unsqueeze, half, INTS(0)), INTS(-1));
    ATTR1(axis, 0);
    uint32_t y = OP(Reshape, x, target);
    /* and through floats, as Resize of old exporters does */
    uint32_t f = OP(Cast, OP(Slice, shape, INTS(2), INTS(4)));
    ATTR1(to, 1);
    uint32_t two = graph_add_tensor(&g, STR("two"), DT_FP32);
    g.tensors[two].role = ROLE_WEIGHT;
    g.tensors[two].rank = 0;
    g.tensors[two].value = &(num){{.f = 2}, 0, SYM_NONE};
    g.tensors[two].value_count = 1;
    uint32_t big = OP(Cast, OP(Floor, OP(Mul, f, two)));
    ATTR1(to, 7);
    uint32_t sizes = OP(Concat, OP(Slice, shape, INTS(0), INTS(2)), big);
    ATTR1(axis, 0);
    uint32_t none = graph_add_tensor(&g, (str){NULL, 0}, DT_UNKNOWN);
    g.tensors[none].role = ROLE_ABSENT;
    uint32_t up = OP(Resize, x, none, none, sizes);
    /* the mask idiom: Where(Equal(shape, -1), ones, shape) */
    uint32_t like = OP(Concat, OP(Unsqueeze, n, INTS(0)), INTS(-1, -1, -1));
    ATTR1(axis, 0);
    uint32_t ones = OP(ConstantOfShape, OP(Shape, like));
    assert_true(graph_attr_index(&g, ATTR_value, ATTR_TENSOR, INTS(1)));
    uint32_t expand = OP(Expand, WEIGHT(1, 256, 1, 1),
                         OP(Where, OP(Equal, like, OP(Mul, ones, scalar(-1))), ones, like));
    assert_infers(3);
    assert_shape(y, "[batch, 128, 392]");
    assert_shape(up, "[batch, 256, 28, 28]");
    assert_shape(expand, "[batch, 256, 1, 1]");
    end();
}

static void test_partial_values(void **state)
{
    (void)state;
    begin();
    uint32_t x = INPUT(B, 6, 4);
    uint32_t found = OP(NonZero, x);
    uint32_t count = OP(Gather, OP(Shape, found), INTS(1));
    uint32_t target = OP(Concat, count, INTS(3));
    ATTR1(axis, 0);
    uint32_t y = OP(Expand, WEIGHT(1, 3), target);
    uint32_t wide = OP(Concat, count, INTS(4));
    ATTR1(axis, 0);
    uint32_t z = OP(Reshape, x, wide); /* the open dim follows from the number of elements */
    assert_infers(2);
    assert_shape(found, "[3, ?]");
    assert_shape(y, "[?, 3]");
    assert_shape(z, "[6*batch, 4]");
    assert_int_equal(s.unknown_outputs, 2);
    end();
}

/* ---- re-batching ---- */

static void fix_batch(int64_t b)
{
    g.fixed_batch = b;
}

static void test_rebatch_reshape(void **state)
{
    (void)state;
    begin();
    fix_batch(1);
    uint32_t x = INPUT(B, 768, 14, 14);
    uint32_t tokens = OP(Reshape, x, INTS(1, 768, 196));
    uint32_t open = OP(Reshape, x, INTS(1, 768, -1));
    uint32_t flat = OP(Reshape, x, INTS(-1, 196));
    uint32_t turned = OP(Transpose, tokens);
    ATTRS(perm, 2, 0, 1);
    uint32_t heads = OP(Reshape, turned, INTS(196, 12, 64)); /* PyTorch's attention: batch * heads in the middle */
    uint32_t back = OP(Reshape, OP(Transpose, heads), INTS(64, 1, 12, 196));
    ATTRS(perm, 0, 1, 2);
    (void)back;
    assert_infers(4);
    assert_shape(tokens, "[batch, 768, 196]");
    assert_shape(open, "[batch, 768, 196]");
    assert_shape(flat, "[768*batch, 196]");
    assert_shape(heads, "[196, 12*batch, 64]");
    assert_false(s.rebatch_unsafe);
    assert_true(s.rebatch_fixes >= 3);
    assert_infers(1); /* the file's own batch: nothing is altered */
    assert_int_equal(s.rebatch_fixes, 0);
    assert_int_equal(s.t[tokens].dims[0].v.i, 1);
    end();
}

static void test_rebatch_windows(void **state)
{
    (void)state;
    begin();
    fix_batch(2);
    uint32_t x = INPUT(B, 56, 56, 96);
    uint32_t a = OP(Reshape, x, INTS(2, 8, 7, 8, 7, 96));
    uint32_t b = OP(Transpose, a);
    ATTRS(perm, 0, 1, 3, 2, 4, 5);
    uint32_t windows = OP(Reshape, b, INTS(128, 49, 96));
    uint32_t back = OP(Reshape, windows, INTS(2, 8, 8, 7, 7, 96));
    uint32_t same = OP(Reshape, windows, INTS(-1, 49, 96));
    assert_infers(3);
    assert_shape(a, "[batch, 8, 7, 8, 7, 96]");
    assert_shape(windows, "[64*batch, 49, 96]");
    assert_shape(back, "[batch, 8, 8, 7, 7, 96]");
    assert_shape(same, "[64*batch, 49, 96]");
    assert_int_equal(s.t[windows].dims[0].v.i, 192);
    assert_false(s.rebatch_unsafe);
    end();
}

static void test_rebatch_constants(void **state)
{
    (void)state;
    begin();
    fix_batch(4);
    uint32_t x = INPUT(B, 10, 8);
    uint32_t sum = OP(Add, x, WEIGHT(4, 10, 8));
    uint32_t token = OP(Concat, WEIGHT(4, 1, 8), x);
    ATTR1(axis, 1);
    uint32_t product = OP(MatMul, x, WEIGHT(4, 8, 5));
    uint32_t expanded = OP(Expand, OP(Slice, x, INTS(0), INTS(1), INTS(1)), INTS(4, 10, 8));
    uint32_t whole = OP(Slice, x, INTS(0), INTS(4), INTS(0));
    uint32_t image = INPUT(B, 3, 8, 8);
    uint32_t none = graph_add_tensor(&g, (str){NULL, 0}, DT_UNKNOWN);
    g.tensors[none].role = ROLE_ABSENT;
    uint32_t up = OP(Resize, image, none, none, INTS(4, 3, 16, 16));
    uint32_t steps = OP(Transpose, x);
    ATTRS(perm, 1, 0, 2);
    uint32_t state_in = OP(ConstantOfShape, INTS(1, 4, 16));
    uint32_t lstm = OP(LSTM, steps, WEIGHT(1, 64, 8), WEIGHT(1, 64, 16), none, none, state_in, state_in);
    ATTR1(hidden_size, 16);
    assert_infers(6);
    assert_shape(sum, "[batch, 10, 8]");
    assert_shape(token, "[batch, 11, 8]");
    assert_shape(product, "[batch, 10, 5]");
    assert_shape(expanded, "[batch, 10, 8]");
    assert_shape(whole, "[batch, 10, 8]");
    assert_shape(up, "[batch, 3, 16, 16]");
    assert_shape(lstm, "[10, 1, batch, 16]");
    assert_false(s.rebatch_unsafe);
    assert_int_equal(s.rebatch_fixes, 6);
    assert_infers(1); /* 4 against 1 mustn't be taken for broadcasting */
    assert_shape(sum, "[batch, 10, 8]");
    assert_int_equal(s.t[sum].dims[0].v.i, 1);
    end();
}

static void test_rebatch_unsafe(void **state)
{
    (void)state;
    begin();
    fix_batch(1);
    uint32_t x = INPUT(B, 8);
    uint32_t squeezed = OP(Squeeze, x, INTS(0));
    uint32_t after = OP(Relu, squeezed);
    assert_infers(1);
    assert_shape(after, "[8]");
    assert_false(s.rebatch_unsafe);
    assert_infers(3);
    assert_shape(after, "?");
    assert_true(s.rebatch_unsafe);
    assert_int_equal(s.unknown_outputs, 2);
    end();
    begin();
    fix_batch(4);
    x = INPUT(B, 8);
    uint32_t part = OP(Slice, x, INTS(1), INTS(3), INTS(0));
    assert_infers(8);
    assert_shape(part, "[?, 8]");
    assert_true(s.rebatch_unsafe);
    end();
}

/* ---- contradictions ---- */

static void test_contradictions(void **state)
{
    (void)state;
    begin();
    OP(MatMul, INPUT(B, 4, 8), WEIGHT(7, 3));
    assert_contradiction("[batch=2, 4, 8] and [7, 3]");
    end();
    begin();
    OP(Add, INPUT(B, 4), WEIGHT(3));
    assert_contradiction("don't broadcast");
    end();
    begin();
    OP(Conv, INPUT(B, 4, 8, 8), WEIGHT(16, 3, 3, 3));
    assert_contradiction("has 4 channels, but the weights [16, 3, 3, 3] with 1 group take 3");
    end();
    begin();
    OP(Conv, INPUT(B, 3, 2, 2), WEIGHT(16, 3, 5, 5));
    assert_contradiction("larger than the padded input");
    end();
    begin();
    OP(Concat, INPUT(B, 4), INPUT(B, 5));
    ATTR1(axis, 0);
    assert_contradiction("differ in more than axis 0");
    end();
    begin();
    OP(Reshape, INPUT(B, 4), INTS(3, -1));
    assert_contradiction("doesn't divide");
    end();
    begin();
    OP(Reshape, INPUT(B, 4), INTS(3, 5));
    assert_contradiction("8 elements, but its target [3, 5] has 15");
    end();
    begin();
    OP(Transpose, INPUT(B, 4));
    ATTRS(perm, 1, 1);
    assert_contradiction("isn't a permutation");
    end();
    begin();
    OP(Softmax, INPUT(B, 4)); /* its axis doesn't matter for shapes */
    ATTR1(axis, 99);
    assert_infers(2);
    OP(Gather, INPUT(B, 4), INTS(0));
    ATTR1(axis, 99);
    assert_contradiction("axis 99");
    end();
    begin();
    OP(Gemm, INPUT(B, 4), WEIGHT(5, 6));
    assert_contradiction("inner dimensions");
    end();
    begin();
    OP(Add, INPUT(B, 4));
    assert_contradiction("has 1 input but needs 2");
    end();
    begin();
    OP(MaxPool, INPUT(B, 3, 8, 8));
    ATTRS(kernel_shape, 2, 2);
    ATTRS(strides, 0, 1);
    assert_contradiction("out of range");
    end();
    begin();
    OP(Pad, INPUT(B, 4), INTS(0, -3, 0, -3));
    assert_contradiction("negative dimension");
    end();
}

/* ---- control flow ---- */

static void control_attr(attr_key key, uint32_t body)
{
    assert_true(graph_attr_index(&g, key, ATTR_REGION, body));
}

static uint32_t branching(uint32_t condition, uint32_t then_out, uint32_t else_out, uint32_t *then_region,
                          uint32_t *else_region)
{
    *then_region = graph_add_region(&g);
    *else_region = graph_add_region(&g);
    uint32_t a = OP_IN(*then_region, Relu, then_out), b = OP_IN(*else_region, Relu, else_out);
    assert_true(graph_add_output(&g, *then_region, a));
    assert_true(graph_add_output(&g, *else_region, b));
    uint32_t out = OP(If, condition);
    control_attr(ATTR_then_branch, *then_region);
    control_attr(ATTR_else_branch, *else_region);
    return out;
}

static void test_if(void **state)
{
    (void)state;
    begin();
    uint32_t x = INPUT(B, 4), y = INPUT(B, 5), t[3], e[3];
    uint32_t dim = OP(Gather, OP(Shape, x), scalar(1));
    uint32_t known = branching(OP(Equal, dim, scalar(5)), x, y, &t[0], &e[0]);
    uint32_t open = input_of(DT_BOOL, (const int64_t[]){-1});
    uint32_t differs = branching(open, x, y, &t[1], &e[1]);
    uint32_t agrees = branching(open, x, x, &t[2], &e[2]);
    assert_infers(2);
    assert_shape(known, "[batch, 5]");
    assert_int_equal(s.trips[t[0]].v.i, 0);
    assert_int_equal(s.trips[e[0]].v.i, 1);
    assert_shape(differs, "[batch, ?]");
    assert_shape(agrees, "[batch, 4]");
    assert_int_equal(s.trips[t[1]].v.i, 1);
    assert_int_equal(s.trips[e[1]].v.i, 0);
    assert_int_equal(s.n_notes, 1); /* the same text once */
    end();
}

/* A loop of `most` rounds (0: data decides) that carries x through `kind` with `with` and stacks the carried tensor. */
static uint32_t looping(uint32_t most, uint32_t x, op_kind kind, uint32_t with, uint32_t *body, uint32_t *stack)
{
    *body = graph_add_region(&g);
    uint32_t iteration = graph_add_tensor(&g, STR("i"), DT_INT64), condition = graph_add_tensor(&g, STR("c"), DT_BOOL);
    uint32_t carried = graph_add_tensor(&g, STR("v"), DT_FP32), out[2];
    assert_true(graph_add_input(&g, *body, iteration) && graph_add_input(&g, *body, condition));
    assert_true(graph_add_input(&g, *body, carried));
    uint32_t next = op_of(*body, kind, (const uint32_t[]){carried, with}, with == NO_TENSOR ? 1 : 2);
    if (kind == OP_Concat) ATTR1(axis, 1);
    uint32_t inner = OP_IN(*body, Relu, carried);
    assert_true(graph_add_output(&g, *body, condition) && graph_add_output(&g, *body, next));
    assert_true(graph_add_output(&g, *body, inner));
    for (int i = 0; i < 2; i++) out[i] = graph_add_tensor(&g, STR("o"), DT_UNKNOWN);
    uint32_t in[3] = {most, NO_TENSOR, x};
    assert_int_not_equal(graph_add_op(&g, 0, OP_Loop, STR("loop"), in, 3, out, 2), NO_TENSOR);
    control_attr(ATTR_body, *body);
    *stack = out[1];
    return out[0];
}

static void test_loop(void **state)
{
    (void)state;
    begin();
    uint32_t x = INPUT(B, 4), w = WEIGHT(1, 4), body[5], stack[5];
    uint32_t steady = looping(scalar(6), x, OP_Add, w, &body[0], &stack[0]);
    uint32_t grows = looping(scalar(3), x, OP_Concat, x, &body[1], &stack[1]);
    uint32_t many = looping(scalar(1000000), x, OP_Concat, x, &body[2], &stack[2]);
    uint32_t open = looping(input_of(DT_INT64, (const int64_t[]){-1}), x, OP_Add, w, &body[3], &stack[3]);
    uint32_t never = looping(scalar(0), x, OP_Add, w, &body[4], &stack[4]);
    assert_infers(2);
    assert_shape(steady, "[batch, 4]");
    assert_shape(stack[0], "[6, batch, 4]");
    assert_int_equal(s.trips[body[0]].v.i, 6);
    assert_shape(grows, "[batch, 16]");
    assert_shape(stack[1], "[3, batch, ?]");
    assert_shape(many, "[batch, ?]");
    assert_shape(stack[2], "[1000000, batch, ?]");
    assert_shape(open, "[batch, 4]");
    assert_shape(stack[3], "[?, batch, 4]");
    assert_int_equal(s.trips[body[3]].v.i, 1);
    assert_shape(never, "[batch, 4]");
    assert_int_equal(s.trips[body[4]].v.i, 0);
    assert_int_equal(s.n_notes, 1);
    end();
}

/* Bodies in bodies in bodies, each run 60 times: the work must stay bounded. */
static void test_nesting(void **state)
{
    (void)state;
    begin();
    uint32_t x = INPUT(B, 4), body[8];
    for (int i = 0; i < 8; i++) body[i] = graph_add_region(&g);
    uint32_t most = scalar(60);
    for (int i = 0; i < 8; i++) {
        uint32_t iteration = graph_add_tensor(&g, STR("i"), DT_INT64),
                 condition = graph_add_tensor(&g, STR("c"), DT_BOOL);
        uint32_t carried = graph_add_tensor(&g, STR("v"), DT_FP32), next = graph_add_tensor(&g, STR("o"), DT_UNKNOWN);
        assert_true(graph_add_input(&g, body[i], iteration) && graph_add_input(&g, body[i], condition));
        assert_true(graph_add_input(&g, body[i], carried));
        uint32_t in[3] = {most, NO_TENSOR, carried};
        if (i < 7) {
            graph_add_op(&g, body[i], OP_Loop, STR("loop"), in, 3, &next, 1);
            control_attr(ATTR_body, body[i + 1]);
        } else {
            next = OP_IN(body[i], Concat, carried, carried);
            ATTR1(axis, 1);
        }
        assert_true(graph_add_output(&g, body[i], condition) && graph_add_output(&g, body[i], next));
    }
    uint32_t out = graph_add_tensor(&g, STR("o"), DT_UNKNOWN), in[3] = {most, NO_TENSOR, x};
    graph_add_op(&g, 0, OP_Loop, STR("loop"), in, 3, &out, 1);
    control_attr(ATTR_body, body[0]);
    pg_code code = infer_at(2);
    assert_true(code == PG_E_OK || code == PG_E_LIMIT);
    end();
}

/* A body that holds itself can't come from a file, but mustn't hang. */
static void test_recursion(void **state)
{
    (void)state;
    begin();
    uint32_t condition = input_of(DT_BOOL, (const int64_t[]){-1}), r = graph_add_region(&g);
    for (int i = 0; i < 3; i++) {
        op_of(i == 2 ? 0 : r, OP_If, &condition, 1);
        control_attr(ATTR_then_branch, r);
        control_attr(ATTR_else_branch, r);
    }
    assert_int_not_equal(infer_at(2), PG_E_OK);
    end();
}

/* ---- nonsense ---- */

static uint64_t random_state = 1;

static uint64_t random_u64(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}
static int64_t pick(int64_t n)
{
    return (int64_t)(random_u64() % (uint64_t)n);
}

static int64_t random_int(void)
{
    static const int64_t odd[] = {
        0, 1, -1, 2, 3, 4, 7, 8, -2, 99, -99, INT32_MAX, INT64_MAX, INT64_MIN, (int64_t)1 << 62, 1 << 20};
    return pick(3) ? pick(5) : odd[pick(16)];
}

static uint32_t random_tensor(void)
{
    static const dtype types[] = {DT_FP32, DT_INT64, DT_BOOL, DT_UINT8, DT_FP16, DT_INT32, DT_UNKNOWN, DT_STRING};
    num dims[MAX_RANK];
    int rank = pick(12) ? (int)pick(5) : (int)pick(MAX_RANK + 1);
    uint32_t t = graph_add_tensor(&g, STR("r"), types[pick(8)]);
    int64_t count = 1;
    for (int i = 0; i < rank; i++) {
        int64_t d = pick(10) ? 1 + pick(4) : random_int();
        dims[i] = pick(5) ? num_int(d < 0 && pick(20) ? 1 : d)
                : pick(2) ? sym(batch)
                : pick(2) ? sym(seq)
                          : num_unknown();
        int64_t v = num_plain(dims[i]) ? dims[i].v.i : 100;
        count = v < 0 || v > 64 || count > 64 ? 100 : count * v;
    }
    if (!pick(12)) return t;
    assert_true(graph_set_dims(&g, t, rank, dims));
    if (pick(3) == 0) assert_true(graph_add_input(&g, 0, t));
    else g.tensors[t].role = ROLE_WEIGHT;
    if (count <= 64 && pick(2)) {
        num *v = arena_array(&memory, (size_t)count, sizeof *v);
        bool floating = dtype_get((dtype)g.tensors[t].dtype)->floating;
        for (int64_t i = 0; i < count; i++)
            v[i] = floating ? (num){{.f = (double)random_int() / 3}, 0, SYM_NONE}
                 : pick(8)  ? num_int(random_int())
                            : num_unknown();
        g.tensors[t].value = v;
        g.tensors[t].value_count = (uint32_t)count;
    }
    return t;
}

static void random_attr(void)
{
    static const char *const words[] = {"SAME_UPPER",    "VALID",
                                        "NOTSET",        "none",
                                        "bij,bjk->bik",  "...i->...",
                                        "ab->",          "i,",
                                        "->ij",          "tf_crop_and_resize",
                                        "not_larger",    "not_smaller",
                                        "bidirectional", "constant"};
    attr_key key = (attr_key)pick(ATTR_KEY_COUNT);
    int64_t list[6];
    double reals[6];
    for (int i = 0; i < 6; i++) reals[i] = (double)(list[i] = random_int()) / 2;
    switch (pick(7)) {
    case 0:
    case 1: graph_attr_int(&g, key, list[0]); break;
    case 2:
    case 3: graph_attr_ints(&g, key, list, (uint32_t)pick(7)); break;
    case 4: graph_attr_floats(&g, key, reals, (uint32_t)pick(7)); break;
    case 5: graph_attr_string(&g, key, str_c(words[pick(14)])); break;
    default: graph_attr_index(&g, key, pick(2) ? ATTR_TENSOR : ATTR_REGION, (uint32_t)pick(5));
    }
}

/* Operators with anything for inputs and attributes: an error or a shape, never a crash. Runs under the sanitizers. */
static void test_nonsense(void **state)
{
    (void)state;
    const char *rounds = getenv("SHAPE_FUZZ_ROUNDS"), *seed = getenv("SHAPE_FUZZ_SEED");
    long n = rounds ? strtol(rounds, NULL, 10) : 20000;
    if (seed) random_state = strtoull(seed, NULL, 10);
    for (long i = 0; i < n; i++) {
        begin();
        if (!pick(3)) g.fixed_batch = 1 + pick(4);
        for (int r = 0; r < 2; r++) {
            uint32_t body = graph_add_region(&g);
            uint32_t a = random_tensor(), o = OP_IN(body, Identity, a);
            for (int k = 0; k < 4; k++) graph_add_output(&g, body, pick(2) ? o : a);
            for (int k = 0; k < 4; k++) graph_add_input(&g, body, graph_add_tensor(&g, STR("b"), DT_UNKNOWN));
        }
        uint32_t pool[24], count = 0;
        for (; count < 6; count++) pool[count] = random_tensor();
        for (int k = 0; k < 4; k++) {
            uint32_t in[9], n_in = (uint32_t)pick(10), out[3];
            for (uint32_t m = 0; m < n_in; m++) in[m] = pick(12) ? pool[pick(count)] : NO_TENSOR;
            for (int m = 0; m < 3; m++) out[m] = graph_add_tensor(&g, STR("o"), DT_UNKNOWN);
            graph_add_op(&g, 0, (op_kind)pick(OP_KIND_COUNT), STR("n"), in, n_in, out, 1 + (uint32_t)pick(3));
            g.ops[g.n_ops - 1].opset = (uint16_t)pick(23);
            for (int64_t m = pick(5); m > 0; m--) random_attr();
            pool[count++] = out[0];
            /* and into a shape, so that values are folded */
            if (pick(2)) continue;
            pool[count] = OP(Reshape, pool[pick(count)], out[0]);
            count++;
        }
        infer_at(1 + pick(5));
        end();
    }
}

/* Every allocation fails once: always an error, never a crash or a leak. */
static void test_allocation_failures(void **state)
{
    (void)state;
    begin();
    uint32_t x = INPUT(B, 4), t, e, body, stack, w = WEIGHT(1, 4);
    uint32_t flag = input_of(DT_BOOL, (const int64_t[]){-1});
    branching(flag, x, INPUT(B, 5), &t, &e);
    looping(scalar(3), x, OP_Concat, x, &body, &stack);
    looping(input_of(DT_INT64, (const int64_t[]){-1}), x, OP_Add, w, &body, &stack);
    uint32_t wide = x;
    for (int i = 0; i < 200; i++) {
        uint32_t target = OP(Concat, OP(Slice, OP(Shape, wide), INTS(0), INTS(1)), INTS(2, 2));
        ATTR1(axis, 0);
        wide = OP(Reshape, wide, target);
        wide = OP(Flatten, wide);
    }
    unsigned failures = 0;
    for (size_t room = 4112;;
         room += 16) { /* an arena of exactly this size: every allocation in it is once the one that fails */
        test_heap other = {.fail_at = -1};
        arena a;
        arena_init(&a, (allocator){heap_resize, &other}, 0);
        assert_non_null(arena_alloc(&a, room));
        arena_reset(&a);
        a.limit = a.reserved;
        error = (pg_error)PG_ERROR_INIT;
        pg_code code = shapes_infer(&s, &g, NULL, &a, &error);
        arena_free(&a);
        assert_int_equal(other.live, 0);
        if (!code) break;
        failures++;
        assert_int_equal(error.code, code);
        assert_true(code == PG_E_NOMEM || code == PG_E_LIMIT);
    }
    assert_true(failures > 500);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_num),
        cmocka_unit_test(test_symbols),
        cmocka_unit_test(test_shape_arithmetic),
        cmocka_unit_test(test_partial_values),
        cmocka_unit_test(test_rebatch_reshape),
        cmocka_unit_test(test_rebatch_windows),
        cmocka_unit_test(test_rebatch_constants),
        cmocka_unit_test(test_rebatch_unsafe),
        cmocka_unit_test(test_contradictions),
        cmocka_unit_test(test_if),
        cmocka_unit_test(test_loop),
        cmocka_unit_test(test_nesting),
        cmocka_unit_test(test_recursion),
        cmocka_unit_test(test_nonsense),
        cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests_name("shape", tests, NULL, NULL);
}
