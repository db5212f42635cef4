/* One thread's encoder of a dictionary: activations in, firing features out, exactly as
 * kernels/backend.h defines them ("sparse encode").
 *
 * Before the encode, as SAELens does: centre over d_model (where the dictionary was trained on
 * centred values), normalise, subtract b_dec (kernels/backend.h, "rows for a dictionary"). */
#ifndef WORKER_MODEL_ENCODER_H
#define WORKER_MODEL_ENCODER_H

#include "worker/model/dictionary.h"

struct encoder;

struct encoder_params {
    const struct dictionary *dictionary; /* borrowed */
    enum screen screen;                  /* SCREEN_AUTO unless measuring */
    const uint32_t *features;            /* [n_selected] wanted features, or NULL: all */
    size_t n_selected;
    size_t tally_k; /* backend.h: keep a tally with that many values a feature; 0: none */
};

/* On ST_OK the caller owns *out. Errors: ST_NOT_FOUND (a feature), ST_UNSUPPORTED (screen),
 * ST_NO_MEMORY. */
MUST_CHECK status_t encoder_create(struct encoder **out, const struct encoder_params *params,
                                   struct error *err);
void encoder_destroy(struct encoder **encoder); /* NULL-safe; sets *encoder = NULL */

/* Encode acts, host [n_tokens, d_in]. *out (see kernels/backend.h) borrows from the encoder until
 * its next run: features ascending within a token, values > 0.
 * Errors: ST_BAD_INPUT (an activation that is not finite, or overflows: names the token). */
MUST_CHECK status_t encoder_run(struct encoder *encoder, const float *acts, size_t n_tokens,
                                struct sparse_rows *out, struct error *err);

/* The same of acts on the dictionary's device, which need not come to the host for it; whatever
 * wrote them is done. */
MUST_CHECK status_t encoder_run_device(struct encoder *encoder, const float *acts, size_t n_tokens,
                                       struct sparse_rows *out, struct error *err);

/* The digest of the same (backend.h), where the backend has it and the encoder has all features:
 * `params` but for x. *out borrows from the encoder until its next digest. */
MUST_CHECK status_t encoder_digest_device(struct encoder *encoder, const float *acts,
                                          const struct digest_params *params, struct digest *out,
                                          struct error *err);

/* What SAELens multiplies a decoder's output by to undo its norm of these activations [d_in]: 1
 * where the norm is none or a fixed factor (which dictionary_decoder_row() knows). scratch [d_in]
 * is overwritten. */
float encoder_output_scale(const struct dictionary *dictionary, const float *acts, float *scratch);

/* Does that depend on the activations? */
bool encoder_has_output_scale(const struct dictionary *dictionary);
/* Then the same of each row of acts, device [n_tokens, d_in], where whatever wrote them is done:
 * out, host [n_tokens]. The same bits. */
MUST_CHECK status_t encoder_output_scales(struct encoder *encoder, const float *acts,
                                          size_t n_tokens, float *out, struct error *err);

/* What SAELens decodes of the firing features [n] of one token, `values` as encoder_run() gave them
 * for its activations acts [d_in]: out [d_in], in the scale of acts. scratch [d_in] is overwritten.
 * What a centred dictionary does not see, the mean over d_model, is not in it. Errors: ST_NOT_FOUND
 * (a feature). */
MUST_CHECK status_t encoder_decode(const struct dictionary *dictionary, const float *acts,
                                   const uint32_t *features, const float *values, size_t n,
                                   float *scratch, float *out, struct error *err);

/* What fired in all runs, feature by feature; borrowed until the next call. Errors: ST_BAD_INPUT
 * (no tally is kept). */
MUST_CHECK status_t encoder_tally(struct encoder *encoder, struct sparse_tally *out,
                                  struct error *err);

/* Tokens, candidates and firing pairs since creation, and the screen in use. */
struct sparse_stats encoder_stats(const struct encoder *encoder);

#endif
