/* What the writers of a result share. Private to label_json*.c.
 *
 * Every builder returns a new reference, or NULL when memory is short or a value has no JSON form;
 * json_pack() takes "o" values over and fails on NULL, so one check at the end is enough. */
#ifndef COORDINATOR_SESSION_LABEL_JSON_PARTS_H
#define COORDINATOR_SESSION_LABEL_JSON_PARTS_H

#include "coordinator/session/label_json.h"

#include <jansson.h>

json_t *label_json_value(struct score_value value); /* 12 significant digits; null: undefined */
json_t *label_json_count(uint64_t n);
json_t *label_json_interval(const struct interval *interval);
json_t *label_json_null(const struct null_model *null, const struct support *support);

/* label_json_judges.c */
json_t *label_json_simulation(const struct label_simulation *of);

#endif
