/* Two threads on one device, each with a capture of its own over shared weights, in every mode of
 * the host emulator: the bytes of each unit are those that one thread alone makes of it. */
#include "common/capture_unit_bytes.h"
#include "common/evidence.h"
#include "tests/unit/emulated.h"
#include "tests/unit/task_world.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { N_ROWS = 2, N_CTX = 32, N_TOKENS = N_ROWS * N_CTX, N_UNITS = 6, N_THREADS = 2 };
enum { N_VOCAB = 113, MAX_BYTES = 1 << 22 };

/* The bytes of unit `number`: a document in each row. */
static void make_payload(uint32_t number, struct buffer *out)
{
    uint32_t tokens[N_TOKENS];
    struct capture_segment segments[N_ROWS];
    const struct capture_unit unit = {.unit_number = number,
                                      .split = EVIDENCE_EXPLAIN,
                                      .n_rows = N_ROWS,
                                      .row_tokens = N_CTX,
                                      .n_segments = N_ROWS,
                                      .tokens = tokens,
                                      .segments = segments};
    for (uint32_t i = 0; i < N_TOKENS; i++) tokens[i] = (i * 31 + number * 17 + 5) % N_VOCAB;
    for (uint32_t i = 0; i < N_ROWS; i++)
        segments[i] = (struct capture_segment){.row = i,
                                               .length = N_CTX,
                                               .document_index = i,
                                               .document_key = 1 + number * N_ROWS + i};
    cr_assert_eq(capture_unit_encode(&unit, out, NULL), ST_OK);
}

struct results {
    struct buffer units[N_UNITS];
};

/* One thread: its own task, the units `first`, first + step, ... */
struct lane {
    const struct task_environment *environment;
    uint32_t first, step;
    struct results *out;
    struct error err;
};

static status_t run_unit(struct lane *lane, void *task, uint32_t number)
{
    const struct wire_text none[1 + EVIDENCE_N_SPLITS] = {{"", 0}};
    struct buffer payload, shared;
    buffer_init(&payload, MAX_BYTES);
    buffer_init(&shared, MAX_BYTES);
    make_payload(number, &payload);
    status_t status = wire_parts_encode(none, 1 + EVIDENCE_N_SPLITS, &shared, &lane->err);
    const struct wire_text unit = {(const char *)payload.bytes, payload.n_bytes};
    const struct wire_text of_all = {(const char *)shared.bytes, shared.n_bytes};
    if (status == ST_OK)
        status = capture_task_handler.run(task, number, unit, of_all, &lane->out->units[number],
                                          &lane->err);
    buffer_fini(&payload);
    buffer_fini(&shared);
    return status;
}

static void *run_lane(void *context)
{
    struct lane *lane = context;
    void *task = NULL;
    json_t *spec = task_world_capture(N_ROWS, N_CTX, 5, 2);
    status_t status = capture_task_handler.open(&task, lane->environment, spec, &lane->err);
    for (uint32_t i = lane->first; i < N_UNITS && status == ST_OK; i += lane->step)
        status = run_unit(lane, task, i);
    if (task) capture_task_handler.close(task);
    json_decref(spec);
    return NULL;
}

/* With n_threads at once, each with an equal part of the units. */
static void run_units(size_t n_threads, struct results *out)
{
    struct task_world world = {.backend = NULL};
    struct lane lanes[N_THREADS];
    pthread_t threads[N_THREADS];
    task_world_open(&world, "emu");
    model_cache_share(world.models, n_threads, true);
    const struct task_environment environment = task_world_environment(&world);
    for (size_t i = 0; i < N_UNITS; i++) buffer_init(&out->units[i], MAX_BYTES);
    for (size_t i = 0; i < n_threads; i++) {
        lanes[i] = (struct lane){.environment = &environment,
                                 .first = (uint32_t)i,
                                 .step = (uint32_t)n_threads,
                                 .out = out};
        cr_assert_eq(pthread_create(&threads[i], NULL, run_lane, &lanes[i]), 0);
    }
    for (size_t i = 0; i < n_threads; i++) {
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
        cr_assert_eq(lanes[i].err.status, ST_OK, "%s", lanes[i].err.text);
    }
    cr_expect_eq(model_cache_n_seats(world.models), n_threads);
    task_world_close(&world);
}

ParameterizedTestParameters(device_threads, make_the_bytes_of_one)
{
    return cr_make_param_array(struct emulated_mode, EMULATED_MODES, EMULATED_N_MODES);
}

ParameterizedTest(struct emulated_mode *mode, device_threads, make_the_bytes_of_one)
{
    struct results one, two;
    emulated_set_mode(mode);
    run_units(1, &one);
    run_units(N_THREADS, &two);
    for (size_t i = 0; i < N_UNITS; i++) {
        cr_expect_gt(one.units[i].n_bytes, 1000, "evidence of unit %zu", i);
        cr_expect(one.units[i].n_bytes == two.units[i].n_bytes &&
                      memcmp(one.units[i].bytes, two.units[i].bytes, one.units[i].n_bytes) == 0,
                  "%s: other bytes of unit %zu", mode->name, i);
        buffer_fini(&one.units[i]);
        buffer_fini(&two.units[i]);
    }
}
