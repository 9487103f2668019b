#include "predict/host.h"

static double clamp(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

/* A user's batch_scaling_curve: relative efficiency at batch 1, 2, 4, ... 128, interpolated between; the best of them is what the
 * model predicts. */
static double curve_share(const double *curve, double batch)
{
    double best = 0, at = batch > 1 ? log(batch) / 0.6931471805599453 : 0;
    if (curve[0] <= 0) return 1;
    for (int i = 0; i < BATCH_CURVE; i++)
        if (curve[i] > best) best = curve[i];
    at = clamp(at, 0, BATCH_CURVE - 1);
    int i = (int)at;
    if (i > BATCH_CURVE - 2) i = BATCH_CURVE - 2;
    return (curve[i] + (curve[i + 1] - curve[i]) * (at - i)) / best;
}

void predict_gpu_init(predict_gpu *g, const gpu_spec *spec, const cost_constants *c, const predict_options *opt)
{
    const gpu_performance *perf = &spec->performance[opt->family];
    gpu_spec s = *spec;
    g->spec = spec;
    g->clock_share = 1;
    g->family_speed = perf->architecture_multiplier > 0 ? perf->architecture_multiplier : 1;
    g->family_speed *= curve_share(perf->batch_scaling_curve, opt->batch);
    for (int p = 0; p < PREC_COUNT; p++)
        if (p != PREC_FP32 && perf->tensor_core_utilization > 0)
            s.tflops[p] *= clamp(perf->tensor_core_utilization, 0.01, 1);
    if (perf->memory_efficiency > 0)
        s.coalescing_efficiency = clamp(perf->memory_efficiency, 0.01, 1) *
                                  (spec->coalescing_efficiency > 0 ? spec->coalescing_efficiency : 1);
    if (spec->cache_hit_ratio > 0)
        s.l2_mb *= 2 * clamp(spec->cache_hit_ratio, 0.01, 1); /* 0.5: as the cache's size says */
    bool level = opt->level && !opt->fast_mode;
    g->compute_level = level ? opt->level->compute : 1;
    g->memory_level = level ? opt->level->memory : 1;
    for (int p = 0; p < PREC_COUNT; p++) s.tflops[p] *= g->compute_level;
    s.fp16_vector_tflops *= g->compute_level;
    s.bandwidth_gbs *= g->memory_level;
    cost_gpu_init(&g->cost, &s, c);
}

/* Attention of a few query positions over many keys is a kernel of its own. */
static bool is_decode(const kernel *k)
{
    return k->shape.attention.q_len <= 16 && k->shape.attention.kv_len > k->shape.attention.q_len;
}

static bool is_fp4(const kernel *k, const gpu_spec *s)
{
    return k->kind == KERNEL_GEMM && k->math == PREC_FP4 && !k->grouped && s->tflops[PREC_FP4] > 0;
}

static bool is_int8(const kernel *k, const gpu_spec *s)
{
    return k->kind == KERNEL_GEMM && k->math == PREC_INT8 && !k->grouped && s->tflops[PREC_INT8] > 0;
}

/* Kernels of a library of one's own for INT8: a tile walks over all of K, each element of which takes its clocks. */
static double int8_seconds(const kernel_cost *c, const kernel *k, const predict_gpu *g, const runtime_profile *rt,
                           bool lone)
{
    double walk = k->whole_k ? k->shape.gemm.k * rt->int8_k_clocks * g->cost.tick : 0;
    return (walk > c->seconds ? walk : c->seconds) + (lone ? rt->int8_us * 1e-6 : 0);
}

/* Kernels for FP4 compute at a speed of their own, stream as others do, and take longer to start: scales lie in an order of their own.
 * Alone, a tile walks over all of K, never split, and each element of it takes its clocks however little there is to do; engines choose
 * among kernels shape by shape, and the time per token of whole models shows nothing of it. */
static double fp4_seconds(const kernel_cost *c, const kernel *k, const predict_gpu *g, const runtime_profile *rt,
                          double speed, bool lone)
{
    double compute = speed > 0 ? c->compute_s / speed : c->compute_s,
           walk = lone ? k->shape.gemm.k * rt->fp4_k_clocks * g->cost.tick : 0;
    if (compute < walk) compute = walk;
    return (compute > c->seconds ? compute : c->seconds) + rt->fp4_us * 1e-6;
}

static double speed_of(const runtime_profile *rt, const kernel *k, bool training, bool lone, const predict_gpu *g)
{
    const gpu_spec *s = g->spec;
    if (lone && rt->lone_gemm_us > 0) return 1; /* the cost model was fitted on these kernels by themselves */
    if (k->scattered) return 1;                 /* fitted by itself */
    if (k->kind == KERNEL_OTHER && k->serial_turns > 0) return 1; /* waits for memory, whoever wrote it */
    switch (k->kind) {
    case KERNEL_CONV: return g->cost.tensor[k->math] ? rt->conv_speed : 1; /* those of the FP32 units are everybody's */
    case KERNEL_DEPTHWISE: return rt->depthwise_speed;
    case KERNEL_ATTENTION: return rt->decode_speed > 0 && is_decode(k) ? rt->decode_speed : rt->attention_speed;
    case KERNEL_GEMM:
        if (k->choice == PRODUCT_BLOCK_SCALED) return 1; /* all runtimes have the same kernels */
        if (k->grouped) return 1;                        /* in the kernel's own share */
        if (rt->fp8_speed > 0 && k->math == PREC_FP8 && s->tflops[PREC_FP8] > 0) return rt->fp8_speed;
        if (rt->fp4_speed > 0 && k->math == PREC_FP4 && s->tflops[PREC_FP4] > 0) return rt->fp4_speed;
        return rt->gemm_speed;
    case KERNEL_RECURRENT: return rt->gemm_speed;
    case KERNEL_GEMV:
    case KERNEL_SCAN:
    case KERNEL_COMM: return 1;
    default: return training ? rt->train_pointwise_speed : rt->pointwise_speed;
    }
}

/* The runtime's own constants here too. */
static kernel_cost experts_cost(const kernel *of, const runtime_profile *rt, const predict_gpu *g)
{
    kernel k = *of;
    bool newer = g->cost.async && g->spec->compute_capability >= rt->moe_since,
         fp4 = newer && k.math == PREC_FP4 && rt->moe_fp4_us > 0;
    /* kernels that widen packed weights are like the older ones */
    bool packed = k.kind == KERNEL_GEMM && k.math < PREC_FP8 &&
                  k.weight_bytes < 1.8 * k.shape.gemm.n * k.shape.gemm.k * k.shape.gemm.batch;
    k.grouped_share = newer && !packed ? rt->moe_new_share : rt->moe_share;
    k.grouped_setup = newer && !fp4 ? 1e-6 * rt->moe_tile_us : 0;
    /* of the older ones Hopper's for block scales are CUTLASS's, which skip what is not theirs */
    bool skips = newer || (g->cost.async && k.choice == PRODUCT_BLOCK_SCALED);
    if (rt->moe_all_pairs && !skips) k.write_bytes += k.idle_bytes;
    kernel_cost c = cost_kernel(&g->cost, &k);
    double sort_us = fp4 ? rt->moe_fp4_us : newer ? rt->moe_new_us : rt->moe_us;
    if (k.kind == KERNEL_SORT) c.seconds = 1e-6 * sort_us + c.memory_s;
    return c;
}

kernel_cost predict_kernel(const kernel_plan *p, uint32_t i, const predict_gpu *g, const predict_options *opt)
{
    kernel_cost c;
    if (p->kernels[i].k.kind == KERNEL_GEMV) { /* the runtime's own constants, which a fit may move under the plan */
        kernel k = p->kernels[i].k;
        k.pull = p->runtime->gemv_bytes;
        k.pull_share = k.weight_bytes > 0 ? p->runtime->gemv_share : 1;
        c = cost_kernel(&g->cost, &k);
    } else if (p->kernels[i].k.kind == KERNEL_SCAN) {
        kernel k = p->kernels[i].k;
        double since = p->runtime->fused_scan_since;
        k.fused = since > 0 && g->cost.async && g->spec->compute_capability >= since;
        c = cost_kernel(&g->cost, &k);
    } else if (p->kernels[i].k.grouped) {
        c = experts_cost(&p->kernels[i].k, p->runtime, g);
    } else {
        c = cost_kernel(&g->cost, &p->kernels[i].k);
    }
    if (p->kernels[i].k.kind == KERNEL_COMM) {
        if (opt->fast_mode) c.seconds = c.ideal_s;
    } else if (opt->fast_mode) {
        c.seconds = c.ideal_s;
        c.launches = 1;
    } else {
        double before = c.seconds / g->family_speed,
               speed = speed_of(p->runtime, &p->kernels[i].k, p->opt.training, p->lone, g) * g->family_speed;
        if (is_fp4(&p->kernels[i].k, g->spec))
            c.seconds = fp4_seconds(&c, &p->kernels[i].k, g, p->runtime, speed, p->lone);
        else if (speed > 0) c.seconds /= speed;
        if (is_int8(&p->kernels[i].k, g->spec)) c.seconds = int8_seconds(&c, &p->kernels[i].k, g, p->runtime, p->lone);
        /* Better kernels come nearer to the roofs, never above them (Winograd may: it needs fewer operations). */
        double roof = p->kernels[i].k.flops * g->compute_level / (g->cost.peak[p->kernels[i].k.math] * g->family_speed);
        if (p->kernels[i].k.kind == KERNEL_CONV && p->runtime->conv_peak > 0) roof /= p->runtime->conv_peak;
        double stream = c.dram_bytes * g->memory_level / (g->cost.dram_peak * g->family_speed);
        before *= clamp(g->compute_level > g->memory_level ? g->compute_level : g->memory_level, 1, 2);
        if (roof < stream) roof = stream;
        if (roof > before) roof = before;
        if (c.seconds < roof) c.seconds = roof;
        /* A lower sustained clock stretches what runs at the core's clock; DRAM keeps its own. */
        double core = c.compute_s < c.seconds ? c.compute_s : c.seconds;
        c.seconds += core * (1 / g->clock_share - 1);
    }
    if (!opt->fast_mode && !p->lone) c.seconds += 1e-6 * p->runtime->gap_us;
    if (opt->measured) c.seconds *= opt->measured->gpu;
    return c;
}

static interval_range interval_of(const kernel_plan *p, const step_prediction *s, const predict_constants *pc,
                                  const predict_options *opt)
{
    interval_range w = interval_width(&pc->interval, &s->parts, opt->basis);
    if (!p->lone) w = interval_scale(w, p->runtime->interval_factor);
    if (opt->interval > 0) {
        interval_parts host = {.host = 1};
        interval_range unsure = interval_width(&pc->interval, &host, BASIS_CALIBRATED);
        double share = opt->host_known ? 0 : s->parts.host; /* nobody told us the CPU */
        w = (interval_range){opt->interval, opt->interval};
        if (unsure.low > w.low) w.low += share * (unsure.low - w.low);
        if (unsure.high > w.high) w.high += share * (unsure.high - w.high);
    }
    if (opt->fast_mode) w = (interval_range){1, 1}; /* a roofline is a bound, not an estimate */
    double more = p->unknown_share * 2 + (opt->fast_mode ? 0 : s->parts.shared);
    w = (interval_range){w.low + more, w.high + more};
    if (!opt->measured) return w;
    if (opt->measured->doubtful) {
        double gpu = fabs(log(opt->measured->gpu)), host = fabs(log(opt->measured->host));
        double away = exp(gpu > host ? gpu : host);
        return (interval_range){(1 + w.low) * away - 1, (1 + w.high) * away - 1};
    }
    if (opt->measured->again) return (interval_range){pc->interval_again, pc->interval_again};
    double known = opt->measured->gpu_known + s->parts.host * (opt->measured->host_known - opt->measured->gpu_known);
    return interval_scale(w, 1 - known * (1 - (opt->strange ? pc->measured_interval_strange : pc->measured_interval)));
}

measured_scale predict_measured(const step_prediction *there, double seconds, const predict_constants *pc, bool again)
{
    if (again) return (measured_scale){seconds / there->seconds, seconds / there->seconds, 1, 1, true, false};
    /* The longer of the two clocks is what was measured. Near each other, both are taken to be in it by parts. */
    double gpu = there->host_s > there->gpu_s ? there->gpu_s : there->seconds, host = there->host_s;
    double ratio = seconds / there->seconds, eighth = gpu > 0 ? host / gpu : 0;
    eighth *= eighth;
    eighth *= eighth;
    eighth *= eighth;
    measured_scale m = {.gpu = 1, .host = 1, .gpu_known = 1 / (1 + eighth)};
    m.host_known = 1 - m.gpu_known;
    if (ratio >= 1) {
        m.gpu = pow(ratio, pc->measured_gpu_carry * m.gpu_known);
        m.host = pow(ratio, pc->measured_host_carry * m.host_known);
    } else { /* neither clock can have taken longer than the step */
        if (seconds < gpu) m.gpu = pow(seconds / gpu, pc->measured_gpu_carry);
        if (seconds < host) m.host = pow(seconds / host, pc->measured_host_carry);
    }
    return m;
}

/* The host matters from where it takes half of the step's time; for a lone operator it is as well known as the kernel. */
static void finish_parts(interval_parts *parts, const step_prediction *s, double gpu_s, const kernel_plan *p)
{
    for (int i = 0; i < INTERVAL_CLASSES; i++) parts->share[i] /= gpu_s > 0 ? gpu_s : 1;
    parts->shared /= s->seconds > 0 ? s->seconds : 1;
    if (parts->kernel_s > 0) parts->kernel_s = gpu_s / parts->kernel_s; /* so far their number */
    parts->host = s->seconds > 0 ? clamp(2 * s->host_s / s->seconds - 1, 0, 1) : 0;
    parts->lone = p->lone;
    parts->training = p->opt.training;
}

/* Sums over all kernels; share of the time that the units would take at their peak. */
static double sum_kernels(step_prediction *s, step_energy *energy, const kernel_plan *p, const predict_gpu *g,
                          const predict_options *opt)
{
    double ideal_compute = 0;
    for (uint32_t i = 0; i < p->n_kernels; i++) {
        double n = p->kernels[i].count;
        kernel_cost c = predict_kernel(p, i, g, opt);
        const kernel *k = &p->kernels[i].k;
        power_add(energy, &c, n);
        s->gpu_s += n * c.seconds;
        s->parts.share[interval_class_of(k, g->cost.tensor[k->math])] += n * c.seconds;
        if (k->kind == KERNEL_COMM)
            s->parts.shared += n * c.seconds * interval_shared(cost_comm_doubt(&g->cost, k->shape.comm.gpus));
        s->parts.kernel_s += n;
        s->backward_s += p->kernels[i].backward * c.seconds;
        s->loop_s += p->kernels[i].looped * c.seconds;
        s->launches = c.launches;
        s->dram_bytes += n * c.dram_bytes;
        s->bound_s[c.limit] += n * c.seconds;
        double peak = g->cost.peak[k->math];
        if (peak > 0) ideal_compute += n * k->flops * g->compute_level / peak;
    }
    return ideal_compute;
}

/* Host and GPU work side by side, the longer decides. In a loop whose end the data decide the host waits for each step's answer, so
 * that it can't issue meanwhile what comes before or behind. */
static double seconds_of(const step_prediction *s, const kernel_plan *p, double first)
{
    double all = predict_issued(p), looped = predict_issued_looped(p);
    double host = all > 0 ? s->host_s * looped / all : 0, rest = s->host_s - host, gpu = s->gpu_s - s->loop_s + first;
    return (host > s->loop_s ? host : s->loop_s) + (rest > gpu ? rest : gpu);
}

/* The GPU's clock: all kernels at the clock that the power limit leaves, which is *at. What was measured elsewhere changes the time, not
 * that clock. Share of the time that the units would take at their peak, as sum_kernels has it. */
static double run_kernels(step_prediction *s, step_energy *energy, predict_gpu *at, const kernel_plan *p,
                          const predict_constants *pc, const predict_options *opt)
{
    predict_options plain = *opt;
    plain.measured = NULL;
    double ideal_compute = sum_kernels(s, energy, p, at, &plain), share = power_clock(energy, at, p, pc, opt);
    if (share >= at->clock_share && !opt->measured) return ideal_compute;
    step_energy again = {0, 0, 0, 0};
    if (share < at->clock_share) at->clock_share = share;
    memset(s, 0, sizeof *s);
    ideal_compute = sum_kernels(s, &again, p, at, opt);
    energy->gpu_s = again.gpu_s;
    return ideal_compute;
}

/* Puts the two clocks together. */
static void step_time(step_prediction *s, const kernel_plan *p, const host_clock *h)
{
    s->host_s = h->seconds;
    s->seconds = seconds_of(s, p, h->first);
    bool host_bound = s->host_s > s->gpu_s + h->first || h->waited > s->seconds;
    s->seconds += h->waited;
    s->host_s += h->waited;
    s->limit = BOUND_HOST;
    for (int b = 0; !host_bound && b < BOUND_COUNT; b++)
        if (s->limit == BOUND_HOST || s->bound_s[b] > s->bound_s[s->limit]) s->limit = (bound)b;
}

static void step_memory(step_prediction *s, const kernel_plan *p, const predict_gpu *g, const predict_constants *pc)
{
    s->context_bytes = 1e6 * (pc->context_mb + pc->context_mb_per_sm * g->cost.sms);
    s->runtime_bytes = 1e6 * p->runtime->framework_mb + s->context_bytes;
    s->total_bytes = s->weights + s->gradients + s->optimizer + p->memory.activations * s->activation_share +
                     p->memory.workspace + s->runtime_bytes;
    s->fits = g->spec->memory_bytes <= 0 || s->total_bytes <= g->spec->memory_bytes;
}

step_prediction predict_step(const kernel_plan *p, const predict_gpu *boost, const predict_constants *pc,
                             const predict_options *opt)
{
    predict_gpu g = *boost;
    step_energy energy = {0, 0, 0, 0};
    step_prediction s;
    memset(&s, 0, sizeof s);
    double ideal_compute = run_kernels(&s, &energy, &g, p, pc, opt);
    host_clock host = predict_host(p, &g, s.launches, pc, opt);
    s.flops = p->flops;
    step_time(&s, p, &host);
    double once = s.gpu_s; /* of one micro-batch, which the parts are of */
    multi_gpu(&s, p, &g, pc, opt);
    double micro = opt->micro > 1 ? opt->micro : 1;
    double stages = opt->pipeline > 1 ? opt->pipeline : 1, data = opt->data > 1 ? opt->data : 1;
    double each = s.rate > 0 ? data * stages / s.rate : 0; /* seconds of one GPU's time that a step takes */
    if (each > 0) {
        s.compute_utilization = clamp(ideal_compute * micro / each, 0, 1);
        s.memory_efficiency = clamp(s.dram_bytes * g.memory_level / g.cost.dram_peak / each, 0, 1);
        s.busy_share = clamp(s.gpu_s / each, 0, 1);
    }
    finish_parts(&s.parts, &s, once, p);
    interval_range w = interval_of(p, &s, pc, opt);
    s.low = s.seconds / (1 + w.low);
    s.high = s.seconds * (1 + w.high);
    energy.core_j *= micro;
    energy.memory_j *= micro;
    energy.gpu_s *= micro;
    s.power_w = power_of_step(&energy, &g, pc, each);
    step_memory(&s, p, &g, pc);
    return s;
}
