/* Keras: .h5 files of Keras 1 and 2, .keras archives of Keras 2 and 3, and files of weights alone.
 *
 * 1. An .h5 file is HDF5. The root's attribute `model_config` is the model as JSON; long ones may be cut into model_config0, 1, ...
 *    The group `model_weights` has a group for each layer, in which datasets are named after variables ("dense/kernel:0");
 *    `optimizer_weights` is not part of the model. A file of weights alone has the layers' groups in its root.
 * 2. A .keras archive is a zip of config.json (the model), metadata.json and model.weights.h5: HDF5 whose groups
 *    follow the model's objects ("layers/dense/vars/0"); files of weights alone of Keras 3 look the same.
 * 3. The configuration is {"class_name": "Sequential" or "Functional" (or "Model"), "config": {...}}; keras_model.c reads it.
 *
 * Of the weights only names, types and shapes are looked at: they say what unknown layers hold, and how wide a layer is whose input
 * isn't known. */
#include "load/keras_internal.h"
#include "wire/hdf5.h"
#include "wire/zip.h"

enum { CONFIG_MOST = 64 << 20, GROUPS_DEEP = 32, PARTS_MOST = 1024 };

/* ---- weights ---- */

typedef struct walk {
    hdf5 h;
    keras *k;
    load_weight *list;
    uint32_t n, cap;
    map seen; /* objects, by their offset */
} walk;

static dtype type_of(const hdf5_type *t)
{
    switch (t->class) {
    case HDF5_INT: return t->size == 1 ? DT_INT8 : t->size == 2 ? DT_INT16 : t->size == 4 ? DT_INT32 : DT_INT64;
    case HDF5_UINT: return t->size == 1 ? DT_UINT8 : t->size == 2 ? DT_UINT16 : t->size == 4 ? DT_UINT32 : DT_UINT64;
    case HDF5_FLOAT: return t->size == 2 ? DT_FP16 : t->size == 8 ? DT_FP64 : DT_FP32;
    case HDF5_BFLOAT: return DT_BF16;
    case HDF5_BOOL: return DT_BOOL;
    case HDF5_TEXT:
    case HDF5_VARIABLE_TEXT: return DT_STRING;
    default: return DT_UNKNOWN;
    }
}

static str last_part(str path)
{
    size_t from = path.len;
    while (from && path.ptr[from - 1] != '/') from--;
    return (str){path.ptr + from, path.len - from};
}

/* What batch normalisation keeps running, and the state of random numbers. Keras 3 numbers the variables of a layer: 2 and 3
 * of a batch normalisation's four. */
static bool is_buffer(str path)
{
    str leaf = last_part(path);
    if (str_starts(leaf, "moving_mean") || str_starts(leaf, "moving_variance") || str_starts(leaf, "moving_stddev"))
        return true;
    for (size_t i = 0; i < path.len; i++) {
        str rest = {path.ptr + i, path.len - i};
        if (i && path.ptr[i - 1] != '/') continue;
        if (str_starts(rest, "seed_generator")) return true;
        if (str_starts(rest, "batch_normalization") && str_ends(path, "/vars/2")) return true;
        if (str_starts(rest, "batch_normalization") && str_ends(path, "/vars/3")) return true;
    }
    return false;
}

static void add_weight(walk *w, str path, const hdf5_type *type)
{
    if (type->rank < 0) return;
    if (w->n == w->cap) {
        uint32_t cap = w->cap ? w->cap * 2 : 64;
        load_weight *bigger = arena_grow(&w->k->scratch, w->list, w->cap, cap, sizeof *bigger);
        if (!keras_must(w->k, bigger != NULL)) return;
        w->list = bigger;
        w->cap = cap;
    }
    load_weight x = {.name = path, .type = type_of(type), .rank = type->rank, .buffer = is_buffer(path)};
    if (str_ends(x.name, ":0")) x.name.len -= 2;
    double n = 1;
    for (int i = 0; i < type->rank; i++) {
        n *= (double)type->dims[i];
        x.dims[i] = (int64_t)type->dims[i];
    }
    if (n > 1e15) {
        keras_fail(w->k, NULL, PG_E_FORMAT, "the weight '%.*s' claims %.3g elements; the file is damaged",
                   STR_ARG(path), n);
        return;
    }
    w->list[w->n++] = x;
}

