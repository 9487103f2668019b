/* What a name really is. */
#include "load/tf_internal.h"

/* Operators that hand a value on as it is. Reading a variable is one: the variable's tensor is its value. */
static bool is_copy(const tf_node *n)
{
    static const char *const ops[] = {"Identity",
                                      "StopGradient",
                                      "PreventGradient",
                                      "Snapshot",
                                      "CheckNumerics",
                                      "CheckNumericsV2",
                                      "EnsureShape",
                                      "ReadVariableOp",
                                      "Enter",
                                      "RefEnter",
                                      "RefIdentity",
                                      "Switch",
                                      "RefSwitch",
                                      "Print",
                                      "PrintV2",
                                      "DebugIdentity",
                                      "DebugIdentityV2",
                                      "ReadVariableXlaSplitND",
                                      "PlaceholderV2Copy",
                                      "XlaSharding",
                                      "TensorListResize",
                                      "Exit",
                                      "RefExit"};
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
        if (tf_is(n, ops[i])) return true;
    return false;
}

static bool contains(str name, const char *part)
{
    size_t len = strlen(part);
    for (size_t i = 0; i + len <= name.len; i++)
        if (!memcmp(name.ptr + i, part, len)) return true;
    return false;
}

/* Inputs that switch a model between training and use. */
static bool is_training_switch(const tf_node *n)
{
    static const char *const parts[] = {"learning_phase", "training", "is_train", "phase_train", "train_phase"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (contains(n->name, parts[i])) return true;
    return false;
}

enum { TRUTH_DEPTH = 64 };

static int compare(tf_reader *r, const tf_node *n)
{
    int64_t a, b;
    uint32_t na, nb;
    if (n->n_in != 2 || !tf_const_ints(r, tf_in(r, n, 0), &a, 1, &na) ||
        !tf_const_ints(r, tf_in(r, n, 1), &b, 1, &nb) || na != 1 || nb != 1)
        return -1;
    if (tf_is(n, "Equal")) return a == b;
    if (tf_is(n, "NotEqual")) return a != b;
    if (tf_is(n, "Less")) return a < b;
    if (tf_is(n, "LessEqual")) return a <= b;
    if (tf_is(n, "Greater")) return a > b;
    if (tf_is(n, "GreaterEqual")) return a >= b;
    return -1;
}

int tf_truth(tf_reader *r, tf_ref ref, int depth)
{
    int64_t v;
    uint32_t count;
    pg_error saved = *r->e;
    if (depth > TRUTH_DEPTH || r->depth >= r->max_depth) return -1;
    r->depth++; /* what makes the value may be a conditional in turn */
    pg_code code = tf_resolve(r, &ref);
    r->depth--;
    if (code) {
        *r->e = saved; /* whoever needs the value will say it */
        return -1;
    }
    tf_node n = *tf_at(r, ref.node);
    if (tf_is(&n, "Placeholder") && tf_attr_int(&n, "dtype", 0) == 10 && is_training_switch(&n)) return 0;
    if (n.kind != TF_OP) return -1;
    if (tf_const_ints(r, ref, &v, 1, &count) && count == 1) return v != 0;
    if (tf_is(&n, "LogicalNot") && n.n_in == 1) {
        int t = tf_truth(r, tf_in(r, &n, 0), depth + 1);
        return t < 0 ? t : !t;
    }
    bool all = tf_is(&n, "LogicalAnd");
    if ((all || tf_is(&n, "LogicalOr")) && n.n_in == 2) {
        int a = tf_truth(r, tf_in(r, &n, 0), depth + 1);
        if (a == !all) return a;
        int b = tf_truth(r, tf_in(r, &n, 1), depth + 1);
        return b == !all ? b : a < 0 || b < 0 ? -1 : all;
    }
    if (tf_is(&n, "PlaceholderWithDefault") && n.n_in == 1) return tf_truth(r, tf_in(r, &n, 0), depth + 1);
    return compare(r, &n);
}

/* ---- conditionals of TensorFlow 1: Merge(what the one branch made, what the other made) ---- */

enum { BRANCH_STEPS = 20000 };

/* The Switch behind a value of a branch: its predicate and which side. Follows the first inputs; a constant tells by what it runs
 * after. Conditionals within are passed as a whole. */
static bool find_switch(tf_reader *r, tf_ref at, tf_ref *predicate, uint32_t *side)
{
    unsigned inner = 0;
    for (int i = 0; i < BRANCH_STEPS && at.node != TF_NONE && r->visits++ < TF_VISITS; i++) {
        const tf_node *n = tf_at(r, at.node);
        if (!n->of_loop && (tf_is(n, "Switch") || tf_is(n, "RefSwitch")) && n->n_in == 2) {
            if (!inner) {
                *predicate = tf_in(r, n, 1);
                *side = at.port == TF_FEED ? 0 : at.port;
                return at.port <= 1;
            }
            inner--;
        } else if (tf_is(n, "Merge") && n->kind != TF_ARG) {
            inner++;
        }
        if (!n->n_in && !n->n_control) return false;
        at = n->of_loop ? r->refs[n->extra] : r->refs[n->first_in]; /* a control input when there are no others */
    }
    return false;
}

static pg_code choose(tf_reader *r, uint32_t merge)
{
    tf_node n = *tf_at(r, merge);
    tf_ref predicate = {TF_NONE, 0};
    uint32_t side = 0, taken = 0;
    bool known = false;
    if (!n.n_in) return tf_fail(r, &n, "it joins nothing");
    for (uint32_t i = 0; i < n.n_in && i < 2 && !known; i++) {
        known = find_switch(r, tf_in(r, &n, i), &predicate, &side);
        taken = i;
    }
    int truth = known ? tf_truth(r, predicate, 0) : -1;
    bool added = false;
    if (truth < 0) {
        enum { SAID = 16 };
        str what = known ? tf_at(r, predicate.node)->name : n.name;
        if (!map_add(&r->conditions, what, 0, &added)) return tf_nomem(r);
        if (added && r->conditions.count <= SAID &&
            !graph_warn(r->g, "conditional '%.*s': its predicate isn't known; the branch for true is costed",
                        STR_ARG(what)))
            return tf_nomem(r);
        truth = 1;
    }
    if (known) taken = side == (uint32_t)truth ? taken : !taken;
    else taken = 1; /* as tf.cond writes them: what is false stands first */
    if (taken >= n.n_in) taken = 0;
    uint32_t at = tf_add_refs(r, &r->refs[n.first_in + taken], 1);
    if (at == TF_NONE) return tf_nomem(r);
    tf_at(r, merge)->kind = TF_ALIAS;
    tf_at(r, merge)->extra = at;
    return PG_E_OK;
}

/* ---- the way ---- */

/* A value that can be fed, but has a constant scalar as its default: a rate of dropout, a switch for training. */
bool tf_is_default(const tf_reader *r, const tf_node *n)
{
    tf_value v;
    if (!tf_is(n, "PlaceholderWithDefault") || n->n_in != 1 || tf_in(r, n, 0).node == TF_NONE) return false;
    const tf_node *c = tf_at(r, tf_in(r, n, 0).node);
    return tf_is(c, "Const") && tf_attr(n, "shape", &v) && v.kind == TF_V_SHAPE && !v.bytes.len;
}

/* What a round leaves alone is the value that the loop started with. */
static pg_code settle(tf_reader *r, uint32_t node)
{
    tf_node n = *tf_at(r, node);
    tf_loop l = r->loops[n.extra];
    r->loops[n.extra].settled = true;
    if (r->depth >= r->max_depth) return PG_E_OK; /* loops whose results are results of loops, and so on */
    r->depth++;
    pg_code code = PG_E_OK;
    for (uint32_t i = 0; i < l.n && !code; i++) {
        tf_ref ref = r->refs[l.first_ret + i];
        code = tf_resolve(r, &ref);
        tf_node *arg = tf_at(r, r->args[l.first_arg + i]);
        if (code || tf_at(r, ref.node) != arg) continue;
        arg->kind = TF_ALIAS;
        arg->extra = n.first_in + i;
    }
    r->depth--;
    return code;
}

/* One step towards what makes the value; false: this is it. */
static bool step(tf_reader *r, tf_ref *ref, pg_code *code)
{
    *code = tf_expand(r, ref->node);
    if (*code) return false;
    const tf_node *n = tf_at(r, ref->node);
    switch ((tf_kind)n->kind) {
    case TF_CALL:
        if (ref->port >= n->out) {
            *code = tf_fail(r, n, "output %u is read, but the function returns %u", ref->port, n->out);
            return false;
        }
        *ref = r->refs[n->extra + ref->port];
        return true;
    case TF_ALIAS: *ref = r->refs[n->extra]; return true;
    case TF_LOOP:
        if (!r->loops[n->extra].settled) *code = settle(r, ref->node);
        n = tf_at(r, ref->node);
        if (*code || ref->port >= n->n_in ||
            tf_at(r, r->args[r->loops[n->extra].first_arg + ref->port])->kind == TF_ARG)
            return false;
        *ref = tf_in(r, n, ref->port);
        return true;
    case TF_OP: break;
    default: return false;
    }
    if (tf_is(n, "Merge") || tf_is(n, "RefMerge")) {
        if (ref->port) return false;
        *code = choose(r, ref->node);
        return !*code;
    }
    if (tf_is(n, "IdentityN") && ref->port < n->n_in) {
        *ref = tf_in(r, n, ref->port);
        return true;
    }
    if (!n->n_in || (!is_copy(n) && !tf_is_default(r, n))) return false;
    *ref = tf_in(r, n, 0);
    return true;
}

pg_code tf_resolve(tf_reader *r, tf_ref *ref)
{
    enum { SHORT = 8 };
    tf_ref start = *ref;
    pg_code code = PG_E_OK;
    uint32_t steps = 0;
    for (;; steps++) {
        if (ref->node == TF_NONE || ref->port == TF_FEED)
            return error_set(r->e, PG_E_GRAPH, "a function's argument is read that no call passes");
        if (steps > 16 + 2 * r->n_nodes)
            return error_set(r->e, PG_E_GRAPH, "'%.*s' goes round in a circle; the file is damaged",
                             STR_ARG(tf_at(r, ref->node)->name));
        if (!step(r, ref, &code)) break;
    }
    if (code || steps <= SHORT) return code;
    uint32_t at = tf_add_refs(r, ref, 1); /* so that a long way is gone once */
    if (at == TF_NONE) return tf_nomem(r);
    for (uint32_t i = 0; i < steps; i++) {
        uint32_t node = start.node;
        if (!step(r, &start, &code)) break;
        tf_node *n = tf_at(r, node);
        if (n->kind == TF_OP && !tf_is(n, "IdentityN")) {
            n->kind = TF_ALIAS;
            n->extra = at;
        } else if (n->kind == TF_ALIAS) {
            n->extra = at;
        }
    }
    return code;
}

/* ---- who reads what ---- */

typedef struct walk {
    uint32_t *stack;
    uint32_t n, cap;
} walk;

static pg_code visit(tf_reader *r, walk *w, uint32_t at, uint32_t reader)
{
    tf_ref ref = r->refs[at];
    pg_code code = tf_resolve(r, &ref);
    if (code) return code;
    r->refs[at] = ref;
    tf_node *n = tf_at(r, ref.node);
    n->uses++;
    n->reader = reader;
    if (ref.port >= n->n_out) n->n_out = ref.port + 1;
    if (n->seen) return PG_E_OK;
    n->seen = true;
    if (!TF_ROOM(r, w->stack, w->n, w->cap)) return tf_nomem(r);
    w->stack[w->n++] = ref.node;
    return PG_E_OK;
}

static pg_code visit_all(tf_reader *r, walk *w, uint32_t first, uint32_t n, uint32_t reader)
{
    pg_code code = PG_E_OK;
    for (uint32_t i = 0; i < n && !code; i++) code = visit(r, w, first + i, reader);
    return code;
}

pg_code tf_count_uses(tf_reader *r, const tf_ref *from, uint32_t count)
{
    walk w = {NULL, 0, 0};
    uint32_t first = tf_add_refs(r, from, count);
    if (first == TF_NONE) return tf_nomem(r);
    pg_code code = visit_all(r, &w, first, count, TF_NONE);
    while (!code && w.n) {
        uint32_t i = w.stack[--w.n];
        tf_node n = *tf_at(r, i);
        if (n.kind == TF_INPUT || n.kind == TF_ARG) continue;
        code = visit_all(r, &w, n.first_in, n.n_in, i);
        if (!code && n.kind == TF_LOOP) {
            code = visit_all(r, &w, r->loops[n.extra].first_ret, r->loops[n.extra].n, i);
            uint32_t at = code ? 0 : tf_add_refs(r, &r->loops[n.extra].cond, 1);
            if (!code) code = at == TF_NONE ? tf_nomem(r) : visit(r, &w, at, i);
            if (!code) r->loops[n.extra].cond = r->refs[at];
        } else if (!code && n.kind == TF_BRANCH) {
            for (int k = 0; k < 2 && !code; k++)
                code = visit_all(r, &w, r->branches[n.extra].first_ret[k], r->branches[n.extra].n[k], i);
        }
    }
    return code;
}
