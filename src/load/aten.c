#include "load/aten_rows.h"

#include "base/format.h"

static const aten_row *const tables[] = {aten_math_rows, aten_product_rows,   aten_reduce_rows,    aten_conv_rows,
                                         aten_norm_rows, aten_recurrent_rows, aten_attention_rows, aten_image_rows,
                                         aten_view_rows, aten_index_rows,     aten_move_rows,      aten_make_rows,
                                         aten_host_rows};

pg_code aten_nomem(aten *x)
{
    if (!x->code) x->code = error_nomem(x->e, x->a->failed ? x->a : x->g->a);
    return x->code;
}

static bool fill_rows(aten *x)
{
    for (uint32_t t = 0; t < sizeof tables / sizeof tables[0]; t++)
        for (uint32_t i = 0; tables[t][i].name; i++) {
            bool added;
            if (!map_add(&x->rows, str_c(tables[t][i].name), t << 16 | i, &added)) return false;
        }
    return true;
}

bool aten_init(aten *x, graph *g, arena *a, pg_error *e)
{
    memset(x, 0, sizeof *x);
    x->g = g;
    x->a = a;
    x->e = e;
    map_init(&x->rows, a);
    map_init(&x->unknown, a);
    map_init(&x->turned, a);
    x->shapes = shape_walk_new(g, a);
    return x->shapes && fill_rows(x);
}

/* ---- values ---- */

double aten_real(aten_value v)
{
    return v.kind == ATEN_FLOAT ? v.v.f : (double)v.v.n.v.i;
}

bool aten_plain_int(aten_value v, int64_t *out)
{
    if (v.kind != ATEN_INT && v.kind != ATEN_BOOL) return false;
    *out = v.v.n.v.i;
    return true;
}

bool aten_append(aten *x, aten_list *l, aten_value v)
{
    if (l->n == l->cap) {
        uint32_t cap = l->cap ? l->cap * 2 : 4;
        aten_value *list = arena_grow(x->a, l->v, l->cap, cap, sizeof *list);
        if (!list) {
            aten_nomem(x);
            return false;
        }
        l->v = list;
        l->cap = cap;
    }
    l->v[l->n++] = v;
    return true;
}

aten_value aten_new_list(aten *x, aten_kind kind, const aten_value *v, uint32_t n)
{
    aten_list *l = ARENA_NEW(x->a, aten_list);
    if (!l) {
        aten_nomem(x);
        return aten_none();
    }
    for (uint32_t i = 0; i < n; i++)
        if (!aten_append(x, l, v[i])) return aten_none();
    return (aten_value){.kind = (uint8_t)kind, .v.list = l};
}

aten_value aten_tuple_of(aten *x, aten_value first, uint32_t count)
{
    aten_value out = aten_new_list(x, ATEN_TUPLE, &first, 1);
    for (uint32_t i = 1; !x->code && i < count; i++) aten_append(x, out.v.list, aten_none());
    return out;
}

int aten_nums(aten_value v, num *out, int most)
{
    if (v.kind == ATEN_INT || v.kind == ATEN_BOOL) {
        out[0] = v.v.n;
        return 1;
    }
    if ((v.kind != ATEN_LIST && v.kind != ATEN_TUPLE) || v.v.list->sizes || v.v.list->n > (uint32_t)most) return -1;
    for (uint32_t i = 0; i < v.v.list->n; i++) {
        aten_value w = v.v.list->v[i];
        if (w.kind != ATEN_INT && w.kind != ATEN_BOOL && w.kind != ATEN_UNKNOWN && w.kind != ATEN_FLOAT) return -1;
        bool unknown = w.kind == ATEN_UNKNOWN || (w.kind == ATEN_FLOAT && !(fabs(w.v.f) < 9e15));
        out[i] = unknown ? num_unknown() : w.kind == ATEN_FLOAT ? num_int((int64_t)w.v.f) : w.v.n;
    }
    return (int)v.v.list->n;
}

