/* Fits the constants of src/cost on kernel measurements and writes data/cost_constants.toml.
 *
 * usage: fit_kernels KERNELS_FOLDER CONSTANTS.toml [OPTION VALUE ...]
 *   KERNELS_FOLDER  gemm/, context_attention/, generation_attention/, encoder_attention/ and fp32/, GPU__TABLE.csv.gz
 *          public specifications, one line for each GPU
 *   CONSTANTS.toml  start values; without --fit only the error table is printed; "-": the middle of the bounds
 *   --fit N         rounds of steps;   --loo N: the same with one GPU left out at a time
 *   --rows N        rows used of each group (GPU, kind, precision, table); the report uses every row
 *   --ridge X       pull towards the start values, which have physical reasons: X * sum of ((value - start) / range)^2
 *   --tables TEXT   only tables whose path contains TEXT
 *   --only TEXT     only groups whose "gpu kind table" contains TEXT;   --dump TEXT: print the rows of such groups
 *   --freeze TEXT   keep constants whose name TEXT contains;   --out FILE: the fitted constants
 * Deterministic: rows are thinned by a fixed stride and the optimiser (NLopt Sbplx) has no random part. */
#include "fit_rows.h"

#include <nlopt.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct options {
    const char *folder, *tables, *start, *out, *only, *dump, *freeze;
    int fit, loo;
    long thin;
    double ridge;
} options;

typedef struct problem {
    cost_constants c;
    int free[COST_CONSTANTS], count; /* which constants this block moves */
    const char *kinds;               /* which rows it looks at */
    int left_out;                    /* GPU */
    cost_constants start;
    double ridge;
    const char *only;
} problem;

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

static pg_catalog *catalog;

static predict_options options_of(bool device_time)
{
    return (predict_options){.device_time = device_time, .batch = 1, .family = FAMILY_TRANSFORMER};
}

static double row_predict(const predict_gpu *g, const fit_row *r)
{
    predict_options o = options_of(r->device_time);
    return predict_step(&r->plan, g, &catalog->config.predict, &o).seconds * 1e6;
}

static void gpus_init(predict_gpu *g, const cost_constants *c)
{
    predict_options o = options_of(true);
    for (int i = 0; i < fit_spec_count; i++) {
        predict_gpu_init(&g[i], fit_specs[i], c, &o);
    }
}

static bool listed(const char *list, const char *name)
{
    char word[80];
    snprintf(word, sizeof word, "%s ", name);
    const char *at = strstr(list, word);
    return at && (at == list || at[-1] == ' ');
}

