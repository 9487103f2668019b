/* Expressions and statements. */
#include "load/torchscript.h"

pg_code ts_fail(ts *t, pg_code code, const char *fmt, ...)
{
    char text[300];
    va_list args;
    if (t->x.code) return t->x.code;
    va_start(args, fmt);
    format_textv(text, sizeof text, fmt, args);
    va_end(args);
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f) *p = '?';
    t->x.code = error_set(t->f->e, code, "%s", text);
    if (t->at) error_line(t->f->e, t->at->line, 0);
    return t->x.code;
}

/* Said once; nothing is, while it is only guessed. */
bool ts_note(ts *t, const char *fmt, ...)
{
    char text[300];
    bool added;
    va_list args;
    va_start(args, fmt);
    size_t n = format_textv(text, sizeof text, fmt, args);
    va_end(args);
    if (t->x.guessing || t->x.code) return true;
    str key = str_copy(t->x.a, (str){text, n < sizeof text ? n : sizeof text - 1});
    if (key.ptr && map_add(&t->notes, key, 0, &added) && (!added || graph_warn(t->x.g, "%s", key.ptr))) return true;
    aten_nomem(&t->x);
    return false;
}

/* ---- variables ---- */

aten_value *ts_variable(const ts_frame *f, str name)
{
    const uint32_t *slot = map_find(&f->names, name);
    return slot ? &f->values[*slot] : NULL;
}

static void set_variable(ts *t, ts_frame *f, str name, aten_value v)
{
    bool added;
    uint32_t *slot = map_add(&f->names, name, f->n, &added);
    if (slot && added && f->n == f->cap) {
        uint32_t cap = f->cap ? f->cap * 2 : 16;
        aten_value *list = arena_grow(t->x.a, f->values, f->cap, cap, sizeof *list);
        if (!list) slot = NULL;
        else {
            f->values = list;
            f->cap = cap;
        }
    }
    if (!slot) {
        aten_nomem(&t->x);
        return;
    }
    f->n += added;
    f->values[*slot] = v;
}

int ts_truth(ts *t, aten_value v)
{
    if (aten_is_number(v)) return aten_real(v) != 0;
    if (v.kind == ATEN_NONE) return 0;
    if (v.kind == ATEN_LIST || v.kind == ATEN_TUPLE || v.kind == ATEN_DICT)
        return v.v.list->sizes ? -1 : v.v.list->n > 0;
    if (v.kind == ATEN_TEXT) return v.v.text.len > 0;
    if (v.kind == ATEN_OBJECT) return 1;
    if (v.kind == ATEN_TENSOR) {
        const tensor_shape *s = aten_shape(&t->x, aten_operand(&t->x, v, NO_TENSOR));
        if (s->value && s->value_count == 1 && num_known(s->value[0]))
            return dtype_get((dtype)s->dtype)->floating ? s->value[0].v.f != 0 : s->value[0].v.i != 0;
    }
    return -1;
}

/* ---- expressions ---- */

static aten_value items_of(ts *t, ts_frame *f, const script_node *n, aten_kind kind)
{
    aten_value out = aten_new_list(&t->x, kind, NULL, 0);
    for (uint32_t i = 0; !t->x.code && i < n->items.n; i++)
        aten_append(&t->x, out.v.list, ts_expression(t, f, n->items.v[i]));
    return out;
}

static aten_value index_of(ts *t, ts_frame *f, const script_node *n)
{
    aten_args args = {.n = 2};
    args.v[0] = ts_expression(t, f, n->a);
    if (t->x.code) return aten_none();
    if (n->b->kind == SCRIPT_SLICE) {
        args.n = 3;
        args.v[1] = n->b->a ? ts_expression(t, f, n->b->a) : aten_none();
        args.v[2] = n->b->b ? ts_expression(t, f, n->b->b) : aten_none();
        if (args.v[0].kind != ATEN_LIST && args.v[0].kind != ATEN_TUPLE) return aten_unknown();
        return aten_call(&t->x, STR("slice"), &args, 1);
    }
    args.v[1] = ts_expression(t, f, n->b);
    int64_t i;
    if (args.v[0].kind == ATEN_OBJECT) { /* a named tuple */
        ts_object *o = args.v[0].v.object;
        return aten_plain_int(args.v[1], &i) && i >= 0 && i < o->n ? o->values[i] : aten_unknown();
    }
    if (args.v[0].kind == ATEN_TENSOR) {
        args.v[2] = args.v[1];
        args.v[1] = aten_int(num_int(0));
        args.n = 3;
        return aten_call(&t->x, STR("select"), &args, 1);
    }
    return aten_call(&t->x, STR("__getitem__"), &args, 1);
}

