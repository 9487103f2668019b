/* What a graph without signatures computes. Frozen graphs end in their outputs. Graphs that were saved while they were trained
 * go on with the loss, gradients, updates and savers: none of these is asked for, and neither is what compares with the labels,
 * which are the inputs that never meet a weight. */
#include "load/tf_internal.h"

enum {
    TRAINS = 1,   /* gradients, updates, savers, and what follows from them */
    FED = 2,      /* depends on an input */
    LABELLED = 4, /* depends on a label */
    WEIGHS = 8,   /* depends on a variable or a constant with several numbers */
    INSIDE = 16,  /* part of a loop\'s body or condition */
    SIZED = 32,   /* depends on an input or its size */
};

typedef struct uses {
    uint32_t *first, *reader; /* readers of node i: reader[first[i]] up to reader[first[i + 1]] */
    uint8_t *flags;
    uint32_t n, *stack;
} uses;

static bool is_exit(const tf_node *n)
{
    return n->of_loop && n->kind == TF_ALIAS && (tf_is(n, "Exit") || tf_is(n, "RefExit"));
}

/* Input k, where an Exit reads its loop as well. */
static uint32_t source_of(const tf_reader *r, const tf_node *n, uint32_t k)
{
    return k < n->n_in ? tf_in(r, n, k).node : r->refs[n->extra].node;
}

static bool find_readers(tf_reader *r, uses *u)
{
    u->n = r->n_nodes;
    u->first = ARENA_ARRAY(&r->a, uint32_t, (size_t)u->n + 2);
    u->flags = ARENA_ARRAY(&r->a, uint8_t, u->n);
    u->stack = ARENA_ARRAY(&r->a, uint32_t, u->n);
    if (!u->first || !u->flags || !u->stack) return false;
    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < u->n; i++)
            for (uint32_t k = 0; k < tf_at(r, i)->n_in + is_exit(tf_at(r, i)); k++) {
                uint32_t from = source_of(r, tf_at(r, i), k);
                if (from >= u->n) continue;
                if (pass == 0) u->first[from + 2]++;
                else u->reader[u->first[from + 1]++] = i;
            }
        if (pass) break;
        for (uint32_t i = 0; i < u->n; i++) u->first[i + 2] += u->first[i + 1];
        u->reader = ARENA_ARRAY(&r->a, uint32_t, u->first[u->n + 1]);
        if (!u->reader) return false;
    }
    return true;
}

static bool is_size(const tf_node *n)
{
    return tf_is(n, "Shape") || tf_is(n, "ShapeN") || tf_is(n, "Size") || tf_is(n, "Rank") || tf_is(n, "ZerosLike");
}

/* Puts the flag on a node and on whatever depends on it, but not on nodes that have one of `stop`; INSIDE leaves a loop only where
 * the loop itself is inside of one. */
static void spread(const tf_reader *r, uses *u, uint32_t from, uint8_t flag, uint8_t stop)
{
    uint32_t n = 0;
    if (u->flags[from] & (flag | stop)) return;
    u->flags[from] |= flag;
    u->stack[n++] = from;
    while (n) {
        uint32_t i = u->stack[--n];
        for (uint32_t k = u->first[i]; k < u->first[i + 1]; k++) {
            uint32_t to = u->reader[k];
            if (u->flags[to] & (flag | stop)) continue;
            if (flag & (FED | LABELLED | WEIGHS) && is_size(tf_at(r, to))) continue; /* of what, not what */
            if (flag == INSIDE && is_exit(tf_at(r, to)) && tf_at(r, i)->kind != TF_LOOP) continue;
            u->flags[to] |= flag;
            u->stack[n++] = to;
        }
    }
}

static bool is_placeholder(const tf_node *n)
{
    return tf_is(n, "Placeholder") || tf_is(n, "PlaceholderV2") || tf_is(n, "PlaceholderWithDefault");
}

static bool trains(const tf_node *n)
{
    return tf_is_training(n->op) || str_starts(n->name, "gradients/") || str_starts(n->name, "save/");
}

static bool updates(const tf_node *n)
{
    return str_starts(n->op, "Apply") || str_starts(n->op, "ResourceApply") || str_starts(n->name, "gradients/");
}

/* A product of, or a look-up in, what only weights make. */
static bool meets_weight(tf_reader *r, const uses *u, uint32_t node)
{
    const tf_node *n = tf_at(r, node);
    if (tf_is(n, "Add") || tf_is(n, "AddV2") || tf_is(n, "AddN") || tf_is(n, "Sub")) return false;
    for (uint32_t i = 0; i < n->n_in; i++) {
        uint32_t from = tf_in(r, n, i).node;
        if (from < u->n && (u->flags[from] & (WEIGHS | FED)) == WEIGHS) return true;
    }
    return false;
}

/* Whether nothing that an input leads to ever meets a weight. */
static bool is_label(tf_reader *r, uses *u, uint32_t input, uint8_t *seen)
{
    uint32_t n = 0;
    memset(seen, 0, u->n);
    u->stack[n++] = input;
    while (n) {
        uint32_t i = u->stack[--n];
        for (uint32_t k = u->first[i]; k < u->first[i + 1]; k++) {
            uint32_t to = u->reader[k];
            if (seen[to] || u->flags[to] & TRAINS) continue;
            if (meets_weight(r, u, to)) return false;
            seen[to] = 1;
            u->stack[n++] = to;
        }
    }
    return true;
}

