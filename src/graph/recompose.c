/* Exporters take high-level operations apart; frameworks run them as one kernel. These passes put them together again.
 * Each starts at an operator that the pattern can't do without, looks backwards and forwards from there, and changes nothing
 * unless the whole pattern holds and no inner value is used elsewhere. */
#include "graph/num.h"
#include "graph/unit_internal.h"

/* x^2 in one of its spellings; the operator and x. */
static line *square_of(const lines *ls, uint32_t t, uint32_t *x)
{
    line *l = lines_private(ls, t, OP_KIND_COUNT);
    if (!l) return NULL;
    uint32_t a = line_in(ls, l, 0), b = line_in(ls, l, 1);
    if (l->kind == OP_Pow ? !lines_scalar(ls, b) : l->kind != OP_Mul || a != b) return NULL;
    *x = a;
    return l;
}

/* One number per channel, whatever the batch: at most one dim is not 1. */
static bool is_vector(const tensor_shape *t)
{
    int long_dims = 0;
    for (int i = 0; i < t->rank; i++) long_dims += !num_known(t->dims[i]) || t->dims[i].v.i != 1;
    return t->rank >= 0 && long_dims <= 1;
}

/* Scale and shift by weights behind a normalisation: absorbs up to one Mul and one Add, moves *end. */
static void absorb_affine(lines *ls, line **end, line *taken[], uint32_t *n)
{
    static const int order[2] = {OP_Mul, OP_Add};
    for (int i = 0; i < 2; i++) {
        uint32_t t = line_out(ls, *end);
        line *next = lines_reader(ls, t, order[i]);
        uint32_t other = next ? line_other(ls, next, t) : NO_TENSOR;
        if (!next || other == NO_TENSOR || !ls->constant[other]) continue;
        double size = shape_elements(&ls->s->t[other]), all = shape_elements(&ls->s->t[t]);
        if (!is_vector(&ls->s->t[other]) && (size < 0 || size * 2 > all)) continue; /* not a channel's scale */
        taken[(*n)++] = *end;
        *end = next;
    }
}

static void finish_norm(lines *ls, line *end, op_kind kind, uint32_t x, line *const taken[], uint32_t n)
{
    uint32_t out = line_out(ls, end);
    for (uint32_t i = 0; i < n; i++) lines_absorb(ls, end, taken[i]);
    lines_lead(end, kind, 0, out);
    end->in[0] = x;
    end->n_in = 1;
}

/* Layer normalisation: d = x - mean(x); d / sqrt(mean(d^2) + eps), or RMS normalisation: the same with d = x. */
static void try_norm(lines *ls, line *root)
{
    line *taken[12];
    uint32_t n = 0;
    line *eps = lines_private(ls, line_in(ls, root, 0), OP_Add);
    if (!eps) return;
    uint32_t variance = lines_scalar(ls, line_in(ls, eps, 1)) ? line_in(ls, eps, 0) : line_in(ls, eps, 1);
    line *mean = lines_private(ls, variance, OP_ReduceMean);
    if (!mean) return;
    uint32_t d;
    line *square = square_of(ls, line_in(ls, mean, 0), &d);
    if (!square) return;
    line *end = lines_reader(ls, line_out(ls, root), OP_KIND_COUNT);
    if (end && root->kind == OP_Rsqrt && end->kind != OP_Mul) return;
    bool inverse = end && end->kind == OP_Div && lines_scalar(ls, line_in(ls, end, 0)); /* 1 / sqrt(...) */
    if (inverse || (end && end->kind == OP_Reciprocal)) {
        taken[n++] = end;
        end = lines_reader(ls, line_out(ls, end), OP_Mul);
    }
    if (!end || (end->kind != OP_Div && end->kind != OP_Mul)) return;
    if (line_in(ls, end, 0) != d && line_in(ls, end, 1) != d) return;
    taken[n++] = root;
    taken[n++] = eps;
    taken[n++] = mean;
    taken[n++] = square;
    uint32_t x = d;
    op_kind kind = OP_SimplifiedLayerNormalization;
    line *sub = lines_maker(ls, d, OP_Sub);
    line *center = sub ? lines_private(ls, line_in(ls, sub, 1), OP_ReduceMean) : NULL;
    if (center && line_in(ls, center, 0) == line_in(ls, sub, 0) && ls->uses[d] <= 3) {
        taken[n++] = sub;
        taken[n++] = center;
        x = line_in(ls, sub, 0);
        kind = OP_LayerNormalization;
    }
    absorb_affine(ls, &end, taken, &n);
    finish_norm(ls, end, kind, x, taken, n);
}

