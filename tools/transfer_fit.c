/* Fits what one measurement of a model says about other GPUs: how much of measured / predicted carries over, what is left of the interval.
 * Shows it beside the two baselines, with model families left out: then the levels of measured GPUs are fitted again too. The
 * shipped levels are fitted by fit_models.
 *
 * usage: fit_transfer [--leave GPU] [--dump FILE.csv] [--write FOLDER] BENCHMARKS.json ...
 *   BENCHMARKS.json  benchmark files; the same model, batch, precision, layout and runtime on two GPUs make a pair, in both directions
 *   --leave GPU      leaves this GPU out instead of families, then reports its pairs: what a GPU that nobody measured may expect
 *   --dump FILE.csv  one line a pair
 *   --write FOLDER   writes the constants into FOLDER/runtimes.toml
 *   --reset          with --write: sets all levels to 1 instead, for fits of other constants that must not know them
 * Deterministic: NLopt's Sbplx has no random part. */
#define _POSIX_C_SOURCE 200809L
#include "api/api.h"

#include <jansson.h>
#include <nlopt.h>
#include <stdio.h>
#include <stdlib.h>

enum { FOLDS = 5, LEVELS_MOST = 32, STRATA_MOST = 256, MODELS_MOST = 4096 };

typedef struct row {
    pg_plan *plan;
    const api_gpu *gpu;
    const char *model, *family, *version;
    size_t name_len; /* of the model without "_reparam.onnx": another form of the same weights */
    double measured; /* seconds */
    int fold;
} row;

typedef struct pair {
    const row *from, *to;
    int stratum;
    double plain, scalar, ours; /* log(predicted / measured), held out */
    double low, high;           /* of the plain interval, as far as the measurement narrows it */
    double known;
} pair;

typedef struct pair_kind {
    const api_gpu *from, *to;
    const char *runtime;
    bool same_version;
    size_t count;
} pair_kind;

static pg_catalog *catalog;
static row *rows;
static size_t n_rows, cap_rows;
static pair *pairs;
static size_t n_pairs, cap_pairs;
static pair_kind strata[STRATA_MOST];
static int n_strata;
static int left_out = -1; /* fold */
static const char *left_gpu;
static struct {
    char *path;
    pg_model *model;
} models[MODELS_MOST];
static size_t n_models;

static _Noreturn void die(const char *what, const pg_error *e)
{
    fprintf(stderr, "fit_transfer: %s%s%s\n", what, e ? ": " : "", e ? e->text : "");
    exit(1);
}

static void *grow(void *p, size_t count, size_t *cap, size_t size)
{
    if (count < *cap) return p;
    *cap = *cap ? *cap * 2 : 1024;
    p = realloc(p, *cap * size);
    if (!p) die("out of memory", NULL);
    return p;
}

/* ---- rows ---- */

static pg_model *model_of(const char *path)
{
    pg_error e = PG_ERROR_INIT;
    for (size_t i = n_models; i-- > 0;)
        if (!strcmp(models[i].path, path)) return models[i].model;
    if (n_models == MODELS_MOST) die("too many models", NULL);
    if (pg_model_open(&models[n_models].model, path, NULL, &e)) fprintf(stderr, "fit_transfer: %s: %s\n", path, e.text);
    models[n_models].path = strdup(path);
    return models[n_models++].model;
}

static const char *text_of(const json_t *b, const char *key, const char *fallback)
{
    const char *s = json_string_value(json_object_get(b, key));
    return s ? s : fallback;
}

static int fold_of(const char *family)
{
    unsigned h = 5381;
    for (const char *c = family; *c; c++) h = h * 33 + (unsigned char)*c;
    return (int)(h % 1000) % FOLDS;
}