static pg_code find_labels(tf_reader *r, uses *u)
{
    enum { MANY = 64 };
    uint32_t inputs = 0, labels[MANY], n = 0;
    uint8_t *seen = ARENA_ARRAY(&r->a, uint8_t, u->n);
    if (!seen) return tf_nomem(r);
    for (uint32_t i = 0; i < u->n && inputs < MANY; i++) {
        if (!is_placeholder(tf_at(r, i)) || u->flags[i] & TRAINS) continue;
        inputs++;
        if (is_label(r, u, i, seen)) labels[n++] = i;
    }
    for (uint32_t i = 0; i < n && n < inputs; i++) spread(r, u, labels[i], LABELLED, TRAINS);
    return PG_E_OK;
}

static bool is_source(const tf_node *n)
{
    return tf_is(n, "Const") || tf_is_variable(n) || is_placeholder(n);
}

static pg_code add_output(tf_reader *r, tf_array *refs, uint32_t node)
{
    if (refs->n == refs->cap) {
        void *v = tf_grow(r, refs->v, &refs->cap, refs->n + 1, sizeof(tf_ref));
        if (!v) return tf_nomem(r);
        refs->v = v;
    }
    ((tf_ref *)refs->v)[refs->n++] = (tf_ref){node, 0};
    return PG_E_OK;
}

/* What its author gave a name to, though only sizes decide it: how many boxes there are. */
static bool is_named_result(const uses *u, const tf_node *n, uint32_t i)
{
    if (!(u->flags[i] & SIZED) || !tf_is(n, "Identity")) return false;
    for (size_t k = 0; k < n->name.len; k++)
        if (n->name.ptr[k] == '/') return false;
    return true;
}

/* Nodes with none of the flags `no` that only nodes with one of them read. */
static pg_code find_ends(tf_reader *r, const uses *u, uint8_t no, uint8_t must, tf_array *refs)
{
    pg_code code = PG_E_OK;
    for (uint32_t i = 0; i < u->n && !code; i++) {
        const tf_node *n = tf_at(r, i);
        bool read = false;
        if (u->flags[i] & no || is_source(n) || n->kind == TF_LOOP) continue;
        if ((u->flags[i] & must) != must && !is_named_result(u, n, i)) continue;
        for (uint32_t k = u->first[i]; k < u->first[i + 1] && !read; k++)
            read = !(u->flags[u->reader[k]] & no & ~(unsigned)INSIDE);
        tf_ref ref = {i, 0};
        if (read) continue;
        code = tf_resolve(r, &ref);
        if (!code && !is_source(tf_at(r, ref.node)))
            code = add_output(r, refs, i); /* what is a copy of one is no result */
    }
    return code;
}

pg_code tf_guess_outputs(tf_reader *r, tf_array *refs)
{
    uses u;
    tf_shape shape;
    bool trained = false;
    *refs = (tf_array){NULL, 0, 0};
    if (!find_readers(r, &u)) return tf_nomem(r);
    for (uint32_t i = 0; i < u.n; i++) {
        trained |= updates(tf_at(r, i));
        if (trains(tf_at(r, i))) spread(r, &u, i, TRAINS, 0);
    }
    for (uint32_t i = 0; i < u.n; i++) {
        const tf_node *n = tf_at(r, i);
        if (n->kind == TF_ARG) spread(r, &u, i, INSIDE, 0);
        if (is_placeholder(n)) {
            spread(r, &u, i, FED, TRAINS);
            spread(r, &u, i, SIZED, TRAINS);
        }
        if (tf_is_variable(n) || (tf_is(n, "Const") && dtype_get(tf_dtype(tf_attr_int(n, "dtype", 0)))->floating &&
                                  tf_static_shape(r, (tf_ref){i, 0}, &shape, 0) && shape.rank >= 1))
            spread(r, &u, i, WEIGHS, TRAINS);
    }
    pg_code code = trained ? find_labels(r, &u) : PG_E_OK;
    if (!code) code = find_ends(r, &u, TRAINS | LABELLED | INSIDE, FED, refs);
    if (!code && !refs->n) code = find_ends(r, &u, TRAINS | INSIDE, 0, refs);
    return code;
}

/* ---- weights of a frozen graph ---- */

static bool reads_variable(const tf_node *n)
{
    return tf_is(n, "Identity") && (str_ends(n->name, "/read") || str_ends(n->name, "ReadVariableOp"));
}

/* The operand that holds weights; UINT32_MAX: none. */
static uint32_t weight_operand(const tf_node *n)
{
    static const struct {
        const char *op;
        uint32_t operand;
    } rows[] = {{"MatMul", 1},
                {"Conv2D", 1},
                {"DepthwiseConv2dNative", 1},
                {"Conv3D", 1},
                {"Conv2DBackpropInput", 1},
                {"BiasAdd", 1},
                {"GatherV2", 0},
                {"Gather", 0}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (tf_is(n, rows[i].op)) return rows[i].operand;
    return UINT32_MAX;
}

void tf_mark_weights(tf_reader *r)
{
    bool read = false;
    for (uint32_t i = 0; i < r->n_nodes; i++) {
        const tf_node *n = tf_at(r, i);
        bool norm = str_starts(n->op, "FusedBatchNorm"), variable = reads_variable(n);
        uint32_t operand = weight_operand(n);
        for (uint32_t k = 0; k < n->n_in; k++) {
            uint32_t from = tf_in(r, n, k).node;
            if (from >= r->n_nodes || !tf_is(tf_at(r, from), "Const")) continue;
            read |= variable;
            if (variable || k == operand || (norm && k)) tf_at(r, from)->weight = true;
        }
    }
    r->constants_are_literals = read; /* where variables can be told, the other constants are none */
}
