/* Labels that a user brought (mode score_only): JSON lines, one object each.
 *
 *   {"feature": 7, "label": "days of the week"}
 *   {"feature": 8, "label": "...", "target": 1, "type": "abstract"}
 *
 * feature: as records number it; target: index among the sweep's targets, 0 if left out; type as
 * an explainer gives it, may be left out; other keys and empty lines are passed over. Labels are
 * cleaned like an explainer's. Every error names file and line. A loaded import is immutable; any
 * thread. */
#ifndef COORDINATOR_SWEEP_LABEL_IMPORT_H
#define COORDINATOR_SWEEP_LABEL_IMPORT_H

#include "common/buffer.h"
#include "common/error.h"
#include "coordinator/intake/sweep_spec.h"
#include "coordinator/session/prompt_reply.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LABEL_IMPORT_MAX_BYTES = 64 << 20 };

struct label_import; /* opaque */

/* `lines`, which stand for spec->labels (labels_kept.h reads them). On ST_OK the caller owns *out.
 * Errors: ST_BAD_INPUT (no JSON, a key that is missing or wrong, a label that is empty, a feature
 * given twice, no label at all), ST_NO_MEMORY. */
MUST_CHECK status_t label_import_parse(struct label_import **out, const struct sweep_spec *spec,
                                       const struct buffer *lines, struct error *err);
void label_import_destroy(struct label_import **import); /* NULL-safe */

/* Is every label of `target` about one of its units, units[n_units] ascending? A signed unit has
 * the features 2 * unit and 2 * unit + 1. ST_NOT_FOUND names the first that is not. */
MUST_CHECK status_t label_import_check(const struct label_import *import, uint32_t target,
                                       const uint32_t *units, size_t n_units, bool is_signed,
                                       struct error *err);

/* The label of a feature into *out; false if none was given. */
bool label_import_find(const struct label_import *import, uint32_t target, uint64_t feature,
                       struct prompt_label *out);
size_t label_import_count(const struct label_import *import);

#endif
