/* The agent of a circuit sweep: one call, proposals, an order for the search. Private to
 * coordinator/sweep/circuit_*.c. */
#ifndef COORDINATOR_SWEEP_CIRCUIT_AGENT_H
#define COORDINATOR_SWEEP_CIRCUIT_AGENT_H

#include "coordinator/circuit/proposal_prompt.h"
#include "coordinator/circuit/proposal_reply.h"
#include "coordinator/circuit/proposal_score.h"
#include "coordinator/gateway/call.h"
#include "coordinator/sweep/sweep.h"

struct circuit_run;

struct circuit_agent {
    struct prompt_template *template_;
    struct call call;
    bool is_asked;
    int64_t next_read_ms;
    struct proposal_shown shown;       /* of what there was to show */
    char served_by[CALL_NAME_MAX + 1]; /* provider that answered, a fallback perhaps; "": nobody */
    char served_model[128];            /* as it names itself */
    struct proposals proposals;
    struct proposal_order order;     /* .order NULL: nobody was asked */
    char problem[SWEEP_REASON_SIZE]; /* why there are no proposals; "": there are */
};

/* circuit_agent_phase.c. At the start of a sweep: are provider, prompt and labels there? Errors:
 * ST_NOT_FOUND, ST_BAD_INPUT, those of prompt_template_load() and circuit_labels_open(). */
status_t circuit_agent_start(struct circuit_run *run, struct error *err);
/* Model and dictionaries are known: are the labels about them? Errors: those of
 * circuit_labels_check_same(). */
status_t circuit_agent_described(const struct circuit_run *run, struct error *err);
/* Is the reason gone for which the phase had the sweep paused? */
status_t circuit_agent_recheck(struct circuit_run *run, bool *may_go_on, struct error *err);
void circuit_agent_fini(struct circuit_run *run); /* after the search, which borrows the order */

/* circuit_agent_results.c: {"provider", "model" (those that were asked), "served_by",
 *  "served_model" (those that answered: a fallback's where one did; null where nobody did),
 *  "prompt_sha256", "call", "labels" (the sweep whose labels were shown, or null),
 *  "shown": {"candidates", "heads", "labels": each {"n", "n_shown"} (proposal_prompt.h)},
 *  "problem" (or null), "is_repaired", "n_proposed" (components, each once), "n_named"
 *  (candidates among them), "n_unknown", "n_unreadable", "n_repeated", "n_beyond",
 *  "score": {"n_found", "n_right", "precision", "recall", "precision_first", "auroc"}
 *  (proposal_score.h; null where undefined),
 *  "proposals": [{"component", "role" (or null), "is_candidate", "in_circuit"}]}.
 * Errors: ST_NO_MEMORY. */
status_t circuit_agent_json(const struct circuit_run *run, json_t **out, struct error *err);
/* The same in a few lines for a terminal. */
status_t circuit_agent_text(const struct circuit_run *run, struct buffer *out, struct error *err);

#endif
