/* Modules, tensors and constants of an archive as values, and the classes and functions of its source. */
#include "load/torchscript.h"

/* ---- source ---- */

static ts_source *load_source(ts_sources *s, str path)
{
    bool added;
    uint32_t *slot = map_find(&s->index, path);
    if (slot) return &s->list[*slot];
    str key = str_copy(s->f->g->a, path);
    slot = key.ptr ? map_add(&s->index, key, s->n, &added) : NULL;
    if (slot && s->n == s->cap) {
        uint32_t cap = s->cap ? s->cap * 2 : 32;
        ts_source *list = arena_grow(s->f->g->a, s->list, s->cap, cap, sizeof *list);
        if (!list) return NULL;
        s->list = list;
        s->cap = cap;
    }
    if (!slot) return NULL;
    ts_source *src = &s->list[s->n++];
    memset(src, 0, sizeof *src);
    const zip_entry *entry = torch_entry(s->f, key);
    span text;
    enum { SOURCE_MOST = 64 << 20 };
    src->error = ARENA_NEW(s->f->g->a, pg_error);
    if (!src->error) return NULL;
    *src->error = (pg_error)PG_ERROR_INIT;
    src->code = entry ? zip_read(&s->f->z, entry, SOURCE_MOST, s->f->g->a, &text, src->error) : PG_E_NOT_FOUND;
    if (entry && !src->code) src->code = script_parse(text, s->f->g->a, &src->body, src->error);
    if (entry && src->code) error_path(src->error, "%s", key.ptr);
    return src;
}

const script_node *ts_find(ts *t, str qualified)
{
    char path[512];
    size_t n = 5, dot = qualified.len;
    while (dot && qualified.ptr[dot - 1] != '.') dot--;
    if (!dot || dot + 16 > sizeof path) return NULL;
    memcpy(path, "code/", 5);
    for (size_t i = 0; i + 1 < dot; i++) path[n++] = qualified.ptr[i] == '.' ? '/' : qualified.ptr[i];
    memcpy(path + n, ".py", 3);
    ts_source *s = load_source(t->sources, (str){path, n + 3});
    if (!s || (s->code && s->code != PG_E_NOT_FOUND)) {
        if (s && !error_is_set(t->f->e)) *t->f->e = *s->error;
        t->x.code = s ? s->code : error_nomem(t->f->e, t->f->g->a);
        return NULL;
    }
    str name = {qualified.ptr + dot, qualified.len - dot};
    for (uint32_t i = 0; i < s->body.n; i++) {
        const script_node *d = s->body.v[i];
        if ((d->kind == SCRIPT_CLASS || d->kind == SCRIPT_DEF) && str_eq(d->v.text, name)) return d;
    }
    return NULL;
}

/* The definition, or the declaration with a value, of this name in a class; the last one counts. */
const script_node *ts_member(const script_node *type, str name, script_kind kind)
{
    for (uint32_t i = type ? type->items.n : 0; i-- > 0;) {
        const script_node *d = type->items.v[i];
        if (d->kind != kind) continue;
        if (kind == SCRIPT_DEF && str_eq(d->v.text, name)) return d;
        if (kind == SCRIPT_ASSIGN && d->items.n == 1 && d->items.v[0]->kind == SCRIPT_NAME &&
            str_eq(d->items.v[0]->v.text, name))
            return d;
    }
    return NULL;
}

/* ---- objects ---- */

ts_object *ts_new_object(ts *t, str class_name, str path)
{
    ts_object *o = ARENA_NEW(t->x.a, ts_object);
    if (!o) {
        aten_nomem(&t->x);
        return NULL;
    }
    o->class_name = class_name;
    o->path = path;
    map_init(&o->names, t->x.a);
    const script_node *d = ts_find(t, class_name);
    o->type = d && d->kind == SCRIPT_CLASS ? d : NULL;
    return o;
}

void ts_set(ts *t, ts_object *o, str name, aten_value v)
{
    bool added;
    uint32_t *slot = map_add(&o->names, name, o->n, &added);
    if (!slot) {
        aten_nomem(&t->x);
        return;
    }
    if (added) {
        if (o->n == o->cap) {
            uint32_t cap = o->cap ? o->cap * 2 : 8;
            aten_value *list = arena_grow(t->x.a, o->values, o->cap, cap, sizeof *list);
            if (!list) {
                aten_nomem(&t->x);
                return;
            }
            o->values = list;
            o->cap = cap;
        }
        o->n++;
    }
    o->values[*slot] = v;
}

static str join(ts *t, str path, str name)
{
    char text[400];
    size_t n = format_text(text, sizeof text, "%.*s%s%.*s", STR_ARG(path), path.len ? "." : "", STR_ARG(name));
    str s = str_copy(t->f->g->a, (str){text, n < sizeof text ? n : sizeof text - 1});
    if (!s.ptr) aten_nomem(&t->x);
    return s;
}

