/* Loops that are recurrent layers.
 *
 * What a round multiplies by weights tells: x, the entry of a list that the round reads, and h, a value that is carried round.
 *   TensorFlow 1's cells join both first: [in + H, 4 H] for LSTM, [in + H, 2 H] and [in + H, H] for GRU, [in + H, H] for RNN.
 *   Keras has weights for each: [in, G H] and [H, G H], or G times [in, H] and [H, H]; G is 4, 3, 1.
 * LSTM carries a second value, the cell. Several layers in one loop (MultiRNNCell, StackedRNNCells) are told apart by the states that
 * follow from one another without a product between them: what one of them leaves is another one's x.
 * A loop in which anything doesn't fit stays a loop. */
#include "load/tf_internal.h"

enum { PRODUCTS = 16, LAYERS = 16, VALUES = 256 };

/* ---- which nodes are part of a round ---- */

static bool fresh_marks(tf_reader *r)
{
    if (r->n_marks < r->n_nodes) {
        r->marks = ARENA_ARRAY(&r->a, uint32_t, r->n_nodes);
        r->n_marks = r->marks ? r->n_nodes : 0;
        r->stamp = 0;
    }
    r->stamp++;
    return r->n_marks > 0;
}

/* A node that a walk comes by for the first time. */
static bool first_visit(tf_reader *r, uint32_t node)
{
    if (node >= r->n_marks || r->marks[node] == r->stamp) return false;
    r->marks[node] = r->stamp;
    return true;
}

typedef struct walk {
    uint32_t *stack;
    uint32_t n, cap;
} walk;

static bool push(tf_reader *r, walk *w, tf_ref ref)
{
    pg_error saved = *r->e;
    if (ref.node == TF_NONE) return true;
    if (tf_resolve(r, &ref)) {
        *r->e = saved;
        return true; /* whoever emits it will say it */
    }
    if (!first_visit(r, ref.node)) return true;
    if (!TF_ROOM(r, w->stack, w->n, w->cap)) return false;
    w->stack[w->n++] = ref.node;
    return true;
}

bool tf_depends(tf_reader *r, tf_ref ref, uint32_t body)
{
    walk w = {NULL, 0, 0};
    if (!fresh_marks(r) || !push(r, &w, ref)) return true;
    while (w.n) {
        tf_node n = *tf_at(r, w.stack[--w.n]);
        if (n.kind == TF_ARG && n.body == body) return true;
        if (r->visits++ > TF_VISITS) return true;
        if (n.state == TF_DONE || n.kind == TF_INPUT || n.kind == TF_ARG) continue;
        for (uint32_t k = 0; k < n.n_in; k++)
            if (!push(r, &w, tf_in(r, &n, k))) return true;
    }
    return false;
}

/* ---- what it multiplies ---- */

typedef struct product {
    int64_t rows, cols;
    bool x, h;
    uint32_t weight; /* node */
    uint32_t joins;  /* concatenations on its left side */
} product;

/* The values that a loop carries, by layer. */
typedef struct layering {
    tf_loop l;
    uint32_t *made;  /* the node that makes value i in a round; TF_NONE: nothing is carried there */
    uint32_t *layer; /* of value i; those that the loop doesn't carry are in none: UINT32_MAX */
    uint32_t n_layers;
} layering;

typedef struct cell {
    tf_loop l;
    const layering *s;
    uint32_t layer; /* in s */
    product p[PRODUCTS];
    uint32_t n;
    tf_ref x;           /* the list of inputs; node TF_NONE: there is none */
    uint32_t below;     /* the layer whose state is x; UINT32_MAX: the list is */
    uint32_t h, c;      /* which values are carried; UINT32_MAX: none */
    int64_t in, hidden; /* sizes */
    int gates;
    double bias; /* numbers in all */
    str bias_name;
    bool fits, after; /* after: GRU's reset gate works on the product */
} cell;

static uint32_t carried_index(const tf_reader *r, const tf_loop *l, uint32_t node)
{
    for (uint32_t i = 0; i < l->n; i++)
        if (r->args[l->first_arg + i] == node) return i;
    return UINT32_MAX;
}

