/* What a circuit sweep leaves in DATA/sweeps/ID, and how it is read back:
 *
 *   prompts.jsonl   the prompts as token ids (coordinator/circuit/prompt_set.h)
 *   circuit.json    what was found (circuit.h)
 *   circuit.dot     the same for Graphviz
 *   verdict.json    whether to believe it (verdict_json.h)
 *   verdict.txt     for a terminal
 *   measures.json   every number that the verdict was computed from (measures_json.h)
 *   agent.json      where one was asked: what it proposed and how good that was (circuit_agent.h);
 *   agent.txt       for a terminal. Not in verdict.txt: the rules of a verdict know no agent
 *   results.jsonl   a record for each candidate, in their order:
 *     {"component", "type", "hook_point", "value" (of a search), "in_circuit", "class" (or null),
 *      "reason": "single"|"conditional"|"dropped"|"none"|"brought" (by the user),
 *      "is_measured", "effect": {"mean", "standard_error" (or null), "p"} (null: only in a group),
 *      "given": {"context": [names], "mean", "standard_error", "p"} or null,
 *      "head_scores": {pattern: share of attention} of a head, where they were asked for, or null,
 *      "attribution": the drop that attribution estimates, where it ordered the search, or null}
 *   edges.jsonl     where edges were searched, one for each candidate edge:
 *     {"edge", "in_circuit", "effect": {...}, "given": {...} or null, "attribution"}: alone in the
 *     whole model, and given the rest of the classes of its ends
 *   head_scores.json  where asked for: what every head attends to (head_report.h)
 *   summary.json    {"outcome", "is_brought", "reasons", "n_candidates", "n_nodes", "n_edges",
 *                    "n_variants", "n_rounds", "is_truncated", "pairs", "not_looked_at",
 *                    "prompts": {part: n}, "stability" (or null), "order" (null: as listed)}
 *   "is_truncated": max_variants ended the search; "pairs": how many pairs of components were
 *     tested, of how many, or null; "not_looked_at": sentences, of these where there is anything to
 *     say (search_limits.h)
 *   "order": {"by": "attribution", "method", "steps" (of eap_ig), "components", "edges" (or null)},
 *     each as order_quality.h: how good the order was; the verdict knows nothing of it
 *   measured-*.bin  what workers answered (circuit_measure.h)
 *
 * No time, worker, retry or cost is in any of them: equal sweeps leave equal bytes. Loop thread
 * only. */
#ifndef COORDINATOR_SWEEP_CIRCUIT_RESULTS_H
#define COORDINATOR_SWEEP_CIRCUIT_RESULTS_H

#include "coordinator/sweep/sweep.h"

/* The engine's own keys of `status` once the sweep is over: "circuit": the summary, or null. */
MUST_CHECK status_t circuit_results_describe(const struct sweep *sweep, json_t *out,
                                             struct error *err);

/* Everything about the circuit of a finished sweep, a key for each file: {"circuit", "verdict",
 * "summary", "text" (verdict.txt), "dot", "head_scores", "agent", "agent_text"}. Null: circuit,
 * verdict, text and dot where nothing was found, head_scores where they were not asked for, agent
 * and agent_text where nobody was. Errors: ST_CONFLICT (not a circuit sweep, or not finished),
 * ST_NO_MEMORY. */
MUST_CHECK status_t circuit_results_read(const struct sweep *sweep, json_t **out,
                                         struct error *err);

#endif
