#include "coordinator/dispatch/doorkeeper.h"

#include "common/curve.h"
#include "common/log.h"
#include "coordinator/dispatch/allow_list.h"
#include "coordinator/dispatch/log_budget.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

static const char zap_address[] = "inproc://zeromq.zap.01"; /* RFC 27 */
static const char stop_address[] = "inproc://doorkeeper-stop";

enum frame { VERSION, REQUEST_ID, DOMAIN, ADDRESS, ROUTING_ID, MECHANISM, KEY, N_FRAMES };
enum { USER_SIZE = KEY_NAME_SIZE + 16, ADDRESS_SIZE = 64 };

struct doorkeeper {
    void *requests, *stop; /* REP, PAIR: the thread's */
    void *stop_sender;     /* the owner's */
    struct allow_list *allowed;
    const struct clock *clock;
    struct log_budget refusals, problems;
    pthread_t thread;
    bool is_running;
};

struct zap_request {
    zmq_msg_t frames[N_FRAMES];
    bool is_whole; /* all frames, and no more */
};

static bool is_text(zmq_msg_t *frame, const char *text)
{
    return zmq_msg_size(frame) == strlen(text) &&
           memcmp(zmq_msg_data(frame), text, strlen(text)) == 0;
}

/* False if there was none. */
static bool receive(void *socket, struct zap_request *out)
{
    int more = 1;
    size_t n = 0, size = sizeof more;
    zmq_msg_t extra;
    for (size_t i = 0; i < N_FRAMES; i++) (void)zmq_msg_init(&out->frames[i]);
    (void)zmq_msg_init(&extra);
    while (more) {
        zmq_msg_t *frame = n < N_FRAMES ? &out->frames[n] : &extra;
        if (zmq_msg_recv(frame, socket, n ? 0 : ZMQ_DONTWAIT) < 0) break;
        n++;
        if (zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &size) != 0) break;
    }
    (void)zmq_msg_close(&extra);
    out->is_whole = n == N_FRAMES;
    return n > 0;
}

static void forget(struct zap_request *request)
{
    for (size_t i = 0; i < N_FRAMES; i++) (void)zmq_msg_close(&request->frames[i]);
}

static void answer(struct doorkeeper *self, struct zap_request *request, const char *code,
                   const char *text, const char *user)
{
    zmq_msg_t *id = &request->frames[REQUEST_ID];
    const struct {
        const void *bytes;
        size_t n;
    } frames[] = {{"1.0", 3},           {zmq_msg_data(id), zmq_msg_size(id)},
                  {code, strlen(code)}, {text, strlen(text)},
                  {user, strlen(user)}, {"", 0}};
    const size_t n = sizeof frames / sizeof frames[0];
    for (size_t i = 0; i < n; i++)
        (void)zmq_send(self->requests, frames[i].bytes, frames[i].n, i + 1 < n ? ZMQ_SNDMORE : 0);
}

static void log_refusal(struct doorkeeper *self, struct zap_request *request)
{
    char key[KEY_TEXT_SIZE] = "", address[ADDRESS_SIZE];
    uint64_t n_dropped;
    if (!log_budget_take(&self->refusals, clock_monotonic_ms(self->clock), &n_dropped)) return;
    (void)snprintf(address, sizeof address, "%.*s", (int)zmq_msg_size(&request->frames[ADDRESS]),
                   (const char *)zmq_msg_data(&request->frames[ADDRESS]));
    (void)zmq_z85_encode(key, zmq_msg_data(&request->frames[KEY]), PUBLIC_KEY_BYTES);
    log_event(LOG_WARN, "key_refused", LOG_TEXT("public_key", key), LOG_TEXT("address", address),
              LOG_NUMBER("refused_unlogged", n_dropped));
}

static void log_problem(struct doorkeeper *self, const struct error *problem)
{
    uint64_t n_dropped;
    if (log_budget_take(&self->problems, clock_monotonic_ms(self->clock), &n_dropped))
        log_event(LOG_ERROR, "allow_list", LOG_TEXT("error", problem->text));
}

