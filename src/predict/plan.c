#include "predict/planner.h"

/* Values older than this many bytes can't be in any L2 there is. */
#define HOT_MAX 3e8

const tensor_shape *plan_shape(const planner *p, uint32_t t)
{
    return &p->s->t[t];
}

static dtype dtype_of(const planner *p, uint32_t t)
{
    dtype d = (dtype)p->s->t[t].dtype;
    return d == DT_UNKNOWN ? (dtype)p->g->tensors[t].dtype : d;
}

bool plan_is_float(const planner *p, uint32_t t)
{
    dtype d = dtype_of(p, t);
    return d == DT_UNKNOWN || dtype_get(d)->floating;
}

static double math_width(const plan_options *opt)
{
    switch (opt->math) {
    case PREC_FP16:
    case PREC_BF16: return 2;
    case PREC_FP8:
    case PREC_INT8: return 1;
    case PREC_FP4: return 0.5625; /* with an 8-bit scale for 16 values */
    case PREC_INT4: return 0.5;
    default: return 4;
    }
}

double plan_width(const planner *p, uint32_t t)
{
    if (!plan_is_float(p, t)) return dtype_bytes(dtype_of(p, t));
    bool weight = p->g->tensors[t].role == ROLE_WEIGHT;
    double w = math_width(&p->opt);
    if (p->opt.autocast) return weight || p->g->tensors[t].role == ROLE_INPUT ? 4 : 2;
    if (w >= 2) return w;
    if (weight) return p->s->t[t].rank >= 2 ? w : 4; /* scales, biases and normalisations stay wide */
    return p->rt->quantized_io && w == 1 && !(p->ends && p->ends[t]) ? 1 : 2;
}

double plan_channels(const planner *p, uint32_t t)
{
    const tensor_shape *ts = plan_shape(p, t);
    int axis = p->g->ops[p->u->op].flags & OPF_CHANNELS_LAST ? ts->rank - 1 : 1;
    if (ts->rank < 2 || !num_known(ts->dims[axis]) || ts->dims[axis].v.i < 1) return 1;
    return (double)ts->dims[axis].v.i;
}

static void value_init(planner *p, uint32_t t)
{
    value *v = &p->v[t];
    *v = (value){.elements = shape_elements(plan_shape(p, t)), .width = plan_width(p, t), .born = -1, .base = t};
    v->stored = v->elements < 0 ? 0 : v->elements;
    const tensor *x = &p->g->tensors[t];
    unsigned bits = dtype_get((dtype)x->dtype)->bits;
    if (x->role == ROLE_WEIGHT && bits && bits < 16 && v->elements > 1 && x->weight_bytes > 0 &&
        x->weight_bytes < v->elements * v->width) /* scales and zero points counted */
        v->width = x->weight_bytes / v->elements;
    const tensor_shape *ts = plan_shape(p, t);
    if (p->opt.channels_last && p->g->tensors[t].role == ROLE_INPUT && ts->rank == 4 && p->rt->strided_views) {
        int64_t c = ts->dims[1].v.i, h = ts->dims[2].v.i, w = ts->dims[3].v.i;
        int64_t s[4] = {stride_mul(stride_mul(c, h), w), 1, stride_mul(w, c), c};
        memcpy(v->stride, s, sizeof s);
        v->strided = true;
    }
}

void plan_read_bytes(planner *p, kernel *k, double bytes, double born)
{
    if (!(bytes > 0)) return;
    k->read_bytes += bytes;
    double distance = p->clock - born;
    if (born < 0 || distance > HOT_MAX) return;
    k->hot_distance = (k->hot_distance * k->hot_bytes + distance * bytes) / (k->hot_bytes + bytes);
    k->hot_bytes += bytes;
}

void plan_read(planner *p, kernel *k, uint32_t t)
{
    if (t == NO_TENSOR) return;
    const value *v = &p->v[t];
    double bytes = value_bytes(v);
    if (p->g->tensors[t].role == ROLE_WEIGHT) k->weight_bytes += bytes;
    else plan_read_bytes(p, k, bytes, v->born);
}

