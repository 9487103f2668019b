#include "bench/fit.h"

#include <nlopt.h>

#include "api/api.h"

static const struct {
    const char *name;
    size_t offset;
    double low, high;
} runtime_fields[] = {
#define FIELD(name, low, high)                            \
    {                                                     \
#name, offsetof(runtime_profile, name), low, high \
    }
    FIELD(gap_us, 0, 20),
    FIELD(int8_us, 0, 20),
    FIELD(int8_k_clocks, 0, 20),
    FIELD(host_us, 0.5, 80),
    FIELD(host_view_us, 0, 20),
    FIELD(host_step_us, 0, 500),
    FIELD(host_half_years, 1, 100),
    FIELD(conv_speed, 0.3, 2.5),
    FIELD(depthwise_speed, 0.3, 8),
    FIELD(conv_peak, 0.3, 1),
    FIELD(gemm_speed, 0.3, 2.5),
    FIELD(attention_speed, 0.3, 4),
    FIELD(pointwise_speed, 0.3, 1.3),
    FIELD(lone_unary_us, 0, 200),
    FIELD(lone_binary_us, 0, 200),
    FIELD(lone_softmax_us, 0, 200),
    FIELD(lone_norm_us, 0, 200),
    /* Bounded by what the smallest products and convolutions took: else they would make up for kernels predicted too fast. */
    FIELD(lone_gemm_us, 0, 60),
    FIELD(lone_bmm_us, 0, 40),
    FIELD(lone_conv_us, 0, 90),
    FIELD(lone_launch_us, 0, 30),
    FIELD(lone_conv_wait_us, 0, 400),
    FIELD(lone_triton_us, 0, 1000),
    FIELD(lone_cutlass_us, 0, 1000),
    FIELD(lone_flashinfer_us, 0, 1000),
    FIELD(lone_deepgemm_us, 0, 1000),
    FIELD(lone_repack_us, 0, 1000),
    FIELD(lone_pad_us, 0, 1000),
    FIELD(fp8_speed, 0.5, 2),
    FIELD(fp4_speed, 0.5, 2),
    FIELD(fp4_us, 0, 20),
    FIELD(fp4_k_clocks, 0, 10),
    FIELD(decode_speed, 0.5, 2),
    FIELD(lone_first, 0, 1),
    FIELD(lone_turns, 1, 40),
    FIELD(train_pointwise_speed, 0.3, 1.3),
    FIELD(gemv_bytes, 2, 64),
    FIELD(gemv_share, 0.7, 1.2),
    FIELD(moe_share, 0.1, 2),
    FIELD(moe_new_share, 0.1, 2),
    FIELD(moe_us, 0, 100),
    FIELD(moe_new_us, 0, 100),
    FIELD(moe_fp4_us, 1, 100),
    FIELD(moe_tile_us, 0, 10),
    FIELD(launch_queue, 0, 1e6),
    FIELD(llm_step_us, 0, 10000),
    FIELD(llm_request_us, 0, 200),
    FIELD(prompt_speed, 0.3, 2),
    FIELD(llm_experts_us, 0, 500000),
    FIELD(llm_layer_us, 0, 5000),
    FIELD(llm_mixed_us, 0, 100000),
    FIELD(llm_join_us, 0, 100000),
    FIELD(llm_token_us, 0, 1000),
    FIELD(llm_prompt_us, 0, 500000),
    FIELD(llm_stage_us, 0, 5000),
    FIELD(row_copy_us, 0, 1000),
    FIELD(row_link_share, 0.01, 1),
    FIELD(llm_first_us, 0, 1000000),
#undef FIELD
};

static bool find_cost(fit_constant *out, api_config *c, const char *name)
{
    for (int i = 0; i < COST_CONSTANTS; i++) {
        char full[80];
        format_text(full, sizeof full, "%s.%s", cost_constant_table[i].table, cost_constant_table[i].name);
        if (strcmp(full, name) != 0) continue;
        out->at = cost_constant_at(&c->cost, i);
        out->low = cost_constant_table[i].lower;
        out->high = cost_constant_table[i].upper;
        return true;
    }
    return false;
}

