/* A small made-up corpus with activations, and what brute force says its evidence must be. */
#ifndef TESTS_UNIT_EVIDENCE_WORLD_H
#define TESTS_UNIT_EVIDENCE_WORLD_H

#include "common/capture_unit.h"
#include "common/evidence.h"
#include "common/evidence_frozen.h"
#include "common/evidence_state.h"
#include "common/evidence_thresholds.h"
#include "kernels/sparse_rows.h"

#include <stddef.h>
#include <stdint.h>

struct world_params {
    uint64_t seed;
    uint32_t n_slots, n_documents, n_units, n_rows, row_tokens, vocabulary;
    uint32_t firing_per_token; /* about */
};

struct world_unit {
    struct capture_unit unit;
    uint32_t *tokens;
    struct capture_segment *segments;
    struct sparse_rows rows; /* of all tokens of the unit */
};

struct world {
    struct world_params params;
    struct evidence_documents documents;
    uint64_t *document_keys;
    struct world_unit *units; /* [params.n_units] */
};

/* Documents of uneven length laid into rows behind a beginning-of-text token 0, until n_units
 * are full; slots like tokens of their own residue class most. Exits the test on failure. */
void world_init(struct world *world, const struct world_params *params, enum evidence_split split);
void world_fini(struct world *world);

uint64_t world_random(uint64_t *state);

/* A partial of unit `index`, in newly allocated bytes. */
struct world_bytes {
    unsigned char *bytes;
    size_t n_bytes;
};
struct world_bytes world_partial(const struct world *world, uint32_t index,
                                 const struct evidence_identity *identity,
                                 const struct evidence_frozen *frozen,
                                 const struct evidence_thresholds *thresholds);

struct evidence_state *world_state(const struct world *world,
                                   const struct evidence_identity *identity);
/* All blocks of a state, one behind the other: its canonical bytes. */
struct world_bytes world_canonical(const struct evidence_state *state);

/* Tokens of a window, for evidence_token_lookup; context is the world. */
status_t world_lookup(void *context, const struct evidence_window *window, uint32_t *tokens,
                      struct error *err);

/* Compare every slot of a state that has merged all units with brute force over the world:
 * counts, histograms, top, reservoirs, samples. Fails the test with the slot's number. */
void world_expect_exact(const struct world *world, const struct evidence_state *state,
                        const struct evidence_frozen *frozen);

#endif
