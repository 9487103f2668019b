/* Measured points and fit steps that the program brings along. */
#ifndef BENCH_BUILTIN_H
#define BENCH_BUILTIN_H

#include "bench/points.h"

/* Adds the built-in points (data/benchmarks), all or the single kernels among them. */
pg_code bench_read_builtin(bench_rows *r, bool kernels_only, pg_error *e);
/* data/fit.toml, and data/cost_constants.start. */
str bench_fit_steps(void);
str bench_fit_start(void);

#endif
