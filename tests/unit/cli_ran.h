/* A command line run in this process, as interpctl would: exit code, stdout and stderr. */
#ifndef TESTS_UNIT_CLI_RAN_H
#define TESTS_UNIT_CLI_RAN_H

#include "coordinator/cli/cli.h"
#include "tests/unit/cli_router.h"

struct cli_ran {
    int code;
    char *out, *err; /* owned */
    size_t n_out, n_err;
};

/* `words` end with NULL and go to `router` with --endpoint; NULL: as they are. `width`: of the
 * terminal, 0: none. */
struct cli_ran cli_ran(const struct cli_command *commands, const struct cli_router *router,
                       size_t width, const char *const *words);
void cli_ran_forget(struct cli_ran *ran);

#endif
