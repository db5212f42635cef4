#include "worker/prompts/prompt_generator.h"

#include "worker/prompts/distinct_draw.h"

#include <stdlib.h>

static const struct prompt_generator_ops *const generators[PROMPT_N_GENERATORS] = {
    [GENERATOR_INDUCTION] = &induction_generator,
    [GENERATOR_IOI] = &ioi_generator,
    [GENERATOR_GREATER_THAN] = &greater_than_generator,
    [GENERATOR_GENDERED_PRONOUN] = &gendered_pronoun_generator,
    [GENERATOR_SUBJECT_VERB] = &subject_verb_generator,
};

/* The numbers are part of what a prompt set depends on: append, never renumber. */
enum draw_purpose { DRAW_WHICH = 1, DRAW_DETAILS = 2 };

struct draw prompt_details(uint64_t seed, size_t template_index, uint64_t index)
{
    return draw_open(seed, DRAW_DETAILS, hash_mix64(index) ^ template_index);
}

/* --- which prompts of which template ------------------------------------------------------- */

struct template_share {
    size_t n, first; /* indices[first .. first + n) */
    size_t n_taken;
};

struct prompt_choice {
    size_t n_templates;
    struct template_share *shares; /* [n_templates], owned */
    uint64_t *indices;             /* [n_prompts], owned */
};

static void choice_fini(struct prompt_choice *choice)
{
    free(choice->shares);
    free(choice->indices);
}

/* A prompt more for each template in turn, as long as it has one. */
static size_t share_out(struct prompt_choice *choice, const struct prompt_generator_ops *ops,
                        const void *generator, size_t n_prompts)
{
    size_t n_left = n_prompts, n_before = n_prompts + 1;
    while (n_left > 0 && n_left < n_before) {
        n_before = n_left;
        for (size_t t = 0; t < choice->n_templates && n_left > 0; t++)
            if (choice->shares[t].n < ops->n_possible(generator, t)) {
                choice->shares[t].n++;
                n_left--;
            }
    }
    return n_prompts - n_left;
}

static status_t choose(struct prompt_choice *choice, const struct prompt_generator_ops *ops,
                       const void *generator, const struct prompt_request *request,
                       struct error *err)
{
    status_t status = ST_OK;
    choice->n_templates = ops->n_templates(generator);
    choice->shares = calloc(choice->n_templates + 1, sizeof *choice->shares);
    choice->indices = calloc(request->n_prompts + 1, sizeof *choice->indices);
    if (!choice->shares || !choice->indices)
        return error_set(err, ST_NO_MEMORY, "%zu prompts", request->n_prompts);
    const size_t n_there = share_out(choice, ops, generator, request->n_prompts);
    if (n_there < request->n_prompts)
        return error_set(err, ST_BAD_INPUT, "n_prompts is %zu: %zu different ones are possible",
                         request->n_prompts, n_there);
    for (size_t t = 0, first = 0; t < choice->n_templates && status == ST_OK; t++) {
        struct draw draw = draw_open(request->seed, DRAW_WHICH, t);
        choice->shares[t].first = first;
        status = distinct_draw(&draw, ops->n_possible(generator, t), choice->shares[t].n,
                               choice->indices + first, err);
        first += choice->shares[t].n;
    }
    return status;
}

/* --- the loop ------------------------------------------------------------------------------ */

static status_t make_one(const struct prompt_generator_ops *ops, const void *generator,
                         struct prompt_choice *choice, size_t t, size_t id, struct buffer *out,
                         struct error *err)
{
    struct template_share *share = &choice->shares[t];
    struct prompt_draft draft;
    prompt_draft_init(&draft);
    const uint64_t index = choice->indices[share->first + share->n_taken++];
    status_t status = ops->make(generator, t, index, &draft, err);
    if (status == ST_OK) status = prompt_draft_print(&draft, id, out, err);
    prompt_draft_fini(&draft);
    return status;
}

static status_t make_all(const struct prompt_generator_ops *ops, const void *generator,
                         struct prompt_choice *choice, size_t n_prompts, struct buffer *out,
                         struct error *err)
{
    status_t status = ST_OK;
    for (size_t id = 0; id < n_prompts && status == ST_OK;)
        for (size_t t = 0; t < choice->n_templates && status == ST_OK; t++)
            if (choice->shares[t].n_taken < choice->shares[t].n)
                status = make_one(ops, generator, choice, t, id++, out, err);
    return status;
}

static status_t run(const struct prompt_request *request, const struct prompt_tokenizer *tokenizer,
                    struct buffer *out, struct error *err)
{
    const struct prompt_generator_ops *ops = generators[request->generator];
    struct prompt_choice choice = {.n_templates = 0};
    void *generator = NULL;
    if (request->n_prompts < 1 || request->n_prompts > PROMPTS_MAX_PROMPTS)
        return error_set(err, ST_BAD_INPUT, "n_prompts is %zu, not from 1 to %d",
                         request->n_prompts, PROMPTS_MAX_PROMPTS);
    status_t status = ops->open(&generator, tokenizer, request, err);
    if (status != ST_OK) return status;
    status = choose(&choice, ops, generator, request, err);
    if (status == ST_OK) status = make_all(ops, generator, &choice, request->n_prompts, out, err);
    choice_fini(&choice);
    ops->close(generator);
    return status;
}

status_t prompt_generator_run(const struct prompt_request *request,
                              const struct prompt_tokenizer *tokenizer, struct buffer *out,
                              struct error *err)
{
    const status_t status = run(request, tokenizer, out, err);
    return status == ST_OK ? ST_OK
                           : error_wrap(err, "%s", prompt_generator_name(request->generator));
}
