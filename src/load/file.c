#define _GNU_SOURCE
#include "load/explain.h"
#include "load/folder.h"
#include "load/load.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static pg_code open_error(pg_error *e, int err)
{
    switch (err) {
    case ENOENT:
        return error_set(
            e, PG_E_IO,
            "no such file; give a path to a model, a built-in name (phantom-gpu list-models), or org/name of the Hub");
    case EACCES: return error_set(e, PG_E_IO, "permission denied; make the file readable");
    case EISDIR: return error_set(e, PG_E_UNSUPPORTED, "is a folder; give the model file inside it");
    case ENOMEM: return error_set(e, PG_E_NOMEM, "the file could not be mapped: out of address space");
    default: return error_set(e, PG_E_IO, "can't be read: %s", strerror(err));
    }
}

pg_code load_file_open(load_file *f, const char *path, pg_error *e)
{
    memset(f, 0, sizeof *f);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* non-blocking: a FIFO must not hang the open */
    if (fd < 0) return open_error(e, errno);
    struct stat st;
    pg_code code = PG_E_OK;
    if (fstat(fd, &st)) code = open_error(e, errno);
    else if (S_ISDIR(st.st_mode)) code = open_error(e, EISDIR);
    else if (!S_ISREG(st.st_mode))
        code = error_set(e, PG_E_IO, "is not a regular file; save the model to a file first");
    else if (st.st_size == 0) code = error_set(e, PG_E_TRUNCATED, "the file is empty; fetch or export it again");
    if (!code) {
        f->map_len = (size_t)st.st_size;
        f->map = mmap(NULL, f->map_len, PROT_READ, MAP_PRIVATE, fd, 0);
        if (f->map == MAP_FAILED) {
            code = open_error(e, errno);
            f->map = NULL;
        } else {
            /* Only headers between blobs of weights are looked at: no read-ahead into the weights. */
            madvise(f->map, f->map_len, MADV_RANDOM);
            f->bytes = (span){f->map, f->map_len, 0};
        }
    }
    close(fd);
    return code;
}

void load_file_drop(span bytes)
{
    const uintptr_t page = 1 << 16; /* bytes: a multiple of the page size of every machine */
    uintptr_t from = ((uintptr_t)bytes.ptr + page - 1) & ~(page - 1),
              to = (uintptr_t)(bytes.ptr + bytes.len) & ~(page - 1);
    if (from < to) madvise((void *)from, to - from, MADV_DONTNEED);
}

void load_file_close(load_file *f)
{
    if (f->map) munmap(f->map, f->map_len);
    memset(f, 0, sizeof *f);
}

struct load_files {
    allocator alloc;
    arena a;
    char folder[PATH_MAX]; /* ends with '/', or is empty: the working directory */
    load_file file;        /* of a file: itself */
    load_file *list;
    const char **names;
    size_t count;
};

/* Names come from files: none may lead out of the folder. */
static bool is_inside(const char *name)
{
    if (!name[0] || name[0] == '/') return false;
    for (const char *at = name; *at;) {
        size_t n = strcspn(at, "/");
        if (n == 2 && at[0] == '.' && at[1] == '.') return false;
        at += n;
        while (*at == '/') at++;
    }
    return true;
}

static bool path_of(const load_files *f, const char *name, char *out, size_t cap)
{
    return is_inside(name) && format_text(out, cap, "%s%s", f->folder, name) < cap;
}

pg_code load_files_open(load_files **files, const char *path, allocator alloc, load_input *in, pg_error *e)
{
    struct stat st;
    load_files *f = alloc.resize(alloc.ud, NULL, 0, sizeof *f);
    *files = f;
    *in = (load_input){.path = path, .beside = f};
    if (!f) return error_set(e, PG_E_NOMEM, "out of memory");
    memset(f, 0, sizeof *f);
    f->alloc = alloc;
    arena_init(&f->a, alloc, (size_t)1 << 20);
    size_t n = strlen(path);
    if (n + 2 > sizeof f->folder) return error_set(e, PG_E_IO, "the path is too long");
    in->folder = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
    if (!in->folder)
        while (n && path[n - 1] != '/') n--;
    memcpy(f->folder, path, n);
    if (in->folder && n && path[n - 1] != '/') f->folder[n] = '/';
    if (in->folder) return PG_E_OK;
    pg_code code = load_file_open(&f->file, path, e);
    in->bytes = f->file.bytes;
    return code;
}

