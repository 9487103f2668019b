/* A pass of a language model as a list of kernels. */
#include "llm/build.h"

enum { KERNELS_A_LAYER = 64, KERNELS_AROUND = 24 };

void build_add(build *b, const char *label, kernel k, double count)
{
    kernel_plan *p = &b->out->plan;
    if (p->n_kernels >= b->cap) return; /* the caller looks at n_kernels == cap */
    b->out->labels[p->n_kernels] = label;
    p->kernels[p->n_kernels++] = (plan_kernel){.k = k, .count = count * b->times};
    p->launches += count * b->times;
    p->flops += k.flops * count * b->times;
    p->footprint += (k.read_bytes + k.weight_bytes + k.write_bytes) * count * b->times;
}

void build_stream(build *b, const char *label, double elements, double flops, double read, double written)
{
    kernel k = {.kind = KERNEL_ELEMENTWISE,
                .flops = flops * elements,
                .read_bytes = read,
                .write_bytes = written,
                .hot_bytes = read,
                .hot_distance = read + written,
                .write_distance = read + written};
    k.shape.rows = (rows_shape){elements, 1};
    build_add(b, label, k, 1);
}

void build_norm(build *b, const char *label, double rows, double cols, bool add)
{
    double bytes = rows * cols * b->c->act;
    if (b->eager) { /* to fp32, square, mean, epsilon, root, product, back, product with the weight */
        if (add) build_stream(b, "residual add", rows * cols, 1, 2 * bytes, bytes);
        for (int i = 0; i < 6; i++) build_stream(b, label, rows * cols, 1, bytes * 1.5, bytes * 1.5);
        return;
    }
    if (b->rt->ggml && add) build_stream(b, "residual add", rows * cols, 1, 2 * bytes, bytes);
    bool fused = add && !b->rt->ggml;
    b->narrowed = b->rt->fuse_norm;
    if (b->reduced && b->rt->fuse_layers) { /* in the all-reduce's kernel */
        b->reduced = false;
        return;
    }
    b->reduced = false;
    kernel k = {.kind = KERNEL_NORM,
                .flops = 4 * rows * cols,
                .read_bytes = bytes * (fused ? 2 : 1),
                .write_bytes = bytes * (fused ? 2 : 1),
                .hot_bytes = bytes * (fused ? 2 : 1),
                .hot_distance = 2 * bytes,
                .write_distance = 2 * bytes};
    k.shape.rows = (rows_shape){rows, cols};
    build_add(b, label, k, 1);
    if (b->rt->ggml) build_stream(b, "norm weight", rows * cols, 1, bytes, bytes);
}

/* llama.cpp: up to a few rows a kernel that multiplies packed weights by activations of 8 bits and reads every weight once. */
static void matrix_vector(build *b, const char *label, double batch, double rows, double n, double k, double bits)
{
    double weights = batch * n * k * bits / 8, in = batch * rows * k, out = batch * rows * n;
    if (bits < 16) build_stream(b, "quantize input", in, 4, in * 4, in * 1.125);
    kernel v = {.kind = KERNEL_GEMV,
                .math = PREC_FP32,
                .flops = 2 * batch * rows * n * k,
                .read_bytes = in * (bits < 16 ? 1.125 : 4),
                .weight_bytes = weights,
                .write_bytes = out * 4,
                .hot_bytes = in,
                .hot_distance = in,
                .weight_distance = b->c->weights_each,
                .write_distance = out * 4};
    v.shape.gemm = (gemm_shape){rows, n, k, batch};
    build_add(b, label, v, 1);
}

