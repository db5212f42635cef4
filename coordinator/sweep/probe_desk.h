/* The user's own probes and generations, now: a few texts on one feature (`interpctl probe`), a
 * prompt with features steered (`interpctl steer`).
 *
 *   ask(request) --new--> PENDING --workers--> DONE --ask() again--> told, forgotten
 *
 * A request is named by its content: asking the same again finds it. What was told, or was not
 * asked after for PROBE_DESK_ABANDON_MS, is forgotten. Each has a pool of its own, with a name in
 * `interp:user_probes` until its keys are gone, so that a coordinator that dies leaves nothing
 * behind: the next one removes it, and the user's command, which asks again, starts anew. Before
 * all sweeps. Loop thread only. */
#ifndef COORDINATOR_SWEEP_PROBE_DESK_H
#define COORDINATOR_SWEEP_PROBE_DESK_H

#include "common/clock.h"
#include "common/generate.h"
#include "common/probe.h"
#include "coordinator/dispatch/dispatcher.h"

#include <stddef.h>
#include <stdint.h>

enum { PROBE_DESK_MAX_REQUESTS = 16, PROBE_DESK_ABANDON_MS = 15000 };

struct probe_desk;

/* All borrowed. Errors: ST_NO_MEMORY. */
MUST_CHECK status_t probe_desk_create(struct probe_desk **out, struct dispatcher *dispatcher,
                                      struct store *store, const struct clock *clock,
                                      struct error *err);
void probe_desk_destroy(struct probe_desk **desk); /* NULL-safe */

struct probe_desk_request {
    const char *spec_json;         /* of a probe task with one target */
    uint32_t slot, n_slots;        /* of that target */
    const struct wire_text *texts; /* [n_texts] */
    size_t n_texts;                /* 1..PROBE_MAX_PER_UNIT */
    struct worker_pin pin;         /* the kind of worker that may answer */
};

/* *answers [n_texts] are borrowed until the next step; NULL: not there yet, ask again. Errors:
 * ST_BAD_INPUT (no text, too many, too long), ST_BUSY (too many requests), ST_INTERNAL (the
 * workers gave up: their error), ST_NO_MEMORY. */
MUST_CHECK status_t probe_desk_ask(struct probe_desk *desk,
                                   const struct probe_desk_request *request,
                                   const struct probe_answer **answers, struct error *err);

struct probe_desk_generation {
    const char *spec_json; /* of a generate task */
    const struct generate_job *job;
    struct worker_pin pin;
};

/* The same for a generation. An error within the answer is what the user can mend. */
MUST_CHECK status_t probe_desk_generate(struct probe_desk *desk,
                                        const struct probe_desk_generation *request,
                                        const struct generate_answer **answer, struct error *err);

/* Go on with what is pending. ST_UNREACHABLE: the store is away; call again. */
MUST_CHECK status_t probe_desk_step(struct probe_desk *desk, struct error *err);

#endif
