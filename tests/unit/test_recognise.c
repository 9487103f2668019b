/* Weights without a graph: every built-in model is found by its own weights, a stranger is not, and --architecture is held against
 * the shapes. */
#include "load/recognise.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "graph/shape.h"
#include "load/builtin.h"
#include "support/heap.h"

typedef struct weights {
    arena a;
    load_weight *list;
    size_t n;
} weights;

static test_heap heap = {.fail_at = -1};

/* As a state dict holds them: linear layers are [out, in]. */
static weights weights_of(const char *name)
{
    weights w = {.n = 0};
    graph g;
    pg_error e = PG_ERROR_INIT;
    arena_init(&w.a, (allocator){heap_resize, &heap}, 0);
    const zoo_entry *z = zoo_find(str_c(name), &e);
    assert_non_null(z);
    assert_true(graph_init(&g, &w.a));
    assert_int_equal(load_builtin(&g, z, NULL, &e), PG_E_OK);
    w.list = ARENA_ARRAY(&w.a, load_weight, g.n_tensors);
    for (uint32_t i = 0; i < g.n_tensors; i++) {
        const tensor *t = &g.tensors[i];
        if (t->role != ROLE_WEIGHT || t->value || t->rank > 8) continue;
        if (!dtype_get((dtype)t->dtype)->floating) continue; /* masks and the like, which nobody trained */
        load_weight *x = &w.list[w.n++];
        *x = (load_weight){.name = t->name, .type = (dtype)t->dtype, .rank = t->rank};
        x->buffer = str_ends(t->name, "running_mean") || str_ends(t->name, "running_var");
        for (int d = 0; d < t->rank; d++) x->dims[d] = t->dims[t->rank == 2 ? 1 - d : d].v.i;
    }
    return w;
}

static pg_code load(graph *g, arena *a, const weights *w, const char *architecture, pg_error *e)
{
    load_options options = {.architecture = architecture};
    arena_init(a, (allocator){heap_resize, &heap}, 0);
    assert_true(graph_init(g, a));
    return load_weights_alone(g, w->list, w->n, &options, e);
}

static void expect_same_size(const graph *g, const char *name)
{
    graph own;
    arena a;
    pg_error e = PG_ERROR_INIT;
    arena_init(&a, (allocator){heap_resize, &heap}, 0);
    assert_true(graph_init(&own, &a));
    assert_int_equal(load_builtin(&own, zoo_find(str_c(name), &e), NULL, &e), PG_E_OK);
    assert_int_equal(g->n_ops, own.n_ops);
    arena_free(&a);
}

static void test_every_model(void **state)
{
    (void)state;
    size_t found = 0, all = 0;
    for (size_t i = 0; zoo_at(i); i += 1 + i % 5) { /* a sample: each is held against some dozens */
        const zoo_entry *z = zoo_at(i);
        weights w = weights_of(z->name);
        graph g;
        pg_error e = PG_ERROR_INIT;
        recognised r;
        arena a;
        arena_init(&a, (allocator){heap_resize, &heap}, 0);
        assert_true(graph_init(&g, &a));
        assert_int_equal(recognise_weights(&r, w.list, w.n, &g, &e), PG_E_OK);
        all++;
        if (r.entry == z || r.other == z) found++;
        else if (r.entry && r.matched == r.of && !r.head_to && !r.rows_to)
            found++; /* one of more than two of its shapes */
        else print_message("%s: taken for %s\n", z->name, r.entry ? r.entry->name : "none");
        if (r.entry) assert_int_equal(r.extra, 0);
        arena_free(&a);
        arena_free(&w.a);
    }
    assert_true(found + 2 >= all);
    assert_int_equal(heap.live, 0);
}

static load_weight *find(weights *w, const char *ending)
{
    for (size_t i = 0; i < w->n; i++)
        if (str_ends(w->list[i].name, ending)) return &w->list[i];
    fail_msg("no weight %s", ending);
    return NULL;
}

static void test_another_head(void **state)
{
    (void)state;
    weights w = weights_of("resnet50");
    load_weight *head = find(&w, "fc.weight"), *bias = find(&w, "fc.bias");
    head->dims[0] = head->dims[0] == 1000 ? 37 : head->dims[0];
    head->dims[1] = head->dims[1] == 1000 ? 37 : head->dims[1];
    bias->dims[0] = 37;
    graph g;
    arena a;
    pg_error e = PG_ERROR_INIT;
    assert_int_equal(load(&g, &a, &w, NULL, &e), PG_E_OK);
    assert_int_equal(g.missing.len, 0);
    assert_int_equal(g.n_warnings, 1);
    assert_non_null(strstr(g.warnings[0].ptr, "recognised as resnet50"));
    assert_non_null(strstr(g.warnings[0].ptr, "37 outputs instead of 1000"));
    shapes s;
    assert_int_equal(shapes_infer(&s, &g, NULL, &a, &e), PG_E_OK);
    const tensor_shape *out = &s.t[g.regions[0].outputs[0]];
    assert_int_equal(out->dims[1].v.i, 37);
    arena_free(&a);
    arena_free(&w.a);
}

