#include "api/api.h"

struct pg_explanation {
    arena a;
    pg_kernel_row *rows;
    size_t count;
};

static const char *const kernel_names[KERNEL_KIND_COUNT] = {
    [KERNEL_GEMM] = "gemm",
    [KERNEL_CONV] = "conv",
    [KERNEL_DEPTHWISE] = "depthwise",
    [KERNEL_ATTENTION] = "attention",
    [KERNEL_ELEMENTWISE] = "elementwise",
    [KERNEL_NORM] = "norm",
    [KERNEL_SOFTMAX] = "softmax",
    [KERNEL_REDUCE] = "reduce",
    [KERNEL_POOL] = "pool",
    [KERNEL_RESIZE] = "resize",
    [KERNEL_GATHER] = "gather",
    [KERNEL_COPY] = "copy",
    [KERNEL_RECURRENT] = "recurrent",
    [KERNEL_SCAN] = "scan",
    [KERNEL_SORT] = "sort",
    [KERNEL_GEMV] = "gemv",
    [KERNEL_COMM] = "communication",
    [KERNEL_OTHER] = "other",
};

static void shape_text(char *out, size_t cap, const kernel *k)
{
    switch (k->kind) {
    case KERNEL_GEMV:
    case KERNEL_GEMM: {
        const gemm_shape *s = &k->shape.gemm;
        if (s->batch > 1) format_text(out, cap, "%g x [%g x %g] [%g x %g]", s->batch, s->m, s->k, s->k, s->n);
        else format_text(out, cap, "[%g x %g] [%g x %g]", s->m, s->k, s->k, s->n);
        break;
    }
    case KERNEL_CONV:
    case KERNEL_DEPTHWISE: {
        const conv_shape *s = &k->shape.conv;
        size_t n = format_text(out, cap, "%gx%gx%gx%g %gx%g", s->batch, s->in, s->h, s->w, s->kh, s->kw);
        if (s->stride > 1 && n < cap) n += format_text(out + n, cap - n, "/%g", s->stride);
        if (s->groups > 1 && n < cap) n += format_text(out + n, cap - n, " g%g", s->groups);
        if (n < cap) format_text(out + n, cap - n, " -> %gx%gx%g", s->out, s->oh, s->ow);
        break;
    }
    case KERNEL_ATTENTION: {
        const attention_shape *s = &k->shape.attention;
        format_text(out, cap, "%g x %g heads, %g on %g, dim %g%s", s->batch, s->heads, s->q_len, s->kv_len, s->head_dim,
                    s->causal ? ", causal" : "");
        break;
    }
    case KERNEL_RECURRENT: {
        const recurrent_shape *s = &k->shape.recurrent;
        format_text(out, cap, "%g steps x %g, %g -> %g", s->steps, s->batch, s->input, s->hidden);
        break;
    }
    case KERNEL_SCAN: {
        const scan_shape *s = &k->shape.scan;
        format_text(out, cap, "%g x %g heads, %g steps, state %g x %g", s->seqs, s->heads, s->steps, s->dim, s->width);
        break;
    }
    case KERNEL_COMM: {
        const comm_shape *s = &k->shape.comm;
        format_text(out, cap, "%.0f bytes, %g GPUs", s->bytes, s->gpus);
        break;
    }
    default:
        if (k->shape.rows.cols > 1) format_text(out, cap, "%.0f x %.0f", k->shape.rows.rows, k->shape.rows.cols);
        else format_text(out, cap, "%.0f", k->shape.rows.rows);
    }
}

static void op_text(char *out, size_t cap, const plan_step *s)
{
    static const char *const roles[STEP_ROLES] = {"",
                                                  " (cast)",
                                                  " (copy)",
                                                  " (bias)",
                                                  " (batch norm)",
                                                  " (between GPUs)",
                                                  " (batch norm statistics)",
                                                  "loss",
                                                  "loss (backward)",
                                                  " (again)",
                                                  " (backward)",
                                                  " (weight gradient)",
                                                  " (gradient sum)",
                                                  "optimizer"};
    const char *role = s->role == STEP_NORM && s->kind == OP_BatchNormalization ? "" : roles[s->role];
    if (s->op == NO_TENSOR) format_text(out, cap, "%s", role);
    else if (s->tail != OP_KIND_COUNT)
        format_text(out, cap, "%s+%s%s", op_kind_name((op_kind)s->kind), op_kind_name((op_kind)s->tail), role);
    else format_text(out, cap, "%s%s", op_kind_name((op_kind)s->kind), role);
}

pg_code api_explain_kernel(arena *a, pg_kernel_row *row, const char *name, const kernel *k, const kernel_cost *c,
                           const predict_gpu *g, double count, pg_error *e)
{
    char shape[128];
    shape_text(shape, sizeof shape, k);
    row->name = name;
    row->shape = api_text(a, str_c(shape));
    if (!row->name || !row->op || !row->shape) return error_nomem(e, a);
    row->kernel = kernel_names[k->kind];
    row->count = (uint64_t)count;
    row->time_ms = c->seconds * 1e3 * count;
    row->ideal_ms = c->ideal_s * 1e3 * count;
    row->flops = k->flops * count;
    row->bytes = (k->read_bytes + k->weight_bytes + k->write_bytes) * count;
    double peak = g->cost.peak[k->math] / g->compute_level;
    if (c->seconds > 0) {
        row->flops_share = peak > 0 ? k->flops / peak / c->seconds : 0;
        row->bandwidth_share = c->dram_bytes * g->memory_level / g->cost.dram_peak / c->seconds;
    }
    row->bound = api_bound_name(c->limit);
    return PG_E_OK;
}