void plan_write(planner *p, kernel *k, uint32_t t, double width)
{
    if (t == NO_TENSOR) return;
    value *v = &p->v[t];
    v->width = plan_is_float(p, t) ? width : dtype_bytes(dtype_of(p, t));
    if (p->ends && p->ends[t] && v->width < 2 && plan_is_float(p, t)) v->width = 2;
    v->base = t;
    v->strided = false;
    v->stored = v->elements < 0 ? 0 : v->elements;
    k->write_bytes += value_bytes(v);
    v->born =
        p->clock; /* moved to the end of the kernel by plan_emit's clock: the distance then starts behind its own traffic */
}

static uint64_t hash_kernel(const kernel *k)
{
    return str_hash((str){(const char *)k, sizeof *k});
}

/* Distances rounded down to a quarter of their octave, so that like kernels at like distances are one: the exponent and the first
 * two bits of the mantissa stay. */
static double quantise(double x)
{
    uint64_t bits;
    if (!(x > 0) || !isfinite(x)) return x;
    memcpy(&bits, &x, sizeof bits);
    bits &= ~(((uint64_t)1 << 50) - 1);
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint32_t kernel_index(planner *p, const kernel *k)
{
    kernel_plan *out = p->out;
    if ((out->n_kernels + 1) * 2 > p->hash_cap) {
        uint32_t cap = p->hash_cap ? p->hash_cap * 2 : 256;
        uint32_t *hash = ARENA_ARRAY(p->a, uint32_t, cap);
        plan_kernel *grown = arena_grow(p->a, out->kernels, p->cap_kernels, cap / 2, sizeof *grown);
        if (!hash || !grown) {
            p->failed = true;
            return 0;
        }
        for (uint32_t i = 0; i < out->n_kernels; i++) {
            uint64_t h = hash_kernel(&grown[i].k);
            while (hash[h & (cap - 1)]) h++;
            hash[h & (cap - 1)] = i + 1;
        }
        p->hash = hash;
        p->hash_cap = cap;
        out->kernels = grown;
        p->cap_kernels = cap / 2;
    }
    uint64_t h = hash_kernel(k);
    for (;; h++) {
        uint32_t slot = p->hash[h & (p->hash_cap - 1)];
        if (!slot) break;
        if (!memcmp(&out->kernels[slot - 1].k, k, sizeof *k)) return slot - 1;
    }
    p->hash[h & (p->hash_cap - 1)] = out->n_kernels + 1;
    out->kernels[out->n_kernels] = (plan_kernel){.count = 0};
    memcpy(&out->kernels[out->n_kernels].k, k, sizeof *k); /* with its padding: kernels are compared as bytes */
    return out->n_kernels++;
}

static issue_class issue_of(const kernel *k, step_role role)
{
    if (role == STEP_NORM) return ISSUE_NORM;
    switch (k->kind) {
    case KERNEL_CONV:
    case KERNEL_DEPTHWISE: return ISSUE_CONV;
    case KERNEL_NORM: return ISSUE_NORM;
    case KERNEL_GEMM: return k->weight_bytes > 0 ? ISSUE_GEMM : ISSUE_BMM;
    case KERNEL_SOFTMAX: return ISSUE_SOFTMAX;
    case KERNEL_ELEMENTWISE:
    case KERNEL_COPY:
    case KERNEL_GATHER:
    case KERNEL_REDUCE: return ISSUE_POINTWISE;
    default: return ISSUE_CLASSES;
    }
}

void plan_again(planner *p, kernel *k, const plan_step *like, step_role role)
{
    kernel_plan *out = p->out;
    double traffic = k->read_bytes + k->weight_bytes + k->write_bytes;
    k->hot_distance = quantise(k->hot_distance +
                               traffic * 0.5); /* half of its own traffic passes before the average byte */
    uint32_t index = kernel_index(p, k);
    if (out->n_steps == p->cap_steps) {
        uint32_t cap = p->cap_steps ? p->cap_steps * 2 : p->us->n + 256;
        plan_step *steps = arena_grow(p->a, out->steps, p->cap_steps, cap, sizeof *steps);
        if (!steps) p->failed = true;
        else {
            out->steps = steps;
            p->cap_steps = cap;
        }
    }
    if (p->failed) return;
    double trips = p->once ? 1 : like->trips;
    plan_step *step = &out->steps[out->n_steps++];
    *step = *like;
    step->trips = trips;
    step->kernel = index;
    step->role = (uint16_t)role;
    out->kernels[index].count += trips;
    out->flops += k->flops * trips;
    p->clock += traffic;
    if (p->train && p->train->silent) p->train->silent = false;
    else if (role == STEP_OPTIMIZER) out->launches_optimizer += trips;
    else if (role >= STEP_LOSS_BACKWARD && role != STEP_RECOMPUTE) {
        out->launches_backward += trips;
        if (role == STEP_SUM) out->launches_sums += trips;
    } else {
        issue_class c = issue_of(k, role);
        bool looped = trips > 1 && !p->train;
        out->launches += trips;
        if (c < ISSUE_CLASSES) out->issued[c] += trips;
        if (looped) out->launches_looped += trips;
        if (looped && c < ISSUE_CLASSES) out->issued_looped[c] += trips;
        if (looped) out->kernels[index].looped += trips;
    }
    if (role >= STEP_LOSS_BACKWARD && role < STEP_OPTIMIZER) out->kernels[index].backward += trips;
}

void plan_emit(planner *p, kernel *k, step_role role, op_kind tail)
{
    bool loss = role == STEP_LOSS || role == STEP_LOSS_BACKWARD;
    if (role == STEP_MAIN) parallel_kernel(p, k);
    plan_step like = {.unit = p->at,
                      .op = loss ? NO_TENSOR : p->u->op,
                      .count_ops = role == STEP_MAIN ? p->u->n_ops : 0,
                      .kind = p->u->kind,
                      .tail = (uint16_t)tail,
                      .trips = loss ? 1 : p->u->trips};
    plan_again(p, k, &like, role);
    if (p->train && role == STEP_MAIN && !p->train->backward) p->train->trace[p->ui].step = p->out->n_steps;
}

kernel plan_kernel_rows(const planner *p, kernel_kind kind, double rows, double cols, double flops)
{
    kernel k;
    (void)p;
    memset(&k, 0, sizeof k);
    k.kind = kind;
    k.math = PREC_FP32;
    k.flops = flops;
    k.shape.rows.rows = rows > 0 ? rows : 1;
    k.shape.rows.cols = cols > 0 ? cols : 1;
    return k;
}

void plan_mirror(planner *p, uint32_t t, double bytes)
{
    if (!p->train || !p->train->needs[t]) return;
    unit_trace *trace = &p->train->trace[p->ui];
    trace->mirror += bytes;
    trace->mirrors++;
}

/* A cast or a contiguous copy of an activation is the reader's own: others read the value as it was. */
static void lend(planner *p, uint32_t t)
{
    for (uint32_t i = 0; i < p->n_lent; i++)
        if (p->lent[i].t == t) return;
    if (p->n_lent == LENT || p->g->tensors[t].role == ROLE_WEIGHT) return;
    p->lent[p->n_lent].t = t;
    p->lent[p->n_lent++].v = p->v[t];
}

/* Training: of an operand that the unit read through a copy of its own, autograd keeps the copy and not the original. Casts are
 * seen by it, and the copies that products make; what convolutions and normalisations make contiguous they make inside. */
static bool keep_copy(planner *p, uint32_t t, const value *was, double bytes)
{
    work_class w = unit_work(p->u);
    bool inside = w == WORK_CONV || w == WORK_NORM || w == WORK_BATCHNORM;
    uint32_t keeps = backward_keeps(p, p->u), copied = 0;
    if (inside && p->v[t].width == was->width) return false;
    for (uint32_t i = 0; i < p->u->n_in && i < KEPT_INPUTS; i++)
        if (unit_in(p->us, p->u)[i] == t) copied |= keeps & 1u << i;
    if (!copied) return false;
    p->train->trace[p->ui].copied |= copied;
    p->train->trace[p->ui].kept += bytes;
    return true;
}

static void take_back(planner *p)
{
    while (p->n_lent) {
        p->n_lent--;
        uint32_t t = p->lent[p->n_lent].t;
        const value *was = &p->lent[p->n_lent].v, *is = &p->v[t];
        if (is->width != was->width || is->strided != was->strided) {
            double bytes = (is->strided ? is->stored : is->elements) * is->width / is->shards;
            if (!p->train || !keep_copy(p, t, was, bytes)) p->beside[p->ui] += bytes;
        }
        p->v[t] = *was;
    }
}

void plan_cast(planner *p, uint32_t t, double width)
{
    if (t == NO_TENSOR || !plan_is_float(p, t)) return;
    value *v = &p->v[t];
    bool weight = p->g->tensors[t].role == ROLE_WEIGHT;
    if (v->width == width || v->elements <= 1 || (weight && v->cast)) {
        if (weight && v->cast) v->width = width;
        return;
    }
    if (!p->opt.autocast && (weight || !p->rt->strided_views)) { /* stored as they are needed, once */
        if (weight) v->width = width < v->width ? width : v->width;
        return;
    }
    lend(p, t);
    if (weight || !p->rt->fuse_pointwise) { /* compilers cast activations inside the kernel that makes them */
        kernel k = plan_kernel_rows(p, KERNEL_COPY, v->stored / v->shards, 1, v->stored / v->shards);
        plan_read(p, &k, t);
        k.write_bytes = v->stored * width / v->shards;
        p->once = weight; /* autocast keeps the copies of weights until the step ends */
        plan_emit(p, &k, STEP_CAST, OP_KIND_COUNT);
        p->once = false;
        v->born = p->clock;
        if (!weight) plan_mirror(p, t, k.read_bytes + k.write_bytes);
    }
    v->width = width;
    v->cast = true;
}

void plan_contiguous(planner *p, uint32_t t)
{
    if (t == NO_TENSOR || !p->v[t].strided) return;
    value *v = &p->v[t];
    lend(p, t);
    if (!p->rt->fuse_pointwise) {
        kernel k = plan_kernel_rows(p, KERNEL_COPY, v->elements / v->shards, 1, v->elements / v->shards);
        plan_read(p, &k, t);
        k.write_bytes = v->elements * v->width / v->shards;
        k.indexed = p->opt.legacy;
        plan_emit(p, &k, STEP_COPY, OP_KIND_COUNT);
        v->born = p->clock;
        plan_mirror(p, t, k.read_bytes + k.write_bytes);
    }
    v->strided = false;
}

/* A copy of t in another layout, whose strides don't matter to anyone else. */
void plan_relayout(planner *p, uint32_t t)
{
    value *v = &p->v[t];
    kernel k = plan_kernel_rows(p, KERNEL_COPY, v->elements, 1, v->elements);
    plan_read(p, &k, t);
    k.write_bytes = v->elements * v->width;
    plan_emit(p, &k, STEP_COPY, OP_KIND_COUNT);
    v->born = p->clock;
    plan_mirror(p, t, k.read_bytes + k.write_bytes);
}

bool plan_is_join(const planner *p, const unit *u)
{
    uint32_t computed = 0;
    if (u->kind != OP_Add && u->kind != OP_Sum && u->kind != OP_Concat) return false;
    for (uint32_t k = 0; k < u->n_in; k++) {
        uint32_t in = unit_in(p->us, u)[k];
        computed += in != NO_TENSOR && !p->us->constant[in] && (!p->train || p->train->needs[in]);
    }
    return computed >= 2;
}

/* ---- the walk ---- */

/* Suppression of boxes goes through those that stay, best first, whatever runs it: a thread block for each image, whose threads wait for
 * each box before they compare their own with it. */
static void choose_boxes(planner *p, double images, double most)
{
    enum { THREADS = 512 };
    kernel k = plan_kernel_rows(p, KERNEL_OTHER, images * most, 1, 0);
    k.serial_turns = most;
    k.serial_threads = images * THREADS;
    plan_emit(p, &k, STEP_MAIN, OP_KIND_COUNT);
}

/* Frameworks without an operator for it go through the images, and some through the classes, with boxes that are counted on the host:
 * it has waited for the network by then, and the GPU waits for it from call to call. */
static void lower_sort(planner *p)
{
    lower_rows(p, KERNEL_SORT);
    uint32_t out = p->u->n_out ? plan_out(p, 0) : NO_TENSOR;
    if (p->train || out == NO_TENSOR || p->u->op == NO_TENSOR) return;
    const op *o = &p->g->ops[p->u->op];
    const tensor_shape *shape = plan_shape(p, out);
    bool batched = p->u->kind == OP_BatchedNMS_TRT || p->u->kind == OP_BatchedNMSDynamic_TRT;
    if ((p->u->kind != OP_EfficientNMS_TRT && !batched) || shape->rank < 1 || shape->dims[0].v.i < 1) return;
    double images = (double)shape->dims[0].v.i,
           most = (double)op_attr_int(p->g, o, batched ? ATTR_keepTopK : ATTR_max_output_boxes, 0),
           calls = (double)op_attr_int(p->g, o, ATTR_calls_per_image, 0);
    if (most > 0) choose_boxes(p, images, most);
    if (calls > 0 && p->rt->spelled_suppression) p->out->waited += calls * images * p->u->trips;
}

static void lower_unit(planner *p)
{
    if (p->u->n_in && unit_in(p->us, p->u)[0] == NO_TENSOR)
        return; /* works on nothing: not a unit that anything runs */
    switch (unit_work(p->u)) {
    case WORK_VIEW:
    case WORK_TRANSPOSE:
    case WORK_SLICE:
    case WORK_EXPAND: lower_view(p); break;
    case WORK_GEMM: lower_gemm(p); break;
    case WORK_EINSUM: lower_einsum(p); break;
    case WORK_CONV: lower_conv(p); break;
    case WORK_ATTENTION: lower_attention(p); break;
    case WORK_RECURRENT: lower_recurrent(p); break;
    case WORK_ELEMENTWISE:
    case WORK_CAST:
    case WORK_BATCHNORM: lower_pointwise(p); break;
    case WORK_QUANTIZE: lower_pointwise(p); break;
    case WORK_NORM: lower_norm(p); break;
    case WORK_SOFTMAX: lower_softmax(p); break;
    case WORK_POOL:
        lower_rows(p, KERNEL_POOL);
        if (p->train && p->u->kind == OP_MaxPool && plan_out(p, 0) != NO_TENSOR) /* where each maximum was: 8 bytes */
            p->train->trace[p->ui].kept += 8 * p->v[plan_out(p, 0)].elements;
        break;
    case WORK_REDUCE: lower_rows(p, KERNEL_REDUCE); break;
    case WORK_SCAN_OP: lower_rows(p, KERNEL_NORM); break;
    case WORK_RESIZE: lower_rows(p, KERNEL_RESIZE); break;
    case WORK_SORT: lower_sort(p); break;
    case WORK_GATHER:
    case WORK_SCATTER: lower_gather(p); break;
    case WORK_COPY:
    case WORK_FILL: lower_copy(p); break;
    case WORK_COMM: lower_collective(p); break;
    case WORK_EXPERTS: lower_experts(p); break;
    case WORK_STATE: lower_state(p); break;
    case WORK_FREE:
    case WORK_CONTROL: break;
    default: lower_rows(p, KERNEL_OTHER); break;
    }
}

static void lower_whole(planner *p)
{
    lower_unit(p);
    take_back(p);
}

static void count_unknown(planner *p)
{
    bool bad = p->u->kind == OP_Unknown;
    for (uint32_t i = 0; i < p->u->n_out; i++) {
        uint32_t t = unit_out(p->us, p->u)[i];
        if (t != NO_TENSOR && p->us->uses[t] && shape_elements(plan_shape(p, t)) < 0) bad = true;
    }
    work_class w = unit_work(p->u);
    bool product = w == WORK_GEMM || w == WORK_CONV || w == WORK_EINSUM || w == WORK_ATTENTION || w == WORK_RECURRENT ||
                   w == WORK_EXPERTS;
    p->unknown += bad;
    p->products += product;
    p->unknown_products += product && bad;
}

bool plan_is_index(const planner *p, uint32_t t)
{
    return p->us->constant[t] && !plan_is_float(p, t);
}

static bool is_index_arithmetic(const planner *p)
{
    uint32_t out = plan_out(p, 0);
    return p->rt->strided_views && out != NO_TENSOR && plan_is_index(p, out);
}

static void walk(planner *p)
{
    for (p->ui = 0; p->ui < p->us->n && !p->failed; p->ui++) {
        p->u = &p->us->u[p->ui];
        p->at = p->ui;
        count_unknown(p);
        if (p->train) p->train->trace[p->ui].first = p->out->n_steps;
        if (p->rt->fold_constants && (p->u->flags & UNIT_CONSTANT)) continue;
        if (is_index_arithmetic(p)) continue;
        uint32_t c = p->cluster_of[p->ui];
        if (!c && p->train && p->train->idle[p->ui]) continue;
        if (!c) {
            lower_whole(p);
            parallel_after(p, p->ui);
        } else if (p->clusters[c - 1].last == p->ui) {
            if (p->clusters[c - 1].anchor == UINT32_MAX) {
                lower_cluster(p, c - 1);
            } else {
                uint32_t at = p->ui;
                p->ui = p->clusters[c - 1].anchor;
                p->u = &p->us->u[p->ui];
                lower_whole(p);
                parallel_after(p, p->ui);
                p->ui = at;
            }
        }
    }
}

/* An operator in a loop finds what it read and wrote the last time, except for weights where the loop goes through copies. */
static void lone_distances(kernel *k, const runtime_profile *rt, double footprint)
{
    k->hot_bytes = k->read_bytes;
    k->hot_distance = k->write_distance = footprint;
    k->turns = rt->lone_turns;
    k->copies = rt->lone_copies;
    k->quiet = rt->lone_quiet && k->kind == KERNEL_GEMM && !k->grouped && k->choice != PRODUCT_BLOCK_SCALED &&
               k->math != PREC_FP4;
    if (k->grouped) { /* benchmarks of experts have one set of weights */
        k->weight_distance = footprint;
        return;
    }
    if (rt->lone_copies > 0) k->weight_distance = rt->lone_copies * k->weight_bytes;
    k->weight_rotated = rt->lone_fill;
}

pg_code plan_build(kernel_plan *out, const units *us, const runtime_profile *runtime, const plan_options *opt, arena *a,
                   pg_error *e)
{
    memset(out, 0, sizeof *out);
    out->g = us->g;
    out->runtime = runtime;
    out->opt = *opt;
    out->lone = opt->lone;
    planner p = {.us = us, .g = us->g, .s = us->s, .rt = runtime, .opt = *opt, .a = a, .out = out};
    p.v = ARENA_ARRAY(a, value, us->g->n_tensors);
    p.maker = ARENA_ARRAY(a, uint32_t, us->g->n_tensors);
    p.inside = ARENA_ARRAY(a, uint32_t, us->g->n_tensors);
    p.halved = ARENA_ARRAY(a, uint8_t, us->g->n_tensors);
    p.cluster_of = ARENA_ARRAY(a, uint32_t, us->n);
    p.clusters = ARENA_ARRAY(a, cluster, us->n);
    p.beside = ARENA_ARRAY(a, double, us->n + 1);
    if (!p.beside || !p.v || !p.maker || !p.inside || !p.halved || !p.cluster_of || !p.clusters)
        return error_nomem(e, a);
    if (runtime->quantized_io && !narrow_ends(&p)) return error_nomem(e, a);
    if (runtime->channels_last) p.opt.channels_last = !runtime->strided_views || convs_want_channels_last(&p);
    for (uint32_t t = 0; t < us->g->n_tensors; t++) value_init(&p, t);
    for (uint32_t i = 0; i < us->n; i++)
        for (uint32_t k = 0; k < us->u[i].n_out; k++) {
            uint32_t t = unit_out(us, &us->u[i])[k];
            if (t != NO_TENSOR) p.maker[t] = i + 1;
        }
    pg_code code = parallel_units(&p, e);
    if (code) return code;
    cluster_units(&p);
    if (runtime->fuse_pointwise && opt->autocast) cluster_halves(&p);
    if (opt->training && !train_begin(&p)) return error_nomem(e, a);
    walk(&p);
    if (p.failed) return error_nomem(e, a);
    out->divided = p.whole_flops > 0 ? p.divided_flops / p.whole_flops : 0;
    code = p.train ? train_finish(&p, e) : memory_peak(&p, e);
    if (!code) code = parallel_cuts(&p, e);
    if (code) return code;
    out->footprint = p.clock;
    for (uint32_t i = 0; i < out->n_kernels; i++) {
        out->kernels[i].k.weight_distance = p.clock;
        out->kernels[i].k.among = !opt->lone;
        /* results lie in memory that others lay in before: what all of them take together is written back only where L2 is less */
        if (!opt->training) out->kernels[i].k.write_distance = p.peak;
        if (opt->lone) lone_distances(&out->kernels[i].k, runtime, p.clock - p.again);
    }
    memory_weights(&p);
    out->memory.activations = p.peak * runtime->allocator_round;
    out->memory.workspace = runtime->workspace_mb * 1e6;
    out->unknown_share = us->n ? (double)p.unknown / us->n : 0;
    out->unknown_products = p.products ? (double)p.unknown_products / p.products : out->unknown_share;
    return PG_E_OK;
}
