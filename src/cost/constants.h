/* The fitted constants of the cost model: few, physical, the same for all GPUs. constants.def says what each means. */
#ifndef COST_CONSTANTS_H
#define COST_CONSTANTS_H

#include "base/libc.h"

/* All fields are doubles, in the order of constants.def: a loader may walk the structure as an array of
 * COST_CONSTANTS. */
typedef struct cost_constants {
#define COST_CONSTANT(table, name, unit, lower, upper, meaning) double table##_##name;
#include "cost/constants.def"
#undef COST_CONSTANT
} cost_constants;

enum {
#define COST_CONSTANT(table, name, unit, lower, upper, meaning) COST_INDEX_##table##_##name,
#include "cost/constants.def"
#undef COST_CONSTANT
    COST_CONSTANTS
};

typedef struct cost_constant_info {
    const char *table, *name, *unit;
    double lower, upper;
    const char *meaning;
} cost_constant_info;

/* One entry for each field of cost_constants, in the same order. */
extern const cost_constant_info cost_constant_table[COST_CONSTANTS];

static inline double *cost_constant_at(cost_constants *c, int index)
{
    return (double *)(void *)c + index;
}

/* False when a field is not finite or outside its bounds; `*bad` then says which (may be NULL). */
bool cost_constants_valid(const cost_constants *c, int *bad);

#endif
