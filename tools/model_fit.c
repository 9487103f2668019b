/* Checks whole-model predictions against measurements, and fits the constants that only whole models can show (half-precision
 * convolutions, layout changes, the host) on them.
 *
 * usage: fit_models [--fit NAME,...] [--rounds N] [--leave GPU] [--families K/N] [--dump FILE.csv] [--steps FILE.csv] [--write FOLDER] BENCHMARKS.json ...
 *   BENCHMARKS.json  benchmark files (docs/accuracy.md); rows of other metrics than latency and throughput are passed over
 *   --fit NAME,...   constants to move: "conv.tensor_k0" of cost_constants.toml, "pytorch.host_us" of runtimes.toml
 *   --rounds N       optimiser restarts (3)
 *   --leave GPU      fit without this GPU, then report it alone: what a GPU that nobody measured may expect
 *   --families K/N   fit without every N-th model family, from the K-th on, then report those alone
 *   --dump FILE.csv  one line a row
 *   --steps FILE.csv one line a kernel of each row: which kinds of kernels the residuals go with
 *   --write FOLDER   writes the constants back into FOLDER/cost_constants.toml and FOLDER/runtimes.toml
 * Deterministic: NLopt's Sbplx has no random part. */
#define _POSIX_C_SOURCE 200809L
#include "api/api.h"

#include <jansson.h>
#include <nlopt.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct row {
    pg_plan *plan;
    const api_gpu *gpu;
    const char *model, *family, *runtime, *layout, *version;
    double measured, predicted; /* seconds */
    bool out;                   /* left out of the fit */
    int family_id;
} row;

typedef struct free_constant {
    char name[64];
    double *at, low, high;
} free_constant;

enum { MAX_FREE = 48, MAX_MODELS = 4096 };

static pg_catalog *catalog;
static row *rows;
static size_t n_rows, cap_rows;
static free_constant free_list[MAX_FREE];
static int n_free;
static struct {
    char *path;
    pg_model *model;
} models[MAX_MODELS];
static size_t n_models;

static _Noreturn void die(const char *what, const pg_error *e)
{
    fprintf(stderr, "fit_models: %s%s%s\n", what, e ? ": " : "", e ? e->text : "");
    exit(1);
}

static pg_model *model_of(const char *path, const pg_model_options *o)
{
    for (size_t i = 0; i < n_models; i++)
        if (!strcmp(models[i].path, path)) return models[i].model;
    if (n_models == MAX_MODELS) die("too many models", NULL);
    pg_error e = PG_ERROR_INIT;
    pg_model *m = NULL;
    if (pg_model_open(&m, path, o, &e)) fprintf(stderr, "fit_models: %s: %s\n", path, e.text);
    models[n_models].path = strdup(path);
    models[n_models++].model = m;
    return m;
}

static const char *text_of(const json_t *b, const char *key, const char *fallback)
{
    const char *s = json_string_value(json_object_get(b, key));
    return s ? s : fallback;
}

/* pytorch-image-models measured some boards with its fast norm switched on: group normalisation is faster there than fp32 traffic
 * can be at the peak of the bandwidth. Nothing in the tables says so but the figures. */
static bool has_half_norms(const json_t *b)
{
    static const char *const boards[] = {"rtx3090", "rtx4090"};
    const json_t *told = json_object_get(b, "half_norms");
    if (told) return json_is_true(told);
    if (!strstr(text_of(b, "source", ""), "pytorch-image-models")) return false;
    for (size_t i = 0; i < sizeof boards / sizeof boards[0]; i++)
        if (!strcmp(text_of(b, "gpu", ""), boards[i])) return true;
    return false;
}

