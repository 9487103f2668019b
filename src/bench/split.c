#include "bench/split.h"

#include <stdlib.h>

#include "api/api.h"
#include "base/map.h"

enum { GROUPS = 5 };

/* djb2 as ever: the same groups on every machine, and with every file. */
static unsigned group_of(const char *text)
{
    unsigned h = 5381;
    for (const char *c = text; *c; c++) h = h * 33 + (unsigned char)*c;
    return h % 1000 % GROUPS;
}

/* "a100" of "a100_pcie_40gb"; names of consumer boards are chips already. */
static size_t chip_length(const char *key)
{
    static const char *const boards[] = {"rtx", "gtx", "titan", "quadro", "jetson", "mi", "rx"};
    size_t n = 0;
    for (size_t i = 0; i < sizeof boards / sizeof boards[0]; i++)
        if (str_starts(str_c(key), boards[i])) return strlen(key);
    while (key[n] && key[n] != '_') n++;
    return n;
}

/* "ada" of "Ada Lovelace"; Blackwell Ultra is a Blackwell. */
static void generation_of(const gpu_spec *s, char *room, size_t cap)
{
    size_t n = 0;
    while (n < s->architecture.len && s->architecture.ptr[n] != ' ') n++;
    format_text(room, cap, "%.*s", (int)n, n ? s->architecture.ptr : "unknown");
    for (char *c = room; *c; c++)
        if (*c >= 'A' && *c <= 'Z') *c = (char)(*c + 'a' - 'A');
}

static bool is_kernel(const bench_point *p)
{
    return str_starts(str_c(p->row->model), "op:");
}

const char *split_group(const bench_point *p, split_kind kind, char *room, size_t cap)
{
    char key[512];
    const bench_row *r = p->row;
    switch (kind) {
    case SPLIT_GPU:
        if (!p->gpu) return NULL;
        format_text(room, cap, "%.*s", (int)chip_length(p->gpu->key), p->gpu->key);
        return room;
    case SPLIT_GENERATION:
        if (!p->gpu) return NULL;
        generation_of(((const api_gpu *)(const void *)p->gpu)->spec, room, cap);
        return room;
    case SPLIT_FAMILY:
        if (is_kernel(p)) return NULL;
        format_text(room, cap, "families %u of %d", group_of(p->family) + 1, GROUPS);
        return room;
    default:
        format_text(key, sizeof key, "%.300s|%.60s|%.40s|%.20s", r->model, p->gpu ? p->gpu->key : "", bench_runtime(r),
                    bench_precision(r));
        format_text(room, cap, "part %u of %d", group_of(key) + 1, GROUPS);
        return room;
    }
}

typedef struct work {
    bench_point *points;
    size_t count;
    int *fold;  /* of each point; -1: never left out */
    bool *use;  /* in the step that is fitted */
    bool *seen; /* took part in any fit of this fold */
    int *group; /* of equal weight, by point */
    int group_count;
    split_fold *folds;
    size_t fold_count;
    fit_steps steps;
    double *known[FIT_STEPS_MOST]; /* a step's constants, fitted on all its rows after steps that were too */
    bool *idle;                    /* step has no rows at all: what it would fit keeps its value */
    pg_catalog *catalog;
    const fit_snapshot *shipped;
    const split_options *o;
    arena *a;
} work;

static int by_name(const void *x, const void *y)
{
    return strcmp(((const split_fold *)x)->name, ((const split_fold *)y)->name);
}

/* Folds are those that the predicted points need, by name. */
static bool make_folds(work *w)
{
    map names;
    char room[600];
    map_init(&names, w->a);
    for (size_t i = 0; i < w->count; i++) {
        bool added;
        const char *name = w->points[i].skipped || !w->o->test[i]
                             ? NULL
                             : split_group(&w->points[i], w->o->kind, room, sizeof room);
        str copy = name ? str_copy(w->a, str_c(name)) : (str){NULL, 0};
        if (name && (!copy.ptr || !map_add(&names, copy, 0, &added))) return false;
    }
    w->folds = ARENA_ARRAY(w->a, split_fold, names.count + 1);
    if (!w->folds) return false;
    for (uint32_t i = 0; i < names.cap; i++)
        if (names.slots[i].used) w->folds[w->fold_count++].name = names.slots[i].key.ptr;
    qsort(w->folds, w->fold_count, sizeof *w->folds, by_name);
    for (size_t i = 0; i < w->count; i++) {
        const char *name = split_group(&w->points[i], w->o->kind, room, sizeof room);
        w->fold[i] = -1;
        for (size_t f = 0; name && f < w->fold_count; f++)
            if (!strcmp(w->folds[f].name, name)) w->fold[i] = (int)f;
    }
    return true;
}

/* (GPU, runtime, operator, precision) by number, for losses in which each weighs the same. */
static bool make_groups(work *w)
{
    map names;
    map_init(&names, w->a);
    for (size_t i = 0; i < w->count; i++) {
        const bench_point *p = &w->points[i];
        char text[256];
        bool added;
        format_text(text, sizeof text, "%s|%s|%.60s|%.20s", p->gpu ? p->gpu->key : "", bench_runtime(p->row), p->family,
                    bench_precision(p->row));
        str copy = str_copy(w->a, str_c(text));
        const uint32_t *at = copy.ptr ? map_add(&names, copy, names.count, &added) : NULL;
        if (!at) return false;
        w->group[i] = (int)*at;
    }
    w->group_count = (int)names.count;
    return true;
}

