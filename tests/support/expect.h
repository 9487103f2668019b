/* What tests of the formats' readers share: models from memory, and what they are expected to be. Failing is cmocka's. */
#ifndef SUPPORT_EXPECT_H
#define SUPPORT_EXPECT_H

#include "phantom/phantom.h"

/* Opens these bytes as a file without a telling name. */
pg_code open_memory(pg_model **m, const void *bytes, size_t size, const pg_model_options *options, pg_error *e);
/* The opening must have failed with this code, and its text or path hold these words. Frees the model where it did not. */
void expect_refused(pg_model *m, const pg_error *e, pg_code code, const char *words);
/* "2x3xbatch"; "?" for what isn't known, "unknown" without a rank. */
void expect_shape(const pg_tensor *t, const char *expected);
uint64_t count_of(const pg_count *list, size_t n, const char *name);
uint64_t operators(const pg_model *m, const char *name);
bool warns(const pg_model *m, const char *words);
/* Within this share of what was expected. */
void expect_near(double x, double expected, double share);

#endif
