/* What a model is: everything that --model shows before any GPU comes in. */
#include "api/api.h"
#include "base/map.h"
#include "graph/language.h"

typedef struct tally {
    map names;
    pg_count *list;
    uint32_t n, cap;
    arena *a;
} tally;

static bool tally_add(tally *t, str name, double count)
{
    bool added;
    uint32_t *slot = map_add(&t->names, name, t->n, &added);
    if (!slot) return false;
    if (added) {
        if (t->n == t->cap) {
            uint32_t cap = t->cap ? t->cap * 2 : 16;
            pg_count *list = arena_grow(t->a, t->list, t->cap, cap, sizeof *list);
            if (!list) return false;
            t->list = list;
            t->cap = cap;
        }
        const char *text = api_text(t->a, name);
        if (!text) return false;
        t->list[t->n++] = (pg_count){text, 0};
    }
    t->list[*slot].count += (uint64_t)count;
    return true;
}

static void tally_sort(tally *t)
{
    for (uint32_t i = 1; i < t->n; i++) { /* few distinct names: insertion keeps equal ones in file order */
        pg_count c = t->list[i];
        uint32_t k = i;
        for (; k && t->list[k - 1].count < c.count; k--) t->list[k] = t->list[k - 1];
        t->list[k] = c;
    }
}

static double elements_of(const tensor *t)
{
    double n = 1;
    for (int i = 0; i < t->rank; i++) n *= (double)t->dims[i].v.i;
    return t->rank < 0 ? 0 : n;
}

/* Constants that PyTorch's exporter made by folding are named after their user ("onnx::Add_123"). A matrix or a convolution
 * kernel among them is a weight in another layout; what is added or multiplied with more than one dimension is a buffer (a mask,
 * a table of relative positions already gathered). */
static bool is_folded_buffer(const tensor *t)
{
    static const char *const users[] = {"onnx::Add_", "onnx::Mul_",   "onnx::Sub_",
                                        "onnx::Div_", "onnx::Where_", "onnx::Unsqueeze_"};
    for (size_t i = 0; t->rank >= 2 && i < sizeof users / sizeof users[0]; i++)
        if (str_starts(t->name, users[i])) return true;
    return false;
}

/* Weight standardisation is exported as a batch normalisation over the weight, whose mean and variance are computed from a second,
 * transposed copy of the same weight: that one is not counted again. */
static void skip_standardised(const graph *g, uint8_t *skip)
{
    for (uint32_t i = 0; i < g->n_ops; i++) {
        const op *o = &g->ops[i];
        uint32_t w = o->kind == OP_BatchNormalization ? op_input(g, o, 0) : NO_TENSOR;
        if (w == NO_TENSOR || g->tensors[w].role != ROLE_WEIGHT) continue;
        enum { NEAR = 128 }; /* operators between the two, whichever comes first */
        for (uint32_t at = i > NEAR ? i - NEAR : 0; at < g->n_ops && at < i + NEAR; at++) {
            const op *m = &g->ops[at];
            uint32_t copy = m->kind == OP_ReduceMean ? op_input(g, m, 0) : NO_TENSOR;
            if (copy == NO_TENSOR || copy == w || skip[copy] || g->tensors[copy].role != ROLE_WEIGHT) continue;
            if (elements_of(&g->tensors[copy]) != elements_of(&g->tensors[w])) continue;
            skip[copy] = 1;
            break;
        }
    }
}

/* The bias of a product; where that is of integers, its numbers are wider than the weights'. NO_TENSOR: none. */
static uint32_t bias_of(const graph *g, const op *o)
{
    switch (o->kind) {
    case OP_QLinearConv: return op_input(g, o, 8);
    case OP_QGemm: return op_input(g, o, 6);
    case OP_LSTM:
    case OP_GRU:
    case OP_RNN: return op_input(g, o, 3);
    case OP_ConvTranspose: return op_input(g, o, 2);
    default: return NO_TENSOR;
    }
}

