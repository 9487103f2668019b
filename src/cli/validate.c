#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "bench/builtin.h"
#include "bench/split.h"
#include "cli/cli.h"
#include "render/validation.h"

enum { SPLIT_ROWS_MOST = 40000 };

/* What is opened for one run, so that one place closes it. */
typedef struct session {
    bench_rows rows;
    size_t own_rows; /* those behind them are only fitted on */
    bench *b;
    bench_point *points;
    size_t count;
    bench_summary summary;
    render_fold *folds;
    size_t fold_count;
} session;

static int read_rows(cli *c, session *s)
{
    pg_error e = PG_ERROR_INIT;
    for (size_t i = 0; i < c->args.files.count; i++)
        if (bench_read(&s->rows, c->args.files.items[i], &e) != PG_E_OK) return cli_error(&e, c->args.files.items[i]);
    if (c->args.files.count && !s->rows.count)
        return cli_fail("%s: holds no rows; nothing can be validated", c->args.files.items[0]);
    s->own_rows = s->rows.count;
    /* What a file is fitted on beside itself. Models have other names in other files, so that only a split by GPU, which is the
     * same everywhere, can take them too, and so can one by generation. */
    bool beside = c->args.split && s->own_rows,
         kernels_only = beside && (!strcmp(c->args.split, "family") || !strcmp(c->args.split, "random"));
    if ((!s->own_rows || beside) && bench_read_builtin(&s->rows, kernels_only, &e) != PG_E_OK)
        return cli_error(&e, NULL);
    if (!s->own_rows) s->own_rows = s->rows.count;
    if (c->args.split && s->rows.count > SPLIT_ROWS_MOST)
        return cli_fail("--split: %zu rows are more than the %d that fits are made for; take a sample", s->own_rows,
                        SPLIT_ROWS_MOST);
    return EXIT_OK;
}

static bool is_wanted(const cli *c, const pg_gpu *gpu)
{
    const cli_list *names = &c->args.gpus;
    for (size_t i = 0; i < names->count; i++)
        if (gpu && pg_catalog_find(c->catalog, names->items[i], NULL) == gpu) return true;
    return !names->count;
}

static int predict(cli *c, session *s)
{
    pg_error e = PG_ERROR_INIT;
    /* rows of all GPUs: splits are fitted on the others, and the scalars need their measurements */
    bench_options o = {.fast_mode = c->args.fast_mode, .keep = c->args.split != NULL};
    for (size_t i = 0; i < c->args.gpus.count; i++)
        if (!pg_catalog_find(c->catalog, c->args.gpus.items[i], &e)) return cli_error(&e, "--gpu");
    if (bench_open(&s->b, &s->rows, c->catalog, &o, &e) != PG_E_OK) return cli_error(&e, NULL);
    s->points = bench_points(s->b, &s->count);
    return EXIT_OK;
}

/* On a terminal and past half a second only; \r takes the line back. */
static void show_progress(void *ud, const char *fold, int done, int of)
{
    const double *start = ud;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (!isatty(STDERR_FILENO) || (double)now.tv_sec + 1e-9 * (double)now.tv_nsec - *start < 0.5) return;
    fprintf(stderr, "\rfitting without %.40s: %d of %d \033[K", fold, done + 1, of);
    if (done + 1 >= of) fprintf(stderr, "\r\033[K");
}

static int run_split(cli *c, session *s, const bool *test)
{
    pg_error e = PG_ERROR_INIT;
    split_fold *folds;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    double start = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
    split_options o = {.kind = !strcmp(c->args.split, "gpu")        ? SPLIT_GPU
                             : !strcmp(c->args.split, "generation") ? SPLIT_GENERATION
                             : !strcmp(c->args.split, "family")     ? SPLIT_FAMILY
                                                                    : SPLIT_RANDOM,
                       .test = test,
                       .progress = show_progress,
                       .ud = &start};
    if (split_run(&folds, &s->fold_count, s->b, c->catalog, &o, &c->memory, &e) != PG_E_OK)
        return cli_error(&e, "--split");
    s->folds = ARENA_ARRAY(&c->memory, render_fold, s->fold_count + 1);
    if (!s->folds) return cli_fail("out of memory");
    for (size_t i = 0; i < s->fold_count; i++)
        s->folds[i] = (render_fold){folds[i].name, folds[i].points, folds[i].fitted_on, folds[i].stats};
    return EXIT_OK;
}

/* Predicts what a split leaves out, and keeps only the rows that were asked for. */
static int split(cli *c, session *s)
{
    bool *test = ARENA_ARRAY(&c->memory, bool, s->count + 1);
    if (!test) return cli_fail("out of memory");
    for (size_t i = 0; i < s->count; i++) test[i] = i < s->own_rows && is_wanted(c, s->points[i].gpu);
    int status = c->args.split ? run_split(c, s, test) : EXIT_OK;
    size_t n = 0;
    for (size_t i = 0; i < s->count && status == EXIT_OK; i++)
        if (test[i]) s->points[n++] = s->points[i];
    if (status == EXIT_OK) s->count = n;
    if (status == EXIT_OK && !n) return cli_fail("no row is of the GPUs that --gpu names");
    return status;
}

static int baselines(session *s)
{
    pg_error e = PG_ERROR_INIT;
    return bench_scalars(s->points, s->count, cli_allocator, &e) == PG_E_OK ? EXIT_OK : cli_error(&e, NULL);
}

