#include "graph/shape_internal.h"

typedef struct shape_row {
    shape_fn fn;
    uint8_t min_in;
} shape_row;

static const shape_row rows[OP_KIND_COUNT] = {
#define OP(name, min_in, max_in, max_out, shape, work, flops) [OP_##name] = {shape_##shape, min_in},
#include "graph/ops.def"
#undef OP
};

double shape_elements(const tensor_shape *t)
{
    if (t->rank < 0) return -1;
    double n = 1;
    for (int i = 0; i < t->rank; i++) {
        if (!num_known(t->dims[i])) return -1;
        n *= (double)t->dims[i].v.i;
    }
    return n;
}

size_t num_format(char *out, size_t cap, num n, const shapes *s)
{
    if (!num_known(n)) return format_text(out, cap, "?");
    int64_t c;
    if (n.sym < 0 || (uint32_t)n.sym >= s->g->n_symbols || !int_mul((int64_t)n.k, s->binding[n.sym], &c) ||
        __builtin_sub_overflow(n.v.i, c, &c))
        return format_text(out, cap, "%lld", (long long)n.v.i);
    char factor[24] = "", rest[24] = "";
    if (n.k == -1) format_text(factor, sizeof factor, "-");
    else if (n.k != 1) format_text(factor, sizeof factor, "%d*", (int)n.k);
    if (c) format_text(rest, sizeof rest, c > 0 ? "+%lld" : "%lld", (long long)c);
    return format_text(out, cap, "%s%.*s%s", factor, STR_ARG(s->g->symbols[n.sym].name), rest);
}

/* ---- errors and notes ---- */

pg_code shape_nomem(infer *x)
{
    return error_nomem(&x->error, x->a);
}

/* Names come from the file: no control characters reach a terminal. */
static void printable(char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f) *s = '?';
}

pg_code shape_fail(infer *x, const op *o, const char *fmt, ...)
{
    char text[sizeof x->error.text];
    va_list args;
    va_start(args, fmt);
    format_textv(text, sizeof text, fmt, args);
    va_end(args);
    error_set(&x->error, PG_E_GRAPH, "%.*s: %s", STR_ARG(o->type), text);
    if (o->name.len) {
        error_path(&x->error, "node '%.*s'", STR_ARG(o->name));
    } else {
        uint32_t t = o->n_out ? op_out(x->g, o)[0] : NO_TENSOR;
        error_path(&x->error, "node of output '%.*s'", STR_ARG(t < x->g->n_tensors ? x->g->tensors[t].name : o->type));
    }
    printable(x->error.text);
    printable(x->error.path);
    return PG_E_GRAPH;
}

pg_code bad_axis(infer *x, const op *o, int64_t axis, int rank)
{
    return shape_fail(x, o, "axis %lld is outside of the input's rank %d: the file is damaged or was exported wrongly",
                      (long long)axis, rank);
}

enum { MAX_NOTES = 64 };

pg_code shape_note(infer *x, const char *fmt, ...)
{
    shapes *s = x->s;
    char text[256];
    if (s->n_notes >= MAX_NOTES) return PG_E_OK;
    va_list args;
    va_start(args, fmt);
    format_textv(text, sizeof text, fmt, args);
    va_end(args);
    printable(text);
    str view = str_c(text);
    for (uint32_t i = 0; i < s->n_notes; i++) /* a body that is walked again says the same again */
        if (str_eq(s->notes[i], view)) return PG_E_OK;
    if (s->n_notes == s->cap_notes) {
        uint32_t cap = s->cap_notes ? s->cap_notes * 2 : 4;
        str *notes = arena_grow(x->a, s->notes, s->n_notes, cap, sizeof *notes);
        if (!notes) return shape_nomem(x);
        s->notes = notes;
        s->cap_notes = cap;
    }
    str copy = str_copy(x->a, view);
    if (!copy.ptr) return shape_nomem(x);
    s->notes[s->n_notes++] = copy;
    return PG_E_OK;
}

shape_text dims_text(const infer *x, int rank, const num *dims)
{
    shape_text out = {"a tensor of unknown rank"};
    if (rank < 0) return out;
    size_t n = 1;
    out.s[0] = '[';
    for (int i = 0; i < rank; i++) {
        char dim[64];
        num_format(dim, sizeof dim, dims[i], x->s);
        size_t len = strlen(dim);
        if (dims[i].sym >= 0) len += format_text(dim + len, sizeof dim - len, "=%lld", (long long)dims[i].v.i);
        if (n + len + 8 > sizeof out.s) {
            n += format_text(out.s + n, sizeof out.s - n, ", ...");
            break;
        }
        n += format_text(out.s + n, sizeof out.s - n, i ? ", %s" : "%s", dim);
    }
    format_text(out.s + n, sizeof out.s - n, "]");
    return out;
}

/* ---- walking ---- */

