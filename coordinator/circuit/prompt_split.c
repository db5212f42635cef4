#include "coordinator/circuit/prompt_split.h"

#include "common/hash.h"
#include "coordinator/circuit/prompt_split_parts.h"

#include <math.h>
#include <stdlib.h>

const char *prompt_part_name(enum prompt_part part)
{
    static const char *const names[PROMPT_N_PARTS] = {"search", "reference", "verdict"};
    return (unsigned)part < PROMPT_N_PARTS ? names[part] : "unknown";
}

struct prompt_split_params prompt_split_params_default(uint64_t seed)
{
    return (struct prompt_split_params){seed, {0.4, 0.2, 0.4}, false};
}

static int compare_placed(const void *a, const void *b)
{
    const struct placed *left = a, *right = b;
    if (left->place != right->place) return left->place < right->place ? -1 : 1;
    return (left->prompt > right->prompt) - (left->prompt < right->prompt);
}

static status_t check_shares(const struct prompt_split_params *params, struct error *err)
{
    double sum = 0.0;
    for (int part = 0; part < PROMPT_N_PARTS; part++) {
        const double share = params->shares[part];
        if (!(share > 0.0 && share < 1.0))
            return error_set(err, ST_BAD_INPUT, "split: the share of %s prompts is %g",
                             prompt_part_name((enum prompt_part)part), share);
        sum += share;
    }
    if (fabs(sum - 1.0) > 1e-9)
        return error_set(err, ST_BAD_INPUT, "split: the shares add up to %g, not to 1", sum);
    return ST_OK;
}

/* In order of place, with groups; returns how many. */
static uint32_t place_prompts(const struct prompt_set *set, uint64_t seed, struct placed *placed)
{
    uint32_t n_groups = 0;
    for (size_t i = 0; i < set->n_prompts; i++)
        placed[i] =
            (struct placed){hash_mix64(set->prompts[i].key ^ hash_mix64(seed)), (uint32_t)i, 0};
    qsort(placed, set->n_prompts, sizeof *placed, compare_placed);
    for (size_t i = 0; i < set->n_prompts; i++) {
        if (i == 0 || placed[i].place != placed[i - 1].place) n_groups++;
        placed[i].group = n_groups - 1;
    }
    return n_groups;
}

uint32_t prompt_split_cut(double share, uint32_t n, uint32_t n_before, uint32_t n_behind)
{
    const uint32_t cut = (uint32_t)floor(share * (double)n + 0.5);
    if (cut < n_before) return n_before;
    return cut > n - n_behind ? n - n_behind : cut;
}

/* --- by shares ---------------------------------------------------------------------------- */

static status_t split_by_shares(const struct prompt_set *set, const double *shares,
                                const struct placed *placed, uint32_t n_groups,
                                enum prompt_part *parts, struct error *err)
{
    if (n_groups < PROMPT_N_PARTS)
        return error_set(err, ST_BAD_INPUT,
                         "split: %u different prompts; search, reference and verdict need one each",
                         n_groups);
    const uint32_t first = prompt_split_cut(shares[PART_SEARCH], n_groups, 1, 2);
    const uint32_t second =
        prompt_split_cut(shares[PART_SEARCH] + shares[PART_REFERENCE], n_groups, first + 1, 1);
    for (size_t i = 0; i < set->n_prompts; i++) {
        const uint32_t group = placed[i].group;
        parts[placed[i].prompt] =
            group < first ? PART_SEARCH : (group < second ? PART_REFERENCE : PART_VERDICT);
    }
    return ST_OK;
}

/* --- as the file says --------------------------------------------------------------------- */

static status_t check_uses(const struct prompt_set *set, const struct placed *placed,
                           struct error *err)
{
    for (size_t i = 0; i < set->n_prompts; i++) {
        const struct circuit_prompt *prompt = &set->prompts[placed[i].prompt];
        if (prompt->use == USE_UNSAID)
            return error_set(err, ST_BAD_INPUT, "split: prompt %s has no set, others have",
                             prompt->id);
        if (i == 0 || placed[i].group != placed[i - 1].group) continue;
        const struct circuit_prompt *before = &set->prompts[placed[i - 1].prompt];
        if (before->use != prompt->use)
            return error_set(err, ST_BAD_INPUT,
                             "split: prompts %s and %s have the same clean tokens and two sets",
                             before->id, prompt->id);
    }
    return ST_OK;
}

