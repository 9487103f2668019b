/* load-model: what the model is, and how it runs on one GPU. */
#include "render/render.h"

enum { OPERATORS_SHOWN = 6, TENSORS_SHOWN = 8, REMARKS_SHOWN = 16, REMARK_WIDTH = 240 };

static void shape_json(jsonw *j, const pg_tensor *t)
{
    jsonw_object(j, JSONW_INLINE);
    jsonw_key(j, "name");
    jsonw_text(j, t->name);
    jsonw_key(j, "dtype");
    jsonw_text(j, t->dtype);
    jsonw_key(j, "shape");
    if (t->rank < 0) {
        jsonw_null(j);
    } else {
        jsonw_array(j, JSONW_INLINE);
        for (int i = 0; i < t->rank; i++) {
            const pg_dim *d = &t->dims[i];
            if (d->symbolic && d->text) jsonw_text(j, d->text);
            else if (d->value >= 0) jsonw_integer(j, d->value);
            else jsonw_null(j);
        }
        jsonw_end(j);
    }
    jsonw_end(j);
}

static void tensors_json(jsonw *j, const char *key, const pg_tensor *tensors, size_t count)
{
    jsonw_key(j, key);
    jsonw_array(j, JSONW_LINES);
    for (size_t i = 0; i < count; i++) shape_json(j, &tensors[i]);
    jsonw_end(j);
}

static void counts_json(jsonw *j, const char *key, const pg_count *counts, size_t count)
{
    jsonw_key(j, key);
    jsonw_object(j, JSONW_INLINE);
    for (size_t i = 0; i < count; i++) {
        jsonw_key(j, counts[i].name ? counts[i].name : "?");
        render_whole_json(j, (double)counts[i].count);
    }
    jsonw_end(j);
}

static void remarks_json(jsonw *j, const pg_model_info *info)
{
    if (!info->remark_count) return;
    jsonw_key(j, "metadata");
    jsonw_array(j, JSONW_LINES);
    for (size_t i = 0; i < info->remark_count; i++) {
        jsonw_object(j, JSONW_INLINE);
        jsonw_key(j, "key");
        jsonw_text(j, info->remarks[i].key);
        jsonw_key(j, "text");
        jsonw_text(j, info->remarks[i].text);
        jsonw_end(j);
    }
    jsonw_end(j);
}

static void info_json(jsonw *j, const pg_model_info *info)
{
    jsonw_key(j, "model");
    jsonw_text(j, info->name);
    jsonw_key(j, "path");
    jsonw_text(j, info->path);
    jsonw_key(j, "format");
    jsonw_text(j, info->format);
    jsonw_key(j, "family");
    jsonw_text(j, info->family);
    jsonw_key(j, "producer");
    jsonw_text(j, info->producer);
    jsonw_key(j, "parameters");
    render_whole_json(j, info->parameters);
    if (info->active_parameters > 0) {
        jsonw_key(j, "active_parameters");
        render_whole_json(j, info->active_parameters);
    }
    if (info->other_parameters > 0) {
        jsonw_key(j, "other_parameters");
        render_whole_json(j, info->other_parameters);
    }
    jsonw_key(j, "weights_bytes");
    render_whole_json(j, info->weights_bytes);
    counts_json(j, "weights_by_dtype", info->weights_by_dtype, info->weights_by_dtype_count);
    jsonw_key(j, "operators");
    render_whole_json(j, (double)info->operators);
    jsonw_key(j, "macs");
    render_whole_json(j, info->macs);
    if (info->no_graph) {
        jsonw_key(j, "no_graph");
        jsonw_text(j, info->no_graph);
    }
    tensors_json(j, "inputs", info->inputs, info->input_count);
    tensors_json(j, "outputs", info->outputs, info->output_count);
    counts_json(j, "operator_counts", info->operator_counts, info->operator_count_count);
    counts_json(j, "unknown_operators", info->unknown_operators, info->unknown_operator_count);
    remarks_json(j, info);
}

