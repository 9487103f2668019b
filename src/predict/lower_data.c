/* Units that mostly move bytes: pointwise operations, normalisations, reductions, copies, gathers, views. */
#include "predict/planner.h"

static double elements(const planner *p, uint32_t t)
{
    return t == NO_TENSOR || p->v[t].elements < 0 ? 0 : p->v[t].elements;
}

/* Group normalisation, and layer normalisation over the channels of an image: its input is a transposed view. */
static bool is_image_norm(const planner *p, const unit *u)
{
    if (u->kind == OP_GroupNorm || u->kind == OP_GroupNormalization || u->kind == OP_InstanceNormalization) return true;
    if (u->kind != OP_LayerNormalization || !u->n_in) return false;
    uint32_t x = unit_in(p->us, u)[0], maker = x == NO_TENSOR ? 0 : p->maker[x];
    return maker && plan_shape(p, x)->rank == 4 && unit_work(&p->us->u[maker - 1]) == WORK_TRANSPOSE;
}

/* torch.autocast's list of operations that run in fp32 whatever comes in. */
static bool runs_in_fp32(const planner *p, const unit *u)
{
    if (p->opt.half_norms && is_image_norm(p, u)) return false;
    switch (u->kind) {
    case OP_LayerNormalization:
    case OP_SimplifiedLayerNormalization:
    case OP_GroupNorm:
    case OP_GroupNormalization:
    case OP_LpNormalization:
    case OP_Softmax:
    case OP_LogSoftmax:
    case OP_Softplus:
    case OP_Pow:
    case OP_Exp:
    case OP_Log:
    case OP_Rsqrt:
    case OP_Reciprocal:
    case OP_CumSum:
    case OP_ReduceSum:
    case OP_ReduceProd:
    case OP_ReduceL1:
    case OP_ReduceL2: return true;
    case OP_Resize:
    case OP_Upsample:
        return p->rt->wide_resize_since > 0 && !(p->opt.version > 0 && p->opt.version < p->rt->wide_resize_since);
    default: return false;
    }
}

/* Bytes per element of a pointwise result: the widest float that goes in, as frameworks promote; scalars don't count. */
static double result_width(const planner *p, const unit *u)
{
    if (!p->opt.autocast) return u->n_out ? plan_width(p, unit_out(p->us, u)[0]) : 4;
    if (runs_in_fp32(p, u)) return 4;
    double width = 0;
    uint32_t n_in = unit_work(u) == WORK_BATCHNORM || unit_work(u) == WORK_NORM ? 1 : u->n_in;
    for (uint32_t i = 0; i < n_in; i++) {
        uint32_t t = unit_in(p->us, u)[i];
        if (t == NO_TENSOR || !plan_is_float(p, t) || plan_shape(p, t)->rank == 0) continue;
        if (p->v[t].width > width) width = p->v[t].width;
    }
    return width > 0 ? width : 4;
}

/* The first full-size operand decides how a result is laid out: dense but permuted stays so. Images stay channels last, also
 * when a window, a concatenation or a slice changes their size. */
static void keep_layout(planner *p, uint32_t out)
{
    uint32_t first = plan_in(p, 0);
    if (first != NO_TENSOR && p->rt->strided_views && plan_shape(p, out)->rank == 4 &&
        view_is_channels_last(p, first)) {
        view_set_channels_last(p, out);
        return;
    }
    for (uint32_t i = 0; i < p->u->n_in; i++) {
        uint32_t t = plan_in(p, i);
        if (t == NO_TENSOR || p->v[t].elements != p->v[out].elements) continue;
        const tensor_shape *ts = plan_shape(p, t);
        if (ts->rank != plan_shape(p, out)->rank || ts->rank > VIEW_RANK || !p->v[t].strided) return;
        double dense = 1;
        for (int d = 0; d < ts->rank; d++) {
            double reach = (double)p->v[t].stride[d] * (double)ts->dims[d].v.i;
            if (p->v[t].stride[d] == 0) return;
            if (reach > dense) dense = reach;
        }
        if (dense != p->v[t].elements) return; /* a slice of something larger: the result is packed */
        memcpy(p->v[out].stride, p->v[t].stride, sizeof p->v[t].stride);
        p->v[out].strided = true;
        return;
    }
}

