/* Loading: against onnx's own reader, and that the cost grows with operators and not with bytes. */
#define _POSIX_C_SOURCE 200809L
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "phantom/phantom.h"
#include "support/measure.h"
#include "support/onnx_write.h"

typedef struct made_file {
    const char *name, *model;
    onnx_write_options options;
    char path[160];
} made_file;

enum { RESNET, SMALL, HUGE_FILE, ROBERTA, FILES };

static made_file files[FILES] = {
    [RESNET] = {.name = "resnet50.onnx", .model = "resnet50", .options = {.opset = 17}},
    [SMALL] = {.name = "1mb.onnx", .model = "resnet50", .options = {.no_weights = true, .pad = true, .size = 1000000}},
    [HUGE_FILE] = {.name = "1gb.onnx",
                   .model = "resnet50",
                   .options = {.no_weights = true, .pad = true, .size = 1000000000}},
    [ROBERTA] = {.name = "roberta.onnx", .model = "roberta-base"}, /* 500 MB */
};

/* Puts the file into the page cache. */
static bool read_all(const char *path)
{
    static char block[1 << 16];
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : 1;
    while (n > 0) n = read(fd, block, sizeof block);
    if (fd >= 0) close(fd);
    return n == 0;
}

static bool make_files(void *ud)
{
    (void)ud;
    for (int i = 0; i < FILES; i++) {
        pg_error e = PG_ERROR_INIT;
        if (onnx_write_builtin(files[i].model, files[i].path, &files[i].options, &e)) {
            fprintf(stderr, "%s: %s\n", files[i].path, e.text);
            return false;
        }
        if (!read_all(files[i].path)) return false;
    }
    return true;
}

typedef struct opening {
    const char *path;
    double *seconds; /* shared with the child */
} opening;

enum { OPENINGS = 21 };

static bool open_once(void *ud)
{
    const opening *o = ud;
    pg_model *m;
    pg_error e = PG_ERROR_INIT;
    double start = measure_now();
    if (pg_model_open(&m, o->path, NULL, &e)) return false;
    *o->seconds = measure_now() - start;
    return true;
}

/* pg_model_open alone, each time in a new process: nothing is warm but the page cache. */
static measure_cost measure_open(const char *path, double *shared)
{
    double seconds[OPENINGS];
    opening o = {path, shared};
    measure_cost all = {.ok = true};
    for (int i = 0; i < OPENINGS && all.ok; i++) {
        measure_cost c = measure_child(open_once, &o, 1);
        all.ok = c.ok;
        if (c.peak_mb > all.peak_mb) all.peak_mb = c.peak_mb;
        seconds[i] = *shared;
    }
    all.seconds = measure_median(seconds, OPENINGS);
    return all;
}

static void print_cost(const char *what, measure_cost c)
{
    if (c.ok) printf("  %-50s %9.2f ms %9.1f MB resident\n", what, c.seconds * 1e3, c.peak_mb);
    else printf("  %-50s failed\n", what);
}

static measure_cost measure_command(const char *what, char *program, char *path)
{
    measure_cost c = measure_program((char *[]){program, "load-model", path, "--gpu", "rtx4090", NULL}, 31);
    print_cost(what, c);
    return c;
}

static bool against_onnx(char *program)
{
    char *python = getenv("PYTHON") ? getenv("PYTHON") : "/usr/bin/python3"; /* Debian's, which python3-onnx is for */
    char script[] = "import onnx, onnx.shape_inference, sys\n"
                    "onnx.shape_inference.infer_shapes(onnx.load(sys.argv[1]))";
    printf("ResNet-50 as a file of 100 MB, whole processes\n");
    measure_cost ours = measure_command("phantom-gpu load-model", program, files[RESNET].path);
    if (!ours.ok) return false;
    bool held = measure_limit("  memory", ours.peak_mb, "MB", 16, false);
    measure_cost import = measure_program((char *[]){python, "-c", "import onnx, onnx.shape_inference", NULL}, 5);
    if (!import.ok) printf("  python3-onnx is not installed: not compared\n");
    if (!import.ok) return held;
    measure_cost theirs = measure_program((char *[]){python, "-c", script, files[RESNET].path, NULL}, 7);
    print_cost("python3-onnx: import alone", import);
    print_cost("python3-onnx: load and infer_shapes", theirs);
    printf("  without the import, python3-onnx takes %.1f times as long\n",
           (theirs.seconds - import.seconds) / ours.seconds);
    printf("  it takes %.1f times the memory\n", theirs.peak_mb / ours.peak_mb);
    return theirs.ok && measure_limit("  faster", theirs.seconds / ours.seconds, "x", 40, true) && held;
}

static bool bytes_are_free(char *program, double *shared)
{
    printf("One graph as a file of 1 MB and as one of 1 GB\n");
    measure_cost small = measure_command("whole process, 1 MB", program, files[SMALL].path);
    measure_cost big = measure_command("whole process, 1 GB", program, files[HUGE_FILE].path);
    measure_cost small_open = measure_open(files[SMALL].path, shared),
                 big_open = measure_open(files[HUGE_FILE].path, shared);
    print_cost("pg_model_open, 1 MB", small_open);
    print_cost("pg_model_open, 1 GB", big_open);
    if (!small.ok || !big.ok || !small_open.ok || !big_open.ok) return false;
    printf("  1 GB takes %.2f times as long and %.1f MB more\n", big.seconds / small.seconds,
           big.peak_mb - small.peak_mb);
    return measure_limit("  1 GB against 1 MB, whole process", big.seconds / small.seconds, "x", 1.5, false);
}

static bool large_file(double *shared)
{
    printf("RoBERTa as a file of 500 MB in the page cache\n");
    measure_cost c = measure_open(files[ROBERTA].path, shared);
    print_cost("pg_model_open", c);
    bool time_held = c.ok && measure_limit("  time", c.seconds * 1e3, "ms", 20, false);
    return c.ok && measure_limit("  memory", c.peak_mb, "MB", 32, false) && time_held;
}

int main(void)
{
    char folder[128], program[1024];
    const char *tmp = getenv("TMPDIR");
    double *shared = measure_shared(sizeof *shared);
    snprintf(folder, sizeof folder, "%s/phantom-XXXXXX", tmp && strlen(tmp) < 100 ? tmp : "/tmp");
    if (!shared || !measure_sibling("phantom-gpu", program, sizeof program) || !mkdtemp(folder)) {
        fprintf(stderr, "there is no program beside this one, or no room for files\n");
        return EXIT_FAILURE;
    }
    for (int i = 0; i < FILES; i++) snprintf(files[i].path, sizeof files[i].path, "%s/%s", folder, files[i].name);
    bool ok = measure_child(make_files, NULL, 1).ok;
    if (ok) {
        bool first = against_onnx(program), second = bytes_are_free(program, shared), third = large_file(shared);
        ok = first && second && third;
    }
    for (int i = 0; i < FILES; i++) unlink(files[i].path);
    rmdir(folder);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