static bool is_first_of_group(const struct placed *placed, size_t i)
{
    return i == 0 || placed[i].group != placed[i - 1].group;
}

/* Without a reference set it is the last of the search groups. */
static status_t split_as_said(const struct prompt_set *set, const double *shares,
                              const struct placed *placed, enum prompt_part *parts,
                              struct error *err)
{
    uint32_t n_groups[USE_HELD_OUT + 1] = {0}, n_seen = 0;
    for (size_t i = 0; i < set->n_prompts; i++)
        n_groups[set->prompts[placed[i].prompt].use] += is_first_of_group(placed, i);
    const bool has_reference = n_groups[USE_REFERENCE] > 0;
    const uint32_t n_search = n_groups[USE_SEARCH];
    if (n_search < (has_reference ? 1u : 2u) || n_groups[USE_HELD_OUT] == 0)
        return error_set(
            err, ST_BAD_INPUT,
            "split: %u search, %u reference and %u held-out prompts; search, reference "
            "and verdict need one each",
            n_search, n_groups[USE_REFERENCE], n_groups[USE_HELD_OUT]);
    const double share = shares[PART_SEARCH] / (shares[PART_SEARCH] + shares[PART_REFERENCE]);
    const uint32_t cut = has_reference ? n_search : prompt_split_cut(share, n_search, 1, 1);
    for (size_t i = 0; i < set->n_prompts; i++) {
        const enum prompt_use use = set->prompts[placed[i].prompt].use;
        enum prompt_part part = use == USE_HELD_OUT ? PART_VERDICT : PART_REFERENCE;
        if (use == USE_SEARCH) {
            n_seen += is_first_of_group(placed, i);
            if (n_seen <= cut) part = PART_SEARCH;
        }
        parts[placed[i].prompt] = part;
    }
    return ST_OK;
}

/* Without sets, or with search and held-out prompts only: then the rest is this file's to say. */
static bool is_reference_said(const struct prompt_set *set)
{
    for (size_t i = 0; i < set->n_prompts; i++)
        if (set->prompts[i].use == USE_REFERENCE) return true;
    return false;
}

static bool is_any_said(const struct prompt_set *set)
{
    for (size_t i = 0; i < set->n_prompts; i++)
        if (set->prompts[i].use != USE_UNSAID) return true;
    return false;
}

static status_t split(const struct prompt_set *set, const struct prompt_split_params *params,
                      const struct placed *placed, uint32_t n_groups, enum prompt_part *parts,
                      struct error *err)
{
    const bool is_said = is_any_said(set);
    if (is_said) {
        const status_t status = check_uses(set, placed, err);
        if (status != ST_OK) return status;
    }
    if (params->is_by_template && !is_reference_said(set))
        return prompt_split_by_template(set, params->shares, placed, parts, err);
    return is_said ? split_as_said(set, params->shares, placed, parts, err)
                   : split_by_shares(set, params->shares, placed, n_groups, parts, err);
}

status_t prompt_split(const struct prompt_set *set, const struct prompt_split_params *params,
                      enum prompt_part *parts, size_t n_in_part[PROMPT_N_PARTS], struct error *err)
{
    status_t status = check_shares(params, err);
    if (status != ST_OK) return status;
    struct placed *placed = calloc(set->n_prompts + 1, sizeof *placed);
    if (!placed) return error_set(err, ST_NO_MEMORY, "split of %zu prompts", set->n_prompts);
    const uint32_t n_groups = place_prompts(set, params->seed, placed);
    status = split(set, params, placed, n_groups, parts, err);
    free(placed);
    if (status != ST_OK) return status;
    for (int part = 0; part < PROMPT_N_PARTS; part++) n_in_part[part] = 0;
    for (size_t i = 0; i < set->n_prompts; i++) n_in_part[parts[i]]++;
    return ST_OK;
}
