/* softmax(Q K^T * scale + bias) V, as MatMul, scaling, masking, Softmax and MatMul, becomes one attention operation.
 * The scale may sit before or behind the first product; only scalar scales count: a learned scale per head is not something that
 * fused kernels do. */
#include "graph/num.h"
#include "graph/unit_internal.h"

enum { MAX_TAKEN = 16 };

typedef struct found {
    bool scaled_after, windows; /* windows: the scores are taken apart for a mask */
    uint32_t biases;
    line *taken[MAX_TAKEN];
    uint32_t n;
    uint32_t bias;
} found;

static bool take(found *f, line *l)
{
    if (f->n == MAX_TAKEN) return false;
    f->taken[f->n++] = l;
    return true;
}

/* Q and K, where the product turns K itself. */
static bool turns_keys(const lines *ls, const line *l)
{
    const op *o = line_op(ls, l);
    return l->kind == OP_FusedMatMul && op_attr_int(ls->g, o, ATTR_transB, 0) &&
           !op_attr_int(ls->g, o, ATTR_transA, 0) && !op_attr_int(ls->g, o, ATTR_transBatchA, 0) &&
           !op_attr_int(ls->g, o, ATTR_transBatchB, 0) && op_attr_float(ls->g, o, ATTR_alpha, 1) == 1;
}

/* Walks back from the softmax over scales and masks to the product of Q and K^T. */
static line *scores_of(lines *ls, found *f, uint32_t t)
{
    for (int steps = 0; steps < 9; steps++) {
        line *l = lines_private(ls, t, OP_KIND_COUNT);
        if (!l) return NULL;
        uint32_t a = line_in(ls, l, 0), b = line_in(ls, l, 1);
        switch (l->kind) {
        case OP_MatMul: return l;
        case OP_FusedMatMul: return turns_keys(ls, l) ? l : NULL;
        case OP_Mul:
        case OP_Div:
            if (!lines_scalar(ls, b) && !lines_scalar(ls, a)) return NULL;
            t = lines_scalar(ls, b) ? a : b;
            f->scaled_after = true;
            break;
        case OP_Add:
            if (++f->biases > 2) return NULL; /* a table of positions and a mask of windows */
            if (lines_private(ls, a, OP_KIND_COUNT) && !ls->constant[a]) {
                f->bias = b;
                t = a;
            } else {
                f->bias = a;
                t = b;
            }
            break;
        case OP_Where: {
            uint32_t c = line_in(ls, l, 2);
            f->bias = a; /* the mask */
            t = lines_scalar(ls, b) ? c : b;
            break;
        }
        case OP_Reshape: /* windows apart for their mask, and together again */
            f->windows |= f->biases > 0;
            t = a;
            break;
        case OP_Cast:
        case OP_Identity: t = a; break;
        default: return NULL;
        }
        if (!take(f, l)) return NULL;
    }
    return NULL;
}

/* Absorbs a scalar scale in front of the product; returns the unscaled tensor. */
static uint32_t unscaled(lines *ls, found *f, uint32_t t)
{
    line *l = lines_private(ls, t, OP_Mul);
    if (!l) l = lines_private(ls, t, OP_Div);
    if (!l) return t;
    uint32_t a = line_in(ls, l, 0), b = line_in(ls, l, 1);
    if (lines_scalar(ls, b) && take(f, l)) return a;
    if (l->kind == OP_Mul && lines_scalar(ls, a) && take(f, l)) return b;
    return t;
}

static bool is_last_axis(const lines *ls, const line *softmax)
{
    const op *o = &ls->g->ops[softmax->at];
    int rank = ls->s->t[line_in(ls, softmax, 0)].rank;
    int64_t axis = op_attr_int(ls->g, o, ATTR_axis, o->opset >= 13 ? -1 : 1);
    return rank >= 3 && (axis == -1 || axis == rank - 1);
}

/* A mask that shows each query the keys up to its own: a lower triangle, or a comparison of positions, turned into 0 and minus
 * infinity. It is what exporters make of a fused call that is told to be causal. */
