#include "coordinator/session/intervention.h"

#include "coordinator/session/draw.h"
#include "coordinator/session/prompt_data.h"
#include "coordinator/session/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const INTERVENTION_PROMPT_FIELDS[] = {"beginning", "first", "second", "labels",
                                                  "n_labels"};

/* --- pairs --------------------------------------------------------------------------------- */

static size_t strongest(const struct window *window)
{
    size_t best = 0;
    for (size_t i = 1; i < window->n_tokens; i++)
        if (window_activation(window, i) > window_activation(window, best)) best = i;
    return best;
}

static bool has_document(const struct intervention_trial *self, uint64_t key)
{
    for (size_t i = 0; i < self->n_pairs; i++)
        if (self->pairs[i].document_key == key) return true;
    return false;
}

/* The window's text up to and with its strongest token. */
static status_t copy_beginning(const struct window *window, const struct token_texts *texts,
                               char **out, struct error *err)
{
    struct window_text text;
    struct window beginning = *window;
    beginning.n_tokens = strongest(window) + 1;
    const status_t status = window_text_init(&text, &beginning, texts, err);
    if (status != ST_OK) return status;
    *out = strdup(text.text);
    window_text_fini(&text);
    return *out ? ST_OK : error_set(err, ST_NO_MEMORY, "prompts");
}

static status_t add_pair(struct intervention_trial *self, const struct window *window,
                         const struct intervention_params *params, struct error *err)
{
    struct intervention_pair *pair = &self->pairs[self->n_pairs];
    const status_t status = copy_beginning(window, params->texts, &pair->prompt, err);
    if (status != ST_OK) return status;
    struct draw draw = draw_stream(params->seed, DRAW_INTERVENTION,
                                   params->subject ^ hash_mix64(self->n_pairs + 1));
    pair->document_key = window->document_key;
    pair->is_steered_first = draw_below(&draw, 2) == 1;
    for (uint32_t i = 0; i < INTERVENTION_N_LABELS; i++) pair->order[i] = i;
    draw_shuffle(&draw, pair->order, INTERVENTION_N_LABELS);
    self->n_pairs++;
    return ST_OK;
}

static status_t make_pairs(struct intervention_trial *self,
                           const struct intervention_params *params, struct error *err)
{
    status_t status = ST_OK;
    self->pairs = calloc(params->rule->n_prompts + 1, sizeof *self->pairs);
    if (!self->pairs) return error_set(err, ST_NO_MEMORY, "prompts");
    for (size_t i = 0; i < params->n_windows && status == ST_OK; i++) {
        const struct window *window = &params->windows[i];
        if (self->n_pairs == params->rule->n_prompts) break;
        if (!window_fires(window) || has_document(self, window->document_key)) continue;
        status = add_pair(self, window, params, err);
    }
    if (status == ST_OK && self->n_pairs == 0)
        (void)snprintf(self->failure, sizeof self->failure, "no test window fires");
    return status;
}

status_t intervention_init(struct intervention_trial *out, const struct intervention_params *params,
                           struct error *err)
{
    *out = (struct intervention_trial){
        .rule = params->rule, .seed = hash_mix64(params->seed ^ hash_mix64(params->subject))};
    if (params->n_labels < INTERVENTION_N_LABELS) {
        (void)snprintf(out->failure, sizeof out->failure,
                       "the sweep has fewer than %d different labels", INTERVENTION_N_LABELS);
        return ST_OK;
    }
    for (size_t i = 0; i < INTERVENTION_N_LABELS; i++) out->labels[i] = *params->labels[i];
    const status_t status = make_pairs(out, params, err);
    if (status != ST_OK) intervention_fini(out);
    return status;
}

void intervention_fini(struct intervention_trial *intervention)
{
    for (size_t i = 0; i < intervention->n_pairs; i++) {
        free(intervention->pairs[i].prompt);
        free(intervention->pairs[i].clean);
        free(intervention->pairs[i].steered);
    }
    free(intervention->pairs);
    *intervention = (struct intervention_trial){0};
}

/* --- the model ----------------------------------------------------------------------------- */

