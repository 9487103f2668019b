#include "graph/num.h"
#include "graph/unit_internal.h"

static const struct {
    uint8_t work;
    double flops;
} traits[OP_KIND_COUNT] = {
#define OP(name, min_in, max_in, max_out, shape, work, flops) [OP_##name] = {WORK_##work, flops},
#include "graph/ops.def"
#undef OP
};

work_class op_work_class(op_kind k)
{
    return (unsigned)k < OP_KIND_COUNT ? (work_class)traits[k].work : WORK_OTHER;
}

double op_flops_per_element(op_kind k)
{
    return (unsigned)k < OP_KIND_COUNT ? traits[k].flops : 0;
}

/* ---- laying out ---- */

static bool add_line(lines *ls, uint32_t o, double trips)
{
    if (ls->n == ls->cap) {
        uint32_t cap = ls->cap ? ls->cap * 2 : ls->g->n_ops + 64;
        line *l = arena_grow(ls->a, ls->l, ls->cap, cap, sizeof *l);
        if (!l) return false;
        ls->l = l;
        ls->cap = cap;
    }
    ls->l[ls->n++] = (line){.op = o, .trips = trips, .kind = ls->g->ops[o].kind, .n_ops = 1, .at = o, .out = NO_TENSOR};
    return true;
}

static bool lay_out(lines *ls, uint32_t r, double trips, unsigned depth)
{
    const graph *g = ls->g;
    if (depth > 64) return true; /* loaders bound the nesting */
    for (uint32_t i = 0; i < g->regions[r].n_ops; i++) {
        uint32_t o = g->regions[r].ops[i];
        const op *p = &g->ops[o];
        if (op_work_class((op_kind)p->kind) != WORK_CONTROL) {
            if (!add_line(ls, o, trips)) return false;
            continue;
        }
        for (uint32_t k = 0; k < p->n_attr; k++) {
            const attr *at = &g->attrs[p->first_attr + k];
            if (at->type != ATTR_REGION) continue;
            num t = ls->s->trips[at->v.index];
            double inner = num_known(t) ? (double)t.v.i : 1;
            if (inner > 0 && !lay_out(ls, at->v.index, trips * inner, depth + 1)) return false;
        }
    }
    return true;
}

static bool is_folded(const shapes *s, uint32_t t)
{
    const tensor_shape *ts = &s->t[t];
    if (!ts->value) return false;
    for (uint32_t i = 0; i < ts->value_count; i++)
        if (!num_known(ts->value[i])) return false;
    return true;
}

/* Whole-number bookkeeping of a few elements whose value is not known: runs on the host. A number for each sample, such as the length
 * of its sentence, is data, however few the samples are. */
static bool is_bookkeeping(const graph *g, const shapes *s, uint32_t t)
{
    const tensor_shape *ts = &s->t[t];
    double n = shape_elements(ts);
    if (ts->rank == 1 && ts->dims[0].sym == g->batch_symbol && ts->dims[0].k != 0) return false;
    return (ts->dtype == DT_INT64 || ts->dtype == DT_BOOL || ts->dtype == DT_STRING) && n >= 0 && n <= 16 &&
           ts->rank <= 1;
}

static bool is_one(const lines *ls, uint32_t t)
{
    if (t == NO_TENSOR) return false;
    const tensor_shape *s = &ls->s->t[t];
    return s->rank == 0 || (s->rank == 1 && s->dims[0].sym == SYM_NONE && num_is(s->dims[0], 1));
}

/* One number made of numbers that are known: the framework's source computes it, head_dim ** -0.5. */
static bool is_number(const lines *ls, const op *o)
{
    if (!o->n_in || o->n_out != 1 || !is_one(ls, op_out(ls->g, o)[0])) return false;
    for (uint32_t i = 0; i < op_value_inputs(o); i++) {
        uint32_t t = op_in(ls->g, o)[i];
        if (!is_one(ls, t) || !is_folded(ls->s, t)) return false;
    }
    return true;
}

static bool needs_no_gpu(const lines *ls, const op *o)
{
    if (op_work_class((op_kind)o->kind) == WORK_FREE || is_number(ls, o)) return true;
    for (uint32_t i = 0; i < o->n_out; i++) {
        uint32_t t = op_out(ls->g, o)[i];
        if (t != NO_TENSOR && !is_folded(ls->s, t) && !is_bookkeeping(ls->g, ls->s, t)) return false;
    }
    return true;
}

