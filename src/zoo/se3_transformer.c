/* SE(3)-Transformer (Fuchs 2020) on QM9, as NVIDIA has it in PyTorch and DGL with all fusions: features of the degrees 0 to 3 that turn with
 * the molecule (2 d + 1 numbers each), mixed by convolutions whose kernels a small network makes for every bond from its length and kind.
 *
 * A molecule is QM9's average one, 18 atoms with 37 directed bonds (18.03 and 37.3), so that a batch has sizes. */
#include "zoo/nn_seq.h"
#include "zoo/tables.h"

enum { ATOMS = 18, BONDS = 37, ATOM_FEATURES = 6, BOND_FEATURES = 4 };
enum { LAYERS = 7, DEGREES = 4, CHANNELS = 32, HALF = CHANNELS / 2, HEADS = 8, MID = 32 };
enum { ALL = DEGREES * DEGREES /* numbers of one channel in all degrees */, POOLED = DEGREES * CHANNELS };

typedef struct molecule {
    nn_val atoms;         /* how many, as a list of one */
    nn_val from, to;      /* atoms of the bonds */
    nn_val bond;          /* [bonds, 5]: kind and length */
    nn_val pair[DEGREES]; /* bases from degree 0 to each, [bonds, 1, 2 d + 2] */
    nn_val fused, out_0;  /* all of them side by side; those to degree 0 */
} molecule;

typedef struct features {
    nn_val of[DEGREES]; /* [atoms, channels, 2 d + 1]; NN_ABSENT: none of that degree */
} features;

static int64_t numbers(int degree)
{
    return 2 * degree + 1;
}

/* Frequencies of a basis between two degrees. */
static int64_t bands(int a, int b)
{
    return numbers(a < b ? a : b);
}

static nn_val input(nn *n, const char *name, dtype d, int32_t each, int64_t c)
{
    num dims[2] = {{{.i = 0}, each, n->batch}, num_int(c)};
    return nn_input(n, name, d, c ? 2 : 1, dims, c);
}

static nn_val rows_of(nn *n, nn_val x, nn_val at, const char *layer)
{
    nn_val y = nn_op2(n, OP_Gather, layer, x, at.t);
    nn_attr(n, ATTR_axis, 0);
    return y;
}

static nn_val product(nn *n, nn_val a, nn_val b, const char *layer)
{
    nn_val y = nn_op2(n, OP_MatMul, layer, a, b.t);
    y.c = b.c;
    return y;
}

/* Sums over the bonds that end at an atom: [bonds, ...] to [atoms, ...], of which `rest` are the dims behind the first. */
static nn_val sum_at(nn *n, const molecule *m, nn_val x, const char *layer, uint32_t count, const int64_t *rest)
{
    size_t mark = nn_push(n, "%s", layer);
    nn_val zero = {nn_floats(n, "zero", (double[]){0}, 1), 0}, dims = {nn_ints(n, "rest", "", rest, count), 0};
    dims = nn_concat(n, (nn_val[]){m->atoms, dims}, 2, 0, "dims");
    uint32_t in[3] = {nn_op2(n, OP_Expand, "zeros", zero, dims.t).t};
    in[1] = nn_unsqueeze(n, m->to, "index", 1, (int64_t[]){1}).t;
    in[2] = x.t;
    nn_val y = nn_op(n, OP_ScatterND, "add", in, 3, x.c);
    nn_attr_text(n, ATTR_reduction, "add");
    nn_pop(n, mark);
    return y;
}

/* ---- bases ---- */

/* Spherical harmonics of the degrees 0 to 6, each from the one before. */
static void harmonics(nn *n, nn_val direction, nn_val *y)
{
    size_t mark = nn_push(n, "harmonics");
    nn_val x = nn_slice(n, direction, "x", 1, 0, 1, 1);
    for (int j = 0; j < 2 * DEGREES - 1; j++) {
        double ones[2 * 2 * DEGREES] = {0};
        char layer[16];
        format_text(layer, sizeof layer, "%d", j);
        size_t degree = nn_push(n, "%s", layer);
        x = nn_op2(n, OP_Mul, "mul", x, nn_floats(n, "factors", ones, (uint32_t)numbers(j)));
        y[j] = x;
        y[j].c = numbers(j);
        x = nn_slice(n, x, "next", 1, 0, 1, 1);
        nn_pop(n, degree);
    }
    nn_pop(n, mark);
}

