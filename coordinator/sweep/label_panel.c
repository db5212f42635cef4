/* Agreement of several judges on the test windows: of one feature, and over the sweep. */
#include "coordinator/sweep/label_scoring_parts.h"

#include <stdlib.h>

_Static_assert(JUDGE_PANEL_MAX == 1 + SESSION_MAX_MORE_JUDGES &&
                   (int)SWEEP_MAX_MORE_JUDGES == (int)SESSION_MAX_MORE_JUDGES,
               "as many judges in a sweep, a session and a panel");

struct panel_input {
    const struct label_scoring *scoring;
    const struct label_session *session;
    const struct feature_case *feature_case;
    size_t index;
};

/* What judge `index` said, the deciding one being 0. */
static status_t read_judge(const struct panel_input *input, size_t index, unsigned score,
                           struct judgement **out, size_t *n, struct error *err)
{
    if (index > 0)
        return label_session_panel(input->session, input->feature_case, index - 1,
                                   (enum case_score)score, out, n, err);
    return label_session_judgements(input->session, input->feature_case, SHEET_TEST,
                                    (enum case_score)score, out, n, err);
}

/* Nothing where one of them was not asked. */
static status_t collect(const struct panel_input *input, unsigned score, struct judge_panel *out,
                        struct error *err)
{
    struct judgement *judges[JUDGE_PANEL_MAX] = {NULL};
    const size_t n_judges = 1 + input->session->rules->n_more_judges;
    size_t n_items = 0;
    bool is_whole = true;
    status_t status = ST_OK;
    for (size_t i = 0; i < n_judges && status == ST_OK; i++) {
        status = read_judge(input, i, score, &judges[i], &n_items, err);
        is_whole = is_whole && judges[i];
    }
    if (status == ST_OK && is_whole)
        status =
            judge_panel_init(out, (const struct judgement *const *)judges, n_judges, n_items, err);
    for (size_t i = 0; i < n_judges; i++) free(judges[i]);
    return status;
}

status_t label_panel_make(const struct label_scoring *scoring, const struct label_session *session,
                          const struct feature_case *feature_case, size_t index,
                          struct slot_panel **out, struct error *err)
{
    const struct panel_input input = {scoring, session, feature_case, index};
    const struct bootstrap_params params = label_bootstrap(scoring, index, BOOTSTRAP_AGREEMENT);
    status_t status = ST_OK;
    if (session->rules->n_more_judges == 0) return ST_OK;
    struct slot_panel *panel = calloc(1, sizeof *panel);
    if (!panel) return error_set(err, ST_NO_MEMORY, "judges");
    for (unsigned score = 0; score < CASE_N_SCORES && status == ST_OK; score++) {
        const struct judge_panel *only = &panel->answers[score];
        status = collect(&input, score, &panel->answers[score], err);
        if (status == ST_OK)
            status = judge_panel_agree(&only, 1, &params, &panel->agreement[score], err);
    }
    if (status == ST_OK)
        *out = panel;
    else
        label_panel_destroy(&panel);
    return status;
}

void label_panel_destroy(struct slot_panel **panel)
{
    if (!*panel) return;
    for (unsigned score = 0; score < CASE_N_SCORES; score++)
        judge_panel_fini(&(*panel)->answers[score]);
    free(*panel);
    *panel = NULL;
}

status_t label_panel_pool(const struct label_scoring *scoring, struct panel_agreement *out,
                          struct error *err)
{
    const struct sweep_spec *spec = scoring->run->sweep->spec;
    const struct bootstrap_params params = {.n_resamples = spec->scoring.bootstrap_resamples,
                                            .confidence = 0.95,
                                            .seed = spec->seed ^ spec->scoring.seed};
    const struct judge_panel **panels = calloc(scoring->n_slots + 1, sizeof *panels);
    status_t status = panels ? ST_OK : error_set(err, ST_NO_MEMORY, "judges");
    for (unsigned score = 0; score < CASE_N_SCORES && status == ST_OK; score++) {
        size_t n = 0;
        for (size_t i = 0; i < scoring->n_slots; i++)
            if (scoring->results[i].panel) panels[n++] = &scoring->results[i].panel->answers[score];
        status = judge_panel_agree(panels, n, &params, &out[score], err);
    }
    free((void *)panels);
    return status;
}
