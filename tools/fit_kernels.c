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
 *   --step TEXT     only steps that move a constant whose name contains TEXT, from what is shipped
 *   --freeze TEXT   keep constants whose name TEXT contains;   --out FILE: the fitted constants
 *   --runtimes FILE the runtimes.toml whose fitted figures are replaced
 * Deterministic: rows are thinned by a fixed stride and the optimiser (NLopt Sbplx) has no random part. */
#include "fit_rows.h"

#include <nlopt.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct options {
    const char *folder, *tables, *start, *out, *runtimes, *only, *dump, *freeze, *step;
    int fit, loo;
    long thin;
    double ridge;
} options;

/* Constants of runtimes.toml that kernel tables show, with where their fit starts. What a lone product or convolution waits for the
 * host is bounded by what their smallest rows took; else it would make up for kernels that are predicted too fast. */
static const struct extra {
    const char *runtime, *name;
    size_t at;
    double lower, upper, start;
} extras[] = {
#define EXTRA(runtime, name, lower, upper, start)                            \
    {                                                                        \
        runtime, #name, offsetof(runtime_profile, name), lower, upper, start \
    }
    EXTRA("pytorch", lone_unary_us, 1, 200, 32),    EXTRA("pytorch", lone_binary_us, 1, 200, 28),
    EXTRA("pytorch", lone_softmax_us, 1, 200, 34),  EXTRA("pytorch", lone_norm_us, 1, 200, 48),
    EXTRA("pytorch", lone_gemm_us, 1, 60, 57),      EXTRA("pytorch", lone_bmm_us, 1, 40, 35),
    EXTRA("pytorch", lone_conv_us, 1, 90, 65),      EXTRA("pytorch", lone_launch_us, 0, 30, 16),
    EXTRA("pytorch", lone_first, 0, 1, 0.45),       EXTRA("vllm", fp8_speed, 0.5, 2, 0.9),
    EXTRA("vllm", fp4_speed, 0.5, 2, 0.9),          EXTRA("tensorrt-llm", fp8_speed, 0.5, 2, 1),
    EXTRA("tensorrt-llm", fp4_speed, 0.5, 2, 0.9),  EXTRA("vllm", attention_speed, 0.5, 2, 1.1),
    EXTRA("vllm", decode_speed, 0.5, 2, 1),         EXTRA("tensorrt-llm", attention_speed, 0.5, 2, 0.9),
    EXTRA("tensorrt-llm", decode_speed, 0.5, 2, 1),
#undef EXTRA
};

enum { EXTRAS = sizeof extras / sizeof extras[0], CONSTANTS = COST_CONSTANTS + EXTRAS };

typedef struct values {
    double v[CONSTANTS]; /* cost_constants, then extras */
} values;

typedef struct problem {
    values c, start;
    int free[CONSTANTS], count; /* which constants this block moves */
    const char *kinds;          /* which rows it looks at */
    int left_out;               /* GPU */
    double ridge;
    const char *only;
} problem;

static double lower_of(int i)
{
    return i < COST_CONSTANTS ? cost_constant_table[i].lower : extras[i - COST_CONSTANTS].lower;
}

static double upper_of(int i)
{
    return i < COST_CONSTANTS ? cost_constant_table[i].upper : extras[i - COST_CONSTANTS].upper;
}

static const char *name_of(int i)
{
    static char name[80];
    if (i < COST_CONSTANTS) {
        snprintf(name, sizeof name, "%s.%s", cost_constant_table[i].table, cost_constant_table[i].name);
    } else {
        snprintf(name, sizeof name, "%s.%s", extras[i - COST_CONSTANTS].runtime, extras[i - COST_CONSTANTS].name);
    }
    return name;
}

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

static void gpus_init(predict_gpu *g, const values *v)
{
    static cost_constants c;
    predict_options o = options_of(true);
    for (int i = 0; i < COST_CONSTANTS; i++) {
        *cost_constant_at(&c, i) = v->v[i];
    }
    for (int i = 0; i < EXTRAS; i++) {
        for (uint32_t r = 0; r < catalog->config.n_runtimes; r++) {
            if (str_is(catalog->config.runtimes[r].key, extras[i].runtime)) {
                *(double *)(void *)((char *)&catalog->config.runtimes[r] + extras[i].at) = v->v[COST_CONSTANTS + i];
            }
        }
    }
    for (int i = 0; i < fit_spec_count; i++) {
        predict_gpu_init(&g[i], fit_specs[i], &c, &o);
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
        int k = p->free[i];
        double range = upper_of(k) - lower_of(k);
        double v = lower_of(k) + x[i] * range, away = (v - p->start.v[k]) / range;
        p->c.v[k] = v;
        pull += away * away;
    }
    return loss(p) + p->ridge * pull;
}