static double loss(const problem *p)
{
    static predict_gpu g[FIT_MAX_GPUS];
    static bool use[FIT_MAX_GROUPS];
    double sum[FIT_MAX_GROUPS] = {0}, count[FIT_MAX_GROUPS] = {0}, total = 0, weight = 0;
    gpus_init(g, &p->c);
    for (int i = 0; i < fit_group_count; i++) {
        use[i] = listed(p->kinds, fit_groups[i].kind) && (p->left_out < 0 || !same_silicon(i, p->left_out)) &&
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
    problem *p = data;
    double pull = 0;
    (void)gradient;
    for (unsigned i = 0; i < n; i++) {
        const cost_constant_info *info = &cost_constant_table[p->free[i]];
        double range = info->upper - info->lower;
        double v = info->lower + x[i] * range, away = (v - *cost_constant_at(&p->start, p->free[i])) / range;
        *cost_constant_at(&p->c, p->free[i]) = v;
        pull += away * away;
    }
    return loss(p) + p->ridge * pull;
}

static double block_fit(problem *p, int evaluations)
{
    double x[COST_CONSTANTS], least = 0;
    for (int i = 0; i < p->count; i++) {
        const cost_constant_info *info = &cost_constant_table[p->free[i]];
        double v = (*cost_constant_at(&p->c, p->free[i]) - info->lower) / (info->upper - info->lower);
        x[i] = v < 0 ? 0 : v > 1 ? 1 : v;
    }
    nlopt_opt o = nlopt_create(NLOPT_LN_SBPLX, (unsigned)p->count);
    nlopt_set_lower_bounds1(o, 0);
    nlopt_set_upper_bounds1(o, 1);
    nlopt_set_initial_step1(o, 0.08);
    nlopt_set_min_objective(o, objective, p);
    nlopt_set_maxeval(o, evaluations);
    nlopt_set_ftol_rel(o, 1e-6);
    nlopt_optimize(o, x, &least);
    nlopt_destroy(o);
    objective((unsigned)p->count, x, NULL, p);
    return least;
}

/* Which constants are fitted on which kinds of rows; a name ends with a space. Those of unmeasured kernels (tensor-core
 * and depthwise convolutions, gathers, recurrent layers) are in none. */
static const struct step {
    const char *kinds, *names;
    int evaluations;
} steps[] = {
    {"gemm.bf16 vector.fp32 ",
     "launch.floor_us launch.floor_clocks memory.dram_share memory.ecc_share memory.l2_bytes memory.ramp_clocks "
     "memory.ramp_mb memory.l2_keep memory.l2_fade memory.overlap gemm.tensor_share gemm.load_bytes gemm.async_load "
     "gemm.k_clocks gemm.feed_clocks gemm.depth gemm.tile_clocks gemm.quantum gemm.async_quantum gemm.split_clocks "
     "power.tensor_pj ",
     4000},
    {"gemm.bf16 gemm.fp32 bmm.fp32 ",
     "power.vector_pj power.tensor_pj power.half_years power.clock_power power.static_w gemm.vector_share "
     "gemm.vector_tile gemm.vector_depth gemm.tensor_share ",
     1000},
    {"gemm.w4 gemm.w8 ", "gemm.unpack ", 60},
    {"ln.fp32 softmax.fp32 vector.fp32 ",
     "vector.rows_clocks vector.rows_share vector.row_clocks vector.warp_clocks vector.flop_share ", 300},
    {"conv.fp32 ", "conv.fused_share conv.transform_bytes ", 500},
    {"prefill.bf16 prefill.fp8 decode.bf16 encoder.bf16 short.bf16 ",
     "attention.tensor_share attention.exp_clock attention.start_clocks attention.quantum "
     "attention.prefill_us attention.decode_us attention.pull_bytes attention.split_kv ",
     1500},
    {"comm.allreduce comm.allgather comm.reducescatter comm.alltoall comm.send comm.own ",
     "comm.base_clocks comm.step_clocks comm.slice_clocks comm.two_dies comm.link_share comm.flag_share comm.partial "
     "comm.switch_share comm.pcie_share comm.host_power comm.kernel_clocks comm.barrier_clocks comm.read_share ",
     3000},
};

static void fit_all(problem *p, const options *o, int rounds)
{
    for (int round = 0; round < rounds; round++) {
        for (size_t s = 0; s < sizeof steps / sizeof steps[0]; s++) {
            p->count = 0;
            p->kinds = steps[s].kinds;
            for (int i = 0; i < COST_CONSTANTS; i++) {
                char name[64];
                snprintf(name, sizeof name, "%s.%s", cost_constant_table[i].table, cost_constant_table[i].name);
                if (listed(steps[s].names, name) && !(o->freeze && strstr(o->freeze, name))) {
                    p->free[p->count++] = i;
                }
            }
            if (p->count > 0 && loss(p) > 0) {
                double least = block_fit(p, steps[s].evaluations);
                fprintf(stderr, "round %d %s: mean |log| %.4f\n", round, steps[s].kinds, least);
            }
        }
    }
}

static int by_value(const void *a, const void *b)
{
    double d = *(const double *)a - *(const double *)b;
    return d < 0 ? -1 : d > 0;
}

static void report(const cost_constants *c, const char *only, int left_out)
{
    static predict_gpu g[FIT_MAX_GPUS];
    double *error = malloc((size_t)fit_row_count * sizeof *error);
    gpus_init(g, c);
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

static void dump(const cost_constants *c, const char *which)
{
    static predict_gpu g[FIT_MAX_GPUS];
    gpus_init(g, c);
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

/* ---- constants file: [table] and name = value lines ---- */

static bool constants_read(cost_constants *c, const char *path)
{
    for (int i = 0; i < COST_CONSTANTS; i++) {
        *cost_constant_at(c, i) = 0.5 * (cost_constant_table[i].lower + cost_constant_table[i].upper);
    }
    FILE *f = strcmp(path, "-") ? fopen(path, "r") : NULL;
    if (!f) {
        return !strcmp(path, "-");
    }
    char line[512], name[512] = "", head[512] = "";
    double value;
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, " [%511[^]]]", head) != 1 && sscanf(line, " %511[a-z0-9_] = %lf", name, &value) == 2) {
            for (int i = 0; i < COST_CONSTANTS; i++) {
                if (!strcmp(cost_constant_table[i].table, head) && !strcmp(cost_constant_table[i].name, name)) {
                    *cost_constant_at(c, i) = value;
                }
            }
        }
    }
    fclose(f);
    return true;
}

