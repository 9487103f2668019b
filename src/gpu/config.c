/* The two TOML files into the catalog: which keys there are, what they may hold, and how layers lie over each other.
 *
 * Layers are read from the least important (built in) to the most important. Each sets what it gives; what hangs on a
 * changed field by physics and was not given by the same layer follows it (peaks follow clocks and unit counts). */
#include "base/error.h"
#include "gpu/catalog.h"
#include "gpu/schema.h"

#define AT(member) offsetof(gpu_fields, member)
#define TEXT(path, name, member)                            \
    {                                                       \
        path, name, SCHEMA_TEXT, AT(member), 0, 0, false, 0 \
    }
#define POSITIVE(path, name, member, max)                    \
    {                                                        \
        path, name, SCHEMA_REAL, AT(member), 0, max, true, 0 \
    }
#define RATE(path, name, member)                              \
    {                                                         \
        path, name, SCHEMA_REAL, AT(member), 0, 1e6, false, 0 \
    }
#define CLOCK(path, name, member)                             \
    {                                                         \
        path, name, SCHEMA_REAL, AT(member), 1, 1e5, false, 0 \
    }
#define COUNT(path, name, member, min, max)                    \
    {                                                          \
        path, name, SCHEMA_INT, AT(member), min, max, false, 0 \
    }

static const schema_field gpus_rows[] = {
    TEXT("", "name", spec.name),
    TEXT("", "vendor", spec.vendor),
    TEXT("", "note", spec.note),
    POSITIVE("", "memory_gb", spec.memory_gb, 1e5),
    POSITIVE("", "memory_mib", memory_mib, 1e8),
    TEXT("", "memory_type", spec.memory_type),
    POSITIVE("", "bandwidth_gbs", spec.bandwidth_gbs, 1e6),
    POSITIVE("", "fp32_tflops", spec.tflops[PREC_FP32], 1e6),
    RATE("", "tf32_tflops", spec.tflops[PREC_TF32]),
    RATE("", "fp16_tflops", spec.tflops[PREC_FP16]),
    RATE("", "bf16_tflops", spec.tflops[PREC_BF16]),
    RATE("", "fp8_tflops", spec.tflops[PREC_FP8]),
    RATE("", "int8_tops", spec.tflops[PREC_INT8]),
    RATE("", "int4_tops", spec.tflops[PREC_INT4]),
    RATE("", "fp4_tflops", spec.tflops[PREC_FP4]),
    RATE("", "fp16_vector_tflops", spec.fp16_vector_tflops),
    TEXT("", "architecture", spec.architecture),
    {"", "compute_capability", SCHEMA_REAL, AT(spec.compute_capability), 1, 99, false, 0},
    COUNT("", "release_year", spec.release_year, 1999, 2100),
    POSITIVE("", "tdp_watts", spec.tdp_w, 1e5),
    POSITIVE("", "idle_watts", spec.idle_w, 1e5),
    TEXT("", "form", spec.form),
    RATE("", "nvlink_gbs", spec.nvlink_gbs),
    COUNT("", "pcie_gen", spec.pcie_gen, 1, 10),
    {"", "peer_access", SCHEMA_BOOL, AT(spec.peer_access), 0, 0, false, 0},
    {"", "aliases", SCHEMA_TEXTS, AT(aliases), 0, 0, false, 0},
};

#define FAMILY(path, family)                                                                                           \
    {path,       "batch_scaling_curve", SCHEMA_REALS, AT(spec.performance[family].batch_scaling_curve), 0, 1024, true, \
     BATCH_CURVE},                                                                                                     \
        POSITIVE(path, "memory_efficiency", spec.performance[family].memory_efficiency, 1),                            \
        POSITIVE(path, "tensor_core_utilization", spec.performance[family].tensor_core_utilization, 1),                \
        POSITIVE(path, "architecture_multiplier", spec.performance[family].architecture_multiplier, 100),              \
        POSITIVE(path, "interval", spec.performance[family].interval, 10)