static void model_json(buffer *out, const render_model *m)
{
    jsonw j;
    jsonw_init(&j, out);
    jsonw_object(&j, JSONW_LINES);
    info_json(&j, m->info);
    render_warnings_json(&j, m->warnings);
    jsonw_key(&j, "predictions");
    jsonw_array(&j, JSONW_LINES);
    for (size_t i = 0; i < m->row_count; i++) {
        jsonw_object(&j, JSONW_LINES);
        render_row_json(&j, &m->rows[i]);
        jsonw_end(&j);
    }
    jsonw_end(&j);
    if (m->explain) render_explanation_json(&j, m->explanation);
    jsonw_finish(&j);
}

static void model_csv(buffer *out, const render_model *m)
{
    if (m->explain) {
        render_explanation_csv(out, m->explanation);
        return;
    }
    render_rows_csv_names(out);
    for (size_t i = 0; i < m->row_count; i++) render_row_csv(out, &m->rows[i]);
}

/* "float32 [batch, 3, 224, 224]"; what isn't known is "?" */
static void tensor_pair(report *r, const char *label, const pg_tensor *t)
{
    char shape[256];
    size_t n = 0;
    for (int i = 0; i < t->rank && n < sizeof shape; i++) {
        const pg_dim *d = &t->dims[i];
        n += format_text(shape + n, sizeof shape - n, i ? ", " : "");
        if (n >= sizeof shape) break;
        if (d->text) n += format_text(shape + n, sizeof shape - n, "%s", d->text);
        else if (d->value >= 0) n += format_text(shape + n, sizeof shape - n, "%lld", (long long)d->value);
        else n += format_text(shape + n, sizeof shape - n, "?");
    }
    shape[n < sizeof shape ? n : sizeof shape - 1] = '\0';
    const char *dtype = t->dtype ? t->dtype : "?";
    if (t->rank < 0) report_pair(r, label, TONE_PLAIN, "%s: %s of unknown shape", t->name, dtype);
    else report_pair(r, label, TONE_PLAIN, "%s: %s [%s]", t->name, dtype, shape);
}

static void tensor_pairs(report *r, const char *label, const pg_tensor *tensors, size_t count)
{
    for (size_t i = 0; i < count && i < TENSORS_SHOWN; i++) tensor_pair(r, i ? "" : label, &tensors[i]);
    if (count > TENSORS_SHOWN) report_pair(r, "", TONE_DIM, "and %zu more", count - TENSORS_SHOWN);
}

/* "53 Conv, 49 Relu, ... and 3 more kinds" */
static void counts_text(char *out, size_t cap, const pg_count *counts, size_t count, const char *dot)
{
    size_t n = 0;
    for (size_t i = 0; i < count && i < OPERATORS_SHOWN && n < cap; i++)
        n += format_text(out + n, cap - n, "%s%llu %s", i ? dot : "", (unsigned long long)counts[i].count,
                         counts[i].name ? counts[i].name : "?");
    if (count > OPERATORS_SHOWN && n < cap)
        format_text(out + n, cap - n, "%sand %zu more %s", dot, count - OPERATORS_SHOWN,
                    count - OPERATORS_SHOWN == 1 ? "kind" : "kinds");
}

static void weights_pair(report *r, const pg_model_info *info)
{
    char all[NUMBER_SIZE], one[NUMBER_SIZE], parts[256] = "";
    size_t n = 0;
    for (size_t i = 0; i < info->weights_by_dtype_count && i < OPERATORS_SHOWN && n < sizeof parts; i++) {
        const pg_count *c = &info->weights_by_dtype[i];
        number_bytes(one, sizeof one, (double)c->count);
        if (info->weights_by_dtype_count == 1) format_text(parts, sizeof parts, "%s", c->name);
        else n += format_text(parts + n, sizeof parts - n, "%s%s %s", i ? ", " : "", c->name, one);
    }
    number_bytes(all, sizeof all, info->weights_bytes);
    if (parts[0]) report_pair(r, "Weights", TONE_PLAIN, "%s (%s)", all, parts);
    else report_pair(r, "Weights", TONE_PLAIN, "%s", all);
}

/* Whole licences stand in some files: --json has all of it. */
static void remark_pairs(report *r, const pg_model_info *info)
{
    const char *more = r->style.unicode ? "\xe2\x80\xa6" : "...";
    for (size_t i = 0; i < info->remark_count && i < REMARKS_SHOWN; i++) {
        const pg_remark *m = &info->remarks[i];
        size_t n = strlen(m->text);
        bool cut = n > REMARK_WIDTH;
        for (n = cut ? REMARK_WIDTH : n; cut && n && ((unsigned char)m->text[n] & 0xc0) == 0x80;) n--;
        report_pair(r, i ? "" : "Metadata", TONE_PLAIN, "%s: %.*s%s", m->key, (int)n, m->text, cut ? more : "");
    }
    if (info->remark_count > REMARKS_SHOWN)
        report_pair(r, "", TONE_DIM, "and %zu more", info->remark_count - REMARKS_SHOWN);
}

