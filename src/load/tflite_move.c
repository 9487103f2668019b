/* Operators of TensorFlow Lite that move data: views, copies, parts. */
#include "load/tflite_internal.h"

/* ---- shapes ---- */

/* How a reshape goes with images that are channels first. */
typedef enum passage { FROM_FILE, FIRST_TO_FILE, TO_FIRST } passage;

static int64_t spatial_size(const tflite_info *t)
{
    int64_t size = 1;
    for (int i = 1; i < t->rank - 1; i++) {
        if (t->open[i] || t->dims[i] < 1 || size > INT32_MAX) return -1;
        size *= t->dims[i];
    }
    return size;
}

/* An image of one pixel has the same order either way. Flattening one is left as it is, since weights that follow go along, as
 * they do when a network is ported; so is a spatial dim of 1 that comes or goes (a convolution in one dimension). */
static passage reshape_passage(const tflite_value *v, const tflite_info *x, const tflite_info *y, bool images)
{
    bool first = v->form[FORM_FIRST] != 0 || v->padded;
    bool pixel = x->rank >= 3 && spatial_size(x) == 1;
    bool to_pixel = images && y->rank == 4 && spatial_size(y) == 1;
    if (to_pixel && (pixel || x->rank <= 2)) return TO_FIRST;
    if (!first) return FROM_FILE;
    if (pixel) return FIRST_TO_FILE;
    int64_t all = spatial_size(x);
    if (y->rank == 2 && all > 0 && x->dims[x->rank - 1] > 0 && y->dims[1] == all * x->dims[x->rank - 1])
        return FIRST_TO_FILE;
    bool ends = x->rank >= 3 && y->rank >= 3 && y->dims[0] == x->dims[0] &&
                y->dims[y->rank - 1] == x->dims[x->rank - 1];
    bool line = (x->rank == 4 && (x->dims[1] == 1 || x->dims[2] == 1)) || x->rank == 3;
    if (ends && line && x->rank != y->rank) return TO_FIRST;
    return FROM_FILE;
}

/* The target: new_shape of the options, or the second operand. */
static bool target_of(tflite_reader *r, tflite_node *n, const tflite_info *y, int64_t *dims, uint32_t *count)
{
    if (tflite_in(n, 1) != -1) return tflite_ints(r, n->s, tflite_in(n, 1), dims, TFLITE_RANK, count);
    flatbuffer_vector list = flatbuffer_list(&n->options, 0, 4);
    *count = list.n;
    if (list.owner && list.n <= TFLITE_RANK) {
        for (uint32_t i = 0; i < list.n; i++) dims[i] = flatbuffer_list_i32(&list, i);
        return true;
    }
    *count = y->rank < 0 ? 0 : (uint32_t)y->rank;
    for (uint32_t i = 0; i < *count; i++) dims[i] = y->open[i] ? -1 : y->dims[i];
    return y->rank >= 0;
}