static bool is_noop_cast(const planner *p)
{
    return p->u->kind == OP_Cast && p->u->n_in && plan_is_float(p, plan_in(p, 0)) && plan_is_float(p, plan_out(p, 0));
}

/* PyTorch's pointwise kernels go over memory as it lies where all operands lie alike; else they work out each one's position. */
static bool is_broadcast(const planner *p, double n)
{
    if (!p->opt.legacy || op_work_class((op_kind)p->u->kind) != WORK_ELEMENTWISE) return false;
    for (uint32_t i = 0; i < p->u->n_in; i++) {
        uint32_t t = plan_in(p, i);
        if (t != NO_TENSOR && p->v[t].elements > 1 && p->v[t].elements < n) return true;
    }
    return false;
}

/* x / sqrt 2, its erf, + 1, times x, halved: as exporters write the activation, where a runtime takes it as it stands. */
static void spell_gelu(planner *p, uint32_t x, double n, double width)
{
    enum { BEFORE = 4 }; /* the last is the unit's own kernel */
    for (int i = 0; i < BEFORE; i++) {
        kernel k = plan_kernel_rows(p, KERNEL_ELEMENTWISE, n, 1, n);
        if (i == 0) plan_read(p, &k, x);
        else plan_read_bytes(p, &k, (i == BEFORE - 1 ? 2 : 1) * n * width, p->clock);
        k.write_bytes = n * width;
        plan_emit(p, &k, STEP_MAIN, OP_KIND_COUNT);
    }
}

static bool gelu_is_spelled(const planner *p)
{
    return p->u->kind == OP_Gelu && p->opt.version > 0 && p->opt.version < p->rt->fused_gelu_since;
}

void lower_pointwise(planner *p)
{
    work_class w = unit_work(p->u);
    uint32_t out = plan_out(p, 0);
    if (out == NO_TENSOR) return;
    bool folded = w == WORK_BATCHNORM && p->rt->fold_batch_norm;
    bool vanishes = w == WORK_QUANTIZE && (p->rt->skip_quantize || p->us->constant[plan_in(p, 0)]);
    if (folded || vanishes ||
        (w == WORK_CAST && is_noop_cast(p))) { /* the precision asked for decides, not the file's casts */
        view_same(p, plan_in(p, 0), out);
        return;
    }
    double n = elements(p, out), width = result_width(p, p->u);
    kernel k = plan_kernel_rows(p, KERNEL_ELEMENTWISE, n, 1, n * op_flops_per_element((op_kind)p->u->kind));
    if (runs_in_fp32(p, p->u) && p->opt.autocast) plan_cast(p, plan_in(p, 0), 4);
    if (gelu_is_spelled(p) && p->u->n_in) {
        spell_gelu(p, plan_in(p, 0), n, width);
        plan_read_bytes(p, &k, n * width, p->clock);
    } else {
        for (uint32_t i = 0; i < p->u->n_in; i++) plan_read(p, &k, plan_in(p, i));
    }
    k.indexed = is_broadcast(p, n);
    if (p->train && w == WORK_BATCHNORM) {
        train_statistics(p, plan_in(p, 0), false);
        p->train->silent = true;
        k.pass = PASS_STATISTICS;
        k.shape.rows = train_channels(p, plan_in(p, 0));
        k.channels_last = p->v[plan_in(p, 0)].strided;
    }
    plan_write(p, &k, out, width);
    keep_layout(p, out);
    plan_emit(p, &k, w == WORK_BATCHNORM ? STEP_NORM : STEP_MAIN, OP_KIND_COUNT);
    p->v[out].born = p->clock;
}

