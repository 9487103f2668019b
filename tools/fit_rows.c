/* Reads the measurement tables (CSV, gzip) and says what each row computed and moved. */
#include "fit_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

enum { MAX_FIELDS = 32, LINE = 8192 };

typedef struct table {
    gzFile file;
    char line[LINE], head[LINE];
    char *names[MAX_FIELDS], *values[MAX_FIELDS];
    int count;
} table;

fit_row *fit_rows;
long fit_row_count;
fit_group fit_groups[FIT_MAX_GROUPS];
int fit_group_count;
gpu_spec fit_specs[FIT_MAX_GPUS];
int fit_spec_count;
static char spec_keys[FIT_MAX_GPUS][32];

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

/* Kept until the program ends. */
static const char *keep(const char *s)
{
    char *copy = malloc(strlen(s) + 1);
    return copy ? strcpy(copy, s) : "";
}

bool fit_specs_read(const char *path)
{
    static const char *const column[PREC_COUNT] = {
        "fp32_tflops",      "tf32_tflops_dense", "fp16_tensor_tflops_dense", "bf16_tensor_tflops_dense",
        "fp8_tflops_dense", "int8_tops_dense",   "fp4_tflops_dense",         "",
    };
    table t;
    if (!table_open(&t, path)) {
        return false;
    }
    while (table_next(&t) && fit_spec_count < FIT_MAX_GPUS) {
        gpu_spec *s = &fit_specs[fit_spec_count];
        snprintf(spec_keys[fit_spec_count++], sizeof spec_keys[0], "%s", text(&t, "key"));
        s->name = str_c(keep(text(&t, "name")));
        s->memory_type = str_c(keep(text(&t, "memory_type")));
        s->release_year = (int)number(&t, "release_date");
        s->bandwidth_gbs = number(&t, "bandwidth_gbs");
        s->sms = (int)number(&t, "sms");
        s->cuda_cores = (int)number(&t, "cuda_cores");
        s->boost_mhz = number(&t, "boost_mhz");
        s->l2_mb = number(&t, "l2_mb");
        s->tdp_w = number(&t, "tdp_w");
        s->form = str_c(keep(text(&t, "form")));
        s->nvlink_gbs = number(&t, "nvlink_gbs_total");
        s->pcie_gen = (int)number(&t, "pcie_gen");
        s->compute_capability = number(&t, "compute_capability");
        s->fp16_vector_tflops = number(&t, "fp16_nontensor_tflops");
        for (int p = 0; p < PREC_COUNT; p++) {
            s->tflops[p] = *column[p] ? number(&t, column[p]) : 0;
        }
    }
    return fit_spec_count > 0;
}

static int gpu_of(const char *name, size_t len)
{
    static const char *const alias[][2] = {
        {"a100_sxm_80gb", "a100-80gb-sxm"},
        {"h100_sxm", "h100-sxm"},
        {"l40s", "l40s"},
        {"b200", "b200-sxm"},
        {"p4", "p4"},
        {"p100_pcie_16gb", "p100-16gb-pcie"},
        {"v100_pcie_32gb", "v100-32gb-pcie"},
        {"t4", "t4"},
        {"a100_pcie_40gb", "a100-40gb-pcie"},
        {"a100_pcie_80gb", "a100-80gb-pcie"},
        {"h100_pcie", "h100-pcie"},
    };
    for (size_t i = 0; i < sizeof alias / sizeof alias[0]; i++) {
        for (int j = 0; strlen(alias[i][0]) == len && !strncmp(alias[i][0], name, len) && j < fit_spec_count; j++) {
            if (!strcmp(spec_keys[j], alias[i][1])) {
                return j;
            }
        }
    }
    return -1;
}

