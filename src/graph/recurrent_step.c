/* The formulas of one step.
 *
 *   LSTM   i, f, g, o = parts of h W + p;  c' = sigmoid(f) c + sigmoid(i) tanh(g);  h' = sigmoid(o) tanh(c')
 *   GRU    r = sigmoid(parts 0 of h W and p), z = sigmoid(parts 1);  n = tanh(part 2 of p + r part 2 of h W);  h' = (h - n) z + n
 *   RNN    h' = tanh or relu(h W + p)
 *
 * p is a slice of the product of all steps' inputs, or a product of its own, which makes the step a cell. */
#include "graph/recurrent_internal.h"

/* The value under this activation; NO_TENSOR: t is none. */
static uint32_t under(const rewrite *s, uint32_t t, op_kind kind)
{
    const op *o = rewrite_maker(s, rewrite_bare(s, t));
    return o && o->kind == kind ? rewrite_in(s, o, 0) : NO_TENSOR;
}

/* The operator of two inputs that makes t. */
static const op *made_by(const rewrite *s, uint32_t t, op_kind kind)
{
    const op *o = rewrite_maker(s, rewrite_bare(s, t));
    return o && o->kind == kind && o->n_in == 2 ? o : NULL;
}

/* ---- what is added up before the gates ---- */

static int64_t rows_of(const rewrite *s, uint32_t w, int64_t wide)
{
    const tensor *t = &s->g->tensors[w];
    if (t->rank != 2 || wide < 1 || t->dims[0].sym != SYM_NONE || t->dims[1].sym != SYM_NONE) return -1;
    if (t->dims[0].v.i == wide) return t->dims[1].v.i;
    return t->dims[1].v.i == wide ? t->dims[0].v.i : -1;
}

static bool take_state(const rewrite *s, recurrent_step *c, const op *product, uint32_t bias)
{
    uint32_t ignored;
    c->h_in = rewrite_bare(s, rewrite_in(s, product, 0));
    c->w = recurrent_weight(s, rewrite_in(s, product, 1));
    c->bias = bias;
    int rank = rewrite_shape_of(s, c->h_in)->rank;
    if (rank != 2 && (rank != 3 || rewrite_dim(s, c->h_in, 0) != 1) && recurrent_slice(s, c->h_in, &ignored) < 0)
        return false;
    return rows_of(s, c->w, c->gates * c->hidden) == c->hidden;
}

static bool take_slice(const rewrite *s, recurrent_step *c, uint32_t t)
{
    c->at = recurrent_slice(s, t, &c->all);
    return c->at >= 0;
}

static bool take_input(const rewrite *s, recurrent_step *c, const op *product, uint32_t bias)
{
    c->all = NO_TENSOR;
    c->x = rewrite_bare(s, rewrite_in(s, product, 0));
    c->wx = recurrent_weight(s, rewrite_in(s, product, 1));
    c->bx = bias;
    int rank = rewrite_shape_of(s, c->x)->rank;
    return (rank == 2 || (rank == 3 && rewrite_dim(s, c->x, 0) == 1)) && rows_of(s, c->wx, c->gates * c->hidden) > 0;
}

/* "/cell" of "/cell/Gemm_1", "cell" of "cell.Gemm_12": the module that an operator is in. */
static str scope_of(str name)
{
    for (size_t i = name.len; i-- > 0;)
        if (name.ptr[i] == '/' || name.ptr[i] == '.') return (str){name.ptr, i};
    return (str){NULL, 0};
}

/* A cell of the model's own has its products in linear layers, which are modules. */
static bool is_one_module(const rewrite *s, const recurrent_step *c, const op *product)
{
    const op *end = rewrite_maker(s, c->h);
    return !end || str_eq(scope_of(end->name), scope_of(product->name));
}

