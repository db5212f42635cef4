/* The body of a chat-completions request, as canonical JSON: sorted keys, no spaces, nothing that
 * changes from run to run. Equal questions have equal bytes, so that a stored reply is found by
 * their hash and never paid for twice. Any thread. */
#ifndef COORDINATOR_SESSION_PROMPT_REQUEST_H
#define COORDINATOR_SESSION_PROMPT_REQUEST_H

#include "coordinator/session/prompt_messages.h"

#include <stdint.h>

/* A label under a schema, in characters: room for 20 words, not for a page. An endpoint that
 * refuses a schema with bounds on lengths and lists gets structured_output: json_object. */
enum { PROMPT_LABEL_MIN_CHARACTERS = 2, PROMPT_LABEL_MAX_CHARACTERS = 200 };

/* What the provider understands of response_format. */
enum prompt_format { PROMPT_FORMAT_TEXT, PROMPT_FORMAT_JSON_OBJECT, PROMPT_FORMAT_JSON_SCHEMA };

/* What is to be answered; the schema of the reply. */
enum prompt_wanted {
    PROMPT_WANTS_LABEL,
    PROMPT_WANTS_ANSWERS,
    PROMPT_WANTS_EXPERIMENTS,
    PROMPT_WANTS_CHOICE,
    PROMPT_WANTS_PROPOSALS /* of components of a circuit */
};

struct prompt_request {
    const char *model; /* NULL: left out, the gateway fills it in */
    const struct prompt_messages *messages;
    uint32_t max_tokens;
    enum prompt_format format;
    enum prompt_wanted wanted;
    size_t
        n_answers; /* of a judge; of experiments: texts of each kind; of a choice: among so many */
};

/* Room for the answers' JSON and a little more. Judges that think aloud need more. */
static inline uint32_t prompt_request_answer_tokens(size_t n_answers)
{
    return (uint32_t)(24 + 4 * n_answers);
}

/* Append the JSON (temperature 0). An empty system message is left out. Errors: ST_BAD_INPUT
 * (messages or model are not UTF-8), ST_NO_MEMORY, ST_TOO_LARGE. */
MUST_CHECK status_t prompt_request_write(const struct prompt_request *request, struct buffer *out,
                                         struct error *err);

#endif