pg_code tflite_reshape(tflite_reader *r, tflite_node *n)
{
    tflite_info x, y;
    int64_t dims[TFLITE_RANK], turned[TFLITE_RANK];
    uint32_t count;
    if (!tflite_in_info(r, n, 0, &x) || !tflite_out_info(r, n, 0, &y)) return tflite_status(r);
    bool known = target_of(r, n, &y, dims, &count);
    if (tflite_status(r)) return tflite_status(r);
    if (known && count && r->g->fixed_batch > 0 && dims[0] == r->g->fixed_batch && x.rank > 0 && x.dims[0] == dims[0])
        dims[0] = 0; /* the batch stays in front, whatever it becomes */
    passage way = known ? reshape_passage(&n->s->v[tflite_in(n, 0)], &x, &y, r->has_images) : FROM_FILE;
    if (way == TO_FIRST && count != (uint32_t)y.rank) way = FROM_FILE;
    bool first = way != FROM_FILE && (n->s->v[tflite_in(n, 0)].form[FORM_FIRST] || n->s->v[tflite_in(n, 0)].padded);
    uint32_t in[2] = {tflite_get(r, n->s, tflite_in(n, 0), first ? FORM_FIRST : FORM_FILE), NO_TENSOR};
    tflite_form to = way == TO_FIRST ? FORM_FIRST : FORM_FILE;
    for (uint32_t i = 0; way == TO_FIRST && i < count; i++) turned[tflite_axis(to, (int)count, i)] = dims[i];
    if (known) in[1] = tflite_list(r, way == TO_FIRST ? turned : dims, count);
    else in[1] = tflite_get(r, n->s, tflite_in(n, 1), FORM_FILE);
    uint32_t out = tflite_define(r, n->s, tflite_out(n, 0), to);
    if (in[0] == NO_TENSOR || in[1] == NO_TENSOR) return tflite_lacks_input(r, n);
    tflite_emit(r, n, OP_Reshape, in, 2, out);
    return tflite_status(r);
}

/* SqueezeOptions: squeeze_dims 0; none: all that are 1. */
pg_code tflite_squeeze(tflite_reader *r, tflite_node *n)
{
    tflite_info x;
    int64_t axes[TFLITE_RANK];
    if (!tflite_in_info(r, n, 0, &x)) return tflite_status(r);
    flatbuffer_vector list = flatbuffer_list(&n->options, 0, 4);
    uint32_t count = list.n;
    if (count > TFLITE_RANK) return tflite_bad(r, n, "squeezes more axes than there are");
    for (uint32_t i = 0; i < count; i++) axes[i] = flatbuffer_list_i32(&list, i);
    for (int i = 0; !list.n && i < x.rank; i++)
        if (x.dims[i] == 1 && !x.open[i]) axes[count++] = i;
    tflite_value *v = &n->s->v[tflite_in(n, 0)];
    bool first = (v->form[FORM_FIRST] || v->padded) && x.rank >= 3;
    uint32_t mask = 0;
    for (uint32_t i = 0; i < count && first; i++) {
        int axis = tflite_axis(FORM_FIRST, x.rank, axes[i]);
        if (axis < 0) return tflite_bad(r, n, "squeezes an axis that there isn't");
        mask |= 1u << axis;
    }
    int spatial = 0;
    for (int i = 2; i < x.rank; i++) spatial += !(mask >> i & 1);
    tflite_form form = FORM_FILE, after = FORM_FILE;
    if (first && !(mask & 3)) form = FORM_FIRST, after = spatial ? FORM_FIRST : FORM_FILE;
    else if (first && (mask & 2) && !(mask & 1)) form = FORM_FIRST; /* without channels there is one order */
    for (uint32_t i = 0; i < count && form == FORM_FIRST; i++) axes[i] = tflite_axis(FORM_FIRST, x.rank, axes[i]);
    uint32_t in = tflite_get(r, n->s, tflite_in(n, 0), form), out = tflite_define(r, n->s, tflite_out(n, 0), after);
    if (in == NO_TENSOR) return tflite_lacks_input(r, n);
    tflite_emit(r, n, OP_Squeeze, &in, 1, out);
    if (tflite_status(r)) return tflite_status(r);
    return graph_attr_ints(r->g, ATTR_axes, axes, count) ? PG_E_OK : error_nomem(r->e, r->g->a);
}

