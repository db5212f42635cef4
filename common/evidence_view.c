#include "common/evidence_view.h"

#include "common/evidence_state_parts.h"

static void fill_statistics(const struct evidence_slot *slot, struct evidence_view *view)
{
    view->n_firing_tokens = slot->n_firing_tokens;
    view->n_positive_tokens = evidence_counts_total(&slot->values);
    view->n_firing_windows = evidence_counts_total(&slot->windows);
    view->density = view->n_tokens ? (double)view->n_firing_tokens / (double)view->n_tokens : 0;
    view->sum = (double)slot->sum_fixed / 1048576.0;
    view->is_sum_saturated = slot->sum_fixed == UINT64_MAX;
    view->mean_positive = view->n_positive_tokens ? view->sum / (double)view->n_positive_tokens : 0;
    view->max_value = slot->max_value;
    view->value_counts = &slot->values;
    view->window_counts = &slot->windows;
    view->position_counts = &slot->positions;
}

status_t evidence_view_open(const struct evidence_state *state, uint32_t slot_index,
                            struct evidence_view *out, struct error *err)
{
    const struct evidence_limits *limits = &state->params.identity.limits;
    const struct evidence_slot *slot = evidence_state_slot(state, slot_index);
    if (!slot)
        return error_set(err, ST_NOT_FOUND, "slot %u: the evidence covers %u + %u", slot_index,
                         state->params.first_slot, state->params.n_slots);
    *out = (struct evidence_view){.slot = slot_index, .n_tokens = state->n_tokens};
    fill_statistics(slot, out);
    out->n_documents = slot->n_documents;
    out->is_n_documents_exact = slot->n_documents < limits->doc_k;
    for (size_t i = 0; i < EVIDENCE_HARD_TOKENS; i++) {
        out->n_firing_on_hard[i] = slot->n_firing_on_hard[i];
        out->n_hard_tokens[i] = slot->n_hard_tokens[i];
    }
    out->n_firing = slot->n_firing;
    out->n_top = slot->n_firing < limits->top_k ? slot->n_firing : limits->top_k;
    out->n_silent = slot->silent.n;
    out->n_near_miss = slot->near_miss.n;
    out->n_neighbour = slot->neighbour.n;
    out->state = state;
    out->slot_state = slot;
    return ST_OK;
}

struct evidence_entry evidence_view_firing(const struct evidence_view *view, size_t index)
{
    const struct evidence_slot *slot = view->slot_state;
    const struct evidence_firing *firing = &slot->firing[index];
    return (struct evidence_entry){
        .window = evidence_firing_window(firing),
        .max_value = firing->max_value,
        .n_activations = firing->n_activations,
        .position = slot->position + firing->first,
        .value = slot->value + firing->first,
    };
}

struct evidence_window evidence_view_silent(const struct evidence_view *view, size_t index)
{
    return view->slot_state->silent.window[index];
}

struct evidence_window evidence_view_near_miss(const struct evidence_view *view, size_t index)
{
    return view->slot_state->near_miss.window[index];
}

struct evidence_window evidence_view_neighbour(const struct evidence_view *view, size_t index)
{
    return view->slot_state->neighbour.window[index];
}

size_t evidence_view_reservoir(const struct evidence_view *view, uint32_t bin, size_t *out)
{
    const struct evidence_slot *slot = view->slot_state;
    struct evidence_keyed list[EVIDENCE_MAX_BIN_K];
    size_t n = 0;
    for (size_t i = 0; i < slot->n_firing; i++) {
        const struct evidence_firing *firing = &slot->firing[i];
        if (!firing->is_sampled || evidence_reservoir_bin(firing->max_value) != bin) continue;
        const struct evidence_keyed item = {firing->key, firing->document_index, (uint32_t)i};
        (void)evidence_insert_smallest(list, &n, EVIDENCE_MAX_BIN_K, &item);
    }
    for (size_t i = 0; i < n; i++) out[i] = list[i].source;
    return n;
}

uint64_t evidence_view_n_above(const struct evidence_view *view, float threshold)
{
    if (!(threshold > 0)) return view->n_positive_tokens;
    return evidence_counts_from(view->value_counts, evidence_value_bin(threshold) + 1u);
}

float evidence_view_quantile(const struct evidence_view *view, double q)
{
    const struct evidence_counts *counts = view->value_counts;
    const double wanted = q * (double)view->n_positive_tokens;
    uint64_t n_below = 0;
    if (counts->n_bins == 0) return 0;
    for (uint32_t i = 0; i < counts->n_bins; i++) {
        n_below += counts->count[i];
        if (counts->count[i] > 0 && (double)n_below >= wanted)
            return evidence_value_edge(counts->first_bin + i);
    }
    return evidence_value_edge(counts->first_bin + counts->n_bins - 1u);
}

/* F1 of predicting "fires" on n_predicted tokens, n_hits of which do, of n_firing in all. */
static double f1_score(uint64_t n_hits, uint64_t n_predicted, uint64_t n_firing)
{
    return n_predicted + n_firing ? 2.0 * (double)n_hits / (double)(n_predicted + n_firing) : 0;
}

/* The best set of buckets is a prefix of the buckets by falling firing rate; taking them one by
 * one, the best remaining first, tries every prefix. */
double evidence_view_position_f1(const struct evidence_view *view)
{
    const uint32_t *tokens = view->state->position_tokens;
    bool is_taken[EVIDENCE_POSITION_BUCKETS] = {false};
    uint64_t n_hits = 0, n_predicted = 0;
    double best_f1 = 0;
    if (view->position_counts->n_bins == 0) return 0;
    for (size_t round = 0; round < EVIDENCE_POSITION_BUCKETS; round++) {
        size_t best = EVIDENCE_POSITION_BUCKETS;
        double best_rate = 0;
        for (uint32_t i = 0; i < EVIDENCE_POSITION_BUCKETS; i++) {
            const uint32_t n_firing = evidence_counts_at(view->position_counts, i);
            if (is_taken[i] || n_firing == 0 || tokens[i] == 0) continue;
            const double rate = (double)n_firing / tokens[i];
            if (rate > best_rate) best = i, best_rate = rate;
        }
        if (best == EVIDENCE_POSITION_BUCKETS) break;
        is_taken[best] = true;
        n_hits += evidence_counts_at(view->position_counts, (uint32_t)best);
        n_predicted += tokens[best];
        const double f1 = f1_score(n_hits, n_predicted, view->n_firing_tokens);
        if (f1 > best_f1) best_f1 = f1;
    }
    return best_f1;
}

double evidence_view_token_f1(const struct evidence_view *view, uint32_t *best_hard_token)
{
    double best_f1 = 0;
    uint32_t best = 0;
    for (uint32_t i = 0; i < EVIDENCE_HARD_TOKENS; i++) {
        const double f1 =
            f1_score(view->n_firing_on_hard[i], view->n_hard_tokens[i], view->n_firing_tokens);
        if (f1 > best_f1) best_f1 = f1, best = i;
    }
    if (best_hard_token) *best_hard_token = best;
    return best_f1;
}