static void add_row(const json_t *b)
{
    const char *metric = text_of(b, "metric", "");
    bool throughput = !strcmp(metric, "throughput");
    if ((!throughput && strcmp(metric, "latency_ms") != 0) || strcmp(text_of(b, "task", "inference"), "inference") != 0)
        return;
    const pg_gpu *gpu = pg_catalog_find(catalog, text_of(b, "gpu", ""), NULL);
    pg_model *m = gpu ? model_of(text_of(b, "model", "")) : NULL;
    double value = json_number_value(json_object_get(b, "value"));
    if (!m || !(value > 0)) return;
    pg_request r = {.batch = json_integer_value(json_object_get(b, "batch")),
                    .precision = text_of(b, "precision", "fp16"),
                    .runtime = text_of(b, "runtime", "pytorch"),
                    .autocast = json_is_true(json_object_get(b, "autocast")),
                    .layout = !strcmp(text_of(b, "layout", "nchw"), "nhwc") ? PG_LAYOUT_NHWC : PG_LAYOUT_NCHW};
    if (m->info.sequence_symbol) r.sequence = json_integer_value(json_object_get(b, "seq_len"));
    rows = grow(rows, n_rows, &cap_rows, sizeof *rows);
    row *to = &rows[n_rows];
    pg_error e = PG_ERROR_INIT;
    if (pg_plan_open(&to->plan, m, catalog, &r, &e)) return;
    double batch = r.batch > 0 ? (double)r.batch : 1;
    to->gpu = (const api_gpu *)(const void *)gpu;
    to->model = text_of(b, "model", "");
    to->family = text_of(b, "family", to->model);
    to->version = text_of(b, "runtime_version", "");
    const char *form = strstr(to->model, "_reparam");
    to->name_len = form ? (size_t)(form - to->model) : strlen(to->model) - (strstr(to->model, ".onnx") ? 5 : 0);
    to->measured = throughput ? batch / value : value * 1e-3;
    to->fold = fold_of(to->family);
    n_rows++;
}

static step_prediction predict(const row *r, const measured_scale *measured)
{
    predict_options o = api_predict_options(r->plan, r->gpu->spec);
    predict_gpu g;
    o.measured = measured;
    if (left_gpu && !strcmp(r->gpu->pub.key, left_gpu)) o.basis = BASIS_TRANSFERRED;
    predict_gpu_init(&g, r->gpu->spec, &catalog->config.cost, &o);
    return predict_step(&r->plan->plan, &g, &catalog->config.predict, &o);
}

/* ---- pairs ---- */

static bool is_alike(const row *a, const row *b)
{
    const pg_request *x = &a->plan->request, *y = &b->plan->request;
    return a->name_len == b->name_len && !strncmp(a->model, b->model, a->name_len) && x->batch == y->batch &&
           x->sequence == y->sequence && x->layout == y->layout && x->autocast == y->autocast &&
           a->plan->math == b->plan->math && a->plan->runtime == b->plan->runtime;
}

static int stratum_of(const row *a, const row *b)
{
    bool same = !strcmp(a->version, b->version);
    for (int i = 0; i < n_strata; i++) {
        pair_kind *s = &strata[i];
        if (s->from != a->gpu || s->to != b->gpu || !str_is(a->plan->runtime->key, s->runtime) ||
            s->same_version != same)
            continue;
        s->count++;
        return i;
    }
    if (n_strata == STRATA_MOST) die("too many pairs of GPUs", NULL);
    strata[n_strata] = (pair_kind){a->gpu, b->gpu, a->plan->runtime->key.ptr, same, 1};
    return n_strata++;
}

/* So far off, a row is of another quantity than it says. */
static const double FAR = 4;

static bool is_sound(const row *r)
{
    double ratio = predict(r, NULL).seconds / r->measured;
    return ratio < FAR && ratio * FAR > 1;
}

static void make_pairs(void)
{
    size_t kept = 0;
    for (size_t i = 0; i < n_rows; i++)
        if (is_sound(&rows[i])) rows[kept++] = rows[i];
    n_rows = kept;
    for (size_t i = 0; i < n_rows; i++)
        for (size_t k = 0; k < n_rows; k++) {
            if (rows[i].gpu == rows[k].gpu || !is_alike(&rows[i], &rows[k])) continue;
            pairs = grow(pairs, n_pairs, &cap_pairs, sizeof *pairs);
            pairs[n_pairs++] = (pair){.from = &rows[i], .to = &rows[k], .stratum = stratum_of(&rows[i], &rows[k])};
        }
}

