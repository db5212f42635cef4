/* subject_verb: agreement in number. "The dogs near the king" -> " are", " were", " have", not
 * " is", " was", " has" (those of them that are one token). Corrupted: the subject in the other
 * number. Half of the other nouns that come between have the subject's number. All nouns are one
 * token. Positions: subject, other (where there is one), end. */
#include "worker/prompts/prompt_generator.h"

#include "worker/prompts/word_list.h"
#include "worker/prompts/word_tables.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* {s}: the subject, {o}: another noun. */
static const char *const SENTENCES[] = {
    "The {s}",
    "The {s} near the {o}",
    "The {s} behind the {o}",
    "The {s} with the {o}",
    "The {s} beside the {o}",
    "The {s} that the {o} liked",
    "The {s} that the {o} saw yesterday",
    "We heard that the {s}",
    "I know that the {s} from the town",
    "Some people say that the {s} near the {o}",
    "After a long day the {s} behind the {o}",
    "In the story the {s} that the {o} feared",
};
enum { N_SENTENCES = sizeof SENTENCES / sizeof SENTENCES[0] };

struct subject_verb {
    const struct prompt_tokenizer *tokenizer;
    struct forms_list nouns, verbs;
};

struct subject_words {
    size_t number; /* of the subject */
    const struct word_forms *subject;
    const struct prompt_word *other; /* NULL without one */
};

static void subject_close(void *context)
{
    struct subject_verb *self = context;
    forms_list_fini(&self->nouns);
    forms_list_fini(&self->verbs);
    free(self);
}

static status_t subject_open(void **out, const struct prompt_tokenizer *tokenizer,
                             const struct prompt_request *request, struct error *err)
{
    if (request->corruption)
        return error_set(err, ST_BAD_INPUT, "corruption \"%.40s\": there is one kind",
                         request->corruption);
    struct subject_verb *self = calloc(1, sizeof *self);
    if (!self) return error_set(err, ST_NO_MEMORY, "generator");
    self->tokenizer = tokenizer;
    status_t status =
        forms_list_open(&self->nouns, tokenizer, WORDS_NOUN_FORMS, "pairs of nouns", 2, err);
    if (status == ST_OK)
        status =
            forms_list_open(&self->verbs, tokenizer, WORDS_VERB_FORMS, "pairs of verbs", 1, err);
    if (status == ST_OK)
        *out = self;
    else
        subject_close(self);
    return status;
}

static size_t subject_n_templates(const void *context)
{
    (void)context;
    return N_SENTENCES;
}

static bool has_other(size_t template_index)
{
    return strstr(SENTENCES[template_index], "{o}") != NULL;
}

static uint64_t subject_n_possible(const void *context, size_t template_index)
{
    const struct subject_verb *self = context;
    const uint64_t n_subjects = (uint64_t)2 * self->nouns.n;
    return has_other(template_index) ? n_subjects * 2 * (self->nouns.n - 1) : n_subjects;
}

static struct subject_words choose_words(const struct subject_verb *self, size_t template_index,
                                         uint64_t index)
{
    const size_t number = prompt_digit(&index, 2);
    const size_t subject = prompt_digit(&index, self->nouns.n);
    struct subject_words words = {number, &self->nouns.words[subject], NULL};
    if (!has_other(template_index)) return words;
    const size_t other_number = prompt_digit(&index, 2);
    const size_t other = (size_t)index + (index >= subject);
    words.other = &self->nouns.words[other].forms[other_number];
    return words;
}

static status_t fill(struct sentence *out, size_t template_index, const struct subject_words *words,
                     size_t number, struct error *err)
{
    const struct prompt_word *subject = &words->subject->forms[number];
    struct sentence_word list[2] = {{'s', subject->text, subject->id}};
    if (words->other) list[1] = (struct sentence_word){'o', words->other->text, words->other->id};
    return sentence_fill(out, SENTENCES[template_index], list, words->other ? 2 : 1, err);
}

static status_t subject_make(const void *context, size_t template_index, uint64_t index,
                             struct prompt_draft *draft, struct error *err)
{
    const struct subject_verb *self = context;
    const struct subject_words words = choose_words(self, template_index, index);
    struct sentence clean, corrupted;
    status_t status = fill(&clean, template_index, &words, words.number, err);
    if (status == ST_OK) status = fill(&corrupted, template_index, &words, 1 - words.number, err);
    if (status == ST_OK)
        status = prompt_draft_sentences(draft, self->tokenizer, &clean, &corrupted, err);
    if (status != ST_OK) return status;
    for (size_t v = 0; v < self->verbs.n; v++) {
        const struct prompt_word *forms = self->verbs.words[v].forms;
        draft->answers[draft->n_answers++] = forms[words.number].id;
        draft->distractors[draft->n_distractors++] = forms[1 - words.number].id;
    }
    prompt_draft_position(draft, "subject", draft->slots[0]);
    if (words.other) prompt_draft_position(draft, "other", draft->slots[1]);
    prompt_draft_position(draft, "end", draft->clean.tokens.n_ids - 1);
    (void)snprintf(draft->template_name, sizeof draft->template_name, "agreement_%zu",
                   template_index);
    return ST_OK;
}

const struct prompt_generator_ops subject_verb_generator = {
    subject_open, subject_n_templates, subject_n_possible, subject_make, subject_close};
