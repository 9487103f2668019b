/* Zip archives, as far as PyTorch, Keras and NumPy write them.
 *
 * 1. An archive is read from its end: the end record "PK\5\6" (22 bytes and a comment of at most 65535) gives the number of
 *    entries, and the length and offset of the directory; what is 0xffff or 0xffffffff there stands in the 64-bit end record
 *    "PK\6\6", which the locator "PK\6\7" in the 20 bytes before the end record points to.
 * 2. Directory: per entry "PK\1\2", method at 10, CRC at 16, packed size at 20, size at 24, lengths of name, extra and comment at
 *    28, 30, 32, offset of the local header at 42; 46 bytes, then name, extra, comment.
 * 3. Extra field 1: in this order the 64-bit size, packed size, offset, as far as the 32-bit ones are 0xffffffff.
 * 4. Local header: "PK\3\4", lengths of name and extra at 26 and 28; 30 bytes, then both, then the data.
 * 5. Method 0: stored; 8: deflate. Others, encryption and archives in several parts are refused.
 *
 * Stored entries are views into the file, so that archives of many gigabytes of weights cost nothing. */
#ifndef WIRE_ZIP_H
#define WIRE_ZIP_H

#include "wire/span.h"

typedef struct zip_entry {
    str name;
    uint64_t size, packed; /* bytes, unpacked and as stored */
    uint64_t header;       /* offset of the local header */
    uint16_t method;
} zip_entry;

typedef struct zip {
    span file;
    const zip_entry *entries;
    uint32_t count;
} zip;

enum { ZIP_ENTRIES = 1 << 20 };

bool zip_is(span file); /* begins as an archive does */
/* Whether the directory has an entry of this name, or one that ends in "/name"; false for damaged archives too. */
bool zip_has(span file, const char *name);
pg_code zip_open(zip *z, span file, arena *a, pg_error *e);
/* The entry of this name, or one that ends in "/name" (PyTorch puts all into a folder); NULL: none. */
const zip_entry *zip_find(const zip *z, const char *name);
/* The contents: a view where they are stored, unpacked into the arena where not. More than `most` bytes unpacked is PG_E_LIMIT. */
pg_code zip_read(const zip *z, const zip_entry *entry, uint64_t most, arena *a, span *out, pg_error *e);

#endif
