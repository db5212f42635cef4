/* The "pre_tokenizer" object of tokenizer.json into steps. */
#include "worker/model/json_fields.h"
#include "worker/model/pretokenizer.h"

#include <stdlib.h>
#include <string.h>

/* How GPT-2 cuts words; ByteLevel implies it unless use_regex is false. */
static const char gpt2_pattern[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
static const char whitespace_pattern[] = "[" REGEX_RUST_WORD "]+|[^" REGEX_RUST_WORD "\\s]+";

/* The next free step; NULL, with the error recorded, when there is none. */
static struct pretokenizer_step *add_step(struct pretokenizer *pretokenizer,
                                          enum pretokenizer_kind kind, struct error *err)
{
    if (pretokenizer->n_steps == PRETOKENIZER_MAX_STEPS) {
        (void)error_set(err, ST_TOO_LARGE, "more than %d steps", PRETOKENIZER_MAX_STEPS);
        return NULL;
    }
    struct pretokenizer_step *step = &pretokenizer->steps[pretokenizer->n_steps++];
    *step = (struct pretokenizer_step){.kind = kind};
    return step;
}

static status_t add_regex(struct pretokenizer *pretokenizer, const char *pattern,
                          enum split_behavior behavior, bool is_inverted, struct error *err)
{
    struct pretokenizer_step *step = add_step(pretokenizer, PRETOKENIZER_SPLIT, err);
    if (!step) return ST_TOO_LARGE;
    step->behavior = behavior;
    step->is_inverted = is_inverted;
    return regex_create(&step->pattern.regex, pattern, err);
}

static status_t add_class(struct pretokenizer *pretokenizer, enum split_class class,
                          enum split_behavior behavior, struct error *err)
{
    struct pretokenizer_step *step = add_step(pretokenizer, PRETOKENIZER_SPLIT_CLASS, err);
    if (!step) return ST_TOO_LARGE;
    step->class = class;
    step->behavior = behavior;
    return ST_OK;
}

static status_t load_byte_level(struct pretokenizer *pretokenizer, const json_t *value,
                                struct error *err)
{
    bool adds_space = false;
    bool uses_regex = true;
    status_t status = json_read_bool(value, "add_prefix_space", true, &adds_space, err);
    if (status == ST_OK) status = json_read_bool(value, "use_regex", true, &uses_regex, err);
    if (status == ST_OK && adds_space && !add_step(pretokenizer, PRETOKENIZER_PREFIX_SPACE, err))
        status = ST_TOO_LARGE;
    if (status == ST_OK && uses_regex)
        status = add_regex(pretokenizer, gpt2_pattern, SPLIT_ISOLATED, false, err);
    pretokenizer->is_byte_level = true;
    return status;
}

static status_t read_behavior(const json_t *value, const char *otherwise, enum split_behavior *out,
                              struct error *err)
{
    static const char *const names[] = {[SPLIT_ISOLATED] = "Isolated",
                                        [SPLIT_REMOVED] = "Removed",
                                        [SPLIT_CONTIGUOUS] = "Contiguous",
                                        [SPLIT_WITH_PREVIOUS] = "MergedWithPrevious",
                                        [SPLIT_WITH_NEXT] = "MergedWithNext"};
    const char *name = NULL;
    const status_t status = json_read_string(value, "behavior", otherwise, &name, err);
    if (status != ST_OK) return status;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (!name || strcmp(name, names[i]) != 0) continue;
        *out = (enum split_behavior)i;
        return ST_OK;
    }
    return error_set(err, ST_UNSUPPORTED, "behavior '%.64s' is not supported",
                     name ? name : "(none)");
}

static status_t load_split(struct pretokenizer *pretokenizer, const json_t *value,
                           struct error *err)
{
    struct pretokenizer_step *step = add_step(pretokenizer, PRETOKENIZER_SPLIT, err);
    if (!step) return ST_TOO_LARGE;
    status_t status = read_behavior(value, NULL, &step->behavior, err);
    if (status == ST_OK) status = json_read_bool(value, "invert", false, &step->is_inverted, err);
    if (status == ST_OK)
        status = text_pattern_load(&step->pattern, json_object_get(value, "pattern"), err);
    return status;
}

static status_t load_digits(struct pretokenizer *pretokenizer, const json_t *value,
                            struct error *err)
{
    bool individual = false;
    const status_t status = json_read_bool(value, "individual_digits", false, &individual, err);
    if (status != ST_OK) return status;
    return add_class(pretokenizer, CLASS_NUMERIC, individual ? SPLIT_ISOLATED : SPLIT_CONTIGUOUS,
                     err);
}

static status_t load_punctuation(struct pretokenizer *pretokenizer, const json_t *value,
                                 struct error *err)
{
    enum split_behavior behavior = SPLIT_ISOLATED;
    const status_t status = read_behavior(value, "Isolated", &behavior, err);
    return status == ST_OK ? add_class(pretokenizer, CLASS_PUNCTUATION, behavior, err) : status;
}

static status_t read_mark(const json_t *value, char mark[UTF8_MAX_BYTES + 1], struct error *err)
{
    const char *text = NULL;
    size_t n_used = 0;
    const status_t status = json_read_string(value, "replacement", "\xe2\x96\x81", &text, err);
    if (status != ST_OK) return status;
    if (text[0]) (void)utf8_read(text, &n_used);
    if (n_used == 0 || n_used != strlen(text))
        return error_set(err, ST_CORRUPT, "replacement '%.32s' is not one character", text);
    memcpy(mark, text, n_used + 1);
    return ST_OK;
}

