/* compare-models --pareto: every number of requests on every number of GPUs that share the model, and which of them are worth it. */
#include <stdlib.h>

#include "cli/cli.h"

enum { TENSORS = 4, REQUESTS = 10 };

/* By GPU in the order asked for, then by what a user gets. */
static int by_user(const void *a, const void *b)
{
    const render_point *x = a, *y = b;
    if (x->per_user != y->per_user) return x->per_user < y->per_user ? -1 : 1;
    return x->per_gpu < y->per_gpu ? -1 : x->per_gpu > y->per_gpu;
}

/* The points of one GPU, sorted: from the right those that make more than all beyond them. */
static void mark_front(render_point *points, size_t count)
{
    double most = 0;
    for (size_t i = count; i-- > 0;) {
        points[i].front = points[i].per_gpu > most;
        if (points[i].front) most = points[i].per_gpu;
    }
}

static void add_points(pg_plan *plan, const pg_gpu *gpu, int tensor, int64_t requests, render_point *points,
                       size_t *count)
{
    pg_prediction p;
    if (pg_plan_predict(plan, gpu, &p, NULL) != PG_E_OK || !p.fits || !(p.tpot_ms > 0)) return;
    if (p.most_batch < (double)requests) return; /* the others would wait for memory */
    points[(*count)++] = (render_point){.gpu = gpu,
                                        .tensor = tensor,
                                        .requests = requests,
                                        .per_user = 1e3 / p.tpot_ms,
                                        .per_gpu = p.tokens_per_s / p.gpu_count,
                                        .ttft_ms = p.ttft_ms,
                                        .tpot_ms = p.tpot_ms};
}

/* Degrees that don't divide the model are passed over; whatever else is wrong is said. */
static int all_points(cli *c, const pg_model *model, const pg_gpu *const *gpus, size_t gpu_count, render_point *points,
                      size_t *counts, int64_t *lengths)
{
    int found = 0;
    pg_error first = PG_ERROR_INIT;
    for (int t = 0; t < TENSORS; t++) {
        for (int n = 0; n < REQUESTS; n++) {
            pg_error e = PG_ERROR_INIT;
            pg_plan *plan = NULL;
            pg_request r = cli_request(c, pg_model_describe(model), 0);
            r.task = PG_TASK_SERVING;
            r.model_gpus = 1 << t;
            r.tensor_parallel = r.pipeline_parallel = 0;
            r.gpu_count = 0;
            r.concurrency = (int64_t)1 << n;
            r.request_rate = r.target_ttft_ms = r.target_tpot_ms = 0;
            r.precision = c->args.precisions.count ? c->args.precisions.items[0] : NULL;
            r.runtime = c->args.runtimes.count ? c->args.runtimes.items[0] : NULL;
            if (pg_plan_open(&plan, model, c->catalog, &r, &e) != PG_E_OK) {
                if (!first.code) first = e;
                break;
            }
            pg_prediction p;
            if (!found && pg_plan_predict(plan, gpus[0], &p, NULL) == PG_E_OK)
                lengths[0] = p.input_len, lengths[1] = p.output_len;
            found++;
            for (size_t g = 0; g < gpu_count; g++)
                add_points(plan, gpus[g], 1 << t, r.concurrency, points + g * TENSORS * REQUESTS, &counts[g]);
            pg_plan_free(plan);
        }
    }
    return found ? EXIT_OK : cli_error(&first, pg_model_describe(model)->name);
}

int cli_pareto(cli *c, const char *name, const pg_gpu *const *gpus, size_t gpu_count)
{
    pg_model *model = NULL;
    int status = cli_open_model(c, &model, name, false);
    if (status != EXIT_OK) return status;
    render_point *points = ARENA_ARRAY(&c->memory, render_point, gpu_count * TENSORS * REQUESTS);
    size_t *counts = ARENA_ARRAY(&c->memory, size_t, gpu_count), n = 0;
    int64_t lengths[2] = {0, 0};
    status = points && counts ? all_points(c, model, gpus, gpu_count, points, counts, lengths)
                              : cli_fail("out of memory");
    for (size_t g = 0; g < gpu_count && status == EXIT_OK; g++) {
        render_point *own = points + g * TENSORS * REQUESTS;
        if (counts[g]) qsort(own, counts[g], sizeof *own, by_user);
        mark_front(own, counts[g]);
        memmove(points + n, own, counts[g] * sizeof *own);
        n += counts[g];
    }
    if (status == EXIT_OK && !n)
        status = cli_fail("%s fits on none of these GPUs, on up to 8 of them", pg_model_describe(model)->name);
    if (status == EXIT_OK) {
        render_pareto p = {pg_model_describe(model)->name, lengths[0], lengths[1], points, n, cli_warnings(c)};
        render_pareto_report(&c->report, &p);
        if (c->args.plot) render_pareto_svg(&c->trace, &p);
        status = cli_finish_output(c);
    }
    pg_model_free(model);
    return status;
}
