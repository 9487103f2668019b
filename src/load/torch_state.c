/* State dicts, checkpoints and pickled modules: weights by name, without a graph. */
#include "base/number.h"
#include "load/torch_internal.h"

enum { NAME_MOST = 512 };

typedef struct walker {
    torch_file *f;
    load_weight *list;
    size_t n, cap;
    map seen;     /* what tensors share: storage, place and dims */
    map storages; /* to how many of its elements are not counted yet */
    double *left;
    uint32_t n_left, cap_left;
    double legacy; /* bytes of all storages */
    uint32_t steps;
    size_t shared;
    char name[NAME_MOST];
    size_t len;
} walker;

/* What is counted of a part that is not the model. */
typedef struct tally {
    size_t tensors;
    double elements;
    uint32_t steps;
} tally;

static pg_code nomem(torch_file *f)
{
    return error_nomem(f->e, f->g->a);
}

/* ---- one tensor ---- */

/* Tied weights are one: the same place in the same storage with the same dims. So are views of what is counted already, which
 * together would be more than the storage holds. */
static pg_code is_shared(walker *w, const torch_tensor *t, bool *shared)
{
    bool added;
    char text[256];
    double n_elements = 1;
    *shared = false;
    if (t->storage < 0) return PG_E_OK;
    size_t n = format_text(text, sizeof text, "%.*s:%lld", STR_ARG(t->key), (long long)t->offset);
    for (int i = 0; i < t->rank; i++) {
        n_elements *= (double)t->dims[i];
        if (n < sizeof text) n += format_text(text + n, sizeof text - n, ":%lld", (long long)t->dims[i]);
    }
    str key = str_copy(w->f->g->a, (str){text, n < sizeof text ? n : sizeof text - 1});
    if (!key.ptr || !map_add(&w->seen, key, 0, &added)) return nomem(w->f);
    const uint32_t *slot = map_find(&w->storages, t->key);
    double *left = slot ? &w->left[*slot] : NULL;
    *shared = !added || (left && n_elements > *left);
    if (!*shared && left) *left -= n_elements;
    return PG_E_OK;
}

/* Remembers a storage; *first: it wasn't met before. */
static pg_code note_storage(walker *w, const torch_tensor *t, bool *first)
{
    if (!map_add(&w->storages, t->key, w->n_left, first)) return nomem(w->f);
    if (!*first) return PG_E_OK;
    if (w->n_left == w->cap_left) {
        uint32_t cap = w->cap_left ? w->cap_left * 2 : 64;
        double *list = arena_grow(w->f->g->a, w->left, w->cap_left, cap, sizeof *list);
        if (!list) return nomem(w->f);
        w->left = list;
        w->cap_left = cap;
    }
    w->left[w->n_left++] = (double)t->storage * dtype_bytes(t->storage_type) / dtype_bytes(t->type);
    return PG_E_OK;
}

static pg_code check_storage(walker *w, const torch_tensor *t)
{
    bool added = true;
    double bytes = (double)t->storage * dtype_bytes(t->storage_type);
    if (!torch_view_fits(t))
        return error_set(w->f->e, PG_E_FORMAT, "tensor '%.200s' is larger than the storage of %lld elements behind it",
                         w->name, (long long)t->storage);
    if (t->storage < 0) return PG_E_OK;
    pg_code code = note_storage(w, t, &added);
    if (code || !added) return code;
    if (!w->f->z.count) {
        w->legacy += bytes + 8;
        return PG_E_OK;
    }
    span data;
    code = torch_storage(w->f, "data", t->key, &data);
    if (code || !data.ptr) return code; /* weights that were left out */
    if ((double)data.len < bytes)
        return error_set(w->f->e, PG_E_TRUNCATED, "the storage of tensor '%.200s' has %zu bytes instead of %.0f",
                         w->name, data.len, bytes);
    return PG_E_OK;
}

