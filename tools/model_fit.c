/* Checks whole-model predictions against measurements, and fits the constants that only whole models can show (half-precision
 * convolutions, layout changes, the host) on them: a thin tool over src/bench.
 *
 * usage: fit_models [--fit STEP|NAME,...] [--rounds N] [--start] [--leave GPU] [--families K/N] [--dump FILE.csv] [--steps FILE.csv] [--by-family]
 *                   [--all] [--write FOLDER] BENCHMARKS.json ...
 *   BENCHMARKS.json  benchmark files (docs/validation.md); rows of other metrics than latency and throughput are passed over
 *   --fit STEP       fits the constants of a step of data/fit.toml, from where they are, on those of the rows that the step takes
 *   --fit NAME,...   fits these constants on all rows: "conv.tensor_k0" of cost_constants.toml,
 *                    "pytorch.host_us" of runtimes.toml
 *   --rounds N       optimiser restarts (as the step says; 3)
 *   --start          all constants of all steps get their start values
 *   --leave GPU      fit without this GPU, then report it alone: what a GPU that nobody measured may expect
 *   --families K/N   fit without every N-th model family, from the K-th on, then report those alone
 *   --dump FILE.csv  one line a row
 *   --steps FILE.csv one line a kernel of each row: which kinds of kernels the residuals go with
 *   --by-family      errors by model family too
 *   --all            fits all steps of data/fit.toml, one after the other, from their start values; without files: on the built-in
 *                    points
 *   --write FOLDER   writes the constants back into FOLDER/cost_constants.toml and FOLDER/runtimes.toml
 * `phantom-gpu validate --split` does the held-out fits for all steps at once. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>

#include "api/api.h"
#include "bench/builtin.h"
#include "bench/split.h"
#include "fit_write.h"

enum { TOOL_CONSTANTS_MOST = 1024 };

typedef struct tool {
    pg_catalog *catalog;
    arena a;
    bench_rows rows;
    bench *b;
    bench_point *points;
    size_t count;
    bool *out; /* left out of the fit */
    bool any_out;
    fit_constant constants[TOOL_CONSTANTS_MOST];
    int constant_count;
} tool;

static _Noreturn void die(const char *what, const pg_error *e)
{
    fprintf(stderr, "fit_models: %s%s%s%s%s\n", what, e ? ": " : "", e ? e->path : "", e && e->path[0] ? ": " : "",
            e ? e->text : "");
    exit(1);
}

static unsigned family_index(const char *family)
{
    unsigned h = 5381;
    for (const char *c = family; *c; c++) h = h * 33 + (unsigned char)*c;
    return h % 1000;
}

static const fit_steps *steps_of(tool *t)
{
    static fit_steps steps;
    pg_error e = PG_ERROR_INIT;
    if (!steps.count && fit_steps_read(&steps, t->catalog, &t->a, &e)) die("data/fit.toml", &e);
    return &steps;
}

static void add_constant(tool *t, const fit_constant *c)
{
    if (t->constant_count == TOOL_CONSTANTS_MOST) die("too many constants", NULL);
    t->constants[t->constant_count++] = *c;
}

static void add_step(tool *t, const fit_step *s)
{
    for (int i = 0; i < s->count; i++) add_constant(t, &s->constants[i]);
}

static void show_round(void *ud, int round, double loss)
{
    (void)ud;
    printf("round %d: %.4f\n", round, loss);
    fflush(stdout);
}

/* Constants by name, from where they are, on all points. */
static void fit_names(tool *t, char *names, int rounds)
{
    pg_error e = PG_ERROR_INIT;
    bool *use = ARENA_ARRAY(&t->a, bool, t->count + 1);
    if (!use) die("out of memory", NULL);
    for (char *at = strtok(names, ","); at; at = strtok(NULL, ",")) {
        fit_constant c;
        if (fit_find(&c, t->catalog, at, &e)) die(at, &e);
        add_constant(t, &c);
    }
    for (size_t i = 0; i < t->count; i++) use[i] = !t->out[i] && bench_seconds(t->points[i].row) > 0;
    fit_problem p = {.points = t->points,
                     .count = t->count,
                     .use = use,
                     .constants = t->constants,
                     .constant_count = t->constant_count,
                     .rounds = rounds ? rounds : 3,
                     .evaluations = 120,
                     .progress = show_round};
    if (fit_run(&p, &e)) die("the fit failed", &e);
}

static void fit(tool *t, const char *what, int rounds)
{
    pg_error e = PG_ERROR_INIT;
    char names[4096];
    snprintf(names, sizeof names, "%s", what);
    if (strchr(names, '.')) {
        fit_names(t, names, rounds);
    } else {
        const fit_step *s = fit_step_find(steps_of(t), names, &e);
        if (!s || split_fit_step(t->b, t->catalog, s, t->out, rounds, show_round, NULL, &t->a, &e)) die(names, &e);
        add_step(t, s);
    }
    for (int i = 0; i < t->constant_count; i++) printf("  %-28s %.5g\n", t->constants[i].name, *t->constants[i].at);
}

