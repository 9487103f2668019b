/* Tensor parallelism: which linear layers are divided among the GPUs of a group, and what they then have to tell each other.
 *
 * Values that pointwise operations, attention and views connect belong together (a component): they are divided all or not at all. A
 * component can be divided when only linear layers make it and only linear layers use it: the layers that make it keep some of
 * their columns, those that use it the rows that go with them, and a sum over the GPUs follows (Megatron-LM's scheme: one all-reduce
 * behind attention, one behind the feed-forward part). Whatever sees whole rows (a normalisation, a convolution, an input) keeps its
 * component whole. Large embedding tables are divided by words, and so is the last layer where it makes scores for as many. */
#include "predict/planner.h"

enum { MANY_WORDS = 8192, ROUNDS = 16 };

typedef enum part { PART_WHOLE, PART_COLUMNS, PART_ROWS, PART_SCORES, PART_WORDS } part;

/* What is known of a component; kept at its root. */
typedef enum state { STATE_OPEN, STATE_WHOLE, STATE_DIVIDED } state;

typedef struct search {
    planner *p;
    uint32_t *parent; /* per tensor */
    uint8_t *whole;   /* per tensor, at its root: must not be divided */
    uint8_t *used;    /* ...: a linear layer uses it */
    uint8_t *state;   /* ...: state */
    bool *output;     /* ...: a result of the model */
} search;

static uint32_t root(const search *s, uint32_t t)
{
    while (s->parent[t] != t) {
        s->parent[t] = s->parent[s->parent[t]];
        t = s->parent[t];
    }
    return t;
}

static void join(const search *s, uint32_t a, uint32_t b)
{
    a = root(s, a);
    b = root(s, b);
    if (a == b) return;
    s->whole[a] |= s->whole[b];
    s->used[a] |= s->used[b];
    s->output[a] |= s->output[b];
    s->parent[b] = a;
}

static bool is_activation_value(const search *s, uint32_t t)
{
    return t != NO_TENSOR && !s->p->us->constant[t] && s->p->g->tensors[t].role != ROLE_WEIGHT &&
           plan_is_float(s->p, t);
}

/* A product with a weight matrix that is the same for all rows. */
static bool is_linear(const search *s, const unit *u)
{
    const uint32_t *in = unit_in(s->p->us, u);
    return unit_work(u) == WORK_GEMM && u->n_in >= 2 && u->n_out && is_activation_value(s, in[0]) &&
           in[1] != NO_TENSOR && s->p->us->constant[in[1]] && plan_shape(s->p, in[1])->rank == 2;
}

static double last_dim(const planner *p, uint32_t t)
{
    const tensor_shape *ts = plan_shape(p, t);
    return ts->rank > 0 && num_known(ts->dims[ts->rank - 1]) ? (double)ts->dims[ts->rank - 1].v.i : 0;
}

/* [.., heads, length, head dim] or [.., length, heads, head dim]: rows that belong to one head. */
static bool is_per_head(const search *s, const unit *u)
{
    uint32_t x = unit_in(s->p->us, u)[0];
    if (x == NO_TENSOR || plan_shape(s->p, x)->rank < 4) return false;
    double width = last_dim(s->p, x);
    for (uint32_t i = 0; i < s->p->us->n; i++) {
        const unit *a = &s->p->us->u[i];
        if (a->kind == OP_ScaledDotProductAttention && last_dim(s->p, unit_in(s->p->us, a)[0]) == width) return true;
    }
    return false;
}

