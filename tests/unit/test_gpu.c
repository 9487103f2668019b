/* The GPU layer: the built-in figures, names, the user's files over them, and every kind of error with its place. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "gpu/gpu.h"
#include "support/expect.h"
#include "support/heap.h"

static char dir[256]; /* a scratch directory, with sub-directories "work" and "config" */

static test_heap heap = {.fail_at = -1};

static void path_of(char out[512], const char *name)
{
    snprintf(out, 512, "%s/%s", dir, name);
}

static void write_file(const char *name, const char *text)
{
    char path[512];
    path_of(path, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
}

static void remove_file(const char *name)
{
    char path[512];
    path_of(path, name);
    remove(path);
}

/* Opens with "user.toml" holding `text` given explicitly (NULL: built-in files only). */
static pg_code open_with(gpu_catalog **c, const char *text, pg_error *e)
{
    char path[512];
    path_of(path, "user.toml");
    if (text) write_file("user.toml", text);
    gpu_sources src = {.alloc = {heap_resize, &heap}, .hardware_profiles = text ? path : NULL};
    return gpu_catalog_open(c, &src, e);
}

static gpu_catalog *open_good(const char *text)
{
    pg_error e = PG_ERROR_INIT;
    gpu_catalog *c = NULL;
    if (open_with(&c, text, &e) != PG_E_OK) fail_msg("%s:%u:%u: %s: %s", e.source, e.line, e.column, e.path, e.text);
    return c;
}

static const gpu_spec *get(const gpu_catalog *c, const char *name)
{
    const gpu_spec *g = gpu_find(c, str_c(name), NULL);
    if (!g) fail_msg("no GPU '%s'", name);
    return g;
}

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part)) fail_msg("'%s' lacks '%s'", text, part);
}

static void assert_key(const gpu_catalog *c, const char *name, const char *key)
{
    const gpu_spec *g = get(c, name);
    if (!str_is(g->key, key)) fail_msg("'%s' is %.*s, not %s", name, STR_ARG(g->key), key);
}

static void test_ten_keys(void **state)
{
    static const struct {
        const char *key, *form;
        double gb, bandwidth, fp32, fp16, tdp;
        int sms, year;
    } rows[] = {
        {"h200", "SXM5", 141, 4800, 66.9, 989.4, 700, 132, 2023},
        {"h100", "SXM5", 80, 3350, 66.9, 989.4, 700, 132, 2022},
        {"rtx5090", "PCIe", 32, 1792, 104.8, 209.5, 575, 170, 2025},
        {"rtx_pro_6000", "PCIe", 96, 1792, 126, 503.8, 600, 188, 2025},
        {"rtx4090", "PCIe", 24, 1008, 82.6, 165.2, 450, 128, 2022},
        {"a100", "PCIe", 80, 1935, 19.5, 312, 300, 108, 2021},
        {"a6000", "PCIe", 48, 768, 38.7, 154.8, 300, 84, 2020},
        {"l40s", "PCIe", 48, 864, 91.6, 362.05, 350, 142, 2023},
        {"rtx3090", "PCIe", 24, 936, 35.6, 71, 350, 82, 2020},
        {"v100", "SXM2", 32, 900, 15.7, 125, 300, 80, 2018},
    };
    (void)state;
    gpu_catalog *c = open_good(NULL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const gpu_spec *g = get(c, rows[i].key);
        assert_ptr_equal(g, gpu_at(c, i)); /* in the order of the file */
        assert_true(str_is(g->form, rows[i].form));
        expect_near(g->memory_gb, rows[i].gb, 1e-6);
        expect_near(g->bandwidth_gbs, rows[i].bandwidth, 1e-6);
        expect_near(g->tflops[PREC_FP32], rows[i].fp32, 1e-6);
        expect_near(g->tflops[PREC_FP16], rows[i].fp16, 1e-6);
        expect_near(g->tdp_w, rows[i].tdp, 1e-6);
        assert_int_equal(g->sms, rows[i].sms);
        assert_int_equal(g->release_year, rows[i].year);
    }
    expect_near(get(c, "h200")->memory_bytes, 143771.0 * 1048576, 1e-6);
    expect_near(get(c, "rtx4090")->memory_bytes, 24564.0 * 1048576, 1e-6);
    assert_true(get(c, "v100")->tflops[PREC_BF16] == 0 && get(c, "a100")->tflops[PREC_FP8] == 0);
    assert_true(str_is(gpu_default(c)->key, "rtx4090"));
    gpu_catalog_free(c);
}

