/* FlexBuffers, as far as options of custom operators need them: a map of names to numbers.
 *
 * 1. It is read from its end: the last byte is the width w of the root's value in bytes (1, 2, 4, 8), the one before its type, and the
 *    w bytes before that the value.
 * 2. A type is a byte: kind << 2 | log2 of the width of what it refers to. Kinds: 1 integer, 2 unsigned, 3 float, 9 map.
 * 3. A map's value is a distance back from itself to the map's first element. Before that stand, w bytes each: the distance from
 *    itself back to the list of keys, the width of the keys' distances, and the number of elements; behind the elements a byte each
 *    with their type. Numbers stand in the elements themselves.
 * 4. A key is a distance from its place back to text that ends with a zero. */
#ifndef WIRE_FLEXBUFFER_H
#define WIRE_FLEXBUFFER_H

#include "wire/span.h"

/* The integer of this name in the map that the bytes are; false: there is none, or the bytes are no map. */
bool flexbuffer_int(span bytes, const char *name, int64_t *out);

#endif
