/* A capture task on the emulated device: its results by the digests of units are those by their
 * rows, byte for byte, in every mode; and digests it is that came down. */
#include "common/capture_unit_bytes.h"
#include "common/evidence_state.h"
#include "common/evidence_thresholds.h"
#include "common/evidence_zstd.h"
#include "common/wire.h"
#include "tests/unit/emulated.h"
#include "tests/unit/task_world.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <string.h>

enum { N_ROWS = 2, N_CTX = 32, N_TOKENS = N_ROWS * N_CTX, N_UNITS = 4, N_FEATURES = 113 };
enum { N_VOCAB = 113, MAX_BYTES = 1 << 22 };
static const char KERNEL[] = "digest_select_kernel";

/* A sweep of N_UNITS on one backend, thresholds coming back after each unit. */
struct sweep {
    struct task_world world;
    uint64_t keys[N_UNITS * N_ROWS];
    struct evidence_documents documents;
    struct evidence_state *state;
    struct buffer results[N_UNITS];
    struct error err;
};

static void encode_unit(const struct sweep *sweep, uint32_t number, struct buffer *out)
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
    for (uint32_t i = 0; i < N_ROWS; i++) {
        const uint32_t document = number * N_ROWS + (N_ROWS - 1 - i); /* not as they lie */
        segments[i] = (struct capture_segment){.row = i,
                                               .start = 1,
                                               .length = N_CTX - 1 - 2 * i,
                                               .document_index = document,
                                               .document_key = sweep->keys[document]};
    }
    cr_assert_eq(capture_unit_encode(&unit, out, NULL), ST_OK);
}

/* The lease's shared part: the thresholds of what is merged, but for the first unit. */
static void encode_shared(struct sweep *sweep, bool has_thresholds, struct buffer *out)
{
    struct wire_text parts[1 + EVIDENCE_N_SPLITS];
    struct evidence_thresholds *thresholds = NULL;
    struct buffer plain, packed;
    buffer_init(&plain, MAX_BYTES);
    buffer_init(&packed, MAX_BYTES);
    for (size_t i = 0; i < 1 + EVIDENCE_N_SPLITS; i++) parts[i] = (struct wire_text){"", 0};
    if (has_thresholds) {
        cr_assert_eq(evidence_thresholds_create(&thresholds, sweep->state, &sweep->err), ST_OK);
        cr_assert_eq(evidence_thresholds_encode(thresholds, &plain, &sweep->err), ST_OK);
        cr_assert_eq(evidence_compress(plain.bytes, plain.n_bytes, &packed, &sweep->err), ST_OK);
        parts[1 + EVIDENCE_EXPLAIN] = (struct wire_text){(char *)packed.bytes, packed.n_bytes};
    }
    cr_assert_eq(wire_parts_encode(parts, 1 + EVIDENCE_N_SPLITS, out, &sweep->err), ST_OK);
    evidence_thresholds_destroy(&thresholds);
    buffer_fini(&plain);
    buffer_fini(&packed);
}

static void merge(struct sweep *sweep, const struct buffer *result)
{
    struct buffer plain;
    struct wire_parts parts;
    buffer_init(&plain, MAX_BYTES);
    cr_assert_eq(
        evidence_decompress(result->bytes, result->n_bytes, MAX_BYTES, &plain, &sweep->err), ST_OK);
    cr_assert_eq(wire_parts_decode(plain.bytes, plain.n_bytes, &parts, &sweep->err), ST_OK);
    const struct wire_text partial = wire_part(&parts, 0);
    if (!sweep->state) {
        struct evidence_state_params params = {.n_slots = N_FEATURES,
                                               .documents = &sweep->documents};
        uint64_t number;
        cr_assert_eq(evidence_partial_peek(partial.bytes, partial.n_bytes, &params.identity,
                                           &number, &sweep->err),
                     ST_OK);
        cr_assert_eq(evidence_state_create(&sweep->state, &params, &sweep->err), ST_OK);
    }
    cr_assert_eq(evidence_state_merge_partial(sweep->state, partial.bytes, partial.n_bytes, NULL,
                                              &sweep->err),
                 ST_OK, "%s", sweep->err.text);
    buffer_fini(&plain);
}

