/* A unit's evidence from the digest of its rows: what a device has grouped and selected becomes
 * records; samples of silent windows and the documents are the host's, from the windows that are
 * active. */
#include "worker/tasks/capture_accumulator_parts.h"

#include <stdlib.h>

enum { WORD_BITS = 32 };

void capture_digest_fini(struct capture_digest *digest)
{
    free(digest->windows);
    free(digest->cut);
    free(digest->limits);
    *digest = (struct capture_digest){.windows = NULL};
}

size_t capture_digest_windows(const struct evidence_limits *limits, size_t n_tokens)
{
    return 2 * ((n_tokens + limits->window_tokens - 1) / limits->window_tokens);
}

static size_t unit_tokens(const struct capture_accumulator *accumulator)
{
    return (size_t)accumulator->unit->n_rows * accumulator->unit->row_tokens;
}

bool capture_accumulator_can_digest(const struct capture_accumulator *accumulator)
{
    const struct evidence_limits *limits = &accumulator->identity.limits;
    const size_t n_tokens = unit_tokens(accumulator);
    const size_t n_windows = capture_digest_windows(limits, n_tokens);
    return !accumulator->frozen && !limits->counts_positions && n_tokens <= DIGEST_MAX_TOKENS &&
           n_windows <= DIGEST_MAX_WINDOWS && accumulator->windows.n <= n_windows;
}

/* --- what is asked ------------------------------------------------------------------------- */

static status_t put_windows(struct capture_accumulator *accumulator, size_t room, struct error *err)
{
    struct capture_digest *digest = &accumulator->digest;
    if (room > digest->window_capacity) {
        struct digest_window *grown = realloc(digest->windows, room * sizeof *grown);
        if (!grown) return error_set(err, ST_NO_MEMORY, "digest of %zu windows", room);
        digest->windows = grown;
        digest->window_capacity = room;
    }
    for (size_t i = 0; i < accumulator->windows.n; i++) {
        const struct capture_window *item = &accumulator->windows.item[i];
        digest->windows[i] =
            (struct digest_window){.number = item->number,
                                   .first_token = item->first_token,
                                   .n_tokens = item->window.n_tokens,
                                   .may_be_kept = item->table_place != CAPTURE_NO_PLACE};
    }
    return ST_OK;
}

static status_t put_cuts(struct capture_accumulator *accumulator, uint64_t number,
                         struct error *err)
{
    struct capture_digest *digest = &accumulator->digest;
    const uint32_t n_slots = accumulator->identity.n_slots;
    if (!accumulator->thresholds || number == digest->cuts.number) return ST_OK;
    if (!digest->cut) digest->cut = malloc(n_slots * sizeof *digest->cut);
    if (!digest->limits) digest->limits = malloc((size_t)n_slots * EVIDENCE_RESERVOIR_BINS);
    if (!digest->cut || !digest->limits)
        return error_set(err, ST_NO_MEMORY, "cut-offs of %u slots", n_slots);
    uint32_t n_limits = 0;
    for (uint32_t slot = 0; slot < n_slots; slot++) {
        const struct evidence_cuts cuts = evidence_thresholds_cuts(accumulator->thresholds, slot);
        digest->cut[slot] = (struct digest_cut){.top_bits = cuts.top_bits,
                                                .first_limit = n_limits,
                                                .first_bin = (uint16_t)cuts.first_bin,
                                                .n_bins = (uint16_t)cuts.n_bins};
        for (uint32_t i = 0; i < cuts.n_bins; i++) digest->limits[n_limits++] = cuts.bin_limit[i];
    }
    digest->cuts = (struct digest_cuts){
        .number = number, .cut = digest->cut, .limits = digest->limits, .n_limits = n_limits};
    return ST_OK;
}

status_t capture_accumulator_ask_digest(struct capture_accumulator *accumulator,
                                        uint64_t thresholds_number, struct digest_params *out,
                                        struct error *err)
{
    const struct evidence_limits *limits = &accumulator->identity.limits;
    const size_t n_tokens = unit_tokens(accumulator);
    const size_t room = capture_digest_windows(limits, n_tokens);
    status_t status = put_windows(accumulator, room, err);
    if (status == ST_OK) status = put_cuts(accumulator, thresholds_number, err);
    *out =
        (struct digest_params){.n_tokens = n_tokens,
                               .windows = accumulator->digest.windows,
                               .n_windows = accumulator->windows.n,
                               .room_windows = room,
                               .top_k = limits->top_k,
                               .bin_k = limits->bin_k,
                               .cuts = accumulator->thresholds ? &accumulator->digest.cuts : NULL};
    return status;
}

