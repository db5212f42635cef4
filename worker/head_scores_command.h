/* `interp-worker head-scores MODEL [--tokens FILE] [-o json]`: how much each head attends as
 * previous-token, duplicate-token and induction heads do (common/head_scores.h), on random words
 * said twice or on sequences of the user's. Needs neither coordinator nor Redis. */
#ifndef WORKER_HEAD_SCORES_COMMAND_H
#define WORKER_HEAD_SCORES_COMMAND_H

/* Run with argv[0] the subcommand's name; returns the exit code. */
int head_scores_command(int argc, char **argv);

#endif
