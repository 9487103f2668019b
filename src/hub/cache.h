/* The cache that huggingface_hub made, in its own layout, so that what Python fetched is found here and the other way round:
 *
 *   1. models--ORG--NAME/refs/REVISION            the commit that a branch or tag stood for, without a line break
 *   2. models--ORG--NAME/blobs/ETAG               contents; ETAG.8HEX.incomplete while they arrive
 *   3. models--ORG--NAME/snapshots/COMMIT/PATH    a relative link to its blob, or the file itself where links don't work
 *   4. models--ORG--NAME/.no_exist/COMMIT/PATH    an empty file: the repository has no such file
 *   5. .locks/models--ORG--NAME/ETAG.lock         flock()ed by who fetches the blob
 *
 * Links are followed only within models--ORG--NAME: a cache may have been unpacked from a stranger's archive. */
#ifndef HUB_CACHE_H
#define HUB_CACHE_H

#include "hub/config.h"

typedef struct hub_cache {
    arena *a;
    const char *root, *repository; /* models--ORG--NAME, with the path of the root in front */
    const char *locks;
    const char *own; /* the same folder of our own cache: headers, listings, views */
} hub_cache;

pg_code cache_open(hub_cache *c, const hub_config *config, str repository, arena *a, pg_error *e);
/* The commit that the revision stood for, of both caches the one that was written later; len 0: not known. */
str cache_commit(const hub_cache *c, str revision);
/* Writes down what a revision stands for: in our cache ... */
pg_code cache_set_commit(const hub_cache *c, str revision, str commit, pg_error *e);
/* ... and in the shared one, once it has a file of that commit. An entry that has files stays: they would be lost to who is
 * offline. */
pg_code cache_share_commit(const hub_cache *c, str revision, str commit, pg_error *e);

/* The whole file, as a path without links; NULL: not there. PG_E_FORMAT in *e: its link leads out of the repository's folder. */
const char *cache_find(const hub_cache *c, str commit, str path, pg_error *e);
/* Links the blob into the snapshot; as cache_find. */
const char *cache_link(const hub_cache *c, str commit, str path, str etag, pg_error *e);
bool cache_has_blob(const hub_cache *c, str etag);
bool cache_is_known_missing(const hub_cache *c, str commit, str path);
pg_code cache_set_missing(const hub_cache *c, str commit, str path, pg_error *e);

/* A blob that is being fetched: `have` bytes of it are there from an earlier time. */
typedef struct cache_blob {
    const char *path, *partial;
    int fd, lock; /* lock -1: could not be had; then the partial file is ours alone */
    uint64_t have;
} cache_blob;

/* Waits for another process that fetches the same blob, for some time. fd -1 and PG_E_OK: the blob came meanwhile. What began is
 * ended by one of the others; an error leaves nothing to end. */
pg_code cache_blob_begin(cache_blob *b, const hub_cache *c, const hub_config *config, str etag, pg_error *e);
pg_code cache_blob_end(cache_blob *b, pg_error *e);
/* Keeps what arrived for the next time. */
void cache_blob_stop(cache_blob *b);
/* The same, but nothing is kept: what arrived can't be right. */
void cache_blob_drop(cache_blob *b);

/* Each file of a snapshot, by name: for a repository of which only the cache is known. */
typedef bool cache_visit(void *ud, str path, uint64_t size);
void cache_files(const hub_cache *c, str commit, cache_visit *visit, void *ud);

#endif
