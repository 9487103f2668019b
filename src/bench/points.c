#define _POSIX_C_SOURCE 200809L
#include "bench/points.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/map.h"

/* Limits on what a file can make us allocate: jansson takes about 40 bytes for a value and 250 for an object. */
enum { BYTES_MOST = 64 << 20, VALUES_MOST = 8 << 20, OBJECTS_MOST = 400000, TEXT_MOST = 4096, NAME_SHOWN = 60 };

static const char *const tasks[] = {"inference", "training", "prefill", "decode", "serving"};
static const char *const metrics[] = {"latency_ms", "throughput",   "tokens_per_s", "ttft_ms",
                                      "tpot_ms",    "memory_bytes", "power_w",      "energy_j"};
static const char *const layouts[] = {"nchw", "nhwc"};

_Static_assert(sizeof tasks / sizeof tasks[0] == TASK_COUNT, "a name for each task");
_Static_assert(sizeof metrics / sizeof metrics[0] == METRIC_COUNT, "a name for each metric");
_Static_assert(BENCH_KEYS <= 64, "a bit for each key");

const bench_key bench_key_table[BENCH_KEYS] = {
#define BENCH_KEY(name, kind, low, high, meaning) {#name, meaning, BENCH_##kind, offsetof(bench_row, name), low, high},
#include "bench/keys.def"
#undef BENCH_KEY
};

const char *bench_task_name(bench_task t)
{
    return tasks[t];
}

const char *bench_metric_name(bench_metric m)
{
    return metrics[m];
}

const char *bench_layout_name(bench_layout l)
{
    return layouts[l];
}

void bench_rows_init(bench_rows *r, allocator alloc)
{
    *r = (bench_rows){.rows = NULL};
    arena_init(&r->a, alloc, 0);
}

void bench_rows_free(bench_rows *r)
{
    arena_free(&r->a);
    *r = (bench_rows){.rows = NULL};
}

/* ---- one value ---- */

static const char *type_name(const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "an array";
    case JSON_STRING: return "a text";
    case JSON_INTEGER:
    case JSON_REAL: return "a number";
    case JSON_NULL: return "null";
    default: return "true or false";
    }
}

static pg_code wrong_type(const bench_key *k, const char *wanted, const json_t *v, pg_error *e)
{
    return error_set(e, PG_E_CONFIG, "%s: must be %s, not %s", k->name, wanted, type_name(v));
}

static pg_code read_choice(const bench_key *k, const char *const *names, int count, const json_t *v, int *out,
                           pg_error *e)
{
    char all[160] = "";
    size_t n = 0;
    if (!json_is_string(v)) return wrong_type(k, "a text", v, e);
    for (int i = 0; i < count; i++) {
        if (!strcmp(json_string_value(v), names[i])) {
            *out = i;
            return PG_E_OK;
        }
        if (n < sizeof all) n += format_text(all + n, sizeof all - n, "%s%s", i ? ", " : "", names[i]);
    }
    return error_set(e, PG_E_CONFIG, "%s: '%.*s' is none of %s", k->name, NAME_SHOWN, json_string_value(v), all);
}

static pg_code read_text(bench_rows *r, const bench_key *k, const json_t *v, bench_text *out, pg_error *e)
{
    if (!json_is_string(v)) return wrong_type(k, "a text", v, e);
    size_t len = json_string_length(v);
    if (len > TEXT_MOST) return error_set(e, PG_E_CONFIG, "%s: is longer than %d bytes", k->name, TEXT_MOST);
    *out = str_copy(&r->a, (str){json_string_value(v), len}).ptr;
    return *out ? PG_E_OK : error_nomem(e, &r->a);
}

static pg_code read_count(const bench_key *k, const json_t *v, int64_t *out, pg_error *e)
{
    if (!json_is_number(v)) return wrong_type(k, "a whole number", v, e);
    json_int_t x = json_integer_value(v);
    if (!json_is_integer(v) || (double)x < k->low || (double)x > k->high)
        return error_set(e, PG_E_CONFIG, "%s: must be a whole number from %.0f to %.0f", k->name, k->low, k->high);
    *out = x;
    return PG_E_OK;
}

