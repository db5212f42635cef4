#include "kernels/selftest/reference_digest.h"

#include "common/evidence_cuts.h"
#include "common/evidence_key.h"
#include "common/evidence_select.h"
#include "common/evidence_sum.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A value of the rows. */
struct entry {
    uint32_t token;
    float value;
};

/* What one feature is looked at with. */
struct look {
    const struct digest_params *p;
    size_t *starts; /* [n_features + 2] */
    struct entry
        *entries;    /* by feature and token: f has those from starts[f + 1] to starts[f + 2] */
    float *by_token; /* [n_tokens] values of the feature; 0: it does not fire */
    uint32_t feature;
    uint32_t value_bins[EVIDENCE_VALUE_BINS], window_bins[EVIDENCE_RESERVOIR_BINS];
    struct evidence_firing kept[EVIDENCE_MAX_FIRING + 1];
    size_t n_kept;
};

void reference_digest_fini(struct reference_digest *d)
{
    free(d->slots);
    free(d->active);
    free(d->words);
    free(d->positions);
    free(d->values);
    *d = (struct reference_digest){.slots = NULL};
}

static void group_entries(struct look *look, const struct sparse_rows *rows, size_t n_features)
{
    for (size_t i = 0; i < rows->row_start[rows->n_rows]; i++) look->starts[rows->feature[i] + 1]++;
    for (size_t f = 0; f <= n_features; f++) look->starts[f + 1] += look->starts[f];
    for (size_t t = rows->n_rows; t-- > 0;) /* from ends to where they begin */
        for (size_t i = rows->row_start[t]; i < rows->row_start[t + 1]; i++)
            look->entries[--look->starts[rows->feature[i] + 1]] =
                (struct entry){(uint32_t)t, rows->value[i]};
}

/* The feature's values by token; or zeros again. */
static void spread_values(struct look *look, bool is_there)
{
    for (size_t i = look->starts[look->feature + 1]; i < look->starts[look->feature + 2]; i++)
        look->by_token[look->entries[i].token] = is_there ? look->entries[i].value : 0;
}

/* The window's values into sums and bins. Returns its maximum. */
static float read_window(struct look *look, const struct digest_window *window,
                         struct digest_slot *slot)
{
    float largest = 0;
    for (uint32_t i = 0; i < window->n_tokens; i++) {
        const float value = look->by_token[window->first_token + i];
        if (value == 0) continue;
        look->value_bins[evidence_value_bin(value)]++;
        slot->sum_fixed = evidence_sum_add(slot->sum_fixed, evidence_sum_of(value));
        largest = value > largest ? value : largest;
    }
    slot->max_value = largest > slot->max_value ? largest : slot->max_value;
    return largest;
}

static bool can_enter(const struct look *look, float max_value, uint64_t key)
{
    if (!look->p->cuts) return true;
    const struct digest_cut *cut = &look->p->cuts->cut[look->feature];
    const struct evidence_cuts cuts = {.top_bits = cut->top_bits,
                                       .first_bin = cut->first_bin,
                                       .n_bins = cut->n_bins,
                                       .bin_limit = look->p->cuts->limits + cut->first_limit,
                                       .has_samples = look->p->bin_k > 0};
    return evidence_cuts_keep(&cuts, max_value, evidence_reservoir_bin(max_value), key);
}

static void offer_window(struct look *look, size_t w, float max_value)
{
    const struct evidence_limits limits = {.top_k = look->p->top_k, .bin_k = look->p->bin_k};
    const struct evidence_firing firing = {
        .key = evidence_key(look->p->windows[w].number, evidence_slot_number(look->feature)),
        .max_value = max_value,
        .document_index = (uint32_t)w};
    if (can_enter(look, max_value, firing.key))
        (void)evidence_insert_firing(look->kept, &look->n_kept, &limits, &firing);
}

static void append_bins(struct reference_digest *d, const uint32_t *bins, uint32_t n_bins,
                        uint16_t *n)
{
    for (uint32_t bin = 0; bin < n_bins; bin++) {
        if (!bins[bin]) continue;
        d->words[d->n_words++] = bin << DIGEST_BIN_SHIFT | bins[bin];
        ++*n;
    }
}

static void append_window(struct reference_digest *d, const struct look *look, uint32_t w,
                          struct digest_slot *slot)
{
    const struct digest_window *window = &look->p->windows[w];
    const size_t n_before = d->n_pairs;
    for (uint32_t i = 0; i < window->n_tokens; i++) {
        const float value = look->by_token[window->first_token + i];
        if (value == 0) continue;
        d->positions[d->n_pairs] = (uint16_t)i;
        d->values[d->n_pairs++] = value;
    }
    d->words[d->n_words++] = w << DIGEST_WINDOW_SHIFT | (uint32_t)(d->n_pairs - n_before);
    slot->n_pairs += (uint32_t)(d->n_pairs - n_before);
    slot->n_kept++;
}

static bool is_kept(const struct look *look, size_t w)
{
    for (size_t i = 0; i < look->n_kept; i++)
        if (look->kept[i].document_index == w) return true;
    return false;
}

