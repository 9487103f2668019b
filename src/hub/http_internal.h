/* What http.c and http_many.c share: one request and its answer. */
#ifndef HUB_HTTP_INTERNAL_H
#define HUB_HTTP_INTERNAL_H

#include "hub/curl.h"
#include "hub/http.h"

struct http {
    const curl_api *curl;
    CURL *handle;
    const hub_config *config;
    arena *a;
    bool reached; /* some server answered once: the network is there */
    unsigned requests;
    uint64_t bytes;
};

/* One request and its answer. */
typedef struct exchange {
    http *h;
    http_sink *sink;
    http_answer answer;
    size_t headers;
    uint64_t skip;       /* bytes of a 200 that were there already */
    uint64_t page;       /* bytes of an error's page */
    bool begun, stopped; /* stopped: by us, since there is enough */
    pg_error wrong;      /* why the body was refused */
    bool lasting;        /* ... for good: another attempt would be the same */
} exchange;

/* Prepares a handle for a request; the headers are the caller's to free once it is done. */
bool exchange_set_up(exchange *x, CURL *p, const char *url, struct curl_slist **headers);
/* What came of it. *again: another attempt may do better. */
pg_code exchange_conclude(exchange *x, CURLcode code, const char *url, bool *again, pg_error *e);
/* Takes the answer into the result. The address to go on to; NULL: none, or *e says why not. */
const char *exchange_next(const exchange *x, const char *url, int hops, http_result *r, pg_error *e);

#endif
