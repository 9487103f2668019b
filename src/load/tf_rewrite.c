/* What TensorFlow spells out and runtimes run as one: a convolution's bias and its dilation. */
#include "load/tf_internal.h"

tf_node *tf_maker(tf_reader *r, tf_ref ref, const char *type, const char *other)
{
    pg_error saved = *r->e;
    if (ref.node == TF_NONE) return NULL;
    if (tf_resolve(r, &ref)) {
        *r->e = saved;
        return NULL;
    }
    tf_node *n = tf_at(r, ref.node);
    if (n->kind != TF_OP || n->state != TF_FRESH || n->fusion || ref.port) return NULL;
    return tf_is(n, type) || (other && tf_is(n, other)) ? n : NULL;
}

tf_node *tf_private(tf_reader *r, tf_ref ref, const char *type, const char *other)
{
    tf_node *n = tf_maker(r, ref, type, other);
    return n && n->uses == 1 ? n : NULL;
}

pg_code tf_become(tf_reader *r, uint32_t node, const tf_node *like, str type, const tf_ref *in, uint32_t n_in)
{
    uint32_t first = tf_add_refs(r, in, n_in);
    if (first == TF_NONE) return tf_nomem(r);
    tf_node *n = tf_at(r, node);
    n->first_in = first;
    n->n_in = n_in;
    n->n_control = 0;
    n->op = type;
    n->def = like->def;
    n->name = like->name;
    return PG_E_OK;
}

static bool is_conv(const tf_node *n)
{
    return tf_is(n, "Conv2D") || tf_is(n, "DepthwiseConv2dNative") || tf_is(n, "Conv3D") ||
           tf_is(n, "Conv2DBackpropInput") || tf_is(n, "Conv3DBackpropInputV2");
}

/* ---- dilation: SpaceToBatchND, a convolution, BatchToSpaceND ---- */

static bool is_between(const tf_node *n)
{
    static const char *const ops[] = {
        "BiasAdd",        "Squeeze",          "ExpandDims",      "Relu", "Relu6", "Add", "AddV2",
        "FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"};
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
        if (tf_is(n, ops[i])) return true;
    return false;
}

/* Goes back over first inputs that nothing else reads, to a convolution or to SpaceToBatchND. */
static uint32_t behind(tf_reader *r, tf_ref ref, bool conv)
{
    enum { FAR = 6 };
    pg_error saved = *r->e;
    for (int i = 0; i < FAR; i++) {
        if (ref.node == TF_NONE || tf_resolve(r, &ref)) break;
        const tf_node *n = tf_at(r, ref.node);
        if (n->kind != TF_OP || n->uses != 1 || !n->n_in) break;
        if (conv ? is_conv(n) : tf_is(n, "SpaceToBatchND")) return ref.node;
        if (!is_between(n)) break;
        ref = tf_in(r, n, 0);
    }
    *r->e = saved;
    return TF_NONE;
}

static pg_code alias(tf_reader *r, uint32_t node)
{
    uint32_t at = tf_add_refs(r, &r->refs[tf_at(r, node)->first_in], 1);
    if (at == TF_NONE) return tf_nomem(r);
    tf_at(r, node)->kind = TF_ALIAS;
    tf_at(r, node)->extra = at;
    return PG_E_OK;
}