/* Elements that one mean and variance are taken over. */
static double norm_span(const planner *p, uint32_t x)
{
    const tensor_shape *ts = plan_shape(p, x);
    if (ts->rank < 1) return 1;
    if (unit_work(p->u) == WORK_REDUCE) {
        double results = elements(p, plan_out(p, 0));
        return results > 0 ? elements(p, x) / results : 1;
    }
    if (p->u->kind == OP_GroupNorm && p->g->ops[p->u->op].kind == OP_InstanceNormalization) {
        uint32_t grouped = op_input(p->g, &p->g->ops[p->u->op], 0); /* [batch, groups, elements of a group] */
        if (grouped != NO_TENSOR && plan_shape(p, grouped)->rank >= 3) ts = plan_shape(p, grouped);
    }
    if (p->u->kind == OP_InstanceNormalization || p->u->kind == OP_GroupNorm || p->u->kind == OP_GroupNormalization) {
        double span = 1;
        for (int i = 2; i < ts->rank; i++) span *= num_known(ts->dims[i]) ? (double)ts->dims[i].v.i : 1;
        int64_t groups = op_attr_int(p->g, &p->g->ops[p->u->op], ATTR_num_groups, 0);
        if (p->u->kind == OP_GroupNormalization && groups > 0 && ts->rank > 1 && num_known(ts->dims[1]))
            span *= (double)ts->dims[1].v.i / (double)groups;
        return span;
    }
    int64_t axis = -1;
    if (unit_work(p->u) == WORK_SOFTMAX) {
        const op *o = &p->g->ops[p->u->op];
        axis = op_attr_int(p->g, o, ATTR_axis, o->opset >= 13 ? -1 : 1);
    }
    if (axis < 0) axis += ts->rank;
    if (axis < 0 || axis >= ts->rank) axis = ts->rank - 1;
    num last = ts->dims[axis];
    return num_known(last) && last.v.i > 0 ? (double)last.v.i : 1;
}

void lower_norm(planner *p)
{
    uint32_t x = plan_in(p, 0), out = plan_out(p, 0);
    if (x == NO_TENSOR || out == NO_TENSOR) return;
    double width = result_width(p, p->u);
    if (p->opt.autocast && runs_in_fp32(p, p->u)) plan_cast(p, x, 4);
    plan_contiguous(p, x);
    double n = elements(p, x), span = norm_span(p, x);
    kernel k = plan_kernel_rows(p, KERNEL_NORM, n / span, span, n * op_flops_per_element((op_kind)p->u->kind));
    for (uint32_t i = 0; i < p->u->n_in; i++) plan_read(p, &k, plan_in(p, i));
    for (uint32_t i = 0; i < p->u->n_out; i++)
        if (i == 0 || (plan_out(p, i) != NO_TENSOR && p->us->uses[plan_out(p, i)]))
            plan_write(p, &k, plan_out(p, i), width);
    plan_emit(p, &k, STEP_MAIN, OP_KIND_COUNT);
    p->v[out].born = p->clock;
}

void lower_softmax(planner *p)
{
    uint32_t x = plan_in(p, 0), out = plan_out(p, 0);
    if (x == NO_TENSOR || out == NO_TENSOR) return;
    double width = result_width(p, p->u); /* under autocast: reads half, writes fp32, in one kernel */
    double n = elements(p, x), span = norm_span(p, x);
    if (p->u->flags & UNIT_SCALES) {
        kernel scale = plan_kernel_rows(p, KERNEL_ELEMENTWISE, n, 1, n);
        plan_read(p, &scale, x);
        scale.write_bytes = n * p->v[x].width;
        plan_emit(p, &scale, STEP_COPY, OP_KIND_COUNT);
        p->v[x].born = p->clock;
        plan_mirror(p, x, scale.read_bytes + scale.write_bytes);
    }
    kernel k = plan_kernel_rows(p, KERNEL_SOFTMAX, n / span, span, n * op_flops_per_element((op_kind)p->u->kind));
    for (uint32_t i = 0; i < p->u->n_in; i++) plan_read(p, &k, plan_in(p, i));
    for (uint32_t i = 0; i < p->u->n_out; i++) plan_write(p, &k, plan_out(p, i), width);
    plan_emit(p, &k, STEP_MAIN, OP_KIND_COUNT);
    p->v[out].born = p->clock;
}

/* Eager PyTorch resizes NCHW images (but to the nearest) with a thread per output pixel that walks over batch and channels. */
static void resize_turns(const planner *p, kernel *k, uint32_t out)
{
    const tensor_shape *ts = plan_shape(p, out);
    str mode = op_attr_str(p->g, &p->g->ops[p->u->op], ATTR_mode);
    bool eager = p->rt->strided_views && !p->rt->fuse_pointwise;
    bool smooth = p->u->flags & UNIT_SMOOTH || (mode.len && !str_is(mode, "nearest"));
    if (!eager || ts->rank != 4 || !smooth || p->v[plan_in(p, 0)].strided) return;
    int first = p->g->ops[p->u->op].flags & OPF_CHANNELS_LAST ? 1 : 2;
    double image = (double)ts->dims[first].v.i * (double)ts->dims[first + 1].v.i;
    if (image <= 0) return;
    k->serial_turns = elements(p, out) / image;
    k->serial_threads = image;
}

