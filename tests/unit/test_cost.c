/* The kernel cost model: monotone, never faster than the roofs, sane on a GPU known only by its specification. */
#include "cost/cost.h"
#include "predict/predict.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Values near the shipped ones; what is tested here holds for all values within the bounds. */
static cost_constants constants;
static cost_gpu a100, h100, l40s, p4, custom;

static gpu_spec spec_a100(void)
{
    gpu_spec s = {.sms = 108,
                  .cuda_cores = 6912,
                  .boost_mhz = 1410,
                  .bandwidth_gbs = 2039,
                  .l2_mb = 40,
                  .tdp_w = 400,
                  .release_year = 2020,
                  .compute_capability = 8.0,
                  .fp16_vector_tflops = 78};
    s.name = STR("NVIDIA A100 SXM4 80GB");
    s.memory_type = STR("HBM2e");
    s.tflops[PREC_FP32] = 19.5;
    s.tflops[PREC_TF32] = 156;
    s.tflops[PREC_FP16] = s.tflops[PREC_BF16] = 312;
    s.tflops[PREC_INT8] = 624;
    return s;
}

static gpu_spec spec_h100(void)
{
    gpu_spec s = {.sms = 132,
                  .cuda_cores = 16896,
                  .boost_mhz = 1980,
                  .bandwidth_gbs = 3352,
                  .l2_mb = 50,
                  .tdp_w = 700,
                  .release_year = 2022,
                  .compute_capability = 9.0};
    s.tflops[PREC_FP32] = 66.9;
    s.tflops[PREC_TF32] = 494.7;
    s.tflops[PREC_FP16] = s.tflops[PREC_BF16] = 989.4;
    s.tflops[PREC_FP8] = s.tflops[PREC_INT8] = 1978.9;
    return s;
}

static gpu_spec spec_l40s(void)
{
    gpu_spec s = {.sms = 142,
                  .cuda_cores = 18176,
                  .boost_mhz = 2520,
                  .bandwidth_gbs = 864,
                  .l2_mb = 96,
                  .tdp_w = 350,
                  .release_year = 2023,
                  .compute_capability = 8.9};
    s.name = STR("NVIDIA L40S");
    s.memory_type = STR("GDDR6");
    s.tflops[PREC_FP32] = 91.6;
    s.tflops[PREC_FP16] = s.tflops[PREC_BF16] = 362;
    s.tflops[PREC_FP8] = 733;
    return s;
}

static int setup(void **state)
{
    (void)state;
    for (int i = 0; i < COST_CONSTANTS; i++) {
        const cost_constant_info *info = &cost_constant_table[i];
        *cost_constant_at(&constants, i) = info->lower + 0.3 * (info->upper - info->lower);
    }
    constants.memory_dram_share = 0.85;
    constants.memory_l2_keep = 1;
    gpu_spec s = spec_a100();
    cost_gpu_init(&a100, &s, &constants);
    s = spec_h100();
    cost_gpu_init(&h100, &s, &constants);
    s = spec_l40s();
    cost_gpu_init(&l40s, &s, &constants);
    gpu_spec old = {.sms = 20,
                    .cuda_cores = 2560,
                    .boost_mhz = 1063,
                    .bandwidth_gbs = 192,
                    .l2_mb = 2,
                    .tdp_w = 75,
                    .release_year = 2016,
                    .compute_capability = 6.1};
    old.tflops[PREC_FP32] = 5.5;
    cost_gpu_init(&p4, &old, &constants);
    gpu_spec bare = {.bandwidth_gbs = 500};
    bare.tflops[PREC_FP32] = 20;
    cost_gpu_init(&custom, &bare, &constants);
    return 0;
}

/* Deterministic pseudo-random numbers: xorshift. */
static uint64_t seed = 88172645463325252u;

static double uniform(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (double)(seed >> 11) / 9007199254740992.0;
}

static double size(double most)
{
    return floor(exp(uniform() * log(most))) + 0.0;
}

static kernel gemm(precision p, double m, double n, double k, double batch)
{
    double e = p == PREC_FP32 || p == PREC_TF32 ? 4 : p == PREC_FP8 || p == PREC_INT8 ? 1 : 2;
    kernel g = {.kind = KERNEL_GEMM,
                .math = p,
                .flops = 2 * m * n * k * batch,
                .read_bytes = m * k * e * batch,
                .weight_bytes = n * k * e * batch,
                .write_bytes = m * n * 2 * batch,
                .weight_distance = INFINITY};
    g.shape.gemm = (gemm_shape){m, n, k, batch};
    return g;
}

static kernel conv(precision p, double batch, double in, double out, double side, double edge, bool last)
{
    double e = p == PREC_FP32 ? 4 : 2;
    kernel c = {.kind = KERNEL_CONV,
                .math = p,
                .channels_last = last,
                .flops = 2 * batch * out * side * side * in * edge * edge,
                .read_bytes = batch * in * side * side * e,
                .weight_bytes = in * out * edge * edge * e,
                .write_bytes = batch * out * side * side * e,
                .weight_distance = INFINITY};
    c.shape.conv = (conv_shape){batch, in, out, side, side, side, side, edge, edge, 1, 1, 1};
    return c;
}

static kernel attention(double batch, double heads, double kv_heads, double q, double kv, double d, bool causal)
{
    double pairs = causal ? q * (kv - q) + q * (q + 1) / 2 : q * kv;
    kernel a = {.kind = KERNEL_ATTENTION,
                .math = PREC_FP16,
                .flops = 4 * batch * heads * d * pairs,
                .read_bytes = 2 * batch * d * (heads * q + 2 * kv_heads * kv),
                .write_bytes = 2 * batch * heads * q * d};
    a.shape.attention = (attention_shape){.batch = batch,
                                          .heads = heads,
                                          .kv_heads = kv_heads,
                                          .q_len = q,
                                          .kv_len = kv,
                                          .head_dim = d,
                                          .v_dim = d,
                                          .causal = causal};
    return a;
}