static aten_value operator_of(ts *t, ts_frame *f, const script_node *n)
{
    static const struct {
        const char *sign, *name;
    } names[] = {{"+", "add"},       {"-", "sub"},    {"*", "mul"},     {"/", "div"},          {"//", "floordiv"},
                 {"%", "remainder"}, {"**", "pow"},   {"==", "eq"},     {"!=", "ne"},          {"<", "lt"},
                 {"<=", "le"},       {">", "gt"},     {">=", "ge"},     {"&", "__and__"},      {"|", "__or__"},
                 {"^", "__xor__"},   {"@", "matmul"}, {"is", "__is__"}, {"isnot", "__isnot__"}};
    aten_args args = {.n = n->b ? 2 : 1};
    args.v[0] = ts_expression(t, f, n->a);
    if (n->b && (str_is(n->v.text, "and") || str_is(n->v.text, "or"))) {
        int truth = ts_truth(t, args.v[0]);
        if (truth == str_is(n->v.text, "or")) return args.v[0];
        aten_value second = ts_expression(t, f, n->b);
        return truth < 0 ? aten_unknown() : second;
    }
    if (!n->b) {
        if (str_is(n->v.text, "+")) return args.v[0];
        return aten_call(&t->x,
                         str_is(n->v.text, "-")   ? STR("neg")
                         : str_is(n->v.text, "~") ? STR("bitwise_not")
                                                  : STR("__not__"),
                         &args, 1);
    }
    args.v[1] = ts_expression(t, f, n->b);
    if (str_is(n->v.text, "in")) {
        aten_value v = args.v[0];
        args.v[0] = args.v[1], args.v[1] = v;
        return aten_call(&t->x, STR("__contains__"), &args, 1);
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (str_is(n->v.text, names[i].sign)) return aten_call(&t->x, str_c(names[i].name), &args, 1);
    return aten_unknown();
}

static aten_value name_of(ts *t, const ts_frame *f, const script_node *n)
{
    const aten_value *v = ts_variable(f, n->v.text);
    if (v) return *v;
    if (str_is(n->v.text, "inf")) return aten_float(INFINITY);
    if (str_is(n->v.text, "nan")) return aten_float(NAN);
    (void)t;
    return (aten_value){.kind = ATEN_NAME, .v.text = n->v.text};
}

static aten_value choice(ts *t, ts_frame *f, const script_node *n)
{
    int truth = ts_truth(t, ts_expression(t, f, n->b));
    return t->x.code ? aten_none() : ts_expression(t, f, truth ? n->a : n->c);
}

static aten_value expression(ts *t, ts_frame *f, const script_node *n)
{
    switch (n->kind) {
    case SCRIPT_NAME: return name_of(t, f, n);
    case SCRIPT_INT: return aten_int(num_int(n->v.i));
    case SCRIPT_FLOAT: return aten_float(n->v.f);
    case SCRIPT_BOOL: return aten_bool(n->v.i != 0);
    case SCRIPT_NONE: return aten_none();
    case SCRIPT_TEXT: return (aten_value){.kind = ATEN_TEXT, .v.text = n->v.text};
    case SCRIPT_TUPLE: return items_of(t, f, n, ATEN_TUPLE);
    case SCRIPT_LIST: return items_of(t, f, n, ATEN_LIST);
    case SCRIPT_DICT: return items_of(t, f, n, ATEN_DICT);
    case SCRIPT_ATTRIBUTE: return ts_attribute(t, f, n);
    case SCRIPT_CALL: return ts_call_node(t, f, n, 1);
    case SCRIPT_INDEX: return index_of(t, f, n);
    case SCRIPT_OPERATOR: return operator_of(t, f, n);
    case SCRIPT_CHOICE: return choice(t, f, n);
    default: return aten_unknown();
    }
}

bool ts_enter(ts *t)
{
    if (t->x.code) return false;
    if (t->depth >= TS_DEPTH || ++t->steps > TS_STEPS) {
        ts_fail(t, PG_E_LIMIT,
                t->depth >= TS_DEPTH ? "its calls are nested too deeply, or call themselves"
                                     : "it takes too many steps to follow");
        return false;
    }
    t->depth++;
    return true;
}

aten_value ts_expression(ts *t, ts_frame *f, const script_node *n)
{
    if (!ts_enter(t)) return aten_none();
    aten_value v = expression(t, f, n);
    t->depth--;
    return t->x.code ? aten_none() : v;
}

/* ---- statements ---- */

typedef enum flow { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE, FLOW_RETURN } flow;

static flow block(ts *t, ts_frame *f, const script_list *body);

static void assign_to(ts *t, ts_frame *f, const script_node *target, aten_value v)
{
    if (t->x.code) return;
    if (target->kind == SCRIPT_NAME) {
        set_variable(t, f, target->v.text, v);
    } else if (target->kind == SCRIPT_TUPLE || target->kind == SCRIPT_LIST) {
        for (uint32_t i = 0; i < target->items.n; i++) {
            bool there = (v.kind == ATEN_LIST || v.kind == ATEN_TUPLE) && i < v.v.list->n;
            aten_value part = there ? v.v.list->v[i] : aten_unknown();
            if (v.kind == ATEN_OBJECT && i < ((ts_object *)v.v.object)->n) part = ((ts_object *)v.v.object)->values[i];
            assign_to(t, f, target->items.v[i], part);
        }
    } else if (target->kind == SCRIPT_ATTRIBUTE) {
        aten_value o = ts_expression(t, f, target->a);
        if (o.kind == ATEN_OBJECT && !t->x.code) ts_set(t, o.v.object, target->v.text, v);
    } else if (target->kind == SCRIPT_INDEX) {
        aten_args args = {.n = 3};
        args.v[0] = ts_expression(t, f, target->a);
        args.v[1] = ts_expression(t, f, target->b);
        args.v[2] = v;
        aten_call(&t->x, STR("_set_item"), &args, 1);
    }
}

static void assign(ts *t, ts_frame *f, const script_node *n)
{
    uint32_t want = 1;
    if (!n->a || !n->items.n) return;
    const script_node *first = n->items.v[0];
    if (first->kind == SCRIPT_TUPLE || first->kind == SCRIPT_LIST) want = first->items.n;
    aten_value v = n->a->kind == SCRIPT_CALL ? ts_call_node(t, f, n->a, want) : ts_expression(t, f, n->a);
    if (want == 1 && first->kind == SCRIPT_TUPLE && v.kind != ATEN_TUPLE && v.kind != ATEN_LIST)
        v = aten_new_list(&t->x, ATEN_TUPLE, &v, 1);
    for (uint32_t i = 0; i < n->items.n; i++) assign_to(t, f, n->items.v[i], v);
}

/* Whether a block does nothing but refuse. */
static bool raises(const script_list *body)
{
    for (uint32_t i = 0; i < body->n; i++) {
        const script_node *s = body->v[i], *call = s->kind == SCRIPT_DO ? s->a : NULL;
        if (s->kind == SCRIPT_RAISE) return true;
        if (call && call->kind == SCRIPT_CALL && call->a->kind == SCRIPT_ATTRIBUTE &&
            str_is(call->a->v.text, "RaiseException"))
            return true;
    }
    return false;
}

/* "if the last dim is not 512: raise" says that it is. */
static void take_guard(ts *t, aten_value c)
{
    if (c.kind != ATEN_UNKNOWN || c.of != ATEN_OF_DIM || c.input >= t->x.n_hints || c.v.n.v.i < 1) return;
    aten_hint *h = &t->x.hints[c.input];
    if (c.dim == -1) h->last = c.v.n.v.i;
    else if (c.dim > 0 && c.dim < 8 && !h->dims[c.dim]) h->dims[c.dim] = c.v.n.v.i;
}

static flow branch(ts *t, ts_frame *f, const script_node *n)
{
    aten_value c = ts_expression(t, f, n->a);
    int truth = t->x.code ? 0 : ts_truth(t, c);
    if (truth >= 0) return block(t, f, truth ? &n->items : &n->others);
    if (raises(&n->items)) {
        take_guard(t, c);
        return block(t, f, &n->others);
    }
    if (!raises(&n->others)) ts_note(t, "a condition depends on the data: its first branch is costed");
    return block(t, f, &n->items);
}

/* One round; false: no more. */
static bool round_of(ts *t, ts_frame *f, const script_node *n, flow *out)
{
    *out = block(t, f, &n->items);
    if (*out == FLOW_RETURN || t->x.code) return false;
    bool more = *out != FLOW_BREAK;
    *out = FLOW_ON;
    return more;
}

static flow for_range(ts *t, ts_frame *f, const script_node *n, int64_t rounds, bool known)
{
    flow out = FLOW_ON;
    if (known && rounds > TS_UNROLL) {
        ts_note(t, "a loop of %lld rounds is costed as one", (long long)rounds);
        rounds = 1;
    } else if (!known) {
        ts_note(t, "how often a loop runs depends on the data: one round is costed");
        rounds = 1;
    }
    for (int64_t i = 0; i < rounds; i++) {
        assign_to(t, f, n->b, aten_int(num_int(i)));
        if (!round_of(t, f, n, &out)) break;
    }
    return out;
}

static flow for_each(ts *t, ts_frame *f, const script_node *n)
{
    flow out = FLOW_ON;
    const script_node *call = n->a;
    if (call->kind == SCRIPT_CALL && call->a->kind == SCRIPT_NAME && str_is(call->a->v.text, "range") &&
        call->items.n) {
        aten_value count = ts_expression(t, f, call->items.v[call->items.n > 1]);
        if (count.kind == ATEN_INT && count.v.n.sym != SYM_NONE)
            ts_note(
                t,
                "a loop runs as often as an input is long: the graph is that of %lld rounds, whatever the input's size; "
                "--input-shape sets it",
                (long long)count.v.n.v.i);
        int64_t rounds = 1;
        bool known = aten_plain_int(count, &rounds);
        return for_range(t, f, n, rounds, known);
    }
    aten_value list = ts_expression(t, f, n->a);
    if (list.kind == ATEN_TENSOR) {
        aten_args args = {.n = 1, .v = {list}};
        list = aten_call(&t->x, STR("unbind"), &args, 1);
    }
    if (list.kind != ATEN_LIST && list.kind != ATEN_TUPLE) return for_range(t, f, n, 1, false);
    for (uint32_t i = 0; i < list.v.list->n && i < TS_UNROLL; i++) {
        assign_to(t, f, n->b, list.v.list->v[i]);
        if (!round_of(t, f, n, &out)) break;
    }
    return out;
}

static flow while_true(ts *t, ts_frame *f, const script_node *n)
{
    flow out = FLOW_ON;
    for (uint32_t i = 0; i < TS_UNROLL; i++) {
        int truth = ts_truth(t, ts_expression(t, f, n->a));
        if (t->x.code || truth == 0) return FLOW_ON;
        bool more = round_of(t, f, n, &out);
        if (truth < 0) ts_note(t, "how often a loop runs depends on the data: one round is costed");
        if (!more || truth < 0) return out;
    }
    ts_note(t, "a loop runs more than %d rounds: only these are costed", TS_UNROLL);
    return out;
}

static flow statement(ts *t, ts_frame *f, const script_node *n)
{
    switch (n->kind) {
    case SCRIPT_ASSIGN: assign(t, f, n); return FLOW_ON;
    case SCRIPT_DO:
        if (n->a->kind == SCRIPT_CALL) ts_call_node(t, f, n->a, 0);
        else ts_expression(t, f, n->a);
        return FLOW_ON;
    case SCRIPT_RETURN: f->result = n->a ? ts_expression(t, f, n->a) : aten_none(); return FLOW_RETURN;
    case SCRIPT_IF: return branch(t, f, n);
    case SCRIPT_FOR: return for_each(t, f, n);
    case SCRIPT_WHILE: return while_true(t, f, n);
    case SCRIPT_WITH: return block(t, f, &n->items);
    case SCRIPT_BREAK: return FLOW_BREAK;
    case SCRIPT_CONTINUE: return FLOW_CONTINUE;
    default: return FLOW_ON;
    }
}

static flow block(ts *t, ts_frame *f, const script_list *body)
{
    for (uint32_t i = 0; i < body->n && !t->x.code; i++) {
        const script_node *before = t->at;
        t->at = body->v[i];
        if (t->depth >= TS_DEPTH || ++t->steps > TS_STEPS) {
            ts_fail(t, PG_E_LIMIT,
                    t->depth >= TS_DEPTH ? "its calls are nested too deeply, or call themselves"
                                         : "it takes too many steps to follow");
            return FLOW_RETURN;
        }
        t->depth++;
        flow go = statement(t, f, body->v[i]);
        t->depth--;
        if (!t->x.code) t->at = before;
        if (go != FLOW_ON) return go;
    }
    return t->x.code ? FLOW_RETURN : FLOW_ON;
}

/* A recurrent cell of PyTorch's, whose call a trace takes apart; the same formulas in other modules are those modules' own. */
static bool is_framework_cell(str class_name)
{
    return str_starts(class_name, "__torch__.torch.nn.modules.rnn.") || str_starts(class_name, "torch.nn.modules.rnn.");
}

/* ---- calls ---- */

aten_value ts_call(ts *t, const script_node *def, const ts_object *self, const aten_args *args)
{
    ts_frame f = {.result = aten_none()};
    uint32_t at = 0;
    if (t->x.code) return aten_none();
    map_init(&f.names, t->x.a);
    for (uint32_t i = 0; i < def->others.n && !t->x.code; i++) {
        const script_node *arg = def->others.v[i];
        aten_value v = aten_none();
        bool given = false;
        if (i == 0 && self) {
            set_variable(t, &f, arg->v.text, (aten_value){.kind = ATEN_OBJECT, .v.object = (void *)(uintptr_t)self});
            continue;
        }
        while (at < args->n && args->keys[at].len) at++; /* by position first */
        if (at < args->n) {
            v = args->v[at++];
            given = true;
        }
        for (uint32_t k = 0; k < args->n; k++)
            if (args->keys[k].len && str_eq(args->keys[k], arg->v.text)) {
                v = args->v[k];
                given = true;
            }
        if (!given && arg->a) v = ts_expression(t, &f, arg->a);
        set_variable(t, &f, arg->v.text, v);
    }
    str scope = t->x.scope;
    bool own = t->x.own_code;
    if (self) t->x.own_code = !is_framework_cell(self->class_name);
    if (self && self->path.len) t->x.scope = self->path;
    block(t, &f, &def->items);
    t->x.own_code = own;
    t->x.scope = scope;
    return t->x.code ? aten_none() : f.result;
}

aten_value ts_method(ts *t, ts_object *o, str name, const aten_args *args)
{
    const script_node *def = ts_member(o->type, name, SCRIPT_DEF);
    if (def) return ts_call(t, def, o, args);
    aten_value v;
    if (++t->depth < TS_DEPTH && ts_get(t, o, name, &v) && v.kind == ATEN_OBJECT) { /* a module among the attributes */
        v = ts_method(t, v.v.object, STR("forward"), args);
        t->depth--;
        return v;
    }
    t->depth--;
    if (!t->x.code)
        ts_fail(t, PG_E_UNSUPPORTED, "%.*s has no method '%.*s' in the archive's source", STR_ARG(o->class_name),
                STR_ARG(name));
    return aten_none();
}
