/* TorchScript archives: what the inputs are, the run of forward(), the outputs.
 *
 * The files say no shapes. A first run with inputs of which nothing is known finds what uses them (the channels of the first convolution,
 * the features of a linear layer, an embedding); the second run has inputs of that size, or of --input-shape. */
#include "load/torchscript.h"

enum {
    FRAMES = 16,
    VIDEO = 112,
    ATTEMPTS = 5,
    SCRATCH_PART = 4
}; /* of the memory limit, for what a run needs beside the graph */

/* What free dims are taken for; where the code refuses it (a table of 64 positions), the next. The second attempt differs from the
 * first in dims alone. */
static const int64_t image_sizes[ATTEMPTS] = {224, 224, 256, 64, 32},
                     sequence_lengths[ATTEMPTS] = {128, 128, 64, 32, 16};

static str type_name(const script_node *type)
{
    if (!type) return STR("Tensor");
    if (type->kind == SCRIPT_INDEX && type->a->kind == SCRIPT_NAME) return type->a->v.text;
    return type->kind == SCRIPT_NAME ? type->v.text : (str){NULL, 0};
}

/* ---- inputs ---- */

static num symbol(graph *g, str name, int64_t fallback)
{
    int32_t s = graph_symbol_find(g, name);
    if (s < 0) s = graph_add_symbol(g, name, fallback);
    return s < 0 ? num_unknown() : (num){{.i = 0}, 1, s};
}

static const load_shape *given_shape(const ts *t, str name)
{
    const load_options *o = t->f->options;
    for (size_t i = 0; o && i < o->shape_count; i++)
        if (str_is(name, o->shapes[i].name)) return &o->shapes[i];
    return NULL;
}

/* The dims that the hints leave open: those of images, videos, sequences. */
static int assume_dims(const ts *t, graph *g, const aten_hint *h, num *dims)
{
    int64_t image = t->f->options && t->f->options->image_size ? t->f->options->image_size : image_sizes[t->attempt];
    /* rows of features, or sequences of them where the code refuses rows */
    int64_t last = h->last ? h->last : h->rank == 2 && t->attempt ? h->dims[1] : 0;
    int rank = h->tokens ? 2 : h->rank > 2 ? h->rank : last && t->attempt ? 3 : h->rank ? h->rank : last ? 2 : 4;
    if (t->one_each && !h->tokens && !last) { /* of a list: images, each by itself */
        dims[0] = num_int(h->rank == 4 && h->dims[1] ? h->dims[1] : 3);
        dims[1] = dims[2] = num_int(image);
        return 3;
    }
    dims[0] = symbol(g, STR("batch"), 1);
    for (int i = 1; i < rank; i++) {
        bool time = (rank == 3 && (h->dims[2] || last ? i == 1 : i == 2)) || h->tokens;
        int64_t open = rank == 5 && i == 2 ? FRAMES : rank == 5 && i > 2 ? VIDEO : i == 1 ? 3 : image;
        dims[i] = h->dims[i] && !(time && rank > h->rank) ? num_int(h->dims[i])
                : time                                    ? symbol(g, STR("sequence"), sequence_lengths[t->attempt])
                                                          : num_int(open);
    }
    if (last) dims[rank - 1] = num_int(last);
    if (rank == 3 && h->steps_first && h->dims[2]) {
        num batch = dims[0];
        dims[0] = dims[1];
        dims[1] = batch;
    }
    return rank;
}

static bool say_assumed(ts *t, const aten_hint *h, const num *dims, int rank)
{
    char text[160];
    size_t n = 0;
    for (int i = 0; i < rank && n < sizeof text; i++) {
        const char *comma = i ? ", " : "";
        if (dims[i].sym >= 0)
            n += format_text(text + n, sizeof text - n, "%s%.*s", comma, STR_ARG(t->x.g->symbols[dims[i].sym].name));
        else n += format_text(text + n, sizeof text - n, "%s%lld", comma, (long long)dims[i].v.i);
    }
    return graph_warn(
        t->x.g,
        "TorchScript does not say how large its inputs are: '%.*s' is taken for [%s]; --input-shape says otherwise",
        STR_ARG(h->name), text);
}

