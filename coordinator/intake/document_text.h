/* Is this text a document? Strict UTF-8 without NUL, with at least one visible character. */
#ifndef COORDINATOR_INTAKE_DOCUMENT_TEXT_H
#define COORDINATOR_INTAKE_DOCUMENT_TEXT_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>

/* ST_BAD_INPUT "PLACE: not UTF-8 at byte N ..." or "... binary: NUL at byte N ...". `what` says
 * what the byte is counted in: "the document", "the line". Any thread. */
MUST_CHECK status_t document_text_check(const char *text, size_t n_bytes, const char *place,
                                        const char *what, struct error *err);

/* Nothing but ASCII white space? */
bool document_text_is_blank(const char *text, size_t n_bytes);

#endif
