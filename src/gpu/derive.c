/* What no file gives, from what some file gives. Exact where physics allows it (peak = 2 x cores x clock), else a guess
 * from the generation that the unit counts look like. Everything that is guessed is said in one warning. */
#include "base/error.h"
#include "gpu/catalog.h"
#include "gpu/suggest.h"

#define GIVEN(g, member) config_given((g), offsetof(gpu_fields, member))

/* Typical of a generation; a row holds from its compute capability on. Tensor rates are dense with FP32 accumulation,
 * in fused multiply-adds a core and clock, as GeForce has it where boards differ: the smaller figure. Years are those of the
 * first boards in data/gpu_models.toml, most_gbs the bandwidth of the fastest. */
typedef struct generation {
    double capability;
    const char *name; /* as vendors write it in front of other words */
    bool hbm;
    int year;
    double most_gbs;
    int cores_per_sm;
    double l1_kb, l2_mb;
    double gddr_gbits, hbm_gbits; /* a pin */
    double gddr_gb, hbm_gb;       /* memory for each 32, for each 1024 bits of bus */
    double fp16_rate;             /* 0: no tensor cores */
    double relative[PREC_COUNT];  /* peak by precision, relative to FP16; FP32 unused */
} generation;

/* clang-format off */
#define RELATIVE(...) {[PREC_FP16] = 1, __VA_ARGS__}

static const generation generations[] = {
    {6.0, "Pascal", true, 2016, 732, 64, 24, 4, 8, 1.4, 1, 4, 0, {0}},
    {6.1, "Pascal", false, 2016, 548, 128, 48, 3, 10, 1.4, 1, 4, 0, {0}},
    {7.0, "Volta", true, 2017, 900, 64, 128, 6, 14, 1.75, 1, 8, 64, {[PREC_FP16] = 1}},
    {7.5, "Turing", false, 2018, 672, 64, 96, 6, 14, 1.75, 1, 8, 32,
     RELATIVE([PREC_INT8] = 4, [PREC_INT4] = 8)},
    {8.0, "Ampere", true, 2020, 2039, 64, 192, 40, 14, 3.0, 2, 16, 256,
     RELATIVE([PREC_TF32] = 0.5, [PREC_BF16] = 1, [PREC_INT8] = 2, [PREC_INT4] = 4)},
    {8.6, "Ampere", false, 2020, 1008, 128, 128, 6, 16, 3.0, 2, 16, 64,
     RELATIVE([PREC_TF32] = 0.5, [PREC_BF16] = 1, [PREC_INT8] = 4, [PREC_INT4] = 8)},
    {8.9, "Ada", false, 2022, 1008, 128, 128, 64, 20, 3.0, 2, 16, 64,
     RELATIVE([PREC_TF32] = 0.5, [PREC_BF16] = 1, [PREC_FP8] = 2, [PREC_INT8] = 4, [PREC_INT4] = 8)},
    {9.0, "Hopper", true, 2022, 4900, 128, 256, 50, 20, 5.2, 2, 16, 512,
     RELATIVE([PREC_TF32] = 0.5, [PREC_BF16] = 1, [PREC_FP8] = 2, [PREC_INT8] = 2)},
    {10.0, "Blackwell", true, 2024, 8000, 128, 256, 126, 28, 7.8, 2, 24, 1024,
     RELATIVE([PREC_TF32] = 0.5, [PREC_BF16] = 1, [PREC_FP8] = 2, [PREC_INT8] = 2, [PREC_FP4] = 4)},
    {12.0, "Blackwell", false, 2025, 1792, 128, 128, 96, 28, 7.8, 2, 24, 64,
     RELATIVE([PREC_TF32] = 0.5, [PREC_BF16] = 1, [PREC_FP8] = 2, [PREC_INT8] = 4, [PREC_FP4] = 8)},
};
/* clang-format on */

/* So much more than the fastest board's bandwidth may a further board of a generation have. */
static const double MORE = 1.05;

