/* Points that were held out of a fit of everything else, with what their widths depend on. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "interval_fit.h"

void interval_die(const char *what, const pg_error *e)
{
    fprintf(stderr, "fit_intervals: %s%s%s\n", what, e ? ": " : "", e ? e->text : "");
    exit(1);
}

static basis basis_of(const char *name)
{
    return !strcmp(name, "calibrated")  ? BASIS_CALIBRATED
         : !strcmp(name, "transferred") ? BASIS_TRANSFERRED
                                        : BASIS_SPECIFICATION;
}

/* What a step consists of, by the constants that ship: they hardly differ from those of a fold. */
static interval_parts parts_of(const bench_point *p, const pg_catalog *catalog)
{
    const api_gpu *g = (const api_gpu *)(const void *)p->gpu;
    predict_options o = api_predict_options(p->plan, g->spec);
    predict_gpu at;
    predict_gpu_init(&at, g->spec, &catalog->config.cost, &o);
    return predict_step(&p->plan->plan, &at, &catalog->config.predict, &o).parts;
}

/* The number of a text, counted from 0 in the order in which texts come. */
static uint32_t number_of(map *m, arena *a, const char *text)
{
    bool added;
    str copy = str_copy(a, str_c(text));
    const uint32_t *at = copy.ptr ? map_add(m, copy, m->count, &added) : NULL;
    if (!at) interval_die("out of memory", NULL);
    return *at;
}

static void append(held_list *h, const bench_point *p, const pg_catalog *catalog, split_kind kind, basis b,
                   double error)
{
    held *at = &h->list[h->count++];
    *at = (held){.point = p,
                 .parts = parts_of(p, catalog),
                 .basis = b,
                 .runtime = (int)(p->plan->runtime - catalog->config.runtimes),
                 .error = error,
                 .kind = kind};
    interval_of_held(&at->shipped_low, &at->shipped_high, NULL, h, at);
}

void interval_hold_out(held_list *h, bench *b, pg_catalog *catalog, split_kind kind, arena *a)
{
    size_t n, count;
    pg_error e = PG_ERROR_INIT;
    bench_point *points = bench_points(b, &n), *kept = ARENA_ARRAY(a, bench_point, n + 1);
    bool *test = ARENA_ARRAY(a, bool, n + 1);
    const char **skipped = ARENA_ARRAY(a, const char *, n + 1);
    split_fold *folds;
    if (!kept || !test || !skipped) interval_die("out of memory", NULL);
    for (size_t i = 0; i < n; i++) {
        skipped[i] = points[i].skipped;
        test[i] = !skipped[i] && bench_seconds(points[i].row) > 0;
    }
    split_options o = {.kind = kind, .test = test};
    if (split_run(&folds, &count, b, catalog, &o, a, &e)) interval_die("split", &e);
    memcpy(kept, points, n * sizeof *kept);
    for (size_t i = 0; i < n; i++)
        points[i].skipped = skipped[i]; /* what one kind of split can't leave out another can */
    size_t before = h->count;
    for (size_t i = 0; i < n; i++) {
        bench_point *p = &kept[i];
        if (!test[i] || p->skipped || !p->fold) continue;
        append(h, &points[i], catalog, kind, basis_of(p->p.basis), log(bench_seconds(p->row) * 1e3 / p->p.latency_ms));
    }
    printf("%zu points held out in %zu folds\n", h->count - before, count);
}

void interval_save(const held_list *h, bench *b, const char *path)
{
    size_t n;
    const bench_point *points = bench_points(b, &n);
    FILE *f = fopen(path, "w");
    if (!f) interval_die("can't write what was held out", NULL);
    for (size_t i = 0; i < h->count; i++)
        fprintf(f, "%d %zu %d %.9g\n", (int)h->list[i].kind, (size_t)(h->list[i].point - points), (int)h->list[i].basis,
                h->list[i].error);
    if (fclose(f)) interval_die("can't write what was held out", NULL);
}

void interval_load(held_list *h, bench *b, const pg_catalog *catalog, const char *path)
{
    size_t n, at;
    int kind, on;
    double error;
    const bench_point *points = bench_points(b, &n);
    FILE *f = fopen(path, "r");
    if (!f) interval_die("can't read what was held out", NULL);
    while (fscanf(f, "%d %zu %d %lf", &kind, &at, &on, &error) == 4) {
        if (at >= n || points[at].skipped || h->count == 2 * n || kind < SPLIT_GPU || kind > SPLIT_FAMILY || on < 0 ||
            on > BASIS_UNLIKE)
            interval_die("what was held out is of other points", NULL);
        append(h, &points[at], catalog, (split_kind)kind, (basis)on, error);
    }
    fclose(f);
}

void interval_weigh(held_list *h, arena *a)
{
    map strata, chips, families;
    char text[600];
    uint32_t *stratum = ARENA_ARRAY(a, uint32_t, h->count + 1);
    double *points = ARENA_ARRAY(a, double, h->count + 1);
    if (!stratum || !points) interval_die("out of memory", NULL);
    map_init(&strata, a);
    map_init(&chips, a);
    map_init(&families, a);
    memset(points, 0, (h->count + 1) * sizeof *points);
    for (size_t i = 0; i < h->count; i++) {
        held *at = &h->list[i];
        const bench_point *p = at->point;
        format_text(text, sizeof text, "%s|%s|%s|%s|%.200s", p->gpu->key, bench_runtime(p->row),
                    bench_precision(p->row), bench_task_name(p->row->task), at->parts.lone ? p->family : "model");
        stratum[i] = number_of(&strata, a, text);
        points[stratum[i]]++;
        at->chip = (int)number_of(&chips, a, split_group(p, SPLIT_GPU, text, sizeof text));
        bench_family(text, sizeof text, at->parts.lone ? p->row->model : p->family);
        at->family = (int)number_of(&families, a, text);
    }
    /* between a point each and a stratum each: the large ones are not to speak for all, nor the small ones for chance */
    for (size_t i = 0; i < h->count; i++) h->list[i].weight = 1 / sqrt(sqrt(points[stratum[i]]));
}
