/* Normalisation that TensorFlow's layers spell out:
 *
 *   inv = rsqrt(variance + epsilon) [* scale]
 *   y = x * inv + (offset - mean * inv)
 *
 * With variables or constants as mean and variance it is a batch normalisation; with the means of x and of its squared difference
 * a layer normalisation. Keras writes the latter also as a fused batch normalisation of x reshaped. */
#include "load/tf_internal.h"

typedef struct norm {
    tf_ref x, inv, mean, variance, scale, offset;
} norm;

static const tf_ref none = {TF_NONE, 0};

static bool same(tf_reader *r, tf_ref a, tf_ref b)
{
    pg_error saved = *r->e;
    if (a.node == TF_NONE || b.node == TF_NONE) return false;
    if (tf_resolve(r, &a) || tf_resolve(r, &b)) {
        *r->e = saved;
        return false;
    }
    return a.node == b.node && a.port == b.port;
}

/* Of a product's two factors the one that isn't `known`; none when `known` isn't one of them. */
static tf_ref other_factor(tf_reader *r, const tf_node *product, tf_ref known)
{
    if (product->n_in != 2) return none;
    if (same(r, tf_in(r, product, 1), known)) return tf_in(r, product, 0);
    return same(r, tf_in(r, product, 0), known) ? tf_in(r, product, 1) : none;
}

static tf_ref variance_in(tf_reader *r, tf_ref ref)
{
    const tf_node *root = tf_maker(r, ref, "Rsqrt", NULL);
    const tf_node *sum = root && root->n_in == 1 ? tf_maker(r, tf_in(r, root, 0), "Add", "AddV2") : NULL;
    double epsilon;
    if (!sum || sum->n_in != 2) return none;
    tf_node s = *sum;
    if (tf_const_float(r, tf_in(r, &s, 1), &epsilon)) return tf_in(r, &s, 0);
    return tf_const_float(r, tf_in(r, &s, 0), &epsilon) ? tf_in(r, &s, 1) : none;
}

static bool match_inverse(tf_reader *r, norm *n)
{
    n->scale = none;
    n->variance = variance_in(r, n->inv);
    if (n->variance.node != TF_NONE) return true;
    const tf_node *product = tf_maker(r, n->inv, "Mul", NULL);
    for (uint32_t i = 0; product && product->n_in == 2 && i < 2; i++) {
        tf_node p = *product;
        n->variance = variance_in(r, tf_in(r, &p, i));
        n->scale = tf_in(r, &p, !i);
        if (n->variance.node != TF_NONE) return true;
    }
    return false;
}

/* mean * inv, where `ref` may be the negative of it. */
static bool match_mean(tf_reader *r, norm *n, tf_ref ref, bool negative)
{
    tf_node *p = tf_maker(r, ref, "Neg", NULL);
    if (p && negative && p->n_in == 1) return match_mean(r, n, tf_in(r, p, 0), false);
    p = tf_maker(r, ref, "Mul", NULL);
    if (!p) return false;
    n->mean = other_factor(r, p, n->inv);
    if (n->mean.node == TF_NONE || !negative) return n->mean.node != TF_NONE;
    p = tf_maker(r, n->mean, "Neg", NULL);
    if (!p || p->n_in != 1) return false;
    n->mean = tf_in(r, p, 0);
    return true;
}

static bool match_shift(tf_reader *r, norm *n, tf_ref ref)
{
    const tf_node *s = tf_maker(r, ref, "Sub", NULL);
    if (s && s->n_in == 2) {
        n->offset = tf_in(r, s, 0);
        return match_mean(r, n, tf_in(r, s, 1), false);
    }
    s = tf_maker(r, ref, "Add", "AddV2");
    for (uint32_t i = 0; s && s->n_in == 2 && i < 2; i++) {
        tf_node sum = *s;
        n->offset = tf_in(r, &sum, !i);
        if (match_mean(r, n, tf_in(r, &sum, i), true)) return true;
    }
    n->offset = none;
    return match_mean(r, n, ref, true);
}

static bool is_weight(tf_reader *r, tf_ref ref)
{
    tf_shape s;
    return ref.node != TF_NONE && tf_static_shape(r, ref, &s, 0) && s.rank >= 1;
}

static pg_code become_batch_norm(tf_reader *r, uint32_t node, const norm *n)
{
    /* what the layer leaves out is 1 or 0: the statistics have the same shape and are no parameters */
    tf_ref in[5] = {n->x, n->scale.node == TF_NONE ? n->mean : n->scale,
                    n->offset.node == TF_NONE ? n->mean : n->offset, n->mean, n->variance};
    tf_node like = *tf_at(r, node);
    return tf_become(r, node, &like, STR("_BatchNorm"), in, 5);
}

