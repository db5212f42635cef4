/* The prompts of a circuit's task: pairs of equal length, clean and corrupted, with the answer
 * tokens that the metric compares at one position.
 *
 * One prompt a line of JSON (blank lines are skipped; an unknown key is refused by name):
 *   "clean", "corrupted"        token ids, as many of each, at least one
 *   "answers", "distractors"    lists of token ids: alternatives of one token each (greater-than
 *                               has many); or "answer", "distractor": one id
 *   "position"                  of the answer; default -1: the last; negative ones count from
 *                               the end. Also read: "answer_position"
 *   "positions"                 {"end": 14, "s2": -5}: the named positions of components
 *   "template"                  name; default "default"
 *   "id"                        name of the prompt in reports, text or number; default its
 *                               number, from 0
 *   "set"                       "search", "reference" or "held_out": what the prompt is for, where
 *                               the file says it (prompt_split.h)
 *   "clean_text", "corrupted_text"   for people: not read
 *
 * A value belongs to one thread; reading from several is fine. */
#ifndef COORDINATOR_CIRCUIT_PROMPT_SET_H
#define COORDINATOR_CIRCUIT_PROMPT_SET_H

#include "coordinator/circuit/component.h"

enum {
    PROMPT_SET_MAX_PROMPTS = 100000,
    PROMPT_SET_MAX_TOKENS = 16384, /* of one prompt */
    PROMPT_SET_MAX_ANSWERS = 1024, /* alternatives, of each side */
    PROMPT_SET_MAX_POSITIONS = 32, /* named ones of one prompt */
    PROMPT_SET_MAX_TEMPLATES = 4096,
    PROMPT_SET_MIN_TEMPLATES = 10, /* fewer are too few to resample */
    PROMPT_SET_MAX_BYTES = 256 * 1024 * 1024,
    PROMPT_TEXT_SIZE = 64 /* of an id or template, with its NUL */
};

enum prompt_use { USE_UNSAID, USE_SEARCH, USE_REFERENCE, USE_HELD_OUT };

struct prompt_position {
    char name[COMPONENT_POSITION_SIZE];
    uint32_t index;
};

struct circuit_prompt {
    char id[PROMPT_TEXT_SIZE];
    enum prompt_use use;
    uint32_t template_index; /* of prompt_set.templates */
    uint32_t n_tokens;
    uint32_t answer_position; /* below n_tokens */
    uint32_t n_answers, n_distractors, n_positions;
    const uint32_t *clean;             /* [n_tokens], ids; all four lie in `ids` */
    const uint32_t *corrupted;         /* [n_tokens] */
    const uint32_t *answers;           /* [n_answers] */
    const uint32_t *distractors;       /* [n_distractors] */
    struct prompt_position *positions; /* [n_positions], owned */
    uint32_t *ids;                     /* [2 n_tokens + n_answers + n_distractors], owned */
    uint64_t key; /* names the clean tokens: equal prompts have equal keys, anywhere */
};

struct prompt_set {
    struct circuit_prompt *prompts; /* [n_prompts], owned, in the order of the file */
    size_t n_prompts;
    char (*templates)[PROMPT_TEXT_SIZE]; /* [n_templates], owned, in order of appearance */
    size_t n_templates;
};

/* Parse all lines. n_vocab 0: not checked. On ST_OK the caller owns *out, otherwise it is
 * untouched. Errors name `source`, line and field: ST_BAD_INPUT (no prompts at all; lengths that
 * differ; an answer of several tokens; an answer among the distractors; an id that is not in the
 * vocabulary; a position outside the prompt; an id given twice), ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t prompt_set_parse(struct prompt_set *out, const char *source, const char *text,
                                     size_t n_bytes, uint32_t n_vocab, struct error *err);
void prompt_set_fini(struct prompt_set *set); /* fine twice */

/* The token index of a named position; false if the prompt has none of that name. */
bool circuit_prompt_position(const struct circuit_prompt *prompt, const char *name, uint32_t *out);

/* Some prompts of a set, by index; those of the verdict, for instance. */
struct prompt_choice {
    const uint32_t *prompts; /* [n] */
    size_t n;
};

struct prompt_unit_count {
    size_t n_units;
    bool is_by_template;
};

/* The unit that intervals resample (statistics.md 2): units [choice->n] gets, numbered from 0 in
 * order of appearance, the template of each chosen prompt if these have at least min_templates
 * (PROMPT_SET_MIN_TEMPLATES), else each prompt is a unit of its own. Errors: ST_NO_MEMORY. */
MUST_CHECK status_t prompt_set_units(const struct prompt_set *set,
                                     const struct prompt_choice *choice, size_t min_templates,
                                     uint32_t *units, struct prompt_unit_count *out,
                                     struct error *err);

#endif
