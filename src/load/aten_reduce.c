/* Reductions, sorting and sums on the way. */
#include "load/aten_rows.h"

static uint32_t reduce_to(aten *x, op_kind kind, uint32_t t, aten_value axes, bool keep)
{
    int64_t list[MAX_RANK];
    num nums[MAX_RANK];
    int n = axes.kind == ATEN_NONE ? 0 : aten_ints(axes, list, MAX_RANK);
    uint32_t in[2] = {t, NO_TENSOR};
    for (int i = 0; i < n; i++) nums[i] = num_int(list[i]);
    if (n > 0) in[1] = aten_constant(x, 1, nums, (uint32_t)n);
    aten_begin(x, kind, in, n > 0 ? 2 : 1, 1);
    aten_attr(x, ATTR_keepdims, keep);
    aten_end(x);
    return aten_output(x, 0);
}

/* all and any of a list of truths, the sum of a list of numbers */
static aten_value all_of(int kind, const aten_list *l)
{
    aten_value out = kind == OP_ReduceSum ? aten_int(num_int(0)) : aten_bool(kind == OP_ReduceAll);
    for (uint32_t i = 0; i < l->n; i++) {
        if (!aten_is_number(l->v[i])) return aten_unknown();
        int step = kind == OP_ReduceSum ? OP_Add : kind == OP_ReduceAll ? OP_And : OP_Or;
        out = aten_host_binary(step, out, l->v[i]);
    }
    return out;
}

/* sum, mean and the like: (x), or (x, axes, keepdim) */
static aten_value reduce(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t t = aten_operand(x, A(0), NO_TENSOR);
    if (A(0).kind == ATEN_LIST) return all_of(row->op, A(0).v.list);
    if (t == NO_TENSOR || A(0).kind != ATEN_TENSOR) return aten_unknown();
    bool axes = A(1).kind == ATEN_LIST || (A(1).kind == ATEN_INT && n > 2) ||
                (A(1).kind == ATEN_INT && row->op != OP_ReduceProd);
    bool keep = A(2).kind == ATEN_BOOL && A(2).v.n.v.i;
    return aten_tensor(reduce_to(x, (op_kind)row->op, t, axes ? A(1) : aten_none(), keep));
}

/* std and var: a pass for the mean, one for the squares */
static aten_value spread(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t t = aten_operand(x, A(0), NO_TENSOR);
    bool keep = false;
    aten_value axes = A(1).kind == ATEN_LIST || A(1).kind == ATEN_INT ? A(1) : aten_none();
    if (t == NO_TENSOR || A(0).kind != ATEN_TENSOR) return aten_unknown();
    for (uint32_t i = 2; i < n; i++)
        if (arg[i].kind == ATEN_BOOL) keep = arg[i].v.n.v.i != 0;
    uint32_t mean = reduce_to(x, OP_ReduceMean, t, axes, true);
    uint32_t d = aten_emit2(x, OP_Sub, t, mean);
    uint32_t v = reduce_to(x, OP_ReduceMean, aten_emit2(x, OP_Mul, d, d), axes, keep);
    bool both = !strcmp(row->name, "var_mean") || !strcmp(row->name, "std_mean");
    if (row->op == OP_Sqrt) v = aten_emit1(x, OP_Sqrt, v);
    if (!both) return aten_tensor(v);
    return aten_new_list(
        x, ATEN_TUPLE,
        (aten_value[]){aten_tensor(v), aten_tensor(keep ? mean : reduce_to(x, OP_ReduceMean, t, axes, false))}, 2);
}

static aten_value arg_max(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t t = aten_operand(x, A(0), NO_TENSOR);
    if (t == NO_TENSOR) return aten_unknown();
    int64_t axis = aten_axis(x, t, A(1), 0);
    if (A(1).kind == ATEN_NONE) {
        t = aten_reshape(x, t, (num[]){num_int(-1)}, 1);
        axis = 0;
    }
    aten_begin(x, (op_kind)row->op, &t, 1, 1);
    aten_attr(x, ATTR_axis, axis);
    aten_attr(x, ATTR_keepdims, A(2).kind == ATEN_BOOL && A(2).v.n.v.i);
    return aten_end(x);
}

/* max(x), max(x, axis, keepdim) with its indices, max(x, y) */
/* The least of numbers that are known: one that data decide, such as how many boxes a detector finds, is at most that. */
static aten_value bounded(aten *x, aten_value a, aten_value b)
{
    if (a.kind != ATEN_INT && b.kind != ATEN_INT) return aten_unknown();
    aten_value known = a.kind == ATEN_INT ? a : b, other = a.kind == ATEN_INT ? b : a;
    if (other.kind != ATEN_UNKNOWN || other.of != ATEN_OF_NOTHING || x->guessing) return aten_unknown();
    if (!x->bounded &&
        !graph_warn(x->g, "how many of a list's entries go on depends on the data: as many as may are costed"))
        aten_nomem(x);
    x->bounded = true;
    return known;
}