static void decide(struct doorkeeper *self, struct zap_request *request)
{
    char user[USER_SIZE];
    struct error problem = {0};
    if (!request->is_whole || !is_text(&request->frames[VERSION], "1.0") ||
        !is_text(&request->frames[DOMAIN], CURVE_ZAP_DOMAIN) ||
        !is_text(&request->frames[MECHANISM], "CURVE") ||
        zmq_msg_size(&request->frames[KEY]) != PUBLIC_KEY_BYTES) {
        answer(self, request, "400", "not CURVE", "");
        return;
    }
    const struct key *key =
        allow_list_find(self->allowed, zmq_msg_data(&request->frames[KEY]), &problem);
    if (problem.status != ST_OK) log_problem(self, &problem);
    if (!key) {
        answer(self, request, "400", "unknown key", "");
        log_refusal(self, request);
        return;
    }
    (void)snprintf(user, sizeof user, "%s:%s", key_role_name(key->role), key->name);
    answer(self, request, "200", "OK", user);
    log_event(LOG_INFO, "key_accepted", LOG_TEXT("key", key->name),
              LOG_TEXT("role", key_role_name(key->role)));
}

static void *run(void *argument)
{
    struct doorkeeper *self = argument;
    zmq_pollitem_t items[] = {{.socket = self->requests, .events = ZMQ_POLLIN},
                              {.socket = self->stop, .events = ZMQ_POLLIN}};
    while (!(items[1].revents & ZMQ_POLLIN)) {
        struct zap_request request;
        if (zmq_poll(items, 2, -1) < 0 && errno != EINTR) break;
        if (!(items[0].revents & ZMQ_POLLIN)) continue;
        if (receive(self->requests, &request)) decide(self, &request);
        forget(&request);
    }
    return NULL;
}

static status_t open_sockets(struct doorkeeper *self, void *zmq_context, struct error *err)
{
    const int linger = 0;
    void **const sockets[] = {&self->requests, &self->stop, &self->stop_sender};
    static const int types[] = {ZMQ_REP, ZMQ_PAIR, ZMQ_PAIR};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        *sockets[i] = zmq_socket(zmq_context, types[i]);
        if (!*sockets[i] || zmq_setsockopt(*sockets[i], ZMQ_LINGER, &linger, sizeof linger) != 0)
            return error_set(err, ST_INTERNAL, "doorkeeper: %s", zmq_strerror(errno));
    }
    if (zmq_bind(self->requests, zap_address) != 0 || zmq_bind(self->stop, stop_address) != 0 ||
        zmq_connect(self->stop_sender, stop_address) != 0)
        return error_set(err, ST_INTERNAL, "doorkeeper: %s", zmq_strerror(errno));
    return ST_OK;
}

status_t doorkeeper_start(struct doorkeeper **out, const struct doorkeeper_options *options,
                          struct error *err)
{
    struct doorkeeper *self = calloc(1, sizeof *self);
    if (!self) return error_set(err, ST_NO_MEMORY, "doorkeeper");
    self->clock = options->clock;
    status_t status = allow_list_open(&self->allowed, options->allow_directory, err);
    if (status == ST_OK) status = open_sockets(self, options->zmq_context, err);
    if (status == ST_OK) {
        log_event(LOG_INFO, "allow_list", LOG_TEXT("directory", options->allow_directory),
                  LOG_NUMBER("keys", allow_list_count(self->allowed)));
        self->is_running = pthread_create(&self->thread, NULL, run, self) == 0;
        if (!self->is_running) status = error_set(err, ST_INTERNAL, "doorkeeper: no thread");
    }
    if (status == ST_OK)
        *out = self;
    else
        doorkeeper_stop(&self);
    return status;
}

void doorkeeper_stop(struct doorkeeper **doorkeeper)
{
    struct doorkeeper *self = *doorkeeper;
    if (!self) return;
    if (self->is_running) {
        (void)zmq_send(self->stop_sender, "", 0, 0);
        (void)pthread_join(self->thread, NULL);
    }
    if (self->requests) (void)zmq_close(self->requests);
    if (self->stop) (void)zmq_close(self->stop);
    if (self->stop_sender) (void)zmq_close(self->stop_sender);
    allow_list_close(&self->allowed);
    free(self);
    *doorkeeper = NULL;
}
