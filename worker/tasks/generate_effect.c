/* How far interventions move the model, and the strength at which they move it as far as wanted:
 * found between 1e-3 and GENERATE_MAX_STRENGTH by the secant of log KL over log strength, within a
 * bracket that is halved where the secant leads out of it. */
#include "worker/tasks/generate_parts.h"

#include "worker/model/forward.h"
#include "worker/tasks/logits.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { SEARCH_STEPS = 20, HALVED_EVERY = 4 };
static const double smallest_strength = 1e-3, tolerance = 0.1; /* of the target */

/* Tokens of the prompt whose distributions are compared. */
static size_t n_compared(const struct generation *self, size_t prompt)
{
    return generate_row_of(self, prompt)->n_tokens - generate_first_changed(self, prompt);
}

/* Of each pair its tokens, the clean row's beside the steered row's. */
static size_t list_head_pairs(const struct generation *self, const struct generate_batch *batch,
                              struct row_pair *out)
{
    const uint32_t n_ctx = (uint32_t)self->runner->n_ctx;
    size_t n = 0;
    for (uint32_t i = 0; i < batch->n_pairs; i++) {
        const size_t prompt = batch->pairs[i].prompt;
        const uint32_t clean = 2 * i * n_ctx + generate_first_changed(self, prompt);
        for (uint32_t t = 0; t < n_compared(self, prompt); t++)
            out[n++] = (struct row_pair){clean + t, clean + n_ctx + t};
    }
    return n;
}

/* Of each pair the last token of the clean row, then of the steered row. */
static size_t list_last_tokens(const struct generation *self, const struct generate_batch *batch,
                               uint32_t *out)
{
    for (uint32_t row = 0; row < 2 * batch->n_pairs; row++) {
        const size_t n_tokens = generate_row_of(self, batch->pairs[row / 2].prompt)->n_tokens;
        out[row] = row * (uint32_t)self->runner->n_ctx + (uint32_t)n_tokens - 1;
    }
    return 2 * batch->n_pairs;
}

static status_t take_changes(struct generate_prompt *prompt, const float *clean,
                             const float *steered, size_t n_vocab, struct error *err)
{
    struct logits_change changes[GENERATE_MAX_CHANGES];
    const size_t n = logits_changes(clean, steered, n_vocab, changes, GENERATE_MAX_CHANGES);
    free(prompt->changes);
    prompt->n_changes = 0;
    prompt->changes = calloc(n + 1, sizeof *prompt->changes);
    if (!prompt->changes) return error_set(err, ST_NO_MEMORY, "changed tokens");
    for (; prompt->n_changes < n; prompt->n_changes++) {
        const struct logits_change *from = &changes[prompt->n_changes];
        prompt->changes[prompt->n_changes] = (struct generate_change){
            .token = from->token, .p_clean = from->p_clean, .p_steered = from->p_steered};
    }
    return ST_OK;
}

/* KL of one pair, infinite where a logit is not finite; divergences are of its tokens. */
static void take_kl(struct generation *self, size_t prompt, const struct divergence *divergences)
{
    const size_t n = n_compared(self, prompt);
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += divergences[i].n_not_finite > 0 ? HUGE_VAL : divergences[i].kl;
    self->answer->prompts[prompt].kl = sum / (double)n;
}

/* Room for what a batch is compared by. */
struct comparing {
    struct generate_batch batch;
    struct row_pair *pairs;         /* [n_rows * n_ctx / 2] */
    struct divergence *divergences; /* likewise */
};

static status_t compare_batch(struct generation *self, const struct comparing *comparing,
                              bool is_final, struct error *err)
{
    const size_t n_vocab = model_config(self->runner->subject.model)->n_vocab;
    const struct generate_batch *batch = &comparing->batch;
    uint32_t last[GENERATE_MAX_ROWS];
    const float *logits;
    struct generate_wanted wanted = {.pairs = comparing->pairs,
                                     .divergences = comparing->divergences,
                                     .n_pairs = list_head_pairs(self, batch, comparing->pairs)};
    if (is_final) {
        wanted.head_rows = last;
        wanted.n_head_rows = list_last_tokens(self, batch, last);
    }
    status_t status = generate_run_batch(self, batch, &wanted, &logits, err);
    const struct divergence *divergences = comparing->divergences;
    for (size_t i = 0; i < batch->n_pairs && status == ST_OK; i++) {
        const size_t prompt = batch->pairs[i].prompt;
        struct generate_prompt *out = &self->answer->prompts[prompt];
        take_kl(self, prompt, divergences);
        divergences += n_compared(self, prompt);
        if (is_final && !isinf(out->kl))
            status = take_changes(out, logits + 2 * i * n_vocab, logits + (2 * i + 1) * n_vocab,
                                  n_vocab, err);
    }
    return status;
}

