/* Untrusted bytes: partials, blocks, thresholds and frozen values, cut short, altered, foreign. */
#include "common/evidence_block.h"
#include "common/evidence_header.h"
#include "common/evidence_zstd.h"
#include "tests/unit/evidence_world.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const struct world_params params = {.seed = 8,
                                           .n_slots = 12,
                                           .n_documents = 60,
                                           .n_units = 2,
                                           .n_rows = 2,
                                           .row_tokens = 40,
                                           .vocabulary = 20,
                                           .firing_per_token = 3};

static struct evidence_identity make_identity(uint64_t frozen_key)
{
    return (struct evidence_identity){.target_key = 9,
                                      .frozen_key = frozen_key,
                                      .n_slots = params.n_slots,
                                      .split = EVIDENCE_TEST,
                                      .limits = {.top_k = 4,
                                                 .bin_k = 2,
                                                 .silent_k = 5,
                                                 .near_miss_k = 3,
                                                 .neighbour_k = 3,
                                                 .doc_k = 4,
                                                 .window_tokens = 8,
                                                 .min_window_tokens = 2,
                                                 .counts_positions = 1}};
}

struct scene {
    struct world world;
    struct evidence_frozen frozen;
    struct evidence_identity identity;
    struct evidence_state *state; /* holds unit 0 */
    struct world_bytes partial;   /* of unit 1 */
};

static void scene_init(struct scene *scene)
{
    struct error err = {0};
    world_init(&scene->world, &params, EVIDENCE_TEST);
    cr_assert_eq(evidence_frozen_init(&scene->frozen, params.n_slots, &err), ST_OK);
    for (uint32_t i = 0; i < params.n_slots; i++) {
        scene->frozen.hard_tokens[i][0] = 1 + i;
        scene->frozen.neighbours[i][0] = (i + 1) % params.n_slots;
    }
    scene->identity = make_identity(evidence_frozen_key(&scene->frozen));
    scene->state = world_state(&scene->world, &scene->identity);
    struct world_bytes first =
        world_partial(&scene->world, 0, &scene->identity, &scene->frozen, NULL);
    cr_assert_eq(evidence_state_merge_partial(scene->state, first.bytes, first.n_bytes, NULL, &err),
                 ST_OK, "%s", err.text);
    free(first.bytes);
    scene->partial = world_partial(&scene->world, 1, &scene->identity, &scene->frozen, NULL);
}

static void scene_fini(struct scene *scene)
{
    evidence_state_destroy(&scene->state);
    evidence_frozen_fini(&scene->frozen);
    free(scene->partial.bytes);
    world_fini(&scene->world);
}

static status_t try_merge(struct scene *scene, const void *bytes, size_t n_bytes)
{
    struct error err = {0};
    return evidence_state_merge_partial(scene->state, bytes, n_bytes, NULL, &err);
}

static void expect_same(const struct evidence_state *state, const struct world_bytes *before)
{
    struct world_bytes after = world_canonical(state);
    cr_assert_eq(after.n_bytes, before->n_bytes);
    cr_assert_arr_eq(after.bytes, before->bytes, before->n_bytes);
    free(after.bytes);
}

/* A copy of exactly the bytes, so that a sanitizer sees every read beyond them. */
static unsigned char *exact_copy(const unsigned char *bytes, size_t n_bytes)
{
    unsigned char *copy = malloc(n_bytes ? n_bytes : 1);
    cr_assert_not_null(copy);
    memcpy(copy, bytes, n_bytes);
    return copy;
}

Test(evidence_message, refuses_every_truncated_partial_and_changes_nothing)
{
    struct scene scene;
    scene_init(&scene);
    struct world_bytes before = world_canonical(scene.state);
    for (size_t n = 0; n < scene.partial.n_bytes; n++) {
        unsigned char *cut = exact_copy(scene.partial.bytes, n);
        cr_assert_neq(try_merge(&scene, cut, n), ST_OK, "%zu bytes were taken", n);
        free(cut);
    }
    expect_same(scene.state, &before);
    cr_expect_eq(try_merge(&scene, scene.partial.bytes, scene.partial.n_bytes), ST_OK);
    free(before.bytes);
    scene_fini(&scene);
}

