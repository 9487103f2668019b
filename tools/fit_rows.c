#define _DEFAULT_SOURCE
/* Reads the measurement tables (CSV, gzip). Each row becomes an operator ("op:gemm:m=...") that is planned like any model, so that
 * what is fitted is what the program predicts. */
#include "fit_rows.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

enum { MAX_FIELDS = 96, LINE = 8192 };

typedef struct table {
    gzFile file;
    char line[LINE], head[LINE];
    char *names[MAX_FIELDS], *values[MAX_FIELDS];
    int count;
} table;

static pg_catalog *catalog;
fit_row *fit_rows;
long fit_row_count;
fit_group fit_groups[FIT_MAX_GROUPS];
int fit_group_count;
const gpu_spec *fit_specs[FIT_MAX_GPUS];
int fit_spec_count;

/* ---- CSV ---- */

static int split(char *line, char **out)
{
    int n = 0;
    line[strcspn(line, "\r\n")] = 0;
    for (char *p = line; n < MAX_FIELDS;) {
        char *end = p;
        if (*p == '"') {
            p++;
            end = strchr(p, '"');
            end = end ? end : p + strlen(p);
            *end++ = 0;
        }
        out[n++] = p;
        end = end + strcspn(end, ",");
        if (!*end) {
            break;
        }
        *end = 0;
        p = end + 1;
    }
    return n;
}

static bool table_open(table *t, const char *path)
{
    t->file = gzopen(path, "rb");
    if (!t->file || !gzgets(t->file, t->head, LINE)) {
        fprintf(stderr, "fit_kernels: cannot read %s\n", path);
        return false;
    }
    t->count = split(t->head, t->names);
    return true;
}

static bool table_next(table *t)
{
    if (!gzgets(t->file, t->line, LINE)) {
        gzclose(t->file);
        return false;
    }
    for (int n = split(t->line, t->values); n < t->count; n++) {
        t->values[n] = (char *)"";
    }
    return true;
}

static const char *text(const table *t, const char *name)
{
    for (int i = 0; i < t->count; i++) {
        if (!strcmp(t->names[i], name)) {
            return t->values[i];
        }
    }
    return "";
}

static double number(const table *t, const char *name)
{
    return strtod(text(t, name), NULL);
}

/* ---- GPUs and groups ---- */

static int gpu_of(const char *name)
{
    const pg_gpu *found = pg_catalog_find(catalog, name, NULL);
    const gpu_spec *s = found ? ((const api_gpu *)(const void *)found)->spec : NULL;
    for (int i = 0; i < fit_spec_count; i++) {
        if (fit_specs[i] == s) {
            return i;
        }
    }
    if (!s || fit_spec_count == FIT_MAX_GPUS) {
        return -1;
    }
    fit_specs[fit_spec_count] = s;
    return fit_spec_count++;
}

static int group_of(int gpu, const char *kind, const char *origin, double weight)
{
    int i = 0;
    while (i < fit_group_count &&
           (fit_groups[i].spec != gpu || strcmp(fit_groups[i].kind, kind) || strcmp(fit_groups[i].origin, origin))) {
        i++;
    }
    if (i >= FIT_MAX_GROUPS) {
        fprintf(stderr, "fit_kernels: too many groups\n");
        exit(1);
    }
    if (i == fit_group_count) {
        fit_group *g = &fit_groups[fit_group_count++];
        *g = (fit_group){.spec = gpu, .weight = weight};
        snprintf(g->gpu, sizeof g->gpu, "%.*s", (int)fit_specs[gpu]->key.len, fit_specs[gpu]->key.ptr);
        snprintf(g->kind, sizeof g->kind, "%s", kind);
        snprintf(g->origin, sizeof g->origin, "%s", origin);
    }
    return i;
}

typedef struct wanted {
    const char *kind, *origin, *precision, *runtime;
    double weight, weight_bytes; /* in the fit's loss; of one parameter where the precision does not say it */
    bool device_time;
} wanted;

