#include "worker/tasks/capture_accumulator.h"

#include "common/size.h"
#include "worker/tasks/capture_accumulator_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static status_t check_create(const struct evidence_identity *identity,
                             const struct evidence_frozen *frozen, struct error *err)
{
    const status_t status = evidence_identity_check(identity, err);
    if (status != ST_OK) return status;
    if (frozen && frozen->n_slots != identity->n_slots)
        return error_set(err, ST_BAD_INPUT, "frozen thresholds of %u slots for a target of %u",
                         frozen->n_slots, identity->n_slots);
    if (evidence_frozen_key(frozen) != identity->frozen_key)
        return error_set(err, ST_CONFLICT, "frozen thresholds %016llx, the task says %016llx",
                         (unsigned long long)evidence_frozen_key(frozen),
                         (unsigned long long)identity->frozen_key);
    return ST_OK;
}

status_t capture_accumulator_create(struct capture_accumulator **out,
                                    const struct evidence_identity *identity,
                                    const struct evidence_frozen *frozen, struct error *err)
{
    status_t status = check_create(identity, frozen, err);
    if (status != ST_OK) return status;
    struct capture_accumulator *accumulator = calloc(1, sizeof *accumulator);
    if (!accumulator) return error_set(err, ST_NO_MEMORY, "capture accumulator");
    accumulator->identity = *identity;
    accumulator->frozen = frozen;
    accumulator->kernels = vector_kernels_of(cpu_isa_detect(CPU_ISA_AVX512));
    accumulator->slot_start = malloc(identity->n_slots * sizeof *accumulator->slot_start);
    accumulator->slot_end = malloc(identity->n_slots * sizeof *accumulator->slot_end);
    if (!accumulator->slot_start || !accumulator->slot_end)
        status = error_set(err, ST_NO_MEMORY, "capture of %u slots", identity->n_slots);
    if (status == ST_OK) status = evidence_record_create(&accumulator->record, err);
    if (status == ST_OK)
        *out = accumulator;
    else
        capture_accumulator_destroy(&accumulator);
    return status;
}

static void free_window_scratch(struct capture_accumulator *accumulator)
{
    free(accumulator->runs);
    free(accumulator->is_out);
    free(accumulator->is_marked);
    free(accumulator->key);
    free(accumulator->below);
    free(accumulator->candidates);
    free(accumulator->by_bin);
    free(accumulator->chosen);
    free(accumulator->hits.key);
    free(accumulator->hits.order);
    free(accumulator->hits.place);
    accumulator->hits = (struct capture_hits){0};
    accumulator->window_capacity = 0;
}

void capture_accumulator_destroy(struct capture_accumulator **accumulator)
{
    struct capture_accumulator *old = *accumulator;
    if (!old) return;
    free_window_scratch(old);
    capture_windows_fini(&old->windows);
    capture_token_index_fini(&old->tokens);
    capture_digest_fini(&old->digest);
    free(old->token_start);
    free(old->slot);
    free(old->value);
    free(old->grouped);
    free(old->slot_start);
    free(old->slot_end);
    evidence_record_destroy(&old->record);
    free(old);
    *accumulator = NULL;
}

static bool allocate_window_scratch(struct capture_accumulator *accumulator, size_t n)
{
    struct capture_hits *hits = &accumulator->hits;
    accumulator->runs = malloc(n * sizeof *accumulator->runs);
    accumulator->is_out = malloc(n * sizeof *accumulator->is_out);
    accumulator->is_marked = calloc(n, sizeof *accumulator->is_marked);
    accumulator->key = malloc(n * sizeof *accumulator->key);
    accumulator->below = malloc(n / WINDOW_KEY_BLOCK * sizeof *accumulator->below);
    accumulator->candidates = malloc(n * sizeof *accumulator->candidates);
    accumulator->by_bin = malloc(n * sizeof *accumulator->by_bin);
    accumulator->chosen = malloc(n * sizeof *accumulator->chosen);
    hits->key = malloc(n * sizeof *hits->key);
    hits->order = malloc(n * sizeof *hits->order);
    hits->place = malloc(n * sizeof *hits->place);
    return accumulator->runs && accumulator->is_out && accumulator->is_marked && accumulator->key &&
           accumulator->below && accumulator->candidates && accumulator->by_bin &&
           accumulator->chosen && hits->key && hits->order && hits->place;
}

