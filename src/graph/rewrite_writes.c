/* x[:, 1:] += y. In Python it takes a view, adds to it in place, and assigns the view to itself, which PyTorch's copy_ sees and leaves.
 * A trace holds the assignment; decompositions write the sum into a copy of x, and then parts of that into themselves; ONNX scatters the
 * sum twice, to positions that it computes. What stays is the addition in place, as TorchScript has it: an Identity of x and the sum. */
#include "graph/rewrite_internal.h"

enum { CUTS = 8, DEPTH = 14, LOOKS = 256 };

/* ---- parts ---- */

static bool is_cut(const op *o)
{
    return o && (o->kind == OP_Slice || o->kind == OP_Gather);
}

static bool same_constant(const rewrite *s, uint32_t a, uint32_t b)
{
    if (a == b) return true;
    if (a == NO_TENSOR || b == NO_TENSOR) return false;
    const tensor_shape *x = rewrite_shape_of(s, a), *y = rewrite_shape_of(s, b);
    if (!x->value || !y->value || x->value_count != y->value_count) return false;
    for (uint32_t i = 0; i < x->value_count; i++)
        if (!num_known(x->value[i]) || !num_known(y->value[i]) || x->value[i].v.i != y->value[i].v.i) return false;
    return true;
}

/* a is cut out of `of_a` as b is out of `of_b`. */
static bool same_part(const rewrite *s, uint32_t a, uint32_t of_a, uint32_t b, uint32_t of_b)
{
    for (int i = 0; i < CUTS; i++) {
        a = rewrite_bare(s, a);
        b = rewrite_bare(s, b);
        if (a == of_a || b == of_b) return i && a == of_a && b == of_b;
        const op *x = rewrite_maker(s, a), *y = rewrite_maker(s, b);
        if (!is_cut(x) || !is_cut(y) || x->kind != y->kind || x->n_in != y->n_in) return false;
        if (op_attr_int(s->g, x, ATTR_axis, 0) != op_attr_int(s->g, y, ATTR_axis, 0)) return false;
        for (uint32_t k = 1; k < x->n_in; k++)
            if (!same_constant(s, rewrite_in(s, x, k), rewrite_in(s, y, k))) return false;
        a = rewrite_in(s, x, 0);
        b = rewrite_in(s, y, 0);
    }
    return false;
}

/* What t is cut out of, all cuts taken together. */
static uint32_t root_of(const rewrite *s, uint32_t t)
{
    t = rewrite_bare(s, t);
    for (int i = 0; i < CUTS; i++) {
        const op *o = rewrite_maker(s, t);
        if (!is_cut(o)) break;
        t = rewrite_bare(s, rewrite_in(s, o, 0));
    }
    return t;
}

/* What t is cut out of by one slice or more: `whole`, or what is cut out of the same as `whole` is; NO_TENSOR: neither. */
static uint32_t whole_of(const rewrite *s, uint32_t t, uint32_t whole)
{
    uint32_t root = root_of(s, whole);
    t = rewrite_bare(s, t);
    for (int i = 0; i < CUTS; i++) {
        const op *o = rewrite_maker(s, t);
        if (t == whole || same_part(s, t, root, whole, root)) return i > 0 ? t : NO_TENSOR;
        if (!is_cut(o)) break;
        t = rewrite_bare(s, rewrite_in(s, o, 0));
    }
    return NO_TENSOR;
}

static bool is_part_of(const rewrite *s, uint32_t t, uint32_t whole)
{
    return whole_of(s, t, whole) != NO_TENSOR;
}

/* ---- additions ---- */

static bool is_sum(const op *o)
{
    return o && o->n_out == 1 && (o->kind == OP_Add || o->kind == OP_Sub || o->kind == OP_Mul || o->kind == OP_Div);
}

