#include "coordinator/session/utf8.h"
#include "coordinator/session/window_text.h"
#include "tests/support/session_windows.h"

static struct window_text render(const char *const *words, size_t n_words)
{
    static uint32_t ids[64];
    for (size_t i = 0; i < n_words; i++) ids[i] = (uint32_t)i;
    const struct token_texts texts = texts_of(words, n_words);
    const struct window window = {.tokens = ids, .n_tokens = n_words};
    struct window_text text;
    cr_assert_eq(window_text_init(&text, &window, &texts, NULL), ST_OK);
    return text;
}

Test(window_text, joins_before_it_repairs)
{
    static const char *const words[] = {"caf", "\xC3", "\xA9", " x"};
    struct window_text text = render(words, 4);
    cr_expect_str_eq(text.text, "caf\xC3\xA9 x");
    static const size_t cuts[] = {0, 3, 5, 5, 7}, begins[] = {0, 3, 3, 5};
    for (size_t i = 0; i < 5; i++) cr_expect_eq(text.cuts[i], cuts[i], "cut %zu", i);
    for (size_t i = 0; i < 4; i++) cr_expect_eq(text.begins[i], begins[i], "begin %zu", i);
    window_text_fini(&text);
}

Test(window_text, replaces_each_byte_that_stays_invalid)
{
    static const char *const words[] = {"\x80", "a", "\xE2\x82", "b", "\xF0"};
    struct window_text text = render(words, 5);
    cr_expect_str_eq(text.text,
                     UTF8_REPLACEMENT "a" UTF8_REPLACEMENT UTF8_REPLACEMENT "b" UTF8_REPLACEMENT);
    window_text_fini(&text);
}

Test(window_text, range_covers_every_character_a_token_touches)
{
    static const char *const words[] = {"a", "\xE2", "\x82\xAC", "b"};
    struct window_text text = render(words, 4);
    for (size_t token = 1; token <= 2; token++) {
        size_t begin, end;
        window_text_range(&text, token, token, &begin, &end);
        cr_expect_eq(begin, 1, "token %zu begins at %zu", token, begin);
        cr_expect_eq(end, 4, "token %zu ends at %zu", token, end);
    }
    window_text_fini(&text);
}

Test(window_text, unknown_token_and_empty_window_are_harmless)
{
    static const char *const words[] = {"a"};
    const struct token_texts texts = texts_of(words, 1);
    static const uint32_t ids[] = {0, 99};
    const struct window window = {.tokens = ids, .n_tokens = 2};
    struct window_text text;
    cr_assert_eq(window_text_init(&text, &window, &texts, NULL), ST_OK);
    cr_expect_str_eq(text.text, "a" UTF8_REPLACEMENT);
    window_text_fini(&text);
    const struct window empty = {.tokens = ids, .n_tokens = 0};
    cr_assert_eq(window_text_init(&text, &empty, &texts, NULL), ST_OK);
    cr_expect_str_eq(text.text, "");
    window_text_fini(&text);
    window_text_fini(&text);
}

Test(window_text, random_bytes_always_give_valid_text_whose_strings_join_to_it)
{
    struct draw draw = {1};
    for (int round = 0; round < 500; round++) {
        char bytes[20][4];
        struct token_text texts[20];
        uint32_t ids[20];
        for (uint32_t i = 0; i < 20; i++) {
            ids[i] = i;
            texts[i] = (struct token_text){bytes[i], draw_below(&draw, 4)};
            for (size_t b = 0; b < 4; b++) {
                static const unsigned char pool[] = {'a', 0xC3, 0xA9, 0xE2, 0x82, 0xAC, 0xF0, 0x9F};
                bytes[i][b] = (char)pool[draw_below(&draw, sizeof pool)];
            }
        }
        const struct token_texts vocabulary = {texts, 20};
        const struct window window = {.tokens = ids, .n_tokens = 20};
        struct window_text text;
        cr_assert_eq(window_text_init(&text, &window, &vocabulary, NULL), ST_OK);
        for (size_t at = 0, n = 1; at < text.n_bytes; at += n)
            cr_assert((n = utf8_decode(text.text + at, text.n_bytes - at, NULL)) > 0);
        cr_assert_eq(text.cuts[0], 0);
        cr_assert_eq(text.cuts[20], text.n_bytes);
        for (size_t i = 0; i < 20; i++) {
            cr_assert_leq(text.cuts[i], text.cuts[i + 1]);
            cr_assert_leq(text.begins[i], text.cuts[i]);
            cr_assert(utf8_cut(text.text, text.n_bytes, text.cuts[i]) == text.cuts[i]);
        }
        window_text_fini(&text);
    }
}
