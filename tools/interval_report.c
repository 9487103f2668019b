/* How often intervals hold, in cross-validation: by stratum, and whether a stratum's deviation is more than chance. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "interval_fit.h"

enum { GROUPS = 5, LEAST = 20, STRATA_KINDS = 6 };
/* Of the contract: 75 to 85 %. */
#define LOW 0.75
#define HIGH 0.85
/* A miss costs ten times its distance: the score that is least where a tenth of the points lies beyond either end. */
#define MISS 10

void interval_cross_validate(held_list *h, arena *a)
{
    bool *use = ARENA_ARRAY(a, bool, h->count + 1);
    if (!use) interval_die("out of memory", NULL);
    for (int by_chip = 0; by_chip <= 1; by_chip++)
        for (int g = 0; g < GROUPS; g++) {
            double x[CONSTANTS];
            for (size_t i = 0; i < h->count; i++)
                use[i] = (by_chip ? h->list[i].chip : h->list[i].family) % GROUPS != g;
            interval_fit(x, h, use);
            for (size_t i = 0; i < h->count; i++) {
                held *at = &h->list[i];
                bool mine = by_chip == (at->kind != SPLIT_FAMILY);
                if (mine && !use[i]) interval_of_held(&at->low, &at->high, x, h, at);
            }
        }
}

static const char *batch_of(int64_t n)
{
    return n <= 1 ? "1" : n <= 8 ? "2-8" : n <= 64 ? "9-64" : n <= 256 ? "65-256" : "over 256";
}

/* What stratum of a kind a point is in; false: in none. */
static bool stratum_name(const held *h, int kind, char *out, size_t cap)
{
    const bench_point *p = h->point;
    char family[64];
    bench_family(family, sizeof family, h->parts.lone ? p->row->model : "model");
    const char *what[STRATA_KINDS] = {p->gpu->key,
                                      bench_runtime(p->row),
                                      bench_precision(p->row),
                                      batch_of(p->row->batch),
                                      bench_task_name(p->row->task),
                                      family};
    if (h->parts.lone ? kind == 3 || kind == 4 : kind == 5) return false;
    format_text(out, cap, "%s%s%s", h->parts.lone && kind < 3 ? "kernels, " : "", kind == 3 ? "batch " : "",
                what[kind]);
    return true;
}

typedef struct tally {
    double n, in, below, above, width, score;
} tally;

static void add(tally *t, double error, double low, double high)
{
    bool below = error<-low, above = error> high;
    t->n++;
    t->in += !below && !above;
    t->below += below;
    t->above += above;
    t->width += low + high;
    t->score += low + high + MISS * (below ? -low - error : above ? error - high : 0);
}

/* Rows of one family, or of one chip, are not independent: the larger of the two standard errors of the share that is in. */
static double noise(const held_list *h, const uint32_t *of, uint32_t stratum, bool families, const tally *t,
                    double *sum)
{
    double share = t->in / t->n, most = sqrt(0.16 / t->n);
    for (int by_chip = 0; by_chip <= 1; by_chip++) {
        double square = 0, clusters = 0;
        for (size_t i = 0; i <= h->count; i++) sum[i] = NAN;
        for (size_t i = 0; i < h->count; i++) {
            const held *at = &h->list[i];
            int c = by_chip ? at->chip : at->family;
            if (of[i] != stratum || families != (at->kind == SPLIT_FAMILY)) continue;
            if (isnan(sum[c])) sum[c] = 0;
            sum[c] += (at->error >= -at->low && at->error <= at->high) - share;
        }
        for (size_t i = 0; i < h->count; i++) {
            if (isnan(sum[i])) continue;
            square += sum[i] * sum[i];
            clusters++;
        }
        double e = clusters > 1 ? sqrt(square * clusters / (clusters - 1)) / t->n : 0;
        if (e > most) most = e;
    }
    return most;
}

static int by_text(const void *x, const void *y)
{
    return strcmp(*(const char *const *)x, *(const char *const *)y);
}

typedef struct account {
    int strata, within, noisy;
    double square;
} account;

