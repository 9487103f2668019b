#include "load/explain.h"

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
        load_explain_folder(in, e);
        return NULL;
    }
    if (best && (best_score > LOAD_BY_NAME || !load_is_other(in->bytes)))
        return best; /* a name alone doesn't outweigh what the bytes say */
    load_explain(in, names, e);
    return NULL;
}
