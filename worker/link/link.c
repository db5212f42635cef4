#include "worker/link/link.h"

#include "common/clock.h"
#include "common/hand_over.h"
#include "common/log.h"
#include "common/socket_monitor.h"
#include "common/transport.h"
#include "common/version.h"
#include "worker/link/job.h"
#include "worker/link/run_thread.h"
#include "worker/tasks/model_cache.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    THREADS_MAX = 64,
    JOBS_MAX = 256,
    LEASE_MAX_UNITS = 1 << 16,
    SPECS_MAX = 16,
    DEFAULT_BEAT_MS = 500,
    HELLO_EVERY_MS = 1000,
    COMPLAIN_EVERY_MS = 10000, /* of handshakes that fail */
    DIAL_EVERY_MS = 20         /* until there is a connection to say it on */
};
static const char reports_address[] = "inproc://reports";

struct spec {
    char task[TASK_ID_SIZE];
    char *json;
};

struct link {
    const struct link_params *params;
    void *zmq_context, *dealer, *monitor, *reports;
    void *job_sockets[THREADS_MAX];
    struct run_thread *threads[THREADS_MAX];
    struct job *running[THREADS_MAX]; /* at the thread; NULL = free */
    struct job *waiting[JOBS_MAX];    /* oldest first */
    size_t n_waiting;
    struct spec specs[SPECS_MAX];
    size_t next_spec;
    _Atomic uint64_t ticks;
    atomic_bool stop;
    bool is_started; /* run threads exist: after the first WELCOME */
    bool is_welcome, is_draining, is_leaving;
    int64_t beat_ms, next_beat_ms, next_hello_ms, next_complaint_ms;
    struct error refusal;
    struct transport_message incoming;
};

static int64_t now_ms(void)
{
    return clock_monotonic_ms(clock_system());
}

/* False if nobody is connected (ST_BUSY: ZMQ_IMMEDIATE) or the queue is full. Then it is lost,
 * and nothing with it: results are in the store, and the next HELLO tells what is still held. */
static bool say(struct link *link, const struct wire_message *message)
{
    struct error err = {0};
    const status_t status = transport_send(link->dealer, NULL, message, NULL, 0, &err);
    if (status != ST_OK && status != ST_BUSY)
        log_event(LOG_WARN, "send_failed", LOG_TEXT("error", err.text));
    return status == ST_OK;
}

static uint64_t resident_bytes(void)
{
    unsigned long total = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file) return 0;
    /* NOLINTNEXTLINE(cert-err34-c): the kernel's own numbers */
    if (fscanf(file, "%lu %lu", &total, &resident) != 2) resident = 0;
    (void)fclose(file);
    return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static bool is_held(const struct job *job)
{
    return job && !atomic_load(&job->is_revoked) && job->n_reported < job->high - job->low;
}

/* After HELLO: a coordinator that does not know this lease (any more) takes it over. */
static void say_held(struct link *link, const struct job *job)
{
    const struct wire_message held = {.type = WIRE_HELD,
                                      .lease = job->lease,
                                      .task = wire_text_of(job->task),
                                      .low = job->low,
                                      .high = job->high,
                                      .n_open = job->high - job->low - job->n_reported};
    (void)say(link, &held);
}

static void say_hello(struct link *link)
{
    char host[WORKER_NAME_SIZE];
    if (gethostname(host, sizeof host) != 0) (void)snprintf(host, sizeof host, "unknown");
    host[sizeof host - 1] = '\0';
    const struct job *held[THREADS_MAX + JOBS_MAX];
    size_t n_held = 0;
    for (size_t i = 0; i < link->params->n_threads; i++)
        if (is_held(link->running[i])) held[n_held++] = link->running[i];
    for (size_t i = 0; i < link->n_waiting; i++)
        if (is_held(link->waiting[i])) held[n_held++] = link->waiting[i];
    const struct wire_message hello = {
        .type = WIRE_HELLO,
        .name = wire_text_of(link->params->name),
        .pid = (uint64_t)getpid(),
        .host = wire_text_of(host),
        .backend = wire_text_of(link->params->backend),
        .isa = wire_text_of(link->params->isa),
        .n_threads = link->params->n_threads,
        .memory_bytes = resident_bytes(),
        .code_version = wire_text_of(version_text()),
        .n_held = n_held,
    };
    const bool is_said = say(link, &hello);
    for (size_t i = 0; is_said && i < n_held; i++) say_held(link, held[i]);
    link->next_hello_ms = now_ms() + (is_said ? HELLO_EVERY_MS : DIAL_EVERY_MS);
}

