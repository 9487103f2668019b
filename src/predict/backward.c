/* Backward by operator: the kernels that autograd launches for the gradients of a unit's inputs, given that of its result. */
#include "predict/backward.h"

double backward_elements(const planner *p, uint32_t t)
{
    return t == NO_TENSOR || p->v[t].elements < 0 ? 0 : p->v[t].elements / p->v[t].shards;
}

bool backward_is_weight(const planner *p, uint32_t t)
{
    return p->g->tensors[t].role == ROLE_WEIGHT;
}

bool backward_wants(const planner *p, uint32_t t)
{
    return t != NO_TENSOR && p->train->needs[t];
}

bool backward_wants_in(const planner *p, uint32_t i)
{
    return backward_wants(p, plan_in(p, i));
}

/* A gradient has the width of its value; that of a weight the width at which the weight was used. */
double backward_width(const planner *p, uint32_t t)
{
    return p->v[t].width;
}

step_role backward_role(const planner *p, uint32_t t)
{
    return backward_is_weight(p, t) ? STEP_WGRAD : STEP_BACKWARD;
}

void backward_read(planner *p, kernel *k, uint32_t t)
{
    plan_read_bytes(p, k, backward_elements(p, t) * backward_width(p, t), p->train->born[t]);
}

void backward_read_saved(planner *p, kernel *k, uint32_t t)
{
    if (t == NO_TENSOR) return;
    if (backward_is_weight(p, t)) plan_read(p, k, t);
    else plan_read_bytes(p, k, value_bytes(&p->v[t]), p->v[t].born);
}

void backward_emit(planner *p, kernel *k, uint32_t to, step_role role)
{
    k->write_bytes += backward_elements(p, to) * backward_width(p, to);
    plan_emit(p, k, role, OP_KIND_COUNT);
    backward_give(p, to);
}

kernel backward_kernel(const planner *p, double n, double flops)
{
    return plan_kernel_rows(p, KERNEL_ELEMENTWISE, n, 1, n * flops);
}

void backward_give(planner *p, uint32_t t)
{
    train *tr = p->train;
    double n = backward_elements(p, t);
    bool weight = backward_is_weight(p, t), cast = weight && p->opt.autocast && p->v[t].width < 4;
    if (cast) { /* the half gradient of the half copy */
        kernel k = plan_kernel_rows(p, KERNEL_COPY, n, 1, n);
        plan_read_bytes(p, &k, n * p->v[t].width, p->clock);
        k.write_bytes = n * 4;
        plan_emit(p, &k, STEP_WGRAD, OP_KIND_COUNT);
    }
    /* zeroed gradients are added to; absent ones (PyTorch 2) take over what arrives first */
    if (tr->parts[t] || (weight && p->opt.legacy)) {
        kernel k = backward_kernel(p, n, 1);
        double bytes = n * (cast ? 4 : backward_width(p, t));
        plan_read_bytes(p, &k, bytes, p->clock);
        plan_read_bytes(p, &k, bytes, tr->parts[t] ? tr->born[t] : -1);
        k.write_bytes = bytes;
        plan_emit(p, &k, STEP_SUM, OP_KIND_COUNT);
    }
    backward_count(p, t);
    tr->born[t] = p->clock;
}

void backward_count(planner *p, uint32_t t)
{
    if (p->train->parts[t] < UINT16_MAX) p->train->parts[t]++;
}

void backward_pass_on(planner *p, uint32_t from, uint32_t to)
{
    double born = p->train->born[from];
    backward_give(p, to);
    if (p->train->parts[to] == 1) p->train->born[to] = born;
}

void backward_sum_to(planner *p, double from, double width, double born, uint32_t to, step_role role)
{
    double n = backward_elements(p, to) > 0 ? backward_elements(p, to) : 1;
    kernel k = plan_kernel_rows(p, KERNEL_REDUCE, n, from / n, from);
    plan_read_bytes(p, &k, from * width, born);
    backward_emit(p, &k, to, role);
}

const kernel *backward_forward(const planner *p)
{
    uint32_t step = p->train->trace[p->ui].step;
    return step ? &p->out->kernels[p->out->steps[step - 1].kernel].k : NULL;
}

/* ---- what the backward pass reads ---- */

