#include "coordinator/plan/feature_set.h"

#include "common/evidence.h"
#include "common/hash.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct range {
    uint32_t low, high; /* inclusive */
};

/* One decimal number below EVIDENCE_MAX_SLOTS; *text moves behind it. */
static bool read_number(const char **text, uint32_t *out)
{
    uint32_t value = 0;
    if (!isdigit((unsigned char)**text)) return false;
    while (isdigit((unsigned char)**text)) {
        value = value * 10 + (uint32_t)(**text - '0');
        if (value >= EVIDENCE_MAX_SLOTS) return false;
        (*text)++;
    }
    *out = value;
    return true;
}

static const char *skip_blanks(const char *text)
{
    while (*text == ' ') text++;
    return text;
}

static bool read_range(const char **text, struct range *out)
{
    *text = skip_blanks(*text);
    if (!read_number(text, &out->low)) return false;
    out->high = out->low;
    if (**text == '-') {
        (*text)++;
        if (!read_number(text, &out->high)) return false;
    }
    *text = skip_blanks(*text);
    return true;
}

/* Call visit for every range of a list that is not "all"; stops at its first refusal. */
static status_t for_each_range(const char *text, bool (*visit)(void *, struct range), void *context,
                               struct error *err)
{
    const char *at = text;
    size_t n_ranges = 0;
    for (;;) {
        const char *start = at;
        struct range range;
        if (!read_range(&at, &range) || (*at && *at != ','))
            return error_set(err, ST_BAD_INPUT,
                             "'%.40s' is no feature or range of features (0 to %d)", start,
                             EVIDENCE_MAX_SLOTS - 1);
        if (range.low > range.high)
            return error_set(err, ST_BAD_INPUT, "range %u-%u runs backwards", range.low,
                             range.high);
        if (++n_ranges > FEATURE_SET_MAX_RANGES)
            return error_set(err, ST_TOO_LARGE, "more than %d ranges", FEATURE_SET_MAX_RANGES);
        if (visit && !visit(context, range))
            return error_set(err, ST_NOT_FOUND, "feature %u does not exist", range.high);
        if (!*at) return ST_OK;
        at++;
    }
}

static bool is_all(const char *text)
{
    return !text || strcmp(text, "all") == 0;
}

status_t feature_set_check(const char *text, struct error *err)
{
    return is_all(text) ? ST_OK : for_each_range(text, NULL, NULL, err);
}

struct membership {
    bool *is_member; /* [n_features] */
    uint32_t n_features;
};

static bool mark_range(void *context, struct range range)
{
    struct membership *members = context;
    if (range.high >= members->n_features) return false;
    for (uint32_t feature = range.low; feature <= range.high; feature++)
        members->is_member[feature] = true;
    return true;
}

struct drawn {
    uint64_t key;
    uint32_t feature;
};

static int compare_drawn(const void *a, const void *b)
{
    const struct drawn *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return x->feature < y->feature ? -1 : x->feature > y->feature;
}

static int compare_features(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Keep the n_sample members of smallest key, ascending again. */
static status_t draw_sample(struct feature_set *set, size_t n_sample, uint64_t seed,
                            struct error *err)
{
    struct drawn *drawn = calloc(set->n, sizeof *drawn);
    const uint64_t stream = hash_mix64(seed ^ UINT64_C(0x73616d706c650001));
    if (!drawn) return error_set(err, ST_NO_MEMORY, "sample of %zu features", set->n);
    for (size_t i = 0; i < set->n; i++) {
        drawn[i].feature = set->features[i];
        drawn[i].key = hash_mix64(stream ^ hash_mix64(set->features[i]));
    }
    qsort(drawn, set->n, sizeof *drawn, compare_drawn);
    for (size_t i = 0; i < n_sample; i++) set->features[i] = drawn[i].feature;
    set->n = n_sample;
    qsort(set->features, set->n, sizeof *set->features, compare_features);
    free(drawn);
    return ST_OK;
}

static status_t collect_members(struct feature_set *set, const struct membership *members,
                                struct error *err)
{
    size_t n = 0;
    for (uint32_t i = 0; i < members->n_features; i++) n += members->is_member[i];
    set->features = malloc((n ? n : 1) * sizeof *set->features);
    if (!set->features) return error_set(err, ST_NO_MEMORY, "%zu features", n);
    for (uint32_t i = 0; i < members->n_features; i++)
        if (members->is_member[i]) set->features[set->n++] = i;
    return ST_OK;
}

status_t feature_set_init(struct feature_set *out, const char *text, uint32_t n_features,
                          size_t n_sample, uint64_t seed, struct error *err)
{
    struct membership members = {.n_features = n_features};
    struct feature_set set = {0};
    status_t status = ST_OK;

    if (n_features == 0 || n_features > EVIDENCE_MAX_SLOTS)
        return error_set(err, ST_BAD_INPUT, "%u features; 1 to %d are possible", n_features,
                         EVIDENCE_MAX_SLOTS);
    members.is_member = calloc(n_features, sizeof *members.is_member);
    if (!members.is_member) return error_set(err, ST_NO_MEMORY, "%u features", n_features);
    if (is_all(text))
        memset(members.is_member, true, n_features);
    else
        status = for_each_range(text, mark_range, &members, err);
    if (status == ST_NOT_FOUND)
        (void)error_wrap(err, "of %u features (0-%u)", n_features, n_features - 1);
    if (status == ST_OK) status = collect_members(&set, &members, err);
    if (status == ST_OK && n_sample && n_sample < set.n)
        status = draw_sample(&set, n_sample, seed, err);
    free(members.is_member);
    if (status == ST_OK)
        *out = set;
    else
        feature_set_fini(&set);
    return status;
}

bool feature_set_find(const struct feature_set *set, uint32_t feature, size_t *position)
{
    size_t low = 0, high = set->n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (set->features[middle] < feature)
            low = middle + 1;
        else
            high = middle;
    }
    *position = low;
    return low < set->n && set->features[low] == feature;
}

void feature_set_fini(struct feature_set *set)
{
    free(set->features);
    *set = (struct feature_set){0};
}
