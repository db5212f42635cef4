#include "common/evidence_frozen.h"
#include "common/evidence_state_parts.h"

#include <math.h>
#include <stdlib.h>

/* Activation mass of a token type, in the fixed point of sums. */
struct token_mass {
    uint32_t token;
    uint64_t mass;
};

struct masses {
    evidence_token_lookup lookup;
    void *context;
    struct token_mass *item; /* [capacity] */
    size_t n, capacity;
    uint32_t tokens[EVIDENCE_MAX_WINDOW_TOKENS];
};

static int compare_tokens(const void *left, const void *right)
{
    const struct token_mass *a = left, *b = right;
    return (a->token > b->token) - (a->token < b->token);
}

static status_t reserve(struct masses *masses, size_t n, struct error *err)
{
    masses->n = 0;
    if (n <= masses->capacity) return ST_OK;
    struct token_mass *grown = realloc(masses->item, n * sizeof *grown);
    if (!grown) return error_set(err, ST_NO_MEMORY, "token masses of %zu activations", n);
    masses->item = grown;
    masses->capacity = n;
    return ST_OK;
}

static status_t add_window(const struct evidence_slot *slot, const struct evidence_firing *firing,
                           float threshold, struct masses *masses, struct error *err)
{
    const struct evidence_window window = evidence_firing_window(firing);
    const status_t status = masses->lookup(masses->context, &window, masses->tokens, err);
    if (status != ST_OK) return status;
    for (uint32_t i = firing->first; i < firing->first + firing->n_activations; i++)
        if (slot->value[i] > threshold)
            masses->item[masses->n++] = (struct token_mass){masses->tokens[slot->position[i]],
                                                            evidence_sum_of(slot->value[i])};
    return ST_OK;
}

/* Sorted by token: one item per token. */
static void join_tokens(struct masses *masses)
{
    size_t n = 0;
    if (masses->n == 0) return;
    qsort(masses->item, masses->n, sizeof *masses->item, compare_tokens);
    for (size_t i = 0; i < masses->n; i++) {
        struct token_mass *item = &masses->item[i];
        if (n > 0 && masses->item[n - 1].token == item->token)
            masses->item[n - 1].mass = evidence_sum_add(masses->item[n - 1].mass, item->mass);
        else
            masses->item[n++] = *item;
    }
    masses->n = n;
}

static void pick_heaviest(struct masses *masses, uint32_t hard_tokens[EVIDENCE_HARD_TOKENS])
{
    for (size_t place = 0; place < EVIDENCE_HARD_TOKENS; place++) {
        size_t best = masses->n;
        for (size_t i = 0; i < masses->n; i++)
            if (masses->item[i].mass > 0 &&
                (best == masses->n || masses->item[i].mass > masses->item[best].mass))
                best = i;
        hard_tokens[place] = best < masses->n ? masses->item[best].token : EVIDENCE_NO_TOKEN;
        if (best < masses->n) masses->item[best].mass = 0;
    }
}

status_t evidence_freeze_hard_tokens(const struct evidence_state *explain,
                                     evidence_token_lookup lookup, void *context,
                                     struct evidence_frozen *frozen, struct error *err)
{
    const uint32_t first_slot = explain->params.first_slot;
    struct masses masses = {.lookup = lookup, .context = context};
    status_t status = ST_OK;
    if (frozen->n_slots != explain->params.identity.n_slots)
        return error_set(err, ST_BAD_INPUT, "hard tokens of %u slots, the evidence has %u",
                         frozen->n_slots, explain->params.identity.n_slots);
    for (uint32_t i = 0; i < explain->params.n_slots && status == ST_OK; i++) {
        const struct evidence_slot *slot = &explain->slots[i];
        const float threshold = frozen->fire_threshold[first_slot + i];
        status = reserve(&masses, slot->n_pool, err);
        for (uint32_t j = 0; j < slot->n_firing && status == ST_OK; j++)
            status = add_window(slot, &slot->firing[j], threshold, &masses, err);
        if (status != ST_OK) break;
        join_tokens(&masses);
        pick_heaviest(&masses, frozen->hard_tokens[first_slot + i]);
    }
    free(masses.item);
    return status;
}

float evidence_freeze_threshold(const struct evidence_state *explain, const uint32_t *slots,
                                size_t n_slots, double tail)
{
    uint64_t count[EVIDENCE_VALUE_BINS] = {0};
    uint64_t n_above = 0;
    const double wanted = tail * (double)explain->n_tokens;
    for (size_t i = 0; i < n_slots; i++) {
        const struct evidence_slot *slot = evidence_state_slot(explain, slots[i]);
        for (uint32_t bin = 0; slot && bin < EVIDENCE_VALUE_BINS; bin++)
            count[bin] += evidence_counts_at(&slot->values, bin);
    }
    float best = 0;
    double best_distance = INFINITY;
    for (uint32_t bin = EVIDENCE_VALUE_BINS; bin-- > 0;) {
        const double distance = fabs((double)n_above - wanted); /* of the tail above this bin */
        if (distance < best_distance && (n_above > 0 || count[bin] > 0)) {
            best = evidence_value_edge(bin);
            best_distance = distance;
        }
        n_above += count[bin];
    }
    return best;
}

/* The bin that holds the middle one of `counts`, which has some. */
static uint32_t median_bin(const struct evidence_counts *counts)
{
    const uint64_t n = evidence_counts_total(counts);
    uint64_t n_below = 0;
    uint32_t bin = 0;
    for (; bin + 1 < EVIDENCE_VALUE_BINS; bin++) {
        n_below += evidence_counts_at(counts, bin);
        if (2 * n_below >= n) break;
    }
    return bin;
}

status_t evidence_freeze_strong_values(const struct evidence_state *explain,
                                       struct evidence_frozen *frozen, struct error *err)
{
    const struct evidence_state_params *params = &explain->params;
    if (params->identity.n_slots != frozen->n_slots)
        return error_set(err, ST_BAD_INPUT, "explain evidence of %u slots, frozen are %u",
                         params->identity.n_slots, frozen->n_slots);
    for (uint32_t i = 0; i < params->n_slots; i++) {
        const struct evidence_counts *values = &explain->slots[i].values;
        const uint32_t bin = values->n_bins ? median_bin(values) : 0;
        frozen->strong_value[params->first_slot + i] = bin ? evidence_value_edge(bin - 1) : 0;
    }
    return ST_OK;
}
