/* What goes to stderr. */
#include <stdio.h>

#include "cli/cli.h"

/* One line, whatever names it holds. */
static void print_line(const char *before, const char *text)
{
    buffer line;
    buffer_init(&line, cli_allocator);
    buffer_text(&line, before);
    text_clean(&line, str_c(text), cli_style(2).ascii_names);
    buffer_char(&line, '\n');
    if (line.failed) fprintf(stderr, "%s%s\n", before, "out of memory");
    else fwrite(line.ptr, 1, line.len, stderr);
    buffer_free(&line);
}

int cli_usage(const command *cmd, const char *fmt, ...)
{
    char text[1024];
    va_list args;
    va_start(args, fmt);
    format_textv(text, sizeof text, fmt, args);
    va_end(args);
    print_line(CLI_PROGRAM ": ", text);
    if (cmd) format_text(text, sizeof text, "Try '" CLI_PROGRAM " %s --help'.", cmd->name);
    else format_text(text, sizeof text, "Try '" CLI_PROGRAM " --help'.");
    print_line("", text);
    return EXIT_USAGE;
}

int cli_fail(const char *fmt, ...)
{
    char text[1024];
    va_list args;
    va_start(args, fmt);
    format_textv(text, sizeof text, fmt, args);
    va_end(args);
    print_line(CLI_PROGRAM ": ", text);
    return EXIT_FAILED;
}

int cli_error(const pg_error *e, const char *about)
{
    char text[1200];
    const char *source = e->source[0] ? e->source : about ? about : "";
    size_t n = format_text(text, sizeof text, "%s", source);
    if (e->line && n < sizeof text) n += format_text(text + n, sizeof text - n, ":%u:%u", e->line, e->column);
    if (n && n < sizeof text) n += format_text(text + n, sizeof text - n, ": ");
    if (e->path[0] && n < sizeof text) n += format_text(text + n, sizeof text - n, "%s: ", e->path);
    if (n < sizeof text) n += format_text(text + n, sizeof text - n, "%s", e->text);
    if (e->offset != PG_NO_OFFSET && n < sizeof text && !strstr(e->text, "at byte "))
        format_text(text + n, sizeof text - n, " (at byte %llu)", (unsigned long long)e->offset);
    print_line(CLI_PROGRAM ": ", text);
    int status = pg_code_exit_status(e->code);
    return status ? status : EXIT_FAILED;
}

void cli_warn(cli *c, const char *about, const char *text)
{
    size_t len = strlen(text) + (about ? strlen(about) + 2 : 0) + 1;
    char *line = arena_alloc(&c->memory, len);
    if (!line) return;
    format_text(line, len, "%s%s%s", about ? about : "", about ? ": " : "", text);
    for (size_t i = 0; i < c->warning_count; i++)
        if (strcmp(c->warnings[i], line) == 0) return;
    if (c->warning_count == c->warning_cap) {
        size_t cap = c->warning_cap ? c->warning_cap * 2 : 16;
        const char **grown = arena_grow(&c->memory, c->warnings, c->warning_count, cap, sizeof *grown);
        if (!grown) return;
        c->warnings = grown;
        c->warning_cap = cap;
    }
    c->warnings[c->warning_count++] = line;
    if (c->args.output && strcmp(c->args.output, "json") == 0) return; /* they stand in the document */
    print_line(CLI_PROGRAM ": warning: ", line);
}

render_warnings cli_warnings(const cli *c)
{
    return (render_warnings){c->warnings, c->warning_count};
}
