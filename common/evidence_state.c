#include "common/evidence_state.h"

#include "common/evidence_block.h"
#include "common/evidence_state_parts.h"
#include "common/size.h"

#include <stdlib.h>

status_t evidence_state_create(struct evidence_state **out,
                               const struct evidence_state_params *params, struct error *err)
{
    const struct evidence_identity *identity = &params->identity;
    const status_t status = evidence_identity_check(identity, err);
    if (status != ST_OK) return status;
    if (!params->documents || params->n_slots == 0 || params->n_slots > identity->n_slots ||
        params->first_slot > identity->n_slots - params->n_slots)
        return error_set(err, ST_BAD_INPUT, "evidence state of slots %u + %u, the target has %u",
                         params->first_slot, params->n_slots, identity->n_slots);
    struct evidence_state *state = calloc(1, sizeof *state);
    if (state) state->slots = malloc(params->n_slots * sizeof *state->slots);
    if (!state || !state->slots) {
        free(state);
        return error_set(err, ST_NO_MEMORY, "evidence state of %u slots", params->n_slots);
    }
    state->params = *params;
    for (uint32_t i = 0; i < params->n_slots; i++) evidence_slot_init(&state->slots[i]);
    *out = state;
    return ST_OK;
}

void evidence_state_destroy(struct evidence_state **state)
{
    if (!*state) return;
    for (uint32_t i = 0; i < (*state)->params.n_slots; i++) evidence_slot_fini(&(*state)->slots[i]);
    free((*state)->slots);
    free(*state);
    *state = NULL;
}

static status_t check_identity(const struct evidence_state *state,
                               const struct evidence_identity *identity, struct error *err)
{
    if (evidence_identity_equal(&state->params.identity, identity)) return ST_OK;
    return error_set(err, ST_CONFLICT,
                     "evidence of target %016llx, %s split, %u slots cannot join that of target "
                     "%016llx, %s split, %u slots: target, split, frozen thresholds and limits "
                     "must agree",
                     (unsigned long long)identity->target_key, evidence_split_name(identity->split),
                     identity->n_slots, (unsigned long long)state->params.identity.target_key,
                     evidence_split_name(state->params.identity.split),
                     state->params.identity.n_slots);
}

static status_t check_totals(const struct evidence_state *state, uint64_t n_more_tokens,
                             struct error *err)
{
    if (state->n_tokens + n_more_tokens <= UINT32_MAX) return ST_OK;
    return error_set(err, ST_TOO_LARGE, "evidence of more than %u tokens in a split", UINT32_MAX);
}

/* Every record decodes, to the last byte. */
static status_t check_records(struct evidence_reader *reader, struct error *err)
{
    bool is_end = false;
    status_t status = ST_OK;
    while (status == ST_OK && !is_end) status = evidence_reader_next(reader, &is_end, err);
    evidence_reader_rewind(reader);
    return status;
}

status_t evidence_state_merge_records(struct evidence_state *state, struct evidence_reader *reader,
                                      struct error *err)
{
    const struct evidence_state_params *params = &state->params;
    struct evidence_merge merge;
    status_t status = evidence_merge_init(&merge, params->documents, &reader->message, err);
    if (status == ST_OK) status = check_records(reader, err);
    while (status == ST_OK) {
        bool is_end;
        status = evidence_reader_next(reader, &is_end, err);
        if (status != ST_OK || is_end) break;
        const uint32_t slot = reader->record->slot;
        if (slot < params->first_slot || slot - params->first_slot >= params->n_slots) continue;
        status = evidence_slot_merge(&state->slots[slot - params->first_slot], reader->record,
                                     &merge, err);
    }
    evidence_merge_fini(&merge);
    return status;
}

static void add_totals(struct evidence_state *state, const struct evidence_message *message)
{
    state->n_units += message->n_units;
    state->n_tokens += message->n_tokens;
    for (uint32_t i = 0; i < message->positions.n; i++)
        state->position_tokens[message->positions.bin[i]] += message->positions.count[i];
}

