#include "load/weights.h"

#include "base/number.h"
#include "graph/language.h"
#include "load/builtin.h"
#include "load/recognise.h"

static bool add_weights(graph *g, const load_weight *weights, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const load_weight *w = &weights[i];
        uint32_t t = graph_add_weight(g, w->name, w->type, w->rank, w->dims);
        if (t == NO_TENSOR) return false;
        g->tensors[t].buffer = w->buffer;
        if (w->bytes) g->tensors[t].weight_bytes = (double)w->bytes;
    }
    return true;
}

/* The type that most of the weights are stored as. */
static dtype main_type(const load_weight *weights, size_t count)
{
    double bytes[DT_COUNT] = {0};
    dtype best = DT_FP32;
    for (size_t i = 0; i < count; i++) {
        double n = 1;
        for (int d = 0; d < weights[i].rank; d++) n *= (double)weights[i].dims[d];
        if (dtype_get(weights[i].type)->floating) bytes[weights[i].type] += n;
    }
    for (int d = 0; d < DT_COUNT; d++)
        if (bytes[d] > bytes[best]) best = (dtype)d;
    return best;
}

/* The built-in model's weights as the file stores them. */
static void store_as(graph *g, dtype from, dtype to)
{
    for (uint32_t i = 0; from != to && i < g->n_tensors; i++) {
        tensor *t = &g->tensors[i];
        if (t->dtype != from || (t->role != ROLE_WEIGHT && t->role != ROLE_INPUT)) continue;
        t->dtype = (uint8_t)to;
        t->weight_bytes *= dtype_bytes(to) / dtype_bytes(from);
    }
}

static bool say_found(graph *g, const recognised *r)
{
    char other[96] = "", head[96] = "", rows[96] = "";
    if (r->other) format_text(other, sizeof other, " (%s has the same shapes)", r->other->name);
    if (r->head_to)
        format_text(head, sizeof head, "; its head has %lld outputs instead of %lld", (long long)r->head_to,
                    (long long)r->head_from);
    if (r->rows_to)
        format_text(rows, sizeof rows, "; its vocabulary has %lld entries instead of %lld", (long long)r->rows_to,
                    (long long)r->rows_from);
    return graph_warn(
        g,
        "recognised as %s%s by the shapes of %u of its %u weight matrices and kernels%s%s; --architecture "
        "names another",
        r->entry->name, other, r->matched, r->of, head, rows);
}

static pg_code build(graph *g, const recognised *r, const load_weight *weights, size_t count, pg_error *e)
{
    const zoo_entry *z = r->entry;
    str format = g->format, producer = g->producer; /* load_builtin has its own */
    pg_code code = load_builtin(g, z, NULL, e);
    g->format = format;
    g->producer = producer;
    if (code) return code;
    recognise_adapt(g, r);
    dtype stored = z->config && g->language ? g->language->weights : z->weights;
    store_as(g, stored ? stored : DT_FP32, main_type(weights, count));
    return PG_E_OK;
}

double load_weight_parameters(const load_weight *weights, size_t count)
{
    double all = 0;
    for (size_t i = 0; i < count; i++) {
        double n = weights[i].buffer ? 0 : 1;
        for (int d = 0; d < weights[i].rank; d++) n *= (double)weights[i].dims[d];
        all += n;
    }
    return all;
}

pg_code load_weights_alone(graph *g, const load_weight *weights, size_t count, const load_options *options, pg_error *e)
{
    recognised r;
    pg_code code;
    if (options->architecture) {
        const zoo_entry *z = zoo_find(str_c(options->architecture), e);
        if (!z) return PG_E_NOT_FOUND;
        code = recognise_named(&r, z, weights, count, g, e);
        return code ? code : build(g, &r, weights, count, e);
    }
    code = recognise_weights(&r, weights, count, g, e);
    if (code) return code;
    if (r.entry) {
        code = build(g, &r, weights, count, e);
        return code ? code : say_found(g, &r) ? PG_E_OK : error_nomem(e, g->a);
    }
    char size[NUMBER_SIZE];
    if (!add_weights(g, weights, count)) return error_nomem(e, g->a);
    str text = {NULL, 0};
    char missing[320];
    text.len = format_text(
        missing, sizeof missing,
        "the file holds %zu weights (%s parameters) without a graph, of none of the built-in models; "
        "speed needs a graph: export the model to ONNX, or name the built-in model that they are of "
        "with --architecture (see list-models)",
        count, number_parameters(size, sizeof size, load_weight_parameters(weights, count)));
    text.ptr = missing;
    g->missing = str_copy(g->a, text);
    return g->missing.ptr ? PG_E_OK : error_nomem(e, g->a);
}
