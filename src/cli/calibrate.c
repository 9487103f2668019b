#define _POSIX_C_SOURCE 200809L
#include <sys/stat.h>

#include "bench/calibrate.h"
#include "cli/cli.h"
#include "render/calibration.h"

/* What is opened for one run, so that one place closes it. */
typedef struct session {
    bench_rows rows;
    bench *b;
    bench_point *points;
    size_t count;
    const pg_gpu *gpu;
    calibration c;
    const char *profile; /* the file's text */
} session;

static int check_arguments(const cli *c)
{
    const cli_args *a = &c->args;
    struct stat there;
    if (!a->gpu) return cli_usage(c->command, "--gpu is needed: the GPU that was measured");
    if (!a->files.count) return cli_usage(c->command, "--benchmark-data is needed: a file of measurements");
    if (a->write && !a->force && lstat(a->write, &there) == 0)
        return cli_fail("%s: is there already; --force overwrites it", a->write);
    return EXIT_OK;
}

static int read_files(cli *c, session *s)
{
    pg_error e = PG_ERROR_INIT;
    s->gpu = pg_catalog_find(c->catalog, c->args.gpu, &e);
    if (!s->gpu) return cli_error(&e, "--gpu");
    for (size_t i = 0; i < c->args.files.count; i++)
        if (bench_read(&s->rows, c->args.files.items[i], &e) != PG_E_OK) return cli_error(&e, c->args.files.items[i]);
    return EXIT_OK;
}

static int fit(cli *c, session *s)
{
    pg_error e = PG_ERROR_INIT;
    buffer text;
    bench_options o = {.keep = true, .impossible = true};
    if (bench_open(&s->b, &s->rows, c->catalog, &o, &e) != PG_E_OK) return cli_error(&e, NULL);
    s->points = bench_points(s->b, &s->count);
    if (calibrate(&s->c, s->points, s->count, s->gpu, &c->memory, &e) != PG_E_OK) {
        for (size_t i = 0; i < s->c.count; i++)
            if (s->c.rows[i].left_out)
                cli_fail("%s: row %u (%s): left out: %s", s->c.rows[i].point->row->file,
                         s->c.rows[i].point->row->number, s->c.rows[i].point->row->model, s->c.rows[i].left_out);
        int status = cli_error(&e, c->args.files.items[0]);
        return status == EXIT_CHECK ? EXIT_FAILED : status;
    }
    for (size_t i = 0; i < s->c.warning_count; i++) cli_warn(c, NULL, s->c.warnings[i]);
    buffer_init(&text, cli_allocator);
    calibrate_toml(&text, &s->c, c->args.files.items, c->args.files.count);
    s->profile = text.failed ? NULL : str_copy(&c->memory, (str){text.ptr, text.len}).ptr;
    buffer_free(&text);
    return s->profile ? EXIT_OK : cli_fail("out of memory");
}

static int show(cli *c, session *s)
{
    cli_args *a = &c->args;
    bool refused = a->write && !s->c.better && !a->force;
    render_calibration v = {.c = &s->c,
                            .profile = s->profile,
                            .written = refused ? NULL : a->write,
                            .refused = refused ? s->c.verdict : NULL,
                            .verbose = a->verbose};
    if (!s->c.better) {
        char text[200];
        format_text(text, sizeof text, "held out, the profile is %s: more rows or other models may help", s->c.verdict);
        cli_warn(c, NULL, text);
    }
    v.warnings = cli_warnings(c);
    render_calibration_report(&c->report, &v);
    if (a->write && !refused) buffer_text(&c->trace, s->profile);
    const char *file = a->write;
    if (refused) a->write = NULL; /* what is shown is no less true */
    int status = cli_finish_output(c);
    if (status != EXIT_OK || !refused) return status;
    cli_fail("%s: not written, since the profile is %s; --force writes it all the same", file, s->c.verdict);
    return EXIT_CHECK;
}

static int run(cli *c)
{
    session s = {.b = NULL};
    bench_rows_init(&s.rows, cli_allocator);
    int status = cli_begin_output(c);
    if (status == EXIT_OK) status = check_arguments(c);
    if (status == EXIT_OK) status = cli_open_catalog(c);
    if (status == EXIT_OK) status = read_files(c, &s);
    if (status == EXIT_OK) status = fit(c, &s);
    if (status == EXIT_OK) status = show(c, &s);
    bench_free(s.b);
    bench_rows_free(&s.rows);
    return status;
}

#define AT(member) offsetof(cli_args, member)

static const option options[] = {
    {"gpu", 'g', "G", OPTION_GPU, AT(gpu), 0, 0, NULL, "The GPU that was measured."},
    {"benchmark-data", 0, "FILE", OPTION_FILES, AT(files), 0, 0, NULL,
     "A file of measurements, as tools/measure writes it; may be given several times. Rows of other GPUs are passed over."},
    {"write", 'w', "FILE", OPTION_FILE, AT(write), 0, 0, NULL,
     "Writes the profile, for --hardware-profiles of the other commands. A file that is there is kept, and a profile that is "
     "no better is not written."},
    {"force", 0, NULL, OPTION_FLAG, AT(force), 0, 0, NULL, "Writes it all the same."},
    {"verbose", 'v', NULL, OPTION_FLAG, AT(verbose), 0, 0, NULL, "Every group, and every row that was left out."},
};
static const option_group group_what = GROUP("What is fitted to what", options);
static const option_group *const groups[] = {&group_what, &group_output, NULL};
static const char *const examples[] = {
    "calibrate --gpu rtx4090 --benchmark-data mine.json",
    "How far your own measurements would improve predictions.",
    "calibrate --gpu rtx4090 --benchmark-data mine.json --write my-4090.toml",
    "The same, and keeps the profile.",
    "load-model resnet50 --gpu rtx4090 --hardware-profiles my-4090.toml",
    "A prediction with it.",
    NULL,
};

const command command_calibrate = {
    .name = "calibrate",
    .summary = "Fits a GPU's profile to your own measurements.",
    .text =
        "Fits what a GPU and its host reach, for each family of models that was measured, to the rows of a benchmark file, and "
        "shows how far off predictions are before and after, for models that were held out. Rows that can't be right (faster "
        "than the GPU's peaks, far from all others) are named and left out. Five rows of different models already help; with "
        "few rows the profile stays near what is built in.\n\n"
        "Exit status 3: the profile was not written, because held out it is no better, or by too little for rows so alike.",
    .groups = groups,
    .examples = examples,
    .run = run,
};
