/* A sweep file on its way to the coordinator. Used by one thread. */
#ifndef COORDINATOR_CLI_SUBMISSION_H
#define COORDINATOR_CLI_SUBMISSION_H

#include "coordinator/cli/arguments.h"
#include "coordinator/cli/client.h"
#include "coordinator/intake/sweep_spec.h"

enum { SUBMISSION_KEY_SIZE = 37, SUBMISSION_PATH_SIZE = 4096 };

/* A file as the coordinator wants it. */
struct submission {
    const char *name; /* as the user wrote it; borrowed */
    char *yaml;       /* owned */
    size_t n_bytes;
    char directory[SUBMISSION_PATH_SIZE]; /* absolute; relative paths in the file start here */
    char key[SUBMISSION_KEY_SIZE];        /* random unless the user gave one */
};

/* Read `file` ("-": standard input); the key is --client-key, or a random one. In any case the
 * caller passes *out, zero before, to submission_fini(). Errors: ST_IO, ST_TOO_LARGE,
 * ST_BAD_INPUT (the key), ST_NO_MEMORY. */
MUST_CHECK status_t submission_read(struct submission *out, const char *file,
                                    const struct cli_arguments *arguments, struct error *err);
/* The same with a text made here, whose paths are absolute; takes `yaml` over in any case. */
MUST_CHECK status_t submission_take(struct submission *out, const char *name, char *yaml,
                                    const struct cli_arguments *arguments, struct error *err);
void submission_fini(struct submission *submission); /* fine twice */

/* What the file says: sweep_spec_parse(). */
MUST_CHECK status_t submission_parse(const struct submission *submission, struct sweep_spec **out,
                                     struct error *err);

/* Send it; the caller owns *answer. Errors: those of client_ask(); where no answer came, the text
 * names the key with which repeating is safe. */
MUST_CHECK status_t submission_send(const struct submission *submission, struct client *client,
                                    json_t **answer, struct error *err);

#endif