/* ---- predictions with the constants as they are ---- */

static double pair_error(const pair *p, double *low, double *high)
{
    step_prediction there = predict(p->from, NULL);
    measured_scale m = predict_measured(&there, p->from->measured, &catalog->config.predict, false);
    step_prediction s = predict(p->to, &m);
    if (low) *low = s.seconds / s.low - 1;
    if (high) *high = s.high / s.seconds - 1;
    return log(s.seconds / p->to->measured);
}

/* Large errors count less: some rows are other models than their files say. */
static double damped(double d)
{
    d = fabs(d);
    return d < 0.4 ? d : 0.4 + 0.3 * (d - 0.4);
}

static bool is_out(const row *r)
{
    return r->fold == left_out || (left_gpu && !strcmp(r->gpu->pub.key, left_gpu));
}

/* ---- fitting ---- */

typedef struct fit_problem {
    double *at[LEVELS_MOST];
    unsigned n;
    const char *runtime, *gpu; /* levels: whose */
} fit_problem;

/* A GPU's level under a runtime from its own rows; a twentieth of a squared logarithm pulls it towards 1. */
static double level_loss(unsigned n, const double *x, double *grad, void *ud)
{
    const fit_problem *f = ud;
    double sum = 0, count = 0, pull = 0;
    (void)grad;
    for (unsigned i = 0; i < n; i++) *f->at[i] = x[i];
    for (size_t i = 0; i < n_rows; i++) {
        if (is_out(&rows[i]) || strcmp(rows[i].gpu->pub.key, f->gpu) != 0 ||
            !str_is(rows[i].plan->runtime->key, f->runtime))
            continue;
        sum += damped(log(predict(&rows[i], NULL).seconds / rows[i].measured));
        count++;
    }
    for (unsigned i = 0; i < n; i++) pull += 0.05 * log(x[i]) * log(x[i]);
    return (count > 0 ? sum / count : 0) + pull;
}

/* The square root of their number keeps a pair of GPUs with many rows from deciding alone. Pairs under two versions of the runtime count
 * too: what an owner runs is seldom the version that the other GPU will run. */
static double carry_loss(unsigned n, const double *x, double *grad, void *ud)
{
    const fit_problem *f = ud;
    double sum[STRATA_MOST] = {0}, count[STRATA_MOST] = {0}, total = 0, used = 0;
    (void)grad;
    for (unsigned i = 0; i < n; i++) *f->at[i] = x[i];
    for (size_t i = 0; i < n_pairs; i++) {
        if (is_out(pairs[i].from) || is_out(pairs[i].to)) continue;
        sum[pairs[i].stratum] += damped(pair_error(&pairs[i], NULL, NULL));
        count[pairs[i].stratum]++;
    }
    for (int i = 0; i < n_strata; i++) {
        double weight = sqrt(count[i]);
        total += count[i] > 0 ? weight * sum[i] / count[i] : 0;
        used += weight;
    }
    return used > 0 ? total / used : 0;
}

static void minimise(nlopt_func loss, fit_problem *f, double low, double high)
{
    double x[LEVELS_MOST], lows[LEVELS_MOST], highs[LEVELS_MOST], step[LEVELS_MOST], best;
    for (unsigned i = 0; i < f->n; i++) {
        x[i] = *f->at[i];
        lows[i] = low;
        highs[i] = high;
        step[i] = 0.1;
    }
    nlopt_opt opt = nlopt_create(NLOPT_LN_SBPLX, f->n);
    nlopt_set_lower_bounds(opt, lows);
    nlopt_set_upper_bounds(opt, highs);
    nlopt_set_min_objective(opt, loss, f);
    nlopt_set_initial_step(opt, step);
    nlopt_set_xtol_abs1(opt, 1e-3);
    nlopt_set_maxeval(opt, 60 * (int)f->n);
    nlopt_optimize(opt, x, &best);
    nlopt_destroy(opt);
    loss(f->n, x, NULL, f);
}

