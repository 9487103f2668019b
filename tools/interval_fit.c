/* Fits the widths of the 80 % intervals (data/runtimes.toml [interval]) on errors of held-out points: model families left out and GPUs
 * left out of the fit of everything else.
 *
 * usage: fit_intervals [--write FOLDER] [--dump FILE.csv] [BENCHMARKS.json ...]
 *   BENCHMARKS.json  points beside the built-in ones
 *   --write FOLDER   writes the widths into FOLDER/runtimes.toml
 *   --dump FILE.csv  one line a held-out point: its error and width
 * The loss is that of the 80 % quantile, of |log (predicted / measured)| against log (1 + width): of all widths those that hold four points
 * in five and are no wider than they must. A (GPU, runtime, kind, precision, task)
 * weighs as the root of its points. Deterministic. */
#define _POSIX_C_SOURCE 200809L
#include <nlopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/api.h"
#include "base/map.h"
#include "bench/builtin.h"
#include "bench/split.h"

enum {
    RUNTIMES_MOST = 16,
    FIXED = 2 * INTERVAL_CLASSES + 3,
    CONSTANTS = FIXED + RUNTIMES_MOST,
    STRATA_MOST = 1024,
    LEAST = 5
};
#define HOLDS 0.8

/* Of [interval], in the order of the vector that is fitted; then each runtime's factor on models but the first's, which is 1. */
static const char *const names[FIXED] = {"conv",
                                         "conv_vector",
                                         "depthwise",
                                         "product",
                                         "product_vector",
                                         "narrow",
                                         "attention",
                                         "rows",
                                         "stream",
                                         "other",
                                         "kernel_conv",
                                         "kernel_conv_vector",
                                         "kernel_depthwise",
                                         "kernel_product",
                                         "kernel_product_vector",
                                         "kernel_narrow",
                                         "kernel_attention",
                                         "kernel_rows",
                                         "kernel_stream",
                                         "kernel_other",
                                         "host",
                                         "training",
                                         "transferred"};

typedef struct held {
    const bench_point *point;
    interval_parts parts;
    basis basis;
    int runtime;
    double error; /* |log (predicted / measured)| */
    int stratum;
} held;

typedef struct fit_data {
    held *list;
    size_t count;
    int strata, runtimes;
    double weight[STRATA_MOST]; /* of a point: 1 / root of the stratum's points; 0: too few to tell */
} fit_data;

static _Noreturn void die(const char *what, const pg_error *e)
{
    fprintf(stderr, "fit_intervals: %s%s%s\n", what, e ? ": " : "", e ? e->text : "");
    exit(1);
}

static double *constant(interval_constants *c, int i)
{
    double *const rest[] = {&c->host, &c->training, &c->transferred};
    return i < INTERVAL_CLASSES     ? &c->model[i]
         : i < 2 * INTERVAL_CLASSES ? &c->kernel[i - INTERVAL_CLASSES]
                                    : rest[i - 2 * INTERVAL_CLASSES];
}

static basis basis_of(const char *name)
{
    return !strcmp(name, "calibrated")  ? BASIS_CALIBRATED
         : !strcmp(name, "transferred") ? BASIS_TRANSFERRED
                                        : BASIS_SPECIFICATION;
}

static double width_of(const double *x, const interval_constants *c, const held *h)
{
    double w = interval_width(c, &h->parts, h->basis);
    return h->runtime && !h->parts.lone ? w * x[FIXED + h->runtime - 1] : w;
}

static interval_constants unpack(const double *x, const interval_constants *start)
{
    interval_constants c = *start;
    for (int i = 0; i < FIXED; i++) *constant(&c, i) = x[i];
    return c;
}

static interval_constants begin; /* `specification` is nothing that was measured: it stays */

