/* Resize, Upsample and the samplers. */
#include "graph/shape_internal.h"

/* floor(n * scale), exact where the scale keeps the form integral. */
static num scaled(num n, double scale)
{
    if (!num_known(n) || !(scale >= 0) || !(scale < 1e9)) return num_unknown();
    double v = floor((double)n.v.i * scale);
    if (!(v < 9e15)) return num_unknown();
    if (num_plain(n)) return num_int((int64_t)v);
    double k = n.k * scale;
    if (n.sym >= 0 && floor(k) == k && fabs(k) < 1e9) return (num){{.i = (int64_t)v}, (int32_t)k, n.sym};
    return num_opaque((int64_t)v);
}

/* Number i of a float input, or of the attribute; false when it isn't known. */
static bool float_at(const infer *x, const op *o, const tensor_shape *t, attr_key key, uint32_t i, double *out)
{
    if (t) {
        if (!t->value || i >= t->value_count || !num_known(t->value[i])) return false;
        *out = is_float(t) ? t->value[i].v.f : (double)t->value[i].v.i;
        return true;
    }
    const attr *a = op_attr(x->g, o, key);
    if (!a || a->type != ATTR_FLOATS || i >= a->count) return false;
    *out = a->v.floats[i];
    return true;
}

/* An optional input that is there but empty counts as left out. */
static const tensor_shape *not_empty(const tensor_shape *t)
{
    return t && t->rank == 1 && num_is(t->dims[0], 0) ? NULL : t;
}

typedef struct resize {
    const tensor_shape *t, *roi, *scales, *sizes;
    bool crop;
    int_list axes;
    uint32_t n; /* axes that it works on */
} resize;

static bool resize_axis(const resize *r, uint32_t i, int64_t *axis)
{
    num n = r->axes.given ? list_at(&r->axes, i) : num_int(i);
    *axis = n.v.i;
    return num_known(n) && axis_fix(axis, r->t->rank);
}

/* With a policy other than "stretch" one scale serves all axes. */
static void keep_aspect(const resize *r, bool larger, num *out)
{
    double scale = -1;
    int64_t axis;
    for (uint32_t i = 0; i < r->n; i++) {
        if (!resize_axis(r, i, &axis) || !num_known(out[axis]) || !num_known(r->t->dims[axis]) ||
            r->t->dims[axis].v.i <= 0) {
            scale = -1;
            break;
        }
        double s = (double)out[axis].v.i / (double)r->t->dims[axis].v.i;
        if (scale < 0 || (larger ? s > scale : s < scale)) scale = s;
    }
    for (uint32_t i = 0; i < r->n; i++) {
        if (!resize_axis(r, i, &axis)) continue;
        double size = scale < 0 ? INFINITY : floor(scale * (double)r->t->dims[axis].v.i + 0.5);
        out[axis] = size < 9e15 ? num_int((int64_t)size) : num_unknown();
    }
}

static pg_code resize_dims(infer *x, const op *o, const resize *r)
{
    num out[MAX_RANK];
    int64_t axis;
    if (r->t->rank) memcpy(out, r->t->dims, (size_t)r->t->rank * sizeof *out);
    for (uint32_t i = 0; i < r->n; i++) {
        if (!resize_axis(r, i, &axis)) return shape_fail(x, o, "an axis is outside of the input %s", SHAPE_S(x, r->t));
        double scale, from, to;
        if (r->sizes) {
            num size = r->sizes->value && i < r->sizes->value_count ? r->sizes->value[i] : num_unknown();
            if (stands_for(x, size, out[axis])) x->s->rebatch_fixes++;
            else out[axis] = size;
        } else if (!float_at(x, o, r->scales, ATTR_scales, i, &scale)) {
            out[axis] = num_unknown();
        } else if (r->crop) {
            bool known = r->roi && float_at(x, o, r->roi, ATTR_scales, i, &from) &&
                         float_at(x, o, r->roi, ATTR_scales, i + r->n, &to);
            out[axis] = known ? scaled(out[axis], (to - from) * scale) : num_unknown();
        } else {
            out[axis] = scaled(out[axis], scale);
        }
    }
    str policy = op_attr_str(x->g, o, ATTR_keep_aspect_ratio_policy);
    if (r->sizes && (str_is(policy, "not_larger") || str_is(policy, "not_smaller")))
        keep_aspect(r, str_is(policy, "not_smaller"), out);
    return out_dims(x, o, 0, (dtype)r->t->dtype, r->t->rank, out);
}

