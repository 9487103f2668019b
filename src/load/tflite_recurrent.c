/* Recurrent layers of TensorFlow Lite. The format keeps a weight for each gate; ops.def, as ONNX, one for all: the gates' weights
 * become one that is as large. */
#include "load/tflite_internal.h"

enum { GATES = 4, DIRECTIONS = 2 };

/* Where a direction's tensors are among the operands. */
typedef struct places {
    uint32_t input, recurrent, peephole, bias, projection;
} places;

typedef struct layer {
    op_kind kind;
    uint32_t directions, gates;
    int64_t hidden, output, width; /* cells, width of what is fed back, of the input */
    places at[DIRECTIONS];
    bool step;       /* one step: [batch, width] */
    bool time_major; /* [time, batch, width], else [batch, time, width] */
    bool merge;      /* both directions side by side in one result */
} layer;

/* One weight instead of those at operands from ... from + count of each direction; NO_TENSOR: none of them is there. */
static uint32_t merged(tflite_reader *r, tflite_node *n, const layer *l, const uint32_t *from, uint32_t count, int rank,
                       const int64_t *dims)
{
    tflite_info info, first = {.type = DT_UNKNOWN};
    double bytes = 0;
    bool counted = true, found = false;
    for (uint32_t d = 0; d < l->directions; d++)
        for (uint32_t i = 0; i < count; i++) {
            int32_t t = tflite_in(n, from[d] + i);
            if (t == -1) continue;
            if (!tflite_describe(r, n->s, t, &info)) return NO_TENSOR;
            if (!found) first = info;
            found = true;
            if (!tflite_first_use(r, &info)) continue;
            bytes += (double)info.stored;
            counted = false;
        }
    if (!found) return NO_TENSOR;
    uint32_t t = graph_add_weight(r->g, first.name, first.type, rank, dims);
    if (t == NO_TENSOR) {
        error_nomem(r->e, r->g->a);
        return t;
    }
    r->g->tensors[t].defined = true;
    r->g->tensors[t].weight_bytes = bytes;
    r->g->tensors[t].literal = counted; /* weights of an earlier step */
    return t;
}

/* Y is [time, directions, batch, cells], with the batch first [batch, time, directions, cells]; the file has no directions. */
static pg_code put_results(tflite_reader *r, tflite_node *n, const layer *l, uint32_t y)
{
    int64_t axis = l->time_major ? 1 : 2;
    if (l->directions == 1) {
        uint32_t out = tflite_define(r, n->s, tflite_out(n, 0), FORM_FILE);
        int64_t axes[2] = {0, 1};
        tflite_emit(r, n, OP_Squeeze, &y, 1, out);
        if (tflite_status(r)) return tflite_status(r);
        bool ok = l->step ? graph_attr_ints(r->g, ATTR_axes, axes, 2) : graph_attr_ints(r->g, ATTR_axes, &axis, 1);
        return ok ? PG_E_OK : error_nomem(r->e, r->g->a);
    }
    if (l->merge) {
        if (l->time_major) {
            y = tflite_emit(r, n, OP_Transpose, &y, 1, NO_TENSOR);
            if (!tflite_status(r) && !graph_attr_ints(r->g, ATTR_perm, (const int64_t[]){0, 2, 1, 3}, 4))
                return error_nomem(r->e, r->g->a);
        }
        uint32_t in[2] = {y, tflite_list(r, (const int64_t[]){0, 0, -1}, 3)};
        tflite_emit(r, n, OP_Reshape, in, 2, tflite_define(r, n->s, tflite_out(n, 0), FORM_FILE));
        return tflite_status(r);
    }
    uint32_t part[DIRECTIONS] = {tflite_temporary(r, n), tflite_temporary(r, n)};
    tflite_emit_many(r, n, OP_Split, &y, 1, part, DIRECTIONS);
    if (!tflite_status(r) && !graph_attr_int(r->g, ATTR_axis, axis)) return error_nomem(r->e, r->g->a);
    for (uint32_t d = 0; d < DIRECTIONS && !tflite_status(r); d++) {
        tflite_emit(r, n, OP_Squeeze, &part[d], 1, tflite_define(r, n->s, tflite_out(n, d), FORM_FILE));
        if (!tflite_status(r) && !graph_attr_ints(r->g, ATTR_axes, &axis, 1)) return error_nomem(r->e, r->g->a);
    }
    return tflite_status(r);
}

