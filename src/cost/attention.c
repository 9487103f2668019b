/* Fused attention: tiles of query rows walk along the keys; scores stay on chip. With few query rows (decode) the
 * keys are split over the SMs and the cache is streamed. */
#include "cost/parts.h"

static const double precision_bytes[PREC_COUNT] = {4, 4, 2, 2, 1, 1, 0.5, 0.5};

/* Up to this many query positions the heads that share keys fill one tile, and the keys are split over the SMs. */
enum { DECODE_ROWS = 16, UNIT_DIMS = 16 };

typedef struct attention_work {
    double tiles, rows; /* tiles, and query rows of each after padding */
    double keys, most;  /* keys that a tile visits: on average, at most */
    double parts;       /* into which the keys of a tile are split at best */
} attention_work;

static double attention_ceil(double x)
{
    double whole = x < 1e15 ? (double)(int64_t)x : x;
    return whole + (whole < x ? 1 : 0);
}

static attention_work attention_decode(const cost_gpu *g, const attention_shape *s, double kv_heads)
{
    double rows = s->q_len * s->heads / kv_heads, tile = rows <= 16 ? 16 : 64;
    attention_work w = {s->batch * kv_heads * attention_ceil(rows / tile), tile, s->kv_len, s->kv_len, 1};
    w.parts = cost_max(1, s->kv_len / g->c->attention_split_kv);
    return w;
}

static attention_work attention_prefill(const cost_gpu *g, const attention_shape *s)
{
    /* Half tiles where whole ones would leave SMs idle. */
    bool few = s->batch * s->heads * attention_ceil(s->q_len / 128) * 2 <= g->sms;
    double tile = !g->persistent && (s->q_len <= 64 || few) ? 64 : 128; /* Blackwell's units take 128 rows at once */
    attention_work w = {s->batch * s->heads * attention_ceil(s->q_len / tile), tile, s->kv_len, s->kv_len, 1};
    if (s->causal) {
        /* Of a causal square half the scores are computed, and half of each tile on the diagonal in vain. */
        double square = cost_min(s->q_len, s->kv_len);
        w.keys -= 0.5 * (square - cost_min(square, tile));
    }
    return w;
}

/* Seconds per FLOP of one SM. What keeps synchronous units from their peak is other work in the same loop, which takes its clocks
 * whatever they can do: with half the rate they are kept waiting half as much. */
static double attention_flop_time(const cost_gpu *g, precision p, const attention_shape *s)
{
    const cost_constants *c = g->c;
    double rate = g->peak[p] / g->sms, share = s->first ? c->attention_first_share : c->attention_tensor_share;
    bool older = g->async && !g->persistent && (s->sync || s->first);
    if (!g->tensor[p]) return 1 / (rate * c->gemm_vector_share);
    if (g->async && !older) return 1 / (rate * c->attention_async_share);
    if (older) rate *= c->attention_sync_share;
    return 1 / rate + (1 / share - 1) / cost_max(rate, COST_FULL_RATE * g->clock);
}

/* Synchronous units have FP8 kernels for prompts at head sizes of 128 to 192; others run slower than in 16 bits. */
static bool is_unfit(const cost_gpu *g, precision p, const attention_shape *s)
{
    return p == PREC_FP8 && g->tensor[p] && !g->async && (s->head_dim < 128 || s->head_dim > 192);
}

/* Seconds of a tile beside its keys. A prompt's tile loads its queries and stores its result; a decode tile waits for its split keys. */
static double tile_start(const cost_gpu *g, const attention_shape *s, const attention_work *w, bool decode)
{
    const cost_constants *c = g->c;
    double start = decode ? c->attention_decode_tile_us * 1e-6 * (g->persistent ? c->attention_persistent : 1)
                          : c->attention_start_clocks * g->tick * (w->rows / 128);
    return s->bias ? start / c->attention_masked : start;
}

