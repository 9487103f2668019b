/* Serving as a choice: what each user gets against what each GPU makes, for numbers of requests and GPUs that share a model. */
#include "render/render.h"

enum { COLUMNS = 60, LINES = 16, WIDTH = 900, HEIGHT = 560, LEFT = 90, TOP = 50, ACROSS = 600, DOWN = 420, COLORS = 8 };

static const char *const palette[COLORS] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                            "#e69f00", "#56b4e9", "#7b3294", "#4d4d4d"};

static void pareto_json(buffer *out, const render_pareto *p)
{
    jsonw j;
    jsonw_init(&j, out);
    jsonw_object(&j, JSONW_LINES);
    jsonw_key(&j, "model");
    jsonw_text(&j, p->model);
    jsonw_key(&j, "pareto");
    jsonw_array(&j, JSONW_LINES);
    for (size_t i = 0; i < p->count; i++) {
        const render_point *q = &p->points[i];
        jsonw_object(&j, JSONW_INLINE);
        jsonw_key(&j, "gpu");
        jsonw_text(&j, q->gpu->key);
        jsonw_key(&j, "tensor_parallel");
        jsonw_integer(&j, q->tensor);
        jsonw_key(&j, "concurrency");
        jsonw_integer(&j, q->requests);
        jsonw_key(&j, "tokens_per_s_per_user");
        jsonw_number(&j, q->per_user);
        jsonw_key(&j, "tokens_per_s_per_gpu");
        jsonw_number(&j, q->per_gpu);
        jsonw_key(&j, "ttft_ms");
        jsonw_number(&j, q->ttft_ms);
        jsonw_key(&j, "tpot_ms");
        jsonw_number(&j, q->tpot_ms);
        jsonw_key(&j, "on_front");
        jsonw_bool(&j, q->front);
        jsonw_end(&j);
    }
    jsonw_end(&j);
    render_warnings_json(&j, p->warnings);
    jsonw_finish(&j);
}

static void pareto_csv(buffer *out, const render_pareto *p)
{
    buffer_text(
        out, "gpu,tensor_parallel,concurrency,tokens_per_s_per_user,tokens_per_s_per_gpu,ttft_ms,tpot_ms,on_front\r\n");
    for (size_t i = 0; i < p->count; i++) {
        const render_point *q = &p->points[i];
        buffer_format(out, "%s,%d,%lld,%.6g,%.6g,%.6g,%.6g,%s\r\n", q->gpu->key, q->tensor, (long long)q->requests,
                      q->per_user, q->per_gpu, q->ttft_ms, q->tpot_ms, q->front ? "true" : "false");
    }
}

static void pareto_table(report *r, const render_pareto *p)
{
    static const column columns[] = {
        {"GPU", ALIGN_LEFT, 0, 0, false, false},           {"GPUs", ALIGN_RIGHT, 0, 0, false, false},
        {"At a time", ALIGN_RIGHT, 0, 0, false, false},    {"Tokens/s/user", ALIGN_RIGHT, 0, 0, false, false},
        {"Tokens/s/GPU", ALIGN_RIGHT, 0, 0, false, false}, {"TTFT", ALIGN_RIGHT, 2, 0, false, false},
        {"TPOT", ALIGN_RIGHT, 1, 0, false, false},
    };
    char text[NUMBER_SIZE];
    bool u = r->style.unicode;
    table t;
    table_init(&t, r, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < p->count; i++) {
        const render_point *q = &p->points[i];
        if (!q->front) continue;
        table_cell(&t, TONE_BOLD, "%s", q->gpu->key);
        table_cell(&t, TONE_PLAIN, "%d", q->tensor);
        table_cell(&t, TONE_PLAIN, "%lld", (long long)q->requests);
        table_cell(&t, TONE_PLAIN, "%s", number_plain(text, sizeof text, q->per_user));
        table_cell(&t, TONE_GOOD, "%s", number_plain(text, sizeof text, q->per_gpu));
        table_cell(&t, TONE_PLAIN, "%s", number_time(text, sizeof text, q->ttft_ms, u));
        table_cell(&t, TONE_PLAIN, "%s", number_time(text, sizeof text, q->tpot_ms, u));
    }
    table_print(&t, 1);
}

static double highest(const render_pareto *p, bool across)
{
    double most = 0;
    for (size_t i = 0; i < p->count; i++) {
        double x = across ? p->points[i].per_user : p->points[i].per_gpu;
        if (x > most) most = x;
    }
    return most > 0 ? most : 1;
}

/* The place of a point's GPU among those of the plot. */
static size_t gpu_of(const render_pareto *p, size_t at)
{
    size_t n = 0;
    for (size_t i = 1; i <= at; i++) n += p->points[i].gpu != p->points[i - 1].gpu;
    return n;
}

