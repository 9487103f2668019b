/* Kernel measurements as kernels of the cost model: what tools/fit_kernels.c fits on. */
#ifndef FIT_ROWS_H
#define FIT_ROWS_H

#include "cost/cost.h"

enum { FIT_MAX_ROWS = 400000, FIT_MAX_GROUPS = 160, FIT_MAX_GPUS = 64 };

typedef struct fit_row {
    kernel k, extra; /* extra: kernels that the table's time includes: quantising activations, filling the KV cache */
    double us, extra_kernels;
    int group, gpu;
    bool fit; /* not thinned out */
    char text[112];
} fit_row;

/* One GPU, kind and precision, table. */
typedef struct fit_group {
    char gpu[32], kind[24], origin[32];
    int spec;
    double weight; /* in the fit's loss */
    long rows;
} fit_group;

extern fit_row *fit_rows;
extern long fit_row_count;
extern fit_group fit_groups[FIT_MAX_GROUPS];
extern int fit_group_count;
extern gpu_spec fit_specs[FIT_MAX_GPUS];
extern int fit_spec_count;

bool fit_specs_read(const char *csv);
/* Every row of the tables in `folder`; about `thin` of each group are marked for the fit. */
bool fit_rows_read(const char *folder, long thin);

#endif
