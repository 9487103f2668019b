/* The names in a folder. Apart from file.c, since <dirent.h> and graph.h both have a DT_UNKNOWN. */
#ifndef LOAD_FOLDER_H
#define LOAD_FOLDER_H

#include "base/str.h"

/* Name i, in alphabetical order, of the regular files in `folder` (ends with '/'; empty: the working directory) that end so. */
str folder_name_at(const char *folder, const char *ending, size_t i, arena *a);

#endif