/* ... and beyond that weights are written out in 16 bits and inputs and results are converted for the vendor's library. */
static void widened_product(build *b, const char *label, double batch, double rows, double n, double k, double bits)
{
    double weights = batch * n * k, in = batch * rows * k, out = batch * rows * n;
    bool unpack = bits < 16;
    if (unpack) {
        kernel d = {.kind = KERNEL_ELEMENTWISE,
                    .flops = 4 * weights,
                    .weight_bytes = weights * bits / 8,
                    .write_bytes = 2 * weights,
                    .weight_distance = b->c->weights_each,
                    .write_distance = 2 * weights};
        d.shape.rows = (rows_shape){weights, 1};
        build_add(b, "dequantize", d, 1);
    }
    build_stream(b, "convert input", in, 1, in * 4, in * 2);
    kernel g = {.kind = KERNEL_GEMM,
                .math = PREC_FP16,
                .flops = 2 * batch * rows * n * k,
                .read_bytes = in * 2,
                .weight_bytes = weights * 2,
                .write_bytes = out * 2,
                .hot_bytes = in * 2,
                .hot_distance = in * 6,
                .weight_distance = unpack ? 2 * weights : b->c->weights_each,
                .write_distance = out * 6};
    g.shape.gemm = (gemm_shape){rows, n, k, batch};
    build_add(b, label, g, 1);
    build_stream(b, "convert result", out, 1, out * 2, out * 4);
}

/* Training beside frozen weights: those that are packed are written out in 16 bits, and a product of two narrow matrices is added.
 * The bits of the weights that the product itself then reads. */
static double build_adapter(build *b, double rows, double n, double k, double bits)
{
    const llm_case *c = b->c;
    double rank = b->pass->rank, act = c->act;
    if (rank <= 0) return bits;
    for (int i = 0; i < 2; i++) {
        double in = i ? rank : k, out = i ? n : rank;
        kernel g = {.kind = KERNEL_GEMM,
                    .math = c->r.math == PREC_FP16 ? PREC_FP16 : PREC_BF16,
                    .flops = 2 * rows * in * out,
                    .read_bytes = rows * in * act,
                    .weight_bytes = in * out * act,
                    .write_bytes = rows * out * act,
                    .hot_bytes = rows * in * act,
                    .hot_distance = rows * in * act,
                    .write_distance = rows * out * act};
        g.shape.gemm = (gemm_shape){rows, out, in, 1};
        build_add(b, "adapter", g, 1);
    }
    build_stream(b, "add adapter", rows * n, 2, 2 * rows * n * act, rows * n * act);
    if (bits >= 16) return bits;
    kernel d = {
        .kind = KERNEL_ELEMENTWISE, .flops = 4 * n * k, .weight_bytes = n * k * bits / 8, .write_bytes = 2 * n * k};
    d.shape.rows = (rows_shape){n * k, 1};
    build_add(b, "dequantize", d, 1);
    return 16;
}

/* Rows of a matrix that the first GPU has where llama.cpp deals them out; inputs go to all the others in fp32, their results come back. */
static double deal_rows(build *b, double rows, double n, double k)
{
    double gpus = b->c->row_gpus, each = ceil(n / gpus), part = b->rt->row_columns > 0 ? b->rt->row_columns : rows;
    if (gpus <= 1) return n;
    b->out->row_bytes += b->times * (gpus - 1) * rows * (k + each) * 4;
    b->out->row_copies += b->times * ceil(rows / part);
    return each;
}

void build_experts(build *b, const char *label, double batch, double rows, double n, double k, double bits)
{
    const llm_case *c = b->c;
    if (batch <= 0 || rows <= 0 || n <= 0 || k <= 0) return;
    if (b->rt->ggml) n = deal_rows(b, rows, n, k);
    if (b->rt->ggml && rows <= b->rt->gemv_rows) {
        matrix_vector(b, label, batch, rows, n, k, bits);
        return;
    }
    if (b->rt->ggml) {
        widened_product(b, label, batch, rows, n, k, bits);
        return;
    }
    double in = batch * rows * k, out = batch * rows * n;
    bits = build_adapter(b, rows, n, k, bits);
    bool narrow = bits < 16 && !c->packed;
    double width = narrow ? bits / 8 : c->act;
    if (narrow && !b->narrowed) build_stream(b, "quantize input", in, 4, in * c->act, in * width);
    kernel g = {.kind = KERNEL_GEMM,
                .math = narrow                 ? c->math
                      : c->act > 2             ? c->r.math
                      : c->r.math == PREC_FP16 ? PREC_FP16
                                               : PREC_BF16,
                .flops = 2 * batch * rows * n * k,
                .read_bytes = in * width,
                .weight_bytes = batch * n * k * bits / 8,
                .write_bytes = out * c->act,
                .hot_bytes = in * width,
                .hot_distance = in * width,
                .weight_distance = c->weights_each,
                .write_distance = out * c->act,
                .whole_k = narrow && !b->rt->split_fp8};
    g.shape.gemm = (gemm_shape){rows, n, k, batch};
    build_add(b, label, g, 1);
}

