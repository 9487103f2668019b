/* Shell completions, made from the tables of commands and options. Names that only a run knows (GPUs, built-in models,
 * runtimes) are asked for when they are needed: `phantom-gpu --generate gpus`. */
#include "cli/cli.h"

typedef enum offer { OFFER_NOTHING, OFFER_FILES, OFFER_WORDS, OFFER_GPUS, OFFER_MODELS, OFFER_RUNTIMES } offer;

static offer offer_of(const option *o)
{
    switch (o->kind) {
    case OPTION_FILE:
    case OPTION_FILES: return OFFER_FILES;
    case OPTION_GPU:
    case OPTION_GPUS: return OFFER_GPUS;
    case OPTION_MODEL:
    case OPTION_MODELS: return OFFER_MODELS;
    case OPTION_RUNTIME:
    case OPTION_RUNTIMES: return OFFER_RUNTIMES;
    case OPTION_CHOICE:
    case OPTION_CHOICES: return OFFER_WORDS;
    case OPTION_FLAG:
    case OPTION_TEXT:
    case OPTION_TEXTS:
    case OPTION_REAL:
    case OPTION_NUMBER:
    case OPTION_NUMBERS:
    case OPTION_REALS:
    case OPTION_SHAPE: break;
    }
    return OFFER_NOTHING;
}

static bool is_list(const option *o)
{
    return o->kind == OPTION_GPUS || o->kind == OPTION_MODELS || o->kind == OPTION_CHOICES ||
           o->kind == OPTION_RUNTIMES;
}

static const char *asked(offer what)
{
    return what == OFFER_GPUS ? "gpus" : what == OFFER_MODELS ? "models" : "runtimes";
}

static void put_choices(buffer *out, const option *o, const char *between)
{
    for (size_t i = 0; o->choices[i]; i++) buffer_format(out, "%s%s", i ? between : "", o->choices[i]);
}

/* Calls `each` for every option of a command. */
static void for_options(buffer *out, const command *cmd, void (*each)(buffer *, const command *, const option *))
{
    const option_group *group;
    for (size_t g = 0; (group = cli_group(cmd, g)); g++) {
        for (size_t i = 0; i < group->count; i++) each(out, cmd, &group->options[i]);
    }
}

static void bash_name(buffer *out, const command *cmd, const option *o)
{
    (void)cmd;
    buffer_format(out, "--%s ", o->name);
}

static void bash_value(buffer *out, const command *cmd, const option *o)
{
    offer what = offer_of(o);
    if (o->kind == OPTION_FLAG) return;
    buffer_format(out, "    %s:--%s", cmd->name, o->name);
    if (o->letter) buffer_format(out, "|%s:-%c", cmd->name, o->letter);
    buffer_text(out, ") ");
    if (what == OFFER_FILES) buffer_text(out, "files=1");
    else if (what == OFFER_MODELS) buffer_text(out, "files=1; words=$(\"$1\" --generate models 2>/dev/null)");
    else if (what == OFFER_WORDS) {
        buffer_text(out, "words='");
        put_choices(out, o, " ");
        buffer_char(out, '\'');
    } else if (what != OFFER_NOTHING) {
        buffer_format(out, "words=$(\"$1\" --generate %s 2>/dev/null)", asked(what));
    } else {
        buffer_text(out, "return");
    }
    if (is_list(o)) buffer_text(out, "; list=1");
    buffer_text(out, " ;;\n");
}

