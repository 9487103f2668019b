#include "cost/parts.h"

#define COST_CONSTANT(table, name, unit, lower, upper, meaning) {#table, #name, unit, lower, upper, meaning},
const cost_constant_info cost_constant_table[COST_CONSTANTS] = {
#include "cost/constants.def"
};
#undef COST_CONSTANT

_Static_assert(sizeof(cost_constants) == COST_CONSTANTS * sizeof(double), "constants are walked as an array");

bool cost_constants_valid(const cost_constants *c, int *bad)
{
    for (int i = 0; i < COST_CONSTANTS; i++) {
        double v = ((const double *)(const void *)c)[i];
        const cost_constant_info *info = &cost_constant_table[i];
        if (!isfinite(v) || v < info->lower || v > info->upper) {
            if (bad) {
                *bad = i;
            }
            return false;
        }
    }
    return true;
}

/* The unit that really does the arithmetic when a GPU lacks the asked one: integers and 8 bits are unpacked to 16 bits,
 * bfloat16 without its own unit is converted to FP32. */
static void gpu_peaks(cost_gpu *g, const gpu_spec *spec)
{
    static const precision fallback[PREC_COUNT] = {
        [PREC_FP32] = PREC_FP32, [PREC_TF32] = PREC_FP32, [PREC_FP16] = PREC_FP32, [PREC_BF16] = PREC_FP32,
        [PREC_FP8] = PREC_FP16,  [PREC_INT8] = PREC_FP16, [PREC_FP4] = PREC_FP16,  [PREC_INT4] = PREC_INT8,
    };
    static const precision order[PREC_COUNT] = {
        PREC_FP32, PREC_TF32, PREC_FP16, PREC_BF16, PREC_FP8, PREC_INT8, PREC_FP4, PREC_INT4,
    };
    for (int i = 0; i < PREC_COUNT; i++) {
        precision p = order[i];
        g->unit[p] = (uint8_t)p;
        double own = spec->tflops[p] * 1e12;
        /* Some boards keep a token rate for integers: runtimes then use the wider unit. */
        bool narrow = p == PREC_FP8 || p == PREC_INT8 || p == PREC_FP4 || p == PREC_INT4;
        if (own > 0 && !(narrow && own < g->peak[fallback[p]])) {
            g->peak[p] = own;
            /* without tensor cores INT8 is four products and sums a lane (DP4A) */
            g->tensor[p] = p != PREC_FP32 && (p != PREC_INT8 || spec->tflops[PREC_FP16] > 0);
        } else if (p == PREC_FP16 && spec->fp16_vector_tflops > 0) {
            g->peak[p] = spec->fp16_vector_tflops * 1e12;
        } else {
            g->unit[p] = g->unit[fallback[p]];
            g->peak[p] = p == PREC_FP32 ? 1e12 : g->peak[fallback[p]];
            g->tensor[p] = p != PREC_FP32 && g->tensor[fallback[p]];
        }
    }
}

/* Generations of silicon: the year of the chip, not of the board, which later boards of a generation share; that of its process, where
 * another chip had it first or last (Volta's and Turing's are one; Samsung's 8 nm lies between those of Turing and A100); the boost clock in
 * GHz, which its voltage is made for, of its largest board (data/hardware_profiles.toml: RTX 5090, B200, H100, RTX 4090, RTX 3090, A100,
 * RTX 2080 Ti, V100 SXM, P40). */
typedef struct generation {
    double capability, year, process, ghz;
} generation;

static const generation *silicon(const gpu_spec *spec)
{
    static const generation all[] = {{12, 2025, 2025, 2.407},  {10, 2024, 2024, 1.965},  {9, 2022, 2022, 1.98},
                                     {8.9, 2022, 2022, 2.52},  {8.6, 2020, 2019, 1.695}, {8, 2020, 2020, 1.41},
                                     {7.5, 2018, 2018, 1.545}, {7, 2017, 2018, 1.53},    {6, 2016, 2016, 1.531},
                                     {5.2, 2015, 2015, 1.114}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (spec->compute_capability >= all[i].capability - 1e-6) return &all[i];
    }
    return NULL;
}

