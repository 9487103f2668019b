/* Whether convolutions had biases of their own before PyTorch's exporter folded the batch normalisations behind them. The folded
 * bias looks the same either way, but eager PyTorch runs the first as a kernel of its own (U-Net, VGG).
 *
 * The exporter numbers every value that it makes, and folding comes last: the number in the first folded weight's name
 * (onnx::Conv_123) is how many values there were before. All of them but the biases can be told from the file:
 *
 * 1. inputs, weights and results, which are still there under names without a number of the exporter's;
 * 2. of each folded pair the convolution's weight, the normalisation's weight, bias, mean, variance and count of batches, and
 *    its result; of each normalisation that is left the count of batches;
 * 3. of each Resize with scales three lists that went unused, two where its region is given.
 *
 * What is left over is one for each folded convolution, or none; else other values went unused, and nothing is told. */
#include "load/onnx_internal.h"

#define FOLDED "onnx::Conv_"

static bool number_of(str name, uint64_t *out)
{
    enum { DIGITS = 9 };
    uint64_t n = 0;
    if (!str_starts(name, FOLDED)) return false;
    size_t from = sizeof FOLDED - 1;
    if (name.len == from || name.len > from + DIGITS) return false;
    for (size_t i = from; i < name.len; i++) {
        if (name.ptr[i] < '0' || name.ptr[i] > '9') return false;
        n = n * 10 + (uint64_t)(name.ptr[i] - '0');
    }
    *out = n;
    return true;
}

void onnx_mark_folded_biases(graph *g)
{
    enum { PAIR = 7, RESIZE = 3 };
    uint64_t pairs = 0, first = UINT64_MAX, named = 0, unused = 0, n;
    if (g->n_regions != 1) return;
    for (uint32_t i = 0; i < g->n_ops; i++) {
        const op *o = &g->ops[i];
        uint32_t w = o->kind == OP_Conv ? op_input(g, o, 1) : NO_TENSOR;
        if (w != NO_TENSOR && number_of(g->tensors[w].name, &n)) {
            pairs++;
            if (n < first) first = n;
        }
        unused += o->kind == OP_BatchNormalization;
        if (o->kind == OP_Resize && op_input(g, o, 2) != NO_TENSOR)
            unused += op_input(g, o, 1) == NO_TENSOR ? RESIZE : RESIZE - 1;
    }
    for (uint32_t i = 0; i < g->n_tensors; i++)
        named += g->tensors[i].defined && !str_starts(g->tensors[i].name, "onnx::");
    if (!pairs || first != 1 + named + unused + (PAIR + 1) * pairs) return;
    for (uint32_t i = 0; i < g->n_ops; i++) {
        op *o = &g->ops[i];
        if (o->kind == OP_Conv && o->flags & OPF_BN_FOLDED) o->flags |= OPF_BIAS_FOLDED;
    }
}
