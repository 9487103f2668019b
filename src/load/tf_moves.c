/* Operators that move data: slices, stacks, gathers, pads. */
#include "load/tf_internal.h"

static uint32_t one_int(tf_reader *r, int64_t v)
{
    return tf_ints(r, &v, 1);
}

static uint32_t unsqueeze(tf_reader *r, uint32_t t, int64_t axis)
{
    return tf_step(r, OP_Unsqueeze, (uint32_t[2]){t, one_int(r, axis)}, 2);
}

/* ---- StridedSlice: x[begin:end:strides] with five masks, each a bit per entry ---- */

/* A list of integers: a constant, the values that a Pack puts together, or a tensor. */
typedef struct list {
    int64_t v[MAX_RANK];
    bool known;
    tf_ref ref;
    uint32_t tensor;
    const tf_node *pack;
} list;

static bool read_list(tf_reader *r, tf_ref ref, list *l, uint32_t *n)
{
    tf_shape s;
    l->ref = ref;
    l->tensor = tf_tensor(r, ref);
    l->known = tf_const_ints(r, ref, l->v, MAX_RANK, n);
    if (l->known) return true;
    if (tf_resolve(r, &ref)) return false;
    const tf_node *m = tf_at(r, ref.node);
    l->pack = m->kind == TF_OP && tf_is(m, "Pack") && m->n_in <= MAX_RANK ? m : NULL;
    if (l->pack) *n = m->n_in;
    else if (tf_static_shape(r, ref, &s, 0) && s.rank == 1 && s.dims[0] <= MAX_RANK) *n = (uint32_t)s.dims[0];
    return true;
}

/* Entry i, when it is known now. */
static bool entry_known(tf_reader *r, const list *l, uint32_t i, int64_t *out)
{
    uint32_t n;
    if (l->known) *out = l->v[i];
    return l->known || (l->pack && tf_const_ints(r, tf_in(r, l->pack, i), out, 1, &n) && n == 1);
}

/* Entry i as a list of one. */
static uint32_t entry(tf_reader *r, const list *l, uint32_t i)
{
    int64_t v;
    if (entry_known(r, l, i, &v)) return one_int(r, v);
    if (l->pack) {
        uint32_t t = tf_tensor(r, tf_in(r, l->pack, i));
        if (t != NO_TENSOR) return tf_step(r, OP_Reshape, (uint32_t[2]){t, one_int(r, 1)}, 2);
    }
    return tf_step(r, OP_Gather, (uint32_t[2]){l->tensor, one_int(r, i)}, 2);
}

typedef struct slices {
    list begin, end, strides;
    uint32_t n;
    int64_t begin_mask, end_mask, ellipsis, new_axis, shrink;
    /* what comes out of them */
    uint32_t starts[MAX_RANK], ends[MAX_RANK];
    int64_t axes[MAX_RANK], steps[MAX_RANK], selected[MAX_RANK], added[MAX_RANK];
    uint32_t pick[MAX_RANK];
    uint32_t n_slices, n_selected, n_added;
} slices;

static bool bit(int64_t mask, uint32_t i)
{
    return mask >> i & 1;
}

/* One dim that is cut, or of which one entry is taken. `axis`: of the input, from the back behind an ellipsis. */
static bool take_entry(tf_reader *r, slices *s, uint32_t i, int64_t axis)
{
    int64_t step = 1;
    if (bit(s->shrink, i)) {
        int64_t at;
        s->pick[s->n_selected] = entry_known(r, &s->begin, i, &at)
                                   ? tf_int(r, at)
                                   : tf_step(r, OP_Reshape, (uint32_t[2]){entry(r, &s->begin, i), tf_ints(r, NULL, 0)},
                                             2);
        s->selected[s->n_selected++] = axis;
        return true;
    }
    if (!entry_known(r, &s->strides, i, &step) || !step) return false;
    bool all = bit(s->begin_mask, i) && bit(s->end_mask, i) && step == 1;
    if (all) return true;
    uint32_t k = s->n_slices++;
    s->axes[k] = axis;
    s->steps[k] = step;
    s->starts[k] = bit(s->begin_mask, i) ? one_int(r, step > 0 ? 0 : INT64_MAX) : entry(r, &s->begin, i);
    s->ends[k] = bit(s->end_mask, i) ? one_int(r, step > 0 ? INT64_MAX : INT64_MIN) : entry(r, &s->end, i);
    return true;
}

