/* What a direction in the residual stream does to the logits when nothing comes between: the
 * logit lens (nostalgebraist 2020), with the final norm folded into the unembedding as
 * TransformerLens does it (HookedTransformer.from_pretrained: fold_ln and center_unembed, on by
 * default; fold_layer_norm() and center_unembed() there):
 *
 *   W[i, v] = gain[i] U[v, i]                  U the output head, gain the final norm's weight
 *   W[i, v] = W[i, v] - mean over i            layer norm only: it takes the mean of its input away
 *   W[i, v] = W[i, v] - mean over v            logits count against each other alone
 *   logits  = d W                              d [d_model]
 *
 * A value is thus what a unit of activation adds to a token's logit over the mean token's, times
 * the final norm's scale, which differs from place to place and is left at 1. Layers that read the
 * direction in between are left out: it is a description, no measurement (interventions are).
 *
 * Directions of attention values (hook_z) and MLP neurons (mlp.hook_post) go through that layer's
 * W_O or W_out first. Folding is done in double and rounded once; products are f32 in the backend's
 * fixed order, so the same bytes come out for a direction whatever stands beside it. One thread. */
#ifndef WORKER_MODEL_LOGIT_LENS_H
#define WORKER_MODEL_LOGIT_LENS_H

#include "worker/model/hook_point.h"
#include "worker/model/model.h"

struct logit_lens;

enum { LOGIT_LENS_ROWS = 64 }; /* directions of one product */

/* May directions at this hook point be read? Else why not, as half a sentence. */
const char *logit_lens_refusal(enum hook_kind kind); /* NULL: yes */

/* `model` is borrowed. Errors: ST_UNSUPPORTED (logit_lens_refusal), those of reading weights,
 * ST_NO_MEMORY. */
MUST_CHECK status_t logit_lens_create(struct logit_lens **out, struct model *model,
                                      struct hook_point hook, struct error *err);
void logit_lens_destroy(struct logit_lens **lens); /* NULL-safe */

/* directions [n, width of the hook point], n <= LOGIT_LENS_ROWS; logits [n, n_vocab]; host. */
MUST_CHECK status_t logit_lens_run(struct logit_lens *lens, const float *directions, size_t n,
                                   float *logits, struct error *err);

#endif