/* What is read besides operators that are laid out: outputs, and what control flow takes. */
static void find_fixed_uses(lines *ls)
{
    const graph *g = ls->g;
    for (uint32_t r = 0; r < g->n_regions; r++)
        for (uint32_t i = 0; i < g->regions[r].n_outputs; i++) ls->uses[g->regions[r].outputs[i]]++;
    for (uint32_t i = 0; i < g->n_ops; i++) { /* control flow reads its inputs: carried values, conditions */
        const op *o = &g->ops[i];
        if (op_work_class((op_kind)o->kind) != WORK_CONTROL) continue;
        for (uint32_t k = 0; k < o->n_in; k++)
            if (op_in(g, o)[k] != NO_TENSOR) ls->uses[op_in(g, o)[k]]++;
    }
}

/* From the end to the start: an operator is alive when something alive reads one of its outputs. */
static void find_uses(lines *ls)
{
    const graph *g = ls->g;
    find_fixed_uses(ls);
    for (uint32_t i = ls->n; i-- > 0;) {
        line *l = &ls->l[i];
        const op *o = &g->ops[l->op];
        bool alive = false;
        for (uint32_t k = 0; k < o->n_out; k++) {
            uint32_t t = op_out(g, o)[k];
            if (t == NO_TENSOR) continue;
            alive |= ls->uses[t] > 0;
            ls->producer[t] = i + 1;
        }
        l->skip = !alive || needs_no_gpu(ls, o);
        if (l->skip) continue;
        for (uint32_t k = 0; k < o->n_in; k++) {
            uint32_t t = op_in(g, o)[k];
            if (t == NO_TENSOR) continue;
            ls->uses[t]++;
            if (!ls->consumer[t]) ls->consumer[t] = i + 1;
        }
    }
}

/* Slices that cut padding off where there is none. */
static void drop_slices(lines *ls)
{
    for (uint32_t i = 0; i < ls->n; i++) {
        line *l = &ls->l[i];
        uint32_t x = line_in(ls, l, 0), y = line_out(ls, l);
        if (l->skip || l->kind != OP_Slice || x == NO_TENSOR || y == NO_TENSOR) continue;
        double all = shape_elements(&ls->s->t[x]);
        if (all < 0 || all != shape_elements(&ls->s->t[y])) continue;
        lines_lead(l, OP_Identity, 0, y);
        l->in[0] = x;
        l->n_in = 1;
    }
}

/* Whether a Transpose leaves the dims of more than one element in their order. */
static bool turns_nothing(const lines *ls, const line *l)
{
    const int64_t *perm = NULL;
    uint32_t n = op_attr_ints(ls->g, line_op(ls, l), ATTR_perm, &perm), x = line_in(ls, l, 0);
    int64_t before = -1;
    if (!n || x == NO_TENSOR || ls->s->t[x].rank != (int)n) return false;
    for (uint32_t i = 0; i < n; i++) {
        if (perm[i] < 0 || perm[i] >= (int64_t)n) return false;
        num size = ls->s->t[x].dims[perm[i]];
        if (num_plain(size) && size.v.i == 1) continue;
        if (perm[i] < before) return false;
        before = perm[i];
    }
    return true;
}

static void join_turns(lines *ls)
{
    enum { VIEWS = 4 };
    for (uint32_t i = 0; i < ls->n; i++) {
        line *l = &ls->l[i];
        if (l->skip || l->leader || l->kind != OP_Transpose || l->n_in) continue;
        uint32_t out = line_out(ls, l), x = line_in(ls, l, 0), n = 0;
        line *taken[VIEWS], *before = lines_private(ls, x, OP_KIND_COUNT);
        while (n < VIEWS && before && (before->kind == OP_Unsqueeze || before->kind == OP_Squeeze)) {
            taken[n++] = before;
            before = lines_private(ls, line_in(ls, before, 0), OP_KIND_COUNT);
        }
        if (before && before->kind == OP_Transpose && !ls->constant[line_out(ls, before)]) {
            for (uint32_t k = 0; k < n; k++) lines_absorb(ls, l, taken[k]);
            lines_absorb(ls, l, before);
            lines_lead(l, OP_Transpose, 0, out);
            l->in[0] = line_in(ls, before, 0);
            l->n_in = 1;
        } else if (turns_nothing(ls, l)) {
            lines_lead(l, OP_Reshape, 0, out);
            l->in[0] = x;
            l->n_in = 1;
        }
    }
}

