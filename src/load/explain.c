/* What a file is that isn't read, and what to do about it. */
#include "load/explain.h"

#include "load/folder.h"

/* By the first bytes. `advice` NULL: the list of formats that are read helps most. */
static const struct {
    uint16_t offset, len;
    const char *bytes, *name, *advice;
} magic[] = {
    {0, 8, "\211HDF\r\n\032\n", "an HDF5 file (Keras .h5)", NULL},
    {0, 2, "\037\213", "a gzip archive", "unpack it first"},
    {0, 6, "\3757zXZ", "an xz archive", "unpack it first"},
    {0, 4, "\050\265\057\375", "a zstd archive", "unpack it first"},
    {0, 3, "BZh", "a bzip2 archive", "unpack it first"},
    {0, 6, "7z\274\257\047\034", "a 7z archive", "unpack it first"},
    {0, 4, "Rar!", "a RAR archive", "unpack it first"},
    {257, 5, "ustar", "a tar archive", "unpack it first"},
    {0, 6, "node {", "a TensorFlow graph as text", "save it in binary form (.pb)"},
    {4, 4, "ORTM", "an ONNX Runtime file (.ort)", "give the .onnx file that it was made from"},
    {4, 4, "PTMF", "a PyTorch file for phones (.ptl)", "give the TorchScript file that it was made from"},
    {4, 4, "ET12", "an ExecuTorch program (.pte)", "give the torch.export file (.pt2) that it was made from"},
    {0, 6, "\223NUMPY", "an array of NumPy, which is no model", NULL},
    {0, 4, "\211PNG", "an image, which is no model", NULL},
    {0, 3, "\377\330\377", "an image, which is no model", NULL},
    {0, 5, "%PDF-", "a PDF document", NULL},
    {0, 4, "\177ELF", "a program", NULL},
    {0, 1, "{", "JSON text, but neither a model's config.json (there is no model_type in it) nor an index of weights",
     NULL},
    {0, 1, "<", "an HTML or XML page, perhaps a failed download", "fetch the model's file again"},
};

/* By the name alone. */
static const struct {
    const char *ending, *name, *advice;
} named[] = {
    {".engine", "a TensorRT engine, which holds kernels and no graph", "give the ONNX file that it was built from"},
    {".plan", "a TensorRT engine, which holds kernels and no graph", "give the ONNX file that it was built from"},
    {".trt", "a TensorRT engine, which holds kernels and no graph", "give the ONNX file that it was built from"},
    {".mlmodel", "a Core ML model", "give the model that it was converted from"},
    {".onnx.data", "weights of an ONNX model", "give the .onnx file beside it"},
    {".onnx_data", "weights of an ONNX model", "give the .onnx file beside it"},
    {".index", "an index of a TensorFlow checkpoint, which is weights alone", "give its .meta file, or a saved model"},
    {"-of-00001", "weights of a TensorFlow checkpoint", "give its .meta file, or a saved model"},
};

bool load_is_pointer(span f)
{
    static const char begin[] = "version https://git-lfs.";
    return f.len >= sizeof begin - 1 && !memcmp(f.ptr, begin, sizeof begin - 1);
}

static bool is_zip(span f)
{
    return f.len >= 4 && !memcmp(f.ptr, "PK\3\4", 4);
}

/* Whether the record that ends a zip archive is anywhere where it may be. */
static bool has_directory(span f)
{
    enum { RECORD = 22, COMMENT_MOST = 65535 };
    size_t least = f.len > RECORD + COMMENT_MOST ? f.len - RECORD - COMMENT_MOST : 0;
    for (size_t at = f.len; at-- > least;)
        if (f.len - at >= RECORD && !memcmp(f.ptr + at, "PK\5\6", 4)) return true;
    return false;
}

static const char *by_bytes(span f, const char **advice)
{
    *advice = NULL;
    if (load_is_pointer(f)) {
        *advice = "run `git lfs pull`";
        return "a Git LFS pointer, not the model itself";
    }
    if (is_zip(f)) {
        bool whole = has_directory(f);
        if (!whole) *advice = "fetch it again";
        return whole ? "a zip archive with no model in it that is known" : "a zip archive that is cut off";
    }
    for (size_t i = 0; i < sizeof magic / sizeof magic[0]; i++)
        if (f.len >= (size_t)magic[i].offset + magic[i].len &&
            !memcmp(f.ptr + magic[i].offset, magic[i].bytes, magic[i].len)) {
            *advice = magic[i].advice;
            return magic[i].name;
        }
    return NULL;
}

bool load_is_other(span f)
{
    const char *advice;
    return by_bytes(f, &advice) != NULL;
}

void load_explain(const load_input *in, const char *names, pg_error *e)
{
    const char *advice, *what = by_bytes(in->bytes, &advice);
    for (size_t i = 0; !what && i < sizeof named / sizeof named[0]; i++)
        if (str_ends(str_c(in->path), named[i].ending)) what = named[i].name, advice = named[i].advice;
    if (what && advice) error_set(e, PG_E_UNSUPPORTED, "looks like %s: %s", what, advice);
    else if (what) error_set(e, PG_E_UNSUPPORTED, "looks like %s; this version reads: %s", what, names);
    else
        error_set(e, PG_E_FORMAT,
                  "not a model file of a known format; this version reads: %s (--format NAME if you are sure)", names);
}

void load_explain_folder(const load_input *in, pg_error *e)
{
    enum { SHOWN = 3, MOST = 100 };
    static const char *const endings[] = {".onnx", ".tflite", ".keras", ".h5",   ".pb",          ".pt", ".pth",
                                          ".pt2",  ".jit",    ".bin",   ".gguf", ".safetensors", NULL};
    char list[256] = "";
    size_t n = 0, found = 0;
    arena a;
    arena_init(&a, load_allocator(in), (size_t)1 << 20);
    for (const char *const *ending = endings; *ending; ending++)
        for (size_t i = 0; found < MOST; i++, found++) {
            str name = load_name_at(in, *ending, i, &a);
            if (!name.ptr) break;
            if (found < SHOWN && n < sizeof list)
                n += format_text(list + n, sizeof list - n, "%s%.60s", found ? ", " : "", name.ptr);
        }
    arena_free(&a);
    if (found > SHOWN)
        error_set(e, PG_E_UNSUPPORTED, "is a folder and no model, but holds %s and %u more: give one of them", list,
                  (unsigned)(found - SHOWN));
    else if (found) error_set(e, PG_E_UNSUPPORTED, "is a folder and no model, but holds %s: give that file", list);
    else
        error_set(e, PG_E_UNSUPPORTED,
                  "is a folder in which no model is found (config.json, saved_model.pb, safetensors or GGUF files); "
                  "give the model's file itself");
}
