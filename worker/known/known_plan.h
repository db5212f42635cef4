/* One known model before its weights: shapes, where the seed put each head, and which rows of the
 * direction basis stand for what. Weights, truth and prompts are all made from a plan alone.
 *
 * The residual stream is the sum of orthonormal directions, a block of rows for each meaning:
 *
 *   GPT-2    token[V] position[V] previous[V] ballast         scratch[..]   d_model 4 V
 *   backup   token[V] position[V] previous[V] ballast done[V] scratch[..]   d_model 5 V, or nearly
 *   Llama    token[V] output[V]   previous[V] ballast         scratch[..]   d_model 6 V
 *
 * `token`: which token stands here. `previous`: which one stood before. `ballast`: one direction
 * so long that the norm hardly sees the rest. `scratch`: written by distractors, read by nobody.
 * `done`: an induction head has answered so. `output`: the unembedding, where it is not tied
 * to `token`. Value; any thread. */
#ifndef WORKER_KNOWN_KNOWN_PLAN_H
#define WORKER_KNOWN_KNOWN_PLAN_H

#include "worker/known/known_kind.h"

#include <stdint.h>

enum { KNOWN_MIN_SIZE = 16, KNOWN_MAX_SIZE = 128, KNOWN_SCRATCH_LLAMA = 30 };

struct known_params {
    const char *kind;
    uint64_t seed;
    size_t size;      /* tokens in the vocabulary, BOS included; everything else follows */
    const char *rope; /* "half" (HF) or "interleaved" (Meta), Llama kinds only; NULL: half */
};

/* First row of each block in the direction basis [d_model - 1, d_model]. */
struct known_blocks {
    size_t token, position, output, previous, ballast, done, scratch, n_scratch;
};

struct known_plan {
    const struct known_kind *kind;
    uint64_t seed;
    bool is_interleaved;
    size_t n_vocab, n_positions, n_prompt_tokens; /* BOS is token 0 */
    size_t d_model, d_head, n_heads, n_kv_heads, d_mlp;
    /* head_index[layer][k]: where the k-th head of kind->heads[layer] lies in the checkpoint */
    uint32_t head_index[KNOWN_MAX_LAYERS][KNOWN_N_HEADS];
    struct known_blocks blocks;
};

/* Errors: ST_BAD_INPUT (kind, size or rope; says what may be given). */
MUST_CHECK status_t known_plan_make(struct known_plan *out, const struct known_params *params,
                                    struct error *err);

#endif