static kernel rows(kernel_kind kind, double n, double cols)
{
    kernel r = {.kind = kind, .flops = 8 * n * cols, .read_bytes = n * cols * 4, .write_bytes = n * cols * 4};
    r.shape.rows = (rows_shape){n, cols};
    return r;
}

static const cost_gpu *any_gpu(void)
{
    const cost_gpu *all[] = {&a100, &h100, &l40s, &p4, &custom};
    return all[(int)(uniform() * 5)];
}

static double seconds(const cost_gpu *g, kernel k)
{
    kernel_cost c = cost_kernel(g, &k);
    assert_true(isfinite(c.seconds) && c.seconds > 0);
    assert_true(c.compute_s >= 0 && c.memory_s >= 0 && c.dram_bytes >= 0 && c.launches >= 1);
    assert_true(c.dram_bytes >= 0 && c.limit < BOUND_COUNT);
    return c.seconds;
}

#define NOT_FASTER(more, less) assert_true((more) >= (less) * (1 - 1e-12))

/* As runtimes launch it: such kernels don't split K. */
static kernel chosen(kernel k, product_choice how)
{
    k.choice = (uint8_t)how;
    k.whole_k = how != PRODUCT_BEST;
    return k;
}

/* A matrix times a vector streams the matrix, on chips without tensor cores as well; a second row has tiles. */
static void vectors_stream_the_matrix(void **state)
{
    (void)state;
    const cost_gpu *const chips[] = {&p4, &a100};
    for (int i = 0; i < 2; i++) {
        kernel one = gemm(PREC_FP32, 1, 11008, 4096, 1), two = gemm(PREC_FP32, 2, 11008, 4096, 1);
        kernel_cost c = cost_kernel(chips[i], &one);
        assert_int_equal(c.limit, BOUND_MEMORY);
        assert_true(c.seconds < 1.4 * 11008.0 * 4096 * 4 / chips[i]->dram_peak);
        assert_true(c.seconds <= cost_kernel(chips[i], &two).seconds);
    }
}

static void gemm_grows_with_each_side(void **state)
{
    (void)state;
    static const precision precisions[] = {PREC_FP32, PREC_TF32, PREC_FP16, PREC_BF16, PREC_FP8, PREC_INT8};
    for (int i = 0; i < 20000; i++) {
        const cost_gpu *g = any_gpu();
        precision p = precisions[(int)(uniform() * 6)];
        double m = size(40000), n = size(40000), k = size(40000), b = size(64), by = 1 + size(300);
        product_choice how = (product_choice)(int)(uniform() * 3);
        double t = seconds(g, chosen(gemm(p, m, n, k, b), how));
        NOT_FASTER(seconds(g, chosen(gemm(p, m + by, n, k, b), how)), t);
        NOT_FASTER(seconds(g, chosen(gemm(p, m, n + by, k, b), how)), t);
        NOT_FASTER(seconds(g, chosen(gemm(p, m, n, k + by, b), how)), t);
        NOT_FASTER(seconds(g, chosen(gemm(p, m, n, k, b + by), how)), t);
    }
}

static void conv_grows_with_each_side(void **state)
{
    (void)state;
    for (int i = 0; i < 10000; i++) {
        const cost_gpu *g = any_gpu();
        precision p = uniform() < 0.5 ? PREC_FP32 : PREC_FP16;
        bool last = uniform() < 0.5;
        double b = size(256), in = size(2048), out = size(2048), side = size(224), edge = 1 + 2 * floor(uniform() * 3),
               by = size(64);
        double t = seconds(g, conv(p, b, in, out, side, edge, last));
        NOT_FASTER(seconds(g, conv(p, b + by, in, out, side, edge, last)), t);
        NOT_FASTER(seconds(g, conv(p, b, in + by, out, side, edge, last)), t);
        NOT_FASTER(seconds(g, conv(p, b, in, out + by, side, edge, last)), t);
        NOT_FASTER(seconds(g, conv(p, b, in, out, side + by, edge, last)), t);
        NOT_FASTER(seconds(g, conv(p, b, in, out, side, edge, false)),
                   seconds(g, conv(p, b, in, out, side, edge, true)));
    }
}

static void attention_grows_with_each_side(void **state)
{
    (void)state;
    for (int i = 0; i < 10000; i++) {
        const cost_gpu *g = any_gpu();
        double b = size(64), kvh = size(16), group = size(8), q = uniform() < 0.5 ? 1 : size(4096),
               kv = q + size(8192) - 1;
        double by = size(512), h = kvh * group;
        bool causal = uniform() < 0.5;
        double t = seconds(g, attention(b, h, kvh, q, kv, 64, causal));
        kernel flash = attention(b, h, kvh, q, kv, 64, causal), more = attention(b + by, h, kvh, q, kv, 64, causal);
        flash.shape.attention.flash = more.shape.attention.flash = true;
        NOT_FASTER(seconds(g, more), seconds(g, flash));
        NOT_FASTER(seconds(g, attention(b + by, h, kvh, q, kv, 64, causal)), t);
        NOT_FASTER(seconds(g, attention(b, h, kvh, q, kv + by, 64, causal)), t);
        NOT_FASTER(seconds(g, attention(b, h, kvh, q, kv, 128, causal)), t);
        NOT_FASTER(seconds(g, attention(b, h, kvh, q, kv, 64, false)), t);
    }
}

