/* What the files about AWS share. */
#ifndef PRICE_LIVE_AWS_H
#define PRICE_LIVE_AWS_H

#include "price/live.h"

/* Where prices are fetched of when no region is named. */
#define AWS_USUAL_REGION "us-east-1"

typedef struct aws_keys {
    const char *id, *secret, *token; /* token NULL: none */
} aws_keys;

/* From AWS_ACCESS_KEY_ID and its like, else from the profile in ~/.aws/credentials; id NULL: there are none. */
pg_code aws_keys_read(aws_keys *keys, arena *a, pg_error *e);
/* Percent-encoded but for letters, digits and "-_.~"; NULL: out of memory. */
char *aws_encode(live *l, const char *text);
/* The address of a signed GET (Signature Version 4, in the query). `query`: "name=value", encoded, in any order, is sorted here.
 * `stamp`: "20261121T170000Z". NULL: out of memory, or a key that is too long. */
const char *aws_sign(live *l, const aws_keys *keys, const char *base, const char *region, const char *stamp,
                     const char **query, size_t count);
/* Gives the rows of a region the lowest spot price of its zones. */
pg_code aws_spot(live *l, const aws_keys *keys, const char *region, pg_error *e);

#endif
