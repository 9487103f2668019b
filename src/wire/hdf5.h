/* HDF5 files, as far as h5py writes them for Keras: groups, attributes, and what datasets are. Their contents are never read.
 *
 * All numbers are little-endian; O and L are the sizes of offsets and lengths that the superblock gives; an offset of all ones is
 * none. Offsets count from the signature.
 *
 * 1. The signature "\211HDF\r\n\032\n" stands at 0, 512, 1024, 2048, ... Then the superblock: version.
 *    Version 0 and 1: O at 13, L at 14; from 24 on (version 1: 28) four offsets and the root's symbol table entry (6).
 *    Version 2 and 3: O at 9, L at 10; from 12 on base, extension, end of file, and the offset of the root's object header.
 * 2. Object header, version 1: version, 0, messages (2), references (4), bytes of messages (4), 4 of padding; each message: type (2),
 *    size (2), flags, 3 of padding, data. Version 2: "OHDR", version, flags, 16 of times (flag 32), 4 of attribute limits (flag 16),
 *    bytes of messages (1, 2, 4 or 8 by flags 1 and 2); each message: type (1), size (2), flags, creation order (2, flag 4), data;
 *    a checksum (4) at the end.
 * 3. Messages: 1 dataspace, 2 link info, 3 datatype, 6 link, 8 data layout, 12 attribute, 16 continuation (offset, length: more
 *    messages, in version 2 between "OCHK" and a checksum), 17 symbol table, 21 attribute info.
 * 4. Dataspace: version, rank, flags, then version 1: 5 of padding, version 2: kind (0 scalar, 1 simple, 2 null); a length for each dim.
 *    Datatype: class (low 4 bits) and version, 3 of flags, size (4), and what the class needs. Classes: 0 integer (flag 8: signed),
 *    1 float, 3 text of fixed size, 8 enumeration, 9 variable length (flag 1: text).
 *    Attribute: version, flags, sizes (2 each) of name, datatype and dataspace, version 3: character set, then name, datatype,
 *    dataspace (version 1: each padded to 8), data.
 * 5. Old groups: the symbol table message has the offsets of a B-tree and a local heap. Tree node: "TREE", kind 0, level, entries (2), two
 *    siblings, then key (L) and child in turn; at level 0 the children are "SNOD", version, 0, entries (2), symbol table entries.
 * 6. Symbol table entry: offset of the name in the heap, object header, 4 + 4 + 16 that don't matter. Local heap: "HEAP", version, 3 of
 *    padding, size (L), free list (L), offset of the data.
 * 7. New groups: a link message each, or the link info message's fractal heap of them, with a version 2 B-tree of their names. Link: version
 *    1, flags, kind (flag 8; 0: hard), order (8, flag 4), character set (flag 16), length of the name (1, 2, 4 or 8 by flags 1 and 2),
 *    name, object header. Many attributes are kept the same way (attribute info).
 * 8. Version 2 B-tree: "BTHD", version, kind, node size (4), record size (2), depth (2), 2 of splitting, root, records in it (2). Nodes:
 *    "BTIN" or "BTLF", version, kind, records, and of inner nodes the children: offset, records in it, records below it (where its
 *    children are inner nodes too), in as few bytes as the most that fit need.
 * 9. Fractal heap: "FRHP"; hdf5_heap.c reads it.
 * 10. Text of variable length: length (4), offset of a collection, index (4). Collection: "GCOL", version, 3 of padding, size (L), then
 *    objects: index (2), references (2), 4 of padding, size (L), data padded to 8.
 *
 * Why not libhdf5: it can't be told how much memory, time and depth a file may cost, and it crashes on hostile ones. Here every read
 * is checked against the file, and each step of a walk counts against one budget, so that loops of offsets end. Checksums are not
 * verified. */
#ifndef WIRE_HDF5_H
#define WIRE_HDF5_H

#include "wire/span.h"

typedef enum hdf5_class {
    HDF5_OTHER,
    HDF5_INT,
    HDF5_UINT,
    HDF5_FLOAT,
    HDF5_BFLOAT, /* 16 bits, 8 of them exponent */
    HDF5_BOOL,
    HDF5_TEXT, /* of fixed size */
    HDF5_VARIABLE_TEXT,
} hdf5_class;

enum { HDF5_RANK = 8 };

/* What the elements of a dataset or an attribute are. */
typedef struct hdf5_type {
    hdf5_class class;
    uint32_t size; /* bytes per element */
    int rank;      /* 0: one element; -1: none, or more than HDF5_RANK dims */
    uint64_t dims[HDF5_RANK];
    uint64_t count; /* elements; UINT64_MAX when they don't fit into 64 bits */
} hdf5_type;

typedef struct hdf5 {
    span file; /* from the signature on */
    arena *a;
    uint64_t root;   /* object header */
    uint64_t end;    /* how long the file should be */
    uint64_t budget; /* steps of walks that are left */
    uint8_t o, l;    /* sizes of offsets and lengths */
} hdf5;

typedef struct hdf5_link {
    str name;
    uint64_t object;
} hdf5_link;

typedef struct hdf5_attr {
    str name;
    hdf5_type type;
    span data;
} hdf5_attr;

/* One object: a dataset, or a group with its links. Names point into the file. */
typedef struct hdf5_object {
    bool dataset;
    hdf5_type type; /* of a dataset */
    hdf5_link *links;
    uint32_t n_links, cap_links;
    hdf5_attr *attrs;
    uint32_t n_attrs, cap_attrs;
} hdf5_object;

bool hdf5_is(span file);
pg_code hdf5_open(hdf5 *h, span file, arena *a, pg_error *e);
/* The object whose header is there; its lists lie in the arena. */
pg_code hdf5_read(hdf5 *h, uint64_t object, hdf5_object *out, pg_error *e);
/* NULL: there is none of that name. */
const hdf5_attr *hdf5_find_attr(const hdf5_object *o, const char *name);
const hdf5_link *hdf5_find_link(const hdf5_object *o, const char *name);
/* Element i of an attribute that holds text, without what pads it; ptr NULL: it holds none, or there is no such element. */
str hdf5_text(hdf5 *h, const hdf5_attr *t, uint64_t i);

#endif