/* More heads on the same keys than a decode kernel takes: each reads them again. One head more or a longer cache is never faster. */
static void heads_apart_read_their_keys(void **state)
{
    (void)state;
    kernel k = attention(64, 64, 1, 1, 4096, 128, false);
    double together = seconds(&h100, k);
    k.shape.attention.apart = true;
    double apart = seconds(&h100, k),
           read = 64.0 * 64 * 4096 * 256 * 2 / constants.attention_apart_bytes / 132 * h100.tick;
    assert_true(apart > together && apart > read && apart < 2 * read + 1e-4);
    for (int i = 0; i < 2000; i++) {
        const cost_gpu *g = any_gpu();
        double b = size(64), kvh = size(8), n = size(16384), by = size(100);
        kernel less = attention(b, 40 * kvh, kvh, 1, n, 128, false),
               more = attention(b, 41 * kvh, kvh, 1, n, 128, false),
               longer = attention(b, 40 * kvh, kvh, 1, n + by, 128, false),
               wide = attention(b + by, 40 * kvh, kvh, 1, n, 128, false);
        kernel grouped = less;
        less.shape.attention.apart = more.shape.attention.apart = longer.shape.attention.apart =
            wide.shape.attention.apart = true;
        NOT_FASTER(seconds(g, less), seconds(g, grouped));
        NOT_FASTER(seconds(g, more), seconds(g, less));
        NOT_FASTER(seconds(g, longer), seconds(g, less));
        NOT_FASTER(seconds(g, wide), seconds(g, less));
    }
}

static void streams_grow_with_bytes(void **state)
{
    (void)state;
    for (int i = 0; i < 10000; i++) {
        const cost_gpu *g = any_gpu();
        kernel_kind kind = (kernel_kind)(KERNEL_ELEMENTWISE + (int)(uniform() * 8));
        double n = size(100000), cols = size(10000), by = size(1000);
        double t = seconds(g, rows(kind, n, cols));
        NOT_FASTER(seconds(g, rows(kind, n + by, cols)), t);
        NOT_FASTER(seconds(g, rows(kind, n, cols + by)), t);
        kernel warm = rows(kind, n, cols);
        warm.hot_bytes = warm.read_bytes;
        warm.hot_distance = warm.read_bytes;
        NOT_FASTER(t, seconds(g, warm));
    }
}

/* Arithmetic no faster than the peak, bytes from DRAM no faster than its bandwidth. Winograd does fewer operations. */
static void nothing_beats_the_roofs(void **state)
{
    (void)state;
    for (int i = 0; i < 20000; i++) {
        const cost_gpu *g = any_gpu();
        kernel k;
        switch ((int)(uniform() * 4)) {
        case 0: k = gemm(uniform() < 0.5 ? PREC_FP16 : PREC_FP32, size(20000), size(20000), size(20000), 1); break;
        case 1: k = conv(PREC_FP16, size(64), size(1024), size(1024), size(112), 3, uniform() < 0.5); break;
        case 2: k = attention(size(64), 16, 16, size(4096), 4096 + size(4096), 64, true); break;
        default: k = rows(KERNEL_NORM, size(100000), size(10000)); break;
        }
        if (uniform() < 0.3) {
            k.weight_distance = k.weight_bytes;
            k.hot_bytes = k.read_bytes;
        }
        if (k.kind == KERNEL_CONV && !g->tensor[k.math]) {
            continue;
        }
        kernel_cost c = cost_kernel(g, &k);
        assert_true(c.seconds >= k.flops / g->peak[k.math]);
        assert_true(c.seconds >= c.dram_bytes / g->dram_peak);
        assert_true(c.dram_bytes >= k.read_bytes + k.weight_bytes + k.write_bytes - k.hot_bytes - k.weight_bytes - 1);
        if (!(k.hot_bytes > 0)) {
            assert_true(c.seconds >= c.ideal_s);
        }
    }
}

static void better_hardware_is_never_slower(void **state)
{
    (void)state;
    for (int i = 0; i < 5000; i++) {
        gpu_spec less = spec_a100(), more = spec_a100();
        double by = 1 + uniform();
        int what = (int)(uniform() * 4);
        more.bandwidth_gbs *= what == 0 ? by : 1;
        for (int p = 0; p < PREC_COUNT; p++) {
            more.tflops[p] *= what == 1 ? by : 1;
        }
        more.tdp_w *= what == 2 ? by : 1;
        more.l2_mb *= what == 3 ? by : 1;
        cost_gpu a, b;
        cost_gpu_init(&a, &less, &constants);
        cost_gpu_init(&b, &more, &constants);
        kernel k = uniform() < 0.5 ? gemm(PREC_BF16, size(20000), size(20000), size(20000), 1)
                                   : conv(PREC_FP16, size(64), size(1024), size(1024), size(112), 3, false);
        k.weight_distance = k.weight_bytes * 2;
        NOT_FASTER(seconds(&a, k), seconds(&b, k));
    }
}

/* Reads 4 GB, writes nothing, no arithmetic: floor + 4e9 / (2039e9 * 0.85 * what streams reach) + the whole ramp. */
static void long_stream_by_hand(void **state)
{
    (void)state;
    kernel k = {.kind = KERNEL_COPY, .read_bytes = 4e9};
    kernel_cost c = cost_kernel(&a100, &k);
    double ramp = constants.memory_ramp_clocks / 1410e6 * 4e9 / (4e9 + constants.memory_ramp_mb * 1e6);
    double floor_s = constants.launch_floor_us * 1e-6 + constants.launch_floor_clocks / 1410e6;
    double expected = floor_s + 4e9 / (2039e9 * fmin(0.85 * constants.memory_stacked_stream, 1)) + ramp;
    assert_true(fabs(c.seconds / expected - 1) < 1e-9);
    assert_int_equal(c.limit, BOUND_MEMORY);
    assert_true(c.dram_bytes == 4e9 && c.launches == 1);
}

