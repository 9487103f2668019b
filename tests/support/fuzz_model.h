/* What the fuzz targets of all model formats do with their bytes. */
#ifndef SUPPORT_FUZZ_MODEL_H
#define SUPPORT_FUZZ_MODEL_H

#include <stddef.h>
#include <stdint.h>

/* Loads the bytes as a file of this format and name, describes it and predicts it on two GPUs under every runtime; aborts when
 * something that must hold does not. */
void fuzz_model(const char *format, const char *path, const uint8_t *data, size_t size);

#endif
