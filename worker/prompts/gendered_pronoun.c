/* gendered_pronoun: "So John is a kind friend, isn't" -> " he", not " she". Corrupted: a name of
 * the other gender. Names are one token. Positions: name, end. */
#include "worker/prompts/prompt_generator.h"

#include "worker/prompts/word_list.h"
#include "worker/prompts/word_tables.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const SENTENCES[] = {
    "So {n} is a very kind friend, isn't",           "Well, {n} is a fast runner, isn't",
    "I think {n} is a careful driver, isn't",        "You know that {n} is a good singer, isn't",
    "They say {n} is a brilliant doctor, isn't",     "Surely {n} is a loyal friend, isn't",
    "Everyone knows {n} is a strong swimmer, isn't", "By now {n} is a famous writer, isn't",
    "Clearly {n} is a patient teacher, isn't",       "Of course {n} is a clever student, isn't",
    "As we heard, {n} is a generous host, isn't",    "These days {n} is a busy person, isn't",
};
enum { N_SENTENCES = sizeof SENTENCES / sizeof SENTENCES[0], N_GENDERS = 2 };

struct gendered_pronoun {
    const struct prompt_tokenizer *tokenizer;
    uint64_t seed;
    struct word_list names[N_GENDERS], pronouns;
};

static void pronoun_close(void *context)
{
    struct gendered_pronoun *self = context;
    for (size_t g = 0; g < N_GENDERS; g++) word_list_fini(&self->names[g]);
    word_list_fini(&self->pronouns);
    free(self);
}

static status_t pronoun_open(void **out, const struct prompt_tokenizer *tokenizer,
                             const struct prompt_request *request, struct error *err)
{
    static const char *const pronouns[] = {"he", "she", NULL};
    if (request->corruption)
        return error_set(err, ST_BAD_INPUT, "corruption \"%.40s\": there is one kind",
                         request->corruption);
    struct gendered_pronoun *self = calloc(1, sizeof *self);
    if (!self) return error_set(err, ST_NO_MEMORY, "generator");
    self->tokenizer = tokenizer;
    self->seed = request->seed;
    status_t status =
        word_list_open(&self->pronouns, tokenizer, pronouns, "pronouns", N_GENDERS, err);
    if (status == ST_OK)
        status = word_list_open(&self->names[0], tokenizer, WORDS_MALE_NAMES, "male names", 1, err);
    if (status == ST_OK)
        status =
            word_list_open(&self->names[1], tokenizer, WORDS_FEMALE_NAMES, "female names", 1, err);
    if (status == ST_OK)
        *out = self;
    else
        pronoun_close(self);
    return status;
}

static size_t pronoun_n_templates(const void *context)
{
    (void)context;
    return N_SENTENCES;
}

static uint64_t pronoun_n_possible(const void *context, size_t template_index)
{
    const struct gendered_pronoun *self = context;
    (void)template_index;
    return self->names[0].n + self->names[1].n;
}

static status_t fill(struct sentence *out, size_t template_index, const struct prompt_word *name,
                     struct error *err)
{
    const struct sentence_word word = {'n', name->text, name->id};
    return sentence_fill(out, SENTENCES[template_index], &word, 1, err);
}

static status_t pronoun_make(const void *context, size_t template_index, uint64_t index,
                             struct prompt_draft *draft, struct error *err)
{
    const struct gendered_pronoun *self = context;
    const size_t gender = index < self->names[0].n ? 0 : 1;
    const struct word_list *others = &self->names[1 - gender];
    const size_t at = (size_t)index - (gender ? self->names[0].n : 0);
    struct draw draw = prompt_details(self->seed, template_index, index);
    struct sentence clean, corrupted;
    status_t status = fill(&clean, template_index, &self->names[gender].words[at], err);
    if (status == ST_OK)
        status = fill(&corrupted, template_index,
                      &others->words[draw_below(&draw, (uint32_t)others->n)], err);
    if (status == ST_OK)
        status = prompt_draft_sentences(draft, self->tokenizer, &clean, &corrupted, err);
    if (status != ST_OK) return status;
    draft->answers[draft->n_answers++] = self->pronouns.words[gender].id;
    draft->distractors[draft->n_distractors++] = self->pronouns.words[1 - gender].id;
    prompt_draft_position(draft, "name", draft->slots[0]);
    prompt_draft_position(draft, "end", draft->clean.tokens.n_ids - 1);
    (void)snprintf(draft->template_name, sizeof draft->template_name, "pronoun_%zu",
                   template_index);
    return ST_OK;
}

const struct prompt_generator_ops gendered_pronoun_generator = {
    pronoun_open, pronoun_n_templates, pronoun_n_possible, pronoun_make, pronoun_close};
