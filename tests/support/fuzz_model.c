/* Any bytes as a model file, through everything that a user's file goes through: the reader, shapes, units, the kernels of
 * every runtime, predictions and the table of kernels.
 *
 * The bytes are not mapped from a file but read where they are, so that ASan sees a read past their end. Every text that comes
 * out is looked at: it must be there, on one line, and every number must be one. */
#include "support/check.h"
#include "support/fuzz_model.h"

#include "api/api.h"

#include <stdio.h>
#include <stdlib.h>

enum { MEMORY_LIMIT = 64 << 20 };

static pg_catalog *catalog;
static const pg_gpu *gpus[2];

static void check_text(const char *text, const char *what)
{
    check(text != NULL, what);
    for (; *text; text++) check((unsigned char)*text >= 0x20 || what[0] != '!', what);
}

static void check_error(const pg_error *e, pg_code code)
{
    if (e->code != code) fprintf(stderr, "returned %d, but the error says %d: %s\n", (int)code, (int)e->code, e->text);
    check(e->code == code && e->text[0], "an error has its code and a text");
    check_text(e->text, "!an error is one line");
    check_text(e->path, "!a path is one line");
}

/* A number that is known, or negative. */
static void check_number(double x, const char *what)
{
    check(isfinite(x), what);
}

static void check_tensors(const pg_tensor *t, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        check_text(t[i].name, "a tensor has a name");
        check_text(t[i].dtype, "a tensor has a type");
        for (int d = 0; d < t[i].rank; d++)
            check(t[i].dims[d].value < 0 || t[i].dims[d].text, "a known dim has a text");
    }
}

static void check_info(const pg_model *m)
{
    const pg_model_info *info = pg_model_describe(m);
    check_text(info->name, "a model has a name");
    check_text(info->family, "a model has a family");
    check_number(info->parameters, "parameters are a number");
    check_number(info->weights_bytes, "bytes of weights are a number");
    check_number(info->macs, "MACs are a number");
    check_tensors(info->inputs, info->input_count);
    check_tensors(info->outputs, info->output_count);
    for (size_t i = 0; i < info->operator_count_count; i++)
        check_text(info->operator_counts[i].name, "an operator has a name");
    for (size_t i = 0; i < info->warning_count; i++) check_text(info->warnings[i], "!a warning is one line");
}

static void check_prediction(const pg_prediction *p)
{
    check(isfinite(p->latency_ms) && (p->fits ? p->latency_ms >= 0 : p->latency_ms < 0), "latency");
    check(p->latency_low_ms <= p->latency_ms && p->latency_ms <= p->latency_high_ms, "the interval holds the latency");
    check_number(p->throughput, "throughput");
    check(isfinite(p->memory.total) && p->memory.total >= 0, "memory");
    check(isfinite(p->gpu_ms) && p->gpu_ms >= 0 && isfinite(p->host_ms) && p->host_ms >= 0, "the two clocks");
    check(isfinite(p->flops) && p->flops >= 0 && isfinite(p->dram_bytes) && p->dram_bytes >= 0, "FLOPs and bytes");
    check(isfinite(p->power_w) && p->memory_efficiency <= 1 && p->compute_utilization <= 1, "shares");
}

static void explain(const pg_plan *plan, const pg_gpu *gpu)
{
    pg_explanation *x;
    pg_error e = PG_ERROR_INIT;
    pg_code code = pg_plan_explain(&x, plan, gpu, &e);
    if (code) {
        check_error(&e, code);
        return;
    }
    for (size_t i = 0; i < pg_explanation_count(x); i++) {
        const pg_kernel_row *r = pg_explanation_at(x, i);
        check(r->name && r->op && r->kernel && r->shape && r->bound, "a kernel has its texts");
        check(isfinite(r->time_ms) && r->time_ms >= 0 && isfinite(r->flops) && isfinite(r->bytes),
              "a kernel's numbers");
        check(r->share >= 0 && r->share <= 1 + 1e-9, "a kernel's share");
    }
    pg_explanation_free(x);
}

