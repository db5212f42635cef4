#include "coordinator/circuit/prompt_set.h"

#include "common/hash.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void prompt_fini(struct circuit_prompt *prompt)
{
    free(prompt->ids);
    free(prompt->positions);
    *prompt = (struct circuit_prompt){.n_tokens = 0};
}

void prompt_set_fini(struct prompt_set *set)
{
    for (size_t i = 0; i < set->n_prompts; i++) prompt_fini(&set->prompts[i]);
    free(set->prompts);
    free(set->templates);
    *set = (struct prompt_set){.n_prompts = 0};
}

/* --- one line ----------------------------------------------------------------------------- */

/* The lists of a line, still in JSON. */
struct prompt_lists {
    const json_t *clean, *corrupted, *answers, *distractors;
};

static status_t check_keys(const json_t *line, struct error *err)
{
    static const char *const known[] = {
        "clean",           "corrupted",      "answers",  "answer", "distractors", "distractor",
        "answer_position", "positions",      "template", "id",     "position",    "set",
        "clean_text",      "corrupted_text", NULL};
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)line, key, value)
    {
        size_t i = 0;
        while (known[i] && strcmp(known[i], key) != 0) i++;
        if (!known[i]) return error_set(err, ST_BAD_INPUT, "unknown key \"%.60s\"", key);
    }
    return ST_OK;
}

/* The list `plural`, or what stands under `singular`, an id. */
static status_t find_list(const json_t *line, const char *plural, const char *singular,
                          const json_t **out, struct error *err)
{
    const json_t *list = json_object_get(line, plural);
    const json_t *one = singular ? json_object_get(line, singular) : NULL;
    if (list && one) return error_set(err, ST_BAD_INPUT, "%s and %s are given", plural, singular);
    if (json_array_size(one) > 1)
        return error_set(err, ST_UNSUPPORTED,
                         "%s has %zu tokens: an answer is one token (alternatives go in \"%s\")",
                         singular, json_array_size(one), plural);
    if (!list && !one) return error_set(err, ST_BAD_INPUT, "%s is missing", plural);
    if (list && !json_is_array(list)) return error_set(err, ST_BAD_INPUT, "%s is no list", plural);
    if (list && json_array_size(list) == 0)
        return error_set(err, ST_BAD_INPUT, "%s is empty", plural);
    *out = list ? list : one;
    return ST_OK;
}

static size_t list_length(const json_t *list)
{
    return json_is_array(list) ? json_array_size(list) : 1;
}

static status_t read_ids(const json_t *list, const char *key, uint32_t n_vocab, uint32_t *out,
                         struct error *err)
{
    for (size_t i = 0; i < list_length(list); i++) {
        const json_t *item = json_is_array(list) ? json_array_get(list, i) : list;
        if (json_is_array(item) && json_array_size(item) > 1)
            return error_set(err, ST_UNSUPPORTED, "%s[%zu] has %zu tokens where one is wanted", key,
                             i, json_array_size(item));
        const json_int_t id = json_integer_value(item);
        if (!json_is_integer(item) || id < 0 || id >= UINT32_MAX)
            return error_set(err, ST_BAD_INPUT, "%s[%zu] is no token id", key, i);
        if (n_vocab > 0 && id >= n_vocab)
            return error_set(err, ST_BAD_INPUT,
                             "%s[%zu] is %" PRIu32 ": the vocabulary has %" PRIu32 " tokens", key,
                             i, (uint32_t)id, n_vocab);
        out[i] = (uint32_t)id;
    }
    return ST_OK;
}

