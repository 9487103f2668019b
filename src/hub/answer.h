/* The headers of an HTTP answer, line by line:
 *
 *   1. "HTTP/1.1 206 Partial Content": begins an answer anew (there may be "100 Continue" before it)
 *   2. "Name: value", the name in any case
 *   3. an empty line
 */
#ifndef HUB_ANSWER_H
#define HUB_ANSWER_H

#include "base/error.h"

#define ANSWER_UNKNOWN UINT64_MAX

typedef struct http_answer {
    int status;            /* 0: none yet */
    uint64_t length;       /* Content-Length */
    uint64_t first, total; /* Content-Range: where the body begins, and how large the whole is */
    uint64_t linked_size;  /* X-Linked-Size */
    unsigned wait_s;       /* Retry-After, or RateLimit's t; UINT_MAX: not said */
    bool encoded;          /* Content-Encoding other than identity, which nobody asked for */
    bool broken;           /* a number that is none, or one that contradicts another */
    char etag[130];        /* X-Linked-Etag or else ETag, without W/ and quotes */
    bool linked;           /* it was X-Linked-Etag */
    char commit[130];      /* X-Repo-Commit */
    char error[32];        /* X-Error-Code */
    char message[200];     /* X-Error-Message, fit to be shown */
    char location[8192];
} http_answer;

void http_answer_init(http_answer *h);
void http_answer_line(http_answer *h, str line);

#endif
