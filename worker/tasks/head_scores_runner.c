#include "worker/tasks/head_scores_runner.h"

#include "worker/model/attention_patterns.h"
#include "worker/tasks/model_cache.h"
#include "worker/tasks/model_spec.h"
#include "worker/tasks/spec.h"

#include <stdlib.h>
#include <string.h>

enum { BATCH_TOKENS = 1024, BATCH_MAX_ROWS = 64 };

struct head_scores_runner {
    struct model_cache *models;
    struct model *model;
    struct attention_patterns *patterns;
    struct repeated_tokens repeated; /* n_tokens 0: the spec has none */
    size_t n_rows, n_ctx;
    uint32_t *tokens, *lengths; /* [n_rows, n_ctx], [n_rows]: the batch */
};

/* --- opening ------------------------------------------------------------------------------- */

void head_scores_runner_close(struct head_scores_runner **runner)
{
    struct head_scores_runner *self = *runner;
    if (!self) return;
    attention_patterns_destroy(&self->patterns);
    repeated_tokens_close(&self->repeated);
    free(self->tokens);
    free(self->lengths);
    if (self->model) model_cache_release_model(self->models, self->model);
    free(self);
    *runner = NULL;
}

static status_t open_model(struct head_scores_runner *self, const json_t *spec,
                           struct model_wanted *wanted, struct error *err)
{
    const char *planned;
    uint64_t n_ctx = 0;
    status_t status = model_spec_read_needs(spec, wanted, err);
    if (status == ST_OK) status = spec_text(spec, "fingerprint", &planned, err);
    if (status == ST_OK) status = spec_count(spec, "n_ctx", 2, HEAD_SCORES_MAX_TOKENS, &n_ctx, err);
    if (status == ST_OK) status = model_cache_check_model(self->models, wanted, planned, err);
    if (status == ST_OK) status = model_cache_model(self->models, wanted, &self->model, err);
    self->n_ctx = (size_t)n_ctx;
    return status;
}

/* "n_tokens" of a sequence, BOS included, or "n_words" of a copy, whether BOS stands before or
 * not. */
static status_t read_length(const json_t *repeated, size_t n_ctx, const struct bos_choice *bos,
                            uint64_t *n_tokens, struct error *err)
{
    uint64_t n_words = 0;
    if (!json_object_get(repeated, "n_words"))
        return spec_count(repeated, "n_tokens", 4, n_ctx, n_tokens, err);
    const status_t status = spec_count(repeated, "n_words", 2, n_ctx / 2, &n_words, err);
    *n_tokens = 2 * n_words + bos->n_bos;
    return status == ST_OK && *n_tokens > n_ctx
               ? error_set(err, ST_BAD_INPUT, "n_words is %llu: BOS does not fit in n_ctx, %zu",
                           (unsigned long long)n_words, n_ctx)
               : status;
}

static status_t open_repeated(struct head_scores_runner *self, const json_t *spec,
                              const char *directory, _Atomic uint64_t *ticks, struct error *err)
{
    const json_t *repeated = json_object_get(spec, "repeated");
    const struct model_config *config = model_config(self->model);
    struct tokenizer *opened = NULL;
    uint64_t n_tokens = 0, seed = 0;
    const char *bos;
    if (!repeated) return ST_OK;
    status_t status = spec_count(repeated, "seed", 0, INT64_MAX, &seed, err);
    if (status == ST_OK) status = spec_text(repeated, "bos", &bos, err);
    if (status == ST_OK) status = tokenizer_open(&opened, directory, err);
    struct prompt_tokenizer tokenizer = {.tokenizer = opened,
                                         .n_vocab = config->n_vocab,
                                         .n_positions = config->n_positions,
                                         .ticks = ticks};
    if (status == ST_OK) status = bos_choose(&tokenizer.bos, opened, bos, directory, err);
    if (status == ST_OK)
        status = read_length(repeated, self->n_ctx, &tokenizer.bos, &n_tokens, err);
    if (status == ST_OK)
        status = repeated_tokens_open(&self->repeated, &tokenizer, (size_t)n_tokens, seed, err);
    tokenizer_close(&opened);
    return status == ST_OK ? ST_OK : error_wrap(err, "repeated");
}

static status_t open_batch(struct head_scores_runner *self, _Atomic uint64_t *ticks,
                           struct error *err)
{
    const size_t n_rows = BATCH_TOKENS / self->n_ctx;
    self->n_rows = n_rows < 1 ? 1 : n_rows < BATCH_MAX_ROWS ? n_rows : BATCH_MAX_ROWS;
    const struct attention_patterns_params params = {
        .model = self->model, .n_rows = self->n_rows, .n_ctx = self->n_ctx, .progress = ticks};
    self->tokens = calloc(self->n_rows * self->n_ctx, sizeof *self->tokens);
    self->lengths = calloc(self->n_rows, sizeof *self->lengths);
    if (!self->tokens || !self->lengths)
        return error_set(err, ST_NO_MEMORY, "batch of %zu rows", self->n_rows);
    return attention_patterns_create(&self->patterns, &params, err);
}