static void beat(struct link *link)
{
    struct wire_message message = {.type = WIRE_HEARTBEAT,
                                   .ticks = atomic_load(&link->ticks),
                                   .memory_bytes = resident_bytes()};
    for (size_t i = 0; i < link->params->n_threads; i++)
        if (link->running[i]) {
            message.lease = link->running[i]->lease;
            message.unit = atomic_load(&link->running[i]->running_unit);
            break;
        }
    (void)say(link, &message);
    link->next_beat_ms = now_ms() + link->beat_ms;
}

/* --- jobs ---------------------------------------------------------------------------------- */

/* To as many threads as the models have room for. */
static void assign(struct link *link)
{
    const size_t n_seats = model_cache_n_seats(link->params->models);
    const size_t n = n_seats < link->params->n_threads ? n_seats : link->params->n_threads;
    for (size_t i = 0; i < n && link->n_waiting; i++) {
        if (link->running[i]) continue;
        struct job *job = link->waiting[0];
        memmove(&link->waiting[0], &link->waiting[1], --link->n_waiting * sizeof link->waiting[0]);
        link->running[i] = job;
        atomic_store(&job->running_unit, job->low);
        hand_over(job);
        (void)zmq_send(link->job_sockets[i], &job, sizeof job, 0);
        beat(link); /* so that a death in the first moments is blamed on the right unit */
    }
}

static const char *find_spec(const struct link *link, const char *task)
{
    for (size_t i = 0; i < SPECS_MAX; i++)
        if (link->specs[i].json && strcmp(link->specs[i].task, task) == 0)
            return link->specs[i].json;
    return NULL;
}

static void handle_spec(struct link *link, struct transport_message *in)
{
    struct spec *spec = &link->specs[link->next_spec];
    char task[TASK_ID_SIZE];
    if (!wire_text_copy(in->wire.task, task, sizeof task)) return;
    char *json = strndup(zmq_msg_data(&in->bulk), zmq_msg_size(&in->bulk));
    if (!json) return;
    free(spec->json);
    *spec = (struct spec){.json = json};
    memcpy(spec->task, task, sizeof task);
    link->next_spec = (link->next_spec + 1) % SPECS_MAX;
}

/* Every unit of the lease fails. More units than a lease can have are a stranger's numbers. */
static void fail_lease(struct link *link, const struct wire_message *lease, const char *why)
{
    log_event(LOG_ERROR, "lease_refused", LOG_NUMBER("lease", lease->lease),
              LOG_TEXT("error", why));
    for (uint64_t unit = lease->low; unit < lease->high && unit - lease->low < LEASE_MAX_UNITS;
         unit++) {
        const struct wire_message failed = {.type = WIRE_FAILED,
                                            .lease = lease->lease,
                                            .task = lease->task,
                                            .unit = unit,
                                            .status = ST_INTERNAL,
                                            .text = wire_text_of(why)};
        (void)say(link, &failed);
    }
}

static status_t job_from(struct link *link, struct transport_message *in, struct job **out,
                         struct error *err)
{
    struct job *job = calloc(1, sizeof *job);
    if (!job) return error_set(err, ST_NO_MEMORY, "lease");
    (void)zmq_msg_init(&job->bulk);
    job->lease = in->wire.lease;
    job->epoch = in->wire.epoch;
    job->low = in->wire.low;
    job->high = in->wire.high;
    (void)zmq_msg_move(&job->bulk, &in->bulk);
    status_t status = wire_text_copy(in->wire.task, job->task, sizeof job->task)
                          ? ST_OK
                          : error_set(err, ST_PROTOCOL, "task id too long");
    if (status == ST_OK)
        status =
            wire_parts_decode(zmq_msg_data(&job->bulk), zmq_msg_size(&job->bulk), &job->parts, err);
    const char *spec = find_spec(link, job->task);
    if (status == ST_OK && !spec) status = error_set(err, ST_PROTOCOL, "lease without a SPEC");
    if (status == ST_OK && (job->low >= job->high || job->high - job->low > LEASE_MAX_UNITS))
        status = error_set(err, ST_PROTOCOL, "lease of units %llu to %llu",
                           (unsigned long long)job->low, (unsigned long long)job->high);
    if (status == ST_OK && !(job->spec_json = strdup(spec)))
        status = error_set(err, ST_NO_MEMORY, "lease");
    if (status != ST_OK) {
        job_destroy(job);
        return status;
    }
    *out = job;
    return ST_OK;
}