/* One operator through the planner; its kernels are kept, the rest is not. */
static void row_among(int gpus, int gpu, const wanted *w, double us, const char *operator)
{
    pg_error e = PG_ERROR_INIT;
    pg_model *m = NULL;
    pg_plan *p = NULL;
    pg_request r = {.precision = w->precision, .runtime = w->runtime, .device_time = w->device_time, .gpu_count = gpus};
    if (gpu < 0 || !(us > 0)) {
        return;
    }
    if (pg_model_open(&m, operator, NULL, &e) || pg_plan_open(&p, m, catalog, &r, &e)) {
        fprintf(stderr, "fit_kernels: %s: %s\n", operator, e.text);
        pg_model_free(m);
        return;
    }
    const kernel_plan *k = &p->plan;
    plan_kernel *kept = malloc(k->n_kernels * sizeof *kept);
    if (fit_row_count >= FIT_MAX_ROWS || !kept) {
        fprintf(stderr, "fit_kernels: too many rows\n");
        exit(1);
    }
    memcpy(kept, k->kernels, k->n_kernels * sizeof *kept);
    for (uint32_t i = 0; w->weight_bytes > 0 && i < k->n_kernels; i++) {
        if (kept[i].k.kind == KERNEL_GEMM) {
            kept[i].k.weight_bytes = w->weight_bytes * kept[i].k.shape.gemm.n * kept[i].k.shape.gemm.k;
        }
    }
    int group = group_of(gpu, w->kind, w->origin, w->weight);
    fit_groups[group].rows++;
    fit_row *row = &fit_rows[fit_row_count++];
    *row = (fit_row){.plan = {.runtime = p->runtime,
                              .kernels = kept,
                              .n_kernels = k->n_kernels,
                              .launches = k->launches,
                              .flops = k->flops,
                              .lone = k->lone},
                     .us = us,
                     .device_time = w->device_time,
                     .group = group,
                     .gpu = gpu};
    snprintf(row->text, sizeof row->text, "%s", operator+ 3);
    pg_plan_free(p);
    pg_model_free(m);
}

static void row_new(int gpu, const wanted *w, double us, const char *operator)
{
    row_among(1, gpu, w, us, operator);
}

/* ---- rows to operators ---- */

static const struct format {
    const char *name, *kind, *precision;
    double weight_bytes, weight;
} dtypes[] = {
    {"bfloat16", "gemm.bf16", "bf16", 0, 3},
    {"fp8", "gemm.fp8", "fp8", 0, 1},
    {"fp8_block", "gemm.fp8-block", "fp8", 0, 0.3},
    {"nvfp4", "gemm.fp4", "nvfp4", 0, 1},
    {"int8_wo", "gemm.w8", "fp16", 1, 0.5},
    {"int4_wo", "gemm.w4", "fp16", 0.5, 0.5},
    {"sq", "gemm.int8", "int8", 0, 1},
};

static const char *runtime_of(const char *origin)
{
    return strcmp(origin, "trtllm") ? origin : "tensorrt-llm";
}

/* vLLM's block-scaled products were issued one by one: nothing below 60 us on one host, 340 us on another, whatever the size. */
static const double ISSUED_MS = 0.5;

static void gemm_rows(table *t, int gpu, const char *origin)
{
    while (table_next(t)) {
        for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++) {
            if (strcmp(text(t, "gemm_dtype"), dtypes[i].name)) {
                continue;
            }
            wanted w = {dtypes[i].kind,         origin, dtypes[i].precision, runtime_of(origin), dtypes[i].weight,
                        dtypes[i].weight_bytes, true};
            char operator[160];
            bool scaled = !strcmp(dtypes[i].name, "fp8_block");
            if (scaled && !strcmp(origin, "vllm") && number(t, "latency_ms") < ISSUED_MS) continue;
            snprintf(operator, sizeof operator, "op:gemm:m=%s:n=%s:k=%s%s", text(t, "m"), text(t, "n"), text(t, "k"),
                     scaled ? ":block=128" : "");
            row_new(gpu, &w, number(t, "latency_ms") * 1e3, operator);
        }
    }
}

