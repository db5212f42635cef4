/* ioi: indirect object identification (Wang et al. 2022). "... Mary and John ... John gave a ring
 * to": the answer is the name that came once (IO), the distractor the one that came twice (S).
 *
 * Every sentence is two templates: ABBA (IO first) and BABA (S first). Corrupted, by the request:
 *   s2_io_flip   S2 is the other name, so that the answer changes (MIB's s2_io_flip_counterfactual)
 *   abc          three other, different names, so that there is no answer (Wang's p_ABC)
 * Names, places and objects are one token each, so all prompts of a template have the same length
 * and their parts the same places. Positions: io, s1, s1+1, s2, end. */
#include "worker/prompts/prompt_generator.h"

#include "worker/prompts/distinct_draw.h"
#include "worker/prompts/word_list.h"
#include "worker/prompts/word_tables.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* {x} and {y}: the two names, {s}: S again, {p}: a place, {o}: an object. */
static const char *const SENTENCES[] = {
    "Yesterday {x} and {y} walked to the {p}, and {s} handed a {o} to",
    "After {x} and {y} had met at the {p}, {s} gave a {o} to",
    "While {x} and {y} waited near the {p}, {s} showed a {o} to",
    "When {x} and {y} came back from the {p}, {s} sent a {o} to",
    "In the morning {x} and {y} left for the {p}, where {s} sold a {o} to",
    "Because {x} and {y} worked at the {p}, {s} brought a {o} to",
    "Once {x} and {y} were inside the {p}, {s} offered a {o} to",
    "Last week {x} and {y} talked about the {p}. Later {s} lent a {o} to",
    "The friends {x} and {y} found a {o} at the {p}, and {s} passed it to",
    "On Sunday {x} and {y} drove to the {p}. There {s} gave a {o} to",
    "As {x} and {y} were leaving the {p}, {s} threw a {o} to",
    "Before {x} and {y} went to the {p}, {s} promised a {o} to",
    "At the {p} {x} and {y} had a long talk, so {s} bought a {o} for",
    "Although {x} and {y} were late for the {p}, {s} carried a {o} to",
    "Since {x} and {y} liked the {p}, {s} made a {o} for",
    "People at the {p} saw {x} and {y} when {s} returned a {o} to",
};
enum { N_SENTENCES = sizeof SENTENCES / sizeof SENTENCES[0], N_ABC_NAMES = 5, N_FLIP_NAMES = 2 };

struct ioi {
    const struct prompt_tokenizer *tokenizer;
    uint64_t seed;
    bool is_abc;
    struct word_list names, places, objects;
};

struct ioi_words {
    const struct prompt_word *io, *s, *place, *object;
    const struct prompt_word *s_again; /* S, or in corrupted prompts another */
    bool is_s_first;
};

static void ioi_close(void *context)
{
    struct ioi *self = context;
    word_list_fini(&self->names);
    word_list_fini(&self->places);
    word_list_fini(&self->objects);
    free(self);
}

static status_t read_corruption(struct ioi *self, const char *word, struct error *err)
{
    self->is_abc = word && strcmp(word, "abc") == 0;
    if (!word || self->is_abc || strcmp(word, "s2_io_flip") == 0) return ST_OK;
    return error_set(err, ST_BAD_INPUT, "corruption \"%.40s\" is not s2_io_flip or abc", word);
}

static status_t ioi_open(void **out, const struct prompt_tokenizer *tokenizer,
                         const struct prompt_request *request, struct error *err)
{
    struct ioi *self = calloc(1, sizeof *self);
    if (!self) return error_set(err, ST_NO_MEMORY, "generator");
    self->tokenizer = tokenizer;
    self->seed = request->seed;
    status_t status = read_corruption(self, request->corruption, err);
    if (status == ST_OK)
        status = word_list_open(&self->names, tokenizer, WORDS_NAMES, "names",
                                self->is_abc ? N_ABC_NAMES : N_FLIP_NAMES, err);
    if (status == ST_OK)
        status = word_list_open(&self->places, tokenizer, WORDS_PLACES, "places", 1, err);
    if (status == ST_OK)
        status = word_list_open(&self->objects, tokenizer, WORDS_OBJECTS, "objects", 1, err);
    if (status == ST_OK)
        *out = self;
    else
        ioi_close(self);
    return status;
}

static size_t ioi_n_templates(const void *context)
{
    (void)context;
    return (size_t)2 * N_SENTENCES;
}

