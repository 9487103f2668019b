/* One measurement of the user's model on a GPU that they own: predictions on other GPUs are scaled by what it says of the model. */
#include "api/api.h"

/* Beyond this the measurement is hardly of the model, batch, precision or unit that was asked for. */
static const double FAR = 5;

static step_prediction predict_there(const pg_plan *p, bool roofline)
{
    const gpu_spec *spec = p->measured_gpu->spec;
    predict_options o = api_predict_options(p, spec);
    predict_gpu g;
    if (roofline) o.fast_mode = true;
    predict_gpu_init(&g, spec, &p->catalog->config.cost, &o);
    return predict_step(api_plan_on(p, spec), &g, &p->catalog->config.predict, &o);
}

/* Says in `warn` what is wrong with the measurement; true where it can hardly be meant. */
static bool is_doubtful(const pg_plan *p, const step_prediction *there, const step_prediction *roof, char *warn,
                        size_t cap)
{
    const pg_request *r = &p->request;
    double ms = r->measured_ms, expected = there->seconds * 1e3;
    const char *gpu = p->measured_gpu->pub.key;
    static const char *const check = "check the unit, the batch size, the precision and the model";
    if (ms < roof->seconds * 1e3) {
        format_text(warn, cap,
                    "the measured %g ms are less than the %.3g ms that %s needs at its peak rates: %s; predictions are "
                    "scaled by it all the same",
                    ms, roof->seconds * 1e3, gpu, check);
        return true;
    }
    if (ms > FAR * expected || ms * FAR < expected) {
        format_text(
            warn, cap,
            "the measured %g ms are %.3g times the %.3g ms predicted on %s: %s; predictions are scaled by it all "
            "the same",
            ms, ms / expected, expected, gpu, check);
        return true;
    }
    if (!there->fits)
        format_text(warn, cap, "the model is not expected to fit on %s, where it is said to have been measured", gpu);
    return false;
}

pg_code api_measured_open(pg_plan *p, char *warn, size_t cap, pg_error *e)
{
    const predict_constants *pc = &p->catalog->config.predict;
    const pg_plan *measured = p;
    pg_plan *other = NULL;
    bool same_batch = !p->request.measured_batch || p->request.measured_batch == p->request.batch;
    if (!same_batch) {
        pg_request r = p->request;
        r.batch = r.measured_batch;
        r.measured_gpu = NULL;
        r.measured_ms = 0;
        r.measured_batch = 0;
        pg_code code = pg_plan_open(&other, p->model, p->catalog, &r, e);
        if (code) return code;
        other->measured_gpu = p->measured_gpu;
        other->request.measured_ms = p->request.measured_ms;
        measured = other;
    }
    step_prediction there = predict_there(measured, p->request.fast_mode), roof = predict_there(measured, true);
    bool possible = there.seconds > 0;
    if (possible) {
        double seconds = p->request.measured_ms * 1e-3;
        bool doubtful = is_doubtful(measured, &there, &roof, warn, cap);
        p->measured = predict_measured(&there, seconds, pc, false);
        p->measured_again = same_batch ? predict_measured(&there, seconds, pc, true) : p->measured;
        p->measured.doubtful = p->measured_again.doubtful = doubtful;
    }
    pg_plan_free(other);
    if (!possible)
        return error_set(e, PG_E_USAGE, "nothing to scale: no time is predicted on %s", p->request.measured_gpu);
    return PG_E_OK;
}