/* The basis between two degrees: [bonds, 2 in + 1, bands, 2 out + 2], the last padded for tensor cores. */
static nn_val basis(nn *n, const nn_val *y, int in, int out)
{
    int least = in > out ? in - out : out - in, count = 0;
    nn_val part[2 * DEGREES];
    size_t mark = nn_push(n, "basis.%d.%d", in, out);
    for (int j = least; j <= in + out; j++, count++) {
        char layer[16];
        format_text(layer, sizeof layer, "%d", j);
        size_t band = nn_push(n, "%s", layer);
        double q[16 * 64] = {0}; /* Clebsch-Gordan coefficients */
        nn_val flat = {nn_floats(n, "q", q, (uint32_t)(numbers(j) * numbers(in) * numbers(out))), 0};
        flat = nn_reshape(n, flat, "q_matrix", 2, (int64_t[]){numbers(j), numbers(in) * numbers(out)},
                          numbers(in) * numbers(out));
        nn_val k = product(n, y[j], flat, "times");
        part[count] = nn_reshape(n, k, "shape", 4, (int64_t[]){-1, numbers(in), 1, numbers(out)}, numbers(out));
        nn_pop(n, band);
    }
    nn_val x = count > 1 ? nn_concat(n, part, (uint32_t)count, 2, "stack") : part[0];
    x = nn_pad_last(n, x, "pad", 4, 0, 1);
    x.c = numbers(out) + 1;
    nn_pop(n, mark);
    return x;
}

static nn_val padded(nn *n, nn_val x, const char *layer, int axis, int64_t before, int64_t after, int64_t last)
{
    int64_t pads[8] = {0};
    pads[axis] = before;
    pads[4 + axis] = after;
    pads[7] += last;
    nn_val y = nn_op2(n, OP_Pad, layer, x, nn_ints(n, layer, ".pads", pads, 8));
    y.c = x.c + last;
    return y;
}

/* Side by side: to each degree those from all, to all degrees those. */
static void fuse(nn *n, molecule *m, nn_val b[DEGREES][DEGREES])
{
    nn_val whole[DEGREES];
    int64_t before = 0;
    for (int out = 0; out < DEGREES; out++) {
        nn_val part[DEGREES];
        int64_t sum = 0, at = 0;
        size_t mark = nn_push(n, "fuse.%d", out);
        for (int in = 0; in < DEGREES; in++) sum += bands(in, out);
        for (int in = 0; in < DEGREES; at += bands(in++, out)) {
            char layer[16];
            format_text(layer, sizeof layer, "from_%d", in);
            part[in] = padded(n, b[in][out], layer, 2, at, sum - at - bands(in, out), 0);
        }
        nn_val one = nn_concat(n, part, DEGREES, 1, "concat");
        one.c = numbers(out) + 1;
        if (!out) m->out_0 = one;
        one = nn_slice(n, one, "unpad", 3, 0, numbers(out), numbers(out));
        int64_t pads[8] = {[3] = before, [7] = ALL - before - numbers(out)};
        whole[out] = nn_op2(n, OP_Pad, "widen", one, nn_ints(n, "widen", ".pads", pads, 8));
        before += numbers(out);
        nn_pop(n, mark);
    }
    m->fused = nn_concat(n, whole, DEGREES, 2, "fuse_all");
    m->fused.c = ALL;
}