/* h W + p in one sum. */
static bool take_joint(const rewrite *s, recurrent_step *c, uint32_t t, bool cell)
{
    recurrent_sum sum;
    if (!recurrent_add_up(s, t, &sum) || sum.biases > 2) return false;
    uint32_t bias = sum.biases ? sum.bias[0] : NO_TENSOR;
    if (sum.products == 1 && sum.others == 1)
        return take_state(s, c, sum.product[0], bias) && take_slice(s, c, sum.other);
    if (sum.products != 2 || sum.others || !cell || !is_one_module(s, c, sum.product[0])) return false;
    /* PyTorch adds the input's product to the state's */
    for (int i = 0; i < 2; i++)
        if (take_state(s, c, sum.product[i], bias) && take_input(s, c, sum.product[1 - i], bias)) return true;
    return false;
}

/* h W and p apart, as GRU needs them. */
static bool take_apart(const rewrite *s, recurrent_step *c, uint32_t of_state, uint32_t of_input)
{
    recurrent_sum a, b;
    if (!recurrent_add_up(s, of_state, &a) || a.products != 1 || a.others) return false;
    if (!take_state(s, c, a.product[0], a.biases ? a.bias[0] : NO_TENSOR)) return false;
    if (!recurrent_add_up(s, of_input, &b)) return false;
    if (b.products == 1 && !b.others && is_one_module(s, c, b.product[0]))
        return take_input(s, c, b.product[0], b.biases ? b.bias[0] : NO_TENSOR);
    return !b.products && b.others == 1 && !b.biases && take_slice(s, c, b.other);
}

/* ---- LSTM ---- */

/* A gate's part of the sum: sets *from or holds t against it, and notes which part it is. */
static bool take_gate(const rewrite *s, recurrent_step *c, uint32_t t, uint32_t *from, unsigned *seen)
{
    uint32_t whole = NO_TENSOR;
    int of = 0, i = t == NO_TENSOR ? -1 : recurrent_part(s, t, &whole, &of);
    if (i < 0 || of != c->gates || *seen & 1u << i || (*from != NO_TENSOR && *from != whole)) return false;
    c->hidden = rewrite_dim(s, rewrite_bare(s, t), -1);
    *from = whole;
    *seen |= 1u << i;
    return true;
}

/* sigmoid(f) c; the other input of a product with a gate. */
static bool take_kept(const rewrite *s, recurrent_step *c, const op *kept, uint32_t *from, unsigned *seen)
{
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t state = rewrite_bare(s, rewrite_in(s, kept, 1 - i));
        if (!take_gate(s, c, under(s, rewrite_in(s, kept, i), OP_Sigmoid), from, seen)) continue;
        c->c_in = state;
        return true;
    }
    return false;
}

static bool take_new(const rewrite *s, recurrent_step *c, const op *fresh, uint32_t *from, unsigned *seen)
{
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t gate = under(s, rewrite_in(s, fresh, i), OP_Sigmoid);
        uint32_t value = under(s, rewrite_in(s, fresh, 1 - i), OP_Tanh);
        if (gate != NO_TENSOR && value != NO_TENSOR)
            return take_gate(s, c, gate, from, seen) && take_gate(s, c, value, from, seen);
    }
    return false;
}

static bool is_lstm(const rewrite *s, recurrent_step *c, const op *end, bool cell)
{
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t gate = under(s, rewrite_in(s, end, i), OP_Sigmoid);
        uint32_t state = under(s, rewrite_in(s, end, 1 - i), OP_Tanh), from = NO_TENSOR;
        const op *sum = gate != NO_TENSOR && state != NO_TENSOR ? made_by(s, state, OP_Add) : NULL;
        unsigned seen = 0;
        if (!sum) continue;
        *c = (recurrent_step){.kind = OP_LSTM, .gates = 4, .h = op_out(s->g, end)[0], .c = rewrite_bare(s, state)};
        if (!take_gate(s, c, gate, &from, &seen)) return false;
        for (uint32_t k = 0; k < 2; k++) {
            const op *fresh = made_by(s, rewrite_in(s, sum, k), OP_Mul);
            const op *kept = made_by(s, rewrite_in(s, sum, 1 - k), OP_Mul);
            unsigned before = seen;
            if (fresh && kept && take_new(s, c, fresh, &from, &seen) && take_kept(s, c, kept, &from, &seen))
                return take_joint(s, c, from, cell);
            seen = before;
        }
        return false;
    }
    return false;
}

/* ---- GRU ---- */

