/* Functions become nodes among the others.
 *
 * 1. FunctionDefLibrary: function 1 (FunctionDef).
 * 2. FunctionDef: signature 1 (OpDef: name 1, input_arg 2, output_arg 3), node_def 3, ret 4 (a map from output_arg to a node's
 *    output).
 * 3. ArgDef: name 1, number_attr 5, type_list_attr 6: with one of these it stands for several. */
#include "load/tf_internal.h"

pg_code tf_add_library(tf_reader *r, span library)
{
    protobuf_field f;
    int got;
    bool added;
    while ((got = protobuf_next(&library, &f, r->e)) == 1) {
        if (f.number != 1 || f.type != PROTOBUF_BYTES) continue;
        protobuf_field s;
        str name = {NULL, 0};
        span rest = f.bytes;
        int inner;
        while ((inner = protobuf_next(&rest, &s, r->e)) == 1)
            if (s.number == 1 && s.type == PROTOBUF_BYTES) name = tf_field_text(s.bytes, 1);
        if (inner < 0) return PG_E_TRUNCATED;
        if (!TF_ROOM(r, r->function_list, r->n_functions, r->cap_functions)) return tf_nomem(r);
        if (!map_add(&r->functions, name, r->n_functions, &added)) return tf_nomem(r);
        if (added) r->function_list[r->n_functions++] = f.bytes;
    }
    return got < 0 ? PG_E_TRUNCATED : PG_E_OK;
}

static bool is_call(const tf_reader *r, const tf_node *n)
{
    return tf_is(n, "PartitionedCall") || tf_is(n, "StatefulPartitionedCall") ||
           (r->n_functions && map_find(&r->functions, n->op));
}

static uint32_t add_body(tf_reader *r)
{
    if (!TF_ROOM(r, r->bodies, r->n_bodies, r->cap_bodies)) return TF_NONE;
    r->bodies[r->n_bodies] = (tf_body){0, 0};
    return r->n_bodies++;
}

/* A function whose nodes were added. */
typedef struct instance {
    uint32_t body, depth;
    uint32_t first_in, n_in;   /* refs[] that are its arguments */
    uint32_t first_ret, n_ret; /* refs[] that it returns */
} instance;

static span signature_of(span function)
{
    protobuf_field f;
    pg_error ignored = PG_ERROR_INIT;
    span found = {NULL, 0, 0};
    while (protobuf_next(&function, &f, &ignored) == 1)
        if (f.number == 1 && f.type == PROTOBUF_BYTES) found = f.bytes;
    return found;
}

static bool is_list(span arg)
{
    return tf_field_text(arg, 5).len || tf_field_text(arg, 6).len;
}

/* Gives each argument its place among the refs that the caller passes. */
static pg_code bind_arguments(tf_reader *r, span signature, str name, const instance *in, tf_scope *scope)
{
    protobuf_field f;
    pg_error ignored = PG_ERROR_INIT;
    uint32_t plain = 0, at = in->first_in;
    bool added;
    span rest = signature;
    while (protobuf_next(&rest, &f, &ignored) == 1)
        if (f.number == 2 && f.type == PROTOBUF_BYTES && !is_list(f.bytes)) plain++;
    if (plain > in->n_in)
        return error_set(r->e, PG_E_GRAPH, "function '%.*s' takes %u arguments, but a call passes %u", STR_ARG(name),
                         plain, in->n_in);
    uint32_t several = in->n_in - plain; /* to the first that stands for a list */
    while (protobuf_next(&signature, &f, &ignored) == 1) {
        if (f.number != 2 || f.type != PROTOBUF_BYTES) continue;
        if (!map_add(&scope->args, tf_field_text(f.bytes, 1), at, &added)) return tf_nomem(r);
        if (is_list(f.bytes)) {
            at += several;
            several = 0;
        } else {
            at++;
        }
    }
    return PG_E_OK;
}

/* The entry of the function's map of results. */
static str result_of(span function, str output)
{
    protobuf_field f;
    pg_error ignored = PG_ERROR_INIT;
    while (protobuf_next(&function, &f, &ignored) == 1)
        if (f.number == 4 && f.type == PROTOBUF_BYTES && str_eq(tf_field_text(f.bytes, 1), output))
            return tf_field_text(f.bytes, 2);
    return (str){NULL, 0};
}

static pg_code find_results(tf_reader *r, span function, span signature, str name, const tf_scope *scope, instance *in)
{
    protobuf_field f;
    pg_error ignored = PG_ERROR_INIT;
    char whose[160];
    format_text(whose, sizeof whose, "function '%.*s'", (int)(name.len > 128 ? 128 : name.len), name.ptr);
    in->first_ret = r->n_refs;
    in->n_ret = 0;
    while (protobuf_next(&signature, &f, &ignored) == 1) {
        if (f.number != 3 || f.type != PROTOBUF_BYTES) continue;
        str output = tf_field_text(f.bytes, 1), text = result_of(function, output);
        tf_ref ref;
        if (!text.len) text = output; /* an argument that is handed back may go without an entry */
        pg_code code = tf_find(r, scope, text, &ref, whose);
        if (code) return code;
        if (tf_add_refs(r, &ref, 1) == TF_NONE) return tf_nomem(r);
        in->n_ret++;
    }
    return PG_E_OK;
}

