/* Which files of a repository say what the model is.
 *
 *   1. config.json with safetensors: both, and every part of the weights
 *   2. GGUF: the only one, with its parts
 *   3. config.json with weights of another kind: config.json alone
 *   4. ONNX: onnx/model.onnx, model.onnx, or the only one
 *   5. safetensors alone, config.json alone, a saved model of TensorFlow, the only file of another known kind
 *
 * Where there are several, the person must say which: the error lists them. */
#ifndef HUB_CHOOSE_H
#define HUB_CHOOSE_H

#include "hub/listing.h"
#include "hub/name.h"

enum { CHOICE_MOST = 1100 };

typedef struct hub_choice {
    const hub_file **files; /* CHOICE_MOST of them have room */
    size_t count;
    const hub_file *file;  /* what is loaded; NULL: the folder */
    str folder;            /* "" or "unet/" */
    const hub_file *index; /* among the files: the parts that it names are wanted too */
    const char *note;      /* what was left out; NULL: nothing */
} hub_choice;

/* PG_E_NOT_FOUND: no such file; PG_E_AMBIGUOUS: several; PG_E_UNSUPPORTED: none that is a model. */
pg_code choose(hub_choice *out, const hub_listing *l, const hub_name *name, arena *a, pg_error *e);
/* Adds the parts of the index. */
pg_code choose_shards(hub_choice *c, const hub_listing *l, span index, arena *a, pg_error *e);

#endif
