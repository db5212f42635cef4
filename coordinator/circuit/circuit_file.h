/* Circuits that a user brings: our own JSON, other tools' JSON, or a plain list.
 *
 * Ours (circuit.h), told by a text under "format": strict; `"format":"interp-circuit"` and
 * `"version":1` are there, an unknown key is refused by name.
 *
 * Others, read for what they say about membership, the rest is ignored:
 *   ["9.9", "a10.h0", [9, 6], "a0.h1->a5.h5<k>"]     names, [layer, head] pairs and edges
 *   {"nodes": [...], "edges": [...]}                  lists of names, pairs, {"name", "role"},
 *       {"hook": "blocks.9.attn.hook_z", "index": 9}, ["SENDER", "RECEIVER"],
 *       {"sender" or "from", "receiver" or "to", "input"}; a node or edge with `in_circuit` or
 *       `in_graph` false is left out (the truth of a known model, worker/known)
 *   {"nodes": {"a9.h9": true, "m0": {"in_graph": false}}, "edges": {...}}      EAP-IG's graphs
 *   {"roles": {"name mover": [[9, 9], ...]}}          nodes by role
 *
 * Plain list: a name or an edge on each line, # comments; a line `[role]` names the role of the
 * nodes below it, `[]` none.
 *
 * Untrusted bytes; pure; any thread. */
#ifndef COORDINATOR_CIRCUIT_CIRCUIT_FILE_H
#define COORDINATOR_CIRCUIT_CIRCUIT_FILE_H

#include "coordinator/circuit/circuit.h"

/* Parse, and finish. `source` names the text in errors ("FILE: nodes[3]: ...", "FILE line 4:
 * ..."). On ST_OK the caller owns *out (circuit_fini), otherwise it is untouched. Whether the
 * circuit fits a model is circuit_check()'s. Errors: ST_BAD_INPUT, ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t circuit_file_parse(struct circuit *out, const char *source, const char *text,
                                       size_t n_bytes, struct error *err);

#endif
