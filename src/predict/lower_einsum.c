/* Einsum of two operands: a product of batches, whose letters say which dims are shared (the batch), summed, or of one operand alone.
 *
 * Frameworks turn both operands to [batch, own, summed] and [batch, summed, own], walk each group as one dim, multiply, and turn the
 * result to the order that was asked for. PyTorch does that with views, and copies an operand whose dims don't lie behind each other;
 * ONNX Runtime runs a Transpose for each turn. */
#include "predict/lower.h"

/* PyTorch: unsqueeze, permute, permute and reshape of each operand; view, permute and view of the result. */
enum { VIEWS = 11 };
enum { LETTERS = 52, DOTS = VIEW_RANK, NAMES = LETTERS + DOTS };

/* A term of the equation: the name of each dim. Those of "..." are named behind the letters, aligned at the last. */
typedef struct term {
    uint8_t name[VIEW_RANK];
    int n;
} term;

typedef struct equation {
    term t[3]; /* two operands, the result */
    double size[NAMES];
    uint64_t in[3];
} equation;

static int letter_of(char c)
{
    if (c >= 'a' && c <= 'z') return c - 'a';
    return c >= 'A' && c <= 'Z' ? 26 + c - 'A' : -1;
}

static bool read_term(equation *q, int i, str text, int rank)
{
    term *t = &q->t[i];
    int letters = 0;
    bool dots = false;
    for (size_t k = 0; k < text.len; k++) letters += letter_of(text.ptr[k]) >= 0;
    if (rank > VIEW_RANK || letters > rank) return false;
    for (size_t k = 0; k < text.len; k++) {
        int l = letter_of(text.ptr[k]);
        if (l >= 0) t->name[t->n++] = (uint8_t)l;
        if (text.ptr[k] != '.' || dots) continue;
        for (int d = rank - letters; d > 0; d--) t->name[t->n++] = (uint8_t)(NAMES - d);
        dots = true;
    }
    for (int k = 0; k < t->n; k++) {
        if (q->in[i] >> t->name[k] & 1) return false; /* a diagonal */
        q->in[i] |= 1ull << t->name[k];
    }
    return t->n == rank;
}

static bool read_equation(const planner *p, equation *q)
{
    str eq = op_attr_str(p->g, lower_op(p), ATTR_equation);
    uint32_t of[3] = {plan_in(p, 0), plan_in(p, 1), plan_out(p, 0)};
    size_t at = 0;
    memset(q, 0, sizeof *q);
    if (!eq.len) return false;
    for (int i = 0; i < 3; i++) {
        size_t end = at;
        while (end < eq.len && eq.ptr[end] != ',' && eq.ptr[end] != '-') end++;
        if (of[i] == NO_TENSOR || !read_term(q, i, (str){eq.ptr + at, end - at}, plan_shape(p, of[i])->rank))
            return false;
        at = end < eq.len ? end + (eq.ptr[end] == '-' ? 2 : 1) : end;
    }
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < q->t[i].n; k++) {
            double n = lower_dim(p, of[i], k);
            if (n > q->size[q->t[i].name[k]]) q->size[q->t[i].name[k]] = n;
        }
    return true;
}

/* The dims of `t` whose names are in `of`, in the order of `by`; the number of them. */
static int group(const term *t, uint64_t of, const term *by, int *axis)
{
    int n = 0;
    for (int k = 0; k < by->n; k++)
        for (int i = 0; i < t->n && (of >> by->name[k] & 1); i++)
            if (t->name[i] == by->name[k]) axis[n++] = i;
    return n;
}

/* Whether the dims lie behind each other; *last: whether the last of them does not skip anything. */
static bool walks_as_one(const planner *p, uint32_t t, const int *axis, int n, bool *last)
{
    int64_t stride[VIEW_RANK], next = 0;
    stride_of(p, t, stride);
    *last = true;
    for (int i = n; i-- > 0;) {
        int64_t size = (int64_t)lower_dim(p, t, axis[i]);
        if (size <= 1) continue;
        if (!next) *last = stride[axis[i]] == 1;
        else if (stride[axis[i]] != next) return false;
        next = stride_mul(stride[axis[i]], size);
    }
    return true;
}

