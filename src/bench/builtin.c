/* The built-in points and fit steps, data/benchmarks and data/fit.toml, put into the program by the build. */
#include "bench/builtin.h"

#define POINTS(name)                                   \
    extern const char data_benchmarks_##name##_json[]; \
    extern const size_t data_benchmarks_##name##_json_len;
#include "bench/builtin.def"
#undef POINTS

extern const char data_fit_toml[];
extern const size_t data_fit_toml_len;
extern const char data_cost_constants_start[];
extern const size_t data_cost_constants_start_len;

static const struct {
    const char *name, *bytes;
    const size_t *len;
} files[] = {
#define POINTS(name) {#name, data_benchmarks_##name##_json, &data_benchmarks_##name##_json_len},
#include "bench/builtin.def"
#undef POINTS
};

pg_code bench_read_builtin(bench_rows *r, bool kernels_only, pg_error *e)
{
    pg_code code = PG_E_OK;
    size_t before = r->count;
    for (size_t i = 0; i < sizeof files / sizeof files[0] && !code; i++)
        code = bench_parse(r, files[i].bytes, *files[i].len, files[i].name, "", e);
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
