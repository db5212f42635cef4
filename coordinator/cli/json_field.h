/* Reading answers: a value by its path ("phases", "calls.done"), or what stands for absent.
 * Everything is borrowed from the JSON. Any thread. */
#ifndef COORDINATOR_CLI_JSON_FIELD_H
#define COORDINATOR_CLI_JSON_FIELD_H

#include <jansson.h>
#include <stdbool.h>

/* The value at `path` (names separated by dots); NULL if absent or null. */
const json_t *json_field(const json_t *object, const char *path);
/* Its text, or `otherwise` if it is no string. Not cleaned: see clean_text.h. */
const char *json_field_text(const json_t *object, const char *path, const char *otherwise);
/* Its number, or NAN. */
double json_field_number(const json_t *object, const char *path);
bool json_field_is_true(const json_t *object, const char *path);

#endif
