#include "coordinator/plan/capture_plan_parts.h"

#include "common/hash.h"
#include "common/size.h"

#include <stdlib.h>
#include <string.h>

/* Units are numbered by 64 bits, segments of a plan are held in memory. */
#define MAX_SEGMENTS (UINT64_C(1) << 32)

/* Where the next piece goes while units are cut. */
struct cutter {
    struct capture_plan *plan;
    uint8_t side;
    uint32_t row;      /* in the open unit */
    uint32_t position; /* in the row; 0: nothing in it */
    bool has_unit;
};

/* --- parameters ------------------------------------------------------------------------- */

status_t capture_plan_params_init(struct capture_plan_params *out, const struct sweep_spec *spec,
                                  uint32_t bos_token, uint32_t eos_token, bool model_uses_bos,
                                  struct error *err)
{
    const struct sweep_corpus *corpus = &spec->corpus;
    const bool wants_bos =
        corpus->bos == SWEEP_BOS_TRUE || (corpus->bos == SWEEP_BOS_AUTO && model_uses_bos);
    if (wants_bos && bos_token == EVIDENCE_NO_TOKEN)
        return error_set(err, ST_BAD_INPUT, "corpus.bos: %s: the model has no BOS token",
                         spec->model);
    *out = (struct capture_plan_params){.packing = corpus->packing,
                                        .rows_per_unit = spec->rows_per_unit,
                                        .context_tokens = corpus->context_tokens,
                                        .min_window_tokens = corpus->min_window_tokens,
                                        .bos_token = wants_bos ? bos_token : EVIDENCE_NO_TOKEN,
                                        .eos_token = eos_token,
                                        .splits = spec->splits,
                                        .seed = spec->seed};
    return ST_OK;
}

static status_t check_params(const struct capture_plan_params *params, struct error *err)
{
    const uint32_t n_bos = params->bos_token != EVIDENCE_NO_TOKEN;
    const struct sweep_splits *splits = &params->splits;
    if (params->rows_per_unit == 0 || params->min_window_tokens == 0 ||
        splits->explain + splits->validate + splits->test != 100)
        return error_set(err, ST_BAD_INPUT, "capture plan: rows, windows or splits are not set");
    if (params->context_tokens < n_bos + params->min_window_tokens)
        return error_set(
            err, ST_BAD_INPUT, "a context of %u tokens has no room for a window of %u%s",
            params->context_tokens, params->min_window_tokens, n_bos ? " behind BOS" : "");
    if (params->packing == SWEEP_PACKING_CONCATENATE && !n_bos &&
        params->eos_token == EVIDENCE_NO_TOKEN)
        return error_set(err, ST_BAD_INPUT,
                         "packing: concatenate needs BOS or EOS between documents; this model has "
                         "neither (use packing: none)");
    return ST_OK;
}

/* --- cutting ---------------------------------------------------------------------------- */

/* Room for one more item; doubles. */
static bool grow(void **array, size_t *capacity, size_t n_used, size_t item_size)
{
    size_t wanted = *capacity ? *capacity : 256, n_bytes;
    void *bigger;
    if (n_used < *capacity) return true;
    if (*capacity && !size_mul(*capacity, 2, &wanted)) return false;
    if (!size_mul(wanted, item_size, &n_bytes)) return false;
    bigger = realloc(*array, n_bytes);
    if (!bigger) return false;
    *array = bigger;
    *capacity = wanted;
    return true;
}

static status_t open_unit(struct cutter *cutter, struct error *err)
{
    struct capture_plan *plan = cutter->plan;
    void *units = plan->units;
    const bool is_ok = grow(&units, &plan->unit_capacity, plan->n_units, sizeof *plan->units);
    plan->units = units;
    if (!is_ok) return error_set(err, ST_NO_MEMORY, "%zu capture units", plan->n_units);
    plan->units[plan->n_units++] =
        (struct planned_unit){.first_segment = plan->n_segments, .side = cutter->side};
    plan->stats.n_units[split_of_side(cutter->side)]++;
    cutter->has_unit = true;
    cutter->row = cutter->position = 0;
    return ST_OK;
}

static void next_row(struct cutter *cutter)
{
    cutter->position = 0;
    if (++cutter->row == cutter->plan->params.rows_per_unit) cutter->has_unit = false;
}

/* Where a piece would begin in the open row, its separator counted. */
static uint32_t next_start(const struct cutter *cutter)
{
    const struct capture_plan_params *params = &cutter->plan->params;
    if (cutter->position == 0) return params->bos_token != EVIDENCE_NO_TOKEN;
    return cutter->position + 1;
}