static status_t find_lists(const json_t *line, struct prompt_lists *lists, struct error *err)
{
    status_t status = find_list(line, "clean", NULL, &lists->clean, err);
    if (status == ST_OK) status = find_list(line, "corrupted", NULL, &lists->corrupted, err);
    if (status == ST_OK) status = find_list(line, "answers", "answer", &lists->answers, err);
    if (status == ST_OK)
        status = find_list(line, "distractors", "distractor", &lists->distractors, err);
    if (status != ST_OK) return status;
    const size_t n_clean = json_array_size(lists->clean);
    const size_t n_corrupted = json_array_size(lists->corrupted);
    if (n_clean != n_corrupted)
        return error_set(err, ST_BAD_INPUT, "clean has %zu tokens, corrupted %zu", n_clean,
                         n_corrupted);
    if (n_clean > PROMPT_SET_MAX_TOKENS)
        return error_set(err, ST_TOO_LARGE, "clean has more than %d tokens", PROMPT_SET_MAX_TOKENS);
    if (list_length(lists->answers) > PROMPT_SET_MAX_ANSWERS ||
        list_length(lists->distractors) > PROMPT_SET_MAX_ANSWERS)
        return error_set(err, ST_TOO_LARGE, "more than %d answers", PROMPT_SET_MAX_ANSWERS);
    return ST_OK;
}

static status_t check_answers(const struct circuit_prompt *prompt, struct error *err)
{
    for (size_t i = 0; i < prompt->n_answers; i++)
        for (size_t j = 0; j < prompt->n_distractors; j++)
            if (prompt->answers[i] == prompt->distractors[j])
                return error_set(err, ST_BAD_INPUT, "token %" PRIu32 " is answer and distractor",
                                 prompt->answers[i]);
    return ST_OK;
}

/* The key of the clean tokens: the same on any machine. */
static status_t name_prompt(struct circuit_prompt *prompt, struct error *err)
{
    unsigned char *bytes = malloc((size_t)prompt->n_tokens * 4);
    if (!bytes) return error_set(err, ST_NO_MEMORY, "%" PRIu32 " tokens", prompt->n_tokens);
    for (size_t i = 0; i < prompt->n_tokens; i++)
        for (size_t b = 0; b < 4; b++)
            bytes[4 * i + b] = (unsigned char)(prompt->clean[i] >> (8 * b) & 0xFFu);
    prompt->key = hash_name64(bytes, (size_t)prompt->n_tokens * 4);
    free(bytes);
    return ST_OK;
}

static status_t read_all_ids(struct circuit_prompt *prompt, const struct prompt_lists *lists,
                             uint32_t n_vocab, struct error *err)
{
    const size_t n = json_array_size(lists->clean);
    const size_t n_answers = list_length(lists->answers);
    const size_t n_distractors = list_length(lists->distractors);
    uint32_t *ids = malloc((2 * n + n_answers + n_distractors) * sizeof *ids);
    if (!ids) return error_set(err, ST_NO_MEMORY, "%zu tokens", n);
    prompt->ids = ids;
    prompt->n_tokens = (uint32_t)n;
    prompt->n_answers = (uint32_t)n_answers;
    prompt->n_distractors = (uint32_t)n_distractors;
    prompt->clean = ids;
    prompt->corrupted = ids + n;
    prompt->answers = ids + 2 * n;
    prompt->distractors = ids + 2 * n + n_answers;
    status_t status = read_ids(lists->clean, "clean", n_vocab, ids, err);
    if (status == ST_OK) status = read_ids(lists->corrupted, "corrupted", n_vocab, ids + n, err);
    if (status == ST_OK) status = read_ids(lists->answers, "answers", n_vocab, ids + 2 * n, err);
    if (status == ST_OK)
        status = read_ids(lists->distractors, "distractors", n_vocab, ids + 2 * n + n_answers, err);
    if (status == ST_OK) status = check_answers(prompt, err);
    return status == ST_OK ? name_prompt(prompt, err) : status;
}

static status_t read_index(const json_t *json, const char *key, uint32_t n_tokens, uint32_t *out,
                           struct error *err)
{
    const json_int_t value = json_integer_value(json);
    const json_int_t n = (json_int_t)n_tokens;
    if (!json_is_integer(json)) return error_set(err, ST_BAD_INPUT, "%s is no number", key);
    if (value < -n || value >= n)
        return error_set(err, ST_BAD_INPUT, "%.60s is %lld: the prompt has %" PRIu32 " tokens", key,
                         (long long)value, n_tokens);
    *out = (uint32_t)(value < 0 ? value + n : value);
    return ST_OK;
}

