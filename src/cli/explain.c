/* --explain: sorting the kernels, and summing up those that are not shown. */
#include <stdlib.h>

#include "cli/cli.h"

enum { TOP = 20 };

static int longest_first(const void *a, const void *b)
{
    const pg_kernel_row *x = *(const pg_kernel_row *const *)a, *y = *(const pg_kernel_row *const *)b;
    if (x->time_ms != y->time_ms) return x->time_ms < y->time_ms ? 1 : -1;
    return x->start_ms < y->start_ms ? -1 : x->start_ms > y->start_ms;
}

static int in_order(const void *a, const void *b)
{
    const pg_kernel_row *x = *(const pg_kernel_row *const *)a, *y = *(const pg_kernel_row *const *)b;
    return x->start_ms < y->start_ms ? -1 : x->start_ms > y->start_ms;
}

static int longest_kind_first(const void *a, const void *b)
{
    const render_kind *x = a, *y = b;
    return x->time_ms < y->time_ms ? 1 : x->time_ms > y->time_ms ? -1 : strcmp(x->name, y->name);
}

static double known(double x)
{
    return x > 0 ? x : 0;
}

static bool sum_kinds(cli *c, const pg_explanation *e, render_explanation *out)
{
    enum { KINDS_MOST = 64 };
    render_kind *kinds = ARENA_ARRAY(&c->memory, render_kind, KINDS_MOST);
    if (!kinds) return false;
    for (size_t i = 0; i < pg_explanation_count(e); i++) {
        const pg_kernel_row *k = pg_explanation_at(e, i);
        const char *name = k->kernel ? k->kernel : "other";
        size_t at = 0;
        while (at < out->kind_count && strcmp(kinds[at].name, name) != 0) at++;
        if (at == out->kind_count) {
            if (at == KINDS_MOST) at--; /* more kinds than there are: into the last one */
            else kinds[out->kind_count++].name = name;
        }
        kinds[at].kernels += k->count;
        kinds[at].time_ms += known(k->time_ms);
        kinds[at].ideal_ms += known(k->ideal_ms);
        kinds[at].share += known(k->share);
    }
    if (out->kind_count) qsort(kinds, out->kind_count, sizeof *kinds, longest_kind_first);
    out->kinds = kinds;
    return true;
}

const render_explanation *cli_explain(cli *c, const pg_explanation *e)
{
    size_t count = pg_explanation_count(e);
    const pg_kernel_row **rows = ARENA_ARRAY(&c->memory, const pg_kernel_row *, count);
    render_explanation *out = ARENA_NEW(&c->memory, render_explanation);
    if (!rows || !out || !sum_kinds(c, e, out)) return NULL;
    bool data = c->report.format == RENDER_JSON || c->report.format == RENDER_CSV;
    size_t top = c->args.top ? (size_t)c->args.top : data ? count : TOP;
    out->rows = rows;
    out->count = top < count ? top : count;
    out->in_order = c->args.sort && strcmp(c->args.sort, "order") == 0;
    for (size_t i = 0; i < count; i++) rows[i] = pg_explanation_at(e, i);
    if (count) qsort(rows, count, sizeof *rows, longest_first);
    for (size_t i = 0; i < count; i++) {
        out->total_ms += known(rows[i]->time_ms);
        out->total_ideal_ms += known(rows[i]->ideal_ms);
        out->total_count += rows[i]->count;
        if (i < out->count) continue;
        out->other_count += rows[i]->count;
        out->other_ms += known(rows[i]->time_ms);
        out->other_ideal_ms += known(rows[i]->ideal_ms);
        out->other_share += known(rows[i]->share);
    }
    if (out->in_order && out->count) qsort(rows, out->count, sizeof *rows, in_order);
    return out;
}