/* Walks the entries: which dim of the input each is, and which dims of the result are new. */
static bool walk_entries(tf_reader *r, slices *s)
{
    uint32_t dots = s->n, behind = 0;
    for (uint32_t i = 0; i < s->n; i++)
        if (bit(s->ellipsis, i)) {
            dots = i;
            break;
        }
    for (uint32_t i = dots + 1; i < s->n; i++) behind += !bit(s->new_axis, i);
    int64_t axis = 0, place = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        if (i == dots) {
            axis = -(int64_t)behind;
            place = 0; /* places of the result from the back */
            for (uint32_t k = i + 1; k < s->n; k++) place -= bit(s->new_axis, k) || !bit(s->shrink, k);
            continue;
        }
        if (bit(s->new_axis, i)) {
            s->added[s->n_added++] = place++;
            continue;
        }
        if (!take_entry(r, s, i, axis)) return false;
        axis++;
        place += !bit(s->shrink, i);
    }
    return true;
}

static uint32_t join(tf_reader *r, const uint32_t *parts, uint32_t n)
{
    if (n == 1) return parts[0];
    uint32_t t = tf_step(r, OP_Concat, parts, n);
    return graph_attr_int(r->g, ATTR_axis, 0) ? t : NO_TENSOR;
}

/* Each step but the last makes a value in between; the last one makes the node's. */
static bool finish(tf_reader *r, bool last, op_kind kind, const uint32_t *in, uint32_t n_in, uint32_t *out)
{
    if (last) return tf_op(r, kind, in, n_in, 1);
    *out = tf_step(r, kind, in, n_in);
    return *out != NO_TENSOR;
}

static bool emit_slices(tf_reader *r, const slices *s)
{
    uint32_t x = tf_input_tensor(r, 0), left = (s->n_slices > 0) + s->n_selected + (s->n_added > 0);
    if (!left) return tf_op(r, OP_Identity, &x, 1, 1);
    if (s->n_slices) {
        uint32_t in[5] = {x, join(r, s->starts, s->n_slices), join(r, s->ends, s->n_slices),
                          tf_ints(r, s->axes, s->n_slices), tf_ints(r, s->steps, s->n_slices)};
        if (!finish(r, !--left, OP_Slice, in, 5, &x)) return false;
    }
    for (uint32_t i = 0; i < s->n_selected;
         i++) { /* those in front of an ellipsis from the last one, then the others */
        uint32_t front = 0;
        while (front < s->n_selected && s->selected[front] >= 0) front++;
        uint32_t k = i < front ? front - 1 - i : i;
        if (!finish(r, !--left, OP_Gather, (uint32_t[2]){x, s->pick[k]}, 2, &x)) return false;
        if (!graph_attr_int(r->g, ATTR_axis, s->selected[k])) return false;
    }
    if (!s->n_added) return true;
    return finish(r, true, OP_Unsqueeze, (uint32_t[2]){x, tf_ints(r, s->added, s->n_added)}, 2, &x);
}

pg_code tf_strided_slice(tf_reader *r, tf_node *n, int arg)
{
    (void)arg;
    slices s;
    memset(&s, 0, sizeof s);
    uint32_t nb = UINT32_MAX, ne = UINT32_MAX, ns = UINT32_MAX;
    s.begin_mask = tf_attr_int(n, "begin_mask", 0);
    s.end_mask = tf_attr_int(n, "end_mask", 0);
    s.ellipsis = tf_attr_int(n, "ellipsis_mask", 0);
    s.new_axis = tf_attr_int(n, "new_axis_mask", 0) & ~s.ellipsis;
    s.shrink = tf_attr_int(n, "shrink_axis_mask", 0) & ~s.new_axis & ~s.ellipsis;
    if (!read_list(r, tf_in(r, n, 1), &s.begin, &nb) || !read_list(r, tf_in(r, n, 2), &s.end, &ne) ||
        !read_list(r, tf_in(r, n, 3), &s.strides, &ns))
        return tf_unknown(r);
    s.n = ns != UINT32_MAX ? ns : nb != UINT32_MAX ? nb : ne;
    if (s.n > MAX_RANK || (nb != UINT32_MAX && nb != s.n) || (ne != UINT32_MAX && ne != s.n)) return tf_unknown(r);
    if (!walk_entries(r, &s)) return tf_unknown(r);
    return tf_done(r, emit_slices(r, &s));
}

