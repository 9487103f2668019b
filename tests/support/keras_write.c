#include "support/keras_write.h"

#include <stdlib.h>
#include <string.h>

static uint8_t *put(uint8_t *at, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) *at++ = i < 8 ? (uint8_t)(v >> 8 * i) : 0;
    return at;
}

/* What a local header and an entry of the directory have in common, up to the length of the name. */
static uint8_t *put_sizes(uint8_t *at, size_t size, size_t name)
{
    at = put(at, 20, 2); /* version */
    at = put(at, 0, 2);  /* flags */
    at = put(at, 0, 2);  /* stored */
    at = put(at, 0, 8);  /* time, date, CRC: not looked at */
    at = put(at, size, 4);
    at = put(at, size, 4);
    return put(at, name, 2);
}

uint8_t *keras_archive(const void *config, size_t size, size_t *out_size)
{
    static const char name[] = "config.json";
    enum { NAME = sizeof name - 1, LOCAL = 30, ENTRY = 46, END = 22 };
    size_t total = LOCAL + NAME + size + ENTRY + NAME + END, directory = LOCAL + NAME + size;
    uint8_t *out = malloc(total), *at = out;
    if (!out) return NULL;
    memcpy(at, "PK\3\4", 4);
    at = put(put_sizes(at + 4, size, NAME), 0, 2);
    memcpy(at, name, NAME);
    if (size) memcpy(at + NAME, config, size);
    at = out + directory;
    memcpy(at, "PK\1\2", 4);
    at = put(put_sizes(put(at + 4, 20, 2), size, NAME), 0, 16);
    memcpy(at, name, NAME);
    at += NAME;
    memcpy(at, "PK\5\6", 4);
    at = put(at + 4, 0, 4);
    at = put(put(at, 1, 2), 1, 2);
    at = put(at, ENTRY + NAME, 4);
    at = put(at, directory, 4);
    put(at, 0, 2);
    *out_size = total;
    return out;
}
