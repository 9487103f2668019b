/* PyTorch's files, told apart and opened; torch_internal.h says how they are built. */
#include "graph/rewrite.h"
#include "load/torch_internal.h"

/* The magic number of the legacy format as a pickle: protocol 2, LONG1 of 10 bytes, STOP. */
static const uint8_t legacy_magic[] = {0x80, 2,    0x8a, 10,   0x6c, 0xfc, 0x9c, 0x46,
                                       0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, '.'};

static bool is_legacy(span f)
{
    return f.len >= sizeof legacy_magic && !memcmp(f.ptr, legacy_magic, sizeof legacy_magic);
}

static bool is_pickle(span f)
{
    return f.len > 2 && f.ptr[0] == 0x80 && f.ptr[1] >= 2 && f.ptr[1] <= 5;
}

const zip_entry *torch_entry(const torch_file *f, str name)
{
    const uint32_t *at = map_find(&f->entries, name);
    return at ? &f->z.entries[*at] : NULL;
}

/* Archives hold a file for each of thousands of tensors: their names are looked up, not searched for. */
static pg_code list_entries(torch_file *f)
{
    bool added;
    map_init(&f->entries, f->g->a);
    for (uint32_t i = 0; i < f->z.count; i++) {
        str name = f->z.entries[i].name;
        const char *slash = name.len ? memchr(name.ptr, '/', name.len) : NULL;
        size_t skip = slash ? (size_t)(slash - name.ptr) + 1 : 0;
        if (!map_add(&f->entries, (str){name.ptr + skip, name.len - skip}, i, &added))
            return error_nomem(f->e, f->g->a);
    }
    return PG_E_OK;
}

pg_code torch_read_pickle(torch_file *f, const char *name, const pickle_value **out)
{
    const zip_entry *entry = torch_entry(f, str_c(name));
    span bytes;
    if (!entry) entry = zip_find(&f->z, name);
    if (!entry) return error_set(f->e, PG_E_FORMAT, "the archive has no %s; it is incomplete", name);
    pg_code code = zip_read(&f->z, entry, TORCH_PICKLE_MOST, f->g->a, &bytes, f->e);
    if (!code) code = pickle_read(&bytes, torch_allow, f->g->a, out, f->e);
    if (code) error_path(f->e, "%s", name);
    return code;
}

pg_code torch_storage(torch_file *f, const char *folder, str key, span *out)
{
    char name[128];
    *out = (span){NULL, 0, 0};
    size_t n = format_text(name, sizeof name, "%s/%.*s", folder, STR_ARG(key));
    const zip_entry *entry = n < sizeof name ? torch_entry(f, (str){name, n}) : NULL;
    if (!entry) return PG_E_OK;
    if (entry->method) { /* nothing of a packed storage is needed but its size */
        *out = (span){f->z.file.ptr, (size_t)entry->size, 0};
        return PG_E_OK;
    }
    return zip_read(&f->z, entry, 0, f->g->a, out, f->e);
}

/* The model that models/NAME.json is of, in the archive's root or in the one folder there; an empty name: it is no such file. */
static str model_name(str entry)
{
    static const char folder[] = "models/";
    const size_t n = sizeof folder - 1, ending = 5;
    const char *slash = entry.len ? memchr(entry.ptr, '/', entry.len) : NULL;
    if (slash && !str_starts(entry, folder)) {
        size_t skip = (size_t)(slash - entry.ptr) + 1;
        entry = (str){entry.ptr + skip, entry.len - skip};
    }
    if (!str_starts(entry, folder) || !str_ends(entry, ".json") || entry.len <= n + ending) return (str){NULL, 0};
    str name = {entry.ptr + n, entry.len - n - ending};
    return memchr(name.ptr, '/', name.len) ? (str){NULL, 0} : name;
}

/* Where torch.export puts the graph: newer files have a folder of models, older ones a name of its own. Of several models the one that
 * is asked for as a signature is taken, else one called "model", else the first. */
static pg_code find_export(torch_file *f, const zip_entry **out)
{
    const char *wanted = f->options ? f->options->signature : NULL;
    const zip_entry *first = NULL, *found = NULL;
    char names[200] = "";
    size_t len = 0, count = 0;
    for (uint32_t i = 0; i < f->z.count; i++) {
        const zip_entry *entry = &f->z.entries[i];
        str name = model_name(entry->name);
        if (!name.len) continue;
        if (!first) first = entry;
        if (str_is(name, wanted ? wanted : "model")) found = entry;
        if (len < sizeof names)
            len += format_text(names + len, sizeof names - len, "%s%.*s", count ? ", " : "", STR_ARG(name));
        count++;
    }
    *out = found ? found : first ? first : zip_find(&f->z, "serialized_exported_program.json");
    if (wanted && count && !found)
        return error_set(f->e, PG_E_USAGE, "the archive has no model '%.80s'; it has: %s", wanted, names);
    if (count > 1 && !wanted &&
        !graph_warn(f->g, "the archive holds %u models (%s), of which '%.*s' is read; --signature names another",
                    (unsigned)count, names, STR_ARG(model_name((*out)->name))))
        return error_nomem(f->e, f->g->a);
    return PG_E_OK;
}