static void prepare(nn *n, molecule *m)
{
    nn_val y[2 * DEGREES], b[DEGREES][DEGREES];
    nn_val kind = input(n, "bond_kinds", n->weights, BONDS, BOND_FEATURES);
    nn_val way = input(n, "directions", n->weights, BONDS, 3);
    m->from = input(n, "from", DT_INT64, BONDS, 0);
    m->to = input(n, "to", DT_INT64, BONDS, 0);
    nn_val length = nn_reduce(n, way, OP_ReduceL2, "length", 1, true);
    m->bond = nn_concat(n, (nn_val[]){kind, length}, 2, 1, "bond");
    m->bond.c = BOND_FEATURES + 1;
    harmonics(n, nn_op2(n, OP_Div, "direction", way, length.t), y);
    for (int in = 0; in < DEGREES; in++)
        for (int out = 0; out < DEGREES; out++) b[in][out] = basis(n, y, in, out);
    for (int d = 1; d < DEGREES; d++) {
        char layer[16];
        format_text(layer, sizeof layer, "pair.%d", d);
        m->pair[d] = nn_reshape(n, b[0][d], layer, 3, (int64_t[]){-1, 1, numbers(d) + 1}, numbers(d) + 1);
    }
    fuse(n, m, b);
}

/* ---- convolutions ---- */

/* The kernels of all bonds: [bonds, out, in * bands]. */
static nn_val radial(nn *n, const molecule *m, int64_t out, int64_t in)
{
    size_t mark = nn_push(n, "radial");
    nn_val x = nn_op1(n, OP_Relu, "act_0", nn_layer_norm(n, nn_linear(n, m->bond, "0", MID, true), "norm_0"));
    x = nn_op1(n, OP_Relu, "act_1", nn_layer_norm(n, nn_linear(n, x, "1", MID, true), "norm_1"));
    x = nn_linear(n, x, "2", out * in, false);
    x = nn_reshape(n, x, "kernels", 3, (int64_t[]){-1, out, in}, in);
    nn_pop(n, mark);
    return x;
}

static nn_val at_sources(nn *n, const molecule *m, const features *f)
{
    nn_val part[DEGREES];
    for (int d = 0; d < DEGREES; d++) {
        char layer[16];
        format_text(layer, sizeof layer, "source.%d", d);
        part[d] = rows_of(n, f->of[d], m->from, layer);
    }
    nn_val x = nn_concat(n, part, DEGREES, 2, "sources");
    x.c = ALL;
    return x;
}

/* A convolution through one basis [bonds, 16, bands, last]: its kernels times what the basis makes of the sources. */
static nn_val convolved(nn *n, const molecule *m, nn_val sources, nn_val base, int64_t all_bands, int64_t out)
{
    nn_val flat = nn_reshape(n, base, "basis", 3, (int64_t[]){-1, ALL, all_bands * base.c}, all_bands * base.c);
    nn_val x = product(n, sources, flat, "by_basis");
    x = nn_reshape(n, x, "rows", 3, (int64_t[]){-1, CHANNELS * all_bands, base.c}, base.c);
    return product(n, radial(n, m, out, CHANNELS * all_bands), x, "by_kernel");
}

static int64_t all_bands(void)
{
    int64_t sum = 0;
    for (int a = 0; a < DEGREES; a++)
        for (int b = 0; b < DEGREES; b++) sum += bands(a, b);
    return sum;
}

/* ---- attention ---- */

/* Each channel of a degree alone: [out, in] times [atoms, in, 2 d + 1]. */
static nn_val mixed(nn *n, nn_val x, const char *layer, int degree, int64_t out, int64_t in)
{
    char name[32];
    format_text(name, sizeof name, "%s.%d", layer, degree);
    size_t mark = nn_push(n, "%s", name);
    nn_val y = nn_op2(n, OP_MatMul, "matmul", (nn_val){nn_weight(n, "weight", "", 2, (int64_t[]){out, in}), 0}, x.t);
    y.c = numbers(degree);
    nn_pop(n, mark);
    return y;
}