/* The part of `whole` that t was made of by arithmetic; NO_TENSOR: none. */
static uint32_t updated_part(const rewrite *s, uint32_t t, uint32_t whole)
{
    const op *o = rewrite_maker(s, t);
    if (!is_sum(o)) return NO_TENSOR;
    uint32_t part = rewrite_in(s, o, 0);
    if (part == NO_TENSOR || !is_part_of(s, part, whole)) return NO_TENSOR;
    return shape_elements(rewrite_shape_of(s, t)) == shape_elements(rewrite_shape_of(s, part)) ? part : NO_TENSOR;
}

static bool is_in_place(const op *o)
{
    return o && o->kind == OP_Identity && o->n_in == 2;
}

/* What an addition in place left: an Identity of the tensor and the sum, or of the part that holds it. */
static bool holds_sum(const rewrite *s, const op *o, uint32_t sum)
{
    for (int i = 0; i < CUTS && is_in_place(o); i++) {
        uint32_t value = rewrite_bare(s, rewrite_in(s, o, 1));
        if (value == sum) return true;
        o = rewrite_maker(s, value);
    }
    return false;
}

static void make_in_place(rewrite *s, op *o, uint32_t sum)
{
    uint32_t *operand = s->g->operands + o->first_in, out = op_out(s->g, o)[0];
    operand[1] = sum;
    operand[2] = out;
    o->n_in = 2;
    o->n_attr = 0;
    o->kind = OP_Identity;
    o->type = str_c(op_kind_name(OP_Identity));
}

/* ---- writes of what is there ---- */

/* Whether writing `value` into `data` changes nothing. */
static bool is_there(const rewrite *s, uint32_t data, uint32_t value)
{
    uint32_t whole = rewrite_bare(s, data), bare = rewrite_bare(s, value);
    const op *left = rewrite_maker(s, bare);
    /* a part of it that was found to be written into itself, into its place, which no operand says */
    if (is_cut(left) && s->mark[left - s->g->ops] && is_part_of(s, bare, whole)) return true;
    const op *cut = rewrite_maker(s, whole);
    uint32_t from = whole;
    for (int i = 0; i < CUTS && is_cut(cut); i++) {
        from = rewrite_bare(s, rewrite_in(s, cut, 0));
        cut = rewrite_maker(s, from);
    }
    if (from == whole) return false;
    if (same_part(s, whole, from, bare, from)) return true; /* the same part of the same */
    uint32_t before = holds_sum(s, cut, bare) ? rewrite_bare(s, rewrite_in(s, cut, 0)) : NO_TENSOR;
    uint32_t part = before == NO_TENSOR ? before : updated_part(s, bare, before);
    return part != NO_TENSOR && same_part(s, whole, from, part, before);
}

static bool drop_write(rewrite *s, uint32_t at)
{
    const op *o = &s->g->ops[at];
    uint32_t out = op_out(s->g, o)[0], data = rewrite_in(s, o, 0), value = rewrite_in(s, o, 1);
    if (data == NO_TENSOR || value == NO_TENSOR || s->fixed[out] || rewrite_is_read_inside(s, out)) return false;
    if (o->kind == OP_Identity && !is_part_of(s, value, rewrite_bare(s, data))) return false;
    if (!is_there(s, data, value)) return false;
    rewrite_read_instead(s, out, data);
    s->taken[at] = 1;
    const op *part = rewrite_maker(s, rewrite_bare(s, data));
    if (is_cut(part)) s->mark[part - s->g->ops] = 1;
    return true;
}

/* ---- positions that ONNX computes ---- */

