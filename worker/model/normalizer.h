/* The "normalizer" of tokenizer.json: how text is rewritten before it is split.
 * Supported: Sequence, Prepend, Replace, NFC, NFD, NFKC, NFKD, Lowercase, Strip.
 * Read-only after load, any thread; buffers and cursor belong to the caller's thread. */
#ifndef WORKER_MODEL_NORMALIZER_H
#define WORKER_MODEL_NORMALIZER_H

#include "common/buffer.h"
#include "common/error.h"
#include "worker/model/text_pattern.h"
#include "worker/model/unicode_form.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { NORMALIZER_MAX_STEPS = 16, NORMALIZER_MAX_DEPTH = 8 };

enum normalizer_kind {
    NORMALIZER_PREPEND,
    NORMALIZER_REPLACE,
    NORMALIZER_UNICODE, /* one of the four forms */
    NORMALIZER_LOWERCASE,
    NORMALIZER_STRIP
};

struct normalizer_step {
    enum normalizer_kind kind;
    char *text;                  /* owned: what is prepended or put in place of a match */
    struct text_pattern pattern; /* what is replaced */
    enum unicode_form form;
    bool strip_left, strip_right;
};

struct normalizer {
    struct normalizer_step steps[NORMALIZER_MAX_STEPS];
    size_t n_steps; /* 0: text passes as it is */
};

/* Read the "normalizer" value; null and absent make none. The owner calls normalizer_fini().
 * Errors: ST_UNSUPPORTED (names the type), ST_CORRUPT, ST_NO_MEMORY; nothing is left then. */
MUST_CHECK status_t normalizer_load(struct normalizer *out, json_t *value, struct error *err);
void normalizer_fini(struct normalizer *normalizer);

/* Rewrite well-formed text into *out (emptied first); *spare is scratch of the same cap.
 * Errors: ST_TOO_LARGE (past the buffers' cap), ST_NO_MEMORY. */
MUST_CHECK status_t normalizer_apply(const struct normalizer *normalizer,
                                     struct regex_cursor *cursor, const char *text, size_t n_bytes,
                                     struct buffer *out, struct buffer *spare, struct error *err);

/* True if a step may change which byte of the source the first byte comes from (Strip, Prepend,
 * a Replace by nothing). */
bool normalizer_moves_start(const struct normalizer *normalizer);

#endif
