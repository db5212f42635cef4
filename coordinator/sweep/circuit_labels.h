/* Labels of another sweep as evidence for the agent of a circuit sweep (search.agent.labels): of
 * heads, and of features of the dictionaries that the circuit is searched through. A feature is a
 * number in one dictionary of one model, so both must be the same; labels of a control are about
 * other windows than their feature's, and are none.
 *
 *   circuit_labels_check()       when the sweep is submitted, against the spec of the label sweep
 *   circuit_labels_open()        when it starts
 *   circuit_labels_check_same()  when a worker has said what model and dictionaries are: not
 *                                trained again under the same paths (DATA/sweeps/ID/summary.json)
 *   circuit_labels_read()        once the candidates are known, from DATA/sweeps/ID/results.jsonl
 *
 * Labels are what a language model wrote: data (prompt_data.h). Loop thread only. */
#ifndef COORDINATOR_SWEEP_CIRCUIT_LABELS_H
#define COORDINATOR_SWEEP_CIRCUIT_LABELS_H

#include "coordinator/circuit/proposal_prompt.h"
#include "coordinator/report/results_file.h"
#include "coordinator/sweep/sweep.h"

/* May the labels of `from` be shown? Errors, all with the key's name: ST_BAD_INPUT (no label sweep,
 * a control, another model or dictionary, nothing that could be a candidate), ST_CONFLICT (not
 * finished). */
MUST_CHECK status_t circuit_labels_check(const struct sweep_spec *spec, const struct sweep *from,
                                         struct error *err);

struct circuit_labels_source {
    const struct sweep_spec *spec; /* of the circuit sweep; names labels */
    const char *data_directory;
    const struct component *candidates; /* [n_candidates], ascending */
    size_t n_candidates;
};

/* The records; the caller closes *out. Errors: ST_NOT_FOUND and all others of results_file_open(),
 * with its text. */
MUST_CHECK status_t circuit_labels_open(const struct circuit_labels_source *source,
                                        struct results_file **out, struct error *err);

/* What model and dictionaries are now, by content (worker/model/fingerprint.h). */
struct circuit_labels_subjects {
    const char *model;
    const char (*dictionaries)[HASH_HEX_SIZE]; /* [n_dictionaries of the spec] */
};
/* Are they what was labelled? Errors, all with the key's name: ST_CONFLICT (they are not, or it is
 * not known), ST_NOT_FOUND and all others of file_read(), ST_CORRUPT. */
MUST_CHECK status_t circuit_labels_check_same(const struct circuit_labels_source *source,
                                              const struct circuit_labels_subjects *now,
                                              struct error *err);

struct circuit_labels {
    struct proposal_label *items; /* [n], owned; texts too */
    size_t n;
};
/* Of every candidate that has one, named without its position: a label knows none. In the order
 * of the records. On ST_OK the caller owns *out (fini). Errors: those above, ST_NO_MEMORY. */
MUST_CHECK status_t circuit_labels_read(struct circuit_labels *out,
                                        const struct circuit_labels_source *source,
                                        struct error *err);
void circuit_labels_fini(struct circuit_labels *labels); /* fine twice */

#endif