/* Group normalisation: reshape to groups, instance normalisation, reshape back, scale and shift. */
static void try_group_norm(lines *ls, line *norm)
{
    line *taken[6];
    uint32_t n = 0;
    line *before = lines_private(ls, line_in(ls, norm, 0), OP_Reshape);
    line *after = lines_reader(ls, line_out(ls, norm), OP_Reshape);
    if (!before || !after) return;
    taken[n++] = before;
    taken[n++] = norm;
    line *end = after;
    absorb_affine(ls, &end, taken, &n);
    finish_norm(ls, end, OP_GroupNorm, line_in(ls, before, 0), taken, n);
    end->at = norm->op; /* whose input says how many elements a group has */
}

void recompose_norms(lines *ls)
{
    for (uint32_t i = 0; i < ls->n; i++) {
        line *l = &ls->l[i];
        if (l->skip || l->leader) continue;
        if (l->kind == OP_Sqrt || l->kind == OP_Rsqrt) try_norm(ls, l);
        else if (l->kind == OP_InstanceNormalization) try_group_norm(ls, l);
    }
}

/* ---- activations ---- */

enum { CONE = 12 };

typedef struct cone {
    line *l[CONE];
    uint32_t n;
    uint32_t x; /* the one value that all of it depends on */
    bool ok;
} cone;

static bool in_cone(const cone *c, const line *l)
{
    for (uint32_t i = 0; i < c->n; i++)
        if (c->l[i] == l) return true;
    return false;
}

static bool is_comparison(int kind)
{
    return kind == OP_Greater || kind == OP_GreaterOrEqual || kind == OP_Less || kind == OP_LessOrEqual;
}

static bool is_simple(int kind)
{
    return kind == OP_Add || kind == OP_Sub || kind == OP_Mul || kind == OP_Div || kind == OP_Pow || kind == OP_Erf ||
           kind == OP_Tanh || kind == OP_Sigmoid || kind == OP_HardSigmoid || kind == OP_Softplus || kind == OP_Clip ||
           kind == OP_Exp || kind == OP_Log || kind == OP_Neg || kind == OP_Abs || kind == OP_Where ||
           is_comparison(kind);
}

/* Walks backwards over simple operators with scalar constants until only `x` is left, which may be read several times. */
static void grow_cone(const lines *ls, cone *c, line *l, uint32_t x)
{
    if (!c->ok || in_cone(c, l)) return;
    if (c->n == CONE) {
        c->ok = false;
        return;
    }
    c->l[c->n++] = l;
    for (uint32_t i = 0; i < line_op(ls, l)->n_in && c->ok; i++) {
        uint32_t t = line_in(ls, l, i);
        if (t == NO_TENSOR || t == x || lines_scalar(ls, t)) continue;
        line *m = lines_private(ls, t, OP_KIND_COUNT);
        if (!m || !is_simple(m->kind)) c->ok = false;
        else grow_cone(ls, c, m, x);
    }
}

static void try_cone(lines *ls, line *end, uint32_t x, op_kind kind)
{
    cone c = {.n = 0, .x = x, .ok = true};
    if (x == NO_TENSOR || ls->constant[x]) return;
    grow_cone(ls, &c, end, x);
    if (!c.ok) return;
    uint32_t out = line_out(ls, end);
    for (uint32_t i = 0; i < c.n; i++) lines_absorb(ls, end, c.l[i]);
    lines_lead(end, kind, 0, out);
    end->in[0] = x;
    end->n_in = 1;
}