enum { GENERATIONS = sizeof generations / sizeof generations[0], HBM_BITS = 1024 };

typedef struct note {
    char text[640];
    size_t used;
} note;

static void note_add(note *w, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void note_add(note *w, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    if (w->used + 2 < sizeof w->text) {
        if (w->used) w->used += format_text(w->text + w->used, sizeof w->text - w->used, ", ");
        w->used += format_textv(w->text + w->used, sizeof w->text - w->used, fmt, args);
        if (w->used >= sizeof w->text) w->used = sizeof w->text - 1;
    }
    va_end(args);
}

/* With three significant digits, as a guess deserves. */
static double rounded(double x)
{
    double unit = 1;
    if (!(x > 0)) return x;
    while (x / unit >= 1000) unit *= 10;
    while (x / unit < 100) unit /= 10;
    return floor(x / unit + 0.5) * unit;
}

/* Stacked memory: by its name, else by a bus or a bandwidth that no board of the time has with chips beside the GPU. Those with tensor
 * cores of eight times their FP32 had no more than Turing's. */
static bool is_stacked(const gpu_spec *s)
{
    const bool wide = s->tflops[PREC_FP16] > 7.5 * s->tflops[PREC_FP32] && s->tflops[PREC_FP32] > 0;
    double most = 0;
    if (s->memory_type.len) return str_starts(s->memory_type, "HBM");
    for (size_t i = 0; i < GENERATIONS; i++) {
        const generation *gen = &generations[i];
        if (gen->hbm || (wide && gen->capability > 7.5)) continue;
        if (!(s->release_year > 0 && gen->year > s->release_year) && gen->most_gbs > most) most = gen->most_gbs;
    }
    return s->memory_bus_bits >= HBM_BITS || s->bandwidth_gbs > (most > 0 ? MORE * most : INFINITY);
}

/* What the counts of units look like. */
static double guess_from_units(const gpu_entry *g, bool hbm)
{
    const gpu_spec *s = &g->f.spec;
    double cores = s->sms ? (double)s->cuda_cores / s->sms : 0, tensor = s->sms ? (double)s->tensor_cores / s->sms : 0;
    if (hbm) {
        if (tensor >= 6) return 7.0;
        if (s->memory_bus_bits >= 8192 || s->l2_mb >= 100) return 10.0;
        return cores >= 100 || s->l1_kb >= 224 ? 9.0 : 8.0;
    }
    if (tensor >= 6 || (cores > 0 && cores < 100)) return 7.5;
    return s->l2_mb >= 24 ? 8.9 : 8.6;
}

/* Could a board of this generation have the bandwidth and the units that are given? */
static bool could_be(const generation *gen, const gpu_spec *s)
{
    static const precision telling[] = {PREC_TF32, PREC_BF16, PREC_FP8, PREC_FP4};
    for (size_t i = 0; i < sizeof telling / sizeof telling[0]; i++)
        if (s->tflops[telling[i]] > 0 && gen->relative[telling[i]] <= 0) return false;
    return s->bandwidth_gbs <= MORE * gen->most_gbs;
}

/* The generation whose name is given; else that of the year, else what the units look like, or the next that could be. */
static const generation *guess_generation(const gpu_entry *g)
{
    const gpu_spec *s = &g->f.spec;
    const bool hbm = is_stacked(s), bare = GIVEN(g, spec.tensor_cores) && s->tensor_cores == 0;
    const double units = guess_from_units(g, hbm);
    const generation *best = NULL, *named = NULL;
    for (size_t i = 0; i < GENERATIONS; i++) {
        const generation *gen = &generations[i];
        if (str_starts(s->architecture, gen->name) && (!named || gen->hbm == hbm)) named = gen;
        if (gen->hbm != hbm) continue;
        bool reached = s->release_year > 0 ? gen->year <= s->release_year : gen->capability <= units + 1e-6;
        if (!best || (!bare && (reached || !could_be(best, s)))) best = gen;
    }
    return named ? named : best;
}

/* Capabilities are NVIDIA's; of other vendors' boards the generation only fills in what is missing. */
static const generation *generation_of(gpu_entry *g, note *w)
{
    gpu_spec *s = &g->f.spec;
    if (s->compute_capability <= 0) {
        const generation *gen = guess_generation(g);
        char vendor[GPU_NAME_MAX];
        bool other = str_fold(vendor, sizeof vendor, s->vendor) > 0 && strcmp(vendor, "nvidia") != 0;
        if (!other) s->compute_capability = gen->capability;
        note_add(w, "%s compute capability %.1f", other ? "units like those of" : "generation like", gen->capability);
        return gen;
    }
    size_t i = GENERATIONS - 1;
    while (i > 0 && generations[i].capability > s->compute_capability + 1e-6) i--;
    return &generations[i];
}

static pg_code too_little(const gpu_catalog *c, const gpu_entry *g, bool compute, bool memory, pg_error *e)
{
    char names[160];
    suggest_names(c, g->f.spec.key, g, names, sizeof names);
    error_set(e, PG_E_CONFIG, "too little is known of this GPU: needs %s%s%s%s%s",
              compute ? "" : "fp32_tflops or another peak (or architecture.cuda_cores or streaming_multiprocessors)",
              !compute && !memory ? ", and " : "",
              memory ? "" : "bandwidth_gbs (or architecture.memory_bus_width or memory.memory_channels)",
              names[0] ? "; if a known one is meant: " : "", names);
    error_source(e, g->source);
    error_path(e, "%.*s", STR_ARG(g->f.spec.key));
    error_line(e, g->line, g->column);
    return PG_E_CONFIG;
}

/* The peak of the tensor cores in FP16 that some given peak stands for in this generation; 0: none is given. */
static double tensor_peak(const gpu_spec *s, const generation *gen)
{
    static const precision order[] = {PREC_FP16, PREC_BF16, PREC_TF32, PREC_FP8, PREC_INT8, PREC_FP4};
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++)
        if (s->tflops[order[i]] > 0 && (!gen || gen->relative[order[i]] > 0))
            return s->tflops[order[i]] / (gen ? gen->relative[order[i]] : 1);
    return 0;
}

