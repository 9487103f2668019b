/* "op:gemm:m=4096:n=4096:k=4096": one operator as a model, the smallest way to ask about a GPU. */
#include "graph/num.h"
#include "zoo/zoo.h"

typedef struct field {
    str key;
    int64_t value;
} field;

typedef struct request {
    str kind;
    field f[16];
    uint32_t n;
    uint32_t used; /* bits: fields that the operator took */
    graph *g;
    pg_error *e;
} request;

static const char how[] =
    "write op:gemm:m=M:n=N:k=K, op:conv2d:batch=B:in=I:out=O:kernel=K:size=S, "
    "op:attention:batch=B:q_len=Q:kv_len=L:heads=H:head_dim=D, op:allreduce:bytes=N, or op:softmax:rows=R:cols=C";

static pg_code bad(request *r, const char *what, str name)
{
    return error_set(r->e, PG_E_USAGE, "op: %s '%.*s'; %s", what, STR_ARG(name), how);
}

static pg_code parse_field(request *r, str part)
{
    size_t eq = 0;
    while (eq < part.len && part.ptr[eq] != '=') eq++;
    if (eq == part.len || eq + 1 == part.len) return bad(r, "no number in", part);
    if (r->n == sizeof r->f / sizeof r->f[0]) return bad(r, "too many fields at", part);
    int64_t v = 0;
    for (size_t i = eq + 1; i < part.len; i++) {
        if (part.ptr[i] < '0' || part.ptr[i] > '9' || v > (int64_t)1 << 40)
            return bad(r, "not a number from 0 to 10^12 in", part);
        v = v * 10 + (part.ptr[i] - '0');
    }
    r->f[r->n++] = (field){{part.ptr, eq}, v};
    return PG_E_OK;
}

static pg_code parse(request *r, str text)
{
    size_t at = 0, part = 0;
    for (size_t i = 0; i <= text.len; i++) {
        if (i < text.len && text.ptr[i] != ':') continue;
        str piece = {text.ptr + at, i - at};
        pg_code code = PG_E_OK;
        if (part == 1) r->kind = piece;
        else if (part > 1) code = parse_field(r, piece);
        if (code) return code;
        at = i + 1;
        part++;
    }
    return r->kind.len ? PG_E_OK : bad(r, "no operator in", text);
}

/* The value of a field; `fallback` < 0: it must be given. */
static int64_t get(request *r, const char *key, int64_t fallback)
{
    for (uint32_t i = 0; i < r->n; i++)
        if (str_is(r->f[i].key, key)) {
            r->used |= 1u << i;
            return r->f[i].value;
        }
    if (fallback < 0) bad(r, "needs the field", str_c(key));
    return fallback < 0 ? 1 : fallback;
}

static uint32_t input(request *r, const char *name, int rank, const int64_t *dims)
{
    uint32_t t = graph_add_tensor(r->g, str_c(name), DT_FP32);
    bool ok = t != NO_TENSOR && graph_set_dims_int(r->g, t, rank, dims) && graph_add_input(r->g, 0, t);
    if (!ok) error_nomem(r->e, r->g->a);
    return ok ? t : 0;
}

static uint32_t weight(request *r, const char *name, int rank, const int64_t *dims)
{
    uint32_t t = graph_add_weight(r->g, str_c(name), DT_FP32, rank, dims);
    if (t == NO_TENSOR) error_nomem(r->e, r->g->a);
    return t == NO_TENSOR ? 0 : t;
}

static void finish(request *r, op_kind kind, const uint32_t *in, uint32_t n)
{
    uint32_t out = graph_add_tensor(r->g, STR("output"), DT_FP32);
    bool ok = out != NO_TENSOR && !error_is_set(r->e) &&
              graph_add_op(r->g, 0, kind, r->kind, in, n, &out, 1) != NO_TENSOR && graph_add_output(r->g, 0, out);
    if (!ok) error_nomem(r->e, r->g->a);
}

static void build_gemm(request *r)
{
    int64_t b = get(r, "batch", 1), m = get(r, "m", -1), n = get(r, "n", -1), k = get(r, "k", -1);
    int64_t block = get(r, "block", 0);
    uint32_t in[2];
    if (block != 0 && block != 128) {
        error_set(r->e, PG_E_USAGE, "op:gemm: block=%lld; FP8 kernels have scales for blocks of 128", (long long)block);
        return;
    }
    if (b > 1) {
        in[0] = input(r, "a", 3, (int64_t[]){b, m, k});
        in[1] = input(r, "b", 3, (int64_t[]){b, k, n});
    } else {
        in[0] = input(r, "a", 2, (int64_t[]){m, k});
        in[1] = weight(r, "b", 2, (int64_t[]){k, n});
    }
    finish(r, OP_MatMul, in, 2);
    if (block > 0 && !error_is_set(r->e) && !graph_attr_int(r->g, ATTR_block_size, block)) error_nomem(r->e, r->g->a);
}