int aten_ints(aten_value v, int64_t *out, int most)
{
    num n[MAX_RANK * 2];
    int count = aten_nums(v, n, most < MAX_RANK * 2 ? most : MAX_RANK * 2);
    for (int i = 0; i < count; i++) {
        if (!num_known(n[i])) return -1;
        out[i] = n[i].v.i;
    }
    return count;
}

/* ---- tensors ---- */

/* Room for what is known of each tensor. */
static bool keep_up(aten *x)
{
    uint32_t n = x->g->n_tensors;
    if (n > x->cap_tensors) {
        uint32_t cap = n * 2 > 256 ? n * 2 : 256;
        x->latest = arena_grow(x->a, x->latest, x->cap_tensors, cap, sizeof *x->latest);
        x->base = arena_grow(x->a, x->base, x->cap_tensors, cap, sizeof *x->base);
        x->origin = arena_grow(x->a, x->origin, x->cap_tensors, cap, sizeof *x->origin);
        x->lift = arena_grow(x->a, x->lift, x->cap_tensors, cap, sizeof *x->lift);
        if (!x->latest || !x->base || !x->origin || !x->lift) {
            aten_nomem(x);
            return false;
        }
        x->cap_tensors = cap;
    }
    for (; x->n_tensors < n; x->n_tensors++) {
        x->latest[x->n_tensors] = x->base[x->n_tensors] = x->n_tensors;
        x->origin[x->n_tensors] = x->lift[x->n_tensors] = 0;
    }
    return true;
}

static bool step(aten *x)
{
    if (x->code || !keep_up(x)) return false;
    x->code = shape_walk_step(x->shapes, x->e);
    return !x->code;
}

const tensor_shape *aten_shape(const aten *x, uint32_t t)
{
    return shape_walk_at(x->shapes, t);
}

static uint32_t now(const aten *x, uint32_t t)
{
    for (int i = 0; t < x->n_tensors && x->latest[t] != t && i < 1 << 16; i++) t = x->latest[t];
    return t;
}

uint32_t aten_constant(aten *x, int rank, const num *v, uint32_t n)
{
    int64_t dim = n;
    if (x->code) return NO_TENSOR;
    uint32_t t = graph_add_weight(x->g, STR("constant"), DT_INT64, rank, &dim);
    num *copy = ARENA_ARRAY(x->g->a, num, n);
    if (t == NO_TENSOR || !copy) {
        aten_nomem(x);
        return NO_TENSOR;
    }
    bool known = true;
    for (uint32_t i = 0; i < n; i++) {
        copy[i] = shape_walk_declared(x->shapes, v[i]);
        known &= num_known(copy[i]);
    }
    x->g->tensors[t].literal = true;
    x->g->tensors[t].weight_bytes = 0; /* the file holds it in its text */
    x->g->tensors[t].value = known ? copy : NULL;
    x->g->tensors[t].value_count = known ? n : 0;
    return step(x) ? t : NO_TENSOR;
}

uint32_t aten_scalar(aten *x, dtype d, double f)
{
    if (x->code) return NO_TENSOR;
    uint32_t t = graph_add_weight(x->g, STR("constant"), d, 0, NULL);
    num *v = ARENA_NEW(x->g->a, num);
    if (t == NO_TENSOR || !v) {
        aten_nomem(x);
        return NO_TENSOR;
    }
    *v = dtype_get(d)->floating ? (num){{.f = f}, 0, SYM_NONE} : num_int(fabs(f) < 9e18 ? (int64_t)f : 0);
    x->g->tensors[t].literal = true;
    x->g->tensors[t].weight_bytes = 0;
    x->g->tensors[t].value = v;
    x->g->tensors[t].value_count = 1;
    return step(x) ? t : NO_TENSOR;
}

