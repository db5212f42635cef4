/* The experiments that an agent asks for, read strictly (prompt_reply.h says how an object is
 * found): {"fires": [...], "silent": [...], "hard_fires": [...], "hard_silent": [...]}, lists of
 * texts of which the last three may be missing.
 *
 * A text is at most 512 bytes without control or invisible characters, and loses << and >>, the
 * highlights of our prompts. White space becomes single spaces; the sign that prompts show for a
 * line break, and nothing else, is one in the text that the model reads. Of each list the first
 * `n_each` usable texts are taken. Dropped and counted is what is no text, is empty, was tried
 * before in this session or round, or comes after those: 10,000 experiments are n_each of each
 * kind. Any thread. */
#ifndef COORDINATOR_SESSION_PROMPT_REPLY_EXPERIMENTS_H
#define COORDINATOR_SESSION_PROMPT_REPLY_EXPERIMENTS_H

#include "coordinator/session/session_rounds.h"

/* Into out, which is empty and the caller's (also on failure: experiments_fini). `earlier` are the
 * rounds of the session; NULL: none. Errors: ST_BAD_INPUT (no such object, a list that is none,
 * not one usable text), ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t prompt_reply_experiments(const char *reply, size_t n_bytes, size_t n_each,
                                             const struct session_rounds *earlier,
                                             struct experiments *out, struct error *err);

#endif
