/* Weights are compared as a multiset of shapes, each as its dims that are not 1 in falling order: frameworks transpose linear layers
 * and put the channels of kernels first or last, and a 1x1 convolution is a linear layer. Vectors (biases, normalisation) say little
 * and are left out. What the file may have otherwise: the classes of the head, the rows of the vocabulary, linear layers that are
 * fused or split (query, key and value), and a few weights more, such as the heads that only training uses. */
#include "load/recognise.h"

#include "base/format.h"
#include "base/map.h"
#include "graph/num.h"
#include "load/builtin.h"

enum { DIMS = 8, FUSED_MOST = 4, EXCHANGED_MOST = 3 };

static const double EXTRA_SHARE = 0.05; /* of all elements: what the file may have, and the model has not */
static const double SIZE_MOST = 2.5;    /* factor between the parameters of file and model that is worth a look */

typedef struct shape_class {
    int64_t d[DIMS]; /* falling; 0 behind the last */
    uint32_t file, zoo, aux;
} shape_class;

typedef struct table {
    map index;
    shape_class *list;
    uint32_t n, cap;
    arena *a;
} table;

static void key_of(int rank, const int64_t *dims, int64_t *d)
{
    int n = 0;
    memset(d, 0, DIMS * sizeof *d);
    for (int i = 0; i < rank && i < DIMS; i++) {
        if (dims[i] <= 1) continue;
        int k = n++;
        for (; k && d[k - 1] < dims[i]; k--) d[k] = d[k - 1];
        d[k] = dims[i];
    }
}

static double elements_of(const int64_t *d)
{
    double n = 1;
    for (int i = 0; i < DIMS && d[i]; i++) n *= (double)d[i];
    return n;
}

static shape_class *class_of(table *t, const int64_t *d)
{
    bool added;
    str key = str_copy(t->a, (str){(const char *)d, DIMS * sizeof *d});
    uint32_t *slot = key.ptr ? map_add(&t->index, key, t->n, &added) : NULL;
    if (!slot) return NULL;
    if (added) {
        if (t->n == t->cap) {
            uint32_t cap = t->cap ? t->cap * 2 : 32;
            shape_class *list = arena_grow(t->a, t->list, t->cap, cap, sizeof *list);
            if (!list) return NULL;
            t->list = list;
            t->cap = cap;
        }
        memset(&t->list[t->n], 0, sizeof *t->list);
        memcpy(t->list[t->n++].d, d, DIMS * sizeof *d);
    }
    return &t->list[*slot];
}

/* Heads that only training uses: Inception's and GoogLeNet's. */
static bool is_auxiliary(str name)
{
    for (size_t i = 0; i + 3 <= name.len; i++)
        if ((name.ptr[i] | 0x20) == 'a' && (name.ptr[i + 1] | 0x20) == 'u' && (name.ptr[i + 2] | 0x20) == 'x')
            return true;
    return false;
}

static bool add_file(table *t, const load_weight *w, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int64_t d[DIMS];
        key_of(w[i].rank, w[i].dims, d);
        if (!d[1] || w[i].buffer || !(dtype_get(w[i].type)->floating || dtype_get(w[i].type)->bits <= 8)) continue;
        shape_class *c = class_of(t, d);
        if (!c) return false;
        c->file++;
        c->aux += is_auxiliary(w[i].name);
    }
    return true;
}

static bool weight_key(const tensor *t, int64_t *d)
{
    int64_t dims[DIMS];
    if (t->role != ROLE_WEIGHT || t->rank < 2 || t->rank > DIMS || t->value || !dtype_get((dtype)t->dtype)->floating)
        return false;
    for (int i = 0; i < t->rank; i++) dims[i] = t->dims[i].v.i;
    key_of(t->rank, dims, d);
    return d[1] != 0;
}

static bool add_zoo(table *t, const graph *g)
{
    for (uint32_t i = 0; i < g->n_tensors; i++) {
        int64_t d[DIMS];
        if (!weight_key(&g->tensors[i], d)) continue;
        shape_class *c = class_of(t, d);
        if (!c) return false;
        c->zoo++;
    }
    return true;
}

