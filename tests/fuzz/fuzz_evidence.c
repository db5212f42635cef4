/* Fuzz target of all evidence decoders: partial, block, thresholds, frozen values, zstd frames.
 *
 * The first byte chooses the decoder. What decodes is used as the program would use it: partials
 * and blocks are merged, written again and read back; that must then succeed.
 *
 *   clang -g -O1 -fsanitize=fuzzer,address,undefined -I. tests/fuzz/fuzz_evidence.c ... -lzstd
 *   ./fuzz_evidence -max_len=4096 CORPUS
 * With -DFUZZ_STANDALONE any compiler makes a program of it: `-n ROUNDS` tries random changes of
 * valid messages, `-s DIRECTORY` writes one valid message of each kind there as seeds, and other
 * arguments are inputs to run. */
#include "common/evidence_block.h"
#include "common/evidence_frozen.h"
#include "common/evidence_state.h"
#include "common/evidence_thresholds.h"
#include "common/evidence_view.h"
#include "common/evidence_zstd.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes);

enum { N_DOCUMENTS = 8, N_SLOTS = 6, MAX_BYTES = 1 << 20 };

static const uint64_t document_keys[N_DOCUMENTS] = {1, 2, 3, 4, 5, 6, 7, 8};
static const struct evidence_documents documents = {document_keys, N_DOCUMENTS};

static void must(status_t status, const struct error *err)
{
    if (status == ST_OK) return;
    fprintf(stderr, "fuzz_evidence: %s\n", err->text);
    abort();
}

/* A state that merged something valid writes blocks that read back, and thresholds. */
static void use_state(const struct evidence_state *state)
{
    const uint32_t first_slot = evidence_state_first_slot(state);
    const uint32_t n_slots = evidence_state_n_slots(state);
    struct error err = {0};
    struct buffer block;
    struct evidence_state_params params;
    struct evidence_state *again = NULL;
    buffer_init(&block, MAX_BYTES * 16);
    must(evidence_block_encode(state, first_slot, n_slots, &block, &err), &err);
    must(evidence_block_peek(block.bytes, block.n_bytes, &params, &err), &err);
    params.documents = &documents;
    must(evidence_state_create(&again, &params, &err), &err);
    must(evidence_block_load(again, block.bytes, block.n_bytes, &err), &err);
    for (uint32_t slot = first_slot; slot < first_slot + n_slots; slot++) {
        struct evidence_view view;
        must(evidence_view_open(again, slot, &view, &err), &err);
        (void)evidence_view_position_f1(&view);
    }
    evidence_state_destroy(&again);
    buffer_fini(&block);
}

static void fuzz_partial(const uint8_t *bytes, size_t n_bytes)
{
    struct evidence_state_params params = {.documents = &documents};
    struct evidence_state *state = NULL;
    struct error err = {0};
    uint64_t unit_number;
    if (evidence_partial_peek(bytes, n_bytes, &params.identity, &unit_number, NULL) != ST_OK ||
        params.identity.n_slots > 4096)
        return;
    params.n_slots = params.identity.n_slots;
    must(evidence_state_create(&state, &params, &err), &err);
    /* twice: the second time every window is there already */
    if (evidence_state_merge_partial(state, bytes, n_bytes, NULL, NULL) == ST_OK) use_state(state);
    if (evidence_state_merge_partial(state, bytes, n_bytes, NULL, NULL) == ST_OK) use_state(state);
    evidence_state_destroy(&state);
}

static void fuzz_block(const uint8_t *bytes, size_t n_bytes)
{
    struct evidence_state_params params;
    struct evidence_state *state = NULL;
    struct error err = {0};
    if (evidence_block_peek(bytes, n_bytes, &params, NULL) != ST_OK || params.n_slots > 4096)
        return;
    params.documents = &documents;
    must(evidence_state_create(&state, &params, &err), &err);
    if (evidence_block_load(state, bytes, n_bytes, NULL) == ST_OK) use_state(state);
    evidence_state_destroy(&state);
}

static void fuzz_thresholds(const uint8_t *bytes, size_t n_bytes)
{
    struct evidence_thresholds *thresholds = NULL;
    if (evidence_thresholds_decode(bytes, n_bytes, &thresholds, NULL) != ST_OK) return;
    const uint32_t n_slots = evidence_thresholds_identity(thresholds)->n_slots;
    for (uint32_t slot = 0; slot < n_slots; slot++)
        for (float value = 0x1p-20f; value < 0x1p20f; value *= 3)
            (void)evidence_thresholds_keep_firing(thresholds, slot, value, slot);
    evidence_thresholds_destroy(&thresholds);
}