/* Is a GPU of the catalog one of those that the fold leaves out? */
static bool is_left_out(const work *w, const char *key, const char *fold)
{
    char generation[64];
    if (w->o->kind == SPLIT_GPU) return strlen(fold) == chip_length(key) && !strncmp(key, fold, strlen(fold));
    const pg_gpu *gpu = pg_catalog_find(w->catalog, key, NULL);
    if (!gpu) return false;
    generation_of(((const api_gpu *)(const void *)gpu)->spec, generation, sizeof generation);
    return !strcmp(generation, fold);
}

/* Keys without those that the fold leaves out. A runtime of which something was measured stays one, whatever is left out. */
static bool forget_keys(work *w, const char *fold, const str **keys, uint32_t *count)
{
    str *kept = ARENA_ARRAY(w->a, str, *count + 1);
    uint32_t n = 0;
    if (!kept) return false;
    for (uint32_t i = 0; i < *count; i++)
        if (!is_left_out(w, (*keys)[i].ptr, fold)) kept[n++] = (*keys)[i];
    if (*count && !n) kept[n++] = STR("none");
    *keys = kept;
    *count = n;
    return true;
}

/* Nothing was measured on the GPUs that are left out. */
static bool forget_gpus(work *w, const char *fold)
{
    api_config *c = &w->catalog->config;
    for (uint32_t i = 0; i < c->n_runtimes; i++) {
        runtime_profile *r = &c->runtimes[i];
        if (!forget_keys(w, fold, &r->measured_on, &r->n_measured_on) ||
            !forget_keys(w, fold, &r->trained_on, &r->n_trained_on))
            return false;
    }
    for (uint32_t i = 0; i < c->n_levels; i++) {
        gpu_level *l = &c->levels[i];
        if (is_left_out(w, l->gpu.ptr, fold)) l->compute = l->memory = 1;
    }
    return true;
}

/* The rows of a step without a fold (negative: all), thinned evenly where they are too many. *whole: the fold takes none away. */
static size_t choose_rows(work *w, const fit_step *s, int fold, bool *whole)
{
    size_t n = 0, kept = 0, at = 0;
    *whole = true;
    for (size_t i = 0; i < w->count; i++) {
        bool takes = fit_step_takes(s, &w->points[i]), out = fold >= 0 && w->fold[i] == fold;
        if (takes && out) *whole = false;
        w->use[i] = takes && !out;
        n += w->use[i];
    }
    if (n <= s->rows) return n;
    for (size_t i = 0; i < w->count; i++) {
        if (!w->use[i]) continue;
        w->use[i] = at * s->rows / n != (at + 1) * s->rows / n;
        kept += w->use[i];
        at++;
    }
    return kept;
}

/* A step that sees the same rows after the same earlier steps has the same result. */
static bool recall(const fit_step *step, const double *values)
{
    for (int k = 0; values && k < step->count; k++) *step->constants[k].at = values[k];
    return values != NULL;
}

static bool remember(work *w, const fit_step *step, double **values)
{
    *values = ARENA_ARRAY(w->a, double, (size_t)step->count);
    for (int k = 0; *values && k < step->count; k++) (*values)[k] = *step->constants[k].at;
    return *values != NULL;
}

static void start_values(work *w)
{
    for (int s = 0; s < w->steps.count; s++)
        if (!w->idle[s]) fit_step_start(&w->steps.list[s]);
}

/* The fit of a step on the rows that were chosen for it. */
static fit_problem problem_of(const work *w, const fit_step *step)
{
    return (fit_problem){.points = w->points,
                         .count = w->count,
                         .use = w->use,
                         .group = step->grouped ? w->group : NULL,
                         .group_count = w->group_count,
                         .constants = step->constants,
                         .constant_count = step->count,
                         .rounds = step->rounds,
                         .evaluations = step->evaluations,
                         .pull = step->pull,
                         .squared = step->squared};
}

static pg_code fit_steps_without(work *w, int fold, int *done, int of, pg_error *e)
{
    pg_code code = PG_E_OK;
    bool same = true; /* as without any fold so far */
    memset(w->seen, 0, w->count * sizeof *w->seen);
    start_values(w);
    for (int s = 0; s < w->steps.count && !code; s++) {
        fit_step *step = &w->steps.list[s];
        if (w->idle[s]) continue;
        if (w->o->progress) w->o->progress(w->o->ud, fold < 0 ? step->name : w->folds[fold].name, (*done)++, of);
        bool whole;
        size_t n = choose_rows(w, step, fold, &whole);
        for (size_t i = 0; i < w->count; i++) w->seen[i] |= w->use[i];
        same = same && whole;
        if (!n || (same && recall(step, w->known[s]))) continue;
        fit_problem p = problem_of(w, step);
        code = fit_run(&p, e);
        if (same && !code && !remember(w, step, &w->known[s])) code = error_nomem(e, w->a);
    }
    return code;
}

