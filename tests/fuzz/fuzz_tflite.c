/* Any bytes as a TensorFlow Lite file. */
#include "support/fuzz_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_model("tflite", "model.tflite", data, size);
    return 0;
}