static int tensor_cores_per_sm(const generation *gen)
{
    return gen->capability >= 8 ? 4 : 8;
}

/* Whose peaks are those of tensor cores alone: as many SMs as have them. */
static void derive_sms(gpu_spec *s, const generation *gen, note *w)
{
    double peak = tensor_peak(s, gen), mhz = s->boost_mhz > 0 ? s->boost_mhz : 1700;
    if (s->tflops[PREC_FP32] > 0 || s->cuda_cores || s->sms || !(peak > 0) || !(gen->fp16_rate > 0)) return;
    double sms = peak * 1e6 / (2 * gen->fp16_rate * tensor_cores_per_sm(gen) * mhz) + 0.5;
    s->sms = sms < 1 ? 1 : sms < UNITS_MAX / 256 ? (int)sms : UNITS_MAX / 256;
    note_add(w, "%d SMs", s->sms);
}

static void derive_units(gpu_spec *s, const generation *gen, note *w)
{
    double fp32 = s->tflops[PREC_FP32];
    if (!s->cuda_cores && s->sms) {
        s->cuda_cores = s->sms * gen->cores_per_sm;
        note_add(w, "%d CUDA cores (%d an SM)", s->cuda_cores, gen->cores_per_sm);
    }
    if (s->boost_mhz <= 0) {
        if (s->cuda_cores && fp32 > 0) s->boost_mhz = fp32 * 1e6 / (2.0 * s->cuda_cores);
        else s->boost_mhz = s->base_mhz > 0 ? rounded(s->base_mhz * 1.2) : 1700;
        note_add(w, "boost clock %g MHz", rounded(s->boost_mhz));
    }
    if (!s->cuda_cores) {
        double cores = fp32 * 1e6 / (2 * s->boost_mhz) + 0.5;
        s->cuda_cores = cores < 1 ? 1 : cores < UNITS_MAX ? (int)cores : UNITS_MAX;
        note_add(w, "%d CUDA cores", s->cuda_cores);
    }
    if (!s->sms) {
        s->sms = (s->cuda_cores + gen->cores_per_sm / 2) / gen->cores_per_sm;
        if (s->sms < 1) s->sms = 1;
        note_add(w, "%d SMs (%d CUDA cores each)", s->sms, gen->cores_per_sm);
    }
    if (fp32 <= 0) {
        s->tflops[PREC_FP32] = 2e-6 * s->cuda_cores * s->boost_mhz;
        note_add(w, "FP32 %g TFLOPS (2 x cores x boost clock)", rounded(s->tflops[PREC_FP32]));
    }
}