static void add_row(const json_t *b, int family_id)
{
    const char *metric = text_of(b, "metric", "");
    bool throughput = !strcmp(metric, "throughput");
    if (!throughput && strcmp(metric, "latency_ms") != 0) return;
    pg_error e = PG_ERROR_INIT;
    const pg_gpu *gpu = pg_catalog_find(catalog, text_of(b, "gpu", ""), &e);
    pg_model *m = gpu ? model_of(text_of(b, "model", ""), NULL) : NULL;
    if (!m) return;
    pg_request r = {.batch = json_integer_value(json_object_get(b, "batch")),
                    .precision = text_of(b, "precision", "fp16"),
                    .runtime = text_of(b, "runtime", "pytorch"),
                    .runtime_version = text_of(b, "runtime_version", NULL),
                    .autocast = json_is_true(json_object_get(b, "autocast")),
                    .half_norms = has_half_norms(b),
                    .device_time = json_is_true(json_object_get(b, "device_time")),
                    .layout = !strcmp(text_of(b, "layout", "nchw"), "nhwc") ? PG_LAYOUT_NHWC : PG_LAYOUT_NCHW};
    if (m->info.sequence_symbol) r.sequence = json_integer_value(json_object_get(b, "seq_len"));
    pg_plan *p;
    if (pg_plan_open(&p, m, catalog, &r, &e)) {
        fprintf(stderr, "fit_models: %s: %s\n", text_of(b, "model", ""), e.text);
        return;
    }
    if (n_rows == cap_rows) {
        cap_rows = cap_rows ? cap_rows * 2 : 1024;
        rows = realloc(rows, cap_rows * sizeof *rows);
        if (!rows) die("out of memory", NULL);
    }
    double value = json_number_value(json_object_get(b, "value"));
    double batch = r.batch > 0 ? (double)r.batch : 1;
    rows[n_rows++] = (row){p,
                           (const api_gpu *)(const void *)gpu,
                           text_of(b, "model", ""),
                           text_of(b, "family", "?"),
                           r.runtime,
                           text_of(b, "layout", "nchw"),
                           text_of(b, "runtime_version", ""),
                           throughput ? batch / value : value * 1e-3,
                           0,
                           false,
                           family_id};
}

static int family_index(const char *family)
{
    unsigned h = 5381;
    for (const char *c = family; *c; c++) h = h * 33 + (unsigned char)*c;
    return (int)(h % 1000);
}

static void predict_all(void)
{
    for (size_t i = 0; i < n_rows; i++) {
        row *r = &rows[i];
        predict_gpu g;
        predict_options o = {.family = r->plan->model->family,
                             .batch = (double)r->plan->request.batch,
                             .device_time = r->plan->request.device_time};
        predict_gpu_init(&g, r->gpu->spec, &catalog->config.cost, &o);
        r->predicted = predict_step(&r->plan->plan, &g, &catalog->config.predict, &o).seconds;
    }
}

/* Mean of |log ratio|, large errors damped: some rows are other models than their files say. */
static double loss(unsigned n, const double *x, double *grad, void *ud)
{
    (void)grad;
    (void)ud;
    for (unsigned i = 0; i < n; i++) *free_list[i].at = x[i];
    predict_all();
    double sum = 0, count = 0;
    for (size_t i = 0; i < n_rows; i++) {
        if (rows[i].out) continue;
        double d = fabs(log(rows[i].predicted / rows[i].measured));
        sum += d < 0.4 ? d : 0.4 + 0.3 * (d - 0.4);
        count++;
    }
    return count > 0 ? sum / count : 0;
}

