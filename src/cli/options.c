/* From our tables to popt's, and back. */
#include <popt.h>
#include <stdlib.h>

#include "cli/cli.h"

enum { OPTIONS_MOST = 128, NEAR = 3 };

static const option common_options[] = {
    {"help", 'h', NULL, OPTION_FLAG, offsetof(cli_args, help), 0, 0, NULL, "Shows this help."},
};
static const option_group common_group = GROUP("Other", common_options);

const option_group *cli_group(const command *cmd, size_t i)
{
    size_t count = 0;
    while (cmd->groups[count]) count++;
    return i < count ? cmd->groups[i] : i == count ? &common_group : NULL;
}

/* Option i of a command; NULL past the end. */
static const option *option_at(const command *cmd, size_t i)
{
    const option_group *group;
    for (size_t g = 0; (group = cli_group(cmd, g)); g++) {
        if (i < group->count) return &group->options[i];
        i -= group->count;
    }
    return NULL;
}

const char *cli_suggest(const char *word, const char *const *names)
{
    char wanted[64], have[64];
    const char *best = NULL;
    unsigned least = NEAR + 1;
    size_t len = str_fold(wanted, sizeof wanted, str_c(word));
    for (size_t i = 0; names[i]; i++) {
        size_t have_len = str_fold(have, sizeof have, str_c(names[i]));
        /* the beginning of a name is as good as a slip of one key */
        unsigned d = len > 1 && strncmp(have, wanted, len) == 0
                       ? 1
                       : str_distance((str){wanted, len}, (str){have, have_len}, NEAR);
        if (d < least && d < len && (d < have_len || d <= 1)) {
            least = d;
            best = names[i];
        }
    }
    return best;
}

static const char *suggest_option(const command *cmd, const char *word)
{
    const char *names[OPTIONS_MOST + 1] = {NULL};
    for (size_t i = 0; i < OPTIONS_MOST && option_at(cmd, i); i++) names[i] = option_at(cmd, i)->name;
    return cli_suggest(word, names);
}

static int bad_option(const command *cmd, poptContext context, int code)
{
    char word[80];
    const char *bad = poptBadOption(context, POPT_BADOPTION_NOALIAS);
    format_text(word, sizeof word, "%s", bad ? bad : "?");
    if (code == POPT_ERROR_NOARG) return cli_usage(cmd, "%s needs a value", word);
    char *equals = strchr(word, '=');
    if (equals) *equals = '\0';
    if (code == POPT_ERROR_UNWANTEDARG) return cli_usage(cmd, "%s takes no value", word);
    if (code != POPT_ERROR_BADOPT) return cli_usage(cmd, "%s: %s", word, poptStrerror(code));
    const char *name = word;
    while (*name == '-') name++;
    const char *meant = suggest_option(cmd, name);
    if (meant) return cli_usage(cmd, "%s has no option '%s'; did you mean '--%s'?", cmd->name, word, meant);
    return cli_usage(cmd, "%s has no option '%s'", cmd->name, word);
}

static int take_rest(cli *c, poptContext context)
{
    const char *positional = c->command->positional;
    const char **rest = poptGetArgs(context);
    size_t count = 0;
    while (rest && rest[count]) count++;
    bool many = positional && strstr(positional, "...");
    if (count > (many ? SIZE_MAX : positional ? 1u : 0u))
        return cli_usage(c->command, "'%s' is one argument too many", rest[positional ? 1 : 0]);
    if (!count) return EXIT_OK;
    c->args.rest.items = ARENA_ARRAY(&c->memory, const char *, count);
    if (!c->args.rest.items) return cli_fail("out of memory");
    for (size_t i = 0; i < count; i++) {
        c->args.rest.items[i] = str_copy(&c->memory, str_c(rest[i])).ptr;
        if (!c->args.rest.items[i]) return cli_fail("out of memory");
        if (!rest[i][0]) return cli_usage(c->command, "an argument is empty");
    }
    c->args.rest.count = count;
    return EXIT_OK;
}

static int parse(cli *c, poptContext context)
{
    for (int code; (code = poptGetNextOpt(context)) != -1;) {
        if (code < 0) return bad_option(c->command, context, code);
        const option *o = option_at(c->command, (size_t)code - 1);
        char *given = poptGetOptArg(context);
        str value = str_copy(&c->memory, str_c(given ? given : ""));
        free(given);
        int status = value.ptr ? cli_set_option(c, o, value.ptr) : cli_fail("out of memory");
        if (status != EXIT_OK) return status;
        if (c->args.help) return EXIT_OK; /* whatever else is there */
    }
    return take_rest(c, context);
}

int cli_parse(cli *c, int argc, char **argv)
{
    struct poptOption rows[OPTIONS_MOST + 1] = {0};
    for (size_t i = 0; i < OPTIONS_MOST; i++) {
        const option *o = option_at(c->command, i);
        if (!o) break;
        rows[i] = (struct poptOption){.longName = o->name,
                                      .shortName = o->letter,
                                      .argInfo = o->kind == OPTION_FLAG ? POPT_ARG_NONE : POPT_ARG_STRING,
                                      .val = (int)i + 1};
    }
    poptContext context = poptGetContext(CLI_PROGRAM, argc, (const char **)(void *)argv, rows, 0);
    if (!context) return cli_fail("out of memory");
    int status = parse(c, context);
    poptFreeContext(context);
    return status;
}
