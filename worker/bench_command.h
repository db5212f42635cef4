/* `interp-worker bench`: tokens per second of forward pass and encode on this machine, as JSON
 * lines; scripts/bench-capture puts them beside a current torch. Needs neither coordinator nor
 * Redis. */
#ifndef WORKER_BENCH_COMMAND_H
#define WORKER_BENCH_COMMAND_H

/* Run with argv[0] the subcommand's name; returns the exit code. */
int bench_command(int argc, char **argv);

#endif
