/* What one slot did in a unit, as a record: one look at its activations, then at its windows. */
#include "common/evidence_key.h"
#include "worker/tasks/capture_accumulator_parts.h"

static float fire_threshold(const struct capture_accumulator *accumulator, uint32_t slot)
{
    return accumulator->frozen ? accumulator->frozen->fire_threshold[slot] : 0;
}

/* Cut the slot's activations into one run per window, and count their values. No branch depends
 * on where or how strongly a slot fires. */
static void read_values(struct capture_accumulator *accumulator, uint32_t slot, float threshold)
{
    struct evidence_record *record = accumulator->record;
    struct capture_tally *tally = &accumulator->tally;
    struct capture_run *runs = accumulator->runs, run = {.window = CAPTURE_NO_PLACE};
    const uint32_t end = accumulator->slot_end[slot];
    size_t n_runs = 0;
    uint64_t sum = 0;
    uint32_t n_firing = 0;
    float max_value = 0;
    for (uint32_t i = accumulator->slot_start[slot]; i < end; i++) {
        const struct capture_activation activation = accumulator->grouped[i];
        const uint32_t window = capture_place_window(activation.place);
        const float value = activation.value;
        const bool is_new = window != run.window;
        run.window = window;
        run.first = is_new ? i : run.first;
        run.max_value = is_new || value > run.max_value ? value : run.max_value;
        n_runs += is_new;
        runs[n_runs - 1] = run;
        capture_tally_add(tally, evidence_value_bin(value));
        sum = evidence_sum_add(sum, evidence_sum_of(value));
        n_firing += value > threshold;
        max_value = value > max_value ? value : max_value;
    }
    runs[n_runs].first = end;
    accumulator->n_runs = n_runs;
    record->n_firing_tokens = n_firing;
    record->sum_fixed = sum;
    record->max_value = max_value;
    capture_tally_take(tally, &record->values);
}

static void count_hard_tokens(struct capture_accumulator *accumulator, uint32_t slot,
                              float threshold)
{
    const uint32_t *hard = accumulator->frozen->hard_tokens[slot];
    for (uint32_t i = accumulator->slot_start[slot]; i < accumulator->slot_end[slot]; i++) {
        const struct capture_activation *activation = &accumulator->grouped[i];
        const uint32_t window = capture_place_window(activation->place);
        const uint32_t token =
            accumulator->unit->tokens[accumulator->windows.item[window].first_token +
                                      capture_place_position(activation->place)];
        for (size_t j = 0; j < EVIDENCE_HARD_TOKENS; j++)
            accumulator->record->n_firing_on_hard[j] +=
                activation->value > threshold && hard[j] == token;
    }
}

static void count_positions(struct capture_accumulator *accumulator, uint32_t slot, float threshold)
{
    for (uint32_t i = accumulator->slot_start[slot]; i < accumulator->slot_end[slot]; i++) {
        const uint32_t place = accumulator->grouped[i].place;
        const uint32_t position =
            accumulator->windows.item[capture_place_window(place)].first_position +
            capture_place_position(place);
        if (accumulator->grouped[i].value > threshold)
            capture_tally_add(&accumulator->tally, evidence_position_bucket(position));
    }
    capture_tally_take(&accumulator->tally, &accumulator->record->positions);
}

/* Of the windows in which the slot fires: mark them, count those that are long enough to be kept
 * by their maximum, which are candidates, and make the documents hits whose number is at most
 * `limit`. No branch depends on which they are. */
static void take_firing_runs(struct capture_accumulator *accumulator, float threshold,
                             uint64_t limit)
{
    const struct capture_windows *windows = &accumulator->windows;
    struct capture_candidate *candidates = accumulator->candidates;
    struct capture_hits *hits = &accumulator->hits;
    const size_t n_runs = accumulator->n_runs;
    size_t n = 0, n_hits = 0;
    uint32_t last = CAPTURE_NO_PLACE;
    for (size_t i = 0; i < n_runs; i++) {
        const struct capture_run run = accumulator->runs[i];
        const struct capture_window *window = &windows->item[run.window];
        const uint32_t place = window->document_place;
        const bool is_firing = run.max_value > threshold;
        accumulator->is_out[run.window] |= is_firing;
        candidates[n] = (struct capture_candidate){
            .max_value = run.max_value,
            .bin = evidence_reservoir_bin(run.max_value),
            .run = (uint32_t)i,
        };
        n += is_firing && window->table_place != CAPTURE_NO_PLACE;
        hits->key[n_hits] = windows->document_number[place];
        hits->place[n_hits] = place;
        n_hits += is_firing && place != last && hits->key[n_hits] <= limit;
        last = is_firing ? place : last;
    }
    accumulator->n_candidates = n;
    accumulator->last_document = last;
    hits->n = n_hits;
}