static str joined(walk *w, str group, str name)
{
    char text[1024];
    size_t n = format_text(text, sizeof text, "%.*s%s%.*s", STR_ARG(group), group.len ? "/" : "", STR_ARG(name));
    str s = str_copy(w->k->g->a, (str){text, n < sizeof text ? n : sizeof text - 1});
    for (size_t i = 0; s.ptr && i < s.len; i++) /* names reach a terminal */
        if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f) ((char *)(uintptr_t)s.ptr)[i] = '?';
    keras_must(w->k, s.ptr != NULL);
    return s;
}

/* What training keeps beside the model. */
static bool is_aside(str group)
{
    static const char *const names[] = {"optimizer_weights", "optimizer", "metrics",      "compile_metrics",
                                        "_compile_metrics",  "_metrics",  "loss_tracker", "_loss_tracker"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (str_is(group, names[i])) return true;
    return false;
}

static void walk_group(walk *w, uint64_t at, str path, unsigned depth)
{
    keras *k = w->k;
    hdf5_object o;
    bool added;
    str key = str_copy(&k->scratch, (str){(const char *)&at, sizeof at});
    if (k->failed || !keras_must(k, key.ptr && map_add(&w->seen, key, 0, &added)) || !added) return;
    if (depth > GROUPS_DEEP) {
        keras_fail(k, NULL, PG_E_LIMIT, "the file's groups are nested more than %d deep", GROUPS_DEEP);
        return;
    }
    if (hdf5_read(&w->h, at, &o, k->e)) k->failed = true;
    if (k->failed) return;
    if (o.dataset) add_weight(w, path, &o.type);
    for (uint32_t i = 0; i < o.n_links && !k->failed; i++) {
        str name = o.links[i].name;
        if (depth == 0 && is_aside(name)) continue;
        /* Keras 3 lists its objects a second time here */
        if (str_starts(name, "_layer_checkpoint_dependencies") || str_starts(name, "_operations")) continue;
        walk_group(w, o.links[i].object, joined(w, path, name), depth + 1);
    }
}

/* The weights of a group, named from it on. */
static void read_weights(walk *w, uint64_t group)
{
    map_init(&w->seen, &w->k->scratch);
    walk_group(w, group, (str){NULL, 0}, 0);
    w->k->list = w->list;
    w->k->n_list = w->n;
    for (uint32_t i = 0; i < w->n && !w->k->failed; i++) { /* "dense/kernel": the last two parts */
        str name = w->list[i].name, leaf = last_part(name);
        bool added;
        if (leaf.len == name.len) continue;
        str layer = last_part((str){name.ptr, name.len - leaf.len - 1});
        keras_must(w->k, map_add(&w->k->stored, (str){layer.ptr, (size_t)(name.ptr + name.len - layer.ptr)}, i,
                                 &added) != NULL);
    }
}

/* ---- the configuration ---- */

static pg_code take_config(keras *k, const json_t *root, const load_options *options)
{
    graph *g = k->g;
    const char *class = json_get_text(root, "class_name", "");
    const json_t *config = json_object_get(root, "config");
    if (!json_is_object(root) || !class[0])
        return error_set(k->e, PG_E_FORMAT, "the configuration names no class of model; save the model again");
    if (!keras_is_model(class, config) && keras_is_backbone(class, config)) {
        root = keras_backbone(k, root);
        if (!root) return k->e->code;
    } else if (!keras_is_model(class, config)) {
        char text[256];
        size_t n = format_text(text, sizeof text,
                               "the model is of a class of its own, '%.80s', whose structure the file does not hold; "
                               "export it to ONNX, or name the built-in model that it is with --architecture",
                               class);
        pg_code code = load_weights_alone(g, k->list, k->n_list, options, k->e);
        str missing = str_copy(g->a, (str){text, n});
        for (size_t i = 0; missing.ptr && i < n; i++)
            if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) ((char *)(uintptr_t)missing.ptr)[i] = '?';
        if (code || !g->missing.len) return code;
        g->missing = missing;
        return missing.ptr ? PG_E_OK : error_nomem(k->e, g->a);
    }
    g->batch_symbol = graph_add_symbol(g, STR("batch"), 1);
    if (g->batch_symbol < 0) return error_nomem(k->e, g->a);
    struct keras_model *m = keras_model_read(k, root, (str){NULL, 0});
    keras_list out = {0};
    if (!k->failed) keras_model_run(k, m, NULL, 0, &out);
    for (uint32_t i = 0; i < out.n && !k->failed; i++) keras_must(k, graph_add_output(g, 0, out.t[i]));
    if (!k->failed && shape_walk_step(k->shapes, k->e)) k->failed = true;
    return k->failed ? k->e->code : graph_sort(g, &k->scratch, k->e);
}