static aten_value tensor_input(ts *t, str name, const aten_hint *known)
{
    graph *g = t->x.g;
    uint32_t k = t->x.n_hints;
    if (k == ATEN_INPUTS) {
        ts_fail(t, PG_E_LIMIT, "forward() has more than %d arguments", ATEN_INPUTS);
        return aten_none();
    }
    aten_hint *h = &t->x.hints[t->x.n_hints++];
    if (known) *h = *known;
    h->name = name;
    uint32_t x = graph_add_tensor(g, name, h->tokens ? DT_INT64 : DT_FP32);
    bool ok = x != NO_TENSOR && graph_add_input(g, 0, x);
    if (ok) g->tensors[x].defined = true;
    num dims[8];
    const load_shape *given = given_shape(t, name);
    if (ok && given) {
        dims[0] = t->one_each ? num_int(given->dims[0]) : symbol(g, STR("batch"), given->dims[0]);
        for (int i = 1; i < given->rank; i++) dims[i] = num_int(given->dims[i]);
        ok = graph_set_dims(g, x, given->rank, dims);
    } else if (ok && !t->x.guessing) {
        int rank = assume_dims(t, g, h, dims);
        ok = graph_set_dims(g, x, rank, dims) && say_assumed(t, h, dims, rank);
    }
    if (!ok) {
        aten_nomem(&t->x);
        return aten_none();
    }
    if (t->x.guessing) aten_set_origin(&t->x, x, k);
    return aten_tensor(x);
}

/* A number that the caller gives: what it is compared with, once that is known. */
static aten_value number_input(ts *t, str name, const aten_hint *known)
{
    aten_value v = aten_unknown();
    if (t->x.n_hints == ATEN_INPUTS) return v;
    v.of = ATEN_OF_SCALAR;
    v.input = (uint16_t)t->x.n_hints;
    aten_hint *h = &t->x.hints[t->x.n_hints++];
    if (known) *h = *known;
    h->name = name;
    if (!h->bound) return v;
    ts_note(t, "the argument '%.*s' is taken for %lld, which the code compares it with", STR_ARG(name),
            (long long)h->dims[0]);
    return aten_int(num_int(h->dims[0]));
}

static aten_value input(ts *t, const script_node *arg, const aten *guess)
{
    uint32_t k = t->x.n_hints;
    const aten_hint *known = guess && k < guess->n_hints ? &guess->hints[k] : NULL;
    str type = type_name(arg->b);
    if (arg->a) { /* it has a default */
        ts_frame empty = {0};
        map_init(&empty.names, t->x.a);
        return ts_expression(t, &empty, arg->a);
    }
    if (str_is(type, "Tensor")) return tensor_input(t, arg->v.text, known);
    if (str_is(type, "int") || str_is(type, "float") || str_is(type, "bool") || str_is(type, "number"))
        return number_input(t, arg->v.text, known);
    if (str_is(type, "Optional")) return aten_none();
    if (str_is(type, "List") || str_is(type, "Tuple")) { /* one of each */
        const script_node *inner = arg->b->b;
        uint32_t n = str_is(type, "Tuple") && inner->kind == SCRIPT_TUPLE ? inner->items.n : 1;
        aten_value list = aten_new_list(&t->x, str_is(type, "List") ? ATEN_LIST : ATEN_TUPLE, NULL, 0);
        for (uint32_t i = 0; i < n && !t->x.code; i++) {
            char text[96];
            size_t len = format_text(text, sizeof text, "%.*s.%u", STR_ARG(arg->v.text), i);
            str name = str_copy(t->f->g->a, (str){text, len < sizeof text ? len : sizeof text - 1});
            k = t->x.n_hints;
            known = guess && k < guess->n_hints ? &guess->hints[k] : NULL;
            t->one_each = str_is(type, "List"); /* a list is the batch */
            if (name.ptr) aten_append(&t->x, list.v.list, tensor_input(t, name, known));
            else aten_nomem(&t->x);
            t->one_each = false;
        }
        return list;
    }
    ts_fail(t, PG_E_UNSUPPORTED, "the argument '%.*s' of forward() is of a type that is not followed",
            STR_ARG(arg->v.text));
    return aten_none();
}

