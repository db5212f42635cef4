/* What scripts read: -o json is one document {apiVersion, kind, ...the answer's own keys},
 * -o jsonl one compact object a line. The answer is borrowed, unless a function says otherwise. */
#ifndef COORDINATOR_CLI_DOCUMENT_H
#define COORDINATOR_CLI_DOCUMENT_H

#include "common/error.h"

#include <jansson.h>
#include <stdio.h>

#define DOCUMENT_API_VERSION "interp/v1"

MUST_CHECK status_t document_print(FILE *out, const char *kind, const json_t *answer,
                                   struct error *err);
/* The same of an answer made for it, which is released; NULL is ST_NO_MEMORY. */
MUST_CHECK status_t document_print_new(FILE *out, const char *kind, json_t *answer,
                                       struct error *err);
/* One line. */
MUST_CHECK status_t document_print_line(FILE *out, const json_t *object, struct error *err);
/* Each object of the array, a line each. */
MUST_CHECK status_t document_print_lines(FILE *out, const json_t *array, struct error *err);

#endif
