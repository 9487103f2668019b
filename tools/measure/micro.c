/* Measures a GPU where only NVIDIA's driver and cuBLAS are there: matrix products in several precisions, streams from a few kB (launch
 * latency) over L2 to DRAM. Writes a benchmark file for phantom-gpu.
 *
 *   cc -O2 -o micro micro.c -ldl          (or: make)
 *   ./micro --out my-gpu.json [--device N] [--gpu KEY] [--quick] [--source TEXT]
 *   ./micro --out test.json --dry-run     made-up values, needs no GPU
 *
 * No CUDA headers and no nvcc: the libraries are opened at run time, and the few calls and numbers of theirs that are used stand below.
 * The stream kernel is PTX text, which the driver translates. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SAMPLES = 15, ROWS_MOST = 512, NAME_MOST = 256 };

/* ---- the driver (cuda.h), cuBLAS (cublas_v2.h), NVML (nvml.h) ---- */

typedef int CUresult, CUdevice, cublasStatus, nvmlReturn;
typedef struct CUctx_st *CUcontext;
typedef struct CUmod_st *CUmodule;
typedef struct CUfunc_st *CUfunction;
typedef struct CUstream_st *CUstream;
typedef struct CUevent_st *CUevent;
typedef unsigned long long CUdeviceptr;
typedef struct cublasContext *cublasHandle;
typedef struct nvmlDevice_st *nvmlDevice;

/* CU_DEVICE_ATTRIBUTE_*: MULTIPROCESSOR_COUNT, L2_CACHE_SIZE, COMPUTE_CAPABILITY_MAJOR */
enum { ATTRIBUTE_SMS = 16, ATTRIBUTE_L2 = 38, ATTRIBUTE_MAJOR = 75 };
/* cudaDataType, cublasComputeType_t, cublasGemmAlgo_t */
enum { R_32F = 0, R_16F = 2, R_8I = 3, R_32I = 10, R_16BF = 14 };
enum { COMPUTE_32F = 68, COMPUTE_32I = 72, COMPUTE_32F_FAST_TF32 = 77, GEMM_DEFAULT = -1 };
/* nvmlClockType_t */
enum { CLOCK_SM = 1, CLOCK_MEM = 2 };

#define CUDA_CALLS(X)                                                                                                 \
    X(CUresult, cuInit, (unsigned))                                                                                   \
    X(CUresult, cuDeviceGet, (CUdevice *, int))                                                                       \
    X(CUresult, cuDeviceGetName, (char *, int, CUdevice))                                                             \
    X(CUresult, cuDeviceGetAttribute, (int *, int, CUdevice))                                                         \
    X(CUresult, cuDevicePrimaryCtxRetain, (CUcontext *, CUdevice))                                                    \
    X(CUresult, cuCtxSetCurrent, (CUcontext))                                                                         \
    X(CUresult, cuCtxSynchronize, (void))                                                                             \
    X(CUresult, cuMemAlloc_v2, (CUdeviceptr *, size_t))                                                               \
    X(CUresult, cuMemFree_v2, (CUdeviceptr))                                                                          \
    X(CUresult, cuMemsetD8_v2, (CUdeviceptr, unsigned char, size_t))                                                  \
    X(CUresult, cuModuleLoadData, (CUmodule *, const void *))                                                         \
    X(CUresult, cuModuleGetFunction, (CUfunction *, CUmodule, const char *))                                          \
    X(CUresult, cuLaunchKernel,                                                                                       \
      (CUfunction, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, CUstream, void **, void **)) \
    X(CUresult, cuEventCreate, (CUevent *, unsigned))                                                                 \
    X(CUresult, cuEventRecord, (CUevent, CUstream))                                                                   \
    X(CUresult, cuEventSynchronize, (CUevent))                                                                        \
    X(CUresult, cuEventElapsedTime, (float *, CUevent, CUevent))                                                      \
    X(CUresult, cuGetErrorName, (CUresult, const char **))

#define CUBLAS_CALLS(X)                                                                                     \
    X(cublasStatus, cublasCreate_v2, (cublasHandle *))                                                      \
    X(cublasStatus, cublasGemmEx,                                                                           \
      (cublasHandle, int, int, int, int, int, const void *, const void *, int, int, const void *, int, int, \
       const void *, void *, int, int, int, int))

