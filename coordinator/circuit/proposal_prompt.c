#include "coordinator/circuit/proposal_prompt.h"

#include "coordinator/circuit/proposal_evidence.h"
#include "coordinator/session/prompt_data.h"

#include <string.h>

enum { FIELD_TASK, FIELD_EXAMPLES, FIELD_MODEL, FIELD_CANDIDATES, FIELD_EVIDENCE };
const char *const PROPOSAL_PROMPT_FIELDS[PROPOSAL_N_PROMPT_FIELDS] = {"task", "examples", "model",
                                                                      "candidates", "evidence"};

/* A text from outside, cut between characters. */
static status_t put_data(struct buffer *out, const char *text, struct error *err)
{
    size_t n = strlen(text);
    const bool is_cut = n > PROPOSAL_TEXT_BYTES;
    if (is_cut) n = PROPOSAL_TEXT_BYTES;
    while (is_cut && n > 0 && ((unsigned char)text[n] & 0xC0) == 0x80) n--;
    const status_t status = prompt_data_append(out, text, n, NULL, 0, err);
    return status == ST_OK && is_cut ? buffer_append_text(out, " ...", err) : status;
}

static status_t put_task(const struct proposal_view *view, struct buffer *out, struct error *err)
{
    const status_t status = put_data(out, view->task, err);
    return status == ST_OK ? buffer_printf(out, err, "; measured is %s", view->metric) : status;
}

static status_t put_examples(const struct proposal_view *view, struct buffer *out,
                             struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = 0; i < view->n_examples && i < PROPOSAL_EXAMPLES && status == ST_OK; i++) {
        status = buffer_append_text(out, i ? "\nclean: " : "clean: ", err);
        if (status == ST_OK) status = put_data(out, view->examples[i].clean, err);
        if (status == ST_OK) status = buffer_append_text(out, "\ncorrupted: ", err);
        if (status == ST_OK) status = put_data(out, view->examples[i].corrupted, err);
    }
    return status == ST_OK && view->n_examples == 0
               ? buffer_append_text(out, "(their texts are not known)", err)
               : status;
}

/* --- candidates --------------------------------------------------------------------------- */

/* Does `next` stand right behind `last` in a run of one layer, kind and position? */
static bool is_next(const struct component *last, const struct component *next)
{
    return last->layer == next->layer && last->type == next->type && last->site == next->site &&
           last->index + 1 == next->index && strcmp(last->position, next->position) == 0;
}

static status_t put_run(const struct component *first, const struct component *last, bool is_first,
                        struct buffer *out, struct error *err)
{
    char name[COMPONENT_NAME_SIZE], end[COMPONENT_NAME_SIZE];
    const char *line = is_first ? "" : "\n";
    (void)component_name(first, name);
    if (component_equal(first, last)) return buffer_printf(out, err, "%s%s", line, name);
    return buffer_printf(out, err, "%s%s to %s", line, name, component_name(last, end));
}

/* A line for each run of indexes. */
static status_t put_candidates(const struct proposal_view *view, struct proposal_shown *shown,
                               struct buffer *out, struct error *err)
{
    const struct component *all = view->candidates;
    size_t n_runs = 0;
    status_t status = ST_OK;
    shown->n_candidates = shown->n_candidates_shown = view->n_candidates;
    for (size_t first = 0, last; first < view->n_candidates && status == ST_OK; first = last + 1) {
        for (last = first; last + 1 < view->n_candidates; last++)
            if (!is_next(&all[last], &all[last + 1])) break;
        if (n_runs == PROPOSAL_MAX_RUNS) {
            shown->n_candidates_shown = first;
            return buffer_printf(out, err, "\nand %zu more", view->n_candidates - first);
        }
        status = put_run(&all[first], &all[last], n_runs++ == 0, out, err);
    }
    return status;
}

/* --- evidence ----------------------------------------------------------------------------- */

/* Without its position: what a head attends to on random words has none. */
static char *base_name(const struct component *component, char out[COMPONENT_NAME_SIZE])
{
    struct component base = *component;
    base.position[0] = '\0';
    return component_name(&base, out);
}

static status_t put_head(const struct head_scores *scores, const struct component *head,
                         struct buffer *out, struct error *err)
{
    char name[COMPONENT_NAME_SIZE];
    status_t status = buffer_printf(out, err, "%s attends", base_name(head, name));
    for (int p = 0; p < HEAD_N_PATTERNS && status == ST_OK; p++) {
        const enum head_pattern pattern = (enum head_pattern)p;
        const struct head_score score = head_scores_of(scores, head->layer, head->index, pattern);
        status = buffer_printf(out, err, "%s %s %.2f", p ? "," : "", head_pattern_name(pattern),
                               score.attention);
    }
    return status == ST_OK ? buffer_append_text(out, "\n", err) : status;
}

