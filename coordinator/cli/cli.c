#include "coordinator/cli/cli.h"

#include "common/cluster_config.h"
#include "common/config.h"
#include "coordinator/cli/cluster_paths.h"
#include "coordinator/cli/help_text.h"
#include "coordinator/cli/supervisor.h"
#include "coordinator/cli/wrapped_text.h"
#include "coordinator/gateway/provider_config.h"
#include "coordinator/intake/sweep_spec.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { N_COMMANDS_MAX = 64, HELP_MAX_BYTES = 256 * 1024, OVERVIEW_COLUMN = 29 };
static const double default_timeout_s = 10;

static volatile sig_atomic_t interrupt_signal;

static void on_signal(int number)
{
    interrupt_signal = number;
}

void cli_catch_interrupt(void)
{
    struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART: waits end at once */
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

bool cli_sleep(const struct cli *cli, int64_t ms)
{
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    if (!*cli->interrupt) (void)nanosleep(&time, NULL);
    return !*cli->interrupt;
}

void cli_init(struct cli *cli, const struct cli_command *commands)
{
    struct winsize size = {0};
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    /* Widths of characters are counted in UTF-8 whatever the user's locale is. */
    (void)setlocale(LC_CTYPE, "C.UTF-8");
    *cli = (struct cli){.commands = commands,
                        .out = stdout,
                        .err = stderr,
                        .is_out_tty = isatty(STDOUT_FILENO) == 1,
                        .is_err_tty = isatty(STDERR_FILENO) == 1,
                        .clock = clock_system(),
                        .interrupt = &interrupt_signal};
    cli->has_color =
        cli->is_out_tty && !(no_color && *no_color) && !(term && strcmp(term, "dumb") == 0);
    if (cli->is_out_tty && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) cli->width = size.ws_col;
}

/* --- asking -------------------------------------------------------------------------------- */

status_t cli_connect(struct client **out, const struct cli *cli,
                     const struct cli_arguments *arguments, struct error *err)
{
    struct cluster_paths paths;
    const char *endpoint = arguments->endpoint;
    bool is_supervised = false;
    if (!endpoint && !arguments->state) { /* an explicit --state outranks the environment */
        endpoint = getenv("INTERP_ENDPOINT");
        if (endpoint && !*endpoint) endpoint = NULL;
    }
    if (!endpoint) {
        const status_t status = cluster_paths_init(&paths, arguments->state, err);
        if (status != ST_OK) return status;
        endpoint = paths.coordinator_endpoint;
        is_supervised = supervisor_is_running(&paths);
    }
    struct curve_client curve;
    bool is_curve;
    const struct curve_files files = {arguments->key, arguments->server_key};
    const status_t status = curve_client_load(&curve, &is_curve, &files, endpoint, err);
    if (status != ST_OK) return status;
    const double timeout_s = isnan(arguments->timeout_s) ? default_timeout_s : arguments->timeout_s;
    const struct client_params params = {.endpoint = endpoint,
                                         .curve = is_curve ? &curve : NULL,
                                         .timeout_ms = (int64_t)(timeout_s * 1000),
                                         .is_expected = is_supervised,
                                         .interrupt = cli->interrupt};
    return client_open(out, &params, err);
}

status_t cli_ask(const struct cli *cli, const struct cli_arguments *arguments,
                 const struct client_request *request, json_t **result, struct error *err)
{
    struct client *client = NULL;
    status_t status = cli_connect(&client, cli, arguments, err);
    if (status == ST_OK) status = client_ask(client, request, result, err);
    client_close(&client);
    return status;
}

/* --- commands ------------------------------------------------------------------------------ */

static void print_overview(const struct cli *cli, FILE *out)
{
    const size_t width = help_text_width(cli->width);
    (void)fprintf(out, "interpctl: submit sweeps to a cluster and read what it found\n\n"
                       "usage: interpctl COMMAND [ARGUMENTS] [OPTIONS]\n\n");
    for (const struct cli_command *it = cli->commands; it->name; it++) {
        if (it->is_hidden) continue;
        char head[64];
        (void)snprintf(head, sizeof head, "%s%s%s %s", it->name, it->alias ? "|" : "",
                       it->alias ? it->alias : "", it->arguments);
        help_text_row(out, head, it->summary, OVERVIEW_COLUMN, width);
    }
    (void)fprintf(
        out, "\ninterpctl COMMAND --help explains one; interpctl help "
             "sweep|providers|cluster lists\nthe keys of such a file. Exit codes: 0 ok, 1 failed, "
             "2 usage or bad input,\n3 not found, 4 no coordinator, 5 conflict, "
             "124 time-out, 130 interrupted.\n");
}

static uint64_t options_of(const struct cli_command *command)
{
    const uint64_t output = command->formats ? CLI_BIT(CLI_OUTPUT) : 0;
    const unsigned tables = CLI_FORMAT_BIT(CLI_FORMAT_TABLE);
    return command->options | CLI_COMMON_OPTIONS | output |
           (command->formats & tables ? CLI_BIT(CLI_NO_HEADERS) : 0);
}

static void print_usage(const struct cli *cli, const struct cli_command *command)
{
    const size_t width = help_text_width(cli->width);
    (void)fprintf(cli->out, "usage: interpctl %s%s%s [OPTIONS]\n", command->name,
                  *command->arguments ? " " : "", command->arguments);
    wrapped_text_print(cli->out, command->summary, 0, width);
    (void)fputc('\n', cli->out);
    cli_arguments_help(cli->out, options_of(command), command->formats, width);
}

/* `interpctl help sweep`: the keys of a file kind, out of the tables that check such files. */
static status_t print_file_help(const struct cli *cli, const char *kind, bool *is_known,
                                struct error *err)
{
    struct buffer text;
    buffer_init(&text, HELP_MAX_BYTES);
    status_t status = ST_OK;
    *is_known = true;
    if (strcmp(kind, "sweep") == 0)
        status = sweep_spec_help(&text, err);
    else if (strcmp(kind, "providers") == 0)
        status = config_help(&provider_config_schema, &text, err);
    else if (strcmp(kind, "cluster") == 0)
        status = config_help(&cluster_config_schema, &text, err);
    else
        *is_known = false;
    if (status == ST_OK) help_text_print(cli->out, buffer_text(&text), help_text_width(cli->width));
    buffer_fini(&text);
    return status;
}

static const struct cli_command *find_command(const struct cli_command *commands, const char *name)
{
    for (const struct cli_command *it = commands; it->name; it++)
        if (strcmp(it->name, name) == 0 || (it->alias && strcmp(it->alias, name) == 0)) return it;
    return NULL;
}

static status_t unknown_command(const struct cli *cli, const char *name, struct error *err)
{
    const char *names[N_COMMANDS_MAX + 2];
    size_t n = 0;
    for (const struct cli_command *it = cli->commands; it->name && n < N_COMMANDS_MAX; it++) {
        if (it->is_hidden) continue;
        names[n++] = it->name;
        if (it->alias) names[n++] = it->alias;
    }
    names[n] = NULL;
    const char *near = config_nearest(name, names);
    if (*name == '-')
        return error_set(err, ST_BAD_INPUT,
                         "option %s without a command: interpctl COMMAND [ARGUMENTS] [OPTIONS], "
                         "see interpctl --help",
                         name);
    return near
               ? error_set(err, ST_BAD_INPUT, "unknown command \"%s\": did you mean \"%s\"?", name,
                           near)
               : error_set(err, ST_BAD_INPUT, "unknown command \"%s\": see interpctl --help", name);
}

/* What argv says of the command `name`. What is wrong with it is printed, with where to look. */
static status_t read_arguments(struct cli_arguments *out, struct cli *cli,
                               const struct cli_accepts *accepts, int argc, char **argv)
{
    struct error err = {0};
    const status_t status = cli_arguments_parse(out, accepts, argc, argv, &err);
    if (status != ST_OK) /* argv[0] as it was typed: an alias, perhaps */
        (void)fprintf(cli->err, "interpctl: %s: %s\n(interpctl %s --help lists what it takes)\n",
                      argv[0], err.text, argv[0]);
    return status;
}

static status_t run_command(struct cli *cli, const struct cli_command *command, int argc,
                            char **argv, struct error *err)
{
    const struct cli_accepts accepts = {.options = options_of(command),
                                        .formats = command->formats,
                                        .n_min = command->n_min,
                                        .n_max = command->n_max,
                                        .positional = command->arguments};
    struct cli_arguments arguments;
    const status_t status = read_arguments(&arguments, cli, &accepts, argc, argv);
    if (status != ST_OK) return status;
    if (arguments.help) {
        print_usage(cli, command);
        return ST_OK;
    }
    return command->run(cli, &arguments, err);
}

static int finish(struct cli *cli, status_t status, struct error *err)
{
    if ((fflush(cli->out) != 0 || ferror(cli->out)) && status == ST_OK)
        status = error_set(err, ST_IO, "writing the output: %s", strerror(errno));
    if (status != ST_OK && err->text[0]) (void)fprintf(cli->err, "interpctl: %s\n", err->text);
    return cli->was_interrupted ? 130 : status_exit_code(status);
}

static status_t help(struct cli *cli, int argc, char **argv, struct error *err)
{
    const struct cli_accepts accepts = {
        .options = CLI_COMMON_OPTIONS, .n_max = 1, .positional = "COMMAND"};
    struct cli_arguments arguments;
    bool is_file_kind = false;
    status_t status = read_arguments(&arguments, cli, &accepts, argc, argv);
    if (status != ST_OK) return status;
    const char *about = arguments.positional[0];
    const struct cli_command *command = about ? find_command(cli->commands, about) : NULL;
    if (command) {
        print_usage(cli, command);
        return ST_OK;
    }
    if (!about) {
        print_overview(cli, cli->out);
        return ST_OK;
    }
    status = print_file_help(cli, about, &is_file_kind, err);
    return is_file_kind ? status : unknown_command(cli, about, err);
}

/* Options that every command takes may stand in front of it, as with kubectl: the command's word
 * is moved before them. */
static void put_command_first(int argc, char **argv)
{
    const size_t n = cli_arguments_leading(argc, argv);
    if (n + 1 >= (size_t)argc) return;
    char *command = argv[n + 1];
    memmove(&argv[2], &argv[1], n * sizeof *argv);
    argv[1] = command;
}

static bool is_help(const char *name)
{
    return strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0;
}

int cli_run(struct cli *cli, int argc, char **argv)
{
    static char help_word[] = "help";
    struct error err = {0};
    status_t status;
    put_command_first(argc, argv);
    const char *name = argc > 1 ? argv[1] : NULL;
    if (!name) {
        print_overview(cli, cli->err);
        return status_exit_code(ST_BAD_INPUT);
    }
    if (strcmp(name, "--version") == 0) name = "version";
    const struct cli_command *command = find_command(cli->commands, name);
    if (is_help(name)) {
        argv[1] = help_word;
        status = help(cli, argc - 1, argv + 1, &err);
    } else {
        status = command ? run_command(cli, command, argc - 1, argv + 1, &err)
                         : unknown_command(cli, name, &err);
    }
    return finish(cli, status, &err);
}
