/* Attention over a cache of keys and values: grouped heads, windows, latent rows; fused, or as llama.cpp's separate products. */
#include "llm/build.h"

static const double bits16[2] = {2, 2};

/* Keys that a query sees of a cache of `kv`: no more than a window or a chunk. *whole: all of them. */
static double keys_of(const lm_layer *l, double kv, double q, bool *whole)
{
    double most = (double)lm_cache_tokens(l, (int64_t)1 << 40);
    *whole = !(l->window || l->chunk) || kv <= most;
    if (*whole) return kv;
    if (l->chunk && !l->window) return most; /* on average half of it, in the last chunk */
    return build_min(kv, most + (q > 1 ? 128 : 0));
}

/* llama.cpp: scores, softmax and their product with the values are kernels with the scores in memory between them. Keys and values are
 * read once for each head; of heads that share them mostly from L2. */
static void plain_attention(build *b, const attention_shape *s)
{
    double rows = s->batch * s->heads * s->q_len, n = rows * s->kv_len, group = s->heads / build_max(s->kv_heads, 1);
    double keys = s->batch * s->heads * s->kv_len * s->head_dim * 2,
           values = s->batch * s->heads * s->kv_len * s->v_dim * 2;
    double q = rows * s->head_dim, o = rows * s->v_dim;
    bool vector = s->q_len <= 1;
    for (int i = 0; i < 2; i++) {
        double side = i ? values : keys, in = i ? n : q, out = i ? o : n;
        const char *label = i ? "scores x values" : "queries x keys";
        kernel k = {.kind = vector ? KERNEL_GEMV : KERNEL_GEMM,
                    .math = vector ? PREC_FP32 : PREC_FP16,
                    .flops = 2 * n * (i ? s->v_dim : s->head_dim),
                    .read_bytes = vector ? side + in * 4 : side / group + in * 2,
                    .write_bytes = out * (vector ? 4 : 2),
                    .hot_bytes = vector ? side * (1 - 1 / group) + in * 4 : in * 2,
                    .hot_distance = vector ? side / group : in * 2 + out * 2,
                    .write_distance = out * 4};
        if (!vector && i == 0) build_stream(b, "convert queries", q, 1, q * 4, q * 2);
        if (!vector && i == 1) build_stream(b, "convert scores", n, 1, n * 4, n * 2);
        k.shape.gemm = i ? (gemm_shape){s->q_len, s->v_dim, s->kv_len, s->batch * s->heads}
                         : (gemm_shape){s->q_len, s->kv_len, s->head_dim, s->batch * s->heads};
        build_add(b, label, k, 1);
        if (!vector) build_stream(b, i ? "convert result" : "widen scores", out, 1, out * 2, out * 4);
        if (i) break;
        /* rows stay in shared memory between the passes over them */
        kernel soft = {.kind = KERNEL_ELEMENTWISE,
                       .flops = 6 * n,
                       .read_bytes = n * 4,
                       .write_bytes = n * 4,
                       .hot_bytes = n * 4,
                       .hot_distance = n * 8,
                       .write_distance = n * 8};
        soft.shape.rows = (rows_shape){rows, s->kv_len};
        build_add(b, "softmax", soft, 1);
    }
}

/* One group of sequences at one of its two lengths. */
static void fused_attention(build *b, const attention_shape *s, double shared)
{
    double act = b->c->act, cache = b->c->cache_bytes;
    double q = s->batch * s->heads * s->q_len;
    double kv = s->batch * s->kv_heads * s->kv_len * (shared > 0 ? shared : s->head_dim + s->v_dim) * cache;
    double fresh = s->q_len > 1 ? kv * build_min(s->q_len / s->kv_len, 1) : 0;
    double pairs = s->q_len * s->kv_len - (s->causal ? s->q_len * (s->q_len - 1) / 2 : 0);
    kernel k = {.kind = KERNEL_ATTENTION,
                .math = cache <= 1 && b->c->math == PREC_FP8 ? PREC_FP8
                      : act > 2                              ? b->c->r.math
                                                             : PREC_BF16,
                .flops = 2 * s->batch * s->heads * pairs * (s->head_dim + s->v_dim),
                .read_bytes = q * s->head_dim * act + kv,
                .write_bytes = q * s->v_dim * act,
                .hot_bytes = q * s->head_dim * act + fresh,
                .hot_distance = q * s->head_dim * act + fresh,
                .write_distance = q * s->v_dim * act};
    k.shape.attention = *s;
    if (!(shared > 0)) k.shape.attention.apart = attention_is_apart(s, b->rt->shared_heads_most);
    build_add(b, "attention", k, 1);
}

