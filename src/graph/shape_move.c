#include "graph/shape_internal.h"

pg_code shape_transpose(infer *x, const op *o)
{
    const tensor_shape *t = ranked(x, o, 0);
    dtype d = dtype_of(in_at(x, o, 0));
    if (!t) return out_dtype(x, o, 0, d);
    const int64_t *perm;
    num out[MAX_RANK];
    uint32_t n = op_attr_ints(x->g, o, ATTR_perm, &perm);
    if (!n) {
        for (int i = 0; i < t->rank; i++) out[i] = t->dims[t->rank - 1 - i];
        return out_dims(x, o, 0, d, t->rank, out);
    }
    uint64_t seen = 0;
    for (uint32_t i = 0; i < n && n == (uint32_t)t->rank; i++) {
        int64_t axis = perm[i];
        if (!axis_fix(&axis, t->rank)) break;
        seen |= 1ull << axis;
        out[i] = t->dims[axis];
    }
    if (seen != (1ull << t->rank) - 1)
        return shape_fail(x, o, "its perm isn't a permutation of the %d axes of the input %s", (int)t->rank,
                          SHAPE_S(x, t));
    return out_dims(x, o, 0, d, t->rank, out);
}

/* PyTorch 1.13 sometimes writes another constant of the trace where expand(batch, -1, -1) had its -1: [batch, 3, 3]
 * for an input [1, 1, 384]. Such a target is impossible as it stands and its plain numbers are all the same; they
 * then mean "as it is". */
static bool expand_repaired(const tensor_shape *t, tensor_shape *target)
{
    num plain = num_unknown();
    bool symbolic = false;
    if (t->rank != target->rank) return false;
    for (int i = 0; i < t->rank; i++) {
        if (!num_plain(target->dims[i])) symbolic = true;
        else if (!num_known(plain)) plain = target->dims[i];
        else if (!num_same(plain, target->dims[i])) return false;
    }
    for (int i = 0; i < t->rank; i++)
        if (num_plain(target->dims[i])) target->dims[i] = num_int(1);
    return symbolic;
}

pg_code shape_expand(infer *x, const op *o)
{
    const tensor_shape *t = ranked(x, o, 0);
    dtype d = dtype_of(in_at(x, o, 0));
    int_list to = list_get(x, o, 1, ATTR_shape);
    if (!t || !to.known) return out_dtype(x, o, 0, d);
    num dims[MAX_RANK], out[MAX_RANK];
    if (to.n > MAX_RANK)
        return shape_fail(x, o, "its target has %u dimensions, more than %d", (unsigned)to.n, MAX_RANK);
    for (uint32_t i = 0; i < to.n; i++) {
        dims[i] = list_at(&to, i);
        if (num_known(dims[i]) && dims[i].v.i == -1) dims[i] = num_int(1); /* PyTorch's "as it is" */
    }
    int rank = t->rank;
    if (rank) memcpy(out, t->dims, (size_t)rank * sizeof *out);
    tensor_shape target = {.rank = (int8_t)to.n, .dims = dims};
    if (!dims_broadcast(x, &rank, out, &target)) {
        shape_text wanted = dims_text(x, target.rank, dims);
        rank = t->rank;
        memcpy(out, t->dims, (size_t)rank * sizeof *out);
        if (!expand_repaired(t, &target) || !dims_broadcast(x, &rank, out, &target))
            return shape_fail(x, o, "the input %s can't be expanded to %s; check the sizes given for the inputs",
                              SHAPE_S(x, t), wanted.s);
        pg_code code = shape_note(
            x,
            "Expand '%.*s': the exporter wrote an impossible target %s; its plain numbers are taken as "
            "\"unchanged\"",
            STR_ARG(o->name), wanted.s);
        if (code) return code;
    }
    return out_dims(x, o, 0, d, rank, out);
}

/* ---- Concat ---- */

/* Adds one input to what is concatenated so far. */
static bool concat_add(infer *x, num *out, const tensor_shape *t, int64_t axis)
{
    for (int i = 0; i < t->rank; i++) {
        if (i == axis) out[i] = num_add(out[i], t->dims[i]);
        else if (!dim_same(x, out[i], t->dims[i], &out[i])) return false;
    }
    return true;
}