status_t head_scores_runner_open(struct head_scores_runner **out,
                                 const struct task_environment *environment, const json_t *spec,
                                 struct error *err)
{
    struct model_wanted wanted;
    struct head_scores_runner *self = calloc(1, sizeof *self);
    if (!self) return error_set(err, ST_NO_MEMORY, "head scores task");
    self->models = environment->models;
    status_t status = open_model(self, spec, &wanted, err);
    if (status == ST_OK)
        status = open_repeated(self, spec, wanted.directory, environment->ticks, err);
    if (status == ST_OK) status = open_batch(self, environment->ticks, err);
    if (status == ST_OK)
        *out = self;
    else
        head_scores_runner_close(&self);
    return status;
}

/* --- sums ---------------------------------------------------------------------------------- */

/* A batch while its attention is summed: rows are sequences first .. of the result. */
struct batch {
    const struct head_scores_runner *runner;
    struct head_scores_result *result;
    size_t first;
};

static const uint32_t *row_tokens(const struct head_scores_runner *self, size_t row)
{
    return self->tokens + row * self->n_ctx;
}

static void add_query(void *context, const struct attention_query *at, const double *weights)
{
    const struct batch *batch = context;
    const struct head_scores_result *result = batch->result;
    const uint32_t *ids = row_tokens(batch->runner, at->row);
    const size_t head =
        ((batch->first + at->row) * result->n_layers + at->layer) * result->n_heads + at->head;
    double *sums = result->sums + head * HEAD_N_SUMS;
    double *s = sums + 1; /* by pattern */
    const size_t t = at->query;
    for (size_t j = 0; j <= t; j++) sums[0] += weights[j];
    if (t > 0) s[PATTERN_PREVIOUS_TOKEN] += weights[t - 1];
    for (size_t j = 0; j < t; j++) {
        if (ids[j] != ids[t]) continue;
        s[PATTERN_DUPLICATE_TOKEN] += weights[j];
        s[PATTERN_INDUCTION] += weights[j + 1];
    }
}

/* Every earlier copy of a token is a place of both patterns: itself, and the token behind it. */
static struct head_scores_sequence count_places(const uint32_t *ids, uint32_t n)
{
    struct head_scores_sequence sequence = {.n_tokens = n};
    uint32_t n_pairs = 0, n_queries = 0;
    for (uint32_t t = 0; t < n; t++) {
        const uint32_t n_before = n_pairs;
        for (uint32_t j = 0; j < t; j++) n_pairs += ids[j] == ids[t];
        n_queries += n_pairs > n_before;
    }
    for (size_t p = 0; p < HEAD_N_PATTERNS; p++) {
        sequence.n_pairs[p] = p == PATTERN_PREVIOUS_TOKEN ? n - 1 : n_pairs;
        sequence.n_queries[p] = p == PATTERN_PREVIOUS_TOKEN ? n - 1 : n_queries;
    }
    return sequence;
}

/* --- units --------------------------------------------------------------------------------- */

/* Sequence `index` of the unit into a row; *ids moves over a listed one. */
static status_t fill_row(struct head_scores_runner *self, const struct head_scores_unit *unit,
                         size_t index, size_t row, const uint32_t **ids, struct error *err)
{
    const size_t n = unit->is_listed ? unit->lengths[index] : self->repeated.n_tokens;
    uint32_t *out = self->tokens + row * self->n_ctx;
    if (n == 0) return error_set(err, ST_BAD_INPUT, "the task has no repeated sequences");
    if (n > self->n_ctx)
        return error_set(err, ST_BAD_INPUT, "sequence %zu has %zu tokens, n_ctx is %zu",
                         unit->first + index, n, self->n_ctx);
    self->lengths[row] = (uint32_t)n;
    if (!unit->is_listed)
        return repeated_tokens_draw(&self->repeated, (uint64_t)unit->first + index, out, err);
    memcpy(out, *ids, n * sizeof *out);
    *ids += n;
    return ST_OK;
}

static status_t run_batch(struct head_scores_runner *self, const struct head_scores_unit *unit,
                          size_t first, const uint32_t **ids, struct head_scores_result *result,
                          struct error *err)
{
    struct batch batch = {self, result, first};
    const size_t n_left = unit->n - first, n = n_left < self->n_rows ? n_left : self->n_rows;
    status_t status = ST_OK;
    memset(self->lengths, 0, self->n_rows * sizeof *self->lengths);
    for (size_t row = 0; row < n && status == ST_OK; row++)
        status = fill_row(self, unit, first + row, row, ids, err);
    for (size_t row = 0; row < n && status == ST_OK; row++)
        result->sequences[first + row] = count_places(row_tokens(self, row), self->lengths[row]);
    return status == ST_OK ? attention_patterns_run(self->patterns, self->tokens, self->lengths,
                                                    add_query, &batch, err)
                           : status;
}

status_t head_scores_runner_run(struct head_scores_runner *runner,
                                const struct head_scores_unit *unit, struct head_scores_result *out,
                                struct error *err)
{
    const struct model_config *config = model_config(runner->model);
    const uint32_t *ids = unit->ids;
    struct head_scores_result made;
    status_t status = head_scores_result_init(&made, unit->n, (uint32_t)config->n_layers,
                                              (uint32_t)config->n_heads, err);
    if (status != ST_OK) return status;
    for (size_t first = 0; first < unit->n && status == ST_OK; first += runner->n_rows)
        status = run_batch(runner, unit, first, &ids, &made, err);
    if (status == ST_OK)
        *out = made;
    else
        head_scores_result_fini(&made);
    return status;
}