/* ---- outputs ---- */

static void outputs(ts *t, aten_value v, int depth)
{
    graph *g = t->x.g;
    enum { DEPTH = 16, MOST = 4096 };
    if (t->x.code || depth > DEPTH || g->regions[0].n_outputs > MOST) return;
    if (v.kind == ATEN_TENSOR) {
        uint32_t x = aten_operand(&t->x, v, NO_TENSOR);
        if (x == NO_TENSOR || g->tensors[x].is_output) return;
        if (g->tensors[x].role != ROLE_VALUE) x = aten_emit1(&t->x, OP_Identity, x);
        if (x != NO_TENSOR && !graph_add_output(g, 0, x)) aten_nomem(&t->x);
    } else if (v.kind == ATEN_OBJECT) {
        const ts_object *o = v.v.object;
        for (uint32_t i = 0; !o->state && i < o->n; i++) outputs(t, o->values[i], depth + 1); /* a named tuple */
    } else {
        for (uint32_t i = 0; i < aten_count(v); i++) outputs(t, v.v.list->v[i], depth + 1);
    }
}

/* Where only lists of samples go in, nothing carries a batch. */
static void find_batch(graph *g)
{
    const region *model = &g->regions[0];
    for (uint32_t i = 0; i < model->n_inputs; i++)
        for (int k = 0; k < g->tensors[model->inputs[i]].rank; k++)
            if (g->tensors[model->inputs[i]].dims[k].sym == g->batch_symbol) return;
    if (model->n_inputs) g->batch_symbol = -1;
}

/* ---- the run ---- */

static pg_code run(ts *t, torch_file *f, ts_sources *sources, graph *g, arena *a, const pickle_value *root,
                   const pickle_value *constants, const aten *guess, int attempt)
{
    bool guessing = attempt < 0;
    memset(t, 0, sizeof *t);
    t->attempt = guessing ? 0 : attempt;
    t->f = f;
    t->sources = sources;
    t->constants = constants;
    map_init(&t->objects, a);
    map_init(&t->tensors, a);
    map_init(&t->notes, a);
    if (!aten_init(&t->x, g, a, f->e)) return error_nomem(f->e, a);
    t->x.guessing = guessing;
    g->batch_symbol = graph_add_symbol(g, STR("batch"), 1);
    if (g->batch_symbol < 0) return error_nomem(f->e, g->a);
    aten_value module = ts_value(t, root, STR(""), 0);
    if (t->x.code) return t->x.code;
    if (module.kind != ATEN_OBJECT) return ts_fail(t, PG_E_FORMAT, "data.pkl holds no module");
    ts_object *o = module.v.object;
    const script_node *def = ts_member(o->type, STR("forward"), SCRIPT_DEF);
    if (t->x.code) return t->x.code;
    if (!def)
        return ts_fail(t, PG_E_UNSUPPORTED, "the module %.*s has no forward() in the archive's source",
                       STR_ARG(o->class_name));
    aten_args args = {.n = 0};
    for (uint32_t i = 1; i < def->others.n && i < ATEN_ARGS && !t->x.code; i++)
        args.v[args.n++] = input(t, def->others.v[i], guess);
    aten_value out = ts_call(t, def, o, &args);
    if (!guessing) outputs(t, out, 0);
    aten_finish(&t->x);
    if (!guessing) find_batch(g);
    if (!t->x.code && !guessing && !g->regions[0].n_outputs)
        return ts_fail(t, PG_E_UNSUPPORTED, "forward() gives no tensor");
    return t->x.code;
}

