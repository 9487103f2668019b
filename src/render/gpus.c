/* list-gpus, list-hardware and list-models. */
#include "render/fields.h"
#include "render/render.h"

#define GPU(name, kind, member)                     \
    {                                               \
        name, kind, offsetof(pg_gpu, member), false \
    }

/* The first GPU_BASIC_FIELDS are what list-gpus gives. */
static const field gpu_fields[] = {
    GPU("key", FIELD_TEXT, key),
    GPU("name", FIELD_TEXT, name),
    GPU("vendor", FIELD_TEXT, vendor),
    GPU("architecture", FIELD_TEXT, architecture),
    GPU("compute_capability", FIELD_POSITIVE, compute_capability),
    GPU("release_year", FIELD_COUNT, release_year),
    GPU("form", FIELD_TEXT, form),
    GPU("memory_gb", FIELD_POSITIVE, memory_gb),
    GPU("memory_bytes", FIELD_BYTES, memory_bytes),
    GPU("memory_type", FIELD_TEXT, memory_type),
    GPU("bandwidth_gbs", FIELD_POSITIVE, bandwidth_gbs),
    GPU("fp32_tflops", FIELD_POSITIVE, fp32_tflops),
    GPU("tf32_tflops", FIELD_POSITIVE, tf32_tflops),
    GPU("fp16_tflops", FIELD_POSITIVE, fp16_tflops),
    GPU("bf16_tflops", FIELD_POSITIVE, bf16_tflops),
    GPU("fp8_tflops", FIELD_POSITIVE, fp8_tflops),
    GPU("int8_tops", FIELD_POSITIVE, int8_tops),
    GPU("fp4_tflops", FIELD_POSITIVE, fp4_tflops),
    GPU("int4_tops", FIELD_POSITIVE, int4_tops),
    GPU("tdp_watts", FIELD_POSITIVE, tdp_w),
    GPU("default", FIELD_BOOL, is_default),
    GPU("streaming_multiprocessors", FIELD_COUNT, streaming_multiprocessors),
    GPU("cuda_cores", FIELD_COUNT, cuda_cores),
    GPU("tensor_cores", FIELD_COUNT, tensor_cores),
    GPU("rt_cores", FIELD_COUNT, rt_cores),
    GPU("l1_cache_kb", FIELD_POSITIVE, l1_kb),
    GPU("l2_cache_mb", FIELD_POSITIVE, l2_mb),
    GPU("memory_bus_width", FIELD_COUNT, memory_bus_bits),
    GPU("memory_channels", FIELD_COUNT, memory_channels),
    GPU("base_clock_mhz", FIELD_POSITIVE, base_mhz),
    GPU("boost_clock_mhz", FIELD_POSITIVE, boost_mhz),
    GPU("nvlink_gbs", FIELD_POSITIVE, nvlink_gbs),
    GPU("pcie_gen", FIELD_COUNT, pcie_gen),
    GPU("throttle_temp_celsius", FIELD_POSITIVE, throttle_temp_c),
    GPU("thermal_factor_sustained", FIELD_POSITIVE, thermal_factor_sustained),
    GPU("cache_hit_ratio", FIELD_POSITIVE, cache_hit_ratio),
    GPU("coalescing_efficiency", FIELD_POSITIVE, coalescing_efficiency),
    GPU("fp16_multiplier", FIELD_POSITIVE, fp16_multiplier),
    GPU("int8_multiplier", FIELD_POSITIVE, int8_multiplier),
    GPU("int4_multiplier", FIELD_POSITIVE, int4_multiplier),
    GPU("derived", FIELD_BOOL, derived),
};

enum { GPU_FIELDS = sizeof gpu_fields / sizeof gpu_fields[0], GPU_BASIC_FIELDS = 21 };