/* A letter for each GPU: capital on its front, small beside it. */
static void pareto_text(report *r, const render_pareto *p)
{
    char grid[LINES][COLUMNS + 1], text[NUMBER_SIZE];
    double right = highest(p, true), top = highest(p, false);
    memset(grid, ' ', sizeof grid);
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < p->count; i++) {
            const render_point *q = &p->points[i];
            int x = (int)(q->per_user / right * (COLUMNS - 1)), y = (int)(q->per_gpu / top * (LINES - 1));
            if (q->front == (pass == 1))
                grid[LINES - 1 - y][x] = (char)((q->front ? 'A' : 'a') + (char)(gpu_of(p, i) % 26));
        }
    report_gap(r);
    report_text(r, TONE_DIM, "Tokens/s for each GPU, up to %s", number_plain(text, sizeof text, top));
    for (int y = 0; y < LINES; y++) {
        grid[y][COLUMNS] = '\0';
        buffer_format(r->out, "  |%s\n", grid[y]);
    }
    buffer_text(r->out, "  +");
    for (int x = 0; x < COLUMNS; x++) buffer_char(r->out, '-');
    buffer_char(r->out, '\n');
    report_text(r, TONE_DIM, "Tokens/s for each user, up to %s", number_plain(text, sizeof text, right));
    for (size_t i = 0; i < p->count; i++)
        if (!i || p->points[i].gpu != p->points[i - 1].gpu)
            report_text(r, TONE_DIM, "%c: %s", 'A' + (int)(gpu_of(p, i) % 26), p->points[i].gpu->key);
}

void render_pareto_report(report *r, const render_pareto *p)
{
    if (r->format == RENDER_JSON) {
        pareto_json(r->out, p);
        return;
    }
    if (r->format == RENDER_CSV) {
        pareto_csv(r->out, p);
        return;
    }
    report_heading(r, 1, p->model, "serving: what each user gets against what each GPU makes");
    if (!r->markdown) report_gap(r);
    pareto_table(r, p);
    if (!r->markdown) pareto_text(r, p);
    report_gap(r);
    report_text(
        r, TONE_DIM,
        "Prompts of %lld tokens, %lld tokens after each. GPUs: that share the model (tensor parallel). Listed is what no "
        "other choice on that GPU beats in both.",
        (long long)p->input, (long long)p->output);
}

static void svg_axes(buffer *o, double right, double top)
{
    char text[NUMBER_SIZE];
    for (int i = 0; i <= 4; i++) {
        double x = LEFT + ACROSS * i / 4.0, y = TOP + DOWN - DOWN * i / 4.0;
        buffer_format(o, "<path stroke=\"#ddd\" d=\"M%.1f %dv%dM%d %.1fh%d\"/>\n", x, TOP, DOWN, LEFT, y, ACROSS);
        buffer_format(o, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", x, TOP + DOWN + 20,
                      number_plain(text, sizeof text, right * i / 4));
        buffer_format(o, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", LEFT - 8, y + 4,
                      number_plain(text, sizeof text, top * i / 4));
    }
    buffer_format(o, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">tokens/s for each user</text>\n",
                  LEFT + ACROSS / 2, TOP + DOWN + 46);
    buffer_format(
        o, "<text transform=\"translate(22 %d) rotate(-90)\" text-anchor=\"middle\">tokens/s for each GPU</text>\n",
        TOP + DOWN / 2);
}

void render_pareto_svg(buffer *o, const render_pareto *p)
{
    double right = highest(p, true), top = highest(p, false);
    buffer_format(o,
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" "
                  "font-size=\"13\">\n<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n",
                  WIDTH, HEIGHT, WIDTH, HEIGHT);
    svg_axes(o, right, top);
    for (size_t i = 0, end; i < p->count; i = end) {
        const char *color = palette[gpu_of(p, i) % COLORS];
        char mark = 'M';
        for (end = i; end < p->count && p->points[end].gpu == p->points[i].gpu;) end++;
        buffer_format(o, "<path fill=\"none\" stroke-width=\"2\" stroke=\"%s\" d=\"", color);
        for (size_t k = i; k < end; k++) {
            const render_point *q = &p->points[k];
            if (!q->front) continue;
            buffer_format(o, "%c%.1f %.1f", mark, LEFT + q->per_user / right * ACROSS,
                          TOP + DOWN - q->per_gpu / top * DOWN);
            mark = 'L';
        }
        buffer_text(o, "\"/>\n");
        for (size_t k = i; k < end; k++)
            buffer_format(o, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\" opacity=\"%s\"/>\n",
                          LEFT + p->points[k].per_user / right * ACROSS, TOP + DOWN - p->points[k].per_gpu / top * DOWN,
                          color, p->points[k].front ? "1" : "0.3");
        buffer_format(o, "<text x=\"%d\" y=\"%zu\" fill=\"%s\">%s</text>\n", LEFT + ACROSS + 24,
                      TOP + 20 + 20 * gpu_of(p, i), color, p->points[i].gpu->key);
    }
    buffer_text(o, "</svg>\n");
}
