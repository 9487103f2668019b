/* The built-in points, compressed, and fit steps, data/benchmarks and data/fit.toml, put into the program by the build. */
#include "bench/builtin.h"

#include <zlib.h>

#define POINTS(name)                                       \
    extern const char data_benchmarks_##name##_json[];     \
    extern const size_t data_benchmarks_##name##_json_len; \
    extern const size_t data_benchmarks_##name##_json_whole;
#include "bench/builtin.def"
#undef POINTS

extern const char data_fit_toml[];
extern const size_t data_fit_toml_len;
extern const char data_cost_constants_start[];
extern const size_t data_cost_constants_start_len;

typedef struct points_file {
    const char *name, *bytes;
    const size_t *len, *whole; /* compressed, and as it was */
} points_file;

static const points_file files[] = {
#define POINTS(name) \
    {#name, data_benchmarks_##name##_json, &data_benchmarks_##name##_json_len, &data_benchmarks_##name##_json_whole},
#include "bench/builtin.def"
#undef POINTS
};

static pg_code read_points(bench_rows *r, const points_file *f, pg_error *e)
{
    arena a;
    uLongf n = (uLongf)*f->whole;
    arena_init(&a, r->a.alloc, 0);
    char *bytes = arena_alloc(&a, n ? n : 1);
    int z = bytes ? uncompress((Bytef *)bytes, &n, (const Bytef *)f->bytes, (uLong)*f->len) : Z_MEM_ERROR;
    pg_code code = z == Z_MEM_ERROR ? error_nomem(e, &a)
                 : z                ? error_set(e, PG_E_FORMAT, "the built-in points are damaged")
                                    : bench_parse(r, bytes, n, f->name, "", e);
    arena_free(&a);
    return code;
}

pg_code bench_read_builtin(bench_rows *r, bool kernels_only, pg_error *e)
{
    pg_code code = PG_E_OK;
    size_t before = r->count;
    for (size_t i = 0; i < sizeof files / sizeof files[0] && !code; i++) code = read_points(r, &files[i], e);
    if (code || !kernels_only) return code;
    size_t n = before;
    for (size_t i = before; i < r->count; i++)
        if (str_starts(str_c(r->rows[i].model), "op:")) r->rows[n++] = r->rows[i];
    r->count = n;
    return code;
}

str bench_fit_steps(void)
{
    return (str){data_fit_toml, data_fit_toml_len};
}

str bench_fit_start(void)
{
    return (str){data_cost_constants_start, data_cost_constants_start_len};
}