static void build_conv(request *r)
{
    int64_t b = get(r, "batch", 1), c = get(r, "in", -1), o = get(r, "out", -1), k = get(r, "kernel", -1),
            s = get(r, "size", -1);
    int64_t stride = get(r, "stride", 1), pad = get(r, "padding", 0), groups = get(r, "groups", 1);
    if (groups < 1 || c % groups || o % groups) {
        error_set(r->e, PG_E_USAGE, "op:conv2d: groups=%lld does not divide in=%lld and out=%lld", (long long)groups,
                  (long long)c, (long long)o);
        return;
    }
    uint32_t in[2] = {input(r, "input", 4, (int64_t[]){b, c, s, s}),
                      weight(r, "weight", 4, (int64_t[]){o, c / groups, k, k})};
    finish(r, OP_Conv, in, 2);
    bool ok = graph_attr_ints(r->g, ATTR_strides, (int64_t[]){stride, stride}, 2) &&
              graph_attr_ints(r->g, ATTR_pads, (int64_t[]){pad, pad, pad, pad}, 4) &&
              graph_attr_int(r->g, ATTR_group, groups);
    if (!ok) error_nomem(r->e, r->g->a);
}

static void build_attention(request *r)
{
    int64_t b = get(r, "batch", 1), q = get(r, "q_len", -1), l = get(r, "kv_len", q), h = get(r, "heads", -1),
            kv = get(r, "kv_heads", h);
    int64_t d = get(r, "head_dim", -1), v = get(r, "v_dim", d), causal = get(r, "causal", 0),
            latent = get(r, "latent", 0);
    if (latent == d && (v > d || kv != 1)) {
        error_set(
            r->e, PG_E_USAGE,
            "op:attention: head_dim=latent=%lld means that one row is key and value of all heads: kv_heads=%lld must be 1 "
            "and v_dim=%lld a part of it",
            (long long)d, (long long)kv, (long long)v);
        return;
    }
    if (kv < 1 || h % kv) {
        error_set(r->e, PG_E_USAGE, "op:attention: kv_heads=%lld does not divide heads=%lld", (long long)kv,
                  (long long)h);
        return;
    }
    uint32_t in[3] = {input(r, "q", 4, (int64_t[]){b, h, q, d}), input(r, "k", 4, (int64_t[]){b, kv, l, d}),
                      input(r, "v", 4, (int64_t[]){b, kv, l, v})};
    finish(r, OP_ScaledDotProductAttention, in, 3);
    bool ok = graph_attr_int(r->g, ATTR_is_causal, causal != 0) && graph_attr_int(r->g, ATTR_latent, latent);
    if (!ok && !error_is_set(r->e)) error_nomem(r->e, r->g->a);
}

/* Rows of all GPUs; width and experts are what this one of tp * ep has. Weights narrower than activations: weight_bits. */
static void build_experts(request *r)
{
    int64_t tokens = get(r, "tokens", -1), hidden = get(r, "hidden", -1), width = get(r, "inter", -1),
            experts = get(r, "experts", -1), used = get(r, "used", -1), tp = get(r, "tp", 1), ep = get(r, "ep", 1),
            gated = get(r, "gated", 1), skew = get(r, "skew", 0), even = get(r, "even", 0), block = get(r, "block", 0),
            bits = get(r, "weight_bits", 0);
    if (used > experts || tp < 1 || ep < 1 || width % tp || experts % ep || skew > 1000 ||
        (bits && bits != 4 && bits != 8) || (block && block != 128)) {
        error_set(
            r->e, PG_E_USAGE,
            "op:moe: used=%lld must be at most experts=%lld, tp=%lld divide inter=%lld, ep=%lld divide the experts, "
            "skew=%lld be at most 1000 (an exponent in hundredths), weight_bits=%lld be 4 or 8, block=%lld be 128",
            (long long)used, (long long)experts, (long long)tp, (long long)width, (long long)ep, (long long)skew,
            (long long)bits, (long long)block);
        return;
    }
    width /= tp;
    uint32_t in[3] = {input(r, "tokens", 2, (int64_t[]){tokens, hidden}),
                      weight(r, "up", 3, (int64_t[]){experts / ep, hidden, (gated ? 2 : 1) * width}),
                      weight(r, "down", 3, (int64_t[]){experts / ep, width, hidden})};
    for (int i = 1; i < 3 && bits && !error_is_set(r->e); i++) {
        tensor *t = &r->g->tensors[in[i]];
        t->weight_bytes *= (bits == 4 ? 4.25 : 8.125) / 32; /* a scale for 32 to 128 weights */
        t->dtype = bits == 4 ? DT_INT4 : DT_INT8;
    }
    finish(r, OP_MixtureOfExperts, in, 3);
    bool ok = graph_attr_int(r->g, ATTR_N, experts) && graph_attr_int(r->g, ATTR_k, used) &&
              graph_attr_int(r->g, ATTR_skew, even ? -1 : skew) && graph_attr_int(r->g, ATTR_block_size, block) &&
              graph_attr_int(r->g, ATTR_num_groups, gated ? 2 : 1);
    if (!ok && !error_is_set(r->e)) error_nomem(r->e, r->g->a);
}

