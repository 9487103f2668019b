/* Any bytes as a GGUF file. */
#include "support/fuzz_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_model("gguf", "model.gguf", data, size);
    return 0;
}