/* Derivatives of these are functions of their result. */
static bool keeps_result(op_kind k)
{
    return k == OP_Relu || k == OP_Sigmoid || k == OP_Tanh || k == OP_Exp || k == OP_Sqrt || k == OP_Rsqrt ||
           k == OP_Reciprocal || k == OP_LeakyRelu || k == OP_Elu || k == OP_Softmax || k == OP_LogSoftmax;
}

uint32_t backward_keeps(const planner *p, const unit *u)
{
    uint32_t out = u->n_out ? unit_out(p->us, u)[0] : NO_TENSOR;
    if (!backward_wants(p, out)) return 0;
    const uint32_t *in = unit_in(p->us, u);
    bool first = u->n_in > 0 && backward_wants(p, in[0]), second = u->n_in > 1 && backward_wants(p, in[1]);
    switch (unit_work(u)) {
    case WORK_ELEMENTWISE:
        if (keeps_result((op_kind)u->kind)) return KEEPS_OUTPUT;
        if (u->kind == OP_Add || u->kind == OP_Sub || u->kind == OP_Sum || u->kind == OP_Neg) return 0;
        if (u->kind == OP_Mul || u->kind == OP_Div) return (second ? 1u : 0) | (first ? 2u : 0);
        if (u->kind == OP_Where) return 1;
        return u->n_in > 1 ? 3 : 1;
    case WORK_GEMM:
    case WORK_EINSUM:
    case WORK_CONV: return (second ? 1u : 0) | (first ? 2u : 0);
    case WORK_ATTENTION: return p->opt.legacy ? 7u : 15u | KEEPS_OUTPUT; /* plain: the scores instead of the result */
    case WORK_RECURRENT: return 1u | KEEPS_OUTPUT;
    case WORK_SOFTMAX: return KEEPS_OUTPUT;
    case WORK_NORM:
    case WORK_BATCHNORM: return 1;
    case WORK_POOL: return u->kind == OP_MaxPool ? 1 : 0;
    case WORK_GATHER: return 2;
    case WORK_SCATTER: return 2;
    case WORK_OTHER:
    case WORK_SCAN_OP: return 1;
    default: return 0;
    }
}

/* ---- fused pointwise units ---- */

/* Reads the gradients of what the cluster's units made; false: there are none. */
static bool read_cluster(planner *p, uint32_t c, kernel *k)
{
    const cluster *cl = &p->clusters[c];
    bool any = false;
    for (uint32_t i = cl->first; i <= cl->last; i++) {
        const unit *u = &p->us->u[i];
        for (uint32_t n = 0; p->cluster_of[i] == c + 1 && n < u->n_out; n++) {
            uint32_t t = unit_out(p->us, u)[n];
            if (t == NO_TENSOR || !p->train->parts[t]) continue;
            backward_read(p, k, t);
            any = true;
        }
    }
    return any;
}

/* Reads what the units kept of their inputs, and writes the gradients of those. True: some are of weights, which `sums` makes. */
static bool write_cluster(planner *p, uint32_t c, kernel *k, kernel *sums)
{
    const cluster *cl = &p->clusters[c];
    bool weights = false;
    for (uint32_t i = cl->first; i <= cl->last; i++) {
        const unit *u = &p->us->u[i];
        for (uint32_t n = 0; p->cluster_of[i] == c + 1 && n < u->n_in; n++) {
            uint32_t t = unit_in(p->us, u)[n];
            if (t == NO_TENSOR || p->v[t].virtual) continue;
            if (backward_keeps(p, u) & (n < 16 ? 1u << n : 0)) {
                backward_read_saved(p, k, t);
                if (!backward_is_weight(p, t)) backward_read_saved(p, sums, t); /* they multiply the gradients by it */
            }
            if (!backward_wants(p, t)) continue;
            if (backward_is_weight(p, t)) weights = true;
            else k->write_bytes += backward_elements(p, t) * backward_width(p, t);
        }
    }
    return weights;
}

static void give_cluster(planner *p, uint32_t c)
{
    const cluster *cl = &p->clusters[c];
    for (uint32_t i = cl->first; i <= cl->last; i++) {
        const unit *u = &p->us->u[i];
        for (uint32_t n = 0; p->cluster_of[i] == c + 1 && n < u->n_in; n++) {
            uint32_t t = unit_in(p->us, u)[n];
            if (t == NO_TENSOR || p->v[t].virtual || !backward_wants(p, t)) continue;
            backward_count(p, t);
            p->train->born[t] = p->clock;
        }
    }
}

