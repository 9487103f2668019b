/* Shared by keras_ops.c and keras_functions.c: functions in a Keras graph. */
#ifndef LOAD_KERAS_OPS_H
#define LOAD_KERAS_OPS_H

#include "load/keras_internal.h"

/* The argument of the first of these names (the list ends with NULL) that is there, else Keras 3's argument at this place; NULL: none. */
const json_t *keras_argument(const keras_call *c, size_t at, const char *const *names);
/* A tensor argument by name or by place. */
uint32_t keras_operand(keras *k, const keras_call *c, size_t at, const char *const *names);

#define KERAS_FUNCTION(name) void keras_function_##name(keras *k, keras_call *c)
KERAS_FUNCTION(matmul);
KERAS_FUNCTION(einsum);
KERAS_FUNCTION(where);
KERAS_FUNCTION(softmax);
KERAS_FUNCTION(normalize);
KERAS_FUNCTION(clip);
KERAS_FUNCTION(cumsum);
KERAS_FUNCTION(arg);
KERAS_FUNCTION(cast);
KERAS_FUNCTION(reshape);
KERAS_FUNCTION(transpose);
KERAS_FUNCTION(concat);
KERAS_FUNCTION(stack);
KERAS_FUNCTION(split);
KERAS_FUNCTION(expand);
KERAS_FUNCTION(squeeze);
KERAS_FUNCTION(tile);
KERAS_FUNCTION(repeat);
KERAS_FUNCTION(pad);
KERAS_FUNCTION(shape);
KERAS_FUNCTION(getitem);
KERAS_FUNCTION(gather);
KERAS_FUNCTION(one_hot);
KERAS_FUNCTION(resize);
KERAS_FUNCTION(broadcast);
KERAS_FUNCTION(blocks);
KERAS_FUNCTION(flip);
KERAS_FUNCTION(like);
KERAS_FUNCTION(square);

#endif
