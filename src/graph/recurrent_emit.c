/* Layers that are put into the graph. */
#include "graph/recurrent_internal.h"

static uint32_t slice(rewrite *s, uint32_t from, int64_t start, int64_t end)
{
    int64_t axis = 0;
    uint32_t in[4] = {from, rewrite_ints(s, &start, 1), rewrite_ints(s, &end, 1), rewrite_ints(s, &axis, 1)};
    return s->failed ? NO_TENSOR : rewrite_emit(s, OP_Slice, in, 4, NO_TENSOR);
}

/* [1, batch, hidden] of [batch, hidden]: the model's own view, where it has one. */
static uint32_t unsqueezed(rewrite *s, uint32_t t)
{
    int64_t axis = 0;
    for (uint32_t k = s->first[t]; k < s->first[t + 1]; k++) {
        const op *o = &s->g->ops[s->readers[k]];
        uint32_t view = rewrite_is_view(o) ? op_out(s->g, o)[0] : NO_TENSOR;
        if (view != NO_TENSOR && rewrite_shape_of(s, view)->rank == 3 && rewrite_bare(s, view) == t &&
            rewrite_dim(s, view, 0) == 1)
            return view;
    }
    uint32_t in[2] = {t, rewrite_ints(s, &axis, 1)};
    return s->failed ? NO_TENSOR : rewrite_emit(s, OP_Unsqueeze, in, 2, NO_TENSOR);
}

uint32_t recurrent_state(rewrite *s, const uint32_t *state, int directions)
{
    uint32_t whole[2] = {NO_TENSOR, NO_TENSOR}, apart[2];
    int64_t at[2] = {0, 0};
    if (state[0] == NO_TENSOR || state[0] >= s->n_tensors) return NO_TENSOR;
    for (int i = 0; i < directions; i++) {
        at[i] = recurrent_slice(s, state[i], &whole[i]);
        if (at[i] < 0) whole[i] = state[i], at[i] = 0;
        if (rewrite_shape_of(s, whole[i])->rank != 3) whole[i] = NO_TENSOR;
    }
    bool joint = whole[0] != NO_TENSOR && (directions == 1 || (whole[1] == whole[0] && at[1] == at[0] + 1));
    if (joint && rewrite_dim(s, whole[0], 0) == directions) return whole[0];
    if (joint) return slice(s, whole[0], at[0], at[0] + directions);
    for (int i = 0; i < directions && !s->failed; i++)
        apart[i] = rewrite_shape_of(s, state[i])->rank == 3 ? state[i] : unsqueezed(s, state[i]);
    if (directions == 1 || s->failed) return s->failed ? NO_TENSOR : apart[0];
    uint32_t both = rewrite_emit(s, OP_Concat, apart, 2, NO_TENSOR);
    if (both != NO_TENSOR && !graph_attr_int(s->g, ATTR_axis, 0)) s->failed = true;
    return both;
}

static uint32_t weight(rewrite *s, uint32_t like, int rank, const int64_t *dims)
{
    const tensor *t = &s->g->tensors[like];
    uint32_t w = graph_add_weight(s->g, t->name, (dtype)t->dtype, rank, dims);
    if (w == NO_TENSOR) s->failed = true;
    else s->g->tensors[w].defined = true;
    return w;
}

void recurrent_add_layer(rewrite *s, const recurrent_layer *l, str name, uint32_t out[3])
{
    graph *g = s->g;
    int64_t wide = l->gates * l->hidden, w[3] = {l->directions, wide, l->in}, r[3] = {l->directions, wide, l->hidden};
    int64_t b[2] = {l->directions, 2 * wide};
    uint32_t n_out = l->kind == OP_LSTM ? 3 : 2, named[3] = {l->y, l->h, l->c};
    uint32_t in[7] = {l->x, weight(s, l->w, 3, w), weight(s, l->r, 3, r), NO_TENSOR, NO_TENSOR, NO_TENSOR, NO_TENSOR};
    if (l->bias != NO_TENSOR) in[3] = weight(s, l->bias, 2, b);
    in[5] = recurrent_state(s, l->h_in, l->directions);
    if (l->kind == OP_LSTM && in[5] != NO_TENSOR) in[6] = recurrent_state(s, l->c_in, l->directions);
    for (uint32_t i = 0; i < n_out && !s->failed; i++) {
        out[i] = named[i] != NO_TENSOR ? named[i] : graph_add_tensor(g, name, DT_UNKNOWN);
        if (out[i] == NO_TENSOR) s->failed = true;
        else g->tensors[out[i]].defined = true;
    }
    uint32_t n_in = in[6] != NO_TENSOR ? 7 : in[5] != NO_TENSOR ? 6 : 4;
    if (s->failed) return;
    str way = l->directions == 2 ? STR("bidirectional") : l->reverse ? STR("reverse") : STR("forward");
    bool done = graph_add_op(g, 0, l->kind, name, in, n_in, out, n_out) != NO_TENSOR &&
                graph_attr_int(g, ATTR_hidden_size, l->hidden) && graph_attr_string(g, ATTR_direction, way) &&
                (l->kind != OP_GRU || graph_attr_int(g, ATTR_linear_before_reset, 1));
    if (!done) s->failed = true;
}