Test(evidence_message, survives_every_altered_byte_all_or_nothing)
{
    struct scene scene;
    size_t n_refused = 0;
    scene_init(&scene);
    struct world_bytes before = world_canonical(scene.state);
    for (size_t i = 0; i < scene.partial.n_bytes * 3; i++) {
        static const unsigned char flips[] = {0x01, 0x80, 0xff};
        unsigned char *altered = exact_copy(scene.partial.bytes, scene.partial.n_bytes);
        altered[i / 3] ^= flips[i % 3];
        const status_t status = try_merge(&scene, altered, scene.partial.n_bytes);
        free(altered);
        if (status == ST_OK) { /* another valid partial: start again from the known state */
            struct evidence_state *fresh = world_state(&scene.world, &scene.identity);
            struct error err = {0};
            cr_assert_eq(evidence_block_load(fresh, before.bytes, before.n_bytes, &err), ST_OK);
            evidence_state_destroy(&scene.state);
            scene.state = fresh;
            continue;
        }
        n_refused++;
        cr_assert(status == ST_CORRUPT || status == ST_PROTOCOL || status == ST_CONFLICT);
        expect_same(scene.state, &before);
    }
    cr_expect_gt(n_refused, scene.partial.n_bytes);
    free(before.bytes);
    scene_fini(&scene);
}

Test(evidence_message, names_what_does_not_fit)
{
    struct scene scene;
    struct error err = {0};
    scene_init(&scene);
    unsigned char *bytes = scene.partial.bytes;
    const size_t n_bytes = scene.partial.n_bytes;
    bytes[4] = 9;
    cr_expect_eq(evidence_state_merge_partial(scene.state, bytes, n_bytes, NULL, &err),
                 ST_PROTOCOL);
    cr_expect_not_null(strstr(err.text, "version 9"), "%s", err.text);
    bytes[4] = EVIDENCE_VERSION;
    bytes[5] ^= 1; /* the target's key */
    cr_expect_eq(try_merge(&scene, bytes, n_bytes), ST_CONFLICT);
    bytes[5] ^= 1;
    scene.world.document_keys[scene.world.units[1].segments[0].document_index] ^= 1;
    cr_expect_eq(try_merge(&scene, bytes, n_bytes), ST_CORRUPT, "other documents were taken");
    scene.world.document_keys[scene.world.units[1].segments[0].document_index] ^= 1;
    scene.world.documents.n_documents = scene.world.units[1].segments[0].document_index;
    cr_expect_eq(try_merge(&scene, bytes, n_bytes), ST_CORRUPT, "an unknown document was taken");
    scene.world.documents.n_documents = params.n_documents;
    cr_expect_eq(try_merge(&scene, bytes, n_bytes), ST_OK);
    scene_fini(&scene);
}

Test(evidence_message, tells_its_unit_without_being_read)
{
    struct scene scene;
    struct evidence_identity identity;
    uint64_t unit_number = 0, merged = 0;
    struct error err = {0};
    scene_init(&scene);
    cr_assert_eq(evidence_partial_peek(scene.partial.bytes, scene.partial.n_bytes, &identity,
                                       &unit_number, &err),
                 ST_OK, "%s", err.text);
    cr_expect_eq(unit_number, 1001);
    cr_expect(evidence_identity_equal(&identity, &scene.identity));
    cr_assert_eq(evidence_state_merge_partial(scene.state, scene.partial.bytes,
                                              scene.partial.n_bytes, &merged, &err),
                 ST_OK);
    cr_expect_eq(merged, 1001);
    scene_fini(&scene);
}

Test(evidence_message, blocks_reload_and_can_be_extended)
{
    struct scene scene;
    struct error err = {0};
    scene_init(&scene);
    struct evidence_state *loaded = world_state(&scene.world, &scene.identity);
    for (uint32_t first = 0; first < params.n_slots; first += 5) {
        struct buffer block;
        const uint32_t left = params.n_slots - first;
        buffer_init(&block, EVIDENCE_MAX_BLOCK_BYTES);
        cr_assert_eq(evidence_block_encode(scene.state, first, left < 5 ? left : 5, &block, &err),
                     ST_OK, "%s", err.text);
        cr_assert_eq(evidence_block_load(loaded, block.bytes, block.n_bytes, &err), ST_OK, "%s",
                     err.text);
        cr_expect_eq(evidence_block_load(loaded, block.bytes, block.n_bytes, NULL), ST_CONFLICT,
                     "a block was loaded twice");
        buffer_fini(&block);
    }
    cr_expect_eq(evidence_state_n_units(loaded), 1);
    cr_assert_eq(try_merge(&scene, scene.partial.bytes, scene.partial.n_bytes), ST_OK);
    cr_assert_eq(evidence_state_merge_partial(loaded, scene.partial.bytes, scene.partial.n_bytes,
                                              NULL, &err),
                 ST_OK);
    struct world_bytes want = world_canonical(scene.state);
    expect_same(loaded, &want);
    world_expect_exact(&scene.world, loaded, &scene.frozen);
    free(want.bytes);
    evidence_state_destroy(&loaded);
    scene_fini(&scene);
}