static status_t add_segment(struct cutter *cutter, const struct capture_segment *segment,
                            struct error *err)
{
    struct capture_plan *plan = cutter->plan;
    void *segments = plan->segments;
    const enum evidence_split split = split_of_side(cutter->side);
    const bool is_ok =
        plan->n_segments < MAX_SEGMENTS &&
        grow(&segments, &plan->segment_capacity, plan->n_segments, sizeof *plan->segments);
    plan->segments = segments;
    if (!is_ok) return error_set(err, ST_NO_MEMORY, "%zu segments", plan->n_segments);
    plan->segments[plan->n_segments++] = *segment;
    plan->units[plan->n_units - 1].n_segments++;
    plan->stats.n_tokens[split] += segment->length;
    if (cutter->position == 0) plan->stats.n_rows[split]++;
    cutter->position = segment->start + segment->length;
    return ST_OK;
}

/* May a piece of a document with `n_left` tokens begin at `start`? Not as a stump that is no
 * window, when a fresh row would hold more of it. */
static bool has_room(const struct capture_plan_params *params, uint32_t start, uint32_t n_left)
{
    const uint32_t least = n_left < params->min_window_tokens ? n_left : params->min_window_tokens;
    return start < params->context_tokens && params->context_tokens - start >= least;
}

static status_t cut_document(struct cutter *cutter, size_t document_index, struct error *err)
{
    struct capture_plan *plan = cutter->plan;
    const struct capture_plan_params *params = &plan->params;
    const struct token_document document = token_corpus_document(plan->corpus, document_index);
    const bool is_alone = params->packing == SWEEP_PACKING_NONE;
    uint32_t offset = 0;
    while (document.n_tokens - offset >= params->min_window_tokens) {
        const uint32_t n_left = document.n_tokens - offset;
        status_t status = ST_OK;
        if (cutter->has_unit && cutter->position &&
            (is_alone || !has_room(params, next_start(cutter), n_left)))
            next_row(cutter);
        if (!cutter->has_unit) status = open_unit(cutter, err);
        if (status != ST_OK) return status;
        const uint32_t start = next_start(cutter);
        const uint32_t n_room = params->context_tokens - start;
        const uint32_t length = n_left < n_room ? n_left : n_room;
        status = add_segment(cutter,
                             &(struct capture_segment){.row = cutter->row,
                                                       .start = start,
                                                       .length = length,
                                                       .document_index = (uint32_t)document_index,
                                                       .document_offset = offset,
                                                       .document_key = document.key},
                             err);
        if (status != ST_OK) return status;
        offset += length;
    }
    plan->stats.n_short_tokens += document.n_tokens - offset;
    if (offset == 0) plan->stats.n_short_documents++;
    if (offset > 0) plan->stats.n_documents[split_of_side(cutter->side)]++;
    return ST_OK;
}

static status_t cut_side(struct capture_plan *plan, uint8_t which, const uint8_t *side,
                         struct error *err)
{
    struct cutter cutter = {.plan = plan, .side = which};
    const size_t n_documents = token_corpus_n_documents(plan->corpus);
    for (size_t i = 0; i < n_documents; i++) {
        status_t status;
        if (side[i] != which) continue;
        status = cut_document(&cutter, i, err);
        if (status != ST_OK) return status;
    }
    return ST_OK;
}

static uint8_t last_side(const struct token_corpus *corpus)
{
    const size_t n = token_corpus_n_documents(corpus);
    const uint32_t n_ood = n ? token_corpus_document(corpus, n - 1).corpus_index : 0;
    return n_ood ? (uint8_t)(EVIDENCE_OOD + n_ood - 1) : EVIDENCE_TEST;
}

static status_t check_sides(const struct capture_plan *plan, struct error *err)
{
    const struct sweep_splits *splits = &plan->params.splits;
    const uint32_t percent[] = {splits->explain, splits->validate, splits->test};
    for (unsigned split = EVIDENCE_EXPLAIN; split <= EVIDENCE_TEST; split++) {
        if (percent[split] == 0 || plan->stats.n_units[split] > 0) continue;
        return error_set(err, ST_BAD_INPUT,
                         "the corpus is too small: none of its %zu documents of at least %u tokens "
                         "fell into %s (%u %%)",
                         token_corpus_n_documents(plan->corpus), plan->params.min_window_tokens,
                         evidence_split_name((enum evidence_split)split), percent[split]);
    }
    return ST_OK;
}

