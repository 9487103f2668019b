/* What is fed: placeholders, and what a signature names. */
#include "load/tf_internal.h"

enum { INPUTS_MAX = 4096 };

pg_code tf_add_input(tf_reader *r, uint32_t node, str name, int64_t type, const tf_shape *shape)
{
    tf_node *n = tf_at(r, node);
    if (n->kind == TF_INPUT) return PG_E_OK; /* two names for one */
    if (r->n_inputs == INPUTS_MAX)
        return error_set(r->e, PG_E_LIMIT, "more than %d inputs; the file is not a sane model", (int)INPUTS_MAX);
    if (!TF_ROOM(r, r->inputs, r->n_inputs, r->cap_inputs)) return tf_nomem(r);
    tf_input in = {.name = name.len ? name : n->name, .type = type, .node = node, .signature = name.len > 0};
    in.shape.rank = -1;
    tf_value v;
    if (shape && shape->rank >= 0) in.shape = *shape;
    else if (tf_attr(n, "shape", &v) && v.kind == TF_V_SHAPE) {
        pg_code code = tf_read_shape(r, v.bytes, &in.shape);
        if (code) return code;
    }
    if (!in.type) in.type = tf_attr_int(n, "dtype", 0);
    n->kind = TF_INPUT;
    n->extra = r->n_inputs;
    r->inputs[r->n_inputs++] = in;
    return PG_E_OK;
}

pg_code tf_add_placeholders(tf_reader *r, uint32_t n_nodes)
{
    pg_code code = PG_E_OK;
    for (uint32_t i = 0; i < n_nodes && !code; i++) {
        const tf_node *n = tf_at(r, i);
        if (n->kind != TF_OP) continue;
        bool fed = tf_is(n, "Placeholder") || tf_is(n, "PlaceholderV2") ||
                   (tf_is(n, "PlaceholderWithDefault") && !tf_is_default(r, n));
        if (fed) code = tf_add_input(r, i, (str){NULL, 0}, 0, NULL);
    }
    return code;
}

/* ---- inputs whose shape the file doesn't say: what reads them may ---- */

/* Dims of a Reshape's target: what isn't constant is computed from the input, and that is its batch. */
static bool target_shape(tf_reader *r, const tf_node *n, tf_shape *out)
{
    uint32_t count;
    pg_error saved = *r->e;
    tf_ref ref = tf_in(r, n, 1);
    if (tf_const_ints(r, ref, out->dims, MAX_RANK, &count)) {
        out->rank = (int)count;
        return count > 0;
    }
    if (tf_resolve(r, &ref)) *r->e = saved;
    const tf_node *pack = ref.node == TF_NONE ? NULL : tf_at(r, ref.node);
    if (!pack || pack->kind != TF_OP || !tf_is(pack, "Pack") || pack->n_in > MAX_RANK) return false;
    out->rank = (int)pack->n_in;
    for (uint32_t i = 0; i < pack->n_in; i++)
        if (!tf_const_ints(r, tf_in(r, pack, i), &out->dims[i], 1, &count) || count != 1) out->dims[i] = -1;
    return true;
}

static bool shape_from_reader(tf_reader *r, const tf_node *n, uint32_t operand, tf_shape *out)
{
    tf_shape w;
    if (tf_is(n, "Reshape") && operand == 0) return target_shape(r, n, out);
    bool product = tf_is(n, "MatMul") && operand == 0, conv = tf_is(n, "Conv2D") && operand == 0;
    if ((!product && !conv) || !tf_static_shape(r, tf_in(r, n, 1), &w, 0)) return false;
    *out = (tf_shape){.rank = product ? 2 : 4, .dims = {-1, -1, -1, -1}};
    if (product && w.rank == 2) out->dims[1] = w.dims[tf_attr_int(n, "transpose_b", 0) != 0];
    else if (conv && w.rank == 4) out->dims[3] = w.dims[2];
    else return false;
    return true;
}

static void guess_shape(tf_reader *r, tf_input *in, bool only)
{
    tf_shape shape;
    for (uint32_t i = 0; i < r->n_nodes; i++) {
        const tf_node *n = tf_at(r, i);
        if (!n->seen || n->kind != TF_OP) continue;
        for (uint32_t k = 0; k < n->n_in; k++)
            if (tf_in(r, n, k).node == in->node && shape_from_reader(r, n, k, &shape)) {
                in->shape = shape;
                return;
            }
    }
    in->shape = (tf_shape){.rank = only ? 1 : 0, .dims = {-1}}; /* a number beside the data: a rate, a switch */
}

/* ---- symbols ---- */

/* Free dims of the same meaning are the same size in all inputs: tokens and their mask. */
static str symbol_name(const tf_shape *s, int axis, int64_t *size)
{
    bool time_first = s->rank == 3 && axis == 1 && s->dims[0] > 1; /* as recurrent layers of version 1 like it */
    *size = axis == 0 || time_first ? 1 : s->rank == 4 ? 224 : 128;
    if (axis == 0 || time_first) return STR("batch");
    if (s->rank == 4 && axis == 3) *size = 3;
    if (s->rank == 4 && axis == 1) return STR("height");
    if (s->rank == 4 && axis == 2) return STR("width");
    if ((s->rank == 2 || s->rank == 3) && axis == 1) return STR("sequence");
    return (str){NULL, 0};
}

