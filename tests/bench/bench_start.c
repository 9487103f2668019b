/* The program from its start to its end: its size, --version, and a comparison of many models on many GPUs. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "phantom/error.h"
#include "support/measure.h"
#include "support/onnx_write.h"

enum { MODELS = 5 };

static const char *const models[MODELS] = {"resnet50", "mobilenet_v2", "vit_b_16", "bert-base-uncased", "gpt2"};
static char paths[MODELS][160];
static char gpus[] = "v100,t4,a100,a10,l4,l40s,rtx3090,rtx4090,h100,h200";
static char batches[] = "1,2,4,8,16,32,64,128";

static bool make_files(void *ud)
{
    (void)ud;
    for (int i = 0; i < MODELS; i++) {
        pg_error e = PG_ERROR_INIT;
        if (!onnx_write_builtin(models[i], paths[i], NULL, &e)) continue;
        fprintf(stderr, "%s: %s\n", paths[i], e.text);
        return false;
    }
    return true;
}

/* 5 models x 10 GPUs x 8 batch sizes. */
static bool compare(const char *what, char *program, const char *const *names)
{
    char list[1024];
    size_t n = 0;
    for (int i = 0; i < MODELS && n < sizeof list; i++)
        n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", i ? "," : "", names[i]);
    if (n >= sizeof list) return false;
    measure_cost c = measure_program(
        (char *[]){program, "compare-models", "--models", list, "--gpus", gpus, "--batch-sizes", batches, NULL}, 21);
    if (!c.ok) fprintf(stderr, "compare-models: failed; is a model or a GPU not known?\n");
    if (!c.ok) return false;
    printf("%s: 400 predictions in %.1f ms, %.1f MB resident\n", what, c.seconds * 1e3, c.peak_mb);
    return measure_limit("  time", c.seconds * 1e3, "ms", 100, false);
}

/* Without its debug symbols, as it is installed. */
static bool binary_size(char *program)
{
    char copy[] = "/tmp/phantom-XXXXXX";
    struct stat st;
    int fd = mkstemp(copy);
    if (fd < 0) return false;
    close(fd);
    bool stripped = measure_program((char *[]){"strip", "-o", copy, program, NULL}, 1).ok;
    bool ok = stat(stripped ? copy : program, &st) == 0;
    unlink(copy);
    return ok && measure_limit(stripped ? "program, stripped" : "program, not stripped", (double)st.st_size / 1e6, "MB",
                               5, false);
}

int main(void)
{
    char folder[128], program[1024];
    const char *files[MODELS], *tmp = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/phantom-XXXXXX", tmp && strlen(tmp) < 100 ? tmp : "/tmp");
    if (!measure_sibling("phantom-gpu", program, sizeof program) || !mkdtemp(folder)) {
        fprintf(stderr, "there is no program beside this one, or no room for files\n");
        return EXIT_FAILURE;
    }
    for (int i = 0; i < MODELS; i++) {
        snprintf(paths[i], sizeof paths[i], "%s/%d.onnx", folder, i);
        files[i] = paths[i];
    }
    bool ok = binary_size(program);
    measure_cost start = measure_program((char *[]){program, "--version", NULL}, 51);
    printf("--version: %.1f MB resident\n", start.peak_mb);
    ok = start.ok && measure_limit("  time", start.seconds * 1e3, "ms", 5, false) && ok;
    ok = compare("compare-models, built-in", program, models) && ok;
    ok = measure_child(make_files, NULL, 1).ok && compare("compare-models, ONNX files", program, files) && ok;
    for (int i = 0; i < MODELS; i++) unlink(paths[i]);
    rmdir(folder);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