static bool peak_given(const gpu_entry *g, size_t p)
{
    return config_given(g, offsetof(gpu_fields, spec.tflops) + p * sizeof(double));
}

/* FP16 from the multiplier, else from the tensor cores; the others relative to it, as the generation has them. */
static void derive_tensor(gpu_entry *g, const generation *gen, note *w)
{
    static const char *const names[PREC_COUNT] = {
        [PREC_TF32] = "TF32", [PREC_FP16] = "FP16", [PREC_BF16] = "BF16", [PREC_FP8] = "FP8",
        [PREC_INT8] = "INT8", [PREC_FP4] = "FP4",   [PREC_INT4] = "INT4",
    };
    gpu_spec *s = &g->f.spec;
    bool none = GIVEN(g, spec.tensor_cores) && !s->tensor_cores;
    int cores = s->tensor_cores || none ? s->tensor_cores : s->sms * tensor_cores_per_sm(gen);
    double from_units = gen->fp16_rate > 0 ? 2e-6 * gen->fp16_rate * cores * s->boost_mhz : 0;
    double multipliers[PREC_COUNT] = {
        [PREC_FP16] = s->fp16_multiplier, [PREC_INT8] = s->int8_multiplier, [PREC_INT4] = s->int4_multiplier};
    double fp16 = s->tflops[PREC_FP16];
    if (fp16 <= 0 && !peak_given(g, PREC_FP16))
        fp16 = s->fp16_multiplier > 0   ? s->fp16_multiplier * s->tflops[PREC_FP32]
             : s->tflops[PREC_BF16] > 0 ? s->tflops[PREC_BF16]
                                        : from_units;
    for (size_t p = PREC_TF32; p < PREC_COUNT; p++) {
        if (peak_given(g, p) || s->tflops[p] > 0) continue;
        s->tflops[p] = multipliers[p] > 0 ? multipliers[p] * s->tflops[PREC_FP32] : fp16 * gen->relative[p];
        if (p == PREC_FP16) {
            s->tflops[p] = fp16;
            s->guessed |= fp16 > 0 && fp16 == from_units;
        }
        if (s->tflops[p] > 0) note_add(w, "%s %g", names[p], rounded(s->tflops[p]));
    }
}

static void derive_memory(gpu_entry *g, const generation *gen, note *w)
{
    gpu_spec *s = &g->f.spec;
    if (!s->memory_bus_bits && s->memory_channels) {
        s->memory_bus_bits = s->memory_channels * 32;
        note_add(w, "%d-bit bus (32 bits a channel)", s->memory_bus_bits);
    }
    bool hbm = is_stacked(s);
    double pin = hbm ? gen->hbm_gbits : gen->gddr_gbits;
    if (s->bandwidth_gbs <= 0) {
        s->bandwidth_gbs = s->memory_bus_bits / 8.0 * pin;
        s->guessed = true;
        note_add(w, "%g GB/s (%d-bit bus at %g Gbit/s)", rounded(s->bandwidth_gbs), s->memory_bus_bits, pin);
    }
    if (!s->memory_bus_bits) s->memory_bus_bits = (int)(s->bandwidth_gbs * 8 / pin + 0.5);
    if (s->memory_gb <= 0 && g->f.memory_mib > 0) s->memory_gb = g->f.memory_mib / 1024;
    if (s->memory_gb <= 0) {
        s->memory_gb = hbm ? s->memory_bus_bits / 1024.0 * gen->hbm_gb : s->memory_bus_bits / 32.0 * gen->gddr_gb;
        if (s->memory_gb < 1) s->memory_gb = 1;
        note_add(w, "%g GB of memory", rounded(s->memory_gb));
    }
}