static void attention_rows(table *t, int gpu, const char *origin)
{
    while (table_next(t)) {
        double b = number(t, "batch"), s = number(t, "seq"), h = number(t, "heads"), d = number(t, "head_dim");
        double kvh = number(t, "kv_heads"), past = number(t, "step");
        const char *type = text(t, "attn_dtype"), *cache = text(t, "kv_cache_dtype"), *operator= text(t, "op_name");
        bool encoder = !strcmp(operator, "encoder_attention"), decode = !strcmp(operator, "generation_attention"),
             fp8 = !strcmp(type, "fp8");
        if (number(t, "window_size") != 0 || (*cache && strcmp(cache, type)) || (!fp8 && strcmp(type, "bfloat16"))) {
            continue;
        }
        kvh = kvh > 0 ? kvh : h;
        char kind[24], name[160];
        /* Shapes that the libraries' fast kernels leave to a fallback are reported apart. */
        bool odd = d > 256, apart = decode && h / kvh > 32 && strcmp(origin, "vllm");
        snprintf(kind, sizeof kind, "%s.%s",
                 odd       ? "fallback"
                 : apart   ? "apart"
                 : encoder ? "encoder"
                 : decode  ? "decode"
                 : s <= 16 ? "short"
                           : "prefill",
                 fp8 ? "fp8" : "bf16");
        wanted w = {kind, origin, fp8 ? "fp8" : "bf16", runtime_of(origin), odd ? 0.3 : encoder ? 0.5 : fp8 ? 0.3 : 1,
                    0,    true};
        snprintf(name, sizeof name,
                 "op:attention:batch=%.0f:q_len=%.0f:kv_len=%.0f:heads=%.0f:kv_heads=%.0f:head_dim=%.0f:causal=%d", b,
                 decode ? 1 : s, s + past, h, kvh, d, !encoder);
        row_new(gpu, &w, number(t, "latency_ms") * 1e3, name);
    }
}

/* The machine with the P100 took 60 % longer to issue a kernel than the other four, which says nothing of the GPU. */
static double host_weight(const table *t)
{
    return strncmp(text(t, "gpu"), "p100", 4) ? 1 : 0.3;
}

static void fp32_gemm_row(const table *t)
{
    char operator[160];
    wanted w = {strcmp(text(t, "op"), "bmm") ? "gemm.fp32" : "bmm.fp32",
                "pytorch",
                "fp32",
                "pytorch",
                host_weight(t),
                0,
                false};
    /* The columns n and k are exchanged: the launch grids of all rows cover m x k. */
    snprintf(operator, sizeof operator, "op:gemm:batch=%s:m=%s:n=%s:k=%s", text(t, "b"), text(t, "m"), text(t, "k"),
             text(t, "n"));
    row_new(gpu_of(text(t, "gpu")), &w, number(t, "latency_ms") * 1e3, operator);
}

/* The convolutions were timed in one process for each GPU, whose host took so much longer for every one than for the one before (us):
 * what regressions of all three kinds of kernels on work and row number agree on. */
static double conv_issue_us(const table *t)
{
    static const struct host {
        const char *gpu;
        double each;
    } hosts[] = {{"a100", 0.056}, {"p100", 0.151}, {"p4", 0.14}, {"t4", 0.081}, {"v100", 0.053}};
    static const char *last;
    static long row;
    enum { FIRST_US = 20 };
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        if (strncmp(text(t, "gpu"), hosts[i].gpu, strlen(hosts[i].gpu))) continue;
        row = last == hosts[i].gpu ? row + 1 : 0;
        last = hosts[i].gpu;
        return FIRST_US + hosts[i].each * (double)row;
    }
    return 0;
}

/* By the kernels' names; those that are seldom taken are none of the three. */
static conv_choice conv_choice_of(const char *kernels)
{
    if (strstr(kernels, "winograd_nonfused")) return CONV_STAGED;
    if (strstr(kernels, "winograd")) return CONV_FUSED;
    return strstr(kernels, "scudnn") && !strstr(kernels, "3dconv") ? CONV_DIRECT : CONV_BEST;
}

static void fp32_conv_row(const table *t)
{
    static const char *const kinds[] = {
        [CONV_DIRECT] = "direct.fp32", [CONV_FUSED] = "fused.fp32", [CONV_STAGED] = "staged.fp32"};
    char operator[200];
    wanted w = {"conv.fp32", "pytorch", "fp32", "pytorch", host_weight(t), 0, false};
    snprintf(operator, sizeof operator,
             "op:conv2d:batch=%s:in=%s:out=%s:kernel=%s:size=%s:stride=%s:padding=%s:groups=1", text(t, "batch"),
             text(t, "in_channels"), text(t, "out_channels"), text(t, "kernel"), text(t, "input"), text(t, "stride"),
             text(t, "padding"));
    int gpu = gpu_of(text(t, "gpu"));
    double us = number(t, "latency_ms") * 1e3, issue = conv_issue_us(t);
    row_new(gpu, &w, us, operator);
    if (us < 2 * issue) return;
    w.kind = "conv-gpu.fp32";
    w.device_time = true;
    w.weight = 1;
    row_new(gpu, &w, us - issue, operator);
    conv_choice choice = conv_choice_of(text(t, "kernels"));
    if (gpu < 0 || choice == CONV_BEST) return;
    w.kind = kinds[choice];
    row_new(gpu, &w, us - issue, operator);
    const kernel_plan *p = &fit_rows[fit_row_count - 1].plan;
    p->kernels[p->n_kernels - 1].k.choice = (uint8_t)choice;
}

