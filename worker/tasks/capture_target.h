/* One target of a capture on a worker: from the activations of its hook point to the sparse
 * activations of its slots.
 *
 *   dictionary   slot = position of the feature in the chosen list; values by encoder.h
 *   neurons, residual dimensions   two slots per unit: max(value, 0) and max(-value, 0)
 *   heads        slot = head; value = L2 norm of its output z W_O at the token
 *
 * Belongs to one run thread. */
#ifndef WORKER_TASKS_CAPTURE_TARGET_H
#define WORKER_TASKS_CAPTURE_TARGET_H

#include "common/describe.h"
#include "kernels/sparse_rows.h"
#include "worker/model/forward.h"
#include "worker/tasks/model_cache.h"

#include <jansson.h>

struct capture_target;

/* Read "hook", "units", "dictionary", "norm_scaling_factor" and (not for describe) "features",
 * "fingerprint" of `spec`. `model` is borrowed. Errors: what in spec, model or dictionary is wrong
 * or does not fit. */
MUST_CHECK status_t capture_target_open(struct capture_target **out, struct model_cache *models,
                                        const struct model *model, const json_t *spec,
                                        struct error *err);
void capture_target_close(struct capture_target **target); /* NULL-safe */

struct hook_point capture_target_hook(const struct capture_target *target);
struct describe_target capture_target_describe(const struct capture_target *target);
uint32_t capture_target_n_slots(const struct capture_target *target);

/* Whoever reads only these slots [n_slots] says so first: others may then be left out, for less
 * work; the values are the same. Any order, repeats allowed. Errors: ST_BAD_INPUT (no such slot),
 * ST_NO_MEMORY; the target is then as before. */
MUST_CHECK status_t capture_target_select(struct capture_target *target, const uint32_t *slots,
                                          size_t n_slots, struct error *err);

/* What one slot is, for whoever changes its value at the hook point. */
struct slot_unit {
    const struct dictionary *dictionary; /* NULL: neurons, residual dimensions, heads */
    bool is_head;
    uint32_t number; /* of the feature, the column, the head */
    float sign;      /* +1, or -1 for the negative slot of a column */
};
/* Errors: ST_BAD_INPUT (no such slot). */
MUST_CHECK status_t capture_target_slot_unit(const struct capture_target *target, uint32_t slot,
                                             struct slot_unit *out, struct error *err);

/* acts: host [n_tokens, width of the hook] out of `forward`'s last run (read by heads only). *out
 * is borrowed until the next call; slots ascend within a token. Errors: ST_BAD_INPUT (not finite),
 * ST_NO_MEMORY. */
MUST_CHECK status_t capture_target_read(struct capture_target *target, struct forward *forward,
                                        const float *acts, size_t n_tokens, struct sparse_rows *out,
                                        struct error *err);

/* True of a dictionary: its activations may stay on the device (forward.h), where
 * capture_target_read_device() reads them, with the same result. */
bool capture_target_is_on_device(const struct capture_target *target);
MUST_CHECK status_t capture_target_read_device(struct capture_target *target, const float *acts,
                                               size_t n_tokens, struct sparse_rows *out,
                                               struct error *err);
/* True where the device makes the digest of all its slots (backend.h), and then that digest; params
 * but for x. *out is borrowed until the next one. */
bool capture_target_digests(const struct capture_target *target);
MUST_CHECK status_t capture_target_digest(struct capture_target *target, const float *acts,
                                          const struct digest_params *params, struct digest *out,
                                          struct error *err);
/* encoder_output_scales() of a dictionary. */
MUST_CHECK status_t capture_target_output_scales(struct capture_target *target, const float *acts,
                                                 size_t n_tokens, float *out, struct error *err);

#endif