#define NVML_CALLS(X)                                                      \
    X(nvmlReturn, nvmlInit_v2, (void))                                     \
    X(nvmlReturn, nvmlDeviceGetHandleByIndex_v2, (unsigned, nvmlDevice *)) \
    X(nvmlReturn, nvmlDeviceGetClockInfo, (nvmlDevice, int, unsigned *))   \
    X(nvmlReturn, nvmlDeviceGetPowerUsage, (nvmlDevice, unsigned *))       \
    X(nvmlReturn, nvmlSystemGetDriverVersion, (char *, unsigned))

#define DECLARE(type, name, args) static type(*name) args;
CUDA_CALLS(DECLARE)
CUBLAS_CALLS(DECLARE)
NVML_CALLS(DECLARE)

/* y[i] = x[i] + c over n floats, as many at a time as there are threads. */
static const char stream_ptx[] =
    ".version 6.0\n.target sm_30\n.address_size 64\n"
    ".visible .entry add_scalar(.param .u64 px, .param .u64 py, .param .f32 pc, .param .u64 pn)\n"
    "{\n"
    "  .reg .u64 %x, %y, %n, %i, %step, %at, %to;\n"
    "  .reg .u32 %t, %b, %nt, %nb;\n"
    "  .reg .f32 %c, %v;\n"
    "  .reg .pred %p;\n"
    "  ld.param.u64 %x, [px];\n  ld.param.u64 %y, [py];\n  ld.param.f32 %c, [pc];\n  ld.param.u64 %n, [pn];\n"
    "  cvta.to.global.u64 %x, %x;\n  cvta.to.global.u64 %y, %y;\n"
    "  mov.u32 %t, %tid.x;\n  mov.u32 %b, %ctaid.x;\n  mov.u32 %nt, %ntid.x;\n  mov.u32 %nb, %nctaid.x;\n"
    "  mul.wide.u32 %i, %b, %nt;\n  cvt.u64.u32 %at, %t;\n  add.u64 %i, %i, %at;\n"
    "  mul.wide.u32 %step, %nt, %nb;\n"
    "LOOP:\n"
    "  setp.ge.u64 %p, %i, %n;\n  @%p bra DONE;\n"
    "  shl.b64 %at, %i, 2;\n  add.u64 %to, %y, %at;\n  add.u64 %at, %x, %at;\n"
    "  ld.global.f32 %v, [%at];\n  add.f32 %v, %v, %c;\n  st.global.f32 [%to], %v;\n"
    "  add.u64 %i, %i, %step;\n  bra LOOP;\n"
    "DONE:\n  ret;\n"
    "}\n";

/* ---- the program ---- */

typedef struct gpu {
    char name[NAME_MOST];
    int sms, l2, major;
    cublasHandle blas;
    CUfunction stream;
    CUevent start, end;
    nvmlDevice nvml;
    char driver[96];
} gpu;

typedef struct row {
    char model[128], notes[320];
    const char *precision;
    double ms;
} row;

static struct {
    const char *out, *key, *source;
    int device, quick, dry;
} opt = {.source = "measured by me"};

static row rows[ROWS_MOST];
static int n_rows;

static _Noreturn void die(const char *what, const char *detail)
{
    fprintf(stderr, "micro: %s%s%s\n", what, detail ? ": " : "", detail ? detail : "");
    exit(1);
}

static void check(CUresult r, const char *what)
{
    const char *name = NULL;
    if (!r) return;
    if (cuGetErrorName) cuGetErrorName(r, &name);
    die(what, name ? name : "the driver refused");
}

static void *open_any(const char *const *names)
{
    void *library = NULL;
    for (; *names && !library; names++) library = dlopen(*names, RTLD_NOW | RTLD_GLOBAL);
    return library;
}