/* sigmoid(part i of h W + part i of p). */
static int gate_of_both(const rewrite *s, uint32_t t, uint32_t state, uint32_t input)
{
    uint32_t in = under(s, t, OP_Sigmoid), from[2] = {NO_TENSOR, NO_TENSOR};
    const op *sum = in != NO_TENSOR ? made_by(s, in, OP_Add) : NULL;
    int of[2] = {0, 0}, i = sum ? recurrent_part(s, rewrite_in(s, sum, 0), &from[0], &of[0]) : -1;
    if (i < 0 || recurrent_part(s, rewrite_in(s, sum, 1), &from[1], &of[1]) != i || of[0] != 3 || of[1] != 3) return -1;
    bool fits = (from[0] == state && from[1] == input) || (from[0] == input && from[1] == state);
    return fits ? i : -1;
}

/* n = tanh(part of p + part of h W * r), of which the sources are told. */
static bool take_candidate(const rewrite *s, recurrent_step *c, uint32_t n, uint32_t *reset, uint32_t *state,
                           uint32_t *input)
{
    uint32_t in = under(s, n, OP_Tanh);
    const op *sum = in != NO_TENSOR ? made_by(s, in, OP_Add) : NULL;
    for (uint32_t i = 0; sum && i < 2; i++) {
        const op *damped = made_by(s, rewrite_in(s, sum, i), OP_Mul);
        int of = 0;
        if (!damped || recurrent_part(s, rewrite_in(s, sum, 1 - i), input, &of) < 0 || of != 3) continue;
        for (uint32_t k = 0; k < 2; k++) {
            uint32_t part = rewrite_in(s, damped, k);
            if (recurrent_part(s, part, state, &of) < 0 || of != 3) continue;
            c->hidden = rewrite_dim(s, rewrite_bare(s, part), -1);
            *reset = rewrite_in(s, damped, 1 - k);
            return true;
        }
    }
    return false;
}

static bool is_gru(const rewrite *s, recurrent_step *c, const op *end, bool cell)
{
    for (uint32_t i = 0; i < 2; i++) {
        const op *scaled = made_by(s, rewrite_in(s, end, i), OP_Mul);
        uint32_t n = rewrite_in(s, end, 1 - i), reset = NO_TENSOR, state = NO_TENSOR, input = NO_TENSOR;
        for (uint32_t k = 0; scaled && k < 2; k++) {
            const op *apart = made_by(s, rewrite_in(s, scaled, k), OP_Sub);
            if (!apart || rewrite_bare(s, rewrite_in(s, apart, 1)) != rewrite_bare(s, n)) continue;
            *c = (recurrent_step){
                .kind = OP_GRU, .gates = 3, .h = op_out(s->g, end)[0], .c = NO_TENSOR, .c_in = NO_TENSOR};
            if (!take_candidate(s, c, n, &reset, &state, &input)) return false;
            int r = gate_of_both(s, reset, state, input);
            int z = gate_of_both(s, rewrite_in(s, scaled, 1 - k), state, input);
            return r >= 0 && z >= 0 && r != z && take_apart(s, c, state, input) &&
                   c->h_in == rewrite_bare(s, rewrite_in(s, apart, 0)) && (cell || c->all != NO_TENSOR);
        }
    }
    return false;
}

/* ---- RNN: nothing but a product and an activation, so a cell of its own isn't told from other layers ---- */

static bool is_rnn(const rewrite *s, recurrent_step *c, const op *end)
{
    uint32_t in = rewrite_in(s, end, 0);
    if (in == NO_TENSOR || !made_by(s, in, OP_Add)) return false;
    *c = (recurrent_step){.kind = OP_RNN, .gates = 1, .h = op_out(s->g, end)[0], .c = NO_TENSOR, .c_in = NO_TENSOR};
    c->hidden = rewrite_dim(s, c->h, -1);
    return c->hidden > 0 && take_joint(s, c, in, false);
}

/* ---- what a step is made of ---- */

