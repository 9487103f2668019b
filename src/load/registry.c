#include "load/load.h"

/* Cheap probes first. Adding a format is one row here and one file. */
static const load_format *const formats[] = {
    /* A row a line. */
    /* clang-format off */
    &load_onnx_format,
    &load_hf_format,
    &load_tflite_format,
    &load_keras_format,
    &load_torch_format,
    &load_safetensors_format,
    &load_tf_format,
    &load_gguf_format,
    /* clang-format on */
};

enum { FORMATS = sizeof formats / sizeof formats[0] };

const load_format *load_format_at(size_t i)
{
    return i < FORMATS ? formats[i] : NULL;
}

size_t load_ending(const load_format *f, str name)
{
    for (const char *at = f->extensions; *at;) {
        size_t n = strcspn(at, " ");
        if (name.len > n && !memcmp(name.ptr + name.len - n, at, n)) return n;
        at += n + (at[n] == ' ');
    }
    return 0;
}

/* Formats that people have and that are not read (yet): named, so that the error helps. */
static const char *other_format(span f)
{
    static const struct {
        size_t offset, len;
        const char *bytes, *name;
    } magic[] = {
        {0, 4, "PK\3\4", "a zip archive with no model in it that is known"},
        {0, 8, "\211HDF\r\n\032\n", "an HDF5 file (Keras .h5)"},
        {0, 2, "\037\213", "a gzip archive; unpack it first"},
        {0, 6, "\3757zXZ", "an xz archive; unpack it first"},
        {0, 6, "node {", "a TensorFlow graph as text; save it in binary form (.pb)"},
        {0, 5, "%PDF-", "a PDF document"},
        {0, 4, "\177ELF", "a program"},
        {0, 8, "version ", "a Git LFS pointer, not the model itself: run `git lfs pull`"},
        {0, 1, "{", "JSON text"},
        {0, 1, "<", "an HTML or XML page, perhaps a failed download"},
    };
    for (size_t i = 0; i < sizeof magic / sizeof magic[0]; i++)
        if (f.len >= magic[i].offset + magic[i].len && !memcmp(f.ptr + magic[i].offset, magic[i].bytes, magic[i].len))
            return magic[i].name;
    return NULL;
}

static void format_names(char *out, size_t cap)
{
    size_t n = 0;
    for (size_t i = 0; i < FORMATS && n < cap; i++)
        n += format_text(out + n, cap - n, "%s%s", i ? ", " : "", formats[i]->name);
}

const load_format *load_detect(const load_input *in, const char *format, pg_error *e)
{
    char names[128];
    format_names(names, sizeof names);
    if (format) {
        for (size_t i = 0; i < FORMATS; i++)
            if (!strcmp(formats[i]->name, format)) return formats[i];
        error_set(e, PG_E_USAGE, "unknown format '%s'; known: %s", format, names);
        return NULL;
    }
    const load_format *best = NULL, *tie = NULL;
    int best_score = 0;
    for (size_t i = 0; i < FORMATS; i++) {
        int score = formats[i]->probe(in);
        if (score > best_score) {
            best = formats[i];
            best_score = score;
            tie = NULL;
        } else if (score && score == best_score) {
            tie = formats[i];
        }
    }
    if (tie) {
        error_set(e, PG_E_AMBIGUOUS, "could be %s or %s; say which with --format", best->title, tie->title);
        return NULL;
    }
    if (in->folder && !best) {
        error_set(e, PG_E_UNSUPPORTED, "is a folder in which no model is found; give the model's file itself");
        return NULL;
    }
    span file = in->bytes;
    const char *other = other_format(file);
    if (best && !(other && best_score <= LOAD_BY_NAME))
        return best; /* a name alone doesn't outweigh what the bytes say */
    if (other) error_set(e, PG_E_UNSUPPORTED, "looks like %s; this version reads: %s", other, names);
    else
        error_set(e, PG_E_FORMAT,
                  "not a model file of a known format; this version reads: %s (--format NAME if you are sure)", names);
    return NULL;
}