/* Operands: data, axis. */
pg_code tflite_expand_dims(tflite_reader *r, tflite_node *n)
{
    int64_t axis = 0;
    uint32_t count;
    tflite_info x;
    if (!tflite_in_info(r, n, 0, &x)) return tflite_status(r);
    bool known = tflite_ints(r, n->s, tflite_in(n, 1), &axis, 1, &count);
    tflite_form form = FORM_FILE;
    if (known && x.rank >= 3 && x.rank < TFLITE_RANK && n->s->v[tflite_in(n, 0)].form[FORM_FIRST]) {
        int64_t at = axis < 0 ? axis + x.rank + 1 : axis;
        if (at > 0 && at < x.rank) { /* a further spatial dim */
            form = FORM_FIRST;
            axis = at + 1;
        }
    }
    uint32_t in[2] = {tflite_get(r, n->s, tflite_in(n, 0), form), NO_TENSOR};
    if (!known) in[1] = tflite_get(r, n->s, tflite_in(n, 1), FORM_FILE);
    uint32_t out = tflite_define(r, n->s, tflite_out(n, 0), form);
    if (in[0] == NO_TENSOR || (!known && in[1] == NO_TENSOR)) return tflite_lacks_input(r, n);
    tflite_emit(r, n, OP_Unsqueeze, in, known ? 1 : 2, out);
    if (tflite_status(r) || !known) return tflite_status(r);
    return graph_attr_ints(r->g, ATTR_axes, &axis, 1) ? PG_E_OK : error_nomem(r->e, r->g->a);
}

/* An image that is channels first is turned from there: a Transpose of the file to channels first is none. */
pg_code tflite_transpose(tflite_reader *r, tflite_node *n)
{
    tflite_info x;
    int64_t perm[TFLITE_RANK], made[TFLITE_RANK];
    uint32_t count = 0;
    if (!tflite_in_info(r, n, 0, &x)) return tflite_status(r);
    bool known = tflite_in(n, 1) != -1 && tflite_ints(r, n->s, tflite_in(n, 1), perm, TFLITE_RANK, &count);
    flatbuffer_vector list = flatbuffer_list(&n->options2, 0, 8);
    if (!known && list.owner && list.n <= TFLITE_RANK) {
        known = true;
        count = list.n;
        for (uint32_t i = 0; i < count; i++) perm[i] = flatbuffer_list_i64(&list, i);
    }
    if (!known || (x.rank >= 0 && count != (uint32_t)x.rank)) return tflite_rearrange(r, n);
    tflite_value *v = &n->s->v[tflite_in(n, 0)];
    tflite_form form = (v->form[FORM_FIRST] || v->padded) && count >= 3 ? FORM_FIRST : FORM_FILE;
    bool same = true, last = count == 4 && r->has_images && form == FORM_FILE;
    for (uint32_t i = 0; i < count; i++) last &= perm[i] == (i == 0 ? 0 : i + 1 < count ? i + 1 : 1);
    if (last && !x.constant) { /* channels first in the file: as it is, it is what convolutions want */
        uint32_t image = tflite_get(r, n->s, tflite_in(n, 0), FORM_FILE);
        if (tflite_define(r, n->s, tflite_out(n, 0), FORM_FIRST) == NO_TENSOR) return tflite_status(r);
        tflite_alias(r, n->s, tflite_out(n, 0), FORM_FIRST, image);
        return tflite_status(r);
    }
    for (uint32_t i = 0; i < count; i++) {
        int axis = tflite_axis(form, (int)count, perm[i]);
        if (axis < 0) return tflite_bad(r, n, "has a permutation of other axes");
        made[i] = axis;
        same &= made[i] == i;
    }
    uint32_t in = tflite_get(r, n->s, tflite_in(n, 0), form);
    uint32_t out = tflite_define(r, n->s, tflite_out(n, 0), FORM_FILE);
    if (in == NO_TENSOR) return tflite_lacks_input(r, n);
    tflite_emit(r, n, same ? OP_Identity : OP_Transpose, &in, 1, out);
    if (tflite_status(r) || same) return tflite_status(r);
    return graph_attr_ints(r->g, ATTR_perm, made, count) ? PG_E_OK : error_nomem(r->e, r->g->a);
}

/* ---- joining and cutting ---- */

