/* `interp-worker --connect ENDPOINT`: serve a coordinator until told to stop. */
#ifndef WORKER_LINK_SERVE_H
#define WORKER_LINK_SERVE_H

/* Also says --help and --version, to stdout. Returns the exit code. */
int worker_serve_command(int argc, char **argv);

/* Its options, to stdout. */
void worker_serve_print_help(void);

#endif