/* Buffers that state dicts hold beside what is trained. */
static bool is_buffer_name(str name)
{
    static const char *const names[] = {
        "running_mean",     "running_var", "num_batches_tracked", "position_ids", "relative_position_index",
        "attn.masked_bias", "inv_freq",    "token_type_ids",      "attn_mask",    "anchor_grid",
        "anchors"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (str_ends(name, names[i])) return true;
    return false;
}

static pg_code add_tensor(walker *w, const torch_tensor *t, bool buffer)
{
    bool shared;
    pg_code code = check_storage(w, t);
    if (!code) code = is_shared(w, t, &shared);
    if (code) return code;
    if (shared) {
        w->shared++;
        return PG_E_OK;
    }
    if (w->n == w->cap) {
        size_t cap = w->cap ? w->cap * 2 : 64;
        load_weight *list = arena_grow(w->f->g->a, w->list, w->cap, cap, sizeof *list);
        if (!list) return nomem(w->f);
        w->list = list;
        w->cap = cap;
    }
    load_weight *x = &w->list[w->n++];
    memset(x, 0, sizeof *x);
    x->name = str_copy(w->f->g->a, (str){w->name, w->len});
    if (!x->name.ptr) return nomem(w->f);
    x->type = t->type;
    x->rank = t->rank;
    memcpy(x->dims, t->dims, sizeof x->dims);
    x->buffer = !t->parameter && (buffer || is_buffer_name(x->name));
    return PG_E_OK;
}

/* ---- the tree ---- */

static pg_code walk(walker *w, const pickle_value *v, bool buffer, int depth);

static pg_code walk_named(walker *w, const pickle_value *key, const pickle_value *v, bool buffer, int depth)
{
    size_t mark = w->len, room = sizeof w->name - mark;
    const char *dot = mark ? "." : "";
    if (key->kind == PICKLE_TEXT) mark += format_text(w->name + mark, room, "%s%.*s", dot, STR_ARG(key->v.text));
    else if (key->kind == PICKLE_INT) mark += format_text(w->name + mark, room, "%s%lld", dot, (long long)key->v.i);
    else return PG_E_OK;
    size_t before = w->len;
    w->len = mark < sizeof w->name ? mark : sizeof w->name - 1;
    pg_code code = walk(w, v, buffer, depth + 1);
    w->len = before;
    w->name[before] = '\0';
    return code;
}

static pg_code walk_pairs(walker *w, const pickle_value *v, bool buffer, int depth)
{
    pg_code code = PG_E_OK;
    for (uint32_t i = 0; !code && i + 1 < v->n; i += 2)
        code = walk_named(w, v->items[i], v->items[i + 1], buffer, depth);
    return code;
}

static pg_code walk_module(walker *w, const pickle_value *v, int depth)
{
    const pickle_value *parameters = pickle_get(v, "_parameters"), *buffers = pickle_get(v, "_buffers"),
                       *modules = pickle_get(v, "_modules");
    pg_code code = parameters ? walk_pairs(w, parameters, false, depth) : PG_E_OK;
    if (!code && buffers) code = walk_pairs(w, buffers, true, depth);
    return !code && modules ? walk_pairs(w, modules, false, depth) : code;
}

static pg_code walk(walker *w, const pickle_value *v, bool buffer, int depth)
{
    torch_tensor t;
    if (++w->steps > TORCH_STEPS || depth > TORCH_DEPTH)
        return error_set(w->f->e, PG_E_LIMIT, "the pickled object is nested too deeply or refers to itself too often");
    if (torch_tensor_of(v, &t)) return add_tensor(w, &t, buffer);
    if (torch_is_module(v)) return walk_module(w, v, depth);
    if (v->kind == PICKLE_DICT || (v->kind == PICKLE_OBJECT && v->pairs)) return walk_pairs(w, v, buffer, depth);
    if (v->kind == PICKLE_OBJECT && v->state && v->state->kind == PICKLE_DICT)
        return walk_pairs(w, v->state, buffer, depth);
    if (v->kind != PICKLE_LIST && v->kind != PICKLE_TUPLE) return PG_E_OK;
    pg_code code = PG_E_OK;
    for (uint32_t i = 0; !code && i < v->n; i++)
        code = walk_named(w, &(pickle_value){.kind = PICKLE_INT, .v.i = i}, v->items[i], buffer, depth);
    return code;
}

static void count_tensors(tally *c, const pickle_value *v, int depth)
{
    torch_tensor t;
    if (++c->steps > TORCH_STEPS || depth > TORCH_DEPTH) return;
    if (torch_tensor_of(v, &t)) {
        double n = 1;
        for (int i = 0; i < t.rank; i++) n *= (double)t.dims[i];
        c->tensors++;
        c->elements += n;
        return;
    }
    for (uint32_t i = 0; i < v->n; i++) count_tensors(c, v->items[i], depth + 1);
    if (v->state) count_tensors(c, v->state, depth + 1);
}

/* ---- which part is the model ---- */

static bool holds_tensors(const pickle_value *v)
{
    tally c = {0};
    count_tensors(&c, v, 0);
    return c.tensors > 0;
}

static bool has_tensor_member(const pickle_value *v)
{
    torch_tensor t;
    for (uint32_t i = 0; i + 1 < v->n; i += 2)
        if (torch_tensor_of(v->items[i + 1], &t) && v->items[i]->kind == PICKLE_TEXT) return true;
    return false;
}

static bool contains(str s, const char *word)
{
    size_t n = strlen(word);
    for (size_t i = 0; i + n <= s.len; i++) {
        size_t k = 0;
        while (k < n && (s.ptr[i + k] | 0x20) == word[k]) k++;
        if (k == n) return true;
    }
    return false;
}

static bool is_optimizer(str key)
{
    return contains(key, "optim") || contains(key, "lr_sched") || contains(key, "scaler") || contains(key, "rng") ||
           contains(key, "opt_state");
}

/* The usual keys of the model in a checkpoint, the likeliest first. */
static const char *const model_keys[] = {
    "state_dict", "model_state_dict", "model_state", "model",     "ema",     "net",     "network", "module",
    "params_ema", "params",           "weights",     "generator", "student", "teacher", "encoder", "backbone",
};

static const pickle_value *find_model(const pickle_value *root, const char **key)
{
    *key = NULL;
    if (torch_is_module(root) || !(root->kind == PICKLE_DICT || root->pairs) || has_tensor_member(root)) return root;
    for (size_t i = 0; i < sizeof model_keys / sizeof model_keys[0]; i++) {
        const pickle_value *v = pickle_get(root, model_keys[i]);
        if (!v || !holds_tensors(v)) continue;
        *key = model_keys[i];
        const char *inner;
        return v->kind == PICKLE_DICT && !has_tensor_member(v) ? find_model(v, &inner) : v; /* one level more at most */
    }
    return root;
}

/* Each of the other members of a checkpoint that holds tensors is named: none is silently left out. */
static bool note_others(torch_file *f, const pickle_value *root, const char *key)
{
    enum { NOTES = 8 };
    uint32_t notes = 0;
    for (uint32_t i = 0; i + 1 < root->n && notes < NOTES; i += 2) {
        const pickle_value *k = root->items[i];
        tally c = {0};
        if (k->kind != PICKLE_TEXT || (key ? str_is(k->v.text, key) : !is_optimizer(k->v.text))) continue;
        count_tensors(&c, root->items[i + 1], 0);
        if (!c.tensors) continue;
        char size[NUMBER_SIZE];
        number_parameters(size, sizeof size, c.elements);
        notes++;
        if (!graph_warn(f->g, "the checkpoint also holds '%.60s' (%s): %zu tensors of %s numbers in all, not counted",
                        str_copy(f->g->a, k->v.text).ptr,
                        is_optimizer(k->v.text) ? "what training needs" : "not the model itself", c.tensors, size))
            return false;
    }
    return true;
}

static pg_code walk_root(walker *w, const pickle_value *root, const pickle_value *model)
{
    if (model != root || torch_is_module(root) || !(root->kind == PICKLE_DICT || root->pairs))
        return walk(w, model, false, 0);
    pg_code code = PG_E_OK;
    bool plain = has_tensor_member(root);
    for (uint32_t i = 0; !code && i + 1 < root->n; i += 2) {
        const pickle_value *key = root->items[i];
        if (!plain && key->kind == PICKLE_TEXT && is_optimizer(key->v.text)) continue;
        code = walk_named(w, key, root->items[i + 1], false, 0);
    }
    return code;
}

/* What data parallelism, compiling and training frameworks put in front of every name. */
static void strip_prefix(walker *w)
{
    static const char *const prefixes[] = {"module.", "_orig_mod.", "model.", "net."};
    for (size_t p = 0; p < sizeof prefixes / sizeof prefixes[0]; p++) {
        size_t n = strlen(prefixes[p]), i = 0;
        while (i < w->n && str_starts(w->list[i].name, prefixes[p])) i++;
        if (i < w->n) continue;
        for (i = 0; i < w->n; i++) w->list[i].name = (str){w->list[i].name.ptr + n, w->list[i].name.len - n};
    }
}

static bool note_module(torch_file *f, const pickle_value *model)
{
    if (!torch_is_module(model) || model->v.object.of->kind != PICKLE_GLOBAL) return true;
    return graph_warn(
        f->g, "the file is a pickled module of the class %.*s: its weights are read, its code is not in the file",
        STR_ARG(model->v.object.of->v.text));
}

pg_code torch_load_state(torch_file *f, const pickle_value *root)
{
    walker w = {.f = f};
    const char *key;
    map_init(&w.seen, f->g->a);
    map_init(&w.storages, f->g->a);
    const pickle_value *model = find_model(root, &key);
    pg_code code = walk_root(&w, root, model);
    if (code) return code;
    if (!w.n)
        return error_set(f->e, PG_E_UNSUPPORTED,
                         "the pickle holds no tensors; save a model's state_dict() or the model itself");
    if (!f->z.count && w.legacy > (double)f->after)
        return error_at(f->e, PG_E_TRUNCATED, f->in->bytes.len,
                        "the weights should have %.0f bytes, the file has %llu; it is cut off, fetch it again",
                        w.legacy, (unsigned long long)f->after);
    strip_prefix(&w);
    bool dict = root->kind == PICKLE_DICT || root->pairs;
    if (!note_module(f, model) ||
        (dict && !torch_is_module(root) && !has_tensor_member(root) && !note_others(f, root, key)))
        return nomem(f);
    if (w.shared &&
        !graph_warn(f->g, "%zu tensors share their storage with another one and are counted once", w.shared))
        return nomem(f);
    return load_weights_alone(f->g, w.list, w.n, f->options, f->e);
}