/* The value of another layer that this node makes; UINT32_MAX: it makes none. */
static uint32_t made_elsewhere(const tf_reader *r, const cell *c, uint32_t node)
{
    if (!tf_at(r, node)->carried) return UINT32_MAX;
    for (uint32_t i = 0; i < c->l.n; i++)
        if (c->s->made[i] == node && c->s->layer[i] != c->layer) return i;
    return UINT32_MAX;
}

static bool is_read(const tf_node *n)
{
    return tf_is(n, "TensorListGetItem") || tf_is(n, "TensorArrayReadV3");
}

/* Operators after which an entry of the list isn't what the layer takes. */
static bool reshapes(const tf_node *n)
{
    static const char *const ops[] = {"Reshape",   "StridedSlice", "Slice",  "Mean",    "Sum",
                                      "Max",       "Pack",         "Unpack", "Squeeze", "ExpandDims",
                                      "Transpose", "GatherV2",     "Gather", "Pad",     "Tile"};
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
        if (tf_is(n, ops[i])) return true;
    return tf_is(n, "ConcatV2") && n->n_in != 3; /* x, h, and the axis */
}

/* Where the left side of a product comes from, as far as the products before it. */
static bool trace(tf_reader *r, cell *c, product *p, tf_ref from)
{
    walk w = {NULL, 0, 0};
    if (!fresh_marks(r) || !push(r, &w, from)) return false;
    while (w.n && r->visits++ < TF_VISITS) {
        uint32_t at = w.stack[--w.n];
        tf_node n = *tf_at(r, at);
        if (n.kind == TF_ARG) {
            uint32_t i = carried_index(r, &c->l, at);
            tf_ref ignored;
            if (i == UINT32_MAX || tf_carries(r, &c->l, i, &ignored) != TF_CARRIED) continue;
            if (c->h != UINT32_MAX && c->h != i) c->fits = false;
            c->h = i;
            p->h = true;
            continue;
        }
        uint32_t other = made_elsewhere(r, c, at);
        if (other != UINT32_MAX) {
            if (c->below != UINT32_MAX && c->below != c->s->layer[other]) c->fits = false;
            c->below = c->s->layer[other];
            p->x = true;
            continue;
        }
        if (n.kind != TF_OP || n.state == TF_DONE || tf_is(&n, "MatMul") || tf_is(&n, "Const")) continue;
        p->joins += tf_is(&n, "ConcatV2");
        if (reshapes(&n)) c->fits = false;
        if (is_read(&n)) {
            tf_ref list = tf_in(r, &n, tf_is(&n, "TensorArrayReadV3") ? 2 : 0);
            if (tf_resolve(r, &list)) return false;
            if (c->x.node != TF_NONE && c->x.node != list.node) c->fits = false;
            c->x = list;
            p->x = true;
            continue;
        }
        for (uint32_t k = 0; k < n.n_in; k++)
            if (!push(r, &w, tf_in(r, &n, k))) return false;
    }
    return true;
}

/* Operators that no recurrent layer has. */
static bool is_foreign(const tf_node *n)
{
    static const char *const ops[] = {"Conv2D", "Conv3D",  "BatchMatMul",           "BatchMatMulV2",  "BatchMatMulV3",
                                      "Einsum", "Softmax", "DepthwiseConv2dNative", "ResourceGather", "TopKV2"};
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
        if (tf_is(n, ops[i])) return true;
    return n->kind == TF_LOOP || n->kind == TF_BRANCH;
}

static void take_bias(tf_reader *r, cell *c, const tf_node *n)
{
    tf_shape s;
    bool sum = tf_is(n, "BiasAdd") || tf_is(n, "Add") || tf_is(n, "AddV2");
    for (uint32_t i = 0; sum && i < n->n_in; i++) {
        tf_ref ref = tf_in(r, n, i);
        if (!tf_static_shape(r, ref, &s, 0) || s.rank != 1 || s.dims[0] < 2) continue;
        uint32_t w = tf_weight_of(r, ref);
        if (w != TF_NONE) c->bias_name = tf_at(r, w)->name;
        c->bias += (double)s.dims[0];
    }
}

