#include "load/safetensors.h"

#include "base/map.h"
#include "graph/language.h"
#include "load/hf_config.h"
#include "wire/json_text.h"
#include "wire/safetensors.h"

static const char index_name[] = "model.safetensors.index.json";

static bool is_index(span text)
{
    static const char word[] = "\"weight_map\"", of[] = ".safetensors\"";
    bool mapped = false, names = false;
    if (!text.len || text.ptr[0] != '{') return false;
    size_t most = text.len < 1 << 20 ? text.len : 1 << 20;
    for (size_t i = 0; i + sizeof of <= most && !(mapped && names); i++) {
        mapped = mapped ||
                 (text.ptr[i] == '"' && i + sizeof word <= most && !memcmp(text.ptr + i, word, sizeof word - 1));
        names = names || !memcmp(text.ptr + i, of, sizeof of - 1);
    }
    return mapped && names;
}

/* One shard; the same name a second time is nothing. */
static pg_code append_shard(weight_list *list, const load_input *in, const char *shard, map *seen, pg_error *e)
{
    span file;
    bool added;
    str name = str_copy(list->a, str_c(shard));
    if (!name.ptr || !map_add(seen, name, 0, &added)) return error_nomem(e, list->a);
    if (!added) return PG_E_OK;
    pg_code code = load_has(in, shard) ? load_beside(in, shard, &file, e)
                                       : error_set(e, PG_E_IO, "%s names '%.150s', which is not there; download it too",
                                                   index_name, shard);
    if (!code) code = safetensors_append(list, file, e);
    if (code) error_path(e, "%.150s", shard);
    return code;
}

/* Every shard that the index names. */
static pg_code append_indexed(weight_list *list, const load_input *in, span text, pg_error *e)
{
    json_t *root = json_text_read(text, index_name, e), *v;
    if (!root) return e->code;
    json_t *weights = json_object_get(root, "weight_map");
    const char *name, *last = "";
    map seen;
    map_init(&seen, list->a);
    pg_code code = json_is_object(weights) && json_object_size(weights) > 0
                     ? PG_E_OK
                     : error_set(e, PG_E_FORMAT, "%s: 'weight_map' is missing or empty", index_name);
    json_object_foreach(weights, name, v)
    {
        const char *shard = json_string_value(v);
        if (code) break;
        if (!shard)
            code = error_set(e, PG_E_FORMAT, "%s: 'weight_map' must give a file's name for each tensor", index_name);
        else if (strcmp(last, shard)) code = append_shard(list, in, shard, &seen, e);
        last = shard ? shard : "";
    }
    size_t named = json_object_size(weights);
    json_decref(root);
    if (!code && named != list->count)
        return error_set(e, PG_E_FORMAT, "%s names %zu tensors, its %u files have %zu", index_name, named, seen.count,
                         list->count);
    return code;
}

/* "model-00002-of-00003.safetensors" is a part of a model. */
static bool is_shard(const char *path)
{
    size_t n = strlen(path);
    static const char like[] = "-00000-of-00000.safetensors";
    if (n < sizeof like) return false;
    path += n - (sizeof like - 1);
    for (size_t i = 0; i < sizeof like - 1; i++)
        if (like[i] == '0' ? path[i] < '0' || path[i] > '9' : path[i] != like[i]) return false;
    return true;
}

/* The tensors of the model that `in` is or holds; none where there are none. */
static pg_code append_all(weight_list *list, const load_input *in, pg_error *e)
{
    span text;
    if (!in->folder && in->bytes.len > 8 && in->bytes.ptr[0] == '{' && is_index(in->bytes))
        return append_indexed(list, in, in->bytes, e);
    bool whole = !in->folder && !is_shard(in->path);
    if (whole) return safetensors_append(list, in->bytes, e);
    if (load_has(in, index_name)) {
        pg_code code = load_beside(in, index_name, &text, e);
        return code ? code : append_indexed(list, in, text, e);
    }
    if (!in->folder)
        return error_set(e, PG_E_IO, "is one of several parts; %s, which names them, is not beside it", index_name);
    str name = load_name_at(in, ".safetensors", 0, list->a), more = load_name_at(in, ".safetensors", 1, list->a);
    if (load_has(in, "model.safetensors")) name = STR("model.safetensors");
    else if (more.ptr)
        return error_set(e, PG_E_AMBIGUOUS, "holds several safetensors files and no %s; give one of them", index_name);
    if (!name.ptr) return PG_E_OK;
    pg_code code = load_beside(in, name.ptr, &text, e);
    if (!code) code = safetensors_append(list, text, e);
    if (code) error_path(e, "%.*s", STR_ARG(name));
    return code;
}

/* ---- against the configuration ---- */

static bool holds(str name, const char *part)
{
    size_t n = strlen(part);
    for (size_t i = 0; i + n <= name.len; i++)
        if (!memcmp(name.ptr + i, part, n)) return true;
    return false;
}

