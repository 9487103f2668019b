#include "bench/stats.h"

#include <stdlib.h>

#include "base/map.h"

static int by_size(const void *x, const void *y)
{
    double a = fabs(*(const double *)x), b = fabs(*(const double *)y);
    return (a > b) - (a < b);
}

/* Between the ranks around (n - 1) * share, as numpy's default does. */
static double quantile(const double *sorted, size_t n, double share)
{
    double at = (double)(n - 1) * share;
    size_t i = (size_t)at;
    if (i + 1 >= n) return fabs(sorted[n - 1]);
    return fabs(sorted[i]) + (fabs(sorted[i + 1]) - fabs(sorted[i])) * (at - (double)i);
}

static int by_value(const void *x, const void *y)
{
    double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

void bench_sort(double *x, size_t n)
{
    if (n) qsort(x, n, sizeof *x, by_value);
}

bench_stats bench_stats_of(double *errors, size_t count)
{
    bench_stats s = {
        .count = count, .mape = -1, .median = -1, .p90 = -1, .bias = NAN, .within_10 = -1, .within_25 = -1};
    if (!count) return s;
    double sum = 0, sign = 0, n = (double)count;
    size_t in10 = 0, in25 = 0;
    qsort(errors, count, sizeof *errors, by_size);
    for (size_t i = 0; i < count; i++) {
        double size = fabs(errors[i]);
        sum += size;
        sign += errors[i];
        in10 += size <= 0.10;
        in25 += size <= 0.25;
    }
    s.mape = sum / n;
    s.bias = sign / n;
    s.median = quantile(errors, count, 0.5);
    s.p90 = quantile(errors, count, 0.9);
    s.within_10 = (double)in10 / n;
    s.within_25 = (double)in25 / n;
    return s;
}

/* ---- groups ---- */

/* Points of a group that are next in line; indices into the points. */
typedef struct member {
    uint32_t group, point;
} member;

static const char *batch_range(const bench_point *p)
{
    static const struct {
        int64_t most;
        const char *name;
    } ranges[] = {{1, "1"},         {4, "2 to 4"},      {16, "5 to 16"},
                  {64, "17 to 64"}, {256, "65 to 256"}, {1024, "257 to 1024"}};
    if (!p->row->batch && str_starts(str_c(p->row->model), "op:")) return ""; /* its name says the batch */
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if (p->row->batch <= ranges[i].most) return ranges[i].name;
    return "over 1024";
}

static const char *gpu_name(const bench_point *p)
{
    return p->gpu->key;
}

static const char *file_name(const bench_point *p)
{
    return p->row->file;
}

static const char *family_name(const bench_point *p)
{
    return p->family;
}

static const char *runtime_name(const bench_point *p)
{
    return bench_runtime(p->row);
}

static const char *precision_name(const bench_point *p)
{
    return bench_precision(p->row);
}

static const char *task_name(const bench_point *p)
{
    return bench_task_name(p->row->task);
}

static const char *layout_name(const bench_point *p)
{
    return p->row->given >> BENCH_KEY_layout & 1 ? bench_layout_name(p->row->layout) : "";
}

static const char *version_name(const bench_point *p)
{
    return p->row->runtime_version ? p->row->runtime_version : "";
}

static const char *metric_name(const bench_point *p)
{
    return bench_metric_name(p->row->metric);
}

static const char *basis_name(const bench_point *p)
{
    return p->p.basis ? p->p.basis : "";
}

static const struct {
    const char *key, *title;
    const char *(*name)(const bench_point *p); /* "": in no group */
} groupings[] = {
    {"by_file", "File", file_name},          {"by_gpu", "GPU", gpu_name},
    {"by_runtime", "Runtime", runtime_name}, {"by_precision", "Precision", precision_name},
    {"by_batch", "Batch", batch_range},      {"by_task", "Task", task_name},
    {"by_layout", "Layout", layout_name},    {"by_metric", "Metric", metric_name},
    {"by_basis", "Rests on", basis_name},    {"by_version", "Version", version_name},
    {"by_family", "Family", family_name},
};

_Static_assert(sizeof groupings / sizeof groupings[0] == BENCH_GROUPINGS, "a row for each grouping");

static void fill_group(bench_group *g, const bench_point *points, const member *m, size_t count, double *room)
{
    size_t n = 0, held = 0;
    for (size_t i = 0; i < count; i++) {
        const bench_point *p = &points[m[i].point];
        room[i] = p->error;
        if (p->low < 0 || p->high < 0) continue;
        g->with_interval++;
        held += p->row->value >= p->low && p->row->value <= p->high;
    }
    g->coverage = g->with_interval ? (double)held / (double)g->with_interval : -1;
    g->ours = bench_stats_of(room, count);
    for (size_t i = 0; i < count; i++)
        if (points[m[i].point].roofline > 0)
            room[n++] = points[m[i].point].roofline / points[m[i].point].row->value - 1;
    g->roofline = bench_stats_of(room, n);
    n = 0;
    for (size_t i = 0; i < count; i++)
        if (points[m[i].point].scalar > 0) room[n++] = points[m[i].point].scalar / points[m[i].point].row->value - 1;
    g->scalar = bench_stats_of(room, n);
}

static int by_group(const void *x, const void *y)
{
    const member *a = x, *b = y;
    if (a->group != b->group) return a->group < b->group ? -1 : 1;
    return a->point < b->point ? -1 : a->point > b->point;
}

/* The largest first. */
static int by_count(const void *x, const void *y)
{
    const bench_group *a = x, *b = y;
    if (a->ours.count != b->ours.count) return a->ours.count > b->ours.count ? -1 : 1;
    return strcmp(a->name, b->name);
}

static int by_name(const void *x, const void *y)
{
    const bench_group *a = x, *b = y;
    double m = 0, n = 0;
    for (const char *p = a->name; *p >= '0' && *p <= '9'; p++) m = m * 10 + (*p - '0');
    for (const char *p = b->name; *p >= '0' && *p <= '9'; p++) n = n * 10 + (*p - '0');
    if (a->name[0] == 'o') m = INFINITY; /* "over 1024" */
    if (b->name[0] == 'o') n = INFINITY;
    return m < n ? -1 : m > n ? 1 : strcmp(a->name, b->name);
}

typedef struct work {
    const bench_point *points;
    size_t count;
    member *members;
    double *room;
    arena *a;
} work;

static bool fill_grouping(bench_grouping *out, size_t which, const work *w)
{
    map names;
    size_t n = 0;
    map_init(&names, w->a);
    for (size_t i = 0; i < w->count; i++) {
        bool added;
        const char *name = w->points[i].skipped ? "" : groupings[which].name(&w->points[i]);
        if (!name[0]) continue;
        const uint32_t *at = map_add(&names, str_c(name), names.count, &added);
        if (!at) return false;
        w->members[n++] = (member){*at, (uint32_t)i};
    }
    qsort(w->members, n, sizeof *w->members, by_group);
    *out = (bench_grouping){.key = groupings[which].key, .title = groupings[which].title};
    out->groups = ARENA_ARRAY(w->a, bench_group, names.count + 1);
    if (!out->groups) return false;
    for (size_t from = 0, to; from < n; from = to) {
        const member *m = w->members + from;
        bench_group *g = &out->groups[out->count++];
        for (to = from + 1; to < n && w->members[to].group == m->group; to++) {}
        g->name = groupings[which].name(&w->points[m->point]);
        fill_group(g, w->points, m, to - from, w->room);
    }
    qsort(out->groups, out->count, sizeof *out->groups, groupings[which].name == batch_range ? by_name : by_count);
    return true;
}

static int by_frequency(const void *x, const void *y)
{
    const bench_reason *a = x, *b = y;
    if (a->count != b->count) return a->count > b->count ? -1 : 1;
    return strcmp(a->text, b->text);
}

static bool fill_reasons(bench_summary *out, const work *w)
{
    map texts;
    map_init(&texts, w->a);
    out->reasons = ARENA_ARRAY(w->a, bench_reason, w->count + 1);
    if (!out->reasons) return false;
    for (size_t i = 0; i < w->count; i++) {
        bool added;
        if (!w->points[i].skipped) continue;
        out->skipped++;
        const uint32_t *at = map_add(&texts, str_c(w->points[i].skipped), texts.count, &added);
        if (!at) return false;
        out->reasons[*at].text = w->points[i].skipped;
        out->reasons[*at].count++;
    }
    out->reason_count = texts.count;
    qsort(out->reasons, out->reason_count, sizeof *out->reasons, by_frequency);
    return true;
}

pg_code bench_summarize(bench_summary *out, const bench_point *points, size_t count, arena *a, pg_error *e)
{
    *out = (bench_summary){.skipped = 0};
    work w = {points, count, ARENA_ARRAY(a, member, count + 1), ARENA_ARRAY(a, double, count + 1), a};
    if (!w.members || !w.room || !fill_reasons(out, &w)) return error_nomem(e, a);
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        if (!points[i].skipped) w.members[n++] = (member){0, (uint32_t)i};
    out->all.name = "all";
    fill_group(&out->all, points, w.members, n, w.room);
    for (size_t i = 0; i < BENCH_GROUPINGS; i++)
        if (!fill_grouping(&out->groupings[i], i, &w)) return error_nomem(e, a);
    return PG_E_OK;
}