/* A name as components spell it, so that every named position can be asked for. */
static status_t read_position_name(const char *name, char out[COMPONENT_POSITION_SIZE],
                                   struct error *err)
{
    char text[COMPONENT_NAME_SIZE];
    struct component component;
    const int n = snprintf(text, sizeof text, "L0H0@%s", name);
    if (n < 0 || (size_t)n >= sizeof text ||
        component_parse(text, (size_t)n, &component, NULL) != ST_OK)
        return error_set(err, ST_BAD_INPUT, "positions: \"%.40s\" is no word of 1 to %d letters",
                         name, COMPONENT_POSITION_SIZE - 1);
    memcpy(out, component.position, COMPONENT_POSITION_SIZE);
    return ST_OK;
}

static status_t read_positions(struct circuit_prompt *prompt, const json_t *positions,
                               struct error *err)
{
    const char *name;
    json_t *index;
    status_t status = ST_OK;
    if (!positions || json_is_null(positions)) return ST_OK;
    if (!json_is_object(positions)) return error_set(err, ST_BAD_INPUT, "positions is no object");
    if (json_object_size(positions) > PROMPT_SET_MAX_POSITIONS)
        return error_set(err, ST_TOO_LARGE, "more than %d positions", PROMPT_SET_MAX_POSITIONS);
    prompt->positions = calloc(json_object_size(positions) + 1, sizeof *prompt->positions);
    if (!prompt->positions) return error_set(err, ST_NO_MEMORY, "positions");
    json_object_foreach((json_t *)(uintptr_t)positions, name, index)
    {
        struct prompt_position *position = &prompt->positions[prompt->n_positions];
        uint32_t seen;
        status = read_position_name(name, position->name, err);
        if (status == ST_OK)
            status = read_index(index, name, prompt->n_tokens, &position->index, err);
        if (status == ST_OK && circuit_prompt_position(prompt, position->name, &seen))
            status = error_set(err, ST_BAD_INPUT, "position %s is given twice", position->name);
        if (status != ST_OK) return status;
        prompt->n_positions++;
    }
    return ST_OK;
}

static status_t read_name(const json_t *line, const char *key, char out[PROMPT_TEXT_SIZE],
                          struct error *err)
{
    const json_t *value = json_object_get(line, key);
    if (!value || json_is_null(value)) return ST_OK;
    if (!json_is_string(value) || json_string_length(value) == 0)
        return error_set(err, ST_BAD_INPUT, "%s is no text", key);
    if (json_string_length(value) >= PROMPT_TEXT_SIZE)
        return error_set(err, ST_TOO_LARGE, "%s is longer than %d bytes", key,
                         PROMPT_TEXT_SIZE - 1);
    memcpy(out, json_string_value(value), json_string_length(value) + 1);
    return ST_OK;
}

static status_t read_id(const json_t *line, char out[PROMPT_TEXT_SIZE], struct error *err)
{
    const json_t *id = json_object_get(line, "id");
    if (!json_is_integer(id)) return read_name(line, "id", out, err);
    (void)snprintf(out, PROMPT_TEXT_SIZE, "%lld", (long long)json_integer_value(id));
    return ST_OK;
}

static status_t read_use(const json_t *line, enum prompt_use *out, struct error *err)
{
    static const char *const words[] = {"", "search", "reference", "held_out"};
    const json_t *set = json_object_get(line, "set");
    const char *word = json_string_value(set);
    if (!set || json_is_null(set)) return ST_OK;
    for (int use = USE_SEARCH; word && use <= USE_HELD_OUT; use++) {
        if (strcmp(word, words[use]) != 0) continue;
        *out = (enum prompt_use)use;
        return ST_OK;
    }
    return error_set(err, ST_BAD_INPUT, "set is not search, reference or held_out");
}