/* Inputs first, first + step, ... */
static pg_code concat_dims(infer *x, const op *o, uint32_t first, uint32_t step, dtype d)
{
    num out[MAX_RANK];
    const tensor_shape *start = NULL;
    bool open = false;
    int64_t axis = 0;
    for (uint32_t i = first; i < o->n_in; i += step) {
        const tensor_shape *t = in_at(x, o, i);
        if (!has_rank(t)) {
            open = true; /* its part of the axis isn't known */
            continue;
        }
        if (!start) {
            start = t;
            axis = op_attr_int(x->g, o, ATTR_axis, 1);
            if (!axis_fix(&axis, t->rank)) return bad_axis(x, o, axis, t->rank);
            memcpy(out, t->dims, (size_t)t->rank * sizeof *out);
            continue;
        }
        if (t->rank != start->rank || !concat_add(x, out, t, axis))
            return shape_fail(
                x, o, "the inputs %s and %s differ in more than axis %lld; check the sizes given for the inputs",
                SHAPE_S(x, start), SHAPE_S(x, t), (long long)axis);
    }
    if (!start) return out_dtype(x, o, 0, d);
    if (open) out[axis] = num_unknown();
    return out_dims(x, o, 0, d, start->rank, out);
}

pg_code shape_concat(infer *x, const op *o)
{
    dtype d = DT_UNKNOWN;
    for (uint32_t i = 0; i < o->n_in && d == DT_UNKNOWN; i++) d = dtype_of(in_at(x, o, i));
    return concat_dims(x, o, 0, 1, d);
}

/* y_scale, y_zero_point, then (x, x_scale, x_zero_point) again and again */
pg_code shape_qlinear_concat(infer *x, const op *o)
{
    return concat_dims(x, o, 2, 3, dtype_of(in_at(x, o, 1)));
}

/* ---- Slice ---- */

/* Where start or end lands in a dim. Which side of the dim it is on is decided by values; the form is kept. */
static num slice_bound(num n, num dim, bool backwards)
{
    if (!num_known(n) || !num_known(dim)) return num_unknown();
    if (n.v.i < 0) n = n.v.i < -dim.v.i ? num_int(backwards ? -1 : 0) : num_add(n, dim);
    if (n.v.i >= dim.v.i && backwards) return num_sub(dim, num_int(1));
    return n.v.i > dim.v.i ? dim : n;
}

/* A slice with constant bounds of a dim that carries the batch: right when both ends are multiples of the file's
 * batch. */
static bool slice_rebatch(infer *x, num start, num end, int64_t step, num *dim)
{
    num old = num_int(at_old_batch(x, *dim));
    if (step != 1 || !num_plain(start) || !num_plain(end)) return false;
    num from = slice_bound(start, old, false), to = slice_bound(end, old, false);
    if (!num_plain(from) || !num_plain(to)) return false;
    if (from.v.i % x->old_batch || to.v.i % x->old_batch || to.v.i <= from.v.i) {
        x->s->rebatch_unsafe = true;
        *dim = num_unknown();
        return true;
    }
    if (end.v.i < INT32_MAX || start.v.i > 0) x->s->rebatch_fixes++;
    *dim = rebatched(x, to.v.i - from.v.i);
    return true;
}

static pg_code slice_axis(infer *x, const op *o, num start, num end, num step, num *dim)
{
    if (num_known(step) && step.v.i == 0) return shape_fail(x, o, "its step is 0");
    if (!num_known(step)) {
        *dim = num_unknown();
        return PG_E_OK;
    }
    if (carries_batch(x, *dim) && num_known(start) && num_known(end) && slice_rebatch(x, start, end, step.v.i, dim))
        return PG_E_OK;
    bool backwards = step.v.i < 0;
    num from = slice_bound(start, *dim, backwards), to = slice_bound(end, *dim, backwards);
    num n = num_ceil_div(num_sub(to, from), step);
    *dim = num_known(n) && n.v.i < 0 ? num_int(0) : n;
    return PG_E_OK;
}