enum { USED = 1, BIAS = 2 };

/* Weights that are not parameters, and how many parameters stand in packed ones. */
static double find_buffers(const graph *g, uint8_t *skip, uint8_t *used)
{
    double packed = 0;
    for (uint32_t i = 0; i < g->n_ops; i++) {
        const op *o = &g->ops[i];
        for (uint32_t k = 0; k < o->n_in; k++)
            if (op_in(g, o)[k] != NO_TENSOR) used[op_in(g, o)[k]] |= USED;
        if (bias_of(g, o) != NO_TENSOR) used[bias_of(g, o)] |= BIAS;
        if (o->kind == OP_BatchNormalization)
            for (uint32_t k = 3; k < 5; k++)
                if (op_input(g, o, k) != NO_TENSOR) skip[op_input(g, o, k)] = 1;
        if ((o->kind == OP_MatMulNBits || o->kind == OP_MatMulBnb4) && op_input(g, o, 1) != NO_TENSOR) {
            packed += (double)op_attr_int(g, o, ATTR_N, 0) * (double)op_attr_int(g, o, ATTR_K, 0);
            for (uint32_t k = 1; k < 4; k++)
                if (op_input(g, o, k) != NO_TENSOR) skip[op_input(g, o, k)] = 1;
        }
    }
    skip_standardised(g, skip);
    return packed;
}

/* Tensors whose numbers are trained. Integers wider than 8 bits are indices and shapes, but for biases; running statistics of batch
 * normalisation are buffers; what a weight-packing operator holds counts as the weights it stands for. */
static pg_code count_weights(pg_model *m, pg_error *e)
{
    const graph *g = &m->g;
    uint8_t *skip = ARENA_ARRAY(&m->a, uint8_t, g->n_tensors);
    uint8_t *used = ARENA_ARRAY(&m->a, uint8_t, g->n_tensors);
    tally by_dtype = {.a = &m->a};
    map_init(&by_dtype.names, &m->a);
    if (!skip || !used) return error_nomem(e, &m->a);
    double literals = 0;
    m->info.parameters = find_buffers(g, skip, used);
    for (uint32_t i = 0; i < g->n_tensors; i++) {
        const tensor *t = &g->tensors[i];
        if (t->role != ROLE_WEIGHT || (!used[i] && !g->missing.len)) continue;
        const dtype_info *d = dtype_get((dtype)t->dtype);
        bool bias = used[i] & BIAS;
        bool trained = bias || d->floating || (d->bits && d->bits <= 8 && t->dtype != DT_BOOL);
        m->info.weights_bytes += t->weight_bytes;
        if (t->weight_bytes >= 1 && !tally_add(&by_dtype, str_c(d->name), t->weight_bytes))
            return error_nomem(e, &m->a);
        if (!trained || skip[i] || t->buffer || (d->bits == 8 && t->rank <= 1 && !bias) || is_folded_buffer(t))
            continue;
        if (t->literal) literals += elements_of(t);
        else m->info.parameters += elements_of(t);
    }
    if (m->info.parameters == 0) m->info.parameters = literals; /* some exporters write every weight as a literal */
    if (g->language &&
        g->language->parameters > m->info.parameters) /* tables that no operator of the graph stands for */
        m->info.parameters = g->language->parameters;
    if (g->language && g->language->active_parameters < g->language->parameters)
        m->info.active_parameters = g->language->active_parameters;
    if (g->language) m->info.other_parameters = g->language->other_parameters;
    tally_sort(&by_dtype);
    m->info.weights_by_dtype = by_dtype.list;
    m->info.weights_by_dtype_count = by_dtype.n;
    return PG_E_OK;
}

