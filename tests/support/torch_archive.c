#include "support/torch_archive.h"

#include <string.h>

static void put(uint8_t *b, size_t *n, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++) b[(*n)++] = (uint8_t)(i < 8 ? v >> (8 * i) : 0);
}

/* A stored entry; readers need no checksum. */
static void add_entry(torch_archive *z, const char *name, const void *bytes, size_t len)
{
    size_t name_len = strlen(name), at = z->n;
    for (int central = 0; central < 2; central++) {
        uint8_t *b = central ? z->directory : z->bytes;
        size_t *n = central ? &z->d : &z->n;
        put(b, n, central ? 0x02014b50 : 0x04034b50, 4);
        put(b, n, 0, central ? 4 : 2);
        put(b, n, 0, 2), put(b, n, 0, 2), put(b, n, 0, 4);
        put(b, n, 0, 4), put(b, n, len, 4), put(b, n, len, 4);
        put(b, n, name_len, 2), put(b, n, 0, 2);
        if (central) put(b, n, 0, 10), put(b, n, at, 4);
        memcpy(b + *n, name, name_len), *n += name_len;
        if (!central && len) memcpy(b + *n, bytes, len), *n += len;
    }
    z->entries++;
}

size_t torch_archive_of(torch_archive *z, const void *source, size_t len)
{
    static const char pickle[] =
        "\x80\x02"
        "c__torch__\nM\n)\x81}(U\x01nK\x02U\x01wctorch._utils\n_rebuild_tensor_v2\n((U\x07storage"
        "ctorch\nFloatStorage\nU\x01"
        "0U\x03"
        "cpuK\xd8tQK\0(K\x08K\x03K\x03K\x03t(K\x1bK\x09K\x03K\x01t\x89}tRU\x01"
        "bc"
        "torch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\nU\x01"
        "1U\x03"
        "cpuK\x08tQK\0"
        "(K\x08t(K\x01t\x89}tRub.";
    z->n = z->d = z->entries = 0;
    add_entry(z, "m/data.pkl", pickle, sizeof pickle - 1);
    add_entry(z, "m/code/__torch__.py", source, len);
    size_t at = z->n;
    memcpy(z->bytes + z->n, z->directory, z->d), z->n += z->d;
    put(z->bytes, &z->n, 0x06054b50, 4), put(z->bytes, &z->n, 0, 4);
    put(z->bytes, &z->n, z->entries, 2), put(z->bytes, &z->n, z->entries, 2);
    put(z->bytes, &z->n, z->d, 4), put(z->bytes, &z->n, at, 4), put(z->bytes, &z->n, 0, 2);
    return z->n;
}