static pg_code fill_row(pg_explanation *x, const pg_plan *plan, const kernel *k, const predict_gpu *g,
                        const plan_step *s, const kernel_cost *c, pg_kernel_row *row, pg_error *e)
{
    char op_name[96];
    op_text(op_name, sizeof op_name, s);
    row->op = api_text(&x->a, str_c(op_name));
    const char *name = s->op == NO_TENSOR ? "" : api_text(&x->a, plan->model->g.ops[s->op].name);
    return api_explain_kernel(&x->a, row, name, k, c, g, s->trips, e);
}

/* All steps of the prompts, then all of the tokens after them. */
static pg_code explain_language(pg_explanation *x, const pg_plan *plan, const gpu_spec *spec, pg_error *e)
{
    const api_language *l = api_language_on(plan, spec);
    const llm_plan *parts[] = {l->tuning ? &l->tuning->plan : &l->prefill,
                               l->tuning || plan->request.task == PG_TASK_PREFILL ? NULL : &l->decode};
    const char *const names[] = {l->tuning ? "step" : "prefill", "decode"};
    predict_options o = api_predict_options(plan, spec);
    predict_gpu g;
    pg_code code = PG_E_OK;
    double at = 0, total = 0;
    for (int i = 0; i < 2; i++) x->count += parts[i] ? parts[i]->plan.n_kernels : 0;
    x->rows = ARENA_ARRAY(&x->a, pg_kernel_row, x->count + 1);
    if (!x->rows) return error_nomem(e, &x->a);
    size_t n = 0;
    for (int i = 0; i < 2; i++) {
        if (!parts[i]) continue;
        llm_gpu_init(&g, spec, &plan->catalog->config.cost, plan->runtime, &o);
        power_sustain(&g, &parts[i]->plan, &plan->catalog->config.predict, &o);
        for (uint32_t k = 0; !code && k < parts[i]->plan.n_kernels; k++, n++) {
            kernel_cost c = predict_kernel(&parts[i]->plan, k, &g, &o);
            x->rows[n].start_ms = at;
            x->rows[n].op = parts[i]->labels[k];
            code = api_explain_kernel(&x->a, &x->rows[n], names[i], &parts[i]->plan.kernels[k].k, &c, &g,
                                      parts[i]->plan.kernels[k].count * parts[i]->steps, e);
            at += x->rows[n].time_ms;
        }
    }
    total = at;
    for (size_t i = 0; !code && i < x->count; i++) x->rows[i].share = total > 0 ? x->rows[i].time_ms / total : 0;
    return code;
}

static pg_code explain_graph(pg_explanation *x, const pg_plan *plan, const gpu_spec *spec, pg_error *e)
{
    const kernel_plan *kernels = api_plan_on(plan, spec);
    const plan_step *steps = kernels->steps;
    x->count = kernels->n_steps;
    x->rows = ARENA_ARRAY(&x->a, pg_kernel_row, x->count);
    pg_code code = x->rows ? PG_E_OK : error_nomem(e, &x->a);
    predict_options o = api_predict_options(plan, spec);
    predict_gpu g;
    predict_gpu_init(&g, spec, &plan->catalog->config.cost, &o);
    power_sustain(&g, kernels, &plan->catalog->config.predict, &o);
    double total = 0;
    for (size_t i = 0; !code && i < x->count; i++) {
        kernel_cost c = predict_kernel(kernels, steps[i].kernel, &g, &o);
        x->rows[i].start_ms = total;
        code = fill_row(x, plan, &kernels->kernels[steps[i].kernel].k, &g, &steps[i], &c, &x->rows[i], e);
        total += x->rows[i].time_ms;
    }
    for (size_t i = 0; !code && i < x->count; i++) x->rows[i].share = total > 0 ? x->rows[i].time_ms / total : 0;
    return code;
}

pg_code pg_plan_explain(pg_explanation **out, const pg_plan *plan, const pg_gpu *gpu, pg_error *error)
{
    *out = NULL;
    pg_explanation *x = api_new(plan->a.alloc, sizeof *x, error);
    if (!x) return PG_E_NOMEM;
    arena_init(&x->a, plan->a.alloc, plan->a.limit);
    const gpu_spec *spec = ((const api_gpu *)(const void *)gpu)->spec;
    pg_code code = plan->language ? explain_language(x, plan, spec, error) : explain_graph(x, plan, spec, error);
    if (code) pg_explanation_free(x);
    else *out = x;
    return code;
}

void pg_explanation_free(pg_explanation *explanation)
{
    if (!explanation) return;
    allocator alloc = explanation->a.alloc;
    arena_free(&explanation->a);
    api_delete(alloc, explanation, sizeof *explanation);
}

size_t pg_explanation_count(const pg_explanation *explanation)
{
    return explanation->count;
}

const pg_kernel_row *pg_explanation_at(const pg_explanation *explanation, size_t i)
{
    return i < explanation->count ? &explanation->rows[i] : NULL;
}