static pg_code take_text(keras *k, span text, const char *what, const load_options *options)
{
    json_t *root = json_text_read(text, what, k->e);
    if (!root) return k->e->code;
    pg_code code = take_config(k, root, options);
    json_decref(root);
    return code;
}

/* The attribute, or the parts that it was cut into, in one piece. */
static pg_code config_of(keras *k, hdf5 *h, const hdf5_object *root, span *out)
{
    const hdf5_attr *whole = hdf5_find_attr(root, "model_config");
    *out = (span){NULL, 0, 0};
    if (whole) {
        str s = hdf5_text(h, whole, 0);
        *out = (span){(const uint8_t *)s.ptr, s.len, s.ptr ? (uint64_t)((const uint8_t *)s.ptr - h->file.ptr) : 0};
        return s.ptr ? PG_E_OK
                     : error_set(k->e, PG_E_FORMAT, "the attribute model_config can't be read; the file is damaged");
    }
    str parts[PARTS_MOST];
    size_t n = 0, total = 0;
    for (char name[32]; n < PARTS_MOST; n++) {
        format_text(name, sizeof name, "model_config%u", (unsigned)n);
        const hdf5_attr *part = hdf5_find_attr(root, name);
        parts[n] = part ? hdf5_text(h, part, 0) : (str){NULL, 0};
        if (!parts[n].ptr) break;
        total += parts[n].len;
    }
    if (!n) return PG_E_OK;
    if (total > CONFIG_MOST)
        return error_set(k->e, PG_E_LIMIT, "the attribute model_config is larger than %d MB", CONFIG_MOST >> 20);
    char *joined = arena_alloc(&k->scratch, total);
    if (!joined) return error_nomem(k->e, &k->scratch);
    *out = (span){(const uint8_t *)joined, total, 0};
    for (size_t i = 0; i < n; joined += parts[i++].len) memcpy(joined, parts[i].ptr, parts[i].len);
    return PG_E_OK;
}