/* What was put together may not need all that its parts read: a mask that is now a flag, a view. */
static void drop_unread(lines *ls)
{
    const graph *g = ls->g;
    memset(ls->uses, 0, g->n_tensors * sizeof *ls->uses);
    find_fixed_uses(ls);
    for (uint32_t i = ls->n; i-- > 0;) {
        line *l = &ls->l[i];
        const op *o = line_op(ls, l);
        if (l->skip || l->leader) continue;
        bool alive = l->out != NO_TENSOR && ls->uses[l->out];
        for (uint32_t k = 0; l->out == NO_TENSOR && k < o->n_out; k++)
            alive |= op_out(g, o)[k] != NO_TENSOR && ls->uses[op_out(g, o)[k]];
        l->skip = !alive;
        uint32_t n_in = l->n_in ? l->n_in : o->n_in;
        for (uint32_t k = 0; alive && k < n_in; k++)
            if (line_in(ls, l, k) != NO_TENSOR) ls->uses[line_in(ls, l, k)]++;
    }
}

static void find_constants(lines *ls)
{
    const graph *g = ls->g;
    for (uint32_t t = 0; t < g->n_tensors; t++)
        ls->constant[t] = g->tensors[t].role == ROLE_WEIGHT || is_folded(ls->s, t);
    for (uint32_t i = 0; i < ls->n; i++) {
        const op *o = &g->ops[ls->l[i].op];
        work_class w = op_work_class((op_kind)o->kind);
        bool constant = o->n_in > 0 || w == WORK_FILL;
        if (o->kind == OP_RandomNormal || o->kind == OP_RandomUniform || o->kind == OP_Bernoulli) constant = false;
        for (uint32_t k = 0; k < op_value_inputs(o); k++) {
            uint32_t t = op_in(g, o)[k];
            if (t != NO_TENSOR && g->tensors[t].role != ROLE_ABSENT && !ls->constant[t]) constant = false;
        }
        for (uint32_t k = 0; constant && k < o->n_out; k++)
            if (op_out(g, o)[k] != NO_TENSOR) ls->constant[op_out(g, o)[k]] = true;
    }
}

/* ---- helpers for recompose*.c ---- */

const op *line_op(const lines *ls, const line *l)
{
    return &ls->g->ops[l->op];
}

uint32_t line_in(const lines *ls, const line *l, uint32_t i)
{
    if (l->n_in) return i < l->n_in ? l->in[i] : NO_TENSOR;
    return op_input(ls->g, line_op(ls, l), i);
}

uint32_t line_out(const lines *ls, const line *l)
{
    if (l->out != NO_TENSOR) return l->out;
    const op *o = line_op(ls, l);
    return o->n_out ? op_out(ls->g, o)[0] : NO_TENSOR;
}

static line *line_at(const lines *ls, uint32_t index1, int kind)
{
    if (!index1) return NULL;
    line *l = &ls->l[index1 - 1];
    return l->skip || l->leader || (kind != OP_KIND_COUNT && l->kind != kind) ? NULL : l;
}

line *lines_maker(const lines *ls, uint32_t t, int kind)
{
    return t == NO_TENSOR ? NULL : line_at(ls, ls->producer[t], kind);
}

line *lines_private(const lines *ls, uint32_t t, int kind)
{
    return t == NO_TENSOR || ls->uses[t] != 1 ? NULL : line_at(ls, ls->producer[t], kind);
}

line *lines_reader(const lines *ls, uint32_t t, int kind)
{
    return t == NO_TENSOR || ls->uses[t] != 1 ? NULL : line_at(ls, ls->consumer[t], kind);
}

bool lines_scalar(const lines *ls, uint32_t t)
{
    return t != NO_TENSOR && ls->constant[t] && shape_elements(&ls->s->t[t]) == 1;
}

uint32_t line_other(const lines *ls, const line *l, uint32_t t)
{
    uint32_t a = line_in(ls, l, 0), b = line_in(ls, l, 1);
    return a == t ? b : b == t ? a : NO_TENSOR;
}

void lines_absorb(lines *ls, line *leader, line *l)
{
    if (l == leader || l->leader) return;
    l->leader = (uint32_t)(leader - ls->l) + 1;
    leader->n_ops += l->n_ops;
}

void lines_lead(line *leader, op_kind kind, uint16_t flags, uint32_t out)
{
    leader->kind = (uint16_t)kind;
    leader->flags |= (uint16_t)(flags | UNIT_RECOMPOSED);
    leader->out = out;
}

/* ---- units ---- */

