/* Loops of TensorFlow 1. Each value that is carried round has five nodes:
 *
 *   Merge(Enter(start), NextIteration(what it is after a round)) -> Switch(that, LoopCond): output 1 is what the body reads,
 *   Exit(output 0) what is left in the end. The condition reads the Merge. An Enter that no Merge reads lets a constant in.
 *
 * They become one loop node as version 2 has it: the Merge stands for the value within, Exit for an output of the loop. */
#include "load/tf_internal.h"

typedef struct carried {
    uint32_t merge, enter, next, loop; /* nodes; loops[] */
} carried;

typedef struct frames {
    tf_reader *r;
    carried *list;
    uint32_t n, cap;
    uint32_t *of; /* per node: carried + 1 whose Merge or Switch it is */
    uint32_t n_nodes;
    uint32_t first_loop;
} frames;

static bool is_either(const tf_node *n, const char *type, const char *by_reference)
{
    return tf_is(n, type) || tf_is(n, by_reference);
}

/* The Enter and NextIteration that a Merge joins. */
static bool is_loop_merge(const tf_reader *r, const tf_node *n, carried *c)
{
    if (!is_either(n, "Merge", "RefMerge") || n->n_in != 2) return false;
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t a = tf_in(r, n, i).node, b = tf_in(r, n, !i).node;
        if (a == TF_NONE || b == TF_NONE) continue;
        if (!is_either(tf_at(r, a), "Enter", "RefEnter") || tf_at(r, a)->n_in != 1) continue;
        if (!is_either(tf_at(r, b), "NextIteration", "RefNextIteration") || tf_at(r, b)->n_in != 1) continue;
        c->enter = a;
        c->next = b;
        return true;
    }
    return false;
}

static pg_code find_carried(frames *f)
{
    tf_reader *r = f->r;
    bool added;
    for (uint32_t i = 0; i < f->n_nodes; i++) {
        carried c = {.merge = i};
        if (!is_loop_merge(r, tf_at(r, i), &c)) continue;
        uint32_t *loop = map_add(&r->frames, tf_attr_text(tf_at(r, c.enter), "frame_name"), r->n_loops, &added);
        if (!loop) return tf_nomem(r);
        if (added) {
            if (!TF_ROOM(r, r->loops, r->n_loops, r->cap_loops)) return tf_nomem(r);
            r->loops[r->n_loops++] = (tf_loop){.cond = {TF_NONE, 0}};
        }
        c.loop = *loop;
        r->loops[c.loop].n++;
        if (!TF_ROOM(r, f->list, f->n, f->cap)) return tf_nomem(r);
        f->list[f->n++] = c;
        f->of[i] = f->n;
    }
    return PG_E_OK;
}

static void find_conditions(frames *f)
{
    tf_reader *r = f->r;
    for (uint32_t i = 0; i < f->n_nodes; i++) {
        const tf_node *n = tf_at(r, i);
        if (!is_either(n, "Switch", "RefSwitch") || n->n_in != 2) continue;
        uint32_t data = tf_in(r, n, 0).node, predicate = tf_in(r, n, 1).node;
        if (data == TF_NONE || predicate == TF_NONE || !f->of[data] || f->list[f->of[data] - 1].merge != data) continue;
        f->of[i] = f->of[data];
        const tf_node *p = tf_at(r, predicate);
        if (tf_is(p, "LoopCond") && p->n_in == 1) r->loops[f->list[f->of[data] - 1].loop].cond = tf_in(r, p, 0);
    }
}

static pg_code make_alias(tf_reader *r, uint32_t node, tf_ref to)
{
    uint32_t at = tf_add_refs(r, &to, 1);
    if (at == TF_NONE) return tf_nomem(r);
    tf_at(r, node)->kind = TF_ALIAS;
    tf_at(r, node)->extra = at;
    tf_at(r, node)->of_loop = true;
    return PG_E_OK;
}