static void attend(build *b, const lm_layer *l, double heads, double kv_heads, double head_dim, double v_dim,
                   double shared)
{
    for (int i = 0; i < b->pass->groups; i++) {
        const llm_group *g = &b->pass->group[i];
        for (int at = 0; at < 2; at++) {
            bool whole, same = g->kv[0] == g->kv[1];
            if (same && at) continue;
            double before = b->times, kv = keys_of(l, g->kv[at], g->q, &whole);
            if (l->index_top > 0 && kv > (double)l->index_top && g->q <= 1) kv = (double)l->index_top;
            attention_shape s = {.batch = g->seqs,
                                 .heads = heads * (1 + g->guesses), /* rows that read the same keys */
                                 .kv_heads = kv_heads,
                                 .q_len = g->q,
                                 .kv_len = kv,
                                 .head_dim = head_dim,
                                 .v_dim = v_dim,
                                 .causal = whole && g->q > 1,
                                 .latent = shared > 0,
                                 .single = b->rt->single_head_kernel,
                                 .sync = b->rt->sync_attention};
            if (!same) b->times *= 0.5;
            b->narrowed = false;
            if (b->rt->ggml) plain_attention(b, &s);
            else fused_attention(b, &s, shared);
            b->times = before;
        }
    }
}

/* Rotary positions, and the new keys and values into the cache. */
static void rotate_and_store(build *b, double heads, double kv_heads, double dim, double v_dim, bool rope)
{
    double t = b->tokens, act = b->c->act, q = t * heads * dim, k = t * kv_heads * dim, v = t * kv_heads * v_dim;
    if (rope && b->rt->ggml) {
        build_stream(b, "rope", q, 6, q * act, q * act);
        build_stream(b, "rope", k, 6, k * act, k * act);
    } else if (rope && b->eager) {
        for (int i = 0; i < 5; i++) {
            build_stream(b, "rope", q, 1, q * act * 1.5, q * act);
            build_stream(b, "rope", k, 1, k * act * 1.5, k * act);
        }
    } else if (rope && !b->rt->fuse_layers) {
        build_stream(b, "rope", q + k, 6, (q + k) * act, (q + k) * act);
    }
    if (b->pass->rank > 0) return; /* training keeps no cache */
    if (b->rt->ggml) {
        build_stream(b, "store keys", k, 1, k * act, k * 2);
        build_stream(b, "store values", v, 1, v * act, v * 2);
    } else if (b->eager) { /* the cache grows by concatenation: all of it is copied */
        double all = 0;
        for (int i = 0; i < b->pass->groups; i++)
            all += b->pass->group[i].seqs * 0.5 * (b->pass->group[i].kv[0] + b->pass->group[i].kv[1]);
        double bytes = all * kv_heads * dim * act;
        build_stream(b, "append keys", all, 1, bytes, bytes);
        build_stream(b, "append values", all, 1, bytes, bytes);
        if (heads > kv_heads) {
            build_stream(b, "repeat keys", all, 1, bytes, bytes * heads / kv_heads);
            build_stream(b, "repeat values", all, 1, bytes, bytes * heads / kv_heads);
        }
    } else {
        const char *label = b->rt->fuse_layers ? "rope and store keys and values" : "store keys and values";
        double read = b->rt->fuse_layers ? q + k + v : k + v;
        build_stream(b, label, read, 1, read * act, (k + v) * b->c->cache_bytes + (read - k - v) * act);
    }
}

void build_attention(build *b, const lm_layer *l)
{
    double tp = b->c->tensor, h = (double)b->m->hidden, t = b->tokens, dim = (double)l->head_dim;
    double v_dim = (double)(l->v_head_dim ? l->v_head_dim : l->head_dim), bits = lm_bits(b->m, b->m->linear_bits);
    double heads = (double)l->heads / tp, kv_heads = build_max((double)l->kv_heads / tp, 1);
    if (b->rt->ggml || b->eager) {
        build_product(b, "query", t, heads * dim, h, bits);
        build_product(b, "key", t, kv_heads * dim, h, bits);
        build_product(b, "value", t, kv_heads * v_dim, h, bits);
    } else {
        build_product(b, "query, key, value", t, (heads + kv_heads) * dim + kv_heads * v_dim, h, bits);
    }
    if (l->gated_output) build_product(b, "output gate", t, heads * v_dim, h, bits);
    if (l->qk_norm) build_norm(b, "query and key norm", t * (heads + kv_heads), dim, false);
    rotate_and_store(b, heads, kv_heads, dim, v_dim, l->rope_features != 0);
    attend(b, l, heads, kv_heads, dim, v_dim, 0);
    if (b->rt->ggml) build_stream(b, "merge heads", t * heads * v_dim, 1, t * heads * v_dim * 4, t * heads * v_dim * 4);
    if (l->gated_output)
        build_stream(b, "gate", t * heads * v_dim, 6, 2 * t * heads * v_dim * b->c->act, t * heads * v_dim * b->c->act);
    build_product(b, "attention output", t, h, heads * v_dim, bits);
}

/* A product whose weights stay in 16 bits, one for each head: latent rows to keys and from them to values. */
static void per_head(build *b, const char *label, double heads, double rows, double n, double k)
{
    kernel g = {.kind = KERNEL_GEMM,
                .math = PREC_BF16,
                .flops = 2 * heads * rows * n * k,
                .read_bytes = heads * rows * k * bits16[0],
                .weight_bytes = heads * n * k * bits16[0],
                .write_bytes = heads * rows * n * bits16[1],
                .hot_bytes = heads * rows * k * bits16[0],
                .hot_distance = heads * rows * k * bits16[0],
                .weight_distance = b->c->weights_each,
                .write_distance = heads * rows * n * bits16[1]};
    g.shape.gemm = (gemm_shape){rows, n, k, heads};
    build_add(b, label, g, 1);
}

