/* How much of a file of weights its header takes, told from the beginning of the file:
 *
 *   safetensors  1. u64 N, little-endian   2. N bytes of JSON   3. the weights
 *   GGUF         1. "GGUF", u32 version 2 or 3, which tells the order of bytes too   2. u64 tensors, u64 pairs   3. pairs: string key, u32 type, value
 *                4. tensors: string name, u32 rank, u64 dims[rank], u32 type, u64 offset   5. padding, the weights
 *                A string is u64 length and bytes; an array is u32 type, u64 count and the values. */
#ifndef HUB_EXTENT_H
#define HUB_EXTENT_H

#include "wire/span.h"

enum { EXTENT_SAFETENSORS_MOST = 100000000, EXTENT_GGUF_MOST = 64 << 20 };

/* *need: bytes from the beginning of the file that must be at hand for the next step; when it is at most have.len, the header ends
 * there. `size` is that of the whole file. Errors are PG_E_FORMAT, PG_E_TRUNCATED and PG_E_LIMIT. */
pg_code extent_safetensors(span have, uint64_t size, uint64_t *need, pg_error *e);
pg_code extent_gguf(span have, uint64_t size, uint64_t *need, pg_error *e);

#endif
