/* What the host takes to issue an operator by itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "api/api.h"
#include "support/gpus.h"

static pg_prediction alone(const char *name, const char *gpu, const char *math, const char *runtime, bool device_time)
{
    pg_model *model;
    pg_plan *plan;
    pg_prediction p;
    pg_error e = PG_ERROR_INIT;
    pg_request r = {.precision = math, .runtime = runtime, .device_time = device_time};
    if (pg_model_open(&model, name, NULL, &e)) fail_msg("%s", e.text);
    if (pg_plan_open(&plan, model, gpus, &r, &e)) fail_msg("%s", e.text);
    if (pg_plan_predict(plan, pg_catalog_find(gpus, gpu, &e), &p, &e)) fail_msg("%s", e.text);
    pg_plan_free(plan);
    pg_model_free(model);
    return p;
}

/* Products with scales for blocks take what issuing the kernel that their library chooses takes, whatever their size while that is small. */
static void blocks_wait_for_their_library(void **state)
{
    const runtime_profile *rt = api_runtime(gpus, "vllm");
    const struct {
        const char *op, *gpu;
        double us;
    } cases[] = {
        {"op:gemm:m=64:n=1024:k=1024:block=128", "l40s", rt->lone_triton_us},
        {"op:gemm:m=16:n=1024:k=1024:block=128", "h100", rt->lone_flashinfer_us},
        {"op:gemm:m=64:n=1024:k=1024:block=128", "h200", rt->lone_deepgemm_us},
        {"op:gemm:m=64:n=1056:k=1024:block=128", "h100", rt->lone_cutlass_us},
        {"op:gemm:m=64:n=1024:k=1088:block=128", "b200", rt->lone_cutlass_us},
        {"op:gemm:m=64:n=1024:k=1024:block=128", "b200", rt->lone_deepgemm_us + rt->lone_repack_us},
        {"op:gemm:m=63:n=1024:k=1024:block=128", "b200", rt->lone_deepgemm_us + rt->lone_repack_us + rt->lone_pad_us},
        {"op:gemm:m=64:n=1024:k=1024:block=128", "rtx_pro_6000", rt->lone_cutlass_us},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double ms = alone(cases[i].op, cases[i].gpu, "fp8", "vllm", false).latency_ms;
        if (fabs(ms * 1e3 - cases[i].us) > 1e-6 * cases[i].us) fail_msg("%zu: %g us, not %g", i, ms * 1e3, cases[i].us);
    }
    const char *large = "op:gemm:m=8192:n=8192:k=8192:block=128";
    assert_true(alone(large, "l40s", "fp8", "vllm", false).latency_ms ==
                alone(large, "l40s", "fp8", "vllm", true).latency_ms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(blocks_wait_for_their_library)};
    return cmocka_run_group_tests(tests, open_gpus, close_gpus);
}
