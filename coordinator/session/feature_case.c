#include "coordinator/session/feature_case_parts.h"

#include "common/evidence_pick.h"
#include "common/evidence_view.h"

#include <stdlib.h>
#include <string.h>

enum {
    POOL_FACTOR = 3,
    N_WRONG_FUZZ = 10,
    MAX_EXPLAIN_SILENT = 128, /* together they fit the lexical explainer */
    MAX_EXPLAIN_FIRING = LEXICAL_MAX_WINDOWS - MAX_EXPLAIN_SILENT
};

const char *case_score_name(enum case_score score)
{
    static const char *const names[CASE_N_SCORES] = {"detection", "fuzzing"};
    return names[score];
}

/* --- windows from evidence ----------------------------------------------------------------- */

/* Where windows are being put: arenas are sized beforehand, so pointers stay. */
struct filling {
    const struct feature_case_params *params;
    uint32_t *tokens;
    float *activations;
    size_t n_tokens;
};

static status_t place(struct filling *filling, const struct evidence_window *where,
                      struct window *out, struct error *err)
{
    const struct token_corpus *corpus = filling->params->corpus;
    uint32_t *tokens = filling->tokens + filling->n_tokens;
    struct error cause = {.status = ST_OK};
    const status_t status = token_corpus_read(corpus, where->document_index, where->document_offset,
                                              where->n_tokens, tokens, &cause);
    if (status != ST_OK)
        return error_set(err, status, "evidence of slot %u: %s", (unsigned)filling->params->slot,
                         cause.text);
    *out = (struct window){.tokens = tokens,
                           .n_tokens = where->n_tokens,
                           .document_key = token_corpus_document(corpus, where->document_index).key,
                           .document_index = where->document_index,
                           .document_offset = where->document_offset};
    return ST_OK;
}

static status_t place_firing(struct filling *filling, const struct evidence_entry *entry,
                             struct window *out, struct error *err)
{
    const status_t status = place(filling, &entry->window, out, err);
    if (status != ST_OK) return status;
    float *activations = filling->activations + filling->n_tokens;
    window_fill_activations(entry, filling->params->fire_threshold, activations);
    out->activations = activations;
    out->kind = WINDOW_FIRING;
    filling->n_tokens += entry->window.n_tokens;
    return ST_OK;
}

static status_t place_silent(struct filling *filling, const struct evidence_window *where,
                             enum window_kind kind, struct window *out, struct error *err)
{
    const status_t status = place(filling, where, out, err);
    if (status != ST_OK) return status;
    out->kind = kind;
    filling->n_tokens += where->n_tokens;
    return ST_OK;
}

static struct evidence_pick pick_of(const struct feature_case_params *params, size_t n)
{
    return (struct evidence_pick){.n = n,
                                  .seed = params->seed ^ hash_mix64(params->subject),
                                  .fire_threshold = params->fire_threshold};
}

/* Silent windows of a kind behind windows[*n]. */
static status_t add_silent(struct filling *filling, const struct evidence_view *view,
                           enum window_kind kind, size_t n_wanted, struct window *windows,
                           size_t *n, struct error *err)
{
    if (n_wanted == 0) return ST_OK;
    struct evidence_window *chosen = malloc(n_wanted * sizeof *chosen);
    if (!chosen) return error_set(err, ST_NO_MEMORY, "windows");
    const struct evidence_pick pick = pick_of(filling->params, n_wanted);
    const size_t n_chosen =
        kind == WINDOW_SILENT_HARD        ? evidence_pick_near_miss(view, &pick, chosen)
        : kind == WINDOW_SILENT_NEIGHBOUR ? evidence_pick_neighbour(view, &pick, chosen)
                                          : evidence_pick_silent(view, &pick, chosen);
    status_t status = ST_OK;
    for (size_t i = 0; i < n_chosen && status == ST_OK; i++)
        status = place_silent(filling, &chosen[i], kind, &windows[(*n)++], err);
    free(chosen);
    return status;
}

/* --- explain ------------------------------------------------------------------------------- */

