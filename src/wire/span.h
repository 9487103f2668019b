/* Bytes of a file with their place in it. Wire readers hand out sub-spans that were checked against their parent. */
#ifndef WIRE_SPAN_H
#define WIRE_SPAN_H

#include "base/error.h"

typedef struct span {
    const uint8_t *ptr;
    size_t len;
    uint64_t base; /* offset of ptr in the file */
} span;

static inline str span_str(span s)
{
    return (str){(const char *)s.ptr, s.len};
}

#endif
