/* One scalar for each pair of GPUs: what a person does who has one measurement and a rule of thumb. */
#include "bench/bench.h"

#include <stdlib.h>

#include "base/map.h"

/* A configuration's time on one GPU. */
typedef struct timed {
    bench_point *point;
    double log_s;
    uint32_t config, group, gpu; /* group: runtime, precision and task */
} timed;

/* One configuration that was measured on both GPUs of a pair. */
typedef struct match {
    const timed *a, *b;
    double ratio; /* log (time on a / time on b) */
    uint32_t group, gpu_a, gpu_b;
} match;

typedef struct work {
    arena a;
    timed *list;
    size_t count;
    match *matches;
    size_t match_count;
    map configs, groups, gpus;
} work;

static uint32_t number_of(work *w, map *m, const char *text)
{
    bool added;
    str key = str_copy(&w->a, str_c(text));
    uint32_t *at = key.ptr ? map_add(m, key, m->count, &added) : NULL;
    return at ? *at : 0;
}

/* Everything that makes two measurements comparable; memory layout counts, the runtime's version doesn't. */
static void add_timed(work *w, bench_point *p)
{
    char text[512];
    const bench_row *r = p->row;
    double s = bench_seconds(r);
    p->scalar = -1;
    if (!p->gpu || !(s > 0)) return;
    timed *t = &w->list[w->count++];
    t->point = p;
    t->log_s = log(s);
    size_t n = format_text(text, sizeof text, "%d %d %.60s|%.60s|", (int)r->task, r->device_time, bench_runtime(r),
                           bench_precision(r));
    t->group = number_of(w, &w->groups, text);
    format_text(text + n, sizeof text - n, "%d %d %lld %lld %lld %lld %lld %.40s|%.300s", r->autocast, (int)r->layout,
                (long long)r->batch, (long long)r->image_size, (long long)r->seq_len, (long long)r->gpu_count,
                (long long)r->input_len, r->optimizer ? r->optimizer : "", r->model);
    t->config = number_of(w, &w->configs, text);
    t->gpu = number_of(w, &w->gpus, p->gpu->key);
}

static int by_config(const void *x, const void *y)
{
    const timed *a = x, *b = y;
    if (a->config != b->config) return a->config < b->config ? -1 : 1;
    if (a->gpu != b->gpu) return a->gpu < b->gpu ? -1 : 1;
    return a->point < b->point ? -1 : 1;
}

static int by_pair(const void *x, const void *y)
{
    const match *a = x, *b = y;
    if (a->group != b->group) return a->group < b->group ? -1 : 1;
    if (a->gpu_a != b->gpu_a) return a->gpu_a < b->gpu_a ? -1 : 1;
    if (a->gpu_b != b->gpu_b) return a->gpu_b < b->gpu_b ? -1 : 1;
    if (a->ratio != b->ratio) return a->ratio < b->ratio ? -1 : 1;
    return a->a < b->a ? -1 : a->a > b->a;
}

/* Matches of one configuration with rows [from, to): each row against the first one of every other GPU. */
static size_t match_config(const timed *list, size_t from, size_t to, match *out)
{
    size_t n = 0;
    for (size_t i = from; i < to; i++)
        for (size_t k = from; k < to; k++) {
            bool first = k == from || list[k - 1].gpu != list[k].gpu;
            if (!first || list[k].gpu == list[i].gpu) continue;
            if (out)
                out[n] = (match){&list[i],      &list[k],    list[i].log_s - list[k].log_s,
                                 list[i].group, list[i].gpu, list[k].gpu};
            n++;
        }
    return n;
}

static bool match_all(work *w)
{
    for (int pass = 0; pass < 2; pass++) {
        w->match_count = 0;
        for (size_t from = 0, to; from < w->count; from = to) {
            for (to = from + 1; to < w->count && w->list[to].config == w->list[from].config; to++) {}
            w->match_count += match_config(w->list, from, to, pass ? w->matches + w->match_count : NULL);
        }
        if (!pass) w->matches = ARENA_ARRAY(&w->a, match, w->match_count + 1);
        if (!w->matches) return false;
    }
    qsort(w->matches, w->match_count, sizeof *w->matches, by_pair);
    return true;
}

/* Median of the ratios in [from, to), which are sorted, without one family; false when fewer than five are left. */
static bool median_without(const match *m, size_t from, size_t to, const char *family, double *out)
{
    enum { FEWEST = 5 };
    size_t left = 0, at = 0;
    double low = 0, high = 0;
    for (size_t i = from; i < to; i++) left += strcmp(m[i].a->point->family, family) != 0;
    if (left < FEWEST) return false;
    for (size_t i = from; i < to; i++) {
        if (!strcmp(m[i].a->point->family, family)) continue;
        if (at == (left - 1) / 2) low = m[i].ratio;
        if (at == left / 2) high = m[i].ratio;
        at++;
    }
    *out = (low + high) / 2;
    return true;
}

typedef struct known_median {
    const char *family;
    double value;
    bool there;
} known_median;

static void set_scalar(const match *m, double ratio, size_t matches, size_t *best)
{
    bench_point *p = m->a->point;
    double s = exp(m->b->log_s + ratio), measured = bench_seconds(p->row);
    if (matches <= *best) return;
    *best = matches;
    p->scalar = p->row->metric == METRIC_LATENCY_MS ? s * 1e3 : p->row->value * measured / s;
    p->scalar_row = m->b->point->row;
}

static bool fill_scalars(work *w, const bench_point *first, size_t count)
{
    size_t *best = ARENA_ARRAY(&w->a, size_t, count + 1);
    const match *m = w->matches;
    if (!best) return false;
    for (size_t from = 0, to; from < w->match_count; from = to) {
        map families;
        for (to = from + 1; to < w->match_count && m[to].group == m[from].group && m[to].gpu_a == m[from].gpu_a &&
                            m[to].gpu_b == m[from].gpu_b;
             to++) {}
        known_median *known = ARENA_ARRAY(&w->a, known_median, to - from);
        map_init(&families, &w->a);
        for (size_t i = from; known && i < to; i++) {
            bool added = false;
            const char *family = m[i].a->point->family;
            const uint32_t *at = map_add(&families, str_c(family), families.count, &added);
            if (!at) return false;
            known_median *k = &known[*at];
            if (added) k->there = median_without(m, from, to, family, &k->value);
            if (k->there) set_scalar(&m[i], k->value, to - from, &best[m[i].a->point - first]);
        }
        if (!known) return false;
    }
    return true;
}

pg_code bench_scalars(bench_point *points, size_t count, allocator alloc, pg_error *e)
{
    work w = {.count = 0};
    arena_init(&w.a, alloc, 0);
    map_init(&w.configs, &w.a);
    map_init(&w.groups, &w.a);
    map_init(&w.gpus, &w.a);
    w.list = ARENA_ARRAY(&w.a, timed, count + 1);
    bool ok = w.list != NULL;
    for (size_t i = 0; ok && i < count; i++) add_timed(&w, &points[i]);
    if (ok && !w.a.failed) qsort(w.list, w.count, sizeof *w.list, by_config);
    ok = ok && !w.a.failed && match_all(&w) && fill_scalars(&w, points, count);
    pg_code code = ok ? PG_E_OK : error_nomem(e, NULL);
    arena_free(&w.a);
    return code;
}
