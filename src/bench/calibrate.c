#include "bench/calibrate.h"

#include <stdlib.h>

/* What the shipped interval counts for beside the held-out errors, in rows. */
static const double CERTAIN_ROWS = 10;
static const double INTERVAL_MOST = 10; /* that a profile may have */

/* Rows of one family agree with each other whatever the board does: its held-out rows must gain so much to say something of other families;
 * of several families, each its part. */
static const double ALIKE_GAIN = 0.15;
/* Less of an error than this is none. */
static const double GAIN_LEAST = 5e-4;
/* Of a GPU's time memory's part is about so much: the level of memory against the rest leaves the mean of all where it is. */
static const double MEMORY_PART = 0.6;
/* Slopes are of steps to the slower side: shares of peaks have nowhere else to go. The host's is as long as an odd board is off: a host that
 * is slow begins to be seen where the GPU took longer before. */
static const double STEP[CALIBRATE_LEVELS] = {0.05, 0.05, 0.25};

/* No board is further off: four rows in the wrong unit still make a profile that can be read. */
static const double LEVEL_MOST = 1.5;

enum { FOLDS = 10, STEPS = 3, HOST_LEAST = 3, RUNTIMES_TEXT = 160, ROWS_MOST = 1000 };
enum { ALL, MEMORY, HOST }; /* levels */

typedef struct problem {
    calibration *c;
    gpu_spec *spec;
    const calibrate_constants *constants;
    double speed[CALIBRATE_FAMILIES], share[CALIBRATE_FAMILIES], host; /* as built in */
    double memory_least; /* level of memory at which its share of the peak is 1 */
    level_row *rows;     /* as calibration.rows */
    level_family *families;
    size_t family_count;
} problem;

static double predicted_log(const calibration_row *r)
{
    pg_prediction p;
    if (pg_plan_predict(r->point->plan, r->point->gpu, &p, NULL) != PG_E_OK || !(p.latency_ms > 0)) return 0;
    return log(p.latency_ms * 1e-3 / bench_seconds(r->point->row));
}

/* The GPU as it is at these levels. A level of 0.1 makes 10 % slower. */
static void put(const problem *f, const double *level)
{
    for (size_t k = 0; k < CALIBRATE_FAMILIES; k++) {
        gpu_performance *p = &f->spec->performance[k];
        if (!f->c->families[k].rows) continue;
        double share = f->share[k] * exp(-level[MEMORY]);
        p->architecture_multiplier = f->speed[k] * exp(MEMORY_PART * level[MEMORY] - level[ALL]);
        p->memory_efficiency = share < 1 ? share : 1;
    }
    if (f->c->host_rows >= HOST_LEAST) f->spec->host_factor = f->host * exp(level[ALL] + level[HOST]);
}

/* What each row says about the levels, from near `level` on. */
static void linearise(problem *f, const double *level)
{
    calibration *c = f->c;
    put(f, level);
    for (size_t i = 0; i < c->count; i++)
        if (!c->rows[i].left_out) f->rows[i].off = -predicted_log(&c->rows[i]);
    for (int k = 0; k < CALIBRATE_LEVELS; k++) {
        double next[CALIBRATE_LEVELS];
        memcpy(next, level, sizeof next);
        next[k] += STEP[k];
        put(f, next);
        for (size_t i = 0; i < c->count; i++)
            if (!c->rows[i].left_out) f->rows[i].slope[k] = (predicted_log(&c->rows[i]) + f->rows[i].off) / STEP[k];
    }
    for (size_t i = 0; i < c->count; i++)
        for (int k = 0; k < CALIBRATE_LEVELS; k++) f->rows[i].off += f->rows[i].slope[k] * level[k];
}

/* The levels, none beyond what a board can be. */
static void solve(problem *f, double *level)
{
    calibrate_levels(level, f->rows, f->c->count, f->families, f->family_count, f->constants);
    for (int k = 0; k < CALIBRATE_LEVELS; k++)
        level[k] = level[k] > LEVEL_MOST ? LEVEL_MOST : level[k] < -LEVEL_MOST ? -LEVEL_MOST : level[k];
}

/* Levels by the rows that are not out, into the GPU. Memory has no more than its peak: where it would, that much is given. */
static void fit_levels(problem *f)
{
    double level[CALIBRATE_LEVELS] = {0};
    for (int step = 0; step < STEPS; step++) {
        linearise(f, level);
        solve(f, level);
        if (level[MEMORY] >= f->memory_least) continue;
        for (size_t i = 0; i < f->c->count; i++) {
            f->rows[i].off -= f->rows[i].slope[MEMORY] * f->memory_least;
            f->rows[i].slope[MEMORY] = 0;
        }
        solve(f, level);
        level[MEMORY] = f->memory_least;
    }
    put(f, level);
}