static fit_row *row_new(int gpu, const char *kind, const char *origin, double weight)
{
    size_t length = strcspn(origin, "-");
    int i = 0;
    while (i < fit_group_count && (fit_groups[i].spec != gpu || strcmp(fit_groups[i].kind, kind) ||
                                   strncmp(fit_groups[i].origin, origin, length))) {
        i++;
    }
    if (fit_row_count >= FIT_MAX_ROWS || i >= FIT_MAX_GROUPS) {
        fprintf(stderr, "fit_kernels: too many rows or groups\n");
        exit(1);
    }
    if (i == fit_group_count) {
        fit_group_count++;
        fit_group *g = &fit_groups[i];
        *g = (fit_group){.spec = gpu, .weight = weight};
        snprintf(g->gpu, sizeof g->gpu, "%s", spec_keys[gpu]);
        snprintf(g->kind, sizeof g->kind, "%s", kind);
        snprintf(g->origin, sizeof g->origin, "%.*s", (int)strcspn(origin, "-"), origin);
    }
    fit_groups[i].rows++;
    fit_rows[fit_row_count] = (fit_row){.group = i, .gpu = gpu};
    return &fit_rows[fit_row_count++];
}

/* ---- rows to kernels ---- */

typedef struct dtype {
    const char *name, *kind;
    precision math;
    double in, weight, weight_in_fit;
    bool quantise;
} dtype;

static const dtype dtypes[] = {
    {"bfloat16", "gemm.bf16", PREC_BF16, 2, 2, 3, false},
    {"fp8", "gemm.fp8", PREC_FP8, 1, 1, 1, true},
    {"fp8_block", "gemm.fp8-block", PREC_FP8, 1, 1, 0.3, true},
    {"nvfp4", "gemm.fp4", PREC_FP4, 0.5, 0.5625, 1, true},
    {"int8_wo", "gemm.w8", PREC_FP16, 2, 1, 0.5, false},
    {"int4_wo", "gemm.w4", PREC_FP16, 2, 0.5, 0.5, false},
    {"sq", "gemm.int8", PREC_INT8, 1, 1, 1, false},
};

/* Both collectors rotate copies of the weights: vLLM's always six, TensorRT-LLM's as many as L2 holds. */
static double rotation(const gpu_spec *s, const char *origin, double weights)
{
    double l2 = s->l2_mb * 1048576;
    if (!strncmp(origin, "vllm", 4)) {
        return 6 * weights;
    }
    return s->l2_mb == 96 ? ceil(l2 / weights) * weights : INFINITY;
}

static void gemm_rows(table *t, int gpu, const char *origin)
{
    while (table_next(t)) {
        const dtype *d = NULL;
        for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++) {
            d = strcmp(text(t, "gemm_dtype"), dtypes[i].name) ? d : &dtypes[i];
        }
        if (!d) {
            continue;
        }
        double m = number(t, "m"), n = number(t, "n"), k = number(t, "k");
        fit_row *r = row_new(gpu, d->kind, origin, d->weight_in_fit);
        r->us = number(t, "latency_ms") * 1e3;
        r->k = (kernel){.kind = KERNEL_GEMM,
                        .math = d->math,
                        .flops = 2 * m * n * k,
                        .read_bytes = m * k * d->in,
                        .weight_bytes = n * k * d->weight,
                        .write_bytes = m * n * 2};
        r->k.shape.gemm = (gemm_shape){m, n, k, 1};
        double all = r->k.read_bytes + r->k.weight_bytes + r->k.write_bytes;
        r->k.weight_distance = rotation(&fit_specs[gpu], origin, n * k * d->weight);
        r->k.hot_bytes = r->k.read_bytes;
        r->k.hot_distance = r->k.write_distance = all;
        if (d->quantise) {
            r->extra = (kernel){.kind = KERNEL_NORM,
                                .read_bytes = m * k * 2,
                                .write_bytes = m * k * d->in,
                                .flops = 4 * m * k,
                                .hot_bytes = m * k * 2,
                                .hot_distance = all,
                                .write_distance = all};
            r->extra_kernels = strncmp(origin, "vllm", 4) ? 3 : 1;
            r->extra.shape.rows = (rows_shape){m, k};
        }
        snprintf(r->text, sizeof r->text, "m=%g n=%g k=%g", m, n, k);
    }
}