/* Takes from the file's own declaration what inference left open. A symbol that no input has says nothing of the
 * size. */
pg_code infer_use_declared(infer *x, uint32_t index)
{
    const tensor *d = &x->g->tensors[index];
    tensor_shape *t = &x->t[index];
    if (t->dtype == DT_UNKNOWN) t->dtype = d->dtype;
    bool follows = d->rank > 0 && d->dims[0].sym >= 0 && d->dims[0].sym == x->batch_symbol; /* another batch as well */
    if (d->rank < 0 || (x->rebatch && !follows) || x->depth || t->sequence) return PG_E_OK;
    if (t->rank >= 0 && (t->rank != d->rank || dims_known(t))) return PG_E_OK;
    num *dims = ARENA_ARRAY(x->a, num, (size_t)d->rank);
    if (!dims) return shape_nomem(x);
    for (int i = 0; i < d->rank; i++) {
        num n = d->dims[i];
        bool usable = n.sym == SYM_NONE ? n.v.i >= 0 : n.sym >= 0 && x->input_symbol[n.sym];
        dims[i] = t->rank >= 0 && num_known(t->dims[i]) ? t->dims[i]
                : usable                                ? num_bind(n, x->s->binding)
                                                        : num_unknown();
    }
    t->dims = dims;
    t->rank = d->rank;
    return PG_E_OK;
}

static pg_code check_inputs(infer *x, const op *o)
{
    unsigned need = rows[o->kind].min_in;
    if (o->n_in < need)
        return shape_fail(x, o, "it has %u input%s but needs %u: the file is damaged or was exported wrongly",
                          (unsigned)o->n_in, o->n_in == 1 ? "" : "s", need);
    /* inputs that may be left out although later ones are given */
    if (o->kind == OP_Loop || o->kind == OP_Scan || o->kind == OP_GroupQueryAttention ||
        o->kind == OP_EmbedLayerNormalization)
        need = 0;
    for (unsigned i = 0; i < need && i < 2; i++)
        if (!in_at(x, o, i))
            return shape_fail(x, o, "input %u is missing: the file is damaged or was exported wrongly", i + 1);
    return PG_E_OK;
}

pg_code infer_op(infer *x, uint32_t index)
{
    const graph *g = x->g;
    const op *o = &g->ops[index];
    if (o->kind >= OP_KIND_COUNT) return PG_E_OK;
    if (--x->budget < 0)
        return error_set(&x->error, PG_E_LIMIT, "control flow takes too many steps to follow: it is nested too deeply");
    const uint32_t *out = op_out(g, o);
    for (uint32_t i = 0; i < o->n_out; i++)
        if (out[i] < g->n_tensors) shape_reset(&x->t[out[i]]);
    pg_code code = check_inputs(x, o);
    if (!code) code = rows[o->kind].fn(x, o);
    if (code == PG_E_GRAPH && x->rebatch) { /* not the file's fault: its batch was to be another */
        x->s->rebatch_unsafe = true;
        x->error = (pg_error)PG_ERROR_INIT;
        for (uint32_t i = 0; i < o->n_out; i++)
            if (out[i] < g->n_tensors) shape_reset(&x->t[out[i]]);
        code = PG_E_OK;
    }
    if (code) return code;
    if (o->n_out && out[0] < g->n_tensors && x->need[out[0]]) fold_op(x, o);
    for (uint32_t i = 0; i < o->n_out; i++) {
        if (out[i] >= g->n_tensors) continue;
        tensor_shape *t = &x->t[out[i]];
        t->inferred = true;
        if ((t->dtype == DT_UNKNOWN || !dims_known(t)) && g->tensors[out[i]].role != ROLE_ABSENT) {
            code = infer_use_declared(x, out[i]);
            if (code) return code;
        }
    }
    return x->a->failed ? shape_nomem(x) : PG_E_OK;
}

pg_code infer_region(infer *x, uint32_t r)
{
    const region *body = &x->g->regions[r];
    for (uint32_t i = 0; i < body->n_ops; i++) {
        pg_code code = infer_op(x, body->ops[i]);
        if (code) return code;
    }
    return PG_E_OK;
}

/* ---- the graph's own tensors ---- */

static pg_code bind_nums(infer *x, num **out, num *declared, size_t n)
{
    *out = declared;
    size_t i = 0;
    while (i < n && declared[i].sym < 0) i++;
    if (i == n) return PG_E_OK; /* shared with the graph: never written to */
    num *copy = ARENA_ARRAY(x->a, num, n);
    if (!copy) return shape_nomem(x);
    for (i = 0; i < n; i++) copy[i] = num_bind(declared[i], x->s->binding);
    *out = copy;
    return PG_E_OK;
}