/* One full wave of 128 x 128 tiles with nothing lost: 108 tiles on 108 SMs run at the peak. */
static void full_wave_by_hand(void **state)
{
    (void)state;
    cost_constants ideal = constants;
    ideal.gemm_tensor_share = 1;
    ideal.gemm_feed_clocks = ideal.gemm_k_ns = ideal.gemm_depth = ideal.gemm_tile_clocks = 0;
    ideal.gemm_load_bytes = 512;
    ideal.power_tensor_pj = 0.1;
    gpu_spec s = spec_a100();
    cost_gpu g;
    cost_gpu_init(&g, &s, &ideal);
    kernel k = gemm(PREC_BF16, 108 * 128, 128, 1024, 1);
    double expected = 2.0 * 108 * 128 * 128 * 1024 / 312e12;
    assert_true(fabs(cost_kernel(&g, &k).compute_s / expected - 1) < 1e-9);
    /* Two waves take twice as long. */
    k = gemm(PREC_BF16, 216 * 128, 128, 1024, 1);
    assert_true(fabs(cost_kernel(&g, &k).compute_s / expected - 2) < 1e-9);
}

/* Utilisation 4 times the headroom: half the clock, where it goes with the square root. */
static void power_limit_by_hand(void **state)
{
    (void)state;
    cost_constants root = constants;
    cost_gpu g = a100;
    root.power_droop = 0.5;
    g.c = &root;
    g.headroom[PREC_FP16] = 0.25;
    assert_true(cost_clock_share(&g, PREC_FP16, 0.2) == 1);
    assert_true(fabs(cost_clock_share(&g, PREC_FP16, 1) - 0.5) < 1e-12);
    assert_true(cost_clock_share(&a100, PREC_FP16, 1e-6) == 1);
    kernel k = gemm(PREC_FP16, 8192, 8192, 8192, 1);
    NOT_FASTER(seconds(&g, k), seconds(&a100, k));
    root.power_droop = 1;
    assert_true(fabs(cost_clock_share(&g, PREC_FP16, 1) - 0.25) < 1e-12);
}

static void residency_belongs_to_the_situation(void **state)
{
    (void)state;
    kernel cold = gemm(PREC_BF16, 1, 4096, 4096, 1), warm = cold, unset = cold;
    warm.weight_distance = warm.weight_bytes;
    unset.weight_distance = 0;
    assert_true(cost_kernel(&l40s, &warm).dram_bytes < 0.01 * cost_kernel(&l40s, &cold).dram_bytes);
    assert_true(seconds(&l40s, warm) < seconds(&l40s, cold));
    assert_true(seconds(&l40s, unset) == seconds(&l40s, cold));
    kernel large = gemm(PREC_BF16, 1, 32768, 32768, 1);
    large.weight_distance = large.weight_bytes;
    assert_true(cost_kernel(&l40s, &large).dram_bytes > 0.99 * large.weight_bytes);
}

/* Five copies in turn of 16 MB stay in 96 MB of L2, two of 58 MB don't; a data-centre L2 keeps what all SMs read twice. */
static void copies_of_weights_fill_the_cache(void **state)
{
    (void)state;
    kernel k = gemm(PREC_BF16, 1, 4096, 2048, 1), large = gemm(PREC_BF16, 1, 5120, 5734, 1);
    k.weight_rotated = large.weight_rotated = true;
    k.weight_distance = 5 * k.weight_bytes;
    large.weight_distance = 5 * large.weight_bytes;
    cost_constants sharp = constants;
    sharp.memory_l2_fade = 0.05;
    gpu_spec spec = spec_l40s();
    cost_gpu g;
    cost_gpu_init(&g, &spec, &sharp);
    assert_true(cost_kernel(&g, &k).dram_bytes < 0.01 * k.weight_bytes);
    assert_true(cost_kernel(&g, &large).dram_bytes > 0.99 * large.weight_bytes);
    kernel most = gemm(PREC_BF16, 1, 4096, 4000, 1); /* 33 MB: of 40 MB in an A100 */
    most.weight_distance = most.weight_bytes;
    assert_true(cost_kernel(&a100, &most).dram_bytes > 0.5 * most.weight_bytes);
}

static void splitting_a_product_only_helps(void **state)
{
    (void)state;
    kernel k = gemm(PREC_BF16, 16, 512, 65536, 1), whole = k;
    whole.whole_k = true;
    NOT_FASTER(seconds(&h100, whole), seconds(&h100, k));
    assert_true(seconds(&h100, whole) > 1.5 * seconds(&h100, k));
}

/* A tile that follows from the rows alone is at best the best tile; block scales cost time on top, where there are FP8 units. */
static void fixed_tiles_are_not_faster(void **state)
{
    (void)state;
    const cost_gpu *all[] = {&h100, &l40s};
    for (int i = 0; i < 2000; i++) {
        kernel k = gemm(PREC_FP8, size(40000), size(40000), 64 + size(40000), 1);
        for (int g = 0; g < 2; g++) {
            double best = seconds(all[g], chosen(k, PRODUCT_BEST));
            NOT_FASTER(seconds(all[g], chosen(k, PRODUCT_BY_ROWS)), best);
        }
    }
    kernel k = gemm(PREC_FP8, 300, 512, 8192, 1), half = gemm(PREC_BF16, 300, 512, 8192, 1);
    assert_true(seconds(&l40s, chosen(k, PRODUCT_BY_ROWS)) > 1.5 * seconds(&l40s, k));
    kernel large = gemm(PREC_FP8, 8192, 8192, 8192, 1);
    assert_true(seconds(&l40s, chosen(large, PRODUCT_BLOCK_SCALED)) > seconds(&l40s, chosen(large, PRODUCT_BY_ROWS)));
    half.choice = PRODUCT_BLOCK_SCALED; /* no FP8: nothing to scale */
    assert_true(seconds(&a100, half) == seconds(&a100, gemm(PREC_BF16, 300, 512, 8192, 1)));
}

