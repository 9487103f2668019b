/* Where results go: stdout or a file that appears whole or not at all. */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"

enum { WIDTH_PLAIN = 80, WIDTH_LEAST = 40, WIDTH_MOST = 1000 };

static void *resize(void *ud, void *ptr, size_t old_size, size_t new_size)
{
    (void)ud, (void)old_size;
    if (new_size) return realloc(ptr, new_size);
    free(ptr);
    return NULL;
}

const allocator cli_allocator = {resize, NULL};

static bool utf8_locale(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < 3; i++) {
        const char *value = getenv(names[i]);
        if (!value || !value[0]) continue;
        for (const char *p = value; *p; p++)
            if (strncasecmp(p, "utf-8", 5) == 0 || strncasecmp(p, "utf8", 4) == 0) return true;
        return false;
    }
    return false;
}

static size_t width_of(int fd, bool tty)
{
    const char *columns = getenv("COLUMNS");
    struct winsize size;
    long width = columns ? strtol(columns, NULL, 10) : 0;
    if (width <= 0 && tty && ioctl(fd, TIOCGWINSZ, &size) == 0) width = size.ws_col;
    if (width <= 0) width = WIDTH_PLAIN;
    return (size_t)(width < WIDTH_LEAST ? WIDTH_LEAST : width > WIDTH_MOST ? WIDTH_MOST : width);
}

render_style cli_style(int fd)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    bool tty = fd >= 0 && isatty(fd), utf8 = utf8_locale();
    bool dumb = !term || !term[0] || strcmp(term, "dumb") == 0;
    bool plain = dumb || (no_color && no_color[0]);
    return (render_style){.width = width_of(fd, tty),
                          .color = tty && !plain,
                          .unicode = tty && utf8 && !dumb,
                          .ascii_names = tty && !utf8};
}

static int write_all(int fd, const char *bytes, size_t len)
{
    while (len) {
        ssize_t n = write(fd, bytes, len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno;
        bytes += n;
        len -= (size_t)n;
    }
    return 0;
}

int cli_write_stdout(const buffer *b)
{
    if (b->failed) return cli_fail("out of memory");
    int error = write_all(STDOUT_FILENO, b->ptr, b->len);
    return error ? cli_fail("standard output: %s", strerror(error)) : EXIT_OK;
}

/* A device or a pipe can't be replaced: it is written to as it is. */
static int write_in_place(const char *path, const buffer *b)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    int error = fd < 0 ? errno : write_all(fd, b->ptr, b->len);
    if (fd >= 0 && close(fd) != 0 && !error) error = errno;
    return error;
}

static int write_temporary(int fd, const char *temporary, const char *path, mode_t mode, const buffer *b)
{
    int error = write_all(fd, b->ptr, b->len);
    if (!error && fchmod(fd, mode) != 0) error = errno;
    if (!error && fsync(fd) != 0) error = errno;
    if (close(fd) != 0 && !error) error = errno;
    if (!error && rename(temporary, path) != 0) error = errno;
    if (error) unlink(temporary);
    return error;
}

static int replace(const char *path, mode_t mode, const buffer *b)
{
    static const char tail[] = ".XXXXXX";
    size_t size = strlen(path) + sizeof tail;
    char *temporary = malloc(size);
    if (!temporary) return ENOMEM;
    format_text(temporary, size, "%s%s", path, tail);
    int fd = mkstemp(temporary);
    int error = fd < 0 ? errno : write_temporary(fd, temporary, path, mode, b);
    free(temporary);
    return error;
}

int cli_write_file(const char *path, const buffer *b)
{
    struct stat there;
    if (b->failed) return cli_fail("out of memory");
    bool exists = stat(path, &there) == 0;
    mode_t mask = umask(0);
    umask(mask);
    int error;
    if (exists && S_ISDIR(there.st_mode)) {
        error = EISDIR;
    } else if (exists && !S_ISREG(there.st_mode)) {
        error = write_in_place(path, b);
    } else if (exists && access(path, W_OK) != 0) {
        error = errno; /* renaming over it would be possible, and against its owner's will */
    } else {
        char *real = exists ? realpath(path, NULL) : NULL; /* a link keeps pointing where it did */
        error = replace(real ? real : path, exists ? there.st_mode & 0777 : 0666 & ~mask, b);
        free(real);
    }
    return error ? cli_fail("%s: can't be written: %s", path, strerror(error)) : EXIT_OK;
}

int cli_begin_output(cli *c)
{
    static const struct {
        const char *name;
        render_format format;
    } formats[] = {{"table", RENDER_TABLE}, {"json", RENDER_JSON}, {"csv", RENDER_CSV}, {"markdown", RENDER_MARKDOWN}};
    cli_args *a = &c->args;
    if (a->json && a->output && strcmp(a->output, "json") != 0)
        return cli_usage(c->command, "--json and --output %s exclude each other", a->output);
    if (a->json) a->output = "json";
    c->report = (report){.out = &c->out, .memory = &c->memory, .style = cli_style(a->out ? -1 : STDOUT_FILENO)};
    for (size_t i = 0; a->output && i < sizeof formats / sizeof formats[0]; i++)
        if (strcmp(a->output, formats[i].name) == 0) c->report.format = formats[i].format;
    c->report.markdown = c->report.format == RENDER_MARKDOWN;
    if (c->report.markdown) c->report.style.unicode = true;
    return EXIT_OK;
}

int cli_finish_output(cli *c)
{
    return c->args.out ? cli_write_file(c->args.out, &c->out) : cli_write_stdout(&c->out);
}