/* One kernel reads the gradients of what left the cluster and what went in, and writes the gradients of what went in; a second
 * one sums up what belongs to broadcast weights. */
static void cluster_backward(planner *p, uint32_t c)
{
    const cluster *cl = &p->clusters[c];
    const kernel *found = backward_forward(p);
    uint32_t last = unit_out(p->us, &p->us->u[cl->last])[0];
    double space = cl->elements > 0 ? cl->elements : 1;
    kernel k = backward_kernel(p, last == NO_TENSOR ? space : space / p->v[last].shards, 4), sums;
    if (cl->has_norm && found) k.kind = found->kind, k.shape = found->shape;
    if (!read_cluster(p, c, &k)) return;
    memcpy(&sums, &k, sizeof sums);
    bool weights = write_cluster(p, c, &k, &sums);
    plan_emit(p, &k, STEP_BACKWARD, OP_KIND_COUNT);
    if (weights) {
        sums.kind = KERNEL_REDUCE;
        plan_emit(p, &sums, STEP_WGRAD, OP_KIND_COUNT);
    }
    give_cluster(p, c);
}

/* ---- all together ---- */

/* What the forward pass copied and cast, the backward pass copies and casts back. */
static void mirror(planner *p)
{
    const unit_trace *t = &p->train->trace[p->ui];
    if (!t->mirrors) return;
    kernel k = plan_kernel_rows(p, KERNEL_COPY, t->mirror / 4 / t->mirrors, 1, 0);
    k.read_bytes = k.write_bytes = t->mirror / 2 / t->mirrors;
    for (uint32_t i = 0; i < t->mirrors; i++) plan_emit(p, &k, STEP_BACKWARD, OP_KIND_COUNT);
}

static bool has_gradient(const planner *p)
{
    for (uint32_t i = 0; i < p->u->n_out; i++)
        if (plan_out(p, i) != NO_TENSOR && p->train->parts[plan_out(p, i)]) return true;
    return false;
}

void backward_unit(planner *p)
{
    uint32_t c = p->cluster_of[p->ui];
    if (c && p->clusters[c - 1].anchor == UINT32_MAX) {
        if (p->clusters[c - 1].last == p->ui) cluster_backward(p, c - 1);
        return;
    }
    if (!has_gradient(p) || !p->u->n_in) return;
    switch (unit_work(p->u)) {
    case WORK_GEMM:
    case WORK_EINSUM: backward_gemm(p); break;
    case WORK_CONV: backward_conv(p); break;
    case WORK_ATTENTION: backward_attention(p); break;
    case WORK_RECURRENT: backward_recurrent(p); break;
    case WORK_ELEMENTWISE: backward_pointwise(p); break;
    case WORK_BATCHNORM:
        if (backward_wants_in(p, 0)) {
            backward_batch_norm(p, plan_in(p, 0), p->v[plan_in(p, 0)].born);
            backward_pass_on(p, plan_out(p, 0), plan_in(p, 0));
        }
        for (uint32_t i = 1; i < 3; i++)
            if (backward_wants_in(p, i)) backward_count(p, plan_in(p, i));
        break;
    case WORK_NORM: backward_norm(p); break;
    case WORK_SOFTMAX: backward_softmax(p); break;
    case WORK_POOL: backward_pool(p); break;
    case WORK_REDUCE: backward_reduce(p); break;
    case WORK_SLICE: backward_slice(p); break;
    case WORK_VIEW:
    case WORK_TRANSPOSE:
    case WORK_EXPAND:
    case WORK_CAST:
    case WORK_QUANTIZE: backward_view(p); break;
    case WORK_COPY: backward_copy(p); break;
    case WORK_GATHER: backward_gather(p); break;
    case WORK_SCATTER: backward_scatter(p); break;
    case WORK_RESIZE: backward_spread(p, plan_in(p, 0), KERNEL_RESIZE, 0, false); break;
    case WORK_SORT: backward_spread(p, plan_in(p, 0), KERNEL_GATHER, 0, true); break;
    case WORK_SCAN_OP:
    case WORK_OTHER:
        for (uint32_t i = 0; i < p->u->n_in; i++)
            if (backward_wants_in(p, i))
                backward_spread(p, plan_in(p, i), KERNEL_OTHER,
                                backward_elements(p, plan_in(p, i)) * p->v[plan_in(p, i)].width, false);
        break;
    default: break;
    }
    mirror(p);
}
