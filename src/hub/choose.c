#include "hub/choose.h"

#include "base/number.h"
#include "hub/text.h"

enum { LIST_MOST = 330 }; /* bytes of names in an error */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static str base_of(str path)
{
    size_t n = path.len;
    while (n && path.ptr[n - 1] != '/') n--;
    return (str){path.ptr + n, path.len - n};
}

static bool below(str path, str folder)
{
    return path.len > folder.len && (!folder.len || memcmp(path.ptr, folder.ptr, folder.len) == 0);
}

/* Directly in the folder. */
static bool lies_in(str path, str folder)
{
    return below(path, folder) && path.len - base_of(path).len == folder.len;
}

static bool is_weights(str path)
{
    static const char *const endings[] = {".gguf", ".safetensors", ".onnx", ".tflite", ".keras", ".h5",
                                          ".pt2",  ".pt",          ".pth",  ".ckpt",   ".bin",   ".pb"};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++)
        if (str_ends(path, endings[i])) return true;
    return false;
}

/* "-00002-of-00005.gguf": the number of the part; 0: the file is whole. *stem: what stands before. */
static unsigned part_number(str path, str *stem)
{
    const size_t n = strlen("-00001-of-00002.gguf");
    unsigned part = 0;
    *stem = path;
    if (path.len <= n || !str_ends(path, ".gguf")) return 0;
    const char *p = path.ptr + path.len - n;
    if (p[0] != '-' || memcmp(p + 6, "-of-", 4) != 0) return 0;
    for (int i = 1; i <= 5; i++) {
        if (p[i] < '0' || p[i] > '9' || p[9 + i] < '0' || p[9 + i] > '9') return 0;
        part = part * 10 + (unsigned)(p[i] - '0');
    }
    stem->len = path.len - n;
    return part;
}

static bool is_further_part(str path)
{
    str stem;
    return part_number(path, &stem) > 1;
}

static const hub_file *find_in(const hub_listing *l, str folder, const char *name, arena *a)
{
    const char *path = hub_text(a, "%.*s%s", STR_ARG(folder), name);
    return path ? listing_find(l, str_c(path)) : NULL;
}

static void add(hub_choice *c, const hub_file *f)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->files[i] == f) return;
    if (f && c->count < CHOICE_MOST) c->files[c->count++] = f;
}

/* What a loader looks for beside the weights. */
static void add_configs(hub_choice *c, const hub_listing *l, str folder, arena *a)
{
    static const char *const names[] = {"config.json", "quantize_config.json", "quant_config.json",
                                        "hf_quant_config.json", "adapter_config.json"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const hub_file *f = find_in(l, folder, names[i], a);
        if (f) add(c, f);
    }
}

static uint64_t size_with_parts(const hub_listing *l, const hub_file *f)
{
    str stem, other;
    uint64_t sum = 0;
    if (!part_number(f->path, &stem)) return f->size;
    for (size_t i = 0; i < l->count; i++)
        if (part_number(l->files[i].path, &other) && str_eq(stem, other) && l->files[i].size != SIZE_UNKNOWN)
            sum += l->files[i].size;
    return sum;
}

/* Candidates with their sizes, as far as the error has room. */
static pg_code say_which(const hub_listing *l, const hub_file *const *list, size_t count, const char *what, pg_error *e)
{
    char names[LIST_MOST + 1] = "", size[NUMBER_SIZE], shown[160];
    size_t used = 0, told = 0;
    for (; told < count; told++) {
        uint64_t bytes = size_with_parts(l, list[told]);
        hub_clean(shown, sizeof shown, list[told]->path);
        size_t n = format_text(names + used, sizeof names - used, "%s%s (%s)", told ? ", " : "", shown,
                               number_bytes(size, sizeof size, bytes == SIZE_UNKNOWN ? -1 : (double)bytes));
        if (used + n >= sizeof names) break;
        used += n;
    }
    names[used] = '\0';
    char more[32] = "";
    if (told < count) format_text(more, sizeof more, " and %zu more", count - told);
    return error_set(e, PG_E_AMBIGUOUS, "holds %s; say which with :FILE or a part of its name: %s%s", what, names,
                     more);
}