static bool holds_compiled_code(const zip *z)
{
    for (uint32_t i = 0; i < z->count; i++) {
        str name = z->entries[i].name;
        for (size_t k = 0; k + 17 <= name.len; k++)
            if ((!k || name.ptr[k - 1] == '/') && !memcmp(name.ptr + k, "data/aotinductor/", 17)) return true;
    }
    return false;
}

static bool has_code(const zip *z)
{
    for (uint32_t i = 0; i < z->count; i++) {
        str name = z->entries[i].name;
        for (size_t k = 0; k + 14 <= name.len; k++)
            if ((!k || name.ptr[k - 1] == '/') && !memcmp(name.ptr + k, "code/__torch__", 14)) return true;
    }
    return false;
}

static pg_code load_archive(torch_file *f)
{
    pg_code code = zip_open(&f->z, f->in->bytes, f->g->a, f->e);
    if (!code) code = list_entries(f);
    if (code) return code;
    const zip_entry *exported = NULL;
    const pickle_value *root;
    code = find_export(f, &exported);
    if (code) return code;
    if (exported) return torch_load_export(f, exported);
    if (!zip_find(&f->z, "data.pkl") && holds_compiled_code(&f->z))
        return error_set(f->e, PG_E_UNSUPPORTED,
                         "the archive holds code that AOTInductor compiled for one machine, and no graph: give what "
                         "torch.export.save writes of the model");
    if (!zip_find(&f->z, "data.pkl"))
        return error_set(f->e, PG_E_UNSUPPORTED,
                         "the zip archive holds no data.pkl and no exported program, so it is no PyTorch model");
    code = torch_read_pickle(f, "data.pkl", &root);
    if (code) return code;
    return has_code(&f->z) ? torch_load_script(f, root) : torch_load_state(f, root);
}

static pg_code load_pickles(torch_file *f)
{
    span rest = f->in->bytes;
    const pickle_value *v;
    pg_code code = PG_E_OK;
    enum { BEFORE = 3 }; /* magic, protocol, facts of the machine */
    for (int i = 0; !code && is_legacy(f->in->bytes) && i < BEFORE; i++)
        code = pickle_read(&rest, torch_allow, f->g->a, &v, f->e);
    const pickle_value *root = NULL;
    if (!code) code = pickle_read(&rest, torch_allow, f->g->a, &root, f->e);
    if (!code && is_legacy(f->in->bytes)) code = pickle_read(&rest, torch_allow, f->g->a, &v, f->e); /* keys */
    f->after = rest.len;
    return code ? code : torch_load_state(f, root);
}

static pg_code torch_load(graph *g, const load_input *in, const load_options *options, pg_error *e)
{
    pg_error local = PG_ERROR_INIT;
    torch_file f = {.in = in, .options = options, .g = g, .e = e ? e : &local};
    g->format = STR("pytorch");
    g->producer = STR("PyTorch");
    pg_code code;
    if (in->folder) code = error_set(f.e, PG_E_UNSUPPORTED, "is a folder; give the model's file itself");
    else if (zip_is(in->bytes)) code = load_archive(&f);
    else if (is_pickle(in->bytes)) code = load_pickles(&f);
    else
        code = error_set(f.e, PG_E_FORMAT,
                         "is neither a zip archive nor a pickle, so not a file of torch.save (files from before "
                         "PyTorch 0.1.10 are tar archives: load and save them again)");
    if (!code) code = graph_rewrite(g, true, f.e);
    return error_is_set(f.e) ? f.e->code : code;
}

static int torch_probe(const load_input *in)
{
    bool named = load_ending(&load_torch_format, str_c(in->path)) > 0;
    if (in->folder) return 0;
    if (is_legacy(in->bytes)) return 100;
    if (is_pickle(in->bytes)) return 40;
    if (!zip_is(in->bytes)) return named ? LOAD_BY_NAME : 0;
    if (zip_has(in->bytes, "data.pkl") || zip_has(in->bytes, "serialized_exported_program.json") ||
        zip_has(in->bytes, "archive_format"))
        return 90;
    return named ? 30 : 0; /* cut off: let the loader say where */
}

const load_format load_torch_format = {"pytorch", "a PyTorch model", ".pt .pth .jit .bin .ckpt .pt2", torch_probe,
                                       torch_load};
