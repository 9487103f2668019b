/* Replays files into a fuzz target without libFuzzer: the kept corpus runs in every build, with any compiler.
 *
 *   replay_TARGET [--cuts=N] PATH...
 *
 * A folder means all files below it. Each file is given whole, then cut off at each byte; where that would be more
 * than N cuts (4096 unless told), the first N/2 bytes one by one and the rest in even steps. Every input lies in a
 * block of its own size, so that ASan sees a read past its end. */
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static size_t most_cuts = 4096;
static unsigned files_done;
static const char *current_path = "";
static size_t current_size;

static void say_where(void)
{
    fprintf(stderr, "in: %s, the first %zu bytes\n", current_path, current_size);
}

static void on_signal(int number)
{
    say_where();
    signal(number, SIG_DFL);
    raise(number);
}

static void run_one(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy) {
        fprintf(stderr, "out of memory\n");
        exit(1);
    }
    if (size) memcpy(copy, data, size);
    current_size = size;
    LLVMFuzzerTestOneInput(size ? copy : copy + 1, size); /* for 0 bytes: one past the end, nothing may be read */
    free(copy);
}

static void run_cuts(const uint8_t *data, size_t size)
{
    run_one(data, size);
    size_t dense = size <= most_cuts ? size : most_cuts / 2;
    for (size_t n = 0; n < dense; n++) run_one(data, n);
    if (dense == size || !most_cuts) return;
    size_t step = (size - dense) / (most_cuts - dense) + 1;
    for (size_t n = dense; n < size; n += step) run_one(data, n);
}

static int run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = NULL;
    long size = -1;
    if (f && fseek(f, 0, SEEK_END) == 0) size = ftell(f);
    if (size >= 0) data = malloc((size_t)size + 1);
    if (!f || !data || fseek(f, 0, SEEK_SET) != 0 || fread(data, 1, (size_t)size, f) != (size_t)size) {
        fprintf(stderr, "%s: can't be read\n", path);
        free(data);
        if (f) fclose(f);
        return 1;
    }
    fclose(f);
    current_path = path;
    run_cuts(data, (size_t)size);
    free(data);
    files_done++;
    return 0;
}

static int run_path(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return 1;
    }
    if (!S_ISDIR(st.st_mode)) return run_file(path);
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort);
    int bad = count < 0;
    for (int i = 0; i < count; i++) {
        if (entries[i]->d_name[0] != '.') {
            size_t size = strlen(path) + strlen(entries[i]->d_name) + 2;
            char *below = malloc(size);
            if (below) {
                snprintf(below, size, "%s/%s", path, entries[i]->d_name);
                bad |= run_path(below);
            }
            free(below);
        }
        free(entries[i]);
    }
    if (count >= 0) free(entries);
    return bad;
}

int main(int argc, char **argv)
{
    int bad = 0;
    if (__sanitizer_set_death_callback) {
        __sanitizer_set_death_callback(say_where);
    } else {
        signal(SIGSEGV, on_signal);
        signal(SIGBUS, on_signal);
        signal(SIGFPE, on_signal);
    }
    signal(SIGABRT, on_signal);
    signal(SIGTERM, on_signal); /* a hang: the test runner's time is over */
    if (LLVMFuzzerInitialize) LLVMFuzzerInitialize(&argc, &argv);
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--cuts=", 7) == 0) most_cuts = (size_t)strtoul(argv[i] + 7, NULL, 10);
        else bad |= run_path(argv[i]);
    }
    if (!files_done) {
        fprintf(stderr, "no files given\n");
        return 1;
    }
    printf("[  PASSED  ] %u test(s).\n", files_done);
    return bad;
}