/* A stratum under one kind of split: its share and what chance does to it, marked where that doesn't explain it. */
static void one_split(const held_list *h, const uint32_t *of, uint32_t s, bool families, double *room, account *all)
{
    tally now = {0, 0, 0, 0, 0, 0};
    for (size_t i = 0; i < h->count; i++) {
        const held *at = &h->list[i];
        if (of[i] == s && families == (at->kind == SPLIT_FAMILY)) add(&now, at->error, at->low, at->high);
    }
    if (now.n < LEAST) {
        printf(" | | | |");
        return;
    }
    double share = now.in / now.n, off = noise(h, of, s, families, &now, room);
    double out = share < LOW ? LOW - share : share > HIGH ? share - HIGH : 0;
    all->strata++;
    all->within += out <= 0;
    all->noisy += out > 0 && out <= 2 * off;
    all->square += (share - 0.8) * (share - 0.8);
    const char *mark = out > 2 * off ? "**" : "";
    printf(" %s%.1f%s +- %.1f | %.1f | %.1f | %.2f |", mark, 100 * share, mark, 100 * off, 100 * now.below / now.n,
           100 * now.above / now.n, now.width / now.n);
}

static void one_stratum(const held_list *h, const uint32_t *of, uint32_t s, const char *name, double *room,
                        account *all)
{
    size_t kinds[2] = {0, 0};
    for (size_t i = 0; i < h->count; i++)
        if (of[i] == s) kinds[h->list[i].kind == SPLIT_FAMILY]++;
    size_t n = kinds[0] > kinds[1] ? kinds[0] : kinds[1];
    if (n < LEAST) return;
    printf("| %s | %zu |", name, n);
    for (int families = 0; families <= 1; families++) one_split(h, of, s, families, room, all);
    printf("\n");
}

/* All strata of one kind, by name. */
static void strata_of_kind(const held_list *h, int kind, arena *a, double *room, account *all)
{
    map names;
    char text[256];
    map_init(&names, a);
    uint32_t *of = ARENA_ARRAY(a, uint32_t, h->count + 1);
    const char **list = ARENA_ARRAY(a, const char *, h->count + 1);
    if (!of || !list) interval_die("out of memory", NULL);
    for (size_t i = 0; i < h->count; i++) {
        bool added;
        of[i] = UINT32_MAX;
        if (!stratum_name(&h->list[i], kind, text, sizeof text)) continue;
        str copy = str_copy(a, str_c(text));
        const uint32_t *at = copy.ptr ? map_add(&names, copy, names.count, &added) : NULL;
        if (!at) interval_die("out of memory", NULL);
        if (added) list[*at] = copy.ptr;
        of[i] = *at;
    }
    qsort(list, names.count, sizeof *list, by_text);
    for (uint32_t s = 0; s < names.count; s++) {
        const uint32_t *at = map_find(&names, str_c(list[s]));
        if (at) one_stratum(h, of, *at, list[s], room, all);
    }
}

void interval_report(const held_list *h, arena *a)
{
    account all = {0, 0, 0, 0};
    tally now = {0, 0, 0, 0, 0, 0}, before = now;
    double *room = ARENA_ARRAY(a, double, h->count + 1);
    if (!room) interval_die("out of memory", NULL);
    printf("| stratum | points | GPUs left out | below | above | width | families left out | below | above | width |\n"
           "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n");
    for (int kind = 0; kind < STRATA_KINDS; kind++) strata_of_kind(h, kind, a, room, &all);
    for (size_t i = 0; i < h->count; i++) {
        add(&now, h->list[i].error, h->list[i].low, h->list[i].high);
        add(&before, h->list[i].error, h->list[i].shipped_low, h->list[i].shipped_high);
    }
    printf(
        "cross-validated: %.1f %% of %zu points held (%.1f %% below, %.1f %% above), width %.3f, score %.4f; as shipped "
        "%.1f %%, %.3f, %.4f\n",
        100 * now.in / now.n, h->count, 100 * now.below / now.n, 100 * now.above / now.n, now.width / now.n,
        now.score / now.n, 100 * before.in / before.n, before.width / before.n, before.score / before.n);
    printf(
        "of %d strata with %d points and more %d hold %.0f to %.0f %%, %d are outside by chance (two standard errors); "
        "%.1f points from 80 %% in the mean square\n",
        all.strata, LEAST, all.within, 100 * LOW, 100 * HIGH, all.noisy,
        all.strata ? 100 * sqrt(all.square / all.strata) : 0);
}
