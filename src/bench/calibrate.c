#include "bench/calibrate.h"

#include <nlopt.h>
#include <stdlib.h>

#include "api/api.h"

/* The scatter of a single row around a right profile, and how far profiles are from the pooled constants, as standard deviations of
 * logarithms: together they say how much a row may move the profile. Rows of one group are alike: each after the first counts less. */
static const double ROW_SPREAD = 0.12, SPEED_SPREAD = 0.07, SHARE_SPREAD = 0.07, HOST_SPREAD = 0.20, ALIKE = 0.9;
/* What the shipped interval counts for beside the held-out errors, in rows. */
static const double CERTAIN_ROWS = 10;

static const double SQRT2 = 1.4142135623730951;

enum { FOLDS = 5, PARAMETERS = 3 * CALIBRATE_FAMILIES + 1, HOST_LEAST = 3, RUNTIMES_TEXT = 160, ROWS_MOST = 1000 };

typedef struct parameter {
    double *at;                   /* field of the GPU */
    double neutral, spread, most; /* most: the largest value that the field may have */
} parameter;

typedef struct problem {
    calibration *c;
    gpu_spec *spec;
    parameter p[PARAMETERS];
    unsigned n;
    double *weight; /* by row; 0: held out */
} problem;

static double predicted_log(const calibration_row *r)
{
    pg_prediction p;
    if (pg_plan_predict(r->point->plan, r->point->gpu, &p, NULL) != PG_E_OK || !(p.latency_ms > 0)) return 0;
    return log(p.latency_ms * 1e-3 / bench_seconds(r->point->row));
}

static void put(const problem *f, const double *x)
{
    for (unsigned i = 0; i < f->n; i++) {
        double v = f->p[i].neutral * exp(x[i]);
        *f->p[i].at = v > f->p[i].most ? f->p[i].most : v;
    }
}

/* Minus the logarithm of the posterior: Huber's loss of the rows, a Laplace prior on each logarithm: most
 * specifications are right, and few rows move nothing then, while those that are wrong are far off. */
static double loss(unsigned n, const double *x, double *grad, void *ud)
{
    const problem *f = ud;
    double sum = 0;
    (void)grad;
    put(f, x);
    for (size_t i = 0; i < f->c->count; i++) {
        if (f->weight[i] <= 0) continue;
        double d = fabs(predicted_log(&f->c->rows[i])) / ROW_SPREAD;
        sum += f->weight[i] * (d < 1.5 ? d * d / 2 : 1.5 * (d - 0.75));
    }
    for (unsigned i = 0; i < n; i++) sum += SQRT2 * fabs(x[i]) / f->p[i].spread;
    return sum;
}

/* Rows of group g: together they weigh as so many independent ones. */
static void weigh(problem *f, uint32_t fold, uint32_t folds)
{
    calibration *c = f->c;
    for (size_t i = 0; i < c->count; i++) {
        const calibration_row *r = &c->rows[i];
        f->weight[i] = 0;
        if (r->left_out || (folds && r->group_index % folds == fold)) continue;
        double n = (double)c->groups[r->group_index].rows;
        f->weight[i] = 1 / (1 + (n - 1) * ALIKE);
    }
}

static pg_code minimise(problem *f, pg_error *e)
{
    double x[PARAMETERS] = {0}, low[PARAMETERS], high[PARAMETERS], step[PARAMETERS], best;
    for (unsigned i = 0; i < f->n; i++) {
        high[i] = log(f->p[i].most / f->p[i].neutral);
        if (high[i] > 10 * f->p[i].spread) high[i] = 10 * f->p[i].spread;
        low[i] = -10 * f->p[i].spread;
        step[i] = f->p[i].spread / 2;
    }
    nlopt_opt opt = nlopt_create(NLOPT_LN_SBPLX, f->n);
    bool ok = opt && nlopt_set_lower_bounds(opt, low) > 0 && nlopt_set_upper_bounds(opt, high) > 0 &&
              nlopt_set_min_objective(opt, loss, f) > 0 && nlopt_set_initial_step(opt, step) > 0 &&
              nlopt_set_ftol_abs(opt, 1e-3) > 0 && nlopt_set_maxeval(opt, 80 * (int)f->n) > 0 &&
              nlopt_optimize(opt, x, &best) > 0;
    nlopt_destroy(opt);
    put(f, x);
    return ok ? PG_E_OK : error_set(e, PG_E_NOMEM, "the fit could not be run");
}

