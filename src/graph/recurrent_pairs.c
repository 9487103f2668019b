/* Layers of one direction each become layers of two, and their last states what nn.LSTM hands out. */
#include "graph/recurrent_internal.h"

static bool is_layer(const op *o)
{
    return o && (o->kind == OP_LSTM || o->kind == OP_GRU || o->kind == OP_RNN);
}

/* The layer of one direction whose results of all steps t is, through views that nobody else reads; NULL: none. */
static const op *layer_behind(const rewrite *s, uint32_t t, const char *direction)
{
    enum { VIEWS = 8 };
    for (int i = 0; i < VIEWS; i++) {
        const op *o = rewrite_maker(s, t);
        if (!o || s->fixed[t] || s->first[t + 1] != s->first[t] + 1) return NULL;
        if (is_layer(o)) {
            bool fits = op_out(s->g, o)[0] == t && str_is(op_attr_str(s->g, o, ATTR_direction), direction) &&
                        !op_attr_int(s->g, o, ATTR_layout, 0);
            return fits ? o : NULL;
        }
        if (!rewrite_is_view(o)) return NULL;
        t = rewrite_in(s, o, 0);
    }
    return NULL;
}

static bool has_weights(const rewrite *s, const op *o)
{
    for (uint32_t i = 1; i <= 3; i++) {
        uint32_t w = rewrite_in(s, o, i);
        if (w == NO_TENSOR && i == 3) continue;
        if (w == NO_TENSOR || s->g->tensors[w].role != ROLE_WEIGHT || s->g->tensors[w].rank < 2 ||
            !num_is(s->g->tensors[w].dims[0], 1))
            return false;
    }
    return rewrite_in(s, o, 4) == NO_TENSOR;
}

static bool same_layer(const rewrite *s, const op *a, const op *b)
{
    if (a->kind != b->kind || !has_weights(s, a) || !has_weights(s, b)) return false;
    for (uint32_t i = 1; i <= 6; i++) {
        uint32_t x = rewrite_in(s, a, i), y = rewrite_in(s, b, i);
        if ((x == NO_TENSOR) != (y == NO_TENSOR)) return false;
        if (i <= 2 && rewrite_dim(s, x, 1) != rewrite_dim(s, y, 1)) return false;
    }
    return rewrite_bare(s, rewrite_in(s, a, 0)) == rewrite_bare(s, rewrite_in(s, b, 0));
}

static uint32_t state_of(const rewrite *s, const op *o, uint32_t i)
{
    uint32_t t = rewrite_in(s, o, i);
    return t == NO_TENSOR ? t : rewrite_bare(s, t);
}

/* [steps, 2, batch, hidden] to [steps, batch, 2 * hidden]. */
static void define_results(rewrite *s, uint32_t y, int64_t steps, int64_t hidden, uint32_t to)
{
    static const int64_t order[4] = {0, 2, 1, 3};
    uint32_t turned = rewrite_emit(s, OP_Transpose, &y, 1, NO_TENSOR);
    if (s->failed) return;
    if (!graph_attr_ints(s->g, ATTR_perm, order, 4)) s->failed = true;
    uint32_t in[2] = {turned, rewrite_ints(s, (int64_t[]){steps, 0, 2 * hidden}, 3)};
    if (!s->failed) rewrite_emit(s, OP_Reshape, in, 2, to);
}

/* The last states of each direction, where somebody reads them. */
static void define_last(rewrite *s, uint32_t from, const op *const *parts, uint32_t output)
{
    for (int64_t i = 0; i < 2 && !s->failed; i++) {
        uint32_t to = output < parts[i]->n_out ? op_out(s->g, parts[i])[output] : NO_TENSOR;
        int64_t end = i + 1, axis = 0;
        if (to == NO_TENSOR || (!s->fixed[to] && s->first[to + 1] == s->first[to])) continue;
        uint32_t in[4] = {from, rewrite_ints(s, &i, 1), rewrite_ints(s, &end, 1), rewrite_ints(s, &axis, 1)};
        if (!s->failed) rewrite_emit(s, OP_Slice, in, 4, to);
    }
}

