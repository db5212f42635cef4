/* Interventions on features (common/generate.h) as edits of a forward pass.
 *
 *   dictionary   x += c W, W the feature's decoder row (of unit length where the dictionary scales
 *                its activations by that), in the scale that the dictionary's norm has at the
 *                token; c = v for ADD, v - a for SET: what the dictionary does not explain stays
 *   column       of neurons and residual dimensions: the same with the column's unit vector, the
 *                negative slot's pointing down
 *   head         SET to 0 only: its z becomes 0
 *
 * Each batch of a pass says which tokens are changed; no others are touched, to the bit. A
 * feature's activation is that at the hook point with the interventions of earlier layers made, as
 * the task's targets read it. Interventions of one target see the values before any of them.
 * Belongs to one run thread. */
#ifndef WORKER_TASKS_STEERING_H
#define WORKER_TASKS_STEERING_H

#include "common/generate.h"
#include "worker/model/forward.h"
#include "worker/tasks/subject.h"

struct steering;

/* `subject` is borrowed, and its targets are told which slots are read (capture_target_select).
 * Errors: ST_BAD_INPUT (a target, slot or kind that does not exist, a hook point that cannot be
 * changed, a head that is to be anything but 0), ST_NO_MEMORY. */
MUST_CHECK status_t steering_create(struct steering **out, const struct subject *subject,
                                    const struct intervention *interventions, size_t n,
                                    struct error *err);
void steering_destroy(struct steering **steering); /* NULL-safe */

/* In place of the first intervention's value. */
void steering_set_value(struct steering *steering, double value);

/* Tokens [begin, end) of a row are changed. */
struct steering_span {
    uint32_t begin, end;
};
/* For the next runs, borrowed: spans [n_rows of the batch]. */
void steering_set_spans(struct steering *steering, const struct steering_span *spans);

/* The edits of a run, for forward_input; they live as long as the steering. */
const struct forward_edit *steering_edits(const struct steering *steering, size_t *n);

#endif