/* ---- what is fitted ---- */

static void add_parameter(problem *f, double *at, double otherwise, double spread, double most)
{
    double neutral = *at > 0 ? *at : otherwise;
    f->p[f->n++] = (parameter){at, neutral < most ? neutral : most, spread, most};
}

static void choose_parameters(problem *f, const pg_catalog *catalog)
{
    calibration *c = f->c;
    double share = f->spec->coalescing_efficiency > 0 ? 1 : cost_dram_share(f->spec, &catalog->config.cost);
    for (size_t i = 0; i < c->count; i++) {
        const calibration_row *r = &c->rows[i];
        if (r->left_out) continue;
        c->families[r->point->plan->model->family].rows++;
        c->host_rows += r->point->p.bottleneck && !strcmp(r->point->p.bottleneck, "host");
    }
    for (size_t k = 0; k < CALIBRATE_FAMILIES; k++) {
        gpu_performance *p = &f->spec->performance[k];
        if (!c->families[k].rows) continue;
        add_parameter(f, &p->architecture_multiplier, 1, SPEED_SPREAD, 100);
        add_parameter(f, &p->memory_efficiency, share, SHARE_SPREAD, 1);
        add_parameter(f, &p->tensor_core_utilization, 1, SHARE_SPREAD, 1);
    }
    if (c->host_rows >= HOST_LEAST) add_parameter(f, &f->spec->host_factor, 1, HOST_SPREAD, 100);
}

/* ---- groups ---- */

/* What a row is held out with, at each level of likeness. */
static const char *group_name(const calibration_row *r, int level)
{
    return level == 0 ? r->point->family : level == 1 ? r->point->row->model : "";
}

static void split_by(calibration *c, int level)
{
    c->group_count = 0;
    for (size_t i = 0; i < c->count; i++) {
        calibration_row *r = &c->rows[i];
        size_t g = 0;
        if (r->left_out) continue;
        r->group = group_name(r, level);
        while (g < c->group_count && (level == 2 || strcmp(c->groups[g].name, r->group) != 0)) g++;
        if (g == c->group_count) c->groups[c->group_count++] = (calibration_group){.name = r->group};
        c->groups[g].rows++;
        r->group_index = (uint32_t)g;
    }
}

/* Families where there are two, else models, else single rows, which is optimistic. */
static pg_code split(calibration *c, pg_error *e)
{
    static const char *const names[] = {"model family", "model", "row"};
    c->groups = ARENA_ARRAY(c->a, calibration_group, c->count + 1);
    if (!c->groups) return error_nomem(e, c->a);
    for (int level = 0; level < 3; level++) {
        c->split = names[level];
        split_by(c, level);
        if (c->group_count >= 2) break;
    }
    if (!strcmp(c->split, "row"))
        calibrate_warn(c, "the rows are too alike: all are of one model, so single rows were held out, which is "
                          "optimistic; measure other models");
    else if (!strcmp(c->split, "model"))
        calibrate_warn(c, "the rows are of one model family: models unlike it may be further off than shown");
    else if (c->group_count < 4)
        calibrate_warn(c, "the rows are of %zu model families only: models unlike them may be further off than shown",
                       c->group_count);
    return PG_E_OK;
}

/* ---- results ---- */