uint32_t aten_operand(aten *x, aten_value v, uint32_t like)
{
    if (v.kind == ATEN_TENSOR) return now(x, v.v.tensor);
    dtype d = like < x->n_tensors ? (dtype)aten_shape(x, like)->dtype : DT_UNKNOWN;
    if (v.kind == ATEN_FLOAT) return aten_scalar(x, dtype_get(d)->floating ? d : DT_FP32, v.v.f);
    if (v.kind == ATEN_BOOL && d == DT_UNKNOWN) return aten_scalar(x, DT_BOOL, (double)v.v.n.v.i);
    if (v.kind == ATEN_INT && (d == DT_UNKNOWN || d == DT_INT64)) return aten_constant(x, 0, &v.v.n, 1);
    if (v.kind == ATEN_INT || v.kind == ATEN_BOOL) return aten_scalar(x, d, (double)v.v.n.v.i);
    if (v.kind != ATEN_UNKNOWN) return NO_TENSOR;
    num n = num_unknown();
    return aten_constant(x, 0, &n, 1);
}

/* ---- operators ---- */

static str name_op(aten *x, op_kind kind)
{
    char text[200];
    size_t n = format_text(text, sizeof text, "%.*s%s%s_%u", STR_ARG(x->scope), x->scope.len ? "." : "",
                           op_kind_name(kind), x->g->n_ops);
    return str_copy(x->g->a, (str){text, n < sizeof text ? n : sizeof text - 1});
}

uint32_t aten_begin(aten *x, op_kind kind, const uint32_t *in, uint32_t n_in, uint32_t n_out)
{
    enum { OUTPUTS_MOST = 4096 };
    uint32_t few[16], *out = few;
    if (x->code) return NO_TENSOR;
    if (x->g->n_ops >= ATEN_OPS_MOST || n_out > OUTPUTS_MOST) {
        x->code = error_set(x->e, PG_E_LIMIT,
                            "the model has more than %d operators once it is unrolled; the file is not a sane model",
                            ATEN_OPS_MOST);
        return NO_TENSOR;
    }
    if (n_out > 16) out = ARENA_ARRAY(x->a, uint32_t, n_out);
    str name = name_op(x, kind);
    bool ok = out && name.ptr;
    for (uint32_t i = 0; ok && i < n_out; i++) {
        out[i] = graph_add_tensor(x->g, name, DT_UNKNOWN);
        ok = out[i] != NO_TENSOR;
        if (ok) x->g->tensors[out[i]].defined = true;
    }
    uint32_t o = ok ? graph_add_op(x->g, 0, kind, name, in, n_in, out, n_out) : NO_TENSOR;
    if (o == NO_TENSOR) aten_nomem(x);
    else if (x->own_code) x->g->ops[o].flags |= OPF_OWN_CODE;
    return o;
}

void aten_attr(aten *x, attr_key key, int64_t v)
{
    if (!x->code && !graph_attr_int(x->g, key, v)) aten_nomem(x);
}
void aten_attr_list(aten *x, attr_key key, const int64_t *v, uint32_t n)
{
    if (!x->code && !graph_attr_ints(x->g, key, v, n)) aten_nomem(x);
}
void aten_attr_text(aten *x, attr_key key, const char *v)
{
    if (!x->code && !graph_attr_string(x->g, key, str_c(v))) aten_nomem(x);
}
void aten_attr_real(aten *x, attr_key key, double v)
{
    if (!x->code && !graph_attr_float(x->g, key, v)) aten_nomem(x);
}

uint32_t aten_output(const aten *x, uint32_t i)
{
    if (x->code || !x->g->n_ops) return NO_TENSOR;
    const op *o = &x->g->ops[x->g->n_ops - 1];
    return i < o->n_out ? op_out(x->g, o)[i] : NO_TENSOR;
}

aten_value aten_end(aten *x)
{
    return step(x) ? aten_tensor(aten_output(x, 0)) : aten_none();
}

uint32_t aten_emit1(aten *x, op_kind kind, uint32_t a)
{
    aten_begin(x, kind, &a, 1, 1);
    aten_value v = aten_end(x);
    return v.kind == ATEN_TENSOR ? v.v.tensor : NO_TENSOR;
}

uint32_t aten_emit2(aten *x, op_kind kind, uint32_t a, uint32_t b)
{
    uint32_t in[2] = {a, b};
    aten_begin(x, kind, in, 2, 1);
    aten_value v = aten_end(x);
    return v.kind == ATEN_TENSOR ? v.v.tensor : NO_TENSOR;
}