static status_t add_explain(struct feature_case *self, struct filling *filling,
                            const struct evidence_view *view, struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = 0;
         i < view->n_firing && self->n_explain < MAX_EXPLAIN_FIRING && status == ST_OK; i++) {
        const struct evidence_entry entry = evidence_view_firing(view, i);
        if (!(entry.max_value > filling->params->fire_threshold)) continue;
        status = place_firing(filling, &entry, &self->explain[self->n_explain++], err);
    }
    self->n_explain_firing = self->n_explain;
    const size_t n_silent =
        view->n_silent < MAX_EXPLAIN_SILENT ? view->n_silent : (size_t)MAX_EXPLAIN_SILENT;
    if (status == ST_OK)
        status = add_silent(filling, view, WINDOW_SILENT_RANDOM, n_silent, self->explain,
                            &self->n_explain, err);
    return status;
}

/* Does a prompt show explain window `index`? */
static bool feature_case_shows(const struct feature_case *self, uint32_t index)
{
    if (index >= self->n_explain_firing)
        return index - self->n_explain_firing < CASE_N_SHOWN_SILENT;
    for (size_t i = 0; i < self->n_shown; i++)
        if (self->shown[i] == index) return true;
    return false;
}

/* The prompt's examples: the strongest, then a spread over the quantiles. Indices into explain
 * equal those of the view while no threshold leaves weak entries out, which are the last ones. */
static status_t choose_shown(struct feature_case *self, const struct feature_case_params *params,
                             const struct evidence_view *view, struct error *err)
{
    size_t *chosen = malloc((CASE_N_TOP + CASE_N_QUANTILES) * sizeof *chosen);
    if (!chosen) return error_set(err, ST_NO_MEMORY, "windows");
    struct evidence_pick pick = pick_of(params, CASE_N_TOP);
    size_t n = evidence_pick_top(view, &pick, chosen);
    pick.n = CASE_N_QUANTILES;
    n += evidence_pick_quantiles(view, &pick, chosen + n);
    for (size_t i = 0; i < n; i++)
        if (chosen[i] < self->n_explain_firing && !feature_case_shows(self, (uint32_t)chosen[i]))
            self->shown[self->n_shown++] = (uint32_t)chosen[i];
    free(chosen);
    return ST_OK;
}

/* --- the judged split ---------------------------------------------------------------------- */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* `n` hard windows: half near misses, half of neighbours; where one kind is short, more of the
 * other. */
static status_t add_hard(struct case_split *split, size_t n, struct filling *filling,
                         const struct evidence_view *view, struct error *err)
{
    const size_t n_near = least(view->n_near_miss, n - least(view->n_neighbour, n / 2));
    const size_t n_neighbour = least(view->n_neighbour, n - n_near);
    const status_t status =
        add_silent(filling, view, WINDOW_SILENT_HARD, n_near, split->pool, &split->n_pool, err);
    return status == ST_OK ? add_silent(filling, view, WINDOW_SILENT_NEIGHBOUR, n_neighbour,
                                        split->pool, &split->n_pool, err)
                           : status;
}

/* `factor` times as many windows of each kind as are judged, into split->pool. */
static status_t add_pool(struct case_split *split, size_t factor, struct filling *filling,
                         const struct evidence_view *view, struct error *err)
{
    const struct feature_case_params *params = filling->params;
    const size_t n_firing = factor * params->n_firing, n_silent = factor * params->n_silent;
    struct window *pool = malloc((n_firing + 2 * n_silent + 1) * sizeof *pool);
    if (!pool) return error_set(err, ST_NO_MEMORY, "windows");
    split->pool = pool;
    size_t *chosen = malloc((n_firing + 1) * sizeof *chosen);
    if (!chosen) return error_set(err, ST_NO_MEMORY, "windows");
    const struct evidence_pick pick = pick_of(params, n_firing);
    const size_t n_chosen = evidence_pick_quantiles(view, &pick, chosen);
    status_t status = ST_OK;
    for (size_t i = 0; i < n_chosen && status == ST_OK; i++) {
        const struct evidence_entry entry = evidence_view_firing(view, chosen[i]);
        status = place_firing(filling, &entry, &pool[split->n_pool++], err);
    }
    free(chosen);
    if (status == ST_OK)
        status =
            add_silent(filling, view, WINDOW_SILENT_RANDOM, n_silent, pool, &split->n_pool, err);
    return status == ST_OK ? add_hard(split, n_silent, filling, view, err) : status;
}

static size_t n_pool_windows(const struct feature_case_params *params)
{
    return POOL_FACTOR * (params->n_firing + 2 * params->n_silent);
}