static void gpus_json(buffer *out, const pg_gpu *const *gpus, size_t count, size_t fields, render_warnings warnings)
{
    jsonw j;
    jsonw_init(&j, out);
    jsonw_object(&j, JSONW_LINES);
    jsonw_key(&j, "gpus");
    jsonw_array(&j, JSONW_LINES);
    for (size_t i = 0; i < count; i++) {
        jsonw_object(&j, fields == GPU_FIELDS ? JSONW_LINES : JSONW_INLINE);
        fields_json(&j, gpu_fields, fields, gpus[i], false);
        jsonw_key(&j, "aliases");
        jsonw_array(&j, JSONW_INLINE);
        for (size_t k = 0; k < gpus[i]->alias_count; k++) jsonw_text(&j, gpus[i]->aliases[k]);
        jsonw_end(&j);
        jsonw_end(&j);
    }
    jsonw_end(&j);
    render_warnings_json(&j, warnings);
    jsonw_finish(&j);
}

static void gpus_csv(buffer *out, const pg_gpu *const *gpus, size_t count, size_t fields)
{
    fields_csv_names(out, "", gpu_fields, fields, true);
    csv_end(out);
    for (size_t i = 0; i < count; i++) {
        fields_csv(out, gpu_fields, fields, gpus[i], false, true);
        csv_end(out);
    }
}

/* Rates as datasheets give them: "82.6" "1,979"; 0 is no such unit. */
static void rate_cell(table *t, double x)
{
    char text[NUMBER_SIZE];
    if (x <= 0) table_cell(t, TONE_DIM, "-");
    else if (x >= 1000) table_cell(t, TONE_PLAIN, "%s", number_whole(text, sizeof text, x));
    else table_cell(t, TONE_PLAIN, "%.4g", x);
}

/* "H100 SXM5 80GB": the vendor goes without saying where the space is short. */
static const char *short_name(const pg_gpu *g)
{
    if (!g->name) return "";
    size_t len = g->vendor ? strlen(g->vendor) : 0;
    return len && strncmp(g->name, g->vendor, len) == 0 && g->name[len] == ' ' ? g->name + len + 1 : g->name;
}

static void basic_table(report *r, const pg_gpu *const *gpus, size_t count)
{
    static const column columns[] = {
        {"GPU", ALIGN_LEFT, 0, 0, false, false},          {"Name", ALIGN_LEFT, 107, 0, false, false},
        {"Memory", ALIGN_RIGHT, 0, 0, false, false},      {"Type", ALIGN_LEFT, 108, 0, false, false},
        {"GB/s", ALIGN_RIGHT, 0, 0, false, false},        {"FP32", ALIGN_RIGHT, 0, 0, false, false},
        {"FP16", ALIGN_RIGHT, 0, 0, false, false},        {"FP8", ALIGN_RIGHT, 105, 0, false, false},
        {"INT8", ALIGN_RIGHT, 4, 0, false, false},        {"Power", ALIGN_RIGHT, 106, 0, false, false},
        {"Architecture", ALIGN_LEFT, 2, 0, false, false}, {"Year", ALIGN_RIGHT, 109, 0, false, false},
    };
    table t;
    table_init(&t, r, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < count; i++) {
        const pg_gpu *g = gpus[i];
        char text[NUMBER_SIZE];
        table_cell(&t, g->is_default ? TONE_GOOD : TONE_BOLD, "%s%s", g->key, g->is_default ? " *" : "");
        table_cell(&t, TONE_PLAIN, "%s", short_name(g));
        table_cell(&t, TONE_PLAIN, "%g GB", g->memory_gb);
        table_cell(&t, TONE_DIM, "%s", g->memory_type ? g->memory_type : "");
        rate_cell(&t, g->bandwidth_gbs);
        rate_cell(&t, g->fp32_tflops);
        rate_cell(&t, g->fp16_tflops);
        rate_cell(&t, g->fp8_tflops);
        rate_cell(&t, g->int8_tops);
        table_cell(&t, TONE_PLAIN, "%s", number_watts(text, sizeof text, g->tdp_w > 0 ? g->tdp_w : -1));
        table_cell(&t, TONE_PLAIN, "%s", g->architecture ? g->architecture : "");
        if (g->release_year > 0) table_cell(&t, TONE_DIM, "%d", g->release_year);
        else table_cell(&t, TONE_DIM, "-");
    }
    table_print(&t, 0);
    report_gap(r);
    report_text(r, TONE_DIM,
                "FP32, FP16 and FP8 in TFLOPS, INT8 in TOPS: dense peaks with FP32 accumulation. "
                "* is the default GPU.");
}

