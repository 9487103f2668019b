/* Fits the constants of src/cost, and what runtimes make of them, on tables of kernel measurements.
 *
 * usage: fit_kernels KERNELS_FOLDER [OPTION VALUE ...]
 *   KERNELS_FOLDER  gemm/, context_attention/, generation_attention/, encoder_attention/ and fp32/, GPU__TABLE.csv.gz
 *   without options: the error table with the constants as they are shipped
 *   --fit N         rounds of the steps of data/fit.toml that name tables;   --loo N: the same with one GPU left out at a time,
 *                   always from the start values
 *   --from start    the fit begins at the start values (data/fit.toml, data/cost_constants.start) instead of what is shipped
 *   --rows N        rows used of each group (GPU, kind, precision, table); the report uses every row
 *   --tables TEXT   only tables whose path contains TEXT
 *   --only TEXT     only groups whose "gpu kind table" contains TEXT;   --dump TEXT: print the rows of such groups
 *   --step NAME     only this step;   --freeze NAMES: keep these constants, separated by commas
 *   --write FOLDER  writes the constants into FOLDER/cost_constants.toml and FOLDER/runtimes.toml
 * Deterministic: rows are thinned by a fixed stride and the optimiser (NLopt Sbplx) has no random part. */
#include <nlopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/fit.h"
#include "fit_rows.h"
#include "fit_write.h"

typedef struct options {
    const char *folder, *tables, *only, *dump, *freeze, *step, *write;
    int fit, loo;
    bool from_start;
    long thin;
} options;

typedef struct problem {
    const fit_step *step;
    fit_constant *free[FIT_CONSTANTS_MOST]; /* what this step moves */
    int count;
    int left_out; /* a group of the GPU; negative: none */
    const char *only;
} problem;

static pg_catalog *catalog;
static fit_steps steps;

static const char *group_name(const fit_group *g)
{
    static char name[96];
    snprintf(name, sizeof name, "%.31s %.23s %.31s", g->gpu, g->kind, g->origin);
    return name;
}

static bool same_silicon(int a, int b)
{
    /* Boards of one chip count as one GPU when it is left out. */
    return a == b || (!strncmp(fit_groups[a].gpu, "a100", 4) && !strncmp(fit_groups[b].gpu, "a100", 4)) ||
           (!strncmp(fit_groups[a].gpu, "h100", 4) && !strncmp(fit_groups[b].gpu, "h100", 4)) ||
           !strcmp(fit_groups[a].gpu, fit_groups[b].gpu);
}

static predict_options options_of(bool device_time)
{
    return (predict_options){.device_time = device_time, .batch = 1, .family = FAMILY_TRANSFORMER};
}

static double row_predict(const predict_gpu *g, const fit_row *r)
{
    predict_options o = options_of(r->device_time);
    return predict_step(&r->plan, g, &catalog->config.predict, &o).seconds * 1e6;
}

static void gpus_init(predict_gpu *g)
{
    static gpu_spec measured[FIT_MAX_GPUS];
    predict_options o = options_of(true);
    for (int i = 0; i < fit_spec_count; i++) {
        measured[i] = *fit_specs[i];
        /* the server whose L40S are in these tables let no board reach another */
        if (str_is(measured[i].key, "l40s")) measured[i].peer_access = false;
        predict_gpu_init(&g[i], &measured[i], &catalog->config.cost, &o);
    }
}

static bool listed(const char *const *list, const char *name)
{
    for (; list && *list; list++) {
        if (!strcmp(*list, name)) {
            return true;
        }
    }
    return false;
}

static double loss(const problem *p)
{
    static predict_gpu g[FIT_MAX_GPUS];
    static bool use[FIT_MAX_GROUPS];
    double sum[FIT_MAX_GROUPS] = {0}, count[FIT_MAX_GROUPS] = {0}, total = 0, weight = 0;
    gpus_init(g);
    for (int i = 0; i < fit_group_count; i++) {
        use[i] = listed(p->step->tables, fit_groups[i].kind) && (p->left_out < 0 || !same_silicon(i, p->left_out)) &&
                 strstr(group_name(&fit_groups[i]), p->only);
    }
    for (long i = 0; i < fit_row_count; i++) {
        const fit_row *r = &fit_rows[i];
        if (r->fit && use[r->group]) {
            sum[r->group] += fabs(log(row_predict(&g[r->gpu], r) / r->us));
            count[r->group]++;
        }
    }
    for (int i = 0; i < fit_group_count; i++) {
        if (count[i] > 0) {
            total += fit_groups[i].weight * sum[i] / count[i];
            weight += fit_groups[i].weight;
        }
    }
    return weight > 0 ? total / weight : 0;
}

