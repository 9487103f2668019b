/* Beginnings of files of weights, byte by byte, for tests of what is fetched of them. */
#ifndef SUPPORT_HUB_FILES_H
#define SUPPORT_HUB_FILES_H

#include <stddef.h>
#include <stdint.h>

typedef struct bytes {
    unsigned char *ptr; /* to be freed */
    size_t len;
} bytes;

void put(bytes *b, const void *from, size_t n);
void put_number(bytes *b, uint64_t x, size_t n); /* little-endian */
void put_string(bytes *b, const char *text);     /* as GGUF has it */
/* One tensor "w", float32 [4], in a header of `n` bytes of JSON, blanks at its end. */
bytes hub_safetensors_header(size_t n);
/* One tensor, and a list of so many words (29 bytes each). */
bytes gguf_header(unsigned words);
/* The same in the other order of bytes. */
bytes gguf_header_big(unsigned words);

#endif
