/* The "decoder" of tokenizer.json: from token strings back to text.
 *
 * Supported: Sequence, ByteLevel, Replace, ByteFallback, Fuse, Strip, Metaspace. Each step takes
 * a list of strings and makes another; in the end they are joined. Read-only after load. */
#ifndef WORKER_MODEL_TOKEN_DECODER_H
#define WORKER_MODEL_TOKEN_DECODER_H

#include "common/buffer.h"
#include "common/error.h"
#include "worker/model/text_pattern.h"
#include "worker/model/utf8.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { TOKEN_DECODER_MAX_STEPS = 16, TOKEN_DECODER_MAX_DEPTH = 8 };

enum token_decoder_kind {
    DECODER_BYTE_LEVEL,
    DECODER_REPLACE,
    DECODER_BYTE_FALLBACK,
    DECODER_FUSE,
    DECODER_STRIP,
    DECODER_METASPACE
};

struct token_decoder_step {
    enum token_decoder_kind kind;
    struct text_pattern pattern;
    char *content;                      /* owned: Replace's text */
    char character[UTF8_MAX_BYTES + 1]; /* Strip's content, Metaspace's replacement */
    size_t n_start, n_stop;             /* Strip: how many at most at either end */
    bool drops_first;                   /* Metaspace: no space in the first token */
};

struct token_decoder {
    struct token_decoder_step steps[TOKEN_DECODER_MAX_STEPS];
    size_t n_steps;
};

/* A list of strings; the i-th ends at ends[i] and begins where the one before it ends. */
struct string_list {
    struct buffer text;
    size_t *ends; /* [n_strings], owned */
    size_t n_strings, capacity;
};
void string_list_init(struct string_list *list, size_t max_bytes);
void string_list_fini(struct string_list *list);
/* End a string at the present end of list->text. Errors: ST_NO_MEMORY. */
MUST_CHECK status_t string_list_end(struct string_list *list, struct error *err);
size_t string_list_begin(const struct string_list *list, size_t index);

/* Read the value; null and absent make a decoder without steps, which joins by spaces.
 * Errors: ST_UNSUPPORTED (names it), ST_CORRUPT, ST_NO_MEMORY; nothing is left then. */
MUST_CHECK status_t token_decoder_load(struct token_decoder *out, json_t *value, struct error *err);
void token_decoder_fini(struct token_decoder *decoder);

/* Append to *out the text of the token strings in *list, which is used up (as is *spare, of the
 * same cap). The result is well-formed UTF-8. Errors: ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t token_decoder_run(const struct token_decoder *decoder,
                                      struct regex_cursor *cursor, struct string_list *list,
                                      struct string_list *spare, struct buffer *out,
                                      struct error *err);

/* Append to *out what one token adds to a text: as above, but bytes stay bytes (perhaps part of
 * a character) and no end is stripped. */
MUST_CHECK status_t token_decoder_show(const struct token_decoder *decoder,
                                       struct regex_cursor *cursor, const char *token,
                                       size_t n_bytes, struct buffer *out, struct error *err);

#endif