static void fp32_vector_row(const table *t)
{
    static const char *const names[][2] = {{"ln", "layernorm"},
                                           {"addu", "add_scalar"},
                                           {"mulu", "mul_scalar"},
                                           {"divu", "div_scalar"},
                                           {"powu", "pow_scalar"}};
    const char *name = text(t, "op");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        name = strcmp(name, names[i][0]) ? name : names[i][1];
    }
    char kind[24], operator[160];
    bool rows = !strcmp(name, "layernorm") || !strcmp(name, "softmax");
    snprintf(kind, sizeof kind, "%.9s.fp32", rows ? name : "vector");
    wanted w = {kind, "pytorch", "fp32", "pytorch", host_weight(t), 0, false};
    snprintf(operator, sizeof operator, "op:%s:rows=%s:cols=%s", name, text(t, "rows"), text(t, "cols"));
    row_new(gpu_of(text(t, "gpu")), &w, number(t, "latency_ms") * 1e3, operator);
}

static void fp32_rows(const char *folder, const char *only)
{
    static const char *const files[] = {"gemm", "conv", "vector"};
    static void (*const make[])(const table *) = {fp32_gemm_row, fp32_conv_row, fp32_vector_row};
    for (int i = 0; i < 3; i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/fp32/kernels_%s.csv.gz", folder, files[i]);
        table t;
        if (strstr(path, only) && table_open(&t, path)) {
            while (table_next(&t)) {
                make[i](&t);
            }
        }
    }
}

/* Products of a layer at each number of tokens and degree of tensor parallelism, in FP16; whole microseconds: short ones say
 * nothing. */
static void layer_rows(table *t, int gpu)
{
    enum { SHORTEST_US = 20, EVERY = 6 };
    static const char *const names[] = {"attn_pre_proj", "attn_post_proj", "mlp_up_proj", "mlp_down_proj"};
    for (long line = 0; table_next(t); line++) {
        if (line % EVERY) {
            continue;
        }
        double heads = number(t, "n_head"), kv = number(t, "n_kv_head"), width = number(t, "n_embd");
        double inner = number(t, "n_expanded_embd"), parts = number(t, "num_tensor_parallel_workers");
        double gates = strcmp(text(t, "use_gated_mlp"), "True") ? 1 : 2, local_kv = ceil(kv / parts);
        double n[] = {(heads / parts + 2 * local_kv) * width / heads, width, gates * inner / parts, width};
        double k[] = {width, width / parts, width, inner / parts};
        for (int i = 0; i < 4; i++) {
            char column[64], operator[160];
            snprintf(column, sizeof column, "time_stats.%s.median", names[i]);
            double us = number(t, column) * 1e3;
            if (us < SHORTEST_US || fmod(n[i], 1) > 0 || fmod(k[i], 1) > 0) {
                continue;
            }
            wanted w = {"gemm.fp16", "vidur", "fp16", "sglang", 1, 0, true};
            snprintf(operator, sizeof operator, "op:gemm:m=%s:n=%.0f:k=%.0f", text(t, "num_tokens"), n[i], k[i]);
            row_new(gpu, &w, us, operator);
        }
    }
}

/* Latent attention of DeepSeek-V2 and its successors: prompts with full heads, decode with the cache's rows as keys and values of
 * all heads. TensorRT-LLM's tables hold that kernel alone. */
