#include "coordinator/session/prompt_reply.h"

#include "coordinator/session/prompt_echo.h"
#include "coordinator/session/utf8.h"

#include <jansson.h>
#include <string.h>

enum { MAX_OBJECTS_TRIED = 64 };

static const char *const TYPE_NAMES[] = {NULL, "concrete", "syntactic", "abstract", "polysemantic"};

const char *feature_type_name(enum feature_type type)
{
    return (unsigned)type < sizeof TYPE_NAMES / sizeof TYPE_NAMES[0] ? TYPE_NAMES[type] : NULL;
}

enum feature_type feature_type_parse(const char *name)
{
    for (unsigned t = 1; name && t < sizeof TYPE_NAMES / sizeof TYPE_NAMES[0]; t++)
        if (strcmp(name, TYPE_NAMES[t]) == 0) return (enum feature_type)t;
    return FEATURE_TYPE_NONE;
}

/* --- finding the object ------------------------------------------------------------------ */

static bool has_key(const json_t *object, const char *key)
{
    return json_is_object(object) && json_object_get(object, key);
}

static size_t after_thinking(const char *reply, size_t n_bytes)
{
    static const char mark[] = "</think>";
    const size_t n_mark = sizeof mark - 1;
    for (size_t at = n_bytes; at >= n_mark; at--)
        if (memcmp(reply + at - n_mark, mark, n_mark) == 0) return at;
    return 0;
}

/* The first object that parses and has `key`; NULL if none of the first few does. */
static json_t *repair(const char *reply, size_t n_bytes, const char *key)
{
    int n_tried = 0;
    for (size_t at = after_thinking(reply, n_bytes); at < n_bytes && n_tried < MAX_OBJECTS_TRIED;
         at++) {
        if (reply[at] != '{') continue;
        json_t *object = json_loadb(reply + at, n_bytes - at,
                                    JSON_DISABLE_EOF_CHECK | JSON_REJECT_DUPLICATES, NULL);
        if (has_key(object, key)) return object;
        json_decref(object);
        n_tried++;
    }
    return NULL;
}

status_t prompt_reply_object(const char *reply, size_t n_bytes, const char *key, json_t **out,
                             bool *is_repaired, struct error *err)
{
    if (n_bytes > PROMPT_MAX_REPLY_BYTES)
        return error_set(err, ST_TOO_LARGE, "reply of %zu bytes (at most %d)", n_bytes,
                         PROMPT_MAX_REPLY_BYTES);
    json_t *object = json_loadb(reply, n_bytes, JSON_REJECT_DUPLICATES, NULL);
    *is_repaired = !has_key(object, key);
    if (*is_repaired) {
        json_decref(object);
        object = repair(reply, n_bytes, key);
    }
    if (!object) return error_set(err, ST_BAD_INPUT, "reply: no JSON object with \"%s\"", key);
    *out = object;
    return ST_OK;
}

/* --- labels ------------------------------------------------------------------------------ */

static bool is_blank(uint32_t c)
{
    return c <= 0x20 || (c >= 0x7F && c <= 0xA0) || c == 0xAD || (c >= 0x2000 && c <= 0x200F) ||
           (c >= 0x2028 && c <= 0x202F) || (c >= 0x205F && c <= 0x206F) || c == 0x3000 ||
           c == 0xFEFF || (c >= 0xFFF9 && c <= 0xFFFB) || (c >= 0xE0000 && c <= 0xE007F);
}

size_t prompt_label_clean(const char *text, size_t n_bytes, char out[PROMPT_MAX_LABEL_BYTES + 1])
{
    size_t n = 0;
    bool owes_space = false;
    for (size_t at = 0; at < n_bytes;) {
        uint32_t c = 0xFFFD;
        const size_t n_valid = utf8_decode(text + at, n_bytes - at, &c);
        const size_t n_read = n_valid ? n_valid : 1;
        if (is_blank(c)) {
            owes_space = n > 0;
        } else {
            char bytes[4];
            const size_t n_char = utf8_encode(c, bytes);
            if (n + owes_space + n_char > PROMPT_MAX_LABEL_BYTES) break;
            if (owes_space) out[n++] = ' ';
            memcpy(out + n, bytes, n_char);
            n += n_char;
            owes_space = false;
        }
        at += n_read;
    }
    out[n] = '\0';
    return n;
}

