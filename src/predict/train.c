/* A training step around the forward pass: loss, backward pass, optimizer, and what has to stay in memory for them.
 * Time runs over 2 n moments for n units: unit i runs forward at i and backward at 2 n - 1 - i. */
#include "predict/planner.h"

/* Picks among boxes: no derivative, though the scores and boxes that it picks are floating. */
static bool is_choice(op_kind k)
{
    return k == OP_NonMaxSuppression || k == OP_DetectionPostProcess || k == OP_EfficientNMS_TRT ||
           k == OP_BatchedNMS_TRT || k == OP_BatchedNMSDynamic_TRT;
}

/* Where the loss begins: results that need a gradient, and what only operators without a derivative read (the choice of a word, of boxes):
 * in training a loss takes their place, and they don't run. */
static bool find_ends(planner *p)
{
    enum { READ = 1, LEADS = 2, REACHES = 4 };
    const units *us = p->us;
    train *t = p->train;
    uint8_t *how = ARENA_ARRAY(p->a, uint8_t, us->g->n_tensors);
    if (!how) return false;
    for (uint32_t i = us->n; i-- > 0;) { /* all readers of a unit's results come after it */
        const unit *u = &us->u[i];
        uint8_t leads = 0, reaches = 0;
        for (uint32_t k = 0; k < u->n_out; k++) {
            uint32_t out = unit_out(us, u)[k];
            if (out == NO_TENSOR) continue;
            bool last = us->g->tensors[out].is_output || how[out] & READ;
            t->ends[out] = t->needs[out] && !(how[out] & LEADS) && last;
            if (t->ends[out] || (t->needs[out] && how[out] & LEADS)) leads = LEADS;
            if (t->ends[out] || how[out] & REACHES) reaches = REACHES;
        }
        t->idle[i] = !reaches;
        for (uint32_t k = 0; k < u->n_in; k++)
            if (unit_in(us, u)[k] != NO_TENSOR) how[unit_in(us, u)[k]] |= READ | leads | reaches;
    }
    return true;
}

bool train_begin(planner *p)
{
    const units *us = p->us;
    train *t = ARENA_NEW(p->a, train);
    if (!t) return false;
    t->trace = ARENA_ARRAY(p->a, unit_trace, us->n + 1);
    t->born = ARENA_ARRAY(p->a, double, us->g->n_tensors);
    t->parts = ARENA_ARRAY(p->a, uint16_t, us->g->n_tensors);
    t->needs = ARENA_ARRAY(p->a, uint8_t, us->g->n_tensors);
    t->touched = ARENA_ARRAY(p->a, double, us->g->n_tensors);
    t->keeper = ARENA_ARRAY(p->a, uint32_t, us->g->n_tensors);
    t->ends = ARENA_ARRAY(p->a, uint8_t, us->g->n_tensors);
    t->idle = ARENA_ARRAY(p->a, uint8_t, us->n + 1);
    if (!t->trace || !t->born || !t->parts || !t->needs || !t->touched || !t->keeper || !t->ends || !t->idle)
        return false;
    for (uint32_t i = 0; i < us->g->n_tensors; i++) {
        const tensor *x = &us->g->tensors[i];
        t->needs[i] = x->role == ROLE_WEIGHT && !x->literal && plan_is_float(p, i) && p->v[i].elements > 1;
    }
    for (uint32_t i = 0; i < us->n; i++) {
        bool any = false;
        for (uint32_t k = 0; k < us->u[i].n_in; k++) {
            uint32_t in = unit_in(us, &us->u[i])[k];
            any |= in != NO_TENSOR && t->needs[in];
        }
        for (uint32_t k = 0; k < us->u[i].n_out && any && !is_choice((op_kind)us->u[i].kind); k++) {
            uint32_t out = unit_out(us, &us->u[i])[k];
            if (out != NO_TENSOR && plan_is_float(p, out)) t->needs[out] = 1;
        }
    }
    p->train = t;
    return find_ends(p);
}

/* ---- batch normalisation, forward ---- */

/* A row a channel. */
rows_shape train_channels(const planner *p, uint32_t t)
{
    double n = p->v[t].elements > 1 ? p->v[t].elements : 1, channels = plan_channels(p, t);
    return (rows_shape){channels, n / channels};
}

