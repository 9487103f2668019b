/* How many GPUs a request is for, and what each of them does. */
#include "api/api.h"

enum { GPUS_MOST = 4096 };

static int at_least_one(int n)
{
    return n > 0 ? n : 1;
}

static pg_code check_range(int n, const char *option, pg_error *e)
{
    if (n >= 0 && n <= GPUS_MOST) return PG_E_OK;
    return error_set(e, PG_E_USAGE, "--%s %d is not between 1 and %d", option, n, GPUS_MOST);
}

pg_code api_split_read(api_split *out, const pg_request *r, pg_error *e)
{
    pg_code code = check_range(r->gpu_count, "gpu-count", e);
    if (!code) code = check_range(r->data_parallel, "data-parallel", e);
    if (!code) code = check_range(r->tensor_parallel, "tensor-parallel", e);
    if (!code) code = check_range(r->pipeline_parallel, "pipeline-parallel", e);
    if (!code) code = check_range(r->expert_parallel, "expert-parallel", e);
    if (!code) code = check_range(r->model_gpus, "model-gpus", e);
    if (!code) code = check_range(r->micro_batches, "micro-batches", e);
    if (code) return code;
    if (r->micro_batches > 1 && r->task != PG_TASK_TRAINING)
        return error_set(e, PG_E_USAGE, "--micro-batches is for --task training");
    if (r->micro_batches > 1 && r->batch % r->micro_batches != 0)
        return error_set(e, PG_E_USAGE, "--micro-batches %d does not divide the batch of %lld", r->micro_batches,
                         (long long)r->batch);
    if (r->zero_stage < 0 || r->zero_stage > 3)
        return error_set(e, PG_E_USAGE, "zero_stage %d is not between 0 and 3", r->zero_stage);
    if (r->zero_stage && (r->task != PG_TASK_TRAINING || r->lora_rank > 0))
        return error_set(e, PG_E_USAGE, "zero_stage %d is for --task training of all weights", r->zero_stage);
    if (r->zero_stage > 1 && r->pipeline_parallel > 1)
        return error_set(
            e, PG_E_USAGE,
            "zero_stage %d and pipeline_parallel %d: stages keep their gradients until all micro-batches are "
            "through; use zero_stage 1",
            r->zero_stage, r->pipeline_parallel);
    if (r->model_gpus > 1 && (r->tensor_parallel > 1 || r->pipeline_parallel > 1))
        return error_set(e, PG_E_USAGE, "model_gpus %d goes without tensor_parallel and pipeline_parallel",
                         r->model_gpus);
    *out = (api_split){.data = at_least_one(r->data_parallel),
                       .tensor = at_least_one(r->model_gpus > 1 ? r->model_gpus : r->tensor_parallel),
                       .pipeline = at_least_one(r->pipeline_parallel),
                       .micro = at_least_one(r->micro_batches)};
    long long group = (long long)out->tensor * out->pipeline;
    if (r->gpu_count && !r->data_parallel && r->gpu_count % group == 0) out->data = (int)(r->gpu_count / group);
    long long all = out->data * group;
    if (r->gpu_count && !r->data_parallel && r->gpu_count % group != 0)
        return error_set(e, PG_E_USAGE,
                         "--gpu-count %d can't be divided into groups of %lld (tensor-parallel %d x "
                         "pipeline-parallel %d)",
                         r->gpu_count, group, out->tensor, out->pipeline);
    if (r->gpu_count && all != r->gpu_count)
        return error_set(e, PG_E_USAGE,
                         "--gpu-count %d is not data-parallel %d x tensor-parallel %d x pipeline-parallel %d = %lld",
                         r->gpu_count, out->data, out->tensor, out->pipeline, all);
    if (all > GPUS_MOST)
        return error_set(e, PG_E_USAGE, "data, tensor and pipeline parallelism together take %lld GPUs, more than %d",
                         all, GPUS_MOST);
    out->gpus = (int)all;
    return PG_E_OK;
}

pg_code api_split_check(pg_plan *p, pg_error *e)
{
    const api_split *s = &p->split;
    if (p->request.expert_parallel > 1)
        return error_set(e, PG_E_UNSUPPORTED, "--expert-parallel %d: the model has no mixture of experts to spread",
                         p->request.expert_parallel);
    if ((uint32_t)s->pipeline > p->plan.n_steps && s->pipeline > 1)
        return error_set(e, PG_E_USAGE, "--pipeline-parallel %d: the model has only %u kernels", s->pipeline,
                         p->plan.n_steps);
    if (!p->plan.collective) return PG_E_OK;
    if (s->tensor > 1 || s->pipeline > 1 || p->request.data_parallel > 1)
        return error_set(e, PG_E_USAGE, "operations between GPUs take --gpu-count alone");
    p->split.data = 1; /* one operation, among all of them */
    return PG_E_OK;
}
