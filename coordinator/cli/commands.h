/* The commands of interpctl, for the table in main.c. Each is documented in README.md and by
 * `interpctl COMMAND --help`. */
#ifndef COORDINATOR_CLI_COMMANDS_H
#define COORDINATOR_CLI_COMMANDS_H

#include "coordinator/cli/cli.h"

#define COMMAND(name)                                                                              \
    status_t name##_command(struct cli *cli, const struct cli_arguments *arguments,                \
                            struct error *err)

COMMAND(submit);
COMMAND(list);
COMMAND(status);
COMMAND(results);
COMMAND(show);
COMMAND(trace);
COMMAND(probe);
COMMAND(steer);
COMMAND(wait);
COMMAND(cancel);
COMMAND(pause);
COMMAND(resume);
COMMAND(retry);
COMMAND(workers);
COMMAND(drain);
COMMAND(dead);
COMMAND(captures);
COMMAND(export);
COMMAND(compare);
COMMAND(cost);
COMMAND(circuit);
COMMAND(verify_circuit);
COMMAND(audit_sample);
COMMAND(top);
COMMAND(up);
COMMAND(down);
COMMAND(supervise);
COMMAND(doctor);
COMMAND(selftest);
COMMAND(keys);
COMMAND(version);
COMMAND(completion);

#undef COMMAND
#endif
