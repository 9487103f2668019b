/* Shared by the files that read PyTorch's formats.
 *
 * A file of torch.save is one of
 * 1. a zip archive: NAME/data.pkl, a pickle in which tensors refer to storages by a key, and NAME/data/KEY, their bytes;
 * 2. the legacy format: pickles one after the other (a magic number, the protocol 1001, facts of the machine, the object, the
 *    list of keys), then per key the number of elements (8 bytes) and the bytes;
 * 3. TorchScript: an archive as in 1 whose classes are in NAME/code/__torch__/ as source, with CONSTANTS in constants.pkl;
 * 4. torch.export: an archive with the graph as JSON in models/NAME.json, or serialized_exported_program.json. */
#ifndef LOAD_TORCH_INTERNAL_H
#define LOAD_TORCH_INTERNAL_H

#include "base/map.h"
#include "load/weights.h"
#include "wire/pickle.h"
#include "wire/zip.h"

enum { TORCH_RANK = 8, TORCH_DEPTH = 100, TORCH_STEPS = 2000000, TORCH_PICKLE_MOST = 256 << 20 };

typedef struct torch_tensor {
    dtype type;
    int rank;
    int64_t dims[TORCH_RANK], strides[TORCH_RANK];
    int64_t offset;  /* elements */
    int64_t storage; /* elements of the storage that it is a view of; -1: it has none (a meta tensor, a NumPy array) */
    dtype storage_type;
    str key;
    bool parameter; /* wrapped as one */
} torch_tensor;

/* The names that a model's pickle may call: what they make is known, and is data. */
bool torch_allow(str name, pickle_call how);
/* A torch.Tensor, Parameter or NumPy array; false: it is something else. */
bool torch_tensor_of(const pickle_value *v, torch_tensor *out);
/* The type of a name like "torch.float16" or "torch.HalfStorage"; DT_UNKNOWN for others. */
dtype torch_type_of(str name);
dtype torch_type_of_code(int64_t code); /* c10::ScalarType */
/* What the elements of the tensor reach to in its storage must be there; false: it isn't, or is out of range. */
bool torch_view_fits(const torch_tensor *t);
bool torch_is_module(const pickle_value *v);

typedef struct torch_file {
    const load_input *in;
    const load_options *options;
    zip z;          /* count 0: the legacy format */
    map entries;    /* of the archive: the name without the first folder, to the index */
    uint64_t after; /* legacy: bytes behind the pickles */
    graph *g;
    pg_error *e;
} torch_file;

/* NULL: there is none of this name below the archive's folder. */
const zip_entry *torch_entry(const torch_file *f, str name);
/* The pickle of this name in the archive. */
pg_code torch_read_pickle(torch_file *f, const char *name, const pickle_value **out);
/* The bytes of a storage in the archive; an empty span where it holds none. */
pg_code torch_storage(torch_file *f, const char *folder, str key, span *out);

/* State dicts, checkpoints, pickled modules. */
pg_code torch_load_state(torch_file *f, const pickle_value *root);
/* TorchScript: `root` is the module in data.pkl. */
pg_code torch_load_script(torch_file *f, const pickle_value *root);
/* torch.export: the graph in this entry. */
pg_code torch_load_export(torch_file *f, const zip_entry *model);

#endif