static void fuzz_frozen(const uint8_t *bytes, size_t n_bytes)
{
    struct evidence_frozen frozen, again;
    struct error err = {0};
    struct buffer out;
    if (evidence_frozen_decode(bytes, n_bytes, &frozen, NULL) != ST_OK) return;
    buffer_init(&out, MAX_BYTES * 16);
    must(evidence_frozen_encode(&frozen, &out, &err), &err);
    must(evidence_frozen_decode(out.bytes, out.n_bytes, &again, &err), &err);
    if (evidence_frozen_key(&again) != evidence_frozen_key(&frozen)) abort();
    evidence_frozen_fini(&frozen);
    evidence_frozen_fini(&again);
    buffer_fini(&out);
}

static void fuzz_zstd(const uint8_t *bytes, size_t n_bytes)
{
    struct buffer out;
    buffer_init(&out, MAX_BYTES);
    if (evidence_decompress(bytes, n_bytes, MAX_BYTES, &out, NULL) == ST_OK &&
        out.n_bytes > MAX_BYTES)
        abort();
    buffer_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    if (n_bytes == 0) return 0;
    switch (bytes[0] % 5) {
    case 0: fuzz_partial(bytes + 1, n_bytes - 1); break;
    case 1: fuzz_block(bytes + 1, n_bytes - 1); break;
    case 2: fuzz_thresholds(bytes + 1, n_bytes - 1); break;
    case 3: fuzz_frozen(bytes + 1, n_bytes - 1); break;
    default: fuzz_zstd(bytes + 1, n_bytes - 1); break;
    }
    return 0;
}

#ifdef FUZZ_STANDALONE
#include "common/evidence_key.h"
#include "common/evidence_message.h"
#include "common/file.h"

static uint64_t random_state = 1;

static uint64_t draw(uint64_t n)
{
    return hash_mix64(random_state++) % n;
}

static void draw_record(struct evidence_record *record, uint32_t slot, struct error *err)
{
    evidence_record_reset(record, slot);
    record->max_value = 4;
    record->n_firing_tokens = 3;
    record->values = (struct evidence_bin_counts){1, {100}, {4}};
    record->windows = (struct evidence_bin_counts){1, {25}, {2}};
    record->positions = (struct evidence_bin_counts){1, {2}, {3}};
    record->n_documents = 1;
    record->document[0] = (uint32_t)draw(N_DOCUMENTS);
    record->n_hard_tokens[0] = 1;
    must(evidence_record_reserve(record, 3, err), err);
    for (uint32_t i = 0; i < 2; i++) {
        record->firing[i] = (struct evidence_firing_ref){i * 3, i, (uint16_t)(i + 1), 0};
        for (uint32_t j = 0; j <= i; j++) {
            record->position[record->n_activations] = (uint16_t)(j * 2);
            record->value[record->n_activations++] = (float)(1 + draw(4));
        }
    }
    record->n_firing = 2;
    record->n_silent = record->n_near_miss = record->n_neighbour = 1;
    record->silent[0] = record->near_miss[0] = record->neighbour[0] = 1 + (uint32_t)draw(2);
}

/* A valid partial or block over all documents, a window of eight tokens in each. */
static void draw_message(enum evidence_kind kind, struct buffer *out)
{
    uint32_t document[N_DOCUMENTS];
    struct evidence_window window[N_DOCUMENTS];
    struct error err = {0};
    struct evidence_record *record = NULL;
    struct evidence_message message = {
        .kind = kind,
        .n_units = 1,
        .n_slots = N_SLOTS,
        .n_tokens = 64,
        .positions = {1, {2}, {64}},
        .identity = {.n_slots = N_SLOTS, .limits = {3, 2, 3, 3, 3, 4, 8, 2, 1}},
        .table = {N_DOCUMENTS, N_DOCUMENTS, document, window}};
    size_t patch_at;
    for (uint32_t i = 0; i < N_DOCUMENTS; i++) {
        document[i] = i;
        window[i] = (struct evidence_window){i, i * 10, 8};
        message.documents_check += evidence_document_check(document_keys[i], i);
    }
    must(evidence_record_create(&record, &err), &err);
    must(evidence_message_begin(&message, out, &patch_at, &err), &err);
    for (uint32_t slot = 0; slot < N_SLOTS; slot++) {
        draw_record(record, slot, &err);
        must(evidence_record_encode(record, 0, out, &err), &err);
    }
    evidence_message_end(out, patch_at, N_SLOTS);
    evidence_record_destroy(&record);
}