static void count_cell(table *t, int x)
{
    rate_cell(t, x);
}

static void profile_table(report *r, const pg_gpu *const *gpus, size_t count)
{
    static const column columns[] = {
        {"GPU", ALIGN_LEFT, 0, 0, false, false},          {"SMs", ALIGN_RIGHT, 0, 0, false, false},
        {"CUDA cores", ALIGN_RIGHT, 0, 0, false, false},  {"Tensor cores", ALIGN_RIGHT, 3, 0, false, false},
        {"L1 KB", ALIGN_RIGHT, 4, 0, false, false},       {"L2 MB", ALIGN_RIGHT, 0, 0, false, false},
        {"Bus bits", ALIGN_RIGHT, 5, 0, false, false},    {"Base MHz", ALIGN_RIGHT, 6, 0, false, false},
        {"Boost MHz", ALIGN_RIGHT, 0, 0, false, false},   {"TDP W", ALIGN_RIGHT, 0, 0, false, false},
        {"NVLink GB/s", ALIGN_RIGHT, 7, 0, false, false}, {"PCIe", ALIGN_RIGHT, 8, 0, false, false},
    };
    table t;
    table_init(&t, r, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < count; i++) {
        const pg_gpu *g = gpus[i];
        table_cell(&t, g->is_default ? TONE_GOOD : TONE_BOLD, "%s%s", g->key, g->is_default ? " *" : "");
        count_cell(&t, g->streaming_multiprocessors);
        count_cell(&t, g->cuda_cores);
        count_cell(&t, g->tensor_cores);
        rate_cell(&t, g->l1_kb);
        rate_cell(&t, g->l2_mb);
        count_cell(&t, g->memory_bus_bits);
        rate_cell(&t, g->base_mhz);
        rate_cell(&t, g->boost_mhz);
        rate_cell(&t, g->tdp_w);
        rate_cell(&t, g->nvlink_gbs);
        count_cell(&t, g->pcie_gen);
    }
    table_print(&t, 0);
    report_gap(r);
    report_text(r, TONE_DIM, "- is not known or no such unit. * is the default GPU. --verbose shows more.");
}

static void aliases_pair(report *r, const pg_gpu *g)
{
    char text[1024];
    size_t n = 0;
    for (size_t i = 0; i < g->alias_count && n < sizeof text; i++)
        n += format_text(text + n, sizeof text - n, "%s%s", i ? ", " : "", g->aliases[i]);
    if (n) report_pair(r, "aliases", TONE_DIM, "%s", text);
}

/* Under the names that the TOML files use. */
static void all_of(report *r, const pg_gpu *g)
{
    report_heading(r, 2, g->key, g->name);
    r->label_width = 28;
    for (size_t i = 2; i < GPU_FIELDS; i++) {
        const field *f = &gpu_fields[i];
        const char *text = field_text(f, g, false);
        double x = f->kind == FIELD_TEXT ? (double)NAN : field_number(f, g, false);
        if (text) report_pair(r, f->name, TONE_PLAIN, "%s", text);
        else if (f->kind == FIELD_BOOL && x != 0) report_pair(r, f->name, TONE_PLAIN, "yes");
        else if (strcmp(f->name, "compute_capability") == 0 && x > 0) report_pair(r, f->name, TONE_PLAIN, "%.1f", x);
        else if (f->kind != FIELD_BOOL && !isnan(x)) report_pair(r, f->name, TONE_PLAIN, "%.12g", x);
    }
    aliases_pair(r, g);
    r->label_width = 0;
}