static void test_every_gpu_is_complete(void **state)
{
    (void)state;
    gpu_catalog *c = open_good(NULL);
    assert_true(gpu_count(c) > 120);
    for (size_t i = 0; i < gpu_count(c); i++) {
        const gpu_spec *g = gpu_at(c, i);
        bool complete = g->bandwidth_gbs > 0 && g->tflops[PREC_FP32] > 0 && g->memory_bytes > 0 && g->memory_gb > 0 &&
                        g->sms > 0 && g->cuda_cores > 0 && g->tdp_w > 0 && g->boost_mhz > 0 && g->l1_kb > 0 &&
                        g->l2_mb > 0 && g->memory_bus_bits > 0 && g->release_year > 2000 && g->pcie_gen > 0 &&
                        g->name.len && g->vendor.len && g->architecture.len && g->memory_type.len && g->form.len;
        if (!complete || g->derived || g->overridden || !g->profiled || gpu_warning(c, g).len)
            fail_msg("%.*s is not complete", STR_ARG(g->key));
        if (g->tflops[PREC_FP16] > 0 && g->tflops[PREC_FP16] < g->tflops[PREC_FP32])
            fail_msg("%.*s: FP16 tensor peak below FP32", STR_ARG(g->key));
        assert_ptr_equal(gpu_find(c, g->key, NULL), g);
        for (size_t k = 0; k < gpu_alias_count(c, g); k++)
            assert_ptr_equal(gpu_find(c, gpu_alias_at(c, g, k), NULL), g);
    }
    assert_null(gpu_at(c, gpu_count(c)));
    gpu_catalog_free(c);
}

static void test_names(void **state)
{
    static const char *const names[][2] = {
        {"RTX 4090", "rtx4090"},
        {"rtx-4090", "rtx4090"},
        {"RTX_4090", "rtx4090"},
        {"4090", "rtx4090"},
        {"NVIDIA GeForce RTX 4090", "rtx4090"},
        {"GeForce RTX 4090", "rtx4090"},
        {"nvidia rtx 4090", "rtx4090"},
        {"NVIDIA A100-SXM4-80GB", "a100_sxm_80gb"},
        {"NVIDIA A100-SXM4-40GB", "a100_sxm_40gb"},
        {"A100-SXM4-80GB", "a100_sxm_80gb"},
        {"NVIDIA A100 80GB PCIe", "a100"},
        {"NVIDIA A100-PCIE-40GB", "a100_pcie_40gb"},
        {"a100_pcie_80gb", "a100"},
        {"a100-80gb-pcie", "a100"},
        {"a100-80gb", "a100"},
        {"a100_40gb_unspecified", "a100_sxm_40gb"},
        {"a30_24gb", "a30"},
        {"nvidia_rtx_4000_ada_pcie_20gb", "rtx_4000_ada"},
        {"a100_sxm_80gb", "a100_sxm_80gb"},
        {"NVIDIA H100 80GB HBM3", "h100"},
        {"h100_sxm", "h100"},
        {"h100-sxm", "h100"},
        {"NVIDIA H100 PCIe", "h100_pcie"},
        {"NVIDIA H100 NVL", "h100_nvl"},
        {"NVIDIA H200", "h200"},
        {"h200-sxm", "h200"},
        {"b200_sxm", "b200"},
        {"Tesla V100-SXM2-32GB", "v100"},
        {"v100_sxm_32gb", "v100"},
        {"v100-32gb-pcie", "v100_pcie_32gb"},
        {"Tesla V100-PCIE-16GB", "v100_pcie_16gb"},
        {"v100_sxm_16gb", "v100_sxm_16gb"},
        {"Tesla T4", "t4"},
        {"Tesla P100-PCIE-16GB", "p100_pcie_16gb"},
        {"NVIDIA RTX A6000", "a6000"},
        {"rtx-a6000", "a6000"},
        {"NVIDIA RTX 6000 Ada Generation", "rtx_6000_ada"},
        {"rtx6000_ada", "rtx_6000_ada"},
        {"Quadro RTX 6000", "quadro_rtx_6000"},
        {"NVIDIA RTX PRO 6000 Blackwell Workstation Edition", "rtx_pro_6000"},
        {"rtx-pro-6000-ws", "rtx_pro_6000"},
        {"pro6000", "rtx_pro_6000"},
        {"NVIDIA GeForce GTX 1080 Ti", "gtx1080ti"},
        {"NVIDIA L40S", "l40s"},
        {"rtx3080_10gb", "rtx3080"},
        {"NVIDIA GeForce RTX 3080", "rtx3080"},
        {"jetson-agx-orin-64gb", "jetson_agx_orin"},
        {"AMD Instinct MI300X", "mi300x"},
        {"NVIDIA GH200 480GB", "gh200"},
        {"RTX 4060 Ti", "rtx4060ti"},
        {"4060ti", "rtx4060ti"},
        {"RTX 4060 Ti 16GB", "rtx4060ti_16gb"},
        {"NVIDIA GeForce RTX 5060 Ti", "rtx5060ti"},
        {"GeForce RTX 2070 SUPER", "rtx2070super"},
        {"NVIDIA GeForce RTX 4070 Ti SUPER", "rtx4070tisuper"},
        {"geforce gtx 1660 ti", "gtx1660ti"},
        {"NVIDIA GeForce RTX 4090 D", "rtx4090d"},
        {"RTX PRO 5000 Blackwell", "rtx_pro_5000"},
        {"RTX PRO 6000 Blackwell Workstation", "rtx_pro_6000"},
        {"RTX 4500 Ada Generation", "rtx_4500_ada"},
        {"Instinct MI300X", "mi300x"},
        {"NVIDIA A2", "a2"},
        {"NVIDIA RTX A2000 12GB", "a2000_12gb"},
        {"NVIDIA H20", "h20"},
        {"Tesla M60", "m60"},
        {"dgx-spark", "gb10"},
        {"jetson_xavier", "jetson_agx_xavier"},
        {"jetson_nx_xavier", "jetson_xavier_nx"},
        {"jetson_orin", "jetson_agx_orin"},
        {"jetson_nx_orin", "jetson_orin_nx"},
        {"custom", "custom"},
    };
    (void)state;
    gpu_catalog *c = open_good(NULL);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) assert_key(c, names[i][0], names[i][1]);
    gpu_catalog_free(c);
}