/* The best of what a detector found: how many it finds is decided by data, how many it goes on with is written down. */
static pg_code take_most(infer *x, const op *o, num start, num end, num step, num *dim)
{
    enum { MOST = 10000 };
    if (!x->detects || num_known(*dim) || !num_is(start, 0) || !num_is(step, 1)) return PG_E_OK;
    if (!num_plain(end) || end.v.i < 1 || end.v.i > MOST) return PG_E_OK;
    *dim = end;
    return shape_note(x, "Slice '%.*s': it takes the first %lld of a number that data decide; so many are costed",
                      STR_ARG(o->name), (long long)end.v.i);
}

pg_code shape_slice(infer *x, const op *o)
{
    const tensor_shape *t = ranked(x, o, 0);
    dtype d = dtype_of(in_at(x, o, 0));
    if (!t) return out_dtype(x, o, 0, d);
    int_list starts = list_get(x, o, 1, ATTR_starts), ends = list_get(x, o, 2, ATTR_ends);
    int_list axes = list_get(x, o, 3, ATTR_axes), steps = list_get(x, o, o->n_in > 4 ? 4 : -1, ATTR_step);
    num out[MAX_RANK];
    memcpy(out, t->dims, (size_t)t->rank * sizeof *out);
    uint32_t n = starts.n ? starts.n : ends.n;
    if (!starts.given || !ends.given) return shape_fail(x, o, "it has no starts or no ends");
    if (axes.given && !axes.known) { /* any axis could be the one */
        for (int i = 0; i < t->rank; i++) out[i] = num_unknown();
        return out_dims(x, o, 0, d, t->rank, out);
    }
    if (axes.given) n = axes.n;
    else if (!n) n = (uint32_t)t->rank;
    if ((starts.known && starts.n < n) || (ends.known && ends.n < n) || (steps.given && steps.known && steps.n < n) ||
        (!axes.given && n > (uint32_t)t->rank))
        return shape_fail(x, o, "its starts, ends, axes and steps differ in length");
    for (uint32_t i = 0; i < n; i++) {
        num at = axes.given ? list_at(&axes, i) : num_int(i);
        num unknown = num_unknown();
        int64_t axis = at.v.i;
        if (!num_known(at)) {
            for (int k = 0; k < t->rank; k++) out[k] = unknown;
            break;
        }
        if (!axis_fix(&axis, t->rank)) return bad_axis(x, o, axis, t->rank);
        num step = !steps.given ? num_int(1) : steps.known ? list_at(&steps, i) : unknown;
        num start = starts.known ? list_at(&starts, i) : unknown, end = ends.known ? list_at(&ends, i) : unknown;
        pg_code code = take_most(x, o, start, end, step, &out[axis]);
        if (!code) code = slice_axis(x, o, start, end, step, &out[axis]);
        if (code) return code;
    }
    return out_dims(x, o, 0, d, t->rank, out);
}

/* ---- Split ---- */

static num even_part(num dim, uint32_t parts, uint32_t i)
{
    num each = num_ceil_div(dim, num_int(parts));
    if (!num_known(dim) || dim.v.i % parts == 0) return num_floor_div(dim, num_int(parts));
    num last = num_sub(dim, num_mul(each, num_int(parts - 1)));
    if (i + 1 < parts) return each;
    return num_known(last) && last.v.i < 0 ? num_unknown() : last;
}

pg_code shape_split(infer *x, const op *o)
{
    const tensor_shape *t = ranked(x, o, 0);
    dtype d = dtype_of(in_at(x, o, 0));
    for (uint32_t i = 0; i < o->n_out; i++) out_dtype(x, o, i, d);
    if (!t) return PG_E_OK;
    int64_t axis = op_attr_int(x->g, o, ATTR_axis, 0);
    if (!axis_fix(&axis, t->rank)) return bad_axis(x, o, axis, t->rank);
    int_list parts = list_get(x, o, 1, ATTR_split);
    num out[MAX_RANK], dim = t->dims[axis], sum = num_int(0);
    memcpy(out, t->dims, (size_t)t->rank * sizeof *out);
    if (parts.known && parts.n < o->n_out)
        return shape_fail(x, o, "it has %u sizes for %u outputs", (unsigned)parts.n, (unsigned)o->n_out);
    for (uint32_t i = 0; parts.known && i < parts.n; i++) sum = num_add(sum, list_at(&parts, i));
    bool scale = parts.known && stands_for(x, sum, dim);
    if (parts.known && !scale && num_known(sum) && num_known(dim) && sum.v.i != dim.v.i)
        return shape_fail(x, o, "its sizes add up to %lld, but axis %lld of the input %s is to be split",
                          (long long)sum.v.i, (long long)axis, SHAPE_S(x, t));
    for (uint32_t i = 0; i < o->n_out; i++) {
        if (!parts.given) out[axis] = even_part(dim, o->n_out, i);
        else if (!parts.known) out[axis] = num_unknown();
        else out[axis] = scale ? rebatched(x, list_at(&parts, i).v.i) : list_at(&parts, i);
        if (scale) x->s->rebatch_fixes++;
        if (scale && !num_known(out[axis])) x->s->rebatch_unsafe = true;
        pg_code code = out_dims(x, o, i, d, t->rank, out);
        if (code) return code;
    }
    return PG_E_OK;
}