static void free_constant_add(const char *name)
{
    if (n_free == MAX_FREE) die("too many constants", NULL);
    free_constant *f = &free_list[n_free];
    snprintf(f->name, sizeof f->name, "%s", name);
    api_config *c = &catalog->config;
    for (int i = 0; i < COST_CONSTANTS; i++) {
        char full[80];
        snprintf(full, sizeof full, "%s.%s", cost_constant_table[i].table, cost_constant_table[i].name);
        if (strcmp(full, name) != 0) continue;
        *f = (free_constant){.at = cost_constant_at(&c->cost, i),
                             .low = cost_constant_table[i].lower,
                             .high = cost_constant_table[i].upper};
        snprintf(f->name, sizeof f->name, "%s", name);
        n_free++;
        return;
    }
    if (!strcmp(name, "predict.host_half_years")) {
        f->at = &c->predict.host_half_years;
        f->low = 1;
        f->high = 50;
        n_free++;
        return;
    }
    for (uint32_t i = 0; i < c->n_runtimes; i++) {
        runtime_profile *r = &c->runtimes[i];
        struct {
            const char *name;
            double *at, low, high;
        } fields[] = {{"host_us", &r->host_us, 0.5, 80},
                      {"host_view_us", &r->host_view_us, 0, 20},
                      {"host_step_us", &r->host_step_us, 0, 500},
                      {"conv_speed", &r->conv_speed, 0.3, 2.5},
                      {"depthwise_speed", &r->depthwise_speed, 0.3, 8},
                      {"gemm_speed", &r->gemm_speed, 0.3, 2.5},
                      {"attention_speed", &r->attention_speed, 0.3, 4},
                      {"pointwise_speed", &r->pointwise_speed, 0.3, 1.3}};
        for (size_t k = 0; k < sizeof fields / sizeof fields[0]; k++) {
            char full[80];
            snprintf(full, sizeof full, "%.*s.%s", STR_ARG(r->key), fields[k].name);
            if (strcmp(full, name) != 0) continue;
            f->at = fields[k].at;
            f->low = fields[k].low;
            f->high = fields[k].high;
            n_free++;
            return;
        }
    }
    die("no such constant; see --help in the source", NULL);
}

