/* The intervention score of a sweep: one session a scored label, after all labels are there,
 * because the judge chooses among labels of several features. */
#include "coordinator/sweep/label_scoring_parts.h"

#include "coordinator/session/draw.h"

#include <stdlib.h>
#include <string.h>

/* --- whose, and beside which --------------------------------------------------------------- */

/* Labels of features whose scores are claimed, in the order of slots. */
status_t label_intervene_begin(struct label_scoring *scoring, struct error *err)
{
    if (scoring->rules.intervention.n_prompts == 0) return ST_OK;
    scoring->steered = malloc((scoring->n_slots + 1) * sizeof *scoring->steered);
    if (!scoring->steered) return error_set(err, ST_NO_MEMORY, "steered features");
    for (size_t i = 0; i < scoring->n_slots; i++)
        if (label_is_scored(scoring, i)) scoring->steered[scoring->n_steered++] = i;
    return ST_OK;
}

static bool is_among(const struct prompt_label *const *labels, size_t n, const char *text)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(labels[i]->text, text) == 0) return true;
    return false;
}

/* The slot's own, then others as they are drawn, no text twice; how many there are. */
static size_t deal_labels(const struct label_scoring *scoring, size_t slot,
                          const struct prompt_label *labels[INTERVENTION_N_LABELS])
{
    enum { DRAWS_MAX = 400 };
    const size_t n_all = scoring->n_steered;
    struct draw draw =
        draw_stream(scoring->rules.seed, DRAW_INTERVENTION, label_slot_subject(scoring, slot));
    size_t n = 1;
    labels[0] = &scoring->results[slot].label;
    for (size_t i = 0; i < DRAWS_MAX && n < INTERVENTION_N_LABELS; i++) {
        const size_t other = scoring->steered[draw_below(&draw, (uint32_t)n_all)];
        const struct prompt_label *label = &scoring->results[other].label;
        if (!is_among(labels, n, label->text)) labels[n++] = label;
    }
    return n;
}

status_t label_intervene_open(const struct label_scoring *scoring, struct open_session *open,
                              const struct feature_case *feature_case, struct error *err)
{
    const size_t slot = scoring->steered[open->index];
    const struct window_selection *test = &feature_case->splits[EVIDENCE_TEST].judged;
    const struct prompt_label *labels[INTERVENTION_N_LABELS];
    const size_t n_labels = deal_labels(scoring, slot, labels);
    const struct intervention_params params = {.texts = &scoring->token_texts,
                                               .seed = scoring->rules.seed,
                                               .subject = label_slot_subject(scoring, slot),
                                               .windows = test->windows,
                                               .n_windows = test->n_windows,
                                               .labels = labels,
                                               .n_labels = n_labels};
    return label_session_open_intervention(&open->session, &scoring->rules, &params, err);
}

/* --- what came of it ----------------------------------------------------------------------- */

status_t label_intervene_finish(const struct label_scoring *scoring, struct open_session *open,
                                struct error *err)
{
    const struct bootstrap_params params =
        label_bootstrap(scoring, scoring->steered[open->index], BOOTSTRAP_INTERVENTION);
    return intervention_measure(open->session.intervention, &params, &open->intervention, err);
}

void label_intervene_take(struct label_scoring *scoring, const struct open_session *open)
{
    scoring->results[scoring->steered[open->index]].intervention = open->intervention;
    scoring->n_steered_done++;
}

/* --- generations --------------------------------------------------------------------------- */

status_t label_intervene_ask(struct label_scoring *scoring, struct open_session *open, uint32_t ask,
                             struct error *err)
{
    const struct slot_name name = label_slot_name(scoring, scoring->steered[open->index]);
    struct generate_job job;
    char id[HASH_HEX_SIZE];
    label_session_generation(&open->session, name.target, name.slot, &job);
    const status_t status = generate_pool_ask(scoring->generations, &job, id, err);
    if (status != ST_OK) return status;
    if (!call_id_parse(id, open->ids[ask]))
        return error_set(err, ST_INTERNAL, "generation id %s", id);
    return call_index_add(scoring->waiters, open->ids[ask], (struct call_waiter){open, ask}, err);
}