/* x * f(x): SiLU, hard swish, Mish. */
static void try_gate(lines *ls, line *gate, op_kind kind)
{
    uint32_t x = line_in(ls, gate, 0);
    line *end = lines_reader(ls, line_out(ls, gate), OP_Mul);
    if (gate->kind == OP_Tanh) {
        line *softplus = lines_private(ls, x, OP_Softplus);
        if (!softplus) return;
        x = line_in(ls, softplus, 0);
    }
    if (gate->kind == OP_Sigmoid && end && line_other(ls, end, line_out(ls, gate)) != x) { /* x * sigmoid(1.702 x) */
        line *scaled = lines_private(ls, x, OP_Mul);
        if (!scaled) return;
        uint32_t inner = lines_scalar(ls, line_in(ls, scaled, 1)) ? line_in(ls, scaled, 0) : line_in(ls, scaled, 1);
        if (line_other(ls, end, line_out(ls, gate)) != inner) return;
        x = inner;
        kind = OP_QuickGelu;
    }
    if (end && line_other(ls, end, line_out(ls, gate)) == x) try_cone(ls, end, x, kind);
}

/* The input that GELU starts from: walks back over the scaling and the cubic term. */
static uint32_t gelu_input(const lines *ls, const line *l)
{
    uint32_t t = line_in(ls, l, 0);
    for (int steps = 0; steps < 6; steps++) {
        const line *m = lines_private(ls, t, OP_KIND_COUNT);
        if (!m || !is_simple(m->kind)) return t;
        uint32_t a = line_in(ls, m, 0), b = line_in(ls, m, 1);
        uint32_t next = a;
        if (m->kind == OP_Mul || m->kind == OP_Add) next = lines_scalar(ls, a) ? b : a;
        if (next == NO_TENSOR || lines_scalar(ls, next)) return t;
        t = next;
    }
    return t;
}

static void try_gelu(lines *ls, line *inner)
{
    uint32_t x = gelu_input(ls, inner);
    line *plus = lines_reader(ls, line_out(ls, inner), OP_Add);
    line *end = plus ? lines_reader(ls, line_out(ls, plus), OP_Mul) : NULL;
    if (!end) return;
    line *half = lines_reader(ls, line_out(ls, end), OP_Mul); /* ... * 0.5 at the end, or x * 0.5 before */
    if (half && lines_scalar(ls, line_other(ls, half, line_out(ls, end)))) end = half;
    try_cone(ls, end, x, OP_Gelu);
}

/* (x + 3) clipped to 0..6, / 6, * x; functional programs clip to 0 and then to 6, and do so for the hard sigmoid as well. */
static void try_hard_swish(lines *ls, line *clip)
{
    line *inner = lines_private(ls, line_in(ls, clip, 0), OP_Clip);
    line *plus = lines_private(ls, line_in(ls, inner ? inner : clip, 0), OP_Add);
    if (!plus) return;
    uint32_t x = lines_scalar(ls, line_in(ls, plus, 1)) ? line_in(ls, plus, 0) : line_in(ls, plus, 1);
    line *a = lines_reader(ls, line_out(ls, clip), OP_KIND_COUNT);
    line *b = a ? lines_reader(ls, line_out(ls, a), OP_KIND_COUNT) : NULL;
    bool scaled = inner && a && a->kind == OP_Div && lines_scalar(ls, line_in(ls, a, 1));
    if (scaled && (!b || b->kind != OP_Mul || line_other(ls, b, line_out(ls, a)) != x)) {
        try_cone(ls, a, x, OP_HardSigmoid);
        return;
    }
    if (!a || !b || (a->kind != OP_Div && a->kind != OP_Mul) || (b->kind != OP_Div && b->kind != OP_Mul)) return;
    try_cone(ls, b, x, OP_HardSwish);
}

/* where(x > number, ..., ...) of x alone: leaky ReLU, ELU, softplus and their kin, as functional programs have them. */
static void try_choice(lines *ls, line *where)
{
    const line *which = lines_private(ls, line_in(ls, where, 0), OP_KIND_COUNT);
    if (!which || !is_comparison(which->kind) || !lines_scalar(ls, line_in(ls, which, 1))) return;
    uint32_t x = line_in(ls, which, 0);
    const line *other = lines_private(ls, line_in(ls, where, 2), OP_KIND_COUNT);
    bool log = other && other->kind == OP_Log, exponent = other && other->kind != OP_Mul;
    while (other && other->kind == OP_Mul && !exponent) {
        uint32_t a = line_in(ls, other, 0), b = line_in(ls, other, 1);
        other = lines_private(ls, lines_scalar(ls, a) ? b : a, OP_KIND_COUNT);
        exponent = other && other->kind == OP_Exp;
    }
    try_cone(ls, where, x, log ? OP_Softplus : exponent ? OP_Elu : OP_LeakyRelu);
}