static double block_fit(problem *p, int evaluations)
{
    double x[CONSTANTS], least = 0;
    for (int i = 0; i < p->count; i++) {
        int k = p->free[i];
        double v = (p->c.v[k] - lower_of(k)) / (upper_of(k) - lower_of(k));
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
    double ridge; /* relative to --ridge */
} steps[] = {
    {"gemm.bf16 gemm.fp16 ",
     "launch.floor_us launch.floor_clocks memory.dram_share memory.ecc_share memory.l2_bytes memory.ramp_clocks "
     "memory.ramp_mb memory.l2_keep memory.l2_fade memory.overlap gemm.tensor_share gemm.load_bytes gemm.wide_load gemm.async_load "
     "gemm.k_clocks gemm.feed_clocks gemm.depth gemm.tile_clocks gemm.quantum gemm.async_quantum gemm.split_clocks "
     "power.tensor_pj ",
     4000, 1},
    {"gemm.bf16 gemm.fp16 gemm.fp32 bmm.fp32 ",
     "power.vector_pj power.tensor_pj power.half_years power.tensor_half_years power.clock_power power.droop power.static_w gemm.vector_share "
     "gemm.vector_depth gemm.vector_quantum gemm.vector_alone gemm.tensor_share ",
     1000, 1},
    {"gemm.w4 gemm.w8 ", "gemm.unpack ", 60, 1},
    {"gemm.fp8-block ", "gemm.scale gemm.scale_clocks gemm.async_scale ", 300, 0.1},
    {"gemm.fp8 gemm.fp4 ",
     "vector.scan_clocks vector.turn_clocks vllm.fp8_speed vllm.fp4_speed tensorrt-llm.fp8_speed tensorrt-llm.fp4_speed ",
     100, 0},
    {"layernorm.fp32 softmax.fp32 vector.fp32 ",
     "vector.rows_clocks vector.rows_share vector.warp_share vector.row_clocks vector.warp_clocks vector.flop_share memory.gp100_share "
     "pytorch.lone_unary_us pytorch.lone_binary_us pytorch.lone_softmax_us pytorch.lone_norm_us pytorch.lone_first ",
     3000, 0.1},
    {"gemm.fp32 bmm.fp32 conv.fp32 ",
     "pytorch.lone_gemm_us pytorch.lone_bmm_us pytorch.lone_conv_us pytorch.lone_launch_us ", 200, 0},
    {"conv.fp32 ", "conv.fused_share conv.transform_bytes conv.filter_bytes ", 500, 0.1},
    {"prefill.bf16 prefill.fp8 decode.bf16 encoder.bf16 short.bf16 ",
     "attention.tensor_share attention.async_share attention.decode_tile_us attention.persistent attention.single_head attention.group_us attention.around_clocks attention.exp_clock attention.part_us attention.unfit attention.start_clocks attention.quantum "
     "attention.prefill_us attention.decode_us attention.pull_bytes attention.split_kv "
     "vllm.attention_speed vllm.decode_speed tensorrt-llm.attention_speed tensorrt-llm.decode_speed ",
     1500, 1},
    {"comm.allreduce comm.allgather comm.reducescatter comm.alltoall comm.send comm.own ",
     "comm.base_clocks comm.step_clocks comm.slice_clocks comm.two_dies comm.link_share comm.flag_share comm.partial "
     "comm.switch_share comm.pcie_share comm.host_power comm.kernel_clocks comm.barrier_clocks comm.read_share ",
     3000, 1},
};

static void fit_all(problem *p, const options *o, int rounds)
{
    for (int round = 0; round < rounds; round++) {
        for (size_t s = 0; s < sizeof steps / sizeof steps[0]; s++) {
            if (!strstr(steps[s].names, o->step)) continue;
            p->count = 0;
            p->kinds = steps[s].kinds;
            p->ridge = o->ridge * steps[s].ridge;
            for (int i = 0; i < CONSTANTS; i++) {
                const char *name = name_of(i);
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

static void report(const values *c, const char *only, int left_out)
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

static void dump(const values *c, const char *which)
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

static bool constants_read(values *c, const char *path)
{
    for (int i = 0; i < COST_CONSTANTS; i++) {
        c->v[i] = 0.5 * (cost_constant_table[i].lower + cost_constant_table[i].upper);
    }
    for (int i = 0; i < EXTRAS; i++) {
        c->v[COST_CONSTANTS + i] = extras[i].start;
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
                    c->v[i] = value;
                }
            }
        }
    }
    fclose(f);
    return true;
}

static bool constants_write(const values *c, const char *path)
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
        fprintf(f, "%s = %.5g  # %s: %s\n", info->name, c->v[i], info->unit, info->meaning);
    }
    return fclose(f) == 0;
}

