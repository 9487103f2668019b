/* Loads every model of an archive of PyTorch image models exported to ONNX and holds parameters and multiply-accumulates to the
 * counts of a table measured beside them. test_timm [ARCHIVE.tar.xz TABLE.csv.gz]; skipped where they are not.
 *
 * The table's MACs come from a counter that adds normalisations and pooling and does not see fused attention or recurrent
 * layers; so ours are compared plainly and with 2 per normalised and 1 per pooled element added, and what still differs is named
 * below with the reason. */
#define _POSIX_C_SOURCE 200809L
#include "api/api.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#ifndef TEST_ROOT
#define TEST_ROOT "."
#endif

enum { SKIPPED = 77, MAX_ROWS = 8192 };

typedef struct row {
    char name[96];
    double params, macs;
} row;

static row *rows;
static size_t n_rows;

/* What differs, and why. */
static const struct {
    const char *prefix, *what, *why;
} known[] = {
    {"coat_mini", "parameters", "the exporter stores a transposed copy of shared weights for each use"},
    {"coat_small", "parameters", "the exporter stores a transposed copy of shared weights for each use"},
    {"coat_tiny", "parameters", "the exporter stores a transposed copy of shared weights for each use"},
    {"efficientformerv2_s", "parameters", "tables of relative positions are stored gathered, as constants"},
    {"ghostnetv3_", "both", "the file holds the training branches; the table counts the reparameterised form"},
    {"vit_base_r50_s16", "parameters", "the table has two counts for it, with and without another head"},
    {"sequencer2d_", "macs", "the table's counter does not see LSTM layers"},
};

static bool is_known(const char *name, bool macs)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strncmp(name, known[i].prefix, strlen(known[i].prefix)) != 0) continue;
        if (!strcmp(known[i].what, "both") || !strcmp(known[i].what, macs ? "macs" : "parameters")) return true;
    }
    return false;
}

/* Columns of the table: model 0, image_size 2, params_m 14, gmacs 15. */
static bool read_table(const char *path)
{
    gzFile f = gzopen(path, "rb");
    char line[2048];
    if (!f) return false;
    rows = calloc(MAX_ROWS, sizeof *rows);
    while (rows && n_rows < MAX_ROWS && gzgets(f, line, sizeof line)) {
        char *field[20] = {line};
        int n = 1;
        for (char *c = line; *c && n < 20; c++)
            if (*c == ',') {
                *c = '\0';
                field[n++] = c + 1;
            }
        if (n < 16 || !*field[14] || !*field[15] || !strcmp(field[0], "model")) continue;
        row r = {.params = strtod(field[14], NULL) * 1e6, .macs = strtod(field[15], NULL) * 1e9};
        snprintf(r.name, sizeof r.name, "%.70s_%.10s", field[0], field[2]);
        bool seen = false;
        for (size_t i = n_rows; i-- > 0 && !seen;)
            seen = !strcmp(rows[i].name, r.name) && rows[i].params == r.params && rows[i].macs == r.macs;
        if (!seen) rows[n_rows++] = r;
    }
    gzclose(f);
    return n_rows > 0;
}

/* What the table's counter adds: 2 per element normalised (batch normalisations folded into convolutions too), 1 per pooled. */
static double extra_macs(const pg_plan *p)
{
    double sum = 0;
    for (uint32_t i = 0; i < p->units.n; i++) {
        const unit *u = &p->units.u[i];
        work_class w = op_work_class((op_kind)u->kind);
        if (!u->n_out || !u->n_in) continue;
        double out = shape_elements(&p->shapes.t[unit_out(&p->units, u)[0]]);
        if ((u->flags & UNIT_BN_FOLDED) || w == WORK_BATCHNORM || w == WORK_NORM) sum += 2 * out;
        if (w == WORK_REDUCE) sum += shape_elements(&p->shapes.t[unit_in(&p->units, u)[0]]);
    }
    return sum;
}

/* A product without attention, as a counter that misses fused attention sees it. */
static double without_attention(const pg_plan *p, double macs)
{
    for (uint32_t i = 0; i < p->plan.n_kernels; i++)
        if (p->plan.kernels[i].k.kind == KERNEL_ATTENTION)
            macs -= p->plan.kernels[i].k.flops * p->plan.kernels[i].count / 2;
    return macs;
}

