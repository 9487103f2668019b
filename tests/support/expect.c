#define _GNU_SOURCE
#include "support/expect.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
/* cmocka wants some of the above first */
#include <cmocka.h>

pg_code open_memory(pg_model **m, const void *bytes, size_t size, const pg_model_options *options, pg_error *e)
{
    char path[64];
    int fd = memfd_create("test", 0);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    pg_code code = pg_model_open(m, path, options, e);
    close(fd);
    assert_int_equal(code, e->code);
    return code;
}

void expect_refused(pg_model *m, const pg_error *e, pg_code code, const char *words)
{
    pg_model_free(m);
    if (!e->code) fail_msg("accepted, but expected: %s", words);
    if (e->code != code || (!strstr(e->text, words) && !strstr(e->path, words)))
        fail_msg("%d: %s: %s", (int)e->code, e->path, e->text);
}

void expect_shape(const pg_tensor *t, const char *expected)
{
    char text[256] = "";
    size_t n = 0;
    for (int i = 0; i < t->rank && n < sizeof text; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", i ? "x" : "", t->dims[i].text ? t->dims[i].text : "?");
    if (t->rank < 0) snprintf(text, sizeof text, "unknown");
    assert_string_equal(text, expected);
}

uint64_t count_of(const pg_count *list, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(list[i].name, name)) return list[i].count;
    return 0;
}

uint64_t operators(const pg_model *m, const char *name)
{
    const pg_model_info *info = pg_model_describe(m);
    return count_of(info->operator_counts, info->operator_count_count, name);
}

bool warns(const pg_model *m, const char *words)
{
    const pg_model_info *info = pg_model_describe(m);
    for (size_t i = 0; i < info->warning_count; i++)
        if (strstr(info->warnings[i], words)) return true;
    return false;
}

void expect_near(double x, double expected, double share)
{
    if (!(fabs(x - expected) <= share * fabs(expected))) fail_msg("%.9g is not %.9g", x, expected);
}
