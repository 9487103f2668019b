/* A Keras archive around a configuration: what tests load instead of a file that Keras saved. */
#ifndef SUPPORT_KERAS_WRITE_H
#define SUPPORT_KERAS_WRITE_H

#include <stddef.h>
#include <stdint.h>

/* The archive's bytes, to be given to free; its config.json is this text. */
uint8_t *keras_archive(const void *config, size_t size, size_t *out_size);

#endif
