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
    if (error == EPIPE) return EXIT_FAILED; /* `| head` has read enough, and its user wants no line about that */
    return error ? cli_fail("standard output: %s", strerror(error)) : EXIT_OK;
}

/* A file on its way: what is to be in it lies in a temporary one beside it until all is written. */
typedef struct target {
    const char *name; /* as given */
    const buffer *bytes;
    char *path;      /* where it really is, whatever links lead there */
    char *temporary; /* NULL: a device or a pipe, which is written to as it is */
} target;

/* What a link that leads nowhere yet names; NULL: no link. */
static char *link_text(const char *path)
{
    struct stat there;
    char text[4096];
    if (lstat(path, &there) != 0 || !S_ISLNK(there.st_mode)) return NULL;
    ssize_t n = readlink(path, text, sizeof text - 1);
    if (n <= 0 || n >= (ssize_t)sizeof text - 1) return NULL;
    text[n] = '\0';
    const char *slash = text[0] == '/' ? NULL : strrchr(path, '/');
    size_t folder = slash ? (size_t)(slash - path) + 1 : 0, size = folder + (size_t)n + 1;
    char *out = malloc(size);
    if (out) format_text(out, size, "%.*s%s", (int)folder, path, text);
    return out;
}

/* The path of a file that is there or can be made: its folder without links, then its name; NULL with errno: none. */
static char *resolve(const char *path)
{
    enum { LINKS_MOST = 16 };
    char *real = realpath(path, NULL), *next;
    if (real || errno != ENOENT) return real;
    char *here = strdup(path);
    for (int i = 0; here && i < LINKS_MOST && (next = link_text(here)); i++) {
        free(here);
        here = next;
    }
    if (!here) return NULL;
    char *slash = strrchr(here, '/');
    const char *name = slash ? slash + 1 : here;
    if (slash) *slash = '\0';
    char *folder = realpath(!slash ? "." : slash == here ? "/" : here, NULL);
    size_t size = folder ? strlen(folder) + strlen(name) + 2 : 0;
    real = folder ? malloc(size) : NULL;
    if (real) format_text(real, size, "%s/%s", folder, name);
    int error = errno;
    free(folder);
    free(here);
    errno = error;
    return real;
}

static int write_temporary(int fd, mode_t mode, const buffer *b)
{
    int error = write_all(fd, b->ptr, b->len);
    if (!error && fchmod(fd, mode) != 0) error = errno;
    if (!error && fsync(fd) != 0) error = errno;
    if (close(fd) != 0 && !error) error = errno;
    return error;
}

static int make_temporary(target *t, mode_t mode)
{
    static const char tail[] = ".XXXXXX";
    t->path = resolve(t->name);
    if (!t->path) return errno;
    size_t size = strlen(t->path) + sizeof tail;
    t->temporary = malloc(size);
    if (!t->temporary) return ENOMEM;
    format_text(t->temporary, size, "%s%s", t->path, tail);
    int fd = mkstemp(t->temporary);
    if (fd >= 0) return write_temporary(fd, mode, t->bytes);
    int error = errno;
    free(t->temporary);
    t->temporary = NULL;
    return error;
}

/* Everything that can go wrong before what was there changes. */
static int prepare(target *t)
{
    struct stat there;
    bool exists = stat(t->name, &there) == 0;
    mode_t mask = umask(0);
    umask(mask);
    if (exists && S_ISDIR(there.st_mode)) return EISDIR;
    if (exists && !S_ISREG(there.st_mode)) return 0;
    /* renaming over it would be possible, and against its owner's will */
    if (exists && access(t->name, W_OK) != 0) return errno;
    return make_temporary(t, exists ? there.st_mode & 0777 : 0666 & ~mask);
}

static int write_in_place(const target *t)
{
    int fd = open(t->name, O_WRONLY | O_CLOEXEC);
    int error = fd < 0 ? errno : write_all(fd, t->bytes->ptr, t->bytes->len);
    if (fd >= 0 && close(fd) != 0 && !error) error = errno;
    return error;
}

static int put_in_place(target *t)
{
    if (rename(t->temporary, t->path) != 0) return errno;
    free(t->temporary);
    t->temporary = NULL;
    return 0;
}

static int failed(const target *t, int error)
{
    return error ? cli_fail("%s: can't be written: %s", t->name, strerror(error)) : EXIT_OK;
}

/* First all temporary files, then what can't be taken back, and the renames last: an error leaves everything as it was. */
static int write_targets(target *targets, size_t count, const buffer *to_stdout)
{
    int status = EXIT_OK;
    for (size_t i = 0; i < count && status == EXIT_OK; i++)
        status = targets[i].bytes->failed ? cli_fail("out of memory") : failed(&targets[i], prepare(&targets[i]));
    for (size_t i = 0; i < count && status == EXIT_OK; i++)
        if (!targets[i].temporary) status = failed(&targets[i], write_in_place(&targets[i]));
    if (to_stdout && status == EXIT_OK) status = cli_write_stdout(to_stdout);
    for (size_t i = 0; i < count && status == EXIT_OK; i++)
        if (targets[i].temporary) status = failed(&targets[i], put_in_place(&targets[i]));
    for (size_t i = 0; i < count; i++) {
        if (targets[i].temporary) unlink(targets[i].temporary);
        free(targets[i].temporary);
        free(targets[i].path);
    }
    return status;
}

/* What is written beside the report; NULL: nothing. */
static const char *second_file(const cli_args *a)
{
    return a->trace ? a->trace : a->plot ? a->plot : a->write;
}

/* Names that can't be meant. */
static int check_names(const cli *c)
{
    const cli_args *a = &c->args;
    const char *second = second_file(a), *name = a->trace ? "trace" : a->plot ? "plot" : "write";
    if (second && strcmp(second, "-") == 0)
        return cli_usage(c->command, "--%s needs a file; standard output is for the report", name);
    if (a->out && strcmp(a->out, "-") == 0)
        return cli_usage(c->command, "--out needs a file; without it the report goes to standard output");
    if (!a->out || !second) return EXIT_OK;
    char *out = resolve(a->out), *other = resolve(second);
    bool same = strcmp(a->out, second) == 0 || (out && other && strcmp(out, other) == 0);
    free(out);
    free(other);
    return same ? cli_usage(c->command, "--out and --%s name the same file, '%s'", name, second) : EXIT_OK;
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
    return check_names(c);
}

int cli_finish_output(cli *c)
{
    target targets[2];
    size_t count = 0;
    if (c->args.out) targets[count++] = (target){.name = c->args.out, .bytes = &c->out};
    if (second_file(&c->args)) targets[count++] = (target){.name = second_file(&c->args), .bytes = &c->trace};
    if (c->out.failed) return cli_fail("out of memory");
    return write_targets(targets, count, c->args.out ? NULL : &c->out);
}