/* x, begin, size; a size of -1: the rest. */
pg_code tf_slice(tf_reader *r, tf_node *n, int arg)
{
    (void)arg;
    list begin = {.known = false}, size = {.known = false};
    uint32_t nb = UINT32_MAX, ns = UINT32_MAX, starts[MAX_RANK], ends[MAX_RANK];
    int64_t axes[MAX_RANK];
    if (!read_list(r, tf_in(r, n, 1), &begin, &nb) || !read_list(r, tf_in(r, n, 2), &size, &ns)) return tf_unknown(r);
    uint32_t count = ns != UINT32_MAX ? ns : nb;
    if (count > MAX_RANK || !count || (nb != UINT32_MAX && nb != count)) return tf_unknown(r);
    for (uint32_t i = 0; i < count; i++) {
        int64_t from, len;
        bool rest = entry_known(r, &size, i, &len) && len == -1, plain = !rest && entry_known(r, &size, i, &len);
        axes[i] = i;
        starts[i] = entry(r, &begin, i);
        if (rest) ends[i] = one_int(r, INT64_MAX);
        else if (plain && entry_known(r, &begin, i, &from) && !__builtin_add_overflow(from, len, &from))
            ends[i] = one_int(r, from);
        else ends[i] = tf_step(r, OP_Add, (uint32_t[2]){starts[i], entry(r, &size, i)}, 2);
    }
    uint32_t in[4] = {tf_input_tensor(r, 0), join(r, starts, count), join(r, ends, count), tf_ints(r, axes, count)};
    return tf_done(r, tf_op(r, OP_Slice, in, 4, 1));
}

/* ---- putting together and taking apart ---- */

static pg_code concat(tf_reader *r, const uint32_t *in, uint32_t n, int64_t axis)
{
    return tf_done(r, tf_op(r, OP_Concat, in, n, 1) && graph_attr_int(r->g, ATTR_axis, axis));
}

pg_code tf_pack(tf_reader *r, tf_node *n, int arg)
{
    (void)arg;
    int64_t axis = tf_attr_int(n, "axis", 0);
    uint32_t count = n->n_in, *in = ARENA_ARRAY(&r->a, uint32_t, count);
    if (!in) return tf_nomem(r);
    if (count > UINT16_MAX) return tf_unknown(r);
    if (count == 1)
        return tf_done(r, tf_op(r, OP_Unsqueeze, (uint32_t[2]){tf_input_tensor(r, 0), one_int(r, axis)}, 2, 1));
    for (uint32_t i = 0; i < count; i++) in[i] = unsqueeze(r, tf_input_tensor(r, i), axis);
    return concat(r, in, count, axis);
}

/* arg: whether the axis comes last. */
pg_code tf_concat(tf_reader *r, tf_node *n, int last)
{
    int64_t axis;
    uint32_t count = n->n_in - 1, m, *in = ARENA_ARRAY(&r->a, uint32_t, count);
    if (!in) return tf_nomem(r);
    if (count > UINT16_MAX || !tf_const_ints(r, tf_in(r, n, last ? count : 0), &axis, 1, &m) || m != 1)
        return tf_unknown(r);
    for (uint32_t i = 0; i < count; i++) in[i] = tf_input_tensor(r, i + !last);
    if (count == 1) return tf_done(r, tf_op(r, OP_Identity, in, 1, 1));
    return concat(r, in, count, axis);
}

/* Outputs of the current node, as many as the operator has. */
static bool split_into(tf_reader *r, const uint32_t *in, uint32_t n_in, uint32_t parts, int64_t axis)
{
    if (tf_at(r, r->at)->n_out < parts) {
        tf_at(r, r->at)->n_out = parts;
        tf_at(r, r->at)->out = TF_NONE;
    }
    return tf_op(r, OP_Split, in, n_in, parts) && graph_attr_int(r->g, ATTR_axis, axis);
}

pg_code tf_unpack(tf_reader *r, tf_node *n, int arg)
{
    (void)arg;
    int64_t axis = tf_attr_int(n, "axis", 0), outputs = tf_attr_int(n, "num", 0);
    uint32_t in = tf_input_tensor(r, 0), parts[TF_PORTS];
    if (outputs < 1 || outputs > TF_PORTS) return tf_unknown(r);
    uint32_t count = (uint32_t)outputs;
    for (uint32_t i = 0; i < count; i++) {
        parts[i] = graph_add_tensor(r->g, n->name, DT_UNKNOWN);
        if (parts[i] == NO_TENSOR) return tf_nomem(r);
        r->g->tensors[parts[i]].defined = true;
    }
    uint32_t o = graph_add_op(r->g, tf_at(r, r->at)->region, OP_Split, n->name, &in, 1, parts, count);
    if (o == NO_TENSOR || !graph_attr_int(r->g, ATTR_axis, axis)) return tf_nomem(r);
    for (uint32_t i = 0; i < count && i < n->n_out; i++) {
        uint32_t out = tf_step(r, OP_Squeeze, (uint32_t[2]){parts[i], one_int(r, axis)}, 2);
        if (out == NO_TENSOR || !tf_bind(r, r->at, i, out)) return tf_nomem(r);
    }
    return PG_E_OK;
}

