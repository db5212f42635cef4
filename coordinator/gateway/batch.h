/* A batch of calls on its way through a batch API, and its record in the journal.
 *
 *   COLLECTING --full, or its first call waited long enough--> UPLOADING --file id--> CREATING
 *                                                                                       | batch id
 *   over <-- all calls settled <-- FETCHING <-- ended ------------ RUNNING <------------+
 *                                                                     ^                 | no answer
 *                                                                     `--- found ---- LOOKING
 *
 * What a crash leaves is decided by the last record: before CREATING nothing was asked for and the
 * calls are given back; from RUNNING on the batch is known and followed; between, it is looked for
 * by its tag in the provider's list, and its calls are uncertain if it is not there. So a batch is
 * never created twice. A record is the whole batch: a newer one replaces it, and it moves to the
 * newest segment now and then, so that a day's batch does not hold a day's journal.
 *
 * Belongs to the gateway's loop thread. */
#ifndef COORDINATOR_GATEWAY_BATCH_H
#define COORDINATOR_GATEWAY_BATCH_H

#include "common/buffer.h"
#include "coordinator/gateway/batch_file.h"
#include "coordinator/gateway/journal.h"
#include "coordinator/gateway/limiter.h"

enum batch_stage {
    BATCH_COLLECTING,
    BATCH_UPLOADING,
    BATCH_CREATING,
    BATCH_LOOKING, /* journaled as CREATING */
    BATCH_RUNNING,
    BATCH_FETCHING, /* journaled as RUNNING */
};

struct batch_member {
    struct grant grant; /* its body only until the file is uploaded */
    bool is_settled;
};

struct gateway_provider;
struct flight;

struct batch {
    struct gateway_provider *provider;
    enum batch_stage stage;
    char tag[BATCH_TAG_SIZE];
    char file_id[BATCH_NAME_SIZE];
    char batch_id[BATCH_NAME_SIZE];
    struct batch_report report;   /* once it has ended */
    struct batch_member *members; /* [n_members], by attempt */
    size_t n_members, capacity;
    size_t n_open; /* not settled */
    size_t n_file_bytes;
    struct buffer request; /* what is being sent */
    struct flight *flight; /* its request in flight, NULL if none */
    uint64_t segment;      /* of its last record, 0: none */
    int64_t opened_unix_ms;
    int64_t next_ms;                  /* monotonic: its next step is due */
    char look_after[BATCH_NAME_SIZE]; /* LOOKING: the page behind this batch, "": the first */
    unsigned n_looks;                 /* the whole list was seen so often */
    unsigned n_troubles;              /* requests in a row that failed */
    bool has_output, has_errors;      /* these result files were read */
    bool is_cancelled;
    struct batch *next;
};

/* An empty one. NULL without memory. */
struct batch *batch_create(struct gateway_provider *provider, const char *tag,
                           int64_t opened_unix_ms);
void batch_destroy(struct batch **batch); /* NULL-safe; not its flight */

/* Takes the grant. Attempts must come in ascending order. Errors: ST_NO_MEMORY (not taken). */
MUST_CHECK status_t batch_add(struct batch *batch, struct grant *grant, struct error *err);
/* NULL if it is not one of them. */
struct batch_member *batch_find(const struct batch *batch, const char *id, uint64_t attempt);

/* Append the batch with its open calls to the journal; its former record is released. Errors: as
 * journal_append(). */
MUST_CHECK status_t batch_append_record(struct batch *batch, const char *provider,
                                        struct journal *journal, struct error *err);

/* Read a record. `out->provider` stays NULL, its name goes to `provider`. False if it is of
 * another version or damaged. The caller owns *out. */
bool batch_read_record(const struct journal_record *record, char provider[CALL_NAME_MAX + 1],
                       struct batch **out);

#endif
