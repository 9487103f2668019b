#define _GNU_SOURCE
#include "load/load.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static pg_code open_error(pg_error *e, int err)
{
    switch (err) {
    case ENOENT:
        return error_set(e, PG_E_IO,
                         "no such file; give a path to a model, or a built-in name (phantom-gpu list-models)");
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