/* cuBLAS takes one tile for the FP32 products of a batch: thin ones waste most of it. */
static void thin_batches_waste_their_tiles(void **state)
{
    (void)state;
    kernel thin = gemm(PREC_FP32, 16, 128, 512, 512), tile = gemm(PREC_FP32, 128, 128, 512, 512), half = thin;
    assert_true(cost_kernel(&a100, &thin).compute_s > 0.6 * cost_kernel(&a100, &tile).compute_s);
    half.math = PREC_FP16;
    assert_true(cost_kernel(&a100, &half).compute_s < 0.5 * cost_kernel(&a100, &thin).compute_s);
    kernel wide = gemm(PREC_FP32, 128, 64, 512, 512), tall = gemm(PREC_FP32, 64, 128, 512, 512);
    wide.weight_bytes = tall.weight_bytes = 0;
    assert_true(cost_kernel(&p4, &wide).compute_s > cost_kernel(&p4, &tall).compute_s); /* 64 rows x 128 columns */
}

/* The A100's L2 feeds its SMs twice as fast as those of cards: small tiles are not kept waiting. */
static void wide_caches_feed_small_tiles(void **state)
{
    (void)state;
    cost_constants slow = constants;
    slow.gemm_wide_load = 8;
    gpu_spec spec = spec_a100();
    cost_gpu g;
    cost_gpu_init(&g, &spec, &slow);
    kernel k = gemm(PREC_BF16, 512, 4096, 8192, 1);
    assert_true(seconds(&g, k) > 1.2 * seconds(&a100, k));
    slow = constants;
    slow.gemm_load_bytes = 10; /* what cards have */
    cost_gpu_init(&g, &spec, &slow);
    assert_true(seconds(&g, k) == seconds(&a100, k));
}

/* What libraries do on older units: FlashAttention 2 splits the keys of a sequence only where heads share them, FP8 kernels are there
 * for some head sizes, and those are padded to what the units take. */
static void attention_kernels_have_gaps(void **state)
{
    (void)state;
    kernel own = attention(1, 8, 8, 1, 65536, 128, true), shared = attention(1, 64, 8, 1, 65536, 128, true),
           other = own;
    own.shape.attention.flash = shared.shape.attention.flash = true;
    assert_true(seconds(&a100, own) > 2 * seconds(&a100, other));
    assert_true(seconds(&a100, own) > seconds(&a100, shared));
    assert_true(seconds(&h100, own) == seconds(&h100, other));
    kernel single = attention(1, 64, 8, 1, 64, 128, true), several = attention(2, 64, 8, 1, 64, 128, true),
           packed = attention(2, 8, 1, 1, 64, 128, true);
    single.shape.attention.flash = several.shape.attention.flash = packed.shape.attention.flash = true;
    assert_true(seconds(&a100, several) - seconds(&a100, single) > a100.floor); /* queries and result are copied */
    assert_true(seconds(&a100, packed) - seconds(&a100, single) < a100.floor);
    kernel wide = attention(8, 32, 32, 4096, 4096, 256, true), narrow = wide;
    narrow.math = PREC_FP8;
    assert_true(seconds(&l40s, narrow) > seconds(&l40s, wide));
    assert_true(seconds(&h100, narrow) < seconds(&h100, wide));
    kernel odd = attention(8, 32, 32, 4096, 4096, 72, false), padded = attention(8, 32, 32, 4096, 4096, 80, false);
    assert_true(cost_kernel(&h100, &odd).compute_s / 72 > 1.02 * cost_kernel(&h100, &padded).compute_s / 80);
}

/* A short prompt of many heads takes a tile for each; a step of decode packs the heads that share keys. */
static void short_prompts_are_prompts(void **state)
{
    (void)state;
    kernel prompt = attention(64, 64, 8, 8, 8, 128, true), one = attention(64, 64, 8, 1, 1, 128, true), own = one;
    own.shape.attention.prompt = true;
    assert_true(seconds(&h100, prompt) > seconds(&h100, one));
    assert_true(cost_kernel(&h100, &own).compute_s > cost_kernel(&h100, &one).compute_s);
}

/* A quantising kernel that has a thread block walk over each row takes turns of 2048 elements; short rows take one. */
static void scanned_rows_take_turns(void **state)
{
    (void)state;
    kernel k = rows(KERNEL_ELEMENTWISE, 16384, 2048), turns = rows(KERNEL_ELEMENTWISE, 16384, 2049);
    k.scan = turns.scan = SCAN_ROWS;
    double more = seconds(&h100, turns) - seconds(&h100, k);
    assert_true(more > 0.5 * 16384 / 132.0 * constants.vector_turn_clocks / 1980e6);
    for (int i = 0; i < 2000; i++) {
        double n = size(1e5), cols = size(1e5);
        kernel a = rows(KERNEL_ELEMENTWISE, n, cols), b = rows(KERNEL_ELEMENTWISE, n, cols + size(5000));
        a.scan = b.scan = (uint8_t)(uniform() * 3);
        NOT_FASTER(seconds(&l40s, b), seconds(&l40s, a));
    }
}

/* A fused Winograd kernel works on 8 x 16 pixels of one image at a time; what a small image leaves of them is lost. */
static void small_images_waste_winograd(void **state)
{
    (void)state;
    kernel k = {.kind = KERNEL_CONV, .math = PREC_FP32, .read_bytes = 1e6, .write_bytes = 1e6, .weight_bytes = 1e6};
    k.shape.conv = (conv_shape){64, 256, 256, 5, 5, 5, 5, 3, 3, 1, 1, 1};
    kernel wide = k;
    wide.shape.conv = (conv_shape){64, 256, 256, 8, 16, 8, 16, 3, 3, 1, 1, 1};
    k.flops = 2.0 * 64 * 256 * 256 * 25 * 9;
    wide.flops = 2.0 * 64 * 256 * 256 * 128 * 9;
    assert_true(seconds(&p4, k) / k.flops > 1.2 * seconds(&p4, wide) / wide.flops);
}

