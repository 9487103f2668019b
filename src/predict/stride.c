/* Views as PyTorch makes them: which transposes, slices and reshapes move no data, and what is left non-contiguous. */
#include "predict/planner.h"

static int64_t dim(const tensor_shape *ts, int i)
{
    return num_known(ts->dims[i]) && ts->dims[i].v.i > 0 ? ts->dims[i].v.i : 1;
}

static bool usable(const tensor_shape *ts)
{
    return ts->rank >= 0 && ts->rank <= VIEW_RANK;
}

void stride_contiguous(const tensor_shape *ts, int64_t *stride)
{
    int64_t s = 1;
    for (int i = ts->rank; i-- > 0;) {
        stride[i] = s;
        s = stride_mul(s, dim(ts, i));
    }
}

void stride_of(const planner *p, uint32_t t, int64_t *stride)
{
    const tensor_shape *ts = plan_shape(p, t);
    if (!usable(ts)) return;
    if (p->v[t].strided) memcpy(stride, p->v[t].stride, sizeof p->v[t].stride);
    else stride_contiguous(ts, stride);
}

/* Compares with contiguous strides; dims of size 1 don't matter. */
static void settle(planner *p, uint32_t t)
{
    const tensor_shape *ts = plan_shape(p, t);
    int64_t c[VIEW_RANK];
    stride_contiguous(ts, c);
    p->v[t].strided = false;
    for (int i = 0; i < ts->rank; i++)
        if (dim(ts, i) > 1 && p->v[t].stride[i] != c[i]) p->v[t].strided = true;
}

static void alias(planner *p, uint32_t in, uint32_t out)
{
    double elements = p->v[out].elements;
    uint32_t last_use = p->v[out].last_use;
    p->v[out] = p->v[in];
    p->v[out].elements = elements;
    p->v[out].last_use = last_use;
    if (elements >= 0 && elements < p->v[out].stored) p->v[out].stored = elements;
}

void view_same(planner *p, uint32_t in, uint32_t out)
{
    int64_t stride[VIEW_RANK];
    const tensor_shape *a = plan_shape(p, in), *b = plan_shape(p, out);
    bool keep = usable(a) && usable(b);
    if (keep) stride_of(p, in, stride);
    bool was = p->v[in].strided;
    alias(p, in, out);
    p->v[out].strided = false;
    if (!was || !keep) return;
    /* dims of size 1 were added or taken away: the others keep their strides in order */
    int from = 0;
    for (int i = 0; i < b->rank; i++) {
        p->v[out].stride[i] = 1;
        if (dim(b, i) == 1) continue;
        while (from < a->rank && dim(a, from) == 1) from++;
        if (from < a->rank) p->v[out].stride[i] = stride[from++];
    }
    settle(p, out);
}

void view_transpose(planner *p, uint32_t in, uint32_t out)
{
    const tensor_shape *ts = plan_shape(p, in);
    int64_t stride[VIEW_RANK];
    const int64_t *perm = NULL;
    uint32_t n = op_attr_ints(p->g, &p->g->ops[p->u->op], ATTR_perm, &perm);
    alias(p, in, out);
    if (!usable(ts) || (n && n != (uint32_t)ts->rank)) return;
    stride_of(p, in, stride);
    for (int i = 0; i < ts->rank; i++) {
        int64_t from = n ? perm[i] : ts->rank - 1 - i;
        if (from < 0) from += ts->rank;
        p->v[out].stride[i] = from >= 0 && from < ts->rank ? stride[from] : 1;
    }
    settle(p, out);
}

void view_slice(planner *p, uint32_t in, uint32_t out)
{
    const tensor_shape *ts = plan_shape(p, in);
    int64_t stride[VIEW_RANK];
    if (usable(ts)) stride_of(p, in, stride);
    alias(p, in, out);
    if (!usable(ts) || plan_shape(p, out)->rank != ts->rank) return;
    memcpy(p->v[out].stride, stride, sizeof stride);
    settle(p, out);
}

void view_select(planner *p, uint32_t in, uint32_t out, int64_t axis)
{
    const tensor_shape *ts = plan_shape(p, in);
    int64_t stride[VIEW_RANK];
    if (axis < 0) axis += ts->rank;
    bool known = usable(ts) && axis >= 0 && axis < ts->rank && plan_shape(p, out)->rank == ts->rank - 1;
    if (known) stride_of(p, in, stride);
    alias(p, in, out);
    p->v[out].strided = false;
    if (!known) return;
    for (int i = 0, n = 0; i < ts->rank; i++)
        if (i != axis) p->v[out].stride[n++] = stride[i];
    settle(p, out);
}