static bool is_causal_mask(const lines *ls, uint32_t t)
{
    bool chosen = false;
    for (int steps = 0; steps < 8 && t != NO_TENSOR && ls->constant[t]; steps++) {
        const line *l = lines_maker(ls, t, OP_KIND_COUNT);
        if (!l) return false;
        switch (l->kind) {
        case OP_Trilu: return chosen && !op_attr_int(ls->g, line_op(ls, l), ATTR_upper, 1);
        case OP_Sub: { /* of positions */
            const line *a = lines_maker(ls, line_in(ls, l, 0), OP_Unsqueeze);
            return chosen && a && lines_maker(ls, line_in(ls, a, 0), OP_Range);
        }
        case OP_Where: chosen = true; break;
        case OP_Equal:
        case OP_Not:
        case OP_And:
        case OP_Less:
        case OP_LessOrEqual:
        case OP_Cast:
        case OP_Unsqueeze: break;
        default: return false;
        }
        t = line_in(ls, l, 0);
    }
    return false;
}

static bool swaps_last(const lines *ls, const line *transpose)
{
    const int64_t *perm = NULL;
    uint32_t n = op_attr_ints(ls->g, line_op(ls, transpose), ATTR_perm, &perm);
    for (uint32_t i = 0; i < n; i++)
        if (perm[i] != (i + 2 < n ? i : i + 2 == n ? n - 1 : n - 2)) return false;
    return n == 4; /* heads apart from the batch: others are not fused */
}

static bool is_swap_of_three(const lines *ls, const line *transpose)
{
    const int64_t *perm = NULL;
    return op_attr_ints(ls->g, line_op(ls, transpose), ATTR_perm, &perm) == 3 && !perm[0] && perm[1] == 2;
}

/* The keys before they were turned, and the operators that did it: a Transpose, or one of three dims between two views, as PyTorch's
 * second ONNX exporter turns keys of any rank. k itself: nothing turned them. */
static uint32_t unturned(const lines *ls, uint32_t k, line *by[3], uint32_t *n)
{
    line *l = lines_private(ls, k, OP_KIND_COUNT);
    *n = 0;
    if (l && l->kind == OP_Transpose && swaps_last(ls, l)) {
        by[(*n)++] = l;
        return line_in(ls, l, 0);
    }
    line *turn = l && l->kind == OP_Reshape ? lines_private(ls, line_in(ls, l, 0), OP_Transpose) : NULL;
    line *join = turn && is_swap_of_three(ls, turn) ? lines_private(ls, line_in(ls, turn, 0), OP_Reshape) : NULL;
    uint32_t from = join ? line_in(ls, join, 0) : NO_TENSOR;
    if (from == NO_TENSOR) return k;
    const tensor_shape *a = &ls->s->t[from], *b = &ls->s->t[k];
    if (a->rank != 4 || b->rank != 4) return k;
    for (int i = 0; i < 4; i++) {
        num x = a->dims[i], y = b->dims[i < 2 ? i : 5 - i];
        if (!num_known(x) || !num_known(y) || x.v.i != y.v.i) return k;
    }
    const tensor_shape *c = &ls->s->t[line_in(ls, turn, 0)];
    if (c->rank != 3 || !num_is(c->dims[1], a->dims[2].v.i) || !num_is(c->dims[2], a->dims[3].v.i)) return k;
    by[0] = l;
    by[1] = turn;
    by[2] = join;
    *n = 3;
    return from;
}

enum { FUSED_ONLY, FUSED_WITHOUT_BIAS, ALL_ATTENTION };

