#include "bench/stats.h"
#include "cli/cli.h"
#include "render/validation.h"

/* What is opened for one run, so that one place closes it. */
typedef struct session {
    bench_rows rows;
    bench *b;
    bench_point *points;
    size_t count;
    bench_summary summary;
} session;

static int read_files(cli *c, session *s)
{
    pg_error e = PG_ERROR_INIT;
    if (!c->args.files.count) return cli_usage(c->command, "--benchmark-data is needed");
    for (size_t i = 0; i < c->args.files.count; i++)
        if (bench_read(&s->rows, c->args.files.items[i], &e) != PG_E_OK) return cli_error(&e, c->args.files.items[i]);
    if (!s->rows.count) return cli_fail("%s: holds no rows; nothing can be validated", c->args.files.items[0]);
    return EXIT_OK;
}

static int predict(cli *c, session *s)
{
    pg_error e = PG_ERROR_INIT;
    bench_options o = {.gpus = c->args.gpus.items, .gpu_count = c->args.gpus.count, .fast_mode = c->args.fast_mode};
    if (bench_open(&s->b, &s->rows, c->catalog, &o, &e) != PG_E_OK)
        return cli_error(&e, e.code == PG_E_NOT_FOUND ? "--gpu" : NULL);
    s->points = bench_points(s->b, &s->count);
    if (!s->count) return cli_fail("no row is of the GPUs that --gpu names");
    if (bench_scalars(s->points, s->count, cli_allocator, &e) != PG_E_OK) return cli_error(&e, NULL);
    return EXIT_OK;
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
                           .verbose = c->args.verbose,
                           .fast_mode = c->args.fast_mode,
                           .warnings = cli_warnings(c)};
    render_validation_report(&c->report, &v);
    if (c->args.plot) {
        double mape = s->summary.all.ours.mape;
        format_text(title, sizeof title, "%zu points, mean error %.1f %%", s->summary.all.ours.count,
                    mape < 0 ? 0 : 100 * mape);
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
    if (status == EXIT_OK) status = read_files(c, &s);
    if (status == EXIT_OK) status = predict(c, &s);
    if (status == EXIT_OK) status = summarize(c, &s);
    if (status == EXIT_OK) status = show(c, &s);
    if (status == EXIT_OK) status = check(c, &s);
    bench_free(s.b);
    bench_rows_free(&s.rows);
    return status;
}

static const char *const splits[] = {"gpu", "family", "random", NULL};

#define AT(member) offsetof(cli_args, member)

static const option options[] = {
    {"benchmark-data", 0, "FILE", OPTION_FILES, AT(files), 0, 0, NULL,
     "A file of measurements (docs/validation.md); may be given several times. Without it: the built-in points."},
    {"gpu", 'g', "G,...", OPTION_GPUS, AT(gpus), 0, 0, NULL, "Only rows of these GPUs."},
    {"split", 0, "BY", OPTION_CHOICE, AT(split), 0, 0, splits,
     "Fits the constants again without each GPU (gpu) or without each fifth of the model families (family), and predicts "
     "what was left out. random: without a fifth of the rows, which is optimistic."},
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