static bool constants_write(const cost_constants *c, const char *path)
{
    FILE *f = fopen(path, "w");
    if (!f) {
        return false;
    }
    fprintf(f,
            "# Constants of the kernel cost model (src/cost): the same for every GPU. Fitted by tools/fit_kernels.c;\n"
            "# docs/cost-model.md has the formulas, the measurements and the errors.\n");
    const char *head = "";
    for (int i = 0; i < COST_CONSTANTS; i++) {
        const cost_constant_info *info = &cost_constant_table[i];
        if (strcmp(head, info->table)) {
            fprintf(f, "\n[%s]\n", info->table);
        }
        head = info->table;
        fprintf(f, "%s = %.5g  # %s: %s\n", info->name, ((const double *)(const void *)c)[i], info->unit,
                info->meaning);
    }
    return fclose(f) == 0;
}

static bool arguments(int argc, char **argv, options *o)
{
    if (argc < 3) {
        return false;
    }
    o->folder = argv[1];
    o->start = argv[2];
    for (int i = 3; i + 1 < argc; i += 2) {
        const char *value = argv[i + 1];
        if (!strcmp(argv[i], "--fit")) {
            o->fit = atoi(value);
        } else if (!strcmp(argv[i], "--loo")) {
            o->loo = atoi(value);
        } else if (!strcmp(argv[i], "--rows")) {
            o->thin = atol(value);
        } else if (!strcmp(argv[i], "--ridge")) {
            o->ridge = strtod(value, NULL);
        } else if (!strcmp(argv[i], "--only")) {
            o->only = value;
        } else if (!strcmp(argv[i], "--tables")) {
            o->tables = value;
        } else if (!strcmp(argv[i], "--dump")) {
            o->dump = value;
        } else if (!strcmp(argv[i], "--freeze")) {
            o->freeze = value;
        } else if (!strcmp(argv[i], "--out")) {
            o->out = value;
        } else {
            return false;
        }
    }
    return o->thin > 0;
}

int main(int argc, char **argv)
{
    options o = {.only = "", .tables = "", .thin = 400, .ridge = 0.4};
    if (!arguments(argc, argv, &o)) {
        fprintf(stderr,
                "usage: fit_kernels KERNELS_FOLDER CONSTANTS.toml [--fit N] [--loo N] [--rows N] [--ridge X]\n"
                "                   [--tables TEXT] [--only TEXT] [--dump TEXT] [--freeze TEXT] [--out FILE]\n");
        return 2;
    }
    static problem p;
    pg_error e = PG_ERROR_INIT;
    if (pg_catalog_open(&catalog, &(pg_catalog_options){.no_user_files = true}, &e) || !constants_read(&p.c, o.start) ||
        !fit_rows_read(catalog, o.folder, o.tables, o.thin)) {
        fprintf(stderr, "fit_kernels: cannot read the inputs\n");
        return 1;
    }
    p.left_out = -1;
    p.only = o.only;
    p.ridge = o.ridge;
    p.start = p.c;
    fit_all(&p, &o, o.fit);
    cost_constants whole = p.c;
    if (o.out && !constants_write(&whole, o.out)) {
        fprintf(stderr, "fit_kernels: cannot write %s\n", o.out);
        return 1;
    }
    if (o.dump) {
        dump(&whole, o.dump);
        return 0;
    }
    report(&whole, o.only, -1);
    for (int i = 0; i < fit_group_count && o.loo > 0; i++) {
        bool first = true;
        for (int j = 0; j < i; j++) {
            first = first && !same_silicon(i, j);
        }
        if (first) {
            p.c = p.start;
            p.left_out = i;
            fit_all(&p, &o, o.loo);
            printf("left out: %s\n", fit_groups[i].gpu);
            report(&p.c, o.only, i);
        }
    }
    return 0;
}
