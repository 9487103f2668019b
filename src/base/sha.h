/* SHA-1 and SHA-256 (FIPS 180-4), and HMAC (RFC 2104) with the latter: what files of the Hub are named by, and requests to AWS are
 * signed with. SHA-1 tells damaged files from whole ones; against somebody who makes two files with one sum it is no protection. */
#ifndef BASE_SHA_H
#define BASE_SHA_H

#include "base/str.h"

enum { SHA1_SIZE = 20, SHA256_SIZE = 32, SHA_HEX = 2 * SHA256_SIZE + 1 };

void sha256(uint8_t out[SHA256_SIZE], str text);
/* The text must be shorter than HMAC_TEXT_MOST, the key at most 64 bytes; false: it is not. */
enum { HMAC_TEXT_MOST = 512 };
bool sha256_hmac(uint8_t out[SHA256_SIZE], str key, str text);
/* `out` has room for 2 * size digits and a zero. */
void sha_hex(char *out, const uint8_t *hash, size_t size);

/* Piece by piece. */
typedef struct sha_sum {
    uint32_t h[8];
    size_t size; /* of the result: SHA1_SIZE or SHA256_SIZE */
    uint64_t len;
    uint8_t rest[64]; /* of the last block, len % 64 bytes */
} sha_sum;

void sha1_begin(sha_sum *s);
void sha256_begin(sha_sum *s);
void sha_add(sha_sum *s, const void *bytes, size_t n);
/* Writes s->size bytes. */
void sha_end(uint8_t *out, sha_sum *s);

#endif
