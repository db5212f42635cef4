#include "coordinator/session/judge_panel.h"

#include <stdlib.h>

status_t judge_panel_init(struct judge_panel *out, const struct judgement *const *judges,
                          size_t n_judges, size_t n_items, struct error *err)
{
    struct judge_panel made = {NULL, NULL, n_judges, n_items};
    if (n_judges < 2 || n_judges > JUDGE_PANEL_MAX)
        return error_set(err, ST_BAD_INPUT, "a panel of %zu judges (2 to %d)", n_judges,
                         JUDGE_PANEL_MAX);
    made.document_keys = calloc(n_items + 1, sizeof *made.document_keys);
    made.answers = calloc(n_items + 1, n_judges);
    if (!made.document_keys || !made.answers) {
        judge_panel_fini(&made);
        return error_set(err, ST_NO_MEMORY, "%zu answers of %zu judges", n_items, n_judges);
    }
    for (size_t i = 0; i < n_items; i++) made.document_keys[i] = judges[0][i].document_key;
    for (size_t j = 0; j < n_judges; j++)
        for (size_t i = 0; i < n_items; i++)
            made.answers[j * n_items + i] = (int8_t)judges[j][i].answer;
    *out = made;
    return ST_OK;
}

void judge_panel_fini(struct judge_panel *panel)
{
    free(panel->document_keys);
    free(panel->answers);
    *panel = (struct judge_panel){NULL, NULL, 0, 0};
}

/* --- agreement --------------------------------------------------------------------------- */

/* All panels as one array of judgements per judge. */
struct pooled {
    struct judgement *all; /* [n_judges, n_items], owned */
    size_t n_judges, n_items;
};

static status_t count_items(const struct judge_panel *const *panels, size_t n_panels,
                            struct pooled *out, struct error *err)
{
    for (size_t i = 0; i < n_panels; i++) {
        if (panels[i]->n_items == 0) continue;
        if (out->n_judges > 0 && panels[i]->n_judges != out->n_judges)
            return error_set(err, ST_BAD_INPUT, "a panel of %zu judges among those of %zu",
                             panels[i]->n_judges, out->n_judges);
        out->n_judges = panels[i]->n_judges;
        out->n_items += panels[i]->n_items;
    }
    return ST_OK;
}

/* Kappa asks what judges said, not what is true: every window counts as firing. */
static void copy_items(const struct judge_panel *panel, size_t at, struct pooled *out)
{
    for (size_t j = 0; j < panel->n_judges; j++)
        for (size_t i = 0; i < panel->n_items; i++)
            out->all[j * out->n_items + at + i] = (struct judgement){
                .document_key = panel->document_keys[i],
                .truth = WINDOW_FIRING,
                .answer = (enum judge_answer)panel->answers[j * panel->n_items + i]};
}

static status_t pool(const struct judge_panel *const *panels, size_t n_panels, struct pooled *out,
                     struct error *err)
{
    size_t at = 0;
    status_t status = count_items(panels, n_panels, out, err);
    if (status != ST_OK) return status;
    out->all = calloc(out->n_items * out->n_judges + 1, sizeof *out->all);
    if (!out->all) return error_set(err, ST_NO_MEMORY, "%zu judged windows", out->n_items);
    for (size_t i = 0; i < n_panels; i++) {
        copy_items(panels[i], at, out);
        at += panels[i]->n_items;
    }
    return ST_OK;
}

static status_t measure(const struct pooled *pooled, const struct bootstrap_params *params,
                        struct panel_agreement *out, struct error *err)
{
    const struct judgement *judges[JUDGE_PANEL_MAX];
    const size_t n = pooled->n_items;
    status_t status = ST_OK;
    for (size_t j = 0; j < pooled->n_judges; j++) judges[j] = pooled->all + j * n;
    out->n_judges = pooled->n_judges;
    for (size_t j = 1; j < pooled->n_judges && status == ST_OK; j++)
        status = agreement_cohen(judges[0], judges[j], n, params, &out->cohen[j - 1], err);
    if (status == ST_OK && pooled->n_judges > 2)
        status = agreement_fleiss(judges, pooled->n_judges, n, params, &out->fleiss, err);
    return status;
}

status_t judge_panel_agree(const struct judge_panel *const *panels, size_t n_panels,
                           const struct bootstrap_params *params, struct panel_agreement *out,
                           struct error *err)
{
    struct pooled pooled = {NULL, 0, 0};
    struct panel_agreement made = {.n_judges = 0};
    status_t status = pool(panels, n_panels, &pooled, err);
    if (status == ST_OK && pooled.n_items > 0) status = measure(&pooled, params, &made, err);
    free(pooled.all);
    if (status == ST_OK) *out = made;
    return status;
}