static int summarize(cli *c, session *s)
{
    pg_error e = PG_ERROR_INIT;
    return bench_summarize(&s->summary, s->points, s->count, &c->memory, &e) == PG_E_OK ? EXIT_OK : cli_error(&e, NULL);
}

/* 0: not asked for. */
static double max_error(const cli *c)
{
    const cli_reals *r = &c->args.max_error;
    return r->count ? r->items[r->count - 1] : 0;
}

static int show(cli *c, session *s)
{
    char title[160];
    render_validation v = {.files = c->args.files.items,
                           .file_count = c->args.files.count,
                           .points = s->points,
                           .point_count = s->count,
                           .summary = &s->summary,
                           .split = c->args.split,
                           .folds = s->folds,
                           .fold_count = s->fold_count,
                           .verbose = c->args.verbose,
                           .fast_mode = c->args.fast_mode,
                           .warnings = cli_warnings(c)};
    render_validation_report(&c->report, &v);
    if (c->args.plot) {
        const char *what = !c->args.files.count     ? "Built-in points"
                         : c->args.files.count == 1 ? c->args.files.items[0]
                                                    : "Benchmark files";
        format_text(title, sizeof title, "%s%s%s", what, c->args.split ? ", held out by " : "",
                    c->args.split ? c->args.split : "");
        render_plot(&c->trace, s->points, s->count, title);
    }
    return cli_finish_output(c);
}

/* After the report: what it shows explains a failure. */
static int check(const cli *c, const session *s)
{
    double most = max_error(c), mape = s->summary.all.ours.mape;
    if (most <= 0) return EXIT_OK;
    if (mape < 0) {
        cli_fail("--max-error: no point could be predicted");
        return EXIT_CHECK;
    }
    if (100 * mape <= most) return EXIT_OK;
    cli_fail("--max-error: the mean error is %.2f %%, more than %g %%", 100 * mape, most);
    return EXIT_CHECK;
}

static int run(cli *c)
{
    session s = {.b = NULL};
    bench_rows_init(&s.rows, cli_allocator);
    int status = cli_begin_output(c);
    if (status == EXIT_OK) status = cli_open_catalog(c);
    if (status == EXIT_OK) status = read_rows(c, &s);
    if (status == EXIT_OK) status = predict(c, &s);
    if (status == EXIT_OK) status = baselines(&s);
    if (status == EXIT_OK) status = split(c, &s);
    if (status == EXIT_OK) status = summarize(c, &s);
    if (status == EXIT_OK) status = show(c, &s);
    if (status == EXIT_OK) status = check(c, &s);
    bench_free(s.b);
    bench_rows_free(&s.rows);
    return status;
}

static const char *const splits[] = {"gpu", "generation", "family", "random", NULL};

#define AT(member) offsetof(cli_args, member)

static const option options[] = {
    {"benchmark-data", 0, "FILE", OPTION_FILES, AT(files), 0, 0, NULL,
     "A file of measurements (docs/validation.md); may be given several times. Without it: the built-in points."},
    {"gpu", 'g', "G,...", OPTION_GPUS, AT(gpus), 0, 0, NULL, "Only rows of these GPUs."},
    {"split", 0, "BY", OPTION_CHOICE, AT(split), 0, 0, splits,
     "Fits the constants again without each GPU (gpu), each generation of GPUs (generation) or each fifth of the model "
     "families (family), and predicts what was left out. random: without a fifth of the rows, which is optimistic."},
    {"max-error", 0, "P", OPTION_REALS, AT(max_error), 0, 10000, NULL,
     "Exit status 3 when the mean error is more than P percent."},
    {"verbose", 'v', NULL, OPTION_FLAG, AT(verbose), 0, 0, NULL,
     "Every point with its source, every group, every fold."},
    {"plot", 0, "FILE", OPTION_FILE, AT(plot), 0, 0, NULL, "Writes predicted against measured as an SVG image."},
};
static const option hardware_options[] = {
    {"fast-mode", 0, NULL, OPTION_FLAG, AT(fast_mode), 0, 0, NULL, "Validates the plain roofline instead."},
    {"hardware-profiles", 0, "FILE", OPTION_FILE, AT(profiles), 0, 0, NULL,
     "GPUs of your own: a TOML file that goes before all others."},
};
static const option_group group_what = GROUP("What is checked", options);
static const option_group group_how = GROUP("Hardware", hardware_options);
static const option_group *const groups[] = {&group_what, &group_how, &group_output, NULL};
static const char *const examples[] = {
    "validate",
    "How far off predictions are, against the built-in measurements.",
    "validate --split gpu",
    "The same for each GPU as if nobody had measured it.",
    "validate --benchmark-data mine.json --gpu rtx4090 --verbose --plot mine.svg",
    "Your own measurements, row by row, and a plot.",
    "validate --benchmark-data mine.json --max-error 15",
    "For scripts: exit status 3 when the mean error is over 15 %.",
    NULL,
};

const command command_validate = {
    .name = "validate",
    .summary = "Predictions against measurements.",
    .text =
        "Predicts every row of a benchmark file and shows how far off the predictions are, by GPU, runtime, precision, batch "
        "and model family, beside two baselines: the plain roofline, and the same model's measurement on another GPU times "
        "one factor for the pair of GPUs. A row that can't be predicted is skipped, with the reason. Nothing is learned from the "
        "rows, unless --split asks for constants that are fitted on some rows and tried on the others.",
    .groups = groups,
    .examples = examples,
    .run = run,
};