static void fit(int rounds)
{
    double x[MAX_FREE], low[MAX_FREE], high[MAX_FREE], step[MAX_FREE], best;
    for (int i = 0; i < n_free; i++) {
        x[i] = *free_list[i].at;
        low[i] = free_list[i].low;
        high[i] = free_list[i].high;
        step[i] = fmax(fabs(x[i]) * 0.25, (high[i] - low[i]) * 0.01);
    }
    printf("start %.4f\n", loss((unsigned)n_free, x, NULL, NULL));
    for (int k = 0; k < rounds; k++) {
        nlopt_opt opt = nlopt_create(NLOPT_LN_SBPLX, (unsigned)n_free);
        nlopt_set_lower_bounds(opt, low);
        nlopt_set_upper_bounds(opt, high);
        nlopt_set_min_objective(opt, loss, NULL);
        nlopt_set_initial_step(opt, step);
        nlopt_set_ftol_rel(opt, 1e-4);
        nlopt_set_maxeval(opt, 120 * n_free);
        nlopt_optimize(opt, x, &best);
        nlopt_destroy(opt);
        printf("round %d: %.4f\n", k + 1, best);
        fflush(stdout);
    }
    loss((unsigned)n_free, x, NULL, NULL);
    for (int i = 0; i < n_free; i++) printf("  %-28s %.5g\n", free_list[i].name, *free_list[i].at);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report_group(const char *title, bool (*in)(const row *, const void *), const void *ud)
{
    double *e = malloc(n_rows * sizeof *e);
    double sum = 0, bias = 0;
    size_t n = 0, in10 = 0, in25 = 0;
    for (size_t i = 0; e && i < n_rows; i++) {
        if (!in(&rows[i], ud)) continue;
        double d = rows[i].predicted / rows[i].measured - 1;
        e[n++] = fabs(d);
        sum += fabs(d);
        bias += d;
        in10 += fabs(d) <= 0.10;
        in25 += fabs(d) <= 0.25;
    }
    if (n) {
        qsort(e, n, sizeof *e, by_value);
        double k = 100.0 / (double)n;
        printf("%-44s %5zu  mape %5.1f  median %5.1f  p90 %5.1f  bias %+6.1f  in 10%% %3.0f%%  in 25%% %3.0f%%\n",
               title, n, sum * k, e[n / 2] * 100, e[n * 9 / 10] * 100, bias * k, (double)in10 * k, (double)in25 * k);
    }
    free(e);
}

static bool is_reported(const row *r, const void *ud)
{
    const char *want = ud;
    bool any_out = false;
    for (size_t i = 0; i < n_rows; i++) any_out |= rows[i].out;
    if (any_out && !r->out) return false;
    char key[160];
    snprintf(key, sizeof key, "%s %s %s", r->gpu->pub.key, r->runtime, r->layout);
    return !want || !strcmp(want, key) || !strcmp(want, r->family);
}

static void report(bool families)
{
    char seen[256][160];
    int n = 0;
    report_group("all", is_reported, NULL);
    for (int pass = 0; pass < (families ? 2 : 1); pass++)
        for (size_t i = 0; i < n_rows; i++) {
            char key[160];
            if (pass) snprintf(key, sizeof key, "%s", rows[i].family);
            else snprintf(key, sizeof key, "%s %s %s", rows[i].gpu->pub.key, rows[i].runtime, rows[i].layout);
            bool known = n == 256;
            for (int k = 0; k < n; k++) known |= !strcmp(seen[k], key);
            if (known) continue;
            memcpy(seen[n++], key, sizeof key);
            report_group(key, is_reported, key);
        }
}

static void dump(const char *path)
{
    FILE *f = fopen(path, "w");
    if (!f) die("can't write the dump", NULL);
    fprintf(f, "model,family,gpu,runtime,layout,version,batch,measured_ms,predicted_ms,error,out\n");
    for (size_t i = 0; i < n_rows; i++)
        fprintf(f, "%s,%s,%s,%s,%s,%s,%lld,%.6g,%.6g,%.4f,%d\n", rows[i].model, rows[i].family, rows[i].gpu->pub.key,
                rows[i].runtime, rows[i].layout, rows[i].version, (long long)rows[i].plan->request.batch,
                rows[i].measured * 1e3, rows[i].predicted * 1e3, rows[i].predicted / rows[i].measured - 1, rows[i].out);
    fclose(f);
}

static void dump_steps(const char *path)
{
    FILE *f = fopen(path, "w");
    if (!f) die("can't write the steps", NULL);
    fprintf(f, "row,op,role,kind,last,trips,seconds,compute_s,memory_s,launches,flops,read,weights,write,hot,"
               "hot_distance,dram,a,b,c,d,e,f,g,h\n");
    for (size_t i = 0; i < n_rows; i++) {
        const kernel_plan *p = &rows[i].plan->plan;
        predict_gpu g;
        predict_options o = {.family = rows[i].plan->model->family,
                             .batch = (double)rows[i].plan->request.batch,
                             .device_time = rows[i].plan->request.device_time};
        predict_gpu_init(&g, rows[i].gpu->spec, &catalog->config.cost, &o);
        for (uint32_t k = 0; k < p->n_steps; k++) {
            const plan_step *s = &p->steps[k];
            const kernel *kn = &p->kernels[s->kernel].k;
            kernel_cost c = predict_kernel(p, s->kernel, &g, &o);
            double x[8] = {0};
            switch (kn->kind) {
            case KERNEL_GEMM: memcpy(x, &kn->shape.gemm, sizeof kn->shape.gemm); break;
            case KERNEL_CONV:
            case KERNEL_DEPTHWISE: {
                const conv_shape *v = &kn->shape.conv;
                memcpy(x, (double[8]){v->batch, v->in, v->out, v->oh, v->ow, v->kh, v->stride, v->groups}, sizeof x);
                break;
            }
            case KERNEL_ATTENTION: {
                const attention_shape *v = &kn->shape.attention;
                memcpy(x, (double[8]){v->batch, v->heads, v->q_len, v->kv_len, v->head_dim, v->bias}, sizeof x);
                break;
            }
            default: memcpy(x, &kn->shape.rows, sizeof kn->shape.rows); break;
            }
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

/* Replaces the number behind "name =" in the right table of a TOML file, keeping everything else of the file. */
static void rewrite(const char *folder, const char *file, const char *table, const char *name, double value)
{
    char path[4096], temporary[4200], line[1024], current[128] = "";
    snprintf(path, sizeof path, "%s/%s", folder, file);
    snprintf(temporary, sizeof temporary, "%s.new", path);
    FILE *in = fopen(path, "r"), *out = fopen(temporary, "w");
    if (!in || !out) die("can't rewrite the constants", NULL);
    size_t len = strlen(name);
    while (fgets(line, sizeof line, in)) {
        if (line[0] == '[') sscanf(line, "[%127[^]]", current);
        bool hit = !strcmp(current, table) && !strncmp(line, name, len) && (line[len] == ' ' || line[len] == '=');
        const char *comment = hit ? strchr(line, '#') : NULL;
        if (!hit) fputs(line, out);
        else if (comment) fprintf(out, "%s = %.5g  %s", name, value, comment);
        else fprintf(out, "%s = %.5g\n", name, value);
    }
    fclose(in);
    if (fclose(out) || rename(temporary, path)) die("can't rewrite the constants", NULL);
}

static void write_back(const char *folder)
{
    for (int i = 0; i < n_free; i++) {
        char table[96], *dot;
        bool runtime = false;
        snprintf(table, sizeof table, "%s", free_list[i].name);
        dot = strrchr(table, '.');
        *dot = '\0';
        bool step = !strcmp(table, "predict");
        for (uint32_t k = 0; k < catalog->config.n_runtimes; k++)
            runtime |= str_is(catalog->config.runtimes[k].key, table);
        char full[128];
        snprintf(full, sizeof full, "%s%s", runtime ? "runtimes." : "", table);
        rewrite(folder, runtime || step ? "runtimes.toml" : "cost_constants.toml", full, dot + 1, *free_list[i].at);
    }
}

int main(int argc, char **argv)
{
    const char *leave = NULL, *dump_to = NULL, *steps_to = NULL, *write_to = NULL, *names = NULL;
    int rounds = 3, fold = 0, folds = 0;
    bool families = false;
    pg_error e = PG_ERROR_INIT;
    if (pg_catalog_open(&catalog, &(pg_catalog_options){.no_user_files = true}, &e)) die("catalog", &e);
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--fit") && i + 1 < argc) names = argv[++i];
        else if (!strcmp(argv[i], "--rounds") && i + 1 < argc) rounds = atoi(argv[++i]);
        else if (!strcmp(argv[i], "--leave") && i + 1 < argc) leave = argv[++i];
        else if (!strcmp(argv[i], "--families") && i + 1 < argc) sscanf(argv[++i], "%d/%d", &fold, &folds);
        else if (!strcmp(argv[i], "--dump") && i + 1 < argc) dump_to = argv[++i];
        else if (!strcmp(argv[i], "--steps") && i + 1 < argc) steps_to = argv[++i];
        else if (!strcmp(argv[i], "--write") && i + 1 < argc) write_to = argv[++i];
        else if (!strcmp(argv[i], "--by-family")) families = true;
        else {
            json_error_t je;
            json_t *j = json_load_file(argv[i], 0, &je);
            if (!j) die(je.text, NULL);
            size_t k;
            json_t *b;
            json_array_foreach(json_object_get(j, "benchmarks"), k, b)
                add_row(b, family_index(text_of(b, "family", "?")));
        }
    }
    for (size_t i = 0; i < n_rows; i++) {
        if (leave) rows[i].out |= !strcmp(rows[i].gpu->pub.key, leave);
        if (folds) rows[i].out |= rows[i].family_id % folds == fold;
    }
    if (names) {
        char list[2048];
        snprintf(list, sizeof list, "%s", names);
        for (char *at = strtok(list, ","); at; at = strtok(NULL, ",")) free_constant_add(at);
        fit(rounds);
    }
    predict_all();
    report(families);
    if (dump_to) dump(dump_to);
    if (steps_to) dump_steps(steps_to);
    if (write_to) write_back(write_to);
    return 0;
}