static bool near(double ours, double theirs)
{
    double d = ours > theirs ? ours - theirs : theirs - ours;
    return d <= 0.03 * theirs || d <= 0.02e9;
}

static bool compare(const char *file, const pg_model_info *info, const pg_plan *p)
{
    char name[128];
    snprintf(name, sizeof name, "%.*s", (int)strlen(file) - 5, file);
    char *reparam = strstr(name, "_reparam");
    if (reparam) *reparam = '\0';
    double extra = extra_macs(p), bare = without_attention(p, info->macs);
    bool any = false, params = false, macs = false;
    const row *closest = NULL;
    for (size_t i = 0; i < n_rows; i++) {
        if (strcmp(rows[i].name, name) != 0) continue;
        any = true;
        double d = info->parameters / rows[i].params - 1;
        params |= (d < 0.01 && d > -0.01) ||
                  (info->parameters - rows[i].params < 1e4 && rows[i].params - info->parameters < 1e4);
        macs |= near(info->macs, rows[i].macs) || near(info->macs + extra, rows[i].macs) || near(bare, rows[i].macs);
        closest = &rows[i];
    }
    bool ok = any && (params || is_known(name, false)) && (macs || is_known(name, true));
    if (!ok)
        printf(
            "%s: %.2f M parameters (table %.2f), %.3f G MACs, %.3f with normalisation, %.3f without attention (table %.3f)\n",
            file, info->parameters / 1e6, closest ? closest->params / 1e6 : 0, info->macs / 1e9,
            (info->macs + extra) / 1e9, bare / 1e9, closest ? closest->macs / 1e9 : 0);
    return ok;
}

static bool check(const char *folder, const char *file, const pg_catalog *c)
{
    char path[4200];
    pg_error e = PG_ERROR_INIT;
    pg_model *m = NULL;
    pg_plan *p = NULL;
    snprintf(path, sizeof path, "%s/%s", folder, file);
    bool ok = !pg_model_open(&m, path, NULL, &e) && !pg_plan_open(&p, m, c, &(pg_request){.batch = 1}, &e);
    if (!ok) printf("%s: %s %s\n", file, e.path, e.text);
    if (ok && pg_model_describe(m)->unknown_operator_count) {
        printf("%s: unknown operator %s\n", file, pg_model_describe(m)->unknown_operators[0].name);
        ok = false;
    }
    ok = ok && compare(file, pg_model_describe(m), p);
    pg_plan_free(p);
    pg_model_free(m);
    return ok;
}

static bool run(const char *program, char *const argv[])
{
    pid_t child = fork();
    if (child == 0) {
        execvp(program, argv);
        _exit(127);
    }
    int status;
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int main(int argc, char **argv)
{
    const char *archive = argc > 1 ? argv[1] : TEST_ROOT "/../shared/models/timm.tar.xz";
    const char *table = argc > 2 ? argv[2] : TEST_ROOT "/../shared/data/bench/timm.csv.gz";
    char folder[] = "/tmp/phantom-timm-XXXXXX";
    if (access(archive, R_OK) || access(table, R_OK)) return SKIPPED;
    if (!mkdtemp(folder) || !read_table(table)) return SKIPPED;
    unsigned passed = 0, failed = 0;
    pg_catalog *c = NULL;
    pg_error e = PG_ERROR_INIT;
    bool unpacked = run("tar", (char *[]){"tar", "-xJf", (char *)(uintptr_t)archive, "-C", folder, NULL});
    bool ready = unpacked && !pg_catalog_open(&c, &(pg_catalog_options){.no_user_files = true}, &e);
    DIR *d = ready ? opendir(folder) : NULL;
    for (struct dirent *entry; d && (entry = readdir(d));) {
        if (!strstr(entry->d_name, ".onnx")) continue;
        if (check(folder, entry->d_name, c)) passed++;
        else failed++;
    }
    if (d) closedir(d);
    pg_catalog_free(c);
    run("rm", (char *[]){"rm", "-rf", folder, NULL});
    free(rows);
    if (!unpacked) return SKIPPED;
    printf("[  PASSED  ] %u test(s).\n", passed);
    if (failed || !passed) printf("[  FAILED  ] %u test(s).\n", failed);
    return failed || !passed;
}
