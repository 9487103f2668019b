/* The trace-event format of chrome://tracing and Perfetto: one object with "traceEvents"; ts and dur in microseconds.
 *   ph "M": names a process or thread; ph "X": an event with a beginning and a length. */
#include "render/render.h"

enum { PROCESS = 1, STREAM = 1, HOST = 2 };

static void name_event(jsonw *j, const char *what, int thread, const char *name)
{
    jsonw_object(j, JSONW_INLINE);
    jsonw_key(j, "name");
    jsonw_text(j, what);
    jsonw_key(j, "ph");
    jsonw_text(j, "M");
    jsonw_key(j, "pid");
    jsonw_integer(j, PROCESS);
    jsonw_key(j, "tid");
    jsonw_integer(j, thread);
    jsonw_key(j, "args");
    jsonw_object(j, JSONW_INLINE);
    jsonw_key(j, "name");
    jsonw_text(j, name);
    jsonw_end(j);
    jsonw_end(j);
}

static void begin_event(jsonw *j, const char *name, const char *category, int thread, double start_us, double length_us)
{
    jsonw_object(j, JSONW_INLINE);
    jsonw_key(j, "name");
    jsonw_text(j, name);
    jsonw_key(j, "cat");
    jsonw_text(j, category);
    jsonw_key(j, "ph");
    jsonw_text(j, "X");
    jsonw_key(j, "ts");
    jsonw_number(j, start_us);
    jsonw_key(j, "dur");
    jsonw_number(j, length_us);
    jsonw_key(j, "pid");
    jsonw_integer(j, PROCESS);
    jsonw_key(j, "tid");
    jsonw_integer(j, thread);
}

static void kernel_event(jsonw *j, const pg_kernel_row *k, double start_us)
{
    begin_event(j, k->name && k->name[0] ? k->name : k->op, k->kernel ? k->kernel : "kernel", STREAM, start_us,
                k->time_ms * 1e3);
    jsonw_key(j, "args");
    jsonw_object(j, JSONW_INLINE);
    jsonw_key(j, "op");
    jsonw_text(j, k->op);
    jsonw_key(j, "shape");
    jsonw_text(j, k->shape);
    jsonw_key(j, "bound");
    jsonw_text(j, k->bound);
    jsonw_key(j, "roofline_us");
    jsonw_known(j, k->ideal_ms < 0 ? -1 : k->ideal_ms * 1e3);
    jsonw_key(j, "flops");
    render_whole_json(j, k->flops);
    jsonw_key(j, "bytes");
    render_whole_json(j, k->bytes);
    jsonw_key(j, "runs");
    render_whole_json(j, (double)k->count);
    jsonw_end(j);
    jsonw_end(j);
}

/* Issues the kernels at `issue_us` a run to a GPU that begins at `wait_us`; returns when the last one ends. `j` NULL:
 * only that. */
static double run_step(jsonw *j, const pg_explanation *explanation, double issue_us, double wait_us)
{
    double host_us = 0, free_us = wait_us, end_us = 0;
    for (size_t i = 0; i < pg_explanation_count(explanation); i++) {
        const pg_kernel_row *k = pg_explanation_at(explanation, i);
        double start = k->start_ms * 1e3 + wait_us, length = issue_us * (double)k->count;
        if (j && issue_us > 0) {
            begin_event(j, k->name && k->name[0] ? k->name : k->op, "issue", HOST, host_us, length);
            jsonw_end(j);
        }
        /* A kernel starts when the first of its runs was issued and the stream is free. */
        if (start < host_us + issue_us) start = host_us + issue_us;
        if (start < free_us) start = free_us;
        if (j) kernel_event(j, k, start);
        host_us += length;
        end_us = start + k->time_ms * 1e3;
        free_us = end_us < host_us ? host_us : end_us;
    }
    return end_us > host_us ? end_us : host_us;
}

/* The most that issuing a run may take so that the step ends by `step_us`, `most` at most. */
static double fit_issue(const pg_explanation *explanation, double most, double step_us)
{
    enum { HALVINGS = 40 };
    double low = 0, high = most;
    if (run_step(NULL, explanation, most, 0) <= step_us) return most;
    for (int i = 0; i < HALVINGS; i++) {
        double middle = (low + high) / 2;
        if (run_step(NULL, explanation, middle, 0) <= step_us) low = middle;
        else high = middle;
    }
    return low;
}

void render_trace(buffer *out, const render_row *row, const pg_explanation *explanation)
{
    const pg_prediction *p = &row->p;
    uint64_t runs = 0;
    for (size_t i = 0; i < pg_explanation_count(explanation); i++) runs += pg_explanation_at(explanation, i)->count;
    double step_us = p->latency_ms * 1e3;
    double issue_us = runs && p->host_ms > 0 ? p->host_ms * 1e3 / (double)runs : 0;
    issue_us = fit_issue(explanation, issue_us, step_us);
    double wait_us = step_us - run_step(NULL, explanation, issue_us, 0); /* for the first launch */
    char process[300];
    format_text(process, sizeof process, "%s on %s, batch %lld, %s, %s (predicted)", row->model,
                p->gpu_name ? p->gpu_name : p->gpu, (long long)p->batch, p->precision ? p->precision : "-",
                p->runtime ? p->runtime : "-");
    jsonw j;
    jsonw_init(&j, out);
    jsonw_object(&j, JSONW_LINES);
    jsonw_key(&j, "displayTimeUnit");
    jsonw_text(&j, "ms");
    jsonw_key(&j, "traceEvents");
    jsonw_array(&j, JSONW_LINES);
    name_event(&j, "process_name", STREAM, process);
    name_event(&j, "thread_name", STREAM, "GPU stream");
    name_event(&j, "thread_name", HOST, "host issue");
    run_step(&j, explanation, issue_us, wait_us > 0 ? wait_us : 0);
    jsonw_finish(&j);
}
