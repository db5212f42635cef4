/* Spellings by number: equal text, equal id, first come first numbered. Open addressing over
 * bytes in one arena; ids never change. Belongs to one thread while it grows, then read-only. */
#ifndef COORDINATOR_SESSION_LEXICAL_SPELLINGS_H
#define COORDINATOR_SESSION_LEXICAL_SPELLINGS_H

#include "common/error.h"

#include <stddef.h>
#include <stdint.h>

enum { LEXICAL_MAX_CHARACTERS = 64 }; /* of a spelling */

struct lexical_spelling {
    size_t begin; /* in the arena */
    uint32_t n_bytes;
};

/* All zero: empty. */
struct lexical_spellings {
    char *arena;
    size_t n_arena, arena_capacity;
    struct lexical_spelling *spellings; /* [n_spellings] by id */
    size_t n_spellings, spelling_capacity;
    uint32_t *slots; /* [n_slots], id + 1 */
    size_t n_slots;  /* a power of two */
};

void lexical_spellings_fini(struct lexical_spellings *spellings); /* fine twice */

/* The id of letters[n_letters] (code points, at most LEXICAL_MAX_CHARACTERS), new or known.
 * Errors: ST_NO_MEMORY, ST_TOO_LARGE (2^32 spellings). */
MUST_CHECK status_t lexical_spellings_add(struct lexical_spellings *spellings,
                                          const uint32_t *letters, size_t n_letters, uint32_t *id,
                                          struct error *err);

/* The UTF-8 behind an id, not NUL-terminated; "" of 0 bytes for an id that is not there. */
const char *lexical_spellings_text(const struct lexical_spellings *spellings, uint32_t id,
                                   size_t *n_bytes);

#endif
