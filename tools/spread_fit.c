/* Fits how far rows, model families and boards are off: what `calibrate` weighs few rows by. The rows of all boards of all files are most
 * likely under what is written. Boards are too few to be trusted: theirs is shown, not written, and odd ones are as shipped.
 *
 * usage: fit_spreads [--write FOLDER] BENCHMARKS.json ...
 *   --write FOLDER   writes the constants into FOLDER/runtimes.toml
 * Deterministic: NLopt's Sbplx has no random part. */
#include <nlopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/calibrate.h"

/* Families that strangers measure are further off than those that all constants were fitted on: chosen (torchvision's are 2.1 times, alone). */
static const double OTHERS = 1.4;

enum { BOARDS_MOST = 64, LEAST = 20, WRITTEN = 1 + CALIBRATE_LEVELS, FITTED = WRITTEN + CALIBRATE_LEVELS };

static const char *const names[FITTED] = {"row",       "family_all",   "family_memory", "family_host",
                                          "board_all", "board_memory", "board_host"};

typedef struct board {
    level_row *rows;
    level_family *families; /* as many as rows: more than there are */
    size_t count;
} board;

static board boards[BOARDS_MOST];
static size_t n_boards;
static arena memory;

static _Noreturn void die(const char *what, const pg_error *e)
{
    fprintf(stderr, "fit_spreads: %s%s%s\n", what, e ? ": " : "", e ? e->text : "");
    exit(1);
}

/* The rows of one file, by board. Families count by file: two files have other rows of them. */
static void read_boards(const char *path, pg_catalog *catalog)
{
    pg_error e = PG_ERROR_INIT;
    bench_rows rows;
    bench *b;
    size_t count;
    bench_rows_init(&rows, memory.alloc);
    if (bench_read(&rows, path, &e)) die(path, &e);
    if (bench_open(&b, &rows, catalog, &(bench_options){.keep = true}, &e)) die(path, &e);
    bench_point *points = bench_points(b, &count);
    for (size_t g = 0; g < catalog->count; g++) {
        board *to = &boards[n_boards];
        if (n_boards == BOARDS_MOST) die("too many boards", NULL);
        pg_code code = calibrate_rows(&to->rows, &to->count, points, count, &catalog->list[g].pub, &memory, &e);
        if (code == PG_E_CHECK || (!code && to->count < LEAST)) continue;
        if (code) die(path, &e);
        to->families = ARENA_ARRAY(&memory, level_family, to->count);
        if (!to->families) die("out of memory", NULL);
        printf("%s: %zu rows of %s\n", path, to->count, catalog->list[g].pub.key);
        n_boards++;
    }
    bench_free(b);
    bench_rows_free(&rows);
}

/* `x`: logarithms, in the order of `names`. */
static void put(calibrate_constants *c, const double *x)
{
    c->row = exp(x[0]);
    for (int k = 0; k < CALIBRATE_LEVELS; k++) {
        c->family[k] = exp(x[1 + k]);
        c->board[k] = exp(x[WRITTEN + k]);
    }
}

static double unlikely(unsigned n, const double *x, double *grad, void *constants)
{
    double sum = 0;
    (void)n;
    (void)grad;
    put(constants, x);
    for (size_t i = 0; i < n_boards; i++)
        sum -= calibrate_likelihood(boards[i].rows, boards[i].count, boards[i].families, boards[i].count, constants);
    return sum;
}

static void minimise(double *x, calibrate_constants *c)
{
    double best;
    nlopt_opt opt = nlopt_create(NLOPT_LN_SBPLX, FITTED);
    for (int i = 0; i < FITTED; i++) x[i] = log(0.07);
    nlopt_set_lower_bounds1(opt, log(0.003));
    nlopt_set_upper_bounds1(opt, 0);
    nlopt_set_min_objective(opt, unlikely, c);
    nlopt_set_initial_step1(opt, 0.3);
    nlopt_set_ftol_abs(opt, 1e-4);
    nlopt_set_maxeval(opt, 3000);
    if (nlopt_optimize(opt, x, &best) < 0) die("the fit could not be run", NULL);
    nlopt_destroy(opt);
    printf("minus log likelihood %.1f\n", best);
}

/* Replaces the number behind "name =" in [calibrate] of runtimes.toml, keeping everything else of the file. */
static void rewrite(const char *folder, const char *name, double value)
{
    char path[4096], temporary[4200], line[1024];
    bool in_table = false;
    snprintf(path, sizeof path, "%s/runtimes.toml", folder);
    snprintf(temporary, sizeof temporary, "%s.new", path);
    FILE *in = fopen(path, "r"), *out = fopen(temporary, "w");
    if (!in || !out) die("can't rewrite the constants", NULL);
    size_t len = strlen(name);
    while (fgets(line, sizeof line, in)) {
        if (line[0] == '[') in_table = !strncmp(line, "[calibrate]", 11);
        if (in_table && !strncmp(line, name, len) && line[len] == ' ') fprintf(out, "%s = %.3g\n", name, value);
        else fputs(line, out);
    }
    fclose(in);
    if (fclose(out) || rename(temporary, path)) die("can't rewrite the constants", NULL);
}

int main(int argc, char **argv)
{
    const char *write_to = NULL;
    pg_catalog *catalog;
    pg_error e = PG_ERROR_INIT;
    double x[FITTED];
    arena_init(&memory, api_allocator(NULL), (size_t)1 << 30);
    if (pg_catalog_open(&catalog, &(pg_catalog_options){.no_user_files = true}, &e)) die("catalog", &e);
    catalog->config.n_levels = 0; /* as if no board had been measured */
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--write") && i + 1 < argc) write_to = argv[++i];
        else read_boards(argv[i], catalog);
    }
    if (!n_boards) die("no board has enough rows", NULL);
    calibrate_constants c = catalog->config.calibrate;
    minimise(x, &c);
    for (int i = 0; i < FITTED; i++) {
        double value = exp(x[i]) * (i > 0 && i < WRITTEN ? OTHERS : 1);
        printf("%s = %.3g%s\n", names[i], value, i < WRITTEN ? "" : "  # not written");
        if (write_to && i < WRITTEN) rewrite(write_to, names[i], value);
    }
    arena_free(&memory);
    pg_catalog_free(catalog);
    return 0;
}