static void run_unit(struct sweep *sweep, uint32_t number)
{
    struct buffer payload, shared;
    buffer_init(&payload, MAX_BYTES);
    buffer_init(&shared, MAX_BYTES);
    encode_unit(sweep, number, &payload);
    encode_shared(sweep, number > 0, &shared);
    const struct wire_text unit = {(char *)payload.bytes, payload.n_bytes};
    const struct wire_text of_all = {(char *)shared.bytes, shared.n_bytes};
    cr_assert_eq(capture_task_handler.run(sweep->world.task, number, unit, of_all,
                                          &sweep->results[number], &sweep->err),
                 ST_OK, "%s", sweep->err.text);
    merge(sweep, &sweep->results[number]);
    buffer_fini(&payload);
    buffer_fini(&shared);
}

enum way { BY_DIGESTS, BY_ROWS, WITHOUT_ROOM };
static unsigned n_refused;

static status_t refuse_digest(struct sparse_encoder *encoder, const struct digest_params *p,
                              struct digest *out, struct error *err)
{
    (void)encoder;
    (void)p;
    (void)out;
    n_refused++;
    return error_set(err, ST_NO_MEMORY, "no room for a digest");
}

/* Returns how often digests were selected. */
static uint64_t play(struct sweep *sweep, enum way way)
{
    memset(sweep, 0, sizeof *sweep);
    task_world_open(&sweep->world, "emu");
    const struct backend_ops *ops = sweep->world.backend->ops;
    struct backend_ops changed = *ops;
    if (way == BY_ROWS) changed.sparse_digest = NULL;
    if (way == WITHOUT_ROOM) changed.sparse_digest = refuse_digest;
    sweep->world.backend->ops = &changed;
    for (size_t i = 0; i < N_UNITS * N_ROWS; i++) sweep->keys[i] = 77 * i + 3;
    sweep->documents = (struct evidence_documents){sweep->keys, N_UNITS * N_ROWS};
    cr_assert_eq(task_world_open_task(&sweep->world, &capture_task_handler,
                                      task_world_capture(N_ROWS, N_CTX, 2, 1)),
                 ST_OK, "%s", sweep->world.err.text);
    for (uint32_t i = 0; i < N_UNITS; i++) {
        buffer_init(&sweep->results[i], MAX_BYTES);
        run_unit(sweep, i);
    }
    const uint64_t n_launches = emulated_launches(KERNEL);
    task_world_close_task(&sweep->world);
    sweep->world.backend->ops = ops;
    task_world_close(&sweep->world);
    evidence_state_destroy(&sweep->state);
    return n_launches;
}

/* Ends both. */
static void expect_equal(struct sweep *a, struct sweep *b, const char *what)
{
    for (size_t i = 0; i < N_UNITS; i++) {
        const struct buffer *one = &a->results[i], *other = &b->results[i];
        cr_expect_gt(one->n_bytes, 1000);
        cr_expect(one->n_bytes == other->n_bytes &&
                      memcmp(one->bytes, other->bytes, one->n_bytes) == 0,
                  "%s: unit %zu", what, i);
        buffer_fini(&a->results[i]);
        buffer_fini(&b->results[i]);
    }
}

ParameterizedTestParameters(capture_device, digests_give_the_results_of_rows)
{
    return cr_make_param_array(struct emulated_mode, EMULATED_MODES, EMULATED_N_MODES);
}

ParameterizedTest(struct emulated_mode *mode, capture_device, digests_give_the_results_of_rows)
{
    struct sweep by_digest, by_rows;
    emulated_set_mode(mode);
    const uint64_t n_before = play(&by_rows, BY_ROWS);
    const uint64_t n_selected = play(&by_digest, BY_DIGESTS) - n_before;
    cr_expect_geq(n_selected, N_UNITS, "%s: %zu digests", mode->name, (size_t)n_selected);
    expect_equal(&by_rows, &by_digest, mode->name);
}

Test(capture_device, without_room_for_digests_takes_rows_and_asks_no_more)
{
    struct sweep without_room, by_rows;
    (void)play(&by_rows, BY_ROWS);
    (void)play(&without_room, WITHOUT_ROOM);
    cr_expect_eq(n_refused, 1);
    expect_equal(&by_rows, &without_room, "without room");
}
