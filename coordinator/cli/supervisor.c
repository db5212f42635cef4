#define _GNU_SOURCE /* syscall, signalfd */
#include "coordinator/cli/supervisor.h"

#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/store.h"
#include "coordinator/cli/cluster_down.h"
#include "coordinator/cli/cluster_stop.h"
#include "coordinator/cli/process_file.h"
#include "coordinator/cli/process_log.h"
#include "coordinator/cli/process_start.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    FIRST_DELAY_MS = 100,
    LAST_DELAY_MS = 10000,
    SETTLED_MS = 30000, /* a life this long forgets earlier failures */
    REDIS_LOOK_MS = 50,
    IDLE_MS = 60000,
    REDIS_TIMEOUT_MS = 500,
    ADDRESS_MAX_BYTES = 256,
    MAX_UNUSABLE = 10 /* short lives of a worker that ran before: 33 s by supervisor_delay_ms() */
};

struct member {
    struct cluster_process process;
    enum supervisor_state state;
    struct process_identity identity;
    bool is_child; /* ours to reap; else adopted */
    int pidfd;     /* -1: not running */
    unsigned n_failures, n_restarts;
    int last_exit; /* exit code, or 128 + signal; -1: unknown */
    int64_t started_ms, due_ms;
};

struct supervisor {
    struct cluster_options options;
    const struct cluster_paths *paths;
    struct member *members; /* [n] */
    size_t n;
    int lock_fd, signal_fd;
    bool is_redis_up;
    bool must_stop;
};

int64_t supervisor_delay_ms(unsigned n_failures)
{
    int64_t delay_ms = FIRST_DELAY_MS;
    for (unsigned i = 1; i < n_failures && delay_ms < LAST_DELAY_MS; i++) delay_ms *= 2;
    return delay_ms < LAST_DELAY_MS ? delay_ms : LAST_DELAY_MS;
}

enum supervisor_state supervisor_state_after(enum cluster_stage stage, int exit_code,
                                             unsigned n_restarts, unsigned n_failures)
{
    const bool is_worker = stage == CLUSTER_WORKER;
    const bool is_given_up = n_restarts == 0 || n_failures >= MAX_UNUSABLE;
    if (exit_code == status_exit_code(ST_BAD_INPUT)) return SUPERVISOR_REFUSED;
    if (is_worker && exit_code == status_exit_code(ST_OK)) return SUPERVISOR_LEFT;
    if (is_worker && exit_code == status_exit_code(ST_NOT_FOUND) && is_given_up)
        return SUPERVISOR_UNUSABLE;
    return SUPERVISOR_WAITING;
}

const char *supervisor_state_name(enum supervisor_state state)
{
    static const char *const names[] = {[SUPERVISOR_WAITING] = "waiting",
                                        [SUPERVISOR_RUNNING] = "running",
                                        [SUPERVISOR_REFUSED] = "refused",
                                        [SUPERVISOR_LEFT] = "left",
                                        [SUPERVISOR_UNUSABLE] = "unusable"};
    return (size_t)state < sizeof names / sizeof names[0] ? names[state] : "?";
}

static int64_t now_ms(void)
{
    return clock_monotonic_ms(clock_system());
}

/* --- files --------------------------------------------------------------------------------- */

static int open_lock(const struct cluster_paths *paths, int flags)
{
    char path[CLUSTER_PATH_SIZE];
    return open(cluster_path(paths, "run/lock", path), O_RDWR | O_CLOEXEC | flags, 0600);
}

bool supervisor_is_running(const struct cluster_paths *paths)
{
    const int fd = open_lock(paths, 0);
    if (fd < 0) return false;
    const bool is_held = flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    (void)close(fd);
    return is_held;
}