/* Of the three kinds of kernels one is taken, by rules that miss the fastest now and then; each can be asked for. */
static void convolutions_take_a_kind_of_kernel(void **state)
{
    (void)state;
    const struct {
        kernel k;
        int best;
    } cases[] = {{conv(PREC_FP32, 64, 3, 512, 32, 3, false), CONV_DIRECT},
                 {conv(PREC_FP32, 64, 512, 16, 16, 3, false), CONV_FUSED},
                 {conv(PREC_FP32, 64, 512, 512, 16, 3, false), CONV_STAGED}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        kernel k = cases[i].k;
        double of[CONV_STAGED + 1];
        for (int kind = CONV_BEST; kind <= CONV_STAGED; kind++) {
            k.choice = (uint8_t)kind;
            of[kind] = seconds(&p4, k);
        }
        for (int kind = CONV_DIRECT; kind <= CONV_STAGED; kind++) assert_true(of[cases[i].best] <= of[kind]);
        assert_true(fabs(of[CONV_BEST] / (of[cases[i].best] * constants.conv_chosen) - 1) < 1e-9);
    }
}

/* Volta and Turing have no kernels that take two small images at once. */
static void small_images_go_in_pairs(void **state)
{
    (void)state;
    gpu_spec pascal = spec_a100(), volta = spec_a100();
    pascal.compute_capability = 6;
    volta.compute_capability = 7;
    cost_gpu a, b;
    cost_gpu_init(&a, &pascal, &constants);
    cost_gpu_init(&b, &volta, &constants);
    kernel small = conv(PREC_FP32, 512, 512, 512, 8, 3, false), large = conv(PREC_FP32, 64, 512, 512, 32, 3, false);
    small.choice = large.choice = CONV_FUSED;
    assert_true(seconds(&b, small) > 1.7 * seconds(&a, small));
    assert_true(fabs(seconds(&b, large) / seconds(&a, large) - 1) < 0.1);
}

/* Winograd multiplies less, which takes less power, and moves more. */
static void winograd_saves_power(void **state)
{
    (void)state;
    kernel direct = conv(PREC_FP32, 64, 512, 512, 32, 3, false), staged = direct;
    direct.choice = CONV_DIRECT;
    staged.choice = CONV_STAGED;
    direct.among = staged.among = true;
    kernel_cost d = cost_kernel(&p4, &direct), s = cost_kernel(&p4, &staged);
    assert_true(s.operations < 0.4 * d.operations && s.core_j < 0.8 * d.core_j && s.memory_j > 2 * d.memory_j);
}

static void skinny_products_stream_their_weights(void **state)
{
    (void)state;
    kernel k = gemm(PREC_BF16, 1, 16384, 16384, 1);
    kernel_cost c = cost_kernel(&a100, &k);
    assert_int_equal(c.limit, BOUND_MEMORY);
    assert_true(c.seconds > 1.0 / 0.95 * 537e6 / 2039e9);
}

static void missing_units_fall_back(void **state)
{
    (void)state;
    assert_false(p4.tensor[PREC_FP16]);
    assert_true(p4.peak[PREC_FP16] == 5.5e12 && p4.peak[PREC_BF16] == 5.5e12 && p4.peak[PREC_FP8] == 5.5e12);
    assert_true(a100.peak[PREC_FP8] == 312e12 && a100.tensor[PREC_FP8]);
    assert_true(a100.peak[PREC_INT8] == 624e12);
    assert_true(seconds(&p4, gemm(PREC_FP16, 1024, 1024, 1024, 1)) > 2.0 * 1024 * 1024 * 1024 / 5.5e12);
}

/* Only FP32 rate and bandwidth are known. */
static void bare_specification_is_sane(void **state)
{
    (void)state;
    double s = seconds(&custom, gemm(PREC_FP32, 4096, 4096, 4096, 1)), ideal = 2.0 * 4096 * 4096 * 4096 / 20e12;
    assert_true(s > ideal && s < 10 * ideal);
    gpu_spec nothing = {0};
    cost_gpu g;
    cost_gpu_init(&g, &nothing, &constants);
    assert_true(seconds(&g, gemm(PREC_FP16, 128, 128, 128, 1)) > 0);
}

static void empty_kernels_cost_a_launch(void **state)
{
    (void)state;
    for (int kind = 0; kind < KERNEL_KIND_COUNT; kind++) {
        kernel k = {.kind = (kernel_kind)kind};
        kernel_cost c = cost_kernel(&a100, &k);
        assert_true(isfinite(c.seconds) && c.seconds >= 0 && c.seconds < 1e-3);
    }
    kernel r = {
        .kind = KERNEL_RECURRENT, .math = PREC_FP16, .weight_bytes = 2e6, .read_bytes = 1e5, .write_bytes = 1e5};
    r.shape.recurrent = (recurrent_shape){100, 8, 256, 256, 4, 1};
    kernel twice = r;
    twice.shape.recurrent.directions = 2;
    kernel longer = r;
    longer.shape.recurrent.steps = 200;
    NOT_FASTER(seconds(&a100, twice), seconds(&a100, r));
    assert_true(seconds(&a100, longer) > 1.8 * seconds(&a100, r));
}

/* A large batch: every step's product, and then its gates and states, which no L2 holds. */
static void recurrent_steps_pass_their_states_on(void **state)
{
    (void)state;
    enum { BATCH = 4096, HIDDEN = 1024, STEPS = 100 };
    kernel r = {.kind = KERNEL_RECURRENT, .math = PREC_FP16, .weight_bytes = 2.0 * 4 * HIDDEN * 2 * HIDDEN};
    r.shape.recurrent = (recurrent_shape){STEPS, BATCH, HIDDEN, HIDDEN, 4, 1};
    r.read_bytes = r.write_bytes = 2.0 * STEPS * BATCH * HIDDEN;
    double products = 2 * 2.0 * STEPS * BATCH * 4 * HIDDEN * HIDDEN / 312e12;
    double passed = 2.0 * STEPS * BATCH * HIDDEN * (3 * 4 + 4) / 2e12;
    assert_true(seconds(&a100, r) > products + passed);
    assert_true(seconds(&a100, r) < 3 * (products + passed));
    kernel more = r;
    more.shape.recurrent.batch *= 1.5;
    NOT_FASTER(seconds(&a100, more), seconds(&a100, r));
}