static pg_code put_layer(tflite_reader *r, tflite_node *n, const layer *l, uint32_t w, uint32_t recurrent,
                         uint32_t bias, uint32_t extra)
{
    uint32_t x = tflite_get(r, n->s, tflite_in(n, 0), FORM_FILE);
    if (x == NO_TENSOR || w == NO_TENSOR || recurrent == NO_TENSOR)
        return tflite_status(r) ? tflite_status(r) : tflite_bad(r, n, "lacks weights");
    if (l->step) { /* a sequence of one */
        n->labelled = true;
        x = tflite_emit(r, n, OP_Unsqueeze, &x, 1, NO_TENSOR);
        n->labelled = false;
        if (!tflite_status(r) && !graph_attr_ints(r->g, ATTR_axes, (const int64_t[]){0}, 1))
            return error_nomem(r->e, r->g->a);
    }
    uint32_t in[8] = {x, w, recurrent, bias, NO_TENSOR, NO_TENSOR, NO_TENSOR, extra};
    uint32_t y = tflite_emit(r, n, l->kind, in, extra != NO_TENSOR && l->kind == OP_LSTM ? 8 : 4, NO_TENSOR);
    if (tflite_status(r)) return tflite_status(r);
    bool ok = graph_attr_int(r->g, ATTR_hidden_size, l->output) &&
              graph_attr_int(r->g, ATTR_layout, !l->time_major && !l->step);
    if (l->directions > 1) ok = ok && graph_attr_string(r->g, ATTR_direction, STR("bidirectional"));
    return ok ? put_results(r, n, l, y) : error_nomem(r->e, r->g->a);
}

/* The dims that all weights follow from: [cells, width] of an input's weight, [cells, output] of a recurrent one. */
static bool read_sizes(tflite_reader *r, tflite_node *n, layer *l, uint32_t input, uint32_t recurrent)
{
    tflite_info w, u;
    if (!tflite_in_info(r, n, input, &w) || !tflite_in_info(r, n, recurrent, &u)) return false;
    if (w.rank != 2 || (u.rank != 2 && u.rank != 1)) {
        tflite_bad(r, n, "has weights that are not matrices");
        return false;
    }
    l->hidden = w.dims[0];
    l->width = w.dims[1];
    l->output = u.rank == 2 ? u.dims[1] : u.dims[0]; /* a vector: a diagonal matrix */
    return true;
}

static pg_code gated(tflite_reader *r, tflite_node *n, layer *l)
{
    enum { FORGET = 1 };
    if (!read_sizes(r, n, l, l->at[0].input + FORGET, l->at[0].recurrent + FORGET)) return tflite_status(r);
    /* without input gates (coupled to the forget gates) there is as much to do as in a GRU */
    l->gates = tflite_in(n, l->at[0].input) == -1 ? 3 : GATES;
    l->kind = l->gates == GATES ? OP_LSTM : OP_GRU;
    uint32_t from[5][DIRECTIONS];
    for (uint32_t d = 0; d < l->directions; d++) {
        from[0][d] = l->at[d].input, from[1][d] = l->at[d].recurrent, from[2][d] = l->at[d].bias;
        from[3][d] = l->at[d].peephole, from[4][d] = l->at[d].projection;
    }
    int64_t dirs = l->directions, rows = l->gates * l->hidden;
    uint32_t w = merged(r, n, l, from[0], GATES, 3, (const int64_t[]){dirs, rows, l->width});
    uint32_t u = merged(r, n, l, from[1], GATES, 3, (const int64_t[]){dirs, rows, l->output});
    uint32_t b = merged(r, n, l, from[2], GATES, 2, (const int64_t[]){dirs, rows});
    uint32_t p = merged(r, n, l, from[4], 1, 3, (const int64_t[]){dirs, l->output, l->hidden});
    if (p == NO_TENSOR) p = merged(r, n, l, from[3], 3, 2, (const int64_t[]){dirs, (l->gates - 1) * l->hidden});
    return tflite_status(r) ? tflite_status(r) : put_layer(r, n, l, w, u, b, p);
}