static status_t read_answer_position(struct circuit_prompt *prompt, const json_t *line,
                                     struct error *err)
{
    const json_t *position = json_object_get(line, "position");
    const json_t *other = json_object_get(line, "answer_position");
    prompt->answer_position = prompt->n_tokens - 1;
    if (position && other)
        return error_set(err, ST_BAD_INPUT, "position and answer_position are given");
    if (!position) position = other;
    if (!position || json_is_null(position)) return ST_OK;
    return read_index(position, "position", prompt->n_tokens, &prompt->answer_position, err);
}

static status_t read_prompt(struct circuit_prompt *prompt, const json_t *line, uint32_t n_vocab,
                            struct error *err)
{
    struct prompt_lists lists;
    if (!json_is_object(line)) return error_set(err, ST_BAD_INPUT, "no JSON object");
    status_t status = check_keys(line, err);
    if (status == ST_OK) status = find_lists(line, &lists, err);
    if (status == ST_OK) status = read_all_ids(prompt, &lists, n_vocab, err);
    if (status == ST_OK) status = read_answer_position(prompt, line, err);
    if (status == ST_OK) status = read_positions(prompt, json_object_get(line, "positions"), err);
    if (status == ST_OK) status = read_use(line, &prompt->use, err);
    return status == ST_OK ? read_id(line, prompt->id, err) : status;
}

/* --- all lines ---------------------------------------------------------------------------- */

static status_t find_template(struct prompt_set *set, const char *name, uint32_t *out,
                              struct error *err)
{
    size_t i = 0;
    while (i < set->n_templates && strcmp(set->templates[i], name) != 0) i++;
    if (i == PROMPT_SET_MAX_TEMPLATES)
        return error_set(err, ST_TOO_LARGE, "more than %d templates", PROMPT_SET_MAX_TEMPLATES);
    if (i == set->n_templates) {
        char(*larger)[PROMPT_TEXT_SIZE] = realloc(set->templates, (i + 1) * sizeof *larger);
        if (!larger) return error_set(err, ST_NO_MEMORY, "%zu templates", i + 1);
        set->templates = larger;
        (void)snprintf(larger[i], sizeof larger[i], "%s", name);
        set->n_templates++;
    }
    *out = (uint32_t)i;
    return ST_OK;
}

static status_t add_line(struct prompt_set *set, const char *text, size_t n_bytes, uint32_t n_vocab,
                         struct error *err)
{
    char template_name[PROMPT_TEXT_SIZE] = "default";
    struct circuit_prompt *prompt = &set->prompts[set->n_prompts];
    json_error_t where;
    json_t *line = json_loadb(text, n_bytes, JSON_REJECT_DUPLICATES, &where);
    if (!line) return error_set(err, ST_BAD_INPUT, "%.160s", where.text);
    *prompt = (struct circuit_prompt){.n_tokens = 0};
    (void)snprintf(prompt->id, sizeof prompt->id, "%zu", set->n_prompts);
    status_t status = read_prompt(prompt, line, n_vocab, err);
    if (status == ST_OK) status = read_name(line, "template", template_name, err);
    if (status == ST_OK) status = find_template(set, template_name, &prompt->template_index, err);
    if (status == ST_OK)
        set->n_prompts++;
    else
        prompt_fini(prompt);
    json_decref(line);
    return status;
}

static bool is_blank(const char *text, size_t n_bytes)
{
    for (size_t i = 0; i < n_bytes; i++)
        if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r') return false;
    return true;
}

static status_t make_room(struct prompt_set *set, size_t *capacity, struct error *err)
{
    if (set->n_prompts == PROMPT_SET_MAX_PROMPTS)
        return error_set(err, ST_TOO_LARGE, "more than %d prompts", PROMPT_SET_MAX_PROMPTS);
    if (set->n_prompts < *capacity) return ST_OK;
    const size_t more = *capacity ? *capacity * 2 : 64;
    struct circuit_prompt *prompts = realloc(set->prompts, more * sizeof *prompts);
    if (!prompts) return error_set(err, ST_NO_MEMORY, "%zu prompts", more);
    set->prompts = prompts;
    *capacity = more;
    return ST_OK;
}

