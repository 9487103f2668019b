/* Predicted against measured, as SVG: logarithmic axes with one scale, a colour for each GPU. */
#include <stdlib.h>

#include "render/validation.h"

enum { WIDTH = 980, HEIGHT = 760, LEFT = 92, TOP = 56, SIDE = 620, LEGEND = LEFT + SIDE + 24, LINE = 20, COLORS = 16 };

/* Told apart by most people, colour-blind ones included as far as so many allow; the last one stands for all others. */
static const char *const palette[COLORS] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9",
                                            "#7b3294", "#a6761d", "#1b7837", "#e7298a", "#4d4d4d", "#b2182b",
                                            "#66a61e", "#2166ac", "#bf812d", "#999999"};

typedef struct series {
    const char *name;
    size_t count;
    double sum; /* of |error| */
} series;

/* What is drawn, in one unit: seconds of a step, bytes, watts or joules. */
typedef enum quantity { QUANTITY_TIME, QUANTITY_MEMORY, QUANTITY_POWER, QUANTITY_ENERGY, QUANTITIES } quantity;

typedef struct plot {
    buffer *out;
    const bench_point *points;
    size_t count;
    quantity what;
    series list[COLORS];
    size_t list_count;
    int low, high; /* powers of ten at the ends of both axes */
} plot;

static quantity quantity_of(const bench_row *row)
{
    if (row->metric == METRIC_MEMORY_BYTES) return QUANTITY_MEMORY;
    if (row->metric == METRIC_ENERGY_J) return QUANTITY_ENERGY;
    return row->metric == METRIC_POWER_W ? QUANTITY_POWER : QUANTITY_TIME;
}

/* False for what isn't on this plot. Throughputs are shown as the time of a step. */
static bool values_of(const plot *p, const bench_point *point, double *measured, double *predicted)
{
    const bench_row *row = point->row;
    if (point->skipped || quantity_of(row) != p->what) return false;
    *measured = p->what == QUANTITY_TIME ? bench_seconds(row) : row->value;
    double ratio = point->predicted / row->value;
    *predicted = row->metric == METRIC_THROUGHPUT ? *measured / ratio : *measured * ratio;
    return *measured > 0 && *predicted > 0 && isfinite(*measured) && isfinite(*predicted);
}

static int by_count(const void *x, const void *y)
{
    const series *a = x, *b = y;
    if (a->count != b->count) return a->count > b->count ? -1 : 1;
    return strcmp(a->name, b->name);
}

/* The GPUs with the most points get a colour each. */
static bool choose_series(plot *p, allocator alloc)
{
    size_t n = 0, cap = 0;
    series *all = NULL;
    for (size_t i = 0; i < p->count; i++) {
        double x, y;
        if (!values_of(p, &p->points[i], &x, &y)) continue;
        const char *name = p->points[i].gpu->key;
        size_t k = 0;
        while (k < n && all[k].name != name) k++;
        if (k == cap) {
            series *grown = alloc.resize(alloc.ud, all, cap * sizeof *all, (cap + 64) * sizeof *all);
            if (!grown) break;
            all = grown;
            cap += 64;
        }
        if (k == n) all[n++] = (series){name, 0, 0};
        all[k].count++;
        all[k].sum += fabs(p->points[i].error);
    }
    if (n) qsort(all, n, sizeof *all, by_count);
    for (size_t i = 0; i < n; i++) {
        size_t to = i < COLORS - 1 || n == COLORS ? i : COLORS - 1;
        if (to == i) p->list[to] = all[i];
        else {
            p->list[to].name = "others";
            p->list[to].count += all[i].count;
            p->list[to].sum += all[i].sum;
        }
        if (to >= p->list_count) p->list_count = to + 1;
    }
    if (all) alloc.resize(alloc.ud, all, cap * sizeof *all, 0);
    return n > 0;
}

static size_t series_of(const plot *p, const char *name)
{
    for (size_t i = 0; i < p->list_count; i++)
        if (p->list[i].name == name) return i;
    return p->list_count - 1;
}

static void choose_range(plot *p)
{
    double low = INFINITY, high = 0;
    for (size_t i = 0; i < p->count; i++) {
        double x, y;
        if (!values_of(p, &p->points[i], &x, &y)) continue;
        low = fmin(low, fmin(x, y));
        high = fmax(high, fmax(x, y));
    }
    p->low = (int)floor(log10(low) + 1e-9);
    p->high = (int)ceil(log10(high) - 1e-9);
    if (p->high <= p->low) p->high = p->low + 1;
}

