/* A corpus of which everything is known, captured for real: what a feature's case is built from.
 *
 *   slot CASE_CAT    fires on token 5 behind an even token, with 1 + (that token mod 8)
 *   slot CASE_NEVER  fires nowhere
 *   slot CASE_DENSE  fires everywhere
 *   slot CASE_DOG    fires on token 9, with 3
 *   slot CASE_KIN    fires on tokens that are multiples of 20, with 1 to 4 by place: the neighbour
 *                    of CASE_CAT, strong above 2
 *
 * Token 5 behind an odd token is CASE_CAT's near miss. Documents [0, N_EXPLAIN) are explain's, then
 * come validate's, test's and those of another corpus. The first CASE_N_COPIES test documents are
 * copies of explain documents that fire. */
#ifndef TESTS_UNIT_CASE_WORLD_H
#define TESTS_UNIT_CASE_WORLD_H

#include "common/evidence_frozen.h"
#include "coordinator/session/feature_case.h"
#include "tests/unit/evidence_world.h"

enum { CASE_CAT, CASE_NEVER, CASE_DENSE, CASE_DOG, CASE_KIN, CASE_N_SLOTS };
enum {
    CASE_N_EXPLAIN = 200,
    CASE_N_VALIDATE = 80,
    CASE_N_TEST = 160,
    CASE_N_OOD = 80,
    CASE_N_DOCUMENTS = CASE_N_EXPLAIN + CASE_N_VALIDATE + CASE_N_TEST + CASE_N_OOD,
    CASE_DOCUMENT_TOKENS = 64,
    CASE_WINDOW_TOKENS = 16,
    CASE_N_COPIES = 40,
    CASE_N_VOCABULARY = 200
};

struct case_world {
    uint32_t tokens[CASE_N_DOCUMENTS][CASE_DOCUMENT_TOKENS];
    struct token_corpus *corpus;
    struct evidence_documents documents;
    struct evidence_frozen frozen;
    struct evidence_state *states[EVIDENCE_N_SPLITS];
};

/* One for the test process, made once; lives as long as it. */
struct case_world *case_world(void);

/* What the rule above says of a token. */
float case_world_value(const struct case_world *world, uint32_t slot, uint32_t document,
                       uint32_t offset);
enum evidence_split case_world_split(uint32_t document);

/* Twelve windows of each kind, detection and fuzzing, prompts of ten. */
struct feature_case_params case_world_params(const struct case_world *world, uint32_t slot,
                                             unsigned parts);

#endif
