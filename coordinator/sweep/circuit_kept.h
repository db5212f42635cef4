/* The circuits that users bring, kept in DATA/circuits/SHA256 from the moment a sweep is accepted:
 * what happens to the user's file afterwards changes nothing. The spec names what was accepted
 * (`circuit_sha256`), so equal circuits are one file, and a spec can be submitted again without the
 * file it once came from. Loop thread only. */
#ifndef COORDINATOR_SWEEP_CIRCUIT_KEPT_H
#define COORDINATOR_SWEEP_CIRCUIT_KEPT_H

#include "coordinator/circuit/circuit.h"
#include "coordinator/intake/sweep_spec.h"

/* Keep the circuit of a new sweep and set its spec's circuit_sha256; nothing of a sweep that brings
 * none. Where the spec has one already, the kept file of that hash does, or a file that has it.
 * Errors name the user's file: ST_NOT_FOUND, ST_BAD_INPUT (no circuit; another hash than the spec
 * says), ST_TOO_LARGE, ST_IO, ST_NO_MEMORY. */
MUST_CHECK status_t circuit_kept_take(struct sweep_spec *spec, const char *data_directory,
                                      struct error *err);

/* What was kept, parsed; the caller owns *out. Errors name the user's file: ST_CORRUPT (the kept
 * file has another hash), ST_NOT_FOUND, those of circuit_file_parse(). */
MUST_CHECK status_t circuit_kept_read(const struct sweep_spec *spec, const char *data_directory,
                                      struct circuit *out, struct error *err);

#endif
