#include "common/evidence_select.h"

#include <string.h>

/* Two documents may bear one name, and so one key: the index decides. */
static bool has_smaller_key(const struct evidence_firing *a, const struct evidence_firing *b)
{
    return a->key != b->key ? a->key < b->key : a->document_index < b->document_index;
}

/* Total order of firing windows; neither before the other only for the same window. */
static bool is_before(const struct evidence_firing *a, const struct evidence_firing *b)
{
    return a->max_value != b->max_value ? a->max_value > b->max_value : has_smaller_key(a, b);
}

static size_t find_place(const struct evidence_firing *list, size_t n,
                         const struct evidence_firing *firing)
{
    size_t low = 0, high = n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (is_before(&list[middle], firing))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The sample of a bin around `place`: how many, and the place of the largest key. */
struct sample {
    size_t n, worst;
};

static void note_sampled(const struct evidence_firing *list, size_t i, struct sample *sample)
{
    if (!list[i].is_sampled) return;
    if (sample->n == 0 || has_smaller_key(&list[sample->worst], &list[i])) sample->worst = i;
    sample->n++;
}

static struct sample find_sample(const struct evidence_firing *list, size_t n, size_t place,
                                 uint32_t bin)
{
    struct sample sample = {0, 0};
    for (size_t i = place; i-- > 0 && evidence_reservoir_bin(list[i].max_value) == bin;)
        note_sampled(list, i, &sample);
    for (size_t i = place; i < n && evidence_reservoir_bin(list[i].max_value) == bin; i++)
        note_sampled(list, i, &sample);
    return sample;
}

static void remove_at(struct evidence_firing *list, size_t *n, size_t place)
{
    memmove(list + place, list + place + 1, (*n - place - 1) * sizeof *list);
    --*n;
}

bool evidence_insert_firing(struct evidence_firing *list, size_t *n,
                            const struct evidence_limits *limits,
                            const struct evidence_firing *firing)
{
    const size_t place = find_place(list, *n, firing);
    if (place < *n && !is_before(firing, &list[place])) return false; /* the same window */
    const struct sample sample =
        find_sample(list, *n, place, evidence_reservoir_bin(firing->max_value));
    const bool is_full = sample.n >= limits->bin_k;
    const bool is_sampled =
        !is_full || (sample.n > 0 && has_smaller_key(firing, &list[sample.worst]));
    if (!is_sampled && place >= limits->top_k) return false;
    memmove(list + place + 1, list + place, (*n - place) * sizeof *list);
    list[place] = *firing;
    list[place].is_sampled = is_sampled;
    ++*n;
    if (is_sampled && is_full) { /* the worst of the sample leaves it, and perhaps the list */
        const size_t worst = sample.worst + (sample.worst >= place);
        list[worst].is_sampled = false;
        if (worst >= limits->top_k) remove_at(list, n, worst);
    }
    /* and so may the window that the new one pushed out of the top */
    if (place<limits->top_k && * n> limits->top_k && !list[limits->top_k].is_sampled)
        remove_at(list, n, limits->top_k);
    return true;
}

static bool is_smaller(const struct evidence_keyed *a, const struct evidence_keyed *b)
{
    return a->key != b->key ? a->key < b->key : a->document_index < b->document_index;
}

bool evidence_insert_smallest(struct evidence_keyed *list, size_t *n, size_t k,
                              const struct evidence_keyed *item)
{
    if (k == 0 || (*n == k && !is_smaller(item, &list[k - 1]))) return false;
    size_t at = *n;
    while (at > 0 && is_smaller(item, &list[at - 1])) at--;
    if (at > 0 && !is_smaller(&list[at - 1], item)) return false; /* the same one */
    if (*n < k) ++*n;
    memmove(list + at + 1, list + at, (*n - 1 - at) * sizeof *list);
    list[at] = *item;
    return true;
}