bool recurrent_gather(rewrite *s, uint32_t t, const uint32_t *stop, uint32_t n_stop, uint32_t id, uint32_t *ops,
                      uint32_t *n)
{
    const op *o = rewrite_maker(s, t);
    for (uint32_t i = 0; i < n_stop; i++)
        if (t == stop[i]) return true;
    if (!o || s->mark[o - s->g->ops]) return true; /* views may be shared */
    if (*n == STEP_OPS) return false;
    s->mark[o - s->g->ops] = id;
    ops[(*n)++] = (uint32_t)(o - s->g->ops);
    bool moves = rewrite_is_view(o) || o->kind == OP_Slice || o->kind == OP_Split || o->kind == OP_Gather;
    for (uint32_t i = 0; i < (moves ? 1 : o->n_in); i++) /* not where to: shapes are computed once for all */
        if (rewrite_in(s, o, i) != NO_TENSOR && !recurrent_gather(s, rewrite_in(s, o, i), stop, n_stop, id, ops, n))
            return false;
    return true;
}

/* A view of something from outside may have other readers: it stays for them. */
static bool is_outer_view(const rewrite *s, const op *o, uint32_t id)
{
    const op *from = rewrite_maker(s, rewrite_in(s, o, 0));
    bool moves = rewrite_is_view(o) || o->kind == OP_Transpose || o->kind == OP_Slice || o->kind == OP_Split;
    return moves && (!from || s->mark[from - s->g->ops] != id);
}

bool recurrent_is_private(const rewrite *s, const uint32_t *ops, uint32_t n, uint32_t id, const uint32_t *out,
                          uint32_t n_out)
{
    for (uint32_t i = 0; i < n; i++) {
        const op *o = &s->g->ops[ops[i]];
        if (is_outer_view(s, o, id)) continue;
        for (uint32_t k = 0; k < o->n_out; k++) {
            uint32_t t = op_out(s->g, o)[k];
            bool leaves = t == NO_TENSOR;
            for (uint32_t j = 0; j < n_out; j++) leaves |= t == out[j];
            if (leaves) continue;
            if (s->fixed[t]) return false;
            for (uint32_t j = s->first[t]; j < s->first[t + 1]; j++)
                if (s->mark[s->readers[j]] != id) return false;
        }
    }
    return true;
}

static bool gather_step(rewrite *s, recurrent_step *c)
{
    uint32_t id = ++s->n_marks, stop[4] = {c->h_in, c->c_in, c->all == NO_TENSOR ? c->x : c->all, NO_TENSOR};
    uint32_t out[2] = {c->h, c->c};
    if (!recurrent_gather(s, c->h, stop, 3, id, c->ops, &c->n_ops)) return false;
    return recurrent_is_private(s, c->ops, c->n_ops, id, out, 2);
}

static void keep_step(rewrite *s, const recurrent_step *c)
{
    if (s->n_steps == s->cap_steps) {
        uint32_t cap = s->cap_steps ? s->cap_steps * 2 : 64;
        recurrent_step *list = arena_grow(s->a, s->step, s->cap_steps, cap, sizeof *list);
        if (!list) {
            s->failed = true;
            return;
        }
        s->step = list;
        s->cap_steps = cap;
    }
    s->step[s->n_steps++] = *c;
}

static bool is_step(const rewrite *s, const op *o, recurrent_step *c)
{
    bool own = s->pytorch && !(o->flags & OPF_OWN_CODE);
    switch (o->kind) {
    case OP_Mul: return is_lstm(s, c, o, own);
    case OP_Add: return is_gru(s, c, o, own);
    case OP_Tanh:
    case OP_Relu: return is_rnn(s, c, o);
    default: return false;
    }
}

void recurrent_find_steps(rewrite *s)
{
    const region *r = &s->g->regions[0];
    for (uint32_t i = 0; i < r->n_ops && !s->failed; i++) {
        recurrent_step c;
        uint32_t o = r->ops[i];
        if (!s->live[o] || s->g->ops[o].n_out < 1 || !is_step(s, &s->g->ops[o], &c)) continue;
        if (gather_step(s, &c)) {
            keep_step(s, &c);
            continue;
        }
        for (uint32_t k = 0; k < c.n_ops; k++) s->mark[c.ops[k]] = 0;
    }
}
