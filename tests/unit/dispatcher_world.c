#include "tests/unit/dispatcher_world.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

extern const char embed_common_settle_lua[];

enum { QUIET_ROUNDS = 6, WAIT_MS = 10 };

static int64_t read_ns(void *context)
{
    return ((struct dispatcher_world *)context)->now_ms * 1000000;
}

static int64_t read_unix_ms(void *context)
{
    return 1700000000000 + ((struct dispatcher_world *)context)->now_ms;
}

static status_t answer(void *context, const char *operation, struct wire_text args,
                       struct buffer *out, struct error *err)
{
    (void)context;
    if (strcmp(operation, "echo") != 0)
        return error_set(err, ST_UNSUPPORTED, "unknown operation \"%s\"", operation);
    return buffer_append(out, args.bytes, args.n_bytes, err);
}

/* As a coordinator begins: its own connection, leadership, sockets. */
static void open_dispatcher(struct dispatcher_world *world)
{
    char url[96];
    struct error err = {0};
    const char *const endpoints[] = {world->endpoint};
    (void)snprintf(url, sizeof url, "unix:%s/redis.sock", world->redis.directory);
    cr_assert_eq(store_open(&world->store, url, 2000, &err), ST_OK, "%s", err.text);
    cr_assert_eq(leader_init(&world->leader, world->store, &world->clock, &err), ST_OK, "%s",
                 err.text);
    cr_assert_eq(leader_take(&world->leader, &err), ST_OK, "%s", err.text);
    world->coordinator_context = zmq_ctx_new();
    const struct dispatcher_options options = {.zmq_context = world->coordinator_context,
                                               .endpoints = endpoints,
                                               .n_endpoints = 1,
                                               .store_url = "unix:/somewhere",
                                               .store = world->store,
                                               .clock = &world->clock,
                                               .leader = &world->leader,
                                               .epoch = world->leader.epoch,
                                               .heartbeat_ms = 500,
                                               .lost_after_ms = 2000,
                                               .lease_seconds = 3,
                                               .limits = {3, 2},
                                               .on_request = answer};
    cr_assert_eq(dispatcher_create(&world->dispatcher, &options, &err), ST_OK, "%s", err.text);
}

void dispatcher_world_start(struct dispatcher_world *world)
{
    (void)signal(SIGPIPE, SIG_IGN);
    *world = (struct dispatcher_world){.now_ms = 1000000, .share = {.weight = 1.0}};
    gateway_world_start(&world->redis);
    world->clock = (struct clock){read_ns, read_unix_ms, world};
    world->zmq_context = zmq_ctx_new();
    (void)snprintf(world->endpoint, sizeof world->endpoint, "ipc://%s/c.sock",
                   world->redis.directory);
    open_dispatcher(world);
}

static void close_dispatcher(struct dispatcher_world *world)
{
    dispatcher_destroy(&world->dispatcher);
    (void)zmq_ctx_term(world->coordinator_context);
    leader_release(&world->leader);
    store_close(&world->store);
}

void dispatcher_world_restart(struct dispatcher_world *world)
{
    close_dispatcher(world);
    open_dispatcher(world);
}

struct registry *dispatcher_world_registry(struct dispatcher_world *world,
                                           struct sweep_cache *cache, struct history *history)
{
    struct registry *registry;
    struct error err = {0};
    const struct sweep_context context = {.dispatcher = world->dispatcher,
                                          .store = world->store,
                                          .leader = &world->leader,
                                          .calls = world->redis.client,
                                          .clock = &world->clock,
                                          .data_directory = world->redis.directory,
                                          .history = history,
                                          .cache = cache};
    cr_assert_eq(registry_create(&registry, &context, &err), ST_OK, "%s", err.text);
    return registry;
}

void dispatcher_world_stop(struct dispatcher_world *world)
{
    close_dispatcher(world);
    (void)zmq_ctx_term(world->zmq_context);
    gateway_world_stop(&world->redis);
}

static void step(struct dispatcher_world *world, int timeout_ms)
{
    struct error err = {0};
    cr_assert_eq(dispatcher_step(world->dispatcher, timeout_ms, -1, &err), ST_OK, "%s", err.text);
}

