/* What a TensorFlow Lite file says of itself: buffers that the model's list of metadata names.
 *
 * 1. "min_runtime_version": text, filled up with zeros.
 * 2. "TFLITE_METADATA": a FlatBuffer of its own with the identifier "M001" and offsets of its own.
 *    ModelMetadata: name 0, description 1, version 2, subgraph_metadata 3, author 4, license 5, associated_files 6.
 *    SubGraphMetadata: name 0, description 1, input_tensor_metadata 2, output_tensor_metadata 3, associated_files 4.
 *    TensorMetadata: name 0, description 1, associated_files 6. They stand in the order of the subgraph's inputs and outputs.
 *    AssociatedFile: name 0, description 1. The files themselves are a zip archive behind the model.
 *
 * None of it matters to speed: where it is damaged, a warning says so and the model is read all the same. */
#include "load/tflite_internal.h"

enum { REMARKS_MOST = 256 }; /* of one file: lists may overlap */

typedef struct about_reader {
    tflite_reader *r;
    flatbuffer wire; /* of the metadata */
    pg_error e;
} about_reader;

static bool room(about_reader *b)
{
    return !error_is_set(&b->e) && b->r->g->n_remarks < REMARKS_MOST && tflite_charge(b->r, 1);
}

static void add_text(about_reader *b, const char *key, const flatbuffer_table *t, unsigned field)
{
    str text = flatbuffer_text(t, field);
    if (text.len && room(b)) graph_remark_add(b->r->g, key, "%.*s", STR_ARG(text));
}

/* "NAME: DESCRIPTION" of a table that begins with both, "TENSOR (NAME): DESCRIPTION" where the graph calls it otherwise. */
static void add_named(about_reader *b, const char *key, str end, const flatbuffer_table *t)
{
    str name = flatbuffer_text(t, 0), description = flatbuffer_text(t, 1);
    if (!room(b) || (!name.len && !description.len)) return;
    bool both = end.len && name.len && !str_eq(end, name);
    str shown = both ? name : STR("");
    if (!end.len) end = name;
    graph_remark_add(b->r->g, key, "%.*s%s%.*s%s%s%.*s", STR_ARG(end), both ? " (" : "", STR_ARG(shown),
                     both ? ")" : "", end.len && description.len ? ": " : "", STR_ARG(description));
}

static void add_files(about_reader *b, const flatbuffer_table *t, unsigned field)
{
    flatbuffer_vector list = flatbuffer_list(t, field, 4);
    for (uint32_t i = 0; i < list.n && room(b); i++) {
        flatbuffer_table file = flatbuffer_list_table(&list, i);
        add_named(b, "file", (str){NULL, 0}, &file);
    }
}

/* The name that the graph has for input or output i of the first subgraph. */
static str end_name(about_reader *b, const flatbuffer_vector *tensors, const flatbuffer_vector *ends, uint32_t i)
{
    int32_t index = i < ends->n ? flatbuffer_list_i32(ends, i) : -1;
    if (index < 0 || (uint32_t)index >= tensors->n || error_is_set(b->r->e)) return (str){NULL, 0};
    flatbuffer_table t = flatbuffer_list_table(tensors, (uint32_t)index);
    return flatbuffer_text(&t, 3);
}

static void add_ends(about_reader *b, const flatbuffer_table *metadata, bool outputs)
{
    flatbuffer_table body = flatbuffer_list_table(&b->r->graphs, 0);
    flatbuffer_vector tensors = flatbuffer_list(&body, 0, 4), ends = flatbuffer_list(&body, outputs ? 2 : 1, 4);
    flatbuffer_vector list = flatbuffer_list(metadata, outputs ? 3 : 2, 4);
    for (uint32_t i = 0; i < list.n && room(b); i++) {
        flatbuffer_table t = flatbuffer_list_table(&list, i);
        add_named(b, outputs ? "output" : "input", end_name(b, &tensors, &ends, i), &t);
        add_files(b, &t, 6);
    }
}

static void read_metadata(about_reader *b, span bytes)
{
    if (!flatbuffer_is(bytes, "M001")) {
        error_set(&b->e, PG_E_UNSUPPORTED, "its identifier is not M001");
        return;
    }
    b->wire = (flatbuffer){bytes, &b->e};
    flatbuffer_table model = flatbuffer_root(&b->wire);
    add_text(b, "name", &model, 0);
    add_text(b, "description", &model, 1);
    add_text(b, "version", &model, 2);
    add_text(b, "author", &model, 4);
    add_text(b, "license", &model, 5);
    add_files(b, &model, 6);
    flatbuffer_vector graphs = flatbuffer_list(&model, 3, 4);
    if (!graphs.n || error_is_set(&b->e)) return;
    flatbuffer_table first = flatbuffer_list_table(&graphs, 0);
    add_ends(b, &first, false);
    add_ends(b, &first, true);
    add_files(b, &first, 4);
}

static void read_runtime(about_reader *b, span bytes)
{
    size_t n = 0;
    while (n < bytes.len && bytes.ptr[n]) n++;
    if (n && room(b))
        graph_remark_add(b->r->g, "runtime", "TensorFlow Lite %.*s or newer",
                         STR_ARG(((str){(const char *)bytes.ptr, n})));
}

static void read_entry(about_reader *b, const flatbuffer_table *entry)
{
    str name = flatbuffer_text(entry, 0);
    bool metadata = str_is(name, "TFLITE_METADATA");
    if (!metadata && !str_is(name, "min_runtime_version")) return;
    int64_t index = flatbuffer_u32(entry, 1, 0);
    if (index >= (int64_t)b->r->buffers.n) {
        error_set(&b->e, PG_E_FORMAT, "it names a buffer that there isn't");
        return;
    }
    flatbuffer_table buffer = flatbuffer_list_table(&b->r->buffers, (uint32_t)index);
    span bytes = flatbuffer_bytes(&buffer, 0);
    if (error_is_set(b->r->e)) return;
    if (metadata) read_metadata(b, bytes);
    else read_runtime(b, bytes);
}

pg_code tflite_read_about(tflite_reader *r, const flatbuffer_table *model)
{
    about_reader b = {.r = r, .e = PG_ERROR_INIT};
    flatbuffer_vector list = flatbuffer_list(model, 6, 4);
    for (uint32_t i = 0; i < list.n && room(&b); i++) {
        flatbuffer_table entry = flatbuffer_list_table(&list, i);
        read_entry(&b, &entry);
    }
    if (error_is_set(&b.e))
        graph_warn(r->g,
                   "the file's description of itself (metadata) can't be read whole: %s; the model is read without it",
                   b.e.text);
    return tflite_status(r);
}