static pg_code try_dilation(tf_reader *r, uint32_t end)
{
    tf_node e = *tf_at(r, end);
    int64_t block[3], again[3], pads[6], crops[6];
    uint32_t n, m, n_pads, n_crops;
    if (e.n_in != 3) return PG_E_OK;
    uint32_t conv = behind(r, tf_in(r, &e, 0), true);
    uint32_t start = conv == TF_NONE ? TF_NONE : behind(r, tf_in(r, tf_at(r, conv), 0), false);
    if (start == TF_NONE || tf_at(r, start)->n_in != 3) return PG_E_OK;
    tf_node s = *tf_at(r, start);
    if (!tf_const_ints(r, tf_in(r, &e, 1), block, 3, &n) || !tf_const_ints(r, tf_in(r, &s, 1), again, 3, &m) ||
        n != m || n < 1)
        return PG_E_OK;
    for (uint32_t i = 0; i < n; i++)
        if (block[i] != again[i] || block[i] < 1 || block[i] > INT32_MAX) return PG_E_OK;
    tf_fusion *f = ARENA_NEW(&r->a, tf_fusion);
    if (!f) return tf_nomem(r);
    f->rank = n;
    f->same = true; /* sizes that depend on the input's come from padding like that */
    memcpy(f->dilation, block, n * sizeof *block);
    if (tf_const_ints(r, tf_in(r, &s, 2), pads, 6, &n_pads) && n_pads == 2 * n &&
        tf_const_ints(r, tf_in(r, &e, 2), crops, 6, &n_crops) && n_crops == 2 * n) {
        f->same = false;
        for (uint32_t i = 0; i < n; i++) {
            int64_t from = pads[2 * i] - crops[2 * i], to = pads[2 * i + 1] - crops[2 * i + 1];
            if (from < 0 || to < 0 || from > INT32_MAX || to > INT32_MAX) return PG_E_OK;
            f->pads[i] = from;
            f->pads[n + i] = to;
        }
    }
    tf_at(r, conv)->fusion = f;
    pg_code code = alias(r, start);
    return code ? code : alias(r, end);
}

pg_code tf_find_dilations(tf_reader *r)
{
    pg_code code = PG_E_OK;
    for (uint32_t i = 0; i < r->n_nodes && !code; i++)
        if (tf_at(r, i)->seen && tf_at(r, i)->kind == TF_OP && tf_is(tf_at(r, i), "BatchToSpaceND"))
            code = try_dilation(r, i);
    return code;
}

/* ---- bias ---- */

/* One number per channel. */
static bool is_vector(tf_reader *r, tf_ref ref)
{
    tf_shape s;
    if (!tf_static_shape(r, ref, &s, 0) || s.rank < 1) return false;
    for (int i = 0; i + 1 < s.rank; i++)
        if (s.dims[i] != 1) return false;
    return true;
}

static pg_code try_bias(tf_reader *r, uint32_t node)
{
    tf_node n = *tf_at(r, node);
    pg_error saved = *r->e;
    for (uint32_t i = 0; i < 2; i++) {
        tf_ref x = tf_in(r, &n, i), b = tf_in(r, &n, !i), in[4];
        if (tf_is(&n, "BiasAdd") && i) break;
        if (tf_resolve(r, &x)) break;
        tf_node conv = *tf_at(r, x.node);
        if (conv.kind != TF_OP || !is_conv(&conv) || conv.uses != 1 || conv.state != TF_FRESH || x.port ||
            conv.n_in > 3)
            continue;
        if (!is_vector(r, b) || tf_weight_of(r, b) == TF_NONE) continue;
        tf_fusion *f = ARENA_NEW(&r->a, tf_fusion);
        if (!f) return tf_nomem(r);
        if (conv.fusion) *f = *conv.fusion;
        f->bias = true;
        for (uint32_t k = 0; k < conv.n_in; k++) in[k] = tf_in(r, &conv, k);
        in[conv.n_in] = b;
        pg_code code = tf_become(r, node, &conv, conv.op, in, conv.n_in + 1);
        tf_at(r, node)->fusion = f;
        return code;
    }
    *r->e = saved;
    return PG_E_OK;
}

pg_code tf_rewrite(tf_reader *r, uint32_t node)
{
    tf_node *n = tf_at(r, node);
    if (n->kind != TF_OP || n->n_in != 2) return PG_E_OK;
    bool sum = tf_is(n, "Add") || tf_is(n, "AddV2");
    if (!sum && !tf_is(n, "BiasAdd")) return PG_E_OK;
    pg_code code = sum ? tf_rewrite_norm(r, node) : PG_E_OK;
    if (code || tf_at(r, node)->n_in != 2) return code;
    return try_bias(r, node);
}
