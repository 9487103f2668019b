/* The optimizer: passes over parameters, gradients and its own state, all fp32 under autocast. */
#include "predict/planner.h"

enum {
    /* Reads and writes of one number per parameter, kernel by kernel as PyTorch's default implementations do it (a kernel of
     * several tensors for each line of the algorithm). SGD: m = mu m; m += g; then nesterov's or weight decay's addition; p -= lr m.
     * AdamW: p *= decay; m = lerp(m, g); v = beta v; v += g g; s = sqrt(v); s /= c; s += eps; p += m / s. */
    SGD_PASSES = 2 + 3 + 3 + 3,
    SGD_KERNELS = 4,
    ADAMW_PASSES = 2 + 3 + 2 + 3 + 2 + 2 + 2 + 4,
    ADAMW_KERNELS = 8,
    TENSORS_A_LAUNCH = 48, /* that one multi-tensor kernel takes along */
};

static void passes(planner *p, double elements, double width, int count, int kernels, double parameters)
{
    double launches = p->opt.legacy ? parameters : (double)(uint64_t)((parameters - 1) / TENSORS_A_LAUNCH) + 1;
    double bytes = elements * width * count / kernels;
    kernel k = plan_kernel_rows(p, KERNEL_ELEMENTWISE, elements / launches, 1, 2 * elements / launches);
    k.read_bytes = bytes * 2 / 3 / launches;
    k.write_bytes = bytes / 3 / launches;
    plan_step step = {.op = NO_TENSOR, .kind = OP_Add, .tail = OP_KIND_COUNT, .trips = launches};
    for (int i = 0; i < kernels; i++) plan_again(p, &k, &step, STEP_OPTIMIZER);
}

void optimizer_lower(planner *p, double elements, double state, double parameters)
{
    double width = p->opt.autocast ? 4 : p->opt.math == PREC_FP16 || p->opt.math == PREC_BF16 ? 2 : 4;
    if (elements <= 0 || parameters <= 0) return;
    if (p->opt.legacy) { /* zero_grad() */
        kernel k = plan_kernel_rows(p, KERNEL_COPY, elements / parameters, 1, 0);
        plan_step step = {.op = NO_TENSOR, .kind = OP_Add, .tail = OP_KIND_COUNT, .trips = parameters};
        k.write_bytes = elements / parameters * width;
        plan_again(p, &k, &step, STEP_OPTIMIZER);
    }
    if (p->opt.optimizer == OPTIMIZER_SGD) {
        p->out->memory.optimizer = state * width;
        passes(p, elements, width, SGD_PASSES, SGD_KERNELS, parameters);
    } else if (p->opt.optimizer == OPTIMIZER_ADAMW) {
        p->out->memory.optimizer = 2 * state * width;
        passes(p, elements, width, ADAMW_PASSES, ADAMW_KERNELS, parameters);
    }
}