static bool take_product(tf_reader *r, cell *c, const tf_node *n)
{
    tf_shape s;
    if (c->n == PRODUCTS || n->n_in != 2 || !tf_static_shape(r, tf_in(r, n, 1), &s, 0) || s.rank != 2) return false;
    bool turned = tf_attr_int(n, "transpose_b", 0) != 0;
    if (tf_attr_int(n, "transpose_a", 0)) return false;
    product p = {s.dims[turned], s.dims[!turned], false, false, tf_weight_of(r, tf_in(r, n, 1)), 0};
    c->p[c->n++] = p;
    return true;
}

/* Walks over a layer's part of a round: its products, its biases, whether there is anything foreign. A layer that is alone has all of
 * the round. */
static bool collect(tf_reader *r, cell *c, tf_ref *left)
{
    walk w = {NULL, 0, 0};
    if (!fresh_marks(r)) return false;
    for (uint32_t i = 0; i < c->l.n; i++) {
        bool mine = c->s->n_layers == 1 || c->s->layer[i] == c->layer;
        if (mine && tf_at(r, r->args[c->l.first_arg + i])->kind == TF_ARG && !push(r, &w, r->refs[c->l.first_ret + i]))
            return false;
    }
    while (w.n) {
        uint32_t at = w.stack[--w.n];
        tf_node n = *tf_at(r, at);
        if (made_elsewhere(r, c, at) != UINT32_MAX) continue;
        if (r->visits++ > TF_VISITS || (n.state != TF_DONE && is_foreign(&n))) return false;
        if (n.kind != TF_OP || n.state == TF_DONE) continue;
        take_bias(r, c, &n);
        if (tf_is(&n, "MatMul")) {
            if (!take_product(r, c, &n)) return false;
            left[c->n - 1] = tf_in(r, &n, 0);
        }
        if (is_read(&n)) continue; /* what is behind the list was made before the loop */
        for (uint32_t k = 0; k < n.n_in; k++)
            if (!push(r, &w, tf_in(r, &n, k))) return false;
    }
    return c->n > 0;
}

/* ---- which layer it is ---- */

/* Weights of x and h in one: told by how many values are carried. */
static bool fit_joined(cell *c, uint32_t states)
{
    int64_t rows = c->p[0].rows, least = c->p[0].cols, all = 0;
    for (uint32_t i = 0; i < c->n; i++) {
        if (!c->p[i].x || !c->p[i].h || c->p[i].joins != 1 || c->p[i].rows != rows) return false;
        if (c->p[i].cols < least) least = c->p[i].cols;
        all += c->p[i].cols;
    }
    if (states == 2 && c->n == 1 && all % 4 == 0) c->gates = 4;
    else if (states == 1 && c->n == 2 && all == 3 * least) c->gates = 3;
    else if (states == 1 && c->n == 1) c->gates = 1;
    else return false;
    c->hidden = all / c->gates;
    c->in = rows - c->hidden;
    return c->in > 0;
}

static bool fit_apart(cell *c, uint32_t states)
{
    int64_t of_x = 0, of_h = 0;
    for (uint32_t i = 0; i < c->n; i++) {
        product *p = &c->p[i];
        int64_t *size = p->x ? &c->in : &c->hidden;
        if (p->x == p->h || p->joins || (*size && *size != p->rows)) return false;
        *size = p->rows;
        *(p->x ? &of_x : &of_h) += p->cols;
    }
    if (!c->in || !c->hidden || of_x != of_h || of_h % c->hidden) return false;
    int64_t gates = of_h / c->hidden;
    c->gates = gates <= 4 ? (int)gates : 0;
    c->after = c->gates == 3 && c->n == 2;
    return c->gates == 4 ? states == 2 : (c->gates == 3 || c->gates == 1) && states == 1;
}

static bool same(tf_reader *r, uint32_t a, uint32_t b)
{
    tf_ref x = r->refs[a], y = r->refs[b];
    pg_error saved = *r->e;
    if (tf_resolve(r, &x) || tf_resolve(r, &y)) {
        *r->e = saved;
        return false;
    }
    return x.node == y.node && x.port == y.port;
}

/* Whether value i is what h is, again. */
static bool is_copy_of_h(tf_reader *r, const cell *c, uint32_t i)
{
    return i == c->h || same(r, c->l.first_ret + i, c->l.first_ret + c->h);
}