static pg_code instantiate(tf_reader *r, str name, instance *in)
{
    const uint32_t *at = r->n_functions ? map_find(&r->functions, name) : NULL;
    if (!at)
        return error_set(r->e, PG_E_GRAPH, "the function '%.*s' is called, but is not in the file; it is incomplete",
                         STR_ARG(name));
    if (in->depth > r->max_depth)
        return error_set(r->e, PG_E_LIMIT, "function '%.*s' calls itself or is nested more than %u deep", STR_ARG(name),
                         r->max_depth);
    if (++r->work > TF_WORK) return error_set(r->e, PG_E_LIMIT, "more than %d calls of functions", TF_WORK);
    span function = r->function_list[*at], signature = signature_of(function);
    tf_scope scope = {.body = in->body, .depth = in->depth, .function = true};
    map_init(&scope.names, &r->a);
    map_init(&scope.args, &r->a);
    pg_code code = bind_arguments(r, signature, name, in, &scope);
    if (!code) code = tf_read_nodes(r, function, 3, &scope);
    return code ? code : find_results(r, function, signature, name, &scope, in);
}

static pg_code expand_call(tf_reader *r, uint32_t node)
{
    tf_node *n = tf_at(r, node);
    str name = tf_attr_function(n, "f");
    if (!name.len) name = n->op;
    instance in = {n->body, n->depth + 1, n->first_in, n->n_in, 0, 0};
    pg_code code = instantiate(r, name, &in);
    if (code) return code;
    n = tf_at(r, node);
    n->kind = TF_CALL;
    n->extra = in.first_ret;
    n->out = in.n_ret;
    return PG_E_OK;
}

static pg_code expand_branches(tf_reader *r, uint32_t node)
{
    static const char *const keys[2] = {"else_branch", "then_branch"};
    tf_node *n = tf_at(r, node);
    if (n->n_in < 1) return tf_fail(r, n, "it has no predicate");
    tf_branches b = {.predicate = r->refs[n->first_in]};
    int taken = tf_truth(r, b.predicate, 0);
    for (int i = 0; i < 2; i++) {
        n = tf_at(r, node);
        if (taken >= 0 && taken != i) continue;
        b.body[i] = taken >= 0 ? n->body : add_body(r);
        if (b.body[i] == TF_NONE) return tf_nomem(r);
        instance in = {b.body[i], n->depth + 1, n->first_in + 1, n->n_in - 1, 0, 0};
        pg_code code = instantiate(r, tf_attr_function(n, keys[i]), &in);
        if (code) return code;
        b.n[i] = in.n_ret;
        b.first_ret[i] = in.first_ret;
    }
    n = tf_at(r, node);
    if (taken >= 0) {
        n->kind = TF_CALL;
        n->extra = b.first_ret[taken];
        n->out = b.n[taken];
        return PG_E_OK;
    }
    if (b.n[0] != b.n[1]) return tf_fail(r, n, "its branches return %u and %u values", b.n[0], b.n[1]);
    if (!TF_ROOM(r, r->branches, r->n_branches, r->cap_branches)) return tf_nomem(r);
    n->kind = TF_BRANCH;
    n->extra = r->n_branches;
    r->branches[r->n_branches++] = b;
    return PG_E_OK;
}

static pg_code expand_while(tf_reader *r, uint32_t node)
{
    uint32_t count = tf_at(r, node)->n_in, first_arg = r->n_args, body = add_body(r), first = r->n_refs;
    if (body == TF_NONE) return tf_nomem(r);
    tf_loop l = {.n = count, .first_arg = first_arg, .body = body};
    for (uint32_t i = 0; i < count; i++) {
        uint32_t arg = tf_add_node(r, tf_at(r, node)->name, STR("_Arg"), TF_ARG, NULL, 0, body);
        if (arg == TF_NONE || !TF_ROOM(r, r->args, r->n_args, r->cap_args)) return tf_nomem(r);
        tf_at(r, arg)->extra = i;
        r->args[r->n_args++] = arg;
    }
    for (uint32_t i = 0; i < count; i++)
        if (tf_add_refs(r, &(tf_ref){r->args[first_arg + i], 0}, 1) == TF_NONE) return tf_nomem(r);
    const tf_node *n = tf_at(r, node);
    instance cond = {body, n->depth + 1, first, count, 0, 0}, round = cond;
    str cond_name = tf_attr_function(n, "cond"), body_name = tf_attr_function(n, "body");
    pg_code code = instantiate(r, cond_name, &cond);
    if (!code) code = instantiate(r, body_name, &round);
    if (code) return code;
    n = tf_at(r, node);
    if (round.n_ret != count || cond.n_ret < 1)
        return tf_fail(r, n, "its body returns %u values for the %u that it carries", round.n_ret, count);
    l.first_ret = round.first_ret;
    l.cond = r->refs[cond.first_ret];
    if (!TF_ROOM(r, r->loops, r->n_loops, r->cap_loops)) return tf_nomem(r);
    tf_at(r, node)->kind = TF_LOOP;
    tf_at(r, node)->extra = r->n_loops;
    r->loops[r->n_loops++] = l;
    return PG_E_OK;
}

pg_code tf_expand(tf_reader *r, uint32_t node)
{
    tf_node *n = tf_at(r, node);
    if (n->expanded || n->kind != TF_OP) return PG_E_OK;
    n->expanded = true;
    if (is_call(r, n)) return expand_call(r, node);
    if (tf_is(n, "If") || tf_is(n, "StatelessIf")) return expand_branches(r, node);
    if (tf_is(n, "While") || tf_is(n, "StatelessWhile")) return expand_while(r, node);
    return PG_E_OK;
}