static void look_at(struct reference_digest *d, struct look *look)
{
    const struct digest_params *p = look->p;
    struct digest_slot *slot = &d->slots[look->feature];
    uint32_t *active = d->active + look->feature * d->digest.n_active_words;
    memset(look->value_bins, 0, sizeof look->value_bins);
    memset(look->window_bins, 0, sizeof look->window_bins);
    look->n_kept = 0;
    spread_values(look, true);
    for (size_t w = 0; w < p->n_windows; w++) {
        const float max_value = read_window(look, &p->windows[w], slot);
        if (max_value == 0) continue;
        active[w / 32] |= 1u << w % 32;
        if (!p->windows[w].may_be_kept) continue;
        look->window_bins[evidence_reservoir_bin(max_value)]++;
        offer_window(look, w, max_value);
    }
    append_bins(d, look->value_bins, EVIDENCE_VALUE_BINS, &slot->n_value_bins);
    append_bins(d, look->window_bins, EVIDENCE_RESERVOIR_BINS, &slot->n_window_bins);
    for (uint32_t w = 0; w < p->n_windows; w++)
        if (is_kept(look, w)) append_window(d, look, w, slot);
    spread_values(look, false);
}

static void free_look(struct look *look)
{
    if (!look) return;
    free(look->starts);
    free(look->entries);
    free(look->by_token);
    free(look);
}

/* NULL without memory. */
static struct look *make_look(const struct sparse_rows *rows, size_t n_features,
                              const struct digest_params *p)
{
    struct look *look = calloc(1, sizeof *look);
    if (!look) return NULL;
    look->p = p;
    look->starts = calloc(n_features + 2, sizeof *look->starts);
    look->entries = malloc((rows->row_start[rows->n_rows] + 1) * sizeof *look->entries);
    look->by_token = calloc(p->n_tokens + 1, sizeof *look->by_token);
    if (!look->starts || !look->entries || !look->by_token) {
        free_look(look);
        return NULL;
    }
    group_entries(look, rows, n_features);
    return look;
}

status_t reference_digest_init(struct reference_digest *d, const struct sparse_rows *rows,
                               size_t n_features, const struct digest_params *p, struct error *err)
{
    const size_t n = rows->row_start[rows->n_rows] + 1, n_active = (p->n_windows + 31) / 32;
    struct look *look = make_look(rows, n_features, p);
    *d = (struct reference_digest){.slots = calloc(n_features, sizeof *d->slots),
                                   .active = calloc(n_features * n_active + 1, sizeof *d->active),
                                   .words = malloc(3 * n * sizeof *d->words),
                                   .positions = malloc(n * sizeof *d->positions),
                                   .values = malloc(n * sizeof *d->values)};
    d->digest = (struct digest){.n_slots = n_features,
                                .n_active_words = n_active,
                                .slots = d->slots,
                                .active = d->active,
                                .words = d->words,
                                .positions = d->positions,
                                .values = d->values};
    const bool is_there = look && d->slots && d->active && d->words && d->positions && d->values;
    if (is_there)
        for (; look->feature < n_features; look->feature++) look_at(d, look);
    free_look(look);
    return is_there ? ST_OK : error_set(err, ST_NO_MEMORY, "digest of %zu features", n_features);
}

static bool is_same_slot(const struct digest_slot *a, const struct digest_slot *b)
{
    return a->sum_fixed == b->sum_fixed &&
           evidence_float_bits(a->max_value) == evidence_float_bits(b->max_value) &&
           a->n_pairs == b->n_pairs && a->n_value_bins == b->n_value_bins &&
           a->n_window_bins == b->n_window_bins && a->n_kept == b->n_kept && a->unused == b->unused;
}

bool reference_digest_differs(const struct reference_digest *reference, const struct digest *digest,
                              char *why, size_t why_size)
{
    const struct digest *wanted = &reference->digest;
    const size_t n_active = wanted->n_slots * wanted->n_active_words;
    const char *part = NULL;
    if (digest->is_over || digest->n_slots != wanted->n_slots ||
        digest->n_active_words != wanted->n_active_words) {
        (void)snprintf(why, why_size, "%zu slots of %zu words%s, not %zu of %zu", digest->n_slots,
                       digest->n_active_words, digest->is_over ? ", over" : "", wanted->n_slots,
                       wanted->n_active_words);
        return true;
    }
    for (size_t s = 0; s < wanted->n_slots; s++) {
        if (is_same_slot(&digest->slots[s], &wanted->slots[s])) continue;
        (void)snprintf(why, why_size, "feature %zu has other sums, or keeps %u windows, not %u", s,
                       digest->slots[s].n_kept, wanted->slots[s].n_kept);
        return true;
    }
    if (memcmp(digest->active, wanted->active, n_active * sizeof *wanted->active) != 0)
        part = "active windows";
    else if (memcmp(digest->words, wanted->words, reference->n_words * sizeof *wanted->words) != 0)
        part = "bins or kept windows";
    else if (memcmp(digest->positions, wanted->positions,
                    reference->n_pairs * sizeof *wanted->positions) != 0)
        part = "positions";
    else if (memcmp(digest->values, wanted->values, reference->n_pairs * sizeof *wanted->values) !=
             0)
        part = "values";
    if (part) (void)snprintf(why, why_size, "other %s", part);
    return part != NULL;
}
