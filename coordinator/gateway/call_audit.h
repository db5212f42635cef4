/* One stored call as the books know it, for people who audit a session: who answered, what was
 * counted and charged, and the reply. Read-only; the thread that owns the store. */
#ifndef COORDINATOR_GATEWAY_CALL_AUDIT_H
#define COORDINATOR_GATEWAY_CALL_AUDIT_H

#include "common/error.h"
#include "common/store.h"

#include <jansson.h>

/* Queue the read of a call into the store's pipeline. */
MUST_CHECK status_t call_audit_queue(struct store *store, const char *id, struct error *err);

/* Turn its answer into JSON (new reference): `state` (pending, done, failed; forgotten: the store
 * has nothing of it), `served_by`, `model`, `tokens_in`, `tokens_out`, `dollars`, `attempts` (times
 * it was sent), `is_estimated`, `latency_ms`, `finish_reason`, `reason`, `paid_by` (the sweep whose
 * books have it: another one's reply cost nothing), `reply` (text); null where not known. Errors:
 * ST_CORRUPT, ST_NO_MEMORY. */
MUST_CHECK status_t call_audit_parse(const redisReply *reply, json_t **out, struct error *err);

#endif
