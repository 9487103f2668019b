/* Any bytes as a safetensors file. */
#include "support/fuzz_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_model("safetensors", "model.safetensors", data, size);
    return 0;
}