status_t feature_case_select(const struct feature_case *self,
                             const struct feature_case_params *params, struct case_split *split,
                             struct error *err)
{
    struct window_select_params select =
        window_select_params_default(params->seed, params->subject);
    select.n_wanted[WINDOW_FIRING] = params->n_firing;
    select.n_wanted[WINDOW_SILENT_RANDOM] = params->n_silent;
    select.n_wanted[WINDOW_SILENT_HARD] = params->n_silent - params->n_silent / 2;
    select.n_wanted[WINDOW_SILENT_NEIGHBOUR] = params->n_silent / 2;
    select.near_duplicate_jaccard = params->overlap_jaccard;
    return window_select(self->explain, self->n_explain, split->pool, split->n_pool, &select,
                         &split->judged, err);
}

status_t feature_case_make_items(struct case_split *split, const struct feature_case_params *params,
                                 enum case_score score, struct error *err)
{
    const struct window *windows = split->judged.windows;
    const size_t n = split->judged.n_windows;
    const struct prompt_fuzz_params fuzz = {params->seed, params->subject, N_WRONG_FUZZ};
    status_t status = score == CASE_FUZZING
                          ? prompt_items_fuzzing(windows, n, &fuzz, &split->items[score], err)
                          : prompt_items_detection(windows, n, &split->items[score], err);
    if (status != ST_OK) return status;
    const enum draw_purpose purpose = score == CASE_FUZZING ? DRAW_FUZZ : DRAW_DETECTION;
    return prompt_plan_init(&split->plans[score], &split->items[score], params->windows_per_prompt,
                            draw_stream(params->seed, purpose, params->subject), err);
}

/* --- explain windows that are judged -------------------------------------------------------- */

/* Up to CASE_N_CHECK of the windows [first, first + n), drawn; those that a prompt shows only
 * when there are too few others. */
static status_t check_some(struct feature_case *self, size_t first, size_t n, struct draw *draw,
                           struct error *err)
{
    struct window_selection *checked = &self->splits[EVIDENCE_EXPLAIN].judged;
    uint32_t *order = malloc((n + 1) * sizeof *order);
    if (!order) return error_set(err, ST_NO_MEMORY, "%zu windows", n);
    size_t n_chosen = 0;
    for (size_t i = 0; i < n; i++) order[i] = (uint32_t)(first + i);
    draw_shuffle(draw, order, n);
    for (int may_be_shown = 0; may_be_shown < 2; may_be_shown++)
        for (size_t i = 0; i < n && n_chosen < CASE_N_CHECK; i++) {
            if (feature_case_shows(self, order[i]) != (bool)may_be_shown) continue;
            checked->windows[checked->n_windows++] = self->explain[order[i]];
            n_chosen++;
        }
    free(order);
    return ST_OK;
}

static status_t select_check(struct feature_case *self, const struct feature_case_params *params,
                             struct error *err)
{
    struct window_selection *checked = &self->splits[EVIDENCE_EXPLAIN].judged;
    struct draw draw = draw_stream(params->seed, DRAW_CHECK, params->subject);
    checked->windows = malloc(2 * CASE_N_CHECK * sizeof *checked->windows);
    if (!checked->windows) return error_set(err, ST_NO_MEMORY, "windows");
    status_t status = check_some(self, 0, self->n_explain_firing, &draw, err);
    checked->n_of_kind[WINDOW_FIRING] = checked->n_windows;
    if (status == ST_OK)
        status = check_some(self, self->n_explain_firing, self->n_explain - self->n_explain_firing,
                            &draw, err);
    checked->n_of_kind[WINDOW_SILENT_RANDOM] =
        checked->n_windows - checked->n_of_kind[WINDOW_FIRING];
    return status == ST_OK ? feature_case_make_items(&self->splits[EVIDENCE_EXPLAIN], params,
                                                     CASE_DETECTION, err)
                           : status;
}

/* --- counts -------------------------------------------------------------------------------- */