static bool recognise(tf_reader *r, cell *c)
{
    tf_ref left[PRODUCTS];
    uint32_t states = 0;
    if (!collect(r, c, left)) return false;
    for (uint32_t i = 0; i < c->n; i++)
        if (!trace(r, c, &c->p[i], left[i])) return false;
    bool of_list = c->x.node != TF_NONE && tf_at(r, c->x.node)->kind != TF_ARG;
    if (!c->fits || c->h == UINT32_MAX || of_list == (c->below != UINT32_MAX)) return false;
    for (uint32_t i = 0; i < c->l.n; i++) {
        if (c->s->layer[i] != c->layer) continue;
        if (i != c->h && is_copy_of_h(r, c, i)) continue;
        if (i != c->h) c->c = i;
        states++;
    }
    bool joined = c->p[0].x && c->p[0].h;
    return joined ? fit_joined(c, states) : fit_apart(c, states);
}

/* ---- the layer ---- */

static uint32_t weight(tf_reader *r, const cell *c, uint32_t from, str name, int rank, const int64_t *dims)
{
    dtype d = DT_FP32;
    if (from != TF_NONE && tf_dtype(tf_attr_int(tf_at(r, from), "dtype", 0))) {
        d = tf_dtype(tf_attr_int(tf_at(r, from), "dtype", 0));
        name = tf_at(r, from)->name;
    }
    (void)c;
    uint32_t t = graph_add_weight(r->g, name, d, rank, dims);
    if (t != NO_TENSOR) r->g->tensors[t].defined = true;
    return t;
}

/* The product that has this side's weights. */
static uint32_t weight_node(const cell *c, bool h)
{
    for (uint32_t i = 0; i < c->n; i++)
        if (h ? c->p[i].h : c->p[i].x) return c->p[i].weight;
    return TF_NONE;
}

/* What a state starts with; NO_TENSOR: zeros. */
static uint32_t start_of(tf_reader *r, uint32_t i)
{
    tf_ref ref = tf_in(r, tf_at(r, r->at), i);
    if (tf_resolve(r, &ref)) return NO_TENSOR;
    const tf_node *n = tf_at(r, ref.node);
    if (n->kind == TF_OP && (tf_is(n, "Fill") || tf_is(n, "ZerosLike") || tf_is(n, "Const"))) return NO_TENSOR;
    uint32_t t = tf_tensor(r, ref);
    if (t == NO_TENSOR) return t;
    return tf_step(r, OP_Unsqueeze, (uint32_t[2]){t, tf_ints(r, (int64_t[1]){0}, 1)}, 2);
}

static uint32_t squeezed(tf_reader *r, uint32_t t, int64_t axis)
{
    return tf_step(r, OP_Squeeze, (uint32_t[2]){t, tf_ints(r, &axis, 1)}, 2);
}

/* What a layer leaves: of all steps, of the last one, and the cell of that. */
typedef struct layer_out {
    uint32_t all, last, cells;
} layer_out;

static pg_code emit_layer(tf_reader *r, const cell *c, uint32_t x, layer_out *made)
{
    const op_kind kind = c->gates == 4 ? OP_LSTM : c->gates == 3 ? OP_GRU : OP_RNN;
    str name = tf_at(r, r->at)->name;
    int64_t wide = c->gates * c->hidden, w[3] = {1, wide, c->in}, h[3] = {1, wide, c->hidden};
    int64_t bias[2] = {1, (int64_t)c->bias};
    uint32_t out[3], n_out = c->gates == 4 ? 3 : 2;
    uint32_t in[7] = {x,
                      weight(r, c, weight_node(c, false), name, 3, w),
                      weight(r, c, weight_node(c, true), name, 3, h),
                      c->bias > 0 ? weight(r, c, TF_NONE, c->bias_name.len ? c->bias_name : name, 2, bias) : NO_TENSOR,
                      NO_TENSOR,
                      start_of(r, c->h),
                      c->gates == 4 ? start_of(r, c->c) : NO_TENSOR};
    uint32_t n_in = in[6] != NO_TENSOR ? 7 : in[5] != NO_TENSOR ? 6 : in[3] != NO_TENSOR ? 4 : 3;
    for (uint32_t i = 0; i < n_out; i++) {
        out[i] = graph_add_tensor(r->g, name, DT_UNKNOWN);
        if (out[i] == NO_TENSOR) return tf_nomem(r);
        r->g->tensors[out[i]].defined = true;
    }
    uint32_t o = graph_add_op(r->g, tf_at(r, r->at)->region, kind, name, in, n_in, out, n_out);
    if (o == NO_TENSOR || !graph_attr_int(r->g, ATTR_hidden_size, c->hidden) ||
        !graph_attr_int(r->g, ATTR_linear_before_reset, c->after))
        return tf_nomem(r);
    *made = (layer_out){squeezed(r, out[0], 1), squeezed(r, out[1], 0), NO_TENSOR};
    if (c->gates == 4) made->cells = squeezed(r, out[2], 0);
    return PG_E_OK;
}

