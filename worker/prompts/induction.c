/* induction: BOS, different random words with A B among them, and A again; the answer is B. In the
 * corrupted prompt another word stands in place of the first A, so nothing answers; the distractor
 * is a word of the prompt that is neither A nor B. As worker/known/prompt_pairs.h, on the words of
 * any tokenizer.
 *
 * A template is a place of the first A. There are at most as many as give each PROMPTS_PER_PLACE
 * prompts, spread evenly, so that means over a template's prompts have prompts to go by.
 * Positions: a (the first A), b (behind it), end. */
#include "worker/prompts/prompt_generator.h"

#include "worker/prompts/ordinary_words.h"

#include <stdio.h>
#include <stdlib.h>

enum { PROMPTS_PER_PLACE = 16 };

struct induction {
    const struct prompt_tokenizer *tokenizer;
    uint64_t seed;
    size_t n_tokens, n_context; /* n_context: different words of a prompt */
    size_t n_templates;
    uint64_t n_possible; /* sequences of n_context different words */
    struct token_list words;
};

static void induction_close(void *context)
{
    struct induction *self = context;
    token_list_fini(&self->words);
    free(self);
}

/* n_words! / (n_words - n_context)! */
static uint64_t count_sequences(size_t n_words, size_t n_context)
{
    uint64_t n = 1;
    for (size_t i = 0; i < n_context; i++) {
        if (n > UINT64_MAX / 2 / (n_words - i)) return PROMPTS_ENDLESS;
        n *= n_words - i;
    }
    return n;
}

static status_t check_request(const struct prompt_request *request,
                              const struct prompt_tokenizer *tokenizer, struct error *err)
{
    const size_t n_min = PROMPTS_MIN_TOKENS + tokenizer->bos.n_bos;
    if (request->corruption)
        return error_set(err, ST_BAD_INPUT, "corruption \"%.40s\": there is one kind",
                         request->corruption);
    if (request->n_tokens < n_min || request->n_tokens > PROMPTS_MAX_TOKENS)
        return error_set(err, ST_BAD_INPUT, "n_tokens is %zu, not from %zu to %d",
                         request->n_tokens, n_min, PROMPTS_MAX_TOKENS);
    if (request->n_tokens > tokenizer->n_positions)
        return error_set(err, ST_BAD_INPUT, "n_tokens is %zu: the model has %zu positions",
                         request->n_tokens, tokenizer->n_positions);
    return ST_OK;
}

/* One word more than a prompt has must be there: the corrupted prompt's. */
static status_t find_words(struct induction *self, struct error *err)
{
    const status_t status = ordinary_words_list(self->tokenizer, &self->words, err);
    if (status != ST_OK || self->words.n_ids > self->n_context) return status;
    return error_set(err, ST_BAD_INPUT,
                     "n_tokens is %zu: prompts of that length need %zu different words, this "
                     "tokenizer has %zu",
                     self->n_tokens, self->n_context + 1, self->words.n_ids);
}

static status_t induction_open(void **out, const struct prompt_tokenizer *tokenizer,
                               const struct prompt_request *request, struct error *err)
{
    status_t status = check_request(request, tokenizer, err);
    if (status != ST_OK) return status;
    struct induction *self = calloc(1, sizeof *self);
    if (!self) return error_set(err, ST_NO_MEMORY, "generator");
    self->tokenizer = tokenizer;
    self->seed = request->seed;
    self->n_tokens = request->n_tokens;
    self->n_context = request->n_tokens - tokenizer->bos.n_bos - 1;
    const size_t n_places = self->n_context - 1, n_wanted = request->n_prompts / PROMPTS_PER_PLACE;
    self->n_templates = n_wanted < 1 ? 1 : n_wanted < n_places ? n_wanted : n_places;
    status = find_words(self, err);
    if (status == ST_OK) {
        self->n_possible = count_sequences(self->words.n_ids, self->n_context);
        *out = self;
    } else {
        induction_close(self);
    }
    return status;
}

