/* Inside the GPU layer: the catalog while it is being filled. Others include gpu/gpu.h. */
#ifndef GPU_CATALOG_H
#define GPU_CATALOG_H

#include "gpu/gpu.h"
#include "gpu/toml_shim.h"

enum { GPU_NAME_MAX = 96, GPU_FIELDS_MAX = 40, UNITS_MAX = 10000000 };

/* What the two tables of fields in config.c fill. */
typedef struct gpu_fields {
    gpu_spec spec; /* first: a gpu_spec * that was handed out is a gpu_entry * */
    double memory_mib;
    const toml_node *aliases; /* of the section that was just read */
} gpu_fields;

typedef struct gpu_entry {
    gpu_fields f;
    bool builtin;
    gpu_fields before;                                          /* as it was when the current layer began */
    unsigned layer;                                             /* the last layer that touched it; 0: none */
    unsigned file_gpus, file_profiles;                          /* the last file with [gpus.KEY], with [profiles.KEY] */
    bool now_gpus[GPU_FIELDS_MAX], now_profile[GPU_FIELDS_MAX]; /* given by the current layer, by row of the table */
    bool all_gpus[GPU_FIELDS_MAX], all_profile[GPU_FIELDS_MAX]; /* given by any layer so far */
    const char *source;                                         /* where it was first defined, for errors */
    uint32_t line, column;
    str warning;
    str *aliases;
    size_t alias_count, alias_cap;
} gpu_entry;

/* Folded names to GPUs: open addressing, a power of two slots. */
typedef struct name_slot {
    str folded; /* ptr NULL: free */
    uint32_t entry;
    bool weak; /* a display name: gives way to a key or alias */
} name_slot;

struct gpu_catalog {
    arena a;       /* what lives as long as the catalog */
    arena scratch; /* the trees of the file that is being read */
    gpu_entry **entries;
    size_t count, cap;
    name_slot *names;
    size_t names_used, names_cap;
    unsigned layer, file; /* being read */
    bool builtin;
    size_t default_gpu;
    str default_name;
    const char *default_source;
    uint32_t default_line, default_column;
};

/* names.c: -1 where the name is unknown. names_add returns PG_E_CONFIG where another GPU has it: *owner. */
ptrdiff_t names_find(const gpu_catalog *c, str name);
pg_code names_add(gpu_catalog *c, str name, size_t entry, bool weak, size_t *owner, pg_error *e);

/* config.c: one layer is one or more files that count as one. */
void config_begin_layer(gpu_catalog *c, bool builtin);
pg_code config_read(gpu_catalog *c, str text, const char *source, pg_error *e);
void config_end_layer(gpu_catalog *c);
/* Did any file give the field at this offset of gpu_fields? */
bool config_given(const gpu_entry *g, size_t offset);

/* derive.c: fills what no file gave and writes the warning. PG_E_CONFIG where too little is known. */
pg_code derive_gpu(gpu_catalog *c, gpu_entry *g, pg_error *e);

/* files.c: paths of the user's files, most important first (memory from c->a), and reading one into c->scratch. */
typedef struct file_list {
    const char **paths;
    size_t count, cap;
} file_list;
pg_code files_find(gpu_catalog *c, const gpu_sources *src, file_list *out, pg_error *e);
/* `optional`: a file that isn't there gives PG_E_OK and a NULL text. */
pg_code files_read(gpu_catalog *c, const char *path, bool optional, str *out, pg_error *e);

#endif
