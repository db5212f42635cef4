#include "coordinator/cli/commands.h"
status_t show_command(struct cli *cli, const struct cli_arguments *arguments, struct error *err){(void)cli;(void)arguments;return error_set(err,ST_UNSUPPORTED,"x");}