void train_statistics(planner *p, uint32_t t, bool apply)
{
    double n = p->v[t].elements > 0 ? p->v[t].elements : 0, bytes = n * p->v[t].width, channels = plan_channels(p, t);
    kernel k = plan_kernel_rows(p, KERNEL_REDUCE, channels, n / channels, 3 * n);
    k.pass = PASS_STATISTICS;
    k.channels_last = p->v[t].strided;
    plan_read_bytes(p, &k, bytes, p->v[t].born);
    plan_emit(p, &k, STEP_STATISTICS, OP_KIND_COUNT);
    if (!apply) return;
    k = plan_kernel_rows(p, KERNEL_ELEMENTWISE, channels, n / channels, 2 * n);
    k.pass = PASS_STATISTICS;
    k.channels_last = p->v[t].strided;
    plan_read_bytes(p, &k, bytes, p->clock - bytes);
    k.write_bytes = bytes;
    p->train->silent = true;
    plan_emit(p, &k, STEP_NORM, OP_KIND_COUNT);
    p->v[t].born = p->clock;
}

/* ---- the loss ---- */

/* Cross entropy over the last dim, in fp32: log-softmax and the pick of one value a row; backward the same way. A result without
 * rows is compared with its target value by value. */
static void loss_of(planner *p, uint32_t t, bool backward)
{
    const value *v = &p->v[t];
    const tensor_shape *ts = plan_shape(p, t);
    double n = v->elements, span = 1;
    bool rows = ts->rank >= 2 && num_known(ts->dims[ts->rank - 1]) && ts->dims[ts->rank - 1].v.i > 1;
    if (n <= 0) return;
    if (rows) span = (double)ts->dims[ts->rank - 1].v.i;
    step_role role = backward ? STEP_LOSS_BACKWARD : STEP_LOSS;
    bool cast = v->width < 4 && p->opt.autocast;
    double width = cast ? 4 : v->width;
    kernel k = plan_kernel_rows(p, KERNEL_COPY, n, 1, 0);
    plan_read_bytes(p, &k, n * (backward ? width : v->width), p->clock);
    k.write_bytes = n * (backward ? v->width : width);
    if (cast && !backward) plan_emit(p, &k, role, OP_KIND_COUNT);
    kernel loss = plan_kernel_rows(p, rows ? KERNEL_SOFTMAX : KERNEL_ELEMENTWISE, n / span, span, 6 * n);
    plan_read_bytes(p, &loss, n * width * (backward ? 2 : 1), p->clock);
    loss.write_bytes = n * width;
    plan_emit(p, &loss, role, OP_KIND_COUNT);
    kernel pick = plan_kernel_rows(p, KERNEL_GATHER, n / span, 1, 0); /* backward: zeros, and one value a row */
    plan_read_bytes(p, &pick, n / span * width, p->clock);
    pick.write_bytes = backward ? n * width : width;
    plan_emit(p, &pick, role, OP_KIND_COUNT);
    if (cast && backward) plan_emit(p, &k, role, OP_KIND_COUNT);
    if (backward) {
        p->train->parts[t] = 1;
        p->train->born[t] = p->clock;
    }
}

static void losses(planner *p, bool backward)
{
    for (uint32_t t = 0; t < p->g->n_tensors && p->us->n; t++) {
        if (!p->train->ends[t]) continue;
        p->u = &p->us->u[p->us->n - 1];
        loss_of(p, t, backward);
    }
}

/* ---- blocks for gradient checkpointing ---- */

/* block[i]: the block of unit i, counted from the start. A block ends where a sum or a concatenation of computed values is all
 * that is alive (the end of a residual block); in models without any, wherever one value alone is alive. */