void lower_rows(planner *p, kernel_kind kind)
{
    uint32_t x = plan_in(p, 0), out = plan_out(p, 0);
    if (out == NO_TENSOR) return;
    double n_out = elements(p, out), n_in = elements(p, x);
    double cols = n_out > 0 && n_in > n_out ? n_in / n_out : 1;
    if (kind == KERNEL_POOL) {
        const int64_t *window = NULL;
        uint32_t dims = op_attr_ints(p->g, &p->g->ops[p->u->op], ATTR_kernel_shape, &window);
        cols = 1;
        for (uint32_t i = 0; i < dims; i++) cols *= (double)(window[i] > 0 ? window[i] : 1);
    }
    double width = result_width(p, p->u), work = kind == KERNEL_POOL ? n_out * cols : n_in > n_out ? n_in : n_out;
    if (p->u->kind == OP_SelectiveScan) {
        int64_t states = op_attr_int(p->g, &p->g->ops[p->u->op], ATTR_state_size, 1);
        work *= states > 1 ? (double)states : 1;
    }
    if (kind == KERNEL_RESIZE && p->opt.autocast && runs_in_fp32(p, p->u)) plan_cast(p, x, 4);
    kernel k = plan_kernel_rows(p, kind, n_out, cols, work * op_flops_per_element((op_kind)p->u->kind));
    for (uint32_t i = 0; i < p->u->n_in; i++) plan_read(p, &k, plan_in(p, i));
    for (uint32_t i = 0; i < p->u->n_out; i++)
        if (plan_out(p, i) != NO_TENSOR && p->us->uses[plan_out(p, i)]) plan_write(p, &k, plan_out(p, i), width);
    if (kind == KERNEL_RESIZE) resize_turns(p, &k, out);
    if (kind == KERNEL_POOL || kind == KERNEL_RESIZE) keep_layout(p, out);
    plan_emit(p, &k, STEP_MAIN, OP_KIND_COUNT);
    p->v[out].born = p->clock;
}

static void copy_out(planner *p, uint32_t out, double width)
{
    double n = elements(p, out);
    kernel k = plan_kernel_rows(p, KERNEL_COPY, n, 1, 0);
    plan_read_bytes(p, &k, n * p->v[plan_in(p, 0)].width, p->v[plan_in(p, 0)].born);
    plan_write(p, &k, out, width);
    k.indexed = p->opt.legacy;
    plan_emit(p, &k, STEP_COPY, OP_KIND_COUNT);
    p->v[out].born = p->clock;
    plan_mirror(p, out, k.read_bytes + k.write_bytes);
}

/* Eager frameworks make views; compilers and engines that fuse read through them in the kernel that follows. */
static bool views_are_free(const planner *p)
{
    return p->rt->strided_views || p->rt->fuse_pointwise;
}

static void lower_slices(planner *p, uint32_t x)
{
    for (uint32_t i = 0; i < p->u->n_out; i++) {
        uint32_t out = plan_out(p, i);
        if (out == NO_TENSOR) continue;
        if (views_are_free(p)) {
            view_slice(p, x, out);
            p->out->views += p->u->trips;
        } else if (p->us->uses[out]) {
            copy_out(p, out, p->v[x].width);
        }
    }
}

