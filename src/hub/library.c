#define _GNU_SOURCE
#include "hub/library.h"

#include <dlfcn.h>
#include <string.h>

bool library_load(void *table, const char *const *names, size_t name_count, const library_function *functions,
                  size_t function_count)
{
    void *library = NULL;
    for (size_t i = 0; !library && i < name_count; i++) library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (!library) return false;
    for (size_t i = 0; i < function_count; i++) {
        void *f = dlsym(library, functions[i].name);
        if (!f) {
            dlclose(library);
            return false;
        }
        memcpy((char *)table + functions[i].offset, &f, sizeof f); /* ISO C has no cast from it to a function */
    }
    return true;
}