enum { MAX_GUESSES = 8, MAX_SYMBOLS = 4096 };

static pg_code warn_guess(tf_reader *r, const tf_input *in, int axis, int64_t size)
{
    if (r->g->n_warnings >= MAX_GUESSES) return PG_E_OK;
    bool ok = graph_warn(r->g, "input '%.*s': dimension %d has no size and is taken as %lld; --input-shape sets it",
                         STR_ARG(in->name), axis, (long long)size);
    return ok ? PG_E_OK : tf_nomem(r);
}

static pg_code put_dims(tf_reader *r, const tf_input *in, uint32_t t)
{
    num dims[MAX_RANK];
    char made[32];
    for (int i = 0; i < in->shape.rank; i++) {
        dims[i] = num_int(in->shape.dims[i]);
        if (in->shape.dims[i] >= 0) continue;
        int64_t size;
        str name = symbol_name(&in->shape, i, &size);
        if (r->g->n_symbols >= MAX_SYMBOLS)
            return error_set(r->e, PG_E_LIMIT, "the inputs have more than %d free dimensions", (int)MAX_SYMBOLS);
        if (!name.len) {
            size_t n = format_text(made, sizeof made, "unk__%u", r->g->n_symbols);
            name = str_copy(r->g->a, (str){made, n});
            pg_code code = warn_guess(r, in, i, size);
            if (code) return code;
        }
        int32_t sym = name.ptr ? graph_add_symbol(r->g, name, size) : -1;
        if (sym < 0) return tf_nomem(r);
        dims[i] = (num){{.i = 0}, 1, sym};
    }
    return graph_set_dims(r->g, t, in->shape.rank, dims) ? PG_E_OK : tf_nomem(r);
}

/* The batch stands first in inputs of two or more dimensions; where the file fixes it, a symbol takes its place. */
static pg_code find_batch(tf_reader *r)
{
    graph *g = r->g;
    const region *model = &g->regions[0];
    int64_t fixed = 0;
    g->batch_symbol = graph_symbol_find(g, STR("batch"));
    for (uint32_t i = 0; i < model->n_inputs && !fixed; i++) {
        const tensor *t = &g->tensors[model->inputs[i]];
        if (t->rank >= 2 && t->dims[0].sym == SYM_NONE && t->dims[0].v.i >= 1) fixed = t->dims[0].v.i;
        else if (t->rank >= 2) return PG_E_OK;
    }
    if (g->batch_symbol >= 0 || !fixed) return PG_E_OK;
    g->batch_symbol = graph_add_symbol(g, STR("batch"), fixed);
    if (g->batch_symbol < 0) return tf_nomem(r);
    g->fixed_batch = fixed;
    for (uint32_t i = 0; i < model->n_inputs; i++) {
        tensor *t = &g->tensors[model->inputs[i]];
        if (t->rank >= 2 && t->dims[0].sym == SYM_NONE && t->dims[0].v.i == fixed)
            t->dims[0] = (num){{.i = 0}, 1, g->batch_symbol};
    }
    return PG_E_OK;
}

static pg_code emit_input(tf_reader *r, tf_input *in, bool only, int64_t producer)
{
    tf_node *n = tf_at(r, in->node);
    enum { SCALARS_SAID = 24 }; /* before, a placeholder without dims was one of unknown shape */
    if (in->shape.rank == 0 && producer > 0 && producer < SCALARS_SAID && !in->signature) in->shape.rank = -1;
    if (in->shape.rank < 0) {
        guess_shape(r, in, only);
        if (!in->shape.rank ? !graph_warn(r->g, "input '%.*s': the file doesn't say its shape; taken for one number",
                                          STR_ARG(in->name))
                            : !graph_warn(r->g,
                                          "input '%.*s': the file doesn't say its shape; taken to have %d dimension%s; "
                                          "--input-shape sets it",
                                          STR_ARG(in->name), in->shape.rank, in->shape.rank == 1 ? "" : "s"))
            return tf_nomem(r);
    }
    uint32_t t = graph_add_tensor(r->g, in->name, tf_dtype(in->type));
    if (t == NO_TENSOR || !graph_add_input(r->g, 0, t)) return tf_nomem(r);
    r->g->tensors[t].defined = true;
    pg_code code = put_dims(r, in, t);
    n->out = TF_NONE;
    if (!n->n_out) n->n_out = 1;
    n->state = TF_DONE;
    n->n_in = 0; /* what made it isn't needed */
    if (!code && !tf_bind(r, in->node, 0, t)) code = tf_nomem(r);
    return code;
}

pg_code tf_emit_inputs(tf_reader *r, int64_t producer)
{
    uint32_t used = 0, shaped = 0;
    for (uint32_t i = 0; i < r->n_inputs; i++) {
        bool there = tf_at(r, r->inputs[i].node)->seen || r->inputs[i].signature;
        used += there;
        shaped += there && r->inputs[i].shape.rank > 0;
    }
    bool only = used == 1 || !shaped;
    for (uint32_t i = 0; i < r->n_inputs; i++) {
        tf_input *in = &r->inputs[i];
        if (!tf_at(r, in->node)->seen && !in->signature) continue;
        pg_code code = emit_input(r, in, only, producer);
        if (code) return code;
        only = only && in->shape.rank < 1; /* the first is the data */
    }
    return find_batch(r);
}