static void choose_file(hub_choice *c, const hub_listing *l, const hub_file *f, arena *a)
{
    str stem, other, base = base_of(f->path);
    str folder = {f->path.ptr, f->path.len - base.len};
    c->folder = folder;
    c->file = f;
    if (part_number(f->path, &stem)) {
        for (size_t i = 0; i < l->count; i++) {
            unsigned k = part_number(l->files[i].path, &other);
            if (!k || !str_eq(stem, other)) continue;
            add(c, &l->files[i]);
            if (k == 1) c->file = &l->files[i];
        }
        return;
    }
    add(c, f);
    if (str_ends(f->path, ".safetensors.index.json")) c->index = f;
    if (str_ends(f->path, ".safetensors") || c->index) add_configs(c, l, folder, a);
    if (!str_is(base, "saved_model.pb")) return;
    c->file = NULL;
    for (size_t i = 0; i < l->count; i++) {
        str p = l->files[i].path;
        bool small = lies_in(p, folder) ? str_ends(p, ".pb") : str_ends(p, "variables/variables.index");
        if (below(p, folder) && small) add(c, &l->files[i]);
    }
}

typedef bool accepts(const hub_file *f, str folder, const char *what);

static bool ends_below(const hub_file *f, str folder, const char *ending)
{
    return below(f->path, folder) && str_ends(f->path, ending) && !is_further_part(f->path);
}

static bool ends_in(const hub_file *f, str folder, const char *ending)
{
    return lies_in(f->path, folder) && str_ends(f->path, ending);
}

static bool other_model(const hub_file *f, str folder, const char *ignored)
{
    (void)ignored;
    return below(f->path, folder) && is_weights(f->path) && !str_ends(f->path, ".gguf") && !str_ends(f->path, ".onnx");
}

/* GGUF files that hold no language model: the eyes of one, and statistics for quantising. */
static bool is_companion(str path)
{
    str base = base_of(path);
    for (size_t i = 0; i + 7 <= base.len; i++)
        if (memcmp(base.ptr + i, "imatrix", 7) == 0) return true;
    return str_starts(base, "mmproj");
}

static size_t gather(const hub_file **out, const hub_listing *l, str folder, accepts *wanted, const char *what)
{
    size_t n = 0;
    for (size_t i = 0; i < l->count && n < CHOICE_MOST; i++)
        if (wanted(&l->files[i], folder, what) && !is_companion(l->files[i].path)) out[n++] = &l->files[i];
    return n;
}

/* The weights of config.json: one file, or the index of several. */
static const hub_file *main_safetensors(const hub_listing *l, str folder, const hub_file **list, arena *a)
{
    static const char *const names[] = {"model.safetensors", "model.safetensors.index.json",
                                        "diffusion_pytorch_model.safetensors",
                                        "diffusion_pytorch_model.safetensors.index.json"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const hub_file *f = find_in(l, folder, names[i], a);
        if (f) return f;
    }
    return gather(list, l, folder, ends_in, ".safetensors") == 1 ? list[0] : NULL;
}

static pg_code choose_onnx(hub_choice *c, const hub_listing *l, str folder, const hub_file **list, size_t n, arena *a,
                           pg_error *e)
{
    const hub_file *f = find_in(l, folder, "onnx/model.onnx", a);
    if (!f) f = find_in(l, folder, "model.onnx", a);
    if (!f && n > 1) return say_which(l, list, n, "several ONNX files", e);
    choose_file(c, l, f ? f : list[0], a);
    return PG_E_OK;
}

static pg_code choose_nothing(const hub_listing *l, str folder, arena *a, pg_error *e)
{
    if (find_in(l, folder, "model_index.json", a))
        return error_set(e, PG_E_UNSUPPORTED,
                         "is a pipeline of several models; say which with its folder, as in :unet or :transformer");
    return error_set(e, PG_E_UNSUPPORTED, "holds no model that can be read (%zu files%s)", l->count,
                     l->count ? ", none of them a config.json or of a known kind" : "");
}