static double place(const plot *p, double x)
{
    return (log10(x) - p->low) / (p->high - p->low) * SIDE;
}

static void escape(buffer *out, const char *text)
{
    buffer clean;
    buffer_init(&clean, out->alloc);
    text_clean(&clean, str_c(text), false);
    for (size_t i = 0; i < clean.len; i++) {
        char c = clean.ptr[i];
        if (c == '&') buffer_text(out, "&amp;");
        else if (c == '<') buffer_text(out, "&lt;");
        else if (c == '>') buffer_text(out, "&gt;");
        else buffer_char(out, c);
    }
    if (clean.failed) out->failed = true;
    buffer_free(&clean);
}

/* "10 µs", "1 ms", "100 s"; "10 MB"; "100 W". */
static void tick_label(const plot *p, int power, char *out, size_t cap)
{
    static const char *const times[] = {"ns", "\xc2\xb5s", "ms", "s"}, *const sizes[] = {"B", "kB", "MB", "GB", "TB"};
    static const char *const tens[] = {"1", "10", "100"};
    int base = p->what == QUANTITY_TIME ? power + 9 : power, unit = base >= 0 ? base / 3 : 0;
    int most = p->what == QUANTITY_TIME ? 3 : p->what == QUANTITY_MEMORY ? 4 : 0;
    if (unit > most) unit = most;
    int rest = base - 3 * unit;
    const char *name = p->what == QUANTITY_TIME   ? times[unit]
                     : p->what == QUANTITY_MEMORY ? sizes[unit]
                     : p->what == QUANTITY_POWER  ? "W"
                                                  : "J";
    if (rest >= 0 && rest <= 2) format_text(out, cap, "%s %s", tens[rest], name);
    else format_text(out, cap, "10^%d %s", rest, name);
}

static void put_axes(const plot *p)
{
    static const char *const what[QUANTITIES] = {"time of a step", "memory", "power", "energy"};
    buffer *o = p->out;
    double step = (double)SIDE / (p->high - p->low);
    buffer_format(o, "<path class=\"minor\" d=\"");
    for (int k = p->low; k < p->high && p->high - p->low <= 8; k++)
        for (int i = 2; i < 10; i++) {
            double at = place(p, pow(10, k) * i);
            buffer_format(o, "M%.1f %dv-5M%d %.1fh5", LEFT + at, TOP + SIDE, LEFT, TOP + SIDE - at);
        }
    buffer_format(o, "\"/>\n<path class=\"grid\" d=\"");
    for (int k = p->low; k <= p->high; k++) {
        double at = (k - p->low) * step;
        buffer_format(o, "M%.1f %dv%dM%d %.1fh%d", LEFT + at, TOP, SIDE, LEFT, TOP + at, SIDE);
    }
    buffer_format(o, "\"/>\n");
    for (int k = p->low; k <= p->high; k++) {
        char label[32];
        double at = (k - p->low) * step;
        tick_label(p, k, label, sizeof label);
        buffer_format(o, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", LEFT + at, TOP + SIDE + 22,
                      label);
        buffer_format(o, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", LEFT - 8, TOP + SIDE - at + 5,
                      label);
    }
    buffer_format(o, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">measured %s</text>\n", LEFT + SIDE / 2,
                  TOP + SIDE + 50, what[p->what]);
    buffer_format(o, "<text transform=\"translate(22 %d) rotate(-90)\" text-anchor=\"middle\">predicted %s</text>\n",
                  TOP + SIDE / 2, what[p->what]);
}

/* predicted = factor * measured, within the frame. */
static void put_line(const plot *p, const char *class, double factor)
{
    double shift = log10(factor) / (p->high - p->low) * SIDE;
    double x1 = shift < 0 ? -shift : 0, x2 = shift > 0 ? SIDE - shift : SIDE;
    buffer_format(p->out, "<path class=\"%s\" d=\"M%.1f %.1fL%.1f %.1f\"/>\n", class, LEFT + x1,
                  TOP + SIDE - x1 - shift, LEFT + x2, TOP + SIDE - x2 - shift);
}