long long dispatcher_world_n_keys(struct dispatcher_world *world)
{
    static const char told[] = "}:closed";
    redisReply *keys = NULL;
    struct error err = {0};
    cr_assert_eq(store_run(world->redis.store, &keys, &err, "KEYS *"), ST_OK, "%s", err.text);
    long long n = 0;
    for (size_t i = 0; i < keys->elements; i++) {
        const char *key = keys->element[i]->str;
        const size_t length = keys->element[i]->len;
        n += length < sizeof told || strcmp(key + length - (sizeof told - 1), told) != 0;
    }
    freeReplyObject(keys);
    return n;
}

void dispatcher_world_settle(struct dispatcher_world *world)
{
    for (int i = 0; i < QUIET_ROUNDS; i++) step(world, WAIT_MS);
}

void dispatcher_world_pass(struct dispatcher_world *world, int64_t ms)
{
    for (int64_t passed = 0; passed < ms; passed += 100) {
        world->now_ms += 100;
        step(world, 0);
    }
}

struct task *dispatcher_world_task(struct dispatcher_world *world, const char *id, size_t n_units,
                                   const struct task_ops *ops, size_t max_units_per_lease)
{
    static const struct task_ops none = {0};
    struct error err = {0};
    const struct task_params params = {.id = id,
                                       .kind = TASK_NOOP,
                                       .n_units = n_units,
                                       .spec_json = "{\"kind\":\"noop\"}",
                                       .ops = ops ? ops : &none,
                                       .owner = world,
                                       .share = &world->share,
                                       .max_units_per_lease = max_units_per_lease};
    struct task *task;
    cr_assert_eq(task_create(&task, &params, &err), ST_OK, "%s", err.text);
    cr_assert_eq(dispatcher_add_task(world->dispatcher, task, &err), ST_OK, "%s", err.text);
    return task;
}

/* --- workers ------------------------------------------------------------------------------- */

void fake_worker_say(struct fake_worker *worker, const struct wire_message *message)
{
    struct error err = {0};
    cr_assert_eq(transport_send(worker->socket, NULL, message, NULL, 0, &err), ST_OK, "%s",
                 err.text);
}

void fake_worker_hello(struct fake_worker *worker, const char *name, const char *isa,
                       uint64_t n_held)
{
    const struct wire_message hello = {.type = WIRE_HELLO,
                                       .name = wire_text_of(name),
                                       .pid = 1,
                                       .host = wire_text_of("here"),
                                       .backend = wire_text_of("cpu"),
                                       .isa = wire_text_of(isa),
                                       .n_threads = 1,
                                       .n_held = n_held,
                                       .code_version = wire_text_of("test")};
    fake_worker_say(worker, &hello);
}

static void dial(struct dispatcher_world *world, struct fake_worker *worker)
{
    const int linger = 0;
    worker->socket = zmq_socket(world->zmq_context, ZMQ_DEALER);
    transport_message_init(&worker->in);
    cr_assert_eq(zmq_setsockopt(worker->socket, ZMQ_LINGER, &linger, sizeof linger), 0);
    cr_assert_eq(zmq_connect(worker->socket, world->endpoint), 0);
}

void fake_worker_start(struct dispatcher_world *world, struct fake_worker *worker, const char *name)
{
    *worker = (struct fake_worker){0};
    dial(world, worker);
    fake_worker_hello(worker, name, "plain", 0);
    cr_assert(fake_worker_await(world, worker, WIRE_WELCOME));
}

void fake_worker_say_held(struct fake_worker *worker, uint64_t n_open)
{
    const struct wire_message held = {.type = WIRE_HELD,
                                      .lease = worker->lease,
                                      .task = wire_text_of(worker->task),
                                      .low = worker->low,
                                      .high = worker->high,
                                      .n_open = n_open};
    fake_worker_say(worker, &held);
}

void fake_worker_reconnect(struct dispatcher_world *world, struct fake_worker *worker,
                           uint64_t n_open)
{
    fake_worker_stop(worker);
    dial(world, worker);
    fake_worker_hello(worker, "w", "plain", 1);
    dispatcher_world_settle(world); /* HELD is late: until then it is given nothing */
    fake_worker_say_held(worker, n_open);
    dispatcher_world_settle(world);
}