pg_code shape_resize(infer *x, const op *o)
{
    resize r = {.t = ranked(x, o, 0)};
    if (!r.t) return out_dtype(x, o, 0, dtype_of(in_at(x, o, 0)));
    if (o->opset < 11 || o->n_in == 2) { /* opset 10: input, scales */
        r.scales = in_at(x, o, 1);
    } else {
        r.roi = in_at(x, o, 1);
        r.scales = not_empty(in_at(x, o, 2));
        r.sizes = r.scales && r.scales->value ? NULL : not_empty(in_at(x, o, 3));
    }
    r.crop = str_is(op_attr_str(x->g, o, ATTR_coordinate_transformation_mode), "tf_crop_and_resize");
    r.axes = list_get(x, o, -1, ATTR_axes);
    r.n = r.axes.given ? r.axes.n : (uint32_t)r.t->rank;
    const tensor_shape *list = r.sizes ? r.sizes : r.scales;
    if (!list && !op_attr(x->g, o, ATTR_scales)) return shape_fail(x, o, "it has neither scales nor sizes");
    if (list && list->value && list->value_count != r.n)
        return shape_fail(x, o, "it has %u sizes or scales for the input %s", (unsigned)list->value_count,
                          SHAPE_S(x, r.t));
    return resize_dims(x, o, &r);
}

pg_code shape_upsample(infer *x, const op *o)
{
    resize r = {.t = ranked(x, o, 0), .scales = in_at(x, o, 1)};
    if (!r.t) return out_dtype(x, o, 0, dtype_of(in_at(x, o, 0)));
    r.n = (uint32_t)r.t->rank;
    if (!r.scales && !op_attr(x->g, o, ATTR_scales)) { /* opset 1 */
        num out[MAX_RANK];
        memcpy(out, r.t->dims, (size_t)r.t->rank * sizeof *out);
        if (r.t->rank != 4) return shape_fail(x, o, "it has no scales");
        out[2] = scaled(out[2], op_attr_float(x->g, o, ATTR_height_scale, -1));
        out[3] = scaled(out[3], op_attr_float(x->g, o, ATTR_width_scale, -1));
        return out_dims(x, o, 0, (dtype)r.t->dtype, 4, out);
    }
    return resize_dims(x, o, &r);
}

pg_code shape_grid_sample(infer *x, const op *o)
{
    const tensor_shape *t = ranked(x, o, 0), *grid = ranked(x, o, 1);
    dtype d = dtype_of(in_at(x, o, 0));
    if (!t || !grid) return out_dtype(x, o, 0, d);
    if (t->rank < 3 || grid->rank != t->rank)
        return shape_fail(x, o, "the input %s and the grid %s should have the same rank", SHAPE_S(x, t),
                          SHAPE_S(x, grid));
    num out[MAX_RANK];
    out[0] = t->dims[0];
    out[1] = t->dims[1];
    for (int i = 2; i < t->rank; i++) out[i] = grid->dims[i - 1];
    return out_dims(x, o, 0, d, t->rank, out);
}

/* theta [N, 2, 3] or [N, 3, 4]; size [N, C, (D,) H, W] */
pg_code shape_affine_grid(infer *x, const op *o)
{
    const tensor_shape *t = ranked(x, o, 0);
    dtype d = dtype_of(in_at(x, o, 0));
    int_list size = list_get(x, o, 1, ATTR_shape);
    num out[5];
    if (!size.known || (size.n != 4 && size.n != 5)) return out_dtype(x, o, 0, d);
    out[0] = t && t->rank == 3 ? t->dims[0] : list_at(&size, 0);
    for (uint32_t i = 2; i < size.n; i++) out[i - 1] = list_at(&size, i);
    out[size.n - 1] = num_int((int64_t)size.n - 2);
    return out_dims(x, o, 0, d, (int)size.n, out);
}
