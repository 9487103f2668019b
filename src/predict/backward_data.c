/* Backward of what mostly moves bytes: pointwise operators, normalisations, reductions, windows, slices, copies, gathers. */
#include "predict/backward.h"

/* d x of a function of the same size: reads the gradient and what was kept. */
static void unary_backward(planner *p, double flops)
{
    uint32_t x = plan_in(p, 0), out = plan_out(p, 0);
    if (!backward_wants(p, x)) return;
    kernel k = backward_kernel(p, backward_elements(p, out), flops);
    backward_read(p, &k, out);
    backward_read_saved(p, &k, backward_keeps(p, p->u) == KEEPS_OUTPUT ? out : x);
    backward_emit(p, &k, x, STEP_BACKWARD);
}

/* One factor's gradient: the product with the other, then a sum where the factor was broadcast. */
static void factor_backward(planner *p, uint32_t t, uint32_t other, double flops)
{
    uint32_t out = plan_out(p, 0);
    double n = backward_elements(p, out);
    kernel k = backward_kernel(p, n, flops);
    if (!backward_wants(p, t)) return;
    backward_read(p, &k, out);
    backward_read_saved(p, &k, other);
    if (backward_elements(p, t) == n) {
        backward_emit(p, &k, t, STEP_BACKWARD);
        return;
    }
    k.write_bytes = n * backward_width(p, out);
    plan_emit(p, &k, STEP_BACKWARD, OP_KIND_COUNT);
    backward_sum_to(p, n, backward_width(p, out), p->clock, t, backward_role(p, t));
}

static void sum_backward(planner *p, uint32_t i)
{
    uint32_t t = plan_in(p, i), out = plan_out(p, 0);
    if (!backward_wants(p, t)) return;
    if (backward_elements(p, t) == backward_elements(p, out)) backward_pass_on(p, out, t);
    else
        backward_sum_to(p, backward_elements(p, out), backward_width(p, out), p->train->born[out], t,
                        backward_role(p, t));
}

void backward_pointwise(planner *p)
{
    double flops = op_flops_per_element((op_kind)p->u->kind) + 1;
    if (p->u->n_in == 1 || (p->u->kind == OP_Clip)) {
        unary_backward(p, flops);
        return;
    }
    switch (p->u->kind) {
    case OP_Add:
        if (p->u->n_in == 3) { /* c + a * b */
            factor_backward(p, plan_in(p, 0), plan_in(p, 1), 1);
            factor_backward(p, plan_in(p, 1), plan_in(p, 0), 1);
            sum_backward(p, 2);
            return;
        }
        /* fall through */
    case OP_Sub:
    case OP_Sum:
        for (uint32_t i = 0; i < p->u->n_in; i++) sum_backward(p, i);
        return;
    case OP_Where:
        for (uint32_t i = 1; i < 3; i++) factor_backward(p, plan_in(p, i), plan_in(p, 0), 1);
        return;
    default:
        for (uint32_t i = 0; i < p->u->n_in; i++) factor_backward(p, plan_in(p, i), plan_in(p, i ? 0 : 1), flops);
    }
}

void backward_norm(planner *p)
{
    const kernel *found = backward_forward(p);
    uint32_t x = plan_in(p, 0), out = plan_out(p, 0);
    double n = backward_elements(p, out);
    if (!found) return;
    double rows = found->shape.rows.rows, cols = found->shape.rows.cols;
    if (backward_wants(p, x)) {
        kernel k = plan_kernel_rows(p, KERNEL_NORM, rows, cols, 2 * n * op_flops_per_element((op_kind)p->u->kind));
        k.pass = PASS_DGRAD;
        backward_read(p, &k, out);
        backward_read_saved(p, &k, x);
        backward_emit(p, &k, x, STEP_BACKWARD);
    }
    /* scale and shift: sums over all rows */
    kernel k = plan_kernel_rows(p, KERNEL_REDUCE, cols, rows, 3 * n);
    backward_read(p, &k, out);
    backward_read_saved(p, &k, x);
    k.write_bytes = 8 * cols;
    p->train->silent = backward_wants(p, x);
    plan_emit(p, &k, STEP_WGRAD, OP_KIND_COUNT);
    for (uint32_t i = 1; i < p->u->n_in; i++) {
        uint32_t t = plan_in(p, i);
        if (!backward_wants(p, t)) continue;
        if (backward_elements(p, t) == n) backward_pass_on(p, out, t); /* a sum that is normalised with it */
        else backward_count(p, t);
    }
}

