/* What the files of the dispatcher share. Private to coordinator/dispatch/. */
#ifndef COORDINATOR_DISPATCH_DISPATCHER_STATE_H
#define COORDINATOR_DISPATCH_DISPATCHER_STATE_H

#include "coordinator/dispatch/dead_units.h"
#include "coordinator/dispatch/dispatcher.h"
#include "coordinator/dispatch/log_budget.h"

/* A unit whose result is in the store and waits to be read. */
struct pending_read {
    struct task *task;
    size_t unit;
};

struct dispatcher {
    struct dispatcher_options options;
    void *router;
    void *monitor;
    struct worker_table *workers;
    struct lease_table *leases;
    struct task_queue *queue;
    struct transport_message incoming;
    struct pending_read *reads; /* [n_reads] of reads_capacity, oldest first from reads_head */
    size_t reads_head, n_reads, reads_capacity;
    int64_t last_expire_ms;
    struct log_budget failed_handshakes;
    struct dispatcher_counts counts;
    struct dead_units dead; /* changes to be written */
    struct store_script keep, close;
    uint64_t n_connections; /* to the store, when the tasks were last known to be open there */
};

/* dispatcher.c */
int64_t dispatcher_now_ms(const struct dispatcher *dispatcher);
/* False if the message cannot be delivered (and was dropped). */
bool dispatcher_send(struct dispatcher *dispatcher, struct worker *worker,
                     const struct wire_message *message, const void *bulk, size_t n_bulk);
/* After a new connection to the store: tell it again which tasks are open. */
status_t dispatcher_reopen_tasks(struct dispatcher *dispatcher, struct error *err);

/* messages.c: everything that arrives on the router */
status_t dispatcher_receive_all(struct dispatcher *dispatcher, struct error *err);

/* hello.c: workers introduce themselves, and the leases that they still have */
status_t dispatcher_hello(struct dispatcher *dispatcher, struct transport_message *in,
                          struct worker **sender, struct error *err);
status_t dispatcher_held(struct dispatcher *dispatcher, struct worker *worker,
                         const struct wire_message *in, struct error *err);
/* The task is on the queue: what workers brought along of it becomes leases. */
void dispatcher_adopt_held(struct dispatcher *dispatcher, struct task *task);

/* grant.c: everything that workers may be given now */
status_t dispatcher_grant_all(struct dispatcher *dispatcher, struct error *err);

/* pin.c: before a worker gets anything of a pinned task, its kind is written down as the sweep's */
status_t dispatcher_pin_task(struct dispatcher *dispatcher, struct task *task,
                             const struct worker *worker, struct error *err);

/* loss.c */
void dispatcher_read_monitor(struct dispatcher *dispatcher);
status_t dispatcher_expire(struct dispatcher *dispatcher, struct error *err);
void dispatcher_lose_worker(struct dispatcher *dispatcher, struct worker *worker, const char *why,
                            bool is_blamed);
/* The unit becomes ready, unless it is settled or another lease than `mine` holds it. */
void dispatcher_return_unit(struct dispatcher *dispatcher, const struct lease *mine, size_t unit);
/* The lease ends; its units are returned. */
void dispatcher_return_lease(struct dispatcher *dispatcher, struct lease *lease);
/* Leases that an idle worker should have and does not know of are returned. */
void dispatcher_reclaim_from_idle(struct dispatcher *dispatcher, struct worker *worker);
/* The lease is over, whatever became of its units. */
void dispatcher_close_lease(struct dispatcher *dispatcher, struct lease *lease);

/* reading.c */
status_t dispatcher_queue_read(struct dispatcher *dispatcher, struct task *task, size_t unit,
                               struct error *err);
void dispatcher_forget_reads(struct dispatcher *dispatcher, const struct task *task);
/* Is there anything to read now? */
bool dispatcher_has_reads(const struct dispatcher *dispatcher);
status_t dispatcher_read_results(struct dispatcher *dispatcher, struct error *err);

/* results.c */
/* What the lease's worker stored and may not have told: units up to the last one in the store are
 * taken out of the lease (they run in order), which may be empty afterwards. */
status_t dispatcher_take_stored(struct dispatcher *dispatcher, struct lease *lease,
                                struct error *err);
status_t dispatcher_open_and_load(struct dispatcher *dispatcher, struct task *task,
                                  struct error *err);
struct unit_failure {
    size_t low, high; /* units that share the blame */
    const char *worker, *text;
    enum unit_blame blame;
};
/* Units of the range that are done already are left alone. */
void dispatcher_note_failure(struct dispatcher *dispatcher, struct task *task,
                             const struct unit_failure *failure);
/* Names of a task's keys, e.g. "interp:{id}:done". */
enum { TASK_KEY_SIZE = TASK_ID_SIZE + 32 };
char *dispatcher_task_key(const char *task_id, const char *part, char out[TASK_KEY_SIZE]);

#endif