/* Replaces the numbers behind "name =" in the tables of runtimes.toml, keeping everything else of the file. */
static bool runtimes_write(const values *c, const char *path)
{
    char temporary[4200], line[1024], current[128] = "", table[128];
    snprintf(temporary, sizeof temporary, "%s.new", path);
    FILE *in = fopen(path, "r"), *out = in ? fopen(temporary, "w") : NULL;
    if (!out) {
        return false;
    }
    while (fgets(line, sizeof line, in)) {
        sscanf(line, "[%127[^]]", current);
        int found = -1;
        for (int i = 0; i < EXTRAS; i++) {
            size_t length = strlen(extras[i].name);
            snprintf(table, sizeof table, "runtimes.%s", extras[i].runtime);
            if (!strcmp(current, table) && !strncmp(line, extras[i].name, length) && line[length] == ' ') {
                found = i;
            }
        }
        if (found < 0) {
            fputs(line, out);
        } else {
            fprintf(out, "%s = %.5g\n", extras[found].name, c->v[COST_CONSTANTS + found]);
        }
    }
    fclose(in);
    return fclose(out) == 0 && rename(temporary, path) == 0;
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
        } else if (!strcmp(argv[i], "--step")) {
            o->step = value;
        } else if (!strcmp(argv[i], "--out")) {
            o->out = value;
        } else if (!strcmp(argv[i], "--runtimes")) {
            o->runtimes = value;
        } else {
            return false;
        }
    }
    return o->thin > 0;
}

int main(int argc, char **argv)
{
    options o = {.only = "", .tables = "", .step = "", .thin = 400, .ridge = 0.4};
    if (!arguments(argc, argv, &o)) {
        fprintf(
            stderr,
            "usage: fit_kernels KERNELS_FOLDER CONSTANTS.toml [--fit N] [--loo N] [--rows N] [--ridge X]\n"
            "                   [--tables TEXT] [--only TEXT] [--dump TEXT] [--freeze TEXT] [--out FILE] [--runtimes FILE]\n");
        return 2;
    }
    static problem p;
    pg_error e = PG_ERROR_INIT;
    if (pg_catalog_open(&catalog, &(pg_catalog_options){.no_user_files = true}, &e) || !constants_read(&p.c, o.start) ||
        !fit_rows_read(catalog, o.folder, o.tables, o.thin)) {
        fprintf(stderr, "fit_kernels: cannot read the inputs\n");
        return 1;
    }
    for (int i = 0; i < EXTRAS && (!o.fit || *o.step); i++) { /* the other constants as they are shipped */
        for (uint32_t r = 0; r < catalog->config.n_runtimes; r++) {
            if (str_is(catalog->config.runtimes[r].key, extras[i].runtime)) {
                p.c.v[COST_CONSTANTS + i] = *(const double *)(const void *)((const char *)&catalog->config.runtimes[r] +
                                                                            extras[i].at);
            }
        }
    }
    p.left_out = -1;
    p.only = o.only;
    p.start = p.c;
    fit_all(&p, &o, o.fit);
    values whole = p.c;
    if (o.out && !constants_write(&whole, o.out)) {
        fprintf(stderr, "fit_kernels: cannot write %s\n", o.out);
        return 1;
    }
    if (o.runtimes && !runtimes_write(&whole, o.runtimes)) {
        fprintf(stderr, "fit_kernels: cannot write %s\n", o.runtimes);
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