static void fit_carry(void)
{
    predict_constants *p = &catalog->config.predict;
    p->measured_gpu_carry = p->measured_host_carry = 0.8;
    minimise(carry_loss, &(fit_problem){{&p->measured_gpu_carry, &p->measured_host_carry}, 2, NULL, NULL}, 0, 1);
}

/* All of it, as if the rows that are left out had never been seen. */
static void fit(void)
{
    api_config *c = &catalog->config;
    for (uint32_t i = 0; i < c->n_levels; i++) {
        gpu_level *l = &c->levels[i];
        char runtime[64], gpu[64];
        snprintf(runtime, sizeof runtime, "%.*s", STR_ARG(l->runtime));
        snprintf(gpu, sizeof gpu, "%.*s", STR_ARG(l->gpu));
        l->compute = l->memory = 1;
        if (left_gpu && !strcmp(left_gpu, gpu)) continue;
        minimise(level_loss, &(fit_problem){{&l->compute, &l->memory}, 2, runtime, gpu}, 0.5, 1.5);
    }
    fit_carry();
}

/* ---- held-out errors ---- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(double *x, size_t n, double q)
{
    qsort(x, n, sizeof *x, by_value);
    return n ? x[(size_t)(q * (double)(n - 1) + 0.5)] : 0;
}

/* The other baseline: the median ratio of the two GPUs' times, without the model's family. */
static double scalar_of(const pair *p)
{
    static double *ratio;
    static size_t cap;
    size_t n = 0;
    ratio = grow(ratio, n_pairs, &cap, sizeof *ratio);
    while (cap <= n_pairs) ratio = grow(ratio, cap, &cap, sizeof *ratio);
    for (size_t i = 0; i < n_pairs; i++)
        if (pairs[i].stratum == p->stratum && strcmp(pairs[i].from->family, p->from->family) != 0)
            ratio[n++] = log(pairs[i].to->measured / pairs[i].from->measured);
    return n ? quantile(ratio, n, 0.5) : NAN;
}

static void hold_out(void)
{
    double share = catalog->config.predict.measured_interval;
    for (int k = 0; k < (left_gpu ? 1 : FOLDS); k++) {
        left_out = left_gpu ? -1 : k;
        fit();
        printf("held out %s%d: carry %.3f, host %.3f\n", left_gpu ? left_gpu : "fold ", left_gpu ? 0 : k,
               catalog->config.predict.measured_gpu_carry, catalog->config.predict.measured_host_carry);
        for (size_t i = 0; i < n_pairs; i++) {
            pair *p = &pairs[i];
            if (left_gpu ? !is_out(p->from) && !is_out(p->to) : p->from->fold != k) continue;
            p->plain = log(predict(p->to, NULL).seconds / p->to->measured);
            p->scalar = log(p->from->measured / p->to->measured) + scalar_of(p);
            catalog->config.predict.measured_interval = 1;
            p->ours = pair_error(p, &p->low, &p->high);
            catalog->config.predict.measured_interval = 0;
            double none;
            pair_error(p, NULL, &none);
            p->known = 1 - none / p->high;
        }
    }
    catalog->config.predict.measured_interval = share;
    left_out = -1;
}

static bool is_shown(const pair *p, int stratum)
{
    if (left_gpu && !is_out(p->from) && !is_out(p->to)) return false;
    return stratum < 0 || p->stratum == stratum;
}

/* Share of held-out pairs within the interval, where `share` of it is left. */
static double coverage(double share, int stratum)
{
    size_t in = 0, n = 0;
    for (size_t i = 0; i < n_pairs; i++) {
        const pair *p = &pairs[i];
        if (!is_shown(p, stratum) || (stratum < 0 && p->known < 0.9)) continue;
        n++;
        double left = 1 - p->known * (1 - share);
        in += p->ours <= log(1 + p->low * left) && -p->ours <= log(1 + p->high * left);
    }
    return n ? (double)in / (double)n : 0;
}

/* What must be left for 80 % of the held-out pairs to be within it. */
static double enough(void)
{
    double low = 0.05, high = 1;
    for (int i = 0; i < 30; i++) {
        double mid = (low + high) / 2;
        if (coverage(mid, -1) < 0.8) low = mid;
        else high = mid;
    }
    return high;
}