static pg_code describe_tensor(pg_model *m, const shapes *s, uint32_t index, pg_tensor *out, pg_error *e)
{
    const tensor_shape *t = &s->t[index];
    const tensor *x = &m->g.tensors[index];
    out->name = api_text(&m->a, x->name);
    out->dtype = dtype_get((dtype)(t->dtype ? t->dtype : x->dtype))->name;
    out->rank = t->rank;
    pg_dim *dims = ARENA_ARRAY(&m->a, pg_dim, t->rank > 0 ? (size_t)t->rank : 0);
    if (!out->name || !dims) return error_nomem(e, &m->a);
    for (int i = 0; i < t->rank; i++) {
        num n = t->dims[i];
        char text[96];
        dims[i] = (pg_dim){num_known(n) ? n.v.i : -1, NULL, n.sym >= 0};
        if (!num_known(n) ||
            n.sym == SYM_OPAQUE) { /* opaque: right at this size only, so not shown as if it held for all */
            dims[i].value = -1;
            continue;
        }
        num_format(text, sizeof text, n, s);
        dims[i].text = api_text(&m->a, str_c(text));
        if (!dims[i].text) return error_nomem(e, &m->a);
    }
    out->dims = dims;
    return PG_E_OK;
}

static pg_code describe_ends(pg_model *m, const shapes *s, pg_error *e)
{
    const region *r = &m->g.regions[0];
    pg_tensor *in = ARENA_ARRAY(&m->a, pg_tensor, r->n_inputs), *out = ARENA_ARRAY(&m->a, pg_tensor, r->n_outputs);
    if (!in || !out) return error_nomem(e, &m->a);
    pg_code code = PG_E_OK;
    for (uint32_t i = 0; !code && i < r->n_inputs; i++) code = describe_tensor(m, s, r->inputs[i], &in[i], e);
    for (uint32_t i = 0; !code && i < r->n_outputs; i++) code = describe_tensor(m, s, r->outputs[i], &out[i], e);
    m->info.inputs = in;
    m->info.input_count = r->n_inputs;
    m->info.outputs = out;
    m->info.output_count = r->n_outputs;
    return code;
}

/* Operators that run: shape arithmetic is folded away and not counted. */
static pg_code count_operators(pg_model *m, const shapes *s, pg_error *e)
{
    tally all = {.a = &m->a}, unknown = {.a = &m->a};
    map_init(&all.names, &m->a);
    map_init(&unknown.names, &m->a);
    for (uint32_t i = 0; i < m->g.n_ops; i++) {
        const op *o = &m->g.ops[i];
        bool folded = o->n_out > 0;
        for (uint32_t k = 0; k < o->n_out; k++)
            if (op_out(&m->g, o)[k] != NO_TENSOR && !s->t[op_out(&m->g, o)[k]].value) folded = false;
        if (folded || op_work_class((op_kind)o->kind) == WORK_FREE || o->flags & OPF_RELABEL) continue;
        m->info.operators++;
        if (!tally_add(&all, o->type, 1)) return error_nomem(e, &m->a);
        if (o->kind == OP_Unknown && !tally_add(&unknown, o->type, 1)) return error_nomem(e, &m->a);
    }
    tally_sort(&all);
    tally_sort(&unknown);
    m->info.operator_counts = all.list;
    m->info.operator_count_count = all.n;
    m->info.unknown_operators = unknown.list;
    m->info.unknown_operator_count = unknown.n;
    return PG_E_OK;
}

static bool is_product(kernel_kind k)
{
    return k == KERNEL_GEMM || k == KERNEL_CONV || k == KERNEL_DEPTHWISE || k == KERNEL_ATTENTION ||
           k == KERNEL_RECURRENT;
}