static bool keep_pair(aten *x, uint32_t from, uint32_t to)
{
    if (x->n_pairs == x->cap_pairs) {
        uint32_t cap = x->cap_pairs ? x->cap_pairs * 2 : 16;
        uint32_t *list = arena_grow(x->a, x->pairs, 2 * (size_t)x->cap_pairs, 2 * (size_t)cap, sizeof *list);
        if (!list) return false;
        x->pairs = list;
        x->cap_pairs = cap;
    }
    x->pairs[2 * x->n_pairs] = from;
    x->pairs[2 * x->n_pairs++ + 1] = to;
    return true;
}

void aten_finish(aten *x)
{
    graph *g = x->g;
    uint8_t *used = ARENA_ARRAY(x->a, uint8_t, g->n_tensors);
    if (x->code) return;
    if (!used) {
        aten_nomem(x);
        return;
    }
    for (uint32_t i = 0; i < g->n_ops; i++)
        for (uint32_t k = 0; k < g->ops[i].n_in; k++)
            if (op_in(g, &g->ops[i])[k] != NO_TENSOR) used[op_in(g, &g->ops[i])[k]] = 1;
    for (uint32_t i = 0; i < x->n_pairs; i++) {
        tensor *turned = &g->tensors[x->pairs[2 * i + 1]];
        if (!used[x->pairs[2 * i]]) continue;
        turned->buffer = true;
        turned->weight_bytes = 0;
    }
}

uint32_t aten_turned(aten *x, uint32_t w)
{
    const tensor *t = &x->g->tensors[w];
    if (x->code) return NO_TENSOR;
    if (t->role != ROLE_WEIGHT || t->rank != 2 || t->literal) return aten_transpose(x, w, (const int64_t[]){1, 0}, 2);
    char key[24];
    bool added;
    str k = str_copy(x->a, (str){key, format_text(key, sizeof key, "%u", w)});
    uint32_t *slot = k.ptr ? map_add(&x->turned, k, NO_TENSOR, &added) : NULL;
    if (!slot) {
        aten_nomem(x);
        return NO_TENSOR;
    }
    if (!added) return *slot;
    *slot = graph_add_weight(x->g, t->name, (dtype)t->dtype, 2, (int64_t[]){t->dims[1].v.i, t->dims[0].v.i});
    if (*slot == NO_TENSOR) aten_nomem(x);
    else if (!keep_pair(x, w, *slot)) aten_nomem(x);
    else {
        x->g->tensors[*slot].weight_bytes = x->g->tensors[w].weight_bytes;
        x->g->tensors[*slot].buffer = x->g->tensors[w].buffer;
    }
    return step(x) ? *slot : NO_TENSOR;
}

aten_value aten_view(aten *x, aten_value v, uint32_t of)
{
    if (v.kind == ATEN_TENSOR && v.v.tensor < x->n_tensors && of < x->n_tensors && v.v.tensor != of)
        x->base[v.v.tensor] = of;
    return v;
}

/* What an in-place operator made takes the tensor's place, and is written into what that is a view of. */
static void replace(aten *x, uint32_t old, uint32_t made)
{
    enum { VIEWS = 32 };
    for (int i = 0; !x->code && i < VIEWS && old < x->n_tensors && made < x->n_tensors && old != made; i++) {
        x->latest[old] = made;
        uint32_t base = x->base[old];
        if (base == old) return;
        base = now(x, base);
        if (base == made) return;
        made = aten_emit2(x, OP_Identity, base, made); /* what is written is costed where it was made */
        old = base;
    }
}

/* ---- hints ---- */

static aten_hint *hint_of(aten *x, uint32_t t)
{
    if (t >= x->n_tensors || !x->origin[t]) return NULL;
    return &x->hints[x->origin[t] - 1];
}

void aten_hint_dims(aten *x, uint32_t t, int rank, int axis, int64_t size)
{
    aten_hint *h = x->guessing ? hint_of(x, t) : NULL;
    if (!h) return;
    rank += x->lift[t];
    if (axis >= 0) axis += x->lift[t]; /* the dims that went stood in front */
    if (rank < 1 || rank > 8) return;
    if (!h->rank) h->rank = rank;
    if (h->rank == rank && axis >= 0 && axis < rank && h->dims[axis] == 0) h->dims[axis] = size;
}