Test(evidence_message, one_block_reads_alone)
{
    struct scene scene;
    struct error err = {0};
    struct evidence_state_params alone;
    struct evidence_state *state = NULL;
    struct buffer block, again;
    scene_init(&scene);
    buffer_init(&block, EVIDENCE_MAX_BLOCK_BYTES);
    buffer_init(&again, EVIDENCE_MAX_BLOCK_BYTES);
    cr_assert_eq(evidence_block_encode(scene.state, 4, 6, &block, &err), ST_OK);
    cr_assert_eq(evidence_block_peek(block.bytes, block.n_bytes, &alone, &err), ST_OK);
    cr_expect_eq(alone.first_slot, 4);
    cr_expect_eq(alone.n_slots, 6);
    alone.documents = &scene.world.documents;
    cr_assert_eq(evidence_state_create(&state, &alone, &err), ST_OK, "%s", err.text);
    cr_assert_eq(evidence_block_load(state, block.bytes, block.n_bytes, &err), ST_OK, "%s",
                 err.text);
    cr_assert_eq(evidence_block_encode(state, 4, 6, &again, &err), ST_OK);
    cr_assert_eq(again.n_bytes, block.n_bytes);
    cr_assert_arr_eq(again.bytes, block.bytes, block.n_bytes);
    cr_expect_eq(evidence_block_encode(state, 3, 2, &again, &err), ST_BAD_INPUT);
    buffer_fini(&block);
    buffer_fini(&again);
    evidence_state_destroy(&state);
    scene_fini(&scene);
}

Test(evidence_message, refuses_truncated_blocks_and_blocks_of_other_units)
{
    struct scene scene;
    scene_init(&scene);
    struct evidence_state *loaded = world_state(&scene.world, &scene.identity);
    struct world_bytes block = world_canonical(scene.state);
    for (size_t n = 0; n < block.n_bytes; n++) {
        unsigned char *cut = exact_copy(block.bytes, n);
        cr_assert_neq(evidence_block_load(loaded, cut, n, NULL), ST_OK, "%zu bytes", n);
        free(cut);
    }
    struct buffer half;
    struct error err = {0};
    buffer_init(&half, EVIDENCE_MAX_BLOCK_BYTES);
    cr_assert_eq(evidence_block_encode(scene.state, 0, 6, &half, &err), ST_OK);
    cr_assert_eq(evidence_block_load(loaded, half.bytes, half.n_bytes, &err), ST_OK, "%s",
                 err.text);
    cr_assert_eq(try_merge(&scene, scene.partial.bytes, scene.partial.n_bytes), ST_OK);
    half.n_bytes = 0;
    cr_assert_eq(evidence_block_encode(scene.state, 6, 6, &half, &err), ST_OK);
    cr_expect_eq(evidence_block_load(loaded, half.bytes, half.n_bytes, &err), ST_CONFLICT);
    buffer_fini(&half);
    free(block.bytes);
    evidence_state_destroy(&loaded);
    scene_fini(&scene);
}

Test(evidence_zstd, brings_bytes_back_and_refuses_bombs)
{
    static unsigned char zeros[100000];
    struct buffer packed, plain;
    struct error err = {0};
    buffer_init(&packed, 1 << 20);
    buffer_init(&plain, 1 << 20);
    cr_assert_eq(evidence_compress(zeros, sizeof zeros, &packed, &err), ST_OK, "%s", err.text);
    cr_expect_lt(packed.n_bytes, 200);
    cr_expect_eq(evidence_decompress(packed.bytes, packed.n_bytes, sizeof zeros - 1, &plain, NULL),
                 ST_TOO_LARGE);
    for (size_t n = 0; n < packed.n_bytes; n++)
        cr_assert_eq(evidence_decompress(packed.bytes, n, sizeof zeros, &plain, NULL), ST_CORRUPT);
    cr_assert_eq(evidence_decompress(packed.bytes, packed.n_bytes, sizeof zeros, &plain, &err),
                 ST_OK, "%s", err.text);
    cr_assert_eq(plain.n_bytes, sizeof zeros);
    cr_assert_arr_eq(plain.bytes, zeros, sizeof zeros);
    packed.bytes[packed.n_bytes - 1] ^= 1;
    cr_expect_eq(evidence_decompress(packed.bytes, packed.n_bytes, sizeof zeros, &plain, NULL),
                 ST_CORRUPT, "a wrong checksum was taken");
    buffer_fini(&packed);
    buffer_fini(&plain);
}