static void test_did_you_mean(void **state)
{
    static const struct {
        const char *name, *text;
    } rows[] = {
        {"rtx4099",
         "unknown GPU 'rtx4099'; did you mean rtx4090, rtx4090d or rtx4080? (phantom-gpu list-gpus shows all; "
         "--hardware-profiles takes your own)"},
        {"a100-40gb", "a100_sxm_40gb"},
        {"RTX 6000", "rtx_6000_ada"},
        {"v100_unspecified", "unknown GPU"},
        {"zzzzqqqq", "unknown GPU 'zzzzqqqq' (phantom-gpu list-gpus shows all; "
                     "--hardware-profiles takes your own)"},
        {"", "unknown GPU ''"},
        {"- _", "unknown GPU"},
        {"nvidia", "unknown GPU"},
        {"h10", "h100"},
    };
    (void)state;
    gpu_catalog *c = open_good(NULL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        pg_error e = PG_ERROR_INIT;
        assert_null(gpu_find(c, str_c(rows[i].name), &e));
        assert_int_equal(e.code, PG_E_NOT_FOUND);
        assert_has(e.text, rows[i].text);
    }
    char huge[5000];
    memset(huge, 'x', sizeof huge);
    pg_error e = PG_ERROR_INIT;
    assert_null(gpu_find(c, (str){huge, sizeof huge}, &e));
    assert_int_equal(e.code, PG_E_NOT_FOUND);
    gpu_catalog_free(c);
}

static const char profile_only[] =
    "[profiles.my_card]\nname = 'My card'\n"
    "[profiles.my_card.thermal]\ntdp_watts = 450\nbase_clock_mhz = 2235\nboost_clock_mhz = 2520\n"
    "throttle_temp_celsius = 83\nthermal_factor_sustained = 0.95\n"
    "[profiles.my_card.memory]\nl1_cache_kb = 128\nl2_cache_mb = 72\nmemory_channels = 12\ncache_hit_ratio = 0.85\n"
    "coalescing_efficiency = 0.9\n"
    "[profiles.my_card.architecture]\ncuda_cores = 16384\ntensor_cores = 512\nrt_cores = 128\n"
    "streaming_multiprocessors = 128\nmemory_bus_width = 384\n"
    "[profiles.my_card.model_performance.cnn]\nbatch_scaling_curve = [1, 1.0, 0.9, 0.9, 0.8, 0.8, 0.7, 0.7]\n"
    "memory_efficiency = 0.8\ntensor_core_utilization = 0.7\narchitecture_multiplier = 1.1\n"
    "[profiles.my_card.precision]\nfp16_multiplier = 2.0\nint8_multiplier = 8\nint4_multiplier = 16.0\n";

static void test_profile_alone_is_usable(void **state)
{
    (void)state;
    gpu_catalog *c = open_good(profile_only);
    const gpu_spec *g = get(c, "My Card");
    assert_true(g->derived && g->profiled && g->overridden);
    expect_near(g->tflops[PREC_FP32], 2 * 16384 * 2520e-6, 1e-6);
    expect_near(g->tflops[PREC_FP16], 2 * g->tflops[PREC_FP32], 1e-6);
    expect_near(g->tflops[PREC_INT8], 8 * g->tflops[PREC_FP32], 1e-6);
    expect_near(g->tflops[PREC_INT4], 16 * g->tflops[PREC_FP32], 1e-6);
    expect_near(g->memory_gb, 24, 1e-6);
    expect_near(g->compute_capability, 8.9, 1e-6);
    assert_true(g->bandwidth_gbs > 800 && g->bandwidth_gbs < 1200);
    expect_near(g->thermal_factor_sustained, 0.95, 1e-6);
    expect_near(g->performance[FAMILY_CNN].batch_scaling_curve[7], 0.7, 1e-6);
    expect_near(g->performance[FAMILY_CNN].architecture_multiplier, 1.1, 1e-6);
    assert_true(g->performance[FAMILY_RNN].memory_efficiency == 0);
    char text[1024];
    snprintf(text, sizeof text, "%.*s", STR_ARG(gpu_warning(c, g)));
    assert_has(text, "GPU 'my_card'");
    assert_has(text, "FP32 82.6 TFLOPS");
    assert_has(text, "24 GB of memory");
    assert_ptr_equal(gpu_at(c, gpu_count(c) - 1), g);
    gpu_catalog_free(c);
}