void backward_softmax(planner *p)
{
    const kernel *found = backward_forward(p);
    uint32_t x = plan_in(p, 0), out = plan_out(p, 0);
    if (!backward_wants(p, x) || !found) return;
    kernel k = plan_kernel_rows(p, KERNEL_SOFTMAX, found->shape.rows.rows, found->shape.rows.cols,
                                4 * backward_elements(p, out));
    backward_read(p, &k, out);
    backward_read_saved(p, &k, out);
    backward_emit(p, &k, x, STEP_BACKWARD);
}

/* Writes a whole input from a smaller or larger result: pooling, reductions, resizing, slices, scatters. `fill`: the input's
 * gradient is zeroed first. */
void backward_spread(planner *p, uint32_t x, kernel_kind kind, double extra, bool fill)
{
    uint32_t out = plan_out(p, 0);
    double n = backward_elements(p, x), bytes = n * backward_width(p, x);
    if (!backward_wants(p, x)) return;
    if (fill) {
        kernel k = plan_kernel_rows(p, KERNEL_COPY, n, 1, 0);
        k.write_bytes = bytes;
        plan_emit(p, &k, STEP_BACKWARD, OP_KIND_COUNT);
    }
    kernel k = plan_kernel_rows(p, kind, fill ? backward_elements(p, out) : n, 1, n);
    backward_read(p, &k, out);
    plan_read_bytes(p, &k, extra, -1);
    k.write_bytes = fill ? backward_elements(p, out) * backward_width(p, x) : bytes;
    plan_emit(p, &k, backward_role(p, x), OP_KIND_COUNT);
    backward_give(p, x);
}

/* Each input looks at all windows that it lies in; a maximum also at the 8-byte index of where it was. */
void backward_pool(planner *p)
{
    const kernel *found = backward_forward(p);
    uint32_t x = plan_in(p, 0), out = plan_out(p, 0);
    double n = backward_elements(p, x), n_out = backward_elements(p, out), window = found ? found->shape.rows.cols : 1;
    if (!backward_wants(p, x) || n <= 0) return;
    window *= n_out / n;
    if (window < 1) window = 1;
    kernel k = plan_kernel_rows(p, KERNEL_POOL, n, window, n * window * 4);
    backward_read(p, &k, out);
    if (p->u->kind == OP_MaxPool) plan_read_bytes(p, &k, n_out * 8, -1);
    backward_emit(p, &k, x, STEP_BACKWARD);
}

void backward_reduce(planner *p)
{
    uint32_t x = plan_in(p, 0);
    if (p->u->kind == OP_ReduceSum) {
        if (backward_wants(p, x)) backward_pass_on(p, plan_out(p, 0), x); /* an expanded view */
        return;
    }
    bool mean = p->u->kind == OP_ReduceMean || p->u->kind == OP_GlobalAveragePool;
    backward_spread(p, x, KERNEL_ELEMENTWISE, mean ? 0 : backward_elements(p, x) * p->v[x].width, false);
}

void backward_slice(planner *p)
{
    uint32_t x = plan_in(p, 0);
    if (!backward_wants(p, x)) return;
    if (p->u->n_out == 1) {
        backward_spread(p, x, KERNEL_COPY, 0, true);
        return;
    }
    double bytes = backward_elements(p, x) * backward_width(p, x);
    kernel k = plan_kernel_rows(p, KERNEL_COPY, backward_elements(p, x), 1, 0);
    for (uint32_t i = 0; i < p->u->n_out; i++)
        if (plan_out(p, i) != NO_TENSOR) backward_read(p, &k, plan_out(p, i));
    k.write_bytes = bytes;
    plan_emit(p, &k, STEP_BACKWARD, OP_KIND_COUNT);
    backward_give(p, x);
}

/* A slice of a gradient: a view, which whoever needs dense data copies first. */
static void slice_on(planner *p, uint32_t from, uint32_t to)
{
    uint32_t m = p->maker[to];
    work_class w = m ? unit_work(&p->us->u[m - 1]) : WORK_VIEW;
    bool dense = w == WORK_CONV || w == WORK_GEMM || w == WORK_BATCHNORM || w == WORK_POOL || w == WORK_NORM ||
                 w == WORK_SOFTMAX;
    if (!dense || p->train->parts[to] || p->us->uses[to] > 1) {
        backward_pass_on(p, from, to);
        return;
    }
    kernel k = plan_kernel_rows(p, KERNEL_COPY, backward_elements(p, to), 1, 0);
    plan_read_bytes(p, &k, backward_elements(p, to) * backward_width(p, to), p->train->born[from]);
    backward_emit(p, &k, to, STEP_BACKWARD);
}

