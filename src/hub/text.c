#define _POSIX_C_SOURCE 200809L
#include "hub/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

char *hub_text(arena *a, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    size_t n = format_textv(NULL, 0, fmt, args);
    va_end(args);
    char *text = arena_alloc(a, n + 1);
    if (!text) return NULL;
    va_start(args, fmt);
    format_textv(text, n + 1, fmt, args);
    va_end(args);
    return text;
}

void hub_clean(char *out, size_t cap, str text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len && n + 1 < cap; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        out[n++] = c < 0x20 || c >= 0x7f ? '?' : (char)c;
    }
    out[n] = '\0';
}

str hub_file_read(arena *a, const char *path, size_t most)
{
    struct stat st;
    str none = {NULL, 0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return none;
    size_t size = 0, have = 0;
    char *bytes = NULL;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size <= most) {
        size = (size_t)st.st_size;
        bytes = arena_alloc(a, size + 1);
    }
    while (bytes && have < size) {
        ssize_t n = read(fd, bytes + have, size - have);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        have += (size_t)n;
    }
    close(fd);
    return bytes && have == size ? (str){bytes, size} : none;
}

bool hub_file_has(const char *path, str bytes)
{
    char block[4096];
    size_t have = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    while (fd >= 0) {
        ssize_t n = read(fd, block, sizeof block);
        if (n < 0 && errno == EINTR) continue;
        bool same = n > 0 && (size_t)n <= bytes.len - have && memcmp(block, bytes.ptr + have, (size_t)n) == 0;
        if (!same) {
            close(fd);
            return n == 0 && have == bytes.len;
        }
        have += (size_t)n;
    }
    return false;
}

pg_code hub_write_error(pg_error *e, int err, const char *path)
{
    if (err == ENOSPC || err == EDQUOT)
        return error_set(e, PG_E_IO,
                         "no space is left for '%.200s'; HF_HUB_CACHE and XDG_CACHE_HOME name other folders", path);
    if (err == EACCES || err == EPERM || err == EROFS)
        return error_set(e, PG_E_IO,
                         "'%.200s' can't be written: %s; HF_HUB_CACHE and XDG_CACHE_HOME name other folders", path,
                         strerror(err));
    return error_set(e, PG_E_IO, "'%.200s' can't be written: %s", path, strerror(err));
}

pg_code hub_folder_make(const char *path, pg_error *e)
{
    char part[4096];
    size_t n = strlen(path);
    if (n + 1 > sizeof part) return error_set(e, PG_E_IO, "the path of the cache is too long");
    if (mkdir(path, 0777) == 0 || errno == EEXIST) return PG_E_OK;
    if (errno != ENOENT) return hub_write_error(e, errno, path);
    for (size_t i = 1; i <= n; i++) {
        if (path[i] != '/' && path[i] != '\0') continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0777) != 0 && errno != EEXIST) {
            struct stat st;
            int err = errno;
            if (stat(part, &st) != 0 || !S_ISDIR(st.st_mode)) return hub_write_error(e, err, part);
        }
    }
    return PG_E_OK;
}

pg_code hub_folder_for(const char *file, pg_error *e)
{
    char folder[4096];
    size_t n = strlen(file);
    while (n && file[n - 1] != '/') n--;
    if (n < 2) return PG_E_OK;
    if (n > sizeof folder) return error_set(e, PG_E_IO, "the path of the cache is too long");
    memcpy(folder, file, n - 1);
    folder[n - 1] = '\0';
    return hub_folder_make(folder, e);
}

int hub_temporary(arena *a, const char *path, const char **name, pg_error *e)
{
    for (unsigned i = 0; i < 100; i++) {
        struct timespec now = {0};
        clock_gettime(CLOCK_REALTIME, &now);
        unsigned mark = (unsigned)now.tv_nsec ^ ((unsigned)getpid() << 12) ^ (i * 2654435761u);
        *name = hub_text(a, "%s.%x.incomplete", path, mark);
        if (!*name) {
            error_nomem(e, a);
            return -1;
        }
        int fd = open(*name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0) return fd;
        if (errno != EEXIST) break;
    }
    hub_write_error(e, errno, path);
    return -1;
}

pg_code hub_keep(int fd, const char *temporary, const char *path, bool sync, pg_error *e)
{
    int err = 0;
    if (sync && fsync(fd) != 0 && errno != EINVAL) err = errno;
    if (close(fd) != 0 && !err) err = errno;
    if (!err && rename(temporary, path) != 0) err = errno;
    if (!err) return PG_E_OK;
    unlink(temporary);
    return hub_write_error(e, err, path);
}

pg_code hub_file_write(arena *a, const char *path, str bytes, pg_error *e)
{
    const char *temporary;
    pg_code code = hub_folder_for(path, e);
    if (code) return code;
    int fd = hub_temporary(a, path, &temporary, e);
    if (fd < 0) return e ? e->code : PG_E_IO;
    for (size_t at = 0; at < bytes.len;) {
        ssize_t n = write(fd, bytes.ptr + at, bytes.len - at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            int err = errno;
            close(fd);
            unlink(temporary);
            return hub_write_error(e, err, path);
        }
        at += (size_t)n;
    }
    return hub_keep(fd, temporary, path, false, e);
}