static uint32_t left_in_file(const shape_class *c)
{
    return c->file > c->zoo ? c->file - c->zoo : 0;
}
static uint32_t left_in_zoo(const shape_class *c)
{
    return c->zoo > c->file ? c->zoo - c->file : 0;
}

/* Whether `whole` is `parts` matrices of `part` beside each other. */
static bool is_fused(const int64_t *whole, const int64_t *part, int64_t parts)
{
    if (whole[2] || part[2]) return false;
    int64_t a[2] = {part[0] * parts, part[1]}, b[2] = {part[0], part[1] * parts};
    return (whole[0] == a[0] && whole[1] == a[1]) || (whole[0] == b[0] && whole[1] == b[1]) ||
           (whole[0] == b[1] && whole[1] == b[0]);
}

/* Linear layers that one side has fused: they count as matched. */
static void match_fused(table *t)
{
    for (uint32_t i = 0; i < t->n; i++)
        for (uint32_t k = 0; k < t->n; k++)
            for (uint32_t parts = 2; parts <= FUSED_MOST && i != k; parts++) {
                shape_class *whole = &t->list[i], *part = &t->list[k];
                if (part->d[0] > INT32_MAX || !is_fused(whole->d, part->d, parts)) continue;
                uint32_t n = left_in_zoo(whole), m = left_in_file(part) / parts;
                if (m < n) n = m;
                whole->file += n;
                part->file -= n * parts;
                n = left_in_file(whole), m = left_in_zoo(part) / parts;
                if (m < n) n = m;
                whole->file -= n;
                part->file += n * parts;
            }
}

/* A matrix of the model that the file has with another number of classes or rows. */
static bool differs_in_one(const int64_t *zoo, const int64_t *file, int64_t *from, int64_t *to, int64_t *same)
{
    if (zoo[2] || file[2]) return false;
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 2; k++)
            if (zoo[i] == file[k] && zoo[!i] != file[!k]) {
                *same = zoo[i];
                *from = zoo[!i];
                *to = file[!k];
                return true;
            }
    return false;
}

static bool last_matrix(const graph *g, int64_t *d)
{
    for (uint32_t i = g->n_ops; i-- > 0;) {
        const op *o = &g->ops[i];
        for (uint32_t k = 0; k < o->n_in; k++)
            if (op_input(g, o, k) != NO_TENSOR && weight_key(&g->tensors[op_input(g, o, k)], d)) return true;
    }
    return false;
}

static bool first_table(const graph *g, int64_t *d)
{
    for (uint32_t i = 0; i < g->n_ops; i++)
        if (g->ops[i].kind == OP_Gather && op_input(g, &g->ops[i], 0) != NO_TENSOR &&
            weight_key(&g->tensors[op_input(g, &g->ops[i], 0)], d))
            return true;
    return false;
}

static void exchange(table *t, const int64_t *zoo, int64_t *from, int64_t *to, int64_t *same)
{
    shape_class *c = class_of(t, zoo), *best = NULL;
    if (!c || !left_in_zoo(c)) return;
    for (uint32_t i = 0; i < t->n; i++) {
        shape_class *f = &t->list[i];
        int64_t a, b, s;
        if (!left_in_file(f) || !differs_in_one(zoo, f->d, &a, &b, &s)) continue;
        if (best && elements_of(best->d) >= elements_of(f->d)) continue;
        best = f;
        *from = a, *to = b, *same = s;
    }
    if (!best) return;
    uint32_t n = left_in_zoo(c) < left_in_file(best) ? left_in_zoo(c) : left_in_file(best);
    if (n > EXCHANGED_MOST) n = EXCHANGED_MOST;
    c->file += n;
    best->file -= n;
}

typedef struct closeness {
    double same, model_only, file_only; /* elements */
    uint32_t matched, of, extra;
} closeness;

