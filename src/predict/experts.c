/* Which experts the tokens of a step meet, and the kernels that follow from it. */
#include "predict/experts.h"

#include "base/libc.h"

static double most(double a, double b)
{
    return a > b ? a : b;
}
static double least(double a, double b)
{
    return a < b ? a : b;
}

/* ---- how tokens spread over experts ---- */

static double height(int i)
{
    return GEMM_LEAST_ROWS << i;
}

/* Share of a normal distribution above x deviations. */
static double above(double x)
{
    return 1 / (1 + exp(least(1.702 * x, 700)));
}

/* Tiles of `rows` rows for an expert whose number of tokens is binomial: the chance that there is a first, a second, ... one. */
static double random_tiles(double rows, double mean, double deviation, double any)
{
    double first = floor((mean - 5 * deviation) / rows), tiles = any;
    if (first < 1) first = 1;
    else tiles = first;
    for (double j = first; j * rows < mean + 5 * deviation; j++)
        tiles += above((j * rows + 0.5 - mean) / most(deviation, 1e-3));
    return tiles;
}

enum { LIKED = 8 }; /* classes of experts, as many in each */

/* How much the experts of each class are liked, by a log-normal distribution: chances that a token picks one. The variance of the chance,
 * relative to its mean. */
static double chances_of(const experts_layer *l, double chance[LIKED])
{
    /* middles of eighths of a normal distribution */
    static const double middle[LIKED] = {-1.5341, -0.8871, -0.4888, -0.1573, 0.1573, 0.4888, 0.8871, 1.5341};
    double mean = least(l->used / l->experts, 1), scale = mean, spread = 0;
    for (int turn = 0; turn < 4; turn++) { /* no chance is above 1, and their sum stays */
        double sum = 0;
        for (int i = 0; i < LIKED; i++) sum += chance[i] = least(scale * exp(l->uneven * middle[i]), 1);
        scale *= mean * LIKED / sum;
    }
    for (int i = 0; i < LIKED; i++) spread += (chance[i] / mean - 1) * (chance[i] / mean - 1) / LIKED;
    return spread;
}

static void spread_random(experts_spread *out, const experts_layer *l)
{
    double own = l->experts / l->parts, pairs = l->tokens * l->used / l->parts, usual = pairs, chance[LIKED];
    double spread = chances_of(l, chance);
    /* The fullest of the GPUs has the mean and so many deviations (what the largest of 2 to 64 normal numbers has, to 0.1) of a binomial
     * and of how much its experts are liked. */
    if (l->parts > 1)
        pairs += (sqrt(2 * log(l->parts)) - 0.62) * sqrt((pairs + pairs * pairs * spread / own) * (1 - 1 / l->parts));
    pairs = least(pairs, l->tokens * least(l->used, own));
    out->pairs = most(pairs, 1);
    for (int c = 0; c < LIKED; c++) {
        double p = least(chance[c] * (l->parts > 1 ? pairs / usual : 1), 1), any = 1 - pow(1 - p, l->tokens);
        double mean = p * l->tokens, deviation = sqrt(mean * (1 - p));
        out->touched += own / LIKED * any;
        for (int i = 0; i < GEMM_ROW_TILES; i++)
            out->tiles[i] += own / LIKED * random_tiles(height(i), mean, deviation, any);
    }
    out->touched = most(least(out->touched, pairs), least(1, pairs));
}

static void spread_evenly(experts_spread *out, const experts_layer *l)
{
    double own = l->experts / l->parts;
    out->pairs = ceil(l->tokens * l->used / l->parts);
    out->touched = least(own, out->pairs);
    for (int i = 0; i < GEMM_ROW_TILES; i++)
        out->tiles[i] = out->touched * ceil(ceil(out->pairs / out->touched) / height(i));
}

/* Popularities x of a density x^-skew between 1 and 0.8 tokens (few tokens: 0.01 and 2), as kernel benchmarks draw them. */
static double popularity(const experts_layer *l, uint32_t *state)
{
    bool many = l->tokens * l->used > l->experts;
    double low = many ? 1 : 0.01, high = many ? l->tokens * 0.8 : 2, a = 1 - l->skew;
    *state = *state * 1664525u + 1013904223u;
    double u = (*state >> 8) * (1.0 / 16777216);
    if (fabs(a) < 1e-9) return low * exp(u * log(high / low));
    double first = pow(low, a);
    return pow((pow(high, a) - first) * u + first, 1 / a);
}

enum { DRAWS = 8, DRAWN_MOST = 1024 };

/* Gives `more` tokens to a GPU's experts that have fewest, or takes them from those that have most. */
static void even_out(double *rows, int own, double more, double limit)
{
    double step = most(floor(fabs(more) / own), 1);
    for (int tries = 0; fabs(more) >= 1 && tries < 4 * own; tries++) {
        int at = 0;
        for (int i = 1; i < own; i++)
            if (more > 0 ? rows[i] < rows[at] : rows[i] > rows[at]) at = i;
        double change = least(least(step, fabs(more)), more > 0 ? limit - rows[at] : rows[at]);
        rows[at] += more > 0 ? change : -change;
        more -= more > 0 ? change : -change;
    }
}

