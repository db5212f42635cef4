/* The last phase of a label sweep: sessions, null model, records.
 *
 *   slots in order -> cases (background, a block at a time) -> sessions -> slot results
 *   then: foreign pairs (the null) the same way -> z, p, supported -> records.jsonl
 *
 * A window of sessions is open at once; a session that needs no LLM ends inside its background
 * job. Results are kept as finished JSON, so memory is bounded by the records, and the file is
 * written in order of target and feature: equal sweeps give equal bytes. */
#ifndef COORDINATOR_SWEEP_LABEL_SCORING_H
#define COORDINATOR_SWEEP_LABEL_SCORING_H

#include "coordinator/sweep/label_engine.h"
#include "coordinator/sweep/sweep.h"

#include <jansson.h>

struct label_run;
struct label_scoring;

/* Are the providers and prompts there that this phase will need? Asked before any work. */
MUST_CHECK status_t label_scoring_preflight(struct label_run *run, struct error *err);

void label_scoring_destroy(struct label_scoring **scoring); /* NULL-safe */

/* What the sweep shows of this phase; scoring may be NULL (not begun). */
double label_scoring_fraction(const struct label_scoring *scoring);
void label_scoring_counts(const struct label_scoring *scoring, struct sweep_progress *out);
MUST_CHECK status_t label_scoring_describe(const struct label_scoring *scoring, json_t *out,
                                           struct error *err);
/* Is what the sweep was paused for over? `scoring` may be NULL. */
MUST_CHECK status_t label_scoring_recheck(struct label_scoring *scoring, bool *may_go_on,
                                          struct error *err);
void label_scoring_calls(const struct label_scoring *scoring, struct label_calls *sum);
/* Probes that are dead get another life. `scoring` may be NULL. */
void label_scoring_retry(struct label_scoring *scoring);

/* The same of a sweep that is over, from its summary file. */
void label_scoring_finished_counts(const struct sweep *sweep, struct sweep_progress *out);
MUST_CHECK status_t label_scoring_describe_finished(const struct sweep *sweep, json_t *out,
                                                    struct error *err);

/* Records: of the running phase those that are there, of a finished sweep the file's. */
size_t label_scoring_n_records(const struct sweep *sweep);
status_t label_scoring_record(const struct sweep *sweep, size_t index, struct buffer *out,
                              struct error *err);
/* The calls of a record's session, as call_archive.h has them. */
status_t label_scoring_trail(const struct sweep *sweep, size_t index, struct buffer *out,
                             struct error *err);
status_t label_scoring_find(const struct sweep *sweep, size_t target, uint64_t feature,
                            size_t *index, struct error *err);

#endif
