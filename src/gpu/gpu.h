/* The GPUs that are known: the built-in TOML files, and over them what the user's own files say.
 *
 * A catalog is read once and then never changes: any number of threads may look things up. Every gpu_spec and text
 * that it hands out lives as long as the catalog. */
#ifndef GPU_GPU_H
#define GPU_GPU_H

#include "gpu/spec.h"
#include "phantom/error.h"

typedef struct gpu_catalog gpu_catalog;

/* Where GPUs come from, most important first: hardware_profiles, then the working directory's gpu_models.toml and
 * hardware_profiles.toml, then *.toml of the user's configuration, then the built-in files. What an earlier one
 * leaves out is filled from the later ones. */
typedef struct gpu_sources {
    allocator alloc;               /* required */
    const char *hardware_profiles; /* the file of --hardware-profiles, or NULL; it must exist */
    bool search_user_files;        /* look into the two directories; what isn't there is no error */
    const char *working_dir;       /* NULL: "." */
    const char *config_dir;        /* NULL: $XDG_CONFIG_HOME/phantom-gpu, or ~/.config/phantom-gpu */
} gpu_sources;

/* PG_E_IO, PG_E_FORMAT (not TOML), PG_E_CONFIG (not as docs/adding-a-gpu.md says), PG_E_LIMIT, PG_E_NOMEM; the error
 * has the file, and line and column where they make sense. */
pg_code gpu_catalog_open(gpu_catalog **out, const gpu_sources *src, pg_error *e);
void gpu_catalog_free(gpu_catalog *c);

/* All GPUs, in the order of the files; the built-in ones first. */
size_t gpu_count(const gpu_catalog *c);
const gpu_spec *gpu_at(const gpu_catalog *c, size_t i);
/* By key, alias or name, whatever the case, spaces, '-' and '_', with or without "NVIDIA", "GeForce", "Tesla" in front.
 * NULL and PG_E_NOT_FOUND with suggestions where there is none. */
const gpu_spec *gpu_find(const gpu_catalog *c, str name, pg_error *e);
const gpu_spec *gpu_default(const gpu_catalog *c);

/* What was derived for this GPU because no file gives it, as one line; empty for most. Show it once where the GPU is
 * used. */
str gpu_warning(const gpu_catalog *c, const gpu_spec *g);
/* Other names of a GPU: 0 <= i < count. */
size_t gpu_alias_count(const gpu_catalog *c, const gpu_spec *g);
str gpu_alias_at(const gpu_catalog *c, const gpu_spec *g, size_t i);

#endif