static aten_value extreme(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    bool most = row->op == OP_Max;
    if (A(0).kind != ATEN_TENSOR || A(1).kind == ATEN_TENSOR) {
        bool undecided = A(0).kind == ATEN_UNKNOWN || A(1).kind == ATEN_UNKNOWN;
        if (!most && undecided && (A(0).kind == ATEN_INT || A(1).kind == ATEN_INT)) return bounded(x, A(0), A(1));
        if (n >= 2) return aten_binary(x, row, arg, n);
        aten_value best = aten_unknown();
        for (uint32_t i = 0; (A(0).kind == ATEN_LIST || A(0).kind == ATEN_TUPLE) && i < A(0).v.list->n; i++) {
            aten_value v = A(0).v.list->v[i];
            if (i && !most && (!aten_is_number(v) || !aten_is_number(best))) {
                best = bounded(x, best, v);
                continue;
            }
            if (i && !aten_is_number(v)) return aten_unknown();
            best = i ? aten_host_binary(row->op, best, v) : v;
        }
        return best;
    }
    uint32_t t = aten_operand(x, A(0), NO_TENSOR);
    bool keep = A(2).kind == ATEN_BOOL && A(2).v.n.v.i;
    uint32_t v = reduce_to(x, most ? OP_ReduceMax : OP_ReduceMin, t, A(1), keep);
    if (A(1).kind == ATEN_NONE || !strcmp(row->name, "amax") || !strcmp(row->name, "amin")) return aten_tensor(v);
    aten_begin(x, most ? OP_ArgMax : OP_ArgMin, &t, 1, 1);
    aten_attr(x, ATTR_axis, aten_axis(x, t, A(1), 0));
    aten_attr(x, ATTR_keepdims, keep);
    aten_value at = aten_end(x);
    return aten_new_list(x, ATEN_TUPLE, (aten_value[]){aten_tensor(v), at}, 2);
}

static aten_value norm(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t t = aten_operand(x, A(0), NO_TENSOR);
    if (t == NO_TENSOR || A(0).kind != ATEN_TENSOR) return aten_unknown();
    bool one = aten_is_number(A(1)) && aten_real(A(1)) == 1;
    bool keep = A(3).kind == ATEN_BOOL && A(3).v.n.v.i;
    return aten_tensor(reduce_to(x, one ? OP_ReduceL1 : (op_kind)row->op, t, A(2), keep));
}

static aten_value cumulative(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t t = aten_operand(x, A(0), NO_TENSOR);
    if (t == NO_TENSOR) return aten_unknown();
    num axis = num_int(aten_axis(x, t, A(1), 0));
    return aten_tensor(aten_emit2(x, (op_kind)row->op, t, aten_constant(x, 0, &axis, 1)));
}

/* cummax(x, axis): values and indices */
static aten_value running(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    aten_value y = cumulative(x, row, arg, n);
    return aten_new_list(x, ATEN_TUPLE, (aten_value[]){y, y}, 2);
}

/* Along `axis`, which goes unless `keep` says otherwise. */
static uint32_t lengths(aten *x, uint32_t t, int64_t axis, bool keep)
{
    return reduce_to(x, OP_ReduceL2, t, aten_int(num_int(axis)), keep);
}

/* cosine_similarity(a, b, axis): both made of length one, multiplied and summed */
static aten_value cosine(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t t[2] = {aten_data(x, A(0)), aten_data(x, A(1))};
    if (t[0] == NO_TENSOR || t[1] == NO_TENSOR) return aten_unknown();
    int64_t axis = aten_axis(x, t[0], A(2), 1);
    for (int i = 0; i < 2; i++)
        t[i] = aten_emit2(x, OP_Div, t[i], aten_emit1(x, OP_Clip, lengths(x, t[i], axis, true)));
    uint32_t product = aten_emit2(x, (op_kind)row->op, t[0], t[1]);
    return aten_tensor(reduce_to(x, OP_ReduceSum, product, aten_int(num_int(axis)), false));
}

/* pairwise_distance(a, b) and dist(a, b), which is over all */
static aten_value distance(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t a = aten_data(x, A(0)), b = aten_data(x, A(1));
    if (a == NO_TENSOR || b == NO_TENSOR) return aten_unknown();
    uint32_t d = aten_emit2(x, OP_Sub, a, b);
    if (row->op == OP_ReduceSum) return aten_tensor(reduce_to(x, OP_ReduceL2, d, aten_none(), false));
    return aten_tensor(lengths(x, d, -1, false));
}