static void info_report(report *r, const pg_model_info *info)
{
    char kind[128], number[NUMBER_SIZE], whole[NUMBER_SIZE], active[NUMBER_SIZE], counts[512] = "";
    /* who wrote the file; for built-in models that is no news */
    bool producer = info->producer && info->producer[0] && !(info->format && strcmp(info->format, "built-in") == 0);
    format_text(kind, sizeof kind, "%s%s%s%s%s", info->format ? info->format : "unknown format", render_dot(r),
                info->family ? info->family : "unknown family", producer ? render_dot(r) : "",
                producer ? info->producer : "");
    report_heading(r, 1, info->name, kind);
    if (!r->markdown) report_gap(r);
    number_whole(whole, sizeof whole, info->parameters);
    number_parameters(active, sizeof active, info->active_parameters);
    report_pair(r, "Parameters", TONE_PLAIN, "%s (%s)%s%s", number_parameters(number, sizeof number, info->parameters),
                whole, info->active_parameters > 0 ? ", of which a token meets " : "",
                info->active_parameters > 0 ? active : "");
    weights_pair(r, info);
    char sequence[NUMBER_SIZE + 24] = "";
    if (info->sequence_symbol && info->sequence > 1 && info->macs >= 0)
        format_text(sequence, sizeof sequence, ", a sequence of %lld", (long long)info->sequence);
    report_pair(r, "Work", TONE_PLAIN, "%s MACs a %s%s", number_count(number, sizeof number, info->macs),
                info->family && strcmp(info->family, "kernel") == 0 ? "run" : "sample", sequence);
    counts_text(counts, sizeof counts, info->operator_counts, info->operator_count_count, render_dot(r));
    report_pair(r, "Operators", TONE_PLAIN, "%s%s%s", number_whole(whole, sizeof whole, (double)info->operators),
                counts[0] ? ": " : "", counts);
    if (info->no_graph) report_pair(r, "Speed", TONE_WARN, "not known: %s", info->no_graph);
    if (info->unknown_operator_count) {
        counts[0] = '\0';
        counts_text(counts, sizeof counts, info->unknown_operators, info->unknown_operator_count, render_dot(r));
        report_pair(r, "Not known", TONE_WARN, "%s (counted as memory traffic only; the interval is wider)", counts);
    }
    tensor_pairs(r, info->input_count > 1 ? "Inputs" : "Input", info->inputs, info->input_count);
    tensor_pairs(r, info->output_count > 1 ? "Outputs" : "Output", info->outputs, info->output_count);
    remark_pairs(r, info);
}

static const char *bound_text(const char *bound)
{
    static const struct {
        const char *bound, *text;
    } texts[] = {
        {"compute", "compute: the arithmetic units are the limit"},
        {"memory", "memory: DRAM bandwidth is the limit"},
        {"cache", "cache: on-chip bandwidth is the limit"},
        {"launch", "launch: the kernels are too small to fill the GPU"},
        {"host", "host: the GPU waits for the CPU"},
        {"interconnect", "interconnect: the links between GPUs are the limit"},
    };
    for (size_t i = 0; bound && i < sizeof texts / sizeof texts[0]; i++)
        if (strcmp(bound, texts[i].bound) == 0) return texts[i].text;
    return bound ? bound : "-";
}

static const char *basis_text(const char *basis)
{
    if (basis && strcmp(basis, "calibrated") == 0) return "calibrated: this GPU was measured";
    if (basis && strcmp(basis, "transferred") == 0) return "transferred: other GPUs were measured, this one was not";
    if (basis && strcmp(basis, "specification") == 0) return "specification: datasheet figures only";
    return basis ? basis : "-";
}