/* Shares of an atom's bonds, [bonds, heads]. `width` numbers a head. */
static nn_val shares(nn *n, const molecule *m, nn_val key, nn_val query, int64_t width)
{
    size_t mark = nn_push(n, "shares");
    key = nn_reshape(n, key, "key", 3, (int64_t[]){-1, HEADS, width}, width);
    query = nn_reshape(n, query, "query", 3, (int64_t[]){-1, HEADS, width}, width);
    nn_val s = nn_mul(n, key, rows_of(n, query, m->to, "at_target"), "mul");
    s = nn_scale(n, nn_reduce(n, s, OP_ReduceSum, "dot", 2, false), "scale", 0.1);
    s = nn_op1(n, OP_Exp, "exp", s);
    nn_val sum = sum_at(n, m, s, "sum", 1, (int64_t[]){HEADS});
    sum = rows_of(n, sum, m->to, "sum_at_target");
    s = nn_op2(n, OP_Div, "div", s, sum.t);
    s = nn_unsqueeze(n, s, "columns", 2, (int64_t[]){2, 3});
    nn_pop(n, mark);
    return s;
}

/* Values [bonds, HALF, c] weighed and summed at the atoms. */
static nn_val gathered(nn *n, const molecule *m, nn_val value, nn_val share)
{
    size_t mark = nn_push(n, "gathered");
    int64_t c = value.c;
    nn_val x = nn_reshape(n, value, "heads", 4, (int64_t[]){-1, HEADS, HALF / HEADS, c}, c);
    x = nn_mul(n, x, share, "weigh");
    x = nn_reshape(n, x, "merge", 3, (int64_t[]){-1, HALF, c}, c);
    x = sum_at(n, m, x, "sum", 2, (int64_t[]){HALF, c});
    x.c = c;
    nn_pop(n, mark);
    return x;
}

static features attend_first(nn *n, const molecule *m, nn_val atoms)
{
    features z;
    nn_val source = rows_of(n, atoms, m->from, "source"), query = mixed(n, atoms, "to_query", 0, HALF, ATOM_FEATURES),
           kv[2], share;
    for (int d = 0; d < DEGREES; d++) {
        size_t mark = nn_push(n, "pair.%d", d);
        nn_val x = d ? product(n, source, m->pair[d], "by_basis") : source;
        x = product(n, radial(n, m, d ? HALF : CHANNELS, ATOM_FEATURES), x, "by_kernel");
        if (d) x = nn_slice(n, x, "unpad", 2, 0, numbers(d), numbers(d));
        if (!d) {
            nn_split(n, x, "key_value", 1, 2, kv);
            kv[0].c = kv[1].c = 1;
            share = shares(n, m, kv[1], query, HALF / HEADS);
            x = kv[0];
        }
        z.of[d] = gathered(n, m, x, share);
        nn_pop(n, mark);
    }
    return z;
}

static features attend(nn *n, const molecule *m, const features *f)
{
    features z;
    nn_val kv[2], part[DEGREES];
    nn_val x = convolved(n, m, at_sources(n, m, f), m->fused, all_bands(), CHANNELS);
    nn_split(n, x, "key_value", 1, 2, kv);
    kv[0].c = kv[1].c = ALL;
    for (int d = 0; d < DEGREES; d++) part[d] = mixed(n, f->of[d], "to_query", d, HALF, CHANNELS);
    nn_val query = nn_concat(n, part, DEGREES, 2, "queries");
    query.c = ALL;
    nn_val all = gathered(n, m, kv[0], shares(n, m, kv[1], query, HALF / HEADS * ALL));
    for (int64_t d = 0; d < DEGREES; d++) {
        char layer[16];
        format_text(layer, sizeof layer, "unfuse.%d", (int)d);
        z.of[d] = nn_slice(n, all, layer, 2, d * d, (d + 1) * (d + 1), 2 * d + 1);
    }
    return z;
}