double cost_silicon_year(const gpu_spec *spec)
{
    const generation *own = silicon(spec);
    return own ? own->year : spec->release_year > 0 ? spec->release_year : 2022;
}

static bool name_has(str name, const char *word)
{
    size_t n = strlen(word);
    for (size_t i = 0; i + n <= name.len; i++) {
        if (memcmp(name.ptr + i, word, n) == 0) {
            return true;
        }
    }
    return false;
}

double cost_static_watts(double tdp, const cost_constants *c)
{
    static const double MOST = 0.4; /* of the limit: about what the smallest cards give, P4 and T4 of 70 W */
    return cost_min(c->power_static_w, MOST * tdp);
}

/* Utilisation at which the board's power is used up at boost clock: (TDP - static) / (energy per FLOP * peak). A
 * narrower operation takes as much less energy as its unit is faster, so the rate of 16-bit (or FP32 vector)
 * operations stands for all. */
static void gpu_power(cost_gpu *g, const gpu_spec *spec)
{
    static const double LEAST_VOLTS = 0.6; /* of those at the usual clock: transistors need as much to switch */
    const cost_constants *c = g->c;
    const generation *own = silicon(spec);
    static const double LN2 = 0.6931471805599453;
    double year = cost_silicon_year(spec), process = own ? own->process : year;
    /* Tensor cores change with each chip, vector units with the process that they are made in. */
    double newer = exp(LN2 * (2020 - process) / c->power_half_years) * 1e-12,
           newer_tensor = exp(LN2 * (2020 - year) / c->power_tensor_half_years) * 1e-12;
    double voltage = pow(g->clock / 1.5e9, c->power_clock_power);
    /* Boards of small power are made for less than their generation's usual clock, and for the voltage that does for it. */
    double usual = own ? g->clock / g->boost / (own->ghz * 1e9) : 1, volts = cost_min(cost_max(usual, LEAST_VOLTS), 1);
    /* Those made for more take more, as they take less again under a limit: a higher boost clock doesn't slow them down there. */
    double more = pow(cost_max(usual, 1), 1 / c->power_droop - 1);
    double budget = spec->tdp_w - cost_static_watts(spec->tdp_w, c);
    for (int p = 0; p < PREC_COUNT; p++) {
        double joule = g->tensor[p] ? newer_tensor * c->power_tensor_pj * voltage * (g->async ? c->power_async : 1)
                                    : newer * c->power_vector_pj * volts * volts * more;
        double rate = g->peak[g->tensor[p] && g->tensor[PREC_FP16] ? PREC_FP16 : g->tensor[p] ? p : PREC_FP32];
        g->joule[p] = joule * rate / g->peak[p];
        g->headroom[p] = spec->tdp_w > 0 ? budget / (joule * rate) : INFINITY;
    }
    g->chip_joule = c->power_chip_pj * newer;
    bool gddr = name_has(spec->memory_type, "GDDR");
    g->dram_joule = (gddr ? c->power_gddr_pj : c->power_hbm_pj) * 1e-12;
}

/* Boards for people's desks: their clock is advertised with a margin, and ECC is off by default. */
static bool gpu_has_display(const gpu_spec *spec)
{
    static const char *const display[] = {"GeForce", "RTX", "TITAN", "Titan", "Quadro", "GTX", "Radeon", "Arc"};
    for (size_t i = 0; i < sizeof display / sizeof display[0]; i++) {
        if (name_has(spec->name, display[i])) {
            return true;
        }
    }
    return false;
}

/* HBM has room for its check bits; GDDR gives up capacity and bandwidth. */
static bool gpu_inline_ecc(const gpu_spec *spec)
{
    return !gpu_has_display(spec) && name_has(spec->memory_type, "GDDR");
}

static bool gpu_halved_l2(const gpu_spec *spec)
{
    double cc = spec->compute_capability;
    return (cc >= 8 && cc < 8.05) || (cc >= 9 && cc < 12);
}

