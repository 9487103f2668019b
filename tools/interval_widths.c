/* The widths themselves: the quantile loss of both ends of an interval, and the fit. */
#include <math.h>
#include <nlopt.h>
#include <stdlib.h>
#include <string.h>

#include "interval_fit.h"

/* Each end is to be beyond 90 % of the points. */
#define END 0.9
/* Where the loss bends, it does so over one percent: its slope is what the optimiser goes by. */
#define BEND 0.01
/* Pull of widths to the mean of their kind, of factors and skews to 1: what a class of few points weighs against. */
#define PULL 0.5

const char *const interval_names[FIXED] = {"conv",
                                           "conv_vector",
                                           "depthwise",
                                           "product",
                                           "product_vector",
                                           "narrow",
                                           "attention",
                                           "rows",
                                           "stream",
                                           "other",
                                           "kernel_conv",
                                           "kernel_conv_vector",
                                           "kernel_depthwise",
                                           "kernel_product",
                                           "kernel_product_vector",
                                           "kernel_narrow",
                                           "kernel_attention",
                                           "kernel_rows",
                                           "kernel_stream",
                                           "kernel_other",
                                           "host",
                                           "training",
                                           "transferred",
                                           "tenfold",
                                           "skew_model",
                                           "skew_kernel"};

enum { TRAINING = CLASSES, TRANSFERRED, TENFOLD };

/* What a point's width is made of: classes add up, all else multiplies; the size of kernels the GPU's part alone. */
typedef struct terms {
    double share[CLASSES], factor[FACTORS], skew[SKEWS], size;
} terms;

static terms terms_of(const held *h, const interval_constants *c)
{
    terms t;
    memset(&t, 0, sizeof t);
    const interval_parts *p = &h->parts;
    double host = h->basis >= BASIS_SPECIFICATION ? c->specification : 1,
           gpu = h->basis == BASIS_UNLIKE ? c->unlike : host;
    for (int i = 0; i < INTERVAL_CLASSES; i++)
        if (p->lone) t.share[INTERVAL_CLASSES + i] = p->share[i] * gpu;
        else t.share[i] = p->share[i] * (1 - p->host) * gpu;
    t.skew[1] = p->lone ? interval_choice(p) : 0;
    if (p->lone) return t;
    t.share[CLASSES - 1] = p->host * host;
    t.factor[TRAINING - CLASSES] = p->training;
    t.factor[TRANSFERRED - CLASSES] = h->basis != BASIS_CALIBRATED;
    t.size = interval_size(p);
    t.skew[0] = 1 - p->host;
    return t;
}

typedef struct problem {
    const held_list *h;
    const bool *use;
    const terms *terms;
    int n; /* constants */
} problem;

static int mean_of(int class)
{
    return class < INTERVAL_CLASSES ? MEANS : class < 2 * INTERVAL_CLASSES ? MEANS + 1 : -1;
}

/* One end of one point: its loss, and what it adds to the gradient. */
static double end_loss(const double *x, double *g, const held *h, const terms *t, int side)
{
    double gpu = 0, log_factor = 0, size = exp(t->size * x[TENFOLD]);
    const double host = t->share[CLASSES - 1] * exp(x[CLASSES - 1]);
    for (int i = 0; i < CLASSES - 1; i++)
        if (t->share[i] > 0) gpu += t->share[i] * exp(x[i]) * size;
    for (int i = 0; i < FACTORS; i++) log_factor += t->factor[i] * x[CLASSES + i];
    for (int i = 0; i < SKEWS; i++) log_factor += side * t->skew[i] * x[CLASSES + FACTORS + i];
    bool own = !h->parts.lone && h->runtime > 0;
    if (own) log_factor += x[FIXED + h->runtime];
    double factor = exp(log_factor), w = (gpu + host) * factor, beyond = side * h->error - log(1 + w);
    double bend = sqrt(beyond * beyond + BEND * BEND);
    double slope = -h->weight * 0.5 * (beyond / bend + (2 * END - 1)) / (1 + w);
    for (int i = 0; i < CLASSES - 1; i++)
        if (t->share[i] > 0) g[i] += slope * factor * t->share[i] * exp(x[i]) * size;
    g[CLASSES - 1] += slope * factor * host;
    g[TENFOLD] += slope * factor * gpu * t->size;
    for (int i = 0; i < FACTORS; i++) g[CLASSES + i] += slope * w * t->factor[i];
    for (int i = 0; i < SKEWS; i++) g[CLASSES + FACTORS + i] += slope * w * side * t->skew[i];
    if (own) g[FIXED + h->runtime] += slope * w;
    return h->weight * 0.5 * (bend + (2 * END - 1) * beyond);
}