/* The first run, of which only the hints are kept. */
static void guess_inputs(aten *hints, torch_file *f, ts_sources *sources, const pickle_value *root,
                         const pickle_value *constants)
{
    arena a;
    graph g;
    ts *t;
    pg_error ignored = PG_ERROR_INIT, *e = f->e;
    f->e = &ignored;
    arena_init(&a, f->g->a->alloc, f->g->a->limit / SCRATCH_PART);
    t = ARENA_NEW(&a, ts);
    if (t && graph_init(&g, &a)) {
        run(t, f, sources, &g, &a, root, constants, NULL, -1);
        hints->n_hints = t->x.n_hints;
        memcpy(hints->hints, t->x.hints, sizeof hints->hints);
    }
    arena_free(&a);
    f->e = e;
}

/* Constants that hold the batch of the trace: then another batch needs them changed. */
static void find_fixed_batch(graph *g, arena *a)
{
    pg_error ignored = PG_ERROR_INIT;
    shapes s;
    int64_t *binding = ARENA_ARRAY(a, int64_t, g->n_symbols);
    for (uint32_t i = 0; binding && i < g->n_symbols; i++) binding[i] = g->symbols[i].fallback;
    if (!binding || g->batch_symbol < 0) return;
    int64_t batch = g->symbols[g->batch_symbol].fallback;
    binding[g->batch_symbol] = 2 * batch;
    if (shapes_infer(&s, g, &(shape_options){.binding = binding}, a, &ignored)) g->fixed_batch = batch;
}

static bool reset(torch_file *f)
{
    graph *g = f->g;
    str format = g->format, producer = g->producer;
    arena *a = g->a;
    memset(g, 0, sizeof *g);
    if (!graph_init(g, a)) return false;
    g->format = format;
    g->producer = producer;
    return true;
}

/* With other sizes, where the code refused the last; the first reason is the one that is told. */
static pg_code run_again(ts *t, torch_file *f, ts_sources *sources, arena *a, const pickle_value *root,
                         const pickle_value *constants, const aten *hints, int attempt)
{
    pg_error again = PG_ERROR_INIT, *e = f->e;
    if (!reset(f)) return PG_E_NOMEM;
    f->e = &again;
    pg_code code = run(t, f, sources, f->g, a, root, constants, hints, attempt);
    f->e = e;
    return code;
}

/* What can't be followed still has weights. */
static pg_code fall_back(torch_file *f, const pickle_value *root, pg_error *why)
{
    if (why->code == PG_E_NOMEM || !reset(f)) return error_nomem(f->e, f->g->a);
    if (!graph_warn(
            f->g,
            "the archive's source could not be followed (%s%s%.200s): only its weights are read; try --input-shape, or "
            "export the model to ONNX",
            why->path, why->path[0] ? ": " : "", why->text))
        return error_nomem(f->e, f->g->a);
    pg_error no_weights = PG_ERROR_INIT, *e = f->e;
    f->e = &no_weights;
    pg_code code = torch_load_state(f, root);
    f->e = e;
    if (code) *e = code == PG_E_UNSUPPORTED ? *why : no_weights;
    return error_is_set(e) ? e->code : code;
}

pg_code torch_load_script(torch_file *f, const pickle_value *root)
{
    ts_sources sources = {.f = f};
    const pickle_value *constants = NULL;
    arena a;
    pg_error why = PG_ERROR_INIT, *e = f->e;
    map_init(&sources.index, f->g->a);
    if (zip_find(&f->z, "constants.pkl")) {
        pg_code code = torch_read_pickle(f, "constants.pkl", &constants);
        if (code) return code;
    }
    arena_init(&a, f->g->a->alloc, f->g->a->limit / SCRATCH_PART);
    ts *t = ARENA_NEW(&a, ts);
    aten *hints = ARENA_NEW(&a, aten);
    pg_code code = t && hints ? PG_E_OK : error_nomem(e, &a);
    if (!code) {
        guess_inputs(hints, f, &sources, root, constants);
        f->e = &why;
        code = run(t, f, &sources, f->g, &a, root, constants, hints, 0);
        for (int i = 1; code == PG_E_GRAPH && i < ATTEMPTS; i++)
            code = run_again(t, f, &sources, &a, root, constants, hints, i);
        f->e = e;
        if (!code) find_fixed_batch(f->g, &a);
        else code = fall_back(f, root, &why);
    }
    arena_free(&a);
    return code;
}