/* What the ten boards would be, were only a little of each known: the guesses must not be wild. */
static void test_guesses_are_near(void **state)
{
    (void)state;
    gpu_catalog *known = open_good(NULL);
    for (size_t i = 0; i < 10; i++) {
        const gpu_spec *g = gpu_at(known, i);
        char text[600];
        snprintf(text, sizeof text,
                 "[gpus.guess]\ncompute_capability = %.1f\n[profiles.guess.thermal]\nboost_clock_mhz = %.0f\n"
                 "[profiles.guess.architecture]\ncuda_cores = %d\ntensor_cores = %d\nmemory_bus_width = %d\n",
                 g->compute_capability, g->boost_mhz, g->cuda_cores, g->tensor_cores, g->memory_bus_bits);
        gpu_catalog *c = open_good(text);
        const gpu_spec *s = get(c, "guess");
        assert_int_equal(s->sms, g->sms);
        const double ratios[] = {s->tflops[PREC_FP32] / g->tflops[PREC_FP32],
                                 s->tflops[PREC_FP16] / g->tflops[PREC_FP16], s->bandwidth_gbs / g->bandwidth_gbs,
                                 s->memory_gb / g->memory_gb, s->tdp_w / g->tdp_w};
        for (size_t k = 0; k < sizeof ratios / sizeof ratios[0]; k++)
            if (ratios[k] < 0.3 || ratios[k] > 2.1)
                fail_msg("%.*s: guess %zu is off by %.2f", STR_ARG(g->key), k, ratios[k]);
        gpu_catalog_free(c);
    }
    gpu_catalog_free(known);
}