/* cdist(a, b): |a|^2 and ones beside a, ones and |b|^2 beside b, and one product of both */
static aten_value distances(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t t[2] = {aten_data(x, A(0)), aten_data(x, A(1))};
    (void)row;
    if (t[0] == NO_TENSOR || t[1] == NO_TENSOR) return aten_unknown();
    int rank = aten_rank(x, t[0]);
    if (rank < 2 || rank > 8 || rank != aten_rank(x, t[1])) return aten_unknown();
    for (int i = 0; i < 2; i++) {
        uint32_t squares = reduce_to(x, OP_ReduceSum, aten_emit2(x, OP_Mul, t[i], t[i]), aten_int(num_int(-1)), true);
        uint32_t part[3] = {t[i], squares, squares};
        aten_begin(x, OP_Concat, part, 3, 1);
        aten_attr(x, ATTR_axis, -1);
        aten_end(x);
        t[i] = aten_output(x, 0);
    }
    int64_t perm[8];
    for (int i = 0; i < rank; i++) perm[i] = i;
    perm[rank - 2] = rank - 1;
    perm[rank - 1] = rank - 2;
    uint32_t y = aten_emit2(x, OP_MatMul, t[0], aten_transpose(x, t[1], perm, rank));
    return aten_tensor(aten_emit1(x, OP_Sqrt, aten_emit1(x, OP_Clip, y)));
}

/* topk(x, k, axis), sort(x, axis): values and indices */
static aten_value sorted(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t t = aten_operand(x, A(0), NO_TENSOR);
    if (t == NO_TENSOR) return aten_unknown();
    bool top = !strcmp(row->name, "topk");
    int64_t axis = aten_axis(x, t, top ? A(2) : A(1), -1);
    const tensor_shape *s = aten_shape(x, t);
    num k = top                         ? A(1).kind == ATEN_INT ? A(1).v.n : num_unknown()
                                  : s->rank > axis && axis >= 0 ? s->dims[axis]
                                        : num_unknown();
    aten_begin(x, OP_TopK, (uint32_t[]){t, aten_constant(x, 1, &k, 1)}, 2, 2);
    aten_attr(x, ATTR_axis, axis);
    aten_value v = aten_end(x);
    aten_value at = aten_tensor(aten_output(x, 1));
    if (!strcmp(row->name, "argsort")) return at;
    if (!strcmp(row->name, "msort")) return v;
    return aten_new_list(x, ATEN_TUPLE, (aten_value[]){v, at}, 2);
}

#define REDUCE(name, kind)                                \
    {                                                     \
        name, "self dim keepdim dtype", reduce, OP_##kind \
    }

const aten_row aten_reduce_rows[] = {
    REDUCE("sum", ReduceSum),
    REDUCE("mean", ReduceMean),
    REDUCE("nansum", ReduceSum),
    REDUCE("prod", ReduceProd),
    REDUCE("logsumexp", ReduceLogSumExp),
    REDUCE("any", ReduceAny),
    REDUCE("all", ReduceAll),
    {"std", "self dim correction keepdim unbiased", spread, OP_Sqrt},
    {"var", "self dim correction keepdim unbiased", spread, OP_ReduceMean},
    {"var_mean", "self dim correction keepdim unbiased", spread, OP_ReduceMean},
    {"std_mean", "self dim correction keepdim unbiased", spread, OP_Sqrt},
    {"argmax", "self dim keepdim", arg_max, OP_ArgMax},
    {"argmin", "self dim keepdim", arg_max, OP_ArgMin},
    {"max", "self dim keepdim", extreme, OP_Max},
    {"min", "self dim keepdim", extreme, OP_Min},
    {"amax", "self dim keepdim", extreme, OP_Max},
    {"amin", "self dim keepdim", extreme, OP_Min},
    {"norm", "self p dim keepdim", norm, OP_ReduceL2},
    {"frobenius_norm", "self p dim keepdim", norm, OP_ReduceL2},
    {"linalg_vector_norm", "self ord dim keepdim", norm, OP_ReduceL2},
    {"linalg_norm", "self ord dim keepdim", norm, OP_ReduceL2},
    {"cosine_similarity", "x1 x2 dim eps", cosine, OP_Mul},
    {"pairwise_distance", "x1 x2 p", distance, OP_ReduceL2},
    {"dist", "self other p", distance, OP_ReduceSum},
    {"cdist", "x1 x2 p compute_mode", distances, OP_MatMul},
    {"count_nonzero", "self dim", reduce, OP_ReduceSum},
    {"linalg_matrix_norm", "self ord dim keepdim", norm, OP_ReduceL2},
    {"msort", "self", sorted, OP_TopK},
    {"cummax", "self dim", running, OP_CumSum},
    {"cummin", "self dim", running, OP_CumSum},
    {"logcumsumexp", "self dim", cumulative, OP_CumSum},
    {"cumsum", "self dim", cumulative, OP_CumSum},
    {"cumprod", "self dim", cumulative, OP_CumSum},
    {"topk", "self k dim largest sorted", sorted, OP_TopK},
    {"sort", "self dim descending", sorted, OP_TopK},
    {"argsort", "self dim descending", sorted, OP_TopK},
    {NULL, NULL, NULL, 0},
};
