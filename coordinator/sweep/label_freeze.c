/* What the merged explain split fixes for the splits that come after it; neighbours are there
 * already (label_neighbours.c). */
#include "common/evidence_zstd.h"
#include "coordinator/sweep/label_run.h"

struct token_source {
    const struct token_corpus *corpus;
};

static status_t look_up_tokens(void *context, const struct evidence_window *window,
                               uint32_t *tokens, struct error *err)
{
    const struct token_source *source = context;
    return token_corpus_read(source->corpus, window->document_index, window->document_offset,
                             window->n_tokens, tokens, err);
}

/* Units of a dense kind fire above a high quantile of |value|; both signs share the histogram. */
static void freeze_thresholds(const struct sweep_spec *spec, const struct sweep_target *wanted,
                              struct label_target *target)
{
    const uint32_t n_signs = target->is_signed ? 2 : 1;
    const struct evidence_state *explain = target->states[EVIDENCE_EXPLAIN];
    if (wanted->units == SWEEP_UNITS_DICTIONARY) return;
    for (uint32_t slot = 0; slot + n_signs <= target->n_slots; slot += n_signs) {
        const uint32_t slots[2] = {slot, slot + 1};
        const float threshold = evidence_freeze_threshold(explain, slots, n_signs,
                                                          1.0 - spec->thresholds.unit_quantile);
        for (uint32_t i = 0; i < n_signs; i++) target->frozen.fire_threshold[slot + i] = threshold;
    }
}

/* Once, not for every lease. */
static status_t pack(struct label_target *target, struct error *err)
{
    struct buffer plain;
    buffer_init(&plain, EVIDENCE_MAX_PARTIAL_BYTES);
    buffer_fini(&target->frozen_packed);
    buffer_init(&target->frozen_packed, EVIDENCE_MAX_PARTIAL_BYTES);
    status_t status = evidence_frozen_encode(&target->frozen, &plain, err);
    if (status == ST_OK)
        status = evidence_compress(plain.bytes, plain.n_bytes, &target->frozen_packed, err);
    buffer_fini(&plain);
    return status;
}

status_t label_freeze(struct label_run *run, struct error *err)
{
    const struct sweep_spec *spec = run->sweep->spec;
    struct token_source source = {run->corpus};
    status_t status = ST_OK;
    for (size_t i = 0; i < spec->n_targets && status == ST_OK; i++) {
        freeze_thresholds(spec, &spec->targets[i], &run->targets[i]);
        status = evidence_freeze_hard_tokens(run->targets[i].states[EVIDENCE_EXPLAIN],
                                             look_up_tokens, &source, &run->targets[i].frozen, err);
        if (status == ST_OK)
            status = evidence_freeze_strong_values(run->targets[i].states[EVIDENCE_EXPLAIN],
                                                   &run->targets[i].frozen, err);
        if (status == ST_OK) status = pack(&run->targets[i], err);
    }
    return status;
}
