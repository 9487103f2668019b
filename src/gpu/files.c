#define _POSIX_C_SOURCE 200809L
#include "base/error.h"
#include "gpu/catalog.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { FILE_MAX = 4 << 20, CONFIG_FILES_MAX = 64 };

static pg_code cannot_read(const char *path, const char *why, pg_error *e)
{
    error_set(e, PG_E_IO, "cannot be read: %s", why);
    error_source(e, path);
    return PG_E_IO;
}

static const char *errno_text(int number)
{
    switch (number) {
    case ENOENT:
    case ENOTDIR: return "no such file";
    case EACCES:
    case EPERM: return "permission denied";
    case EISDIR: return "it is a directory";
    case ENAMETOOLONG: return "its name is too long";
    case ELOOP: return "too many symbolic links";
    default: return "an input/output error";
    }
}

static pg_code read_open(gpu_catalog *c, FILE *f, const char *path, str *out, pg_error *e)
{
    struct stat st;
    if (fstat(fileno(f), &st) != 0) return cannot_read(path, errno_text(errno), e);
    if (!S_ISREG(st.st_mode))
        return cannot_read(path, S_ISDIR(st.st_mode) ? "it is a directory" : "it is not a regular file", e);
    if (st.st_size > FILE_MAX) {
        error_set(e, PG_E_LIMIT, "is larger than the limit of %d MB for a GPU file", FILE_MAX >> 20);
        error_source(e, path);
        return PG_E_LIMIT;
    }
    size_t size = (size_t)st.st_size;
    char *text = arena_alloc(&c->scratch, size + 1);
    if (!text) return error_nomem(e, &c->scratch);
    size_t n = fread(text, 1, size, f);
    if (n != size && ferror(f)) return cannot_read(path, "an input/output error", e);
    *out = (str){text, n};
    return PG_E_OK;
}

pg_code files_read(gpu_catalog *c, const char *path, bool optional, str *out, pg_error *e)
{
    struct stat st;
    *out = (str){NULL, 0};
    /* Asked before opening: opening a FIFO would wait for its other end. */
    if (stat(path, &st) != 0) {
        if (optional && (errno == ENOENT || errno == ENOTDIR)) return PG_E_OK;
        return cannot_read(path, errno_text(errno), e);
    }
    if (!S_ISREG(st.st_mode))
        return cannot_read(path, S_ISDIR(st.st_mode) ? "it is a directory" : "it is not a regular file", e);
    FILE *f = fopen(path, "rb");
    if (!f) return cannot_read(path, errno_text(errno), e);
    pg_code code = read_open(c, f, path, out, e);
    fclose(f);
    return code;
}

/* Adds DIR/NAME (or NAME alone where dir is NULL). */
static pg_code list_add(gpu_catalog *c, file_list *list, const char *dir, const char *name, pg_error *e)
{
    if (list->count == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 8;
        const char **paths = arena_grow(&c->a, list->paths, list->count, cap, sizeof *paths);
        if (!paths) return error_nomem(e, &c->a);
        list->paths = paths;
        list->cap = cap;
    }
    size_t size = (dir ? strlen(dir) + 1 : 0) + strlen(name) + 1;
    char *path = arena_alloc(&c->a, size);
    if (!path) return error_nomem(e, &c->a);
    format_text(path, size, "%s%s%s", dir ? dir : "", dir ? "/" : "", name);
    list->paths[list->count++] = path;
    return PG_E_OK;
}

static int compare_paths(const void *x, const void *y)
{
    return strcmp(*(const char *const *)x, *(const char *const *)y);
}

/* All *.toml of a directory, by name; a directory that can't be listed is the same as an empty one. */
static pg_code list_directory(gpu_catalog *c, file_list *list, const char *dir, pg_error *e)
{
    pg_code code = PG_E_OK;
    size_t first = list->count;
    DIR *d = opendir(dir);
    if (!d) return PG_E_OK;
    for (struct dirent *entry; code == PG_E_OK && (entry = readdir(d));) {
        bool prices = strcmp(entry->d_name, "prices.toml") == 0; /* those of the price layer */
        if (prices || entry->d_name[0] == '.' || !str_ends(str_c(entry->d_name), ".toml")) continue;
        if (list->count - first == CONFIG_FILES_MAX) {
            code = error_set(e, PG_E_LIMIT, "has more than %d TOML files", CONFIG_FILES_MAX);
            error_source(e, dir);
        } else {
            code = list_add(c, list, dir, entry->d_name, e);
        }
    }
    closedir(d);
    if (list->count > first) qsort(list->paths + first, list->count - first, sizeof *list->paths, compare_paths);
    return code;
}

/* The XDG rules: a relative $XDG_CONFIG_HOME counts as not set. */
static const char *config_dir(gpu_catalog *c, const gpu_sources *src, pg_code *code, pg_error *e)
{
    if (src->config_dir) return src->config_dir;
    const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    bool use_xdg = xdg && xdg[0] == '/';
    if (!use_xdg && !(home && home[0])) return NULL;
    const char *base = use_xdg ? xdg : home, *tail = use_xdg ? "/phantom-gpu" : "/.config/phantom-gpu";
    size_t size = strlen(base) + strlen(tail) + 1;
    char *path = arena_alloc(&c->a, size);
    if (!path) *code = error_nomem(e, &c->a);
    else format_text(path, size, "%s%s", base, tail);
    return path;
}

pg_code files_find(gpu_catalog *c, const gpu_sources *src, file_list *out, pg_error *e)
{
    pg_code code = PG_E_OK;
    if (src->hardware_profiles) code = list_add(c, out, NULL, src->hardware_profiles, e);
    if (!src->search_user_files || code != PG_E_OK) return code;
    code = list_add(c, out, src->working_dir, "gpu_models.toml", e);
    if (code == PG_E_OK) code = list_add(c, out, src->working_dir, "hardware_profiles.toml", e);
    if (code != PG_E_OK) return code;
    const char *dir = config_dir(c, src, &code, e);
    return dir ? list_directory(c, out, dir, e) : code;
}