/* What it does to an element does not depend on which of the others are there. */
static bool connects(const search *s, const unit *u)
{
    switch (unit_work(u)) {
    case WORK_ELEMENTWISE:
    case WORK_CAST:
    case WORK_QUANTIZE:
    case WORK_VIEW:
    case WORK_TRANSPOSE:
    case WORK_EXPAND:
    case WORK_SLICE:
    case WORK_COPY:
    case WORK_SOFTMAX: return true;
    case WORK_ATTENTION: return u->kind == OP_ScaledDotProductAttention;
    case WORK_GEMM:
    case WORK_EINSUM: { /* of two activations, a product for each head */
        const uint32_t *in = unit_in(s->p->us, u);
        return u->n_in >= 2 && is_activation_value(s, in[0]) && is_activation_value(s, in[1]) &&
               plan_shape(s->p, in[0])->rank >= 3 && plan_shape(s->p, in[1])->rank >= 3;
    }
    case WORK_GATHER: /* x[0] of queries, keys and values */
        return u->n_in >= 2 && unit_in(s->p->us, u)[1] != NO_TENSOR && s->p->us->constant[unit_in(s->p->us, u)[1]] &&
               is_activation_value(s, unit_in(s->p->us, u)[0]);
    case WORK_NORM: return is_per_head(s, u);
    default: return false;
    }
}

/* A mask or a scale that is repeated along the others is there for all. */
static bool is_broadcast(const search *s, const unit *u, uint32_t k, uint32_t t)
{
    if (unit_work(u) == WORK_ATTENTION) return k >= 3;
    if (unit_work(u) != WORK_ELEMENTWISE) return false;
    uint32_t out = unit_out(s->p->us, u)[0];
    return out != NO_TENSOR && s->p->v[t].elements < s->p->v[out].elements;
}

static void join_unit(const search *s, const unit *u)
{
    const uint32_t *in = unit_in(s->p->us, u);
    uint32_t all = (uint32_t)u->n_in + u->n_out, first = NO_TENSOR;
    bool linear = is_linear(s, u), open = !linear && connects(s, u);
    for (uint32_t k = 0; k < all; k++) { /* outputs follow the inputs */
        uint32_t t = in[k];
        if (!is_activation_value(s, t)) continue;
        if (linear) {
            if (k == 0) s->used[root(s, t)] = 1;
            else if (k < u->n_in) s->whole[root(s, t)] = 1;
        } else if (!open) s->whole[root(s, t)] = 1;
        else if (k >= u->n_in || !is_broadcast(s, u, k, t)) {
            if (first != NO_TENSOR) join(s, first, t);
            first = t;
        }
    }
}

/* Cached keys and values come and go divided by heads; other inputs and outputs are whole. */
static void join_all(const search *s)
{
    const planner *p = s->p;
    for (uint32_t t = 0; t < p->g->n_tensors; t++) {
        const tensor *x = &p->g->tensors[t];
        s->parent[t] = t;
        s->output[t] = x->is_output;
        s->whole[t] = (x->role == ROLE_INPUT || x->is_output) && plan_shape(p, t)->rank < 4;
    }
    for (uint32_t i = 0; i < p->us->n; i++) join_unit(s, &p->us->u[i]);
}

/* Divides what can be, in order; a component whose maker already uses a divided one stays whole. Until nothing changes. */
static void decide(const search *s)
{
    const planner *p = s->p;
    for (int round = 0; round < ROUNDS; round++) {
        bool again = false;
        for (uint32_t t = 0; t < p->g->n_tensors; t++) s->state[t] = s->whole[t] ? STATE_WHOLE : STATE_OPEN;
        for (uint32_t i = 0; i < p->us->n; i++) {
            const unit *u = &p->us->u[i];
            if (!is_linear(s, u)) continue;
            uint32_t a = root(s, unit_in(p->us, u)[0]), b = root(s, unit_out(p->us, u)[0]);
            bool divided = s->state[a] == STATE_DIVIDED;
            if (s->state[b] == STATE_OPEN) s->state[b] = divided || !s->used[b] || a == b ? STATE_WHOLE : STATE_DIVIDED;
            else if (divided && s->state[b] == STATE_DIVIDED) {
                s->whole[b] = 1;
                again = true;
            }
        }
        if (!again) return;
    }
}

