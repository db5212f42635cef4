/* `interp-worker devices [--backend cuda]`: the devices of a backend, a line "NAME:NUMBER ..." each
 * (interpctl counts them), or JSON. */
#ifndef WORKER_DEVICES_COMMAND_H
#define WORKER_DEVICES_COMMAND_H

int devices_command(int argc, char **argv);

#endif
