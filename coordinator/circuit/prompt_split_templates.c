/* The split within each template: where means are taken over templates, every template that is
 * searched or judged needs a reference prompt of its own.
 *
 * A template of n different prompts, in order of their hashes: the first of the longest ones is a
 * reference prompt, so that its mean reaches every position; of the others the first are search,
 * then reference, then verdict prompts, by the shares, each part at least one. Of two prompts one
 * is the reference and the other goes to search or verdict, whichever has fewer by its share. A
 * template of one prompt has nothing to be compared with, and is refused by name. */
#include "coordinator/circuit/prompt_split_parts.h"

#include <stdlib.h>

/* Prompts of equal clean tokens: one thing to place. */
struct group {
    uint32_t template_index; /* of its first prompt */
    uint32_t number;         /* in the order of the split */
    uint32_t n_tokens;
    enum prompt_part part;
};

struct stratifying {
    const double *shares;
    struct group *groups; /* [n_groups] */
    uint32_t n_groups;
    size_t n_in_part[PROMPT_N_PARTS];
    bool is_search_cut; /* of a file with sets: its search prompts become search and reference */
};

static int compare_by_template(const void *a, const void *b)
{
    const struct group *left = a, *right = b;
    if (left->template_index != right->template_index)
        return left->template_index < right->template_index ? -1 : 1;
    return (left->number > right->number) - (left->number < right->number);
}

static int compare_by_number(const void *a, const void *b)
{
    const struct group *left = a, *right = b;
    return (left->number > right->number) - (left->number < right->number);
}

/* What there is to place, by template. */
static void list_groups(struct stratifying *work, const struct prompt_set *set,
                        const struct placed *placed)
{
    for (size_t i = 0; i < set->n_prompts; i++) {
        const struct circuit_prompt *prompt = &set->prompts[placed[i].prompt];
        if (i > 0 && placed[i].group == placed[i - 1].group) continue;
        if (prompt->use == USE_HELD_OUT) work->n_in_part[PART_VERDICT]++;
        work->is_search_cut = work->is_search_cut || prompt->use != USE_UNSAID;
        if (prompt->use == USE_HELD_OUT) continue;
        work->groups[work->n_groups++] =
            (struct group){prompt->template_index, placed[i].group, prompt->n_tokens, PART_SEARCH};
    }
    qsort(work->groups, work->n_groups, sizeof *work->groups, compare_by_template);
}

static uint32_t first_longest(const struct group *groups, uint32_t n)
{
    uint32_t longest = 0;
    for (uint32_t i = 1; i < n; i++)
        if (groups[i].n_tokens > groups[longest].n_tokens) longest = i;
    return longest;
}

/* Search or verdict, whichever has fewer prompts for its share. */
static enum prompt_part part_behind(const struct stratifying *work)
{
    const double search = (double)work->n_in_part[PART_SEARCH] / work->shares[PART_SEARCH];
    const double verdict = (double)work->n_in_part[PART_VERDICT] / work->shares[PART_VERDICT];
    return work->is_search_cut || search <= verdict ? PART_SEARCH : PART_VERDICT;
}

/* How many of n prompts are search prompts, and how many reference prompts but for the longest. */
static void share_out(const struct stratifying *work, uint32_t n, uint32_t *n_search,
                      uint32_t *n_reference)
{
    const double search = work->shares[PART_SEARCH], reference = work->shares[PART_REFERENCE];
    if (work->is_search_cut) {
        *n_search = prompt_split_cut(search / (search + reference), n, 1, 1);
        *n_reference = n - *n_search - 1;
        return;
    }
    *n_search = prompt_split_cut(search, n, 1, 2);
    *n_reference = prompt_split_cut(search + reference, n, *n_search + 1, 1) - *n_search - 1;
}

/* The n groups of one template. */
static void place_template(struct stratifying *work, struct group *groups, uint32_t n)
{
    const uint32_t longest = first_longest(groups, n);
    uint32_t n_search = 0, n_reference = 0, n_seen = 0;
    if (n > 2 || work->is_search_cut) share_out(work, n, &n_search, &n_reference);
    for (uint32_t i = 0; i < n; i++) {
        enum prompt_part part = PART_REFERENCE;
        if (i != longest && n == 2)
            part = part_behind(work);
        else if (i != longest && n_seen < n_search)
            part = PART_SEARCH;
        else if (i != longest && n_seen >= n_search + n_reference)
            part = PART_VERDICT;
        n_seen += i != longest;
        groups[i].part = part;
        work->n_in_part[part]++;
    }
}

static status_t place_all(struct stratifying *work, const struct prompt_set *set, struct error *err)
{
    uint32_t n;
    for (uint32_t first = 0; first < work->n_groups; first += n) {
        const uint32_t template_index = work->groups[first].template_index;
        for (n = 1; first + n < work->n_groups; n++)
            if (work->groups[first + n].template_index != template_index) break;
        if (n == 1)
            return error_set(err, ST_BAD_INPUT,
                             "split: template %s has one %sprompt; a mean over templates needs a "
                             "reference prompt beside it",
                             set->templates[template_index], work->is_search_cut ? "search " : "");
        place_template(work, work->groups + first, n);
    }
    for (int part = 0; part < PROMPT_N_PARTS; part++)
        if (work->n_in_part[part] == 0)
            return error_set(err, ST_BAD_INPUT,
                             "split: no %s prompt is left, one prompt of every template being its "
                             "reference; give more prompts of a template",
                             prompt_part_name((enum prompt_part)part));
    return ST_OK;
}

/* To every prompt the part of its group. */
static void tell_parts(const struct stratifying *work, const struct prompt_set *set,
                       const struct placed *placed, enum prompt_part *parts)
{
    uint32_t at = 0; /* groups are those of `placed`, less the held-out ones */
    qsort(work->groups, work->n_groups, sizeof *work->groups, compare_by_number);
    for (size_t i = 0; i < set->n_prompts; i++) {
        while (at < work->n_groups && work->groups[at].number < placed[i].group) at++;
        const bool is_placed = at < work->n_groups && work->groups[at].number == placed[i].group;
        parts[placed[i].prompt] = is_placed ? work->groups[at].part : PART_VERDICT;
    }
}

status_t prompt_split_by_template(const struct prompt_set *set, const double *shares,
                                  const struct placed *placed, enum prompt_part *parts,
                                  struct error *err)
{
    struct stratifying work = {.shares = shares};
    work.groups = malloc((set->n_prompts + 1) * sizeof *work.groups);
    if (!work.groups) return error_set(err, ST_NO_MEMORY, "split of %zu prompts", set->n_prompts);
    list_groups(&work, set, placed);
    const status_t status = place_all(&work, set, err);
    if (status == ST_OK) tell_parts(&work, set, placed, parts);
    free(work.groups);
    return status;
}