static status_t add_lines(struct prompt_set *set, const char *text, size_t n_bytes,
                          uint32_t n_vocab, struct error *err)
{
    const char *end = text + n_bytes;
    size_t capacity = 0, n_lines = 0;
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const size_t n = (size_t)((newline ? newline : end) - text);
        n_lines++;
        status_t status = ST_OK;
        if (!is_blank(text, n)) {
            status = make_room(set, &capacity, err);
            if (status == ST_OK) status = add_line(set, text, n, n_vocab, err);
        }
        if (status != ST_OK) return error_wrap(err, "line %zu", n_lines);
        text = newline ? newline + 1 : end;
    }
    return ST_OK;
}

static int compare_ids(const void *a, const void *b)
{
    return strcmp((*(const struct circuit_prompt *const *)a)->id,
                  (*(const struct circuit_prompt *const *)b)->id);
}

static status_t check_ids(const struct prompt_set *set, struct error *err)
{
    const struct circuit_prompt **sorted = malloc((set->n_prompts + 1) * sizeof *sorted);
    status_t status = ST_OK;
    if (!sorted) return error_set(err, ST_NO_MEMORY, "%zu prompts", set->n_prompts);
    for (size_t i = 0; i < set->n_prompts; i++) sorted[i] = &set->prompts[i];
    qsort(sorted, set->n_prompts, sizeof *sorted, compare_ids);
    for (size_t i = 1; i < set->n_prompts && status == ST_OK; i++)
        if (strcmp(sorted[i - 1]->id, sorted[i]->id) == 0)
            status = error_set(err, ST_BAD_INPUT, "two prompts have the id \"%s\"", sorted[i]->id);
    free(sorted);
    return status;
}

status_t prompt_set_parse(struct prompt_set *out, const char *source, const char *text,
                          size_t n_bytes, uint32_t n_vocab, struct error *err)
{
    struct prompt_set made = {.n_prompts = 0};
    if (n_bytes > PROMPT_SET_MAX_BYTES)
        return error_set(err, ST_TOO_LARGE, "%s: more than %d bytes", source, PROMPT_SET_MAX_BYTES);
    status_t status = add_lines(&made, text, n_bytes, n_vocab, err);
    if (status == ST_OK && made.n_prompts == 0)
        status = error_set(err, ST_BAD_INPUT, "the prompt set is empty");
    if (status == ST_OK) status = check_ids(&made, err);
    if (status != ST_OK) {
        prompt_set_fini(&made);
        return error_wrap(err, "%s", source);
    }
    *out = made;
    return ST_OK;
}

bool circuit_prompt_position(const struct circuit_prompt *prompt, const char *name, uint32_t *out)
{
    for (size_t i = 0; i < prompt->n_positions; i++) {
        if (strcmp(prompt->positions[i].name, name) != 0) continue;
        *out = prompt->positions[i].index;
        return true;
    }
    return false;
}

status_t prompt_set_units(const struct prompt_set *set, const struct prompt_choice *choice,
                          size_t min_templates, uint32_t *units, struct prompt_unit_count *out,
                          struct error *err)
{
    uint32_t n_units = 0;
    uint32_t *unit_of = calloc(set->n_templates + 1, sizeof *unit_of); /* from 1; 0: not seen */
    if (!unit_of) return error_set(err, ST_NO_MEMORY, "%zu templates", set->n_templates);
    for (size_t i = 0; i < choice->n; i++) {
        uint32_t *unit = &unit_of[set->prompts[choice->prompts[i]].template_index];
        if (*unit == 0) *unit = ++n_units;
        units[i] = *unit - 1;
    }
    free(unit_of);
    *out = (struct prompt_unit_count){n_units, n_units >= min_templates};
    if (out->is_by_template) return ST_OK;
    for (size_t i = 0; i < choice->n; i++) units[i] = (uint32_t)i;
    out->n_units = choice->n;
    return ST_OK;
}