void intervention_job(const struct intervention_trial *self, uint32_t target, uint32_t slot,
                      struct generate_job *out)
{
    *out = (struct generate_job){.n_tokens = self->rule->n_tokens,
                                 .n_samples = 1,
                                 .where = GENERATE_NEW,
                                 .temperature = self->rule->temperature,
                                 .seed = self->seed,
                                 .target_kl = self->rule->target_kl,
                                 .n_interventions = 1,
                                 .interventions = {{target, slot, INTERVENTION_ADD, 1}},
                                 .n_prompts = self->n_pairs};
    for (size_t i = 0; i < self->n_pairs; i++)
        out->prompts[i] = wire_text_of(self->pairs[i].prompt);
}

static status_t copy_text(const struct continuation *from, char **out, struct error *err)
{
    struct buffer text;
    buffer_init(&text, 4 * GENERATE_MAX_TEXT_BYTES);
    status_t status = utf8_append_valid(&text, from->text, from->n_text, err);
    if (status == ST_OK && !(*out = strdup(buffer_text(&text))))
        status = error_set(err, ST_NO_MEMORY, "continuations");
    buffer_fini(&text);
    return status;
}

status_t intervention_take(struct intervention_trial *self, const struct generate_answer *answer,
                           struct error *err)
{
    status_t status = ST_OK;
    size_t n_judged = 0;
    if (answer->error[0] || answer->n_prompts != self->n_pairs) {
        (void)snprintf(self->failure, sizeof self->failure, "%.*s", SESSION_FAILURE_SIZE - 1,
                       answer->error[0] ? answer->error : "the workers answered other prompts");
        return ST_OK;
    }
    self->strength = answer->strength;
    self->kl = answer->kl;
    for (size_t i = 0; i < self->n_pairs && status == ST_OK; i++) {
        struct intervention_pair *pair = &self->pairs[i];
        const struct generate_prompt *prompt = &answer->prompts[i];
        if (prompt->error[0] || prompt->n_samples != 1 || pair->clean) continue;
        status = copy_text(&prompt->samples[0].clean, &pair->clean, err);
        if (status == ST_OK) status = copy_text(&prompt->samples[0].steered, &pair->steered, err);
        pair->can_judge = status == ST_OK;
        n_judged += pair->can_judge;
    }
    if (status == ST_OK && n_judged == 0)
        (void)snprintf(self->failure, sizeof self->failure, "no prompt can be continued");
    return status;
}

/* --- the judge ----------------------------------------------------------------------------- */

static status_t append_labels(const struct intervention_trial *self,
                              const struct intervention_pair *pair, struct buffer *out,
                              struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = 0; i < INTERVENTION_N_LABELS && status == ST_OK; i++) {
        const char *label = self->labels[pair->order[i]].text;
        status = buffer_printf(out, err, "%sLabel %zu: ", i ? "\n" : "", i + 1);
        if (status == ST_OK) status = prompt_data_append(out, label, strlen(label), NULL, 0, err);
    }
    return status;
}

static status_t append_data(struct buffer *out, const char *text, struct error *err)
{
    return prompt_data_append(out, text, strlen(text), NULL, 0, err);
}

static struct prompt_field field_of(size_t index, const struct buffer *text)
{
    return (struct prompt_field){INTERVENTION_PROMPT_FIELDS[index],
                                 text->n_bytes ? (const char *)text->bytes : "", text->n_bytes};
}

status_t intervention_messages(const struct intervention_trial *self, size_t index,
                               struct prompt_messages *messages, struct error *err)
{
    enum { N_TEXTS = 4 };
    const struct intervention_pair *pair = &self->pairs[index];
    struct buffer texts[N_TEXTS];
    char n_labels[8];
    const int n_digits = snprintf(n_labels, sizeof n_labels, "%d", INTERVENTION_N_LABELS);
    for (size_t i = 0; i < N_TEXTS; i++) buffer_init(&texts[i], PROMPT_MAX_MESSAGE_BYTES);
    status_t status = append_data(&texts[0], pair->prompt, err);
    if (status == ST_OK)
        status = append_data(&texts[1], pair->is_steered_first ? pair->steered : pair->clean, err);
    if (status == ST_OK)
        status = append_data(&texts[2], pair->is_steered_first ? pair->clean : pair->steered, err);
    if (status == ST_OK) status = append_labels(self, pair, &texts[3], err);
    const struct prompt_field fields[INTERVENTION_N_PROMPT_FIELDS] = {
        field_of(0, &texts[0]),
        field_of(1, &texts[1]),
        field_of(2, &texts[2]),
        field_of(3, &texts[3]),
        {INTERVENTION_PROMPT_FIELDS[4], n_labels, (size_t)n_digits}};
    if (status == ST_OK)
        status = prompt_template_fill(self->rule->template_, fields, INTERVENTION_N_PROMPT_FIELDS,
                                      &messages->system, &messages->user, err);
    for (size_t i = 0; i < N_TEXTS; i++) buffer_fini(&texts[i]);
    return status;
}