pg_code infer_start_tensor(infer *x, uint32_t i)
{
    const tensor *d = &x->g->tensors[i];
    tensor_shape *t = &x->t[i];
    t->dtype = d->dtype;
    t->rank = -1;
    if (d->role == ROLE_VALUE && !d->value) return PG_E_OK; /* an operator's output, or a body's input */
    pg_code code = PG_E_OK;
    if (d->rank >= 0) {
        t->rank = d->rank;
        code = bind_nums(x, &t->dims, d->dims, (size_t)d->rank);
        for (int k = 0; k < d->rank && !code; k++) {
            if (num_known(t->dims[k]) && t->dims[k].v.i < 0) {
                code = error_set(&x->error, PG_E_GRAPH, "its shape %s has a negative dimension", SHAPE_S(x, t));
                error_path(&x->error, "tensor '%.*s'", STR_ARG(d->name));
            }
        }
    }
    if (!code && d->value && d->value_count <= FOLD_MAX && count_upto(t, FOLD_MAX) == (int64_t)d->value_count) {
        t->value_count = d->value_count;
        code = bind_nums(x, &t->value, d->value, d->value_count);
    }
    return code;
}

static pg_code start(infer *x, const shape_options *opt)
{
    const graph *g = x->g;
    shapes *s = x->s;
    s->t = ARENA_ARRAY(x->a, tensor_shape, g->n_tensors);
    s->binding = ARENA_ARRAY(x->a, int64_t, g->n_symbols);
    s->trips = ARENA_ARRAY(x->a, num, g->n_regions);
    x->need = ARENA_ARRAY(x->a, uint8_t, g->n_tensors);
    x->input_symbol = ARENA_ARRAY(x->a, uint8_t, g->n_symbols);
    if (!s->t || !s->binding || !s->trips || !x->need || !x->input_symbol) return shape_nomem(x);
    x->t = s->t;
    for (uint32_t i = 0; i < g->n_symbols; i++) {
        int64_t v = opt && opt->binding ? opt->binding[i] : 0;
        if (v <= 0) v = g->symbols[i].fallback;
        s->binding[i] = v > 0 ? v : 1;
    }
    if (g->fixed_batch > 0 && g->batch_symbol >= 0 && (uint32_t)g->batch_symbol < g->n_symbols) {
        x->batch_symbol = g->batch_symbol;
        x->old_batch = g->fixed_batch;
        x->new_batch = s->binding[g->batch_symbol];
        x->rebatch = x->old_batch != x->new_batch;
    }
    for (uint32_t i = 0; i < g->n_ops && !x->detects; i++) x->detects = g->ops[i].kind == OP_NonMaxSuppression;
    const region *model = &g->regions[0];
    for (uint32_t i = 0; i < model->n_inputs; i++) {
        const tensor *t = &g->tensors[model->inputs[i]];
        for (int k = 0; k < t->rank; k++)
            if (t->dims[k].sym >= 0) x->input_symbol[t->dims[k].sym] = 1;
    }
    for (uint32_t i = 0; i < g->n_regions; i++) s->trips[i] = num_int(i == 0);
    for (uint32_t i = 0; i < g->n_tensors; i++) {
        pg_code code = infer_start_tensor(x, i);
        if (code) return code;
    }
    return PG_E_OK;
}

static uint32_t count_unknown(const shapes *s)
{
    uint32_t n = 0;
    for (uint32_t r = 0; r < s->g->n_regions; r++) {
        const region *body = &s->g->regions[r];
        if (num_is(s->trips[r], 0)) continue;
        for (uint32_t i = 0; i < body->n_ops; i++) {
            const op *o = &s->g->ops[body->ops[i]];
            for (uint32_t k = 0; k < o->n_out; k++) {
                uint32_t t = op_out(s->g, o)[k];
                if (t >= s->g->n_tensors || s->g->tensors[t].role == ROLE_ABSENT || s->t[t].sequence) continue;
                n += !dims_known(&s->t[t]);
            }
        }
    }
    return n;
}

pg_code shapes_infer(shapes *out, const graph *g, const shape_options *opt, arena *a, pg_error *e)
{
    infer x = {.g = g, .s = out, .a = a, .error = PG_ERROR_INIT, .batch_symbol = -1};
    memset(out, 0, sizeof *out);
    out->g = g;
    out->a = a;
    x.budget = (int64_t)g->n_ops * 16 + 200000;
    x.default_trips = opt && opt->default_trips > 0 ? opt->default_trips : 1;
    x.trips = num_int(1);
    pg_code code = start(&x, opt);
    if (!code) {
        mark_sizes(&x);
        mark_needed(&x, 0, 0);
        code = infer_region(&x, 0);
    }
    if (!code) {
        out->unknown_outputs = count_unknown(out);
        return PG_E_OK;
    }
    if (e && !error_is_set(e)) { /* only what an inner caller can have set */
        error_set(e, x.error.code, "%s", x.error.text);
        if (x.error.path[0]) error_path(e, "%s", x.error.path);
    }
    return code;
}
