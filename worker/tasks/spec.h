/* Reading a task's SPEC: every function names the key that is missing or wrong. */
#ifndef WORKER_TASKS_SPEC_H
#define WORKER_TASKS_SPEC_H

#include "common/error.h"

#include <jansson.h>
#include <stdint.h>

MUST_CHECK status_t spec_text(const json_t *spec, const char *key, const char **out,
                              struct error *err);
/* A finite number; `otherwise` if the key is not there. */
MUST_CHECK status_t spec_number(const json_t *spec, const char *key, double otherwise, double *out,
                                struct error *err);
/* A whole number from min to max. */
MUST_CHECK status_t spec_count(const json_t *spec, const char *key, uint64_t min, uint64_t max,
                               uint64_t *out, struct error *err);
/* A number that does not fit JSON integers exactly, written as a hexadecimal text. */
MUST_CHECK status_t spec_key64(const json_t *spec, const char *key, uint64_t *out,
                               struct error *err);
MUST_CHECK status_t spec_array(const json_t *spec, const char *key, const json_t **out,
                               struct error *err);

#endif