static void handle_lease(struct link *link, struct transport_message *in)
{
    struct error err = {0};
    struct job *job = NULL;
    if (link->n_waiting == JOBS_MAX) {
        fail_lease(link, &in->wire, "this worker's queue is full");
    } else if (job_from(link, in, &job, &err) != ST_OK) {
        fail_lease(link, &in->wire, err.text);
    } else {
        link->waiting[link->n_waiting++] = job;
        assign(link);
    }
}

static void handle_revoke(struct link *link, uint64_t lease)
{
    for (size_t i = 0; i < link->params->n_threads; i++)
        if (link->running[i] && link->running[i]->lease == lease)
            atomic_store(&link->running[i]->is_revoked, true);
    for (size_t i = 0; i < link->n_waiting; i++) {
        if (link->waiting[i]->lease != lease) continue;
        job_destroy(link->waiting[i]);
        memmove(&link->waiting[i], &link->waiting[i + 1],
                (--link->n_waiting - i) * sizeof link->waiting[0]);
        return;
    }
}

static void drop_waiting(struct link *link)
{
    for (size_t i = 0; i < link->n_waiting; i++) job_destroy(link->waiting[i]);
    link->n_waiting = 0;
}

/* --- reports ------------------------------------------------------------------------------- */

static void carry(struct link *link, const struct report *report)
{
    const struct wire_message settled = {.type = WIRE_SETTLED,
                                         .lease = report->job->lease,
                                         .task = wire_text_of(report->job->task),
                                         .ranges = report->ranges,
                                         .n_stored = report->n_stored,
                                         .n_duplicate = report->n_duplicate,
                                         .seconds = report->seconds};
    const struct wire_message failed = {.type = WIRE_FAILED,
                                        .lease = report->job->lease,
                                        .task = wire_text_of(report->job->task),
                                        .unit = report->unit,
                                        .status = (uint64_t)report->error.status,
                                        .text = wire_text_of(report->error.text)};
    switch (report->kind) {
    case REPORT_SETTLED:
        for (size_t i = 0; i < report->ranges.n; i++)
            report->job->n_reported += report->ranges.high[i] - report->ranges.low[i];
        (void)say(link, &settled);
        break;
    case REPORT_FAILED:
        report->job->n_reported++;
        (void)say(link, &failed);
        break;
    case REPORT_LEAVE:
        atomic_store(&link->stop, true);
        (void)error_set(&link->refusal, report->error.status, "%s", report->error.text);
        break;
    case REPORT_DONE:
        link->running[report->thread_index] = NULL;
        job_destroy(report->job);
        assign(link);
        if (!link->running[report->thread_index]) beat(link);
        break;
    }
}

static void carry_reports(struct link *link)
{
    struct report *report;
    while (zmq_recv(link->reports, &report, sizeof report, ZMQ_DONTWAIT) == (int)sizeof report) {
        take_over(report);
        carry(link, report);
        free(report);
    }
}

/* --- the coordinator's messages ------------------------------------------------------------ */

static status_t start_threads(struct link *link, const char *store_url, struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = 0; i < link->params->n_threads && status == ST_OK; i++) {
        char address[64];
        (void)snprintf(address, sizeof address, "inproc://jobs-%zu", i);
        link->job_sockets[i] = zmq_socket(link->zmq_context, ZMQ_PAIR);
        if (!link->job_sockets[i] || zmq_bind(link->job_sockets[i], address) != 0)
            return error_set(err, ST_INTERNAL, "job socket: %s", zmq_strerror(errno));
        const struct run_thread_params params = {
            .zmq_context = link->zmq_context,
            .jobs_address = address,
            .reports_address = reports_address,
            .store_url = store_url,
            .thread_index = i,
            .environment = {link->params->models, &link->ticks},
            .may_leave_device = link->params->may_leave_device,
            .stop = &link->stop,
        };
        status = run_thread_start(&link->threads[i], &params, err);
    }
    return status;
}

static status_t handle_welcome(struct link *link, const struct wire_message *in, struct error *err)
{
    static char store_url[1024]; /* outlives the threads; set once */
    link->is_welcome = true;
    if (in->heartbeat_ms > 0 && in->heartbeat_ms < 60000) link->beat_ms = (int64_t)in->heartbeat_ms;
    log_event(LOG_INFO, "welcome", LOG_NUMBER("epoch", in->epoch));
    if (link->is_started) return ST_OK;
    if (!wire_text_copy(in->store, store_url, sizeof store_url))
        return error_set(err, ST_PROTOCOL, "WELCOME: store URL too long");
    link->is_started = true;
    return start_threads(link, store_url, err);
}

