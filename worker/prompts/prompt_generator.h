/* Generators of prompt sets: a table of them, and the loop that all share.
 *
 * A generator has templates (sentences; for induction: places of the first A) and for each a known
 * number of different clean prompts, numbered from 0. The loop takes templates in turn and draws
 * numbers without repetition, so no clean prompt comes twice and equal requests give equal bytes on
 * every machine. Words are filtered by the model's tokenizer when a generator is opened. */
#ifndef WORKER_PROMPTS_PROMPT_GENERATOR_H
#define WORKER_PROMPTS_PROMPT_GENERATOR_H

#include "common/draw.h"
#include "worker/prompts/prompt_draft.h"

enum { PROMPT_MAX_TEMPLATES = PROMPTS_MAX_TOKENS };
#define PROMPTS_ENDLESS UINT64_MAX /* more different prompts than 63 bits count */

struct prompt_request {
    enum prompt_generator generator;
    const char *corruption; /* NULL: the generator's own. Borrowed */
    size_t n_prompts;       /* 1 .. PROMPTS_MAX_PROMPTS */
    size_t n_tokens;        /* induction */
    uint64_t seed;
};

/* Append the prompt set, a line a prompt; ids of prompts count from 0. Errors: ST_BAD_INPUT (a
 * number out of range; too few words or years that this tokenizer can say; more prompts than there
 * are: says how many), ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t prompt_generator_run(const struct prompt_request *request,
                                         const struct prompt_tokenizer *tokenizer,
                                         struct buffer *out, struct error *err);

/* What a generator is. `make` fills a draft that is empty: prompt `index` of the template, index
 * below n_possible(template); what the index does not say is drawn from prompt_details(). */
struct prompt_generator_ops {
    status_t (*open)(void **out, const struct prompt_tokenizer *tokenizer,
                     const struct prompt_request *request, struct error *err);
    size_t (*n_templates)(const void *self); /* 1 .. PROMPT_MAX_TEMPLATES */
    uint64_t (*n_possible)(const void *self, size_t template_index);
    status_t (*make)(const void *self, size_t template_index, uint64_t index,
                     struct prompt_draft *draft, struct error *err);
    void (*close)(void *self);
};
extern const struct prompt_generator_ops induction_generator, ioi_generator, greater_than_generator,
    gendered_pronoun_generator, subject_verb_generator;

/* The random details of one prompt. */
struct draw prompt_details(uint64_t seed, size_t template_index, uint64_t index);

/* Cut *index into a digit below `base` and the rest. */
static inline size_t prompt_digit(uint64_t *index, size_t base)
{
    const size_t digit = (size_t)(*index % base);
    *index /= base;
    return digit;
}

#endif
