/* Parts of a JSON object as text: the values at some paths, and nothing of the rest.
 *
 * A record has kilobytes of evidence, and a table of a sweep needs a dozen numbers of it: nothing
 * is parsed, what is not wanted is passed over byte by byte. Values are copied as they stand, so
 * numbers keep their digits and canonical text stays canonical. Names are compared as they are
 * written: one with an escape in it is never selected. Any thread. */
#ifndef COORDINATOR_API_JSON_SELECT_H
#define COORDINATOR_API_JSON_SELECT_H

#include "common/buffer.h"
#include "common/wire.h"

enum { JSON_SELECT_MAX_PATHS = 64 };

/* Append the object with only what stands at `paths` [n_paths <= JSON_SELECT_MAX_PATHS]: names with
 * dots between ("scores.detection"). A path that the object has not is left out; a null on the way
 * of one is kept. Errors: ST_BAD_INPUT if the text is no JSON object as far as it had to be read,
 * ST_TOO_LARGE, ST_NO_MEMORY; `out` is then as it was. */
MUST_CHECK status_t json_select(struct wire_text object, const char *const *paths, size_t n_paths,
                                struct buffer *out, struct error *err);

#endif