/* The node of a loop, with its arguments and results, from the values that it carries in the order of their Merges. */
static pg_code make_loop(frames *f, uint32_t index, const uint32_t *members, uint32_t n, uint32_t *made)
{
    tf_reader *r = f->r;
    tf_loop *l = &r->loops[index];
    uint32_t first_arg = r->n_args, first_in = r->n_refs;
    const carried *first = &f->list[members[0]];
    str frame = tf_attr_text(tf_at(r, first->enter), "frame_name");
    if (l->cond.node == TF_NONE)
        return error_set(r->e, PG_E_GRAPH, "the loop '%.*s' has no condition; the file is incomplete", STR_ARG(frame));
    if (!TF_ROOM(r, r->bodies, r->n_bodies, r->cap_bodies)) return tf_nomem(r);
    uint32_t body = r->n_bodies++;
    r->bodies[body] = (tf_body){0, 0};
    for (uint32_t i = 0; i < n; i++)
        if (tf_add_refs(r, &r->refs[tf_at(r, f->list[members[i]].enter)->first_in], 1) == TF_NONE) return tf_nomem(r);
    uint32_t first_ret = r->n_refs;
    for (uint32_t i = 0; i < n; i++) {
        tf_ref ret = tf_in(r, tf_at(r, f->list[members[i]].next), 0);
        if (tf_add_refs(r, &ret, 1) == TF_NONE || !TF_ROOM(r, r->args, r->n_args, r->cap_args)) return tf_nomem(r);
        tf_node *merge = tf_at(r, f->list[members[i]].merge);
        r->args[r->n_args++] = f->list[members[i]].merge;
        merge->kind = TF_ARG;
        merge->body = body;
        merge->extra = i;
    }
    uint32_t node = tf_add_node(r, frame, STR("While"), TF_LOOP, NULL, 0, 0);
    if (node == TF_NONE) return tf_nomem(r);
    tf_at(r, node)->first_in = first_in;
    tf_at(r, node)->n_in = n;
    tf_at(r, node)->extra = index;
    tf_at(r, node)->expanded = true;
    l->first_ret = first_ret;
    l->first_arg = first_arg;
    l->body = body;
    *made = node;
    return PG_E_OK;
}

static pg_code make_loops(frames *f)
{
    tf_reader *r = f->r;
    uint32_t loops = r->n_loops - f->first_loop, at = 0;
    uint32_t *start = ARENA_ARRAY(&r->a, uint32_t, loops + 1), *members = ARENA_ARRAY(&r->a, uint32_t, f->n),
             *node = ARENA_ARRAY(&r->a, uint32_t, loops), *place = ARENA_ARRAY(&r->a, uint32_t, f->n);
    if (!start || !members || !node || !place) return tf_nomem(r);
    for (uint32_t i = 0; i < loops; i++) {
        start[i] = at;
        at += r->loops[f->first_loop + i].n;
    }
    for (uint32_t i = 0; i < f->n; i++) {
        uint32_t *slot = &start[f->list[i].loop - f->first_loop];
        place[i] = *slot;
        members[(*slot)++] = i;
    }
    for (uint32_t i = 0, from = 0; i < loops; i++) { /* start[i] is the loop's end by now */
        pg_code code = make_loop(f, f->first_loop + i, members + from, start[i] - from, &node[i]);
        if (code) return code;
        for (uint32_t k = from; k < start[i]; k++) place[members[k]] = k - from;
        from = start[i];
    }
    for (uint32_t i = 0; i < f->n_nodes; i++) {
        const tf_node *n = tf_at(r, i);
        pg_code code = PG_E_OK;
        if (n->kind != TF_OP || !n->n_in) continue;
        uint32_t from = tf_in(r, n, 0).node;
        if (f->of[i]) code = make_alias(r, i, (tf_ref){f->list[f->of[i] - 1].merge, 0});
        else if (is_either(n, "Exit", "RefExit") && from < f->n_nodes && f->of[from]) {
            uint32_t c = f->of[from] - 1;
            code = make_alias(r, i, (tf_ref){node[f->list[c].loop - f->first_loop], place[c]});
        }
        if (code) return code;
    }
    return PG_E_OK;
}

pg_code tf_find_loops(tf_reader *r)
{
    frames f = {.r = r, .n_nodes = r->n_nodes, .first_loop = r->n_loops};
    f.of = ARENA_ARRAY(&r->a, uint32_t, r->n_nodes);
    if (!f.of) return tf_nomem(r);
    pg_code code = find_carried(&f);
    if (code || !f.n) return code;
    find_conditions(&f);
    return make_loops(&f);
}