void aten_hint_tokens(aten *x, uint32_t t)
{
    aten_hint *h = x->guessing ? hint_of(x, t) : NULL;
    if (!h) return;
    if (!h->rank) h->rank = 2;
    h->tokens = true;
}

void aten_hint_steps(aten *x, uint32_t t)
{
    aten_hint *h = x->guessing ? hint_of(x, t) : NULL;
    if (h) h->steps_first = true;
}

bool aten_set_origin(aten *x, uint32_t t, uint32_t hint)
{
    if (!step(x)) return false;
    x->origin[t] = (uint16_t)(hint + 1);
    return true;
}

void aten_keep_origin(aten *x, uint32_t from, uint32_t to)
{
    if (!x->guessing || from >= x->n_tensors || to >= x->n_tensors) return;
    x->origin[to] = x->origin[from];
    x->lift[to] = x->lift[from];
}

void aten_pass_origin(aten *x, uint32_t from, uint32_t to)
{
    if (!x->guessing || from >= x->n_tensors || to >= x->n_tensors || x->lift[from] >= 4) return;
    x->origin[to] = x->origin[from];
    x->lift[to] = (uint8_t)(x->lift[from] + 1);
}

/* A number that was compared with is known from then on. */
static aten_value settled(const aten *x, aten_value v)
{
    if (v.kind != ATEN_UNKNOWN || v.of != ATEN_OF_SCALAR || !x->hints[v.input].bound) return v;
    return aten_int(num_int(x->hints[v.input].dims[0]));
}

/* ---- calls ---- */

static const aten_row *find_row(const aten *x, str name)
{
    const uint32_t *at = map_find(&x->rows, name);
    return at ? &tables[*at >> 16][*at & 0xffff] : NULL;
}

/* "add_" works in place, "__and__" does not. */
static bool in_place(str name)
{
    return name.len > 1 && name.ptr[name.len - 1] == '_' && name.ptr[name.len - 2] != '_';
}

static const aten_row *row_of(const aten *x, str name)
{
    const aten_row *r = find_row(x, name);
    if (!r && in_place(name)) r = find_row(x, (str){name.ptr, name.len - 1});
    if (!r && str_ends(name, "_copy")) r = find_row(x, (str){name.ptr, name.len - 5}); /* of functional programs */
    return r;
}

bool aten_known(aten *x, str name)
{
    return row_of(x, name) != NULL;
}