static status_t compare_prompts(struct generation *self, struct comparing *comparing, bool is_final,
                                struct error *err)
{
    const size_t most = self->runner->n_rows / 2;
    struct generate_batch *batch = &comparing->batch;
    status_t status = ST_OK;
    for (size_t first = 0; first < self->n_valid && status == ST_OK; first += most) {
        *batch = (struct generate_batch){.n_pairs = 0};
        for (size_t i = first; i < self->n_valid && batch->n_pairs < most; i++)
            batch->pairs[batch->n_pairs++].prompt = self->valid[i];
        status = compare_batch(self, comparing, is_final, err);
    }
    return status;
}

/* Mean KL over the valid prompts, in answer->kl; each prompt's beside it. */
static status_t measure(struct generation *self, bool is_final, struct error *err)
{
    const size_t n = self->runner->n_rows / 2 * self->runner->n_ctx;
    struct comparing *comparing = calloc(1, sizeof *comparing);
    double sum = 0;
    if (!comparing) return error_set(err, ST_NO_MEMORY, "a comparison");
    comparing->pairs = malloc(n * sizeof *comparing->pairs);
    comparing->divergences = malloc(n * sizeof *comparing->divergences);
    const status_t status = comparing->pairs && comparing->divergences
                                ? compare_prompts(self, comparing, is_final, err)
                                : error_set(err, ST_NO_MEMORY, "a comparison");
    for (size_t i = 0; i < self->n_valid; i++) sum += self->answer->prompts[self->valid[i]].kl;
    self->answer->kl = sum / (double)self->n_valid;
    free(comparing->pairs);
    free(comparing->divergences);
    free(comparing);
    return status;
}

static status_t try_strength(struct generation *self, double strength, struct error *err)
{
    const double value = copysign(strength, self->job->interventions[0].value);
    steering_set_value(self->steering, value);
    self->answer->strength = value;
    return measure(self, false, err);
}

/* A search under way, in logarithms of strength and KL. */
struct search {
    double low, high;  /* the KL is too small at one, large enough at the other */
    double at, log_kl; /* the last try; -inf: no effect at all */
    double before, log_kl_before;
    double best, best_off; /* the try that came closest */
    int n_tries;
};

static double next_try(const struct search *search, double log_target)
{
    const double middle = (search->low + search->high) / 2;
    const bool has_two = isfinite(search->log_kl_before) && search->before != search->at;
    const double slope =
        has_two ? (search->log_kl - search->log_kl_before) / (search->at - search->before)
                : 2; /* a small push: KL grows with its square */
    if (search->n_tries % HALVED_EVERY == 0 || !isfinite(search->log_kl) || !(slope > 0))
        return middle;
    const double wanted = search->at + (log_target - search->log_kl) / slope;
    return wanted > search->low && wanted < search->high ? wanted : middle;
}

static status_t try_next(struct generation *self, struct search *search, double at,
                         struct error *err)
{
    const double target = self->job->target_kl;
    const status_t status = try_strength(self, exp(at), err);
    if (status != ST_OK) return status;
    const double off = fabs(self->answer->kl - target);
    search->before = search->at;
    search->log_kl_before = search->log_kl;
    search->at = at;
    search->log_kl = log(self->answer->kl);
    search->n_tries++;
    if (self->answer->kl < target)
        search->low = at;
    else
        search->high = at;
    if (off < search->best_off) {
        search->best_off = off;
        search->best = at;
    }
    return ST_OK;
}

/* The strength whose KL comes closest is left in the steering. */
static status_t search(struct generation *self, struct error *err)
{
    const double target = self->job->target_kl, most = log(GENERATE_MAX_STRENGTH);
    struct search search = {.low = log(smallest_strength),
                            .high = most,
                            .log_kl = -HUGE_VAL,
                            .best = most,
                            .best_off = HUGE_VAL};
    status_t status = try_next(self, &search, most, err);
    if (status != ST_OK) return status;
    if (self->answer->kl < (1 - tolerance) * target) {
        (void)snprintf(self->answer->error, sizeof self->answer->error,
                       "no effect: the mean KL is %.3g nats at strength %g, %.3g are wanted",
                       self->answer->kl, GENERATE_MAX_STRENGTH, target);
        return ST_OK;
    }
    search.log_kl = -HUGE_VAL; /* far out the KL levels off: no secant from there */
    if (search.best_off > tolerance * target) status = try_next(self, &search, 0, err);
    while (search.best_off > tolerance * target && search.n_tries < SEARCH_STEPS && status == ST_OK)
        status = try_next(self, &search, next_try(&search, log(target)), err);
    return status == ST_OK ? try_strength(self, exp(search.best), err) : status;
}

status_t generate_effect(struct generation *self, struct error *err)
{
    status_t status = self->job->target_kl > 0 ? search(self, err) : ST_OK;
    if (status == ST_OK && !self->answer->error[0]) status = measure(self, true, err);
    if (status == ST_OK && !isfinite(self->answer->kl) && !self->answer->error[0])
        (void)snprintf(self->answer->error, sizeof self->answer->error,
                       "the intervention makes values that are not finite");
    return status;
}
