/* What would make a step fit that does not: each change by itself. */
#include "api/api.h"

enum { GPUS_MOST = 64 };

void api_advise(pg_prediction *out, const char *fmt, ...)
{
    size_t len = strlen(out->advice), cap = sizeof out->advice;
    va_list args;
    if (len) len += format_text(out->advice + len, cap - len, ", or ");
    va_start(args, fmt);
    if (len < cap) format_textv(out->advice + len, cap - len, fmt, args);
    va_end(args);
}

static bool fits_so(const pg_plan *p, const predict_gpu *g, const predict_options *o)
{
    return predict_step(api_plan_on(p, g->spec), g, &p->catalog->config.predict, o).fits;
}

/* As many samples as the activations leave room for, which grow in proportion to them. */
static long long most_samples(const pg_plan *p, const predict_gpu *g, const step_prediction *s)
{
    double activations = api_plan_on(p, g->spec)->memory.activations * s->activation_share;
    double each = activations * p->split.micro / (double)p->request.batch;
    double left = g->spec->memory_bytes - (s->total_bytes - activations);
    double most = each > 0 ? floor(left / each) * p->split.micro : 0;
    return most < (double)p->request.batch ? (long long)most : 0;
}

/* The least that copies of the model must divide, else the fewest copies that are enough when they divide all. */
static void divide_more(const pg_plan *p, const predict_gpu *g, predict_options o, pg_prediction *out)
{
    if (p->request.task != PG_TASK_TRAINING || o.pipeline > 1) return;
    for (int stage = o.zero + 1; stage <= 3 && o.data > 1; stage++) {
        o.zero = stage;
        if (!fits_so(p, g, &o)) continue;
        api_advise(out, "--zero-stage %d", stage);
        return;
    }
    o.zero = 3;
    for (int gpus = p->split.data * 2; gpus <= GPUS_MOST; gpus *= 2) {
        o.data = gpus;
        if (!fits_so(p, g, &o)) continue;
        api_advise(out, "--zero-stage 3 --data-parallel %d", gpus);
        return;
    }
}

void api_plan_advice(const pg_plan *p, const predict_gpu *g, const predict_options *o, const step_prediction *s,
                     pg_prediction *out)
{
    long long samples = most_samples(p, g, s);
    if (samples >= 1) api_advise(out, "a batch of about %lld", samples);
    divide_more(p, g, *o, out);
}