/* ---- Pad, Tile and the like ---- */

pg_code shape_pad(infer *x, const op *o)
{
    const tensor_shape *t = ranked(x, o, 0);
    dtype d = dtype_of(in_at(x, o, 0));
    if (!t) return out_dtype(x, o, 0, d);
    int_list pads = list_get(x, o, 1, op_attr(x->g, o, ATTR_pads) ? ATTR_pads : ATTR_paddings);
    int_list axes = list_get(x, o, 3, ATTR_axes);
    num out[MAX_RANK];
    memcpy(out, t->dims, (size_t)t->rank * sizeof *out);
    if (!pads.given) return shape_fail(x, o, "it has no pads");
    if (!pads.known || (axes.given && !axes.known)) {
        for (int i = 0; i < t->rank; i++) out[i] = num_unknown();
        return out_dims(x, o, 0, d, t->rank, out);
    }
    uint32_t n = axes.given ? axes.n : (uint32_t)t->rank;
    if (pads.n != 2 * n)
        return shape_fail(x, o, "it has %u pads for %u axes of the input %s", (unsigned)pads.n, (unsigned)n,
                          SHAPE_S(x, t));
    for (uint32_t i = 0; i < n; i++) {
        num at = axes.given ? list_at(&axes, i) : num_int(i);
        int64_t axis = at.v.i;
        if (!num_known(at)) {
            for (int k = 0; k < t->rank; k++) out[k] = num_unknown();
            break;
        }
        if (!axis_fix(&axis, t->rank)) return bad_axis(x, o, axis, t->rank);
        out[axis] = num_add(num_add(out[axis], list_at(&pads, i)), list_at(&pads, n + i));
    }
    return out_dims(x, o, 0, d, t->rank, out);
}

pg_code shape_tile(infer *x, const op *o)
{
    const tensor_shape *t = ranked(x, o, 0);
    dtype d = dtype_of(in_at(x, o, 0));
    if (!t) return out_dtype(x, o, 0, d);
    int_list repeats = list_get(x, o, 1, ATTR_repeats);
    num out[MAX_RANK];
    memcpy(out, t->dims, (size_t)t->rank * sizeof *out);
    const tensor_shape *axis_in = in_at(x, o, 2);
    if (axis_in && o->opset < 6) { /* opset 1: how often, along which axis */
        num at = scalar_get(x, o, 2, ATTR_axis, num_unknown());
        int64_t axis = at.v.i;
        if (num_known(at) && !axis_fix(&axis, t->rank)) return bad_axis(x, o, axis, t->rank);
        for (int i = 0; i < t->rank; i++) {
            if (num_known(at) && i != axis) continue;
            out[i] = num_known(at) && repeats.known && repeats.n == 1 ? num_mul(out[i], list_at(&repeats, 0))
                                                                      : num_unknown();
        }
        return out_dims(x, o, 0, d, t->rank, out);
    }
    if (repeats.known && repeats.n != (uint32_t)t->rank)
        return shape_fail(x, o, "it has %u repeats for the input %s", (unsigned)repeats.n, SHAPE_S(x, t));
    for (int i = 0; i < t->rank; i++)
        out[i] = repeats.known ? num_mul(out[i], list_at(&repeats, (uint32_t)i)) : num_unknown();
    return out_dims(x, o, 0, d, t->rank, out);
}

/* Of images. */
static int channel_axis(const op *o)
{
    return o->flags & OPF_CHANNELS_LAST ? 3 : 1;
}