bool intervention_answer(struct intervention_trial *self, size_t index, const char *content,
                         size_t n_bytes)
{
    struct intervention_pair *pair = &self->pairs[index];
    pair->has_choice = content && prompt_reply_choice(content, n_bytes, INTERVENTION_N_LABELS,
                                                      &pair->choice, NULL) == ST_OK;
    return pair->has_choice;
}

void intervention_draw_choices(struct intervention_trial *self)
{
    for (size_t i = 0; i < self->n_pairs; i++) {
        struct draw draw = draw_stream(self->seed, DRAW_CONTROL, i);
        if (!self->pairs[i].can_judge) continue;
        self->pairs[i].has_choice = true;
        self->pairs[i].choice = 1 + draw_below(&draw, INTERVENTION_N_LABELS);
    }
}

/* --- the score ----------------------------------------------------------------------------- */

double intervention_upper_tail(size_t n, size_t n_right, double chance)
{
    double sum = 0;
    for (size_t i = n_right; i <= n; i++)
        sum += exp(lgamma((double)n + 1) - lgamma((double)i + 1) - lgamma((double)(n - i) + 1) +
                   (double)i * log(chance) + (double)(n - i) * log1p(-chance));
    return sum < 1 ? sum : 1;
}

static bool is_right(const struct intervention_pair *pair)
{
    return pair->has_choice && pair->order[pair->choice - 1] == 0;
}

/* Pairs that were judged, in order of their documents. */
struct judged_pairs {
    const struct intervention_pair *list[INTERVENTION_MAX_PROMPTS];
    size_t n;
};

static int compare_pairs(const void *left, const void *right)
{
    const uint64_t a = (*(const struct intervention_pair *const *)left)->document_key;
    const uint64_t b = (*(const struct intervention_pair *const *)right)->document_key;
    return (a > b) - (a < b);
}

static bool share_of(void *context, const uint32_t *drawn, size_t n, double *value)
{
    const struct judged_pairs *judged = context;
    size_t n_right = 0;
    for (size_t i = 0; i < n; i++) n_right += is_right(judged->list[drawn[i]]);
    *value = (double)n_right / (double)n;
    return true;
}

status_t intervention_measure(const struct intervention_trial *self,
                              const struct bootstrap_params *params,
                              struct intervention_outcome *out, struct error *err)
{
    struct judged_pairs judged = {.n = 0};
    *out = (struct intervention_outcome){
        .is_there = true, .p = 1, .strength = self->strength, .kl = self->kl};
    (void)snprintf(out->failure, sizeof out->failure, "%s", self->failure);
    if (self->failure[0]) return ST_OK;
    for (size_t i = 0; i < self->n_pairs; i++)
        if (self->pairs[i].can_judge) judged.list[judged.n++] = &self->pairs[i];
    qsort(judged.list, judged.n, sizeof(const struct intervention_pair *), compare_pairs);
    out->n_pairs = judged.n;
    for (size_t i = 0; i < judged.n; i++) {
        out->n_right += is_right(judged.list[i]);
        out->n_failed += !judged.list[i]->has_choice;
    }
    out->share = (struct score_value){true, (double)out->n_right / (double)judged.n};
    out->p = intervention_upper_tail(judged.n, out->n_right, 1.0 / INTERVENTION_N_LABELS);
    return bootstrap_documents(share_of, &judged, judged.n, params, &out->interval, err);
}