/* Known boards of which only what stands on any page of shops is given. */
static void test_generation_is_guessed(void **state)
{
    static const struct {
        const char *text;
        double capability;
    } rows[] = {
        {"memory_gb = 24\nbandwidth_gbs = 1008\nfp32_tflops = 82.6\nrelease_year = 2022\n", 8.9},
        {"memory_gb = 32\nbandwidth_gbs = 1792\nfp32_tflops = 104.8\n", 12.0},
        {"memory_gb = 80\nbandwidth_gbs = 2039\nfp32_tflops = 19.5\nfp16_tflops = 312\nrelease_year = 2020\n", 8.0},
        {"memory_gb = 80\nbandwidth_gbs = 3350\nfp32_tflops = 66.9\nfp8_tflops = 1979\n", 9.0},
        {"memory_gb = 180\nbandwidth_gbs = 8000\nfp32_tflops = 75\nfp16_tflops = 2250\n", 10.0},
        {"vendor = 'nvidia'\nmemory_gb = 16\nbandwidth_gbs = 732\nfp32_tflops = 9.3\nfp16_tflops = 18.7\nrelease_year = 2016\n",
         6.0},
        {"memory_gb = 16\nbandwidth_gbs = 448\nfp32_tflops = 22\nfp8_tflops = 176\n", 8.9},
        {"memory_gb = 16\nbandwidth_gbs = 448\nfp32_tflops = 10\narchitecture = 'Turing'\n", 7.5},
        {"memory_gb = 40\nbandwidth_gbs = 1555\nfp32_tflops = 19.5\nmemory_type = 'HBM2e'\narchitecture = 'Ampere'\n",
         8.0},
        /* what nobody sells yet is like the newest of its kind */
        {"memory_gb = 288\nbandwidth_gbs = 22000\nfp32_tflops = 130\nfp4_tflops = 32000\nrelease_year = 2028\n", 10.0},
        {"memory_gb = 48\nbandwidth_gbs = 2200\nfp32_tflops = 150\nmemory_type = 'GDDR7'\nrelease_year = 2028\n", 12.0},
        /* capabilities are one vendor's */
        {"vendor = 'Intel'\nmemory_gb = 16\nbandwidth_gbs = 560\nfp32_tflops = 19.7\nrelease_year = 2022\n", 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[256];
        snprintf(text, sizeof text, "[gpus.x]\n%s", rows[i].text);
        gpu_catalog *c = open_good(text);
        const gpu_spec *g = get(c, "x");
        if (g->compute_capability != rows[i].capability)
            fail_msg("row %zu: %g, not %g", i, g->compute_capability, rows[i].capability);
        assert_true(g->sms > 0 && g->l2_mb > 0 && g->tdp_w > 0);
        gpu_catalog_free(c);
    }
}

static void test_little_is_enough(void **state)
{
    static const char *const texts[] = {
        "[gpus.x]\nfp32_tflops = 20\nbandwidth_gbs = 500\n",
        "[profiles.x.architecture]\nstreaming_multiprocessors = 60\nmemory_bus_width = 256\n",
        "[profiles.x.architecture]\ncuda_cores = 1\n[profiles.x.memory]\nmemory_channels = 1\n",
        "[profiles.x.architecture]\ncuda_cores = 10000000\nmemory_bus_width = 131072\n[gpus.x]\nmemory_mib = 1000\n",
        "[gpus.x]\nfp32_tflops = 1e6\nbandwidth_gbs = 1e6\n[profiles.x.thermal]\nboost_clock_mhz = 1\n",
        "[gpus.x]\nfp32_tflops = 1e-6\nbandwidth_gbs = 1e-6\n",
        "[gpus.x]\nfp32_tflops = 9\nbandwidth_gbs = 500\n[profiles.x.architecture]\ntensor_cores = 0\n",
        "[gpus.x]\nfp16_tflops = 100\nbandwidth_gbs = 500\n",
        "[gpus.x]\nfp4_tflops = 1e6\nbandwidth_gbs = 1e6\n",
        "[gpus.x]\nint8_tops = 1e-6\nbandwidth_gbs = 500\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        gpu_catalog *c = open_good(texts[i]);
        const gpu_spec *g = get(c, "x");
        assert_true(g->derived && g->tflops[PREC_FP32] > 0 && g->bandwidth_gbs > 0 && g->memory_bytes > 0 &&
                    g->sms > 0);
        assert_true(g->cuda_cores > 0 && g->boost_mhz > 0 && g->l2_mb > 0 && g->l1_kb > 0 && gpu_warning(c, g).len > 0);
        gpu_catalog_free(c);
    }
}

/* Tensor peaks alone tell how many SMs there are: RTX 4090's 82.6 of FP32 from its 165.2 of FP16, H100's 67 from 1979 of FP8. */
static void test_tensor_peaks_are_enough(void **state)
{
    (void)state;
    gpu_catalog *c = open_good(
        "[gpus.x]\nfp16_tflops = 165.2\nbandwidth_gbs = 1008\ncompute_capability = 8.9\n"
        "[profiles.x.thermal]\nboost_clock_mhz = 2520\n"
        "[gpus.y]\nfp8_tflops = 1979\nbandwidth_gbs = 3350\ncompute_capability = 9.0\nmemory_type = 'HBM3'\n"
        "[profiles.y.thermal]\nboost_clock_mhz = 1830\n");
    const gpu_spec *x = get(c, "x"), *y = get(c, "y");
    assert_true(x->sms == 128 && x->cuda_cores == 16384 && fabs(x->tflops[PREC_FP32] / 82.6 - 1) < 0.01);
    assert_true(y->sms == 132 && fabs(y->tflops[PREC_FP16] / 989.5 - 1) < 0.01);
    gpu_catalog_free(c);
}

/* Which boards reach each other across PCIe: all but GeForce without links, unless somebody says so. */
static void test_peer_access(void **state)
{
    (void)state;
    gpu_catalog *c = open_good("[gpus.x]\nname = 'X'\nfp32_tflops = 20\nbandwidth_gbs = 500\n"
                               "[gpus.l40]\npeer_access = false\n[gpus.rtx5090]\npeer_access = true\n");
    assert_true(get(c, "x")->peer_access && get(c, "l40s")->peer_access && get(c, "rtx_pro_6000")->peer_access);
    assert_true(get(c, "rtx3090")->peer_access && get(c, "rtx5090")->peer_access); /* by its bridge; as the file says */
    assert_true(!get(c, "rtx4090")->peer_access && !get(c, "l40")->peer_access);
    gpu_catalog_free(c);
}

static void test_override(void **state)
{
    (void)state;
    gpu_catalog *known = open_good(NULL);
    const gpu_spec *was = get(known, "rtx4090");
    gpu_catalog *c = open_good("default_gpu = 'A100'\n"
                               "[profiles.'RTX 4090'.thermal]\ntdp_watts = 300\n"
                               "[profiles.a100_pcie_80gb.thermal]\nboost_clock_mhz = 705\n"
                               "[profiles.l40s.precision]\nfp16_multiplier = 2\n"
                               "[gpus.h100]\nmemory_gb = 96\nfp8_tflops = 0\n"
                               "[profiles.t4.architecture]\nstreaming_multiprocessors = 20\nmemory_bus_width = 128\n");
    const gpu_spec *g = get(c, "rtx4090");
    expect_near(g->tdp_w, 300, 1e-6);
    expect_near(g->tflops[PREC_FP16], was->tflops[PREC_FP16], 1e-6);
    expect_near(g->bandwidth_gbs, was->bandwidth_gbs, 1e-6);
    assert_true(g->overridden && !g->derived && !get(c, "rtx3090")->overridden);
    assert_true(str_is(gpu_default(c)->key, "a100"));
    expect_near(get(c, "a100")->tflops[PREC_FP16], 156, 1e-6); /* peaks follow the clock */
    expect_near(get(c, "a100")->tflops[PREC_FP32], 9.75, 1e-6);
    expect_near(get(c, "l40s")->tflops[PREC_FP16], 183.2, 1e-6);
    expect_near(get(c, "l40s")->tflops[PREC_BF16], 183.2, 1e-6);
    expect_near(get(c, "h100")->memory_bytes, floor(96 * 1073741824.0 * 0.995), 1e-6);
    assert_true(get(c, "h100")->tflops[PREC_FP8] == 0 && get(c, "h100")->tflops[PREC_FP16] > 900);
    assert_int_equal(get(c, "t4")->tensor_cores, 160);
    expect_near(get(c, "t4")->tflops[PREC_INT8], 65, 1e-6);
    expect_near(get(c, "t4")->bandwidth_gbs, 160, 1e-6);
    gpu_catalog_free(c);
    gpu_catalog_free(known);
}

static gpu_catalog *open_layers(const char *explicit_file, pg_error *e)
{
    char work[512], config[512], path[512];
    path_of(work, "work");
    path_of(config, "config");
    if (explicit_file) path_of(path, explicit_file);
    gpu_sources src = {{heap_resize, &heap}, explicit_file ? path : NULL, true, work, config};
    gpu_catalog *c = NULL;
    gpu_catalog_open(&c, &src, e);
    return c;
}

static void test_layers(void **state)
{
    static const char *const files[] = {"work/gpu_models.toml", "work/hardware_profiles.toml", "config/b.toml",
                                        "config/a.toml", "user.toml"};
    (void)state;
    write_file("user.toml", "[profiles.mine.thermal]\ntdp_watts = 1\n");
    write_file("work/gpu_models.toml", "[gpus.mine]\ntdp_watts = 2\nfp32_tflops = 20\nbandwidth_gbs = 200\n");
    write_file("work/hardware_profiles.toml",
               "[profiles.mine]\nname='three'\n[profiles.mine.memory]\nl2_cache_mb = 3\n");
    write_file("config/a.toml",
               "[gpus.mine]\nname = 'four'\nmemory_gb = 4\naliases = ['mein']\n[runtimes.pytorch]\nx = 1\n");
    write_file("config/b.toml",
               "[gpus.mine]\nmemory_gb = 5\nrelease_year = 2005\nfp32_tflops = 50\n[gpus.l4]\ntdp_watts = 5\n");
    pg_error e = PG_ERROR_INIT;
    gpu_catalog *c = open_layers("user.toml", &e);
    if (!c) fail_msg("%s: %s", e.source, e.text);
    const gpu_spec *g = get(c, "mein");
    expect_near(g->tdp_w, 1, 1e-6);
    expect_near(g->tflops[PREC_FP32], 20, 1e-6);
    expect_near(g->l2_mb, 3, 1e-6);
    assert_true(str_is(g->name, "three"));
    expect_near(g->memory_gb, 4, 1e-6);
    assert_int_equal(g->release_year, 2005);
    expect_near(get(c, "l4")->tdp_w, 5, 1e-6);
    gpu_catalog_free(c);
    write_file("work/hardware_profiles.toml", "[profiles.mine]\nnmae = 'three'\n");
    c = open_layers(NULL, &e);
    assert_null(c);
    assert_has(e.source, "work/hardware_profiles.toml");
    assert_int_equal(e.line, 2);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) remove_file(files[i]);
    pg_error none = PG_ERROR_INIT;
    c = open_layers(NULL, &none); /* nothing there: the built-in ones */
    assert_non_null(c);
    gpu_catalog_free(c);
}