/* Room for the unit's windows and one more, in whole blocks; is_out as it is between slots. */
static status_t reserve_windows(struct capture_accumulator *accumulator, struct error *err)
{
    const struct capture_windows *windows = &accumulator->windows;
    const size_t n = (windows->n / WINDOW_KEY_BLOCK + (size_t)1) * WINDOW_KEY_BLOCK;
    if (n > accumulator->window_capacity) {
        free_window_scratch(accumulator);
        if (!allocate_window_scratch(accumulator, n))
            return error_set(err, ST_NO_MEMORY, "capture of %zu windows", n);
        accumulator->window_capacity = n;
    }
    for (size_t i = 0; i < n; i++)
        accumulator->is_out[i] =
            i >= windows->n || windows->item[i].table_place == CAPTURE_NO_PLACE;
    return ST_OK;
}

static status_t reserve_tokens(struct capture_accumulator *accumulator, size_t n_tokens,
                               struct error *err)
{
    if (n_tokens > accumulator->token_capacity || !accumulator->token_start) {
        size_t *grown =
            realloc(accumulator->token_start, (n_tokens + 1) * sizeof *accumulator->token_start);
        if (!grown) return error_set(err, ST_NO_MEMORY, "capture of %zu tokens", n_tokens);
        accumulator->token_start = grown;
        accumulator->token_capacity = n_tokens;
    }
    accumulator->token_start[0] = 0;
    accumulator->n_added_tokens = 0;
    memset(accumulator->slot_end, 0, accumulator->identity.n_slots * sizeof *accumulator->slot_end);
    return ST_OK;
}

static status_t check_begin(const struct capture_accumulator *accumulator,
                            const struct capture_unit *unit,
                            const struct evidence_thresholds *thresholds, struct error *err)
{
    if (unit->split != accumulator->identity.split)
        return error_set(err, ST_BAD_INPUT, "capture unit %llu is of another split",
                         (unsigned long long)unit->unit_number);
    if (thresholds &&
        !evidence_identity_equal(&accumulator->identity, evidence_thresholds_identity(thresholds)))
        return error_set(err, ST_CONFLICT, "thresholds of another target, split or limits");
    return capture_unit_check(unit, err);
}

status_t capture_accumulator_begin(struct capture_accumulator *accumulator,
                                   const struct capture_unit *unit,
                                   const struct evidence_thresholds *thresholds, struct error *err)
{
    accumulator->unit = NULL;
    accumulator->digest.taken = NULL;
    status_t status = check_begin(accumulator, unit, thresholds, err);
    if (status == ST_OK)
        status =
            capture_windows_cut(&accumulator->windows, unit, &accumulator->identity.limits, err);
    if (status == ST_OK) status = reserve_windows(accumulator, err);
    if (status == ST_OK)
        status = reserve_tokens(accumulator, (size_t)unit->n_rows * unit->row_tokens, err);
    if (status == ST_OK && accumulator->frozen)
        status = capture_token_index_build(&accumulator->tokens, unit, &accumulator->windows, err);
    if (status != ST_OK) return status;
    accumulator->unit = unit;
    accumulator->thresholds = thresholds;
    return ST_OK;
}

static status_t reserve_activations(struct capture_accumulator *accumulator, size_t n,
                                    struct error *err)
{
    if (n <= accumulator->activation_capacity) return ST_OK;
    size_t capacity = accumulator->activation_capacity ? accumulator->activation_capacity : 4096;
    while (capacity < n) capacity *= 2;
    if (capacity > UINT32_MAX)
        return error_set(err, ST_TOO_LARGE, "capture unit with %zu activations", n);
    uint32_t *slot = realloc(accumulator->slot, capacity * sizeof *slot);
    if (slot) accumulator->slot = slot;
    float *value = realloc(accumulator->value, capacity * sizeof *value);
    if (value) accumulator->value = value;
    struct capture_activation *grouped = realloc(accumulator->grouped, capacity * sizeof *grouped);
    if (grouped) accumulator->grouped = grouped;
    if (!slot || !value || !grouped)
        return error_set(err, ST_NO_MEMORY, "capture unit with %zu activations", n);
    accumulator->activation_capacity = capacity;
    return ST_OK;
}

/* Copy and count the positive values of one token; false if a slot or value is not what it must
 * be. */
