/* interpctl: what every command gets, and what a command is.
 *
 *   main.c          the table of commands
 *   cli_run()       finds the command, parses its arguments, runs it, prints its error
 *   command->run()  does it: data to cli->out, progress and errors to cli->err
 *
 * Exit codes: 0 ok, 1 failed, 2 usage or bad input, 3 not found, 4 unreachable, 5 conflict,
 * 124 time-out, 130 interrupted (a sweep goes on). One thread. */
#ifndef COORDINATOR_CLI_CLI_H
#define COORDINATOR_CLI_CLI_H

#include "common/clock.h"
#include "common/error.h"
#include "coordinator/cli/arguments.h"
#include "coordinator/cli/client.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct cli;

struct cli_command {
    const char *name;
    const char *alias;     /* NULL: none */
    const char *arguments; /* "SWEEP FEATURE"; brackets where optional; "" */
    const char *summary;   /* one line */
    uint64_t options;      /* CLI_BIT() of what it takes beside CLI_COMMON_OPTIONS */
    unsigned formats;      /* CLI_FORMAT_BIT()s of -o; 0: it takes no -o. The lowest: default */
    size_t n_min, n_max;   /* positional arguments */
    bool is_hidden;
    status_t (*run)(struct cli *cli, const struct cli_arguments *arguments, struct error *err);
};

struct cli {
    const struct cli_command *commands; /* ends with name == NULL */
    FILE *out, *err;
    bool is_out_tty, is_err_tty;
    bool has_color; /* out takes ANSI colours: a terminal, and NO_COLOR is not set */
    size_t width;   /* columns of the terminal; 0: not one */
    const struct clock *clock;
    const volatile sig_atomic_t *interrupt; /* set by SIGINT or SIGTERM while a command waits */
    bool was_interrupted;                   /* the command ended because of it: exit code 130 */
};

/* Run `argv` (argv[0] is the program) and return the exit code. */
int cli_run(struct cli *cli, int argc, char **argv);

/* Fill a cli for this process: stdout, stderr, terminal, NO_COLOR, clock. */
void cli_init(struct cli *cli, const struct cli_command *commands);

/* From here on SIGINT and SIGTERM set *cli->interrupt instead of ending the process. */
void cli_catch_interrupt(void);

/* Sleep `ms`; false as soon as a signal asked to stop. */
bool cli_sleep(const struct cli *cli, int64_t ms);

/* Connect as the arguments and the environment say (arguments.h). The caller owns *out. */
MUST_CHECK status_t cli_connect(struct client **out, const struct cli *cli,
                                const struct cli_arguments *arguments, struct error *err);

/* cli_connect, one request, close. The caller owns *result. */
MUST_CHECK status_t cli_ask(const struct cli *cli, const struct cli_arguments *arguments,
                            const struct client_request *request, json_t **result,
                            struct error *err);

#endif