static void try_attention(lines *ls, line *softmax, int which)
{
    found f = {.n = 0, .bias = NO_TENSOR};
    uint32_t p = line_out(ls, softmax);
    if (!is_last_axis(ls, softmax)) return;
    line *end = lines_reader(ls, p, OP_KIND_COUNT);
    while (end && (end->kind == OP_Identity || end->kind == OP_Dropout || end->kind == OP_Cast)) {
        if (!take(&f, end)) return;
        p = line_out(ls, end);
        end = lines_reader(ls, p, OP_KIND_COUNT);
    }
    bool turned = end && end->kind == OP_Transpose && swaps_last(ls, end);
    if (turned) { /* V^T P^T */
        if (!take(&f, end)) return;
        p = line_out(ls, end);
        end = lines_reader(ls, p, OP_MatMul);
    }
    if (!end || end->kind != OP_MatMul || line_in(ls, end, turned) != p) return;
    line *qk = scores_of(ls, &f, line_in(ls, softmax, 0));
    if (!qk || qk->trips != end->trips || (f.scaled_after && which != ALL_ATTENTION)) return;
    if (which == FUSED_WITHOUT_BIAS && f.bias != NO_TENSOR) return;
    uint32_t q = line_in(ls, qk, 0), k = line_in(ls, qk, 1), v = line_in(ls, end, !turned);
    if (ls->constant[q] || ls->constant[k] || ls->constant[v]) return; /* a learned query is a linear layer */
    uint32_t out = line_out(ls, end);
    bool twice = f.n + 2 <= MAX_TAKEN;
    uint32_t scaled = f.n;
    q = unscaled(ls, &f, q);
    k = unscaled(ls, &f, k);
    bool causal = twice && f.n == scaled + 2 && f.bias != NO_TENSOR && f.biases == 1 && is_causal_mask(ls, f.bias);
    line *turns[3];
    uint32_t n_turns = 0, keys = qk->kind == OP_MatMul ? unturned(ls, k, turns, &n_turns) : k;
    if (f.n + n_turns > MAX_TAKEN) n_turns = 0;
    for (uint32_t i = 0; i < n_turns; i++) take(&f, turns[i]);
    if (n_turns) k = keys;
    lines_absorb(ls, end, softmax);
    lines_absorb(ls, end, qk);
    for (uint32_t i = 0; i < f.n; i++) lines_absorb(ls, end, f.taken[i]);
    uint16_t flags = (uint16_t)((qk->kind == OP_MatMul && !n_turns ? UNIT_K_TRANSPOSED : 0) |
                                (turned ? UNIT_V_TRANSPOSED : 0) | (causal ? UNIT_CAUSAL : 0));
    lines_lead(end, OP_ScaledDotProductAttention, flags, out);
    end->in[0] = q;
    end->in[1] = k;
    end->in[2] = v;
    end->n_in = 3;
    if (f.bias != NO_TENSOR && !causal) end->in[end->n_in++] = f.bias;
}

static bool has_windows(lines *ls)
{
    for (uint32_t i = 0; i < ls->n; i++) {
        found f = {.n = 0, .bias = NO_TENSOR};
        line *l = &ls->l[i];
        if (!l->skip && !l->leader && l->kind == OP_Softmax && is_last_axis(ls, l) &&
            scores_of(ls, &f, line_in(ls, l, 0)) && f.windows && f.biases == 2)
            return true;
    }
    return false;
}

void recompose_attention(lines *ls, bool explicit_too)
{
    int which = explicit_too ? ALL_ATTENTION : has_windows(ls) ? FUSED_WITHOUT_BIAS : FUSED_ONLY;
    for (uint32_t i = 0; i < ls->n; i++) {
        line *l = &ls->l[i];
        if (!l->skip && !l->leader && l->kind == OP_Softmax) try_attention(ls, l, which);
    }
}

/* The scalar that an exporter put on Q and K goes back to the scores: absorbed here, a kernel of the softmax's unit. */
static void move_scale(lines *ls, line *softmax)
{
    found f = {.n = 0, .bias = NO_TENSOR};
    line *qk = is_last_axis(ls, softmax) ? scores_of(ls, &f, line_in(ls, softmax, 0)) : NULL;
    if (!qk || f.scaled_after || qk->n_in) return;
    uint32_t q = line_in(ls, qk, 0), k = line_in(ls, qk, 1), out = line_out(ls, qk);
    if (ls->constant[q] || ls->constant[k]) return;
    f.n = 0;
    q = unscaled(ls, &f, q);
    k = unscaled(ls, &f, k);
    if (!f.n) return;
    for (uint32_t i = 0; i < f.n; i++) lines_absorb(ls, qk, f.taken[i]);
    lines_lead(qk, (op_kind)qk->kind, 0, out);
    qk->in[0] = q;
    qk->in[1] = k;
    qk->n_in = 2;
    softmax->flags |= UNIT_SCALES;
}

void spell_out_attention(lines *ls)
{
    for (uint32_t i = 0; i < ls->n; i++) {
        line *l = &ls->l[i];
        if (!l->skip && !l->leader && l->kind == OP_Softmax) move_scale(ls, l);
    }
}