static bool add_token(struct capture_accumulator *accumulator, const struct sparse_rows *rows,
                      size_t row)
{
    const uint32_t n_slots = accumulator->identity.n_slots;
    uint32_t *count = accumulator->slot_end, *slots = accumulator->slot;
    float *values = accumulator->value;
    size_t at = accumulator->token_start[accumulator->n_added_tokens];
    uint32_t next_slot = 0;
    for (size_t i = rows->row_start[row]; i < rows->row_start[row + 1]; i++) {
        const uint32_t slot = rows->feature[i];
        const float value = rows->value[i];
        if (slot < next_slot || slot >= n_slots || !isfinite(value)) return false;
        next_slot = slot + 1;
        if (!(value > 0)) continue;
        slots[at] = slot;
        values[at++] = value;
        count[slot]++;
    }
    accumulator->token_start[++accumulator->n_added_tokens] = at;
    return true;
}

/* What was counted of the token is not taken back: the unit has to begin again. */
static status_t refuse_token(struct capture_accumulator *accumulator, struct error *err)
{
    const unsigned long long unit_number = accumulator->unit->unit_number;
    accumulator->unit = NULL;
    return error_set(err, ST_BAD_INPUT,
                     "token %zu of capture unit %llu: a slot out of order or range, or "
                     "an activation that is not finite",
                     accumulator->n_added_tokens, unit_number);
}

status_t capture_accumulator_add(struct capture_accumulator *accumulator,
                                 const struct sparse_rows *rows, struct error *err)
{
    size_t n_needed;
    if (!accumulator->unit) return error_set(err, ST_BAD_INPUT, "activations without a unit");
    const size_t n_tokens = (size_t)accumulator->unit->n_rows * accumulator->unit->row_tokens;
    if (rows->n_rows > n_tokens - accumulator->n_added_tokens)
        return error_set(err, ST_BAD_INPUT, "activations of %zu tokens too many",
                         rows->n_rows - (n_tokens - accumulator->n_added_tokens));
    if (rows->n_rows == 0) return ST_OK;
    if (!size_add(accumulator->token_start[accumulator->n_added_tokens],
                  rows->row_start[rows->n_rows] - rows->row_start[0], &n_needed))
        return error_set(err, ST_TOO_LARGE, "too many activations");
    const status_t status = reserve_activations(accumulator, n_needed, err);
    if (status != ST_OK) return status;
    for (size_t row = 0; row < rows->n_rows; row++)
        if (!add_token(accumulator, rows, row)) return refuse_token(accumulator, err);
    return ST_OK;
}

static status_t write_records(struct capture_accumulator *accumulator, struct buffer *out,
                              uint32_t *n_records, struct error *err)
{
    uint32_t next_slot = 0;
    *n_records = 0;
    for (uint32_t slot = 0; slot < accumulator->identity.n_slots; slot++) {
        status_t status = accumulator->digest.taken ? capture_slot_digest(accumulator, slot, err)
                                                    : capture_slot_record(accumulator, slot, err);
        if (status == ST_OK && evidence_record_is_empty(accumulator->record)) continue;
        if (status == ST_OK)
            status = evidence_record_encode(accumulator->record, slot - next_slot, out, err);
        if (status != ST_OK) return status;
        next_slot = slot + 1;
        ++*n_records;
    }
    return ST_OK;
}

status_t capture_accumulator_finish(struct capture_accumulator *accumulator, struct buffer *out,
                                    struct error *err)
{
    const size_t n_before = out->n_bytes;
    size_t patch_at = 0;
    uint32_t n_records = 0;
    if (!accumulator->unit) return error_set(err, ST_BAD_INPUT, "no capture unit to finish");
    const struct evidence_message message = {
        .kind = EVIDENCE_PARTIAL,
        .identity = accumulator->identity,
        .unit_number = accumulator->unit->unit_number,
        .documents_check = accumulator->windows.documents_check,
        .n_tokens = accumulator->windows.n_tokens,
        .positions = accumulator->windows.positions,
        .table = accumulator->windows.table,
    };
    status_t status = accumulator->digest.taken ? ST_OK : capture_group_by_slot(accumulator, err);
    if (status == ST_OK) status = evidence_message_begin(&message, out, &patch_at, err);
    if (status == ST_OK) status = write_records(accumulator, out, &n_records, err);
    if (status == ST_OK)
        evidence_message_end(out, patch_at, n_records);
    else
        out->n_bytes = n_before;
    accumulator->unit = NULL;
    return status;
}