static void attention_rows(table *t, int gpu, const char *origin)
{
    while (table_next(t)) {
        double b = number(t, "batch"), s = number(t, "seq"), h = number(t, "heads"), d = number(t, "head_dim");
        double kvh = number(t, "kv_heads"), past = number(t, "step");
        const char *type = text(t, "attn_dtype"), *cache = text(t, "kv_cache_dtype"), *op = text(t, "op_name");
        bool encoder = !strcmp(op, "encoder_attention"), decode = !strcmp(op, "generation_attention"),
             fp8 = !strcmp(type, "fp8");
        if (number(t, "window_size") != 0 || (*cache && strcmp(cache, type)) || (!fp8 && strcmp(type, "bfloat16"))) {
            continue;
        }
        kvh = kvh > 0 ? kvh : h;
        double q = decode ? 1 : s, kv = s + past, e = fp8 ? 1 : 2;
        char kind[24];
        snprintf(kind, sizeof kind, "%s.%s", encoder ? "encoder" : decode ? "decode" : "prefill", fp8 ? "fp8" : "bf16");
        /* Shapes that the libraries' fast kernels leave to a fallback are reported apart and not fitted. */
        bool odd = d > 256 || (decode && h / kvh > 32 && strncmp(origin, "vllm", 4));
        if (odd) {
            snprintf(kind, sizeof kind, "fallback.%s", fp8 ? "fp8" : "bf16");
        } else if (q <= 16 && !decode) {
            snprintf(kind, sizeof kind, "short.%s", fp8 ? "fp8" : "bf16");
        }
        fit_row *r = row_new(gpu, kind, origin, odd ? 0 : encoder ? 0.5 : fp8 ? 0.3 : 1);
        r->us = number(t, "latency_ms") * 1e3;
        double pairs = encoder ? q * kv : q * (kv - q) + q * (q + 1) / 2;
        r->k = (kernel){.kind = KERNEL_ATTENTION,
                        .math = fp8 ? PREC_FP8 : PREC_BF16,
                        .flops = 4 * b * h * d * pairs,
                        .read_bytes = b * q * h * d * 2 + 2 * b * kvh * kv * d * e,
                        .write_bytes = b * q * h * d * 2};
        r->k.hot_bytes = r->k.read_bytes;
        r->k.hot_distance = r->k.write_distance = r->k.read_bytes + r->k.write_bytes;
        if (!decode && !encoder) {
            /* The time includes filling the KV cache; TensorRT-LLM's also splits the queries off. */
            double new_bytes = b * s * ((strncmp(origin, "vllm", 4) ? h : 0) + 2 * kvh) * d * 2;
            r->extra_kernels = 1;
            r->extra = (kernel){.kind = KERNEL_COPY,
                                .read_bytes = new_bytes,
                                .write_bytes = new_bytes,
                                .hot_bytes = new_bytes,
                                .hot_distance = 2 * new_bytes,
                                .write_distance = 2 * new_bytes};
        }
        r->k.shape.attention = (attention_shape){b, h, kvh, q, kv, d, d, !encoder, false};
        snprintf(r->text, sizeof r->text, "b=%g q=%g kv=%g h=%g kvh=%g d=%g", b, q, kv, h, kvh, d);
    }
}

/* Rows below this were timed from Python: they hold the host's issue time. */
static const double host_us = 120;

