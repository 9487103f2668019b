#define _DEFAULT_SOURCE
#include "load/folder.h"

#include "base/format.h"

#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

static bool is_file(const char *folder, const char *name)
{
    char path[PATH_MAX];
    struct stat st;
    return format_text(path, sizeof path, "%s%s", folder, name) < sizeof path && stat(path, &st) == 0 &&
           S_ISREG(st.st_mode);
}

str folder_name_at(const char *folder, const char *ending, size_t i, arena *a)
{
    struct dirent **entries = NULL;
    str found = {NULL, 0};
    int n = scandir(folder[0] ? folder : ".", &entries, NULL, alphasort);
    for (int k = 0; k < n; k++) {
        str name = str_c(entries[k]->d_name);
        if (!found.ptr && str_ends(name, ending) && is_file(folder, name.ptr) && i-- == 0) found = str_copy(a, name);
        free(entries[k]);
    }
    if (n >= 0) free(entries);
    return found;
}