static void latent_rows(table *t, int gpu, const char *origin)
{
    while (table_next(t)) {
        double b = number(t, "batch"), s = number(t, "seq"), h = number(t, "heads"), past = number(t, "step");
        bool decode = strstr(text(t, "op_name"), "generation") != NULL, fp8 = !strcmp(text(t, "kv_cache_dtype"), "fp8");
        if (strcmp(origin, "trtllm")) continue;
        char kind[24], name[160];
        snprintf(kind, sizeof kind, "%s.%s", decode ? "latent" : "latent-prompt", fp8 ? "fp8" : "bf16");
        /* prompts are multiplied in 16 bits whatever the cache is in */
        wanted w = {kind, origin, fp8 && decode ? "fp8" : "bf16", runtime_of(origin), fp8 ? 0.3 : 1, 0, true};
        if (decode)
            snprintf(
                name, sizeof name,
                "op:attention:batch=%.0f:q_len=1:kv_len=%.0f:heads=%.0f:kv_heads=1:head_dim=576:v_dim=512:latent=576:"
                "causal=1",
                b, 1 + past, h);
        else
            snprintf(
                name, sizeof name,
                "op:attention:batch=%.0f:q_len=%.0f:kv_len=%.0f:heads=%.0f:kv_heads=%.0f:head_dim=192:v_dim=128:latent=576:"
                "causal=1",
                b, s, s + past, h, h);
        row_new(gpu, &w, number(t, "latency_ms") * 1e3, name);
    }
}

/* ---- recurrences with a matrix as state ---- */

/* Of the tables by TensorRT-LLM and SGLang only the recurrence over prompts is what the columns say: the others move fewer bytes than
 * heads and channels of these numbers have. Mamba's hold its convolution alone. */
static void delta_rows(table *t, int gpu, const char *origin)
{
    while (table_next(t)) {
        const char *source = text(t, "kernel_source");
        bool mamba = !strcmp(text(t, "op_name"), "mamba2"), conv = strstr(source, "conv1d") != NULL,
             prompt = !strcmp(text(t, "phase"), "context");
        if (!mamba && strcmp(origin, "vllm") && (conv || !prompt)) continue;
        char name[160];
        double b = number(t, "batch"), s = prompt ? number(t, "seq_len") : 1;
        double channels = mamba ? number(t, "nheads") * number(t, "head_dim") +
                                      2 * number(t, "n_groups") * number(t, "d_state")
                                : 2 * number(t, "num_k_heads") * number(t, "head_k_dim") +
                                      number(t, "num_v_heads") * number(t, "head_v_dim");
        if (conv)
            snprintf(name, sizeof name, "op:short_conv:batch=%.0f:seq_len=%.0f:channels=%.0f:taps=%s", b, s, channels,
                     text(t, "d_conv"));
        else
            snprintf(name, sizeof name, "op:delta_rule:batch=%.0f:seq_len=%.0f:heads=%s:dim=%s:width=%s", b, s,
                     text(t, "num_v_heads"), text(t, "head_k_dim"), text(t, "head_v_dim"));
        const char *kind = !conv ? prompt ? "scan" : "scan.step" : mamba ? "short-conv.mamba" : "short-conv";
        wanted w = {kind, origin, "bf16", runtime_of(origin), 1, 0, true};
        row_new(gpu, &w, number(t, "latency_ms") * 1e3, name);
    }
}

/* ---- mixtures of experts ---- */

/* Models in the table whose experts have no gate: Nemotron's. */
static bool is_gated(double width, double used)
{
    return used != 22 && width != 1856;
}

static const struct moe_type {
    const char *name, *kind, *precision, *suffix;
    double weight;
} moe_types[] = {
    {"bfloat16", "moe.bf16", "bf16", "", 1},
    {"fp8", "moe.fp8", "fp8", "", 0.5},
    {"fp8_block", "moe.fp8-block", "fp8", ":block=128", 0.5},
    {"nvfp4", "moe.fp4", "nvfp4", "", 0.5},
    {"int4_wo", "moe.packed", "bf16", ":weight_bits=4", 0.3},
    {"w4a16_mxfp4", "moe.packed", "bf16", ":weight_bits=4", 0.3},
};

/* Kernels that who serves with today's defaults does not meet, or that were timed untuned: reported apart. */
static bool is_odd(const char *source, const char *type, int gpu, const char *origin)
{
    bool blackwell = fit_specs[gpu]->compute_capability >= 10;
    if (!strcmp(type, "nvfp4") && blackwell && !strcmp(origin, "trtllm")) return !strstr(source, "min_latency");
    return !strcmp(type, "fp8") && strstr(source, "modeloptfp8moe_flashinfer_cutlass");
}