/* What schemas have behind the star, and so never by its place. */
static bool keyword_only(str key)
{
    static const char *const keys[] = {"dtype",         "layout",    "device",      "pin_memory",
                                       "memory_format", "generator", "non_blocking"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (str_is(key, keys[i])) return true;
    return false;
}

/* Arguments in the order of the row. Where the row doesn't know a name, the place among the arguments counts. */
static uint32_t sort_args(const aten_row *row, const aten_args *args, aten_value *out)
{
    uint32_t n = 0, at = 0;
    for (uint32_t i = 0; i < ATEN_ARGS; i++) out[i] = aten_none();
    for (uint32_t i = 0; i < args->n; i++) {
        if (!args->keys[i].len) {
            out[at++] = args->v[i];
            if (at > n) n = at;
            continue;
        }
        uint32_t k = 0;
        const char *p = row->args;
        for (; *p && k < ATEN_ARGS; k++) {
            size_t len = strcspn(p, " ");
            if (str_eq(args->keys[i], (str){p, len})) break;
            p += len + (p[len] == ' ');
        }
        if (!*p && (i != at || keyword_only(args->keys[i]))) continue;
        if (!*p) k = at;
        if (k == at) at++;
        out[k] = args->v[i];
        if (k + 1 > n) n = k + 1;
    }
    return n;
}

/* One warning for each name. */
static void warn_unknown(aten *x, str name)
{
    enum { MOST = 16 };
    bool added;
    str copy = str_copy(x->a, name);
    if (!copy.ptr || !map_add(&x->unknown, copy, 0, &added)) {
        aten_nomem(x);
        return;
    }
    if (!added || x->unknown.count > MOST || x->guessing) return;
    if (!graph_warn(x->g, "unknown operator 'aten::%.*s': costed by its memory traffic only", STR_ARG(name)))
        aten_nomem(x);
}

static void collect(aten *x, aten_value v, uint32_t *in, uint32_t *n, int depth)
{
    enum { INPUTS_MOST = 64, DEPTH = 8 };
    if (v.kind == ATEN_TENSOR && *n < INPUTS_MOST) in[(*n)++] = aten_operand(x, v, NO_TENSOR);
    for (uint32_t i = 0; depth < DEPTH && (v.kind == ATEN_LIST || v.kind == ATEN_TUPLE) && i < v.v.list->n; i++)
        collect(x, v.v.list->v[i], in, n, depth + 1);
}

static aten_value unknown_op(aten *x, str name, const aten_args *args, uint32_t want)
{
    enum { INPUTS_MOST = 64 };
    uint32_t in[INPUTS_MOST], n = 0;
    if (x->code) return aten_none();
    for (uint32_t i = 0; i < args->n; i++) collect(x, args->v[i], in, &n, 0);
    if (!n) return aten_unknown(); /* of numbers alone: nothing that a GPU runs */
    warn_unknown(x, name);
    uint32_t o = aten_begin(x, OP_Unknown, in, n, want ? want : 1);
    if (o != NO_TENSOR) {
        x->g->ops[o].type = str_copy(x->g->a, name);
        if (!x->g->ops[o].type.ptr) aten_nomem(x);
    }
    for (uint32_t i = 0; !x->code && i < x->n_declared && i < (want ? want : 1); i++) {
        const aten_declared *d = &x->declared[i];
        x->g->tensors[aten_output(x, i)].dtype = (uint8_t)d->type;
        if (d->rank >= 0 && !graph_set_dims(x->g, aten_output(x, i), d->rank, d->dims)) aten_nomem(x);
    }
    aten_value first = aten_end(x);
    if (want <= 1) return first;
    aten_value list = aten_new_list(x, ATEN_TUPLE, NULL, 0);
    for (uint32_t i = 0; !x->code && i < want; i++) aten_append(x, list.v.list, aten_tensor(aten_output(x, i)));
    return list;
}

/* An elementwise result of an input stands for that input in what it tells. */
static void inherit(aten *x, const aten_value *arg, uint32_t n, aten_value out)
{
    if (!x->guessing || out.kind != ATEN_TENSOR || out.v.tensor >= x->n_tensors || !x->g->n_ops) return;
    const op *o = &x->g->ops[x->g->n_ops - 1];
    bool same = o->n_out && op_out(x->g, o)[0] == out.v.tensor &&
                (o->kind < OP_MatMul || o->kind == OP_BatchNormalization || o->kind == OP_LayerNormalization);
    for (uint32_t i = 0; same && i < n; i++)
        if (arg[i].kind == ATEN_TENSOR && x->origin[now(x, arg[i].v.tensor)] && !x->origin[out.v.tensor]) {
            x->origin[out.v.tensor] = x->origin[now(x, arg[i].v.tensor)];
            x->lift[out.v.tensor] = x->lift[now(x, arg[i].v.tensor)];
        }
}

aten_value aten_call(aten *x, str name, const aten_args *args, uint32_t want)
{
    aten_value arg[ATEN_ARGS];
    if (x->code || !step(x)) return aten_none();
    const aten_row *row = row_of(x, name);
    if (!row) return unknown_op(x, name, args, want);
    uint32_t n = sort_args(row, args, arg);
    for (uint32_t i = 0; i < n; i++) arg[i] = settled(x, arg[i]);
    aten_value first = arg[0];
    uint32_t old = first.kind == ATEN_TENSOR ? now(x, first.v.tensor) : NO_TENSOR;
    aten_value out = row->fn(x, row, arg, n);
    if (x->code) return aten_none();
    inherit(x, arg, n, out);
    if (in_place(name) && old != NO_TENSOR && out.kind == ATEN_TENSOR) replace(x, old, out.v.tensor);
    return out;
}
