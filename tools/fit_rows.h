/* Kernel measurements as planned operators: what tools/fit_kernels.c fits on. */
#ifndef FIT_ROWS_H
#define FIT_ROWS_H

#include "api/api.h"

enum { FIT_MAX_ROWS = 1000000, FIT_MAX_GROUPS = 400, FIT_MAX_GPUS = 64 };

typedef struct fit_row {
    kernel_plan plan; /* of one operator: kernels, runtime and counts alone */
    double us;
    int group, gpu;
    bool device_time, fit; /* fit: not thinned out */
    char text[160];
} fit_row;

/* One GPU, kind and precision, table. */
typedef struct fit_group {
    char gpu[32], kind[24], origin[64];
    int spec;
    double weight; /* in the fit's loss */
    long rows;
} fit_group;

extern fit_row *fit_rows;
extern long fit_row_count;
extern fit_group fit_groups[FIT_MAX_GROUPS];
extern int fit_group_count;
extern const gpu_spec *fit_specs[FIT_MAX_GPUS];
extern int fit_spec_count;

/* Every row of the tables in `folder` whose path contains `only`; about `thin` of each group are marked for the fit. */
bool fit_rows_read(pg_catalog *c, const char *folder, const char *only, long thin);

#endif