static bool fp32_row(const table *t, const char *kind, fit_row **r, double flops, double read, double write)
{
    double us = number(t, "latency_ms") * 1e3;
    const char *name = text(t, "gpu");
    int gpu = gpu_of(name, strlen(name));
    /* Long runs heat the 75 W boards without a fan until they drop to a fraction of their clock. */
    if (us < host_us || gpu < 0 || us > 20000) {
        return false;
    }
    /* Their power limit is felt by degrees with temperature: half the weight. */
    bool small_board = fit_specs[gpu].tdp_w < 100;
    *r = row_new(gpu, kind, "pytorch", small_board || strstr(kind, "bmm") ? 0.5 : 1);
    (*r)->us = us;
    (*r)->k = (kernel){.math = PREC_FP32,
                       .flops = flops,
                       .read_bytes = read * 4,
                       .write_bytes = write * 4,
                       .hot_bytes = read * 4,
                       .hot_distance = (read + write) * 4,
                       .write_distance = (read + write) * 4};
    return true;
}

static void fp32_gemm_row(const table *t)
{
    double b = number(t, "b"), m = number(t, "m"), n = number(t, "n"), k = number(t, "k");
    fit_row *r;
    b = b > 0 ? b : 1;
    if (fp32_row(t, strcmp(text(t, "op"), "bmm") ? "gemm.fp32" : "bmm.fp32", &r, 2 * b * m * n * k, b * (m * k + n * k),
                 b * m * n)) {
        r->k.kind = KERNEL_GEMM;
        r->k.shape.gemm = (gemm_shape){m, n, k, b};
        snprintf(r->text, sizeof r->text, "b=%g m=%g n=%g k=%g", b, m, n, k);
    }
}

static void fp32_conv_row(const table *t)
{
    double b = number(t, "batch"), in = number(t, "in_channels"), out = number(t, "out_channels");
    double k = number(t, "kernel"), size = number(t, "input"), stride = number(t, "stride"), pad = number(t, "padding");
    double o = floor((size + 2 * pad - k) / stride) + 1;
    fit_row *r;
    if (fp32_row(t, "conv.fp32", &r, 2 * b * out * o * o * in * k * k, b * in * size * size + out * in * k * k,
                 b * out * o * o)) {
        r->k.kind = KERNEL_CONV;
        r->k.shape.conv = (conv_shape){b, in, out, size, size, o, o, k, k, stride, 1, 1};
        snprintf(r->text, sizeof r->text, "b=%g in=%g out=%g k=%g s=%g size=%g", b, in, out, k, stride, size);
    }
}

static void fp32_vector_row(const table *t)
{
    static const struct {
        const char *op;
        kernel_kind kind;
        double inputs, flops;
    } ops[] = {
        {"add", KERNEL_ELEMENTWISE, 2, 1},  {"mul", KERNEL_ELEMENTWISE, 2, 1},   {"div", KERNEL_ELEMENTWISE, 2, 8},
        {"pow", KERNEL_ELEMENTWISE, 2, 60}, {"addu", KERNEL_ELEMENTWISE, 1, 1},  {"mulu", KERNEL_ELEMENTWISE, 1, 1},
        {"divu", KERNEL_ELEMENTWISE, 1, 1}, {"powu", KERNEL_ELEMENTWISE, 1, 2},  {"gelu", KERNEL_ELEMENTWISE, 1, 20},
        {"relu", KERNEL_ELEMENTWISE, 1, 1}, {"tanh", KERNEL_ELEMENTWISE, 1, 20}, {"ln", KERNEL_NORM, 1, 8},
        {"softmax", KERNEL_SOFTMAX, 1, 10},
    };
    double n = number(t, "rows") * number(t, "cols");
    fit_row *r;
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        char kind[24];
        snprintf(kind, sizeof kind, "%s.fp32", ops[i].kind == KERNEL_ELEMENTWISE ? "vector" : ops[i].op);
        if (!strcmp(text(t, "op"), ops[i].op) && fp32_row(t, kind, &r, ops[i].flops * n, ops[i].inputs * n, n)) {
            r->k.kind = ops[i].kind;
            r->k.shape.rows = (rows_shape){number(t, "rows"), number(t, "cols")};
            snprintf(r->text, sizeof r->text, "%s rows=%g cols=%g", ops[i].op, number(t, "rows"), number(t, "cols"));
        }
    }
}