/* The kernel of the first LSTM operator: data, activations, weights [4 * cells, width + cells], biases, state. */
static pg_code basic_lstm(tflite_reader *r, tflite_node *n)
{
    tflite_info w;
    if (!tflite_in_info(r, n, 2, &w)) return tflite_status(r);
    if (w.rank != 2 || w.dims[0] < GATES || w.dims[1] <= w.dims[0] / GATES)
        return tflite_bad(r, n, "has weights that are not [4 * cells, inputs + cells]");
    layer l = {.kind = OP_LSTM, .directions = 1, .gates = GATES, .step = true};
    l.hidden = l.output = w.dims[0] / GATES;
    l.width = w.dims[1] - l.hidden;
    uint32_t place = 2, bias = 3;
    uint32_t u = merged(r, n, &l, &place, 1, 3, (const int64_t[]){1, w.dims[0], l.hidden});
    uint32_t x = graph_add_weight(r->g, w.name, w.type, 3, (const int64_t[]){1, w.dims[0], l.width});
    uint32_t b = merged(r, n, &l, &bias, 1, 2, (const int64_t[]){1, w.dims[0]});
    if (x == NO_TENSOR) return error_nomem(r->e, r->g->a);
    if (u != NO_TENSOR) {
        r->g->tensors[x].literal = r->g->tensors[u].literal;
        r->g->tensors[x].weight_bytes = 0; /* in the other part */
    }
    r->g->tensors[x].defined = true;
    return tflite_status(r) ? tflite_status(r) : put_layer(r, n, &l, x, u, b, NO_TENSOR);
}

static const places lstm_places = {1, 5, 9, 12, 16};

/* LSTMOptions: kernel_type 3 (1: basic). UnidirectionalSequenceLSTMOptions: time_major 3. */
pg_code tflite_lstm(tflite_reader *r, tflite_node *n)
{
    enum { LSTM = 16 };
    layer l = {.directions = 1, .at = {lstm_places}, .step = n->number == LSTM};
    if (l.step && flatbuffer_i8(&n->options, 3, 0) == 1) return basic_lstm(r, n);
    l.time_major = l.step || flatbuffer_u8(&n->options, 3, 0);
    return gated(r, n, &l);
}

/* BidirectionalSequenceLSTMOptions: merge_outputs 3, time_major 4. */
pg_code tflite_bidirectional_lstm(tflite_reader *r, tflite_node *n)
{
    layer l = {.directions = 2, .at = {lstm_places, {18, 22, 26, 29, 33}}};
    l.merge = flatbuffer_u8(&n->options, 3, 0) != 0;
    l.time_major = flatbuffer_u8(&n->options, 4, 1) != 0;
    return gated(r, n, &l);
}

static pg_code plain_rnn(tflite_reader *r, tflite_node *n, layer *l, const uint32_t *input)
{
    uint32_t recurrent[DIRECTIONS] = {input[0] + 1, input[1] + 1}, bias[DIRECTIONS] = {input[0] + 2, input[1] + 2};
    l->kind = OP_RNN;
    if (!read_sizes(r, n, l, input[0], recurrent[0])) return tflite_status(r);
    int64_t dirs = l->directions;
    uint32_t w = merged(r, n, l, input, 1, 3, (const int64_t[]){dirs, l->hidden, l->width});
    uint32_t u = merged(r, n, l, recurrent, 1, 3, (const int64_t[]){dirs, l->hidden, l->output});
    uint32_t b = merged(r, n, l, bias, 1, 2, (const int64_t[]){dirs, l->hidden});
    return tflite_status(r) ? tflite_status(r) : put_layer(r, n, l, w, u, b, NO_TENSOR);
}

