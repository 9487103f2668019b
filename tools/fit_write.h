/* Fitted constants back into the files that they come from. */
#ifndef FIT_WRITE_H
#define FIT_WRITE_H

#include "bench/fit.h"

/* Into FOLDER/cost_constants.toml and FOLDER/runtimes.toml; each must have its line there. False: a file can't be read or written,
 * or has no line for one of them. */
bool fit_write(const pg_catalog *catalog, const fit_constant *constants, int count, const char *folder);

#endif