/* A short benchmark's loop is over before the power limit is felt: between the boost clock's time and the settled one. */
static void brief_loops_run_at_boost(void **state)
{
    (void)state;
    cost_constants with = constants;
    with.power_settle_ms = 1;
    with.power_vector_pj = 30;
    gpu_spec s = spec_a100(), cold = spec_a100();
    s.tdp_w = 100;
    cold.tdp_w = 100000;
    cost_gpu hot, free;
    cost_gpu_init(&hot, &s, &with);
    cost_gpu_init(&free, &cold, &with);
    double last = 0;
    for (double m = 128; m < 40000; m *= 2) {
        kernel k = gemm(PREC_FP32, m, 2048, 2048, 1);
        double settled = seconds(&hot, k), boost = seconds(&free, k);
        k.turns = 1;
        k.among = true; /* of many kernels in a step: the limit holds for their mean */
        assert_true(seconds(&hot, k) == boost);
        k.among = false;
        double brief = seconds(&hot, k), felt = (brief - boost) / (settled - boost);
        assert_true(settled > 1.2 * boost && brief > boost && brief < settled);
        assert_true(felt > last); /* the longer, the more of it */
        last = felt;
    }
    assert_true(last > 0.9);
    kernel k = gemm(PREC_FP32, 512, 2048, 2048, 1), copied = k, quiet = k;
    k.turns = copied.turns = quiet.turns = 2;
    copied.copies = 6; /* a longer loop */
    NOT_FASTER(seconds(&hot, copied), 1.01 * seconds(&hot, k));
    quiet.quiet = true;
    assert_true(seconds(&hot, quiet) < seconds(&hot, k) && seconds(&hot, quiet) >= seconds(&free, k));
    assert_true(cost_kernel(&free, &quiet).core_j < cost_kernel(&free, &k).core_j);
}

/* Tiles of 256 x 128 in one wave and a bit take nearly two; it pays to split those along a long K. */
static void waves_are_felt_unless_split(void **state)
{
    (void)state;
    gpu_spec spec = spec_a100();
    spec.tdp_w = 1000;
    cost_constants with = constants;
    with.gemm_quantum = 0.9;
    with.gemm_feed_clocks = 0;
    with.gemm_depth = 300;
    with.gemm_tile_clocks = 200;
    cost_gpu cool;
    cost_gpu_init(&cool, &spec, &with);
    double one = seconds(&cool, gemm(PREC_BF16, 2048, 1536, 2048, 1)), /* 96 of them on 108 SMs */
        two = seconds(&cool, gemm(PREC_BF16, 2048, 2048, 2048, 1));    /* 128 */
    assert_true(two > 1.5 * one && two < 2.1 * one);
    double deep_one = seconds(&cool, gemm(PREC_BF16, 2048, 1536, 65536, 1)),
           deep_two = seconds(&cool, gemm(PREC_BF16, 2048, 2048, 65536, 1));
    assert_true(deep_two < 1.5 * deep_one && deep_two > 1.2 * deep_one);
}

/* A normalisation reads its rows twice; what L2 can't keep of all rows under way comes from DRAM again. */
static void long_rows_are_read_again(void **state)
{
    (void)state;
    kernel row = {.kind = KERNEL_NORM, .math = PREC_FP32, .shape.rows = {65536, 8192}};
    row.read_bytes = row.write_bytes = 65536.0 * 8192 * 4;
    kernel part = row;
    part.shape.rows = (rows_shape){65536.0 * 32, 256};
    double twice = row.read_bytes + row.write_bytes;
    assert_true(cost_kernel(&a100, &row).dram_bytes > 1.2 * twice);
    assert_true(cost_kernel(&a100, &part).dram_bytes < 1.1 * twice);
    row.kind = KERNEL_SOFTMAX;
    assert_true(cost_kernel(&a100, &row).dram_bytes <= twice);
}

/* A convolution is more work to issue than a sum; a network of convolutions, normalisations and activations sets the scale. */
static void launches_weigh_what_they_take(void **state)
{
    (void)state;
    runtime_profile rt = {.lone_conv_us = 90, .lone_norm_us = 60, .lone_gemm_us = 60, .lone_unary_us = 30};
    kernel_plan p = {
        .runtime = &rt, .launches = 3, .issued = {[ISSUE_CONV] = 1, [ISSUE_NORM] = 1, [ISSUE_POINTWISE] = 1}};
    assert_true(fabs(predict_issued(&p) - 3) < 1e-12);
    kernel_plan sums = {.runtime = &rt, .launches = 4, .issued = {[ISSUE_POINTWISE] = 3}}; /* and one of no class */
    assert_true(fabs(predict_issued(&sums) - 2.5) < 1e-12);
    rt = (runtime_profile){.host_us = 1}; /* nobody timed its operators: all the same */
    assert_true(predict_issued(&sums) == 4);
}

/* The same chip made for two thirds of the clock draws less than two thirds of the power, so its limit costs it less. */
static void small_boards_have_low_voltages(void **state)
{
    (void)state;
    cost_constants with = constants;
    with.power_vector_pj = 30;
    gpu_spec fast = spec_a100(), slow = spec_a100();
    fast.tdp_w = 150;
    slow.tdp_w = 100;
    slow.boost_mhz *= 2.0 / 3;
    slow.tflops[PREC_FP32] *= 2.0 / 3;
    cost_gpu a, b;
    cost_gpu_init(&a, &fast, &with);
    cost_gpu_init(&b, &slow, &with);
    assert_true(b.headroom[PREC_FP32] > 1.2 * a.headroom[PREC_FP32]);
}