/* One draw of all experts: the fullest GPU's tokens of each of its own, in rows[0 .. own). */
static void draw(const experts_layer *l, int all, int own, uint32_t *state, double *rows)
{
    double sum = 0, over = l->tokens * l->used, fullest = -1;
    int at = 0;
    for (int i = 0; i < all; i++) sum += rows[i] = popularity(l, state);
    double scale = over / sum;
    for (int i = 0; i < all; i++) over -= rows[i] = least(floor(rows[i] * scale + 0.5), l->tokens);
    double share = over * own / all;
    for (int i = 0; i + own <= all; i += own) {
        even_out(rows + i, own, over > 0 ? least(ceil(share), over) : most(floor(share), over), l->tokens);
        over -= over > 0 ? least(ceil(share), over) : most(floor(share), over);
        double n = 0;
        for (int k = 0; k < own; k++) n += rows[i + k];
        if (n > fullest) {
            fullest = n;
            at = i;
        }
    }
    for (int k = 0; k < own; k++) rows[k] = rows[at + k];
}

static void spread_drawn(experts_spread *out, const experts_layer *l)
{
    double rows[DRAWN_MOST];
    int all = (int)l->experts, own = (int)(l->experts / l->parts);
    uint32_t state = 1;
    for (int d = 0; d < DRAWS; d++) {
        draw(l, all, own, &state, rows);
        for (int i = 0; i < own; i++) {
            out->pairs += rows[i] / DRAWS;
            out->touched += rows[i] > 0 ? 1.0 / DRAWS : 0;
            for (int t = 0; t < GEMM_ROW_TILES; t++) out->tiles[t] += ceil(rows[i] / height(t)) / DRAWS;
        }
    }
}

void experts_spread_of(experts_spread *out, const experts_layer *l)
{
    memset(out, 0, sizeof *out);
    if (l->skew < 0) spread_evenly(out, l);
    else if (l->skew > 0 && l->experts <= DRAWN_MOST && l->experts >= l->parts) spread_drawn(out, l);
    else spread_random(out, l);
}

/* ---- the kernels ---- */

typedef struct kernel_list {
    experts_kernel *out;
    int n;
} kernel_list;

static kernel *add(kernel_list *l, const char *label, kernel_kind kind)
{
    experts_kernel *e = &l->out[l->n++];
    memset(e, 0, sizeof *e); /* kernels are compared as bytes */
    e->label = label;
    e->k.kind = kind;
    e->k.math = PREC_FP32;
    return &e->k;
}

/* A pass over what was just written. */
static kernel *pass(kernel_list *l, const char *label, kernel_kind kind, double rows, double cols, double read,
                    double written)
{
    kernel *k = add(l, label, kind);
    k->read_bytes = k->hot_bytes = read;
    k->write_bytes = written;
    k->hot_distance = k->write_distance = read + written;
    k->shape.rows.rows = rows;
    k->shape.rows.cols = cols;
    k->grouped = k->scattered = true;
    return k;
}

static void product(kernel_list *list, const char *label, const experts_layer *l, const experts_spread *s, double n,
                    double k)
{
    kernel *g = add(list, label, KERNEL_GEMM);
    double in = s->pairs * k * (l->narrow ? l->weight : l->act), out = s->pairs * n * l->act;
    g->math = l->math;
    g->idle_bytes = (l->tokens * l->used - s->pairs) * n * l->act;
    g->grouped = true;
    g->whole_k = true;
    g->flops = 2 * s->pairs * n * k;
    g->read_bytes = g->hot_bytes = g->hot_distance = in;
    g->weight_bytes = s->touched * n * k * l->weight;
    g->write_bytes = g->write_distance = out;
    g->shape.gemm.m = s->pairs / s->touched;
    g->shape.gemm.n = n;
    g->shape.gemm.k = k;
    g->shape.gemm.batch = s->touched;
    for (int i = 0; i < GEMM_ROW_TILES; i++) g->shape.grouped.row_tiles[i] = s->tiles[i];
}

int experts_kernels(const experts_layer *l, experts_kernel out[EXPERTS_KERNELS])
{
    experts_spread s;
    kernel_list list = {out, 0};
    double t = l->tokens, h = l->hidden, w = l->width, act = l->act, up = l->gated ? 2 : 1,
           in = l->narrow ? l->weight : act;
    experts_spread_of(&s, l);
    double pairs = s.pairs;
    double idle = most(t * l->used - pairs, 0);
    pass(&list, "choice of experts", KERNEL_SORT, t, l->experts, t * l->experts * act, t * l->used * 16)->math =
        l->math;
    if (l->narrow) pass(&list, "quantize tokens", KERNEL_ELEMENTWISE, t, h, t * h * act, t * h * in);
    pass(&list, "gather tokens", KERNEL_GATHER, pairs, h, pairs * h * in, pairs * h * in)->hot_bytes = t * h * in;
    product(&list, l->gated ? "experts' gate and up" : "experts' up", l, &s, up * w, h);
    kernel *k = pass(&list, "experts' activation", KERNEL_ELEMENTWISE, pairs, w, up * pairs * w * act, pairs * w * in);
    k->flops = 8 * pairs * w;
    k->idle_bytes = idle * w * (up * act + in);
    product(&list, "experts' down", l, &s, h, w);
    k = pass(&list, "sum over experts", KERNEL_GATHER, t, h, pairs * h * act, t * h * act);
    k->flops = 2 * pairs * h;
    k->idle_bytes = idle * h * act;
    for (int i = 0; i < list.n; i++) out[i].k.choice = l->scaled ? PRODUCT_BLOCK_SCALED : PRODUCT_BEST;
    return list.n;
}