void lower_view(planner *p)
{
    uint32_t x = plan_in(p, 0), out = plan_out(p, 0);
    if (x == NO_TENSOR || out == NO_TENSOR) return;
    work_class w = unit_work(p->u);
    if (p->train &&
        p->u->kind == OP_Dropout) { /* which runs in training alone, and writes a byte of mask for each element */
        double n = elements(p, out);
        kernel k = plan_kernel_rows(p, KERNEL_ELEMENTWISE, n, 1, 12 * n);
        plan_read(p, &k, x);
        plan_write(p, &k, out, p->v[x].width);
        k.write_bytes += n;
        keep_layout(p, out);
        plan_emit(p, &k, STEP_MAIN, OP_KIND_COUNT);
        p->v[out].born = p->clock;
        p->train->trace[p->ui].kept += n;
        return;
    }
    if (w == WORK_SLICE) {
        lower_slices(p, x);
        return;
    }
    if (w == WORK_VIEW) {
        p->out->views += p->rt->strided_views && p->u->kind != OP_Identity ? p->u->trips : 0; /* which calls nothing */
        bool reshapes = p->u->kind == OP_Reshape || p->u->kind == OP_Flatten;
        if (!reshapes) {
            view_same(p, x, out);
        } else if (!view_reshape(p, x, out)) {
            if (p->rt->fuse_pointwise) view_same(p, x, out); /* the copy is fused with whatever is around it */
            else copy_out(p, out, p->v[x].width);
            p->v[out].strided = false;
        }
        return;
    }
    if (w == WORK_TRANSPOSE && p->g->ops[p->u->op].flags & OPF_RELABEL) {
        view_same(p, x, out);
        p->v[out].strided = false;
        if (p->opt.channels_last && p->rt->strided_views) view_set_channels_last(p, out);
        return;
    }
    if (views_are_free(p)) {
        p->out->views += p->rt->strided_views ? p->u->trips : 0;
        if (w == WORK_TRANSPOSE) view_transpose(p, x, out);
        else view_expand(p, x, out);
        return;
    }
    copy_out(p, out, p->v[x].width);
}

void lower_copy(planner *p)
{
    uint32_t out = plan_out(p, 0);
    if (out == NO_TENSOR) return;
    double width = result_width(p, p->u), n = elements(p, out);
    if (p->u->kind == OP_Pad && p->u->n_in && elements(p, plan_in(p, 0)) == n) { /* pads by nothing: not called */
        view_same(p, plan_in(p, 0), out);
        return;
    }
    kernel k = plan_kernel_rows(p, KERNEL_COPY, n, 1, n * op_flops_per_element((op_kind)p->u->kind));
    if (unit_work(p->u) == WORK_COPY)
        for (uint32_t i = 0; i < p->u->n_in; i++) plan_read(p, &k, plan_in(p, i));
    plan_write(p, &k, out, width);
    keep_layout(p, out);
    plan_emit(p, &k, STEP_MAIN, OP_KIND_COUNT);
    p->v[out].born = p->clock;
}

/* A gather by a constant scalar index is a view (x[:, 0]) where views are free. */
static bool is_select(const planner *p)
{
    if (p->u->kind != OP_Gather || !views_are_free(p)) return false;
    uint32_t x = plan_in(p, 0), index = plan_in(p, 1);
    return x != NO_TENSOR && index != NO_TENSOR && p->g->tensors[x].role != ROLE_WEIGHT && p->us->constant[index] &&
           plan_shape(p, index)->rank == 0;
}

void lower_gather(planner *p)
{
    uint32_t x = plan_in(p, 0), out = plan_out(p, 0);
    if (x == NO_TENSOR || out == NO_TENSOR) return;
    if (is_select(p)) {
        view_select(p, x, out, op_attr_int(p->g, &p->g->ops[p->u->op], ATTR_axis, 0));
        p->out->views += p->rt->strided_views ? p->u->trips : 0;
        return;
    }
    double n = elements(p, out), width = p->v[x].width;
    double rows = elements(p, plan_in(p, 1));
    bool scatter = unit_work(p->u) == WORK_SCATTER;
    bool slice = p->u->kind == OP_TensorScatter && p->u->n_in == 2; /* written where it is, x[a:b] = y */
    if (scatter && p->rt->strided_views &&
        (slice || (p->u->n_in > 2 && p->us->constant[plan_in(p, 1)]))) { /* or as exported, by positions */
        uint32_t part = plan_in(p, slice ? 1 : 2);
        view_same(p, x, out);
        kernel k = plan_kernel_rows(p, KERNEL_COPY, elements(p, part), 1, 0);
        plan_read(p, &k, part);
        k.write_bytes = elements(p, part) * width;
        plan_emit(p, &k, STEP_MAIN, OP_KIND_COUNT);
        p->v[out].born = p->clock;
        return;
    }
    kernel k = plan_kernel_rows(p, KERNEL_GATHER, rows > 0 ? rows : 1, rows > 0 ? n / rows : n, 0);
    if (scatter) {
        for (uint32_t i = 0; i < p->u->n_in; i++) plan_read(p, &k, plan_in(p, i));
    } else { /* only the rows that are asked for are read */
        plan_read_bytes(p, &k, n * width, p->v[x].born);
        plan_read(p, &k, plan_in(p, 1));
    }
    plan_write(p, &k, out, plan_is_float(p, out) ? width : 8);
    /* index_select: a thread for each element, which works out two positions, in the result and through the index in the table */
    bool eager = p->rt->strided_views && !p->rt->fuse_pointwise;
    if (eager && !scatter) {
        k.indexed = true;
        k.shape.rows.cols *= 2;
    }
    plan_emit(p, &k, STEP_MAIN, OP_KIND_COUNT);
    p->v[out].born = p->clock;
}