static void predict(const pg_model *m, const pg_request *request)
{
    pg_plan *plan;
    pg_error e = PG_ERROR_INIT;
    pg_code code = pg_plan_open(&plan, m, catalog, request, &e);
    if (code) {
        check_error(&e, code);
        return;
    }
    for (size_t i = 0; i < 2; i++) {
        pg_prediction p;
        check(pg_plan_predict(plan, gpus[i], &p, &e) == PG_E_OK, "a plan predicts");
        check_prediction(&p);
    }
    if (request->batch == 1) explain(plan, gpus[0]);
    pg_plan_free(plan);
}

/* As pg_model_open does it, but from memory. */
static pg_code open_model(pg_model **out, const char *format, const char *path, const uint8_t *data, size_t size,
                          pg_error *e)
{
    allocator alloc = api_allocator(NULL);
    load_options options = {.format = format, .memory_limit = MEMORY_LIMIT};
    pg_model *m = api_new(alloc, sizeof *m, e);
    *out = m;
    if (!m) return PG_E_NOMEM;
    arena_init(&m->a, alloc, MEMORY_LIMIT);
    load_input in = {.path = path, .bytes = {data, size, 0}};
    pg_error unused = PG_ERROR_INIT;
    if (!load_detect(&in, NULL, &unused)) check_error(&unused, unused.code);
    pg_code code = graph_init(&m->g, &m->a) ? PG_E_OK : error_nomem(e, &m->a);
    const load_format *f = load_detect(&in, format, e);
    check(f != NULL, "the format is in the registry");
    if (!code) code = f->load(&m->g, &in, &options, e);
    if (!code) code = api_describe(m, path, false, e);
    return code;
}

void fuzz_model(const char *format, const char *path, const uint8_t *data, size_t size)
{
    static const char *const precisions[] = {"fp16", "fp32", "int8", "bf16", "fp8", "tf32"};
    pg_error e = PG_ERROR_INIT;
    pg_model *m;
    if (!catalog) {
        check(pg_catalog_open(&catalog, &(pg_catalog_options){.no_user_files = true}, &e) == PG_E_OK,
              "the catalog opens");
        gpus[0] = pg_catalog_find(catalog, "a100", &e);
        gpus[1] = pg_catalog_find(catalog, "gtx1080ti", &e);
        if (!gpus[1]) gpus[1] = pg_catalog_at(catalog, 0);
        e = (pg_error)PG_ERROR_INIT;
    }
    pg_code code = open_model(&m, format, path, data, size, &e);
    if (code) {
        check_error(&e, code);
    } else {
        check_info(m);
        for (size_t i = 0; pg_catalog_runtime(catalog, i); i++) {
            pg_request r = {.batch = i % 2 && m->info.has_batch ? 7 : 1,
                            .precision = precisions[i % 6],
                            .runtime = pg_catalog_runtime(catalog, i),
                            .autocast = i == 0,
                            .layout = i % 3 ? PG_LAYOUT_DEFAULT : PG_LAYOUT_NHWC,
                            .fast_mode = i == 4};
            predict(m, &r);
        }
        for (size_t i = 0; i < 4; i++) {
            pg_request r = {.batch = i && m->info.has_batch ? 3 : 1,
                            .precision = precisions[i],
                            .runtime = pg_catalog_runtime(catalog, i / 3),
                            .runtime_version = i == 2 ? "1.12" : NULL,
                            .task = PG_TASK_TRAINING,
                            .optimizer = i == 1 ? PG_OPTIMIZER_SGD : PG_OPTIMIZER_DEFAULT,
                            .autocast = i == 0,
                            .layout = i % 2 ? PG_LAYOUT_DEFAULT : PG_LAYOUT_NHWC,
                            .gradient_checkpointing = i == 1};
            if (i == 2) r.precision = "fp16";
            predict(m, &r);
        }
    }
    pg_model_free(m);
}
