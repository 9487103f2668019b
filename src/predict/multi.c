/* A step on several GPUs: copies of the model that work on other samples, and stages of it that work one after the other. What tensor
 * parallelism does stands in the plan already (parallel.c). Makes no allocation. */
#include "predict/predict.h"

enum { HALVINGS = 24 };

/* What PyTorch's DistributedDataParallel collects before it sends. */
static const double BUCKET_BYTES = 25 * 1048576.0;

typedef struct split {
    double stages;  /* used */
    double latency; /* of a sample's way through all of them */
    double longest; /* stage, with sending its results on */
    double weights; /* bytes of the stage that has most, as a share of all */
} split;

typedef struct stage {
    double gpu_s, steps, weights;
} stage;

typedef struct walk {
    const kernel_plan *p;
    const predict_gpu *g;
    const predict_options *opt;
    double gpus;        /* that messages cross */
    double host_a_step; /* seconds to issue a kernel: each stage has a host process of its own */
    double all_weights;
    double gradient_share; /* of the gradients that a stage has */
    uint32_t n_forward;    /* steps of the forward pass, which the stages are cut by */
} walk;

static double larger(double a, double b)
{
    return a > b ? a : b;
}

static double less(double a, double b)
{
    return a < b ? a : b;
}

/* From a stage to the next. Boards that reach each other through the host only are slowed down by those that send at the same
 * time, as many as there are micro-batches under way, and not by all that there are. */
static double send_seconds(const walk *w, double bytes)
{
    enum { NODE_GPUS = 8 };
    double senders = less(larger(w->opt->micro, 1), w->opt->pipeline - 1), gpus = w->gpus;
    if (!w->g->cost.links.direct && gpus <= NODE_GPUS) gpus = less(gpus, larger(senders, 2));
    comm_shape s = {bytes, gpus, COMM_SEND, COMM_OWN_NONE};
    return w->opt->fast_mode ? 0 : cost_comm_seconds(&w->g->cost, &s);
}

static void close_stage(const walk *w, split *out, const stage *st, double sent)
{
    double t = larger(st->gpu_s, st->steps * w->host_a_step) + sent;
    out->stages++;
    out->latency += t;
    out->longest = larger(out->longest, t);
    out->weights = larger(out->weights, w->all_weights > 0 ? st->weights / w->all_weights : 0);
}

/* Fills stages in order, each until its GPU time would pass `limit`. */
static split fill(const walk *w, double limit)
{
    split out = {0, 0, 0, 0};
    stage st = {0, 0, 0};
    uint32_t first = 0; /* the first that no stage holds yet */
    const kernel_plan *p = w->p;
    for (uint32_t i = 0; i < w->n_forward;) {
        stage next = {0, 0, 0};
        uint32_t at = p->steps[i].unit, until = first;
        for (; i < w->n_forward && p->steps[i].unit == at; i++) {
            next.gpu_s += predict_kernel(p, p->steps[i].kernel, w->g, w->opt).seconds * p->steps[i].trips;
            next.steps += p->steps[i].trips;
        }
        for (; until <= at && until < p->n_cuts; until++) next.weights += p->cuts[until].weights;
        if (st.steps > 0 && st.gpu_s + next.gpu_s > limit) {
            close_stage(w, &out, &st, send_seconds(w, first ? p->cuts[first - 1].live : 0));
            st = (stage){0, 0, 0};
        }
        first = until;
        st.gpu_s += next.gpu_s;
        st.steps += next.steps;
        st.weights += next.weights;
    }
    if (st.steps > 0) close_stage(w, &out, &st, 0);
    return out;
}

/* Stages of nearly the same time: the least limit with which so many are enough. */
static split balance(const walk *w, double gpu_s, double stages)
{
    double low = gpu_s / stages, high = gpu_s;
    for (int i = 0; i < HALVINGS; i++) {
        double middle = 0.5 * (low + high);
        if (fill(w, middle).stages > stages) low = middle;
        else high = middle;
    }
    return fill(w, high);
}

/* ---- training ---- */

static double optimizer_seconds(const kernel_plan *p, const predict_gpu *g, const predict_options *opt)
{
    double seconds = 0;
    for (uint32_t i = 0; i < p->n_steps; i++)
        if (p->steps[i].role == STEP_OPTIMIZER)
            seconds += predict_kernel(p, p->steps[i].kernel, g, opt).seconds * p->steps[i].trips;
    return seconds;
}