static void fp32_rows(const char *folder)
{
    static const char *const files[] = {"gemm", "conv", "vector"};
    static void (*const make[])(const table *) = {fp32_gemm_row, fp32_conv_row, fp32_vector_row};
    for (int i = 0; i < 3; i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/fp32/kernels_%s.csv.gz", folder, files[i]);
        table t;
        if (table_open(&t, path)) {
            while (table_next(&t)) {
                make[i](&t);
            }
        }
    }
}

/* ---- communication ---- */

static void comm_row(int gpu, const char *kind, const char *origin, comm_shape s, double us, double weight)
{
    fit_row *r = row_new(gpu, kind, origin, weight);
    r->us = us;
    r->k = (kernel){.kind = KERNEL_COMM, .math = PREC_FP32};
    r->k.shape.comm = s;
    snprintf(r->text, sizeof r->text, "op=%d gpus=%g bytes=%.0f own=%d", (int)s.what, s.gpus, s.bytes, (int)s.own);
}

static int comm_op(const char *name)
{
    static const char *const names[] = {"all_reduce", "all_gather", "reduce_scatter", "alltoall"};
    for (int i = 0; i < 4; i++) {
        if (!strcmp(name, names[i])) {
            return i;
        }
    }
    return -1;
}

/* Sizes are in elements. Runs without CUDA graphs hold the host's time. int8 all-gathers move the same bytes as others. */
static void nccl_rows(table *t, int gpu, const char *origin)
{
    static const char *const kinds[] = {"comm.allreduce", "comm.allgather", "comm.scatter", "comm.alltoall"};
    while (table_next(t)) {
        int op = comm_op(text(t, "op_name"));
        double width = strcmp(text(t, "nccl_dtype"), "int8") ? 2 : 1;
        if (op >= 0) {
            comm_shape s = {number(t, "message_size") * width, number(t, "num_gpus"), (comm_kind)op, COMM_OWN_NONE};
            comm_row(gpu, kinds[op], origin, s, number(t, "latency_ms") * 1e3, op ? 0.5 : 1);
        }
    }
}

static void own_rows(table *t, int gpu, const char *origin)
{
    bool vllm = !strncmp(origin, "vllm", 4);
    while (table_next(t)) {
        if (!strstr(text(t, "kernel_source"), "eager")) {
            comm_shape s = {number(t, "message_size") * 2, number(t, "num_gpus"), COMM_ALL_REDUCE,
                            vllm ? COMM_OWN_BARRIERS : COMM_OWN_FLAGS};
            comm_row(gpu, "comm.own", origin, s, number(t, "latency_ms") * 1e3, 1);
        }
    }
}

/* Several processes a node, timed with events to a microsecond, three runs: rows from 50 us on. Rows between nodes tell of that
 * cluster's network, not of the GPU. */
static void vidur_rows(const char *folder)
{
    static const struct {
        const char *file, *gpu, *op;
    } tables[] = {
        {"a100_dgx__all_reduce", "a100_sxm_80gb", "all_reduce"},
        {"a100_dgx__send_recv", "a100_sxm_80gb", "send_recv"},
        {"a100_pairwise_nvlink__all_reduce", "a100_pcie_80gb", "all_reduce"},
        {"a100_pairwise_nvlink__send_recv", "a100_pcie_80gb", "send_recv"},
        {"h100_dgx__all_reduce", "h100_sxm", "all_reduce"},
        {"h100_dgx__send_recv", "h100_sxm", "send_recv"},
        {"h100_pairwise_nvlink__all_reduce", "h100_pcie", "all_reduce"},
    };
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        bool send = !strcmp(tables[i].op, "send_recv");
        char path[1024], column[64];
        table t;
        snprintf(path, sizeof path, "%s/vidur/network__%s.csv.gz", folder, tables[i].file);
        snprintf(column, sizeof column, "time_stats.%s.median", tables[i].op);
        int gpu = gpu_of(tables[i].gpu, strlen(tables[i].gpu));
        if (gpu < 0 || !table_open(&t, path)) {
            continue;
        }
        while (table_next(&t)) {
            double n = number(&t, "num_workers"), us = number(&t, column) * 1e3;
            if (number(&t, "devices_per_node") == n && us >= 50 && number(&t, "rank") == 0) {
                comm_shape s = {number(&t, "size"), n, send ? COMM_SEND : COMM_ALL_REDUCE, COMM_OWN_NONE};
                comm_row(gpu, send ? "comm.send" : "comm.allreduce", "vidur", s, us, 0.5);
            }
        }
    }
}