/* The indexer of sparse attention: scores of all cached tokens by small heads, and the best of them. */
static void build_indexer(build *b, const lm_layer *l)
{
    double t = b->tokens, heads = (double)l->index_heads, dim = (double)l->index_dim,
           bits = lm_bits(b->m, b->m->linear_bits);
    build_product(b, "index queries", t, heads * dim, l->q_rank ? (double)l->q_rank : (double)b->m->hidden, bits);
    build_product(b, "index keys", t, dim + heads, (double)b->m->hidden, bits);
    /* kernels of their own: no runtime has fused them */
    double queries = t * heads * dim, keys = t * dim, act = b->c->act;
    build_norm(b, "index key norm", t, dim, false);
    build_stream(b, "index rope", queries + keys, 6, (queries + keys) * act, (queries + keys) * act);
    build_stream(b, "rotate index queries", queries, 8, queries * act, queries * act);
    build_stream(b, "rotate index keys", keys, 8, keys * act, keys * act);
    build_stream(b, "quantize index queries", queries, 4, queries * act, queries);
    build_stream(b, "quantize and store index keys", keys, 4, keys * act, keys);
    build_stream(b, "index weights", t * heads, 2, t * heads * act, t * heads * 4);
    for (int i = 0; i < b->pass->groups; i++) {
        const llm_group *g = &b->pass->group[i];
        double kv = 0.5 * (g->kv[0] + g->kv[1]), q = g->q + g->guesses, n = g->seqs * q * kv;
        kernel k = {.kind = KERNEL_GEMM,
                    .math = PREC_FP8,
                    .flops = 2 * n * heads * dim,
                    .read_bytes = g->seqs * kv * dim + g->seqs * q * heads * dim,
                    .write_bytes = n * 4,
                    .write_distance = n * 4};
        k.shape.gemm = (gemm_shape){q * heads, kv, dim, g->seqs};
        build_add(b, "index scores", k, 1);
        build_stream(b, "index top", n, 4, 2 * n * 4, g->seqs * q * (double)l->index_top * 4);
        build_stream(b, "index places", g->seqs * q * (double)l->index_top, 1, g->seqs * q * (double)l->index_top * 4,
                     g->seqs * q * (double)l->index_top * 4);
    }
}

/* Decode works on latent rows: keys and values are never made from them (queries are taken to the latent space instead). Prompts make
 * them, as full heads. A step may hold both kinds. */
static void latent_part(build *b, const lm_layer *l, bool decode)
{
    const llm_pass *all = b->pass;
    llm_pass part = {.groups = 0};
    double heads = (double)l->heads / b->c->tensor, rank = (double)l->kv_rank, nope = (double)l->nope_dim,
           rope = (double)l->rope_dim, row = rank + rope, t = 0;
    double v = (double)(l->v_head_dim ? l->v_head_dim : l->head_dim);
    for (int i = 0; i < all->groups; i++) {
        const llm_group *g = &all->group[i];
        if ((g->q <= 1) != decode) continue;
        part.group[part.groups++] = *g;
        t += llm_group_tokens(g);
    }
    if (!part.groups) return;
    b->pass = &part;
    if (decode) {
        per_head(b, "query to latent", heads, t, rank, nope);
        attend(b, l, heads, 1, row, rank, row);
        per_head(b, "latent to value", heads, t, v, rank);
    } else {
        build_product(b, "latent up", t, heads * (nope + v), rank, lm_bits(b->m, b->m->linear_bits));
        attend(b, l, heads, heads, nope + rope, v, 0);
    }
    b->pass = all;
}

void build_latent(build *b, const lm_layer *l)
{
    double tp = b->c->tensor, h = (double)b->m->hidden, t = b->tokens, bits = lm_bits(b->m, b->m->linear_bits);
    double heads = (double)l->heads / tp, rank = (double)l->kv_rank, nope = (double)l->nope_dim,
           rope = (double)l->rope_dim;
    double v = (double)(l->v_head_dim ? l->v_head_dim : l->head_dim), row = rank + rope;
    if (l->q_rank) {
        build_product(b, "query and latent down", t, (double)l->q_rank + row, h, bits);
        build_norm(b, "latent norm", t, (double)l->q_rank + rank, false);
        build_product(b, "query up", t, heads * (nope + rope), (double)l->q_rank, bits);
    } else {
        build_product(b, "query", t, heads * (nope + rope), h, bits);
        build_product(b, "latent down", t, row, h, bits);
        build_norm(b, "latent norm", t, rank, false);
    }
    if (l->index_heads) build_indexer(b, l);
    rotate_and_store(b, heads, 1, rope, rank, true);
    latent_part(b, l, true);
    latent_part(b, l, false);
    build_product(b, "attention output", t, h, heads * v, bits);
}
