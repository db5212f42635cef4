/* `interp-worker --selftest` (or `selftest`): is what this backend computes right? One thread. */
#ifndef WORKER_SELFTEST_SELFTEST_COMMAND_H
#define WORKER_SELFTEST_SELFTEST_COMMAND_H

/* argv[0] is the subcommand's name. Returns the exit code: 1 if anything failed. */
int selftest_command(int argc, char **argv);

#endif