/* ConcatenationOptions: axis 0, activation 1; of StableHLO: dimension 0. */
pg_code tflite_concat(tflite_reader *r, tflite_node *n)
{
    enum { CONCATENATION = 2 };
    int rank;
    bool hlo = n->number != CONCATENATION;
    int64_t axis = hlo ? flatbuffer_i64(&n->options2, 0, 0) : flatbuffer_i32(&n->options, 0, 0);
    int64_t activation = hlo ? 0 : flatbuffer_i8(&n->options, 1, 0);
    tflite_info x, y;
    if (!tflite_in_info(r, n, 0, &x) || !tflite_out_info(r, n, 0, &y)) return tflite_status(r);
    tflite_form form = tflite_common_form(r, n, 0, n->in.n, &rank);
    bool integers = tflite_quantised(&x);
    uint32_t step = integers ? 3 : 1, from = integers ? 2 : 0, count = from + step * n->in.n;
    uint32_t *in = ARENA_ARRAY(r->g->a, uint32_t, count);
    if (!in) return error_nomem(r->e, r->g->a);
    if (form == FORM_FIRST) axis = tflite_axis(form, rank, axis);
    if (form == FORM_FIRST && axis < 0) return tflite_bad(r, n, "joins along an axis that there isn't");
    for (uint32_t i = 0; i < n->in.n && !error_is_set(r->e); i++) {
        uint32_t *at = in + from + step * i;
        at[0] = tflite_get(r, n->s, tflite_in(n, i), form);
        if (at[0] == NO_TENSOR) return tflite_lacks_input(r, n);
        if (integers) at[1] = tflite_scale(r, NULL), at[2] = tflite_zero(r, x.type);
    }
    if (integers) in[0] = tflite_scale(r, &y), in[1] = tflite_zero(r, y.type), activation = 0;
    uint32_t out = tflite_result(r, n, form, activation);
    tflite_emit(r, n, integers ? OP_QLinearConcat : OP_Concat, in, count, out);
    if (!tflite_status(r) && !graph_attr_int(r->g, ATTR_axis, axis)) return error_nomem(r->e, r->g->a);
    return tflite_activate(r, n, out, form, activation);
}

/* SPLIT: axis, data, and parts of one size. SPLIT_V: data, sizes, axis. */
pg_code tflite_split(tflite_reader *r, tflite_node *n)
{
    enum { SPLIT = 49 };
    bool even = n->number == SPLIT;
    uint32_t data = even ? 1 : 0, count;
    int64_t axis = 0;
    int rank;
    if (!tflite_ints(r, n->s, tflite_in(n, even ? 0 : 2), &axis, 1, &count)) return tflite_rearrange(r, n);
    tflite_form form = tflite_common_form(r, n, data, data + 1, &rank);
    if (form == FORM_FIRST) axis = tflite_axis(form, rank, axis);
    if (form == FORM_FIRST && axis < 0) return tflite_bad(r, n, "cuts an axis that there isn't");
    uint32_t in[2] = {tflite_get(r, n->s, tflite_in(n, data), form), NO_TENSOR};
    if (!even) in[1] = tflite_get(r, n->s, tflite_in(n, 1), FORM_FILE);
    uint32_t *out = ARENA_ARRAY(r->g->a, uint32_t, n->out.n);
    if (!out) return error_nomem(r->e, r->g->a);
    for (uint32_t i = 0; i < n->out.n && !error_is_set(r->e); i++)
        out[i] = tflite_define(r, n->s, tflite_out(n, i), form);
    if (in[0] == NO_TENSOR) return tflite_lacks_input(r, n);
    tflite_emit_many(r, n, OP_Split, in, even ? 1 : 2, out, n->out.n);
    if (tflite_status(r)) return tflite_status(r);
    return graph_attr_int(r->g, ATTR_axis, axis) ? PG_E_OK : error_nomem(r->e, r->g->a);
}