static double loss(unsigned n, const double *x, double *gradient, void *data)
{
    const fit_data *d = data;
    interval_constants c = unpack(x, &begin);
    double sum = 0, pull = 0;
    (void)gradient;
    for (size_t i = 0; i < d->count; i++) {
        const held *h = &d->list[i];
        double beyond = h->error - log(1 + width_of(x, &c, h));
        sum += d->weight[h->stratum] * (beyond > 0 ? HOLDS * beyond : (HOLDS - 1) * beyond);
    }
    /* what no point tells about stays where it was */
    for (unsigned i = 0; i < n; i++) pull += fabs(log(x[i] / (i < FIXED ? *constant(&begin, (int)i) : 1)));
    return sum + 0.02 * pull;
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

static int stratum_of(map *names_of, arena *a, const bench_point *p)
{
    char text[256];
    bool added;
    bool lone = str_starts(str_c(p->row->model), "op:");
    format_text(text, sizeof text, "%s|%s|%s|%s|%s", p->gpu->key, bench_runtime(p->row), bench_precision(p->row),
                bench_task_name(p->row->task), lone ? p->family : "model");
    str copy = str_copy(a, str_c(text));
    const uint32_t *at = copy.ptr ? map_add(names_of, copy, names_of->count, &added) : NULL;
    if (!at || *at >= STRATA_MOST) die("too many strata", NULL);
    return (int)*at;
}

static void hold_out(fit_data *d, bench *b, pg_catalog *catalog, split_kind kind, map *strata, arena *a)
{
    size_t n;
    pg_error e = PG_ERROR_INIT;
    bench_point *points = bench_points(b, &n);
    bool *test = ARENA_ARRAY(a, bool, n + 1);
    split_fold *folds;
    size_t count;
    if (!test) die("out of memory", NULL);
    const char **skipped = ARENA_ARRAY(a, const char *, n + 1);
    if (!skipped) die("out of memory", NULL);
    for (size_t i = 0; i < n; i++) {
        skipped[i] = points[i].skipped;
        test[i] = !skipped[i] && bench_seconds(points[i].row) > 0;
    }
    split_options o = {.kind = kind, .test = test};
    if (split_run(&folds, &count, b, catalog, &o, a, &e)) die("split", &e);
    bench_point *kept = ARENA_ARRAY(a, bench_point, n + 1);
    if (!kept) die("out of memory", NULL);
    memcpy(kept, points, n * sizeof *kept);
    for (size_t i = 0; i < n; i++)
        points[i].skipped = skipped[i]; /* what one kind of split can't leave out another can */
    for (size_t i = 0; i < n; i++) {
        bench_point *p = &kept[i];
        if (!test[i] || p->skipped || !p->fold) continue;
        d->list[d->count++] = (held){p,
                                     parts_of(p, catalog),
                                     basis_of(p->p.basis),
                                     (int)(p->plan->runtime - catalog->config.runtimes),
                                     fabs(log(1 + p->error)),
                                     stratum_of(strata, a, p)};
    }
    printf("%zu points held out in %zu folds\n", d->count, count);
}

static void report(const fit_data *d, const double *x)
{
    interval_constants c = unpack(x, &begin);
    double in = 0, off = 0, told = 0;
    static double inside[STRATA_MOST], all[STRATA_MOST];
    memset(inside, 0, sizeof inside);
    memset(all, 0, sizeof all);
    for (size_t i = 0; i < d->count; i++) {
        bool holds = d->list[i].error <= log(1 + width_of(x, &c, &d->list[i]));
        in += holds;
        inside[d->list[i].stratum] += holds;
        all[d->list[i].stratum]++;
    }
    for (int s = 0; s < d->strata; s++) {
        if (all[s] < 20) continue;
        told++;
        off += inside[s] / all[s] < 0.7 || inside[s] / all[s] > 0.9;
    }
    printf("%.1f %% of %zu points held; of %.0f strata with 20 points and more %.0f hold under 70 %% or over 90 %%\n",
           100 * in / (double)d->count, d->count, told, off);
}

/* A factor of a runtime without a single held-out point says nothing. */
static bool is_told(const fit_data *d, uint32_t runtime)
{
    for (size_t i = 0; i < d->count; i++)
        if (d->list[i].runtime == (int)runtime) return true;
    return false;
}

static void rewrite(const char *folder, const pg_catalog *catalog, const fit_data *d, const double *x)
{
    char path[4096], temporary[4200], line[1024], table[128] = "", key[160];
    snprintf(path, sizeof path, "%s/runtimes.toml", folder);
    snprintf(temporary, sizeof temporary, "%s.new", path);
    FILE *in = fopen(path, "r"), *out = fopen(temporary, "w");
    if (!in || !out) die("can't rewrite the widths", NULL);
    while (fgets(line, sizeof line, in)) {
        double value = -1;
        size_t len = strcspn(line, " =");
        if (line[0] == '[') sscanf(line, "[%127[^]]", table);
        for (int i = 0; i < FIXED && !strcmp(table, "interval"); i++)
            if (strlen(names[i]) == len && !strncmp(line, names[i], len)) value = x[i];
        for (uint32_t r = 1; r < catalog->config.n_runtimes && !strncmp(line, "interval_factor ", 16); r++) {
            str name = catalog->config.runtimes[r].key;
            snprintf(key, sizeof key, "runtimes.%.*s", STR_ARG(name));
            bool hit = !strcmp(table, key);
            snprintf(key, sizeof key, "runtimes.\"%.*s\"", STR_ARG(name));
            if ((hit || !strcmp(table, key)) && is_told(d, r)) value = x[FIXED + r - 1];
        }
        if (value < 0) fputs(line, out);
        else fprintf(out, "%.*s = %.3g\n", (int)len, line, value);
    }
    fclose(in);
    if (fclose(out) || rename(temporary, path)) die("can't rewrite the widths", NULL);
}

static void dump(const char *path, const fit_data *d, const double *x)
{
    interval_constants c = unpack(x, &begin);
    FILE *f = fopen(path, "w");
    if (!f) die("can't write the dump", NULL);
    fprintf(f, "model,gpu,runtime,precision,task,fold,basis,error,width,host");
    for (int k = 0; k < INTERVAL_CLASSES; k++) fprintf(f, ",%s", names[k]);
    fprintf(f, "\n");
    for (size_t i = 0; i < d->count; i++) {
        const bench_point *p = d->list[i].point;
        fprintf(f, "%s,%s,%s,%s,%s,%s,%d,%.4f,%.4f,%.3f", p->row->model, p->gpu->key, bench_runtime(p->row),
                bench_precision(p->row), bench_task_name(p->row->task), p->fold, (int)d->list[i].basis,
                d->list[i].error, width_of(x, &c, &d->list[i]), d->list[i].parts.host);
        for (int k = 0; k < INTERVAL_CLASSES; k++) fprintf(f, ",%.3f", d->list[i].parts.share[k]);
        fprintf(f, "\n");
    }
    fclose(f);
}

static void fit(fit_data *d, double *x)
{
    double low[CONSTANTS], high[CONSTANTS], step[CONSTANTS], best = 0;
    int n = FIXED + d->runtimes - 1;
    for (int i = 0; i < n; i++) {
        bool factor = i >= FIXED || i > 2 * INTERVAL_CLASSES;
        low[i] = i == FIXED - 1 ? 1 : factor ? 0.3 : 0.05;
        high[i] = factor ? 4 : i < INTERVAL_CLASSES ? 0.8 : 2;
        step[i] = factor ? 0.2 : 0.1;
    }
    for (int round = 0; round < 6; round++) {
        nlopt_opt opt = nlopt_create(NLOPT_LN_SBPLX, (unsigned)n);
        if (!opt) die("out of memory", NULL);
        nlopt_set_lower_bounds(opt, low);
        nlopt_set_upper_bounds(opt, high);
        nlopt_set_min_objective(opt, loss, d);
        nlopt_set_initial_step(opt, step);
        nlopt_set_ftol_rel(opt, 1e-6);
        nlopt_set_maxeval(opt, 8000);
        nlopt_optimize(opt, x, &best);
        nlopt_destroy(opt);
        printf("round %d: %.4f\n", round + 1, best);
    }
    for (int i = 0; i < n; i++) {
        if (i < FIXED) printf("  %-22s %.3f\n", names[i], x[i]);
        else printf("  runtime %-14d %.3f\n", i - FIXED + 1, x[i]);
    }
}

/* Tasks of language models have widths of their own (docs/llm.md), which are no sum over kinds of kernels. */
static void drop_language(bench_rows *rows)
{
    size_t n = 0;
    for (size_t i = 0; i < rows->count; i++)
        if (rows->rows[i].task <= TASK_TRAINING) rows->rows[n++] = rows->rows[i];
    rows->count = n;
}

int main(int argc, char **argv)
{
    const char *write_to = NULL, *dump_to = NULL;
    pg_error e = PG_ERROR_INIT;
    pg_catalog *catalog;
    bench_rows rows;
    bench *b;
    arena a;
    map strata;
    fit_data d = {0};
    size_t n;
    allocator alloc = api_allocator(NULL);
    arena_init(&a, alloc, (size_t)4 << 30);
    bench_rows_init(&rows, alloc);
    if (pg_catalog_open(&catalog, &(pg_catalog_options){.no_user_files = true}, &e)) die("catalog", &e);
    if (bench_read_builtin(&rows, false, &e)) die("built-in points", &e);
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--write") && i + 1 < argc) write_to = argv[++i];
        else if (!strcmp(argv[i], "--dump") && i + 1 < argc) dump_to = argv[++i];
        else if (bench_read(&rows, argv[i], &e)) die(argv[i], &e);
    }
    drop_language(&rows);
    if (bench_open(&b, &rows, catalog, &(bench_options){.keep = true}, &e)) die("points", &e);
    bench_points(b, &n);
    map_init(&strata, &a);
    d.list = ARENA_ARRAY(&a, held, 2 * n + 1);
    if (!d.list) die("out of memory", NULL);
    hold_out(&d, b, catalog, SPLIT_FAMILY, &strata, &a);
    hold_out(&d, b, catalog, SPLIT_GPU, &strata, &a);
    d.strata = (int)strata.count;
    for (size_t i = 0; i < d.count; i++) d.weight[d.list[i].stratum]++;
    for (int s = 0; s < d.strata; s++) d.weight[s] = d.weight[s] < LEAST ? 0 : 1 / sqrt(d.weight[s]);
    begin = catalog->config.predict.interval;
    d.runtimes = (int)catalog->config.n_runtimes;
    if (d.runtimes > RUNTIMES_MOST) die("too many runtimes", NULL);
    double x[CONSTANTS];
    for (int i = 0; i < FIXED; i++) x[i] = *constant(&begin, i);
    for (int i = 0; i < d.runtimes - 1; i++) x[FIXED + i] = catalog->config.runtimes[i + 1].interval_factor;
    report(&d, x);
    fit(&d, x);
    report(&d, x);
    if (write_to) rewrite(write_to, catalog, &d, x);
    if (dump_to) dump(dump_to, &d, x);
    bench_free(b);
    bench_rows_free(&rows);
    pg_catalog_free(catalog);
    arena_free(&a);
    return 0;
}
