/* From a file to a graph: one file per format, one registry that looks at the bytes. */
#ifndef LOAD_LOAD_H
#define LOAD_LOAD_H

#include "graph/graph.h"
#include "wire/span.h"

/* The shape of an input, as the user gave it. */
typedef struct load_shape {
    const char *name;
    int rank;
    const int64_t *dims;
} load_shape;

typedef struct load_options {
    const char *format;    /* NULL: the bytes decide */
    const char *signature; /* which of a saved model's signatures, or of an archive's models; NULL: its default */
    const char *
        architecture; /* weights without a graph: the built-in model that they are of; NULL: told by names and shapes */
    const load_shape *shapes; /* formats that say nothing of their inputs need them before the graph is made */
    size_t shape_count;
    int64_t image_size; /* likewise; 0: not given */
    uint64_t memory_limit;
    uint32_t max_depth; /* nesting of subgraphs and functions; 0: 64 */
    bool mapped;        /* the bytes are a load_file's: load_file_drop may be called on them */
} load_options;

/* Other files that a model consists of: shards, configurations. Kept open as long as the model, since names point into them. */
typedef struct load_files load_files;

/* What a model is loaded from: a file, or a folder. */
typedef struct load_input {
    const char *path;   /* as the user gave it, for its name alone */
    bool folder;        /* then there are no bytes */
    span bytes;         /* of the file */
    load_files *beside; /* NULL: bytes in memory, there is nothing else to look at */
} load_input;

/* Whether there is a regular file of this name in the folder, or beside the file. `name` may have folders in front, as in
 * "variables/variables.index"; one that leads out of the folder ("../x", "/x") is not there. */
bool load_has(const load_input *in, const char *name);
/* The same, and its bytes, for names that a stranger's file gives: with links followed, it must lie in the folder of the model, or of
 * the file that the model's own name links to (a cache keeps both in one). */
bool load_lies_beside(const load_input *in, const char *name, uint64_t *size);
/* Whether the name leads out of there, by itself or by a link, whatever it leads to. */
bool load_leads_out(const load_input *in, const char *name);
/* Maps that file; missing is PG_E_IO. At most LOAD_FILES of them; the same name twice is the same file. */
pg_code load_beside(const load_input *in, const char *name, span *out, pg_error *e);
/* Whether any name in the folder, or beside the file, ends so. */
bool load_has_ending(const load_input *in, const char *ending);
/* Names in the folder, or beside the file, that end so, in alphabetical order; name i is copied into the arena. ptr NULL: no more. */
str load_name_at(const load_input *in, const char *ending, size_t i, arena *a);
allocator load_allocator(const load_input *in); /* `beside` must be there */

/* A format. `probe` looks at the bytes and never fails: 0 = no, 100 = certain (magic number); structure scores between.
 * `load` fills an initialised graph whose strings may point into the input. Where the input holds no graph it sets graph.missing. */
typedef struct load_format {
    const char *name;       /* what --format takes */
    const char *title;      /* what a person calls it */
    const char *extensions; /* ".onnx .pb", separated by a space */
    int (*probe)(const load_input *in);
    pg_code (*load)(graph *g, const load_input *in, const load_options *options, pg_error *e);
} load_format;

enum { LOAD_BY_NAME = 10 }; /* the score of a file whose name alone speaks for the format */
enum { LOAD_FILES = 1024 };

extern const load_format load_onnx_format;
extern const load_format load_hf_format;
extern const load_format load_tflite_format;
extern const load_format load_keras_format;
extern const load_format load_torch_format;
extern const load_format load_safetensors_format;
extern const load_format load_tf_format;
extern const load_format load_gguf_format;

/* Whether a name ends as files of the format do, and how many bytes that ending has; 0: no. */
size_t load_ending(const load_format *f, str name);
/* Format i in the registry, or NULL past the end. */
const load_format *load_format_at(size_t i);

/* The format of the bytes, or NULL: then *e says what they look like instead. Two formats with one score are PG_E_AMBIGUOUS. */
const load_format *load_detect(const load_input *in, const char *format, pg_error *e);

/* A file mapped read-only. Reading weights is never needed, so only the pages that are looked at become resident.
 * It stays mapped as long as the model lives, since names point into it. Removing or replacing the file is harmless; but who cuts
 * the same file off meanwhile makes reads behind its new end fatal (SIGBUS), as with any mapped file: a library can't catch that.
 * Download to another name and rename, as every tool does that can be trusted with large files. */
typedef struct load_file {
    span bytes;
    void *map;
    size_t map_len;
} load_file;

pg_code load_file_open(load_file *f, const char *path, pg_error *e);
/* A file or a folder, with what lies in it or beside it. `in` points into *files and is valid until they are closed. */
pg_code load_files_open(load_files **files, const char *path, allocator alloc, load_input *in, pg_error *e);
void load_files_close(load_files *files);
void load_file_close(load_file *f);
/* Lets go of the resident pages within bytes that were looked at; they can be looked at again. */
void load_file_drop(span bytes);

#endif