static pg_code read_real(const bench_key *k, const json_t *v, double *out, pg_error *e)
{
    if (!json_is_number(v)) return wrong_type(k, "a number", v, e);
    *out = json_number_value(v);
    if (isfinite(*out) && *out > k->low && *out <= k->high) return PG_E_OK;
    return error_set(e, PG_E_CONFIG, "%s: must be above %g and at most %g, in the metric's unit", k->name, k->low,
                     k->high);
}

static pg_code read_value(bench_rows *r, bench_row *row, const bench_key *k, const json_t *v, pg_error *e)
{
    void *at = (char *)row + k->offset;
    int choice = 0;
    pg_code code = PG_E_OK;
    switch (k->kind) {
    case BENCH_TEXT: return read_text(r, k, v, at, e);
    case BENCH_COUNT: return read_count(k, v, at, e);
    case BENCH_REAL: return read_real(k, v, at, e);
    case BENCH_FLAG:
        if (!json_is_boolean(v)) return wrong_type(k, "true or false", v, e);
        *(bool *)at = json_is_true(v);
        return PG_E_OK;
    case BENCH_TASK:
        code = read_choice(k, tasks, TASK_COUNT, v, &choice, e);
        row->task = (bench_task)choice;
        return code;
    case BENCH_METRIC:
        code = read_choice(k, metrics, METRIC_COUNT, v, &choice, e);
        row->metric = (bench_metric)choice;
        return code;
    case BENCH_LAYOUT:
        code = read_choice(k, layouts, LAYOUT_COUNT, v, &choice, e);
        row->layout = (bench_layout)choice;
        return code;
    }
    return code;
}

/* ---- one row ---- */

static pg_code unknown_key(const char *name, pg_error *e)
{
    const char *meant = NULL;
    unsigned least = 3;
    for (int i = 0; i < BENCH_KEYS; i++) {
        unsigned d = str_distance(str_c(name), str_c(bench_key_table[i].name), least);
        if (d >= least) continue;
        least = d;
        meant = bench_key_table[i].name;
    }
    if (meant)
        return error_set(e, PG_E_CONFIG, "'%.*s' is no key of a row; did you mean '%s'?", NAME_SHOWN, name, meant);
    return error_set(e, PG_E_CONFIG, "'%.*s' is no key of a row; put remarks into 'notes'", NAME_SHOWN, name);
}

static bool exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

/* A file beside the benchmark file, else what the model is called: a built-in name, or a path that doesn't exist. */
static const char *model_path(bench_rows *r, const char *model, const char *folder)
{
    static const char *const extensions[] = {".onnx",        ".pb",   ".tflite", ".pt",   ".pth",
                                             ".safetensors", ".gguf", ".h5",     ".keras"};
    size_t size = strlen(folder) + strlen(model) + 1;
    if (!folder[0] || !model[0] || model[0] == '/' || str_starts(str_c(model), "op:")) return model;
    char *path = arena_alloc(&r->a, size);
    if (!path) return NULL;
    format_text(path, size, "%s%s", folder, model);
    bool of_hub = str_starts(str_c(model), "hf://");
    bool is_path = model[0] == '.' || exists(path);
    for (size_t i = 0; !is_path && !of_hub && i < sizeof extensions / sizeof extensions[0]; i++)
        is_path = str_ends(str_c(model), extensions[i]);
    return is_path ? path : model;
}

static const char *with_blocks(bench_rows *r, const char *model)
{
    static const char blocks[] = ":block=128";
    size_t size = strlen(model) + sizeof blocks;
    char *path = arena_alloc(&r->a, size);
    if (path) format_text(path, size, "%s%s", model, blocks);
    return path;
}

