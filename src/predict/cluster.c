/* Which units a fusing runtime runs as one kernel. Units come in execution order; one joins the cluster of a value that it reads
 * when both walk the same elements and nothing outside has read from the cluster yet, so that no cycle can arise. */
#include "predict/planner.h"

bool unit_is_pointwise(const unit *u)
{
    switch (unit_work(u)) {
    case WORK_ELEMENTWISE:
    case WORK_CAST:
    case WORK_QUANTIZE:
    case WORK_BATCHNORM: return true;
    default: return false;
    }
}

static bool is_norm(const unit *u)
{
    work_class w = unit_work(u);
    return w == WORK_NORM || w == WORK_SOFTMAX || w == WORK_REDUCE;
}

static bool is_anchor(const unit *u)
{
    work_class w = unit_work(u);
    return w == WORK_CONV || w == WORK_GEMM;
}

static bool is_activation(const unit *u)
{
    return unit_work(u) == WORK_ELEMENTWISE && u->n_in == 1;
}

static double out_elements(const planner *p, const unit *u)
{
    return u->n_out && unit_out(p->us, u)[0] != NO_TENSOR ? shape_elements(plan_shape(p, unit_out(p->us, u)[0])) : -1;
}

static double space_of(const planner *p, const unit *u)
{
    double n = out_elements(p, u);
    if (unit_work(u) == WORK_REDUCE && u->n_in && unit_in(p->us, u)[0] != NO_TENSOR)
        n = shape_elements(plan_shape(p, unit_in(p->us, u)[0]));
    return n;
}

/* Broadcasting is not done beforehand where pointwise operations are fused. */
static bool is_broadcast(const planner *p, const unit *u)
{
    return unit_work(u) == WORK_EXPAND && (p->rt->strided_views || p->rt->fuse_pointwise);
}

/* The unit that made the data of t, looking through views; 0: none. */
static uint32_t source(const planner *p, uint32_t t)
{
    for (int guard = 0; guard < 16 && t != NO_TENSOR; guard++) {
        uint32_t m = p->maker[t];
        if (!m) return 0;
        const unit *u = &p->us->u[m - 1];
        work_class w = unit_work(u);
        bool view = w == WORK_VIEW || (p->rt->strided_views && w == WORK_TRANSPOSE) || is_broadcast(p, u);
        if (!view || !u->n_in) return m;
        t = unit_in(p->us, u)[0];
    }
    return 0;
}

/* What runs inside a convolution or product: anything pointwise, or with runtimes that can do less a folded batch normalisation
 * (which is nothing) and an activation. */
static bool may_be_epilogue(const planner *p, const unit *u)
{
    if (p->rt->fuse_epilogue) return unit_is_pointwise(u);
    bool folded = p->rt->fold_batch_norm && unit_work(u) == WORK_BATCHNORM;
    return p->rt->fuse_activation && (folded || is_activation(u));
}

static bool may_join_anchor(const planner *p, const unit *anchor, const unit *u)
{
    if (!is_anchor(anchor) || p->us->uses[unit_out(p->us, anchor)[0]] != 1) return false;
    if (p->rt->bare_products && unit_work(anchor) == WORK_GEMM) return false;
    return may_be_epilogue(p, u);
}

/* Inductor reads through concatenations, paddings and what is resized in the kernel that follows. */
static bool is_fused_copy(const planner *p, const unit *u)
{
    if (!p->rt->strided_views || !p->rt->fuse_pointwise) return false;
    return u->kind == OP_Concat || u->kind == OP_Pad || unit_work(u) == WORK_RESIZE;
}

static bool may_join(const planner *p, const unit *u)
{
    if (p->rt->fuse_pointwise && (unit_is_pointwise(u) || is_fused_copy(p, u))) return true;
    return p->rt->fuse_norm && is_norm(u);
}

static uint32_t new_cluster(planner *p, uint32_t first, uint32_t anchor)
{
    uint32_t c = p->n_clusters++;
    p->clusters[c] = (cluster){
        .first = first, .last = first, .anchor = anchor, .elements = space_of(p, &p->us->u[first])};
    p->cluster_of[first] = c + 1;
    return c;
}