static bool find_runtime(fit_constant *out, api_config *c, const char *name)
{
    for (uint32_t i = 0; i < c->n_runtimes; i++)
        for (size_t k = 0; k < sizeof runtime_fields / sizeof runtime_fields[0]; k++) {
            char full[80];
            format_text(full, sizeof full, "%.*s.%s", STR_ARG(c->runtimes[i].key), runtime_fields[k].name);
            if (strcmp(full, name) != 0) continue;
            out->at = (double *)(void *)((char *)&c->runtimes[i] + runtime_fields[k].offset);
            out->low = runtime_fields[k].low;
            out->high = runtime_fields[k].high;
            return true;
        }
    return false;
}

static bool find_level(fit_constant *out, api_config *c, const char *name)
{
    for (uint32_t i = 0; i < c->n_levels; i++)
        for (int k = 0; k < 2; k++) {
            gpu_level *l = &c->levels[i];
            char full[120];
            format_text(full, sizeof full, "levels.%.*s.%.*s.%s", STR_ARG(l->runtime), STR_ARG(l->gpu),
                        k ? "memory" : "compute");
            if (strcmp(full, name) != 0) continue;
            out->at = k ? &l->memory : &l->compute;
            out->low = 0.5;
            out->high = 1.5;
            out->start = 1; /* a GPU that nobody measured has none */
            return true;
        }
    return false;
}

pg_code fit_find(fit_constant *out, pg_catalog *catalog, const char *name, pg_error *e)
{
    api_config *c = &catalog->config;
    *out = (fit_constant){.start = NAN};
    format_text(out->name, sizeof out->name, "%s", name);
    if (find_cost(out, c, name) || find_runtime(out, c, name) || find_level(out, c, name)) return PG_E_OK;
    if (!strcmp(name, "predict.host_half_years")) {
        out->at = &c->predict.host_half_years;
        out->low = 1;
        out->high = 50;
        return PG_E_OK;
    }
    if (!strcmp(name, "predict.serving_waves")) {
        out->at = &c->predict.serving_waves;
        out->low = 1;
        out->high = 100;
        return PG_E_OK;
    }
    if (!strcmp(name, "predict.host_backward")) {
        out->at = &c->predict.host_backward;
        out->low = 0.1;
        out->high = 3;
        return PG_E_OK;
    }
    if (!strcmp(name, "predict.host_sum")) {
        out->at = &c->predict.host_sum;
        out->low = 0.05;
        out->high = 3;
        return PG_E_OK;
    }
    return error_set(e, PG_E_NOT_FOUND, "there is no constant '%.60s' that a fit may move", name);
}

/* ---- the loss ---- */

static bool counts(const fit_problem *p, size_t i)
{
    const bench_point *at = &p->points[i];
    return !at->skipped && (p->use ? p->use[i] : bench_seconds(at->row) > 0);
}

/* Large errors are damped: some rows are other models than their files say. Squares find the middle of machines that differ by factors. */
static double miss(const fit_problem *p, double error)
{
    double d = fabs(log(1 + error));
    if (p->squared) return d * d;
    return d < 0.4 ? d : 0.4 + 0.3 * (d - 0.4);
}

static double grouped_loss(const fit_problem *p)
{
    enum { GROUPS_MOST = 512 };
    double sum[GROUPS_MOST] = {0}, n[GROUPS_MOST] = {0}, total = 0, groups = 0;
    int most = p->group_count < GROUPS_MOST ? p->group_count : GROUPS_MOST;
    for (size_t i = 0; i < p->count; i++) {
        if (!counts(p, i) || p->group[i] < 0 || p->group[i] >= most) continue;
        sum[p->group[i]] += miss(p, p->points[i].error);
        n[p->group[i]]++;
    }
    for (int g = 0; g < most; g++) {
        if (n[g] <= 0) continue;
        total += sum[g] / n[g];
        groups++;
    }
    return groups > 0 ? total / groups : -1;
}

/* Mean of |log (predicted / measured)|, large errors damped, or of its square, with the constants as they are; negative: no point. */
static double loss_of(const fit_problem *p)
{
    double sum = 0, n = 0;
    for (size_t i = 0; i < p->count; i++) {
        if (!counts(p, i)) continue;
        bench_predict_point(&p->points[i]);
        sum += miss(p, p->points[i].error);
        n++;
    }
    return p->group ? grouped_loss(p) : n > 0 ? sum / n : -1;
}

