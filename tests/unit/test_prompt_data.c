#include "coordinator/session/prompt_data.h"
#include "tests/support/session_windows.h"

static const char *shown(struct buffer *out, const char *text, const struct prompt_mark *marks,
                         size_t n_marks)
{
    out->n_bytes = 0;
    cr_assert_eq(prompt_data_append(out, text, strlen(text), marks, n_marks, NULL), ST_OK);
    return buffer_text(out);
}

#define OPEN "\xE2\x80\xB9"
#define CLOSE "\xE2\x80\xBA"

Test(prompt_data, data_cannot_imitate_our_marks_lines_or_control_tokens)
{
    static const struct {
        const char *name, *text, *want;
    } cases[] = {
        {"plain", "a < b > c", "a < b > c"},
        {"markup stays", "<b>bold</b>", "<b>bold</b>"},
        {"double brackets", "<<cat>>", OPEN OPEN "cat" CLOSE CLOSE},
        {"triple brackets", "<<<", OPEN OPEN OPEN},
        {"line break", "Text 1: x\nText 2: y", "Text 1: x\xE2\x86\xB5Text 2: y"},
        {"tab, bell, delete", "\t\a\x7F", "\xE2\x87\xA5\xE2\x90\x87\xE2\x90\xA1"},
        {"chat template", "<|im_end|>", OPEN "|im_end|" CLOSE},
        {"end of text", "a</s>b<s>", "a" OPEN "/s>b" OPEN "s>"},
        {"turns", "<end_of_turn>", OPEN "end_of_turn>"},
        {"thinking", "</think>", OPEN "/think>"},
        {"right-to-left override",
         "a\xE2\x80\xAE"
         "b",
         "a\xE2\x9F\xA8U+202E\xE2\x9F\xA9"
         "b"},
        {"zero width", "\xE2\x80\x8B", "\xE2\x9F\xA8U+200B\xE2\x9F\xA9"},
        {"next line of C1", "\xC2\x85", "\xE2\x9F\xA8U+0085\xE2\x9F\xA9"},
        {"broken UTF-8",
         "a\xFF"
         "b",
         "a\xEF\xBF\xBD"
         "b"},
        {"template field", "{{label}}", "{{label}}"},
    };
    struct buffer out;
    buffer_init(&out, 4096);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_str_eq(shown(&out, cases[i].text, NULL, 0), cases[i].want, "%s", cases[i].name);
    buffer_fini(&out);
}

Test(prompt_data, brackets_beside_a_mark_are_replaced)
{
    struct buffer out;
    buffer_init(&out, 4096);
    static const struct prompt_mark marks[] = {{1, 4}};
    cr_expect_str_eq(shown(&out, "<cat>", marks, 1), OPEN "<<cat>>" CLOSE);
    static const struct prompt_mark inside[] = {{0, 5}};
    cr_expect_str_eq(shown(&out, "<cat>", inside, 1), "<<" OPEN "cat" CLOSE ">>");
    static const struct prompt_mark two[] = {{0, 1}, {2, 3}};
    cr_expect_str_eq(shown(&out, "a<b", two, 2), "<<a>>" OPEN "<<b>>");
    buffer_fini(&out);
}

/* However the bytes fall: what is between our marks is what was marked, and the number of marks
 * is the number of runs. */
Test(prompt_data, marks_are_ours_alone_whatever_the_text)
{
    struct draw draw = {21};
    struct buffer out;
    buffer_init(&out, 1 << 16);
    for (int round = 0; round < 2000; round++) {
        char bytes[16][4];
        struct token_text texts[16];
        uint32_t ids[16];
        bool marks[16];
        size_t n_runs = 0;
        for (uint32_t i = 0; i < 16; i++) {
            const size_t n = 1 + draw_below(&draw, 3);
            for (size_t b = 0; b < n; b++) bytes[i][b] = "<>|a\n"[draw_below(&draw, 5)];
            texts[i] = (struct token_text){bytes[i], n};
            ids[i] = i;
            marks[i] = draw_below(&draw, 3) == 0;
            n_runs += marks[i] && (i == 0 || !marks[i - 1]);
        }
        const struct token_texts vocabulary = {texts, 16};
        const struct window window = {.tokens = ids, .n_tokens = 16};
        out.n_bytes = 0;
        cr_assert_eq(prompt_data_append_window(&out, &window, &vocabulary, marks, NULL), ST_OK);
        size_t n_open = 0, n_close = 0;
        for (const char *p = buffer_text(&out); *p; p++) {
            cr_assert_neq(*p, '\n');
            if (p[0] == '<' && p[1] == '<')
                n_open++, p++;
            else if (p[0] == '>' && p[1] == '>')
                n_close++, p++;
        }
        cr_assert_eq(n_open, n_runs, "%s", buffer_text(&out));
        cr_assert_eq(n_close, n_runs, "%s", buffer_text(&out));
    }
    buffer_fini(&out);
}

Test(prompt_data, neighbouring_marked_tokens_share_a_highlight_also_inside_a_character)
{
    static const char *const words[] = {"the", " ca", "t", " \xC3", "\xA9t", "\xC3\xA9"};
    const struct token_texts texts = texts_of(words, 6);
    static const uint32_t ids[] = {0, 1, 2, 3, 4, 5};
    const struct window window = {.tokens = ids, .n_tokens = 6};
    struct buffer out;
    buffer_init(&out, 4096);
    static const bool pair[] = {false, true, true, false, false, false};
    cr_assert_eq(prompt_data_append_window(&out, &window, &texts, pair, NULL), ST_OK);
    cr_expect_str_eq(buffer_text(&out), "the<< cat>> \xC3\xA9t\xC3\xA9");
    static const bool half[] = {false, false, false, false, true, false};
    out.n_bytes = 0;
    cr_assert_eq(prompt_data_append_window(&out, &window, &texts, half, NULL), ST_OK);
    cr_expect_str_eq(buffer_text(&out), "the cat <<\xC3\xA9t>>\xC3\xA9");
    buffer_fini(&out);
}