/* Whether the framework copies an operand for the product. `orders`: whose order each group follows. */
static bool needs_copy(const planner *p, const equation *q, int i, const uint64_t of[3], const term *const orders[3])
{
    int axis[3][VIEW_RANK], n[3], before = -1;
    bool last[3], dense = true, in_order = true;
    for (int k = 0; k < 3; k++) {
        n[k] = group(&q->t[i], of[k], orders[k], axis[k]);
        dense &= walks_as_one(p, plan_in(p, (uint32_t)i), axis[k], n[k], &last[k]);
        for (int j = 0; j < n[k]; j++) {
            if (q->size[q->t[i].name[axis[k][j]]] <= 1) continue;
            in_order &= axis[k][j] > before;
            before = axis[k][j];
        }
    }
    return p->rt->strided_views ? !dense || (!last[1] && !last[2]) : !in_order;
}

/* The product leaves [batch, left, right]; what is asked for is a view of it, or a Transpose behind it. */
static bool turn_result(planner *p, const equation *q, const uint64_t of[3])
{
    uint32_t out = plan_out(p, 0);
    const term *t = &q->t[2];
    int64_t stride = 1;
    int before = VIEW_RANK;
    bool in_order = true;
    for (int k = 3; k-- > 0;)
        for (int i = t->n; i-- > 0;) {
            if (!(of[k] >> t->name[i] & 1)) continue;
            int64_t size = (int64_t)lower_dim(p, out, i);
            p->v[out].stride[i] = stride;
            stride = stride_mul(stride, size);
            if (size <= 1) continue;
            in_order &= i < before;
            before = i;
        }
    if (p->rt->strided_views && !in_order) p->v[out].strided = true;
    return !in_order;
}

static void emit_product(planner *p, const equation *q, const uint64_t of[4])
{
    uint32_t out = plan_out(p, 0);
    bool turns = !p->rt->strided_views && !p->rt->fuse_pointwise;
    double by[4] = {1, 1, 1, 1};
    for (int k = 0; k < 4; k++)
        for (int l = 0; l < NAMES; l++)
            if (of[k] >> l & 1) by[k] *= q->size[l];
    const term *left[3] = {&q->t[2], &q->t[2], &q->t[0]}, *right[3] = {&q->t[2], &q->t[0], &q->t[2]};
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t t = plan_in(p, i);
        lower_prepare(p, t, false);
        if (p->rt->fuse_pointwise || (turns && p->us->constant[t])) continue;
        if (needs_copy(p, q, (int)i, i ? (uint64_t[]){of[0], of[3], of[2]} : (uint64_t[]){of[0], of[1], of[3]},
                       i ? right : left))
            plan_relayout(p, t);
    }
    kernel k = lower_kernel(lower_precision(p, p->rt->gemm_tf32), KERNEL_GEMM);
    k.shape.gemm = (gemm_shape){by[1], by[2], by[3], by[0]};
    k.flops = 2 * by[0] * by[1] * by[2] * by[3];
    for (uint32_t i = 0; i < 2; i++) plan_read(p, &k, plan_in(p, i));
    plan_result(p, &k, out, lower_width(p));
    if (p->rt->strided_views) p->out->views += VIEWS * p->u->trips;
    if (turn_result(p, q, of) && turns && !p->cluster_of[p->ui]) plan_relayout(p, out);
}

void lower_einsum(planner *p)
{
    equation q;
    if (p->u->n_in != 2 || plan_out(p, 0) == NO_TENSOR || !read_equation(p, &q)) {
        lower_copy(p);
        return;
    }
    uint64_t a = q.in[0], b = q.in[1], c = q.in[2];
    uint64_t both = a & b & c, summed = (a | b) & ~c; /* a dim of one operand may be summed as well */
    emit_product(p, &q, (uint64_t[]){both, a & c & ~both, b & c & ~both, summed});
}