static void gather_groups(calibration *c)
{
    for (size_t g = 0; g < c->group_count; g++) {
        calibration_group *to = &c->groups[g];
        for (size_t i = 0; i < c->count; i++) {
            const calibration_row *r = &c->rows[i];
            if (r->left_out || r->group_index != g) continue;
            to->before += fabs(exp(r->before) - 1) / (double)to->rows;
            to->after += fabs(exp(r->after) - 1) / (double)to->rows;
        }
    }
}

static pg_code gather(calibration *c, pg_error *e)
{
    double *before = ARENA_ARRAY(c->a, double, c->used + 1), *after = ARENA_ARRAY(c->a, double, c->used + 1);
    size_t n = 0;
    if (!before || !after) return error_nomem(e, c->a);
    for (size_t i = 0; i < c->count; i++) {
        const calibration_row *r = &c->rows[i];
        if (r->left_out) continue;
        before[n] = exp(r->before) - 1;
        after[n++] = exp(r->after) - 1;
    }
    c->before = bench_stats_of(before, n);
    c->after = bench_stats_of(after, n);
    c->better = c->after.mape < c->before.mape;
    gather_groups(c);
    return PG_E_OK;
}

/* Six digits: what is written is what was used. */
static double rounded(double x)
{
    if (!(x > 0)) return 0;
    double last = pow(10, floor(log(x) / 2.302585092994046) - 5);
    return floor(x / last + 0.5) / (1 / last);
}

/* The held-out errors' 80 % point, where few rows lean on the interval that is shipped. */
static pg_code find_interval(calibration *c, size_t family, pg_error *e)
{
    double *d = ARENA_ARRAY(c->a, double, c->count + 1), prior = 0;
    size_t n = 0;
    if (!d) return error_nomem(e, c->a);
    for (size_t i = 0; i < c->count; i++) {
        const calibration_row *r = &c->rows[i];
        if (r->left_out || r->point->plan->model->family != family) continue;
        d[n++] = fabs(r->after);
        prior += 0.5 * log(r->point->p.latency_high_ms / r->point->p.latency_low_ms);
    }
    bench_sort(d, n);
    size_t rank = (size_t)(0.8 * (double)(n + 1));
    double own = d[rank < n ? rank : n - 1], w = (double)n / ((double)n + CERTAIN_ROWS);
    c->families[family].interval = rounded(exp(w * own + (1 - w) * prior / (double)n) - 1);
    return PG_E_OK;
}

static void find_coverage(calibration *c)
{
    size_t in = 0;
    for (size_t i = 0; i < c->count; i++) {
        const calibration_row *r = &c->rows[i];
        if (r->left_out) continue;
        in += fabs(r->after) <= log(1 + c->families[r->point->plan->model->family].interval);
    }
    c->coverage = (double)in / (double)c->used;
}

/* "pytorch, tensorrt": the runtimes of the rows in their order. */
static pg_code list_runtimes(calibration *c, pg_error *e)
{
    char text[RUNTIMES_TEXT] = "", comma[RUNTIMES_TEXT + 8], one[80];
    size_t at = 0;
    for (size_t i = 0; i < c->count; i++) {
        if (c->rows[i].left_out) continue;
        format_text(one, sizeof one, ", %.*s,", STR_ARG(c->rows[i].point->plan->runtime->key));
        format_text(comma, sizeof comma, ", %s,", text);
        if (strstr(comma, one) || at + strlen(one) >= sizeof text) continue;
        at += format_text(text + at, sizeof text - at, "%s%.*s", at ? ", " : "",
                          STR_ARG(c->rows[i].point->plan->runtime->key));
    }
    c->runtimes = str_copy(c->a, str_c(text)).ptr;
    return c->runtimes ? PG_E_OK : error_nomem(e, c->a);
}

