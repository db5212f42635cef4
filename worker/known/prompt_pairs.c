#include "worker/known/prompt_pairs.h"

#include "worker/known/known_draw.h"
#include "worker/known/word_vocabulary.h"

#include <stdlib.h>
#include <string.h>

void prompt_pairs_fini(struct prompt_pairs *pairs)
{
    free(pairs->clean);
    free(pairs->corrupted);
    free(pairs->pairs);
    *pairs = (struct prompt_pairs){0};
}

/* One pair into clean and corrupted [n_tokens], its first A at `at`. */
static struct prompt_pair draw_pair(const struct known_plan *plan, struct draw *random, uint32_t at,
                                    uint32_t *clean, uint32_t *corrupted)
{
    const size_t n = plan->n_prompt_tokens;
    uint32_t order[KNOWN_MAX_SIZE] = {0};
    uint32_t other = draw_below(random, (uint32_t)n - 4); /* of what is neither A nor B */
    for (size_t i = 0; i + 1 < plan->n_vocab; i++) order[i] = (uint32_t)i + 1;
    draw_shuffle(random, order, plan->n_vocab - 1);
    clean[0] = 0;
    memcpy(clean + 1, order, (n - 2) * sizeof *clean);
    clean[n - 1] = clean[at];
    memcpy(corrupted, clean, n * sizeof *clean);
    corrupted[at] = order[n - 2];
    if (other + 1 >= at) other += 2;
    return (struct prompt_pair){.match_position = at,
                                .answer = clean[at + 1],
                                .distractor = clean[other + 1],
                                .hash = hash_name64(clean, n * sizeof *clean)};
}

static bool is_new(const struct prompt_pairs *pairs, size_t n, uint64_t hash)
{
    for (size_t i = 0; i < n; i++)
        if (pairs->pairs[i].hash == hash) return false;
    return true;
}

static status_t allocate(struct prompt_pairs *pairs, const struct known_plan *plan, size_t n_each,
                         struct error *err)
{
    if (n_each == 0 || n_each > PROMPT_PAIRS_MAX)
        return error_set(err, ST_BAD_INPUT, "prompts %zu is not from 1 to %d", n_each,
                         PROMPT_PAIRS_MAX);
    pairs->n_search = n_each;
    pairs->n_pairs = 2 * n_each;
    pairs->n_tokens = plan->n_prompt_tokens;
    pairs->clean = calloc(pairs->n_pairs * pairs->n_tokens, sizeof *pairs->clean);
    pairs->corrupted = calloc(pairs->n_pairs * pairs->n_tokens, sizeof *pairs->corrupted);
    pairs->pairs = calloc(pairs->n_pairs, sizeof *pairs->pairs);
    if (pairs->clean && pairs->corrupted && pairs->pairs) return ST_OK;
    prompt_pairs_fini(pairs);
    return error_set(err, ST_NO_MEMORY, "%zu prompts", 2 * n_each);
}

status_t prompt_pairs_make(struct prompt_pairs *out, const struct known_plan *plan, size_t n_each,
                           struct error *err)
{
    struct draw random = known_draw(plan->seed, RANDOM_PROMPTS, 0);
    struct prompt_pairs pairs = {0};
    const status_t status = allocate(&pairs, plan, n_each, err);
    for (size_t i = 0; status == ST_OK && i < pairs.n_pairs;) {
        const size_t row = i * pairs.n_tokens; /* a prompt that was there is drawn again */
        const uint32_t at = 1 + (uint32_t)(i % n_each % (pairs.n_tokens - 3));
        pairs.pairs[i] = draw_pair(plan, &random, at, pairs.clean + row, pairs.corrupted + row);
        if (is_new(&pairs, i, pairs.pairs[i].hash)) i++;
    }
    if (status == ST_OK) *out = pairs;
    return status;
}

static status_t print_tokens(const char *name, const uint32_t *tokens, size_t n, struct buffer *out,
                             struct error *err)
{
    status_t status = buffer_printf(out, err, ", \"%s\": [", name);
    for (size_t i = 0; i < n && status == ST_OK; i++)
        status = buffer_printf(out, err, i ? ", %u" : "%u", tokens[i]);
    if (status == ST_OK) status = buffer_printf(out, err, "], \"%s_text\": \"", name);
    if (status == ST_OK) status = word_text(out, tokens, n, err);
    return status == ST_OK ? buffer_append_text(out, "\"", err) : status;
}

status_t prompt_pairs_print(const struct prompt_pairs *pairs, struct buffer *out, struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = 0; i < pairs->n_pairs && status == ST_OK; i++) {
        const struct prompt_pair *pair = &pairs->pairs[i];
        const size_t n = pairs->n_tokens;
        status =
            buffer_printf(out, err, "{\"id\": %zu, \"set\": \"%s\", \"template\": \"first_at_%u\"",
                          i, i < pairs->n_search ? "search" : "held_out", pair->match_position);
        if (status == ST_OK) status = print_tokens("clean", pairs->clean + i * n, n, out, err);
        if (status == ST_OK)
            status = print_tokens("corrupted", pairs->corrupted + i * n, n, out, err);
        if (status == ST_OK)
            status = buffer_printf(out, err,
                                   ", \"answer\": %u, \"distractor\": %u, \"position\": %zu}\n",
                                   pair->answer, pair->distractor, n - 1);
    }
    return status;
}