/* PackOptions: values_count 0, axis 1. */
pg_code tflite_pack(tflite_reader *r, tflite_node *n)
{
    int64_t axis = flatbuffer_i32(&n->options, 1, 0);
    uint32_t *in = ARENA_ARRAY(r->g->a, uint32_t, n->in.n);
    if (!in) return error_nomem(r->e, r->g->a);
    n->labelled = true; /* the Concat bears the name */
    for (uint32_t i = 0; i < n->in.n && !error_is_set(r->e); i++) {
        uint32_t x = tflite_get(r, n->s, tflite_in(n, i), FORM_FILE);
        if (x == NO_TENSOR) return tflite_lacks_input(r, n);
        in[i] = tflite_emit(r, n, OP_Unsqueeze, &x, 1, NO_TENSOR);
        if (!tflite_status(r) && !graph_attr_ints(r->g, ATTR_axes, &axis, 1)) return error_nomem(r->e, r->g->a);
    }
    n->labelled = false;
    uint32_t out = tflite_define(r, n->s, tflite_out(n, 0), FORM_FILE);
    tflite_emit(r, n, OP_Concat, in, n->in.n, out);
    if (tflite_status(r)) return tflite_status(r);
    return graph_attr_int(r->g, ATTR_axis, axis) ? PG_E_OK : error_nomem(r->e, r->g->a);
}

/* UnpackOptions: num 0, axis 1. */
pg_code tflite_unpack(tflite_reader *r, tflite_node *n)
{
    int64_t axis = flatbuffer_i32(&n->options, 1, 0);
    uint32_t x = tflite_get(r, n->s, tflite_in(n, 0), FORM_FILE);
    uint32_t *part = ARENA_ARRAY(r->g->a, uint32_t, n->out.n);
    if (!part) return error_nomem(r->e, r->g->a);
    for (uint32_t i = 0; i < n->out.n && !error_is_set(r->e); i++) part[i] = tflite_temporary(r, n);
    if (x == NO_TENSOR) return tflite_lacks_input(r, n);
    tflite_emit_many(r, n, OP_Split, &x, 1, part, n->out.n);
    if (!tflite_status(r) && !graph_attr_int(r->g, ATTR_axis, axis)) return error_nomem(r->e, r->g->a);
    for (uint32_t i = 0; i < n->out.n && !error_is_set(r->e); i++) {
        uint32_t out = tflite_define(r, n->s, tflite_out(n, i), FORM_FILE);
        tflite_emit(r, n, OP_Squeeze, &part[i], 1, out);
        if (!tflite_status(r) && !graph_attr_ints(r->g, ATTR_axes, &axis, 1)) return error_nomem(r->e, r->g->a);
    }
    return tflite_status(r);
}

/* A Slice along all axes of `form`; ends may lie behind the last. */
static uint32_t emit_slice(tflite_reader *r, tflite_node *n, uint32_t x, const int64_t *starts, const int64_t *ends,
                           const int64_t *steps, uint32_t count, uint32_t out)
{
    int64_t axes[TFLITE_RANK];
    for (uint32_t i = 0; i < count; i++) axes[i] = i;
    uint32_t in[5] = {x, tflite_list(r, starts, count), tflite_list(r, ends, count), tflite_list(r, axes, count),
                      tflite_list(r, steps, count)};
    if (tflite_status(r)) return NO_TENSOR;
    return tflite_emit(r, n, OP_Slice, in, 5, out);
}

static void to_form(tflite_form form, uint32_t count, int64_t *list)
{
    int64_t made[TFLITE_RANK] = {0};
    for (uint32_t i = 0; i < count; i++) made[tflite_axis(form, (int)count, i)] = list[i];
    memcpy(list, made, count * sizeof *list);
}

