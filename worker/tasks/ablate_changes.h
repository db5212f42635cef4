/* The changes of a unit as changes of variants: sites become hook points, values rows, edges what
 * their receivers compute. Belongs to one run thread. */
#ifndef WORKER_TASKS_ABLATE_CHANGES_H
#define WORKER_TASKS_ABLATE_CHANGES_H

#include "worker/model/variants.h"
#include "worker/tasks/ablate_values.h"

enum { ABLATE_MAX_EDGE_BYTES = 1 << 30 }; /* rows of the edges of one unit */

struct ablate_changes;

struct ablate_changes_params { /* all borrowed */
    struct model *model;
    const struct ablate_prompts *prompts;
    struct ablate_values *values;
    struct variants *variants; /* loaded with the prompts */
};
MUST_CHECK status_t ablate_changes_create(struct ablate_changes **out,
                                          const struct ablate_changes_params *params,
                                          struct error *err);
void ablate_changes_destroy(struct ablate_changes **changes); /* NULL-safe */

/* A change alone in its variant; an edge becomes what its receiver computes in the clean pass,
 * which all receivers of a layer share. *out borrows until ablate_changes_forget(). Errors:
 * ST_BAD_INPUT (a site or positions that do not exist, an edge that is none), ST_TOO_LARGE (edges
 * of one unit), ST_NO_MEMORY. */
MUST_CHECK status_t ablate_changes_make(struct ablate_changes *changes,
                                        const struct ablate_change *change,
                                        struct variant_change *out, struct error *err);
/* Positions before it are left alone by these changes together: where all are resampled and the
 * corrupted prompts begin as the clean ones, they would put there what is there. */
size_t ablate_changes_first_position(const struct ablate_changes *changes,
                                     const struct ablate_change *list, size_t n);
/* An edge among other changes of its variant (struct variant_edge). Errors: as above. */
MUST_CHECK status_t ablate_changes_make_edge(struct ablate_changes *changes,
                                             const struct ablate_change *change,
                                             struct variant_edge *out, struct error *err);
/* The unit is over. */
void ablate_changes_forget(struct ablate_changes *changes);

#endif
