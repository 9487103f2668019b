/* "Did you mean": the GPUs whose names are closest to one that isn't known. */
#ifndef GPU_SUGGEST_H
#define GPU_SUGGEST_H

#include "gpu/catalog.h"

/* "rtx4090, rtx4080 or rtx5090", best first, without `skip` (may be NULL); "" where nothing is close. */
void suggest_names(const gpu_catalog *c, str name, const gpu_entry *skip, char *out, size_t cap);

#endif