static pg_code become_layer_norm(tf_reader *r, uint32_t node, tf_ref x, tf_ref scale, tf_ref offset)
{
    tf_ref in[3] = {x, scale, offset};
    tf_node like = *tf_at(r, node);
    return tf_become(r, node, &like, STR("_LayerNorm"), in, 3);
}

static bool is_mean_of(tf_reader *r, tf_ref mean, tf_ref x, int64_t *axis)
{
    const tf_node *m = tf_maker(r, mean, "Mean", NULL);
    uint32_t n;
    if (!m || m->n_in != 2 || !tf_attr_int(m, "keep_dims", 0)) return false;
    tf_node copy = *m;
    return same(r, tf_in(r, &copy, 0), x) && tf_const_ints(r, tf_in(r, &copy, 1), axis, 1, &n) && n == 1;
}

/* Over one axis, which behind version 1's `moments` is the last. */
static bool is_layer_norm(tf_reader *r, const norm *n)
{
    int64_t axis, again;
    const tf_node *v = tf_maker(r, n->variance, "Mean", NULL);
    if (!v || v->n_in != 2 || !is_mean_of(r, n->mean, n->x, &axis)) return false;
    tf_ref deviation = tf_in(r, v, 0);
    const tf_node *square = tf_maker(r, deviation, "SquaredDifference", NULL);
    if (!square || square->n_in != 2) return false;
    tf_node s = *square;
    return other_factor(r, &s, n->mean).node != TF_NONE && same(r, other_factor(r, &s, n->mean), n->x) &&
           is_mean_of(r, n->variance, deviation, &again) && axis == again && axis != 0;
}

/* Add(Mul(Reshape(FusedBatchNorm(Reshape(x), ones, zeros)), scale), offset) */
static pg_code try_fused(tf_reader *r, uint32_t node, const tf_node *product, uint32_t i)
{
    tf_node n = *tf_at(r, node), p = *product;
    for (uint32_t k = 0; k < 2 && p.n_in == 2; k++) {
        const tf_node *after = tf_private(r, tf_in(r, &p, k), "Reshape", NULL);
        const tf_node *fused = after && after->n_in == 2 ? tf_private(r, tf_in(r, after, 0), "FusedBatchNormV3", NULL)
                                                         : NULL;
        if (!fused || fused->n_in != 5 || !tf_attr_int(fused, "is_training", 1)) continue;
        const tf_node *before = tf_private(r, tf_in(r, fused, 0), "Reshape", NULL);
        if (!before || before->n_in != 2 || !is_weight(r, tf_in(r, &p, !k)) || !is_weight(r, tf_in(r, &n, !i)))
            continue;
        return become_layer_norm(r, node, tf_in(r, before, 0), tf_in(r, &p, !k), tf_in(r, &n, !i));
    }
    return PG_E_OK;
}

/* A convolution's result scaled and shifted by constants is what an optimiser left of its batch normalisation. */
static bool is_folded(tf_reader *r, const norm *n)
{
    pg_error saved = *r->e;
    tf_ref x = n->x;
    if (tf_resolve(r, &x)) {
        *r->e = saved;
        return false;
    }
    const tf_node *c = tf_at(r, x.node);
    return c->kind == TF_OP && c->uses == 1 && (tf_is(c, "Conv2D") || tf_is(c, "DepthwiseConv2dNative")) &&
           is_weight(r, n->inv) && is_weight(r, n->offset) && tf_weight_of(r, n->inv) != TF_NONE &&
           tf_weight_of(r, n->offset) != TF_NONE;
}

pg_code tf_rewrite_norm(tf_reader *r, uint32_t node)
{
    tf_node sum = *tf_at(r, node);
    for (uint32_t i = 0; i < 2; i++) {
        const tf_node *product = tf_private(r, tf_in(r, &sum, i), "Mul", NULL);
        if (!product || product->n_in != 2) continue;
        tf_node p = *product;
        pg_code code = try_fused(r, node, &p, i);
        if (code || tf_at(r, node)->n_in != 2) return code;
        for (uint32_t k = 0; k < 2; k++) {
            norm n = {.x = tf_in(r, &p, k), .inv = tf_in(r, &p, !k), .mean = none, .scale = none, .offset = none};
            if (match_inverse(r, &n) && match_shift(r, &n, tf_in(r, &sum, !i))) {
                if (is_weight(r, n.mean) && is_weight(r, n.variance)) return become_batch_norm(r, node, &n);
                if (n.scale.node != TF_NONE && n.offset.node != TF_NONE && is_layer_norm(r, &n))
                    return become_layer_norm(r, node, n.x, n.scale, n.offset);
            }
            n.offset = tf_in(r, &sum, !i);
            if (!is_folded(r, &n)) continue;
            n.scale = n.inv;
            n.mean = n.variance = n.inv;
            tf_ref in[3] = {n.x, n.scale, n.offset};
            tf_node like = sum;
            return tf_become(r, node, &like, STR("_Scale"), in, 3);
        }
    }
    return PG_E_OK;
}