/* "prepend_scheme", or "add_prefix_space" of files written before it existed. */
static status_t read_scheme(const json_t *value, enum prepend_scheme *out, struct error *err)
{
    const char *name = NULL;
    bool adds_space = true;
    status_t status = json_read_bool(value, "add_prefix_space", true, &adds_space, err);
    if (status == ST_OK)
        status =
            json_read_string(value, "prepend_scheme", adds_space ? "always" : "never", &name, err);
    if (status != ST_OK) return status;
    if (strcmp(name, "always") == 0)
        *out = PREPEND_ALWAYS;
    else if (strcmp(name, "first") == 0)
        *out = PREPEND_FIRST;
    else if (strcmp(name, "never") == 0)
        *out = PREPEND_NEVER;
    else
        return error_set(err, ST_UNSUPPORTED, "prepend_scheme '%.32s' is not supported", name);
    return ST_OK;
}

static status_t load_metaspace(struct pretokenizer *pretokenizer, const json_t *value,
                               struct error *err)
{
    bool splits = true;
    struct pretokenizer_step *step = add_step(pretokenizer, PRETOKENIZER_METASPACE, err);
    if (!step) return ST_TOO_LARGE;
    status_t status = read_mark(value, step->mark, err);
    if (status == ST_OK) status = read_scheme(value, &step->scheme, err);
    if (status == ST_OK) status = json_read_bool(value, "split", true, &splits, err);
    if (status != ST_OK || !splits) return status;
    struct pretokenizer_step *split = add_step(pretokenizer, PRETOKENIZER_SPLIT, err);
    if (!split) return ST_TOO_LARGE;
    split->behavior = SPLIT_WITH_NEXT;
    split->pattern.n_literal = strlen(step->mark);
    split->pattern.literal = strdup(step->mark);
    return split->pattern.literal ? ST_OK : error_set(err, ST_NO_MEMORY, "Metaspace");
}

static status_t load_by_type(struct pretokenizer *pretokenizer, const char *type,
                             const json_t *value, struct error *err)
{
    if (pretokenizer->is_byte_level)
        return error_set(err, ST_UNSUPPORTED, "'%.64s' behind ByteLevel is not supported", type);
    if (strcmp(type, "ByteLevel") == 0) return load_byte_level(pretokenizer, value, err);
    if (strcmp(type, "Split") == 0) return load_split(pretokenizer, value, err);
    if (strcmp(type, "Digits") == 0) return load_digits(pretokenizer, value, err);
    if (strcmp(type, "Metaspace") == 0) return load_metaspace(pretokenizer, value, err);
    if (strcmp(type, "Punctuation") == 0) return load_punctuation(pretokenizer, value, err);
    if (strcmp(type, "WhitespaceSplit") == 0)
        return add_class(pretokenizer, CLASS_WHITE_SPACE, SPLIT_REMOVED, err);
    if (strcmp(type, "Whitespace") == 0)
        return add_regex(pretokenizer, whitespace_pattern, SPLIT_REMOVED, true, err);
    return error_set(err, ST_UNSUPPORTED, "type '%.64s' is not supported", type);
}

static status_t load_steps(struct pretokenizer *pretokenizer, json_t *value, unsigned depth,
                           struct error *err)
{
    const char *type = NULL;
    json_t *members = NULL;
    status_t status = json_need_string(value, "type", &type, err);
    if (status != ST_OK) return status;
    if (strcmp(type, "Sequence") != 0) return load_by_type(pretokenizer, type, value, err);
    if (depth == PRETOKENIZER_MAX_DEPTH)
        return error_set(err, ST_TOO_LARGE, "Sequence nested deeper than %d",
                         PRETOKENIZER_MAX_DEPTH);
    status = json_need_array(value, "pretokenizers", &members, err);
    for (size_t i = 0; status == ST_OK && i < json_array_size(members); i++)
        status = load_steps(pretokenizer, json_array_get(members, i), depth + 1, err);
    return status;
}

status_t pretokenizer_load(struct pretokenizer *out, json_t *value, struct error *err)
{
    struct pretokenizer pretokenizer = {0};
    if (value && !json_is_null(value)) {
        const status_t status = load_steps(&pretokenizer, value, 0, err);
        if (status != ST_OK) {
            pretokenizer_fini(&pretokenizer);
            error_wrap(err, "pre_tokenizer");
            return status;
        }
    }
    *out = pretokenizer;
    return ST_OK;
}

status_t pretokenizer_add_cut(struct pretokenizer *pretokenizer, const char *mark,
                              struct error *err)
{
    const size_t n_mark = strlen(mark);
    if (n_mark > UTF8_MAX_BYTES) return error_set(err, ST_TOO_LARGE, "mark '%.32s'", mark);
    struct pretokenizer_step *step = add_step(pretokenizer, PRETOKENIZER_CUT_BEFORE, err);
    if (!step) return ST_TOO_LARGE;
    memcpy(step->mark, mark, n_mark + 1);
    return ST_OK;
}

void pretokenizer_fini(struct pretokenizer *pretokenizer)
{
    for (size_t i = 0; i < pretokenizer->n_steps; i++)
        text_pattern_fini(&pretokenizer->steps[i].pattern);
    *pretokenizer = (struct pretokenizer){0};
}

bool pretokenizer_needs_start(const struct pretokenizer *pretokenizer)
{
    for (size_t i = 0; i < pretokenizer->n_steps; i++)
        if (pretokenizer->steps[i].kind == PRETOKENIZER_METASPACE &&
            pretokenizer->steps[i].scheme == PREPEND_FIRST)
            return true;
    return false;
}