/* A call's address by way of an object pointer, as dlsym's manual has it. */
#define FIND(type, name, args)                                \
    {                                                         \
        void *found = library ? dlsym(library, #name) : NULL; \
        memcpy(&name, &found, sizeof found);                  \
        if (!found) missing = #name;                          \
    }

static void open_libraries(gpu *g)
{
    static const char *const cuda[] = {"libcuda.so.1", "libcuda.so", NULL};
    static const char *const blas[] = {"libcublas.so.13", "libcublas.so.12", "libcublas.so.11", "libcublas.so", NULL};
    static const char *const nvml[] = {"libnvidia-ml.so.1", NULL};
    const char *missing = NULL;
    void *library = open_any(cuda);
    CUDA_CALLS(FIND)
    if (missing) die("NVIDIA's driver is not here; libcuda.so.1 lacks", missing);
    library = open_any(blas);
    CUBLAS_CALLS(FIND)
    if (missing) fprintf(stderr, "micro: no cuBLAS (LD_LIBRARY_PATH says where it is): only streams are measured\n");
    if (missing) cublasCreate_v2 = NULL;
    missing = NULL;
    library = open_any(nvml);
    NVML_CALLS(FIND)
    if (missing || nvmlInit_v2() || nvmlDeviceGetHandleByIndex_v2((unsigned)opt.device, &g->nvml)) g->nvml = NULL;
    if (g->nvml) nvmlSystemGetDriverVersion(g->driver, sizeof g->driver);
}

static void open_gpu(gpu *g)
{
    CUdevice device;
    CUcontext context;
    CUmodule module;
    open_libraries(g);
    check(cuInit(0), "the driver could not be started");
    check(cuDeviceGet(&device, opt.device), "there is no such GPU");
    check(cuDeviceGetName(g->name, sizeof g->name, device), "the GPU's name");
    check(cuDeviceGetAttribute(&g->sms, ATTRIBUTE_SMS, device), "the number of SMs");
    check(cuDeviceGetAttribute(&g->l2, ATTRIBUTE_L2, device), "the size of L2");
    check(cuDeviceGetAttribute(&g->major, ATTRIBUTE_MAJOR, device), "the compute capability");
    check(cuDevicePrimaryCtxRetain(&context, device), "a context");
    check(cuCtxSetCurrent(context), "a context");
    check(cuModuleLoadData(&module, stream_ptx), "the stream kernel");
    check(cuModuleGetFunction(&g->stream, module, "add_scalar"), "the stream kernel");
    check(cuEventCreate(&g->start, 0), "an event");
    check(cuEventCreate(&g->end, 0), "an event");
    if (cublasCreate_v2 && cublasCreate_v2(&g->blas)) g->blas = NULL;
}

static CUdeviceptr allocate(size_t bytes)
{
    CUdeviceptr p = 0;
    if (cuMemAlloc_v2(&p, bytes)) return 0;
    check(cuMemsetD8_v2(p, 0, bytes), "clearing memory");
    return p;
}

/* ---- timing ---- */

typedef struct work {
    int (*run)(const gpu *g, const struct work *w); /* not 0: can't be done */
    CUdeviceptr a, b, c;
    int m, n, k, in, out, compute;
    uint64_t count;
} work;

static int by_value(const void *x, const void *y)
{
    double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

static double timed(const gpu *g, const work *w, int loops)
{
    float ms = 0;
    check(cuEventRecord(g->start, NULL), "an event");
    for (int i = 0; i < loops; i++)
        if (w->run(g, w)) return -1;
    check(cuEventRecord(g->end, NULL), "an event");
    check(cuEventSynchronize(g->end), "waiting for the GPU");
    check(cuEventElapsedTime(&ms, g->start, g->end), "the time");
    return (double)ms / loops;
}

/* Median of samples of at least 20 ms each, after half a second of warm-up; negative: can't be done. */
static double median(const gpu *g, const work *w, char *notes, size_t cap)
{
    double once = timed(g, w, 3), sample[SAMPLES];
    unsigned sm = 0, mem = 0, milliwatts = 0;
    if (once < 0) return -1;
    int loops = once < 0.0002 ? 100000 : once > 20 ? 1 : (int)(20 / once) + 1, samples = opt.quick ? 5 : SAMPLES;
    for (double warm = 0; warm < (opt.quick ? 100 : 500); warm += once * loops + 1) once = timed(g, w, loops);
    for (int i = 0; i < samples; i++) {
        sample[i] = timed(g, w, loops);
        if (i != samples / 2 || !g->nvml) continue;
        for (int k = 0; k < loops; k++) w->run(g, w); /* clocks and power while it runs */
        nvmlDeviceGetClockInfo(g->nvml, CLOCK_SM, &sm);
        nvmlDeviceGetClockInfo(g->nvml, CLOCK_MEM, &mem);
        nvmlDeviceGetPowerUsage(g->nvml, &milliwatts);
        cuCtxSynchronize();
    }
    qsort(sample, (size_t)samples, sizeof *sample, by_value);
    int n = snprintf(notes, cap, "%d samples, %.4g to %.4g ms, driver API", samples, sample[0], sample[samples - 1]);
    if (sm && n > 0 && (size_t)n < cap)
        snprintf(notes + n, cap - (size_t)n, ", SM %u MHz, memory %u MHz, %u W, driver %s", sm, mem, milliwatts / 1000,
                 g->driver);
    return sample[samples / 2];
}

/* ---- what is measured ---- */

static void add(const char *model, const char *precision, double ms, const char *notes)
{
    if (n_rows == ROWS_MOST || ms <= 0) return;
    row *r = &rows[n_rows++];
    snprintf(r->model, sizeof r->model, "%s", model);
    snprintf(r->notes, sizeof r->notes, "%s", notes);
    r->precision = precision;
    r->ms = ms;
    fprintf(stderr, "%-44s %-5s %10.5f ms\n", model, precision, ms);
}

/* Row-major m x k by k x n is column-major n x k by k x m. */
static int run_gemm(const gpu *g, const work *w)
{
    static const float one = 1, zero = 0;
    static const int32_t one_i = 1, zero_i = 0;
    const void *alpha = w->compute == COMPUTE_32I ? (const void *)&one_i : &one,
               *beta = w->compute == COMPUTE_32I ? (const void *)&zero_i : &zero;
    return cublasGemmEx(g->blas, 0, 0, w->n, w->m, w->k, alpha, (const void *)(uintptr_t)w->b, w->in, w->n,
                        (const void *)(uintptr_t)w->a, w->in, w->k, beta, (void *)(uintptr_t)w->c, w->out, w->n,
                        w->compute, GEMM_DEFAULT);
}

static const struct precision {
    const char *name;
    int in, out, bytes, out_bytes, compute, major;
} precisions[] = {{"fp32", R_32F, R_32F, 4, 4, COMPUTE_32F, 3},
                  {"tf32", R_32F, R_32F, 4, 4, COMPUTE_32F_FAST_TF32, 8},
                  {"fp16", R_16F, R_16F, 2, 2, COMPUTE_32F, 7},
                  {"bf16", R_16BF, R_16BF, 2, 2, COMPUTE_32F, 8},
                  {"int8", R_8I, R_32I, 1, 4, COMPUTE_32I, 7}};

static void measure_gemm(const gpu *g, const struct precision *p, int m, int n, int k)
{
    char model[128], notes[320] = "dry run";
    double ms = 1;
    size_t mm = (size_t)m, nn = (size_t)n, kk = (size_t)k;
    snprintf(model, sizeof model, "op:gemm:m=%d:n=%d:k=%d", m, n, k);
    if (!opt.dry) {
        if (!g->blas || g->major < p->major) return;
        work w = {.run = run_gemm, .m = m, .n = n, .k = k, .in = p->in, .out = p->out, .compute = p->compute};
        w.a = allocate(mm * kk * (size_t)p->bytes);
        w.b = allocate(kk * nn * (size_t)p->bytes);
        w.c = allocate(mm * nn * (size_t)p->out_bytes);
        ms = w.a && w.b && w.c ? median(g, &w, notes, sizeof notes) : -1;
        if (w.a) cuMemFree_v2(w.a);
        if (w.b) cuMemFree_v2(w.b);
        if (w.c) cuMemFree_v2(w.c);
    }
    add(model, p->name, ms, notes);
}

static int run_stream(const gpu *g, const work *w)
{
    float c = 1.5f;
    CUdeviceptr a = w->a, b = w->b;
    uint64_t n = w->count;
    void *arguments[] = {&a, &b, &c, &n};
    uint64_t blocks = (n + 255) / 256, most = (uint64_t)(g->sms > 0 ? g->sms : 1) * 32;
    return cuLaunchKernel(g->stream, (unsigned)(blocks < most ? blocks : most), 1, 1, 256, 1, 1, 0, NULL, arguments,
                          NULL);
}

static void measure_stream(const gpu *g, uint64_t count)
{
    char model[128], notes[320] = "dry run";
    double ms = 1;
    snprintf(model, sizeof model, "op:add_scalar:rows=%llu:cols=1024", (unsigned long long)(count / 1024));
    if (!opt.dry) {
        work w = {.run = run_stream, .a = allocate(count * 4), .b = allocate(count * 4), .count = count};
        ms = w.a && w.b ? median(g, &w, notes, sizeof notes) : -1;
        if (w.a) cuMemFree_v2(w.a);
        if (w.b) cuMemFree_v2(w.b);
    }
    add(model, "fp32", ms, notes);
}

static void measure(const gpu *g)
{
    static const int shapes[][3] = {{256, 256, 256},    {512, 512, 512},    {1024, 1024, 1024},  {2048, 2048, 2048},
                                    {4096, 4096, 4096}, {8192, 8192, 8192}, {16, 4096, 4096},    {128, 4096, 4096},
                                    {1024, 4096, 4096}, {16, 12288, 4096},  {1024, 12288, 4096}, {8192, 4096, 11008},
                                    {128, 768, 3072},   {4096, 768, 3072},  {4096, 3072, 768}};
    for (uint64_t count = 1024; count <= (uint64_t)(opt.quick ? 1 << 26 : 1 << 28); count *= opt.quick ? 16 : 2)
        measure_stream(g, count);
    for (size_t p = 0; p < sizeof precisions / sizeof precisions[0]; p++)
        for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i += opt.quick ? 4 : 1)
            measure_gemm(g, &precisions[p], shapes[i][0], shapes[i][1], shapes[i][2]);
}

/* ---- the file ---- */

static void put_text(FILE *f, const char *key, const char *text)
{
    fprintf(f, ", \"%s\": \"", key);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') fputc('\\', f);
        fputc((unsigned char)*text < 0x20 ? ' ' : *text, f);
    }
    fputc('"', f);
}