static bool divides(double parts, double n)
{
    return parts > 0 && n / parts == floor(n / parts);
}

static double at_least_one(double x)
{
    return x > 1 ? x : 1;
}

static pg_code not_divisible(const planner *p, const unit *u, double n, const char *what, pg_error *e)
{
    str name = p->g->ops[u->op].name;
    return error_set(e, PG_E_USAGE, "--tensor-parallel %g does not divide the %.0f %s of '%.*s'", p->opt.tensor, n,
                     what, STR_ARG(name));
}

/* The weight behind a linear layer's operand, which may be a view of it. */
static void divide_weight(planner *p, uint32_t t)
{
    for (int depth = 0; depth < 8 && t != NO_TENSOR; depth++) {
        p->v[t].shards = p->opt.tensor;
        if (p->g->tensors[t].role == ROLE_WEIGHT || !p->maker[t]) return;
        const unit *u = &p->us->u[p->maker[t] - 1];
        t = u->n_in ? unit_in(p->us, u)[0] : NO_TENSOR;
    }
}

static pg_code assign_linear(planner *p, const search *s, uint32_t i, pg_error *e)
{
    const unit *u = &p->us->u[i];
    const uint32_t *in = unit_in(p->us, u);
    uint32_t out = unit_out(p->us, u)[0], b = root(s, out);
    bool from = s->state[root(s, in[0])] == STATE_DIVIDED, to = s->state[b] == STATE_DIVIDED;
    double n = last_dim(p, out), k = last_dim(p, in[0]);
    part role = from && !to ? PART_ROWS : !from && to ? PART_COLUMNS : PART_WHOLE;
    if (role == PART_WHOLE && s->output[b] && n >= MANY_WORDS) role = PART_SCORES;
    if (role == PART_COLUMNS && !divides(p->opt.tensor, n)) return not_divisible(p, u, n, "columns", e);
    if (role == PART_ROWS && !divides(p->opt.tensor, k)) return not_divisible(p, u, k, "rows", e);
    p->part[i] = (uint8_t)role;
    if (role == PART_WHOLE) return PG_E_OK;
    divide_weight(p, in[1]);
    for (uint32_t j = 2; j < u->n_in && role != PART_ROWS; j++)
        if (in[j] != NO_TENSOR && p->v[in[j]].elements == n) p->v[in[j]].shards = p->opt.tensor;
    return PG_E_OK;
}

static pg_code assign_heads(planner *p, uint32_t i, pg_error *e)
{
    const unit *u = &p->us->u[i];
    const uint32_t *in = unit_in(p->us, u);
    double n = p->opt.tensor;
    for (int k = 0; k < 2; k++) { /* queries, keys */
        const tensor_shape *ts = in[k] == NO_TENSOR ? NULL : plan_shape(p, in[k]);
        if (!ts || ts->rank < 4 || !num_known(ts->dims[ts->rank - 3])) continue;
        double heads = (double)ts->dims[ts->rank - 3].v.i;
        bool copies = k == 1 && divides(heads, n); /* fewer keys than GPUs: several keep the same */
        if (!divides(n, heads) && !copies) return not_divisible(p, u, heads, k ? "key heads" : "attention heads", e);
    }
    return PG_E_OK;
}