/* ---- layers above one another ---- */

/* Values that follow from one another without a product between them are of one layer: an LSTM's state follows from its cell. */
static bool join_states(tf_reader *r, layering *s, uint32_t i)
{
    walk w = {NULL, 0, 0};
    if (!fresh_marks(r) || !push(r, &w, r->refs[s->l.first_ret + i])) return false;
    while (w.n) {
        uint32_t at = w.stack[--w.n];
        tf_node n = *tf_at(r, at);
        if (r->visits++ > TF_VISITS) return false;
        for (uint32_t k = 0; n.carried && k < s->l.n; k++)
            for (uint32_t m = 0, from = s->layer[k]; s->made[k] == at && from != s->layer[i] && m < s->l.n; m++)
                if (s->layer[m] == from) s->layer[m] = s->layer[i];
        if (n.kind != TF_OP || n.state == TF_DONE || tf_is(&n, "MatMul") || is_read(&n)) continue;
        for (uint32_t k = 0; k < n.n_in; k++)
            if (!push(r, &w, tf_in(r, &n, k))) return false;
    }
    return true;
}

/* Which layer each carried value is of, counted from 0. */
static bool find_layers(tf_reader *r, layering *s)
{
    tf_ref ignored;
    s->made = ARENA_ARRAY(&r->a, uint32_t, s->l.n);
    s->layer = ARENA_ARRAY(&r->a, uint32_t, s->l.n);
    if (!s->made || !s->layer) return false;
    for (uint32_t i = 0; i < s->l.n; i++) {
        bool carried = tf_carries(r, &s->l, i, &ignored) == TF_CARRIED;
        tf_ref ret = r->refs[s->l.first_ret + i];
        pg_error saved = *r->e;
        if (carried && tf_resolve(r, &ret)) {
            *r->e = saved;
            carried = false;
        }
        s->made[i] = carried ? ret.node : TF_NONE;
        s->layer[i] = carried ? i : UINT32_MAX;
        if (carried) tf_at(r, ret.node)->carried = 1;
    }
    for (uint32_t i = 0; i < s->l.n; i++)
        if (s->layer[i] != UINT32_MAX && !join_states(r, s, i)) return false;
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->l.n; i++) { /* the first of a layer has its own number, or that of an earlier one */
        if (s->layer[i] == UINT32_MAX || s->layer[i] & 1u << 31) continue;
        uint32_t old = s->layer[i];
        for (uint32_t k = i; k < s->l.n; k++)
            if (s->layer[k] == old) s->layer[k] = n | 1u << 31;
        n++;
    }
    for (uint32_t i = 0; i < s->l.n; i++)
        if (s->layer[i] != UINT32_MAX) s->layer[i] &= ~(1u << 31);
    s->n_layers = n;
    return n > 0 && n <= LAYERS;
}

/* The layer whose state a value is, or follows from without a product; UINT32_MAX: none, or several. */
static uint32_t layer_of(tf_reader *r, const layering *s, tf_ref ref)
{
    walk w = {NULL, 0, 0};
    uint32_t found = UINT32_MAX;
    if (!fresh_marks(r) || !push(r, &w, ref)) return UINT32_MAX;
    while (w.n && r->visits++ < TF_VISITS) {
        uint32_t at = w.stack[--w.n], here = UINT32_MAX;
        tf_node n = *tf_at(r, at);
        for (uint32_t i = 0; n.carried && i < s->l.n; i++)
            if (s->made[i] == at) here = s->layer[i];
        if (here != UINT32_MAX && found != UINT32_MAX && here != found) return UINT32_MAX;
        if (here != UINT32_MAX) found = here;
        if (here != UINT32_MAX || n.kind != TF_OP || n.state == TF_DONE) continue;
        if (tf_is(&n, "MatMul") || is_foreign(&n)) return UINT32_MAX; /* a projection */
        for (uint32_t k = 0; k < n.n_in; k++)
            if (!push(r, &w, tf_in(r, &n, k))) return UINT32_MAX;
    }
    return found;
}