/* MACs, and which family of models it belongs to, by where its arithmetic is. */
static pg_code count_macs(pg_model *m, const shapes *s, arena *a, pg_error *e)
{
    static const runtime_profile counting = {.strided_views = true, .allocator_round = 1};
    units us;
    kernel_plan p;
    pg_code code = units_build(&us, &m->g, s, &(unit_options){.fuse_explicit_attention = true}, a, e);
    if (!code) code = plan_build(&p, &us, &counting, &(plan_options){.math = PREC_FP32}, a, e);
    if (code) return code;
    double conv = 0, recurrent = 0, products = 0, attention = 0;
    bool batched = false; /* products of two activations, as in attention that wasn't recognised */
    for (uint32_t i = 0; i < p.n_kernels; i++) {
        const plan_kernel *k = &p.kernels[i];
        if (!is_product(k->k.kind)) continue;
        double f = k->k.flops * k->count;
        products += f;
        if (k->k.kind == KERNEL_CONV || k->k.kind == KERNEL_DEPTHWISE) conv += f;
        if (k->k.kind == KERNEL_RECURRENT) recurrent += f;
        if (k->k.kind == KERNEL_ATTENTION) attention += f;
        batched |= k->k.kind == KERNEL_GEMM && k->k.shape.gemm.batch > 1;
    }
    m->info.macs = p.unknown_products > 0.5 || m->g.missing.len ? -1 : products / 2;
    m->family = recurrent * 3 > products             ? FAMILY_RNN
              : attention > 0 && conv * 2 < products ? FAMILY_TRANSFORMER
                                                     : FAMILY_CNN;
    m->layers_alone = conv == 0 && recurrent == 0 && products > 0 && attention == 0;
    if (m->layers_alone) m->family = FAMILY_TRANSFORMER;
    m->layers_alone = m->layers_alone && !batched;
    return PG_E_OK;
}

static pg_code copy_warnings(pg_model *m, const shapes *s, pg_error *e)
{
    size_t n = (size_t)m->g.n_warnings + s->n_notes + 1;
    const char **list = ARENA_ARRAY(&m->a, const char *, n);
    if (!list) return error_nomem(e, &m->a);
    size_t k = 0;
    for (uint32_t i = 0; i < m->g.n_warnings; i++) list[k++] = api_text(&m->a, m->g.warnings[i]);
    for (uint32_t i = 0; i < s->n_notes; i++) list[k++] = api_text(&m->a, s->notes[i]);
    if (s->unknown_outputs) {
        char text[160];
        format_text(text, sizeof text,
                    "%u operator output%s a shape that can't be known before the model runs; %s not costed",
                    s->unknown_outputs, s->unknown_outputs == 1 ? " has" : "s have",
                    s->unknown_outputs == 1 ? "it is" : "they are");
        list[k++] = api_text(&m->a, str_c(text));
    }
    for (size_t i = 0; i < k; i++)
        if (!list[i]) return error_nomem(e, &m->a);
    m->info.warnings = list;
    m->info.warning_count = k;
    return PG_E_OK;
}

static pg_code copy_remarks(pg_model *m, pg_error *e)
{
    pg_remark *list = ARENA_ARRAY(&m->a, pg_remark, m->g.n_remarks);
    if (!list) return error_nomem(e, &m->a);
    for (uint32_t i = 0; i < m->g.n_remarks; i++) {
        list[i] = (pg_remark){m->g.remarks[i].key, api_text(&m->a, m->g.remarks[i].text)};
        if (!list[i].text) return error_nomem(e, &m->a);
    }
    m->info.remarks = list;
    m->info.remark_count = m->g.n_remarks;
    return PG_E_OK;
}

int32_t api_sequence_symbol(const graph *g)
{
    static const char *const parts[] = {"seq", "length", "token", "time", "frames"};
    for (uint32_t i = 0; i < g->n_symbols; i++) {
        if ((int32_t)i == g->batch_symbol) continue;
        char low[64];
        str_fold(low, sizeof low, g->symbols[i].name);
        for (size_t k = 0; k < sizeof parts / sizeof parts[0]; k++)
            for (const char *at = low; *at; at++)
                if (str_starts(str_c(at), parts[k])) return (int32_t)i;
    }
    return -1;
}