static closeness measure(const table *t)
{
    closeness c = {0};
    for (uint32_t i = 0; i < t->n; i++) {
        const shape_class *s = &t->list[i];
        double n = elements_of(s->d);
        uint32_t both = s->file < s->zoo ? s->file : s->zoo, extra = left_in_file(s), aux = s->aux;
        c.same += n * both;
        c.model_only += n * left_in_zoo(s);
        c.file_only += n * (extra > aux ? extra - aux : 0);
        c.matched += both;
        c.of += s->zoo;
        c.extra += extra;
    }
    return c;
}

/* Memory of the comparison with one model: its graph, and the table of shapes. */
typedef struct attempt {
    arena a;
    graph g;
    table t;
} attempt;

static pg_code begin(attempt *x, const zoo_entry *z, const load_weight *w, size_t count, const graph *g, pg_error *e)
{
    arena_init(&x->a, g->a->alloc, g->a->limit);
    x->t = (table){.a = &x->a};
    map_init(&x->t.index, &x->a);
    pg_code code = graph_init(&x->g, &x->a) ? load_builtin(&x->g, z, NULL, e) : error_nomem(e, &x->a);
    if (!code && !(add_file(&x->t, w, count) && add_zoo(&x->t, &x->g))) code = error_nomem(e, &x->a);
    return code;
}

static closeness compare(attempt *x, recognised *r)
{
    int64_t d[DIMS];
    match_fused(&x->t);
    if (last_matrix(&x->g, d)) exchange(&x->t, d, &r->head_from, &r->head_to, &r->head_features);
    if (first_table(&x->g, d)) exchange(&x->t, d, &r->rows_from, &r->rows_to, &r->rows_features);
    closeness c = measure(&x->t);
    r->matched = c.matched;
    r->of = c.of;
    r->extra = c.extra;
    return c;
}

/* A part of the model that the file lacks is allowed where it is what stands at its end: a backbone without its head. */
static bool close_enough(const closeness *c)
{
    enum { LEAST = 4 };
    double all = c->same + c->model_only;
    return c->matched >= LEAST && c->model_only <= EXTRA_SHARE * all && c->of - c->matched <= 2 &&
           c->file_only <= EXTRA_SHARE * (c->same + c->file_only);
}

pg_code recognise_weights(recognised *out, const load_weight *w, size_t count, const graph *g, pg_error *e)
{
    double elements = load_weight_parameters(w, count), best = 0;
    memset(out, 0, sizeof *out);
    for (size_t i = 0; zoo_at(i); i++) {
        const zoo_entry *z = zoo_at(i);
        double want = (double)z->parameters;
        if (elements > want * SIZE_MOST || want > elements * SIZE_MOST) continue;
        attempt x;
        recognised r = {.entry = z};
        pg_code code = begin(&x, z, w, count, g, e);
        closeness c = {0};
        if (!code) c = compare(&x, &r);
        arena_free(&x.a);
        if (code) return code;
        /* a head of another size makes a model of the published size the better guess */
        double score = c.same / (c.same + c.model_only + c.file_only + 1) - (r.head_to ? 1e-3 : 0) -
                       (r.rows_to ? 1e-3 : 0);
        if (!close_enough(&c) || score < best) continue;
        if (score > best) *out = r;
        else if (!out->other) out->other = z;
        best = score;
    }
    return PG_E_OK;
}

static pg_code say_difference(const attempt *x, const zoo_entry *z, pg_error *e)
{
    for (uint32_t i = 0; i < x->g.n_tensors; i++) {
        const tensor *t = &x->g.tensors[i];
        int64_t d[DIMS];
        char dims[128];
        size_t n = 0;
        const uint32_t *slot = weight_key(t, d) ? map_find(&x->t.index, (str){(const char *)d, sizeof d}) : NULL;
        if (!slot || !left_in_zoo(&x->t.list[*slot])) continue;
        for (int k = 0; k < t->rank && n < sizeof dims; k++)
            n += format_text(dims + n, sizeof dims - n, k ? ", %lld" : "%lld", (long long)t->dims[k].v.i);
        return error_set(e, PG_E_USAGE,
                         "--architecture: %s has '%.*s' of [%s]; the file has %s weight of these dimensions, so it is "
                         "of another model",
                         z->name, STR_ARG(t->name), dims, x->t.list[*slot].file ? "too few" : "no");
    }
    return error_set(e, PG_E_USAGE,
                     "--architecture: the file's weights are not those of %s: too many are of no use to it", z->name);
}