/* HBM loses more of its peak to its many short rows than GDDR does; of GDDR7, long streams reach less again. */
double cost_dram_share(const gpu_spec *spec, const cost_constants *c)
{
    if (spec->coalescing_efficiency > 0) return cost_min(spec->coalescing_efficiency, 1);
    if (name_has(spec->memory_type, "GDDR7")) return c->memory_gddr7_share;
    return name_has(spec->memory_type, "GDDR") && !gpu_inline_ecc(spec) ? c->memory_gddr_share : c->memory_dram_share;
}

void cost_gpu_init(cost_gpu *g, const gpu_spec *spec, const cost_constants *c)
{
    *g = (cost_gpu){.c = c};
    gpu_peaks(g, spec);
    g->sms = spec->sms > 0 ? spec->sms : cost_max(1, spec->cuda_cores > 0 ? spec->cuda_cores / 128.0 : 64);
    double cores = spec->cuda_cores > 0 ? spec->cuda_cores : g->sms * 128;
    double derived = g->peak[PREC_FP32] / (2 * cores);
    g->clock = spec->boost_mhz > 0 ? spec->boost_mhz * 1e6 : derived;
    g->boost = gpu_has_display(spec) ? c->power_display_boost : 1;
    g->clock *= g->boost;
    for (int p = 0; p < PREC_COUNT; p++) g->peak[p] *= g->boost;
    g->tick = 1 / g->clock;
    g->floor = c->launch_floor_us * 1e-6 + c->launch_floor_clocks * g->tick;
    g->dram_peak = (spec->bandwidth_gbs > 0 ? spec->bandwidth_gbs : 100) * 1e9;
    g->dram = g->dram_peak * cost_dram_share(spec, c) * (gpu_inline_ecc(spec) ? c->memory_ecc_share : 1);
    if (spec->compute_capability >= 6 && spec->compute_capability < 6.05) g->dram *= c->memory_gp100_share;
    if (spec->compute_capability >= 10 && spec->compute_capability < 12) g->dram *= c->memory_two_dies;
    g->stream = name_has(spec->memory_type, "GDDR") ? 1 : cost_min(c->memory_stacked_stream, g->dram_peak / g->dram);
    double l1 = spec->l1_kb > 0 ? spec->l1_kb : 128;
    g->l1_miss = c->memory_l1_window / (l1 + c->memory_l1_window);
    /* L2 is never slower than the memory behind it. */
    g->l2 = cost_max(c->memory_l2_bytes * g->clock * g->sms, g->dram_peak);
    g->l2_bytes = spec->l2_mb * 1048576;
    /* The large L2 of data-centre Ampere, Hopper and Blackwell is two halves, each of which keeps its own copy of what the SMs
     * beside it read: what all SMs read fits once into half of it. */
    g->wide = gpu_halved_l2(spec);
    /* From Ampere on asynchronous copies begin a tile while the one before it ends. */
    g->depth = spec->compute_capability >= 8 ? 0 : c->gemm_vector_depth;
    g->conv_share = spec->compute_capability >= 8 ? c->conv_late_share : 1;
    g->conv_filter = spec->compute_capability >= 8 ? c->conv_late_filter : 1;
    g->conv_pairs = !(spec->compute_capability >= 7 && spec->compute_capability < 8);
    double whole = g->l2_bytes * (g->wide ? 0.5 : 1);
    g->l2_keep = c->memory_l2_keep * whole;
    g->l2_lose = (c->memory_l2_keep + c->memory_l2_fade) * whole;
    /* Data-centre Hopper and Blackwell; the Blackwell of cards (12.x) has the older synchronous units. */
    g->async = spec->compute_capability >= 9 && spec->compute_capability < 12;
    g->persistent = spec->compute_capability >= 10 && spec->compute_capability < 12;
    g->quantum = g->async ? c->gemm_async_quantum : c->gemm_quantum;
    g->pieces = spec->compute_capability >= 5 && spec->compute_capability < 7;
    gpu_power(g, spec);
    cost_tile_sets(g, spec->compute_capability);
    cost_tiles_init(g);
    cost_comm_init(g, spec);
}

