#include "load/torch_internal.h"
pg_code torch_load_export(torch_file *f, const zip_entry *model)
{
    (void)model;
    return error_set(f->e, PG_E_UNSUPPORTED, "torch.export programs are not read yet");
}