/* The fitted fields into the result, and rounded into the GPU, which then predicts as the file will. */
static pg_code keep(calibration *c, gpu_spec *spec, pg_error *e)
{
    pg_code code = list_runtimes(c, e);
    for (size_t k = 0; !code && k < CALIBRATE_FAMILIES; k++) {
        gpu_performance *p = &spec->performance[k];
        calibration_fields *x = &c->families[k];
        if (!x->rows) continue;
        code = find_interval(c, k, e);
        p->memory_efficiency = x->memory_efficiency = rounded(p->memory_efficiency);
        p->tensor_core_utilization = x->tensor_core_utilization = rounded(p->tensor_core_utilization);
        p->architecture_multiplier = x->architecture_multiplier = rounded(p->architecture_multiplier);
        p->interval = x->interval;
    }
    spec->host_factor = c->host_factor = rounded(spec->host_factor);
    spec->calibrated_runtimes = str_c(c->runtimes);
    find_coverage(c);
    return code;
}

/* ---- the whole ---- */

/* More rows change a profile little and take long. */
static void thin(calibration *c)
{
    size_t n = c->count, kept = 0;
    if (n <= ROWS_MOST) return;
    for (size_t i = 0; i < n; i++)
        if (i * ROWS_MOST / n != (i + 1) * ROWS_MOST / n) c->rows[kept++] = c->rows[i];
    c->count = kept;
    calibrate_warn(c, "%zu rows are more than are needed: %zu of them, evenly spread, are looked at", n, kept);
}

static pg_code choose_rows(calibration *c, bench_point *points, size_t count, pg_error *e)
{
    c->rows = ARENA_ARRAY(c->a, calibration_row, count + 1);
    if (!c->rows) return error_nomem(e, c->a);
    for (size_t i = 0; i < count; i++) {
        const bench_point *p = &points[i];
        bool time = bench_seconds(p->row) > 0;
        if (p->gpu != c->gpu) c->other_gpus++;
        else if (!time) c->other_metrics++;
        else if (p->skipped || !(p->p.latency_ms > 0)) c->skipped++;
        else c->rows[c->count++] = (calibration_row){.point = p};
    }
    thin(c);
    for (size_t i = 0; i < c->count; i++) c->rows[i].before = c->rows[i].after = predicted_log(&c->rows[i]);
    pg_code code = calibrate_check(c, e);
    if (code) return code;
    if (c->used < CALIBRATE_LEAST)
        return error_set(
            e, PG_E_CHECK,
            "%zu usable row%s of %s are too few: at least %d are needed, %d of different models already help", c->used,
            c->used == 1 ? "" : "s", c->gpu->key, CALIBRATE_LEAST, CALIBRATE_FEW);
    if (c->used < CALIBRATE_FEW)
        calibrate_warn(c, "%zu rows are very few: the profile stays near what is built in", c->used);
    return split(c, e);
}

pg_code calibrate(calibration *out, bench_point *points, size_t count, const pg_gpu *gpu, arena *a, pg_error *e)
{
    calibration *c = out;
    *c = (calibration){.a = a, .gpu = gpu};
    pg_code code = choose_rows(c, points, count, e);
    if (code) return code;
    /* the catalog is the caller's, and the plans look into it */
    problem f = {.c = c, .spec = (gpu_spec *)(uintptr_t)((const api_gpu *)(const void *)gpu)->spec};
    f.weight = ARENA_ARRAY(a, double, c->count + 1);
    if (!f.weight) return error_nomem(e, a);
    choose_parameters(&f, c->rows[0].point->plan->catalog);
    uint32_t folds = c->group_count < FOLDS ? (uint32_t)c->group_count : FOLDS;
    for (uint32_t k = 0; !code && k < folds; k++) {
        weigh(&f, k, folds);
        code = minimise(&f, e);
        for (size_t i = 0; i < c->count; i++)
            if (!c->rows[i].left_out && c->rows[i].group_index % folds == k)
                c->rows[i].after = predicted_log(&c->rows[i]);
    }
    if (!code) code = gather(c, e);
    weigh(&f, 0, 0);
    if (!code) code = minimise(&f, e);
    return code ? code : keep(c, f.spec, e);
}
