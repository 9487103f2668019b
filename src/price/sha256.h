/* SHA-256 (FIPS 180-4) and HMAC (RFC 2104) with it: what requests to AWS are signed with. */
#ifndef PRICE_SHA256_H
#define PRICE_SHA256_H

#include "base/str.h"

enum { SHA256_SIZE = 32 };

void sha256(uint8_t out[SHA256_SIZE], str text);
/* The text must be shorter than HMAC_TEXT_MOST, the key at most 64 bytes; false: it is not. */
enum { HMAC_TEXT_MOST = 512 };
bool sha256_hmac(uint8_t out[SHA256_SIZE], str key, str text);
void sha256_hex(char out[2 * SHA256_SIZE + 1], const uint8_t hash[SHA256_SIZE]);

#endif