void build_product(build *b, const char *label, double rows, double n, double k, double bits)
{
    build_experts(b, label, 1, rows, n, k, bits);
}

void build_all_reduce(build *b, double rows)
{
    if (b->c->tensor <= 1) return;
    double bytes = rows * (double)b->m->hidden * build_min(b->c->act, 2);
    kernel k = {.kind = KERNEL_COMM, .read_bytes = bytes, .write_bytes = bytes};
    k.shape.comm = (comm_shape){
        .bytes = bytes, .gpus = b->c->tensor, .what = COMM_ALL_REDUCE, .own = (comm_own)b->rt->own_allreduce};
    build_add(b, "all-reduce", k, 1);
    b->reduced = true;
}

void build_feed_forward(build *b, double width, bool gated)
{
    double h = (double)b->m->hidden, t = b->tokens, w = width / b->c->tensor, act = b->c->act;
    double bits = lm_bits(b->m, b->m->linear_bits);
    bool apart = b->rt->ggml || b->eager;
    if (gated && apart) {
        build_product(b, "gate", t, w, h, bits);
        build_product(b, "up", t, w, h, bits);
        build_stream(b, "activation", t * w, 8, t * w * act, t * w * act);
        build_stream(b, "gate product", t * w, 1, 2 * t * w * act, t * w * act);
    } else {
        build_product(b, gated ? "gate and up" : "up", t, gated ? 2 * w : w, h, bits);
        build_stream(b, "activation", t * w, 8, (gated ? 2 : 1) * t * w * act, t * w * act);
        b->narrowed = b->rt->fuse_norm;
    }
    build_product(b, "down", t, h, w, bits);
}

static void build_layer(build *b, const lm_layer *l)
{
    double h = (double)b->m->hidden;
    bool both = l->mixer != LM_NO_MIXER && l->ffn != LM_NO_FFN;
    b->times = l->count * (1 - b->c->cpu_share);
    if (b->times <= 0) return;
    build_norm(b, "norm", b->tokens, h, true);
    build_mixer(b, l);
    if (l->mixer != LM_NO_MIXER && !(both && l->parallel)) build_all_reduce(b, b->tokens);
    if (both && !l->parallel) build_norm(b, "norm", b->tokens, h, true);
    if (l->post_norm) build_norm(b, "norm behind", b->tokens, h, false);
    if (l->post_norm && both) build_norm(b, "norm behind", b->tokens, h, false);
    if (l->ffn == LM_MOE) build_moe(b, l);
    else if (l->ffn != LM_NO_FFN) build_feed_forward(b, (double)l->ffn_dim, l->ffn == LM_GATED);
    if (l->ffn != LM_NO_FFN) build_all_reduce(b, b->tokens);
}

/* Scores of the last positions to tokens: divided by a temperature, the likeliest kept, one drawn. */
static void build_sampling(build *b, double rows)
{
    double v = (double)b->m->vocab, n = rows * v;
    if (b->rt->ggml) return; /* on the CPU: in the time of a step */
    build_stream(b, "logits to fp32", n, 1, n * 2, n * 4);
    kernel k = {.kind = KERNEL_SOFTMAX,
                .flops = 4 * n,
                .read_bytes = n * 4,
                .write_bytes = n * 4,
                .hot_bytes = n * 4,
                .hot_distance = n * 8,
                .write_distance = n * 8};
    k.shape.rows = (rows_shape){rows, v};
    build_add(b, "softmax", k, 1);
    build_stream(b, "sample", n, 2, n * 4, rows * 8);
}