static pg_code assign(planner *p, const search *s, pg_error *e)
{
    uint32_t sums = 0;
    pg_code code = PG_E_OK;
    for (uint32_t t = 0; t < p->g->n_tensors; t++)
        if (is_activation_value(s, t) && s->state[root(s, t)] == STATE_DIVIDED) p->v[t].shards = p->opt.tensor;
    for (uint32_t i = 0; !code && i < p->us->n; i++) {
        const unit *u = &p->us->u[i];
        bool divided = u->n_out && unit_out(p->us, u)[0] != NO_TENSOR && p->v[unit_out(p->us, u)[0]].shards > 1;
        if (unit_work(u) == WORK_ATTENTION && divided) code = assign_heads(p, i, e);
    }
    for (uint32_t i = 0; !code && i < p->us->n; i++) {
        const unit *u = &p->us->u[i];
        uint32_t table = u->n_in ? unit_in(p->us, u)[0] : NO_TENSOR;
        if (is_linear(s, u)) {
            code = assign_linear(p, s, i, e);
            sums += p->part[i] == PART_ROWS;
        } else if (u->kind == OP_Gather && table != NO_TENSOR && p->g->tensors[table].role == ROLE_WEIGHT) {
            const tensor_shape *ts = plan_shape(p, table);
            if (ts->rank != 2 || !num_known(ts->dims[0]) || ts->dims[0].v.i < MANY_WORDS) continue;
            p->part[i] = PART_WORDS;
            divide_weight(p, table);
        }
    }
    if (code || sums) return code;
    for (uint32_t i = 0; i < p->us->n; i++)
        if (unit_work(&p->us->u[i]) == WORK_COMM) return PG_E_OK; /* the request is refused for another reason */
    return error_set(e, PG_E_UNSUPPORTED,
                     "--tensor-parallel %g: the model has no pairs of linear layers to divide; use --data-parallel",
                     p->opt.tensor);
}

pg_code parallel_units(planner *p, pg_error *e)
{
    uint32_t n = p->g->n_tensors;
    for (uint32_t t = 0; t < n; t++) p->v[t].shards = 1;
    if (p->opt.tensor <= 1) return PG_E_OK;
    search s = {.p = p};
    s.parent = ARENA_ARRAY(p->a, uint32_t, n);
    s.whole = ARENA_ARRAY(p->a, uint8_t, n);
    s.used = ARENA_ARRAY(p->a, uint8_t, n);
    s.state = ARENA_ARRAY(p->a, uint8_t, n);
    s.output = ARENA_ARRAY(p->a, bool, n);
    p->part = ARENA_ARRAY(p->a, uint8_t, p->us->n + 1);
    if (!s.parent || !s.whole || !s.used || !s.state || !s.output || !p->part) return error_nomem(e, p->a);
    join_all(&s);
    decide(&s);
    return assign(p, &s, e);
}

/* ---- pipeline stages ---- */

/* For each unit the bytes of weights that it is the first to use, and of the values that are made up to it and used after it: what a
 * cut behind it would send on. */
pg_code parallel_cuts(planner *p, pg_error *e)
{
    const units *us = p->us;
    uint32_t n = p->g->n_tensors;
    plan_cut *cut = p->out->cuts = ARENA_ARRAY(p->a, plan_cut, (size_t)us->n + 1);
    uint32_t *made = ARENA_ARRAY(p->a, uint32_t, n), *last = ARENA_ARRAY(p->a, uint32_t, n);
    if (!cut || !made || !last) return error_nomem(e, p->a);
    for (uint32_t i = 0; i < us->n; i++) {
        const unit *u = &us->u[i];
        for (uint32_t k = 0; k < (uint32_t)u->n_in + u->n_out; k++) {
            uint32_t t = unit_in(us, u)[k];
            if (t == NO_TENSOR) continue;
            bool weight = p->g->tensors[t].role == ROLE_WEIGHT;
            uint32_t base = weight ? t : p->v[t].base;
            if (weight && !last[t]) cut[i].weights += value_bytes(&p->v[t]);
            if (!made[base]) made[base] = i + 1;
            last[base] = i + 1;
        }
    }
    for (uint32_t t = 0; t < n; t++) {
        if (p->g->tensors[t].role == ROLE_WEIGHT || p->v[t].elements < 0 || p->v[t].virtual || last[t] <= made[t])
            continue;
        if (p->us->constant[t]) continue;
        cut[made[t] - 1].live += value_bytes(&p->v[t]); /* as a difference first */
        cut[last[t] - 1].live -= value_bytes(&p->v[t]);
    }
    double live = 0;
    for (uint32_t i = 0; i < us->n; i++) {
        live += cut[i].live;
        cut[i].live = live > 0 ? live : 0;
    }
    p->out->n_cuts = us->n;
    return PG_E_OK;
}