/* Operands: data, begin, size; size -1: the rest. */
pg_code tflite_slice(tflite_reader *r, tflite_node *n)
{
    int64_t begin[TFLITE_RANK], end[TFLITE_RANK], one[TFLITE_RANK];
    uint32_t count, sizes;
    int rank;
    bool known = tflite_ints(r, n->s, tflite_in(n, 1), begin, TFLITE_RANK, &count) &&
                 tflite_ints(r, n->s, tflite_in(n, 2), end, TFLITE_RANK, &sizes) && count == sizes;
    if (tflite_status(r)) return tflite_status(r);
    tflite_form form = known ? tflite_common_form(r, n, 0, 1, &rank) : FORM_FILE;
    if (form == FORM_FIRST && (int)count != rank) form = FORM_FILE;
    uint32_t x = tflite_get(r, n->s, tflite_in(n, 0), form), out = tflite_define(r, n->s, tflite_out(n, 0), form);
    if (x == NO_TENSOR) return tflite_lacks_input(r, n);
    if (known) {
        for (uint32_t i = 0; i < count; i++) {
            end[i] = end[i] < 0 ? INT32_MAX : begin[i] + end[i];
            one[i] = 1;
        }
        if (form == FORM_FIRST) to_form(form, count, begin), to_form(form, count, end);
        emit_slice(r, n, x, begin, end, one, count, out);
        return tflite_status(r);
    }
    uint32_t from = tflite_get(r, n->s, tflite_in(n, 1), FORM_FILE),
             size = tflite_get(r, n->s, tflite_in(n, 2), FORM_FILE);
    if (from == NO_TENSOR || size == NO_TENSOR) return tflite_lacks_input(r, n);
    n->labelled = true;
    uint32_t in[3] = {x, from, tflite_emit(r, n, OP_Add, (const uint32_t[]){from, size}, 2, NO_TENSOR)};
    n->labelled = false;
    tflite_emit(r, n, OP_Slice, in, 3, out);
    return tflite_status(r);
}

/* StridedSliceOptions: masks of bits, one a place in begin, end and strides: begin 0, end 1 (that end counts as open), ellipsis 2,
 * new_axis 3, shrink_axis 4 (an index: the axis vanishes). */
typedef struct strided {
    int64_t begin[TFLITE_RANK], end[TFLITE_RANK], step[TFLITE_RANK]; /* of the data's axes */
    int64_t shrink[TFLITE_RANK], added[TFLITE_RANK];
    uint32_t n, n_shrink, n_added;
} strided;

static bool plan_slice(const tflite_node *n, const tflite_info *x, const int64_t *begin, const int64_t *end,
                       const int64_t *step, uint32_t count, strided *s)
{
    uint32_t mask[5], place = 0;
    for (unsigned i = 0; i < 5; i++) mask[i] = (uint32_t)flatbuffer_i32(&n->options, i, 0);
    memset(s, 0, sizeof *s);
    uint32_t named = 0;
    for (uint32_t i = 0; i < count; i++) named += !((mask[2] | mask[3]) >> i & 1);
    if (x->rank < 0 || named > (uint32_t)x->rank) return false;
    for (uint32_t i = 0; i < count; i++) {
        if (mask[2] >> i & 1) { /* all axes that are not named */
            for (uint32_t k = named; k < (uint32_t)x->rank; k++, place++) {
                s->end[s->n] = INT32_MAX, s->step[s->n] = 1;
                s->begin[s->n++] = 0;
            }
            mask[2] = 0;
            named = (uint32_t)x->rank;
            continue;
        }
        if (mask[3] >> i & 1) {
            if (s->n_added == TFLITE_RANK || place >= TFLITE_RANK) return false;
            s->added[s->n_added++] = place++;
            continue;
        }
        if (s->n == TFLITE_RANK || s->n >= (uint32_t)x->rank || step[i] == 0) return false;
        bool shrink = mask[4] >> i & 1, back = step[i] < 0;
        s->step[s->n] = shrink ? 1 : step[i];
        s->begin[s->n] = mask[0] >> i & 1 ? (back ? INT32_MAX : 0) : begin[i];
        s->end[s->n] = mask[1] >> i & 1 ? (back ? INT32_MIN : INT32_MAX) : end[i];
        if (shrink) {
            s->begin[s->n] = begin[i];
            s->end[s->n] = begin[i] == -1 ? INT32_MAX : begin[i] + 1;
            s->shrink[s->n_shrink++] = s->n;
        } else {
            place++;
        }
        s->n++;
    }
    return true;
}

