/* `interp-worker --connect ENDPOINT`: serve a coordinator until told to stop. */
#ifndef WORKER_LINK_SERVE_H
#define WORKER_LINK_SERVE_H

int worker_serve_command(int argc, char **argv);

#endif
