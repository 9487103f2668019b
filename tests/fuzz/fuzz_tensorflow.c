/* Any bytes as a TensorFlow file: graph, saved model or meta graph. */
#include "support/fuzz_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_model("tensor-flow", "model.pb", data, size);
    return 0;
}
