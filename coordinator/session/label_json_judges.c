/* What judges say beside yes and no: the simulation score, and whether they agree. */
#include "coordinator/session/label_json_parts.h"

json_t *label_json_simulation(const struct label_simulation *of)
{
    const struct simulation_score *score = &of->outcome->score;
    const char *form = of->outcome->form == SIMULATION_LOGPROBS ? "logprobs" : "scale";
    const char *verdict = of->support ? support_verdict_text(of->support->verdict) : NULL;
    return json_pack(
        "{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s?}", "form", form,
        "pearson", label_json_value(score->pearson), "interval",
        label_json_interval(&score->interval), "r2", label_json_value(score->r2), "absdev",
        label_json_value(score->absdev), "imputed", label_json_value(score->imputed), "n_windows",
        label_json_count(score->n_windows), "n_failed", label_json_count(score->n_failed),
        "n_expected", label_json_count(of->outcome->n_expected), "n_tokens",
        label_json_count(score->n_tokens), "n_documents", label_json_count(score->n_documents),
        "n_redrawn", label_json_count(score->interval.n_redrawn), "null",
        label_json_null(of->null, of->support), "verdict", verdict);
}

static json_t *kappa_json(const struct agreement *of)
{
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "kappa", label_json_value(of->kappa), "interval",
        label_json_interval(&of->interval), "observed", label_json_value(of->observed), "expected",
        label_json_value(of->expected), "n_windows", label_json_count(of->n_windows), "n_left_out",
        label_json_count(of->n_left_out), "n_documents", label_json_count(of->n_documents));
}

static json_t *panel_json(const struct panel_agreement *of)
{
    json_t *cohen = json_array();
    for (size_t i = 0; cohen && i + 1 < of->n_judges; i++)
        if (json_array_append_new(cohen, kappa_json(&of->cohen[i])) != 0) {
            json_decref(cohen);
            return NULL;
        }
    return json_pack("{s:o, s:o}", "cohen", cohen, "fleiss",
                     of->n_judges > 2 ? kappa_json(&of->fleiss) : json_null());
}

json_t *label_json_agreement(const struct label_agreement *of)
{
    json_t *judges = json_array();
    int failed = !judges;
    for (size_t i = 0; i < of->n_judges && !failed; i++)
        failed = json_array_append_new(judges, json_string(of->judges[i]));
    json_t *json = failed ? NULL : json_pack("{s:O}", "judges", judges);
    json_decref(judges);
    for (unsigned score = 0; json && score < CASE_N_SCORES; score++) {
        if (of->panels[score].n_judges == 0) continue;
        if (json_object_set_new(json, case_score_name((enum case_score)score),
                                panel_json(&of->panels[score])) == 0)
            continue;
        json_decref(json);
        return NULL;
    }
    return json;
}