/* How much longer a step takes for the gradients' all-reduces among `data` copies of the model. Gradients go in buckets as soon as the
 * backward pass has made them, one after the other, beside what is left of it; the last one is made when it ends. What is hidden so is
 * felt in part: communication takes SMs and bandwidth. */
static double exchange_seconds(const walk *w, const predict_constants *pc, double data, double backward_s)
{
    double bytes = w->p->gradient_bytes * w->gradient_share, buckets = ceil(bytes / BUCKET_BYTES);
    if (data <= 1 || bytes <= 0) return 0;
    comm_shape s = {bytes / buckets, data, COMM_ALL_REDUCE, COMM_OWN_NONE};
    double one = cost_comm_seconds(&w->g->cost, &s);
    if (w->opt->fast_mode)
        return 2 * (data - 1) / data * bytes / larger(w->g->cost.links.nvlink, w->g->cost.links.pcie);
    double queued = backward_s / buckets + buckets * one; /* when the links are never idle from the first bucket on */
    double exposed = larger(queued - backward_s, one), hidden = larger(buckets * one - exposed, 0);
    double felt = pc->hidden_share < 1 ? pc->hidden_share : 1;
    return exposed + felt * hidden;
}

/* ---- state that is divided among the copies of the model (ZeRO, PyTorch's FSDP) ---- */

/* Layers that are gathered at a time: of a transformer each has two residual sums. */
static double layers_of(const kernel_plan *p)
{
    return p->joins > 2 ? p->joins / 2 : 1;
}

/* Bytes of all parameters as they are sent: in the width of the arithmetic. */
static double sent_bytes(const kernel_plan *p, double share)
{
    return p->gradient_bytes * share * (p->opt.autocast ? 0.5 : 1);
}

/* `each` of so many messages beside `beside` seconds of work: the last can't start before that ends, and what is hidden is felt in part. */
static double beside_work(const predict_constants *pc, double messages, double each, double beside)
{
    double exposed = larger(messages * each - beside, each), hidden = larger(messages * each - exposed, 0);
    return exposed + (pc->hidden_share < 1 ? pc->hidden_share : 1) * hidden;
}

/* How much longer a step of so many micro-batches takes for it. Gradients are summed up by who keeps them: of the whole step at stage 1, of
 * each micro-batch from stage 2 on. Weights are gathered once behind the optimizer, at stage 3 layer by layer in each pass. */
static double divided_seconds(const walk *w, const predict_constants *pc, double data, double forward_s,
                              double backward_s)
{
    const predict_options *o = w->opt;
    double bytes = sent_bytes(w->p, w->gradient_share), layers = layers_of(w->p), micro = larger(o->micro, 1);
    if (data <= 1 || bytes <= 0) return 0;
    double rounds = o->zero >= 2 ? micro : 1, gathers = o->zero == 3 ? 2 * micro : 1;
    if (o->fast_mode)
        return (rounds + gathers) * (data - 1) / data * bytes / larger(w->g->cost.links.nvlink, w->g->cost.links.pcie);
    comm_shape part = {bytes / layers, data, COMM_REDUCE_SCATTER, COMM_OWN_NONE};
    double scatter = cost_comm_seconds(&w->g->cost, &part);
    part.what = COMM_ALL_GATHER;
    double gather = cost_comm_seconds(&w->g->cost, &part);
    if (o->zero < 3) return rounds * beside_work(pc, layers, scatter, backward_s) + layers * gather;
    return micro * (beside_work(pc, layers, gather, forward_s) + beside_work(pc, layers, gather + scatter, backward_s));
}

/* What the fullest GPU holds. Layers are gathered one ahead of the pass; the largest tensor, embeddings mostly, stays. Gradients wait
 * in buckets or, divided, a layer at a time. */
static void put_state(step_prediction *s, const kernel_plan *p, const predict_options *o, double data)
{
    int zero = p->opt.training && data > 1 ? o->zero : 0;
    double layers = layers_of(p), sent = sent_bytes(p, s->weight_share), share = s->weight_share;
    double gathered = less(sent * (p->largest_share + 2 * (1 - p->largest_share) / layers), sent);
    s->weights = p->memory.weights * share;
    s->gradients = p->memory.gradients * share * (p->opt.training && data > 1 && !zero ? 2 : 1);
    s->optimizer = p->memory.optimizer * share / (zero ? data : 1);
    if (zero >= 2) s->gradients = s->gradients / data + sent / layers;
    if (zero == 3) s->weights = less(p->gradient_bytes * share / data + gathered, s->weights);
}