/* A board of the same chip and power that may boost higher needs the voltage for it: under its limit it is neither slower nor faster. */
static void higher_boost_does_not_help_under_the_limit(void **state)
{
    (void)state;
    cost_constants with = constants;
    with.power_vector_pj = 30;
    gpu_spec usual = spec_a100(), high = spec_a100();
    high.boost_mhz *= 1.25;
    for (int p = 0; p < PREC_COUNT; p++) high.tflops[p] *= 1.25;
    for (double tdp = 100; tdp < 2000; tdp *= 1.5) {
        usual.tdp_w = high.tdp_w = tdp;
        cost_gpu a, b;
        cost_gpu_init(&a, &usual, &with);
        cost_gpu_init(&b, &high, &with);
        kernel k = gemm(PREC_FP32, 8192, 8192, 8192, 1);
        NOT_FASTER(seconds(&a, k), seconds(&b, k));
        if (tdp < 300) assert_true(seconds(&a, k) < 1.02 * seconds(&b, k));
        if (tdp > 1000) assert_true(seconds(&a, k) > 1.2 * seconds(&b, k));
    }
}

/* Weights that Pascal reads in pieces, again for each row of tiles; not those that L2 holds, and on no later GPU. */
static void pascal_reads_weights_in_pieces(void **state)
{
    (void)state;
    cost_constants with = constants;
    with.gemm_pieces_share = 0.2;
    with.gemm_pieces_kb = 64;
    with.gemm_pieces_speed = 1;
    cost_gpu old = p4; /* derived figures do not depend on these */
    old.c = &with;
    kernel k = gemm(PREC_FP32, 1024, 8192, 8192, 1), inputs = k;
    inputs.read_bytes += inputs.weight_bytes;
    inputs.weight_bytes = 0;
    double pieces = k.weight_bytes * 11 / (192e9 * with.gemm_pieces_share); /* for each 96 rows */
    assert_true(seconds(&old, k) >= pieces && seconds(&old, k) > 1.2 * seconds(&old, inputs));
    assert_true(seconds(&a100, k) <= seconds(&a100, inputs));
    kernel narrow = gemm(PREC_FP32, 8192, 32, 8192, 1);
    assert_true(seconds(&old, narrow) > narrow.read_bytes / (192e9 * with.gemm_pieces_share));
    kernel usual = gemm(PREC_FP32, 4096, 1024, 2048, 1), long_rows = gemm(PREC_FP32, 4096, 1024, 32768, 1);
    assert_true(seconds(&old, long_rows) > 1.5 * 16 * seconds(&old, usual)); /* each in a page of its own */
    assert_true(seconds(&a100, long_rows) < 1.1 * 16 * seconds(&a100, usual));
    kernel held = gemm(PREC_FP32, 4096, 256, 256, 1);
    inputs = held;
    inputs.read_bytes += inputs.weight_bytes;
    inputs.weight_bytes = 0;
    assert_true(seconds(&old, held) <= seconds(&old, inputs) * 1.01);
}

static void constants_are_checked(void **state)
{
    (void)state;
    int bad = -1;
    assert_true(cost_constants_valid(&constants, &bad));
    cost_constants broken = constants;
    broken.gemm_depth = NAN;
    assert_false(cost_constants_valid(&broken, &bad));
    assert_int_equal(bad, COST_INDEX_gemm_depth);
    broken.gemm_depth = -1;
    assert_false(cost_constants_valid(&broken, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_stream_the_matrix),
        cmocka_unit_test(gemm_grows_with_each_side),
        cmocka_unit_test(fixed_tiles_are_not_faster),
        cmocka_unit_test(waves_are_felt_unless_split),
        cmocka_unit_test(long_rows_are_read_again),
        cmocka_unit_test(thin_batches_waste_their_tiles),
        cmocka_unit_test(wide_caches_feed_small_tiles),
        cmocka_unit_test(attention_kernels_have_gaps),
        cmocka_unit_test(short_prompts_are_prompts),
        cmocka_unit_test(scanned_rows_take_turns),
        cmocka_unit_test(conv_grows_with_each_side),
        cmocka_unit_test(attention_grows_with_each_side),
        cmocka_unit_test(heads_apart_read_their_keys),
        cmocka_unit_test(streams_grow_with_bytes),
        cmocka_unit_test(nothing_beats_the_roofs),
        cmocka_unit_test(better_hardware_is_never_slower),
        cmocka_unit_test(long_stream_by_hand),
        cmocka_unit_test(full_wave_by_hand),
        cmocka_unit_test(power_limit_by_hand),
        cmocka_unit_test(residency_belongs_to_the_situation),
        cmocka_unit_test(copies_of_weights_fill_the_cache),
        cmocka_unit_test(splitting_a_product_only_helps),
        cmocka_unit_test(small_images_waste_winograd),
        cmocka_unit_test(convolutions_take_a_kind_of_kernel),
        cmocka_unit_test(small_images_go_in_pairs),
        cmocka_unit_test(winograd_saves_power),
        cmocka_unit_test(skinny_products_stream_their_weights),
        cmocka_unit_test(missing_units_fall_back),
        cmocka_unit_test(bare_specification_is_sane),
        cmocka_unit_test(empty_kernels_cost_a_launch),
        cmocka_unit_test(recurrent_steps_pass_their_states_on),
        cmocka_unit_test(brief_loops_run_at_boost),
        cmocka_unit_test(launches_weigh_what_they_take),
        cmocka_unit_test(small_boards_have_low_voltages),
        cmocka_unit_test(higher_boost_does_not_help_under_the_limit),
        cmocka_unit_test(pascal_reads_weights_in_pieces),
        cmocka_unit_test(constants_are_checked),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
