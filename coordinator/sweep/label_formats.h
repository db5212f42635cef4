/* Labels as other tools keep them, turned into the lines that label_import.h reads.
 *
 *   jsonl        a file of our own lines; taken as it is
 *   neuronpedia  explanations of an export: batch-N.jsonl or .jsonl.gz, one file or a directory of
 *                them; of several explanations of a feature the newest counts (`createdAt`, then
 *                `id`), for labels that people wrote over older ones
 *   delphi       a directory of MODULE_latentN.txt (or .json), each a JSON text
 *   auto         a directory by the names in it; a file by its first line
 *
 * Features are numbered as there. With one target all labels must be about one module or layer;
 * with several, delphi's module must be a target's hook point, Neuronpedia's layer ("6-res-jb") the
 * one target in that layer. Reads files; any thread. */
#ifndef COORDINATOR_SWEEP_LABEL_FORMATS_H
#define COORDINATOR_SWEEP_LABEL_FORMATS_H

#include "common/buffer.h"
#include "coordinator/intake/sweep_spec.h"

/* Append the lines of spec->labels. Errors name the file: ST_BAD_INPUT, ST_NOT_FOUND, ST_IO,
 * ST_TOO_LARGE, ST_CORRUPT (damaged gzip), ST_NO_MEMORY. */
MUST_CHECK status_t label_formats_read(const struct sweep_spec *spec, struct buffer *out,
                                       struct error *err);

#endif
