/* Any text as the source of a TorchScript archive, run and predicted. */
#include "support/fuzz_model.h"
#include "support/torch_archive.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static torch_archive z;
    if (size > TORCH_ARCHIVE_MOST) return 0;
    size_t n = torch_archive_of(&z, data, size);
    uint8_t *copy = malloc(n); /* of its own size, so that ASan sees a read past the end */
    if (!copy) return 0;
    memcpy(copy, z.bytes, n);
    fuzz_model("pytorch", "model.pt", copy, n);
    free(copy);
    return 0;
}