static status_t count(struct feature_case *self, const struct feature_case_params *params,
                      struct error *err)
{
    status_t status = ST_OK;
    for (unsigned i = 0; i < EVIDENCE_N_SPLITS && status == ST_OK; i++) {
        struct evidence_view view;
        if (i == EVIDENCE_OOD || !params->states[i]) continue;
        status = evidence_view_open(params->states[i], params->slot, &view, err);
        if (status != ST_OK) break;
        self->counts.n_tokens += view.n_tokens;
        self->counts.n_firing_tokens += evidence_view_n_above(&view, params->fire_threshold);
        if (view.max_value > self->max_value) self->max_value = view.max_value;
        if (i == EVIDENCE_VALIDATE) {
            self->counts.position_f1 = evidence_view_position_f1(&view);
            self->counts.token_f1 = evidence_view_token_f1(&view, NULL);
        }
        if (i == EVIDENCE_TEST) self->counts.n_test_documents = view.n_documents;
    }
    self->status = triage(&self->counts, &params->thresholds);
    return status;
}

/* The splits that are judged, but for explain, whose windows are there anyway. */
static const struct {
    enum case_part part;
    enum evidence_split split;
    bool is_detection_only;
} judged_parts[] = {{CASE_PART_VALIDATE, EVIDENCE_VALIDATE, true},
                    {CASE_PART_TEST, EVIDENCE_TEST, false},
                    {CASE_PART_OOD, EVIDENCE_OOD, false}};
enum { N_JUDGED = sizeof judged_parts / sizeof judged_parts[0] };

/* Room for every window that any view may give. */
static status_t make_room(struct feature_case *self, struct filling *filling,
                          const struct evidence_view *explain, struct error *err)
{
    const struct feature_case_params *params = filling->params;
    const size_t window_tokens =
        evidence_state_identity(params->states[EVIDENCE_EXPLAIN])->limits.window_tokens;
    const size_t n_explain = explain->n_firing * 2 + explain->n_silent;
    size_t n_pool = 0;
    for (size_t i = 0; i < N_JUDGED; i++)
        if (params->parts & judged_parts[i].part) n_pool += n_pool_windows(params);
    if (params->parts & CASE_PART_HELD_OUT) n_pool += n_pool_windows(params);
    const size_t n_tokens = (n_explain + n_pool + 1) * window_tokens;
    self->explain = malloc((n_explain + 1) * sizeof *self->explain);
    self->tokens = malloc(n_tokens * sizeof *self->tokens);
    self->activations = malloc(n_tokens * sizeof *self->activations);
    if (!self->explain || !self->tokens || !self->activations)
        return error_set(err, ST_NO_MEMORY, "windows of slot %u", (unsigned)params->slot);
    filling->tokens = self->tokens;
    filling->activations = self->activations;
    return ST_OK;
}

static status_t explain_lexically(struct feature_case *self,
                                  const struct feature_case_params *params, struct error *err)
{
    struct error problem = {0};
    const status_t status = lexical_explain(params->workspace, self->explain, self->n_explain,
                                            &self->lexical, &problem);
    self->has_lexical = status == ST_OK;
    if (status == ST_OK || status == ST_NOT_FOUND) return ST_OK;
    return error_set(err, status, "%s", problem.text);
}

/* Whose windows of a split are judged: its own, but for the permuted control. */
static struct feature_case_params judged_params(const struct feature_case_params *own,
                                                enum evidence_split split)
{
    struct feature_case_params params = *own;
    if (!own->stand_in.is_used || split == EVIDENCE_VALIDATE) return params;
    memcpy(params.states, own->stand_in.states, sizeof params.states);
    params.fire_threshold = own->stand_in.fire_threshold;
    params.slot = own->stand_in.slot;
    return params;
}

static status_t judge_windows(struct feature_case *self, struct filling *filling, size_t index,
                              struct error *err)
{
    const struct feature_case_params *params = filling->params;
    const enum evidence_split of = judged_parts[index].split;
    const unsigned scores =
        judged_parts[index].is_detection_only ? 1u << CASE_DETECTION : params->scores;
    struct case_split *split = &self->splits[of];
    struct evidence_view view;
    if (!params->states[of]) return ST_OK;
    status_t status = evidence_view_open(params->states[of], params->slot, &view, err);
    if (status == ST_OK) status = add_pool(split, POOL_FACTOR, filling, &view, err);
    if (status == ST_OK) status = feature_case_select(self, params, split, err);
    if (status != ST_OK || split->judged.n_of_kind[WINDOW_FIRING] == 0) return status;
    for (unsigned score = 0; score < CASE_N_SCORES && status == ST_OK; score++)
        if (scores & (1u << score))
            status = feature_case_make_items(split, params, (enum case_score)score, err);
    return status;
}

