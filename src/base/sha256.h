/* SHA-256 (FIPS 180-4), and HMAC (RFC 2104) with it: what large files of the Hub are named by, and requests to AWS are signed with. */
#ifndef BASE_SHA256_H
#define BASE_SHA256_H

#include "base/str.h"

enum { SHA256_SIZE = 32 };

void sha256(uint8_t out[SHA256_SIZE], str text);
/* The text must be shorter than HMAC_TEXT_MOST, the key at most 64 bytes; false: it is not. */
enum { HMAC_TEXT_MOST = 512 };
bool sha256_hmac(uint8_t out[SHA256_SIZE], str key, str text);
void sha256_hex(char out[2 * SHA256_SIZE + 1], const uint8_t hash[SHA256_SIZE]);

/* Piece by piece. */
typedef struct sha256_sum {
    uint32_t h[8];
    uint64_t len;
    uint8_t rest[64]; /* of the last block, len % 64 bytes */
} sha256_sum;

void sha256_begin(sha256_sum *s);
void sha256_add(sha256_sum *s, const void *bytes, size_t n);
void sha256_end(uint8_t out[SHA256_SIZE], sha256_sum *s);

#endif