/* A recurrence with a state of dim x width for each head, or a convolution along time in front of one. */
static void build_state(request *r, bool conv)
{
    int64_t b = get(r, "batch", 1), s = get(r, "seq_len", 1), heads = conv ? 1 : get(r, "heads", -1),
            width = conv ? get(r, "channels", -1) : get(r, "width", 128),
            size = conv ? get(r, "taps", 4) : get(r, "dim", 128), row = 0;
    if (!int_mul(heads, width, &row)) {
        error_set(r->e, PG_E_USAGE, "op:%.*s: heads=%lld of width=%lld are too many", STR_ARG(r->kind),
                  (long long)heads, (long long)width);
        return;
    }
    uint32_t in = input(r, "x", 3, (int64_t[]){b, s, row});
    finish(r, conv ? OP_ShortConvolution : OP_GatedDeltaRule, &in, 1);
    bool ok = graph_attr_int(r->g, ATTR_k, size) && graph_attr_int(r->g, ATTR_num_heads, heads);
    if (!ok && !error_is_set(r->e)) error_nomem(r->e, r->g->a);
}

/* A message of so many bytes between GPUs; how many, says the request. */
static bool build_collective(request *r)
{
    static const char *const names[] = {"allreduce", "allgather", "reducescatter", "alltoall", "broadcast", "send"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (!str_is(r->kind, names[i])) continue;
        int64_t bytes = get(r, "bytes", -1);
        uint32_t in = graph_add_tensor(r->g, STR("message"), DT_INT8);
        uint32_t out = graph_add_tensor(r->g, STR("output"), DT_INT8);
        bool ok = in != NO_TENSOR && out != NO_TENSOR && graph_set_dims_int(r->g, in, 1, &bytes) &&
                  graph_add_input(r->g, 0, in) &&
                  graph_add_op(r->g, 0, i ? OP_Collective : OP_AllReduce, r->kind, &in, 1, &out, 1) != NO_TENSOR &&
                  graph_attr_string(r->g, ATTR_mode, str_c(names[i])) && graph_add_output(r->g, 0, out);
        if (!ok) error_nomem(r->e, r->g->a);
        return true;
    }
    return false;
}

static pg_code build_rows(request *r)
{
    static const struct {
        const char *name;
        op_kind kind;
        int inputs; /* 1, 2 tensors; 3: a tensor and a number */
    } ops[] = {{"softmax", OP_Softmax, 1}, {"layernorm", OP_LayerNormalization, 1},
               {"relu", OP_Relu, 1},       {"gelu", OP_Gelu, 1},
               {"tanh", OP_Tanh, 1},       {"add", OP_Add, 2},
               {"mul", OP_Mul, 2},         {"div", OP_Div, 2},
               {"pow", OP_Pow, 2},         {"add_scalar", OP_Add, 3},
               {"mul_scalar", OP_Mul, 3},  {"div_scalar", OP_Div, 3},
               {"pow_scalar", OP_Pow, 3}};
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        if (!str_is(r->kind, ops[i].name)) continue;
        int64_t dims[2] = {get(r, "rows", -1), get(r, "cols", -1)};
        uint32_t in[2] = {input(r, "input", 2, dims), 0}, n = 1;
        if (ops[i].inputs == 2) in[n++] = input(r, "other", 2, dims);
        if (ops[i].inputs == 3) in[n++] = weight(r, "number", 0, NULL);
        if (ops[i].kind == OP_LayerNormalization) in[n++] = weight(r, "scale", 1, &dims[1]);
        finish(r, ops[i].kind, in, n);
        return PG_E_OK;
    }
    return bad(r, "unknown operator", r->kind);
}

static bool may_be_zero(str key)
{
    return str_is(key, "padding") || str_is(key, "causal") || str_is(key, "gated");
}

pg_code zoo_build_op(graph *g, str text, pg_error *e)
{
    pg_error local = PG_ERROR_INIT;
    request r = {.g = g, .e = e ? e : &local};
    pg_code code = parse(&r, text);
    for (uint32_t i = 0; !code && i < r.n; i++)
        if (r.f[i].value == 0 && !may_be_zero(r.f[i].key)) code = bad(&r, "zero is not a size in", r.f[i].key);
    if (code) return code;
    if (str_is(r.kind, "gemm")) build_gemm(&r);
    else if (str_is(r.kind, "conv2d")) build_conv(&r);
    else if (str_is(r.kind, "attention")) build_attention(&r);
    else if (str_is(r.kind, "moe")) build_experts(&r);
    else if (str_is(r.kind, "delta_rule")) build_state(&r, false);
    else if (str_is(r.kind, "short_conv")) build_state(&r, true);
    else if (!build_collective(&r)) code = build_rows(&r);
    for (uint32_t i = 0; !code && !error_is_set(r.e) && i < r.n; i++)
        if (!(r.used >> i & 1)) code = bad(&r, "unknown field", r.f[i].key);
    return code ? code : r.e->code;
}
