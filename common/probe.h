/* Probes: texts for the target model, and what one slot of one target did on their tokens.
 *
 *   unit     [1, [[target, slot, text], ...]]                            coordinator -> worker
 *   result   [1, [answer, ...]], one per probe of the unit, in order     worker -> coordinator
 *   answer   [error, is_cut, tokens, activations, pieces]                also alone, in the store
 *
 * msgpack; 1 is the version. target, slot: integers; text: bin, any bytes; error: str, "" if the
 * rest holds; is_cut: bool; tokens: bin of u32, activations: bin of f32, little-endian, as many;
 * pieces: nil, or [sizes, bytes]: what each token stands for in a text, sizes a bin of u32.
 *
 * Both sides are untrusted: counts are checked before memory is reserved, activations are finite
 * and not negative. Any thread. */
#ifndef COMMON_PROBE_H
#define COMMON_PROBE_H

#include "common/buffer.h"
#include "common/error.h"
#include "common/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PROBE_MAX_PER_UNIT = 64,
    PROBE_MAX_TEXT_BYTES = 16 * 1024,
    PROBE_MAX_UNIT_BYTES = 2 * 1024 * 1024,
    PROBE_MAX_TOKENS = 131072,                 /* of one text: the largest context */
    PROBE_MAX_RESULT_BYTES = 16 * 1024 * 1024, /* of a unit; an answer alone has the same cap */
    PROBE_ERROR_SIZE = 256
};

struct probe {
    uint32_t target;       /* index among the targets of the task */
    uint32_t slot;         /* of that target, as in capture */
    struct wire_text text; /* any bytes, at most PROBE_MAX_TEXT_BYTES; borrowed */
};

struct probe_unit {
    size_t n_probes;
    struct probe probes[PROBE_MAX_PER_UNIT];
};

/* Append a unit. Errors: ST_TOO_LARGE (names the cap), ST_NO_MEMORY. */
MUST_CHECK status_t probe_unit_encode(const struct probe_unit *unit, struct buffer *out,
                                      struct error *err);
/* Texts point into `bytes`. Errors: ST_PROTOCOL (another version), ST_CORRUPT, ST_TOO_LARGE; *out
 * untouched. */
MUST_CHECK status_t probe_unit_decode(const void *bytes, size_t n_bytes, struct probe_unit *out,
                                      struct error *err);

/* What the model did with one text. BOS is run and not counted: token 0 is the text's first. */
struct probe_answer {
    char error[PROBE_ERROR_SIZE]; /* why there is nothing else, "" if there is */
    bool is_cut;                  /* the text went on behind the context */
    size_t n_tokens;
    uint32_t *tokens;         /* [n_tokens], owned */
    float *activations;       /* [n_tokens], owned; finite, >= 0, 0: silent */
    struct wire_text *pieces; /* [n_tokens], owned, or NULL; they point into piece_bytes */
    char *piece_bytes;        /* owned */
};
void probe_answer_fini(struct probe_answer *answer); /* safe on zeroed; leaves it zeroed */

/* An answer that is an error, cut to PROBE_ERROR_SIZE. */
struct probe_answer probe_answer_of_error(const char *text);
/* The largest activation; 0 if there is none. */
float probe_answer_max(const struct probe_answer *answer);

/* Append one answer (the form in the store). Errors: ST_TOO_LARGE, ST_BAD_INPUT (a value that
 * is negative or not finite), ST_NO_MEMORY. */
MUST_CHECK status_t probe_answer_encode(const struct probe_answer *answer, struct buffer *out,
                                        struct error *err);
/* On ST_OK the caller owns *out (fini). Errors: ST_CORRUPT, ST_TOO_LARGE, ST_NO_MEMORY; *out
 * untouched. */
MUST_CHECK status_t probe_answer_decode(const void *bytes, size_t n_bytes, struct probe_answer *out,
                                        struct error *err);

/* A unit's result: answers[n_answers], one per probe. Errors as above. */
MUST_CHECK status_t probe_result_encode(const struct probe_answer *answers, size_t n_answers,
                                        struct buffer *out, struct error *err);
/* Fills answers[n_answers]; another number of them in the bytes is ST_CORRUPT. The caller owns
 * each on ST_OK. Errors also ST_PROTOCOL (another version); answers untouched. */
MUST_CHECK status_t probe_result_decode(const void *bytes, size_t n_bytes,
                                        struct probe_answer *answers, size_t n_answers,
                                        struct error *err);

#endif
