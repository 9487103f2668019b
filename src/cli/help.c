/* --help, made from the tables of commands and options. */
#include "cli/cli.h"

enum { NAMES_WIDTH = 30 };

const command *const cli_commands[] = {
    &command_load_model, &command_compare_models, &command_recommend_gpu, &command_prices,      &command_validate,
    &command_calibrate,  &command_list_gpus,      &command_list_hardware, &command_list_models, NULL};

static void bold(buffer *out, const render_style *style, const char *text)
{
    buffer_format(out, style->color ? "\033[1m%s\033[0m" : "%s", text);
}

/* A name on the left, its meaning wrapped on the right; below it where the name is too long. */
static void entry(buffer *out, const render_style *style, const char *name, size_t column_, const char *text)
{
    size_t width = text_width(str_c(name)), most = style->width > 100 ? 100 : style->width;
    buffer_text(out, name);
    if (width + 2 > column_) {
        buffer_char(out, '\n');
        width = 0;
    }
    buffer_fill(out, ' ', column_ - width);
    text_wrap(out, str_c(text), column_, column_, most);
    buffer_char(out, '\n');
}

/* Paragraphs are separated by empty lines. */
static void paragraphs(buffer *out, const render_style *style, const char *text)
{
    size_t most = style->width > 100 ? 100 : style->width;
    while (*text) {
        const char *end = strstr(text, "\n\n");
        str part = {text, end ? (size_t)(end - text) : strlen(text)};
        text_wrap(out, part, 0, 0, most);
        buffer_text(out, end ? "\n\n" : "\n");
        text = end ? end + 2 : text + part.len;
    }
}

void cli_help(buffer *out, const render_style *style)
{
    buffer_text(out, "Usage: " CLI_PROGRAM " COMMAND [OPTION]...\n\n");
    paragraphs(
        out, style,
        "Tells how fast a machine-learning model will run, and how much memory and power it will take, on GPUs "
        "that you don't have. Needs no GPU and no Python, and a network only for models of the Hugging Face Hub.");
    buffer_char(out, '\n');
    bold(out, style, "Commands");
    buffer_char(out, '\n');
    for (size_t i = 0; cli_commands[i]; i++) {
        char name[64];
        format_text(name, sizeof name, "  %s", cli_commands[i]->name);
        entry(out, style, name, 20, cli_commands[i]->summary);
    }
    entry(out, style, "  help COMMAND", 20, "The same as COMMAND --help.");
    buffer_char(out, '\n');
    bold(out, style, "Options");
    buffer_char(out, '\n');
    entry(out, style, "  -h, --help", 20, "Shows this help; after a command, that of the command.");
    entry(out, style, "  -V, --version", 20, "Shows the version.");
    buffer_char(out, '\n');
    bold(out, style, "Examples");
    buffer_text(out, "\n  " CLI_PROGRAM " load-model resnet50 --batch-size 32\n"
                     "  " CLI_PROGRAM " compare-models --models model.onnx --gpus a100,h100 --batch-sizes 1,32\n");
}

static void option_entry(buffer *out, const render_style *style, const option *o)
{
    char name[100], letter[8] = "    ";
    if (o->letter) format_text(letter, sizeof letter, "-%c, ", o->letter);
    format_text(name, sizeof name, "  %s--%s%s%s", letter, o->name, o->argument ? " " : "",
                o->argument ? o->argument : "");
    entry(out, style, name, NAMES_WIDTH, o->help);
}

void cli_help_command(buffer *out, const render_style *style, const command *cmd)
{
    const option_group *group;
    buffer_format(out, "Usage: " CLI_PROGRAM " %s [OPTION]...%s%s\n\n", cmd->name, cmd->positional ? " " : "",
                  cmd->positional ? cmd->positional : "");
    paragraphs(out, style, cmd->text);
    for (size_t g = 0; (group = cli_group(cmd, g)); g++) {
        buffer_char(out, '\n');
        bold(out, style, group->title);
        buffer_char(out, '\n');
        for (size_t i = 0; i < group->count; i++) option_entry(out, style, &group->options[i]);
    }
    buffer_char(out, '\n');
    bold(out, style, "Examples");
    buffer_char(out, '\n');
    for (size_t i = 0; cmd->examples[i]; i += 2)
        buffer_format(out, "  " CLI_PROGRAM " %s\n      %s\n", cmd->examples[i], cmd->examples[i + 1]);
}
