/* Matrix products: the best of a few tiles and split-K factors. Every part grows with m, n and k by construction
 * (sizes are padded up, never rounded), so a minimum over tiles stays monotone. */
#include "cost/parts.h"

typedef struct tile {
    double m, n, inv_m, inv_n;
} tile;

#define TILE(m, n)                 \
    {                              \
        m, n, 1.0 / (m), 1.0 / (n) \
    }
/* Largest first: it is most often the best, and the best so far prunes the rest. */
static const tile tiles[COST_TILES] = {
    TILE(256, 128), TILE(128, 256), TILE(128, 128), TILE(64, 256), TILE(128, 64), TILE(64, 128), TILE(64, 64),
    TILE(64, 32),   TILE(32, 64),   TILE(16, 64),   TILE(128, 32), TILE(32, 128), TILE(32, 32),
};

/* Which tiles the libraries have: on tensor cores all but the narrow ones, whose place a split of K takes. cuBLAS's FP32 kernels
 * are smaller, fewest on Pascal; for the products of
 * a Winograd convolution in stages it takes one size from Ampere on. */
void cost_tile_sets(cost_gpu *g, double capability)
{
    bool known = capability >= 5;
    g->tiles_tensor = (1 << COST_TENSOR_TILES) - 1;
    g->tiles_vector = known && capability < 7
                        ? T_64x64 | T_128x32 | T_32x128
                        : T_128x128 | T_128x64 | T_64x128 | T_64x64 | T_64x32 | T_32x64 | T_128x32 | T_32x128 | T_32x32;
    /* In a batch cuBLAS takes one kernel on Pascal and from Ampere on whatever the sizes, its longer side along a row of C. */
    g->tiles_batched = !known           ? g->tiles_vector
                     : capability < 7   ? T_64x128
                     : capability < 7.4 ? T_64x64 | T_32x128 | T_128x32
                     : capability < 7.9 ? T_64x64 | T_64x128 | T_32x128
                                        : T_128x128;
    g->tiles_staged = !known           ? g->tiles_vector
                    : capability < 7   ? T_64x64 | T_128x32 | T_32x128
                    : capability < 7.9 ? T_64x64 | T_128x64 | T_64x128 | T_128x32 | T_32x128
                                       : T_128x128;
}

static const double element_bytes[PREC_COUNT] = {4, 4, 2, 2, 1, 1, 0.5, 0.5};

/* ceil() for sizes: a call to libm costs more than the rest of a tile's arithmetic. */
static inline double gemm_ceil(double x)
{
    if (!(x < 1e15)) {
        return x;
    }
    double whole = (double)(int64_t)x;
    return whole + (whole < x ? 1 : 0);
}

/* Kernels for block scales add up 128 elements of K at a time and then scale that sum into FP32 accumulators, on the vector units. */
static double scale_time(const cost_gpu *g, double area)
{
    enum { SCALED = 128 };
    double flop = g->persistent ? g->c->gemm_unit_scale : g->async ? g->c->gemm_async_scale : g->c->gemm_scale;
    return area * flop / SCALED / (g->peak[PREC_FP32] / g->sms);
}

static void tile_init(cost_gpu *g, precision p, bool scaled, int i)
{
    const cost_constants *c = g->c;
    double share = !g->tensor[p] ? c->gemm_vector_share : g->async ? c->gemm_async_share : c->gemm_tensor_share;
    double rate = g->peak[p] / g->sms * share;
    double load = (g->async ? c->gemm_async_load : g->wide ? c->gemm_wide_load : c->gemm_load_bytes) * g->clock;
    double area = tiles[i].m * tiles[i].n, edge = tiles[i].m + tiles[i].n;
    double math = 2 * area / rate;
    /* Registers are fed at so many bytes a clock whatever the tensor cores can do with them: boards with half the
     * rate wait half as much. */
    if (g->tensor[p] && !g->async) math += edge * element_bytes[p] * c->gemm_feed_clocks * g->tick;
    if (scaled) math += scale_time(g, area);
    double move = edge * element_bytes[p] / load;
    double wait = scaled        ? c->gemm_scale_clocks * g->tick
                : !g->tensor[p] ? c->gemm_vector_k_clocks * g->tick
                                : (g->async ? c->gemm_async_k_ns : c->gemm_k_ns) * 1e-9 *
                                      cost_min(element_bytes[p] / 2, 1); /* narrow elements come several at once */
    int row = scaled ? COST_SCALED : (int)p;
    g->tile[row][i] = cost_max(cost_max(math, move), wait);
    /* What a tile costs before and after its main loop is loads and stores: no slower where the units are. */
    double full = cost_max(rate, COST_FULL_RATE * g->clock);
    g->edge[row][i] = g->tensor[p] ? cost_min(g->tile[row][i], 2 * area / full) : g->tile[row][i];
}