static uint64_t ioi_n_possible(const void *context, size_t template_index)
{
    const struct ioi *self = context;
    (void)template_index;
    return (uint64_t)self->names.n * (self->names.n - 1) * self->places.n * self->objects.n;
}

static struct ioi_words choose_words(const struct ioi *self, size_t template_index, uint64_t index)
{
    const size_t io = prompt_digit(&index, self->names.n);
    size_t s = prompt_digit(&index, self->names.n - 1);
    if (s >= io) s++;
    const size_t place = prompt_digit(&index, self->places.n);
    return (struct ioi_words){.io = &self->names.words[io],
                              .s = &self->names.words[s],
                              .s_again = &self->names.words[s],
                              .place = &self->places.words[place],
                              .object = &self->objects.words[index],
                              .is_s_first = template_index % 2};
}

/* Three names that are not the prompt's, all different. */
static struct ioi_words replace_names(const struct ioi *self, struct draw *draw,
                                      struct ioi_words words)
{
    const struct prompt_word *used[N_ABC_NAMES] = {words.io, words.s};
    for (size_t n = 2; n < N_ABC_NAMES;) {
        const struct prompt_word *name =
            &self->names.words[distinct_draw_below(draw, self->names.n)];
        size_t i = 0;
        while (i < n && used[i] != name) i++;
        if (i == n) used[n++] = name;
    }
    words.io = used[2];
    words.s = used[3];
    words.s_again = used[4];
    return words;
}

static struct ioi_words corrupt(const struct ioi *self, struct draw *draw, struct ioi_words words)
{
    if (self->is_abc) return replace_names(self, draw, words);
    words.s_again = words.io;
    return words;
}

static status_t fill(struct sentence *out, const char *pattern, const struct ioi_words *words,
                     struct error *err)
{
    const struct prompt_word *x = words->is_s_first ? words->s : words->io;
    const struct prompt_word *y = words->is_s_first ? words->io : words->s;
    const struct sentence_word list[] = {
        {'x', x->text, x->id},
        {'y', y->text, y->id},
        {'s', words->s_again->text, words->s_again->id},
        {'p', words->place->text, words->place->id},
        {'o', words->object->text, words->object->id},
    };
    return sentence_fill(out, pattern, list, sizeof list / sizeof list[0], err);
}

static void name_positions(struct prompt_draft *draft, const struct sentence *clean,
                           bool is_s_first)
{
    size_t x = 0, y = 0, s = 0;
    for (size_t i = 0; i < clean->n_slots; i++) {
        if (clean->slots[i].slot == 'x') x = draft->slots[i];
        if (clean->slots[i].slot == 'y') y = draft->slots[i];
        if (clean->slots[i].slot == 's') s = draft->slots[i];
    }
    prompt_draft_position(draft, "io", is_s_first ? y : x);
    prompt_draft_position(draft, "s1", is_s_first ? x : y);
    prompt_draft_position(draft, "s1+1", (is_s_first ? x : y) + 1);
    prompt_draft_position(draft, "s2", s);
    prompt_draft_position(draft, "end", draft->clean.tokens.n_ids - 1);
}

static status_t ioi_make(const void *context, size_t template_index, uint64_t index,
                         struct prompt_draft *draft, struct error *err)
{
    const struct ioi *self = context;
    const char *pattern = SENTENCES[template_index / 2];
    struct draw draw = prompt_details(self->seed, template_index, index);
    const struct ioi_words words = choose_words(self, template_index, index);
    const struct ioi_words others = corrupt(self, &draw, words);
    struct sentence clean, corrupted;
    status_t status = fill(&clean, pattern, &words, err);
    if (status == ST_OK) status = fill(&corrupted, pattern, &others, err);
    if (status == ST_OK)
        status = prompt_draft_sentences(draft, self->tokenizer, &clean, &corrupted, err);
    if (status != ST_OK) return status;
    draft->answers[draft->n_answers++] = words.io->id;
    draft->distractors[draft->n_distractors++] = words.s->id;
    name_positions(draft, &clean, words.is_s_first);
    (void)snprintf(draft->template_name, sizeof draft->template_name, "%s_%zu",
                   words.is_s_first ? "baba" : "abba", template_index / 2);
    return ST_OK;
}

const struct prompt_generator_ops ioi_generator = {ioi_open, ioi_n_templates, ioi_n_possible,
                                                   ioi_make, ioi_close};
