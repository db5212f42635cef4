/* The files that a circuit sweep brings, its circuit and its prompts, kept in DATA/circuits and
 * DATA/prompts from the moment it is accepted (kept_file.h). The spec names what was accepted
 * (`circuit_sha256`, `task.prompts_sha256`), so a changed file changes no sweep, and a spec can be
 * submitted again without the files it once came from. Loop thread only. */
#ifndef COORDINATOR_SWEEP_CIRCUIT_KEPT_H
#define COORDINATOR_SWEEP_CIRCUIT_KEPT_H

#include "coordinator/circuit/circuit.h"
#include "coordinator/intake/sweep_spec.h"
#include "coordinator/sweep/kept_file.h"

/* Keep the files of a new sweep and set the hashes of its spec; nothing of a sweep that brings
 * none. Where the spec has a hash already, the kept file of that hash does, or a file that has it.
 * Errors name the user's file: ST_NOT_FOUND, ST_BAD_INPUT (no circuit; another hash than the spec
 * says), ST_TOO_LARGE, ST_IO, ST_NO_MEMORY. */
MUST_CHECK status_t circuit_kept_take(struct sweep_spec *spec, const char *data_directory,
                                      struct error *err);

/* Is each file of `spec` the one that `accepted`, of the sweep `id`, brought? A file that cannot be
 * read is no other one. Errors: ST_CONFLICT, by the user's file. */
MUST_CHECK status_t circuit_kept_compare(const struct sweep_spec *spec,
                                         const struct sweep_spec *accepted, const char *id,
                                         struct error *err);

/* What was kept, parsed; the caller owns *out. Errors name the user's file: ST_CORRUPT (the kept
 * file has another hash), ST_NOT_FOUND, those of circuit_file_parse(). */
MUST_CHECK status_t circuit_kept_read(const struct sweep_spec *spec, const char *data_directory,
                                      struct circuit *out, struct error *err);

/* The prompts of a sweep that brings some, as the user wrote them; *text is the caller's. Errors
 * as above. */
MUST_CHECK status_t circuit_kept_prompts(const struct sweep_spec *spec, const char *data_directory,
                                         char **text, size_t *n_bytes, struct error *err);

/* Remove what no sweep brings any more; *n_removed counts. names() says whether a spec that is
 * known has that file: circuit_kept_names() for each of them. Errors: ST_IO. */
MUST_CHECK status_t circuit_kept_clean(const char *data_directory, kept_file_is_named_fn *names,
                                       const void *context, size_t *n_removed, struct error *err);
bool circuit_kept_names(const struct sweep_spec *spec, const char *hash);

#endif
