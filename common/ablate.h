/* Ablations: changed copies of a task's prompts, and what the model answers to each.
 *
 *   unit    u32 version, n_variants, n_changes; n_variants x u32 end;   coordinator -> worker
 *           n_changes x u32 place, layer, column, n_columns, value, positions,
 *                           sender place, layer, column, n_columns
 *   result  u32 version, n_variants, n_prompts; u64 n_skipped;          worker -> coordinator
 *           of every variant, in order, of every prompt the fields of
 *           struct ablate_outcome, f64
 *
 * Little-endian; the version is 2. A variant has the changes from the end of the one before to its
 * own; one without any is the clean run. A change with a sender (its n_columns are not 0) is an
 * ablated edge: the sender (Z, MLP_OUT, or the embedding: RESID_PRE of layer 0) takes the value,
 * and the receiver alone sees it: Q, K or V (whole heads), the MLP of MLP_OUT, or the logits
 * (RESID_POST of the last layer) read their stream with it in the place of what the sender writes
 * in this run. A variant may have any number of edges beside other changes, each at most once; the
 * edges that it does not list are kept. One edge alone is path patching. positions: number of a set
 * of positions in the task's spec, 0: all. Columns are those of the activation: head h of Z is
 * d_head columns from h * d_head; under grouped queries K and V have a head a group.
 *
 * Both sides are untrusted: counts are checked before memory is reserved. Pure functions; any
 * thread. */
#ifndef COMMON_ABLATE_H
#define COMMON_ABLATE_H

#include "common/buffer.h"
#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    ABLATE_MAX_VARIANTS = 4096,   /* of a unit */
    ABLATE_MAX_CHANGES = 1 << 20, /* of a unit, all variants together */
    ABLATE_MAX_PROMPTS = 4096,
    ABLATE_MAX_POSITIONS = 64, /* sets of them, of a task */
};

/* In the order in which a layer computes them, by TransformerLens name. */
enum ablate_place {
    ABLATE_RESID_PRE, /* hook_resid_pre */
    ABLATE_Q,         /* attn.hook_q, before rotation */
    ABLATE_K,
    ABLATE_V,
    ABLATE_Z,        /* attn.hook_z: heads */
    ABLATE_ATTN_OUT, /* hook_attn_out */
    ABLATE_RESID_MID,
    ABLATE_MLP_POST, /* mlp.hook_post: neurons */
    ABLATE_MLP_OUT,  /* hook_mlp_out */
    ABLATE_RESID_POST,
    /* Of a dictionary: `layer` is its number in the task's spec, from 0; 1 column. What is there is
     * what the dictionary encodes at its hook point in the variant's own run, behind other changes
     * of that place; whatever it does not explain stays as it is. */
    ABLATE_FEATURE, /* column: the feature. x += (value - activation) direction */
    ABLATE_ERROR    /* column 0: what the dictionary does not explain. x += value - error */
};
enum { ABLATE_N_PLACES = ABLATE_ERROR + 1 };

/* What is put there. */
enum ablate_value {
    ABLATE_ZERO,
    ABLATE_MEAN,    /* of the spec's reference prompts */
    ABLATE_RESAMPLE /* what the corrupted prompt has there */
};
enum { ABLATE_N_VALUES = ABLATE_RESAMPLE + 1 };
const char *ablate_value_name(enum ablate_value value); /* "zero", "mean", "resample" */

struct ablate_site {
    uint32_t place; /* enum ablate_place */
    uint32_t layer, column, n_columns;
};
struct ablate_change {
    struct ablate_site at;
    uint32_t value;            /* enum ablate_value */
    uint32_t positions;        /* at most ABLATE_MAX_POSITIONS; of the sender, if there is one */
    struct ablate_site sender; /* n_columns 0: none */
};

struct ablate_unit {
    size_t n_variants;
    uint32_t *ends;                /* [n_variants]: where a variant's changes end, ascending */
    struct ablate_change *changes; /* [ends[n_variants - 1]] */
};
void ablate_unit_fini(struct ablate_unit *unit); /* frees the arrays; safe on zeroed */

/* Append a unit. Errors: ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t ablate_unit_encode(const struct ablate_unit *unit, struct buffer *out,
                                       struct error *err);
/* On ST_OK the caller owns *out (fini). Errors: ST_PROTOCOL (another version), ST_CORRUPT,
 * ST_TOO_LARGE, ST_NO_MEMORY; *out untouched. */
MUST_CHECK status_t ablate_unit_decode(const void *bytes, size_t n_bytes, struct ablate_unit *out,
                                       struct error *err);

/* Of one variant on one prompt, at the answer position; groups of several tokens: the mean of their
 * logits, the sum of their probabilities. NaN: not asked for. */
struct ablate_outcome {
    double answer_logit, distractor_logit;
    double answer_probability, distractor_probability; /* over the whole vocabulary */
    double is_correct; /* 1: an answer is above every distractor, else 0 */
    double kl;         /* nats: sum over the vocabulary of p_clean log(p_clean / p_variant) */
};
enum { ABLATE_N_FIELDS = 6 };

struct ablate_result {
    size_t n_variants, n_prompts;
    struct ablate_outcome *outcomes; /* [n_variants * n_prompts], owned */
    uint64_t
        n_skipped; /* pairs of a prompt and a feature that has its value there anyway (is silent,
                         * for zero): not run, the outcome is the clean one */
};
void ablate_result_fini(struct ablate_result *result);

/* Errors as above. */
MUST_CHECK status_t ablate_result_encode(const struct ablate_result *result, struct buffer *out,
                                         struct error *err);
MUST_CHECK status_t ablate_result_decode(const void *bytes, size_t n_bytes,
                                         struct ablate_result *out, struct error *err);

#endif
