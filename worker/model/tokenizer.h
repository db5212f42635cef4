/* Text to token ids and back, as the model's tokenizer.json says.
 *
 * Families: byte-level BPE (GPT-2, Llama-3, SmolLM2, Qwen2) and sentencepiece-type BPE with byte
 * fallback (Llama-2, Metaspace). Ids are those of HF `tokenizers`, string for string (goldens in
 * tests/golden/tokenizers). Whatever is not understood is refused by name at open; nothing is
 * approximated. Truncation and padding entries of the file are ignored: the caller decides.
 *
 * Life of a text:
 *
 *   bytes -> UTF-8 repaired -> added tokens cut out -> normalizer -> added tokens that match
 *   normalized text -> pre-tokenizer: words -> word cache, else merges -> ids -> template (BOS)
 *
 * Read-only after open: any number of threads may encode and decode at once. Working memory and
 * word caches are kept in a pool inside and reused, one per thread that is at work. */
#ifndef WORKER_MODEL_TOKENIZER_H
#define WORKER_MODEL_TOKENIZER_H

#include "common/buffer.h"
#include "common/error.h"
#include "worker/model/token_list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TOKENIZER_MAX_FILE_BYTES = 256 << 20,
    TOKENIZER_MAX_CONFIG_BYTES = 16 << 20,
    TOKENIZER_MAX_TEXT_BYTES = 256 << 20 /* one text, in or out */
};

struct tokenizer;

/* Read DIRECTORY/tokenizer.json (and, for BOS and EOS, tokenizer_config.json and config.json
 * beside it where they exist), or the tokenizer.json file given itself. On ST_OK the caller owns
 * *out. Errors: ST_NOT_FOUND, ST_IO, ST_CORRUPT, ST_UNSUPPORTED (names what is not understood),
 * ST_TOO_LARGE, ST_NO_MEMORY; *out untouched. */
MUST_CHECK status_t tokenizer_open(struct tokenizer **out, const char *path, struct error *err);

/* The same from the text of a tokenizer.json in memory, without any file. */
MUST_CHECK status_t tokenizer_parse(struct tokenizer **out, const char *json, size_t n_bytes,
                                    struct error *err);

void tokenizer_close(struct tokenizer **tokenizer); /* NULL-safe; sets *tokenizer = NULL */

/* Append the ids of text [n_bytes] to *out; with `add_special` also those that the model's
 * template puts around it (BOS). Any bytes: ill-formed UTF-8 reads as U+FFFD for each maximal
 * subpart. Time is about linear in n_bytes. Errors: ST_TOO_LARGE, ST_NO_MEMORY; *out is then as
 * before. */
MUST_CHECK status_t tokenizer_encode(const struct tokenizer *tokenizer, const char *text,
                                     size_t n_bytes, bool add_special, struct token_list *out,
                                     struct error *err);

/* Append the text of ids [n_ids] to *out: well-formed UTF-8, special tokens included.
 * Errors: ST_BAD_INPUT (an id that is no token: names it), ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t tokenizer_decode(const struct tokenizer *tokenizer, const uint32_t *ids,
                                     size_t n_ids, struct buffer *out, struct error *err);

/* Append the bytes that one token stands for in a text, for display: byte-level spelling and
 * space marks undone, nothing stripped; a token may be part of a character, so the bytes need
 * not be UTF-8. Joining the bytes of all tokens gives the text. Errors: as decode. */
MUST_CHECK status_t tokenizer_token_text(const struct tokenizer *tokenizer, uint32_t id,
                                         struct buffer *out, struct error *err);

/* Highest id + 1, added tokens included: every id that encode gives is below it. A model's
 * embedding may have more rows (padding). */
size_t tokenizer_vocab_size(const struct tokenizer *tokenizer);

/* The id of that exact token string as the file spells it; false if it is no token. */
bool tokenizer_find(const struct tokenizer *tokenizer, const char *token, uint32_t *id);

/* Beginning and end of a text: from tokenizer_config.json, else config.json, else the template
 * (BOS), else the usual names ("<s>", "<|endoftext|>", ...). False if there is none. */
bool tokenizer_bos(const struct tokenizer *tokenizer, uint32_t *id);
bool tokenizer_eos(const struct tokenizer *tokenizer, uint32_t *id);

/* True if the file's template puts BOS in front of a text (what add_special does). */
bool tokenizer_adds_bos(const struct tokenizer *tokenizer);

/* True if `id` is an added token that the file marks as special. */
bool tokenizer_is_special(const struct tokenizer *tokenizer, uint32_t id);

#endif
