/* Fits what data-parallel training costs beside its all-reduces: waiting for the slowest GPU, and what communication takes from the
 * computing beside it.
 *
 * usage: fit_scaling ROWS.txt [FOLDER]
 *   ROWS.txt  tools/scaling_benchmarks.py makes it: model gpu gpus batch precision autocast sequence share
 *   FOLDER    writes the constants into FOLDER/runtimes.toml
 * Errors are of the share of ideal throughput; each GPU is also left out of the fit in turn. Deterministic. */
#define _POSIX_C_SOURCE 200809L
#include "api/api.h"

#include <nlopt.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROWS_MOST = 256 };

typedef struct row {
    char text[120], gpu[40];
    pg_plan *one, *many;
    const pg_gpu *board;
    double gpus, share;
} row;

static pg_catalog *catalog;
static row rows[ROWS_MOST];
static int n_rows;
static const char *left_out;

static double throughput(const pg_plan *p, const pg_gpu *gpu)
{
    pg_prediction out;
    return pg_plan_predict(p, gpu, &out, NULL) == PG_E_OK ? out.throughput : -1;
}

/* Negative: it does not fit into memory. */
static double predicted(const row *r)
{
    if (throughput(r->one, r->board) < 0) return -1;
    return throughput(r->many, r->board) / throughput(r->one, r->board) / r->gpus;
}

static double mean_error(bool left, bool absolute)
{
    double sum = 0;
    int n = 0;
    for (int i = 0; i < n_rows; i++) {
        if ((left_out && !strcmp(rows[i].gpu, left_out)) != left) continue;
        double e = log(predicted(&rows[i]) / rows[i].share);
        sum += absolute ? fabs(e) : e;
        n++;
    }
    return n ? sum / n : 0;
}

static double objective(unsigned n, const double *x, double *gradient, void *data)
{
    (void)n;
    (void)gradient;
    (void)data;
    catalog->config.predict.straggle_share = x[0];
    catalog->config.predict.hidden_share = x[1];
    return mean_error(false, true);
}

static void fit(double *x)
{
    double least;
    x[0] = 0.01;
    x[1] = 0.3;
    nlopt_opt o = nlopt_create(NLOPT_LN_SBPLX, 2);
    nlopt_set_lower_bounds1(o, 0);
    nlopt_set_upper_bounds(o, (double[]){0.1, 1});
    nlopt_set_initial_step(o, (double[]){0.01, 0.3});
    nlopt_set_min_objective(o, objective, NULL);
    nlopt_set_maxeval(o, 400);
    nlopt_set_xtol_rel(o, 1e-5);
    nlopt_optimize(o, x, &least);
    nlopt_destroy(o);
    objective(2, x, NULL, NULL);
}

static bool open_row(row *r, const char *model, int batch, const char *format, int autocast, int sequence)
{
    pg_model *m;
    pg_error e = PG_ERROR_INIT;
    pg_request q = {.batch = batch,
                    .precision = format,
                    .autocast = autocast != 0,
                    .sequence = sequence,
                    .task = PG_TASK_TRAINING,
                    .optimizer = sequence ? PG_OPTIMIZER_ADAMW : PG_OPTIMIZER_SGD};
    r->board = pg_catalog_find(catalog, r->gpu, &e);
    if (!r->board || pg_model_open(&m, model, NULL, &e) || pg_plan_open(&r->one, m, catalog, &q, &e)) return false;
    q.gpu_count = (int)r->gpus;
    return pg_plan_open(&r->many, m, catalog, &q, &e) == PG_E_OK && predicted(r) > 0;
}

static bool read_rows(const char *path)
{
    char line[256], model[80], gpu[40], format[16];
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f) && n_rows < ROWS_MOST) {
        row *r = &rows[n_rows];
        int batch, autocast, sequence;
        *r = (row){.share = 0};
        if (sscanf(line, "%79s %39s %lf %d %15s %d %d %lf", model, gpu, &r->gpus, &batch, format, &autocast, &sequence,
                   &r->share) != 8)
            return false;
        snprintf(r->text, sizeof r->text, "%.60s %.39s %g batch %d %.8s", model, gpu, r->gpus, batch, format);
        snprintf(r->gpu, sizeof r->gpu, "%s", gpu);
        if (open_row(r, model, batch, format, autocast, sequence)) n_rows++;
        else fprintf(stderr, "fit_scaling: left out: %s\n", r->text);
    }
    return f && fclose(f) == 0 && n_rows > 0;
}

static bool write_back(const char *folder, const double *x)
{
    static const char *const names[] = {"straggle_share = ", "hidden_share = "};
    char path[512], temporary[520], line[1024];
    snprintf(path, sizeof path, "%s/runtimes.toml", folder);
    snprintf(temporary, sizeof temporary, "%s.new", path);
    FILE *in = fopen(path, "r"), *out = in ? fopen(temporary, "w") : NULL;
    while (out && fgets(line, sizeof line, in)) {
        int which = !strncmp(line, names[0], strlen(names[0])) ? 0
                  : !strncmp(line, names[1], strlen(names[1])) ? 1
                                                               : -1;
        if (which < 0) fputs(line, out);
        else fprintf(out, "%s%.4g\n", names[which], x[which]);
    }
    return in && out && fclose(in) == 0 && fclose(out) == 0 && rename(temporary, path) == 0;
}

int main(int argc, char **argv)
{
    double x[2], other[2];
    if (argc < 2 || pg_catalog_open(&catalog, &(pg_catalog_options){.no_user_files = true}, NULL) ||
        !read_rows(argv[1])) {
        fprintf(stderr, "usage: fit_scaling ROWS.txt [FOLDER]\n");
        return 2;
    }
    objective(2, (double[]){0, 0}, NULL, NULL);
    printf("all-reduces alone: %d rows, mean error %.1f %%, bias %+.1f %%\n", n_rows, 100 * mean_error(false, true),
           100 * mean_error(false, false));
    fit(x);
    printf("straggle_share %.4g, hidden_share %.4g: mean error %.1f %%, bias %+.1f %%\n", x[0], x[1],
           100 * mean_error(false, true), 100 * mean_error(false, false));
    for (int i = 0; i < n_rows; i++)
        printf("  %-60s measured %.3f predicted %.3f\n", rows[i].text, rows[i].share, predicted(&rows[i]));
    for (int i = 0; i < n_rows; i++) {
        bool seen = false;
        for (int k = 0; k < i; k++) seen |= !strcmp(rows[k].gpu, rows[i].gpu);
        if (seen) continue;
        left_out = rows[i].gpu;
        fit(other);
        printf("left out %s: straggle_share %.4g, hidden_share %.4g: mean error there %.1f %%, bias %+.1f %%\n",
               left_out, other[0], other[1], 100 * mean_error(true, true), 100 * mean_error(true, false));
    }
    return argc > 2 && !write_back(argv[2], x);
}