double cost_clock_share(const cost_gpu *g, precision p, double utilisation)
{
    double h = g->headroom[p];
    return utilisation <= h ? 1 : pow(h / utilisation, g->c->power_droop);
}

/* Power goes with the clock and the voltage, which falls with it, so the clock settles at (headroom / utilisation)^droop. In
 * seconds that is a geometric mean, which grows with both of its parts. */
double cost_power_limited(const cost_gpu *g, const kernel *k, double seconds, double flops)
{
    double limited = flops / g->peak[k->math] / g->headroom[k->math] * (k->quiet ? g->c->power_quiet : 1);
    if (limited <= seconds || k->among) return seconds;
    double settled = seconds * pow(limited / seconds, g->c->power_droop);
    /* Boards hold their limit on the mean of some tens of milliseconds, which is as long as many a benchmark runs. */
    double loop = settled * k->turns * cost_weight_copies(g, k),
           felt = k->turns > 0 ? loop / (loop + g->c->power_settle_ms * 1e-3) : 1;
    return seconds + (settled - seconds) * felt;
}

void cost_finish(const cost_gpu *g, kernel_cost *out, cost_traffic t)
{
    const cost_constants *c = g->c;
    double launch = g->floor * out->launches;
    double longer = cost_max(out->compute_s, out->memory_s), shorter = cost_min(out->compute_s, out->memory_s);
    out->seconds = launch + longer + (longer > 0 ? c->memory_overlap * shorter * shorter / longer : 0);
    out->dram_bytes = t.dram;
    if (launch > longer) {
        out->limit = BOUND_LAUNCH;
    } else if (out->compute_s >= out->memory_s) {
        out->limit = BOUND_COMPUTE;
    } else {
        out->limit = t.dram / g->dram >= t.total / g->l2 ? BOUND_MEMORY : BOUND_CACHE;
    }
}

kernel_cost cost_kernel(const cost_gpu *g, const kernel *k)
{
    kernel_cost out = {.launches = 1};
    cost_traffic t = cost_traffic_of(g, k);
    out.ideal_s = cost_max(k->flops * g->boost / g->peak[k->math], t.total / g->dram_peak);
    switch (k->kind) {
    case KERNEL_GEMM:
        if (k->grouped) cost_grouped(g, k, t, &out);
        else cost_gemm(g, k, t, &out);
        break;
    case KERNEL_GEMV: cost_gemv(g, k, t, &out); break;
    case KERNEL_CONV: cost_conv(g, k, t, &out); break;
    case KERNEL_DEPTHWISE: cost_depthwise(g, k, t, &out); break;
    case KERNEL_ATTENTION: cost_attention(g, k, t, &out); break;
    case KERNEL_NORM:
    case KERNEL_SOFTMAX:
    case KERNEL_REDUCE: cost_rows(g, k, t, &out); break;
    case KERNEL_SCAN: cost_scan(g, k, t, &out); break;
    case KERNEL_RECURRENT: cost_recurrent(g, k, t, &out); break;
    case KERNEL_COMM: cost_comm(g, k, &out); break;
    default: cost_elementwise(g, k, t, &out); break;
    }
    double moved = k->kind == KERNEL_COMM ? k->shape.comm.bytes : t.total + out.among;
    /* A kernel whose own arithmetic passes the limit runs at the clock at which it does not, and each operation takes less. */
    double limit = g->headroom[k->math] / (k->quiet ? g->c->power_quiet : 1) * g->peak[k->math] * out.compute_s;
    double operations = out.operations > 0 ? out.operations : k->flops;
    double own = !k->among && operations > limit ? limit / operations : 1;
    double operation = g->joule[k->math] * (k->quiet ? g->c->power_quiet : 1);
    out.core_j = operations * operation * own + moved * g->chip_joule;
    out.memory_j = out.dram_bytes * g->dram_joule;
    return out;
}