/* A detector of other things: what takes the head's rows apart follows. */
static void test_other_classes(void **state)
{
    (void)state;
    weights w = weights_of("fasterrcnn_resnet50_fpn");
    for (size_t i = 0; i < w.n; i++)
        for (int k = 0; k < w.list[i].rank; k++) { /* of 91 classes, and the boxes of each */
            int64_t *d = &w.list[i].dims[k];
            *d = *d == 91 ? 5 : *d == 4 * 91 ? 4 * 5 : *d;
        }
    graph g;
    arena a;
    pg_error e = PG_ERROR_INIT;
    assert_int_equal(load(&g, &a, &w, NULL, &e), PG_E_OK);
    assert_int_equal(g.missing.len, 0);
    assert_non_null(strstr(g.warnings[0].ptr, "recognised as fasterrcnn_resnet50_fpn"));
    shapes s;
    assert_int_equal(shapes_infer(&s, &g, NULL, &a, &e), PG_E_OK);
    assert_int_equal(s.unknown_outputs, 0);
    arena_free(&a);
    arena_free(&w.a);
}

/* Query, key and value apart instead of fused: another exporter's names for the same network. */
static void test_split_layers(void **state)
{
    (void)state;
    weights w = weights_of("vit_b_16");
    load_weight *list = ARENA_ARRAY(&w.a, load_weight, w.n * 3);
    size_t n = 0, split = 0;
    for (size_t i = 0; i < w.n; i++) {
        load_weight x = w.list[i];
        bool fused = x.rank == 2 && (x.dims[0] == 3 * x.dims[1] || x.dims[1] == 3 * x.dims[0]);
        for (int k = 0; k < 2; k++)
            if (fused && x.dims[k] == 3 * x.dims[1 - k]) x.dims[k] /= 3, k = 2;
        for (int k = 0; k < (fused ? 3 : 1); k++) list[n++] = x;
        split += fused;
    }
    w.list = list, w.n = n;
    graph g;
    arena a;
    pg_error e = PG_ERROR_INIT;
    assert_int_equal(load(&g, &a, &w, NULL, &e), PG_E_OK);
    assert_int_equal(g.missing.len, 0);
    expect_same_size(&g, "vit_b_16");
    arena_free(&a);
    arena_free(&w.a);
    (void)split;
}

static void test_strangers(void **state)
{
    (void)state;
    weights w = weights_of("resnet50");
    graph g;
    arena a;
    pg_error e = PG_ERROR_INIT;
    size_t all = w.n;
    w.n = all / 2; /* half a network is another network */
    assert_int_equal(load(&g, &a, &w, NULL, &e), PG_E_OK);
    assert_true(g.missing.len > 0);
    assert_int_equal(g.n_ops, 0);
    arena_free(&a);
    w.n = all;
    for (size_t i = 0; i < w.n; i++)
        if (w.list[i].rank == 4) w.list[i].dims[0] += 8; /* so are other widths */
    assert_int_equal(load(&g, &a, &w, NULL, &e), PG_E_OK);
    assert_true(g.missing.len > 0);
    arena_free(&a);
    arena_free(&w.a);
}

static void test_architecture(void **state)
{
    (void)state;
    weights w = weights_of("resnet18");
    graph g;
    arena a;
    pg_error e = PG_ERROR_INIT;
    assert_int_equal(load(&g, &a, &w, "resnet18", &e), PG_E_OK);
    expect_same_size(&g, "resnet18");
    arena_free(&a);
    assert_int_equal(load(&g, &a, &w, "resnet50", &e), PG_E_USAGE);
    assert_non_null(strstr(e.text, "resnet50 has '"));
    arena_free(&a);
    e = (pg_error)PG_ERROR_INIT;
    assert_int_equal(load(&g, &a, &w, "resnet5O", &e), PG_E_NOT_FOUND);
    arena_free(&a);
    arena_free(&w.a);
}

static void test_absurd_dims(void **state)
{
    (void)state;
    load_weight list[8];
    for (size_t i = 0; i < 8; i++)
        list[i] = (load_weight){
            .name = STR("w"), .type = DT_FP32, .rank = 2, .dims = {INT64_MAX, INT64_MAX - (int64_t)i}};
    weights w = {.list = list, .n = 8};
    graph g;
    arena a;
    pg_error e = PG_ERROR_INIT;
    assert_int_equal(load(&g, &a, &w, NULL, &e), PG_E_OK);
    assert_true(g.missing.len > 0);
    arena_free(&a);
    assert_int_equal(load(&g, &a, &w, "resnet18", &e), PG_E_USAGE);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_model),  cmocka_unit_test(test_another_head), cmocka_unit_test(test_other_classes),
        cmocka_unit_test(test_split_layers), cmocka_unit_test(test_strangers),    cmocka_unit_test(test_architecture),
        cmocka_unit_test(test_absurd_dims),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
