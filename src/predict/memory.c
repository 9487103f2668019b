/* What is in memory while a plan runs. */
#include "predict/planner.h"

/* Python holds the argument of a call until it returns: what a normalisation hands to attention or to an MLP stays alive until
 * that branch joins the others. */
static void hold_arguments(const planner *p, uint32_t *last)
{
    const units *us = p->us;
    for (uint32_t i = us->n, join = us->n; i-- > 0;) {
        const unit *u = &us->u[i];
        if (plan_is_join(p, u)) join = i;
        if (unit_work(u) != WORK_NORM || !u->n_out || join == us->n) continue;
        uint32_t base = p->v[unit_out(us, u)[0]].base;
        if (last[base] && last[base] < join) last[base] = join;
    }
}

/* Peak of what is alive: a value from the unit that writes its memory to the last unit that reads it through any view. */
pg_code memory_peak(planner *p, pg_error *e)
{
    const units *us = p->us;
    double *delta = ARENA_ARRAY(p->a, double, (size_t)us->n + 2);
    uint32_t *written = ARENA_ARRAY(p->a, uint32_t, p->g->n_tensors);
    uint32_t *last = ARENA_ARRAY(p->a, uint32_t, p->g->n_tensors);
    if (!delta || !written || !last) return error_nomem(e, p->a);
    for (uint32_t i = 0; i < us->n; i++) {
        const unit *u = &us->u[i];
        uint32_t c = p->cluster_of[i];
        uint32_t at = c ? p->clusters[c - 1].last : i;
        for (uint32_t k = 0; k < (uint32_t)u->n_in + u->n_out; k++) {
            uint32_t t = unit_in(us, u)[k];
            if (t == NO_TENSOR || p->g->tensors[t].role == ROLE_WEIGHT) continue;
            uint32_t base = p->v[t].base;
            if (k >= u->n_in && base == t && !written[t]) written[t] = at + 1;
            if (last[base] < at + 1) last[base] = at + 1;
        }
    }
    if (p->rt->strided_views && !p->rt->fuse_pointwise) hold_arguments(p, last);
    for (uint32_t t = 0; t < p->g->n_tensors; t++) {
        const tensor *x = &p->g->tensors[t];
        if (x->is_output) last[p->v[t].base] = us->n + 1;
    }
    for (uint32_t t = 0; t < p->g->n_tensors; t++) {
        bool input = p->g->tensors[t].role == ROLE_INPUT;
        if (plan_is_index(p, t)) continue;
        if ((!written[t] && !input) || p->v[t].virtual || p->v[t].base != t || p->v[t].elements < 0) continue;
        double bytes = value_bytes(&p->v[t]);
        uint32_t from = input ? 0 : written[t] - 1, to = input && p->rt->strided_views ? us->n + 1 : last[t];
        delta[from] += bytes;
        if (to < us->n + 2 && to >= from) delta[to] -= bytes;
    }
    double live = 0;
    for (uint32_t i = 0; i <= us->n; i++) {
        live += delta[i];
        double most = live + (i < us->n ? p->beside[i] : 0);
        if (most > p->peak) p->peak = most;
    }
    return PG_E_OK;
}

void memory_weights(planner *p)
{
    double bytes = 0, elements = 0, most = 0;
    for (uint32_t t = 0; t < p->g->n_tensors; t++) {
        if (p->g->tensors[t].role != ROLE_WEIGHT || p->v[t].elements < 0) continue;
        elements += p->v[t].elements;
        if (p->v[t].elements > most) most = p->v[t].elements;
        dtype d = (dtype)p->g->tensors[t].dtype;
        bool narrow = dtype_get(d)->bits && dtype_get(d)->bits < 16;
        double width = plan_width(p, t);
        bytes += (narrow ? p->g->tensors[t].weight_bytes : p->v[t].elements * width) / p->v[t].shards;
        if (p->opt.autocast && p->v[t].cast)
            bytes += p->v[t].elements * 2 / p->v[t].shards; /* the half copies live until the step ends */
    }
    p->out->memory.weights = bytes;
    p->out->largest_share = elements > 0 ? most / elements : 0;
    for (uint32_t i = 0; i < p->us->n; i++) p->out->joins += plan_is_join(p, &p->us->u[i]);
}