static size_t induction_n_templates(const void *context)
{
    return ((const struct induction *)context)->n_templates;
}

static uint64_t induction_n_possible(const void *context, size_t template_index)
{
    (void)template_index;
    return ((const struct induction *)context)->n_possible;
}

/* Different words into order [n_words]: its first n_context are the prompt's, the one behind them
 * is another. Where the sequences can be counted, the index says which it is. */
static void draw_words(const struct induction *self, struct draw *draw, uint64_t index,
                       uint32_t *order)
{
    const size_t n_words = self->words.n_ids;
    const bool is_counted = self->n_possible != PROMPTS_ENDLESS;
    memcpy(order, self->words.ids, n_words * sizeof *order);
    for (size_t i = 0; i <= self->n_context; i++) {
        const size_t n_left = n_words - i;
        const size_t digit = is_counted && i < self->n_context ? prompt_digit(&index, n_left)
                                                               : draw_below(draw, (uint32_t)n_left);
        const uint32_t word = order[i + digit];
        order[i + digit] = order[i];
        order[i] = word;
    }
}

static status_t append_texts(const struct induction *self, struct prompt_draft *draft,
                             struct error *err)
{
    const size_t n_bos = self->tokenizer->bos.n_bos, n = self->n_tokens - n_bos;
    status_t status = prompt_tokenizer_text(self->tokenizer, draft->clean.tokens.ids + n_bos, n,
                                            &draft->clean_text, err);
    if (status == ST_OK)
        status = prompt_tokenizer_text(self->tokenizer, draft->corrupted.tokens.ids + n_bos, n,
                                       &draft->corrupted_text, err);
    return status;
}

/* The pair whose first A is word `place` of the context. */
static status_t fill(const struct induction *self, struct draw *draw, const uint32_t *order,
                     size_t place, struct prompt_draft *draft, struct error *err)
{
    const size_t n_bos = self->tokenizer->bos.n_bos;
    struct token_list *clean = &draft->clean.tokens, *corrupted = &draft->corrupted.tokens;
    size_t other = draw_below(draw, (uint32_t)self->n_context - 2);
    if (other >= place) other += 2;
    status_t status = token_list_append(clean, &self->tokenizer->bos.bos, n_bos, err);
    if (status == ST_OK) status = token_list_append(clean, order, self->n_context, err);
    if (status == ST_OK) status = token_list_append(clean, &order[place], 1, err);
    if (status == ST_OK) status = token_list_append(corrupted, clean->ids, clean->n_ids, err);
    if (status != ST_OK) return status;
    corrupted->ids[n_bos + place] = order[self->n_context];
    draft->answers[draft->n_answers++] = order[place + 1];
    draft->distractors[draft->n_distractors++] = order[other];
    prompt_draft_position(draft, "a", n_bos + place);
    prompt_draft_position(draft, "b", n_bos + place + 1);
    prompt_draft_position(draft, "end", clean->n_ids - 1);
    (void)snprintf(draft->template_name, sizeof draft->template_name, "first_at_%zu",
                   n_bos + place);
    return append_texts(self, draft, err);
}

static status_t induction_make(const void *context, size_t template_index, uint64_t index,
                               struct prompt_draft *draft, struct error *err)
{
    const struct induction *self = context;
    const size_t n_places = self->n_context - 1;
    const size_t place = (2 * template_index + 1) * n_places / (2 * self->n_templates);
    struct draw draw = prompt_details(self->seed, template_index, index);
    uint32_t *order = malloc(self->words.n_ids * sizeof *order);
    if (!order) return error_set(err, ST_NO_MEMORY, "%zu words", self->words.n_ids);
    draw_words(self, &draw, index, order);
    const status_t status = fill(self, &draw, order, place, draft, err);
    free(order);
    return status;
}

const struct prompt_generator_ops induction_generator = {
    induction_open, induction_n_templates, induction_n_possible, induction_make, induction_close};