/* Predicts the fold's own points, and keeps what was predicted for good. */
static void predict_fold(work *w, int fold, bench_point *kept, double *room)
{
    split_fold *f = &w->folds[fold];
    size_t n = 0;
    for (size_t i = 0; i < w->count; i++) f->fitted_on += w->seen[i];
    for (size_t i = 0; i < w->count; i++) {
        if (w->fold[i] != fold || !w->o->test[i]) continue;
        bench_predict_point(&w->points[i]);
        kept[i] = w->points[i];
        kept[i].fold = f->name;
        if (!kept[i].skipped) room[n++] = kept[i].error;
    }
    f->points = n;
    f->stats = bench_stats_of(room, n);
}

static pg_code run_folds(work *w, pg_error *e)
{
    bench_point *kept = ARENA_ARRAY(w->a, bench_point, w->count + 1);
    double *room = ARENA_ARRAY(w->a, double, w->count + 1);
    int active = 0, done = 0;
    pg_code code = PG_E_OK;
    if (!kept || !room) return error_nomem(e, w->a);
    memcpy(kept, w->points, w->count * sizeof *kept);
    for (int s = 0; s < w->steps.count; s++) {
        bool whole;
        w->idle[s] = !choose_rows(w, &w->steps.list[s], -1, &whole);
        active += !w->idle[s];
    }
    for (int f = 0; f < (int)w->fold_count && !code; f++) {
        fit_restore(w->catalog, w->shipped);
        bool gpus = w->o->kind == SPLIT_GPU || w->o->kind == SPLIT_GENERATION;
        if (gpus && !forget_gpus(w, w->folds[f].name)) code = error_nomem(e, w->a);
        if (!code) code = fit_steps_without(w, f, &done, active * (int)w->fold_count, e);
        if (!code) predict_fold(w, f, kept, room);
    }
    fit_restore(w->catalog, w->shipped);
    for (size_t i = 0; i < w->count; i++) {
        w->points[i] = kept[i];
        if (w->fold[i] < 0 && !kept[i].skipped && w->o->test[i])
            w->points[i].skipped = "single kernels belong to no model family: they are only fitted on";
    }
    return code;
}

static pg_code prepare(work *w, bench *b, pg_error *e)
{
    w->points = bench_points(b, &w->count);
    w->fold = ARENA_ARRAY(w->a, int, w->count + 1);
    w->group = ARENA_ARRAY(w->a, int, w->count + 1);
    w->use = ARENA_ARRAY(w->a, bool, w->count + 1);
    w->seen = ARENA_ARRAY(w->a, bool, w->count + 1);
    w->idle = ARENA_ARRAY(w->a, bool, FIT_STEPS_MOST);
    w->shipped = fit_save(w->catalog, w->a);
    if (!w->fold || !w->group || !w->use || !w->seen || !w->idle || !w->shipped || !make_groups(w))
        return error_nomem(e, w->a);
    return fit_steps_read(&w->steps, w->catalog, w->a, e);
}

pg_code split_run(split_fold **folds, size_t *fold_count, bench *b, pg_catalog *catalog, const split_options *o,
                  arena *a, pg_error *e)
{
    work w = {.catalog = catalog, .o = o, .a = a};
    pg_code code = prepare(&w, b, e);
    if (!code && !make_folds(&w)) code = error_nomem(e, a);
    if (!code) code = run_folds(&w, e);
    *folds = w.folds;
    *fold_count = w.fold_count;
    return code;
}

pg_code split_fit_all(bench *b, pg_catalog *catalog, const split_options *o, arena *a, pg_error *e)
{
    work w = {.catalog = catalog, .o = o, .a = a};
    int done = 0, active = 0;
    pg_code code = prepare(&w, b, e);
    for (int s = 0; s < w.steps.count && !code; s++) {
        bool whole;
        w.idle[s] = !choose_rows(&w, &w.steps.list[s], -1, &whole);
        active += !w.idle[s];
    }
    for (size_t i = 0; i < w.count; i++) w.fold[i] = -1;
    return code ? code : fit_steps_without(&w, -1, &done, active, e);
}

pg_code split_fit_step(bench *b, pg_catalog *catalog, const fit_step *step, const bool *out, int rounds,
                       void (*progress)(void *ud, int round, double loss), void *ud, arena *a, pg_error *e)
{
    work w = {.catalog = catalog, .a = a};
    size_t taken = 0;
    pg_code code = prepare(&w, b, e);
    if (code) return code;
    for (size_t i = 0; i < w.count; i++) {
        w.use[i] = fit_step_takes(step, &w.points[i]) && !(out && out[i]);
        taken += w.use[i];
    }
    if (!taken) return error_set(e, PG_E_NOT_FOUND, "the step %s takes none of these points", step->name);
    fit_problem p = problem_of(&w, step);
    if (rounds) p.rounds = rounds;
    p.progress = progress;
    p.ud = ud;
    return fit_run(&p, e);
}