static status_t take_lock(struct supervisor *self, struct error *err)
{
    self->lock_fd = open_lock(self->paths, O_CREAT);
    if (self->lock_fd < 0)
        return error_set(err, ST_IO, "%s/run/lock: %s", self->paths->state, strerror(errno));
    if (flock(self->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return error_set(err, ST_CONFLICT, "a cluster is already running in %s",
                         self->paths->state);
    return ST_OK;
}

static const char *pid_path(const struct supervisor *self, const char *name,
                            char out[CLUSTER_PATH_SIZE])
{
    char relative[64];
    (void)snprintf(relative, sizeof relative, "run/%s.pid", name);
    return cluster_path(self->paths, relative, out);
}

static void write_status(const struct supervisor *self)
{
    char path[CLUSTER_PATH_SIZE];
    struct error err = {0};
    json_t *members = json_array();
    for (size_t i = 0; i < self->n; i++) {
        const struct member *member = &self->members[i];
        (void)json_array_append_new(
            members,
            json_pack("{s:s, s:s, s:i, s:i, s:i}", "name", member->process.name, "state",
                      supervisor_state_name(member->state), "pid",
                      member->state == SUPERVISOR_RUNNING ? (int)member->identity.pid : 0,
                      "n_restarts", (int)member->n_restarts, "last_exit", member->last_exit));
    }
    json_t *document = json_pack("{s:i, s:o}", "pid", (int)getpid(), "processes", members);
    char *text = document ? json_dumps(document, JSON_INDENT(1)) : NULL;
    if (!text || file_write_atomic(cluster_path(self->paths, "run/status.json", path), text,
                                   strlen(text), &err) != ST_OK)
        log_event(LOG_WARN, "status_not_written", LOG_TEXT("error", err.text));
    free(text);
    json_decref(document);
}

/* The page keeps its port when the coordinator is started again. */
static unsigned page_port(const struct supervisor *self, const struct member *member)
{
    char path[CLUSTER_PATH_SIZE], *text = NULL;
    unsigned long port = self->options.port;
    if (port == 0 && member->n_restarts && member->n_failures < 2 &&
        file_read(cluster_path(self->paths, "data/http-address", path), ADDRESS_MAX_BYTES, &text,
                  NULL, NULL) == ST_OK) {
        const char *colon = strrchr(text, ':');
        port = colon ? strtoul(colon + 1, NULL, 10) : 0;
    }
    free(text);
    return port <= 65535 ? (unsigned)port : 0;
}

/* --- processes ----------------------------------------------------------------------------- */

static void watch(struct supervisor *self, struct member *member)
{
    char path[CLUSTER_PATH_SIZE];
    struct error err = {0};
    member->pidfd = (int)syscall(SYS_pidfd_open, member->identity.pid, 0);
    member->state = SUPERVISOR_RUNNING;
    member->started_ms = now_ms();
    if (process_file_write(pid_path(self, member->process.name, path), &member->identity, &err) !=
        ST_OK)
        log_event(LOG_ERROR, "pid_file", LOG_TEXT("error", err.text));
}

static void schedule(struct member *member)
{
    member->state = SUPERVISOR_WAITING;
    member->n_failures++;
    member->due_ms = now_ms() + supervisor_delay_ms(member->n_failures);
}

static void start_member(struct supervisor *self, struct member *member)
{
    struct cluster_command command;
    struct cluster_options options = self->options;
    struct error err = {0};
    char log_path[CLUSTER_PATH_SIZE], relative[64];
    pid_t pid = 0;
    (void)snprintf(relative, sizeof relative, "logs/%s.log", member->process.name);
    const struct process_start start = {.argv = command.argv,
                                        .log_path = cluster_path(self->paths, relative, log_path)};
    options.port = page_port(self, member);
    status_t status =
        cluster_command_build(&command, &member->process, &options, self->paths, &err);
    if (status == ST_OK) status = process_start(&start, &pid, &err);
    if (status != ST_OK || process_identity_of(pid, &member->identity, &err) != ST_OK) {
        log_event(LOG_ERROR, "start_failed", LOG_TEXT("process", member->process.name),
                  LOG_TEXT("error", err.text));
        if (pid > 0) (void)waitpid(pid, NULL, 0); /* it ended before it could be looked at */
        schedule(member);
        return;
    }
    member->is_child = true;
    watch(self, member);
    log_event(LOG_INFO, "started", LOG_TEXT("process", member->process.name),
              LOG_NUMBER("pid", pid));
}

/* A process that an earlier supervisor started and left is kept, not started twice. */
static void adopt(struct supervisor *self, struct member *member)
{
    char path[CLUSTER_PATH_SIZE];
    struct process_identity identity;
    if (process_file_read(pid_path(self, member->process.name, path), &identity, NULL) != ST_OK ||
        !process_is_alive(&identity))
        return;
    member->identity = identity;
    member->is_child = false;
    watch(self, member);
    log_event(LOG_INFO, "adopted", LOG_TEXT("process", member->process.name),
              LOG_NUMBER("pid", identity.pid));
}

static int reap(const struct member *member)
{
    int info;
    if (!member->is_child || waitpid(member->identity.pid, &info, 0) != member->identity.pid)
        return -1;
    return WIFSIGNALED(info) ? 128 + WTERMSIG(info) : WEXITSTATUS(info);
}

static void log_exit(const struct supervisor *self, const struct member *member)
{
    char why[ERROR_TEXT_MAX];
    log_event(member->state == SUPERVISOR_LEFT ? LOG_INFO : LOG_WARN, "exited",
              LOG_TEXT("process", member->process.name), LOG_NUMBER("exit", member->last_exit),
              LOG_TEXT("now", supervisor_state_name(member->state)));
    if (member->state != SUPERVISOR_UNUSABLE) return;
    process_log_reason(self->paths, member->process.name, why, sizeof why);
    log_event(LOG_ERROR, "stays_down", LOG_TEXT("process", member->process.name),
              LOG_TEXT("error", why), LOG_TEXT("cure", cluster_down_cure));
}

static void handle_exit(const struct supervisor *self, struct member *member)
{
    (void)close(member->pidfd);
    member->pidfd = -1;
    member->last_exit = reap(member);
    if (now_ms() - member->started_ms > SETTLED_MS) member->n_failures = 0;
    member->state = supervisor_state_after(member->process.stage, member->last_exit,
                                           member->n_restarts, member->n_failures);
    if (member->state == SUPERVISOR_WAITING) {
        schedule(member);
        member->n_restarts++;
    }
    log_exit(self, member);
}

/* --- loop ---------------------------------------------------------------------------------- */

static void look_at_redis(struct supervisor *self)
{
    struct store *store = NULL;
    redisReply *reply = NULL;
    const bool is_running = self->members[0].state == SUPERVISOR_RUNNING;
    if (self->is_redis_up || !is_running) {
        self->is_redis_up = is_running;
        return;
    }
    if (store_open(&store, self->paths->redis_url, REDIS_TIMEOUT_MS, NULL) == ST_OK &&
        store_run(store, &reply, NULL, "PING") == ST_OK) {
        self->is_redis_up = true; /* while it loads its log, PING is an error */
        log_event(LOG_INFO, "redis_ready", LOG_NUMBER("pid", self->members[0].identity.pid));
    }
    if (reply) freeReplyObject(reply);
    store_close(&store);
}

static bool may_start(const struct supervisor *self, const struct member *member)
{
    return member->state == SUPERVISOR_WAITING && now_ms() >= member->due_ms &&
           (member->process.stage == CLUSTER_REDIS || self->is_redis_up);
}

static bool start_due(struct supervisor *self)
{
    bool has_changed = false;
    for (size_t i = 0; i < self->n; i++) {
        if (!may_start(self, &self->members[i])) continue;
        start_member(self, &self->members[i]);
        has_changed = true;
    }
    return has_changed;
}

static int64_t time_to_next(const struct supervisor *self)
{
    int64_t wait_ms = IDLE_MS;
    for (size_t i = 0; i < self->n; i++) {
        const struct member *member = &self->members[i];
        if (member->state != SUPERVISOR_WAITING) continue;
        int64_t due_ms = member->due_ms - now_ms();
        const bool needs_redis = member->process.stage != CLUSTER_REDIS && !self->is_redis_up;
        if (needs_redis && due_ms < REDIS_LOOK_MS) due_ms = REDIS_LOOK_MS;
        if (due_ms < 0) due_ms = 0;
        if (due_ms < wait_ms) wait_ms = due_ms;
    }
    return wait_ms;
}

static bool wait_events(struct supervisor *self)
{
    struct pollfd fds[CLUSTER_MAX_PROCESSES + 1];
    bool has_changed = false;
    fds[0] = (struct pollfd){.fd = self->signal_fd, .events = POLLIN};
    for (size_t i = 0; i < self->n; i++)
        fds[i + 1] = (struct pollfd){.fd = self->members[i].pidfd, .events = POLLIN};
    if (poll(fds, (nfds_t)self->n + 1, (int)time_to_next(self)) < 0) return false;
    if (fds[0].revents) self->must_stop = true;
    for (size_t i = 0; i < self->n; i++) {
        if (!fds[i + 1].revents) continue;
        handle_exit(self, &self->members[i]);
        has_changed = true;
    }
    return has_changed;
}

static status_t open_supervisor(struct supervisor *self, struct error *err)
{
    struct cluster_process *processes = calloc(CLUSTER_MAX_PROCESSES, sizeof *processes);
    self->members = calloc(CLUSTER_MAX_PROCESSES, sizeof *self->members);
    if (!processes || !self->members) {
        free(processes);
        return error_set(err, ST_NO_MEMORY, "supervisor");
    }
    self->n = cluster_processes(&self->options, processes);
    for (size_t i = 0; i < self->n; i++)
        self->members[i] = (struct member){.process = processes[i], .pidfd = -1, .last_exit = -1};
    free(processes);
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    self->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (self->signal_fd < 0) return error_set(err, ST_IO, "signalfd: %s", strerror(errno));
    return ST_OK;
}

static status_t claim(struct supervisor *self, struct error *err)
{
    char path[CLUSTER_PATH_SIZE];
    struct process_identity me;
    status_t status = take_lock(self, err);
    if (status == ST_OK) status = process_identity_of(getpid(), &me, err);
    if (status == ST_OK) status = process_file_write(pid_path(self, "supervisor", path), &me, err);
    if (status == ST_OK) status = cluster_write_redis_conf(&self->options, self->paths, err);
    if (status == ST_OK) status = open_supervisor(self, err);
    for (size_t i = 0; status == ST_OK && i < self->n; i++) adopt(self, &self->members[i]);
    if (status == ST_OK && self->members[1].state != SUPERVISOR_RUNNING)
        (void)unlink(cluster_path(self->paths, "data/http-address", path)); /* an old address */
    return status;
}

static void stop_all(struct supervisor *self)
{
    struct error err = {0};
    size_t n_stopped = 0;
    char path[CLUSTER_PATH_SIZE];
    log_event(LOG_INFO, "stopping", LOG_NUMBER("processes", self->n));
    if (cluster_stop(self->paths, NULL, &n_stopped, &err) != ST_OK)
        log_event(LOG_ERROR, "stop", LOG_TEXT("error", err.text));
    (void)unlink(cluster_path(self->paths, "run/status.json", path));
    (void)unlink(cluster_path(self->paths, "data/http-address", path));
    (void)unlink(pid_path(self, "supervisor", path));
    log_event(LOG_INFO, "stopped", LOG_NUMBER("processes", n_stopped));
}

status_t supervisor_run(const struct cluster_options *options, const struct cluster_paths *paths,
                        struct error *err)
{
    struct supervisor self = {.options = *options, .paths = paths, .lock_fd = -1, .signal_fd = -1};
    status_t status = claim(&self, err);
    if (status == ST_OK) write_status(&self);
    while (status == ST_OK && !self.must_stop) {
        look_at_redis(&self);
        if (start_due(&self)) write_status(&self);
        if (wait_events(&self)) write_status(&self);
    }
    if (status == ST_OK) stop_all(&self);
    for (size_t i = 0; self.members && i < self.n; i++)
        if (self.members[i].pidfd >= 0) (void)close(self.members[i].pidfd);
    free(self.members);
    if (self.signal_fd >= 0) (void)close(self.signal_fd);
    if (self.lock_fd >= 0) (void)close(self.lock_fd);
    return status;
}