static void time_pairs(report *r, const pg_prediction *p)
{
    char a[NUMBER_SIZE], b[NUMBER_SIZE], c[NUMBER_SIZE];
    bool u = r->style.unicode;
    number_time(a, sizeof a, p->latency_ms, u);
    number_time(b, sizeof b, p->latency_low_ms, u);
    number_time(c, sizeof c, p->latency_high_ms, u);
    report_pair(r, "Latency", TONE_BOLD, "%s  (80 %% interval: %s to %s)", a, b, c);
    number_plain(a, sizeof a, p->throughput);
    report_pair(r, "Throughput", TONE_BOLD, "%s %s", a, p->throughput_unit ? p->throughput_unit : "");
}

/* The precision whose peak the arithmetic is held against: none by name where the GPU lacks its units and computes in another. */
static const char *peak_name(const pg_prediction *p, const pg_gpu *g)
{
    const struct {
        const char *precision;
        double peak;
    } narrow[] = {{"tf32", g ? g->tf32_tflops : 1}, {"bf16", g ? g->bf16_tflops : 1}, {"fp8", g ? g->fp8_tflops : 1},
                  {"int8", g ? g->int8_tops : 1},   {"fp4", g ? g->fp4_tflops : 1},   {"int4", 0}};
    for (size_t i = 0; p->precision && i < sizeof narrow / sizeof narrow[0]; i++)
        if (strcmp(p->precision, narrow[i].precision) == 0 && narrow[i].peak <= 0) return "arithmetic";
    return p->precision ? p->precision : "arithmetic";
}

static void speed_pairs(report *r, const render_row *row)
{
    const pg_prediction *p = &row->p;
    char a[NUMBER_SIZE], b[NUMBER_SIZE];
    bool u = r->style.unicode;
    if (render_is_language(p)) render_language_pairs(r, p);
    else time_pairs(r, p);
    report_pair(r, "Bound by", TONE_PLAIN, "%s", bound_text(p->bottleneck));
    number_time(a, sizeof a, p->gpu_ms, u);
    number_time(b, sizeof b, p->host_ms, u);
    report_pair(r, "Time", TONE_PLAIN, "%s on the GPU, %s on the host", a, b);
    number_percent(a, sizeof a, p->compute_utilization);
    number_percent(b, sizeof b, p->memory_efficiency);
    report_pair(r, "Use", TONE_PLAIN, "%s of the %s peak, %s of the memory bandwidth", a, peak_name(p, row->gpu), b);
    number_watts(a, sizeof a, p->power_w);
    if (row->gpu && row->gpu->tdp_w > 0)
        report_pair(r, "Power", TONE_PLAIN, "%s of %s", a,
                    number_watts(b, sizeof b, row->gpu->tdp_w * (p->gpu_count > 1 ? p->gpu_count : 1)));
    else report_pair(r, "Power", TONE_PLAIN, "%s", a);
}

static void memory_table(report *r, const render_row *row)
{
    char bytes[NUMBER_SIZE], share[NUMBER_SIZE], title[NUMBER_SIZE + 8];
    double capacity = row->p.memory_capacity;
    number_bytes(bytes, sizeof bytes, capacity);
    format_text(title, sizeof title, "of %s", bytes);
    const column columns[] = {
        {"Memory", ALIGN_LEFT, 0, 16, false, false},
        {"Size", ALIGN_RIGHT, 0, 0, false, false},
        {title, ALIGN_RIGHT, 0, 0, false, false},
        {"", ALIGN_LEFT, 101, 0, true, false},
    };
    const pg_memory *m = &row->p.memory;
    const struct {
        const char *name;
        double bytes;
    } parts[] = {
        {"weights", m->weights},
        {"activations", m->activations},
        {"workspace", m->workspace},
        {"gradients", m->gradients},
        {"optimizer", m->optimizer},
        {"KV cache", m->kv_cache},
        {"framework", m->runtime - m->context},
        {"CUDA context", m->context},
    };
    table t;
    table_init(&t, r, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (!(parts[i].bytes > 0)) continue;
        double part = capacity > 0 ? parts[i].bytes / capacity : -1;
        table_cell(&t, TONE_PLAIN, "%s", parts[i].name);
        table_cell(&t, TONE_PLAIN, "%s", number_bytes(bytes, sizeof bytes, parts[i].bytes));
        table_cell(&t, TONE_DIM, "%s", number_percent(share, sizeof share, part));
        table_bar(&t, part, 24);
    }
    double all = capacity > 0 && m->total >= 0 ? m->total / capacity : -1;
    table_cell(&t, TONE_BOLD, "all");
    table_cell(&t, row->p.fits ? TONE_BOLD : TONE_BAD, "%s", number_bytes(bytes, sizeof bytes, m->total));
    table_cell(&t, TONE_DIM, "%s", number_percent(share, sizeof share, all));
    table_bar(&t, all, 24);
    report_gap(r);
    table_print(&t, 0);
}