static bool join_pair(rewrite *s, const op *join)
{
    uint32_t y = op_out(s->g, join)[0], out[3] = {NO_TENSOR, NO_TENSOR, NO_TENSOR};
    const op *parts[2] = {layer_behind(s, rewrite_in(s, join, 0), "forward"),
                          layer_behind(s, rewrite_in(s, join, 1), "reverse")};
    if (!parts[0] || !parts[1] || !same_layer(s, parts[0], parts[1])) return false;
    uint32_t x = rewrite_in(s, parts[0], 0), r = rewrite_in(s, parts[0], 2);
    recurrent_layer l = {.kind = (op_kind)parts[0]->kind,
                         .directions = 2,
                         .hidden = rewrite_dim(s, r, 2),
                         .in = rewrite_dim(s, x, 2),
                         .x = x,
                         .w = rewrite_in(s, parts[0], 1),
                         .r = r,
                         .bias = rewrite_in(s, parts[0], 3),
                         .y = NO_TENSOR,
                         .h = NO_TENSOR,
                         .c = NO_TENSOR};
    int64_t steps = rewrite_dim(s, x, 0);
    if (l.hidden < 1 || l.in < 1 || steps < 1) return false;
    l.gates = (int)(rewrite_dim(s, r, 1) / l.hidden);
    uint32_t taken[2] = {(uint32_t)(parts[0] - s->g->ops), (uint32_t)(parts[1] - s->g->ops)};
    for (int i = 0; i < 2; i++) {
        l.h_in[i] = state_of(s, parts[i], 5);
        l.c_in[i] = state_of(s, parts[i], 6);
    }
    op copy[2] = {*parts[0], *parts[1]}; /* the graph's operators move when it grows */
    const op *const old[2] = {&copy[0], &copy[1]};
    s->taken[join - s->g->ops] = s->taken[taken[0]] = s->taken[taken[1]] = 1;
    recurrent_add_layer(s, &l, copy[0].name, out);
    if (!s->failed) define_results(s, out[0], steps, l.hidden, y);
    if (!s->failed) define_last(s, out[1], old, 1);
    if (!s->failed && l.kind == OP_LSTM) define_last(s, out[2], old, 2);
    return !s->failed;
}

uint32_t recurrent_join_directions(rewrite *s)
{
    uint32_t made = 0, n = s->g->regions[0].n_ops;
    for (uint32_t i = 0; i < n && !s->failed; i++) {
        const op *o = &s->g->ops[s->g->regions[0].ops[i]];
        if (!s->live[o - s->g->ops] || o->kind != OP_Concat || o->n_in != 2) continue;
        int64_t axis = op_attr_int(s->g, o, ATTR_axis, 0);
        if ((axis == 2 || axis == -1) && rewrite_shape_of(s, op_out(s->g, o)[0])->rank == 3) made += join_pair(s, o);
    }
    return made;
}

/* ---- first states ---- */

/* The fill that a state is, or is cut out of. */
static uint32_t fill_behind(const rewrite *s, uint32_t t, const op **cut)
{
    const op *o = rewrite_maker(s, t);
    *cut = o && o->kind == OP_Slice ? o : NULL;
    if (*cut) o = rewrite_maker(s, t = rewrite_in(s, o, 0));
    return o && o->kind == OP_ConstantOfShape ? t : NO_TENSOR;
}

static uint32_t second_fill(rewrite *s, uint32_t fill)
{
    const op *o = rewrite_maker(s, fill);
    uint32_t in = rewrite_in(s, o, 0), at = (uint32_t)(o - s->g->ops);
    uint32_t out = rewrite_emit(s, OP_ConstantOfShape, &in, 1, NO_TENSOR);
    if (s->failed) return NO_TENSOR;
    op *copy = &s->g->ops[s->g->n_ops - 1];
    copy->first_attr = s->g->ops[at].first_attr; /* they are only read */
    copy->n_attr = s->g->ops[at].n_attr;
    return out;
}