static void handle_refused(struct link *link, const struct wire_message *in)
{
    if (in->status == ST_NOT_FOUND) { /* a restarted coordinator: introduce ourselves again */
        if (link->is_welcome) say_hello(link);
        link->is_welcome = false;
        return;
    }
    log_event(LOG_ERROR, "refused", LOG_NUMBER("status", in->status));
    (void)error_set(&link->refusal, ST_PROTOCOL, "the coordinator refused this worker: %.*s",
                    (int)in->text.n_bytes, in->text.bytes);
}

static status_t handle(struct link *link, struct transport_message *in, struct error *err)
{
    switch (in->wire.type) {
    case WIRE_WELCOME: return handle_welcome(link, &in->wire, err);
    case WIRE_REFUSED: handle_refused(link, &in->wire); return ST_OK;
    case WIRE_SPEC: handle_spec(link, in); return ST_OK;
    case WIRE_LEASE: handle_lease(link, in); return ST_OK;
    case WIRE_REVOKE: handle_revoke(link, in->wire.lease); return ST_OK;
    case WIRE_DRAIN: link->is_draining = true; return ST_OK;
    case WIRE_HELLO:
    case WIRE_HELD:
    case WIRE_HEARTBEAT:
    case WIRE_SETTLED:
    case WIRE_FAILED:
    case WIRE_BYE:
    case WIRE_REQUEST:
    case WIRE_ANSWER:
    case WIRE_N_TYPES: break;
    }
    log_event(LOG_WARN, "unexpected_message", LOG_TEXT("type", wire_type_name(in->wire.type)));
    return ST_OK;
}

static status_t receive_all(struct link *link, struct error *err)
{
    for (;;) {
        struct error problem = {0};
        const status_t received = transport_receive(link->dealer, false, &link->incoming, &problem);
        if (received == ST_BUSY) return ST_OK;
        if (received != ST_OK) {
            log_event(LOG_WARN, "message_refused", LOG_TEXT("error", problem.text));
            if (wire_is_other_version(zmq_msg_data(&link->incoming.header),
                                      zmq_msg_size(&link->incoming.header)))
                return error_set(err, received, "%s", problem.text);
            continue; /* garbage, from whoever sits at that address: changes nothing */
        }
        const status_t status = handle(link, &link->incoming, err);
        if (status != ST_OK) return status;
    }
}

/* --- life ---------------------------------------------------------------------------------- */

/* Pings find a coordinator that hangs, so that the connection is made anew: a standby may answer
 * at the same address by then. */
static status_t set_options(void *dealer, struct error *err)
{
    static const int options[][2] = {
        {ZMQ_LINGER, 500},  {ZMQ_RECONNECT_IVL, 50},   {ZMQ_RECONNECT_IVL_MAX, 1000},
        {ZMQ_IMMEDIATE, 1}, {ZMQ_HEARTBEAT_IVL, 1000}, {ZMQ_HEARTBEAT_TIMEOUT, 3000},
    };
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        if (zmq_setsockopt(dealer, options[i][0], &options[i][1], sizeof options[i][1]) != 0)
            return error_set(err, ST_INTERNAL, "socket options: %s", zmq_strerror(errno));
    return transport_limit_messages(dealer, err);
}

static status_t open_sockets(struct link *link, struct error *err)
{
    link->zmq_context = zmq_ctx_new();
    link->dealer = zmq_socket(link->zmq_context, ZMQ_DEALER);
    link->reports = zmq_socket(link->zmq_context, ZMQ_PULL);
    if (!link->dealer || !link->reports || zmq_bind(link->reports, reports_address) != 0)
        return error_set(err, ST_INTERNAL, "sockets: %s", zmq_strerror(errno));
    status_t status = set_options(link->dealer, err);
    if (status == ST_OK && link->params->curve)
        status = curve_connects_as(link->dealer, link->params->curve, err);
    if (status == ST_OK)
        status = socket_monitor_open(&link->monitor, link->zmq_context, link->dealer,
                                     "inproc://link-monitor", SOCKET_HANDSHAKE_FAILED, err);
    if (status != ST_OK) return status;
    if (zmq_connect(link->dealer, link->params->endpoint) != 0)
        return error_set(err, ST_BAD_INPUT, "endpoint %s: %s", link->params->endpoint,
                         zmq_strerror(errno));
    return ST_OK;
}