/* The layers from the list upwards: each is the only one above another. */
static bool order_layers(const cell *c, uint32_t n, uint32_t *order)
{
    uint32_t below = UINT32_MAX;
    for (uint32_t k = 0; k < n; k++) {
        uint32_t found = UINT32_MAX;
        for (uint32_t i = 0; i < n; i++)
            if (c[i].below == below) {
                if (found != UINT32_MAX) return false;
                found = i;
            }
        if (found == UINT32_MAX) return false;
        below = order[k] = found;
    }
    return true;
}

/* What each list that the loop writes holds. */
static bool find_written(tf_reader *r, const layering *s, uint32_t *from)
{
    tf_ref written;
    for (uint32_t i = 0; i < s->l.n; i++) {
        if (tf_carries(r, &s->l, i, &written) != TF_WRITTEN) continue;
        from[i] = s->n_layers == 1 ? 0 : layer_of(r, s, written);
        if (from[i] == UINT32_MAX) return false;
    }
    return true;
}

static pg_code emit_layers(tf_reader *r, const layering *s, const cell *c, const uint32_t *order,
                           const uint32_t *written)
{
    layer_out out[LAYERS];
    uint32_t x = NO_TENSOR;
    for (uint32_t k = 0; k < s->n_layers; k++) {
        const cell *at = &c[order[k]];
        pg_code code = k ? PG_E_OK : tf_emit(r, at->x);
        if (!code && !k) x = tf_tensor(r, at->x);
        if (!code) code = emit_layer(r, at, x, &out[order[k]]);
        if (code) return code;
        x = out[order[k]].all;
    }
    for (uint32_t i = 0; i < s->l.n; i++) {
        tf_ref ignored;
        tf_carried how = tf_carries(r, &s->l, i, &ignored);
        uint32_t t = NO_TENSOR;
        if (how == TF_WRITTEN) t = out[written[i]].all;
        else if (s->layer[i] != UINT32_MAX) t = i == c[s->layer[i]].c ? out[s->layer[i]].cells : out[s->layer[i]].last;
        if (t != NO_TENSOR && !tf_bind(r, r->at, i, t)) return tf_nomem(r);
    }
    return PG_E_OK;
}

/* Recognises every layer and how they stand; false: the loop is something else. */
static bool fit_layers(tf_reader *r, layering *s, cell *c, uint32_t *order, uint32_t *written)
{
    for (uint32_t i = 0; i < s->n_layers; i++) {
        c[i] = (cell){.l = s->l,
                      .s = s,
                      .layer = i,
                      .x = {TF_NONE, 0},
                      .below = UINT32_MAX,
                      .h = UINT32_MAX,
                      .c = UINT32_MAX,
                      .fits = true};
        if (!recognise(r, &c[i])) return false;
        if (c[i].below == UINT32_MAX && tf_depends(r, c[i].x, s->l.body)) return false;
    }
    return order_layers(c, s->n_layers, order) && find_written(r, s, written);
}

pg_code tf_try_recurrent(tf_reader *r, uint32_t node, bool *done)
{
    layering s = {.l = r->loops[tf_at(r, node)->extra]};
    uint32_t order[LAYERS], written[VALUES];
    *done = false;
    if (s.l.n > VALUES) return PG_E_OK;
    bool apart = find_layers(r, &s);
    cell *c = apart ? ARENA_ARRAY(&r->a, cell, s.n_layers) : NULL;
    *done = c && fit_layers(r, &s, c, order, written);
    for (uint32_t i = 0; s.made && i < s.l.n; i++)
        if (s.made[i] != TF_NONE) tf_at(r, s.made[i])->carried = 0;
    if (r->a.failed) return tf_nomem(r);
    return *done ? emit_layers(r, &s, c, order, written) : PG_E_OK;
}