static uint32_t find_blocks(planner *p, uint32_t *block, const uint32_t *written, const uint32_t *last)
{
    const units *us = p->us;
    int32_t *change = ARENA_ARRAY(p->a, int32_t, us->n + 2);
    uint32_t blocks = 0;
    if (!change) {
        p->failed = true;
        return 0;
    }
    for (uint32_t t = 0; t < p->g->n_tensors; t++) {
        if (!written[t] || !p->train->needs[t] || last[t] <= written[t]) continue;
        change[written[t] - 1]++;
        change[last[t] - 1 < us->n ? last[t] - 1 : us->n]--;
    }
    for (int joins = 1; joins >= 0 && !blocks; joins--) {
        int32_t alive = 0;
        for (uint32_t i = 0; i < us->n; i++) {
            alive += change[i];
            block[i] = blocks;
            if (alive == 1 && i + 1 < us->n && (!joins || plan_is_join(p, &us->u[i]))) blocks++;
        }
    }
    return blocks;
}

/* Runs a block forward again. */
static void recompute(planner *p, uint32_t from, uint32_t to)
{
    for (uint32_t s = p->train->trace[from].first; s < p->train->trace[to].first && !p->failed; s++) {
        plan_step step = p->out->steps[s];
        kernel k;
        if (step.role >= STEP_LOSS) continue;
        memcpy(&k, &p->out->kernels[step.kernel].k, sizeof k);
        plan_again(p, &k, &step, STEP_RECOMPUTE);
    }
}

/* ---- memory ---- */

typedef struct lifetimes {
    double *delta; /* bytes that come to life, 2 n + 2 moments */
    uint32_t *written, *last, *block, *block_end, n_blocks;
} lifetimes;

static void alive(const planner *p, lifetimes *l, uint32_t from, uint32_t to, double bytes)
{
    uint32_t end = 2 * p->us->n;
    if (!(bytes > 0) || from > to) return;
    l->delta[from] += bytes;
    l->delta[(to < end ? to : end) + 1] -= bytes;
}

/* What unit i makes and keeps for its own backward pass, at which it is freed. Inside a block that runs again it comes to life
 * when that begins. */
static void keep(const planner *p, lifetimes *l, uint32_t made, uint32_t last_forward, uint32_t keeper, double bytes)
{
    uint32_t n = p->us->n, until = 2 * n - 1 - keeper, b = l->block[made];
    bool again = p->opt.checkpointing && b < l->n_blocks;
    bool crosses = again && l->block[last_forward < n ? last_forward : n - 1] != b; /* the value between two blocks */
    if (!again || crosses) {
        alive(p, l, made, until, bytes);
        return;
    }
    alive(p, l, made, last_forward, bytes);
    alive(p, l, 2 * n - 1 - l->block_end[b], until, bytes);
}

/* First writer, last reader and first keeper of every value's memory. */
static void uses_of(planner *p, lifetimes *l)
{
    const units *us = p->us;
    for (uint32_t i = 0; i < us->n; i++) {
        const unit *u = &us->u[i];
        uint32_t keeps = backward_keeps(p, u) & ~p->train->trace[i].copied;
        for (uint32_t k = 0; k < (uint32_t)u->n_in + u->n_out; k++) {
            uint32_t t = unit_in(us, u)[k];
            if (t == NO_TENSOR || p->g->tensors[t].role == ROLE_WEIGHT) continue;
            uint32_t base = p->v[t].base;
            if (k >= u->n_in && base == t && !l->written[t]) l->written[t] = i + 1;
            if (l->last[base] < i + 1) l->last[base] = i + 1;
            uint32_t bit = k < u->n_in ? k < KEPT_INPUTS ? 1u << k : 0 : k == u->n_in ? KEEPS_OUTPUT : 0;
            if ((keeps & bit) && !p->train->keeper[base]) p->train->keeper[base] = i + 1;
        }
    }
    for (uint32_t t = 0; t < p->g->n_tensors; t++)
        if (p->g->tensors[t].is_output && p->v[t].base != NO_TENSOR) l->last[p->v[t].base] = us->n;
}