void cost_tiles_init(cost_gpu *g)
{
    for (int p = 0; p < PREC_COUNT; p++)
        for (int i = 0; i < COST_TILES; i++) tile_init(g, (precision)p, false, i);
    for (int i = 0; i < COST_TILES; i++) tile_init(g, PREC_FP8, true, i);
}

/* A last wave that is partly empty still takes part of a wave's time: other tiles share its SMs' units meanwhile. */
static inline double gemm_waves(double quantum, double alone, double full, double together)
{
    return alone + (full <= 1 ? 1 : full + quantum * (gemm_ceil(full / together) * together - full));
}

/* Tiles that share an SM start and end together: as many as have the registers and shared memory of the largest one. */
static double tiles_together(int i)
{
    enum { LARGEST = 256 * 128, MOST = 4 };
    return cost_min(LARGEST * tiles[i].inv_m * tiles[i].inv_n, MOST);
}

cost_matmul_time cost_matmul_best(const cost_gpu *g, precision p, const cost_matmul *w)
{
    const cost_constants *c = g->c;
    int row = w->scaled ? COST_SCALED : (int)p;
    const double *step = g->tile[row], *edge = g->edge[row],
                 quantum = w->waves             ? 1
                         : !g->tensor[p]        ? c->gemm_vector_quantum
                         : w->plain || g->async ? g->quantum
                                                : c->conv_quantum,
                 last = g->tensor[p] || w->waves ? 0 : c->gemm_vector_alone;
    double inv_sms = 1 / g->sms, sum = 8 * w->m * w->n * w->batch / g->l2, k = w->k * w->slow,
           depth = w->depth * w->slow, most = w->plain && g->tensor[p] ? 12 : 2;
    cost_matmul_time best = {INFINITY, 1};
    for (int i = 0; i < COST_TILES; i++) {
        if (!(w->tiles >> i & 1)) {
            continue;
        }
        double across = w->n * tiles[i].inv_n;
        double full = gemm_ceil(w->m * tiles[i].inv_m) * (w->fine ? across : gemm_ceil(across)) * w->batch * inv_sms;
        if (full * k * step[i] >= best.seconds) {
            continue;
        }
        double flops = 2 * full * g->sms * tiles[i].m * tiles[i].n * w->k;
        double alone = last * tiles[i].inv_m * tiles[i].inv_n; /* in waves */
        double together = w->plain && g->tensor[p] && !g->async ? tiles_together(i) : 1;
        double split = 1,
               cost = gemm_waves(quantum, alone, full, together) * (k * step[i] + depth * edge[i] + w->setup);
        for (;;) {
            if (w->limited) cost = cost_power_limited(g, w->limited, cost, flops);
            if (cost < best.seconds) {
                best = (cost_matmul_time){cost, split};
            }
            split *= 2;
            if (split > w->splits || full * split > most) {
                break;
            }
            cost = gemm_waves(quantum, alone, full * split, together) *
                       (k / split * step[i] + depth * edge[i] + w->setup) +
                   c->gemm_split_clocks * g->tick + split * sum;
        }
    }
    return best;
}

/* Kernels whose tile is a table of the rows of A: tiles of 64 x 128 up to so many rows, 128 x 128 above. */
static double rows_of_64(const cost_gpu *g)
{
    bool hopper = g->async && !g->persistent; /* Blackwell's tiles of twice the rows are shared by two SMs */
    return hopper ? 128 : 256;
}

static int tiles_by_rows(const cost_gpu *g, double m)
{
    if (m <= 64 && g->async) return T_64x64; /* their units take 64 rows at once */
    if (m <= 16) return T_16x64;
    if (m <= 32) return T_32x64;
    if (m <= 64) return T_64x64;
    return m <= rows_of_64(g) ? T_64x128 : T_128x128;
}

/* Ada's kernels for block scales have one tile; later ones have the width for the fewest waves. */
static int tiles_scaled(const cost_gpu *g, double m)
{
    if (!g->async) return T_32x128;
    return m <= 64 ? T_64x32 | T_64x64 | T_64x128 : T_128x64 | T_128x128;
}

