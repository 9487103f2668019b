#include "load/weights.h"

#include "base/format.h"
#include "zoo/zoo.h"

static bool add_weights(graph *g, const load_weight *weights, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const load_weight *w = &weights[i];
        uint32_t t = graph_add_weight(g, w->name, w->type, w->rank, w->dims);
        if (t == NO_TENSOR) return false;
        if (w->bytes) g->tensors[t].weight_bytes = (double)w->bytes;
    }
    return true;
}

static double elements_of(const load_weight *w)
{
    double n = 1;
    for (int d = 0; d < w->rank; d++) n *= (double)w->dims[d];
    return n;
}

/* The built-in model's graph, if its parameters are as many as these: a checkpoint of another size is another model. */
static pg_code build_named(graph *g, const load_weight *weights, size_t count, const char *name, pg_error *e)
{
    const zoo_entry *z = zoo_find(str_c(name), e);
    if (!z) return PG_E_NOT_FOUND;
    double have = 0, want = (double)z->parameters;
    for (size_t i = 0; i < count; i++) have += weights[i].buffer ? 0 : elements_of(&weights[i]);
    if (have < 0.9 * want || have > 1.1 * want)
        return error_set(e, PG_E_USAGE, "--architecture: '%s' has %.4g million parameters, the file has %.4g million",
                         z->name, want / 1e6, have / 1e6);
    return zoo_build(g, z, NULL, e);
}

pg_code load_weights_alone(graph *g, const load_weight *weights, size_t count, const load_options *options, pg_error *e)
{
    if (options->architecture) return build_named(g, weights, count, options->architecture, e);
    if (!add_weights(g, weights, count)) return error_nomem(e, g->a);
    g->missing = STR(
        "the file holds weights without a graph; name the built-in model that they are of with --architecture "
        "(see list-models), or export the model to ONNX");
    return PG_E_OK;
}