/* The lengths of the features are normalised; what they point to stays. */
static void normalise(nn *n, features *f)
{
    size_t mark = nn_push(n, "norm");
    nn_val length[DEGREES], to[DEGREES];
    for (int d = 0; d < DEGREES; d++) {
        size_t degree = nn_push(n, "%d", d);
        length[d] = nn_op1(n, OP_Relu, "clamp", nn_reduce(n, f->of[d], OP_ReduceL2, "length", 2, true));
        nn_pop(n, degree);
    }
    nn_val all = nn_concat(n, length, DEGREES, 1, "concat");
    all.c = POOLED;
    all = nn_op1(n, OP_Relu, "relu", nn_group_norm(n, all, "group_norm", DEGREES));
    all.c = POOLED;
    nn_split(n, all, "split", 1, DEGREES, to);
    for (int d = 0; d < DEGREES; d++) {
        size_t degree = nn_push(n, "scale.%d", d);
        nn_val x = nn_op2(n, OP_Div, "div", f->of[d], length[d].t);
        f->of[d] = nn_mul(n, x, to[d], "mul");
        f->of[d].c = numbers(d);
        nn_pop(n, degree);
    }
    nn_pop(n, mark);
}

static features layer(nn *n, const molecule *m, const features *f, nn_val atoms, int index)
{
    features z;
    size_t mark = nn_push(n, "layers.%d", index);
    z = index ? attend(n, m, f) : attend_first(n, m, atoms);
    for (int d = 0; d < DEGREES; d++) {
        nn_val own = index ? f->of[d] : atoms, parts[2] = {z.of[d], own}, both = z.of[d];
        int64_t width = HALF + (index ? CHANNELS : d ? 0 : ATOM_FEATURES);
        char name[16];
        format_text(name, sizeof name, "residual.%d", d);
        if (width > HALF) both = nn_concat(n, parts, 2, 1, name);
        z.of[d] = mixed(n, both, "project", d, CHANNELS, width);
    }
    normalise(n, &z);
    nn_pop(n, mark);
    return z;
}

static void build(nn *n, const void *dims)
{
    (void)dims;
    molecule m;
    features f;
    memset(&f, 0, sizeof f);
    nn_val atoms = input(n, "atoms", n->weights, ATOMS, ATOM_FEATURES);
    atoms = nn_unsqueeze(n, atoms, "scalars", 1, (int64_t[]){2});
    m.atoms = nn_pick(n, nn_op1(n, OP_Shape, "shape", atoms), "count", 0, 0);
    m.atoms = nn_unsqueeze(n, m.atoms, "count_list", 1, (int64_t[]){0});
    prepare(n, &m);
    for (int i = 0; i < LAYERS; i++) f = layer(n, &m, &f, atoms, i);

    size_t mark = nn_push(n, "last");
    int64_t to_0 = DEGREES;
    nn_val x = convolved(n, &m, at_sources(n, &m, &f), m.out_0, to_0, POOLED);
    x = nn_slice(n, x, "unpad", 2, 0, 1, 1);
    nn_val own = mixed(n, rows_of(n, f.of[0], m.to, "target"), "self", 0, POOLED, CHANNELS);
    x = nn_add(n, x, own, "add_self");
    x = sum_at(n, &m, x, "sum", 2, (int64_t[]){POOLED, 1});
    x = nn_reshape(n, x, "molecules", 3, (int64_t[]){-1, ATOMS, POOLED}, POOLED);
    x = nn_reduce(n, x, OP_ReduceMax, "pool", 1, false);
    x.c = POOLED;
    nn_pop(n, mark);
    x = nn_op1(n, OP_Relu, "mlp.act", nn_fc(n, x, "mlp.0", POOLED));
    nn_output(n, nn_fc(n, x, "mlp.1", 1), "property");
}

static const zoo_entry rows[] = {
    {.name = "se3_transformer",
     .aliases = "se3-transformer-qm9",
     .family = "graph",
     .description = "SE(3)-Transformer, QM9",
     .parameters = 9279553,
     .source = "https://github.com/NVIDIA/DeepLearningExamples: DGLPyTorch/DrugDiscovery/SE3Transformer",
     .build = build},
};

const zoo_table zoo_se3 = ZOO_TABLE(rows);