static bool is_other_part(str name)
{
    static const char *const parts[] = {"vision", "visual",   "audio", "projector", "image_",
                                        "talker", "code2wav", "vpm.",  "resampler"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (holds(name, parts[i])) return true;
    return false;
}

/* Layers behind the last one predict further tokens: "model.layers.61." of 61 layers. */
static bool is_draft(const language_model *m, str name)
{
    static const char word[] = "layers.";
    if (str_starts(name, "mtp.") || holds(name, ".mtp")) return true;
    if (m->n_encoder) return false;
    for (size_t i = 0; i + sizeof word <= name.len; i++) {
        if (memcmp(name.ptr + i, word, sizeof word - 1)) continue;
        uint32_t n = 0;
        size_t at = i + sizeof word - 1;
        for (; at < name.len && name.ptr[at] >= '0' && name.ptr[at] <= '9' && n < 1 << 20; at++)
            n = 10 * n + (uint32_t)(name.ptr[at] - '0');
        return at > i + sizeof word - 1 && n >= lm_depth(m->layers, m->n_layers) && n < 1 << 20;
    }
    return false;
}

static double elements_of(const load_weight *w)
{
    double n = 1;
    for (int d = 0; d < w->rank; d++) n *= (double)w->dims[d];
    return n;
}

/* A task's head, and the second copy of a table that is tied, are not of the model itself. */
static bool is_head(const language_model *m, str name)
{
    if (m->no_output)
        return str_starts(name, "cls.") || str_starts(name, "lm_head.") || str_starts(name, "classifier") ||
               str_starts(name, "vocab_") || str_starts(name, "qa_outputs") || str_starts(name, "predictions.") ||
               str_starts(name, "discriminator_predictions") || str_starts(name, "generator_") ||
               str_starts(name, "head.") || str_starts(name, "decoder.");
    bool copy = str_ends(name, "lm_head.weight") || str_is(name, "encoder.embed_tokens.weight") ||
                str_is(name, "decoder.embed_tokens.weight") || str_is(name, "model.encoder.embed_tokens.weight") ||
                str_is(name, "model.decoder.embed_tokens.weight");
    return m->tied && copy;
}

static bool trained(const load_weight *w)
{
    const dtype_info *d = dtype_get(w->type);
    return !w->buffer && (d->floating || (d->bits && d->bits <= 8 && w->type != DT_BOOL));
}

static pg_code compare(graph *g, const weight_list *list, pg_error *e)
{
    const language_model *m = g->language;
    double text = 0, other = 0, heads = 0;
    for (size_t i = 0; i < list->count; i++) {
        const load_weight *w = &list->w[i];
        if (!trained(w) || is_draft(m, w->name)) continue;
        if (is_other_part(w->name)) other += elements_of(w);
        else if (is_head(m, w->name)) heads += elements_of(w);
        else text += elements_of(w);
    }
    double table = (double)m->vocab * (double)(m->embedding_width ? m->embedding_width : m->hidden);
    if (m->tied && heads >= table && text + table < 1.005 * m->parameters) text += table; /* the copy is the only one */
    language_model *own = ARENA_NEW(g->a, language_model);
    if (!own) return error_nomem(e, g->a);
    *own = *m;
    own->other_parameters = other;
    g->language = own;
    if (text > 0 && (text < 0.995 * m->parameters || text > 1.005 * m->parameters) &&
        !graph_warn(g, "the weights have %.5g million parameters, the configuration describes %.5g million", text / 1e6,
                    m->parameters / 1e6))
        return error_nomem(e, g->a);
    if (other > 0 &&
        !graph_warn(g, "other parts than the text model have %.4g million parameters, which are not counted",
                    other / 1e6))
        return error_nomem(e, g->a);
    return PG_E_OK;
}

pg_code safetensors_compare(graph *g, const load_input *in, pg_error *e)
{
    weight_list list = {.a = g->a};
    pg_error said = PG_ERROR_INIT;
    if (!load_has(in, index_name) && !load_name_at(in, ".safetensors", 0, g->a).ptr) return PG_E_OK;
    load_input folder = *in;
    folder.folder = true; /* a config.json stands for what it lies in */
    pg_code code = append_all(&list, &folder, &said);
    if (code == PG_E_NOMEM) return error_nomem(e, g->a);
    if (code)
        return graph_warn(g, "the weights beside config.json can't be compared with it: %s", said.text)
                 ? PG_E_OK
                 : error_nomem(e, g->a);
    if (!list.count) return PG_E_OK;
    return safetensors_unpack(&list) ? compare(g, &list, e) : error_nomem(e, g->a);
}

/* ---- the format ---- */

static pg_code safetensors_load(graph *g, const load_input *in, const load_options *options, pg_error *e)
{
    pg_error local = PG_ERROR_INIT, ignored = PG_ERROR_INIT;
    weight_list list = {.a = g->a};
    span config;
    if (!e) e = &local;
    g->format = STR("safetensors");
    pg_code code = append_all(&list, in, e);
    if (code) return code;
    if (!list.count) return error_set(e, PG_E_FORMAT, "there are no tensors in it");
    if (!safetensors_unpack(&list)) return error_nomem(e, g->a);
    bool described = load_has(in, "config.json") && !load_beside(in, "config.json", &config, &ignored);
    if (!described || options->architecture) return load_weights_alone(g, list.w, list.count, options, e);
    code = hf_config_load(g, in, config, e);
    return code || !g->language ? code : compare(g, &list, e);
}

static int safetensors_probe(const load_input *in)
{
    span f = in->bytes;
    if (in->folder) return load_has(in, index_name) || load_has(in, "model.safetensors") ? 60 : 0;
    if (f.len && f.ptr[0] == '{' && is_index(f)) return 80;
    bool named = load_ending(&load_safetensors_format, str_c(in->path)) > 0;
    if (f.len < 10 || f.ptr[8] != '{') return named ? LOAD_BY_NAME : 0;
    if (f.ptr[6] || f.ptr[7] || f.ptr[5] || f.ptr[4]) return named ? LOAD_BY_NAME : 0; /* a header of 4 GB and more */
    return f.ptr[9] == '"' || f.ptr[9] == '}' || f.ptr[9] <= ' ' ? 90 : named ? LOAD_BY_NAME : 0;
}

const load_format load_safetensors_format = {
    "safetensors", "a safetensors file", ".safetensors .safetensors.index.json", safetensors_probe, safetensors_load};
