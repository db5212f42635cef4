/* `interp-worker --bench` (or `paper`): what a device allows, by the accounting of the kernels, and
 * what it does. One thread. */
#ifndef WORKER_PAPER_PAPER_COMMAND_H
#define WORKER_PAPER_PAPER_COMMAND_H

/* argv[0] is the subcommand's name. Returns the exit code. */
int paper_command(int argc, char **argv);

#endif
