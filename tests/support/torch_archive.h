/* TorchScript archives around a source. */
#ifndef SUPPORT_TORCH_ARCHIVE_H
#define SUPPORT_TORCH_ARCHIVE_H

#include <stddef.h>
#include <stdint.h>

enum { TORCH_ARCHIVE_MOST = 1 << 16 };

typedef struct torch_archive {
    uint8_t bytes[TORCH_ARCHIVE_MOST + (1 << 12)], directory[1 << 10];
    size_t n, d, entries;
} torch_archive;

/* An archive of a module of the class __torch__.M with two weights, w [8, 3, 3, 3] and b [8], and a number, n = 2. The bytes of the
 * weights are left out. `len` is at most TORCH_ARCHIVE_MOST. Returns the length of the archive. */
size_t torch_archive_of(torch_archive *z, const void *source, size_t len);

#endif
