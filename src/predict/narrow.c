/* Where engines keep results in 8 bits: on the way from one product to the next. */
#include "predict/planner.h"

/* Takes its operands in 8 bits, or hands them on to who does. */
static bool takes_narrow(const unit *u)
{
    switch (unit_work(u)) {
    case WORK_GEMM:
    case WORK_EINSUM:
    case WORK_CONV:
    case WORK_ATTENTION:
    case WORK_RECURRENT:
    case WORK_EXPERTS:
    case WORK_STATE:
    case WORK_CONTROL: return true;
    default: return false;
    }
}

bool narrow_ends(planner *p)
{
    const units *us = p->us;
    uint8_t *ends = ARENA_ARRAY(p->a, uint8_t, us->g->n_tensors);
    if (!ends) return false;
    memset(ends, 1, us->g->n_tensors);
    for (uint32_t i = us->n; i-- > 0;) {
        const unit *u = &us->u[i];
        bool fed = takes_narrow(u);
        for (uint32_t k = 0; k < u->n_out && !fed; k++) {
            uint32_t t = unit_out(us, u)[k];
            fed = t != NO_TENSOR && !ends[t];
        }
        for (uint32_t k = 0; k < u->n_in && fed; k++) {
            uint32_t t = unit_in(us, u)[k];
            if (t != NO_TENSOR) ends[t] = 0;
        }
    }
    p->ends = ends;
    return true;
}