static status_t cut_all(struct capture_plan *plan, struct error *err)
{
    const size_t n_documents = token_corpus_n_documents(plan->corpus);
    uint8_t *side = malloc(n_documents ? n_documents : 1);
    const uint8_t last = last_side(plan->corpus);
    status_t status;
    if (!side) return error_set(err, ST_NO_MEMORY, "%zu documents", n_documents);
    status = split_assign(plan->corpus, &plan->params.splits, plan->params.seed, side,
                          &plan->stats.duplicates, err);
    for (unsigned which = 0; status == ST_OK && which <= last; which++)
        status = cut_side(plan, (uint8_t)which, side, err);
    free(side);
    return status == ST_OK ? check_sides(plan, err) : status;
}

status_t capture_plan_create(struct capture_plan **out, const struct token_corpus *corpus,
                             const struct capture_plan_params *params, struct error *err)
{
    struct capture_plan *plan;
    status_t status = check_params(params, err);
    if (status != ST_OK) return status;
    plan = calloc(1, sizeof *plan);
    if (!plan) return error_set(err, ST_NO_MEMORY, "capture plan");
    plan->corpus = corpus;
    plan->params = *params;
    plan->separator =
        params->bos_token != EVIDENCE_NO_TOKEN ? params->bos_token : params->eos_token;
    status = cut_all(plan, err);
    if (status == ST_OK)
        *out = plan;
    else
        capture_plan_destroy(&plan);
    return status;
}

void capture_plan_destroy(struct capture_plan **plan)
{
    if (!plan || !*plan) return;
    free((*plan)->units);
    free((*plan)->segments);
    free(*plan);
    *plan = NULL;
}

/* --- reading ---------------------------------------------------------------------------- */

uint64_t capture_plan_n_units(const struct capture_plan *plan)
{
    return plan->n_units;
}

void capture_plan_range(const struct capture_plan *plan, enum evidence_split split, uint64_t *low,
                        uint64_t *high)
{
    *low = 0;
    for (unsigned before = 0; before < (unsigned)split; before++)
        *low += plan->stats.n_units[before];
    *high = *low + plan->stats.n_units[split];
}

struct capture_plan_stats capture_plan_stats(const struct capture_plan *plan)
{
    return plan->stats;
}

uint32_t capture_plan_unit_corpus(const struct capture_plan *plan, uint64_t index)
{
    const uint8_t side = plan->units[index].side;
    return side < EVIDENCE_OOD ? 0 : (uint32_t)side - EVIDENCE_OOD + 1;
}

static status_t fill_rows(const struct capture_plan *plan, const struct planned_unit *unit,
                          uint32_t *tokens, struct error *err)
{
    const size_t row_tokens = plan->params.context_tokens;
    memset(tokens, 0, plan->params.rows_per_unit * row_tokens * sizeof *tokens);
    for (uint32_t i = 0; i < unit->n_segments; i++) {
        const struct capture_segment *segment = &plan->segments[unit->first_segment + i];
        uint32_t *at = tokens + segment->row * row_tokens + segment->start;
        if (segment->start > 0) at[-1] = plan->separator;
        const status_t status =
            token_corpus_read(plan->corpus, segment->document_index, segment->document_offset,
                              segment->length, at, err);
        if (status != ST_OK) return status;
    }
    return ST_OK;
}

status_t capture_plan_unit(const struct capture_plan *plan, uint64_t index, uint32_t *tokens,
                           struct capture_unit *out, struct error *err)
{
    const struct planned_unit *unit = &plan->units[index];
    *out = (struct capture_unit){.unit_number = index,
                                 .split = split_of_side(unit->side),
                                 .n_rows = plan->params.rows_per_unit,
                                 .row_tokens = plan->params.context_tokens,
                                 .n_segments = unit->n_segments,
                                 .tokens = tokens,
                                 .segments = plan->segments + unit->first_segment};
    return fill_rows(plan, unit, tokens, err);
}

uint64_t capture_plan_key(const struct capture_plan *plan)
{
    const struct capture_plan_params *params = &plan->params;
    const uint64_t numbers[] = {(uint64_t)params->packing, params->rows_per_unit,
                                params->context_tokens,    params->min_window_tokens,
                                params->bos_token,         params->eos_token,
                                params->splits.explain,    params->splits.validate,
                                params->splits.test,       params->seed};
    const size_t n_documents = token_corpus_n_documents(plan->corpus);
    uint64_t key = 0;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        key = hash_mix64(key ^ numbers[i]);
    for (size_t i = 0; i < n_documents; i++) {
        const struct token_document document = token_corpus_document(plan->corpus, i);
        key = hash_mix64(key ^ document.key);
        key = hash_mix64(key ^ document.content_key);
        key = hash_mix64(key ^ document.corpus_index);
    }
    return key;
}