static pg_code choose_folder(hub_choice *c, const hub_listing *l, str folder, arena *a, pg_error *e)
{
    const hub_file **list = ARENA_ARRAY(a, const hub_file *, CHOICE_MOST);
    if (!list) return error_nomem(e, a);
    const hub_file *config = find_in(l, folder, "config.json", a);
    const hub_file *weights = main_safetensors(l, folder, list, a);
    c->folder = folder;
    if (config && weights) {
        choose_file(c, l, weights, a);
        c->file = NULL;
        return PG_E_OK;
    }
    size_t n = gather(list, l, folder, ends_below, ".gguf");
    if (n > 1) return say_which(l, list, n, "several GGUF files", e);
    if (n == 1) {
        choose_file(c, l, list[0], a);
        return PG_E_OK;
    }
    size_t onnx = gather(list, l, folder, ends_below, ".onnx");
    bool others = false;
    for (size_t i = 0; i < l->count && config; i++)
        others = others || (lies_in(l->files[i].path, folder) && is_weights(l->files[i].path) &&
                            !str_ends(l->files[i].path, ".onnx"));
    if (config && (others || !onnx)) {
        add_configs(c, l, folder, a);
        if (others)
            c->note = "the weights are not in safetensors: what config.json says of the model is all that was read";
        return PG_E_OK;
    }
    if (onnx) return choose_onnx(c, l, folder, list, onnx, a, e);
    const hub_file *saved = find_in(l, folder, "saved_model.pb", a);
    if (!weights && !saved) {
        n = gather(list, l, folder, other_model, NULL);
        if (n > 1 && find_in(l, folder, "model_index.json", a)) return choose_nothing(l, folder, a, e);
        if (n > 1) return say_which(l, list, n, "several model files", e);
        if (!n) return choose_nothing(l, folder, a, e);
        weights = list[0];
    }
    choose_file(c, l, saved ? saved : weights, a);
    return PG_E_OK;
}

static bool is_word_char(char c)
{
    return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') || c == '_';
}

/* Whether the name holds the part, whatever its case; `whole`: as a word, so that Q4_K does not mean Q4_K_M. */
static bool holds_part(str name, str part, bool whole)
{
    for (size_t i = 0; i + part.len <= name.len; i++) {
        size_t k = 0;
        while (k < part.len && lower(name.ptr[i + k]) == lower(part.ptr[k])) k++;
        if (k < part.len) continue;
        bool apart = (!i || !is_word_char(name.ptr[i - 1])) && (i + k == name.len || !is_word_char(name.ptr[i + k]));
        if (apart || !whole) return true;
    }
    return false;
}

static size_t gather_parts(const hub_file **list, const hub_listing *l, str part, bool whole)
{
    size_t n = 0;
    for (size_t i = 0; i < l->count && n < CHOICE_MOST; i++) {
        str p = l->files[i].path;
        if (is_weights(p) && !is_further_part(p) && holds_part(p, part, whole)) list[n++] = &l->files[i];
    }
    return n;
}

static pg_code choose_named(hub_choice *c, const hub_listing *l, str name, arena *a, pg_error *e)
{
    const hub_file *f = listing_find(l, name);
    if (f) {
        choose_file(c, l, f, a);
        return PG_E_OK;
    }
    const char *folder = hub_text(a, "%.*s/", STR_ARG(name));
    const hub_file **list = ARENA_ARRAY(a, const hub_file *, CHOICE_MOST);
    if (!folder || !list) return error_nomem(e, a);
    for (size_t i = 0; i < l->count; i++)
        if (below(l->files[i].path, str_c(folder))) return choose_folder(c, l, str_c(folder), a, e);
    size_t n = gather_parts(list, l, name, true);
    if (!n) n = gather_parts(list, l, name, false);
    if (n > 1) return say_which(l, list, n, "several files of that name", e);
    if (n == 1) {
        choose_file(c, l, list[0], a);
        return PG_E_OK;
    }
    char shown[120];
    hub_clean(shown, sizeof shown, name);
    const hub_file *near = NULL;
    unsigned best = 4;
    for (size_t i = 0; i < l->count; i++) {
        unsigned d = str_distance(base_of(l->files[i].path), base_of(name), best);
        if (d >= best) continue;
        best = d;
        near = &l->files[i];
    }
    if (near)
        return error_set(e, PG_E_NOT_FOUND, "has no file '%s' at this revision; did you mean '%.*s'?", shown,
                         STR_ARG(near->path));
    return error_set(e, PG_E_NOT_FOUND, "has no file '%s' at this revision, and none whose name holds that", shown);
}

pg_code choose(hub_choice *out, const hub_listing *l, const hub_name *name, arena *a, pg_error *e)
{
    *out = (hub_choice){.files = ARENA_ARRAY(a, const hub_file *, CHOICE_MOST)};
    if (!out->files) return error_nomem(e, a);
    pg_code code = name->file.len ? choose_named(out, l, name->file, a, e) : choose_folder(out, l, STR(""), a, e);
    return !code && a->failed ? error_nomem(e, a) : code;
}

pg_code choose_shards(hub_choice *c, const hub_listing *l, span index, arena *a, pg_error *e)
{
    const hub_file **shards;
    size_t n;
    str base = base_of(c->index->path);
    str folder = {c->index->path.ptr, c->index->path.len - base.len};
    pg_code code = listing_shards(&shards, &n, l, folder, index, a, e);
    for (size_t i = 0; !code && i < n; i++) add(c, shards[i]);
    return code;
}
