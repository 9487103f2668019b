/* Only dispatches. */
#include <signal.h>
#include <string.h>

#include "cli/cli.h"

static const command *find_command(const char *name)
{
    for (size_t i = 0; cli_commands[i]; i++)
        if (strcmp(cli_commands[i]->name, name) == 0) return cli_commands[i];
    return NULL;
}

static int print(void (*write)(buffer *, const render_style *, const command *), const command *cmd)
{
    buffer out;
    render_style style = cli_style(1);
    buffer_init(&out, cli_allocator);
    write(&out, &style, cmd);
    int status = cli_write_stdout(&out);
    buffer_free(&out);
    return status;
}

static void put_help(buffer *out, const render_style *style, const command *cmd)
{
    if (cmd) cli_help_command(out, style, cmd);
    else cli_help(out, style);
}

static void put_version(buffer *out, const render_style *style, const command *cmd)
{
    (void)style, (void)cmd;
    buffer_format(out, CLI_PROGRAM " %s\n", pg_version());
}

static int unknown_command(const char *word)
{
    const char *names[32] = {NULL};
    for (size_t i = 0; cli_commands[i] && i + 1 < sizeof names / sizeof names[0]; i++) names[i] = cli_commands[i]->name;
    const char *meant = cli_suggest(word, names);
    if (word[0] == '-') return cli_usage(NULL, "'%s' is no option here; options stand after the command", word);
    if (meant) return cli_usage(NULL, "there is no command '%s'; did you mean '%s'?", word, meant);
    return cli_usage(NULL, "there is no command '%s'", word);
}

static int help(const char *word)
{
    const command *cmd = word ? find_command(word) : NULL;
    return word && !cmd ? unknown_command(word) : print(put_help, cmd);
}

static int run(const command *cmd, int argc, char **argv)
{
    cli c = {.command = cmd, .args = {.gpu_layers = -1}};
    arena_init(&c.memory, cli_allocator, 0);
    buffer_init(&c.out, cli_allocator);
    buffer_init(&c.trace, cli_allocator);
    int status = cli_parse(&c, argc, argv);
    if (status == EXIT_OK) status = c.args.help ? print(put_help, cmd) : cmd->run(&c);
    pg_market_free(c.market);
    pg_catalog_free(c.catalog);
    buffer_free(&c.trace);
    buffer_free(&c.out);
    arena_free(&c.memory);
    return status;
}

int main(int argc, char **argv)
{
    /* A closed pipe is then an error of write(), so that what was begun is cleaned up. */
    signal(SIGPIPE, SIG_IGN);
    const char *word = argc > 1 ? argv[1] : "";
    if (argc < 2) return cli_usage(NULL, "a command is needed");
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) return help(NULL);
    if (strcmp(word, "help") == 0) return help(argc > 2 ? argv[2] : NULL);
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) return print(put_version, NULL);
    if (strcmp(word, "--generate") == 0) return cli_generate(argc > 2 ? argv[2] : "");
    const command *cmd = find_command(word);
    return cmd ? run(cmd, argc - 1, argv + 1) : unknown_command(word);
}