static const schema_field profile_rows[] = {
    TEXT("", "name", spec.name),
    POSITIVE("thermal", "tdp_watts", spec.tdp_w, 1e5),
    CLOCK("thermal", "base_clock_mhz", spec.base_mhz),
    CLOCK("thermal", "boost_clock_mhz", spec.boost_mhz),
    POSITIVE("thermal", "throttle_temp_celsius", spec.throttle_temp_c, 200),
    POSITIVE("thermal", "thermal_factor_sustained", spec.thermal_factor_sustained, 1),
    POSITIVE("memory", "l1_cache_kb", spec.l1_kb, 1e5),
    POSITIVE("memory", "l2_cache_mb", spec.l2_mb, 1e5),
    COUNT("memory", "memory_channels", spec.memory_channels, 1, 4096),
    POSITIVE("memory", "cache_hit_ratio", spec.cache_hit_ratio, 1),
    POSITIVE("memory", "coalescing_efficiency", spec.coalescing_efficiency, 1),
    COUNT("architecture", "cuda_cores", spec.cuda_cores, 1, UNITS_MAX),
    COUNT("architecture", "tensor_cores", spec.tensor_cores, 0, 1e6),
    COUNT("architecture", "rt_cores", spec.rt_cores, 0, 1e6),
    COUNT("architecture", "streaming_multiprocessors", spec.sms, 1, 1e5),
    COUNT("architecture", "memory_bus_width", spec.memory_bus_bits, 8, 131072),
    FAMILY("model_performance.cnn", FAMILY_CNN),
    FAMILY("model_performance.transformer", FAMILY_TRANSFORMER),
    FAMILY("model_performance.rnn", FAMILY_RNN),
    TEXT("calibration", "runtimes", spec.calibrated_runtimes),
    POSITIVE("calibration", "host_factor", spec.host_factor, 100),
    POSITIVE("precision", "fp16_multiplier", spec.fp16_multiplier, 128),
    POSITIVE("precision", "int8_multiplier", spec.int8_multiplier, 256),
    POSITIVE("precision", "int4_multiplier", spec.int4_multiplier, 512),
};

enum {
    GPUS_ROWS = sizeof gpus_rows / sizeof gpus_rows[0],
    PROFILE_ROWS = sizeof profile_rows / sizeof profile_rows[0]
};
_Static_assert((int)GPUS_ROWS <= (int)GPU_FIELDS_MAX && (int)PROFILE_ROWS <= (int)GPU_FIELDS_MAX,
               "gpu_entry's arrays are too small");

static const schema gpus_schema = {gpus_rows, GPUS_ROWS}, profile_schema = {profile_rows, PROFILE_ROWS};

static bool given_in(const bool gpus[GPU_FIELDS_MAX], const bool profile[GPU_FIELDS_MAX], size_t offset)
{
    for (size_t i = 0; i < GPUS_ROWS; i++)
        if (gpus[i] && gpus_rows[i].offset == offset) return true;
    for (size_t i = 0; i < PROFILE_ROWS; i++)
        if (profile[i] && profile_rows[i].offset == offset) return true;
    return false;
}

bool config_given(const gpu_entry *g, size_t offset)
{
    return given_in(g->all_gpus, g->all_profile, offset);
}

static bool now(const gpu_entry *g, size_t offset)
{
    return given_in(g->now_gpus, g->now_profile, offset);
}

/* What can stand after [gpus. and be typed in a list of GPUs. */
static bool is_name(str s)
{
    char folded[GPU_NAME_MAX];
    if (s.len >= GPU_NAME_MAX || !str_fold(folded, sizeof folded, s)) return false;
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f || s.ptr[i] == ',') return false;
    return true;
}

static pg_code entry_new(gpu_catalog *c, const toml_node *n, const char *source, gpu_entry **out, pg_error *e)
{
    if (!is_name(n->key))
        return schema_error_key(e, PG_E_CONFIG, source, n,
                                "'%.*s' can't be a GPU's name: use 1 to %d characters, no comma", STR_ARG(n->key),
                                GPU_NAME_MAX - 1);
    if (c->count == c->cap) {
        size_t cap = c->cap ? c->cap * 2 : 128;
        gpu_entry **entries = arena_grow(&c->a, c->entries, c->count, cap, sizeof *entries);
        if (!entries) return error_nomem(e, &c->a);
        c->entries = entries;
        c->cap = cap;
    }
    gpu_entry *g = ARENA_NEW(&c->a, gpu_entry);
    if (!g) return error_nomem(e, &c->a);
    g->f.spec.key = str_copy(&c->a, n->key);
    if (!g->f.spec.key.ptr) return error_nomem(e, &c->a);
    size_t owner;
    pg_code code = names_add(c, n->key, c->count, false, &owner, e);
    if (code != PG_E_OK) return code;
    g->builtin = c->builtin;
    g->source = source;
    g->line = n->key_line;
    g->column = n->key_column;
    c->entries[c->count++] = *out = g;
    return PG_E_OK;
}