static void derive_rest(gpu_spec *s, const generation *gen, note *w)
{
    if (s->l1_kb <= 0) {
        s->l1_kb = gen->l1_kb;
        note_add(w, "L1 %g KB an SM", s->l1_kb);
    }
    if (s->l2_mb <= 0) {
        s->l2_mb = gen->l2_mb;
        note_add(w, "L2 %g MB", s->l2_mb);
    }
    if (s->tdp_w <= 0) {
        s->tdp_w = rounded(s->cuda_cores * (s->memory_bus_bits >= HBM_BITS ? 0.043 : 0.03));
        note_add(w, "TDP %g W", s->tdp_w);
    }
    if (!s->pcie_gen) {
        s->pcie_gen = gen->capability >= 9 ? 5 : gen->capability >= 8 ? 4 : 3;
        note_add(w, "PCIe %d", s->pcie_gen);
    }
}

/* GeForce and TITAN boards have it over NVLink bridges alone. */
static void derive_peers(gpu_entry *g)
{
    gpu_spec *s = &g->f.spec;
    bool consumer = str_starts(s->name, "NVIDIA GeForce") || str_starts(s->name, "NVIDIA TITAN");
    if (!GIVEN(g, spec.peer_access)) s->peer_access = s->nvlink_gbs > 0 || !consumer;
}

/* memory_gb is as sold: for nearly all boards GiB, less a little that the driver keeps; memory_mib is exact. */
static void derive_bytes(gpu_entry *g)
{
    gpu_spec *s = &g->f.spec;
    s->memory_bytes = g->f.memory_mib > 0 ? g->f.memory_mib * 1048576 : floor(s->memory_gb * 1073741824 * 0.995);
}

pg_code derive_gpu(gpu_catalog *c, gpu_entry *g, pg_error *e)
{
    gpu_spec *s = &g->f.spec;
    note w = {"", 0};
    bool compute = s->tflops[PREC_FP32] > 0 || s->cuda_cores > 0 || s->sms > 0 || tensor_peak(s, NULL) > 0;
    bool memory = s->bandwidth_gbs > 0 || s->memory_bus_bits > 0 || s->memory_channels > 0;
    if (!compute || !memory) return too_little(c, g, compute, memory, e);
    if (!s->name.len) s->name = s->key;
    if (!g->builtin) { /* the built-in files are complete: what they leave out isn't there */
        const generation *gen = generation_of(g, &w);
        derive_sms(s, gen, &w);
        if (!(s->tflops[PREC_FP32] > 0) && !s->cuda_cores && !s->sms) return too_little(c, g, false, true, e);
        derive_units(s, gen, &w);
        derive_tensor(g, gen, &w);
        derive_memory(g, gen, &w);
        derive_rest(s, gen, &w);
    }
    derive_bytes(g);
    derive_peers(g);
    if (!w.used) return PG_E_OK;
    char text[sizeof w.text + 2 * GPU_NAME_MAX + 128];
    format_text(text, sizeof text, "GPU '%.*s': not given, so derived: %s; give what you know in [gpus.%.*s]",
                STR_ARG(s->key), w.text, STR_ARG(s->key));
    s->derived = true;
    g->warning = str_copy(&c->a, str_c(text));
    return g->warning.ptr ? PG_E_OK : error_nomem(e, &c->a);
}