/* The parts of begin and end that count, where they are computed: those of axes that are cut. */
static pg_code dynamic_slice(tflite_reader *r, tflite_node *n)
{
    tflite_info x;
    if (!tflite_in_info(r, n, 0, &x)) return tflite_status(r);
    for (unsigned i = 2; i < 5; i++)
        if (flatbuffer_i32(&n->options, i, 0)) return tflite_rearrange(r, n);
    uint32_t begin_mask = (uint32_t)flatbuffer_i32(&n->options, 0, 0),
             end_mask = (uint32_t)flatbuffer_i32(&n->options, 1, 0);
    int64_t axes[TFLITE_RANK], starts[TFLITE_RANK], list[TFLITE_RANK];
    uint32_t count = 0, given;
    bool fixed = tflite_ints(r, n->s, tflite_in(n, 1), list, TFLITE_RANK, &given);
    for (int i = 0; i < x.rank; i++) {
        if ((begin_mask & end_mask) >> i & 1) continue;
        if (end_mask >> i & 1) return tflite_rearrange(r, n);
        axes[count] = i;
        starts[count++] = fixed && (uint32_t)i < given && !(begin_mask >> i & 1) ? list[i] : 0;
    }
    uint32_t at = tflite_list(r, axes, count);
    uint32_t from = fixed ? tflite_list(r, starts, count) : tflite_get(r, n->s, tflite_in(n, 1), FORM_FILE);
    uint32_t to = tflite_get(r, n->s, tflite_in(n, 2), FORM_FILE);
    uint32_t data = tflite_get(r, n->s, tflite_in(n, 0), FORM_FILE);
    uint32_t out = tflite_define(r, n->s, tflite_out(n, 0), FORM_FILE);
    if (data == NO_TENSOR || to == NO_TENSOR || from == NO_TENSOR) return tflite_lacks_input(r, n);
    n->labelled = true;
    if (!fixed) from = tflite_emit(r, n, OP_Gather, (const uint32_t[]){from, at}, 2, NO_TENSOR);
    to = tflite_emit(r, n, OP_Gather, (const uint32_t[]){to, at}, 2, NO_TENSOR);
    n->labelled = false;
    tflite_emit(r, n, OP_Slice, (const uint32_t[]){data, from, to, at}, 4, out);
    return tflite_status(r);
}