/* A point is a line of no length with round ends: eight characters or so each. */
static void put_points(const plot *p)
{
    const char *width = p->count > 2000 ? "3" : p->count > 300 ? "4.5" : "7";
    for (size_t s = 0; s < p->list_count; s++) {
        buffer_format(p->out, "<path class=\"p\" stroke=\"%s\" stroke-width=\"%s\" d=\"", palette[s], width);
        for (size_t i = 0; i < p->count; i++) {
            double x, y;
            if (!values_of(p, &p->points[i], &x, &y) || series_of(p, p->points[i].gpu->key) != s) continue;
            buffer_format(p->out, "M%.1f %.1fh0", LEFT + place(p, x), TOP + SIDE - place(p, y));
        }
        buffer_format(p->out, "\"/>\n");
    }
}

static void put_legend(const plot *p)
{
    int y = TOP + 8;
    buffer_format(p->out, "<text x=\"%d\" y=\"%d\" class=\"small\">GPU: points, mean error</text>\n", LEGEND, y);
    for (size_t s = 0; s < p->list_count; s++) {
        y += LINE;
        buffer_format(p->out, "<circle cx=\"%d\" cy=\"%d\" r=\"5\" fill=\"%s\"/>", LEGEND + 5, y - 5, palette[s]);
        buffer_format(p->out, "<text x=\"%d\" y=\"%d\" class=\"small\">", LEGEND + 16, y);
        escape(p->out, p->list[s].name);
        buffer_format(p->out, ": %zu, %.1f %%</text>\n", p->list[s].count,
                      100 * p->list[s].sum / (double)p->list[s].count);
    }
    y += LINE + 8;
    buffer_format(
        p->out,
        "<path class=\"same\" d=\"M%d %dh26\"/><text x=\"%d\" y=\"%d\" class=\"small\">predicted = measured</text>\n",
        LEGEND, y - 4, LEGEND + 32, y);
    y += LINE;
    buffer_format(p->out,
                  "<path class=\"band\" d=\"M%d %dh26\"/><text x=\"%d\" y=\"%d\" class=\"small\">25 %% off</text>\n",
                  LEGEND, y - 4, LEGEND + 32, y);
}

/* What is drawn may be less than what was validated: memory and power stand on axes of their own. */
static void put_title(const plot *p, const char *title)
{
    size_t n = 0;
    double sum = 0;
    for (size_t s = 0; s < p->list_count; s++) {
        n += p->list[s].count;
        sum += p->list[s].sum;
    }
    buffer_format(p->out, "<text x=\"%d\" y=\"30\" font-size=\"18\">", LEFT);
    escape(p->out, title);
    if (n) buffer_format(p->out, ": %zu points, mean error %.1f %%", n, 100 * sum / (double)n);
    buffer_text(p->out, "</text>\n");
}

void render_plot(buffer *out, const bench_point *points, size_t count, const char *title)
{
    plot p = {.out = out, .points = points, .count = count};
    size_t of[QUANTITIES] = {0};
    for (size_t i = 0; i < count; i++)
        if (!points[i].skipped) of[quantity_of(points[i].row)]++;
    for (int q = 1; q < QUANTITIES; q++)
        if (of[q] > of[p.what]) p.what = (quantity)q;
    bool any = choose_series(&p, out->alloc);
    buffer_format(out,
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" "
                  "font-family=\"sans-serif\" font-size=\"15\">\n",
                  WIDTH, HEIGHT, WIDTH, HEIGHT);
    buffer_text(
        out, "<style>text{fill:#222}.small{font-size:13px}path{fill:none}.p{stroke-linecap:round;stroke-opacity:.55}"
             ".grid{stroke:#ddd}.minor{stroke:#888}.same{stroke:#222;stroke-width:1.5}"
             ".band{stroke:#222;stroke-dasharray:6 4}</style>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n");
    put_title(&p, title);
    if (any) {
        choose_range(&p);
        put_axes(&p);
        put_points(&p);
        put_line(&p, "same", 1);
        put_line(&p, "band", 1.25);
        put_line(&p, "band", 0.75);
        put_legend(&p);
    } else {
        buffer_format(out, "<text x=\"%d\" y=\"%d\">No point could be predicted.</text>\n", LEFT, TOP + LINE);
    }
    buffer_format(out, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"none\" stroke=\"#222\"/>\n</svg>\n",
                  LEFT, TOP, SIDE, SIDE);
}