/* One number that is expanded: its second exporter to ONNX writes torch.zeros() so. */
static void make_fill(rewrite *s, uint32_t t)
{
    op *o = rewrite_maker(s, t) ? &s->g->ops[s->maker[t] - 1] : NULL;
    if (o && o->kind == OP_Slice && (t = rewrite_in(s, o, 0)) != NO_TENSOR)
        o = rewrite_maker(s, t) ? &s->g->ops[s->maker[t] - 1] : NULL;
    uint32_t from = o && o->kind == OP_Expand ? rewrite_in(s, o, 0) : NO_TENSOR;
    if (from == NO_TENSOR || shape_elements(rewrite_shape_of(s, from)) != 1 || o->n_in != 2 || o->n_out != 1) return;
    if (!rewrite_shape_of(s, from)->value) return;
    uint32_t *operand = s->g->operands + o->first_in;
    operand[0] = operand[1];
    operand[1] = operand[2];
    o->kind = OP_ConstantOfShape;
    o->type = str_c(op_kind_name(OP_ConstantOfShape));
    o->n_in = 1;
}

/* PyTorch fills both states of an LSTM that is given none; its exporter to ONNX fills one, which is read twice. */
static bool part_states(rewrite *s, uint32_t at, uint32_t *second)
{
    enum { H = 5, C = 6 };
    const op *o = &s->g->ops[at], *cut[2];
    if (o->kind != OP_LSTM || o->n_in <= C) return false;
    uint32_t h = fill_behind(s, rewrite_in(s, o, H), &cut[0]), c = fill_behind(s, rewrite_in(s, o, C), &cut[1]);
    if (h == NO_TENSOR || h != c || !cut[0] != !cut[1] || (cut[0] && cut[0] == cut[1])) return false;
    uint32_t place = cut[1] ? cut[1]->first_in : o->first_in + C;
    if (second[h] == NO_TENSOR) second[h] = second_fill(s, h);
    if (s->failed) return false;
    s->g->operands[place] = second[h];
    return true;
}

uint32_t recurrent_part_states(rewrite *s)
{
    uint32_t made = 0, n = s->g->regions[0].n_ops, *second = ARENA_ARRAY(s->a, uint32_t, s->n_tensors);
    if (!second) {
        s->failed = true;
        return 0;
    }
    for (uint32_t t = 0; t < s->n_tensors; t++) second[t] = NO_TENSOR;
    for (uint32_t i = 0; s->pytorch && i < n && !s->failed; i++) {
        const op *o = &s->g->ops[s->g->regions[0].ops[i]];
        for (uint32_t k = 5; is_layer(o) && k < o->n_in; k++) make_fill(s, rewrite_in(s, o, k));
        made += part_states(s, s->g->regions[0].ops[i], second);
    }
    return made;
}

/* ---- last states ---- */

/* The results of layers that a Concat's inputs are, in order and whole; 0: they aren't. */
static uint32_t whole_states(const rewrite *s, const op *join, uint32_t *out, uint32_t most)
{
    uint32_t n = 0;
    int64_t next = 0, size = 0;
    for (uint32_t i = 0; i < join->n_in; i++) {
        uint32_t t = rewrite_bare(s, rewrite_in(s, join, i)), from = t;
        int64_t at = recurrent_slice(s, t, &from);
        if (at < 0) from = t, at = 0;
        const op *o = rewrite_maker(s, from);
        if (!is_layer(o) || op_out(s->g, o)[0] == from || at != next) return 0;
        if (!next) {
            if (n == most) return 0;
            out[n++] = from;
            size = rewrite_dim(s, from, 0);
        } else if (out[n - 1] != from) {
            return 0;
        }
        next = at + 1 == size ? 0 : at + 1;
    }
    return next ? 0 : n;
}

