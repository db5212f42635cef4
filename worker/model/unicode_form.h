/* Unicode normalization forms (UAX 15) on the tables of utf8proc.
 *
 * utf8proc's own utf8proc_map() puts combining marks in order by exchanging neighbours, which
 * costs minutes on a text of half a million marks; here each run of marks is sorted. Pure, any
 * thread. */
#ifndef WORKER_MODEL_UNICODE_FORM_H
#define WORKER_MODEL_UNICODE_FORM_H

#include "common/buffer.h"
#include "common/error.h"

#include <stddef.h>

enum unicode_form { UNICODE_NFC, UNICODE_NFD, UNICODE_NFKC, UNICODE_NFKD };

/* Append well-formed text [n_bytes] in that form to *out. Errors: ST_NO_MEMORY, ST_TOO_LARGE,
 * those of buffer_append(). */
MUST_CHECK status_t unicode_form_apply(enum unicode_form form, const char *text, size_t n_bytes,
                                       struct buffer *out, struct error *err);

#endif