status_t capture_accumulator_take_digest(struct capture_accumulator *accumulator,
                                         const struct digest *digest, struct error *err)
{
    if (!accumulator->unit) return error_set(err, ST_BAD_INPUT, "a digest without a unit");
    if (digest->is_over || digest->n_slots != accumulator->identity.n_slots)
        return error_set(err, ST_BAD_INPUT, "a digest of %zu slots for %u", digest->n_slots,
                         accumulator->identity.n_slots);
    accumulator->digest.taken = digest;
    accumulator->digest.words = digest->words;
    accumulator->digest.positions = digest->positions;
    accumulator->digest.values = digest->values;
    return ST_OK;
}

/* --- one slot ------------------------------------------------------------------------------ */

/* Returns the sum of the counts. */
static uint32_t read_bins(struct capture_digest *digest, uint32_t n,
                          struct evidence_bin_counts *out)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t word = *digest->words++;
        out->bin[i] = (uint16_t)(word >> DIGEST_BIN_SHIFT);
        out->count[i] = word & ((1u << DIGEST_BIN_SHIFT) - 1);
        sum += out->count[i];
    }
    out->n = n;
    return sum;
}

/* Mark the active windows, and make the documents hits whose number is at most `limit`. */
static void take_active(struct capture_accumulator *accumulator, const uint32_t *active,
                        uint64_t limit)
{
    const struct capture_windows *windows = &accumulator->windows;
    struct capture_hits *hits = &accumulator->hits;
    uint32_t last = CAPTURE_NO_PLACE;
    size_t n_hits = 0;
    for (size_t word = 0; word < accumulator->digest.taken->n_active_words; word++) {
        for (uint32_t bits = active[word]; bits; bits &= bits - 1) {
            const size_t window = word * WORD_BITS + (size_t)__builtin_ctz(bits);
            const uint32_t place = windows->item[window].document_place;
            accumulator->is_out[window] = true;
            hits->key[n_hits] = windows->document_number[place];
            hits->place[n_hits] = place;
            n_hits += place != last && hits->key[n_hits] <= limit;
            last = place;
        }
    }
    accumulator->last_document = last;
    hits->n = n_hits;
}

static void forget_active(struct capture_accumulator *accumulator, const uint32_t *active)
{
    for (size_t word = 0; word < accumulator->digest.taken->n_active_words; word++) {
        for (uint32_t bits = active[word]; bits; bits &= bits - 1) {
            const size_t window = word * WORD_BITS + (size_t)__builtin_ctz(bits);
            accumulator->is_out[window] =
                accumulator->windows.item[window].table_place == CAPTURE_NO_PLACE;
        }
    }
}

static void copy_window(struct capture_accumulator *accumulator)
{
    struct capture_digest *digest = &accumulator->digest;
    struct evidence_record *record = accumulator->record;
    const uint32_t word = *digest->words++, n = word & ((1u << DIGEST_WINDOW_SHIFT) - 1);
    const struct capture_window *window = &accumulator->windows.item[word >> DIGEST_WINDOW_SHIFT];
    struct evidence_firing_ref *firing = &record->firing[record->n_firing++];
    *firing = (struct evidence_firing_ref){window->table_place, (uint32_t)record->n_activations,
                                           (uint16_t)n, 0};
    for (uint32_t i = 0; i < n; i++) {
        const float value = *digest->values++;
        firing->max_value = value > firing->max_value ? value : firing->max_value;
        record->position[record->n_activations] = *digest->positions++;
        record->value[record->n_activations++] = value;
    }
}

status_t capture_slot_digest(struct capture_accumulator *accumulator, uint32_t slot,
                             struct error *err)
{
    struct capture_digest *digest = &accumulator->digest;
    struct evidence_record *record = accumulator->record;
    const struct evidence_cuts cuts = evidence_thresholds_cuts(accumulator->thresholds, slot);
    const struct digest_slot *from = &digest->taken->slots[slot];
    const uint32_t *active = digest->taken->active + slot * digest->taken->n_active_words;
    evidence_record_reset(record, slot);
    record->sum_fixed = from->sum_fixed;
    record->max_value = from->max_value;
    record->n_firing_tokens = read_bins(digest, from->n_value_bins, &record->values);
    accumulator->n_candidates = read_bins(digest, from->n_window_bins, &record->windows);
    take_active(accumulator, active, cuts.document);
    capture_slot_documents(accumulator);
    capture_slot_silent(accumulator, slot, &cuts);
    const status_t status = evidence_record_reserve(record, from->n_pairs, err);
    for (uint32_t i = 0; status == ST_OK && i < from->n_kept; i++) copy_window(accumulator);
    forget_active(accumulator, active);
    return status;
}
