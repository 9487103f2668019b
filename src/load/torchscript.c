#include "load/torch_internal.h"
pg_code torch_load_script(torch_file *f, const pickle_value *root)
{
    return torch_load_state(f, root);
}