/* SequenceRNNOptions: time_major 0. */
pg_code tflite_rnn(tflite_reader *r, tflite_node *n)
{
    enum { RNN = 24 };
    static const uint32_t input[DIRECTIONS] = {1, 1};
    layer l = {.directions = 1, .gates = 1, .step = n->number == RNN};
    l.time_major = l.step || flatbuffer_u8(&n->options, 0, 0);
    return plain_rnn(r, n, &l, input);
}

/* BidirectionalSequenceRNNOptions: time_major 0, merge_outputs 2. */
pg_code tflite_bidirectional_rnn(tflite_reader *r, tflite_node *n)
{
    static const uint32_t input[DIRECTIONS] = {1, 5};
    layer l = {.directions = 2, .gates = 1};
    l.time_major = flatbuffer_u8(&n->options, 0, 0) != 0;
    l.merge = flatbuffer_u8(&n->options, 2, 0) != 0;
    return plain_rnn(r, n, &l, input);
}

/* SVDFOptions: rank 0, activation 1. A product with the feature weights [filters, width]; then each filter's last values are
 * weighted over time [filters, memory] and summed up, and `rank` filters are a unit. */
pg_code tflite_svdf(tflite_reader *r, tflite_node *n)
{
    tflite_info x, features;
    int64_t rank = flatbuffer_i32(&n->options, 0, 1), activation = flatbuffer_i8(&n->options, 1, 0);
    if (!tflite_in_info(r, n, 0, &x) || !tflite_in_info(r, n, 1, &features)) return tflite_status(r);
    if (features.rank != 2 || rank < 1 || features.dims[0] % rank)
        return tflite_bad(r, n, "has filters that don't fit");
    if (tflite_quantised(&x)) activation = 0;
    uint32_t in[2] = {tflite_get(r, n->s, tflite_in(n, 0), FORM_FILE), tflite_get(r, n->s, tflite_in(n, 1), FORM_FILE)};
    uint32_t time = tflite_get(r, n->s, tflite_in(n, 2), FORM_FILE),
             bias = tflite_get(r, n->s, tflite_in(n, 3), FORM_FILE);
    if (in[0] == NO_TENSOR || in[1] == NO_TENSOR || time == NO_TENSOR)
        return tflite_status(r) ? tflite_status(r) : tflite_bad(r, n, "lacks weights");
    uint32_t y = tflite_emit(r, n, OP_Gemm, in, 2, NO_TENSOR);
    bool ok = y != NO_TENSOR && graph_attr_int(r->g, ATTR_transB, 1);
    y = tflite_emit(r, n, OP_Unsqueeze, &y, 1, NO_TENSOR);
    ok = ok && y != NO_TENSOR && graph_attr_ints(r->g, ATTR_axes, (const int64_t[]){2}, 1);
    y = tflite_emit(r, n, OP_Mul, (const uint32_t[]){y, time}, 2, NO_TENSOR);
    y = tflite_emit(r, n, OP_Reshape,
                    (const uint32_t[]){y, tflite_list(r, (const int64_t[]){0, features.dims[0] / rank, -1}, 3)}, 2,
                    NO_TENSOR);
    bool add = bias != NO_TENSOR;
    uint32_t sum = add ? tflite_temporary(r, n) : tflite_result(r, n, FORM_FILE, activation);
    y = tflite_emit(r, n, OP_ReduceSum, &y, 1, sum);
    ok = ok && y != NO_TENSOR && graph_attr_ints(r->g, ATTR_axes, (const int64_t[]){2}, 1) &&
         graph_attr_int(r->g, ATTR_keepdims, 0);
    if (add) y = tflite_emit(r, n, OP_Add, (const uint32_t[]){y, bias}, 2, tflite_result(r, n, FORM_FILE, activation));
    if (tflite_status(r)) return tflite_status(r);
    return ok ? tflite_activate(r, n, y, FORM_FILE, activation) : error_nomem(r->e, r->g->a);
}
