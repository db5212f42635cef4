/* What the files of a case share. Private to feature_case*.c. */
#ifndef COORDINATOR_SESSION_FEATURE_CASE_PARTS_H
#define COORDINATOR_SESSION_FEATURE_CASE_PARTS_H

#include "coordinator/session/feature_case.h"

/* feature_case.c */

/* Choose split->judged from split->pool. */
MUST_CHECK status_t feature_case_select(const struct feature_case *self,
                                        const struct feature_case_params *params,
                                        struct case_split *split, struct error *err);
/* Items and prompts of one score about split->judged. */
MUST_CHECK status_t feature_case_make_items(struct case_split *split,
                                            const struct feature_case_params *params,
                                            enum case_score score, struct error *err);
void feature_case_split_fini(struct case_split *split);

/* feature_case_groups.c */

/* self->groups, once explain windows and the splits that are wanted are there. */
MUST_CHECK status_t feature_case_group(struct feature_case *self,
                                       const struct feature_case_params *params, struct error *err);
void feature_case_groups_fini(struct case_groups *groups);

#endif
