#include "worker/prompts/prompt_draft.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>

enum { TEXT_MAX_BYTES = 1024 * 1024 };

void prompt_draft_init(struct prompt_draft *draft)
{
    *draft = (struct prompt_draft){.n_answers = 0};
    buffer_init(&draft->clean_text, TEXT_MAX_BYTES);
    buffer_init(&draft->corrupted_text, TEXT_MAX_BYTES);
}

void prompt_draft_fini(struct prompt_draft *draft)
{
    token_text_fini(&draft->clean);
    token_text_fini(&draft->corrupted);
    buffer_fini(&draft->clean_text);
    buffer_fini(&draft->corrupted_text);
}

void prompt_draft_position(struct prompt_draft *draft, const char *name, size_t index)
{
    assert(draft->n_positions < PROMPT_DRAFT_MAX_POSITIONS);
    draft->positions[draft->n_positions++] = (struct draft_position){name, index};
}

/* --- sentences ----------------------------------------------------------------------------- */

/* The token that ends where the slot's word ends. */
static bool find_slot(const struct token_text *text, const struct sentence_slot *slot, size_t *out)
{
    for (size_t i = 0; i < text->tokens.n_ids; i++) {
        *out = i;
        if (text->ends[i] == slot->end && text->tokens.ids[i] == slot->id) return true;
    }
    return false;
}

static status_t check_slots(struct prompt_draft *draft, const struct sentence *clean,
                            const struct sentence *corrupted, struct error *err)
{
    if (!draft->clean.has_ends || !draft->corrupted.has_ends)
        return error_set(err, ST_BAD_INPUT, "the tokenizer changes the text");
    if (draft->clean.tokens.n_ids != draft->corrupted.tokens.n_ids)
        return error_set(err, ST_BAD_INPUT, "has %zu tokens, corrupted %zu",
                         draft->clean.tokens.n_ids, draft->corrupted.tokens.n_ids);
    assert(clean->n_slots == corrupted->n_slots);
    for (size_t i = 0; i < clean->n_slots; i++) {
        size_t in_corrupted = 0;
        if (!find_slot(&draft->clean, &clean->slots[i], &draft->slots[i]) ||
            !find_slot(&draft->corrupted, &corrupted->slots[i], &in_corrupted) ||
            in_corrupted != draft->slots[i])
            return error_set(err, ST_BAD_INPUT, "the word in {%c} is not the same one token",
                             clean->slots[i].slot);
    }
    return ST_OK;
}

status_t prompt_draft_sentences(struct prompt_draft *draft,
                                const struct prompt_tokenizer *tokenizer,
                                const struct sentence *clean, const struct sentence *corrupted,
                                struct error *err)
{
    status_t status =
        prompt_tokenizer_encode(tokenizer, clean->text, clean->n_bytes, &draft->clean, err);
    if (status == ST_OK)
        status = prompt_tokenizer_encode(tokenizer, corrupted->text, corrupted->n_bytes,
                                         &draft->corrupted, err);
    if (status == ST_OK) status = check_slots(draft, clean, corrupted, err);
    if (status == ST_OK) status = buffer_append_text(&draft->clean_text, clean->text, err);
    if (status == ST_OK) status = buffer_append_text(&draft->corrupted_text, corrupted->text, err);
    return status == ST_OK ? ST_OK : error_wrap(err, "\"%s\"", clean->text);
}

/* --- lines --------------------------------------------------------------------------------- */

static json_t *ids_json(const uint32_t *ids, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < n; i++)
        if (json_array_append_new(list, json_integer((json_int_t)ids[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *positions_json(const struct prompt_draft *draft)
{
    json_t *positions = json_object();
    for (size_t i = 0; positions && i < draft->n_positions; i++)
        if (json_object_set_new(positions, draft->positions[i].name,
                                json_integer((json_int_t)draft->positions[i].index)) != 0) {
            json_decref(positions);
            return NULL;
        }
    return positions;
}

static json_t *draft_json(const struct prompt_draft *draft, size_t id)
{
    const struct buffer *clean = &draft->clean_text, *corrupted = &draft->corrupted_text;
    return json_pack("{s:I, s:s, s:o, s:o, s:o, s:o, s:I, s:o, s:s%, s:s%}", "id", (json_int_t)id,
                     "template", draft->template_name, "clean",
                     ids_json(draft->clean.tokens.ids, draft->clean.tokens.n_ids), "corrupted",
                     ids_json(draft->corrupted.tokens.ids, draft->corrupted.tokens.n_ids),
                     "answers", ids_json(draft->answers, draft->n_answers), "distractors",
                     ids_json(draft->distractors, draft->n_distractors), "position",
                     (json_int_t)draft->clean.tokens.n_ids - 1, "positions", positions_json(draft),
                     "clean_text", (const char *)clean->bytes, clean->n_bytes, "corrupted_text",
                     (const char *)corrupted->bytes, corrupted->n_bytes);
}

status_t prompt_draft_print(const struct prompt_draft *draft, size_t id, struct buffer *out,
                            struct error *err)
{
    json_t *line = draft_json(draft, id);
    char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
    status_t status = text ? buffer_printf(out, err, "%s\n", text)
                           : error_set(err, ST_NO_MEMORY, "prompt %zu", id);
    free(text);
    json_decref(line);
    return status;
}