/* A step of the whole batch: the first micro-batch through all stages and back, each other one behind it by the longest stage (one
 * forward, one backward), then the optimizer. */
static void training(step_prediction *s, walk *w, const predict_constants *pc, double data, double stages,
                     double host_optimizer)
{
    const predict_options *o = w->opt;
    double micro = larger(o->micro, 1), last = optimizer_seconds(w->p, w->g, o);
    double body = larger(s->gpu_s - last, s->host_s - host_optimizer), share = 1;
    double saved = o->zero && data > 1 ? last - last / data : 0; /* each optimizes what it keeps */
    double backward = s->gpu_s > last ? body * s->backward_s / (s->gpu_s - last) : 0;
    if (stages > 1) {
        double forward = 0;
        for (uint32_t i = 0; i < w->n_forward; i++)
            forward += predict_kernel(w->p, w->p->steps[i].kernel, w->g, o).seconds * w->p->steps[i].trips;
        split best = balance(w, forward, stages);
        share = forward > 0 ? best.longest / forward : 1;
        s->weight_share = best.weights > 0 ? best.weights : 1;
        s->activation_share = (micro < stages ? micro : stages) / stages;
        s->seconds = larger(last, host_optimizer) * s->weight_share;
        s->seconds += forward > 0 ? body / forward * (best.latency + (micro - 1) * best.longest) : body;
    } else s->seconds += (micro - 1) * body;
    w->gradient_share = s->weight_share;
    double exposed = o->zero && data > 1 ? divided_seconds(w, pc, data, (body - backward) * share, backward * share)
                                         : exchange_seconds(w, pc, data, backward * share);
    s->seconds = larger(s->seconds - saved, micro * body);
    last -= saved;
    double doublings = data > 1 && !o->fast_mode ? log(data) / 0.6931471805599453 : 0;
    s->seconds += exposed + pc->straggle_share * doublings * s->seconds;
    s->parts.shared += exposed * interval_shared(cost_comm_doubt(&w->g->cost, data));
    s->gpu_s = (s->gpu_s - last - saved) * micro + last;
    s->host_s = (s->host_s - host_optimizer) * micro + host_optimizer;
    s->dram_bytes *= micro;
    s->flops *= micro;
    if (exposed > 0.5 * s->seconds) s->limit = BOUND_LINK;
    s->rate = s->seconds > 0 ? data / s->seconds : 0;
}

/* ---- both ---- */

void multi_gpu(step_prediction *s, const kernel_plan *p, const predict_gpu *g, const predict_constants *pc,
               const predict_options *opt)
{
    double data = larger(opt->data, 1), stages = larger(opt->pipeline, 1);
    s->weight_share = s->activation_share = 1;
    put_state(s, p, opt, data);
    s->rate = s->seconds > 0 ? data / s->seconds : 0;
    bool train = p->opt.training && (data > 1 || stages > 1 || opt->micro > 1);
    if ((stages <= 1 && !train) || !p->n_steps) return;
    walk w = {.p = p, .g = g, .opt = opt, .gpus = data * stages * larger(p->opt.tensor, 1), .n_forward = p->n_steps};
    for (uint32_t i = 0; i < p->n_cuts; i++) w.all_weights += p->cuts[i].weights;
    if (train) {
        while (w.n_forward > 0 && p->steps[w.n_forward - 1].role >= STEP_LOSS) w.n_forward--;
        double optimizer = predict_issued_optimizer(p, pc);
        double launches = predict_issued(p) + predict_issued_backward(p, pc) + optimizer;
        double share = launches > 0 ? optimizer / launches : 0;
        training(s, &w, pc, data, stages, s->host_s * share);
        put_state(s, p, opt, data);
        return;
    }
    w.host_a_step = s->host_s / p->n_steps;
    split best = balance(&w, s->gpu_s, stages);
    s->seconds = larger(best.latency, s->seconds);
    s->rate = best.longest > 0 ? data / best.longest : 0;
    s->weight_share = best.weights > 0 ? best.weights : 1;
    put_state(s, p, opt, data);
}
