#include "common/evidence.h"

const char *evidence_split_name(enum evidence_split split)
{
    static const char *const names[EVIDENCE_N_SPLITS] = {"explain", "validate", "test", "ood"};
    const unsigned index = (unsigned)split;
    return index < EVIDENCE_N_SPLITS ? names[index] : NULL;
}

struct evidence_limits evidence_limits_default(enum evidence_split split)
{
    const bool is_explain = split == EVIDENCE_EXPLAIN;
    return (struct evidence_limits){
        .top_k = 20,
        .bin_k = 6,
        .silent_k = is_explain ? 20 : 40,
        .near_miss_k = is_explain ? 0 : 40,
        .neighbour_k = is_explain ? 0 : 24,
        .doc_k = 32,
        .window_tokens = 32,
        .min_window_tokens = 8,
        .counts_positions = split == EVIDENCE_VALIDATE,
    };
}

static status_t check_range(const char *name, uint32_t value, uint32_t min, uint32_t max,
                            struct error *err)
{
    if (value >= min && value <= max) return ST_OK;
    return error_set(err, ST_BAD_INPUT, "evidence limit %s is %u, allowed are %u to %u", name,
                     value, min, max);
}

status_t evidence_limits_check(const struct evidence_limits *limits, struct error *err)
{
    const struct {
        const char *name;
        uint32_t value, min, max;
    } ranges[] = {
        {"top_k", limits->top_k, 1, EVIDENCE_MAX_TOP_K},
        {"bin_k", limits->bin_k, 0, EVIDENCE_MAX_BIN_K},
        {"silent_k", limits->silent_k, 0, EVIDENCE_MAX_SILENT_K},
        {"near_miss_k", limits->near_miss_k, 0, EVIDENCE_MAX_SILENT_K},
        {"neighbour_k", limits->neighbour_k, 0, EVIDENCE_MAX_SILENT_K},
        {"doc_k", limits->doc_k, 1, EVIDENCE_MAX_DOC_K},
        {"window_tokens", limits->window_tokens, 1, EVIDENCE_MAX_WINDOW_TOKENS},
        {"min_window_tokens", limits->min_window_tokens, 1, limits->window_tokens},
        {"counts_positions", limits->counts_positions, 0, 1},
    };
    status_t status = ST_OK;
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0] && status == ST_OK; i++)
        status = check_range(ranges[i].name, ranges[i].value, ranges[i].min, ranges[i].max, err);
    return status;
}

static bool limits_equal(const struct evidence_limits *a, const struct evidence_limits *b)
{
    return a->top_k == b->top_k && a->bin_k == b->bin_k && a->silent_k == b->silent_k &&
           a->near_miss_k == b->near_miss_k && a->neighbour_k == b->neighbour_k &&
           a->doc_k == b->doc_k && a->window_tokens == b->window_tokens &&
           a->min_window_tokens == b->min_window_tokens &&
           a->counts_positions == b->counts_positions;
}

bool evidence_identity_equal(const struct evidence_identity *a, const struct evidence_identity *b)
{
    return a->target_key == b->target_key && a->frozen_key == b->frozen_key &&
           a->n_slots == b->n_slots && a->split == b->split && limits_equal(&a->limits, &b->limits);
}

status_t evidence_identity_check(const struct evidence_identity *identity, struct error *err)
{
    if (!evidence_split_name(identity->split))
        return error_set(err, ST_BAD_INPUT, "evidence of an unknown split %u",
                         (unsigned)identity->split);
    const status_t status = check_range("n_slots", identity->n_slots, 1, EVIDENCE_MAX_SLOTS, err);
    return status != ST_OK ? status : evidence_limits_check(&identity->limits, err);
}