/* ---- addcmul ---- */

static bool is_literal_one(const lines *ls, uint32_t t)
{
    if (t == NO_TENSOR || !lines_scalar(ls, t)) return false;
    const tensor_shape *x = &ls->s->t[t];
    if (!x->value || x->value_count != 1 || !num_known(x->value[0])) return false;
    return dtype_get((dtype)x->dtype)->floating ? x->value[0].v.f == 1 : x->value[0].v.i == 1;
}

/* torch.addcmul(c, a, b) is exported as c + a * b * 1: one kernel, not three. */
static void try_addcmul(lines *ls, line *scale)
{
    uint32_t p = line_in(ls, scale, 0);
    if (is_literal_one(ls, p)) p = line_in(ls, scale, 1);
    else if (!is_literal_one(ls, line_in(ls, scale, 1))) return;
    line *product = lines_private(ls, p, OP_Mul);
    line *end = lines_reader(ls, line_out(ls, scale), OP_Add);
    if (!product || !end) return;
    uint32_t c = line_other(ls, end, line_out(ls, scale)), out = line_out(ls, end);
    uint32_t a = line_in(ls, product, 0), b = line_in(ls, product, 1);
    if (c == NO_TENSOR) return;
    lines_absorb(ls, end, scale);
    lines_absorb(ls, end, product);
    lines_lead(end, OP_Add, 0, out);
    end->in[0] = a;
    end->in[1] = b;
    end->in[2] = c;
    end->n_in = 3;
}

/* torch.add(a, b, alpha=1) as a function of the exporter's library: a + b * 1. */
static void try_scaled_sum(lines *ls, line *end)
{
    uint32_t in[2] = {line_in(ls, end, 0), line_in(ls, end, 1)}, out = line_out(ls, end);
    for (int i = 0; i < 2; i++) {
        line *scale = lines_private(ls, in[i], OP_Mul);
        if (!scale || !is_literal_one(ls, line_in(ls, scale, 1))) continue;
        in[i] = line_in(ls, scale, 0);
        ls->consumer[in[i]] = (uint32_t)(end - ls->l) + 1;
        lines_absorb(ls, end, scale);
        lines_lead(end, (op_kind)end->kind, 0, out);
        end->in[0] = in[0];
        end->in[1] = in[1];
        end->n_in = 2;
    }
}

/* ---- division ---- */

/* a / b rounded down, as PyTorch's exporter to ONNX writes it for whole numbers: where((a < 0) != (b < 0) and a mod b != 0, a / b - 1,
 * a / b). */
static void try_floor_division(lines *ls, line *where)
{
    line *taken[7];
    uint32_t n = 0, q = line_in(ls, where, 2);
    line *both = lines_private(ls, line_in(ls, where, 0), OP_And);
    line *less = lines_private(ls, line_in(ls, where, 1), OP_Sub), *divide = lines_maker(ls, q, OP_Div);
    if (!both || !less || !divide || line_in(ls, less, 0) != q || ls->uses[q] != 2) return;
    line *signs = lines_private(ls, line_in(ls, both, 0), OP_Xor);
    line *rest = lines_private(ls, line_in(ls, both, 1), OP_Not);
    line *whole = rest ? lines_private(ls, line_in(ls, rest, 0), OP_Equal) : NULL;
    line *mod = whole ? lines_private(ls, line_in(ls, whole, 0), OP_Mod) : NULL;
    uint32_t a = line_in(ls, divide, 0), b = line_in(ls, divide, 1), out = line_out(ls, where);
    uint32_t by = mod ? line_in(ls, mod, 1) : NO_TENSOR; /* a number may be written down twice */
    if (!signs || !mod || line_in(ls, mod, 0) != a || (by != b && !(lines_scalar(ls, by) && lines_scalar(ls, b))))
        return;
    taken[n++] = both;
    taken[n++] = less;
    taken[n++] = divide;
    taken[n++] = signs;
    taken[n++] = rest;
    taken[n++] = whole;
    taken[n++] = mod;
    for (uint32_t i = 0; i < n; i++) lines_absorb(ls, where, taken[i]);
    for (uint32_t i = 0; i < 2; i++) {
        line *sign = lines_private(ls, line_in(ls, signs, i), OP_Less);
        if (sign) lines_absorb(ls, where, sign);
    }
    lines_lead(where, OP_FloorDiv, 0, out);
    where->in[0] = a;
    where->in[1] = b;
    where->n_in = 2;
}