pg_code shape_depth_to_space(infer *x, const op *o)
{
    const tensor_shape *t = ranked(x, o, 0);
    dtype d = dtype_of(in_at(x, o, 0));
    int64_t b = op_attr_int(x->g, o, ATTR_blocksize, 0);
    if (b < 1 || b > INT16_MAX) return shape_fail(x, o, "its blocksize is %lld", (long long)b);
    if (!t) return out_dtype(x, o, 0, d);
    num n = num_int(b);
    int c = channel_axis(o), h = c == 1 ? 2 : 1;
    if (t->rank != 4 || (num_known(t->dims[c]) && t->dims[c].v.i % (b * b) != 0))
        return shape_fail(x, o, "the input %s doesn't fit its blocksize of %lld", SHAPE_S(x, t), (long long)b);
    num out[4] = {t->dims[0]};
    out[c] = num_floor_div(t->dims[c], num_int(b * b));
    for (int i = h; i < h + 2; i++) out[i] = num_mul(t->dims[i], n);
    return out_dims(x, o, 0, d, 4, out);
}

pg_code shape_space_to_depth(infer *x, const op *o)
{
    const tensor_shape *t = ranked(x, o, 0);
    dtype d = dtype_of(in_at(x, o, 0));
    int64_t b = op_attr_int(x->g, o, ATTR_blocksize, 0);
    if (b < 1 || b > INT16_MAX) return shape_fail(x, o, "its blocksize is %lld", (long long)b);
    if (!t) return out_dtype(x, o, 0, d);
    if (t->rank != 4) return shape_fail(x, o, "the input %s should have 4 dimensions", SHAPE_S(x, t));
    num n = num_int(b), out[4] = {t->dims[0]};
    int c = channel_axis(o), h = c == 1 ? 2 : 1;
    out[c] = num_mul(t->dims[c], num_int(b * b));
    for (int i = h; i < h + 2; i++) out[i] = num_floor_div(t->dims[i], n);
    return out_dims(x, o, 0, d, 4, out);
}

/* [N, C * product(block), L] with image_shape and block_shape given: [N, C, image...] */
pg_code shape_col2im(infer *x, const op *o)
{
    const tensor_shape *t = ranked(x, o, 0);
    dtype d = dtype_of(in_at(x, o, 0));
    int_list image = list_get(x, o, 1, ATTR_shape), block = list_get(x, o, 2, ATTR_shape);
    if (!t || !image.known || !image.given) return out_dtype(x, o, 0, d);
    if (t->rank != 3 || image.n > MAX_RANK - 2)
        return shape_fail(x, o, "the input %s should have 3 dimensions", SHAPE_S(x, t));
    num out[MAX_RANK], size = num_int(1);
    for (uint32_t i = 0; block.known && i < block.n; i++) size = num_mul(size, list_at(&block, i));
    out[0] = t->dims[0];
    out[1] = block.known ? num_floor_div(t->dims[1], size) : num_unknown();
    for (uint32_t i = 0; i < image.n; i++) out[2 + i] = list_at(&image, i);
    return out_dims(x, o, 0, d, (int)image.n + 2, out);
}

pg_code shape_center_crop_pad(infer *x, const op *o)
{
    const tensor_shape *t = ranked(x, o, 0);
    dtype d = dtype_of(in_at(x, o, 0));
    if (!t) return out_dtype(x, o, 0, d);
    int_list size = list_get(x, o, 1, ATTR_shape), axes = list_get(x, o, -1, ATTR_axes);
    num out[MAX_RANK];
    memcpy(out, t->dims, (size_t)t->rank * sizeof *out);
    uint32_t n = axes.given ? axes.n : (uint32_t)t->rank;
    if (size.known && size.n != n)
        return shape_fail(x, o, "it has %u sizes for %u axes", (unsigned)size.n, (unsigned)n);
    for (uint32_t i = 0; i < n; i++) {
        int64_t axis = axes.given ? list_at(&axes, i).v.i : (int64_t)i;
        if (!axis_fix(&axis, t->rank)) return bad_axis(x, o, axis, t->rank);
        out[axis] = size.known ? list_at(&size, i) : num_unknown();
    }
    return out_dims(x, o, 0, d, t->rank, out);
}