static void run_report(report *r, const render_row *row, const render_money *money, render_warnings warnings)
{
    const pg_prediction *p = &row->p;
    char title[200], detail[200], need[NUMBER_SIZE], have[NUMBER_SIZE];
    const char *dot = render_dot(r);
    const char *name = p->gpu_name ? p->gpu_name : p->gpu;
    if (p->gpu_count > 1) format_text(title, sizeof title, "On %d x %s", p->gpu_count, name);
    else format_text(title, sizeof title, "On %s", name);
    format_text(detail, sizeof detail, "%s%s%s%s%s%s%s%sbatch %lld", p->gpu, dot, p->task ? p->task : "-", dot,
                p->precision ? p->precision : "-", dot, p->runtime ? p->runtime : "-", dot, (long long)p->batch);
    size_t n = strlen(detail);
    if (p->input_len > 0 && !render_is_language(p))
        format_text(detail + n, sizeof detail - n, "%ssequences of %lld", dot, (long long)p->input_len);
    report_heading(r, 1, title, detail);
    if (!r->markdown) report_gap(r);
    number_bytes(need, sizeof need, p->memory.total);
    number_bytes(have, sizeof have, p->memory_capacity);
    if (p->gpu_count > 1)
        report_pair(r, "Spread", TONE_PLAIN, "data parallel %d%stensor parallel %d%spipeline stages %d",
                    p->data_parallel, render_dot(r), p->tensor_parallel, render_dot(r), p->pipeline_parallel);
    static const char *const divided[] = {"", "optimizer's state", "optimizer's state and gradients",
                                          "optimizer's state, gradients and weights"};
    if (p->zero_stage >= 1 && p->zero_stage <= 3)
        report_pair(r, "Divided", TONE_PLAIN, "%s, among the data-parallel copies (ZeRO stage %d)",
                    divided[p->zero_stage], p->zero_stage);
    if (render_is_timed(p)) speed_pairs(r, row);
    else if (p->fits) report_pair(r, "Speed", TONE_BAD, "none: this runtime is not for this GPU");
    else report_pair(r, "Too big", TONE_BAD, "needs %s of memory, the GPU has %s", need, have);
    if (!p->fits && p->advice[0]) report_pair(r, "Would fit", TONE_WARN, "%s", p->advice);
    report_pair(r, "Rests on", TONE_PLAIN, "%s", basis_text(p->basis));
    render_cost_pairs(r, row, money);
    if (p->note && p->note[0] && !render_is_said(p->note, warnings)) report_pair(r, "Note", TONE_WARN, "%s", p->note);
    memory_table(r, row);
}

void render_model_report(report *r, const render_model *m)
{
    if (r->format == RENDER_JSON) {
        model_json(r->out, m);
        return;
    }
    if (r->format == RENDER_CSV) {
        model_csv(r->out, m);
        return;
    }
    info_report(r, m->info);
    if (m->row_count) run_report(r, &m->rows[0], &m->money, m->warnings);
    if (m->explanation) render_explanation_report(r, m->explanation);
    if (m->explain && !m->explanation) {
        report_gap(r);
        report_text(r, TONE_WARN, "The model %s, so there are no kernel times to show.",
                    m->rows[0].p.fits ? "has no such runtime on this GPU" : "doesn't fit on this GPU");
    }
    if (m->row_count > 1) {
        report_heading(r, 1, "Beside other GPUs", NULL);
        if (!r->markdown) report_gap(r);
        render_rows(r, m->rows, m->row_count, &(render_comparison){.money = m->money});
        render_notes(r, m->rows + 1, m->row_count - 1, m->warnings); /* the first said its own above */
        render_price_lines(r, m->rows, m->row_count, &m->money);
        report_gap(r);
        report_text(r, TONE_DIM, "%s", render_interval_text());
    }
}
