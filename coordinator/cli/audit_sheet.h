/* The sheet that raters fill in: written blinded, read back strictly.
 *
 *   item,description,text_1,text_2,text_3,text_4,fits,note        RFC 4180, UTF-8 with its mark
 *
 * Firing tokens stand in [brackets] in the texts. A rater puts yes, no or unsure under `fits`:
 * does the description fit the marked tokens? Nothing in the sheet tells decoys, scores, statuses
 * or feature numbers. The byte order mark is there because spreadsheets guess another encoding
 * without it. Columns may be moved, added or left out when it comes back, all but item and fits.
 * One thread. */
#ifndef COORDINATOR_CLI_AUDIT_SHEET_H
#define COORDINATOR_CLI_AUDIT_SHEET_H

#include "common/buffer.h"
#include "common/error.h"
#include "coordinator/cli/audit_key.h"

#include <jansson.h>

enum { AUDIT_N_TEXTS = 4 };

MUST_CHECK status_t audit_sheet_append_heading(struct buffer *out, struct error *err);
/* `record` (coordinator/session/label_json.h) gives the windows. Errors: ST_TOO_LARGE,
 * ST_NO_MEMORY. */
MUST_CHECK status_t audit_sheet_append_item(struct buffer *out, const char *id,
                                            const char *description, const json_t *record,
                                            struct error *err);

enum audit_answer { AUDIT_BLANK, AUDIT_YES, AUDIT_NO, AUDIT_UNSURE, AUDIT_N_ANSWERS };

/* The answers of a filled-in sheet into answers[key->n_items], in the key's order. `bytes` is
 * read in place (csv_reader.h). Errors: ST_BAD_INPUT, naming `name` (the file), line and item: an
 * item that the key does not know, one that comes twice or not at all, an answer that is none. */
MUST_CHECK status_t audit_sheet_read(const struct audit_key *key, const char *name, char *bytes,
                                     size_t n_bytes, enum audit_answer *answers, struct error *err);

#endif
