/* Attention without a fused kernel, as PyTorch before 2.0 and libraries of models for some time after it train it: two products with the scores between them in memory. */
#include "predict/planner.h"

static kernel product(const planner *p, precision math, double m, double n, double k, double batch)
{
    kernel x;
    (void)p;
    memset(&x, 0, sizeof x);
    x.kind = KERNEL_GEMM;
    x.math = math;
    x.shape.gemm = (gemm_shape){m, n, k, batch};
    x.flops = 2 * m * n * k * batch;
    return x;
}

/* A pass over the scores: reads them `reads` times `from` bytes wide, writes them `to` bytes wide. */
static void pass(planner *p, kernel_kind kind, double rows, double cols, double reads, double from, double to,
                 step_role role)
{
    kernel k = plan_kernel_rows(p, kind, rows, cols, rows * cols * (kind == KERNEL_SOFTMAX ? 6 : 1));
    plan_read_bytes(p, &k, rows * cols * from * reads, p->clock);
    k.write_bytes = rows * cols * to;
    plan_emit(p, &k, role, OP_KIND_COUNT);
}

void attention_plain(planner *p, const attention_shape *s, precision math, double width)
{
    uint32_t out = plan_out(p, 0);
    double batch = s->batch * s->heads, rows = batch * s->q_len, n = rows * s->kv_len;
    double wide = p->opt.autocast ? 4 : width; /* autocast runs softmax in fp32 */
    kernel k = product(p, math, s->q_len, s->kv_len, s->head_dim, batch);
    plan_read(p, &k, plan_in(p, 0));
    plan_read(p, &k, plan_in(p, 1));
    k.write_bytes = n * width;
    plan_emit(p, &k, STEP_MAIN, OP_KIND_COUNT);
    pass(p, KERNEL_ELEMENTWISE, rows, s->kv_len, 1, width, width, STEP_MAIN); /* the scale */
    if (s->bias || s->causal) pass(p, KERNEL_ELEMENTWISE, rows, s->kv_len, 1, width, width, STEP_MAIN);
    pass(p, KERNEL_SOFTMAX, rows, s->kv_len, 1, width, wide, STEP_MAIN);
    if (wide != width) pass(p, KERNEL_COPY, rows, s->kv_len, 1, wide, width, STEP_CAST);
    k = product(p, math, s->q_len, s->v_dim, s->kv_len, batch);
    plan_read_bytes(p, &k, n * width, p->clock);
    plan_read(p, &k, plan_in(p, 2));
    plan_write(p, &k, out, width);
    plan_emit(p, &k, STEP_MAIN, OP_KIND_COUNT);
    p->v[out].born = p->clock;
    p->train->trace[p->ui].kept += n * (wide + (wide != width ? width : 0));
}

static void back(planner *p, kernel k, double bytes, uint32_t other, double wrote)
{
    plan_read_bytes(p, &k, bytes, p->clock);
    if (other != NO_TENSOR) plan_read_bytes(p, &k, p->v[other].stored * p->v[other].width, p->v[other].born);
    k.write_bytes = wrote;
    plan_emit(p, &k, STEP_BACKWARD, OP_KIND_COUNT);
}

void attention_plain_backward(planner *p, const kernel *second)
{
    uint32_t q = plan_in(p, 0), k = plan_in(p, 1), v = plan_in(p, 2), out = plan_out(p, 0);
    gemm_shape s = second->shape.gemm; /* of the product with V */
    double batch = s.batch, rows = batch * s.m, n = rows * s.k, width = p->v[out].width;
    double wide = p->opt.autocast ? 4 : width;
    double dim = p->v[q].elements > 0 && rows > 0 ? p->v[q].elements / rows : s.n;
    double result = rows * s.n * width;
    back(p, product(p, second->math, s.k, s.n, s.m, batch), n * width + result, NO_TENSOR, batch * s.k * s.n * width);
    back(p, product(p, second->math, s.m, s.k, s.n, batch), result, v, n * width);
    if (wide != width) pass(p, KERNEL_COPY, rows, s.k, 1, width, wide, STEP_BACKWARD);
    pass(p, KERNEL_SOFTMAX, rows, s.k, 2, wide, width, STEP_BACKWARD);
    pass(p, KERNEL_ELEMENTWISE, rows, s.k, 1, width, width, STEP_BACKWARD);
    back(p, product(p, second->math, s.m, dim, s.k, batch), n * width, k, rows * dim * width);
    back(p, product(p, second->math, s.k, dim, s.m, batch), n * width, q, batch * s.k * dim * width);
}