/* num_tokens are those of all GPUs, of which the fullest is timed. */
static void moe_rows(table *t, int gpu, const char *origin)
{
    while (table_next(t)) {
        const char *type = text(t, "moe_dtype"), *law = text(t, "distribution");
        double power = 0;
        sscanf(law, "power_law_%lf", &power);
        for (size_t i = 0; i < sizeof moe_types / sizeof moe_types[0]; i++) {
            if (strcmp(type, moe_types[i].name)) continue;
            char name[200], how[24] = ":even=1";
            bool odd = is_odd(text(t, "kernel_source"), type, gpu, origin);
            /* the tables of A100 are of versions from a year before the others */
            double weight = moe_types[i].weight * (fit_specs[gpu]->compute_capability < 8.5 ? 0.3 : 1);
            if (power > 0) snprintf(how, sizeof how, ":skew=%.0f", power * 100);
            wanted w = {odd ? "moe.other" : moe_types[i].kind,
                        origin,
                        moe_types[i].precision,
                        runtime_of(origin),
                        weight,
                        0,
                        true};
            snprintf(name, sizeof name,
                     "op:moe:tokens=%s:hidden=%s:inter=%s:used=%s:experts=%s:tp=%s:ep=%s:gated=%d%s%s",
                     text(t, "num_tokens"), text(t, "hidden_size"), text(t, "inter_size"), text(t, "topk"),
                     text(t, "num_experts"), text(t, "moe_tp_size"), text(t, "moe_ep_size"),
                     is_gated(number(t, "inter_size"), number(t, "topk")), how, moe_types[i].suffix);
            row_new(gpu, &w, number(t, "latency_ms") * 1e3, name);
        }
    }
}

/* ---- between GPUs ---- */

static void comm_row(int gpu, int gpus, const char *operator, double bytes, const wanted *w, double us)
{
    char name[120];
    snprintf(name, sizeof name, "op:%s:bytes=%.0f", operator, bytes);
    row_among(gpus, gpu, w, us, name);
    if (fit_row_count > 0) {
        snprintf(fit_rows[fit_row_count - 1].text, sizeof fit_rows[0].text, "%s gpus=%d", name + 3, gpus);
    }
}

/* The communication library by itself. Sizes are in elements. */
static void nccl_rows(table *t, int gpu, const char *origin)
{
    static const char *const names[][2] = {{"all_reduce", "allreduce"},
                                           {"all_gather", "allgather"},
                                           {"reduce_scatter", "reducescatter"},
                                           {"alltoall", "alltoall"}};
    while (table_next(t)) {
        double bytes = number(t, "message_size") * (strcmp(text(t, "nccl_dtype"), "int8") ? 2 : 1);
        for (int i = 0; i < 4; i++) {
            char kind[24];
            snprintf(kind, sizeof kind, "comm.%s", names[i][1]);
            wanted w = {kind, origin, "fp16", "pytorch", i ? 0.5 : 1, 0, true};
            if (!strcmp(text(t, "op_name"), names[i][0])) {
                comm_row(gpu, (int)number(t, "num_gpus"), names[i][1], bytes, &w, number(t, "latency_ms") * 1e3);
            }
        }
    }
}

/* Serving runtimes' all-reduces; those issued one by one hold the host's time. */
static void own_rows(table *t, int gpu, const char *origin)
{
    while (table_next(t)) {
        wanted w = {"comm.own", origin, "bf16", runtime_of(origin), 1, 0, true};
        if (!strstr(text(t, "kernel_source"), "eager")) {
            comm_row(gpu, (int)number(t, "num_gpus"), "allreduce", number(t, "message_size") * 2, &w,
                     number(t, "latency_ms") * 1e3);
        }
    }
}

/* Whole microseconds, three runs of each size: rows from 50 us on. Rows between nodes tell of that cluster's network, not of the
 * GPU; A40s "joined by NVLink" were not (slower than PCIe), and the sends of paired H100s repeat those of paired A100s. */