static void bash(buffer *out)
{
    buffer_text(out, "# bash completion for phantom-gpu\n"
                     "_phantom_gpu() {\n"
                     "    local cur=$2 prev=$3 command=${COMP_WORDS[1]} words= options= files= list= head=\n"
                     "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
                     "        COMPREPLY=($(compgen -W '");
    for (size_t i = 0; cli_commands[i]; i++) buffer_format(out, "%s ", cli_commands[i]->name);
    buffer_text(out, "help --help --version' -- \"$cur\"))\n        return\n    fi\n    case $command in\n");
    for (size_t i = 0; cli_commands[i]; i++) {
        buffer_format(out, "    %s) options='", cli_commands[i]->name);
        for_options(out, cli_commands[i], bash_name);
        buffer_text(out, "' ;;\n");
    }
    buffer_text(out, "    help) COMPREPLY=($(compgen -W '");
    for (size_t i = 0; cli_commands[i]; i++) buffer_format(out, "%s%s", i ? " " : "", cli_commands[i]->name);
    buffer_text(out, "' -- \"$cur\")); return ;;\n    *) return ;;\n    esac\n    case $command:$prev in\n");
    for (size_t i = 0; cli_commands[i]; i++) for_options(out, cli_commands[i], bash_value);
    buffer_text(out, "    *)\n"
                     "        case $cur in\n"
                     "        -*) words=$options ;;\n"
                     "        *) [ \"${command%-model*}\" = \"$command\" ] || [ \"$command\" = list-models ] || "
                     "{ files=1; words=$(\"$1\" --generate models 2>/dev/null); } ;;\n"
                     "        esac ;;\n"
                     "    esac\n"
                     "    if [ -n \"$list\" ] && [ \"${cur%,*}\" != \"$cur\" ]; then\n"
                     "        head=${cur%,*},\n"
                     "        cur=${cur##*,}\n"
                     "    fi\n"
                     "    COMPREPLY=($(compgen -P \"$head\" -W \"$words\" -- \"$cur\"))\n"
                     "    [ -z \"$files\" ] || { compopt -o filenames 2>/dev/null; "
                     "COMPREPLY+=($(compgen -P \"$head\" -f -- \"$cur\")); }\n"
                     "}\n"
                     "complete -F _phantom_gpu phantom-gpu\n");
}

/* Text inside '...' of a shell, with what _arguments would take for syntax escaped. */
static void quoted(buffer *out, const char *text, bool zsh)
{
    for (const char *p = text; *p; p++) {
        if (*p == '\'') buffer_text(out, zsh ? "'\\''" : "\\'");
        else if (zsh && (*p == '[' || *p == ']' || *p == ':')) buffer_format(out, "\\%c", *p);
        else buffer_char(out, *p);
    }
}

static void zsh_option(buffer *out, const command *cmd, const option *o)
{
    offer what = offer_of(o);
    (void)cmd;
    buffer_format(out, "        '%s--%s%s[", o->kind == OPTION_SHAPE ? "*" : "", o->name,
                  o->kind == OPTION_FLAG ? "" : "=");
    quoted(out, o->help, true);
    buffer_char(out, ']');
    if (o->kind != OPTION_FLAG) {
        buffer_char(out, ':');
        quoted(out, o->argument, true);
        buffer_char(out, ':');
        if (what == OFFER_FILES) buffer_text(out, "_files");
        else if (what == OFFER_MODELS) buffer_text(out, "_phantom_gpu_models");
        else if (what == OFFER_WORDS) {
            buffer_text(out, is_list(o) ? "_sequence compadd - " : "(");
            put_choices(out, o, " ");
            buffer_text(out, is_list(o) ? "" : ")");
        } else if (what != OFFER_NOTHING) {
            buffer_format(out, "%s_phantom_gpu_%s", is_list(o) ? "_sequence " : "", asked(what));
        } else {
            buffer_char(out, ' ');
        }
    }
    buffer_text(out, "' \\\n");
}

static void zsh(buffer *out)
{
    static const char *const asks[] = {"gpus", "runtimes"};
    buffer_text(out, "#compdef phantom-gpu\n");
    for (size_t i = 0; i < 2; i++)
        buffer_format(out,
                      "_phantom_gpu_%s() { compadd \"$@\" - ${(f)\"$(phantom-gpu --generate %s 2>/dev/null)\"} }\n",
                      asks[i], asks[i]);
    buffer_text(out, "_phantom_gpu_models() {\n"
                     "    compadd - ${(f)\"$(phantom-gpu --generate models 2>/dev/null)\"}\n"
                     "    _files\n}\n"
                     "_phantom_gpu() {\n"
                     "    local -a commands=(\n");
    for (size_t i = 0; cli_commands[i]; i++) {
        buffer_format(out, "        '%s:", cli_commands[i]->name);
        quoted(out, cli_commands[i]->summary, true);
        buffer_text(out, "'\n");
    }
    buffer_text(out, "        'help:The help of a command.'\n    )\n"
                     "    if (( CURRENT == 2 )); then\n"
                     "        _describe command commands\n"
                     "        compadd - --help --version\n"
                     "        return\n    fi\n"
                     "    local command=$words[2]\n"
                     "    shift words\n    (( CURRENT-- ))\n"
                     "    case $command in\n"
                     "    help) _describe command commands ;;\n");
    for (size_t i = 0; cli_commands[i]; i++) {
        buffer_format(out, "    %s) _arguments \\\n", cli_commands[i]->name);
        for_options(out, cli_commands[i], zsh_option);
        if (cli_commands[i]->positional) buffer_text(out, "        '*:model:_phantom_gpu_models' ;;\n");
        else buffer_text(out, "        ;;\n");
    }
    buffer_text(out, "    esac\n}\n_phantom_gpu \"$@\"\n");
}

