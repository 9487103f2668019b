/* What must hold in fuzz targets, whatever bytes come in. */
#ifndef SUPPORT_CHECK_H
#define SUPPORT_CHECK_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static inline void check(bool ok, const char *what)
{
    if (ok) return;
    fprintf(stderr, "does not hold: %s\n", what);
    abort();
}

#endif
