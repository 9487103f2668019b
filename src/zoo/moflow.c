/* MoFlow (Zang 2020) as in NVIDIA's DeepLearningExamples for ZINC: molecules from noise. The bonds come out of ten
 * couplings of convolutions on the adjacency matrices, folded to 2 x 2; the atoms out of 38 couplings of graph
 * convolutions on those. */
#include "zoo/tables.h"

enum { ATOMS = 40, KINDS = 10, BONDS = 4, FOLD = 20, SIDE = ATOMS / FOLD, BOND_FLOWS = 10, ATOM_FLOWS = 38 };
enum { FOLDED = BONDS * FOLD * FOLD, GRAPH = 256 };

/* b / sigmoid(s) - t, of [s, t] in one tensor */
static nn_val undo(nn *n, nn_val b, nn_val st, int64_t axis)
{
    nn_val part[2];
    nn_split(n, st, "split", axis, 2, part);
    nn_val s = nn_op1(n, OP_Exp, "exp", nn_op1(n, OP_Neg, "neg", part[0]));
    s = nn_op2(n, OP_Add, "inverse", s, nn_floats(n, "one", (double[]){1}, 1));
    return nn_op2(n, OP_Sub, "sub", nn_mul(n, b, s, "mul"), part[1].t);
}

static nn_val unscale(nn *n, nn_val x, int rank, const int64_t *dims)
{
    x = nn_op2(n, OP_Div, "actnorm.div", x, nn_weight(n, "actnorm.scale", "", rank, dims));
    return nn_op2(n, OP_Sub, "actnorm.sub", x, nn_weight(n, "actnorm.loc", "", rank, dims));
}

static nn_val bond_flow(nn *n, nn_val x, bool swap)
{
    nn_val half[2], st;
    nn_split(n, x, "chunk", 1, 2, half);
    st = nn_conv(n, half[swap], "conv0", (nn_conv2d){.out = 512, .k = 3, .pad = 1, .bias = true});
    st = nn_op1(n, OP_Relu, "relu0", nn_batch_norm(n, st, "bn0"));
    st = nn_conv(n, st, "conv1", (nn_conv2d){.out = 512, .k = 3, .pad = 1, .bias = true});
    st = nn_op1(n, OP_Relu, "relu1", nn_batch_norm(n, st, "bn1"));
    st = nn_conv(n, st, "conv2", (nn_conv2d){.out = FOLDED, .k = 3, .pad = 1, .bias = true});
    half[!swap] = undo(n, half[!swap], st, 1);
    return unscale(n, nn_concat(n, half, 2, 1, "concat"), 4, (int64_t[]){1, FOLDED, 1, 1});
}

static nn_val bonds(nn *n, nn_val z)
{
    nn_val x = nn_reshape(n, z, "fold.view", 6, (int64_t[]){0, BONDS, SIDE, FOLD, SIDE, FOLD}, BONDS);
    x = nn_transpose(n, x, "fold.permute", 6, (int64_t[]){0, 1, 3, 5, 2, 4});
    x = nn_reshape(n, x, "fold", 4, (int64_t[]){0, FOLDED, SIDE, SIDE}, FOLDED);
    for (int i = BOND_FLOWS - 1; i >= 0; i--) {
        size_t mark = nn_push(n, "flows.%d", i);
        x = bond_flow(n, x, i % 2 == 1);
        nn_pop(n, mark);
    }
    x = nn_reshape(n, x, "unfold.view", 6, (int64_t[]){0, BONDS, FOLD, FOLD, SIDE, SIDE}, BONDS);
    x = nn_transpose(n, x, "unfold.permute", 6, (int64_t[]){0, 1, 4, 2, 5, 3});
    x = nn_reshape(n, x, "unfold", 4, (int64_t[]){0, BONDS, ATOMS, ATOMS}, BONDS);
    x = nn_add(n, x, nn_transpose(n, x, "transposed", 4, (int64_t[]){0, 1, 3, 2}), "symmetric");
    x = nn_op2(n, OP_Div, "mean", x, nn_floats(n, "two", (double[]){2}, 1));
    x = nn_op1(n, OP_Softmax, "softmax", x);
    nn_attr(n, ATTR_axis, 1);
    nn_val most = nn_op2(n, OP_ReduceMax, "most", x, nn_ints(n, "most", ".axes", (int64_t[]){1}, 1));
    nn_attr(n, ATTR_keepdims, 1);
    return nn_op1(n, OP_Floor, "floor", nn_op2(n, OP_Div, "share", x, most.t));
}

