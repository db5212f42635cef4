/* Checkpoints of merged evidence: read back they go on as if nothing had happened; damaged they are
 * refused. */
#include "common/evidence_block.h"
#include "common/file.h"
#include "coordinator/sweep/checkpoint_file.h"
#include "tests/unit/evidence_world.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { N_UNITS = 6, N_TARGETS = 2 };

static const struct world_params params = {.seed = 5,
                                           .n_slots = 300, /* more than one block */
                                           .n_documents = 200,
                                           .n_units = N_UNITS,
                                           .n_rows = 4,
                                           .row_tokens = 64,
                                           .vocabulary = 50,
                                           .firing_per_token = 6};
static const char key[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

static struct world world;
static struct error err;
static char directory[] = "/tmp/interp-checkpoint-XXXXXX", path[64];

/* What a run holds: per target a state and a set. */
struct life {
    struct evidence_state *states[N_TARGETS];
    struct unit_set merged[N_TARGETS];
    struct checkpoint_part parts[N_TARGETS];
    struct checkpoint checkpoint;
};

static struct evidence_identity identity_of(size_t target)
{
    return (struct evidence_identity){.target_key = 70 + target,
                                      .n_slots = params.n_slots,
                                      .split = EVIDENCE_EXPLAIN,
                                      .limits = evidence_limits_default(EVIDENCE_EXPLAIN)};
}

static void life_begin(struct life *life)
{
    for (size_t i = 0; i < N_TARGETS; i++) {
        const struct evidence_identity identity = identity_of(i);
        life->states[i] = world_state(&world, &identity);
        cr_assert_eq(unit_set_init(&life->merged[i], N_UNITS, &err), ST_OK);
        life->parts[i] =
            (struct checkpoint_part){.states = {life->states[i]}, .merged = &life->merged[i]};
    }
    life->checkpoint = (struct checkpoint){key, life->parts, N_TARGETS};
}

static void life_end(struct life *life)
{
    for (size_t i = 0; i < N_TARGETS; i++) {
        evidence_state_destroy(&life->states[i]);
        unit_set_fini(&life->merged[i]);
    }
}

static void merge(struct life *life, size_t target, uint32_t unit)
{
    const struct evidence_identity identity = identity_of(target);
    struct world_bytes partial = world_partial(&world, unit, &identity, NULL, NULL);
    cr_assert_eq(evidence_state_merge_partial(life->states[target], partial.bytes, partial.n_bytes,
                                              NULL, &err),
                 ST_OK, "%s", err.text);
    unit_set_add(&life->merged[target], unit);
    free(partial.bytes);
}

static void expect_equal(const struct life *a, const struct life *b)
{
    for (size_t i = 0; i < N_TARGETS; i++) {
        struct world_bytes x = world_canonical(a->states[i]), y = world_canonical(b->states[i]);
        cr_assert_eq(x.n_bytes, y.n_bytes);
        cr_expect_arr_eq(x.bytes, y.bytes, x.n_bytes);
        free(x.bytes);
        free(y.bytes);
    }
}

static void set_up(void)
{
    cr_assert(mkdtemp(directory));
    (void)snprintf(path, sizeof path, "%s/checkpoint", directory);
    world_init(&world, &params, EVIDENCE_EXPLAIN);
}

static void tear_down(void)
{
    checkpoint_remove(path);
    cr_expect_eq(rmdir(directory), 0, "nothing else is left");
    world_fini(&world);
}

TestSuite(checkpoint_file, .init = set_up, .fini = tear_down, .timeout = 60);

/* Target 1 is a unit ahead: the set of each says so. */
Test(checkpoint_file, a_life_that_goes_on_from_it_ends_with_the_same_bytes)
{
    struct life whole, first, second;
    life_begin(&whole);
    life_begin(&first);
    life_begin(&second);
    for (uint32_t unit = 0; unit < N_UNITS; unit++)
        for (size_t i = 0; i < N_TARGETS; i++) merge(&whole, i, unit);
    for (uint32_t unit = 1; unit < 4; unit++) merge(&first, 0, unit);
    for (uint32_t unit = 1; unit < 5; unit++) merge(&first, 1, unit);
    cr_assert_eq(checkpoint_write(path, &first.checkpoint, &err), ST_OK, "%s", err.text);
    cr_assert_eq(checkpoint_read(path, &second.checkpoint, &err), ST_OK, "%s", err.text);
    expect_equal(&first, &second);
    cr_expect_eq(second.merged[0].n_members, 3);
    cr_expect(!unit_set_has(&second.merged[0], 4) && unit_set_has(&second.merged[1], 4));
    for (uint32_t unit = 0; unit < N_UNITS; unit++)
        for (size_t i = 0; i < N_TARGETS; i++)
            if (!unit_set_has(&second.merged[i], unit)) merge(&second, i, unit);
    expect_equal(&second, &whole);
    life_end(&whole);
    life_end(&first);
    life_end(&second);
}

Test(checkpoint_file, a_file_without_any_unit_is_a_file)
{
    struct life first, second;
    life_begin(&first);
    life_begin(&second);
    cr_expect_eq(checkpoint_read(path, &second.checkpoint, &err), ST_NOT_FOUND);
    error_clear(&err);
    cr_assert_eq(checkpoint_write(path, &first.checkpoint, &err), ST_OK, "%s", err.text);
    cr_expect_eq(checkpoint_read(path, &second.checkpoint, &err), ST_OK, "%s", err.text);
    life_end(&first);
    life_end(&second);
}

static status_t read_anew(void)
{
    struct life life;
    error_clear(&err);
    life_begin(&life);
    const status_t status = checkpoint_read(path, &life.checkpoint, &err);
    life_end(&life);
    return status;
}

static void write_bytes(const char *bytes, size_t n_bytes)
{
    cr_assert_eq(file_write_atomic(path, bytes, n_bytes, NULL), ST_OK);
}

Test(checkpoint_file, every_cut_and_every_damaged_byte_is_refused)
{
    struct life life;
    char *bytes;
    size_t n_bytes;
    life_begin(&life);
    for (size_t i = 0; i < N_TARGETS; i++) merge(&life, i, 2);
    cr_assert_eq(checkpoint_write(path, &life.checkpoint, &err), ST_OK, "%s", err.text);
    life_end(&life);
    cr_assert_eq(file_read(path, 1 << 24, &bytes, &n_bytes, &err), ST_OK);
    for (size_t i = 0; i < n_bytes; i += 1 + n_bytes / 150) {
        write_bytes(bytes, i);
        cr_expect_neq(read_anew(), ST_OK, "cut at %zu of %zu", i, n_bytes);
        bytes[i] = (char)(bytes[i] ^ 0x41);
        write_bytes(bytes, n_bytes);
        cr_expect_neq(read_anew(), ST_OK, "byte %zu of %zu", i, n_bytes);
        bytes[i] = (char)(bytes[i] ^ 0x41);
    }
    write_bytes(bytes, n_bytes + 1); /* file_read put a NUL there */
    cr_expect_eq(read_anew(), ST_CORRUPT);
    write_bytes(bytes, n_bytes);
    cr_expect_eq(read_anew(), ST_OK, "%s", err.text);
    free(bytes);
}

Test(checkpoint_file, one_of_another_capture_is_refused)
{
    struct life first, second;
    life_begin(&first);
    life_begin(&second);
    merge(&first, 0, 0);
    merge(&first, 1, 0);
    cr_assert_eq(checkpoint_write(path, &first.checkpoint, &err), ST_OK, "%s", err.text);
    char other[sizeof key];
    memcpy(other, key, sizeof key);
    other[0] = 'f';
    second.checkpoint.key = other;
    cr_expect_eq(checkpoint_read(path, &second.checkpoint, &err), ST_CONFLICT);
    life_end(&first);
    life_end(&second);
}

Test(checkpoint_file, what_cannot_be_written_leaves_the_old_one)
{
    struct life life;
    life_begin(&life);
    cr_assert_eq(checkpoint_write(path, &life.checkpoint, &err), ST_OK, "%s", err.text);
    char blocked[80];
    (void)snprintf(blocked, sizeof blocked, "%s.new", path);
    cr_assert_eq(file_make_directories(blocked, &err), ST_OK);
    cr_expect_eq(checkpoint_write(path, &life.checkpoint, &err), ST_IO);
    cr_expect_eq(rmdir(blocked), 0);
    cr_expect_eq(read_anew(), ST_OK);
    life_end(&life);
}