static double loss(unsigned n, const double *x, double *gradient, void *data)
{
    const problem *p = data;
    double sum = 0, g[CONSTANTS] = {0};
    (void)n;
    for (size_t i = 0; i < p->h->count; i++)
        for (int side = -1; side <= 1 && (!p->use || p->use[i]); side += 2)
            sum += end_loss(x, g, &p->h->list[i], &p->terms[i], side);
    for (int i = 0; i < MEANS; i++) {
        int to = i < CLASSES ? mean_of(i) : -1;
        double away = i == CLASSES - 1 ? 0 : to < 0 ? x[i] : x[i] - x[to];
        sum += PULL * away * away;
        g[i] += 2 * PULL * away;
        if (to >= 0) g[to] -= 2 * PULL * away;
    }
    if (gradient) memcpy(gradient, g, sizeof g);
    return sum;
}

void interval_fit(double *x, const held_list *h, const bool *use)
{
    double low[CONSTANTS], high[CONSTANTS], best = 0;
    terms *t = malloc((h->count + 1) * sizeof *t);
    if (!t) interval_die("out of memory", NULL);
    for (size_t i = 0; i < h->count; i++) t[i] = terms_of(&h->list[i], &h->start);
    for (int i = 0; i < CONSTANTS; i++) {
        bool width = i < CLASSES || i >= MEANS;
        x[i] = width ? log(0.2) : 0;
        low[i] = width ? log(0.02) : log(0.25);
        high[i] = width ? log(2) : log(4);
    }
    low[TRANSFERRED] = 0; /* nothing is surer for not having been measured */
    problem p = {.h = h, .use = use, .terms = t};
    nlopt_opt opt = nlopt_create(NLOPT_LD_LBFGS, CONSTANTS);
    if (!opt) interval_die("out of memory", NULL);
    nlopt_set_lower_bounds(opt, low);
    nlopt_set_upper_bounds(opt, high);
    nlopt_set_min_objective(opt, loss, &p);
    nlopt_set_ftol_rel(opt, 1e-9);
    nlopt_set_maxeval(opt, 3000);
    if (nlopt_optimize(opt, x, &best) == NLOPT_OUT_OF_MEMORY) interval_die("out of memory", NULL);
    nlopt_destroy(opt);
    free(t);
}

static interval_constants unpack(const double *x, const interval_constants *start)
{
    interval_constants c = *start;
    double *const rest[] = {&c.host, &c.training, &c.transferred, &c.tenfold, &c.skew_model, &c.skew_kernel};
    for (int i = 0; i < INTERVAL_CLASSES; i++) {
        c.model[i] = exp(x[i]);
        c.kernel[i] = exp(x[INTERVAL_CLASSES + i]);
    }
    for (int i = CLASSES - 1; i < FIXED; i++) *rest[i - (CLASSES - 1)] = exp(x[i]);
    return c;
}

void interval_of_held(double *low, double *high, const double *x, const held_list *h, const held *at)
{
    interval_constants c = x ? unpack(x, &h->start) : h->start;
    interval_range w = interval_width(&c, &at->parts, at->basis);
    if (!at->parts.lone) w = interval_scale(w, x ? exp(x[FIXED + at->runtime]) : h->shipped[at->runtime]);
    *low = log(1 + w.low);
    *high = log(1 + w.high);
}