/* ---- kernels ---- */

/* This GPU's part of the kernel that the unit at hand was lowered to; its bytes are so already. */
void parallel_kernel(planner *p, kernel *k)
{
    if (!p->part) return;
    uint32_t out = plan_out(p, 0);
    double whole = k->flops, n = p->opt.tensor, shards = out == NO_TENSOR ? 1 : p->v[out].shards;
    part role = (part)p->part[p->ui];
    if (k->kind == KERNEL_GEMM && (role == PART_COLUMNS || role == PART_SCORES)) {
        k->shape.gemm.n /= n;
        k->flops /= n;
    } else if (k->kind == KERNEL_GEMM && role == PART_ROWS) {
        k->shape.gemm.k /= n;
        k->flops /= n;
    } else if (shards > 1) {
        k->flops /= shards;
        if (k->kind == KERNEL_GEMM) k->shape.gemm.batch = at_least_one(k->shape.gemm.batch / shards);
        else if (k->kind == KERNEL_ATTENTION) {
            attention_shape *s = &k->shape.attention;
            s->heads /= shards;
            s->kv_heads = at_least_one(s->kv_heads / shards);
        } else if (k->kind != KERNEL_COMM) k->shape.rows.rows = at_least_one(k->shape.rows.rows / shards);
    }
    p->whole_flops += whole;
    p->divided_flops += whole > k->flops ? whole : 0;
}

static void emit_collective(planner *p, comm_kind what, double bytes, double gpus)
{
    kernel k;
    memset(&k, 0, sizeof k);
    k.kind = KERNEL_COMM;
    k.math = PREC_FP32;
    k.shape.comm = (comm_shape){bytes, gpus, what, (comm_own)p->rt->own_allreduce};
    plan_emit(p, &k, STEP_COMM, OP_KIND_COUNT);
}

/* What has to be exchanged once a unit has run. */
void parallel_after(planner *p, uint32_t i)
{
    if (!p->part || p->part[i] <= PART_COLUMNS) return;
    uint32_t out = unit_out(p->us, &p->us->u[i])[0];
    double bytes = p->v[out].elements * p->v[out].width;
    emit_collective(p, p->part[i] == PART_SCORES ? COMM_ALL_GATHER : COMM_ALL_REDUCE, bytes, p->opt.tensor);
}

/* Gradients of what a divided layer read come in parts too: behind attention and the feed-forward part once each. */
void parallel_backward(planner *p)
{
    if (!p->part || (p->part[p->ui] != PART_ROWS && p->part[p->ui] != PART_SCORES)) return;
    uint32_t t = p->part[p->ui] == PART_ROWS ? plan_out(p, 0) : plan_in(p, 0);
    emit_collective(p, COMM_ALL_REDUCE, p->v[t].elements * p->v[t].width, p->opt.tensor);
}

void lower_collective(planner *p)
{
    static const struct {
        const char *mode;
        comm_kind what;
    } modes[] = {{"allgather", COMM_ALL_GATHER},
                 {"reducescatter", COMM_REDUCE_SCATTER},
                 {"alltoall", COMM_ALL_TO_ALL},
                 {"broadcast", COMM_BROADCAST},
                 {"send", COMM_SEND}};
    uint32_t x = plan_in(p, 0);
    if (x == NO_TENSOR || p->v[x].elements < 0) return;
    str mode = op_attr_str(p->g, &p->g->ops[p->u->op], ATTR_mode);
    comm_kind what = COMM_ALL_REDUCE;
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if (str_is(mode, modes[i].mode)) what = modes[i].what;
    p->out->collective = true;
    emit_collective(p, what, p->v[x].elements * p->v[x].width, p->opt.group > 1 ? p->opt.group : 1);
}