static pg_code load_hdf5(keras *k, span file, const load_options *options)
{
    walk w = {.k = k};
    hdf5_object root;
    span config = {NULL, 0, 0};
    pg_code code = hdf5_open(&w.h, file, &k->scratch, k->e);
    if (!code) code = hdf5_read(&w.h, w.h.root, &root, k->e);
    if (!code) code = config_of(k, &w.h, &root, &config);
    if (code) return code;
    const hdf5_link *weights = hdf5_find_link(&root, "model_weights");
    const hdf5_attr *version = hdf5_find_attr(&root, "keras_version");
    str text = version ? hdf5_text(&w.h, version, 0) : (str){NULL, 0};
    char producer[64];
    size_t n = format_text(producer, sizeof producer, "Keras %.*s",
                           STR_ARG(((str){text.ptr, text.len > 40 ? 40 : text.len})));
    if (text.ptr) k->g->producer = str_copy(k->g->a, (str){producer, n < sizeof producer ? n : sizeof producer - 1});
    read_weights(&w, weights ? weights->object : w.h.root);
    if (k->failed) return k->e->code;
    if (w.h.end > file.len && w.h.end != UINT64_MAX &&
        !graph_warn(
            k->g,
            "the file is cut off: it has %llu bytes of %llu; what it says of the model is whole, but fetch it again",
            (unsigned long long)file.len, (unsigned long long)w.h.end))
        return error_nomem(k->e, k->g->a);
    if (config.ptr) return take_text(k, config, "the attribute model_config", options);
    if (!w.n) return error_set(k->e, PG_E_FORMAT, "the HDF5 file holds no Keras model: no model_config and no weights");
    return load_weights_alone(k->g, w.list, w.n, options, k->e);
}

static pg_code load_archive(keras *k, span file, const load_options *options)
{
    zip z;
    span config, weights, metadata;
    pg_code code = zip_open(&z, file, &k->scratch, k->e);
    if (code) return code;
    const zip_entry *entry = zip_find(&z, "config.json"), *h5 = zip_find(&z, "model.weights.h5");
    const zip_entry *meta = zip_find(&z, "metadata.json");
    if (!entry) return error_set(k->e, PG_E_FORMAT, "the archive holds no config.json; it is not a Keras model");
    code = zip_read(&z, entry, CONFIG_MOST, &k->scratch, &config, k->e);
    walk w = {.k = k};
    pg_error ignored = PG_ERROR_INIT;
    if (!code && meta && !zip_read(&z, meta, 1 << 16, &k->scratch, &metadata, &ignored)) {
        json_t *m = json_text_read(metadata, "metadata.json", &ignored);
        char producer[64];
        size_t n = format_text(producer, sizeof producer, "Keras %.40s", json_get_text(m, "keras_version", ""));
        k->g->producer = str_copy(k->g->a, (str){producer, n});
        json_decref(m);
    }
    if (!code && h5 && h5->method == 0) { /* always stored; a view, as it may be large */
        code = zip_read(&z, h5, 0, &k->scratch, &weights, k->e);
        if (!code) code = hdf5_open(&w.h, weights, &k->scratch, k->e);
        if (!code) read_weights(&w, w.h.root);
        if (!code && k->failed) code = k->e->code;
        if (code) error_path(k->e, "model.weights.h5");
    }
    return code ? code : take_text(k, config, "config.json", options);
}

static pg_code keras_load(graph *g, const load_input *in, const load_options *options, pg_error *e)
{
    pg_error local = PG_ERROR_INIT;
    keras k = {.g = g, .e = e ? e : &local};
    static const load_options none;
    if (!options) options = &none;
    k.max_depth = options->max_depth ? options->max_depth : 64;
    arena_init(&k.scratch, g->a->alloc, g->a->limit);
    map_init(&k.unknown, &k.scratch);
    map_init(&k.stored, &k.scratch);
    g->format = STR("keras");
    span file = in->bytes;
    pg_code code = zip_is(file) ? load_archive(&k, file, options) : load_hdf5(&k, file, options);
    if (!code && k.failed) code = k.e->code;
    json_decref(k.written);
    arena_free(&k.scratch);
    return code;
}

static int keras_probe(const load_input *in)
{
    if (in->folder) return 0;
    if (hdf5_is(in->bytes)) return 90; /* no other format here is HDF5 */
    if (zip_is(in->bytes) && zip_has(in->bytes, "config.json"))
        return zip_has(in->bytes, "model.weights.h5") || zip_has(in->bytes, "metadata.json") ? 90 : 50;
    return load_ending(&load_keras_format, str_c(in->path)) ? LOAD_BY_NAME : 0;
}

const load_format load_keras_format = {"keras", "a Keras model", ".keras .h5 .hdf5", keras_probe, keras_load};