/* Batch normalisation has the atoms for channels. */
static nn_val norm_relu(nn *n, nn_val x, const char *bn, const char *act)
{
    int64_t width = x.c;
    x.c = ATOMS;
    x = nn_op1(n, OP_Relu, act, nn_batch_norm(n, x, bn));
    x.c = width;
    return x;
}

/* Every atom hears from its neighbours through each kind of bond: one product of [atoms, bonds x atoms] and [bonds x
 * atoms, features]. */
static nn_val graph_conv(nn *n, nn_val adjacency, nn_val x)
{
    nn_val own = nn_linear(n, x, "graph_linear_self", GRAPH, true);
    nn_val m = nn_linear(n, x, "graph_linear_edge", BONDS * GRAPH, true);
    m = nn_reshape(n, m, "edge.view", 4, (int64_t[]){0, ATOMS, GRAPH, BONDS}, GRAPH);
    m = nn_transpose(n, m, "edge.permute", 4, (int64_t[]){0, 3, 1, 2});
    m = nn_reshape(n, m, "edge.flat", 3, (int64_t[]){0, BONDS * ATOMS, GRAPH}, GRAPH);
    nn_val a = nn_transpose(n, adjacency, "adjacency.permute", 4, (int64_t[]){0, 2, 1, 3});
    a = nn_reshape(n, a, "adjacency.flat", 3, (int64_t[]){0, ATOMS, BONDS * ATOMS}, GRAPH);
    a = nn_unsqueeze(n, nn_op2(n, OP_MatMul, "neighbours", a, m.t), "neighbours.unsqueeze", 1, (int64_t[]){2});
    return nn_add(n, own, a, "graph_conv");
}

static nn_val atom_flow(nn *n, nn_val adjacency, nn_val x, nn_val mask)
{
    nn_val kept = nn_mul(n, x, mask, "kept");
    nn_val h = graph_conv(n, adjacency, nn_unsqueeze(n, kept, "unsqueeze", 1, (int64_t[]){2}));
    h = norm_relu(n, h, "conv.bn", "conv.relu");
    h = norm_relu(n, nn_linear(n, h, "lin0", 512, true), "lin0.bn", "lin0.relu");
    h = norm_relu(n, nn_linear(n, h, "lin1", 64, true), "lin1.bn", "lin1.relu");
    h = nn_linear(n, h, "lin2", 2 * KINDS, true);
    h = nn_op2(n, OP_Squeeze, "squeeze", h, nn_ints(n, "squeeze", ".axes", (int64_t[]){2}, 1));
    x = nn_mul(n, undo(n, x, h, 2), mask, "others");
    return unscale(n, nn_add(n, kept, x, "merge"), 3, (int64_t[]){1, ATOMS, 1});
}

static void build(nn *n, const void *dims)
{
    const int64_t parts[2] = {ATOMS * KINDS, BONDS * ATOMS * ATOMS};
    uint32_t half[2];
    (void)dims;
    nn_val z = nn_input(n, "z", n->weights, 2, (num[]){nn_symbol(n->batch), num_int(parts[0] + parts[1])}, 0);
    nn_emit(n, OP_Split, "z.split", (uint32_t[]){z.t, nn_ints(n, "z.split", ".sizes", parts, 2)}, 2, half, 2);
    nn_attr(n, ATTR_axis, 1);
    size_t mark = nn_push(n, "bond_model");
    nn_val adjacency = bonds(n, (nn_val){half[1], 0});
    nn_pop(n, mark);
    mark = nn_push(n, "atom_model");
    nn_val shape = {nn_ints(n, "mask.shape", "", (int64_t[]){ATOMS, KINDS}, 2), KINDS};
    nn_val mask = nn_op1(n, OP_ConstantOfShape, "mask", shape);
    nn_val x = nn_reshape(n, (nn_val){half[0], KINDS}, "view", 3, (int64_t[]){0, ATOMS, KINDS}, KINDS);
    for (int i = ATOM_FLOWS - 1; i >= 0; i--) {
        size_t inner = nn_push(n, "flows.%d", i);
        x = atom_flow(n, adjacency, x, mask);
        nn_pop(n, inner);
    }
    nn_pop(n, mark);
    nn_output(n, adjacency, "adjacency");
    nn_output(n, x, "atoms");
}

static const zoo_entry rows[] = {
    {.name = "moflow",
     .aliases = "moflow_zinc250k",
     .family = "cnn",
     .description = "MoFlow, a molecule of up to 38 atoms from noise",
     .parameters = 141000000,
     .source = "https://github.com/NVIDIA/DeepLearningExamples/tree/master/PyTorch/DrugDiscovery/MoFlow",
     .build = build},
};

const zoo_table zoo_moflow = ZOO_TABLE(rows);
