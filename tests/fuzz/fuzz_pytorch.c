/* Any bytes as a PyTorch file. */
#include "support/fuzz_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_model("pytorch", "model.pt", data, size);
    return 0;
}