static void vidur_rows(const char *folder, const char *only)
{
    static const struct {
        const char *file, *gpu, *name;
    } tables[] = {
        {"a100_dgx__all_reduce", "a100_sxm_80gb", "allreduce"},
        {"a100_dgx__send_recv", "a100_sxm_80gb", "send"},
        {"a100_pairwise_nvlink__all_reduce", "a100", "allreduce"},
        {"a100_pairwise_nvlink__send_recv", "a100", "send"},
        {"h100_dgx__all_reduce", "h100", "allreduce"},
        {"h100_dgx__send_recv", "h100", "send"},
        {"h100_pairwise_nvlink__all_reduce", "h100_pcie", "allreduce"},
    };
    enum { SHORTEST_US = 50 };
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        bool send = !strcmp(tables[i].name, "send");
        char path[1024], kind[24];
        table t;
        snprintf(path, sizeof path, "%s/vidur/network__%s.csv.gz", folder, tables[i].file);
        snprintf(kind, sizeof kind, "comm.%s", tables[i].name);
        int gpu = gpu_of(tables[i].gpu);
        if (!strstr(path, only) || gpu < 0 || !table_open(&t, path)) {
            continue;
        }
        while (table_next(&t)) {
            double gpus = number(&t, "num_workers"),
                   us = number(&t, send ? "time_stats.send_recv.median" : "time_stats.all_reduce.median") * 1e3;
            wanted w = {kind, "vidur", "fp16", "pytorch", 0.5, 0, true};
            if (number(&t, "devices_per_node") == gpus && us >= SHORTEST_US && number(&t, "rank") == 0) {
                comm_row(gpu, (int)gpus, tables[i].name, number(&t, "size"), &w, us);
            }
        }
    }
}

static void each_file(const char *folder, const char *operator, const char * only)
{
    char pattern[1024];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/%s/*.csv.gz", folder, operator);
    if (glob(pattern, 0, NULL, &found) != 0) {
        return;
    }
    for (size_t i = 0; i < found.gl_pathc; i++) {
        const char *path = found.gl_pathv[i], *file = strrchr(path, '/') + 1;
        char gpu[64] = "", origin[64] = "";
        table t;
        bool layers = !strcmp(operator, "vidur");
        if (layers) { /* compute__GPU__ORGANISATION__MODEL__mlp.csv.gz */
            sscanf(file, "compute__%40[a-z0-9]__", gpu);
            strcat(gpu, !strcmp(gpu, "a100") ? "_sxm_80gb" : !strcmp(gpu, "h100") ? "_sxm" : "");
        } else { /* GPU__FRAMEWORK-VERSION.csv.gz */
            const char *at = strstr(file, "__");
            snprintf(gpu, sizeof gpu, "%.*s", at ? (int)(at - file) : 0, file);
            sscanf(at ? at : "", "__%40[^-]", origin);
        }
        if (!strstr(path, only) || gpu_of(gpu) < 0 || !table_open(&t, path)) {
            continue;
        }
        if (layers) {
            layer_rows(&t, gpu_of(gpu));
        } else if (!strcmp(operator, "nccl")) {
            nccl_rows(&t, gpu_of(gpu), origin);
        } else if (strstr(operator, "_mla")) {
            latent_rows(&t, gpu_of(gpu), origin);
        } else if (!strcmp(operator, "gdn") || !strcmp(operator, "mamba2")) {
            delta_rows(&t, gpu_of(gpu), origin);
        } else if (!strcmp(operator, "moe")) {
            moe_rows(&t, gpu_of(gpu), origin);
        } else if (!strcmp(operator, "custom_allreduce")) {
            own_rows(&t, gpu_of(gpu), origin);
        } else if (!strcmp(operator, "gemm")) {
            gemm_rows(&t, gpu_of(gpu), origin);
        } else {
            attention_rows(&t, gpu_of(gpu), origin);
        }
    }
    globfree(&found);
}

bool fit_rows_read(pg_catalog *c, const char *folder, const char *only, long thin)
{
    static const char *const ops[] = {"gemm",
                                      "vidur",
                                      "context_attention",
                                      "generation_attention",
                                      "encoder_attention",
                                      "context_mla",
                                      "generation_mla",
                                      "moe",
                                      "gdn",
                                      "mamba2",
                                      "nccl",
                                      "custom_allreduce"};
    catalog = c;
    fit_rows = calloc(FIT_MAX_ROWS, sizeof *fit_rows);
    for (size_t o = 0; fit_rows && o < sizeof ops / sizeof ops[0]; o++) {
        each_file(folder, ops[o], only);
    }
    if (fit_rows) {
        fp32_rows(folder, only);
        vidur_rows(folder, only);
    }
    long seen[FIT_MAX_GROUPS] = {0};
    for (long i = 0; i < fit_row_count; i++) {
        long stride = fit_groups[fit_rows[i].group].rows / thin + 1;
        fit_rows[i].fit = seen[fit_rows[i].group]++ % stride == 0;
    }
    return fit_row_count > 0;
}
