/* config.json of Hugging Face models: parameters against published ones, what is stored, graphs, and what must be refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/language.h"
#include "graph/shape.h"
#include "load/load.h"
#include "support/heap.h"

static test_heap heap = {.fail_at = -1};

typedef struct model {
    arena a;
    graph g;
    pg_error e;
} model;

static pg_code read_text(model *m, const char *text)
{
    load_input in = {.path = "config.json", .bytes = {(const uint8_t *)text, strlen(text), 0}};
    memset(m, 0, sizeof *m);
    m->e = (pg_error)PG_ERROR_INIT;
    arena_init(&m->a, (allocator){heap_resize, &heap}, 0);
    assert_true(graph_init(&m->g, &m->a));
    const load_format *f = load_detect(&in, NULL, &m->e);
    if (!f) return m->e.code;
    assert_string_equal(f->name, "hugging-face");
    return f->load(&m->g, &in, &(load_options){.format = NULL}, &m->e);
}

static void open_text(model *m, const char *name, const char *text)
{
    if (read_text(m, text)) fail_msg("%s: %s", name, m->e.text);
}

static double weights_of(const graph *g)
{
    double total = 0;
    for (uint32_t i = 0; i < g->n_tensors; i++) {
        const tensor *t = &g->tensors[i];
        if (t->role != ROLE_WEIGHT || t->dtype == DT_INT64) continue;
        double n = 1;
        for (int d = 0; d < t->rank; d++) n *= (double)t->dims[d].v.i;
        total += n;
    }
    return total;
}

static void infer(model *m, const char *name, int64_t sequence)
{
    shapes s;
    int64_t binding[2] = {2, sequence};
    if (shapes_infer(&s, &m->g, &(shape_options){.binding = binding}, &m->a, &m->e) != PG_E_OK)
        fail_msg("%s: %s: %s", name, m->e.path, m->e.text);
    for (uint32_t i = 0; i < m->g.n_ops; i++) {
        const op *o = &m->g.ops[i];
        for (uint32_t k = 0; k < o->n_out; k++)
            if (shape_elements(&s.t[op_out(&m->g, o)[k]]) < 0 && o->kind != OP_TopK)
                fail_msg("%s: the shape of %.*s is not known", name, STR_ARG(o->name));
    }
}

typedef struct published {
    const char *name;
    double parameters, active, allowed;
    const char *config;
} published;

#define R(...) #__VA_ARGS__
static const published all[] = {
#define PUBLISHED(name, parameters, active, allowed, config) {name, parameters, active, allowed, config},
#include "hf_published.inc"
#undef PUBLISHED
};

enum { ALL = sizeof all / sizeof *all };

static void test_published(void **state)
{
    (void)state;
    int wrong = 0;
    for (size_t i = 0; i < ALL; i++) {
        model m;
        open_text(&m, all[i].name, all[i].config);
        const language_model *l = m.g.language;
        double off = l->parameters / all[i].parameters - 1, active = l->active_parameters / 1e9;
        bool bad = !(off >= -all[i].allowed && off <= all[i].allowed);
        double tables = (l->tied ? 1 : 2) * (double)(l->vocab * l->hidden) / 1e9; /* some cards leave them out */
        if (all[i].active > 0)
            bad = bad ||
                  (fabs(active / all[i].active - 1) > 0.02 && fabs((active - tables) / all[i].active - 1) > 0.02);
        if (bad)
            printf("%s: %.0f parameters, not %.0f (%+.3f %%); %.3f billion active, not %.2f\n", all[i].name,
                   l->parameters, all[i].parameters, 100 * off, active, all[i].active);
        wrong += bad;
        arena_free(&m.a);
    }
    assert_int_equal(wrong, 0);
}

/* The graph holds what the dimensions count, and all its shapes are known. */
static void test_graphs(void **state)
{
    (void)state;
    for (size_t i = 0; i < ALL; i++) {
        model m;
        open_text(&m, all[i].name, all[i].config);
        const language_model *l = m.g.language;
        double have = weights_of(&m.g), off = have / l->parameters - 1;
        if (off < -0.005 || off > 1e-4)
            fail_msg("%s: %.0f in the graph, %.0f by its dimensions", all[i].name, have, l->parameters);
        infer(&m, all[i].name, 48);
        arena_free(&m.a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published),
        cmocka_unit_test(test_graphs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
