/* Runs shape inference over a folder of ONNX models with an expected.json beside them:
 *   {"test_acos": {"outputs": [{"name": "y", "shape": [3, 4, 5]}], "reference_infers": true}, ...}
 * Where the reference implementation infers a shape ours must be right; elsewhere it must be right or unknown, never
 * wrong. test_conformance [FOLDER]; without the folder the test is skipped. */
#define _POSIX_C_SOURCE 200809L
#include "graph/shape.h"
#include "load/load.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#ifndef TEST_ROOT
#define TEST_ROOT "."
#endif

enum { SKIPPED = 77 }; /* what Meson takes for a skipped test */

typedef struct tally {
    unsigned right, open, wrong, failed;
} tally;

/* Fails after a number of allocations when `left` is not negative: proves that running out of memory is only ever an
 * error. */
typedef struct budget {
    long left;
} budget;

static void *resize(void *ud, void *ptr, size_t old_size, size_t new_size)
{
    budget *b = ud;
    (void)old_size;
    if (!new_size) {
        free(ptr);
        return NULL;
    }
    if (b->left == 0) return NULL;
    if (b->left > 0) b->left--;
    return realloc(ptr, new_size);
}

typedef enum verdict { RIGHT, OPEN, WRONG } verdict;

static verdict judge(const shapes *s, const json_t *outputs, char *text, size_t cap)
{
    const region *model = &s->g->regions[0];
    verdict worst = RIGHT;
    if (json_array_size(outputs) != model->n_outputs) {
        format_text(text, cap, "%u outputs instead of %u", (unsigned)model->n_outputs,
                    (unsigned)json_array_size(outputs));
        return WRONG;
    }
    for (uint32_t i = 0; i < model->n_outputs; i++) {
        const tensor_shape *t = &s->t[model->outputs[i]];
        const json_t *shape = json_object_get(json_array_get(outputs, i), "shape");
        if (t->rank < 0 && worst == RIGHT) worst = OPEN;
        if (t->rank < 0) continue;
        bool same = json_array_size(shape) == (size_t)t->rank;
        for (int k = 0; k < t->rank && same; k++) {
            if (!num_known(t->dims[k])) worst = worst == RIGHT ? OPEN : worst;
            else same = json_integer_value(json_array_get(shape, (size_t)k)) == t->dims[k].v.i;
        }
        if (same) continue;
        worst = WRONG;
        size_t n = format_text(text, cap, "output %u is [", (unsigned)i);
        for (int k = 0; k < t->rank && n + 32 < cap; k++) {
            n += format_text(text + n, cap - n, k ? ", " : "");
            n += num_format(text + n, cap - n, t->dims[k], s);
        }
        format_text(text + n, cap - n, "]");
    }
    return worst;
}

/* Loads and infers; the arena holds everything. */
static pg_code infer_file(shapes *s, graph *g, arena *a, span bytes, const char *path, pg_error *e)
{
    load_options options = {0};
    load_input in = {.path = path, .bytes = bytes};
    if (!graph_init(g, a)) return error_nomem(e, a);
    pg_code code = load_onnx_format.load(g, &in, &options, e);
    if (!code) code = graph_sort(g, a, e);
    return code ? code : shapes_infer(s, g, NULL, a, e);
}

/* The n-th allocation fails, for every n until it works. */
static bool survives_no_memory(span bytes, const char *path)
{
    for (long n = 0;; n++) {
        budget b = {n};
        arena a;
        graph g;
        shapes s;
        pg_error e = PG_ERROR_INIT;
        arena_init(&a, (allocator){resize, &b}, 0);
        pg_code code = infer_file(&s, &g, &a, bytes, path, &e);
        arena_free(&a);
        if (code != PG_E_NOMEM) return true;
        if (n > 100000) return false;
    }
}

static void run_case(const char *folder, const char *name, const json_t *want, tally *counts)
{
    char path[4096], text[512] = "";
    bool reference = json_is_true(json_object_get(want, "reference_infers"));
    tally *t = &counts[reference];
    load_file file;
    budget b = {-1};
    arena a;
    graph g;
    shapes s;
    pg_error e = PG_ERROR_INIT;
    arena_init(&a, (allocator){resize, &b}, 0);
    format_text(path, sizeof path, "%s/%s.onnx", folder, name);
    if (load_file_open(&file, path, &e)) {
        printf("not ok - %s: %s\n", name, e.text);
        t->failed++;
        return;
    }
    pg_code code = infer_file(&s, &g, &a, file.bytes, path, &e);
    verdict v = code ? WRONG : judge(&s, json_object_get(want, "outputs"), text, sizeof text);
    if (code) printf("not ok - %s: %s: %s\n", name, e.path, e.text);
    else if (v == WRONG) printf("not ok - %s: %s\n", name, text);
    else if (v == OPEN && reference) printf("not ok - %s: the reference knows the shape, we don't\n", name);
    if (!survives_no_memory(file.bytes, path)) {
        printf("not ok - %s: out of memory isn't reported\n", name);
        t->failed++;
    }
    if (code) t->failed++;
    else if (v == WRONG) t->wrong++;
    else if (v == OPEN) t->open++;
    else t->right++;
    if (v == OPEN && getenv("CONFORMANCE_VERBOSE")) printf("# unknown: %s\n", name);
    arena_free(&a);
    load_file_close(&file);
}

int main(int argc, char **argv)
{
    char path[4096];
    const char *folder = argc > 1 ? argv[1] : TEST_ROOT "/../shared/models/onnx-conformance";
    format_text(path, sizeof path, "%s/expected.json", folder);
    if (access(path, R_OK) != 0) {
        printf("1..0 # SKIP no folder with expected.json\n");
        return SKIPPED;
    }
    json_error_t error;
    json_t *all = json_load_file(path, 0, &error);
    if (!all) {
        fprintf(stderr, "%s:%d: %s\n", path, error.line, error.text);
        return 1;
    }
    tally counts[2] = {{0}};
    const char *name;
    json_t *want;
    json_object_foreach(all, name, want) run_case(folder, name, want, counts);
    bool bad = counts[1].open > 0;
    for (int i = 1; i >= 0; i--) {
        const tally *t = &counts[i];
        printf("%s: %u right, %u unknown, %u wrong, %u failed\n", i ? "reference infers" : "reference doesn't",
               t->right, t->open, t->wrong, t->failed);
        bad |= t->wrong > 0 || t->failed > 0;
    }
    json_decref(all);
    return bad;
}