/* All constants of all steps get their start values. */
static void start_over(tool *t)
{
    const fit_steps *steps = steps_of(t);
    for (int s = 0; s < steps->count; s++) {
        fit_step_start(&steps->list[s]);
        add_step(t, &steps->list[s]);
    }
}

static void show_step(void *ud, const char *step, int done, int of)
{
    (void)ud;
    printf("step %d of %d: %s\n", done + 1, of, step);
    fflush(stdout);
}

static void fit_all(tool *t)
{
    pg_error e = PG_ERROR_INIT;
    split_options o = {.progress = show_step};
    if (split_fit_all(t->b, t->catalog, &o, &t->a, &e)) die("the fit failed", &e);
    for (int s = 0; s < steps_of(t)->count; s++) add_step(t, &steps_of(t)->list[s]);
}

/* ---- reports ---- */

/* Of the points that were left out, if any were. */
static bool is_reported(const tool *t, size_t i)
{
    return !t->points[i].skipped && bench_seconds(t->points[i].row) > 0 && (!t->any_out || t->out[i]);
}

static void key_of(char *out, size_t cap, const bench_point *p, bool family)
{
    if (family) snprintf(out, cap, "%s", p->family);
    else snprintf(out, cap, "%s %s %s", p->gpu->key, bench_runtime(p->row), bench_layout_name(p->row->layout));
}

static void report_group(const tool *t, const char *title, const char *key, bool family)
{
    double *errors = malloc((t->count + 1) * sizeof *errors);
    char own[160];
    size_t n = 0;
    for (size_t i = 0; errors && i < t->count; i++) {
        if (!is_reported(t, i)) continue;
        key_of(own, sizeof own, &t->points[i], family);
        if (!key || !strcmp(own, key)) errors[n++] = t->points[i].error;
    }
    bench_stats s = bench_stats_of(errors, n);
    if (n)
        printf("%-44s %5zu  mape %5.1f  median %5.1f  p90 %5.1f  bias %+6.1f  in 10%% %3.0f%%  in 25%% %3.0f%%\n",
               title, n, 100 * s.mape, 100 * s.median, 100 * s.p90, 100 * s.bias, 100 * s.within_10, 100 * s.within_25);
    free(errors);
}

static void report(const tool *t, bool families)
{
    enum { KEYS_MOST = 256 };
    static char seen[KEYS_MOST][160];
    int n = 0;
    report_group(t, "all", NULL, false);
    for (int pass = 0; pass < (families ? 2 : 1); pass++)
        for (size_t i = 0; i < t->count; i++) {
            char key[160];
            bool known = n == KEYS_MOST || !is_reported(t, i);
            if (!known) key_of(key, sizeof key, &t->points[i], pass);
            for (int k = 0; k < n && !known; k++) known = !strcmp(seen[k], key);
            if (known) continue;
            memcpy(seen[n++], key, sizeof key);
            report_group(t, key, key, pass);
        }
}

static void dump(const tool *t, const char *path)
{
    FILE *f = fopen(path, "w");
    if (!f) die("can't write the dump", NULL);
    fprintf(f, "model,family,gpu,runtime,layout,version,batch,measured_ms,predicted_ms,error,out\n");
    for (size_t i = 0; i < t->count; i++) {
        const bench_point *p = &t->points[i];
        double measured = bench_seconds(p->row) * 1e3;
        if (p->skipped || measured <= 0) continue;
        fprintf(f, "%s,%s,%s,%s,%s,%s,%lld,%.6g,%.6g,%.4f,%d\n", p->row->path, p->family, p->gpu->key,
                bench_runtime(p->row), bench_layout_name(p->row->layout),
                p->row->runtime_version ? p->row->runtime_version : "", (long long)p->row->batch, measured,
                p->p.latency_ms, p->error, t->out[i]);
    }
    fclose(f);
}

/* The eight sizes that say most about a kernel. */
static void sizes_of(const kernel *k, double *x)
{
    switch (k->kind) {
    case KERNEL_GEMM: memcpy(x, &k->shape.gemm, sizeof k->shape.gemm); break;
    case KERNEL_CONV:
    case KERNEL_DEPTHWISE: {
        const conv_shape *v = &k->shape.conv;
        memcpy(x, (double[8]){v->batch, v->in, v->out, v->oh, v->ow, v->kh, v->stride, v->groups}, 8 * sizeof *x);
        break;
    }
    case KERNEL_ATTENTION: {
        const attention_shape *v = &k->shape.attention;
        memcpy(x, (double[8]){v->batch, v->heads, v->q_len, v->kv_len, v->head_dim, v->bias}, 8 * sizeof *x);
        break;
    }
    default: memcpy(x, &k->shape.rows, sizeof k->shape.rows); break;
    }
}

