/* Which of the owner's rows can be right: a step faster than the GPU's peaks allow can't, and neither can one that is far from where all the
 * others are. */
#include <stdarg.h>
#include <stdlib.h>

#include "api/api.h"
#include "bench/calibrate.h"

/* Peaks are at the boost clock, which boards pass by some percent; bytes that are taken for DRAM's may still have been in L2. */
static const double ROOF = 0.85;
/* Winograd needs fewer operations than are counted: F(2x2, 3x3) 2.25 times. Only where FP32 isn't turned into TF32 can it count. */
static const double WINOGRAD = 2.25;
/* Robust standard deviations from the others' median, and the least that one is taken for: rows that agree by chance don't make an outlier
 * of one that is 10 % off. */
static const double FAR = 5, SPREAD_LEAST = 0.06;

void calibrate_warn(calibration *c, const char *fmt, ...)
{
    char text[480];
    va_list args;
    if (c->warning_count == CALIBRATE_WARNINGS) return;
    va_start(args, fmt);
    format_textv(text, sizeof text, fmt, args);
    va_end(args);
    const char *copy = str_copy(c->a, str_c(text)).ptr;
    if (copy) c->warnings[c->warning_count++] = copy;
}

static const char *say(calibration *c, const char *fmt, double measured, double other)
{
    char text[200];
    format_text(text, sizeof text, fmt, measured, other);
    return str_copy(c->a, str_c(text)).ptr;
}

/* The time that the step takes at the GPU's peaks, in seconds, by the shares of them that the prediction reaches. */
static double roof_of(const bench_point *p)
{
    double compute = p->p.compute_utilization, memory = p->p.memory_efficiency;
    if (p->plan->math == PREC_FP32) compute /= WINOGRAD;
    return (compute > memory ? compute : memory) * p->p.latency_ms * 1e-3;
}

static double median(double *x, size_t n)
{
    if (!n) return 0;
    bench_sort(x, n);
    return n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

/* The median of the other rows' errors, and their spread as a standard deviation. */
static double others(const calibration *c, size_t without, double *buffer_, double *spread)
{
    size_t n = 0;
    for (size_t i = 0; i < c->count; i++)
        if (i != without && !c->rows[i].left_out) buffer_[n++] = c->rows[i].before;
    double middle = median(buffer_, n);
    for (size_t i = 0; i < n; i++) buffer_[i] = fabs(buffer_[i] - middle);
    *spread = 1.4826 * median(buffer_, n);
    if (*spread < SPREAD_LEAST) *spread = SPREAD_LEAST;
    return middle;
}

static const char *judge(calibration *c, const calibration_row *r, double middle, double spread)
{
    double off = r->before - middle, factor = exp(fabs(off)), ms = bench_seconds(r->point->row) * 1e3,
           expected = ms * exp(r->before);
    if (fabs(off) <= FAR * spread) return NULL;
    if (factor > 300 && factor < 3000)
        return say(c, "%.4g ms, where about %.4g ms are expected: a thousand times, so the unit looks wrong", ms,
                   ms * exp(off));
    return off > 0
             ? say(c, "%.4g ms, far faster than the other rows and the predicted %.4g ms agree with", ms, expected)
             : say(c, "%.4g ms, far slower than the other rows and the predicted %.4g ms agree with", ms, expected);
}

pg_code calibrate_check(calibration *c, pg_error *e)
{
    double *scratch = ARENA_ARRAY(c->a, double, c->count + 1);
    const char **verdict = ARENA_ARRAY(c->a, const char *, c->count + 1);
    if (!scratch || !verdict) return error_nomem(e, c->a);
    size_t impossible = 0, far = 0, left = 0;
    for (size_t i = 0; i < c->count; i++) {
        calibration_row *r = &c->rows[i];
        double seconds = bench_seconds(r->point->row), roof = roof_of(r->point);
        if (seconds >= ROOF * roof) continue;
        impossible++;
        r->left_out = say(c, "%.4g ms, less than the %.4g ms that this GPU needs at its peak rates", seconds * 1e3,
                          roof * 1e3);
    }
    for (size_t i = 0; i < c->count; i++) left += !c->rows[i].left_out;
    for (size_t i = 0; i < c->count && left >= CALIBRATE_FEW; i++) { /* few rows can't tell which of them is wrong */
        double spread, middle = others(c, i, scratch, &spread);
        if (!c->rows[i].left_out) verdict[i] = judge(c, &c->rows[i], middle, spread);
        far += verdict[i] != NULL;
    }
    if (far * 5 > left) {
        calibrate_warn(c, "%zu of %zu rows are far from the others, too many to be mistakes: all are used", far, left);
        far = 0;
    } else {
        for (size_t i = 0; i < c->count; i++)
            if (verdict[i]) c->rows[i].left_out = verdict[i];
    }
    for (size_t i = 0; i < c->count; i++) c->used += !c->rows[i].left_out;
    if (impossible + far)
        calibrate_warn(c, "%zu row%s left out: %zu faster than the GPU can be, %zu far from the others",
                       impossible + far, impossible + far == 1 ? " is" : "s are", impossible, far);
    return c->a->failed ? error_nomem(e, c->a) : PG_E_OK;
}
