/* Products, and the softmax of attention, as torch.export's decompositions write them: x W^T of three dims is a view of two, a
 * product and a view back; a product of four dims goes through three, after expanding what may be broadcast; a softmax looks for rows
 * that are masked as a whole. What was called was one product, or one softmax, and is so again.
 *
 * The views may have other readers: a reader that no longer needs one leaves it, and the last one takes it along. */
#include "graph/unit_internal.h"

static const tensor_shape *shape_of(const lines *ls, uint32_t t)
{
    return &ls->s->t[t];
}

static bool same_dims(const tensor_shape *a, const tensor_shape *b, int n)
{
    for (int i = 0; i < n; i++)
        if (!num_known(a->dims[i]) || !num_known(b->dims[i]) || a->dims[i].v.i != b->dims[i].v.i) return false;
    return true;
}

static bool reshapes(const line *l)
{
    return l->kind == OP_Reshape || l->kind == OP_Flatten;
}

/* What t is a view of, when the view only joins dims in front of the last `kept`; t itself: it is none. */
static uint32_t unjoined(const lines *ls, uint32_t t, int kept)
{
    const line *l = lines_maker(ls, t, OP_KIND_COUNT);
    uint32_t from = l && reshapes(l) ? line_in(ls, l, 0) : NO_TENSOR;
    if (from == NO_TENSOR) return t;
    const tensor_shape *a = shape_of(ls, from), *b = shape_of(ls, t);
    if (a->rank < b->rank || b->rank <= kept || a->rank > MAX_RANK) return t;
    for (int i = 1; i <= kept; i++) {
        num x = a->dims[a->rank - i], y = b->dims[b->rank - i];
        if (!num_known(x) || !num_known(y) || x.v.i != y.v.i) return t;
    }
    return from;
}

/* A constant matrix that was expanded to a product's batches. */
static uint32_t unexpanded(const lines *ls, uint32_t t)
{
    uint32_t from = unjoined(ls, t, 2);
    const line *l = lines_maker(ls, from, OP_Expand);
    uint32_t w = l ? line_in(ls, l, 0) : NO_TENSOR;
    return w != NO_TENSOR && ls->constant[w] && shape_of(ls, w)->rank == 2 ? w : NO_TENSOR;
}

/* `reader` reads `to` where it read `from`, a view of it. */
static void read_instead(lines *ls, line *reader, uint32_t i, uint32_t from, uint32_t to)
{
    reader->in[i] = to;
    if (from == to) return;
    line *view = lines_maker(ls, from, OP_KIND_COUNT);
    if (ls->uses[from]) ls->uses[from]--;
    if (ls->uses[from]) {
        ls->uses[to]++;
    } else if (view) { /* which it takes along */
        lines_absorb(ls, reader, view);
        ls->consumer[to] = (uint32_t)(reader - ls->l) + 1;
    }
}

/* The view that takes the dims in front apart again, to those of `like`. */
static line *view_back(const lines *ls, uint32_t y, uint32_t like)
{
    line *l = lines_reader(ls, y, OP_KIND_COUNT);
    if (!l || !reshapes(l)) return NULL;
    const tensor_shape *a = shape_of(ls, line_out(ls, l)), *b = shape_of(ls, like), *c = shape_of(ls, y);
    if (a->rank != b->rank || a->rank < 1 || c->rank < 1 || !same_dims(a, b, a->rank - 1)) return NULL;
    num wide = a->dims[a->rank - 1], flat = c->dims[c->rank - 1];
    return num_known(wide) && num_known(flat) && wide.v.i == flat.v.i ? l : NULL;
}

static bool plain_gemm(const lines *ls, const line *l)
{
    const op *o = line_op(ls, l);
    return !op_attr_int(ls->g, o, ATTR_transA, 0) && !op_attr_int(ls->g, o, ATTR_transB, 0) &&
           op_attr_float(ls->g, o, ATTR_alpha, 1) == 1 && op_attr_float(ls->g, o, ATTR_beta, 1) == 1;
}