void recompose_activations(lines *ls)
{
    for (uint32_t i = 0; i < ls->n; i++) {
        line *l = &ls->l[i];
        if (l->skip || l->leader) continue;
        switch (l->kind) {
        case OP_Sigmoid: try_gate(ls, l, OP_Silu); break;
        case OP_HardSigmoid: try_gate(ls, l, OP_HardSwish); break;
        case OP_Erf: try_gelu(ls, l); break;
        case OP_Clip: try_hard_swish(ls, l); break;
        case OP_Where:
            try_choice(ls, l);
            if (!l->leader && !l->n_in) try_floor_division(ls, l);
            break;
        case OP_Mul: try_addcmul(ls, l); break;
        case OP_Add:
        case OP_Sub: try_scaled_sum(ls, l); break;
        case OP_Tanh:
            try_gate(ls, l, OP_Mish);
            if (!l->leader) try_gelu(ls, l);
            break;
        default: break;
        }
    }
}

/* ---- recurrent layers ---- */

static bool only_moves(int kind)
{
    return kind == OP_Concat || kind == OP_Slice || kind == OP_Split || kind == OP_Unsqueeze || kind == OP_Squeeze ||
           kind == OP_Reshape || kind == OP_Transpose || kind == OP_Identity;
}

/* Weights whose gates an exporter puts into another order: the layer has them as it wants them. */
static void take_weights(lines *ls, line *layer, uint32_t t, int depth)
{
    enum { DEPTH = 8 };
    line *l = depth < DEPTH && t != NO_TENSOR && ls->constant[t] ? lines_private(ls, t, OP_KIND_COUNT) : NULL;
    if (!l || !only_moves(l->kind) || l->trips != layer->trips) return;
    lines_absorb(ls, layer, l);
    for (uint32_t i = 0; i < line_op(ls, l)->n_in; i++) take_weights(ls, layer, line_in(ls, l, i), depth + 1);
}

void recompose_recurrent(lines *ls)
{
    enum { WEIGHTS = 1, BIAS = 3 };
    for (uint32_t i = 0; i < ls->n; i++) {
        line *l = &ls->l[i];
        if (l->skip || l->leader || (l->kind != OP_LSTM && l->kind != OP_GRU && l->kind != OP_RNN)) continue;
        for (uint32_t k = WEIGHTS; k <= BIAS; k++) take_weights(ls, l, line_in(ls, l, k), 0);
    }
}

/* ---- linear layers ---- */

void recompose_linears(lines *ls)
{
    for (uint32_t i = 0; i < ls->n; i++) {
        line *l = &ls->l[i];
        if (l->skip || l->leader || l->kind != OP_MatMul) continue;
        uint32_t w = line_in(ls, l, 1), y = line_out(ls, l);
        line *add = lines_reader(ls, y, OP_Add);
        uint32_t bias = add ? line_other(ls, add, y) : NO_TENSOR;
        if (bias == NO_TENSOR || w == NO_TENSOR || !ls->constant[w] || !ls->constant[bias] || ls->s->t[bias].rank != 1)
            continue;
        uint32_t x = line_in(ls, l, 0), out = line_out(ls, add);
        lines_absorb(ls, add, l);
        lines_lead(add, OP_MatMul, UNIT_BIAS, out);
        add->in[0] = x;
        add->in[1] = w;
        add->in[2] = bias;
        add->n_in = 3;
        add->at = l->at;
    }
}