static bool lists_name(const script_node *type, const char *list, str name)
{
    const script_node *d = ts_member(type, str_c(list), SCRIPT_ASSIGN);
    for (uint32_t i = 0; d && d->a && d->a->kind == SCRIPT_LIST && i < d->a->items.n; i++)
        if (d->a->items.v[i]->kind == SCRIPT_TEXT && str_eq(d->a->items.v[i]->v.text, name)) return true;
    return false;
}

/* Attributes come from data.pkl when they are first asked for, else from the class's constants. */
bool ts_get(ts *t, ts_object *o, str name, aten_value *out)
{
    const uint32_t *slot = map_find(&o->names, name);
    if (slot) {
        *out = o->values[*slot];
        return true;
    }
    const pickle_value *state = o->state, *found = NULL;
    for (uint32_t i = 0; state && state->kind == PICKLE_DICT && i + 1 < state->n && !found; i += 2)
        if (state->items[i]->kind == PICKLE_TEXT && str_eq(state->items[i]->v.text, name)) found = state->items[i + 1];
    if (found) {
        uint32_t before = t->x.g->n_tensors;
        *out = ts_value(t, found, join(t, o->path, name), 0);
        if (out->kind == ATEN_TENSOR && t->x.g->n_tensors > before && !lists_name(o->type, "__parameters__", name))
            t->x.g->tensors[out->v.tensor].buffer = true;
        if (!t->x.code) ts_set(t, o, name, *out);
        return !t->x.code;
    }
    const script_node *d = ts_member(o->type, name, SCRIPT_ASSIGN);
    if (!d || !d->a || ts_member(o->type, name, SCRIPT_DEF)) return false;
    ts_frame empty = {0};
    map_init(&empty.names, t->x.a);
    *out = ts_expression(t, &empty, d->a);
    return true;
}

/* ---- pickled values ---- */

/* The contents of small constants: sizes, indices, scalars. */
static void read_small(ts *t, uint32_t index, const torch_tensor *v, const char *folder)
{
    enum { MOST = 64 };
    int64_t n = 1, stride = 1;
    span data;
    tensor *x = &t->x.g->tensors[index];
    unsigned bytes = (unsigned)dtype_bytes(v->type);
    bool whole = v->type == DT_INT64 || v->type == DT_INT32 || v->type == DT_BOOL;
    for (int i = v->rank; i-- > 0; n *= v->dims[i]) {
        if (v->dims[i] > MOST || n > MOST || (v->dims[i] > 1 && v->strides[i] != stride)) return;
        stride *= v->dims[i];
    }
    if (n < 1 || n > MOST || (!whole && (n != 1 || (v->type != DT_FP32 && v->type != DT_FP64)))) return;
    if (torch_storage(t->f, folder, v->key, &data) || !data.ptr) return;
    uint64_t at = (uint64_t)v->offset * bytes;
    if (at > data.len || data.len - at < (uint64_t)n * bytes || data.ptr == t->f->z.file.ptr) return;
    num *list = ARENA_ARRAY(t->x.g->a, num, (size_t)n);
    if (!list) {
        aten_nomem(&t->x);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        const uint8_t *p = data.ptr + at + (uint64_t)i * bytes;
        uint64_t u = 0;
        float f;
        double d;
        for (unsigned k = bytes; k-- > 0;) u = u << 8 | p[k];
        memcpy(&f, p, v->type == DT_FP32 ? sizeof f : 0);
        memcpy(&d, p, v->type == DT_FP64 ? sizeof d : 0);
        if (v->type == DT_FP32) list[i] = (num){{.f = (double)f}, 0, SYM_NONE};
        else if (v->type == DT_FP64) list[i] = (num){{.f = d}, 0, SYM_NONE};
        else list[i] = num_int(bytes == 4 ? (int64_t)(int32_t)(uint32_t)u : (int64_t)u);
    }
    x->value = list;
    x->value_count = (uint32_t)n;
}

static aten_value add_tensor(ts *t, const torch_tensor *v, str path)
{
    char text[256];
    bool added = true, constant = str_starts(path, "CONSTANTS");
    size_t n = format_text(text, sizeof text, "%d:%.*s:%lld", constant, STR_ARG(v->key), (long long)v->offset);
    for (int i = 0; i < v->rank && n < sizeof text; i++)
        n += format_text(text + n, sizeof text - n, ":%lld", (long long)v->dims[i]);
    str key = str_copy(t->x.a, (str){text, n < sizeof text ? n : sizeof text - 1});
    uint32_t *slot = key.ptr ? map_add(&t->tensors, key, NO_TENSOR, &added) : NULL;
    if (!slot) {
        aten_nomem(&t->x);
        return aten_none();
    }
    if (!added && v->storage >= 0) return aten_tensor(*slot);
    if (!torch_view_fits(v)) {
        t->x.code = error_set(t->f->e, PG_E_FORMAT,
                              "tensor '%.*s' is larger than the storage of %lld elements behind it", STR_ARG(path),
                              (long long)v->storage);
        return aten_none();
    }
    uint32_t w = graph_add_weight(t->x.g, path, v->type, v->rank, v->dims);
    if (w == NO_TENSOR) {
        aten_nomem(&t->x);
        return aten_none();
    }
    *slot = w;
    t->x.g->tensors[w].literal = constant &&
                                 (!v->rank || !dtype_get(v->type)->floating); /* frozen modules have weights there */
    read_small(t, w, v, constant ? "constants" : "data");
    return aten_tensor(w);
}

