/* One file of a repository on this machine: whole in the shared cache, or, of a file of weights, its header in ours. */
#ifndef HUB_FETCH_H
#define HUB_FETCH_H

#include "hub/cache.h"
#include "hub/http.h"
#include "hub/listing.h"

typedef struct hub_session {
    const hub_config *config;
    arena *a;
    allocator alloc;
    http *net; /* opened when it is first needed */
    bool offline;
    hub_cache cache;
    str repository; /* as the Hub calls it now */
    str revision;
    hub_listing listing;
    unsigned fetched; /* files */
} hub_session;

/* http_get, with whoever is to be asked opened first. */
pg_code fetch_get(hub_session *s, const char *url, http_sink *sink, http_result *r, pg_error *e);
/* What an answer that is no success means; `file` may be empty. */
pg_code fetch_refused(const hub_session *s, const http_answer *h, str file, pg_error *e);

/* The whole file: *path has no links in it. Offline: PG_E_NETWORK when it is not in the cache. */
pg_code fetch_whole(const char **path, hub_session *s, const hub_file *f, pg_error *e);
/* Enough of a safetensors or GGUF file for its header: the file itself where the cache has it, else a sparse file of its size. */
pg_code fetch_header(const char **path, hub_session *s, const hub_file *f, pg_error *e);
/* The headers of safetensors files, several at a time, for fetch_header to find. What does not come is left to it. */
void fetch_headers_ahead(hub_session *s, const hub_file *const *files, size_t count);
/* Whether fetch_header is the one to call. */
bool fetch_has_header(str path);

#endif