void fake_worker_stop(struct fake_worker *worker)
{
    if (!worker->socket) return;
    transport_message_fini(&worker->in);
    (void)zmq_close(worker->socket);
    worker->socket = NULL;
}

bool fake_worker_hear(struct dispatcher_world *world, struct fake_worker *worker)
{
    for (int i = 0; i < 40; i++) {
        struct error err = {0};
        const status_t status = transport_receive(worker->socket, false, &worker->in, &err);
        if (status == ST_BUSY) {
            step(world, i < 3 ? 0 : WAIT_MS);
            continue;
        }
        cr_assert_eq(status, ST_OK, "%s", err.text);
        const struct wire_message *wire = &worker->in.wire;
        if (wire->type != WIRE_LEASE) return true;
        worker->lease = wire->lease;
        worker->low = wire->low;
        worker->high = wire->high;
        worker->epoch = wire->epoch;
        cr_assert(wire_text_copy(wire->task, worker->task, sizeof worker->task));
        return true;
    }
    return false;
}

bool fake_worker_await(struct dispatcher_world *world, struct fake_worker *worker,
                       enum wire_type type)
{
    while (fake_worker_hear(world, worker))
        if (worker->in.wire.type == type) return true;
    return false;
}

status_t fake_worker_store_bytes(struct dispatcher_world *world, const struct fake_worker *worker,
                                 uint64_t unit, const void *bytes, size_t n_bytes)
{
    static struct store_script script = {.name = "settle"};
    struct error err = {0};
    char keys[4][192], lease[24], epoch[24], number[24];
    if (!script.source) {
        script.source = embed_common_settle_lua;
        cr_assert_eq(store_register_script(world->redis.store, &script, &err), ST_OK);
    }
    (void)snprintf(keys[0], sizeof keys[0], "interp:{%s}:done", worker->task);
    (void)snprintf(keys[1], sizeof keys[1], "interp:{%s}:open", worker->task);
    (void)snprintf(keys[2], sizeof keys[2], "interp:{%s}:revoked", worker->task);
    (void)snprintf(keys[3], sizeof keys[3], "interp:{%s}:closed", worker->task);
    (void)snprintf(lease, sizeof lease, "%llu", (unsigned long long)worker->lease);
    (void)snprintf(epoch, sizeof epoch, "%llu", (unsigned long long)worker->epoch);
    (void)snprintf(number, sizeof number, "%llu", (unsigned long long)unit);
    const char *const args[] = {keys[0], keys[1], keys[2], keys[3], lease, epoch, number, bytes};
    const size_t sizes[] = {strlen(keys[0]), strlen(keys[1]), strlen(keys[2]), strlen(keys[3]),
                            strlen(lease),   strlen(epoch),   strlen(number),  n_bytes};
    const status_t status =
        store_run_script(world->redis.store, NULL, &script, 4, 8, args, sizes, &err);
    (void)snprintf(world->refusal, sizeof world->refusal, "%s", err.text);
    return status;
}

status_t fake_worker_store(struct dispatcher_world *world, const struct fake_worker *worker,
                           uint64_t low, uint64_t high)
{
    status_t status = ST_OK;
    for (uint64_t unit = low; unit < high && status == ST_OK; unit++) {
        char result[24];
        (void)snprintf(result, sizeof result, "r%llu", (unsigned long long)unit);
        status = fake_worker_store_bytes(world, worker, unit, result, strlen(result));
    }
    return status;
}

void fake_worker_say_settled(struct fake_worker *worker, uint64_t low, uint64_t high,
                             double seconds)
{
    const struct wire_message settled = {.type = WIRE_SETTLED,
                                         .lease = worker->lease,
                                         .task = wire_text_of(worker->task),
                                         .ranges = {.n = 1, .low = {low}, .high = {high}},
                                         .n_stored = high - low,
                                         .seconds = seconds};
    fake_worker_say(worker, &settled);
}

void fake_worker_beat(struct fake_worker *worker, uint64_t ticks, uint64_t unit)
{
    const struct wire_message beat = {
        .type = WIRE_HEARTBEAT, .ticks = ticks, .lease = worker->lease, .unit = unit};
    fake_worker_say(worker, &beat);
}