void load_files_close(load_files *files)
{
    if (!files) return;
    for (size_t i = 0; i < files->count; i++) load_file_close(&files->list[i]);
    load_file_close(&files->file);
    arena_free(&files->a);
    files->alloc.resize(files->alloc.ud, files, sizeof *files, 0);
}

bool load_has(const load_input *in, const char *name)
{
    char path[PATH_MAX];
    struct stat st;
    return in->beside && path_of(in->beside, name, path, sizeof path) && stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* Whether the resolved path lies in the folder of this one. */
static bool shares_folder(const char *path, const char *model)
{
    const char *slash = strrchr(model, '/');
    size_t n = slash ? (size_t)(slash - model) + 1 : 0;
    return n && !strncmp(path, model, n);
}

static bool stays_inside(const load_files *f, const char *path, const char *model)
{
    char real[PATH_MAX], own[PATH_MAX], folder[PATH_MAX + 2];
    if (!realpath(path, real)) return true; /* it is not there */
    if (realpath(model, own) && shares_folder(real, own)) return true;
    if (!realpath(f->folder[0] ? f->folder : ".", folder)) return false;
    size_t n = strlen(folder);
    memcpy(folder + n, "/", 2); /* a folder's name, as if of a file in it */
    return shares_folder(real, folder);
}

bool load_lies_beside(const load_input *in, const char *name, uint64_t *size)
{
    char path[PATH_MAX];
    struct stat st;
    if (!in->beside || !path_of(in->beside, name, path, sizeof path) || stat(path, &st) != 0 || !S_ISREG(st.st_mode) ||
        !stays_inside(in->beside, path, in->path))
        return false;
    *size = (uint64_t)st.st_size;
    return true;
}

bool load_leads_out(const load_input *in, const char *name)
{
    char path[PATH_MAX];
    if (!is_inside(name)) return true;
    return in->beside && path_of(in->beside, name, path, sizeof path) && !stays_inside(in->beside, path, in->path);
}

pg_code load_beside(const load_input *in, const char *name, span *out, pg_error *e)
{
    load_files *f = in->beside;
    char path[PATH_MAX];
    if (!f || !path_of(f, name, path, sizeof path))
        return error_set(e, PG_E_IO, "'%.200s' is not a file beside the model", name);
    for (size_t i = 0; i < f->count; i++)
        if (!strcmp(f->names[i], name)) {
            *out = f->list[i].bytes;
            return PG_E_OK;
        }
    if (f->count == LOAD_FILES) return error_set(e, PG_E_LIMIT, "the model consists of more than %d files", LOAD_FILES);
    if (!f->list) {
        f->list = ARENA_ARRAY(&f->a, load_file, LOAD_FILES);
        f->names = ARENA_ARRAY(&f->a, const char *, LOAD_FILES);
    }
    str kept = str_copy(&f->a, str_c(name));
    if (!f->list || !f->names || !kept.ptr) return error_nomem(e, &f->a);
    pg_code code = load_file_open(&f->list[f->count], path, e);
    if (code) {
        error_path(e, "%.150s", name);
        return code;
    }
    f->names[f->count] = kept.ptr;
    *out = f->list[f->count++].bytes;
    if (!load_is_pointer(*out)) return PG_E_OK;
    error_set(e, PG_E_UNSUPPORTED, "a Git LFS pointer stands there instead: run `git lfs pull`");
    error_path(e, "%.150s", name);
    return PG_E_UNSUPPORTED;
}

str load_name_at(const load_input *in, const char *ending, size_t i, arena *a)
{
    return in->beside ? folder_name_at(in->beside->folder, ending, i, a) : (str){NULL, 0};
}

allocator load_allocator(const load_input *in)
{
    return in->beside->alloc;
}

bool load_has_ending(const load_input *in, const char *ending)
{
    return in->beside && folder_name_at(in->beside->folder, ending, 0, &in->beside->a).ptr;
}
