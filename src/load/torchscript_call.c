/* Calls and names: operators, methods, functions of the source, and what the language has of its own. */
#include "load/torchscript.h"

/* ---- names ---- */

bool ts_chain(ts *t, const ts_frame *f, const script_node *n, char *out, size_t cap, size_t *len)
{
    enum { PARTS = 64 };
    str parts[PARTS];
    uint32_t count = 0;
    (void)t;
    for (; n->kind == SCRIPT_ATTRIBUTE && count + 1 < PARTS; n = n->a) parts[count++] = n->v.text;
    if (n->kind != SCRIPT_NAME || ts_variable(f, n->v.text)) return false;
    parts[count++] = n->v.text;
    *len = 0;
    while (count-- && *len < cap)
        *len += format_text(out + *len, cap - *len, "%.*s%s", STR_ARG(parts[count]), count ? "." : "");
    return *len < cap;
}

static str last_part(str name)
{
    size_t dot = name.len;
    while (dot && name.ptr[dot - 1] != '.') dot--;
    return (str){name.ptr + dot, name.len - dot};
}

static aten_value constant(ts *t, str name)
{
    int64_t i = 0;
    if (name.len < 2 || name.ptr[0] != 'c' || !t->constants) return aten_unknown();
    for (size_t k = 1; k < name.len && i < INT32_MAX; k++) i = i * 10 + (name.ptr[k] - '0');
    const pickle_value *v = i >= 0 && i < INT32_MAX ? pickle_item(t->constants, (uint32_t)i) : NULL;
    return v ? ts_value(t, v, STR("CONSTANTS"), 0) : aten_unknown();
}

/* Types as values: torch.float and the like are numbers. */
static aten_value global_name(ts *t, str name)
{
    if (str_starts(name, "CONSTANTS.")) return constant(t, last_part(name));
    dtype d = torch_type_of(name);
    for (int64_t code = 0; d != DT_UNKNOWN && code < 16; code++)
        if (torch_type_of_code(code) == d) return aten_int(num_int(code));
    str copy = str_copy(t->x.a, name);
    if (!copy.ptr) aten_nomem(&t->x);
    return (aten_value){.kind = ATEN_NAME, .v.text = copy};
}

static aten_value member(ts *t, aten_value o, str name)
{
    aten_value v;
    if (o.kind == ATEN_OBJECT) {
        if (ts_get(t, o.v.object, name, &v)) return v;
        return aten_unknown();
    }
    if (o.kind != ATEN_TENSOR) return aten_unknown();
    aten_args args = {.n = 1, .v = {o}};
    return aten_known(&t->x, name) ? aten_call(&t->x, name, &args, 1) : aten_unknown();
}

aten_value ts_attribute(ts *t, ts_frame *f, const script_node *n)
{
    char text[512];
    size_t len;
    if (ts_chain(t, f, n, text, sizeof text, &len)) return global_name(t, (str){text, len});
    aten_value o = ts_expression(t, f, n->a);
    return t->x.code ? aten_none() : member(t, o, n->v.text);
}

/* ---- what the language has of its own ---- */

static aten_value to_number(ts *t, str name, aten_value v)
{
    aten_args args = {.n = 1, .v = {v}};
    if (v.kind == ATEN_TENSOR) v = aten_call(&t->x, STR("item"), &args, 1);
    if (str_is(name, "bool")) {
        int truth = v.kind == ATEN_UNKNOWN ? -1 : ts_truth(t, v);
        return truth < 0 ? v : aten_bool(truth);
    }
    if (!aten_is_number(v)) return v;
    if (str_is(name, "float")) return aten_float(aten_real(v));
    if (v.kind != ATEN_FLOAT) return aten_int(v.v.n);
    return fabs(v.v.f) < 9e15 ? aten_int(num_int((int64_t)v.v.f)) : aten_unknown();
}

