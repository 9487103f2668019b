/* A step on several GPUs: copies of the model that work on other samples, and stages of it that work one after the other. What tensor
 * parallelism does stands in the plan already (parallel.c). Makes no allocation. */
#include "predict/predict.h"

enum { HALVINGS = 24 };

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
} walk;

static double larger(double a, double b)
{
    return a > b ? a : b;
}

static double send_seconds(const walk *w, double bytes)
{
    comm_shape s = {bytes, w->gpus, COMM_SEND, COMM_OWN_NONE};
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
    for (uint32_t i = 0; i < p->n_steps;) {
        stage next = {0, 0, 0};
        uint32_t at = p->steps[i].unit, until = first;
        for (; i < p->n_steps && p->steps[i].unit == at; i++) {
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

void multi_gpu(step_prediction *s, const kernel_plan *p, const predict_gpu *g, const predict_options *opt)
{
    double data = larger(opt->data, 1), stages = larger(opt->pipeline, 1);
    s->weight_share = 1;
    s->rate = s->seconds > 0 ? data / s->seconds : 0;
    if (stages <= 1 || !p->n_steps) return;
    walk w = {.p = p,
              .g = g,
              .opt = opt,
              .gpus = data * stages * larger(p->opt.tensor, 1),
              .host_a_step = s->host_s / p->n_steps};
    for (uint32_t i = 0; i < p->n_cuts; i++) w.all_weights += p->cuts[i].weights;
    split best = balance(&w, s->gpu_s, stages);
    s->seconds = larger(best.latency, s->seconds);
    s->rate = best.longest > 0 ? data / best.longest : 0;
    s->weight_share = best.weights > 0 ? best.weights : 1;
}