/* Without units for FP8 the weights are widened first, and the kernels are those of 16 bits. */
static product_choice choice_of(const cost_gpu *g, const kernel *k)
{
    bool narrow = g->tensor[PREC_FP8] && g->peak[PREC_FP8] > g->peak[PREC_FP16];
    return narrow && k->math == PREC_FP8 ? (product_choice)k->choice : PRODUCT_BEST;
}

static cost_matmul_time gemm_by_rows(const cost_gpu *g, precision p, cost_matmul *w)
{
    double limit = rows_of_64(g);
    w->tiles = tiles_by_rows(g, w->m);
    cost_matmul_time own = cost_matmul_best(g, p, w);
    if (w->m <= limit) return own;
    /* Three larger tiles may start up faster than four small ones; more rows are not faster. */
    w->m = limit;
    w->tiles = T_64x128;
    own.seconds = cost_max(own.seconds, cost_matmul_best(g, p, w).seconds);
    return own;
}

/* Thread blocks read 8 elements of each of their rows of A and of the weights at a time: DRAM gives a small share of its bandwidth for
 * that. Tiles beside each other share what they read, those under each other as far as they run at once; not of long rows, each of which
 * lies in pages of its own, once there are more tiles than run at once. */
static double pieces_time(const cost_gpu *g, const kernel *k)
{
    enum { ROWS = 96, COLUMNS = 48 }; /* between tiles of 128 x 32 and of 64 x 64 */
    const gemm_shape *s = &k->shape.gemm;
    double down = gemm_ceil(s->m / ROWS), across = gemm_ceil(s->n / COLUMNS), once = g->sms * g->c->gemm_pieces_tiles;
    double pitch = s->k * 4 / (g->c->gemm_pieces_kb * 1024), waves = down * across / once;
    double apart = pitch * pitch / (1 + pitch * pitch) * waves / (1 + waves), below = cost_min(1, across / once);
    double weights = k->weight_bytes * (1 - cost_resident(g, k->weight_bytes)) *
                     cost_max(1, down * (below + (1 - below) * apart)),
           rows = k->read_bytes * (1 - cost_resident(g, k->read_bytes + k->weight_bytes)) * (1 + (across - 1) * apart);
    return (weights + rows) / (g->dram_peak * g->c->gemm_pieces_share);
}

/* The library has kernels of its own for a matrix times a vector, without tiles: they stream the matrix. Tensor cores have tiles that
 * are narrow enough. */
static bool is_by_vector(const cost_gpu *g, precision p, const gemm_shape *s)
{
    return !g->tensor[p] && s->batch <= 1 && (s->m <= 1 || s->n <= 1);
}