static status_t put_heads(const struct proposal_view *view,
                          const struct proposal_evidence *evidence, struct buffer *out,
                          struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = 0; i < evidence->n_heads_shown && status == ST_OK; i++)
        status = put_head(view->scores, &view->candidates[evidence->heads[i]], out, err);
    if (status != ST_OK || evidence->n_heads_shown == evidence->n_heads) return status;
    return buffer_printf(out, err,
                         "(those are the %zu of %zu heads that attend most to one of these; the "
                         "others are not shown)\n",
                         evidence->n_heads_shown, evidence->n_heads);
}

static status_t put_labels(const struct proposal_view *view,
                           const struct proposal_evidence *evidence, struct buffer *out,
                           struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = 0; i < evidence->n_labels_shown && status == ST_OK; i++) {
        const struct proposal_label *label = &view->labels[evidence->labels[i]];
        char name[COMPONENT_NAME_SIZE];
        status = buffer_printf(out, err, "%s fires on: ", base_name(&label->component, name));
        if (status == ST_OK) status = put_data(out, label->text, err);
        if (status == ST_OK) status = buffer_append_text(out, "\n", err);
    }
    if (status != ST_OK || evidence->n_labels_shown == evidence->n_labels) return status;
    return buffer_printf(out, err,
                         "(those are the %zu of %zu labels that hold best on other text; the "
                         "others are not shown)\n",
                         evidence->n_labels_shown, evidence->n_labels);
}

static status_t put_evidence(const struct proposal_view *view, struct proposal_shown *shown,
                             struct buffer *out, struct error *err)
{
    struct proposal_evidence evidence;
    status_t status = proposal_evidence_choose(view, &evidence, err);
    if (status != ST_OK) return status;
    shown->n_heads = evidence.n_heads;
    shown->n_heads_shown = evidence.n_heads_shown;
    shown->n_labels = evidence.n_labels;
    shown->n_labels_shown = evidence.n_labels_shown;
    status = put_heads(view, &evidence, out, err);
    if (status == ST_OK) status = put_labels(view, &evidence, out, err);
    proposal_evidence_fini(&evidence);
    if (status != ST_OK) return status;
    if (out->n_bytes == 0) return buffer_append_text(out, "(nothing)", err);
    out->n_bytes--; /* the template ends the line */
    return ST_OK;
}

/* --- the whole ---------------------------------------------------------------------------- */

static status_t put_all(const struct proposal_view *view, struct proposal_shown *shown,
                        struct buffer *fields, struct error *err)
{
    status_t status = put_task(view, &fields[FIELD_TASK], err);
    if (status == ST_OK) status = put_examples(view, &fields[FIELD_EXAMPLES], err);
    if (status == ST_OK)
        status = buffer_printf(&fields[FIELD_MODEL], err, "%u layers", (unsigned)view->n_layers);
    if (status == ST_OK) status = put_candidates(view, shown, &fields[FIELD_CANDIDATES], err);
    return status == ST_OK ? put_evidence(view, shown, &fields[FIELD_EVIDENCE], err) : status;
}

status_t proposal_prompt_fill(const struct prompt_template *template_,
                              const struct proposal_view *view, struct prompt_messages *out,
                              struct proposal_shown *shown, struct error *err)
{
    struct buffer texts[PROPOSAL_N_PROMPT_FIELDS];
    struct prompt_field fields[PROPOSAL_N_PROMPT_FIELDS];
    for (int f = 0; f < PROPOSAL_N_PROMPT_FIELDS; f++)
        buffer_init(&texts[f], PROMPT_MAX_MESSAGE_BYTES);
    status_t status = put_all(view, shown, texts, err);
    for (int f = 0; f < PROPOSAL_N_PROMPT_FIELDS && status == ST_OK; f++)
        fields[f] = (struct prompt_field){PROPOSAL_PROMPT_FIELDS[f],
                                          texts[f].n_bytes ? (const char *)texts[f].bytes : "",
                                          texts[f].n_bytes};
    if (status == ST_OK)
        status = prompt_template_fill(template_, fields, PROPOSAL_N_PROMPT_FIELDS, &out->system,
                                      &out->user, err);
    for (int f = 0; f < PROPOSAL_N_PROMPT_FIELDS; f++) buffer_fini(&texts[f]);
    return status;
}
