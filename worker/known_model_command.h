/* `interp-worker known-model`: write a model whose circuit is known (worker/known). */
#ifndef WORKER_KNOWN_MODEL_COMMAND_H
#define WORKER_KNOWN_MODEL_COMMAND_H

int known_model_command(int argc, char **argv);

#endif
