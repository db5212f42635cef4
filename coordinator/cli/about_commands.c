/* version and shell completion. */
#include "coordinator/cli/commands.h"
#include "coordinator/cli/document.h"

#include "common/version.h"
#include "common/wire.h"

#include <string.h>

status_t version_command(struct cli *cli, const struct cli_arguments *arguments, struct error *err)
{
    if (arguments->format != CLI_FORMAT_JSON) {
        (void)fprintf(cli->out, "interpctl %s, wire protocol %d\n", version_text(), WIRE_VERSION);
        return ST_OK;
    }
    return document_print_new(
        cli->out, "Version",
        json_pack("{s:s, s:i}", "version", version_text(), "wire_version", WIRE_VERSION), err);
}

static void print_words(const struct cli *cli, bool with_aliases)
{
    for (const struct cli_command *it = cli->commands; it->name; it++) {
        if (it->is_hidden) continue;
        (void)fprintf(cli->out, "%s ", it->name);
        if (with_aliases && it->alias) (void)fprintf(cli->out, "%s ", it->alias);
    }
}

static void print_options(const struct cli *cli, const struct cli_command *command)
{
    const char *names[CLI_N_OPTIONS + 1];
    uint64_t options = command->options | CLI_COMMON_OPTIONS;
    if (command->formats) options |= CLI_BIT(CLI_OUTPUT);
    const size_t n = cli_arguments_names(options, names);
    for (size_t i = 0; i < n; i++) (void)fprintf(cli->out, "--%s ", names[i]);
}

static bool takes_sweep(const struct cli_command *command)
{
    return strncmp(command->arguments, "SWEEP", 5) == 0 ||
           strcmp(command->arguments, "[SWEEP]") == 0;
}

/* A bash function out of the table of commands; sweep ids come from the coordinator. */
status_t completion_command(struct cli *cli, const struct cli_arguments *arguments,
                            struct error *err)
{
    if (arguments->positional[0][0] != 'b')
        return error_set(err, ST_BAD_INPUT, "completion %s: only bash is known",
                         arguments->positional[0]);
    (void)fputs("_interpctl() {\n"
                "    local word=${COMP_WORDS[COMP_CWORD]} words=\n"
                "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
                "        COMPREPLY=($(compgen -W '",
                cli->out);
    print_words(cli, true);
    (void)fputs("--help --version' -- \"$word\"))\n        return\n    fi\n"
                "    case ${COMP_WORDS[1]} in\n",
                cli->out);
    for (const struct cli_command *it = cli->commands; it->name; it++) {
        if (it->is_hidden) continue;
        (void)fprintf(cli->out, "    %s%s%s)\n        words='", it->name, it->alias ? "|" : "",
                      it->alias ? it->alias : "");
        print_options(cli, it);
        (void)fputs("'\n", cli->out);
        if (takes_sweep(it))
            (void)fputs("        [[ $word == -* || $COMP_CWORD -ne 2 ]] ||\n"
                        "            words=$(interpctl list --quiet --timeout 1 2>/dev/null)\n",
                        cli->out);
        (void)fputs("        ;;\n", cli->out);
    }
    (void)fputs("    esac\n"
                "    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
                "}\n"
                "complete -o default -F _interpctl interpctl\n",
                cli->out);
    return ST_OK;
}