static double objective(unsigned n, const double *x, double *gradient, void *data)
{
    const problem *p = data;
    double pull = 0;
    (void)gradient;
    for (unsigned i = 0; i < n; i++) {
        const fit_constant *c = p->free[i];
        double range = c->high - c->low, v = c->low + x[i] * range, away = (v - c->start) / range;
        *c->at = v;
        pull += away * away;
    }
    return loss(p) + p->step->pull * pull;
}

static double step_fit(problem *p)
{
    double x[FIT_CONSTANTS_MOST], least = 0;
    for (int i = 0; i < p->count; i++) {
        const fit_constant *c = p->free[i];
        double v = (*c->at - c->low) / (c->high - c->low);
        x[i] = v < 0 ? 0 : v > 1 ? 1 : v;
    }
    nlopt_opt o = nlopt_create(NLOPT_LN_SBPLX, (unsigned)p->count);
    nlopt_set_lower_bounds1(o, 0);
    nlopt_set_upper_bounds1(o, 1);
    nlopt_set_initial_step1(o, 0.08);
    nlopt_set_min_objective(o, objective, p);
    nlopt_set_maxeval(o, p->step->evaluations * p->count);
    nlopt_set_ftol_rel(o, 1e-6);
    nlopt_optimize(o, x, &least);
    nlopt_destroy(o);
    objective((unsigned)p->count, x, NULL, p);
    return least;
}

static bool is_frozen(const options *o, const char *name)
{
    size_t n = strlen(name);
    for (const char *at = o->freeze; at && (at = strstr(at, name)); at += n) {
        if ((at == o->freeze || at[-1] == ',') && (at[n] == ',' || !at[n])) {
            return true;
        }
    }
    return false;
}

static bool takes(const options *o, const fit_step *s)
{
    return s->tables && (!*o->step || !strcmp(s->name, o->step));
}

static void fit_all(problem *p, const options *o, int rounds)
{
    for (int round = 0; round < rounds; round++) {
        for (int s = 0; s < steps.count; s++) {
            p->step = &steps.list[s];
            p->count = 0;
            for (int i = 0; i < p->step->count && takes(o, p->step); i++) {
                if (!is_frozen(o, p->step->constants[i].name)) {
                    p->free[p->count++] = &p->step->constants[i];
                }
            }
            if (p->count > 0 && loss(p) > 0) {
                double least = step_fit(p);
                fprintf(stderr, "round %d %s: mean |log| %.4f\n", round, p->step->name, least);
            }
        }
    }
}

static void start_over(const options *o)
{
    for (int s = 0; s < steps.count; s++) {
        const fit_step *step = &steps.list[s];
        for (int i = 0; i < step->count && takes(o, step); i++) {
            if (!is_frozen(o, step->constants[i].name)) {
                *step->constants[i].at = step->constants[i].start;
            }
        }
    }
}

static int by_value(const void *a, const void *b)
{
    double d = *(const double *)a - *(const double *)b;
    return d < 0 ? -1 : d > 0;
}

static void report(const char *only, int left_out)
{
    static predict_gpu g[FIT_MAX_GPUS];
    double *error = malloc((size_t)fit_row_count * sizeof *error);
    gpus_init(g);
    for (int i = 0; i < fit_group_count && error; i++) {
        if (!strstr(group_name(&fit_groups[i]), only) || (left_out >= 0 && !same_silicon(i, left_out))) {
            continue;
        }
        double sum = 0, bias = 0;
        size_t n = 0;
        for (long j = 0; j < fit_row_count; j++) {
            if (fit_rows[j].group == i) {
                double ratio = row_predict(&g[fit_rows[j].gpu], &fit_rows[j]) / fit_rows[j].us;
                error[n++] = fabs(ratio - 1);
                sum += fabs(ratio - 1);
                bias += ratio - 1;
            }
        }
        qsort(error, n, sizeof *error, by_value);
        printf("%-40s n %6zu  mape %6.1f  median %6.1f  p90 %6.1f  bias %+6.1f\n", group_name(&fit_groups[i]), n,
               100 * sum / (double)n, 100 * error[n / 2], 100 * error[n * 9 / 10], 100 * bias / (double)n);
    }
    free(error);
}