/* Whether two values are computed alike, from shapes and constants. */
static bool same_value(const rewrite *s, uint32_t a, uint32_t b, int depth, int *looks)
{
    if (same_constant(s, a, b)) return true;
    const op *x = rewrite_maker(s, a), *y = rewrite_maker(s, b);
    if (!x || !y || x->kind != y->kind || x->n_in != y->n_in || depth > DEPTH || ++*looks > LOOKS) return false;
    if (x->kind == OP_Shape) { /* of what has the same shape */
        const tensor_shape *p = rewrite_shape_of(s, rewrite_in(s, x, 0)), *q = rewrite_shape_of(s, rewrite_in(s, y, 0));
        bool same = p->rank >= 0 && p->rank == q->rank;
        for (int i = 0; same && i < p->rank; i++) same = num_known(p->dims[i]) && p->dims[i].v.i == q->dims[i].v.i;
        return same;
    }
    for (uint32_t i = 0; i < x->n_in; i++)
        if (!same_value(s, rewrite_in(s, x, i), rewrite_in(s, y, i), depth + 1, looks)) return false;
    return x->n_in > 0;
}

/* The second of two ScatterND that write one sum to the same positions; NULL: none. */
static op *scattered_again(const rewrite *s, const op *o, uint32_t sum)
{
    uint32_t out = op_out(s->g, o)[0];
    for (uint32_t k = s->first[out]; k < s->first[out + 1]; k++) {
        op *next = &s->g->ops[s->readers[k]];
        int looks = 0;
        if (next->kind == OP_ScatterND && rewrite_in(s, next, 0) == out &&
            rewrite_bare(s, rewrite_in(s, next, 2)) == sum &&
            same_value(s, rewrite_in(s, o, 1), rewrite_in(s, next, 1), 0, &looks))
            return next;
    }
    return NULL;
}

static bool join_scatters(rewrite *s, op *o)
{
    uint32_t data = rewrite_in(s, o, 0), value = rewrite_in(s, o, 2), out = op_out(s->g, o)[0];
    if (data == NO_TENSOR || value == NO_TENSOR || s->fixed[out]) return false;
    uint32_t sum = rewrite_bare(s, value);
    if (updated_part(s, sum, rewrite_bare(s, data)) == NO_TENSOR) return false;
    op *again = scattered_again(s, o, sum);
    if (!again) return false;
    uint32_t last = op_out(s->g, again)[0];
    if (s->fixed[last] || rewrite_is_read_inside(s, last)) return false;
    make_in_place(s, o, sum);
    rewrite_read_instead(s, last, out);
    s->taken[again - s->g->ops] = 1;
    return true;
}

/* ---- all writes ---- */

/* The sum written into a copy of what it is the sum of a part of: slice_scatter, as functional programs have additions in place. */
static bool write_in_place(rewrite *s, op *o)
{
    uint32_t data = rewrite_in(s, o, 0), value = rewrite_in(s, o, 1);
    if (data == NO_TENSOR || value == NO_TENSOR || o->n_in != 2) return false;
    uint32_t sum = rewrite_bare(s, value), whole = rewrite_bare(s, data);
    const op *inner = rewrite_maker(s, sum);
    bool holds = inner && inner->kind == OP_Identity && inner->n_in == 2 &&
                 is_part_of(s, rewrite_in(s, inner, 0), whole);
    uint32_t part = holds ? NO_TENSOR : updated_part(s, sum, whole);
    if (!holds && part == NO_TENSOR) return false;
    make_in_place(s, o, sum);
    if (!holds && is_cut(rewrite_maker(s, whole)))
        s->g->operands[o->first_in] = whole_of(s, part, whole); /* cut once */
    return true;
}

uint32_t rewrite_writes(rewrite *s)
{
    uint32_t made = 0;
    for (uint32_t i = 0; i < s->g->regions[0].n_ops; i++) {
        uint32_t at = s->g->regions[0].ops[i];
        op *o = &s->g->ops[at];
        if (!s->live[at] || s->taken[at]) continue;
        bool write = o->kind == OP_TensorScatter && o->n_in == 2;
        if (write || (o->kind == OP_Identity && o->n_in == 2)) {
            if (drop_write(s, at)) made++;
            else if (write) made += write_in_place(s, o);
        } else if (o->kind == OP_ScatterND && o->n_in == 3) {
            made += join_scatters(s, o);
        }
    }
    return made;
}