static double objective(unsigned n, const double *x, double *gradient, void *data)
{
    const fit_problem *p = data;
    double pull = 0;
    (void)gradient;
    for (unsigned i = 0; i < n; i++) {
        const fit_constant *c = &p->constants[i];
        *c->at = x[i];
        if (p->pull <= 0 || isnan(c->start)) continue;
        double away = (x[i] - c->start) / (c->high - c->low);
        pull += away * away;
    }
    return loss_of(p) + p->pull * pull;
}

static double clamp(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

pg_code fit_run(fit_problem *p, pg_error *e)
{
    double x[FIT_CONSTANTS_MOST], low[FIT_CONSTANTS_MOST], high[FIT_CONSTANTS_MOST], step[FIT_CONSTANTS_MOST];
    unsigned n = (unsigned)p->constant_count;
    if (p->constant_count < 1 || p->constant_count > FIT_CONSTANTS_MOST)
        return error_set(e, PG_E_USAGE, "a fit moves 1 to %d constants", FIT_CONSTANTS_MOST);
    for (unsigned i = 0; i < n; i++) {
        const fit_constant *c = &p->constants[i];
        low[i] = c->low;
        high[i] = c->high;
        x[i] = clamp(*c->at, c->low, c->high);
        step[i] = fmax(fabs(x[i]) * 0.25, (high[i] - low[i]) * 0.01);
    }
    p->before = p->after = objective(n, x, NULL, p);
    for (int round = 0; round < p->rounds; round++) {
        nlopt_opt opt = nlopt_create(NLOPT_LN_SBPLX, n);
        if (!opt) return error_nomem(e, NULL);
        nlopt_set_lower_bounds(opt, low);
        nlopt_set_upper_bounds(opt, high);
        nlopt_set_min_objective(opt, objective, p);
        nlopt_set_initial_step(opt, step);
        nlopt_set_ftol_rel(opt, 1e-4);
        nlopt_set_maxeval(opt, p->evaluations * p->constant_count);
        nlopt_optimize(opt, x, &p->after);
        nlopt_destroy(opt);
        if (p->progress) p->progress(p->ud, round + 1, p->after);
    }
    p->after = objective(n, x, NULL, p);
    return PG_E_OK;
}

/* ---- snapshots ---- */

struct fit_snapshot {
    cost_constants cost;
    predict_constants predict;
    runtime_profile *runtimes;
    uint32_t n_runtimes;
    gpu_level *levels;
    uint32_t n_levels;
};

fit_snapshot *fit_save(const pg_catalog *catalog, arena *a)
{
    const api_config *c = &catalog->config;
    fit_snapshot *s = ARENA_NEW(a, fit_snapshot);
    if (!s) return NULL;
    s->cost = c->cost;
    s->predict = c->predict;
    s->runtimes = ARENA_ARRAY(a, runtime_profile, c->n_runtimes);
    s->levels = ARENA_ARRAY(a, gpu_level, c->n_levels + 1);
    if (!s->runtimes || !s->levels) return NULL;
    s->n_runtimes = c->n_runtimes;
    s->n_levels = c->n_levels;
    memcpy(s->runtimes, c->runtimes, c->n_runtimes * sizeof *s->runtimes);
    if (c->n_levels) memcpy(s->levels, c->levels, c->n_levels * sizeof *s->levels);
    return s;
}

void fit_restore(pg_catalog *catalog, const fit_snapshot *s)
{
    api_config *c = &catalog->config;
    c->cost = s->cost;
    c->predict = s->predict;
    memcpy(c->runtimes, s->runtimes, c->n_runtimes * sizeof *s->runtimes);
    if (c->n_levels) memcpy(c->levels, s->levels, c->n_levels * sizeof *s->levels);
}

bool fit_same(const fit_snapshot *a, const fit_snapshot *b)
{
    return a->n_runtimes == b->n_runtimes && a->n_levels == b->n_levels &&
           !memcmp(&a->cost, &b->cost, sizeof a->cost) && !memcmp(&a->predict, &b->predict, sizeof a->predict) &&
           !memcmp(a->runtimes, b->runtimes, a->n_runtimes * sizeof *a->runtimes) &&
           (!a->n_levels || !memcmp(a->levels, b->levels, a->n_levels * sizeof *a->levels));
}
