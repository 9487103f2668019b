/* Any bytes as the configuration of a Keras model: in a file it is packed, or stands behind headers that mutations break first. */
#include "support/fuzz_model.h"
#include "support/keras_write.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t n;
    uint8_t *archive = keras_archive(data, size, &n);
    if (!archive) return 0;
    fuzz_model("keras", "model.keras", archive, n);
    free(archive);
    return 0;
}