static status_t read_label(const json_t *label, const struct prompt_template *asked,
                           char out[PROMPT_MAX_LABEL_BYTES + 1], struct error *err)
{
    if (!json_is_string(label))
        return error_set(err, ST_BAD_INPUT, "reply: \"label\" is not a string");
    if (prompt_label_clean(json_string_value(label), json_string_length(label), out) == 0)
        return error_set(err, ST_BAD_INPUT, "reply: the label is empty");
    const char *problem = prompt_echo_find(out, asked);
    if (problem) return error_set(err, ST_BAD_INPUT, "reply: the label %s", problem);
    return ST_OK;
}

status_t prompt_reply_label(const char *reply, size_t n_bytes, const struct prompt_template *asked,
                            struct prompt_label *out, struct error *err)
{
    json_t *object = NULL;
    struct prompt_label made = {.type = FEATURE_TYPE_NONE};
    status_t status = prompt_reply_object(reply, n_bytes, "label", &object, &made.is_repaired, err);
    if (status != ST_OK) return status;
    status = read_label(json_object_get(object, "label"), asked, made.text, err);
    made.type = feature_type_parse(json_string_value(json_object_get(object, "type")));
    if (status == ST_OK) *out = made;
    json_decref(object);
    return status;
}

/* --- answers ----------------------------------------------------------------------------- */

static bool read_answer(const json_t *value, enum judge_answer *out)
{
    if (json_is_boolean(value)) {
        *out = json_is_true(value) ? ANSWER_FIRES : ANSWER_SILENT;
        return true;
    }
    if (!json_is_integer(value)) return false;
    const json_int_t number = json_integer_value(value);
    *out = number == 1 ? ANSWER_FIRES : ANSWER_SILENT;
    return number == 0 || number == 1;
}

status_t prompt_reply_answers(const char *reply, size_t n_bytes, size_t n_answers,
                              enum judge_answer *answers, bool *is_repaired, struct error *err)
{
    json_t *object = NULL;
    bool was_repaired = false;
    status_t status = prompt_reply_object(reply, n_bytes, "answers", &object, &was_repaired, err);
    if (status != ST_OK) return status;
    const json_t *list = json_object_get(object, "answers");
    enum judge_answer answer;
    if (!json_is_array(list))
        status = error_set(err, ST_BAD_INPUT, "reply: \"answers\" is not a list");
    else if (json_array_size(list) != n_answers)
        status = error_set(err, ST_BAD_INPUT, "reply: %zu answers for %zu texts",
                           json_array_size(list), n_answers);
    for (size_t i = 0; status == ST_OK && i < n_answers; i++)
        if (!read_answer(json_array_get(list, i), &answer))
            status = error_set(err, ST_BAD_INPUT, "reply: answer %zu is neither 0 nor 1", i);
    for (size_t i = 0; status == ST_OK && i < n_answers; i++)
        (void)read_answer(json_array_get(list, i), &answers[i]);
    if (status == ST_OK && is_repaired) *is_repaired = was_repaired;
    json_decref(object);
    return status;
}

status_t prompt_reply_choice(const char *reply, size_t n_bytes, size_t n_choices, size_t *out,
                             struct error *err)
{
    json_t *object = NULL;
    bool was_repaired = false;
    status_t status = prompt_reply_object(reply, n_bytes, "answer", &object, &was_repaired, err);
    if (status != ST_OK) return status;
    const json_t *answer = json_object_get(object, "answer");
    const json_int_t number = json_integer_value(answer);
    if (!json_is_integer(answer) || number < 1 || (uint64_t)number > n_choices)
        status =
            error_set(err, ST_BAD_INPUT, "reply: \"answer\" is no number from 1 to %zu", n_choices);
    else
        *out = (size_t)number;
    json_decref(object);
    return status;
}
