/* What PyTorch's exporter computed beforehand, and eager PyTorch computes in every step: which kernels those are.
 *
 * Biases of convolutions in front of batch normalisations that were folded. The folded bias looks the same with and without, but is a
 * kernel of its own (U-Net, VGG). The exporter numbers every value that it makes, and folding comes last: the number in the first
 * folded weight's name (onnx::Conv_123) is how many values there were before. All of them but the biases can be told from the file:
 *
 * 1. inputs, weights and results, which are still there under names without a number of the exporter's;
 * 2. of each folded pair the convolution's weight, the normalisation's weight, bias, mean, variance and count of batches, and
 *    its result; of each normalisation that is left the count of batches;
 * 3. of each Resize with scales three lists that went unused, two where its region is given.
 *
 * What is left over is one for each folded convolution, or none; else other values went unused, and nothing is told.
 *
 * Biases of attention, onnx::Add_123 of [1, heads, n, n], which are rows of a table of relative positions in a window (Swin, BEiT): the
 * table, its rows and the lookup are put back. */
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

/* How many relative positions a window of n positions has, one of them a class where it is one more than a square; 0: none. */
static int64_t relative_positions(int64_t n)
{
    enum { LEAST = 2, MOST = 128 };
    for (int64_t side = LEAST; side <= MOST; side++) {
        int64_t table = (2 * side - 1) * (2 * side - 1);
        if (n == side * side) return table;
        if (n == side * side + 1) return table + 3;
    }
    return 0;
}

static bool is_position_bias(const tensor *t)
{
    if (t->role != ROLE_WEIGHT || t->rank != 4 || !str_starts(t->name, "onnx::Add_")) return false;
    for (int i = 0; i < 4; i++)
        if (t->dims[i].sym != SYM_NONE || t->dims[i].v.i < 1) return false;
    return t->dims[0].v.i == 1 && t->dims[2].v.i == t->dims[3].v.i && relative_positions(t->dims[2].v.i);
}

static uint32_t add_value(graph *g, uint32_t like, op_kind kind, const uint32_t *in, uint32_t n_in, uint32_t out)
{
    if (out == NO_TENSOR) out = graph_add_tensor(g, g->tensors[like].name, (dtype)g->tensors[like].dtype);
    if (out == NO_TENSOR) return NO_TENSOR;
    g->tensors[out].defined = true;
    uint32_t o = graph_add_op(g, 0, kind, g->tensors[like].name, in, n_in, &out, 1);
    if (o == NO_TENSOR) return NO_TENSOR;
    g->ops[o].type = str_c(op_kind_name(kind));
    g->ops[o].opset = 13;
    return out;
}

/* bias = table[rows].view(n, n, heads).permute(2, 0, 1).unsqueeze(0) */
static bool unfold_position_bias(graph *g, uint32_t bias)
{
    const int64_t heads = g->tensors[bias].dims[1].v.i, n = g->tensors[bias].dims[2].v.i;
    str name = g->tensors[bias].name;
    uint32_t table = graph_add_weight(g, name, (dtype)g->tensors[bias].dtype, 2,
                                      (int64_t[]){relative_positions(n), heads});
    uint32_t rows = graph_add_weight(g, name, DT_INT64, 1, (int64_t[]){n * n});
    uint32_t square = graph_add_ints(g, name, 1, (int64_t[]){n, n, heads}, 3);
    uint32_t front = graph_add_ints(g, name, 1, (int64_t[]){0}, 1);
    if (table == NO_TENSOR || rows == NO_TENSOR || square == NO_TENSOR || front == NO_TENSOR) return false;
    tensor *t = g->tensors;
    t[table].defined = t[rows].defined = t[square].defined = t[front].defined = t[rows].buffer = true;
    t[table].weight_bytes = t[bias].weight_bytes;
    t[bias].weight_bytes = t[rows].weight_bytes = 0;
    t[bias].role = ROLE_VALUE;
    uint32_t x = add_value(g, bias, OP_Gather, (uint32_t[]){table, rows}, 2, NO_TENSOR);
    if (x != NO_TENSOR) x = add_value(g, bias, OP_Reshape, (uint32_t[]){x, square}, 2, NO_TENSOR);
    if (x != NO_TENSOR) x = add_value(g, bias, OP_Transpose, &x, 1, NO_TENSOR);
    if (x == NO_TENSOR || !graph_attr_ints(g, ATTR_perm, (int64_t[]){2, 0, 1}, 3)) return false;
    return add_value(g, bias, OP_Unsqueeze, (uint32_t[]){x, front}, 2, bias) != NO_TENSOR;
}

bool onnx_unfold_positions(graph *g)
{
    uint32_t n_ops = g->n_ops;
    for (uint32_t i = 0; i < n_ops && g->n_regions == 1; i++)
        for (uint32_t k = 0; g->ops[i].kind == OP_Add && k < 2; k++) {
            uint32_t t = op_input(g, &g->ops[i], k);
            if (t != NO_TENSOR && is_position_bias(&g->tensors[t]) && !unfold_position_bias(g, t)) return false;
        }
    return true;
}