static void emit(units *us, const lines *ls, const line *l)
{
    const op *o = line_op(ls, l);
    unit *u = &us->u[us->n++];
    *u = (unit){l->kind, l->flags, l->at, us->n_operands, 0, 0, l->n_ops, l->trips};
    uint32_t *to = us->operands + us->n_operands;
    if (l->n_in) {
        for (uint32_t i = 0; i < l->n_in; i++) to[u->n_in++] = l->in[i];
    } else {
        for (uint32_t i = 0; i < o->n_in; i++) {
            uint32_t t = op_in(ls->g, o)[i];
            to[u->n_in++] = t != NO_TENSOR && ls->g->tensors[t].role == ROLE_ABSENT ? NO_TENSOR : t;
        }
    }
    if (l->out != NO_TENSOR) to[u->n_in + u->n_out++] = l->out;
    else
        for (uint32_t i = 0; i < o->n_out; i++) to[u->n_in + u->n_out++] = op_out(ls->g, o)[i];
    us->n_operands += (uint32_t)u->n_in + u->n_out;
    bool constant = true;
    for (uint32_t i = 0; i < u->n_out; i++)
        if (to[u->n_in + i] != NO_TENSOR && !ls->constant[to[u->n_in + i]]) constant = false;
    if (constant) u->flags |= UNIT_CONSTANT;
    if (o->flags & OPF_BN_FOLDED) u->flags |= UNIT_BN_FOLDED;
    if (o->flags & OPF_BIAS_FOLDED) u->flags |= UNIT_BIAS_FOLDED;
    if ((u->kind == OP_Conv || u->kind == OP_ConvTranspose || u->kind == OP_Gemm) && u->n_in > 2 && to[2] != NO_TENSOR)
        u->flags |= UNIT_BIAS;
}

static void count_uses(units *us)
{
    for (uint32_t i = 0; i < us->n; i++)
        for (uint32_t k = 0; k < us->u[i].n_in; k++) {
            uint32_t t = unit_in(us, &us->u[i])[k];
            if (t != NO_TENSOR) us->uses[t]++;
        }
    for (uint32_t r = 0; r < us->g->n_regions; r++)
        for (uint32_t i = 0; i < us->g->regions[r].n_outputs; i++) us->uses[us->g->regions[r].outputs[i]]++;
}

pg_code units_build(units *out, const graph *g, const shapes *s, const unit_options *opt, arena *a, pg_error *e)
{
    lines ls = {.g = g, .s = s, .a = a};
    ls.producer = ARENA_ARRAY(a, uint32_t, g->n_tensors);
    ls.uses = ARENA_ARRAY(a, uint32_t, g->n_tensors);
    ls.consumer = ARENA_ARRAY(a, uint32_t, g->n_tensors);
    ls.constant = ARENA_ARRAY(a, uint8_t, g->n_tensors);
    if (!ls.producer || !ls.uses || !ls.consumer || !ls.constant || !lay_out(&ls, 0, 1, 0)) return error_nomem(e, a);
    find_uses(&ls);
    find_constants(&ls);
    if (opt->drop_slices) drop_slices(&ls);
    if (opt->join_turns) join_turns(&ls);
    recompose_products(&ls);
    recompose_writes(&ls);
    recompose_resizes(&ls);
    recompose_norms(&ls);
    recompose_activations(&ls);
    recompose_linears(&ls);
    recompose_recurrent(&ls);
    if (opt->spell_out_attention) spell_out_attention(&ls);
    else recompose_attention(&ls, opt->fuse_explicit_attention);
    drop_unread(&ls);

    uint32_t n_units = 0;
    size_t n_operands = 0;
    for (uint32_t i = 0; i < ls.n; i++)
        if (!ls.l[i].skip && !ls.l[i].leader) {
            const op *o = line_op(&ls, &ls.l[i]);
            n_units++;
            n_operands += (size_t)o->n_in + o->n_out + GROUP_IN + 1;
        }
    *out = (units){.g = g, .s = s, .constant = ls.constant};
    out->u = ARENA_ARRAY(a, unit, n_units);
    out->operands = ARENA_ARRAY(a, uint32_t, n_operands);
    out->uses = ARENA_ARRAY(a, uint32_t, g->n_tensors);
    if (!out->u || !out->operands || !out->uses) return error_nomem(e, a);
    for (uint32_t i = 0; i < ls.n; i++)
        if (!ls.l[i].skip && !ls.l[i].leader) emit(out, &ls, &ls.l[i]);
    count_uses(out);
    return PG_E_OK;
}
