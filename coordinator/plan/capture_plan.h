/* How a corpus becomes capture units: fixed blocks of rows, each of one split.
 *
 *   packing none          row = [BOS] piece of one document, padded
 *   packing concatenate   row = [BOS] piece [BOS] piece ...; a document goes on in the next row
 *                         (where there is no BOS, EOS stands between documents)
 *
 * Every row has context_tokens places and every unit rows_per_unit rows, whoever runs it; what is
 * not filled is padding (token 0) outside of all segments. A document is never glued to the next
 * without a token between them, and a window never crosses from one into another, because
 * windows are cut inside segments. Units come in the order explain, validate, test, then the
 * out-of-distribution corpora, documents in corpus order within each: a pure function of the
 * token corpus and the parameters. A piece shorter than min_window_tokens is left out and
 * counted. Belongs to one thread; constant once made, then any number may read. */
#ifndef COORDINATOR_PLAN_CAPTURE_PLAN_H
#define COORDINATOR_PLAN_CAPTURE_PLAN_H

#include "coordinator/intake/sweep_spec.h"
#include "coordinator/plan/split.h"
#include "coordinator/plan/token_corpus.h"

#include "common/capture_unit.h"
#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct capture_plan_params {
    enum sweep_packing packing;
    uint32_t rows_per_unit;
    uint32_t context_tokens;
    uint32_t min_window_tokens;
    uint32_t bos_token; /* begins every row; EVIDENCE_NO_TOKEN: rows begin with text */
    uint32_t eos_token; /* between documents if there is no BOS; EVIDENCE_NO_TOKEN: none */
    struct sweep_splits splits;
    uint64_t seed;
};

/* The parameters that a spec asks for on a model with these tokens (EVIDENCE_NO_TOKEN: none).
 * model_uses_bos: what the model's tokenizer does by itself (bos: auto). ST_BAD_INPUT if bos is
 * true and the model has no BOS token. */
MUST_CHECK status_t capture_plan_params_init(struct capture_plan_params *out,
                                             const struct sweep_spec *spec, uint32_t bos_token,
                                             uint32_t eos_token, bool model_uses_bos,
                                             struct error *err);

struct capture_plan_stats {                  /* by split; OOD corpora together */
    uint64_t n_documents[EVIDENCE_N_SPLITS]; /* with at least one segment */
    uint64_t n_tokens[EVIDENCE_N_SPLITS];    /* inside segments */
    uint64_t n_units[EVIDENCE_N_SPLITS];
    uint64_t n_rows[EVIDENCE_N_SPLITS]; /* without wholly empty ones */
    uint64_t n_short_documents;         /* left out: fewer than min_window_tokens */
    uint64_t n_short_tokens;            /* left out, of all documents */
    struct split_counts duplicates;
};

struct capture_plan;

/* `corpus` is borrowed for the life of the plan. Errors: ST_BAD_INPUT (a share of the splits
 * that got no document, concatenate without BOS and EOS, a context without room for a window),
 * ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t capture_plan_create(struct capture_plan **out,
                                        const struct token_corpus *corpus,
                                        const struct capture_plan_params *params,
                                        struct error *err);
void capture_plan_destroy(struct capture_plan **plan); /* NULL-safe; sets *plan = NULL */

uint64_t capture_plan_n_units(const struct capture_plan *plan);
/* The units of a split are [*low, *high). */
void capture_plan_range(const struct capture_plan *plan, enum evidence_split split, uint64_t *low,
                        uint64_t *high);
struct capture_plan_stats capture_plan_stats(const struct capture_plan *plan);

/* Which corpus unit `index` was cut from: 0 main, 1 the first of `ood`, ... */
uint32_t capture_plan_unit_corpus(const struct capture_plan *plan, uint64_t index);

/* Unit `index` < n_units. `tokens` [rows_per_unit, context_tokens] is filled and borrowed by
 * *out, the segments are borrowed from the plan. unit_number is the index. Errors: ST_IO. */
MUST_CHECK status_t capture_plan_unit(const struct capture_plan *plan, uint64_t index,
                                      uint32_t *tokens, struct capture_unit *out,
                                      struct error *err);

/* How many documents are on two sides: counted over the units as they are, by index and by
 * equal tokens. 0, or the plan is wrong. Errors: ST_NO_MEMORY. */
MUST_CHECK status_t capture_plan_count_leaks(const struct capture_plan *plan, uint64_t *n_leaks,
                                             struct error *err);
/* The same, with the documents' contents taken from `corpus` (of at least as many documents):
 * how a test shows that the count can be other than 0. */
MUST_CHECK status_t capture_plan_count_leaks_in(const struct capture_plan *plan,
                                                const struct token_corpus *corpus,
                                                uint64_t *n_leaks, struct error *err);

/* A number of everything the units depend on: equal plans have equal keys. */
uint64_t capture_plan_key(const struct capture_plan *plan);

#endif