static void close_all(struct link *link)
{
    atomic_store(&link->stop, true);
    struct job *none = NULL;
    for (size_t i = 0; i < link->params->n_threads; i++) {
        if (link->threads[i]) (void)zmq_send(link->job_sockets[i], &none, sizeof none, 0);
        run_thread_join(&link->threads[i]);
        if (link->job_sockets[i]) (void)zmq_close(link->job_sockets[i]);
    }
    drop_waiting(link); /* before reports are carried: a free thread would be given the next */
    if (link->reports) carry_reports(link);
    for (size_t i = 0; i < SPECS_MAX; i++) free(link->specs[i].json);
    transport_message_fini(&link->incoming);
    if (link->reports) (void)zmq_close(link->reports);
    if (link->monitor) (void)zmq_close(link->monitor);
    if (link->dealer) (void)zmq_close(link->dealer);
    if (link->zmq_context) (void)zmq_ctx_term(link->zmq_context);
}

static bool is_idle(const struct link *link)
{
    for (size_t i = 0; i < link->params->n_threads; i++)
        if (link->running[i]) return false;
    return link->n_waiting == 0;
}

/* SIGTERM: the unit that runs is finished and settled, the rest goes back. */
static bool should_leave(struct link *link)
{
    if (*link->params->stop_signal && !link->is_leaving) {
        link->is_leaving = true;
        atomic_store(&link->stop, true);
        drop_waiting(link);
    }
    if (link->refusal.status != ST_OK) return true;
    return (link->is_leaving || link->is_draining) && is_idle(link);
}

/* A key that is not allowed is final; a coordinator with another key, or that ended in the middle
 * of the handshake, may be gone tomorrow. */
static status_t watch_handshakes(struct link *link, struct error *err)
{
    struct socket_event event;
    while (socket_monitor_next(link->monitor, &event)) {
        struct error problem = {0};
        const status_t status =
            socket_monitor_explain(&event, link->params->endpoint, link->params->curve, &problem);
        if (socket_monitor_is_final(&event)) return error_set(err, status, "%s", problem.text);
        if (now_ms() < link->next_complaint_ms) continue;
        log_event(LOG_WARN, "handshake_failed", LOG_TEXT("error", problem.text));
        link->next_complaint_ms = now_ms() + COMPLAIN_EVERY_MS;
    }
    return ST_OK;
}

static status_t step(struct link *link, struct error *err)
{
    const int64_t now = now_ms();
    const int64_t due = link->is_welcome ? link->next_beat_ms : link->next_hello_ms;
    const int64_t wait_ms = due > now ? due - now : 0;
    zmq_pollitem_t items[] = {{.socket = link->dealer, .events = ZMQ_POLLIN},
                              {.socket = link->reports, .events = ZMQ_POLLIN},
                              {.socket = link->monitor, .events = ZMQ_POLLIN}};
    (void)zmq_poll(items, 3, (long)(wait_ms < link->beat_ms ? wait_ms : link->beat_ms));
    status_t status = watch_handshakes(link, err);
    if (status == ST_OK) status = receive_all(link, err);
    carry_reports(link);
    assign(link); /* a model that was opened may have made room for another thread */
    if (link->is_welcome && now_ms() >= link->next_beat_ms) beat(link);
    if (!link->is_welcome && now_ms() >= link->next_hello_ms) say_hello(link);
    return status;
}

status_t link_run(const struct link_params *params, struct error *err)
{
    struct link link = {.params = params, .beat_ms = DEFAULT_BEAT_MS};
    transport_message_init(&link.incoming);
    if (params->n_threads < 1 || params->n_threads > THREADS_MAX)
        return error_set(err, ST_BAD_INPUT, "%zu threads: 1 to %d", params->n_threads, THREADS_MAX);
    status_t status = open_sockets(&link, err);
    if (status == ST_OK) say_hello(&link);
    while (status == ST_OK && !should_leave(&link)) status = step(&link, err);
    if (status == ST_OK && link.refusal.status != ST_OK)
        status = error_set(err, link.refusal.status, "%s", link.refusal.text);
    const struct wire_message bye = {.type = WIRE_BYE, .text = wire_text_of("stopping")};
    if (link.dealer && link.is_welcome) (void)say(&link, &bye);
    close_all(&link);
    return status;
}