static void join(planner *p, uint32_t c, uint32_t i)
{
    p->cluster_of[i] = c + 1;
    p->clusters[c].last = i;
    p->clusters[c].has_norm |= is_norm(&p->us->u[i]);
    double n = space_of(p, &p->us->u[i]);
    if (n > p->clusters[c].elements) p->clusters[c].elements = n;
}

/* Units from the first to the last of a cluster. No kernel is that long; it bounds the time that hostile files can take, since
 * clusters that are open at once are each walked from end to end. */
enum { SPAN_MAX = 4096 };

/* The cluster that unit i goes into, or UINT32_MAX. */
static uint32_t choose(planner *p, uint32_t i)
{
    const unit *u = &p->us->u[i];
    double n = space_of(p, u);
    for (uint32_t k = 0; k < u->n_in; k++) {
        uint32_t t = unit_in(p->us, u)[k];
        uint32_t m = source(p, t);
        if (!m || p->us->u[m - 1].trips != u->trips || i - (m - 1) > SPAN_MAX) continue;
        const unit *from = &p->us->u[m - 1];
        uint32_t c = p->cluster_of[m - 1];
        if (!c && may_join_anchor(p, from, u) && out_elements(p, from) == n) return new_cluster(p, m - 1, m - 1);
        if (!c || p->clusters[c - 1].consumed_outside || i - p->clusters[c - 1].first > SPAN_MAX) continue;
        const cluster *cl = &p->clusters[c - 1];
        bool epilogue = cl->anchor != UINT32_MAX;
        if (epilogue ? !may_be_epilogue(p, u) : !may_join(p, u)) continue;
        if (cl->elements == n || (!epilogue && out_elements(p, from) == n) ||
            (!epilogue && is_norm(u) && cl->elements <= n))
            return c - 1;
    }
    return UINT32_MAX;
}

void cluster_halves(planner *p)
{
    for (uint32_t t = 0; t < p->g->n_tensors; t++) p->halved[t] = p->us->uses[t] > 0 && !p->g->tensors[t].is_output;
    for (uint32_t i = p->us->n; i-- > 0;) { /* who reads comes behind who makes */
        const unit *u = &p->us->u[i];
        work_class w = unit_work(u);
        bool product = w == WORK_CONV || w == WORK_GEMM || w == WORK_EINSUM || w == WORK_ATTENTION ||
                       w == WORK_RECURRENT || w == WORK_EXPERTS;
        bool view = (w == WORK_VIEW || w == WORK_TRANSPOSE || w == WORK_EXPAND) && u->n_out == 1;
        for (uint32_t k = 0; k < u->n_in; k++) {
            uint32_t t = unit_in(p->us, u)[k], out = u->n_out ? unit_out(p->us, u)[0] : NO_TENSOR;
            if (t != NO_TENSOR && !product && !(view && out != NO_TENSOR && p->halved[out])) p->halved[t] = 0;
        }
    }
}

void cluster_units(planner *p)
{
    if (!p->rt->fuse_pointwise && !p->rt->fuse_epilogue && !p->rt->fuse_activation) return;
    for (uint32_t i = 0; i < p->us->n; i++) {
        const unit *u = &p->us->u[i];
        if (unit_work(u) == WORK_VIEW || is_broadcast(p, u)) continue;
        bool candidate = unit_is_pointwise(u) || is_norm(u) || is_fused_copy(p, u);
        if (p->rt->fold_constants && (u->flags & UNIT_CONSTANT)) candidate = false;
        uint32_t c = candidate ? choose(p, i) : UINT32_MAX;
        if (c != UINT32_MAX) join(p, c, i);
        else if (candidate && may_join(p, u)) p->clusters[new_cluster(p, i, UINT32_MAX)].has_norm = is_norm(u);
        for (uint32_t k = 0; k < u->n_in; k++) { /* what it reads from other clusters has now been read from outside */
            uint32_t m = source(p, unit_in(p->us, u)[k]);
            uint32_t from = m ? p->cluster_of[m - 1] : 0;
            if (from && from != p->cluster_of[i]) p->clusters[from - 1].consumed_outside = true;
        }
    }
}
