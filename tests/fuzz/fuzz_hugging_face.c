/* Any bytes as a config.json. */
#include "support/fuzz_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_model("hugging-face", "config.json", data, size);
    return 0;
}
