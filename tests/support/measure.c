#define _GNU_SOURCE
#include "support/measure.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum { RUNS_MAX = 64 };

double measure_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

double measure_thread_cpu(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double measure_median(double *values, int n)
{
    qsort(values, (size_t)n, sizeof *values, compare);
    return n ? values[n / 2] : 0;
}

static pid_t start_program(char *const argv[])
{
    posix_spawn_file_actions_t actions;
    pid_t pid = -1;
    if (posix_spawn_file_actions_init(&actions)) return -1;
    bool ok = !posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0) &&
              !posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    if (!ok || posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ)) pid = -1;
    posix_spawn_file_actions_destroy(&actions);
    return pid;
}

static pid_t start_child(bool (*fn)(void *ud), void *ud)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) _exit(fn(ud) ? EXIT_SUCCESS : EXIT_FAILURE);
    return pid;
}

static measure_cost measure(char *const argv[], bool (*fn)(void *ud), void *ud, int runs)
{
    measure_cost c = {.ok = true};
    double seconds[RUNS_MAX];
    if (runs > RUNS_MAX) runs = RUNS_MAX;
    for (int i = 0; i < runs && c.ok; i++) {
        struct rusage used;
        int status = 0;
        double start = measure_now();
        pid_t pid = argv ? start_program(argv) : start_child(fn, ud);
        c.ok = pid > 0 && wait4(pid, &status, 0, &used) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
        seconds[i] = measure_now() - start;
        double peak = c.ok ? (double)used.ru_maxrss * 1024 / 1e6 : 0;
        if (peak > c.peak_mb) c.peak_mb = peak;
    }
    if (c.ok) c.seconds = measure_median(seconds, runs);
    return c;
}

measure_cost measure_program(char *const argv[], int runs)
{
    return measure(argv, NULL, NULL, runs);
}

measure_cost measure_child(bool (*fn)(void *ud), void *ud, int runs)
{
    return measure(NULL, fn, ud, runs);
}

void *measure_shared(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

bool measure_sibling(const char *name, char *out, size_t cap)
{
    char self[1024];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    for (int up = 0; up < 2 && n > 0; up++)
        while (n > 0 && self[--n] != '/') continue;
    if (n <= 0) return false;
    self[n] = '\0';
    int len = snprintf(out, cap, "%s/%s", self, name);
    return len > 0 && (size_t)len < cap && access(out, X_OK) == 0;
}

bool measure_limit(const char *what, double got, const char *unit, double limit, bool at_least)
{
    bool held = at_least ? got >= limit : got <= limit;
    printf("%-62s %10.4g %-4s (%s %.6g) %s\n", what, got, unit, at_least ? "at least" : "at most", limit,
           held ? "held" : "MISSED");
    return held;
}