status_t evidence_state_merge_partial(struct evidence_state *state, const void *bytes,
                                      size_t n_bytes, uint64_t *unit_number, struct error *err)
{
    struct evidence_reader reader;
    status_t status = evidence_reader_open(&reader, EVIDENCE_PARTIAL, bytes, n_bytes, err);
    if (status == ST_OK) status = check_identity(state, &reader.message.identity, err);
    if (status == ST_OK) status = check_totals(state, reader.message.n_tokens, err);
    if (status == ST_OK) status = evidence_state_merge_records(state, &reader, err);
    if (status == ST_OK) {
        add_totals(state, &reader.message);
        if (unit_number) *unit_number = reader.message.unit_number;
    }
    evidence_reader_close(&reader);
    return status;
}

/* One block of `other` joins through its stored form: the way that is tested most. */
static status_t merge_block(struct evidence_state *state, const struct evidence_state *other,
                            uint32_t first_slot, struct buffer *bytes, struct error *err)
{
    const uint32_t n_left = other->params.first_slot + other->params.n_slots - first_slot;
    const uint32_t n_slots = n_left < EVIDENCE_BLOCK_SLOTS ? n_left : EVIDENCE_BLOCK_SLOTS;
    struct evidence_reader reader;
    bytes->n_bytes = 0;
    status_t status = evidence_block_encode(other, first_slot, n_slots, bytes, err);
    if (status != ST_OK) return status;
    status = evidence_reader_open(&reader, EVIDENCE_BLOCK, bytes->bytes, bytes->n_bytes, err);
    if (status == ST_OK) status = evidence_state_merge_records(state, &reader, err);
    evidence_reader_close(&reader);
    return status;
}

status_t evidence_state_merge_state(struct evidence_state *state,
                                    const struct evidence_state *other, struct error *err)
{
    const struct evidence_state_params *params = &other->params;
    status_t status = check_identity(state, &params->identity, err);
    if (status == ST_OK && (params->first_slot != state->params.first_slot ||
                            params->n_slots != state->params.n_slots))
        status = error_set(err, ST_CONFLICT, "evidence of another range of slots");
    if (status == ST_OK) status = check_totals(state, other->n_tokens, err);
    if (status != ST_OK) return status;
    struct buffer bytes;
    buffer_init(&bytes, EVIDENCE_MAX_BLOCK_BYTES);
    for (uint32_t at = 0; status == ST_OK && at < params->n_slots; at += EVIDENCE_BLOCK_SLOTS)
        status = merge_block(state, other, params->first_slot + at, &bytes, err);
    buffer_fini(&bytes);
    if (status != ST_OK) return status;
    state->n_units += other->n_units;
    state->n_tokens += other->n_tokens;
    for (size_t i = 0; i < EVIDENCE_POSITION_BUCKETS; i++)
        state->position_tokens[i] += other->position_tokens[i];
    return ST_OK;
}

const struct evidence_slot *evidence_state_slot(const struct evidence_state *state, uint32_t slot)
{
    const struct evidence_state_params *params = &state->params;
    if (slot < params->first_slot || slot - params->first_slot >= params->n_slots) return NULL;
    return &state->slots[slot - params->first_slot];
}

const struct evidence_identity *evidence_state_identity(const struct evidence_state *state)
{
    return &state->params.identity;
}

uint32_t evidence_state_first_slot(const struct evidence_state *state)
{
    return state->params.first_slot;
}

uint32_t evidence_state_n_slots(const struct evidence_state *state)
{
    return state->params.n_slots;
}

uint64_t evidence_state_n_units(const struct evidence_state *state)
{
    return state->n_units;
}

uint64_t evidence_state_n_tokens(const struct evidence_state *state)
{
    return state->n_tokens;
}

size_t evidence_state_memory_bytes(const struct evidence_state *state)
{
    size_t n_bytes = sizeof *state + state->params.n_slots * sizeof *state->slots;
    for (uint32_t i = 0; i < state->params.n_slots; i++)
        n_bytes += evidence_slot_memory_bytes(&state->slots[i]);
    return n_bytes;
}

status_t evidence_partial_peek(const void *bytes, size_t n_bytes,
                               struct evidence_identity *identity, uint64_t *unit_number,
                               struct error *err)
{
    struct evidence_message message;
    const status_t status = evidence_message_peek(EVIDENCE_PARTIAL, bytes, n_bytes, &message, err);
    if (status != ST_OK) return status;
    *identity = message.identity;
    *unit_number = message.unit_number;
    return ST_OK;
}
