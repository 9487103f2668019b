/* Layers that serving runtimes run as a few kernels of their own. */
#include "predict/experts.h"
#include "predict/planner.h"
#include "predict/scan.h"

static double dim(const planner *p, uint32_t t, int i)
{
    const tensor_shape *ts = plan_shape(p, t);
    return i < ts->rank && num_known(ts->dims[i]) && ts->dims[i].v.i > 0 ? (double)ts->dims[i].v.i : 1;
}

/* Bytes of an activation between kernels: products may be in fewer bits. */
static double activation(const planner *p)
{
    double wide = plan_width(p, plan_in(p, 0));
    return p->rt->quantized_io || wide > 2 ? wide : 2;
}

void lower_experts(planner *p)
{
    uint32_t x = plan_in(p, 0), up = plan_in(p, 1), down = plan_in(p, 2), out = plan_out(p, 0);
    if (x == NO_TENSOR || up == NO_TENSOR || down == NO_TENSOR || out == NO_TENSOR) return;
    const op *o = &p->g->ops[p->u->op];
    precision math = p->opt.math;
    bool packed = p->g->tensors[up].dtype == DT_INT4 || p->g->tensors[up].dtype == DT_INT8;
    experts_layer l = {.tokens = dim(p, x, 0),
                       .hidden = dim(p, x, 1),
                       .width = dim(p, down, 1),
                       .experts = (double)op_attr_int(p->g, o, ATTR_N, 1),
                       .used = (double)op_attr_int(p->g, o, ATTR_k, 1),
                       .skew = (double)op_attr_int(p->g, o, ATTR_skew, 0) / 100,
                       .gated = op_attr_int(p->g, o, ATTR_num_groups, 1) > 1,
                       .narrow = math >= PREC_FP8 && !packed,
                       .scaled = math == PREC_FP8 && op_attr_int(p->g, o, ATTR_block_size, 0) > 0,
                       .math = packed && math >= PREC_FP8 ? PREC_BF16 : math,
                       .act = activation(p),
                       .weight = p->v[up].width};
    l.parts = l.experts / dim(p, up, 0);
    experts_kernel list[EXPERTS_KERNELS];
    int n = experts_kernels(&l, list);
    for (int i = 0; i < n; i++) {
        if (i == n - 1) {
            list[i].k.write_bytes = 0;
            plan_write(p, &list[i].k, out, l.act);
        }
        plan_emit(p, &list[i].k, STEP_MAIN, OP_KIND_COUNT);
    }
}

void lower_state(planner *p)
{
    uint32_t x = plan_in(p, 0), out = plan_out(p, 0);
    if (x == NO_TENSOR || out == NO_TENSOR) return;
    const op *o = &p->g->ops[p->u->op];
    double seqs = dim(p, x, 0), steps = dim(p, x, 1), channels = dim(p, x, 2), act = activation(p),
           size = (double)op_attr_int(p->g, o, ATTR_k, 1), heads = (double)op_attr_int(p->g, o, ATTR_num_heads, 1);
    kernel k = p->u->kind == OP_ShortConvolution ? scan_convolution(seqs, steps, channels, size, act)
                                                 : scan_kernel(seqs, steps, heads, size, channels / heads, act);
    double written = k.write_bytes;
    plan_write(p, &k, out, act);
    k.write_bytes = written;
    plan_emit(p, &k, STEP_MAIN, OP_KIND_COUNT);
}
