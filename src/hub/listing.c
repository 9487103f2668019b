#include "hub/listing.h"

#include "base/map.h"
#include "hub/name.h"
#include "hub/text.h"
#include "wire/json_text.h"

enum { SHARDS_MOST = 1024 };

bool listing_add(hub_listing *l, str path, uint64_t size, str etag, arena *a)
{
    if (l->count == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 64;
        hub_file *grown = arena_grow(a, l->files, l->count, cap, sizeof *grown);
        if (!grown) return false;
        l->files = grown;
        l->cap = cap;
    }
    hub_file *f = &l->files[l->count];
    *f = (hub_file){str_copy(a, path), size, etag.len ? str_copy(a, etag) : etag};
    if (!f->path.ptr || (etag.len && !f->etag.ptr)) return false;
    l->count++;
    return true;
}

static str text_at(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);
    return json_is_string(v) ? (str){json_string_value(v), json_string_length(v)} : (str){NULL, 0};
}

static bool add_sibling(hub_listing *l, const json_t *s, arena *a)
{
    str path = text_at(s, "rfilename");
    const json_t *lfs = json_object_get(s, "lfs");
    str etag = text_at(lfs, "sha256");
    if (!etag.len) etag = text_at(s, "blobId");
    int64_t size = json_get_int(lfs, "size", -1);
    if (size < 0) size = json_get_int(s, "size", -1);
    if (!hub_path_ok(path)) {
        l->refused++;
        return true;
    }
    return listing_add(l, path, size < 0 ? SIZE_UNKNOWN : (uint64_t)size, hub_id_ok(etag) ? etag : (str){NULL, 0}, a);
}

pg_code listing_read(hub_listing *l, span json, arena *a, pg_error *e)
{
    *l = (hub_listing){.count = 0};
    json_t *root = json_text_read(json, "the Hub's answer", e);
    if (!root) return e ? e->code : PG_E_FORMAT;
    const json_t *siblings = json_object_get(root, "siblings");
    str id = text_at(root, "id"), commit = text_at(root, "sha");
    if (!id.len) id = text_at(root, "modelId");
    pg_code code = PG_E_OK;
    hub_name name;
    if (!json_is_array(siblings) || !hub_id_ok(commit) || commit.len < 7)
        code = error_set(e, PG_E_FORMAT, "the Hub's answer has no list of files (\"siblings\") or no commit (\"sha\")");
    else if (id.len && !(hub_name_read(&name, id, NULL) && !name.file.len) && !hub_path_ok(id))
        code = error_set(e, PG_E_FORMAT, "the Hub's answer names a repository as none can be called");
    l->id = str_copy(a, id);
    l->commit = str_copy(a, commit);
    bool ok = l->id.ptr && l->commit.ptr;
    for (size_t i = 0; !code && ok && i < json_array_size(siblings); i++)
        ok = add_sibling(l, json_array_get(siblings, i), a);
    json_decref(root);
    return code ? code : ok ? PG_E_OK : error_nomem(e, a);
}

const hub_file *listing_find(const hub_listing *l, str path)
{
    for (size_t i = 0; i < l->count; i++)
        if (str_eq(l->files[i].path, path)) return &l->files[i];
    return NULL;
}

static pg_code add_shard(map *seen, const hub_file **list, size_t *count, const hub_listing *l, str folder, str name,
                         pg_error *e)
{
    bool added = false;
    const char *text = hub_path_ok(name) ? hub_text(seen->a, "%.*s%.*s", STR_ARG(folder), STR_ARG(name)) : NULL;
    if (!text && seen->a->failed) return error_nomem(e, seen->a);
    const hub_file *f = text ? listing_find(l, str_c(text)) : NULL;
    if (!f && text && l->partial) return PG_E_OK;
    if (!f) {
        char shown[120];
        hub_clean(shown, sizeof shown, name);
        return error_set(e, PG_E_FORMAT, "its index names the file '%s', which the repository does not have", shown);
    }
    if (!map_add(seen, f->path, 0, &added)) return error_nomem(e, seen->a);
    if (!added) return PG_E_OK;
    if (*count == SHARDS_MOST) return error_set(e, PG_E_LIMIT, "its index names more than %d files", SHARDS_MOST);
    list[(*count)++] = f;
    return PG_E_OK;
}

pg_code listing_shards(const hub_file ***out, size_t *count, const hub_listing *l, str folder, span json, arena *a,
                       pg_error *e)
{
    *count = 0;
    const hub_file **list = ARENA_ARRAY(a, const hub_file *, SHARDS_MOST);
    map seen;
    map_init(&seen, a);
    if (!list) return error_nomem(e, a);
    *out = list;
    json_t *root = json_text_read(json, "the index of the weights", e);
    if (!root) return e ? e->code : PG_E_FORMAT;
    json_t *weights = json_object_get(root, "weight_map"), *value;
    pg_code code = PG_E_OK;
    if (!json_is_object(weights)) code = error_set(e, PG_E_FORMAT, "the index of the weights has no \"weight_map\"");
    const char *key;
    str last = {NULL, 0};
    json_object_foreach(weights, key, value)
    {
        if (code) break;
        str name = {json_string_value(value), json_string_length(value)};
        if (!json_is_string(value)) code = error_set(e, PG_E_FORMAT, "the index of the weights names no file");
        else if (!str_eq(name, last)) code = add_shard(&seen, list, count, l, folder, name, e);
        last = name;
    }
    json_decref(root);
    return code;
}