static bool is_type(aten_value v, const script_node *type)
{
    if (type->kind == SCRIPT_LIST || type->kind == SCRIPT_TUPLE) {
        for (uint32_t i = 0; i < type->items.n; i++)
            if (is_type(v, type->items.v[i])) return true;
        return false;
    }
    str name = type->kind == SCRIPT_INDEX && type->a->kind == SCRIPT_NAME ? type->a->v.text
             : type->kind == SCRIPT_NAME                                  ? type->v.text
                                                                          : (str){NULL, 0};
    switch (v.kind) {
    case ATEN_TENSOR: return str_is(name, "Tensor");
    case ATEN_INT: return str_is(name, "int");
    case ATEN_FLOAT: return str_is(name, "float");
    case ATEN_BOOL: return str_is(name, "bool");
    case ATEN_TEXT: return str_is(name, "str");
    case ATEN_LIST: return str_is(name, "List") || str_is(name, "list");
    case ATEN_TUPLE: return str_is(name, "Tuple") || str_is(name, "tuple");
    case ATEN_DICT: return str_is(name, "Dict") || str_is(name, "dict");
    case ATEN_NONE: return str_is(name, "NoneType");
    default: return type->kind == SCRIPT_ATTRIBUTE;
    }
}

static aten_value get_attribute(ts *t, ts_frame *f, const script_node *n)
{
    if (n->items.n < 2 || n->items.v[1]->kind != SCRIPT_TEXT) return aten_unknown();
    aten_value o = ts_expression(t, f, n->items.v[0]);
    return t->x.code ? aten_none() : member(t, o, n->items.v[1]->v.text);
}

/* True: the name is one of the language's own; *out has the value. */
static bool builtin(ts *t, ts_frame *f, const script_node *n, str name, aten_value *out)
{
    const script_list *a = &n->items;
    bool typed = str_is(name, "annotate") || str_is(name, "unchecked_cast");
    *out = aten_unknown();
    if (typed || str_is(name, "int") || str_is(name, "float") || str_is(name, "bool") || str_is(name, "str")) {
        uint32_t at = typed ? 1 : 0;
        if (a->n > at) *out = ts_expression(t, f, a->v[at]);
        if (!typed) *out = to_number(t, name, *out);
        return true;
    }
    if (str_is(name, "uninitialized") || str_is(name, "_awaitable_nowait")) return true;
    if (str_is(name, "getattr")) *out = get_attribute(t, f, n);
    else if (str_is(name, "isinstance") && a->n == 2) *out = aten_bool(is_type(ts_expression(t, f, a->v[0]), a->v[1]));
    else if (str_is(name, "hasattr") && a->n == 2 && a->v[1]->kind == SCRIPT_TEXT) {
        aten_value o = ts_expression(t, f, a->v[0]), v;
        *out = aten_bool(o.kind == ATEN_OBJECT && ts_get(t, o.v.object, a->v[1]->v.text, &v));
    } else return false;
    return true;
}

/* ---- calls ---- */

static bool evaluate(ts *t, ts_frame *f, const script_node *n, aten_args *args)
{
    *args = (aten_args){.n = 0};
    for (uint32_t i = 0; i < n->items.n; i++) {
        const script_node *a = n->items.v[i];
        if (args->n == ATEN_ARGS) {
            ts_fail(t, PG_E_UNSUPPORTED, "a call has more than %d arguments", ATEN_ARGS);
            return false;
        }
        if (a->kind == SCRIPT_KEYWORD) args->keys[args->n] = a->v.text;
        args->v[args->n++] = ts_expression(t, f, a->kind == SCRIPT_KEYWORD ? a->a : a);
        if (t->x.code) return false;
    }
    return true;
}