/* At least one document is named if the slot fired, so that the record says so even when none
 * can enter its set of smallest numbers. */
void capture_slot_documents(struct capture_accumulator *accumulator)
{
    struct evidence_record *record = accumulator->record;
    record->n_documents = (uint32_t)capture_hits_smallest(
        &accumulator->hits, accumulator->identity.limits.doc_k, record->document);
    if (accumulator->hits.n == 0 && accumulator->last_document != CAPTURE_NO_PLACE)
        record->document[record->n_documents++] = accumulator->last_document;
}

static void count_windows(struct capture_accumulator *accumulator)
{
    struct capture_tally *tally = &accumulator->tally;
    for (size_t i = 0; i < accumulator->n_candidates; i++)
        capture_tally_add(tally, accumulator->candidates[i].bin);
    capture_tally_take(tally, &accumulator->record->windows);
}

/* Leave only the candidates that can enter the slot's top or a bin, now that keys are known. */
static void drop_candidates(struct capture_accumulator *accumulator,
                            const struct evidence_cuts *cuts)
{
    struct capture_candidate *candidates = accumulator->candidates;
    size_t n = 0;
    for (size_t i = 0; i < accumulator->n_candidates; i++) {
        struct capture_candidate candidate = candidates[i];
        candidate.key = accumulator->key[accumulator->runs[candidate.run].window];
        if (evidence_cuts_keep(cuts, candidate.max_value, candidate.bin, candidate.key))
            candidates[n++] = candidate;
    }
    accumulator->n_candidates = n;
}

static void copy_run(struct capture_accumulator *accumulator, const struct capture_run *run)
{
    struct evidence_record *record = accumulator->record;
    const uint32_t n = run[1].first - run[0].first;
    record->firing[record->n_firing++] =
        (struct evidence_firing_ref){accumulator->windows.item[run->window].table_place,
                                     (uint32_t)record->n_activations, (uint16_t)n, run->max_value};
    for (uint32_t i = run->first; i < run->first + n; i++) {
        record->position[record->n_activations] =
            (uint16_t)capture_place_position(accumulator->grouped[i].place);
        record->value[record->n_activations++] = accumulator->grouped[i].value;
    }
}

static status_t keep_windows(struct capture_accumulator *accumulator, uint32_t slot,
                             struct error *err)
{
    const struct capture_select_room room = {&accumulator->hits, accumulator->by_bin,
                                             accumulator->chosen};
    const struct capture_candidate *candidates = accumulator->candidates;
    const size_t n = accumulator->n_candidates;
    if (n == 0) return ST_OK;
    const uint32_t n_values = accumulator->slot_end[slot] - accumulator->slot_start[slot];
    const status_t status = evidence_record_reserve(accumulator->record, n_values, err);
    if (status != ST_OK) return status;
    capture_select(&room, &accumulator->identity.limits, accumulator->candidates, n);
    for (size_t i = 0; i < n; i++)
        if (candidates[i].is_kept) copy_run(accumulator, &accumulator->runs[candidates[i].run]);
    return ST_OK;
}

static void forget_runs(struct capture_accumulator *accumulator)
{
    for (size_t i = 0; i < accumulator->n_runs; i++) {
        const uint32_t window = accumulator->runs[i].window;
        accumulator->is_out[window] =
            accumulator->windows.item[window].table_place == CAPTURE_NO_PLACE;
    }
}

status_t capture_slot_record(struct capture_accumulator *accumulator, uint32_t slot,
                             struct error *err)
{
    const struct evidence_cuts cuts = evidence_thresholds_cuts(accumulator->thresholds, slot);
    const float threshold = fire_threshold(accumulator, slot);
    evidence_record_reset(accumulator->record, slot);
    read_values(accumulator, slot, threshold);
    take_firing_runs(accumulator, threshold, cuts.document);
    capture_slot_documents(accumulator);
    count_windows(accumulator);
    capture_slot_silent(accumulator, slot, &cuts);
    drop_candidates(accumulator, &cuts);
    const status_t status = keep_windows(accumulator, slot, err);
    if (accumulator->identity.limits.counts_positions)
        count_positions(accumulator, slot, threshold);
    if (accumulator->frozen) {
        count_hard_tokens(accumulator, slot, threshold);
        capture_slot_near_misses(accumulator, slot, &cuts);
        capture_slot_neighbours(accumulator, slot, &cuts);
    }
    forget_runs(accumulator);
    return status;
}
