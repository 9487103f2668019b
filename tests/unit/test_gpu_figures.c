/* The built-in GPUs' figures against each other: what follows from units, clocks, bus and generation must agree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include <math.h>

#include "base/error.h"
#include "gpu/gpu.h"
#include "support/heap.h"

static test_heap heap = {.fail_at = -1};
static gpu_catalog *catalog;

static int setup(void **state)
{
    (void)state;
    pg_error e = PG_ERROR_INIT;
    gpu_sources src = {.alloc = {heap_resize, &heap}};
    return gpu_catalog_open(&catalog, &src, &e) == PG_E_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    gpu_catalog_free(catalog);
    return heap.live ? -1 : 0;
}

static bool name_has(const gpu_spec *g, const char *word)
{
    size_t n = strlen(word);
    for (size_t i = 0; i + n <= g->name.len; i++)
        if (memcmp(g->name.ptr + i, word, n) == 0) return true;
    return false;
}

static bool is_nvidia(const gpu_spec *g)
{
    return str_is(g->vendor, "NVIDIA");
}

static bool near_ratio(double a, double b, double ratio, double most)
{
    return fabs(a / (b * ratio) - 1) <= most;
}

static void test_fp32_is_cores_times_clock(void **state)
{
    (void)state;
    for (size_t i = 0; i < gpu_count(catalog); i++) {
        const gpu_spec *g = gpu_at(catalog, i);
        if (is_nvidia(g) && !near_ratio(g->tflops[PREC_FP32], 2e-6 * g->cuda_cores * g->boost_mhz, 1, 0.03))
            fail_msg("%.*s: FP32 of %g TFLOPS is not 2 x %d cores x %g MHz", STR_ARG(g->key), g->tflops[PREC_FP32],
                     g->cuda_cores, g->boost_mhz);
    }
}

static void test_units_of_an_sm(void **state)
{
    (void)state;
    for (size_t i = 0; i < gpu_count(catalog); i++) {
        const gpu_spec *g = gpu_at(catalog, i);
        if (!is_nvidia(g)) continue;
        double cc = g->compute_capability;
        int cores = (cc >= 7 && cc < 8.05) || (cc >= 6 && cc < 6.05) ? 64 : 128, tensor = cc < 7 ? 0 : cc < 8 ? 8 : 4;
        if (g->cuda_cores != cores * g->sms) fail_msg("%.*s: not %d cores an SM", STR_ARG(g->key), cores);
        if (name_has(g, "GTX 16")) tensor = 0;
        if (g->tensor_cores != tensor * g->sms) fail_msg("%.*s: not %d tensor cores an SM", STR_ARG(g->key), tensor);
        if ((g->tensor_cores > 0) != (g->tflops[PREC_FP16] > 0))
            fail_msg("%.*s: FP16 tensor peak and tensor cores don't agree", STR_ARG(g->key));
    }
}

/* Bandwidth over bus width is what the memory's pins do. */
static void test_rate_of_a_pin(void **state)
{
    static const struct {
        const char *type;
        double least, most; /* Gbit/s */
    } kinds[] = {
        {"GDDR5", 4.9, 9},     {"GDDR5X", 9.9, 11.5}, {"GDDR6", 9.9, 20.1},   {"GDDR6X", 18.9, 23.1},
        {"GDDR7", 24.9, 32.1}, {"HBM2", 1.4, 2.45},   {"HBM2e", 3, 3.6},      {"HBM3", 5.1, 6.5},
        {"HBM3e", 5.8, 8},     {"LPDDR5", 4.2, 6.41}, {"LPDDR4x", 3.7, 4.27}, {"LPDDR5X", 8.5, 9.4},
    };
    (void)state;
    for (size_t i = 0; i < gpu_count(catalog); i++) {
        const gpu_spec *g = gpu_at(catalog, i);
        double rate = g->bandwidth_gbs * 8 / g->memory_bus_bits;
        size_t k = 0;
        while (k < sizeof kinds / sizeof kinds[0] && !str_is(g->memory_type, kinds[k].type)) k++;
        if (k == sizeof kinds / sizeof kinds[0])
            fail_msg("%.*s: memory '%.*s'", STR_ARG(g->key), STR_ARG(g->memory_type));
        if (rate < kinds[k].least || rate > kinds[k].most)
            fail_msg("%.*s: %g GB/s over %d bits is %.2f Gbit/s a pin", STR_ARG(g->key), g->bandwidth_gbs,
                     g->memory_bus_bits, rate);
    }
}

/* ECC and the driver keep up to 7 %; some vendors count 10^9 bytes. */
static void test_capacity(void **state)
{
    (void)state;
    for (size_t i = 0; i < gpu_count(catalog); i++) {
        const gpu_spec *g = gpu_at(catalog, i);
        double share = g->memory_bytes / (g->memory_gb * 1073741824);
        if (share < 0.93 || share > 1)
            fail_msg("%.*s: %g GB, but %.0f bytes", STR_ARG(g->key), g->memory_gb, g->memory_bytes);
    }
}

/* Peaks with FP32 accumulation: GeForce runs them at half the rate of the same chip on professional boards. */
static void test_tensor_rates_of_a_generation(void **state)
{
    (void)state;
    size_t checked = 0;
    for (size_t i = 0; i < gpu_count(catalog); i++) {
        const gpu_spec *g = gpu_at(catalog, i);
        double cc = g->compute_capability, fp32 = g->tflops[PREC_FP32], fp16 = g->tflops[PREC_FP16];
        bool geforce = name_has(g, "GeForce"), card = name_has(g, "RTX"), turing = cc > 7.4 && cc < 7.6,
             newer = (cc > 8.5 && cc < 8.65) || cc > 8.85;
        if (fp16 <= 0 || (!geforce && !card) || !(turing || newer)) continue;
        double half = (turing ? 4 : 2) * (geforce ? 1 : 2);
        if (!near_ratio(fp16, fp32, half, 0.03))
            fail_msg("%.*s: FP16 is %.2f of FP32, not %g", STR_ARG(g->key), fp16 / fp32, half);
        if (!near_ratio(g->tflops[PREC_INT8], fp32, turing ? 16 : 8, 0.03))
            fail_msg("%.*s: INT8 is %.2f of FP32", STR_ARG(g->key), g->tflops[PREC_INT8] / fp32);
        if (newer && (g->tflops[PREC_BF16] != fp16 || !near_ratio(g->tflops[PREC_TF32], fp16, 0.5, 0.03)))
            fail_msg("%.*s: BF16 or TF32 don't follow FP16", STR_ARG(g->key));
        if (cc > 8.85 && !near_ratio(g->tflops[PREC_FP8], fp16, 2, 0.03))
            fail_msg("%.*s: FP8 isn't twice FP16", STR_ARG(g->key));
        checked++;
    }
    assert_true(checked > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fp32_is_cores_times_clock),
        cmocka_unit_test(test_units_of_an_sm),
        cmocka_unit_test(test_rate_of_a_pin),
        cmocka_unit_test(test_capacity),
        cmocka_unit_test(test_tensor_rates_of_a_generation),
    };
    return cmocka_run_group_tests_name("gpu_figures", tests, setup, teardown);
}