/* Sizes of which one is -1: what the others leave of the axis. */
static uint32_t split_sizes(tf_reader *r, const tf_node *n, int64_t axis)
{
    int64_t sizes[MAX_RANK], rest = 0;
    uint32_t count, parts[MAX_RANK], x = tf_input_tensor(r, 0), given = tf_input_tensor(r, 1);
    int hole = -1;
    if (!tf_const_ints(r, tf_in(r, n, 1), sizes, MAX_RANK, &count)) return given;
    for (uint32_t i = 0; i < count; i++) {
        if (sizes[i] < 0) hole = (int)i;
        else if (__builtin_add_overflow(rest, sizes[i], &rest)) return given;
    }
    if (hole < 0) return given;
    uint32_t shape = tf_step(r, OP_Shape, &x, 1),
             dim = tf_step(r, OP_Gather, (uint32_t[2]){shape, one_int(r, axis)}, 2);
    for (uint32_t i = 0; i < count; i++)
        parts[i] = (int)i == hole ? tf_step(r, OP_Sub, (uint32_t[2]){dim, one_int(r, rest)}, 2) : one_int(r, sizes[i]);
    return join(r, parts, count);
}

/* Split: axis, x; SplitV: x, sizes, axis. */
pg_code tf_split(tf_reader *r, tf_node *n, int sizes)
{
    int64_t axis, parts = tf_attr_int(n, "num_split", 0);
    uint32_t m;
    if (!tf_const_ints(r, tf_in(r, n, sizes ? 2 : 0), &axis, 1, &m) || m != 1 || parts < 1 || parts > TF_PORTS)
        return tf_unknown(r);
    uint32_t in[2] = {tf_input_tensor(r, !sizes), sizes ? split_sizes(r, n, axis) : NO_TENSOR};
    if (parts == 1) return tf_done(r, tf_op(r, OP_Identity, in, 1, 1));
    return tf_done(r, split_into(r, in, sizes ? 2 : 1, (uint32_t)parts, axis));
}

/* ---- dims ---- */

/* A 0 in the target is a 0, not "as it is". */
pg_code tf_reshape(tf_reader *r, tf_node *n, int arg)
{
    (void)n;
    (void)arg;
    uint32_t in[2] = {tf_input_tensor(r, 0), tf_input_tensor(r, 1)};
    return tf_done(r, tf_op(r, OP_Reshape, in, 2, 1) && graph_attr_int(r->g, ATTR_allowzero, 1));
}

pg_code tf_expand_dims(tf_reader *r, tf_node *n, int arg)
{
    (void)arg;
    int64_t axis;
    uint32_t m, in[2] = {tf_input_tensor(r, 0), tf_input_tensor(r, 1)};
    if (tf_const_ints(r, tf_in(r, n, 1), &axis, 1, &m) && m == 1) in[1] = one_int(r, axis);
    return tf_done(r, tf_op(r, OP_Unsqueeze, in, 2, 1));
}

pg_code tf_squeeze(tf_reader *r, tf_node *n, int arg)
{
    (void)arg;
    int64_t axes[MAX_RANK];
    uint32_t count = tf_attr_ints(n, "squeeze_dims", axes, MAX_RANK), in[2] = {tf_input_tensor(r, 0), NO_TENSOR};
    if (!count) count = tf_attr_ints(n, "axis", axes, MAX_RANK);
    if (count > MAX_RANK) return tf_unknown(r);
    if (count) in[1] = tf_ints(r, axes, count);
    return tf_done(r, tf_op(r, OP_Squeeze, in, count ? 2 : 1, 1));
}

pg_code tf_transpose(tf_reader *r, tf_node *n, int arg)
{
    (void)arg;
    int64_t perm[MAX_RANK];
    uint32_t count, in = tf_input_tensor(r, 0);
    bool known = tf_const_ints(r, tf_in(r, n, 1), perm, MAX_RANK, &count);
    if (!tf_op(r, OP_Transpose, &in, 1, 1)) return tf_nomem(r);
    /* what isn't constant is made from the rank, to turn all dims round: what the operator does without a list */
    return tf_done(r, !known || !count || graph_attr_ints(r->g, ATTR_perm, perm, count));
}

