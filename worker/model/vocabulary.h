/* Token strings by id and ids by string. Built once, then read-only for any thread.
 * Ids may have holes; strings are bytes and may hold anything but are unique. */
#ifndef WORKER_MODEL_VOCABULARY_H
#define WORKER_MODEL_VOCABULARY_H

#include "common/buffer.h"
#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOKEN_NONE UINT32_MAX

enum {
    VOCABULARY_MAX_IDS = 1 << 22,
    VOCABULARY_MAX_TOKEN_BYTES = 4096,
    VOCABULARY_MAX_TEXT_BYTES = 1 << 28
};

struct vocabulary_entry {
    uint32_t offset;
    uint32_t n_bytes; /* TOKEN_NONE marks a hole */
};

struct vocabulary {
    struct buffer text;               /* all strings, back to back */
    struct vocabulary_entry *entries; /* [n_ids] by id */
    size_t n_ids;                     /* highest id + 1 */
    size_t capacity;
    size_t n_tokens;
    uint32_t *slots; /* [slot_mask + 1] ids by hash of the string, TOKEN_NONE where free */
    size_t slot_mask;
};

/* A 64-bit hash of some bytes, for tables in memory (not stable across versions). */
uint64_t vocabulary_hash(const char *bytes, size_t n_bytes);

/* Start empty. The owner calls vocabulary_fini(). */
void vocabulary_init(struct vocabulary *vocabulary);
void vocabulary_fini(struct vocabulary *vocabulary);

/* Errors: ST_CORRUPT (the id or the string is already there), ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t vocabulary_add(struct vocabulary *vocabulary, const char *bytes, size_t n_bytes,
                                   uint32_t id, struct error *err);

/* The id of that string, TOKEN_NONE if it is no token. */
uint32_t vocabulary_find(const struct vocabulary *vocabulary, const char *bytes, size_t n_bytes);

/* The string of that id (borrowed, not NUL-terminated); false if the id is no token. */
bool vocabulary_text(const struct vocabulary *vocabulary, uint32_t id, const char **bytes,
                     size_t *n_bytes);

#endif