static void dump_steps(const tool *t, const char *path)
{
    FILE *f = fopen(path, "w");
    if (!f) die("can't write the steps", NULL);
    fprintf(f, "row,op,role,kind,last,trips,seconds,compute_s,memory_s,launches,flops,read,weights,write,hot,"
               "hot_distance,dram,a,b,c,d,e,f,g,h\n");
    for (size_t i = 0; i < t->count; i++) {
        if (t->points[i].skipped) continue;
        const kernel_plan *p = &t->points[i].plan->plan;
        const gpu_spec *spec = ((const api_gpu *)(const void *)t->points[i].gpu)->spec;
        predict_gpu g;
        predict_options o = api_predict_options(t->points[i].plan, spec);
        predict_gpu_init(&g, spec, &t->catalog->config.cost, &o);
        for (uint32_t k = 0; k < p->n_steps; k++) {
            const plan_step *s = &p->steps[k];
            const kernel *kn = &p->kernels[s->kernel].k;
            kernel_cost c = predict_kernel(p, s->kernel, &g, &o);
            double x[8] = {0};
            sizes_of(kn, x);
            fprintf(f, "%zu,%s,%d,%d,%d,%g,%.4g,%.4g,%.4g,%g,%.6g,%.6g,%.6g,%.6g,%.6g,%.6g,%.6g", i,
                    op_kind_name((op_kind)s->kind), s->role, kn->kind, kn->channels_last, s->trips, c.seconds,
                    c.compute_s, c.memory_s, c.launches, kn->flops, kn->read_bytes, kn->weight_bytes, kn->write_bytes,
                    kn->hot_bytes, kn->hot_distance, c.dram_bytes);
            for (int j = 0; j < 8; j++) fprintf(f, ",%g", x[j]);
            fputc('\n', f);
        }
    }
    fclose(f);
}

/* ---- arguments ---- */

typedef struct arguments {
    const char *leave, *dump, *steps, *write, *names;
    unsigned fold, folds;
    int rounds;
    bool families, all, start;
} arguments;

static void read_arguments(tool *t, arguments *o, int argc, char **argv)
{
    pg_error e = PG_ERROR_INIT;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        bool taken = value != NULL;
        if (!strcmp(argv[i], "--by-family")) o->families = true, taken = false;
        else if (!strcmp(argv[i], "--all")) o->all = true, taken = false;
        else if (!strcmp(argv[i], "--start")) o->start = true, taken = false;
        else if (value && !strcmp(argv[i], "--fit")) o->names = value;
        else if (value && !strcmp(argv[i], "--rounds")) o->rounds = atoi(value);
        else if (value && !strcmp(argv[i], "--leave")) o->leave = value;
        else if (value && !strcmp(argv[i], "--families")) sscanf(value, "%u/%u", &o->fold, &o->folds);
        else if (value && !strcmp(argv[i], "--dump")) o->dump = value;
        else if (value && !strcmp(argv[i], "--steps")) o->steps = value;
        else if (value && !strcmp(argv[i], "--write")) o->write = value;
        else {
            taken = false;
            if (bench_read(&t->rows, argv[i], &e)) die(argv[i], &e);
        }
        i += taken;
    }
}

int main(int argc, char **argv)
{
    tool t = {.count = 0};
    arguments o = {.rounds = 0};
    pg_error e = PG_ERROR_INIT;
    arena_init(&t.a, api_allocator(NULL), 0);
    bench_rows_init(&t.rows, api_allocator(NULL));
    if (pg_catalog_open(&t.catalog, &(pg_catalog_options){.no_user_files = true}, &e)) die("catalog", &e);
    read_arguments(&t, &o, argc, argv);
    if (o.all && !t.rows.count && bench_read_builtin(&t.rows, false, &e)) die("built-in points", &e);
    if (bench_open(&t.b, &t.rows, t.catalog, &(bench_options){.keep = true}, &e)) die("points", &e);
    t.points = bench_points(t.b, &t.count);
    t.out = ARENA_ARRAY(&t.a, bool, t.count + 1);
    if (!t.out) die("out of memory", NULL);
    for (size_t i = 0; i < t.count; i++) {
        const bench_point *p = &t.points[i];
        if (p->skipped) continue;
        if (o.leave) t.out[i] |= !strcmp(p->gpu->key, o.leave);
        if (o.folds) t.out[i] |= family_index(p->family) % o.folds == o.fold;
        t.any_out |= t.out[i];
    }
    if (o.all) fit_all(&t);
    if (o.start) start_over(&t);
    if (o.names) fit(&t, o.names, o.rounds);
    bench_predict(t.b);
    report(&t, o.families);
    if (o.dump) dump(&t, o.dump);
    if (o.steps) dump_steps(&t, o.steps);
    if (o.write && !fit_write(t.catalog, t.constants, t.constant_count, o.write))
        die("can't rewrite the constants", NULL);
    bench_free(t.b);
    bench_rows_free(&t.rows);
    pg_catalog_free(t.catalog);
    arena_free(&t.a);
    return 0;
}