/* A view that shows a layer's last state as the layer hands it out. PyTorch's decomposition of LSTM leaves one dim more. */
static bool is_as_handed(const rewrite *s, uint32_t view, uint32_t state)
{
    const tensor_shape *a = rewrite_shape_of(s, view), *b = rewrite_shape_of(s, state);
    bool alone = s->first[view + 1] == s->first[view];
    int more = a->rank - b->rank;
    if (more && (more != 1 || !alone || !num_is(a->dims[0], 1))) return false;
    for (int i = 0; i < b->rank; i++)
        if (!num_known(a->dims[more + i]) || a->dims[more + i].v.i != b->dims[i].v.i) return false;
    return true;
}

/* Views of the model's own stay: PyTorch's host runs them. Where a state was taken apart, or put together again, is an Identity. */
static bool was_joined(const rewrite *s, uint32_t t)
{
    for (const op *o = rewrite_maker(s, t); o && rewrite_is_view(o); o = rewrite_maker(s, rewrite_in(s, o, 0)))
        if (o->kind == OP_Identity) return true;
    return false;
}

static bool drop_view(rewrite *s, const op *o)
{
    uint32_t view = op_out(s->g, o)[0], state = rewrite_bare(s, view);
    const op *layer = rewrite_maker(s, state);
    if (state == view || !was_joined(s, view) || !is_layer(layer) || op_out(s->g, layer)[0] == state ||
        rewrite_is_read_inside(s, view))
        return false;
    if (s->g->tensors[state].is_output || !is_as_handed(s, view, state)) return false;
    rewrite_read_instead(s, view, state);
    s->taken[o - s->g->ops] = 1;
    return true;
}

static bool join_state(rewrite *s, const op *o)
{
    enum { LAYERS = 64 };
    uint32_t from[LAYERS], n = whole_states(s, o, from, LAYERS), to = op_out(s->g, o)[0];
    int rank = rewrite_shape_of(s, to)->rank;
    int64_t hidden = rewrite_dim(s, to, -1);
    if (!n || (n == o->n_in && n > 1) || (rank != 2 && rank != 3) || hidden < 1) return false;
    s->taken[o - s->g->ops] = 1;
    uint32_t in[2] = {from[0], NO_TENSOR};
    if (n > 1) in[0] = rewrite_emit(s, OP_Concat, from, n, rank == 3 ? to : NO_TENSOR);
    if (!s->failed && n > 1 && !graph_attr_int(s->g, ATTR_axis, 0)) s->failed = true;
    if (s->failed || (n > 1 && rank == 3)) return !s->failed;
    in[0] = rewrite_emit(s, OP_Identity, in, 1, rank == 2 ? NO_TENSOR : to);
    if (rank == 2) in[1] = rewrite_ints(s, (int64_t[]){-1, hidden}, 2);
    if (!s->failed && rank == 2) rewrite_emit(s, OP_Reshape, in, 2, to);
    return !s->failed;
}

uint32_t recurrent_join_states(rewrite *s)
{
    uint32_t made = 0, n = s->g->regions[0].n_ops;
    for (uint32_t i = 0; i < n && !s->failed; i++) {
        const op *o = &s->g->ops[s->g->regions[0].ops[i]];
        if (s->live[o - s->g->ops] && o->kind == OP_Concat && !op_attr_int(s->g, o, ATTR_axis, 0))
            made += join_state(s, o);
    }
    return made;
}

uint32_t recurrent_drop_views(rewrite *s)
{
    uint32_t made = 0, n = s->g->regions[0].n_ops;
    for (uint32_t i = n; i-- > 0;) {
        const op *o = &s->g->ops[s->g->regions[0].ops[i]];
        if (s->live[o - s->g->ops] && rewrite_is_view(o)) made += drop_view(s, o);
    }
    return made;
}