static aten_value list_of(ts *t, const pickle_value *v, aten_kind kind, str path, int depth)
{
    aten_value out = aten_new_list(&t->x, kind, NULL, 0);
    for (uint32_t i = 0; !t->x.code && i < v->n; i++)
        aten_append(&t->x, out.v.list, ts_value(t, v->items[i], path, depth + 1));
    return out;
}

static ts_object *object_of(ts *t, const pickle_value *v, str path)
{
    char key[24];
    bool added;
    str k = str_copy(t->x.a, (str){key, format_text(key, sizeof key, "%llx", (unsigned long long)(uintptr_t)v)});
    uint32_t *slot = k.ptr ? map_add(&t->objects, k, t->n_objects, &added) : NULL;
    if (!slot) {
        aten_nomem(&t->x);
        return NULL;
    }
    if (!added) return t->object_list[*slot];
    if (t->n_objects == t->cap_objects) {
        uint32_t cap = t->cap_objects ? t->cap_objects * 2 : 32;
        ts_object **list = arena_grow(t->x.a, t->object_list, t->cap_objects, cap, sizeof(ts_object *));
        if (!list) {
            aten_nomem(&t->x);
            return NULL;
        }
        t->object_list = list;
        t->cap_objects = cap;
    }
    ts_object *o = ts_new_object(t, v->v.object.of->v.text, path);
    if (!o) return NULL;
    o->state = v->state;
    t->object_list[t->n_objects++] = o;
    if (v->state && v->state->kind != PICKLE_DICT && ts_member(o->type, STR("__setstate__"), SCRIPT_DEF)) {
        /* modules that pack their weights keep them in a form of their own, and a method that unpacks it */
        aten_args args = {.n = 1};
        args.v[0] = ts_value(t, v->state, path, 0);
        ts_method(t, o, STR("__setstate__"), &args);
    }
    return t->x.code ? NULL : o;
}

static aten_value object_value(ts *t, const pickle_value *v, str path, int depth)
{
    torch_tensor view;
    if (torch_tensor_of(v, &view)) return add_tensor(t, &view, path);
    if (v->v.object.of->kind != PICKLE_GLOBAL) return aten_unknown();
    str of = v->v.object.of->v.text;
    if (str_starts(of, "__torch__.torch.classes.") && v->state) /* made of C++: what it was packed from */
        return ts_value(t, v->state, path, depth + 1);
    if (str_starts(of, "__torch__.")) {
        ts_object *o = object_of(t, v, path);
        return o ? (aten_value){.kind = ATEN_OBJECT, .v.object = o} : aten_none();
    }
    if (str_starts(of, "torch.jit._pickle.")) {
        const pickle_value *inner = pickle_arg(v, 0);
        return inner ? ts_value(t, inner, path, depth + 1) : aten_unknown();
    }
    if (v->pairs) return list_of(t, v, ATEN_DICT, path, depth);
    return aten_unknown();
}

aten_value ts_value(ts *t, const pickle_value *v, str path, int depth)
{
    if (t->x.code) return aten_none();
    if (depth > TORCH_DEPTH || ++t->steps > TS_STEPS) {
        ts_fail(t, PG_E_LIMIT, "its attributes are nested too deeply or refer to each other too often");
        return aten_none();
    }
    switch (v->kind) {
    case PICKLE_NONE: return aten_none();
    case PICKLE_BOOL: return aten_bool(v->v.i != 0);
    case PICKLE_INT: return aten_int(num_int(v->v.i));
    case PICKLE_FLOAT: return aten_float(v->v.f);
    case PICKLE_TEXT: return (aten_value){.kind = ATEN_TEXT, .v.text = v->v.text};
    case PICKLE_TUPLE: return list_of(t, v, ATEN_TUPLE, path, depth);
    case PICKLE_LIST: return list_of(t, v, ATEN_LIST, path, depth);
    case PICKLE_DICT: return list_of(t, v, ATEN_DICT, path, depth);
    case PICKLE_OBJECT: return object_value(t, v, path, depth);
    default: return aten_unknown();
    }
}
