/* `interp-worker tokenize MODEL [--special] [--decode] < lines`: look at a model's tokenizer.
 *
 * Without --decode each input line (raw bytes, without its newline) becomes one JSON array of
 * ids; --special adds what the model's template puts around a text (BOS). With --decode each
 * input line is a JSON array of ids and becomes one JSON string. Needs neither coordinator nor
 * Redis. The first error ends it: one line on stderr, exit code as status_exit_code(). */
#ifndef WORKER_TOKENIZE_COMMAND_H
#define WORKER_TOKENIZE_COMMAND_H

#include "common/error.h"

#include <stdbool.h>
#include <stdio.h>

struct tokenizer;

/* Run with argv[0] the subcommand's name; returns the exit code. */
int tokenize_command(int argc, char **argv);

/* The loop itself: every line of `in` to a line on `out`.
 * Errors name the line: ST_BAD_INPUT, ST_IO, ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t tokenize_lines(const struct tokenizer *tokenizer, bool add_special, FILE *in,
                                   FILE *out, struct error *err);
MUST_CHECK status_t detokenize_lines(const struct tokenizer *tokenizer, FILE *in, FILE *out,
                                     struct error *err);

#endif
