/* One line of a JSONL corpus: its text or tokens, and its id. Untrusted input. A struct belongs
 * to one thread and is used again for every line. */
#ifndef COORDINATOR_INTAKE_CORPUS_LINE_H
#define COORDINATOR_INTAKE_CORPUS_LINE_H

#include "coordinator/intake/corpus.h"

#include <jansson.h>

struct corpus_line {
    json_t *json;     /* keeps `text` alive */
    const char *text; /* [n_text_bytes]; NULL when tokens were asked for */
    size_t n_text_bytes;
    uint32_t *tokens; /* [n_tokens], owned */
    size_t n_tokens, token_capacity;
    char id[CORPUS_MAX_ID_BYTES + 1]; /* "" if the line has none */
};

/* Parse bytes[n_bytes]. `place` ("corpus.jsonl:12") begins every error. Errors: ST_BAD_INPUT,
 * ST_TOO_LARGE (id), ST_NO_MEMORY. */
MUST_CHECK status_t corpus_line_parse(struct corpus_line *line, const char *bytes, size_t n_bytes,
                                      bool wants_tokens, const char *place, struct error *err);
void corpus_line_fini(struct corpus_line *line); /* fine on a zeroed struct or twice */

#endif