static double key_time(const cost_gpu *g, precision p, const attention_shape *s, double rows, bool decode)
{
    bool unfit = !decode && is_unfit(g, p, s);
    double math = attention_flop_time(g, unfit ? PREC_FP16 : p, s);
    /* Matrix units take so many dims at once. */
    double grain = g->tensor[p] ? (g->async ? UNIT_DIMS : 2 * UNIT_DIMS) : 1;
    double dims = grain * (attention_ceil(s->head_dim / grain) + attention_ceil(s->v_dim / grain));
    double time = 2 * rows * dims * math + rows / g->c->attention_exp_clock * g->tick;
    if (unfit) time /= g->c->attention_unfit * (s->head_dim > 192 ? g->c->attention_unfit : 1);
    /* A bias takes another kernel than the plain one: it reads the bias tile by tile and keeps fewer tiles in flight. */
    return s->bias ? time / g->c->attention_masked : time;
}

/* FlashAttention 2 packs the heads that share keys into rows by turning the queries, and turns the result back: two copies, where a
 * batch and several such groups of heads make that more than a view. */
static double packing_time(const cost_gpu *g, const attention_shape *s, bool shared)
{
    if (!shared || !s->flash || g->async || s->batch <= 1 || s->kv_heads <= 1) return 0;
    double half = 2, bytes = 2 * half * s->batch * s->heads * s->q_len * (s->head_dim + s->v_dim);
    return 2 * g->floor + bytes / g->l2;
}

/* Time of the small kernels around it. */
static double around(const cost_gpu *g, const attention_shape *s, const attention_work *w, bool decode, bool shared)
{
    const cost_constants *c = g->c;
    double prompt_us = !g->async ? 0 : c->attention_prefill_us * (g->persistent ? c->attention_persistent : 1);
    double us = decode ? c->attention_decode_us : prompt_us;
    if (decode && s->single && g->persistent) us += c->attention_persistent_us;
    /* Summing up walks over the parts. As many as one sequence has: fewer for more would make a larger batch faster. */
    bool summed = decode && w->parts > 1 && (g->async || s->flash);
    if (summed) us += (g->async ? c->attention_async_part_us : c->attention_part_us) * cost_min(w->parts, g->sms);
    return us * 1e-6 + c->attention_around_clocks * g->tick + packing_time(g, s, decode && shared);
}

/* Latent rows as keys and values of all heads. Kernels for asynchronous units share all rows of a step evenly among the SMs, and hide
 * the shorter of products and stream in the longer; Hopper's widen 8 bits for the products. Others give a tile to an SM and
 * have it walk over all rows. */
static void attention_latent(const cost_gpu *g, const kernel *k, cost_traffic t, kernel_cost *out)
{
    enum { ROWS = 64 };
    const cost_constants *c = g->c;
    const attention_shape *s = &k->shape.attention;
    precision p = k->math == PREC_FP8 && !g->persistent ? PREC_FP16 : k->math;
    attention_work w = {.tiles = s->batch * attention_ceil(s->q_len * s->heads / ROWS), .rows = ROWS};
    double waves = w.tiles / g->sms, start = c->attention_latent_tile_us * 1e-6, row = key_time(g, p, s, ROWS, true),
           busy;
    if (g->async) {
        double parts = cost_max(s->kv_len / c->attention_latent_split, 1);
        double first = start * (g->persistent ? c->attention_persistent : 1);
        busy = first + (cost_max(waves, 1) - 1) * start + waves * s->kv_len * row / cost_min(1, waves * parts);
    } else {
        busy = attention_ceil(waves) * (start + s->kv_len * cost_max(row, c->attention_latent_clocks * g->tick));
    }
    double flops = 2 * s->batch * s->heads * s->q_len * s->kv_len * (s->head_dim + s->v_dim);
    kernel like = *k;
    like.math = p;
    out->compute_s = cost_power_limited(g, &like, busy, flops);
    out->memory_s = cost_memory_time(g, t, 1);
    cost_finish(g, out, t);
    attention_shape plain = *s;
    plain.single = false;
    out->seconds = g->floor + cost_max(out->compute_s, out->memory_s) + around(g, &plain, &w, true, true);
}

