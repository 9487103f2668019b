/* Which rows of a model are best. */
#include "cli/cli.h"

typedef double (*measure)(const render_row *row);

static double by_throughput(const render_row *row)
{
    return row->p.fits ? row->p.throughput : -1;
}

static double by_speed(const render_row *row)
{
    return row->p.fits && row->p.latency_ms > 0 ? 1 / row->p.latency_ms : -1;
}

static double by_watt(const render_row *row)
{
    return row->p.fits ? row->per_watt : -1;
}

static double by_cost(const render_row *row)
{
    return row->p.fits && row->cost.usd_per_million > 0 ? 1 / row->cost.usd_per_million : -1;
}

/* Of rows that can't be told apart by their figure the one that asks for less: the smaller batch, then the GPU that
 * draws less, then the better figure. */
static bool cheaper(const render_row *a, const render_row *b, measure figure)
{
    double x = a->gpu ? a->gpu->tdp_w : 0, y = b->gpu ? b->gpu->tdp_w : 0;
    if (a->p.batch != b->p.batch) return a->p.batch < b->p.batch;
    if (x > 0 && y > 0 && x != y) return x < y;
    return figure(a) > figure(b);
}

/* NULL when no row has the figure. Figures within 0.5 % of the highest are as good. */
static const render_row *best_of(const render_row *rows, size_t count, measure figure)
{
    const render_row *best = NULL;
    double highest = 0;
    for (size_t i = 0; i < count; i++)
        if (figure(&rows[i]) > highest) highest = figure(&rows[i]);
    for (size_t i = 0; i < count && highest > 0; i++)
        if (figure(&rows[i]) >= highest * 0.995 && (!best || cheaper(&rows[i], best, figure))) best = &rows[i];
    return best;
}

void cli_rank(render_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const pg_prediction *p = &rows[i].p;
        rows[i].per_watt = p->fits && p->power_w > 0 && p->throughput >= 0 ? p->throughput / p->power_w : -1;
    }
    const render_row *fastest = best_of(rows, count, by_throughput);
    const render_row *quickest = best_of(rows, count, by_speed);
    const render_row *thriftiest = best_of(rows, count, by_watt);
    const render_row *cheapest = best_of(rows, count, by_cost);
    for (size_t i = 0; i < count; i++) {
        rows[i].relative = fastest && rows[i].p.fits ? rows[i].p.throughput / fastest->p.throughput : -1;
        rows[i].best_throughput = &rows[i] == fastest;
        rows[i].best_latency = &rows[i] == quickest;
        rows[i].best_per_watt = &rows[i] == thriftiest;
        rows[i].best_cost = &rows[i] == cheapest;
    }
}

size_t cli_best(const render_row *rows, size_t count, render_best *best)
{
    static const struct {
        const char *by;
        measure figure;
    } figures[] = {
        {"throughput", by_throughput}, {"latency", by_speed}, {"throughput_per_watt", by_watt}, {"cost", by_cost}};
    size_t n = 0;
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        const render_row *row = best_of(rows, count, figures[i].figure);
        if (row) best[n++] = (render_best){figures[i].by, row};
    }
    for (size_t i = 0, end; i < count; i = end) {
        for (end = i + 1; end < count && rows[end].gpu == rows[i].gpu;) end++;
        const render_row *row = best_of(rows + i, end - i, by_throughput);
        if (row) best[n++] = (render_best){"batch", row};
    }
    return n;
}