/* x W + b of more than two dims. */
static void try_linear(lines *ls, line *l)
{
    uint32_t x = line_in(ls, l, 0), w = line_in(ls, l, 1), y = line_out(ls, l);
    uint32_t bias = l->kind == OP_Gemm ? line_in(ls, l, 2) : NO_TENSOR;
    if (x == NO_TENSOR || w == NO_TENSOR || !ls->constant[w] || ls->constant[x]) return;
    if (shape_of(ls, x)->rank != 2 || shape_of(ls, w)->rank != 2 || (l->kind == OP_Gemm && !plain_gemm(ls, l))) return;
    if (bias != NO_TENSOR && (!ls->constant[bias] || shape_of(ls, bias)->rank != 1)) return;
    uint32_t whole = unjoined(ls, x, 1);
    line *end = whole == x ? NULL : view_back(ls, y, whole);
    if (!end) return;
    uint32_t out = line_out(ls, end);
    lines_absorb(ls, end, l);
    lines_lead(end, OP_MatMul, bias == NO_TENSOR ? 0 : UNIT_BIAS, out);
    end->in[1] = w;
    end->in[2] = bias;
    end->n_in = bias == NO_TENSOR ? 2 : 3;
    end->at = l->op;
    read_instead(ls, end, 0, x, whole);
}

/* A product of batches: through three dims and back, or of rows and one matrix that was expanded. */
static void try_batches(lines *ls, line *l)
{
    uint32_t a = line_in(ls, l, 0), b = line_in(ls, l, 1), y = line_out(ls, l);
    if (a == NO_TENSOR || b == NO_TENSOR || shape_of(ls, a)->rank != 3 || shape_of(ls, b)->rank != 3) return;
    uint32_t x = unjoined(ls, a, 2), w = unexpanded(ls, b), z = w == NO_TENSOR ? unjoined(ls, b, 2) : w;
    const tensor_shape *xs = shape_of(ls, x), *zs = shape_of(ls, z);
    if (x == a && z == b) return;
    if (w == NO_TENSOR && (zs->rank != xs->rank || !same_dims(xs, zs, xs->rank - 2))) return;
    line *end = x == a ? l : view_back(ls, y, x);
    if (!end) return;
    uint32_t out = line_out(ls, end);
    lines_absorb(ls, end, l);
    lines_lead(end, OP_MatMul, 0, out);
    end->n_in = 2;
    end->at = l->op;
    read_instead(ls, end, 0, a, x);
    read_instead(ls, end, 1, b, z);
}

/* where(not any(x != -inf), 0, softmax(x)) */
static void try_safe_softmax(lines *ls, line *softmax)
{
    static const int rest[] = {OP_ReduceAny, OP_Not, OP_Equal};
    uint32_t x = line_in(ls, softmax, 0), p = line_out(ls, softmax), t;
    line *end = lines_reader(ls, p, OP_Where), *taken[4];
    if (x == NO_TENSOR || !end || line_in(ls, end, 2) != p) return;
    taken[0] = lines_private(ls, line_in(ls, end, 0), OP_Not);
    for (uint32_t i = 1; i < 4; i++) {
        t = taken[i - 1] ? line_in(ls, taken[i - 1], 0) : NO_TENSOR;
        taken[i] = lines_private(ls, t, rest[i - 1]);
    }
    if (!taken[3] || line_in(ls, taken[3], 0) != x) return;
    uint32_t out = line_out(ls, end);
    lines_absorb(ls, end, softmax);
    for (uint32_t i = 0; i < 4; i++) lines_absorb(ls, end, taken[i]);
    lines_lead(end, (op_kind)softmax->kind, 0, out);
    end->in[0] = x;
    end->n_in = 1;
    end->at = softmax->op;
    ls->uses[x]--;
    ls->consumer[x] = (uint32_t)(end - ls->l) + 1;
}

void recompose_products(lines *ls)
{
    for (uint32_t i = 0; i < ls->n; i++) {
        line *l = &ls->l[i];
        if (l->skip || l->leader || l->n_in) continue;
        if (l->kind == OP_Gemm) try_linear(ls, l);
        if (l->kind == OP_MatMul) try_linear(ls, l);
        if (l->kind == OP_MatMul && !l->leader) try_batches(ls, l);
        if (l->kind == OP_Softmax) try_safe_softmax(ls, l);
    }
}