/* op:gemm:...:n=X:k=Y with Y and X. */
static const char *with_exchanged(bench_rows *r, const char *model)
{
    const char *n = strstr(model, ":n="), *k = n ? strstr(n, ":k=") : NULL;
    if (!k) return model;
    int before = (int)(n - model), columns = (int)(k - n) - 3;
    size_t size = strlen(model) + 1;
    char *path = arena_alloc(&r->a, size);
    if (path) format_text(path, size, "%.*s:n=%s:k=%.*s", before, model, k + 3, columns, n + 3);
    return path;
}

/* What the row's kernel really is, or where its model lies. */
static const char *path_of(bench_rows *r, const bench_row *row, const char *folder)
{
    if (bench_block_scaled(row)) return with_blocks(r, row->model);
    if (bench_exchanged(row)) return with_exchanged(r, row->model);
    return model_path(r, bench_model(row), folder);
}

static pg_code check_row(bench_rows *r, bench_row *row, const char *folder, pg_error *e)
{
    static const int required[] = {BENCH_KEY_model, BENCH_KEY_gpu, BENCH_KEY_metric, BENCH_KEY_value};
    for (size_t i = 0; i < sizeof required / sizeof required[0]; i++)
        if (!(row->given >> required[i] & 1))
            return error_set(e, PG_E_CONFIG, "lacks '%s': model, gpu, metric and value are needed",
                             bench_key_table[required[i]].name);
    if (!row->model[0]) return error_set(e, PG_E_CONFIG, "model: is empty");
    if (!row->gpu[0]) return error_set(e, PG_E_CONFIG, "gpu: is empty");
    row->path = path_of(r, row, folder);
    return row->path ? PG_E_OK : error_nomem(e, &r->a);
}

static pg_code read_row(bench_rows *r, bench_row *row, json_t *object, const map *keys, const char *folder, pg_error *e)
{
    const char *name;
    json_t *v;
    if (!json_is_object(object)) return error_set(e, PG_E_CONFIG, "must be an object, not %s", type_name(object));
    json_object_foreach(object, name, v)
    {
        const uint32_t *at = map_find(keys, str_c(name));
        if (!at) return unknown_key(name, e);
        pg_code code = read_value(r, row, &bench_key_table[*at], v, e);
        if (code) return code;
        row->given |= UINT64_C(1) << *at;
    }
    return check_row(r, row, folder, e);
}

/* ---- the file ---- */

/* jansson builds the whole tree before we see any of it: how large that can get is counted first. */
static pg_code check_size(const char *bytes, size_t len, pg_error *e)
{
    size_t values = 1, objects = 0;
    if (len > BYTES_MOST)
        return error_set(e, PG_E_LIMIT, "is larger than %d MB; split it into several files", BYTES_MOST >> 20);
    for (size_t i = 0; i < len; i++) {
        char c = bytes[i];
        values += c == ',' || c == '[' || c == '{';
        objects += c == '{' || c == '[';
    }
    if (values > VALUES_MOST || objects > OBJECTS_MOST)
        return error_set(e, PG_E_LIMIT, "holds more than %d rows or %d values; split it into several files",
                         OBJECTS_MOST, VALUES_MOST);
    return PG_E_OK;
}

static pg_code check_top(json_t *root, json_t **list, pg_error *e)
{
    const char *name;
    json_t *v;
    if (!json_is_object(root))
        return error_set(e, PG_E_CONFIG, "must be an object {\"version\": 1, \"benchmarks\": [...]}, not %s",
                         type_name(root));
    json_object_foreach(root, name, v)
    {
        if (!strcmp(name, "version")) {
            if (!json_is_integer(v) || json_integer_value(v) != 1)
                return error_set(e, PG_E_CONFIG, "version: this program reads version 1 of benchmark files");
        } else if (strcmp(name, "benchmarks") != 0) {
            return error_set(e, PG_E_CONFIG, "'%.*s' is no key of a benchmark file, which has version and benchmarks",
                             NAME_SHOWN, name);
        }
    }
    *list = json_object_get(root, "benchmarks");
    if (!*list) return error_set(e, PG_E_CONFIG, "has no 'benchmarks'");
    if (!json_is_array(*list))
        return error_set(e, PG_E_CONFIG, "benchmarks: must be an array, not %s", type_name(*list));
    return PG_E_OK;
}