pg_code tf_rank(tf_reader *r, tf_node *n, int arg)
{
    (void)n;
    (void)arg;
    uint32_t in = tf_input_tensor(r, 0), shape = tf_step(r, OP_Shape, &in, 1);
    return tf_done(r, tf_op(r, OP_Size, &shape, 1, 1));
}

pg_code tf_shape_n(tf_reader *r, tf_node *n, int arg)
{
    (void)arg;
    for (uint32_t i = 0; i < n->n_in && i < n->n_out; i++) {
        uint32_t in = tf_input_tensor(r, i), out = tf_step(r, OP_Shape, &in, 1);
        if (out == NO_TENSOR || !tf_bind(r, r->at, i, out)) return tf_nomem(r);
    }
    return PG_E_OK;
}

/* ---- gathers ---- */

/* GatherV2 has an axis; all but version 1 may share leading dims between both. */
pg_code tf_gather(tf_reader *r, tf_node *n, int axis_given)
{
    int64_t axis = 0, shared = tf_attr_int(n, "batch_dims", 0);
    uint32_t m, in[2] = {tf_input_tensor(r, 0), tf_input_tensor(r, 1)};
    if (axis_given && n->n_in > 2 && (!tf_const_ints(r, tf_in(r, n, 2), &axis, 1, &m) || m != 1)) return tf_unknown(r);
    if (!shared) return tf_done(r, tf_op(r, OP_Gather, in, 2, 1) && graph_attr_int(r->g, ATTR_axis, axis));
    if (shared < 0 || shared > MAX_RANK || (axis_given && axis != shared)) return tf_unknown(r);
    in[1] = unsqueeze(r, in[1], -1);
    return tf_done(r, tf_op(r, OP_GatherND, in, 2, 1) && graph_attr_int(r->g, ATTR_batch_dims, shared));
}

pg_code tf_gather_nd(tf_reader *r, tf_node *n, int arg)
{
    (void)arg;
    uint32_t in[2] = {tf_input_tensor(r, 0), tf_input_tensor(r, 1)};
    return tf_done(r, tf_op(r, OP_GatherND, in, 2, 1) &&
                          graph_attr_int(r->g, ATTR_batch_dims, tf_attr_int(n, "batch_dims", 0)));
}

/* ScatterNd: indices, updates, shape; the others: data, indices, updates. */
pg_code tf_scatter(tf_reader *r, tf_node *n, int data_given)
{
    (void)n;
    uint32_t in[3] = {tf_input_tensor(r, 0), tf_input_tensor(r, 1), tf_input_tensor(r, 2)};
    if (!data_given) {
        uint32_t data = tf_step(r, OP_ConstantOfShape, &in[2], 1);
        in[2] = in[1];
        in[1] = in[0];
        in[0] = data;
    }
    return tf_done(r, tf_op(r, OP_ScatterND, in, 3, 1));
}

pg_code tf_reverse(tf_reader *r, tf_node *n, int arg)
{
    (void)n;
    (void)arg;
    uint32_t in[2] = {tf_input_tensor(r, 0), tf_input_tensor(r, 1)};
    return tf_done(r, tf_op(r, OP_ReverseSequence, in, 2, 1));
}

/* ---- pads: [dims, 2]; ours are all the beginnings, then all the ends ---- */

pg_code tf_pad(tf_reader *r, tf_node *n, int mirror)
{
    int64_t pads[2 * MAX_RANK], turned[2 * MAX_RANK];
    uint32_t count, in[3] = {tf_input_tensor(r, 0), NO_TENSOR, n->n_in > 2 ? tf_input_tensor(r, 2) : NO_TENSOR};
    if (tf_const_ints(r, tf_in(r, n, 1), pads, 2 * MAX_RANK, &count) && count % 2 == 0) {
        for (uint32_t i = 0; i < count; i++) turned[i % 2 * (count / 2) + i / 2] = pads[i];
        in[1] = tf_ints(r, turned, count);
    } else {
        uint32_t raw = tf_input_tensor(r, 1), t = tf_step(r, OP_Transpose, &raw, 1);
        if (!graph_attr_ints(r->g, ATTR_perm, (int64_t[2]){1, 0}, 2)) return tf_nomem(r);
        in[1] = tf_step(r, OP_Reshape, (uint32_t[2]){t, one_int(r, -1)}, 2);
    }
    if (!tf_op(r, OP_Pad, in, n->n_in > 2 ? 3 : 2, 1)) return tf_nomem(r);
    return tf_done(r, !mirror || graph_attr_string(r->g, ATTR_mode, STR("reflect")));
}

