/* Numbers of constants, as files hold them. */
#ifndef LOAD_CONSTANT_H
#define LOAD_CONSTANT_H

#include "graph/graph.h"

/* Whether so many numbers of the type are kept: shape arithmetic may need small integers, and a handful of floats (scales, ranges).
 * The others are weights, of which only the shape matters. */
bool constant_is_kept(dtype d, double elements);
/* One number from its bits, which are the low ones; the type is one that is kept. */
num constant_number(uint64_t bits, dtype d);
/* The same from its bytes, low first. */
num constant_element(const uint8_t *bytes, dtype d);

#endif
