/* What a repository holds: the Hub's answer to GET /api/models/ID/revision/REV?blobs=true
 *
 *   {"id": "org/name", "sha": COMMIT, "siblings": [{"rfilename": PATH, "size": N, "blobId": SHA1, "lfs": {"sha256": S, "size": N}}]}
 *
 * or, where only the cache is at hand, its files. */
#ifndef HUB_LISTING_H
#define HUB_LISTING_H

#include "wire/span.h"

#define SIZE_UNKNOWN UINT64_MAX

typedef struct hub_file {
    str path;
    uint64_t size; /* or SIZE_UNKNOWN */
    str etag;      /* what its blob is called; len 0: not known */
} hub_file;

typedef struct hub_listing {
    str id, commit;
    hub_file *files;
    size_t count, cap;
    bool partial;     /* not the Hub's list, but what a cache holds: files that it lacks may be there all the same */
    uint32_t refused; /* names that lead out of a folder: not listed */
} hub_listing;

/* Copies into the arena. Unsafe names of files are left out and counted. */
pg_code listing_read(hub_listing *l, span json, arena *a, pg_error *e);
bool listing_add(hub_listing *l, str path, uint64_t size, str etag, arena *a);
const hub_file *listing_find(const hub_listing *l, str path);

/* The distinct files of a "weight_map" (model.safetensors.index.json), seen from the folder that the index lies in. */
pg_code listing_shards(const hub_file ***out, size_t *count, const hub_listing *l, str folder, span json, arena *a,
                       pg_error *e);

#endif