static double train_peak(planner *p, lifetimes *l)
{
    const units *us = p->us;
    uint32_t n = us->n;
    memset(l->delta, 0, (2 * (size_t)n + 3) * sizeof *l->delta);
    for (uint32_t t = 0; t < p->g->n_tensors; t++) {
        const value *v = &p->v[t];
        bool input = p->g->tensors[t].role == ROLE_INPUT;
        if ((!l->written[t] && !input) || v->virtual || v->base != t || v->elements < 0) continue;
        double bytes = value_bytes(v);
        uint32_t made = l->written[t] ? l->written[t] - 1 : 0, last = l->last[t] ? l->last[t] - 1 : made;
        if (input) alive(p, l, 0, 2 * n, bytes);
        else if (p->train->keeper[t]) keep(p, l, made, last, p->train->keeper[t] - 1, bytes);
        else alive(p, l, made, last, bytes);
        if (p->train->needs[t]) alive(p, l, 2 * n - 1 - last, 2 * n - 1 - made, bytes);
    }
    for (uint32_t i = 0; i < n; i++) {
        keep(p, l, i, i, i, p->train->trace[i].kept);
        alive(p, l, i, i, p->beside[i]);
        alive(p, l, 2 * n - 1 - i, 2 * n - 1 - i, p->beside[i]);
    }
    double live = 0, peak = 0;
    for (uint32_t i = 0; i <= 2 * n; i++) {
        live += l->delta[i];
        if (live > peak) peak = live;
    }
    return peak;
}

/* ---- the walk back ---- */

static void walk_back(planner *p, const lifetimes *l)
{
    const units *us = p->us;
    p->train->backward = true;
    losses(p, true);
    for (p->ui = us->n; p->ui-- > 0 && !p->failed;) {
        uint32_t b = l->block[p->ui];
        p->u = &us->u[p->ui];
        if (p->opt.checkpointing && b < l->n_blocks && p->ui == l->block_end[b]) {
            uint32_t first = p->ui;
            while (first > 0 && l->block[first - 1] == b) first--;
            recompute(p, first, p->ui + 1);
            p->u = &us->u[p->ui];
        }
        p->at = p->ui;
        backward_unit(p);
        parallel_backward(p);
    }
}

static void optimize(planner *p)
{
    double elements = 0, state = 0, count = 0, width = p->opt.autocast ? 4 : 0;
    for (uint32_t t = 0; t < p->g->n_tensors; t++) {
        if (!p->train->needs[t] || !p->train->parts[t] || p->g->tensors[t].role != ROLE_WEIGHT) continue;
        double own = p->v[t].elements / p->v[t].shards, touched = p->train->touched[t] / p->v[t].shards;
        /* SGD keeps no momentum of rows that come and go, Adam its moments of all. */
        if (!(touched > 0) || p->opt.optimizer == OPTIMIZER_ADAMW) state += own;
        if (touched > 0 && touched < own) own = touched;
        elements += own;
        count++;
        p->out->gradient_bytes += own * (width > 0 ? width : plan_width(p, t));
    }
    p->out->memory.gradients = p->out->gradient_bytes;
    if (!p->us->n) return;
    p->ui = p->us->n - 1;
    p->u = &p->us->u[p->ui];
    optimizer_lower(p, elements, state, count);
}

pg_code train_finish(planner *p, pg_error *e)
{
    uint32_t n = p->us->n, tensors = p->g->n_tensors;
    lifetimes l = {.delta = ARENA_ARRAY(p->a, double, 2 * (size_t)n + 3),
                   .written = ARENA_ARRAY(p->a, uint32_t, tensors),
                   .last = ARENA_ARRAY(p->a, uint32_t, tensors),
                   .block = ARENA_ARRAY(p->a, uint32_t, (size_t)n + 1),
                   .block_end = ARENA_ARRAY(p->a, uint32_t, (size_t)n + 1)};
    if (!l.delta || !l.written || !l.last || !l.block || !l.block_end) return error_nomem(e, p->a);
    p->train->trace[n].first = p->out->n_steps;
    uses_of(p, &l);
    bool checkpointing = p->opt.checkpointing;
    p->opt.checkpointing = false;
    p->peak = train_peak(p, &l);
    p->opt.checkpointing = checkpointing;
    if (checkpointing) {
        l.n_blocks = find_blocks(p, l.block, l.written, l.last);
        for (uint32_t i = 0; i < n; i++) l.block_end[l.block[i]] = i;
        double less = train_peak(p, &l);
        if (less < p->peak) p->peak = less;
    }
    losses(p, false);
    walk_back(p, &l);
    optimize(p);
    return p->failed ? error_nomem(e, p->a) : PG_E_OK;
}