void backward_copy(planner *p)
{
    uint32_t out = plan_out(p, 0);
    if (p->u->kind == OP_Concat) { /* its inputs' gradients are slices of its own */
        for (uint32_t i = 0; i < p->u->n_in; i++)
            if (backward_wants_in(p, i)) slice_on(p, out, plan_in(p, i));
        return;
    }
    if (p->u->n_in && backward_wants_in(p, 0) && p->v[out].base == p->v[plan_in(p, 0)].base)
        backward_pass_on(p, out, plan_in(p, 0));
    else if (p->u->n_in) backward_spread(p, plan_in(p, 0), KERNEL_COPY, 0, false);
}

void backward_view(planner *p)
{
    uint32_t x = plan_in(p, 0), out = plan_out(p, 0);
    if (!backward_wants(p, x)) return;
    if (p->u->kind == OP_Dropout) {
        kernel k = backward_kernel(p, backward_elements(p, out), 2);
        backward_read(p, &k, out);
        plan_read_bytes(p, &k, backward_elements(p, out), p->v[out].born);
        backward_emit(p, &k, x, STEP_BACKWARD);
        return;
    }
    if (backward_elements(p, out) > backward_elements(p, x))
        backward_sum_to(p, backward_elements(p, out), backward_width(p, out), p->train->born[out], x, STEP_BACKWARD);
    else backward_pass_on(p, out, x);
}

/* Tables of recommenders: a gradient of all their rows would take more than the step, so they are trained with sparse ones, rows and
 * their indices. The longest vocabularies, of 262,400 tokens, are shorter. */
static bool is_long_table(const planner *p, uint32_t x)
{
    enum { LONG = 300000 };
    const tensor_shape *s = plan_shape(p, x);
    return backward_is_weight(p, x) && s->rank == 2 && num_known(s->dims[0]) && s->dims[0].v.i > LONG;
}

void backward_gather(planner *p)
{
    uint32_t x = plan_in(p, 0);
    if (!backward_wants(p, x)) return;
    if (p->v[plan_out(p, 0)].base == p->v[x].base && !backward_is_weight(p, x)) { /* a selection that was a view */
        backward_spread(p, x, KERNEL_COPY, 0, true);
        return;
    }
    double rows = backward_elements(p, plan_in(p, 1));
    if (is_long_table(p, x)) {
        p->train->touched[x] += backward_elements(p, plan_out(p, 0));
        kernel k = plan_kernel_rows(p, KERNEL_GATHER, backward_elements(p, plan_out(p, 0)), 1, 0);
        backward_read(p, &k, plan_out(p, 0));
        plan_read_bytes(p, &k, rows * 8, -1);
        k.write_bytes = backward_elements(p, plan_out(p, 0)) * backward_width(p, x);
        plan_emit(p, &k, STEP_WGRAD, OP_KIND_COUNT);
        backward_count(p, x); /* rows that arrive are listed, not added to a gradient of the table */
        p->train->born[x] = p->clock;
        return;
    }
    kernel sort = plan_kernel_rows(p, KERNEL_SORT, rows > 0 ? rows : 1, 1, 4 * rows); /* equal indices come together */
    plan_read_bytes(p, &sort, rows * 8, -1);
    sort.write_bytes = rows * 8;
    plan_emit(p, &sort, STEP_WGRAD, OP_KIND_COUNT);
    backward_spread(p, x, KERNEL_GATHER, rows * 8, true);
}

/* What was put somewhere gets the gradient of that place; what it was put into keeps the rest of its own. */
void backward_scatter(planner *p)
{
    uint32_t to = plan_in(p, 2);
    if (backward_wants_in(p, 0)) backward_spread(p, plan_in(p, 0), KERNEL_COPY, 0, false);
    if (!backward_wants(p, to)) return;
    double n = backward_elements(p, to), width = backward_width(p, to), index = 8 * backward_elements(p, plan_in(p, 1));
    kernel k = plan_kernel_rows(p, KERNEL_GATHER, n, 1, 0);
    plan_read_bytes(p, &k, n * width, p->train->born[plan_out(p, 0)]);
    plan_read_bytes(p, &k, index, -1);
    backward_emit(p, &k, to, STEP_BACKWARD);
}
