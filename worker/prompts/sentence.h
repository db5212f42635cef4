/* A sentence with slots that words go into: "Then {x} and {y} left, and {s} gave a {o} to".
 * Pure; any thread. */
#ifndef WORKER_PROMPTS_SENTENCE_H
#define WORKER_PROMPTS_SENTENCE_H

#include "common/error.h"

#include <stddef.h>
#include <stdint.h>

enum { SENTENCE_MAX_BYTES = 256, SENTENCE_MAX_SLOTS = 8 };

/* What goes into every slot of one letter. */
struct sentence_word {
    char slot;
    const char *text;
    uint32_t id; /* the token that the word must be, or that must end it (a year's last part) */
};

struct sentence_slot {
    char slot;
    size_t end; /* of the word, in bytes */
    uint32_t id;
};

struct sentence {
    char text[SENTENCE_MAX_BYTES];
    size_t n_bytes, n_slots;
    struct sentence_slot slots[SENTENCE_MAX_SLOTS]; /* as they come */
};

/* Errors: ST_TOO_LARGE. A slot without a word, or one not closed, is a programmer's error. */
MUST_CHECK status_t sentence_fill(struct sentence *out, const char *pattern,
                                  const struct sentence_word *words, size_t n_words,
                                  struct error *err);

#endif
