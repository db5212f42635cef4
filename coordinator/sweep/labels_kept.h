/* The labels that a score-only sweep brings, kept in DATA/labels from the moment it is accepted
 * (kept_file.h): as lines (label_import.h), whatever format they came in (label_formats.h). The
 * spec names them (`labels_sha256`), so labels that change later change no sweep. A sweep that was
 * accepted before any were kept has no such hash, and reads the user's files. Loop thread only,
 * unless said. */
#ifndef COORDINATOR_SWEEP_LABELS_KEPT_H
#define COORDINATOR_SWEEP_LABELS_KEPT_H

#include "coordinator/sweep/kept_file.h"
#include "coordinator/sweep/label_import.h"

/* Read, check and keep the labels of a new sweep and set the hash of its spec; nothing of a sweep
 * that brings none. Where the spec has a hash already, the kept labels of that hash do, or files
 * that have it. Errors: those of label_formats_read() and label_import_parse(); ST_BAD_INPUT
 * (another hash than the spec says). */
MUST_CHECK status_t labels_kept_take(struct sweep_spec *spec, const char *data_directory,
                                     struct error *err);

/* Are the labels of `spec` those that `accepted`, of the sweep `id`, brought? Files that cannot be
 * read are no other ones. Errors: ST_CONFLICT, by the user's path. */
MUST_CHECK status_t labels_kept_compare(const struct sweep_spec *spec,
                                        const struct sweep_spec *accepted, const char *id,
                                        struct error *err);

/* The labels of an accepted sweep; the caller owns *out. Any thread. Errors: ST_CORRUPT (what was
 * kept has another hash), ST_NOT_FOUND, those of label_import_parse(). */
MUST_CHECK status_t labels_kept_load(struct label_import **out, const struct sweep_spec *spec,
                                     const char *data_directory, struct error *err);

/* As circuit_kept_names() and circuit_kept_clean(). */
bool labels_kept_names(const struct sweep_spec *spec, const char *hash);
MUST_CHECK status_t labels_kept_clean(const char *data_directory, kept_file_is_named_fn *names,
                                      const void *context, size_t *n_removed, struct error *err);

#endif