pg_code tflite_strided_slice(tflite_reader *r, tflite_node *n)
{
    int64_t begin[TFLITE_RANK], end[TFLITE_RANK], step[TFLITE_RANK];
    uint32_t count[3];
    tflite_info x;
    if (!tflite_in_info(r, n, 0, &x)) return tflite_status(r);
    bool known = tflite_ints(r, n->s, tflite_in(n, 1), begin, TFLITE_RANK, &count[0]) &&
                 tflite_ints(r, n->s, tflite_in(n, 2), end, TFLITE_RANK, &count[1]) &&
                 tflite_ints(r, n->s, tflite_in(n, 3), step, TFLITE_RANK, &count[2]);
    if (tflite_status(r)) return tflite_status(r);
    if (!known) return dynamic_slice(r, n);
    strided s;
    if (count[0] != count[1] || count[0] != count[2] || !plan_slice(n, &x, begin, end, step, count[0], &s))
        return tflite_bad(r, n, "cuts other axes than there are");
    int rank;
    tflite_form form = tflite_common_form(r, n, 0, 1, &rank);
    if (s.n != (uint32_t)rank || s.n_shrink || s.n_added) form = FORM_FILE;
    if (form == FORM_FIRST) to_form(form, s.n, s.begin), to_form(form, s.n, s.end), to_form(form, s.n, s.step);
    uint32_t made = tflite_get(r, n->s, tflite_in(n, 0), form);
    if (made == NO_TENSOR) return tflite_lacks_input(r, n);
    uint32_t last = tflite_define(r, n->s, tflite_out(n, 0), form);
    uint32_t steps = 1u + (s.n_shrink > 0) + (s.n_added > 0);
    made = emit_slice(r, n, made, s.begin, s.end, s.step, s.n, --steps ? NO_TENSOR : last);
    if (s.n_shrink) {
        made = tflite_emit(r, n, OP_Squeeze, &made, 1, --steps ? NO_TENSOR : last);
        if (!tflite_status(r) && !graph_attr_ints(r->g, ATTR_axes, s.shrink, s.n_shrink))
            return error_nomem(r->e, r->g->a);
    }
    if (s.n_added) {
        tflite_emit(r, n, OP_Unsqueeze, &made, 1, last);
        if (!tflite_status(r) && !graph_attr_ints(r->g, ATTR_axes, s.added, s.n_added))
            return error_nomem(r->e, r->g->a);
    }
    return tflite_status(r);
}

/* GatherOptions: axis 0, batch_dims 1. */
pg_code tflite_gather(tflite_reader *r, tflite_node *n)
{
    int64_t axis = flatbuffer_i32(&n->options, 0, 0), batch = flatbuffer_i32(&n->options, 1, 0);
    if (batch) return tflite_rearrange(r, n);
    uint32_t in[2] = {tflite_get(r, n->s, tflite_in(n, 0), FORM_FILE), tflite_get(r, n->s, tflite_in(n, 1), FORM_FILE)};
    uint32_t out = tflite_define(r, n->s, tflite_out(n, 0), FORM_FILE);
    if (in[0] == NO_TENSOR || in[1] == NO_TENSOR) return tflite_lacks_input(r, n);
    tflite_emit(r, n, OP_Gather, in, 2, out);
    if (tflite_status(r)) return tflite_status(r);
    return graph_attr_int(r->g, ATTR_axis, axis) ? PG_E_OK : error_nomem(r->e, r->g->a);
}

/* The first operand with something put into it or its order changed: as large as that. */
pg_code tflite_first_like(tflite_reader *r, tflite_node *n)
{
    uint32_t in[3] = {NO_TENSOR, NO_TENSOR, NO_TENSOR};
    for (uint32_t i = 0; i < 2; i++) in[i ? 2 : 0] = tflite_get(r, n->s, tflite_in(n, i), FORM_FILE);
    if (n->in.n > 2) in[1] = tflite_get(r, n->s, tflite_in(n, 2), FORM_FILE);
    uint32_t out = tflite_define(r, n->s, tflite_out(n, 0), FORM_FILE);
    if (in[0] == NO_TENSOR || in[2] == NO_TENSOR) return tflite_lacks_input(r, n);
    if (in[1] == NO_TENSOR) in[1] = tflite_list(r, (const int64_t[]){0}, 1);
    tflite_emit(r, n, n->kind, in, 3, out);
    return tflite_status(r);
}

pg_code tflite_reverse(tflite_reader *r, tflite_node *n)
{
    uint32_t in = tflite_get(r, n->s, tflite_in(n, 0), FORM_FILE),
             out = tflite_define(r, n->s, tflite_out(n, 0), FORM_FILE);
    if (in == NO_TENSOR) return tflite_lacks_input(r, n);
    tflite_emit(r, n, n->kind, &in, 1, out);
    return tflite_status(r);
}

pg_code tflite_tile(tflite_reader *r, tflite_node *n)
{
    return tflite_plain(r, n);
}