static void draw_thresholds(struct buffer *out)
{
    struct buffer block;
    struct evidence_state_params params;
    struct evidence_state *state = NULL;
    struct evidence_thresholds *thresholds = NULL;
    struct error err = {0};
    buffer_init(&block, MAX_BYTES);
    draw_message(EVIDENCE_BLOCK, &block);
    must(evidence_block_peek(block.bytes, block.n_bytes, &params, &err), &err);
    params.documents = &documents;
    must(evidence_state_create(&state, &params, &err), &err);
    must(evidence_block_load(state, block.bytes, block.n_bytes, &err), &err);
    must(evidence_thresholds_create(&thresholds, state, &err), &err);
    must(evidence_thresholds_encode(thresholds, out, &err), &err);
    evidence_thresholds_destroy(&thresholds);
    evidence_state_destroy(&state);
    buffer_fini(&block);
}

static void draw_frozen(struct buffer *out)
{
    struct evidence_frozen frozen;
    struct error err = {0};
    must(evidence_frozen_init(&frozen, N_SLOTS, &err), &err);
    for (uint32_t i = 0; i < N_SLOTS; i++)
        for (uint32_t j = 0; j < i % 5; j++) frozen.hard_tokens[i][j] = (uint32_t)draw(1u << 20);
    must(evidence_frozen_encode(&frozen, out, &err), &err);
    evidence_frozen_fini(&frozen);
}

static void draw_input(unsigned choice, struct buffer *out)
{
    const unsigned char first = (unsigned char)choice;
    struct error err = {0};
    must(buffer_append(out, &first, 1, &err), &err);
    if (choice == 0)
        draw_message(EVIDENCE_PARTIAL, out);
    else if (choice == 1)
        draw_message(EVIDENCE_BLOCK, out);
    else if (choice == 2)
        draw_thresholds(out);
    else if (choice == 3)
        draw_frozen(out);
    else
        must(evidence_compress(document_keys, sizeof document_keys, out, &err), &err);
}

/* Change a few bytes, or cut, or repeat a piece. */
static size_t mutate(unsigned char *bytes, size_t n_bytes)
{
    for (uint64_t n = draw(4); n > 0; n--) {
        const size_t at = 1 + (size_t)draw(n_bytes - 1);
        switch (draw(3)) {
        case 0: bytes[at] ^= (unsigned char)(1u << draw(8)); break;
        case 1: bytes[at] = (unsigned char)draw(256); break;
        default: bytes[at] = bytes[1 + draw(n_bytes - 1)]; break;
        }
    }
    return draw(8) == 0 ? 1 + (size_t)draw(n_bytes - 1) : n_bytes;
}

static void run_rounds(unsigned long n_rounds)
{
    for (unsigned long round = 0; round < n_rounds; round++) {
        struct buffer input;
        buffer_init(&input, MAX_BYTES);
        draw_input((unsigned)(round % 5), &input);
        /* at exact size, so that a sanitizer sees every read beyond the end */
        const size_t n_bytes = mutate(input.bytes, input.n_bytes);
        unsigned char *exact = malloc(n_bytes);
        if (!exact) abort();
        memcpy(exact, input.bytes, n_bytes);
        (void)LLVMFuzzerTestOneInput(exact, n_bytes);
        free(exact);
        buffer_fini(&input);
    }
    printf("fuzz_evidence: %lu rounds\n", n_rounds);
}

static int write_seeds(const char *directory)
{
    for (unsigned choice = 0; choice < 5; choice++) {
        char path[4096];
        struct buffer input;
        struct error err = {0};
        buffer_init(&input, MAX_BYTES);
        draw_input(choice, &input);
        (void)snprintf(path, sizeof path, "%s/evidence-%u", directory, choice);
        must(file_write_atomic(path, input.bytes, input.n_bytes, &err), &err);
        buffer_fini(&input);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "-n") == 0) {
        run_rounds(strtoul(argv[2], NULL, 10));
        return 0;
    }
    if (argc == 3 && strcmp(argv[1], "-s") == 0) return write_seeds(argv[2]);
    for (int i = 1; i < argc; i++) {
        char *bytes = NULL;
        size_t n_bytes;
        struct error err = {0};
        must(file_read(argv[i], MAX_BYTES, &bytes, &n_bytes, &err), &err);
        (void)LLVMFuzzerTestOneInput((const uint8_t *)bytes, n_bytes);
        free(bytes);
    }
    return 0;
}
#endif
