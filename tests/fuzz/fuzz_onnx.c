/* Any bytes as an ONNX file. */
#include "support/fuzz_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_model("onnx", "model.onnx", data, size);
    return 0;
}
