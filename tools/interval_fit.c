/* Fits the widths of the 80 % intervals (data/runtimes.toml [interval]) on errors of held-out points: model families left out and GPUs
 * left out of the fit of everything else.
 *
 * usage: fit_intervals [--write FOLDER] [--generations] [--save FILE] [--load FILE] [--dump FILE.csv] [BENCHMARKS.json ...]
 *   BENCHMARKS.json  points beside the built-in ones
 *   --write FOLDER   writes the widths into FOLDER/runtimes.toml
 *   --generations    leaves out whole generations of GPUs instead of each, for the report
 *   --save FILE      writes what was held out, which takes minutes; --load FILE takes it from there, with the same points
 *   --dump FILE.csv  one line a held-out point: its error, and its interval in cross-validation
 * The loss is that of the 10 and the 90 % quantile of log (measured / predicted), against the ends of the interval: of all widths those
 * beyond each of whose ends a tenth of the points lies and that are no wider than they must. What few points tell about is pulled to
 * the mean of its kind. The report is of cross-validation: widths that were fitted without a point's chip (where GPUs were left out)
 * or without its family. Deterministic. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/builtin.h"
#include "interval_fit.h"

/* A factor of a runtime without a single held-out point says nothing. */
static bool is_told(const held_list *h, uint32_t runtime)
{
    for (size_t i = 0; i < h->count; i++)
        if (h->list[i].runtime == (int)runtime && !h->list[i].parts.lone) return true;
    return false;
}

static void rewrite(const char *folder, const pg_catalog *catalog, const held_list *h, const double *x)
{
    char path[4096], temporary[4200], line[1024], table[128] = "", key[160];
    snprintf(path, sizeof path, "%s/runtimes.toml", folder);
    snprintf(temporary, sizeof temporary, "%s.new", path);
    FILE *in = fopen(path, "r"), *out = fopen(temporary, "w");
    if (!in || !out) interval_die("can't rewrite the widths", NULL);
    while (fgets(line, sizeof line, in)) {
        double value = -1;
        size_t len = strcspn(line, " =");
        if (line[0] == '[') sscanf(line, "[%127[^]]", table);
        for (int i = 0; i < FIXED && !strcmp(table, "interval"); i++)
            if (strlen(interval_names[i]) == len && !strncmp(line, interval_names[i], len)) value = exp(x[i]);
        for (uint32_t r = 1; r < catalog->config.n_runtimes && !strncmp(line, "interval_factor ", 16); r++) {
            str name = catalog->config.runtimes[r].key;
            snprintf(key, sizeof key, "runtimes.%.*s", STR_ARG(name));
            bool hit = !strcmp(table, key);
            snprintf(key, sizeof key, "runtimes.\"%.*s\"", STR_ARG(name));
            if ((hit || !strcmp(table, key)) && is_told(h, r)) value = exp(x[FIXED + r]);
        }
        if (value < 0) fputs(line, out);
        else fprintf(out, "%.*s = %.3g\n", (int)len, line, value);
    }
    fclose(in);
    if (fclose(out) || rename(temporary, path)) interval_die("can't rewrite the widths", NULL);
}

static void dump(const char *path, const held_list *h)
{
    FILE *f = fopen(path, "w");
    if (!f) interval_die("can't write the dump", NULL);
    fprintf(f, "model,family,gpu,runtime,precision,batch,task,split,basis,error,low,high,kernel_us,host");
    for (int k = 0; k < INTERVAL_CLASSES; k++) fprintf(f, ",%s", interval_names[k]);
    fprintf(f, "\n");
    for (size_t i = 0; i < h->count; i++) {
        const held *at = &h->list[i];
        const bench_point *p = at->point;
        fprintf(f, "%s,%s,%s,%s,%s,%lld,%s,%d,%d,%.4f,%.4f,%.4f,%.3g,%.3f", p->row->model, p->family, p->gpu->key,
                bench_runtime(p->row), bench_precision(p->row), (long long)p->row->batch, bench_task_name(p->row->task),
                (int)at->kind, (int)at->basis, at->error, at->low, at->high, 1e6 * at->parts.kernel_s, at->parts.host);
        for (int k = 0; k < INTERVAL_CLASSES; k++) fprintf(f, ",%.3f", at->parts.share[k]);
        fprintf(f, "\n");
    }
    if (fclose(f)) interval_die("can't write the dump", NULL);
}

