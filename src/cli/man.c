/* The man page, made from the tables of commands and options. */
#include "cli/cli.h"

/* Text in roff: no hyphen becomes a dash, no line begins with a request. */
static void roff(buffer *out, const char *text)
{
    for (const char *p = text; *p; p++) {
        bool start = p == text || p[-1] == '\n';
        if (start && (*p == '.' || *p == '\'')) buffer_text(out, "\\&");
        if (*p == '\\') buffer_text(out, "\\e");
        else if (*p == '-') buffer_text(out, "\\-");
        else if (*p == '\n' && p[1] == '\n') {
            buffer_text(out, "\n.PP\n");
            p++;
        } else {
            buffer_char(out, *p);
        }
    }
}

static void option_entry(buffer *out, const option *o)
{
    buffer_text(out, ".TP\n");
    if (o->letter) buffer_format(out, "\\fB\\-%c\\fR, ", o->letter);
    buffer_text(out, "\\fB\\-\\-");
    roff(out, o->name);
    buffer_text(out, "\\fR");
    if (o->argument) {
        buffer_text(out, " \\fI");
        roff(out, o->argument);
        buffer_text(out, "\\fR");
    }
    buffer_char(out, '\n');
    roff(out, o->help);
    buffer_char(out, '\n');
}

static void command_section(buffer *out, const command *cmd)
{
    const option_group *group;
    buffer_text(out, ".SS ");
    roff(out, cmd->name);
    buffer_text(out, " [\\fIOPTION\\fR]...");
    if (cmd->positional) buffer_format(out, " \\fI%s\\fR", cmd->positional);
    buffer_char(out, '\n');
    roff(out, cmd->text);
    buffer_char(out, '\n');
    for (size_t g = 0; (group = cli_group(cmd, g)); g++) {
        for (size_t i = 0; i < group->count; i++) option_entry(out, &group->options[i]);
    }
}

static void examples(buffer *out)
{
    buffer_text(out, ".SH EXAMPLES\n");
    for (size_t i = 0; cli_commands[i]; i++) {
        for (const char *const *e = cli_commands[i]->examples; *e; e += 2) {
            buffer_text(out, ".TP\n\\fB"
                             "phantom\\-gpu ");
            roff(out, e[0]);
            buffer_text(out, "\\fR\n");
            roff(out, e[1]);
            buffer_char(out, '\n');
        }
    }
}

static void endings(buffer *out)
{
    buffer_text(out, ".SH EXIT STATUS\n"
                     ".TP\n0\nDone.\n"
                     ".TP\n1\nIt failed: a file could not be read, understood or written.\n"
                     ".TP\n2\nThe command line is not right, or names what is not there.\n"
                     ".TP\n3\nA check that was asked for did not hold.\n"
                     ".SH FILES\n"
                     ".TP\n\\fI./gpu_models.toml\\fR, \\fI./hardware_profiles.toml\\fR\n"
                     "GPUs of your own, or corrections of the built\\-in ones.\n"
                     ".TP\n\\fI$XDG_CONFIG_HOME/phantom\\-gpu/*.toml\\fR\nThe same for all folders.\n"
                     ".SH ENVIRONMENT\n"
                     ".TP\nNO_COLOR\nNo colours, on a terminal too.\n"
                     ".TP\nCOLUMNS\nHow wide tables may be.\n"
                     ".TP\nHF_HUB_OFFLINE\n1: nothing is fetched from the Hugging Face Hub.\n"
                     ".TP\nHF_TOKEN, HF_TOKEN_PATH\nA token for the Hub, or the file that it lies in.\n"
                     ".TP\nHF_HOME, HF_HUB_CACHE, XDG_CACHE_HOME\nWhere what was fetched is kept.\n"
                     ".TP\nHF_ENDPOINT\nAnother Hub than https://huggingface.co.\n"
                     ".TP\nHF_HUB_ETAG_TIMEOUT, HF_HUB_DOWNLOAD_TIMEOUT\n"
                     "Seconds to connect and to wait for bytes; 10 by default.\n"
                     ".TP\nPHANTOM_GPU_HUB_RETRIES\nHow often a request is tried again; 4 by default.\n"
                     ".TP\nSSL_CERT_FILE\nCertificates to trust instead of the system's.\n");
}

void cli_man(buffer *out)
{
    buffer_format(out, ".TH PHANTOM\\-GPU 1 \"\" \"phantom\\-gpu %s\" \"User Commands\"\n", pg_version());
    buffer_text(
        out,
        ".SH NAME\nphantom\\-gpu \\- how fast a model runs on a GPU that you don't have\n"
        ".SH SYNOPSIS\n\\fBphantom\\-gpu\\fR \\fICOMMAND\\fR [\\fIOPTION\\fR]...\n.br\n"
        "\\fBphantom\\-gpu\\fR \\fBhelp\\fR \\fICOMMAND\\fR\n.br\n"
        "\\fBphantom\\-gpu\\fR \\fB\\-\\-help\\fR | \\fB\\-\\-version\\fR\n"
        ".SH DESCRIPTION\n"
        "Tells how fast a machine\\-learning model will run, and how much memory and power it will take, on "
        "GPUs that you don't have. Needs no GPU and no Python, and a network only for models of the Hugging Face Hub. Every latency comes with its "
        "80 % interval and with what it rests on.\n"
        ".SH COMMANDS\n");
    for (size_t i = 0; cli_commands[i]; i++) command_section(out, cli_commands[i]);
    examples(out);
    endings(out);
}