void render_gpus(report *r, const pg_gpu *const *gpus, size_t count, gpu_detail detail, render_warnings warnings)
{
    size_t fields = detail == GPU_BASIC ? GPU_BASIC_FIELDS : GPU_FIELDS;
    if (r->format == RENDER_JSON) gpus_json(r->out, gpus, count, fields, warnings);
    else if (r->format == RENDER_CSV) gpus_csv(r->out, gpus, count, fields);
    else if (detail == GPU_BASIC) basic_table(r, gpus, count);
    else if (detail == GPU_PROFILES) profile_table(r, gpus, count);
    else
        for (size_t i = 0; i < count; i++) all_of(r, gpus[i]);
}

static const field builtin_fields[] = {
    {"name", FIELD_TEXT, offsetof(pg_builtin, name), false},
    {"family", FIELD_TEXT, offsetof(pg_builtin, family), false},
    {"description", FIELD_TEXT, offsetof(pg_builtin, description), false},
    {"parameters", FIELD_BYTES, offsetof(pg_builtin, parameters), false},
    {"image_size", FIELD_COUNT, offsetof(pg_builtin, image_size), false},
    {"sequence", FIELD_COUNT, offsetof(pg_builtin, sequence), false},
};

enum { BUILTIN_FIELDS = sizeof builtin_fields / sizeof builtin_fields[0] };

static void builtins_json(buffer *out, const pg_builtin *models, size_t count)
{
    jsonw j;
    jsonw_init(&j, out);
    jsonw_object(&j, JSONW_LINES);
    jsonw_key(&j, "models");
    jsonw_array(&j, JSONW_LINES);
    for (size_t i = 0; i < count; i++) {
        jsonw_object(&j, JSONW_INLINE);
        fields_json(&j, builtin_fields, BUILTIN_FIELDS, &models[i], false);
        jsonw_end(&j);
    }
    jsonw_finish(&j);
}

static void builtins_table(report *r, const pg_builtin *models, size_t count)
{
    static const column columns[] = {
        {"Model", ALIGN_LEFT, 0, 0, false, false},        {"Family", ALIGN_LEFT, 2, 0, false, false},
        {"Parameters", ALIGN_RIGHT, 0, 0, false, false},  {"Input", ALIGN_LEFT, 1, 0, false, false},
        {"Description", ALIGN_LEFT, 3, 20, false, false},
    };
    table t;
    table_init(&t, r, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < count; i++) {
        const pg_builtin *m = &models[i];
        char text[NUMBER_SIZE];
        table_cell(&t, TONE_BOLD, "%s", m->name);
        table_cell(&t, TONE_PLAIN, "%s", m->family ? m->family : "");
        table_cell(&t, TONE_PLAIN, "%s", number_parameters(text, sizeof text, m->parameters));
        if (m->image_size > 0) table_cell(&t, TONE_PLAIN, "%dx%d", m->image_size, m->image_size);
        else if (m->sequence > 0) table_cell(&t, TONE_PLAIN, "%d tokens", m->sequence);
        else table_cell(&t, TONE_DIM, "-");
        table_cell(&t, TONE_DIM, "%s", m->description ? m->description : "");
    }
    table_print(&t, 0);
}

void render_builtins(report *r, const pg_builtin *models, size_t count)
{
    if (r->format == RENDER_JSON) {
        builtins_json(r->out, models, count);
    } else if (r->format == RENDER_CSV) {
        fields_csv_names(r->out, "", builtin_fields, BUILTIN_FIELDS, true);
        csv_end(r->out);
        for (size_t i = 0; i < count; i++) {
            fields_csv(r->out, builtin_fields, BUILTIN_FIELDS, &models[i], false, true);
            csv_end(r->out);
        }
    } else {
        builtins_table(r, models, count);
    }
}