static void show(const held_list *h, const pg_catalog *catalog, const double *x)
{
    for (int i = 0; i < FIXED; i++) printf("  %-22s %.3f\n", interval_names[i], exp(x[i]));
    for (uint32_t r = 1; r < catalog->config.n_runtimes; r++)
        if (is_told(h, r)) printf("  %-22.*s %.3f\n", STR_ARG(catalog->config.runtimes[r].key), exp(x[FIXED + r]));
}

/* Tasks of language models have widths of their own (docs/llm.md), which are no sum over kinds of kernels. */
static void drop_language(bench_rows *rows)
{
    size_t n = 0;
    for (size_t i = 0; i < rows->count; i++)
        if (rows->rows[i].task <= TASK_TRAINING) rows->rows[n++] = rows->rows[i];
    rows->count = n;
}

typedef struct options {
    const char *write_to, *dump_to, *save_to, *load_from;
    bool generations;
} options;

static void hold(held_list *h, bench *b, pg_catalog *catalog, const options *o, arena *a)
{
    size_t n;
    bench_points(b, &n);
    h->list = ARENA_ARRAY(a, held, 2 * n + 1);
    if (!h->list) interval_die("out of memory", NULL);
    h->start = catalog->config.predict.interval;
    h->runtimes = (int)catalog->config.n_runtimes;
    if (h->runtimes > RUNTIMES_MOST) interval_die("too many runtimes", NULL);
    for (int i = 0; i < h->runtimes; i++) h->shipped[i] = catalog->config.runtimes[i].interval_factor;
    if (o->load_from) {
        interval_load(h, b, catalog, o->load_from);
    } else {
        interval_hold_out(h, b, catalog, SPLIT_FAMILY, a);
        interval_hold_out(h, b, catalog, o->generations ? SPLIT_GENERATION : SPLIT_GPU, a);
    }
    if (o->save_to) interval_save(h, b, o->save_to);
    interval_weigh(h, a);
}

int main(int argc, char **argv)
{
    options o = {NULL, NULL, NULL, NULL, false};
    pg_error e = PG_ERROR_INIT;
    pg_catalog *catalog;
    bench_rows rows;
    bench *b;
    arena a;
    held_list h = {.count = 0};
    double x[CONSTANTS];
    allocator alloc = api_allocator(NULL);
    arena_init(&a, alloc, (size_t)4 << 30);
    bench_rows_init(&rows, alloc);
    if (pg_catalog_open(&catalog, &(pg_catalog_options){.no_user_files = true}, &e)) interval_die("catalog", &e);
    if (bench_read_builtin(&rows, false, &e)) interval_die("built-in points", &e);
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--write") && i + 1 < argc) o.write_to = argv[++i];
        else if (!strcmp(argv[i], "--dump") && i + 1 < argc) o.dump_to = argv[++i];
        else if (!strcmp(argv[i], "--save") && i + 1 < argc) o.save_to = argv[++i];
        else if (!strcmp(argv[i], "--load") && i + 1 < argc) o.load_from = argv[++i];
        else if (!strcmp(argv[i], "--generations")) o.generations = true;
        else if (bench_read(&rows, argv[i], &e)) interval_die(argv[i], &e);
    }
    drop_language(&rows);
    if (bench_open(&b, &rows, catalog, &(bench_options){.keep = true}, &e)) interval_die("points", &e);
    hold(&h, b, catalog, &o, &a);
    interval_cross_validate(&h, &a);
    interval_report(&h, &a);
    interval_fit(x, &h, NULL);
    show(&h, catalog, x);
    if (o.write_to) rewrite(o.write_to, catalog, &h, x);
    if (o.dump_to) dump(o.dump_to, &h);
    bench_free(b);
    bench_rows_free(&rows);
    pg_catalog_free(catalog);
    arena_free(&a);
    return 0;
}