void view_expand(planner *p, uint32_t in, uint32_t out)
{
    const tensor_shape *a = plan_shape(p, in), *b = plan_shape(p, out);
    int64_t stride[VIEW_RANK];
    if (usable(a)) stride_of(p, in, stride);
    alias(p, in, out);
    if (!usable(a) || !usable(b)) return;
    for (int i = 0; i < b->rank; i++) {
        int from = i - (b->rank - a->rank);
        p->v[out].stride[i] = from >= 0 && dim(a, from) == dim(b, i) ? stride[from] : 0;
    }
    settle(p, out);
}

/* PyTorch's rule: walk both shapes from the back; a run of input dims that are contiguous with each other may be cut into a
 * run of output dims of the same size. */
bool view_reshape(planner *p, uint32_t in, uint32_t out)
{
    const tensor_shape *a = plan_shape(p, in), *b = plan_shape(p, out);
    int64_t stride[VIEW_RANK], made[VIEW_RANK] = {0};
    if (!p->v[in].strided || !usable(a) || !usable(b)) {
        bool was = p->v[in].strided;
        alias(p, in, out);
        p->v[out].strided = false;
        return !was;
    }
    stride_of(p, in, stride);
    int j = b->rank - 1;
    for (int i = a->rank - 1; i >= 0;) {
        int64_t base = stride[i], size = dim(a, i);
        while (i > 0 && (dim(a, i - 1) == 1 || stride[i - 1] == stride_mul(stride[i], dim(a, i)))) {
            if (dim(a, i - 1) == 1) {
                stride[i - 1] = stride_mul(stride[i], dim(a, i));
            }
            i--;
            size = stride_mul(size, dim(a, i));
        }
        i--;
        int64_t left = size, step = base;
        while (j >= 0 && (left > 1 || dim(b, j) == 1)) {
            if (dim(b, j) > left || left % dim(b, j)) return false;
            made[j] = step;
            step = stride_mul(step, dim(b, j));
            left /= dim(b, j);
            j--;
        }
        if (left != 1) return false;
    }
    alias(p, in, out);
    memcpy(p->v[out].stride, made, sizeof made);
    settle(p, out);
    return true;
}

bool view_is_channels_last(const planner *p, uint32_t t)
{
    const tensor_shape *ts = plan_shape(p, t);
    const int64_t *s = p->v[t].stride;
    if (!p->v[t].strided || ts->rank != 4 || dim(ts, 1) == 1) return false;
    return s[1] == 1 && s[3] >= dim(ts, 1) && s[2] >= stride_mul(s[3], dim(ts, 3)) && s[0] >= s[2];
}

bool view_is_packed_last(const planner *p, uint32_t t)
{
    const tensor_shape *ts = plan_shape(p, t);
    const int64_t *s = p->v[t].stride;
    return view_is_channels_last(p, t) && s[3] == dim(ts, 1) && s[2] == stride_mul(s[3], dim(ts, 3));
}

void view_set_channels_last(planner *p, uint32_t out)
{
    const tensor_shape *ts = plan_shape(p, out);
    if (ts->rank != 4 || !num_known(ts->dims[1]) || !num_known(ts->dims[2]) || !num_known(ts->dims[3])) return;
    int64_t c = dim(ts, 1), h = dim(ts, 2), w = dim(ts, 3);
    int64_t s[4] = {stride_mul(stride_mul(c, h), w), 1, stride_mul(w, c), c};
    memcpy(p->v[out].stride, s, sizeof s);
    settle(p, out);
}

bool view_batchable(const planner *p, uint32_t t)
{
    if (t == NO_TENSOR) return true;
    const tensor_shape *ts = plan_shape(p, t);
    int64_t s[VIEW_RANK];
    if (!p->v[t].strided || !usable(ts) || ts->rank < 2) return true;
    stride_of(p, t, s);
    int r = ts->rank;
    if (s[r - 1] != 1 && s[r - 2] != 1 && dim(ts, r - 1) > 1 && dim(ts, r - 2) > 1)
        return false; /* neither rows nor columns dense */
    for (int i = r - 4; i >= 0; i--)
        if (dim(ts, i) > 1 && s[i] != stride_mul(s[i + 1], dim(ts, i + 1))) return false;
    return true;
}
