#include "load/gguf_model.h"
#include "load/load.h"
#include "zoo/zoo.h"

enum { MOST_PARTS = 1000 };

/* "NAME-00001-of-00003.gguf": where the number begins, or 0, and how many parts there are. */
static size_t part_number(const char *path, uint32_t *parts)
{
    static const char like[] = "-00000-of-00000.gguf";
    size_t n = strlen(path), len = sizeof like - 1;
    if (n <= len) return 0;
    const char *end = path + n - len;
    for (size_t i = 0; i < len; i++)
        if (like[i] == '0' ? end[i] < '0' || end[i] > '9' : end[i] != like[i]) return 0;
    *parts = 0;
    for (size_t i = 10; i < 15; i++) *parts = 10 * *parts + (uint32_t)(end[i] - '0');
    return n - len + 1;
}

static pg_code append(gguf_model *r, const gguf *file)
{
    bool added;
    gguf_tensor *all = arena_grow(r->g->a, r->tensors, r->n_tensors, r->n_tensors + file->n_tensors, sizeof *all);
    if (!all) return error_nomem(r->e, r->g->a);
    r->tensors = all;
    for (size_t i = 0; i < file->n_tensors; i++) {
        uint32_t *at = map_add(&r->names, file->tensors[i].name, (uint32_t)r->n_tensors, &added);
        if (!at) return error_nomem(r->e, r->g->a);
        if (!added)
            return error_set(r->e, PG_E_FORMAT, "the tensor '%.*s' occurs in two parts",
                             STR_ARG(file->tensors[i].name));
        all[r->n_tensors++] = file->tensors[i];
    }
    return PG_E_OK;
}

/* The other parts lie beside the file; the metadata are in the first. */
static pg_code read_parts(gguf_model *r, const load_input *in, const char *path)
{
    uint32_t parts = 0;
    size_t at = part_number(path, &parts), from = strlen(path);
    char name[512];
    double count = 0;
    while (from && path[from - 1] != '/') from--;
    gguf_number(&r->meta, gguf_find(&r->meta, STR("split.count")), 0, &count);
    if (!(count > 1)) return PG_E_OK;
    if (!at || count != parts || parts > MOST_PARTS)
        return error_set(r->e, PG_E_FORMAT, "is one of %g parts, which its name should say (-00001-of-%05u.gguf)",
                         count, count < MOST_PARTS ? (unsigned)count : MOST_PARTS);
    r->n_tensors = 0;
    r->tensors = NULL;
    map_init(&r->names, r->g->a);
    for (uint32_t i = 1; i <= parts; i++) {
        gguf file;
        span bytes;
        format_text(name, sizeof name, "%.*s%05u-of-%05u.gguf", (int)(at - from), path + from, i, parts);
        if (!load_has(in, name))
            return error_set(r->e, PG_E_IO, "the part '%.200s' is not beside it; download it too", name);
        pg_code code = load_beside(in, name, &bytes, r->e);
        if (!code) code = gguf_read(&file, bytes, r->g->a, r->e);
        if (!code && i == 1) r->meta = file;
        if (!code) code = append(r, &file);
        if (code) {
            error_path(r->e, "%.150s", name);
            return code;
        }
    }
    return PG_E_OK;
}

/* The one model in a folder: a file, or the first of its parts. */
static pg_code find_file(const load_input *in, arena *a, str *name, span *bytes, pg_error *e)
{
    uint32_t parts;
    *name = load_name_at(in, ".gguf", 0, a);
    if (!name->ptr) return error_set(e, PG_E_IO, "the folder has no .gguf file");
    str last = *name;
    for (size_t i = 1; part_number(last.ptr, &parts) && i < parts; i++) {
        str next = load_name_at(in, ".gguf", i, a);
        if (!next.ptr) break;
        last = next;
    }
    bool whole = !part_number(name->ptr, &parts);
    if (load_name_at(in, ".gguf", whole ? 1 : parts, a).ptr)
        return error_set(e, PG_E_AMBIGUOUS, "the folder has several .gguf files; give one of them");
    return load_beside(in, name->ptr, bytes, e);
}

static pg_code gguf_load(graph *g, const load_input *in, const load_options *options, pg_error *e)
{
    pg_error local = PG_ERROR_INIT;
    gguf_model *r = ARENA_NEW(g->a, gguf_model);
    span bytes = in->bytes;
    str name = str_c(in->path);
    (void)options;
    if (!e) e = &local;
    if (!r) return error_nomem(e, g->a);
    r->g = g;
    r->e = e;
    g->format = STR("gguf");
    map_init(&r->names, g->a);
    pg_code code = in->folder ? find_file(in, g->a, &name, &bytes, e) : PG_E_OK;
    if (!code) code = gguf_read(&r->meta, bytes, g->a, e);
    if (!code) code = append(r, &r->meta);
    if (!code) code = read_parts(r, in, name.ptr);
    if (!code) code = gguf_describe(r);
    if (code && g->a->failed) return error_nomem(e, g->a);
    return code ? code : zoo_build_language(g, g->language, e);
}

static int gguf_probe(const load_input *in)
{
    if (!in->folder) return gguf_is(in->bytes) ? 100 : 0;
    return load_has_ending(in, ".gguf") && !load_has_ending(in, ".safetensors") ? 85 : 0;
}

const load_format load_gguf_format = {"gguf", "a GGUF model", ".gguf", gguf_probe, gguf_load};
