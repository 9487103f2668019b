/* How sure a prediction is: from what its time consists of and on what it rests. */
#include "predict/predict.h"

#include "base/libc.h"

interval_class interval_class_of(const kernel *k, bool matrix_unit)
{
    switch (k->kind) {
    case KERNEL_CONV: return matrix_unit ? INTERVAL_CONV : INTERVAL_CONV_VECTOR;
    case KERNEL_DEPTHWISE: return INTERVAL_DEPTHWISE;
    case KERNEL_GEMM:
        return !matrix_unit ? INTERVAL_PRODUCT_VECTOR : k->math >= PREC_FP8 ? INTERVAL_NARROW : INTERVAL_PRODUCT;
    case KERNEL_ATTENTION: return INTERVAL_ATTENTION;
    case KERNEL_NORM:
    case KERNEL_SOFTMAX:
    case KERNEL_REDUCE: return INTERVAL_ROWS;
    case KERNEL_GEMV:
    case KERNEL_ELEMENTWISE:
    case KERNEL_COPY:
    case KERNEL_POOL: return INTERVAL_STREAM;
    default: return INTERVAL_OTHER;
    }
}

static double factor_of(const interval_constants *c, basis b)
{
    return b == BASIS_SPECIFICATION ? c->specification : b == BASIS_UNLIKE ? c->unlike : 1;
}

/* Short kernels are less sure: what lies between them, and what they wait for, is no part of their cost. */
double interval_size(const interval_parts *p)
{
    double tens = p->kernel_s > 0 ? log(p->kernel_s / 1e-4) / 2.302585092994046 : 0;
    return tens < -2 ? -2 : tens > 2 ? 2 : tens;
}

/* Libraries choose between variants of these, now and then a slow one; what streams has no such choice. */
double interval_choice(const interval_parts *p)
{
    return p->share[INTERVAL_CONV] + p->share[INTERVAL_PRODUCT] + p->share[INTERVAL_NARROW] +
           p->share[INTERVAL_ATTENTION] + p->share[INTERVAL_OTHER];
}

interval_range interval_scale(interval_range w, double factor)
{
    return (interval_range){w.low * factor, w.high * factor};
}

interval_range interval_width(const interval_constants *c, const interval_parts *p, basis b)
{
    const double *width = p->lone ? c->kernel : c->model;
    double w = 0, skew = 1;
    for (int i = 0; i < INTERVAL_CLASSES; i++) w += width[i] * p->share[i];
    w *= factor_of(c, b);
    if (!p->lone) {
        /* the host is the same, whoever made the board */
        double host = c->host * (b >= BASIS_SPECIFICATION ? c->specification : 1);
        w *= pow(c->tenfold, interval_size(p));
        w += (host - w) * p->host;
        if (p->training) w *= c->training;
        if (b != BASIS_CALIBRATED) w *= c->transferred;
        skew = pow(c->skew_model, 1 - p->host); /* a host may as well be faster */
    } else {
        skew = pow(c->skew_kernel, interval_choice(p));
    }
    return (interval_range){w / skew, w * skew};
}

/* The figure supposes paths as crowded as on the one server that was measured; where GPUs reach each other directly, messages take
 * 1 / crowd of it. Four fifths of the range between, by ratio. */
double interval_shared(double crowd)
{
    return pow(crowd, 0.8) - 1;
}

double interval_language(const interval_constants *c, llm_figure f, basis b)
{
    const double width[] = {[LLM_DECODE] = c->llm_decode,
                            [LLM_PREFILL] = c->llm_prefill,
                            [LLM_STAGED] = c->llm_staged,
                            [LLM_ROW_TOKENS] = c->llm_row_tokens,
                            [LLM_ROW_PROMPTS] = c->llm_row_prompts,
                            [LLM_TPOT] = c->llm_tpot,
                            [LLM_TTFT] = c->llm_ttft};
    if (b == BASIS_CALIBRATED) return width[f];
    return width[f] * c->transferred * factor_of(c, b);
}
