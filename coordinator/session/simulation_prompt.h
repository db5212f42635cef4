/* What a judge is asked for the simulation score: one window, token by token, in one of two
 * forms.
 *
 *   logprobs   " cat" TAB 7, a line for each token; the request wants log probabilities, and
 *              simulation_reply.h takes the expected value of each number
 *   scale      {"activations": [{"token": " cat", "value": 7}, ...]}, for providers without them
 *
 * Bills et al. (2023) let the endpoint echo the prompt and read the numbers' probabilities there;
 * chat endpoints echo nothing, so the judge writes the tokens again. Tokens are shown as
 * prompt_data.h shows them: none holds a tab or a line break, so a line is one token (Bills' own
 * form loses tokens that hold a line break). Pure; any thread. */
#ifndef COORDINATOR_SESSION_SIMULATION_PROMPT_H
#define COORDINATOR_SESSION_SIMULATION_PROMPT_H

#include "coordinator/session/prompt_messages.h"
#include "coordinator/session/prompt_request.h"
#include "coordinator/session/prompt_template.h"
#include "coordinator/session/window.h"

enum simulation_form { SIMULATION_LOGPROBS, SIMULATION_SCALE };
enum { SIMULATION_TOP_LOGPROBS = 15 }; /* 0 to 10 and what else may stand there */

/* The fields its templates must use. */
extern const char *const SIMULATION_PROMPT_FIELDS[];
enum { SIMULATION_N_PROMPT_FIELDS = 3 };

/* The tokens of a window as a judge sees them, and must give them back. */
struct simulation_tokens {
    struct buffer text; /* all of them, joined; owned */
    size_t *begins;     /* [n_tokens + 1], owned: token i is text[begins[i], begins[i + 1]) */
    size_t n_tokens;
};

/* On ST_OK the caller owns *out (simulation_tokens_fini). Errors: ST_NO_MEMORY, ST_TOO_LARGE. */
MUST_CHECK status_t simulation_tokens_init(struct simulation_tokens *out,
                                           const struct window *window,
                                           const struct token_texts *texts, struct error *err);
void simulation_tokens_fini(struct simulation_tokens *tokens); /* fine on zeroes or twice */
/* Token `index` < n_tokens, not NUL-terminated. */
const char *simulation_token(const struct simulation_tokens *tokens, size_t index, size_t *n_bytes);

struct simulation_prompt {
    enum simulation_form form;
    const struct prompt_template *template_; /* of that form */
    const char *label;                       /* UTF-8, NUL-terminated; inserted as data */
    const struct simulation_tokens *tokens;
};

/* Append system and user message. Errors: ST_BAD_INPUT (template, empty label, no token),
 * ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t simulation_prompt_build(const struct simulation_prompt *prompt,
                                            struct prompt_messages *messages, struct error *err);

/* Room for any reply that can be read: no token of a judge is shorter than a byte. */
uint32_t simulation_reply_tokens(const struct simulation_prompt *prompt);

/* Append the body of the chat-completions request, canonical JSON as of prompt_request_write():
 * temperature 0; for the logprobs form with log probabilities, for the scale form in `format`.
 * model NULL: left out. Errors: ST_BAD_INPUT (text that is not UTF-8), ST_NO_MEMORY,
 * ST_TOO_LARGE. */
MUST_CHECK status_t simulation_request_write(const struct simulation_prompt *prompt,
                                             const struct prompt_messages *messages,
                                             const char *model, enum prompt_format format,
                                             struct buffer *out, struct error *err);

#endif