static pg_code add_alias(gpu_catalog *c, size_t index, const toml_node *n, const char *source, pg_error *e)
{
    gpu_entry *g = c->entries[index];
    size_t owner = index;
    if (!is_name(n->is.text))
        return schema_error_value(e, PG_E_CONFIG, source, n,
                                  "'%.*s' can't be an alias: use 1 to %d characters, no comma", STR_ARG(n->is.text),
                                  GPU_NAME_MAX - 1);
    pg_code code = names_add(c, n->is.text, index, false, &owner, e);
    if (owner != index)
        return schema_error_value(e, code, source, n, "alias '%.*s' of %.*s already names %.*s", STR_ARG(n->is.text),
                                  STR_ARG(g->f.spec.key), STR_ARG(c->entries[owner]->f.spec.key));
    if (code != PG_E_OK) return code;
    if (g->alias_count == g->alias_cap) {
        size_t cap = g->alias_cap ? g->alias_cap * 2 : 8;
        str *aliases = arena_grow(&c->a, g->aliases, g->alias_count, cap, sizeof *aliases);
        if (!aliases) return error_nomem(e, &c->a);
        g->aliases = aliases;
        g->alias_cap = cap;
    }
    str copy = str_copy(&c->a, n->is.text);
    if (!copy.ptr) return error_nomem(e, &c->a);
    g->aliases[g->alias_count++] = copy;
    return PG_E_OK;
}

/* The GPU of a section: a known one, also by alias, or a new one. */
static pg_code entry_of(gpu_catalog *c, const toml_node *n, bool profile, const char *source, size_t *index,
                        pg_error *e)
{
    ptrdiff_t found = names_find(c, n->key);
    gpu_entry *g = found >= 0 ? c->entries[found] : NULL;
    if (!g) {
        pg_code code = entry_new(c, n, source, &g, e);
        if (code != PG_E_OK) return code;
        found = (ptrdiff_t)c->count - 1;
    }
    unsigned *file = profile ? &g->file_profiles : &g->file_gpus;
    if (*file == c->file)
        return schema_error_key(e, PG_E_CONFIG, source, n, "'%.*s' is %.*s, which this file has already",
                                STR_ARG(n->key), STR_ARG(g->f.spec.key));
    *file = c->file;
    if (g->layer != c->layer) {
        g->layer = c->layer;
        g->before = g->f;
        memset(g->now_gpus, 0, sizeof g->now_gpus);
        memset(g->now_profile, 0, sizeof g->now_profile);
    }
    *index = (size_t)found;
    return PG_E_OK;
}

static pg_code read_gpu(gpu_catalog *c, const toml_node *n, bool profile, const char *source, pg_error *e)
{
    char section[GPU_NAME_MAX + 16];
    size_t index = 0;
    pg_code code = entry_of(c, n, profile, source, &index, e);
    if (code != PG_E_OK) return code;
    gpu_entry *g = c->entries[index];
    format_text(section, sizeof section, "%s.%.*s", profile ? "profiles" : "gpus", STR_ARG(n->key));
    schema_context at = {&c->a, source, section};
    g->f.aliases = NULL;
    code = schema_read(profile ? &profile_schema : &gpus_schema, n, &at, &g->f, profile ? g->now_profile : g->now_gpus,
                       e);
    if (code != PG_E_OK) return code;
    if (profile) g->f.spec.profiled = true;
    if (!c->builtin) g->f.spec.overridden = true;
    for (const toml_node *alias = g->f.aliases ? g->f.aliases->is.first : NULL; alias; alias = alias->next) {
        code = add_alias(c, index, alias, source, e);
        if (code != PG_E_OK) {
            error_path(e, "%s.aliases", section);
            return code;
        }
    }
    g->f.aliases = NULL;
    /* The display name matches too, unless another GPU has it already: two boards may well share one. */
    size_t owner;
    return g->f.spec.name.len && is_name(g->f.spec.name) ? names_add(c, g->f.spec.name, index, true, &owner, e)
                                                         : PG_E_OK;
}

static pg_code read_section(gpu_catalog *c, const toml_node *table, bool profile, const char *source, pg_error *e)
{
    if (table->kind != TOML_TABLE)
        return schema_error_value(e, PG_E_CONFIG, source, table, "'%.*s' must be a table, not %s", STR_ARG(table->key),
                                  toml_kind_name(table->kind));
    for (const toml_node *n = table->is.first; n; n = n->next) {
        pg_code code = read_gpu(c, n, profile, source, e);
        if (code != PG_E_OK) return code;
    }
    return PG_E_OK;
}

static pg_code read_default(gpu_catalog *c, const toml_node *n, const char *source, pg_error *e)
{
    if (n->kind != TOML_TEXT)
        return schema_error_value(e, PG_E_CONFIG, source, n, "default_gpu must be a text, not %s",
                                  toml_kind_name(n->kind));
    c->default_name = str_copy(&c->a, n->is.text);
    if (!c->default_name.ptr) return error_nomem(e, &c->a);
    c->default_source = source;
    c->default_line = n->line;
    c->default_column = n->column;
    return PG_E_OK;
}