static void dump(const char *which)
{
    static predict_gpu g[FIT_MAX_GPUS];
    gpus_init(g);
    for (long i = 0; i < fit_row_count; i++) {
        const fit_row *r = &fit_rows[i];
        if (strstr(group_name(&fit_groups[r->group]), which)) {
            predict_options o = options_of(r->device_time);
            kernel_cost k = predict_kernel(&r->plan, r->plan.n_kernels - 1, &g[r->gpu], &o);
            double us = row_predict(&g[r->gpu], r);
            printf("%-32s %-44s us %10.2f predicted %10.2f ratio %5.2f compute %10.2f memory %10.2f ideal %10.2f "
                   "limit %d launches %g\n",
                   group_name(&fit_groups[r->group]), r->text, r->us, us, us / r->us, k.compute_s * 1e6,
                   k.memory_s * 1e6, k.ideal_s * 1e6, (int)k.limit, k.launches);
        }
    }
}

static bool argument(options *o, const char *name, const char *value)
{
    if (!strcmp(name, "--fit")) {
        o->fit = atoi(value);
    } else if (!strcmp(name, "--loo")) {
        o->loo = atoi(value);
    } else if (!strcmp(name, "--rows")) {
        o->thin = atol(value);
    } else if (!strcmp(name, "--from") && !strcmp(value, "start")) {
        o->from_start = true;
    } else if (!strcmp(name, "--only")) {
        o->only = value;
    } else if (!strcmp(name, "--tables")) {
        o->tables = value;
    } else if (!strcmp(name, "--dump")) {
        o->dump = value;
    } else if (!strcmp(name, "--step")) {
        o->step = value;
    } else if (!strcmp(name, "--freeze")) {
        o->freeze = value;
    } else if (!strcmp(name, "--write")) {
        o->write = value;
    } else {
        return false;
    }
    return true;
}

static bool arguments(int argc, char **argv, options *o)
{
    bool ok = argc >= 2 && argc % 2 == 0;
    for (int i = 2; ok && i < argc; i += 2) {
        ok = argument(o, argv[i], argv[i + 1]);
    }
    o->folder = ok ? argv[1] : "";
    return ok && o->thin > 0;
}

static void leave_out_each(problem *p, const options *o)
{
    for (int i = 0; i < fit_group_count && o->loo > 0; i++) {
        bool first = true;
        for (int j = 0; j < i; j++) {
            first = first && !same_silicon(i, j);
        }
        if (first) {
            start_over(o);
            p->left_out = i;
            fit_all(p, o, o->loo);
            printf("left out: %s\n", fit_groups[i].gpu);
            report(o->only, i);
        }
    }
}

int main(int argc, char **argv)
{
    options o = {.only = "", .tables = "", .step = "", .thin = 400};
    if (!arguments(argc, argv, &o)) {
        fprintf(stderr,
                "usage: fit_kernels KERNELS_FOLDER [--fit N] [--loo N] [--from start] [--rows N] [--tables TEXT]\n"
                "                   [--only TEXT] [--dump TEXT] [--step NAME] [--freeze NAMES] [--write FOLDER]\n");
        return 2;
    }
    pg_error e = PG_ERROR_INIT;
    arena a;
    arena_init(&a, api_allocator(NULL), 0);
    if (pg_catalog_open(&catalog, &(pg_catalog_options){.no_user_files = true}, &e) ||
        fit_steps_read(&steps, catalog, &a, &e) || !fit_rows_read(catalog, o.folder, o.tables, o.thin)) {
        fprintf(stderr, "fit_kernels: cannot read the inputs: %s\n", e.text);
        return 1;
    }
    problem p = {.left_out = -1, .only = o.only};
    if (o.from_start) {
        start_over(&o);
    }
    fit_all(&p, &o, o.fit);
    for (int s = 0; s < steps.count && o.write; s++) {
        if (takes(&o, &steps.list[s]) && !fit_write(catalog, steps.list[s].constants, steps.list[s].count, o.write)) {
            fprintf(stderr, "fit_kernels: cannot write into %s\n", o.write);
            return 1;
        }
    }
    if (o.dump) {
        dump(o.dump);
    } else {
        report(o.only, -1);
        leave_out_each(&p, &o);
    }
    pg_catalog_free(catalog);
    arena_free(&a);
    return 0;
}
