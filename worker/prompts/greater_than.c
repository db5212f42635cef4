/* greater_than (Hanna et al. 2023): "The war lasted from the year 1732 to 17" -> any of "33".."99",
 * not "00".."32". Corrupted: the year 1701. Nouns are one token; years are those that the tokenizer
 * writes as 17|32.
 *
 * Where it writes every digit by itself, the next token is the digit of the decade: answers are the
 * digits above the year's own, distractors those below; its own is neither, for both 1731 and 1733
 * begin so. Positions: noun, year (the last token of the first year), end. */
#include "worker/prompts/prompt_generator.h"

#include "worker/prompts/word_list.h"
#include "worker/prompts/word_tables.h"
#include "worker/prompts/year_tokens.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* {n}: an event, {y}: a year, {c}: its first two digits. */
static const char *const SENTENCES[] = {
    "The {n} lasted from the year {y} to {c}",
    "The {n} went on from the year {y} to {c}",
    "The {n} continued from the year {y} until {c}",
    "They say that the {n} ran from {y} to {c}",
    "The {n} began in {y} and ended in {c}",
    "The {n} started in the year {y} and stopped in {c}",
    "People still remember the {n} of {y} to {c}",
    "According to the book, the {n} took place from {y} to {c}",
    "There was a long {n} between {y} and {c}",
    "One {n} that had started in {y} was over in {c}",
    "This {n} was known in {y} and forgotten by {c}",
    "Nobody expected a {n} from {y} until {c}",
};
enum { N_SENTENCES = sizeof SENTENCES / sizeof SENTENCES[0], YEAR_TEXT_SIZE = 16 };

struct greater_than {
    const struct prompt_tokenizer *tokenizer;
    struct word_list nouns;
    struct year_tokens years;
};

static void greater_close(void *context)
{
    struct greater_than *self = context;
    word_list_fini(&self->nouns);
    free(self);
}

static status_t greater_open(void **out, const struct prompt_tokenizer *tokenizer,
                             const struct prompt_request *request, struct error *err)
{
    if (request->corruption)
        return error_set(err, ST_BAD_INPUT, "corruption \"%.40s\": there is one kind",
                         request->corruption);
    struct greater_than *self = calloc(1, sizeof *self);
    if (!self) return error_set(err, ST_NO_MEMORY, "generator");
    self->tokenizer = tokenizer;
    status_t status = year_tokens_find(&self->years, tokenizer, err);
    if (status == ST_OK)
        status = word_list_open(&self->nouns, tokenizer, WORDS_EVENTS, "nouns", 1, err);
    if (status == ST_OK)
        *out = self;
    else
        greater_close(self);
    return status;
}

static size_t greater_n_templates(const void *context)
{
    (void)context;
    return N_SENTENCES;
}

static uint64_t greater_n_possible(const void *context, size_t template_index)
{
    const struct greater_than *self = context;
    (void)template_index;
    return (uint64_t)self->nouns.n * self->years.n;
}

static status_t fill(struct sentence *out, const char *pattern, const struct prompt_word *noun,
                     const struct year *year, bool is_corrupted, struct error *err)
{
    char text[YEAR_TEXT_SIZE], century[YEAR_TEXT_SIZE];
    const unsigned last = is_corrupted ? YEARS_CORRUPTED : year->in_century;
    (void)snprintf(text, sizeof text, "%u%02u", (unsigned)year->century, last);
    (void)snprintf(century, sizeof century, "%u", (unsigned)year->century);
    const struct sentence_word list[] = {
        {'n', noun->text, noun->id},
        {'y', text, is_corrupted ? year->corrupted_last_id : year->last_id},
        {'c', century, year->century_id},
    };
    return sentence_fill(out, pattern, list, sizeof list / sizeof list[0], err);
}

static void add_answers(const struct year_tokens *years, const struct year *year,
                        struct prompt_draft *draft)
{
    const uint32_t own = year_tokens_number(years, year);
    for (uint32_t number = 0; number < years->n_numbers; number++) {
        const uint32_t id = years->numbers[number];
        if (id == UINT32_MAX) continue;
        if (number > own)
            draft->answers[draft->n_answers++] = id;
        else if (number < own || years->style == YEARS_PAIRS)
            draft->distractors[draft->n_distractors++] = id;
    }
}

static status_t greater_make(const void *context, size_t template_index, uint64_t index,
                             struct prompt_draft *draft, struct error *err)
{
    const struct greater_than *self = context;
    const char *pattern = SENTENCES[template_index];
    const struct year *year = &self->years.years[prompt_digit(&index, self->years.n)];
    const struct prompt_word *noun = &self->nouns.words[index];
    struct sentence clean, corrupted;
    status_t status = fill(&clean, pattern, noun, year, false, err);
    if (status == ST_OK) status = fill(&corrupted, pattern, noun, year, true, err);
    if (status == ST_OK)
        status = prompt_draft_sentences(draft, self->tokenizer, &clean, &corrupted, err);
    if (status != ST_OK) return status;
    add_answers(&self->years, year, draft);
    assert(draft->n_answers > 0 && draft->n_distractors > 0); /* year_tokens_find() saw to it */
    prompt_draft_position(draft, "noun", draft->slots[0]);
    prompt_draft_position(draft, "year", draft->slots[1]);
    prompt_draft_position(draft, "end", draft->clean.tokens.n_ids - 1);
    (void)snprintf(draft->template_name, sizeof draft->template_name, "years_%zu", template_index);
    return ST_OK;
}

const struct prompt_generator_ops greater_than_generator = {
    greater_open, greater_n_templates, greater_n_possible, greater_make, greater_close};
