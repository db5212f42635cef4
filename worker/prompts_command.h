/* `interp-worker prompts`: the prompt set of a generator, or of a user's file, on standard output
 * (worker/prompts). */
#ifndef WORKER_PROMPTS_COMMAND_H
#define WORKER_PROMPTS_COMMAND_H

int prompts_command(int argc, char **argv);

#endif
