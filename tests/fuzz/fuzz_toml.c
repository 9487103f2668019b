/* Any bytes as the file of --hardware-profiles: the catalog over it, everything that it hands out, and a prediction on each GPU
 * that the file made or changed. */
#define _GNU_SOURCE
#include "api/api.h"
#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static pg_model *model;
static int file = -1;

static void write_file(const uint8_t *data, size_t size)
{
    if (file < 0) file = memfd_create("user.toml", 0);
    check(file >= 0 && ftruncate(file, 0) == 0 && pwrite(file, data, size, 0) == (ssize_t)size, "the file is written");
}

static void use(const pg_catalog *c, const pg_gpu *gpu)
{
    pg_plan *plan;
    pg_prediction p;
    pg_error e = PG_ERROR_INIT;
    check(gpu->key[0] && gpu->name && gpu->memory_bytes > 0 && gpu->bandwidth_gbs > 0, "a GPU has what is essential");
    check(pg_catalog_find(c, gpu->key, &e) == gpu, "a GPU is found by its key");
    pg_request r = {.batch = 8, .precision = "fp16", .real_hardware = true};
    check(pg_plan_open(&plan, model, c, &r, &e) == PG_E_OK, "a plan opens");
    check(pg_plan_predict(plan, gpu, &p, &e) == PG_E_OK, "a plan predicts");
    check(isfinite(p.latency_ms) && (p.fits ? p.latency_ms > 0 : p.latency_ms < 0), "latency");
    check(isfinite(p.power_w) && isfinite(p.gpu_ms) && p.gpu_ms > 0 && isfinite(p.memory.total), "the other numbers");
    pg_plan_free(plan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pg_error e = PG_ERROR_INIT;
    pg_catalog *c;
    char path[64];
    if (!model) check(pg_model_open(&model, "resnet18", NULL, &e) == PG_E_OK, "a built-in model opens");
    write_file(data, size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    pg_catalog_options o = {.hardware_profiles = path, .no_user_files = true};
    if (pg_catalog_open(&c, &o, &e)) {
        check(e.text[0], "an error has a text");
        for (const char *p = e.text; *p; p++) check((unsigned char)*p >= 0x20, "an error is one line");
        return 0;
    }
    for (size_t i = 0, used = 0; i < pg_catalog_count(c); i++) {
        const api_gpu *g = (const api_gpu *)(const void *)pg_catalog_at(c, i);
        if (g->spec->overridden && used++ < 4) use(c, &g->pub);
    }
    for (size_t i = 0; i < pg_catalog_warning_count(c); i++) check(pg_catalog_warning(c, i)[0], "a warning has a text");
    check(pg_catalog_default(c) != NULL, "there is a default GPU");
    pg_catalog_free(c);
    return 0;
}
