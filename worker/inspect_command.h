/* `interp-worker inspect MODEL [--dictionary D] [-o json]`: family, shapes, hook points, memory.
 * Opens everything for real, so a model that inspects well can be captured. Needs neither
 * coordinator nor Redis. */
#ifndef WORKER_INSPECT_COMMAND_H
#define WORKER_INSPECT_COMMAND_H

/* Run with argv[0] the subcommand's name; returns the exit code. */
int inspect_command(int argc, char **argv);

#endif