static void write_file(const gpu *g)
{
    char temporary[4096], date[16];
    time_t now = time(NULL);
    strftime(date, sizeof date, "%Y-%m-%d", gmtime(&now));
    if (snprintf(temporary, sizeof temporary, "%s.new", opt.out) >= (int)sizeof temporary)
        die("the file's name is too long", NULL);
    FILE *f = fopen(temporary, "w");
    if (!f) die(temporary, strerror(errno));
    fprintf(f, "{\"version\": 1, \"benchmarks\": [\n");
    for (int i = 0; i < n_rows; i++) {
        fprintf(f, "%s{\"model\": \"%s\", \"task\": \"inference\"", i ? ",\n" : "", rows[i].model);
        put_text(f, "gpu", opt.key ? opt.key : g->name);
        fprintf(
            f,
            ", \"precision\": \"%s\", \"runtime\": \"pytorch\", \"device_time\": true, \"metric\": \"latency_ms\", \"value\": %.6g",
            rows[i].precision, rows[i].ms);
        put_text(f, "source", opt.dry ? "dry run: nothing was measured" : opt.source);
        put_text(f, "date", date);
        put_text(f, "notes", rows[i].notes);
        fputc('}', f);
    }
    fprintf(f, "\n]}\n");
    int bad = fflush(f) || fsync(fileno(f));
    bad |= fclose(f) != 0;
    if (bad || rename(temporary, opt.out)) {
        int error = errno;
        unlink(temporary);
        die(opt.out, strerror(error));
    }
    printf("%d rows in %s\n", n_rows, opt.out);
}

static _Noreturn void usage(int status)
{
    fprintf(status ? stderr : stdout,
            "usage: micro --out FILE.json [--device N] [--gpu KEY] [--source TEXT] [--quick] [--dry-run]\n");
    exit(status);
}

int main(int argc, char **argv)
{
    gpu g = {.name = "custom"};
    for (int i = 1; i < argc; i++) {
        int more = i + 1 < argc;
        if (!strcmp(argv[i], "--quick")) opt.quick = 1;
        else if (!strcmp(argv[i], "--dry-run")) opt.dry = 1;
        else if (!strcmp(argv[i], "--out") && more) opt.out = argv[++i];
        else if (!strcmp(argv[i], "--gpu") && more) opt.key = argv[++i];
        else if (!strcmp(argv[i], "--source") && more) opt.source = argv[++i];
        else if (!strcmp(argv[i], "--device") && more) opt.device = (int)strtol(argv[++i], NULL, 10);
        else usage(!strcmp(argv[i], "--help") ? 0 : 2);
    }
    if (!opt.out) usage(2);
    if (!opt.dry) open_gpu(&g);
    measure(&g);
    if (!n_rows) die("nothing could be measured", NULL);
    write_file(&g);
    return 0;
}