static void build_around(build *b, double rows, double times)
{
    const llm_case *c = b->c;
    double h = (double)b->m->hidden, v = (double)b->m->vocab;
    b->times = times;
    kernel gather = {.kind = KERNEL_GATHER, .weight_bytes = b->tokens * h * 2, .write_bytes = b->tokens * h * c->act};
    gather.shape.rows = (rows_shape){b->tokens, h};
    build_add(b, "embedding", gather, 1);
    build_norm(b, "final norm", b->rt->ggml || b->eager ? b->tokens : build_max(rows, 1), h, true);
    if (rows <= 0 || b->m->no_output) return;
    /* a chunk that ends no prompt has no logits */
    b->times = times * (rows < 1 ? rows : 1);
    rows = build_max(rows, 1);
    build_product(b, "output layer", rows, v / c->tensor, h, lm_bits(b->m, b->m->output_bits));
    if (c->tensor > 1) {
        kernel k = {.kind = KERNEL_COMM};
        k.shape.comm = (comm_shape){.bytes = rows * v * 2, .gpus = c->tensor, .what = COMM_ALL_GATHER};
        build_add(b, "gather logits", k, 1);
    }
    build_sampling(b, rows);
    b->times = 1;
}

/* Guesses come one after the other from a layer like the model's last and the output layer, as heads for the next tokens have them. */
static void build_guesses(build *b)
{
    llm_pass draft = {.groups = 0, .steps = 1};
    double guesses = 0;
    b->tokens = 0;
    for (int i = 0; i < b->pass->groups; i++) {
        llm_group g = b->pass->group[i];
        if (g.guesses <= 0) continue;
        guesses = g.guesses;
        g.guesses = 0;
        draft.group[draft.groups++] = g;
        b->tokens += g.seqs * g.q;
    }
    if (!draft.groups) return;
    lm_layer last = b->m->layers[b->m->n_layers - 1];
    last.count = (uint32_t)guesses;
    b->pass = &draft;
    build_layer(b, &last);
    build_around(b, b->tokens, guesses);
}

/* Layers that stay on the CPU read their weights from its memory; of a long prompt they go to the GPU over PCIe instead. Seconds. */
static double cpu_time(const build *b)
{
    const llm_case *c = b->c;
    double bytes = c->cpu_share * c->weights;
    if (bytes <= 0 || b->rt->cpu_gbs <= 0) return 0;
    double rate = b->tokens >= 32 && b->rt->cpu_prompt_gbs > 0 ? b->rt->cpu_prompt_gbs : b->rt->cpu_gbs;
    return bytes / (rate * 1e9);
}

pg_code llm_plan_make(llm_plan *out, const llm_case *c, const llm_pass *pass, arena *a, pg_error *e)
{
    const language_model *m = &c->model;
    const runtime_profile *rt = c->r.runtime;
    uint32_t cap = (m->n_layers + 1) * KERNELS_A_LAYER * (pass->rank > 0 ? 2 : 1) + 2 * KERNELS_AROUND;
    *out = (llm_plan){.plan = {.runtime = rt, .opt = {.math = c->r.math}}, .steps = pass->steps};
    out->plan.kernels = ARENA_ARRAY(a, plan_kernel, cap);
    out->labels = ARENA_ARRAY(a, const char *, cap);
    if (!out->plan.kernels || !out->labels) return error_nomem(e, a);
    build b = {.c = c, .m = m, .rt = rt, .pass = pass, .out = out, .cap = cap, .eager = !rt->fuse_norm && !rt->ggml};
    for (int i = 0; i < pass->groups; i++) b.tokens += llm_group_tokens(&pass->group[i]);
    out->tokens = b.tokens;
    for (uint32_t i = 0; i < m->n_layers; i++) build_layer(&b, &m->layers[i]);
    build_around(&b, pass->logits, 1);
    double tokens = b.tokens;
    build_guesses(&b);
    b.tokens = tokens;
    if (out->plan.n_kernels >= cap)
        return error_set(e, PG_E_LIMIT, "a layer has more than %d kernels", KERNELS_A_LAYER);
    out->stage_bytes = b.tokens * (double)m->hidden * (rt->ggml ? c->act : build_min(c->act, 2));
    out->cpu_s = cpu_time(&b);
    out->plan.views = b.eager ? 8 * c->layers : 0;
    return PG_E_OK;
}