static pg_code read_rows(bench_rows *r, json_t *root, const char *name, const char *folder, pg_error *e)
{
    json_t *list = NULL;
    map keys;
    pg_code code = check_top(root, &list, e);
    if (code) return code;
    size_t count = json_array_size(list), before = r->count;
    const char *file = str_copy(&r->a, str_c(name)).ptr;
    bench_row *rows = arena_array(&r->a, before + count + 1, sizeof *rows);
    map_init(&keys, &r->a);
    bool added = file && rows;
    for (uint32_t i = 0; added && i < BENCH_KEYS; i++)
        if (!map_add(&keys, str_c(bench_key_table[i].name), i, &added)) added = false;
    if (!added) return error_nomem(e, &r->a);
    if (before) memcpy(rows, r->rows, before * sizeof *rows);
    for (size_t i = 0; i < count; i++) {
        bench_row *row = &rows[before + i];
        row->file = file;
        row->number = (uint32_t)i + 1;
        code = read_row(r, row, json_array_get(list, i), &keys, folder, e);
        if (code) {
            error_path(e, "row %zu", i + 1);
            return code;
        }
    }
    r->rows = rows;
    r->count = r->cap = before + count;
    return PG_E_OK;
}

pg_code bench_parse(bench_rows *r, const char *bytes, size_t len, const char *name, const char *folder, pg_error *e)
{
    json_error_t je;
    pg_error local = PG_ERROR_INIT;
    if (!e) e = &local;
    pg_code code = check_size(bytes, len, e);
    json_t *root = code ? NULL : json_loadb(bytes, len, JSON_REJECT_DUPLICATES, &je);
    if (!code && !root) {
        code = error_set(e, PG_E_FORMAT, "is not valid JSON: %s", je.text);
        if (je.line > 0) error_line(e, (uint32_t)je.line, je.column > 0 ? (uint32_t)je.column : 0);
    }
    if (!code) code = read_rows(r, root, name, folder, e);
    json_decref(root);
    if (code) error_source(e, name);
    return code;
}

/* The whole file into the arena of its own; a FIFO or a device must not hang or never end. */
static pg_code read_file(arena *a, const char *path, str *out, pg_error *e)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return error_set(e, PG_E_IO, "can't be read: %s", strerror(errno));
    pg_code code = PG_E_OK;
    size_t cap = 0, len = 0;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) code = error_set(e, PG_E_IO, "is not a regular file");
    else if (st.st_size > BYTES_MOST)
        code = error_set(e, PG_E_LIMIT, "is larger than %d MB; split it into several files", BYTES_MOST >> 20);
    else cap = (size_t)st.st_size;
    char *bytes = code ? NULL : arena_alloc(a, cap + 1);
    if (!code && !bytes) code = error_nomem(e, a);
    while (!code && len < cap) {
        ssize_t n = read(fd, bytes + len, cap - len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) code = error_set(e, PG_E_IO, "can't be read: %s", strerror(errno));
        if (n <= 0) break;
        len += (size_t)n;
    }
    close(fd);
    *out = (str){bytes, len};
    return code;
}

pg_code bench_read(bench_rows *r, const char *path, pg_error *e)
{
    pg_error local = PG_ERROR_INIT;
    str bytes = {"", 0}, folder = str_c(path);
    arena a;
    if (!e) e = &local;
    arena_init(&a, r->a.alloc, 0);
    while (folder.len && folder.ptr[folder.len - 1] != '/') folder.len--;
    const char *start = str_copy(&a, folder).ptr;
    /* a file in the working directory: models beside it are found by "./model" */
    if (start && !folder.len) start = "./";
    pg_code code = start ? read_file(&a, path, &bytes, e) : error_nomem(e, &a);
    if (!code) code = bench_parse(r, bytes.ptr, bytes.len, path, start, e);
    if (code) error_source(e, path);
    arena_free(&a);
    return code;
}