/* ---- clusters ---- */

/* What a member walks over: its result, or for a reduction its input. */
static double space_elements(const planner *p, const unit *u)
{
    double n = u->n_out ? elements(p, unit_out(p->us, u)[0]) : 0;
    double in = u->n_in ? elements(p, unit_in(p->us, u)[0]) : 0;
    return unit_work(u) == WORK_REDUCE && in > n ? in : n;
}

static bool is_member(const planner *p, uint32_t c, uint32_t ui)
{
    return p->cluster_of[ui] == c + 1;
}

/* Counts, for what the units from the cluster's first to its last make, the uses by members, directly or through views that only
 * members read. From the last to the first: whoever reads a view comes behind it. */
static void count_inside(planner *p, uint32_t c)
{
    const cluster *cl = &p->clusters[c];
    for (uint32_t i = cl->first; i <= cl->last; i++)
        for (uint32_t k = 0; k < p->us->u[i].n_out; k++)
            if (unit_out(p->us, &p->us->u[i])[k] != NO_TENSOR) p->inside[unit_out(p->us, &p->us->u[i])[k]] = 0;
    for (uint32_t i = cl->last + 1; i-- > cl->first;) {
        const unit *u = &p->us->u[i];
        bool counts = is_member(p, c, i);
        if (!counts && unit_work(u) == WORK_VIEW && u->n_out == 1) {
            uint32_t out = unit_out(p->us, u)[0];
            counts = out != NO_TENSOR && p->inside[out] == p->us->uses[out];
        }
        for (uint32_t k = 0; counts && k < u->n_in; k++)
            if (unit_in(p->us, u)[k] != NO_TENSOR) p->inside[unit_in(p->us, u)[k]]++;
    }
}

/* Adds a cluster's outside reads and writes and its arithmetic to k; `skip`: the anchor, which accounts for its own inputs. */
static void cluster_traffic(planner *p, uint32_t c, kernel *k, uint32_t skip, op_kind *tail)
{
    const cluster *cl = &p->clusters[c];
    const unit *saved = p->u;
    *tail = OP_KIND_COUNT;
    count_inside(p, c);
    for (uint32_t i = cl->first; i <= cl->last; i++) {
        if (!is_member(p, c, i)) {
            const unit *view = &p->us->u[i];
            if (unit_work(view) == WORK_VIEW && view->n_in && p->v[unit_in(p->us, view)[0]].virtual)
                view_same(p, unit_in(p->us, view)[0], unit_out(p->us, view)[0]);
            continue;
        }
        const unit *u = p->u = &p->us->u[i];
        if (i != skip) {
            for (uint32_t n = 0; n < u->n_in; n++)
                if (plan_in(p, n) != NO_TENSOR && !p->v[plan_in(p, n)].virtual) plan_read(p, k, plan_in(p, n));
            double size = space_elements(p, u);
            k->flops += size * op_flops_per_element((op_kind)u->kind);
            if (unit_work(u) == WORK_ELEMENTWISE) *tail = (op_kind)u->kind;
        }
        double width = i == skip ? (p->opt.autocast ? 2 : plan_width(p, plan_out(p, 0))) : result_width(p, u);
        for (uint32_t n = 0; n < u->n_out; n++) {
            uint32_t t = plan_out(p, n);
            if (t == NO_TENSOR) continue;
            if (p->halved[t] && width > 2) width = 2; /* the cast for what reads it is fused, too */
            p->v[t].width = plan_is_float(p, t) ? width : p->v[t].width;
            bool hidden = p->inside[t] == p->us->uses[t];
            p->v[t].virtual = true; /* members read it from registers */
            if (!hidden) plan_write(p, k, t, width);
        }
    }
    p->u = saved;
}