static void test_errors(void **state)
{
    static const struct {
        const char *text;
        pg_code code;
        uint32_t line, column;
        const char *part;
    } rows[] = {
        {"[gpus.x]\nname = \n", PG_E_FORMAT, 2, 8, "not valid TOML"},
        {"[gpus.x\n", PG_E_FORMAT, 1, 8, "not valid TOML"},
        {"a = 1\na = 2\n", PG_E_FORMAT, 2, 0, "not valid TOML"},
        {"[gpus.x]\nname = '\xff'\n", PG_E_FORMAT, 2, 0, "not valid TOML"},
        {"[gpu.x]\nname = 'x'\n", PG_E_CONFIG, 1, 2, "unknown key 'gpu'"},
        {"gpus = 3\n", PG_E_CONFIG, 1, 8, "'gpus' must be a table, not a whole number"},
        {"[gpus]\nx = 3\n", PG_E_CONFIG, 2, 5, "gpus.x must be a table"},
        {"default_gpu = 4090\n", PG_E_CONFIG, 1, 15, "must be a text"},
        {"default_gpu = 'rtx4099'\n", PG_E_CONFIG, 1, 15, "did you mean rtx4090"},
        {"[gpus.l4]\n\nbandwith_gbs = 300\n", PG_E_CONFIG, 3, 1,
         "unknown key 'bandwith_gbs'; did you mean 'bandwidth_gbs'?"},
        {"[gpus.l4]\nzzz = 300\n", PG_E_CONFIG, 2, 1, "unknown key 'zzz'"},
        {"[gpus.l4]\n  bandwidth_gbs = '300'\n", PG_E_CONFIG, 2, 19, "must be a number, not a text"},
        {"[gpus.l4]\nbandwidth_gbs = -300\n", PG_E_CONFIG, 2, 17, "is -300, but must be greater than 0"},
        {"[gpus.l4]\nbandwidth_gbs = 0\n", PG_E_CONFIG, 2, 17, "is 0"},
        {"[gpus.l4]\nbandwidth_gbs = nan\n", PG_E_CONFIG, 2, 17, "is not a number"},
        {"[gpus.l4]\nbandwidth_gbs = inf\n", PG_E_CONFIG, 2, 17, "at most"},
        {"[gpus.l4]\nbandwidth_gbs = 2e6\n", PG_E_CONFIG, 2, 17, "at most"},
        {"[gpus.l4]\nname = 4\n", PG_E_CONFIG, 2, 8, "must be a text, not a whole number"},
        {"[gpus.l4]\nname = ''\n", PG_E_CONFIG, 2, 8, "must be one line"},
        {"[gpus.l4]\nname = \"a\\nb\"\n", PG_E_CONFIG, 2, 8, "must be one line"},
        {"[gpus.l4]\nrelease_year = 2023.5\n", PG_E_CONFIG, 2, 16, "must be a whole number, not a number"},
        {"[gpus.l4]\nrelease_year = 9223372036854775807\n", PG_E_CONFIG, 2, 16, "at most 2100"},
        {"[gpus.l4]\nname = 2020-01-01\n", PG_E_CONFIG, 2, 8, "not a date or time"},
        {"[gpus.l4]\naliases = 'x'\n", PG_E_CONFIG, 2, 11, "must be an array of texts"},
        {"[gpus.l4]\naliases = [1]\n", PG_E_CONFIG, 2, 12, "must be a text"},
        {"[gpus.l4]\naliases = ['ok', 'RTX-4090']\n", PG_E_CONFIG, 2, 18,
         "alias 'RTX-4090' of l4 already names rtx4090"},
        {"[gpus.l4]\naliases = ['4090']\n", PG_E_CONFIG, 2, 12, "already names rtx4090"},
        {"[gpus.l4]\naliases = ['a,b']\n", PG_E_CONFIG, 2, 12, "can't be an alias"},
        {"[gpus.'-']\nname = 'x'\n", PG_E_CONFIG, 1, 7, "can't be a GPU's name"},
        {"[profiles.l4]\ntdp_watts = 5\n", PG_E_CONFIG, 2, 1, "unknown key 'tdp_watts'"},
        {"[profiles.l4.termal]\ntdp_watts = 5\n", PG_E_CONFIG, 1, 14, "did you mean 'thermal'?"},
        {"[profiles.l4]\nthermal = 5\n", PG_E_CONFIG, 2, 11, "must be a table"},
        {"[profiles.l4.\"thermal\\u0000x\"]\ntdp_watts = 5\n", PG_E_CONFIG, 1, 14, "unknown key"},
        {"[profiles.l4.thermal]\nboost_clock_mhz = 1e-9\n", PG_E_CONFIG, 2, 19, "at least 1"},
        {"[profiles.l4.thermal]\nthermal_factor_sustained = 1.1\n", PG_E_CONFIG, 2, 28, "at most 1"},
        {"[profiles.l4.model_performance]\nmemory_efficiency = 1\n", PG_E_CONFIG, 2, 1, "unknown key"},
        {"[profiles.l4.model_performance.lstm]\nmemory_efficiency = 1\n", PG_E_CONFIG, 1, 32, "unknown key 'lstm'"},
        {"[profiles.l4.model_performance.cnn]\nbatch_scaling_curve = [1, 2]\n", PG_E_CONFIG, 2, 23, "has 2 values"},
        {"[profiles.l4.model_performance.cnn]\nbatch_scaling_curve = [1,1,1,1,1,1,1,0]\n", PG_E_CONFIG, 2, 38, "is 0"},
        {"[profiles.l4.model_performance.cnn]\nbatch_scaling_curve = 1\n", PG_E_CONFIG, 2, 23, "array of numbers"},
        {"[profiles.rtx4090]\n[profiles.rtx-4090]\n", PG_E_CONFIG, 2, 11, "this file has already"},
        {"[gpus.empty]\n", PG_E_CONFIG, 1, 7, "too little is known of this GPU: needs fp32_tflops"},
        {"\n[profiles.rtx4091.thermal]\ntdp_watts = 100\n", PG_E_CONFIG, 2, 11, "if a known one is meant: rtx4090"},
        {"[gpus.x]\nfp32_tflops = 20\n", PG_E_CONFIG, 1, 7, "needs bandwidth_gbs"},
        {"[gpus.x]\nfp16_tflops = 20\n", PG_E_CONFIG, 1, 7, "needs bandwidth_gbs"},
        /* a peak that this generation's tensor cores don't have tells nothing */
        {"[gpus.x]\nfp8_tflops = 20\nbandwidth_gbs = 900\ncompute_capability = 7.0\n", PG_E_CONFIG, 1, 7,
         "or another peak"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        pg_error e = PG_ERROR_INIT;
        gpu_catalog *c = NULL;
        pg_code code = open_with(&c, rows[i].text, &e);
        if (code != rows[i].code || e.code != code || c || e.line != rows[i].line || !strstr(e.text, rows[i].part) ||
            (rows[i].column && e.column != rows[i].column) || !strstr(e.source, "user.toml"))
            fail_msg("row %zu: code %d, %s:%u:%u: %s: %s", i, (int)code, e.source, e.line, e.column, e.path, e.text);
    }
    pg_error e = PG_ERROR_INIT;
    gpu_catalog *c = NULL;
    open_with(&c, "[profiles.l4.thermal]\ntdp_watts = -1\n", &e);
    assert_string_equal(e.path, "profiles.l4.thermal.tdp_watts");
    assert_int_equal(heap.live, 0);
}

static void test_bad_files(void **state)
{
    (void)state;
    gpu_catalog *c = NULL;
    pg_error e = PG_ERROR_INIT, d = PG_ERROR_INIT, big = PG_ERROR_INIT;
    gpu_sources src = {.alloc = {heap_resize, &heap}, .hardware_profiles = "no/such/file.toml"};
    assert_int_equal(gpu_catalog_open(&c, &src, &e), PG_E_IO);
    assert_string_equal(e.source, "no/such/file.toml");
    assert_has(e.text, "no such file");
    src.hardware_profiles = dir;
    assert_int_equal(gpu_catalog_open(&c, &src, &d), PG_E_IO);
    assert_has(d.text, "it is a directory");
    char path[512];
    path_of(path, "big.toml");
    write_file("big.toml", "x");
    assert_int_equal(truncate(path, (4 << 20) + 1), 0);
    src.hardware_profiles = path;
    assert_int_equal(gpu_catalog_open(&c, &src, &big), PG_E_LIMIT);
    assert_has(big.text, "4 MB");
    remove_file("big.toml");
    assert_int_equal(heap.live, 0);
}

/* Every allocation of the C side fails once, and all after it: an error, nothing leaked, nothing crashed. */
static void test_allocation_failures(void **state)
{
    (void)state;
    write_file("user.toml", profile_only);
    char path[512];
    path_of(path, "user.toml");
    test_heap h = {.fail_at = 0};
    gpu_sources src = {{heap_resize, &h}, path, true, dir, dir};
    gpu_catalog *c = NULL;
    for (long n = 0; !c; n++) {
        pg_error e = PG_ERROR_INIT;
        h = (test_heap){.fail_at = n};
        pg_code code = gpu_catalog_open(&c, &src, &e);
        assert_int_equal(code, c ? PG_E_OK : PG_E_NOMEM);
        if (!c) assert_int_equal(h.live, 0);
        assert_true(n < 10000);
    }
    gpu_catalog_free(c);
    assert_int_equal(h.live, 0);
    gpu_catalog_free(NULL);
    remove_file("user.toml");
}

static int setup(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    char path[512];
    snprintf(dir, sizeof dir, "%s/phantom_gpu_test_XXXXXX", tmp && strlen(tmp) < 180 ? tmp : "/tmp");
    if (!mkdtemp(dir)) return -1;
    path_of(path, "work");
    if (mkdir(path, 0700) != 0) return -1;
    path_of(path, "config");
    return mkdir(path, 0700);
}

static int teardown(void **state)
{
    (void)state;
    remove_file("user.toml");
    remove_file("work");
    remove_file("config");
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ten_keys),
        cmocka_unit_test(test_every_gpu_is_complete),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_did_you_mean),
        cmocka_unit_test(test_profile_alone_is_usable),
        cmocka_unit_test(test_guesses_are_near),
        cmocka_unit_test(test_generation_is_guessed),
        cmocka_unit_test(test_little_is_enough),
        cmocka_unit_test(test_tensor_peaks_are_enough),
        cmocka_unit_test(test_peer_access),
        cmocka_unit_test(test_override),
        cmocka_unit_test(test_layers),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests_name("gpu", tests, setup, teardown);
}
