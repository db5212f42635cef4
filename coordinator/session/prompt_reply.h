/* What a language model answered, read strictly: untrusted bytes in, a label or exactly n
 * answers out.
 *
 * First the whole reply must be one JSON object. If it is not, one repair is tried: what stands
 * before the last "</think>" is dropped, and the first object in the rest that parses and has
 * the wanted key is taken (code fences and prose around it do not matter). Anything else is a
 * failure of this call alone: a list that is too short or too long says nothing about which
 * window was meant, so none of its answers count. A label that only repeats the prompt is none
 * (prompt_echo.h). Work is bounded by the size of the reply and of the template.
 * Any thread. */
#ifndef COORDINATOR_SESSION_PROMPT_REPLY_H
#define COORDINATOR_SESSION_PROMPT_REPLY_H

#include "common/error.h"
#include "coordinator/session/prompt_template.h"
#include "coordinator/session/score.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { PROMPT_MAX_REPLY_BYTES = 1 << 20, PROMPT_MAX_LABEL_BYTES = 512 };

enum feature_type {
    FEATURE_TYPE_NONE, /* not said */
    FEATURE_TYPE_CONCRETE,
    FEATURE_TYPE_SYNTACTIC,
    FEATURE_TYPE_ABSTRACT,
    FEATURE_TYPE_POLYSEMANTIC
};
enum { FEATURE_N_TYPES = 5 }; /* none among them */
/* "concrete", ...; NULL for none. */
const char *feature_type_name(enum feature_type type);
enum feature_type feature_type_parse(const char *name); /* none for NULL and unknown names */

struct prompt_label {
    char text[PROMPT_MAX_LABEL_BYTES + 1]; /* cleaned, never empty */
    enum feature_type type;
    bool is_repaired;
};

/* {"label": "...", "type": "..."}; the type may be missing or unknown (then none). `asked` is the
 * template of the prompt that was answered; NULL: any words are believed to be the model's own.
 * Errors: ST_BAD_INPUT (no such object, label not a string, empty after cleaning or an echo of
 * the prompt), ST_TOO_LARGE. */
MUST_CHECK status_t prompt_reply_label(const char *reply, size_t n_bytes,
                                       const struct prompt_template *asked,
                                       struct prompt_label *out, struct error *err);

/* {"answers": [0, 1, ...]} with exactly n_answers entries of 0, 1, true or false, written to
 * answers[n_answers]; untouched on failure. is_repaired may be NULL. Errors: ST_BAD_INPUT,
 * ST_TOO_LARGE. */
MUST_CHECK status_t prompt_reply_answers(const char *reply, size_t n_bytes, size_t n_answers,
                                         enum judge_answer *answers, bool *is_repaired,
                                         struct error *err);

/* {"answer": N} with N of 1 to n_choices; *out untouched on failure. Errors: as answers. */
MUST_CHECK status_t prompt_reply_choice(const char *reply, size_t n_bytes, size_t n_choices,
                                        size_t *out, struct error *err);

/* The reply's object that has `key`, a new reference; *is_repaired: not the whole reply was it.
 * Errors: ST_BAD_INPUT, ST_TOO_LARGE. */
MUST_CHECK status_t prompt_reply_object(const char *reply, size_t n_bytes, const char *key,
                                        json_t **out, bool *is_repaired, struct error *err);

/* One line of a label: control and invisible characters become spaces, runs of white space one
 * space, ends trimmed, cut to 512 bytes between characters; bytes that are not UTF-8 become
 * U+FFFD. Returns the length; 0 means the label is empty and must be refused. */
size_t prompt_label_clean(const char *text, size_t n_bytes, char out[PROMPT_MAX_LABEL_BYTES + 1]);

#endif
