#include "worker/tasks/generate_parts.h"

#include "common/hash.h"
#include "worker/model/forward.h"
#include "worker/model/tokenizer.h"
#include "worker/tasks/logits.h"
#include "worker/tasks/spec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROW_BLOCK = 32, CTX_STEP = 16 };

static void close_forward(struct generate_runner *self)
{
    forward_destroy(&self->forward);
    free(self->tokens);
    self->tokens = NULL;
}

void generate_runner_close(struct generate_runner **runner)
{
    struct generate_runner *self = *runner;
    if (!self) return;
    close_forward(self);
    subject_close(&self->subject);
    free(self);
    *runner = NULL;
}

status_t generate_runner_open(struct generate_runner **out,
                              const struct task_environment *environment, const json_t *spec,
                              struct error *err)
{
    struct generate_runner *self = calloc(1, sizeof *self);
    if (!self) return error_set(err, ST_NO_MEMORY, "generations");
    self->ticks = environment->ticks;
    const status_t status = subject_open(&self->subject, environment->models, spec, false, err);
    if (status != ST_OK) {
        generate_runner_close(&self);
        return status;
    }
    self->has_eos = tokenizer_eos(probe_texts_tokenizer(self->subject.texts), &self->eos);
    *out = self;
    return ST_OK;
}

/* --- prompts ------------------------------------------------------------------------------- */

const struct probe_row *generate_row_of(const struct generation *self, size_t prompt)
{
    return &self->rows.rows[prompt];
}

uint32_t generate_first_changed(const struct generation *self, size_t prompt)
{
    const struct probe_row *row = generate_row_of(self, prompt);
    return (uint32_t)(self->job->where == GENERATE_ALL ? row->n_bos : row->n_tokens - 1);
}

static void check_prompt(struct generation *self, size_t prompt, const struct probe_answer *read)
{
    struct generate_prompt *out = &self->answer->prompts[prompt];
    const struct probe_row *row = generate_row_of(self, prompt);
    const size_t n_ctx = self->runner->subject.n_ctx;
    out->n_tokens = row->n_tokens - row->n_bos;
    if (read->error[0])
        (void)snprintf(out->error, sizeof out->error, "%s", read->error);
    else if (read->is_cut)
        (void)snprintf(out->error, sizeof out->error,
                       "the prompt is longer than the context of %zu tokens", n_ctx);
    else if (row->n_tokens + self->job->n_tokens > n_ctx)
        (void)snprintf(out->error, sizeof out->error,
                       "a prompt of %zu tokens and %u new ones: the context is %zu", row->n_tokens,
                       (unsigned)self->job->n_tokens, n_ctx);
    else
        self->valid[self->n_valid++] = prompt;
    if (out->error[0]) out->n_tokens = 0;
}

static status_t read_prompts(struct generation *self, struct error *err)
{
    struct probe_unit *unit = calloc(1, sizeof *unit);
    struct probe_answer *read = calloc(GENERATE_MAX_PROMPTS, sizeof *read);
    const size_t n = self->job->n_prompts;
    self->answer->prompts = calloc(n + 1, sizeof *self->answer->prompts);
    status_t status = unit && read && self->answer->prompts
                          ? ST_OK
                          : error_set(err, ST_NO_MEMORY, "%zu prompts", n);
    if (status == ST_OK) {
        self->answer->n_prompts = unit->n_probes = n;
        for (size_t i = 0; i < n; i++) unit->probes[i].text = self->job->prompts[i];
        status = probe_texts_read(self->runner->subject.texts, unit, &self->rows, read, err);
    }
    for (size_t i = 0; read && i < n; i++) {
        if (status == ST_OK) check_prompt(self, i, &read[i]);
        probe_answer_fini(&read[i]);
    }
    free(read);
    free(unit);
    return status;
}

/* --- passes -------------------------------------------------------------------------------- */