/* A class is called: a named tuple or an object of the source. */
static aten_value construct(ts *t, str name, const script_node *type, const aten_args *args)
{
    ts_object *o = ts_new_object(t, name, STR(""));
    uint32_t at = 0;
    if (!o) return aten_none();
    if (ts_member(type, STR("__init__"), SCRIPT_DEF)) ts_method(t, o, STR("__init__"), args);
    else
        for (uint32_t i = 0; i < type->items.n && at < args->n; i++) {
            const script_node *d = type->items.v[i];
            if (d->kind == SCRIPT_ASSIGN && d->items.n == 1 && d->items.v[0]->kind == SCRIPT_NAME)
                ts_set(t, o, d->items.v[0]->v.text, args->v[at++]);
        }
    return (aten_value){.kind = ATEN_OBJECT, .v.object = o};
}

static aten_value call_name(ts *t, str name, const aten_args *args, uint32_t want)
{
    if (str_starts(name, "__torch__.")) {
        str last = last_part(name);
        if (str_is(last, "__new__")) { /* (class) */
            str cls = {name.ptr, name.len - last.len - 1};
            str copy = str_copy(t->x.a, cls);
            ts_object *o = copy.ptr ? ts_new_object(t, copy, STR("")) : NULL;
            return o ? (aten_value){.kind = ATEN_OBJECT, .v.object = o} : aten_none();
        }
        /* torchvision takes more than 5000 boxes class by class. How many there are is for the data to say: as a trace does, and so
         * the file that it is exported to, they are taken at once. */
        if (str_is(name, "__torch__.torchvision.ops.boxes._batched_nms_vanilla"))
            name = STR("__torch__.torchvision.ops.boxes._batched_nms_coordinate_trick");
        const script_node *d = ts_find(t, name);
        if (d && d->kind == SCRIPT_DEF) return ts_call(t, d, NULL, args);
        if (d) return construct(t, name, d, args);
        if (t->x.code) return aten_none();
    }
    str last = last_part(name);
    str copy = str_copy(t->x.a, last);
    if (!copy.ptr) {
        aten_nomem(&t->x);
        return aten_none();
    }
    return aten_call(&t->x, copy, args, want);
}

static aten_value call_node(ts *t, ts_frame *f, const script_node *n, uint32_t want)
{
    char text[512];
    size_t len;
    aten_args args;
    aten_value v;
    if (ts_chain(t, f, n->a, text, sizeof text, &len)) {
        if (n->a->kind == SCRIPT_NAME && builtin(t, f, n, (str){text, len}, &v)) return v;
        str name = str_copy(t->x.a, (str){text, len});
        if (!name.ptr) aten_nomem(&t->x);
        return evaluate(t, f, n, &args) ? call_name(t, name, &args, want) : aten_none();
    }
    if (n->a->kind == SCRIPT_ATTRIBUTE) {
        aten_value o = ts_expression(t, f, n->a->a);
        if (!evaluate(t, f, n, &args)) return aten_none();
        if (o.kind == ATEN_OBJECT) return ts_method(t, o.v.object, n->a->v.text, &args);
        if (args.n == ATEN_ARGS) return aten_unknown();
        for (uint32_t i = args.n; i > 0; i--) args.v[i] = args.v[i - 1], args.keys[i] = args.keys[i - 1];
        args.v[0] = o; /* x.relu() is relu(x) */
        args.keys[0] = (str){NULL, 0};
        args.n++;
        return o.kind == ATEN_NAME ? aten_unknown() : aten_call(&t->x, n->a->v.text, &args, want);
    }
    v = ts_expression(t, f, n->a);
    if (!evaluate(t, f, n, &args)) return aten_none();
    if (v.kind == ATEN_NAME) return call_name(t, v.v.text, &args, want);
    if (v.kind == ATEN_OBJECT) return ts_method(t, v.v.object, STR("forward"), &args);
    return aten_unknown();
}

aten_value ts_call_node(ts *t, ts_frame *f, const script_node *n, uint32_t want)
{
    if (!ts_enter(t)) return aten_none();
    aten_value v = call_node(t, f, n, want);
    t->depth--;
    return t->x.code ? aten_none() : v;
}