void cost_attention(const cost_gpu *g, const kernel *k, cost_traffic t, kernel_cost *out)
{
    const cost_constants *c = g->c;
    const attention_shape *s = &k->shape.attention;
    precision p = k->math;
    if (s->latent) {
        attention_latent(g, k, t, out);
        return;
    }
    double kv_heads = s->kv_heads > 0 ? s->kv_heads : cost_max(s->heads, 1), dims = s->head_dim + s->v_dim;
    /* A prompt has its own kernel however short, but in libraries that take one position for a step of decode. */
    bool prompt = s->kv_len <= s->q_len && (s->q_len > 1 || s->prompt), shared = s->heads > kv_heads;
    bool decode = s->q_len <= DECODE_ROWS && !prompt;
    if (decode && s->apart) { /* which is not quicker than together */
        kernel together = *k;
        kernel_cost least = *out;
        together.shape.attention.apart = false;
        cost_attention(g, &together, t, &least);
        cost_attention_apart(g, k, t, out);
        if (least.seconds > out->seconds) *out = least;
        return;
    }
    attention_work w = decode ? attention_decode(g, s, kv_heads) : attention_prefill(g, s);
    if (s->flash && !g->async && !shared) w.parts = 1; /* version 2 splits the keys only of heads that share them */
    double per_key = key_time(g, p, s, w.rows, decode), start = tile_start(g, s, &w, decode), first = start;
    /* A lighter kernel starts sooner; where heads share keys it is as busy as others. */
    if (decode && s->single && !g->persistent) first *= c->attention_single_head;
    if (!shared) start = first;
    double waves = cost_max(w.tiles, 1) / g->sms;
    double parts = cost_max(1, cost_min(w.parts, 1 / waves));
    double spread = waves * parts,
           whole = spread <= 1 ? 1 : spread + c->attention_quantum * (attention_ceil(spread) - spread);
    double busy = first + (whole - 1) * start + whole * w.keys / parts * per_key;
    double longest = first + w.most / parts * per_key;
    double flops = 2 * s->batch * s->heads * s->q_len * w.keys * dims;
    if (k->pass != PASS_FORWARD) { /* scores once more, and four gradients of products: five products for two */
        double longer = 2.5 / c->train_attention_share;
        busy *= longer;
        longest *= longer;
        flops *= 2.5;
    }
    out->compute_s = cost_power_limited(g, k, cost_max(busy, longest), flops);
    double keys = s->batch * kv_heads * s->kv_len * dims * precision_bytes[p];
    bool bulk = g->async && (!s->single || g->persistent); /* such lighter kernels load as they did before Hopper */
    double stream = bulk ? c->gemm_async_load : c->attention_pull_bytes;
    double pull = keys / (cost_min(2 * g->sms, cost_max(w.tiles, 1) * parts) * stream * g->clock);
    cost_traffic fetched = t;
    /* never slower than the memory behind it */
    if (decode) fetched.total *= g->l2 / cost_max(c->attention_l2_bytes * g->clock * g->sms, g->dram_peak);
    out->memory_s = cost_max(cost_memory_time(g, fetched, 1), decode ? pull : 0);
    cost_finish(g, out, t);
    out->seconds += around(g, s, &w, decode, shared);
    if (decode &&
        s->q_len > 1) { /* more keys before them don't make the same positions faster than a prompt of their own */
        kernel alone = *k;
        kernel_cost least = *out;
        alone.shape.attention.kv_len = s->q_len;
        cost_attention(g, &alone, t, &least);
        if (least.seconds > out->seconds) *out = least;
    }
}