/* The smallest shape that holds the longest prompt and its continuation. */
static status_t open_forward(struct generation *self, struct error *err)
{
    struct generate_runner *runner = self->runner;
    size_t longest = 0;
    for (size_t i = 0; i < self->n_valid; i++) {
        const size_t n = generate_row_of(self, self->valid[i])->n_tokens;
        longest = n > longest ? n : longest;
    }
    size_t n_ctx = (longest + self->job->n_tokens + CTX_STEP - 1) / CTX_STEP * CTX_STEP;
    if (n_ctx > runner->subject.n_ctx) n_ctx = runner->subject.n_ctx;
    const size_t n_pairs = self->n_valid * self->job->n_samples;
    const size_t n_rows = 2 * (n_pairs < GENERATE_MAX_PAIRS ? n_pairs : GENERATE_MAX_PAIRS);
    if (runner->forward && runner->n_rows == n_rows && runner->n_ctx == n_ctx) return ST_OK;
    close_forward(runner);
    runner->n_rows = n_rows;
    runner->n_ctx = n_ctx;
    runner->tokens = calloc(n_rows * n_ctx, sizeof *runner->tokens);
    if (!runner->tokens) return error_set(err, ST_NO_MEMORY, "generations");
    const struct forward_params params = {.model = runner->subject.model,
                                          .n_rows = n_rows,
                                          .n_ctx = n_ctx,
                                          .row_block = ROW_BLOCK,
                                          .progress = runner->ticks};
    return forward_create(&runner->forward, &params, err);
}

/* Prompt and what was drawn, into the batch's row; returns the length. */
static uint32_t fill_row(const struct generation *self, const struct generate_pair *pair,
                         size_t side, uint32_t *to)
{
    const struct probe_row *prompt = generate_row_of(self, pair->prompt);
    memcpy(to, self->rows.tokens.ids + prompt->first, prompt->n_tokens * sizeof *to);
    memcpy(to + prompt->n_tokens, pair->drawn[side], pair->n_drawn[side] * sizeof *to);
    return (uint32_t)(prompt->n_tokens + pair->n_drawn[side]);
}

static struct steering_span span_of(const struct generation *self, size_t prompt, uint32_t length)
{
    const uint32_t n_prompt = (uint32_t)generate_row_of(self, prompt)->n_tokens;
    return (struct steering_span){generate_first_changed(self, prompt),
                                  self->job->where == GENERATE_LAST ? n_prompt : length};
}

status_t generate_run_batch(struct generation *self, const struct generate_batch *batch,
                            const struct generate_wanted *wanted, const float **logits,
                            struct error *err)
{
    static const struct hook_point hook = {.kind = HOOK_LOGITS};
    struct generate_runner *runner = self->runner;
    uint32_t lengths[GENERATE_MAX_ROWS] = {0};
    struct steering_span spans[GENERATE_MAX_ROWS] = {{0}};
    for (size_t row = 0; row < 2 * batch->n_pairs; row++) {
        const struct generate_pair *pair = &batch->pairs[row / 2];
        lengths[row] = fill_row(self, pair, row % 2, runner->tokens + row * runner->n_ctx);
        if (row % 2) spans[row] = span_of(self, pair->prompt, lengths[row]);
    }
    struct forward_input input = {.tokens = runner->tokens,
                                  .row_lengths = lengths,
                                  .head_rows = wanted->head_rows,
                                  .n_head_rows = wanted->n_head_rows,
                                  .head_pairs = wanted->pairs,
                                  .n_head_pairs = wanted->n_pairs,
                                  .divergences = wanted->divergences};
    input.edits = steering_edits(self->steering, &input.n_edits);
    steering_set_spans(self->steering, spans);
    return forward_run(runner->forward, &input, &hook, 1, logits, err);
}

/* --- continuations ------------------------------------------------------------------------- */

/* In [0, 1): the same for clean and steered. */
static double place_of(const struct generate_job *job, const struct generate_pair *pair, size_t at)
{
    const uint64_t name =
        ((uint64_t)pair->prompt << 48) | ((uint64_t)pair->sample << 32) | (uint64_t)at;
    const uint64_t bits = hash_mix64(job->seed ^ hash_mix64(name + 1));
    return (double)(bits >> 11) * 0x1p-53;
}

