#include "coordinator/session/prompt_echo.h"

#include "coordinator/session/prompt_reply.h"
#include "coordinator/session/utf8.h"

#include <stdbool.h>
#include <string.h>

struct text {
    const char *at, *end;
};

static struct text text_of(const char *text)
{
    return (struct text){text, text + strlen(text)};
}

/* --- words ------------------------------------------------------------------------------- */

static bool is_ascii_word(uint32_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Beyond ASCII everything is part of a word but punctuation, signs and what is no text. */
static bool is_word_character(uint32_t c)
{
    if (c < 0x80) return is_ascii_word(c);
    if (c < 0xC0) return c == 0xAA || c == 0xB5 || c == 0xBA;
    return c != 0xD7 && c != 0xF7 && !(c >= 0x2000 && c <= 0x2BFF) &&
           !(c >= 0x3000 && c <= 0x303F && c != 0x3005) && !(c >= 0xFE10 && c <= 0xFE1F) &&
           !(c >= 0xFE30 && c <= 0xFE6F) && !(c >= 0xFF00 && c <= 0xFF0F) && c < 0xF0000 &&
           c != 0xFFFD;
}

/* Take the next word off the front of *rest; false at the end. */
static bool next_word(struct text *rest, struct text *word)
{
    word->at = NULL;
    while (rest->at < rest->end) {
        uint32_t c = 0xFFFD;
        const size_t n_valid = utf8_decode(rest->at, (size_t)(rest->end - rest->at), &c);
        const bool is_inside = is_word_character(c);
        if (is_inside && !word->at) word->at = rest->at;
        if (!is_inside && word->at) break;
        rest->at += n_valid ? n_valid : 1;
    }
    word->end = rest->at;
    return word->at != NULL;
}

static char lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static bool starts_with(struct text word, struct text begin)
{
    const size_t n_begin = (size_t)(begin.end - begin.at);
    if ((size_t)(word.end - word.at) < n_begin) return false;
    for (size_t i = 0; i < n_begin; i++)
        if (lower(word.at[i]) != lower(begin.at[i])) return false;
    return true;
}

static bool words_equal(struct text left, struct text right)
{
    return left.end - left.at == right.end - right.at && starts_with(left, right);
}

static size_t count_words(struct text text)
{
    struct text word;
    size_t n = 0;
    while (next_word(&text, &word)) n++;
    return n;
}

/* The same words in the same order, and no more. */
static bool same_words(struct text left, struct text right)
{
    struct text one, other;
    for (;;) {
        const bool has_one = next_word(&left, &one), has_other = next_word(&right, &other);
        if (!has_one || !has_other) return has_one == has_other;
        if (!words_equal(one, other)) return false;
    }
}

/* Does `text` start with the n words of `label`, the last of them perhaps cut? */
static bool run_starts(struct text text, struct text label, size_t n)
{
    struct text word, wanted;
    for (; next_word(&label, &wanted); n--) {
        if (!next_word(&text, &word) || !starts_with(word, wanted)) return false;
        if (n > 1 && !words_equal(word, wanted)) return false;
    }
    return true;
}

static bool run_occurs(struct text text, struct text label, size_t n)
{
    struct text word;
    for (struct text at = text; next_word(&at, &word);)
        if (run_starts((struct text){word.at, text.end}, label, n)) return true;
    return false;
}

/* --- what may be echoed ------------------------------------------------------------------ */

static bool is_form_word(struct text label)
{
    for (unsigned t = 1; t <= FEATURE_TYPE_POLYSEMANTIC; t++)
        if (same_words(label, text_of(feature_type_name((enum feature_type)t)))) return true;
    return same_words(label, text_of("label")) || same_words(label, text_of("type"));
}

static const char *skip_spaces(const char *at)
{
    return at + strspn(at, " \t\r\n");
}

/* The value of the next "label" key in *rest, without its quotes. */
static bool next_label_value(const char **rest, struct text *value)
{
    static const char key[] = "\"label\"";
    for (const char *at; (at = strstr(*rest, key)) != NULL;) {
        *rest = at + sizeof key - 1;
        at = skip_spaces(*rest);
        if (*at != ':') continue;
        at = skip_spaces(at + 1);
        if (*at != '"') continue;
        value->at = ++at;
        while (*at && *at != '"') at += *at == '\\' && at[1] ? 2 : 1;
        value->end = at;
        return true;
    }
    return false;
}

static bool is_given_label(const char *template_text, struct text label)
{
    struct text value;
    while (next_label_value(&template_text, &value))
        if (same_words(label, value)) return true;
    return false;
}

const char *prompt_echo_find(const char *label, const struct prompt_template *asked)
{
    const struct text said = text_of(label);
    const size_t n_words = count_words(said);
    if (n_words == 0) return "holds no word";
    if (is_form_word(said)) return "is only a name from the answer's form";
    if (!asked) return NULL;
    const char *template_text = prompt_template_text(asked);
    if (is_given_label(template_text, said)) return "is one that stands in the prompt";
    if (n_words >= PROMPT_ECHO_RUN_WORDS && run_occurs(text_of(template_text), said, n_words))
        return "repeats the prompt's own words";
    return NULL;
}