static void fit_again(void)
{
    static double *d;
    size_t n = 0, cap = 0;
    for (size_t i = 0; i < n_rows; i++)
        for (size_t k = 0; k < i; k++)
            if (rows[i].gpu == rows[k].gpu && strcmp(rows[i].version, rows[k].version) != 0 &&
                is_alike(&rows[i], &rows[k])) {
                d = grow(d, n, &cap, sizeof *d);
                d[n++] = exp(fabs(log(rows[i].measured / rows[k].measured))) - 1;
            }
    if (n) catalog->config.predict.interval_again = quantile(d, n, 0.8);
    printf("again under another version: %zu pairs, median %.3f, 80 %% within %.3f\n", n, n ? quantile(d, n, 0.5) : 0,
           catalog->config.predict.interval_again);
}

/* Each GPU that has a level, as if it had none: the mean of what each needs. */
static void fit_strange(void)
{
    const api_config *c = &catalog->config;
    double sum = 0, n = 0;
    for (uint32_t i = 0; i < c->n_levels; i++) {
        char key[64];
        bool seen = false;
        for (uint32_t k = 0; k < i; k++) seen |= str_eq(c->levels[k].gpu, c->levels[i].gpu);
        if (seen) continue;
        snprintf(key, sizeof key, "%.*s", STR_ARG(c->levels[i].gpu));
        left_gpu = key;
        hold_out();
        double share = enough();
        printf("without %s: %.3f of the interval left\n", key, share);
        sum += share;
        n++;
        left_gpu = NULL;
    }
    if (n > 0) catalog->config.predict.measured_interval_strange = sum / n;
}

typedef enum what { PLAIN, SCALAR, OURS, WHATS } what;

static double error_of(const pair *p, what w)
{
    return exp(w == PLAIN ? p->plain : w == SCALAR ? p->scalar : p->ours) - 1;
}

static void report(int stratum)
{
    double *e = malloc((n_pairs + 1) * sizeof *e), mape[WHATS], median[WHATS], p90 = 0, bias = 0;
    size_t n = 0;
    for (what w = PLAIN; e && w < WHATS; w++) {
        double sum = 0;
        n = 0;
        bias = 0;
        for (size_t i = 0; i < n_pairs; i++) {
            if (!is_shown(&pairs[i], stratum) || isnan(pairs[i].scalar)) continue;
            double d = error_of(&pairs[i], w);
            sum += fabs(d);
            bias += d;
            e[n++] = fabs(d);
        }
        mape[w] = n ? 100 * sum / (double)n : 0;
        median[w] = 100 * quantile(e, n, 0.5);
        p90 = 100 * quantile(e, n, 0.9);
    }
    free(e);
    if (!n) return;
    if (stratum < 0) printf("| **all** | | |");
    else
        printf("| %s | %s to %s | %s |", strata[stratum].runtime, strata[stratum].from->pub.key,
               strata[stratum].to->pub.key, strata[stratum].same_version ? "same" : "other");
    printf(" %zu | %.1f | %.1f | **%.1f** | %.1f | %.1f | %+.1f | %.0f |\n", n, mape[PLAIN], mape[SCALAR], mape[OURS],
           median[OURS], p90, 100 * bias / (double)n,
           100 * coverage(catalog->config.predict.measured_interval, stratum));
}

static void dump(const char *path)
{
    FILE *f = fopen(path, "w");
    if (!f) die("can't write the dump", NULL);
    fprintf(f, "model,family,runtime,layout,batch,from,to,from_version,to_version,plain,scalar,ours,low,high,known\n");
    for (size_t i = 0; i < n_pairs; i++) {
        const pair *p = &pairs[i];
        fprintf(f, "%s,%s,%.*s,%d,%lld,%s,%s,%s,%s,%.4f,%.4f,%.4f,%.4f,%.4f,%.4f\n", p->from->model, p->from->family,
                STR_ARG(p->from->plan->runtime->key), p->from->plan->request.layout,
                (long long)p->from->plan->request.batch, p->from->gpu->pub.key, p->to->gpu->pub.key, p->from->version,
                p->to->version, p->plain, p->scalar, p->ours, p->low, p->high, p->known);
    }
    fclose(f);
}