static void take_token(const struct generation *self, struct generate_pair *pair, size_t side,
                       const float *logits)
{
    const size_t n_vocab = model_config(self->runner->subject.model)->n_vocab;
    const double place = place_of(self->job, pair, pair->n_drawn[side]);
    const uint32_t token = logits_draw(logits, n_vocab, self->job->temperature, place);
    if (self->runner->has_eos && token == self->runner->eos)
        pair->is_over[side] = true;
    else
        pair->drawn[side][pair->n_drawn[side]++] = token;
    if (pair->n_drawn[side] == self->job->n_tokens) pair->is_over[side] = true;
}

/* One more token for every row that is not over; *n_live: how many there were. */
static status_t draw_tokens(struct generation *self, struct generate_batch *batch, size_t *n_live,
                            struct error *err)
{
    const size_t n_vocab = model_config(self->runner->subject.model)->n_vocab;
    uint32_t head_rows[GENERATE_MAX_ROWS], live[GENERATE_MAX_ROWS];
    const float *logits;
    *n_live = 0;
    for (uint32_t row = 0; row < 2 * batch->n_pairs; row++) {
        const struct generate_pair *pair = &batch->pairs[row / 2];
        if (pair->is_over[row % 2]) continue;
        const size_t length =
            generate_row_of(self, pair->prompt)->n_tokens + pair->n_drawn[row % 2];
        head_rows[*n_live] = (uint32_t)(row * self->runner->n_ctx + length - 1);
        live[(*n_live)++] = row;
    }
    if (*n_live == 0) return ST_OK;
    const struct generate_wanted wanted = {.head_rows = head_rows, .n_head_rows = *n_live};
    const status_t status = generate_run_batch(self, batch, &wanted, &logits, err);
    for (size_t i = 0; i < *n_live && status == ST_OK; i++)
        take_token(self, &batch->pairs[live[i] / 2], live[i] % 2, logits + i * n_vocab);
    return status;
}

static status_t copy_text(const struct generation *self, const uint32_t *tokens, size_t n,
                          char **out, size_t *n_out, struct error *err)
{
    const struct tokenizer *tokenizer = probe_texts_tokenizer(self->runner->subject.texts);
    struct buffer text;
    buffer_init(&text, GENERATE_MAX_TEXT_BYTES);
    status_t status = ST_OK;
    for (size_t i = 0; i < n && status == ST_OK; i++)
        /* a model may have more rows of embedding than there are tokens: those stand for nothing */
        if (tokens[i] < tokenizer_vocab_size(tokenizer))
            status = tokenizer_token_text(tokenizer, tokens[i], &text, err);
    *out = status == ST_OK ? malloc(text.n_bytes + 1) : NULL;
    if (status == ST_OK && !*out) status = error_set(err, ST_NO_MEMORY, "a continuation");
    if (status == ST_OK) {
        memcpy(*out, buffer_text(&text), text.n_bytes);
        *n_out = text.n_bytes;
    }
    buffer_fini(&text);
    return status;
}

static status_t keep(const struct generation *self, const uint32_t *drawn, size_t n,
                     struct continuation *out, struct error *err)
{
    out->tokens = malloc((n + 1) * sizeof *out->tokens);
    if (!out->tokens) return error_set(err, ST_NO_MEMORY, "a continuation");
    memcpy(out->tokens, drawn, n * sizeof *out->tokens);
    out->n_tokens = n;
    return copy_text(self, drawn, n, &out->text, &out->n_text, err);
}

static status_t continue_batch(struct generation *self, struct generate_batch *batch,
                               struct error *err)
{
    size_t n_live = self->job->n_tokens;
    status_t status = ST_OK;
    while (n_live > 0 && status == ST_OK) status = draw_tokens(self, batch, &n_live, err);
    for (size_t i = 0; i < batch->n_pairs && status == ST_OK; i++) {
        const struct generate_pair *pair = &batch->pairs[i];
        struct generate_sample *sample = &self->answer->prompts[pair->prompt].samples[pair->sample];
        status = keep(self, pair->drawn[0], pair->n_drawn[0], &sample->clean, err);
        if (status == ST_OK)
            status = keep(self, pair->drawn[1], pair->n_drawn[1], &sample->steered, err);
    }
    return status;
}