static void fish_option(buffer *out, const command *cmd, const option *o)
{
    offer what = offer_of(o);
    buffer_format(out, "complete -c phantom-gpu -n '__fish_seen_subcommand_from %s' -l %s", cmd->name, o->name);
    if (o->letter) buffer_format(out, " -s %c", o->letter);
    if (o->kind != OPTION_FLAG) buffer_text(out, what == OFFER_FILES || what == OFFER_MODELS ? " -r -F" : " -x");
    if (what == OFFER_WORDS) {
        buffer_text(out, " -a '");
        put_choices(out, o, " ");
        buffer_char(out, '\'');
    } else if (what == OFFER_GPUS || what == OFFER_MODELS || what == OFFER_RUNTIMES) {
        buffer_format(out, " -a '(phantom-gpu --generate %s 2>/dev/null)'", asked(what));
    }
    buffer_text(out, " -d '");
    quoted(out, o->help, false);
    buffer_text(out, "'\n");
}

static void fish(buffer *out)
{
    buffer_text(out, "# fish completion for phantom-gpu\n"
                     "complete -c phantom-gpu -n __fish_use_subcommand -f -l help -s h -d 'Shows the help.'\n"
                     "complete -c phantom-gpu -n __fish_use_subcommand -f -l version -s V -d 'Shows the version.'\n"
                     "complete -c phantom-gpu -n __fish_use_subcommand -f -a help -d 'The help of a command.'\n"
                     "complete -c phantom-gpu -n '__fish_seen_subcommand_from help' -f -a '");
    for (size_t i = 0; cli_commands[i]; i++) buffer_format(out, "%s%s", i ? " " : "", cli_commands[i]->name);
    buffer_text(out, "'\n");
    for (size_t i = 0; cli_commands[i]; i++) {
        const command *cmd = cli_commands[i];
        buffer_format(out, "complete -c phantom-gpu -n __fish_use_subcommand -f -a %s -d '", cmd->name);
        quoted(out, cmd->summary, false);
        buffer_text(out, "'\n");
        if (cmd->positional)
            buffer_format(out,
                          "complete -c phantom-gpu -n '__fish_seen_subcommand_from %s' "
                          "-a '(phantom-gpu --generate models 2>/dev/null)'\n",
                          cmd->name);
        else buffer_format(out, "complete -c phantom-gpu -n '__fish_seen_subcommand_from %s' -f\n", cmd->name);
        for_options(out, cmd, fish_option);
    }
}

/* One name a line. */
static int names(buffer *out, const char *what)
{
    if (strcmp(what, "models") == 0) {
        pg_builtin b;
        for (size_t i = 0; pg_builtin_at(i, &b); i++) buffer_format(out, "%s\n", b.name);
        return EXIT_OK;
    }
    pg_catalog *catalog = NULL;
    pg_error e = PG_ERROR_INIT;
    if (pg_catalog_open(&catalog, NULL, &e) != PG_E_OK) return cli_error(&e, NULL);
    for (size_t i = 0; strcmp(what, "gpus") == 0 && pg_catalog_at(catalog, i); i++)
        buffer_format(out, "%s\n", pg_catalog_at(catalog, i)->key);
    for (size_t i = 0; strcmp(what, "runtimes") == 0 && pg_catalog_runtime(catalog, i); i++)
        buffer_format(out, "%s\n", pg_catalog_runtime(catalog, i));
    pg_catalog_free(catalog);
    return EXIT_OK;
}

int cli_generate(const char *what)
{
    static const struct {
        const char *what;
        void (*write)(buffer *);
    } pages[] = {{"man", cli_man}, {"bash", bash}, {"zsh", zsh}, {"fish", fish}};
    static const char *const lists[] = {"gpus", "models", "runtimes"};
    buffer out;
    buffer_init(&out, cli_allocator);
    int status = -1;
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        if (strcmp(what, pages[i].what) != 0) continue;
        pages[i].write(&out);
        status = EXIT_OK;
    }
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        if (strcmp(what, lists[i]) == 0) status = names(&out, what);
    if (status < 0) status = cli_usage(NULL, "--generate: man, bash, zsh or fish, not '%s'", what);
    else if (status == EXIT_OK) status = cli_write_stdout(&out);
    buffer_free(&out);
    return status;
}