/* After a cluster ran: what left it is memory again. */
static void cluster_done(planner *p, uint32_t c)
{
    const cluster *cl = &p->clusters[c];
    for (uint32_t i = cl->first; i <= cl->last; i++) {
        if (!is_member(p, c, i)) continue;
        const unit *u = &p->us->u[i];
        for (uint32_t n = 0; n < u->n_out; n++) {
            uint32_t t = unit_out(p->us, u)[n];
            if (t == NO_TENSOR) continue;
            if (p->inside[t] == p->us->uses[t]) continue;
            p->v[t].virtual = false;
            p->v[t].born = p->clock;
        }
    }
}

/* A fused kernel is of the kind of its most demanding member: a normalisation before a softmax before a sum. */
static kernel_kind cluster_kind(planner *p, uint32_t c, double *span)
{
    const cluster *cl = &p->clusters[c];
    kernel_kind kind = KERNEL_ELEMENTWISE;
    for (uint32_t i = cl->first; cl->has_norm && i <= cl->last; i++) {
        const unit *u = p->u = &p->us->u[i];
        work_class w = unit_work(u);
        bool norm = w == WORK_NORM, softmax = w == WORK_SOFTMAX, sum = w == WORK_REDUCE;
        if (!is_member(p, c, i) || (!norm && !softmax && !sum) || plan_in(p, 0) == NO_TENSOR) continue;
        bool stronger = kind == KERNEL_ELEMENTWISE || norm || (softmax && kind == KERNEL_REDUCE);
        if (!stronger) continue;
        kind = norm ? KERNEL_NORM : softmax ? KERNEL_SOFTMAX : KERNEL_REDUCE;
        *span = norm_span(p, plan_in(p, 0));
    }
    return kind;
}

/* Inductor keeps rows up to this length in registers, several to a block: a pass over the data, nothing more. */
enum { INDUCTOR_ROW = 4096 };

/* Batch normalisation's sums over the batch come before whatever applies them. */
static void cluster_statistics(planner *p, uint32_t c)
{
    for (uint32_t i = p->clusters[c].first; p->train && i <= p->clusters[c].last; i++) {
        p->u = &p->us->u[i];
        if (!is_member(p, c, i) || unit_work(p->u) != WORK_BATCHNORM) continue;
        if (plan_in(p, 0) != NO_TENSOR && !p->v[plan_in(p, 0)].virtual) train_statistics(p, plan_in(p, 0), false);
    }
}

void lower_cluster(planner *p, uint32_t c)
{
    const cluster *cl = &p->clusters[c];
    op_kind tail;
    double n = cl->elements > 0 ? cl->elements : 0, span = 1;
    kernel_kind kind = cluster_kind(p, c, &span);
    if (!(span >= 1)) span = 1; /* rows of no length, or of one that isn't known */
    cluster_statistics(p, c);
    if (p->rt->strided_views && kind != KERNEL_ELEMENTWISE && span <= INDUCTOR_ROW) kind = KERNEL_ELEMENTWISE;
    p->u = &p->us->u[cl->last];
    kernel k = plan_kernel_rows(p, kind, n / span, span, 0);
    cluster_traffic(p, c, &k, UINT32_MAX, &tail);
    plan_emit(p, &k, STEP_MAIN, OP_KIND_COUNT);
    cluster_done(p, c);
}

void plan_result(planner *p, kernel *k, uint32_t out, double width)
{
    uint32_t c = p->cluster_of[p->ui];
    if (!c) {
        plan_write(p, k, out, width);
        plan_emit(p, k, STEP_MAIN, OP_KIND_COUNT);
        p->v[out].born = p->clock;
        return;
    }
    op_kind tail;
    cluster_traffic(p, c - 1, k, p->ui, &tail);
    plan_emit(p, k, STEP_MAIN, tail);
    cluster_done(p, c - 1);
}