static status_t continue_prompts(struct generation *self, struct error *err)
{
    struct generate_batch *batch = calloc(1, sizeof *batch);
    status_t status = batch ? ST_OK : error_set(err, ST_NO_MEMORY, "continuations");
    const size_t n_samples = self->job->n_samples, n_pairs = self->n_valid * n_samples;
    for (size_t i = 0; i < self->n_valid && status == ST_OK; i++) {
        struct generate_prompt *prompt = &self->answer->prompts[self->valid[i]];
        prompt->samples = calloc(n_samples, sizeof *prompt->samples);
        prompt->n_samples = prompt->samples ? n_samples : 0;
        if (!prompt->samples) status = error_set(err, ST_NO_MEMORY, "continuations");
    }
    for (size_t first = 0; first < n_pairs && status == ST_OK; first += self->runner->n_rows / 2) {
        *batch = (struct generate_batch){.n_pairs = 0};
        for (size_t i = first; i < n_pairs && batch->n_pairs < self->runner->n_rows / 2; i++) {
            struct generate_pair *pair = &batch->pairs[batch->n_pairs++];
            pair->prompt = self->valid[i / n_samples];
            pair->sample = (uint32_t)(i % n_samples);
        }
        status = continue_batch(self, batch, err);
    }
    free(batch);
    return status;
}

/* The texts of changed tokens. */
static status_t spell_changes(const struct generation *self, struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = 0; i < self->n_valid; i++) {
        struct generate_prompt *prompt = &self->answer->prompts[self->valid[i]];
        for (size_t k = 0; k < prompt->n_changes && status == ST_OK; k++) {
            struct generate_change *change = &prompt->changes[k];
            status = copy_text(self, &change->token, 1, &change->text, &change->n_text, err);
        }
    }
    return status;
}

/* --- a job --------------------------------------------------------------------------------- */

static status_t run_job(struct generation *self, struct error *err)
{
    status_t status = read_prompts(self, err);
    if (status != ST_OK || self->n_valid == 0) return status;
    status = open_forward(self, err);
    if (status == ST_OK) status = generate_effect(self, err);
    if (status != ST_OK || self->answer->error[0]) return status;
    status = spell_changes(self, err);
    return status == ST_OK && self->job->n_tokens ? continue_prompts(self, err) : status;
}

static void replace_by_error(struct generate_answer *answer, const char *text)
{
    char copy[GENERATE_ERROR_SIZE];
    (void)snprintf(copy, sizeof copy, "%.*s", GENERATE_ERROR_SIZE - 1, text);
    generate_answer_fini(answer);
    *answer = generate_answer_of_error(copy);
}

status_t generate_runner_run(struct generate_runner *runner, const struct generate_job *job,
                             struct generate_answer *out, struct error *err)
{
    struct error problem = {0};
    struct generate_answer answer = {.strength = job->interventions[0].value};
    struct generation *self = calloc(1, sizeof *self);
    if (!self) return error_set(err, ST_NO_MEMORY, "a generation");
    self->runner = runner;
    self->job = job;
    self->answer = &answer;
    status_t status = steering_create(&self->steering, &runner->subject, job->interventions,
                                      job->n_interventions, &problem);
    if (status == ST_OK) status = run_job(self, &problem);
    if (status == ST_BAD_INPUT || answer.error[0]) {
        replace_by_error(&answer, answer.error[0] ? answer.error : problem.text);
        status = ST_OK;
    }
    steering_destroy(&self->steering);
    probe_rows_fini(&self->rows);
    free(self);
    if (status == ST_OK)
        *out = answer;
    else
        generate_answer_fini(&answer);
    return status == ST_OK ? ST_OK : error_set(err, status, "%s", problem.text);
}