void cost_gemm(const cost_gpu *g, const kernel *k, cost_traffic t, kernel_cost *out)
{
    const cost_constants *c = g->c;
    const gemm_shape *s = &k->shape.gemm;
    precision p = (precision)g->unit[k->math];
    if (is_by_vector(g, p, s)) {
        out->compute_s = 2 * s->m * s->n * s->k / (g->peak[p] * c->gemm_vector_share);
        out->memory_s = cost_memory_time(g, t, 1);
        cost_finish(g, out, t);
        return;
    }
    product_choice choice = choice_of(g, k);
    bool batched = !g->tensor[p] && s->batch > 1;
    /* A 16-byte load holds this many elements; a row that is no multiple of it is padded. */
    double grain = g->tensor[p] ? 16 / element_bytes[p] : 1;
    cost_matmul w = {
        .m = s->m,
        .n = gemm_ceil(s->n / grain) * grain,
        .k = gemm_ceil(s->k / grain) * grain,
        .batch = s->batch,
        .depth = g->tensor[p] ? c->gemm_depth / element_bytes[p] : g->depth,
        .slow = 1,
        .setup = (!g->tensor[p] ? c->gemm_vector_tile_clocks
                  : g->async    ? c->gemm_async_tile_clocks
                                : c->gemm_tile_clocks) *
                 g->tick,
        .splits = k->whole_k || batched ? 1 : COST_SPLITS,
        .tiles = choice == PRODUCT_BLOCK_SCALED ? tiles_scaled(g, s->m)
               : g->tensor[p]                   ? g->tiles_tensor
               : batched                        ? g->tiles_batched
                                                : g->tiles_vector,
        .scaled = choice == PRODUCT_BLOCK_SCALED,
        .waves = choice != PRODUCT_BEST,
        .plain = choice != PRODUCT_BLOCK_SCALED,
        .limited = g->tensor[p] ? NULL : k,
    };
    bool pieces = g->pieces && !g->tensor[p] && k->weight_bytes > 0;
    if (pieces) w.slow = 1 / c->gemm_pieces_speed;
    cost_matmul_time best = choice == PRODUCT_BY_ROWS ? gemm_by_rows(g, p, &w) : cost_matmul_best(g, p, &w);
    if (batched) { /* one of them by itself, with the tile that is best for it, is no slower */
        w.batch = 1;
        w.tiles = g->tiles_vector;
        w.splits = k->whole_k ? 1 : COST_SPLITS;
        best.seconds = cost_max(best.seconds, cost_matmul_best(g, p, &w).seconds);
    }
    if (pieces) best.seconds = cost_max(best.seconds, pieces_time(g, k));
    double weights = s->n * s->k * s->batch;
    if (k->weight_bytes > 0 && k->weight_bytes < 0.9 * weights * element_bytes[p]) {
        /* Packed weights are unpacked by the vector units once for each row of tiles. */
        best.seconds += c->gemm_unpack * weights * gemm_ceil(s->m / 128) / g->peak[PREC_FP32];
    }
    out->compute_s = w.limited ? best.seconds
                               : cost_power_limited(g, k, best.seconds, 2 * s->m * s->n * s->k * s->batch);
    /* Ada's store less than what DRAM takes at once: what is there is read first, and L2 does not keep it. */
    if (choice == PRODUCT_BY_ROWS && !g->async) t.dram = cost_max(t.dram, 2 * k->write_bytes);
    out->memory_s = cost_memory_time(g, t, 1);
    cost_finish(g, out, t);
    if (g->tensor[p] && g->persistent && element_bytes[p] > 1) out->seconds -= (1 - c->gemm_early_share) * g->floor;
}

static int row_tiles_of(double rows)
{
    int i = 0;
    while (i < GEMM_ROW_TILES - 1 && (GEMM_LEAST_ROWS << i) < rows) i++;
    return i;
}

/* Each expert's rows fill tiles of their own; whoever made the kernels tried all tiles. */
static double grouped_time(const cost_gpu *g, const kernel *k, bool scaled, bool packed)
{
    const gemm_shape *s = &k->shape.gemm;
    const double *row_tiles = k->shape.grouped.row_tiles;
    int row = scaled ? COST_SCALED : (int)k->math;
    bool slow = g->async && scaled;
    double share = (k->grouped_share > 0 ? k->grouped_share : 1) * (slow ? g->c->gemm_grouped_scale : 1),
           best = INFINITY, depth = g->c->gemm_depth / element_bytes[k->math],
           setup = (g->async ? g->c->gemm_async_tile_clocks : g->c->gemm_tile_clocks) * g->tick + k->grouped_setup;
    for (int i = 0; i < COST_TENSOR_TILES; i++) {
        double n = gemm_ceil(s->n * tiles[i].inv_n), full = row_tiles[row_tiles_of(tiles[i].m)] * n / g->sms;
        /* what widens weights in registers feeds the units from there, as synchronous ones are fed */
        double least = packed ? 2 * tiles[i].m * tiles[i].n / (COST_FULL_RATE * g->clock) : 0,
               step = cost_max(g->tile[row][i], least);
        double time = gemm_waves(g->async ? g->quantum : g->c->conv_quantum, 0, full, 1) *
                      ((s->k * step + depth * g->edge[row][i]) / share + setup);
        best = cost_min(best, time);
    }
    return best;
}

void cost_grouped(const cost_gpu *g, const kernel *k, cost_traffic t, kernel_cost *out)
{
    const gemm_shape *s = &k->shape.gemm;
    double weights = s->n * s->k * s->batch;
    bool packed = k->weight_bytes > 0 && k->weight_bytes < 0.9 * weights * element_bytes[k->math] && g->tensor[k->math];
    double seconds = grouped_time(g, k, choice_of(g, k) == PRODUCT_BLOCK_SCALED, packed);
    if (packed)
        seconds += g->c->gemm_unpack * s->n * s->k * k->shape.grouped.row_tiles[row_tiles_of(128)] / g->peak[PREC_FP32];
    out->compute_s = cost_power_limited(g, k, seconds, k->flops);
    out->memory_s = cost_memory_time(g, t, 1);
    cost_finish(g, out, t);
}