int64_t *api_binding(const graph *g, int64_t batch, int64_t sequence, arena *a)
{
    int64_t *b = ARENA_ARRAY(a, int64_t, g->n_symbols);
    int32_t seq = api_sequence_symbol(g);
    for (uint32_t i = 0; b && i < g->n_symbols; i++) b[i] = g->symbols[i].fallback;
    if (b && batch > 0 && g->batch_symbol >= 0) b[g->batch_symbol] = batch;
    if (b && sequence > 0 && seq >= 0) b[seq] = sequence;
    return b;
}

static str base_name(str path)
{
    while (path.len > 1 && path.ptr[path.len - 1] == '/') path.len--; /* a folder */
    for (size_t i = path.len; i > 0; i--)
        if (path.ptr[i - 1] == '/') return (str){path.ptr + i, path.len - i};
    return path;
}

static pg_code name_it(pg_model *m, const char *path, pg_error *e)
{
    static const char *const families[FAMILY_COUNT] = {"cnn", "transformer", "rnn"};
    str name = base_name(str_c(path));
    bool built_in = str_is(m->g.format, "built-in");
    if (m->hub_name) name = str_c(m->hub_name);
    else if (built_in) name = m->g.name;
    else
        for (size_t i = 0, n = 0; !n && load_format_at(i); i++) name.len -= n = load_ending(load_format_at(i), name);
    m->info.name = api_text(&m->a, name);
    m->info.path = api_text(&m->a, str_c(path));
    m->info.format = api_text(&m->a, m->g.format);
    m->info.producer = api_text(&m->a, m->g.producer);
    if (m->g.missing.len) m->info.no_graph = api_text(&m->a, m->g.missing);
    m->info.family = m->g.family.len  ? api_text(&m->a, m->g.family)
                   : m->g.missing.len ? "weights"
                   : m->layers_alone  ? "mlp"
                                      : families[m->family];
    int32_t seq = api_sequence_symbol(&m->g);
    if (seq >= 0) {
        m->info.sequence_symbol = api_text(&m->a, m->g.symbols[seq].name);
        m->info.sequence = m->g.symbols[seq].fallback;
    }
    const language_model *lm = m->g.language;
    m->info.generates = lm && !lm->encoder_only && !lm->n_encoder && lm->n_layers;
    m->info.has_batch = m->g.batch_symbol >= 0;
    m->info.fixed_batch = m->g.fixed_batch;
    bool ok = m->info.name && m->info.path && m->info.format && m->info.producer && m->info.family;
    return ok ? PG_E_OK : error_nomem(e, &m->a);
}

static pg_code strict_check(const pg_model *m, pg_error *e)
{
    if (!m->info.unknown_operator_count) return PG_E_OK;
    return error_set(e, PG_E_UNSUPPORTED, "--strict: unknown operator '%s' (%llu times)%s",
                     m->info.unknown_operators[0].name, (unsigned long long)m->info.unknown_operators[0].count,
                     m->info.unknown_operator_count > 1 ? " and others" : "");
}

pg_code api_describe(pg_model *m, const char *path, bool strict, pg_error *e)
{
    arena scratch;
    shapes s;
    arena_init(&scratch, m->a.alloc, m->a.limit);
    int64_t *binding = api_binding(&m->g, 1, 0, &scratch);
    pg_code code = binding ? PG_E_OK : error_nomem(e, &scratch);
    if (!code) code = shapes_infer(&s, &m->g, &(shape_options){.binding = binding}, &scratch, e);
    if (!code) code = count_weights(m, e);
    if (!code) code = describe_ends(m, &s, e);
    if (!code) code = count_operators(m, &s, e);
    if (!code) code = count_macs(m, &s, &scratch, e);
    if (!code) code = copy_warnings(m, &s, e);
    if (!code) code = copy_remarks(m, e);
    if (!code) code = name_it(m, path, e);
    if (!code && strict) code = strict_check(m, e);
    arena_free(&scratch);
    return code;
}