/* ---- made from little ---- */

static pg_code fill(tf_reader *r, uint32_t dims, uint32_t value)
{
    if (!tf_op(r, OP_ConstantOfShape, &dims, 1, 1)) return tf_nomem(r);
    bool constant = value != NO_TENSOR && r->g->tensors[value].role == ROLE_WEIGHT;
    return tf_done(r, !constant || graph_attr_index(r->g, ATTR_value, ATTR_TENSOR, value));
}

pg_code tf_fill(tf_reader *r, tf_node *n, int arg)
{
    (void)n;
    (void)arg;
    return fill(r, tf_input_tensor(r, 0), tf_input_tensor(r, 1));
}

pg_code tf_zeros_like(tf_reader *r, tf_node *n, int ones)
{
    (void)n;
    uint32_t x = tf_input_tensor(r, 0), shape = tf_step(r, OP_Shape, &x, 1);
    if (!tf_op(r, OP_ConstantOfShape, &shape, 1, 1)) return tf_nomem(r);
    dtype d = x == NO_TENSOR ? DT_UNKNOWN : (dtype)r->g->tensors[x].dtype;
    uint32_t value = tf_int(r, ones);
    if (value == NO_TENSOR) return tf_nomem(r);
    if (dtype_get(d)->floating || d == DT_UNKNOWN) { /* of numbers that no shape is made from */
        r->g->tensors[value].dtype = (uint8_t)(d ? d : DT_FP32);
        r->g->tensors[value].value[0].v.f = ones;
    }
    return tf_done(r, graph_attr_index(r->g, ATTR_value, ATTR_TENSOR, value));
}

pg_code tf_random(tf_reader *r, tf_node *n, int kind)
{
    uint32_t dims = tf_input_tensor(r, 0), shape = tf_step(r, OP_ConstantOfShape, &dims, 1);
    int64_t code = tf_dtype_code(tf_dtype(tf_attr_int(n, "dtype", 1)));
    return tf_done(r, tf_op(r, (op_kind)kind, &shape, 1, 1) && graph_attr_int(r->g, ATTR_dtype, code));
}

/* ---- lists of tensors, as the tensor that they make when stacked ---- */

/* arg: which input is it. */
pg_code tf_list_from(tf_reader *r, tf_node *n, int arg)
{
    uint32_t t = (uint32_t)arg < n->n_in ? tf_input_tensor(r, (uint32_t)arg) : NO_TENSOR;
    return t == NO_TENSOR ? tf_unknown(r) : tf_done(r, tf_bind(r, r->at, 0, t));
}

/* list, index; TensorArrayReadV3: handle, index, list. */
pg_code tf_list_item(tf_reader *r, tf_node *n, int at)
{
    (void)n;
    uint32_t in[2] = {tf_input_tensor(r, (uint32_t)at), tf_input_tensor(r, 1)};
    if (in[0] == NO_TENSOR || in[1] == NO_TENSOR) return tf_unknown(r);
    return tf_done(r, tf_op(r, OP_Gather, in, 2, 1) && graph_attr_int(r->g, ATTR_axis, 0));
}

/* An empty list. What TensorFlow 1 has as its handle is used only to ask for its size, which it was made with. */
pg_code tf_list_none(tf_reader *r, tf_node *n, int sized)
{
    bool known = sized && n->n_in;
    return tf_done(r, tf_bind(r, r->at, 0, known ? tf_input_tensor(r, 0) : NO_TENSOR));
}

/* handle, list; or a list. */
pg_code tf_list_size(tf_reader *r, tf_node *n, int handle)
{
    uint32_t items = tf_input_tensor(r, handle ? 1 : 0), size = handle ? tf_input_tensor(r, 0) : NO_TENSOR;
    (void)n;
    if (items == NO_TENSOR) return size == NO_TENSOR ? tf_unknown(r) : tf_done(r, tf_bind(r, r->at, 0, size));
    uint32_t shape = tf_step(r, OP_Shape, &items, 1);
    return tf_done(r, tf_op(r, OP_Gather, (uint32_t[2]){shape, tf_int(r, 0)}, 2, 1));
}
