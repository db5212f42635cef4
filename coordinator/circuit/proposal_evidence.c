#include "coordinator/circuit/proposal_evidence.h"

#include <stdlib.h>

struct ranked {
    double strength;
    uint32_t index;
};

static int by_strength(const void *a, const void *b)
{
    const struct ranked *left = a, *right = b;
    if (left->strength != right->strength) return left->strength > right->strength ? -1 : 1;
    return left->index < right->index ? -1 : left->index > right->index;
}

static int by_index(const void *a, const void *b)
{
    const uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return left < right ? -1 : left > right;
}

/* --- heads -------------------------------------------------------------------------------- */

static bool is_scored_head(const struct proposal_view *view, size_t index)
{
    const struct component *head = &view->candidates[index];
    return view->scores && head->type == COMPONENT_HEAD && head->layer < view->scores->n_layers &&
           head->index < view->scores->n_heads;
}

/* Positions of one head stand side by side: candidates are ascending. */
static bool is_seen(const struct proposal_view *view, size_t index)
{
    struct component before, head = view->candidates[index];
    if (index == 0) return false;
    before = view->candidates[index - 1];
    before.position[0] = head.position[0] = '\0';
    return component_equal(&before, &head);
}

static double strength_of_head(const struct head_scores *scores, const struct component *head)
{
    double most = 0.0;
    for (int p = 0; p < HEAD_N_PATTERNS; p++) {
        const struct head_score score =
            head_scores_of(scores, head->layer, head->index, (enum head_pattern)p);
        if (score.is_defined && score.attention > most) most = score.attention;
    }
    return most;
}

static size_t rank_heads(const struct proposal_view *view, struct ranked *out)
{
    size_t n = 0;
    for (size_t c = 0; c < view->n_candidates; c++)
        if (is_scored_head(view, c) && !is_seen(view, c))
            out[n++] =
                (struct ranked){strength_of_head(view->scores, &view->candidates[c]), (uint32_t)c};
    return n;
}

/* --- labels ------------------------------------------------------------------------------- */

static size_t rank_labels(const struct proposal_view *view, struct ranked *out)
{
    for (size_t i = 0; i < view->n_labels; i++) {
        const struct proposal_label *label = &view->labels[i];
        out[i] = (struct ranked){(label->is_supported ? 2.0 : 0.0) + label->score, (uint32_t)i};
    }
    return view->n_labels;
}

/* --- both --------------------------------------------------------------------------------- */

/* The first `n_shown` of them as indexes, ascending; NULL without memory. */
static uint32_t *take(struct ranked *all, size_t n, size_t n_shown)
{
    uint32_t *chosen = malloc((n_shown + 1) * sizeof *chosen);
    if (!chosen) return NULL;
    if (n > 0) qsort(all, n, sizeof *all, by_strength);
    for (size_t i = 0; i < n && i < n_shown; i++) chosen[i] = all[i].index;
    if (n_shown > 0) qsort(chosen, n_shown, sizeof *chosen, by_index);
    return chosen;
}

/* Of so many lines of one kind, beside so many of the other. */
static size_t n_shown_of(size_t n, size_t n_others)
{
    const size_t half = PROPOSAL_MAX_EVIDENCE / 2;
    const size_t room = PROPOSAL_MAX_EVIDENCE - (n_others < half ? n_others : half);
    return n < room ? n : room;
}

status_t proposal_evidence_choose(const struct proposal_view *view, struct proposal_evidence *out,
                                  struct error *err)
{
    const size_t n_most = view->n_candidates > view->n_labels ? view->n_candidates : view->n_labels;
    struct ranked *ranked = malloc((n_most + 1) * sizeof *ranked);
    *out = (struct proposal_evidence){.n_labels = view->n_labels};
    if (!ranked) return error_set(err, ST_NO_MEMORY, "evidence for the agent");
    out->n_heads = rank_heads(view, ranked);
    out->n_heads_shown = n_shown_of(out->n_heads, out->n_labels);
    out->n_labels_shown = n_shown_of(out->n_labels, out->n_heads);
    out->heads = take(ranked, out->n_heads, out->n_heads_shown);
    out->labels = take(ranked, rank_labels(view, ranked), out->n_labels_shown);
    free(ranked);
    if (out->heads && out->labels) return ST_OK;
    proposal_evidence_fini(out);
    return error_set(err, ST_NO_MEMORY, "evidence for the agent");
}

void proposal_evidence_fini(struct proposal_evidence *evidence)
{
    free(evidence->heads);
    free(evidence->labels);
    *evidence = (struct proposal_evidence){.n_heads = 0};
}
