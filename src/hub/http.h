/* GET and HEAD with what the Hub needs: ranges, retries, and redirects followed by hand, since the token goes to the endpoint's
 * origin and to no other. */
#ifndef HUB_HTTP_H
#define HUB_HTTP_H

#include "base/json.h"
#include "hub/answer.h"
#include "hub/config.h"

typedef struct http http;

/* Where the bytes of an object go. [0, have) is there already; [have, most) is wanted; what a server sends behind is not read.
 * A failed attempt goes on from `have`. */
typedef struct http_sink {
    buffer *memory; /* or, where NULL: */
    /* Is given the bytes in their order, each once; false: *e says why it wants no more. Or, where NULL: */
    bool (*take)(void *ud, const char *data, size_t n, pg_error *e);
    void *take_ud;
    int fd;
    uint64_t have, most;
    uint64_t size;    /* of the whole object; ANSWER_UNKNOWN: the first answer says it, later ones must agree */
    const char *name; /* for progress and messages */
} http_sink;

typedef struct http_result {
    http_answer last; /* the final answer */
    http_answer hub;  /* the last one from the endpoint itself, which knows etag, commit and size */
    const char *url;  /* where the last answer came from: further parts of the same file may be asked for there */

} http_result;

pg_code http_open(http **out, const hub_config *config, arena *a, pg_error *e);
void http_close(http *h);

/* PG_E_OK: the server answered; result.last.status says what, after retries of what may pass (408, 429, 5xx). Only the body of a
 * 200 or 206 goes to the sink. PG_E_NETWORK: no answer, or no whole one. PG_E_FORMAT: an answer that contradicts itself or what
 * is known. sink NULL: HEAD, which is not redirected to other hosts. */
pg_code http_get(http *h, const char *url, http_sink *sink, http_result *result, pg_error *e);

/* One of several that are asked for at once. */
typedef struct http_job {
    const char *url;
    http_sink sink;
    http_result result;
    bool done; /* as http_get gave PG_E_OK, with a 200 or 206 */
} http_job;

/* Asks for all of them, several at a time, and each once: what does not come at the first try is left to http_get. */
void http_get_many(http *h, http_job *jobs, size_t count);

/* Of a clock that is never set. */
uint64_t http_clock_ms(void);
/* What was asked and received, over all requests. */
unsigned http_requests(const http *h);
uint64_t http_bytes(const http *h);

#endif
