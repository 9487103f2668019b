/* Any bytes as a Keras file: HDF5 or an archive. */
#include "support/fuzz_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_model("keras", "model.keras", data, size);
    return 0;
}