/* Groups whose number in the fold's turn is `fold` are out; none where there are no folds. */
static void hold_out(problem *f, uint32_t fold, uint32_t folds)
{
    for (size_t i = 0; i < f->c->count; i++) {
        const calibration_row *r = &f->c->rows[i];
        f->rows[i].out = r->left_out || (folds && r->group_index % folds == fold);
    }
}

static uint32_t family_number(const calibration *c, size_t i, const level_row *rows, size_t *count)
{
    for (size_t k = 0; k < i; k++)
        if (!strcmp(c->rows[k].point->family, c->rows[i].point->family)) return rows[k].family;
    return (uint32_t)(*count)++;
}

/* Where the fit starts from. */
static pg_code prepare(problem *f, const pg_catalog *catalog, pg_error *e)
{
    calibration *c = f->c;
    double share = f->spec->coalescing_efficiency > 0 ? 1 : cost_dram_share(f->spec, &catalog->config.cost);
    f->constants = &catalog->config.calibrate;
    f->memory_least = -INFINITY;
    f->rows = ARENA_ARRAY(c->a, level_row, c->count + 1);
    f->families = ARENA_ARRAY(c->a, level_family, c->count + 1);
    if (!f->rows || !f->families) return error_nomem(e, c->a);
    for (size_t i = 0; i < c->count; i++) {
        const calibration_row *r = &c->rows[i];
        f->rows[i].family = family_number(c, i, f->rows, &f->family_count);
        if (r->left_out) continue;
        c->families[r->point->plan->model->family].rows++;
        c->host_rows += r->point->p.host_ms * exp(STEP[HOST]) > r->point->p.gpu_ms;
    }
    for (size_t k = 0; k < CALIBRATE_FAMILIES; k++) {
        const gpu_performance *p = &f->spec->performance[k];
        f->speed[k] = p->architecture_multiplier > 0 ? p->architecture_multiplier : 1;
        f->share[k] = p->memory_efficiency > 0 ? p->memory_efficiency : share;
        if (c->families[k].rows && log(f->share[k]) > f->memory_least) f->memory_least = log(f->share[k]);
    }
    f->host = f->spec->host_factor > 0 ? f->spec->host_factor : 1;
    return PG_E_OK;
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
    size_t families = strcmp(c->split, "model family") == 0 ? c->group_count : 1;
    double gain = c->before.mape - c->after.mape, least = c->before.mape * ALIKE_GAIN / (double)families;
    c->better = gain > GAIN_LEAST && gain > least;
    c->verdict = gain > GAIN_LEAST ? "better by less than so few model families are off by themselves"
                                   : "no better than what is built in";
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
    double width = exp(w * own + (1 - w) * prior / (double)n) - 1;
    c->families[family].interval = width < INTERVAL_MOST ? rounded(width) : INTERVAL_MOST;
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

pg_code calibrate_rows(level_row **rows, size_t *count, bench_point *points, size_t point_count, const pg_gpu *gpu,
                       arena *a, pg_error *e)
{
    static const double specified[CALIBRATE_LEVELS] = {0};
    calibration c = {.a = a, .gpu = gpu};
    problem f = {.c = &c, .spec = (gpu_spec *)(uintptr_t)((const api_gpu *)(const void *)gpu)->spec};
    pg_code code = choose_rows(&c, points, point_count, e);
    if (!code) code = prepare(&f, c.rows[0].point->plan->catalog, e);
    if (code) return code;
    linearise(&f, specified);
    put(&f, specified);
    *count = 0;
    *rows = f.rows;
    for (size_t i = 0; i < c.count; i++)
        if (!c.rows[i].left_out) f.rows[(*count)++] = f.rows[i];
    return PG_E_OK;
}

pg_code calibrate(calibration *out, bench_point *points, size_t count, const pg_gpu *gpu, arena *a, pg_error *e)
{
    calibration *c = out;
    *c = (calibration){.a = a, .gpu = gpu};
    pg_code code = choose_rows(c, points, count, e);
    if (code) return code;
    /* the catalog is the caller's, and the plans look into it */
    problem f = {.c = c, .spec = (gpu_spec *)(uintptr_t)((const api_gpu *)(const void *)gpu)->spec};
    code = prepare(&f, c->rows[0].point->plan->catalog, e);
    if (code) return code;
    uint32_t folds = c->group_count < FOLDS ? (uint32_t)c->group_count : FOLDS;
    for (uint32_t k = 0; k < folds; k++) {
        hold_out(&f, k, folds);
        fit_levels(&f);
        for (size_t i = 0; i < c->count; i++)
            if (!c->rows[i].left_out && c->rows[i].group_index % folds == k)
                c->rows[i].after = predicted_log(&c->rows[i]);
    }
    code = gather(c, e);
    hold_out(&f, 0, 0);
    fit_levels(&f);
    return code ? code : keep(c, f.spec, e);
}