pg_code config_read(gpu_catalog *c, str text, const char *source, pg_error *e)
{
    toml_node *root = NULL;
    pg_code code = toml_parse(&c->scratch, text, source, &root, e);
    c->file++;
    for (int profiles = 0; profiles < 2 && code == PG_E_OK; profiles++) /* [gpus] first: a profile is more specific */
        for (const toml_node *n = root->is.first; n && code == PG_E_OK; n = n->next) {
            if (str_is(n->key, profiles ? "profiles" : "gpus")) {
                code = read_section(c, n, profiles, source, e);
            } else if (str_is(n->key, "default_gpu")) {
                if (!profiles) code = read_default(c, n, source, e);
            } else if (!str_is(n->key, "runtimes") && !str_is(n->key, "gpus") && !str_is(n->key, "profiles")) {
                /* [runtimes] may live in the same folder or file; another reader takes it. */
                code = schema_error_key(
                    e, PG_E_CONFIG, source, n,
                    "unknown key '%.*s'; at the top there are default_gpu, [gpus.KEY] and [profiles.KEY]",
                    STR_ARG(n->key));
            }
        }
    return code;
}

void config_begin_layer(gpu_catalog *c, bool builtin)
{
    c->layer++;
    c->builtin = builtin;
}

/* How a number that hangs on another changes with it; 1 where the old one isn't known. */
static double ratio(double after, double before)
{
    return after > 0 && before > 0 ? after / before : 1;
}

static int scale_count(int n, double by)
{
    double x = n * by + 0.5;
    return x < UNITS_MAX ? (int)x : UNITS_MAX;
}

/* More or fewer SMs mean as many more or fewer units, unless the layer says how many. */
static void follow_sms(gpu_entry *g)
{
    gpu_spec *s = &g->f.spec;
    double by = ratio(s->sms, g->before.spec.sms);
    if (!now(g, AT(spec.cuda_cores))) s->cuda_cores = scale_count(s->cuda_cores, by);
    if (!now(g, AT(spec.tensor_cores))) s->tensor_cores = scale_count(s->tensor_cores, by);
}

static void follow_units(gpu_entry *g)
{
    gpu_spec *s = &g->f.spec;
    const gpu_spec *was = &g->before.spec;
    double clock = ratio(s->boost_mhz, was->boost_mhz);
    double cores = clock * ratio(s->cuda_cores, was->cuda_cores),
           tensor = clock * ratio(s->tensor_cores, was->tensor_cores);
    if (!now(g, AT(spec.tflops[PREC_FP32]))) s->tflops[PREC_FP32] *= cores;
    if (!now(g, AT(spec.fp16_vector_tflops))) s->fp16_vector_tflops *= cores;
    for (size_t p = PREC_TF32; p < PREC_COUNT; p++)
        if (!now(g, AT(spec.tflops) + p * sizeof s->tflops[0])) s->tflops[p] *= tensor;
    if (!now(g, AT(spec.bandwidth_gbs))) s->bandwidth_gbs *= ratio(s->memory_bus_bits, was->memory_bus_bits);
    if (now(g, AT(spec.memory_gb)) && !now(g, AT(memory_mib))) g->f.memory_mib = 0;
}

/* A multiplier that a user gives for a GPU with a known peak replaces that peak. */
static void follow_multipliers(gpu_entry *g)
{
    gpu_spec *s = &g->f.spec;
    double fp32 = s->tflops[PREC_FP32];
    if (now(g, AT(spec.fp16_multiplier))) {
        if (!now(g, AT(spec.tflops[PREC_FP16]))) s->tflops[PREC_FP16] = s->fp16_multiplier * fp32;
        if (!now(g, AT(spec.tflops[PREC_BF16])) && s->tflops[PREC_BF16] > 0)
            s->tflops[PREC_BF16] = s->fp16_multiplier * fp32;
    }
    if (now(g, AT(spec.int8_multiplier)) && !now(g, AT(spec.tflops[PREC_INT8])))
        s->tflops[PREC_INT8] = s->int8_multiplier * fp32;
    if (now(g, AT(spec.int4_multiplier)) && !now(g, AT(spec.tflops[PREC_INT4])))
        s->tflops[PREC_INT4] = s->int4_multiplier * fp32;
}

void config_end_layer(gpu_catalog *c)
{
    for (size_t i = 0; i < c->count; i++) {
        gpu_entry *g = c->entries[i];
        gpu_spec *s = &g->f.spec;
        if (g->layer != c->layer) continue;
        if (now(g, AT(spec.sms))) follow_sms(g);
        follow_units(g);
        follow_multipliers(g);
        /* Not a guess: what the peak was computed from. Later layers then can change the clock in proportion. */
        if (s->boost_mhz <= 0 && s->cuda_cores > 0) s->boost_mhz = s->tflops[PREC_FP32] * 1e6 / (2.0 * s->cuda_cores);
        for (size_t k = 0; k < GPU_FIELDS_MAX; k++) {
            g->all_gpus[k] |= g->now_gpus[k];
            g->all_profile[k] |= g->now_profile[k];
        }
    }
}