static void comm_rows(const char *folder)
{
    static const struct {
        const char *file;
        bool own;
    } tables[] = {
        {"nccl/a100_sxm_80gb__nccl-2.27.3", false},
        {"nccl/h100_sxm__nccl-2.29.2", false},
        {"nccl/b200__nccl-2.29.2", false},
        {"nccl/l40s__nccl-2.27.3", false},
        {"custom_allreduce/a100_sxm_80gb__trtllm-1.0.0", true},
        {"custom_allreduce/a100_sxm_80gb__vllm-0.14.0", true},
        {"custom_allreduce/h100_sxm__trtllm-1.3.0rc20", true},
        {"custom_allreduce/h100_sxm__vllm-0.24.0", true},
        {"custom_allreduce/b200__trtllm-1.3.0rc20", true},
        {"custom_allreduce/b200__vllm-0.24.0", true},
        {"custom_allreduce/l40s__trtllm-1.3.0rc20", true},
        {"custom_allreduce/l40s__vllm-0.22.0", true},
    };
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        const char *name = strchr(tables[i].file, '/') + 1, *origin = strstr(name, "__");
        int gpu = gpu_of(name, (size_t)(origin - name));
        char path[1024];
        table t;
        snprintf(path, sizeof path, "%s/%s.csv.gz", folder, tables[i].file);
        if (gpu >= 0 && table_open(&t, path)) {
            tables[i].own ? own_rows(&t, gpu, origin + 2) : nccl_rows(&t, gpu, origin + 2);
        }
    }
    vidur_rows(folder);
}

bool fit_rows_read(const char *folder, long thin)
{
    fit_rows = calloc(FIT_MAX_ROWS, sizeof *fit_rows);
    if (!fit_rows) {
        return false;
    }
    static const char *const files[] = {
        "a100_sxm_80gb__trtllm-1.0.0", "a100_sxm_80gb__vllm-0.14.0", "h100_sxm__trtllm-1.3.0rc20",
        "h100_sxm__vllm-0.24.0",       "l40s__trtllm-1.3.0rc20",     "l40s__vllm-0.24.0",
        "b200__trtllm-1.3.0rc20",      "b200__vllm-0.24.0",
    };
    static const char *const ops[] = {"gemm", "context_attention", "generation_attention", "encoder_attention"};
    for (size_t o = 0; o < sizeof ops / sizeof ops[0]; o++) {
        for (size_t f = 0; f < sizeof files / sizeof files[0]; f++) {
            const char *origin = strstr(files[f], "__");
            int gpu = gpu_of(files[f], (size_t)(origin - files[f]));
            char path[1024];
            table t;
            snprintf(path, sizeof path, "%s/%s/%s.csv.gz", folder, ops[o], files[f]);
            FILE *there = fopen(path, "rb");
            if (!there || gpu < 0) {
                continue;
            }
            fclose(there);
            if (table_open(&t, path)) {
                o == 0 ? gemm_rows(&t, gpu, origin + 2) : attention_rows(&t, gpu, origin + 2);
            }
        }
    }
    fp32_rows(folder);
    comm_rows(folder);
    long seen[FIT_MAX_GROUPS] = {0};
    for (long i = 0; i < fit_row_count; i++) {
        long stride = fit_groups[fit_rows[i].group].rows / thin + 1;
        fit_rows[i].fit = seen[fit_rows[i].group]++ % stride == 0;
    }
    return fit_row_count > 0;
}