/* Replaces the number behind "name =" in the right table of runtimes.toml, keeping everything else of the file. */
static void rewrite(const char *folder, const char *table, const char *name, double value)
{
    char path[4096], temporary[4200], line[1024], current[128] = "";
    snprintf(path, sizeof path, "%s/runtimes.toml", folder);
    snprintf(temporary, sizeof temporary, "%s.new", path);
    FILE *in = fopen(path, "r"), *out = fopen(temporary, "w");
    if (!in || !out) die("can't rewrite the constants", NULL);
    size_t len = strlen(name);
    while (fgets(line, sizeof line, in)) {
        if (line[0] == '[') sscanf(line, "[%127[^]]", current);
        bool hit = !strcmp(current, table) && !strncmp(line, name, len) && (line[len] == ' ' || line[len] == '=');
        if (hit) fprintf(out, "%s = %.4g\n", name, value);
        else fputs(line, out);
    }
    fclose(in);
    if (fclose(out) || rename(temporary, path)) die("can't rewrite the constants", NULL);
}

static void write_back(const char *folder)
{
    const api_config *c = &catalog->config;
    rewrite(folder, "predict", "measured_gpu_carry", c->predict.measured_gpu_carry);
    rewrite(folder, "predict", "measured_host_carry", c->predict.measured_host_carry);
    rewrite(folder, "predict", "measured_interval", c->predict.measured_interval);
    rewrite(folder, "predict", "measured_interval_strange", c->predict.measured_interval_strange);
    rewrite(folder, "predict", "interval_again", c->predict.interval_again);
}

static void reset_levels(const char *folder)
{
    const api_config *c = &catalog->config;
    for (uint32_t i = 0; i < c->n_levels; i++) {
        char table[160];
        snprintf(table, sizeof table, "levels.%.*s.%.*s", STR_ARG(c->levels[i].runtime), STR_ARG(c->levels[i].gpu));
        rewrite(folder, table, "compute", 1);
        rewrite(folder, table, "memory", 1);
    }
}

int main(int argc, char **argv)
{
    const char *dump_to = NULL, *write_to = NULL;
    bool reset = false;
    pg_error e = PG_ERROR_INIT;
    if (pg_catalog_open(&catalog, &(pg_catalog_options){.no_user_files = true}, &e)) die("catalog", &e);
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--leave") && i + 1 < argc) left_gpu = argv[++i];
        else if (!strcmp(argv[i], "--reset")) reset = true;
        else if (!strcmp(argv[i], "--dump") && i + 1 < argc) dump_to = argv[++i];
        else if (!strcmp(argv[i], "--write") && i + 1 < argc) write_to = argv[++i];
        else {
            json_error_t je;
            json_t *j = json_load_file(argv[i], 0, &je), *b;
            size_t k;
            if (!j) die(je.text, NULL);
            json_array_foreach(json_object_get(j, "benchmarks"), k, b) add_row(b);
        }
    }
    if (reset && write_to) reset_levels(write_to);
    if (reset) return 0;
    make_pairs();
    gpu_level shipped[LEVELS_MOST];
    size_t levels = catalog->config.n_levels * sizeof *shipped;
    if (levels > sizeof shipped) die("too many levels", NULL);
    memcpy(shipped, catalog->config.levels, levels);
    if (!left_gpu && write_to) fit_strange();
    hold_out();
    memcpy(catalog->config.levels, shipped, levels);
    if (!left_gpu) catalog->config.predict.measured_interval = enough();
    if (!left_gpu) fit_again();
    printf(
        "| runtime | GPUs | version | pairs | plain | scalar | **measured** | median | p90 | bias | in the interval |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n");
    for (int i = 0; i < n_strata; i++) report(i);
    report(-1);
    if (dump_to) dump(dump_to);
    if (!write_to) return 0;
    fit_carry(); /* beside the levels that are shipped */
    write_back(write_to);
    return 0;
}