pg_code recognise_named(recognised *out, const zoo_entry *z, const load_weight *w, size_t count, const graph *g,
                        pg_error *e)
{
    attempt x;
    memset(out, 0, sizeof *out);
    out->entry = z;
    pg_code code = begin(&x, z, w, count, g, e);
    if (!code) {
        closeness c = compare(&x, out);
        /* who names a model may know better than weights that lie beside it: only what the model lacks is held against it */
        bool enough = c.model_only <= EXTRA_SHARE * (c.same + c.model_only) && c.matched;
        if (!enough) code = say_difference(&x, z, e);
    }
    arena_free(&x.a);
    return code;
}

/* ---- another head ---- */

static void set_dim(graph *g, uint32_t t, int64_t from, int64_t to)
{
    tensor *x = &g->tensors[t];
    for (int i = x->rank; i-- > 0;)
        if (x->dims[i].v.i == from) {
            x->weight_bytes = x->weight_bytes / (double)from * (double)to;
            x->dims[i] = num_int(to);
            return;
        }
}

/* The vector that is added to what the operator puts out. */
static void set_bias(graph *g, uint32_t at, int64_t from, int64_t to)
{
    const op *o = &g->ops[at];
    uint32_t out = op_out(g, o)[0];
    for (uint32_t i = at; i < g->n_ops; i++) {
        const op *p = &g->ops[i];
        bool reads = i == at;
        for (uint32_t k = 0; k < p->n_in; k++) reads |= op_in(g, p)[k] == out && p->kind == OP_Add;
        for (uint32_t k = 0; reads && k < p->n_in; k++) {
            uint32_t t = op_input(g, p, k);
            if (t != NO_TENSOR && g->tensors[t].role == ROLE_WEIGHT && g->tensors[t].rank == 1) set_dim(g, t, from, to);
        }
    }
}

/* Where what the operator puts out is taken apart, to classes and what there is of each. */
static void set_target(graph *g, uint32_t at, int64_t from, int64_t to)
{
    enum { MOST = 8 };
    uint32_t y = op_out(g, &g->ops[at])[0];
    for (uint32_t i = at + 1, steps = 0; i < g->n_ops && steps < MOST; i++) {
        const op *o = &g->ops[i];
        if (op_input(g, o, 0) != y) continue;
        uint32_t shape = o->kind == OP_Reshape ? op_input(g, o, 1) : NO_TENSOR;
        for (uint32_t k = 0; shape != NO_TENSOR && k < g->tensors[shape].value_count; k++) {
            num *n = &g->tensors[shape].value[k];
            if (num_plain(*n) && n->v.i >= from && n->v.i % from == 0) *n = num_int(n->v.i / from * to);
        }
        if (o->kind != OP_Add && o->kind != OP_Softmax && o->kind != OP_Sigmoid && o->kind != OP_Transpose) return;
        y = op_out(g, o)[0];
        steps++;
    }
}

static void adapt(graph *g, int64_t from, int64_t to, int64_t features)
{
    for (uint32_t i = 0; i < g->n_ops; i++) {
        const op *o = &g->ops[i];
        for (uint32_t k = 0; k < o->n_in; k++) {
            int64_t d[DIMS];
            uint32_t t = op_input(g, o, k);
            if (t == NO_TENSOR || !weight_key(&g->tensors[t], d) || d[2]) continue;
            if (!((d[0] == from && d[1] == features) || (d[1] == from && d[0] == features))) continue;
            set_dim(g, t, from, to);
            set_bias(g, i, from, to);
            set_target(g, i, from, to);
        }
    }
}

void recognise_adapt(graph *g, const recognised *r)
{
    if (r->head_to) adapt(g, r->head_from, r->head_to, r->head_features);
    if (r->rows_to) adapt(g, r->rows_from, r->rows_to, r->rows_features);
}