static status_t judge_split(struct feature_case *self, struct filling *filling, size_t index,
                            struct error *err)
{
    const struct feature_case_params *own = filling->params;
    const struct feature_case_params judged = judged_params(own, judged_parts[index].split);
    filling->params = &judged;
    const status_t status = judge_windows(self, filling, index, err);
    filling->params = own;
    return status;
}

/* Validate windows that nobody is asked about. */
static status_t hold_out(struct feature_case *self, struct filling *filling, struct error *err)
{
    const struct feature_case_params *params = filling->params;
    struct evidence_view view;
    if (!params->states[EVIDENCE_VALIDATE]) return ST_OK;
    const status_t status =
        evidence_view_open(params->states[EVIDENCE_VALIDATE], params->slot, &view, err);
    if (status != ST_OK) return status;
    struct case_split *held_out = &self->held_out;
    const status_t added = add_pool(held_out, 1, filling, &view, err);
    size_t n = 0;
    for (size_t i = 0; i < held_out->n_pool; i++) /* as window_select() does it */
        if ((held_out->pool[i].kind == WINDOW_FIRING) == window_fires(&held_out->pool[i]))
            held_out->pool[n++] = held_out->pool[i];
    held_out->n_pool = n;
    return added;
}

static status_t fill(struct feature_case *self, const struct feature_case_params *params,
                     struct error *err)
{
    struct filling filling = {.params = params};
    struct evidence_view explain;
    status_t status =
        evidence_view_open(params->states[EVIDENCE_EXPLAIN], params->slot, &explain, err);
    if (status == ST_OK) status = make_room(self, &filling, &explain, err);
    if (status == ST_OK) status = add_explain(self, &filling, &explain, err);
    if (status != ST_OK || self->n_explain_firing == 0) return status;
    status = choose_shown(self, params, &explain, err);
    if (status == ST_OK && (params->parts & CASE_PART_LEXICAL))
        status = explain_lexically(self, params, err);
    if (status == ST_OK && (params->parts & CASE_PART_CHECK))
        status = select_check(self, params, err);
    for (size_t i = 0; i < N_JUDGED && status == ST_OK; i++)
        if (params->parts & judged_parts[i].part) status = judge_split(self, &filling, i, err);
    if (status == ST_OK && (params->parts & CASE_PART_HELD_OUT))
        status = hold_out(self, &filling, err);
    if (status == ST_OK && (params->parts & (CASE_PART_CLUSTERS | CASE_PART_MEANINGS)))
        status = feature_case_group(self, params, err);
    return status;
}

status_t feature_case_build(struct feature_case *out, const struct feature_case_params *params,
                            struct error *err)
{
    struct feature_case self = {
        .slot = params->slot, .subject = params->subject, .parts = params->parts};
    status_t status = count(&self, params, err);
    if (status == ST_OK && params->parts && self.status != FEATURE_DEAD)
        status = fill(&self, params, err);
    if (status == ST_OK)
        *out = self;
    else
        feature_case_fini(&self);
    return status;
}

void feature_case_split_fini(struct case_split *split)
{
    for (unsigned score = 0; score < CASE_N_SCORES; score++) {
        prompt_plan_fini(&split->plans[score]);
        prompt_items_fini(&split->items[score]);
    }
    window_selection_fini(&split->judged);
    free(split->pool);
}

void feature_case_fini(struct feature_case *self)
{
    for (unsigned i = 0; i < EVIDENCE_N_SPLITS; i++) feature_case_split_fini(&self->splits[i]);
    feature_case_split_fini(&self->held_out);
    feature_case_groups_fini(&self->groups);
    free(self->explain);
    free(self->tokens);
    free(self->activations);
    *self = (struct feature_case){0};
}

void feature_case_judge_lexically(const struct prompt_items *items,
                                  const struct lexical_pattern *pattern,
                                  const struct lexical_vocabulary *vocabulary,
                                  struct judgement *judgements)
{
    for (size_t i = 0; i < items->n_items; i++) {
        const struct prompt_item *item = &items->items[i];
        const bool fires = item->marks ? lexical_pattern_predict_marked(pattern, vocabulary,
                                                                        item->window, item->marks)
                                       : lexical_pattern_predict(pattern, vocabulary, item->window);
        judgements[i] = (struct judgement){.document_key = item->window->document_key,
                                           .truth = item->truth,
                                           .answer = fires ? ANSWER_FIRES : ANSWER_SILENT};
    }
}
